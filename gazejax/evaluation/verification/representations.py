"""What the encoder and each control know of users, or of their recordings, on test images."""

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gazejax.data.splits import Splits
from gazejax.evaluation.verification import baselines, protocol
from gazejax.evaluation.verification.sessions import LEAST_USERS, RecordingRepresentations
from gazejax.inputs import perturbations
from gazejax.inputs.maps import JoinedGaze
from gazejax.inputs.stage_arrays import StageInputs
from gazejax.inputs.viewing_vectors import ViewingVectors, gather, select_users
from gazejax.metrics import verification
from gazejax.types import (
    AnyArray,
    Dataset,
    Gaze,
    Recordings,
    longest_viewing,
    recordings_of,
    rows_of,
)

# Mean embedding of the users of a data set, or None: that of the training -> how the embeddings of
# its users are compared.
Comparison = Callable[[Float[np.ndarray, " embedding"] | None], protocol.Similarity]


class Representation(NamedTuple):
    """What a method knows of all users, or of all recordings; see `protocol`.

    Attributes:
        represent: numbers of users, or of recordings -> the vectors of their viewings. Maps of all
            of them at once may not fit the memory.
        length: number of fixations of each viewing.
        similarity: of two representations.
        permuted: whether the labels are permuted within images.
    """

    represent: Callable[[Int[np.ndarray, " row"]], ViewingVectors]
    length: Int[AnyArray, "user all_images"]
    similarity: protocol.Similarity
    permuted: bool = False


def make_representations(
    dataset: Dataset,
    splits: Splits,
    saliency: StageInputs,
    embed: Callable[[Dataset, Sequence[str]], list[ViewingVectors]],
    *,
    stages: Sequence[str],
    limits: Mapping[str, Any],
    truncated_fixations: int,
    by_recording: bool,
    comparisons: Sequence[Comparison],
) -> dict[str, Representation]:
    """The encoder and the controls of stage 1 on a fold, of its users or of its recordings.

    Args:
        dataset: the data set.
        splits: which users and images are seen.
        saliency: what stage 2 reads, whose maps the control without learning compares.
        embed: data set with changed gaze, trained encoders -> embeddings of all test images.
        stages: the trained encoders: `encoder` first, then its control, if it is trained.
        limits: how much gaze of unseen users there is; see `perturbations.limit_gaze`.
        truncated_fixations: fixations of each viewing of the control of that name.
        by_recording: whether each recording is represented in place of each user.
        comparisons: of each trained encoder. A data set or shorter scanpaths move all embeddings
            alike, so that each method is given the mean of its own embeddings of seen users.
    """
    images, recordings = splits.test_images, dataset.recordings if by_recording else None
    seen = rows_of(splits.seen_users, recordings)

    def gaze_of(dataset: Dataset) -> Gaze:
        apart = dataset.recordings if by_recording else None
        return dataset.gaze if apart is None else apart.gaze

    # Little gaze is of unseen users: of the seen users, who make the universal maps, all is used.
    limited = _with_gaze(
        dataset,
        lambda gaze, users: perturbations.limit_gaze(gaze, users=users, **limits),
        splits.unseen_users,
    )
    gaze = gaze_of(limited)

    def represented(compare: Comparison, embeddings: ViewingVectors, length: Any) -> Representation:
        user, image = np.nonzero(np.asarray(length)[np.ix_(seen, images)])
        compared = compare(gather(embeddings, seen[user], image).mean(axis=0))
        return Representation(functools.partial(select_users, embeddings), length, compared)

    embeddings, *permuted = embed(limited, stages)
    methods = {
        "encoder": represented(comparisons[0], embeddings, gaze.viewing_length),
        **_without_learning(limited, gaze, splits, saliency, recordings),
    }
    truncated = _with_gaze(
        dataset,
        lambda gaze, _: perturbations.truncate_scanpaths(gaze, truncated_fixations),
        np.array([], int),
    )
    lengths = np.asarray(gaze_of(truncated).viewing_length)
    if not by_recording and np.min((lengths[:, images] > 0).sum(axis=1)) < 2:
        print(
            "control encoder_truncated left out: a user has fewer than 2 test images with "
            f"config.eval.truncated_fixations = {truncated_fixations} fixations",
            file=sys.stderr,
        )
    else:
        (of_truncated,) = embed(truncated, stages[:1])
        methods["encoder_truncated"] = represented(comparisons[0], of_truncated, lengths)
    for one, compare in zip(permuted, comparisons[1:], strict=True):
        known = represented(compare, one, gaze.viewing_length)
        methods["permuted_labels"] = known._replace(permuted=True)
        methods["permuted_training"] = known
    return methods


def _without_learning(
    dataset: Dataset,
    gaze: Gaze,
    splits: Splits,
    saliency: StageInputs,
    recordings: Recordings | None,
) -> dict[str, Representation]:
    """The controls without learning.

    Args:
        dataset: the data set, with the gaze of users that is used.
        gaze: that of users, or of recordings.
        splits: which users and images are seen.
        saliency: what stage 2 reads.
        recordings: whose gaze it is; None: of users.
    """
    seen = rows_of(splits.seen_users, recordings)
    training = baselines.fixation_statistics(gaze, seen, splits.train_images)
    spread = training.vectors.std(axis=0)
    longest = max(longest_viewing(gaze), longest_viewing(dataset.gaze))

    def residual_maps(rows: Int[np.ndarray, " row"]) -> ViewingVectors:
        return baselines.residual_maps(
            saliency.arrays.universal,
            gaze,
            users=rows,
            images=splits.test_images,
            spec=saliency.spec._replace(max_fixations=longest),
            joined=recordings and JoinedGaze(dataset.gaze, recordings.user),
        )

    def statistics(rows: Int[np.ndarray, " row"]) -> ViewingVectors:
        found = baselines.fixation_statistics(gaze, rows, splits.test_images)
        return found._replace(vectors=found.vectors / np.where(spread > 0, spread, 1.0))

    return {
        "residual_map": Representation(
            residual_maps, gaze.viewing_length, protocol.at_any_size(verification.correlation)
        ),
        "fixation_statistics": Representation(
            statistics,
            gaze.viewing_length,
            protocol.at_any_size(verification.negative_distance),
        ),
    }


def _with_gaze(
    dataset: Dataset,
    change: Callable[[Gaze, np.ndarray], Gaze],
    users: Int[np.ndarray, " user"],
) -> Dataset:
    """Changes the gaze of users and of their recordings; the same data set if nothing changes."""
    gaze, recordings = change(dataset.gaze, users), dataset.recordings
    if gaze is dataset.gaze:
        return dataset
    if recordings is not None:
        apart = change(recordings.gaze, rows_of(users, recordings))
        recordings = recordings._replace(gaze=apart)
    return dataset._replace(gaze=gaze, recordings=recordings)


def represent_users(
    methods: Mapping[str, Representation],
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
) -> dict[str, protocol.UserRepresentations]:
    """What each method knows of some users on some images."""
    found = {
        method: protocol.UserRepresentations(
            users=users,
            representations=known.represent(users),
            viewed=np.asarray(known.length)[np.ix_(users, images)] > 0,
            similarity=known.similarity,
            permuted=known.permuted,
        )
        for method, known in methods.items()
    }
    return {method: known for method, known in found.items() if _permutes_most(method, known)}


def represent_recordings(
    methods: Mapping[str, Representation],
    recordings: Recordings,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
) -> dict[str, RecordingRepresentations]:
    """What each method knows of the recordings of some users on some images.

    Args:
        methods: of all recordings.
        recordings: the recordings.
        users: the users to compare.
        images: the images that `methods` represents.
    """
    rows = recordings_of(users, recordings.user)
    session = _number_sessions(recordings)
    position = {one: number for number, one in enumerate(users.tolist())}
    found = {
        method: RecordingRepresentations(
            users=users,
            user=np.array([position[one] for one in recordings.user[rows].tolist()]),
            session=session[rows],
            representations=known.represent(rows),
            viewed=np.asarray(known.length)[np.ix_(rows, images)] > 0,
            similarity=known.similarity,
            permuted=known.permuted,
        )
        for method, known in methods.items()
    }
    return {method: known for method, known in found.items() if _permutes_most(method, known)}


def _number_sessions(recordings: Recordings) -> Int[np.ndarray, " recording"]:
    """A number of each session, the same for sessions of one name.

    Where fewer than half of the users share two names with three others (one, where users have one
    session), or with all, as of files that are named by user and session, or of dates, the first
    sessions of the users have one number, as have the second ones.
    """
    _, number = np.unique(recordings.session_ids, return_inverse=True)
    # Recordings of a user follow each other.
    _, first, user = np.unique(recordings.user, return_index=True, return_inverse=True)
    has_session = np.zeros((len(first), number.max(initial=-1) + 1), np.float32)
    has_session[user, number] = 1
    num_users = has_session.T @ has_session  # Of each pair of names, and of each name.
    has_two = has_session.sum(axis=1) > 1
    if has_two.any():
        np.fill_diagonal(num_users, 0)
        has_session = has_session[has_two]
    is_shared = [
        num_users[np.ix_(names, names)].max() >= max(min(LEAST_USERS, len(has_session)), 2)
        for names in map(np.flatnonzero, has_session)
    ]
    place = np.arange(len(number)) - first[user]
    return number if 2 * sum(is_shared) >= len(is_shared) else place


def _permutes_most(
    method: str, known: protocol.UserRepresentations | RecordingRepresentations
) -> bool:
    """Whether a control that permutes labels within images permutes most; any other method does.

    Labels of an image with one viewer stay: the control would be the method itself.
    """
    if not known.permuted:
        return True
    # A user with two recordings of an image is one viewer.
    is_viewer = np.zeros((len(known.users), known.viewed.shape[1]), bool)
    user = known.user if isinstance(known, RecordingRepresentations) else np.arange(len(is_viewer))
    np.logical_or.at(is_viewer, user, known.viewed)
    of_several = known.viewed[:, is_viewer.sum(axis=0) >= 2].sum()
    if 2 * of_several >= known.viewed.sum():
        return True
    print(
        f"control {method} left out: {of_several} of {known.viewed.sum()} viewings are of test "
        "images with two viewers who are compared; at least half must be",
        file=sys.stderr,
    )
    return False
