"""A run's folder, which needs no data set to be used afterwards, and what may be written to it.

config.json                 the config, package versions, commit and command
splits.json                 who and what was seen
center_prior.npz            mean of the training maps, for pictures nobody has looked at
features.npz                what reduces the backbone's levels to features, if the config has one
<stage>/checkpoints/        Orbax checkpoints, each with its own copy of config and splits
<stage>/metrics.jsonl       the training curve
evaluation.json, .md        figures
evaluation_resamples.npz    their values in every resample, under the same names
resources.json              wall time and peak memory of each stage and of the evaluation
plots/                      the same to look at
fold_<number>/              of a cross-validation: such a folder for each fold, and no stage here
"""

import contextlib
import fcntl
import importlib.metadata
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gazejax import checkpoints, processes, stages, steps
from gazejax.arrays import Dataset
from gazejax.config import (
    difference,
    not_part_of,
    validate,
)
from gazejax.features import FeatureBasis
from gazejax.splits import Splits
from gazejax.stages import ENCODERS, INPUTS, STAGES, Viewings

_PACKAGES = ("gazejax", "jax", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")

_BASIS = "features.npz"
_RESOURCES = "resources.json"


def checkpoint_folder(workdir: Path, stage: str) -> Path:
    """Where the checkpoints of a stage are."""
    return workdir / stage / "checkpoints"


def trained_steps(workdir: Path, stage: str) -> int | None:
    """Step of a stage's newest checkpoint, None if there is none."""
    return checkpoints.latest_step(checkpoint_folder(workdir, stage))


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


def fold_configs(config: ConfigDict, workdir: Path) -> dict[Path, ConfigDict]:
    """Config of each fold by its folder: the config itself, or those of a cross-validation."""
    if config.eval.folds == 1:
        return {workdir: config}
    configs = {}
    for fold in range(config.eval.folds):
        one = config.copy_and_resolve_references()
        one.split.update(folds=config.eval.folds, fold=fold)
        one.eval.folds = 1
        configs[workdir / f"fold_{fold}"] = one
    return configs


def is_evaluable(workdir: Path) -> bool:
    """Whether there is an encoder in every fold; all else of an evaluation can be left out."""
    folders = fold_configs(load_config(workdir), workdir)
    return all(trained_steps(folder, "encoder") is not None for folder in folders)


def load_params(workdir: Path, stage: str) -> Any:
    """Loads the parameters of a trained stage, by the config and splits saved beside them.

    Raises:
        FileNotFoundError: if the stage has no checkpoint.
        ValueError: if the checkpoint does not load.
    """
    folder = checkpoint_folder(workdir, stage)
    metadata = checkpoints.read_metadata(folder)
    # Valid when it was saved; keys that came since do not matter to a network.
    config = ConfigDict(_with_tuples(metadata["config"]))
    num_users = len(metadata["splits"]["seen_users"])
    if stage in ENCODERS:
        network = stages.encoder_network(config, num_users=num_users)
    else:
        num_people = num_users if stage == "saliency" else 0
        network = stages.saliency_network(config, num_users=num_people)
    abstract = jax.eval_shape(network.init, jax.random.key(0))
    sharding = steps.replicated(jax.local_devices()[:1])
    _, trees = checkpoints.restore(folder, {"params": abstract}, sharding, is_strict=False)
    return trees["params"]


def copy_encoders(source: Path, target: Path, stages_to_copy: Sequence[str]) -> None:
    """Gives a run the finished encoders of another one, where it has not begun to train its own.

    Whether they are those it would have trained, `refuse_another_experiment` says when it starts:
    by config, splits and digest of the data.

    Args:
        source: workdir of the other run, with one fold or several.
        target: workdir of the run.
        stages_to_copy: of `stages.ENCODERS`.
    """
    for folder, config in fold_configs(load_config(source), source).items():
        into = target / folder.relative_to(source)
        for stage in stages_to_copy:
            if (into / stage).exists() or trained_steps(folder, stage) != config.encoder.num_steps:
                continue
            into.mkdir(parents=True, exist_ok=True)
            if (folder / _BASIS).is_file():
                shutil.copy2(folder / _BASIS, into / _BASIS)
            temporary = into / f".{stage}.tmp"
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.copytree(folder / stage, temporary)
            spent = {stage: read_resources(folder)[stage]}
            write_json(into / _RESOURCES, read_resources(into) | spent)
            temporary.rename(into / stage)


def list_checkpoints(workdir: Path) -> tuple[list[str], bool]:
    """Describes every checkpoint of a workdir, a line each; reads all their files.

    Returns:
        The lines, and whether the newest checkpoint of every stage verifies.

    Raises:
        FileNotFoundError: if the folder is no workdir.
    """
    lines, is_sound = [], True
    for folder in fold_configs(load_config(workdir), workdir):
        for stage in STAGES:
            checkpoints_of_stage = checkpoint_folder(folder, stage)
            found = checkpoints.find(checkpoints_of_stage)
            if found and found[0].damage is not None:
                is_sound = False
            for one in found:
                if one.damage is None:
                    metrics = checkpoints.read_metrics(checkpoints_of_stage, one.step)
                    told = ", ".join(f"{key} {value:.5g}" for key, value in metrics.items())
                    state = f"verified   {told}"
                else:
                    state = f"UNVERIFIED {one.damage}"
                name = (folder / stage).relative_to(workdir).as_posix()
                lines.append(f"{name:<28}{one.step:>8}{one.num_bytes / 1e6:>10.2f} MB  {state}")
    return lines, is_sound


def refuse_another_encoder(workdir: Path, encoder_params: Any) -> None:
    """Keeps stage 2 to the encoder whose embeddings it was trained with.

    Raises:
        ValueError: if its checkpoint names another.
    """
    folder = checkpoint_folder(workdir, "saliency")
    stored = checkpoints.read_metadata(folder)["encoder_digest"]
    found = checkpoints.digest(encoder_params)
    if stored != found:
        raise ValueError(
            f"{workdir}: stage saliency was trained with the encoder {stored[:12]}, and the one "
            f"here is {found[:12]}; train stage saliency again, in another workdir"
        )


def load_told_universals(
    workdir: Path, config: ConfigDict, viewings: dict[str, Viewings], devices: list[jax.Device]
) -> Float[np.ndarray, "all_images map_height map_width"] | None:
    """The maps that networks are told in place of the group's; see `stages.told_universals`.

    Raises:
        FileNotFoundError: if stage `universal` predicts them and has no checkpoint.
    """
    params = load_params(workdir, "universal") if stages.is_told_predictions(config) else None
    return stages.told_universals(config, viewings["saliency"], params, devices)


def load_center_prior(workdir: Path) -> dict[str, Float[np.ndarray, "height width"]]:
    """Reads the mean training map at the map size of each of `stages.INPUTS`.

    Raises:
        FileNotFoundError: if it is missing.
    """
    path = workdir / "center_prior.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; copy the workdir whole")
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name].astype(np.float32) for name in INPUTS}


def load_basis(workdir: Path) -> FeatureBasis | None:
    """Reads the basis of a run's frozen features; None if it has none, or nothing was trained yet.

    Of a run with several folds that of the first: they are fitted on the same images.
    """
    paths = [workdir / _BASIS, workdir / "fold_0" / _BASIS]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    with np.load(path, allow_pickle=False) as stored:
        number = len(stored.files) // 2
        return FeatureBasis(
            *(tuple(stored[f"{name}_{i}"] for i in range(number)) for name in FeatureBasis._fields)
        )


def refuse_another_experiment(
    workdir: Path, config: ConfigDict, splits: Splits, dataset: Dataset
) -> None:
    """Keeps a workdir to one experiment, once something was trained in it.

    With `config.checkpoint.accept_changes` a changed value, or changed data, are told and accepted.
    Changed splits never are: nobody could say any more who is unseen.

    Raises:
        ValueError: naming the value, or the part of the splits, that differs.
    """
    is_accepted = config.checkpoint.accept_changes

    def refuse(changed: str) -> None:
        if not is_accepted:
            raise ValueError(
                f"{workdir} holds another experiment: {changed}; use another workdir, or accept it "
                "with --config.checkpoint.accept_changes=True"
            )
        processes.say(f"{workdir}: accepted, by config.checkpoint.accept_changes: {changed}")

    for stage in STAGES:
        if trained_steps(workdir, stage) is None:
            continue
        metadata = checkpoints.read_metadata(checkpoint_folder(workdir, stage))
        changed = difference(metadata["config"], config.to_dict(), not_part_of(stage, config))
        if changed:
            refuse(changed)
        refuse_other_splits(workdir, stage, splits, dataset)
        if metadata["data_digest"] != dataset.digest:
            refuse(
                f"the digest of {dataset.name} was {metadata['data_digest']} and is now "
                f"{dataset.digest}"
            )


def refuse_other_folds(workdir: Path, config: ConfigDict) -> None:
    """Keeps a workdir to one fold, or to one cross-validation.

    Raises:
        ValueError: naming the first value by which the experiments differ.
    """
    if not (workdir / "config.json").is_file():
        return
    stored = load_config(workdir)
    if stored.eval.folds == config.eval.folds == 1:
        return  # Its checkpoints say more, and a folder without any may hold any experiment.
    changed = difference(stored.to_dict(), config.to_dict())
    if changed:
        raise ValueError(f"{workdir} holds another experiment: {changed}; use another workdir")


def refuse_leaks(workdir: Path, stage: str, splits: Splits, dataset: Dataset) -> None:
    """Refuses to call a user or an image unseen that a stage was trained with.

    The stage's checkpoint says who and what that was, not the config.

    Raises:
        ValueError: naming the first user or image that leaked, or the part of the splits that
            differs otherwise.
    """
    stored = checkpoints.read_metadata(checkpoint_folder(workdir, stage))["splits"]
    now = named_splits(splits, dataset)
    for held_out, trained in (("unseen_users", "seen_users"), ("test_images", "train_images")):
        leaked = sorted(set(now[held_out]) & set(stored[trained]))
        if leaked:
            raise ValueError(
                f"{workdir}: {leaked[0]!r} is one of {len(leaked)} of the {held_out} that stage "
                f"{stage} was trained with; figures for {held_out} would be false"
            )
    refuse_other_splits(workdir, stage, splits, dataset)


def refuse_trained_images(workdir: Path, stage: str, dataset: Dataset) -> None:
    """Refuses a data set that has an image, by name, that a stage was trained with.

    Raises:
        ValueError: naming the first of them.
    """
    stored = checkpoints.read_metadata(checkpoint_folder(workdir, stage))["splits"]
    leaked = sorted(set(dataset.image_ids) & set(stored["train_images"]))
    if leaked:
        raise ValueError(
            f"{workdir}: stage {stage} was trained with {len(leaked)} images of {dataset.name}, "
            f"such as {leaked[0]!r}; allowed: a data set without any"
        )


def refuse_other_splits(workdir: Path, stage: str, splits: Splits, dataset: Dataset) -> None:
    """Holds the splits of now against those a stage was trained with, as its checkpoint says.

    Raises:
        ValueError: if they differ: figures would not be about unseen users and images.
    """
    stored = checkpoints.read_metadata(checkpoint_folder(workdir, stage))["splits"]
    for name, members in named_splits(splits, dataset).items():
        if stored[name] != members:
            raise ValueError(
                f"{workdir}: {name} of the {stage}'s training differ from those of the data set "
                "now, so nobody could say who is unseen; use the data set of the training"
            )


def write_description(
    workdir: Path,
    config: ConfigDict,
    splits: Splits,
    dataset: Dataset,
    viewings: dict[str, Viewings],
) -> None:
    """Writes all that a run's folder holds beside what training and evaluation write."""
    write_config(workdir, config)
    write_json(
        workdir / "splits.json",
        named_splits(splits, dataset) | {"users_left_out": users_left_out(splits, dataset)},
    )
    priors: dict[str, Any] = {
        name: stages.center_prior(arrays) for name, arrays in viewings.items()
    }
    write_arrays(workdir / "center_prior.npz", priors)
    if dataset.basis is not None:
        parts = dataset.basis._asdict().items()
        arrays = {f"{name}_{i}": part for name, of in parts for i, part in enumerate(of)}
        write_arrays(workdir / _BASIS, arrays)


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Keeps a workdir to one run; the system drops the lock with its process 0, however it ends.

    Raises:
        BlockingIOError: if another one has it, naming its process and host.
        ValueError: if the processes of this run do not see the same folder.
    """
    path = workdir / ".lock"
    with contextlib.ExitStack() as stack:
        if processes.is_first():
            workdir.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_lock(path))
        processes.meet("the workdir is locked")
        seen = zlib.crc32(path.read_bytes()) if path.is_file() else 0
        processes.refuse_different(f"{path}, so not all see one folder: checksum", seen)
        yield


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise BlockingIOError(
                f"{path.parent} is in use by {file.read().strip() or 'another process'}: wait for "
                "it, or take another workdir"
            ) from error
        # Whatever an ended process left in it is stale: nobody holds the lock.
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        os.fsync(file.fileno())  # Other machines shall read it.
        yield


def read_resources(workdir: Path) -> dict[str, dict[str, float]]:
    """What the stages and the evaluation of a run have cost; see `write_resources`."""
    path = workdir / _RESOURCES
    return json.loads(path.read_text()) if path.is_file() else {}


def write_resources(workdir: Path, name: str, *, seconds: float) -> None:
    """Notes what a stage, or the evaluation, has cost.

    Args:
        workdir: the run's folder.
        name: of the stage, or `evaluation`.
        seconds: wall time, of all processes that worked on it: compilation, training and saving,
            but neither loading data nor what was done again after the last checkpoint.
    """
    every = read_resources(workdir)
    # Of the process up to now, on the host; an accelerator's own memory is not in it.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    before = every.get(name, {}).get("peak_memory_bytes", 0)
    every[name] = {"seconds": seconds, "peak_memory_bytes": max(before, peak)}
    write_json(workdir / _RESOURCES, every)


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes an `.npz` whole or not at all."""
    temporary = path.with_suffix(".tmp.npz")
    with naming(path):
        np.savez(temporary, **dict(arrays))
        temporary.replace(path)


def write_config(workdir: Path, config: ConfigDict) -> None:
    """Writes config.json: every value, package versions, commit and command."""
    workdir.mkdir(parents=True, exist_ok=True)
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    write_json(
        workdir / "config.json",
        {
            "config": config.to_dict(),
            "versions": {"python": sys.version.split()[0], **versions},
            "commit": source_commit(),
            "command": " ".join(sys.argv),
        },
    )


def named_splits(splits: Splits, dataset: Dataset) -> dict[str, list[str]]:
    """The splits by name, which stay true when indices do not."""
    return {
        name: [
            (dataset.user_ids if name.endswith("users") else dataset.image_ids)[index]
            for index in members
        ]
        for name, members in splits._asdict().items()
    }


def users_left_out(splits: Splits, dataset: Dataset) -> list[str]:
    """Names of those who are neither seen nor unseen: the rules of the split leave them out."""
    members = {*splits.seen_users.tolist(), *splits.unseen_users.tolist()}
    return [name for user, name in enumerate(dataset.user_ids) if user not in members]


def source_commit() -> str | None:
    """Commit of the checkout this package runs from; None for an installed copy, or without git."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        git = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return git.stdout.strip() or None


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Names what could not be written: of a full disk the system says no more than that it is."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with naming(path):
        temporary.write_text(text)
        temporary.replace(path)


def write_json(path: Path, content: Any) -> None:
    """Writes a file whole or not at all; a value that is no number of JSON's is an error."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _with_tuples(value: Any) -> Any:
    """Undoes what JSON does to tuples."""
    if isinstance(value, dict):
        return {key: _with_tuples(entry) for key, entry in value.items()}
    return tuple(_with_tuples(entry) for entry in value) if isinstance(value, list) else value
