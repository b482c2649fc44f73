"""Reads and checks tables of fixations: CSV, Parquet, JSON lines and JSON of scanpaths."""

import csv
import io
import json
import math
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet

from tfds_builders.common import gaze_schema, raw_files

REQUIRED = ("image", "user", "x", "y")
OPTIONAL = ("duration_ms", "trial", "t_ms")
SUFFIXES = (".csv", ".parquet", ".jsonl", ".json")

_SCANPATH_KEYS = ("name", "subject", "X", "Y")


class Table(NamedTuple):
    """A table of fixations before its values are checked; one row for each fixation.

    Attributes:
        path: the file.
        columns: name -> values of any type; None: no value.
        place: index of a row, from 0 -> position in the file, for messages.
    """

    path: Path
    columns: dict[str, Sequence[Any]]
    place: Callable[[int], str]

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.columns["image"])


class Fixations(NamedTuple):
    """A table of fixations after all values are checked.

    Attributes:
        image: object [n], texts.
        user: object [n], texts.
        trial: int64 [n], from 0 for each user and image, without gaps.
        xy: float64 [n, 2], x, y with the coordinates of the table.
        duration_ms: float64 [n], milliseconds; None: the table has no such column.
    """

    image: np.ndarray
    user: np.ndarray
    trial: np.ndarray
    xy: np.ndarray
    duration_ms: np.ndarray | None


def read(path: Path, ignored: Collection[str] = ()) -> Table:
    """Reads a table.

    Args:
        path: a CSV table in UTF-8 whose first line has the names of the columns; a Parquet table;
            JSON lines, one object for each fixation; or JSON of scanpaths, a list of objects with
            `name`, `subject`, `X`, `Y` and optional `T`, the format of COCO-FreeView and
            COCO-Search18.
        ignored: columns to leave out. Further keys of JSON of scanpaths are always left out.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file has another format or cannot be read, a required column is missing, or
            a column is unknown; the message has the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"--table {path} is not a file")
    readers = {
        ".csv": _read_csv,
        ".parquet": _read_parquet,
        ".jsonl": _read_json_lines,
        ".json": _read_scanpaths,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            f"--table {path} ends with {path.suffix!r}, expected {', '.join(SUFFIXES)}"
        )
    table = reader(path)
    for name in ignored:
        table.columns.pop(name, None)
    missing = [name for name in REQUIRED if name not in table.columns]
    if missing:
        raise ValueError(
            f"{path} has no column {missing[0]!r}, expected the columns {', '.join(REQUIRED)}; "
            f"it has {', '.join(map(repr, table.columns)) or 'none'}"
        )
    for name in table.columns:
        if name not in REQUIRED + OPTIONAL:
            raise ValueError(
                f"{path} has an unknown column {name!r}, expected {', '.join(REQUIRED)} and "
                f"optional {', '.join(OPTIONAL)} (--ignore-columns leaves others out)"
            )
    if not len(table):
        raise ValueError(f"{path} has no row, expected one for each fixation")
    return table


def check(table: Table) -> tuple[Fixations | None, list[str]]:
    """Checks every value of a table.

    Returns:
        The fixations, sorted by image, user, trial and time, or None if there are errors; and the
        errors, one line for each broken rule, with the first row that breaks the rule and the
        number of such rows.

    Source: ours.
    """
    errors: list[str] = []

    def add_error(broken: np.ndarray, name: str, rule: str) -> None:
        rows = np.flatnonzero(broken)
        if len(rows):
            value = table.columns[name][rows[0]]
            more = f" ({len(rows)} such rows)" if len(rows) > 1 else ""
            errors.append(
                f"{table.path} {table.place(int(rows[0]))}: {name} is {value!r}, expected "
                f"{rule}{more}"
            )

    texts = {name: _as_texts(table.columns[name]) for name in ("image", "user")}
    for name, values in texts.items():
        add_error(values == "", name, "a name")
    numbers = {}
    for name in ("x", "y", *OPTIONAL):
        if name not in table.columns:
            continue
        values, is_number = _as_numbers(table.columns[name])
        add_error(~is_number, name, "a number")
        add_error(is_number & ~np.isfinite(values), name, "a finite number")
        numbers[name] = values
    if "duration_ms" in numbers:
        add_error(numbers["duration_ms"] < 0, "duration_ms", "no negative number")
    if "trial" in numbers:
        trial = numbers["trial"]
        add_error(np.isfinite(trial) & (trial != np.round(trial)), "trial", "an integer")
    if errors:
        return None, errors
    # Indices in the order of the names, for sorting and comparing.
    (_, image), (_, user) = (np.unique(texts[name], return_inverse=True) for name in texts)
    trial = numbers.get("trial", np.zeros(len(table)))
    order = np.lexsort((numbers.get("t_ms", np.zeros(len(table))), trial, user, image))
    if "t_ms" in numbers:
        keys = np.stack([image, user, trial, numbers["t_ms"]])[:, order]
        again = order[1:][(np.diff(keys) == 0).all(axis=0)]
        for row in np.sort(again)[:1]:
            more = f" ({len(again)} such rows)" if len(again) > 1 else ""
            errors.append(
                f"{table.path} {table.place(int(row))}: user {texts['user'][row]!r} has "
                f"t_ms {numbers['t_ms'][row]:g} on {texts['image'][row]!r} again, expected one row "
                f"for each time{more}"
            )
        if errors:
            return None, errors
    return Fixations(
        image=texts["image"][order],
        user=texts["user"][order],
        trial=_without_gaps(image[order], user[order], trial[order]),
        xy=np.column_stack([numbers["x"], numbers["y"]])[order],
        duration_ms=numbers["duration_ms"][order] if "duration_ms" in numbers else None,
    ), []


def group_by_image(fixations: Fixations) -> tuple[list[str], dict[str, gaze_schema.GazeTable]]:
    """Groups the fixations of a checked table by image.

    Returns:
        The names of the users, sorted as numbers if all are numbers, else as texts; and image ->
        gaze, sorted by image, with the coordinates of the table.
    """
    names = set(fixations.user)
    are_numbers = all(name.isdecimal() for name in names)
    user_ids = sorted(names, key=lambda name: (int(name) if are_numbers else 0, name))
    number = {name: position for position, name in enumerate(user_ids)}
    user = np.array([number[name] for name in fixations.user], np.int32)
    duration_ms = fixations.duration_ms
    if duration_ms is None:
        duration_ms = np.zeros(len(user))
    gaze_by_image_id = {}
    images, first = np.unique(fixations.image, return_index=True)
    for image_id, rows in zip(images, np.split(np.arange(len(user)), first[1:]), strict=True):
        rows = rows[np.argsort(user[rows], kind="stable")]
        gaze_by_image_id[str(image_id)] = gaze_schema.GazeTable(
            user=user[rows],
            trial=fixations.trial[rows].astype(np.int32),
            xy_px=fixations.xy[rows],
            duration_ms=duration_ms[rows],
        )
    return user_ids, gaze_by_image_id


def _read_csv(path: Path) -> Table:
    try:
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        names = next(reader, [])
        rows = [row for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV table in UTF-8: {error}") from error
    _check_unique_names(path, names)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise ValueError(
                f"{path} row {number} has {len(row)} values, expected {len(names)}: "
                f"{', '.join(names)}"
            )
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return Table(path, dict(zip(names, columns, strict=True)), _row)


def _read_parquet(path: Path) -> Table:
    try:
        table = pyarrow.parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a Parquet table: {raw_files.one_line(error)}") from error
    return _from_arrow(path, table)


def _read_json_lines(path: Path) -> Table:
    if not path.read_bytes().strip():
        raise ValueError(f"{path} has no row, expected one for each fixation")
    try:
        table = pyarrow.json.read_json(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{path} is not a table of JSON lines: {raw_files.one_line(error)}"
        ) from error
    return _from_arrow(path, table)


def _from_arrow(path: Path, table: pa.Table) -> Table:
    _check_unique_names(path, table.column_names)
    columns = {name: table[name].to_pylist() for name in table.column_names}
    return Table(path, columns, _row)


def _read_scanpaths(path: Path) -> Table:
    try:
        scanpaths = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {raw_files.one_line(error)}") from error
    if not isinstance(scanpaths, list):
        raise ValueError(f"{path} is not JSON of scanpaths, expected a list of objects")
    has_durations = any(isinstance(one, dict) and "T" in one for one in scanpaths)
    keys = ("X", "Y", "T") if has_durations else ("X", "Y")
    columns: dict[str, list[Any]] = {
        name: [] for name in (*REQUIRED, "trial", *(["duration_ms"] if has_durations else []))
    }
    places: list[tuple[int, int]] = []
    trials: dict[tuple[Any, Any], list[Any]] = {}
    for number, one in enumerate(scanpaths, start=1):
        place = f"{path} object {number}"
        _check_scanpath(one, keys, place)
        image, user, rows = one["name"], one["subject"], list(zip(*map(one.get, keys), strict=True))
        before = trials.setdefault((image, str(user)), [])
        if rows in before:
            raise ValueError(
                f"{place}: subject {user!r} has the same scanpath on {image!r} again, "
                "expected each scanpath once"
            )
        for position, row in enumerate(rows, start=1):
            values = (image, user, row[0], row[1], len(before), *row[2:])
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
            places.append((number, position))
        before.append(rows)
    return Table(
        path,
        dict(columns),
        lambda row: "object {}, fixation {}".format(*places[row]),
    )


def _check_scanpath(one: Any, keys: Sequence[str], place: str) -> None:
    if not isinstance(one, dict):
        raise ValueError(f"{place} is {type(one).__name__}, expected an object")
    for key in (*_SCANPATH_KEYS, *keys):
        if key not in one:
            raise ValueError(
                f"{place} has no {key!r}, expected {', '.join(_SCANPATH_KEYS)} and optional T, "
                "length"
            )
        if key in keys and not isinstance(one[key], list):
            raise ValueError(f"{place}: {key} is {type(one[key]).__name__}, expected a list")
    lengths = {key: len(one[key]) for key in keys}
    if "length" in one:
        lengths["length"] = one["length"]
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{place} has lengths {lengths}, expected equal ones")


def _check_unique_names(path: Path, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{path} has two columns {name!r}, expected different names")


def _row(row: int) -> str:
    return f"row {row + 1}"


def _as_texts(values: Sequence[Any]) -> np.ndarray:
    """Returns names as texts; whole numbers have no decimal point, and None is ''."""
    return np.array([_as_text(value) for value in values], object)


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        value = int(value) if value.is_integer() else value
    return "" if value is None else str(value)


def _as_numbers(values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Returns float64 [n], and whether each value is a number or the text of a number."""
    numbers, is_number = np.full(len(values), np.nan), np.ones(len(values), bool)
    for row, value in enumerate(values):
        try:
            if isinstance(value, bool):
                raise TypeError
            numbers[row] = float(value)
        except (TypeError, ValueError):
            is_number[row] = False
    return numbers, is_number


def _without_gaps(image: np.ndarray, user: np.ndarray, trial: np.ndarray) -> np.ndarray:
    """Numbers the trials of sorted rows from 0, for each image and user."""
    is_new = np.diff(image, prepend=-1) != 0
    is_new |= np.diff(user, prepend=-1) != 0
    is_next = ~is_new & (np.diff(trial, prepend=trial[:1]) != 0)
    number = np.cumsum(is_next)
    return number - np.maximum.accumulate(np.where(is_new, number, 0))
