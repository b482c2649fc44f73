"""A trained fold, opened for evaluation: what each method knows of the users."""

import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from gazejax.config.derived import ENCODER_STAGES, dataset_names, embedding_layout, fold_configs
from gazejax.data.joining import select_dataset, select_splits
from gazejax.data.loading import apply_image_overlap, load_dataset, make_config_splits
from gazejax.data.splits import Splits
from gazejax.evaluation.prediction.queries import check_no_members
from gazejax.evaluation.verification import protocol
from gazejax.evaluation.verification.representations import (
    Comparison,
    Representation,
    make_representations,
    represent_recordings,
    represent_users,
)
from gazejax.evaluation.verification.sessions import RecordingRepresentations
from gazejax.inference.embed import embed_viewings
from gazejax.inference.networks import encoder_network
from gazejax.inference.stage_inputs import both_stage_inputs, make_stage_inputs
from gazejax.inference.two_covariance import log_likelihood_ratios
from gazejax.inputs.stage_arrays import StageInputs
from gazejax.inputs.viewing_vectors import ViewingVectors
from gazejax.metrics import bootstrap, verification
from gazejax.runtime.progress import track
from gazejax.types import Dataset, Recordings
from gazejax.workdir.finished import check_finished
from gazejax.workdir.guards import check_no_leaks, check_same_encoder
from gazejax.workdir.layout import latest_step, load_comparison, load_config, load_projection
from gazejax.workdir.parameters import load_params, load_replacement_universal_maps

GROUPS = ("seen", "unseen")


class Fold(NamedTuple):
    """One trained fold, ready to be evaluated.

    Attributes:
        workdir: its folder.
        config: its config.
        splits: which users and images are seen.
        inputs: what the networks read, with all gaze and the leave-one-out maps.
        recordings: sessions of all users, with the gaze that the config leaves; None: not known.
        replacement: universal maps of all images in place of the leave-one-out maps; None: none.
        compared: for the seen and the unseen users, the representations of each method of stage 1.
        recorded: likewise with the sessions of each user apart; empty if sessions are not known.
        dataset: all users, with the images that the config leaves each of them.
    """

    workdir: Path
    config: ConfigDict
    splits: Splits
    inputs: dict[str, StageInputs]
    recordings: Recordings | None
    replacement: Float[np.ndarray, "all_images height width"] | None
    compared: dict[str, dict[str, protocol.UserRepresentations]]
    recorded: dict[str, dict[str, RecordingRepresentations]]
    dataset: Dataset

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

    Of a run on several data sets, the users and images of the first.

    Raises:
        FileNotFoundError: if the folder is no workdir, its data set is not prepared, or there is no
            trained encoder.
        ValueError: if the data set is not the one of the training, a user or image that is to
            be unseen took part in it, or a stage is not finished.
    """
    return next(open_runs(workdir))


def open_runs(workdir: Path) -> Iterator[Run]:
    """The run of each data set that a workdir was trained on; raises the errors of `open_run`."""
    config = load_config(workdir)
    dataset = load_dataset(config, load_projection(workdir))
    for number in range(len(dataset_names(config.data.name))):
        configs, folds = fold_configs(config, workdir), []
        with track("evaluation, embeddings", len(configs)) as show:
            for folder, fold_config in configs.items():
                folds.append(open_fold(folder, fold_config, dataset, number))
                show(len(folds), "folds")
        yield Run(workdir, config, select_dataset(dataset, number), folds)


def open_fold(workdir: Path, config: ConfigDict, dataset: Dataset, number: int = 0) -> Fold:
    """Reads a trained fold, and embeds the users of one of its data sets on its test images.

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
    splits, dataset = select_splits(dataset, splits, number), select_dataset(dataset, number)
    splits = splits._replace(test_images=without_copies(dataset, splits.test_images))
    groups = {"seen": splits.seen_users, "unseen": splits.unseen_users}
    return represent_fold(workdir, config, dataset, splits, groups)


def without_copies(dataset: Dataset, images: Int[np.ndarray, " image"]) -> Int[np.ndarray, " kept"]:
    """Images without copies: of those that are copies of each other, the one most users saw.

    Gallery and probe, or an enrolment and a predicted map, would else be of one picture.

    Args:
        dataset: with the copies.
        images: data-set indices.
    """
    number_of = {dataset.image_ids[image]: image for image in images.tolist()}
    num_viewers = np.count_nonzero(np.asarray(dataset.gaze.viewing_length), axis=0)
    left_out: set[int] = set()
    for names in dataset.copies:
        members = sorted(number_of[name] for name in names if name in number_of)
        if members:
            left_out |= {*members} - {max(members, key=lambda image: num_viewers[image])}
    if left_out:
        print(
            f"evaluation: {len(left_out)} of {len(images)} test images are copies of others, such "
            f"as {dataset.image_ids[min(left_out)]!r}, and are left out",
            file=sys.stderr,
        )
    return images[~np.isin(images, [*left_out])]


def represent_fold(
    workdir: Path,
    config: ConfigDict,
    dataset: Dataset,
    splits: Splits,
    groups: Mapping[str, Int[np.ndarray, " user"]],
) -> Fold:
    """Represents groups of users by the encoder and the controls, on the test images of a fold.

    Raises:
        ValueError: if an unseen user contributes to a universal map.
    """
    inputs = both_stage_inputs(config, dataset, splits)
    for one in inputs.values():
        check_no_members(one.arrays.universal, splits.unseen_users)
    replacement = load_replacement_universal_maps(
        workdir, config, inputs["saliency"].arrays, jax.local_devices()
    )
    network = encoder_network(config, num_users=len(splits.seen_users))
    stages = [stage for stage in ENCODER_STAGES if latest_step(workdir, stage) is not None]
    comparisons = [
        load_similarity(workdir, stage, config.encoder.comparison.kind) for stage in stages
    ]

    def embed(changed: Dataset, stages: Sequence[str], by_recording: bool) -> list[ViewingVectors]:
        is_as_trained = replacement is None and changed is dataset and not by_recording
        of_encoder = inputs["encoder"]
        if not is_as_trained:
            of_encoder = make_stage_inputs(
                "encoder",
                config,
                changed,
                splits,
                replacement,
                by_recording=by_recording,
                max_fixations=of_encoder.spec.max_fixations,
            )
        return [
            embed_viewings(
                network,
                load_params(workdir, stage),
                of_encoder,
                users=np.arange(len(of_encoder.arrays.gaze.viewing_length)),
                images=splits.test_images,
                embedding_size=sum(embedding_layout(config)),
                devices=jax.local_devices(),
                batch_size=config.eval.batch_size,
            )
            for stage in stages
        ]

    def represent(by_recording: bool) -> dict[str, Representation]:
        return make_representations(
            dataset,
            splits,
            inputs["saliency"],
            functools.partial(embed, by_recording=by_recording),
            stages=stages,
            limits={**config.eval.gaze},
            truncated_fixations=config.eval.truncated_fixations,
            by_recording=by_recording,
            comparisons=comparisons,
        )

    methods, recorded = represent(by_recording=False), {}
    compared = {
        group: represent_users(methods, users, splits.test_images)
        for group, users in groups.items()
    }
    if dataset.recordings is not None:
        methods = represent(by_recording=True)
        recorded = {
            group: represent_recordings(methods, dataset.recordings, users, splits.test_images)
            for group, users in groups.items()
        }
    return Fold(
        workdir,
        config,
        splits,
        inputs,
        dataset.recordings,
        replacement,
        compared,
        recorded,
        dataset,
    )


def load_similarity(workdir: Path, stage: str, kind: str) -> Comparison:
    """How the embeddings of a trained encoder are compared."""
    if kind == "distance":
        return lambda _: protocol.at_any_size(verification.negative_distance)
    model = load_comparison(workdir, stage)
    return lambda mean: log_likelihood_ratios(model if mean is None else model._replace(mean=mean))


def fewest_images(folds: Sequence[Fold], method: str) -> int:
    """Test images that every user of every fold and group saw at least, as the method counts.

    The same for seen and unseen users: all can enrol with n images and be compared on n others.
    A group without the method, a control that is left out, counts as the encoder does.
    """
    return min(
        int(np.min(methods.get(method, methods["encoder"]).viewed.sum(axis=1)))
        for fold in folds
        for methods in fold.compared.values()
    )


def resample_users_of(users: Sequence[Sequence[int]], run: Run) -> Int[np.ndarray, "resample user"]:
    """How often each resample of the bootstrap samples each user.

    Args:
        users: data-set indices of the users that are compared in each fold.
        run: of the folds.
    """
    return bootstrap.resample_users(
        [np.array(one) for one in users],
        num_users=len(run.dataset.user_ids),
        num_resamples=run.config.eval.num_resamples,
        generator=np.random.default_rng(run.config.eval.seed),
    )
