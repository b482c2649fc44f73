"""Whether durations and times look like another unit, or contradict each other."""

from collections.abc import Sequence

import numpy as np

from tfds_builders.common.plausibility import gaze as gaze_rows
from tfds_builders.common.plausibility.gaze import Gaze, Pairs

# The median fixation of a person lasts 108 to 349 ms in MIT1003, OSIE, PS, the scene set and the
# relational set. Far outside this range another unit is likelier than another person.
_SECONDS_MS = 5.0
_SHORT_MEDIAN_MS = 60.0
_LONG_MEDIAN_MS = 1500.0
# Of 5 rows of a person or image that follow each other, no real set has all beyond these.
_TOO_SHORT_MS = 40.0
_TOO_LONG_MS = 5000.0
_MICROSECONDS_MS = 20e3
_NANOSECONDS_MS = 20e6
_MIN_ROWS_OF_MEDIAN = 20
_MIN_PAIRS_RISING = 12
# In the real sets, at most .05 % of the fixations are as short as that.
_VERY_SHORT_MS = 20.0
_SHARE_VERY_SHORT = 0.01
_MIN_VERY_SHORT = 3
# A saccade needs 100 ms and more: what starts earlier was under way when the picture came.
_ONSET_MS = 40.0
_CUT_MS = 100.0
# Slack of one sample of a slow tracker.
_SLACK_MS = 10.0
_SHARE_OVERLAPPING = 0.2
# Between two starts lies one fixation and one saccade. A unit of the two differs by 1000.
_UNIT_RATIO = 50.0


def check_durations(
    gaze: Gaze,
    pairs: Pairs,
    user_ids: Sequence[str],
    image_ids: Sequence[str],
    *,
    are_fixations: bool,
    is_table: bool,
) -> list[str]:
    """Returns warnings about durations alone.

    Args:
        gaze: the rows.
        pairs: from `pairs_of`.
        user_ids: names of the people.
        image_ids: names of the images.
        are_fixations: whether the rows look like fixations; if not, only units are checked.
        is_table: whether the options of tables can be given.
    """
    duration = gaze.duration_ms
    if duration is None or len(duration) < 2:
        return []
    num = len(duration)
    median = float(np.median(duration))
    if not duration.any():
        mend = ": leave the column out with --ignore-columns" if is_table else ""
        return [f"all {num} durations are 0{mend}"]
    if num >= 5 and duration.min() == duration.max():
        if not are_fixations:
            return []
        mend = ": leave the column out with --ignore-columns" if is_table else ""
        return [
            f"all {num} durations are {median:g} ms: a duration of fixations varies, so these may "
            f"be samples, or a filler{mend}"
        ]
    rising = _check_rising(gaze, pairs) if are_fixations else []
    if rising:
        return rising
    for flags, unit, name in (
        ((duration < _SECONDS_MS) & (duration > 0), "s", "seconds"),
        (duration > _NANOSECONDS_MS, "ns", "nanoseconds"),
        ((duration > _MICROSECONDS_MS), "us", "microseconds"),
    ):
        if unit == "s" and not are_fixations:
            flags = flags & (duration < 1.5)  # Samples last for a few ms.
        who = gaze_rows.whose(flags, gaze, user_ids, image_ids, 0.5, least_rows=gaze_rows.FEW_ROWS)
        if who is None:
            continue
        shown = float(np.median(duration[flags]))
        mend = f"give --durations {unit}"
        if who:
            mend = f"build these rows on their own with --durations {unit}, or convert them"
        if not is_table:
            mend = "convert them in the file"
        return [
            f"durations{who} look like {name}, not milliseconds: {int(flags.sum())} of {num} rows, "
            f"median {shown:.4g}: {mend}"
        ]
    found: list[str] = []
    if not are_fixations:
        return found
    if num >= _MIN_ROWS_OF_MEDIAN:
        mend = " (--durations)" if is_table else ""
        kinds = {
            "short": "they may count samples or hundredths of seconds, or the rows may be samples "
            "and not fixations",
            "long": f"they may be in another unit{mend}, be times, or last for a whole viewing",
        }
        for flags, share, words, least_rows in (
            (duration < _SHORT_MEDIAN_MS, 0.65, "short", gaze_rows.MIN_ROWS_OF_A_GROUP),
            (duration > _LONG_MEDIAN_MS, 0.5, "long", gaze_rows.MIN_ROWS_OF_A_GROUP),
            (duration < _TOO_SHORT_MS, 0.9, "short", _MIN_ROWS_OF_MEDIAN),
            (duration > _TOO_LONG_MS, 0.9, "long", _MIN_ROWS_OF_MEDIAN),
        ):
            who = gaze_rows.whose(
                flags, gaze, user_ids, image_ids, share, at_least=10, least_rows=least_rows
            )
            if who is not None:
                return [
                    f"durations{who} are too {words} for fixations in milliseconds: median "
                    f"{np.median(duration[flags]):.4g}: {kinds[words]}"
                ]
    very_short = duration < _VERY_SHORT_MS
    least = max(_MIN_VERY_SHORT, _SHARE_VERY_SHORT * num)
    if num >= _MIN_ROWS_OF_MEDIAN and very_short.sum() >= least:
        mend = f"; leave them out with --where 'duration_ms >= {_VERY_SHORT_MS:g}'"
        found.append(
            f"{int(very_short.sum())} of {num} fixations ({very_short.mean():.0%}) are shorter "
            f"than {_VERY_SHORT_MS:g} ms, which no eye does: parts of blinks and saccades"
            f"{mend if is_table else ''}, or several units are mixed"
        )
    return found


def _check_rising(gaze: Gaze, pairs: Pairs) -> list[str]:
    """Durations that rise through each viewing are times."""
    duration = gaze.duration_ms
    if duration is None or len(pairs.row) < _MIN_PAIRS_RISING:
        return []
    rises = duration[pairs.following] > duration[pairs.row]
    if rises.mean() < 0.95:
        return []
    return [
        f"durations rise from row to row in {rises.mean():.0%} of {len(rises)} pairs of rows of a "
        "viewing: they look like times of the start or end: give t_ms (--columns), and durations "
        "as end minus start"
    ]


def check_starts(
    gaze: Gaze,
    pairs: Pairs,
    user_ids: Sequence[str],
    image_ids: Sequence[str],
    *,
    are_fixations: bool,
    is_comparable: bool,
    is_table: bool,
) -> list[str]:
    """Returns warnings about starts, and about starts and durations together.

    Args:
        gaze: the rows.
        pairs: from `pairs_of`.
        user_ids: names of the people.
        image_ids: names of the images.
        are_fixations: whether the rows look like fixations of one eye.
        is_comparable: whether starts and durations can be compared: durations look right.
        is_table: whether the options of tables can be given.
    """
    start, duration = gaze.t_ms, gaze.duration_ms
    if start is None or not len(start):
        return []
    gap = start[pairs.following] - start[pairs.row]
    found = []
    if len(gap) >= 2:
        found += _check_unit_of_starts(
            gaze, pairs, gap, are_fixations=are_fixations, is_table=is_table
        ) or _check_starts_of_groups(
            gaze, pairs, gap, user_ids, image_ids, are_fixations=are_fixations
        )
    if not found and is_comparable and duration is not None and len(gap) >= 5:
        found += _check_overlap(start, duration, pairs, is_table=is_table)
    if not found and is_comparable and duration is not None:
        found += _check_onset(gaze, pairs, is_table=is_table)
    return found


def _check_unit_of_starts(
    gaze: Gaze, pairs: Pairs, gap: np.ndarray, *, are_fixations: bool, is_table: bool
) -> list[str]:
    duration = gaze.duration_ms
    median_gap = float(np.median(gap))
    if median_gap <= 0:
        return []
    if len(gap) >= 3 and np.all(gap == gap[0]) and gap[0] == 1:
        mend = ": leave it out with --ignore-columns t_ms" if is_table else ""
        return [f"t_ms counts the rows ({len(gap)} steps of 1), which is no time{mend}"]
    unit = None
    if median_gap < _SECONDS_MS and are_fixations:  # Samples and two eyes are as near.
        unit = "s"
    elif median_gap > _NANOSECONDS_MS:
        unit = "ns"
    elif median_gap > _MICROSECONDS_MS:
        unit = "us"
    if unit is None:
        return []
    if duration is None:
        # Samples of a fast tracker are a few ms apart, but they stay at their place.
        if unit == "s" and np.median(pairs.step_frac) < 0.02:
            return []
        note = ""
    else:
        median = float(np.median(duration[pairs.row]))
        ratio = median / median_gap
        if 1 / _UNIT_RATIO < ratio < _UNIT_RATIO:
            # Both are wrong alike, or the rows are samples.
            both = median < _SECONDS_MS or median > _MICROSECONDS_MS
            if not both:
                return []
        note = f", while durations have a median of {median:.4g}"
    name = {"s": "seconds", "us": "microseconds", "ns": "nanoseconds"}[unit]
    return [
        f"t_ms looks like {name}, not milliseconds: the starts of a viewing are {median_gap:.4g} "
        f"apart (median){note}: "
        + (f"give --times {unit}" if is_table else "convert them in the file")
    ]


def _check_starts_of_groups(
    gaze: Gaze,
    pairs: Pairs,
    gap: np.ndarray,
    user_ids: Sequence[str],
    image_ids: Sequence[str],
    *,
    are_fixations: bool,
) -> list[str]:
    """Starts of some people or images in another unit than the others."""
    is_short, is_long = (gap > 0) & (gap < _SECONDS_MS), gap > _MICROSECONDS_MS
    few = gaze_rows.FEW_ROWS
    for flags, name, least_rows in (
        # Samples and two eyes are as near.
        (is_short if are_fixations else np.zeros(len(gap), bool), "seconds", few),
        # A viewing that is given twice, with few fixations, has long gaps too.
        (is_long, "microseconds or nanoseconds", gaze_rows.MIN_ROWS_OF_A_GROUP),
    ):
        rows = np.flatnonzero(flags)
        if len(rows) < few - 1:
            continue
        first = pairs.row[rows]
        if gaze.duration_ms is not None:
            # Durations are in milliseconds there.
            ratio = gaze.duration_ms[first] / gap[rows]
            is_other = (ratio >= _UNIT_RATIO) | (ratio <= 1 / _UNIT_RATIO)
        else:
            is_other = (pairs.step_frac[rows] >= 0.02) | is_long[rows]
        flags = np.zeros(len(gap), bool)
        flags[rows[is_other]] = True
        of_pairs = gaze._replace(user=pairs.user, image=gaze.image[pairs.row])
        who = gaze_rows.whose(flags, of_pairs, user_ids, image_ids, 0.8, least_rows=least_rows)
        if who:
            return [
                f"t_ms{who} looks like {name}, not milliseconds: {int(flags.sum())} of {len(gap)} "
                f"starts of a viewing are {np.median(gap[flags]):.4g} apart (median): convert them"
            ]
    return []


def _check_overlap(
    start: np.ndarray, duration: np.ndarray, pairs: Pairs, *, is_table: bool
) -> list[str]:
    first, second = pairs.row, pairs.following
    overlaps = start[first] + duration[first] > start[second] + _SLACK_MS
    share = overlaps.mean()
    if share < _SHARE_OVERLAPPING:
        return []
    numbers = f"{int(overlaps.sum())} of {len(overlaps)} fixations end after the next one starts"
    as_ends = start[first] > start[second] - duration[second] + _SLACK_MS
    if as_ends.mean() < 0.1 * share:
        return [
            f"t_ms looks like the end of a fixation, not its start: {numbers}, and "
            f"{int(as_ends.sum())} if t_ms is the end: give the start, t_ms minus duration_ms"
        ]
    return [
        f"t_ms and duration_ms contradict each other: {numbers} (t_ms + duration_ms): check their "
        f"units{' (--times, --durations)' if is_table else ''}, whether t_ms is the start, and "
        "whether two eyes or two viewings are mixed"
    ]


def _check_onset(gaze: Gaze, pairs: Pairs, *, is_table: bool) -> list[str]:
    """Fixations that were under way when the picture came: a hint, not a fault."""
    start, duration = gaze.t_ms, gaze.duration_ms
    if start is None or duration is None:
        return []
    first = pairs.order[pairs.is_first]
    if (start[first] < 0).any():
        num = int((start < 0).sum())
        return [
            f"hint: {num} fixations have a t_ms below 0: they started before the picture came; "
            "leave them out with "
            + ("--where 't_ms >= 0', or " if is_table else "")
            + "data.drop_first_fixation"
        ]
    early = (start >= 0) & (start <= _ONSET_MS) & (duration < _CUT_MS)
    at_onset = start[first] <= _ONSET_MS
    if len(start) < _MIN_ROWS_OF_MEDIAN:
        is_cut = bool(early.any())
    else:
        others = np.delete(duration, first)
        cut = first[at_onset]
        is_cut = (
            len(cut) >= max(3, 0.05 * len(first))
            and len(others) > 0
            and float(np.median(duration[cut])) < 0.7 * float(np.median(others))
        )
    if not is_cut:
        return []
    rows = np.flatnonzero(early) if len(start) < _MIN_ROWS_OF_MEDIAN else first[at_onset]
    where = "--where, or " if is_table else ""
    return [
        f"hint: {len(rows)} fixations start within {_ONSET_MS:g} ms of 0, with a median duration "
        f"of {np.median(duration[rows]):.4g} ms: they were under way when the picture came, and "
        f"look cut; leave them out with {where}data.drop_first_fixation"
    ]


def facts_of_times(gaze: Gaze) -> list[tuple[str, str]]:
    """Returns the median duration and the rate of fixations."""
    found = []
    if gaze.duration_ms is not None and len(gaze.duration_ms):
        found.append(("median duration", f"{np.median(gaze.duration_ms):.4g} ms"))
    if gaze.t_ms is None:
        if gaze.duration_ms is None:
            return found
        num_fixations, total_ms = len(gaze.xy), float(np.sum(gaze.duration_ms))
        source = "of the time in fixations"
    else:
        order, key = gaze_rows.order_of_looking(gaze)
        starts = np.flatnonzero(np.diff(key, prepend=key[:1] - 1))
        ends = np.append(starts[1:], len(key)) - 1 if len(key) else starts
        # From the first start to the last one, there is one fixation less.
        num_fixations = len(key) - len(starts)
        total_ms = float(np.sum(gaze.t_ms[order[ends]] - gaze.t_ms[order[starts]]))
        source = "from t_ms"
    if total_ms > 0:
        found.append(("fixations a second", f"{1000 * num_fixations / total_ms:.3g} ({source})"))
    return found
