"""A cache of arrays on disk, each read of which verifies a digest, and of compiled programs."""

import contextlib
import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import jax
import numpy as np
from jaxtyping import Shaped

from gazejax.runtime.files import expand_home

_MOST_COMPILED_BYTES = 1_000_000_000
_PARTS = {
    "compiled programs": ("compiled/*/*",),
    "features of images": ("features/*.npz", "features/*.npz.sha256"),
    "weights": ("*.npz", "*.npz.sha256"),
}

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


class Part(NamedTuple):
    """Files of the cache: compiled programs, features of images, or converted weights."""

    name: str
    files: list[Path]
    num_bytes: int


def list_parts() -> list[Part]:
    """The parts of the cache that hold files. Files that nothing here writes are left out."""
    found = []
    for name, patterns in _PARTS.items():
        files = [
            one
            for pattern in patterns
            for one in sorted(default_folder().glob(pattern))
            if one.is_file()
        ]
        if files:
            found.append(Part(name, files, sum(one.stat().st_size for one in files)))
    return found


def clear() -> int:
    """Removes the files of the cache, which are made again when they are needed.

    Returns:
        Bytes that were removed.
    """
    parts = list_parts()
    for one in (file for part in parts for file in part.files):
        one.unlink(missing_ok=True)  # Another process may remove it, too.
    return sum(part.num_bytes for part in parts)


def keep_compiled() -> None:
    """Keeps what JAX compiles, for the next process: its first call then takes a third of the time.

    Nothing changes where the user has chosen a folder, or none, by `JAX_COMPILATION_CACHE_DIR` or
    `JAX_ENABLE_COMPILATION_CACHE`. Above a gigabyte, what was made first is removed.
    """
    chosen = jax.config.values
    if chosen["jax_compilation_cache_dir"] or not chosen["jax_enable_compilation_cache"]:
        return
    try:
        folder = default_folder() / "compiled" / _processor()
        folder.mkdir(parents=True, exist_ok=True)
        _remove_oldest(folder, _MOST_COMPILED_BYTES)
    except (OSError, ValueError) as error:
        print(f"what JAX compiles is not kept: {error}", file=sys.stderr)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _processor() -> str:
    """Names the kind of processor: a program for one may end the process on another."""
    described = platform.machine() + platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        described += next((line for line in lines if line.startswith("flags")), "")
    return hashlib.sha256(described.encode()).hexdigest()[:12]


def _remove_oldest(folder: Path, most_bytes: int) -> None:
    """Removes the oldest files of a folder that is too large, until half of it is left."""
    files = [(one.stat(), one) for one in folder.iterdir() if one.is_file()]
    left = sum(stat.st_size for stat, _ in files)
    if left <= most_bytes:
        return
    for stat, one in sorted(files, key=lambda entry: entry[0].st_mtime):
        if left <= most_bytes / 2:
            return
        one.unlink(missing_ok=True)  # Another process may remove it, too.
        left -= stat.st_size


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
