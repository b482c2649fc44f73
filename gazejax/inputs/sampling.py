"""(key, step) -> batch. Runs inside the jitted step, so a batch is a pure function of its key.

All draws are without replacement, and every index drawn is an index into the *pool*: the seen users
and the training images, in the order of `splits`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key
from ml_collections import ConfigDict

from gazejax.inputs.stage_arrays import StageArrays
from gazejax.types import AnyArray


def sample_users_then_images(
    key: Key[Array, ""],
    viewed: Bool[AnyArray, "user image"],
    *,
    num_users: int,
    images_per_user: int,
    same_images: bool,
) -> tuple[Int[Array, " drawn_user"], Int[Array, "drawn_user drawn_image"]]:
    """Draws users, and for each of them images that they saw.

    Args:
        key: random key.
        viewed: True where a user of the pool saw an image of the pool. Every user must have seen at
            least `images_per_user` images, or images nobody saw are drawn.
        num_users: users to draw.
        images_per_user: images to draw for each user.
        same_images: whether all users get the same images as far as they saw them, so that nothing
            but gaze tells their pairs apart.

    Returns:
        Pool index of each user, and of each user's images.
    """
    user_key, image_key = jax.random.split(key)
    viewed = jnp.asarray(viewed)
    users = jax.random.permutation(user_key, viewed.shape[0])[:num_users]
    rows = 1 if same_images else num_users
    score = jax.random.uniform(image_key, (rows, viewed.shape[1]))
    images = jax.lax.top_k(jnp.where(viewed[users], score, -1.0), images_per_user)[1]
    return users, images


def sample_images_then_users(
    key: Key[Array, ""],
    viewed: Bool[AnyArray, "user image"],
    *,
    num_images: int,
    users_per_image: int,
) -> tuple[Int[Array, " drawn_image"], Int[Array, "drawn_image drawn_user"]]:
    """Draws images, and for each of them users who saw it."""
    viewed = jnp.asarray(viewed)
    image_key, user_key = jax.random.split(key)
    images = jax.random.permutation(image_key, viewed.shape[1])[:num_images]
    score = jax.random.uniform(user_key, (num_images, viewed.shape[0]))
    users = jax.lax.top_k(jnp.where(viewed.T[images], score, -1.0), users_per_image)[1]
    return images, users


def sample_enrolment(
    key: Key[Array, ""],
    allowed: Bool[Array, "*batch image"],
    *,
    min_images: int,
    max_images: int,
) -> tuple[Int[Array, "*batch enrolment"], Float[Array, "*batch enrolment"]]:
    """Draws enrolment images, and how many of them, for each row.

    Args:
        key: random key.
        allowed: the images that may be drawn: seen by the user, and not the target.
        min_images: fewest images of an enrolment.
        max_images: most images; the number is drawn uniformly, once for each row. A row that allows
            fewer gets all it allows.

    Returns:
        `max_images` image indices, and their weights: 1/n for the n drawn, 0 for the rest.
    """
    number_key, image_key = jax.random.split(key)
    number = jax.random.randint(number_key, allowed.shape[:-1], min_images, max_images + 1)
    score = jnp.where(allowed, jax.random.uniform(image_key, allowed.shape), -1.0)
    score, images = jax.lax.top_k(score, max_images)
    drawn = (jnp.arange(max_images) < number[..., None]) & (score >= 0)
    return images, drawn / jnp.maximum(drawn.sum(axis=-1, keepdims=True), 1)


class SamplingPool(NamedTuple):
    """What batches are drawn from: those fields of `StageArrays`."""

    users: Int[AnyArray, " user"]
    images: Int[AnyArray, " image"]
    viewed: Bool[AnyArray, "user image"]


def make_sampling_pool(viewings: StageArrays) -> SamplingPool:
    """What batches are drawn from."""
    return SamplingPool(
        *(jnp.asarray(field) for field in (viewings.users, viewings.images, viewings.viewed))
    )


class SampledIndices(NamedTuple):
    """Who and what was drawn for a global batch, as indices into the pool.

    Attributes:
        users: of stage 1, those of the batch; of stage 2, those of each image.
        images: of stage 1, those of each user; of stage 2, those of the batch.
    """

    users: Int[Array, "*user"]
    images: Int[Array, "*image"]


def sample_encoder_batch(
    config: ConfigDict, pool: SamplingPool, key: Array
) -> tuple[SampledIndices, Array]:
    """Draws a batch of stage 1, and the image of each of its pairs."""
    sizes = config.encoder.batch
    draw_key, _, _ = jax.random.split(key, 3)
    drawn = SampledIndices(
        *sample_users_then_images(
            draw_key,
            pool.viewed,
            num_users=sizes.num_users,
            images_per_user=sizes.images_per_user,
            same_images=sizes.same_images,
        )
    )
    return drawn, indices_of_pairs(config, pool, drawn)[1]


def indices_of_pairs(
    config: ConfigDict, pool: SamplingPool, drawn: SampledIndices
) -> tuple[Array, Array]:
    """Data-set indices of the user and the image of each pair, those of virtual users last."""
    sizes = config.encoder.batch
    virtual_users = jnp.arange(sizes.virtual_users.number) % sizes.num_users
    made_of = jnp.concatenate([jnp.arange(sizes.num_users), virtual_users])
    user = jnp.repeat(pool.users[drawn.users[made_of]], sizes.images_per_user)
    return user, pool.images[drawn.images[made_of].reshape(-1)]


def sample_saliency_batch(
    config: ConfigDict, constants: Any, key: Array
) -> tuple[SampledIndices, Array]:
    """Draws a batch of stage 2, and its images as data-set indices."""
    pool, targets = constants
    sizes = config.saliency.batch
    draw_key, _ = jax.random.split(key)
    drawn, users = sample_images_then_users(
        draw_key,
        pool.viewed[:, targets],
        num_images=sizes.num_images,
        users_per_image=sizes.users_per_image,
    )
    images = targets[drawn]
    return SampledIndices(users, images), pool.images[images]


def sample_images(config: ConfigDict, targets: Array, key: Array) -> tuple[Array, Array]:
    """Draws a batch of stage `universal`, as data-set indices."""
    images = jax.random.permutation(key, targets)[: config.universal.num_images]
    return images, images


def batch_key(seed: int) -> Key[Array, ""]:
    """The key that all batches of a training come from."""
    return jax.random.split(jax.random.key(seed))[1]


def step_key(key: Key[Array, ""], step: Int[Array, ""] | int) -> Key[Array, ""]:
    """The key of one step's batch."""
    return jax.random.fold_in(key, step)
