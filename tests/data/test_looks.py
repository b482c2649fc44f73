"""Units of gaze that a program gives, from the numbers alone."""

import numpy as np

from gazejax.data.looks import warn_of_units


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
