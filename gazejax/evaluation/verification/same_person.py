"""Calibrates how likely two embeddings are of one person, on unseen users.

Embeddings are made and compared as a loaded model does; see `evaluation.as_loaded`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy
from jaxtyping import Float, Int

from gazejax.evaluation.folds import Run
from gazejax.evaluation.formats import markdown_table
from gazejax.evaluation.session_texts import ACROSS
from gazejax.evaluation.verification import protocol
from gazejax.evaluation.verification.verify_users import variants_of
from gazejax.inference.same_person import fit_curve, reliability

# Parts of the users: a curve that is fitted without one of them is tried on it.
_NUM_PARTS = 5
# Fewer users leave too few pairs to fit a curve without a part of them.
_LEAST_USERS = 4


def calibrate_scores(run: Run) -> dict[str, dict[str, dict[str, Any]]]:
    """Fits curves on the unseen users of all folds, and says how well they hold for others.

    Args:
        run: of `as_loaded`.

    Returns:
        `within` and, where users have two sessions, `across`: for each n `slope`, `intercept`,
        `num_users`, and of users whom a curve was not fitted on, `calibration_error`, `predicted`,
        `observed` and `weight` of ten bins; see `inference.same_person`. Empty with fewer than four
        unseen users within a session, even if more have two sessions.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for _, variant in variants_of("unseen", run):
        name = "across" if variant.table.endswith(ACROSS) else "within"
        for size in variant.sizes:
            row = _calibrate(variant.score(size))
            if row:
                found.setdefault(name, {})[str(size)] = row
    return found if "within" in found else {}


def format_calibration(calibration: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Formats the result of `calibrate_scores` as Markdown; empty without any curve."""
    rows = [
        [table, n, f"{row['calibration_error']:.3f}", str(row["num_users"])]
        for table, sizes in calibration.items()
        for n, row in sizes.items()
    ]
    if not rows:
        return ""
    described = (
        "### Is it one person? Probabilities of pairs of unseen users\n\nExpected calibration "
        "error of the probability that two embeddings are of one person, for equal odds before. "
        "Curves are fitted on some users and tried on others."
    )
    header = ["sessions", "n", "calibration error", "users"]
    return f"\n{described}\n\n{markdown_table(header, rows)}\n"


def _calibrate(folds: list[protocol.VerificationScores]) -> dict[str, Any]:
    score, probe, enrolled = (
        np.concatenate(of_folds) for of_folds in zip(*map(_pairs, folds), strict=True)
    )
    users = np.unique(probe)
    if len(users) < _LEAST_USERS:
        return {}
    is_same = probe == enrolled
    predicted, weight, tried = [], [], []
    for part in range(_NUM_PARTS):
        held_out = users[part::_NUM_PARTS]
        is_tried = np.isin(probe, held_out) | np.isin(enrolled, held_out)
        if not is_tried.any():
            continue
        ones = np.ones(np.count_nonzero(~is_tried))
        slope, intercept = fit_curve(score[~is_tried], ones, is_same[~is_tried])
        predicted.append(scipy.special.expit(slope * score[is_tried] + intercept))
        tried.append(is_same[is_tried])
        # A pair of users of two parts is tried with each of them.
        of_both = np.isin(probe[is_tried], held_out) & np.isin(enrolled[is_tried], held_out)
        weight.append(np.where(of_both, 1.0, 0.5))
    slope, intercept = fit_curve(score, np.ones(len(score)), is_same)
    found = reliability(*map(np.concatenate, (predicted, weight, tried)))
    return {
        "slope": slope,
        "intercept": intercept,
        "num_users": len(users),
        "calibration_error": found.error,
        **{
            name: [None if np.isnan(value) else round(float(value), 6) for value in values]
            for name, values in (
                ("predicted", found.predicted),
                ("observed", found.observed),
                ("weight", found.weight),
            )
        },
    }


def _pairs(
    scores: protocol.VerificationScores,
) -> tuple[Float[np.ndarray, " pair"], Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Scores of all draws, and the users of each."""
    shape = scores.similarity.shape
    probe, enrolled = (
        np.broadcast_to(users, shape).ravel()
        for users in (scores.users[None, :, None], scores.users[None, None, :])
    )
    return scores.similarity.ravel(), probe, enrolled
