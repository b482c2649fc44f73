"""Calibrated probability that two user embeddings are of one person.

Scores of pairs say who is more alike than others, not how likely two embeddings are of one person.
A logistic curve of the score says that, for equal odds of one person and of two before. The curve
is fitted for each number of images, since more images spread the scores.

Source: Platt, "Probabilistic outputs for support vector machines", 1999; for scores of people,
Brümmer and du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
Language 2006. The interpolation between numbers of images is ours.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy
from jaxtyping import Float, Int

# Penalty of the squared slope, of scores of variance 1: scores that separate all pairs would have
# an infinite one.
_RIDGE = 1e-4

_NUM_BINS = 10


class ScoreCalibration(NamedTuple):
    """Curves for numbers of images n; the log odds of one person are slope * score + intercept.

    Attributes:
        num_images: n of each curve, ascending.
        slope: of each curve.
        intercept: likewise.
    """

    num_images: Int[np.ndarray, " curve"]
    slope: Float[np.ndarray, " curve"]
    intercept: Float[np.ndarray, " curve"]


def fit_curve(
    score: Float[np.ndarray, " pair"], weight: Float[np.ndarray, " pair"], is_same: np.ndarray
) -> tuple[float, float]:
    """Fits slope and intercept by maximum likelihood; the slope is at least 0.

    Args:
        score: of each pair.
        weight: of each pair; pairs of one person weigh as much as all others, whatever they add to.
        is_same: whether a pair is of one person, bool [pair].

    Example:
        >>> score = np.array([-1.0, 0.0, 0.0, 1.0])
        >>> slope, intercept = fit_curve(score, np.ones(4), np.array([0, 0, 1, 1], bool))
        >>> slope > 1, round(intercept, 6)
        (True, 0.0)
    """
    weight = balanced(weight, is_same)
    center = weight @ score
    scale = float(np.sqrt(weight @ (score - center) ** 2)) or 1.0  # All scores may be equal.
    standard, sign = (score - center) / scale, np.where(is_same, 1.0, -1.0)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (parameters[0] * standard + parameters[1])
        residual = -weight * sign * scipy.special.expit(-margin)
        gradient = np.array([residual @ standard + 2 * _RIDGE * parameters[0], residual.sum()])
        return weight @ np.logaddexp(0, -margin) + _RIDGE * parameters[0] ** 2, gradient

    bounds = [(0.0, None), (None, None)]
    slope, intercept = scipy.optimize.minimize(loss, (1.0, 0.0), jac=True, bounds=bounds).x
    return float(slope / scale), float(intercept - slope * center / scale)


def log_odds(calibration: ScoreCalibration, score: float, num_images: float) -> float:
    """Log odds that a pair is of one person, for equal odds before.

    Between the n of two curves, slope and intercept are interpolated along log n; beyond them they
    are those of the nearest curve.

    Example:
        >>> curves = ScoreCalibration(np.array([1, 100]), np.array([1.0, 3.0]), np.zeros(2))
        >>> log_odds(curves, 2.0, 10.0)
        4.0
    """
    at, known = np.log(num_images), np.log(calibration.num_images)
    slope, intercept = (
        np.interp(at, known, values) for values in (calibration.slope, calibration.intercept)
    )
    return float(slope * score + intercept)


def read_curves(
    tables: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> dict[str, ScoreCalibration]:
    """The curves of stored tables, `within` a session and `across` sessions; empty of none.

    Args:
        tables: of each table, rows with `slope` and `intercept`, by n as text.

    Raises:
        KeyError, TypeError, ValueError: if a table or a row is of another form.
    """
    if not tables.keys() <= {"within", "across"} or (tables and "within" not in tables):
        raise ValueError(f"tables {', '.join(tables)}")
    return {table: _curves_of(rows) for table, rows in tables.items()}


def _curves_of(rows: Mapping[str, Mapping[str, Any]]) -> ScoreCalibration:
    sizes = sorted(rows, key=int)
    number = np.array([int(size) for size in sizes])
    slope, intercept = (
        np.array([float(rows[size][name]) for size in sizes]) for name in ("slope", "intercept")
    )
    if not sizes or number[0] < 1 or not np.isfinite([slope, intercept]).all() or min(slope) < 0:
        raise ValueError("no row, or a value that is negative or not finite")
    return ScoreCalibration(number, slope, intercept)


class Reliability(NamedTuple):
    """How often pairs are of one person, beside how likely they were said to be.

    Attributes:
        error: expected calibration error: mean absolute difference of the two, over bins.
        weight: share of the pairs in each bin.
        predicted: mean probability of the pairs of each bin; NaN for an empty one.
        observed: share of pairs of one person in each bin; likewise.
    """

    error: float
    weight: Float[np.ndarray, " bin"]
    predicted: Float[np.ndarray, " bin"]
    observed: Float[np.ndarray, " bin"]


def reliability(
    predicted: Float[np.ndarray, " pair"], weight: Float[np.ndarray, " pair"], is_same: np.ndarray
) -> Reliability:
    """Compares probabilities with what is true, in ten bins of equal width.

    Args:
        predicted: probability of each pair.
        weight: of each pair; see `fit_curve`.
        is_same: whether a pair is of one person, bool [pair].

    Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities", AAAI 2015.

    Example:
        >>> reliability(np.array([0.95, 0.05]), np.ones(2), np.array([True, False])).error
        0.05
    """
    weight = balanced(weight, is_same)
    number = np.minimum((predicted * _NUM_BINS).astype(int), _NUM_BINS - 1)
    total, of_predicted, of_same = (
        np.bincount(number, values, _NUM_BINS)
        for values in (weight, weight * predicted, weight * is_same)
    )
    with np.errstate(invalid="ignore"):
        means = of_predicted / total, of_same / total
    error = float(np.abs(of_predicted - of_same).sum())
    return Reliability(round(error, 12), total, *means)


def balanced(weight: Float[np.ndarray, " pair"], is_same: np.ndarray) -> Float[np.ndarray, " pair"]:
    """Weights of pairs of which those of one person, and the others, add to a half each."""
    sums = np.array([weight[~is_same].sum(), weight[is_same].sum()])
    return weight / (2 * sums[is_same.astype(int)])
