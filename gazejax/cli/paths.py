"""Paths among the arguments of the commands."""

import argparse
from pathlib import Path

from gazejax.runtime.files import expand_home


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
