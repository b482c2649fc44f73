"""Reads evaluated runs, and checks that they are comparable."""

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

# Settings of an evaluation that must be equal: else resamples are not paired, or metrics differ.
_SETTINGS = (
    "seed",
    "num_draws",
    "saliency_num_draws",
    "num_swaps",
    "num_resamples",
)

# Keys of a config that may differ between runs of one variant.
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
        folder: the workdir.
        seed: seed of the training.
        variant: a fingerprint of the config; equal for runs that differ in their seeds alone.
        settings: settings of the evaluation that must be equal.
        splits: names of the users and images in each set of the splits, for each fold.
        evaluation: content of `evaluation.json`.
        resamples: resamples of each metric, by the path of the metric.
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
    """Reads runs, and sorts them by table, variant and seed.

    Args:
        folders: workdirs of single runs, and folders of sweeps.

    Raises:
        FileNotFoundError: if a folder is no workdir, or a run was not evaluated.
        ValueError: if runs of a sweep are missing, or two runs have the same variant and seed.
    """
    sweeps = [folder for folder in folders if (folder / PLAN).is_file()]
    single_runs = [folder for folder in folders if folder not in sweeps]
    tables = {"runs": _read_single_runs(single_runs)} if single_runs else {}
    for folder in sweeps:
        for base, variants in _read_sweep(folder).items():
            if base in tables:
                raise ValueError(f"{folder}: another sweep has the base {base} too")
            tables[base] = variants
    return tables


def _read_single_runs(folders: Sequence[Path]) -> dict[str, dict[int, EvaluatedRun]]:
    """Reads runs outside of sweeps. A variant is named by the part of its path that differs.

    Folders `seed_0`, `seed_1`, ... of a sweep are named by the folder above.
    """
    paths = [folder.absolute() for folder in folders]
    paths = [path.parent if re.fullmatch(r"seed_\d+", path.name) else path for path in paths]
    ancestor = os.path.commonpath([path.parent for path in paths])
    name_of: dict[str, str] = {}
    variants: dict[str, dict[int, EvaluatedRun]] = {}
    for folder, path in zip(folders, paths, strict=True):
        run = read_run(folder)
        if run.variant not in name_of:
            name = path.relative_to(ancestor).as_posix()
            name_of[run.variant] = folder.as_posix() if name in name_of.values() else name
        seeds = variants.setdefault(name_of[run.variant], {})
        if run.seed in seeds:
            raise ValueError(
                f"{folder} and {seeds[run.seed].folder} have the same variant and seed {run.seed}"
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
        FileNotFoundError: if the folder is no workdir, or was not evaluated.
        ValueError: if the folder was evaluated with another config than `config.json`.
    """
    config = load_config(folder)
    path = folder / "evaluation.json"
    for needed in (path, folder / RESAMPLES):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed} does not exist; run: gazejax evaluate {folder}")
    evaluation = json.loads(path.read_text())
    if evaluation["compared"].get("config_sha256") != fingerprint(config):
        raise ValueError(
            f"{folder} was evaluated with another config than its config.json; "
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
    """Checks that runs can be averaged and compared.

    All runs need the same seeds, data, unseen users, test images and settings of the evaluation.
    Runs of one variant need the same splits.

    Raises:
        ValueError: naming two runs and what differs, or the missing seed.
    """
    (base_name, base), *_ = variants.items()
    first = next(iter(base.values()))
    for name, runs in variants.items():
        for seed in sorted(base.keys() ^ runs.keys()):
            lacking, having = (name, base_name) if seed in base else (base_name, name)
            raise ValueError(f"{lacking} has no run of seed {seed}, which {having} has")
        own = next(iter(runs.values()))
        for run in runs.values():
            _check_same(first, run, _required_equal(first), _required_equal(run))
            _check_same(own, run, splits_of_folds(own), splits_of_folds(run))


def _required_equal(run: EvaluatedRun) -> dict[str, Any]:
    splits = splits_of_folds(run)
    return {
        "digest of the data": run.evaluation["compared"]["data_digest"],
        **{f"config.{key}": value for key, value in run.settings.items()},
        **{name: splits[name] for name in ("unseen_users", "test_images")},
    }


def splits_of_folds(run: EvaluatedRun) -> dict[str, list[list[str]]]:
    """Names of the users and images in each set of the splits, for each fold."""
    names = ("seen_users", "unseen_users", "train_images", "test_images")
    return {name: [fold[name] for fold in run.splits] for name in names}


def _check_same(
    run: EvaluatedRun,
    other: EvaluatedRun,
    required: Mapping[str, Any],
    required_other: Mapping[str, Any],
) -> None:
    for name, value in required.items():
        if value != required_other[name]:
            raise ValueError(
                f"{run.folder} and {other.folder} are not comparable: their {name} differ"
            )
