"""Saliency prediction on scores made up so that the right answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gazejax.evaluation.prediction import protocol
from gazejax.evaluation.prediction.calibration import Calibration
from gazejax.inputs.maps import LeaveOneOutMaps, MapSpec
from gazejax.types import Gaze


def test_derangements_have_no_fixed_point_and_swap_each_user_with_each_other():
    swaps = protocol.derangements(5, 20, 0)
    assert swaps.shape == (4, 5)
    np.testing.assert_array_equal(np.sort(swaps, axis=1), np.tile(np.arange(5), (4, 1)))
    for user in range(5):
        assert sorted(swaps[:, user]) == sorted(set(range(5)) - {user})
    assert protocol.derangements(48, 4, 0).shape == (4, 48)
    with pytest.raises(ValueError, match="cannot swap the embeddings of 1 user"):
        protocol.derangements(1, 3, 0)


def test_conditions_are_own_mean_and_swapped():
    embeddings = np.array([[1.0], [2.0], [3.0]])
    conditions = protocol.conditions_of(
        embeddings, np.array([9.0]), np.array([[1, 2, 0], [2, 0, 1]])
    )
    np.testing.assert_array_equal(conditions[..., 0], [[1, 2, 3], [9, 9, 9], [2, 3, 1], [3, 1, 2]])


def test_users_who_share_a_universal_map_have_the_maps_of_a_shared_embedding_computed_once():
    """The network of the test tells its embeddings; three users have four different ones."""
    asked = protocol.PredictionRequest(
        users=np.arange(3),
        images=np.arange(2),
        is_enrolled=np.zeros((2, 3, 2), bool),
        is_query=np.ones((2, 3, 2), bool),
        embeddings=np.stack(
            [
                protocol.conditions_of(
                    first + np.array([[3.0], [1.0], [2.0]], np.float32),
                    np.array([9.0], np.float32),
                    protocol.derangements(3, 2, 0),
                )
                for first in (0, 10)
            ]
        ),
        calibration=Calibration(*np.ones((3, 2, 3), np.float32)),
    )
    gaze = Gaze(
        xy_frac=np.full((6, 2), 0.5, np.float32),
        duration_ms=np.ones(6, np.float32),
        viewing_offset=np.arange(6).reshape(3, 2),
        viewing_length=np.ones((3, 2), int),
        aspect_ratio=np.ones(2, np.float32),
    )
    flat = np.full((2, 1, 4), 0.25, np.float32)

    def maps(is_member, replacement):
        numbers = []

        def network(params, images, universal, embedding):
            numbers.append(embedding.shape[1])
            return universal + embedding[..., None]

        universals = protocol.UniversalMaps(
            LeaveOneOutMaps(4 * flat, np.full(2, 4, np.int32), np.full(3, is_member)),
            flat[0],
            flat,
            replacement,
        )
        batches = protocol.predict_maps(
            network,
            {},
            np.zeros((2, 1, 1, 3)),
            gaze,
            universals,
            asked,
            spec=MapSpec((1, 4), 0.1, 1),
            devices=jax.local_devices(),
            batch_size=64,
        )
        found = np.concatenate([batch["maps"][:, 4:] for batch in batches])
        return np.round(found - flat[0]).mean(axis=(3, 4)), numbers[0]

    for is_member, replacement, number in ((False, None, 4), (True, jnp.asarray(flat), 4)):
        found, computed = maps(is_member, replacement)
        of_images = np.repeat(asked.embeddings[..., 0], 2, axis=0)
        np.testing.assert_array_equal(found, of_images)
        assert computed == number
    # Each member has a universal map without the own one.
    assert maps(True, None)[1] == 4 * 3


def predicted(scores):
    """Scores [condition, user, image] as those of every metric."""
    return protocol.PredictionScores(
        np.arange(scores.shape[1]),
        np.repeat(scores[..., None], len(protocol.MAP_METRICS), 3),
    )


def test_mean_is_over_images_first_then_users_then_derangements():
    # Two users, two images; user 1 saw only the first one. Seven conditions, the last one twice.
    scores = np.zeros((8, 2, 2))
    scores[4] = [[0.0, 2.0], [4.0, np.nan]]
    scores[6], scores[7] = 1.0, 3.0
    scores[:, 1, 1] = np.nan
    ones = np.ones((1, 2), int)
    found = protocol.mean_over_users([predicted(scores)], ones, ones)[0, :, 0]
    # User 0: mean 1, user 1: mean 4, so 2.5; over all viewings it would be 2.
    np.testing.assert_allclose(found, [0, 0, 0, 0, 2.5, 0, 2])
    # Image 1 is sampled twice, image 0 never: user 1 has no score.
    found = protocol.mean_over_users([predicted(scores)], ones, np.array([[0, 2]]))[0, :, 0]
    np.testing.assert_allclose(found, [0, 0, 0, 0, 2, 0, 2])


def test_mean_over_draws_skips_those_without_the_image():
    draws = np.array([[1.0, np.nan], [3.0, np.nan]])[:, :, None, None, None]
    np.testing.assert_allclose(protocol.mean_over_draws(draws).ravel(), [2.0, np.nan])


def test_swap_test_finds_own_better_and_only_then():
    generator = np.random.default_rng(3)
    scores = generator.normal(size=(10, 6, 30)) * 0.1
    options = {"num_permutations": 2000, "seed": 0}
    assert protocol.swap_test([predicted(scores)], **options)["cc"] > 0.02
    scores[4] += 1.0
    found = protocol.swap_test([predicted(scores)], **options)
    assert found["information_gain"] < 0.01
    assert found["kld"] > 0.99  # Lower is better.


def test_a_positive_density_sums_to_one_and_is_nowhere_zero():
    delta = np.zeros((3, 4, 5))
    delta[:, 1, 2] = 7.0
    density = protocol.positive_density(delta)
    np.testing.assert_allclose(density.sum(axis=(1, 2)), 1.0)
    assert density[0, 1, 2] == pytest.approx(0.99 + 0.01 / 20)
    assert density.min() == pytest.approx(0.01 / 20)
