import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gazejax.models.layers import Concatenation, GroupNorm, in_parts, pool_at_gaze
from gazejax.models.saliency_unet import (
    _convolve,
)

SIZE = 3


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


def test_a_processor_takes_a_few_images_at_a_time():
    sizes = []

    def layers(images):
        sizes.append(len(images))
        return [images[:, 0, 0], 2 * images]

    for number, expected in ((7, [7]), (23, [10, 10, 3]), (0, [0]), (500, [32] * 15 + [20])):
        sizes.clear()
        images = jnp.arange(2.0 * number).reshape(number, 1, 1, 2)
        first, doubled = in_parts(layers, images)
        assert sizes == expected
        np.testing.assert_array_equal(first, images[:, 0, 0])
        np.testing.assert_array_equal(doubled, 2 * images)


def test_groups_are_normalized_as_flax_does():
    x = jnp.asarray(3.0 + np.random.default_rng(0).standard_normal((2, 3, 4, 6), np.float32))

    def normalized(make):
        norm = make(6, num_groups=2, rngs=nnx.Rngs(0))
        norm.scale[...], norm.bias[...] = jnp.arange(1.0, 7.0), jnp.arange(6.0)
        return norm(x)

    ours, theirs = jax.jit(lambda: (normalized(GroupNorm), normalized(nnx.GroupNorm)))()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    # By hand: of -1, 1, -1 and 1 the mean is 0 and the variance 1.
    signs = jnp.array([-1.0, 1.0, -1.0, 1.0]).reshape(1, 2, 1, 2)
    plain = GroupNorm(2, num_groups=1, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(plain(signs), signs, atol=1e-5)
    assert (
        GroupNorm(2, num_groups=1, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))(signs).dtype == "bfloat16"
    )


def test_gaze_pooling_averages_what_is_looked_at():
    # Left half of the features is 2, right half 5; all gaze moved from left to right: 5 - 2 = 3.
    # Resizing blurs the border of the halves a little.
    is_right = jnp.arange(32) >= 16
    features = jnp.broadcast_to(jnp.where(is_right[::2], 5.0, 2.0)[:, None], (1, 12, 16, 1))
    residual = jnp.broadcast_to(jnp.where(is_right, 1.0, -1.0) / (24 * 16), (1, 24, 32))
    np.testing.assert_allclose(pool_at_gaze(features, residual), [[3.0]], rtol=0.05)
