"""Trained models as files for other programs."""

from gazejax.export.folder import export_folder, export_programs

__all__ = ["export_folder", "export_programs"]
