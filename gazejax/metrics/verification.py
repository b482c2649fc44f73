"""Metrics of verification and identification of users, from similarity scores.

*Verification* decides whether two samples are of the same user. A genuine score is the score of two
samples of one user, an impostor score that of samples of two users. A higher score means more
similar. At a threshold, the false match rate (FMR) is the share of impostor scores at or above it,
and the false non-match rate (FNMR) the share of genuine scores below it. *Identification* decides
which of the enrolled users a sample belongs to.

Scores and vectors are arrays of any real type, or lists. Scores are compared in their own type:
whole numbers of 64 bits tie only if they are equal. Counts are whole numbers of 64 bits, rates are
float64.

Functions raise an error for NaN, for a class without scores and for a single user. If all scores
are equal, verification is at chance (ROC-AUC and EER .5). Identification is then at its worst,
because a tie counts as an error.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int, Num

from gazejax.metrics._checks import checked_users, host_numbers, require
from gazejax.metrics._rounding import comparable, joined
from gazejax.metrics.similarity import correlation, cosine, negative_distance

__all__ = [
    "RocCurve",
    "allows_fmr",
    "area_under",
    "average_precision_at_r",
    "chance_map_at_r",
    "cmc",
    "correlation",
    "cosine",
    "curve_of_counts",
    "eer",
    "equal_error_rate",
    "false_non_match_rate",
    "fnmr_at_fmr",
    "map_at_r",
    "negative_distance",
    "own_rank",
    "rank1",
    "roc_auc",
    "roc_curve",
]

# The rule of three: an FMR is estimated only where at least three false matches are expected.
_LEAST_EXPECTED_FALSE_MATCHES = 3


class RocCurve(NamedTuple):
    """Error rates at descending thresholds, the first one above all scores; of one or more curves.

    Attributes:
        fmr: false match rate, from 0 to 1.
        fnmr: false non-match rate, from 1 to 0.
    """

    fmr: Float[np.ndarray, "*curve threshold"]
    fnmr: Float[np.ndarray, "*curve threshold"]


def roc_curve(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> RocCurve:
    """Error rates at every threshold that changes them.

    Args:
        genuine: scores of two samples of one user, any shape.
        impostor: scores of samples of two users, any shape.

    Raises:
        ValueError: if either is empty or holds a NaN.

    Example:
        >>> curve = roc_curve(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
        >>> curve.fmr.tolist(), curve.fnmr.tolist()
        ([0.0, 0.0, 0.5, 1.0], [1.0, 0.5, 0.0, 0.0])
    """
    genuine, impostor = _class(genuine, "genuine"), _class(impostor, "impostor")
    thresholds, index = np.unique(joined(genuine, impostor), return_inverse=True)
    counts = (
        np.bincount(part, minlength=len(thresholds)) for part in np.split(index, [genuine.size])
    )
    return curve_of_counts(*counts)


def curve_of_counts(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> RocCurve:
    """The ROC curve from counts, or weights, of scores in ascending order; none may sum to zero.

    Args:
        genuine: number, or weight, of the genuine scores at each level, [..., score].
        impostor: that of the impostor scores, same shape.

    Raises:
        ValueError: if the shapes differ, or a curve has a negative, NaN or infinite weight, or no
            weight but zero.

    Example:
        >>> # Two genuine scores at the higher level, two impostor scores at the lower one.
        >>> curve = curve_of_counts(np.array([0, 2]), np.array([2, 0]))
        >>> curve.fmr.tolist(), curve.fnmr.tolist()
        ([0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    """
    genuine, impostor = host_numbers(genuine, "genuine"), host_numbers(impostor, "impostor")
    require(
        genuine.shape == impostor.shape and genuine.ndim > 0,
        "impostor",
        f"has shape {impostor.shape}",
        f"that of genuine, {genuine.shape}, [..., score]",
    )

    def share_at_or_above(counts: np.ndarray, name: str) -> Float[np.ndarray, "*curve threshold"]:
        is_weight = bool(np.isfinite(counts).all() and (counts >= 0).all())
        require(is_weight, name, "holds a negative, NaN or infinite weight", "0 or above")
        # In float64 for weights of float32, which cannot count beyond 2 ** 24.
        wide = np.promote_types(
            counts.dtype, {"f": np.float64, "i": np.int64, "u": np.uint64}[counts.dtype.kind]
        )
        total = np.cumsum(np.flip(counts, axis=-1), axis=-1, dtype=wide)
        is_some = total.shape[-1] > 0 and bool((total[..., -1] > 0).all())
        require(is_some, name, "has weights that sum to 0", "a sum above 0 in each curve")
        none = np.zeros((*total.shape[:-1], 1))
        return np.concatenate([none, total], axis=-1) / total[..., -1:]

    return RocCurve(
        fmr=share_at_or_above(impostor, "impostor"), fnmr=1 - share_at_or_above(genuine, "genuine")
    )


def area_under(curve: RocCurve) -> Float[np.ndarray, "*curve"]:
    """Area under a ROC curve: the probability that a genuine score exceeds an impostor score.

    Example:
        >>> curve = roc_curve(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
        >>> float(area_under(curve))
        0.875
    """
    fmr, fnmr = map(np.asarray, curve)
    hits, steps = 1 - fnmr, np.diff(fmr, axis=-1)
    return np.asarray(np.sum(steps * (hits[..., 1:] + hits[..., :-1]) / 2, axis=-1))


def equal_error_rate(curve: RocCurve) -> Float[np.ndarray, "*curve"]:
    """Error rate at which FNMR = FMR on the linearly interpolated ROC curve.

    Example:
        >>> curve = roc_curve(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
        >>> float(equal_error_rate(curve))
        0.25
    """
    fmr, fnmr = map(np.asarray, curve)
    excess = fnmr - fmr  # Falls from 1 to -1.
    after = np.argmax(excess <= 0, axis=-1, keepdims=True)
    above, below = (np.take_along_axis(excess, at, axis=-1) for at in (after - 1, after))
    start, end = (np.take_along_axis(fmr, at, axis=-1) for at in (after - 1, after))
    return np.asarray((start + (end - start) * above / (above - below))[..., 0])


def false_non_match_rate(curve: RocCurve, fmr: float) -> Float[np.ndarray, "*curve"]:
    """Lowest FNMR of the thresholds whose FMR is at most `fmr`, without interpolation.

    Example:
        >>> curve = roc_curve(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
        >>> float(false_non_match_rate(curve, 0.1))
        0.5
    """
    at_most = np.asarray(curve.fmr) <= fmr
    return np.asarray(np.where(at_most, curve.fnmr, 1.0).min(axis=-1))


def allows_fmr(num_impostor_scores: int, fmr: float) -> bool:
    """Whether there are enough impostor scores to estimate an FMR: at least 3 / FMR.

    Example:
        >>> allows_fmr(300, 0.01), allows_fmr(299, 0.01)
        (True, False)
    """
    return num_impostor_scores * fmr >= _LEAST_EXPECTED_FALSE_MATCHES


def roc_auc(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> float:
    """Probability that a genuine score exceeds an impostor score; a tie counts one half.

    Args:
        genuine: scores of two samples of one user, any shape.
        impostor: scores of samples of two users, any shape.

    Raises:
        ValueError: if either is empty or holds a NaN.

    Source: the Mann-Whitney statistic.

    Example:
        >>> # Of four pairs three are in order and one is a tie.
        >>> roc_auc(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
        0.875
    """
    return float(area_under(roc_curve(genuine, impostor)))


def eer(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> float:
    """Equal error rate: FNMR = FMR on the linearly interpolated ROC curve.

    Raises:
        ValueError: if either is empty or holds a NaN.

    Example:
        >>> eer(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
        0.25
    """
    return float(equal_error_rate(roc_curve(genuine, impostor)))


def fnmr_at_fmr(genuine: npt.ArrayLike, impostor: npt.ArrayLike, *, fmr: float) -> float:
    """False non-match rate at the lowest threshold whose false match rate is at most `fmr`.

    The curve is not interpolated. The result is 1 if only a threshold above all scores has such an
    FMR.

    Raises:
        ValueError: if either is empty or holds a NaN, `fmr` is not between 0 and 1, or there are
            fewer than 3 / `fmr` impostor scores, too few to estimate such a rate.

    Example:
        >>> fnmr_at_fmr(np.array([1.0, 8.0]), np.arange(6.0), fmr=0.5)
        0.5
    """
    rate = host_numbers(np.asarray(fmr), "fmr")
    require(rate.ndim == 0 and bool(0 < rate < 1), "fmr", f"is {fmr!r}", "above 0, below 1")
    impostor = host_numbers(impostor, "impostor")
    if not allows_fmr(impostor.size, fmr):
        raise ValueError(
            f"impostor has {impostor.size} scores; allowed: at least "
            f"{_LEAST_EXPECTED_FALSE_MATCHES / fmr:.0f} for a false match rate of {fmr:g}"
        )
    return float(false_non_match_rate(roc_curve(genuine, impostor), fmr))


def own_rank(scores: npt.ArrayLike) -> Int[np.ndarray, "*batch user"]:
    """Rank of each probe's own user among the enrolled users, from 1; a tie counts as an error.

    Args:
        scores: score of each probe user (row) with each enrolled user (column), same order, [...,
            user, user].

    Raises:
        ValueError: if there are fewer than two users, or a score is NaN.

    Example:
        >>> own_rank(np.array([[5.0, 1.0, 2.0], [3.0, 2.0, 1.0], [1.0, 1.0, 1.0]])).tolist()
        [1, 2, 3]
    """
    scores = comparable(host_numbers(scores, "scores"))
    is_square = scores.ndim > 1 and scores.shape[-2] == scores.shape[-1] > 1
    if not is_square or not scores.size or np.isnan(scores).any():
        raise ValueError(
            f"scores has shape {scores.shape}; allowed: [..., user, user], not empty, "
            "2 users or more, no NaN"
        )
    own = np.diagonal(scores, axis1=-2, axis2=-1)[..., None]
    return (scores >= own).sum(axis=-1)


def cmc(scores: npt.ArrayLike) -> Float[np.ndarray, " user"]:
    """Cumulative match curve: share of probes whose own user is among the first 1, 2, ... users.

    Args:
        scores: score of each probe user (row) with each enrolled user (column), same order, [...,
            user, user].

    Raises:
        ValueError: if there are fewer than two users, or a score is NaN.

    Example:
        >>> cmc(np.array([[5.0, 1.0], [3.0, 2.0]])).tolist()
        [0.5, 1.0]
    """
    ranks = own_rank(scores)
    num_users = ranks.shape[-1]
    number = np.bincount(ranks.ravel() - 1, minlength=num_users)
    return np.cumsum(number) / ranks.size


def rank1(scores: npt.ArrayLike) -> float:
    """Share of probes whose own user scores highest; a tie counts as an error. See `cmc`.

    Example:
        >>> rank1(np.array([[5.0, 1.0], [3.0, 2.0]]))
        0.5
    """
    return float(cmc(scores)[0])


def average_precision_at_r(
    scores: npt.ArrayLike, users: npt.ArrayLike
) -> Float[np.ndarray, " sample"]:
    """Average precision at R of each sample as a query for the user's R other samples.

    The metric is a mean over the ranks 1 to R. The term of a rank is the precision up to this rank
    if its sample is of the same user, and 0 otherwise. A tie counts as an error.

    Args:
        scores: score of each sample (row) with each other sample, [sample, sample]; the diagonal is
            not read, and minus infinity excludes a sample.
        users: user of each sample, [sample]; numbers or texts.

    Returns:
        Between 0 and 1; NaN for the only sample of a user, which has no other sample to retrieve.

    Raises:
        ValueError: if there are fewer than two users, no user has two samples, a score is NaN, or
            users are not all numbers or all texts.

    Source: Musgrave et al. 2020, A Metric Learning Reality Check.

    Example:
        >>> # Two samples of user 7, one of user 8, which is nearest to the second one.
        >>> scores = np.array([[0.0, 3.0, 1.0], [3.0, 0.0, 4.0], [1.0, 4.0, 0.0]])
        >>> average_precision_at_r(scores, np.array([7, 7, 8])).tolist()
        [1.0, 0.0, nan]
    """
    users = checked_users(users)
    require(users.ndim == 1, "users", f"has shape {users.shape}", "one for each sample, [sample]")
    scores = comparable(host_numbers(scores, "scores"))
    num_samples = len(users)
    is_other = ~np.eye(num_samples, dtype=bool)
    names, counts = np.unique(users, return_counts=True)
    most = int(np.max(counts, initial=0))
    if len(names) < 2 or most < 2:
        raise ValueError(
            f"users has {len(names)} users with at most {most} samples; allowed: at least 2 users, "
            "one of them with 2 samples"
        )
    if scores.shape != (num_samples, num_samples) or np.isnan(scores[is_other]).any():
        raise ValueError(
            f"scores has shape {scores.shape}; allowed: [{num_samples}, {num_samples}], no NaN"
        )
    precision = np.full(num_samples, np.nan)
    scores = np.where(is_other, scores, -np.inf)
    ascending = np.sort(scores, axis=1)
    order = np.argsort(users, kind="stable")
    for count in np.unique(counts[counts > 1]):
        # All users with so many samples at once. The sample itself is -inf, and among its own.
        queries = order[np.repeat(counts, counts) == count].reshape(-1, count)
        own = scores[queries[:, :, None], queries[:, None]]
        genuine = own[:, ~np.eye(count, dtype=bool)].reshape(-1, count, count - 1)
        genuine = -np.sort(-genuine, axis=2)  # In descending order.
        pairs = zip(ascending[queries.ravel()], genuine.reshape(-1, count - 1), strict=True)
        below = np.stack([np.searchsorted(row, of_row) for row, of_row in pairs])
        above_own = (own[:, :, None] >= genuine[..., None]).sum(axis=-1)
        number = 1 + np.arange(count - 1)
        rank = number + num_samples - below.reshape(genuine.shape) - above_own
        precision[queries] = np.where(rank <= count - 1, number / rank, 0.0).mean(axis=2)
    return precision


def map_at_r(scores: npt.ArrayLike, users: npt.ArrayLike) -> float:
    """Mean average precision at R over all samples whose user has another sample.

    Raises:
        ValueError: as `average_precision_at_r`.

    Example:
        >>> scores = np.array([[0.0, 3.0, 1.0], [3.0, 0.0, 4.0], [1.0, 4.0, 0.0]])
        >>> map_at_r(scores, np.array([7, 7, 8]))
        0.5
    """
    return float(np.nanmean(average_precision_at_r(scores, users)))


def chance_map_at_r(*, num_relevant: int, num_others: int) -> float:
    """Expected MAP@R of scores in random order.

    Of N other samples, R are relevant. The sample at rank i is relevant with probability p = R / N.
    Given that, each of the i - 1 samples before it is relevant with probability (R - 1) / (N - 1).
    The result is the mean of p (1 + (i - 1) (R - 1) / (N - 1)) / i over the R ranks.

    Raises:
        ValueError: unless 1 <= `num_relevant` <= `num_others`.

    Source: ours.

    Example:
        >>> chance_map_at_r(num_relevant=1, num_others=4)
        0.25
    """
    found = f"is {num_relevant} and num_others {num_others}"
    require(1 <= num_relevant <= num_others, "num_relevant", found, "from 1 to num_others")
    rank = 1 + np.arange(num_relevant)
    before = (rank - 1) * (num_relevant - 1) / max(num_others - 1, 1)
    return float(np.mean(num_relevant / num_others * (1 + before) / rank))


def _class(scores: npt.ArrayLike, name: str) -> Num[np.ndarray, " score"]:
    scores = host_numbers(scores, name).ravel()
    if scores.size == 0 or np.isnan(scores).any():
        raise ValueError(f"{name} has {scores.size} scores; allowed: at least 1, none NaN")
    return scores
