"""A run's folder, which needs no data set to be used afterwards, and what may be written to it.

config.json                 the config, package versions, commit and command
data.json                   the data set, and how its gaze was read
splits.json                 the seen and unseen users, the training and test images
center_prior.npz            mean of the training maps, for images without gaze
features.npz                the projection of backbone features, if the config has a backbone
<stage>/checkpoints/        Orbax checkpoints, each with its own copy of config and splits
<stage>/metrics.jsonl       the training curve
<stage>/comparison.npz      how embeddings are compared, of an encoder; see `two_covariance`
evaluation.json, .md        metrics
calibration.json            how likely two embeddings are of one person; see `same_person`
probes.json                 what an embedding says of a person; see `probes`
evaluation_resamples.npz    their values in every resample, under the same names
resources.json              wall time, peak memory and devices of each stage and the evaluation
plots/                      the metrics as pictures
fold_<number>/              of a cross-validation: such a folder for each fold, and no stage here
"""

import importlib.metadata
import io
import json
import resource
import struct
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gazejax.config.derived import STAGES, fold_configs
from gazejax.config.errors import ConfigError
from gazejax.config.validation import validate
from gazejax.data.looks import describe_viewings
from gazejax.data.reader import absolute_data_dir
from gazejax.data.splits import Splits, named_splits, users_left_out
from gazejax.inference.same_person import ScoreCalibration, read_curves
from gazejax.inference.two_covariance import TwoCovariance
from gazejax.models.feature_projection import FeatureProjection
from gazejax.runtime.files import source_commit, write_arrays, write_json
from gazejax.types import Dataset
from gazejax.workdir import checkpoints

_PACKAGES = ("gazejax", "jax", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")

CENTER_PRIOR_FILE = "center_prior.npz"

PROJECTION_FILE = "features.npz"

COMPARISON_FILE = "comparison.npz"

CALIBRATION_FILE = "calibration.json"

DATA_FILE = "data.json"

RESOURCES_FILE = "resources.json"
_READ_ERRORS = (EOFError, OSError, RuntimeError, ValueError)


def checkpoint_folder(workdir: Path, stage: str) -> Path:
    """Where the checkpoints of a stage are."""
    return workdir / stage / "checkpoints"


def latest_step(workdir: Path, stage: str) -> int | None:
    """Step of a stage's newest checkpoint, None if there is none."""
    return checkpoints.latest_step(checkpoint_folder(workdir, stage))


def load_config(workdir: Path) -> ConfigDict:
    """Reads the config that a workdir was trained with.

    Raises:
        FileNotFoundError: if the folder is no workdir.
        ConfigError: if the config is not one of this version; a workdir of version 0.1.0 is named
            as such.
        ValueError: if the file is damaged.
    """
    path = workdir / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; is {workdir} the workdir of a training?")
    values = read_object(path).get("config")
    if not isinstance(values, dict):
        raise damaged(path, "has no entry 'config' of keys and values")
    return validated_config(values, workdir)


def validated_config(values: Mapping[str, Any], folder: Path) -> ConfigDict:
    """The config of values that were read from JSON.

    Args:
        values: every key of the config.
        folder: where they were read, for the error.

    Raises:
        ConfigError: if the config is not one of this version.
    """
    config = ConfigDict(with_tuples(values))
    try:
        validate(config)
    except ConfigError as error:
        text = f"{folder} does not fit this version of gazejax: {error}"
        raise ConfigError(error.key, error.value, error.allowed, text) from error
    return config


def is_evaluable(workdir: Path) -> bool:
    """Whether there is an encoder in every fold; all else of an evaluation can be left out."""
    folders = fold_configs(load_config(workdir), workdir)
    return all(latest_step(folder, "encoder") is not None for folder in folders)


def describe_checkpoints(workdir: Path) -> tuple[list[str], bool]:
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
            found = checkpoints.list_checkpoints(checkpoints_of_stage)
            if found and found[0].damage is not None:
                is_sound = False
            for one in found:
                if one.damage is None:
                    metrics = checkpoints.read_metrics(checkpoints_of_stage, one.step)
                    text = ", ".join(f"{key} {value:.5g}" for key, value in metrics.items())
                    state = f"verified   {text}"
                else:
                    state = f"UNVERIFIED {one.damage}"
                name = (folder / stage).relative_to(workdir).as_posix()
                lines.append(f"{name:<28}{one.step:>8}{one.num_bytes / 1e6:>10.2f} MB  {state}")
    return lines, is_sound


def load_center_prior(
    workdir: Path, map_sizes: Mapping[str, tuple[int, int]]
) -> dict[str, Float[np.ndarray, "_height _width"]]:
    """Reads the mean training map at the map size, (height, width), of each of `derived.INPUTS`.

    Raises:
        FileNotFoundError: if it is missing.
        ValueError: if the file is damaged.
    """
    path = workdir / CENTER_PRIOR_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; copy the workdir whole")
    stored = _read_floats(path)
    for name, size in map_sizes.items():
        shape = stored[name].shape if name in stored else None
        if shape != tuple(size):
            raise damaged(path, f"has {name!r} of shape {shape}, not {tuple(size)}")
    return {name: stored[name].astype(np.float32) for name in map_sizes}


def load_projection(workdir: Path, *, is_needed: bool = False) -> FeatureProjection | None:
    """Reads the projection of a run's frozen features; None if the run has none, or none yet.

    Of a run with several folds that of the first: they are fitted on the same images.

    Raises:
        FileNotFoundError: if it is missing and `is_needed`.
        ValueError: if the file is damaged.
    """
    paths = [workdir / PROJECTION_FILE, workdir / "fold_0" / PROJECTION_FILE]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        if is_needed:
            raise FileNotFoundError(f"{paths[0]} does not exist; copy the workdir whole")
        return None
    stored = _read_floats(path)
    levels = range(len(stored) // 2)
    names = [f"{name}_{i}" for name in FeatureProjection._fields for i in levels]
    if not names or set(names) != set(stored):
        raise damaged(path, f"has the arrays {sorted(stored)}")
    return FeatureProjection(
        *(tuple(stored[f"{name}_{i}"] for i in levels) for name in FeatureProjection._fields)
    )


def write_comparison(workdir: Path, stage: str, model: TwoCovariance) -> None:
    """Writes how the embeddings of an encoder are compared."""
    write_arrays(workdir / stage / COMPARISON_FILE, model._asdict())


def load_comparison(workdir: Path, stage: str) -> TwoCovariance:
    """Reads how the embeddings of an encoder are compared.

    Raises:
        FileNotFoundError: if it is missing.
        ValueError: if the file is damaged.
    """
    path = workdir / stage / COMPARISON_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist; copy the workdir whole, or train again with the same workdir, "
            "which writes the file"
        )
    stored = _read_floats(path)
    if set(stored) != set(TwoCovariance._fields):
        raise damaged(path, f"has the arrays {sorted(stored)}")
    return TwoCovariance(**stored)


def write_calibration(workdir: Path, rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Writes how likely two embeddings are of one person; see `same_person.calibrate_scores`."""
    write_json(workdir / CALIBRATION_FILE, rows)


def load_calibration(workdir: Path) -> dict[str, ScoreCalibration]:
    """Reads the curves of `within` and `across` sessions; empty before a run is evaluated.

    Raises:
        ValueError: if the file is damaged.
    """
    path = workdir / CALIBRATION_FILE
    if not path.is_file():
        return {}
    try:
        return read_curves(read_object(path))
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"has no curves, {error}") from None


def read_object(path: Path) -> dict[str, Any]:
    """Reads a JSON file of keys and values."""
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise damaged(path, f"is no JSON text, {error}") from None
    if not isinstance(content, dict):
        raise damaged(path, f"holds a {type(content).__name__}, not keys and values")
    return content


def _read_floats(path: Path) -> dict[str, np.ndarray]:
    """Reads an `.npz` of finite floats, see `read_arrays`."""
    arrays = read_arrays(path)
    for name, array in arrays.items():
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise damaged(path, f"has {name!r} with a NaN or infinite value, or of no floats")
    return arrays


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads an `.npz`, every byte by its checksums; a ValueError names a damaged file."""
    content = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(content) as archive:
            if (member := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"wrong checksum of {member}")
        content.seek(0)
        with np.load(content, allow_pickle=False) as stored:
            arrays = dict(stored)
    # What the readers of the two formats raise where bytes have changed.
    except (zipfile.BadZipFile, zlib.error, struct.error, *_READ_ERRORS) as error:
        raise damaged(path, f"is no whole .npz file, {error}") from None
    return arrays


def damaged(path: Path, found: str) -> ValueError:
    """The error of a file of a run that was changed."""
    return ValueError(
        f"{path} {found}; allowed: the file as the training wrote it: copy it again, or train again"
    )


def write_description(
    workdir: Path,
    config: ConfigDict,
    splits: Splits,
    dataset: Dataset,
    center_priors: Mapping[str, Float[np.ndarray, "height width"]],
) -> None:
    """Writes all that a run's folder holds beside what training and evaluation write.

    Args:
        workdir: the run's folder.
        config: the validated config.
        splits: which users and images are seen.
        dataset: the data set.
        center_priors: mean training map of each of `derived.INPUTS`.
    """
    write_config(workdir, config)
    write_json(
        workdir / "splits.json",
        named_splits(splits, dataset) | {"users_left_out": users_left_out(splits, dataset)},
    )
    write_json(
        workdir / DATA_FILE,
        {
            "name": config.data.name,
            "digest": dataset.digest,
            "has_durations": dataset.has_durations,
            "viewings": describe_viewings(
                dataset.gaze,
                splits.seen_users,
                splits.train_images,
                has_durations=dataset.has_durations,
            ),
            **dataset.gaze_source,
        },
    )
    write_arrays(workdir / CENTER_PRIOR_FILE, center_priors)
    if dataset.projection is not None:
        parts = dataset.projection._asdict().items()
        arrays = {f"{name}_{i}": part for name, of in parts for i, part in enumerate(of)}
        write_arrays(workdir / PROJECTION_FILE, arrays)


def load_gaze_source(workdir: Path) -> dict[str, Any]:
    """Reads how the gaze of a run's data set was read; {} of a run with several folds.

    Keys: see `types.Dataset.gaze_source`, and `name`, `digest`, `has_durations`.

    Raises:
        FileNotFoundError: if it is missing, or the folder is no workdir.
        ValueError: if the file is damaged.
    """
    path = workdir / DATA_FILE
    if not path.is_file():
        if load_config(workdir).split.cross_validate:
            return {}  # Each of them has its own.
        raise FileNotFoundError(
            f"{path} does not exist, so how the gaze of the training was read is not known; copy "
            "the workdir whole"
        )
    stored = read_object(path)
    of_table = ("convention",) if "format" in stored else ()
    for name in ("name", "digest", "has_durations", *of_table):
        if name not in stored:
            raise damaged(path, f"has no entry {name!r}")
    for name in ("convention", "source"):
        if not isinstance(stored.get(name, {}), dict):
            raise damaged(path, f"has an entry {name!r} that is not keys and values")
    return stored


def read_resources(workdir: Path) -> dict[str, dict[str, Any]]:
    """What the stages and the evaluation of a run have cost; see `write_resources`."""
    path = workdir / RESOURCES_FILE
    return read_object(path) if path.is_file() else {}


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
    every[name] = {
        "seconds": seconds,
        "peak_memory_bytes": max(before, peak),
        "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
    }
    write_json(workdir / RESOURCES_FILE, every)


def write_config(workdir: Path, config: ConfigDict) -> None:
    """Writes config.json: every value, package versions, commit and command."""
    workdir.mkdir(parents=True, exist_ok=True)
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    values = config.to_dict()
    # So that the run finds its data set from every folder.
    values["data"]["data_dir"] = absolute_data_dir(config.data.data_dir)
    write_json(
        workdir / "config.json",
        {
            "config": values,
            "versions": {"python": sys.version.split()[0], **versions},
            "commit": source_commit(),
            "command": " ".join(sys.argv),
        },
    )


def with_tuples(value: Any) -> Any:
    """Undoes what JSON does to tuples."""
    if isinstance(value, dict):
        return {key: with_tuples(entry) for key, entry in value.items()}
    return tuple(with_tuples(entry) for entry in value) if isinstance(value, list) else value
