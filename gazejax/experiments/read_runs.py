"""Reads evaluated runs, and refuses to compare unlike ones."""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from gazejax.config.derived import STAGES, fold_configs
from gazejax.config.identity import fingerprint
from gazejax.evaluation.run import RESAMPLES
from gazejax.experiments.sweep import PLAN, is_finished
from gazejax.workdir.layout import load_config, read_resources

# Settings of an evaluation without which resamples are not paired, or figures mean another thing.
_SETTINGS = (
    "seed",
    "num_draws",
    "saliency_num_draws",
    "num_swaps",
    "num_resamples",
)

# What does not make a run another variant.
_NOT_PART_OF_A_VARIANT = (
    "seed",
    "data.data_dir",
    "data.image_storage",
    "data.stream",
    "checkpoint",
)


class EvaluatedRun(NamedTuple):
    """An evaluated run.

    Attributes:
        folder: its workdir.
        seed: of its training.
        variant: the same text for runs that differ in their seeds alone.
        settings: those of `eval` that matter.
        splits: of each fold, by name.
        evaluation: what `evaluation.json` holds.
        resamples: the values behind its intervals, by the path of the figure.
        costs: `training_seconds`, `evaluation_seconds`, `peak_memory_bytes`,
            `operations_per_embedding` and `seconds_per_embedding`.
    """

    folder: Path
    seed: int
    variant: str
    settings: dict[str, Any]
    splits: list[dict[str, list[str]]]
    evaluation: dict[str, Any]
    resamples: dict[str, Float[np.ndarray, " resample"]]
    costs: dict[str, float]


# The runs of each variant, by seed. The first variant is the base.
Variants = Mapping[str, Mapping[int, EvaluatedRun]]


def read_tables(folders: Sequence[Path]) -> dict[str, dict[str, dict[int, EvaluatedRun]]]:
    """Reads runs, and sorts them into tables, variants and seeds.

    Raises:
        FileNotFoundError: if a folder is no workdir, or a run was not evaluated.
        ValueError: if runs of a sweep are missing, or two runs are of one variant and seed.
    """
    sweeps = [folder for folder in folders if (folder / PLAN).is_file()]
    single_runs = [folder for folder in folders if folder not in sweeps]
    tables = {"runs": _read_single_runs(single_runs)} if single_runs else {}
    for folder in sweeps:
        for base, variants in _read_sweep(folder).items():
            if base in tables:
                raise ValueError(f"{folder}: another sweep has a base {base} as well")
            tables[base] = variants
    return tables


def _read_single_runs(folders: Sequence[Path]) -> dict[str, dict[int, EvaluatedRun]]:
    """Reads runs that no sweep tells the names of: they are called by what differs in their paths.

    A folder that a sweep calls by the seed counts as the one above it.
    """
    called = [folder.absolute() for folder in folders]
    called = [one.parent if re.fullmatch(r"seed_\d+", one.name) else one for one in called]
    ancestor = os.path.commonpath([one.parent for one in called])
    name_of: dict[str, str] = {}
    variants: dict[str, dict[int, EvaluatedRun]] = {}
    for folder, one in zip(folders, called, strict=True):
        run = read_run(folder)
        if run.variant not in name_of:
            name = one.relative_to(ancestor).as_posix()
            name_of[run.variant] = folder.as_posix() if name in name_of.values() else name
        seeds = variants.setdefault(name_of[run.variant], {})
        if run.seed in seeds:
            raise ValueError(
                f"{folder} and {seeds[run.seed].folder} are of one variant and seed {run.seed}"
            )
        seeds[run.seed] = run
    return variants


def _read_sweep(folder: Path) -> dict[str, dict[str, dict[int, EvaluatedRun]]]:
    planned = json.loads((folder / PLAN).read_text())
    runs: dict[str, EvaluatedRun] = {}
    missing = []
    for one in planned:
        if is_finished(folder / one["name"], one["config_sha256"]):
            runs[one["name"]] = read_run(folder / one["name"])
        else:
            missing.append(one["name"])
    if missing:
        raise ValueError(
            f"{folder}: {len(missing)} of {len(planned)} runs are missing: {', '.join(missing)}; "
            "run gazejax sweep again"
        )
    tables: dict[str, dict[str, dict[int, EvaluatedRun]]] = {}
    for one in planned:
        variants = tables.setdefault(one["base"], {})
        variants.setdefault(one["variant"], {})[one["seed"]] = runs[one["name"]]
    return tables


def read_run(folder: Path) -> EvaluatedRun:
    """Reads an evaluated workdir.

    Raises:
        FileNotFoundError: if it is no workdir, or was not evaluated.
        ValueError: if it was evaluated by another config than it has now.
    """
    config = load_config(folder)
    path = folder / "evaluation.json"
    for needed in (path, folder / RESAMPLES):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed} does not exist; run: gazejax evaluate {folder}")
    evaluation = json.loads(path.read_text())
    if evaluation["compared"].get("config_sha256") != fingerprint(config):
        raise ValueError(
            f"{folder} was evaluated by another config than config.json has; "
            f"run: gazejax evaluate {folder}"
        )
    with np.load(folder / RESAMPLES, allow_pickle=False) as stored:
        resamples = dict(stored)
    folds = fold_configs(config, folder)
    spent = [cost for fold in folds for cost in read_resources(fold).items()]
    own = read_resources(folder)
    evaluating = own.get("evaluation", {"seconds": 0.0, "peak_memory_bytes": 0})
    stages = [cost for name, cost in spent if name in STAGES]
    return EvaluatedRun(
        folder,
        config.seed,
        fingerprint(config, _NOT_PART_OF_A_VARIANT),
        {"split.cross_validate": config.split.cross_validate}
        | {f"eval.{key}": config.eval[key] for key in _SETTINGS},
        [json.loads((fold / "splits.json").read_text()) for fold in folds],
        evaluation,
        resamples,
        {
            "training_seconds": sum(cost["seconds"] for cost in stages),
            "evaluation_seconds": evaluating["seconds"],
            "peak_memory_bytes": max(cost["peak_memory_bytes"] for cost in [*stages, evaluating]),
            "operations_per_embedding": evaluation["compared"]["operations_per_embedding"],
            "seconds_per_embedding": own.get("embedding", {"seconds": math.nan})["seconds"],
        },
    )


def check_comparable(variants: Variants) -> None:
    """Refuses runs that are not to be averaged over, or not to be compared.

    All need the same seeds, data, unseen users, test images and evaluation; the runs of one variant
    the same splits altogether.

    Raises:
        ValueError: naming two runs and what differs, or the seed that is missing.
    """
    (base_name, base), *_ = variants.items()
    first = next(iter(base.values()))
    for name, runs in variants.items():
        for seed in sorted(base.keys() ^ runs.keys()):
            lacking, having = (name, base_name) if seed in base else (base_name, name)
            raise ValueError(f"{lacking} has no run of seed {seed}, which {having} has")
        own = next(iter(runs.values()))
        for run in runs.values():
            _check_same(first, run, _of_the_question(first), _of_the_question(run))
            _check_same(own, run, splits_of_folds(own), splits_of_folds(run))


def _of_the_question(run: EvaluatedRun) -> dict[str, Any]:
    splits = splits_of_folds(run)
    return {
        "digest of the data": run.evaluation["compared"]["data_digest"],
        **{f"config.{key}": value for key, value in run.settings.items()},
        **{name: splits[name] for name in ("unseen_users", "test_images")},
    }


def splits_of_folds(run: EvaluatedRun) -> dict[str, list[list[str]]]:
    """Who and what is in each set of the splits, fold by fold."""
    names = ("seen_users", "unseen_users", "train_images", "test_images")
    return {name: [fold[name] for fold in run.splits] for name in names}


def _check_same(
    one: EvaluatedRun, other: EvaluatedRun, told: Mapping[str, Any], told_other: Mapping[str, Any]
) -> None:
    for what, value in told.items():
        if value != told_other[what]:
            raise ValueError(
                f"{one.folder} and {other.folder} are not to be compared: their {what} differ"
            )
