"""Finds fixations in exports of Tobii with one row a sample or event.

All rows of a fixation repeat its place, duration and number, rows of the mouse and of other sensors
too. One row of each fixation is read.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tfds_builders.common.gaze_files import containers, plain, rows
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How
from tfds_builders.common.gaze_files.rows import Names, Numbers, Rows

BESIDE = "beside the image, without a place on it"
_BEGUN_BEFORE = "of a fixation that began on a medium that is left out"

# Of two clocks, the one of the recording is taken.
TIMES = ("recording timestamp", "eyetracker timestamp")
_MICROSECONDS = unicodedata.normalize("NFKC", "\N{MICRO SIGN}s")
FACTOR_MS = {"ms": 1.0, _MICROSECONDS: 0.001}

# Kinds of eye movements besides fixations, in small letters.
_OTHER_KINDS = ("saccade", "unclassified", "eyesnotfound", "eyes not found", "gap", "blink")

_UNIT = re.compile(r"^(.*?)\s*[\[(]([^\[\]()]*)[\])]$")
_VIDEO = re.compile(r".*\.(mp4|avi|wmv|mov|mkv|webm|mpe?g|flv)", re.IGNORECASE)
_TOLERANCE_MS = 1.0


Key = tuple[str, str]  # Name and unit of a column, in lower case; the unit without blanks.


class Columns(NamedTuple):
    """Columns of an export; None: the export has no such column.

    Attributes:
        kind: type of the eye movement.
        number: of the fixation, counted through a recording.
        durations: of the fixation, each with the factor to milliseconds; any of them may be empty.
        time: of the row.
        time_factor: from the unit of the times to milliseconds; None: the header does not say.
        user: name of the person.
        session: name of the recording.
        sensor: what gave the row.
        media: name of the image.
    """

    kind: str
    number: str
    durations: tuple[tuple[str, float], ...]
    time: str | None
    time_factor: float | None
    user: str | None
    session: str | None
    sensor: str | None
    media: str | None


class Events(NamedTuple):
    """The rows of a table that belong to a fixation, in the order of the file.

    Attributes:
        row: int64 [m], row of the table, from 0.
        fixation: int64 [m], number of the fixation in the file, from 0.
        is_eye: bool [m], whether the row is of the eye tracker, not of a mouse or another sensor.
        time_factor: from the times to milliseconds; None: no times, or of an unknown unit.
        unknown: rows of unknown eye movements, see `rows.unknown_kinds`.
    """

    row: np.ndarray
    fixation: np.ndarray
    is_eye: np.ndarray
    time_factor: float | None
    unknown: Mapping[str, int]


def by_name(columns: Sequence[str]) -> dict[Key, str]:
    """Returns the columns by name and unit: `[DACS px]` and `(DACSpx)` are the same unit."""
    found: dict[Key, str] = {}
    for column in columns:
        match = _UNIT.match(column)
        name, unit = match.groups() if match else (column, "")
        unit = unicodedata.normalize("NFKC", unit).replace(" ", "").lower()
        found.setdefault((name.lower(), unit), column)
    return found


def pick(named: Mapping[Key, str], name: str, *units: str) -> str | None:
    """Returns the column of a name, of the first of some units that there is; None: of none."""
    return next((named[name, unit] for unit in units if (name, unit) in named), None)


def time_of(named: Mapping[Key, str]) -> tuple[str | None, float | None]:
    """Returns the column of the times, and the factor to milliseconds where the header says it."""
    for name in TIMES:
        for unit in (*FACTOR_MS, ""):
            if (name, unit) in named:
                return named[name, unit], FACTOR_MS.get(unit)
    return None, None


def read_columns(
    opened: Opened, columns: Columns, others: Sequence[str | None], how: How
) -> pa.Table:
    """Reads the columns of the fixations and others."""
    texts = {columns.kind, columns.user, columns.session, columns.sensor, columns.media} - {None}
    numbers = {columns.number, columns.time, *(name for name, _ in columns.durations)}
    wanted = {name for name in (*texts, *numbers, *others) if name is not None}
    table = containers.read_table(opened, wanted, names_in={name for name in texts if name})
    return plain.with_one_mark(opened, table, wanted - texts, how.where)


def numbers_at(opened: Opened, table: pa.Table, column: str, row: np.ndarray) -> Numbers:
    """Reads the numbers of some rows.

    Raises:
        ValueError: a cell is neither empty nor a finite number.
    """
    cells = table[column].take(pa.array(row))
    found = rows.numbers_of(cells, decimal_comma=opened.decimal_comma)
    is_wrong = found.is_wrong | (~found.is_missing & ~np.isfinite(found.values))
    for wrong in np.flatnonzero(is_wrong)[:1]:
        more = f" ({int(is_wrong.sum())} such rows)" if is_wrong.sum() > 1 else ""
        raise ValueError(
            f"{opened.path} row {row[wrong] + 1}: {column!r} is {cells[int(wrong)].as_py()!r}, "
            f"expected a number{more}"
        )
    return found


def is_name(table: pa.Table, column: str, name: str) -> np.ndarray:
    """Returns bool [n], where a column of names has this name."""
    return _is_named(rows.names_of(table[column]), name)


def _is_named(cells: Names, name: str) -> np.ndarray:
    return cells.codes == (cells.names.index(name) if name in cells.names else -2)


def find(opened: Opened, table: pa.Table, columns: Columns, how: How) -> Events:
    """Finds the rows of each fixation.

    Args:
        opened: the file.
        table: its columns.
        columns: their names.
        how: has the conditions that the rows fulfil.

    Raises:
        ValueError: a fixation has no number, or the rows of a number contradict each other.
    """
    kinds = rows.names_of(table[columns.kind])
    rows.check_kinds(opened.path, columns.kind, kinds, ["Fixation"], _OTHER_KINDS)
    is_used = plain.rows_where_all(opened, how.where, table.num_rows)
    unknown = rows.unknown_kinds(columns.kind, kinds, ["Fixation"], _OTHER_KINDS, is_used)
    row = np.flatnonzero(is_used & _is_named(kinds, "Fixation"))
    index = numbers_at(opened, table, columns.number, row).values
    for wrong in np.flatnonzero(~(np.abs(index) < 2**53) | (index != np.round(index)))[:1]:
        cell = table[columns.number][int(row[wrong])].as_py()
        raise ValueError(
            f"{opened.path} row {row[wrong] + 1}: {columns.number!r} is {cell!r}, expected the "
            "number of the fixation"
        )
    user, session = people_of(opened, table, columns.user, columns.session)
    if columns.media is not None and not is_used.all():
        begun = _begun_there(table, columns, _is_named(kinds, "Fixation"), is_used, user, session)
        if not begun[row].all():
            unknown = {**unknown, _BEGUN_BEFORE: int((~begun[row]).sum())}
            row, index = row[begun[row]], index[begun[row]]
    if session is None:
        _check_one_recording(opened, columns, row, index, user.codes[row])
    recording = np.zeros(len(row)) if session is None else session.codes[row]
    keys = (index, recording, user.codes[row])
    order = np.lexsort(keys)
    fixation = np.empty(len(row), np.int64)
    fixation[order] = np.cumsum(rows.run_starts(*(key[order] for key in keys))) - 1
    is_eye = np.ones(len(row), bool)
    if columns.sensor is not None:
        is_eye = is_name(table, columns.sensor, "Eye Tracker")[row]
    found = Events(row, fixation, is_eye, columns.time_factor, unknown)
    duration = _durations(opened, table, columns, row)
    if duration is not None:
        name = " or ".join(repr(column) for column, _ in columns.durations)
        check_repeated(opened, found, name, duration.values, _TOLERANCE_MS)
    if columns.time is not None and columns.time_factor is None and duration is not None:
        t = numbers_at(opened, table, columns.time, row).values
        factor = _proven_factor(opened, found, t, duration.values, keys[1:])
        found = found._replace(time_factor=factor)
    return found


def _begun_there(
    table: pa.Table,
    columns: Columns,
    is_fixation: np.ndarray,
    is_used: np.ndarray,
    user: Names,
    session: Names | None,
) -> np.ndarray:
    """Finds rows of fixations that began on a medium whose rows conditions leave out.

    They have the place of that medium.

    Returns:
        bool [n], False for these rows.
    """
    row = np.flatnonzero(is_fixation)
    index = rows.numbers_of(table[columns.number].take(pa.array(row))).values
    media = rows.names_of(table[columns.media]).codes
    keys = [index, user.codes[row], *([] if session is None else [session.codes[row]])]
    # Another recording has the same numbers: only neighbors are of one fixation.
    starts = rows.run_starts(*keys) | (np.diff(row, prepend=-1) != 1)
    first = row[starts][np.cumsum(starts) - 1]
    begun = np.ones(len(is_used), bool)
    begun[row] = is_used[first] | (media[row] == media[first])
    return begun


def first_of(events: Events, is_used: np.ndarray | None = None) -> np.ndarray:
    """Returns indices [k] of `events`: of each fixation the first row of the eye tracker.

    Only rows of `is_used`, bool [m], are chosen; None: all.
    """
    at = np.arange(len(events.row)) if is_used is None else np.flatnonzero(is_used)
    # A fixation may have rows of other sensors before, and only such rows.
    order = at[np.lexsort((at, ~events.is_eye[at], events.fixation[at]))]
    return np.sort(order[rows.run_starts(events.fixation[order])])


def placed_of(
    table: pa.Table,
    columns: Columns,
    events: Events,
    first: np.ndarray,
    has_place: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Returns indices [k] of `events`: of each fixation the row that its place is read from.

    This is the first row. If it has no place, as where a page was not yet drawn, it is the first
    row of the fixation with a place on the same image.

    Args:
        table: the columns of the file.
        columns: their names.
        events: rows of fixations.
        first: int64 [k], see `first_of`.
        has_place: gives bool [n] for int64 [n], rows of the table.
    """
    lacking = first[~has_place(events.row[first])]
    start_of = np.full(int(events.fixation.max(initial=-1)) + 1, -1, np.int64)
    start_of[events.fixation[lacking]] = lacking
    later = np.flatnonzero(start_of[events.fixation] >= 0)
    if columns.media is not None:
        media = rows.names_of(table[columns.media]).codes[events.row]
        later = later[media[later] == media[start_of[events.fixation[later]]]]
    is_later = np.zeros(len(events.row), bool)
    is_later[later] = has_place(events.row[later])
    placed = np.arange(len(events.row))
    found = first_of(events, is_later)
    placed[start_of[events.fixation[found]]] = found
    return placed[first]


def check_repeated(
    opened: Opened, events: Events, name: str, values: np.ndarray, tolerance: float
) -> None:
    """Checks that all rows of a fixation have the same value.

    Args:
        opened: the file.
        events: rows of fixations.
        name: of the value, for the message.
        values: float64 [m]; NaN: not given.
        tolerance: largest difference.

    Raises:
        ValueError: two rows of a fixation differ.
    """
    given = np.flatnonzero(~np.isnan(values))
    _, first, number = np.unique(events.fixation[given], return_index=True, return_inverse=True)
    first_given = given[first][number]
    differs = np.abs(values[given] - values[first_given]) > tolerance
    for wrong in np.flatnonzero(differs)[:1]:
        here, there = given[wrong], first_given[wrong]
        raise ValueError(
            f"{opened.path} row {events.row[here] + 1}: {name} is {values[here]:g}, and "
            f"{values[there]:g} in row {events.row[there] + 1} of the same fixation, expected one "
            "value for each number of a fixation in a recording"
        )


def count_elsewhere(
    opened: Opened,
    table: pa.Table,
    columns: Columns,
    events: Events,
    at: np.ndarray,
    places: Sequence[str | None],
    tolerance: float,
) -> dict[str, int]:
    """Counts rows of fixations that are at another place than the row that is read.

    Args:
        opened: the file.
        table: its columns.
        columns: their names.
        events: rows of fixations.
        at: int64 [k], of each fixation the index of `events` that its place is read from.
        places: columns of the place; None: there is no such column.
        tolerance: largest difference.

    Returns:
        The reason, for `Rows.left_out`, and the number of rows; {}: there is no such row.
    """
    first = np.zeros(int(events.fixation.max(initial=-1)) + 1, np.int64)
    first[events.fixation[at]] = at
    other = first[events.fixation]
    differs = np.zeros(len(other), bool)
    for name in filter(None, places):
        values = numbers_at(opened, table, name, events.row).values
        differs |= np.abs(values - values[other]) > tolerance
    reason = f"of a fixation that is read, with the same {columns.number!r}, at another place"
    return {reason: int(differs.sum())} if differs.any() else {}


def make_rows(
    opened: Opened,
    table: pa.Table,
    columns: Columns,
    time_factor: float | None,
    row: np.ndarray,
    image: Names | None,
    x: Numbers,
    y: Numbers,
    **more: Any,
) -> Rows:
    """Makes one row for each of some rows of the table.

    Args:
        opened: the file.
        table: its columns.
        columns: their names.
        time_factor: from the times to milliseconds; None: not known.
        row: int64 [k], rows of the table, from 0; the other fields have the length k.
        image: names of the images.
        x: places.
        y: alike.
        more: further fields; `taken` is a list of parts.
    """
    user, session = people_of(opened, table, columns.user, columns.session)
    t_ms, start = None, None
    if columns.time is not None and time_factor is None:
        start = f"no start, since nothing says the unit of {columns.time!r}"
    elif columns.time is not None and time_factor is not None:
        t = numbers_at(opened, table, columns.time, row)
        t_ms = t._replace(values=t.values * time_factor)
        unit = "milliseconds" if time_factor == 1 else "microseconds"
        start = f"start from {columns.time!r} ({unit})"
    duration = " or ".join(repr(name) for name, _ in columns.durations)
    factors = {factor for _, factor in columns.durations}
    unit = "microseconds" if factors == {0.001} else "milliseconds"
    taken = [
        f"person from {columns.user!r}" if columns.user else "person from the name of the file",
        f"session from {columns.session!r}" if columns.session else "",
        f"duration from {duration} ({unit})" if duration else "no duration",
        start or "no start",
        f"one row for each {columns.number!r}",
    ]
    return Rows(
        place=row + 1,
        image=image,
        user=Names(user.codes[row], user.names),
        session=rows.take_names(session, row),
        x=x,
        y=y,
        duration_ms=_durations(opened, table, columns, row),
        t_ms=t_ms,
        whose=(rows.LeftOut(rows.places(table.num_rows), user, session, rows.NO_FIXATION),),
        **{**more, "taken": ", ".join([*more.get("taken", ()), *filter(None, taken)])},
    )


def images_of(
    opened: Opened, table: pa.Table, columns: Columns, row: np.ndarray
) -> tuple[Names | None, Numbers | None]:
    """Finds the image of some rows, and the number of its showing.

    An image that is shown again, after another or after none, is viewed again. Rows may be sorted
    otherwise than in time, such as by the image.
    """
    if columns.media is None:
        return None, None
    media = rows.names_of(table[columns.media])
    # Rows of other sensors and of events need not have the image.
    is_sample = rows.names_of(table[columns.kind]).codes >= 0
    if columns.sensor is not None:
        is_sample &= is_name(table, columns.sensor, "Eye Tracker")
    at = np.flatnonzero(is_sample)
    keys = [media.codes[at]]
    for column in (columns.user, columns.session):
        if column is not None:
            keys.append(rows.names_of(table[column]).codes[at])
    order = np.arange(len(at))
    # Without a column of the recording, a time that goes back may be of the next one.
    if columns.time is not None and columns.session is not None:
        order = order_in_time(numbers_at(opened, table, columns.time, at).values, keys[1:])
    showing = np.zeros(len(at) + 1, np.int64)
    showing[1:][order] = np.cumsum(rows.run_starts(*(key[order] for key in keys)))
    # A row of another sensor is of the showing of the sample before.
    return rows.take_names(media, row), rows.exact(showing[np.searchsorted(at, row, side="right")])


def order_in_time(t: np.ndarray, recording: Sequence[np.ndarray]) -> np.ndarray:
    """Returns int64 [n]: the rows of each recording together and in time.

    Args:
        t: float64 [n].
        recording: codes [n] of the person and the recording.
    """
    starts = rows.run_starts(*recording)
    runs = np.column_stack(recording)[starts]
    is_together = len(np.unique(runs, axis=0)) == len(runs)
    if is_together and not ((np.diff(t) < 0) & ~starts[1:]).any():
        return np.arange(len(t))
    return np.lexsort((t, *recording))


def screen_of(
    opened: Opened, table: pa.Table, columns: Sequence[str | None], row: np.ndarray
) -> tuple[int, int] | None:
    """Returns the size of the screen, if all rows give the same."""
    sizes = []
    for column in columns:
        if column is None:
            return None
        values = np.unique(numbers_at(opened, table, column, row).values)
        if len(values) != 1 or not values[0] >= 1:
            return None
        sizes.append(int(values[0]))
    return sizes[0], sizes[1]


def leave_out(found: Rows, reason: str) -> Rows:
    """Leaves out fixations on a video or without a place; the reason is for those on an image."""
    if found.image is not None:
        is_video = [bool(_VIDEO.fullmatch(name)) for name in found.image.names]
        found = rows.take(found, ~np.array([*is_video, False])[found.image.codes], "on a video")
    has_place = ~(found.x.is_missing | found.y.is_missing)
    if found.image is not None:
        kept = has_place | (found.image.codes >= 0)
        found, has_place = rows.take(found, kept, "without an image"), has_place[kept]
    return rows.take(found, has_place, reason)


def people_of(
    opened: Opened, table: pa.Table, user: str | None, session: str | None
) -> tuple[Names, Names | None]:
    """Returns the person and the session of each row of a table.

    Args:
        opened: the file.
        table: its columns.
        user: column of the person; None: the person is the name of the file.
        session: column of the recording; None: not known.

    Raises:
        ValueError: the file has several recordings and no column of the person.
    """
    sessions = None if session is None else rows.names_of(table[session])
    if user is not None:
        return rows.names_of(table[user]), sessions
    if sessions is not None and len(sessions.names) > 1:
        raise ValueError(
            f"{opened.path} has {len(sessions.names)} recordings and no column of the participant: "
            "export it again with this column, or one file for each recording"
        )
    return rows.one_name(rows.stem(opened.path), table.num_rows), sessions


def _durations(
    opened: Opened, table: pa.Table, columns: Columns, row: np.ndarray
) -> Numbers | None:
    """Joins the columns of the durations, which agree where several are given."""
    found: Numbers | None = None
    for column, factor in columns.durations:
        one = numbers_at(opened, table, column, row)
        one = one._replace(values=one.values * factor)
        if found is None:
            found = one
            continue
        differs = np.abs(one.values - found.values) > _TOLERANCE_MS
        for wrong in np.flatnonzero(differs)[:1]:
            raise ValueError(
                f"{opened.path} row {row[wrong] + 1}: {column!r} is {one.values[wrong]:g} ms, and "
                f"{columns.durations[0][0]!r} is {found.values[wrong]:g} ms, expected one duration"
            )
        found = rows.exact(np.where(found.is_missing, one.values, found.values))
    return found


def _check_one_recording(
    opened: Opened, columns: Columns, row: np.ndarray, index: np.ndarray, user: np.ndarray
) -> None:
    """Checks that the numbers of the fixations of each person go up."""
    order = np.argsort(user, kind="stable")
    is_back = (np.diff(index[order]) < 0) & (np.diff(user[order]) == 0)
    for wrong in order[1:][is_back][:1]:
        raise ValueError(
            f"{opened.path} row {row[wrong] + 1}: {columns.number!r} goes back to "
            f"{index[wrong]:g}, and the file has no column of the recording: export it again with "
            "this column"
        )


def _proven_factor(
    opened: Opened,
    events: Events,
    t: np.ndarray,
    duration_ms: np.ndarray,
    owner: Sequence[np.ndarray],
) -> float | None:
    """Finds the factor to milliseconds of times without a unit.

    Old headers do not say the unit: microseconds stand beside durations in milliseconds. The rows
    of a fixation cannot span more than its duration, and the next fixation of the recording cannot
    start before its end.

    Returns:
        The factor, or None if nothing proves it.

    Raises:
        ValueError: the times fit neither unit.
    """
    if not len(t):
        return None
    order = np.argsort(events.fixation, kind="stable")
    first = np.flatnonzero(rows.run_starts(events.fixation[order]))
    begin, end = np.fmin.reduceat(t[order], first), np.fmax.reduceat(t[order], first)
    duration = duration_ms[order][first]
    is_longer = end - begin > 2 * duration + 50
    keys = [key[order][first] for key in owner]
    by_time = np.lexsort((begin, *keys))
    is_next = ~rows.run_starts(*(key[by_time] for key in keys))[1:]
    gap = np.diff(begin[by_time])[is_next]
    is_shorter = (gap > 0) & (gap < 500 * duration[by_time][:-1][is_next])
    if is_longer.any() and is_shorter.any():
        raise ValueError(
            f"{opened.path}: the recording timestamps fit neither milliseconds nor microseconds "
            "beside the durations of the fixations: export it again, with the unit in the header"
        )
    if is_longer.any():
        return 0.001
    return 1.0 if is_shorter.any() else None
