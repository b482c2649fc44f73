"""Stage 1 from the scanpath: a deep set of features of fixations, and a preference vector.

A personal map keeps the positions of fixations, but not their durations, their order or the
lengths of saccades. Users differ in these properties as stably as in what they fixate, and few
users suffice to learn them. Ours.
"""

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Float16

from gazejax.types import Scanpaths

ScanpathInput = Literal["position", "duration", "order", "step", "density"]

# Inputs that need the durations of fixations.
TIMED_FEATURES = frozenset({"duration", "order"})

FEATURES: dict[str, int] = {"position": 2, "duration": 2, "order": 2, "step": 3, "density": 2}

# Typical values of a viewing. They scale every feature to about one.
_DURATION_MS = 250.0

_ONSET_MS = 1500.0

_FIXATIONS = 10.0


def fixation_features(
    scanpaths: Scanpaths,
    density: Float[Array, "pair fixation"],
    aspect_ratio: Float[Array, " pair"],
    inputs: Sequence[ScanpathInput],
) -> Float[Array, "pair fixation feature"]:
    """Describes each fixation by features of about one.

    Args:
        scanpaths: the fixations of pairs, durations in milliseconds. Where a duration is 0, which
            stands for not known, features of it and of the onset are 0, their typical value.
        density: universal map at each fixation, relative to a uniform density.
        aspect_ratio: width of each image divided by its height.
        inputs: names of `FEATURES`: `position`, relative to the center of the image; `duration`;
            `order`: index and onset of the fixation; `step`: vector from the previous fixation and
            its length (for the first fixation, from the center); `density`: at this fixation and at
            the previous one.

    Returns:
        The features in the order of `inputs`; zero on padding.

    Source: ours.
    """
    x, y = scanpaths.xy_frac[..., 0] - 0.5, scanpaths.xy_frac[..., 1] - 0.5
    y = y / aspect_ratio[:, None]  # In image widths, as x.
    step_x, step_y = (side - _one_before(side) for side in (x, y))
    length = jnp.sqrt(step_x**2 + step_y**2)
    duration = scanpaths.duration_ms
    is_known = duration > 0
    onset = jnp.cumsum(duration, axis=-1) - duration
    number = jnp.broadcast_to(jnp.arange(x.shape[-1], dtype=x.dtype), x.shape)
    log_density = jnp.log(density + 0.05)
    parts: dict[str, list[Array]] = {
        "position": [3 * x, 4 * y],
        "duration": [
            jnp.where(is_known, duration / _DURATION_MS - 1, 0.0),
            jnp.where(is_known, jnp.log(jnp.maximum(duration, 20.0) / _DURATION_MS), 0.0),
        ],
        "order": [
            2 * number / _FIXATIONS - 1,
            jnp.where(is_known, onset / _ONSET_MS - 1, 0.0),
        ],
        "step": [4 * step_x, 4 * step_y, jnp.log(length + 0.02) + 1.5],
        "density": [log_density, _one_before(log_density)],
    }
    features = jnp.stack([part for name in inputs for part in parts[name]], axis=-1)
    return jnp.where(scanpaths.mask[..., None], features, 0.0)


def preference_vector(
    image_features: Float16[Array, "image height width feature"],
    residual: Float[Array, "pair height width"],
) -> Float[Array, "pair feature"]:
    """Features of the image, weighted by the residual map of each viewing.

    The preference vector describes the regions that this user fixates more than other users do,
    minus the regions that the user fixates less. The vector is linear in the residual map and has
    no parameters learnt from users, so that its entries mean the same for seen and unseen users.

    Args:
        image_features: output of `data.features.project`; one image for all pairs, or one for each.
        residual: personal minus universal map, both summing to 1.
    """
    grid = image_features.astype(residual.dtype)
    if len(grid) == 1:  # One matrix product for all pairs of the image.
        return jnp.einsum("hwc,phw->pc", grid[0], residual)
    return jnp.einsum("phwc,phw->pc", grid, residual)


class ScanpathEncoder(nnx.Module):
    """A deep set: a small network for each fixation, a sum over fixations, a network for the sum.

    The network sums and does not average, so that the embedding depends on the number of fixations.
    Layers have type `dtype`. Parameters, the sum and the embedding have single precision, whatever
    `dtype` is.

    Source: Zaheer et al. 2017, Theorem 2.
    """

    def __init__(
        self,
        *,
        inputs: Sequence[ScanpathInput],
        width: int,
        embedding_size: int,
        preference_scale: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.preference_scale = preference_scale
        self.of_fixation = nnx.List(
            nnx.Linear(width_in, width, dtype=dtype, rngs=rngs)
            for width_in in (sum(FEATURES[name] for name in inputs), width)
        )
        self.of_pair = nnx.Linear(width, width, dtype=dtype, rngs=rngs)
        self.head = nnx.Linear(width, embedding_size, rngs=rngs)

    def __call__(
        self,
        features: Float[Array, "pair fixation feature"],
        mask: Bool[Array, "pair fixation"],
        preference: Float[Array, "pair preference"] | None,
    ) -> Float[Array, "pair embedding"]:
        """Embeds pairs; a user's embedding is the mean over pairs.

        Args:
            features: output of `fixation_features`.
            mask: True for real fixations.
            preference: output of `preference_vector`, to append to the learnt part of the
                embedding; None to append nothing.
        """
        x = features
        for layer in self.of_fixation:
            x = nnx.relu(layer(x))
        x = x.astype(jnp.float32)
        total = jnp.where(mask[..., None], x, 0.0).sum(axis=1) / _FIXATIONS
        embedding = self.head(nnx.relu(self.of_pair(total)))
        if preference is None:
            return embedding
        return jnp.concatenate([embedding, self.preference_scale * preference], axis=-1)


def _one_before(values: Float[Array, "pair fixation"]) -> Float[Array, "pair fixation"]:
    """The value at the previous fixation; zero at the first."""
    return jnp.pad(values[:, :-1], ((0, 0), (1, 0)))
