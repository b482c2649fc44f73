"""Paths as users give them, and files that are written whole or not at all."""

import contextlib
import errno
import io
import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: an earlier file stays until the new one is complete.

    A link stays a link; the file that it leads to is replaced.

    Raises:
        OSError: with the path, if it cannot be written; nothing is left beside it.
    """
    target = Path(os.path.realpath(path))
    # Of a fixed length: with a suffix of its own, a long name would be too long.
    temporary = target.with_name(f".{zlib.crc32(os.fsencode(target.name)):08x}.{os.getpid()}.tmp")
    try:
        if target.exists():
            if not os.access(target, os.W_OK):  # Its folder alone decides about a replacement.
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            temporary.touch()
            shutil.copymode(target, temporary)
        temporary.write_bytes(content)
        temporary.replace(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes an `.npz` whole or not at all; see `write_bytes`."""
    content = io.BytesIO()
    np.savez(content, **dict(arrays))
    write_bytes(path, content.getvalue())


def expand_home(path: str | Path) -> str:
    """Replaces a leading `~` or `~USER` of a path by the home folder, as a shell does.

    Raises:
        ValueError: if that folder is not known, as in a container without HOME.
    """
    text = str(path)
    if not text.startswith("~"):
        return text
    expanded = os.path.expanduser(text)
    # With an empty HOME, `~/x` would become `/x`.
    if expanded.startswith("~") or os.environ.get("HOME") == "":
        raise ValueError(
            f"{text!r} is in a home folder, and none is known; allowed: the path from / on, or set "
            "HOME"
        )
    return expanded


def source_commit() -> str | None:
    """Commit of the checkout of this package; None for an installed copy, or without git."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        git = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return git.stdout.strip() or None


@contextlib.contextmanager
def path_in_errors(path: Path) -> Iterator[None]:
    """Adds the path to an OSError without one, such as the error of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Writes a text whole or not at all; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file whole or not at all; NaN and infinite values are errors."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_result(folder: Path, stem: str, result: Any, text: str) -> None:
    """Writes a result as `<stem>.json`, and its text as `<stem>.md`; prints the text."""
    write_json(folder / f"{stem}.json", result)
    write_text(folder / f"{stem}.md", text)
    print(text)
