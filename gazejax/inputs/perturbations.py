"""Gaze and embeddings changed on purpose, for controls."""

import numpy as np
from jaxtyping import Bool, Int

from gazejax.inputs.viewing_vectors import ViewingVectors
from gazejax.types import Gaze


def permute_viewers(
    viewed: Bool[np.ndarray, "user image"], generator: np.random.Generator
) -> Int[np.ndarray, "user image"]:
    """Permutes the viewings of each image among the users who saw it, image by image anew.

    Returns:
        The user whose viewing each user gets of each image; the own where a user did not see it.

    Source: ours.
    """
    owner = np.tile(np.arange(len(viewed))[:, None], viewed.shape[1])
    for image in range(viewed.shape[1]):
        viewers = np.flatnonzero(viewed[:, image])
        owner[viewers, image] = generator.permutation(viewers)
    return owner


def apply_embedding_control(
    kind: str,
    embeddings: ViewingVectors,
    *,
    seed: int,
    owner: Int[np.ndarray, " user"] | None = None,
) -> ViewingVectors:
    """The embedding of each viewing that the saliency network is given.

    Args:
        kind: `own`: as they are. `zero`: zeros. `swapped`: those of another user who saw that
            image, image by image anew; zeros where no other user did.
        embeddings: of every viewing.
        seed: of the swaps.
        owner: user of each row, where rows are recordings, those of one user one after the other: a
            recording gets the embedding of a recording of another user. None: rows are users.

    Raises:
        ValueError: if `kind` is none of the three.

    Source: ours.
    """
    match kind:
        case "own":
            return embeddings
        case "zero":
            return embeddings._replace(vectors=np.zeros_like(embeddings.vectors))
        case "swapped":
            vectors, row = (np.asarray(values) for values in embeddings)
            # Of an image with one viewer: a vector of zeros, after those that there are.
            swapped, generator = np.where(row < 0, -1, len(vectors)), np.random.default_rng(seed)
            owner = np.arange(len(row)) if owner is None else owner
            for image, of_image in enumerate(row.T):
                rows = np.flatnonzero(of_image >= 0)
                users, first, user, number = np.unique(
                    owner[rows], return_index=True, return_inverse=True, return_counts=True
                )
                if len(users) < 2:
                    continue
                circle = np.searchsorted(users, generator.permutation(users))
                other = np.empty_like(circle)
                other[circle] = np.roll(circle, 1)
                rank = np.arange(len(rows)) - first[user]
                given = first[other[user]] + rank % number[other[user]]
                swapped[rows, image] = of_image[rows[given]]
            return ViewingVectors(np.pad(vectors, ((0, 1), (0, 0))), swapped)
        case _:
            raise ValueError(f"kind is {kind!r}; allowed: 'own', 'zero', 'swapped'")


def permute_user_labels(gaze: Gaze, users: Int[np.ndarray, " user"], seed: int) -> Gaze:
    """Permutes the user labels of the viewings, within each image, among the given users.

    Every map, and the mean of all maps, stays as it was.
    """
    length, offset = np.array(gaze.viewing_length), np.array(gaze.viewing_offset)
    owner = permute_viewers(length[users] > 0, np.random.default_rng(seed))
    length[users] = np.take_along_axis(length[users], owner, axis=0)
    offset[users] = np.take_along_axis(offset[users], owner, axis=0)
    return gaze._replace(viewing_length=length, viewing_offset=offset)


def truncate_scanpaths(gaze: Gaze, num_fixations: int) -> Gaze:
    """Keeps the first fixations of each viewing; a viewing with fewer counts as not seen.

    The sharpness of a map depends on the number of its fixations; all these maps have the same
    number.
    """
    length = np.asarray(gaze.viewing_length)
    truncated = np.where(length >= num_fixations, num_fixations, 0).astype(length.dtype)
    return gaze._replace(viewing_length=truncated)


def limit_gaze(
    gaze: Gaze,
    *,
    users: Int[np.ndarray, " user"],
    first_fixations: int | None,
    first_ms: float | None,
) -> Gaze:
    """Keeps the beginning of users' viewings; short ones stay, unlike in `truncate_scanpaths`.

    Args:
        gaze: the fixations.
        users: whose viewings are limited.
        first_fixations: the most fixations to keep, None for all.
        first_ms: keeps fixations that begin within so many milliseconds of looking, and ends the
            last one there; None keeps all. The time is the sum of durations, without saccades:
            releases hold durations, not onsets. The first fixation always stays.
    """
    if first_fixations is None and first_ms is None:
        return gaze
    length, offset = np.array(gaze.viewing_length), np.asarray(gaze.viewing_offset)
    duration_ms = np.array(gaze.duration_ms)
    begin = np.concatenate([[0.0], np.cumsum(duration_ms, dtype=np.float64)])
    for user in users:
        for image in np.flatnonzero(length[user]):
            start, number = offset[user, image], length[user, image]
            if first_ms is not None:
                rows = slice(start, start + number)
                since = begin[rows] - begin[start]
                left = np.maximum(first_ms - since, 0.0)
                duration_ms[rows] = np.minimum(duration_ms[rows], left)
                number = max((since < first_ms).sum(), 1)
            length[user, image] = (
                number if first_fixations is None else min(number, first_fixations)
            )
    return gaze._replace(viewing_length=length, duration_ms=duration_ms)
