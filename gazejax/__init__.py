"""gazejax: user embeddings from gaze, and saliency maps for one person."""

__all__ = ["Model", "load"]
