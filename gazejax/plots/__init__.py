"""Pictures in files, drawn with matplotlib from arrays and plain tables."""

from gazejax.plots.differences import draw_costs, draw_differences, draw_traits, draw_user_bars
from gazejax.plots.embeddings import draw_embedding_scatter
from gazejax.plots.maps import MapRow, draw_directions, draw_map_grid, draw_prediction
from gazejax.plots.verification import draw_figures_against_size, draw_roc_curves

__all__ = [
    "MapRow",
    "draw_costs",
    "draw_differences",
    "draw_directions",
    "draw_embedding_scatter",
    "draw_figures_against_size",
    "draw_map_grid",
    "draw_prediction",
    "draw_roc_curves",
    "draw_traits",
    "draw_user_bars",
]
