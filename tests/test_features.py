import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gazejax import features
from gazejax.models.backbone import LEVEL_CHANNELS
from gazejax.models.scanpath import average_at_gaze
from gazejax.models.taste import TasteSaliencyNetwork

STRIDES = (8, 32)
COMPONENTS = (3, 2)
NUM = features.num_features(COMPONENTS)


@pytest.fixture(scope="module")
def levels():
    generator = np.random.default_rng(0)
    sizes = {8: (4, 6), 32: (1, 2)}
    return [
        generator.normal(5.0, 2.0, (13, *sizes[stride], LEVEL_CHANNELS[stride])).astype(np.float16)
        for stride in STRIDES
    ]


def test_components_have_mean_zero_and_variance_one_where_they_were_fitted(levels):
    basis = features.fit_basis(levels, COMPONENTS)
    for level, mean, projection, number in zip(levels, *basis, COMPONENTS, strict=True):
        found = (level.reshape(-1, level.shape[-1]) - mean) @ projection
        assert found.shape[-1] == number
        np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-2)
        # Not correlated either.
        np.testing.assert_allclose(np.cov(found.T, ddof=0), np.eye(number), atol=1e-2)


def test_the_largest_component_by_hand():
    # Two channels; the second varies three times as much as the first and alone.
    level = np.zeros((1, 2, 2, 2), np.float16)
    level[0, ..., 0] = [[1, 1], [-1, -1]]
    level[0, ..., 1] = [[3, -3], [3, -3]]
    (mean,), (projection,) = features.fit_basis([level], (1,))
    np.testing.assert_allclose(mean, 0)
    np.testing.assert_allclose(np.abs(projection), [[0], [1 / 3]], atol=1e-6)


def test_features_of_an_image_do_not_depend_on_the_others(levels):
    basis = features.fit_basis(levels, COMPONENTS)
    grid = features.project(basis, levels, (4, 6))
    assert grid.shape == (13, 4, 6, NUM)
    alone = features.project(basis, [level[7:8] for level in levels], (4, 6))
    np.testing.assert_array_equal(alone[0], grid[7])
    # At the size of its own level a component is not resized.
    fine = (levels[0] - basis.mean[0]) @ basis.projection[0]
    np.testing.assert_allclose(grid[..., :3], fine, atol=0.02)
    # Places: x to the right, y downwards, variance one or about.
    place = grid[0, ..., -features.NUM_PLACE_FEATURES :].astype(np.float64)
    assert (np.diff(place[..., 0], axis=1) > 0).all()
    assert (np.diff(place[..., 1], axis=0) > 0).all()
    np.testing.assert_allclose(place.reshape(-1, 5).mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(place[..., :2].reshape(-1, 2).std(axis=0), 1, atol=0.05)


def test_taste_is_what_is_looked_at_more_minus_what_is_looked_at_less():
    grid = np.zeros((1, 1, 3, 2), np.float16)
    grid[0, 0, :, 0] = [2, 0, 5]  # By place: 2, 0 and 5.
    grid[0, 0, :, 1] = 1  # The same everywhere: no taste can tell.
    residual = jnp.array([[[0.5, -0.25, -0.25]]])
    # 0.5 * 2 - 0.25 * 0 - 0.25 * 5 = -0.25.
    np.testing.assert_allclose(average_at_gaze(jnp.asarray(grid), residual), [[-0.25, 0.0]])


def test_a_mirrored_picture_and_gaze_change_the_sign_of_the_horizontal_features_only(levels):
    grid = features.project(features.fit_basis(levels, COMPONENTS), levels, (4, 6))[:1]
    residual = np.random.default_rng(2).normal(size=(1, 4, 6)).astype(np.float32)
    mirrored = grid.copy()
    mirrored[..., :-5] = grid[:, :, ::-1, :-5]  # The content; places are what they are.
    found = average_at_gaze(jnp.asarray(mirrored), jnp.asarray(residual[:, :, ::-1]))
    before = average_at_gaze(jnp.asarray(grid), jnp.asarray(residual))
    np.testing.assert_allclose(found, before * features.mirrored_signs(NUM), atol=5e-3)


def make_network(*, has_habit):
    network = TasteSaliencyNetwork(
        num_features=NUM, habit_size=4, width=8, has_habit=has_habit, rngs=nnx.Rngs(0)
    )
    network.embedding_scale.scale[...] = jnp.ones(4 + NUM)
    return network


@pytest.fixture(scope="module")
def inputs(levels):
    grid = features.project(features.fit_basis(levels, COMPONENTS), levels, (4, 6))[:2]
    generator = np.random.default_rng(1)
    universal = generator.random((2, 3, 4, 6)).astype(np.float32)
    universal /= universal.sum(axis=(2, 3), keepdims=True)
    embedding = generator.normal(size=(2, 3, 4 + NUM)).astype(np.float32)
    return jnp.asarray(grid), jnp.asarray(universal), jnp.asarray(embedding)


@pytest.mark.parametrize("has_habit", [False, True])
def test_untrained_the_universal_map_comes_back(inputs, has_habit):
    predicted = make_network(has_habit=has_habit)(*inputs)
    np.testing.assert_allclose(predicted, (inputs[1] + 0.01 / 24) / 1.01, rtol=1e-4)


def test_taste_draws_gaze_to_its_features_and_habit_counts_only_if_asked_for(inputs):
    grid, universal, embedding = inputs
    network = make_network(has_habit=False)
    network.taste_weight[...] = jnp.zeros(NUM).at[1].set(1.0)
    someone = jnp.zeros_like(embedding).at[..., 4 + 1].set(1.0)
    gain = jnp.log(network(grid, universal, someone) / network(grid, universal, 0 * embedding))
    for image in range(2):
        feature = np.asarray(grid[image, ..., 1], np.float32).ravel()
        for person in range(3):
            # log(own / nobody's) is the feature itself, up to the softmax's constant.
            found = np.asarray(gain[image, person]).ravel()
            np.testing.assert_allclose(found - found.mean(), feature - feature.mean(), atol=1e-2)
    habit = embedding.at[..., 4:].set(0)
    np.testing.assert_allclose(
        network(grid, universal, habit), network(grid, universal, 0 * habit), rtol=1e-5
    )
    other = make_network(has_habit=True)
    other.habit.kernel[...] = jnp.ones_like(other.habit.kernel[...])
    changed = other(grid, universal, habit) - other(grid, universal, 0 * habit)
    assert np.abs(changed).max() > 1e-3


def test_each_person_is_predicted_as_if_alone(inputs):
    grid, universal, embedding = inputs
    network = make_network(has_habit=True)
    network.taste_weight[...] = jnp.ones(NUM)
    network.habit.kernel[...] = jnp.ones_like(network.habit.kernel[...]) / 10
    network.head.kernel[...] = jnp.ones_like(network.head.kernel[...])
    together = network(grid, universal, embedding)
    np.testing.assert_allclose(together.sum(axis=(2, 3)), 1.0, rtol=1e-5)
    alone = network(grid[1:], universal[1:, 2:], embedding[1:, 2:])
    np.testing.assert_allclose(alone[0, 0], together[1, 2], rtol=1e-4)
