"""The protocol of few-shot identification, on plain arrays.

Every unseen user enrols with n training images. Each viewing of a test image is a probe: which of
the enrolled users is it? The answer is the rank of the viewing's own user. A tie counts as an
error, so that a method that knows nothing of users scores chance or below.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from gazejax.evaluation.verification.protocol import Similarity
from gazejax.metrics import bootstrap, verification

METRICS = ("rank1", "rank3", "mrr")


def viewing_ranks(
    enrolled: Float[np.ndarray, "draw user entry"],
    probes: Float[np.ndarray, "user image entry"],
    viewed: Bool[np.ndarray, "user image"],
    similarity: Similarity,
    num_enrolled: int,
    num_probe: int = 1,
) -> Float[np.ndarray, "draw user image"]:
    """Rank of each viewing's user among the enrolled users; NaN where a user saw no image.

    Args:
        enrolled: mean representation of each user's enrolment images, in each draw.
        probes: representation of each viewing of a test image.
        viewed: which user saw which test image.
        similarity: of probes and enrolled users.
        num_enrolled: number of enrolment images.
        num_probe: number of images of a probe.

    Example:
        >>> enrolled = np.array([[[0.0], [10.0]]])
        >>> probes = np.array([[[1.0], [9.0]], [[11.0], [5.0]]])  # The last one is a tie.
        >>> viewed = np.ones((2, 2), bool)
        >>> by_distance = lambda one, other, *_: verification.negative_distance(one, other)
        >>> viewing_ranks(enrolled, probes, viewed, by_distance, 1).tolist()
        [[[1.0, 2.0], [1.0, 2.0]]]
    """
    num_users, num_images, _ = probes.shape
    flat = probes.swapaxes(0, 1).reshape(num_images * num_users, -1)
    ranks = [
        verification.own_rank(
            similarity(flat, one, num_probe, num_enrolled).reshape(num_images, num_users, num_users)
        ).T
        for one in enrolled
    ]
    return np.where(viewed, np.stack(ranks), np.nan)


def pooled_ranks(
    enrolled: Float[np.ndarray, "draw user entry"],
    probes: Float[np.ndarray, "user image entry"],
    viewed: Bool[np.ndarray, "user image"],
    similarity: Similarity,
    num_enrolled: int,
) -> Float[np.ndarray, "draw user 1"]:
    """As `viewing_ranks`, with the mean over a user's test images as the only probe of the user.

    Example:
        >>> enrolled = np.array([[[0.0], [10.0]]])
        >>> probes = np.array([[[1.0], [7.0]], [[11.0], [0.0]]])  # Means 4 and 5.5.
        >>> viewed = np.ones((2, 2), bool)
        >>> by_distance = lambda one, other, *_: verification.negative_distance(one, other)
        >>> pooled_ranks(enrolled, probes, viewed, by_distance, 1).tolist()
        [[[1.0], [1.0]]]
    """
    number = viewed.sum(axis=1)[:, None]
    total = np.where(viewed[..., None], probes, 0.0).sum(axis=1)
    mean = (total / np.maximum(number, 1))[:, None]
    # Scores of probes of one number of images can be compared: the fewest of any user.
    fewest = max(int(number.min()), 1)
    return viewing_ranks(enrolled, mean, number > 0, similarity, num_enrolled, fewest)


def map_ranks(
    likelihood: Float[np.ndarray, "enrolment image user shift"],
) -> Float[np.ndarray, "enrolment user image"]:
    """Rank of a viewing's own map among the maps of all users, by the viewing's fixations.

    Args:
        likelihood: mean log density of the fixations of each user's viewing, under the map with the
            embedding of user + shift; NaN where a user saw no image.

    Example:
        >>> # User 0 under the maps of users 0 and 1, and user 1 under those of users 1 and 0.
        >>> map_ranks(np.array([[[[-1.0, -2.0], [-3.0, -3.0]]]])).tolist()
        [[[1.0], [2.0]]]
    """
    is_known = ~np.isnan(likelihood).any(axis=-1)
    # The own map is that without a shift.
    ranks = (likelihood >= likelihood[..., :1]).sum(axis=-1)
    return np.where(is_known, ranks, np.nan).swapaxes(1, 2)


def chance(num_users: int) -> dict[str, float]:
    """The metrics of a rank that is 1 to `num_users` with equal probability.

    Example:
        >>> {name: round(value, 3) for name, value in chance(5).items()}
        {'rank1': 0.2, 'rank3': 0.6, 'mrr': 0.457}
    """
    ranks = np.arange(1, num_users + 1)
    return {name: float(values.mean()) for name, values in _metrics(ranks).items()}


def summarize(
    ranks: Float[np.ndarray, "draw user image"],
    names: Sequence[str],
    user_weight: Int[np.ndarray, "resample user"],
    image_weight: Int[np.ndarray, "resample image"],
) -> dict[str, Any]:
    """Means over draws, then images, then users, with intervals, and the values of each user.

    Args:
        ranks: of the own user; NaN where a user saw no image.
        names: name of each user.
        user_weight: how often each user was sampled.
        image_weight: how often each image was sampled; a single column of ones for pooled probes.

    Returns:
        Each of `METRICS`, `<metric>_interval`, and under `users` the metrics of each user.

    Example:
        >>> ones = np.ones((3, 2), int)
        >>> row = summarize(np.array([[[1.0, 2.0], [4.0, 4.0]]]), ["a", "b"], ones, ones)
        >>> row["rank1"], row["rank3"], row["mrr"]
        (0.25, 0.5, 0.5)
        >>> row["users"]["a"]
        {'rank1': 0.5, 'rank3': 1.0, 'mrr': 0.75}
        >>> row["mrr_interval"]
        [0.5, 0.5]
    """
    row: dict[str, Any] = {}
    users: dict[str, dict[str, float]] = {name: {} for name in names}
    every_image = np.ones((1, ranks.shape[-1]), int)
    for metric, values in _metrics(ranks).items():
        of_images = values.mean(axis=0)
        of_users = bootstrap.mean_over_images(of_images, every_image)[0]
        resampled = bootstrap.mean_over_images(of_images, image_weight)
        weight = user_weight * ~np.isnan(resampled)
        total = (np.where(weight > 0, resampled, 0.0) * weight).sum(axis=1)
        row[metric] = float(np.nanmean(of_users))
        row[f"{metric}_interval"] = bootstrap.interval(total / weight.sum(axis=1))
        for name, value in zip(names, of_users.tolist(), strict=True):
            users[name][metric] = value
    return row | {"users": users}


def _metrics(ranks: np.ndarray) -> dict[str, np.ndarray]:
    """Of each rank; NaN for NaN."""
    is_known = ~np.isnan(ranks)
    found = (ranks <= 1, ranks <= 3, 1 / ranks)
    return {
        name: np.where(is_known, value, np.nan) for name, value in zip(METRICS, found, strict=True)
    }
