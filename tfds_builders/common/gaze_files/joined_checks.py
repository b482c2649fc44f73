"""Checks of the rows of all files together: viewings and sessions are of one recording each."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfds_builders.common.gaze_files import rows
from tfds_builders.common.gaze_files.recognise import PLAIN
from tfds_builders.common.gaze_files.rows import Rows

if TYPE_CHECKING:
    from tfds_builders.common.gaze_files.fixations import Fixations

# Formats in which a trial has one picture, and formats whose times are since the start.
_ONE_PICTURE = ("eyelink-report", "eyelink-samples", "smi", "daemons")
_WITH_TIME = ("tobii", "gazepoint", "pymovements")
# Formats that name each sample's medium, so that a fixation may have two.
_OF_STREAMS = ("tobii", "gazepoint")
_OVERLAP_MS = 5.0  # Times are rounded.


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
    number = _files(parts)
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


def is_cut(fixations: "Fixations", parts: Sequence[tuple[Path, Rows]]) -> np.ndarray:
    """Finds the second parts of fixations that go on in another file, such as of the next medium.

    A tracker has one fixation at a time: it begins before the one of the other file ends.

    Returns:
        bool [n].
    """
    found = np.zeros(len(fixations.user), bool)
    t_ms, duration_ms = fixations.t_ms, fixations.duration_ms
    if fixations.format not in _OF_STREAMS or t_ms is None or duration_ms is None or len(parts) < 2:
        return found
    file = _files(parts)
    # Of an equal start, the duration goes on, too.
    order = np.lexsort((duration_ms, t_ms, fixations.session, fixations.user))
    last, now = order[:-1], order[1:]
    is_one = fixations.user[last] == fixations.user[now]
    is_one &= (fixations.session[last] == fixations.session[now]) & (file[last] != file[now])
    found[now] = is_one & (t_ms[last] + duration_ms[last] > t_ms[now] + _OVERLAP_MS)
    # Only the first of several fixations of a viewing goes on from another file. Those of two
    # recordings, which are refused, overlap anywhere.
    _, number, begin, _ = _spans(fixations, file, t_ms)
    goes_on = (t_ms == begin[number]) & (np.bincount(number)[number] > 1)
    return found if goes_on[found].all() else np.zeros(len(found), bool)


def in_order_of_time(fixations: "Fixations", parts: Sequence[tuple[Path, Rows]]) -> np.ndarray:
    """Numbers the viewings of recordings that go on in a second file by their starts.

    Each file counts its own viewings. Times since the start of each viewing say no order.

    Returns:
        int64 [n], in place of `Fixations.trial`.
    """
    if fixations.format not in _WITH_TIME or fixations.t_ms is None or len(parts) < 2:
        return fixations.trial
    file = _files(parts)
    row, number, begin, end = _spans(fixations, file, fixations.t_ms)
    owner = _owners(fixations)[row]
    # Of each person and session all files have times of the recording, or none is looked at.
    is_timed = _is_timed(owner, file[row], begin, end)
    is_timed &= ~np.isin(owner, owner[~is_timed])
    rank = np.argsort(np.argsort(begin, kind="stable"), kind="stable")
    return np.where(is_timed[number], rank[number], fixations.trial)


def _files(parts: Sequence[tuple[Path, Rows]]) -> np.ndarray:
    """Returns the number of the file of each row of all files."""
    return np.repeat(np.arange(len(parts)), [len(part.place) for _, part in parts])


def _owners(fixations: "Fixations") -> np.ndarray:
    """Numbers the sessions of all people, for each row."""
    most = max(map(len, fixations.session_ids), default=1)
    owners: np.ndarray = fixations.user.astype(np.int64) * most + fixations.session
    return owners


def _spans(
    fixations: "Fixations", file: np.ndarray, t_ms: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Finds when the viewings are; one of two files, which may have one number, is two.

    Returns:
        The first row of each viewing; the viewing of each row; and of each viewing the starts of
        the first and of the last fixation.
    """
    key = np.column_stack([viewing_numbers(fixations), file])
    _, row, number = np.unique(key, axis=0, return_index=True, return_inverse=True)
    number = number.reshape(-1)
    begin, end = np.full(len(row), np.inf), np.full(len(row), -np.inf)
    np.minimum.at(begin, number, t_ms)
    np.maximum.at(end, number, t_ms)
    return row, number, begin, end


def _is_timed(
    owner: np.ndarray, file: np.ndarray, begin: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Finds the viewings of files in which no two viewings of a person are at the same time."""
    order = np.lexsort((begin, file, owner))
    of_one = (np.diff(owner[order]) == 0) & (np.diff(file[order]) == 0)
    meets = of_one & (begin[order][1:] <= end[order][:-1])
    restarts = {(int(owner[one]), int(file[one])) for one in order[1:][meets]}
    pairs = zip(owner.tolist(), file.tolist(), strict=True)
    return np.array([pair not in restarts for pair in pairs], bool)


def _of_two_recordings(fixations: "Fixations", parts: Sequence[tuple[Path, Rows]]) -> list[str]:
    """In the second of two recordings, trials are counted anew, or the time begins anew.

    A session that is given says of two files what they are; then only the order of viewings of an
    image in both is not known.
    """
    has_times = fixations.format in _WITH_TIME and fixations.t_ms is not None
    if not has_times and all(part.trial_count is None for _, part in parts):
        return []
    viewings = _Viewings.of(fixations, parts)
    session_ids = fixations.session_ids or [[]] * len(fixations.user_ids)
    has_names = np.array([ids not in ([], [""]) for ids in session_ids])
    is_given = has_names[fixations.user[viewings.row]]
    found, when = None, "t_ms"
    if fixations.format in _WITH_TIME and fixations.t_ms is not None:
        _, _, begin, end = _spans(fixations, _files(parts), fixations.t_ms)
        found = _at_one_time(viewings, begin, end)
    if found is None:
        when = "count"
        in_one_file = fixations.format in _ONE_PICTURE
        found = _counted_again(viewings, is_given, in_one_file=in_one_file)
    if found is None:
        return []
    one, other = (int(viewings.row[number]) for number in found)
    path, place, part = _place_of(parts, other)
    image, other_image = (fixations.image_ids[fixations.image[row]] for row in (other, one))
    in_file = _place_of(parts, one)[0]
    if when == "t_ms" and fixations.t_ms is not None:
        when = f"at {fixations.t_ms[other]:g} ms"
    else:
        when = f"in trial {viewings.number[found[1]]:g}"
    user = fixations.user_ids[fixations.user[other]]
    start = f"{path} {rows.place_in_words(part, place)}: user {user!r} looks at {image!r} {when}, "
    if image == other_image:
        return [
            f"{start}and in {in_file} too, in an order that nothing says, expected sessions of "
            "their own for files whose trials are counted anew, or an image in one file"
        ]
    return [
        f"{start}and at {other_image!r} in {in_file}, as in two recordings, expected recordings of "
        "one user apart, in a column session or with --user-from, such as "
        "'(?P<session>[^/]+)/[^/]+$' where the folder is the session (two blocks of one session "
        "have the same session), or other names where they are two people"
    ]


class _Viewings(NamedTuple):
    """The viewings of all files.

    Attributes:
        row: int64 [viewing], the first of their rows.
        owner: int64 [viewing], person and session.
        number: float64 [viewing], see `Rows.trial_count`; NaN: not known.
        image: int32 [viewing].
        file: int64 [viewing].
    """

    row: np.ndarray
    owner: np.ndarray
    number: np.ndarray
    image: np.ndarray
    file: np.ndarray

    @classmethod
    def of(cls, fixations: "Fixations", parts: Sequence[tuple[Path, Rows]]) -> "_Viewings":
        """Takes the viewings of the fixations."""
        _, row = np.unique(viewing_numbers(fixations), return_index=True)
        counts = [
            np.full(len(part.place), np.nan)
            if part.trial_count is None
            else part.trial_count.values
            for _, part in parts
        ]
        every = (_owners(fixations), np.concatenate(counts), fixations.image, _files(parts))
        return cls(row, *(column[row] for column in every))


def _counted_again(
    viewings: _Viewings, is_given: np.ndarray, *, in_one_file: bool
) -> tuple[int, int] | None:
    """Finds two viewings of one number that are of two images in two files.

    Files in which a trial has several images do not count them, and a file of one trial may not.

    Args:
        viewings: the viewings.
        is_given: bool [viewing], whether the session is given. If so, two viewings of one image.
        in_one_file: whether two images of a trial are of two recordings also in one file.

    Returns:
        The indices of two viewings, the one of the earlier file first; None: there are none.
    """
    image = viewings.image
    files: dict[int, dict[int, dict[float, int]]] = {}
    no_counts: dict[tuple[int, int], tuple[int, int]] = {}
    for viewing in np.flatnonzero(np.isfinite(viewings.number)).tolist():
        who, of_file = int(viewings.owner[viewing]), int(viewings.file[viewing])
        trials = files.setdefault(who, {}).setdefault(of_file, {})
        other = trials.setdefault(float(viewings.number[viewing]), viewing)
        if image[other] != image[viewing]:
            no_counts.setdefault((who, of_file), (other, viewing))
    if in_one_file and no_counts:
        return next(iter(no_counts.values()))
    for who, of_files in files.items():
        known: dict[float, int] = {}
        seen: dict[int, int] = {}
        for of_file, trials in sorted(of_files.items()):
            if len(trials) < 2 or (who, of_file) in no_counts:
                continue
            again = [(known[number], one) for number, one in trials.items() if number in known]
            again = [(other, one) for other, one in again if image[other] != image[one]]
            if again and is_given[again[0][0]]:
                again = [(seen[image[one]], one) for one in trials.values() if image[one] in seen]
            if again:
                return again[0]
            known = trials | known
            seen = {int(image[one]): one for one in trials.values()} | seen
    return None


def _at_one_time(viewings: _Viewings, begin: np.ndarray, end: np.ndarray) -> tuple[int, int] | None:
    """Finds two viewings of a person in two files that are at the same time.

    Files whose own viewings are at the same time have times since the start of each viewing.

    Args:
        viewings: the viewings.
        begin: float64 [viewing], in milliseconds.
        end: float64 [viewing], alike.

    Returns:
        The indices of two viewings, the one of the earlier file first; None: there are none.
    """
    owner, file = viewings.owner, viewings.file
    _, which, sizes = np.unique(
        np.column_stack([owner, file]), axis=0, return_inverse=True, return_counts=True
    )
    is_timed = _is_timed(owner, file, begin, end) & (sizes[which.reshape(-1)] > 1)
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
