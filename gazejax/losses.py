"""Losses of both stages: pure functions of arrays."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def l2_normalize(embeddings: Float[Array, "*batch embedding"]) -> Float[Array, "*batch embedding"]:
    """Scales embeddings to length 1; a zero embedding stays zero and its gradient finite.

    Example:
        >>> print(l2_normalize(jnp.array([[3.0, 4.0], [0.0, 0.0]])).round(3))
        [[0.6 0.8]
         [0.  0. ]]
    """
    squared = (embeddings**2).sum(axis=-1, keepdims=True)
    is_positive = squared > 0
    return jnp.where(is_positive, embeddings / _safe_sqrt(squared, is_positive), 0.0)


def pairwise_distances(
    embeddings: Float[Array, "pair embedding"], *, distance: str
) -> Float[Array, "pair pair"]:
    """Distance of every pair to every other pair, with a finite gradient where two are equal.

    Args:
        embeddings: embedding of each pair.
        distance: `euclidean` or `squared_euclidean`.

    Raises:
        ValueError: if `distance` is neither of the two.

    Example:
        >>> pairs = jnp.array([[0.0, 0.0], [3.0, 4.0]])
        >>> pairwise_distances(pairs, distance="euclidean").tolist()
        [[0.0, 5.0], [5.0, 0.0]]
        >>> pairwise_distances(pairs, distance="squared_euclidean").tolist()
        [[0.0, 25.0], [25.0, 0.0]]
    """
    squared = ((embeddings[:, None] - embeddings[None, :]) ** 2).sum(axis=-1)
    match distance:
        case "squared_euclidean":
            return squared
        case "euclidean":
            # d sqrt(s)/ds is infinite at 0, and 0 * inf is NaN: the argument must not be zero.
            is_positive = squared > 0
            return jnp.where(is_positive, _safe_sqrt(squared, is_positive), 0.0)
        case _:
            raise ValueError(f"distance is {distance!r}; allowed: 'euclidean', 'squared_euclidean'")


def triplet_margin_loss(
    positive_distance: Float[Array, "*batch"],
    negative_distance: Float[Array, "*batch"],
    *,
    margin: float,
) -> Float[Array, "*batch"]:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), one value per triplet.

    Source: the triplet margin loss that the paper names; Schroff et al. 2015, Eq. 1.

    Example:
        >>> positive, negative = jnp.array([1.0, 1.0]), jnp.array([1.5, 3.0])
        >>> triplet_margin_loss(positive, negative, margin=1.0).tolist()
        [0.5, 0.0]
    """
    return jnp.maximum(positive_distance - negative_distance + margin, 0.0)


def mean_over_sets(
    embeddings: Float[Array, "user image embedding"], *, size: int
) -> Float[Array, "user set embedding"]:
    """Averages each user's pairs in sets of `size`, as an enrolment does; size 1 is the paper's.

    A loss on means of several pairs does not force every single pair to identify its user, so that
    a viewing with little information may have a small embedding.

    Source: ours, after the prototypes of Snell et al. 2017.

    Example:
        >>> embeddings = jnp.arange(4.0).reshape(1, 4, 1)
        >>> mean_over_sets(embeddings, size=2).tolist()
        [[[0.5], [2.5]]]
    """
    users, images, _ = embeddings.shape
    return embeddings.reshape(users, images // size, size, -1).mean(axis=2)


def mined_triplet_loss(
    embeddings: Float[Array, "user set embedding"],
    key: Key[Array, ""],
    *,
    margin: float,
    distance: str,
    mining: str,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Triplet margin loss over triplets that are mined in a batch of users and their pairs.

    Anchor and positive are two embeddings of one user, the negative is one of another user.

    Args:
        embeddings: pairs, or sets of pairs, of each user; at least two users with two each.
        key: random key; only mining `random` uses it.
        margin: by how much the negative should be farther from the anchor than the positive.
        distance: `euclidean` or `squared_euclidean`.
        mining: `random`: one positive and one negative for each anchor. `batch_all`: all triplets,
            averaged over those with a loss above zero. `semi_hard`: for each anchor and positive,
            the nearest negative that is farther away than the positive, or the farthest negative if
            none is. `batch_hard`: for each anchor, the farthest positive and the nearest negative.

    Returns:
        The mean loss over the mined triplets, and the share of them with a loss above zero.

    Raises:
        ValueError: if `mining` or `distance` is unknown.

    Source: Hermans et al. 2017 for `batch_all` (its non-zero mean) and `batch_hard`; Schroff et al.
    2015 for `semi_hard`. We do not know which mining the paper uses.

    Example:
        >>> embeddings = jnp.array([[[0.0], [2.0]], [[3.0], [7.0]]])
        >>> options = {"margin": 1.0, "distance": "euclidean", "mining": "batch_hard"}
        >>> # By anchor 2 - 3 + 1, 2 - 1 + 1, 4 - 1 + 1 and 4 - 5 + 1: two of four above zero.
        >>> loss, active = mined_triplet_loss(embeddings, jax.random.key(0), **options)
        >>> float(loss), float(active)
        (1.5, 0.5)
    """
    users, images, _ = embeddings.shape
    pairs = users * images
    between = pairwise_distances(embeddings.reshape(pairs, -1), distance=distance)
    owner = jnp.arange(pairs) // images
    same_user = owner[:, None] == owner[None, :]
    is_positive = same_user & ~jnp.eye(pairs, dtype=bool)
    is_negative = ~same_user
    # [pair, positive]: distances to the pairs of the same user, the pair itself included.
    own = jnp.take_along_axis(between, owner[:, None] * images + jnp.arange(images), axis=1)
    is_other_own = jnp.arange(pairs)[:, None] % images != jnp.arange(images)

    match mining:
        case "batch_all":
            positive, negative = jnp.broadcast_arrays(own[:, :, None], between[:, None, :])
            losses = triplet_margin_loss(positive, negative, margin=margin)
            is_triplet = is_other_own[:, :, None] & is_negative[:, None, :]
            active = is_triplet & (losses > 0)
            loss = jnp.where(active, losses, 0.0).sum() / jnp.maximum(active.sum(), 1)
            return loss, active.sum() / is_triplet.sum()
        case "semi_hard":
            farther = is_negative[:, None, :] & (between[:, None, :] > own[:, :, None])
            nearest_farther = jnp.where(farther, between[:, None, :], jnp.inf).min(axis=-1)
            farthest = jnp.where(is_negative, between, -jnp.inf).max(axis=-1, keepdims=True)
            negative = jnp.where(farther.any(axis=-1), nearest_farther, farthest)
            losses = triplet_margin_loss(own, negative, margin=margin)
            num_triplets = is_other_own.sum()
            loss = jnp.where(is_other_own, losses, 0.0).sum() / num_triplets
            return loss, (is_other_own & (losses > 0)).sum() / num_triplets
        case "batch_hard":
            positive = jnp.where(is_positive, between, -jnp.inf).max(axis=-1)
            negative = jnp.where(is_negative, between, jnp.inf).min(axis=-1)
        case "random":
            positive_key, negative_key = jax.random.split(key)
            positive = _random_entry(positive_key, between, is_positive)
            negative = _random_entry(negative_key, between, is_negative)
        case _:
            raise ValueError(
                f"mining is {mining!r}; allowed: 'random', 'batch_all', 'semi_hard', 'batch_hard'"
            )
    losses = triplet_margin_loss(positive, negative, margin=margin)
    return losses.mean(), (losses > 0).mean()


def prototype_loss(
    embeddings: Float[Array, "user image embedding"], *, distance: str
) -> Float[Array, ""]:
    """Cross-entropy of classifying each user's second half of pairs by the first halves.

    The mean over a user's first half is the user's prototype. The mean over the second half is the
    query. The softmax of minus the distances to all prototypes classifies the query.

    Args:
        embeddings: at least two pairs of each user.
        distance: `euclidean` or `squared_euclidean`.

    Source: Snell et al. 2017, Eq. 1 and 2, with means as queries (ours).

    Example:
        >>> embeddings = jnp.array([[[0.0], [1.0]], [[9.0], [8.0]]])
        >>> # log(1 + exp(1 / 256 - 1 / 4)) for both; log(2) where users do not differ.
        >>> round(float(prototype_loss(embeddings / 16, distance="squared_euclidean")), 3)
        0.578
        >>> round(float(prototype_loss(0 * embeddings, distance="squared_euclidean")), 3)
        0.693
    """
    users, images, _ = embeddings.shape
    prototypes = embeddings[:, : images // 2].mean(axis=1)
    queries = embeddings[:, images // 2 :].mean(axis=1)
    between = pairwise_distances(jnp.concatenate([queries, prototypes]), distance=distance)
    log_share = jax.nn.log_softmax(-between[:users, users:], axis=-1)
    return -jnp.diagonal(log_share).mean()


def mean_squared_error(
    *, prediction: Float[Array, "*batch height width"], target: Float[Array, "*batch height width"]
) -> Float[Array, "*batch"]:
    """Mean squared difference of two maps, one value per map. Source: the paper's stage-2 loss.

    Example:
        >>> prediction, target = jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]])
        >>> float(mean_squared_error(prediction=prediction, target=target))
        2.0
    """
    return ((prediction - target) ** 2).mean(axis=(-2, -1))


def cross_entropy(
    *, prediction: Float[Array, "*batch height width"], target: Float[Array, "*batch height width"]
) -> Float[Array, "*batch"]:
    """-sum target log prediction, in nats, of maps that sum to 1; one value per map.

    The cross-entropy is the Kullback-Leibler divergence plus the entropy of the target, which does
    not depend on the network. Ours: the paper trains with MSE alone.

    Example:
        >>> prediction, target = jnp.array([[0.25, 0.75]]), jnp.array([[1.0, 0.0]])
        >>> round(float(cross_entropy(prediction=prediction, target=target)), 3)
        1.386
    """
    return -(target * jnp.log(prediction + 1e-9)).sum(axis=(-2, -1))


def one_minus_correlation(
    *, prediction: Float[Array, "*batch height width"], target: Float[Array, "*batch height width"]
) -> Float[Array, "*batch"]:
    """1 minus Pearson's correlation of two maps over their cells; one value per map. Ours.

    Example:
        >>> prediction = jnp.array([[1.0, 2.0, 3.0]])
        >>> round(float(one_minus_correlation(prediction=prediction, target=prediction)), 3) + 0.0
        0.0
        >>> round(float(one_minus_correlation(prediction=prediction, target=-prediction)), 3)
        2.0
    """
    centered = [map_ - map_.mean(axis=(-2, -1), keepdims=True) for map_ in (prediction, target)]
    # The constant avoids a division by zero for a constant map. Maps have a mean of about 1, so
    # that the constant is negligible for other maps.
    norms = [jnp.sqrt((map_**2).sum(axis=(-2, -1)) + 1e-12) for map_ in centered]
    return 1.0 - (centered[0] * centered[1]).sum(axis=(-2, -1)) / (norms[0] * norms[1])


def _safe_sqrt(squared: Array, is_positive: Array) -> Array:
    return jnp.sqrt(jnp.where(is_positive, squared, 1.0))


def _random_entry(
    key: Key[Array, ""], values: Float[Array, "row column"], allowed: Array
) -> Float[Array, " row"]:
    score = jnp.where(allowed, jax.random.uniform(key, values.shape), -1.0)
    return jnp.take_along_axis(values, score.argmax(axis=1, keepdims=True), axis=1)[:, 0]
