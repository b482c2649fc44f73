"""Protocols on gaze made up so that the right answer is known."""

import numpy as np
import pytest

from gazejax.evaluation import prediction_protocol, verification_protocol
from gazejax.metrics import bootstrap, verification

GENERATOR = np.random.default_rng(0)


def features_of(num_users, num_images, person_strength):
    """A person's own vector, plus noise that the images of a person do not share."""
    person = GENERATOR.normal(size=(num_users, 1, 16)) * person_strength
    return person + GENERATOR.normal(size=(num_users, num_images, 16))


def scores_of(features, size, viewed=None, permuted=False):
    viewed = np.ones(features.shape[:2], bool) if viewed is None else viewed
    compared = verification_protocol.UserRepresentations(
        np.arange(len(features)), features, viewed, verification.negative_distance, permuted
    )
    orders = verification_protocol.sample_image_orders(features.shape[1], 50, 0)
    number = min(max(viewed.sum(axis=1).min() // size, 2), 4)
    return verification_protocol.score_draws(
        compared, orders, size=size, samples_per_user=int(number), seed=0
    )


def figures_of(features, size, viewed=None, permuted=False):
    return verification_protocol.verification_metrics([scores_of(features, size, viewed, permuted)])


def test_persons_are_told_apart_better_with_more_images_and_chance_is_chance():
    features = features_of(10, 40, 0.4)
    one, ten = figures_of(features, 1), figures_of(features, 10)
    assert 0.5 < one["roc_auc"] < ten["roc_auc"]
    assert ten["roc_auc"] > 0.95
    assert ten["rank1"] > 0.8
    assert ten["map_at_r"] > 0.6 > one["map_at_r"]
    assert ten["eer"] < 0.15
    assert ten["fnmr_at_fmr_1"] > ten["fnmr_at_fmr_10"]
    nobody = figures_of(features_of(10, 40, 0.0), 10)
    assert nobody["roc_auc"] == pytest.approx(0.5, abs=0.1)
    collapsed = figures_of(np.zeros((10, 40, 16)), 10)
    assert (collapsed["roc_auc"], collapsed["eer"], collapsed["rank1"]) == (0.5, 0.5, 0.0)


def test_permuted_users_are_at_chance_however_different_they_are():
    features = features_of(6, 40, 3.0)
    assert figures_of(features, 5)["roc_auc"] > 0.99
    permuted = figures_of(features, 5, permuted=True)
    chance = verification_protocol.chance_metrics([6], samples_per_user=4)
    for figure in ("roc_auc", "rank1", "eer", "map_at_r"):
        assert permuted[figure] == pytest.approx(chance[figure], abs=0.06)
    assert chance["rank1"] == 1 / 6
    assert chance["fnmr_at_fmr_1"] == 0.99


def test_what_an_image_does_to_everybody_does_not_tell_people_apart():
    """Enrolment and probe images are disjoint, so an image's own offset cannot help."""
    image_offset = GENERATOR.normal(size=(1, 40, 16)) * 5
    found = figures_of(features_of(10, 40, 0.0) + image_offset, 5)
    assert found["roc_auc"] == pytest.approx(0.5, abs=0.1)


def test_users_who_missed_images_are_compared_by_as_many_others():
    features = features_of(6, 40, 2.0)
    viewed = GENERATOR.random((6, 40)) < 0.7
    spoiled = np.where(viewed[..., None], features, 1e6)
    assert figures_of(spoiled, 10, viewed)["rank1"] > 0.95
    viewed[2, 15:] = False
    with pytest.raises(ValueError, match=r"a user saw \d+ images; allowed: at least \d+"):
        figures_of(spoiled, 10, viewed)


def test_enrolment_and_probe_images_are_disjoint_and_equally_many():
    viewed = GENERATOR.random((6, 40)) < 0.7
    order = GENERATOR.permutation(40)
    enrolled, probed = (
        verification_protocol.enrolment_weights(viewed, order, start=start, size=8)
        for start in (0, 8)
    )
    for weights in (enrolled, probed):
        assert ((weights > 0).sum(axis=1) == 8).all()
        assert (viewed[weights > 0]).all()
        np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert not ((enrolled > 0) & (probed > 0)).any()
    everything = verification_protocol.enrolment_weights(
        np.ones((3, 40), bool), order, start=0, size=8
    )
    assert set(np.flatnonzero(everything[1])) == set(order[:8])


def test_enrolment_sizes_shrink_to_half_of_the_test_images():
    assert verification_protocol.usable_sizes((1, 5, 10, 50), 140) == [1, 5, 10, 50]
    assert verification_protocol.usable_sizes((1, 5, 10, 50), 20) == [1, 5, 10]


def test_nobody_is_compared_across_folds():
    """Two folds whose scores have nothing to do with each other, each perfect in itself."""
    perfect = np.where(np.eye(3, dtype=bool), 1.0, 0.0)[None]
    folds = [
        verification_protocol.VerificationScores(
            np.arange(3) + 3 * fold, perfect + 100 * fold, np.ones((1, 3)), 2
        )
        for fold in range(2)
    ]
    figures = verification_protocol.verification_metrics(folds)
    assert (figures["roc_auc"], figures["rank1"], figures["eer"]) == (1.0, 1.0, 0.0)
    assert figures["fnmr_at_fmr_1"] is None  # Six impostor scores say nothing of one in a hundred.
    weight = bootstrap.resample(6, 6, num_resamples=20, generator=GENERATOR)
    weight = np.maximum(weight, 1)
    found = verification_protocol.resampled_verification_metrics(
        folds, weight, size=1, num_images=10, seed=0
    )
    np.testing.assert_allclose(found["roc_auc"], 1.0)


def test_two_copies_of_a_user_form_no_impostor_pair():
    # Genuine 2, 5 and 6; impostor 1, 3 (users 0, 1), 4, 8 (users 0, 2) and 7, 9 (users 1, 2).
    similarity = np.array([[[2.0, 1.0, 4.0], [3.0, 5.0, 7.0], [8.0, 9.0, 6.0]]])
    scores = verification_protocol.VerificationScores(np.arange(3), similarity, np.ones((1, 3)), 2)
    found = verification_protocol.resampled_verification_metrics(
        [scores], np.array([[2, 1, 0], [1, 1, 1]]), size=1, num_images=2, seed=0
    )
    # User 0 twice, user 1 once: genuine 2, 2, 5 against impostor 1, 3, each twice over. 2 beats
    # one of two, 5 both: (.5 + .5 + 1) / 3. A pair of the two copies would add genuine ones.
    # Everybody once: 2 beats 1; 5 beats 1, 3, 4; 6 beats 1, 3, 4: 7 of 18.
    np.testing.assert_allclose(found["roc_auc"], [2 / 3, 7 / 18], atol=1e-6)
    # Only user 1 ranks first among all three, whoever was drawn.
    np.testing.assert_allclose(found["rank1"], [0.0, 0.0])


def test_resamples_surround_the_figure_and_narrow_with_users():
    widths = []
    for num_users in (5, 40):
        scores = scores_of(features_of(num_users, 40, 0.3), 5)
        figures = verification_protocol.verification_metrics([scores])
        weight = bootstrap.resample_users(
            [scores.users],
            num_users=num_users,
            num_resamples=500,
            generator=np.random.default_rng(0),
        )
        resampled = verification_protocol.resampled_verification_metrics(
            [scores], weight, size=5, num_images=40, seed=0
        )
        for name in ("roc_auc", "rank1", "eer", "map_at_r"):
            low, high = bootstrap.interval(resampled[name])
            assert low < figures[name] < high, name
        low, high = bootstrap.interval(resampled["roc_auc"])
        widths.append(high - low)
    assert widths[1] < 0.7 * widths[0]


def test_derangements_leave_nobody_in_place_and_swap_everybody_with_everybody():
    swaps = prediction_protocol.derangements(5, 20, 0)
    assert swaps.shape == (4, 5)
    np.testing.assert_array_equal(np.sort(swaps, axis=1), np.tile(np.arange(5), (4, 1)))
    for user in range(5):
        assert sorted(swaps[:, user]) == sorted(set(range(5)) - {user})
    assert prediction_protocol.derangements(48, 4, 0).shape == (4, 48)
    with pytest.raises(ValueError, match="cannot swap the embeddings of 1 user"):
        prediction_protocol.derangements(1, 3, 0)


def test_conditions_are_own_mean_and_swapped():
    embeddings = np.array([[1.0], [2.0], [3.0]])
    conditions = prediction_protocol.conditions_of(
        embeddings, np.array([9.0]), np.array([[1, 2, 0], [2, 0, 1]])
    )
    np.testing.assert_array_equal(conditions[..., 0], [[1, 2, 3], [9, 9, 9], [2, 3, 1], [3, 1, 2]])


def predicted(scores):
    """Scores [condition, user, image] as those of every metric."""
    return prediction_protocol.PredictionScores(
        np.arange(scores.shape[1]),
        np.repeat(scores[..., None], len(prediction_protocol.MAP_METRICS), 3),
    )


def test_mean_is_over_images_first_then_users_then_derangements():
    # Two users, two images; user 1 saw only the first one. Seven conditions, the last one twice.
    scores = np.zeros((8, 2, 2))
    scores[4] = [[0.0, 2.0], [4.0, np.nan]]
    scores[6], scores[7] = 1.0, 3.0
    scores[:, 1, 1] = np.nan
    ones = np.ones((1, 2), int)
    found = prediction_protocol.mean_over_users([predicted(scores)], ones, ones)[0, :, 0]
    # User 0: mean 1, user 1: mean 4, so 2.5; over all viewings it would be 2.
    np.testing.assert_allclose(found, [0, 0, 0, 0, 2.5, 0, 2])
    # Image 1 drawn twice, image 0 never: nothing is known of user 1.
    found = prediction_protocol.mean_over_users([predicted(scores)], ones, np.array([[0, 2]]))[
        0, :, 0
    ]
    np.testing.assert_allclose(found, [0, 0, 0, 0, 2, 0, 2])


def test_mean_over_draws_skips_those_that_did_not_ask():
    draws = np.array([[1.0, np.nan], [3.0, np.nan]])[:, :, None, None, None]
    np.testing.assert_allclose(prediction_protocol.mean_over_draws(draws).ravel(), [2.0, np.nan])


def test_swap_test_finds_own_better_and_only_then():
    generator = np.random.default_rng(3)
    scores = generator.normal(size=(10, 6, 30)) * 0.1
    options = {"num_permutations": 2000, "seed": 0}
    assert prediction_protocol.swap_test([predicted(scores)], **options)["cc"] > 0.02
    scores[4] += 1.0
    found = prediction_protocol.swap_test([predicted(scores)], **options)
    assert found["information_gain"] < 0.01
    assert found["kld"] > 0.99  # Lower is better.


def test_a_positive_density_sums_to_one_and_is_nowhere_zero():
    delta = np.zeros((3, 4, 5))
    delta[:, 1, 2] = 7.0
    density = prediction_protocol.positive_density(delta)
    np.testing.assert_allclose(density.sum(axis=(1, 2)), 1.0)
    assert density[0, 1, 2] == pytest.approx(0.99 + 0.01 / 20)
    assert density.min() == pytest.approx(0.01 / 20)
