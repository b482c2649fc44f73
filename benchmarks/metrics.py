"""Speed of the saliency metrics, compared with pysaliency.

    python benchmarks/metrics.py --peer .venv-peers/bin/python

Both sides run on the same core, in separate processes, in alternating rounds. Each process measures
its own CPU time, which on one idle core equals the wall-clock time. Our side calls the functions of
`gazejax.metrics` under `jax.jit(jax.vmap(...))`. The functions of pysaliency take one map at a
time. Compilation is not timed. Without `--peer` only our side runs.
"""

import argparse
import functools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from measuring import HERE, RESULTS, Process, machine, versions, write_report

# Fixations on other images: 15 users with 20 each on 139 images, the size of OSIE's test split.
NUM_OTHERS = 15 * 20 * 139
# Of our side: a call with all maps takes about a millisecond; the loop of the peer ten times that.
CALLS_PER_ROUND = 10
PEER_DTYPES = ("float64", "float32")
SIDES = ("gazejax", *(f"pysaliency {dtype}" for dtype in PEER_DTYPES))
NOTES = """\
Microseconds of CPU time per map: the median over rounds, and the quartiles. Our side computes on
float32 maps, pysaliency on the same maps in float64, the type of its models and of NumPy, and in
float32. The differences are those of float32. pysaliency has no function for the information gain
of one map. If it has two functions for an AUC, the faster one is timed. For `sauc` all maps share
the fixations on other images, which our side counts in each pixel once for all maps. `AUC_Judd` of
pysaliency adds noise to break ties; here it is called without noise. The definitions agree except
for constant maps: `CC` of pysaliency is NaN if the second map is constant, and its `NSS` is 1 for a
float64 map of all 0.1."""


def make_data(num_maps: int, map_size: tuple[int, int], num_fixations: int, num_others: int):
    """Smooth densities, float32 [map, height, width], and fixations at uniform positions."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    generator = np.random.default_rng(0)
    height, width = map_size
    maps = generator.random((2, num_maps, height, width)) ** 4
    maps = gaussian_filter(maps, (0, 0, height / 30, width / 30)).astype(np.float32)
    saliency, target = maps / maps.sum(axis=(-2, -1), keepdims=True)
    # Slightly smaller, so that no position is rounded up to the border in float32.
    corner = np.array([width, height]) * (1 - 1e-6)
    return {
        "saliency": saliency,
        "target": target,
        "xy_px": (generator.random((num_maps, num_fixations, 2)) * corner).astype(np.float32),
        "other_xy_px": (generator.random((num_others, 2)) * corner).astype(np.float32),
    }


def our_calls(data: dict, names: Sequence[str]) -> dict[str, Callable]:
    """For each metric, a function that computes it for all maps; for no name, for all metrics."""
    import jax
    import jax.numpy as jnp

    from gazejax.metrics import saliency as metrics

    def compute(name: str, saliency, target, xy_px, other_xy_px):
        arguments = {
            "sauc": {"saliency": saliency, "xy_px": xy_px, "other_xy_px": other_xy_px},
            "information_gain": {"density": saliency, "baseline": target, "xy_px": xy_px},
            "cc": {"a": saliency, "b": target},
            "sim": {"a": saliency, "b": target},
            "kld": {"target": target, "prediction": saliency},
        }.get(name, {"saliency": saliency, "xy_px": xy_px})
        return getattr(metrics, name)(**arguments)

    arrays = [jnp.asarray(data[key]) for key in ("saliency", "target", "xy_px", "other_xy_px")]

    def call(name: str) -> Callable:
        one = functools.partial(compute, name)
        batched = jax.jit(jax.vmap(one, in_axes=(0, 0, 0, None)))
        return lambda: jax.block_until_ready(batched(*arrays))

    return {name: call(name) for name in names or metrics.METRICS}


def measure(data: dict, rounds: int, peer: Process | None, names: Sequence[str] = ()) -> list[dict]:
    """Rounds of the metrics, with alternating sides; returns a row for each metric."""
    import numpy as np

    calls = our_calls(data, names)
    num_maps = len(data["saliency"])
    shared = peer.about["metrics"] if peer else []
    seconds: dict = {name: {side: [] for side in SIDES} for name in calls}
    values: dict = {name: {} for name in calls}
    # The first round compiles, on both sides, and does not count.
    for number in range(rounds + 1):
        for name, call in calls.items():
            values[name]["gazejax"] = np.asarray(call(), np.float64)
            start = time.process_time()
            for _ in range(CALLS_PER_ROUND):
                call()
            elapsed = {"gazejax": (time.process_time() - start) / CALLS_PER_ROUND}
            for dtype in PEER_DTYPES if name in shared else ():
                answer = peer.ask(name, dtype)
                values[name]["pysaliency"] = np.array(answer["values"])
                elapsed[f"pysaliency {dtype}"] = answer["seconds"]
            if number:
                for side in elapsed:
                    seconds[name][side].append(elapsed[side])
    rows = []
    for name in calls:
        row: dict = {"metric": name}
        for side, elapsed in seconds[name].items():
            if not elapsed:
                continue
            low, median, high = np.quantile(elapsed, [0.25, 0.5, 0.75]) / num_maps * 1e6
            row[side] = {"median": median, "quartiles": [low, high]}
        if name in shared:
            for dtype in PEER_DTYPES:
                peer_median = row[f"pysaliency {dtype}"]["median"]
                row[f"ratio {dtype}"] = peer_median / row["gazejax"]["median"]
            difference = np.abs(values[name]["gazejax"] - values[name]["pysaliency"])
            row["largest_difference"] = difference.max()
        rows.append(row)
    return rows


def as_markdown(rows: list[dict]) -> str:
    """The rows as a Markdown table."""

    def cell(summary: dict | None) -> str:
        if summary is None:
            return ""
        low, high = summary["quartiles"]
        return f"{summary['median']:.1f} ({low:.1f} to {high:.1f})"

    ratios = [f"ratio {dtype}" for dtype in PEER_DTYPES]
    header = ["metric", *SIDES, *ratios, "largest difference"]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for row in rows:
        cells = [cell(row.get(side)) for side in SIDES]
        compared = [f"{row[ratio]:.1f}" if ratio in row else "" for ratio in ratios]
        difference = row.get("largest_difference")
        compared.append("" if difference is None else f"{difference:.1e}")
        lines.append(f"| `{row['metric']}` | {' | '.join(cells + compared)} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measures, prints the table and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--peer", type=Path, help="a Python that has pysaliency")
    parser.add_argument("--out", type=Path, default=RESULTS / "metrics.json")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--metrics", nargs="+", default=[], help="default: all")
    parser.add_argument("--maps", type=int, default=64)
    parser.add_argument("--map-size", type=int, nargs=2, default=(96, 128))
    parser.add_argument("--fixations", type=int, default=20)
    parser.add_argument("--others", type=int, default=NUM_OTHERS)
    options = parser.parse_args(arguments)

    about = machine() | {"cores_used": 1}
    # Before JAX starts, which makes as many threads as there are cores. The peer inherits this.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import numpy as np

    data = make_data(options.maps, tuple(options.map_size), options.fixations, options.others)
    peer = None
    with tempfile.TemporaryDirectory() as folder:
        if options.peer:
            data_file = Path(folder) / "data.npz"
            np.savez(data_file, **data)
            peer = Process(options.peer, HERE / "metrics_peer.py", data_file)
        try:
            rows = measure(data, options.rounds, peer, options.metrics)
        finally:
            if peer:
                peer.close()

    report = {
        "machine": about,
        "versions": {
            "gazejax": versions("jax", "numpy"),
            "pysaliency": peer.about["versions"] if peer else None,
        },
        "setting": {key: getattr(options, key) for key in ("maps", "map_size", "fixations")}
        | {"others": options.others, "rounds": options.rounds},
        "notes": NOTES.replace("\n", " "),
        "microseconds_per_map": rows,
    }
    for key in ("machine", "versions", "setting"):
        print(f"{key}: {json.dumps(report[key])}")
    print(f"\n{as_markdown(rows)}\n\n{NOTES}")
    write_report(options.out, report)


if __name__ == "__main__":
    main(sys.argv[1:])
