"""Finds, lists and verifies prepared data sets."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

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
        damage: why it cannot be read, and then only name, version and folder are known; None: it
            can.
    """

    name: str
    version: str
    folder: Path
    num_images: int
    metadata: Mapping[str, Any]
    license: str
    damage: str | None = None


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


# What the descriptions of the data sets of this package have, and those of others have not.
_MARKS = {
    "dataset_info.json": '"tfds_builders.',
    "features.json": '"image_sha256"',
    "metadata.json": '"user_ids"',
}


def find(data_dir: Path) -> list[Prepared]:
    """Finds the newest version of each gaze data set below a folder, sorted by name.

    Other data sets of TFDS are left out. Damaged gaze data sets are found too.
    """
    found = []
    for name, of_version in sorted(_folders(data_dir).items()):
        folder = of_version[max(of_version)]
        whose = _whose(folder)
        if whose == "gaze" or (whose == "unknown" and any(folder.iterdir())):
            found.append(_open_or_describe(name, folder))
    return found


def find_versions(data_dir: Path, name: str) -> list[Prepared]:
    """Finds all versions of one gaze data set, the oldest first; [] if there is none.

    Damaged ones are found too, and what a build may have left of one.
    """
    folders = sorted(_folders(data_dir).get(name, {}).items())
    return [_open_or_describe(name, folder) for _, folder in folders if _whose(folder) != "other"]


def _folders(data_dir: Path) -> dict[str, dict[tuple[int, ...], Path]]:
    """Returns the folder of each version of each data set of TFDS below a folder."""
    found: dict[str, dict[tuple[int, ...], Path]] = {}
    for folder in (*data_dir.glob("*/*"), *data_dir.glob("*/*/*")):
        # The folder of an interrupted build is not named by a version.
        if re.fullmatch(r"\d+\.\d+\.\d+", folder.name) and folder.is_dir():
            name = folder.parent.relative_to(data_dir).as_posix()
            found.setdefault(name, {})[tuple(map(int, folder.name.split(".")))] = folder
    return found


def _whose(folder: Path) -> Literal["gaze", "other", "unknown"]:
    """Whether a folder is a gaze data set, perhaps a damaged one, by what is left of it.

    "unknown": it has no file of its description, or only empty ones, and no file that no build
    writes.
    """
    texts = {}
    for name in _MARKS:
        with contextlib.suppress(OSError):
            texts[name] = (folder / name).read_text("utf-8", errors="replace")
    if any(_MARKS[name] in text for name, text in texts.items()):
        return "gaze"
    is_empty = all(text.strip() in ("", "{}", "null") for text in texts.values())
    files = list(folder.iterdir())
    # A licence alone may be of anything.
    is_built = all(map(_is_built_file, files)) and {one.name for one in files} != {"LICENSE"}
    return "unknown" if is_empty and is_built else "other"


def _open_or_describe(name: str, folder: Path) -> Prepared:
    """Opens a data set; of a damaged one, says what is damaged."""
    try:
        return open_folder(name, folder)
    except ValueError as error:
        return Prepared(name, folder.name, folder, 0, {}, "", damage=str(error))


def open_folder(name: str, folder: Path) -> Prepared:
    """Reads the description and metadata of a prepared data set.

    Args:
        name: NAME or NAME/CONFIG.
        folder: folder of the prepared data set.

    Raises:
        ValueError: the folder is not a prepared data set, or a damaged one; the message names the
            file.
    """
    try:
        for file in _MARKS:
            _read_object(folder / file)
        info = tfds.builder_from_directory(folder).info
        split = info.splits["train"]
        num_images = split.num_examples
        for path in split.filepaths:
            if not Path(path).is_file():
                raise ValueError(f"{Path(path).name} is missing")
        metadata = dict(info.metadata or {})
        _check_metadata(metadata)
    except Exception as error:  # TFDS passes on all errors of its parsers.
        raise ValueError(
            f"{folder} is not a prepared data set ({raw_files.one_line(error)[:200]}): build it "
            f"again with gazejax data build --replace, or remove it: gazejax data remove {name}"
        ) from error
    return Prepared(
        name, folder.name, folder, num_images, metadata, info.redistribution_info.license or ""
    )


def _read_object(path: Path) -> None:
    """Checks that a file holds a JSON object."""
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path.name} is no JSON text: {error}") from error
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path.name} has no keys and values")


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    """Checks what is read of the metadata; older builders wrote less of it, but users."""
    texts = (list, tuple)

    def is_names(value: Any) -> bool:
        return isinstance(value, texts) and all(isinstance(one, str) for one in value)

    def is_lists_of_names(value: Any) -> bool:
        return isinstance(value, texts) and all(map(is_names, value))

    def is_digest(value: Any) -> bool:
        return isinstance(value, Mapping) and {*value} == {"gaze", "images"} and is_names([*value])

    rules: dict[str, Callable[[Any], bool]] = {
        "user_ids": lambda value: is_names(value) and len(value) > 0,
        "session_ids": lambda value: (
            is_lists_of_names(value) and len(value) == len(metadata["user_ids"])
        ),
        "copies": is_lists_of_names,
        "warnings": is_names,
        "num_fixations": lambda value: type(value) is int,
        "tracking": lambda value: isinstance(value, str),
        "has_durations": lambda value: isinstance(value, bool),
        "source": lambda value: isinstance(value, Mapping),
        "convention": lambda value: isinstance(value, Mapping),
        "digest": is_digest,
    }
    needed = ("user_ids", "num_fixations") if "digest" in metadata else ("user_ids",)
    for name, is_right in rules.items():
        if name not in metadata and name in needed:
            raise ValueError(f"metadata.json has no {name!r}")
        if name in metadata and not is_right(metadata[name]):
            shown = repr(metadata[name])[:50]
            raise ValueError(f"metadata.json has {name!r} as no build writes it: {shown}")


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
        if not _is_built_file(path):
            raise ValueError(f"{path} is no file of the data set: move it to another place")


def _is_built_file(path: Path) -> bool:
    return path.name in _BUILT_FILES or ".array_record" in path.name


def format_list(found: list[Prepared]) -> str:
    """Returns a text table: one line for each data set, with the start of the digest of gaze.

    Data sets of older builders have neither a digest nor a number of fixations. Damaged data sets
    follow, with what is damaged.
    """
    whole = [one for one in found if one.damage is None]
    damaged = [f"damaged: {one.name}: {one.damage}" for one in found if one.damage is not None]
    return "\n".join([*([_format_table(whole)] if whole else []), *damaged])


def _format_table(found: list[Prepared]) -> str:
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
    """Opens the records of a prepared data set, with encoded images.

    Raises:
        ValueError: the files of the records cannot be opened.
    """
    try:
        return tfds.builder_from_directory(folder).as_data_source(
            split="train", decoders={"image": tfds.decode.SkipDecoding()}
        )
    except Exception as error:  # array_record passes on all errors of its C++ code.
        raise ValueError(
            f"{folder}: its records cannot be opened ({raw_files.one_line(error)[:200]}): build it "
            "again with --replace"
        ) from error


def read_records(
    folder: Path, source: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Reads all records, each with its image id.

    Args:
        folder: folder of the prepared data set, for errors.
        source: of `open_records`.

    Raises:
        ValueError: a record cannot be read, or is none of a gaze data set.
    """
    for number in range(len(source)):
        try:
            record = source[number]
            image_id = record["image_id"].decode()
        except Exception as error:  # array_record passes on all errors of its C++ code.
            raise ValueError(
                f"{folder}: record {number} cannot be read ({raw_files.one_line(error)[:200]}): "
                "build it again with --replace"
            ) from error
        yield image_id, record


def verify(prepared: Prepared) -> None:
    """Reads all records and compares them with the metadata of the build.

    Raises:
        ValueError: a record cannot be read, an image changed, or a digest or a number of records or
            fixations differs; the message names the first.
    """
    if prepared.damage is not None:
        raise ValueError(prepared.damage)
    name, metadata = prepared.folder, prepared.metadata
    if "digest" not in metadata:
        raise ValueError(f"{name} has no digest, so a change cannot be detected: build it again")
    source = open_records(prepared.folder)
    if len(source) != prepared.num_images:
        raise ValueError(f"{name} has {len(source)} records, expected {prepared.num_images}")
    records = []
    entries = read_records(prepared.folder, source)
    for image_id, record in tqdm(
        entries, desc="verifying", unit="image", total=len(source), disable=None
    ):
        _check_numbers(name, image_id, record["gaze"], metadata)
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


def _check_numbers(
    folder: Path, image_id: str, gaze: Mapping[str, Any], metadata: Mapping[str, Any]
) -> None:
    """Checks that the metadata name each user, and each session of a user, of a record."""
    user_ids, session_ids = metadata["user_ids"], metadata.get("session_ids")
    sessions = [0] * len(gaze["user"]) if session_ids is None else gaze.get("session", ())
    for user, session in zip(gaze["user"], sessions, strict=True):
        if not 0 <= user < len(user_ids):
            raise ValueError(
                f"{folder}: image {image_id!r} was viewed by user {user}, and its metadata.json "
                f"names {len(user_ids)} users: build it again with --replace"
            )
        if session_ids is not None and not 0 <= session < len(session_ids[user]):
            raise ValueError(
                f"{folder}: image {image_id!r} was viewed in session {session} of "
                f"{user_ids[user]!r}, and its metadata.json names {len(session_ids[user])}: build "
                "it again with --replace"
            )
