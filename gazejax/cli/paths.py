"""Paths among the arguments of the commands."""

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
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


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds the argument of the model to be used."""
    parser.add_argument(
        "model",
        type=as_path_or_name,
        metavar="MODEL",
        help="a workdir, the folder of an exported model, or the name of a shipped one",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds the option by which other programs read what is printed."""
    parser.add_argument("--json", action="store_true", help="print JSON, an object a line")


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
    option: str,
    output: Path,
    inputs: Iterable[Path | None],
    endings: Sequence[str],
    is_own: Callable[[Path], bool],
) -> None:
    """Refuses to write over an input, also by another path or a link, or over a file of others.

    Args:
        option: the option that names the output, for the error.
        output: a file to be written.
        inputs: files that are read; None: not given.
        endings: the allowed endings, of `.png`, `.npy` and `.npz`.
        is_own: whether an earlier call of the command wrote a file, which may be replaced.

    Raises:
        ValueError: if the output is one of the inputs, ends otherwise, is a folder, or is a file
            that is not own.
        FileNotFoundError: if the folder of the output does not exist.
    """
    for one in inputs if output.exists() else ():
        if one is not None and one.exists() and os.path.samefile(output, one):
            raise ValueError(
                f"{option} {output} would be written over the input {one}; allowed: another file"
            )
    if output.suffix.lower() not in endings:
        raise ValueError(
            f"{option} is {output}; allowed: a file that ends with {', '.join(endings)}"
        )
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{option} is {output}; the folder {output.parent} does not exist")
    if output.is_dir():
        raise ValueError(f"{option} {output} is a folder; allowed: a file")
    if output.exists() and not is_own(output):
        raise ValueError(
            f"{option} {output} exists, and no earlier call of this command wrote it; allowed: a "
            "new file, or an earlier output"
        )
