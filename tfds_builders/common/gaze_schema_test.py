"""Rules of all records."""

from typing import Any

import numpy as np
import pytest

from tfds_builders.common import gaze_schema


def test_fixations_outside_are_dropped_and_not_moved() -> None:
    # A 4 x 3 image: x may be 0 <= x < 4, y may be 0 <= y < 3.
    xy_px = [[0, 0], [3.999, 2.999], [4, 1], [1, 3], [-0.001, 1], [1, -0.001], [2, 1]]
    gaze = gaze_schema.GazeTable(
        user=np.arange(7),
        trial=np.zeros(7, np.int32),
        xy_px=np.asarray(xy_px, np.float32),
        duration_ms=np.arange(7) * 100.0,
    )
    kept, num_dropped = gaze_schema.drop_fixations_outside(gaze, width=4, height=3)
    assert num_dropped == 4
    np.testing.assert_array_equal(kept.user, [0, 1, 6])
    np.testing.assert_array_equal(kept.duration_ms, [0, 100, 600])
    np.testing.assert_array_equal(
        kept.xy_px, np.asarray([[0, 0], [3.999, 2.999], [2, 1]], np.float32)
    )


def test_a_fixation_that_rounds_onto_the_border_is_outside() -> None:
    # 159.9999999 is inside in float64, but is stored in float32 as 160.
    gaze = gaze_schema.GazeTable(
        np.zeros(1, np.int32), np.zeros(1, np.int32), np.asarray([[159.9999999, 5.0]]), np.ones(1)
    )
    assert gaze_schema.drop_fixations_outside(gaze, width=160, height=120)[1] == 1


def test_nan_is_not_dropped_but_refused() -> None:
    gaze = gaze_schema.GazeTable(
        np.zeros(1, np.int32), np.zeros(1, np.int32), np.asarray([[np.nan, 5.0]]), np.ones(1)
    )
    kept, num_dropped = gaze_schema.drop_fixations_outside(gaze, width=160, height=120)
    assert num_dropped == 0
    with pytest.raises(ValueError, match="xy_px of fixation 0 is"):
        gaze_schema.make_example(b"png", "a.png", *kept)


def test_an_image_without_gaze_is_a_record() -> None:
    example = gaze_schema.make_example(b"png", "a.png", [], [], np.zeros((0, 2)), [])
    assert example["gaze"]["xy_px"].shape == (0, 2)
    assert example["gaze"]["user"].dtype == np.int32


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"trial": [0]}, r"a.png: trial has shape \(1,\), expected \(2,\)"),
        ({"xy_px": [[1, 2, 3], [1, 2, 3]]}, r"a.png: xy_px has shape \(2, 3\), expected \(2, 2\)"),
        ({"xy_px": [[1, 2], [np.nan, 3]]}, r"a.png: xy_px of fixation 1 is \[nan  3.\], expected"),
        ({"duration_ms": [200, -1]}, r"a.png: duration_ms of fixation 1 is -1.0, expected"),
        ({"user": [0.5, 1.0]}, r"a.png: user has dtype float64, expected integers"),
        ({"user": [1, 0]}, r"a.png: fixation 1 \(user 0, trial 0\) is out of order"),
        ({"trial": [1, 0]}, r"a.png: fixation 1 \(user 0, trial 0\) is out of order"),
    ],
)
def test_a_table_that_breaks_the_schema_is_refused(changed: dict, message: str) -> None:
    columns: dict[str, Any] = {
        "user": [0, 0],
        "trial": [0, 0],
        "xy_px": [[1, 2], [3, 4]],
        "duration_ms": [200, 300],
    }
    gaze_schema.make_example(b"png", "a.png", **columns)
    with pytest.raises(ValueError, match=message) as error:
        gaze_schema.make_example(b"png", "a.png", **(columns | changed))
    assert "\n" not in str(error.value)


def test_trials_may_start_again_with_the_next_user() -> None:
    xy_px = [[1, 1], [2, 2], [3, 3]]
    gaze_schema.make_example(b"png", "a.png", [0, 0, 1], [0, 1, 0], xy_px, [1, 1, 1])
