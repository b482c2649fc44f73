"""Tobii Studio: the data export of version 3, and the fixation file of version 2."""

import numpy as np
import pyarrow as pa

from tfds_builders.common.gaze_files import containers, people, plain, rows, tobii_events
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.rows import Names, Numbers, Rows
from tfds_builders.common.gaze_files.tobii_events import Columns

_COLUMNS = frozenset(("FixationIndex", "GazeEventType", "GazeEventDuration", "RecordingTimestamp"))
_XY = ("FixationPointX (MCSpx)", "FixationPointY (MCSpx)")
_TOLERANCE_PX = 2.0
_SIZE = ("MediaWidth", "MediaHeight")

_X_2, _Y_2 = "MappedFixationPointX", "MappedFixationPointY"
_COLUMNS_2 = frozenset(("FixationIndex", "Timestamp", "FixationDuration", _X_2, _Y_2))
# Exports of all data of version 2 have the columns of the fixations, too, but one row a sample.
_OF_SAMPLES_2 = frozenset(("GazePointXLeft", "GazePointXRight", "GazePointX", "ValidityLeft"))


def recognise_studio(opened: Opened) -> Role:
    """Recognises exports of Studio by their columns, or by the lines before them."""
    columns = set(opened.columns)
    if columns >= _COLUMNS and set(_XY) & columns:
        return "fixations"
    number = _header_line(opened)
    if number is not None:
        return "samples" if _OF_SAMPLES_2 & set(_names_at(opened, number)) else "fixations"
    return "samples" if {"RecordingTimestamp", "GazePointX (ADCSpx)"} <= columns else ""


def read_studio(opened: Opened, how: How) -> Rows:
    """Reads the fixations of an export of Studio.

    Args:
        opened: the file.
        how: has the conditions that the rows fulfil.

    Raises:
        ValueError: the file lacks a column or cannot be read; the message has the file.
    """
    number = _header_line(opened)
    return _read_version_3(opened, how) if number is None else _read_version_2(opened, number)


def stated_recording(opened: Opened) -> tuple[str, str] | None:
    """Returns the person and the recording that version 2 has in lines before the table."""
    number = _header_line(opened)
    if number is None:
        return None
    stated = _stated(opened, number)
    user = stated.get("Subject") or rows.stem(opened.path)
    return rows.normalize(user), rows.normalize(stated.get("Recording", ""))


def _stated(opened: Opened, number: int) -> dict[str, str]:
    """Returns what the lines before the table say, by their names."""
    stated = {}
    for line in containers.split_lines(opened.head)[:number]:
        name, _, value = line.partition(":")
        stated[name.strip()] = value.strip()
    return stated


def _read_version_3(opened: Opened, how: How) -> Rows:
    """Reads places in pixels of the image as it was shown."""
    given = set(opened.columns)
    for name in (*_XY, *_SIZE):
        if name not in given:
            reason = ""
            if name in _SIZE:  # The image may be shown in another size than that of its file.
                reason = ", the size of the image as it was shown, which the pixels belong to"
            raise ValueError(
                f"{opened.path} has no column {name!r}{reason}: export it again with it"
            )
    user, session, media = (
        name if name in given else None
        for name in ("ParticipantName", "RecordingName", "MediaName")
    )
    columns = Columns(
        kind="GazeEventType",
        number="FixationIndex",
        durations=(("GazeEventDuration", 1.0),),
        time="RecordingTimestamp",
        time_factor=1.0,
        user=user or people.column_of_person(opened),
        session=session,
        sensor=None,
        media=media,
    )
    table = tobii_events.read_columns(opened, columns, [*_XY, *_SIZE], how)
    events = tobii_events.find(opened, table, columns, how)
    first = tobii_events.first_of(events)
    row = events.row[first]

    def has_place(row: np.ndarray) -> np.ndarray:
        x, y = (tobii_events.numbers_at(opened, table, name, row) for name in _XY)
        return ~(x.is_missing | y.is_missing)

    placed = tobii_events.placed_of(table, columns, events, first, has_place)
    at = events.row[placed]
    image, trial = tobii_events.images_of(opened, table, columns, row)
    x, y = (
        _divided(opened, table, at, size, tobii_events.numbers_at(opened, table, name, at), image)
        for name, size in zip(_XY, _SIZE, strict=True)
    )
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
                opened, table, columns, events, placed, _XY, _TOLERANCE_PX
            ),
        },
        units="frac",
        taken=[
            f"image from {media!r}" if media else "no column of the image",
            f"x and y from {_XY[0]!r} and {_XY[1]!r} (pixels, divided by {_SIZE[0]!r} and "
            f"{_SIZE[1]!r})",
        ],
    )
    return tobii_events.leave_out(found, tobii_events.BESIDE)


def _divided(
    opened: Opened, table: pa.Table, row: np.ndarray, name: str, x: Numbers, image: Names | None
) -> Numbers:
    """Divides places by the size of the image as it was shown."""
    size = tobii_events.numbers_at(opened, table, name, row).values
    has_image = np.ones(len(row), bool) if image is None else image.codes >= 0
    for wrong in np.flatnonzero(has_image & ~x.is_missing & ~(size > 0))[:1]:
        raise ValueError(
            f"{opened.path} row {row[wrong] + 1}: {name!r} is "
            f"{table[name][int(row[wrong])].as_py()!r}, expected a number above 0"
        )
    fractions = np.divide(x.values, size, out=np.full(len(row), np.nan), where=size > 0)
    return x._replace(values=fractions)


def _header_line(opened: Opened) -> int | None:
    """Returns the number of lines before the names of the columns; None: not of version 2."""
    if set(opened.columns) >= _COLUMNS_2:  # A table without lines on the recording.
        return None
    for number, line in enumerate(containers.split_lines(opened.head)[:60]):
        if {name.strip() for name in line.split("\t")} >= _COLUMNS_2:
            return number
    return None


def _names_at(opened: Opened, number: int) -> list[str]:
    # A tab at the end of each line makes a column without a name.
    line = containers.split_lines(opened.head)[number]
    return [name.strip() for name in line.split("\t")]


def _read_version_2(opened: Opened, number: int) -> Rows:
    """Reads one row a fixation of one recording, without images."""
    path = opened.path
    stated = _stated(opened, number)
    unit = stated.get("Coordinate unit", "Pixels")
    if unit != "Pixels":
        raise ValueError(f"{path}: Coordinate unit is {unit!r}, expected Pixels")
    table = containers.read_table(
        opened,
        _COLUMNS_2,
        num_skipped_lines=number + 1,
        columns=_names_at(opened, number),
        delimiter="\t",
    )
    opened = opened._replace(delimiter="\t")
    table = plain.with_one_mark(opened, table, sorted(_COLUMNS_2), ())
    row = np.arange(table.num_rows)
    x, y, duration, t = (
        tobii_events.numbers_at(opened, table, name, row)
        for name in (_X_2, _Y_2, "FixationDuration", "Timestamp")
    )
    # -1 stands for each coordinate without a place, one of the two or both.
    x, y = (
        number._replace(is_missing=number.is_missing | (number.values == -1)) for number in (x, y)
    )
    subject, recording = stated.get("Subject"), stated.get("Recording")
    found = Rows(
        place=rows.places(len(row)),
        image=None,
        user=rows.one_name(subject or rows.stem(path), len(row)),
        session=rows.one_name(recording, len(row)) if recording else None,
        x=x,
        y=y,
        duration_ms=duration,
        t_ms=t,
        taken=(
            "no column of the image, person from "
            f"{'Subject' if subject else 'the name of the file'}, "
            f"x and y from {_X_2!r} and {_Y_2!r} (pixels of the image as it was shown), duration "
            "from 'FixationDuration' and start from 'Timestamp' (milliseconds)"
        ),
    )
    return tobii_events.leave_out(found, tobii_events.BESIDE)
