"""From a prepared TFDS data set to arrays."""

from gazejax.data.features import fit_projection
from gazejax.data.loading import load_dataset, make_config_splits
from gazejax.data.pretrained import load_parameters
from gazejax.data.reader import prepared_folder, read_records
from gazejax.data.splits import make_splits, named_splits, share_images

__all__ = [
    "fit_projection",
    "load_dataset",
    "load_parameters",
    "make_config_splits",
    "make_splits",
    "named_splits",
    "prepared_folder",
    "read_records",
    "share_images",
]
