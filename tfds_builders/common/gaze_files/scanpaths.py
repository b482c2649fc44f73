"""Fixations that tools and releases write: JSON of scanpaths and events of pymovements."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_builders.common.gaze_files import containers, one_eye, people, plain, rows
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.rows import Names, Numbers, Rows

_SCANPATH_KEYS = ("name", "subject", "X", "Y")

_COMPARED_KEYS = ("X", "Y", "T", "task")

_PLACE = "location"
_OF_ANY_EYE = ("location_x and location_y", _PLACE)  # Other columns say the eye.
_EVENT_COLUMNS = ("name", "onset", "offset")
_NUMBER_COLUMNS = (
    *("onset", "offset"),
    *(f"location_{axis}{side}" for axis in "xy" for side in ("", "l", "r")),
)
# Names that users give to the columns of trials and files; the first one that exists is taken.
_TRIAL_COLUMNS = {
    "session": ("session", "session_id", "recording", "recording_id"),
    "trial": ("trial", "trial_id", "trial_index"),
}
# These may name different things, so only one of them may exist.
_IMAGE_COLUMNS = ("image", "image_id", "image_name", "stimulus", "stimulus_id", "stimulus_name")
# Angles between gaze and the centre of a screen are smaller.
_LARGEST_DEG = 90.0
# Gaze that leaves the screen to the left or above is rare; few fixations show nothing.
_LARGEST_SHARE_BELOW_0 = 0.25
_FEW_FIXATIONS = 8


def recognise_coco_json(opened: Opened) -> Role:
    """Recognises a JSON list of scanpaths by its keys."""
    if opened.suffix != ".json":
        return ""
    keys = containers.keys_of_json(opened)
    # Of JSON without keys, the reader says what is wrong.
    is_scanpaths = len(keys.intersection(_SCANPATH_KEYS)) > 2 or not keys
    return "fixations" if is_scanpaths else ""


def read_coco_json(opened: Opened, how: How) -> Rows:
    """Reads JSON of scanpaths, the format of COCO-FreeView and COCO-Search18.

    The file is a list of objects with `name`, `subject`, the lists `X`, `Y` and optional `T` (ms).
    Further keys are left out. The place of a row is the number of its object.

    Raises:
        ValueError: the file is no such list, lists have different lengths, a value is no number, a
            scanpath is there twice, or a person has looked at a picture under several `task`s.
    """
    path = opened.path
    scanpaths = containers.json_objects(containers.read_json(opened))
    if not isinstance(scanpaths, list):
        raise ValueError(f"{path} is not JSON of scanpaths, expected a list of objects")
    has_durations = any(isinstance(one, dict) and "T" in one for one in scanpaths)
    keys = ("X", "Y", "T") if has_durations else ("X", "Y")
    for number, one in enumerate(scanpaths, start=1):
        _check_scanpath(one, keys, f"{path} object {number}")
    fits = plain.rows_where_all(opened, how.where, len(scanpaths))
    trials = _trials(str(path), scanpaths, fits)
    lengths = np.array([len(one["X"]) for one in scanpaths], np.int64)
    num_empty = int((lengths[fits] == 0).sum())
    columns = {key: _scanpath_numbers(str(path), scanpaths, key) for key in keys}
    image = rows.names_of([one["name"] for one in scanpaths])
    user = rows.names_of([_text(one["subject"]) for one in scanpaths])
    duration = ", duration from 'T' (ms)" if has_durations else ""
    return Rows(
        place=np.repeat(rows.places(len(scanpaths)), lengths),
        image=Names(np.repeat(image.codes, lengths), image.names),
        user=Names(np.repeat(user.codes, lengths), user.names),
        trial=rows.exact(np.repeat(trials, lengths)),
        x=columns["X"],
        y=columns["Y"],
        duration_ms=columns.get("T"),
        taken=(
            "image from 'name', person from 'subject', trial from the order of the objects, x and "
            f"y from 'X' and 'Y' (pixels of the picture){duration}"
        ),
        left_out={"a viewing without a fixation": num_empty} if num_empty else {},
        whose=(rows.LeftOut(rows.places(len(scanpaths)), user, None, rows.NO_FIXATION),),
        place_text=lambda place: f"object {place}",
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
    if any(length != lengths["X"] for length in lengths.values()):
        raise ValueError(f"{place} has lengths {lengths}, expected equal ones")
    for key, types in (("name", str), ("subject", str | int | float)):
        value = one[key]
        is_name = isinstance(value, types) and not isinstance(value, bool)
        if not is_name or _text(value).strip() in rows.MISSING:
            raise ValueError(f"{place}: {key} is {value!r}, expected a name")


def _text(value: Any) -> str:
    """Returns a name; a whole number has no decimal point."""
    # Half of a surrogate pair is no text.
    return rows.as_text(value).encode(errors="replace").decode()


def _trials(path: str, scanpaths: Sequence[Any], fits: np.ndarray) -> np.ndarray:
    """Numbers the viewings of a picture by a person from 0, in the order of the file.

    Args:
        path: the file, for messages.
        scanpaths: objects that pass `_check_scanpath`.
        fits: bool [objects]; the others are neither checked nor numbered.

    Returns:
        int64 [objects].
    """
    before: dict[tuple[str, str], list[Any]] = {}
    trials = np.zeros(len(scanpaths), np.int64)
    for number in np.flatnonzero(fits).tolist():
        one = scanpaths[number]
        image, user = one["name"], one["subject"]
        # As they are compared later.
        texts = [rows.normalize(text) for text in (image, _text(user))]
        path_of_image, name = (rows.all_digits(text) or text for text in texts)
        others = before.setdefault((rows.plain_path(path_of_image), name), [])
        place = f"{path} object {number + 1}: subject {user!r}"
        if any(all(one.get(key) == other.get(key) for key in _COMPARED_KEYS) for other in others):
            raise ValueError(
                f"{place} has the same scanpath on {image!r} again, expected each scanpath once"
            )
        if others and one.get("task") != others[0].get("task"):
            task = others[0].get("task")
            raise ValueError(
                f"{place} looked at {image!r} under the tasks {task!r} and {one.get('task')!r}, "
                f"expected one task: choose it, such as --where 'task == {task}'"
            )
        trials[number] = len(others)
        others.append(one)
    return trials


def _scanpath_numbers(path: str, scanpaths: Sequence[Any], key: str) -> Numbers:
    """Joins the lists of all objects; the first value that is no number is refused."""
    values = [value for one in scanpaths for value in one[key]]
    joined = np.array([_number(value) for value in values], np.float64)
    name = {"X": "x", "Y": "y", "T": "duration_ms"}[key]
    for row in np.flatnonzero(~np.isfinite(joined))[:1]:
        ends = np.cumsum([len(one[key]) for one in scanpaths])
        number = int(np.searchsorted(ends, row, side="right"))
        position = row - (ends[number] - len(scanpaths[number][key])) + 1
        rule = "a finite number" if isinstance(values[row], float) else "a number"
        raise ValueError(
            f"{path} object {number + 1}, fixation {position}: {name} is {values[row]!r:.40}, "
            f"expected {rule}"
        )
    return rows.exact(joined)


def _number(value: Any) -> float:
    """Returns the value of a number or of its text; NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return np.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return np.nan


def recognise_pymovements(opened: Opened) -> Role:
    """Recognises a table of events by its columns."""
    return "fixations" if set(_EVENT_COLUMNS) <= set(opened.columns) else ""


def read_pymovements(opened: Opened, how: How) -> Rows:
    """Reads events of pymovements: one row an event, with its name, onset, offset and location.

    Raises:
        NoFixationError: the events have no column of locations.
        ValueError: the events have a location in degrees or from the centre, fixations
            of several detections, or several columns that could name the picture.
    """
    path = opened.path
    table = containers.read_table(opened)
    texts = {name for name in table.column_names if not name.startswith("location")}
    containers.check_flat(path, table, texts)
    table = plain.with_one_mark(opened, table, _NUMBER_COLUMNS, how.where)
    fits = plain.rows_where_all(opened, how.where, table.num_rows)
    name = rows.names_of(table["name"])
    is_fixation = np.isin(name.codes, [n for n, one in enumerate(name.names) if _is_fixation(one)])
    if not is_fixation.any():
        others = [one.casefold() for one in name.names if _is_other_kind(one)]
        rows.check_kinds(path, "name", name, ["fixation"], others)
    names = [name.names[code] for code in np.unique(name.codes[fits & is_fixation])]
    if len(names) > 1:
        raise ValueError(
            f"{path} has fixations of several detections ({', '.join(names)}), expected one: "
            f"choose it by --where 'name == {names[0]}'"
        )
    onset, offset = (
        rows.numbers_of(table[column], decimal_comma=opened.decimal_comma)
        for column in ("onset", "offset")
    )
    given = _trial_columns(opened)
    named = {role: rows.names_of(table[column]) for role, column in given.items()}
    if "user" in given:
        named["user"] = people.names_of_people(table, given["user"], "")
    is_left, is_right, is_of_eye = _choose_eye(path, table, fits & is_fixation, named, how)
    # Where a row does not say its eye, places of both eyes have the one that is asked for.
    at_right = ~is_left if how.eye == "right" else is_right
    is_used = fits & is_fixation & is_of_eye
    xy, where = _locations(opened, table, at_right, is_used)
    is_noted = is_used if where in _OF_ANY_EYE else is_used & (is_left | is_right)
    for row in np.flatnonzero(is_fixation & ~np.isfinite(offset.values - onset.values))[:1]:
        times = ", ".join(f"{one} is {table[one][row].as_py()!r}" for one in ("onset", "offset"))
        raise ValueError(f"{path} row {row + 1}: {times}, expected numbers (ms)")
    is_checked = np.flatnonzero(is_used)
    _check_overlap(
        str(path),
        is_checked,
        np.column_stack([onset.values, offset.values]),
        [one.codes for one in named.values()],
    )
    _check_pixels(str(path), xy[is_checked])
    found = Rows(
        place=rows.places(table.num_rows),
        image=named.get("image"),
        user=named.get("user"),
        session=named.get("session"),
        trial=_trial_numbers(table[given["trial"]], named) if "trial" in given else None,
        trial_count=_whole_numbers(table[given["trial"]]) if "trial" in given else None,
        x=rows.exact(xy[:, 0]),
        y=rows.exact(xy[:, 1]),
        duration_ms=rows.exact(offset.values - onset.values),
        t_ms=onset,
        frame="screen",
        taken=", ".join(
            [
                *(f"{role} from {name!r}" for role, name in given.items() if role != "user"),
                people.in_words(given.get("user")),
                f"x and y from {where} (pixels of the screen)",
                f"start and duration from 'onset' and 'offset' (ms) of {', '.join(names)}",
            ]
        )
        + one_eye.in_words(is_noted, is_left, is_right, how.eye),
    )
    of_fixations = [one for one in name.names if _is_fixation(one)]
    others = [one.casefold() for one in name.names if _is_other_kind(one)]
    unknown = rows.unknown_kinds("name", name, of_fixations, others, fits)
    num_unknown = sum(unknown.values())
    num_others = int((~is_fixation).sum()) - num_unknown
    found = rows.take(found, is_fixation)._replace(
        left_out=unknown | ({"events that are no fixation": num_others} if num_others else {})
    )
    found = rows.take(found, is_of_eye[found.place - 1], rows.OTHER_EYE)
    return rows.take(found, np.isfinite(xy[found.place - 1]).all(axis=1), "without a location")


def _is_fixation(name: str) -> bool:
    """Whether an event is a fixation, such as fixation, fixation_eyelink and fixation.ivt."""
    return re.split(r"[._]", name)[0] == "fixation"


def _is_other_kind(name: str) -> bool:
    kinds = ("saccade", "microsaccade", "blink", "glissade", "pso", "unclassified", "pursuit")
    return re.split(r"[._]", name.casefold())[0] in kinds


def _choose_eye(
    path: Path, table: pa.Table, is_used: np.ndarray, named: Mapping[str, Names], how: How
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chooses the eye in each viewing.

    Args:
        path: the file, for messages.
        table: n events.
        is_used: bool [n], fixations that fulfil the conditions; other rows say nothing.
        named: the names of the columns of trials.
        how: the eye, for recordings of both eyes.

    Returns:
        bool [n] each: rows of the left eye, of the right eye, and of the chosen one.
    """
    eyes = rows.no_names(table.num_rows)
    if "eye" in table.column_names:
        eyes = rows.names_of(table["eye"])
    is_left, is_right = (
        np.array([*(name.lower() in (side, side[0]) for name in eyes.names), False])[eyes.codes]
        for side in ("left", "right")
    )
    of_used = rows.take_names(named.get("user"), is_used)
    one_eye.check(path, is_left[is_used], is_right[is_used], how.eye, of_used)
    viewing = np.column_stack([is_used, *(one.codes for one in named.values())])
    _, group = np.unique(viewing, axis=0, return_inverse=True)
    group = group.reshape(-1)
    is_known = is_left | is_right
    for row in np.flatnonzero(is_used & ~is_known & np.isin(group, group[is_known]))[:1]:
        raise ValueError(
            f"{path} row {row + 1}: eye is {table['eye'][int(row)].as_py()!r} beside rows of the "
            "left or right eye, expected left or right: choose rows by --where 'eye == left'"
        )
    return is_left, is_right, one_eye.choose(is_left, is_right, group, how.eye)


def _locations(
    opened: Opened, table: pa.Table, at_right: np.ndarray, is_used: np.ndarray
) -> tuple[np.ndarray, str]:
    """Reads the place of each row.

    Args:
        opened: the file.
        table: n events.
        at_right: bool [n], which of two places a row has, the one of the right or the left eye.
        is_used: bool [n], the rows that need a place.

    Returns:
        float64 [n, 2], NaN where there is no location, and the columns in words.
    """
    is_side = {"": np.ones(len(at_right), bool), "l": ~at_right, "r": at_right}
    pairs = {side: [f"location_{axis}{side}" for axis in "xy"] for side in is_side}
    pairs = {side: pair for side, pair in pairs.items() if set(pair) <= set(table.column_names)}
    pairs = {"": pairs[""]} if "" in pairs else pairs
    if pairs and np.any([is_side[side] for side in pairs], axis=0)[is_used].all():
        xy = np.full((len(at_right), 2), np.nan)
        for side, pair in pairs.items():
            for axis, column in enumerate(pair):
                part = rows.numbers_of(table[column], decimal_comma=opened.decimal_comma)
                for row in np.flatnonzero(part.is_wrong & is_side[side])[:1]:
                    value = table[column][int(row)].as_py()
                    raise ValueError(
                        f"{opened.path} row {row + 1}: {column} is {value!r}, expected a number"
                    )
                xy[is_side[side], axis] = part.values[is_side[side]]
        return xy, " or ".join(" and ".join(pair) for pair in pairs.values())
    if "location" not in table.column_names:
        raise rows.NoFixationError(
            f"{opened.path} has events without a column 'location': compute it with "
            "gaze.compute_event_properties(('location', {'position_column': 'pixel'}))"
        )
    column = table["location"]
    try:
        lengths = set(pc.unique(pc.list_value_length(column)).drop_null().to_pylist())
        if lengths and (len(lengths) > 1 or not lengths <= {2, 4, 6}):
            raise ValueError(
                f"{opened.path}: location has {sorted(lengths)} numbers, expected x and y"
            )
        if not lengths:
            return np.full((len(column), 2), np.nan), _PLACE
        of_both = lengths <= {4, 6}  # x and y of the left, then of the right eye.
        parts = [
            rows.numbers_of(pc.list_element(column, number)).values
            for number in range(4 if of_both else 2)
        ]
    except pa.ArrowException as error:
        raise ValueError(
            f"{opened.path}: location is of the type {column.type}, expected lists of x and y"
        ) from error
    xy = np.column_stack(parts[:2])
    if of_both:
        xy[at_right] = np.column_stack(parts[2:])[at_right]
    return xy, f"{_PLACE} of both eyes" if of_both else _PLACE


def _trial_columns(opened: Opened) -> dict[str, str]:
    """Returns image, user, session and trial -> column, where there is one."""
    images = [column for column in _IMAGE_COLUMNS if column in opened.columns]
    if len(images) > 1:
        raise ValueError(
            f"{opened.path} has the columns {' and '.join(map(repr, images))}, which could both "
            "name the picture: leave one of them in the file"
        )
    found = {"image": images[0]} if images else {}
    person = people.column_of_person(opened)
    if person is not None:
        found["user"] = person
    for role, columns in _TRIAL_COLUMNS.items():
        for column in columns:
            if column in opened.columns:
                found.setdefault(role, column)
    return found


def _trial_numbers(column: pa.ChunkedArray, named: Mapping[str, Names]) -> Numbers:
    """Returns whole numbers as they are, and names of each person by their first rows."""
    people_of = [named[role] for role in ("user", "session") if role in named]
    names = rows.in_order_of_rows(rows.names_of(column), *people_of)
    return _whole_numbers(column) or rows.exact(names)


def _whole_numbers(column: pa.ChunkedArray) -> Numbers | None:
    """Returns the numbers of a column of whole numbers; None: it has others, or names."""
    numbers = rows.numbers_of(column)
    are_whole = np.isfinite(numbers.values).all() and (numbers.values % 1 == 0).all()
    return numbers if are_whole else None


def _check_overlap(
    path: str, checked: np.ndarray, times_ms: np.ndarray, groups: Sequence[np.ndarray]
) -> None:
    """Two fixations at the same time are the results of two detections."""
    onset_ms, offset_ms = times_ms[checked].T
    keys = [group[checked] for group in groups]
    order = np.lexsort((onset_ms, *keys))
    is_first = rows.run_starts(*(key[order] for key in keys), np.zeros(len(order)))
    begins_early = onset_ms[order][1:] < offset_ms[order][:-1]
    for position in np.flatnonzero(~is_first[1:] & begins_early)[:1]:
        before, row = checked[order[position]], checked[order[position + 1]]
        raise ValueError(
            f"{path} row {row + 1}: a fixation begins at {times_ms[row, 0]:g}, before the one of "
            f"row {before + 1} ends at {times_ms[before, 1]:g}, expected one detection and a "
            "column of trials (gaze.detect with clear=True, trial_columns)"
        )


def _check_pixels(path: str, xy: np.ndarray) -> None:
    """Refuses locations that are degrees or pixels from the centre, as their numbers show."""
    xy = xy[np.isfinite(xy).all(axis=1)]
    if not len(xy):
        return
    largest = float(np.abs(xy).max())
    if largest <= _LARGEST_DEG:
        raise ValueError(
            f"{path}: locations are at most {largest:g}, expected pixels of the screen, not "
            "degrees: compute them with {'position_column': 'pixel'}"
        )
    share = float((xy < 0).any(axis=1).mean())
    if share > _LARGEST_SHARE_BELOW_0 and len(xy) >= _FEW_FIXATIONS:
        raise ValueError(
            f"{path}: {share:.0%} of the locations are below 0, expected pixels from the top left "
            "corner: the Experiment needs origin='upper left'"
        )
