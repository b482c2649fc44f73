"""Stage 1: the Siamese encoder, (image, maps) -> embedding of one pair.

Of the paper's encoder we know (from a secondary source) that image and personal map enter together
as channels, and that four blocks of convolution, normalization and ReLU follow. Filters, strides,
the kind of normalization, the pooling and the embedding size are our choices; the config sets them.
"""

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, UInt8

from gazejax.models.layers import ConvTrunk, mean_over_places, pool_at_gaze

MapInput = Literal["image", "personal", "universal", "residual"]

CHANNELS: dict[str, int] = {"image": 3, "personal": 1, "universal": 1, "residual": 1}

POOLINGS = ("mean", "gaze")


def stack_inputs(
    images: UInt8[Array, "pair height width 3"],
    personal: Float[Array, "pair height width"],
    universal: Float[Array, "pair height width"],
    inputs: Sequence[MapInput],
) -> Float[Array, "pair height width channel"]:
    """Stacks the inputs of the encoder as channels, in the order of `inputs`.

    Args:
        images: 8-bit RGB, scaled here to [-1, 1].
        personal: personal map of each pair, already normalized.
        universal: universal map of each pair's image, normalized in the same way.
        inputs: names of `CHANNELS`: the image, the personal map, the universal map, or `residual`,
            the personal minus the universal map.
    """
    parts = {
        "image": images / 127.5 - 1.0,
        "personal": personal[..., None],
        "universal": universal[..., None],
        "residual": (personal - universal)[..., None],
    }
    return jnp.concatenate([parts[name] for name in inputs], axis=-1)


class EarlyFusionEncoder(nnx.Module):
    """Early fusion: all inputs enter one convolutional trunk as channels (the paper's kind).

    The trunk is followed by pooling over positions and a linear layer.

    Pooling `mean` averages the last level over all positions. Pooling `gaze` appends, for every
    level, the features weighted by the residual map: the features of the regions that this user
    fixates more than other users do, minus those of the regions that the user fixates less.
    """

    def __init__(
        self,
        *,
        inputs: Sequence[MapInput],
        filters: Sequence[int],
        kernel_size: int,
        stride: int,
        norm_groups: int,
        pooling: str,
        embedding_size: int,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.pooling = pooling
        self.trunk = ConvTrunk(
            in_channels=sum(CHANNELS[name] for name in inputs),
            filters=filters,
            kernel_size=kernel_size,
            stride=stride,
            norm_groups=norm_groups,
            dtype=dtype,
            rngs=rngs,
        )
        match pooling:
            case "mean":
                pooled = filters[-1]
            case "gaze":
                pooled = filters[-1] + sum(filters)
            case _:
                raise ValueError(f"pooling is {pooling!r}; allowed: {', '.join(POOLINGS)}")
        self.head = nnx.Linear(pooled, embedding_size, rngs=rngs)

    def __call__(
        self,
        inputs: Float[Array, "pair height width channel"],
        residual: Float[Array, "pair height width"],
    ) -> Float[Array, "pair embedding"]:
        """Embeds pairs; a user's embedding is the mean over pairs.

        Args:
            inputs: output of `stack_inputs`.
            residual: personal minus universal map, both summing to 1; pooling `gaze` only.
        """
        levels = self.trunk(inputs)
        pooled = [mean_over_places(levels[-1])]
        if self.pooling == "gaze":
            pooled += [pool_at_gaze(level, residual) for level in levels]
        return self.head(jnp.concatenate(pooled, axis=-1))


class EncoderWithClassifier(nnx.Module):
    """The network of stage 1: the encoder, and a linear classifier of the seen users on top of it.

    Only the optional classification loss uses the classifier. Embedding a viewing does not.
    """

    def __init__(self, encoder: nnx.Module, *, embedding_size: int, users: int, rngs: nnx.Rngs):
        self.encoder = encoder
        self.classifier = nnx.Linear(embedding_size, users, rngs=rngs)
