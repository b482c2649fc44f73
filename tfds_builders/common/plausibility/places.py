"""Whether places of gaze look like another unit, another origin, or no places at all."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfds_builders.common.coordinates import Units
from tfds_builders.common.plausibility import gaze as gaze_rows
from tfds_builders.common.plausibility.gaze import Gaze

# No picture is smaller; fractions may lie somewhat outside 0 to 1.
_LARGEST_FRAC = 1.5
# Gaze on a screen is within 45 degrees of its centre. DAEMONS has 0 to 32 by 0 to 18.
_LARGEST_DEG = 45.0
# Degrees read as pixels stay within a tenth of a picture of 300 pixels or more.
_CORNER_FRAC = 0.15
# Share of rows that decides about a unit; the rest may be off the screen.
_MOST = 0.9
# A few negative values are beside the screen; more are counted from its centre.
_SHARE_SIGNED = 0.15
# The least area of the picture that gaze covers: 25 viewings by one person cover 20 % and more in
# MIT1003, OSIE, PS, the scene set and the relational set.
_SMALL_AREA = 0.02
_MIN_ROWS_OF_AREA = 20
# A band without gaze along an edge. With 1000 fixations, no real set has one above 12 %.
_EMPTY_BAND = 0.2
_MIN_ROWS_OF_BAND = 500
_MIN_IMAGES_OF_BAND = 12
_MIN_VIEWINGS_OF_BAND = 40
# Out of range values that trackers and exporters write for "no place".
_MARKERS = (3270.0, 9999.0, 99999.0, 32767.0, 32768.0, 1e8)
# Real sets have at most 7 rows at one value of an edge, and at most .03 % at one place.
_SHARE_AT_EDGE = 0.01
_SHARE_AT_PLACE = 0.01
_MIN_ROWS_AT_VALUE = 10


class Places(NamedTuple):
    """What places look like.

    Attributes:
        warnings: the faults.
        is_off: bool [n], rows whose x and y are in another unit, so that distances say nothing.
    """

    warnings: list[str]
    is_off: np.ndarray


def check_places(gaze: Gaze, user_ids: Sequence[str], units: Units) -> Places:
    """Checks units, origin and extent of x and y."""
    places = _check_units(gaze, user_ids, units)
    found = [*places.warnings, *_check_saturated(gaze)]
    if not places.warnings:
        found += _check_swapped(gaze, user_ids, units) or [
            *_check_extent(gaze, user_ids),
            *_check_fillers(gaze, units),
        ]
    return Places(found, places.is_off)


def _shown_size(gaze: Gaze) -> str:
    size = gaze.size_px[np.isfinite(gaze.size_px).all(1)]
    if not len(size):
        return "pictures"
    width, height = np.median(size, axis=0)
    return f"pictures of {width:g} x {height:g} pixels"


def _range(values: np.ndarray) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"


def _check_units(gaze: Gaze, user_ids: Sequence[str], units: Units) -> Places:
    """Finds the unit that x and y are in, if it is another than `units`."""
    checks = {"px": _not_pixels, "frac": _not_fractions, "deg": _not_degrees}
    found = checks[units](gaze, user_ids)
    if found is not None:
        return Places([found[0]], found[1])
    nothing = np.zeros(len(gaze.xy), bool)
    return Places([] if units == "deg" else _check_centre(gaze), nothing)


def _numbers(gaze: Gaze, rows: np.ndarray) -> str:
    """Says how many rows [n] of which values there are."""
    xy = gaze.xy[rows]
    return (
        f"{len(xy)} of {len(rows)} rows have x {_range(xy[:, 0])} and y {_range(xy[:, 1])} on "
        f"{_shown_size(gaze)}"
    )


def _not_pixels(gaze: Gaze, user_ids: Sequence[str]) -> tuple[str, np.ndarray] | None:
    xy, size = gaze.xy, gaze.size_px
    magnitude = np.abs(xy).max(1)
    is_frac = magnitude <= _LARGEST_FRAC
    who = gaze_rows.who_of(is_frac, gaze.user, user_ids, _MOST, 2)
    if who is not None:
        is_signed = (xy[is_frac] < 0).mean(0).max() > _SHARE_SIGNED
        signed = ", after adding what makes the left upper corner 0" if is_signed else ""
        return (
            f"x and y{who} look like fractions, not pixels: {_numbers(gaze, is_frac)}: give "
            f"--units frac{signed}; with --screen and --fit, or --shown-at, if they are fractions "
            "of the screen; with --y up if y is counted from the bottom (Pupil Core)",
            is_frac,
        )
    # A size that is not known compares as "no" and excludes nothing.
    in_corner = ~(np.abs(xy) > _CORNER_FRAC * size).any(1)
    is_deg = (magnitude <= _LARGEST_DEG) & in_corner
    who = gaze_rows.who_of(is_deg, gaze.user, user_ids, _MOST, 2)
    if who is not None:
        mend = "give --units deg and --pixels-per-degree"
        if (xy[is_deg] < 0).mean(0).max() <= _SHARE_SIGNED:
            mend = (
                "few are negative, so they are counted from a corner (DAEMONS: the bottom left): "
                "multiply by the pixels of a degree first, and give --y up if from the bottom"
            )
        return (
            f"x and y{who} look like degrees, not pixels: {_numbers(gaze, is_deg)}: {mend}",
            is_deg,
        )
    is_percent = (xy >= -5).all(1) & (magnitude <= 105)
    # With many rows, the gaze of smaller pictures would reach further too.
    least_px = 200 if len(xy) >= 30 else 300
    is_large = np.mean(size.min(1) < least_px) < 0.5
    if len(xy) >= 5 and is_large and is_percent.mean() >= 0.98 and magnitude.max() > 60:
        return (
            f"x and y look like per cent, not pixels: {_numbers(gaze, is_percent)}: divide them by "
            "100 and give --units frac",
            is_percent,
        )
    return None


def _not_fractions(gaze: Gaze, user_ids: Sequence[str]) -> tuple[str, np.ndarray] | None:
    is_large = np.abs(gaze.xy).max(1) > 5
    who = gaze_rows.who_of(is_large, gaze.user, user_ids, 0.5, 2)
    if who is None:
        return None
    is_percent = np.percentile(gaze.xy[is_large], 99) <= 101
    kind, mend = ("per cent", "divide them by 100") if is_percent else ("pixels", "give --units px")
    return (
        f"x and y{who} look like {kind}, not fractions: {_numbers(gaze, is_large)}: {mend}",
        is_large,
    )


def _not_degrees(gaze: Gaze, user_ids: Sequence[str]) -> tuple[str, np.ndarray] | None:
    is_large = np.abs(gaze.xy).max(1) > 90
    who = gaze_rows.who_of(is_large, gaze.user, user_ids, 0.2, 2)
    if who is not None:
        return (
            f"x and y{who} look like pixels, not degrees: {_numbers(gaze, is_large)}: give "
            "--units px",
            is_large,
        )
    is_frac: np.ndarray = ((gaze.xy >= -0.2) & (gaze.xy <= 1.2)).all(1)
    if len(is_frac) >= 10 and is_frac.mean() >= 0.98:
        return (
            f"x and y look like fractions, not degrees: {_numbers(gaze, is_frac)}: give "
            "--units frac",
            is_frac,
        )
    return None


def _check_centre(gaze: Gaze) -> list[str]:
    """Gaze around the upper left corner: x and y are counted from the centre."""
    inside = gaze.xy_frac[(np.abs(gaze.xy_frac) <= 1).all(1)]
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
        is_plain = np.abs(gaze.xy_frac * gaze.size_px - gaze.xy).max(1) <= 1.01
        outside = is_plain & ((gaze.xy < -1) | (gaze.xy > gaze.size_px + 1)).any(1)
        swapped = gaze.xy[:, ::-1]
        stays_outside = is_plain & ((swapped < -1) | (swapped > gaze.size_px + 1)).any(1)
    who = gaze_rows.who_of(outside, gaze.user, user_ids, 0.03, 2)
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
        f"{num_staying} once x and y are exchanged: give --columns x=y,y=x"
    ]


def _check_extent(gaze: Gaze, user_ids: Sequence[str]) -> list[str]:
    is_known = np.isfinite(gaze.xy_frac).all(1)
    xy, user = gaze.xy_frac[is_known], gaze.user[is_known]
    if len(xy) < _MIN_ROWS_OF_AREA:
        return []
    low, high = np.percentile(xy, (1, 99), axis=0)
    area = float(np.prod(high - low))
    num_viewings = len(np.unique(gaze_rows.viewing_keys(gaze)[is_known]))
    if area < _SMALL_AREA and num_viewings >= 3:
        return [
            f"gaze covers {area:.2%} of the picture (x {low[0]:.1%} to {high[0]:.1%}, y "
            f"{low[1]:.1%} to {high[1]:.1%} of {_shown_size(gaze)}): the unit may be another one: "
            "check --units, --pixels-per-degree and --screen"
        ]
    small = []
    for number in _few_users(user):
        rows = xy[user == number]
        low, high = np.percentile(rows, (1, 99), axis=0)
        if np.prod(high - low) < _SMALL_AREA:
            small.append(number)
    if small:
        return [
            f"gaze of {gaze_rows.names_of(np.array(small), user_ids)} covers less than "
            f"{_SMALL_AREA:.0%} of the picture, gaze of all covers {area:.0%}: their unit or place "
            "may be another one"
        ]
    is_many = num_viewings >= _MIN_VIEWINGS_OF_BAND
    is_many &= len(np.unique(gaze.image[is_known])) >= _MIN_IMAGES_OF_BAND
    if len(xy) < _MIN_ROWS_OF_BAND or not is_many:
        return []
    low, high = np.percentile(xy, (0.2, 99.8), axis=0)
    bands = {"left": low[0], "right": 1 - high[0], "top": low[1], "bottom": 1 - high[1]}
    empty = [f"{name} {share:.0%}" for name, share in bands.items() if share > _EMPTY_BAND]
    if not empty:
        return []
    return [
        f"no gaze is in the {' and the '.join(empty)} of the pictures ({len(xy)} fixations): x and "
        "y may be places on a screen: give --screen with --fit, or --shown-at"
    ]


def _few_users(user: np.ndarray) -> np.ndarray:
    """People with enough rows; at most 200, since each is looked at by itself."""
    return np.flatnonzero(np.bincount(user) >= 100)[:200]


def _check_saturated(gaze: Gaze) -> list[str]:
    """Values that no screen has."""
    found = []
    xy = gaze.xy
    is_out: np.ndarray = ~((gaze.xy_frac >= 0) & (gaze.xy_frac <= 1)).all(1)
    far = np.flatnonzero(is_out & (np.abs(xy) > _MARKERS[0] - 1).any(1))
    for marker in _MARKERS:
        num = int((np.abs(np.abs(xy[far]) - marker) < 0.6).any(1).sum())
        if num:
            kind = "is saturated far off the screen" if marker == 3270 else "marks missing gaze"
            found.append(
                f"{num} of {len(xy)} rows have x or y at {marker:g} or -{marker:g}, which {kind}: "
                f"leave them out, such as --where 'x > -{marker:g}' --where 'x < {marker:g}', and "
                "y alike"
            )
    return found


def _check_fillers(gaze: Gaze, units: Units) -> list[str]:
    """Values that stand for "no place", and places that were moved to an edge."""
    found = []
    xy = gaze.xy
    is_zero, is_minus = xy == 0, xy == -1
    # Where gaze is clipped to the edges, a few rows are in the corner by that.
    both = int(is_zero.all(1).sum())
    counts = {0: both if is_zero.sum() <= 5 * both else 0, -1: int(is_minus.all(1).sum())}
    if units == "px" and is_minus.any(1).mean() >= 0.005:
        # One of the two may be missing alone; a little gaze at -1 is beside the picture.
        counts[-1] = int(is_minus.any(1).sum())
    for marker, num in counts.items():
        if num >= max(2, 0.001 * len(xy)):
            found.append(
                f"{num} of {len(xy)} rows have {'x or y' if marker else 'x and y'} at {marker}, "
                f"which marks missing gaze: leave them out with --where 'x != {marker}'"
            )
    if found:
        return found
    is_out: np.ndarray = ~((gaze.xy_frac >= 0) & (gaze.xy_frac <= 1)).all(1)
    return _check_repeated_values(gaze, is_out, units)


def _check_repeated_values(gaze: Gaze, is_out: np.ndarray, units: Units) -> list[str]:
    xy, found = gaze.xy, []
    num = len(xy)
    is_out = is_out & np.isfinite(gaze.xy_frac).all(1)
    for axis, name in enumerate("xy"):
        values, counts = np.unique(xy[is_out, axis], return_counts=True)
        # Beside the picture, an axis that is inside repeats by chance; the far value does not.
        if len(values) and counts.max() >= max(3, 0.002 * num):
            value = values[counts.argmax()]
            rows = is_out & (xy[:, axis] == value)
            far = ~((gaze.xy_frac[rows, axis] >= 0) & (gaze.xy_frac[rows, axis] <= 1))
            if far.all():
                found.append(
                    f"{counts.max()} rows have {name} at exactly {value:g}, outside the picture, "
                    "which looks saturated or like a marker of missing gaze: leave them out with "
                    f"--where '{name} != {value:g}'"
                )
                continue
        for at_edge, edge in (
            (np.abs(gaze.xy_frac[:, axis]) <= 0.003, "lower"),
            (np.abs(gaze.xy_frac[:, axis] - 1) <= 0.003, "upper"),
        ):
            if at_edge.sum() < max(_MIN_ROWS_AT_VALUE, _SHARE_AT_EDGE * num):
                continue
            values, counts = np.unique(xy[at_edge, axis], return_counts=True)
            if counts.max() >= max(_MIN_ROWS_AT_VALUE, _SHARE_AT_EDGE * num):
                found.append(
                    f"{counts.max()} of {num} rows have {name} at exactly "
                    f"{values[counts.argmax()]:g}, the {edge} edge of the picture: gaze outside "
                    "looks clipped to the edge; leave these rows out with --where"
                )
    if units in ("px", "frac", "deg") and num >= 100:
        place = xy[:, 0] * 1.000003 + xy[:, 1] * 1e5
        order = np.sort(place)
        starts = np.flatnonzero(np.diff(order, prepend=-np.inf))
        counts = np.diff(np.append(starts, num))
        if counts.max() >= max(_MIN_ROWS_AT_VALUE, _SHARE_AT_PLACE * num):
            rows = np.flatnonzero(place == order[starts[counts.argmax()]])
            viewings = gaze_rows.viewing_keys(gaze)[rows]
            if len(np.unique(viewings)) >= 5:
                x, y = xy[rows[0]]
                found.append(
                    f"{counts.max()} of {num} rows are at exactly ({x:g}, {y:g}), in "
                    f"{len(np.unique(viewings))} viewings: a filler or a drift check, not gaze: "
                    "leave them out with --where"
                )
    return found
