"""Stage 2 on pretrained features: a person's taste weighs what is in the picture. Ours.

The universal map is first repaired, for everybody alike. Then each place gains by how much its
features agree with the person's taste, that is with the features of what the person looked at more
than others. One weight for each feature is learnt, the same for all people, so that a stranger's
taste counts as a known person's does.

Of the people in the training more is known than a taste: hundreds of their viewings. A memory of
them, recognised by the learnt part of the embedding, adds to that. A stranger is recognised as
nobody, and nothing is added; nor does the memory change what the other layers learn.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from gazejax.models.layers import EmbeddingScale
from gazejax.models.user_memory import SeenUserMemory, SeenUserRecognizer


class SaliencyReadout(nnx.Module):
    """Universal map, frozen features, and an embedding that ends with a taste -> personal map.

    The logarithm of the universal map, with what `of_image` and `of_universal` add for everybody,
    with features times weighted taste, and with what is remembered; then a softmax.

    Args:
        num_features: of `gazejax.data.features.project`.
        habit_size: entries of the learnt part of an embedding.
        num_people: people of the training; 0 for a network without people (stage `universal`).
        width: of the layer for everybody.
        conditioning: what counts of a known person: their `taste` alone, or a `Memory` as well, of
            `filters` or `film`.
        memory_width: of the layers of the memory.
        radius: see `SeenUserRecognizer`.
        softness: see `SeenUserRecognizer`.
        dtype: of the layers; parameters, features and the output are of single precision whatever
            it is.
        rngs: for the weights.
    """

    def __init__(
        self,
        *,
        num_features: int,
        habit_size: int,
        num_people: int,
        width: int,
        conditioning: str,
        memory_width: int,
        radius: float,
        softness: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.num_features, self.habit_size = num_features, habit_size
        self.embedding_scale = EmbeddingScale(habit_size + num_features)
        layer: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.of_image = nnx.Conv(num_features, width, kernel_size=(3, 3), **layer)
        self.of_universal = nnx.Linear(2, width, use_bias=False, **layer)
        # These start at zero: an untrained network returns the universal map, whoever looks.
        zeros = nnx.initializers.zeros_init()
        self.head = nnx.Linear(width, 1, kernel_init=zeros, rngs=rngs)
        self.taste_weight = nnx.Param(jnp.zeros(num_features))
        has_memory = conditioning != "taste" and num_people > 0
        self.known_people = (
            SeenUserRecognizer(
                num_people=num_people, habit_size=habit_size, radius=radius, softness=softness
            )
            if has_memory
            else None
        )
        self.memory = (
            SeenUserMemory(
                num_features=num_features,
                num_people=num_people,
                width=memory_width,
                has_film=conditioning == "film",
                dtype=dtype,
                rngs=rngs,
            )
            if has_memory
            else None
        )

    def __call__(
        self,
        features: Shaped[Array, "image height width channel"],
        universal: Float[Array, "image person height width"],
        embedding: Float[Array, "image person embedding"],
        *,
        as_strangers: bool = False,
    ) -> Float[Array, "image person height width"]:
        """Predicts the map of each person on each image.

        Args:
            features: frozen features of the images, see `gazejax.data.features.project`.
            universal: universal map for each person (it leaves the person out), summing to 1.
            embedding: user embedding of each person.
            as_strangers: whether to recognise nobody.

        Returns:
            Maps that sum to 1.
        """
        image = features.astype(universal.dtype)
        relative = universal * (universal.shape[2] * universal.shape[3])
        # Floor at a hundredth of uniform: nothing is so unlikely that no person can look there.
        log_universal = jnp.log(relative + 0.01)
        told = jnp.stack([log_universal, relative / 5], axis=-1)
        person = self.embedding_scale(embedding.reshape(-1, embedding.shape[-1]))
        taste = person.reshape(embedding.shape)[..., self.habit_size :] * self.taste_weight[...]
        own = self.head(nnx.relu(self.of_image(image)[:, None] + self.of_universal(told)))[..., 0]
        own += jnp.einsum("ihwc,ipc->iphw", image, taste)
        if self.memory is not None and self.known_people is not None and not as_strangers:
            own += self.memory(image, told, self.known_people(embedding[..., : self.habit_size]))
        logits = (log_universal + own).reshape(*universal.shape[:2], -1)
        return jax.nn.softmax(logits, axis=-1).reshape(universal.shape)
