"""Figures of verification by hand and against scikit-learn, and what must be refused."""

import jaxtyping
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from gazejax.metrics import verification

GENERATOR = np.random.default_rng(0)
# Thresholds fall through .9 g, .8 i, .7 g, .6 g and i, .5 i, .3 i, .2 g.
GENUINE = np.array([0.9, 0.7, 0.6, 0.2])
IMPOSTOR = np.array([0.8, 0.6, 0.5, 0.3])


def test_figures_by_hand():
    curve = verification.roc_curve(GENUINE, IMPOSTOR)
    np.testing.assert_allclose(curve.fmr * 4, [0, 0, 1, 1, 2, 3, 4, 4])
    np.testing.assert_allclose(curve.fnmr * 4, [4, 3, 3, 2, 1, 1, 1, 0])
    # Wins: .9 beats 4, .7 beats 3, .6 beats 2 and ties 1, .2 beats 0: 9.5 of 16.
    assert verification.roc_auc(GENUINE, IMPOSTOR) == pytest.approx(9.5 / 16)
    # From (FMR, FNMR) = (.25, .5) to (.5, .25): they meet in the middle.
    assert verification.eer(GENUINE, IMPOSTOR) == pytest.approx(0.375)


def test_fnmr_is_not_interpolated():
    # 30 impostor scores: an FMR of .1 allows 3 of them, so the threshold is above the 4th, 27.
    genuine, impostor = np.array([28.0, 26.5, 31.0, 27.0]), np.arange(1.0, 31.0)
    assert verification.fnmr_at_fmr(genuine, impostor, fmr=0.1) == 0.5
    # At 27 an impostor score ties: it would match as well.
    assert verification.fnmr_at_fmr(np.array([27.0]), impostor, fmr=0.1) == 1.0
    assert verification.fnmr_at_fmr(np.array([31.0]), impostor, fmr=0.1) == 0.0
    with pytest.raises(ValueError, match="impostor has 29 scores; allowed: at least 30 for"):
        verification.fnmr_at_fmr(genuine, impostor[1:], fmr=0.1)
    with pytest.raises(ValueError, match="fmr is 0"):
        verification.fnmr_at_fmr(genuine, impostor, fmr=0.0)


@pytest.mark.parametrize("fmr", ["x", None, [0.1], float("nan"), 1, True])
def test_a_rate_that_is_none_is_refused(fmr, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # As outside of tests.
    with pytest.raises(ValueError, match=r"^fmr is .*; allowed: "):
        verification.fnmr_at_fmr(GENUINE, np.arange(30.0), fmr=fmr)


def test_scores_of_no_probe_are_refused():
    for figure in (verification.own_rank, verification.cmc, verification.rank1):
        with pytest.raises(
            ValueError, match=r"^scores has shape \(0, 2, 2\); allowed: .* not empty"
        ):
            figure(np.zeros((0, 2, 2)))


@pytest.mark.parametrize("decimals", [1, 8])  # With many ties, and with none.
def test_figures_agree_with_scikit_learn(decimals):
    genuine = GENERATOR.normal(0.7, 1, 300).round(decimals)
    impostor = GENERATOR.normal(0, 1, 500).round(decimals)
    truth = np.r_[np.ones(300), np.zeros(500)]
    scores = np.r_[genuine, impostor]
    assert verification.roc_auc(genuine, impostor) == pytest.approx(
        sklearn_metrics.roc_auc_score(truth, scores)
    )
    fmr, hits, _ = sklearn_metrics.roc_curve(truth, scores, drop_intermediate=False)
    curve = verification.roc_curve(genuine, impostor)
    np.testing.assert_allclose(curve.fmr, fmr)
    np.testing.assert_allclose(curve.fnmr, 1 - hits)
    for rate in (0.01, 0.1):
        expected = 1 - hits[fmr <= rate].max()
        assert verification.fnmr_at_fmr(genuine, impostor, fmr=rate) == pytest.approx(expected)
    # Where the interpolated curve crosses the diagonal FNMR = FMR.
    crossing = np.interp(0, fmr - (1 - hits), fmr)
    assert verification.eer(genuine, impostor) == pytest.approx(crossing)


def test_identical_scores_are_chance():
    same = np.zeros(400)
    assert verification.roc_auc(same, same) == 0.5
    assert verification.eer(same, same) == 0.5
    assert verification.fnmr_at_fmr(same, same, fmr=0.1) == 1.0


@pytest.mark.parametrize("figure", [verification.roc_auc, verification.eer])
def test_an_empty_class_and_nan_are_refused(figure):
    with pytest.raises(ValueError, match="genuine has 0 scores"):
        figure(np.zeros(0), IMPOSTOR)
    with pytest.raises(ValueError, match="impostor has 0 scores"):
        figure(GENUINE, np.zeros(0))
    with pytest.raises(ValueError, match="impostor has 2 scores; allowed: at least 1, none NaN"):
        figure(GENUINE, np.array([0.1, np.nan]))


def test_ranks_by_hand_with_ties_against_us():
    scores = np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 1.0], [3.0, 2.0, 1.0]])
    np.testing.assert_array_equal(verification.own_rank(scores), [1, 2, 3])
    np.testing.assert_allclose(verification.cmc(scores), [1 / 3, 2 / 3, 1])
    assert verification.rank1(scores) == pytest.approx(1 / 3)
    assert verification.rank1(np.zeros((4, 4))) == 0.0
    with pytest.raises(ValueError, match=r"scores has shape \(1, 1\); allowed: .* 2 users"):
        verification.rank1(np.zeros((1, 1)))
    with pytest.raises(ValueError, match="no NaN"):
        verification.rank1(np.full((2, 2), np.nan))


def test_average_precision_at_r_by_hand():
    # User 0 has samples 0, 1, 2 (R = 2), user 1 samples 3, 4 (R = 1), user 2 only sample 5.
    users = np.array([0, 0, 0, 1, 1, 2])
    scores = np.zeros((6, 6))
    scores[0] = [9, 5, 1, 4, 3, 2]  # hit, miss: (1/1 + 0) / 2
    scores[1] = [4, 9, 3, 5, 1, 2]  # miss, hit: (0 + 1/2) / 2
    scores[2] = [5, 4, 9, 1, 2, 3]  # hit, hit: 1
    scores[3] = [1, 1, 1, 9, 2, 0]  # hit
    scores[4] = [1, 1, 1, 2, 9, 2]  # A tie with sample 5 counts against us: miss.
    found = verification.average_precision_at_r(scores, users)
    np.testing.assert_allclose(found, [0.5, 0.25, 1.0, 1.0, 0.0, np.nan])
    assert verification.map_at_r(scores, users) == pytest.approx(2.75 / 5)


def test_map_at_r_of_random_scores_is_its_chance():
    users = np.repeat(np.arange(4), 5)
    found = [verification.map_at_r(GENERATOR.random((20, 20)), users) for _ in range(400)]
    expected = verification.chance_map_at_r(num_relevant=4, num_others=19)
    assert np.mean(found) == pytest.approx(expected, abs=0.01)
    # Two samples each, R = 1: one of the N - 1 others is right.
    assert verification.chance_map_at_r(num_relevant=1, num_others=5) == pytest.approx(1 / 5)


def test_map_at_r_refuses_what_says_nothing():
    with pytest.raises(ValueError, match="users has 1 users"):
        verification.map_at_r(np.zeros((3, 3)), np.zeros(3, int))
    with pytest.raises(ValueError, match="at most 1 samples"):
        verification.map_at_r(np.zeros((3, 3)), np.arange(3))
    with pytest.raises(ValueError, match="no NaN"):
        verification.map_at_r(np.full((4, 4), np.nan), np.array([0, 0, 1, 1]))


@pytest.mark.parametrize("users", [[1, "1", 2], ["a", "a", None], [1, 1, np.nan], [1, 1, None]])
def test_users_are_all_texts_or_all_numbers(users):
    for given in (users, np.array(users, object)):
        with pytest.raises(ValueError, match=r"^users (has|holds|is) .*; allowed: "):
            verification.average_precision_at_r(np.zeros((3, 3)), given)


@pytest.mark.parametrize(("relevant", "others"), [(5, 4), (0, 4), (1, 0)])
def test_chance_of_numbers_that_cannot_be_is_refused(relevant, others):
    with pytest.raises(ValueError, match=f"^num_relevant is {relevant} and num_others {others}; "):
        verification.chance_map_at_r(num_relevant=relevant, num_others=others)


def test_similarities_of_zero_and_constant_vectors():
    features = np.array([[0.0, 0.0], [3.0, 4.0], [4.0, -3.0]])
    np.testing.assert_allclose(
        verification.cosine(features, features), [[0, 0, 0], [0, 1, 0], [0, 0, 1]], atol=1e-12
    )
    np.testing.assert_allclose(
        verification.negative_distance(features[:1], features), [[0, -5, -5]]
    )
    maps = np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]])
    np.testing.assert_allclose(verification.correlation(maps, -maps), [[0, 0], [0, -1]])
