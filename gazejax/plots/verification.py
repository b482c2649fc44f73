"""ROC curves, and metrics against the number of images."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gazejax.plots.style import (
    GRAY,
    METHOD_STYLES,
    METRIC_NAMES,
    MIDDLE,
    TEXT,
    first_panel,
    interval_ends,
    legend_below,
    make_panels,
    numbered_style,
)
from gazejax.plots.svg import name_part

_LEAST_FMR = 1e-3


def draw_roc_curves(
    *,
    curves: Mapping[
        str,
        Mapping[str, tuple[Float[np.ndarray, " threshold"], Float[np.ndarray, " threshold"]]],
    ],
) -> Figure:
    """Draws the true match rate over the false match rate, a panel for each group of users.

    The axis of the false match rate is logarithmic and starts at 0.1 %. A curve starts at its
    lowest rate above zero, the resolution of the measurement. A dotted line shows chance, where
    both rates are equal.

    Args:
        curves: for each group ("seen", "unseen") and each label of the legend, the ascending false
            match rates and the descending false non-match rates of one curve.

    Raises:
        ValueError: if there is no group.
    """
    drawing, panels = make_panels(
        curves, title="Verification: are two samples of one user?", sharey=True
    )
    labels = list(dict.fromkeys(label for group in curves.values() for label in group))
    styles = {label: numbered_style(number) for number, label in enumerate(labels)}
    at = np.geomspace(_LEAST_FMR, 1, 1000)
    for group, panel in panels.items():
        panel.plot(at, at, color=GRAY, linestyle=":", linewidth=1.2)
        for label, (fmr, fnmr) in curves[group].items():
            style = styles[label]
            (line,) = panel.plot(
                at,
                true_match_rate(fmr, fnmr, at=at),
                color=style.color,
                linestyle=style.line,
                linewidth=1.6,
            )
            name_part(line, label)
        panel.set_xscale("log")
        panel.set_xlim(_LEAST_FMR, 1)
        panel.set_ylim(0, 1.01)
        panel.minorticks_off()
        panel.set_xticks([0.001, 0.01, 0.1, 1], ["0.1", "1", "10", "100"])
        panel.set_xlabel("false match rate, %", fontsize=TEXT)
    first_panel(panels).set_ylabel("true match rate", fontsize=TEXT)
    handles: dict[str, Artist] = {
        label: Line2D([], [], color=style.color, linestyle=style.line, linewidth=1.6)
        for label, style in styles.items()
    }
    handles["chance"] = Line2D([], [], color=GRAY, linestyle=":", linewidth=1.2)
    legend_below(drawing, handles)
    return drawing


def draw_reliability(*, tables: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Figure:
    """Draws how often pairs are of one person over how likely they were said to be.

    Args:
        tables: for each table ("within", "across") and n, a row with `predicted` and `observed` of
            each bin; None for an empty one.

    Raises:
        ValueError: if there is no table.
    """
    titles = {"within": "within a session:\nunseen", "across": "across sessions:\nunseen"}
    if list(tables) == ["within"]:
        titles["within"] = "unseen"
    drawing, panels = make_panels(
        [titles[table] for table in tables],
        title="Are two embeddings of one person? Probabilities and truth",
        sharey=True,
    )
    sizes = list(dict.fromkeys(n for rows in tables.values() for n in rows))
    styles = {n: numbered_style(number) for number, n in enumerate(sizes)}
    for table, rows in tables.items():
        panel = panels[titles[table]]
        panel.plot([0, 1], [0, 1], color=GRAY, linestyle=":", linewidth=1.2)
        for n, row in rows.items():
            style = styles[n]
            values = [np.array(row[name], float) for name in ("predicted", "observed")]
            panel.plot(*values, color=style.color, marker=style.marker, markersize=4, linewidth=1.2)
        panel.set_xlim(0, 1)
        panel.set_ylim(0, 1)
        panel.set_xlabel("probability of one person", fontsize=TEXT)
    first_panel(panels).set_ylabel("share of pairs of one person", fontsize=TEXT)
    handles: dict[str, Artist] = {
        f"n = {n}": Line2D([], [], color=style.color, marker=style.marker, markersize=4)
        for n, style in styles.items()
    }
    handles["calibrated"] = Line2D([], [], color=GRAY, linestyle=":", linewidth=1.2)
    legend_below(drawing, handles)
    return drawing


def draw_metrics_against_size(
    *,
    table: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]],
    metric: str,
    chance: float | Mapping[str, float] | None = None,
) -> Figure:
    """Draws a metric over the number of images n, a panel for each group, a line for each method.

    Intervals are bars. The interval of the encoder is also a band. The other methods have a small
    horizontal offset, so that their bars do not overlap. A value or an interval that is None is
    left out. Chance is left out of a panel without any other value.

    Args:
        table: for each group, method and n (as text), a row with the metric, and its interval as
            `<metric>_interval`.
        metric: name of the metric, such as "roc_auc".
        chance: the chance level of all groups, or of each group, drawn as a dotted line; None if
            the table has chance as the method "chance".

    Raises:
        ValueError: if there is no group, or no row has the metric.
    """
    name = METRIC_NAMES.get(metric, metric)
    rows = [row for group in table.values() for sizes in group.values() for row in sizes.values()]
    if not any(metric in row for row in rows):
        allowed = sorted({key for row in rows for key in row if not key.endswith("_interval")})
        raise ValueError(f"metric is {metric!r}; allowed: {allowed}")
    drawing, panels = make_panels(
        table, title=f"{name} by number of images, with 95 % intervals", sharey=True
    )
    present = dict.fromkeys(method for group in table.values() for method in group)
    present.pop("chance", None)
    known = [method for method in METHOD_STYLES if method in present]
    other = [method for method in present if method not in METHOD_STYLES]
    # The first three numbered styles are similar to styles of `METHOD_STYLES`.
    styles = {method: METHOD_STYLES[method] for method in known} | {
        method: numbered_style(3 + number) for number, method in enumerate(other)
    }
    sizes = sorted({int(n) for group in table.values() for rows in group.values() for n in rows})
    decades = np.log10(sizes[-1] / sizes[0])
    margin = 10 ** (0.08 * decades or 0.5)
    ticks = [sizes[-1]]
    for size in sizes[-2::-1]:
        if np.log10(ticks[-1] / size) >= 0.12 * decades:  # Else the labels overlap.
            ticks.append(size)
    beside = [method for method in styles if method != "encoder"]
    shift = dict(
        zip(beside, 10 ** ((0.03 * decades or 0.05) * np.linspace(-1, 1, len(beside))), strict=True)
    )
    drawn: dict[str, Artist] = {}
    for group, panel in panels.items():
        for method, style in styles.items():
            n, value, low, high = metric_by_size(table[group].get(method, {}), metric)
            if np.isnan(value).all():
                continue
            is_main = method == "encoder"
            parts: list[Artist] = []
            if is_main:
                band = panel.fill_between(n, low, high, color=style.color, alpha=0.2, linewidth=0)
                parts.append(band)
            else:
                n = n * shift[method]
            parts.append(panel.vlines(n, low, high, color=style.color, linewidth=0.8))
            (drawn[method],) = panel.plot(
                n,
                value,
                color=style.color,
                linestyle=style.line,
                linewidth=style.width,
                marker=style.marker,
                markersize=5.5 if is_main else 4,
                markeredgewidth=0,
                zorder=3 if is_main else 2,
            )
            for part in (*parts, drawn[method]):
                name_part(part, method)
        dotted: dict[str, Any] = {"color": MIDDLE, "linestyle": ":", "linewidth": 1.2}
        level = chance.get(group) if isinstance(chance, Mapping) else chance
        if not panel.lines:
            panel.text(0.5, 0.5, "not known", transform=panel.transAxes, ha="center")
        elif level is not None:
            drawn["chance"] = panel.axhline(level, **dotted)
        else:
            n, value, _, _ = metric_by_size(table[group].get("chance", {}), metric)
            if not np.isnan(value).all():
                (drawn["chance"],) = panel.plot(n, value, **dotted)
        panel.set_xscale("log")
        panel.minorticks_off()
        panel.set_xticks(sorted(ticks), [str(size) for size in sorted(ticks)])
        panel.set_xlim(sizes[0] / margin, sizes[-1] * margin)
        panel.set_xlabel("number of images n", fontsize=TEXT)
    first_panel(panels).set_ylabel(name, fontsize=TEXT)
    order = [method for method in [*styles, "chance"] if method in drawn]
    legend_below(drawing, {method.replace("_", " "): drawn[method] for method in order})
    return drawing


def true_match_rate(
    fmr: Float[np.ndarray, " threshold"],
    fnmr: Float[np.ndarray, " threshold"],
    *,
    at: Float[np.ndarray, " rate"],
) -> Float[np.ndarray, " rate"]:
    """Highest share of genuine pairs accepted at a false match rate of at most `at`.

    The curve is not interpolated. The result is NaN below the lowest false match rate above zero.
    """
    index = np.searchsorted(fmr, at, side="right") - 1
    return np.where(at >= fmr[fmr > 0].min(initial=np.inf), 1 - fnmr[index], np.nan)


def metric_by_size(
    rows: Mapping[str, Mapping[str, Any]], metric: str
) -> Float[np.ndarray, "4 size"]:
    """Ascending sizes, and value, lower and upper end of the metric at each; NaN for None."""
    sizes = sorted(rows, key=int)
    value = [rows[size].get(metric) for size in sizes]
    low, high = interval_ends(rows[size].get(f"{metric}_interval") for size in sizes)
    return np.array([[int(size) for size in sizes], value, low, high], float)
