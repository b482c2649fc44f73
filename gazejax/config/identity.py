"""Comparison of configs: whether two configs are the same experiment."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from gazejax.config.derived import ENCODER_STAGES

_MOST_SHOWN = 5

# Keys and sections that may change between two runs in one workdir: the experiment is the same.
NOT_PART_OF_THE_EXPERIMENT = (
    "stage",
    "split.test_image_overlap",
    "data.data_dir",
    "data.image_storage",
    "data.stream",
    "checkpoint",
    "controls.train_permuted_encoder",
    "eval",
)

# Keys and sections on which the stages `encoder` and `permuted_encoder` do not depend, unless they
# read predicted universal maps.
_NOT_PART_OF_THE_ENCODER = (
    *NOT_PART_OF_THE_EXPERIMENT,
    "saliency",
    "universal",
    "controls.embeddings",
)


def not_part_of(stage: str, universal_map: str) -> tuple[str, ...]:
    """Keys and sections of a config on which a stage does not depend.

    Args:
        stage: name of the stage.
        universal_map: value of `data.universal_map`.
    """
    if stage in ENCODER_STAGES and universal_map != "predicted":
        return _NOT_PART_OF_THE_ENCODER
    return NOT_PART_OF_THE_EXPERIMENT


def fingerprint(config: ConfigDict, ignored: Iterable[str] = ("data.data_dir",)) -> str:
    """SHA-256 of all values of a config except those of the ignored keys and sections."""
    values = _flatten(config.to_dict())
    kept = {key: value for key, value in values.items() if not _is_ignored(key, ignored)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _is_ignored(key: str, ignored: Iterable[str]) -> bool:
    return any(f"{key}.".startswith(f"{section}.") for section in ignored)


def difference(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    ignored: Iterable[str] = NOT_PART_OF_THE_EXPERIMENT,
) -> str | None:
    """Describes the values that make two configs different experiments; None if there are none.

    Args:
        one: nested dictionary of a config, from `ConfigDict.to_dict` or JSON.
        other: nested dictionary of the config to compare with.
        ignored: keys and sections whose values may differ.
    """
    flat_one, flat_other = _flatten(one), _flatten(other)
    changes = [
        f"config.{key} was {flat_one.get(key)!r} and is now {flat_other.get(key)!r}"
        for key in changed_keys(one, other)
        if not _is_ignored(key, ignored)
    ]
    more = [f"and {len(changes) - _MOST_SHOWN} more"] if len(changes) > _MOST_SHOWN else []
    return ", ".join(changes[:_MOST_SHOWN] + more) or None


def changed_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Sorted dotted keys whose values differ between two configs, or that only one config has."""
    flat_one, flat_other = _flatten(one), _flatten(other)
    return sorted(
        key
        for key in flat_one.keys() | flat_other.keys()
        if key not in flat_one or key not in flat_other or flat_one[key] != flat_other[key]
    )


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat
