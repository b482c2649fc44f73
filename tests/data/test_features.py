from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gazejax.data import features
from gazejax.models import feature_projection
from gazejax.models.backbone import LEVEL_CHANNELS
from gazejax.models.saliency_readout import SaliencyReadout
from gazejax.models.scanpath_encoder import preference_vector
from gazejax.models.user_memory import MEMORY_KINDS

STRIDES = (8, 32)
COMPONENTS = (3, 2)
NUM = feature_projection.num_features(COMPONENTS)


@pytest.fixture(scope="module")
def levels():
    generator = np.random.default_rng(0)
    sizes = {8: (4, 6), 32: (1, 2)}
    return [
        generator.normal(5.0, 2.0, (13, *sizes[stride], LEVEL_CHANNELS[stride])).astype(np.float16)
        for stride in STRIDES
    ]


def test_levels_are_computed_once_for_the_same_images_and_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []

    def fake(params, pixels, strides):
        calls.append(params)
        sums = pixels.sum(axis=(1, 2, 3)).astype(np.float16)[:, None, None, None]
        return [sums * stride for stride in strides]

    monkeypatch.setattr(features, "backbone_levels", fake)
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    made, read = (features.cached_levels(0, pixels, (8, 32), weights="w") for _ in range(2))
    assert len(calls) == 1
    # 0 + 1 + ... + 11 = 66.
    assert made[0][0, 0, 0, 0] == read[0][0, 0, 0, 0] == 8 * 66
    np.testing.assert_array_equal(made[1], read[1])
    (file,) = (tmp_path / "gazejax/features").glob("*.npz")
    file.write_bytes(file.read_bytes()[:-1])
    features.cached_levels(0, pixels, (8, 32), weights="w")
    assert len(calls) == 2
    features.cached_levels(0, pixels + 1, (8, 32), weights="w")
    features.cached_levels(0, pixels, (8, 16), weights="w")
    features.cached_levels(0, pixels, (8, 32), weights="others")
    assert len(calls) == 5


def test_components_have_mean_zero_and_variance_one_where_they_were_fitted(levels):
    basis = features.fit_projection(levels, COMPONENTS)
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
    (mean,), (projection,) = features.fit_projection([level], (1,))
    np.testing.assert_allclose(mean, 0)
    np.testing.assert_allclose(np.abs(projection), [[0], [1 / 3]], atol=1e-6)


def test_features_of_an_image_do_not_depend_on_the_others(levels):
    basis = features.fit_projection(levels, COMPONENTS)
    grid = features.project(basis, levels, (4, 6))
    assert grid.shape == (13, 4, 6, NUM)
    alone = features.project(basis, [level[7:8] for level in levels], (4, 6))
    np.testing.assert_array_equal(alone[0], grid[7])
    # At the size of its own level a component is not resized.
    fine = (levels[0] - basis.mean[0]) @ basis.projection[0]
    np.testing.assert_allclose(grid[..., :3], fine, atol=0.02)
    # Places: x to the right, y downwards, variance one or about.
    place = grid[0, ..., -feature_projection.NUM_PLACE_FEATURES :].astype(np.float64)
    assert (np.diff(place[..., 0], axis=1) > 0).all()
    assert (np.diff(place[..., 1], axis=0) > 0).all()
    np.testing.assert_allclose(place.reshape(-1, 5).mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(place[..., :2].reshape(-1, 2).std(axis=0), 1, atol=0.05)


def test_preference_vector_is_features_fixated_more_minus_features_fixated_less():
    grid = np.zeros((1, 1, 3, 2), np.float16)
    grid[0, 0, :, 0] = [2, 0, 5]  # By position: 2, 0 and 5.
    grid[0, 0, :, 1] = 1  # The same everywhere: the vector is 0 there.
    residual = jnp.array([[[0.5, -0.25, -0.25]]])
    # 0.5 * 2 - 0.25 * 0 - 0.25 * 5 = -0.25.
    np.testing.assert_allclose(preference_vector(jnp.asarray(grid), residual), [[-0.25, 0.0]])


def test_a_mirrored_image_and_gaze_change_the_sign_of_the_horizontal_features_only(levels):
    grid = features.project(features.fit_projection(levels, COMPONENTS), levels, (4, 6))[:1]
    residual = np.random.default_rng(2).normal(size=(1, 4, 6)).astype(np.float32)
    mirrored = grid.copy()
    mirrored[..., :-5] = grid[:, :, ::-1, :-5]  # The content; places are what they are.
    found = preference_vector(jnp.asarray(mirrored), jnp.asarray(residual[:, :, ::-1]))
    before = preference_vector(jnp.asarray(grid), jnp.asarray(residual))
    np.testing.assert_allclose(found, before * feature_projection.mirrored_signs(NUM), atol=5e-3)


SEEN = 3
LEARNT = 4
# Far enough from each other and from their mean to be recognized.
CENTERS = 3 * np.eye(SEEN, LEARNT, dtype=np.float32)


@partial(nnx.jit, static_argnames="recognize")
def predict(network, grid, universal, embedding, recognize=True):
    return network(grid, universal, embedding, recognize=recognize)


@partial(nnx.jit, static_argnames="memory_kind")
def make_network(*, memory_kind):
    network = SaliencyReadout(
        num_features=NUM,
        learnt_size=LEARNT,
        num_users=SEEN,
        width=8,
        memory_kind=memory_kind,
        memory_width=8,
        rejection_distance=0.35,
        temperature=0.05,
        dtype=jnp.dtype("float32"),
        rngs=nnx.Rngs(0),
    )
    if network.recognizer is not None:
        network.recognizer.centers[...] = jnp.asarray(CENTERS)
        network.recognizer.variance[...] = jnp.float32(9 * (1 - 1 / SEEN))
    return network


@partial(nnx.jit, static_argnames="memory_kind")
def trained_network(memory_kind):
    """A network whose weights are not zero, so that every term changes the map."""
    network = make_network(memory_kind=memory_kind)
    network.preference_weight[...] = jnp.ones(NUM)
    network.head.kernel[...] = jnp.ones_like(network.head.kernel[...])
    if network.memory is not None:
        generator = np.random.default_rng(2)
        shape = network.memory.of_user[...].shape
        network.memory.of_user[...] = jnp.asarray(generator.normal(size=shape), jnp.float32)
        if network.memory.head is not None:
            network.memory.head.kernel[...] = jnp.ones_like(network.memory.head.kernel[...])
    return network


@pytest.fixture(scope="module")
def inputs(levels):
    grid = features.project(features.fit_projection(levels, COMPONENTS), levels, (4, 6))[:2]
    generator = np.random.default_rng(1)
    universal = generator.random((2, 3, 4, 6)).astype(np.float32)
    universal /= universal.sum(axis=(2, 3), keepdims=True)
    embedding = generator.normal(size=(2, 3, LEARNT + NUM)).astype(np.float32)
    embedding[..., :LEARNT] = CENTERS  # The three users are the seen ones.
    return np.asarray(grid), universal, embedding


@pytest.mark.parametrize("memory_kind", MEMORY_KINDS)
def test_untrained_the_universal_map_comes_back(inputs, memory_kind):
    predicted = predict(make_network(memory_kind=memory_kind), *inputs)
    np.testing.assert_allclose(predicted, (inputs[1] + 0.01 / 24) / 1.01, rtol=1e-4)


def test_preference_raises_the_density_at_its_features(inputs):
    grid, universal, embedding = inputs
    network = make_network(memory_kind="none")
    network.preference_weight[...] = jnp.asarray(np.eye(NUM, dtype=np.float32)[1])
    one_feature = np.zeros_like(embedding)
    one_feature[..., LEARNT + 1] = 1.0
    raised, plain = (
        np.asarray(predict(network, grid, universal, one))
        for one in (one_feature, np.zeros_like(embedding))
    )
    gain = np.log(raised / plain)
    for image in range(2):
        feature = np.asarray(grid[image, ..., 1], np.float32).ravel()
        for user in range(3):
            # log(own / that of a zero embedding) is the feature itself, up to a constant.
            found = gain[image, user].ravel()
            np.testing.assert_allclose(found - found.mean(), feature - feature.mean(), atol=1e-2)


def test_seen_users_are_recognized_within_the_rejection_distance_and_unseen_ones_are_not():
    network = make_network(memory_kind="film")
    variance = float(network.recognizer.variance[...])
    away = np.zeros(LEARNT, np.float32)
    away[-1] = 1.0  # Orthogonal to all seen users.
    at_distance = CENTERS[0] + away * np.sqrt(0.35 * variance)
    learnt = np.stack([CENTERS[0], CENTERS[2], at_distance, CENTERS.mean(axis=0), 10 * away])
    weight = np.asarray(nnx.jit(lambda one, x: one(x))(network.recognizer, learnt[None])[0])
    assert weight[0, 0] > 0.99
    assert weight[1, 2] > 0.99
    np.testing.assert_allclose(weight[2], [0.5, 0, 0], atol=1e-4)  # As likely an unseen user.
    assert (weight.sum(axis=1)[3:] < 0.01).all()  # The mean of all is no seen user.


@pytest.mark.parametrize("memory_kind", MEMORY_KINDS)
def test_memory_changes_maps_of_seen_users_and_not_of_unseen_ones(inputs, memory_kind):
    grid, universal, embedding = inputs
    network = trained_network(memory_kind)

    def of_learnt(values):
        changed = embedding.copy()
        changed[..., :LEARNT] = values
        return np.asarray(predict(network, grid, universal, changed))

    unseen, others = of_learnt(20.0), of_learnt(-20.0)
    np.testing.assert_allclose(unseen, others, rtol=1e-5)
    np.testing.assert_allclose(
        unseen, predict(network, grid, universal, embedding, recognize=False), rtol=1e-5
    )
    seen = np.asarray(predict(network, grid, universal, embedding))
    if memory_kind == "none":
        np.testing.assert_allclose(seen, unseen, rtol=1e-5)
    else:
        assert (np.abs(seen - unseen).max(axis=(0, 2, 3)) > 1e-3).all()
        # The memory of each seen user is different.
        swapped = of_learnt(CENTERS[[1, 2, 0]])
        assert (np.abs(seen - swapped).max(axis=(0, 2, 3)) > 1e-3).all()


@pytest.mark.parametrize("memory_kind", MEMORY_KINDS)
def test_each_user_is_predicted_as_if_alone(inputs, memory_kind):
    grid, universal, embedding = inputs
    network = trained_network(memory_kind)
    together = np.asarray(predict(network, grid, universal, embedding))
    np.testing.assert_allclose(together.sum(axis=(2, 3)), 1.0, rtol=1e-5)
    alone = predict(network, grid[1:], universal[1:, 2:], embedding[1:, 2:])
    np.testing.assert_allclose(alone[0, 0], together[1, 2], rtol=1e-4)
