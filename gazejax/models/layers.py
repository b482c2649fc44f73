"""GroupNorm with few passes over the pictures, which is what it costs on a CPU."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class GroupNorm(nnx.GroupNorm):
    """`nnx.GroupNorm` of pictures: the same parameters and numbers, but for rounding.

    Each channel is averaged over the picture first, and the groups are made of those averages. In
    the other order the compiler rearranges whole pictures by groups. Averages are of single
    precision, whatever the layer's `dtype`.

    Source: Wu and He 2018, Eq. 7; the order is ours.
    """

    def __call__(  # type: ignore[override]  # It takes no mask.
        self, x: Float[Array, "image height width channel"]
    ) -> Float[Array, "image height width channel"]:
        """Normalises each group of channels of each image, then scales and shifts each channel."""
        assert self.scale is not None
        assert self.bias is not None
        wide = x.astype(jnp.float32)
        mean, mean_square = (
            self._over_groups(values.mean(axis=(1, 2))) for values in (wide, wide**2)
        )
        variance = jnp.maximum(mean_square - mean**2, 0.0)
        factor = jax.lax.rsqrt(variance + self.epsilon) * self.scale[...]
        normalised = (wide - mean[:, None, None]) * factor[:, None, None] + self.bias[...]
        return normalised.astype(self.dtype or x.dtype)

    def _over_groups(self, values: Float[Array, "image channel"]) -> Float[Array, "image channel"]:
        groups = values.reshape(len(values), self.num_groups, self.group_size)
        return jnp.repeat(groups.mean(axis=-1), self.group_size, axis=-1)
