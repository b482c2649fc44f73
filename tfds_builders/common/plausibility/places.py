"""Whether places of gaze look like another origin, or no places at all."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfds_builders.common.coordinates import Units
from tfds_builders.common.plausibility import gaze as gaze_rows
from tfds_builders.common.plausibility.gaze import Gaze
from tfds_builders.common.plausibility.units import check_units, shown_size

# The least area of the picture that gaze covers: 25 viewings by one person cover 34 % and more in
# MIT1003, OSIE, PS, the scene set and the relational set.
_SMALL_AREA = 0.02
_MIN_ROWS_OF_AREA = 20
# A band without gaze along an edge. On 12 images and more, no real set has one above 23 %.
_EMPTY_BAND = 0.27
_EMPTY_HALF = 0.45
_MIN_ROWS_OF_HALF = 60
_MIN_ROWS_OF_BAND = 500
_MIN_IMAGES_OF_BAND = 12
_MIN_VIEWINGS_OF_BAND = 40
# People whose gaze ends at this share of the extent of all gaze, to the right and below. Of 9,000
# draws of people of the real sets, on 8 to 60 images and beside 3 to 11 others, none is found; on
# 12 images and more, 77 to 100 % of those whose gaze is made smaller, to two thirds of the picture.
_SMALLER = 0.78
_SHARE_BEYOND = 0.005
_SAME_EDGE = 0.04
_MIN_IMAGES_OF_SMALLER = 8
# A person whose gaze is outside the picture, though that of most people is not.
_OFTEN_OUTSIDE = 0.15
_RARELY_OUTSIDE = 0.02
# Out of range values that trackers and exporters write for "no place".
_MARKERS = (3270.0, 9999.0, 99999.0, 32767.0, 32768.0, 1e8)
# Real sets have at most 7 rows at one value of an edge, and at most .01 % at one place.
_SHARE_AT_EDGE = 0.01
_SHARE_AT_PLACE = 0.02
_MIN_ROWS_AT_VALUE = 10


class Places(NamedTuple):
    """What places look like.

    Attributes:
        warnings: the faults.
        is_off: bool [n], rows whose x and y are in another unit or of a picture of another size, so
            that distances say nothing.
    """

    warnings: list[str]
    is_off: np.ndarray


def check_places(
    gaze: Gaze, user_ids: Sequence[str], image_ids: Sequence[str], units: Units, *, is_table: bool
) -> Places:
    """Checks units, origin and extent of x and y."""
    unit = check_units(gaze, user_ids, image_ids, units)
    is_off = np.zeros(len(gaze.xy), bool) if unit is None else unit.is_off
    of_unit = [] if unit is None else [unit.warning]
    if not of_unit and units != "deg":
        of_unit = _check_centre(gaze)
    is_saturated = _is_saturated(gaze)
    found = [*of_unit, *_check_saturated(gaze, is_saturated, is_table=is_table)]
    if not of_unit:
        rest = gaze_rows.take(gaze, ~is_saturated) if is_saturated.any() else gaze
        of_axes = _check_swapped(rest, user_ids, units)
        found += of_axes
        if not of_axes:
            of_users, smaller = _check_users(rest, user_ids)
            found += of_users or _check_extent(rest, user_ids)
            found += _check_fillers(rest, units, is_table=is_table)
            is_off = is_off | np.isin(gaze.user, smaller) if len(smaller) else is_off
    return Places(found, is_off)


def _check_centre(gaze: Gaze) -> list[str]:
    """Gaze around the upper left corner: x and y are counted from the centre."""
    inside = gaze.xy_frac[gaze_rows.both(np.abs(gaze.xy_frac) <= 1)]
    if len(inside) < 10 or len(inside) < 0.8 * len(gaze.xy):
        return []
    is_negative = (inside < -0.01).mean(0)
    # Half of all gaze is left of the centre and half above it.
    if not ((is_negative > 0.2) & (is_negative < 0.8)).all():
        return []
    return [
        f"x and y look as if counted from the centre of the picture: {is_negative[0]:.0%} of x and "
        f"{is_negative[1]:.0%} of y are negative: give --shown-at with the left upper corner in "
        "these units, such as --shown-at=-400,-300,800x600, or add half of the size first"
    ]


def _check_swapped(gaze: Gaze, user_ids: Sequence[str], units: Units) -> list[str]:
    """Rows outside that are inside once x and y are exchanged."""
    if units != "px":
        return []
    with np.errstate(invalid="ignore"):
        # Places that the convention moved are on a screen; the screen decides there.
        is_plain = gaze_rows.larger(np.abs(gaze.xy_frac * gaze.size_px - gaze.xy)) <= 1.01
        outside = is_plain & gaze_rows.either((gaze.xy < -1) | (gaze.xy > gaze.size_px + 1))
        swapped = gaze.xy[:, ::-1]
        stays_outside = is_plain & gaze_rows.either((swapped < -1) | (swapped > gaze.size_px + 1))
    # In a large table, two rows are beside the picture by chance.
    at_least = 2 if len(outside) < 60 else 5
    who = gaze_rows.who_of(outside, gaze.user, user_ids, 0.03, at_least)
    if who is None:
        return []
    chosen = slice(None)
    if who:
        chosen = np.isin(gaze.user, gaze_rows.users_above(outside, gaze.user, 0.03))  # type: ignore[assignment]
    num_outside, num_staying = int(outside[chosen].sum()), int(stays_outside[chosen].sum())
    if num_staying > 0.1 * num_outside:
        return []
    return [
        f"x and y{who} look exchanged: {num_outside} rows are outside their picture, and "
        f"{num_staying} once x and y are exchanged: exchange them (--columns x=y,y=x in a table)"
    ]


def _check_extent(gaze: Gaze, user_ids: Sequence[str]) -> list[str]:
    is_known = gaze_rows.both(np.isfinite(gaze.xy_frac))
    xy, user = gaze.xy_frac[is_known], gaze.user[is_known]
    if len(xy) < _MIN_ROWS_OF_AREA:
        return []
    some = xy[gaze_rows.some_rows(len(xy))]
    low, high = np.percentile(some, (1, 99), axis=0)
    area = float(np.prod(high - low))
    if area < _SMALL_AREA and _num_viewings(gaze, is_known) >= 3:
        return [
            f"gaze covers {area:.2%} of the picture (x {low[0]:.1%} to {high[0]:.1%}, y "
            f"{low[1]:.1%} to {high[1]:.1%} of {shown_size(gaze)}): the unit may be another one: "
            "check --units, --pixels-per-degree and --screen"
        ]
    small = _small_users(xy, user)
    if len(small):
        return [
            f"gaze of {gaze_rows.names_of(small, user_ids)} covers less than "
            f"{_SMALL_AREA:.0%} of the picture, gaze of all covers {area:.0%}: their unit or place "
            "may be another one"
        ]
    if len(xy) < _MIN_ROWS_OF_HALF:
        return []
    low, high = np.percentile(some, (0.2, 99.8), axis=0)
    bands = {"left": low[0], "right": 1 - high[0], "top": low[1], "bottom": 1 - high[1]}
    empty = [f"{name} {share:.0%}" for name, share in bands.items() if share > _EMPTY_BAND]
    # Gaze in one quarter of the picture needs fewer rows.
    is_half = max(bands["left"], bands["right"]) > _EMPTY_HALF
    is_half &= max(bands["top"], bands["bottom"]) > _EMPTY_HALF
    is_few = (
        not empty
        or (len(xy) < _MIN_ROWS_OF_BAND and not is_half)
        or _num_viewings(gaze, is_known) < (10 if is_half else _MIN_VIEWINGS_OF_BAND)
        or len(np.unique(gaze.image[is_known])) < (5 if is_half else _MIN_IMAGES_OF_BAND)
    )
    if is_few:
        return []
    return [
        f"no gaze is in the {' and the '.join(empty)} of the pictures ({len(xy)} fixations): x and "
        "y may be places on a screen (--screen with --fit, or --shown-at), or in another unit "
        "(--units)"
    ]


def _check_users(gaze: Gaze, user_ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Finds people whose pictures had another size or place than those of the others.

    Returns:
        The warnings; and int64 [k], the people whose pictures were smaller.
    """
    is_known = gaze_rows.both(np.isfinite(gaze.xy_frac))
    xy, user, image = (part[is_known] for part in (gaze.xy_frac, gaze.user, gaze.image))
    total = np.bincount(user)
    if np.count_nonzero(total) < 2:
        return [], np.zeros(0, np.int64)
    has_many = total >= _MIN_ROWS_OF_HALF
    is_outside = gaze_rows.either((xy < 0) | (xy >= 1))
    outside = np.bincount(user[is_outside], minlength=len(total)) / np.maximum(total, 1)
    is_often = has_many & (outside >= _OFTEN_OUTSIDE)
    found = []
    if is_often.any() and np.median(outside[total > 0]) <= _RARELY_OUTSIDE:
        least = f"{outside[is_often].min():.0%}"
        found.append(
            f"{'all' if least == '100%' else f'{least} and more'} of the gaze of "
            f"{gaze_rows.names_of(np.flatnonzero(is_often), user_ids)} is outside of the pictures, "
            f"and at most {_RARELY_OUTSIDE:.0%} of that of most people: their screen or the place "
            "of their pictures may be another one, or their calibration is poor"
        )
    # Gaze on a smaller picture begins at the same left and upper edge, and ends before the others.
    some = xy[gaze_rows.some_rows(len(xy))]
    low, high = np.percentile(np.clip(some, 0, 1), (0.5, 99.5), axis=0)
    is_smaller = has_many & ~is_often
    for axis in (0, 1):
        beyond = np.bincount(user[xy[:, axis] > _SMALLER * high[axis]], minlength=len(total))
        at_edge = np.bincount(user[xy[:, axis] < low[axis] + _SAME_EDGE], minlength=len(total))
        is_smaller &= (beyond <= _SHARE_BEYOND * total) & (at_edge >= _SHARE_BEYOND * total)
    candidates = np.flatnonzero(is_smaller)
    num_images = [len(np.unique(image[user == one])) for one in candidates]
    smaller = candidates[np.array(num_images, np.int64) >= _MIN_IMAGES_OF_SMALLER]
    if len(smaller):
        right, bottom = np.percentile(xy[np.isin(user, smaller)], 99.5, axis=0)
        found.append(
            f"gaze of {gaze_rows.names_of(smaller, user_ids)} is in the left {right:.0%} and the "
            f"top {bottom:.0%} of the pictures, gaze of all in the left {high[0]:.0%} and the top "
            f"{high[1]:.0%}: their screen or their pictures may have had another size: give "
            "--shown-at, or --screen with --fit, for these people, in a build of their own"
        )
    return found, smaller


def _num_viewings(gaze: Gaze, rows: np.ndarray) -> int:
    return len(np.unique(gaze_rows.viewing_keys(gaze)[rows]))


def _small_users(xy_frac: np.ndarray, user: np.ndarray) -> np.ndarray:
    """Finds the people [k] with 100 rows and more, whose gaze covers a small area."""
    total = np.maximum(np.bincount(user), 1)
    clipped = np.clip(xy_frac, -0.2, 1.2)
    spread = np.ones(len(total))
    for axis in (0, 1):
        mean = np.bincount(user, clipped[:, axis]) / total
        square = np.bincount(user, np.square(clipped[:, axis])) / total
        spread *= np.sqrt(np.maximum(square - np.square(mean), 0))
    # The exact area is slow; a spread of a tenth of the width and height is larger.
    candidates = np.flatnonzero((total >= 100) & (spread < 0.01))
    areas = [
        np.prod(np.ptp(np.percentile(xy_frac[user == number], (1, 99), axis=0), axis=0))
        for number in candidates[:100]
    ]
    return candidates[:100][np.array(areas) < _SMALL_AREA] if areas else candidates


def _is_saturated(gaze: Gaze) -> np.ndarray:
    """Returns bool [n]: rows outside with a value that no screen has."""
    xy = np.abs(gaze.xy)
    is_saturated = np.zeros(len(xy), bool)
    far = np.flatnonzero(gaze_rows.larger(xy) > _MARKERS[0] - 1)
    is_marker = np.any([np.abs(xy[far] - marker) < 0.6 for marker in _MARKERS], axis=0)
    frac = gaze.xy_frac[far]
    is_saturated[far] = gaze_rows.either(is_marker) & ~gaze_rows.both((frac >= 0) & (frac <= 1))
    return is_saturated


def _check_saturated(gaze: Gaze, is_saturated: np.ndarray, *, is_table: bool) -> list[str]:
    xy = np.abs(gaze.xy[is_saturated])
    found = []
    for marker in _MARKERS:
        num = int(gaze_rows.either(np.abs(xy - marker) < 0.6).sum())
        if num:
            kind = "is saturated far off the screen" if marker == 3270 else "marks missing gaze"
            such = f", such as --where 'x > -{marker:g}' --where 'x < {marker:g}', and y alike"
            found.append(
                f"{num} of {len(gaze.xy)} rows have x or y at {marker:g} or -{marker:g}, which "
                f"{kind}: leave them out{such if is_table else ' in the files'}"
            )
    return found


def _check_fillers(gaze: Gaze, units: Units, *, is_table: bool) -> list[str]:
    """Values that stand for "no place", and places that were moved to an edge."""
    found = []
    xy = gaze.xy
    is_zero, is_minus = xy == 0, xy == -1
    # Where gaze is clipped to the edges, a few rows are in the corner by that.
    both = int(gaze_rows.both(is_zero).sum())
    counts = {0: both if is_zero.sum() <= 5 * both else 0, -1: int(gaze_rows.both(is_minus).sum())}
    if units == "px" and gaze_rows.either(is_minus).mean() >= 0.005:
        # One of the two may be missing alone; a little gaze at -1 is beside the picture.
        counts[-1] = int(gaze_rows.either(is_minus).sum())
    for marker, num in counts.items():
        if num >= max(2, 0.001 * len(xy)):
            found.append(
                f"{num} of {len(xy)} rows have {'x or y' if marker else 'x and y'} at {marker}, "
                f"which marks missing gaze: "
                f"{gaze_rows.leave_out(f'x != {marker}', is_table=is_table)}"
            )
    if found:
        return found
    is_out: np.ndarray = ~gaze_rows.both((gaze.xy_frac >= 0) & (gaze.xy_frac <= 1))
    return _check_repeated_values(gaze, is_out, is_table=is_table)


def _check_repeated_values(gaze: Gaze, is_out: np.ndarray, *, is_table: bool) -> list[str]:
    xy, num = gaze.xy, len(gaze.xy)
    found: list[str] = []
    clipped: list[str] = []
    is_out = is_out & gaze_rows.both(np.isfinite(gaze.xy_frac))
    least = max(_MIN_ROWS_AT_VALUE, _SHARE_AT_EDGE * num)
    for axis, name in enumerate("xy"):
        frac = gaze.xy_frac[:, axis]
        # Where an axis is inside, its values repeat by chance.
        rows = np.flatnonzero(is_out & ~((frac >= 0) & (frac <= 1)))
        value, count = _most_frequent(xy[rows, axis])
        if count >= max(3, 0.002 * num):
            found.append(
                f"{count} rows have {name} at exactly {value:g}, outside the picture: saturated, "
                "or a marker of missing gaze: "
                f"{gaze_rows.leave_out(f'{name} != {value:g}', is_table=is_table)}"
            )
            continue
        for at_edge, edge in ((np.abs(frac), "lower"), (np.abs(frac - 1), "upper")):
            rows = np.flatnonzero(at_edge <= 0.003)
            value, count = _most_frequent(xy[rows, axis])
            if count >= least and _num_viewings(gaze, rows[xy[rows, axis] == value]) >= 5:
                clipped.append(f"{count} have {name} at exactly {value:g}, the {edge} edge")
    if clipped:
        found.append(
            f"gaze looks clipped to the edges of the picture: of {num} rows, "
            f"{', '.join(clipped)}: {gaze_rows.leave_out(is_table=is_table)}"
        )
    return found or _check_one_place(gaze, is_table=is_table)


def _most_frequent(values: np.ndarray) -> tuple[float, int]:
    if not len(values):
        return 0.0, 0
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()]), int(counts.max())


def _check_one_place(gaze: Gaze, *, is_table: bool) -> list[str]:
    """One place inside the picture that comes again and again."""
    xy = gaze.xy
    num = len(xy)
    if num < 100:
        return []
    # One number for each place; places of pictures do not meet.
    place = xy[:, 0] + xy[:, 1] * np.pi * 1e4
    some = place[gaze_rows.some_rows(num)]
    value, count = _most_frequent(some)
    if count < 0.9 * _SHARE_AT_PLACE * len(some):
        return []
    rows = np.flatnonzero(place == value)
    if len(rows) < max(_MIN_ROWS_AT_VALUE, _SHARE_AT_PLACE * num) or _num_viewings(gaze, rows) < 5:
        return []
    x, y = xy[rows[0]]
    return [
        f"{len(rows)} of {num} rows are at exactly ({x:g}, {y:g}), in {_num_viewings(gaze, rows)} "
        "viewings: a filler or a check of the drift, not gaze: "
        f"{gaze_rows.leave_out(is_table=is_table)}"
    ]
