"""The arithmetic of the saliency metrics on the host, for concrete arrays of any real type.

Nothing here is compiled, so that a new number of fixations or a new map size costs nothing. Ranks
are compared in the type of the map, and counted in whole numbers. Sums are those of float64.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Num, Shaped

from gazejax.metrics._kernels import KLD_EPSILON, Fixations

# Up to this many thresholds, comparing the values with each takes less time than sorting them.
_COMPARED_THRESHOLDS = 48

# Squares of a map between these bounds, and sums of them, stay inside float64.
_LEAST, _MOST = 1e-100, 1e100


def auc(saliency: Num[np.ndarray, "height width"], fixations: Fixations) -> float:
    return _share_below(_values(saliency, fixations), saliency.ravel())


def sauc(
    saliency: Num[np.ndarray, "height width"], fixations: Fixations, others: Fixations
) -> float:
    return _share_below(_values(saliency, fixations), _values(saliency, others))


def auc_judd(saliency: Num[np.ndarray, "height width"], fixations: Fixations) -> float:
    values = _values(saliency, fixations)
    pixels = np.unique(_pixels(saliency.shape, fixations))
    num_never_fixated = saliency.size - len(pixels)
    if len(values) == 0 or num_never_fixated == 0:
        return np.nan
    thresholds, number = np.unique(values, return_counts=True)
    fixated = np.sort(saliency.ravel()[pixels])
    (below,) = _below(thresholds, saliency.ravel(), "left")
    alarms = num_never_fixated - (below - np.searchsorted(fixated, thresholds))
    # From the highest threshold down; a last point at (1, 1).
    alarms = np.concatenate([[0], alarms[::-1], [num_never_fixated]])
    hits = np.concatenate([[0], np.cumsum(number[::-1]), [len(values)]])
    twice_area = int(np.sum(np.diff(alarms) * (hits[1:] + hits[:-1])))
    return twice_area / (2 * len(values) * num_never_fixated)


def nss(saliency: Num[np.ndarray, "height width"], fixations: Fixations) -> float:
    values = deviation(saliency)
    at_fixations = _values(values, fixations)
    if len(at_fixations) == 0:
        return np.nan
    return float(at_fixations.mean() / _norm(values))


def information_gain(
    density: Num[np.ndarray, "height width"],
    baseline: Num[np.ndarray, "height width"],
    fixations: Fixations,
) -> float:
    gain, base = (
        np.log2(_values(values, fixations).astype(wide_type(values)))
        for values in (density, baseline)
    )
    return float(np.mean(gain - base)) if len(gain) else np.nan


def cc(a: Num[np.ndarray, "height width"], b: Num[np.ndarray, "height width"]) -> float:
    a, b = deviation(a), deviation(b)
    return float((a * b).mean() / (_norm(a) * _norm(b)))


def sim(a: Num[np.ndarray, "height width"], b: Num[np.ndarray, "height width"]) -> float:
    return float(np.minimum(relative(a), relative(b)).mean())


def kld(
    target: Num[np.ndarray, "height width"], prediction: Num[np.ndarray, "height width"]
) -> float:
    q, p = relative(target), relative(prediction)
    # Both maps have a mean of 1 instead of a sum of 1: epsilon is scaled by the number of pixels.
    terms = np.log(KLD_EPSILON + q / (p + q.size * KLD_EPSILON))
    return float((q * terms).mean())


def counts(shape: tuple[int, int], fixations: Fixations) -> Int[np.ndarray, "height width"]:
    """Number of fixations that count in each pixel."""
    number = np.bincount(_pixels(shape, fixations), minlength=shape[0] * shape[1])
    return number.reshape(shape)


def deviation(saliency: Num[np.ndarray, "*map"]) -> Float[np.ndarray, "*map"]:
    """Deviation from the mean, divided by the range of the map; zero for a constant map.

    The minimum is subtracted first, in whole numbers where the map holds them: an offset then costs
    no precision beyond that of the map itself.
    """
    low, high = saliency.min(), saliency.max()
    if low == high:
        return np.zeros(saliency.shape)
    if saliency.dtype.kind in "iu" and saliency.dtype.itemsize == 8:
        # Modulo 2 ** 64, which the true difference is below.
        above = saliency.astype(np.uint64) - np.uint64(int(low) % 2**64)
    else:
        wide = saliency.astype(wide_type(saliency), copy=False)
        above = _scaled(wide, np.abs([wide.min(), wide.max()]).max())
        above = _scaled(above - above.min(), above.max() - above.min())
    above = above.astype(np.float64, copy=False)
    return (above - above.mean()) / above.max()


def relative(saliency: Num[np.ndarray, "*map"]) -> Float[np.ndarray, "*map"]:
    """The map divided by its mean; a zero map becomes uniform."""
    wide = saliency.astype(wide_type(saliency), copy=False)
    if wide.max() == 0:
        return np.ones(saliency.shape)
    scaled = _scaled(wide, wide.max()).astype(np.float64, copy=False)
    return scaled / scaled.mean()


def wide_type(values: np.ndarray) -> np.dtype:
    """The type of the arithmetic: float64, or a wider float that is given."""
    return np.promote_types(values.dtype, np.float64)


def _scaled(values: Float[np.ndarray, "*map"], size: np.floating) -> Float[np.ndarray, "*map"]:
    """The values, by a power of two below 1 where their size is near the ends of float64."""
    if _LEAST <= size <= _MOST:
        return values
    return np.ldexp(values, -int(np.frexp(size)[1]))


def _norm(values: Float[np.ndarray, "*map"]) -> float:
    """Standard deviation of a map of mean zero; 1 if it is zero everywhere."""
    return float(np.sqrt((values * values).mean())) or 1.0


def _pixels(shape: tuple[int, ...], fixations: Fixations) -> Int[np.ndarray, " counted"]:
    """Index of the pixel of each fixation that counts."""
    row = np.asarray(fixations.row, np.int64)
    return np.asarray((row * shape[1] + fixations.column)[fixations.counts])


def _values(
    saliency: Shaped[np.ndarray, "height width"], fixations: Fixations
) -> Shaped[np.ndarray, " counted"]:
    return np.asarray(saliency[fixations.row, fixations.column][fixations.counts])


def _share_below(
    positives: Num[np.ndarray, " positive"], negatives: Num[np.ndarray, " negative"]
) -> float:
    """Share of the pairs with the positive above the negative; a tie counts one half."""
    num_pairs = len(positives) * len(negatives)
    if num_pairs == 0:
        return np.nan
    thresholds, number = np.unique(positives, return_counts=True)
    below, up_to = _below(thresholds, negatives, "left", "right")
    # Python divides whole numbers of any size without an error before the division.
    return int(((below + up_to) * number).sum()) / (2 * num_pairs)


def _below(
    thresholds: Num[np.ndarray, " threshold"],
    values: Num[np.ndarray, " value"],
    *sides: Literal["left", "right"],
) -> list[Int[np.ndarray, " threshold"]]:
    """For each threshold, how many values are below it (left), or not above it (right)."""
    if len(thresholds) > _COMPARED_THRESHOLDS:
        ordered = np.sort(values)
        return [np.searchsorted(ordered, thresholds, side) for side in sides]
    # One array for all comparisons: the system takes longer to supply it than they take.
    is_below = np.empty(values.shape, bool)
    found = []
    for side in sides:
        compare = np.less if side == "left" else np.less_equal
        counts = [
            np.count_nonzero(compare(values, threshold, out=is_below)) for threshold in thresholds
        ]
        found.append(np.array(counts, np.int64))
    return found
