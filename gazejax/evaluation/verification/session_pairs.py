"""Which sessions and images are compared in each draw, the same for all users; on plain arrays."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Int


def common_pairs(
    is_possible: Bool[np.ndarray, "user session session"],
) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, "pair 2"]]:
    """The pair of sessions that most users have, these users, and every pair that all of them have.

    Args:
        is_possible: which user can be compared by which pair.

    Returns:
        Positions of users, and pairs of sessions; neither where no user has a pair.

    Example:
        >>> # Sessions 0 and 1 of three users, 1 and 2 of one of them, and 0 and 2 of another one.
        >>> is_possible = np.zeros((4, 3, 3), bool)
        >>> is_possible[[0, 1, 2], 0, 1] = is_possible[1, 1, 2] = is_possible[3, 0, 2] = True
        >>> [found.tolist() for found in common_pairs(is_possible)]
        [[0, 1, 2], [[0, 1]]]
    """
    number = is_possible.sum(axis=0)
    one, other = np.unravel_index(number.argmax(), number.shape)
    users = np.flatnonzero(is_possible[:, one, other])
    if not len(users):
        return users, np.zeros((0, 2), int)
    return users, np.argwhere(is_possible[users].all(axis=0))


def draw_pairs(
    pairs: Int[np.ndarray, "pair 2"], num_sessions: int, num_draws: int, seed: int
) -> Int[np.ndarray, "draw 2"]:
    """The pair of sessions of each draw: the first possible one in an order of the sessions.

    An order is random, and is rotated in the next draws, so that each session is first as often.
    """
    if not len(pairs):
        return np.zeros((num_draws, 2), int)
    generator, number = np.random.default_rng(seed), num_sessions
    blocks = -(-num_draws // number)
    orders = np.stack([generator.permutation(number) for _ in range(blocks)])
    rotated = (orders[:, None] + np.arange(number)[:, None]) % number
    first, second = rotated.reshape(-1, number)[:num_draws, pairs].transpose(2, 0, 1)
    return pairs[(first * number + second).argmin(axis=1)]


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
    draws, num_users = np.arange(len(orders)), galleries.shape[1]
    of_galleries = np.zeros(orders.shape, bool)
    of_gallery, of_probe = np.ones(galleries.size), np.ones(galleries.size)
    galleries_of, probes_of = (_places_of(rows, len(viewed)) for rows in (galleries, probes))
    viewers = np.ascontiguousarray(viewed.T)
    for images in orders.T:
        # Only who saw the image adds to the sum: few may have.
        seen = np.flatnonzero(viewers[images])
        in_gallery, in_probe = galleries_of(seen), probes_of(seen)
        gain = np.zeros(galleries.size)
        gain[in_gallery] = np.log1p(1 / of_gallery[in_gallery])
        gain[in_probe] -= np.log1p(1 / of_probe[in_probe])
        to_gallery = gain.reshape(galleries.shape).sum(axis=1) >= 0
        of_galleries[draws, images] = to_gallery
        of_gallery[in_gallery] += to_gallery[in_gallery // num_users]
        of_probe[in_probe] += ~to_gallery[in_probe // num_users]
    return of_galleries


def _places_of(
    rows: Int[np.ndarray, "draw user"], num_recordings: int
) -> Callable[[Int[np.ndarray, " seen"]], Int[np.ndarray, " place"]]:
    """A function from draws and recordings, as flat indices, to the users there, likewise."""
    recording = (np.arange(len(rows))[:, None] * num_recordings + rows).ravel()
    place = np.argsort(recording, kind="stable")
    number = np.bincount(recording, minlength=len(rows) * num_recordings)
    first = np.cumsum(number) - number

    def places(seen: Int[np.ndarray, " seen"]) -> Int[np.ndarray, " place"]:
        of_each = number[seen]
        before = np.cumsum(of_each) - of_each
        return place[np.arange(of_each.sum()) + np.repeat(first[seen] - before, of_each)]

    return places


def is_most(num_users: int, largest: Int[np.ndarray, " user"]) -> bool:
    """Whether so many users are half of those who could be compared by one image, and two."""
    return 2 * num_users >= max(int(np.count_nonzero(largest)), 3)


def largest_usable(size: int, is_usable: Callable[[int], bool]) -> int:
    """The largest n, up to `size`, that is usable, found by halving; 0 if there is none."""
    if size < 1 or is_usable(size):
        return max(size, 0)
    usable, too_large = 0, size
    while too_large - usable > 1:
        middle = (usable + too_large) // 2
        usable, too_large = (middle, too_large) if is_usable(middle) else (usable, middle)
    return usable


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
