"""Trained models as files for other programs."""

from gazejax.export.folder import export_folder

__all__ = ["export_folder"]
