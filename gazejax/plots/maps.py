"""Plots of saliency maps beside and over images."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from gazejax.plots.style import DOTS_PER_INCH, SMALL, TEXT, WIDTH


def plot_prediction(
    image: UInt8[np.ndarray, "height width 3"], saliency: Float[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    """Draws the map over the image."""
    strength = saliency / saliency.max()
    heat = apply_colormap(strength)
    opacity = 0.25 + 0.5 * strength[..., None]
    return ((1 - opacity) * image + opacity * heat).round().astype(np.uint8)


def apply_colormap(
    values: Float[np.ndarray, "height width"],
) -> UInt8[np.ndarray, "height width 3"]:
    """Maps values between 0 and 1 to colors from dark to bright, readable in gray as well."""
    return (colormaps["inferno"](values)[..., :3] * 255).round().astype(np.uint8)


class MapRow(NamedTuple):
    """One user and image of `draw_map_grid`. Maps may have any scale.

    Attributes:
        label: text at the left of the row, such as the user's name.
        image: the image.
        universal: universal map of the image.
        own: map predicted from the user's own embedding.
        truth: personal map of the user.
        xy_frac: fixations of the user as fractions of image width and height.
    """

    label: str
    image: UInt8[np.ndarray, "height width 3"]
    universal: Float[np.ndarray, "map_height map_width"]
    own: Float[np.ndarray, "map_height map_width"]
    truth: Float[np.ndarray, "map_height map_width"]
    xy_frac: Float[np.ndarray, "fixation 2"]


def draw_directions(
    *,
    image: UInt8[np.ndarray, "image_height image_width 3"],
    maps: Mapping[str, Float[np.ndarray, "step height width"]],
    steps: Sequence[float],
) -> Figure:
    """Draws the maps of one image as an embedding changes along directions, a row for each.

    The last panel of a row is the difference of the last and the first map. All maps share one
    color scale, that of the square root. All differences share another.

    Args:
        image: the image.
        maps: for the name of each direction, a map for each step.
        steps: position of each step along the direction, in standard deviations.
    """
    density = {name: of / of.mean(axis=(1, 2), keepdims=True) for name, of in maps.items()}
    highest = max(float(of.max()) for of in density.values())
    differences = {name: of[-1] - of[0] for name, of in density.items()}
    largest = max(float(np.quantile(np.abs(one), 0.995)) for one in differences.values()) or 1.0
    columns = len(steps) + 1
    wide = WIDTH / (columns + 0.5)
    tall = wide * image.shape[0] / image.shape[1]
    drawing = Figure(
        figsize=(WIDTH, (tall + 0.06) * (len(maps) + 1) + 0.3),
        dpi=DOTS_PER_INCH,
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
            panel.imshow(apply_colormap(np.sqrt(one / highest)), **place)
        line[-1].imshow(
            differences[name], cmap="RdBu_r", norm=Normalize(-largest, largest), **place
        )
        spoken = name.replace("_", " ")
        label = textwrap.fill(spoken, max(1, int(tall * 72 / (0.6 * SMALL))))
        line[0].set_ylabel(label, fontsize=SMALL, parse_math=False)
    titles = [*(f"{step:+g} sd" if step else "mean" for step in steps), "last \u2212 first"]
    for panel, title in zip(panels[1], titles, strict=True):
        panel.set_title(title, fontsize=TEXT, pad=3)
    return drawing


def draw_map_grid(*, rows: Sequence[MapRow]) -> Figure:
    """Draws a row for each user and image: the image, three maps, and a difference of maps.

    The columns are the image with the user's fixations, the universal map, the user's own
    (predicted) map, the true map, and own minus universal. All maps are drawn as densities with a
    mean of 1. The three maps of a row share one color scale, that of the square root, because the
    true map has far higher peaks than the predicted one. The differences of all rows share one
    color scale, so that magnitudes are comparable between rows.

    Args:
        rows: the users and images, at least one.

    Raises:
        ValueError: if there is no row, or a map is zero everywhere.
    """
    if not rows:
        raise ValueError("rows is empty; allowed: at least 1 row")
    densities = [[_density(one, row) for one in ("universal", "own", "truth")] for row in rows]
    differences = [own - universal for universal, own, _ in densities]
    # A quantile and not the maximum, with which most cells would be nearly white.
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
    width = (WIDTH - left - gap * len(columns)) / len(columns)
    heights = [width * row.image.shape[0] / row.image.shape[1] for row in rows]
    height = top + bottom + sum(heights) + gap * (len(rows) - 1)
    drawing = Figure(figsize=(WIDTH, height), dpi=DOTS_PER_INCH)

    def add_panel(column: int, upper: float, tall: float, span: int = 1) -> Axes:
        """Adds a panel over `span` columns; its upper edge is in inches from the top."""
        start = left + column * (width + gap)
        wide = span * (width + gap) - gap
        return drawing.add_axes(
            (start / WIDTH, 1 - (upper + tall) / height, wide / WIDTH, tall / height)
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
            panel.imshow(
                apply_colormap(np.sqrt(density / highest)), interpolation="nearest", **place
            )
        panels[4].imshow(
            differences[number], interpolation="nearest", cmap="RdBu_r", norm=signed, **place
        )
        # A letter is about 0.6 of the font size wide.
        label = textwrap.fill(row.label, max(1, int(tall * 72 / (0.6 * SMALL))))
        panels[0].set_ylabel(label, fontsize=SMALL, parse_math=False)
        for panel, title in zip(panels, columns, strict=True):
            panel.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])
            panel.spines[:].set_linewidth(0.5)
            if number == 0:
                panel.set_title(title, fontsize=TEXT, pad=4)
        upper += tall + gap
    strip = add_panel(1, upper + 0.03, 0.1, span=3)
    strip.imshow(apply_colormap(np.linspace(0, 1, 512)[None]), aspect="auto", extent=(0, 1, 0, 1))
    strip.set(yticks=[])
    strip.set_xticks(np.sqrt([0, 0.05, 0.25, 0.5, 1]), ["0", "0.05", "0.25", "0.5", "1"])
    strip.set_xlabel("density, as a share of the row's highest (square-root scale)", fontsize=SMALL)
    bar = add_panel(4, upper + 0.03, 0.1)
    drawing.colorbar(
        ScalarMappable(signed, "RdBu_r"), cax=bar, orientation="horizontal", extend="both"
    )
    bar.set_xlabel("density (uniform: 1),\nsame scale in all rows", fontsize=SMALL)
    for scale in (strip, bar):
        scale.tick_params(labelsize=SMALL, length=2, pad=1)
        scale.xaxis.labelpad = 1
    return drawing


def _density(name: str, row: MapRow) -> Float[np.ndarray, "map_height map_width"]:
    """A map of the row, scaled to a mean of 1."""
    values = np.asarray(getattr(row, name), float)
    if not values.sum() > 0:
        raise ValueError(f"{name} of row {row.label!r} sums to {values.sum()}; allowed: above 0")
    return values / values.mean()
