"""Whole runs, in turns with those of an earlier commit: OSIE, the demo, and a large data set.

    git worktree add ../before b84f2d1
    python benchmarks/runs.py --before ../before --raw DIR

Each command runs in a process of its own, on all cores, from an empty cache of compiled programs
and features. The programs of both sides have the same packages. `evaluate` evaluates the demo
again, with what its training compiled. In `scale`, 1,000 users look at 100 of 10,000 images each, a
million fixations in all; stage 1 of configs/osie_maps.py is trained for 100 steps and evaluated,
and the reading alone is measured beside it. An evaluation that takes more than `--memory` is ended;
`--users 200 --images 2000` is a data set that earlier commits evaluate. Between the sides, only CPU
seconds and metrics are compared.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measuring import HERE, RESULTS, command_of, machine, markdown, versions, write_report
from PIL import Image

NUM_SEEN, NUM_FIXATIONS = 100, 10  # Images that a user sees, and fixations on each.
METRICS = ("roc_auc", "rank1")


class Side(NamedTuple):
    """A checkout, and the folder of its runs."""

    checkout: Path
    folder: Path

    def run(
        self,
        *arguments: Any,
        limit: float = math.inf,
        most_gb: float = math.inf,
        until: str = "",
    ) -> dict[str, float]:
        """Runs the command of the checkout.

        Args:
            arguments: of the command.
            limit: seconds after which it is ended.
            most_gb: memory with which it is ended.
            until: pattern of a file of the runs; the command is ended once there is one.

        Returns:
            CPU seconds, seconds and peak memory until its end, and whether it reached a limit.

        Raises:
            subprocess.CalledProcessError: if the command fails.
        """
        command = command_of(self.checkout, *arguments)
        environment = os.environ | {
            "PYTHONPATH": str(self.checkout),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        with (self.folder / "log.txt").open("a") as log:
            process = subprocess.Popen(
                command,
                cwd=self.checkout,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            is_over, is_ended = False, False
            while True:
                number, status, usage = os.wait4(process.pid, os.WNOHANG)
                if number:
                    break
                # A process that is being ended may have given its memory back.
                is_over |= time.monotonic() - start > limit or memory_gb(process.pid) > most_gb
                if is_over or (until and any(self.folder.glob(until))):
                    is_ended = True
                    process.kill()
                time.sleep(0.05)
        code = os.waitstatus_to_exitcode(status)
        if code != 0 and not is_ended:
            raise subprocess.CalledProcessError(
                code, command, (self.folder / "log.txt").read_text()
            )
        return {
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "seconds": time.monotonic() - start,
            "peak_mb": usage.ru_maxrss / 1e3,
            "is_over": float(is_over),
        }


def osie(side: Side, raw: Path) -> dict[str, Any]:
    """One fold of configs/osie.py: all stages, controls and the evaluation."""
    data = side.folder / "data"
    side.run("data", "build", "osie/gaze", "--raw", raw, "--data-dir", data)
    config = ["--config=configs/osie.py", f"--workdir={side.folder / 'osie'}"]
    found = side.run("train", *config, f"--config.data.data_dir={data}")
    return {"osie": found | metrics(side.folder / "osie")}


def demo(side: Side) -> dict[str, Any]:
    """What `make demo` runs, and the evaluation again."""
    data, run = side.folder / "data", side.folder / "demo"
    built = side.run("data", "build", "synthetic_gaze", "--data-dir", data)
    config = ["--config=configs/synthetic_gaze.py", f"--workdir={run}"]
    flags = [f"--config.data.data_dir={data}", "--config.controls.train_permuted_encoder=False"]
    trained = side.run("train", *config, *flags)
    both = {key: built[key] + trained[key] for key in ("cpu_seconds", "seconds")}
    return {
        "demo": trained | both | metrics(run),
        "evaluate again": side.run("evaluate", run),
    }


def scale(
    side: Side, limit: float, most_gb: float, *, num_users: int, num_images: int
) -> dict[str, Any]:
    """Many users: the build, the reading alone, 100 steps of stage 1 and its evaluation."""
    table, images = make_table(side.folder, num_users, num_images)
    data, run = side.folder / "data", side.folder / "large"
    build = ["data", "build", "gaze_table", "--table", table, "--images", images]
    built = side.run(*build, "--name", "large", "--data-dir", data)
    read = side.run("data", "verify", "large", "--data-dir", data)
    values = {
        "data.name": "large",
        "data.data_dir": data,
        "split.test_rule": "hash",
        "stage": "encoder",
        "encoder.num_steps": 100,
    }
    flags = [f"--config.{name}={value}" for name, value in values.items()]
    start = ["train", "--config=configs/osie_maps.py", f"--workdir={run}"]
    trained = side.run(*start, *flags, limit=limit, until="large/**/100/manifest.json")
    found = {"scale, build": built, "scale, reading": read, "scale, 100 steps": trained}
    if trained["is_over"]:
        return found
    evaluated = side.run("evaluate", run, limit=limit, most_gb=most_gb)
    return found | {"scale, evaluation of stage 1": evaluated}


def memory_gb(process: int) -> float:
    """What a process has in memory."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:  # It has just ended.
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


def make_table(folder: Path, num_users: int, num_images: int) -> tuple[Path, Path]:
    """Writes the table of a large data set and its images; uniform noise."""
    random = np.random.default_rng(0)
    table, images = folder / "gaze.csv", folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for number in range(num_images):
        pixels = random.integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).resize((160, 120)).save(images / f"{number:05d}.jpg")
    with table.open("w") as stream:
        stream.write("image,user,x,y,duration_ms\n")
        for user in range(num_users):
            for image in np.sort(random.choice(num_images, NUM_SEEN, replace=False)):
                for x, y in random.uniform(0, (160, 120), (NUM_FIXATIONS, 2)):
                    stream.write(f"{image:05d}.jpg,u{user:04d},{x:.1f},{y:.1f},200\n")
    return table, images


def metrics(run: Path) -> dict[str, float]:
    """Metrics of unseen users at the fewest and at the most images, from `evaluation.json`."""
    of_number = json.loads((run / "evaluation.json").read_text())["encoder"]["unseen"]["encoder"]
    return {
        f"{name}, n = {number}": of_number[number][name]
        for number in (min(of_number, key=int), max(of_number, key=int))
        for name in METRICS
    }


def main(arguments: list[str]) -> None:
    """Runs the cases of both sides in turns, prints the table and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--before", type=Path, help="the checkout of the earlier commit")
    parser.add_argument("--raw", type=Path, help="the folder of OSIE's release; needed by osie")
    parser.add_argument(
        "--cases", nargs="+", default=["osie", "demo", "scale"], choices=["osie", "demo", "scale"]
    )
    parser.add_argument("--users", type=int, default=1_000, help="of scale")
    parser.add_argument("--images", type=int, default=10_000, help="of scale")
    parser.add_argument("--limit", type=float, default=900, help="seconds of each part of scale")
    parser.add_argument(
        "--memory", type=float, default=16, help="gigabytes of the evaluation of scale"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "runs.json")
    options = parser.parse_args(arguments)
    if "osie" in options.cases and options.raw is None:
        parser.error("the case osie needs --raw")

    about, rows = machine(), []
    calls: dict[str, Callable[[Side], dict[str, Any]]] = {
        "osie": lambda side: osie(side, options.raw.absolute()),
        "demo": demo,
        "scale": lambda side: scale(
            side,
            options.limit,
            options.memory,
            num_users=options.users,
            num_images=options.images,
        ),
    }
    checkouts = {"gazejax": HERE.parent}
    if options.before:
        checkouts["before"] = options.before.absolute()
    for case in options.cases:
        for name, checkout in checkouts.items():
            with tempfile.TemporaryDirectory() as folder:
                for what, found in calls[case](Side(checkout, Path(folder))).items():
                    rows.append({"side": name, "what": what, **found})
                    print(as_markdown(rows[-1:]), flush=True)
    print(f"\n{as_markdown(rows)}")
    report = {"machine": about, "versions": versions("jax", "jaxlib", "numpy"), "rows": rows}
    write_report(options.out, report)


def as_markdown(rows: Sequence[dict]) -> str:
    """The rows as a Markdown table."""
    lines = []
    for row in rows:
        of_metrics = ", ".join(
            f"{name} {value:.3f}" for name, value in row.items() if name.startswith(METRICS)
        )
        more = "more than " if row["is_over"] else ""
        cpu, peak = f"{more}{row['cpu_seconds']:.0f}", f"{more}{row['peak_mb'] / 1e3:.1f}"
        lines.append([row["what"], row["side"], cpu, f"{row['seconds']:.0f}", peak, of_metrics])
    return markdown(["", "side", "CPU s", "s", "peak, GB", "unseen users"], lines)


if __name__ == "__main__":
    main(sys.argv[1:])
