"""A prepared TFDS data set -> arrays in memory. The only module that knows tfds.

Records are read in the order of their image ids, so that indices mean the same after a rebuild.
"""

import io
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8
from PIL import Image

from gazejax.arrays import Dataset, Gaze


def load(
    name: str,
    data_dir: str | Path | None,
    image_sizes: Mapping[str, tuple[int, int]],
    *,
    first_trial_only: bool,
    drop_first_fixation: bool,
    keep_one_in: int,
) -> Dataset:
    """Reads a prepared data set whole.

    Args:
        name: name and configuration, such as `osie/gaze`.
        data_dir: folder of prepared data sets; None is TFDS's own default.
        image_sizes: (height, width) to resize the images to, for each key of `Dataset.images`.
        first_trial_only: whether to leave out every later look of a user at the same image.
        drop_first_fixation: whether to leave out the first fixation of every trial: it is where the
            eye was when the image came up, often at its centre. A trial of one fixation is gone.
        keep_one_in: of the rows of every trial, the first of so many is kept: 1 keeps all. A mouse
            is sampled many times in one place.

    Raises:
        FileNotFoundError: if the data set is not prepared there.
        ValueError: if it holds no gaze records, or is of an older version of its builder.
    """
    metadata, records = read_records(name, data_dir)
    user_ids = tuple(metadata["user_ids"])
    image_ids = tuple(record["image_id"].decode() for record in records)

    def decode(record: Mapping[str, Any]) -> tuple[tuple[int, int], list[np.ndarray]]:
        image = decode_image(record["image"])
        return image.shape[:2], [resize_image(image, size) for size in image_sizes.values()]

    with ThreadPoolExecutor() as pool:
        decoded = list(pool.map(decode, records))
    sizes = [size for size, _ in decoded]
    images = {
        key: np.stack([resized[position] for _, resized in decoded])
        for position, key in enumerate(image_sizes)
    }
    return Dataset(
        name=name,
        user_ids=user_ids,
        image_ids=image_ids,
        images=images,
        gaze=_flatten_gaze(
            [record["gaze"] for record in records],
            image_ids,
            sizes,
            len(user_ids),
            first_trial_only=first_trial_only,
            drop_first_fixation=drop_first_fixation,
            keep_one_in=keep_one_in,
        ),
        has_durations=metadata["has_durations"],
        features=None,
        basis=None,
        digest=metadata.get("digest"),
    )


def read_records(
    name: str, data_dir: str | Path | None
) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """Reads a prepared data set as it is: its metadata, and its records with encoded images.

    Args:
        name: name and configuration, such as `osie/gaze`.
        data_dir: folder of prepared data sets; None is TFDS's own default.

    Returns:
        See `tfds_builders.gaze_schema`; the records in the order of their image ids.

    Raises:
        FileNotFoundError: if the data set is not prepared there.
        ValueError: if it is of an older version of its builder.
    """
    folder = prepared_folder(name, data_dir)
    builder = tfds.builder_from_directory(folder)
    metadata = builder.info.metadata
    if "has_durations" not in metadata:
        raise ValueError(
            f"{folder} is of an older version of its builder: run gazejax data build {name} again"
        )
    source = builder.as_data_source(split="train", decoders={"image": tfds.decode.SkipDecoding()})
    return metadata, sorted(source, key=lambda record: record["image_id"])


def prepared_folder(name: str, data_dir: str | Path | None) -> Path:
    """Finds the newest prepared version of a data set.

    Raises:
        FileNotFoundError: with the command that prepares it.
    """
    root = Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()
    versions = sorted(
        (
            info.parent
            for info in (root / name).glob("*/dataset_info.json")
            # An interrupted build may leave a folder that has no version for a name.
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
            f"data set {name!r} is not prepared in {root}; "
            f"run: gazejax data build {name} --data-dir {root} (and --raw DIR for a release)"
        )
    return versions[-1]


def decode_image(encoded: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """Decodes JPEG or PNG bytes to 8-bit RGB."""
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB"))


def resize_image(
    image: UInt8[np.ndarray, "height width 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """Resizes to (height, width), anti-aliased; the aspect is not kept."""
    height, width = size
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _flatten_gaze(
    tables: Sequence[Mapping[str, Any]],
    image_ids: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    num_users: int,
    *,
    first_trial_only: bool,
    drop_first_fixation: bool,
    keep_one_in: int,
) -> Gaze:
    """Joins the tables of all images; rows of one viewing become neighbours, in viewing order."""
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
        trial = np.asarray(table["trial"])
        order = np.lexsort((trial, user))
        if first_trial_only:
            first = np.full(num_users, np.iinfo(np.int32).max, np.int32)
            np.minimum.at(first, user, trial)
            order = order[trial[order] == first[user[order]]]
        is_first = (np.diff(user[order], prepend=-1) | np.diff(trial[order], prepend=-1)) != 0
        row = np.arange(len(order))
        number = row - np.maximum.accumulate(np.where(is_first, row, 0)) - drop_first_fixation
        order = order[(number >= 0) & (number % keep_one_in == 0)]
        xy_frac.append(xy_px[order] / np.array([width, height], np.float32))
        duration_ms.append(np.asarray(table["duration_ms"], np.float32)[order])
        length[:, image] = np.bincount(user[order], minlength=num_users)
        offset[:, image] = start + np.cumsum(length[:, image]) - length[:, image]
        start += len(order)
    if start == 0:
        raise ValueError(f"the data set has {len(tables)} images and no fixation")
    return Gaze(
        xy_frac=np.concatenate(xy_frac),
        duration_ms=np.concatenate(duration_ms),
        viewing_offset=offset,
        viewing_length=length,
        aspect_ratio=np.array([width / height for height, width in sizes], np.float32),
    )
