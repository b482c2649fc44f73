"""User verification on gaze made up so that the right answer is known."""

import numpy as np
import pytest

from gazejax.evaluation.verification import protocol
from gazejax.inputs.viewing_vectors import from_dense
from gazejax.metrics import bootstrap, verification

GENERATOR = np.random.default_rng(0)


def representations_of(num_users, num_images, user_strength):
    """A vector of each user, plus independent noise for each image."""
    user = GENERATOR.normal(size=(num_users, 1, 16)) * user_strength
    return user + GENERATOR.normal(size=(num_users, num_images, 16))


def scores_of(representations, size, viewed=None, permuted=False):
    viewed = np.ones(representations.shape[:2], bool) if viewed is None else viewed
    compared = protocol.UserRepresentations(
        np.arange(len(representations)),
        from_dense(representations, viewed),
        viewed,
        protocol.at_any_size(verification.negative_distance),
        permuted,
    )
    orders = protocol.sample_image_orders(representations.shape[1], 50, 0)
    number = min(max(viewed.sum(axis=1).min() // size, 2), 4)
    return protocol.score_draws(compared, orders, size=size, samples_per_user=int(number), seed=0)


def metrics_of(representations, size, viewed=None, permuted=False):
    return protocol.verification_metrics([scores_of(representations, size, viewed, permuted)])


def test_verification_improves_with_more_images_and_chance_is_chance():
    representations = representations_of(10, 40, 0.4)
    one, ten = metrics_of(representations, 1), metrics_of(representations, 10)
    assert 0.5 < one["roc_auc"] < ten["roc_auc"]
    assert ten["roc_auc"] > 0.95
    assert ten["rank1"] > 0.8
    assert ten["map_at_r"] > 0.6 > one["map_at_r"]
    assert ten["eer"] < 0.15
    assert ten["fnmr_at_fmr_1"] > ten["fnmr_at_fmr_10"]
    noise = metrics_of(representations_of(10, 40, 0.0), 10)
    assert noise["roc_auc"] == pytest.approx(0.5, abs=0.1)
    collapsed = metrics_of(np.zeros((10, 40, 16)), 10)
    assert (collapsed["roc_auc"], collapsed["eer"], collapsed["rank1"]) == (0.5, 0.5, 0.0)


def test_permuted_labels_are_at_chance_however_different_users_are():
    representations = representations_of(6, 40, 3.0)
    assert metrics_of(representations, 5)["roc_auc"] > 0.99
    permuted = metrics_of(representations, 5, permuted=True)
    chance = protocol.chance_metrics([6], samples_per_user=4)
    for metric in ("roc_auc", "rank1", "eer", "map_at_r"):
        assert permuted[metric] == pytest.approx(chance[metric], abs=0.06)
    assert chance["rank1"] == 1 / 6
    assert chance["fnmr_at_fmr_1"] == 0.99


def test_an_offset_of_an_image_for_all_users_does_not_help():
    """Enrolment and probe images are disjoint, so an image's own offset cannot help."""
    image_offset = GENERATOR.normal(size=(1, 40, 16)) * 5
    found = metrics_of(representations_of(10, 40, 0.0) + image_offset, 5)
    assert found["roc_auc"] == pytest.approx(0.5, abs=0.1)


def test_users_who_missed_images_are_compared_by_as_many_others():
    representations = representations_of(6, 40, 2.0)
    viewed = GENERATOR.random((6, 40)) < 0.7
    spoiled = np.where(viewed[..., None], representations, 1e6)
    assert metrics_of(spoiled, 10, viewed)["rank1"] > 0.95
    viewed[2, 15:] = False
    with pytest.raises(ValueError, match=r"a user saw \d+ images; allowed: at least \d+"):
        metrics_of(spoiled, 10, viewed)


def test_enrolment_and_probe_images_are_disjoint_and_equally_many():
    viewed = GENERATOR.random((6, 40)) < 0.7
    order = GENERATOR.permutation(40)
    enrolled, probed = (
        protocol.enrolment_weights(viewed, order, start=start, size=8) for start in (0, 8)
    )
    for weights in (enrolled, probed):
        assert ((weights > 0).sum(axis=1) == 8).all()
        assert (viewed[weights > 0]).all()
        np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert not ((enrolled > 0) & (probed > 0)).any()
    everything = protocol.enrolment_weights(np.ones((3, 40), bool), order, start=0, size=8)
    assert set(np.flatnonzero(everything[1])) == set(order[:8])


def test_enrolment_sizes_shrink_to_half_of_the_test_images():
    assert protocol.usable_sizes((1, 5, 10, 50), 140) == [1, 5, 10, 50]
    assert protocol.usable_sizes((1, 5, 10, 50), 20) == [1, 5, 10]


def test_users_of_different_folds_are_not_compared():
    """Two folds with perfect scores, whose scores have different offsets."""
    perfect = np.where(np.eye(3, dtype=bool), 1.0, 0.0)[None]
    folds = [
        protocol.VerificationScores(
            np.arange(3) + 3 * fold, perfect + 100 * fold, np.ones((1, 3)), 2
        )
        for fold in range(2)
    ]
    values = protocol.verification_metrics(folds)
    assert (values["roc_auc"], values["rank1"], values["eer"]) == (1.0, 1.0, 0.0)
    assert values["fnmr_at_fmr_1"] is None  # Six impostor scores are too few for an FMR of 1 %.
    weight = bootstrap.resample(6, 6, num_resamples=20, generator=GENERATOR)
    weight = np.maximum(weight, 1)
    found = protocol.resampled_verification_metrics(folds, weight, size=1, num_images=10, seed=0)
    np.testing.assert_allclose(found["roc_auc"], 1.0)


def test_two_copies_of_a_user_form_no_impostor_pair():
    # Genuine 2, 5 and 6; impostor 1, 3 (users 0, 1), 4, 8 (users 0, 2) and 7, 9 (users 1, 2).
    similarity = np.array([[[2.0, 1.0, 4.0], [3.0, 5.0, 7.0], [8.0, 9.0, 6.0]]])
    scores = protocol.VerificationScores(np.arange(3), similarity, np.ones((1, 3)), 2)
    found = protocol.resampled_verification_metrics(
        [scores], np.array([[2, 1, 0], [1, 1, 1]]), size=1, num_images=2, seed=0
    )
    # User 0 twice, user 1 once: genuine 2, 2, 5 against impostor 1, 3, each twice over. 2 beats
    # one of two, 5 both: (.5 + .5 + 1) / 3. A pair of the two copies would add genuine ones.
    # Each user once: 2 beats 1; 5 beats 1, 3, 4; 6 beats 1, 3, 4: 7 of 18.
    np.testing.assert_allclose(found["roc_auc"], [2 / 3, 7 / 18], atol=1e-6)
    # Only user 1 ranks first among all three, in every resample.
    np.testing.assert_allclose(found["rank1"], [0.0, 0.0])


def test_intervals_contain_the_metric_and_narrow_with_users():
    widths = []
    for num_users in (5, 40):
        scores = scores_of(representations_of(num_users, 40, 0.3), 5)
        values = protocol.verification_metrics([scores])
        weight = bootstrap.resample_users(
            [scores.users],
            num_users=num_users,
            num_resamples=500,
            generator=np.random.default_rng(0),
        )
        resampled = protocol.resampled_verification_metrics(
            [scores], weight, size=5, num_images=40, seed=0
        )
        for name in ("roc_auc", "rank1", "eer", "map_at_r"):
            low, high = bootstrap.interval(resampled[name])
            assert low < values[name] < high, name
        low, high = bootstrap.interval(resampled["roc_auc"])
        widths.append(high - low)
    assert widths[1] < 0.7 * widths[0]
