"""Configs: allowed keys and values, reading, changes and comparison."""

from gazejax.config.ablations import apply_ablations, with_values
from gazejax.config.errors import ConfigError
from gazejax.config.files import read_config
from gazejax.config.identity import difference, fingerprint
from gazejax.config.validation import validate

__all__ = [
    "ConfigError",
    "apply_ablations",
    "difference",
    "fingerprint",
    "read_config",
    "validate",
    "with_values",
]
