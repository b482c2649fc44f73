"""Gaze from a table and a folder of images, stored under a name that the caller chooses."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.common import coordinates, gaze_schema, raw_files
from tfds_builders.common.gaze_dataset_builder import GazeDatasetBuilder
from tfds_builders.gaze_table import table_files

_EXIF_ORIENTATION = 274


class Source(NamedTuple):
    """The files of a data set, and how to read them.

    Attributes:
        table: the table, see `table_files.read`.
        images_dir: folder of the images; the column `image` has paths relative to this folder.
        convention: coordinates of the table.
        tracking: what was tracked.
        ignored_columns: columns of the table to leave out.
    """

    table: Path
    images_dir: Path
    convention: coordinates.Convention
    tracking: Literal["eye", "mouse"]
    ignored_columns: Collection[str]


class Builder(GazeDatasetBuilder):
    """Builder of one table; `make_builder_class` sets the name of the prepared data set."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    LICENSE = "that of the table and the images"

    def __init__(self, *, source: Source, **kwargs: Any):
        """Takes the source, and the arguments of all builders of TFDS."""
        self.source = source
        super().__init__(**kwargs)

    def read_release(self, raw_dir: Path) -> gaze_schema.Release:  # noqa: ARG002
        """Reads and checks the table, see `read_table`; `raw_dir` is not used."""
        return read_table(self.source)


def make_builder_class(name: str, taken: Collection[str]) -> type[Builder]:
    """Returns a builder class whose data set has a given name.

    Args:
        name: lower-case letters, digits and underscores, a letter first.
        taken: names of other data sets.

    Raises:
        ValueError: the name has other characters or is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in taken:
        raise ValueError(
            f"--name is {name!r}, expected lower-case letters, digits and underscores, a letter "
            f"first, and none of {', '.join(sorted(taken))}"
        )
    # TFDS does not register the class, since a name alone is not enough to build the data set.
    # TFDS reads the README in the folder of the module. Python 3.11 would set another module.
    members = {"name": name, "__module__": Builder.__module__}
    return type(name, (Builder,), members, skip_registration=True)


def read_table(source: Source) -> gaze_schema.Release:
    """Reads and checks a table, and finds its images.

    Raises:
        FileNotFoundError: the table, the folder or an image is missing.
        ValueError: a value or an image breaks a rule; the message has the file and the row.
    """
    coordinates.check(source.convention)
    fixations, errors = table_files.check(table_files.read(source.table, source.ignored_columns))
    if fixations is None:
        more = f"; {len(errors) - 1} more errors: gazejax data check lists them"
        raise ValueError(errors[0] + (more if len(errors) > 1 else ""))
    user_ids, gaze_by_image_id = table_files.group_by_image(fixations)
    paths = raw_files.find_images(list(gaze_by_image_id), source.images_dir)
    return make_release(
        source, user_ids, gaze_by_image_id, paths, has_durations=fixations.duration_ms is not None
    )


def make_release(
    source: Source,
    user_ids: list[str],
    gaze_by_image_id: Mapping[str, gaze_schema.GazeTable],
    paths: Mapping[str, Path],
    *,
    has_durations: bool,
) -> gaze_schema.Release:
    """Makes a release of a table and its images.

    Args:
        source: the source of the table.
        user_ids: see `table_files.group_by_image`.
        gaze_by_image_id: see `table_files.group_by_image`.
        paths: image id -> file of the image.
        has_durations: whether the table has durations.
    """
    convention = source.convention
    # A fit to the screen scales each image by another factor.
    is_same_for_all_images = convention.screen_px is None or convention.fit == "native"
    return gaze_schema.Release(
        user_ids=user_ids,
        gaze_by_image_id=gaze_by_image_id,
        read_image=lambda image_id: read_picture(paths[image_id], source.images_dir),
        to_image_px=lambda xy, **size: coordinates.to_image_px(xy, convention=convention, **size),
        tracking=source.tracking,
        has_durations=has_durations,
        has_images=True,
        pixels_per_degree=convention.pixels_per_degree if is_same_for_all_images else None,
        metadata={"source": describe(source)},
    )


def describe(source: Source) -> dict[str, Any]:
    """Returns the metadata that identify a source: digest and options, without paths."""
    convention = source.convention._asdict()
    if convention["screen_px"] is not None:
        convention["screen_px"] = list(convention["screen_px"])
    return {
        "table_sha256": raw_files.sha256(source.table.read_bytes()),
        **convention,
        "tracking": source.tracking,
    }


def read_picture(path: Path, folder: Path) -> tuple[bytes, int, int]:
    """Reads an image in JPEG or PNG. A gray image becomes an RGB image in PNG.

    Args:
        path: the file.
        folder: the folder that holds the file after all links are resolved.

    Returns:
        Encoded bytes of an RGB image, the width and the height in pixels.

    Raises:
        ValueError: the file is outside of the folder, is not complete, or is neither RGB nor gray;
            or an EXIF tag rotates the image, so that the axes of gaze are not known.
    """
    image_bytes, image = raw_files.decode_file(path, folder)
    if image.getexif().get(_EXIF_ORIENTATION, 1) != 1:
        raise ValueError(
            f"{path} is rotated by an EXIF tag, expected upright pixels: save the rotated image"
        )
    if image.mode == "L":
        image_bytes = raw_files.encode_png(np.asarray(image.convert("RGB")))
    elif image.mode != "RGB":
        raise ValueError(f"{path} is a {image.mode} image, expected RGB or gray: convert it")
    return image_bytes, *image.size
