"""The figures of a report, as SVG: parts of them are shown and hidden by the page."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from gazejax.evaluation.report import METHODS
from gazejax.evaluation.session_texts import ACROSS

_METRICS = {"roc_auc": "ROC-AUC", "rank1": "rank-1"}
_DIFFERENCES = {
    "own_minus_swapped": "own \u2212 another's",
    "own_minus_mean": "own \u2212 mean",
    "own_minus_calibrated": "own \u2212 calibrated universal",
    "own_minus_universal": "own \u2212 universal",
}
_MAP_METRICS = {"information_gain": "IG, bits per fixation", "cc": "CC"}


def recognition_figures(
    shown: Mapping[str, np.ndarray], result: Mapping[str, Any]
) -> dict[str, Any]:
    """ROC curves and metrics against n.

    Args:
        shown: content of `evaluation_report.npz`.
        result: content of `evaluation.json`.

    Returns:
        `roc` and `sizes` (by metric), figures; `curves` and `methods`, the parts that can be
        hidden: class -> name.
    """
    from gazejax import plots  # Imported here: matplotlib takes a second.

    kind = result["compared"].get("sessions")
    curves: dict[str, dict[str, Any]] = {}
    for key, values in shown.items():
        if key.startswith("roc/"):
            _, table, group, label = key.split("/", 3)
            title = group if table == "encoder" else f"across {kind}:\n{group}"
            curves.setdefault(title, {})[label] = tuple(values)
    panels = {**result["encoder"]}
    for group, of_group in result.get("encoder" + ACROSS, {}).items():
        panels[f"across {kind}:\n{group}"] = of_group
    labels = dict.fromkeys(label for of_group in curves.values() for label in of_group)
    methods = dict.fromkeys(m for of in panels.values() for m in of if m != "chance")
    alt = "Line chart, one panel for seen and one for unseen users; the table below has the values."
    return {
        "roc": Markup(plots.to_svg(plots.draw_roc_curves(curves=curves), name="roc", alt=alt)),
        "sizes": {
            name: Markup(
                plots.to_svg(
                    plots.draw_metrics_against_size(table=panels, metric=metric),
                    name=metric.replace("_", "-"),
                    alt=f"{name} against the number of images. {alt}",
                )
            )
            for metric, name in _METRICS.items()
        },
        "curves": {plots.slug(label): label for label in labels},
        "methods": {
            plots.slug(method): METHODS[method].strip("*").format(**result["compared"])
            for method in methods
        },
    }


def difference_figure(result: Mapping[str, Any]) -> Markup | None:
    """Differences of the maps with the own and with other embeddings; None without stage 2."""
    from gazejax import plots

    panels: dict[str, dict[str, Any]] = {title: {} for title in _MAP_METRICS.values()}
    kind = result["compared"].get("sessions")
    for table in ("saliency" + ACROSS, "saliency"):
        for group, sizes in result.get(f"{table}_differences", {}).items():
            where = f", across {kind}" if table != "saliency" else ""
            for size, rows in sizes.items():
                for name, words in _DIFFERENCES.items():
                    for metric, title in _MAP_METRICS.items():
                        if name in rows and rows[name][metric] is not None:
                            label = f"{group}{where}, {size}: {words}"
                            interval = rows[name].get(f"{metric}_interval")
                            panels[title][label] = (rows[name][metric], interval)
    if not any(panels.values()):
        return None
    alt = "Differences with intervals, a line for each; the table under details has the values."
    return Markup(plots.to_svg(plots.draw_intervals(panels=panels), name="differences", alt=alt))


def scatter_figure(shown: Mapping[str, np.ndarray]) -> Markup | None:
    """Embeddings on two components; the part `user-NUMBER` has the name of a user."""
    from gazejax import plots

    if min(shown["sample"].shape) < 2:
        return None
    names = shown["user_ids"].tolist()
    drawing = plots.draw_embedding_scatter(
        embeddings=shown["sample"],
        users=shown["sample_user"],
        names=names,
        is_seen=shown["is_seen"],
    )
    titles = {f"user-{number}": name for number, name in enumerate(names)}
    alt = "Embeddings of users on two components: points of one user lie together or apart."
    return Markup(plots.to_svg(drawing, name="scatter", alt=alt, titles=titles))
