"""Whether rows look like samples, like two eyes, or like rows given twice."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfds_builders.common.plausibility import gaze as gaze_rows
from tfds_builders.common.plausibility.eyes import MEND, check_places_of_eyes
from tfds_builders.common.plausibility.gaze import Gaze, Pairs

# Below, a share is an accident.
_FEW_PAIRS = 30
# In the real sets, no row repeats the place and duration of the row before, and one row in 100,000
# is equal to another row of its viewing.
_SHARE_REPEATED = 0.2
_SHARE_DOUBLE = 0.01
# Durations grow in half of the pairs of near places; 19 % of all pairs are near and grow.
_NEAR_FRAC = 0.05
_SHARE_GROWING = 0.42
_SHARE_GROWING_OF_NEAR = 0.85
# Two fixations cannot start as fast; samples of 16 Hz and faster do.
_SAMPLE_MS = 60.0
# At most 5 % of the steps of a real set are below 1 % of the diagonal, and 21 % below 3 %.
_TINY_FRAC = 0.01
_SMALL_FRAC = 0.03
# The longest viewing of the real sets, of 3 to 5 s, has 29 fixations.
_MANY_ROWS = 30
# Starts and durations of two eyes differ by some ms, places by 10 to 60 pixels. With that
# tolerance, 1 to 4 % of the pairs of a real set look alike, and 8 % of a person.
_EYES_START_MS = 25.0
_EYES_DURATION_MS = 12.0
_EYES_DURATION_SHARE = 0.05
_EYES_FRAC = 0.06
_EYES_APART_MS = 40.0
_LEAST_DURATION_MS = 40.0
_SHARE_PAIRED = 0.25
# Every other pair of two eyes is one fixation; of samples, all pairs are.
_SHARE_ALL_PAIRED = 0.75
# Any two rows of a viewing, in any order: 7 to 17 % of the rows of a real set have a twin, and at
# most 31 % of a person.
_SHARE_TWINS = 0.65
_MAX_TWIN_ROWS = 200_000


class Looks(NamedTuple):
    """What rows look like.

    Attributes:
        warnings: the faults.
        are_fixations: whether the rows look like fixations of one eye.
    """

    warnings: list[str]
    are_fixations: bool


def check_rows(
    gaze: Gaze, pairs: Pairs, user_ids: Sequence[str], image_ids: Sequence[str]
) -> Looks:
    """Returns the first fault of the rows of a viewing; the others would follow from it."""
    checks = (_check_repeated, _check_running, _check_eyes, _check_samples)
    for check in checks if len(pairs.row) else ():
        found = check(gaze, pairs, user_ids)
        if found:
            return Looks(found, False)
    return Looks(check_double(gaze, user_ids, image_ids), True)


def _is_same(gaze: Gaze, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    same = gaze_rows.both(gaze.xy[rows] == gaze.xy[others])
    if gaze.duration_ms is not None:
        same &= gaze.duration_ms[rows] == gaze.duration_ms[others]
    return same


def _check_repeated(gaze: Gaze, pairs: Pairs, user_ids: Sequence[str]) -> list[str]:
    """Rows that repeat the row before."""
    same = _is_same(gaze, pairs.row, pairs.following)
    who = gaze_rows.who_of(same, pairs.user, user_ids, _SHARE_REPEATED, 2)
    if who is None:
        return []
    lengths = _run_lengths(same, pairs)
    repeats = lengths[lengths > 1]
    numbers = (
        f"{int(same.sum())} of {len(gaze.xy)} rows repeat the place"
        f"{' and duration' if gaze.duration_ms is not None else ''} of the row before"
    )
    steps = None
    if gaze.t_ms is not None:
        steps = (gaze.t_ms[pairs.following] - gaze.t_ms[pairs.row])[same]
    is_timed = steps is not None and float(np.median(steps)) > 0
    if not is_timed and len(repeats) and (repeats == 2).mean() > 0.95:
        return [
            f"rows{who} are given twice: {numbers}, each once: a table joined to itself, or both "
            "eyes with one place; keep one row of each"
        ]
    spacing = f", {float(np.median(steps)):.4g} ms apart" if steps is not None and is_timed else ""
    unit = "t_ms" if spacing else "runs"
    return [
        f"rows{who} look like samples, not fixations: {numbers}{spacing} ({unit} of "
        f"{np.median(repeats) if len(repeats) else 1:g} rows, "
        f"{len(repeats)} of them): keep the first row of each run, or read the exporter's file by "
        "its own --format; if all runs are alike, the table may be joined to itself"
    ]


def _run_lengths(same: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Lengths [k] of the runs of pairs that are alike, in rows; pairs follow each other."""
    follows = np.ones(len(same), bool)
    follows[1:] = pairs.row[1:] == pairs.following[:-1]
    # A run of pairs ends where a pair differs, or where the next viewing begins.
    padded = np.concatenate([[False], same, [False]])
    begins = np.flatnonzero(padded[1:-1] & (~padded[:-2] | ~follows))
    number = np.cumsum(np.isin(np.arange(len(same)), begins))
    return np.bincount(number[same])[1:] + 1 if same.any() else np.zeros(0, np.int64)


def _check_running(gaze: Gaze, pairs: Pairs, user_ids: Sequence[str]) -> list[str]:
    """Durations that grow while the place hardly moves; the last row of a run is the fixation."""
    duration = gaze.duration_ms
    if duration is None or len(pairs.row) < 3:
        return []
    near = pairs.step_frac < _NEAR_FRAC
    grows = duration[pairs.following] > duration[pairs.row]
    both = near & grows
    who = gaze_rows.who_of(both, pairs.user, user_ids, _SHARE_GROWING, 3)
    if who is None:
        return []
    chosen = np.ones(len(both), bool)
    if who:
        chosen = np.isin(pairs.user, gaze_rows.users_above(both, pairs.user, _SHARE_GROWING))
    if both[chosen].sum() < _SHARE_GROWING_OF_NEAR * near[chosen].sum():
        return []
    starts_again = chosen & ~both
    if starts_again.sum() >= 3 and grows[starts_again].mean() > 0.5:
        return []  # It never starts again: these are times, not durations.
    if len(both) < _FEW_PAIRS and not _is_growth_of_few(duration, pairs, both):
        return []
    return [
        f"rows{who} look like running estimates of a fixation, not fixations: in "
        f"{int(both[chosen].sum())} of {int(chosen.sum())} pairs of rows the duration grows while "
        f"the place moves by less than {_NEAR_FRAC:.0%} of the picture (Gazepoint all_gaze): keep "
        "the last row of each run, or read the exporter's file by its own --format"
    ]


def _is_growth_of_few(duration: np.ndarray, pairs: Pairs, grows: np.ndarray) -> bool:
    """Few rows grow by chance; running estimates at least double, and then start again."""
    growth = np.log(np.maximum(duration, 1e-9))
    growth = growth[pairs.following] - growth[pairs.row]
    number = np.cumsum(~grows)[grows]
    total = np.bincount(number, growth[grows])[np.unique(number)]
    return bool(
        grows.mean() >= 0.7
        and len(total) >= 2
        and (total >= np.log(2)).all()
        and (growth[~grows] < 0).all()
    )


def _check_samples(gaze: Gaze, pairs: Pairs, user_ids: Sequence[str]) -> list[str]:
    """Rows that follow each other faster, or nearer, than fixations."""
    mend = "detect fixations first, or export fixations"
    if gaze.t_ms is not None:
        step_ms = gaze.t_ms[pairs.following] - gaze.t_ms[pairs.row]
        fast = (step_ms > 0) & (step_ms <= _SAMPLE_MS) & (pairs.step_frac < 0.2)
        who = gaze_rows.who_of(fast, pairs.user, user_ids, 0.75, 5)
        # Starts in seconds, or mere numbers, are near each other too, but the places are not.
        limit = 5.0 if who is None else float(np.median(step_ms[fast]))
        limit = _NEAR_FRAC if limit >= 5 else _NEAR_FRAC / 3
        if who is not None and np.median(pairs.step_frac[fast]) < limit:
            return [
                f"rows{who} look like samples of gaze, not fixations: {int(fast.sum())} of "
                f"{len(fast)} rows start {np.median(step_ms[fast]):.4g} ms (median) after the row "
                f"before, {np.median(pairs.step_frac[fast]):.2%} of the picture away: {mend}"
            ]
    tiny = pairs.step_frac < _TINY_FRAC
    small = pairs.step_frac < _SMALL_FRAC
    # Webcams are noisy; but a viewing has many samples.
    is_long = len(gaze.xy) >= _MANY_ROWS * pairs.is_first.sum()
    limits = ((tiny, 0.5, _TINY_FRAC), (small, 0.65, _SMALL_FRAC))
    for flags, share, limit in limits[: 1 + is_long]:
        who = gaze_rows.who_of(flags, pairs.user, user_ids, share, 15)
        if who is not None:
            return [
                f"rows{who} look like samples of gaze, not fixations: {int(flags.sum())} of "
                f"{len(flags)} rows are less than {limit:.0%} of the picture away from the row "
                f"before: {mend}"
            ]
    return []


def _alike_durations(first: np.ndarray, second: np.ndarray, scale: float = 1.0) -> np.ndarray:
    shorter = np.minimum(first, second)
    # A slack of some ms says nothing about durations in another unit.
    slack = np.maximum(np.minimum(_EYES_DURATION_MS, 0.2 * shorter), _EYES_DURATION_SHARE * shorter)
    return (np.abs(second - first) <= scale * slack) & (shorter >= _LEAST_DURATION_MS)


def _alternates(flags: np.ndarray, user: np.ndarray, who: str | None) -> bool:
    """Whether only every other pair is flagged, among the rows that `who` is about."""
    if who is None:
        return False
    if who:
        flags = flags[np.isin(user, gaze_rows.users_above(flags, user, _SHARE_PAIRED))]
    return len(flags) < 5 or bool(flags.mean() < _SHARE_ALL_PAIRED)


def _check_eyes(gaze: Gaze, pairs: Pairs, user_ids: Sequence[str]) -> list[str]:
    start, duration = gaze.t_ms, gaze.duration_ms
    if start is not None:
        step_ms = start[pairs.following] - start[pairs.row]
        paired = (step_ms >= 0) & (step_ms <= _EYES_START_MS) & (pairs.step_frac < 3 * _EYES_FRAC)
        if duration is not None:
            shorter = np.minimum(duration[pairs.row], duration[pairs.following])
            paired &= step_ms < 0.5 * shorter
        who = gaze_rows.who_of(paired, pairs.user, user_ids, _SHARE_PAIRED, 2)
        # From one fixation to the next, time goes on.
        is_apart = np.mean(step_ms > _EYES_APART_MS) >= 0.2
        if is_apart and _alternates(paired, pairs.user, who):
            return [
                f"rows{who} look like two eyes: {int(paired.sum())} of {len(paired)} fixations "
                f"start within {_EYES_START_MS:g} ms of the next one of the viewing, "
                f"{np.median(pairs.step_frac[paired]):.1%} of the picture away: {MEND}"
            ]
    if duration is None or duration.min() == duration.max():
        return [] if start is not None else check_places_of_eyes(gaze, pairs, user_ids)
    # Few rows have to be nearer to each other, and more of them.
    scale, share = (1.0, _SHARE_PAIRED) if len(pairs.row) >= _FEW_PAIRS else (1 / 3, 0.4)
    alike = _alike_durations(duration[pairs.row], duration[pairs.following], scale)
    paired = alike & (pairs.step_frac < scale * _EYES_FRAC)
    who = gaze_rows.who_of(paired, pairs.user, user_ids, share, 2)
    if _alternates(paired, pairs.user, who):
        return [
            f"rows{who} look like two eyes, one after the other: {int(paired.sum())} of "
            f"{len(paired)} pairs of rows of a viewing have nearly one duration and are "
            f"{np.median(pairs.step_frac[paired]):.1%} of the picture apart (median): {MEND}"
        ]
    rows, has_twin, distance = _twins(gaze)
    share = _SHARE_TWINS if len(has_twin) >= 30 else 0.9
    who = gaze_rows.who_of(has_twin, gaze.user[rows], user_ids, share, 6)
    if who is None:
        return []
    return [
        f"rows{who} look like two eyes of a viewing, one block after the other: "
        f"{int(has_twin.sum())} of {len(has_twin)} rows have another row of their viewing with "
        f"nearly the same duration, {distance:.1%} of the picture away (median): {MEND}"
    ]


def _twins(gaze: Gaze) -> tuple[np.ndarray, np.ndarray, float]:
    """Finds rows that have nearly the same duration and place as another of their viewing.

    Rows of a viewing are sorted by duration. A twin is then one of the next three, in any order of
    the file. Of a large table, some viewings are looked at.

    Returns:
        The rows [m] that were looked at, whether each has a twin [m], and the median distance.
    """
    duration = gaze.duration_ms
    if duration is None:
        return np.zeros(0, np.int64), np.zeros(0, bool), 0.0
    key = gaze_rows.viewing_keys(gaze)
    rows = np.arange(len(key))
    if len(key) > _MAX_TWIN_ROWS:
        # Neighbouring viewings get far numbers, so that all people and images are in.
        mixed = (key.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
        rows = np.flatnonzero(mixed % np.uint64(len(key) // _MAX_TWIN_ROWS + 1) == 0)
    rows = rows[np.lexsort((duration[rows], key[rows]))]
    key, duration = key[rows], duration[rows]
    has_twin, distances = np.zeros(len(rows), bool), []
    for step in (1, 2, 3):
        near = np.flatnonzero(
            (key[step:] == key[:-step]) & _alike_durations(duration[:-step], duration[step:])
        )
        distance = gaze_rows.distances_frac(gaze, rows[near], rows[near + step])
        is_twin = (distance < _EYES_FRAC) & (distance > 0)
        has_twin[near[is_twin]] = True
        has_twin[near[is_twin] + step] = True
        distances.append(distance[is_twin])
    found = np.concatenate(distances)
    return rows, has_twin, float(np.median(found)) if len(found) else 0.0


def check_double(gaze: Gaze, user_ids: Sequence[str], image_ids: Sequence[str]) -> list[str]:
    """Rows that are equal to the last digit, anywhere in the table."""
    rows, group = _equal_rows(gaze)
    if not len(rows):
        return []
    image, user = gaze.image[rows].astype(np.int64), gaze.user[rows].astype(np.int64)
    num_users = int(gaze.user.max()) + 1
    pair = image * num_users + user
    found = []
    order = np.lexsort((pair, group))
    again = np.zeros(len(rows), bool)
    again[order[1:]] = (np.diff(group[order]) == 0) & (np.diff(pair[order]) == 0)
    num_again = int(again.sum())
    viewing = gaze_rows.viewing_keys(gaze)
    viewings, first, counts = np.unique(viewing[rows[again]], return_index=True, return_counts=True)
    every, num_rows = np.unique(viewing, return_counts=True)
    # Whole pixels without durations meet by chance.
    at_least, share = (3, 0.3) if gaze.duration_ms is not None else (5, 0.45)
    is_whole = (counts >= at_least) & (counts >= share * num_rows[np.searchsorted(every, viewings)])
    least = _SHARE_DOUBLE if gaze.duration_ms is not None else 5 * _SHARE_DOUBLE
    if is_whole.any() or num_again >= max(2, least * len(gaze.xy)):
        one = rows[again][first[np.argmax(is_whole)]]
        found.append(
            f"{num_again} of {len(gaze.xy)} rows are given again, equal to the last digit, by the "
            f"same user on the same image (such as {str(user_ids[gaze.user[one]])!r} on "
            f"{str(image_ids[gaze.image[one]])!r}): a table joined to itself, a viewing or a file "
            "given twice; keep one row of each"
        )
    found += _check_copied(gaze, rows, group, image, user, user_ids, "user")
    return found or _check_copied(gaze, rows, group, user, image, image_ids, "image")


def _equal_rows(gaze: Gaze) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows [m] whose place and duration come again, and the number [m] of the group."""
    columns = [gaze.xy[:, 0], gaze.xy[:, 1]]
    if gaze.duration_ms is not None:
        columns.append(gaze.duration_ms)
    mixed = np.zeros(len(gaze.xy), np.uint64)
    for column in columns:
        # Adding 0 gives -0 the bits of 0.
        bits = np.ascontiguousarray(column + 0.0, np.float64).view(np.uint64)
        mixed = (mixed ^ (bits >> np.uint64(31)) ^ bits) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    order = np.argsort(mixed, kind="stable")
    equal = np.diff(mixed[order]) == 0
    is_member = np.zeros(len(mixed), bool)
    is_member[order[1:][equal]] = True
    is_member[order[:-1][equal]] = True
    rows = np.flatnonzero(is_member)
    _, group = np.unique(mixed[rows], return_inverse=True)
    return rows, group


def _check_copied(
    gaze: Gaze,
    rows: np.ndarray,
    group: np.ndarray,
    fixed: np.ndarray,
    varied: np.ndarray,
    names: Sequence[str],
    kind: str,
) -> list[str]:
    """The rows of one user that another user of the same image has too; or of one image."""
    order = np.lexsort((varied, fixed, group))
    same = (np.diff(group[order]) == 0) & (np.diff(fixed[order]) == 0)
    same &= np.diff(varied[order]) != 0
    if same.sum() < 3:
        return []
    is_copy = np.zeros(len(rows), bool)
    is_copy[order[1:][same]] = True
    is_copy[order[:-1][same]] = True
    column = gaze.user if kind == "user" else gaze.image
    total = np.bincount(column)
    copied = np.bincount(varied[is_copy], minlength=len(total))
    # Whole pixels without durations meet by chance.
    share = 0.5 if gaze.duration_ms is not None else 0.8
    who = np.flatnonzero((copied >= 5) & (copied >= share * total))
    if len(who) < 2:
        return []
    other = "users of the same image" if kind == "user" else "images by the same user"
    return [
        f"{gaze_rows.names_of(who, names, kind)} have the same rows: {int(is_copy.sum())} rows are "
        f"equal to the last digit for two {other}: one file was given under several names, or a "
        "place was carried forward; keep one of them"
    ]
