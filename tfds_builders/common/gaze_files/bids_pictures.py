"""Which picture was shown when in a run of BIDS."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfds_builders.common.gaze_files import bids_names, bids_samples, containers, plain, rows
from tfds_builders.common.gaze_files.bids_samples import Samples
from tfds_builders.common.gaze_files.image_variables import find_other
from tfds_builders.common.gaze_files.rows import Names, is_picture

# Milliseconds of a picture are at least 50, which as seconds are rare.
_LONG_MS = 50_000


class Shown(NamedTuple):
    """Pictures that were shown in a run, in the order of time.

    Attributes:
        image: names of the pictures; None: more than one column may name them.
        start_ms: float64 [n], on the clock of the samples.
        end_ms: float64 [n].
        number: int64 [n], which showing of the same picture, from 0.
        taken: columns and clock in words.
        variables: column of the events -> its values.
    """

    image: Names | None
    start_ms: np.ndarray
    end_ms: np.ndarray
    number: np.ndarray
    taken: str
    variables: Mapping[str, Names]


def read_shown(
    path: Path, entities: Mapping[str, str], samples: Samples, where: Sequence[str] = ()
) -> Shown | None:
    """Reads which picture was shown when; None: no column of events has names of pictures.

    Args:
        path: the file of the run.
        entities: of its name.
        samples: of the run.
        where: conditions that the rows of events fulfil; the others are not looked at.

    Raises:
        ValueError: a number is wrong, pictures overlap, or see `plain.rows_where`.
    """
    events = next(
        (
            found
            for suffix in ("tsv", "tsv.gz")
            for found in reversed(list(bids_names.find_inherited(path, entities, "events", suffix)))
        ),
        None,
    )
    if events is None or not len(samples.time):
        return None
    opened = containers.open_file(events)
    table = containers.read_table(opened, delimiter="\t")
    place = np.flatnonzero(plain.rows_where_all(opened, where, table.num_rows))
    if where and not len(place):
        none = np.zeros(0)
        taken = f"no row of {events.name} for {' and '.join(where)}"
        return Shown(Names(none.astype(np.int32), []), none, none, none.astype(np.int64), taken, {})
    table = table.take(place)
    variables = {
        name: rows.names_of(table[name], rows.MISSING)
        for name in table.column_names
        if name not in ("onset", "duration")
    }
    columns = [
        name
        for name, column in variables.items()
        if column.names and all(map(is_picture, column.names))
    ]
    if not columns:
        return None
    if not {"onset", "duration"} <= set(table.column_names):
        raise ValueError(
            f"{events} has the column of pictures {columns[0]}, expected onset and duration beside "
            "it"
        )
    chosen = np.flatnonzero(np.any([variables[name].codes >= 0 for name in columns], axis=0))
    onset, duration = (
        bids_samples.numbers(events, table, name)[chosen] for name in ("onset", "duration")
    )
    for row in np.flatnonzero(~(np.isfinite(onset) & (duration > 0)))[:1]:
        raise ValueError(
            f"{events} row {place[chosen[row]] + 1}: onset is {onset[row]:g} and duration is "
            f"{duration[row]:g}, expected how long the picture was shown (s)"
        )
    order = np.argsort(onset, kind="stable")
    chosen, start_ms, duration_ms = chosen[order], 1000 * onset[order], 1000 * duration[order]
    is_early = start_ms[1:] < (start_ms + duration_ms)[:-1] - samples.step * samples.ms_per_unit
    for row in np.flatnonzero(is_early)[:1]:
        raise ValueError(
            f"{events} row {place[chosen[row + 1]] + 1}: a picture is shown before the one of row "
            f"{place[chosen[row]] + 1} ends, expected one at a time (--where reads some of the "
            "events)"
        )
    offset_ms, clock = _clock_of_events(events, start_ms, duration_ms, samples)
    start_ms = start_ms + offset_ms
    variables = {name: Names(one.codes[chosen], one.names) for name, one in variables.items()}
    doubt = _doubt(variables, columns)
    codes = variables[columns[0]].codes
    number = np.array([int((codes[:place] == code).sum()) for place, code in enumerate(codes)])
    return Shown(
        None if doubt else variables[columns[0]],
        start_ms,
        start_ms + duration_ms,
        np.arange(len(chosen)) if doubt else number.astype(np.int64),
        f"{doubt or repr(columns[0])} of {events.name} ({clock})",
        variables,
    )


def _doubt(variables: Mapping[str, Names], columns: Sequence[str]) -> str:
    """Says why the column of the picture is not known; "" if it is.

    Args:
        variables: column -> its values in the rows with pictures.
        columns: those that name pictures.
    """
    if len(columns) > 1:
        return f"one of {' and '.join(map(repr, columns))}, so that the image is not known,"
    [picture] = columns
    of_trials = {name: rows.texts_of(one) for name, one in variables.items()}
    other = find_other(of_trials, picture)
    if not other:
        return ""
    num_pictures = len(set(of_trials[picture]))
    return (
        f"one of {num_pictures} pictures in {picture!r}, beside {other}, so that the image is not "
        "known,"
    )


def _clock_of_events(
    path: Path, start_ms: np.ndarray, duration_ms: np.ndarray, samples: Samples
) -> tuple[float, str]:
    """Returns what the onsets of events need to be on the clock of the samples, in ms.

    BIDS counts from the first sample; some files have the seconds of the tracker instead.
    """
    first_ms, last_ms = samples.time[[0, -1]] * samples.ms_per_unit
    start = samples.sidecar.get("StartTime", 0)
    if start in (None, "n/a"):
        start = 0
    if not bids_samples.is_number(start):
        raise ValueError(
            f"{samples.path}: StartTime is {start!r}, expected a number of seconds: the time of "
            "the first sample on the clock of the events"
        )
    start_time_ms = 1000.0 * start
    clocks = {"seconds from the first sample": first_ms - start_time_ms, "seconds of tracker": 0.0}
    shares = {
        clock: float(((start_ms + offset >= first_ms) & (start_ms + offset <= last_ms)).mean())
        for clock, offset in clocks.items()
    }
    clock = max(shares, key=shares.__getitem__)  # The first one of equal shares.
    offset_ms = clocks[clock]
    if shares[clock] == 0:
        raise ValueError(
            f"{path}: no picture is shown between the first and the last sample of "
            f"{samples.path.name}, expected onsets from the first sample (s)"
        )
    start_ms = start_ms + offset_ms
    num_outside = int(((start_ms < first_ms) | (start_ms > last_ms)).sum())
    # Milliseconds read as seconds make pictures that outlast the recording.
    long_ms = max(np.median(duration_ms), np.median(np.diff(start_ms)) if len(start_ms) > 1 else 0)
    is_long = long_ms > 2 * (last_ms - first_ms) or 2 * num_outside > len(start_ms)
    if long_ms >= _LONG_MS and is_long:
        raise ValueError(
            f"{path}: pictures last {np.median(duration_ms) / 1000:g} s and follow each other "
            f"within {long_ms / 1000:g} s, {num_outside} of {len(start_ms)} are shown before the "
            f"first or after the last sample, and {samples.path.name} lasts "
            f"{(last_ms - first_ms) / 1000:g} s, expected 'onset' and 'duration' in seconds (s)"
        )
    if num_outside:
        clock += ", some pictures outside the time of the samples"
    return offset_ms, clock


def showing_at(time_ms: np.ndarray, shown: Shown) -> np.ndarray:
    """Returns int64 [n]: the index of the picture at each time; the last index + 1: none."""
    showing = np.searchsorted(shown.start_ms, time_ms, side="right") - 1
    is_shown = (showing >= 0) & (time_ms < np.append(shown.end_ms, -np.inf)[showing])
    return np.where(is_shown, showing, len(shown.start_ms))
