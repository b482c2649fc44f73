"""Reads a prepared TFDS data set as arrays, in memory or on demand.

No other module imports tfds. Records are read in the order of their image ids, so that
indices stay valid after a rebuild.
"""

import functools
import io
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from gazejax.runtime.files import expand_home
from gazejax.types import Dataset, Gaze, LazyRows, Recordings
from tfds_builders.common import pictures
from tfds_builders.common.prepared import default_data_dir, open_folder


class Source(NamedTuple):
    """An open prepared data set; several threads may read its records, in any order.

    Attributes:
        folder: folder of the prepared data set.
        metadata: see `tfds_builders.common.gaze_schema`.
        records: one for each image, in the order of the files, with its encoded image.
        shards: name and number of records of each file.
    """

    folder: Path
    metadata: Mapping[str, Any]
    records: Any
    shards: Sequence[tuple[str, int]]


def load(
    name: str,
    data_dir: str | Path | None,
    image_sizes: Mapping[str, tuple[int, int]],
    *,
    is_resident: bool,
    first_trial_only: bool,
    drop_first_fixation: bool,
    subsample_every: int,
) -> Dataset:
    """Reads a prepared data set: all gaze, and the images now or on demand.

    Args:
        name: name and configuration, such as `osie/gaze`.
        data_dir: folder of prepared data sets; None is the default of TFDS.
        image_sizes: (height, width) to resize the images to, for each key of `Dataset.images`.
        is_resident: True reads `Dataset.images` as arrays, False as `LazyRows`.
        first_trial_only: whether to drop all but a user's first trial with an image.
        drop_first_fixation: whether to drop the first fixation of every trial, which starts before
            the image appears and is often at the center. A trial of one fixation is dropped.
        subsample_every: keeps every n-th row of each trial, from the first; 1 keeps all rows. For
            mouse data, which has many samples at one position.

    Raises:
        FileNotFoundError: if the data set is not prepared there.
        ValueError: if the data set has no gaze records, an older version of its builder prepared
            it, or a record or its image cannot be read.
    """
    source = open_source(name, data_dir)

    def read(position: int) -> tuple[str, int, tuple[int, int], Any]:
        record = read_record(source, position)
        image_size, _ = _decode(source, record, [])
        return record["image_id"].decode(), position, image_size, record["gaze"]

    with ThreadPoolExecutor() as pool:
        entries = sorted(pool.map(read, range(len(source.records))), key=lambda entry: entry[0])
    image_ids = tuple(image_id for image_id, *_ in entries)
    user_ids = tuple(source.metadata["user_ids"])
    tables = [gaze for *_, gaze in entries]
    flatten = functools.partial(
        _flatten_gaze,
        image_ids=image_ids,
        sizes=[size for _, _, size, _ in entries],
        first_trial_only=first_trial_only,
        drop_first_fixation=drop_first_fixation,
        subsample_every=subsample_every,
    )
    positions = [position for _, position, *_ in entries]
    make_images: Any = _decoded_images if is_resident else _stored_images
    return Dataset(
        name=name,
        user_ids=user_ids,
        image_ids=image_ids,
        images=make_images(source, positions, image_sizes),
        gaze=flatten(tables, num_users=len(user_ids)),
        has_durations=source.metadata["has_durations"],
        features=None,
        projection=None,
        digest=source.metadata.get("digest"),
        gaze_source={
            name: source.metadata[name]
            for name in ("tracking", "format", "convention", "source", "sessions_are")
            if name in source.metadata
        }
        | {"has_sessions": "session_ids" in source.metadata},
        # Data sets that were prepared before have no such entry, and are split as before.
        copies=tuple(map(tuple, source.metadata.get("copies", ()))),
        recordings=_recordings(tables, source.metadata.get("session_ids", ()), flatten),
    )


def read_records(
    name: str, data_dir: str | Path | None
) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """Reads the metadata and the records of a prepared data set, with encoded images.

    Args:
        name: name and configuration, such as `osie/gaze`.
        data_dir: folder of prepared data sets; None is the default of TFDS.

    Returns:
        Metadata and records, see `tfds_builders.common.gaze_schema`; records are in the order of
        their image ids.

    Raises:
        FileNotFoundError: if the data set is not prepared there.
        ValueError: if an older version of the builder prepared it, or a record cannot be read.
    """
    source = open_source(name, data_dir)
    records = [read_record(source, position) for position in range(len(source.records))]
    return source.metadata, sorted(records, key=lambda record: record["image_id"])


def num_images(name: str, data_dir: str | Path | None) -> int:
    """Number of images of a prepared data set; raises the errors of `read_records`."""
    return len(open_source(name, data_dir).records)


def open_source(name: str, data_dir: str | Path | None) -> Source:
    """Opens a prepared data set; raises the errors of `read_records`."""
    import tensorflow_datasets as tfds  # Imported here: who only uses a trained model needs none.

    folder = prepared_folder(name, data_dir)
    open_folder(name, folder)
    builder = tfds.builder_from_directory(folder)
    metadata = builder.info.metadata
    if "has_durations" not in metadata:
        raise ValueError(
            f"{folder} was prepared by an older builder; run again: gazejax data build {name}"
        )
    split = builder.info.splits["train"]
    names = [Path(path).name for path in split.filepaths]
    return Source(
        folder=folder,
        metadata=metadata,
        records=builder.as_data_source(
            split="train", decoders={"image": tfds.decode.SkipDecoding()}
        ),
        shards=list(zip(names, split.shard_lengths, strict=True)),
    )


def read_record(source: Source, position: int) -> Mapping[str, Any]:
    """Reads one record.

    Raises:
        ValueError: if the record cannot be read; with its file and its number in the file.
    """
    try:
        return source.records[position]
    except Exception as error:  # The readers of files and records raise errors of many classes.
        number, at = 0, position
        while at >= source.shards[number][1]:
            at -= source.shards[number][1]
            number += 1
        raise ValueError(
            f"{source.folder / source.shards[number][0]}: record {at} does not read: {error}; "
            "build the data set again"
        ) from error


def prepared_folder(name: str, data_dir: str | Path | None) -> Path:
    """Finds the newest prepared version of a data set.

    Raises:
        ValueError: if `data_dir` is None or begins with `~`, and no home folder is known.
        FileNotFoundError: with the command that prepares it.
    """
    root = Path(expand_home(data_dir)) if data_dir else default_data_dir()
    versions = sorted(
        (
            info.parent
            for info in (root / name).glob("*/dataset_info.json")
            # An interrupted build may leave a folder whose name is not a version.
            if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name)
        ),
        key=lambda folder: tuple(int(part) for part in folder.name.split(".")),
    )
    if not versions:
        configs = sorted({info.parents[1].name for info in (root / name).glob("*/*/*_info.json")})
        if configs:
            choices = ", ".join(repr(f"{name}/{config}") for config in configs)
            raise FileNotFoundError(
                f"data set {name!r} is prepared in {root} under a configuration; "
                f"config.data.name must be one of {choices}"
            )
        raise FileNotFoundError(
            f"data set {name!r} is not prepared in {root}{_seen_from(root)}; "
            f"run: gazejax data build {_command_of(name)} --data-dir {root}"
        )
    return versions[-1]


def _command_of(name: str) -> str:
    """What builds a data set: by its own builder, or else from files of gaze under its name."""
    from tfds_builders.common.build import list_names  # Imported here, as above.

    if name.partition("/")[0] not in {known.partition("/")[0] for known in list_names()}:
        return f"gaze_table --table FILE --images DIR --name {name}"
    return name if name.startswith("synthetic_gaze") else f"{name} --raw DIR"


def absolute_data_dir(data_dir: str | Path | None) -> str | None:
    """A folder of prepared data sets as it is from every current folder; None stays None."""
    return None if data_dir is None else str(Path(expand_home(data_dir)).absolute())


def _seen_from(root: Path) -> str:
    return "" if root.is_absolute() else f" (from the folder {Path.cwd()})"


def decode_image(encoded: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """Decodes JPEG or PNG bytes to 8-bit RGB."""
    return pictures.decode(encoded)


def resize_image(
    image: UInt8[np.ndarray, "height width 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """Resizes to (height, width) with anti-aliasing; the aspect ratio may change."""
    height, width = size
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def resize_map(
    saliency: Float[np.ndarray, "height width"], size: tuple[int, int]
) -> Float[np.ndarray, "new_height new_width"]:
    """Resizes a map bilinearly and makes it sum to 1."""
    picture = Image.fromarray((saliency / saliency.max()).astype(np.float32))
    resized = np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))
    return (resized / resized.sum(dtype=np.float64)).astype(np.float32)


def _decode(
    source: Source, record: Mapping[str, Any], sizes: Sequence[tuple[int, int]]
) -> tuple[tuple[int, int], list[UInt8[np.ndarray, "_height _width 3"]]]:
    """Original size of a record's image, and the image resized to `sizes`; decodes only if any."""
    try:
        with Image.open(io.BytesIO(record["image"])) as image:
            width, height = image.size
        decoded = [decode_image(record["image"])] if sizes else []
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(
            f"{source.folder}: image {record['image_id'].decode()!r} does not decode: {error}; "
            "build the data set again"
        ) from error
    return (height, width), [resize_image(image, size) for image in decoded for size in sizes]


def _decoded_images(
    source: Source, positions: Sequence[int], sizes: Mapping[str, tuple[int, int]]
) -> dict[str, UInt8[np.ndarray, "image _height _width 3"]]:
    """The images in the order of `positions`, at each size; no copy of all of them is made."""
    images = {key: np.empty((len(positions), *size, 3), np.uint8) for key, size in sizes.items()}

    def decode(number: int) -> None:
        record = read_record(source, positions[number])
        _, resized = _decode(source, record, list(sizes.values()))
        for array, image in zip(images.values(), resized, strict=True):
            array[number] = image

    with ThreadPoolExecutor() as pool:
        list(pool.map(decode, range(len(positions))))
    return images


def _stored_images(
    source: Source, positions: Sequence[int], sizes: Mapping[str, tuple[int, int]]
) -> dict[str, LazyRows]:
    """The images in the order of `positions`, decoded on demand at each size."""

    def rows_of(size: tuple[int, int]) -> LazyRows:
        def read(images: Int[np.ndarray, " image"]) -> UInt8[np.ndarray, "image height width 3"]:
            records = [read_record(source, positions[image]) for image in images]
            return np.stack([_decode(source, record, [size])[1][0] for record in records])

        return LazyRows(read, len(positions))

    return {key: rows_of(size) for key, size in sizes.items()}


def kept_fixations(
    user: Int[np.ndarray, " fixation"],
    trial: Int[np.ndarray, " fixation"],
    *,
    first_trial_only: bool,
    drop_first_fixation: bool,
    subsample_every: int,
) -> Int[np.ndarray, " kept"]:
    """Finds the fixations on one image that the filters of a config leave, see `load`.

    Args:
        user: not negative.
        trial: not negative.
        first_trial_only: whether to drop all but a user's first trial.
        drop_first_fixation: whether to drop the first fixation of every trial.
        subsample_every: keeps the first of so many fixations of a trial.

    Returns:
        Their indices, sorted by user, then trial, then place in the arrays.
    """
    order = np.lexsort((trial, user))
    if first_trial_only:
        first = np.full(user.max(initial=-1) + 1, np.iinfo(np.int32).max, np.int32)
        np.minimum.at(first, user, trial)
        order = order[trial[order] == first[user[order]]]
    is_first = (np.diff(user[order], prepend=-1) | np.diff(trial[order], prepend=-1)) != 0
    row = np.arange(len(order))
    number = row - np.maximum.accumulate(np.where(is_first, row, 0)) - drop_first_fixation
    return order[(number >= 0) & (number % subsample_every == 0)]


def _recordings(
    tables: Sequence[Mapping[str, Any]],
    session_ids: Sequence[Sequence[str]],
    flatten: Callable[..., Gaze],
) -> Recordings | None:
    """The gaze with each session of each user in the place of a user; None without sessions."""
    if not session_ids:
        return None
    number = [len(names) for names in session_ids]
    first = np.cumsum(number) - number
    apart = [
        {**table, "user": first[np.asarray(table["user"])] + np.asarray(table["session"])}
        for table in tables
    ]
    return Recordings(
        user=np.repeat(np.arange(len(number)), number),
        session_ids=tuple(name for names in session_ids for name in names),
        gaze=flatten(apart, num_users=sum(number)),
    )


def _flatten_gaze(
    tables: Sequence[Mapping[str, Any]],
    *,
    image_ids: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    num_users: int,
    first_trial_only: bool,
    drop_first_fixation: bool,
    subsample_every: int,
) -> Gaze:
    """Joins the tables of all images; the rows of a viewing are contiguous, in temporal order."""
    length = np.zeros((num_users, len(tables)), np.int32)
    offset = np.zeros_like(length)
    xy_frac, duration_ms, start = [], [], 0
    for image, (table, (height, width)) in enumerate(zip(tables, sizes, strict=True)):
        user, xy_px = np.asarray(table["user"]), np.asarray(table["xy_px"], np.float32)
        outside = ~((xy_px >= 0) & (xy_px < [width, height])).all(axis=1)
        for row in np.flatnonzero(outside | (user < 0) | (user >= num_users))[:1]:
            raise ValueError(
                f"image {image_ids[image]!r} row {row}: user {user[row]} at {xy_px[row].tolist()}; "
                f"allowed: 0 <= user < {num_users}, 0 <= x < {width}, 0 <= y < {height}"
            )
        order = kept_fixations(
            user,
            np.asarray(table["trial"]),
            first_trial_only=first_trial_only,
            drop_first_fixation=drop_first_fixation,
            subsample_every=subsample_every,
        )
        xy_frac.append(xy_px[order] / np.array([width, height], np.float32))
        duration_ms.append(np.asarray(table["duration_ms"], np.float32)[order])
        length[:, image] = np.bincount(user[order], minlength=num_users)
        offset[:, image] = start + np.cumsum(length[:, image]) - length[:, image]
        start += len(order)
    if start == 0:
        raise ValueError(
            f"the data set has {len(tables)} images and 0 fixations; allowed: at least 1 fixation"
        )
    return Gaze(
        xy_frac=np.concatenate(xy_frac),
        duration_ms=np.concatenate(duration_ms),
        viewing_offset=offset,
        viewing_length=length,
        aspect_ratio=np.array([width / height for height, width in sizes], np.float32),
    )
