"""Protocols, baselines and the report of an evaluation."""

from gazejax.evaluation.run import evaluate, evaluate_on

__all__ = [
    "evaluate",
    "evaluate_on",
]
