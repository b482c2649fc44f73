"""Metrics on plain arrays: of saliency maps here, of verification in `verification`."""

from gazejax.metrics.saliency import (
    METRICS,
    auc,
    auc_judd,
    cc,
    fixation_counts,
    information_gain,
    kld,
    nss,
    sauc,
    score,
    sim,
)

__all__ = [
    "METRICS",
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
