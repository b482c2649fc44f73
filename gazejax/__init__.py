"""gazejax: user embeddings from gaze, and saliency maps for one person."""

from gazejax.api import Model, load

__all__ = ["Model", "load"]
