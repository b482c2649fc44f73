"""Files of a folder that are of no known format: whether they may hold gaze all the same."""

import math
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from tfds_builders.common.gaze_files import containers, plain
from tfds_builders.common.gaze_files.containers import Opened

# Files that describe others, in whatever form.
_DOCUMENT = re.compile(r"(read[\W_]?me|licen[cs]e|change(s|log)|copying|citation|authors)", re.I)
_BETWEEN_CELLS = re.compile(r"[\t;,|\s]+")
# Of the columns of a file of gaze. A list of users or images shares fewer.
_MIN_SHARED = 0.8


def is_document(path: Path) -> bool:
    """Whether a file is named like one that describes others."""
    return _DOCUMENT.match(path.name) is not None


def resembles_gaze(one: Opened, chosen: Sequence[Opened]) -> str:
    """Says why a file of no known format may be one of gaze all the same.

    Args:
        one: the file.
        chosen: the files of gaze beside it.

    Returns:
        What speaks for it, after a comma; "": nothing.
    """
    if is_document(one.path):
        return ""
    alike = [other for other in chosen if other.suffix == one.suffix]
    if alike and one.encoding and not one.head.strip():
        return ", and empty"
    if alike and "\0" in one.head:
        return ", and no text"
    if one.suffix == ".asc":
        return ", and named like one" if alike else ""
    if alike and _has_numbers_first(one, {len(other.columns) for other in alike}):
        return ", without a line of names"
    # A title may be before the line of names.
    for columns in (one.columns, *containers.first_lines(one)):
        names = _folded(columns)
        for other in chosen:
            known = _folded(other.columns)
            if len(known) > 1 and len(names & known) >= _MIN_SHARED * len(known):
                of_other = f"columns like those of {other.path.name}"
                below = "" if columns is one.columns else " in a line below the first"
                return f", with {of_other}{_difference(columns, other.columns) or below}"
        if plain.resembles_gaze(columns):
            return ", with columns like those of gaze"
    return ""


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
