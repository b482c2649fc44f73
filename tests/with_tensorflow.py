"""TFDS's own test case, for every builder; it needs TensorFlow (`make test-tensorflow`).

Not part of the other tests: nothing else here needs TensorFlow. It also writes TFRecord files and
reads them with tf.data, which the other tests never do.
"""

import tempfile
from pathlib import Path

import tensorflow_datasets as tfds

import tfds_builders
from tfds_builders.common import gaze_files
from tfds_builders.common.coordinates import IMAGE_PX
from tfds_builders.gaze_table import gaze_table_dataset_builder
from tfds_builders.individual_differences import (
    individual_differences_dataset_builder,
    individual_differences_dataset_builder_test,
)
from tfds_builders.osie import osie_dataset_builder, osie_dataset_builder_test
from tfds_builders.personalized_saliency import (
    personalized_saliency_dataset_builder,
    personalized_saliency_dataset_builder_test,
)
from tfds_builders.synthetic_gaze import synthetic_gaze_dataset_builder

BUILDERS_DIR = Path(tfds_builders.__file__).parent


class OsieTest(tfds.testing.DatasetBuilderTestCase):
    """Gaze and mouse of the dummy release, whose counts and digests are its own."""

    DATASET_CLASS = osie_dataset_builder.Builder
    EXAMPLE_DIR = BUILDERS_DIR / "osie" / "dummy_data"
    BUILDER_CONFIG_NAMES_TO_TEST = [  # noqa: RUF012 - of TFDS's interface, like the others below
        osie_dataset_builder_test.make_config(EXAMPLE_DIR),
        osie_dataset_builder_test.make_mouse_config(EXAMPLE_DIR),
    ]
    SPLITS = {"train": 3}  # noqa: RUF012
    SKIP_CHECKSUMS = True


class PersonalizedSaliencyTest(tfds.testing.DatasetBuilderTestCase):
    """The dummy release with its images."""

    DATASET_CLASS = personalized_saliency_dataset_builder.Builder
    EXAMPLE_DIR = BUILDERS_DIR / "personalized_saliency" / "dummy_data"
    BUILDER_CONFIG_NAMES_TO_TEST = [  # noqa: RUF012
        personalized_saliency_dataset_builder_test.make_config(EXAMPLE_DIR)
    ]
    SPLITS = {"train": 3}  # noqa: RUF012
    SKIP_CHECKSUMS = True

    def _make_builder(self, config=None):
        return self.dataset_class(
            data_dir=self.tmp_dir, config=config, images_dir=self.EXAMPLE_DIR / "images"
        )


class SyntheticGazeTest(tfds.testing.DatasetBuilderTestCase):
    """The small configuration, which reads nothing."""

    DATASET_CLASS = synthetic_gaze_dataset_builder.Builder
    EXAMPLE_DIR = BUILDERS_DIR / "synthetic_gaze"
    BUILDER_CONFIG_NAMES_TO_TEST = ["tiny"]  # noqa: RUF012
    SPLITS = {"train": 40}  # noqa: RUF012
    SKIP_CHECKSUMS = True


class GazeTableTest(tfds.testing.DatasetBuilderTestCase):
    """The dummy table."""

    DATASET_CLASS = gaze_table_dataset_builder.Builder
    EXAMPLE_DIR = BUILDERS_DIR / "gaze_table" / "dummy_data"
    SPLITS = {"train": 3}  # noqa: RUF012
    SKIP_CHECKSUMS = True

    def _make_builder(self, config=None):
        source = gaze_table_dataset_builder.Source(
            tables=(self.EXAMPLE_DIR / "gaze.csv",),
            images_dir=self.EXAMPLE_DIR / "images",
            convention=IMAGE_PX,
            tracking="eye",
            options=gaze_files.Options(),
        )
        return self.dataset_class(data_dir=self.tmp_dir, source=source)


class IndividualDifferencesTest(tfds.testing.DatasetBuilderTestCase):
    """A small generated release on the images of the dummy OSIE."""

    DATASET_CLASS = individual_differences_dataset_builder.Builder
    EXAMPLE_DIR = individual_differences_dataset_builder_test.write_struct(
        Path(tempfile.mkdtemp()) / "release", num_images=3, num_users=4
    )
    SPLITS = {"train": 3}  # noqa: RUF012
    SKIP_CHECKSUMS = True

    def _make_builder(self, config=None):
        source = individual_differences_dataset_builder.Source(
            images_dir=BUILDERS_DIR / "osie" / "dummy_data" / "data" / "stimuli",
            convention=None,
            is_strict=False,
        )
        return self.dataset_class(data_dir=self.tmp_dir, source=source)


if __name__ == "__main__":
    tfds.testing.test_main()
