"""Stage 1 where sessions are known: within a session, and across sessions.

Within a session, calibration, posture and the day are the same, so that the metrics of one session
are an upper bound of what is known of the person. In each draw, gallery and probe are of one
session, or of two, the same for all users and methods. Both have n images. The images of galleries
are other ones than those of probes, for all users.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from gazejax.evaluation.verification.protocol import (
    Similarity,
    UserRepresentations,
    VerificationScores,
    mean_of_sample,
)
from gazejax.evaluation.verification.session_pairs import (
    common_pairs,
    draw_pairs,
    halve_images,
    is_most,
    largest_usable,
    of_most,
)
from gazejax.inputs import perturbations
from gazejax.inputs.viewing_vectors import ViewingVectors
from gazejax.metrics import verification

# Of a group beside the first one.
LEAST_USERS = 4


class RecordingRepresentations(NamedTuple):
    """Representations by one method of the recordings of the users of one fold.

    Attributes:
        users: data-set index of each user.
        user: position in `users` of the user of each recording.
        session: number of the name of each recording, the same for the sessions of one name.
        representations: vector of each viewing, such as its embedding.
        viewed: in which recording which test image was seen.
        similarity: of means of representations.
        permuted: whether each draw permutes the labels of recordings within each image.
    """

    users: Int[np.ndarray, " user"]
    user: Int[np.ndarray, " recording"]
    session: Int[np.ndarray, " recording"]
    representations: ViewingVectors
    viewed: Bool[np.ndarray, "recording image"]
    similarity: Similarity
    permuted: bool = False


class SessionDraws(NamedTuple):
    """What is compared in each draw.

    Attributes:
        users: position of each user in `RecordingRepresentations.users`; the others are left out.
        gallery: recording of each user that is the gallery.
        probe: likewise the probe.
        of_galleries: images that galleries are taken from; probes are taken from the others.
    """

    users: Int[np.ndarray, " user"]
    gallery: Int[np.ndarray, "draw user"]
    probe: Int[np.ndarray, "draw user"]
    of_galleries: Bool[np.ndarray, "draw image"]


def draw_sessions(
    compared: RecordingRepresentations,
    orders: Int[np.ndarray, "draw image"],
    *,
    size: int,
    across: bool,
    seed: int,
) -> list[SessionDraws]:
    """Draws the recordings of each user, and which images are for galleries and which for probes.

    In each draw, the galleries of all users are of one session, and the probes are of one: what
    users have in common in a session, such as its images or the practice of a second session, makes
    no two users alike. Users without one of these sessions form other groups, which are compared
    among themselves, where they are at least four, a tenth of all, and half of the first group:
    resamples of users seldom have two of each of many small groups.

    Args:
        compared: the recordings.
        orders: orders of the test images.
        size: number of images of a gallery and of a probe.
        across: whether gallery and probe are of different recordings.
        seed: seed of the choice of recordings.

    Returns:
        The draws of each group, with the users who have `size` images for both in each of them.
    """
    is_possible = _largest_sizes(compared, across=across) >= size
    groups: list[SessionDraws] = []
    while True:
        drawn = _draw_group(compared, orders, is_possible.copy(), size=size, seed=seed)
        first = len(groups[0].users) if groups else 0
        fewest = max(LEAST_USERS, first / 2, len(compared.users) / 10) if groups else 2
        if len(drawn.users) < fewest:
            return groups
        groups.append(drawn)
        is_possible[drawn.users] = False
        # Who has these sessions, with too few images, is left out.
        of_group = compared.session[drawn.gallery[:, 0]], compared.session[drawn.probe[:, 0]]
        is_possible[:, *of_group] = False


def _draw_group(
    compared: RecordingRepresentations,
    orders: Int[np.ndarray, "draw image"],
    is_possible: Bool[np.ndarray, "user session session"],
    *,
    size: int,
    seed: int,
) -> SessionDraws:
    """Draws the pairs of sessions that most users have; `is_possible` is narrowed."""
    viewed, recording = compared.viewed, recording_table(compared)
    seen_by = viewed.T.astype(np.float32)  # Fast, and exact for whole numbers.
    while True:
        users, pairs = common_pairs(is_possible)
        chosen = draw_pairs(pairs, recording.shape[1], len(orders), seed)
        galleries, probes = (recording[users][:, session].T for session in chosen.T)
        of_galleries = halve_images(viewed, galleries, probes, orders)
        num_images = np.stack(
            [
                np.take_along_axis(images.astype(np.float32) @ seen_by, rows, axis=1)
                for rows, images in ((galleries, of_galleries), (probes, ~of_galleries))
            ]
        )
        draw, user = np.nonzero(num_images.min(axis=0) < size)
        if not len(draw):
            return SessionDraws(users, galleries, probes, of_galleries)
        is_possible[users[user], *chosen[draw].T] = False


def recording_table(compared: RecordingRepresentations) -> Int[np.ndarray, "user session"]:
    """The recording of each user in each session; -1: there is none."""
    table = np.full((len(compared.users), int(compared.session.max(initial=0)) + 1), -1)
    table[compared.user, compared.session] = np.arange(len(compared.user))
    return table


def _largest_sizes(
    compared: RecordingRepresentations, *, across: bool
) -> Int[np.ndarray, "user session session"]:
    """The largest n of each user and pair of sessions, if only the images of both counted."""
    number = int(compared.session.max(initial=0)) + 1
    largest = np.zeros((len(compared.users), number, number), np.int32)
    for user, of_user in enumerate(largest):
        rows = np.flatnonzero(compared.user == user)
        viewed = compared.viewed[rows].astype(np.float32)  # Fast, and exact for whole numbers.
        shared = (viewed @ viewed.T).astype(np.int32)
        of_gallery, of_probe = np.diag(shared)[:, None], np.diag(shared)
        either = of_gallery + of_probe - shared
        session = compared.session[rows]
        of_user[np.ix_(session, session)] = np.minimum(
            np.minimum(of_gallery, of_probe), either // 2
        )
    return np.where(np.eye(number, dtype=bool) != across, largest, 0)


def usable_size(
    recorded: Sequence[RecordingRepresentations],
    orders: Int[np.ndarray, "draw image"],
    size: int,
    *,
    across: bool,
    seed: int,
) -> int:
    """The largest n, up to `size`, at which most users of each group can be compared.

    Found as if fewer users could be compared the larger n is. Chance makes exceptions, where n is a
    few images smaller than the largest.

    Args:
        recorded: the recordings of each group.
        orders: as of `draw_sessions`.
        size: number of images that is asked for.
        across: as of `draw_sessions`.
        seed: likewise.

    Returns:
        n; 0 if there is none. Most users: half of those who have a possible pair, and two.
    """
    largest = [_largest_of_users(compared, across=across) for compared in recorded]

    def is_usable(size: int) -> bool:
        return all(
            is_most(
                sum(
                    len(group.users)
                    for group in draw_sessions(
                        compared, orders, size=size, across=across, seed=seed
                    )
                ),
                of_users,
            )
            for compared, of_users in zip(recorded, largest, strict=True)
        )

    return largest_usable(min(size, available_images(recorded, across=across) // 2), is_usable)


def available_images(recorded: Sequence[RecordingRepresentations], *, across: bool) -> int:
    """Images of gallery and probe together, of the largest n that the sessions of most users have.

    Args:
        recorded: the recordings of each group.
        across: as of `draw_sessions`.
    """
    largest = [of_most(_largest_of_users(compared, across=across)) for compared in recorded]
    return 2 * min(largest, default=0)


def _largest_of_users(
    compared: RecordingRepresentations, *, across: bool
) -> Int[np.ndarray, " user"]:
    return _largest_sizes(compared, across=across).max(axis=(1, 2))


def score_sessions(
    compared: RecordingRepresentations,
    orders: Int[np.ndarray, "draw image"],
    *,
    size: int,
    across: bool,
    seed: int,
    drawn: Sequence[SessionDraws] | None = None,
) -> list[VerificationScores]:
    """Scores users by the mean representations of `size` images of one recording, or of two.

    Args:
        compared: the recordings and their representations.
        orders: orders of the test images; of the images for galleries, and of those for probes, the
            first ones are taken that a recording has.
        size: number of images of a gallery and of a probe.
        across: whether gallery and probe are of different recordings.
        seed: seed of the choice of recordings, and of the permutations of a method that permutes.
        drawn: what `draw_sessions` finds, where it is known; methods may share it.

    Returns:
        The scores of each group of `draw_sessions`. MAP@R is that of the gallery and the probe.

    Raises:
        ValueError: if fewer than two users have recordings of so many images.
    """
    if drawn is None:
        drawn = draw_sessions(compared, orders, size=size, across=across, seed=seed)
    if not drawn:
        raise ValueError(
            f"fewer than two users have {'two sessions' if across else 'a session'} in common with "
            f"{size} images for gallery and probe each; allowed: at least 2 users"
        )
    return [_score_group(compared, orders, one, size=size, seed=seed) for one in drawn]


def _score_group(
    compared: RecordingRepresentations,
    orders: Int[np.ndarray, "draw image"],
    drawn: SessionDraws,
    *,
    size: int,
    seed: int,
) -> VerificationScores:
    num_users = len(drawn.users)
    permuter = np.random.default_rng(seed)
    owner = np.tile(np.arange(num_users), 2)
    shares_images = np.kron(np.eye(2), np.ones((num_users, num_users))) > 0
    similarity, precision = [], []
    for order, gallery, probe, of_galleries in zip(orders, *drawn[1:], strict=True):
        representations = compared.representations
        if compared.permuted:
            of = perturbations.permute_viewers(compared.viewed, permuter)
            row = np.take_along_axis(representations.row, of, axis=0)
            representations = representations._replace(row=row)
        sides = np.concatenate(
            [
                mean_of_sample(
                    representations, rows, compared.viewed[rows] & images, order, start=0, size=size
                )
                for rows, images in ((gallery, of_galleries), (probe, ~of_galleries))
            ]
        )
        every = compared.similarity(sides, sides, size, size)
        similarity.append(every[num_users:, :num_users])
        found = verification.average_precision_at_r(np.where(shares_images, -np.inf, every), owner)
        precision.append(found.reshape(2, num_users).mean(axis=0))
    return VerificationScores(
        compared.users[drawn.users], np.stack(similarity), np.stack(precision), samples_per_user=2
    )


def joined_recordings(compared: UserRepresentations) -> RecordingRepresentations:
    """Users as recordings, one of each user with all viewings."""
    return RecordingRepresentations(
        users=compared.users,
        user=np.arange(len(compared.users)),
        session=np.zeros(len(compared.users), int),
        representations=compared.representations,
        viewed=compared.viewed,
        similarity=compared.similarity,
        permuted=compared.permuted,
    )
