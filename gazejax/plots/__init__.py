"""Figures, drawn with matplotlib from arrays and plain tables, and how they are written."""

from gazejax.plots.differences import (
    draw_costs,
    draw_differences,
    draw_intervals,
    draw_training,
    draw_traits,
    draw_user_bars,
)
from gazejax.plots.embeddings import draw_embedding_scatter
from gazejax.plots.maps import draw_directions, draw_map_grid, plot_prediction
from gazejax.plots.style import save_png
from gazejax.plots.svg import slug, to_svg
from gazejax.plots.verification import draw_metrics_against_size, draw_roc_curves

__all__ = [
    "draw_costs",
    "draw_differences",
    "draw_directions",
    "draw_embedding_scatter",
    "draw_intervals",
    "draw_map_grid",
    "draw_metrics_against_size",
    "draw_roc_curves",
    "draw_training",
    "draw_traits",
    "draw_user_bars",
    "plot_prediction",
    "save_png",
    "slug",
    "to_svg",
]
