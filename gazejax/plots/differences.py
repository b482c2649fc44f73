"""Plots of differences and metrics with intervals: of users, of variants, of costs, of traits."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from gazejax.plots.style import (
    BLUE,
    DARK,
    DOTS_PER_INCH,
    HEIGHT,
    METRIC_NAMES,
    PALE_BLUE,
    PALE_VERMILLION,
    SMALL,
    TEXT,
    TITLE,
    VERMILLION,
    WIDTH,
    first_panel,
    interval_ends,
    legend_below,
    make_grid,
    make_panels,
    numbered_style,
)

# The metrics of a comparison that are drawn; for all, higher is better.
COMPARED_METRICS = {
    "roc_auc": "ROC-AUC",
    "rank1": "rank-1",
    "roc_auc_across_sessions": "ROC-AUC across sessions",
    "rank1_across_sessions": "rank-1 across sessions",
    "information_gain_own": "IG of own, bits",
    "information_gain_own_minus_swapped": "IG of own - swapped, bits",
    "information_gain_own_minus_mean": "IG of own - mean, bits",
}

_MOST_NAMES_UNDER_BARS = 80


def draw_user_bars(
    *,
    per_user: Mapping[str, Mapping[str, Mapping[str, Any]]],
    unit: str,
    title: str,
) -> Figure:
    """Draws a difference for each user as a bar with its interval, a panel for each group.

    Bars are in descending order. A bar is pale if its interval contains zero or is None. A user
    whose value is None is left out. With more than 80 users, no names are written.

    Args:
        per_user: for each group and user, the "value" and its "interval", such as of own minus
            swapped.
        unit: unit of the difference, the label of the axis.
        title: title of the plot.

    Raises:
        ValueError: if no user has a value.
    """
    sorted_users = {
        group: [user for _, user in sorted(known, reverse=True)]
        for group, rows in per_user.items()
        if (
            known := [
                (row["value"], user) for user, row in rows.items() if row["value"] is not None
            ]
        )
    }
    num_users = sum(len(users) for users in sorted_users.values())
    drawing, panels = make_panels(
        sorted_users,
        title=title,
        sharey=True,
        # Bars have the same width in all panels. A panel with one bar has space for its title.
        width_ratios=[max(float(len(users)), 0.2 * num_users) for users in sorted_users.values()],
    )
    has_names = num_users <= _MOST_NAMES_UNDER_BARS
    longest = max(len(user) for users in sorted_users.values() for user in users)
    for group, panel in panels.items():
        users = sorted_users[group]
        place = np.arange(len(users))
        rows = [per_user[group][user] for user in users]
        value = np.array([row["value"] for row in rows], float)
        low, high = interval_ends(row["interval"] for row in rows)
        is_clear = (low > 0) | (high < 0)
        above = np.where(is_clear, BLUE, PALE_BLUE)
        below = np.where(is_clear, VERMILLION, PALE_VERMILLION)
        panel.bar(place, value, width=0.75, color=np.where(value > 0, above, below).tolist())
        panel.vlines(place, low, high, color=DARK, linewidth=0.9)
        panel.axhline(0, color=DARK, linewidth=0.8)
        panel.grid(visible=False, axis="x")
        panel.set_xlim(-0.7, len(users) - 0.3)
        panel.set_xticks(
            place if has_names else [],
            users if has_names else [],
            parse_math=False,
            # Horizontal names must fit beside each other on the page.
            rotation=90 if num_users * longest > 70 else 0,
            fontsize=SMALL if num_users <= 40 else 5.5,
        )
        panel.tick_params(axis="x", length=0)
    first_panel(panels).set_ylabel(unit, fontsize=TEXT, parse_math=False)
    legend_below(
        drawing,
        {
            "above zero": Patch(color=BLUE),
            "below zero": Patch(color=VERMILLION),
            "pale: the interval contains zero": Patch(color=PALE_BLUE),
            "95 % interval": Line2D([], [], color=DARK, linewidth=0.9),
        },
    )
    return drawing


def draw_differences(*, rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draws the difference of every variant to the base, a panel for each metric and user group.

    A panel has a line for each variant, with a marker and its interval for each number of images. A
    difference that is None is left out.

    Args:
        rows: rows with `variant`, `users`, `metric` (its name), `n`, `difference` and
            `difference_interval`; the variant of the first row is the base.
        title: start of the title.

    Raises:
        ValueError: if there is no difference.
    """
    known = [row for row in rows if row["difference"] is not None]
    variants = list(dict.fromkeys(row["variant"] for row in known))
    metrics = [
        metric for metric in COMPARED_METRICS if any(row["metric"] == metric for row in known)
    ]
    users = list(dict.fromkeys(row["users"] for row in known))
    if not metrics:
        raise ValueError("nothing to draw; allowed: at least 1 difference to the base")
    sizes = sorted({row["n"] for row in known})
    height = len(metrics) * (0.7 + 0.12 * len(variants) * max(len(sizes), 2)) + 0.6
    drawing, panels = make_grid(len(metrics), len(users), size=(WIDTH, height))
    drawing.suptitle(
        f"{title}: difference to {rows[0]['variant']}, with 95 % intervals",
        fontsize=TITLE + 1,
        parse_math=False,
    )
    apart = 0.8 / len(sizes)
    for (line, metric), (column, group) in itertools.product(enumerate(metrics), enumerate(users)):
        panel = panels[line][column]
        for number, size in enumerate(sizes):
            style = numbered_style(number)
            shown = [
                row
                for row in known
                if (row["metric"], row["users"], row["n"]) == (metric, group, size)
            ]
            place = np.array([variants.index(row["variant"]) for row in shown], float)
            place += (number - (len(sizes) - 1) / 2) * apart
            low, high = interval_ends(row["difference_interval"] for row in shown)
            panel.hlines(place, low, high, color=style.color, linewidth=1.0)
            value = [row["difference"] for row in shown]
            panel.plot(value, place, style.marker, color=style.color, markersize=3.5)
        panel.axvline(0, color=DARK, linewidth=0.8)
        panel.set_title(
            f"{COMPARED_METRICS[metric]}, {group} users", fontsize=TITLE, parse_math=False
        )
        panel.set_yticks(range(len(variants)), variants, fontsize=SMALL, parse_math=False)
        panel.set_ylim(len(variants) - 0.4, -0.6)
        panel.grid(visible=False, axis="y")
        panel.locator_params(axis="x", nbins=4)
    handles: dict[str, Artist] = {}
    for number, size in enumerate(sizes):
        style = numbered_style(number)
        (handles[f"n = {size}"],) = panels[0][0].plot(
            [], [], style.marker, color=style.color, linestyle="-", linewidth=1.0, markersize=3.5
        )
    legend_below(drawing, handles, columns=6)
    return drawing


def draw_costs(*, rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draws the ROC-AUC of unseen users over the cost of an embedding.

    One panel is over operations and one over time. Each variant is a marker with its interval.

    Args:
        rows: rows with `variant`, `users`, `metric` (its name), `n`, `value`,
            `value_interval`, `operations_per_embedding` and `seconds_per_embedding`.
        title: start of the title.

    Raises:
        ValueError: if there is no ROC-AUC of unseen users.
    """
    known = [row for row in rows if (row["metric"], row["users"]) == ("roc_auc", "unseen")]
    if not known:
        raise ValueError("nothing to draw; allowed: at least 1 roc_auc of unseen users")
    sizes = sorted({row["n"] for row in known})
    size = sizes[len(sizes) // 2]
    shown = [row for row in known if row["n"] == size]
    drawing, panels = make_grid(1, 2, size=(WIDTH, HEIGHT + 0.04 * len(shown)))
    drawing.suptitle(
        f"{title}: unseen users, n = {size}, with 95 % intervals",
        fontsize=TITLE + 1,
        parse_math=False,
    )
    low, high = interval_ends(row["value_interval"] for row in shown)
    value = [row["value"] for row in shown]
    handles: dict[str, Artist] = {}
    for panel, (key, factor, name) in zip(
        panels[0],
        (
            ("operations_per_embedding", 1e-6, "million operations per embedding"),
            ("seconds_per_embedding", 1e6, "\u00b5s per embedding, one device"),
        ),
        strict=True,
    ):
        for number, row in enumerate(shown):
            style = numbered_style(number)
            at = row[key] * factor
            panel.vlines(at, low[number], high[number], color=style.color, linewidth=0.8)
            (handles[row["variant"]],) = panel.plot(
                at, value[number], style.marker, color=style.color, markersize=4
            )
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_xlabel(name, fontsize=TEXT)
    panels[0][0].set_ylabel(METRIC_NAMES["roc_auc"], fontsize=TEXT)
    legend_below(drawing, handles, columns=4 if max(map(len, handles)) < 24 else 2)
    return drawing


def draw_traits(*, traits: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draws how well linear probes predict each trait of unseen users from their embeddings.

    Args:
        traits: `correlation` and `p_value` of each trait.
    """
    names = list(traits)
    drawing, ((panel,),) = make_grid(1, 1, size=(WIDTH, 0.9 + 0.22 * len(names)))
    values = [traits[name]["correlation"] for name in names]
    is_significant = [traits[name]["p_value"] < 0.05 for name in names]
    colors = [BLUE if significant else PALE_BLUE for significant in is_significant]
    panel.barh(range(len(names)), values, color=colors, height=0.65)
    panel.axvline(0, color=DARK, linewidth=0.8)
    labels = [name.replace("_", " ") for name in names]
    panel.set_yticks(range(len(names)), labels, fontsize=SMALL, parse_math=False)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.set_xlim(min(0.0, *values) - 0.05, 1)
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("correlation of predicted and true trait, unseen users", fontsize=TEXT)
    handles = {
        name: Patch(color=color)
        for name, color in (("p < 0.05", BLUE), ("p of 0.05 or more", PALE_BLUE))
    }
    legend_below(drawing, handles)
    return drawing


def draw_intervals(
    *, panels: Mapping[str, Mapping[str, tuple[float, Sequence[float] | None]]]
) -> Figure:
    """Draws values with their intervals, a line each, beside a line at zero.

    Args:
        panels: for each title, such as a metric with its unit, the value and its 95 % interval
            (None: not known) of each label; all panels have the same labels.

    Raises:
        ValueError: if there is no value.
    """
    if not any(panels.values()):
        raise ValueError("nothing to draw; allowed: at least 1 value")
    labels = list(next(iter(panels.values())))
    drawing, (line,) = make_grid(1, len(panels), size=(WIDTH, 0.8 + 0.24 * len(labels)))
    for panel, (title, rows) in zip(line, panels.items(), strict=True):
        place = np.arange(len(labels))
        low, high = interval_ends(interval for _, interval in rows.values())
        value = np.array([one for one, _ in rows.values()])
        color = np.where((low > 0) | (high < 0), BLUE, PALE_BLUE).tolist()
        panel.hlines(place, low, high, color=color, linewidth=1.6)
        panel.scatter(value, place, color=color, s=22, zorder=3)
        panel.axvline(0, color=DARK, linewidth=0.8)
        panel.set_title(title, fontsize=TITLE, parse_math=False)
        panel.set_yticks(place, labels, fontsize=SMALL, parse_math=False)
        panel.set_ylim(len(labels) - 0.4, -0.6)
        panel.grid(visible=False, axis="y")
        panel.locator_params(axis="x", nbins=5)
    handles = {
        "the interval leaves out zero": Line2D([], [], color=BLUE, marker="o", markersize=4),
        "the interval contains zero": Line2D([], [], color=PALE_BLUE, marker="o", markersize=4),
    }
    legend_below(drawing, handles)
    return drawing


def draw_training(
    *, curves: Mapping[str, Sequence[tuple[Sequence[int], Sequence[float]]]]
) -> Figure:
    """Draws the loss over the steps of each stage, a line for each fold.

    Args:
        curves: for each stage, the steps and the losses of each fold.

    Raises:
        ValueError: if there is no stage.
    """
    if not curves:
        raise ValueError("nothing to draw; allowed: at least 1 stage")
    drawing = Figure(
        figsize=(WIDTH, 2.3), dpi=DOTS_PER_INCH, layout=ConstrainedLayoutEngine(wspace=0.06)
    )
    panels = drawing.subplots(1, len(curves), squeeze=False)[0]
    for panel, (stage, folds) in zip(panels, curves.items(), strict=True):
        for number, (steps, losses) in enumerate(folds):
            style = numbered_style(number)
            panel.plot(steps, losses, color=style.color, linestyle=style.line, linewidth=1.2)
        panel.set_title(stage, fontsize=TITLE, parse_math=False)
        panel.set_xlabel("step", fontsize=TEXT)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=SMALL)
        panel.locator_params(axis="x", nbins=4)
    panels[0].set_ylabel("loss", fontsize=TEXT)
    return drawing
