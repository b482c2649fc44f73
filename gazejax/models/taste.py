"""Stage 2 on frozen features: a person's taste weighs what is in the picture. Ours.

The universal map is first repaired, for everybody alike. Then each place gains by how much its
features agree with the person's taste, that is with the features of what the person looked at more
than others. One weight for each feature is learnt, the same for all people, so that a stranger's
taste counts as a known person's does.

Of the people in the training more is known than a taste: hundreds of their viewings. The network
remembers them, recognises them by the learnt part of the embedding, and lets the memory change its
layers. A stranger is recognised as nobody, and nothing of the memory counts for them.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float16

from gazejax.models.saliency import EmbeddingScale

CONDITIONINGS = ("taste", "filters", "film")


class KnownPeople(nnx.Module):
    """Recognises the people of the training by how they look, whatever they look at.

    Training starts it from their embeddings (`stages.make_stage`) and leaves it as it is.

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


class TasteSaliencyNetwork(nnx.Module):
    """Universal map, frozen features, and an embedding that ends with a taste -> personal map.

    The logarithm of the universal map, with what `of_image` and `of_universal` add for everybody,
    and with features times weighted taste; then a softmax.

    Args:
        num_features: of `gazejax.features.project`.
        habit_size: entries of the learnt part of an embedding.
        num_people: people of the training; 0 for a network without people (`universal`).
        width: of the layers.
        conditioning: what a known person changes beside: nothing (`taste`); the weights of features
            and of the last layer (`filters`); scale and shift of both layers (`film`).
        radius: see `KnownPeople`.
        softness: see `KnownPeople`.
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
        radius: float,
        softness: float,
        rngs: nnx.Rngs,
    ):
        self.num_features, self.habit_size = num_features, habit_size
        self.embedding_scale = EmbeddingScale(habit_size + num_features)
        self.of_image = nnx.Conv(num_features, width, kernel_size=(3, 3), rngs=rngs)
        self.of_universal = nnx.Linear(2, width, use_bias=False, rngs=rngs)
        self.second = (
            nnx.Conv(width, width, kernel_size=(3, 3), rngs=rngs)
            if conditioning == "film"
            else None
        )
        # These start at zero: an untrained network returns the universal map, whoever looks.
        zeros = nnx.initializers.zeros_init()
        self.head = nnx.Linear(width, 1, kernel_init=zeros, rngs=rngs)
        self.taste_weight = nnx.Param(jnp.zeros(num_features))
        has_memory = conditioning != "taste" and num_people > 0
        self.known_people = (
            KnownPeople(
                num_people=num_people, habit_size=habit_size, radius=radius, softness=softness
            )
            if has_memory
            else None
        )
        size = 4 * width if conditioning == "film" else num_features + width
        self.memory = nnx.Param(jnp.zeros((num_people, size))) if has_memory else None

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
        person = self.embedding_scale(embedding.reshape(-1, embedding.shape[-1]))
        taste = person.reshape(embedding.shape)[..., self.habit_size :] * self.taste_weight[...]
        remembered = self._remember(embedding[..., : self.habit_size])

        of_universal = self.of_universal(jnp.stack([log_universal, relative / 5], axis=-1))
        x = self.of_image(image)[:, None] + of_universal
        if self.second is None:
            x = nnx.relu(x)
        else:
            first, second = None, None
            if remembered is not None:
                first, second = jnp.split(remembered, 2, axis=-1)
            x = nnx.relu(_modulate(x, first))
            maps = self.second(x.reshape(-1, *x.shape[2:])).reshape(x.shape)
            x = nnx.relu(_modulate(maps, second))
        own = self.head(x)[..., 0]
        if remembered is not None and self.second is None:
            of_feature, of_layer = jnp.split(remembered, [self.num_features], axis=-1)
            taste = taste + of_feature
            own += jnp.einsum("iphwc,ipc->iphw", x, of_layer)
        own += jnp.einsum("ihwc,ipc->iphw", image, taste)
        logits = (log_universal + own).reshape(*universal.shape[:2], -1)
        return jax.nn.softmax(logits, axis=-1).reshape(universal.shape)

    def _remember(
        self, habit: Float[Array, "image person habit"]
    ) -> Float[Array, "image person memory"] | None:
        if self.known_people is None or self.memory is None:
            return None
        return self.known_people(habit) @ self.memory[...]


def _modulate(
    features: Float[Array, "image person height width channel"],
    modulation: Float[Array, "image person modulation"] | None,
) -> Float[Array, "image person height width channel"]:
    """FiLM: scale and shift of each channel, where 0 changes nothing."""
    if modulation is None:
        return features
    scale, shift = jnp.split(modulation[:, :, None, None, :], 2, axis=-1)
    return features * (1.0 + scale) + shift
