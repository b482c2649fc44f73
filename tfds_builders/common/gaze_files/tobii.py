"""Tobii Pro Lab: the data export of gaze on a screen, and of glasses with gaze on snapshots."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from tfds_builders.common.gaze_files import (
    containers,
    people,
    rows,
    tobii_events,
    tobii_samples,
    tobii_studio,
)
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.rows import Names, Rows
from tfds_builders.common.gaze_files.tobii_events import Columns, Key, pick

_MAPPED = re.compile(r"^Mapped fixation X \[(.+)\]$")
# Exports of version 24 have the second name.
_DURATIONS = ("gaze event duration", "eye movement event duration")

_DETECTS = "; or give --detect-fixations, which detects fixations in samples of Pro Lab"

# Pixels are whole numbers, and fractions have four digits.
_TOLERANCE_PX = 2.0
_TOLERANCE = 0.002


def recognise_tobii(opened: Opened) -> Role:
    """Recognises exports of Pro Lab and Studio."""
    role = tobii_studio.recognise_studio(opened)
    if role:
        return role
    named = {name for name, _ in tobii_events.by_name(opened.columns)}
    if named.isdisjoint(tobii_events.TIMES):
        return ""
    if any(map(_MAPPED.match, opened.columns)) or {"fixation point x", "eye movement type"} & named:
        return "fixations"
    return "samples" if "gaze point x" in named else ""


def recordings_of_tobii(opened: Opened) -> set[tuple[str, str]]:
    """Returns each person and recording, or session, of a file; "" where no column names it."""
    if stated := tobii_studio.stated_recording(opened):
        return {stated}
    named = tobii_events.by_name(opened.columns)
    user, session = (
        pick(named, f"{name} name", "") or pick(named, f"{name}name", "")
        for name in ("participant", "recording")
    )
    user = user or people.column_of_person(opened)
    sensor = pick(named, "sensor", "")
    kind = pick(named, "eye movement type", "") or pick(named, "gazeeventtype", "")
    wanted = {name for name in (user, session, sensor, kind) if name is not None}
    added = people.names_of_sessions(opened)
    if not wanted and added is None:
        return {(rows.normalize(rows.stem(opened.path)), "")}
    wanted = wanted or set(people.columns_of_session(opened))
    table = containers.read_table(opened, wanted, names_in=wanted)
    people_of_rows = people.names_of_people(table, user, rows.stem(opened.path))
    sessions = added or rows.no_names(table.num_rows)
    if session is not None and (named_by_tracker := rows.names_of(table[session])).names:
        sessions = named_by_tracker
    is_used = np.ones(table.num_rows, bool)
    if sensor is not None:
        is_used &= tobii_events.is_name(table, sensor, "Eye Tracker")
    if kind is not None and recognise_tobii(opened) == "fixations":
        is_used &= tobii_events.is_name(table, kind, "Fixation")
    used = (rows.take_names(one, is_used) or one for one in (people_of_rows, sessions))
    return {(one, recording) for one, recording in rows.combinations(*used) if one}


def read_tobii(opened: Opened, how: How) -> Rows:
    """Reads the fixations of an export of Pro Lab or Studio.

    The exports have one place for both eyes.

    Args:
        opened: the file.
        how: has the conditions that the rows fulfil, and the options of the detection in samples.

    Raises:
        ValueError: the file lacks a column, rows contradict each other, or the file cannot be read;
            the message has the file.
    """
    is_studio = tobii_studio.recognise_studio(opened) != ""
    role = recognise_tobii(opened)
    if role == "samples" and not is_studio and how.detection is not None:
        return tobii_samples.read_samples(opened, how)
    if role != "fixations":
        raise ValueError(
            f"{opened.path} holds samples of gaze, not fixations: export it again with the columns "
            "of the type of the eye movement, its index and duration, and the fixation point, or "
            f"from Studio 2 as fixation data{'' if is_studio else _DETECTS}"
        )
    if is_studio:
        return tobii_studio.read_studio(opened, how)
    snapshots = [match[1] for match in map(_MAPPED.match, opened.columns) if match]
    return _read_snapshots(opened, snapshots, how) if snapshots else _read_screen(opened, how)


def _columns(opened: Opened, named: Mapping[Key, str]) -> Columns:
    kind, index = (pick(named, f"eye movement type{end}", "") for end in ("", " index"))
    if kind is None or index is None:
        name = "Eye movement type" if kind is None else "Eye movement type index"
        raise ValueError(
            f"{opened.path} has no column {name!r}, which says which rows are one fixation: "
            "export it again with this column"
        )
    # Durations without a unit are milliseconds. Times without one are of either unit.
    factors = {**tobii_events.FACTOR_MS, "": 1.0}
    durations = [
        (named[name, unit], factors[unit])
        for name in _DURATIONS
        for unit in factors
        if (name, unit) in named
    ]
    time, time_factor = tobii_events.time_of(named)
    return Columns(
        kind=kind,
        number=index,
        durations=tuple(durations),
        time=time,
        time_factor=time_factor,
        user=pick(named, "participant name", "") or people.column_of_person(opened),
        session=pick(named, "recording name", ""),
        sensor=pick(named, "sensor", ""),
        media=pick(named, "presented media name", "") or pick(named, "presented stimulus name", ""),
    )


def _read_screen(opened: Opened, how: How) -> Rows:
    """Reads places on the image; on the screen, where nothing says the place of the image there."""
    path = opened.path
    named = tobii_events.by_name(opened.columns)
    columns = _columns(opened, named)
    if columns.media is None and pick(named, "recording media name", "") is not None:
        raise ValueError(
            f"{path} has fixations on the video of glasses, not on an image: map the gaze on a "
            "snapshot, and export the columns 'Mapped fixation X' and 'Mapped fixation Y'"
        )
    norm = [pick(named, f"fixation point {axis}", "mcsnorm") for axis in "xy"]
    px = [pick(named, f"fixation point {axis}", "dacspx", "") for axis in "xy"]
    corner = [pick(named, f"presented media position {axis}", "dacspx", "px", "") for axis in "xy"]
    size = [pick(named, f"presented media {side}", "px", "") for side in ("width", "height")]
    screen = [pick(named, f"recording resolution {side}", "px", "") for side in ("width", "height")]
    table = tobii_events.read_columns(opened, columns, [*norm, *px, *corner, *size, *screen], how)
    events = tobii_events.find(opened, table, columns, how)
    first = tobii_events.first_of(events)
    row = events.row[first]
    image, trial = tobii_events.images_of(opened, table, columns, row)

    def places(at: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Returns x and y of some rows: fractions of the image, and pixels of the screen."""

        def values(name: str | None) -> np.ndarray:
            if name is None:
                return np.full(len(at), np.nan)
            return tobii_events.numbers_at(opened, table, name, at).values

        on_image, on_screen = [], []
        for axis in (0, 1):
            shown = values(size[axis])
            shown = np.where(shown > 0, shown, np.nan)
            at_px = values(px[axis])
            from_corner, fraction = at_px - values(corner[axis]), values(norm[axis])
            _check_same_place(opened, at, axis, fraction * shown, from_corner)
            on_image.append(np.where(np.isnan(fraction), from_corner / shown, fraction))
            on_screen.append(at_px)
        return on_image, on_screen

    def is_placed(found: Sequence[np.ndarray]) -> np.ndarray:
        return np.isfinite(np.array(found)).all(axis=0)

    def has_places(at: np.ndarray) -> bool:
        return all(np.isfinite(one).any() for one in places(at)[0])

    # The first row of a fixation may be without a place; all rows are read where all of these are.
    is_on_image = None in px or has_places(row) or has_places(events.row)
    placed = tobii_events.placed_of(
        table, columns, events, first, lambda at: is_placed(places(at)[0 if is_on_image else 1])
    )
    on_image, on_screen = places(events.row[placed])
    taken = [f"image from {columns.media!r}" if columns.media else "no column of the image"]
    if is_on_image:
        has_rectangle = None not in (*px, *corner, *size)
        parts = [f"{' and '.join(map(repr, filter(None, norm)))} (fractions of the image)"]
        if has_rectangle:
            parts.append(f"{px[0]!r} and {px[1]!r} and the place of the image on the screen")
        parts = parts[0 if any(norm) else 1 :]
        taken.append(f"x and y from {', or from '.join(parts)}")
        reason = tobii_events.BESIDE
    else:
        taken.append(f"x and y from {px[0]!r} and {px[1]!r} (pixels of the screen)")
        reason = "without a place"
    if None in px and None in norm:
        raise ValueError(f"{path} has no columns 'Fixation point X' and 'Fixation point Y'")
    x, y = map(rows.exact, on_image if is_on_image else on_screen)
    found = tobii_events.make_rows(
        opened,
        table,
        columns,
        events.time_factor,
        row,
        image,
        x,
        y,
        trial=trial,
        left_out={
            **events.unknown,
            **tobii_events.count_elsewhere(
                opened,
                table,
                columns,
                events,
                placed,
                norm if None in px else px,
                _TOLERANCE if None in px else _TOLERANCE_PX,
            ),
        },
        units="frac" if is_on_image else "px",
        frame="image" if is_on_image else "screen",
        screen_px=None if is_on_image else tobii_events.screen_of(opened, table, screen, row),
        taken=taken,
    )
    return tobii_events.leave_out(found, reason)


def _check_same_place(
    opened: Opened, row: np.ndarray, axis: int, by_image: np.ndarray, by_screen: np.ndarray
) -> None:
    """Checks that pixels from the corner of the image are the same, where both are given."""
    for wrong in np.flatnonzero(np.abs(by_image - by_screen) > _TOLERANCE_PX)[:1]:
        raise ValueError(
            f"{opened.path} row {row[wrong] + 1}: the fixation is {by_image[wrong]:.1f} px from "
            f"the {('left', 'top')[axis]} of the image by its place on the image, and "
            f"{by_screen[wrong]:.1f} px by its place on the screen, expected the same place "
            "(export only one of 'Fixation point [MCS norm]' and 'Fixation point [DACS px]')"
        )


def _read_snapshots(opened: Opened, snapshots: Sequence[str], how: How) -> Rows:
    """Reads gaze of glasses that is mapped on images, in pixels of the image."""
    named = tobii_events.by_name(opened.columns)
    given = set(opened.columns)
    of_gaze = {("eye movement type", ""), ("eye movement type index", "")} <= named.keys()
    for name in snapshots:
        needed = [f"Mapped fixation Y [{name}]"]
        if not of_gaze:
            needed += [f"Mapped eye movement type{end} [{name}]" for end in ("", " index")]
        for column in needed:
            if column not in given:
                raise ValueError(
                    f"{opened.path} has no column {column!r}: export it again with this column"
                )
    mapped = [name for name in opened.columns if name.startswith("Mapped ")]
    everything: list[Columns] = []
    for name in snapshots:
        if of_gaze:
            everything.append(_columns(opened, named))
            continue
        kind, number = (f"Mapped eye movement type{end} [{name}]" for end in ("", " index"))
        keys = {("eye movement type", ""): kind, ("eye movement type index", ""): number}
        # Durations are those of fixations of the gaze, not of mapped ones.
        everything.append(_columns(opened, {**named, **keys})._replace(durations=()))
    table = tobii_events.read_columns(opened, everything[0], mapped, how)
    parts, at_row, on_snapshot = [], [], []
    left_out: dict[str, int] = {}
    for name, columns in zip(snapshots, everything, strict=True):
        events = tobii_events.find(opened, table, columns, how)
        left_out |= events.unknown
        axes = [f"Mapped fixation {axis} [{name}]" for axis in "XY"]
        xy = np.column_stack(
            [tobii_events.numbers_at(opened, table, axis, events.row).values for axis in axes]
        )
        is_used = ~np.isnan(xy).any(axis=1)
        kind = f"Mapped eye movement type [{name}]"
        if kind in given:
            is_used &= tobii_events.is_name(table, kind, "Fixation")[events.row]
        xy[~is_used] = np.nan
        for axis, values in zip(axes, xy.T, strict=True):
            tobii_events.check_repeated(opened, events, repr(axis), values, _TOLERANCE_PX)
        first = tobii_events.first_of(events, is_used)
        parts.append(xy[first])
        at_row.append(events.row[first])
        on_snapshot.append(events.fixation[first])
    row = np.concatenate(at_row)
    order = np.argsort(row, kind="stable")
    xy = np.concatenate(parts)[order]
    codes = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])[order]
    x, y = rows.exact(xy[:, 0]), rows.exact(xy[:, 1])
    names = rows.names_of(snapshots)
    image = Names(names.codes[codes], names.names)
    found = tobii_events.make_rows(
        opened,
        table,
        everything[0],
        events.time_factor,
        row[order],
        image,
        x,
        y,
        taken=["image, x and y from 'Mapped fixation X/Y [image]' (pixels of the image)"],
    )
    num_beside = 0
    if of_gaze:  # The fixations have the same numbers for all snapshots.
        num_beside = len(np.unique(events.fixation)) - len(np.unique(np.concatenate(on_snapshot)))
    left_out |= {"not on a snapshot": num_beside} if num_beside else {}
    return found._replace(left_out=left_out)
