"""What an embedding encodes of a user, and which images to show to new users."""

from gazejax.analysis.image_selection import choose_images, select_images
from gazejax.analysis.trait_probes import probe
from gazejax.evaluation.traits import measure
from gazejax.models.linear_probe import fit_direction

__all__ = [
    "choose_images",
    "fit_direction",
    "measure",
    "probe",
    "select_images",
]
