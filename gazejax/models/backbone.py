"""EfficientNet-Lite0: image features learnt on ImageNet, as a pyramid of levels.

A MobileNet-like network without squeeze-and-excite, with ReLU6. Batch normalization is folded into
the preceding convolutions. Each convolution has a kernel and a bias, and computes the same in
training and evaluation, on one device or several. `gazejax.data.pretrained` reads the weights.

Source: Tan and Le 2019 (the blocks and their sizes, Table 1), and the Lite0 variant of Google's
reference implementation (`tensorflow/tpu`, models/official/efficientnet/lite).
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, UInt8

# Channels of each level. A level is named by its stride: the width and height, in pixels of the
# image, of one cell of the level. A level is the last tensor of its resolution.
LEVEL_CHANNELS = {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}

# Blocks, kernel size, stride of the first block, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

_STEM_CHANNELS = 32

# To draw kernels that are then replaced took a third of a second of each process.
_conv = functools.partial(nnx.Conv, kernel_init=nnx.initializers.zeros)


class EfficientNetLite0(nnx.Module):
    """The network up to its classifier: 8-bit images of any size in, feature levels out.

    The network is frozen: the gradient stops at the features, so that nothing is kept or computed
    for a backward pass. Weight decay is not a gradient and would still shrink frozen parameters, so
    an optimizer with weight decay must exclude them.

    The parameters are read, never drawn: a new network has zeros.
    """

    def __init__(self, *, rngs: nnx.Rngs):
        self.stem = _conv(3, _STEM_CHANNELS, kernel_size=(3, 3), strides=2, rngs=rngs)
        blocks, width = [], _STEM_CHANNELS
        for num_blocks, kernel_size, stride, expansion, channels in _STAGES:
            for number in range(num_blocks):
                blocks.append(
                    Block(
                        width,
                        channels,
                        kernel_size=kernel_size,
                        stride=stride if number == 0 else 1,
                        expansion=expansion,
                        rngs=rngs,
                    )
                )
                width = channels
        self.blocks = nnx.List(blocks)

    def __call__(
        self, images: UInt8[Array, "image height width 3"], levels: Sequence[int]
    ) -> list[Float[Array, "image _height _width _channel"]]:
        """Computes the requested levels, and nothing deeper.

        Args:
            images: 8-bit RGB, scaled here as in the training of the weights: (value - 127) / 128.
            levels: strides out of `LEVEL_CHANNELS`, in any order.

        Returns:
            The features of each requested level. Height and width are those of the images divided
            by the stride and rounded up.

        Raises:
            ValueError: if a level does not exist, or no level is requested.
        """
        if not levels or not set(levels) <= set(LEVEL_CHANNELS):
            raise ValueError(f"levels is {list(levels)}; allowed: some of {list(LEVEL_CHANNELS)}")
        # The reference implementation's numbers. An example of the PyTorch package uses ImageNet's
        # mean and standard deviation; with those, the features do not have the means and variances
        # that the package recorded.
        x = nnx.relu6(self.stem((images - 127.0) / 128.0))
        stride, found = 2, {}
        for block in self.blocks:
            if block.depthwise.stride == 2:
                found[stride] = x
                if stride == max(levels):
                    break
                stride *= 2
            x = block(x)
        found[stride] = x
        features = [found[level] for level in levels]
        return jax.lax.stop_gradient(features)


class Classifier(nnx.Module):
    """The rest of the network, from level 32 to the 1000 classes of ImageNet.

    The features do not need the classifier. Its accuracy verifies that the weights were read
    correctly.
    """

    def __init__(self, *, rngs: nnx.Rngs):
        self.head = _conv(LEVEL_CHANNELS[32], 1280, kernel_size=(1, 1), rngs=rngs)
        self.linear = nnx.Linear(1280, 1000, rngs=rngs)

    def head_features(
        self, level: Float[Array, "image height width 320"]
    ) -> Float[Array, "image height width 1280"]:
        """The last features before pooling."""
        return nnx.relu6(self.head(level))

    def __call__(self, level: Float[Array, "image height width 320"]) -> Float[Array, "image 1000"]:
        """Logits of the classes, in the order of the ImageNet challenge of 2012."""
        return self.linear(self.head_features(level).mean(axis=(1, 2)))


class Block(nnx.Module):
    """Mobile inverted bottleneck: expansion, depthwise convolution, projection, shortcut.

    Source: Sandler et al. 2018, Figure 4d and Table 1.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel_size: int,
        stride: int,
        expansion: int,
        rngs: nnx.Rngs,
    ):
        width = channels_in * expansion
        self.expand = (
            _conv(channels_in, width, kernel_size=(1, 1), rngs=rngs) if expansion > 1 else None
        )
        self.depthwise = DepthwiseConv(width, kernel_size=kernel_size, stride=stride)
        self.project = _conv(width, channels_out, kernel_size=(1, 1), rngs=rngs)
        self.has_shortcut = stride == 1 and channels_in == channels_out

    def __call__(
        self, x: Float[Array, "image height width channel_in"]
    ) -> Float[Array, "image out_height out_width channel_out"]:
        """Applies the block; a stride of 2 halves height and width, rounded up."""
        y = x if self.expand is None else nnx.relu6(self.expand(x))
        y = self.project(nnx.relu6(self.depthwise(y)))
        return x + y if self.has_shortcut else y


class DepthwiseConv(nnx.Module):
    """Convolution of each channel with its own kernel, padded like TensorFlow's SAME.

    The result is computed as a sum of shifted images, one for each weight of the kernel. XLA fuses
    this sum to one pass, while its grouped convolution is 8 to 50 times slower on a CPU.
    """

    def __init__(self, channels: int, *, kernel_size: int, stride: int):
        self.stride = stride
        self.kernel = nnx.Param(jnp.zeros((kernel_size, kernel_size, 1, channels)))
        self.bias = nnx.Param(jnp.zeros(channels))

    def __call__(
        self, x: Float[Array, "image height width channel"]
    ) -> Float[Array, "image out_height out_width channel"]:
        """Filters each channel; height and width are divided by the stride, rounded up."""
        kernel, stride, size = self.kernel[...], self.stride, x.shape[1:3]
        # An odd total of padding puts its extra zero at the end, so even and odd sizes differ at
        # stride 2.
        padding = jax.lax.padtype_to_pads(size, kernel.shape[:2], (stride, stride), "SAME")
        padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
        height, width = (-(-length // stride) * stride for length in size)
        total = self.bias[...]
        for row in range(kernel.shape[0]):
            for column in range(kernel.shape[1]):
                shifted = padded[:, row : row + height : stride, column : column + width : stride]
                total = total + shifted * kernel[row, column]
        return total
