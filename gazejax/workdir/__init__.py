"""A run's folder: checkpoints, guards, lock."""

from gazejax.workdir.checkpoints import list_checkpoints
from gazejax.workdir.layout import describe_checkpoints, is_evaluable, latest_step, load_config
from gazejax.workdir.parameters import copy_encoders, load_params

__all__ = [
    "copy_encoders",
    "describe_checkpoints",
    "is_evaluable",
    "latest_step",
    "list_checkpoints",
    "load_config",
    "load_params",
]
