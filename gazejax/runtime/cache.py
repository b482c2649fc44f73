"""A cache of arrays on disk; each read verifies a digest."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Shaped

from gazejax.runtime.files import expand_home

Arrays = Mapping[str, Shaped[np.ndarray, "..."]]


def default_folder() -> Path:
    """`gazejax` in `$XDG_CACHE_HOME`, or in `~/.cache` where that is not set.

    Raises:
        ValueError: if no home folder is known, and `$XDG_CACHE_HOME` is not set.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification ignores a relative path.
    if Path(base).is_absolute():
        return Path(base) / "gazejax"
    try:
        return Path(expand_home("~/.cache/gazejax"))
    except ValueError as error:
        raise ValueError(
            "no home folder is known for the cache of weights and features; set XDG_CACHE_HOME or "
            "HOME"
        ) from error


def read_or_make(path: Path, make: Callable[[], Arrays], *, made_from: str, what: str) -> Arrays:
    """Reads arrays from a valid cache file; else makes the arrays and writes the file.

    Args:
        path: the cache file, an `.npz`. A file with its SHA-256 is beside it.
        make: computes the arrays.
        made_from: what the arrays depend on. A file with another text is made again.
        what: name of the arrays, for messages on stderr.
    """
    if path.exists():
        try:
            return _read(path, made_from)
        except (ValueError, OSError) as error:
            print(f"the cached {what} are made again: {error}", file=sys.stderr)
    arrays = make()
    try:
        _write(path, arrays, made_from)
    except OSError as error:
        print(f"the {what} are not cached: {error}", file=sys.stderr)
    return arrays


def _read(path: Path, made_from: str) -> Arrays:
    words = _digest_file(path).read_text("utf-8").split()
    if words[:1] != [_sha256(path)]:
        raise ValueError(f"{path} is damaged: its SHA-256 is not the one beside it")
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    found = str(arrays.pop("made_from", ""))
    if found != made_from:
        raise ValueError(f"{path} is stale: it is {found!r}, not {made_from!r}")
    return arrays


def _write(path: Path, arrays: Arrays, made_from: str) -> None:
    """Writes the arrays, then their digest; a read between the two fails the check."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"made_from": np.array(made_from), **arrays}
    with _replacing(path) as stream:
        np.savez(stream, **content)
    # The format of `sha256sum --check`.
    with _replacing(_digest_file(path)) as stream:
        stream.write(f"{_sha256(path)}  {path.name}\n".encode())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Writes a file whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as stream:
            yield stream
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
