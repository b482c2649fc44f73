"""Training from a config: the one loop that all stages share."""

import functools
import itertools
import json
import math
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from gazejax import checkpoints, data, interruption, processes, stages, steps
from gazejax.arrays import Dataset
from gazejax.config import fingerprint, validate
from gazejax.progress import track
from gazejax.splits import Splits
from gazejax.stages import INPUTS, Stage
from gazejax.workdir import (
    checkpoint_folder,
    fold_configs,
    load_basis,
    load_params,
    load_told_universals,
    named_splits,
    naming,
    read_resources,
    refuse_another_encoder,
    refuse_another_experiment,
    refuse_other_folds,
    trained_steps,
    users_left_out,
    write_config,
    write_description,
    write_resources,
    write_text,
)


def configure_host_devices(config: ConfigDict) -> None:
    """Makes JAX split a CPU into several devices; has no effect on accelerators.

    As many as the largest number that divides the batches of all stages and does not exceed the
    cores. Does nothing once JAX has started, or where the user has set a number.
    """
    is_set = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if is_set or "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    try:
        jax.config.update("jax_num_cpu_devices", _devices_to_share(config, cores))
    except RuntimeError:  # JAX has started: its devices are what they are.
        return


def choose_devices(config: ConfigDict) -> list[jax.Device]:
    """As many devices of every process as can share the batches of all stages evenly.

    Raises:
        ValueError: if the processes have different numbers of devices, or are too many.
    """
    every = [jax.local_devices(number) for number in range(jax.process_count())]
    numbers = [len(devices) for devices in every]
    if len(set(numbers)) > 1:
        raise ValueError(f"the processes have {numbers} devices; allowed: equally many each")
    number = _devices_to_share(config, numbers[0], num_processes=len(every))
    if number < numbers[0]:
        processes.say(
            f"using {number} of {numbers[0]} devices: more cannot share the batches of "
            "config.encoder.sampling, config.saliency.sampling and config.universal evenly"
        )
    return [device for devices in every for device in devices[:number]]


def train_folds(config: ConfigDict, workdir: Path) -> None:
    """Trains what is left of the stages that the config asks for, on every fold it asks for.

    The caller holds `workdir.locked`.

    Raises:
        ValueError: if the config is impossible, or the workdir holds another experiment.
        FileNotFoundError: if the data set is not prepared, or stage 1 is missing for stage 2.
        FloatingPointError: if too many updates in a row were not finite.
    """
    validate(config)
    dataset = stages.read_dataset(config)
    folds = fold_configs(config, workdir)
    refuse_other_folds(workdir, config)
    for folder, fold_config in folds.items():
        of_fold = stages.of_fold(fold_config, dataset)
        splits = stages.make_config_splits(fold_config, of_fold)
        refuse_too_little_to_compare(splits, of_fold)
        stages.refuse_too_small(fold_config, of_fold, splits)
        refuse_another_experiment(folder, fold_config, splits, of_fold)
    _say_who_is_left_out(config, splits, dataset)
    _say_who_looked_alone(config, splits, of_fold)
    # All that could be refused was: from here on, things are compiled and written.
    dataset = stages.add_features(config, dataset, load_basis(workdir))
    if len(folds) > 1 and processes.is_first():
        write_config(workdir, config)
    for folder, fold_config in folds.items():
        if len(folds) > 1:
            processes.say(f"training fold {fold_config.split.fold} of {len(folds)}")
        _train_fold(fold_config, folder, stages.of_fold(fold_config, dataset))


def _train_fold(config: ConfigDict, workdir: Path, dataset: Dataset) -> None:
    splits = stages.make_config_splits(config, dataset)
    devices = choose_devices(config)
    of_group = {name: stages.make_viewings(name, config, dataset, splits) for name in INPUTS}
    if processes.is_first():
        write_description(workdir, config, splits, dataset, of_group)
    told = None
    for name in stages.stages_to_train(config):
        viewings = of_group  # What stage `universal` is to predict.
        if name != "universal":
            told = told or _told_viewings(config, workdir, dataset, splits, of_group, devices)
            viewings = told
        encoder_params = None
        if name == "saliency":
            _refuse_unfinished_encoder(workdir, config)
            encoder_params = load_params(workdir, "encoder")
            if trained_steps(workdir, "saliency") is not None:
                refuse_another_encoder(workdir, encoder_params)
        stage = stages.make_stage(
            name,
            config,
            viewings,
            basis=dataset.basis,
            encoder_params=encoder_params,
            devices=devices,
        )
        metadata = {
            "stage": name,
            "config": config.to_dict(),
            "splits": named_splits(splits, dataset),
            "data_digest": dataset.digest,
            "encoder_digest": None
            if encoder_params is None
            else checkpoints.digest(encoder_params),
        }
        what_must_agree = f"{fingerprint(config)} {dataset.digest} {stage.stream is None}"
        processes.refuse_different(
            "config, data set or residency: checksum", zlib.crc32(what_must_agree.encode())
        )
        train(stage, config, workdir, metadata=metadata, devices=devices)


def _told_viewings(
    config: ConfigDict,
    workdir: Path,
    dataset: Dataset,
    splits: Splits,
    of_group: dict[str, stages.Viewings],
    devices: list[jax.Device],
) -> dict[str, stages.Viewings]:
    """What all stages but `universal` read."""
    universal = load_told_universals(workdir, config, of_group, devices)
    if universal is None:
        return of_group
    return {key: stages.make_viewings(key, config, dataset, splits, universal) for key in INPUTS}


def _say_who_is_left_out(config: ConfigDict, splits: Splits, dataset: Dataset) -> None:
    left_out = users_left_out(splits, dataset)
    if left_out:
        names = ", ".join(left_out[:10]) + (", ..." if len(left_out) > 10 else "")
        processes.say(
            f"{len(left_out)} of {len(dataset.user_ids)} users take no part, by config.split "
            f"(purpose {config.split.purpose!r}, min_images {config.split.min_images}, "
            f"max_seen_users {config.split.max_seen_users}): {names}"
        )


def _say_who_looked_alone(config: ConfigDict, splits: Splits, dataset: Dataset) -> None:
    """Says for how many viewings the universal map of the group is empty: it costs accuracy."""
    if config.data.universal_map != "group":
        return
    viewed = np.asarray(dataset.gaze.viewing_length) > 0
    viewers = viewed[splits.seen_users].sum(axis=0)
    alone = total = 0
    for users, images, among_viewers in (
        (splits.seen_users, np.union1d(splits.train_images, splits.test_images), 1),
        (splits.unseen_users, splits.test_images, 0),
    ):
        of_users = viewed[np.ix_(users, images)]
        alone += int((of_users & (viewers[images] == among_viewers)).sum())
        total += int(of_users.sum())
    if alone:
        processes.say(
            f"no other seen user looked at the image of {alone} of {total} viewings: by "
            "config.data.universal_map 'group' nothing is told of where others look there; with "
            "'predicted' it is, for every image"
        )


def refuse_too_little_to_compare(splits: Splits, dataset: Dataset) -> None:
    """Refuses, before anything is trained, a data set on which nothing could be evaluated.

    Raises:
        ValueError: with fewer than two seen or unseen users, who could not be told apart, or a user
            who saw fewer than two test images, one to enrol and one to compare with.
    """
    for name in ("seen_users", "unseen_users"):
        number = len(getattr(splits, name))
        if number < 2:
            raise ValueError(f"the split gives {number} {name}; allowed: at least 2 to compare")
    users = np.union1d(splits.seen_users, splits.unseen_users)
    lengths = np.asarray(dataset.gaze.viewing_length)[np.ix_(users, splits.test_images)]
    num_images = (lengths > 0).sum(axis=1)
    fewest = int(np.argmin(num_images))
    if num_images[fewest] < 2:
        raise ValueError(
            f"user {dataset.user_ids[users[fewest]]!r} saw {num_images[fewest]} of the "
            f"{len(splits.test_images)} test images; allowed: at least 2, one to enrol and one to "
            "compare with (config.split.min_images leaves such users out)"
        )


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
        ValueError: if no checkpoint verifies, or the newest does not and the config is strict.
        OSError: if a checkpoint cannot be saved; those before it are intact.
        InterruptedRunError: after a signal, once everything is saved.
    """
    train_step = steps.make_train_step(
        stage.loss,
        stage.optimizer,
        devices=devices,
        steps_per_dispatch=config.training.steps_per_dispatch,
    )
    started = time.monotonic() - read_resources(workdir).get(stage.name, {}).get("seconds", 0.0)
    folder = checkpoint_folder(workdir, stage.name)
    sharding = steps.replicated(devices)
    state = steps.init_state(stage.network.init, stage.optimizer, config.seed)
    done, window, options = 0, [], config.checkpoint
    is_strict = options.strict
    if checkpoints.latest_step(folder) is not None:
        done, trees = checkpoints.restore(folder, _as_trees(state), sharding, is_strict=is_strict)
        state, window = _from_trees(trees), checkpoints.read_metadata(folder)["window"]
        processes.say(f"{stage.name}: resumed at step {done} of {stage.num_steps}")
    processes.refuse_different("the step to go on from", done)
    if processes.is_first():
        checkpoints.set_damaged_aside(folder)
    state = jax.device_put(processes.as_in_first(state), sharding)
    processes.connect_devices()
    curve = _Curve(workdir / stage.name / "metrics.jsonl", stage, config, len(devices), done)
    curve.window = window
    with (
        interruption.deferred(),
        checkpoints.open_for_saving(
            folder, keep=options.keep, best_metric=options.best_metric
        ) as saver,
        _track(stage, done) as show,
    ):
        if stage.num_steps == 0 and checkpoints.latest_step(folder) is None:
            # An encoder that is not to learn is saved as it starts.
            saver.save(0, _as_trees(state), metadata | {"window": []}, {})
        pending, are_several = None, processes.are_several()
        batches = make_batches(stage, config, devices, start=done)
        while done < stage.num_steps:
            is_one_asked = are_several and interruption.is_asked()
            state, metrics = train_step(state, stage.constants, next(batches), is_one_asked)
            is_told = pending is not None and bool(pending["is_asked"])
            # Reading the step before lets the device work on this one meanwhile.
            if pending is not None:
                show(done, curve.add(pending))
            pending = metrics
            done += config.training.steps_per_dispatch
            # Several processes stop after the step that comes when all were told.
            is_asked = is_told if are_several else interruption.is_asked()
            if is_asked or done % options.every == 0 or done >= stage.num_steps:
                show(done, curve.add(pending))
                pending = None
                _refuse_what_is_not_finite(stage.name, done, state.params)
                saver.save(
                    done,
                    _as_trees(state),
                    metadata | {"window": list(curve.window)},  # Written later, as it is now.
                    {"loss": curve.loss()},
                )
                if processes.is_first():
                    write_resources(workdir, stage.name, seconds=time.monotonic() - started)
            if is_asked and done < stage.num_steps:
                saver.wait()
                raise interruption.InterruptedRunError(
                    f"{stage.name} is saved at step {done} of {stage.num_steps}"
                )
    if processes.is_any(interruption.is_asked()):
        raise interruption.InterruptedRunError(f"{stage.name} is finished and saved")


def make_batches(
    stage: Stage, config: ConfigDict, devices: list[jax.Device], *, start: int
) -> Iterator[Any]:
    """What each dispatch of a training is given, from a step on; None where it needs nothing."""
    if stage.stream is None:
        return itertools.repeat(None)
    number = config.training.steps_per_dispatch
    return data.prefetch(
        functools.partial(
            stages.make_batch, stage.stream, num_steps=number, seed=config.seed, devices=devices
        ),
        range(start, stage.num_steps, number),
        **config.data.stream,
    )


def _track(stage: Stage, done: int) -> AbstractContextManager[Callable[[int, str], None]]:
    if processes.is_first():
        return track(stage.name, stage.num_steps, start=done)
    return nullcontext(lambda _done, _text: None)


def _refuse_what_is_not_finite(name: str, step: int, params: Any) -> None:
    if not math.isfinite(optax.tree.norm(params)):
        raise FloatingPointError(
            f"{name}: a parameter is not finite at step {step}; the last checkpoint is intact"
        )


class _Curve:
    """Writes the mean of each metric over `log_every` steps, and stops a training that diverged."""

    def __init__(
        self, path: Path, stage: Stage, config: ConfigDict, num_devices: int, done: int
    ) -> None:
        self.path, self.stage, self.num_devices = path, stage, num_devices
        self.log_every = config.training.log_every
        self.max_skipped = config.training.max_skipped_in_a_row
        self.step = done
        self.window: list[dict[str, float]] = []
        self.written: list[dict[str, float]] = []  # The window before.
        self.text = ""
        self.window_started = time.monotonic()
        if processes.is_first():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, "".join(line + "\n" for line in _lines_until(path, done)))

    def add(self, metrics: dict[str, jax.Array]) -> str:
        """Takes the metrics of one dispatch; returns a line for people."""
        values = {
            name: np.asarray(value).tolist()
            for name, value in metrics.items()
            if name != "is_asked"
        }
        for position in range(len(values["loss"])):
            self.step += 1
            row = {name: value[position] for name, value in values.items()}
            if row["num_skipped_in_a_row"] >= self.max_skipped:
                raise FloatingPointError(
                    f"{self.stage.name}: loss or gradient was not finite in "
                    f"{row['num_skipped_in_a_row']:.0f} updates in a row (step {self.step}); "
                    "the last checkpoint is intact; lower the learning rate, in another workdir"
                )
            self.window.append(row)
            if self.step % self.log_every == 0 or self.step == self.stage.num_steps:
                self._write()
        return self.text

    def loss(self) -> float:
        """Mean over the window begun, or over the last one if it was just written."""
        mean = _finite_mean(self.window or self.written, "loss")
        return math.inf if mean is None else mean

    def _write(self) -> None:
        now = time.monotonic()
        rate = len(self.window) * self.stage.examples_per_step / (now - self.window_started)
        line: dict[str, float | None] = {"step": self.step}
        for name in self.window[-1]:
            if name.startswith("num_"):
                line[name] = self.window[-1][name]
            else:
                line[name] = _finite_mean(self.window, name)
        line["examples_per_second"] = rate
        if processes.is_first():
            with naming(self.path), self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")
        loss = "not finite" if line["loss"] is None else f"{line['loss']:.4f}"
        self.text = f"{rate:.0f} {self.stage.unit}/s on {self.num_devices} devices, loss {loss}"
        self.written, self.window, self.window_started = self.window, [], now


def _finite_mean(rows: list[dict[str, float]], name: str) -> float | None:
    finite = [row[name] for row in rows if math.isfinite(row[name])]
    return sum(finite) / len(finite) if finite else None


def _devices_to_share(config: ConfigDict, most: int, *, num_processes: int = 1) -> int:
    pairs = stages.pairs_per_batch(config)
    batch = math.gcd(pairs, config.saliency.sampling.num_images, config.universal.num_images)
    if batch % num_processes:
        raise ValueError(
            f"{num_processes} processes cannot share the batches of config.encoder.sampling, "
            f"config.saliency.sampling and config.universal evenly; allowed: a divisor of {batch}"
        )
    return max(n for n in range(1, most + 1) if batch % (n * num_processes) == 0)


def _refuse_unfinished_encoder(workdir: Path, config: ConfigDict) -> None:
    done = trained_steps(workdir, "encoder")
    if done is None:
        raise FileNotFoundError(
            f"no checkpoint in {checkpoint_folder(workdir, 'encoder')}; stage saliency needs a "
            "trained encoder: run with --config.stage=all, or first with --config.stage=encoder"
        )
    if done < config.encoder.num_steps:
        raise ValueError(
            f"the encoder in {workdir} is at step {done} of {config.encoder.num_steps}; stage "
            "saliency needs it finished: run with --config.stage=all"
        )


def _lines_until(path: Path, step: int) -> list[str]:
    """Lines of a curve up to a step: what came after the checkpoint will be written again."""
    kept = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            is_kept = json.loads(line)["step"] <= step
        except ValueError:  # The process was ended in the middle of the last line.
            break
        if is_kept:
            kept.append(line)
    return kept


def _as_trees(state: steps.TrainState) -> dict[str, Any]:
    progress = state._asdict()
    return {"params": progress.pop("params"), "progress": progress}


def _from_trees(trees: dict[str, Any]) -> steps.TrainState:
    return steps.TrainState(params=trees["params"], **trees["progress"])
