"""Corrections of metrics of ranks for ties that rounding to float32 invented.

The compiled metrics count the ties of rounded maps. Where these may be others than those of the
maps themselves, the few pixels are sought, and their part in the metric is corrected.
"""

import sys

import numpy as np
from jaxtyping import Float, Int, Num

from gazejax.metrics import _host
from gazejax.metrics._kernels import Fixations

_IS_LITTLE = sys.byteorder == "little"


def corrections(
    saliency: Num[np.ndarray, "height width"],
    rounded: Float[np.ndarray, "height width"],
    fixations: Fixations,
    num_ties: int,
    other_counts: Num[np.ndarray, "height width"] | None,
) -> dict[str, float]:
    """What to add to `auc`, `auc_judd` and `sauc` of a rounded map; nothing if no tie is invented.

    Args:
        saliency: the map; values of other pixels do not become equal by rounding if both pixels are
            fixated.
        rounded: the map, rounded.
        fixations: the fixations on this map.
        num_ties: ties of fixations with pixels that are not fixated, in the rounded map; below 0 if
            unknown.
        other_counts: for `sauc`: number of fixations on other images in each pixel.
    """
    pixels = _host.pixels(saliency.shape, fixations)
    flat, flat_rounded = saliency.ravel(), rounded.ravel()
    thresholds, number = np.unique(flat[pixels], return_counts=True)
    as_float = thresholds.astype(rounded.dtype)
    if num_ties == 0 or len(pixels) == 0:
        return {}
    never_fixated = np.ones(flat.shape, bool)
    never_fixated[pixels] = False
    if saliency.dtype.kind == "f":
        # A value that occurs often, such as the zero outside of a region, rarely needs rounding.
        exact = np.flatnonzero(as_float == thresholds).tolist()
        equal = [np.count_nonzero((flat == thresholds[at]) & never_fixated) for at in exact]
        if num_ties == sum(n * int(number[at]) for n, at in zip(equal, exact, strict=True)):
            return {}
    near = _perhaps_among(flat_rounded, as_float)
    place = np.minimum(np.searchsorted(as_float, flat_rounded[near]), len(as_float) - 1)
    is_tie = (flat_rounded[near] == as_float[place]) & (flat[near] != thresholds[place])
    near, place = near[is_tie], place[is_tie]
    if len(near) == 0:
        return {}
    # One half of a pair too much if the pixel is above the threshold, too little if below.
    is_above = flat[near] > thresholds[place]
    too_much = np.where(is_above, 0.5, -0.5) * number[place]
    # A tie with a pixel below a threshold is an alarm at this threshold, which ends two steps.
    hits = number + np.concatenate([[0], number[:-1]])
    alarms = 0.5 * hits[place][~is_above].sum()
    found = {
        "auc": -too_much.sum() / (len(pixels) * flat.size),
        "auc_judd": alarms / (len(pixels) * np.count_nonzero(never_fixated)),
    }
    weight = np.zeros(0) if other_counts is None else other_counts.ravel()
    total = weight.sum(dtype=np.float64)
    if total > 0:
        found["sauc"] = -(too_much * weight[near]).sum() / (len(pixels) * total)
    return {name: float(value) for name, value in found.items()}


def _perhaps_among(
    values: Float[np.ndarray, " pixel"], thresholds: Float[np.ndarray, " threshold"]
) -> Int[np.ndarray, " candidate"]:
    """Indices of the values that may equal a threshold: those that share its last 16 bits."""

    def last_bits(numbers: np.ndarray) -> np.ndarray:
        parts = numbers.itemsize // 2
        return numbers.view(np.uint16)[0 if _IS_LITTLE else parts - 1 :: parts]

    is_possible = np.zeros(2**16, bool)
    is_possible[last_bits(thresholds)] = True
    return np.flatnonzero(is_possible.take(last_bits(values)))
