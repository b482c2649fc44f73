"""The plots of an evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gazejax.evaluation.report_data import fixations_of
from gazejax.evaluation.session_texts import ACROSS
from gazejax.metrics import verification
from gazejax.types import Dataset

if TYPE_CHECKING:
    from gazejax.plots.maps import MapRow

# Rows of the grid of maps.
_NUM_ROWS = 6


def plot_evaluation(
    folder: Path,
    result: dict[str, Any],
    curves: Mapping[str, Mapping[str, Mapping[str, verification.RocCurve]]],
    examples: Sequence[Mapping[str, Any]],
    users: Mapping[str, np.ndarray],
    dataset: Dataset,
) -> None:
    """Draws the plots of an evaluation: curves, metrics, embeddings, single users, maps.

    Args:
        folder: folder to write the PNG files to.
        result: content of `evaluation.json`.
        curves: ROC curves of each table of stage 1 and group of users, by label.
        examples: maps of single users and images; if empty, only stage 1 is drawn.
        users: output of `report_data.describe_users`.
        dataset: the data set of the evaluation.
    """
    from gazejax import plots  # Imported here: matplotlib takes a second that `api` does not need.
    from gazejax.plots.verification import draw_reliability

    folder.mkdir(exist_ok=True)
    kind = result["compared"].get("sessions")

    def panels(of_tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        across = of_tables.get(f"encoder{ACROSS}", {})
        named = {f"across {kind}:\n{group}": of_group for group, of_group in across.items()}
        return {**of_tables["encoder"], **named}

    def save(drawing: Any, name: str) -> None:
        plots.save_png(drawing, folder / f"{name}.png")

    save(plots.draw_roc_curves(curves=panels(curves)), "roc_curves")
    for metric in ("roc_auc", "rank1"):
        drawing = plots.draw_metrics_against_size(table=panels(result), metric=metric)
        save(drawing, f"{metric}_against_images")
    if result["same_person"]:
        save(draw_reliability(tables=result["same_person"]), "reliability")
    save(
        plots.draw_embedding_scatter(
            embeddings=users["sample"],
            users=users["sample_user"],
            names=users["user_ids"].tolist(),
            is_seen=users["is_seen"],
        ),
        "embeddings",
    )
    if not examples:
        return
    save(plots.draw_user_bars(**_bars_of_users(result)), "own_minus_swapped")
    save(plots.draw_map_grid(rows=[_map_row(one, dataset) for one in _few(examples)]), "maps")


def _bars_of_users(result: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `plots.draw_user_bars`: information gain of own over swapped, at the last n."""
    size = list(next(iter(result["saliency_users"].values())))[-1]
    return {
        "per_user": {
            group: {
                user: {
                    "value": row["information_gain"],
                    "interval": row["information_gain_interval"],
                }
                for user, row in sizes[size].items()
            }
            for group, sizes in result["saliency_users"].items()
        },
        "unit": "bits per fixation",
        "title": f"Information gain of own over swapped, {size} enrolment images",
    }


def _few(examples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Examples of a few images in even steps, each of another user."""
    images = sorted({one["image"] for one in examples})
    places = np.linspace(0, len(images) - 1, min(_NUM_ROWS, len(images))).astype(int)
    found = []
    for number, place in enumerate(places):
        of_image = [one for one in examples if one["image"] == images[place]]
        found.append(of_image[number % len(of_image)])
    return found


def _map_row(example: Mapping[str, Any], dataset: Dataset) -> "MapRow":
    from gazejax.plots.maps import MapRow

    return MapRow(
        label=f"{dataset.user_ids[example['user']]}, {dataset.image_ids[example['image']]}",
        image=dataset.images["saliency"][example["image"]],
        xy_frac=fixations_of(dataset, example),
        **{key: example[key] for key in ("universal", "own", "truth")},
    )
