import jax.numpy as jnp
import numpy as np
from flax import nnx

from gazejax.models.scanpath_encoder import FEATURES, ScanpathEncoder, fixation_features
from gazejax.types import Scanpaths

# In an image twice as wide as high: from its right border to its upper border, then padding.
SCANPATH = Scanpaths(
    xy_frac=jnp.array([[[1.0, 0.5], [0.5, 0.0], [0.3, 0.3]]]),
    duration_ms=jnp.array([[250.0, 500.0, 9.0]]),
    mask=jnp.array([[True, True, False]]),
)
DENSITY = jnp.array([[0.95, 2.95, 7.0]])
WIDE = jnp.array([2.0])


def describe(*inputs):
    return np.asarray(fixation_features(SCANPATH, DENSITY, WIDE, inputs)[0])


def test_features_by_hand():
    # x from the center times 3; y in image widths, -0.5 / 2, times 4.
    np.testing.assert_allclose(describe("position")[:2], [[1.5, 0.0], [0.0, -1.0]], atol=1e-6)
    # 250 / 250 - 1 and log(1); 500 / 250 - 1 and log(2).
    np.testing.assert_allclose(describe("duration")[:2], [[0, 0], [1, np.log(2)]], atol=1e-6)
    # Fixation 0 and 1 in steps of 2 / 10, from -1; onsets of 0 and 250 of 1500 ms, minus 1.
    np.testing.assert_allclose(describe("order")[:2], [[-1, -1], [-0.8, -5 / 6]], rtol=1e-5)
    # From the center 0.5 to the right; then 0.5 to the left and 0.25 widths up. Times 4.
    step = describe("step")[:2]
    np.testing.assert_allclose(step[:, :2], [[2, 0], [-2, -1]], atol=1e-6)
    lengths = np.array([0.5, np.hypot(0.5, 0.25)])
    np.testing.assert_allclose(step[:, 2], np.log(lengths + 0.02) + 1.5, rtol=1e-5)
    # log(0.95 + 0.05) = 0, log(2.95 + 0.05); of the previous fixation: none, then 0.
    np.testing.assert_allclose(describe("density")[:2], [[0, 0], [np.log(3), 0]], atol=1e-5)


def test_features_come_in_the_order_asked_for_and_padding_is_zero():
    every = describe(*FEATURES)
    assert every.shape == (3, sum(FEATURES.values()))
    np.testing.assert_array_equal(every[2], 0)
    turned = describe("step", "position")
    np.testing.assert_array_equal(turned, np.hstack([describe("step"), describe("position")]))


def test_the_order_of_looking_counts():
    turned = Scanpaths(*(np.asarray(part)[:, [1, 0, 2]] for part in SCANPATH))
    features = fixation_features(
        Scanpaths(*map(jnp.asarray, turned)), DENSITY[:, jnp.array([1, 0, 2])], WIDE, ("step",)
    )
    assert np.abs(np.asarray(features)[0, [1, 0]] - describe("step")[:2]).max() > 0.1


def test_encoder_sums_over_real_fixations_of_each_pair_alone():
    @nnx.jit
    def make():
        return ScanpathEncoder(
            inputs=("step",),
            width=8,
            embedding_size=5,
            preference_scale=0.5,
            dtype=jnp.dtype("float32"),
            rngs=nnx.Rngs(0),
        )

    @nnx.jit
    def embed(encoder, features, mask):
        return encoder(features, mask, None)

    encoder = make()
    features = np.random.default_rng(0).standard_normal((4, 6, 3), np.float32)
    mask = np.arange(6) < np.array([6, 3, 1, 2])[:, None]
    together = embed(encoder, features, mask)
    assert together.shape == (4, 5)
    for pair, length in enumerate([6, 3, 1, 2]):
        # Neither the other pairs nor the padding, whatever it holds, nor the order of the set.
        alone = embed(
            encoder, features[pair : pair + 1, :length][:, ::-1], np.ones((1, length), bool)
        )
        np.testing.assert_allclose(alone[0], together[pair], atol=1e-5)
    twice = embed(encoder, np.tile(features[2:3, :1], (1, 2, 1)), np.ones((1, 2), bool))
    assert np.abs(twice[0] - together[2]).max() > 1e-4  # The embedding depends on the number.
