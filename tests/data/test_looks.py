"""Units and length of gaze that a program gives, from the numbers alone."""

import warnings

import numpy as np
import pytest

from gazejax.data.looks import describe_viewings, warn_of_length, warn_of_units
from gazejax.types import Gaze


def test_other_units_are_warned_of(recwarn):
    random = np.random.default_rng(0)
    points = [random.uniform(0.05, 0.95, (num, 2)) for num in (5, 4)]
    times = [random.uniform(150, 350, num) for num in (5, 4)]

    def messages(points, times, *, has_durations=True):
        recwarn.clear()
        warn_of_units(points, [(480, 640, 3)] * 2, times, has_durations=has_durations)
        return [str(one.message).split(";")[0] for one in recwarn]

    assert messages(points, times) == []
    as_frac = [one / (640, 480) for one in points]  # A program gave fractions as pixels.
    assert messages(as_frac, times) == ["x and y look like fractions, not pixels"]
    for factor, unit in ((1e-3, "seconds"), (1e3, "microseconds")):
        wrong = [factor * one for one in times]
        assert messages(points, wrong) == [f"durations look like {unit}, not milliseconds"]
        assert messages(points, wrong, has_durations=False) == []


# Fixations of users 0, 1 and 2 on three images.
LENGTH = np.array([[2, 4, 0], [1, 1, 1], [9, 9, 9]], np.int32)


def gaze():
    number = int(LENGTH.sum())
    return Gaze(
        np.full((number, 2), 0.5, np.float32),
        np.full(number, 500, np.float32),
        (np.cumsum(LENGTH.ravel()) - LENGTH.ravel()).reshape(LENGTH.shape).astype(np.int32),
        LENGTH,
        np.ones(3, np.float32),
    )


def test_means_of_users_and_spread_of_viewings_by_hand():
    users, images = np.array([0, 1]), np.arange(3)  # User 2 is not in the training.
    found = describe_viewings(gaze(), users, images, has_durations=True)
    # User 0 has 2 and 4, of variance 1, and user 1 always 1.
    assert found["fixations"] == {"least": 1.0, "most": 3.0, "spread": pytest.approx(0.5**0.5)}
    assert found["seconds"] == {"least": 0.5, "most": 1.5, "spread": pytest.approx(0.5**1.5)}
    assert set(describe_viewings(gaze(), users, images, has_durations=False)) == {"fixations"}


def test_only_users_beyond_the_training_are_warned_of():
    described = {"fixations": {"least": 8.0, "most": 10.0, "spread": 2.0}}

    def warned(fixations, viewings):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_of_length(
                described, {"ann": {"viewings": float(viewings), "fixations": fixations}}
            )
        return [str(one.message) for one in caught]

    # From 8 / 1.25 to 10 * 1.25, and a margin of four standard deviations of the mean: 8 of one
    # viewing, 2 of sixteen.
    assert not warned(20.0, 1)
    assert not warned(14.0, 16)
    assert not warned(5.0, 16)
    [message] = warned(15.0, 16)
    assert message.startswith("viewings of 'ann' have 15.0 fixations on average, and those of ")
    assert "8.0 to 10.0" in message
    assert warned(4.0, 16)
    described.clear()  # As in a run of an earlier version.
    assert not warned(99.0, 16)


def test_a_warning_has_the_number_of_users_and_the_first_of_them():
    described = {
        name: {"least": 8.0, "most": 10.0, "spread": 2.0} for name in ("fixations", "seconds")
    }
    measured = {
        f"p{number}": {"viewings": 16.0, "fixations": 9.0 + 10 * (number > 0), "seconds": 60.0}
        for number in range(6)
    }
    with pytest.warns(UserWarning, match="on average") as caught:
        warn_of_length(described, measured)
    messages = [str(one.message).partition(": ")[0] for one in caught]
    assert messages == [
        "viewings of 5 of 6 users have other fixations ('p1' 19.0, 'p2' 19.0, 'p3' 19.0 and 2 more "
        "users) on average, and those of the training 8.0 to 10.0",
        "viewings of 'p0' have 60.0 seconds on average, and those of the training 8.0 to 10.0",
    ]


def test_gaze_in_one_quarter_of_all_pictures_is_of_smaller_ones():
    rng = np.random.default_rng(0)
    points = [rng.uniform(0, 0.5, (9, 2)) for _ in range(12)]
    times = [np.full(9, 250.0)] * 12
    with pytest.warns(UserWarning, match="no gaze is in the right .* may be larger than those"):
        warn_of_units(points, [(480, 640, 3)] * 12, times, has_durations=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low = [one * (2, 1) for one in points]  # Of one user, the upper half alone says nothing.
        warn_of_units(low, [(480, 640, 3)] * 12, times, has_durations=False)
