"""Protocols on gaze made up so that the right answer is known."""

import numpy as np
import pytest

from gazejax import protocols

GENERATOR = np.random.default_rng(0)


def features_of(num_users, num_images, person_strength):
    """A person's own vector, plus noise that the images of a person do not share."""
    person = GENERATOR.normal(size=(num_users, 1, 16)) * person_strength
    return person + GENERATOR.normal(size=(num_users, num_images, 16))


def verify(features, size, viewed=None):
    viewed = np.ones(features.shape[:2], bool) if viewed is None else viewed
    orders = protocols.draw_image_orders(features.shape[1], 50, 0)
    return protocols.verify(
        features, viewed, orders, size=size, similarity=protocols.negative_distance
    )


def test_persons_are_told_apart_better_with_more_images_and_chance_is_chance():
    features = features_of(10, 40, 0.4)
    one, ten = verify(features, 1), verify(features, 10)
    assert 0.5 < one["roc_auc"] < ten["roc_auc"]
    assert ten["roc_auc"] > 0.95
    assert ten["rank1"] > 0.8
    nobody = verify(features_of(10, 40, 0.0), 10)
    assert nobody["roc_auc"] == pytest.approx(0.5, abs=0.1)
    collapsed = verify(np.zeros((10, 40, 16)), 10)
    assert collapsed == {"roc_auc": 0.5, "rank1": 0.0}


def test_what_an_image_does_to_everybody_does_not_tell_people_apart():
    """Enrolment and probe images are disjoint, so an image's own offset cannot help."""
    image_offset = GENERATOR.normal(size=(1, 40, 16)) * 5
    assert verify(features_of(10, 40, 0.0) + image_offset, 5)["roc_auc"] == pytest.approx(
        0.5, abs=0.1
    )


def test_users_who_missed_images_are_compared_by_as_many_others():
    features = features_of(6, 40, 2.0)
    viewed = GENERATOR.random((6, 40)) < 0.7
    spoiled = np.where(viewed[..., None], features, 1e6)
    assert verify(spoiled, 10, viewed)["rank1"] > 0.95
    viewed[2, 15:] = False
    with pytest.raises(ValueError, match=r"a user saw .* images; allowed: at least 20"):
        verify(spoiled, 10, viewed)


def test_enrolment_and_probe_images_are_disjoint_and_equally_many():
    viewed = GENERATOR.random((6, 40)) < 0.7
    order = GENERATOR.permutation(40)
    enrolled, probed = (
        protocols.first_viewed(viewed, order, start=start, size=8) for start in (0, 8)
    )
    for weights in (enrolled, probed):
        assert ((weights > 0).sum(axis=1) == 8).all()
        assert (viewed[weights > 0]).all()
        np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert not ((enrolled > 0) & (probed > 0)).any()
    everything = protocols.first_viewed(np.ones((3, 40), bool), order, start=0, size=8)
    assert set(np.flatnonzero(everything[1])) == set(order[:8])


def test_enrolment_sizes_shrink_to_half_of_the_test_images():
    assert protocols.usable_sizes((1, 5, 10, 50), 140) == [1, 5, 10, 50]
    assert protocols.usable_sizes((1, 5, 10, 50), 20) == [1, 5, 10]


def test_derangements_leave_nobody_in_place():
    swaps = protocols.derangements(5, 20, 0)
    assert swaps.shape == (20, 5)
    assert (swaps != np.arange(5)).all()
    assert (np.sort(swaps, axis=1) == np.arange(5)).all()
    with pytest.raises(ValueError, match="cannot swap the embeddings of 1 user"):
        protocols.derangements(1, 3, 0)


def test_conditions_are_own_mean_and_swapped():
    embeddings = np.array([[1.0], [2.0], [3.0]])
    conditions = protocols.conditions_of(
        embeddings, np.array([9.0]), np.array([[1, 2, 0], [2, 0, 1]])
    )
    np.testing.assert_array_equal(conditions[..., 0], [[1, 2, 3], [9, 9, 9], [2, 3, 1], [3, 1, 2]])


def test_summary_averages_images_first_then_users():
    # One draw, two images, two users; user 1 saw only the first image.
    own = np.array([[0.0, 4.0], [2.0, np.nan]])
    scores = np.zeros((2, 5, 2, 3))
    scores[:, 1] = own[..., None]
    # User 0: mean 1, user 1: mean 4, so 2.5; over all viewings it would be 2.
    summary = protocols.summarise_conditions([scores])
    assert summary["own"] == {"cc": 2.5, "kld": 2.5, "nss": 2.5}
    assert summary["universal"]["cc"] == 0.0
