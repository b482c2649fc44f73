"""Paths among the arguments of the commands."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from gazejax.evaluation.run import RESAMPLES
from gazejax.runtime.files import expand_home
from gazejax.workdir.layout import CENTER_PRIOR_FILE, PROJECTION_FILE


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


def check_output(option: str, output: Path, inputs: Iterable[Path | None]) -> None:
    """Refuses to write over an input, also by another path or a link.

    Args:
        option: the option that names the output, for the error.
        output: a file to be written.
        inputs: files that are read; None: not given.

    Raises:
        ValueError: if the output is one of the inputs.
        FileNotFoundError: if the folder of the output does not exist.
    """
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{option} is {output}; the folder {output.parent} does not exist")
    if not output.exists():
        return
    for one in inputs:
        if one is not None and one.exists() and os.path.samefile(output, one):
            raise ValueError(
                f"{option} {output} would be written over the input {one}; allowed: another file"
            )
