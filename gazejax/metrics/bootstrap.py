"""Uncertainty of a metric: bootstrap intervals over users and images, and a permutation test.

A resample is a weight for each user, and one for each image or each draw of images. The weight is
how often the item was sampled with replacement. All methods use the same resamples, so that
differences are paired.

Arguments are arrays of any real type, or lists.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int

from gazejax.metrics._checks import host_numbers, require

_PERCENTILES = (2.5, 97.5)

_EXACT_UP_TO = 20_000

# Resamples that are tried at least, and the share of them with two users of each group.
_FIRST_TRIES, _LEAST_SHARE = 200_000, 1 / 5000


def resample_users(
    groups: Sequence[npt.ArrayLike],
    *,
    num_users: int,
    num_resamples: int,
    generator: np.random.Generator,
) -> Int[np.ndarray, "resample user"]:
    """Samples users with replacement, as many as there are in the union of the groups.

    Args:
        groups: groups, [user], of users who are compared with each other; a user may be in several.
        num_users: number of users of the data set, into which the groups index.
        num_resamples: number of resamples.
        generator: random generator.

    Returns:
        How often each user was sampled. A resample that leaves a group with fewer than two
        different users is sampled again, since it has no impostor pair.

    Raises:
        ValueError: if a group has fewer than two users, or its members are no indices of users, or
            the groups are so many and small that hardly any resample has two users of each.

    Example:
        >>> options = {"num_users": 4, "num_resamples": 5, "generator": np.random.default_rng(0)}
        >>> weight = resample_users([np.array([0, 1, 3])], **options)
        >>> weight.sum(axis=1).tolist(), weight[:, 2].tolist()  # User 2 is in no group.
        ([3, 3, 3, 3, 3], [0, 0, 0, 0, 0])
    """
    arrays = [_members(group, f"groups[{i}]", num_users) for i, group in enumerate(groups)]
    if min((len(np.unique(group)) for group in arrays), default=0) < 2:
        raise ValueError("a group has fewer than two users; allowed: at least two to compare")
    members = np.unique(np.concatenate(arrays))
    in_group = np.zeros((num_users, len(arrays)), np.float32)
    for number, group in enumerate(arrays):
        in_group[group, number] = 1
    found: list[np.ndarray] = []
    num_found = num_tried = 0
    while num_found < num_resamples:
        if num_tried >= _FIRST_TRIES and num_found < _LEAST_SHARE * num_tried:
            raise ValueError(
                f"{num_found} of {num_tried} resamples of {len(members)} users have two different "
                f"users of each of the {len(arrays)} groups; allowed: larger groups, as of fewer "
                "folds"
            )
        num_tried += num_resamples
        sampled = generator.choice(members, (num_resamples, len(members)))
        weight = np.zeros((num_resamples, num_users), np.int64)
        np.add.at(weight, (np.arange(num_resamples)[:, None], sampled), 1)
        is_kept = ((weight > 0) @ in_group >= 2).all(axis=1)
        found.append(weight[is_kept][: num_resamples - num_found])
        num_found += len(found[-1])
    return np.concatenate(found)


def _members(group: npt.ArrayLike, name: str, num_users: int) -> Int[np.ndarray, " member"]:
    """The members of a group, checked."""
    is_truth = np.asarray(group).dtype == bool  # A mask over the users is not a list of them.
    members = host_numbers(group, name)
    is_whole = members.dtype.kind in "iu" and not is_truth and members.ndim == 1
    is_inside = is_whole and bool(((members >= 0) & (members < num_users)).all())
    found = (
        f"is {members.dtype} of shape {members.shape}"
        if not is_whole
        else (f"holds {members.min()} to {members.max()}")
    )
    require(is_inside, name, found, f"indices of users, whole numbers from 0 to {num_users - 1}")
    return members.astype(np.int64)


def resample(
    num_items: int, size: int, *, num_resamples: int, generator: np.random.Generator
) -> Int[np.ndarray, "resample item"]:
    """How often each item is sampled when `size` items are sampled with replacement.

    Example:
        >>> weight = resample(4, 10, num_resamples=3, generator=np.random.default_rng(0))
        >>> weight.shape, weight.sum(axis=1).tolist()
        ((3, 4), [10, 10, 10])
    """
    return generator.multinomial(size, np.full(num_items, 1 / num_items), num_resamples)


def interval(values: npt.ArrayLike) -> list[float]:
    """The 95 % percentile interval, [low, high], of the resamples whose value is not NaN.

    Args:
        values: value in each resample, [resample].

    Example:
        >>> interval(np.array([*range(1, 42), np.nan], float))
        [2.0, 40.0]
    """
    array = host_numbers(values, "values")
    # Percentiles lie between values, and are not whole numbers.
    wide = array if array.dtype.kind == "f" else array.astype(np.float64)
    return [float(bound) for bound in np.nanpercentile(wide, _PERCENTILES)]


def mean_over_images(
    scores: npt.ArrayLike, image_weight: npt.ArrayLike
) -> Float[np.ndarray, "resample *metric"]:
    """Weighted mean over the images that have a score; NaN where the weights sum to zero.

    Args:
        scores: scores, [..., image]; NaN where an image has none.
        image_weight: weight of each image in each resample, [resample, image].

    Raises:
        ValueError: if an argument is not of real numbers, the shapes do not fit, or a weight is
            negative, NaN or infinite.

    Example:
        >>> scores = np.array([1.0, 4.0, np.nan])
        >>> mean_over_images(scores, np.array([[1, 1, 1], [3, 0, 0], [0, 0, 3]])).tolist()
        [2.5, 1.0, nan]
    """
    scores = host_numbers(scores, "scores").astype(np.float64)
    image_weight = host_numbers(image_weight, "image_weight")
    is_weight = bool((np.isfinite(image_weight) & (image_weight >= 0)).all())
    require(is_weight, "image_weight", "holds a negative, NaN or infinite weight", "0 or above")
    # Sums in float64, whose matrix products are fast, or in int64 where float64 would round.
    is_rounded = 2**53 <= image_weight.sum(dtype=np.float64) < 2**62
    is_whole = image_weight.dtype.kind in "iu" and is_rounded
    image_weight = image_weight.astype(np.int64 if is_whole else np.float64)
    is_same = image_weight.ndim == 2 and scores.shape[-1:] == image_weight.shape[1:]
    found = f"has shape {image_weight.shape}"
    require(is_same, "image_weight", found, f"[resample, image] for scores of shape {scores.shape}")
    rows = scores.reshape(-1, scores.shape[-1])
    has_score = ~np.isnan(rows)
    is_finite = np.isfinite(rows)
    total = image_weight @ np.where(is_finite, rows, 0.0).T
    for infinite in (np.inf, -np.inf) if (has_score & ~is_finite).any() else ():
        # Where it has weight: 0 times infinity is NaN.
        total = total + np.where(image_weight @ (rows == infinite).T > 0, infinite, 0.0)
    weight = image_weight @ has_score.T
    means = np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)
    return means.reshape(len(image_weight), *scores.shape[:-1])


def permutation_test(
    own: npt.ArrayLike,
    others: npt.ArrayLike,
    *,
    num_permutations: int,
    generator: np.random.Generator,
) -> float:
    """Probability of a mean as high as that of `own`, if a user's scores were exchangeable.

    For each user independently, the score with the user's own embedding is exchanged for one of
    the scores with another user's embedding. The test enumerates all (others + 1) ^ users exchanges
    if there are at most 20,000. Otherwise it takes a sample and adds the observed exchange.

    Args:
        own: score of each user with their own embedding, [user]; higher is better.
        others: scores of each user with the embeddings of other users, [other, user].
        num_permutations: size of the sample.
        generator: random generator.

    Returns:
        The one-sided p-value. Scale of the scores and offset of a user do not matter.

    Raises:
        ValueError: if the shapes do not fit, or a score is infinite or NaN.

    Example:
        >>> # Of the four exchanges of two users only the observed one is as high.
        >>> options = {"num_permutations": 100, "generator": np.random.default_rng(0)}
        >>> permutation_test(np.array([1.0, 1.0]), np.array([[0.0, 0.0]]), **options)
        0.25
    """
    own, others = host_numbers(own, "own"), host_numbers(others, "others")
    allowed = "[other, user] for own of [user]"
    is_same = own.ndim == 1 and others.ndim == 2 and others.shape[1:] == own.shape
    require(is_same, "others", f"has shape {others.shape}, own {own.shape}", allowed)
    for name, values in (("own", own), ("others", others)):
        is_finite = bool(np.isfinite(values).all())
        require(is_finite, name, "holds a NaN or infinite value", "finite numbers")
    # Compared with the user's own score: the mean of the observed exchange is then 0.
    wide = np.promote_types(np.promote_types(own.dtype, others.dtype), np.float64)
    scores = np.concatenate([own[None], others]).astype(wide) - own.astype(wide)
    largest = np.abs(scores).max(initial=0)
    scores = scores / (largest if largest > 0 else 1)
    num_choices, num_users = scores.shape
    if num_choices**num_users <= _EXACT_UP_TO:
        choices = np.array(list(itertools.product(range(num_choices), repeat=num_users)))
        added = 0
    else:
        choices = generator.integers(num_choices, size=(num_permutations, num_users))
        added = 1
    means = scores[choices, np.arange(num_users)].mean(axis=1)
    # The tolerance counts equal means in spite of rounding.
    reached = (means >= -1e-12).sum()
    return float((reached + added) / (len(choices) + added))
