"""Stage 1 from the scanpath itself: every fixation is described, and a deep set averages them.

A personal map keeps where somebody looked, and blurs how: for how long, in which order, how far
from one fixation to the next. People differ in that as stably as in what they look at, and few
people are enough to learn it from. Ours.
"""

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Float16

from gazejax.types import Scanpaths

ScanpathInput = Literal["position", "duration", "order", "step", "density"]

FEATURES: dict[str, int] = {"position": 2, "duration": 2, "order": 2, "step": 3, "density": 2}

# A usual viewing's: they bring every feature to about one.
_DURATION_MS = 250.0

_ONSET_MS = 1500.0

_FIXATIONS = 10.0


def fixation_features(
    scanpaths: Scanpaths,
    density: Float[Array, "pair fixation"],
    aspect_ratio: Float[Array, " pair"],
    inputs: Sequence[ScanpathInput],
) -> Float[Array, "pair fixation feature"]:
    """Describes each fixation by numbers of about one.

    Args:
        scanpaths: the fixations of pairs.
        density: how much other people look there, relative to a uniform density.
        aspect_ratio: width of each image divided by its height.
        inputs: what to tell: `position`, from the centre of the image; `duration`; `order`: the
            number of the fixation and its onset; `step`: the way from the fixation before (of the
            first, from the centre); `density`, here and at the fixation before.

    Returns:
        The features in the order of `inputs`; zero on padding.

    Source: ours.
    """
    x, y = scanpaths.xy_frac[..., 0] - 0.5, scanpaths.xy_frac[..., 1] - 0.5
    y = y / aspect_ratio[:, None]  # In image widths, as x.
    step_x, step_y = (side - _one_before(side) for side in (x, y))
    length = jnp.sqrt(step_x**2 + step_y**2)
    duration = scanpaths.duration_ms
    onset = jnp.cumsum(duration, axis=-1) - duration
    number = jnp.broadcast_to(jnp.arange(x.shape[-1], dtype=x.dtype), x.shape)
    log_density = jnp.log(density + 0.05)
    parts: dict[str, list[Array]] = {
        "position": [3 * x, 4 * y],
        "duration": [
            duration / _DURATION_MS - 1,
            jnp.log(jnp.maximum(duration, 20.0) / _DURATION_MS),
        ],
        "order": [2 * number / _FIXATIONS - 1, onset / _ONSET_MS - 1],
        "step": [4 * step_x, 4 * step_y, jnp.log(length + 0.02) + 1.5],
        "density": [log_density, _one_before(log_density)],
    }
    features = jnp.stack([part for name in inputs for part in parts[name]], axis=-1)
    return jnp.where(scanpaths.mask[..., None], features, 0.0)


def preference_vector(
    image_features: Float16[Array, "image height width feature"],
    residual: Float[Array, "pair height width"],
) -> Float[Array, "pair feature"]:
    """The taste that viewings of one image show: its features, averaged by the residual map.

    What is where this person looks more than others do, minus what is where they look less. The
    average is linear in the map and nothing in it is learnt from people, so that a stranger's taste
    means what anybody's does.

    Args:
        image_features: see `features.project`; one image for all pairs, or one for each.
        residual: personal minus universal map, both summing to 1.
    """
    grid = image_features.astype(residual.dtype)
    if len(grid) == 1:  # One matrix product for all who saw the image.
        return jnp.einsum("hwc,phw->pc", grid[0], residual)
    return jnp.einsum("phwc,phw->pc", grid, residual)


class ScanpathEncoder(nnx.Module):
    """A deep set: one small network for each fixation, their sum, another network for the sum.

    A sum, not a mean: how many fixations there were is part of it. Source: Zaheer et al. 2017,
    Theorem 2. Layers are of type `dtype`; parameters, the sum and the embedding are of single
    precision whatever it is.
    """

    def __init__(
        self,
        *,
        num_features: int,
        width: int,
        embedding_size: int,
        taste_scale: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.taste_scale = taste_scale
        self.of_fixation = nnx.List(
            nnx.Linear(width_in, width, dtype=dtype, rngs=rngs)
            for width_in in (num_features, width)
        )
        self.of_pair = nnx.Linear(width, width, dtype=dtype, rngs=rngs)
        self.head = nnx.Linear(width, embedding_size, rngs=rngs)

    def __call__(
        self,
        features: Float[Array, "pair fixation feature"],
        mask: Bool[Array, "pair fixation"],
        taste: Float[Array, "pair taste"] | None,
    ) -> Float[Array, "pair embedding"]:
        """Embeds pairs; a user's embedding is the mean over pairs.

        Args:
            features: what `fixation_features` made of the pairs.
            mask: True for real fixations.
            taste: what `preference_vector` made of the pairs, if the embedding is to end with it.
        """
        x = features
        for layer in self.of_fixation:
            x = nnx.relu(layer(x))
        x = x.astype(jnp.float32)
        total = jnp.where(mask[..., None], x, 0.0).sum(axis=1) / _FIXATIONS
        embedding = self.head(nnx.relu(self.of_pair(total)))
        if taste is None:
            return embedding
        return jnp.concatenate([embedding, self.taste_scale * taste], axis=-1)


def _one_before(values: Float[Array, "pair fixation"]) -> Float[Array, "pair fixation"]:
    """The value at the fixation before; zero at the first."""
    return jnp.pad(values[:, :-1], ((0, 0), (1, 0)))
