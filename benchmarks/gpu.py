"""Training of both stages on an accelerator, compared with PyTorch on the same card.

    python benchmarks/gpu.py                                       # our side only
    python benchmarks/gpu.py --peer python                         # and a Python with PyTorch

The benchmark trains every combination of stage, batch, image size and precision. Our side trains as
the product does, with the data on the device and several steps per dispatch. PyTorch uses
`torch.compile`. The sides alternate. The table shows the speed, the arithmetic as a share of the
peak of matrix products, and the memory traffic as a share of the bandwidth. A large matrix product
and a copy measure both limits in the same run. FLOPs are counted in the program before
optimization, bytes after it. `--tiny` runs one small combination of each stage, on any device.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Leaves memory of the card for the other side; must be set before JAX starts.
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.45")

import jax
import jax.numpy as jnp
import numpy as np
from measuring import (
    HERE,
    RESULTS,
    Process,
    machine,
    markdown,
    seconds_of,
    summarize,
    take_turns,
    versions,
    write_report,
)
from ml_collections import ConfigDict

sys.path.insert(0, str(HERE.parent))  # configs build on each other.

import generated
import networks

from gazejax.config.validation import validate
from gazejax.configs import osie_maps
from gazejax.runtime.devices import DEVICE_AXIS, replicated
from gazejax.training.step import init_state, make_train_step

IMAGES_PER_USER = 8  # Of stage 1.
USERS_PER_IMAGE = 8  # Of stage 2.
STORED_USERS = 16  # The maps of more users would fill PyTorch's memory.
DTYPES = ("float32", "bfloat16")


def make_config(
    stage: str, batch: int, image_size: tuple[int, int], dtype: str
) -> ConfigDict | None:
    """configs/osie_maps.py at a batch, size and precision; None if the config has no precision."""
    config = osie_maps.get_config()
    config.split.test_rule = "hash"
    if "compute_dtype" in config.training:
        config.training.compute_dtype = dtype
    elif dtype != "float32":
        return None
    if stage == "encoder":
        config.encoder.image_size = image_size
        config.encoder.batch.update(
            num_users=batch // IMAGES_PER_USER, images_per_user=IMAGES_PER_USER
        )
    else:
        config.saliency.image_size = image_size
        config.saliency.map_size = tuple(side // 4 for side in image_size)
        config.saliency.batch.update(
            num_images=batch // USERS_PER_IMAGE, users_per_image=USERS_PER_IMAGE
        )
    validate(config)
    return config


def limits(size: int, num_bytes: int) -> dict[str, float]:
    """FLOP/s of a matrix product in either precision, and bytes/s of a copy."""

    def best(call: Callable[[], Any]) -> float:
        call()
        return min(seconds_of(call, 5) for _ in range(3))

    found = {}
    for dtype in DTYPES:
        matrix = jnp.ones((size, size), dtype)
        product = jax.jit(jnp.matmul)
        seconds = best(lambda: jax.block_until_ready(product(matrix, matrix)))  # noqa: B023
        found[dtype] = 2 * size**3 / seconds
    array = jnp.ones(num_bytes // 4, jnp.float32)
    copy = jax.jit(jnp.negative)
    found["bytes"] = 2 * array.nbytes / best(lambda: jax.block_until_ready(copy(array)))
    return found


class Combination:
    """A stage at a batch, size and precision, ready to be timed."""

    def __init__(self, config: ConfigDict, stage: str, steps_per_dispatch: int, num_images: int):
        # A third of the users is unseen.
        seen = max(config.encoder.batch.num_users, USERS_PER_IMAGE)
        dataset = generated.make_dataset(
            config, num_users=seen * 3 // 2 + 2, num_images=num_images, seed=0
        )
        self.ours = networks.Ours(config, dataset)
        self.stage = self.ours.stage(stage, config)
        self.steps_per_dispatch = steps_per_dispatch
        self.examples = self.stage.examples_per_step
        step = make_train_step(
            self.stage.loss,
            self.stage.optimizer,
            devices=self.ours.devices,
            steps_per_dispatch=steps_per_dispatch,
        )
        state = init_state(self.stage.network.init, self.stage.optimizer, config.seed)
        self.costs = self._costs(state.params)
        kept = {"state": jax.device_put(state, replicated(self.ours.devices))}

        def run(times: int) -> None:
            for _ in range(times):
                kept["state"], metrics = step(kept["state"], self.stage.constants, None)
            jax.block_until_ready(metrics)

        run(1)
        self.run = run

    def _costs(self, params: Any) -> dict[str, float]:
        """FLOPs and bytes of loss and gradient for one example, as XLA counts them."""
        loss = jax.value_and_grad(self.stage.loss, has_aux=True)
        devices = self.ours.devices

        def of_device(params: Any, constants: Any, device: Any) -> Any:
            return loss(params, constants, None, jax.random.key(0), device)

        mapped = {"axis_name": DEVICE_AXIS, "in_axes": (None, None, 0)}
        arguments = params, self.stage.constants, np.arange(len(devices))
        on_devices = jax.pmap(of_device, devices=devices, **mapped).lower(*arguments)
        # Before optimization, XLA counts nothing in a program for a GPU. The same program for a CPU
        # has as many FLOPs.
        shapes = jax.tree.map(
            lambda value: jax.ShapeDtypeStruct(jnp.shape(value), jnp.result_type(value)), arguments
        )
        with jax.default_device(jax.devices("cpu")[0]):
            on_cpu = jax.jit(jax.vmap(of_device, **mapped)).lower(*shapes)
        return {
            "flops": on_cpu.cost_analysis()["flops"] / self.examples,
            "bytes": on_devices.compile().cost_analysis()["bytes accessed"]
            / (self.examples / len(devices)),
        }

    def seconds(self, times: int) -> float:
        """Seconds of a step."""
        return seconds_of(lambda: self.run(times), 1) / times / self.steps_per_dispatch


def start_peer(python: str, combination: Combination, folder: str, dtype: str) -> Process:
    """PyTorch with the same network and batch, compiled."""
    ours = combination.ours
    _, arrays = ours.check()
    settings = ours.settings()
    ours.splits = ours.splits._replace(seen_users=ours.splits.seen_users[:STORED_USERS])
    arrays |= ours.for_the_peer() | {"settings": np.array(json.dumps(settings))}
    path = Path(folder) / "data.npz"
    np.savez(path, **arrays)
    device = "cuda" if jax.default_backend() == "gpu" else "cpu"
    return Process(python, HERE / "networks_peer.py", path, "compiled", device, dtype)


def measure(
    options: argparse.Namespace, stage: str, batch: int, size: tuple[int, int], dtype: str
) -> dict[str, Any] | None:
    """A row of the table; None if the product has no such precision."""
    config = make_config(stage, batch, size, dtype)
    if config is None:
        return None
    combination = Combination(config, stage, options.steps_per_dispatch, options.images)
    combination.seconds(1)
    times = max(1, round(options.seconds / max(combination.seconds(2) / 2, 1e-6)))
    sides = {"gazejax": lambda: combination.examples / combination.seconds(times)}
    peer = None
    with tempfile.TemporaryDirectory() as folder:
        try:
            if options.peer:
                peer = start_peer(options.peer, combination, folder, dtype)
                case = "encoder/train"
                if stage == "saliency":
                    case = f"saliency/train/shared/{batch // USERS_PER_IMAGE}/{USERS_PER_IMAGE}"
                for _ in range(3):  # Compiles.
                    peer.ask(case, 3)
                calls = max(1, round(options.seconds / peer.ask(case, 3)["seconds"]))
                sides["pytorch"] = lambda: batch / peer.ask(case, calls)["seconds"]
            rates = take_turns(sides, options.rounds)
        finally:
            if peer:
                peer.close()
    row = {"stage": stage, "batch": batch, "size": list(size), "dtype": dtype}
    row |= {side: summarize(values) for side, values in rates.items()}
    row |= {f"{kind}_per_example": cost for kind, cost in combination.costs.items()}
    if peer:
        row["ratio"] = row["gazejax"]["median"] / row["pytorch"]["median"]
    return row


def as_markdown(rows: list[dict[str, Any]], peaks: dict[str, float]) -> str:
    """The rows as a Markdown table, with shares of the measured limits."""
    lines = []
    for row in rows:
        rate = row["gazejax"]["median"]
        flops, num_bytes = (rate * row[f"{kind}_per_example"] for kind in ("flops", "bytes"))
        peer = [f"{row['pytorch']['median']:,.0f}", f"{row['ratio']:.2f}"] if "ratio" in row else []
        lines.append(
            [
                row["stage"],
                str(row["batch"]),
                " x ".join(map(str, row["size"])),
                row["dtype"],
                f"{rate:,.0f}",
                f"{row['flops_per_example'] / 1e6:.0f}",
                f"{100 * flops / peaks[row['dtype']]:.0f} %",
                f"{row['bytes_per_example'] / 1e6:.0f}",
                f"{100 * num_bytes / peaks['bytes']:.0f} %",
                *(peer or ["", ""]),
            ]
        )
    header = ["stage", "batch", "size", "dtype", "pairs or maps/s", "MFLOP each", "of the peak"]
    header += ["MB each", "of the bandwidth", "PyTorch/s", "ratio"]
    return markdown(header, lines)


def main(arguments: list[str]) -> None:
    """Measures, prints the table and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--peer", help="a Python that has PyTorch")
    parser.add_argument("--stages", nargs="+", default=["encoder", "saliency"])
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 512, 2048])
    parser.add_argument("--sizes", nargs="+", default=["96x128", "192x256"], help="height x width")
    parser.add_argument("--dtypes", nargs="+", default=list(DTYPES), choices=DTYPES)
    parser.add_argument("--steps-per-dispatch", type=int, default=10)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one turn of one side")
    parser.add_argument("--tiny", action="store_true", help="one small combination of each stage")
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.json")
    options = parser.parse_args(arguments)
    if options.tiny:
        options.batches, options.sizes, options.images = [16], ["32x48"], 80
        options.rounds, options.seconds, options.steps_per_dispatch = 2, 0.01, 2

    device = jax.local_devices()[0]
    about = machine() | {"device": device.device_kind, "platform": device.platform}
    peaks = limits(256, 2**20) if options.tiny else limits(8192, 2**30)
    print(json.dumps(about))
    products = [f"{peaks[name] / 1e12:.2f} TFLOP/s {name}" for name in DTYPES]
    print(f"measured limits: {', '.join(products)}, {peaks['bytes'] / 1e9:.0f} GB/s")
    rows, without = [], []
    for stage in options.stages:
        for size in options.sizes:
            for batch in options.batches:
                for dtype in options.dtypes:
                    shape = tuple(map(int, size.split("x")))
                    row = measure(options, stage, batch, shape, dtype)
                    if row is None:
                        without.append(f"{stage} {size} {batch} {dtype}")
                        continue
                    rows.append(row)
                    print(as_markdown([row], peaks), flush=True)
                    jax.clear_caches()
    print(f"\n{as_markdown(rows, peaks)}")
    if without:
        print(f"not measured, the config has no training.compute_dtype: {'; '.join(without)}")
    report = {
        "machine": about,
        "versions": versions("jax", "jaxlib", "flax", "optax", "numpy"),
        "limits": peaks,
        "steps_per_dispatch": options.steps_per_dispatch,
        "rows": rows,
        "not_measured": without,
    }
    write_report(options.out, report)


if __name__ == "__main__":
    main(sys.argv[1:])
