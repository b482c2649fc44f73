"""Metrics on plain arrays: saliency maps here, verification and bootstrap in their modules."""

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
