"""The results of all benchmarks as one table, and a check of five ratios.

    python benchmarks/table.py docs/results/performance.md  # writes the table into the text
    python benchmarks/table.py --check                      # exit status 1 if a ratio got worse

The program reads the results in benchmarks/results/. The check compares ratios, not seconds, and
has a wide tolerance, because machines differ and may run other programs.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from measuring import HERE, RESULTS, markdown, with_quartiles

START, END = "<!-- results: benchmarks -->", "<!-- end of results -->"
EXPECTED = HERE / "expected_ratios.json"


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        quantity: what is measured.
        goal: goal of the quantity.
        file: file of the results.
        format: results -> the quantity as text, and whether it meets the goal; None without a goal.
    """

    quantity: str
    goal: str
    file: str
    format: Callable[[dict], tuple[str, bool | None]]


def ratio_to_pytorch(
    case: str, kind: str, goal: float | None
) -> Callable[[dict], tuple[str, bool | None]]:
    """The ratio of a case of benchmarks/networks.py to one of its versions in PyTorch."""

    def format_row(results: dict) -> tuple[str, bool | None]:
        row = next(row for row in results["rows"] if row["case"] == case)
        side = " ".join(part for part in ("pytorch", "eager", kind) if part)
        ratio = row[f"ratio {side}"]
        speeds = [f"{with_quartiles(row[name], 0)}" for name in ("gazejax", side)]
        met = None if goal is None else ratio >= goal
        return f"**{ratio:.2f}**: {speeds[0]} to {speeds[1]} {row['unit']}/s", met

    return format_row


def embeddings(users: int, kind: str, goal: float | None) -> Callable[[dict], tuple[str, Any]]:
    """Embeddings per second, compared with PyTorch."""

    def format_row(results: dict) -> tuple[str, bool | None]:
        row = next(row for row in results["rows"] if row["users_per_image"] == users)
        ratio = row[f"ratio {kind}"]
        speeds = [with_quartiles(row[name], 0) for name in (kind, "pytorch")]
        met = None if goal is None else ratio >= goal
        return f"**{ratio:.2f}**: {speeds[0]} to {speeds[1]} embeddings/s", met

    return format_row


def rendering(results: dict) -> tuple[str, bool]:
    """Maps at the size of stage 1's input."""
    row = next(row for row in results["rows"] if row["map_size"] == "96x128")
    text = [with_quartiles(row[side], 0) for side in ("gazejax", "scipy")]
    return f"**{row['ratio']:.1f}**: {text[0]} to {text[1]} maps/s", row["ratio"] >= 30


def metrics(results: dict) -> tuple[str, bool]:
    """The lowest ratio of a metric to pysaliency in float64, its own precision."""
    ratios = {
        row["metric"]: row["ratio float64"]
        for row in results["microseconds_per_map"]
        if "ratio float64" in row
    }
    goals = {name: 8 if name == "kld" else 10 for name in ratios}
    listed = ", ".join(f"`{name}` {ratio:.1f}" for name, ratio in ratios.items())
    return listed, all(ratios[name] >= goal for name, goal in goals.items())


def host_share(stage: str) -> Callable[[dict], tuple[str, bool]]:
    """The share of the host in a step."""

    def format_row(results: dict) -> tuple[str, bool]:
        row = results["host"][stage]
        text = f"**{100 * row['share']:.1f} %**: {row['host_ms']:.1f} of "
        return text + f"{with_quartiles(row['step_ms'], 0)} ms", row["share"] <= 0.02

    return format_row


def save(results: dict) -> tuple[str, bool]:
    """The cost of a save."""
    row = results["save"]
    text = f"**{with_quartiles(row['steps'], 2)}** steps of {1e3 * row['step_seconds']:.0f} ms"
    return text, row["steps"]["median"] <= 1


def first_step(state: str, goal: float | None) -> Callable[[dict], tuple[str, Any]]:
    """Seconds of the first step of both stages."""

    def format_row(results: dict) -> tuple[str, bool | None]:
        texts, seconds = [], []
        for stage, row in results["first_step"].items():
            step, start = row[f"{state}: step"], row[f"{state}: start"]
            seconds.append(step["median"])
            texts.append(
                f"{stage} **{with_quartiles(step, 1)}** s "
                f"({start['median']:.1f} s after the process started)"
            )
        return "; ".join(texts), None if goal is None else max(seconds) <= goal

    return format_row


def growth(results: dict) -> tuple[str, None]:
    """Bytes for each further user and image."""
    texts = [
        f"{name}: {grown['bytes_on_device'] / 1e3:.1f} kB on each device, "
        f"{grown['peak_bytes'] / 1e3:.1f} kB at the peak"
        for name, grown in results["growth"].items()
    ]
    return "; ".join(texts), None


ROWS = [
    Row(
        "stage 1, training, to PyTorch",
        ">= .95",
        "networks",
        ratio_to_pytorch("stage 1, training", "", 0.95),
    ),
    Row(
        "stage 1, inference, to PyTorch",
        ">= 0.9",
        "networks",
        ratio_to_pytorch("stage 1, inference", "", 0.9),
    ),
    Row(
        "stage 2, training, one user per image, to PyTorch",
        ">= .85",
        "networks",
        ratio_to_pytorch("stage 2, training, one user per image", "apart", 0.85),
    ),
    Row(
        "stage 2, training, 8 users per image, to PyTorch that also shares the image's work",
        ">= 1.1",
        "networks",
        ratio_to_pytorch("stage 2, training, 8 users per image", "shared", 1.1),
    ),
    Row(
        "stage 2, training, 8 users per image, to PyTorch that does not share",
        ">= 1.5",
        "networks",
        ratio_to_pytorch("stage 2, training, 8 users per image", "apart", 1.5),
    ),
    Row(
        "stage 2, inference, one user per image, to PyTorch",
        ">= 0.9",
        "networks",
        ratio_to_pytorch("stage 2, inference, one user per image", "apart", 0.9),
    ),
    Row(
        "stage 2, inference, 8 users per image, to PyTorch that also shares the image's work",
        ">= 0.9",
        "networks",
        ratio_to_pytorch("stage 2, inference, 8 users per image", "shared", 0.9),
    ),
    *(
        Row(
            f"{case}, to PyTorch{' that also shares' * (kind == 'shared')}, on one core in CPU "
            "seconds",
            f">= {goal:g}",
            "networks_one_core",
            ratio_to_pytorch(case, kind, goal),
        )
        for case, kind, goal in (
            ("stage 1, training", "", 0.95),
            ("stage 1, inference", "", 0.98),
            ("stage 2, training, one user per image", "apart", 0.85),
            ("stage 2, training, 8 users per image", "shared", 1.1),
            ("stage 2, inference, 8 users per image", "shared", 0.9),
            ("stage 2, inference, 20 users on one image", "shared", 1.0),
            ("stage 2, inference, 100 users on one image", "shared", 1.0),
        )
    ),
    *(
        Row(
            f"embeddings, {users} users per image, {kind}, to PyTorch with the paper's encoder",
            goal,
            "embeddings",
            embeddings(users, kind, 5.0 if goal else None),
        )
        for users in (15, 100, 1000)
        for kind, goal in (("from pixels", ">= 5"), ("features known", ""))
    ),
    Row("rendering 96 x 128 maps, to `scipy.ndimage`", ">= 30", "rendering", rendering),
    Row("metrics, to pysaliency", ">= 10, `kld` 8", "metrics", metrics),
    Row("share of the host in a step, stage 1", "<= 2 %", "host", host_share("encoder")),
    Row("share of the host in a step, stage 2", "<= 2 %", "host", host_share("saliency")),
    Row("asynchronous save", "<= 1 step", "host", save),
    Row("first step, no cache", "", "host", first_step("empty", None)),
    Row("first step, compilation cache filled", "<= 2 s", "host", first_step("filled", 2.0)),
    Row("memory for each further user (150 images), image (15 users)", "", "curves", growth),
]
# The ratios that are checked: file, and results -> ratio.
CHECKED: dict[str, tuple[str, Callable[[dict], float]]] = {
    "stage 1, training, to PyTorch": (
        "networks_one_core",
        lambda results: _ratio(results, "stage 1, training", "ratio pytorch eager"),
    ),
    "stage 2, training, 8 users per image, to PyTorch that shares": (
        "networks_one_core",
        lambda results: _ratio(
            results, "stage 2, training, 8 users per image", "ratio pytorch eager shared"
        ),
    ),
    "predict_many of 20 users, to predict for each": (
        "predict_many",
        lambda results: results["ratio"],
    ),
    "rendering, to scipy.ndimage": (
        "rendering",
        lambda results: next(
            row["ratio"] for row in results["rows"] if row["map_size"] == "96x128"
        ),
    ),
    "nss, to pysaliency": (
        "metrics",
        lambda results: next(
            row["ratio float64"]
            for row in results["microseconds_per_map"]
            if row["metric"] == "nss"
        ),
    ),
}


def _ratio(results: dict, case: str, column: str) -> float:
    return next(row[column] for row in results["rows"] if row["case"] == case)


def read(name: str, folder: Path) -> dict:
    """Reads the results of a benchmark.

    Raises:
        FileNotFoundError: with the command that makes them.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; run: make bench")
    return json.loads(path.read_text())


def make_table(folder: Path) -> str:
    """All rows, with the machine and the date of the measurements."""
    lines, abouts = [], set()
    for row in ROWS:
        results = read(row.file, folder)
        text, is_met = row.format(results)
        met = {True: "met", False: "missed", None: ""}[is_met]
        script, *options = row.file.partition("_one_core")
        command = f"`benchmarks/{script}.py{' --cores 1' if options[0] else ''}`"
        lines.append([row.quantity, row.goal, text, met, command])
        machine = results["machine"]
        abouts.add(
            f"`{row.file}`: {results['date']}, commit {results['commit']}, {machine['cpu']}, "
            f"{machine['cores']} cores, load before {machine.get('load_before', '?')}"
        )
    versions = read("networks", folder)["versions"]
    listed = ", ".join(
        f"{name} {number}"
        for side in ("gazejax", "pytorch")
        for name, number in versions[side].items()
        if name in ("python", "jax", "flax", "torch")
    )
    table = markdown(["quantity", "goal", "measured", "", "command"], lines)
    return "\n\n".join([table, f"{'; '.join(sorted(abouts))}. {listed}."])


def insert(text: str, table: str) -> str:
    """Replaces the table of a text.

    Raises:
        ValueError: if the text lacks the lines around the table.
    """
    before, found, after = text.partition(START)
    _, ended, rest = after.partition(END)
    if not (found and ended):
        raise ValueError(f"the text has no line {START!r} with a line {END!r} after it")
    return f"{before}{START}\n\n{table}\n\n{END}{rest}"


def worse(expected: dict[str, float], found: dict[str, float], tolerance: float) -> list[str]:
    """A line for each ratio that fell below the expected one times `tolerance`."""
    return [
        f"{name}: {found[name]:.2f}; allowed: at least {tolerance * ratio:.2f}, "
        f"{tolerance:.0%} of the stored ratio"
        for name, ratio in expected.items()
        if found[name] < tolerance * ratio
    ]


def main(arguments: list[str]) -> int:
    """Writes the table, stores the checked ratios, or compares with the stored ones."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("text", type=Path, nargs="?", help="where to insert the table")
    parser.add_argument("--check", action="store_true", help="compare with the stored ratios")
    parser.add_argument("--store", action="store_true", help="store the ratios of now")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    if options.text:
        table = make_table(options.results)
        options.text.write_text(insert(options.text.read_text(), table))
    if not (options.check or options.store):
        return 0
    found = {name: ratio(read(file, options.results)) for name, (file, ratio) in CHECKED.items()}
    if options.store:
        stored = {"tolerance": 0.7, "ratios": {name: round(found[name], 2) for name in found}}
        EXPECTED.write_text(json.dumps(stored, indent=2) + "\n")
    if options.check:
        stored = json.loads(EXPECTED.read_text())
        lines = worse(stored["ratios"], found, stored["tolerance"])
        print("\n".join(lines) or f"as fast as expected: {json.dumps(found)}")
        return 1 if lines else 0
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
