"""Figures for a paper: PNG files drawn with matplotlib from arrays and plain tables.

Every function writes one file, whole or not at all, with the same bytes for the same input. Nothing
of matplotlib that is global is touched (no pyplot, no settings), so that it works without a display
and in threads. Colours are those of Okabe and Ito, which the colour-blind tell apart; lines and
markers differ besides, for print in grey.
"""

import itertools
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from matplotlib import patheffects
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from gazejax.pictures import colour

_BLUE, _SKY, _GREEN = "#0072B2", "#56B4E9", "#009E73"
_VERMILLION, _ORANGE, _PURPLE = "#D55E00", "#E69F00", "#CC79A7"
_DARK, _MIDDLE, _GREY, _LIGHT = "#222222", "#555555", "#8A8A8A", "#E4E4E4"
_PALE_BLUE, _PALE_VERMILLION = "#99C7E0", "#EEBF99"
_COLOURS = (_BLUE, _VERMILLION, _GREEN, _ORANGE, _PURPLE, _SKY, _DARK)
_LINES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (2, 1)),
    (0, (9, 2)),
    (0, (5, 1.5, 1, 1.5, 1, 1.5)),
)
# Inches: the width of a page's text, so that the font sizes are those on the page.
_WIDTH, _HEIGHT = 7.0, 3.4
_DOTS_PER_INCH = 250
_TITLE, _TEXT, _SMALL = 9, 8, 7

_LEAST_FMR = 1e-3
_FIGURE_NAMES = {
    "roc_auc": "ROC-AUC",
    "rank1": "rank-1 identification rate",
    "eer": "equal error rate",
    "fnmr_at_fmr_1": "FNMR at an FMR of 1 %",
    "fnmr_at_fmr_10": "FNMR at an FMR of 10 %",
    "map_at_r": "MAP@R",
}
# Those of a comparison that are drawn; higher is better in all.
_COMPARED_FIGURES = {
    "roc_auc": "ROC-AUC",
    "rank1": "rank-1",
    "information_gain_own": "IG of own, bits",
    "information_gain_own_minus_swapped": "IG of own - swapped, bits",
    "information_gain_own_minus_mean": "IG of own - mean, bits",
}
# More names than these cover each other.
_MOST_NAMES_IN_SCATTER, _MOST_NAMES_UNDER_BARS = 24, 80


class MapRow(NamedTuple):
    """One person and image of `draw_map_grid`.

    Attributes:
        label: stands at the left of the row, such as the person's name.
        image: the picture.
        universal: map without knowledge of the person; any scale, as the other maps.
        own: map predicted for the person.
        truth: map of where the person looked.
        xy_frac: the person's fixations as fractions of image width and height.
    """

    label: str
    image: UInt8[np.ndarray, "height width 3"]
    universal: Float[np.ndarray, "map_height map_width"]
    own: Float[np.ndarray, "map_height map_width"]
    truth: Float[np.ndarray, "map_height map_width"]
    xy_frac: Float[np.ndarray, "fixation 2"]


class _Style(NamedTuple):
    """How a line looks."""

    colour: str
    line: Any
    marker: str
    width: float


_METHOD_STYLES = {
    "encoder": _Style(_BLUE, "-", "o", 2.2),
    "encoder_cut": _Style(_SKY, _LINES[1], "D", 1.4),
    "residual_map": _Style(_VERMILLION, "-", "s", 1.4),
    "two_scalars": _Style(_GREEN, _LINES[2], "^", 1.4),
    "untrained_encoder": _Style(_GREY, "-", "v", 0.9),
    "permuted_training": _Style(_GREY, _LINES[1], "P", 0.9),
    "permuted_users": _Style(_GREY, _LINES[3], "X", 0.9),
}


def draw_roc_curves(
    path: Path,
    *,
    curves: Mapping[
        str,
        Mapping[str, tuple[Float[np.ndarray, " threshold"], Float[np.ndarray, " threshold"]]],
    ],
) -> None:
    """Draws the true match rate over the false match rate, a panel for each group of users.

    The false match rate is on a logarithmic axis from 0.1 %; a curve begins at its lowest rate
    above zero, below which nothing was measured. Chance is dotted: both rates are the same.

    Args:
        path: the PNG file to write.
        curves: of each group ("seen", "unseen") and each label, which goes into the legend, the
            false match rates, rising, and the false non-match rates, falling, of one curve.

    Raises:
        ValueError: if there is no group.
    """
    drawing, panels = _panels(
        curves, title="Verification: are two samples of one user?", sharey=True
    )
    labels = list(dict.fromkeys(label for group in curves.values() for label in group))
    styles = {label: _numbered_style(number) for number, label in enumerate(labels)}
    at = np.geomspace(_LEAST_FMR, 1, 1000)
    for group, panel in panels.items():
        panel.plot(at, at, color=_GREY, linestyle=":", linewidth=1.2)
        for label, (fmr, fnmr) in curves[group].items():
            style = styles[label]
            panel.plot(
                at,
                true_match_rate(fmr, fnmr, at=at),
                color=style.colour,
                linestyle=style.line,
                linewidth=1.6,
            )
        panel.set_xscale("log")
        panel.set_xlim(_LEAST_FMR, 1)
        panel.set_ylim(0, 1.01)
        panel.minorticks_off()
        panel.set_xticks([0.001, 0.01, 0.1, 1], ["0.1", "1", "10", "100"])
        panel.set_xlabel("false match rate, %", fontsize=_TEXT)
    _first(panels).set_ylabel("true match rate", fontsize=_TEXT)
    handles: dict[str, Artist] = {
        label: Line2D([], [], color=style.colour, linestyle=style.line, linewidth=1.6)
        for label, style in styles.items()
    }
    handles["chance"] = Line2D([], [], color=_GREY, linestyle=":", linewidth=1.2)
    _legend_below(drawing, handles)
    _save(drawing, path)


def draw_figures_against_size(
    path: Path,
    *,
    table: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]],
    figure: str,
    chance: float | Mapping[str, float] | None = None,
) -> None:
    """Draws a figure over the number of images n, a panel for each group, a line for each method.

    Intervals are bars. The encoder stands out with a band as well; the other methods are set a
    little apart, so that their bars do not cover each other. A value or an interval that is None is
    left out, and so is chance where nothing else is known.

    Args:
        path: the PNG file to write.
        table: of each group, method and n (as text), a row that holds the figure, and its interval
            as `<figure>_interval`.
        figure: name of the figure, such as "roc_auc".
        chance: the chance level, of all or of each group, as a dotted line; None if it is in the
            table as the method "chance".

    Raises:
        ValueError: if there is no group, or no row has the figure.
    """
    name = _FIGURE_NAMES.get(figure, figure)
    rows = [row for group in table.values() for sizes in group.values() for row in sizes.values()]
    if not any(figure in row for row in rows):
        allowed = sorted({key for row in rows for key in row if not key.endswith("_interval")})
        raise ValueError(f"figure is {figure!r}; allowed: {allowed}")
    drawing, panels = _panels(
        table, title=f"{name} by number of images, with 95 % intervals", sharey=True
    )
    present = dict.fromkeys(method for group in table.values() for method in group)
    present.pop("chance", None)
    known = [method for method in _METHOD_STYLES if method in present]
    other = [method for method in present if method not in _METHOD_STYLES]
    # The first three numbers look like methods with a style of their own.
    styles = {method: _METHOD_STYLES[method] for method in known} | {
        method: _numbered_style(3 + number) for number, method in enumerate(other)
    }
    sizes = sorted({int(n) for group in table.values() for rows in group.values() for n in rows})
    decades = np.log10(sizes[-1] / sizes[0])
    margin = 10 ** (0.08 * decades or 0.5)
    beside = [method for method in styles if method != "encoder"]
    shift = dict(
        zip(beside, 10 ** ((0.03 * decades or 0.05) * np.linspace(-1, 1, len(beside))), strict=True)
    )
    drawn: dict[str, Artist] = {}
    for group, panel in panels.items():
        for method, style in styles.items():
            n, value, low, high = figure_by_size(table[group].get(method, {}), figure)
            if np.isnan(value).all():
                continue
            is_main = method == "encoder"
            if is_main:
                panel.fill_between(n, low, high, color=style.colour, alpha=0.2, linewidth=0)
            else:
                n = n * shift[method]
            panel.vlines(n, low, high, color=style.colour, linewidth=0.8)
            (drawn[method],) = panel.plot(
                n,
                value,
                color=style.colour,
                linestyle=style.line,
                linewidth=style.width,
                marker=style.marker,
                markersize=5.5 if is_main else 4,
                markeredgewidth=0,
                zorder=3 if is_main else 2,
            )
        dotted: dict[str, Any] = {"color": _MIDDLE, "linestyle": ":", "linewidth": 1.2}
        level = chance.get(group) if isinstance(chance, Mapping) else chance
        if not panel.lines:
            panel.text(0.5, 0.5, "not known", transform=panel.transAxes, ha="center")
        elif level is not None:
            drawn["chance"] = panel.axhline(level, **dotted)
        else:
            n, value, _, _ = figure_by_size(table[group].get("chance", {}), figure)
            if not np.isnan(value).all():
                (drawn["chance"],) = panel.plot(n, value, **dotted)
        panel.set_xscale("log")
        panel.minorticks_off()
        panel.set_xticks(sizes, [str(size) for size in sizes])
        panel.set_xlim(sizes[0] / margin, sizes[-1] * margin)
        panel.set_xlabel("number of images n", fontsize=_TEXT)
    _first(panels).set_ylabel(name, fontsize=_TEXT)
    order = [method for method in [*styles, "chance"] if method in drawn]
    _legend_below(drawing, {method.replace("_", " "): drawn[method] for method in order})
    _save(drawing, path)


def draw_embedding_scatter(
    path: Path,
    *,
    embeddings: Float[np.ndarray, "sample dimension"],
    users: Int[np.ndarray, " sample"],
    names: Sequence[str],
    is_seen: Bool[np.ndarray, " user"],
) -> None:
    """Draws embeddings on their first two principal components, tied to the mean of their user.

    Seen users are filled circles, unseen users open triangles. With more than 24 users, who share
    seven colours, no names are written: they would cover each other.

    Args:
        path: the PNG file to write.
        embeddings: at least two, of at least two dimensions.
        users: whose each embedding is, as an index into `names`.
        names: name of each user; one without embeddings is not drawn.
        is_seen: whether each user is one of the training.

    Raises:
        ValueError: if there are too few embeddings or dimensions for two components.
    """
    position, share = principal_components(embeddings)
    drawing, panels = _panels(
        [""], title="Embeddings on their first two principal components", size=(5.8, 5.2)
    )
    panel = _first(panels)
    present = np.unique(users)
    means = np.stack([position[users == user].mean(axis=0) for user in present])
    for number, (user, mean) in enumerate(zip(present, means, strict=True)):
        own = position[users == user]
        shade = _COLOURS[number % len(_COLOURS)]
        spokes = np.stack([np.broadcast_to(mean, own.shape), own], axis=1)
        panel.add_collection(
            LineCollection(list(spokes), colors=shade, linewidths=0.5, alpha=0.35, zorder=1)
        )
        seen = bool(is_seen[user])
        look: dict[str, Any] = {
            "marker": "o" if seen else "^",
            "facecolors": shade if seen else "white",
            "edgecolors": "white" if seen else shade,
        }
        panel.scatter(own[:, 0], own[:, 1], s=10, linewidths=0.6, zorder=2, **look)
        panel.scatter(mean[0], mean[1], s=80, linewidths=0.8 if seen else 2.0, zorder=3, **look)
    # Distances are distances: one unit is as long on both axes.
    panel.set_aspect("equal", adjustable="datalim")
    panel.set_xlabel(f"first component, {100 * share[0]:.0f} % of the variance", fontsize=_TEXT)
    panel.set_ylabel(f"second component, {100 * share[1]:.0f} % of the variance", fontsize=_TEXT)
    handles: dict[str, Artist] = {
        f"{group} user{what}": Line2D(
            [],
            [],
            linestyle="none",
            marker="o" if group == "seen" else "^",
            markersize=size,
            color=_DARK,
            markerfacecolor=_DARK if group == "seen" else "none",
        )
        for group in ("seen", "unseen")
        if (is_seen[present] == (group == "seen")).any()
        for what, size in (("", 3.5), (": mean", 8))
    }
    _legend_below(drawing, handles)
    if len(present) <= _MOST_NAMES_IN_SCATTER:
        _write_names(panel, [names[user] for user in present], means, avoid=position)
    _save(drawing, path)


def draw_user_bars(
    path: Path,
    *,
    per_user: Mapping[str, Mapping[str, Mapping[str, Any]]],
    unit: str,
    title: str,
) -> None:
    """Draws a difference for each user as a bar with its interval, a panel for each group.

    The largest is at the left. A bar is pale if its interval holds zero or is None. A user whose
    value is None is left out; more than 80 users stand without their names.

    Args:
        path: the PNG file to write.
        per_user: of each group and user, the "value" and its "interval", such as of own minus
            swapped.
        unit: what the difference is in, for the axis.
        title: what the difference is.

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
    drawing, panels = _panels(
        sorted_users,
        title=title,
        sharey=True,
        # As wide a bar in every panel; and room for the title of a panel with one.
        width_ratios=[max(float(len(users)), 0.2 * num_users) for users in sorted_users.values()],
    )
    has_names = num_users <= _MOST_NAMES_UNDER_BARS
    longest = max(len(user) for users in sorted_users.values() for user in users)
    for group, panel in panels.items():
        users = sorted_users[group]
        place = np.arange(len(users))
        rows = [per_user[group][user] for user in users]
        value = np.array([row["value"] for row in rows], float)
        low, high = _intervals(row["interval"] for row in rows)
        is_clear = (low > 0) | (high < 0)
        above = np.where(is_clear, _BLUE, _PALE_BLUE)
        below = np.where(is_clear, _VERMILLION, _PALE_VERMILLION)
        panel.bar(place, value, width=0.75, color=np.where(value > 0, above, below).tolist())
        panel.vlines(place, low, high, color=_DARK, linewidth=0.9)
        panel.axhline(0, color=_DARK, linewidth=0.8)
        panel.grid(visible=False, axis="x")
        panel.set_xlim(-0.7, len(users) - 0.3)
        panel.set_xticks(
            place if has_names else [],
            users if has_names else [],
            parse_math=False,
            # What fits beside each other on the page.
            rotation=90 if num_users * longest > 70 else 0,
            fontsize=_SMALL if num_users <= 40 else 5.5,
        )
        panel.tick_params(axis="x", length=0)
    _first(panels).set_ylabel(unit, fontsize=_TEXT, parse_math=False)
    _legend_below(
        drawing,
        {
            "above zero": Patch(color=_BLUE),
            "below zero": Patch(color=_VERMILLION),
            "pale: the interval holds zero": Patch(color=_PALE_BLUE),
            "95 % interval": Line2D([], [], color=_DARK, linewidth=0.9),
        },
    )
    _save(drawing, path)


def draw_differences(path: Path, *, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Draws how much every variant differs from the base, a panel for each figure and users.

    A line for each variant, on it a mark with its interval for each number of images. A difference
    that is None is left out.

    Args:
        path: the PNG file to write.
        rows: with `variant`, `users`, `figure`, `n`, `difference` and `difference_interval`; the
            first variant is the base.
        title: what is compared.

    Raises:
        ValueError: if there is no difference.
    """
    known = [row for row in rows if row["difference"] is not None]
    variants = list(dict.fromkeys(row["variant"] for row in known))
    figures = [
        figure for figure in _COMPARED_FIGURES if any(row["figure"] == figure for row in known)
    ]
    users = list(dict.fromkeys(row["users"] for row in known))
    if not figures:
        raise ValueError("nothing to draw; allowed: at least 1 difference to the base")
    sizes = sorted({row["n"] for row in known})
    height = len(figures) * (0.7 + 0.12 * len(variants) * max(len(sizes), 2)) + 0.6
    drawing, panels = _grid(len(figures), len(users), size=(_WIDTH, height))
    drawing.suptitle(
        f"{title}: difference to {rows[0]['variant']}, with 95 % intervals",
        fontsize=_TITLE + 1,
        parse_math=False,
    )
    apart = 0.8 / len(sizes)
    for (line, figure), (column, group) in itertools.product(enumerate(figures), enumerate(users)):
        panel = panels[line][column]
        for number, size in enumerate(sizes):
            style = _numbered_style(number)
            shown = [
                row
                for row in known
                if (row["figure"], row["users"], row["n"]) == (figure, group, size)
            ]
            place = np.array([variants.index(row["variant"]) for row in shown], float)
            place += (number - (len(sizes) - 1) / 2) * apart
            low, high = _intervals(row["difference_interval"] for row in shown)
            panel.hlines(place, low, high, color=style.colour, linewidth=1.0)
            value = [row["difference"] for row in shown]
            panel.plot(value, place, style.marker, color=style.colour, markersize=3.5)
        panel.axvline(0, color=_DARK, linewidth=0.8)
        panel.set_title(
            f"{_COMPARED_FIGURES[figure]}, {group} users", fontsize=_TITLE, parse_math=False
        )
        panel.set_yticks(range(len(variants)), variants, fontsize=_SMALL, parse_math=False)
        panel.set_ylim(len(variants) - 0.4, -0.6)
        panel.grid(visible=False, axis="y")
        panel.locator_params(axis="x", nbins=4)
    handles: dict[str, Artist] = {}
    for number, size in enumerate(sizes):
        style = _numbered_style(number)
        (handles[f"n = {size}"],) = panels[0][0].plot(
            [], [], style.marker, color=style.colour, linestyle="-", linewidth=1.0, markersize=3.5
        )
    _legend_below(drawing, handles, columns=6)
    _save(drawing, path)


def draw_costs(path: Path, *, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Draws how well strangers are told apart over what an embedding costs.

    A panel for the operations and one for the time; a mark with its name and interval for each
    variant.

    Args:
        path: the PNG file to write.
        rows: with `variant`, `users`, `figure`, `n`, `value`, `value_interval`,
            `operations_per_embedding` and `seconds_per_embedding`.
        title: what is compared.

    Raises:
        ValueError: if there is no ROC-AUC of unseen users.
    """
    known = [row for row in rows if (row["figure"], row["users"]) == ("roc_auc", "unseen")]
    if not known:
        raise ValueError("nothing to draw; allowed: at least 1 roc_auc of unseen users")
    sizes = sorted({row["n"] for row in known})
    size = sizes[len(sizes) // 2]
    shown = [row for row in known if row["n"] == size]
    drawing, panels = _grid(1, 2, size=(_WIDTH, _HEIGHT + 0.04 * len(shown)))
    drawing.suptitle(
        f"{title}: unseen users, n = {size}, with 95 % intervals",
        fontsize=_TITLE + 1,
        parse_math=False,
    )
    low, high = _intervals(row["value_interval"] for row in shown)
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
            style = _numbered_style(number)
            at = row[key] * factor
            panel.vlines(at, low[number], high[number], color=style.colour, linewidth=0.8)
            (handles[row["variant"]],) = panel.plot(
                at, value[number], style.marker, color=style.colour, markersize=4
            )
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_xlabel(name, fontsize=_TEXT)
    panels[0][0].set_ylabel(_FIGURE_NAMES["roc_auc"], fontsize=_TEXT)
    _legend_below(drawing, handles, columns=4 if max(map(len, handles)) < 24 else 2)
    _save(drawing, path)


def draw_traits(path: Path, *, traits: Mapping[str, Mapping[str, Any]]) -> None:
    """Draws how well each trait of unseen users is read from their embeddings.

    Args:
        path: the PNG file to write.
        traits: of each trait its `correlation` and `p_value`.
    """
    names = list(traits)
    drawing, ((panel,),) = _grid(1, 1, size=(_WIDTH, 0.9 + 0.22 * len(names)))
    values = [traits[name]["correlation"] for name in names]
    is_sure = [traits[name]["p_value"] < 0.05 for name in names]
    colours = [_BLUE if sure else _PALE_BLUE for sure in is_sure]
    panel.barh(range(len(names)), values, color=colours, height=0.65)
    panel.axvline(0, color=_DARK, linewidth=0.8)
    spoken = [name.replace("_", " ") for name in names]
    panel.set_yticks(range(len(names)), spoken, fontsize=_SMALL, parse_math=False)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.set_xlim(min(0.0, *values) - 0.05, 1)
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("correlation of predicted and true trait, unseen users", fontsize=_TEXT)
    handles = {
        name: Patch(color=colour)
        for name, colour in (("p < 0.05", _BLUE), ("p of 0.05 or more", _PALE_BLUE))
    }
    _legend_below(drawing, handles)
    _save(drawing, path)


def draw_directions(
    path: Path,
    *,
    image: UInt8[np.ndarray, "image_height image_width 3"],
    maps: Mapping[str, Float[np.ndarray, "step height width"]],
    steps: Sequence[float],
) -> None:
    """Draws the maps of one image as an embedding moves along directions, a row for each.

    Beside the maps of a row stands by how much the last one differs from the first. All maps share
    a scale, of the square root, and all differences one.

    Args:
        path: the PNG file to write.
        image: the image.
        maps: of each direction, by its name, a map for each step.
        steps: how far each step is, in standard deviations.
    """
    density = {name: of / of.mean(axis=(1, 2), keepdims=True) for name, of in maps.items()}
    highest = max(float(of.max()) for of in density.values())
    differences = {name: of[-1] - of[0] for name, of in density.items()}
    largest = max(float(np.quantile(np.abs(one), 0.995)) for one in differences.values()) or 1.0
    columns = len(steps) + 1
    wide = _WIDTH / (columns + 0.5)
    tall = wide * image.shape[0] / image.shape[1]
    drawing = Figure(
        figsize=(_WIDTH, (tall + 0.06) * (len(maps) + 1) + 0.3),
        dpi=_DOTS_PER_INCH,
        layout=ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02),
    )
    panels = drawing.subplots(len(maps) + 1, columns, squeeze=False)
    place: dict[str, Any] = {"extent": (0, 1, 1, 0), "aspect": "auto", "interpolation": "nearest"}
    for panel in panels.flat:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_linewidth(0.5)
    panels[0][0].imshow(image, **place)
    for panel in panels[0][1:]:
        panel.set_visible(False)
    for line, (name, of) in zip(panels[1:], density.items(), strict=True):
        for panel, one in zip(line, of, strict=False):
            panel.imshow(colour(np.sqrt(one / highest)), **place)
        line[-1].imshow(
            differences[name], cmap="RdBu_r", norm=Normalize(-largest, largest), **place
        )
        spoken = name.replace("_", " ")
        label = textwrap.fill(spoken, max(1, int(tall * 72 / (0.6 * _SMALL))))
        line[0].set_ylabel(label, fontsize=_SMALL, parse_math=False)
    titles = [*(f"{step:+g} sd" if step else "mean" for step in steps), "last \u2212 first"]
    for panel, title in zip(panels[1], titles, strict=True):
        panel.set_title(title, fontsize=_TEXT, pad=3)
    _save(drawing, path)


def draw_map_grid(path: Path, *, rows: Sequence[MapRow]) -> None:
    """Draws people and images as rows: the image, three maps, and what the person adds.

    The columns: the image with the person's fixations, the universal map, the person's own
    (predicted), the truth, and own minus universal. All maps are drawn as densities, with a mean of
    1. The three maps of a row share one scale, of the square root, as the truth has far higher
    peaks than what can be predicted. The differences of all rows share one scale, so that a pale
    one is a small one.

    Args:
        path: the PNG file to write.
        rows: the people and images, at least one.

    Raises:
        ValueError: if there is no row, or a map is zero everywhere.
    """
    if not rows:
        raise ValueError("rows is empty; allowed: at least 1 row")
    densities = [[_density(one, row) for one in ("universal", "own", "truth")] for row in rows]
    differences = [own - universal for universal, own, _ in densities]
    # Not the highest of all cells, which would pale everything else.
    largest = max(float(np.quantile(np.abs(one), 0.995)) for one in differences)
    signed = Normalize(-largest or -1.0, largest or 1.0)
    columns = (
        "image and fixations",
        "universal",
        "own (predicted)",
        "truth",
        "own \u2212 universal",
    )
    left, gap, top, bottom = 0.36, 0.06, 0.25, 0.62
    width = (_WIDTH - left - gap * len(columns)) / len(columns)
    heights = [width * row.image.shape[0] / row.image.shape[1] for row in rows]
    height = top + bottom + sum(heights) + gap * (len(rows) - 1)
    drawing = Figure(figsize=(_WIDTH, height), dpi=_DOTS_PER_INCH)

    def add_panel(column: int, upper: float, tall: float, span: int = 1) -> Axes:
        """One panel over some columns; its upper edge in inches from above."""
        start = left + column * (width + gap)
        wide = span * (width + gap) - gap
        return drawing.add_axes(
            (start / _WIDTH, 1 - (upper + tall) / height, wide / _WIDTH, tall / height)
        )

    upper = top
    for number, (row, tall) in enumerate(zip(rows, heights, strict=True)):
        panels = [add_panel(column, upper, tall) for column in range(len(columns))]
        highest = max(one.max() for one in densities[number])
        place: dict[str, Any] = {"extent": (0, 1, 1, 0), "aspect": "auto"}
        panels[0].imshow(row.image, **place)
        x, y = row.xy_frac.T
        panels[0].scatter(x, y, s=7, c="white", edgecolors="black", linewidths=0.5)
        for panel, density in zip(panels[1:4], densities[number], strict=True):
            panel.imshow(colour(np.sqrt(density / highest)), interpolation="nearest", **place)
        panels[4].imshow(
            differences[number], interpolation="nearest", cmap="RdBu_r", norm=signed, **place
        )
        # A letter is about 0.6 of the font size wide.
        label = textwrap.fill(row.label, max(1, int(tall * 72 / (0.6 * _SMALL))))
        panels[0].set_ylabel(label, fontsize=_SMALL, parse_math=False)
        for panel, title in zip(panels, columns, strict=True):
            panel.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])
            panel.spines[:].set_linewidth(0.5)
            if number == 0:
                panel.set_title(title, fontsize=_TEXT, pad=4)
        upper += tall + gap
    strip = add_panel(1, upper + 0.03, 0.1, span=3)
    strip.imshow(colour(np.linspace(0, 1, 512)[None]), aspect="auto", extent=(0, 1, 0, 1))
    strip.set(yticks=[])
    strip.set_xticks(np.sqrt([0, 0.05, 0.25, 0.5, 1]), ["0", "0.05", "0.25", "0.5", "1"])
    strip.set_xlabel(
        "density, as a share of the row's highest (square-root scale)", fontsize=_SMALL
    )
    bar = add_panel(4, upper + 0.03, 0.1)
    drawing.colorbar(
        ScalarMappable(signed, "RdBu_r"), cax=bar, orientation="horizontal", extend="both"
    )
    bar.set_xlabel("density (uniform: 1),\nsame scale in all rows", fontsize=_SMALL)
    for scale in (strip, bar):
        scale.tick_params(labelsize=_SMALL, length=2, pad=1)
        scale.xaxis.labelpad = 1
    _save(drawing, path)


def true_match_rate(
    fmr: Float[np.ndarray, " threshold"],
    fnmr: Float[np.ndarray, " threshold"],
    *,
    at: Float[np.ndarray, " rate"],
) -> Float[np.ndarray, " rate"]:
    """Highest share of genuine pairs accepted at a false match rate of at most `at`.

    Nothing is interpolated. NaN below the lowest rate above zero, where nothing was measured.
    """
    index = np.searchsorted(fmr, at, side="right") - 1
    return np.where(at >= fmr[fmr > 0].min(initial=np.inf), 1 - fnmr[index], np.nan)


def figure_by_size(
    rows: Mapping[str, Mapping[str, Any]], figure: str
) -> Float[np.ndarray, "4 size"]:
    """Sizes, rising, with the figure's value, low and high there; NaN for what is None."""
    sizes = sorted(rows, key=int)
    value = [rows[size].get(figure) for size in sizes]
    low, high = _intervals(rows[size].get(f"{figure}_interval") for size in sizes)
    return np.array([[int(size) for size in sizes], value, low, high], float)


def principal_components(
    features: Float[np.ndarray, "sample dimension"],
) -> tuple[Float[np.ndarray, "sample 2"], Float[np.ndarray, " 2"]]:
    """Places of samples along the first two principal components, and their shares of variance.

    The sign of a component is chosen so that its largest weight is positive. Samples that are all
    the same are at zero, with a share of zero.

    Raises:
        ValueError: if there are fewer than two samples or dimensions.
    """
    if min(features.shape) < 2:
        raise ValueError(f"features has shape {features.shape}; allowed: at least 2 by 2")
    centred = (features - features.mean(axis=0)).astype(float)
    _, spread, components = np.linalg.svd(centred, full_matrices=False)
    largest = np.abs(components[:2]).argmax(axis=1)
    sign = np.sign(components[[0, 1], largest])
    variance = spread**2
    share = variance[:2] / variance.sum() if variance.any() else np.zeros(2)
    return centred @ (components[:2] * sign[:, None]).T, share


def place_labels(
    anchors: Float[np.ndarray, "label 2"],
    sizes: Float[np.ndarray, "label 2"],
    *,
    avoid: Float[np.ndarray, "point 2"],
    distance: float,
) -> Float[np.ndarray, "label 2"]:
    """Centres of labels near what they label, one after the other where they cover least.

    Args:
        anchors: the points to label, each a marker that reaches half of `distance`.
        sizes: width and height of each label.
        avoid: points that are better not covered, markers half as large.
        distance: from an anchor to the near edge of its label; further away is tried as well.
    """
    angles = np.pi / 2 + np.arange(8) * np.pi / 4  # Above comes first, and wins a tie.
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    # Lower and upper corners of what is there already; labels are added as they are placed.
    taken = np.concatenate(
        [_boxes(anchors, np.full(2, distance)), _boxes(avoid, np.full(2, distance / 2))]
    )
    centres = np.zeros_like(anchors)
    for number, (anchor, size) in enumerate(zip(anchors, sizes, strict=True)):
        tried = np.concatenate(
            [anchor + directions * (far * distance + size / 2) for far in (1, 1.7, 2.4)]
        )
        boxes = _boxes(tried, size)[:, None]
        shared = np.minimum(boxes[..., 1, :], taken[:, 1]) - np.maximum(
            boxes[..., 0, :], taken[:, 0]
        )
        covered = shared.clip(0).prod(axis=-1).sum(axis=-1)
        centres[number] = tried[covered.argmin()]
        taken = np.concatenate([taken, _boxes(centres[number : number + 1], size)])
    return centres


def _boxes(
    centres: Float[np.ndarray, "box 2"], size: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, "box 2 2"]:
    """Lower and upper corner of boxes of one size."""
    return np.stack([centres - size / 2, centres + size / 2], axis=1)


def _write_names(
    panel: Axes,
    names: Sequence[str],
    anchors: Float[np.ndarray, "label 2"],
    *,
    avoid: Float[np.ndarray, "point 2"],
) -> None:
    """Writes a name beside each point, where it covers least."""
    drawing = panel.get_figure(root=True)
    assert drawing is not None
    # The layout decides where a point is; it must not move afterwards.
    drawing.draw_without_rendering()
    drawing.set_layout_engine("none")
    texts = [
        panel.text(
            0,
            0,
            name,
            ha="center",
            va="center",
            fontsize=_TEXT,
            parse_math=False,
            zorder=4,
            path_effects=[patheffects.withStroke(linewidth=2, foreground="white")],
        )
        for name in names
    ]
    # With a little room around each.
    sizes = np.array([text.get_window_extent().size for text in texts]) + np.array([8, 2])
    to_pixels = panel.transData.transform
    centres = place_labels(
        to_pixels(anchors), sizes, avoid=to_pixels(avoid), distance=8 * drawing.dpi / 72
    )
    for text, centre in zip(texts, centres, strict=True):
        text.set_transform(None)
        text.set_position(tuple(centre))


def _panels(
    groups: Iterable[str],
    *,
    title: str,
    sharey: bool = False,
    size: tuple[float, float] = (_WIDTH, _HEIGHT),
    width_ratios: Sequence[float] | None = None,
) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel for each group of users, side by side."""
    names = list(groups)
    if not names:
        raise ValueError("nothing to draw; allowed: at least 1 group of users with a value")
    drawing = Figure(figsize=size, dpi=_DOTS_PER_INCH, layout=ConstrainedLayoutEngine(wspace=0.06))
    axes = drawing.subplots(
        1, len(names), sharey=sharey, squeeze=False, gridspec_kw={"width_ratios": width_ratios}
    )
    drawing.suptitle(title, fontsize=_TITLE + 1, parse_math=False)
    panels = dict(zip(names, axes[0], strict=True))
    for name, panel in panels.items():
        if name:
            panel.set_title(f"{name} users", fontsize=_TITLE, parse_math=False)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=_TEXT)
        panel.grid(color=_LIGHT, linewidth=0.6)
        panel.set_axisbelow(True)
    return drawing, panels


def _grid(rows: int, columns: int, *, size: tuple[float, float]) -> tuple[Figure, list[list[Axes]]]:
    """A figure with panels in rows; those of a row share what is beside it."""
    drawing = Figure(figsize=size, dpi=_DOTS_PER_INCH, layout=ConstrainedLayoutEngine())
    panels = drawing.subplots(rows, columns, sharey="row", squeeze=False)
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=_SMALL)
        panel.grid(color=_LIGHT, linewidth=0.6)
        panel.set_axisbelow(True)
    return drawing, panels.tolist()


def _first(panels: Mapping[str, Axes]) -> Axes:
    return next(iter(panels.values()))


def _numbered_style(number: int) -> _Style:
    """Of things without a style of their own."""
    return _Style(
        colour=_COLOURS[number % len(_COLOURS)],
        line=_LINES[number % len(_LINES)],
        # One further with each round of the colours, so that no two of the first 49 look the same.
        marker="os^DvPX"[(number + number // 7) % 7],
        width=1.4,
    )


def _legend_below(drawing: Figure, handles: Mapping[str, Artist], *, columns: int = 4) -> None:
    legend = drawing.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=columns,
        fontsize=_TEXT,
        frameon=False,
        handlelength=3,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _intervals(
    intervals: Iterable[Sequence[float] | None],
) -> tuple[Float[np.ndarray, " interval"], Float[np.ndarray, " interval"]]:
    """Lows and highs; NaN for an interval that is None."""
    pairs = [(np.nan, np.nan) if pair is None else pair for pair in intervals]
    low, high = np.array(pairs, float).reshape(-1, 2).T
    return low, high


def _density(name: str, row: MapRow) -> Float[np.ndarray, "map_height map_width"]:
    """A map of the row, scaled to a mean of 1."""
    values = np.asarray(getattr(row, name), float)
    if not values.sum() > 0:
        raise ValueError(f"{name} of row {row.label!r} sums to {values.sum()}; allowed: above 0")
    return values / values.mean()


def _save(drawing: Figure, path: Path) -> None:
    """Writes the PNG whole or not at all, without the version of matplotlib in it."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        drawing.savefig(temporary, format="png", metadata={"Software": None})
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
