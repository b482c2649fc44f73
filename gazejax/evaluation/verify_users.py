"""Stage 1 on folds: verification and identification, with intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from gazejax.evaluation import verification_protocol
from gazejax.evaluation.folds import Run, fewest_images, resample_users_of
from gazejax.metrics import bootstrap, verification


def verify_users(
    group: str, run: Run
) -> tuple[
    dict[str, Any], dict[str, Any], dict[str, verification.RocCurve], dict[str, dict[str, Any]]
]:
    """Stage 1 for the seen or the unseen users.

    Returns:
        Table, encoder minus each control, ROC curves, resampled metrics of the encoder.
    """
    folds, options = run.folds, run.config.eval
    num_images = len(folds[0].splits.test_images)
    orders = verification_protocol.sample_image_orders(num_images, options.num_draws, options.seed)
    user_weight = resample_users_of(group, run)
    table: dict[str, Any] = {}
    resampled: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    curves: dict[str, verification.RocCurve] = {}
    # A method that one fold lacks says nothing about all of them.
    for method in folds[0].compared[group]:
        compared = [
            fold.compared[group][method] for fold in folds if method in fold.compared[group]
        ]
        if len(compared) < len(folds):
            continue
        table[method], resampled[method] = {}, {}
        fewest = fewest_images(folds, method)
        sizes = verification_protocol.usable_sizes(options.num_images, fewest)
        for size in sizes:
            samples_per_user = min(fewest // size, options.samples_per_user)
            scores = [
                verification_protocol.score_draws(
                    one,
                    orders,
                    size=size,
                    samples_per_user=samples_per_user,
                    seed=options.seed,
                )
                for one in compared
            ]
            if method == "encoder" or (method == "residual_map" and size == sizes[-1]):
                curves[f"{method.replace('_', ' ')}, n = {size}"] = (
                    verification_protocol.mean_curve(scores)
                )
            values = verification_protocol.resampled_verification_metrics(
                scores, user_weight, size=size, num_images=num_images, seed=options.seed
            )
            resampled[method][str(size)] = values
            table[method][str(size)] = {
                **with_intervals(verification_protocol.verification_metrics(scores), values),
                "num_users": len(np.unique(np.concatenate([one.users for one in scores]))),
                "num_images": num_images,
                "num_draws": options.num_draws,
            }
    differences = {
        f"encoder_minus_{method}": {
            size: difference(
                table["encoder"][size],
                row,
                resampled["encoder"][size],
                resampled[method][size],
            )
            for size, row in rows.items()
            if size in table["encoder"]
        }
        for method, rows in table.items()
        if method != "encoder"
    }
    table["chance"] = {
        size: verification_protocol.chance_metrics(
            [len(fold.compared[group]["encoder"].users) for fold in folds],
            samples_per_user=min(
                fewest_images(folds, "encoder") // int(size), options.samples_per_user
            ),
        )
        for size in table["encoder"]
    }
    return table, differences, curves, resampled["encoder"]


def with_intervals(
    metrics: Mapping[str, float | None], resampled: Mapping[str, Float[np.ndarray, " resample"]]
) -> dict[str, Any]:
    """Each metric, a plain number, and beside it its interval; None for both if unknown."""
    row: dict[str, Any] = {}
    for name, value in metrics.items():
        row[name] = value
        row[f"{name}_interval"] = None if value is None else bootstrap.interval(resampled[name])
    return row


def difference(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    resampled_one: Mapping[str, Float[np.ndarray, " resample"]],
    resampled_other: Mapping[str, Float[np.ndarray, " resample"]],
) -> dict[str, Any]:
    """The paired difference of two rows of metrics, with intervals."""
    metrics = {
        name: None if None in (one[name], other[name]) else one[name] - other[name]
        for name in resampled_one
    }
    resampled = {name: values - resampled_other[name] for name, values in resampled_one.items()}
    return with_intervals(metrics, resampled)
