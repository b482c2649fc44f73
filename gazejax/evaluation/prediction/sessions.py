"""Stage 2 where sessions are known: within a session, and across sessions.

The maps of a target recording are predicted. Within a session, the user enrols with n images of the
target recording, and across sessions with n images of the other one. Images of both recordings come
first in both enrolments. Thus the same maps are predicted within and across, and the enrolment
alone differs. A user with one recording takes part within a session. Sessions are taken in an order
that is the same for all users, so that users who are swapped enrol in the same sessions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gazejax.evaluation.prediction.calibration import Calibration
from gazejax.evaluation.prediction.protocol import PredictionRequest, conditions_of, derangements
from gazejax.evaluation.verification.protocol import mean_representations
from gazejax.evaluation.verification.sessions import (
    RecordingRepresentations,
    of_most,
    session_places,
)


def images_to_predict(recorded: RecordingRepresentations, *, across: bool) -> int:
    """Twice the largest n that most users can enrol with, which leaves n images to predict.

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
    return 2 * of_most(best)


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
    largest: int,
    across: bool,
    seed: int,
) -> Enrolments:
    """Draws the recordings of each user, and the images with which the user enrols.

    Args:
        recorded: the recordings.
        orders: orders of the test images; a user enrols with the first ones of the recording.
        size: number of images of an enrolment; at least as many are predicted.
        largest: largest size that the users are compared at. Those who cannot enrol with so many
            images are left out at every size.
        across: whether users enrol in another recording than the one that is predicted. Users
            without two of them are left out.
        seed: seed of the order of sessions. A user with the same possible pairs gets the same
            pair for each size and either value of `across`.

    Raises:
        ValueError: if fewer than two users have recordings of so many images.
    """
    number = recorded.viewed.sum(axis=1)
    of_users = (np.flatnonzero(recorded.user == user) for user in range(len(recorded.users)))
    pairs, is_kept = [], []
    for rows in of_users:
        possible = _target_pairs(rows, number[rows], largest)
        is_kept.append(len(possible) > 0 and not (across and possible[0, 0] == possible[0, 1]))
        pairs.append(_target_pairs(rows, number[rows], size))
    kept = np.flatnonzero(is_kept)
    if len(kept) < 2:
        raise ValueError(
            f"{len(kept)} users have {'two recordings' if across else 'a recording'} to enrol with "
            f"{largest} images and to predict as many; allowed: at least 2 users"
        )
    drawn = []
    for place in session_places(recorded.session, len(orders), seed):
        # The first pair in the order of sessions of the draw.
        drawn.append([min(pairs[user], key=lambda pair: tuple(place[pair])) for user in kept])
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
        likelihoods: of `calibration.calibration_likelihoods`, for each recording of `known`.
        grid: the settings of the likelihoods.
        num_swaps: number of other users whose embeddings each user gets.
        seed: of the choice of recordings, and of the swaps.

    Raises:
        ValueError: as `enrol`.
    """
    found, embeddings = [], []
    for size in sizes:
        of_known, of_seen = (
            enrol(one, orders, size=size, largest=max(sizes), across=across, seed=seed)
            for one in (known, seen)
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
