"""Configs changed by named ablations or by single values."""

import copy
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gazejax.config.schema import rules_for

REMOVED = object()  # As a value in an override set: the config is to be without this key.


def apply_ablations(
    config: ConfigDict, sets: Mapping[str, Mapping[str, Any]], names: str
) -> ConfigDict:
    """Changes a config by override sets, each of which changes exactly the keys it names.

    Args:
        config: the base.
        sets: the known sets by name: new values by their dotted keys. A dictionary replaces a whole
            section, and `REMOVED` takes a key away; a key may be new if an architecture that the
            sets choose has it.
        names: the names of sets, joined with `+`; an empty text is none.

    Returns:
        The changed config, which may still be impossible: see `validate`.

    Raises:
        ValueError: if a name is unknown, two sets change one key, or a set names a key that is not
            there.

    Example:
        >>> sets = {"wide": {"encoder.width": 256}, "short": {"encoder.num_steps": 100}}
        >>> base = ConfigDict({"encoder": {"width": 128, "num_steps": 1500}})
        >>> with_overrides(base, sets, "wide+short").encoder.to_dict()
        {'num_steps': 100, 'width': 256}
    """
    chosen = names.split("+") if names else []
    owner: dict[str, str] = {}
    for name in chosen:
        if name not in sets:
            known = ", ".join(sets) or "none"
            raise ValueError(f"override set {name!r} is unknown; allowed, joined with +: {known}")
        for key in sets[name]:
            for taken, other in owner.items():
                if f"{key}.".startswith(f"{taken}.") or f"{taken}.".startswith(f"{key}."):
                    raise ValueError(
                        f"override sets {other!r} and {name!r} conflict: both change "
                        f"{max(key, taken, key=len)}"
                    )
        owner |= dict.fromkeys(sets[name], name)
    changed = copy.deepcopy(config)  # Its placeholders still know their type.
    new = []
    with changed.unlocked():
        for key, name in owner.items():
            section, _, entry = key.rpartition(".")
            parent = _entry(changed, section) if section else changed
            value = sets[name][key]
            is_there = isinstance(parent, ConfigDict) and entry in parent
            if not isinstance(parent, ConfigDict) or (value is REMOVED and not is_there):
                raise ValueError(f"override set {name!r}: the config has no key {key}")
            if is_there and (value is REMOVED or isinstance(value, Mapping)):
                del parent[entry]
            if value is not REMOVED:
                parent[entry] = ConfigDict(value) if isinstance(value, Mapping) else value
            if not is_there:
                new.append(key)
    rules = rules_for(changed.to_dict())
    for key in new:
        if _entry(rules, key) is None:
            raise ValueError(f"override set {owner[key]!r}: the config has no key {key}")
    return changed


def with_values(config: ConfigDict, values: Mapping[str, Any]) -> ConfigDict:
    """A config with single values changed, as flags of `train.py` do: by their dotted keys.

    Raises:
        ValueError: if the config has no such value, or it is of another type.
    """
    changed = copy.deepcopy(config)
    for key, value in values.items():
        section, _, entry = key.rpartition(".")
        parent = _entry(changed, section) if section else changed
        if not isinstance(parent, ConfigDict) or entry not in parent:
            raise ValueError(f"the config has no value {key}")
        is_value = isinstance(value, bool | int | float | str | tuple)
        if isinstance(parent[entry], ConfigDict) or not is_value:
            raise ValueError(f"config.{key} is {value!r}; allowed: a value that a flag can set")
        try:
            parent[entry] = value
        except TypeError as error:
            raise ValueError(f"config.{key} is {value!r}; allowed: {error}") from error
    return changed


def _entry(values: Any, key: str) -> Any:
    """What a dotted key leads to; None if nowhere."""
    for part in key.split("."):
        if not isinstance(values, Mapping | ConfigDict) or part not in values:
            return None
        values = values[part]
    return values
