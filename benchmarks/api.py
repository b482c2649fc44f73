"""Speed of the API, in turns with that of an earlier commit.

    git worktree add ../before b84f2d1
    python benchmarks/api.py --before ../before

Each side trains configs/osie.py for two steps on synthetic gaze, at two sizes of maps, and is then
used as a program uses it: pictures of 600 x 800 that were never seen before, one at a time. A
process of its own says what the first calls cost, with nothing compiled and with the compiled
programs kept (the earlier commit keeps none), and how much memory maps of many users take.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measuring import (
    HERE,
    RESULTS,
    Process,
    machine,
    markdown,
    summarize,
    take_turns,
    versions,
    with_quartiles,
    write_report,
)

SIDE = HERE / "api_side.py"
SIZES = ((36, 48), (72, 96))
CASES = (("predict", 20), ("predict", 100), ("embed", 20))
KEPT = {"empty": 0, "filled": 1}  # Which of two processes after each other.


class Side:
    """The API of a checkout."""

    def __init__(self, checkout: Path, folder: Path):
        self.checkout, self.folder = checkout.resolve(), folder
        self.environment = {"XDG_CACHE_HOME": str(folder / "cache")}

    def command(self, *arguments: Any, **environment: str) -> list[str]:
        """The command line of benchmarks/api_side.py in the checkout."""
        variables = {"PYTHONPATH": str(self.checkout)} | self.environment | environment
        pairs = [f"{name}={value}" for name, value in variables.items()]
        program = [sys.executable, str(SIDE), *map(str, arguments)]
        return ["env", "-C", str(self.checkout), *pairs, *program]

    def prepare(self, size: tuple[int, int]) -> None:
        """Trains, at a size of maps."""
        folder = self.folder / f"{size[0]}"
        subprocess.run(self.command("prepare", folder, *size), check=True)

    def run(self, size: tuple[int, int]) -> Path:
        """The workdir of a size."""
        return self.folder / f"{size[0]}" / "run"

    def measure(self, what: str, *arguments: Any, **environment: str) -> dict[str, float]:
        """What a process of its own says of itself."""
        command = self.command(what, *arguments, **environment)
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def in_turns(sides: Mapping[str, Side], rounds: int) -> list[dict[str, Any]]:
    """Seconds of a call of each side, for each size and case."""
    rows = []
    for size in SIZES:
        servers = {
            name: Process(*side.command("serve", side.run(size))) for name, side in sides.items()
        }
        for what, users in CASES:
            calls = {
                name: lambda server=server, what=what, users=users: server.ask(what, users)[
                    "seconds"
                ]
                for name, server in servers.items()
            }
            measured = take_turns(calls, rounds)
            row: dict[str, Any] = {"size": list(size), "call": what, "users": users}
            row |= {name: summarize(seconds) for name, seconds in measured.items()}
            if "before" in row:
                row["ratio"] = row["before"]["median"] / row["gazejax"]["median"]
            rows.append(row)
        for server in servers.values():
            server.close()
    return rows


def of_new_processes(sides: Mapping[str, Side], rounds: int) -> dict[str, dict[str, Any]]:
    """CPU seconds of the first calls of a process, without and with what was compiled."""

    def first(side: Side, state: str) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as cache:
            found = [
                side.measure("first", side.run(SIZES[0]), XDG_CACHE_HOME=cache)
                for _ in range(KEPT[state] + 1)
            ]
        return found[-1]

    measured: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name, side in sides.items():
            for state in KEPT:
                measured.setdefault(f"{name}, {state}", []).append(first(side, state))
    return {
        name: {part: summarize([one[part] for one in found]) for part in found[0]}
        for name, found in measured.items()
    }


def main(arguments: list[str]) -> None:
    """Measures, prints the tables and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--before", type=Path, help="a checkout of an earlier commit")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "api.json")
    options = parser.parse_args(arguments)
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        sides = {"gazejax": Side(HERE.parent, Path(folder) / "gazejax")}
        if options.before:
            sides["before"] = Side(options.before, Path(folder) / "before")
        for side in sides.values():
            for size in SIZES:
                side.prepare(size)
        rows = in_turns(sides, options.rounds)
        firsts = of_new_processes(sides, min(options.rounds, 3))
        ours = sides["gazejax"]
        with tempfile.TemporaryDirectory() as cache:
            shipped = [
                ours.measure("first_map", "osie", XDG_CACHE_HOME=cache)
                for _ in range(min(options.rounds, 3) + 1)
            ][1:]
        memory = {
            users: ours.measure("memory", ours.run(SIZES[1]), users) for users in (20, 200, 1000)
        }
    names = list(sides)
    print(json.dumps(about))
    header = ["maps", "call", "users", *(f"{name}, ms" for name in names), "ratio"]
    table = [
        [
            " x ".join(map(str, row["size"])),
            row["call"],
            str(row["users"]),
            *(
                with_quartiles(
                    {
                        "median": 1e3 * row[name]["median"],
                        "quartiles": [1e3 * value for value in row[name]["quartiles"]],
                    },
                    0,
                )
                for name in names
            ),
            f"{row['ratio']:.1f}" if "ratio" in row else "",
        ]
        for row in rows
    ]
    print(markdown(header, table))
    parts = ["import", "load", "embed", "predict", "all"]
    lines = [
        [name, *(with_quartiles(found[part], 2) for part in parts)]
        for name, found in firsts.items()
    ]
    print(
        markdown(["new process, compiled programs", *(f"{part}, CPU s" for part in parts)], lines)
    )
    all_of_shipped = summarize([one["all"] for one in shipped])
    print(f"import to first map of the shipped model: {with_quartiles(all_of_shipped, 2)} CPU s")
    for users, found in memory.items():
        sizes = [f"{found[name] / 1e6:.0f} MB" for name in ("bytes", "result_bytes")]
        print(f"{users} users, maps of 72 x 96: {sizes[0]} beside a result of {sizes[1]}")
    report = {
        "machine": about,
        "versions": {"gazejax": versions("jax", "jaxlib", "flax", "numpy")},
        "before": _commit_of(options.before) if options.before else None,
        "rows": rows,
        "first": firsts,
        "shipped": all_of_shipped,
        "memory": memory,
    }
    write_report(options.out, report)


def _commit_of(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)  # Each side keeps its own.
    main(sys.argv[1:])
