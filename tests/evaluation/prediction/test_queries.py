"""Maps without a universal map are not scored."""

import numpy as np

from gazejax.evaluation.prediction import queries
from gazejax.evaluation.prediction.calibration import Calibration
from gazejax.evaluation.prediction.protocol import PredictionRequest
from gazejax.inputs.maps import LeaveOneOutMaps
from gazejax.types import Gaze


def test_a_universal_map_is_of_another_seen_user():
    # Users 0 and 1 are seen, user 2 is not. Images: both saw, user 0 alone, unseen alone.
    viewed = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]], np.int32)
    gaze = Gaze(np.zeros((1, 2)), np.zeros(1), np.zeros_like(viewed), viewed, np.ones(3))
    universal = LeaveOneOutMaps(None, viewed[:2].sum(axis=0), np.array([True, True, False]))
    found = queries.has_universal_map(universal, gaze, np.arange(3), np.array([2, 1, 0]))
    expected = [[False, False, True], [False, True, True], [False, True, True]]
    assert found.tolist() == expected


def test_maps_without_a_universal_map_are_left_out_and_users_without_any(capsys):
    # Two sizes of one draw: user 1 is asked for image 1 alone, user 2 for no image at size 2.
    is_query = np.array(
        [[[1, 1, 0], [0, 1, 0], [0, 1, 1]], [[1, 1, 0], [0, 1, 0], [0, 1, 0]]], bool
    )
    values = np.arange(6.0).reshape(2, 3)
    asked = PredictionRequest(
        users=np.array([5, 6, 7]),
        images=np.arange(3),
        is_enrolled=~is_query,
        is_query=is_query,
        embeddings=np.tile(values[:, None, :, None], (1, 4, 1, 1)),
        calibration=Calibration(values, values, values),
        recordings=values.astype(int),
    )
    everything = queries.with_known_maps(asked, np.ones((3, 3), bool), 2)
    assert everything.num_unknown == 0
    np.testing.assert_array_equal(everything.request.is_query, is_query)
    assert queries.are_enough("seen", [everything])
    assert capsys.readouterr().err == ""
    is_known = np.array([[1, 1, 1], [1, 1, 1], [1, 0, 1]], bool)
    found = queries.with_known_maps(asked, is_known, 2)
    assert found.num_unknown == 1
    assert found.request.users.tolist() == [5, 6]
    assert found.request.recordings.tolist() == [[0, 1], [3, 4]]
    assert found.request.calibration.gain.tolist() == [[0, 1], [3, 4]]
    assert found.request.embeddings.shape == (2, 4, 2, 1)
    assert queries.are_enough("seen", [found])
    one = queries.with_known_maps(asked, np.array([[1, 0, 1]] * 3, bool), 2)
    assert not queries.are_enough("unseen", [found, one])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("evaluation, stage 2, seen users: maps not scored: 1")
    assert lines[2].startswith("evaluation, stage 2, left out for unseen users")
