import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gazejax.data import features
from gazejax.models import feature_projection
from gazejax.models.backbone import LEVEL_CHANNELS
from gazejax.models.saliency_readout import SaliencyReadout
from gazejax.models.scanpath_encoder import preference_vector
from gazejax.models.user_memory import CONDITIONINGS

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


def test_taste_is_what_is_looked_at_more_minus_what_is_looked_at_less():
    grid = np.zeros((1, 1, 3, 2), np.float16)
    grid[0, 0, :, 0] = [2, 0, 5]  # By place: 2, 0 and 5.
    grid[0, 0, :, 1] = 1  # The same everywhere: no taste can tell.
    residual = jnp.array([[[0.5, -0.25, -0.25]]])
    # 0.5 * 2 - 0.25 * 0 - 0.25 * 5 = -0.25.
    np.testing.assert_allclose(preference_vector(jnp.asarray(grid), residual), [[-0.25, 0.0]])


def test_a_mirrored_picture_and_gaze_change_the_sign_of_the_horizontal_features_only(levels):
    grid = features.project(features.fit_projection(levels, COMPONENTS), levels, (4, 6))[:1]
    residual = np.random.default_rng(2).normal(size=(1, 4, 6)).astype(np.float32)
    mirrored = grid.copy()
    mirrored[..., :-5] = grid[:, :, ::-1, :-5]  # The content; places are what they are.
    found = preference_vector(jnp.asarray(mirrored), jnp.asarray(residual[:, :, ::-1]))
    before = preference_vector(jnp.asarray(grid), jnp.asarray(residual))
    np.testing.assert_allclose(found, before * feature_projection.mirrored_signs(NUM), atol=5e-3)


PEOPLE = 3
HABIT = 4
# Far enough from each other and from nobody to be told apart.
CENTERS = 3 * np.eye(PEOPLE, HABIT, dtype=np.float32)


def make_network(*, conditioning):
    network = SaliencyReadout(
        num_features=NUM,
        habit_size=HABIT,
        num_people=PEOPLE,
        width=8,
        conditioning=conditioning,
        memory_width=8,
        radius=0.35,
        softness=0.05,
        dtype=jnp.dtype("float32"),
        rngs=nnx.Rngs(0),
    )
    if network.known_people is not None:
        network.known_people.centers[...] = jnp.asarray(CENTERS)
        network.known_people.variance[...] = jnp.float32(9 * (1 - 1 / PEOPLE))
    return network


def remembering(conditioning):
    """A network in which everything learnt counts."""
    network = make_network(conditioning=conditioning)
    network.taste_weight[...] = jnp.ones(NUM)
    network.head.kernel[...] = jnp.ones_like(network.head.kernel[...])
    if network.memory is not None:
        generator = np.random.default_rng(2)
        shape = network.memory.of_person[...].shape
        network.memory.of_person[...] = jnp.asarray(generator.normal(size=shape), jnp.float32)
        if network.memory.head is not None:
            network.memory.head.kernel[...] = jnp.ones_like(network.memory.head.kernel[...])
    return network


@pytest.fixture(scope="module")
def inputs(levels):
    grid = features.project(features.fit_projection(levels, COMPONENTS), levels, (4, 6))[:2]
    generator = np.random.default_rng(1)
    universal = generator.random((2, 3, 4, 6)).astype(np.float32)
    universal /= universal.sum(axis=(2, 3), keepdims=True)
    embedding = generator.normal(size=(2, 3, HABIT + NUM)).astype(np.float32)
    embedding[..., :HABIT] = CENTERS  # The three persons are the known ones.
    return jnp.asarray(grid), jnp.asarray(universal), jnp.asarray(embedding)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_untrained_the_universal_map_comes_back(inputs, conditioning):
    predicted = make_network(conditioning=conditioning)(*inputs)
    np.testing.assert_allclose(predicted, (inputs[1] + 0.01 / 24) / 1.01, rtol=1e-4)


def test_taste_draws_gaze_to_its_features(inputs):
    grid, universal, embedding = inputs
    network = make_network(conditioning="taste")
    network.taste_weight[...] = jnp.zeros(NUM).at[1].set(1.0)
    someone = jnp.zeros_like(embedding).at[..., HABIT + 1].set(1.0)
    gain = jnp.log(network(grid, universal, someone) / network(grid, universal, 0 * embedding))
    for image in range(2):
        feature = np.asarray(grid[image, ..., 1], np.float32).ravel()
        for person in range(3):
            # log(own / nobody's) is the feature itself, up to the softmax's constant.
            found = np.asarray(gain[image, person]).ravel()
            np.testing.assert_allclose(found - found.mean(), feature - feature.mean(), atol=1e-2)


def test_known_people_are_recognised_within_the_radius_and_strangers_are_nobody():
    network = make_network(conditioning="film")
    variance = float(network.known_people.variance[...])
    away = np.zeros(HABIT, np.float32)
    away[-1] = 1.0  # Away from everybody alike.
    at_radius = CENTERS[0] + away * np.sqrt(0.35 * variance)
    habits = np.stack([CENTERS[0], CENTERS[2], at_radius, CENTERS.mean(axis=0), 10 * away])
    weight = network.known_people(jnp.asarray(habits)[None])[0]
    assert weight[0, 0] > 0.99
    assert weight[1, 2] > 0.99
    np.testing.assert_allclose(weight[2], [0.5, 0, 0], atol=1e-4)  # As likely a stranger.
    assert (weight.sum(axis=1)[3:] < 0.01).all()  # The mean of all is nobody.


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_memory_counts_for_known_people_and_not_for_strangers(inputs, conditioning):
    grid, universal, embedding = inputs
    network = remembering(conditioning)
    strangers = embedding.at[..., :HABIT].set(20.0)
    others = embedding.at[..., :HABIT].set(-20.0)
    nobody = network(grid, universal, strangers)
    np.testing.assert_allclose(nobody, network(grid, universal, others), rtol=1e-5)
    np.testing.assert_allclose(
        nobody, network(grid, universal, embedding, as_strangers=True), rtol=1e-5
    )
    known = network(grid, universal, embedding)
    if conditioning == "taste":
        np.testing.assert_allclose(known, nobody, rtol=1e-5)
    else:
        assert (np.abs(known - nobody).max(axis=(0, 2, 3)) > 1e-3).all()
        # Each by a memory of their own.
        swapped = embedding.at[..., :HABIT].set(CENTERS[[1, 2, 0]])
        assert (np.abs(known - network(grid, universal, swapped)).max(axis=(0, 2, 3)) > 1e-3).all()


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_each_person_is_predicted_as_if_alone(inputs, conditioning):
    grid, universal, embedding = inputs
    network = remembering(conditioning)
    together = network(grid, universal, embedding)
    np.testing.assert_allclose(together.sum(axis=(2, 3)), 1.0, rtol=1e-5)
    alone = network(grid[1:], universal[1:, 2:], embedding[1:, 2:])
    np.testing.assert_allclose(alone[0, 0], together[1, 2], rtol=1e-4)
