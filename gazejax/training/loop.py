"""The one loop that all stages share."""

import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from gazejax.inputs.streaming import make_batch, prefetch
from gazejax.runtime import distributed, preemption
from gazejax.runtime.devices import replicated
from gazejax.runtime.progress import track
from gazejax.training.log import MetricsLog
from gazejax.training.stage import Stage
from gazejax.training.step import TrainState, init_state, make_train_step
from gazejax.workdir import checkpoints
from gazejax.workdir.layout import checkpoint_folder, read_resources, write_resources


class TrainingOptions(NamedTuple):
    """How a stage is trained, whatever it is.

    Attributes:
        seed: of parameters and batches.
        steps_per_dispatch: steps that run before control returns to the host.
        log_every: steps between two lines of metrics.jsonl.
        max_consecutive_nonfinite: skipped updates in a row, before training stops.
        checkpoint_every: steps between two checkpoints.
        checkpoints_kept: how many of the newest to keep.
        stream: threads and batches of `streaming.prefetch`, for images that do not fit a device.
    """

    seed: int
    steps_per_dispatch: int
    log_every: int
    max_consecutive_nonfinite: int
    checkpoint_every: int
    checkpoints_kept: int
    stream: Mapping[str, int]


class StopRequest:
    """Whether training is to stop after the step under way, on the request of any process.

    One process stops at once. Several processes stop at the same step: the step carries the
    requests of all, and its metrics say whether there was one.
    """

    def __init__(self) -> None:
        self._is_distributed = distributed.is_distributed()

    def of_this_process(self) -> bool:
        """What this process gives to the next step."""
        return self._is_distributed and preemption.stop_requested()

    def asked(self, metrics: Mapping[str, jax.Array] | None) -> bool:
        """Whether to stop now.

        Args:
            metrics: of the step before the one under way; None if there was none.
        """
        if self._is_distributed:
            return metrics is not None and bool(metrics["stop_requested"])
        return preemption.stop_requested()


def train(
    stage: Stage,
    options: TrainingOptions,
    workdir: Path,
    *,
    metadata: dict[str, Any],
    devices: list[jax.Device],
) -> None:
    """Trains a stage to its end, from its newest checkpoint if there is one.

    The batch of a step depends on (seed, step) alone, so a resumed training continues exactly.
    After a signal, the loop finishes the step under way, saves and stops; see `preemption`.

    Args:
        stage: what to train.
        options: how to train.
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
        steps_per_dispatch=options.steps_per_dispatch,
    )
    started = time.monotonic() - read_resources(workdir).get(stage.name, {}).get("seconds", 0.0)
    folder = checkpoint_folder(workdir, stage.name)
    state, done, window = _start(stage, options.seed, folder, devices)
    log = MetricsLog(
        workdir / stage.name / "metrics.jsonl",
        stage,
        log_every=options.log_every,
        max_consecutive_nonfinite=options.max_consecutive_nonfinite,
        num_devices=len(devices),
        done=done,
    )
    log.window = window
    with (
        preemption.defer_signals(),
        checkpoints.open_for_saving(folder, keep=options.checkpoints_kept) as saver,
        _track(stage, done) as show,
    ):
        if stage.num_steps == 0 and checkpoints.latest_step(folder) is None:
            # An encoder that is not to learn is saved as it starts.
            saver.save(0, _as_trees(state), metadata | {"window": [], "metrics": {}})
        stop, pending = StopRequest(), None
        batches = make_batches(stage, options, devices, start=done)
        while done < stage.num_steps:
            state, metrics = train_step(
                state, stage.constants, next(batches), stop.of_this_process()
            )
            previous, pending = pending, metrics
            # Reading the step before lets the device work on this one meanwhile.
            if previous is not None:
                show(done, log.add(previous))
            done += options.steps_per_dispatch
            is_last = stop.asked(previous)
            if is_last or done % options.checkpoint_every == 0 or done >= stage.num_steps:
                show(done, log.add(pending))
                pending = None
                _check_finite(stage.name, done, state.params)
                progress = {"window": list(log.window), "metrics": {"loss": log.loss()}}
                saver.save(done, _as_trees(state), metadata | progress)
                if distributed.is_main_process():
                    write_resources(workdir, stage.name, seconds=time.monotonic() - started)
            if is_last and done < stage.num_steps:
                saver.wait()
                raise preemption.InterruptedRunError(
                    f"{stage.name} is saved at step {done} of {stage.num_steps}"
                )
    if distributed.any_process(preemption.stop_requested()):
        raise preemption.InterruptedRunError(f"{stage.name} is finished and saved")


def _start(
    stage: Stage, seed: int, folder: Path, devices: list[jax.Device]
) -> tuple[TrainState, int, list[dict[str, float]]]:
    """State, step and window of the log to go on from: of the newest checkpoint, or of the seed."""
    sharding = replicated(devices)
    state = init_state(stage.network.init, stage.optimizer, seed)
    done, window = 0, []
    if checkpoints.latest_step(folder) is not None:
        done, trees, metadata = checkpoints.restore(folder, lambda _: _as_trees(state), sharding)
        state, window = _from_trees(trees), metadata["window"]
        distributed.log(f"{stage.name}: resumed at step {done} of {stage.num_steps}")
    distributed.check_same("the step to go on from", done)
    if distributed.is_main_process():
        checkpoints.quarantine_damaged(folder)
    state = jax.device_put(distributed.broadcast_from_main(state), sharding)
    distributed.warm_up_collectives()
    return state, done, window


def make_batches(
    stage: Stage, options: TrainingOptions, devices: list[jax.Device], *, start: int
) -> Iterator[Any]:
    """What each dispatch of a training is given, from a step on; None where it needs nothing."""
    if stage.stream is None:
        return itertools.repeat(None)
    number = options.steps_per_dispatch
    return prefetch(
        functools.partial(
            make_batch, stage.stream, num_steps=number, seed=options.seed, devices=devices
        ),
        range(start, stage.num_steps, number),
        **options.stream,
    )


def _track(stage: Stage, done: int) -> AbstractContextManager[Callable[[int, str], None]]:
    if distributed.is_main_process():
        return track(stage.name, stage.num_steps, start=done)
    return nullcontext(lambda _done, _text: None)


def _check_finite(name: str, step: int, params: Any) -> None:
    leaves = jax.tree.leaves(jax.device_get(params))
    if not all(np.isfinite(leaf).all() for leaf in leaves):
        raise FloatingPointError(
            f"{name}: a parameter is not finite at step {step}; the last checkpoint is intact"
        )


def _as_trees(state: TrainState) -> dict[str, Any]:
    progress = state._asdict()
    return {"params": progress.pop("params"), "progress": progress}


def _from_trees(trees: dict[str, Any]) -> TrainState:
    return TrainState(params=trees["params"], **trees["progress"])
