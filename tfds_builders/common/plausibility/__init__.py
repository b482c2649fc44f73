"""What gaze looks like, from the numbers alone: other units, samples, two eyes, mixed people."""

from collections.abc import Sequence

import numpy as np

from tfds_builders.common.coordinates import Units
from tfds_builders.common.plausibility import agreement, names, places, rows, times
from tfds_builders.common.plausibility import gaze as gaze_rows
from tfds_builders.common.plausibility.gaze import Gaze, Tracking

HINT = "hint: "  # Such a line of `warnings` is about no fault.
_GRID = 20


def warnings(
    gaze: Gaze,
    user_ids: Sequence[str],
    image_ids: Sequence[str],
    *,
    units: Units = "px",
    tracking: Tracking = "eye",
    is_table: bool = True,
) -> list[str]:
    """Names the faults that a table of gaze looks like.

    A warning is no proof. Each names the fault, the figures that it is inferred from, whose rows it
    is about and what mends it. Nothing is said that few rows do not allow to say.

    Args:
        gaze: all rows.
        user_ids: names of the people.
        image_ids: names of the images.
        units: the units that `gaze.xy` is taken for.
        tracking: what was tracked; "mouse": rows may be samples.
        is_table: whether the options of tables, such as --durations, can be given.

    Returns:
        One line each.

    Example:
        >>> xy, row = np.array([[0.4412, 0.4526], [0.3523, 0.4189]]), np.zeros(2, np.int32)
        >>> size = np.full((2, 2), 1000.0)
        >>> gaze = Gaze(row, row, None, None, xy, xy / size, size)
        >>> warnings(gaze, ["P01"], ["a.png"])[0][:40]
        'x and y look like fractions, not pixels:'
    """
    found = names.check_names(user_ids)
    is_finite = gaze_rows.both(np.isfinite(gaze.xy))
    if not is_finite.all():  # Rows without a place are another check's.
        gaze = gaze_rows.take(gaze, is_finite)
    if not len(gaze.xy):
        return found
    where = places.check_places(gaze, user_ids, image_ids, units, is_table=is_table)
    found += where.warnings
    if where.is_off.mean() > 0.5:
        # Distances are then shares of the extent of all gaze, whatever its unit is.
        gaze = gaze._replace(xy_frac=np.full_like(gaze.xy, np.nan))
    elif where.is_off.any():
        gaze = gaze_rows.take(gaze, ~where.is_off)
    found += agreement.check_agreement(gaze, user_ids)
    if tracking == "mouse":
        return found
    pairs = gaze_rows.pairs_of(gaze)
    looks = rows.check_rows(gaze, pairs, user_ids, image_ids)
    found += looks.warnings
    are_fixations = looks.are_fixations
    of_durations = times.check_durations(
        gaze, pairs, user_ids, image_ids, are_fixations=are_fixations, is_table=is_table
    )
    found += of_durations
    # What is wrong about durations alone would contradict the starts too.
    is_comparable = are_fixations and not of_durations
    found += times.check_starts(
        gaze,
        pairs,
        user_ids,
        image_ids,
        are_fixations=are_fixations,
        is_comparable=is_comparable,
        is_table=is_table,
    )
    if are_fixations and not where.warnings:
        found += agreement.check_directions(gaze, pairs, units)
    return found


def facts(gaze: Gaze) -> list[tuple[str, str]]:
    """Returns what the gaze is like: pairs of a name and a value.

    Median duration; fixations a second, by `t_ms` if known, else by the durations; and how much of
    the picture gaze covers, over all pictures together.

    Args:
        gaze: all rows.
    """
    found = times.facts_of_times(gaze)
    inside = gaze_rows.both((gaze.xy_frac >= 0) & (gaze.xy_frac < 1))
    if inside.any():
        cell = np.floor(gaze.xy_frac[inside] * _GRID).astype(np.int64)
        num_cells = np.count_nonzero(np.bincount(cell[:, 1] * _GRID + cell[:, 0]))
        share = num_cells / _GRID**2
        found.append(
            (
                "covered area",
                f"{share:.0%} of a grid of {_GRID} x {_GRID} over the picture, all pictures "
                "together",
            )
        )
    return found


__all__ = ["HINT", "Gaze", "Tracking", "facts", "warnings"]
