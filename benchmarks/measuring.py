"""Functions that the benchmarks share: alternating sides, quartiles, the machine, the report.

A benchmark compares *sides*, such as gazejax and PyTorch. In each round, the sides run one after
the other, so that other load of the machine affects all sides alike. Only ratios of medians are
compared.
"""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results"
# The effect of `gazejax.runtime.allocator`, for the other side, which gains as much.
KEEP_FREED_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
}


# Keys and values of configs before they had the names of today.
FORMER = {
    "encoder.map_size": "encoder.image_size",
    "encoder.batch": "encoder.sampling",
    "saliency.batch": "saliency.sampling",
    "controls.train_permuted_encoder": "controls.permuted_users",
}


def command_of(checkout: Path, *arguments: Any) -> list[str]:
    """The command line of `gazejax` in a checkout, which may be of an earlier commit.

    It is to be run in the checkout, with `PYTHONPATH` set to it.
    """
    program = ["-m", "gazejax"]
    if not (checkout / "gazejax/cli/main.py").exists():
        program = ["-c", "import sys; from gazejax.cli import main; sys.exit(main())"]
        if arguments[0] == "train":
            program, arguments = ["train.py"], arguments[1:]
    words = [str(word) for word in arguments]
    if not (checkout / "configs/base.py").exists():
        for now, before in FORMER.items():
            words = [word.replace(f"--config.{now}", f"--config.{before}") for word in words]
    return [sys.executable, *program, *words]


class Process:
    """Another program, in its own environment, that answers a line with a line of JSON.

    The first line of the program describes it (`about`).
    """

    def __init__(self, *command: str | Path):
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | KEEP_FREED_MEMORY,
        )
        self.about = self._read()

    def ask(self, *words: Any) -> dict:
        """Sends words as one line and waits for the answer."""
        print(*words, file=self._process.stdin, flush=True)
        return self._read()

    def close(self) -> None:
        """Ends the program."""
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args[1]} ended with {self._process.wait()}")
        return json.loads(line)


def seconds_of(call: Callable[[], Any], times: int) -> float:
    """Wall-clock seconds of one call, as the mean over consecutive calls."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def take_turns(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measures each side in turn, in each round.

    The first round compiles and warms up, and does not count. Every second round runs in reverse
    order, so that no side always follows the same side.
    """
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        names = list(sides) if number % 2 else list(sides)[::-1]
        for name in names:
            value = sides[name]()
            if number:
                measured[name].append(value)
    return measured


def summarize(values: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": median, "quartiles": [low, high]}


def machine() -> dict:
    """Describes the machine. The load shows whether other programs ran."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "system": platform.system(),
        "cpu": model,
        "cores": os.cpu_count(),
        "cores_used": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions(*packages: str) -> dict[str, str]:
    """Python's version and those of some packages."""
    return {
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in packages},
    }


def commit() -> str:
    """Commit of the checkout, with a mark if files have changed since."""
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty=, changed", "--abbrev=12"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Writes the report with the commit and the date."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dated = {"commit": commit(), "date": time.strftime("%Y-%m-%d"), **report}
    path.write_text(json.dumps(dated, indent=2) + "\n")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_quartiles(summary: Mapping[str, Any], digits: int) -> str:
    """A median with its quartiles, as text."""
    low, high = summary["quartiles"]
    return f"{summary['median']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
