"""Gaze made up for tests."""

import numpy as np

from gazejax.types import Gaze

GENERATOR = np.random.default_rng(0)


def gaze_of(lengths, xy_frac=None):
    """Gaze of users x images with these numbers of fixations; durations are 100, 101, ... ms."""
    lengths = np.array(lengths, np.int32)
    ends = np.cumsum(lengths.ravel()).reshape(lengths.shape)
    number = int(lengths.sum())
    return Gaze(
        xy_frac=GENERATOR.random((number, 2)).astype(np.float32) if xy_frac is None else xy_frac,
        duration_ms=np.arange(number, dtype=np.float32) + 100,
        viewing_offset=(ends - lengths).astype(np.int32),
        viewing_length=lengths,
        aspect_ratio=np.full(lengths.shape[1], 4 / 3, np.float32),
    )
