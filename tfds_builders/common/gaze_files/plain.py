"""Tables with one fixation a row and columns that the caller names: any format of their own."""

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tfds_builders.common.gaze_files import containers, rows
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import Role
from tfds_builders.common.gaze_files.rows import Numbers, Rows

REQUIRED = ("image", "user", "x", "y")
OPTIONAL = ("duration_ms", "trial", "t_ms", "session")

# Other names of the columns: only offered in messages, since a unit cannot be known by a name.
_OTHER_NAMES = {
    "image": ("picture", "stimulus", "img", "image_id", "image_name", "filename", "file", "scene"),
    "user": (
        "participant",
        "subject",
        "observer",
        "person",
        "subj",
        "subject_id",
        "participant_id",
        "recording_session_label",
    ),
    "x": ("fix_x", "fx", "x_px", "fixation_x", "pos_x", "gaze_x", "currentfixx", "current_fix_x"),
    "y": ("fix_y", "fy", "y_px", "fixation_y", "pos_y", "gaze_y", "currentfixy", "current_fix_y"),
    "duration_ms": (
        "duration",
        "dur",
        "fixdur",
        "fix_duration",
        "durationms",
        "current_fix_duration",
    ),
    "t_ms": ("t", "start", "onset", "start_ms", "time", "current_fix_start"),
    "trial": ("trial_id", "trial_index", "repetition"),
    "session": ("session_id", "recording", "block", "day"),
}
# Index columns that data frames write.
_INDEX_NAMES = frozenset(("", "Unnamed: 0", "__index_level_0__", "rowname", "X.1"))
# Columns that number the fixations of a viewing.
_ORDINAL = re.compile(
    r"nth|ordinal|order|(current_?)?fix(ation)?s?(_?(index|idx|number|num|nr|no|n|order|id|count|"
    r"rank|seq|i))?|(index|number)_of_fixation|fpogid|event_index"
)
# Numbers of a viewing that come twice may be its own if they are fewer.
_LEAST_NUMBERS = 3
_FACTOR_MS = {"ms": 1.0, "s": 1000.0, "us": 0.001, "ns": 1e-6}
_WHERE = re.compile(
    r"""^\s*(?:"([^"]+)"|'([^']+)'|([^=!<>"']+?))\s*(==|!=|<=|>=|<|>)\s*(.*?)\s*$"""
)


class Plain(NamedTuple):
    """How a table without a format of its own is read.

    Attributes:
        columns: name here -> name in the file, for the columns that have another name there.
        ignored: columns to leave out.
        durations: unit of the durations: "ms", "s", "us" or "ns".
        times: unit of the starts, alike.
        image_from: columns that name the image together, instead of a column of its own; None: they
            do not.
        needs_user: whether the user is in a column; else the name of the file may say it.
    """

    columns: Mapping[str, str]
    ignored: Collection[str]
    durations: str
    times: str
    image_from: Collection[str] | None = None
    needs_user: bool = True

    def required(self) -> tuple[str, ...]:
        """Returns the columns that a table must have."""
        optional = set() if self.image_from is None else {"image"}
        optional |= set() if self.needs_user else {"user"}
        return tuple(name for name in REQUIRED if name not in optional)


def recognise_plain(opened: Opened, plain: Plain) -> Role:
    """Recognises a table that has the required columns."""
    names = {plain.columns.get(name, name) for name in plain.required()}
    return "fixations" if names <= set(opened.columns) else ""


def read_plain(opened: Opened, plain: Plain, where: Sequence[str] = ()) -> Rows:
    """Reads a table of fixations.

    Args:
        opened: the table.
        plain: how the table is read.
        where: conditions whose columns say the decimal mark, too.

    Raises:
        ValueError: a required column is missing, or a column is unknown; the message has the file.
    """
    path = opened.path
    source = {name: plain.columns.get(name, name) for name in (*REQUIRED, *OPTIONAL)}
    found = {name: column for name, column in source.items() if column in opened.columns}
    for name, column in plain.columns.items():
        if column not in opened.columns:
            raise ValueError(
                f"{path} has no column {column!r} (--columns {name}={column}); it has "
                f"{', '.join(map(repr, opened.columns)) or 'none'}"
            )
    found = {name: column for name, column in found.items() if column not in plain.ignored}
    missing = [name for name in plain.required() if name not in found]
    if missing and source[missing[0]] in plain.ignored:
        raise ValueError(
            f"--ignore-columns names {source[missing[0]]!r}, which holds the {missing[0]} of "
            f"{path}, expected columns that are not needed"
        )
    if missing:
        raise ValueError(
            f"{path} has no column {missing[0]!r}, expected the columns "
            f"{', '.join(plain.required())}; "
            f"it has {', '.join(map(repr, opened.columns)) or 'none'}{_offer(opened, found)}"
            + "; --format table --user-from takes the user from the name of the file"
            * (missing == ["user"])
        )
    for name, column in plain.columns.items():
        others = [one for one, source in found.items() if source == column and one != name]
        if others and name in found:
            raise ValueError(
                f"{path}: {others[0]!r} and {name!r} are both from the column {column!r} "
                f"(--columns {name}={column}), expected a column of its own for each"
            )
    unknown = [
        name
        for name in opened.columns
        if name not in {*found.values(), *plain.ignored, *(plain.image_from or ()), *_INDEX_NAMES}
    ]
    # Who names the columns has chosen; a column of no known name may be misspelt.
    if unknown and not plain.columns:
        raise ValueError(
            f"{path} has an unknown column {unknown[0]!r}, expected "
            f"{', '.join(plain.required())} and optional {', '.join(OPTIONAL)} "
            "(--ignore-columns leaves others out)"
            f"{_offer(opened, found)}"
        )
    if unknown and opened.suffix in containers.NESTING_SUFFIXES:
        # Raises: lists or objects in a column may be rows.
        containers.read_table(opened, set(unknown))
    of_names = {found[name] for name in ("image", "user", "session") if name in found}
    # Marks between thousands, such as 1.204, can only be found in texts.
    of_numbers = set(found.values()) - of_names
    table = containers.read_table(
        opened,
        set(found.values()),
        # Digits that a trial lacks can only be missed in a text, too.
        numbers=set() if opened.decimal_comma else of_numbers - {found.get("trial")},
        names_in=of_names,
    )
    table = with_one_mark(opened, table, of_numbers, where)
    cells = {name: table[column] for name, column in found.items()}
    scale = {"duration_ms": _FACTOR_MS[plain.durations], "t_ms": _FACTOR_MS[plain.times]}
    numbers: dict[str, Numbers] = {
        name: rows.numbers_of(
            cells[name], decimal_comma=opened.decimal_comma, scale=scale.get(name, 1.0)
        )
        for name in ("x", "y", "duration_ms", "t_ms", "trial")
        if name in cells
    }
    user = rows.names_of(cells["user"], rows.MISSING) if "user" in cells else None
    image = rows.names_of(cells["image"], rows.MISSING) if "image" in cells else None
    session = rows.names_of(cells["session"]) if "session" in cells else None
    keys = [names.codes for names in (image, user, session) if names is not None]
    keys += [numbers["trial"].values] if "trial" in numbers else []
    is_full = np.ones(table.num_rows, bool) if user is None else user.codes >= 0
    if image is not None:
        is_full &= image.codes >= 0
    for name in plain.image_from or ():
        if name in opened.columns:  # Rows of one value are on one image.
            keys.append(rows.names_of(containers.read_table(opened, {name})[name]).codes)
    for name in ("x", "y", "duration_ms"):
        is_full &= ~numbers[name].is_missing if name in numbers else True
    taken = [f"{name} from {column!r}" for name, column in found.items() if name != column]
    left_out = [name for name in (*unknown, *_INDEX_NAMES) if name in opened.columns]
    return Rows(
        place=rows.places(table.num_rows),
        image=image,
        user=user,
        session=session,
        taken=", ".join([*taken, *(f"column {name!r} left out" for name in left_out)]),
        doubtful={} if "t_ms" in numbers else _out_of_order(opened, found, keys, is_full, where),
        cells=cells,
        **numbers,  # type: ignore[arg-type]
    )


def _out_of_order(
    opened: Opened,
    found: Mapping[str, str],
    keys: Sequence[np.ndarray],
    is_full: np.ndarray,
    where: Sequence[str],
) -> dict[str, int]:
    """Counts rows before which a column that numbers the fixations of a viewing falls.

    A row without a number is not looked at. A viewing with a number twice may be several viewings.

    Args:
        opened: the table.
        found: the columns that are read.
        keys: codes or numbers [n] of the image, the user and so on, which make a viewing.
        is_full: bool [n], whether a row has all values; other rows are not looked at.
        where: conditions; likewise.

    Returns:
        The reason, for `Rows.doubtful`, and the number of rows; {}: there is no such row.
    """
    names = [
        name
        for name in opened.columns
        if _ORDINAL.fullmatch(_folded(name)) and name not in found.values()
    ]
    fits = is_full.copy()
    for condition in where if names else ():
        fits &= rows_where(opened, condition)
    counts = {}
    for name in names:
        column = containers.read_table(opened, {name})[name]
        number = rows.numbers_of(column, decimal_comma=opened.decimal_comma).values
        is_used = fits & np.isfinite(number)
        number, of_viewing = number[is_used], [key[is_used] for key in keys]
        order = np.lexsort(tuple(of_viewing))  # Stable: the rows of a viewing stay in their order.
        starts = rows.run_starts(*(key[order] for key in of_viewing))
        viewing = np.cumsum(starts) - 1
        by_number = np.lexsort((number[order], viewing))
        keys_by_number = viewing[by_number], number[order][by_number]
        is_same = ~rows.run_starts(*keys_by_number)
        is_other = np.zeros(len(starts), bool)  # Of each viewing: a number is there twice.
        is_other[viewing[by_number][is_same]] = True
        several = _num_several(viewing[by_number], ~is_same)
        is_fall = ~starts[1:] & (np.diff(number[order]) < 0)
        has_twice = is_other[viewing[1:]]
        counts[
            f"{name!r} falls before them in a viewing, where fixations are in the order of the "
            "rows: sort the rows by it, or give the starts (t_ms)"
        ] = int((is_fall & ~has_twice).sum())
        counts[
            f"{name!r} has their numbers again in a viewing: if a user viewed an image several "
            "times, name each time in a column trial; of two eyes, leave out one (--where)"
        ] = int((is_fall & has_twice).sum()) or several
    return {reason: count for reason, count in counts.items() if count}


def _num_several(viewing: np.ndarray, is_new: np.ndarray) -> int:
    """Counts the rows of viewings all of whose numbers come equally often, as if they were several.

    Args:
        viewing: int64 [n], number of the viewing of each row, from 0, in the order of the numbers
            of its fixations.
        is_new: bool [n], whether the number of a fixation is another one than in the row before.
    """
    starts = np.flatnonzero(is_new)
    if not len(starts):
        return 0
    times = np.diff(np.append(starts, len(viewing)))
    first = np.flatnonzero(rows.run_starts(viewing[starts]))
    least, most = (of.reduceat(times, first) for of in (np.minimum, np.maximum))
    num_numbers = np.diff(np.append(first, len(starts)))
    is_several = (least == most) & (least > 1) & (num_numbers >= _LEAST_NUMBERS)
    return int(np.where(is_several, least * num_numbers, 0).sum())


def _offer(opened: Opened, found: Mapping[str, str]) -> str:
    """Returns the option that would name the columns, where their names are well known."""
    offers = []
    for name, others in _OTHER_NAMES.items():
        if name in found:
            continue
        for column in opened.columns:
            if _folded(column) in (name, *others):
                offers.append(f"{name}={column}")
                break
    return f"; perhaps --columns {','.join(offers)}" if offers else ""


def resembles_gaze(columns: Sequence[str]) -> bool:
    """Whether columns are called like places and like what only fixations have, whatever the case.

    A list of images, or of areas in them, has neither users nor durations.
    """
    names = set(map(_folded, columns))
    has = {name: not names.isdisjoint((name, *others)) for name, others in _OTHER_NAMES.items()}
    return has["x"] and has["y"] and (has["user"] or has["duration_ms"])


def _folded(column: str) -> str:
    """A name of a column in small letters, with _ for blanks and signs."""
    return re.sub(r"\W+", "_", column.strip().lower())


def split_condition(condition: str) -> tuple[str, str, str]:
    """Splits a condition, see `rows_where`, into the column, the operator and the value.

    Raises:
        ValueError: the condition has another form.
    """
    match = _WHERE.match(condition)
    if match is None:
        raise ValueError(
            f"--where is {condition!r}, expected COLUMN, one of == != < <= > >=, and a value, such "
            "as 'forced_fix == 0'"
        )
    name = next(part for part in match.groups()[:3] if part is not None)
    return name.strip(), match[4], match[5]


def rows_where_all(opened: Opened, conditions: Sequence[str], length: int) -> np.ndarray:
    """Returns bool [length]: the rows that all conditions hold for, see `rows_where`."""
    fits = np.ones(length, bool)
    for condition in conditions:
        fits = fits & rows_where(opened, condition)
    return fits


def take_where(opened: Opened, found: Rows, conditions: Sequence[str]) -> Rows:
    """Takes the rows that all conditions hold for, see `rows_where`."""
    for condition in conditions:
        fits = rows_where(opened, condition)[found.place - 1]
        found = rows.take(found, fits, f"not {condition}")
    return found


def rows_where(opened: Opened, condition: str) -> np.ndarray:
    """Finds the rows of a table that a condition holds for.

    Args:
        opened: a table.
        condition: COLUMN OPERATOR VALUE, such as "forced_fix == 0"; operators ==, !=, <, <=, >, >=.
            A value that is a number is compared as a number, another value as a text.

    Returns:
        bool [n]; a cell without a value never fits, except for !=.

    Raises:
        ValueError: the condition has another form, the file no such column, or a cell is no number
            where the condition has a number.
    """
    name, _, _ = split_condition(condition)
    if name not in opened.columns:
        raise ValueError(
            f"--where {condition!r}: {opened.path} has no column {name!r}; it has "
            f"{', '.join(map(repr, opened.columns)) or 'none'}"
        )
    column = containers.read_table(opened, {name})[name]
    return cells_where(column, condition, opened.path, decimal_comma=opened.decimal_comma)


def cells_where(
    column: pa.ChunkedArray,
    condition: str,
    path: Path,
    *,
    decimal_comma: bool,
    place_of: Callable[[int], str] = lambda row: f"row {row + 1}",
) -> np.ndarray:
    """As `rows_where`, with the column that the condition is about.

    Args:
        column: the column.
        condition: see `rows_where`.
        path: the file, for messages.
        decimal_comma: whether numbers have it.
        place_of: index of a cell -> its place in words, for messages.
    """
    name, operator, value = split_condition(condition)
    text, number = _value_of(value)
    if number is None and operator not in ("==", "!="):
        raise ValueError(f"--where {condition!r}: {operator} needs a number, not {value!r}")
    if number is not None and np.isnan(number):
        raise ValueError(
            f"--where {condition!r}: {value} equals no number, expected a number, or a text in "
            "quotes; --drop-missing leaves out rows without a place or a duration"
        )
    if number is not None:
        numbers = rows.numbers_of(column, decimal_comma=decimal_comma)
        wrong = np.flatnonzero(numbers.is_wrong)
        cells = [str(column[int(row)].as_py()) for row in wrong]
        for row, cell in zip(wrong, cells, strict=True):
            if rows.is_grouped(cell):
                raise ValueError(
                    f"--where {condition!r}: {path} {place_of(int(row))}: {name} is {cell!r}, "
                    "expected a number without marks between thousands"
                )
        if cells:
            more = f" ({len(cells)} such rows)" if len(cells) > 1 else ""
            raise ValueError(
                f"--where {condition!r}: {path} {place_of(int(wrong[0]))}: {name} is {cells[0]!r}, "
                f"expected numbers, or a text to compare with, such as {name!r} {operator} "
                f"{cells[0]!r}{more}"
            )
        # Comparisons with NaN, no value, are false; only != is true.
        return _COMPARE[operator](numbers.values, number)
    codes, names = rows.names_of(column)
    wanted = rows.normalize(text)
    is_equal = codes == (names.index(wanted) if wanted in names else -2)
    return is_equal if operator == "==" else ~is_equal


def with_one_mark(
    opened: Opened, table: pa.Table, columns: Collection[str | None], where: Sequence[str]
) -> pa.Table:
    """Reads the decimal marks of columns of numbers by each other, see `rows.with_one_mark`.

    Args:
        opened: the file; if commas part its cells, they are no marks.
        table: the table; its rows are those of the file.
        columns: names of columns of numbers; the table may lack some.
        where: conditions; the columns that they compare with a number say the mark, too.

    Returns:
        The table, in which a decimal mark is none between thousands.

    Raises:
        ValueError: the numbers of a column have marks between thousands, since another column has
            the other mark for its decimals.
    """
    if opened.delimiter == ",":
        return table
    cells = {name: table[name] for name in table.column_names if name in columns}
    conditions = [split_condition(condition) for condition in where]
    compared = {name for name, _, value in conditions if _value_of(value)[1] is not None}
    compared &= set(opened.columns)
    if compared:
        others = containers.read_table(opened, compared)
        cells = {**{name: others[name] for name in others.column_names}, **cells}
    instead, found = rows.with_one_mark(cells)
    for name, is_thousands in found.items():
        row = int(np.argmax(is_thousands))
        more = f" ({int(is_thousands.sum())} such rows)" if is_thousands.sum() > 1 else ""
        raise ValueError(
            f"{opened.path} row {row + 1}: {name!r} is {cells[name][row].as_py()!r}, and another "
            "column has the other mark for its decimals, expected a number without marks between "
            f"thousands{more}"
        )
    for name, column in instead.items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, column)
    return table


def check_text(opened: Sequence[Opened], condition: str) -> str:
    """Looks whether any file has the text of a condition, which else does nothing.

    Args:
        opened: all files, with the column.
        condition: see `rows_where`.

    Returns:
        A note that no cell has the text; "": a cell has it, or the condition has a number.

    Raises:
        ValueError: no cell has the text, and one has it in other letters, or no row is left.
    """
    name, operator, value = split_condition(condition)
    text, number = _value_of(value)
    if number is not None:
        return ""
    cells: dict[str, None] = {}
    for one in opened:
        cells.update(dict.fromkeys(rows.names_of(containers.read_table(one, {name})[name]).names))
    wanted = rows.normalize(text)
    if wanted in cells or not cells:
        return ""
    folded = [cell for cell in cells if cell.casefold() == wanted.casefold()]
    near = folded or difflib.get_close_matches(wanted, cells, 1) or list(cells)[:3]
    is_near = len(near) == 1 and len(cells) > 1
    offer = f"{'nearest' if is_near else 'it has'}: {', '.join(map(repr, near))}"
    found = f"no cell of {name!r} is {wanted!r} ({offer})"
    if folded or operator == "==":
        raise ValueError(f"--where {condition!r}: {found}, expected a text that a cell has")
    return f"--where {condition!r}: {found}"


def _value_of(value: str) -> tuple[str, float | None]:
    """Returns the text of a value, and the number; None: compared as a text."""
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    text = value[1:-1] if is_quoted else value
    return text, None if is_quoted else _as_number(text)


_COMPARE = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
