"""What the saliency network remembers of the users it was trained on."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

CONDITIONINGS = ("taste", "filters", "film")


class SeenUserRecognizer(nnx.Module):
    """Recognises the people of the training by how they look, whatever they look at.

    Training starts it from their embeddings (`run.make_stage`) and leaves it as it is.

    Args:
        num_people: people of the training.
        habit_size: entries of the learnt part of an embedding.
        radius: squared distance, as a share of the variance between the people, at which somebody
            is as likely a stranger as the person nearest to them.
        softness: change of that distance that makes it e times less likely.
    """

    def __init__(self, *, num_people: int, habit_size: int, radius: float, softness: float):
        self.radius, self.softness = radius, softness
        self.centers = nnx.Param(jnp.zeros((num_people, habit_size)))
        self.variance = nnx.Param(jnp.ones(()))

    def __call__(
        self, habit: Float[Array, "image person habit"]
    ) -> Float[Array, "image person known"]:
        """Weight of each known person: at most 1 in all, and about 0 for a stranger."""
        centers, variance = jax.lax.stop_gradient((self.centers[...], self.variance[...]))
        distance = ((habit[..., None, :] - centers) ** 2).sum(axis=-1) / variance
        logits = jnp.pad(
            -distance / self.softness,
            ((0, 0), (0, 0), (0, 1)),
            constant_values=-self.radius / self.softness,
        )
        return jax.nn.softmax(logits, axis=-1)[..., :-1]


class SeenUserMemory(nnx.Module):
    """What is remembered of the people of the training; it starts with nothing.

    Args:
        num_features: of `gazejax.features.project`.
        num_people: people of the training.
        width: of the layers.
        has_film: whether a person is remembered by scale and shift of each channel of two layers
            (Perez et al. 2018), or by the weights of features and of one layer.
        dtype: of the layers; parameters and the output are of single precision whatever it is.
        rngs: for the weights.
    """

    def __init__(
        self,
        *,
        num_features: int,
        num_people: int,
        width: int,
        has_film: bool,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.of_image = nnx.Conv(num_features, width, kernel_size=(3, 3), **layer)
        self.of_universal = nnx.Linear(2, width, use_bias=False, **layer)
        self.second = nnx.Conv(width, width, kernel_size=(3, 3), **layer) if has_film else None
        zeros = nnx.initializers.zeros_init()
        self.head = nnx.Linear(width, 1, kernel_init=zeros, rngs=rngs) if has_film else None
        size = 4 * width if has_film else num_features + width
        self.of_person = nnx.Param(jnp.zeros((num_people, size)))

    def __call__(
        self,
        features: Float[Array, "image height width feature"],
        universal: Float[Array, "image person height width 2"],
        known: Float[Array, "image person known"],
    ) -> Float[Array, "image person height width"]:
        """What to add to the logarithm of the map: 0 for a stranger.

        Args:
            features: frozen features of the images.
            universal: what the network is told of the universal map.
            known: weight of each known person.
        """
        of_person = known @ self.of_person[...]
        x = self.of_image(features)[:, None] + self.of_universal(universal)
        if self.second is None or self.head is None:
            of_feature, of_layer = jnp.split(of_person, [features.shape[-1]], axis=-1)
            return jnp.einsum("ihwc,ipc->iphw", features, of_feature) + jnp.einsum(
                "iphwc,ipc->iphw", nnx.relu(x), of_layer
            )
        first, second = jnp.split(of_person, 2, axis=-1)
        x = nnx.relu(_modulate(x, first))
        x = self.second(x.reshape(-1, *x.shape[2:])).reshape(x.shape)
        own = self.head(nnx.relu(_modulate(x, second)))[..., 0]
        return known.sum(axis=-1)[..., None, None] * own


def _modulate(
    features: Float[Array, "image person height width channel"],
    modulation: Float[Array, "image person modulation"],
) -> Float[Array, "image person height width channel"]:
    modulation = modulation[:, :, None, None, :].astype(features.dtype)
    scale, shift = jnp.split(modulation, 2, axis=-1)
    return features * (1.0 + scale) + shift
