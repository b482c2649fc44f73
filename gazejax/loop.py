"""Training and evaluation from a config: the one loop that both stages share.

A run lives in a folder, its workdir, which needs no data set to be used afterwards:

    config.json                 the config, package versions, commit and command
    splits.json                 who and what was seen
    center_prior.npz            mean of the training maps, for pictures nobody has looked at
    <stage>/checkpoints/        Orbax checkpoints
    <stage>/metrics.jsonl       the training curve
    evaluation.json, .md        figures
"""

import datetime
import importlib.metadata
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gazejax import checkpoints, data, evaluation, stages, steps
from gazejax.arrays import Dataset
from gazejax.config import difference, validate
from gazejax.progress import track
from gazejax.splits import Splits, make_splits
from gazejax.stages import STAGES, Stage

_PACKAGES = ("gazejax", "jax", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")


def configure_host_devices(config: ConfigDict) -> None:
    """Makes JAX split a CPU into several devices; has no effect on accelerators.

    As many as the largest number that divides the batches of both stages and does not exceed the
    cores. To be called before JAX is used for the first time. An explicit XLA flag wins.
    """
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    pairs = config.encoder.sampling.num_users * config.encoder.sampling.images_per_user
    batch = math.gcd(pairs, config.saliency.sampling.num_images)
    cores = range(1, (os.cpu_count() or 1) + 1)
    jax.config.update("jax_num_cpu_devices", max(n for n in cores if batch % n == 0))


def train_and_evaluate(config: ConfigDict, workdir: Path) -> None:
    """Trains the stages that the config asks for, or what is left of them, and evaluates.

    Raises:
        ValueError: if the config is impossible, or the workdir holds another experiment.
        FileNotFoundError: if the data set is not prepared, or stage 1 is missing for stage 2.
        FloatingPointError: if too many updates in a row were not finite.
    """
    validate(config)
    _refuse_another_config(workdir, config)
    dataset = load_dataset(config)
    splits = _make_splits(config, dataset)
    _refuse_small_groups(splits)
    if _is_trained(workdir):
        _refuse_other_splits(workdir / "splits.json", splits, dataset)
    devices = jax.local_devices()
    workdir.mkdir(parents=True, exist_ok=True)
    _write_json(workdir / "config.json", _describe_run(config))
    _write_json(workdir / "splits.json", _named_splits(splits, dataset))
    _write_center_prior(workdir / "center_prior.npz", config, dataset, splits)

    for name in STAGES if config.stage == "all" else (config.stage,):
        encoder_params = None
        if name == "saliency":
            encoder_params = load_params(workdir, "encoder", config, len(splits.seen_users))
        stage = stages.make_stage(
            name, config, dataset, splits, encoder_params=encoder_params, devices=devices
        )
        train(stage, config, workdir / name, devices)
    evaluate(workdir, dataset=dataset)


def load_dataset(config: ConfigDict) -> Dataset:
    """Reads the config's data set at the input sizes of both stages."""
    return data.load(
        config.data.name,
        config.data.data_dir,
        {name: config[name].image_size for name in STAGES},
    )


def load_config(workdir: Path) -> ConfigDict:
    """Reads the config that a workdir was trained with.

    Raises:
        FileNotFoundError: if the folder is no workdir.
    """
    path = workdir / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; is {workdir} the workdir of a training?")
    config = ConfigDict(_with_tuples(json.loads(path.read_text())["config"]))
    validate(config)
    return config


def num_seen_users(workdir: Path) -> int:
    """How many users the workdir's models were trained on.

    Raises:
        FileNotFoundError: if the workdir is not complete.
    """
    path = workdir / "splits.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; copy the workdir whole")
    return len(json.loads(path.read_text())["seen_users"])


def load_params(workdir: Path, name: str, config: ConfigDict, num_seen_users: int) -> Any:
    """Loads the parameters of a trained stage from its newest checkpoint."""
    if name == "encoder":
        network = stages.encoder_network(config, num_users=num_seen_users)
    else:
        network = stages.saliency_network(config)
    abstract = jax.eval_shape(network.init, jax.random.key(0))
    sharding = steps.replicated(jax.local_devices()[:1])
    _, trees, _ = checkpoints.restore(
        workdir / name / "checkpoints", {"params": abstract}, sharding
    )
    return trees["params"]


def train(stage: Stage, config: ConfigDict, folder: Path, devices: list[jax.Device]) -> None:
    """Trains a stage to its end, from its newest checkpoint if there is one.

    The batch of a step depends on (seed, step) alone, so a resumed training continues exactly.

    Args:
        stage: what to train.
        config: the validated config.
        folder: the stage's folder in the workdir.
        devices: the devices to train on.

    Raises:
        FloatingPointError: if too many updates in a row were not finite.
    """
    train_step = steps.make_train_step(
        stage.loss,
        stage.optimizer,
        devices=devices,
        steps_per_dispatch=config.training.steps_per_dispatch,
    )
    sharding = steps.replicated(devices)
    state = steps.init_state(stage.network.init, stage.optimizer, config.seed)
    done = 0
    if checkpoints.latest_step(folder / "checkpoints") is not None:
        done, trees, _ = checkpoints.restore(folder / "checkpoints", _as_trees(state), sharding)
        state = _from_trees(trees)
        print(f"{stage.name}: resumed at step {done} of {stage.num_steps}", file=sys.stderr)
    state = jax.device_put(state, sharding)
    curve = _Curve(folder / "metrics.jsonl", stage, config, len(devices), done)
    metadata = {"config": config.to_dict(), "stage": stage.name}

    folder.mkdir(parents=True, exist_ok=True)
    with (
        checkpoints.open_for_saving(
            folder / "checkpoints", keep=config.checkpoint.keep
        ) as checkpointer,
        track(stage.name, stage.num_steps, start=done) as show,
    ):
        pending = None
        while done < stage.num_steps:
            state, metrics = train_step(state, stage.constants)
            # Reading the step before lets the device work on this one meanwhile.
            if pending is not None:
                show(done, curve.add(pending))
            pending = metrics
            done += config.training.steps_per_dispatch
            if done % config.checkpoint.every == 0 or done >= stage.num_steps:
                show(done, curve.add(pending))
                pending = None
                checkpoints.save(checkpointer, done, _as_trees(state), metadata)


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
        self.text = ""
        self.window_started = time.monotonic()
        # What was written after the checkpoint that we resume from will be written again.
        lines = path.read_text().splitlines() if path.is_file() else []
        kept = [line for line in lines if json.loads(line)["step"] <= done]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in kept))

    def add(self, metrics: dict[str, jax.Array]) -> str:
        """Takes the metrics of one dispatch; returns a line for people."""
        values = {name: np.asarray(value).tolist() for name, value in metrics.items()}
        for position in range(len(values["loss"])):
            self.step += 1
            row = {name: value[position] for name, value in values.items()}
            if row["num_skipped_in_a_row"] >= self.max_skipped:
                raise FloatingPointError(
                    f"{self.stage.name}: loss or gradient was not finite in "
                    f"{row['num_skipped_in_a_row']:.0f} updates in a row (step {self.step}); "
                    "the last checkpoint is intact; lower the learning rate"
                )
            self.window.append(row)
            if self.step % self.log_every == 0 or self.step == self.stage.num_steps:
                self._write()
        return self.text

    def _write(self) -> None:
        now = time.monotonic()
        rate = len(self.window) * self.stage.examples_per_step / (now - self.window_started)
        line: dict[str, float] = {"step": self.step}
        for name in self.window[-1]:
            if name.startswith("num_"):
                line[name] = self.window[-1][name]
            else:
                finite = [row[name] for row in self.window if math.isfinite(row[name])]
                line[name] = sum(finite) / len(finite) if finite else math.nan
        self.text = (
            f"{rate:.0f} {self.stage.unit}/s on {self.num_devices} devices, loss {line['loss']:.4f}"
        )
        line["examples_per_second"] = rate
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.window, self.window_started = [], now


def evaluate(workdir: Path, *, dataset: Dataset | None = None) -> dict[str, Any]:
    """Evaluates the stages that a workdir holds, prints the tables and writes them there.

    Args:
        workdir: of a training.
        dataset: its data set, if it is in memory already.

    Returns:
        What `evaluation.json` holds.

    Raises:
        FileNotFoundError: if the folder is no workdir, or its data set is not prepared.
        ValueError: if the data set is not the one of the training, or too small to compare users.
    """
    config = load_config(workdir)
    dataset = load_dataset(config) if dataset is None else dataset
    splits = _make_splits(config, dataset)
    _refuse_other_splits(workdir / "splits.json", splits, dataset)
    options = config.eval
    groups = {"seen": splits.seen_users, "unseen": splits.unseen_users}
    num_test = len(splits.test_images)
    embeddings = {
        name: stages.embed_pairs(
            config,
            load_params(workdir, "encoder", config, len(splits.seen_users)),
            dataset,
            splits,
            users=users,
            images=splits.test_images,
            devices=jax.local_devices(),
        )
        for name, users in groups.items()
    }
    viewed = {
        name: np.asarray(dataset.gaze.viewing_length)[np.ix_(users, splits.test_images)] > 0
        for name, users in groups.items()
    }
    orders = evaluation.draw_image_sets(num_test, options.num_draws, options.seed)
    viewings = stages.make_viewings("saliency", config, dataset, splits)

    result: dict[str, Any] = {"encoder": {}}
    for name, users in groups.items():
        residual = evaluation.residual_maps(
            viewings.group,
            dataset.gaze,
            users=users,
            images=splits.test_images,
            sigma_frac=config.data.sigma_frac,
            max_fixations=stages.longest_viewing(dataset.gaze),
        )
        result["encoder"][name] = {
            method: {
                str(size): evaluation.verify(
                    features, viewed[name], orders, size=size, similarity=similarity
                )
                for size in evaluation.usable_sizes(options.num_images, num_test)
            }
            for method, features, similarity in (
                ("encoder", embeddings[name], evaluation.negative_distance),
                ("residual_map", residual, evaluation.correlation),
            )
        }
    if checkpoints.latest_step(workdir / "saliency" / "checkpoints") is not None:
        result["saliency"] = _evaluate_saliency(
            config,
            load_params(workdir, "saliency", config, len(splits.seen_users)),
            dataset,
            splits,
            viewings,
            embeddings=embeddings,
            viewed=viewed,
            orders=orders[: options.saliency_num_draws],
        )
    result["compared"] = {
        "data": config.data.name,
        **{name: len(members) for name, members in splits._asdict().items()},
        "encoder_draws": options.num_draws,
        "saliency_draws": options.saliency_num_draws,
        "derangements": options.num_derangements,
        "training_seed": config.seed,
        "evaluation_seed": options.seed,
        "fold": config.split.fold,
        "folds": config.split.folds,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": _commit(),
    }
    _write_json(workdir / "evaluation.json", result)
    tables = evaluation.format_tables(result)
    (workdir / "evaluation.md").write_text(tables + "\n")
    print(tables)
    return result


def _evaluate_saliency(
    config: ConfigDict,
    params: Any,
    dataset: Dataset,
    splits: Splits,
    viewings: stages.Viewings,
    *,
    embeddings: dict[str, np.ndarray],
    viewed: dict[str, np.ndarray],
    orders: np.ndarray,
) -> dict[str, Any]:
    """Stage 2 of `evaluate`: enrols with the first images of each order, predicts the others."""
    options = config.eval
    network = stages.saliency_network(config)
    sizes = evaluation.usable_sizes(options.saliency_num_images, len(splits.test_images))
    enrolments = [(size, order) for size in sizes for order in orders]
    images = np.concatenate([splits.test_images[order[size:]] for size, order in enrolments])
    enrolment = np.repeat(
        np.arange(len(enrolments)), [len(order) - size for size, order in enrolments]
    )
    users_of = {"seen": splits.seen_users, "unseen": splits.unseen_users}
    enrolled = {
        name: [
            evaluation.mean_features(embeddings[name], viewed[name], order[:size])
            for size, order in enrolments
        ]
        for name in users_of
    }
    result: dict[str, Any] = {}
    for name, users in users_of.items():
        swaps = evaluation.derangements(len(users), options.num_derangements, options.seed)
        batches = evaluation.score_maps(
            lambda params, *inputs: network.apply(params)(*inputs),
            params,
            dataset.images["saliency"],
            dataset.gaze,
            viewings.group,
            users=users,
            images=images,
            enrolments=enrolment,
            embeddings=np.stack(
                [
                    evaluation.conditions_of(own, seen.mean(axis=0), swaps)
                    for own, seen in zip(enrolled[name], enrolled["seen"], strict=True)
                ]
            ),
            sigma_frac=config.data.sigma_frac,
            max_fixations=stages.longest_viewing(dataset.gaze),
            devices=jax.local_devices(),
            batch_size=options.batch_size,
        )
        scored: list[np.ndarray] = []
        with track(f"evaluation, {name} users", len(images)) as show:
            for batch in batches:
                scored.extend(batch)
                show(len(scored), "images")
        scores = np.stack(scored)
        result[name] = {
            str(size): evaluation.summarise_conditions(
                [
                    scores[enrolment == number]
                    for number, (of_size, _) in enumerate(enrolments)
                    if of_size == size
                ]
            )
            for size in sizes
        }
    return result


def _make_splits(config: ConfigDict, dataset: Dataset) -> Splits:
    return make_splits(dataset.user_ids, dataset.image_ids, **config.split)


def _named_splits(splits: Splits, dataset: Dataset) -> dict[str, list[str]]:
    return {
        name: [
            (dataset.user_ids if name.endswith("users") else dataset.image_ids)[index]
            for index in members
        ]
        for name, members in splits._asdict().items()
    }


def _is_trained(workdir: Path) -> bool:
    """Whether there is anything in a workdir that another experiment must not be mixed with."""
    return any(checkpoints.latest_step(workdir / name / "checkpoints") for name in STAGES)


def _refuse_another_config(workdir: Path, config: ConfigDict) -> None:
    if not _is_trained(workdir):
        return
    stored = json.loads((workdir / "config.json").read_text())["config"]
    changed = difference(stored, config.to_dict())
    if changed:
        raise ValueError(f"{workdir} holds another experiment: {changed}; use another workdir")


def _refuse_small_groups(splits: Splits) -> None:
    """Comparing users, and swapping their embeddings, takes two of each kind."""
    for name in ("seen_users", "unseen_users"):
        number = len(getattr(splits, name))
        if number < 2:
            raise ValueError(
                f"the data set and config.split give {number} {name}; allowed: at least 2, to be "
                "told apart"
            )


def _refuse_other_splits(path: Path, splits: Splits, dataset: Dataset) -> None:
    stored, now = json.loads(path.read_text()), _named_splits(splits, dataset)
    for name, members in now.items():
        if stored[name] != members:
            raise ValueError(
                f"{path}: {name} of the training differ from those of the data set now; "
                "its figures would not be about unseen users and images"
            )


def _write_center_prior(path: Path, config: ConfigDict, dataset: Dataset, splits: Splits) -> None:
    """Mean universal map of the training images, at each stage's map size; sums to 1."""
    priors = {}
    for name in STAGES:
        group = stages.make_viewings(name, config, dataset, splits).group
        total = np.asarray(group.total)[splits.train_images].sum(axis=0)
        priors[name] = total / total.sum()
    temporary = path.with_name("center_prior.tmp.npz")
    np.savez(temporary, **priors)
    temporary.replace(path)


def _describe_run(config: ConfigDict) -> dict[str, Any]:
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "config": config.to_dict(),
        "versions": {"python": sys.version.split()[0], **versions},
        "commit": _commit(),
        "command": " ".join(sys.argv),
    }


def _commit() -> str | None:
    """Commit of the source tree this package runs from; None for an installed copy."""
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return git.stdout.strip() or None


def _write_json(path: Path, content: Any) -> None:
    """Writes a file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    temporary.replace(path)


def _as_trees(state: steps.TrainState) -> dict[str, Any]:
    progress = state._asdict()
    return {"params": progress.pop("params"), "progress": progress}


def _from_trees(trees: dict[str, Any]) -> steps.TrainState:
    return steps.TrainState(params=trees["params"], **trees["progress"])


def _with_tuples(value: Any) -> Any:
    """Undoes what JSON does to tuples."""
    if isinstance(value, dict):
        return {key: _with_tuples(entry) for key, entry in value.items()}
    return tuple(_with_tuples(entry) for entry in value) if isinstance(value, list) else value
