"""Layers that several networks share."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

# Images that a processor computes on at a time. XLA rearranges the activations of a whole batch for
# the gradients of the kernels, which takes a quarter of a step. More parts take long to compile.
_AT_ONCE, _MOST_PARTS = 10, 16


def in_parts(
    layers: Callable[[Array], list[Array]], inputs: Shaped[Array, "image height width channel"]
) -> list[Array]:
    """Applies layers that treat each image by itself; on a CPU to a few images at a time.

    Args:
        layers: images -> arrays with an entry for each image.
        inputs: the images.

    Returns:
        What `layers` gives for all images, up to rounding.
    """
    size = max(1, len(inputs))
    if jax.default_backend() == "cpu":
        size = max(_AT_ONCE, -(-size // _MOST_PARTS))
    if len(inputs) <= size:
        return layers(inputs)
    parts = [layers(inputs[start : start + size]) for start in range(0, len(inputs), size)]
    return [jnp.concatenate(of_parts) for of_parts in zip(*parts, strict=True)]


class GroupNorm(nnx.GroupNorm):
    """`nnx.GroupNorm` of images: the same parameters, and the same result up to rounding.

    Each channel is averaged over the image first. The averages are then combined within each group.
    In the opposite order the compiler would rearrange whole images by group. Averages have single
    precision, whatever the `dtype` of the layer.

    Source: Wu and He 2018, Eq. 7; the order of averaging is ours.
    """

    def __call__(  # type: ignore[override]  # This layer takes no mask.
        self, x: Float[Array, "image height width channel"]
    ) -> Float[Array, "image height width channel"]:
        """Normalizes each group of channels of each image, then scales and shifts each channel."""
        assert self.scale is not None
        assert self.bias is not None
        wide = x.astype(jnp.float32)
        mean, mean_square = (
            self._over_groups(values.mean(axis=(1, 2))) for values in (wide, wide**2)
        )
        variance = jnp.maximum(mean_square - mean**2, 0.0)
        factor = jax.lax.rsqrt(variance + self.epsilon) * self.scale[...]
        # One product and one sum for each value, also in the gradient.
        shift = self.bias[...] - mean * factor
        normalized = wide * factor[:, None, None] + shift[:, None, None]
        return normalized.astype(self.dtype or x.dtype)

    def _over_groups(self, values: Float[Array, "image channel"]) -> Float[Array, "image channel"]:
        groups = values.reshape(len(values), self.num_groups, self.group_size)
        return jnp.repeat(groups.mean(axis=-1), self.group_size, axis=-1)


class ConvTrunk(nnx.Module):
    """Blocks of convolution, GroupNorm and ReLU.

    GroupNorm computes the same in training and evaluation, and on one device or several. Levels
    have type `dtype`. Parameters and means have single precision, whatever `dtype` is.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        filters: Sequence[int],
        kernel_size: int,
        stride: int,
        norm_groups: int,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.convolutions = nnx.List(
            nnx.Conv(
                width_in,
                width_out,
                kernel_size=(kernel_size, kernel_size),
                strides=stride,
                use_bias=False,
                dtype=dtype,
                rngs=rngs,
            )
            for width_in, width_out in pairwise([in_channels, *filters])
        )
        self.norms = nnx.List(
            GroupNorm(width, num_groups=norm_groups, dtype=dtype, rngs=rngs) for width in filters
        )

    def __call__(
        self, inputs: Float[Array, "pair height width channel"]
    ) -> list[Float[Array, "pair level_height level_width filter"]]:
        """Returns the output of each block, called a level, from the first to the last block."""
        return in_parts(self._levels, inputs)

    def _levels(
        self, inputs: Float[Array, "pair height width channel"]
    ) -> list[Float[Array, "pair level_height level_width filter"]]:
        x, levels = inputs, []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = nnx.relu(norm(convolution(x)))
            levels.append(x)
        return levels


def mean_over_places(
    level: Float[Array, "pair level_height level_width channel"],
) -> Float[Array, "pair channel"]:
    """Mean over all positions, in float32."""
    return level.astype(jnp.float32).mean(axis=(1, 2))


def pool_at_gaze(
    features: Float[Array, "pair level_height level_width channel"],
    residual: Float[Array, "pair height width"],
) -> Float[Array, "pair channel"]:
    """Sum over positions, weighted by the residual map of a user.

    The weights are positive where the user looks more than other users do, and negative where the
    user looks less. They sum to zero.
    """
    size = (residual.shape[0], *features.shape[1:3])
    # Resizing averages cells, but the sum of the weights must stay the same.
    cells_per_cell = residual.size / math.prod(size)
    weight = jax.image.resize(residual, size, "linear") * cells_per_cell
    return jnp.einsum("phwc,phw->pc", features, weight)


def modulate(
    features: Float[Array, "*map height width channel"],
    modulation: Float[Array, "*map modulation"],
) -> Float[Array, "*map height width channel"]:
    """Scales and shifts each channel: the modulation holds all scales, minus 1, then all shifts.

    Source: Perez et al. 2018, Eq. 1.
    """
    modulation = modulation[..., None, None, :].astype(features.dtype)
    scale, shift = jnp.split(modulation, 2, axis=-1)
    return features * (1.0 + scale) + shift


class FiLM(nnx.Module):
    """Feature-wise linear modulation: scale and shift of each channel from the user's embedding.

    The kernel is initialized to zero, which makes the layer the identity. An untrained network
    therefore treats all users alike.

    Source: Perez et al. 2018, Eq. 1; the initialization is ours.
    """

    def __init__(self, embedding_size: int, channels: int, *, rngs: nnx.Rngs):
        self.linear = nnx.Linear(
            embedding_size, 2 * channels, kernel_init=nnx.initializers.zeros_init(), rngs=rngs
        )

    def __call__(
        self,
        features: Float[Array, "map height width channel"],
        embedding: Float[Array, "map embedding"],
    ) -> Float[Array, "map height width channel"]:
        """Modulates the features of each map with its own user's embedding."""
        return modulate(features, self.linear(embedding))


class Concatenation(nnx.Module):
    """The user's embedding as additional input channels of a convolution, constant over positions.

    Constant channels add a constant to each output channel of the convolution, so only this
    constant is computed. Its kernel is initialized to zero, as that of FiLM.
    """

    def __init__(self, embedding_size: int, channels: int, *, rngs: nnx.Rngs):
        self.linear = nnx.Linear(
            embedding_size,
            channels,
            use_bias=False,
            kernel_init=nnx.initializers.zeros_init(),
            rngs=rngs,
        )

    def __call__(
        self,
        features: Float[Array, "map height width channel"],
        embedding: Float[Array, "map embedding"],
    ) -> Float[Array, "map height width channel"]:
        """Adds the part of the embedding to the output of the convolution of the other channels."""
        return features + self.linear(embedding).astype(features.dtype)[:, None, None, :]


class EmbeddingScale(nnx.Module):
    """Shifts and scales embeddings: the mean over seen users becomes 0, their spread about 1.

    The layer is constructed as the identity. Training initializes its parameters from the
    embeddings of the seen users (`training.saliency_stage`). With the mean at
    zero, the mean embedding is a fair control: it lies among the embeddings of users.
    """

    def __init__(self, embedding_size: int):
        self.center = nnx.Param(jnp.zeros(embedding_size))
        self.scale = nnx.Param(jnp.ones(embedding_size))

    def __call__(self, embedding: Float[Array, "map embedding"]) -> Float[Array, "map embedding"]:
        """Applies the same shift and scale to every embedding."""
        return (embedding - self.center[...]) * self.scale[...]
