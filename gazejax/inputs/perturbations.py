"""Gaze and embeddings changed on purpose, for controls."""

import numpy as np
from jaxtyping import Bool, Float, Int
from ml_collections import ConfigDict

from gazejax.types import AnyArray, Gaze


def apply_embedding_control(
    config: ConfigDict,
    embeddings: Float[np.ndarray, "user image embedding"],
    viewed: Bool[AnyArray, "user image"],
) -> Float[np.ndarray, "user image embedding"]:
    """What stage 2 is told in place of these embeddings, if the config makes it a control."""
    return replace_embeddings(config.controls.embeddings, embeddings, viewed, seed=config.seed)


def permute_viewers(
    viewed: Bool[np.ndarray, "user image"], generator: np.random.Generator
) -> Int[np.ndarray, "user image"]:
    """Hands the viewings of each image around among those who saw it, image by image anew.

    Returns:
        Whose viewing each user gets of each image; their own where they did not see it.

    Source: ours.
    """
    owner = np.tile(np.arange(len(viewed))[:, None], viewed.shape[1])
    for image in range(viewed.shape[1]):
        viewers = np.flatnonzero(viewed[:, image])
        owner[viewers, image] = generator.permutation(viewers)
    return owner


def replace_embeddings(
    kind: str,
    embeddings: Float[np.ndarray, "user image embedding"],
    viewed: Bool[AnyArray, "user image"],
    *,
    seed: int,
) -> Float[np.ndarray, "user image embedding"]:
    """What the saliency network is told of each viewing, by `controls.embeddings` of the config.

    Args:
        kind: `own`: what it is. `none`: zeros, for everybody. `swapped`: of somebody else who saw
            that image, image by image anew; zeros where nobody else did.
        embeddings: of every viewing.
        viewed: which user saw which image.
        seed: of who gets whose.

    Raises:
        ValueError: if `kind` is none of the three.

    Source: ours.
    """
    match kind:
        case "own":
            return embeddings
        case "zero":
            return np.zeros_like(embeddings)
        case "swapped":
            swapped, generator = np.zeros_like(embeddings), np.random.default_rng(seed)
            for image, is_viewer in enumerate(np.asarray(viewed).T):
                circle = generator.permutation(np.flatnonzero(is_viewer))
                if len(circle) > 1:
                    swapped[circle, image] = embeddings[np.roll(circle, 1), image]
            return swapped
        case _:
            raise ValueError(f"kind is {kind!r}; allowed: 'own', 'none', 'swapped'")


def permute_user_labels(gaze: Gaze, users: Int[np.ndarray, " user"], seed: int) -> Gaze:
    """Permutes who looked at what, within each image, among the given users.

    Every map, and the mean of them all, stays as it was; only nobody is anybody any more.
    """
    length, offset = np.array(gaze.viewing_length), np.array(gaze.viewing_offset)
    owner = permute_viewers(length[users] > 0, np.random.default_rng(seed))
    length[users] = np.take_along_axis(length[users], owner, axis=0)
    offset[users] = np.take_along_axis(offset[users], owner, axis=0)
    return gaze._replace(viewing_length=length, viewing_offset=offset)


def truncate_scanpaths(gaze: Gaze, num_fixations: int) -> Gaze:
    """Keeps the first fixations of each viewing; a viewing with fewer counts as not seen.

    The sharpness of a map gives away how many fixations it was made of; these maps have all equally
    many.
    """
    length = np.asarray(gaze.viewing_length)
    cut = np.where(length >= num_fixations, num_fixations, 0).astype(length.dtype)
    return gaze._replace(viewing_length=cut)


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
        users: whose viewings are cut.
        first_fixations: the most fixations to keep, None for all.
        first_ms: fixations are kept that begin before so many milliseconds of looking have gone by,
            and end there; None keeps all. Saccades count for nothing: releases say how long
            fixations are, not when they begin. The first fixation always stays.
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
