"""Paths among the arguments of the commands."""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from gazejax.evaluation.run import RESAMPLES
from gazejax.runtime.files import expand_home
from gazejax.workdir.layout import CENTER_PRIOR_FILE, PROJECTION_FILE

# The first bytes of what the commands write. An empty file holds nothing that could be lost.
_STARTS = {".png": b"\x89PNG\r\n\x1a\n", ".npy": b"\x93NUMPY", ".npz": b"PK\x03\x04"}


def as_path(text: str) -> Path:
    """A path with the home folder for `~`; the `type` of every argument that is a path."""
    return Path(as_path_or_name(text))


def as_path_or_name(text: str) -> str:
    """The same for an argument that may be a name too, such as that of a config."""
    try:
        return expand_home(text)
    except ValueError as error:
        # Of other errors, argparse leaves the message out.
        raise argparse.ArgumentTypeError(str(error)) from error


def run_files(workdir: Path) -> list[Path]:
    """Returns the files of a run that nothing may be written over.

    Embeddings, maps and pictures of earlier calls may lie in the folder of the run.
    """
    arrays = (CENTER_PRIOR_FILE, PROJECTION_FILE, RESAMPLES)
    return [
        one
        for one in workdir.rglob("*")
        if one.parent != workdir or one.suffix in (".json", ".md", ".log") or one.name in arrays
    ]


def check_output(
    option: str, output: Path, inputs: Iterable[Path | None], endings: Sequence[str]
) -> None:
    """Refuses to write over an input, also by another path or a link, and over another kind.

    Args:
        option: the option that names the output, for the error.
        output: a file to be written.
        inputs: files that are read; None: not given.
        endings: the allowed endings, of `.png`, `.npy` and `.npz`.

    Raises:
        ValueError: if the output ends otherwise, is one of the inputs, or exists and is a folder or
            a file of another kind than its name says.
        FileNotFoundError: if the folder of the output does not exist.
    """
    for one in inputs if output.exists() else ():
        if one is not None and one.exists() and os.path.samefile(output, one):
            raise ValueError(
                f"{option} {output} would be written over the input {one}; allowed: another file"
            )
    ending = output.suffix.lower()
    if ending not in endings:
        raise ValueError(
            f"{option} is {output}; allowed: a file that ends with {', '.join(endings)}"
        )
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{option} is {output}; the folder {output.parent} does not exist")
    if not output.exists():
        return
    if not output.is_file():
        raise ValueError(f"{option} is {output}, which is no file; allowed: a file")
    with output.open("rb") as file:
        start = file.read(len(_STARTS[ending]))
    if start and start != _STARTS[ending]:
        raise ValueError(
            f"{option} {output} would be written over a file that is no {ending[1:]} file; "
            "allowed: another file"
        )
