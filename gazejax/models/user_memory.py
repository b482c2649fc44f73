"""Stage 2: recognition of the seen users, and a correction of the map for each of them."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from gazejax.models.layers import modulate

MEMORY_KINDS = ("none", "feature_weights", "film")


class SeenUserRecognizer(nnx.Module):
    """Recognizes the seen users from the learnt part of an embedding (open-set recognition).

    Training sets the parameters from the embeddings of the seen users
    (`training.saliency_stage`) and does not change them afterwards.

    Args:
        num_users: number of seen users.
        learnt_size: number of entries of the learnt part of an embedding.
        rejection_distance: squared distance to the nearest seen user, as a share of the variance
            between seen users, at which the embedding is as likely that of an unseen user.
        temperature: increase of that distance that makes a seen user less likely by a factor of e.
    """

    def __init__(
        self, *, num_users: int, learnt_size: int, rejection_distance: float, temperature: float
    ):
        self.rejection_distance, self.temperature = rejection_distance, temperature
        self.centers = nnx.Param(jnp.zeros((num_users, learnt_size)))
        self.variance = nnx.Param(jnp.ones(()))

    def __call__(
        self, learnt: Float[Array, "image user learnt"]
    ) -> Float[Array, "image user seen_user"]:
        """Weight of each seen user; the weights sum to 1 at most, and to about 0 if unseen."""
        centers, variance = jax.lax.stop_gradient((self.centers[...], self.variance[...]))
        distance = ((learnt[..., None, :] - centers) ** 2).sum(axis=-1) / variance
        logits = jnp.pad(
            -distance / self.temperature,
            ((0, 0), (0, 0), (0, 1)),
            constant_values=-self.rejection_distance / self.temperature,
        )
        return jax.nn.softmax(logits, axis=-1)[..., :-1]


class SeenUserMemory(nnx.Module):
    """A correction of the log map for each seen user, learnt in training and zero at first.

    Args:
        num_features: number of features of `data.features.project`.
        num_users: number of seen users.
        width: number of channels of the layers.
        has_film: True stores scale and shift of each channel of two layers for each seen user
            (Perez et al. 2018); False stores weights of the features and of one layer.
        dtype: type of the layers; parameters and the output have single precision whatever it is.
        rngs: random keys of the initial weights.
    """

    def __init__(
        self,
        *,
        num_features: int,
        num_users: int,
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
        self.of_user = nnx.Param(jnp.zeros((num_users, size)))

    def __call__(
        self,
        features: Float[Array, "image height width feature"],
        universal: Float[Array, "image user height width 2"],
        seen_weight: Float[Array, "image user seen_user"],
    ) -> Float[Array, "image user height width"]:
        """Computes what to add to the logarithm of the map; 0 for an unseen user.

        Args:
            features: frozen features of the images.
            universal: logarithm and scaled value of the universal map of each user.
            seen_weight: output of `SeenUserRecognizer`.
        """
        of_user = seen_weight @ self.of_user[...]
        x = self.of_image(features)[:, None] + self.of_universal(universal)
        if self.second is None or self.head is None:
            of_feature, of_layer = jnp.split(of_user, [features.shape[-1]], axis=-1)
            return jnp.einsum("ihwc,ipc->iphw", features, of_feature) + jnp.einsum(
                "iphwc,ipc->iphw", nnx.relu(x), of_layer
            )
        first, second = jnp.split(of_user, 2, axis=-1)
        x = nnx.relu(modulate(x, first))
        x = self.second(x.reshape(-1, *x.shape[2:])).reshape(x.shape)
        own = self.head(nnx.relu(modulate(x, second)))[..., 0]
        return seen_weight.sum(axis=-1)[..., None, None] * own
