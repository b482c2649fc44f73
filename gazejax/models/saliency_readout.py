"""Stage 2 on frozen features: a readout weighted by the user's preference vector. Ours.

The network adds three terms to the logarithm of the universal map. The first term is a correction
that is the same for all users. The second term is the product of the features of each position and
the user's preference vector, with one learnt weight for each feature. The weights are the same for
all users, so that the term works alike for seen and unseen users.

The third term is for seen users, of whom training has many viewings. `SeenUserRecognizer` finds the
seen user from the learnt part of the embedding, and `SeenUserMemory` adds a correction that was
learnt for this user. The embedding of an unseen user is rejected, and the term is zero. The memory
does not change what the other layers learn.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from gazejax.models.layers import EmbeddingScale
from gazejax.models.user_memory import SeenUserMemory, SeenUserRecognizer


class SaliencyReadout(nnx.Module):
    """Universal map, frozen features, embedding that ends with a preference vector -> personal map.

    A softmax over the map makes the sum of the logarithm of the universal map and the three terms a
    density.

    Args:
        num_features: number of features of `data.features.project`.
        learnt_size: number of entries of the learnt part of an embedding.
        num_users: number of seen users; 0 for a network without them (stage `universal`).
        width: number of channels of the layer that is the same for all users.
        memory_kind: `none`; or the parameters that `SeenUserMemory` stores for each seen user:
            `feature_weights` or `film`.
        memory_width: number of channels of the layers of the memory.
        rejection_distance: see `SeenUserRecognizer`.
        temperature: see `SeenUserRecognizer`.
        dtype: type of the layers; parameters, features and the output have single precision
            whatever it is.
        rngs: random keys of the initial weights.
    """

    def __init__(
        self,
        *,
        num_features: int,
        learnt_size: int,
        num_users: int,
        width: int,
        memory_kind: str,
        memory_width: int,
        rejection_distance: float,
        temperature: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.learnt_size = learnt_size
        self.embedding_scale = EmbeddingScale(learnt_size + num_features)
        layer: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.of_image = nnx.Conv(num_features, width, kernel_size=(3, 3), **layer)
        self.of_universal = nnx.Linear(2, width, use_bias=False, **layer)
        # These weights are zero at first, so that an untrained network returns the universal map.
        zeros = nnx.initializers.zeros_init()
        self.head = nnx.Linear(width, 1, kernel_init=zeros, rngs=rngs)
        self.preference_weight = nnx.Param(jnp.zeros(num_features))
        has_memory = memory_kind != "none" and num_users > 0
        self.recognizer = (
            SeenUserRecognizer(
                num_users=num_users,
                learnt_size=learnt_size,
                rejection_distance=rejection_distance,
                temperature=temperature,
            )
            if has_memory
            else None
        )
        self.memory = (
            SeenUserMemory(
                num_features=num_features,
                num_users=num_users,
                width=memory_width,
                has_film=memory_kind == "film",
                dtype=dtype,
                rngs=rngs,
            )
            if has_memory
            else None
        )

    def __call__(
        self,
        features: Shaped[Array, "image height width channel"],
        universal: Float[Array, "image user height width"],
        embedding: Float[Array, "image user embedding"],
        *,
        recognize: bool = True,
    ) -> Float[Array, "image user height width"]:
        """Predicts the map of each user on each image.

        Args:
            features: frozen features of the images, see `data.features.project`.
            universal: universal map for each user (leave-one-out for a seen user), summing to 1.
            embedding: user embedding of each user.
            recognize: whether to recognize seen users; False treats all users as unseen.

        Returns:
            Maps that sum to 1.
        """
        image = features.astype(universal.dtype)
        relative = universal * (universal.shape[2] * universal.shape[3])
        # The floor is a hundredth of the uniform density: a user may look at any position.
        log_universal = jnp.log(relative + 0.01)
        inputs = jnp.stack([log_universal, relative / 5], axis=-1)
        user = self.embedding_scale(embedding.reshape(-1, embedding.shape[-1]))
        preference = (
            user.reshape(embedding.shape)[..., self.learnt_size :] * self.preference_weight[...]
        )
        own = self.head(nnx.relu(self.of_image(image)[:, None] + self.of_universal(inputs)))[..., 0]
        own += jnp.einsum("ihwc,ipc->iphw", image, preference)
        if self.memory is not None and self.recognizer is not None and recognize:
            own += self.memory(image, inputs, self.recognizer(embedding[..., : self.learnt_size]))
        logits = (log_universal + own).reshape(*universal.shape[:2], -1)
        return jax.nn.softmax(logits, axis=-1).reshape(universal.shape)
