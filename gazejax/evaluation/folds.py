"""A trained fold, opened for evaluation: what each method knows of the users."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from gazejax.config.derived import embedding_layout, fold_configs
from gazejax.data.loading import apply_image_overlap, load_dataset, make_config_splits
from gazejax.data.splits import Splits
from gazejax.evaluation import baselines, prediction_protocol, verification_protocol
from gazejax.inference.embed import embed_viewings
from gazejax.inference.networks import encoder_network
from gazejax.inference.stage_inputs import both_stage_inputs, make_stage_inputs
from gazejax.inputs import perturbations
from gazejax.inputs.stage_arrays import StageInputs
from gazejax.metrics import bootstrap, verification
from gazejax.runtime.progress import track
from gazejax.types import AnyArray, Dataset, Gaze, longest_viewing
from gazejax.workdir.finished import check_finished
from gazejax.workdir.guards import check_no_leaks, check_same_encoder
from gazejax.workdir.layout import latest_step, load_config, load_projection
from gazejax.workdir.parameters import load_params, load_replacement_universal_maps

GROUPS = ("seen", "unseen")


class Fold(NamedTuple):
    """One trained fold, ready to be evaluated.

    Attributes:
        workdir: its folder.
        config: its config.
        splits: which users and images are seen.
        inputs: what the networks read, with all gaze and the leave-one-out maps.
        replacement: universal maps of all images in place of the leave-one-out maps; None: none.
        compared: for the seen and the unseen users, the representations of each method of stage 1.
    """

    workdir: Path
    config: ConfigDict
    splits: Splits
    inputs: dict[str, StageInputs]
    replacement: Float[np.ndarray, "all_images height width"] | None
    compared: dict[str, dict[str, verification_protocol.UserRepresentations]]

    def saliency_is_trained(self) -> bool:
        """Whether the fold has a saliency network."""
        return latest_step(self.workdir, "saliency") is not None


class Run(NamedTuple):
    """A trained run, ready to be evaluated.

    Attributes:
        workdir: its folder.
        config: its config.
        dataset: its data set, with frozen features.
        folds: one, or those of a cross-validation.
    """

    workdir: Path
    config: ConfigDict
    dataset: Dataset
    folds: list[Fold]


def open_run(workdir: Path) -> Run:
    """Reads all folds of a run, and embeds all users on the test images of each.

    Raises:
        FileNotFoundError: if the folder is no workdir, its data set is not prepared, or there is no
            trained encoder.
        ValueError: if the data set is not the one of the training, a user or image that is to
            be unseen took part in it, or a stage is not finished.
    """
    config = load_config(workdir)
    dataset = load_dataset(config, load_projection(workdir))
    configs, folds = fold_configs(config, workdir), []
    with track("evaluation, embeddings", len(configs)) as show:
        for folder, fold_config in configs.items():
            folds.append(open_fold(folder, fold_config, dataset))
            show(len(folds), "folds")
    return Run(workdir, config, dataset, folds)


def open_fold(workdir: Path, config: ConfigDict, dataset: Dataset) -> Fold:
    """Reads a trained fold, and embeds all users on its test images.

    Raises:
        FileNotFoundError: if there is no trained encoder.
        ValueError: if the data set is not the one of the training, a user or image that is to
            be unseen took part in it, or a stage is not finished.
    """
    dataset = apply_image_overlap(config, dataset)
    splits = make_config_splits(config, dataset)
    trained = check_finished(workdir)
    for stage in trained:
        check_no_leaks(workdir, stage, splits, dataset)
    if "saliency" in trained:
        check_same_encoder(workdir, load_params(workdir, "encoder"))
    inputs, replacement, methods = make_representations(workdir, config, dataset, splits)
    compared = {
        group: represent_users(methods, users, splits.test_images)
        for group, users in _groups(splits).items()
    }
    return Fold(workdir, config, splits, inputs, replacement, compared)


def _groups(splits: Splits) -> dict[str, Int[np.ndarray, " user"]]:
    return {"seen": splits.seen_users, "unseen": splits.unseen_users}


class Representation(NamedTuple):
    """What a method knows of all users; see `verification_protocol.UserRepresentations`."""

    representations: Float[np.ndarray, "user image entry"]
    length: Int[AnyArray, "user all_images"]
    similarity: Callable[[np.ndarray, np.ndarray], np.ndarray]
    permuted: bool = False


def make_representations(
    workdir: Path,
    config: ConfigDict,
    dataset: Dataset,
    splits: Splits,
) -> tuple[dict[str, StageInputs], np.ndarray | None, dict[str, Representation]]:
    """The encoder and the controls of stage 1 on a fold.

    Returns:
        `inputs` and `replacement` as in `Fold`, and the representations of each method.

    Raises:
        ValueError: if an unseen user contributes to a universal map.
    """
    images, users = splits.test_images, np.arange(len(dataset.user_ids))
    inputs = both_stage_inputs(config, dataset, splits)
    for one in inputs.values():
        prediction_protocol.check_no_members(one.arrays.universal, splits.unseen_users)
    saliency_arrays = inputs["saliency"].arrays
    replacement = load_replacement_universal_maps(
        workdir, config, saliency_arrays, jax.local_devices()
    )
    # Little gaze is of unseen users: of the seen users, who make the universal maps, all is used.
    gaze = perturbations.limit_gaze(dataset.gaze, users=splits.unseen_users, **config.eval.gaze)
    network = encoder_network(config, num_users=len(splits.seen_users))

    def encoder_inputs(gaze: Gaze) -> StageInputs:
        if replacement is None and gaze is dataset.gaze:
            return inputs["encoder"]
        changed = dataset._replace(gaze=gaze)
        return make_stage_inputs("encoder", config, changed, splits, replacement)

    def embed(stage: str, inputs: StageInputs) -> Float[np.ndarray, "user image embedding"]:
        return embed_viewings(
            network,
            load_params(workdir, stage),
            inputs,
            users=users,
            images=images,
            embedding_size=sum(embedding_layout(config)),
            devices=jax.local_devices(),
            batch_size=config.eval.batch_size,
        )

    distance, of_limited = verification.negative_distance, encoder_inputs(gaze)
    statistics = baselines.fixation_statistics(gaze, users, images)
    training = baselines.fixation_statistics(gaze, splits.seen_users, splits.train_images)
    residual = baselines.residual_maps(
        saliency_arrays.universal,
        gaze,
        users=users,
        images=images,
        spec=inputs["saliency"].spec._replace(max_fixations=longest_viewing(gaze)),
    )
    spread = training[training[..., 0] > 0].std(axis=0)
    methods = {
        "encoder": Representation(embed("encoder", of_limited), gaze.viewing_length, distance),
        "residual_map": Representation(residual, gaze.viewing_length, verification.correlation),
        "fixation_statistics": Representation(
            statistics / np.where(spread > 0, spread, 1.0), gaze.viewing_length, distance
        ),
    }
    truncated = perturbations.truncate_scanpaths(gaze, config.eval.truncated_fixations)
    if np.min((np.asarray(truncated.viewing_length)[:, images] > 0).sum(axis=1)) < 2:
        print(
            f"control encoder_truncated left out: a user has fewer than 2 test images with "
            f"config.eval.truncated_fixations = {config.eval.truncated_fixations} fixations",
            file=sys.stderr,
        )
    else:
        methods["encoder_truncated"] = Representation(
            embed("encoder", encoder_inputs(truncated)), truncated.viewing_length, distance
        )
    if latest_step(workdir, "permuted_encoder") is not None:
        permuted = embed("permuted_encoder", of_limited)
        methods["permuted_labels"] = Representation(
            permuted, gaze.viewing_length, distance, permuted=True
        )
        methods["permuted_training"] = Representation(permuted, gaze.viewing_length, distance)
    return inputs, replacement, methods


def represent_users(
    methods: Mapping[str, Representation],
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
) -> dict[str, verification_protocol.UserRepresentations]:
    """What each method knows of some users on some images."""
    return {
        method: verification_protocol.UserRepresentations(
            users=users,
            representations=known.representations[users],
            viewed=np.asarray(known.length)[np.ix_(users, images)] > 0,
            similarity=known.similarity,
            permuted=known.permuted,
        )
        for method, known in methods.items()
    }


def fewest_images(folds: Sequence[Fold], method: str) -> int:
    """Test images that every user of every fold and group saw at least, as the method counts.

    The same for seen and unseen users: all can enrol with n images and be compared on n others.
    """
    return min(
        int(np.min(methods[method].viewed.sum(axis=1)))
        for fold in folds
        for methods in fold.compared.values()
    )


def resample_users_of(group: str, run: Run) -> Int[np.ndarray, "resample user"]:
    """How often each resample of the bootstrap samples each user of a group."""
    return bootstrap.resample_users(
        [fold.compared[group]["encoder"].users for fold in run.folds],
        num_users=len(run.dataset.user_ids),
        num_resamples=run.config.eval.num_resamples,
        generator=np.random.default_rng(run.config.eval.seed),
    )
