"""Samples and fixations of one eye in BIDS."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tfds_builders.common.gaze_files import bids_names, containers, rows
from tfds_builders.common.gaze_files.rows import Rows

_MS_PER_UNIT = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1000.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1.0),
    **dict.fromkeys(("us", "µs", "μs", "microsecond", "microseconds"), 1e-3),
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), 1e-6),
}
# Part of the distance of two samples within which times are equal.
_STEP_TOLERANCE = 1e-3
_FIXATION, _OTHER_KINDS = "fixation", ("saccade", "blink")
_MAX_KINDS = 4
# Of the fixations, which may end after the next one begins.
_LARGEST_SHARE_LATE = 0.01


class Samples(NamedTuple):
    """The samples of one eye.

    Attributes:
        path: the file.
        sidecar: its inherited sidecar.
        time: float64 [n], on the clock of the onsets of physioevents.
        ms_per_unit: milliseconds in a unit of `time`.
        step: usual distance of two samples, in units of `time`.
        xy: float64 [n, 2], pixels; NaN: no gaze.
    """

    path: Path
    sidecar: Mapping[str, Any]
    time: np.ndarray
    ms_per_unit: float
    step: float
    xy: np.ndarray


def read_samples(path: Path, sidecar: Mapping[str, Any], source: str) -> Samples:
    """Reads samples and the clock that onsets refer to.

    Args:
        path: file of the samples.
        sidecar: its sidecar, with `Columns`.
        source: name of a column, or "n/a": onsets are indices of rows from 0.

    Raises:
        NoFixationError: the file cannot be opened.
        ValueError: a value is not as it should be; the message has the file and the row.
    """
    columns = [str(column) for column in sidecar["Columns"]]
    try:
        opened = containers.open_file(path)
    except ValueError as error:  # Such as a cut .gz.
        raise rows.NoFixationError(str(error)) from error
    names = {"x_coordinate", "y_coordinate", source}
    table = containers.read_table(opened, names, columns=columns, delimiter="\t")
    xy = np.column_stack([numbers(path, table, name) for name in ("x_coordinate", "y_coordinate")])
    rate: Any = sidecar.get("SamplingFrequency")
    rate_hz = None
    if is_number(rate) and 0 < rate < 1e9:
        rate_hz = float(rate)
    if rate_hz is None and (source == "n/a" or rate not in (None, "n/a")):
        raise ValueError(f"{path}: SamplingFrequency is {rate!r}, expected a number above 0")
    if source == "n/a":
        assert rate_hz is not None
        return Samples(path, sidecar, np.arange(len(xy), dtype=float), 1000 / rate_hz, 1.0, xy)
    if source not in columns:
        raise ValueError(
            f"{path}: OnsetSource is {source!r}, expected n/a or one of {', '.join(columns)}"
        )
    time = numbers(path, table, source)
    for row in np.flatnonzero(~np.isfinite(time))[:1]:
        raise ValueError(f"{path} row {row + 1}: {source} is n/a, expected a number")
    for row in np.flatnonzero(np.diff(time) < 0)[:1]:
        raise ValueError(
            f"{path} row {row + 2}: {source} is {time[row + 1]:g} after {time[row]:g}, expected "
            "times that do not fall"
        )
    rises = np.diff(time)
    rises = rises[rises > 0]
    if not len(rises):
        raise ValueError(f"{path}: {source} has {len(time)} samples, expected two times or more")
    step = float(np.median(rises))
    described = sidecar.get(source)
    units = described.get("Units") if isinstance(described, dict) else None
    return Samples(path, sidecar, time, _unit_of_time(path, source, units, rate_hz, step), step, xy)


def is_number(value: Any) -> bool:
    """Whether a value of a sidecar is a finite number; the text of a number is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)


def _unit_of_time(
    path: Path, source: str, units: object, rate_hz: float | None, step: float
) -> float:
    """Returns the milliseconds in a unit of time, which the sampling rate must confirm."""
    known = _MS_PER_UNIT.get(str(units).lower())
    if units is not None and known is None:
        raise ValueError(f"{path}: Units of {source} is {units!r}, expected s, ms, us or ns")
    if known is None and rate_hz is None:
        raise ValueError(f"{path}: {source} has no Units and there is no SamplingFrequency")
    candidates = sorted(set(_MS_PER_UNIT.values())) if known is None else [known]
    # At 2000 Hz, EyeLink writes whole milliseconds: a step of two samples.
    fits = [one for one in candidates if rate_hz is None or 0.4 < step * one * rate_hz / 1000 < 2.5]
    if not fits:
        raise ValueError(
            f"{path}: {source} has steps of {step:g} {units or ''}, which do not fit "
            f"SamplingFrequency {rate_hz:g}"
        )
    return fits[0]


def numbers(path: Path, table: pa.Table, name: str) -> np.ndarray:
    """Returns float64 [n]; NaN where there is no value."""
    numbers = rows.numbers_of(table[name])
    for row in np.flatnonzero(numbers.is_wrong)[:1]:
        raise ValueError(
            f"{path} row {row + 1}: {name} is {table[name][int(row)].as_py()!r}, expected a number "
            "or n/a"
        )
    return numbers.values


def read_fixations(path: Path, sidecar: Mapping[str, Any]) -> tuple[Samples, Rows]:
    """Reads the fixations of one eye and averages their samples."""
    events = bids_names.find_events_of_samples(path)
    name = bids_names.parse(path)
    if events is None or name is None:
        raise ValueError(f"{path} has no physioevents beside it, which hold the fixations")
    described = bids_names.read_sidecar(events, name.entities, "physioevents")
    columns = described.get("Columns")
    needed = ("onset", "duration", "trial_type")
    if not isinstance(columns, list) or not set(needed) <= set(map(str, columns)):
        raise ValueError(
            f"{events}: Columns of *_physioevents.json is {columns!r}, expected {', '.join(needed)}"
        )
    samples = read_samples(path, sidecar, str(described.get("OnsetSource")))
    table = containers.read_table(
        containers.open_file(events), needed, columns=[str(one) for one in columns], delimiter="\t"
    )
    onset, duration = (numbers(events, table, one) for one in ("onset", "duration"))
    kind = rows.names_of(table["trial_type"])
    is_fixation = np.isin(
        kind.codes, [code for code, one in enumerate(kind.names) if one.casefold() == _FIXATION]
    )
    unknown = _unknown_kinds(kind)
    is_unknown = np.isin(kind.codes, [kind.names.index(one) for one in unknown])
    is_known = np.isfinite(onset) & np.isfinite(duration)
    chosen = np.flatnonzero(is_fixation & is_known)
    start_ms = onset[chosen] * samples.ms_per_unit
    factor, unit = _unit_of_durations(events, start_ms, duration[chosen], samples)
    duration_ms = duration[chosen] * factor
    xy = _average(samples, start_ms, duration_ms)
    has_samples = np.isfinite(xy).all(axis=1)
    left_out = {
        "fixations without an onset or a duration": int((is_fixation & ~is_known).sum()),
        "events that are no fixation": int((~is_fixation & ~is_unknown).sum()),
        f"events of an unknown trial_type ({_shown(unknown)})": int(is_unknown.sum()),
        "fixations without a sample of gaze": int((~has_samples).sum()),
    }
    source = described.get("OnsetSource")
    return samples, Rows(
        place=rows.places(table.num_rows)[chosen][has_samples],
        image=None,
        user=None,
        x=rows.exact(xy[has_samples, 0]),
        y=rows.exact(xy[has_samples, 1]),
        duration_ms=rows.exact(duration_ms[has_samples]),
        t_ms=rows.exact(start_ms[has_samples]),
        left_out={reason: count for reason, count in left_out.items() if count},
        place_text=lambda place: f"row {place} of {events.name}",
        taken=(
            f"eye {sidecar.get('RecordedEye', 'not named')}, x and y averaged from the samples "
            f"(pixels of the screen), start from 'onset' ({source}), duration from 'duration' "
            f"({unit})"
        ),
    )


def in_place_of_fixations(path: Path) -> str:
    """Says of the samples of an eye which physioevents of an unknown kind are beside them, if any.

    Args:
        path: file of the samples.
    """
    events, kind = _kinds_beside(path)
    if events is None or kind is None or not (unknown := _unknown_kinds(kind)):
        return ""
    return f"{events.name} has the trial_type {_shown(unknown)}, expected {_FIXATION!r}"


def has_events_of_other_kinds(path: Path) -> bool:
    """Whether the physioevents of a run are of known kinds, and none of them is a fixation.

    Args:
        path: file of the samples of one recording of the run.
    """
    found = [_kinds_beside(one) for one in bids_names.find_recordings(path)]
    kinds = [kind for events, kind in found if events is not None]
    return bool(kinds) and all(
        kind is not None
        and not _unknown_kinds(kind)
        and _FIXATION not in map(str.casefold, kind.names)
        for kind in kinds
    )


def _kinds_beside(path: Path) -> tuple[Path | None, rows.Names | None]:
    """Returns the physioevents of samples and their kinds; None: no file, or without the column."""
    events = bids_names.find_events_of_samples(path)
    name = bids_names.parse(path)
    if events is None or name is None:
        return None, None
    columns = bids_names.read_sidecar(events, name.entities, "physioevents").get("Columns")
    if not isinstance(columns, list) or "trial_type" not in columns:
        return events, None
    opened, columns = containers.open_file(events), [str(one) for one in columns]
    table = containers.read_table(opened, {"trial_type"}, columns=columns, delimiter="\t")
    return events, rows.names_of(table["trial_type"])


def _unknown_kinds(kind: rows.Names) -> list[str]:
    known = (_FIXATION, *_OTHER_KINDS)
    unknown = [one for one in kind.names if one.casefold() not in known]
    return sorted(set(unknown) - rows.MISSING)


def _shown(kinds: list[str]) -> str:
    more = f" and {len(kinds) - _MAX_KINDS} more" if len(kinds) > _MAX_KINDS else ""
    return ", ".join(f"{one!r:.40}" for one in kinds[:_MAX_KINDS]) + more


def _unit_of_durations(
    path: Path, start_ms: np.ndarray, duration: np.ndarray, samples: Samples
) -> tuple[float, str]:
    """Decides whether durations are seconds or in units of the onsets.

    Of the right unit, fixations end before the next one and the recording, and last longer than a
    sample.

    Returns:
        Milliseconds in a unit, and its name.
    """
    candidates = {1000.0: "s", samples.ms_per_unit: "unit of the onsets"}
    if len(candidates) == 1 or not len(duration):
        return 1000.0, "s"
    step_ms = samples.step * samples.ms_per_unit
    order = np.argsort(start_ms, kind="stable")
    last_ms = max(float(samples.time[-1]) * samples.ms_per_unit, float(start_ms.max()))
    limit_ms = np.append(start_ms[order][1:], last_ms) + 2 * step_ms
    fits = {}
    for factor, unit in candidates.items():
        duration_ms = duration[order] * factor
        is_late = start_ms[order] + duration_ms > limit_ms
        if is_late.mean() <= _LARGEST_SHARE_LATE and np.median(duration_ms) >= step_ms:
            fits[factor] = unit
    if len(fits) != 1:
        raise ValueError(
            f"{path}: durations with a median of {np.median(duration):g} "
            f"{'fit both' if fits else 'fit neither'} seconds and the unit of the onsets, expected "
            "one of the two"
        )
    return next(iter(fits.items()))


def _average(samples: Samples, start_ms: np.ndarray, duration_ms: np.ndarray) -> np.ndarray:
    """Averages the samples from the start of each fixation up to its end: float64 [n, 2]."""
    margin = _STEP_TOLERANCE * samples.step
    start, end = (
        np.searchsorted(samples.time, time_ms / samples.ms_per_unit - margin)
        for time_ms in (start_ms, start_ms + duration_ms)
    )
    is_gaze = np.isfinite(samples.xy).all(axis=1)
    # Sums of small numbers stay exact: the average of all is taken off first.
    offset = samples.xy[is_gaze].mean(axis=0) if is_gaze.any() else np.zeros(2)
    sums = np.zeros((len(is_gaze) + 1, 2))
    np.cumsum(np.where(is_gaze[:, None], samples.xy - offset, 0), axis=0, out=sums[1:])
    counts = np.concatenate([[0], np.cumsum(is_gaze)])
    number = (counts[end] - counts[start])[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(number > 0, offset + (sums[end] - sums[start]) / number, np.nan)
