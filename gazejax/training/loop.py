"""Training from a config: the one loop that all stages share."""

import functools
import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import jax
import optax
from ml_collections import ConfigDict

from gazejax.data import reader
from gazejax.inputs.streaming import make_batch
from gazejax.runtime import distributed, preemption
from gazejax.runtime.devices import replicated
from gazejax.runtime.progress import track
from gazejax.training.log import MetricsLog
from gazejax.training.stage import Stage
from gazejax.training.step import TrainState, init_state, make_train_step
from gazejax.workdir import checkpoints
from gazejax.workdir.layout import checkpoint_folder, read_resources, write_resources


def train(
    stage: Stage,
    config: ConfigDict,
    workdir: Path,
    *,
    metadata: dict[str, Any],
    devices: list[jax.Device],
) -> None:
    """Trains a stage to its end, from its newest checkpoint if there is one.

    The batch of a step depends on (seed, step) alone, so a resumed training continues exactly. A
    signal to end saves after the step under way; see `interruption`.

    Args:
        stage: what to train.
        config: the validated config.
        workdir: the run's folder.
        metadata: what to save beside every checkpoint.
        devices: the devices to train on.

    Raises:
        FloatingPointError: if too many updates in a row were not finite.
        ValueError: if no checkpoint verifies.
        OSError: if a checkpoint cannot be saved; those before it are intact.
        InterruptedRunError: after a signal, once everything is saved.
    """
    train_step = make_train_step(
        stage.loss,
        stage.optimizer,
        devices=devices,
        steps_per_dispatch=config.training.steps_per_dispatch,
    )
    started = time.monotonic() - read_resources(workdir).get(stage.name, {}).get("seconds", 0.0)
    folder = checkpoint_folder(workdir, stage.name)
    sharding = replicated(devices)
    state = init_state(stage.network.init, stage.optimizer, config.seed)
    done, window, options = 0, [], config.checkpoint
    if checkpoints.latest_step(folder) is not None:
        done, trees = checkpoints.restore(folder, _as_trees(state), sharding)
        state, window = _from_trees(trees), checkpoints.read_metadata(folder)["window"]
        distributed.log(f"{stage.name}: resumed at step {done} of {stage.num_steps}")
    distributed.check_same("the step to go on from", done)
    if distributed.is_main_process():
        checkpoints.quarantine_damaged(folder)
    state = jax.device_put(distributed.broadcast_from_main(state), sharding)
    distributed.warm_up_collectives()
    curve = MetricsLog(workdir / stage.name / "metrics.jsonl", stage, config, len(devices), done)
    curve.window = window
    with (
        preemption.defer_signals(),
        checkpoints.open_for_saving(folder, keep=options.keep) as saver,
        _track(stage, done) as show,
    ):
        if stage.num_steps == 0 and checkpoints.latest_step(folder) is None:
            # An encoder that is not to learn is saved as it starts.
            saver.save(0, _as_trees(state), metadata | {"window": [], "metrics": {}})
        pending, are_several = None, distributed.is_distributed()
        batches = make_batches(stage, config, devices, start=done)
        while done < stage.num_steps:
            is_one_asked = are_several and preemption.stop_requested()
            state, metrics = train_step(state, stage.constants, next(batches), is_one_asked)
            is_told = pending is not None and bool(pending["stop_requested"])
            # Reading the step before lets the device work on this one meanwhile.
            if pending is not None:
                show(done, curve.add(pending))
            pending = metrics
            done += config.training.steps_per_dispatch
            # Several processes stop after the step that comes when all were told.
            is_asked = is_told if are_several else preemption.stop_requested()
            if is_asked or done % options.every == 0 or done >= stage.num_steps:
                show(done, curve.add(pending))
                pending = None
                _check_finite(stage.name, done, state.params)
                saver.save(
                    done,
                    _as_trees(state),
                    metadata
                    | {
                        "window": list(curve.window),  # Written later, as it is now.
                        "metrics": {"loss": curve.loss()},
                    },
                )
                if distributed.is_main_process():
                    write_resources(workdir, stage.name, seconds=time.monotonic() - started)
            if is_asked and done < stage.num_steps:
                saver.wait()
                raise preemption.InterruptedRunError(
                    f"{stage.name} is saved at step {done} of {stage.num_steps}"
                )
    if distributed.any_process(preemption.stop_requested()):
        raise preemption.InterruptedRunError(f"{stage.name} is finished and saved")


def make_batches(
    stage: Stage, config: ConfigDict, devices: list[jax.Device], *, start: int
) -> Iterator[Any]:
    """What each dispatch of a training is given, from a step on; None where it needs nothing."""
    if stage.stream is None:
        return itertools.repeat(None)
    number = config.training.steps_per_dispatch
    return reader.prefetch(
        functools.partial(
            make_batch, stage.stream, num_steps=number, seed=config.seed, devices=devices
        ),
        range(start, stage.num_steps, number),
        **config.data.stream,
    )


def _track(stage: Stage, done: int) -> AbstractContextManager[Callable[[int, str], None]]:
    if distributed.is_main_process():
        return track(stage.name, stage.num_steps, start=done)
    return nullcontext(lambda _done, _text: None)


def _check_finite(name: str, step: int, params: Any) -> None:
    if not math.isfinite(optax.tree.norm(params)):
        raise FloatingPointError(
            f"{name}: a parameter is not finite at step {step}; the last checkpoint is intact"
        )


def _as_trees(state: TrainState) -> dict[str, Any]:
    progress = state._asdict()
    return {"params": progress.pop("params"), "progress": progress}


def _from_trees(trees: dict[str, Any]) -> TrainState:
    return TrainState(params=trees["params"], **trees["progress"])
