"""Virtual users and virtual sessions: the gaze of a user under one transform.

Training has few users, and differences between unseen users may be small among them. A user who
looks wider, longer, more to the left, or at the mirror image counts as another user; the encoder
learns to separate such users too.

Two sessions of one person differ by calibration, posture and the day. A virtual session changes a
few pairs of a user by one small transform, and they stay pairs of this user. The encoder learns
that such differences are not the user. Both are ours.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, Shaped

from gazejax.inputs.maps import MapSpec, scanpath_maps
from gazejax.inputs.pairs import Pairs
from gazejax.models import feature_projection
from gazejax.types import Scanpaths


class GazeTransform(NamedTuple):
    """What changes gaze; one entry for each user, session or pair.

    Attributes:
        is_mirrored: whether left and right are exchanged.
        scale: factor of every distance from the center of the image.
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
    """Samples transforms of virtual users or of virtual sessions.

    Args:
        key: random key.
        number: how many.
        mirror: whether every other one, by chance, is mirrored; sessions are not.
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
    """Transforms of real users, which change nothing."""
    return GazeTransform(
        is_mirrored=jnp.zeros(number, bool),
        scale=jnp.ones(number),
        duration_factor=jnp.ones(number),
        shift_frac=jnp.zeros((number, 2)),
    )


def without_durations(transforms: GazeTransform, is_known: Bool[Array, " row"]) -> GazeTransform:
    """Transforms after which durations are 0, which stands for not known, where they are not known.

    Args:
        transforms: of sessions.
        is_known: whether the durations of each are known.
    """
    return transforms._replace(duration_factor=transforms.duration_factor * is_known)


def then(first: GazeTransform, second: GazeTransform) -> GazeTransform:
    """One transform in place of two, row by row; the second one does not mirror.

    Example:
        >>> one = GazeTransform(jnp.array([True]), jnp.array([2.0]), jnp.array([1.0]),
        ...                     jnp.array([[0.1, 0.0]]))
        >>> print(then(one, one._replace(is_mirrored=jnp.array([False]))).shift_frac)
        [[0.3 0. ]]
    """
    return GazeTransform(
        is_mirrored=first.is_mirrored,
        scale=first.scale * second.scale,
        duration_factor=first.duration_factor * second.duration_factor,
        shift_frac=second.scale[:, None] * first.shift_frac + second.shift_frac,
    )


def transform_scanpaths(transform: GazeTransform, scanpaths: Scanpaths) -> Scanpaths:
    """Transforms the fixations of pairs; they may end up outside of the image."""
    sign = jnp.where(transform.is_mirrored, -1.0, 1.0)
    factor = transform.scale[:, None] * jnp.stack([sign, jnp.ones_like(sign)], axis=-1)
    xy_frac = 0.5 + (scanpaths.xy_frac - 0.5) * factor[:, None] + transform.shift_frac[:, None]
    duration_ms = scanpaths.duration_ms * transform.duration_factor[:, None]
    return scanpaths._replace(xy_frac=xy_frac, duration_ms=duration_ms)


def mirror_columns(
    transform: GazeTransform, arrays: Shaped[Array, "row height width *channel"]
) -> Shaped[Array, "row height width *channel"]:
    """Mirrors images or maps of the pairs whose user is mirrored."""
    is_mirrored = transform.is_mirrored.reshape(-1, *[1] * (arrays.ndim - 1))
    return jnp.where(is_mirrored, arrays[:, :, ::-1], arrays)


def transform_pairs(transform: GazeTransform, pairs: Pairs, spec: MapSpec) -> Pairs:
    """Transforms the gaze of pairs; images and universal maps change with a mirrored user alone."""
    scanpaths = transform_scanpaths(transform, pairs.scanpaths)
    preference = pairs.preference
    return pairs._replace(
        images=None if pairs.images is None else mirror_columns(transform, pairs.images),
        scanpaths=scanpaths,
        personal=scanpath_maps(scanpaths, pairs.aspect_ratio, spec),
        universal=mirror_columns(transform, pairs.universal),
        preference=None if preference is None else _mirror_preferences(transform, preference),
    )


def _mirror_preferences(
    transform: GazeTransform, preference: Float[Array, "pair preference"]
) -> Float[Array, "pair preference"]:
    sign = jnp.asarray(feature_projection.mirrored_signs(preference.shape[-1]))
    return jnp.where(transform.is_mirrored[:, None], preference * sign, preference)
