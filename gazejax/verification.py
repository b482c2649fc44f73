"""How well embeddings tell people apart, from scores alone. A higher score means more alike."""

import numpy as np
from jaxtyping import Float
from scipy import stats


def roc_auc(genuine: Float[np.ndarray, "..."], impostor: Float[np.ndarray, "..."]) -> float:
    """Probability that a genuine score exceeds an impostor score; a tie counts one half.

    Args:
        genuine: scores of two samples of one user, any shape.
        impostor: scores of samples of two users, any shape.

    Raises:
        ValueError: if either is empty or holds a NaN.

    Source: the Mann-Whitney statistic.
    """
    for name, scores in (("genuine", genuine), ("impostor", impostor)):
        if scores.size == 0 or np.isnan(scores).any():
            raise ValueError(f"{name} has {scores.size} scores; allowed: at least 1, none NaN")
    ranks = stats.rankdata(np.concatenate([genuine.ravel(), impostor.ravel()]))
    num_genuine, num_impostor = genuine.size, impostor.size
    wins = ranks[:num_genuine].sum() - num_genuine * (num_genuine + 1) / 2
    return float(wins / (num_genuine * num_impostor))


def rank1(scores: Float[np.ndarray, "*batch user user"]) -> float:
    """Share of probes whose own user scores highest; a tie is broken against us.

    Args:
        scores: score of each probe user (row) with each enrolled user (column), same order.

    Raises:
        ValueError: if there are fewer than two users, or a score is NaN.
    """
    num_users = scores.shape[-1]
    if num_users < 2 or scores.shape[-2] != num_users or np.isnan(scores).any():
        raise ValueError(
            f"scores has shape {scores.shape}; allowed: [..., user, user], 2 users or more, no NaN"
        )
    is_own = np.eye(num_users, dtype=bool)
    best_other = np.where(is_own, -np.inf, scores).max(axis=-1)
    return float((np.diagonal(scores, axis1=-2, axis2=-1) > best_other).mean())
