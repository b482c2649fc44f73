"""Columns of the person and the session that users add to exports of trackers."""

import re
from collections.abc import Collection

import numpy as np
import pyarrow as pa

from tfds_builders.common.gaze_files import containers, rows
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.rows import Names

# In small letters, without blanks and underscores.
_NAMES = frozenset(
    name + ending
    for name in (
        *("participant", "subject", "subj", "sub", "user", "person", "observer", "respondent"),
        *("vp", "proband", "versuchsperson", "teilnehmer"),
    )
    for ending in ("", "id", "nr", "no", "num", "number", "code", "name", "privateid", "publicid")
) | {"ppid", "ppt", "pptid", "pid", "prolificid", "prolificpid", "sonaid", "workerid"}


def names_person(column: str) -> bool:
    """Whether a column is called like those that users add for the person."""
    return re.sub(r"[\W_]", "", column).lower() in _NAMES


def column_of_person(opened: Opened, own: Collection[str] = ()) -> str | None:
    """Finds the column of the person by its name; a column without a value is none.

    Args:
        opened: the file.
        own: columns of the tracker that hold something else.

    Returns:
        The name of the column; None: there is no such column. Of columns that divide the rows
        alike, such as a number and a name of each person, the first one.

    Raises:
        ValueError: two columns could be the person and do not divide the rows alike.
    """
    columns = [name for name in opened.columns if name not in own and names_person(name)]
    if not columns:
        return None
    table = containers.read_table(opened, set(columns), names_in=set(columns))
    found = {name: rows.names_of(table[name], missing=rows.MISSING) for name in columns}
    found = {name: names for name, names in found.items() if names.names}
    if not found:
        return None
    first, *others = found
    codes = found[first].codes
    for other in others:
        # Each person has the name of its first row in the other column, and the other way round.
        pairs = (codes, found[other].codes), (found[other].codes, codes)
        differs = np.zeros(len(codes), bool)
        for one, two in pairs:
            _, first_row, number = np.unique(one, return_index=True, return_inverse=True)
            differs |= two != two[first_row][number.reshape(-1)]
        for row in np.flatnonzero(differs)[:1]:
            cells = [table[name][int(row)].as_py() for name in (first, other)]
            raise ValueError(
                f"{opened.path} row {row + 1}: {first!r} is {cells[0]!r} and {other!r} is "
                f"{cells[1]!r}, both could name the person: leave one of them out of the file"
            )
    return first


def names_of_people(table: pa.Table, column: str | None, name: str) -> Names:
    """Reads a column of `column_of_person`, or gives all rows one name where there is none.

    Args:
        table: the table, with the column.
        column: the name of the column.
        name: the person of a table without such a column.
    """
    if column is None:
        return rows.one_name(name, table.num_rows)
    return rows.names_of(table[column], missing=rows.MISSING)


def columns_of_session(opened: Opened) -> list[str]:
    """Returns the columns of the session; the first one with a value says it."""
    return [name for name in opened.columns if name.strip().lower() == "session"]


def names_of_sessions(opened: Opened) -> Names | None:
    """Reads the column of the session; None: no such column has a value."""
    for column in columns_of_session(opened):
        names = rows.names_of(containers.read_table(opened, {column})[column], rows.MISSING)
        if names.names:
            return names
    return None


def in_words(column: str | None, otherwise: str = "the name of the file") -> str:
    """Says where the person is from, for a note."""
    return f"person from {repr(column) if column else otherwise}"


def takes_user(expression: re.Pattern[str]) -> bool:
    """Whether an expression has a group for the person: one named `user`, or one without a name."""
    return "user" in expression.groupindex or expression.groups > len(expression.groupindex)
