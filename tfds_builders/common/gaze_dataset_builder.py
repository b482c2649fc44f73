"""The base class of all builders: from gaze and images that were read to a TFDS data set."""

import abc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tqdm import tqdm

from tfds_builders.common import gaze_schema


class GazeDatasetBuilder(tfds.core.GeneratorBasedBuilder):
    """Writes what `read_release` returns: one split `train`, one record for each image.

    A subclass has a `VERSION`, a `LICENSE`, `BUILDER_CONFIGS` if it has configurations, and
    `read_release`. A subclass that reads raw data also has `MANUAL_DOWNLOAD_INSTRUCTIONS`.

    Attributes:
        LICENSE: licence of the source.
        HOMEPAGE: address of the source; None: there is none.
    """

    LICENSE: ClassVar[str]
    HOMEPAGE: ClassVar[str | None] = None

    @abc.abstractmethod
    def read_release(self, raw_dir: Path) -> gaze_schema.Release:
        """Reads and checks gaze and images.

        Args:
            raw_dir: folder of the release; `Path()` for a builder that reads no release.

        Raises:
            FileNotFoundError: a file or folder is missing.
            ValueError: a file differs from the release, or a value breaks a rule.
        """

    def check_options(self) -> None:
        """Checks the options of a build before any file is read.

        Raises:
            ValueError: an option is missing or does not apply.
        """

    def _info(self) -> tfds.core.DatasetInfo:
        info = self.dataset_info_from_configs(
            features=gaze_schema.make_features(),
            license=self.LICENSE,
            homepage=self.HOMEPAGE,
            metadata=tfds.core.MetadataDict(),
        )
        # TFDS would ask its bucket, which has none of these, and leave an empty temporary folder.
        info.initialize_from_bucket = lambda: None
        return info

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        self.check_options()
        # TFDS gives no folder to a builder without these instructions.
        reads_raw_data = self.MANUAL_DOWNLOAD_INSTRUCTIONS is not None
        raw_dir = Path(dl_manager.manual_dir) if reads_raw_data else Path()
        examples, metadata = gaze_schema.join(self.read_release(raw_dir))
        self.info.metadata.update(metadata)
        return {"train": self._generate_examples(examples)}

    def _generate_examples(
        self, examples: list[dict[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for example in tqdm(examples, desc="writing images", unit="image", disable=None):
            yield example["image_id"], example
