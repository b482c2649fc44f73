"""The baseline of stage 2 without learning: the universal map, calibrated to a user.

It fits the spread of the user's gaze, a gain and the weight of the center prior.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gazejax.inputs.maps import (
    JoinedGaze,
    LeaveOneOutMaps,
    MapSpec,
    personal_and_universal_maps,
)
from gazejax.types import AnyArray, Gaze


class Calibration(NamedTuple):
    """Settings of `calibrate`, one row for each setting.

    Attributes:
        spread_frac: standard deviation of a Gaussian blur, as a fraction of the width of the map.
        gain: exponent of the blurred map: above 1 sharpens, below 1 flattens.
        center_weight: exponent of the center prior.
    """

    spread_frac: Float[AnyArray, "*setting"]
    gain: Float[AnyArray, "*setting"]
    center_weight: Float[AnyArray, "*setting"]


def calibration_grid(
    *, spread_frac: Sequence[float], gain: Sequence[float], center_weight: Sequence[float]
) -> Calibration:
    """All combinations of the given values."""
    settings = np.array(list(itertools.product(spread_frac, gain, center_weight)), np.float32)
    return Calibration(*settings.T)


def calibrate(
    universal: Float[Array, "height width"],
    prior: Float[Array, "height width"],
    setting: Calibration,
    *,
    aspect_ratio: Float[Array, ""],
) -> Float[Array, "height width"]:
    """Adapts a universal map to a user's spread, gain and center bias, without learning.

    The map is proportional to blur(universal) ** gain * prior ** center_weight.

    Args:
        universal: universal map, summing to 1.
        prior: mean of all training maps, summing to 1.
        setting: one setting; its fields are scalars.
        aspect_ratio: width of the image divided by its height.

    Returns:
        A map that sums to 1.

    Source: ours.
    """
    blurred = _blur(universal, setting.spread_frac, aspect_ratio)
    return _weighted(_log_density(blurred), _log_density(prior), setting)


def _log_density(density: Float[Array, "height width"]) -> Float[Array, "height width"]:
    # The floor is a hundredth of the uniform density, as in the saliency network.
    return jnp.log(density * density.size + 0.01)


def _weighted(
    log_map: Float[Array, "height width"],
    log_prior: Float[Array, "height width"],
    setting: Calibration,
) -> Float[Array, "height width"]:
    logits = setting.gain * log_map + setting.center_weight * log_prior
    return jax.nn.softmax(logits.ravel()).reshape(log_map.shape)


def calibration_likelihoods(
    universal_maps: LeaveOneOutMaps,
    gaze: Gaze,
    prior: Float[np.ndarray, "height width"],
    grid: Calibration,
    *,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
    spec: MapSpec,
    joined: JoinedGaze | None = None,
) -> Float[np.ndarray, "user image setting"]:
    """Mean log density of each setting under each personal map, in nats.

    The best setting of a user has the highest mean over the enrolment images. `users` are
    recordings where `joined` is given; see `maps.universal_maps`.
    """
    # A map is blurred once for each spread, whatever the gains and weights.
    blurs = np.unique(grid.spread_frac, return_inverse=True)
    of_images = (spec, universal_maps, gaze, joined, np.asarray(users), prior, grid, blurs)
    found = [_likelihoods_on(*of_images, image) for image in images]
    return np.stack(jax.device_get(found)).transpose(2, 0, 1)


@functools.partial(jax.jit, static_argnums=0)
def _likelihoods_on(
    spec: MapSpec,
    universal_maps: LeaveOneOutMaps,
    gaze: Gaze,
    joined: JoinedGaze | None,
    users: Array,
    prior: Array,
    grid: Calibration,
    blurs: tuple[Array, Array],
    image: Array,
) -> Array:
    at = jnp.broadcast_to(image, users.shape)
    personal, universal = personal_and_universal_maps(gaze, universal_maps, users, at, spec, joined)
    aspect_ratio, log_prior = jnp.asarray(gaze.aspect_ratio)[image], _log_density(prior)
    spread_frac, number = blurs

    def log_maps_of(spread_frac: Array) -> Array:
        return jax.vmap(lambda map_: _log_density(_blur(map_, spread_frac, aspect_ratio)))(
            universal
        )

    log_maps = jax.lax.map(log_maps_of, spread_frac)

    def of_setting(given: tuple[Calibration, Array]) -> Array:
        setting, number = given

        def of_user(log_map: Array, personal: Array) -> Array:
            calibrated = _weighted(log_map, log_prior, setting)
            return (personal * jnp.log(calibrated + 1e-12)).sum()

        return jax.vmap(of_user)(log_maps[number], personal)

    return jax.lax.map(of_setting, (grid, number))


def _blur(
    saliency: Float[Array, "height width"],
    sigma_frac: Float[AnyArray, ""],
    aspect_ratio: Float[Array, ""],
) -> Float[Array, "height width"]:
    """Gaussian blur as two matrix products; a sigma of 0 changes nothing."""

    def kernel(cells: int, sigma_frac: Float[AnyArray, ""]) -> Float[Array, "cell cell"]:
        center = (jnp.arange(cells) + 0.5) / cells
        distance = (center[:, None] - center) / jnp.maximum(sigma_frac, 1e-3)
        weight = jnp.exp(-0.5 * distance**2)
        return weight / weight.sum(axis=0)  # The weights from each cell to all cells sum to 1.

    height, width = saliency.shape
    rows, columns = kernel(height, sigma_frac * aspect_ratio), kernel(width, sigma_frac)
    return rows @ saliency @ columns.T
