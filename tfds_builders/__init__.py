"""TFDS builders of gaze data sets; importing this package registers them with TFDS.

All builders write the record of `tfds_builders.common.gaze_schema`. The package imports neither
gazejax nor jax nor TensorFlow, so any framework can read a data set that was prepared with it.
"""

from tfds_builders.gaze_table import gaze_table_dataset_builder as gaze_table_dataset_builder
from tfds_builders.individual_differences import (
    individual_differences_dataset_builder as individual_differences_dataset_builder,
)
from tfds_builders.osie import osie_dataset_builder as osie_dataset_builder
from tfds_builders.personalized_saliency import (
    personalized_saliency_dataset_builder as personalized_saliency_dataset_builder,
)
from tfds_builders.synthetic_gaze import (
    synthetic_gaze_dataset_builder as synthetic_gaze_dataset_builder,
)
