"""Whether rows look like two eyes from their places alone, without starts and durations."""

from collections.abc import Callable, Sequence

import numpy as np

from tfds_builders.common.plausibility import gaze as gaze_rows
from tfds_builders.common.plausibility.gaze import Gaze, Pairs

# About a degree. At most 28 % of the steps of a person of the real sets are shorter.
_NEAR_FRAC = 0.03
# Every other step leads to the other eye. What is near after a near step is less by at least .2
# then, and by at most .12 for people of the real sets.
_SHARE_NEAR = 0.42
_LESS_AGAIN = 0.2
_MIN_STEPS = 40
_MIN_NEAR_STEPS = 30
# The second half of a viewing follows the first one, but for rows that one eye lacks. How much
# better it fits than when its rows are shifted: by at most .08 for people of the real sets, and by
# .37 and more where the other eye is added, also where all gaze is on few places.
_BETTER = 0.25
_MIN_ROWS_OF_HALVES = 30
_MIN_ROWS_OF_VIEWING = 8
_MIN_ERRORS = 5.0
_LACKING = 2  # Rows that one eye may lack.
_MAX_ROWS = 100_000

MEND = (
    "keep one eye: with --where on the column of the eye, with --eye of a tracker's format, or in "
    "the files"
)


def check_places_of_eyes(gaze: Gaze, pairs: Pairs, user_ids: Sequence[str]) -> list[str]:
    """Finds two eyes in turn, or one block after the other, in the order of the file.

    Args:
        gaze: the rows.
        pairs: from `pairs_of`.
        user_ids: names of the people.
    """
    return _check_turns(pairs, user_ids) or _check_blocks(gaze, pairs, user_ids)


def _concerned(
    is_found_by: Callable[..., np.ndarray],
    counts: Sequence[np.ndarray],
    user_ids: Sequence[str],
) -> tuple[str, np.ndarray] | None:
    """The users whom a test of their counts finds; None if it finds none, nor all together.

    Args:
        is_found_by: counts of users -> whether each is found.
        counts: arguments of the test, arrays with an entry for each user; rows come first.
        user_ids: name of each user.

    Returns:
        Words for the users, "" if they are most of all, and a mask of those whose counts a warning
        gives.
    """
    is_found = is_found_by(*counts)
    if not is_found.any() and not is_found_by(*(part.sum()[None] for part in counts))[0]:
        return None
    if counts[0][is_found].sum() > 0.75 * counts[0].sum() or not is_found.any():
        return "", np.ones(len(is_found), bool)
    return f" of {gaze_rows.names_of(np.flatnonzero(is_found), user_ids)}", is_found


def _check_turns(pairs: Pairs, user_ids: Sequence[str]) -> list[str]:
    near = pairs.step_frac < _NEAR_FRAC
    # Whether a step comes after a near one, and is near too.
    after = (pairs.row[1:] == pairs.following[:-1]) & near[:-1]
    again = after & near[1:]
    steps = np.bincount(pairs.user)
    num_near, num_after, num_again = (
        np.bincount(user[rows], minlength=len(steps))
        for user, rows in ((pairs.user, near), (pairs.user[1:], after), (pairs.user[1:], again))
    )
    concerned = _concerned(_is_in_turn, (steps, num_near, num_after, num_again), user_ids)
    if concerned is None:
        return []
    who, chosen = concerned
    return [
        f"rows{who} look like two eyes, one after the other: {num_near[chosen].sum()} of "
        f"{steps[chosen].sum()} rows are less than {_NEAR_FRAC:.0%} of the picture away from "
        f"the row before, every other one: {MEND}"
    ]


def _is_in_turn(
    steps: np.ndarray, near: np.ndarray, after: np.ndarray, again: np.ndarray
) -> np.ndarray:
    """Returns bool [u] for numbers [u] of steps, near ones, steps after these, and near of them."""
    share = near / np.maximum(steps, 1)
    is_less = share - again / np.maximum(after, 1) >= _LESS_AGAIN
    is_known = (steps >= _MIN_STEPS) & (near >= _MIN_NEAR_STEPS) & (after >= 1)
    return is_known & (share >= _SHARE_NEAR) & is_less


def _check_blocks(gaze: Gaze, pairs: Pairs, user_ids: Sequence[str]) -> list[str]:
    """The second half of a viewing follows the first one."""
    first = np.flatnonzero(pairs.is_first)
    num = np.diff(np.append(first, len(pairs.order)))
    is_chosen = num >= _MIN_ROWS_OF_VIEWING
    if len(pairs.order) > _MAX_ROWS:
        # Of a large table, some viewings of all people.
        is_chosen &= np.random.default_rng(0).random(len(num)) < _MAX_ROWS / len(pairs.order)
    first, num = first[is_chosen], num[is_chosen]
    half = num // 2
    if half.sum() < _MIN_ROWS_OF_HALVES:
        return []
    viewing = np.repeat(np.arange(len(half)), half)
    position = np.arange(len(viewing)) - np.repeat(np.cumsum(half) - half, half)
    first, num, half = first[viewing], num[viewing], half[viewing]
    rows = pairs.order[first + position]
    # As often, gaze comes back to a place by chance.
    shifted = (position + half // 2) % half
    hits, by_chance = (
        _hits(gaze, pairs, rows, first, other + half, num, position)
        for other in (position, shifted)
    )
    user = gaze.user[rows]
    total = np.bincount(user)
    found = np.bincount(user[hits], minlength=len(total))
    chance = np.bincount(user[by_chance], minlength=len(total))
    concerned = _concerned(_is_better, (total, found, chance), user_ids)
    if concerned is None:
        return []
    who, chosen = concerned
    return [
        f"rows{who} look like two eyes of a viewing, one block after the other: "
        f"{found[chosen].sum()} of {total[chosen].sum()} rows of the first halves of viewings come "
        f"again in the second halves, in that order and less than {_NEAR_FRAC:.0%} of the picture "
        f"away, and {chance[chosen].sum()} in another order: {MEND}"
    ]


def _hits(
    gaze: Gaze,
    pairs: Pairs,
    rows: np.ndarray,
    first: np.ndarray,
    others: np.ndarray,
    num: np.ndarray,
    position: np.ndarray,
) -> np.ndarray:
    """Returns bool [m]: whether one of the rows around another position of the viewing is near."""
    hits = np.zeros(len(rows), bool)
    for lacking in range(-_LACKING, _LACKING + 1):
        other = others + lacking
        is_inside = np.flatnonzero((other < num) & (other > position) & ~hits)
        distance = gaze_rows.distances_frac(
            gaze, rows[is_inside], pairs.order[first[is_inside] + other[is_inside]]
        )
        # Rows that are equal to the last digit are another fault.
        hits[is_inside] = (distance < _NEAR_FRAC) & (distance > 0)
    return hits


def _is_better(total: np.ndarray, found: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Returns bool [u]: whether more of the rows [u] are found than by chance."""
    share, by_chance = found / np.maximum(total, 1), chance / np.maximum(total, 1)
    variance = share * (1 - share) + by_chance * (1 - by_chance)
    error = np.sqrt(variance / np.maximum(total, 1))
    is_clear = share - by_chance >= np.maximum(_BETTER, _MIN_ERRORS * error)
    return (total >= _MIN_ROWS_OF_HALVES) & is_clear
