"""Fixations of all files together: joined, checked against each other, grouped by image."""

import collections
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np

from tfds_builders.common import gaze_schema
from tfds_builders.common.coordinates import Units, YAxis
from tfds_builders.common.gaze_files import joined_checks, rows
from tfds_builders.common.gaze_files.rows import Names, Rows


class Fixations(NamedTuple):
    """Fixations of one or several files after all values are checked, in the order of the files.

    Attributes:
        image_ids: names of the images, sorted.
        user_ids: names of the people, sorted as numbers if all are numbers, else as texts.
        session_ids: names of the sessions of each person, numbers in names sorted as numbers; "": a
            session without a name; []: not known.
        image: int32 [n], index into `image_ids`.
        user: int32 [n], index into `user_ids`.
        session: int32 [n], index into the sessions of the person; 0 where not known.
        trial: int64 [n], as in the file; 0 where not known.
        xy: float64 [n, 2], in `units`.
        duration_ms: float64 [n]; None: not known.
        t_ms: float64 [n]; None: not known.
        format: name of the format.
        units: units of `xy`.
        frame: what `xy` is relative to.
        y_axis: direction of y.
        screen_px: size of the screen, where the files say it.
        pixels_per_degree: where the files say it.
        notes: what was read from what, and what was left out, one line each.
        warnings: what speaks against rows that were read all the same, likewise.
    """

    image_ids: list[str]
    user_ids: list[str]
    session_ids: list[list[str]]
    image: np.ndarray
    user: np.ndarray
    session: np.ndarray
    trial: np.ndarray
    xy: np.ndarray
    duration_ms: np.ndarray | None
    t_ms: np.ndarray | None
    format: str
    units: Units
    frame: Literal["image", "screen"]
    y_axis: YAxis
    screen_px: tuple[int, int] | None
    pixels_per_degree: float | None
    notes: list[str]
    warnings: list[str]


# Ways in which files of one format were read that are shown: a file each would fill the screen.
_SHOWN_WAYS = 5


def join(
    name: str,
    parts: Sequence[tuple[Path, Rows]],
    notes: Sequence[str],
    left_out: Mapping[str, int] = MappingProxyType({}),
) -> tuple[Fixations | None, list[str]]:
    """Joins the rows of all files.

    Args:
        name: name of the format.
        parts: the files and their rows, without errors.
        notes: further notes.
        left_out: reason -> number of rows of other files that are left out, too.

    Returns:
        The fixations, or None if there are errors; and the errors.

    Raises:
        ValueError: the files cannot be one data set.
    """
    found = [part for _, part in parts]
    first = found[0]
    for field in ("units", "frame", "y_axis", "screen_px"):
        values = collections.Counter(getattr(part, field) for part in found)
        if len(values) > 1:
            usual, rare = values.most_common()[0][0], values.most_common()[-1][0]
            one, other = (
                next(path for path, part in parts if getattr(part, field) == value)
                for value in (rare, usual)
            )
            raise ValueError(
                f"--table: files differ in {field}: {one} has {rare}, and {other} has {usual}: "
                "build them as data sets of their own"
            )
    for field in ("duration_ms", "t_ms", "shown_px"):
        lacking = [path for path, part in parts if getattr(part, field) is None]
        if lacking and len(lacking) < len(parts):
            name = "place of the image on the screen" if field == "shown_px" else field
            raise ValueError(f"{lacking[0]} has no {name}, which other files have")
    image_ids, image = _joined_names([part.image for part in found])
    user_ids, user = _joined_names([part.user for part in found])
    session_ids, session = _sessions(found, user, len(user_ids))
    xy = np.concatenate([np.column_stack([part.x.values, part.y.values]) for part in found])
    units, frame = first.units, first.frame
    if first.shown_px is not None:
        shown = np.concatenate([part.shown_px for part in found if part.shown_px is not None])
        xy = (xy - shown[:, :2]) / shown[:, 2:]
        units, frame = "frac", "image"

    def joined(field: str) -> np.ndarray | None:
        columns = [getattr(part, field) for part in found]
        if columns[0] is None:
            return None
        return np.concatenate([column.values for column in columns])

    trials = [
        np.zeros(len(part.place)) if part.trial is None else part.trial.values for part in found
    ]
    fixations = Fixations(
        image_ids,
        user_ids,
        session_ids,
        image,
        user,
        session,
        np.concatenate(trials).astype(np.int64),
        xy,
        joined("duration_ms"),
        joined("t_ms"),
        name,
        units,
        frame,
        first.y_axis,
        first.screen_px,
        first.pixels_per_degree,
        [*_notes(name, parts, left_out), *notes],
        [
            f"{count} rows read all the same: {reason}"
            for reason, count in _total([part.doubtful for _, part in parts]).items()
        ]
        + _other_people(found, user_ids, user)
        + _in_other_folders(parts),
    )
    if (is_cut := joined_checks.is_cut(fixations, parts)).any():
        ends = np.cumsum([len(part.place) for part in found])
        whole = [
            (path, rows.take(part, ~of_file, "of a fixation that began in another file"))
            for (path, part), of_file in zip(parts, np.split(is_cut, ends[:-1]), strict=True)
        ]
        return join(fixations.format, whole, notes, left_out)
    fixations = fixations._replace(trial=joined_checks.in_order_of_time(fixations, parts))
    if errors := joined_checks.check(fixations, parts):
        return None, errors
    return fixations._replace(notes=[*fixations.notes, *_note_order(fixations, len(parts))]), []


def _other_people(found: Sequence[Rows], user_ids: Sequence[str], user: np.ndarray) -> list[str]:
    """Says which columns, called like the person, divide the rows otherwise than the people do."""
    ends = np.cumsum([len(part.place) for part in found])
    pairs: dict[str, set[tuple[str, str]]] = {}
    for part, codes in zip(found, np.split(user, ends[:-1]), strict=True):
        for column, names in part.other_users.items():
            both = np.unique(np.column_stack([codes, names.codes])[names.codes >= 0], axis=0)
            pairs.setdefault(column, set()).update(
                (user_ids[one], names.names[other]) for one, other in both if one >= 0
            )
    warnings = []
    for column, of_column in pairs.items():
        for here in (1, 0):
            by_name: dict[str, list[str]] = {}
            for pair in sorted(of_column):
                by_name.setdefault(pair[here], []).append(pair[1 - here])
            name, others = max(by_name.items(), key=lambda one: len(one[1]), default=("", []))
            if len(others) < 2:
                continue
            shown = " and ".join(map(repr, others[:2]))
            are = (
                f"{shown} are one person {name!r} there" if here else (f"{name!r} is {shown} there")
            )
            warnings.append(
                f"{column!r} names other people than those read ({are}): --user-from takes a "
                "person out of a longer name; to take the people from one of the two columns, "
                "leave the other one out of the files"
            )
            break
    return warnings


def _in_other_folders(parts: Sequence[tuple[Path, Rows]]) -> list[str]:
    """Says which images are in folders of two names, which may be of two sets of images."""
    known: dict[str, tuple[str, Path]] = {}
    of_two: dict[str, str] = {}
    for path, part in parts:
        for name, whole in part.image_paths.items():
            folder = whole.rpartition("/")[0].rpartition("/")[2]
            other, other_path = known.setdefault(name, (folder, path)) if folder else ("", path)
            if other.casefold() != folder.casefold() and name not in of_two:
                of_two[name] = f"{other!r} in {other_path} and {folder!r} in {path}"
    if not of_two:
        return []
    name, folders = next(iter(of_two.items()))
    more = f" and {len(of_two) - 1} more" if len(of_two) > 1 else ""
    return [
        f"images read as one that are in folders of two names: {name!r}{more} (in {folders}): "
        "build a data set of each folder where they are two images"
    ]


def _joined_names(columns: Sequence[Names | None]) -> tuple[list[str], np.ndarray]:
    """Returns all names, sorted, and the index [n] of each row."""
    given = [column for column in columns if column is not None]
    names = sort_names({name for column in given for name in column.names})
    number = {name: position for position, name in enumerate(names)}
    codes = [
        np.array([number[name] for name in column.names], np.int32)[column.codes]
        for column in given
    ]
    used = np.unique(np.concatenate(codes))
    if len(used) < len(names):  # Names of rows that were left out.
        again = np.full(len(names), -1, np.int32)
        again[used] = np.arange(len(used))
        return [names[code] for code in used], again[np.concatenate(codes)]
    return names, np.concatenate(codes)


def sort_names(names: set[str]) -> list[str]:
    """Sorts names as numbers if all are numbers, else as texts."""
    are_numbers = all(name.isdecimal() for name in names)
    return sorted(names, key=lambda name: (int(name) if are_numbers else 0, name))


def natural_key(name: str) -> list[str | int]:
    """Sorts numbers within names as numbers, and names of numbers alone alike.

    Example:
        >>> sorted(["Recording10", "Recording2", ""], key=natural_key)
        ['', 'Recording2', 'Recording10']
    """
    parts = re.split(r"(\d+)", name)
    return [*(int(part) if number % 2 else part for number, part in enumerate(parts)), 0, name]


def _sessions(
    found: Sequence[Rows], user: np.ndarray, num_users: int
) -> tuple[list[list[str]], np.ndarray]:
    """Numbers the sessions of each person from 0, in the order of their names."""
    columns = [
        rows.no_names(len(part.place))
        if part.session is None
        else rows.without_markers(part.session)
        for part in found
    ]
    if all((column.codes < 0).all() for column in columns):
        return [], np.zeros(len(user), np.int32)
    # A row without a session belongs to a session without a name.
    columns = [
        Names(np.where(column.codes < 0, len(column.names), column.codes), [*column.names, ""])
        for column in columns
    ]
    names, code = _joined_names(columns)
    # Sessions are in the order of time: the second recording is before the tenth.
    order = sorted(range(len(names)), key=lambda number: natural_key(names[number]))
    names, code = [names[number] for number in order], np.argsort(order)[code]
    pairs, row = np.unique(user.astype(np.int64) * len(names) + code, return_inverse=True)
    owner, first = pairs // len(names), pairs % len(names)
    starts = np.searchsorted(owner, np.arange(num_users))
    session = (np.arange(len(pairs)) - starts[owner])[row].astype(np.int32)
    session_ids: list[list[str]] = [[] for _ in range(num_users)]
    for user_number, session_number in zip(owner, first, strict=True):
        session_ids[user_number].append(names[session_number])
    return session_ids, session


def _note_order(fixations: Fixations, num_files: int) -> list[str]:
    """Says the order of sessions whose names may not be in time, such as `post` and `pre`.

    Numbers, and dates that begin with the year, are in time. Others may be if the rows of one file
    have the same order; several files are read in the order of their names.
    """
    for user, names in enumerate(fixations.session_ids):
        parts = [re.split(r"\d+", name) for name in names]
        is_of_year = all(re.match(r"(19|20)\d\d", name) for name in names)
        are_numbered = len(parts[0]) == 2 and all(one == parts[0] for one in parts)
        if len(names) < 2 or is_of_year or are_numbered:
            continue
        is_first = np.unique(fixations.session[fixations.user == user], return_index=True)[1]
        by_row = [names[number] for number in np.argsort(is_first, kind="stable")]
        shown, rows_have = (", ".join(map(repr, order[:_SHOWN_WAYS])) for order in (names, by_row))
        if num_files == 1 and by_row == names:
            continue
        otherwise = f", where the rows have {rows_have}" if by_row != names else ""
        return [
            f"sessions are in the order of their names, such as {shown} of user "
            f"{fixations.user_ids[user]!r}{otherwise}: if that is not the order of time, begin the "
            "names with a number or with the year"
        ]
    return []


def _notes(
    name: str, parts: Sequence[tuple[Path, Rows]], of_others: Mapping[str, int]
) -> list[str]:
    """Says what the files were taken for, by which columns, and what is left out."""
    ways: dict[str, list[Path]] = {}
    for path, part in parts:
        ways.setdefault(part.taken, []).append(path)
    notes = []
    for taken, (path, *others) in list(ways.items())[:_SHOWN_WAYS]:
        which = f"{path} and {len(others)} more" if others else str(path)
        notes.append(f"{which} read as {name}" + (f": {taken}" if taken else ""))
    if rest := sum(map(len, list(ways.values())[_SHOWN_WAYS:])):
        notes.append(f"{rest} more files read in other ways; `data check` of one file says how")
    left_out = _total([*(part.left_out for _, part in parts), of_others])
    return notes + [f"{count} rows left out: {reason}" for reason, count in left_out.items()]


def _total(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Adds numbers of rows by their reason."""
    total: dict[str, int] = {}
    for of_part in counts:
        for reason, count in of_part.items():
            total[reason] = total.get(reason, 0) + count
    return total


def group_by_image(fixations: Fixations) -> dict[str, gaze_schema.GazeTable]:
    """Groups fixations by image.

    Returns:
        Image -> gaze, sorted by image, then user, session, trial and time, with the coordinates of
        the files. Trials are numbered from 0 for each image and user; a viewing in another session
        is another trial.
    """
    viewing = joined_checks.viewing_numbers(fixations)
    if fixations.t_ms is None:
        order = np.argsort(viewing, kind="stable")
    else:
        order = np.lexsort((fixations.t_ms, viewing))
    viewing, image, user = viewing[order], fixations.image[order], fixations.user[order]
    is_viewing = np.diff(viewing, prepend=-1) != 0
    is_pair = rows.run_starts(image, user)
    number = np.cumsum(is_viewing)
    trial = number - np.maximum.accumulate(np.where(is_pair, number, 0))
    duration_ms = fixations.duration_ms
    columns = (
        user,
        trial.astype(np.int32),
        fixations.xy[order],
        np.zeros(len(user)) if duration_ms is None else duration_ms[order],
        fixations.session[order] if fixations.session_ids else None,
    )
    starts = np.flatnonzero(np.diff(image, prepend=-1))
    ends = np.append(starts[1:], len(image))
    return {
        fixations.image_ids[image[start]]: gaze_schema.GazeTable(
            *(None if column is None else column[start:end] for column in columns)  # type: ignore[arg-type]
        )
        for start, end in zip(starts, ends, strict=True)
    }


def only_user(fixations: Fixations, user: int) -> Fixations:
    """Returns the fixations of one user and the images of this user.

    Args:
        fixations: the fixations.
        user: index into `Fixations.user_ids`.
    """
    rows = np.flatnonzero(fixations.user == user)
    images, image = np.unique(fixations.image[rows], return_inverse=True)
    duration_ms, t_ms = fixations.duration_ms, fixations.t_ms
    return fixations._replace(
        image_ids=[fixations.image_ids[number] for number in images],
        user_ids=[fixations.user_ids[user]],
        session_ids=fixations.session_ids[user : user + 1],
        image=image.astype(np.int32),
        user=np.zeros(len(rows), np.int32),
        session=fixations.session[rows],
        trial=fixations.trial[rows],
        xy=fixations.xy[rows],
        duration_ms=None if duration_ms is None else duration_ms[rows],
        t_ms=None if t_ms is None else t_ms[rows],
    )
