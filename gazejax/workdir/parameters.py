"""Loads the parameters of a stage, makes a digest of a run, and copies encoders between runs."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gazejax.config.derived import ENCODER_STAGES, dataset_names, fold_configs
from gazejax.inference.networks import encoder_network, saliency_network
from gazejax.inference.universal import predict_universal_maps
from gazejax.inputs.stage_arrays import StageArrays, center_priors
from gazejax.models.feature_projection import FeatureProjection
from gazejax.runtime.devices import replicated
from gazejax.runtime.files import write_json
from gazejax.workdir import checkpoints
from gazejax.workdir.layout import (
    PROJECTION_FILE,
    RESOURCES_FILE,
    checkpoint_folder,
    latest_step,
    load_config,
    read_resources,
    with_tuples,
)


def load_params(workdir: Path, stage: str, *, num_steps: int = 0) -> Any:
    """Loads the parameters of a trained stage, by the config and splits saved beside them.

    Args:
        workdir: the run's folder.
        stage: one of `STAGES`.
        num_steps: length of the training, to load a finished stage only; 0: any checkpoint.

    Raises:
        FileNotFoundError: if the stage has no checkpoint.
        ValueError: if the checkpoint does not load, or is of an earlier step than `num_steps`.
    """

    def make_abstract_trees(metadata: dict[str, Any]) -> dict[str, Any]:
        # Valid when it was saved; keys that came since do not matter to a network.
        config = ConfigDict(with_tuples(metadata["config"]))
        num_users = len(metadata["splits"]["seen_users"])
        if stage in ENCODER_STAGES:
            network = encoder_network(config, num_users=num_users)
        elif stage == "saliency":
            network = saliency_network(config, num_users=num_users)
        else:
            num_datasets = len(dataset_names(config.data.name))
            network = saliency_network(config, num_users=0, num_datasets=num_datasets)
        return {"params": network.abstract_params}

    sharding = replicated(jax.local_devices()[:1])
    folder = checkpoint_folder(workdir, stage)
    restored = checkpoints.restore(folder, make_abstract_trees, sharding, num_steps=num_steps)
    return restored.trees["params"]


def digest_of_run(
    params: Sequence[Any],
    values: Mapping[str, Any],
    center_prior: Mapping[str, np.ndarray],
    projection: FeatureProjection | None,
) -> str:
    """SHA-256 of all that the embeddings and maps of a run depend on.

    Args:
        params: of each stage, None where there is none.
        values: those of the config, a dictionary for each section.
        center_prior: mean training map of each of `derived.INPUTS`.
        projection: of the frozen features, if the run has any.
    """
    sections = ("data", "encoder", "features", "saliency", "universal")
    settings = {name: dict(values[name]) for name in sections}
    del settings["data"]["data_dir"]  # The same data may lie elsewhere.
    text = json.dumps(settings, sort_keys=True)
    tree = {str(number): one for number, one in enumerate(params) if one is not None}
    tree |= {"center_prior": dict(center_prior), "config": np.frombuffer(text.encode(), np.uint8)}
    if projection is not None:
        tree["projection"] = projection._asdict()
    return checkpoints.digest(tree)


def copy_encoders(source: Path, target: Path, stages_to_copy: Sequence[str]) -> None:
    """Gives a run the finished encoders of another one, where it has not begun to train its own.

    Whether they are those it would have trained, `check_same_experiment` says when it starts:
    by config, splits and digest of the data.

    Args:
        source: workdir of the other run, with one fold or several.
        target: workdir of the run.
        stages_to_copy: of `derived.ENCODER_STAGES`.
    """
    for folder, config in fold_configs(load_config(source), source).items():
        into = target / folder.relative_to(source)
        for stage in stages_to_copy:
            if (into / stage).exists() or latest_step(folder, stage) != config.encoder.num_steps:
                continue
            into.mkdir(parents=True, exist_ok=True)
            if (folder / PROJECTION_FILE).is_file():
                shutil.copy2(folder / PROJECTION_FILE, into / PROJECTION_FILE)
            temporary = into / f".{stage}.tmp"
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.copytree(folder / stage, temporary)
            spent = {stage: read_resources(folder)[stage]}
            write_json(into / RESOURCES_FILE, read_resources(into) | spent)
            temporary.rename(into / stage)


def load_replacement_universal_maps(
    workdir: Path, config: ConfigDict, arrays: StageArrays, devices: list[jax.Device]
) -> Float[np.ndarray, "all_images map_height map_width"] | None:
    """Universal maps that networks are given in place of the leave-one-out maps.

    Args:
        workdir: of the run.
        config: the validated config.
        arrays: what stage `saliency` reads, with the leave-one-out maps.
        devices: the devices to use.

    Returns:
        A map of each image of the data set; None: networks are given the leave-one-out maps.

    Raises:
        FileNotFoundError: if stage `universal` predicts the maps and has no checkpoint.
    """
    all_images = np.arange(arrays.gaze.viewing_length.shape[1])
    match config.data.universal_map:
        case "seen_users":
            return None
        case "center_prior":
            priors, of_image = center_priors(arrays)
            if len(priors) == 1:
                return np.broadcast_to(priors[0], (len(all_images), *priors.shape[1:]))
            return priors[of_image]
        case "predicted":
            params = load_params(workdir, "universal")
            return predict_universal_maps(config, params, arrays, all_images, devices)
        case other:
            raise ValueError(f"data.universal_map is {other!r}; see gazejax.config.schema")
