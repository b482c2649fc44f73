"""The protocols of both stages where sessions are known: within a session, and across sessions.

Within a session, calibration, posture and the day are the same, so that the metrics of one session
are an upper bound of what is known of the person. In each draw, every user gets a recording at
random, or a pair of different recordings.

Stage 1: gallery and probe are of one recording, or of two, the same for all methods. Both have n
images and share none.

Stage 2: the maps of a target recording are predicted. Within a session, the user enrols with n
images of the target recording, and across sessions with n images of the other one. Images of both
recordings come first in both enrolments. Thus the same maps are predicted within and across, and
the enrolment alone differs. A user with one recording takes part within a session.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gazejax.evaluation.baselines import Calibration
from gazejax.evaluation.prediction_protocol import PredictionRequest, conditions_of, derangements
from gazejax.evaluation.verification_protocol import (
    Similarity,
    UserRepresentations,
    VerificationScores,
    enrolment_weights,
    mean_representations,
)
from gazejax.inputs import perturbations
from gazejax.metrics import verification


class RecordingRepresentations(NamedTuple):
    """Representations by one method of the recordings of the users of one fold.

    Attributes:
        users: data-set index of each user.
        user: position in `users` of the user of each recording.
        representations: vector of each viewing, such as its embedding.
        viewed: in which recording which test image was seen.
        similarity: of means of representations.
        permuted: whether each draw permutes the labels of recordings within each image.
    """

    users: Int[np.ndarray, " user"]
    user: Int[np.ndarray, " recording"]
    representations: Float[np.ndarray, "recording image entry"]
    viewed: Bool[np.ndarray, "recording image"]
    similarity: Similarity
    permuted: bool = False


def largest_sizes(
    viewed: Bool[np.ndarray, "recording image"], *, across: bool
) -> Int[np.ndarray, "recording recording"]:
    """The largest n for which each recording can be the gallery and each other one the probe.

    Args:
        viewed: in which recording which image was seen.
        across: True: of pairs of different recordings. False: of a recording with itself.

    Returns:
        n by gallery and probe; 0 for the pairs that are not asked for.

    Example:
        >>> # Images 0 to 3, seen in both recordings: a gallery of 2 leaves 2 for the probe.
        >>> viewed = np.ones((2, 4), bool)
        >>> largest_sizes(viewed, across=True).tolist()
        [[0, 2], [2, 0]]
        >>> largest_sizes(viewed, across=False).tolist()
        [[2, 0], [0, 2]]
        >>> # No image in common: each recording has 2 images for its side.
        >>> largest_sizes(np.array([[1, 1, 0, 0], [0, 0, 1, 1]], bool), across=True).tolist()
        [[0, 2], [2, 0]]
    """
    number = viewed.sum(axis=1)
    if not across:
        return np.diag(number // 2)
    shared = viewed.astype(np.int64) @ viewed.T.astype(np.int64)
    # A gallery of n takes the probe at most min(n, shared) of its images.
    rest = number[None, :] - shared
    size = np.where(rest > shared, rest, np.minimum(shared, number[None, :] // 2))
    size = np.minimum(size, number[:, None])
    np.fill_diagonal(size, 0)
    return size


def available_images(compared: RecordingRepresentations, *, across: bool) -> int:
    """Images of gallery and probe together, of the largest n that every compared user reaches.

    Users without a possible pair are not compared; 0 where fewer than two users are.
    """
    size = largest_sizes(compared.viewed, across=across)
    of_users = [np.flatnonzero(compared.user == user) for user in range(len(compared.users))]
    best = np.array([size[np.ix_(rows, rows)].max(initial=0) for rows in of_users])
    return _twice_the_fewest(best)


def _twice_the_fewest(largest: Int[np.ndarray, " user"]) -> int:
    """Images of two samples of the largest n that all reach who reach any; 0 of fewer than two."""
    reached = largest[largest > 0]
    return 2 * int(reached.min()) if len(reached) >= 2 else 0


def score_sessions(
    compared: RecordingRepresentations,
    orders: Int[np.ndarray, "draw image"],
    *,
    size: int,
    across: bool,
    seed: int,
) -> VerificationScores:
    """Scores users by the mean representations of `size` images of one recording, or of two.

    Args:
        compared: the recordings and their representations.
        orders: orders of the test images; of the images of a recording, the first ones are taken.
        size: number of images of a gallery and of a probe.
        across: whether gallery and probe are of different recordings. Users without two of them
            are left out.
        seed: seed of the choice of recordings, and of the permutations of a method that permutes.

    Returns:
        The scores, with the users that are compared. MAP@R is that of the gallery and the probe.

    Raises:
        ValueError: if fewer than two users have recordings of so many images.
    """
    pairs = _pairs_of_users(compared, size=size, across=across)
    kept = np.array([user for user, of_user in enumerate(pairs) if len(of_user)], int)
    if len(kept) < 2:
        raise ValueError(
            f"{len(kept)} users have {'two recordings' if across else 'a recording'} with {size} "
            "images for gallery and probe each; allowed: at least 2 users"
        )
    chooser, permuter = np.random.default_rng(seed), np.random.default_rng(seed)
    owner = np.tile(np.arange(len(kept)), 2)
    shares_images = np.kron(np.eye(2), np.ones((len(kept), len(kept)))) > 0
    similarity, precision = [], []
    for order in orders:
        # One number for every user, so that the choice of one does not depend on the others.
        drawn = chooser.random(len(pairs))
        chosen = np.array([pairs[user][int(drawn[user] * len(pairs[user]))] for user in kept])
        representations = compared.representations
        if compared.permuted:
            of = perturbations.permute_viewers(compared.viewed, permuter)
            representations = np.take_along_axis(representations, of[..., None], axis=0)
        gallery, probe = chosen.T
        weights = enrolment_weights(compared.viewed[gallery], order, start=0, size=size)
        left = compared.viewed[probe] & (weights == 0)
        probe_weights = enrolment_weights(left, order, start=0, size=size)
        sides = np.concatenate(
            [
                _means(representations, gallery, weights, size),
                _means(representations, probe, probe_weights, size),
            ]
        )
        every = compared.similarity(sides, sides, size, size)
        similarity.append(every[len(kept) :, : len(kept)])
        found = verification.average_precision_at_r(np.where(shares_images, -np.inf, every), owner)
        precision.append(found.reshape(2, len(kept)).mean(axis=0))
    return VerificationScores(
        compared.users[kept], np.stack(similarity), np.stack(precision), samples_per_user=2
    )


def _means(
    representations: Float[np.ndarray, "recording image entry"],
    recordings: Int[np.ndarray, " user"],
    weights: Float[np.ndarray, "user image"],
    size: int,
) -> Float[np.ndarray, "user entry"]:
    """Mean representations over the `size` images of each user that have a weight."""
    images = np.nonzero(weights)[1].reshape(len(recordings), size)
    return representations[recordings[:, None], images].mean(axis=1, dtype=np.float64)


def _pairs_of_users(
    compared: RecordingRepresentations, *, size: int, across: bool
) -> list[Int[np.ndarray, "pair 2"]]:
    """Recordings of each user that can be gallery and probe of `size` images each."""
    possible = largest_sizes(compared.viewed, across=across) >= size
    possible &= compared.user[:, None] == compared.user[None, :]
    gallery, probe = np.nonzero(possible)
    return [
        np.stack([gallery, probe], axis=1)[compared.user[gallery] == user]
        for user in range(len(compared.users))
    ]


def joined_recordings(compared: UserRepresentations) -> RecordingRepresentations:
    """Users as recordings, one of each user with all viewings."""
    return RecordingRepresentations(
        users=compared.users,
        user=np.arange(len(compared.users)),
        representations=compared.representations,
        viewed=compared.viewed,
        similarity=compared.similarity,
        permuted=compared.permuted,
    )


def images_to_predict(recorded: RecordingRepresentations, *, across: bool) -> int:
    """Twice the largest n that every user can enrol with, which leaves n images to predict.

    Users who can enrol with no image do not count; 0 where fewer than two users can.

    Args:
        recorded: the recordings.
        across: whether users enrol in another recording than the one that is predicted.
    """
    best = np.zeros(len(recorded.users), int)
    for user in range(len(best)):
        number = recorded.viewed[recorded.user == user].sum(axis=1)
        size = np.minimum(number[:, None], number[None, :] // 2)
        best[user] = size[np.eye(len(number), dtype=bool) != across].max(initial=0)
    return _twice_the_fewest(best)


class Enrolments(NamedTuple):
    """What users enrol with and what is predicted, in each draw.

    Attributes:
        users: position of each user in `RecordingRepresentations.users`; the others are left out.
        enrolled: recording in which each user enrols.
        target: recording of each user whose maps are predicted.
        is_enrolled: images with which each user enrols.
        is_query: images of the target recording that are predicted.
    """

    users: Int[np.ndarray, " user"]
    enrolled: Int[np.ndarray, "draw user"]
    target: Int[np.ndarray, "draw user"]
    is_enrolled: Bool[np.ndarray, "draw user image"]
    is_query: Bool[np.ndarray, "draw user image"]


def enrol(
    recorded: RecordingRepresentations,
    orders: Int[np.ndarray, "draw image"],
    *,
    size: int,
    across: bool,
    seed: int,
) -> Enrolments:
    """Draws the recordings of each user, and the images with which the user enrols.

    Args:
        recorded: the recordings.
        orders: orders of the test images; a user enrols with the first ones of the recording.
        size: number of images of an enrolment; at least as many are predicted.
        across: whether users enrol in another recording than the one that is predicted. Users
            without two of them are left out.
        seed: seed of the choice of recordings. A user with the same possible pairs gets the same
            pair for each size and either value of `across`.

    Raises:
        ValueError: if fewer than two users have recordings of so many images.
    """
    number = recorded.viewed.sum(axis=1)
    of_users = (np.flatnonzero(recorded.user == user) for user in range(len(recorded.users)))
    pairs = [_target_pairs(rows, number[rows], size) for rows in of_users]
    is_kept = [len(of) > 0 and not (across and of[0, 0] == of[0, 1]) for of in pairs]
    kept = np.flatnonzero(is_kept)
    if len(kept) < 2:
        raise ValueError(
            f"{len(kept)} users have {'two recordings' if across else 'a recording'} to enrol with "
            f"{size} images and to predict as many; allowed: at least 2 users"
        )
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in orders:
        # One number for every user, so that the choice of one does not depend on the others.
        at = generator.random(len(pairs))
        drawn.append([pairs[user][int(at[user] * len(pairs[user]))] for user in kept])
    other, target = np.moveaxis(np.array(drawn), -1, 0)
    seen_in = recorded.viewed[other], recorded.viewed[target]
    in_other, in_target = (_first_images(viewed, seen_in, orders, size) for viewed in seen_in)
    is_enrolled = in_other if across else in_target
    return Enrolments(
        users=kept,
        enrolled=other if across else target,
        target=target,
        is_enrolled=is_enrolled,
        is_query=recorded.viewed[target] & ~in_target & ~is_enrolled,
    )


def _target_pairs(
    recordings: Int[np.ndarray, " recording"], number: Int[np.ndarray, " recording"], size: int
) -> Int[np.ndarray, "pair 2"]:
    """(other, target) recordings of a user: two different ones if possible, else twice the same.

    Args:
        recordings: of the user.
        number: images of each.
        size: number of images of an enrolment.
    """
    other, target = np.nonzero(np.minimum(number[:, None], number[None, :] // 2) >= size)
    is_across = other != target
    if is_across.any():
        other, target = other[is_across], target[is_across]
    return np.stack([recordings[other], recordings[target]], axis=1)


def _first_images(
    viewed: Bool[np.ndarray, "draw user image"],
    both: tuple[Bool[np.ndarray, "draw user image"], Bool[np.ndarray, "draw user image"]],
    orders: Int[np.ndarray, "draw image"],
    size: int,
) -> Bool[np.ndarray, "draw user image"]:
    """The first `size` viewed images of each order, those seen in both recordings before others."""
    num_images = orders.shape[1]
    place = np.argsort(orders, axis=1)[:, None] + num_images * ~(both[0] & both[1])
    images = np.argsort(np.where(viewed, place, 2 * num_images), axis=-1)[..., :size]
    first = np.zeros(viewed.shape, bool)
    np.put_along_axis(first, images, True, axis=-1)
    return first


def mean_of_enrolled(
    values: Float[np.ndarray, "recording image entry"], enrolments: Enrolments
) -> Float[np.ndarray, "draw user entry"]:
    """Means over the images with which each user enrols, in each draw."""
    return np.stack(
        [
            mean_representations(values[recordings], images / images.sum(axis=1, keepdims=True))
            for recordings, images in zip(enrolments.enrolled, enrolments.is_enrolled, strict=True)
        ]
    )


def make_request(
    known: RecordingRepresentations,
    seen: RecordingRepresentations,
    orders: Int[np.ndarray, "draw image"],
    sizes: Sequence[int],
    *,
    across: bool,
    images: Int[np.ndarray, " image"],
    rows: Int[np.ndarray, " recording"] | None,
    likelihoods: Float[np.ndarray, "recording image setting"],
    grid: Calibration,
    num_swaps: int,
    seed: int,
) -> PredictionRequest:
    """What stage 2 predicts of a group of users: all draws of the first n, then of the next.

    Args:
        known: recordings of the users, represented by the encoder.
        seen: those of the seen users, of whom the mean embedding is.
        orders: orders of the test images, one for each draw.
        sizes: numbers of enrolment images.
        across: as in `enrol`.
        images: data-set index of each test image.
        rows: index of each recording of `known` among all recordings; None: sessions are not known.
        likelihoods: of `baselines.calibration_likelihoods`, for each recording of `known`.
        grid: the settings of the likelihoods.
        num_swaps: number of other users whose embeddings each user gets.
        seed: of the choice of recordings, and of the swaps.

    Raises:
        ValueError: as `enrol`.
    """
    found, embeddings = [], []
    for size in sizes:
        of_known, of_seen = (
            enrol(one, orders, size=size, across=across, seed=seed) for one in (known, seen)
        )
        swaps = derangements(len(of_known.users), num_swaps, seed)
        own = mean_of_enrolled(known.representations, of_known)
        of_others = mean_of_enrolled(seen.representations, of_seen)
        embeddings += [
            conditions_of(one, others.mean(axis=0), swaps)
            for one, others in zip(own, of_others, strict=True)
        ]
        found.append(of_known)
    settings = np.concatenate([mean_of_enrolled(likelihoods, one).argmax(axis=-1) for one in found])
    return PredictionRequest(
        users=known.users[found[0].users],
        images=images,
        is_enrolled=np.concatenate([one.is_enrolled for one in found]),
        is_query=np.concatenate([one.is_query for one in found]),
        embeddings=np.stack(embeddings),
        calibration=Calibration(*(values[settings] for values in grid)),
        recordings=None if rows is None else rows[np.concatenate([one.target for one in found])],
    )
