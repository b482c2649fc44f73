"""Reads tables of gaze, images and embeddings for the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

from tfds_builders.gaze_table import table_files


class TableGaze(NamedTuple):
    """One user's gaze on one image.

    Attributes:
        xy_px: fixations, x then y in pixels of the image.
        duration_ms: durations of the fixations; None if the table has no such column.
    """

    xy_px: Float[np.ndarray, "fixation 2"]
    duration_ms: Float[np.ndarray, " fixation"] | None


def read_gaze_table(
    path: Path, user: str, ignored_columns: Sequence[str] = ()
) -> dict[str, TableGaze]:
    """Reads one user's fixations from a table.

    Args:
        path: a table that `tfds_builders.gaze_table.table_files.read` reads; x and y in pixels of
            the image, whose top left corner is (0, 0).
        user: name of the user.
        ignored_columns: columns to leave out.

    Returns:
        The gaze on each image, by the name of the image, in the order of the trials.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file and row, if the file is no such table, a value is impossible, or
            the user has no row.
    """
    fixations, errors = table_files.check(table_files.read(path, ignored_columns))
    if fixations is None:
        raise ValueError(errors[0])
    users = sorted(set(fixations.user))
    if user not in users:
        known = ", ".join(users[:10])
        raise ValueError(f"{path} has no row of user {user!r}; it has rows of {known}")
    gaze = {}
    for image in sorted(set(fixations.image[fixations.user == user])):
        rows = (fixations.user == user) & (fixations.image == image)
        duration_ms = fixations.duration_ms
        gaze[image] = TableGaze(
            fixations.xy[rows], None if duration_ms is None else duration_ms[rows]
        )
    return gaze


def read_image(path: Path) -> np.ndarray:
    """Reads an image as RGB: uint8 [height, width, 3].

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no image.
    """
    if not path.is_file():
        raise FileNotFoundError(f"image {path} does not exist")
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"image {path} does not decode: {error}") from error


def read_embedding(path: Path) -> np.ndarray:
    """Reads the embedding that `gazejax embed` wrote: float32 [embedding].

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no such embedding.
    """
    if not path.is_file():
        raise FileNotFoundError(f"embedding {path} does not exist; make it with: gazejax embed")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return stored["embedding"]
    except Exception as error:
        raise ValueError(f"{path} is not an embedding written by gazejax embed") from error
