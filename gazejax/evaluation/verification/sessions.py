"""Stage 1 where sessions are known: within a session, and across sessions.

Within a session, calibration, posture and the day are the same, so that the metrics of one session
are an upper bound of what is known of the person. In each draw, every user gets a recording, or a
pair of different recordings.

Gallery and probe are of one recording, or of two, the same for all methods. Both have n images.
Those of galleries and those of probes are different ones, for all users.
"""

from collections.abc import Sequence
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
        session: number of the name of each recording, the same for the sessions of one name.
        representations: vector of each viewing, such as its embedding.
        viewed: in which recording which test image was seen.
        similarity: of means of representations.
        permuted: whether each draw permutes the labels of recordings within each image.
    """

    users: Int[np.ndarray, " user"]
    user: Int[np.ndarray, " recording"]
    session: Int[np.ndarray, " recording"]
    representations: Float[np.ndarray, "recording image entry"]
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
) -> SessionDraws:
    """Draws the recordings of each user, and which images are for galleries and which for probes.

    Sessions are put in a random order, the same for all users, and each user takes the first
    possible pair. Thus galleries are of one session, and probes of one: what users have in common
    in a session, such as its images or the practice of a second session, makes no two users alike.

    Args:
        compared: the recordings.
        orders: orders of the test images.
        size: number of images of a gallery and of a probe.
        across: whether gallery and probe are of different recordings.
        seed: seed of the choice of recordings.

    Returns:
        The draws, with the users who have `size` images for both in every one of them. A pair with
        fewer in one draw is taken in none, so that one short session does not leave out its user.
    """
    viewed = compared.viewed
    pairs = _pairs_of(compared, across=across)
    gallery, probe, _ = (values[_largest_sizes(compared, pairs) >= size] for values in pairs)
    places = session_places(compared.session, len(orders), seed)
    while True:
        of_user = compared.user[gallery]
        chosen = _first_pairs(gallery, probe, of_user, places)
        galleries, probes = gallery[chosen], probe[chosen]
        of_galleries = halve_images(viewed, galleries, probes, orders)
        num_images = np.stack(
            [
                [(viewed[rows] & images).sum(axis=1) for rows, images in zip(*side, strict=True)]
                for side in ((galleries, of_galleries), (probes, ~of_galleries))
            ]
        )
        dropped = np.unique(chosen[num_images.min(axis=0) < size])
        if not len(dropped):
            return SessionDraws(np.unique(of_user), galleries, probes, of_galleries)
        # A user's only pair may have enough images once other pairs are not taken.
        has_other = np.bincount(of_user)[of_user[dropped]] > 1
        dropped = dropped[has_other] if has_other.any() else dropped
        gallery, probe = np.delete(gallery, dropped), np.delete(probe, dropped)


def session_places(
    session: Int[np.ndarray, " recording"], num_draws: int, seed: int
) -> Int[np.ndarray, "draw recording"]:
    """The place of the session of each recording in an order of the sessions of each draw.

    An order is random, and is rotated in the next draws, so that each session is first as often.
    """
    generator, number = np.random.default_rng(seed), int(session.max(initial=0)) + 1
    blocks = -(-num_draws // number)
    orders = np.stack([generator.permutation(number) for _ in range(blocks)])
    rotated = (orders[:, None] + np.arange(number)[:, None]) % number
    return rotated.reshape(-1, number)[:num_draws, session]


def _first_pairs(
    gallery: Int[np.ndarray, " pair"],
    probe: Int[np.ndarray, " pair"],
    of_user: Int[np.ndarray, " pair"],
    places: Int[np.ndarray, "draw recording"],
) -> Int[np.ndarray, "draw user"]:
    """The first pair of each user in the order of each draw; pairs of a user follow each other."""
    user, first = np.unique(of_user, return_index=True)
    if not len(user):
        return np.zeros((len(places), 0), int)
    key = places[:, gallery] * places.max(initial=0) + places[:, gallery] + places[:, probe]
    best = np.minimum.reduceat(key, first, axis=1)
    is_best = key == best[:, np.searchsorted(user, of_user)]
    return np.nonzero(is_best)[1].reshape(len(places), len(user))


def halve_images(
    viewed: Bool[np.ndarray, "recording image"],
    galleries: Int[np.ndarray, "draw user"],
    probes: Int[np.ndarray, "draw user"],
    orders: Int[np.ndarray, "draw image"],
) -> Bool[np.ndarray, "draw image"]:
    """Divides the images of each draw among galleries and probes, for all users alike.

    Gallery and probe of one user never share an image. If those of two users did, two users would
    be alike because of an image where one user cannot be.

    Args:
        viewed: in which recording which image was seen.
        galleries: recording of each user that is the gallery.
        probes: likewise the probe.
        orders: order of the images. In this order, an image goes where it adds most to the sum of
            log(1 + number of images), over the galleries and probes of all users.

    Returns:
        True for the images of galleries, False for those of probes.

    Example:
        >>> # A user with two sessions of other images, and one who saw all images in one session.
        >>> viewed = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]], bool)
        >>> orders = np.array([[0, 1, 2, 3]])
        >>> halve_images(viewed, np.array([[0]]), np.array([[1]]), orders).tolist()
        [[True, True, False, False]]
        >>> halve_images(viewed, np.array([[2]]), np.array([[2]]), orders).tolist()
        [[True, False, True, False]]
    """
    draws = np.arange(len(orders))
    of_galleries = np.zeros(orders.shape, bool)
    of_gallery, of_probe = np.ones(galleries.shape), np.ones(galleries.shape)
    for images in orders.T:
        in_gallery, in_probe = (viewed[rows, images[:, None]] for rows in (galleries, probes))
        gain = np.log1p(in_gallery / of_gallery) - np.log1p(in_probe / of_probe)
        to_gallery = gain.sum(axis=1) >= 0
        of_galleries[draws, images] = to_gallery
        of_gallery += in_gallery & to_gallery[:, None]
        of_probe += in_probe & ~to_gallery[:, None]
    return of_galleries


class _Pairs(NamedTuple):
    """Pairs of recordings of one user, those of the first user first.

    Attributes:
        gallery: recording that could be the gallery.
        probe: likewise the probe.
        shared: number of images of both.
    """

    gallery: Int[np.ndarray, " pair"]
    probe: Int[np.ndarray, " pair"]
    shared: Int[np.ndarray, " pair"]


def _pairs_of(compared: RecordingRepresentations, *, across: bool) -> _Pairs:
    """All pairs of different recordings of a user, or of each recording with itself."""
    by_user = np.argsort(compared.user, kind="stable")
    first = np.flatnonzero(np.diff(compared.user[by_user])) + 1
    found = []
    for rows in np.split(by_user, first):
        gallery, probe = np.nonzero(np.eye(len(rows), dtype=bool) != across)
        viewed = compared.viewed[rows].astype(np.float32)  # Fast, and exact for whole numbers.
        shared = (viewed @ viewed.T)[gallery, probe].astype(np.int64)
        found.append(_Pairs(rows[gallery], rows[probe], shared))
    return _Pairs(*map(np.concatenate, zip(*found, strict=True)))


def _largest_sizes(compared: RecordingRepresentations, pairs: _Pairs) -> Int[np.ndarray, " pair"]:
    """The largest n of each pair, if only the images of both counted."""
    number = compared.viewed.sum(axis=1)
    of_gallery, of_probe = number[pairs.gallery], number[pairs.probe]
    every = of_gallery + of_probe - pairs.shared
    return np.minimum(np.minimum(of_gallery, of_probe), every // 2)


def usable_size(
    recorded: Sequence[RecordingRepresentations],
    orders: Int[np.ndarray, "draw image"],
    size: int,
    *,
    across: bool,
    seed: int,
) -> int:
    """The largest n, up to `size`, at which most users of each group can be compared.

    Found by halving, as if fewer users could be compared the larger n is. Chance makes exceptions,
    where n is a few images smaller than the largest.

    Args:
        recorded: the recordings of each group.
        orders: as of `draw_sessions`.
        size: number of images that is asked for.
        across: as of `draw_sessions`.
        seed: likewise.

    Returns:
        n; 0 if there is none. Most users: half of those who have a possible pair, and two.
    """
    ends = [_largest_of_users(compared, across=across) for compared in recorded]

    def is_usable(size: int) -> bool:
        return all(
            2 * len(draw_sessions(compared, orders, size=size, across=across, seed=seed).users)
            >= max(int(np.count_nonzero(largest)), 3)
            for compared, largest in zip(recorded, ends, strict=True)
        )

    size = min(size, available_images(recorded, across=across) // 2)
    if size < 1 or is_usable(size):
        return size
    usable, too_large = 0, size
    while too_large - usable > 1:
        middle = (usable + too_large) // 2
        usable, too_large = (middle, too_large) if is_usable(middle) else (usable, middle)
    return usable


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
    largest = np.zeros(len(compared.users), int)
    pairs = _pairs_of(compared, across=across)
    np.maximum.at(largest, compared.user[pairs.gallery], _largest_sizes(compared, pairs))
    return largest


def of_most(largest: Int[np.ndarray, " user"]) -> int:
    """The largest n that most users reach, so that one short session does not limit all.

    Args:
        largest: the largest n that each user reaches; 0: the user is not compared.

    Returns:
        The n that half of the compared users reach, and at least two. 0 of fewer than two.

    Example:
        >>> of_most(np.array([0, 1, 50, 60, 60]))
        60
    """
    reached = np.sort(largest[largest > 0])[::-1]
    return 0 if len(reached) < 2 else int(reached[max((len(reached) + 1) // 2, 2) - 1])


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
        orders: orders of the test images; of the images for galleries, and of those for probes, the
            first ones are taken that a recording has.
        size: number of images of a gallery and of a probe.
        across: whether gallery and probe are of different recordings.
        seed: seed of the choice of recordings, and of the permutations of a method that permutes.

    Returns:
        The scores, with the users that are compared: those who have so many images for both. MAP@R
        is that of the gallery and the probe.

    Raises:
        ValueError: if fewer than two users have recordings of so many images.
    """
    drawn = draw_sessions(compared, orders, size=size, across=across, seed=seed)
    if len(drawn.users) < 2:
        raise ValueError(
            f"{len(drawn.users)} users have {'two recordings' if across else 'a recording'} with "
            f"{size} images for gallery and probe each; allowed: at least 2 users"
        )
    num_users = len(drawn.users)
    permuter = np.random.default_rng(seed)
    owner = np.tile(np.arange(num_users), 2)
    shares_images = np.kron(np.eye(2), np.ones((num_users, num_users))) > 0
    similarity, precision = [], []
    for order, gallery, probe, of_galleries in zip(orders, *drawn[1:], strict=True):
        representations = compared.representations
        if compared.permuted:
            of = perturbations.permute_viewers(compared.viewed, permuter)
            representations = np.take_along_axis(representations, of[..., None], axis=0)
        sides = np.concatenate(
            [
                _means(representations, rows, compared.viewed[rows] & images, order, size)
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


def _means(
    representations: Float[np.ndarray, "recording image entry"],
    recordings: Int[np.ndarray, " user"],
    allowed: Bool[np.ndarray, "user image"],
    order: Int[np.ndarray, " image"],
    size: int,
) -> Float[np.ndarray, "user entry"]:
    """Mean representations over the first `size` allowed images of an order, of each user."""
    weights = enrolment_weights(allowed, order, start=0, size=size)
    images = np.nonzero(weights)[1].reshape(len(recordings), size)
    return representations[recordings[:, None], images].mean(axis=1, dtype=np.float64)


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
