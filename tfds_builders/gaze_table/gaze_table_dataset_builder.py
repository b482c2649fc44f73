"""Gaze from a table and a folder of images, stored under a name that the caller chooses."""

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.common import (
    coordinates,
    gaze_files,
    gaze_schema,
    pictures,
    plausibility,
    raw_files,
)
from tfds_builders.common.gaze_dataset_builder import GazeDatasetBuilder
from tfds_builders.common.gaze_files import Fixations, group_by_image, read
from tfds_builders.common.gaze_files.published import DAEMONS_SIZE_PX
from tfds_builders.gaze_table.look import MAX_OUTSIDE, look

# Fractions of a screen hide its size: only images of the shape of a wide screen may fill it.
_MIN_SCREEN_ASPECT_RATIO = 1.5
_SAME_SCALE = 1.01  # Sizes in pixels are rounded.
# These formats say neither the unit of places nor what they are relative to.
OPEN_FORMATS = (gaze_files.PLAIN, "coco-json", "fixatons", "massvis", "pymovements", "scene")


class Source(NamedTuple):
    """The files of a data set, and how to read them.

    Attributes:
        tables: files of gaze, or folders of such files.
        images_dir: folder of the images; names of images are paths relative to this folder.
        convention: coordinates of the files, as far as they are given.
        tracking: what was tracked.
        options: how the files are read.
        exif: see `pictures.read`.
        refuse_warnings: whether a warning about the gaze is an error.
    """

    tables: tuple[Path, ...]
    images_dir: Path
    convention: coordinates.Convention
    tracking: Literal["eye", "mouse"]
    options: gaze_files.Options
    exif: pictures.Exif = "refuse"
    refuse_warnings: bool = False


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
    """Reads and checks the files of gaze, and finds their images.

    Raises:
        FileNotFoundError: a file of gaze, the folder or an image is missing.
        ValueError: a value or an image breaks a rule; the message has the file and the row.
    """
    fixations, errors = read(source.tables, source.options)
    if fixations is None:
        more = f"; {len(errors) - 1} more errors: gazejax data check lists them"
        raise ValueError(errors[0] + (more if len(errors) > 1 else ""))
    for note in fixations.notes:
        _log(note)
    if coordinates.is_placed(source.convention) or fixations.frame == "image":
        convention_of(source, fixations, {})  # Cheaper than to look for the images first.
    paths = find_images(source, fixations)
    for note in pictures.renamed(paths, source.images_dir):
        _log(note)
    convention = convention_of(source, fixations, paths)
    _, warnings = look_at(source, fixations, paths, convention)
    for warning in warnings:
        _log(with_kind(warning))
    refuse(source, warnings)
    release = make_release(source, fixations, paths, convention)
    stored = [_below_tables(source, warning) for warning in warnings]
    return release._replace(metadata={**release.metadata, "warnings": stored})


def _below_tables(source: Source, warning: str) -> str:
    """Names files as they are below the folders that are given: metadata say no folder."""
    for table in source.tables:
        # A path begins a warning or follows a blank; names in quotes stay.
        warning = re.sub(rf"(?<!\S){re.escape(f'{table}/')}", "", warning)
    return warning


def find_images(source: Source, fixations: Fixations) -> dict[str, Path]:
    """Finds the file of each image, see `pictures.find_images`.

    Raises:
        FileNotFoundError, ValueError: as `pictures.find_images`.
    """
    return pictures.find_images(fixations.image_ids, source.images_dir, advice_on_names(source))


def advice_on_names(source: Source) -> str:
    """Says how images are named otherwise than in the files of gaze, whatever their format is."""
    template = source.options.image_from
    if template is not None:
        return f"the images are named by --image-from {template!r}"
    return "if the names differ, --image-from names the images, such as '{stem}.png'"


def refuse(source: Source, warnings: Sequence[str]) -> None:
    """Refuses gaze with a warning, hints apart, if the source says so.

    Raises:
        ValueError: there is a warning.
    """
    warnings = [warning for warning in warnings if not warning.startswith(plausibility.HINT)]
    if warnings and source.refuse_warnings:
        more = f" ({len(warnings)} warnings)" if len(warnings) > 1 else ""
        raise ValueError(f"refused by --refuse-warnings: {warnings[0]}{more}")


def look_at(
    source: Source,
    fixations: Fixations,
    paths: Mapping[str, Path],
    convention: coordinates.Convention,
) -> tuple[list[tuple[str, str]], list[str]]:
    """Returns facts and warnings of files of gaze on their images, see `look.look`.

    Args:
        source: the source of the gaze.
        fixations: the fixations.
        paths: image id -> file of the image, of the images that are found.
        convention: see `convention_of`.

    Raises:
        ValueError: a file is no image.
    """
    sizes = {name: pictures.read_size(path, source.exif) for name, path in paths.items()}
    facts, warnings = look(fixations, sizes, convention, source.tracking)
    warnings = [*fixations.warnings, *warnings]
    if fixations.frame == "screen" and not coordinates.is_placed(source.convention) and paths:
        width, height = convention.screen_px or (0, 0)
        warnings.insert(
            0,
            f"the place of the images on the screen is not known: they are taken to fill a screen "
            f"of {width}x{height} (--screen with --fit, or --shown-at, says where they were)",
        )
    return facts, warnings


def convention_of(
    source: Source, fixations: Fixations, paths: Mapping[str, Path]
) -> coordinates.Convention:
    """Returns the complete convention of files of gaze.

    Args:
        source: the source, whose convention says what is given.
        fixations: the fixations, which know their units.
        paths: image id -> file of the image.

    Raises:
        ValueError: the convention is inconsistent, or the place of the images on the screen is not
            known.
    """
    _check_not_contradicted(source.convention, fixations)
    convention = coordinates.complete(
        source.convention,
        units=fixations.units,
        y_axis=fixations.y_axis,
        screen_px=fixations.screen_px,
        pixels_per_degree=fixations.pixels_per_degree,
    )
    if fixations.frame == "screen" and not coordinates.is_placed(convention):
        convention = _on_full_screen(fixations, convention, paths, source.exif)
    coordinates.check(convention)
    return convention


def _check_not_contradicted(given: coordinates.Convention, fixations: Fixations) -> None:
    """Checks that the options do not contradict what the files say of themselves."""
    is_open = fixations.format in OPEN_FORMATS
    is_on_screen = coordinates.is_placed(given) or given.screen_px is not None
    if fixations.frame == "image" and is_on_screen and not is_open:
        raise ValueError(
            f"{fixations.format} gives places on the image itself, so --screen, --fit and "
            "--shown-at do not apply: leave them out"
        )
    said = coordinates.Convention(
        screen_px=fixations.screen_px, pixels_per_degree=fixations.pixels_per_degree
    )
    if not is_open:
        said = said._replace(units=fixations.units, y_axis=fixations.y_axis)
    for name, value in said._asdict().items():
        option = getattr(given, name)
        if value is not None and option not in (None, value):
            found, asked = (
                coordinates.options_of(coordinates.Convention(**{name: one}))
                for one in (value, option)
            )
            raise ValueError(
                f"{asked} is given, and the files of {fixations.format} say {found}: leave the "
                "option out"
            )


def _on_full_screen(
    fixations: Fixations,
    convention: coordinates.Convention,
    paths: Mapping[str, Path],
    exif: pictures.Exif,
) -> coordinates.Convention:
    """Takes the images for as large as the screen where nothing contradicts it, or raises."""
    needed = (
        "x and y are on the screen: give --screen WxH with --fit native, centre or stretch, or "
        "--shown-at X,Y,WxH, the place of the images on the screen"
    )
    sizes = {pictures.read_size(path, exif) for path in paths.values()}
    if len(sizes) != 1:
        raise ValueError(f"{needed}; the images have {len(sizes)} sizes")
    [size] = sizes
    if fixations.screen_px not in (None, size):
        shown = coordinates.size_in_words(fixations.screen_px)
        raise ValueError(f"{needed}; the screen is {shown}, the images are {size[0]}x{size[1]}")
    if convention.units != "px" and size[0] / size[1] < _MIN_SCREEN_ASPECT_RATIO:
        raise ValueError(f"{needed}; the images are {size[0]}x{size[1]}, no size of a screen")
    full = convention._replace(screen_px=size, fit="stretch")
    xy_px = coordinates.to_image_px(fixations.xy, convention=full, width=size[0], height=size[1])
    is_outside = ((xy_px < 0) | (xy_px >= size)).any(axis=1)
    if is_outside.mean() > MAX_OUTSIDE:
        raise ValueError(
            f"{needed}; {is_outside.mean():.0%} of the fixations are outside images of "
            f"{size[0]}x{size[1]} that fill the screen"
        )
    return full


def make_release(
    source: Source,
    fixations: Fixations,
    paths: Mapping[str, Path],
    convention: coordinates.Convention,
) -> gaze_schema.Release:
    """Makes a release of files of gaze and their images.

    Args:
        source: the source of the gaze.
        fixations: the fixations.
        paths: image id -> file of the image.
        convention: see `convention_of`.
    """
    return gaze_schema.Release(
        user_ids=fixations.user_ids,
        gaze_by_image_id=group_by_image(fixations),
        read_image=lambda image_id: pictures.read(paths[image_id], source.images_dir, source.exif),
        decode_image=lambda image_id: pictures.read_image(
            paths[image_id], source.images_dir, source.exif
        ),
        to_image_px=lambda xy, **size: coordinates.to_image_px(xy, convention=convention, **size),
        tracking=source.tracking,
        has_durations=fixations.duration_ms is not None,
        has_images=True,
        pixels_per_degree=_pixels_per_degree(source, fixations, paths, convention),
        metadata={
            "source": describe(source),
            "format": fixations.format,
            "convention": _as_lists(convention),
        },
        session_ids=fixations.session_ids,
    )


def _pixels_per_degree(
    source: Source,
    fixations: Fixations,
    paths: Mapping[str, Path],
    convention: coordinates.Convention,
) -> float | None:
    """Returns the pixels of the images in a degree; None: not known, or not the same for all."""
    value = convention.pixels_per_degree
    if value is None or (fixations.frame == "image" and source.options.how.detection is not None):
        return None  # Samples of a screen are detected in degrees of the screen.
    if fixations.pixels_per_degree is not None:
        shown: tuple[float, float] = DAEMONS_SIZE_PX
    elif convention.shown_at_px is not None:
        shown = convention.shown_at_px[2:]
    else:
        # A fit to the screen scales each image by another factor.
        is_same_for_all = convention.screen_px is None or convention.fit == "native"
        return value if is_same_for_all else None
    sizes = {pictures.read_size(path, source.exif) for path in paths.values()}
    scales = np.array(sorted(sizes)) / shown
    return value * float(scales.mean()) if scales.max() <= _SAME_SCALE * scales.min() else None


def describe(source: Source) -> dict[str, Any]:
    """Returns the metadata that identify a source: digest and all options, without paths."""
    digest = raw_files.digest_files(gaze_files.find_files(source.tables))
    return {"table_sha256": digest, **describe_options(source)}


def describe_options(source: Source) -> dict[str, Any]:
    """Returns the options of a source.

    Options that are not given are left out, so that a new option changes no older description.
    """
    # Both have `where`; formats get theirs from the options.
    options = source.options.how._asdict() | source.options._asdict()
    defaults = gaze_files.How()._asdict() | gaze_files.Options()._asdict()
    given = {name: value for name, value in options.items() if value != defaults[name]}
    given.pop("how", None)
    return {
        "tracking": source.tracking,
        **_given(_as_lists(source.convention)),
        **_as_lists(given),
        **({} if source.exif == "refuse" else {"exif": source.exif}),
    }


def given_convention(description: Mapping[str, Any]) -> coordinates.Convention:
    """Returns the options of the convention that are given, from `describe_options`."""
    fields = coordinates.Convention._fields
    return coordinates.from_metadata({name: description.get(name) for name in fields})


def given_reading(description: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options that choose and convert rows, by flag, from `describe_options`."""
    flags = {"detection": "--detect-fixations"}
    flags |= {name: f"--{name}" for name in ("where", "durations", "times", "eye", "exif")}
    return {flag: description[name] for name, flag in flags.items() if name in description}


def without_defaults(description: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves out the options of a convention that are as those of a table without options.

    Descriptions of older builders have all options, given or not.
    """
    defaults = coordinates.IMAGE_PX._asdict()
    return {
        name: value
        for name, value in description.items()
        if name not in defaults or value not in (None, defaults[name])
    }


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def with_kind(warning: str) -> str:
    """Returns a warning as it is printed; a hint says so itself."""
    return warning if warning.startswith(plausibility.HINT) else f"warning: {warning}"


def _log(message: str) -> None:
    print(message, file=sys.stderr)


def _as_lists(value: Any) -> Any:
    """Returns named tuples as dictionaries and tuples as lists, as JSON stores them."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: _as_lists(one) for key, one in value.items()}
    return [_as_lists(one) for one in value] if isinstance(value, tuple) else value
