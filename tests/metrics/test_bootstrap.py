"""Resampling by hand, and intervals that cover as often as they say."""

import numpy as np
import pytest

from gazejax.metrics import bootstrap


def generator(seed=0):
    return np.random.default_rng(seed)


def test_every_group_keeps_two_users():
    groups = [np.array([0, 2]), np.array([3, 4, 5])]
    weight = bootstrap.resample_users(groups, num_users=7, num_resamples=300, generator=generator())
    assert (weight.sum(axis=1) == 5).all()
    assert (weight[:, [1, 6]] == 0).all()
    for group in groups:
        assert ((weight[:, group] > 0).sum(axis=1) >= 2).all()
    with pytest.raises(ValueError, match="fewer than two users"):
        bootstrap.resample_users(
            [np.array([3, 3])], num_users=7, num_resamples=1, generator=generator()
        )


def test_groups_too_small_to_resample_are_refused_at_once():
    pairs = list(np.arange(20).reshape(10, 2))  # 20! / 20^20: no resample has all users.
    with pytest.raises(ValueError, match=r"^0 of 200000 resamples of 20 users .* 10 groups; allow"):
        bootstrap.resample_users(pairs, num_users=20, num_resamples=1000, generator=generator())
    few = bootstrap.resample_users(pairs[:4], num_users=8, num_resamples=100, generator=generator())
    assert (few == 1).all()  # Two different users of each pair leave no choice.


@pytest.mark.parametrize("group", [[0, 7], [-1, 0], [0.0, 1.0], [True, False], [[0, 1]], ["a"]])
def test_a_group_holds_indices_of_users(group):
    with pytest.raises(ValueError, match=r"^groups\[1\] .*; allowed: "):
        bootstrap.resample_users(
            [[0, 1], group], num_users=7, num_resamples=1, generator=generator()
        )


def test_weights_of_any_size_and_infinite_scores():
    found = bootstrap.mean_over_images([1.0, np.inf, 3.0], [[1, 0, 1], [1, 2, 1], [0, 1, 0]])
    np.testing.assert_array_equal(found, [2, np.inf, np.inf])
    most = np.array([[2**63, 2**63]], np.uint64)
    assert bootstrap.mean_over_images([1.0, 3.0], most).tolist() == [2.0]
    for wrong in ([[1, -1]], [[np.nan, 1]], [[np.inf, 1]]):
        with pytest.raises(ValueError, match=r"^image_weight holds a negative, NaN or infinite"):
            bootstrap.mean_over_images([1.0, 2.0], wrong)


def test_mean_over_images_by_hand():
    scores = np.array([[1.0, np.nan, 4.0], [np.nan, np.nan, 2.0]])
    weight = np.array([[1, 1, 1], [2, 5, 1], [1, 1, 0]])
    found = bootstrap.mean_over_images(scores, weight)
    np.testing.assert_allclose(found, [[2.5, 2.0], [(2 + 4) / 3, 2.0], [1.0, np.nan]])


def test_interval_covers_the_true_mean_as_often_as_it_says():
    """Of users and images at once: leaving either out would cover far less."""
    random = generator(1)
    covered = []
    for _ in range(150):
        user = random.normal(size=(20, 1))
        image = random.normal(size=(1, 30))
        scores = user + image + random.normal(size=(20, 30))
        user_weight = bootstrap.resample(20, 20, num_resamples=400, generator=random)
        image_weight = bootstrap.resample(30, 30, num_resamples=400, generator=random)
        per_user = bootstrap.mean_over_images(scores, image_weight)
        means = (user_weight * per_user).sum(axis=1) / user_weight.sum(axis=1)
        low, high = bootstrap.interval(means)
        covered.append(low <= 0 <= high)
    assert 0.87 < np.mean(covered) < 0.99


def test_permutation_test_by_hand():
    # Two users, one other score each: of four exchanges only the observed one reaches its mean.
    options = {"num_permutations": 100, "generator": generator()}
    own = np.array([2.0, 3.0])
    assert bootstrap.permutation_test(own, np.array([[1.0, 1.0]]), **options) == 0.25
    # User 1's scores are alike: two exchanges reach it.
    assert bootstrap.permutation_test(own, np.array([[1.0, 3.0]]), **options) == 0.5
    assert bootstrap.permutation_test(-own, np.array([[1.0, 1.0]]), **options) == 1.0


def test_sampled_permutation_test_agrees_with_the_exact_one():
    random = generator(2)
    own, others = random.normal(0.4, 1, 7), random.normal(0, 1, (3, 7))
    exact = bootstrap.permutation_test(own, others, num_permutations=0, generator=random)
    repeated = np.repeat(others, 7, axis=0)  # 22 ** 7 exchanges: too many to go through.
    sampled = bootstrap.permutation_test(own, repeated, num_permutations=20_000, generator=random)
    assert 0 < exact < 0.5
    # With 7 copies of each other score, own is one of 22 instead of one of 4: no longer the same
    # test, but a strong own score stays strong.
    assert sampled < exact
    zero = bootstrap.permutation_test(
        np.zeros(12), np.zeros((4, 12)), num_permutations=99, generator=random
    )
    assert zero == 1.0
