"""Principal components of backbone features, and place features."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gazejax.types import AnyArray


class FeatureProjection(NamedTuple):
    """Principal components of the levels of the backbone; an entry for each level, finest first.

    Attributes:
        mean: mean of each channel over the positions of the training images.
        projection: channels -> components of variance one, ordered by decreasing variance.
    """

    mean: tuple[Float[np.ndarray, " _channel"], ...]
    projection: tuple[Float[np.ndarray, "_channel _component"], ...]


def num_features(components: Sequence[int]) -> int:
    """Number of features of each position: the components and `NUM_PLACE_FEATURES`."""
    return sum(components) + NUM_PLACE_FEATURES


NUM_PLACE_FEATURES = 5


def mirrored_signs(number: int) -> Float[np.ndarray, " feature"]:
    """Factor of each feature's average over an image when image and gaze are mirrored.

    Only the place features x and x times y change sign, the first and the last place feature.
    """
    signs = np.ones(number, np.float32)
    signs[[-NUM_PLACE_FEATURES, -1]] = -1
    return signs


def project_levels(
    size: tuple[int, int],
    means: Sequence[AnyArray],
    projections: Sequence[AnyArray],
    levels: list[Array],
) -> Float[Array, "image height width feature"]:
    """Projects the levels of a backbone onto their principal components, on one grid."""
    components = [
        (level.astype(jnp.float32) - mean) @ projection
        for level, mean, projection in zip(levels, means, projections, strict=True)
    ]
    number = len(levels[0])
    resized = [
        jax.image.resize(part, (number, *size, part.shape[-1]), "linear") for part in components
    ]
    place = jnp.broadcast_to(_place_features(size), (number, *size, NUM_PLACE_FEATURES))
    return jnp.concatenate([*resized, place], axis=-1)


def _place_features(size: tuple[int, int]) -> Float[Array, "height width feature"]:
    height, width = size
    # From -1.73 to 1.73: variance one over the image.
    y, x = (jnp.sqrt(12.0) * ((jnp.arange(side) + 0.5) / side - 0.5) for side in (height, width))
    y, x = jnp.meshgrid(y, x, indexing="ij")
    return jnp.stack([x, y, x**2 - 1, y**2 - 1, x * y], axis=-1)
