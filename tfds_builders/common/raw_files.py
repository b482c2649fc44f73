"""Reads and checks the files of a release: MATLAB structs and digests."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy

# MATLAB counts pixels from 1: the centre of the first pixel is (1, 1) there and (0.5, 0.5) here.
MATLAB_TO_CORNER_ORIGIN_PX = -0.5


def sha256(content: bytes) -> str:
    """Returns the SHA-256 as a hexadecimal number."""
    return hashlib.sha256(content).hexdigest()


def read_variable(path: Path, name: str) -> Any:
    """Reads a variable of a MATLAB file.

    Returns:
        The value. Structs are dictionaries; cell arrays are lists or arrays.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file is not a MATLAB file or does not have the variable.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: point --raw at the folder of the release")
    try:
        return scipy.io.loadmat(path, simplify_cells=True)[name]
    except Exception as error:  # scipy raises many types of errors for damaged files.
        raise ValueError(
            f"{path} cannot be read as a MATLAB file with the variable {name!r} "
            f"({one_line(error)}): take the file of the release"
        ) from error


def read_field(struct: Any, name: str, place: str) -> Any:
    """Returns a field of a struct.

    Args:
        struct: a value of `read_variable`.
        name: name of the field.
        place: file and position of the struct, for messages.

    Raises:
        ValueError: the value is not a struct or does not have the field.
    """
    if not isinstance(struct, dict) or name not in struct:
        found = sorted(struct) if isinstance(struct, dict) else type(struct).__name__
        raise ValueError(f"{place} has no field {name!r}, found {found}: take the file as released")
    return struct[name]


def read_cell(value: Any, place: str, *, length: int | None) -> Any:
    """Returns a cell array.

    Args:
        value: a value of `read_variable`.
        place: file and position of the cell array, for messages.
        length: the expected length; None: any.

    Raises:
        ValueError: the value is not a cell array or has another length.
    """
    is_cell = isinstance(value, (list, np.ndarray))
    if not is_cell or (length is not None and len(value) != length):
        found = f"has {len(value)} elements" if is_cell else "is not a cell array"
        expected = "a cell array" if length is None else f"{length} elements"
        raise ValueError(f"{place} {found}, expected {expected}: take the file as released")
    return value


def read_columns(struct: Any, names: Sequence[str], place: str) -> np.ndarray:
    """Returns the fields of a struct as the columns of one array.

    Args:
        struct: a value of `read_variable`.
        names: names of the fields.
        place: file and position of the struct, for messages.

    Returns:
        float64 [rows, columns]. A field of shape [rows, k] gives k columns.

    Raises:
        ValueError: a field is missing, is not numeric, has another length, or has a value that is
            not finite.
    """
    parts = {}
    for name in names:
        # scipy returns a scalar for a scanpath of one row.
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
    """Returns the SHA-256 of a file, or the SHA-256 of the lines of the digests of several files.

    Args:
        paths: the files, in the order of the lines.
    """
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
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
    """Checks that files are the files of a release; called after all checks with clearer messages.

    Args:
        folder: folder of the files, for messages.
        paths: the files, in the order of the digest.
        rows: noun for the rows, for messages.
        num_rows: number of rows in the files.
        expected_num_rows: number of rows in the release.
        expected_sha256: `digest_files` of the release.

    Raises:
        ValueError: the number of rows or the digest differs.
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


def without_breaks(name: str) -> str:
    """Returns the name of a column with a blank for each line break."""
    return re.sub(r"\s*[\r\n]+\s*", " ", name)


def one_line(error: Exception) -> str:
    """Returns the message of an error without line breaks, or its type if there is no message."""
    return " ".join(str(error).split()) or type(error).__name__
