"""Paths as users give them, and files that are written whole or not at all."""

import contextlib
import importlib.metadata
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes an `.npz` whole or not at all."""
    temporary = path.with_suffix(".tmp.npz")
    with path_in_errors(path):
        np.savez(temporary, **dict(arrays))
        temporary.replace(path)


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


def package_version() -> str:
    """Version of the installed package; `0+unknown` in a checkout that is not installed."""
    try:
        return importlib.metadata.version("gazejax")
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"


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
    """Writes a file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with path_in_errors(path):
        temporary.write_text(text)
        temporary.replace(path)


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file whole or not at all; NaN and infinite values are errors."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_result(folder: Path, stem: str, result: Any, text: str) -> None:
    """Writes a result as `<stem>.json`, and its text as `<stem>.md`; prints the text."""
    write_json(folder / f"{stem}.json", result)
    write_text(folder / f"{stem}.md", text)
    print(text)
