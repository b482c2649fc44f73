"""Metrics on plain arrays: of saliency maps here, of verification in `verification`.

Intervals are in `bootstrap`.
"""

from gazejax.metrics import verification as verification  # So that `gazejax.metrics` has it.
from gazejax.metrics.saliency import (
    auc,
    auc_judd,
    cc,
    fixation_counts,
    information_gain,
    kld,
    nss,
    sauc,
    sim,
)
from gazejax.metrics.scoring import score

__all__ = [
    "auc",
    "auc_judd",
    "cc",
    "fixation_counts",
    "information_gain",
    "kld",
    "nss",
    "sauc",
    "score",
    "sim",
]
