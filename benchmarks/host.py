"""Costs of a training besides its steps: `python benchmarks/host.py`.

* The share of the host in a step: the loop, its logging and its dispatches. The loop and its bare
  steps run on very small networks, whose arithmetic is negligible. The share is the time that the
  loop adds to these steps, plus a dispatch, divided by the time of a real step.
* The cost of an asynchronous save, in steps: steps with a save and without, alternating.
* The time to the first step, with an empty and with a filled compilation cache, in new processes.
"""

import before_pyarrow  # noqa: F401

# isort: split

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from measuring import (
    HERE,
    RESULTS,
    machine,
    markdown,
    summarize,
    take_turns,
    versions,
    with_quartiles,
    write_report,
)
from ml_collections import ConfigDict

sys.path.insert(0, str(HERE.parent))  # configs build on each other.

import generated
import networks

from gazejax.config.derived import batch_divisor
from gazejax.configs import osie_maps
from gazejax.runtime.devices import replicated
from gazejax.training.devices import configure_host_devices
from gazejax.training.loop import TrainingOptions, train
from gazejax.training.step import init_state, make_train_step
from gazejax.workdir import checkpoints

CASES = {"encoder": "encoder/train", "saliency": "saliency/train/8/8"}


def make_config(*, is_small: bool) -> ConfigDict:
    """configs/osie_maps.py, or the same config with as many but very small arrays."""
    config = osie_maps.get_config()
    config.split.test_rule = "hash"
    if is_small:
        config.encoder.image_size = (16, 16)
        config.encoder.model.filters = (8, 8, 8, 8)
        config.saliency.update(image_size=(16, 16), map_size=(4, 4))
        config.saliency.model.update(trunk_filters=(8, 8, 8, 8), decoder_filters=(8, 8, 8))
    return config


def make_side(config: ConfigDict) -> networks.Ours:
    """Our side on generated data."""
    sizes = {"num_users": networks.NUM_USERS, "num_images": networks.NUM_IMAGES}
    return networks.Ours(config, generated.make_dataset(config, **sizes, seed=0))


def loop_seconds(ours: networks.Ours, name: str, num_windows: int) -> list[float]:
    """Seconds of a step in the training loop, for each logging window except the first."""
    config = ours.config.copy_and_resolve_references()
    config[name].num_steps = (num_windows + 1) * config.training.log_every
    stage = ours.stage(name, config)
    options = TrainingOptions(
        seed=config.seed,
        steps_per_dispatch=config.training.steps_per_dispatch,
        log_every=config.training.log_every,
        max_consecutive_nonfinite=config.training.max_consecutive_nonfinite,
        checkpoint_every=config[name].num_steps,
        checkpoints_kept=config.checkpoint.keep,
        stream=config.data.stream,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(stage, options, Path(folder), metadata={}, devices=ours.devices)
        lines = (Path(folder) / name / "metrics.jsonl").read_text().splitlines()[1:]
    return [stage.examples_per_step / json.loads(line)["examples_per_second"] for line in lines]


def measure_host(ours: networks.Ours, small: networks.Ours, rounds: int) -> dict[str, Any]:
    """The share of the host in a step, for each stage."""
    found = {}
    for name, case in CASES.items():
        sides = {
            "step": functools.partial(_seconds, ours.call(case), 3),
            "small_step": functools.partial(_seconds, small.call(case), 20),
            "dispatch": make_dispatch(small, name, 20),
        }
        seconds = take_turns(sides, rounds)
        seconds["loop"] = loop_seconds(small, name, num_windows=5)
        step, small_step, dispatch, of_loop = (float(np.median(of)) for of in seconds.values())
        found[name] = {
            f"{what}_ms": summarize(np.multiply(of, 1e3)) for what, of in seconds.items()
        }
        found[name]["host_ms"] = 1e3 * (max(of_loop - small_step, 0.0) + dispatch)
        found[name]["share"] = found[name]["host_ms"] / (1e3 * step)
    return found


def _seconds(run: Any, times: int) -> float:
    start = time.perf_counter()
    run(times)
    return (time.perf_counter() - start) / times


def make_dispatch(ours: networks.Ours, name: str, times: int) -> Callable[[], float]:
    """Compiles a step; returns a function that measures its dispatch on an idle device."""
    stage = ours.stage(name, ours.config)
    step = make_train_step(stage.loss, stage.optimizer, devices=ours.devices, steps_per_dispatch=1)
    state = init_state(stage.network.init, stage.optimizer, ours.config.seed)
    kept = {"state": jax.device_put(state, replicated(ours.devices))}

    def seconds() -> float:
        taken = []
        for _ in range(times):
            start = time.perf_counter()
            kept["state"], metrics = step(kept["state"], stage.constants, None)
            taken.append(time.perf_counter() - start)
            jax.block_until_ready((kept["state"], metrics))
        return float(np.median(taken))

    return seconds


def measure_save(ours: networks.Ours, rounds: int, num_steps: int) -> dict[str, Any]:
    """Cost of a save in the background of steps, of stage 2."""
    stage = ours.stage("saliency", ours.config)
    step = make_train_step(stage.loss, stage.optimizer, devices=ours.devices, steps_per_dispatch=1)
    state = init_state(stage.network.init, stage.optimizer, ours.config.seed)
    kept = {"state": jax.device_put(state, replicated(ours.devices)), "number": 0}

    def advance() -> None:
        for _ in range(num_steps):
            kept["state"], metrics = step(kept["state"], stage.constants, None)
            jax.block_until_ready(metrics)

    with (
        tempfile.TemporaryDirectory() as folder,
        checkpoints.open_for_saving(Path(folder), keep=2) as saver,
    ):

        def without() -> float:
            start = time.perf_counter()
            advance()
            return time.perf_counter() - start

        def with_save() -> float:
            start = time.perf_counter()
            kept["number"] += 1
            progress = kept["state"]._asdict()
            trees = {"params": progress.pop("params"), "progress": progress}
            saver.save(kept["number"], trees, {})
            kept["return_seconds"] = time.perf_counter() - start
            advance()
            saver.wait()
            return time.perf_counter() - start

        seconds = take_turns({"without": without, "with": with_save}, rounds)
    one_step = float(np.median(seconds["without"])) / num_steps
    extra = np.subtract(seconds["with"], seconds["without"])
    return {
        "steps": summarize(extra / one_step),
        "seconds": summarize(extra),
        "seconds_until_it_returns": kept["return_seconds"],
        "step_seconds": one_step,
    }


def first_step(name: str, started: float) -> None:
    """In a new process: prints the seconds of the first step, and from the start to its end."""
    config = make_config(is_small=False)
    configure_host_devices(batch_divisor(config))
    ours = make_side(config)
    stage = ours.stage(name, config)
    step = make_train_step(stage.loss, stage.optimizer, devices=ours.devices, steps_per_dispatch=1)
    state = init_state(stage.network.init, stage.optimizer, config.seed)
    state = jax.device_put(state, replicated(ours.devices))
    before = time.time()
    jax.block_until_ready(step(state, stage.constants, None))
    print(json.dumps({"step": time.time() - before, "start": time.time() - started}))


def measure_first_step(rounds: int) -> dict[str, Any]:
    """Seconds of the first step and from the start to its end, with an empty and a filled cache."""
    found: dict[str, Any] = {}
    for name in CASES:
        seconds: dict[str, list[dict]] = {"empty": [], "filled": []}
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                cache = {
                    "JAX_COMPILATION_CACHE_DIR": folder,
                    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
                }
                for state in seconds:
                    command = [sys.executable, __file__, "--first-step", name, str(time.time())]
                    answer = subprocess.run(
                        command, check=True, capture_output=True, text=True, env=os.environ | cache
                    ).stdout
                    seconds[state].append(json.loads(answer.splitlines()[-1]))
        found[name] = {
            f"{state}: {what}": summarize([one[what] for one in all_seconds])
            for state, all_seconds in seconds.items()
            for what in ("step", "start")
        }
    return found


def main(arguments: list[str]) -> None:
    """Measures, prints the table and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--first-step", nargs=2, metavar=("STAGE", "STARTED"), help="internal")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--processes", type=int, default=3, help="of each first step")
    parser.add_argument("--out", type=Path, default=RESULTS / "host.json")
    options = parser.parse_args(arguments)
    if options.first_step:
        return first_step(options.first_step[0], float(options.first_step[1]))

    about = machine()
    configure_host_devices(batch_divisor(make_config(is_small=False)))
    ours, small = (make_side(make_config(is_small=is_small)) for is_small in (False, True))
    host = measure_host(ours, small, options.rounds)
    save = measure_save(ours, options.rounds, num_steps=4)
    first = measure_first_step(options.processes)
    rows = [
        [
            f"host's share of a step, {name}",
            f"{100 * row['share']:.1f} %: {row['host_ms']:.1f} of "
            f"{with_quartiles(row['step_ms'], 0)} ms",
        ]
        for name, row in host.items()
    ]
    rows.append(["asynchronous save", f"{with_quartiles(save['steps'], 2)} steps"])
    rows += [
        [
            f"first step, {name}, cache {state}",
            f"{with_quartiles(row[f'{state}: step'], 1)} s; after the start of the process "
            f"{with_quartiles(row[f'{state}: start'], 1)} s",
        ]
        for name, row in first.items()
        for state in ("empty", "filled")
    ]
    print(json.dumps(about))
    print(markdown(["cost", "measured"], rows))
    report = {
        "machine": about | {"host_devices": len(ours.devices)},
        "versions": versions("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"),
        "setting": {"rounds": options.rounds, "processes": options.processes},
        "host": host,
        "save": save,
        "first_step": first,
    }
    write_report(options.out, report)
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
