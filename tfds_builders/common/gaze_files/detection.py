"""Detection of fixations in samples of gaze: dispersion threshold (I-DT).

Source: D. D. Salvucci and J. H. Goldberg, Identifying fixations and saccades in eye-tracking
protocols, ETRA 2000, section 3.3. Ours: windows by time instead of by number of samples, gaps, and
samples without gaze.
"""

import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfds_builders.common.gaze_files.how import Detection
from tfds_builders.common.gaze_files.rows import NoFixationError

DEFAULT_MAX_GAP_MS = 75.0

_FORM = "DISPERSION,MIN_MS[,MAX_GAP_MS] such as 1deg,100 or 35px,100,75"
# Times and places are decimal numbers, whose differences have errors of rounding.
_TIME_ERROR_MS = 1e-3
_PLACE_ERROR_PX = 1e-6
_FIRST_BLOCK = 64


class Detected(NamedTuple):
    """Fixations, in the order of the samples.

    Attributes:
        group: int64 [m] of the samples.
        xy_px: float64 [m, 2] mean of the samples.
        start_ms: float64 [m] time of the first sample.
        duration_ms: float64 [m] from the first to the last sample. This is one interval between
            samples shorter than the number of samples times the interval.
        first: int64 [m] index of the first sample.
    """

    group: np.ndarray
    xy_px: np.ndarray
    start_ms: np.ndarray
    duration_ms: np.ndarray
    first: np.ndarray


def parse(text: str, pixels_per_degree: float | None) -> Detection:
    """Reads the parameters of a detection from a text.

    Args:
        text: DISPERSION,MIN_MS[,MAX_GAP_MS]: the dispersion with its unit, `px` or `deg`, and times
            in milliseconds. Without MAX_GAP_MS, it is `DEFAULT_MAX_GAP_MS`.
        pixels_per_degree: pixels of the screen in a degree; None: not known.

    Raises:
        ValueError: the text has another form or a number that is not above 0, or degrees are given
            without `pixels_per_degree`.

    Example:
        >>> parse("1deg,100", 35.0)
        Detection(dispersion_px=35.0, min_duration_ms=100.0, max_gap_ms=75.0)
    """
    match = re.fullmatch(r"([^,]+?)(px|deg),([^,]+)(?:,([^,]+))?", text.replace(" ", ""))
    if match is None:
        raise ValueError(f"--detect-fixations is {text!r}, expected {_FORM}")
    dispersion, unit, min_ms, max_gap_ms = match.groups()
    numbers = []
    for part in (dispersion, min_ms, max_gap_ms or str(DEFAULT_MAX_GAP_MS)):
        try:
            number = float(part)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise ValueError(
                f"--detect-fixations is {text!r}: {part!r} is not a number above 0, expected "
                f"{_FORM}"
            )
        numbers.append(number)
    if unit == "deg":
        if pixels_per_degree is None:
            raise ValueError(
                f"--detect-fixations {text!r} is in degrees and needs --pixels-per-degree"
            )
        numbers[0] *= pixels_per_degree
    return Detection(*numbers)


def in_words(detection: Detection) -> str:
    """Returns the method and its parameters in words, for messages."""
    return (
        f"fixations detected by I-DT (dispersion up to {detection.dispersion_px:g} px, at least "
        f"{detection.min_duration_ms:g} ms, gaps up to {detection.max_gap_ms:g} ms)"
    )


def detect_fixations(
    t_ms: np.ndarray, xy_px: np.ndarray, group: np.ndarray, detection: Detection
) -> Detected:
    """Detects fixations in samples of gaze.

    A fixation starts with the first sample from which on all samples of `min_duration_ms` have a
    dispersion of at most `dispersion_px`, and lasts as long as its dispersion is at most this. The
    dispersion is the largest minus the smallest x, plus the same of y. The next fixation is
    searched after the last sample. A fixation lies in one group. Samples without gaze are left out
    first; then a fixation ends where the time to the next sample is above `max_gap_ms`.

    Args:
        t_ms: float64 [n] times, ascending in a group; equal times are allowed.
        xy_px: float64 [n, 2] x, y in pixels of the screen; NaN: no gaze.
        group: int64 [n] viewing; the samples of a group are together.
        detection: the parameters.

    Returns:
        The fixations.

    Raises:
        ValueError: times of a group do not ascend, a group is in two parts, or at least half of the
            times between samples are above `max_gap_ms`, so that nothing could be found.
    """
    t_ms, xy_px = np.asarray(t_ms, np.float64), np.asarray(xy_px, np.float64)
    group = np.asarray(group, np.int64)
    _check_samples(t_ms, group)
    places = np.flatnonzero(np.isfinite(xy_px).all(axis=1))
    t_ms, xy_px, group = t_ms[places], xy_px[places], group[places]
    steps_ms, is_same = np.diff(t_ms), group[1:] == group[:-1]
    if is_same.any() and np.median(steps_ms[is_same]) > detection.max_gap_ms + _TIME_ERROR_MS:
        raise ValueError(
            f"--detect-fixations: the time between samples is {np.median(steps_ms[is_same]):g} ms "
            f"in the median, above the largest gap of {detection.max_gap_ms:g} ms: give a larger "
            "MAX_GAP_MS"
        )
    is_cut = ~is_same | (steps_ms > detection.max_gap_ms + _TIME_ERROR_MS)
    cuts = np.concatenate([[0], np.flatnonzero(is_cut) + 1, [len(t_ms)]])
    found: list[tuple[int, int]] = []
    if len(t_ms):
        # Most parts between gaps are long; what is too short costs no step of the loop.
        starts, ends = cuts[:-1], cuts[1:]
        is_long = t_ms[ends - 1] - t_ms[starts] >= detection.min_duration_ms - _TIME_ERROR_MS
        for start, end in zip(starts[is_long].tolist(), ends[is_long].tolist(), strict=True):
            part = _detect_part(t_ms[start:end], xy_px[start:end], detection)
            found += [(start + first, start + last) for first, last in part]
    first, last = np.array(found, np.int64).reshape(-1, 2).T
    sums = np.zeros((0, 2))
    if len(first):
        # One row more: the index after the last sample must exist.
        padded = np.vstack([xy_px, np.zeros((1, 2))])
        sums = np.add.reduceat(padded, np.column_stack([first, last + 1]).ravel(), axis=0)[::2]
    return Detected(
        group=group[first],
        xy_px=sums / (last - first + 1)[:, None],
        start_ms=t_ms[first],
        duration_ms=t_ms[last] - t_ms[first],
        first=places[first],
    )


def check_found(
    path: Path,
    found: Detected,
    t_ms: np.ndarray,
    xy_px: np.ndarray,
    group: np.ndarray,
    detection: Detection,
) -> None:
    """Checks that fixations were found in the samples of a file.

    Raises:
        NoFixationError: none was found; the message has the longest time within `dispersion_px`.
    """
    if len(found.first):
        return
    is_gaze = np.isfinite(xy_px).all(axis=1)
    t_ms, xy_px, group = t_ms[is_gaze], xy_px[is_gaze], group[is_gaze]
    start = f"{path} has no row of a fixation: --detect-fixations finds none in {len(group)} "
    if not len(t_ms):
        raise NoFixationError(f"{start}samples with gaze, expected gaze in some samples")
    is_cut = (np.diff(group) != 0) | (np.diff(t_ms) > detection.max_gap_ms + _TIME_ERROR_MS)
    cuts = np.concatenate([[0], np.flatnonzero(is_cut) + 1, [len(t_ms)]])
    first = np.arange(len(t_ms))
    limit_px = detection.dispersion_px + _PLACE_ERROR_PX
    # The dispersion grows with the window: its end is searched by halves, for all at once.
    last, high = first, np.repeat(cuts[1:], np.diff(cuts)) - 1
    while (last < high).any():
        middle = (last + high + 1) // 2
        dispersion_px = sum(_extents(xy_px[:, axis], first, middle) for axis in range(2))
        is_near = dispersion_px <= limit_px
        last, high = np.where(is_near, middle, last), np.where(is_near, high, middle - 1)
    longest_ms = float((t_ms[last] - t_ms).max())
    raise NoFixationError(
        f"{start}samples with gaze: within {detection.dispersion_px:g} px gaze stays for "
        f"{longest_ms:.4g} ms at most, expected {detection.min_duration_ms:g} ms or more (gaps up "
        f"to {detection.max_gap_ms:g} ms)"
    )


def _check_samples(t_ms: np.ndarray, group: np.ndarray) -> None:
    is_same = group[1:] == group[:-1]
    # Written so that a time that is no number is wrong too.
    is_wrong = is_same & ~(np.diff(t_ms) >= 0)
    if is_wrong.any():
        row = int(is_wrong.argmax()) + 1
        raise ValueError(
            f"sample {row + 1} is at {t_ms[row]} ms after {t_ms[row - 1]} ms in the same viewing, "
            "expected ascending times"
        )
    if len(t_ms) and not np.isfinite(t_ms).all():
        row = int(np.argmin(np.isfinite(t_ms)))
        raise ValueError(f"sample {row + 1} is at {t_ms[row]} ms, expected a finite time")
    num_parts = int((~is_same).sum()) + min(len(group), 1)
    if num_parts != len(np.unique(group)):
        raise ValueError("samples of one viewing are in two parts, expected them together")


def _detect_part(
    t_ms: np.ndarray, xy_px: np.ndarray, detection: Detection
) -> list[tuple[int, int]]:
    """Returns the first and last sample of each fixation in samples without a gap."""
    limit_px = detection.dispersion_px + _PLACE_ERROR_PX
    last = np.searchsorted(t_ms, t_ms + detection.min_duration_ms - _TIME_ERROR_MS)
    last = last[last < len(t_ms)]  # Later windows are too short.
    first = np.arange(len(last))
    dispersion_px = _extents(xy_px[:, 0], first, last) + _extents(xy_px[:, 1], first, last)
    candidates = np.flatnonzero(dispersion_px <= limit_px)
    found = []
    number = 0
    while number < len(candidates):
        start = int(candidates[number])
        end = _grow(xy_px, start, int(last[start]), limit_px)
        found.append((start, end))
        number = int(np.searchsorted(candidates, end + 1))
    return found


def _extents(values: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Returns largest minus smallest value from `first` to `last`, for many windows [k].

    Two windows of a power of two cover each window: n log(n) steps, whatever the lengths.
    """
    levels = np.frexp(last - first + 1.0)[1] - 1
    extents = np.zeros(len(first))
    low = high = values
    for level in range(int(levels.max(initial=-1)) + 1):
        here = np.flatnonzero(levels == level)
        left, right = first[here], last[here] + 1 - 2**level
        extents[here] = np.maximum(high[left], high[right]) - np.minimum(low[left], low[right])
        low = np.minimum(low[: -(2**level)], low[2**level :])
        high = np.maximum(high[: -(2**level)], high[2**level :])
    return extents


def _grow(xy_px: np.ndarray, first: int, last: int, limit_px: float) -> int:
    """Returns the last sample up to which the dispersion stays in its limit."""
    window = xy_px[first : last + 1]
    low, high = window.min(axis=0), window.max(axis=0)
    size = _FIRST_BLOCK
    while last + 1 < len(xy_px):
        block = xy_px[last + 1 : last + 1 + size]
        lows = np.minimum(np.minimum.accumulate(block, axis=0), low)
        highs = np.maximum(np.maximum.accumulate(block, axis=0), high)
        is_wide = (highs - lows).sum(axis=1) > limit_px
        if is_wide.any():
            return last + int(is_wide.argmax())
        low, high = lows[-1], highs[-1]
        last += len(block)
        size *= 2
    return last
