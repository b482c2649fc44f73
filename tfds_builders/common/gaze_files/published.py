"""Published image sets in the files of their authors: DAEMONS, MASSVIS, FixaTons and Scene."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy

from tfds_builders.common import raw_files
from tfds_builders.common.gaze_files import containers, plain, rows
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.rows import Names, Numbers, Rows

_DAEMONS_COLUMNS = ("VP", "trial", "Img", "x", "y", "fixdur", "forced_fix")
DAEMONS_SIZE_PX = (1920, 1080)
_DAEMONS_PIXELS_PER_DEGREE = 60.0

_MASSVIS_COLUMNS = ("number", "x", "y", "duration_ms")
_FIXATONS_COLUMNS = ("x", "y", "t_start", "t_end")

_SCENE_SHAPE = (500, 12)
_SCENE_COLUMNS = ("row", "column", "onset", "duration")

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")


def recognise_daemons(opened: Opened) -> Role:
    """Recognises a table of DAEMONS by its columns."""
    return "fixations" if set(_DAEMONS_COLUMNS) <= set(opened.columns) else ""


def read_daemons(opened: Opened, how: How) -> Rows:
    """Reads a table of DAEMONS: one row a saccade and the fixation after it.

    x and y are degrees from the bottom left corner, 60 pixels a degree on pictures of 1920 x 1080.
    They become fractions of the picture, which also hold on pictures of another size.

    Raises:
        ValueError: `forced_fix` is neither 0 nor 1, or the rows are not in the order of `nth`.
    """
    names = (*_DAEMONS_COLUMNS, "nth")
    table = containers.read_table(opened, names)
    table = plain.with_one_mark(opened, table, ("x", "y", "fixdur"), how.where)
    user, image = (rows.names_of(table[name], rows.MISSING) for name in ("VP", "Img"))
    trial = rows.numbers_of(table["trial"])
    forced = rows.numbers_of(table["forced_fix"])
    fits = plain.rows_where_all(opened, how.where, table.num_rows)
    _refuse(
        opened.path,
        fits & ~np.isin(forced.values, (0, 1)),
        lambda row: f"forced_fix is {table['forced_fix'][row].as_py()!r}, expected 0 or 1",
    )
    if "nth" in table.column_names:
        starts = ~fits | rows.run_starts(user.codes, image.codes, trial.values, fits)
        _check_order(opened.path, "nth", rows.numbers_of(table["nth"]), starts)
    x, y = (
        rows.numbers_of(
            table[name], decimal_comma=opened.decimal_comma, scale=_DAEMONS_PIXELS_PER_DEGREE / size
        )
        for name, size in zip(("x", "y"), DAEMONS_SIZE_PX, strict=True)
    )
    found = Rows(
        place=rows.places(table.num_rows),
        image=image,
        user=user,
        x=x,
        y=y,
        duration_ms=rows.numbers_of(table["fixdur"], decimal_comma=opened.decimal_comma),
        trial=trial,
        trial_count=trial,
        units="frac",
        y_axis="up",
        pixels_per_degree=_DAEMONS_PIXELS_PER_DEGREE,
        taken=(
            "image from 'Img', person from 'VP', trial from 'trial', x and y from 'x' and 'y' "
            "(degrees from the bottom left corner, 60 pixels each on 1920 x 1080), duration from "
            "'fixdur' (ms)"
        ),
        cells={
            "x": table["x"],
            "y": table["y"],
            "duration_ms": table["fixdur"],
            "trial": table["trial"],
            "image": table["Img"],
            "user": table["VP"],
        },
    )
    is_free = forced.values == 0
    has_place = ~(x.is_missing | y.is_missing)
    found = rows.take(found, is_free, "a marker held the gaze (forced_fix is 1)")
    return rows.take(found, has_place[is_free], "without a place (NA)")


def is_in_place(path: Path, name: str) -> bool:
    """Whether a file is where a format without names of columns has those of its people.

    Args:
        path: the file.
        name: of the format.
    """
    parents = path.absolute().parents
    if name == "massvis":
        return parents[0].name in ("enc", "rec")
    return name == "fixatons" and len(parents) > 1 and parents[1].name == "SCANPATHS"


def check_one_set(opened: Sequence[Opened]) -> None:
    """Checks that files without names of columns are of one set of pictures and people.

    Raises:
        ValueError: they are in the folders of two sets.
    """
    containers.check_one_folder(opened, lambda path: path.parents[2], "sets")


def recognise_massvis(opened: Opened) -> Role:
    """Recognises `<image>/enc|rec/<user>.csv` without a line of names."""
    if not is_in_place(opened.path, "massvis") or opened.suffix != ".csv":
        return ""
    if not opened.head.strip():
        return "beside"  # A person without a fixation.
    is_numbers = all(map(_NUMBER.fullmatch, opened.columns))
    return "fixations" if is_numbers and len(opened.columns) == len(_MASSVIS_COLUMNS) else ""


def read_massvis(opened: Opened, how: How) -> Rows:
    """Reads the fixations of a person on a picture of MASSVIS.

    Raises:
        ValueError: the rows are not in the order of their numbers.
    """
    del how
    path = opened.path.absolute()
    table = containers.read_table(opened, columns=_MASSVIS_COLUMNS)
    length = table.num_rows
    starts = np.arange(length) == 0
    _check_order(opened.path, "number", rows.numbers_of(table["number"]), starts)
    x, y, duration_ms = (rows.numbers_of(table[name]) for name in _MASSVIS_COLUMNS[1:])
    return Rows(
        place=rows.places(length),
        image=rows.one_name(path.parents[1].name, length),
        user=rows.one_name(rows.stem(path), length),
        session=rows.one_name(path.parent.name, length),
        x=x,
        y=y,
        duration_ms=duration_ms,
        taken=(
            "image (without a suffix), session (enc or rec) and person from the path, x, y (pixels "
            "of the picture) and duration (ms) from columns 2 to 4"
        ),
        cells={name: table[name] for name in _MASSVIS_COLUMNS[1:]},
    )


def recognise_fixatons(opened: Opened) -> Role:
    """Recognises `SCANPATHS/<image>/<user>` with four numbers a line."""
    if not is_in_place(opened.path, "fixatons") or opened.suffix not in ("", ".txt"):
        return ""
    first = next((line for line in containers.split_lines(opened.head) if line.strip()), "")
    if not first:
        return "beside"  # A person without a fixation.
    values = first.split()
    is_numbers = all(map(_NUMBER.fullmatch, values))
    return "fixations" if is_numbers and len(values) == len(_FIXATONS_COLUMNS) else ""


def read_fixatons(opened: Opened, how: How) -> Rows:
    """Reads the scanpath of a person on a picture in the layout of FixaTons.

    Raises:
        ValueError: a line has another number of values, a time is no number, or two files in
            `STIMULI` could be the picture.
    """
    del how
    path = opened.path.absolute()
    lines = [line.split() for line in containers.split_lines(containers.read_text(opened))]
    lines = [values for values in lines if values]
    for number, values in enumerate(lines, start=1):
        if len(values) != len(_FIXATONS_COLUMNS):
            raise ValueError(
                f"{opened.path} row {number} has {len(values)} values, expected "
                f"{len(_FIXATONS_COLUMNS)}: {', '.join(_FIXATONS_COLUMNS)}"
            )
    length = len(lines)
    columns = list(zip(*lines, strict=True)) or [()] * len(_FIXATONS_COLUMNS)
    cells = {
        name: pa.chunked_array([pa.array(values, pa.string())])
        for name, values in zip(_FIXATONS_COLUMNS, columns, strict=True)
    }
    x, y, start, end = (rows.numbers_of(cells[name]) for name in _FIXATONS_COLUMNS)
    for name, times in (("t_start", start), ("t_end", end)):
        _refuse(
            opened.path,
            ~np.isfinite(times.values),
            lambda row, name=name: f"{name} is {cells[name][row].as_py()!r}, expected a number",
        )
    _refuse(
        opened.path,
        end.values < start.values,
        lambda row: (
            f"t_end is {end.values[row]:g}, expected at least t_start, {start.values[row]:g}"
        ),
    )
    return Rows(
        place=rows.places(length),
        image=rows.one_name(_fixatons_image(path), length),
        user=rows.one_name(path.name, length),
        x=x,
        y=y,
        duration_ms=rows.exact(1000 * (end.values - start.values)),
        t_ms=rows.exact(1000 * start.values),
        taken=(
            "image and person from the path, x and y (pixels of the picture), start and end (s) "
            "from columns 1 to 4"
        ),
        cells={"x": cells["x"], "y": cells["y"]},
    )


def _fixatons_image(path: Path) -> str:
    """Finds the name of the picture with its suffix in STIMULI, beside SCANPATHS."""
    name = path.parent.name
    stimuli = path.parents[2] / "STIMULI"
    files = sorted(stimuli.iterdir()) if stimuli.is_dir() else []
    found = [one.name for one in files if name in (one.name, one.stem)]
    if len(found) > 1:
        raise ValueError(
            f"{path}: {' and '.join(map(repr, found))} in {stimuli} could be the picture {name!r}, "
            "expected one"
        )
    return found[0] if found else name


def recognise_scene(opened: Opened) -> Role:
    """Recognises `fixations.mat` of Scene: one variable of 500 x 12 cells."""
    if opened.suffix != ".mat" or opened.path.suffix.lower() != ".mat":
        return ""
    try:
        variables = scipy.io.whosmat(opened.path)
    except Exception:  # scipy raises many types of errors for damaged files.
        return ""
    return "fixations" if ("fixations", _SCENE_SHAPE, "cell") in variables else ""


def read_scene(opened: Opened, how: How) -> Rows:
    """Reads the fixations of Scene: 500 pictures x 12 people.

    Each cell has the columns row (y), column (x), onset and duration, in pixels and seconds.

    Raises:
        ValueError: the file is damaged, or a cell has another shape.
    """
    del how
    cells = raw_files.read_variable(opened.path, "fixations")
    num_images, num_users = _SCENE_SHAPE
    # scipy returns one row as a vector, and an empty cell as an empty vector.
    viewings = [
        _scene_viewing(cells[image][user], f"{opened.path} cell {image + 1}, {user + 1}")
        for image in range(num_images)
        for user in range(num_users)
    ]
    lengths = np.array([len(one) for one in viewings])
    y, x, onset, duration = np.concatenate(viewings).T
    image, user = np.divmod(np.repeat(np.arange(len(viewings)), lengths), num_users)
    row = np.arange(len(x)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    image_ids = [f"{number:03d}.jpg" for number in range(1, num_images + 1)]
    user_ids = [str(number) for number in range(1, num_users + 1)]
    return Rows(
        place=rows.places(len(x)),
        image=Names(image.astype(np.int32), image_ids),
        user=Names(user.astype(np.int32), user_ids),
        x=rows.exact(x),
        y=rows.exact(y),
        duration_ms=rows.exact(1000 * duration),
        t_ms=rows.exact(1000 * onset),
        taken=(
            "image (001.jpg to 500.jpg) and person (1 to 12) from the place of the cell, y, x "
            "(pixels of the picture), start and duration (s) from columns 1 to 4 of a cell"
        ),
        place_text=lambda place: (
            f"cell {image[place - 1] + 1}, {user[place - 1] + 1}, row {row[place - 1] + 1}"
        ),
    )


def _scene_viewing(cell: Any, place: str) -> np.ndarray:
    """Returns float64 [n, 4]."""
    values = np.asarray(cell)
    if not values.size:
        return np.zeros((0, len(_SCENE_COLUMNS)))
    is_number = np.issubdtype(values.dtype, np.number) and not np.iscomplexobj(values)
    if not is_number or values.ndim > 2 or values.shape[-1] != len(_SCENE_COLUMNS):
        raise ValueError(
            f"{place} has shape {values.shape} and type {values.dtype}, expected rows of numbers: "
            f"{', '.join(_SCENE_COLUMNS)}"
        )
    return np.atleast_2d(values).astype(np.float64)


def _check_order(path: Path, name: str, order: Numbers, starts: np.ndarray) -> None:
    """Checks that numbers [n] rise within each run, whose first rows are `starts` [n]."""
    before = np.concatenate([[np.nan], order.values[:-1]])
    _refuse(
        path,
        ~starts & ~(order.values > before),
        lambda row: (
            f"{name} is {order.values[row]:g} after {before[row]:g}, expected the rows of a "
            "viewing in their order"
        ),
    )


def _refuse(path: Path, is_wrong: np.ndarray, message: Any) -> None:
    """Raises a ValueError for the first row where bool [n] is true."""
    for row in np.flatnonzero(is_wrong)[:1]:
        more = f" ({int(is_wrong.sum())} such rows)" if is_wrong.sum() > 1 else ""
        raise ValueError(f"{path} row {row + 1}: {message(int(row))}{more}")
