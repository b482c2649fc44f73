"""ROC curves of the scores of all draws; memory grows with the scores, with a small factor."""

import numpy as np
from jaxtyping import Float, Int

from gazejax.metrics import verification

# Largest number of thresholds of resampled curves; the metrics themselves use all thresholds.
_MAX_THRESHOLDS = 2000

# Number of impostor scores above which a curve has no threshold for each of them.
_MOST_SCORES = 4_000_000

# Pairs of users whose scores are counted at once: few and large matrix products.
_PAIRS_PER_PRODUCT = 2000


def pooled_curve(similarity: Float[np.ndarray, "draw user user"]) -> verification.RocCurve:
    """The ROC curve of the scores of all draws; of very many, its corners alone.

    Between two genuine scores a curve is straight: the impostor scores there change no metric.
    """
    is_own = np.eye(similarity.shape[1], dtype=bool)
    genuine, impostor = similarity[:, is_own], similarity[:, ~is_own]
    if impostor.size <= _MOST_SCORES:
        return verification.roc_curve(genuine, impostor)
    impostor = impostor.ravel()
    impostor.sort()
    scores, number = np.unique(genuine, return_counts=True)
    below = np.searchsorted(impostor, scores, side="left")
    until = np.searchsorted(impostor, scores, side="right")
    # The impostor scores between two genuine scores, then those that tie with a genuine score.
    between = np.append(below, impostor.size) - np.append(0, until)
    counts = np.zeros((2, 2 * len(scores) + 1), np.int64)
    counts[0, 1::2] = number
    counts[1, 0::2], counts[1, 1::2] = between, until - below
    return verification.curve_of_counts(*counts)


def resampled_curves(
    similarity: Float[np.ndarray, "draw user user"], user_weight: Int[np.ndarray, "resample user"]
) -> tuple[verification.RocCurve, verification.RocCurve]:
    """ROC curves of each resample of users with all draws, and of each draw with all users.

    Scores are counted at `_MAX_THRESHOLDS` thresholds or fewer: resampling is a matrix product.
    """
    num_users = similarity.shape[1]
    thresholds = np.unique(similarity)
    if len(thresholds) > _MAX_THRESHOLDS:
        # Quantiles of the scores, which are sorted.
        place = np.linspace(0, 1, _MAX_THRESHOLDS) * (len(thresholds) - 1)
        thresholds = thresholds[np.unique(np.floor(place).astype(int))]
    index = np.stack([np.searchsorted(thresholds, one).astype(np.int32) for one in similarity])

    def count(
        group: Int[np.ndarray, "..."], index: Int[np.ndarray, "..."], number: int
    ) -> Float[np.ndarray, "group threshold"]:
        cell = (group * len(thresholds) + index).ravel()
        counts = np.bincount(cell, minlength=number * len(thresholds))
        return counts.reshape(number, -1).astype(np.float32)

    weight = user_weight.astype(np.float32)
    user = np.arange(num_users)
    own = count(user, index[:, user, user], num_users)
    impostor = np.zeros((len(weight), len(thresholds)))
    one, other = np.triu_indices(num_users, k=1)
    # Some pairs at a time: counts of all pairs would not fit where users are many.
    for first in range(0, len(one), _PAIRS_PER_PRODUCT):
        a, b = (users[first : first + _PAIRS_PER_PRODUCT] for users in (one, other))
        pair = np.arange(len(a))
        of_pair = count(pair, index[:, [a, b], [b, a]], len(a))
        impostor += (weight[:, a] * weight[:, b]) @ of_pair
    by_users = verification.curve_of_counts(weight @ own, impostor.astype(np.float32))
    is_impostor = (~np.eye(num_users, dtype=bool)).astype(int)
    of_draw = np.stack([count(is_impostor, one, 2) for one in index], axis=1)
    by_draw = verification.curve_of_counts(*of_draw)
    return by_users, by_draw
