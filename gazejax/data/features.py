"""Image features: what a network trained on ImageNet sees, in few numbers for each place.

560 pictures are too few to learn what a face or a word is. The backbone's levels are reduced to
their principal components, fitted on training images and scaled to variance one, at the grid of the
maps. The backbone is frozen: every image goes through it once, then its features lie on the device.
"""

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float16, UInt8

from gazejax.models.backbone import EfficientNetLite0
from gazejax.models.feature_projection import FeatureProjection, project_levels
from gazejax.runtime import cache
from gazejax.types import LazyRows

_IMAGES_PER_CALL = 10

# Raise it with any change of what `backbone_levels` computes.
_LEVELS_MADE_BY = "levels 1"

Levels = list[Float16[np.ndarray, "image _height _width _channel"]]


def backbone_levels(
    params: Any,
    pixels: UInt8[np.ndarray, "image height width 3"] | LazyRows,
    strides: Sequence[int],
) -> Levels:
    """Runs the backbone on images, in batches, on the first device.

    Args:
        params: of `EfficientNetLite0`; see `pretrained.load_parameters`.
        pixels: 8-bit RGB.
        strides: which levels; see `models.backbone.LEVEL_CHANNELS`.

    Returns:
        The levels in half precision: a data set of them would be large otherwise.
    """
    parts = []
    for start in range(0, len(pixels), _IMAGES_PER_CALL):
        batch = pixels[start : start + _IMAGES_PER_CALL]
        parts.append(jax.device_get(_run_backbone(tuple(strides), params, batch)))
    return [np.concatenate(of_level) for of_level in zip(*parts, strict=True)]


def cached_levels(
    params: Any,
    pixels: UInt8[np.ndarray, "image height width 3"] | LazyRows,
    strides: Sequence[int],
    *,
    weights: str,
) -> Levels:
    """`backbone_levels`, once for all processes that show it the same images; see `cache`.

    Args:
        params: of `EfficientNetLite0`.
        pixels: 8-bit RGB.
        strides: which levels.
        weights: what the parameters were made from, as a text.
    """
    images = hashlib.sha256()
    for start in range(0, len(pixels), _IMAGES_PER_CALL):
        images.update(np.ascontiguousarray(pixels[start : start + _IMAGES_PER_CALL]).data)
    shape = (len(pixels), *pixels[0].shape)
    made_from = (
        f"{_LEVELS_MADE_BY}; {weights}; levels {tuple(strides)} of images {shape} "
        f"{images.hexdigest()}; "
        f"{jax.default_backend()}"
    )
    name = hashlib.sha256(made_from.encode()).hexdigest()[:16]
    arrays = cache.read_or_make(
        cache.default_folder() / "features" / f"{name}.npz",
        lambda: dict(zip(map(str, strides), backbone_levels(params, pixels, strides), strict=True)),
        made_from=made_from,
        what="features",
    )
    return [arrays[str(stride)] for stride in strides]


def fit_projection(levels: Levels, components: Sequence[int]) -> FeatureProjection:
    """Principal components of each level over all places of the given images.

    Args:
        levels: of training images only.
        components: how many of each level to keep.
    """
    mean, projection = [], []
    for level, number in zip(levels, components, strict=True):
        places = level.reshape(-1, level.shape[-1])
        total = places.mean(axis=0, dtype=np.float64)
        # Image by image, so that no copy in double precision is ever whole.
        products = sum(_products(image, total) for image in level)
        variance, directions = np.linalg.eigh(products / len(places))
        largest = np.argsort(variance)[::-1][:number]
        mean.append(total.astype(np.float32))
        scaled = directions[:, largest] / np.sqrt(variance[largest])
        projection.append(scaled.astype(np.float32))
    return FeatureProjection(tuple(mean), tuple(projection))


def project(
    basis: FeatureProjection, levels: Levels, size: tuple[int, int]
) -> Float16[np.ndarray, "image height width feature"]:
    """Reduces levels to their components on one grid, beside the five features of the place.

    Args:
        basis: from `fit_projection`.
        levels: of any images.
        size: (height, width) of the grid.

    Returns:
        The components of all levels, then x, y, their squares and their product, all of variance
        one or about.
    """
    parts = []
    for start in range(0, len(levels[0]), _IMAGES_PER_CALL):
        batch = [level[start : start + _IMAGES_PER_CALL] for level in levels]
        parts.append(np.asarray(_project_frozen(size, basis, batch)))
    return np.concatenate(parts)


@functools.partial(jax.jit, static_argnums=0)
def _run_backbone(strides: tuple[int, ...], params: Any, pixels: Array) -> list[Array]:
    graph, _ = nnx.split(nnx.eval_shape(lambda: EfficientNetLite0(rngs=nnx.Rngs(0))), nnx.Param)
    levels = nnx.merge(graph, params)(pixels, strides)
    return [level.astype(jnp.float16) for level in levels]


def _products(
    image: Float16[np.ndarray, "level_height level_width channel"],
    mean: Float[np.ndarray, " channel"],
) -> Float[np.ndarray, "channel channel"]:
    centred = image.reshape(-1, len(mean)) - mean
    return centred.T @ centred


@functools.partial(jax.jit, static_argnums=0)
def _project_frozen(size: tuple[int, int], basis: FeatureProjection, levels: list[Array]) -> Array:
    return project_levels(size, *basis, levels).astype(jnp.float16)
