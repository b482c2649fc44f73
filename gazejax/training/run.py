"""Trains a run: its folds, and the stages of each in order."""

import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gazejax.config.derived import INPUTS, STAGES, fold_configs, stages_to_train
from gazejax.config.identity import fingerprint
from gazejax.config.validation import validate
from gazejax.data import loading
from gazejax.data.checks import (
    refuse_too_little_to_compare,
    refuse_too_small,
    warn_excluded_users,
    warn_missing_universal_maps,
)
from gazejax.data.loading import add_features, make_config_splits, read_dataset
from gazejax.data.splits import Splits, named_splits
from gazejax.inference.embed import embed_pairs
from gazejax.inputs import perturbations
from gazejax.inputs.perturbations import told_embeddings
from gazejax.inputs.stage_arrays import Viewings, make_viewings
from gazejax.runtime import distributed
from gazejax.training.devices import choose_devices
from gazejax.training.encoder_stage import make_encoder_stage
from gazejax.training.loop import train
from gazejax.training.saliency_stage import make_saliency_stage
from gazejax.training.stage import Stage
from gazejax.training.universal_stage import make_universal_stage
from gazejax.types import Dataset
from gazejax.workdir import checkpoints
from gazejax.workdir.guards import (
    refuse_another_encoder,
    refuse_another_experiment,
    refuse_other_folds,
)
from gazejax.workdir.layout import (
    checkpoint_folder,
    load_basis,
    trained_steps,
    write_config,
    write_description,
)
from gazejax.workdir.parameters import load_params, load_told_universals


def make_stage(
    name: str,
    config: ConfigDict,
    viewings: dict[str, Viewings],
    *,
    encoder_params: Any,
    devices: list[jax.Device],
) -> Stage:
    """Builds a stage from the config.

    Args:
        name: one of `STAGES`.
        config: a validated config.
        viewings: for each of `INPUTS`, from `make_viewings`.
        encoder_params: parameters of the trained encoder; stage `saliency` only.
        devices: the devices that will train.

    Raises:
        ValueError: if the devices cannot share a batch; see `refuse_too_small` for the data.
    """
    match name:
        case "encoder" | "permuted_encoder":
            arrays = viewings["encoder"]
            if name == "permuted_encoder" or config.controls.gaze == "permuted":
                gaze = perturbations.permute_users(
                    arrays.gaze, np.asarray(arrays.users), config.seed
                )
                arrays = arrays._replace(gaze=gaze)
            return make_encoder_stage(name, config, arrays, devices)
        case "universal":
            return make_universal_stage(config, viewings["saliency"], devices)
        case "saliency":
            embeddings = embed_pairs(
                config,
                encoder_params,
                viewings["encoder"],
                users=np.asarray(viewings["saliency"].users),
                images=np.asarray(viewings["saliency"].images),
                devices=devices,
            )
            embeddings = told_embeddings(config, embeddings, viewings["saliency"].viewed)
            return make_saliency_stage(config, viewings["saliency"], embeddings, devices)
        case _:
            raise ValueError(f"stage is {name!r}; allowed: {', '.join(STAGES)}")


def train_folds(config: ConfigDict, workdir: Path) -> None:
    """Trains what is left of the stages that the config asks for, on every fold it asks for.

    The caller holds `lock.locked`.

    Raises:
        ValueError: if the config is impossible, or the workdir holds another experiment.
        FileNotFoundError: if the data set is not prepared, or stage 1 is missing for stage 2.
        FloatingPointError: if too many updates in a row were not finite.
    """
    validate(config)
    dataset = read_dataset(config)
    folds = fold_configs(config, workdir)
    refuse_other_folds(workdir, config)
    for folder, fold_config in folds.items():
        of_fold = loading.of_fold(fold_config, dataset)
        splits = make_config_splits(fold_config, of_fold)
        refuse_too_little_to_compare(splits, of_fold)
        refuse_too_small(fold_config, of_fold, splits)
        refuse_another_experiment(folder, fold_config, splits, of_fold)
    warn_excluded_users(config, splits, dataset)
    warn_missing_universal_maps(config, splits, of_fold)
    # All that could be refused was: from here on, things are compiled and written.
    dataset = add_features(config, dataset, load_basis(workdir))
    if len(folds) > 1 and distributed.is_first():
        write_config(workdir, config)
    for folder, fold_config in folds.items():
        if len(folds) > 1:
            distributed.say(f"training fold {fold_config.split.fold} of {len(folds)}")
        _train_fold(fold_config, folder, loading.of_fold(fold_config, dataset))


def _train_fold(config: ConfigDict, workdir: Path, dataset: Dataset) -> None:
    splits = make_config_splits(config, dataset)
    devices = choose_devices(config)
    of_group = {name: make_viewings(name, config, dataset, splits) for name in INPUTS}
    if distributed.is_first():
        write_description(workdir, config, splits, dataset, of_group)
    told = None
    for name in stages_to_train(config):
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
        stage = make_stage(
            name,
            config,
            viewings,
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
        distributed.refuse_different(
            "config, data set or residency: checksum", zlib.crc32(what_must_agree.encode())
        )
        train(stage, config, workdir, metadata=metadata, devices=devices)


def _told_viewings(
    config: ConfigDict,
    workdir: Path,
    dataset: Dataset,
    splits: Splits,
    of_group: dict[str, Viewings],
    devices: list[jax.Device],
) -> dict[str, Viewings]:
    """What all stages but `universal` read."""
    universal = load_told_universals(workdir, config, of_group, devices)
    if universal is None:
        return of_group
    return {key: make_viewings(key, config, dataset, splits, universal) for key in INPUTS}


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
