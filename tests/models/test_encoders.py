import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gazejax.models.late_fusion_encoder import LateFusionEncoder
from gazejax.models.layers import Concatenation, GroupNorm, pool_at_gaze
from gazejax.models.map_encoder import POOLINGS, EarlyFusionEncoder, stack_inputs
from gazejax.models.saliency_unet import (
    CONDITIONINGS,
    SaliencyUNet,
    _convolve,
    _convolve_enlarged,
)

SIZE = 3


def untrained_network(conditioning="film"):
    return SaliencyUNet(
        trunk_filters=(4, 4, 4),
        decoder_filters=(4, 4),
        conditioning=conditioning,
        conditioned_levels=(1,) if conditioning == "filters" else (0, 1),
        norm_groups=2,
        embedding_size=SIZE,
        dtype=jnp.dtype("float32"),
        rngs=nnx.Rngs(0),
    )


@pytest.fixture(scope="module")
def network():
    network = untrained_network()
    # Both start at zero, which would hide whatever comes before them.
    network.head.kernel[...] += 0.5
    for film in network.films.values():
        film.linear.kernel[...] = jax.random.normal(jax.random.key(1), film.linear.kernel.shape)
    return network


@pytest.fixture(scope="module")
def inputs():
    keys = jax.random.split(jax.random.key(0), 3)
    images = jax.random.randint(keys[0], (2, 16, 24, 3), 0, 256).astype(jnp.uint8)
    universal = jax.nn.softmax(jax.random.normal(keys[1], (2, 3, 24))).reshape(2, 3, 4, 6)
    return images, universal, jax.random.normal(keys[2], (2, 3, SIZE))


def test_inputs_are_stacked_in_the_order_asked_for():
    images = jnp.full((1, 2, 2, 3), 255, jnp.uint8)
    personal, universal = jnp.full((1, 2, 2), 5.0), jnp.full((1, 2, 2), 2.0)
    stacked = stack_inputs(
        images, personal, universal, ("residual", "image", "universal", "personal")
    )
    np.testing.assert_allclose(stacked[0, 0, 0], [3.0, 1.0, 1.0, 1.0, 2.0, 5.0])


def test_an_untrained_network_returns_the_universal_map(inputs):
    fresh = untrained_network()
    images, universal, embedding = inputs
    predicted = fresh(images, universal, embedding)
    # Up to the floor of a hundredth of uniform that is put under the universal map.
    np.testing.assert_allclose(predicted, (universal + 0.01 / 24) / 1.01, rtol=1e-4)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_an_untrained_network_learns_from_whose_map_it_is(inputs, conditioning):
    """The weights of the embedding are zero at first, and their gradients must not be."""
    fresh = untrained_network(conditioning)
    fresh.head.kernel[...] += 0.5
    images, universal, embedding = inputs
    graph, params = nnx.split(fresh, nnx.Param)
    gradient = jax.grad(
        lambda params: (nnx.merge(graph, params)(images, universal, embedding) ** 2).sum()
    )(params)
    names = {"film": "films", "concatenation": "concatenations", "filters": "filters"}
    leaves = jax.tree.leaves(gradient[names[conditioning]])
    assert leaves
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in leaves)


def test_concatenation_is_a_convolution_of_constant_channels():
    layer = Concatenation(SIZE, 4, rngs=nnx.Rngs(0))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, SIZE, 4))
    layer.linear.kernel[...] = kernel.sum(axis=(0, 1))
    embedding = jnp.array([[1.0, -2.0, 3.0]])
    channels = jnp.broadcast_to(embedding[:, None, None], (1, 7, 7, SIZE))
    expected = _convolve(channels, kernel, jnp.dtype("float32"))[0, 3, 3]  # Far from the edge.
    np.testing.assert_allclose(
        layer(jnp.zeros((1, 1, 1, 4)), embedding)[0, 0, 0], expected, rtol=1e-5
    )


def test_each_user_on_an_image_is_predicted_as_if_alone(network, inputs):
    """The trunk runs once per image; the map of a user must not depend on other users."""
    images, universal, embedding = inputs
    together = network(images, universal, embedding)
    np.testing.assert_allclose(together.sum(axis=(2, 3)), 1.0, rtol=1e-5)
    for image in range(2):
        for user in range(3):
            alone = network(
                images[image][None],
                universal[image, user][None, None],
                embedding[image, user][None, None],
            )
            np.testing.assert_allclose(alone[0, 0], together[image, user], rtol=1e-4)


def test_the_embedding_and_the_image_both_reach_the_map(network, inputs):
    images, universal, embedding = inputs
    predicted = network(images, universal, embedding)
    assert np.abs(network(images, universal, embedding + 1.0) - predicted).max() > 1e-3
    assert np.abs(network(images[::-1], universal, embedding) - predicted).max() > 1e-4


@pytest.mark.parametrize("size", [(6, 8), (5, 8)])
def test_an_enlarged_level_is_convolved_without_being_enlarged(size):
    keys = jax.random.split(jax.random.key(0), 2)
    level = jax.random.normal(keys[0], (2, 3, 4, 5))
    kernel = jax.random.normal(keys[1], (3, 3, 5, 6))
    enlarged = jax.image.resize(level, (2, *size, 5), "nearest")
    single = jnp.dtype("float32")
    np.testing.assert_allclose(
        _convolve_enlarged(level, kernel, size, single),
        _convolve(enlarged, kernel, single),
        atol=1e-5,
    )


def test_groups_are_normalized_as_flax_does():
    x = 3.0 + jax.random.normal(jax.random.key(0), (2, 3, 4, 6))
    ours, theirs = (make(6, num_groups=2, rngs=nnx.Rngs(0)) for make in (GroupNorm, nnx.GroupNorm))
    for norm in (ours, theirs):
        norm.scale[...], norm.bias[...] = jnp.arange(1.0, 7.0), jnp.arange(6.0)
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-4)
    # By hand: of -1, 1, -1 and 1 the mean is 0 and the variance 1.
    signs = jnp.array([-1.0, 1.0, -1.0, 1.0]).reshape(1, 2, 1, 2)
    plain = GroupNorm(2, num_groups=1, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(plain(signs), signs, atol=1e-5)
    assert (
        GroupNorm(2, num_groups=1, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))(signs).dtype == "bfloat16"
    )


BLOCK = {"kernel_size": 3, "stride": 2, "norm_groups": 2, "embedding_size": 5}


def early(pooling):
    return EarlyFusionEncoder(
        inputs=("image", "personal"),
        filters=(4, 8),
        pooling=pooling,
        dtype=jnp.dtype("float32"),
        rngs=nnx.Rngs(0),
        **BLOCK,
    )


def two_trunks(pooling):
    return LateFusionEncoder(
        inputs=("personal",),
        filters=(4, 8),
        map_filters=(2, 6),
        pooling=pooling,
        dtype=jnp.dtype("float32"),
        rngs=nnx.Rngs(0),
        **BLOCK,
    )


@pytest.mark.parametrize(
    ("make", "pooling"),
    [*((early, name) for name in POOLINGS), (two_trunks, "mean"), (two_trunks, "gaze")],
)
def test_encoder_embeds_each_pair_on_its_own(make, pooling):
    encoder = make(pooling)
    pairs = jax.random.normal(jax.random.key(0), (3, 11, 16, 4))
    residual = jax.random.normal(jax.random.key(1), (3, 11, 16))
    together = encoder(pairs, residual)
    assert together.shape == (3, 5)
    for pair in range(3):
        alone = encoder(pairs[pair : pair + 1], residual[pair : pair + 1])
        np.testing.assert_allclose(alone[0], together[pair], atol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "gaze"])
def test_two_trunks_see_image_and_map_and_gaze_pooling_the_residual(pooling):
    encoder = two_trunks(pooling)
    pairs = jax.random.normal(jax.random.key(0), (2, 12, 16, 4))
    residual = jax.random.normal(jax.random.key(1), (2, 12, 16))
    before = encoder(pairs, residual)
    for channel in range(4):
        assert np.abs(encoder(pairs.at[..., channel].add(1.0), residual) - before).max() > 1e-4
    changes = np.abs(encoder(pairs, 2 * residual) - before).max() > 1e-4
    assert changes == (pooling == "gaze")


def test_gaze_pooling_averages_what_is_looked_at():
    # Left half of the features is 2, right half 5; all gaze moved from left to right: 5 - 2 = 3.
    # Resizing blurs the border of the halves a little.
    is_right = jnp.arange(32) >= 16
    features = jnp.broadcast_to(jnp.where(is_right[::2], 5.0, 2.0)[:, None], (1, 12, 16, 1))
    residual = jnp.broadcast_to(jnp.where(is_right, 1.0, -1.0) / (24 * 16), (1, 24, 32))
    np.testing.assert_allclose(pool_at_gaze(features, residual), [[3.0]], rtol=0.05)
