"""Baselines of stage 1, by hand."""

import numpy as np

from gazejax.evaluation.verification import baselines
from tests.made_gaze import gaze_of


def test_fixation_statistics_by_hand():
    # Durations: user 0 has 100, 101 on image 0; user 1 102, 103, 104 on image 0 and 105 on image 1.
    gaze = gaze_of([[2, 0], [3, 1]])
    found = baselines.fixation_statistics(gaze, np.array([1, 0]), np.array([0, 1]))
    np.testing.assert_allclose(found.vectors, [[3, 103], [1, 105], [2, 100.5]])
    np.testing.assert_array_equal(found.row, [[0, 1], [2, -1]])
