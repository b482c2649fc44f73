"""Evaluates a workdir: runs the protocols on every fold it holds and writes the metrics."""

import datetime
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gazejax.config.derived import ENCODER_STAGES, STAGES, dataset_names, fold_configs
from gazejax.config.identity import fingerprint
from gazejax.data.joining import find_copies, has_pictures, rule_of
from gazejax.data.loading import load_dataset
from gazejax.data.reader import open_source
from gazejax.data.splits import Splits
from gazejax.evaluation.as_loaded import as_loaded
from gazejax.evaluation.few_shot.people import identify_users
from gazejax.evaluation.figures import plot_evaluation
from gazejax.evaluation.folds import (
    GROUPS,
    Run,
    open_runs,
    represent_fold,
    without_copies,
)
from gazejax.evaluation.prediction.score_maps import score_predictions
from gazejax.evaluation.prediction.variants import prediction_variants
from gazejax.evaluation.report import format_evaluation, format_evaluation_on
from gazejax.evaluation.report_data import (
    REPORT_DATA,
    describe_users,
    pack_curves,
    pack_examples,
)
from gazejax.evaluation.traits import describe_probes, fit_probes, format_traits
from gazejax.evaluation.verification.same_person import calibrate_scores, format_calibration
from gazejax.evaluation.verification.verify_users import compares_sessions, verify_users
from gazejax.inference.embed import measure_embedding
from gazejax.inference.networks import encoder_network
from gazejax.runtime.devices import without_x64
from gazejax.runtime.files import (
    path_in_errors,
    source_commit,
    write_arrays,
    write_json,
    write_result,
    write_text,
)
from gazejax.runtime.progress import track
from gazejax.workdir.finished import check_finished
from gazejax.workdir.guards import check_no_trained_images
from gazejax.workdir.layout import (
    latest_step,
    load_config,
    load_projection,
    write_calibration,
    write_resources,
)
from gazejax.workdir.parameters import load_params
from gazejax.workdir.probes import write_probes

# The values behind the intervals of a workdir's metrics.
RESAMPLES = "evaluation_resamples.npz"


@without_x64
def evaluate(workdir: Path) -> dict[str, Any]:
    """Evaluates the stages that a workdir holds, and writes the metrics there.

    The metrics are of the users and images of the first data set. Those of each other data set that
    the run was trained on stand under `datasets`; users of two data sets are never compared.

    Returns:
        What `evaluation.json` holds.

    Raises:
        FileNotFoundError: if the folder is no workdir, or its data set is not prepared.
        ValueError: if the data set is not the one of the training, a user or image that is to
            be unseen took part in it, or a stage is not finished.
    """
    started = time.monotonic()
    result: dict[str, Any] = {}
    resamples: dict[str, np.ndarray] = {}
    seconds = 0.0
    for number, run in enumerate(open_runs(workdir)):
        name = run.dataset.name
        plots = workdir / "plots" / name.replace("/", "_") if number else workdir / "plots"
        loaded = as_loaded(run)
        found, resampled, shown, cost = _evaluate_users(run, loaded, plots)
        if number:
            result.setdefault("datasets", {})[name] = found
            resamples |= {f"datasets/{name}/{key}": values for key, values in resampled.items()}
        else:
            result, resamples, seconds = found, resampled, cost
            write_arrays(workdir / REPORT_DATA, shown)
            for fold in run.folds:
                write_calibration(fold.workdir, found["same_person"])
            probes = fit_probes(loaded)
            for fold, of_fold in zip(run.folds, probes, strict=True):
                write_probes(fold.workdir, of_fold)
            result["traits"] = describe_probes(probes)
    # `evaluation.json` last: where it is, all is.
    write_arrays(workdir / RESAMPLES, resamples)
    text = format_evaluation(result) + format_calibration(result["same_person"])
    text += format_traits(result["traits"])
    write_text(workdir / "evaluation.md", text)
    write_json(workdir / "evaluation.json", result)
    write_resources(workdir, "embedding", seconds=seconds)
    write_resources(workdir, "evaluation", seconds=time.monotonic() - started)
    return result


def _evaluate_users(
    run: Run, loaded: Run, plots: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, np.ndarray], float]:
    """Evaluates the users of one data set, and draws the plots.

    Args:
        run: the run.
        loaded: as a loaded model embeds its users, whose comparison is calibrated.
        plots: the folder of the plots.

    Returns:
        Metrics, resampled metrics by their path, what a report shows beside them, and seconds that
        an embedding takes.
    """
    folds = run.folds
    result: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    resamples: dict[str, np.ndarray] = {}
    with track("evaluation, stage 1", len(GROUPS)) as show:
        for number, group in enumerate(GROUPS, start=1):
            tables, of_tables, resampled = verify_users(group, run)
            for key, of_table in of_tables.items():
                curves.setdefault(key, {})[group] = of_table
            for key, values in resampled.items():
                resamples |= _named(f"{key}/{group}/encoder", values)
            for key, table in tables.items():
                result.setdefault(key, {})[group] = table
            show(number, f"{group} users")
    result["same_person"] = calibrate_scores(loaded)
    examples: list[dict[str, Any]] = []
    if all(fold.saliency_is_trained() for fold in folds):
        variants = prediction_variants(run)
        if not variants:
            print(
                "evaluation, stage 2, left out: fewer than two users of a group, or of half of it, "
                "have a test image to enrol with and another one to predict",
                file=sys.stderr,
            )
        for group in GROUPS if variants else ():
            tables, found, resampled = score_predictions(group, run, variants)
            examples = found or examples
            for key, values in resampled.items():
                resamples |= _named(f"{key}/{group}", values)
            for key, table in tables.items():
                result.setdefault(key, {})[group] = table
    if run.config.split.test_rule == "osie_published":
        result["few_shot"] = identify_users(run)
    first = folds[0]
    cost = measure_embedding(
        encoder_network(first.config, num_users=len(first.splits.seen_users)),
        load_params(first.workdir, "encoder"),
        first.inputs["encoder"],
        batch_size=first.config.eval.batch_size,
    )
    result["compared"] = _describe(run) | {
        "operations_per_embedding": cost.num_operations,
        "data_digest": run.dataset.digest,
        "config_sha256": fingerprint(run.config),
    }
    users = describe_users(first, run.dataset)
    with path_in_errors(plots):
        plot_evaluation(plots, result, curves, examples, users, run.dataset)
    shown = {**users, **pack_curves(curves), **pack_examples(examples, run.dataset)}
    return result, resamples, shown, cost.seconds


@without_x64
def evaluate_on(workdir: Path, dataset_name: str, data_dir: Path | None) -> dict[str, Any]:
    """Evaluates the encoder of a workdir on another data set, all of whose users are unseen.

    Each viewing is a user's first trial of an image, as in most training data; the universal map of
    an image is that of the other users of the data set. Prints the table and writes it to the
    workdir.

    Args:
        workdir: of a finished stage `encoder`, with one fold or several; metrics are the mean over
            the encoders of the folds.
        dataset_name: name and configuration of a prepared data set.
        data_dir: folder of prepared data sets; None is that of the training.

    Returns:
        What `evaluation_<name>.json` holds.

    Raises:
        FileNotFoundError: if the folder is no workdir, or the data set is not prepared.
        ValueError: if the encoder was trained with an image of that data set or a copy of one,
            needs durations that are unknown, or is not finished; or if several data sets are named.
    """
    if len(dataset_names(dataset_name)) > 1:
        raise ValueError(f"--dataset is {dataset_name!r}; allowed: one prepared data set")
    trained_with = load_config(workdir)
    config = trained_with.copy_and_resolve_references()
    config.data.update(name=dataset_name, first_trial_only=True)
    if data_dir is not None:
        config.data.data_dir = str(data_dir)
    # The users of the data set saw the images that they saw.
    config.split.update(train_image_overlap=None, test_image_overlap=None)
    dataset = load_dataset(config, load_projection(workdir))
    trained_on = dict.fromkeys(dataset_names(trained_with.data.name), trained_with.data.data_dir)
    copies = _find_copies(trained_on | {dataset_name: config.data.data_dir})
    users, images = np.arange(len(dataset.user_ids)), np.arange(len(dataset.image_ids))
    none = np.array([], int)
    used: tuple[str, ...] = ENCODER_STAGES
    if config.data.universal_map == "predicted":
        used = (*used, "universal")
    folds = []
    for folder, fold_config in fold_configs(config, workdir).items():
        check_finished(folder, used)
        check_no_trained_images(folder, "encoder", dataset, copies)
        # All users contribute to universal maps, from which the own map is left out.
        splits = Splits(users, none, images, without_copies(dataset, images))
        folds.append(represent_fold(folder, fold_config, dataset, splits, {"unseen": users}))
    run = Run(workdir, config, dataset, folds)
    tables, *_ = verify_users("unseen", run)
    known = {"trained_on": trained_with.data.name, "copies_are_known": copies is not None}
    result = tables | {"compared": _describe(run) | known}
    stem = f"evaluation_{dataset_name.replace('/', '_')}"
    write_result(workdir, stem, result, format_evaluation_on(result))
    return result


def _find_copies(data_dirs: Mapping[str, str | None]) -> list[list[str]] | None:
    """Copies among the images of data sets; None, with a message, if one cannot be compared."""
    try:
        without = [
            name
            for name, folder in data_dirs.items()
            if not has_pictures(open_source(name, folder))
        ]
        if not without:
            return find_copies(data_dirs)
        reason = f"{without[0]} has no pictures"
    except FileNotFoundError as error:
        reason = str(error)
    print(f"copies of training images were not sought: {reason}", file=sys.stderr)
    return None


def _named(prefix: str, values: Mapping[str, Any]) -> dict[str, Float[np.ndarray, " resample"]]:
    """Nested resampled values under flat names: those that lead to the metric in the result."""
    named: dict[str, np.ndarray] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            named |= _named(f"{prefix}/{name}", value)
        else:
            named[f"{prefix}/{name}"] = value.astype(np.float32)
    return named


def _describe(run: Run) -> dict[str, Any]:
    """What exactly was compared."""
    config, folds = run.config, run.folds
    first, options = folds[0], config.eval
    return {
        "data": run.dataset.name,
        "purpose": config.split.purpose,
        "test_rule": config.split.test_rule,
        **_of_several(run),
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
        **_sessions(run),
        "fold": first.config.split.fold if len(folds) == 1 else None,
        "folds": first.config.split.folds,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": source_commit(),
    }


def _of_several(run: Run) -> dict[str, str]:
    """What a run on several data sets says of the one that is evaluated."""
    name, trained_on = run.dataset.name, run.config.data.name
    if name == trained_on:
        return {}
    return {
        "trained_on": trained_on,
        "test_rule": rule_of(name, run.config.split.test_rule),
    }


def _sessions(run: Run) -> dict[str, str]:
    """What gallery and probe are taken from, where that is known; see `report`."""
    recordings = run.dataset.recordings
    if recordings is None:
        return {}
    if len(np.unique(recordings.user)) == len(recordings.user):
        return {"sessions": "one"}
    if not compares_sessions(run):
        return {"sessions": "joined"}
    return {"sessions": str(run.dataset.gaze_source.get("sessions_are", "sessions"))}
