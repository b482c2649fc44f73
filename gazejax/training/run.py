"""Trains a run: its folds, and the stages of each in order."""

import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gazejax.config.derived import (
    ENCODER_STAGES,
    STAGES,
    batch_divisor,
    dataset_names,
    embedding_layout,
    fold_configs,
    stages_to_train,
)
from gazejax.config.identity import fingerprint
from gazejax.config.validation import validate
from gazejax.data.checks import (
    check_batches_fit,
    check_enough_to_compare,
    check_folds_are_large,
    warn_excluded_users,
    warn_missing_universal_maps,
)
from gazejax.data.joining import select_dataset, select_splits
from gazejax.data.loading import (
    add_features,
    apply_image_overlap,
    make_config_splits,
    read_dataset,
)
from gazejax.data.splits import named_splits
from gazejax.inference.comparison import fit_comparison
from gazejax.inference.embed import embed_viewings
from gazejax.inference.networks import encoder_network
from gazejax.inference.stage_inputs import both_stage_inputs, make_stage_inputs
from gazejax.inputs.perturbations import apply_embedding_control, permute_user_labels
from gazejax.inputs.stage_arrays import StageInputs, center_prior, pool_rows
from gazejax.runtime import distributed
from gazejax.training.devices import choose_devices
from gazejax.training.encoder_stage import make_encoder_stage
from gazejax.training.loop import TrainingOptions, train
from gazejax.training.saliency_stage import make_saliency_stage
from gazejax.training.stage import Stage
from gazejax.training.universal_stage import make_universal_stage
from gazejax.types import Dataset
from gazejax.workdir import checkpoints
from gazejax.workdir.guards import (
    check_same_encoder,
    check_same_experiment,
    check_same_folds,
)
from gazejax.workdir.layout import (
    checkpoint_folder,
    latest_step,
    load_projection,
    write_comparison,
    write_config,
    write_description,
)
from gazejax.workdir.parameters import load_params, load_replacement_universal_maps


def make_stage(
    name: str,
    config: ConfigDict,
    inputs: dict[str, StageInputs],
    *,
    encoder_params: Any,
    devices: list[jax.Device],
) -> Stage:
    """Builds a stage from the config.

    Args:
        name: one of `STAGES`.
        config: a validated config.
        inputs: from `both_stage_inputs`.
        encoder_params: parameters of the trained encoder; stage `saliency` only.
        devices: the devices that will train.

    Raises:
        ValueError: if the devices cannot share a batch; see `check_batches_fit` for the data.
    """
    match name:
        case "encoder" | "permuted_encoder":
            labels = config.controls.encoder_user_labels
            of_encoder = _with_labels(name, labels, inputs["encoder"], config.seed)
            return make_encoder_stage(name, config, of_encoder, devices)
        case "universal":
            return make_universal_stage(config, inputs["saliency"], devices)
        case "saliency":
            pool = inputs["saliency"].arrays.pool
            embeddings = embed_viewings(
                encoder_network(config, num_users=len(pool.users)),
                encoder_params,
                inputs["encoder"],
                users=np.asarray(pool.users),
                images=np.asarray(pool.images),
                embedding_size=sum(embedding_layout(config)),
                devices=devices,
                batch_size=config.eval.batch_size,
            )
            given = apply_embedding_control(
                config.controls.embeddings, embeddings, seed=config.seed
            )
            return make_saliency_stage(config, inputs["saliency"], given, devices)
        case _:
            raise ValueError(f"stage is {name!r}; allowed: {', '.join(STAGES)}")


def train_folds(config: ConfigDict, workdir: Path) -> None:
    """Trains what is left of the stages that the config asks for, on every fold it asks for.

    The caller holds `workdir.lock`.

    Raises:
        ValueError: if the config is impossible, or the workdir holds another experiment.
        FileNotFoundError: if the data set is not prepared, or stage 1 is missing for stage 2.
        FloatingPointError: if too many updates in a row were not finite.
    """
    validate(config)
    dataset = read_dataset(config)
    folds = fold_configs(config, workdir)
    check_same_folds(workdir, config)
    unseen: list[np.ndarray] = []
    for folder, fold_config in folds.items():
        of_fold = apply_image_overlap(fold_config, dataset)
        splits = make_config_splits(fold_config, of_fold)
        for number in range(len(dataset_names(config.data.name))):
            check_enough_to_compare(
                select_splits(of_fold, splits, number), select_dataset(of_fold, number)
            )
        check_batches_fit(fold_config, of_fold, splits)
        check_same_experiment(folder, fold_config, splits, of_fold)
        unseen.append(splits.unseen_users)
    check_folds_are_large(unseen, num_users=len(dataset.user_ids))
    warn_excluded_users(config, splits, dataset)
    if config.data.universal_map == "seen_users":
        warn_missing_universal_maps(splits, of_fold)
    # All that could be refused was: from here on, things are compiled and written.
    dataset = add_features(config, dataset, load_projection(workdir))
    if len(folds) > 1 and distributed.is_main_process():
        write_config(workdir, config)
    for folder, fold_config in folds.items():
        if len(folds) > 1:
            distributed.log(f"training fold {fold_config.split.fold} of {len(folds)}")
        _train_fold(fold_config, folder, apply_image_overlap(fold_config, dataset))


def _train_fold(config: ConfigDict, workdir: Path, dataset: Dataset) -> None:
    splits = make_config_splits(config, dataset)
    devices = choose_devices(batch_divisor(config))
    # What stage `universal` is to predict; the other stages may read its predictions instead.
    inputs, replacement = both_stage_inputs(config, dataset, splits), None
    leave_one_out = inputs
    if distributed.is_main_process():
        priors = {name: center_prior(one.arrays) for name, one in leave_one_out.items()}
        write_description(workdir, config, splits, dataset, priors)
    options = TrainingOptions(
        seed=config.seed,
        steps_per_dispatch=config.training.steps_per_dispatch,
        log_every=config.training.log_every,
        max_consecutive_nonfinite=config.training.max_consecutive_nonfinite,
        checkpoint_every=config.checkpoint.every,
        checkpoints_kept=config.checkpoint.keep,
        stream={**config.data.stream},
    )
    for name in stages_to_train(config):
        has_replacement = name != "universal" and config.data.universal_map != "seen_users"
        if has_replacement and inputs is leave_one_out:
            arrays = leave_one_out["saliency"].arrays
            replacement = load_replacement_universal_maps(workdir, config, arrays, devices)
            inputs = both_stage_inputs(config, dataset, splits, replacement)
        encoder_params = None
        if name == "saliency":
            _check_encoder_finished(workdir, config.encoder.num_steps)
            encoder_params = load_params(workdir, "encoder")
            if latest_step(workdir, "saliency") is not None:
                check_same_encoder(workdir, encoder_params)
        of_stage = leave_one_out if name == "universal" else inputs
        split_sessions = config.encoder.batch.split_sessions and dataset.recordings is not None
        if name in ENCODER_STAGES and split_sessions:
            of_recordings = make_stage_inputs(
                "encoder", config, dataset, splits, replacement, by_recording=True
            )
            of_stage = {**of_stage, "encoder": of_recordings}
        stage = make_stage(
            name,
            config,
            of_stage,
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
        distributed.check_same(
            "config, data set or image storage: checksum", zlib.crc32(what_must_agree.encode())
        )
        train(stage, options, workdir, metadata=metadata, devices=devices)
        comparison = {**config.encoder.comparison}
        is_compared = comparison.pop("kind") == "two_covariance" and name in ENCODER_STAGES
        if is_compared and distributed.is_main_process():
            fitted = fit_comparison(
                stage.network,
                load_params(workdir, name),
                # A control whose labels are permuted must not learn the true ones here.
                _with_labels(
                    name,
                    config.controls.encoder_user_labels,
                    of_stage["encoder"],
                    config.seed,
                ),
                embedding_size=sum(embedding_layout(config)),
                devices=jax.local_devices(),
                batch_size=config.eval.batch_size,
                **comparison,
            )
            write_comparison(workdir, name, fitted)


def _with_labels(name: str, labels: str, inputs: StageInputs, seed: int) -> StageInputs:
    """What an encoder learns from: the viewings under the true labels of users, or permuted ones.

    Args:
        name: of the stage; the labels of the control are always permuted.
        labels: `true` or `permuted`.
        inputs: with true labels.
        seed: of the permutation.
    """
    if name != "permuted_encoder" and labels == "true":
        return inputs
    arrays = inputs.arrays
    gaze = permute_user_labels(arrays.gaze, pool_rows(arrays), seed)
    return inputs._replace(arrays=arrays._replace(gaze=gaze))


def _check_encoder_finished(workdir: Path, num_steps: int) -> None:
    done = latest_step(workdir, "encoder")
    if done is None:
        raise FileNotFoundError(
            f"no checkpoint in {checkpoint_folder(workdir, 'encoder')}; stage saliency needs a "
            "trained encoder: run with --config.stage=all, or first with --config.stage=encoder"
        )
    if done < num_steps:
        raise ValueError(
            f"the encoder in {workdir} is at step {done} of {num_steps}; stage saliency needs it "
            "finished: run with --config.stage=all"
        )
