"""Virtual users: the gaze of a person, warped in one way on all images, is that of somebody else.

Few people are there to learn from, and what tells strangers apart may differ little between them.
Somebody who looks wider, longer, more to the left, or at the mirror image would be another person;
contrasting such persons too teaches the encoder to tell them apart. Ours.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, Shaped
from ml_collections import ConfigDict

from gazejax.inputs.pairs import Pairs, render_personal_maps
from gazejax.models import feature_projection
from gazejax.types import Scanpaths


class GazeTransform(NamedTuple):
    """What makes virtual users of real ones; one entry for each user, or for each of their pairs.

    Attributes:
        is_mirrored: whether left and right are exchanged.
        scale: factor of every distance from the centre of the image.
        duration_factor: factor of every duration.
        shift_frac: shift of every fixation, x then y, as a fraction of the image.
    """

    is_mirrored: Bool[Array, " row"]
    scale: Float[Array, " row"]
    duration_factor: Float[Array, " row"]
    shift_frac: Float[Array, "row 2"]


def sample_transforms(
    key: Key[Array, ""],
    *,
    number: int,
    mirror: bool,
    scale_spread: float,
    duration_spread: float,
    shift_frac: float,
) -> GazeTransform:
    """Draws virtual users.

    Args:
        key: random key.
        number: how many.
        mirror: whether every other one, by chance, is mirrored.
        scale_spread: standard deviation of the logarithm of `scale`.
        duration_spread: standard deviation of the logarithm of `duration_factor`.
        shift_frac: standard deviation of the shift.
    """
    mirror_key, scale_key, duration_key, shift_key = jax.random.split(key, 4)
    return GazeTransform(
        is_mirrored=jax.random.bernoulli(mirror_key, 0.5 if mirror else 0.0, (number,)),
        scale=jnp.exp(scale_spread * jax.random.normal(scale_key, (number,))),
        duration_factor=jnp.exp(duration_spread * jax.random.normal(duration_key, (number,))),
        shift_frac=shift_frac * jax.random.normal(shift_key, (number, 2)),
    )


def identity_transforms(number: int) -> GazeTransform:
    """Real users, who stay as they are."""
    return GazeTransform(
        is_mirrored=jnp.zeros(number, bool),
        scale=jnp.ones(number),
        duration_factor=jnp.ones(number),
        shift_frac=jnp.zeros((number, 2)),
    )


def transform_scanpaths(warp: GazeTransform, scanpaths: Scanpaths) -> Scanpaths:
    """Warps the fixations of pairs; they may end up outside of the image."""
    sign = jnp.where(warp.is_mirrored, -1.0, 1.0)
    factor = warp.scale[:, None] * jnp.stack([sign, jnp.ones_like(sign)], axis=-1)
    xy_frac = 0.5 + (scanpaths.xy_frac - 0.5) * factor[:, None] + warp.shift_frac[:, None]
    duration_ms = scanpaths.duration_ms * warp.duration_factor[:, None]
    return scanpaths._replace(xy_frac=xy_frac, duration_ms=duration_ms)


def mirror_columns(
    warp: GazeTransform, arrays: Shaped[Array, "row height width *channel"]
) -> Shaped[Array, "row height width *channel"]:
    """Mirrors pictures or maps of the pairs whose user is mirrored."""
    is_mirrored = warp.is_mirrored.reshape(-1, *[1] * (arrays.ndim - 1))
    return jnp.where(is_mirrored, arrays[:, :, ::-1], arrays)


def transform_pairs(config: ConfigDict, warp: GazeTransform, pairs: Pairs) -> Pairs:
    """Makes pairs of virtual users; what is where they looked, and who else, stays as it was."""
    scanpaths = transform_scanpaths(warp, pairs.scanpaths)
    return pairs._replace(
        pixels=mirror_columns(warp, pairs.pixels),
        scanpaths=scanpaths,
        personal=render_personal_maps(config, "encoder", scanpaths, pairs.aspect_ratio),
        universal=mirror_columns(warp, pairs.universal),
        taste=None if pairs.taste is None else _mirror_preference_vectors(warp, pairs.taste),
    )


def _mirror_preference_vectors(
    warp: GazeTransform, taste: Float[Array, "pair taste"]
) -> Float[Array, "pair taste"]:
    sign = jnp.asarray(feature_projection.mirrored_signs(taste.shape[-1]))
    return jnp.where(warp.is_mirrored[:, None], taste * sign, taste)
