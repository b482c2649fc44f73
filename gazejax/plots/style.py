"""Style and helpers of the plots: colors, lines, panels, legends, files.

A file of a plot has the same bytes for the same input, and is written completely or not at all.
Plots change no global state of matplotlib (no pyplot, no settings), so that they work without a
display and in threads. The colors are those of Okabe and Ito, which are distinguishable
for color-blind readers. Lines and markers differ too, for print in gray.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from gazejax.plots.svg import name_part

BLUE, _SKY, _GREEN = "#0072B2", "#56B4E9", "#009E73"

VERMILLION, _ORANGE, _PURPLE = "#D55E00", "#E69F00", "#CC79A7"

DARK, MIDDLE, GRAY, _LIGHT = "#222222", "#555555", "#8A8A8A", "#E4E4E4"

PALE_BLUE, PALE_VERMILLION = "#99C7E0", "#EEBF99"

COLORS = (BLUE, VERMILLION, _GREEN, _ORANGE, _PURPLE, _SKY, DARK)

_LINES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (2, 1)),
    (0, (9, 2)),
    (0, (5, 1.5, 1, 1.5, 1, 1.5)),
)

# Inches: the text width of a page, so that font sizes are those on the page.
WIDTH, HEIGHT = 7.0, 3.4

DOTS_PER_INCH = 250

TITLE, TEXT, SMALL = 9, 8, 7

METRIC_NAMES = {
    "roc_auc": "ROC-AUC",
    "rank1": "rank-1 identification rate",
    "eer": "equal error rate",
    "fnmr_at_fmr_1": "FNMR at an FMR of 1 %",
    "fnmr_at_fmr_10": "FNMR at an FMR of 10 %",
    "map_at_r": "MAP@R",
}


class _Style(NamedTuple):
    """Color, line style, marker and line width."""

    color: str
    line: Any
    marker: str
    width: float


METHOD_STYLES = {
    "encoder": _Style(BLUE, "-", "o", 2.2),
    "encoder_truncated": _Style(_SKY, _LINES[1], "D", 1.4),
    "residual_map": _Style(VERMILLION, "-", "s", 1.4),
    "fixation_statistics": _Style(_GREEN, _LINES[2], "^", 1.4),
    "permuted_training": _Style(GRAY, _LINES[1], "P", 0.9),
    "permuted_labels": _Style(GRAY, _LINES[3], "X", 0.9),
}


def make_panels(
    groups: Iterable[str],
    *,
    title: str,
    sharey: bool = False,
    size: tuple[float, float] = (WIDTH, HEIGHT),
    width_ratios: Sequence[float] | None = None,
) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel for each group of users, side by side."""
    names = list(groups)
    if not names:
        raise ValueError("nothing to draw; allowed: at least 1 group of users with a value")
    drawing = Figure(figsize=size, dpi=DOTS_PER_INCH, layout=ConstrainedLayoutEngine(wspace=0.06))
    axes = drawing.subplots(
        1, len(names), sharey=sharey, squeeze=False, gridspec_kw={"width_ratios": width_ratios}
    )
    drawing.suptitle(title, fontsize=TITLE + 1, parse_math=False)
    panels = dict(zip(names, axes[0], strict=True))
    for name, panel in panels.items():
        if name:
            panel.set_title(f"{name} users", fontsize=TITLE, parse_math=False)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=TEXT)
        panel.grid(color=_LIGHT, linewidth=0.6)
        panel.set_axisbelow(True)
    return drawing, panels


def make_grid(
    rows: int, columns: int, *, size: tuple[float, float]
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with panels in rows; the panels of a row share the vertical axis."""
    drawing = Figure(figsize=size, dpi=DOTS_PER_INCH, layout=ConstrainedLayoutEngine())
    panels = drawing.subplots(rows, columns, sharey="row", squeeze=False)
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=SMALL)
        panel.grid(color=_LIGHT, linewidth=0.6)
        panel.set_axisbelow(True)
    return drawing, panels.tolist()


def first_panel(panels: Mapping[str, Axes]) -> Axes:
    """The first of some panels."""
    return next(iter(panels.values()))


def numbered_style(number: int) -> _Style:
    """Style of a method, or another item, that has none in `METHOD_STYLES`."""
    return _Style(
        color=COLORS[number % len(COLORS)],
        line=_LINES[number % len(_LINES)],
        # The marker shifts by one after each round of the colors: the first 49 styles differ.
        marker="os^DvPX"[(number + number // 7) % 7],
        width=1.4,
    )


def legend_below(drawing: Figure, handles: Mapping[str, Artist], *, columns: int = 4) -> None:
    """Draws one legend below all panels."""
    legend = drawing.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=columns,
        fontsize=TEXT,
        frameon=False,
        handlelength=3,
    )
    for name, handle, text in zip(handles, legend.legend_handles, legend.get_texts(), strict=True):
        text.set_parse_math(False)
        for part in (handle, text):
            if part is not None:
                name_part(part, name)


def interval_ends(
    intervals: Iterable[Sequence[float] | None],
) -> tuple[Float[np.ndarray, " interval"], Float[np.ndarray, " interval"]]:
    """Lower and upper ends of intervals; NaN for an interval that is None."""
    pairs = [(np.nan, np.nan) if pair is None else pair for pair in intervals]
    low, high = np.array(pairs, float).reshape(-1, 2).T
    return low, high


def save_png(drawing: Figure, path: Path) -> None:
    """Writes the PNG completely or not at all, without the version of matplotlib in it."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        drawing.savefig(temporary, format="png", metadata={"Software": None})
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
