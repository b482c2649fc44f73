"""Changes of configs: named ablations and single values."""

import copy
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gazejax.config.errors import ConfigError


def apply_ablations(
    config: ConfigDict, ablations: Mapping[str, Mapping[str, Any]], names: str
) -> ConfigDict:
    """Changes a config by ablations; an ablation changes exactly the keys that it names.

    Args:
        config: the base config.
        ablations: the known ablations by name: new values by dotted keys. A dictionary replaces a
            whole section, and may have other keys than the section of the base config.
        names: the names of ablations, joined with `+`; an empty text applies none.

    Returns:
        The changed config. Its values are not checked; see `validate`.

    Raises:
        ValueError: if a name is unknown, or two ablations change the same key.
        ConfigError: if an ablation names a key that the config does not have.

    Example:
        >>> ablations = {"wide": {"encoder.width": 256}, "short": {"encoder.num_steps": 100}}
        >>> base = ConfigDict({"encoder": {"width": 128, "num_steps": 1500}})
        >>> apply_ablations(base, ablations, "wide+short").encoder.to_dict()
        {'num_steps': 100, 'width': 256}
    """
    chosen = names.split("+") if names else []
    owner: dict[str, str] = {}
    for name in chosen:
        if name not in ablations:
            known = ", ".join(ablations) or "none"
            raise ValueError(f"ablation {name!r} is unknown; allowed, joined with +: {known}")
        for key in ablations[name]:
            for taken, other in owner.items():
                if f"{key}.".startswith(f"{taken}.") or f"{taken}.".startswith(f"{key}."):
                    raise ValueError(
                        f"ablations {other!r} and {name!r} conflict: both change "
                        f"{max(key, taken, key=len)}"
                    )
        owner |= dict.fromkeys(ablations[name], name)
    changed = copy.deepcopy(config)  # A deep copy keeps the types of placeholders.
    with changed.unlocked():
        for key, name in owner.items():
            section, _, entry = key.rpartition(".")
            parent = value_at(changed, section) if section else changed
            value = ablations[name][key]
            if not isinstance(parent, ConfigDict) or entry not in parent:
                text = f"ablation {name!r}: the config has no key {key}"
                raise ConfigError(key, value, "a key of the config", text)
            if isinstance(value, Mapping):
                del parent[entry]
                value = ConfigDict(value)
            parent[entry] = value
    return changed


def with_values(config: ConfigDict, values: Mapping[str, Any]) -> ConfigDict:
    """Changes single values of a config by their dotted keys, as the flags of `train.py` do.

    Raises:
        ConfigError: if the config has no such value, or the value is of another type.
    """
    changed = copy.deepcopy(config)
    for key, value in values.items():
        section, _, entry = key.rpartition(".")
        parent = value_at(changed, section) if section else changed
        if not isinstance(parent, ConfigDict) or entry not in parent:
            text = f"the config has no value {key}"
            raise ConfigError(key, value, "a key of the config", text)
        is_value = isinstance(value, bool | int | float | str | tuple)
        if isinstance(parent[entry], ConfigDict) or not is_value:
            raise ConfigError(key, value, "a value that a flag can set")
        try:
            parent[entry] = value
        except TypeError as error:
            raise ConfigError(key, value, str(error)) from error
    return changed


def value_at(values: Any, key: str) -> Any:
    """The value of a dotted key; None if the key does not exist."""
    for part in key.split("."):
        if not isinstance(values, Mapping | ConfigDict) or part not in values:
            return None
        values = values[part]
    return values
