"""Scores of any real type, so that they tie only if they are equal."""

from typing import Any

import numpy as np
from jaxtyping import Num

# Whole numbers up to this one are exact in float64.
_MOST_EXACT = 2**53


def joined(one: np.ndarray, other: np.ndarray) -> Any:
    """Both arrays in one, of a type that no score of them is rounded to."""
    wide = np.promote_types(one.dtype, other.dtype)
    for scores in (one, other):
        is_whole = scores.dtype.kind in "iu" and wide.kind == "f"
        if is_whole and not _is_within(scores, 2 ** (1 + np.finfo(wide).nmant)):
            # Python compares whole numbers of any size with floats exactly.
            return np.concatenate([one.astype(object), other.astype(object)])
    return np.concatenate([one, other])


def comparable(scores: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
    """Scores of the same order and ties as these, which float64 holds if they are whole numbers."""
    if scores.dtype.kind not in "iu" or _is_within(scores, _MOST_EXACT):
        return scores
    return np.unique(scores, return_inverse=True)[1].reshape(scores.shape)


def _is_within(scores: np.ndarray, most: int) -> bool:
    return scores.size == 0 or max(abs(int(scores.min())), abs(int(scores.max()))) <= most
