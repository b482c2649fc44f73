"""Plots as PNG files, drawn with matplotlib from arrays and plain tables."""

from gazejax.plots.differences import plot_costs, plot_differences, plot_traits, plot_user_bars
from gazejax.plots.embeddings import plot_embedding_scatter
from gazejax.plots.maps import plot_directions, plot_map_grid, plot_prediction
from gazejax.plots.verification import plot_metrics_against_size, plot_roc_curves

__all__ = [
    "plot_costs",
    "plot_differences",
    "plot_directions",
    "plot_embedding_scatter",
    "plot_map_grid",
    "plot_metrics_against_size",
    "plot_prediction",
    "plot_roc_curves",
    "plot_traits",
    "plot_user_bars",
]
