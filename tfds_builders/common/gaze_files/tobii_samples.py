"""Tobii Pro Lab: fixations that are detected in exports of gaze without eye movements."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from tfds_builders.common.gaze_files import (
    containers,
    detection,
    people,
    plain,
    rows,
    samples,
    tobii_events,
)
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How
from tfds_builders.common.gaze_files.rows import Rows
from tfds_builders.common.gaze_files.tobii_events import Key, pick

_ADVICE = "an export with the columns of the eye movements has them"
_EYE = "Eye Tracker"

# Trackers give 20 to 2000 samples a second, so that steps of one unit are never those of the other.
_STEPS = ((0.5, 50.0, 1.0), (500.0, 50000.0, 0.001))


def read_samples(opened: Opened, how: How) -> Rows:
    """Detects fixations in samples of gaze on a screen.

    Args:
        opened: the file.
        how: has the conditions that the samples fulfil, and the options of the detection.

    Raises:
        ValueError: a column is missing, a cell is no number, or times do not rise; the message has
            the file, and the row where it is one row.
    """
    path = opened.path
    named = tobii_events.by_name(opened.columns)
    if pick(named, "recording media name", "") is not None:
        raise ValueError(
            f"{path} has gaze on the video of glasses, not on an image: map it on a snapshot, and "
            "export the fixations on the snapshot"
        )
    user = pick(named, "participant name", "") or people.column_of_person(opened)
    session, sensor = (pick(named, name, "") for name in ("recording name", "sensor"))
    media = pick(named, "presented media name", "") or pick(named, "presented stimulus name", "")
    validity = [name for side in ("left", "right") if (name := pick(named, f"validity {side}", ""))]
    time, time_factor = tobii_events.time_of(named)
    assert time is not None  # The format is recognised by it.
    place = _columns_of_place(opened, named)
    screen = [pick(named, f"recording resolution {one}", "px", "") for one in ("width", "height")]
    texts = {name for name in (user, session, sensor, media, *validity) if name is not None}
    others = {name for name in (*place.values(), *screen) if name is not None}
    table = containers.read_table(opened, {*texts, *others, time}, names_in=texts)
    table = plain.with_one_mark(opened, table, [*others, time], how.where)
    row = _rows_of_samples(table, sensor, validity, place)
    names, sessions = tobii_events.people_of(opened, table, user, session)
    t = tobii_events.numbers_at(opened, table, time, row).values
    if sessions is not None:  # Rows may be sorted otherwise than in time, such as by the image.
        order = tobii_events.order_in_time(t, (names.codes[row], sessions.codes[row]))
        row, t = row[order], t[order]
    image = None if media is None else rows.names_of(table[media])
    keys = [one.codes[row] for one in (names, sessions, image) if one is not None]
    group = np.cumsum(rows.run_starts(*keys)) - 1
    # After that: what conditions leave out, such as a cross, is between two showings of an image.
    is_used = plain.rows_where_all(opened, how.where, table.num_rows)[row]
    row, t, group = row[is_used], t[is_used], group[is_used]
    xy, rectangle = _places(opened, table, place, row)
    xy[~_is_valid(opened, table, validity, row)] = np.nan
    is_on_image = "width" in place
    if time_factor is None:
        time_factor = _factor_of_steps(opened, time, np.diff(t)[np.diff(group) == 0])
    found = Rows(
        place=row + 1,
        image=rows.take_names(image, row),
        user=rows.take_names(names, row),
        session=rows.take_names(sessions, row),
        x=rows.exact(xy[:, 0]),
        y=rows.exact(xy[:, 1]),
        t_ms=rows.exact(t * time_factor),
        trial=None if image is None else rows.exact(group),
        shown_px=rectangle,
    )
    found = samples.fixations_of_samples(path, found, group, how, advice=_ADVICE)
    assert found.shown_px is not None
    xy = np.column_stack([found.x.values, found.y.values])
    if is_on_image:
        xy = (xy - found.shown_px[:, :2]) / found.shown_px[:, 2:]
    unit = "milliseconds" if time_factor == 1 else "microseconds"
    found = found._replace(
        x=rows.exact(xy[:, 0]),
        y=rows.exact(xy[:, 1]),
        shown_px=None,
        units="frac" if is_on_image else "px",
        frame="image" if is_on_image else "screen",
        screen_px=None if is_on_image else tobii_events.screen_of(opened, table, screen, row),
        taken=", ".join(
            [
                f"image from {media!r}" if media else "no column of the image",
                people.in_words(user),
                *([f"session from {session!r}"] if session else []),
                f"x and y from samples of {place['x']!r} and {place['y']!r} "
                f"({_PLACES[len(place)]})",
                f"time from {time!r} ({unit})",
                detection.in_words(how.detection),  # type: ignore[arg-type]
            ]
        ),
    )
    return tobii_events.leave_out(found, "of an image without a size")


# By the number of columns of `_columns_of_place`.
_PLACES = {
    2: "pixels of the screen",
    4: "fractions of the image",
    6: "pixels of the screen, and the place of the image there",
}


def _columns_of_place(opened: Opened, named: Mapping[Key, str]) -> dict[str, str]:
    """Finds the columns of the place of gaze.

    Returns:
        x and y with width, height, left and top of the image: pixels of the screen; without left
        and top: fractions of the image; x and y alone: pixels of the screen.
    """
    px = [pick(named, f"gaze point {axis}", "dacspx", "") for axis in "xy"]
    norm = [pick(named, f"gaze point {axis}", "mcsnorm") for axis in "xy"]
    size = [pick(named, f"presented media {side}", "px", "") for side in ("width", "height")]
    corner = [pick(named, f"presented media position {axis}", "dacspx", "px", "") for axis in "xy"]
    for columns in ([*px, *size, *corner], [*norm, *size], px):
        given = [name for name in columns if name is not None]
        if len(given) == len(columns):
            return dict(zip(("x", "y", "width", "height", "left", "top"), given, strict=False))
    raise ValueError(
        f"{opened.path} has no place of gaze in pixels: export it again with 'Gaze point X' and "
        "'Gaze point Y' [DACS px], or with those of [MCS norm], 'Presented Media width' and "
        "'Presented Media height'"
    )


def _places(
    opened: Opened, table: pa.Table, place: Mapping[str, str], row: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Reads the place of gaze and of the image in some rows.

    Args:
        opened: the file.
        table: its columns.
        place: from `_columns_of_place`.
        row: int64 [n], rows of the table, from 0.

    Returns:
        float64 [n, 2] x and y of gaze in pixels, NaN where there is no gaze; and float64 [n, 4]
        left, top, width and height of the image in the same pixels.
    """
    numbers = {
        key: tobii_events.numbers_at(opened, table, column, row).values
        for key, column in place.items()
    }
    xy = np.column_stack([numbers["x"], numbers["y"]])
    rectangle = np.full((len(row), 4), (0.0, 0.0, 1.0, 1.0))
    is_on_image = "width" in place
    if is_on_image:
        rectangle[:, 2:] = np.column_stack([numbers["width"], numbers["height"]])
        rectangle[~(rectangle[:, 2:] > 0).all(axis=1)] = np.nan
    if "left" in place:
        rectangle[:, :2] = np.column_stack([numbers["left"], numbers["top"]])
    elif is_on_image:
        lacking = np.isfinite(xy).any(axis=1) & np.isnan(rectangle).any(axis=1)
        for wrong in np.flatnonzero(lacking)[:1]:
            raise ValueError(
                f"{opened.path} row {row[wrong] + 1} has gaze on an image without "
                f"{place['width']!r} and {place['height']!r}, expected numbers above 0"
            )
        xy = xy * rectangle[:, 2:]  # Fractions of the image become pixels of the screen.
    xy[np.isnan(xy).any(axis=1)] = np.nan
    return xy, rectangle


def _rows_of_samples(
    table: pa.Table, sensor: str | None, validity: Sequence[str], place: Mapping[str, str]
) -> np.ndarray:
    """Returns int64 [n], the rows of the eye tracker, with gaze or without.

    A row of another sensor has neither a validity nor gaze of its own.
    """
    if sensor is not None:
        is_sample = tobii_events.is_name(table, sensor, _EYE)
    else:
        named = [table[name] for name in validity or (place["x"],)]
        given = [rows.names_of(column).codes >= 0 for column in named]
        is_sample = np.any(given, axis=0)
    return np.flatnonzero(is_sample)


def _is_valid(
    opened: Opened, table: pa.Table, validity: Sequence[str], row: np.ndarray
) -> np.ndarray:
    """Returns bool [n]: whether an eye is valid; the place is of both eyes, or of this one."""
    if not validity:
        return np.ones(len(row), bool)
    is_valid = np.zeros(len(row), bool)
    for column in validity:
        names = rows.names_of(table[column])
        texts = np.array([*names.names, ""])[names.codes[row]]
        for wrong in np.flatnonzero(~np.isin(texts, ("Valid", "Invalid", "")))[:1]:
            raise ValueError(
                f"{opened.path} row {row[wrong] + 1}: {column!r} is {str(texts[wrong])!r}, "
                "expected Valid or Invalid"
            )
        is_valid |= texts == "Valid"
    return is_valid


def _factor_of_steps(opened: Opened, time: str, steps: np.ndarray) -> float:
    """Finds the factor to milliseconds of times without a unit, from steps between samples."""
    if not len(steps):
        return 1.0
    step = float(np.median(steps))
    for low, high, factor in _STEPS:
        if low <= step <= high:
            return factor
    raise ValueError(
        f"{opened.path}: the steps of {time!r} are {step:g} in the median, expected those of "
        "milliseconds or microseconds: export it again, with the unit in the header"
    )
