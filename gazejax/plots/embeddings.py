"""Scatter plot of embeddings, with the names of users."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib import patheffects
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gazejax.plots.style import (
    COLORS,
    DARK,
    TEXT,
    first_panel,
    legend_below,
    make_panels,
)
from gazejax.plots.svg import name_part

# More names than these would overlap.
_MOST_NAMES_IN_SCATTER = 24


def draw_embedding_scatter(
    *,
    embeddings: Float[np.ndarray, "sample dimension"],
    users: Int[np.ndarray, " sample"],
    names: Sequence[str],
    is_seen: Bool[np.ndarray, " user"],
) -> Figure:
    """Draws embeddings on their first two principal components, with a line to the user's mean.

    Seen users are filled circles, unseen users open triangles. With more than 24 users, no names
    are written, since they would overlap.

    Args:
        embeddings: at least two, of at least two dimensions.
        users: user of each embedding, as an index into `names`.
        names: name of each user; a user without embeddings is not drawn.
        is_seen: whether each user is a seen user.

    Raises:
        ValueError: if there are too few embeddings or dimensions for two components.
    """
    position, share = principal_components(embeddings)
    drawing, panels = make_panels(
        [""], title="Embeddings on their first two principal components", size=(5.8, 5.2)
    )
    panel = first_panel(panels)
    present = np.unique(users)
    means = np.stack([position[users == user].mean(axis=0) for user in present])
    spokes: list[tuple[tuple[float, float], tuple[float, float]]] = []
    colors: list[str] = []
    for number, (user, mean) in enumerate(zip(present, means, strict=True)):
        own = position[users == user]
        color = COLORS[number % len(COLORS)]
        spokes += [((mean[0], mean[1]), (x, y)) for x, y in own.tolist()]
        colors += [color] * len(own)
        seen = bool(is_seen[user])
        look: dict[str, Any] = {
            "linestyle": "none",
            "marker": "o" if seen else "^",
            "markerfacecolor": color if seen else "white",
            "markeredgecolor": "white" if seen else color,
        }
        # Lines without a line: a scatter of each user takes ten times as long.
        width = 0.8 if seen else 2.0
        for points in (
            *panel.plot(*own.T, markersize=3.2, markeredgewidth=0.6, zorder=2, **look),
            *panel.plot(*mean, markersize=8.9, markeredgewidth=width, zorder=3, **look),
        ):
            name_part(points, f"user {user}")
    panel.add_collection(
        LineCollection(spokes, colors=colors, linewidths=0.5, alpha=0.35, zorder=1)
    )
    # One unit has the same length on both axes, so that distances are comparable.
    panel.set_aspect("equal", adjustable="datalim")
    panel.set_xlabel(f"first component, {100 * share[0]:.0f} % of the variance", fontsize=TEXT)
    panel.set_ylabel(f"second component, {100 * share[1]:.0f} % of the variance", fontsize=TEXT)
    handles: dict[str, Artist] = {
        f"{group} user{what}": Line2D(
            [],
            [],
            linestyle="none",
            marker="o" if group == "seen" else "^",
            markersize=size,
            color=DARK,
            markerfacecolor=DARK if group == "seen" else "none",
        )
        for group in ("seen", "unseen")
        if (is_seen[present] == (group == "seen")).any()
        for what, size in (("", 3.5), (": mean", 8))
    }
    legend_below(drawing, handles)
    if len(present) <= _MOST_NAMES_IN_SCATTER:
        _write_names(panel, [names[user] for user in present], means, avoid=position)
    return drawing


def principal_components(
    embeddings: Float[np.ndarray, "sample dimension"],
) -> tuple[Float[np.ndarray, "sample 2"], Float[np.ndarray, " 2"]]:
    """Projects embeddings on their first two principal components.

    The sign of a component is chosen so that its weight of largest magnitude is positive.

    Returns:
        Position of each embedding, and the share of variance of each component. Both are zero if
        all embeddings are equal.

    Raises:
        ValueError: if there are fewer than two samples or dimensions.
    """
    if min(embeddings.shape) < 2:
        raise ValueError(f"embeddings has shape {embeddings.shape}; allowed: at least 2 by 2")
    centered = (embeddings - embeddings.mean(axis=0)).astype(float)
    _, spread, components = np.linalg.svd(centered, full_matrices=False)
    largest = np.abs(components[:2]).argmax(axis=1)
    sign = np.sign(components[[0, 1], largest])
    variance = spread**2
    share = variance[:2] / variance.sum() if variance.any() else np.zeros(2)
    return centered @ (components[:2] * sign[:, None]).T, share


def place_labels(
    anchors: Float[np.ndarray, "label 2"],
    sizes: Float[np.ndarray, "label 2"],
    *,
    avoid: Float[np.ndarray, "point 2"],
    distance: float,
) -> Float[np.ndarray, "label 2"]:
    """Centers of labels near their points, placed one after the other with the least overlap.

    Args:
        anchors: the points to label; the radius of their markers is half of `distance`.
        sizes: width and height of each label.
        avoid: other points that labels should not cover; their markers are half as large.
        distance: smallest distance from a point to the near edge of its label; larger distances are
            tried too.
    """
    angles = np.pi / 2 + np.arange(8) * np.pi / 4  # Above comes first, and wins a tie.
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    # Lower and upper corners of the boxes that exist already; labels are added as they are placed.
    taken = np.concatenate(
        [_boxes(anchors, np.full(2, distance)), _boxes(avoid, np.full(2, distance / 2))]
    )
    centers = np.zeros_like(anchors)
    for number, (anchor, size) in enumerate(zip(anchors, sizes, strict=True)):
        tried = np.concatenate(
            [anchor + directions * (far * distance + size / 2) for far in (1, 1.7, 2.4)]
        )
        boxes = _boxes(tried, size)[:, None]
        shared = np.minimum(boxes[..., 1, :], taken[:, 1]) - np.maximum(
            boxes[..., 0, :], taken[:, 0]
        )
        covered = shared.clip(0).prod(axis=-1).sum(axis=-1)
        centers[number] = tried[covered.argmin()]
        taken = np.concatenate([taken, _boxes(centers[number : number + 1], size)])
    return centers


def _boxes(
    centers: Float[np.ndarray, "box 2"], size: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, "box 2 2"]:
    """Lower and upper corner of boxes of one size."""
    return np.stack([centers - size / 2, centers + size / 2], axis=1)


def _write_names(
    panel: Axes,
    names: Sequence[str],
    anchors: Float[np.ndarray, "label 2"],
    *,
    avoid: Float[np.ndarray, "point 2"],
) -> None:
    """Writes a name beside each point, with the least overlap."""
    drawing = panel.get_figure(root=True)
    assert drawing is not None
    # The layout determines the positions of points in pixels; later they must not change.
    drawing.draw_without_rendering()
    drawing.set_layout_engine("none")
    texts = [
        panel.text(
            0,
            0,
            name,
            ha="center",
            va="center",
            fontsize=TEXT,
            parse_math=False,
            zorder=4,
            path_effects=[patheffects.withStroke(linewidth=2, foreground="white")],
        )
        for name in names
    ]
    # With a margin around each text.
    sizes = np.array([text.get_window_extent().size for text in texts]) + np.array([8, 2])
    to_pixels = panel.transData.transform
    centers = place_labels(
        to_pixels(anchors), sizes, avoid=to_pixels(avoid), distance=8 * drawing.dpi / 72
    )
    # In inches: a file may have other pixels than the drawing.
    for text, center in zip(texts, centers / drawing.dpi, strict=True):
        text.set_transform(drawing.dpi_scale_trans)
        text.set_position(tuple(center))
