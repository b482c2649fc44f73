"""Stage 1: the Siamese encoder, (image, maps) -> embedding of one pair.

Known of the paper's encoder (from a secondary source): image and personal map enter together as
channels, and four blocks of convolution, normalisation and ReLU follow. Filters, strides, the kind
of normalisation, the pooling and the embedding size are ours and stand in the config.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, UInt8

from gazejax.models.norm import GroupNorm

EncoderInput = Literal["image", "personal", "group", "residual"]
CHANNELS: dict[str, int] = {"image": 3, "personal": 1, "group": 1, "residual": 1}
POOLINGS = ("mean", "gaze", "flatten")  # of early fusion


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


class Trunk(nnx.Module):
    """Blocks of convolution, GroupNorm and ReLU.

    GroupNorm computes the same in training and evaluation, and on one device or several. Levels are
    of type `dtype`; parameters are of single precision whatever it is, and so are means.
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
        """Returns the level of each block, the first one first."""
        x, levels = inputs, []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = nnx.relu(norm(convolution(x)))
            levels.append(x)
        return levels


class EarlyEncoder(nnx.Module):
    """Early fusion: everything enters as channels of one convolutional trunk (the paper's kind).

    A trunk, then pooling over positions and a linear layer.

    Pooling `mean` averages the last level over all positions. Pooling `gaze` puts beside it, for
    every level, the features averaged with the residual map as the weight: what is where this
    person looks more than others do, minus what is where they look less. Pooling `flatten` keeps
    every position of the last level apart, so that the layer knows where something is.
    """

    def __init__(
        self,
        *,
        image_size: tuple[int, int],
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
        self.trunk = Trunk(
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
            case "flatten":
                shrink = stride ** len(filters)
                pooled = filters[-1] * math.prod(-(-side // shrink) for side in image_size)
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
        if self.pooling == "flatten":
            return self.head(levels[-1].reshape(len(inputs), -1))
        pooled = [_mean_over_places(levels[-1])]
        if self.pooling == "gaze":
            pooled += [_average_at_gaze(level, residual) for level in levels]
        return self.head(jnp.concatenate(pooled, axis=-1))


class TwoTrunkEncoder(nnx.Module):
    """Late fusion: the image and the maps have a trunk each. Ours.

    Pooling `mean` joins the last levels of both, place by place, in a layer of their own and
    averages it. Pooling `gaze` averages every level of the image with the residual map as the
    weight, and puts the mean of the last level of the maps beside it: what is looked at more than
    others do, and the form of the map. The image's half then is the same for everybody.
    """

    def __init__(
        self,
        *,
        map_channels: int,
        filters: Sequence[int],
        map_filters: Sequence[int],
        kernel_size: int,
        stride: int,
        norm_groups: int,
        pooling: str,
        embedding_size: int,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.pooling = pooling
        block: dict[str, Any] = {
            "kernel_size": kernel_size,
            "stride": stride,
            "norm_groups": norm_groups,
            "dtype": dtype,
            "rngs": rngs,
        }
        self.of_image = Trunk(in_channels=CHANNELS["image"], filters=filters, **block)
        self.of_maps = Trunk(in_channels=map_channels, filters=map_filters, **block)
        joined = filters[-1] + map_filters[-1]
        self.join = (
            nnx.Linear(joined, joined, dtype=dtype, rngs=rngs) if pooling == "mean" else None
        )
        pooled = joined if pooling == "mean" else sum(filters) + map_filters[-1]
        self.head = nnx.Linear(pooled, embedding_size, rngs=rngs)

    def __call__(
        self,
        inputs: Float[Array, "pair height width channel"],
        residual: Float[Array, "pair height width"],
    ) -> Float[Array, "pair embedding"]:
        """Embeds pairs; a user's embedding is the mean over pairs.

        Args:
            inputs: what `stack_inputs` made of the pairs, the image first.
            residual: personal minus universal map, both summing to 1; pooling `gaze` only.
        """
        image, maps = jnp.split(inputs, [CHANNELS["image"]], axis=-1)
        image_levels, map_level = self.of_image(image), self.of_maps(maps)[-1]
        if self.join is not None:
            both = jnp.concatenate([image_levels[-1], map_level], axis=-1)
            return self.head(_mean_over_places(nnx.relu(self.join(both))))
        pooled = [_average_at_gaze(level, residual) for level in image_levels]
        return self.head(jnp.concatenate([*pooled, _mean_over_places(map_level)], axis=-1))


def _mean_over_places(
    level: Float[Array, "pair level_height level_width channel"],
) -> Float[Array, "pair channel"]:
    return level.astype(jnp.float32).mean(axis=(1, 2))


def _average_at_gaze(
    features: Float[Array, "pair level_height level_width channel"],
    residual: Float[Array, "pair height width"],
) -> Float[Array, "pair channel"]:
    size = (residual.shape[0], *features.shape[1:3])
    # Resizing averages cells; the weights must keep their sum instead.
    cells_per_cell = residual.size / math.prod(size)
    weight = jax.image.resize(residual, size, "linear") * cells_per_cell
    return jnp.einsum("phwc,phw->pc", features, weight)


class SiameseEncoder(nnx.Module):
    """What stage 1 trains: the encoder, and a linear classifier of the seen users on top of it.

    The classifier serves the optional classification term only and is dropped afterwards.
    """

    def __init__(self, encoder: nnx.Module, *, embedding_size: int, users: int, rngs: nnx.Rngs):
        self.encoder = encoder
        self.classifier = nnx.Linear(embedding_size, users, rngs=rngs)
