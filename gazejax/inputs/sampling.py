"""(key, step) -> batch. Runs inside the jitted step, so a batch is a pure function of its key.

All sampling is without replacement. Indices are indices into the *pool*, the seen users and the
training images in the order of `splits`, unless a docstring says data-set indices.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from gazejax.types import AnyArray


def sample_users_then_images(
    key: Key[Array, ""],
    viewed: Bool[AnyArray, "user image"],
    *,
    num_users: int,
    images_per_user: int,
    same_images: bool,
    dataset: Int[AnyArray, " user"] | None = None,
) -> tuple[Int[Array, " sampled_user"], Int[Array, "sampled_user sampled_image"]]:
    """Samples users, and for each of them images that they saw.

    Args:
        key: random key.
        viewed: True where a user of the pool saw an image of the pool. Every user must have seen at
            least `images_per_user` images, or images that the user did not see are sampled.
        num_users: users to sample.
        images_per_user: images to sample for each user.
        same_images: whether all users get the same images as far as they saw them, so that their
            pairs differ in gaze alone.
        dataset: number of the data set of each user, to sample users of one data set only, in
            proportion to its users; each must have `num_users` users. None: users of any.

    Returns:
        Pool index of each user, and of each user's images.
    """
    user_key, image_key = jax.random.split(key)
    viewed = jnp.asarray(viewed)
    users = jax.random.permutation(user_key, viewed.shape[0])
    if dataset is not None:
        # The first user decides, and those of the same data set come first, in random order.
        of_user = jnp.asarray(dataset)[users]
        users = users[jnp.argsort(of_user != of_user[0], stable=True)]
    users = users[:num_users]
    rows = 1 if same_images else num_users
    score = jax.random.uniform(image_key, (rows, viewed.shape[1]))
    images = jax.lax.top_k(jnp.where(viewed[users], score, -1.0), images_per_user)[1]
    return users, images


class RecordingPool(NamedTuple):
    """The recordings of the users of a pool, where sessions are kept apart.

    Attributes:
        recording: index of each recording; -1 where a user has fewer than others.
        viewed: in which recording which image of the pool was seen.
    """

    recording: Int[AnyArray, "user session"]
    viewed: Bool[AnyArray, "user session image"]


def sample_sessions_then_images(
    key: Key[Array, ""],
    recordings: RecordingPool,
    users: Int[Array, " sampled_user"],
    *,
    num_sets: int,
    images_per_set: int,
    same_images: bool,
) -> tuple[Int[Array, "sampled_user set"], Int[Array, "sampled_user sampled_image"]]:
    """Samples sessions of users, all of them before any comes again, and images of each.

    Args:
        key: random key.
        recordings: of the pool.
        users: pool indices of users.
        num_sets: sessions of each user.
        images_per_set: images of each session; a session of fewer is not sampled. Sets of one
            session are of different images as far as it has enough.
        same_images: as in `sample_users_then_images`, for each set of images.

    Returns:
        Index of the recording of each set, and the pool indices of the images of all sets.
    """
    session_key, image_key = jax.random.split(key)
    viewed = jnp.asarray(recordings.viewed)[users]
    is_usable = viewed.sum(axis=-1) >= images_per_set
    score = jnp.where(is_usable, jax.random.uniform(session_key, is_usable.shape), -1.0)
    order = jnp.argsort(-score, axis=1)
    turn = jnp.arange(num_sets) % jnp.maximum(is_usable.sum(axis=1, keepdims=True), 1)
    session = jnp.take_along_axis(order, turn, axis=1)
    of_sets = jnp.take_along_axis(viewed, session[..., None], axis=1)
    rows = 1 if same_images else len(users)
    image_score = jax.random.uniform(image_key, (rows, num_sets, viewed.shape[-1]))
    image_score = jnp.where(of_sets, image_score, -2.0)
    images: list[Array] = []
    for number in range(num_sets):
        # Two sets of one session share viewings only if the session has too few.
        is_taken = jnp.zeros_like(image_score[:, 0], bool)
        for earlier, taken in enumerate(images):
            is_same = session[:, earlier] == session[:, number]
            of_taken = (taken[..., None] == jnp.arange(viewed.shape[-1])).any(axis=1)
            is_taken |= of_taken & is_same[:, None]
        score = image_score[:, number] - is_taken
        images.append(jax.lax.top_k(score, images_per_set)[1])
    recording = jnp.take_along_axis(jnp.asarray(recordings.recording)[users], session, axis=1)
    return recording, jnp.concatenate(images, axis=1)


def sample_images_then_users(
    key: Key[Array, ""],
    viewed: Bool[AnyArray, "user image"],
    *,
    num_images: int,
    users_per_image: int,
) -> tuple[Int[Array, " sampled_image"], Int[Array, "sampled_image sampled_user"]]:
    """Samples images, and for each of them users who saw it."""
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
    """Samples enrolment images, and how many of them, for each row.

    Args:
        key: random key.
        allowed: the images that may be sampled: seen by the user, and not the target.
        min_images: fewest images of an enrolment.
        max_images: most images; the number is sampled uniformly, once for each row. A row that
            allows fewer gets all it allows.

    Returns:
        `max_images` image indices, and their weights: 1/n for the n sampled, 0 for the rest.
    """
    number_key, image_key = jax.random.split(key)
    number = jax.random.randint(number_key, allowed.shape[:-1], min_images, max_images + 1)
    score = jnp.where(allowed, jax.random.uniform(image_key, allowed.shape), -1.0)
    score, images = jax.lax.top_k(score, max_images)
    is_sampled = (jnp.arange(max_images) < number[..., None]) & (score >= 0)
    return images, is_sampled / jnp.maximum(is_sampled.sum(axis=-1, keepdims=True), 1)


class SamplingPool(NamedTuple):
    """What batches are sampled from: the seen users and the training images.

    Attributes:
        users: data-set index of each user of the pool.
        images: data-set index of each image of the pool.
        viewed: which user of the pool saw which image of the pool.
        recordings: of the users; None: sessions are not kept apart.
        dataset: number of the data set of each user; None: there is one.
    """

    users: Int[AnyArray, " user"]
    images: Int[AnyArray, " image"]
    viewed: Bool[AnyArray, "user image"]
    recordings: RecordingPool | None = None
    dataset: Int[AnyArray, " user"] | None = None


class SampledIndices(NamedTuple):
    """What was sampled for a global batch, as indices into the pool.

    Attributes:
        users: [user] of the batch in stage 1; [image, user] of each image in stage 2.
        images: [user, image] of each user in stage 1; [image] of the batch in stage 2.
        recordings: [user, set] in stage 1, the recording of each set of pairs, as an index into all
            recordings; None: sessions are not kept apart.
    """

    users: Int[Array, "*user"]
    images: Int[Array, "*image"]
    recordings: Int[Array, "*set"] | None = None


class EncoderBatchSizes(NamedTuple):
    """Sizes of a batch of stage 1.

    Attributes:
        num_users: real users.
        num_virtual: virtual users beside them.
        images_per_user: images of each user.
        pairs_per_set: pairs of a user that are of one session.
        same_images: see `sample_users_then_images`.
        one_dataset: whether all users are of one data set.
    """

    num_users: int
    num_virtual: int
    images_per_user: int
    pairs_per_set: int
    same_images: bool
    one_dataset: bool = False

    @property
    def num_pairs(self) -> int:
        """Pairs of a batch, those of virtual users included."""
        return (self.num_users + self.num_virtual) * self.images_per_user


def sample_encoder_batch(
    pool: SamplingPool, key: Array, *, sizes: EncoderBatchSizes
) -> tuple[SampledIndices, Array]:
    """Samples a batch of stage 1, and returns the image of each of its pairs beside it."""
    # The loss splits the same key in the same way, for its other random numbers.
    sample_key, _, _ = jax.random.split(key, 3)
    users, images = sample_users_then_images(
        sample_key,
        pool.viewed,
        num_users=sizes.num_users,
        images_per_user=sizes.images_per_user,
        same_images=sizes.same_images,
        dataset=pool.dataset if sizes.one_dataset else None,
    )
    sampled = SampledIndices(users, images)
    if pool.recordings is not None:
        recordings, images = sample_sessions_then_images(
            jax.random.fold_in(sample_key, 1),
            pool.recordings,
            users,
            num_sets=sizes.images_per_user // sizes.pairs_per_set,
            images_per_set=sizes.pairs_per_set,
            same_images=sizes.same_images,
        )
        sampled = SampledIndices(users, images, recordings)
    return sampled, indices_of_pairs(pool, sampled, sizes)[1]


def indices_of_pairs(
    pool: SamplingPool, sampled: SampledIndices, sizes: EncoderBatchSizes
) -> tuple[Array, Array]:
    """Data-set indices of the user and the image of each pair, those of virtual users last.

    Where sessions are kept apart, the index of the recording stands for that of the user.
    """
    virtual_users = jnp.arange(sizes.num_virtual) % sizes.num_users
    made_of = jnp.concatenate([jnp.arange(sizes.num_users), virtual_users])
    if sampled.recordings is None:
        user = jnp.repeat(jnp.asarray(pool.users)[sampled.users[made_of]], sizes.images_per_user)
    else:
        user = jnp.repeat(sampled.recordings[made_of].reshape(-1), sizes.pairs_per_set)
    return user, jnp.asarray(pool.images)[sampled.images[made_of].reshape(-1)]


def sample_saliency_batch(
    constants: tuple[SamplingPool, AnyArray],
    key: Array,
    *,
    num_images: int,
    users_per_image: int,
) -> tuple[SampledIndices, Array]:
    """Samples a batch of stage 2.

    Args:
        constants: the pool, and the images of the pool that stage 2 predicts.
        key: random key.
        num_images: images of a batch.
        users_per_image: users of each image.

    Returns:
        The batch, and its images as data-set indices.
    """
    pool, targets = jax.tree.map(jnp.asarray, constants)
    # The loss splits the same key in the same way, for its other random numbers.
    sample_key, _ = jax.random.split(key)
    sampled, users = sample_images_then_users(
        sample_key,
        pool.viewed[:, targets],
        num_images=num_images,
        users_per_image=users_per_image,
    )
    images = targets[sampled]
    return SampledIndices(users, images), pool.images[images]


def sample_images(targets: Array, key: Array, *, num_images: int) -> tuple[Array, Array]:
    """Samples a batch of stage `universal`, as data-set indices."""
    images = jax.random.permutation(key, targets)[:num_images]
    return images, images


def batch_key(seed: int) -> Key[Array, ""]:
    """The key that all batches of a training come from."""
    return jax.random.split(jax.random.key(seed))[1]


def step_key(key: Key[Array, ""], step: Int[Array, ""] | int) -> Key[Array, ""]:
    """The key of one step's batch."""
    return jax.random.fold_in(key, step)
