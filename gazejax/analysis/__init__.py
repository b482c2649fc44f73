"""What an embedding encodes of a user, and which images to show to new users."""

from gazejax.analysis.image_selection import choose_images, select_images
from gazejax.analysis.trait_probes import fit_direction, measure, probe

__all__ = [
    "choose_images",
    "fit_direction",
    "measure",
    "probe",
    "select_images",
]
