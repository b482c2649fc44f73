"""Evaluates a workdir: runs the protocols on every fold it holds and writes the figures."""

import datetime
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gazejax.config.derived import STAGES, fold_configs
from gazejax.config.identity import fingerprint
from gazejax.data.loading import load_dataset
from gazejax.data.splits import Splits
from gazejax.evaluation.figures import plot_evaluation
from gazejax.evaluation.folds import GROUPS, Fold, make_representations, open_fold, represent_users
from gazejax.evaluation.report import format_evaluation, format_evaluation_on
from gazejax.evaluation.score_maps import score_predictions
from gazejax.evaluation.verify_users import verify_users
from gazejax.inference.embed import measure_embedding
from gazejax.runtime.files import (
    path_in_errors,
    source_commit,
    write_arrays,
    write_json,
    write_text,
)
from gazejax.runtime.progress import track
from gazejax.workdir.guards import check_no_trained_images
from gazejax.workdir.layout import latest_step, load_config, load_projection, write_resources
from gazejax.workdir.parameters import load_params

# The values behind the intervals of a workdir's figures.
RESAMPLES = "evaluation_resamples.npz"


def evaluate(workdir: Path) -> dict[str, Any]:
    """Evaluates the stages that a workdir holds, prints the tables and writes everything there.

    Returns:
        What `evaluation.json` holds.

    Raises:
        FileNotFoundError: if the folder is no workdir, or its data set is not prepared.
        ValueError: if the data set is not the one of the training, or a user or image that is to
            be unseen took part in it.
    """
    started = time.monotonic()
    config = load_config(workdir)
    dataset = load_dataset(config, load_projection(workdir))
    configs = fold_configs(config, workdir)
    folds = []
    with track("evaluation, embeddings", len(configs)) as show:
        for folder, fold_config in configs.items():
            folds.append(open_fold(folder, fold_config, dataset))
            show(len(folds), "folds")
    result: dict[str, Any] = {"encoder": {}, "encoder_differences": {}}
    curves: dict[str, Any] = {}
    resamples: dict[str, np.ndarray] = {}
    with track("evaluation, stage 1", len(GROUPS)) as show:
        for number, group in enumerate(GROUPS, start=1):
            table, differences, curves[group], resampled = verify_users(
                group, folds, config, dataset
            )
            resamples |= _named(f"encoder/{group}/encoder", resampled)
            result["encoder"][group] = table
            result["encoder_differences"][group] = differences
            show(number, f"{group} users")
    examples: list[dict[str, Any]] = []
    if all(latest_step(fold.workdir, "saliency") is not None for fold in folds):
        result |= {"saliency": {}, "saliency_differences": {}, "saliency_users": {}}
        for group in GROUPS:
            tables, examples, resampled = score_predictions(group, folds, config, dataset)
            resamples |= _named(f"saliency/{group}", resampled)
            for key, table in tables.items():
                result[key][group] = table
    first = folds[0]
    cost = measure_embedding(
        first.config, load_params(first.workdir, "encoder"), first.viewings["encoder"]
    )
    result["compared"] = _describe(config, folds) | {
        "operations_per_embedding": cost.num_operations,
        "data_digest": dataset.digest,
        "config_sha256": fingerprint(config),
    }
    # The resamples first: where `evaluation.json` is, all is.
    write_arrays(workdir / RESAMPLES, resamples)
    write_json(workdir / "evaluation.json", result)
    text = format_evaluation(result)
    write_text(workdir / "evaluation.md", text)
    with path_in_errors(workdir / "plots"):
        plot_evaluation(workdir / "plots", result, curves, examples, folds[0], dataset)
    write_resources(workdir, "embedding", seconds=cost.seconds)
    write_resources(workdir, "evaluation", seconds=time.monotonic() - started)
    print(text)
    return result


def evaluate_on(workdir: Path, name: str, data_dir: Path | None) -> dict[str, Any]:
    """Evaluates the encoder of a workdir on the people of another data set, whom it never met.

    Each viewing is somebody's first look at an image, as in most training data; the universal map
    of an image is that of the others there. Prints the table and writes it to the workdir.

    Args:
        workdir: of a finished stage `encoder`, with one fold or several; figures are the mean over
            the encoders of the folds.
        name: name and configuration of a prepared data set.
        data_dir: folder of prepared data sets; None is TFDS's own default.

    Returns:
        What `evaluation_<name>.json` holds.

    Raises:
        FileNotFoundError: if the folder is no workdir, or the data set is not prepared.
        ValueError: if the encoder was trained with an image of that data set, or needs durations
            that nobody knows.
    """
    config = load_config(workdir)
    trained_on = config.data.name
    config.data.update(name=name, first_trial_only=True)
    config.split.update(
        train_image_overlap=None, test_image_overlap=None
    )  # They saw what they saw.
    config.data.data_dir = None if data_dir is None else str(data_dir)
    dataset = load_dataset(config, load_projection(workdir))
    users, images = np.arange(len(dataset.user_ids)), np.arange(len(dataset.image_ids))
    nobody = np.array([], int)
    folds = []
    for folder, fold_config in fold_configs(config, workdir).items():
        check_no_trained_images(folder, "encoder", dataset)
        # All may be part of the universal map, from which everybody's own is left out.
        splits = Splits(users, nobody, images, images)
        viewings, universal, methods = make_representations(folder, fold_config, dataset, splits)
        compared = {"unseen": represent_users(methods, users, images)}
        folds.append(Fold(folder, fold_config, splits, viewings, universal, compared))
    table, differences, *_ = verify_users("unseen", folds, config, dataset)
    result = {
        "encoder": table,
        "encoder_differences": differences,
        "compared": _describe(config, folds) | {"trained_on": trained_on},
    }
    text = format_evaluation_on(result)
    stem = f"evaluation_{name.replace('/', '_')}"
    write_json(workdir / f"{stem}.json", result)
    write_text(workdir / f"{stem}.md", text)
    print(text)
    return result


def _named(prefix: str, values: Mapping[str, Any]) -> dict[str, Float[np.ndarray, " resample"]]:
    """Nested resampled values under flat names: those that lead to the figure in the result."""
    named: dict[str, np.ndarray] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            named |= _named(f"{prefix}/{name}", value)
        else:
            named[f"{prefix}/{name}"] = value.astype(np.float32)
    return named


def _describe(config: ConfigDict, folds: Sequence[Fold]) -> dict[str, Any]:
    """What exactly was compared."""
    first, options = folds[0], config.eval
    return {
        "data": config.data.name,
        "purpose": config.split.purpose,
        **{name: len(members) for name, members in first.splits._asdict().items()},
        **{f"{name}_steps": latest_step(first.workdir, name) for name in STAGES},
        "encoder_draws": options.num_draws,
        "saliency_draws": options.saliency_num_draws,
        "derangements": options.num_swaps,
        "resamples": options.num_resamples,
        "common_fixations": options.truncated_fixations,
        "first_trial_only": config.data.first_trial_only,
        "drop_first_fixation": config.data.drop_first_fixation,
        "training_seed": config.seed,
        "evaluation_seed": options.seed,
        "evaluated_folds": [fold.config.split.fold for fold in folds],
        "fold": first.config.split.fold if len(folds) == 1 else None,
        "folds": first.config.split.folds,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": source_commit(),
    }
