"""Stage 1: the Siamese encoder, (image, maps) -> embedding of one pair.

Known of the paper's encoder (from a secondary source): image and personal map enter together as
channels, and four blocks of convolution, normalisation and ReLU follow. Filters, strides, the kind
of normalisation, the pooling and the embedding size are ours and stand in the config.
"""

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, UInt8

from gazejax.models.layers import ConvTrunk, mean_over_places, pool_at_gaze

EncoderInput = Literal["image", "personal", "group", "residual"]

CHANNELS: dict[str, int] = {"image": 3, "personal": 1, "group": 1, "residual": 1}

POOLINGS = ("mean", "gaze")  # of early fusion


def stack_inputs(
    images: UInt8[Array, "pair height width 3"],
    personal: Float[Array, "pair height width"],
    group: Float[Array, "pair height width"],
    inputs: Sequence[EncoderInput],
) -> Float[Array, "pair height width channel"]:
    """Puts what the encoder may see into channels, in the order of `inputs`.

    Args:
        images: 8-bit RGB, scaled here to [-1, 1].
        personal: the pair's map, already normalised.
        group: the universal map of the image, normalised in the same way.
        inputs: which channels: `image`, `personal`, `group`, or their difference `residual`.
    """
    parts = {
        "image": images / 127.5 - 1.0,
        "personal": personal[..., None],
        "group": group[..., None],
        "residual": (personal - group)[..., None],
    }
    return jnp.concatenate([parts[name] for name in inputs], axis=-1)


class EarlyFusionEncoder(nnx.Module):
    """Early fusion: everything enters as channels of one convolutional trunk (the paper's kind).

    A trunk, then pooling over positions and a linear layer.

    Pooling `mean` averages the last level over all positions. Pooling `gaze` puts beside it, for
    every level, the features averaged with the residual map as the weight: what is where this
    person looks more than others do, minus what is where they look less.
    """

    def __init__(
        self,
        *,
        in_channels: int,
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
            in_channels=in_channels,
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
            inputs: what `stack_inputs` made of the pairs.
            residual: personal minus universal map, both summing to 1; pooling `gaze` only.
        """
        levels = self.trunk(inputs)
        pooled = [mean_over_places(levels[-1])]
        if self.pooling == "gaze":
            pooled += [pool_at_gaze(level, residual) for level in levels]
        return self.head(jnp.concatenate(pooled, axis=-1))


class EncoderWithClassifier(nnx.Module):
    """What stage 1 trains: the encoder, and a linear classifier of the seen users on top of it.

    The classifier serves the optional classification term only and is dropped afterwards.
    """

    def __init__(self, encoder: nnx.Module, *, embedding_size: int, users: int, rngs: nnx.Rngs):
        self.encoder = encoder
        self.classifier = nnx.Linear(embedding_size, users, rngs=rngs)
