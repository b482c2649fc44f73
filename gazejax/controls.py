"""What must not work as well as the model, or the model has learnt nobody.

Each control takes something away from the gaze: whose it is, how much there is of it, where it is.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from gazejax.arrays import Gaze


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


def permute_users(gaze: Gaze, users: Int[np.ndarray, " user"], seed: int) -> Gaze:
    """Permutes who looked at what, within each image, among the given users.

    Every map, and the mean of them all, stays as it was; only nobody is anybody any more.
    """
    length, offset = np.array(gaze.viewing_length), np.array(gaze.viewing_offset)
    owner = permute_viewers(length[users] > 0, np.random.default_rng(seed))
    length[users] = np.take_along_axis(length[users], owner, axis=0)
    offset[users] = np.take_along_axis(offset[users], owner, axis=0)
    return gaze._replace(viewing_length=length, viewing_offset=offset)


def cut_scanpaths(gaze: Gaze, num_fixations: int) -> Gaze:
    """Keeps the first fixations of each viewing; a viewing with fewer counts as not seen.

    The sharpness of a map gives away how many fixations it was made of; these maps have all equally
    many.
    """
    length = np.asarray(gaze.viewing_length)
    cut = np.where(length >= num_fixations, num_fixations, 0).astype(length.dtype)
    return gaze._replace(viewing_length=cut)


def two_scalars(
    gaze: Gaze, users: Int[np.ndarray, " user"], images: Int[np.ndarray, " image"]
) -> Float[np.ndarray, "user image 2"]:
    """Number of fixations of each viewing and their mean duration in milliseconds; 0 if not seen.

    How often and how long somebody fixates is stable as well, and says nothing about where.
    """
    length = np.asarray(gaze.viewing_length)[np.ix_(users, images)]
    offset = np.asarray(gaze.viewing_offset)[np.ix_(users, images)]
    until = np.concatenate([[0.0], np.cumsum(gaze.duration_ms, dtype=np.float64)])
    total_ms = until[offset + length] - until[offset]
    return np.stack([length, total_ms / np.maximum(length, 1)], axis=-1)
