"""Reads the files of a release, images and MATLAB structs; refuses any other in one line."""

import functools
import hashlib
import io
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image, ImageFile

# MATLAB counts pixels from 1: its (1, 1) is the centre of the first pixel, here (0.5, 0.5).
MATLAB_TO_CORNER_ORIGIN_PX = -0.5


def read_image(path: Path, folder: Path) -> tuple[bytes, int, int]:
    """Reads an encoded image of a release and proves that it decodes.

    Args:
        path: the file.
        folder: the folder that it must lie in, whatever links lead there.

    Returns:
        The bytes of the file, the width and the height in pixels.

    Raises:
        FileNotFoundError: no such file.
        ValueError: outside of the folder, or not a whole RGB image in JPEG or PNG.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: unpack the whole release again")
    image_bytes, image = decode_file(path, folder)
    if image.mode != "RGB":
        raise ValueError(f"{path} is a {image.mode} image, expected RGB: unpack the release again")
    return image_bytes, *image.size


def decode_file(path: Path, folder: Path) -> tuple[bytes, ImageFile.ImageFile]:
    """Reads the bytes of an image file, and the image.

    Raises:
        ValueError: outside of the folder, or not a whole image in JPEG or PNG.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{path} leads out of {folder} to {path.resolve()}: copy the file there")
    image_bytes = path.read_bytes()
    try:
        image = decode(image_bytes)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} does not decode ({one_line(error)}): fetch or unpack it again"
        ) from error
    if image.format not in ("JPEG", "PNG"):
        raise ValueError(f"{path} is a {image.format} file, expected JPEG or PNG: convert it")
    return image_bytes, image


def decode(image_bytes: bytes) -> ImageFile.ImageFile:
    """Decodes an image file to its last pixel."""
    image = Image.open(io.BytesIO(image_bytes))
    image.load()
    return image


def sha256(content: bytes) -> str:
    """SHA-256 as a hexadecimal number."""
    return hashlib.sha256(content).hexdigest()


def find_images(names: Sequence[str], folder: Path) -> dict[str, Path]:
    """Finds the file of each image below a folder: by its exact name, else its normalised one.

    Args:
        names: paths relative to the folder, with `/`.
        folder: of the images.

    Raises:
        FileNotFoundError: no such folder, or naming the images without a file.
        ValueError: if two of the names, or two files, have one normalised name.
    """
    found, errors = match_images(names, folder)
    for error in errors:
        raise ValueError(error)
    missing = [name for name in names if name not in found]
    if missing:
        shown = ", ".join(map(repr, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise FileNotFoundError(
            f"--images {folder} lacks {len(missing)} of {len(names)} images: {shown}"
        )
    return found


def match_images(names: Sequence[str], folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Like `find_images`, of what can be found; returns errors instead of raising them."""
    if not folder.is_dir():
        raise FileNotFoundError(f"--images {folder} is not a folder")
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    alike: dict[str, list[str]] = {}
    for file_name in files:
        alike.setdefault(normalize_name(file_name), []).append(file_name)
    found = {name: files[name] for name in names if name in files}
    wanted: dict[str, str] = {}
    errors = []
    for name in names:
        if name in found:
            continue
        key = normalize_name(name)
        if key in wanted:
            errors.append(f"{wanted[key]!r} and {name!r} are one name once normalised: {key!r}")
            continue
        wanted[key] = name
        taken = {path for other, path in found.items() if normalize_name(other) == key}
        candidates = [other for other in alike.get(key, []) if files[other] not in taken]
        if len(candidates) > 1:
            errors.append(
                f"{folder}: {' and '.join(map(repr, candidates))} both could be {name!r}; "
                "rename the right one to that"
            )
        elif candidates:
            found[name] = files[candidates[0]]
    return found, errors


@functools.cache
def normalize_name(name: str) -> str:
    """Lower case, with every run of other characters than letters and digits as one underscore.

    Archives and file systems change spaces, brackets, `#`, double dots and upper case.
    """
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", name).casefold())


def encode_png(image: np.ndarray) -> bytes:
    """Returns the PNG file of a uint8 [h, w, 3] image.

    The bytes depend on the version of the compressor, the pixels do not.
    """
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def read_variable(path: Path, name: str) -> Any:
    """Reads a variable of a MATLAB file; structs become dictionaries, cells lists or arrays.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no MATLAB file, or without the variable.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: point --raw at the folder of the release")
    try:
        return scipy.io.loadmat(path, simplify_cells=True)[name]
    except Exception as error:  # scipy raises a dozen unrelated types on a broken file.
        raise ValueError(
            f"{path} cannot be read as a MATLAB file with the variable {name!r} "
            f"({one_line(error)}): take the file of the release"
        ) from error


def read_field(struct: Any, name: str, place: str) -> Any:
    """Returns a field of a struct.

    Raises:
        ValueError: no struct, or without the field; `place` says which.
    """
    if not isinstance(struct, dict) or name not in struct:
        found = sorted(struct) if isinstance(struct, dict) else type(struct).__name__
        raise ValueError(f"{place} has no field {name!r}, found {found}: take the file as released")
    return struct[name]


def read_cell(value: Any, place: str, *, length: int | None) -> Any:
    """Returns a cell array, of a known length if one is given.

    Raises:
        ValueError: no cell array, or of another length; `place` says which.
    """
    is_cell = isinstance(value, (list, np.ndarray))
    if not is_cell or (length is not None and len(value) != length):
        found = f"has {len(value)} elements" if is_cell else "is no cell array"
        expected = "one" if length is None else length
        raise ValueError(f"{place} {found}, expected {expected}: take the file as released")
    return value


def read_columns(struct: Any, names: Sequence[str], place: str) -> np.ndarray:
    """Returns fields of a struct, of one entry a row each, side by side.

    Returns:
        float64 [rows, columns]. A field of shape [rows, k] gives k columns.

    Raises:
        ValueError: a field that is missing, no number or not finite, or of another length.
    """
    parts = {}
    for name in names:
        # A scanpath of a single row arrives as a scalar.
        part = np.atleast_1d(read_field(struct, name, place))
        if part.ndim > 2 or not np.issubdtype(part.dtype, np.number):
            raise ValueError(
                f"{place}.{name} has shape {part.shape} and type {part.dtype}, "
                "expected rows of numbers"
            )
        parts[name] = part.astype(np.float64)
    lengths = {name: len(part) for name, part in parts.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{place} has columns of lengths {lengths}, expected equal lengths")
    rows = np.column_stack(list(parts.values()))
    for row in np.flatnonzero(~np.isfinite(rows).all(axis=1))[:1]:
        raise ValueError(
            f"{place}: row {row + 1} of {', '.join(names)} is {rows[row].tolist()}, "
            "expected finite numbers"
        )
    return rows


def digest_files(paths: Sequence[Path]) -> str:
    """SHA-256 of a file; of several, that of the lines of their digests in the given order."""
    digests = [sha256(path.read_bytes()) for path in paths]
    if len(digests) == 1:
        return digests[0]
    return sha256("\n".join(digests).encode())


def check_release(
    folder: Path,
    paths: Sequence[Path],
    *,
    rows: str,
    num_rows: int,
    expected_num_rows: int,
    expected_sha256: str,
) -> None:
    """Refuses files that are not the ones that were released, after every check that says more.

    Args:
        folder: the folder they are in, to be named.
        paths: the files, in the order of the digest.
        rows: what a row is called.
        num_rows: rows that were read.
        expected_num_rows: rows of the release.
        expected_sha256: what `digest_files` says of the release.

    Raises:
        ValueError: if they hold another number of rows, or have another digest.
    """
    if num_rows != expected_num_rows:
        raise ValueError(
            f"{folder} holds {num_rows} {rows}, expected {expected_num_rows}: "
            "take the files of the release"
        )
    sha256 = digest_files(paths)
    if sha256 != expected_sha256:
        raise ValueError(
            f"{folder} has SHA-256 {sha256}, expected {expected_sha256}: "
            "take the files of the release"
        )


def one_line(error: Exception) -> str:
    """What an error says, without line breaks; its type if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
