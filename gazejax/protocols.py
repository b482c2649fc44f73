"""What counts as having learnt a person: the protocols, always beside their controls.

Stage 1: draw n enrolment and n probe images, the same for all users; average the embeddings;
compare all users; pool the scores of all draws. The control is the mean residual map (personal
minus universal), which needs no learning.

Stage 2: enrol every user with n images and predict the others. `universal` is the map of the other
users; `own`, `mean` and `swapped` are the same network given the user's own embedding, the mean
embedding of the seen users, or another user's. Only own above mean and own above swapped show that
a person was learnt: the network repairs the universal map as well.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from gazejax import metrics, render, steps, verification
from gazejax.arrays import AnyArray, Gaze, viewing_fixations

CONDITIONS = ("universal", "own", "mean", "swapped")
MAP_METRICS = ("cc", "kld", "nss")


def usable_sizes(num_images: Sequence[int], available: int) -> list[int]:
    """Enrolment sizes that leave as many images to be compared with; larger ones shrink to that."""
    return sorted({min(size, available // 2) for size in num_images})


def draw_image_orders(num_images: int, num_draws: int, seed: int) -> Int[np.ndarray, "draw image"]:
    """Random orders of the test images, one for each draw, shared by all users and methods."""
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation(num_images) for _ in range(num_draws)])


def first_viewed(
    viewed: Bool[np.ndarray, "user image"],
    order: Int[np.ndarray, " image"],
    *,
    start: int,
    size: int,
) -> Float[np.ndarray, "user image"]:
    """Weights of the images from `start` to `start + size` of an order, by who saw them.

    Images that a user did not see are passed over, so that users who saw different images are
    compared by equally many; users who saw all share the same ones.

    Returns:
        1 / size at each user's images and 0 elsewhere.

    Raises:
        ValueError: if a user saw fewer than `start + size` images.
    """
    if viewed.sum(axis=1).min() < start + size:
        raise ValueError(
            f"a user saw {viewed.sum(axis=1).min()} images; allowed: at least {start + size}"
        )
    rank = np.cumsum(viewed[:, order], axis=1) - 1
    weights = np.zeros(viewed.shape)
    weights[:, order] = viewed[:, order] & (rank >= start) & (rank < start + size)
    return weights / size


def verify(
    features: Float[np.ndarray, "user image feature"],
    viewed: Bool[np.ndarray, "user image"],
    orders: Int[np.ndarray, "draw image"],
    *,
    size: int,
    similarity: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> dict[str, float]:
    """Compares users by the mean features of `size` enrolment and `size` probe images.

    Args:
        features: what is known of each viewing.
        viewed: which user saw which image.
        orders: orders of the images; of those a user saw, the first `size` enrol, the next probe.
        size: number of images on each side.
        similarity: (probe, enrolled) features -> score of each probe with each enrolled user.

    Returns:
        `roc_auc` over the pooled scores of all draws, and `rank1`.

    Raises:
        ValueError: if a user saw fewer than two times `size` images.
    """
    scores = np.stack(
        [
            similarity(
                mean_features(features, first_viewed(viewed, order, start=size, size=size)),
                mean_features(features, first_viewed(viewed, order, start=0, size=size)),
            )
            for order in orders
        ]
    )
    is_own = np.eye(len(features), dtype=bool)
    return {
        "roc_auc": verification.roc_auc(scores[:, is_own], scores[:, ~is_own]),
        "rank1": verification.rank1(scores),
    }


def mean_features(
    features: Float[np.ndarray, "user image feature"], weights: Float[np.ndarray, "user image"]
) -> Float[np.ndarray, "user feature"]:
    """Averages the features of each user over images, by weights that sum to 1."""
    return np.einsum("ui,uif->uf", weights, features)


def negative_distance(
    probe: Float[np.ndarray, "user feature"], enrolled: Float[np.ndarray, "user feature"]
) -> Float[np.ndarray, "user user"]:
    """Similarity of embeddings: minus the Euclidean distance."""
    return -np.sqrt(((probe[:, None] - enrolled[None]) ** 2).sum(axis=-1))


def correlation(
    probe: Float[np.ndarray, "user feature"], enrolled: Float[np.ndarray, "user feature"]
) -> Float[np.ndarray, "user user"]:
    """Similarity of residual maps: Pearson correlation; 0 with a constant map."""

    def standardise(features: np.ndarray) -> np.ndarray:
        deviation = features - features.mean(axis=1, keepdims=True)
        length = np.linalg.norm(deviation, axis=1, keepdims=True)
        return deviation / np.where(length > 0, length, 1.0)

    return standardise(probe) @ standardise(enrolled).T


def residual_maps(
    group: render.GroupMaps,
    gaze: Gaze,
    *,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
    sigma_frac: float,
    max_fixations: int,
) -> Float[np.ndarray, "user image cell"]:
    """Personal minus universal map of every viewing, as flat rows: the control without learning."""
    height, width = group.total.shape[1:]

    @jax.jit
    def of_user(group: render.GroupMaps, gaze: Gaze, image: Array, user: Array) -> Array:
        user = jnp.broadcast_to(user, image.shape)
        personal = render.personal_maps(
            gaze,
            user,
            image,
            sigma_frac=sigma_frac,
            map_size=(height, width),
            max_fixations=max_fixations,
        )
        universal = render.universal_maps(group, gaze, user, image, personal)
        return (personal - universal).reshape(len(image), -1)

    return np.stack([np.asarray(of_user(group, gaze, images, user)) for user in users])


def derangements(num_users: int, number: int, seed: int) -> Int[np.ndarray, "derangement user"]:
    """Random permutations that give nobody their own place.

    Raises:
        ValueError: with fewer than two users, who cannot be swapped.
    """
    if num_users < 2:
        raise ValueError(f"cannot swap the embeddings of {num_users} user; at least 2 are needed")
    generator = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < number:
        permutation = generator.permutation(num_users)
        if not (permutation == np.arange(num_users)).any():
            found.append(permutation)
    return np.stack(found)


def conditions_of(
    embeddings: Float[np.ndarray, "user embedding"],
    mean_embedding: Float[np.ndarray, " embedding"],
    swaps: Int[np.ndarray, "derangement user"],
) -> Float[np.ndarray, "condition user embedding"]:
    """Embeddings to predict with: own, mean, then one row for each derangement."""
    mean = np.broadcast_to(mean_embedding, embeddings.shape)
    return np.stack([embeddings, mean, *(embeddings[swap] for swap in swaps)])


def score_maps(
    network: Callable[[Any, Array, Array, Array], Array],
    params: Any,
    pixels: UInt8[AnyArray, "all_images image_height image_width 3"],
    gaze: Gaze,
    group: render.GroupMaps,
    *,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " row"],
    enrolments: Int[np.ndarray, " row"],
    embeddings: Float[np.ndarray, "enrolment condition user embedding"],
    sigma_frac: float,
    max_fixations: int,
    devices: Sequence[jax.Device],
    batch_size: int,
) -> Iterator[Float[np.ndarray, "row condition_and_universal user metric"]]:
    """Scores the universal map and each condition's prediction against what each user looked at.

    Args:
        network: (params, images, universal, embedding) -> maps, as `SaliencyNetwork`.
        params: its parameters.
        pixels: all images of the data set.
        gaze: all fixations.
        group: maps of the seen users; its map size is the one everything is scored at.
        users: whose maps to predict.
        images: image of each row.
        enrolments: which of the embeddings each row uses.
        embeddings: of each user in each condition, for several enrolments.
        sigma_frac: of the true maps, as a fraction of the image width.
        max_fixations: length of the longest viewing.
        devices: the devices to use.
        batch_size: maps in a batch, about.

    Yields:
        CC, KLD and NSS of a batch of rows, the universal map first. NaN where the user did not see
        the image.
    """
    _, num_conditions, num_users, _ = embeddings.shape
    height, width = group.total.shape[1:]

    def score_row(constants: Any, image: Array, enrolment: Array) -> Array:
        params, pixels, gaze, group, users, embeddings = constants
        at = jnp.broadcast_to(image, (num_users,))
        truth = render.personal_maps(
            gaze,
            users,
            at,
            sigma_frac=sigma_frac,
            map_size=(height, width),
            max_fixations=max_fixations,
        )
        universal = render.universal_maps(group, gaze, users, at, truth)
        predicted = network(
            params,
            pixels[image][None],
            jnp.tile(universal, (num_conditions, 1, 1))[None],
            embeddings[enrolment].reshape(1, num_conditions * num_users, -1),
        ).reshape(num_conditions, num_users, height, width)
        xy_frac, mask = viewing_fixations(gaze, users, at, max_fixations=max_fixations)
        xy_px = xy_frac * jnp.array([width, height])

        def score(saliency: Array, truth: Array, xy_px: Array, mask: Array) -> Array:
            return jnp.stack(
                [
                    metrics.cc(saliency, truth),
                    metrics.kld(target=truth, prediction=saliency),
                    metrics.nss(saliency=saliency, xy_px=xy_px, mask=mask),
                ]
            )

        maps = jnp.concatenate([universal[None], predicted])
        scores = jax.vmap(lambda maps: jax.vmap(score)(maps, truth, xy_px, mask))(maps)
        return jnp.where(mask.any(axis=1)[:, None], scores, jnp.nan)

    return steps.map_rows(
        jax.vmap(score_row, in_axes=(None, 0, 0)),
        (params, pixels, gaze, group, users, embeddings),
        (images, enrolments),
        devices=devices,
        batch_size=max(batch_size // (num_conditions * num_users), 1),
    )


def summarise_conditions(
    scores: Sequence[Float[np.ndarray, "image condition_and_universal user metric"]],
) -> dict[str, dict[str, float]]:
    """Averages the scores of several draws: over images, draws and derangements, then users."""
    per_draw = np.stack([np.nanmean(draw, axis=0) for draw in scores])
    universal, own, mean = per_draw[:, 0], per_draw[:, 1], per_draw[:, 2]
    swapped = per_draw[:, 3:].mean(axis=1)
    return {
        condition: dict(zip(MAP_METRICS, values.mean(axis=(0, 1)).tolist(), strict=True))
        for condition, values in zip(CONDITIONS, (universal, own, mean, swapped), strict=True)
    }


def format_tables(result: dict[str, Any]) -> str:
    """Writes an evaluation as two Markdown tables."""
    lines = []
    if "encoder" in result:
        lines += ["| user embedding (stage 1) | n | ROC-AUC | rank-1 |", "|---|---|---|---|"]
        for users, methods in result["encoder"].items():
            for method, sizes in methods.items():
                for size, row in sizes.items():
                    values = f"{row['roc_auc']:.3f} | {row['rank1']:.3f}"
                    lines.append(f"| {users}, {method} | {size} | {values} |")
    if "saliency" in result:
        lines += [
            "",
            "| personalised map (stage 2) | n | CC | KLD | NSS |",
            "|---|---|---|---|---|",
        ]
        for users, sizes in result["saliency"].items():
            for size, conditions in sizes.items():
                for condition, row in conditions.items():
                    values = " | ".join(f"{row[metric]:.3f}" for metric in MAP_METRICS)
                    lines.append(f"| {users}, {condition} | {size} | {values} |")
    return "\n".join(lines)
