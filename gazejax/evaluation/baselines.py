"""What must not work as well as the model, or the model has learnt nobody.

The controls of stage 1 take something away from the gaze: whose it is, how much there is of it,
where it is; or they compare maps without learning anything. The control of stage 2 fits the little
that a calibration would: how wide somebody's gaze spreads and how much it stays at the centre.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gazejax.inputs.maps import LeaveOneOutMaps, leave_one_out_maps, personal_maps
from gazejax.types import AnyArray, Gaze


def fixation_statistics(
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


def residual_maps(
    group: LeaveOneOutMaps,
    gaze: Gaze,
    *,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
    sigma_frac: float,
    max_fixations: int,
) -> Float[np.ndarray, "user image cell"]:
    """Personal minus universal map of every viewing, as flat rows: the control without learning."""
    height, width = group.total.shape[1:]

    @jax.jit
    def of_user(group: LeaveOneOutMaps, gaze: Gaze, image: Array, user: Array) -> Array:
        user = jnp.broadcast_to(user, image.shape)
        personal = personal_maps(
            gaze,
            user,
            image,
            sigma_frac=sigma_frac,
            map_size=(height, width),
            max_fixations=max_fixations,
        )
        universal = leave_one_out_maps(group, gaze, user, image, personal)
        return (personal - universal).reshape(len(image), -1)

    return np.stack([np.asarray(of_user(group, gaze, images, user)) for user in users])


class Calibration(NamedTuple):
    """Settings of `calibrate`, one row each.

    Attributes:
        spread_frac: standard deviation of a Gaussian blur, as a fraction of the map's width.
        gain: exponent of the blurred map: above 1 sharper, below 1 flatter.
        center_weight: exponent of the center prior.
    """

    spread_frac: Float[AnyArray, "*setting"]
    gain: Float[AnyArray, "*setting"]
    center_weight: Float[AnyArray, "*setting"]


def calibration_grid(
    *, spread_frac: Sequence[float], gain: Sequence[float], center_weight: Sequence[float]
) -> Calibration:
    """Every combination of the given values."""
    settings = np.array(list(itertools.product(spread_frac, gain, center_weight)), np.float32)
    return Calibration(*settings.T)


def calibrate(
    universal: Float[Array, "height width"],
    prior: Float[Array, "height width"],
    setting: Calibration,
    *,
    aspect_ratio: Float[Array, ""],
) -> Float[Array, "height width"]:
    """A universal map with one person's spread, gain and centre bias; no learning, no features.

    Proportional to blur(universal) ** gain * prior ** center_weight.

    Args:
        universal: universal map, summing to 1.
        prior: mean of all training maps, summing to 1.
        setting: one setting, scalars.
        aspect_ratio: width of the image divided by its height.

    Returns:
        A map that sums to 1.

    Source: ours.
    """
    height, width = universal.shape
    blurred = _blur(universal, setting.spread_frac, aspect_ratio)
    # Floor at a hundredth of uniform, as the saliency network has it.
    log_map, log_prior = (jnp.log(map_ * (height * width) + 0.01) for map_ in (blurred, prior))
    logits = setting.gain * log_map + setting.center_weight * log_prior
    return jax.nn.softmax(logits.ravel()).reshape(height, width)


def calibration_likelihoods(
    group: LeaveOneOutMaps,
    gaze: Gaze,
    prior: Float[np.ndarray, "height width"],
    grid: Calibration,
    *,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
    sigma_frac: float,
    max_fixations: int,
) -> Float[np.ndarray, "user image setting"]:
    """How well each setting explains each personal map: mean log density, in nats.

    The best setting of a user is the one with the highest mean over the enrolment images.
    """
    height, width = group.total.shape[1:]

    @jax.jit
    def of_image(group: LeaveOneOutMaps, gaze: Gaze, image: Array) -> Array:
        at = jnp.broadcast_to(image, users.shape)
        personal = personal_maps(
            gaze,
            jnp.asarray(users),
            at,
            sigma_frac=sigma_frac,
            map_size=(height, width),
            max_fixations=max_fixations,
        )
        universal = leave_one_out_maps(group, gaze, jnp.asarray(users), at, personal)
        aspect_ratio = jnp.asarray(gaze.aspect_ratio)[image]

        def of_setting(setting: Calibration) -> Array:
            def of_user(universal: Array, personal: Array) -> Array:
                calibrated = calibrate(
                    universal, jnp.asarray(prior), setting, aspect_ratio=aspect_ratio
                )
                return (personal * jnp.log(calibrated + 1e-12)).sum()

            return jax.vmap(of_user)(universal, personal)

        return jax.lax.map(of_setting, Calibration(*map(jnp.asarray, grid)))

    found = [np.asarray(of_image(group, gaze, image)) for image in images]
    return np.stack(found).transpose(2, 0, 1)


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
        return weight / weight.sum(axis=0)  # What a cell gives away sums to 1.

    height, width = saliency.shape
    rows, columns = kernel(height, sigma_frac * aspect_ratio), kernel(width, sigma_frac)
    return rows @ saliency @ columns.T
