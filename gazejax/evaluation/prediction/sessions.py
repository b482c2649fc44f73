"""Stage 2 where sessions are known: within a session, and across sessions.

The maps of a target recording are predicted. Within a session, the user enrols with n images of the
target recording, and across sessions with n images of the other one. The sessions of a draw are the
same for all users, so that users who are swapped enrol in the same session. Where all users saw the
same images, images of both recordings come first in both enrolments. Elsewhere the images of each
draw are divided among enrolment and prediction, for all users alike: the embedding of another user
would else be of the very image that is predicted. Either way the same maps are predicted within and
across, and the enrolment alone differs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gazejax.evaluation.prediction.calibration import Calibration
from gazejax.evaluation.prediction.protocol import PredictionRequest, conditions_of, derangements
from gazejax.evaluation.verification.session_pairs import (
    common_pairs,
    draw_pairs,
    halve_images,
    is_most,
    largest_usable,
    of_most,
)
from gazejax.evaluation.verification.sessions import RecordingRepresentations, recording_table
from gazejax.inputs.viewing_vectors import (
    ViewingVectors,
    from_dense,
    join_users,
    mean_over_images,
    select_users,
)


def images_to_predict(recorded: RecordingRepresentations, *, across: bool) -> int:
    """Twice the largest n that most users can enrol with, which leaves n images to predict.

    Users who can enrol with no image do not count; 0 where fewer than two users can.

    Args:
        recorded: the recordings.
        across: whether users enrol in another recording than the one that is predicted.
    """
    return 2 * of_most(_largest_sizes(recorded, across=across).max(axis=(1, 2)))


def usable_size(
    groups: Sequence[tuple[RecordingRepresentations, RecordingRepresentations]],
    orders: Int[np.ndarray, "draw image"],
    size: int,
    *,
    across: bool,
    seed: int,
) -> int:
    """The largest n, up to `size`, with which most users of each group can enrol; 0: there is none.

    Most of the seen users must be able to enrol in the same sessions too: their mean embedding
    would else be that of a few.

    Args:
        groups: recordings of users, and those of the seen users, as of `make_request`.
        orders: as of `enrol`.
        size: number of images that is asked for.
        across: as of `enrol`.
        seed: likewise.
    """
    joined = [
        (
            join_groups(known, seen),
            [_largest_sizes(one, across=across).max(axis=(1, 2)) for one in (known, seen)],
        )
        for known, seen in groups
    ]

    def is_usable(size: int) -> bool:
        for everyone, (largest, largest_of_seen) in joined:
            users = _draw(everyone, orders, size=size, across=across, seed=seed).users
            is_known = users < len(largest)
            if not is_most(int(np.count_nonzero(is_known)), largest):
                return False
            if len(everyone.users) > len(largest) and not is_most(
                int(np.count_nonzero(~is_known)), largest_of_seen
            ):
                return False
        return True

    fewest = min(images_to_predict(known, across=across) for known, _ in groups)
    return largest_usable(min(size, fewest // 2), is_usable)


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
        size: number of images of an enrolment.
        largest: largest size that the users are compared at. Those who cannot enrol with so many
            images are left out at every size.
        across: whether users enrol in another recording than the one that is predicted. Users
            without two of them are left out.
        seed: seed of the order of sessions.

    Raises:
        ValueError: if fewer than two users have recordings of so many images.
    """
    drawn = _draw(recorded, orders, size=largest, across=across, seed=seed)
    if len(drawn.users) < 2:
        raise ValueError(
            f"{len(drawn.users)} users have {'two recordings' if across else 'a recording'} to "
            f"enrol with {largest} images and to predict as many; allowed: at least 2 users"
        )
    seen_in = recorded.viewed[drawn.other], recorded.viewed[drawn.target]
    allowed = drawn.of_enrolment[:, None]
    in_other, in_target = (
        _first_images(viewed & allowed, seen_in, orders, size) for viewed in seen_in
    )
    is_query = seen_in[1] & ~in_target & ~(in_other if across else in_target)
    return Enrolments(
        users=drawn.users,
        enrolled=drawn.other if across else drawn.target,
        target=drawn.target,
        is_enrolled=in_other if across else in_target,
        is_query=is_query & drawn.of_prediction[:, None],
    )


class _Draws(NamedTuple):
    """Recordings and images of each draw.

    Attributes:
        users: position of each user in `RecordingRepresentations.users`.
        other: recording in which each user enrols across sessions; the target where the user need
            have no other one.
        target: recording of each user whose maps are predicted.
        of_enrolment: images with which users may enrol.
        of_prediction: images that may be predicted; where all users saw the same images, each image
            may be either.
    """

    users: Int[np.ndarray, " user"]
    other: Int[np.ndarray, "draw user"]
    target: Int[np.ndarray, "draw user"]
    of_enrolment: Bool[np.ndarray, "draw image"]
    of_prediction: Bool[np.ndarray, "draw image"]


def _draw(
    recorded: RecordingRepresentations,
    orders: Int[np.ndarray, "draw image"],
    *,
    size: int,
    across: bool,
    seed: int,
) -> _Draws:
    """Draws sessions, the same for all users, until each user can enrol with `size` images."""
    recording, viewed = recording_table(recorded), recorded.viewed
    is_possible = _largest_sizes(recorded, across=True) >= size
    if not across:
        within = _largest_sizes(recorded, across=False) >= size
        # The pairs of the table across sessions, unless most users have one session only.
        if 2 * is_possible.sum(axis=0).max() < within.sum(axis=0).max():
            is_possible = within
    while True:
        users, pairs = common_pairs(is_possible)
        chosen = draw_pairs(pairs, recording.shape[1], len(orders), seed)
        other, target = (recording[users][:, session].T for session in chosen.T)
        everywhere = np.ones(orders.shape, bool)
        drawn = _Draws(users, other, target, everywhere, everywhere)
        if not len(users):
            return drawn
        seen_in = viewed[other], viewed[target]
        if not all((seen == seen[:, :1]).all() for seen in seen_in):
            of_enrolment = halve_images(
                viewed,
                np.concatenate([other, target], axis=1),
                np.concatenate([target, target], axis=1),
                orders,
            )
            drawn = drawn._replace(of_enrolment=of_enrolment, of_prediction=~of_enrolment)
        number = [(seen & drawn.of_enrolment[:, None]).sum(axis=-1) for seen in seen_in]
        to_predict = (seen_in[1] & drawn.of_prediction[:, None]).sum(axis=-1)
        draw, user = np.nonzero((np.minimum(*number) < size) | (to_predict < 1))
        if not len(draw):
            return drawn
        is_possible[users[user], *chosen[draw].T] = False


def _largest_sizes(
    recorded: RecordingRepresentations, *, across: bool
) -> Int[np.ndarray, "user session session"]:
    """The largest n of each user to enrol in one session, and to predict n maps of another one."""
    recording = recording_table(recorded)
    number = np.where(recording < 0, 0, recorded.viewed.sum(axis=1)[recording])
    largest = np.minimum(number[:, :, None], number[:, None, :] // 2)
    return np.where(np.eye(number.shape[1], dtype=bool) != across, largest, 0)


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
    values: ViewingVectors, enrolments: Enrolments
) -> Float[np.ndarray, "draw user entry"]:
    """Means over the images with which each user enrols, in each draw."""
    return np.stack(
        [
            mean_over_images(
                select_users(values, recordings), images / images.sum(axis=1, keepdims=True)
            )
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
    everyone = join_groups(known, seen)
    found, embeddings = [], []
    for size in sizes:
        of_all = enrol(everyone, orders, size=size, largest=max(sizes), across=across, seed=seed)
        is_known = of_all.users < len(known.users)
        of_known = _of_users(of_all, is_known)
        of_seen = of_known
        if known is not seen:
            of_seen = _of_users(of_all, ~is_known, len(known.users), len(known.user))
        swaps = derangements(len(of_known.users), num_swaps, seed)
        own = mean_of_enrolled(known.representations, of_known)
        of_others = mean_of_enrolled(seen.representations, of_seen)
        embeddings += [
            conditions_of(one, others.mean(axis=0), swaps)
            for one, others in zip(own, of_others, strict=True)
        ]
        found.append(of_known)
    of_viewings = from_dense(likelihoods, known.viewed)
    settings = np.concatenate([mean_of_enrolled(of_viewings, one).argmax(axis=-1) for one in found])
    return PredictionRequest(
        users=known.users[found[0].users],
        images=images,
        is_enrolled=np.concatenate([one.is_enrolled for one in found]),
        is_query=np.concatenate([one.is_query for one in found]),
        embeddings=np.stack(embeddings),
        calibration=Calibration(*(values[settings] for values in grid)),
        recordings=None if rows is None else rows[np.concatenate([one.target for one in found])],
    )


def join_groups(
    known: RecordingRepresentations, seen: RecordingRepresentations
) -> RecordingRepresentations:
    """Users and the seen users together, so that both enrol in the same sessions."""
    if known is seen:
        return known
    return known._replace(
        users=np.concatenate([known.users, seen.users]),
        user=np.concatenate([known.user, seen.user + len(known.users)]),
        session=np.concatenate([known.session, seen.session]),
        representations=join_users(known.representations, seen.representations),
        viewed=np.concatenate([known.viewed, seen.viewed]),
    )


def _of_users(
    enrolments: Enrolments,
    is_of: Bool[np.ndarray, " user"],
    first_user: int = 0,
    first_recording: int = 0,
) -> Enrolments:
    """The enrolments of one of two groups that were joined."""
    return Enrolments(
        users=enrolments.users[is_of] - first_user,
        enrolled=enrolments.enrolled[:, is_of] - first_recording,
        target=enrolments.target[:, is_of] - first_recording,
        is_enrolled=enrolments.is_enrolled[:, is_of],
        is_query=enrolments.is_query[:, is_of],
    )
