"""EyeLink Data Viewer: the fixation report and the sample report.

The columns of a report are chosen at export. Variables of the trials have the names that the
experimenter gave them.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tfds_builders.common.gaze_files import containers, one_eye, people, plain, rows, samples
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.image_variables import SAYS_PICTURE, in_words, may_be_image
from tfds_builders.common.gaze_files.order import check_order
from tfds_builders.common.gaze_files.rows import Names, Numbers, Rows

_LABEL = "RECORDING_SESSION_LABEL"
_X, _Y = "CURRENT_FIX_X", "CURRENT_FIX_Y"
_START, _END, _DURATION = "CURRENT_FIX_START", "CURRENT_FIX_END", "CURRENT_FIX_DURATION"
_INDEX = "CURRENT_FIX_INDEX"
_EYES = ("EYE_REPORTED", "EYE_USED")
_TRIALS = ("TRIAL_INDEX", "TRIAL_LABEL")
# Columns of the other reports of an export.
_BESIDE = frozenset(("CURRENT_MSG_TEXT", "CURRENT_SAC_DURATION", "CURRENT_SAC_START_X"))
# Columns of Data Viewer itself that may hold labels like the name of a picture.
_OWN = re.compile(r"(CURRENT|PREVIOUS|NEXT)_(FIX|SAC|BLINK|MSG)_.*|IA_.*")
_OWN_OF_SAMPLES = re.compile(r"(LEFT|RIGHT|AVERAGE|SAMPLE|TARGET|HTARGET)_.*|IA_.*")

_OWN_OF_TRIALS = re.compile(r"(TRIAL|IP|RECORDING|EYE|SESSION|DATA|VIDEO|INTEREST)_[A-Z_]+")

# Places far off the screen are stored as this number.
_SATURATED_PX = 3270.0

_SATURATED = "saturated far off the screen (3270)"
_NO_PLACE = "without a place"

_GAZE = {"average": "AVERAGE_GAZE", "left": "LEFT_GAZE", "right": "RIGHT_GAZE"}


def recognise_eyelink_report(opened: Opened) -> Role:
    """Recognises a fixation report by its columns."""
    columns = set(opened.columns)
    if {_X, _Y} <= columns:
        return "fixations"
    return "beside" if _LABEL in columns and columns & _BESIDE else ""


def read_eyelink_report(opened: Opened, how: How) -> Rows:
    """Reads a fixation report: one row a fixation, in pixels of the screen.

    Args:
        opened: the file.
        how: the eye, for recordings of both eyes.

    Raises:
        ValueError: two fixations of a viewing overlap or are not in their order, a trial has no
            number, or two images have the same name; the message has the file and the row.
    """
    path = opened.path
    known = [
        name for name in (_LABEL, _X, _Y, _START, _END, _DURATION, _INDEX) if name in opened.columns
    ]
    eye = next((name for name in _EYES if name in opened.columns), None)
    trial_column = next((name for name in _TRIALS if name in opened.columns), None)
    person = _column_of_person(opened)
    own = [*known, *(name for name in (eye, trial_column, person) if name is not None)]
    variables = _variables(opened, own, _OWN)
    texts = {*variables, *own} - {_X, _Y, _START, _END, _DURATION, _INDEX}
    table = containers.read_table(opened, {*own, *variables}, names_in=texts)
    length = table.num_rows
    numbers_in = [name for name in known if name != _LABEL]
    table = plain.with_one_mark(opened, table, numbers_in, how.where)
    user, taken_user = _person(path, table, person)
    is_used = plain.rows_where_all(opened, how.where, length)
    image, taken_image = _image(table, variables, user, trial_column, is_used)
    numbers = {name: _numbers(opened, table, name) for name in numbers_in}
    start, end = numbers.get(_START), numbers.get(_END)
    trial, taken_trial = _trial(path, table, trial_column, user, image, start)
    duration, taken_duration = numbers.get(_DURATION), f"duration from {_DURATION!r} (ms)"
    if duration is None and start is not None and end is not None:
        duration = rows.exact(end.values - start.values)
        taken_duration = f"duration from {_END!r} - {_START!r} (ms, one sample short)"
    cells = {"x": table[_X], "y": table[_Y]}
    if _DURATION in table.column_names:
        cells["duration_ms"] = table[_DURATION]
    if start is not None:
        cells["t_ms"] = table[_START]
    found = Rows(
        place=rows.places(length),
        image=image,
        user=user,
        x=numbers[_X],
        y=numbers[_Y],
        duration_ms=duration,
        t_ms=start,
        trial=trial,
        trial_count=trial if trial_column == "TRIAL_INDEX" else None,
        frame="screen",
        taken=", ".join(
            [
                taken_image,
                taken_user,
                taken_trial,
                f"x and y from {_X!r} and {_Y!r} (pixels of the screen)",
                taken_duration if duration is not None else "no duration",
            ]
        ),
        cells=cells,
        other_users=_other_users(table, person, variables),
    )
    found = rows.without_folders(found)
    codes = np.zeros(length) if trial is None else trial.values
    if eye is not None:
        is_left, is_right = (_is_side(table[eye], side) for side in ("left", "right"))
        of_used = rows.take_names(user, is_used)
        one_eye.check(path, is_left[is_used], is_right[is_used], how.eye, of_used)
        # Of a viewing that a condition parts, the rows that are left out say nothing.
        viewing = np.column_stack([user.codes, np.nan_to_num(codes, nan=-1.0), is_used])
        _, group = np.unique(viewing, axis=0, return_inverse=True)
        kept = one_eye.choose(is_left, is_right, group.reshape(-1), how.eye)
        taken_eye = one_eye.in_words(kept, is_left, is_right, how.eye)
        found = found._replace(taken=found.taken + taken_eye)
        found, codes, is_used = rows.take(found, kept, rows.OTHER_EYE), codes[kept], is_used[kept]
        end = None if end is None else rows.take_numbers(end, kept)
    elif how.eye is not None:
        found = found._replace(
            taken=f"{found.taken}, the eye not known without a column {_EYES[0]} (--eye {how.eye})"
        )
    if start is None and _INDEX in numbers:
        index = numbers[_INDEX].values[found.place - 1]
        check_order(path, found, index, is_used, index_name=_INDEX, time_name=_START)
    if trial is not None and start is not None and end is not None:
        _check_overlap(path, found, codes, end.values, is_used)
    has_place = ~(found.x.is_missing | found.y.is_missing)
    found = rows.take(found, has_place, _NO_PLACE)
    is_saturated = np.abs(found.x.values) == _SATURATED_PX
    is_saturated |= np.abs(found.y.values) == _SATURATED_PX
    return rows.take(found, ~is_saturated, _SATURATED)


def recognise_eyelink_samples(opened: Opened) -> Role:
    """Recognises a sample report by its columns."""
    columns = set(opened.columns)
    if {_X, _Y} <= columns or not columns & {_LABEL, "TIMESTAMP", "TRIAL_INDEX"}:
        return ""
    return "samples" if any(f"{name}_X" in columns for name in _GAZE.values()) else ""


def read_eyelink_samples(opened: Opened, how: How) -> Rows:
    """Detects fixations in a sample report: one row a sample, in pixels of the screen.

    Args:
        opened: the file.
        how: the eye, for recordings of both eyes, and the options of the detection.

    Raises:
        ValueError: no detection is asked for, a column is missing, or times do not rise.
    """
    path = opened.path
    sides = [side for side, name in _GAZE.items() if f"{name}_X" in opened.columns]
    if how.detection is not None and "TIMESTAMP" not in opened.columns:
        raise ValueError(
            f"{path} has no column 'TIMESTAMP', the time of each sample: export it again with this "
            "column"
        )
    trial_column = next((name for name in _TRIALS if name in opened.columns), None)
    places = [f"{_GAZE[side]}_{axis}" for side in sides for axis in "XY"]
    for name in places:
        if name not in opened.columns:
            raise ValueError(f"{path} has no column {name!r}, expected x and y of each eye")
    person = _column_of_person(opened)
    own = [name for name in (_LABEL, trial_column, "TIMESTAMP", person) if name in opened.columns]
    variables = _variables(opened, own, _OWN_OF_SAMPLES)
    texts = {*variables, *own} - {"TIMESTAMP"}
    table = containers.read_table(
        opened, {*own, *places, *variables}, names_in=texts, numbers={"TIMESTAMP"}
    )
    table = plain.with_one_mark(opened, table, [*places, "TIMESTAMP"], how.where)
    user, taken_user = _person(path, table, person)
    fits = plain.rows_where_all(opened, how.where, table.num_rows)
    image, taken_image = _image(table, variables, user, trial_column, fits)
    time = rows.exact(np.arange(table.num_rows, dtype=np.float64))
    if "TIMESTAMP" in table.column_names:
        time = _numbers(opened, table, "TIMESTAMP")
    trial, taken_trial = _trial(path, table, trial_column, user, image, None)
    keys = [user.codes] if trial is None else [user.codes, trial.values]
    starts = rows.run_starts(*keys, fits)
    group = np.cumsum(starts) - 1
    x, y, taken_eye = _gaze_of_samples(opened, table, sides, group, how, user)
    found = Rows(
        place=rows.places(table.num_rows),
        image=image,
        user=user,
        x=rows.exact(x),
        y=rows.exact(y),
        t_ms=time,
        trial=trial,
        trial_count=trial if trial_column == "TRIAL_INDEX" else None,
        frame="screen",
        taken=", ".join(
            [
                taken_image,
                taken_user,
                taken_trial,
                f"fixations detected in samples of {taken_eye} (pixels of the screen) at "
                "'TIMESTAMP' (ms)",
            ]
        ),
        other_users=_other_users(table, person, variables),
    )
    found = plain.take_where(opened, rows.without_folders(found), how.where)
    advice = "the fixation report of Data Viewer has them"
    return samples.fixations_of_samples(path, found, group[fits], how, advice=advice)


def _variables(opened: Opened, own: Sequence[str], pattern: re.Pattern[str]) -> list[str]:
    """Returns the columns that may be variables of the trials."""
    return [
        name for name in opened.columns if name not in own and name and not pattern.fullmatch(name)
    ]


def _numbers(opened: Opened, table: pa.Table, column: str) -> Numbers:
    return rows.numbers_of(table[column], decimal_comma=opened.decimal_comma)


def _column_of_person(opened: Opened) -> str | None:
    return None if _LABEL in opened.columns else people.column_of_person(opened)


def _person(path: Path, table: pa.Table, column: str | None) -> tuple[Names, str]:
    if _LABEL in table.column_names:
        names = rows.names_of(table[_LABEL], rows.MISSING)
        return names, f"person from {_LABEL!r} (the name of the recording)"
    return people.names_of_people(table, column, rows.stem(path)), people.in_words(column)


def _other_users(table: pa.Table, person: str | None, variables: Sequence[str]) -> dict[str, Names]:
    """Reads variables that are called like the person, where another column is the person."""
    found = {
        name: rows.names_of(table[name], rows.MISSING)
        for name in variables
        if person is None and people.names_person(name)
    }
    return {name: names for name, names in found.items() if names.names}


def _image(
    table: pa.Table,
    variables: Sequence[str],
    user: Names,
    trial_column: str | None,
    is_used: np.ndarray,
) -> tuple[Names | None, str]:
    """Takes the image from the one variable that holds names of files of pictures.

    Args:
        table: the table.
        variables: its columns that may be variables of the trials.
        user: names of the people.
        trial_column: column of the trials; None: there is none.
        is_used: bool [n], whether a row fulfils the conditions: the others say nothing.
    """
    named = {name: rows.names_of(table[name], missing=rows.MISSING) for name in variables}
    used = {name: _names_at(names, is_used) for name, names in named.items()}
    found = [name for name, names in used.items() if names and all(map(rows.is_picture, names))]
    columns = " and ".join(map(repr, found))
    if not found:
        return None, "no variable of the trials holds names of pictures"
    picture, *copies = (named[name] for name in found)
    texts = np.array([*picture.names, ""])[picture.codes][is_used]
    for names in copies:
        if not np.array_equal(np.array([*names.names, ""])[names.codes][is_used], texts):
            return None, f"{columns} hold names of pictures, so that the image is not known"

    def taken(names: Names) -> Names:
        return Names(names.codes[is_used], names.names)

    others = {name: taken(names) for name, names in named.items() if name not in found}
    trial = None if trial_column is None else taken(rows.names_of(table[trial_column]))
    varying = _varying(others, taken(user), trial, taken(picture), found[0])
    if varying:
        pictures = used[found[0]]
        those = f"one of {len(pictures)} pictures"
        if len(pictures) == 1:
            those = f"{pictures[0]!r} in all trials"
        return None, f"{columns} is {those}, beside {varying}, so that the image is not known"
    return picture, f"image from {columns}"


def _names_at(names: Names, at: np.ndarray) -> list[str]:
    """The names that some rows have."""
    return [names.names[code] for code in np.unique(names.codes[at]) if code >= 0]


def _varying(
    others: Mapping[str, Names], user: Names, trial: Names | None, picture: Names, column: str
) -> str:
    """Names a variable that may be the picture of each trial, in words; "": there is none.

    Args:
        others: variables that may name the image in another form, such as without a suffix.
        user: names of the people.
        trial: names of the trials; None: the file has none, and each row is as a trial.
        picture: names of pictures.
        column: that has them.
    """
    if trial is None:
        trial = Names(np.arange(len(user.codes), dtype=np.int32), [""] * len(user.codes))
    of_trial = user.codes.astype(np.int64) * (len(trial.names) + 1) + trial.codes
    _, first, number = np.unique(of_trial, return_index=True, return_inverse=True)

    at = first[picture.codes[first] >= 0]

    def most_of_a_person(names: Names) -> int:
        person, code = user.codes[at].astype(np.int64), names.codes[at]
        pairs = np.unique((person * (len(names.names) + 1) + code)[code >= 0])
        return int(np.unique(pairs // (len(names.names) + 1), return_counts=True)[1].max(initial=0))

    num_pictures, num_trials = most_of_a_person(picture), most_of_a_person(trial)
    for name, names in others.items():
        is_own = _OWN_OF_TRIALS.fullmatch(name) and not SAYS_PICTURE.search(name)
        if is_own or not np.array_equal(names.codes, names.codes[first][number]):
            continue
        values, num_values = _names_at(names, at), most_of_a_person(names)
        counts = {"num_pictures": num_pictures, "num_trials": num_trials}
        if may_be_image(name, values, picture=column, num_values=num_values, **counts):
            return in_words(name, values)
    return ""


def _trial(
    path: Path,
    table: pa.Table,
    column: str | None,
    user: Names,
    image: Names | None,
    start: Numbers | None,
) -> tuple[Numbers | None, str]:
    """Returns the number of each trial.

    Without a column of trials, a fall of the times within a person and an image begins a trial.
    """
    if column == "TRIAL_INDEX":
        return rows.numbers_of(table[column]), f"trial from {column!r}"
    if column is not None:
        values = rows.numbers_at_end(rows.names_of(table[column]), user)
        without = np.flatnonzero(np.isnan(values))
        if len(without):
            raise ValueError(
                f"{path} row {without[0] + 1}: {column} is "
                f"{table[column][int(without[0])].as_py()!r}, expected a number at its end"
            )
        return rows.exact(values), f"trial from {column!r}"
    if image is None or start is None:
        return None, "no column of the trial"
    falls = np.append(False, start.values[1:] < start.values[:-1])
    starts = rows.run_starts(user.codes, image.codes) | falls
    return rows.exact(np.cumsum(starts)), f"trials where {_START!r} falls or the image changes"


def _is_side(column: pa.ChunkedArray, side: str) -> np.ndarray:
    """Whether rows are of an eye: bool [n]."""
    eyes = rows.names_of(column)
    return np.array([*(name.lower() == side for name in eyes.names), False])[eyes.codes]


def _check_overlap(
    path: Path, found: Rows, trial: np.ndarray, end: np.ndarray, is_used: np.ndarray
) -> None:
    """Two fixations of one eye cannot be at the same time."""
    assert found.t_ms is not None
    assert found.user is not None
    used = np.flatnonzero(is_used)
    start, user = found.t_ms.values[used], found.user.codes[used]
    order = np.lexsort((start, trial[used], user))
    is_same = (np.diff(user[order]) == 0) & (np.diff(trial[used][order]) == 0)
    again = np.flatnonzero(is_same & (start[order][1:] < end[used][order][:-1]))
    if len(again):
        first, second = found.place[used[order[again[0] : again[0] + 2]]]
        more = f" ({len(again)} such rows)" if len(again) > 1 else ""
        raise ValueError(
            f"{path} row {second}: the fixation begins before the one of row {first} ends, "
            f"expected the fixations of one eye (--where reads some of the rows){more}"
        )


def _gaze_of_samples(
    opened: Opened,
    table: pa.Table,
    sides: Sequence[str],
    group: np.ndarray,
    how: How,
    user: Names,
) -> tuple[np.ndarray, np.ndarray, str]:
    """Returns x and y, float64 [n], of one eye in each viewing, and the eye in words."""
    xy = {}
    for side in sides:
        x, y = (_numbers(opened, table, f"{_GAZE[side]}_{axis}") for axis in "XY")
        wrong = np.flatnonzero(x.is_wrong | y.is_wrong)
        if len(wrong):
            row = int(wrong[0])
            cells = [table[f"{_GAZE[side]}_{axis}"][row].as_py() for axis in "XY"]
            raise ValueError(
                f"{opened.path} row {row + 1}: {_GAZE[side]}_X and _Y are {cells[0]!r} and "
                f"{cells[1]!r}, expected numbers"
            )
        values = np.column_stack([x.values, y.values])
        values[np.any(np.abs(values) == _SATURATED_PX, axis=1)] = np.nan
        values[np.isnan(values).any(axis=1)] = np.nan
        xy[side] = values
    if how.eye is None and "average" in xy:
        return *xy["average"].T, "both eyes, averaged"
    chosen = [side for side in ("left", "right") if side in xy]
    has_gaze_of = {side: np.isfinite(values[:, 0]) for side, values in xy.items()}
    if chosen:
        none = np.zeros(len(group), bool)
        is_left, is_right = (has_gaze_of.get(side, none) for side in ("left", "right"))
        # Rows of a person with gaze of the asked eye are no rows of the other one.
        only_left, only_right = is_left & ~is_right, is_right & ~is_left
        at = np.flatnonzero(is_left | is_right)
        of_gaze = rows.take_names(user, at)
        one_eye.check(opened.path, only_left[at], only_right[at], how.eye, of_gaze)
    if how.eye in chosen:
        chosen.sort(key=lambda side: side != how.eye)
    if not chosen:
        unknown = "" if how.eye is None else f" (the {how.eye} eye is not in the file)"
        return *xy["average"].T, f"both eyes, averaged{unknown}"
    gaze = xy[chosen[0]]
    for side in chosen[1:]:  # A recording of one eye has no number of the other.
        has_gaze = np.zeros(int(group.max(initial=-1)) + 1, bool)
        has_gaze[group[~np.isnan(gaze[:, 0])]] = True
        gaze = np.where(has_gaze[group][:, None], gaze, xy[side])
    return *gaze.T, f"the {chosen[0]} eye"
