"""Which eye is read where a file may have both."""

from pathlib import Path
from typing import Literal

import numpy as np

from tfds_builders.common.gaze_files.rows import Names


def choose(
    is_left: np.ndarray,
    is_right: np.ndarray,
    group: np.ndarray,
    eye: Literal["left", "right"] | None,
) -> np.ndarray:
    """Finds the rows to read where a file has both eyes.

    Args:
        is_left: bool [n], whether a row is of the left eye.
        is_right: bool [n], alike; a row of neither is of both.
        group: int64 [n], number of the recording of each row, from 0.
        eye: the eye to read in recordings of both eyes; None: the left.

    Returns:
        bool [n]. A recording of one eye has all its rows, see `check` and `in_words`.
    """
    num_groups = int(group.max(initial=-1)) + 1
    has_left, has_right = np.zeros(num_groups, bool), np.zeros(num_groups, bool)
    has_left[group[is_left]] = True
    has_right[group[is_right]] = True
    other = is_left if eye == "right" else is_right
    return ~(other & (has_left & has_right)[group])


def check(
    path: Path,
    is_left: np.ndarray,
    is_right: np.ndarray,
    eye: Literal["left", "right"] | None,
    user: Names | None = None,
) -> None:
    """Checks that the eye of `--eye` was recorded of each person.

    Args:
        path: the file, for messages.
        is_left: bool [n], whether a row is of the left eye.
        is_right: bool [n], alike; a row of neither may be of both.
        eye: the eye that is asked for; None: any.
        user: the person of each row; None: the file is of one person.

    Raises:
        ValueError: of a person, the other eye is known and this one is not.
    """
    if eye is None:
        return
    wanted, other = (is_left, is_right) if eye == "left" else (is_right, is_left)
    is_lacking = other.any() and not wanted.any()
    of_user = ""
    if user is not None:
        lacking = np.setdiff1d(user.codes[other], user.codes[~other])
        is_lacking = len(lacking) > 0
        of_user = f" of user {user.names[lacking[0]]!r}" if is_lacking and lacking[0] >= 0 else ""
    if is_lacking:
        one = "right" if eye == "left" else "left"
        raise ValueError(
            f"{path}: --eye is {eye}, and the recording{of_user} has the {one} eye only: leave "
            f"--eye out to read the only eye, or give --eye {one}"
        )


def in_words(
    kept: np.ndarray,
    is_left: np.ndarray,
    is_right: np.ndarray,
    eye: Literal["left", "right"] | None,
) -> str:
    """Says of rows that were kept what `--eye` does not hold for; "" if it holds for all.

    Args:
        kept: bool [n], from `choose`.
        is_left: bool [n], whether a row is of the left eye.
        is_right: bool [n], alike.
        eye: the eye that is asked for; None: any.
    """
    if eye is None:
        return ""
    num_other = int((kept & (is_right if eye == "left" else is_left)).sum())
    num_unknown = int((kept & ~is_left & ~is_right).sum())
    other = "right" if eye == "left" else "left"
    return (
        f", {num_other} rows of the {other} eye in trials with no other" if num_other else ""
    ) + (f", the eye of {num_unknown} rows not known (--eye {eye})" if num_unknown else "")
