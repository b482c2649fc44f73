"""The plots of an evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gazejax.evaluation import verification_protocol
from gazejax.evaluation.folds import GROUPS, Fold
from gazejax.metrics import verification
from gazejax.types import Dataset

_IMAGES_PER_POINT = 10


def plot_evaluation(
    folder: Path,
    result: dict[str, Any],
    curves: Mapping[str, Mapping[str, verification.RocCurve]],
    examples: Sequence[Mapping[str, Any]],
    fold: Fold,
    dataset: Dataset,
) -> None:
    """Draws what one would rather look at than read."""
    from gazejax import plots  # Here, since it takes a second and embedding a person needs none.

    folder.mkdir(exist_ok=True)
    plots.plot_roc_curves(folder / "roc_curves.png", curves=curves)
    for figure in ("roc_auc", "rank1"):
        plots.plot_metrics_against_size(
            folder / f"{figure}_against_images.png", table=result["encoder"], figure=figure
        )
    _plot_embeddings(folder / "embeddings.png", fold, dataset)
    if not examples:
        return
    largest = list(result["saliency_users"]["seen"])[-1]
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
    gaze = dataset.gaze
    rows = []
    for example in examples:
        user, image = example["user"], example["image"]
        start = gaze.viewing_offset[user, image]
        rows.append(
            plots.MapRow(
                label=f"{dataset.user_ids[user]}, {dataset.image_ids[image]}",
                image=dataset.images["saliency"][image],
                xy_frac=np.asarray(gaze.xy_frac)[start : start + gaze.viewing_length[user, image]],
                **{key: example[key] for key in ("universal", "own", "truth")},
            )
        )
    plots.plot_map_grid(folder / "maps.png", rows=rows)


def _plot_embeddings(path: Path, fold: Fold, dataset: Dataset) -> None:
    """Draws samples of all users of a fold, each the mean embedding of as many test images."""
    from gazejax import plots

    groups = [fold.compared[group]["encoder"] for group in GROUPS]
    users = np.concatenate([group.users for group in groups])
    fewest = min(int(np.min(group.viewed.sum(axis=1))) for group in groups)
    size = min(_IMAGES_PER_POINT, fewest // 2)
    number = fewest // size
    samples = [
        verification_protocol.mean_of_disjoint_samples(
            group.features,
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
