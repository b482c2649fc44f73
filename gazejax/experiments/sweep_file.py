"""Reads a sweep file and plans its runs."""

import itertools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gazejax.config.ablations import with_values
from gazejax.config.files import execute, find_file, read_config
from gazejax.config.identity import changed_keys, fingerprint
from gazejax.config.validation import validate

BASE = "base"


class Run(NamedTuple):
    """One training of a sweep.

    Attributes:
        base: name of the base.
        variant: name of the variant: the ablations and values that differ from the base.
        seed: seed of the training.
        file: config and ablations, as `--config` takes them.
        values: values that are set besides, by dotted key.
        config: the resulting config.
    """

    base: str
    variant: str
    seed: int
    file: str
    values: dict[str, Any]
    config: ConfigDict

    @property
    def name(self) -> str:
        """Folder of the run, relative to the folder of the sweep."""
        return f"{self.base}/{self.variant}/seed_{self.seed}"


def read_sweep(sweep_file: Path | str) -> dict[str, Any]:
    """Reads a sweep file.

    Args:
        sweep_file: the path of the file, or its name in `gazejax.configs.sweeps`.

    Returns:
        The dictionary `SWEEP` of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the key, if the file is no sweep.
    """
    path = find_file(str(sweep_file), "sweeps")
    sweep = getattr(execute(path), "SWEEP", None)
    if not isinstance(sweep, Mapping):
        raise ValueError(f"{path} has no dictionary SWEEP")
    for key in sweep:
        if key not in _RULES:
            raise ValueError(f"{path}: SWEEP[{key!r}] is unknown; allowed: {', '.join(_RULES)}")
    for key, (allowed, is_allowed) in _RULES.items():
        if key not in sweep:
            raise ValueError(f"{path}: SWEEP[{key!r}] is missing; allowed: {allowed}")
        if not is_allowed(sweep[key]):
            raise ValueError(f"{path}: SWEEP[{key!r}] is {sweep[key]!r}; allowed: {allowed}")
    return dict(sweep)


def plan(sweep: Mapping[str, Any]) -> list[Run]:
    """Plans the runs of a sweep, in the order in which they run: seed by seed, the base first.

    Args:
        sweep: the dictionary `SWEEP` of a sweep file.

    Raises:
        ConfigError: if an ablation or value names an unknown key.
        ValueError: if a config is impossible, a key is set twice, or two runs have the same name.
    """
    variants = [_Variant(BASE, "", {})]
    variants += [_Variant(_folder_name(names), names, {}) for names in sweep["ablations"]]
    variants += [variant for grid in sweep["grids"] for variant in _combinations(grid, sweep)]
    unseeded: list[Run] = []
    for base in sweep["bases"]:
        known: set[str] = set()
        for variant in variants:
            run = _make_run(base, variant, sweep["values"])
            if fingerprint(run.config) not in known:
                unseeded.append(run)
            known.add(fingerprint(run.config))
    runs = [_with_seed(run, seed) for seed in sweep["seeds"] for run in unseeded]
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"two runs of the sweep have the name {name}; allowed: one variant a name"
            )
    return runs


class _Variant(NamedTuple):
    """Differences from a base: names of ablations, joined with +, and values by dotted key."""

    name: str
    ablations: str
    values: dict[str, Any]


def _combinations(grid: Mapping[str, tuple[Any, ...]], sweep: Mapping[str, Any]) -> list[_Variant]:
    keys = {key for one in sweep["grids"] for key in one}
    variants = []
    for combination in itertools.product(*grid.values()):
        values = dict(zip(grid, combination, strict=True))
        ablations = values.pop("ablations", "")
        parts = [f"{_short(key, keys)}={value}" for key, value in values.items()]
        name = _folder_name(",".join([ablations, *parts] if ablations else parts))
        variants.append(_Variant(name, ablations, values))
    return variants


def _short(key: str, keys: set[str]) -> str:
    """The shortest end of a dotted key that no other key has."""
    parts = key.split(".")
    ends = [".".join(parts[start:]) for start in range(len(parts))]
    return next(
        end for end in reversed(ends) if sum(f".{one}".endswith(f".{end}") for one in keys) == 1
    )


def _make_run(base: str, variant: _Variant, common: Mapping[str, Any]) -> Run:
    file = base
    if variant.ablations:
        file = f"{base}{'+' if ':' in base else ':'}{variant.ablations}"
    config = read_config(file)
    path, _, ablations = base.partition(":")
    name = _folder_name("+".join([Path(path).stem, *([ablations] if ablations else [])]))
    ablated = set(changed_keys(read_config(base).to_dict(), config.to_dict()))
    for one, keys, other, others in (
        ("values", common.keys(), "grid", variant.values.keys()),
        ("values", common.keys(), "ablations", ablated),
        ("grid", variant.values.keys(), "ablations", ablated),
        ("seeds", {"seed"}, "values or ablations", common.keys() | variant.values.keys() | ablated),
    ):
        for key in sorted(keys & others):
            raise ValueError(f"{name}/{variant.name}: {one} and {other} both set {key}")
    values = {**common, **variant.values}
    try:
        config = with_values(config, values)
        validate(config)
        if config.stage not in ("all", "encoder"):
            raise ValueError(
                f"config.stage is {config.stage!r}; allowed in a sweep: 'all', or 'encoder', which "
                "can be evaluated"
            )
    except ValueError as error:
        raise ValueError(f"{name}/{variant.name}: {error}") from error
    return Run(name, variant.name, config.seed, file, values, config)


def _with_seed(run: Run, seed: int) -> Run:
    values = {"seed": seed}
    return run._replace(
        seed=seed, values=run.values | values, config=with_values(run.config, values)
    )


def _folder_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._=,+-]+", "-", text).strip("-")


def _is_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, str) and one for one in value)


def _is_by_text(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _is_grid(value: Any) -> bool:
    return (
        _is_by_text(value)
        and len(value) > 0
        and all(isinstance(values, tuple) and values for values in value.values())
        and all(isinstance(names, str) for names in value.get("ablations", ()))
    )


def _is_seeds(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and all(type(seed) is int and seed >= 0 for seed in value)
        and len(value) == len(set(value)) > 0
    )


_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "bases": ("a tuple of one or more texts", lambda value: _is_texts(value) and len(value) > 0),
    "values": ("a dictionary of values by dotted key", _is_by_text),
    "ablations": ("a tuple of texts", _is_texts),
    "grids": (
        "a tuple of dictionaries, of tuples of values by dotted key or 'ablations'",
        lambda value: isinstance(value, tuple) and all(map(_is_grid, value)),
    ),
    "seeds": ("a tuple of one or more different integers of at least 0", _is_seeds),
}
