"""Sweeps: many trainings from one file of plain data, one after the other, none of them twice.

A sweep file is a Python file with one dictionary, `SWEEP`; it is executed, as a config file is:

bases   config files, with override sets or without: ("configs/osie.py:validation",)
values  what all runs have, by dotted key: {"stage": "encoder"}
sets    variants of every base: override sets, joined with + where they go together
grids   more variants: each grid is a dictionary of dotted keys, or `sets`, and the values of each,
        all of which are combined
seeds   one run each, of every base and variant

A base is a variant of itself, `base`, that the others are compared with. A variant whose values are
those of another is that one. Every run is a `train.py` of its own, in `base/variant/seed_0`.
"""

import importlib.util
import itertools
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gazejax import interruption
from gazejax.config import (
    changed_keys,
    fingerprint,
    not_part_of,
    validate,
    with_values,
)
from gazejax.progress import track
from gazejax.stages import ENCODERS
from gazejax.workdir import copy_encoders, locked, write_json

BASE = "base"
PLAN = "sweep.json"


class Run(NamedTuple):
    """One training of a sweep.

    Attributes:
        base: name of its base.
        variant: what is other than in the base, in words.
        seed: its seed.
        file: config file and override sets, as `--config` takes them.
        values: what else is set, by dotted key.
        config: what comes of them.
    """

    base: str
    variant: str
    seed: int
    file: str
    values: dict[str, Any]
    config: ConfigDict

    @property
    def name(self) -> str:
        """Its folder in that of the sweep."""
        return f"{self.base}/{self.variant}/seed_{self.seed}"


def read_sweep(path: Path) -> dict[str, Any]:
    """Reads a sweep file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the key, if it is no sweep.
    """
    if not path.is_file():
        raise FileNotFoundError(f"sweep file {path} does not exist")
    sweep = getattr(_module(path), "SWEEP", None)
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
    """Every run of a sweep, in the order in which they run: seed by seed, the base first.

    Raises:
        ValueError: if a config is impossible, two things set one key, or two runs have one name.
    """
    variants = [_Variant(BASE, "", {})]
    variants += [_Variant(_folder_name(sets), sets, {}) for sets in sweep["sets"]]
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
            raise ValueError(f"two runs of the sweep are called {name}: name every variant once")
    return runs


def shard_of(runs: Sequence[Run], shard: str) -> list[Run]:
    """Part i of n of the runs, for the text `i/n`; runs that share an encoder stay together.

    Raises:
        ValueError: if the text is no such part.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise ValueError(f"shard is {shard!r}; allowed: i/n with i from 1 to n, such as 1/4")
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_encoder_of(run), []).append(run)
    load = [0] * count
    mine: set[str] = set()
    # The largest first, each to the part with the least to do.
    for group in sorted(groups.values(), key=len, reverse=True):
        part = load.index(min(load))
        load[part] += len(group)
        if part == number - 1:
            mine |= {run.name for run in group}
    return [run for run in runs if run.name in mine]


def command(run: Run, workdir: Path) -> list[str]:
    """The command that trains and evaluates a run."""
    return [
        sys.executable,
        "train.py",
        f"--config={run.file}",
        f"--workdir={workdir / run.name}",
        *(f"--config.{key}={value}" for key, value in run.values.items()),
    ]


def environment(workdir: Path) -> dict[str, str]:
    """What the runs of a sweep find in their environment: where they share what XLA compiles."""
    # What one machine compiled may not run on another.
    folder = workdir.absolute() / ".shared" / "compiled" / platform.node()
    shared = {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }
    return {key: os.environ.get(key, value) for key, value in shared.items()}


def print_commands(path: Path, workdir: Path, shard: str) -> None:
    """Prints the command of every run of a part, a line for a shell each."""
    settings = [f"{key}={shlex.quote(value)}" for key, value in environment(workdir).items()]
    for run in shard_of(plan(read_sweep(path)), shard):
        print(*settings, shlex.join(command(run, workdir)))


def run_sweep(path: Path, workdir: Path, shard: str) -> None:
    """Runs what is left of a part of a sweep, and writes the plan of all of it.

    Raises:
        FileNotFoundError: if there is no such file, or no `train.py` in the current folder.
        ValueError: if it is no sweep; or in the end, if runs failed, naming them.
        InterruptedRunError: after a signal, once the run under way has saved.
    """
    if not Path("train.py").is_file():
        raise FileNotFoundError("there is no train.py here; run gazejax sweep in the checkout")
    runs = plan(read_sweep(path))
    mine = shard_of(runs, shard)
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(
        workdir / PLAN,
        [
            {key: getattr(run, key) for key in ("name", "base", "variant", "seed")}
            | {"config_sha256": fingerprint(run.config)}
            for run in runs
        ],
    )
    left = [run for run in mine if not is_finished(workdir / run.name, fingerprint(run.config))]
    done, failed = len(mine) - len(left), []
    with track("sweep", len(mine), start=done) as show:
        for run in left:
            show(done, run.name)
            _share_encoder(run, runs, workdir)
            if not is_finished(workdir / run.name, fingerprint(run.config)):
                reason = _train(run, workdir)
                if reason is not None:
                    print(f"failed: {run.name}: {reason}", file=sys.stderr)
                    failed.append(run.name)
                    continue
            done += 1
            show(done, f"{run.name} is finished")
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(mine)} runs failed: {', '.join(failed)}; the same command "
            "tries them again"
        )


def is_finished(folder: Path, config_sha256: str) -> bool:
    """Whether a folder holds the evaluation of a training by the config of this fingerprint."""
    path = folder / "evaluation.json"
    if not path.is_file():
        return False
    compared = json.loads(path.read_text())["compared"]
    return compared.get("config_sha256") == config_sha256


def _share_encoder(run: Run, runs: Sequence[Run], workdir: Path) -> None:
    """Gives a run the encoder of another that has the same; waits while the folder is in use."""
    others = [one for one in runs if one.name != run.name and _encoder_of(one) == _encoder_of(run)]
    asked = ENCODERS if run.config.controls.permuted_users else ENCODERS[:1]
    has_told = False
    while True:
        try:
            with locked(workdir / run.name):
                for other in others:
                    if (workdir / other.name / "config.json").is_file():
                        copy_encoders(workdir / other.name, workdir / run.name, asked)
                return
        except BlockingIOError as error:  # The last sweep was killed, and its run goes on.
            if not has_told:
                print(f"waiting: {error}", file=sys.stderr)
            has_told = True
            time.sleep(1.0)


def _train(run: Run, workdir: Path) -> str | None:
    """Trains and evaluates one run; returns why it failed, or None."""
    log = workdir / run.name / "train.log"
    with interruption.deferred(), log.open("ab") as file:
        process = subprocess.Popen(
            command(run, workdir),
            env=os.environ | environment(workdir),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # Control-C is for the sweep, which hands it on once: twice would end a run at once.
            start_new_session=True,
        )
        is_told = False
        while process.poll() is None:
            if interruption.is_asked() and not is_told:
                process.terminate()
                is_told = True
            time.sleep(0.1)
    if interruption.is_asked() or process.returncode == interruption.EXIT_STATUS:
        raise interruption.InterruptedRunError(f"the sweep stopped in {run.name}")
    if process.returncode == 0:
        return None
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing was said"]
    return f"exit status {process.returncode}: {last[0]} (all of it in {log})"


def _encoder_of(run: Run) -> str:
    """The same text for runs that train the same encoder."""
    return fingerprint(run.config, not_part_of("encoder", run.config))


class _Variant(NamedTuple):
    """What is other than in a base: override sets, joined with +, and values by dotted key."""

    name: str
    sets: str
    values: dict[str, Any]


def _combinations(grid: Mapping[str, tuple[Any, ...]], sweep: Mapping[str, Any]) -> list[_Variant]:
    every = {key for one in sweep["grids"] for key in one}
    found = []
    for combination in itertools.product(*grid.values()):
        values = dict(zip(grid, combination, strict=True))
        sets = values.pop("sets", "")
        parts = [f"{_short(key, every)}={value}" for key, value in values.items()]
        name = _folder_name(",".join([sets, *parts] if sets else parts))
        found.append(_Variant(name, sets, values))
    return found


def _short(key: str, every: set[str]) -> str:
    """The end of a dotted key that no other of them has."""
    parts = key.split(".")
    ends = [".".join(parts[start:]) for start in range(len(parts))]
    return next(
        end for end in reversed(ends) if sum(f".{one}".endswith(f".{end}") for one in every) == 1
    )


def _make_run(base: str, variant: _Variant, common: Mapping[str, Any]) -> Run:
    file = base
    if variant.sets:
        file = f"{base}{'+' if ':' in base else ':'}{variant.sets}"
    config = _read_config(file)
    path, _, sets = base.partition(":")
    name = _folder_name("+".join([Path(path).stem, *([sets] if sets else [])]))
    by_sets = set(changed_keys(_read_config(base).to_dict(), config.to_dict()))
    for one, keys, other, others in (
        ("values", common.keys(), "grid", variant.values.keys()),
        ("values", common.keys(), "sets", by_sets),
        ("grid", variant.values.keys(), "sets", by_sets),
        ("seeds", {"seed"}, "values or sets", common.keys() | variant.values.keys() | by_sets),
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


def _read_config(file: str) -> ConfigDict:
    path, *sets = file.split(":", 1)
    if not Path(path).is_file():
        raise FileNotFoundError(f"config file {path} does not exist")
    return _module(Path(path)).get_config(*sets)


def _module(path: Path) -> Any:
    """Executes a Python file."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # Config files build on each other, as `configs.NAME`.
    spec = importlib.util.spec_from_file_location(f"file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
        and all(isinstance(sets, str) for sets in value.get("sets", ()))
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
    "sets": ("a tuple of texts", _is_texts),
    "grids": (
        "a tuple of dictionaries, of tuples of values by dotted key or 'sets'",
        lambda value: isinstance(value, tuple) and all(map(_is_grid, value)),
    ),
    "seeds": ("a tuple of one or more different integers of at least 0", _is_seeds),
}
