"""Whether rows of one viewing are rows of several: warnings for `data check` and `build`."""

from typing import NamedTuple

import numpy as np

from tfds_builders.common.gaze_files import Fixations, viewing_numbers
from tfds_builders.common.gaze_files.rows import run_starts
from tfds_builders.common.plausibility import names

_ADVICE = "if they are several viewings, a column trial or session tells them apart"
# Of all viewings. Some trials of each experiment have one fixation only.
_SHARE_SINGLE = 0.9
# The slack of a slow tracker's sample, and a time in which no eye fixates twice.
_SLACK_MS = 20.0
_CLOSE_MS = 60.0
# A usual distance of two starts is below this; longer ones are pauses between pictures.
_LONGEST_STEP_MS = 1000.0
_MAX_SHARE_CLOSE = 0.1
_MIN_SHARE_CLOSE = 0.2
_MIN_SHARE_RISING = 0.8
_NUM_FEW = 12
# Few people come as often, and then see more than one picture each time.
_MANY_SESSIONS = 5


class _Showings(NamedTuple):
    """Rows in the order of the file or of time, those of a recording together.

    Attributes:
        row: int64 [n], the rows.
        recording: int64 [n], the recording.
        shown: int64 [n], what was shown: the image, with the trial where an image has several, or
            the trial alone where gaze goes to and fro between the images of a trial.
        has_trials: bool [n], whether trials have different numbers.
    """

    row: np.ndarray
    recording: np.ndarray
    shown: np.ndarray
    has_trials: np.ndarray


def check_viewings(fixations: Fixations) -> list[str]:
    """Warns of viewings that are several, and of fixations that are counted as viewings."""
    if not len(fixations.user):
        return []
    of_sessions = _check_single(fixations) or _check_sessions(fixations)
    return [
        *names.check_names_of_sessions(fixations.user_ids, fixations.session_ids),
        *of_sessions,
        *_check_returns(fixations),
    ]


def _check_single(fixations: Fixations) -> list[str]:
    """A trial or session that counts rows makes a viewing of each fixation."""
    pair = _code(fixations.image, fixations.user)
    sizes = np.bincount(_code(pair, fixations.session, fixations.trial))
    num_pairs = int(pair.max()) + 1
    num_single = int((sizes == 1).sum())
    is_usual = num_single < _SHARE_SINGLE * len(sizes)
    if is_usual or len(fixations.user) <= 2 * num_pairs:
        return []
    name = "trial" if len(np.unique(fixations.trial)) > 1 else "session"
    return [
        f"{num_single} of {len(sizes)} viewings have one fixation, while a user has "
        f"{len(fixations.user) / num_pairs:.3g} fixations on an image (mean): the {name} seems "
        f"to count fixations or rows, expected one {name} for all fixations of a viewing"
    ]


def _check_sessions(fixations: Fixations) -> list[str]:
    """A session of each image is rather a trial."""
    if not fixations.session_ids:
        return []
    of_session = _code(fixations.user, fixations.session)
    _, first = np.unique(of_session, return_index=True)
    num_images = _num_different(of_session, _code(of_session, fixations.image))
    of_user = fixations.user[first]
    num_sessions = np.bincount(of_user, minlength=len(fixations.user_ids))
    num_single = np.bincount(of_user, num_images == 1, minlength=len(fixations.user_ids))
    users = np.flatnonzero((num_sessions >= _MANY_SESSIONS) & (num_single == num_sessions))
    if not len(users):
        return []
    user = int(users[0])
    more = f" and {len(users) - 1} more users" if len(users) > 1 else ""
    return [
        f"the sessions of user {fixations.user_ids[user]!r}{more} have one image each "
        f"({num_sessions[user]} sessions of this user): the session seems to count trials or "
        "images, expected one session for all that a user looked at in one go, and the number in "
        "a column trial"
    ]


def _check_returns(fixations: Fixations) -> list[str]:
    """Warns of viewings of one image that are read as one."""
    recording = _code(fixations.user, fixations.session)
    found = _take(fixations, recording, np.argsort(recording, kind="stable"))
    what = "rows that are apart, with other images between them"
    if fixations.t_ms is None:
        is_again = _is_apart(found) & _in_runs(found)
    else:
        t_ms = fixations.t_ms
        by_time = found.row[np.lexsort((t_ms[found.row], found.recording))]
        in_time = _take(fixations, recording, by_time)
        if _is_one_clock(in_time, t_ms[in_time.row], fixations.duration_ms):
            found, is_again = in_time, _is_apart(in_time)
        else:
            what = "times (t_ms) that begin anew"
            is_again = _begins_anew(found, t_ms, fixations.duration_ms)
    if not is_again.any():
        return []
    viewing = viewing_numbers(fixations)
    several = np.unique(viewing[found.row[is_again]])
    row = int(found.row[is_again].min())
    return [
        f"{len(several)} of {len(np.unique(viewing))} viewings have {what}, such as user "
        f"{fixations.user_ids[fixations.user[row]]!r} on "
        f"{fixations.image_ids[fixations.image[row]]!r}: {_ADVICE}"
    ]


def _code(*parts: np.ndarray) -> np.ndarray:
    """Numbers the combinations of values from 0, none left out: int64 [n]."""
    code = _number(parts[0])
    for part in parts[1:]:
        number = _number(part)
        code = _number(code * (int(number.max(initial=0)) + 1) + number)
    return code


def _number(values: np.ndarray) -> np.ndarray:
    """Numbers the values in their order: int64 [n]; without sorting where they are close."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if high - low > 4 * len(values):
        return np.unique(values, return_inverse=True)[1]
    is_there = np.zeros(high - low + 1, bool)
    is_there[values - low] = True
    return (np.cumsum(is_there) - 1)[values - low]


def _take(fixations: Fixations, recording: np.ndarray, row: np.ndarray) -> _Showings:
    """Returns what was shown at rows, in whose order each recording stands together.

    A number of the trial that is the same for all images, or for all viewings of an image, tells
    no viewings apart.
    """
    recording = recording[row]
    image, trial = fixations.image[row], _code(fixations.trial[row])
    num_trials = _num_different(recording, _code(recording, trial))
    of_image = _code(recording, image)
    num_images = _num_different(recording, of_image)
    num_viewings = _num_different(recording, _code(of_image, trial))
    is_apart = (num_viewings > num_images)[recording]
    has_trials = (num_trials > 1)[recording]
    viewing = np.where(is_apart, _code(image, trial) + int(image.max(initial=0)) + 1, image)
    # Numbers of trials may begin again in each block.
    is_trial = _num_returns(recording, trial) < _num_returns(recording, viewing)
    is_trial &= has_trials & ~is_apart
    return _Showings(row, recording, np.where(is_trial, trial, viewing), has_trials)


def _num_returns(recording: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Counts how often what is shown returns after something else in the recording of each row."""
    num_runs = np.bincount(recording, run_starts(recording, shown))
    return (num_runs - _num_different(recording, _code(recording, shown)))[recording]


def _num_different(group: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Counts the different codes of each group, which determine the group; numbers from 0."""
    of_code = np.zeros(int(code.max(initial=-1)) + 1, np.int64)
    of_code[code] = group
    return np.bincount(of_code, minlength=int(group.max(initial=-1)) + 1)


def _is_apart(found: _Showings) -> np.ndarray:
    """Whether rows have a showing that returns after another one; bool [n]."""
    starts = run_starts(found.recording, found.shown)
    showing = _code(found.recording, found.shown)
    return np.bincount(showing[starts])[showing] > 1


def _in_runs(found: _Showings) -> np.ndarray:
    """Whether rows have trials that are not mixed, as if sorted by the number of the fixation."""
    starts, group = run_starts(found.recording, found.shown), _code(found.recording)
    are_runs = 2 * np.bincount(group, starts) <= np.bincount(group)
    return ~found.has_trials | are_runs[group]


def _is_one_clock(found: _Showings, t_ms: np.ndarray, duration_ms: np.ndarray | None) -> bool:
    """Whether times go on from picture to picture, so that pictures are not at the same time.

    Args:
        found: rows in the order of time.
        t_ms: float64 [n], their times.
        duration_ms: float64 [n], durations of all rows, in the order of the file.
    """
    starts = run_starts(found.recording)
    changes = np.flatnonzero(run_starts(found.recording, found.shown) & ~starts)
    if not len(changes):
        return False
    step_ms = _usual_step(found, t_ms)
    gap = t_ms[changes] - t_ms[changes - 1]
    is_close = gap < step_ms / 4
    if duration_ms is not None:
        is_close |= duration_ms[found.row[changes - 1]] > gap + _SLACK_MS
    if is_close.mean() > _MAX_SHARE_CLOSE:
        return False
    showing = _code(found.recording, found.shown)
    _, first = np.unique(showing, return_index=True)
    group = _code(found.recording)[first]
    order = np.lexsort((t_ms[first], group))
    ends = np.append(run_starts(group[order])[1:], True)
    begins = run_starts(group[order])
    of_first = t_ms[first][order]
    spread = (of_first[ends] - of_first[begins])[np.bincount(group) > 1]
    return bool(np.median(spread) >= 2 * step_ms)


def _usual_step(found: _Showings, t_ms: np.ndarray) -> float:
    """Returns a usual distance of two starts of a viewing; pauses are longer."""
    showing = _code(found.recording, found.shown)
    order = np.lexsort((t_ms, showing))
    gap = np.diff(t_ms[order])[np.diff(showing[order]) == 0]
    if not len(gap):
        return _LONGEST_STEP_MS
    return min(float(np.percentile(gap, 25, method="lower")), _LONGEST_STEP_MS)


def _begins_anew(found: _Showings, t_ms: np.ndarray, duration_ms: np.ndarray | None) -> np.ndarray:
    """Whether rows have a viewing whose time falls, and not since all rows are in any order.

    Args:
        found: rows in the order of the file.
        t_ms: float64 [n], times of all rows.
        duration_ms: float64 [n], alike.
    """
    showing, time = _code(found.recording, found.shown), t_ms[found.row]
    order = np.argsort(showing, kind="stable")
    is_same = np.diff(showing[order]) == 0
    before, after = order[:-1][is_same], order[1:][is_same]
    falls = time[after] < time[before]
    is_beside = after == before + 1
    num_beside, num = int(is_beside.sum()), len(time)
    share_rising = float((~falls[is_beside]).mean()) if num_beside else 0.0
    num_falls = np.bincount(showing[after], falls, minlength=int(showing.max(initial=-1)) + 1)
    sizes = np.bincount(showing)
    starts = run_starts(found.recording, found.shown)
    lengths = np.diff(np.append(np.flatnonzero(starts), num))
    in_order = 3 * num_beside >= num and num_beside >= 3 and share_rising >= _MIN_SHARE_RISING
    if num_beside < _NUM_FEW:
        in_order = in_order and share_rising == 1 and bool((lengths > 1).all())
    is_again = num_falls > 0
    if in_order:
        # Where the time falls at other pictures too, the file is not sorted by time.
        changes = np.flatnonzero(starts & ~run_starts(found.recording))
        if len(changes) and (time[changes] < time[changes - 1]).mean() >= 0.5:
            is_again |= np.bincount(showing[starts], minlength=len(sizes)) > 1
        return is_again[showing]
    if not is_again.any():
        return is_again[showing]
    # Rows in any order have stretches of 2 rows on average in which the time rises.
    has_stretches = sizes[is_again].sum() >= 3 * (num_falls[is_again] + 1).sum()
    if duration_ms is None and has_stretches:
        return is_again[showing]
    order = np.lexsort((time, showing))
    is_same = np.diff(showing[order]) == 0
    first, second = order[:-1][is_same], order[1:][is_same]
    gap = time[second] - time[first]
    if duration_ms is None:
        is_close = gap < min(_CLOSE_MS, _usual_step(found, time) / 4)
    else:
        is_close = duration_ms[found.row[first]] > gap + _SLACK_MS
    has_close = np.bincount(showing[first], is_close, minlength=len(sizes)) > 0
    # Of rows in any order, a few viewings have a very short fixation.
    if duration_ms is None and has_close[is_again].mean() < _MIN_SHARE_CLOSE:
        return np.zeros(num, bool)
    is_again &= has_close
    return is_again[showing]
