"""The plots of an evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gazejax.evaluation.folds import GROUPS, Fold
from gazejax.evaluation.session_texts import ACROSS
from gazejax.evaluation.verification import protocol
from gazejax.metrics import verification
from gazejax.types import Dataset

_IMAGES_PER_POINT = 10


def plot_evaluation(
    folder: Path,
    result: dict[str, Any],
    curves: Mapping[str, Mapping[str, Mapping[str, verification.RocCurve]]],
    examples: Sequence[Mapping[str, Any]],
    fold: Fold,
    dataset: Dataset,
) -> None:
    """Draws the plots of an evaluation: curves, metrics, embeddings, single users, maps.

    Args:
        folder: folder to write the PNG files to.
        result: content of `evaluation.json`.
        curves: ROC curves of each table of stage 1 and group of users, by label.
        examples: maps of single users and images; if empty, only stage 1 is drawn.
        fold: the fold whose embeddings are drawn.
        dataset: the data set of the evaluation.
    """
    from gazejax import plots  # Imported here: matplotlib takes a second that `api` does not need.
    from gazejax.plots.maps import MapRow
    from gazejax.plots.verification import plot_reliability

    folder.mkdir(exist_ok=True)
    kind = result["compared"].get("sessions")

    def panels(of_tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        across = of_tables.get(f"encoder{ACROSS}", {})
        named = {f"across {kind}:\n{group}": of_group for group, of_group in across.items()}
        return {**of_tables["encoder"], **named}

    plots.plot_roc_curves(folder / "roc_curves.png", curves=panels(curves))
    for metric in ("roc_auc", "rank1"):
        plots.plot_metrics_against_size(
            folder / f"{metric}_against_images.png", table=panels(result), metric=metric
        )
    if result["same_person"]:
        plot_reliability(folder / "reliability.png", tables=result["same_person"])
    _plot_embeddings(folder / "embeddings.png", fold, dataset)
    if not examples:
        return
    largest = list(next(iter(result["saliency_users"].values())))[-1]
    plots.plot_user_bars(
        folder / "own_minus_swapped.png",
        per_user={
            group: {
                user: {
                    "value": row["information_gain"],
                    "interval": row["information_gain_interval"],
                }
                for user, row in sizes[largest].items()
            }
            for group, sizes in result["saliency_users"].items()
        },
        unit="bits per fixation",
        title=f"Information gain of own over swapped, {largest} enrolment images",
    )
    rows = []
    for example in examples:
        user, image, recording = (example[key] for key in ("user", "image", "recording"))
        gaze, row = dataset.gaze, user
        if dataset.recordings is not None and recording is not None:
            gaze, row = dataset.recordings.gaze, recording
        start = gaze.viewing_offset[row, image]
        rows.append(
            MapRow(
                label=f"{dataset.user_ids[user]}, {dataset.image_ids[image]}",
                image=dataset.images["saliency"][image],
                xy_frac=np.asarray(gaze.xy_frac)[start : start + gaze.viewing_length[row, image]],
                **{key: example[key] for key in ("universal", "own", "truth")},
            )
        )
    plots.plot_map_grid(folder / "maps.png", rows=rows)


def _plot_embeddings(path: Path, fold: Fold, dataset: Dataset) -> None:
    """Draws samples of all users of a fold; a sample is a mean over equally many test images."""
    from gazejax import plots

    groups = [fold.compared[group]["encoder"] for group in GROUPS]
    users = np.concatenate([group.users for group in groups])
    fewest = min(int(np.min(group.viewed.sum(axis=1))) for group in groups)
    size = min(_IMAGES_PER_POINT, fewest // 2)
    number = fewest // size
    samples = [
        protocol.mean_of_disjoint_samples(
            group.representations,
            group.viewed,
            np.arange(group.viewed.shape[1]),
            size=size,
            number=number,
        )
        for group in groups
    ]
    embeddings = np.concatenate(samples, axis=1)
    plots.plot_embedding_scatter(
        path,
        embeddings=embeddings.reshape(-1, embeddings.shape[-1]),
        users=np.tile(users, number),
        names=list(dataset.user_ids),
        is_seen=np.isin(np.arange(len(dataset.user_ids)), fold.splits.seen_users),
    )
