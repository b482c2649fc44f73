"""The stages, the step and the loop."""

from gazejax.training.run import train_folds

__all__ = [
    "train_folds",
]
