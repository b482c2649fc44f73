from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gazejax.models.saliency_unet import (
    CONDITIONINGS,
    SaliencyUNet,
    _convolve,
    _convolve_enlarged,
)

SIZE = 3


@partial(nnx.jit, static_argnames="conditioning")
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


@nnx.jit
def predict(network, images, universal, embedding):
    return network(images, universal, embedding)


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
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2, 16, 24, 3), np.uint8)
    universal = np.exp(generator.standard_normal((2, 3, 4, 6)))
    universal /= universal.sum(axis=(2, 3), keepdims=True)
    embedding = generator.standard_normal((2, 3, SIZE))
    return images, universal.astype(np.float32), embedding.astype(np.float32)


def test_an_untrained_network_returns_the_universal_map(inputs):
    fresh = untrained_network()
    images, universal, embedding = inputs
    predicted = predict(fresh, images, universal, embedding)
    # Up to the floor of a hundredth of uniform that is put under the universal map.
    np.testing.assert_allclose(predicted, (universal + 0.01 / 24) / 1.01, rtol=1e-4)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_an_untrained_network_learns_from_whose_map_it_is(inputs, conditioning):
    """The weights of the embedding are zero at first, and their gradients must not be."""
    fresh = untrained_network(conditioning)
    fresh.head.kernel[...] += 0.5
    graph, params = nnx.split(fresh, nnx.Param)

    @jax.jit
    @jax.grad
    def gradient_of(params, inputs):
        return (nnx.merge(graph, params)(*inputs) ** 2).sum()

    gradient = gradient_of(params, inputs)
    names = {"film": "films", "concatenation": "concatenations", "filters": "filters"}
    leaves = jax.tree.leaves(gradient[names[conditioning]])
    assert leaves
    assert all(np.abs(leaf).max() > 0 for leaf in leaves)


def test_each_user_on_an_image_is_predicted_as_if_alone(network, inputs):
    """The trunk runs once per image; the map of a user must not depend on other users."""
    images, universal, embedding = inputs
    together = predict(network, images, universal, embedding)
    np.testing.assert_allclose(together.sum(axis=(2, 3)), 1.0, rtol=1e-5)
    for image in range(2):
        for user in range(3):
            alone = predict(
                network,
                images[image][None],
                universal[image, user][None, None],
                embedding[image, user][None, None],
            )
            np.testing.assert_allclose(alone[0, 0], together[image, user], rtol=1e-4)


def test_the_embedding_and_the_image_both_reach_the_map(network, inputs):
    images, universal, embedding = inputs
    predicted = predict(network, images, universal, embedding)
    assert np.abs(predict(network, images, universal, embedding + 1.0) - predicted).max() > 1e-3
    assert np.abs(predict(network, images[::-1], universal, embedding) - predicted).max() > 1e-4


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
