"""ID (de Haas, Iakovidis, Schwarzkopf, Gegenfurtner, PNAS 2019): gaze on the images of OSIE.

The layout of the authors' release could not be inspected. The builder takes a folder with gaze in
one of two layouts, and checks the numbers of images and users.
"""

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.common import coordinates, gaze_files, gaze_schema, pictures, raw_files
from tfds_builders.common.gaze_dataset_builder import GazeDatasetBuilder
from tfds_builders.common.gaze_files.containers import TABLE_SUFFIXES
from tfds_builders.gaze_table import gaze_table_dataset_builder
from tfds_builders.osie import osie_dataset_builder

NUM_IMAGES, MIN_USERS = 700, 100
_SUFFIXES = (*TABLE_SUFFIXES, ".json")
STRUCT_NAME, TABLE_STEM = "fixations.mat", "fixations"


class Source(NamedTuple):
    """How to read the release.

    Attributes:
        images_dir: the folder `data/stimuli` of OSIE.
        convention: coordinates of a table; None: pixels of the image, top left corner (0, 0). The
            struct always has the coordinates of MATLAB: the centre of the first pixel is (1, 1).
        is_strict: whether to check that there are 700 images, at least 100 users, and gaze of each
            user on each image.
        exif: see `pictures.read`.
    """

    images_dir: Path
    convention: coordinates.Convention | None
    is_strict: bool
    exif: pictures.Exif = "refuse"


class Builder(GazeDatasetBuilder):
    """Builder of ID; `--raw` is the folder that holds the gaze."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    LICENSE = "not known"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"give the folder that holds the gaze, as {STRUCT_NAME} (in the layout of OSIE's) or as a "
        f"table {TABLE_STEM}.csv, .parquet, .jsonl or .json (see the README of this data set)"
    )

    def __init__(self, *, source: Source, **kwargs: Any):
        """Takes the source, and the arguments of all builders of TFDS."""
        self.source = source
        super().__init__(**kwargs)

    def read_release(self, raw_dir: Path) -> gaze_schema.Release:
        """Reads and checks the gaze, and finds the images.

        Args:
            raw_dir: the folder that holds the gaze.

        Raises:
            FileNotFoundError: there is not exactly one file of gaze, or an image is missing.
            ValueError: the file has another layout, or a number of images or users differs.
        """
        source = self.source
        paths = [
            path
            for path in sorted(raw_dir.iterdir())
            if path.name == STRUCT_NAME or (path.stem == TABLE_STEM and path.suffix in _SUFFIXES)
        ]
        if len(paths) != 1:
            found = (
                f"holds {' and '.join(path.name for path in paths)}" if paths else "holds neither"
            )
            raise FileNotFoundError(
                f"--raw {raw_dir} {found}, expected one of {STRUCT_NAME} or a table {TABLE_STEM} "
                f"with {', '.join(_SUFFIXES)}"
            )
        if paths[0].name == STRUCT_NAME:
            release = _read_struct(paths[0], source)
        else:
            release = gaze_table_dataset_builder.read_table(
                gaze_table_dataset_builder.Source(
                    tables=(paths[0],),
                    images_dir=source.images_dir,
                    convention=source.convention or coordinates.Convention(),
                    tracking="eye",
                    options=gaze_files.Options(),
                    exif=source.exif,
                )
            )
        if source.is_strict:
            _check_counts(paths[0], release)
        return release


def _read_struct(path: Path, source: Source) -> gaze_schema.Release:
    if source.convention is not None:
        raise ValueError(
            f"{path} has the layout of OSIE, whose coordinates are known: leave out --origin, "
            "--units, --pixels-per-degree, --screen and --fit"
        )
    gaze_by_image_id = osie_dataset_builder.read_fixations(path, num_images=None, num_users=None)
    num_users = 1 + max(int(gaze.user.max(initial=-1)) for gaze in gaze_by_image_id.values())
    paths = pictures.find_images(list(gaze_by_image_id), source.images_dir)
    return gaze_schema.Release(
        user_ids=[str(user + 1) for user in range(num_users)],
        gaze_by_image_id=gaze_by_image_id,
        read_image=lambda image_id: pictures.read_released(
            paths[image_id], source.images_dir, source.exif
        ),
        to_image_px=gaze_schema.keep_px,
        tracking="eye",
        has_durations=True,
        has_images=True,
        pixels_per_degree=None,
        metadata={"source_sha256": raw_files.digest_files([path])},
    )


def _check_counts(path: Path, release: gaze_schema.Release) -> None:
    num_images, num_users = len(release.gaze_by_image_id), len(release.user_ids)
    relaxed = "; --no-strict builds it all the same"
    if num_images != NUM_IMAGES:
        raise ValueError(f"{path} has {num_images} images, expected {NUM_IMAGES}{relaxed}")
    if num_users < MIN_USERS:
        raise ValueError(f"{path} has {num_users} users, expected at least {MIN_USERS}{relaxed}")
    for image_id, gaze in release.gaze_by_image_id.items():
        missing = np.setdiff1d(np.arange(num_users), gaze.user)
        if len(missing):
            raise ValueError(
                f"{path}: user {release.user_ids[missing[0]]!r} has no fixation on {image_id!r}, "
                f"expected gaze of every user on every image{relaxed}"
            )
