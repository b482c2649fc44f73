"""SMI BeGaze: raw events, event statistics, and the text of samples."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from tfds_builders.common import raw_files
from tfds_builders.common.gaze_files import containers, one_eye, people, plain, rows, samples
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.order import check_order
from tfds_builders.common.gaze_files.rows import Names, Numbers, Rows

_EVENTS = "Table Header for Fixations:"
_EVENT_COLUMNS = ("Trial", "Start", "End", "Duration", "Location X", "Location Y")
_MESSAGE = re.compile(r"#\s*Message:\s*(.*\S)")
_SUBJECT = re.compile(r"^(?:##[ \t]*)?Subject:[ \t]*(\S.*)$", re.M)
_CONVERTED = re.compile(r"^(?:##[ \t]*)?Converted from:[ \t]*(\S.*)$", re.M)
_STIMULUS = re.compile(r"^Stimulus:[ \t]*(\S.*)$", re.M)

_START, _END = "Event Start Trial Time [ms]", "Event End Trial Time [ms]"
_DURATION = "Event Duration [ms]"
_INDEX = "Index"  # Of an event among those of its category in the trial.
# Remote trackers and glasses.
_KINDS = {"Fixation": "Fixation Position", "Visual Intake": "Visual Intake Position"}

_SAMPLES = re.compile(r"^Time\tType\tTrial\t.*\b[LR] POR X \[px\].*$", re.M)
# Endings of the names of exported files.
_FILE_ENDINGS = re.compile(r"[ _-]*(events|samples|raw ?data)$", re.IGNORECASE)

# Further categories of event statistics, in small letters.
_OTHER_CATEGORIES = frozenset(
    [
        *("saccade", "blink", "user event", "userevent", "separator", "information", "annotation"),
        *("left click", "right click", "mouse click", "mouse", "scroll", "keyboard", "key press"),
    ]
)
_EVENT_KIND = re.compile(r"(?!(?:Fixation|Saccade|Blink) [LR]\b)(\w+ [LRB])[\t,]")

_NO_PLACE = "without a place"
_SEVERAL = "several images in the trial"
# A trial is hardly longer.
_NEAR_US = 60e6
_US_TO_MS = 0.001


def recognise_smi(opened: Opened) -> Role:
    """Recognises files of BeGaze by their first lines or columns."""
    if _EVENTS in opened.head:
        return "fixations"
    columns = set(opened.columns)
    if "Category" in columns and _positions(opened.columns):
        return "fixations"
    return "samples" if _SAMPLES.search(opened.head) else ""


def recordings_of_smi(opened: Opened) -> set[tuple[str, str]]:
    """Returns each person and the name of the converted recording, "" where it is not named.

    The sessions of event statistics have other names than the recordings.
    """
    if "Participant" in opened.columns and "Category" in opened.columns:
        table = containers.read_table(opened, {"Participant"}, names_in={"Participant"})
        names = rows.names_of(table["Participant"], missing=rows.MISSING)
        found = {(name, "") for name in names.names}
        session = people.names_of_sessions(opened)
        pairs = [] if session is None else rows.combinations(names, session)
        return found | {(user, of_session) for user, of_session in pairs if user}
    subject = _SUBJECT.search(opened.head)
    user = rows.normalize(subject[1]) if subject else _name_of_file(opened.path)
    recording = _CONVERTED.search(opened.head)
    return {(user, re.split(r"[\\/]", recording[1].strip())[-1] if recording else "")}


def read_smi(opened: Opened, how: How) -> Rows:
    """Reads the fixations of a file of BeGaze, in pixels of the screen.

    Args:
        opened: the file.
        how: the eye, for recordings of both eyes, and the options of the detection in samples.

    Raises:
        ValueError: a line or row is damaged, or samples are given without a detection; the message
            has the file and the place.
    """
    match recognise_smi(opened):
        case "samples":
            return _read_samples(opened, how)
        case "fixations" if _EVENTS in opened.head:
            return _read_events(opened, how)
    return _read_statistics(opened, how)


def _read_events(opened: Opened, how: How) -> Rows:
    """Reads raw events: lines of fixations and other events, each kind with columns of its own."""
    path = opened.path
    text = containers.read_text(opened, is_log=True)
    lines = containers.split_lines(text)
    header = lines[next(row for row, line in enumerate(lines) if _EVENTS in line) + 1 :][:1]
    delimiter = "," if "," in "".join(header) else "\t"
    names = [name.strip() for name in "".join(header).split(delimiter)]
    for name in _EVENT_COLUMNS:
        if name not in names:
            raise ValueError(
                f"{path}: the header of fixations has no column {name!r}, expected "
                f"{', '.join(_EVENT_COLUMNS)}"
            )
    place = np.array(
        [row for row, line in enumerate(lines, 1) if re.match(r"Fixation [LR]\b", line)], np.int64
    )
    table = _table_of_lines(path, [lines[row - 1] for row in place], place, names, delimiter)
    opened = opened._replace(delimiter=delimiter)
    table = plain.with_one_mark(opened, table, _EVENT_COLUMNS, ())
    trial, start, end, duration, x, y = (
        rows.numbers_of(table[name], decimal_comma=delimiter != ",") for name in _EVENT_COLUMNS
    )
    for name, numbers in zip(_EVENT_COLUMNS, (trial, start, end, duration), strict=False):
        _refuse(
            path,
            place,
            ~np.isfinite(numbers.values),
            lambda row, name=name: (  # type: ignore[misc]
                f"{name} is {table[name][row].as_py()!r}, expected a number"
            ),
        )
    _refuse(
        path,
        place,
        np.abs(duration.values - (end.values - start.values)) > 1,
        lambda row: (
            f"Duration is {duration.values[row]:g}, expected End - Start, "
            f"{end.values[row] - start.values[row]:g} microseconds"
        ),
    )
    kinds = rows.names_of(table[names[0]])
    is_left = np.array([name == "Fixation L" for name in kinds.names] + [False])[kinds.codes]
    _, group = np.unique(trial.values, return_inverse=True)
    subject = _SUBJECT.search(text)
    image, shown_us, is_several, taken_image = _images_of_events(
        path, lines, delimiter, trial.values
    )
    is_known = np.isfinite(shown_us) & ~is_several
    _check_clock(path, shown_us[is_known], start.values[is_known], end.values[is_known])
    # Where no trial has a fixation after its message, messages name pictures that were shown.
    if is_known.any() and (start.values < shown_us)[is_known].all():
        if len(np.unique(trial.values[is_known])) > 1:
            shown_us = np.full(len(shown_us), np.nan)
            taken_image += " at the end of the trials"
        elif (end.values < shown_us)[is_known].any():
            raise ValueError(
                f"{path}: all fixations of the only trial with a picture start before the message "
                f"of the picture, at {shown_us[is_known][0]:.0f}, so that nothing says whether the "
                "message is at the start or at the end of a trial: export all trials of the "
                "recording into one file"
            )
    taken_user = "'Subject'" if subject else "the name of the file"
    found = Rows(
        place=place,
        image=image,
        user=rows.one_name(subject[1] if subject else _name_of_file(path), len(place)),
        x=x,
        y=y,
        duration_ms=rows.exact(duration.values * _US_TO_MS),
        t_ms=rows.exact(start.values * _US_TO_MS),
        trial=trial,
        trial_count=trial,
        frame="screen",
        taken=(
            f"{taken_image}, person from {taken_user}, trial from 'Trial', x and y from "
            "'Location X' and 'Location Y' (pixels of the screen), duration from 'Duration' and "
            "start from 'Start' (microseconds)"
        ),
        place_text=lambda number: f"line {number}",
    )
    found = rows.without_folders(found)
    _check_letters(opened, found)
    one_eye.check(path, is_left, ~is_left, how.eye)
    kept = one_eye.choose(is_left, ~is_left, group, how.eye)
    taken_eye = one_eye.in_words(kept, is_left, ~is_left, how.eye)
    found = found._replace(taken=found.taken + taken_eye)
    unknown = rows.names_of([match[1] for match in map(_EVENT_KIND.match, lines) if match])
    found = found._replace(left_out=rows.unknown_kinds(names[0], unknown, (), ()))
    is_early = (end.values < shown_us)[kept]
    found, is_several = rows.take(found, kept, rows.OTHER_EYE), is_several[kept]
    found, is_early = rows.take(found, ~is_several, _SEVERAL), is_early[~is_several]
    found = rows.take(found, ~is_early, "before the trial's picture (# Message)")
    return rows.take(found, ~(found.x.is_missing | found.y.is_missing), _NO_PLACE)


def _check_clock(path: Path, shown: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    """Checks that messages have the unit of the fixations of their trials, microseconds.

    Args:
        path: the file.
        shown: float64 [n], time of the message of each fixation's trial.
        start: float64 [n], of the fixation, in microseconds.
        end: alike.
    """

    def share_near(times: np.ndarray) -> float:
        return float(((times > start - _NEAR_US) & (times < end + _NEAR_US)).mean())

    for factor, unit in ((1e3, "milliseconds"), (1e6, "seconds"), (1e-3, "nanoseconds")):
        if len(shown) and share_near(factor * shown) > max(0.5, share_near(shown)):
            raise ValueError(
                f"{path}: the times of messages, such as {shown[0]:.15g}, look like {unit}, and "
                f"those of fixations are microseconds, such as {start[0]:.15g}: expected one unit"
            )


def _check_letters(opened: Opened, found: Rows) -> None:
    containers.check_letters(opened, found.image, "image")
    containers.check_letters(opened, found.user, "user")


def _images_of_events(
    path: Path, lines: Sequence[str], delimiter: str, trial: np.ndarray
) -> tuple[Names | None, np.ndarray, np.ndarray, str]:
    """Finds the image of each fixation from the messages of its trial.

    Returns:
        The images; float64 [n] time of the first message with the image, in microseconds, NaN where
        it is not known; bool [n], whether the trial has several images; and where they are from.
    """
    of_trial: dict[float, dict[str, float]] = {}
    for number, line in enumerate(lines, start=1):
        fields = line.split(delimiter, 4)
        if fields[0] != "UserEvent" or len(fields) < 5:
            continue
        message = _MESSAGE.match(fields[4])
        if message and rows.is_picture(message[1]) and re.fullmatch(r"\d{1,9}", fields[1]):
            time = fields[3].strip().replace(",", ".")
            if not re.fullmatch(r"\d{1,18}(\.\d*)?", time):
                raise ValueError(
                    f"{path} line {number}: the time of the message {message[1]!r} is "
                    f"{fields[3]!r}, expected a number"
                )
            of_trial.setdefault(float(fields[1]), {}).setdefault(message[1], float(time))
    is_several = np.array([len(of_trial.get(one, {})) > 1 for one in trial], bool)
    if of_trial:
        texts = [next(iter(of_trial.get(one, {})), "") for one in trial]
        names = rows.names_of(texts)
        first_us = [next(iter(of_trial.get(one, {}).values()), np.nan) for one in trial]
        shown_us = np.array(first_us, np.float64)
        return names, shown_us, is_several, "image from the messages of user events"
    shown_us = np.full(len(trial), np.nan)
    stimulus = _STIMULUS.search("\n".join(lines[:40]))
    if stimulus and rows.is_picture(stimulus[1].strip()):
        image = rows.one_name(stimulus[1], len(trial))
        return image, shown_us, is_several, "image from 'Stimulus'"
    return None, shown_us, is_several, "no message names an image"


def _positions(columns: Sequence[str]) -> Mapping[str, str]:
    """Returns the category and the begin of the names of the columns of positions."""
    return {
        kind: name
        for kind, name in _KINDS.items()
        if {f"{name} X [px]", f"{name} Y [px]"} <= set(columns)
    }


def _read_statistics(opened: Opened, how: How) -> Rows:
    """Reads event statistics: one row an event of any category."""
    path = opened.path
    positions = _positions(opened.columns)
    for name in ("Category", "Participant"):
        if name not in opened.columns:
            raise ValueError(f"{path} has no column {name!r}: export it again with this column")
    known = [
        name
        for name in ("Stimulus", "Participant", "Trial", "Category", "Eye L/R", _INDEX)
        if name in opened.columns
    ]
    times = [name for name in (_START, _END, _DURATION) if name in opened.columns]
    axes = [f"{name} {axis} [px]" for name in positions.values() for axis in "XY"]
    table = containers.read_table(opened, {*known, *times, *axes}, names_in=set(known))
    table = plain.with_one_mark(opened, table, [*times, *axes], how.where)
    categories = rows.names_of(table["Category"])
    rows.check_kinds(path, "Category", categories, list(positions), _OTHER_CATEGORIES)
    category = np.array([*categories.names, ""])[categories.codes]
    length = table.num_rows
    is_used = plain.rows_where_all(opened, how.where, length)
    x, y = rows.exact(np.full(length, np.nan)), rows.exact(np.full(length, np.nan))
    is_fixation = np.zeros(length, bool)
    for kind, name in positions.items():
        of_kind = category == kind
        is_fixation |= of_kind
        x, y = (
            _where(of_kind, _numbers(opened, table, f"{name} {axis} [px]"), other)
            for axis, other in (("X", x), ("Y", y))
        )
    start, end, duration = (
        _numbers(opened, table, name) if name in times else None
        for name in (_START, _END, _DURATION)
    )
    taken_duration = f"duration from {_DURATION!r}"
    if duration is None and start is not None and end is not None:
        duration = rows.exact(end.values - start.values)
        taken_duration = f"duration from {_END!r} - {_START!r}"
    user = rows.names_of(table["Participant"], missing=rows.MISSING)
    image, trial, count = None, None, None
    if "Stimulus" in known:
        image = rows.names_of(table["Stimulus"], missing=rows.MISSING)
    if "Trial" in known:
        names = rows.names_of(table["Trial"], missing=rows.MISSING)
        values = rows.numbers_at_end(names, user)
        if not np.isnan(values[names.codes >= 0]).any():
            trial = rows.exact(values)
            count = trial if rows.end_in_other_numbers(names) else None
    found = Rows(
        place=rows.places(length),
        image=image,
        user=user,
        x=x,
        y=y,
        duration_ms=duration,
        t_ms=start,
        trial=trial,
        trial_count=count,
        frame="screen",
        taken=", ".join(
            [
                "no column of the image" if image is None else "image from 'Stimulus'",
                "person from 'Participant'",
                "no number of the trial" if trial is None else "trial from 'Trial'",
                f"x and y from {' and '.join(map(repr, axes))} (pixels of the screen)",
                "no duration" if duration is None else f"{taken_duration} (ms)",
            ]
        ),
        left_out=rows.unknown_kinds(
            "Category", categories, list(positions), _OTHER_CATEGORIES, is_used
        ),
        cells={"t_ms": table[_START]} if _START in times else {},
    )
    # Of a viewing that a condition parts, the rows that are left out say nothing.
    viewing = [is_used, user.codes, np.zeros(length) if image is None else image.codes]
    viewing.append(np.zeros(length) if trial is None else np.nan_to_num(trial.values, nan=-1))
    at = np.flatnonzero(is_fixation)
    found = rows.take(found, at)
    _, group = np.unique(np.column_stack(viewing)[at], axis=0, return_inverse=True)
    group = group.reshape(-1)
    if "Eye L/R" in known:
        eyes = rows.names_of(table["Eye L/R"])
        side = np.array([*(name.lower() for name in eyes.names), ""])[eyes.codes][at]
        is_left, is_right = np.isin(side, ("left", "l")), np.isin(side, ("right", "r"))
        used = is_used[at]
        of_used = rows.take_names(user, at[used])
        one_eye.check(path, is_left[used], is_right[used], how.eye, of_used)
        kept = one_eye.choose(is_left, is_right, group, how.eye)
        taken_eye = one_eye.in_words(kept, is_left, is_right, how.eye)
        found = found._replace(taken=found.taken + taken_eye)
        found, group = rows.take(found, kept, rows.OTHER_EYE), group[kept]
    elif how.eye is not None:
        found = found._replace(
            taken=f"{found.taken}, the eye not known without a column Eye L/R (--eye {how.eye})"
        )
    # A row for each area that a fixation is on, or for each eye.
    keys = [group, found.x.values, found.y.values]
    if found.t_ms is not None:
        keys.append(found.t_ms.values)
    else:
        if found.duration_ms is not None:
            keys.append(found.duration_ms.values)
        if _INDEX in known:
            keys.append(rows.names_of(table[_INDEX]).codes[found.place - 1])
    _, first = np.unique(np.column_stack(keys), axis=0, return_index=True)
    found = rows.take(found, np.sort(first), "a fixation again, on another area or of another eye")
    if found.t_ms is None and _INDEX in known:
        index = _numbers(opened, table, _INDEX).values[found.place - 1]
        used = is_used[found.place - 1]
        check_order(path, found, index, used, index_name=_INDEX, time_name=_START)
    return rows.take(found, ~(found.x.is_missing | found.y.is_missing), _NO_PLACE)


def _where(chosen: np.ndarray, first: Numbers, second: Numbers) -> Numbers:
    """Returns the first numbers where bool [n] is true, else the second."""
    return Numbers(
        *(np.where(chosen, one, other) for one, other in zip(first, second, strict=True))
    )


def _numbers(opened: Opened, table: pa.Table, column: str) -> Numbers:
    return rows.numbers_of(table[column], decimal_comma=opened.decimal_comma)


def _read_samples(opened: Opened, how: How) -> Rows:
    """Detects fixations in lines of samples; lines of messages have other columns."""
    path = opened.path
    text = containers.read_text(opened, is_log=True)
    lines = containers.split_lines(text)
    first = next(row for row, line in enumerate(lines) if _SAMPLES.fullmatch(line))
    names = lines[first].split("\t")
    place = np.array(
        [row for row, line in enumerate(lines, 1) if row > first + 1 and "\tSMP\t" in line],
        np.int64,
    )
    table = _table_of_lines(path, [lines[row - 1] for row in place], place, names, "\t")
    of_numbers = [name for name in names if name == "Time" or "POR" in name]
    table = plain.with_one_mark(opened._replace(delimiter="\t"), table, of_numbers, ())
    time, trial = (rows.numbers_of(table[name], decimal_comma=True) for name in ("Time", "Trial"))
    image = None
    keys = [trial.values]
    if "Stimulus" in names:
        image = rows.names_of(table["Stimulus"], missing=rows.MISSING)
        keys.append(image.codes)
    sides = [side for side in "LR" if {f"{side} POR {axis} [px]" for axis in "XY"} <= set(names)]
    chosen = ["R", "L"] if how.eye == "right" else ["L", "R"]
    group = np.cumsum(rows.run_starts(*keys)) - 1
    xy = np.full((len(place), 2), np.nan)
    has_gaze_of = dict.fromkeys("LR", np.zeros(len(place), bool))
    is_of = dict.fromkeys("LR", np.zeros(len(place), bool))
    for side in chosen:
        if side not in sides:
            continue
        x, y = (
            rows.numbers_of(table[f"{side} POR {axis} [px]"], decimal_comma=True) for axis in "XY"
        )
        _refuse(
            path,
            place,
            x.is_wrong | y.is_wrong,
            lambda row, side=side: (  # type: ignore[misc]
                f"{side} POR X and Y are {table[f'{side} POR X [px]'][row].as_py()!r} and "
                f"{table[f'{side} POR Y [px]'][row].as_py()!r}, expected numbers"
            ),
        )
        values = np.column_stack([x.values, y.values])
        values[(values == 0).all(axis=1) | np.isnan(values).any(axis=1)] = np.nan
        has_gaze_of[side] = ~np.isnan(values[:, 0])
        # An eye without gaze in a whole trial was not recorded.
        has_gaze = np.zeros(int(group.max(initial=-1)) + 1, bool)
        has_gaze[group[~np.isnan(xy[:, 0])]] = True
        is_of[side] = ~has_gaze[group] & has_gaze_of[side]
        xy = np.where(has_gaze[group][:, None], xy, values)
    one_eye.check(path, has_gaze_of["L"], has_gaze_of["R"], how.eye)
    taken_eye = one_eye.in_words(is_of["L"] | is_of["R"], is_of["L"], is_of["R"], how.eye)
    subject = _SUBJECT.search(opened.head)
    found = Rows(
        place=place,
        image=image,
        user=rows.one_name(subject[1] if subject else _name_of_file(path), len(place)),
        x=rows.exact(xy[:, 0]),
        y=rows.exact(xy[:, 1]),
        t_ms=rows.exact(time.values * _US_TO_MS),
        trial=trial,
        trial_count=trial,
        frame="screen",
        taken=(
            f"{'no column of the image' if image is None else 'image from ' + repr('Stimulus')}, "
            f"person from {'Subject' if subject else 'the name of the file'}, trial from 'Trial', "
            f"fixations detected in samples of 'POR' (pixels of the screen, 0, 0: no gaze) at "
            f"'Time' (microseconds){taken_eye}"
        ),
        place_text=lambda number: f"line {number}",
    )
    _check_letters(opened, found)
    return samples.fixations_of_samples(
        path, found, group, how, advice="the export of events of BeGaze has them"
    )


def _table_of_lines(
    path: Path, lines: Sequence[str], place: np.ndarray, names: Sequence[str], delimiter: str
) -> pa.Table:
    """Reads some lines of a text as a table of texts."""
    num_delimiters = np.array([line.count(delimiter) for line in lines], np.int64)
    _refuse(
        path,
        place,
        num_delimiters != len(names) - 1,
        lambda row: f"{num_delimiters[row] + 1} values, expected {len(names)}: {', '.join(names)}",
    )
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{path} has two columns {name!r}, expected different names")
    if not lines:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader("\n".join(lines).encode()),
            read_options=pyarrow.csv.ReadOptions(column_names=list(names)),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=[]
            ),
        )
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a table: {raw_files.one_line(error)}") from error


def _refuse(
    path: Path, place: np.ndarray, is_wrong: np.ndarray, message: Callable[[int], str]
) -> None:
    """Raises a ValueError for the first line where bool [n] is true."""
    for row in np.flatnonzero(is_wrong)[:1]:
        more = f" ({int(is_wrong.sum())} such lines)" if is_wrong.sum() > 1 else ""
        raise ValueError(f"{path} line {place[row]}: {message(int(row))}{more}")


def names_another_recording(path: Path, recording: str) -> bool:
    """Whether a file is called like a recording with another number, such as P01_1 and P01_2.idf.

    Event statistics do not name the recording otherwise.
    """
    names = _name_of_file(path), rows.stem(Path(recording))
    forms = {re.sub(r"\d+", "0", name) for name in names}
    return len(forms) == 1 and len(set(names)) == 2


def _name_of_file(path: Path) -> str:
    return _FILE_ENDINGS.sub("", rows.stem(path)) or rows.stem(path)
