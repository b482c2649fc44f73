"""Reads the sheets of Excel files (.xlsx) as rows of texts."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfds_builders.common import raw_files
from tfds_builders.common.gaze_files.rows import FIRST_LONG

Cell = str | int | float

_BOOK, _SHEETS = "xl/workbook.xml", "xl/worksheets/"
_HIDDEN = re.compile(rb"""<(\w+:)?row\s[^>]*\bhidden=["'](1|true)""")


def is_workbook(path: Path) -> bool:
    """Whether a file is an Excel file, whatever its name is."""
    try:
        with zipfile.ZipFile(path) as file:
            return _BOOK in file.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def sheets(path: Path) -> dict[str, tuple[str, ...]]:
    """Returns the first row of each sheet that is not empty, by the name of the sheet.

    Raises:
        ValueError: the file is not an Excel file, or the library that reads it is missing.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, row in _rows(path, None):
        found.setdefault(name, tuple(map(str, row)))
    return found


def sheet_rows(path: Path, sheet: str) -> Iterator[tuple[Cell, ...]]:
    """Gives the rows of a sheet that are not empty, of the width of the first one.

    The first row has texts without line breaks. A number is a number, an empty cell is "", and any
    other cell is a text. Whole numbers of up to 15 digits are integers.

    Raises:
        ValueError: the file is not an Excel file, or the library that reads it is missing.
    """
    return (row for _, row in _rows(path, sheet))


def num_hidden_rows(path: Path, sheet: str) -> int:
    """Counts the rows below the first one that are hidden, as by a filter, and that are not empty.

    Raises:
        ValueError: the library cannot say which rows are hidden.
    """
    with zipfile.ZipFile(path) as file:
        parts = [name for name in file.namelist() if name.startswith(_SHEETS)]
        if not any(_HIDDEN.search(file.read(name)) for name in parts):
            return 0
    import openpyxl

    try:
        found = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), data_only=True)[sheet]
        _, *filled = (
            number
            for number, values in enumerate(found.iter_rows(values_only=True), start=1)
            if any(_cell(value) != "" for value in values)
        )
        hidden = {number for number, one in found.row_dimensions.items() if one.hidden}
        return len(hidden.intersection(filled))
    except Exception as error:  # The library raises many types of errors for damaged files.
        raise ValueError(
            f"{path} has hidden rows that cannot be counted ({raw_files.one_line(error)}): save it "
            "as .csv"
        ) from error


def _rows(path: Path, sheet: str | None) -> Iterator[tuple[str, tuple[Cell, ...]]]:
    """Gives the name of the sheet and each row of a sheet; None: the first row of each sheet."""
    try:
        import openpyxl  # An extra: only Excel files need it.
    except ImportError as error:
        raise ValueError(
            f"{path} needs openpyxl: pip install 'gazejax[xlsx]', or save it as .csv"
        ) from error
    try:
        # The library refuses other suffixes of paths.
        content = io.BytesIO(path.read_bytes())
        book = openpyxl.load_workbook(content, read_only=True, data_only=True)
        for one in book.worksheets:
            if sheet not in (None, one.title):
                continue
            width = 0
            for values in one.iter_rows(values_only=True):
                row = tuple(map(_cell, values))
                if all(cell == "" for cell in row):
                    continue
                if not width:
                    row = tuple(raw_files.without_breaks(str(cell)) for cell in row)
                    width = len(row)
                yield one.title, row[:width] + ("",) * (width - len(row))
                if sheet is None:
                    break
    except Exception as error:  # The library raises many types of errors for damaged files.
        raise ValueError(
            f"{path} is not an Excel file ({raw_files.one_line(error)}): save it as .csv"
        ) from error


def _cell(value: Any) -> Cell:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).strip()
    if abs(value) >= FIRST_LONG:
        return float(value)  # As Excel holds it.
    return int(value) if float(value).is_integer() else value
