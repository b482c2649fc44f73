"""Pupil Labs: enrichments of Pupil Cloud, surfaces of Neon Player, surfaces of Pupil Core."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_builders.common.gaze_files import containers, people, plain, rows
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.rows import Names, Numbers, Rows

_SECTION, _RECORDING, _FIXATION = "section id", "recording id", "fixation id"
_START, _END, _DURATION = "start timestamp [ns]", "end timestamp [ns]", "duration [ms]"
_IN_PX = ("fixation x [px]", "fixation y [px]")
# The column that says whether a fixation is on the image -> the columns of its place.
_ENRICHMENTS = {
    "fixation detected on surface": ("fixation x [normalized]", "fixation y [normalized]"),
    "fixation detected in reference image": _IN_PX,
    "fixation status": _IN_PX,
}
_WEARER, _WEARER_ID, _RECORDING_NAME = "wearer name", "wearer id", "recording name"
_REFERENCE_IMAGES = ("reference_image.jpeg", "reference_image.png", "reference_image.jpg")

_CORE_COLUMNS = (
    "fixation_id",
    "start_timestamp",
    "duration",
    "norm_pos_x",
    "norm_pos_y",
    "on_surf",
)
# Their names in older exports, which have one row for each fixation.
_OLD_CORE_NAMES = {"fixation_id": "id", "on_surf": "on_srf"}
_CORE_SCENE = {"id", "start_timestamp", "duration", "start_frame_index", "norm_pos_x"}
_FRAME_TIME, _DISPERSION = "world_timestamp", "dispersion"
_SURFACE = re.compile(r"fixations_on_surface_(.+)")

_NOT_ON_IMAGE = "not on the image"
_NS_TO_MS = 1e-6
_S_TO_MS = 1000.0
# Durations are whole milliseconds.
_DURATION_ERROR_MS = 1.0
# No detector gives fixations that are shorter, nor longer in seconds.
_SHORTEST_MS = 20.0


class _Wearer(NamedTuple):
    """The person and the name of a recording."""

    user: str
    user_id: str
    recording: str


def recognise_pupil_cloud(opened: Opened) -> Role:
    """Recognises the files of an export of Pupil Cloud or Neon Player by their columns."""
    columns = set(opened.columns)
    if {_FIXATION, _START, _DURATION} <= columns:
        if columns & _ENRICHMENTS.keys():
            return "fixations"
        return "scene" if set(_IN_PX) <= columns else ""
    is_gaze = "timestamp [ns]" in columns and any(name.startswith("gaze ") for name in columns)
    others = ({_RECORDING, _WEARER}, {_RECORDING, "aoi id"})
    return "beside" if is_gaze or any(other <= columns for other in others) else ""


def read_pupil_cloud(opened: Opened, how: How) -> Rows:
    """Reads the fixations of an enrichment: in fractions of a surface, or pixels of an image.

    Args:
        opened: the file; `sections.csv` beside it names the people of Pupil Cloud.
        how: has no option for this format.

    Raises:
        FileNotFoundError: `sections.csv` is missing.
        ValueError: the fixations are on no image, or a cell is damaged; the message has the file
            and the row.
    """
    path, columns = opened.path, opened.columns
    mapped = next((name for name in _ENRICHMENTS if name in columns), None)
    if mapped is None:
        raise _scene_error(path, "an enrichment (marker mapper, reference image mapper)")
    x_name, y_name = _ENRICHMENTS[mapped]
    for name in (_START, _END, _DURATION, x_name, y_name):
        if name not in columns:
            raise ValueError(f"{path} has no column {name!r}: export it again with this column")
    person = None if _RECORDING in columns else people.column_of_person(opened)
    ids = [name for name in (_SECTION, _RECORDING, person) if name is not None and name in columns]
    wanted = {mapped, x_name, y_name, _START, _END, _DURATION, *ids}
    table = containers.read_table(opened, wanted, names_in=[mapped, *ids])
    table = plain.with_one_mark(opened, table, [x_name, y_name, _DURATION], how.where)
    x, y, duration = (
        rows.numbers_of(table[name], decimal_comma=opened.decimal_comma)
        for name in (x_name, y_name, _DURATION)
    )
    start_ns, end_ns = (_whole_numbers(path, table, name) for name in (_START, _END))
    length_ms = (end_ns - start_ns) * _NS_TO_MS
    _refuse(
        path,
        np.abs(duration.values - length_ms) > _DURATION_ERROR_MS,
        lambda row: (
            f"{_DURATION} is {duration.values[row]:g}, expected {length_ms[row]:g}: the "
            "end minus the start"
        ),
    )
    user, session, taken_user, whose = _people(path, table, person)
    image, taken_image = _image(path, is_in_px=(x_name, y_name) == _IN_PX)
    trial = None
    if _SECTION in ids:
        section = rows.names_of(table[_SECTION])
        trial = rows.exact(_order(section.codes, start_ns))
    found = Rows(
        place=rows.places(table.num_rows),
        image=rows.one_name(image, table.num_rows),
        user=user,
        session=session,
        x=x,
        y=y,
        duration_ms=duration,
        t_ms=rows.exact(start_ns * _NS_TO_MS),
        trial=trial,
        units="px" if (x_name, y_name) == _IN_PX else "frac",
        taken=(
            f"image from {taken_image}, {taken_user}, "
            f"{'' if trial is None else 'a viewing for each section, '}x and y from {x_name!r} and "
            f"{y_name!r} where {mapped!r} is true, duration from {_DURATION!r}, start from "
            f"{_START!r} (nanoseconds)"
        ),
        whose=whose,
        cells={"x": table[x_name], "y": table[y_name], "duration_ms": table[_DURATION]},
    )
    is_mapped = _truths(path, table, mapped, others=("not mapped",))
    found, start_ns = rows.take(found, is_mapped, _NOT_ON_IMAGE), start_ns[is_mapped]
    recording = _codes(found.user if session is None else found.session)
    # Sections may overlap.
    _, first = np.unique(np.column_stack([recording, start_ns]), axis=0, return_index=True)
    return rows.take(found, np.sort(first), "a fixation again, in another section")


def _people(
    path: Path, table: pa.Table, person: str | None
) -> tuple[Names, Names | None, str, tuple[rows.LeftOut, ...]]:
    """Finds the person and the session of each row.

    Returns:
        The people; the sessions, None where the file has no recordings; where they are from; and
        whose recordings have no row.
    """
    if _RECORDING not in table.column_names:
        user = people.names_of_people(table, person, _recording(path))
        return user, None, people.in_words(person, "the folder"), ()
    recordings = rows.names_of(table[_RECORDING])
    _refuse(path, recordings.codes < 0, lambda _: f"{_RECORDING} is empty, expected a name")
    wearers = _wearers(path)
    for code, name in enumerate(recordings.names):
        if name not in wearers:
            row = int(np.argmax(recordings.codes == code)) + 1
            raise ValueError(
                f"{path} row {row}: {_RECORDING} is {name!r}, which sections.csv beside it lacks"
            )
    has_names = _are_named_apart(wearers)
    user = rows.names_of([wearers[name].user for name in recordings.names])
    session = rows.names_of(
        [wearers[name].recording if has_names else name for name in recordings.names]
    )
    without = [name for name in wearers if name not in recordings.names]
    left_out = rows.LeftOut(
        rows.places(len(without)),
        rows.names_of([wearers[name].user for name in without]),
        rows.names_of([wearers[name].recording if has_names else name for name in without]),
        rows.NO_FIXATION,
    )
    return (
        Names(user.codes[recordings.codes], user.names),
        Names(session.codes[recordings.codes], session.names),
        f"person from {_WEARER!r} and session from "
        f"{_RECORDING_NAME if has_names else _RECORDING!r} of sections.csv",
        (left_out,),
    )


def _are_named_apart(wearers: Mapping[str, _Wearer]) -> bool:
    """Whether recordings have names of their own: they order sessions in time, ids do not."""
    names = [wearer.recording for wearer in wearers.values()]
    return all(names) and len(set(names)) == len(names)


def check_same_wearers(opened: Sequence[Opened]) -> None:
    """Checks that names of people and of recordings mean the same in all files of Pupil Cloud.

    Raises:
        ValueError: two wearers or recordings have one name in different exports, or one has two
            names; or sessions are named by ids in some files only.
    """
    files = {one.path.with_name("sections.csv"): one for one in opened if _RECORDING in one.columns}
    of_file = {sections: _wearers(one.path) for sections, one in files.items()}
    known: dict[tuple[str, str, str], tuple[str, Path]] = {}
    for sections, wearers in of_file.items():
        for recording, wearer in wearers.items():
            named = f"{wearer.user} {wearer.recording}" if _are_named_apart(wearers) else ""
            facts = (
                ("wearer", wearer.user, _WEARER_ID, wearer.user_id),
                (_WEARER_ID, wearer.user_id, "wearer", wearer.user),
                ("recording", named, _RECORDING, recording),
                (_RECORDING, recording, "recording", named),
                (_RECORDING, recording, "wearer", wearer.user),
            )
            for what, name, has, fact in facts:
                if not name or not fact:
                    continue
                other, path = known.setdefault((what, name, has), (fact, sections))
                if other != fact and path != sections:
                    raise ValueError(
                        f"{sections}: the {what} {name!r} has the {has} {fact!r}, and {other!r} in "
                        f"{path}, expected one name for each: name them alike in these files"
                    )
    apart = {_are_named_apart(wearers): sections for sections, wearers in of_file.items()}
    if len(apart) > 1:
        raise ValueError(
            f"{apart[False]} has recordings without names of their own, whose sessions are named "
            f"by their ids, and {apart[True]} has none, expected names of all recordings: name "
            "them in these files"
        )


def _wearers(path: Path) -> dict[str, _Wearer]:
    """Reads who wore the device in each recording from `sections.csv` beside a file."""
    sections = path.with_name("sections.csv")
    if not sections.is_file():
        raise FileNotFoundError(
            f"{path} names no person and lacks sections.csv beside it: put the one of the export "
            "there"
        )
    opened = containers.open_file(sections)
    for name in (_RECORDING, _WEARER):
        if name not in opened.columns:
            raise ValueError(f"{sections} has no column {name!r}, expected the one of the export")
    names = (_RECORDING, _WEARER, _WEARER_ID, _RECORDING_NAME)
    table = containers.read_table(opened, names)
    texts = {}
    for name in names:
        column = [""] * table.num_rows
        if name in table.column_names:
            column = rows.texts_of(rows.names_of(table[name]))
        texts[name] = column
    wearers: dict[str, _Wearer] = {}
    id_of_user: dict[str, str] = {}
    user_of_id: dict[str, str] = {}
    places = enumerate(zip(*texts.values(), strict=True), 1)
    for row, (recording, *parts) in places:  # A row for each section, not for each fixation.
        wearer = _Wearer(*parts)
        if not wearer.user:
            raise ValueError(f"{sections} row {row}: {_WEARER} is empty, expected a name")
        if wearers.setdefault(recording, wearer) != wearer:
            raise ValueError(
                f"{sections} row {row}: {_RECORDING} {recording!r} has the wearer {wearer.user!r}, "
                f"expected {wearers[recording].user!r} as in a row before"
            )
        user = user_of_id.setdefault(wearer.user_id, wearer.user)
        if wearer.user_id and user != wearer.user:
            raise ValueError(
                f"{sections} row {row}: {_WEARER_ID} {wearer.user_id!r} has the names {user!r} and "
                f"{wearer.user!r}, expected one name"
            )
        if id_of_user.setdefault(wearer.user, wearer.user_id) != wearer.user_id:
            raise ValueError(
                f"{sections} row {row}: {_WEARER} {wearer.user!r} has a second {_WEARER_ID}, "
                f"{wearer.user_id!r}: give each person a name of its own, or the same id"
            )
    return wearers


def _image(path: Path, *, is_in_px: bool) -> tuple[str, str]:
    """Returns the image of an enrichment or surface, and where its name is from."""
    if surface := _SURFACE.fullmatch(rows.stem(path)):
        return surface[1], "the name of the surface"
    folder = path.absolute().parent.name
    if is_in_px:
        for name in _REFERENCE_IMAGES:
            if path.with_name(name).is_file():
                return f"{folder}/{name}", f"{name} in the folder"
    return folder, "the folder"


def _order(codes: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Numbers groups from 1 by their first start: int64 [n].

    Args:
        codes: int32 [n], group of each row; -1 is a group too.
        start: int64 [n].
    """
    groups, group = np.unique(codes, return_inverse=True)
    first = np.full(len(groups), np.iinfo(np.int64).max)
    np.minimum.at(first, group, start)
    rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    return rank[group] + 1


def recognise_pupil_core(opened: Opened) -> Role:
    """Recognises the fixations of an export of Pupil Player by their columns."""
    columns, names = set(opened.columns), _core_names(opened)
    if columns >= set(names.values()):
        return "fixations"
    if columns >= _CORE_SCENE:
        return "scene"
    if columns >= {"gaze_timestamp", names["on_surf"]}:
        # Of a recording whose fixations are not exported, it is the only gaze.
        has_fixations = any(opened.path.parent.glob("fixations_on_surface_*"))
        return "beside" if has_fixations else "samples"
    return ""


def recordings_of_core(opened: Opened) -> set[tuple[str, str]]:
    """Returns the name of the recording, and nothing else."""
    return {(_recording(opened.path), "")}


def _core_names(opened: Opened) -> dict[str, str]:
    """Returns the name in the file of each column of `_CORE_COLUMNS`."""
    return {
        name: name if name in opened.columns else _OLD_CORE_NAMES.get(name, name)
        for name in _CORE_COLUMNS
    }


def read_pupil_core(opened: Opened, how: How) -> Rows:
    """Reads the fixations on a surface, in fractions of the surface with y up.

    A fixation has a row for each frame of the scene camera, with its place on the surface as it was
    found in this frame. The place of the fixation is the median of x and of y over the frames that
    have it on the surface.

    Args:
        opened: the file.
        how: has no option for this format.

    Raises:
        ValueError: the fixations are on no surface, a cell is no number, the rows of a fixation
            differ in start or duration, or nothing says the unit of the durations; the message has
            the file, and the row where it is one row.
    """
    path = opened.path
    role = recognise_pupil_core(opened)
    if role == "samples":
        raise ValueError(
            f"{path} holds samples of gaze on a surface, not fixations: export the fixations on "
            "the surface (fixations_on_surface_NAME.csv)"
        )
    if role != "fixations":
        raise _scene_error(path, "the surface tracker (fixations_on_surface_NAME.csv)")
    person = people.column_of_person(opened)
    core = _core_names(opened)
    number, on_surface = core["fixation_id"], core["on_surf"]
    texts = [number, on_surface, *([] if person is None else [person])]
    table = containers.read_table(opened, {*core.values(), _FRAME_TIME, *texts}, names_in=texts)
    of_numbers = [*_CORE_COLUMNS[1:5], _FRAME_TIME]
    table = plain.with_one_mark(opened, table, of_numbers, how.where)
    numbers = {
        name: rows.numbers_of(table[name], decimal_comma=opened.decimal_comma)
        for name in (*_CORE_COLUMNS[1:5], _FRAME_TIME)
        if name in table.column_names
    }
    is_on = _truths(path, table, on_surface)
    for name, column in numbers.items():
        _refuse(
            path,
            is_on & ~np.isfinite(column.values),
            lambda row, name=name: (  # type: ignore[misc]
                f"{name} is {table[name][row].as_py()!r}, expected a number"
            ),
        )
    fixation = rows.names_of(table[number]).codes
    _refuse(path, fixation < 0, lambda _: f"{number} is empty, expected a number")
    # Each person has fixations of the same numbers, and so have recordings that a condition parts.
    user = people.names_of_people(table, person, _recording(path))
    fits = plain.rows_where_all(opened, how.where, table.num_rows)
    keys = np.column_stack([user.codes, fits, fixation])
    _, fixation = np.unique(keys, axis=0, return_inverse=True)
    fixation = fixation.reshape(-1)
    is_read = is_on & fits
    is_in_s = _is_in_seconds(
        opened,
        fixation[is_read],
        numbers["duration"].values[is_read],
        numbers[_FRAME_TIME].values[is_read] if _FRAME_TIME in numbers else None,
    )
    surface = _SURFACE.fullmatch(rows.stem(path))
    x, y = numbers["norm_pos_x"], numbers["norm_pos_y"]
    found = Rows(
        place=rows.places(table.num_rows),
        image=rows.one_name(surface[1], table.num_rows) if surface else None,
        user=user,
        x=x,
        y=y,
        duration_ms=rows.exact(numbers["duration"].values * (_S_TO_MS if is_in_s else 1.0)),
        t_ms=rows.exact(numbers["start_timestamp"].values * _S_TO_MS),
        units="frac",
        y_axis="up",
        taken=(
            f"image from {'the name of the surface' if surface else 'nowhere'}, "
            f"{people.in_words(person, 'the folder')}, x and y from the median of 'norm_pos_x' and "
            f"'norm_pos_y' over the frames of a fixation with {on_surface!r} True (fractions of "
            "the surface, y up), duration from 'duration' "
            f"({'s' if is_in_s else 'ms'}), start from 'start_timestamp' (s)"
        ),
    )
    for name in ("start_timestamp", "duration"):
        values = numbers[name].values
        _, first, group = np.unique(fixation, return_index=True, return_inverse=True)
        before = values[first][group]
        _refuse(
            path,
            is_read & (values != before),
            lambda row, name=name, values=values, before=before: (  # type: ignore[misc]
                f"{name} is {float(values[row])!r}, expected {float(before[row])!r} as in the "
                "first row of the fixation"
            ),
        )
    found, fixation = rows.take(found, is_on, "not on the surface"), fixation[is_on]
    if _FRAME_TIME in numbers:
        # A row that is there twice would count twice in the median.
        frames = [fixation, numbers[_FRAME_TIME].values[is_on], found.x.values, found.y.values]
        _, first = np.unique(np.column_stack(frames), axis=0, return_index=True)
        first = np.sort(first)
        found, fixation = rows.take(found, first, "a frame again, in an equal row"), fixation[first]
    _, first, group = np.unique(fixation, return_index=True, return_inverse=True)
    place = {axis: rows.exact(_medians(getattr(found, axis), group)[group]) for axis in ("x", "y")}
    found = found._replace(**place)  # type: ignore[arg-type]
    return rows.take(found, np.sort(first), "a fixation again, in a further frame")


def _is_in_seconds(
    opened: Opened, fixation: np.ndarray, duration: np.ndarray, frame_s: np.ndarray | None
) -> bool:
    """Finds the unit of the durations: Pupil Player gives milliseconds, Neon Player 4 seconds.

    The header of Neon Player 4 has the same names, only no dispersion. The frames of a fixation
    cannot span much more than its duration.

    Args:
        opened: the file.
        fixation: int32 [n], number of the fixation of each frame.
        duration: float64 [n].
        frame_s: float64 [n], times of the frames; None: not known.

    Raises:
        ValueError: the durations fit neither unit, or nothing says which.
    """
    if not len(fixation):
        return False
    order = np.argsort(fixation, kind="stable")
    first = np.flatnonzero(rows.run_starts(fixation[order]))
    length = duration[order][first]
    span_ms = np.zeros(len(first))
    if frame_s is not None:
        begin, end = (edge.reduceat(frame_s[order], first) for edge in (np.minimum, np.maximum))
        span_ms = (end - begin) * _S_TO_MS
    spans_more = float(span_ms.sum()) > 2 * float(length.sum())
    is_short = float(np.median(length)) < _SHORTEST_MS
    if spans_more and is_short:
        return True
    if spans_more or (is_short and _DISPERSION not in opened.columns):
        raise ValueError(
            f"{opened.path}: nothing says whether the durations are milliseconds or seconds "
            f"(median {np.median(length):g}, the frames of a fixation span "
            f"{np.median(span_ms):g} ms): export fixations on the surface again"
        )
    return False


def _medians(numbers: Numbers, group: np.ndarray) -> np.ndarray:
    """Returns the median of each group: float64 [number of groups].

    Args:
        numbers: n finite numbers.
        group: int64 [n], from 0.
    """
    counts = np.bincount(group) if len(group) else np.zeros(0, np.int64)
    ordered = numbers.values[np.lexsort((numbers.values, group))]
    start = np.cumsum(counts) - counts
    middle = ordered[start + (counts - 1) // 2], ordered[start + counts // 2]
    return (middle[0] + middle[1]) / 2


def _recording(path: Path) -> str:
    """Returns the folder of a recording: above `exports`, else the folder of the file.

    Pupil Core numbers the recordings of a day (`2026_01_31/000`): then the day belongs to the name.
    """
    folders = [part for part in path.absolute().parent.parts if part != path.anchor]
    if folders and folders[-1] == "surfaces":
        folders = folders[:-1]
    if "exports" in folders[-2:]:
        folders = folders[: len(folders) - 1 - folders[::-1].index("exports")]
    name = folders[-1] if folders else ""
    if re.fullmatch(r"\d{3}", name) and len(folders) > 1:
        name = f"{folders[-2]}/{name}"
    return name or rows.stem(path)


def _scene_error(path: Path, export: str) -> ValueError:
    return ValueError(
        f"{path} has fixations in the picture of the scene camera, which is no image: give the "
        f"export of {export}"
    )


def _codes(names: Names | None) -> np.ndarray:
    assert names is not None
    return names.codes


def _truths(path: Path, table: pa.Table, name: str, *, others: tuple[str, ...] = ()) -> np.ndarray:
    """Reads a column of truth values: bool [n]; an empty cell and `others` are not true."""
    names = rows.names_of(table[name], missing=rows.MISSING)
    texts = np.array([*(one.lower() for one in names.names), ""])[names.codes]
    _refuse(
        path,
        ~np.isin(texts, ("true", "false", "", *others)),
        lambda row: (
            f"{name} is {table[name][row].as_py()!r}, expected "
            f"{', '.join(('true', 'false', *others))}"
        ),
    )
    return texts == "true"


def _whole_numbers(path: Path, table: pa.Table, name: str) -> np.ndarray:
    """Reads times of nanoseconds, which float64 would round: int64 [n]."""
    column = table[name]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
        is_whole = pc.fill_null(
            pc.match_substring_regex(column, r"^[0-9]{1,18}$|^[1-8][0-9]{18}$"), False
        )
    else:
        whole = pa.types.is_integer(column.type)
        is_whole = pc.and_(column.is_valid(), whole)
    _refuse(
        path,
        ~is_whole.to_numpy().astype(bool),
        lambda row: f"{name} is {table[name][row].as_py()!r}, expected whole nanoseconds",
    )
    try:
        return column.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid as error:  # Unsigned numbers beyond the range.
        raise ValueError(
            f"{path}: {name} has numbers that are too large, expected nanoseconds"
        ) from error


def _refuse(path: Path, is_wrong: np.ndarray, message: Callable[[int], str]) -> None:
    """Raises a ValueError for the first row where bool [n] is true."""
    for row in np.flatnonzero(is_wrong)[:1]:
        more = f" ({int(is_wrong.sum())} such rows)" if is_wrong.sum() > 1 else ""
        raise ValueError(f"{path} row {row + 1}: {message(int(row))}{more}")
