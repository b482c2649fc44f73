"""Files of a folder that are of no known format: whether they may hold gaze all the same."""

import math
import re
from collections.abc import Collection, Sequence
from pathlib import Path

import scipy

from tfds_builders.common.gaze_files import containers, people, plain, published
from tfds_builders.common.gaze_files.containers import Opened

# Files that describe others, in whatever form.
_DOCUMENT = re.compile(r"(read[\W_]?me|licen[cs]e|change(s|log)|copying|citation|authors)", re.I)
_BETWEEN_CELLS = re.compile(r"[\t;,|\s]+")
# Of the columns of a file of gaze: most, or half with one of fixations.
_MOST, _HALF = 0.8, 0.5
_OF_FIXATIONS = re.compile(
    r"fix|gaze|pog|dur(ation)?|onset|offset|sacc|(^|[^a-z])(t|x|y|start|end)([^a-z]|$)", re.I
)
# Words beside x or y in the names of columns of places, without signs, blanks and digits.
_BESIDE_AXIS = (
    r"(current|fixation|fix|gaze|eye|position|pos|location|loc|point|coordinates?|coords?|fpog|bpog"
    r"|pog|por|mean|average|avg|median|normali[sz]ed|norm|raw|left|right|screen|image|stimulus"
    r"|media|mapped|pixels?|px|degrees?|deg|mm|cm|rel|abs)*"
)
_AXES = re.compile(rf"({_BESIDE_AXIS})([xy])({_BESIDE_AXIS})")
_SIDES = ({"w", "h"}, {"width", "height"}, {"right", "bottom"}, {"r", "radius"})
# Files of people and fixations have one of these, files of areas and of sensors none.
_OF_PEOPLE = re.compile(r"dur(ation)?|t(ime)?(stamp)?|start|onset|vp|trial|session", re.I)
# Files of an export that hold other events or the scene camera.
_COMPANIONS = {
    "pupil": re.compile(
        r"(gaze|blinks?|saccades?|imu|events|labels|annotations|world_timestamps|3d_eye_states"
        r"|gaze_positions|pupil_positions|surf_positions_.*|surface_.*|head_pose_.*"
        r"|blink_detection_report|export_info|fixation_report|template|aoi_.*)\.csv"
    )
}
_TABLE_SUFFIXES = (".csv", ".tsv", ".xls")


def is_document(path: Path) -> bool:
    """Whether a file is named like one that describes others."""
    return _DOCUMENT.match(path.name) is not None


def resembles_gaze(one: Opened, chosen: Sequence[Opened], format_: str) -> str:
    """Says why a file of no known format may be one of gaze all the same.

    Args:
        one: the file.
        chosen: the files of gaze beside it.
        format_: the name of their format.

    Returns:
        What speaks for it, after a comma; "": nothing.
    """
    companions = _COMPANIONS.get(format_.split("-")[0])
    if is_document(one.path) or (companions and companions.fullmatch(one.path.name)):
        return ""
    alike = [other for other in chosen if other.suffix == one.suffix]
    if one.encoding and one.suffix != ".jsonl" and not one.head.strip():
        return ", and empty" if alike or one.suffix in _TABLE_SUFFIXES else ""
    if one.suffix == ".mat":
        return _of_matlab(one.path)
    if alike and "\0" in one.head:
        return ", and no text"
    if one.suffix == ".asc":
        return ", and named like one" if alike else ""
    if alike and _has_numbers_first(one, {len(other.columns) for other in alike}):
        return ", without a line of names"
    if published.is_in_place(one.path, format_):
        return ", and in the place of one"
    # A title may be before the line of names.
    lines = _lines_of_json(one) if one.suffix == ".json" else []
    lines = lines or list(map(without_blanks, containers.first_lines(one)))
    for columns in (one.columns, *lines):
        names = _folded(columns)
        for other in chosen:
            known = _folded(other.columns)
            shared = {name for name in other.columns if _folded([name]) <= names & known}
            share = len(names & known) / len(known) if len(known) > 1 else 0.0
            is_of_fixations = any(map(_OF_FIXATIONS.search, shared)) and not _are_areas(columns)
            if share >= (_HALF if is_of_fixations else _MOST):
                of_other = f"columns like those of {other.path.name}"
                is_below = one.suffix != ".json" and columns not in (one.columns, *lines[:1])
                below = " in a line below the first" if is_below else ""
                return f", with {of_other}{_difference(columns, other.columns) or below}"
        if plain.resembles_gaze(columns) or (_pairs(columns) and not _are_areas(columns)):
            return ", with columns like those of gaze"
    return ""


def without_blanks(cells: Sequence[str]) -> tuple[str, ...]:
    """Splits a line of one cell at its blanks, as R writes tables."""
    return tuple(re.findall(r"[^\s\"']+", cells[0])) if len(cells) == 1 else tuple(cells)


def _lines_of_json(one: Opened) -> list[tuple[str, ...]]:
    """Returns the keys of a JSON file, and the names of columns that are in a list beside rows."""
    found = [tuple(containers.keys_of_json(one))]
    for names in re.findall(r'"columns"\s*:\s*\[([^][{}]*)\]', one.head):
        found.append(tuple(re.findall(r'"([^"\\]*)"', names)))
    return found


def _of_matlab(path: Path) -> str:
    """Says why a file of Matlab may be one of gaze; "": nothing speaks for it."""
    try:
        names = [name for name, _, _ in scipy.io.whosmat(path)]
    except Exception:  # scipy raises many types of errors for damaged files.
        return ", and damaged or of a version that is not read"
    is_like = _pairs(names) or any(re.search("fix|gaze|scanpath", name, re.I) for name in names)
    return ", with variables like those of gaze" if is_like else ""


def _pairs(columns: Sequence[str]) -> set[tuple[str, str]]:
    """Returns what is beside x and y, for each x with a y, such as `X (px)` and `Y (px)`."""
    found: dict[str, set[tuple[str, str]]] = {"x": set(), "y": set()}
    for column in columns:
        # Digits tell the corners of an area apart.
        digits = "".join(re.findall(r"\d", column))
        name = re.sub(r"[\W\d_]", "", column).lower()
        name = name.replace("horizontal", "x").replace("vertical", "y")
        match = _AXES.fullmatch(name)
        if match is not None:
            found[match[3]].add((match[1], f"{match[4]}{digits}"))
    return found["x"] & found["y"]


def _are_areas(columns: Sequence[str]) -> bool:
    """Whether places are corners or centres of areas, or have a depth, and no person looks."""
    names = {re.sub(r"[\W\d_]", "", name).lower() for name in columns}
    if any(map(_OF_PEOPLE.fullmatch, names)) or any(map(people.names_person, columns)):
        return False
    has_sides = any(sides <= names for sides in _SIDES)
    return has_sides or "z" in names or len(_pairs(columns)) > 1


def _difference(columns: Sequence[str], others: Sequence[str]) -> str:
    """Says how the first of the other names that is lacking is written; "": none is lacking."""
    lacking = next((name for name in others if name not in columns), None)
    if lacking is None:
        return ""
    own = next((name for name in columns if _folded([name]) == _folded([lacking])), None)
    return f", and without {lacking!r}" if own is None else f", and {own!r} instead of {lacking!r}"


def _has_numbers_first(one: Opened, num_columns: Collection[int]) -> bool:
    """Whether the first line has numbers only, or some and as many cells as other files."""
    first = next((line for line in containers.split_lines(one.head) if line.strip()), "")
    cells = [cell for cell in _BETWEEN_CELLS.split(first) if cell]
    cells = list(one.columns) if one.suffix == ".xlsx" else cells
    if len(cells) > 1 and all(map(_is_number, cells)):
        return True
    return len(one.columns) in num_columns and sum(map(_is_number, one.columns)) > 1


def _folded(columns: Sequence[str]) -> set[str]:
    """Returns names of columns in small letters and digits alone."""
    return {re.sub(r"[\W_]", "", name).casefold() for name in columns} - {""}


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell.strip("\"'")))
    except ValueError:
        return False
