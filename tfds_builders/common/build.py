"""Prepares a data set of this package on disk: `build` is what `gazejax data build` calls."""

import contextlib
import fcntl
import io
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import tensorflow_datasets as tfds

from tfds_builders.common import (
    coordinates,
    digests,
    gaze_files,
    gaze_schema,
    pictures,
    prepared,
    raw_files,
)
from tfds_builders.common.gaze_dataset_builder import GazeDatasetBuilder
from tfds_builders.gaze_table import gaze_table_dataset_builder
from tfds_builders.individual_differences import individual_differences_dataset_builder
from tfds_builders.osie import osie_dataset_builder
from tfds_builders.personalized_saliency import personalized_saliency_dataset_builder
from tfds_builders.synthetic_gaze import synthetic_gaze_dataset_builder

BUILDER_CLASSES: dict[str, type[GazeDatasetBuilder]] = {
    "osie": osie_dataset_builder.Builder,
    "personalized_saliency": personalized_saliency_dataset_builder.Builder,
    "individual_differences": individual_differences_dataset_builder.Builder,
    "gaze_table": gaze_table_dataset_builder.Builder,
    "synthetic_gaze": synthetic_gaze_dataset_builder.Builder,
}


class Options(NamedTuple):
    """Where the gaze and images of a data set are, and how to read them.

    None and () mean that an option is not given.

    Attributes:
        raw_dir: folder of the release as the authors publish it. For a table: the folder that
            relative paths start from.
        images_dir: folder of the images, for releases of gaze without images.
        table: for `gaze_table`, a file of gaze, a folder of such files, or several of both.
        stored_name: for `gaze_table`, the name of the prepared data set.
        convention: coordinates of a table; None: pixels of the image, top left corner (0, 0).
        tracking: for `gaze_table`, what was tracked; None: the eye.
        reading: for `gaze_table`, how the files are read.
        is_strict: for `individual_differences`, whether to check the numbers of images and users.
        exif: what to do with an image that EXIF says to turn, see `pictures.read`.
        refuse_warnings: for `gaze_table`, whether a warning about the gaze is an error.
    """

    raw_dir: Path | None = None
    images_dir: Path | None = None
    table: Path | tuple[Path, ...] | None = None
    stored_name: str | None = None
    convention: coordinates.Convention | None = None
    tracking: Literal["eye", "mouse"] | None = None
    reading: gaze_files.Options = gaze_files.Options()
    is_strict: bool = True
    exif: pictures.Exif = "refuse"
    refuse_warnings: bool = False


# The flag of each option on the command line, and the options that each data set takes.
_FLAGS = {
    "raw_dir": "--raw",
    "images_dir": "--images",
    "table": "--table",
    "stored_name": "--name",
    "convention": "--origin, --units, --y, --pixels-per-degree, --screen, --fit or --shown-at",
    "tracking": "--tracking",
    "reading": "an option of tables",
    "is_strict": "--no-strict",
    "exif": "--exif",
    "refuse_warnings": "--refuse-warnings",
}
_APPLY = {
    "osie": {"raw_dir"},
    "personalized_saliency": {"raw_dir", "images_dir", "exif"},
    "individual_differences": {"raw_dir", "images_dir", "convention", "is_strict", "exif"},
    "gaze_table": _FLAGS.keys() - {"is_strict"},
    "synthetic_gaze": set(),
}


_INSTEAD = "take another --name, or give --replace"


def list_names() -> list[str]:
    """Returns each NAME or NAME/CONFIG that `build` takes; the first CONFIG is the default."""
    return [
        f"{name}/{config.name}" if config else name
        for name, builder_class in BUILDER_CLASSES.items()
        for config in builder_class.BUILDER_CONFIGS or [None]
    ]


def build(
    name: str,
    raw_dir: Path | None = None,
    data_dir: Path | None = None,
    images_dir: Path | None = None,
    *,
    replace: bool = False,
    **options: Any,
) -> Path:
    """Builds a data set unless it is built already.

    Args:
        name: NAME or NAME/CONFIG, such as "osie" or "synthetic_gaze/tiny".
        raw_dir: see `Options`.
        data_dir: folder of all prepared data sets; None: TFDS's default.
        images_dir: see `Options`.
        replace: whether to build a data set anew that is built already. The old data set stays
            until the new one is complete.
        options: the other fields of `Options`.

    Returns:
        Folder of the prepared data set, which `tfds.builder_from_directory` opens.

    Raises:
        ValueError: the name is unknown, an option is missing or does not apply, or raw data break
            a rule.
        FileNotFoundError: raw data are missing.
        BlockingIOError: another process is building the same data set.

    Source: ours.
    """
    given = Options(raw_dir, images_dir, **options)
    check_options(name, given)
    builder_name = name.partition("/")[0]
    root = prepared.default_data_dir() if data_dir is None else Path(data_dir).expanduser()
    raw_dir = None if builder_name == "gaze_table" else given.raw_dir
    old_dir = root / _place_of(name, given)
    if not replace or not old_dir.exists():
        # The builder reads what there is as soon as it is made.
        if old_dir.exists() and any(old_dir.iterdir()):
            prepared.open_folder(old_dir.parent.relative_to(root).as_posix(), old_dir)
        return prepare(_make_builder(name, given, root), raw_dir)
    # Beside the old data set, so that the new one is moved on the same disk.
    with tempfile.TemporaryDirectory(dir=old_dir.parent, prefix="replacing_") as temporary:
        prepared.check_only_built(old_dir)
        new_dir = prepare(_make_builder(name, given, Path(temporary) / "new"), raw_dir)
        kept_dir = old_dir.rename(Path(temporary) / "old")
        try:
            new_dir.rename(old_dir)
        except BaseException:
            kept_dir.rename(old_dir)
            raise
    _log(f"replaced {old_dir}")
    return old_dir


def _place_of(name: str, options: Options) -> Path:
    """Returns the folder of a data set below the folder of all."""
    with tempfile.TemporaryDirectory() as empty_dir:
        folder = Path(_make_builder(name, options, Path(empty_dir)).data_dir)
        return folder.relative_to(empty_dir)


def _make_builder(name: str, options: Options, data_dir: Path | None) -> GazeDatasetBuilder:
    builder_name, _, config_name = name.partition("/")
    builder_class = BUILDER_CLASSES[builder_name]
    arguments: dict[str, Any] = {"data_dir": data_dir, "config": config_name or None}
    match builder_name:
        case "gaze_table":
            if options.stored_name is None:
                raise ValueError("gaze_table needs --name: the name of the data set")
            builder_class = gaze_table_dataset_builder.make_builder_class(
                options.stored_name, set(BUILDER_CLASSES)
            )
            arguments["source"] = table_source(options)
        case "individual_differences":
            arguments["source"] = _individual_differences_source(options)
        case "personalized_saliency":
            arguments |= {"images_dir": _path(options.images_dir), "exif": options.exif}
    return builder_class(**arguments)


def check_options(name: str, options: Options) -> None:
    """Checks that the name is known and that each given option applies to the data set.

    Args:
        name: NAME or NAME/CONFIG.
        options: the options; defaults count as not given.

    Raises:
        ValueError: unknown name, or an option that does not apply; the message has what is allowed.
    """
    builder_name = name.partition("/")[0]
    if builder_name not in BUILDER_CLASSES or ("/" in name and name not in list_names()):
        raise ValueError(f"unknown data set {name!r}, expected one of: {', '.join(list_names())}")
    for field, value in options._asdict().items():
        is_given = value != Options._field_defaults[field]
        # `prepare` checks --raw of generated data.
        if is_given and field not in _APPLY[builder_name] | {"raw_dir"}:
            shown = f" {value}" if isinstance(value, (Path, str)) else ""
            raise ValueError(f"{_FLAGS[field]}{shown} does not apply to {name}: leave it out")


def table_source(options: Options) -> gaze_table_dataset_builder.Source:
    """Returns the source of a table; relative paths start from `raw_dir` if `raw_dir` is given.

    Raises:
        ValueError: the table or the folder of images is not given, or `raw_dir` would do nothing.
    """
    for field in ("table", "images_dir"):
        if not getattr(options, field):
            raise ValueError(f"gaze_table needs {_FLAGS[field]}: a table and a folder of images")
    gaze_files.check_options(options.reading)
    start = _path(options.raw_dir) or Path()
    given = options.table if isinstance(options.table, tuple) else (options.table or "",)
    tables = [Path(table).expanduser() for table in given]
    images_dir = Path(options.images_dir or "").expanduser()
    if options.raw_dir is not None and all(one.is_absolute() for one in (*tables, images_dir)):
        raise ValueError(
            f"--raw {start} would do nothing: --table and --images do not start from it: leave it "
            "out"
        )
    return gaze_table_dataset_builder.Source(
        tables=tuple(start / table for table in tables),
        images_dir=start / images_dir,
        convention=options.convention or coordinates.Convention(),
        tracking=options.tracking or "eye",
        options=options.reading,
        exif=options.exif,
        refuse_warnings=options.refuse_warnings,
    )


def _individual_differences_source(
    options: Options,
) -> individual_differences_dataset_builder.Source:
    images_dir = _path(options.images_dir)
    if images_dir is None:
        raise ValueError("individual_differences needs --images: OSIE's data/stimuli")
    return individual_differences_dataset_builder.Source(
        images_dir=images_dir,
        convention=options.convention,
        is_strict=options.is_strict,
        exif=options.exif,
    )


def read_release(name: str, options: Options) -> gaze_schema.Release:
    """Reads and checks the raw data of a data set and builds nothing.

    Args:
        name: see `build`; not a generated data set.
        options: see `Options`.

    Raises:
        ValueError, FileNotFoundError: see `build`.
    """
    check_options(name, options)
    builder_name = name.partition("/")[0]
    if builder_name == "gaze_table":
        return gaze_table_dataset_builder.read_table(table_source(options))
    instructions = BUILDER_CLASSES[builder_name].MANUAL_DOWNLOAD_INSTRUCTIONS
    if instructions is None:
        raise ValueError(f"{name} is generated: it has no raw data")
    raw_dir = _require_raw_dir(name, instructions, options.raw_dir)
    # A builder opens a data set that is prepared in its data_dir, so this data_dir is empty.
    with tempfile.TemporaryDirectory() as empty_dir:
        return _make_builder(name, options, Path(empty_dir)).read_release(raw_dir)


def prepare(builder: GazeDatasetBuilder, raw_dir: Path | None = None) -> Path:
    """Builds the data set of a builder unless it is built already.

    Args:
        builder: the builder.
        raw_dir: see `Options`.

    Returns:
        Folder of the prepared data set.

    Raises:
        ValueError, FileNotFoundError, BlockingIOError: see `build`.
    """
    name = "/".join(builder.info.full_name.split("/")[:-1])
    prepared_dir = Path(builder.data_dir)
    if _is_built(builder):
        _check_same_source(builder)
        _log(f"{name} is already built: {prepared_dir}")
        return prepared_dir
    raw_instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if raw_instructions is None and raw_dir is not None:
        raise ValueError(f"{name} is generated, so --raw {raw_dir} does not apply: leave it out")
    if raw_instructions is not None:
        raw_dir = _require_raw_dir(name, raw_instructions, raw_dir)

    with _make_folder(prepared_dir.parent), _lock_folder(prepared_dir.parent, name):
        # No other process builds here, so an unfinished folder is the rest of a killed build.
        for stale_dir in prepared_dir.parent.glob(f"incomplete.*_{prepared_dir.name}"):
            shutil.rmtree(stale_dir)
        if _is_built(builder):  # Another process built it after the first check.
            return prepared_dir
        _log(f"building {name} in {prepared_dir}")
        start_s = time.monotonic()
        # TFDS writes to a temporary folder. TFDS renames the folder at the end and removes the
        # folder on an exception. TFDS reports downloads; the builders report progress themselves.
        tfds.disable_progress_bar()
        with (
            tempfile.TemporaryDirectory() as unused_download_dir,
            contextlib.redirect_stdout(io.StringIO()),
        ):
            builder.download_and_prepare(
                file_format="array_record",  # The default format needs TensorFlow.
                download_dir=unused_download_dir,
                download_config=tfds.download.DownloadConfig(manual_dir=raw_dir),
            )
    num_images = builder.info.splits["train"].num_examples
    metadata = builder.info.metadata
    num_dropped = metadata["dropped_fixations"]["total"]
    _log(
        f"built {name}: {num_images} images, {len(metadata['user_ids'])} users, "
        f"{metadata['num_fixations']} fixations, {metadata['tracking']} tracking, in "
        f"{time.monotonic() - start_s:.0f} s; {num_dropped} fixations outside their image dropped, "
        f"{metadata['num_dropped_viewings']} viewings left without fixations"
    )
    is_table = isinstance(builder, gaze_table_dataset_builder.Builder)
    if metadata["users_without_gaze"] and not is_table:  # Of a table, a warning says it.
        names = ", ".join(map(repr, metadata["users_without_gaze"]))
        _log(f"users without any fixation inside an image: {names}")
    return prepared_dir


def _is_built(builder: GazeDatasetBuilder) -> bool:
    prepared_dir = Path(builder.data_dir)
    if not prepared_dir.exists():
        return False
    if not builder.is_prepared():
        raise ValueError(f"{prepared_dir} exists but is not a prepared data set: remove it")
    return True


@contextlib.contextmanager
def _make_folder(folder: Path) -> Iterator[None]:
    """Makes a folder, and removes what it made if an error leaves it empty."""
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"--data-dir: the folder {folder} cannot be made ({error.strerror}): give a folder "
            "that can be written"
        ) from error
    try:
        yield
    except BaseException:
        for one in made:
            if any(one.iterdir()):
                break
            one.rmdir()
        raise


@contextlib.contextmanager
def _lock_folder(folder: Path, name: str) -> Iterator[None]:
    """Locks a folder; the system releases the lock when the process ends."""
    folder_descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(
                f"{name} is being built in {folder} by another process: wait for it"
            ) from error
        yield
    finally:
        os.close(folder_descriptor)


def _require_raw_dir(name: str, instructions: str, raw_dir: Path | None) -> Path:
    if raw_dir is None:
        raise ValueError(f"{name} needs --raw: {instructions}")
    raw_dir = Path(raw_dir).expanduser()
    if not raw_dir.is_dir() or not any(raw_dir.iterdir()):
        raise FileNotFoundError(f"--raw {raw_dir} is not a folder with files: {instructions}")
    return raw_dir


def _check_same_source(builder: GazeDatasetBuilder) -> None:
    """Checks that a prepared data set was built from the table of the builder."""
    if not isinstance(builder, gaze_table_dataset_builder.Builder):
        return
    metadata = builder.info.metadata
    asked, stored = gaze_table_dataset_builder.describe(builder.source), metadata.get("source", {})
    if metadata.get("format", gaze_files.PLAIN) == gaze_files.PLAIN:
        asked, stored = map(gaze_table_dataset_builder.without_defaults, (asked, stored))
    if asked != stored:
        names = sorted(
            name for name in asked.keys() | stored.keys() if asked.get(name) != stored.get(name)
        )
        differences = "; ".join(
            f"{name} is {asked.get(name, 'not given')}, was {stored.get(name, 'not given')}"
            for name in names
        )
        raise ValueError(
            f"{builder.data_dir} was built from something else ({differences}): {_INSTEAD}"
        )
    _check_same_pictures(Path(builder.data_dir), builder.source)
    warnings = metadata.get("warnings", [])
    for warning in warnings:
        _log(gaze_table_dataset_builder.with_kind(warning))
    gaze_table_dataset_builder.refuse(builder.source, warnings)


def _check_same_pictures(folder: Path, source: gaze_table_dataset_builder.Source) -> None:
    records = prepared.open_records(folder)
    # Without the images themselves, which may not fit into the memory together.
    numbers, sha256 = {}, {}
    for number, (image_id, record) in enumerate(prepared.read_records(folder, records)):
        numbers[image_id], sha256[image_id] = number, record["image_sha256"].decode()
    for image_id, path in pictures.find_images(list(numbers), source.images_dir).items():
        encoded = pictures.read(path, source.images_dir, source.exif).encoded
        if raw_files.sha256(encoded) == sha256[image_id]:
            continue
        # Another version of the library may have written another file of the same pixels.
        stored = records[numbers[image_id]]["image"]
        if digests.of_image(encoded) != digests.of_image(stored):
            raise ValueError(
                f"{folder} was built with another picture {image_id!r} than {path}: {_INSTEAD}"
            )


def _path(path: Path | None) -> Path | None:
    return None if path is None else Path(path).expanduser()


def _log(message: str) -> None:
    print(message, file=sys.stderr)
