"""Whether x and y look like another unit: of the table, of some people or of some images."""

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
_ALL = 0.98
# Of smaller pictures, a part that one object fills is as large as 100 by 100 pixels.
_LEAST_PX_OF_PER_CENT = 400
_MIN_ROWS_OF_PER_CENT = 20
# A few negative values are beside the screen; more are counted from its centre.
_SHARE_SIGNED = 0.15


class Unit(NamedTuple):
    """Another unit than the one that x and y are taken for.

    Attributes:
        warning: one line.
        is_off: bool [n], rows in that unit, so that distances say nothing.
    """

    warning: str
    is_off: np.ndarray


def check_units(
    gaze: Gaze, user_ids: Sequence[str], image_ids: Sequence[str], units: Units
) -> Unit | None:
    """Finds the unit that x and y are in, if it is another than `units`."""
    checks = {"px": _not_pixels, "frac": _not_fractions, "deg": _not_degrees}
    return checks[units](gaze, user_ids, image_ids)


def shown_size(gaze: Gaze) -> str:
    """Says how large the pictures are."""
    size = gaze.size_px[gaze_rows.both(np.isfinite(gaze.size_px))]
    if not len(size):
        return "pictures"
    width, height = np.median(size, axis=0)
    return f"pictures of {width:g} x {height:g} pixels"


def _range(values: np.ndarray) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"


def _numbers(gaze: Gaze, rows: np.ndarray) -> str:
    """Says how many rows [n] of which values there are."""
    xy = gaze.xy[rows]
    return (
        f"{len(xy)} of {len(rows)} rows have x {_range(xy[:, 0])} and y {_range(xy[:, 1])} on "
        f"{shown_size(gaze)}"
    )


def _not_pixels(gaze: Gaze, user_ids: Sequence[str], image_ids: Sequence[str]) -> Unit | None:
    xy, size = gaze.xy, gaze.size_px
    magnitude = gaze_rows.larger(np.abs(xy))
    is_frac = magnitude <= _LARGEST_FRAC
    # A size that is not known compares as "no" and excludes nothing.
    in_corner = ~gaze_rows.either(np.abs(xy) > _CORNER_FRAC * size)
    is_deg = (magnitude <= _LARGEST_DEG) & in_corner
    is_percent = gaze_rows.both(xy >= -5) & (magnitude <= 105)
    shorter = np.minimum(size[:, 0], size[:, 1])
    least = max(2, _MOST * len(xy))
    if is_frac.sum() >= least:
        return _fractions(gaze, is_frac, "")
    if is_deg.sum() >= least:
        return _degrees(gaze, is_deg, "")
    # With many rows, the gaze of smaller pictures would reach further too.
    is_large = np.mean(shorter < (200 if len(xy) >= 30 else 300)) < 0.5
    if len(xy) >= 5 and is_large and is_percent.mean() >= _ALL and magnitude.max() > 60:
        return _per_cent(gaze, is_percent, "")
    # One person or image in another unit. That of the table is known by now: gaze in degrees is
    # within 1.5 of its centre on some images.
    rest = gaze
    flags = [is_frac, is_deg, is_percent & (shorter >= _LEAST_PX_OF_PER_CENT)]
    is_filler = _is_filler(gaze, is_frac)
    if is_filler.any():
        rest = gaze._replace(user=gaze.user[~is_filler], image=gaze.image[~is_filler])
        flags = [some[~is_filler] for some in flags]
    for some, share, least_rows, name, rows in zip(
        flags,
        (_MOST, _MOST, _ALL),
        (gaze_rows.FEW_ROWS, gaze_rows.FEW_ROWS, _MIN_ROWS_OF_PER_CENT),
        (_fractions, _degrees, _per_cent),
        (is_frac, is_deg, is_percent),
        strict=True,
    ):
        who = gaze_rows.whose(some, rest, user_ids, image_ids, share, least_rows=least_rows)
        if who:
            return name(gaze, rows & ~is_filler, who)
    return None


def _is_filler(gaze: Gaze, is_frac: np.ndarray) -> np.ndarray:
    """Returns bool [n]: rows at (0, 0), (-1, -1) and the like, which say nothing about a unit."""
    rows = np.flatnonzero(is_frac)
    is_filler = np.zeros(len(is_frac), bool)
    is_filler[rows] = gaze_rows.both(gaze.xy[rows] == np.round(gaze.xy[rows]))
    return is_filler


def _fractions(gaze: Gaze, rows: np.ndarray, who: str) -> Unit:
    is_signed = (gaze.xy[rows] < 0).mean(0).max() > _SHARE_SIGNED
    signed = ", after adding what makes the left upper corner 0" if is_signed else ""
    return Unit(
        f"x and y{who} look like fractions, not pixels: {_numbers(gaze, rows)}: give "
        f"--units frac{_alone(who)}{signed}; with --screen and --fit, or --shown-at, if they are "
        "fractions of the screen; with --y up if y is counted from the bottom (Pupil Core)",
        rows,
    )


def _degrees(gaze: Gaze, rows: np.ndarray, who: str) -> Unit:
    mend = f"give --units deg and --pixels-per-degree{_alone(who)}"
    if (gaze.xy[rows] < 0).mean(0).max() <= _SHARE_SIGNED:
        mend = (
            "few are negative, so they are counted from a corner (DAEMONS: the bottom left): "
            "multiply by the pixels of a degree first, and give --y up if from the bottom"
        )
    return Unit(f"x and y{who} look like degrees, not pixels: {_numbers(gaze, rows)}: {mend}", rows)


def _per_cent(gaze: Gaze, rows: np.ndarray, who: str) -> Unit:
    return Unit(
        f"x and y{who} look like per cent, not pixels: {_numbers(gaze, rows)}: divide them by "
        f"100 and give --units frac{_alone(who)}",
        rows,
    )


def _alone(who: str) -> str:
    """Says that an option of a whole build is for some rows only."""
    return " for these rows, in a build of their own" if who else ""


def _not_fractions(gaze: Gaze, user_ids: Sequence[str], image_ids: Sequence[str]) -> Unit | None:
    is_large = gaze_rows.larger(np.abs(gaze.xy)) > 5
    who = gaze_rows.whose(is_large, gaze, user_ids, image_ids, 0.5, least_rows=gaze_rows.FEW_ROWS)
    if who is None:
        return None
    is_percent = np.percentile(gaze.xy[is_large], 99) <= 101
    kind, mend = ("per cent", "divide them by 100") if is_percent else ("pixels", "give --units px")
    return Unit(
        f"x and y{who} look like {kind}, not fractions: {_numbers(gaze, is_large)}: "
        f"{mend}{_alone('' if is_percent else who)}",
        is_large,
    )


def _not_degrees(gaze: Gaze, user_ids: Sequence[str], image_ids: Sequence[str]) -> Unit | None:
    is_large = gaze_rows.larger(np.abs(gaze.xy)) > 90
    who = gaze_rows.whose(is_large, gaze, user_ids, image_ids, 0.2, least_rows=gaze_rows.FEW_ROWS)
    if who is not None:
        return Unit(
            f"x and y{who} look like pixels, not degrees: {_numbers(gaze, is_large)}: give "
            f"--units px{_alone(who)}",
            is_large,
        )
    is_frac: np.ndarray = gaze_rows.both((gaze.xy >= -0.2) & (gaze.xy <= 1.2))
    who = gaze_rows.whose(is_frac, gaze, user_ids, image_ids, _ALL, at_least=10)
    if who is None:
        return None
    return Unit(
        f"x and y{who} look like fractions, not degrees: {_numbers(gaze, is_frac)}: give "
        f"--units frac{_alone(who)}",
        is_frac,
    )
