"""Baselines of stage 1 without learning, which the encoder must exceed.

They compare users by residual maps, or by fixation statistics: the number and the mean duration of
fixations.
"""

import functools
import math

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
from gazejax.types import Gaze


def fixation_statistics(
    gaze: Gaze, users: Int[np.ndarray, " user"], images: Int[np.ndarray, " image"]
) -> Float[np.ndarray, "user image 2"]:
    """Number of fixations of each viewing and their mean duration in milliseconds; 0 if not seen.

    Both statistics are stable within a user and do not depend on the positions of fixations.
    """
    length = np.asarray(gaze.viewing_length)[np.ix_(users, images)]
    offset = np.asarray(gaze.viewing_offset)[np.ix_(users, images)]
    until = np.concatenate([[0.0], np.cumsum(gaze.duration_ms, dtype=np.float64)])
    total_ms = until[offset + length] - until[offset]
    return np.stack([length, total_ms / np.maximum(length, 1)], axis=-1)


def residual_maps(
    universal_maps: LeaveOneOutMaps,
    gaze: Gaze,
    *,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
    spec: MapSpec,
    joined: JoinedGaze | None = None,
) -> Float[np.ndarray, "user image cell"]:
    """Personal minus universal map of every viewing, flattened; a baseline without learning."""
    found = np.empty((len(users), len(images), math.prod(spec.size)), np.float32)
    for row, user in zip(found, users, strict=True):
        row[:] = _residual_maps_of(spec, universal_maps, gaze, joined, images, user)
    return found


@functools.partial(jax.jit, static_argnums=0)
def _residual_maps_of(
    spec: MapSpec,
    universal_maps: LeaveOneOutMaps,
    gaze: Gaze,
    joined: JoinedGaze | None,
    image: Array,
    user: Array,
) -> Array:
    user = jnp.broadcast_to(user, image.shape)
    personal, universal = personal_and_universal_maps(
        gaze, universal_maps, user, image, spec, joined
    )
    return (personal - universal).reshape(len(image), -1)
