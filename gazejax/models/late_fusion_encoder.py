"""Stage 1 with late fusion: an encoder with one trunk for the image and one for the maps."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from gazejax.models.layers import ConvTrunk, mean_over_places, pool_at_gaze
from gazejax.models.map_encoder import CHANNELS, MapInput


class LateFusionEncoder(nnx.Module):
    """Late fusion: the image and the maps have separate trunks. Ours.

    Pooling `mean` concatenates the last levels of both trunks, applies a linear layer at each
    position, and averages over positions. Pooling `gaze` averages every level of the image trunk
    with the residual map as the weight, and appends the mean of the last level of the map trunk.
    The weighted average describes what the user fixates more than other users do; the mean
    describes the form of the map. With pooling `gaze`, the image trunk computes the same for all
    users.
    """

    def __init__(
        self,
        *,
        inputs: Sequence[MapInput],
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
        self.of_image = ConvTrunk(in_channels=CHANNELS["image"], filters=filters, **block)
        self.of_maps = ConvTrunk(
            in_channels=sum(CHANNELS[name] for name in inputs), filters=map_filters, **block
        )
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
            inputs: output of `stack_inputs`, the channels of the image first.
            residual: personal minus universal map, both summing to 1; pooling `gaze` only.
        """
        image, maps = jnp.split(inputs, [CHANNELS["image"]], axis=-1)
        image_levels, map_level = self.of_image(image), self.of_maps(maps)[-1]
        if self.join is not None:
            both = jnp.concatenate([image_levels[-1], map_level], axis=-1)
            return self.head(mean_over_places(nnx.relu(self.join(both))))
        pooled = [pool_at_gaze(level, residual) for level in image_levels]
        return self.head(jnp.concatenate([*pooled, mean_over_places(map_level)], axis=-1))
