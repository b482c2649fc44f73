"""Curves of scores by hand, on pairs whose odds are known, and on pairs that nothing separates."""

import numpy as np
import pytest
from scipy import special

from gazejax.inference import same_person


def pairs(number, seed=0):
    """Scores of which the true log odds are 2 * score + 1, for equal odds before."""
    generator = np.random.default_rng(seed)
    score = generator.normal(-0.5, 1, number)
    is_same = generator.random(number) < special.expit(2 * score + 1)
    return score, is_same


def test_a_curve_is_found_whatever_the_share_of_pairs_of_one_person():
    score, is_same = pairs(100_000)
    few = is_same & (np.random.default_rng(1).random(len(score)) < 0.1)
    for kept in (np.ones(len(score), bool), ~is_same | few):
        found = same_person.fit_curve(score[kept], np.ones(kept.sum()), is_same[kept])
        # Equal odds before: the intercept loses the log odds of one person among all pairs.
        prior = np.log(is_same.mean() / (1 - is_same.mean()))
        np.testing.assert_allclose(found, [2, 1 - prior], atol=0.1)


def test_scores_that_separate_all_or_nothing_have_a_curve():
    score, is_same = np.arange(10.0), np.arange(10) >= 5
    slope, intercept = same_person.fit_curve(score, np.ones(10), is_same)
    assert np.isfinite([slope, intercept]).all()
    assert -intercept / slope == pytest.approx(4.5, abs=0.1)
    slope, intercept = same_person.fit_curve(-score, np.ones(10), is_same)
    assert slope == 0  # More alike is never less probable.
    np.testing.assert_allclose(
        same_person.fit_curve(np.ones(4), np.ones(4), is_same[3:7])[1], 0, atol=1e-6
    )


def test_the_error_of_true_probabilities_is_small_and_of_others_is_not():
    score, is_same = pairs(100_000)
    weight = np.ones(len(score))
    prior = np.log(is_same.mean() / (1 - is_same.mean()))
    true = special.expit(2 * score + 1 - prior)
    assert same_person.reliability(true, weight, is_same).error < 0.01
    assert same_person.reliability(true**4, weight, is_same).error > 0.1
    found = same_person.reliability(np.array([0.01, 0.99]), np.ones(2), np.array([False, True]))
    assert found.error == pytest.approx(0.01)
    assert found.weight.sum() == pytest.approx(1)


def test_between_two_curves_and_beyond_them():
    curves = same_person.ScoreCalibration(
        np.array([1, 100]), np.array([1.0, 3.0]), np.array([0.0, 1.0])
    )
    found = [same_person.log_odds(curves, 2.0, number) for number in (0.5, 1.0, 10.0, 1e2, 1e3)]
    np.testing.assert_allclose(found, [2, 2, 4.5, 7, 7])
