"""Stage 2: the saliency network, (image, universal map, user embedding) -> personal map.

Of the paper's network we know that it refines a universal saliency map, is conditioned on the user
embedding, and is trained with MSE. The layers, the method and the place of conditioning, and the
output as a residual in the log domain are our choices.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, UInt8

from gazejax.models.layers import Concatenation, EmbeddingScale, FiLM, GroupNorm, in_parts

CONDITIONINGS = ("film", "concatenation", "filters")


class SaliencyUNet(nnx.Module):
    """A U-Net whose trunk runs once for each image and whose decoder runs once for each user.

    The trunk halves the resolution at each level. The decoder goes from the deepest level to the
    level of the map. At each level, the decoder concatenates the image features of that level and
    the universal map, and applies a convolution, GroupNorm and ReLU. The output is added to the
    logarithm of the universal map. A softmax over the map makes the sum a density.

    Args:
        trunk_filters: channels of each level of the trunk.
        decoder_filters: channels of each level of the decoder, from the deepest up.
        conditioning: how the decoder is conditioned on the user embedding: `film` between GroupNorm
            and ReLU, `concatenation` at the convolution, or `filters`, weights of the last layer
            that are computed from the embedding.
        conditioned_levels: the conditioned levels of the decoder, 0 for the deepest; for `filters`
            only the last level.
        norm_groups: number of groups of GroupNorm.
        embedding_size: number of entries of the user embedding.
        dtype: type of the levels; parameters and the output have single precision whatever it is.
        rngs: random keys of the initial weights.
    """

    def __init__(
        self,
        *,
        trunk_filters: Sequence[int],
        decoder_filters: Sequence[int],
        conditioning: str,
        conditioned_levels: Sequence[int],
        norm_groups: int,
        embedding_size: int,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.dtype = dtype
        layer: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        widths = [3, *trunk_filters]
        self.trunk = nnx.List(
            nnx.Conv(width_in, width_out, kernel_size=(3, 3), strides=2, use_bias=False, **layer)
            for width_in, width_out in pairwise(widths)
        )
        self.trunk_norms = nnx.List(
            GroupNorm(width, num_groups=norm_groups, **layer) for width in trunk_filters
        )
        self.embedding_scale = EmbeddingScale(embedding_size)
        levels = list(reversed(trunk_filters))[: len(decoder_filters)]
        below = [0, *decoder_filters[:-1]]
        self.lateral = nnx.List(
            nnx.Conv(width, out, kernel_size=(1, 1), **layer)
            for width, out in zip(levels, decoder_filters, strict=True)
        )
        self.decoder = nnx.List(
            nnx.Conv(out + lower + 1, out, kernel_size=(3, 3), use_bias=False, **layer)
            for out, lower in zip(decoder_filters, below, strict=True)
        )
        self.decoder_norms = nnx.List(
            GroupNorm(out, num_groups=norm_groups, **layer) for out in decoder_filters
        )
        layer_of = Concatenation if conditioning == "concatenation" else FiLM
        at_levels = {
            str(level): layer_of(embedding_size, decoder_filters[level], rngs=rngs)
            for level in (() if conditioning == "filters" else conditioned_levels)
        }
        self.films = nnx.Dict(at_levels if layer_of is FiLM else {})
        self.concatenations = nnx.Dict(at_levels if layer_of is Concatenation else {})
        zeros = nnx.initializers.zeros_init()
        self.filters = (
            nnx.Linear(
                embedding_size, decoder_filters[-1], use_bias=False, kernel_init=zeros, rngs=rngs
            )
            if conditioning == "filters"
            else None
        )
        # The kernel is zero at first, so that an untrained network returns the universal map.
        self.head = nnx.Conv(
            decoder_filters[-1],
            1,
            kernel_size=(1, 1),
            kernel_init=zeros,
            rngs=rngs,
        )

    def image_features(
        self, images: UInt8[Array, "image height width 3"]
    ) -> list[Float[Array, "image level_height level_width channel"]]:
        """The part without the embedding: features for each decoder level, deepest first."""
        return in_parts(self._image_features, images)

    def _image_features(
        self, images: UInt8[Array, "image height width 3"]
    ) -> list[Float[Array, "image level_height level_width channel"]]:
        x = images / 127.5 - 1.0
        levels = []
        for convolution, norm in zip(self.trunk, self.trunk_norms, strict=True):
            x = nnx.relu(norm(convolution(x)))
            levels.append(x)
        return [
            _combine_channels(level, lateral)
            for lateral, level in zip(self.lateral, reversed(levels), strict=False)
        ]

    def __call__(
        self,
        images: UInt8[Array, "image height width 3"],
        universal: Float[Array, "image user map_height map_width"],
        embedding: Float[Array, "image user embedding"],
    ) -> Float[Array, "image user map_height map_width"]:
        """Predicts the map of each user on each image.

        Args:
            images: 8-bit RGB.
            universal: universal map for each user (leave-one-out for a seen user), summing to 1.
            embedding: user embedding of each user.

        Returns:
            Maps that sum to 1.
        """
        num_images, num_users, height, width = universal.shape
        num_maps = num_images * num_users
        embedding = self.embedding_scale(embedding.reshape(num_maps, -1))
        # The floor is a hundredth of the uniform density: a user may look at any position.
        log_universal = jnp.log(universal * (height * width) + 0.01).reshape(
            num_maps, height, width, 1
        )
        x = jnp.zeros((num_maps, 1, 1, 0))  # No level is below the deepest one.
        for number, (features, convolution, norm) in enumerate(
            zip(self.image_features(images), self.decoder, self.decoder_norms, strict=True)
        ):
            level = str(number)
            _, level_height, level_width, width_out = features.shape
            size = level_height, level_width
            # A convolution of concatenated features is a sum of convolutions. The one of the image
            # features is the same for all users. The one of the level below has fewer positions.
            of_image, of_universal, of_below = jnp.split(
                convolution.kernel[...], [width_out, width_out + 1], axis=2
            )
            shared = jnp.repeat(_convolve(features, of_image, self.dtype), num_users, axis=0)
            universal_here = jax.image.resize(log_universal, (num_maps, *size, 1), "linear")
            total = shared + _convolve(universal_here, of_universal, self.dtype)
            if x.size:
                total += _convolve_enlarged(x, of_below, size, self.dtype)
            if level in self.concatenations:
                total = self.concatenations[level](total, embedding)
            x = norm(total)
            if level in self.films:
                x = self.films[level](x, embedding)
            x = nnx.relu(x)
        logits = _combine_channels(x, self.head) + log_universal
        if self.filters is not None:
            logits += jnp.einsum("mhwc,mc->mhw", x, self.filters(embedding))[..., None]
        logits = logits.reshape(num_images, num_users, -1)
        return jax.nn.softmax(logits, axis=-1).reshape(universal.shape)


def _combine_channels(
    x: Float[Array, "map height width channel"], layer: nnx.Conv
) -> Float[Array, "map height width out"]:
    """A 1 x 1 convolution as a matrix product, whose gradient rearranges no images."""
    assert layer.bias is not None
    kernel, bias, dtype = layer.kernel[...][0, 0], layer.bias[...], layer.dtype
    return x.astype(dtype) @ kernel.astype(dtype) + bias.astype(dtype)


def _convolve(
    x: Float[Array, "map height width channel"],
    kernel: Float[Array, "rows columns channel out"],
    dtype: jnp.dtype,
    padding: str | Sequence[tuple[int, int]] = "SAME",
) -> Float[Array, "map height width out"]:
    x, kernel = x.astype(dtype), kernel.astype(dtype)
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1, 1),
        padding=padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _convolve_enlarged(
    x: Float[Array, "map height width channel"],
    kernel: Float[Array, "3 3 channel out"],
    size: tuple[int, int],
    dtype: jnp.dtype,
) -> Float[Array, "map new_height new_width out"]:
    """Enlarges to a size by repeating cells, then convolves.

    After enlarging twofold, three neighboring cells along an axis are copies of only two small
    cells: an even cell has the previous small cell and its own, an odd cell its own and the next.
    Each of the four kinds of cells therefore depends on 2 x 2 small cells, with sums of the
    weights that belong to the same small cell: 16 products for four cells instead of 36.
    """
    number, height, width, _ = x.shape
    if size != (2 * height, 2 * width):
        enlarged = jax.image.resize(x, (number, *size, x.shape[-1]), "nearest")
        return _convolve(enlarged, kernel, dtype)
    by_kind = [
        [
            _convolve(x, of_both, dtype, padding=((1 - row, row), (1 - column, column)))
            for column, of_both in enumerate(_merge_weights(of_row, axis=1))
        ]
        for row, of_row in enumerate(_merge_weights(kernel, axis=0))
    ]
    rows = jnp.stack([jnp.stack(of_row, axis=3) for of_row in by_kind], axis=2)
    return rows.reshape(number, *size, -1)


def _merge_weights(kernel: Float[Array, "..."], axis: int) -> tuple[Array, Array]:
    """The two weights along an axis for even and for odd cells, from the three of the kernel."""
    before, own, after = jnp.split(kernel, 3, axis=axis)
    return (
        jnp.concatenate([before, own + after], axis=axis),
        jnp.concatenate([before + own, after], axis=axis),
    )
