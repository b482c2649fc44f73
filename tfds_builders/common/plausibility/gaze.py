"""Gaze of a table as the checks look at it: rows, viewings, and pairs of rows."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

Tracking = Literal["eye", "mouse", "generated"]

# A share of a whole table counts from any number of rows that a check allows. The share of one
# person or image, which differs from the others, needs as many rows as make it no accident.
MIN_ROWS_OF_A_GROUP = 60
# Values that no gaze has need fewer rows, but nearly all of them. Of the rows of a person or image
# in the real sets, 3 that follow each other are never all at such places or so short. Where 5 % of
# the rows of a table are broken so, 8 of 8 are by chance in one of 25 thousand million groups.
FEW_ROWS = 8
_SHARE_OF_FEW = 0.9
_MAX_NAMES = 3
# Percentiles and means of more rows take long and change nothing.
_MAX_ROWS = 200_000


class Gaze(NamedTuple):
    """All fixations of a table, one row each, in the order of the file.

    Attributes:
        image: int32 [n], index into the names of the images.
        user: int32 [n], index into the names of the people.
        session: int32 [n], number of the session of the person; None: not known.
        trial: int64 [n], number of the viewing; None: one for each image and person.
        xy: float64 [n, 2] x, y in the units of the table.
        xy_frac: float64 [n, 2] x, y as fractions of the picture, after the convention was applied;
            NaN where the size of the picture is not known.
        size_px: float64 [n, 2] width, height of the picture; NaN: not known.
        duration_ms: float64 [n]; None: not known.
        t_ms: float64 [n], start of the fixation; None: not known.
    """

    image: np.ndarray
    user: np.ndarray
    session: np.ndarray | None
    trial: np.ndarray | None
    xy: np.ndarray
    xy_frac: np.ndarray
    size_px: np.ndarray
    duration_ms: np.ndarray | None = None
    t_ms: np.ndarray | None = None


class Pairs(NamedTuple):
    """Pairs of rows that follow each other in a viewing, in the order of looking.

    Attributes:
        row: int64 [m], the first row of each pair.
        following: int64 [m], the second row of each pair.
        step_frac: float64 [m], distance of the two places, as a fraction of the picture's diagonal.
        user: int32 [m], the person.
        order: int64 [n], all rows, sorted by viewing and time.
        is_first: bool [n], whether a row of `order` is the first of its viewing.
    """

    row: np.ndarray
    following: np.ndarray
    step_frac: np.ndarray
    user: np.ndarray
    order: np.ndarray
    is_first: np.ndarray


def take(gaze: Gaze, rows: np.ndarray) -> Gaze:
    """Returns some rows."""
    return Gaze(*(None if part is None else part[rows] for part in gaze))  # type: ignore[arg-type]


def some_rows(num: int) -> slice | np.ndarray:
    """Returns which of `num` rows stand for all: all, or 200,000 of them, the same each time."""
    if num <= _MAX_ROWS:
        return slice(None)
    return np.random.default_rng(0).integers(0, num, _MAX_ROWS)


def both(flags: np.ndarray) -> np.ndarray:
    """Returns bool [n]: whether x and y [n, 2] are flagged; faster than `all` over two columns."""
    return flags[:, 0] & flags[:, 1]


def either(flags: np.ndarray) -> np.ndarray:
    """Returns bool [n]: whether x or y [n, 2] is flagged."""
    return flags[:, 0] | flags[:, 1]


def larger(values: np.ndarray) -> np.ndarray:
    """Returns [n]: the larger one of x and y [n, 2]."""
    return np.maximum(values[:, 0], values[:, 1])


def viewing_keys(gaze: Gaze) -> np.ndarray:
    """Numbers the viewings: int64 [n], alike for rows of one image, person, session and trial."""
    key = gaze.image.astype(np.int64) * (int(gaze.user.max(initial=0)) + 1) + gaze.user
    for part in (gaze.session, gaze.trial):
        if part is None or not len(part) or part.min() == part.max():
            continue
        low = int(part.min())
        span = int(part.max()) - low + 1
        if span > 1 << 20:  # A product of wide ranges does not fit 64 bits.
            _, part = np.unique(part, return_inverse=True)
            low, span = 0, int(part.max()) + 1
        key = key * span + (part.astype(np.int64) - low)
    return key


def order_of_looking(gaze: Gaze) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows [n] sorted by viewing, then time, and the viewing [n] of each of them."""
    key = viewing_keys(gaze)
    later = key[1:] > key[:-1]
    if gaze.t_ms is None:
        is_sorted = later | (key[1:] == key[:-1])
    else:
        is_sorted = later | ((key[1:] == key[:-1]) & (gaze.t_ms[1:] >= gaze.t_ms[:-1]))
    if is_sorted.all():
        return np.arange(len(key)), key
    by_viewing = (key,) if gaze.t_ms is None else (gaze.t_ms, key)
    order = np.lexsort(by_viewing)
    return order, key[order]


def pairs_of(gaze: Gaze) -> Pairs:
    """Pairs each row with the next of its viewing."""
    order, key = order_of_looking(gaze)
    same = key[1:] == key[:-1]
    row, following = order[:-1][same], order[1:][same]
    return Pairs(
        row,
        following,
        distances_frac(gaze, row, following),
        gaze.user[row],
        order,
        np.append(np.ones(min(len(order), 1), bool), ~same),
    )


def distances_frac(gaze: Gaze, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of rows [m] from other rows [m], as a fraction of the picture's diagonal.

    Where the size of a picture is not known, the extent of all gaze of the table stands for it.
    """
    size = gaze.size_px[rows]
    is_known = both(np.isfinite(gaze.xy_frac[rows])) & both(np.isfinite(size))
    delta = (gaze.xy_frac[others] - gaze.xy_frac[rows]) * size
    distance = np.hypot(delta[:, 0], delta[:, 1]) / np.hypot(size[:, 0], size[:, 1])
    if not is_known.all():
        some = gaze.xy[some_rows(len(gaze.xy))]
        extent = np.ptp(np.percentile(some, (1, 99), axis=0), axis=0)
        delta = gaze.xy[others] - gaze.xy[rows]
        unknown = np.hypot(delta[:, 0], delta[:, 1]) / max(float(np.hypot(*extent)), 1e-12)
        distance = np.where(is_known, distance, unknown)
    return distance


def users_above(flags: np.ndarray, user: np.ndarray, share: float) -> np.ndarray:
    """Finds the people whose share of flagged rows is high, though that of the table is not.

    Args:
        flags: bool [m].
        user: int32 [m], the person of each row.
        share: the least share that counts.

    Returns:
        int64 [k], the people.
    """
    return _groups_above(flags, user, share, MIN_ROWS_OF_A_GROUP)


def _groups_above(
    flags: np.ndarray, group: np.ndarray, share: float, least_rows: int
) -> np.ndarray:
    if not flags.any():
        return np.zeros(0, np.int64)
    total = np.bincount(group)
    found = np.bincount(group[flags], minlength=len(total))
    is_above = (total >= MIN_ROWS_OF_A_GROUP) & (found >= share * total)
    is_above |= (total >= least_rows) & (found >= max(share, _SHARE_OF_FEW) * total)
    return np.flatnonzero(is_above)


def _are_some_free(flags: np.ndarray, user: np.ndarray, users: np.ndarray) -> bool:
    """Whether some people have a fault in nearly all rows and the others in nearly none."""
    total = np.bincount(user)
    share = np.bincount(user[flags], minlength=len(total)) / np.maximum(total, 1)
    is_free = (total >= FEW_ROWS) & (share <= 1 - _SHARE_OF_FEW)
    return bool(is_free.any() and len(users) and (share[users] >= _SHARE_OF_FEW).all())


def whose(
    flags: np.ndarray,
    gaze: Gaze,
    user_ids: Sequence[str],
    image_ids: Sequence[str],
    share: float,
    *,
    at_least: int = 2,
    least_rows: int = MIN_ROWS_OF_A_GROUP,
) -> str | None:
    """Says whose rows have a fault: "" for those of the table; None if no person or image has it.

    Args:
        flags: bool [n].
        gaze: the n rows.
        user_ids: names of the people.
        image_ids: names of the images, which are looked at where no person has the fault.
        share: the least share of flagged rows that counts.
        at_least: the least number of flagged rows that counts.
        least_rows: the least number of rows of a person or image. Below 60 rows, nine tenths have
            to be flagged at least.
    """
    num_found = int(flags.sum())
    if num_found < at_least:
        return None
    users = _groups_above(flags, gaze.user, share, least_rows)
    if num_found >= share * len(flags) and not _are_some_free(flags, gaze.user, users):
        return ""
    if len(users):
        return f" of {names_of(users, user_ids)}"
    images = _groups_above(flags, gaze.image, share, least_rows)
    return f" on {names_of(images, image_ids, 'image')}" if len(images) else None


def leave_out(condition: str = "", *, is_table: bool) -> str:
    """Says how rows are left out: other formats have no columns of these names, or none."""
    option = f"with --where {condition!r}" if condition else "with --where"
    return f"leave them out {option if is_table else 'in the files'}"


def names_of(numbers: np.ndarray, names: Sequence[str], kind: str = "user") -> str:
    """Returns the names of some people or images for a message."""
    shown = ", ".join(repr(str(names[number])) for number in numbers[:_MAX_NAMES])
    more = f" and {len(numbers) - _MAX_NAMES} more" if len(numbers) > _MAX_NAMES else ""
    return f"{kind}{'s' if len(numbers) > 1 else ''} {shown}{more}"


def who_of(
    flags: np.ndarray, user: np.ndarray, user_ids: Sequence[str], share: float, at_least: int
) -> str | None:
    """Says whose rows have a fault: "" for those of the table; None if no one has it.

    Args:
        flags: bool [m].
        user: int32 [m].
        user_ids: names of the people.
        share: the least share of flagged rows that counts.
        at_least: the least number of flagged rows that counts.
    """
    num_found = int(flags.sum())
    if num_found < at_least:
        return None
    if num_found >= share * len(flags):
        return ""
    users = users_above(flags, user, share)
    return f" of {names_of(users, user_ids)}" if len(users) else None
