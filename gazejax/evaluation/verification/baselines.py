"""Baselines of stage 1 without learning, which the encoder must exceed.

They compare users by residual maps, or by fixation statistics: the number and the mean duration of
fixations.
"""

import math
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int

from gazejax.inputs.maps import (
    JoinedGaze,
    LeaveOneOutMaps,
    MapSpec,
    personal_and_universal_maps,
)
from gazejax.inputs.viewing_vectors import ViewingVectors, number_viewings
from gazejax.runtime.devices import map_rows
from gazejax.types import Gaze

# Viewings that are rendered at once; their fixations are few megabytes.
_BATCH_SIZE = 512


def fixation_statistics(
    gaze: Gaze, users: Int[np.ndarray, " user"], images: Int[np.ndarray, " image"]
) -> ViewingVectors:
    """Number of fixations of each viewing and their mean duration in milliseconds.

    Both statistics are stable within a user and do not depend on the positions of fixations.
    """
    length = np.asarray(gaze.viewing_length)[np.ix_(users, images)]
    viewed = length > 0
    length, offset = length[viewed], np.asarray(gaze.viewing_offset)[np.ix_(users, images)][viewed]
    until = np.concatenate([[0.0], np.cumsum(gaze.duration_ms, dtype=np.float64)])
    total_ms = until[offset + length] - until[offset]
    return ViewingVectors(np.stack([length, total_ms / length], axis=-1), number_viewings(viewed))


def residual_maps(
    universal_maps: LeaveOneOutMaps,
    gaze: Gaze,
    *,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
    spec: MapSpec,
    joined: JoinedGaze | None = None,
) -> ViewingVectors:
    """Personal minus universal map of every viewing, flattened; a baseline without learning."""
    viewed = np.asarray(gaze.viewing_length)[np.ix_(users, images)] > 0
    user, image = np.nonzero(viewed)
    vectors = np.empty((len(user), math.prod(spec.size)), np.float32)
    batches = map_rows(
        _residual_maps_of,
        (universal_maps, gaze, joined),
        (users[user], images[image]),
        static=(spec,),
        devices=jax.local_devices(),
        batch_size=_BATCH_SIZE,
    )
    done = 0
    for batch in batches:
        vectors[done : done + len(batch)] = batch
        done += len(batch)
    return ViewingVectors(vectors, number_viewings(viewed))


def _residual_maps_of(spec: MapSpec, constants: Any, user: Array, image: Array) -> Array:
    universal_maps, gaze, joined = constants
    personal, universal = personal_and_universal_maps(
        gaze, universal_maps, user, image, spec, joined
    )
    return (personal - universal).reshape(len(image), -1)
