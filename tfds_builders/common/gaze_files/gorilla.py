"""Gaze of webcams from Gorilla: samples of its eye tracking (WebGazer)."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tfds_builders.common.gaze_files import containers, detection, people, plain, rows, samples
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.rows import Numbers, Rows

_ADVICE = "a webcam gives no fixations of its own"

_COLUMNS = frozenset(("type", "x_pred", "y_pred", "time_elapsed"))
_CALIBRATION = "point_x"
_NUMBERS = ("spreadsheet_row", "screen_index", "x_pred", "y_pred", "time_elapsed")
_NORMALISED = ("x_pred_normalised", "y_pred_normalised")
_ZONE = ("zone_x", "zone_y", "zone_width", "zone_height")
# Types of rows that hold no gaze, in small letters.
_OTHER_KINDS = ("zone", "mark", "marker", "calibration", "validation", "new file")
# Zones that Gorilla adds: the window of the browser, and the area of the experiment in it.
_FRAMES = ("screen", "gorilla")
# Normalised places are a linear function of the pixels, up to the rounding of numbers.
_LARGEST_MISFIT = 1e-3


def recognise_gorilla(opened: Opened) -> Role:
    """Recognises eye tracking of Gorilla by its columns."""
    if not set(opened.columns) >= _COLUMNS:
        return ""
    if _CALIBRATION in opened.columns:
        kinds = rows.names_of(containers.read_table(opened, {"type"})["type"])
        return "samples" if "prediction" in kinds.names else "beside"
    return "samples"


def read_gorilla(opened: Opened, how: How) -> Rows:
    """Reads eye tracking of Gorilla: one row a sample (`prediction`), a zone or a mark.

    Places are counted from the bottom left corner of the window. Where each screen has one zone of
    the experimenter, this zone is the place of the picture. Otherwise, places are fractions of the
    area of the experiment. The file does not name the picture.

    Raises:
        ValueError: no detection is asked for, a trial has several screens with gaze, the samples of
            a screen are in two parts, only some screens have one zone, or a place has no fraction.
    """
    path = opened.path
    samples.check_detection(path, how, advice=_ADVICE)
    column = people.column_of_person(opened)
    wanted = {"type", "zone_name", *_NUMBERS, *_NORMALISED, *_ZONE}
    table = containers.read_table(opened, wanted if column is None else {*wanted, column})
    table = plain.with_one_mark(opened, table, (*_NUMBERS, *_NORMALISED, *_ZONE), how.where)
    kind = rows.names_of(table["type"])
    kinds = np.array([*kind.names, ""])[kind.codes]
    numbers = {
        name: rows.numbers_of(table[name], decimal_comma=opened.decimal_comma)
        for name in (*_NUMBERS, *_NORMALISED, *_ZONE)
        if name in table.column_names
    }
    _check_numbers(path, table, numbers, kinds)
    person = None if column is None else people.names_of_people(table, column, "")
    found = Rows(
        place=rows.places(table.num_rows),
        image=None,
        user=person,
        x=numbers["x_pred"],
        y=numbers["y_pred"],
        t_ms=numbers["time_elapsed"],
        trial=numbers.get("spreadsheet_row"),
        frame="screen",
    )
    found = rows.take(found, kinds == "prediction")
    found = found._replace(left_out=rows.unknown_kinds("type", kind, ["prediction"], _OTHER_KINDS))
    found = plain.take_where(opened, found, how.where)
    keys = np.zeros((table.num_rows, 3))
    keys[:, 0] = 0 if person is None else person.codes
    for number, name in enumerate(("spreadsheet_row", "screen_index"), start=1):
        if name in numbers:
            keys[:, number] = np.nan_to_num(numbers[name].values, nan=-1)
    _check_screens(path, found.place, keys)
    # `group` numbers the screens of the file; zones have the keys of their screen.
    _, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.reshape(-1)
    assert found.t_ms is not None
    is_first = rows.run_starts(group[found.place - 1], found.t_ms.values)
    found = rows.take(found, is_first, "a second sample at the same time")
    sampled = found.place - 1
    found = samples.fixations_of_samples(path, found, group[sampled], how, advice=_ADVICE)
    zone_rows = np.zeros(0, np.int64)
    if "zone_name" in table.column_names and set(_ZONE) <= numbers.keys():
        names = np.char.lower(np.array([str(name) for name in table["zone_name"].to_pylist()]))
        zone_rows = np.flatnonzero((kinds == "zone") & ~np.isin(names, _FRAMES))
        # Sessions in one file may share screens; a condition on samples is no one on zones.
        fits = plain.rows_where_all(opened, how.where, table.num_rows)
        fits = fits[zone_rows]
        has_fitting = np.bincount(group[zone_rows], fits, minlength=group.max(initial=0) + 1) > 0
        zone_rows = zone_rows[fits | ~has_fitting[group[zone_rows]]]
    zone_of = _one_zone(path, group, sampled, zone_rows)
    if zone_of is None:
        found, taken = _as_fractions(path, found, group, sampled, numbers)
    else:
        zone = np.column_stack([numbers[name].values for name in _ZONE])[zone_of[group]]
        found, taken = _on_zones(path, found, zone[found.place - 1])
    by_trial = "" if found.trial is None else ", trial from 'spreadsheet_row'"
    return found._replace(
        taken=(
            f"{people.in_words(column)}{by_trial}, samples from rows of type 'prediction', "
            f"{taken}, time from 'time_elapsed' (ms), {detection.in_words(how.detection)}"  # type: ignore[arg-type]
        )
    )


def _check_numbers(
    path: Path, table: pa.Table, numbers: dict[str, Numbers], kinds: np.ndarray
) -> None:
    """Refuses texts in the place of numbers: a sample without gaze has none, or an empty cell."""
    for name, column in numbers.items():
        is_used = kinds == ("zone" if name in _ZONE else "prediction")
        wrong = np.flatnonzero(is_used & column.is_wrong)
        if len(wrong):
            more = f" ({len(wrong)} such rows)" if len(wrong) > 1 else ""
            raise ValueError(
                f"{path} row {wrong[0] + 1}: {name} is {table[name][int(wrong[0])].as_py()!r}, "
                f"expected a number{more}"
            )


def _check_screens(path: Path, place: np.ndarray, keys: np.ndarray) -> None:
    """Checks that samples of a screen are together and of one screen in a trial.

    Args:
        path: the file, for messages.
        place: int64 [n], rows of the samples, from 1.
        keys: float64 [rows, 3] person, row of the spreadsheet and screen.
    """
    if not len(place):
        return
    of_sample = keys[place - 1]
    first = np.flatnonzero(rows.run_starts(*of_sample.T))
    runs = of_sample[first]
    _, inverse, count = np.unique(runs, axis=0, return_inverse=True, return_counts=True)
    again = np.flatnonzero(count[inverse.reshape(-1)] > 1)
    if len(again):
        row, (_, trial, screen) = place[first[again[1]]], runs[again[1]]
        raise ValueError(
            f"{path} row {row}: samples of screen {screen:g} in row {trial:g} of the spreadsheet "
            "are in two parts, expected them together"
        )
    _, inverse, count = np.unique(runs[:, :2], axis=0, return_inverse=True, return_counts=True)
    several = np.flatnonzero(count[inverse.reshape(-1)] > 1)
    if len(several):
        row, (_, trial, screen) = place[first[several[1]]], runs[several[1]]
        raise ValueError(
            f"{path} row {row}: row {trial:g} of the spreadsheet has gaze on several screens, "
            f"expected one: choose it, such as --where 'screen_index == {screen:g}'"
        )


def _one_zone(
    path: Path, group: np.ndarray, sampled: np.ndarray, zone_rows: np.ndarray
) -> np.ndarray | None:
    """Finds the zone of each screen.

    Args:
        path: the file, for messages.
        group: int64 [rows], number of the screen of each row of the file.
        sampled: int64 [n], indices of the rows of samples.
        zone_rows: int64 [zones], indices of the rows of zones of the experimenter.

    Returns:
        int64 [screens], index of the row of the zone; None: no screen has exactly one zone.
    """
    num_groups = int(group.max(initial=-1)) + 1
    counts = np.bincount(group[zone_rows], minlength=num_groups)
    counts_seen = counts[group[sampled]]
    if not (counts_seen == 1).any():
        return None
    if (counts_seen != 1).any():
        row = int(sampled[(counts_seen != 1).argmax()])
        raise ValueError(
            f"{path} row {row + 1}: the screen has {counts[group[row]]} zones, other screens have "
            "one, expected one zone, the picture, on each: choose screens by --where"
        )
    zone_of = np.zeros(num_groups, np.int64)
    zone_of[group[zone_rows]] = zone_rows
    return zone_of


def _on_zones(path: Path, found: Rows, zone: np.ndarray) -> tuple[Rows, str]:
    """Places fixations relative to zones, float64 [n, 4]; returns also where they are from."""
    for row in np.flatnonzero(~np.isfinite(zone).all(axis=1) | ~(zone[:, 2:].min(axis=1) > 0))[:1]:
        raise ValueError(
            f"{path} row {found.place[row]}: the zone of the screen has x, y, width and height "
            f"{', '.join(f'{value:g}' for value in zone[row])}, expected a width and height above 0"
        )
    # y points up: the top edge of the zone becomes 0, and y points down from there.
    top = zone[:, 1] + zone[:, 3]
    shown_px = np.column_stack([zone[:, 0], np.zeros(len(zone)), zone[:, 2:]])
    found = found._replace(y=rows.exact(top - found.y.values), shown_px=shown_px)
    return found, (
        "x and y from 'x_pred' and 'y_pred' (pixels of the window, from the bottom), place of the "
        "picture from the only zone of the screen, which the picture must fill"
    )


def _as_fractions(
    path: Path, found: Rows, group: np.ndarray, sampled: np.ndarray, numbers: dict[str, Numbers]
) -> tuple[Rows, str]:
    """Turns pixels of the window into fractions of the area of the experiment.

    The window of each person has another size, so that only fractions can be compared.
    """
    if not set(_NORMALISED) <= numbers.keys():
        raise ValueError(
            f"{path} has no single zone on a screen and no columns {', '.join(_NORMALISED)}: "
            "expected either, to place the picture"
        )
    places = []
    of_sample = group[sampled]
    starts = np.flatnonzero(rows.run_starts(of_sample))
    for axis, name in (("x", "x_pred"), ("y", "y_pred")):
        pixels, fractions = numbers[name].values[sampled], numbers[_NORMALISED[axis == "y"]].values
        values = getattr(found, axis).values.copy()
        for start, end in zip(starts, [*starts[1:], len(sampled)], strict=True):
            px, frac = pixels[start:end], fractions[sampled[start:end]]
            has_gaze = np.isfinite(px)
            px, frac, rows_ = px[has_gaze], frac[has_gaze], sampled[start:end][has_gaze]
            if not len(px):
                continue
            low, high = int(px.argmin()), int(px.argmax())
            width = px[high] - px[low]
            slope = (frac[high] - frac[low]) / width if width > 0 else 0.0
            misfit = ~(np.abs(frac[low] + (px - px[low]) * slope - frac) <= _LARGEST_MISFIT)
            if misfit.any():
                row = int(rows_[misfit.argmax()])
                raise ValueError(
                    f"{path} row {row + 1}: {_NORMALISED[axis == 'y']} is {fractions[row]:g}, "
                    f"expected a linear function of {name}"
                )
            here = group[found.place - 1] == group[rows_[0]]
            values[here] = frac[low] + (values[here] - px[low]) * slope
        places.append(rows.exact(values))
    found = found._replace(x=places[0], y=places[1], units="frac", y_axis="up")
    return found, (
        "x and y as in 'x_pred_normalised' and 'y_pred_normalised' (fractions of the area of the "
        "experiment, from the bottom; its width is 4/3 of its height)"
    )
