"""Finds, lists and verifies prepared data sets."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_datasets as tfds
from tqdm import tqdm

from tfds_builders.common import digests, gaze_schema, raw_files


class Prepared(NamedTuple):
    """One prepared data set.

    Attributes:
        name: NAME or NAME/CONFIG.
        version: version of the builder.
        folder: folder of the prepared data set.
        num_images: number of records.
        metadata: see `gaze_schema.join`.
        license: licence of the source.
    """

    name: str
    version: str
    folder: Path
    num_images: int
    metadata: Mapping[str, Any]
    license: str


def default_data_dir() -> Path:
    """Returns TFDS's default folder of all prepared data sets.

    Raises:
        ValueError: the folder is in a home folder, and none is known.
    """
    folder = os.path.expanduser(tfds.core.constants.DATA_DIR)
    # Without a home folder the text stays; TFDS would make a folder that is called `~`.
    if folder.startswith("~") or (os.environ.get("HOME") == "" and not _has_own_folder()):
        raise ValueError(
            "no home folder is known for TFDS's default folder of data sets; give --data-dir, or "
            "set TFDS_DATA_DIR or HOME"
        )
    return Path(folder)


def _has_own_folder() -> bool:
    return not os.environ.get("TFDS_DATA_DIR", "~").startswith("~")


_BUILT_FILES = ("LICENSE", "dataset_info.json", "features.json", "metadata.json")


def find(data_dir: Path) -> list[Prepared]:
    """Finds the newest version of each gaze data set below a folder, sorted by name.

    Other data sets of TFDS are left out.
    """
    found = (open_folder(name, of[max(of)]) for name, of in sorted(_folders(data_dir).items()))
    return [prepared for prepared in found if "user_ids" in prepared.metadata]


def find_versions(data_dir: Path, name: str) -> list[Prepared]:
    """Finds all versions of one gaze data set, the oldest first; [] if there is none."""
    folders = sorted(_folders(data_dir).get(name, {}).items())
    found = [open_folder(name, folder) for _, folder in folders]
    return [prepared for prepared in found if "user_ids" in prepared.metadata]


def _folders(data_dir: Path) -> dict[str, dict[tuple[int, ...], Path]]:
    """Returns the folder of each version of each data set of TFDS below a folder."""
    found: dict[str, dict[tuple[int, ...], Path]] = {}
    for info in data_dir.glob("*/**/dataset_info.json"):
        folder = info.parent
        # The folder of an interrupted build is not named by a version.
        if re.fullmatch(r"\d+\.\d+\.\d+", folder.name):
            name = folder.parent.relative_to(data_dir).as_posix()
            found.setdefault(name, {})[tuple(map(int, folder.name.split(".")))] = folder
    return found


def open_folder(name: str, folder: Path) -> Prepared:
    """Reads the description and metadata of a prepared data set.

    Args:
        name: NAME or NAME/CONFIG.
        folder: folder of the prepared data set.

    Raises:
        ValueError: the folder is not a prepared data set.
    """
    try:
        info = tfds.builder_from_directory(folder).info
        num_images = info.splits["train"].num_examples
    except Exception as error:  # TFDS passes on all errors of its parsers.
        raise ValueError(
            f"{folder} is not a prepared data set ({raw_files.one_line(error)[:200]}): "
            "remove it and build it again"
        ) from error
    metadata = info.metadata if isinstance(info.metadata, Mapping) else {}
    return Prepared(
        name, folder.name, folder, num_images, metadata, info.redistribution_info.license
    )


def remove(versions: Sequence[Prepared]) -> None:
    """Removes the versions of a prepared data set, and the folders above that are left empty.

    Raises:
        ValueError: a folder is a link, or holds a file that no build wrote; nothing is removed.
        OSError: a folder cannot be removed.
    """
    for one in versions:
        check_only_built(one.folder)
    for one in versions:
        shutil.rmtree(one.folder)
    folder = versions[0].folder
    for above in list(folder.parents)[: len(Path(versions[0].name).parts)]:
        if any(above.iterdir()):
            break
        above.rmdir()


def check_only_built(folder: Path) -> None:
    """Checks that the folder of a prepared data set holds only what a build wrote.

    Raises:
        ValueError: the folder is a link, or holds another file.
    """
    if folder.is_symlink():
        raise ValueError(
            f"{folder} is a link to {folder.resolve()}: remove that folder or the link"
        )
    for path in sorted(folder.iterdir()):
        if path.name not in _BUILT_FILES and ".array_record" not in path.name:
            raise ValueError(f"{path} is no file of the data set: move it to another place")


def format_list(found: list[Prepared]) -> str:
    """Returns a text table: one line for each data set, with the start of the digest of gaze.

    Data sets of older builders have neither a digest nor a number of fixations.
    """
    header = ("name", "version", "images", "users", "fixations", "tracking", "digest", "licence")
    rows = [
        (
            one.name,
            one.version,
            str(one.num_images),
            str(len(one.metadata["user_ids"])),
            str(one.metadata.get("num_fixations", "?")),
            one.metadata.get("tracking", "?"),
            one.metadata.get("digest", {"gaze": "build again"})["gaze"][:12],
            one.license,
        )
        for one in found
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = (
        "  ".join(
            # Columns of numbers are aligned to the right.
            entry.rjust(width) if 2 <= position <= 4 else entry.ljust(width)
            for position, (entry, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    )
    return "\n".join(lines)


def open_records(folder: Path) -> Sequence[Mapping[str, Any]]:
    """Opens the records of a prepared data set, with encoded images."""
    return tfds.builder_from_directory(folder).as_data_source(
        split="train", decoders={"image": tfds.decode.SkipDecoding()}
    )


def verify(prepared: Prepared) -> None:
    """Reads all records and compares them with the metadata of the build.

    Raises:
        ValueError: a record cannot be read, an image changed, or a digest or a number of records or
            fixations differs; the message names the first.
    """
    name, metadata = prepared.folder, prepared.metadata
    if "digest" not in metadata:
        raise ValueError(f"{name} has no digest, so a change cannot be detected: build it again")
    source = open_records(prepared.folder)
    if len(source) != prepared.num_images:
        raise ValueError(f"{name} has {len(source)} records, expected {prepared.num_images}")
    records = []
    for number in tqdm(range(len(source)), desc="verifying", unit="image", disable=None):
        try:
            record = source[number]
        except Exception as error:  # array_record passes on all errors of its C++ code.
            raise ValueError(
                f"{name}: record {number} cannot be read ({raw_files.one_line(error)[:200]}): "
                "build it again"
            ) from error
        image_id = record["image_id"].decode()
        if raw_files.sha256(record["image"]) != record["image_sha256"].decode():
            raise ValueError(f"{name}: image {image_id!r} differs from the image that was written")
        records.append(record)
    found = digests.of_records(records, metadata["user_ids"], metadata.get("session_ids", ()))
    for part, expected in metadata["digest"].items():
        if found[part] != expected:
            raise ValueError(
                f"{name}: the digest of {part} is {found[part]}, expected {expected}: "
                "build it again"
            )
    num_fixations = sum(len(record["gaze"]["user"]) for record in records)
    if num_fixations != metadata["num_fixations"]:
        raise ValueError(
            f"{name} has {num_fixations} fixations, expected {metadata['num_fixations']}"
        )
    for record in records:
        gaze_schema.make_example(record["image"], record["image_id"].decode(), **record["gaze"])
