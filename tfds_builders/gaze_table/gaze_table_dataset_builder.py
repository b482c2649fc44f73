"""Anybody's own gaze, from a table and a folder of images, under a name of its own."""

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
    """What a data set is made of.

    Attributes:
        table: the table, see `table_files.read`.
        images_dir: folder of the images; the table's `image` is a path in it.
        convention: how the table gives coordinates.
        tracking: what was tracked.
        ignored_columns: columns of the table to leave out.
    """

    table: Path
    images_dir: Path
    convention: coordinates.Convention
    tracking: Literal["eye", "mouse"]
    ignored_columns: Collection[str]


class Builder(GazeDatasetBuilder):
    """Builder of one table; `make_builder_class` gives it the name that it is stored under."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    LICENSE = "that of the table and the images"

    def __init__(self, *, source: Source, **kwargs: Any):
        """Takes the source beside what every builder of TFDS takes."""
        self.source = source
        super().__init__(**kwargs)

    def read_release(self, raw_dir: Path) -> gaze_schema.Release:  # noqa: ARG002
        """Reads and checks the table, see `read_table`; there is no folder of raw data."""
        return read_table(self.source)


def make_builder_class(name: str, taken: Collection[str]) -> type[Builder]:
    """Returns a builder whose data set has a name of its own.

    Args:
        name: lower-case letters, digits and underscores.
        taken: names that are none's own.

    Raises:
        ValueError: if the name is another, or taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in taken:
        raise ValueError(
            f"--name is {name!r}, expected lower-case letters, digits and underscores, a letter "
            f"first, and none of {', '.join(sorted(taken))}"
        )
    # Not registered with TFDS: it is no data set that anybody else could build.
    # The module is where TFDS looks for the README; Python 3.11 would take another one.
    members = {"name": name, "__module__": Builder.__module__}
    return type(name, (Builder,), members, skip_registration=True)


def read_table(source: Source) -> gaze_schema.Release:
    """Reads and checks a table, and finds its images.

    Raises:
        FileNotFoundError: a table, folder or image that is not there.
        ValueError: a value or an image that breaks a rule; naming the file and the row.
    """
    coordinates.check(source.convention)
    fixations, errors = table_files.check(table_files.read(source.table, source.ignored_columns))
    if fixations is None:
        more = f"; {len(errors) - 1} more rules are broken: gazejax data check says which"
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
    """Puts together what was read of a table and its images.

    Args:
        source: where it is from.
        user_ids: see `table_files.group_by_image`.
        gaze_by_image_id: likewise.
        paths: file of each image.
        has_durations: whether the table has durations.
    """
    convention = source.convention
    # On a screen, a pixel of the image is as large as its fit made it, each another.
    is_same_everywhere = convention.screen_px is None or convention.fit == "native"
    return gaze_schema.Release(
        user_ids=user_ids,
        gaze_by_image_id=gaze_by_image_id,
        read_image=lambda image_id: read_picture(paths[image_id], source.images_dir),
        to_image_px=lambda xy, **size: coordinates.to_image_px(xy, convention=convention, **size),
        tracking=source.tracking,
        has_durations=has_durations,
        has_images=True,
        pixels_per_degree=convention.pixels_per_degree if is_same_everywhere else None,
        metadata={"source": describe(source)},
    )


def describe(source: Source) -> dict[str, Any]:
    """What tells one source from another, for the metadata; without paths."""
    convention = source.convention._asdict()
    if convention["screen_px"] is not None:
        convention["screen_px"] = list(convention["screen_px"])
    return {
        "table_sha256": raw_files.sha256(source.table.read_bytes()),
        **convention,
        "tracking": source.tracking,
    }


def read_picture(path: Path, folder: Path) -> tuple[bytes, int, int]:
    """Reads an image: JPEG or PNG, in colour or grey. A grey one becomes a PNG in colour.

    Returns:
        Encoded bytes of an RGB image, its width and height in pixels.

    Raises:
        ValueError: out of the folder, not whole, transparent or of other colours, or turned by an
            EXIF tag, since nobody knows then which way gaze was counted.
    """
    image_bytes, image = raw_files.decode_file(path, folder)
    if image.getexif().get(_EXIF_ORIENTATION, 1) != 1:
        raise ValueError(
            f"{path} is turned by an EXIF orientation, expected upright pixels: save it turned"
        )
    if image.mode == "L":
        image_bytes = raw_files.encode_png(np.asarray(image.convert("RGB")))
    elif image.mode != "RGB":
        raise ValueError(f"{path} is a {image.mode} image, expected RGB or grey: convert it")
    return image_bytes, *image.size
