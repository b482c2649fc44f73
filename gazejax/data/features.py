"""Frozen image features: principal components of a backbone trained on ImageNet.

A data set of gaze has too few images (OSIE: 560 for training) to learn features of faces or text.
The levels of the backbone are reduced to their principal components, fitted on training images and
scaled to variance one, and resized to the grid of the maps. The backbone is frozen and runs once
for each image.
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
from gazejax.runtime.devices import in_32_bits, map_rows
from gazejax.runtime.progress import track
from gazejax.types import LazyRows

_IMAGES_PER_CALL = 10

# Part of the cache key; increase the number with any change of the output of `backbone_levels`.
_LEVELS_MADE_BY = "levels 1"

Levels = list[Float16[np.ndarray, "image _height _width _channel"]]


@in_32_bits
def backbone_levels(
    params: Any,
    pixels: UInt8[np.ndarray, "image height width 3"] | LazyRows,
    strides: Sequence[int],
) -> Levels:
    """Runs the backbone on images, in batches; more than one batch on all devices of the process.

    Args:
        params: parameters of `EfficientNetLite0`; see `pretrained.load_parameters`.
        pixels: 8-bit RGB.
        strides: strides of the levels; see `models.backbone.LEVEL_CHANNELS`.

    Returns:
        The levels, in half precision to save memory.
    """
    if len(pixels) <= _IMAGES_PER_CALL:
        levels: Levels = jax.device_get(_run_backbone(tuple(strides), params, pixels[:]))
        return levels
    devices = jax.local_devices()
    parts: list[Any] = []
    with track("features of images", len(pixels)) as show:
        for part in map_rows(
            _run_backbone,
            params,
            [pixels],
            static=(tuple(strides),),
            devices=devices,
            batch_size=_IMAGES_PER_CALL * len(devices),
        ):
            parts.append(part)
            show(sum(len(one[0]) for one in parts), "images")
    return [np.concatenate(of_level) for of_level in zip(*parts, strict=True)]


def cached_levels(
    params: Any,
    pixels: UInt8[np.ndarray, "image height width 3"] | LazyRows,
    strides: Sequence[int],
    *,
    weights: str,
) -> Levels:
    """Runs `backbone_levels`, or reads its output from the cache; see `runtime.cache`.

    Args:
        params: parameters of `EfficientNetLite0`.
        pixels: 8-bit RGB.
        strides: strides of the levels.
        weights: identifier of the parameters, part of the cache key.
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
    """Fits the principal components of each level over all positions of the given images.

    Args:
        levels: levels of training images only.
        components: number of components of each level.
    """
    mean, projection = [], []
    for level, number in zip(levels, components, strict=True):
        positions = level.reshape(-1, level.shape[-1])
        center = positions.mean(axis=0, dtype=np.float64)
        # One image after the other, so that no copy of all images in double precision is made.
        products = sum(_products(image, center) for image in level)
        variance, directions = np.linalg.eigh(products / len(positions))
        largest = np.argsort(variance)[::-1][:number]
        mean.append(center.astype(np.float32))
        scaled = directions[:, largest] / np.sqrt(variance[largest])
        projection.append(scaled.astype(np.float32))
    return FeatureProjection(tuple(mean), tuple(projection))


@in_32_bits
def project(
    projection: FeatureProjection, levels: Levels, size: tuple[int, int]
) -> Float16[np.ndarray, "image height width feature"]:
    """Projects levels on their principal components on one grid, and appends place features.

    Args:
        projection: output of `fit_projection`.
        levels: levels of any images.
        size: (height, width) of the grid.

    Returns:
        The components of all levels, then the five place features: x, y, their squares and their
        product. All have a variance of about one.
    """
    parts = []
    for start in range(0, len(levels[0]), _IMAGES_PER_CALL):
        batch = [level[start : start + _IMAGES_PER_CALL] for level in levels]
        parts.append(np.asarray(_project_frozen(size, projection, batch)))
    return np.concatenate(parts)


def frozen_features(
    params: Any,
    pixels: UInt8[Array, "image height width 3"],
    *,
    strides: Sequence[int],
    projection: FeatureProjection,
    size: tuple[int, int],
) -> Float16[Array, "image map_height map_width feature"]:
    """What `project` returns of `backbone_levels`, as one function that JAX can trace.

    Args:
        params: see `backbone_levels`, as the next two.
        pixels: likewise; all at once.
        strides: likewise.
        projection: see `project`.
        size: likewise.
    """
    return _project_frozen(size, projection, _run_backbone(tuple(strides), params, pixels))


@functools.partial(jax.jit, static_argnums=0)
def _run_backbone(strides: tuple[int, ...], params: Any, pixels: Array) -> list[Array]:
    graph, _ = nnx.split(nnx.eval_shape(lambda: EfficientNetLite0(rngs=nnx.Rngs(0))), nnx.Param)
    levels = nnx.merge(graph, params)(pixels, strides)
    return [level.astype(jnp.float16) for level in levels]


def _products(
    image: Float16[np.ndarray, "level_height level_width channel"],
    mean: Float[np.ndarray, " channel"],
) -> Float[np.ndarray, "channel channel"]:
    centered = image.reshape(-1, len(mean)) - mean
    return centered.T @ centered


@functools.partial(jax.jit, static_argnums=0)
def _project_frozen(
    size: tuple[int, int], projection: FeatureProjection, levels: list[Array]
) -> Array:
    return project_levels(size, *projection, levels).astype(jnp.float16)
