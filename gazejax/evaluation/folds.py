"""A trained fold, opened for evaluation: what each method knows of the users."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from gazejax.config.derived import INPUTS, STAGES
from gazejax.data.loading import apply_image_overlap, make_config_splits
from gazejax.data.splits import Splits
from gazejax.evaluation import baselines, prediction_protocol, verification_protocol
from gazejax.inference.embed import embed_viewings
from gazejax.inputs import perturbations
from gazejax.inputs.stage_arrays import StageArrays, make_stage_arrays
from gazejax.metrics import bootstrap, verification
from gazejax.types import AnyArray, Dataset, Gaze, longest_viewing
from gazejax.workdir.guards import check_no_leaks, check_same_encoder
from gazejax.workdir.layout import latest_step
from gazejax.workdir.parameters import load_params, load_replacement_universal_maps

GROUPS = ("seen", "unseen")


class Fold(NamedTuple):
    """One trained fold, ready to be evaluated.

    Attributes:
        workdir: its folder.
        config: its config.
        splits: who and what is seen.
        viewings: what the networks read, but for all the gaze there is, and the group's maps.
        universal: of all images, what the networks are told in place of those; None: nothing.
        compared: for the seen and the unseen users, what each method of stage 1 knows of them.
    """

    workdir: Path
    config: ConfigDict
    splits: Splits
    viewings: dict[str, StageArrays]
    universal: Float[np.ndarray, "all_images height width"] | None
    compared: dict[str, dict[str, verification_protocol.UserRepresentations]]


def open_fold(workdir: Path, config: ConfigDict, dataset: Dataset) -> Fold:
    """Reads a trained fold, and embeds all users on its test images.

    Raises:
        FileNotFoundError: if there is no trained encoder.
        ValueError: if the data set is not the one of the training, or a user or image that is to
            be unseen took part in it.
    """
    dataset = apply_image_overlap(config, dataset)
    splits = make_config_splits(config, dataset)
    trained = [stage for stage in STAGES if latest_step(workdir, stage) is not None]
    for stage in trained:
        check_no_leaks(workdir, stage, splits, dataset)
    if "saliency" in trained:
        check_same_encoder(workdir, load_params(workdir, "encoder"))
    viewings, universal, methods = make_representations(workdir, config, dataset, splits)
    compared = {
        group: represent_users(methods, users, splits.test_images)
        for group, users in _groups(splits).items()
    }
    return Fold(workdir, config, splits, viewings, universal, compared)


def _groups(splits: Splits) -> dict[str, Int[np.ndarray, " user"]]:
    return {"seen": splits.seen_users, "unseen": splits.unseen_users}


class Representation(NamedTuple):
    """What a method knows of all users; see `verification_protocol.Compared`."""

    representations: Float[np.ndarray, "user image entry"]
    length: Int[AnyArray, "user all_images"]
    similarity: Callable[[np.ndarray, np.ndarray], np.ndarray]
    permuted: bool = False


def make_representations(
    workdir: Path,
    config: ConfigDict,
    dataset: Dataset,
    splits: Splits,
) -> tuple[dict[str, StageArrays], np.ndarray | None, dict[str, Representation]]:
    """Viewings and told maps of a fold, as in `Fold`, and the encoder and the controls of stage 1.

    Raises:
        ValueError: if an unseen user contributes to a universal map.
    """
    images, users = splits.test_images, np.arange(len(dataset.user_ids))
    viewings = {name: make_stage_arrays(name, config, dataset, splits) for name in INPUTS}
    for arrays in viewings.values():
        prediction_protocol.check_no_members(arrays.group, splits.unseen_users)
    universal = load_replacement_universal_maps(workdir, config, viewings, jax.local_devices())
    # Little gaze is an unseen user's: of the seen ones, who make the universal maps, all is known.
    gaze = perturbations.limit_gaze(dataset.gaze, users=splits.unseen_users, **config.eval.gaze)

    def told_of(gaze: Gaze) -> StageArrays:
        if universal is None and gaze is dataset.gaze:
            return viewings["encoder"]
        changed = dataset._replace(gaze=gaze)
        return make_stage_arrays("encoder", config, changed, splits, universal)

    told = told_of(gaze)

    def embed(stage: str, viewings: StageArrays) -> Float[np.ndarray, "user image embedding"]:
        return embed_viewings(
            config,
            load_params(workdir, stage),
            viewings,
            users=users,
            images=images,
            devices=jax.local_devices(),
        )

    distance = verification.negative_distance
    statistics = baselines.fixation_statistics(gaze, users, images)
    training = baselines.fixation_statistics(gaze, splits.seen_users, splits.train_images)
    residual = baselines.residual_maps(
        viewings["saliency"].group,
        gaze,
        users=users,
        images=images,
        sigma_frac=config.data.sigma_frac,
        max_fixations=longest_viewing(gaze),
    )
    spread = training[training[..., 0] > 0].std(axis=0)
    methods = {
        "encoder": Representation(embed("encoder", told), gaze.viewing_length, distance),
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
            embed("encoder", told_of(truncated)), truncated.viewing_length, distance
        )
    if latest_step(workdir, "permuted_encoder") is not None:
        permuted = embed("permuted_encoder", told)
        methods["permuted_labels"] = Representation(
            permuted, gaze.viewing_length, distance, permuted=True
        )
        methods["permuted_training"] = Representation(permuted, gaze.viewing_length, distance)
    return viewings, universal, methods


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


def resample_users_of(
    group: str, folds: Sequence[Fold], config: ConfigDict, dataset: Dataset
) -> Int[np.ndarray, "resample user"]:
    """How often each resample of the bootstrap draws each user of a group."""
    return bootstrap.resample_users(
        [fold.compared[group]["encoder"].users for fold in folds],
        num_users=len(dataset.user_ids),
        num_resamples=config.eval.num_resamples,
        generator=np.random.default_rng(config.eval.seed),
    )
