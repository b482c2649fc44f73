"""Gazepoint Analysis: exports of fixations and of all gaze."""

import csv
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfds_builders.common.gaze_files import containers, people, plain, rows
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.rows import Names, Rows

_X, _Y, _START, _DURATION = "FPOGX", "FPOGY", "FPOGS", "FPOGD"
_ID, _IS_VALID = "FPOGID", "FPOGV"
_MEDIA = ("MEDIA_ID", "MEDIA_NAME")
# Marks of the experiment; who joins exports may put the person there.
_MARK = "USER"
# Further columns of the tracker, by how their names begin.
_OWN = re.compile(
    r"MEDIA_|CNT$|TIME(_?TICK)?(\(|$)|[FLRB]POG|[LR](P|EYE|PUPIL)[A-Z]|C[XYS]$|BK|KB|AOI|SACCADE_"
    r"|VID_|PIX|CALIB|GSR|HR|IBI|TTL|DIAL"
)
# The name of the column of times holds the date of the recording.
_TIME = re.compile(r"TIME(\(.*\))?")

# Endings of the names of exported files, of newer and of older versions.
_FIXATIONS = re.compile(r"(_fixations|-user-fix)$", re.IGNORECASE)
_ALL_GAZE = re.compile(r"(_all_gaze|-user)$", re.IGNORECASE)

_S_TO_MS = 1000.0


def recognise_gazepoint(opened: Opened) -> Role:
    """Recognises an export by its columns.

    An export of all gaze beside the fixations of the same person has the same fixations again. It
    counts as samples. Alone, it gives the fixations.
    """
    columns = set(opened.columns)
    if not {_X, _Y} <= columns or not columns & set(_MEDIA):
        return ""
    name = rows.stem(opened.path)
    if _FIXATIONS.search(name):
        return "fixations"
    if match := _ALL_GAZE.search(name):
        ending = "_fixations" if match[1].startswith("_") else "-user-fix"
        other = name[: match.start()] + ending + opened.path.name[len(name) :]
        return "samples" if opened.path.with_name(other).is_file() else "fixations"
    return "samples" if _repeats_fixations(opened) else "fixations"


def _repeats_fixations(opened: Opened) -> bool:
    """Whether two neighbouring rows at the start of a text are of the same fixation."""
    lines = [line for line in containers.split_lines(opened.head) if line.strip()]
    at = [opened.columns.index(name) for name in (*_MEDIA, _ID) if name in opened.columns]
    keys = [
        [row[number] for number in at]
        for row in csv.reader(lines[1:], delimiter=opened.delimiter or ",")
        if len(row) > max(at)
    ]
    return any(one == other for one, other in itertools.pairwise(keys))


def recordings_of_gazepoint(opened: Opened) -> set[tuple[str, str]]:
    """Returns each person of a file with each session, "" where no column names it."""
    person = people.column_of_person(opened, own=[_MARK])
    user, session = None, people.names_of_sessions(opened)
    if person is not None:
        table = containers.read_table(opened, {person}, names_in={person})
        user = people.names_of_people(table, person, "")
    length = next((len(one.codes) for one in (user, session) if one is not None), 1)
    user = user or rows.one_name(_person(opened.path), length)
    pairs = rows.combinations(user, session or rows.no_names(length))
    return {(one, of_session) for one, of_session in pairs if one}


def read_gazepoint(opened: Opened, how: How) -> Rows:
    """Reads the fixations of an export, in fractions of the screen.

    In an export of all gaze, each row of a fixation has its place and duration so far: the last
    row of a fixation is the fixation. A viewing ends where the medium changes or the time falls.
    The rows of each person of a joined export are taken together.

    Args:
        opened: the file.
        how: has the conditions that the rows fulfil.

    Raises:
        ValueError: a column is missing, a cell of the fixations is no number, or a column may be
            the person or a mark; the message has the file, and the row where it is one row.
    """
    path, columns = opened.path, opened.columns
    time_name = next((name for name in columns if _TIME.fullmatch(name)), "TIME")
    needed = (_X, _Y, _START, _DURATION, _ID, _IS_VALID, time_name)
    for name in needed:
        if name not in columns:
            raise ValueError(f"{path} has no column {name!r}, expected {', '.join(needed)}")
    media_names = [name for name in _MEDIA if name in columns]
    person = people.column_of_person(opened, own=[_MARK])
    texts = {*media_names, *([] if person is None else [person])}
    table = containers.read_table(opened, {*needed, *texts}, numbers=needed, names_in=texts)
    table = plain.with_one_mark(opened, table, needed, how.where)
    numbers = {
        name: rows.numbers_of(table[name], decimal_comma=opened.decimal_comma) for name in needed
    }
    for name, is_right, rule in (
        (time_name, np.isfinite(numbers[time_name].values), "a number"),
        (_ID, np.isfinite(numbers[_ID].values), "a number"),
        (_IS_VALID, np.isin(numbers[_IS_VALID].values, (0, 1)), "0 or 1"),
    ):
        for row in np.flatnonzero(~is_right)[:1]:
            raise ValueError(
                f"{path} row {row + 1}: {name} is {table[name][int(row)].as_py()!r}, expected "
                f"{rule}"
            )
    time = numbers[time_name].values
    user = people.names_of_people(table, person, _person(path))
    if person is None:
        at = np.flatnonzero(plain.rows_where_all(opened, how.where, len(time)))
        media_at = [rows.names_of(table[name]).codes[at] for name in media_names]
        _check_marks(opened, at, media_at, time[at])
    order = np.argsort(user.codes, kind="stable")
    numbers = {name: rows.take_numbers(one, order) for name, one in numbers.items()}
    time, user = time[order], Names(user.codes[order], user.names)
    media = {}
    for name in media_names:
        names = rows.names_of(table[name])
        media[name] = Names(names.codes[order], names.names)
    falls = (np.diff(time, prepend=time[:1]) < 0) | rows.run_starts(user.codes)
    is_viewing = rows.run_starts(*(names.codes for names in media.values())) | falls
    found = Rows(
        place=order + 1,
        image=media.get("MEDIA_NAME"),
        user=user,
        x=numbers[_X],
        y=numbers[_Y],
        duration_ms=rows.exact(numbers[_DURATION].values * _S_TO_MS)._replace(
            is_missing=numbers[_DURATION].is_missing, is_wrong=numbers[_DURATION].is_wrong
        ),
        t_ms=rows.exact(numbers[_START].values * _S_TO_MS)._replace(
            is_missing=numbers[_START].is_missing, is_wrong=numbers[_START].is_wrong
        ),
        trial=rows.exact(np.cumsum(is_viewing)),
        units="frac",
        frame="screen",
        taken=(
            f"{'image from ' + repr('MEDIA_NAME') if 'MEDIA_NAME' in media else 'no image'}, "
            f"{people.in_words(person)}, a new viewing where the medium changes or the time falls, "
            f"x and y from {_X!r} and {_Y!r} (fractions of the screen), duration from "
            f"{_DURATION!r} and start from {_START!r} (seconds), the last row of each {_ID!r} with "
            f"{_IS_VALID} 1"
        ),
        cells={
            name: table[column]
            for name, column in zip(
                ("x", "y", "duration_ms", "t_ms"), (_X, _Y, _DURATION, _START), strict=True
            )
        },
    )
    is_valid = numbers[_IS_VALID].values == 1
    found = rows.take(found, is_valid, f"without a fixation ({_IS_VALID} 0)")
    fixation, has_fallen = numbers[_ID].values[is_valid], np.cumsum(falls)[is_valid]
    starts = _starts(found, fixation)
    is_late = _begun_before(found, fixation, has_fallen, starts)
    is_last = rows.last_of_runs(starts)[~is_late]
    found = rows.take(found, ~is_late, "of a fixation that began on the image before")
    found = rows.take(found, is_last, "before the last of their fixation")
    _check_overlap(path, found)
    is_nowhere = (found.x.values == 0) & (found.y.values == 0)
    return rows.take(found, ~is_nowhere, "at 0, 0: without a place")


def _check_overlap(path: Path, found: Rows) -> None:
    """Refuses a fixation that begins before the half of the one before: their clock began anew."""
    assert found.t_ms is not None
    assert found.duration_ms is not None
    assert found.trial is not None
    start, half = found.t_ms.values, found.t_ms.values + found.duration_ms.values / 2
    is_same = ~rows.run_starts(found.trial.values)[1:]
    for row in np.flatnonzero(is_same & (start[1:] < half[:-1]))[:1]:
        first, second = found.place[row : row + 2]
        raise ValueError(
            f"{path} row {second}: the fixation begins at {start[row + 1] / _S_TO_MS:g} s, before "
            f"the half of the one of row {first}, from {start[row] / _S_TO_MS:g} s for "
            f"{found.duration_ms.values[row] / _S_TO_MS:g} s, expected one after the other, or "
            "another medium between two showings of one"
        )


def _check_marks(
    opened: Opened, at: np.ndarray, media: Sequence[np.ndarray], time: np.ndarray
) -> None:
    """Refuses columns that look like the people of exports that were joined.

    Marks change while the time goes on. The time of another person begins anew. Where it begins
    anew with each medium, columns that belong to the media change there, too.

    Args:
        opened: the file.
        at: int64 [n], the rows that fulfil the conditions.
        media: int32 [n], numbers of the media, by each column of media.
        time: float64 [n], of the recording.
    """
    falls = np.diff(time, prepend=time[:1]) < 0
    if not falls.any():
        return
    is_of_media = bool(falls[np.flatnonzero(rows.run_starts(*media))[1:]].all())
    sessions = people.columns_of_session(opened)
    for name in filter(None, opened.columns):
        if _OWN.match(name) or name in sessions:
            continue
        column = containers.read_table(opened, {name})[name]
        marks = rows.names_of(column, missing=rows.MISSING).codes[at]
        changes = np.flatnonzero(rows.run_starts(marks))[1:]
        if not len(changes) or (marks < 0).any() or not falls[changes].all():
            continue
        pairs = np.unique(np.column_stack([*media, marks]), axis=0)
        if is_of_media and len(pairs) == len(np.unique(pairs[:, :-1], axis=0)):
            continue
        raise ValueError(
            f"{opened.path} row {at[changes[0]] + 1}: {name} has a value in each row, and the time "
            "begins anew where it changes: call the column 'participant' if it is the person, else "
            "leave it out of the file"
        )


def _starts(found: Rows, fixation: np.ndarray) -> np.ndarray:
    """Returns bool [n]: whether a row is the first of a fixation in a viewing."""
    assert found.trial is not None
    return rows.run_starts(found.trial.values, fixation)


def _begun_before(
    found: Rows, fixation: np.ndarray, has_fallen: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Finds fixations that go on while the medium changes.

    Their place is a mean over both media, and their start is on the one before.

    Args:
        found: rows of fixations.
        fixation: float64 [n], number of the fixation.
        has_fallen: int64 [n], how often the time has fallen; numbers and starts begin anew then.
        starts: bool [n], of `_starts`.

    Returns:
        bool [n], whether a row is of such a fixation, on the later medium.
    """
    assert found.t_ms is not None
    goes_on = starts & ~rows.run_starts(fixation, found.t_ms.values, has_fallen)
    run = np.cumsum(starts) - 1
    return goes_on[starts][run] if len(run) else goes_on


def _person(path: Path) -> str:
    name = rows.stem(path)
    return _ALL_GAZE.sub("", _FIXATIONS.sub("", name)) or name
