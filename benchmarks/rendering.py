"""Speed of rendering maps, compared with `scipy.ndimage`: `python benchmarks/rendering.py`.

Both sides run on the same core, alternating, and CPU time is measured. Our side is
`gazejax.inputs.maps.scanpath_maps` under `jax.jit`. The other side counts fixations in cells and
filters each map with `gaussian_filter`, in float32, as saliency code usually does. It truncates the
Gaussian at four standard deviations and moves a fixation to the center of its cell; our side does
neither.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import (
    RESULTS,
    machine,
    markdown,
    summarize,
    take_turns,
    versions,
    with_quartiles,
    write_report,
)
from scipy.ndimage import gaussian_filter

SIGMA_FRAC = 0.03  # Of the image width: configs/osie.py.


def scipy_maps(xy_frac: np.ndarray, map_size: tuple[int, int]) -> np.ndarray:
    """Maps [map, height, width] of fixations [map, fixation, 2]; each sums to 1."""
    height, width = map_size
    maps = np.zeros((len(xy_frac), height, width), np.float32)
    for number, points in enumerate(xy_frac):
        column, row = (points * [width, height]).astype(int).T
        np.add.at(maps[number], (row, column), 1)
        maps[number] = gaussian_filter(maps[number], SIGMA_FRAC * width, mode="constant")
        maps[number] /= maps[number].sum()
    return maps


def main(arguments: list[str]) -> None:
    """Measures, prints the table and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--maps", type=int, default=60, help="default: a batch of stage 1")
    parser.add_argument("--fixations", type=int, default=10)
    parser.add_argument("--map-sizes", nargs="+", default=["36x48", "96x128"])
    parser.add_argument("--out", type=Path, default=RESULTS / "rendering.json")
    options = parser.parse_args(arguments)

    about = machine() | {"cores_used": 1}
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # Before JAX starts its threads.
    import jax

    from gazejax.inputs.maps import MapSpec, scanpath_maps
    from gazejax.types import Scanpaths

    xy_frac = np.random.default_rng(0).random((options.maps, options.fixations, 2), np.float32)
    shape = xy_frac.shape[:2]
    scanpaths, aspect = jax.device_put(
        (
            Scanpaths(xy_frac, np.zeros(shape, np.float32), np.ones(shape, bool)),
            np.full(options.maps, 4 / 3, np.float32),
        )
    )
    rows: list[dict[str, Any]] = []
    for name in options.map_sizes:
        height, width = map(int, name.split("x"))

        @jax.jit
        def render(
            scanpaths: Scanpaths, aspect: jax.Array, size: tuple[int, int] = (height, width)
        ) -> jax.Array:
            return scanpath_maps(scanpaths, aspect, MapSpec(size, SIGMA_FRAC, options.fixations))

        def ours(render: Any = render) -> float:
            start = time.process_time()
            for _ in range(20):
                jax.block_until_ready(render(scanpaths, aspect))
            return (time.process_time() - start) / 20

        def theirs(size: tuple[int, int] = (height, width)) -> float:
            start = time.process_time()
            scipy_maps(xy_frac, size)
            return time.process_time() - start

        measured = take_turns({"gazejax": ours, "scipy": theirs}, options.rounds)
        row: dict[str, Any] = {"map_size": name}
        for side, seconds in measured.items():
            row[side] = summarize([options.maps / one for one in seconds])
        row["ratio"] = row["gazejax"]["median"] / row["scipy"]["median"]
        pair = [np.asarray(render(scanpaths, aspect)), scipy_maps(xy_frac, (height, width))]
        flat = [maps.reshape(len(maps), -1) for maps in pair]
        row["mean_correlation"] = float(
            np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(*flat, strict=True)])
        )
        rows.append(row)
    header = ["map", "gazejax, maps/s", "scipy.ndimage, maps/s", "ratio", "mean correlation"]
    table = [
        [
            row["map_size"],
            *(with_quartiles(row[side], 0) for side in ("gazejax", "scipy")),
            f"{row['ratio']:.1f}",
            f"{row['mean_correlation']:.4f}",
        ]
        for row in rows
    ]
    print(json.dumps(about))
    print(markdown(header, table))
    report = {
        "machine": about,
        "versions": versions("jax", "jaxlib", "scipy", "numpy"),
        "setting": {"maps": options.maps, "fixations": options.fixations, "rounds": options.rounds},
        "rows": rows,
    }
    write_report(options.out, report)


if __name__ == "__main__":
    main(sys.argv[1:])
