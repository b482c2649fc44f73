"""Checks of the rows of all files together: viewings and sessions are of one recording each."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfds_builders.common.gaze_files import rows
from tfds_builders.common.gaze_files.recognise import PLAIN
from tfds_builders.common.gaze_files.rows import Rows

if TYPE_CHECKING:
    from tfds_builders.common.gaze_files.fixations import Fixations

# Formats that count the trials of a recording, and formats whose times are since its start.
_WITH_COUNT = (
    *("eyelink-report", "eyelink-samples", "eyelink-asc", "smi", "daemons", "jspsych"),
    "pymovements",
)
_WITH_TIME = ("tobii", "gazepoint", "pymovements")


def check(fixations: "Fixations", parts: Sequence[tuple[Path, Rows]]) -> list[str]:
    """Checks that no viewing, and no session of a person, has rows of two recordings.

    Args:
        fixations: the fixations of all files.
        parts: the files and their rows.

    Returns:
        The errors.
    """
    return (
        _without_session(fixations, parts)
        or _in_two_files(fixations, parts)
        or _repeated_times(fixations, parts)
        or _of_two_recordings(fixations, parts)
    )


def _in_two_files(fixations: "Fixations", parts: Sequence[tuple[Path, Rows]]) -> list[str]:
    """The rows of a viewing are in one file: those of two would be mixed."""
    if len(parts) < 2:
        return []
    number = np.repeat(np.arange(len(parts)), [len(part.place) for _, part in parts])
    viewing = viewing_numbers(fixations)
    order = np.lexsort((number, viewing))
    again = (np.diff(viewing[order]) == 0) & (np.diff(number[order]) != 0)
    if not again.any():
        return []
    first = int(np.flatnonzero(again)[0])
    row, other = order[first + 1], parts[number[order[first]]][0]
    path, place, part = _place_of(parts, int(row))
    return [
        f"{path} {rows.place_in_words(part, place)}: user "
        f"{fixations.user_ids[fixations.user[row]]!r} looks at "
        f"{fixations.image_ids[fixations.image[row]]!r} in {other} too, expected each viewing in "
        "one file: give recordings of one user apart, in a column session or trial, or with "
        "--user-from and its group session"
    ]


def _without_session(fixations: "Fixations", parts: Sequence[tuple[Path, Rows]]) -> list[str]:
    """A person has a session in all rows or in none; other people may have none."""
    without = [ids.index("") if "" in ids and len(ids) > 1 else -1 for ids in fixations.session_ids]
    if max(without, default=-1) < 0:
        return []
    lacks = fixations.session == np.array(without)[fixations.user]
    row = int(np.argmax(lacks))
    path, place, part = _place_of(parts, row)
    given = "not given"
    if part.session is not None:
        code = part.session.codes[int(np.argmax(part.place == place))]
        given = repr(part.session.names[code]) if code >= 0 else given
    more = f" ({int(lacks.sum())} such rows)" if lacks.sum() > 1 else ""
    return [
        f"{path} {rows.place_in_words(part, place)}: session is {given}, expected a name, which "
        f"other rows of user {fixations.user_ids[fixations.user[row]]!r} have{more}"
    ]


def _repeated_times(fixations: "Fixations", parts: Sequence[tuple[Path, Rows]]) -> list[str]:
    """Two fixations of a viewing cannot start at the same time."""
    if fixations.t_ms is None:
        return []
    viewing = viewing_numbers(fixations)
    order = np.lexsort((fixations.t_ms, viewing))
    again = (np.diff(viewing[order]) == 0) & (np.diff(fixations.t_ms[order]) == 0)
    if not again.any():
        return []
    row = int(np.sort(order[1:][again])[0])
    more = f" ({int(again.sum())} such rows)" if again.sum() > 1 else ""
    path, place, part = _place_of(parts, row)
    where = rows.place_in_words(part, place)
    return [
        f"{path} {where}: user {fixations.user_ids[fixations.user[row]]!r} has t_ms "
        f"{fixations.t_ms[row]:g} on {fixations.image_ids[fixations.image[row]]!r} again, expected "
        f"one row for each time{more}; of two eyes, keep one "
        f"({'--where' if fixations.format == PLAIN else '--eye, or in the files'}), and name "
        "several viewings of an image in a column trial"
    ]


def _of_two_recordings(fixations: "Fixations", parts: Sequence[tuple[Path, Rows]]) -> list[str]:
    """In the second of two recordings, trials are counted anew, or the time begins anew."""
    _, first = np.unique(viewing_numbers(fixations), return_index=True)
    file = np.repeat(np.arange(len(parts)), [len(part.place) for _, part in parts])[first]
    most = max(map(len, fixations.session_ids), default=1)
    owner = fixations.user[first].astype(np.int64) * most + fixations.session[first]
    found, when = None, ""
    if fixations.format in _WITH_TIME and fixations.t_ms is not None:
        found, when = _at_one_time(owner, *_times_of_viewings(fixations), file), "t_ms"
    if found is None and fixations.format in _WITH_COUNT:
        when = "trial"
        found = _counted_again(
            owner,
            fixations.trial[first],
            fixations.image[first],
            file,
            # A trial of SMI has one picture.
            in_one_file=fixations.format == "smi",
        )
    if found is None:
        return []
    one, other = (int(first[number]) for number in found)
    path, place, part = _place_of(parts, other)
    image, other_image = (fixations.image_ids[fixations.image[row]] for row in (other, one))
    in_file = _place_of(parts, one)[0]
    if when == "t_ms" and fixations.t_ms is not None:
        when = f"at {fixations.t_ms[other]:g} ms"
    else:
        when = f"in trial {fixations.trial[other]}"
    return [
        f"{path} {rows.place_in_words(part, place)}: user "
        f"{fixations.user_ids[fixations.user[other]]!r} looks at {image!r} {when}, and at "
        f"{other_image!r} in {in_file}, as in two recordings, expected recordings of one user "
        "apart, in a column session or with --user-from, such as '(?P<session>[^/]+)/[^/]+$' "
        "where the folder is the session, or other names where they are two people"
    ]


def _counted_again(
    owner: np.ndarray, trial: np.ndarray, image: np.ndarray, file: np.ndarray, *, in_one_file: bool
) -> tuple[int, int] | None:
    """Finds two viewings of one number that are of two images in two files.

    Files in which a trial has several images do not count them, and a file of one trial may not.

    Args:
        owner: int64 [viewing], person and session.
        trial: int64 [viewing].
        image: int32 [viewing].
        file: int64 [viewing].
        in_one_file: whether two images of a trial are of two recordings also in one file.

    Returns:
        The indices of two viewings, the one of the earlier file first; None: there are none.
    """
    files: dict[int, dict[int, dict[int, int]]] = {}
    no_counts: dict[tuple[int, int], tuple[int, int]] = {}
    columns = (column.tolist() for column in (owner, trial, file))
    for viewing, (who, number, of_file) in enumerate(zip(*columns, strict=True)):
        trials = files.setdefault(who, {}).setdefault(of_file, {})
        other = trials.setdefault(number, viewing)
        if image[other] != image[viewing]:
            no_counts.setdefault((who, of_file), (other, viewing))
    if in_one_file and no_counts:
        return next(iter(no_counts.values()))
    for who, of_files in files.items():
        known: dict[int, int] = {}
        for of_file, trials in sorted(of_files.items()):
            if len(trials) < 2 or (who, of_file) in no_counts:
                continue
            for number, viewing in trials.items():
                other = known.setdefault(number, viewing)
                if image[other] != image[viewing]:
                    return other, viewing
    return None


def _times_of_viewings(fixations: "Fixations") -> tuple[np.ndarray, np.ndarray]:
    """Returns the start of the first and of the last fixation of each viewing, by its number."""
    assert fixations.t_ms is not None
    viewing = viewing_numbers(fixations)
    order = np.lexsort((fixations.t_ms, viewing))
    starts = rows.run_starts(viewing[order])
    times = fixations.t_ms[order]
    return times[starts], times[rows.last_of_runs(starts)]


def _at_one_time(
    owner: np.ndarray, begin: np.ndarray, end: np.ndarray, file: np.ndarray
) -> tuple[int, int] | None:
    """Finds two viewings of a person in two files that are at the same time.

    Files whose own viewings are at the same time have times since the start of each viewing.

    Args:
        owner: int64 [viewing], person and session.
        begin: float64 [viewing], in milliseconds.
        end: float64 [viewing], alike.
        file: int64 [viewing].

    Returns:
        The indices of two viewings, the one of the earlier file first; None: there are none.
    """
    order = np.lexsort((begin, file, owner))
    of_one = (np.diff(owner[order]) == 0) & (np.diff(file[order]) == 0)
    meets = of_one & (begin[order][1:] <= end[order][:-1])
    restarts = {(int(owner[one]), int(file[one])) for one in order[1:][meets]}
    several = {(int(owner[one]), int(file[one])) for one in order[1:][of_one]} - restarts
    is_timed = [pair in several for pair in zip(owner.tolist(), file.tolist(), strict=True)]
    timed = np.flatnonzero(is_timed)
    order = timed[np.lexsort((begin[timed], owner[timed]))]
    meets = (np.diff(owner[order]) == 0) & (begin[order][1:] <= end[order][:-1])
    for number in np.flatnonzero(meets & (np.diff(file[order]) != 0))[:1]:
        one, other = sorted(order[number : number + 2].tolist(), key=file.__getitem__)
        return one, other
    return None


def _place_of(parts: Sequence[tuple[Path, Rows]], row: int) -> tuple[Path, int, Rows]:
    for path, part in parts:
        if row < len(part.place):
            return path, int(part.place[row]), part
        row -= len(part.place)
    raise IndexError(row)


def viewing_numbers(fixations: "Fixations") -> np.ndarray:
    """Numbers the viewings: int64 [n], in the order of image, user, session and trial."""
    _, trial = np.unique(fixations.trial, return_inverse=True)
    key = fixations.image.astype(np.int64)
    for part in (fixations.user, fixations.session, trial):
        key = key * (int(part.max(initial=0)) + 1) + part
    return key
