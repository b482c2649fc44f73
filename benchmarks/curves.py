"""Throughput and memory as a data set grows: `python benchmarks/curves.py`.

Each point runs in its own process, so that its peak memory can be measured. The process generates a
data set, builds the stage of configs/osie_maps.py and trains some steps. `--plot` plots the curves.
"""

import before_pyarrow  # noqa: F401

# isort: split

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measuring import (
    HERE,
    RESULTS,
    machine,
    markdown,
    summarize,
    versions,
    with_quartiles,
    write_report,
)

sys.path.insert(0, str(HERE.parent))  # configs build on each other.

# Values that a curve does not vary: the users of OSIE, few images, the config's batch and size.
BASE = {
    "stage": "encoder",
    "users": 15,
    "images": 150,
    "height": 96,
    "devices": 2,
    "users_per_image": 8,
}
MAPS_PER_BATCH = 64
CURVES: dict[str, list[dict[str, Any]]] = {
    "users": [{"users": users} for users in (15, 100, 1000)],
    "images": [{"images": images} for images in (100, 1000, 10_000)],
    "height of the images": [{"height": height} for height in (96, 192, 288, 384)],
    "devices": [
        {"stage": stage, "devices": devices}
        for stage in ("encoder", "saliency")
        for devices in (1, 2)
    ],
    "users per image": [
        {"stage": "saliency", "users_per_image": number, "users": 30, "images": 200}
        for number in (1, 2, 4, 8, 16)
    ],
}


def run_point(point: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Trains one point of a curve, in this process."""
    import jax

    from gazejax.config.derived import input_sizes

    jax.config.update("jax_num_cpu_devices", point["devices"])
    import generated
    import networks

    from gazejax.configs import osie_maps

    config = osie_maps.get_config()
    config.split.test_rule = "hash"
    height, users_per_image = point["height"], point["users_per_image"]
    num_images = MAPS_PER_BATCH // users_per_image
    config.encoder.image_size = (height, height * 4 // 3)
    config.saliency.batch.update(num_images=num_images, users_per_image=users_per_image)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    dataset = generated.make_dataset(
        config, num_users=point["users"], num_images=point["images"], seed=0
    )
    ours = networks.Ours(config, dataset)
    case = "encoder/train"
    if point["stage"] == "saliency":
        case = f"saliency/train/{num_images}/{users_per_image}"
    constants = ours.stage(point["stage"], config).constants
    num_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(constants))
    run, rates = ours.call(case), []
    examples = ours.examples(case)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(rates) < 3:
        start = time.perf_counter()
        run(1)
        rates.append(examples / (time.perf_counter() - start))
    return point | {
        "seen_users": len(ours.splits.seen_users),
        "train_images": len(ours.splits.train_images),
        "fixations": point["users"] * point["images"] * generated.FIXATIONS_PER_VIEWING,
        "examples_per_second": summarize(rates),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "bytes_before": before,
        "bytes_on_device": num_bytes,
        "pixel_bytes": 3 * point["images"] * sum(map(math.prod, input_sizes(config).values())),
    }


def growth(points: list[dict[str, Any]], key: str) -> dict[str, float]:
    """Bytes for each further user or image of a curve, on the device and at the peak."""
    first, last = points[0], points[-1]
    number = last[key] - first[key]
    return {kind: (last[kind] - first[kind]) / number for kind in ("bytes_on_device", "peak_bytes")}


def as_markdown(curves: dict[str, list[dict[str, Any]]]) -> str:
    """A line for each point."""
    rows = []
    for name, points in curves.items():
        for point in points:
            varied = ", ".join(
                f"{key} {point[key]}"
                for key in BASE
                if len({str(other[key]) for other in points}) > 1
            )
            rows.append(
                [
                    name,
                    point["stage"],
                    varied,
                    with_quartiles(point["examples_per_second"], 0),
                    f"{point['bytes_on_device'] / 1e6:.0f}",
                    f"{point['peak_bytes'] / 1e6:.0f}",
                ]
            )
    header = ["curve", "stage", "point", "pairs or maps/s", "data on each device, MB", "peak, MB"]
    return markdown(header, rows)


def plot(curves: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Plots throughput above memory, a column for each curve."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    keys = {
        "users": "users",
        "images": "images",
        "height of the images": "height",
        "devices": "devices",
        "users per image": "users_per_image",
    }
    drawing, axes = plt.subplots(2, len(curves), figsize=(3 * len(curves), 5), squeeze=False)
    for column, (name, points) in enumerate(curves.items()):
        speed, memory = axes[:, column]
        for stage in sorted({point["stage"] for point in points}):
            chosen = [point for point in points if point["stage"] == stage]
            x = [point[keys[name]] for point in chosen]
            rates = [point["examples_per_second"] for point in chosen]
            median = [rate["median"] for rate in rates]
            spread = [
                [rate["median"] - rate["quartiles"][0] for rate in rates],
                [rate["quartiles"][1] - rate["median"] for rate in rates],
            ]
            speed.errorbar(x, median, spread, marker="o", capsize=2, label=stage)
            peaks = [point["peak_bytes"] / 1e9 for point in chosen]
            memory.plot(x, peaks, marker="o", label=f"{stage}: peak")
            data = [point["bytes_on_device"] / 1e9 for point in chosen]
            memory.plot(x, data, marker=".", linestyle="--", label=f"{stage}: data on a device")
        for axis in (speed, memory):
            axis.set_xscale("log")
            axis.set_xticks(sorted({point[keys[name]] for point in points}))
            axis.xaxis.set_major_formatter(ScalarFormatter())
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.set_ylim(bottom=0)
            axis.grid(alpha=0.3)
            axis.legend(fontsize=6)
        memory.set_xlabel(name)
    axes[0, 0].set_ylabel("pairs or maps a second")
    axes[1, 0].set_ylabel("memory, GB")
    drawing.tight_layout()
    drawing.savefig(path, dpi=70)


def main(arguments: list[str]) -> None:
    """Measures, prints the table and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--point", type=json.loads, help="internal: measure one point")
    parser.add_argument("--curves", nargs="+", default=list(CURVES), choices=list(CURVES))
    parser.add_argument("--seconds", type=float, default=4.0, help="of the steps of a point")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="file of the plot of the curves")
    parser.add_argument("--out", type=Path, default=RESULTS / "curves.json")
    options = parser.parse_args(arguments)
    if options.point:
        print(json.dumps(run_point(options.point, options.seconds)))
        return
    about, curves = machine(), {}
    for name in options.curves:
        curves[name] = []
        for change in CURVES[name]:
            command = [sys.executable, __file__, "--seconds", str(options.seconds)]
            command += ["--point", json.dumps(BASE | change)]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            curves[name].append(json.loads(answer.splitlines()[-1]))
    grown = {
        f"per {key[:-1]}": growth(curves[key], key) for key in ("users", "images") if key in curves
    }
    print(json.dumps(about))
    print(as_markdown(curves))
    print(json.dumps(grown))
    report = {
        "machine": about,
        "versions": versions("jax", "jaxlib", "flax", "optax", "numpy"),
        "curves": curves,
        "growth": grown,
    }
    write_report(options.out, report)
    if options.plot:
        plot(curves, options.plot)


if __name__ == "__main__":
    main(sys.argv[1:])
