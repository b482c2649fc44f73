"""Stage 1 where sessions are known: within a session, and across sessions.

Within a session, calibration, posture and the day are the same, so that the metrics of one session
are an upper bound of what is known of the person. In each draw, every user gets a recording at
random, or a pair of different recordings.

Gallery and probe are of one recording, or of two, the same for all methods. Both have n images and
share none.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gazejax.evaluation.verification.protocol import (
    Similarity,
    UserRepresentations,
    VerificationScores,
    enrolment_weights,
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
    return twice_the_fewest(best)


def twice_the_fewest(largest: Int[np.ndarray, " user"]) -> int:
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
