"""Stage 2 on frozen features: a person's taste weighs what is in the picture. Ours.

The universal map is first repaired, for everybody alike. Then each place gains by how much its
features agree with the person's taste, that is with the features of what the person looked at more
than others. One weight for each feature is learnt, the same for all people, so that a stranger's
taste counts as a known person's does.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float16

from gazejax.features import NUM_PLACE_FEATURES
from gazejax.models.saliency import EmbeddingScale


class TasteSaliencyNetwork(nnx.Module):
    """Universal map, frozen features, and an embedding that ends with a taste -> personal map.

    The logarithm of the universal map, with what `of_image` and `of_universal` add for everybody,
    and with features times weighted taste; then a softmax.

    With `has_habit` the rest of the embedding, which says how somebody looks whatever they look at,
    changes the gain of the universal map and shifts it. Known people gain by it, strangers do not.
    """

    def __init__(
        self, *, num_features: int, habit_size: int, width: int, has_habit: bool, rngs: nnx.Rngs
    ):
        self.num_features, self.habit_size = num_features, habit_size
        self.embedding_scale = EmbeddingScale(habit_size + num_features)
        self.of_image = nnx.Conv(num_features, width, kernel_size=(3, 3), rngs=rngs)
        self.of_universal = nnx.Linear(2, width, use_bias=False, rngs=rngs)
        # These start at zero: an untrained network returns the universal map.
        zeros = nnx.initializers.zeros_init()
        self.head = nnx.Linear(width, 1, kernel_init=zeros, rngs=rngs)
        self.taste_weight = nnx.Param(jnp.zeros(num_features))
        num_habits = 1 + NUM_PLACE_FEATURES
        self.habit = (
            nnx.Linear(habit_size, num_habits, use_bias=False, kernel_init=zeros, rngs=rngs)
            if has_habit
            else None
        )

    def __call__(
        self,
        features: Float16[Array, "image height width feature"],
        universal: Float[Array, "image person height width"],
        embedding: Float[Array, "image person embedding"],
    ) -> Float[Array, "image person height width"]:
        """Predicts the map of each person on each image.

        Args:
            features: frozen features of the images, see `gazejax.features.project`.
            universal: universal map for each person (it leaves the person out), summing to 1.
            embedding: user embedding of each person.

        Returns:
            Maps that sum to 1.
        """
        image = features.astype(universal.dtype)
        relative = universal * (universal.shape[2] * universal.shape[3])
        # Floor at a hundredth of uniform: nothing is so unlikely that no person can look there.
        log_universal = jnp.log(relative + 0.01)
        of_universal = self.of_universal(jnp.stack([log_universal, relative / 5], axis=-1))
        repaired = self.head(nnx.relu(self.of_image(image)[:, None] + of_universal))[..., 0]
        person = self.embedding_scale(embedding.reshape(-1, embedding.shape[-1]))
        person = person.reshape(embedding.shape)
        taste = person[..., self.habit_size :] * self.taste_weight[...]
        own = jnp.einsum("ihwc,ipc->iphw", image, taste)
        if self.habit is not None:
            gain, shift = jnp.split(self.habit(person[..., : self.habit_size]), [1], axis=-1)
            own += jnp.einsum("ihwc,ipc->iphw", image[..., -NUM_PLACE_FEATURES:], shift)
            own += gain[..., None] * log_universal
        logits = (log_universal + repaired + own).reshape(*universal.shape[:2], -1)
        return jax.nn.softmax(logits, axis=-1).reshape(universal.shape)
