"""Opens files of gaze: encodings, compression, delimiters and tables, before any meaning.

A file is opened in two steps. `open_file` reads the start of the file, which is enough to recognise
the format. `read_table` and `read_text` read the whole file.
"""

import contextlib
import csv
import gzip
import io
import itertools
import json
import math
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.json
import pyarrow.parquet

from tfds_builders.common import raw_files
from tfds_builders.common.gaze_files import excel
from tfds_builders.common.gaze_files.rows import Names, as_text, only_used, with_power

TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".xls", ".asc", ".dat", "")
_ARROW_SUFFIXES = (".feather", ".ipc", ".arrow")
NESTING_SUFFIXES = (".parquet", *_ARROW_SUFFIXES, ".jsonl")
_EXCEL_SUFFIXES = (".xlsx", ".xlsm", ".xltx")
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".xls", *_EXCEL_SUFFIXES, *NESTING_SUFFIXES)
SUFFIXES = (*TABLE_SUFFIXES, ".json", ".asc", ".mat")

_DELIMITERS = "\t;,|"
# The line by which Excel knows what separates the cells.
_HINT = re.compile(rf'"?sep=([{_DELIMITERS}])"? *', re.IGNORECASE)
_HEAD_BYTES = 1 << 16
_ENCODINGS_BY_MARK = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# Files that are no text, by their first bytes in lower case, whatever their names are.
_OTHER_FILES = (
    (b"\xd0\xcf\x11\xe0", "a binary Excel file: save it as .xlsx or .csv"),
    (b"pk\x03\x04", "a zip file: unpack it"),
    (b"\x1f\x8b", "a gzip file: give it the suffix .gz, such as .csv.gz"),
    (b"\xff\xfe\x00\x00", "a text in UTF-32: save it as UTF-8"),
    (b"\x00\x00\xfe\xff", "a text in UTF-32: save it as UTF-8"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file: fetch it with git lfs pull"),
    (b"<!doctype html", "a web page (HTML): fetch the file itself, or save its table as .csv"),
    (b'{"', "JSON: give it the suffix .json, or .jsonl if each line is an object"),
    (b"[{", "JSON: give it the suffix .json"),
    (b"<html", "a web page (HTML): fetch the file itself, or save its table as .csv"),
)
_MAX_HEADER_LINES = 20
_NUM_FIRST_LINES = 5
_ASCII = bytes(range(128))
_FIRST_OF_LATIN = 0xA0  # The bytes before are no letters of Latin-1.
# Of a value in a message.
_MAX_SHOWN_VALUE = 60


class Opened(NamedTuple):
    """The start of a file.

    Attributes:
        path: the file.
        suffix: lower-case suffix without `.gz`, such as ".csv".
        encoding: of a text; "" for other files.
        head: the first lines of a text or of JSON, at most 64 KB; "" for other files.
        delimiter: of a text with a table; "" for other files.
        columns: names of the columns, from the first line that is not empty; of a JSON list of
            objects, the keys without lists and objects; () for other files.
        sheet: name of the sheet of an Excel file; "" for other files.
    """

    path: Path
    suffix: str
    encoding: str
    head: str
    delimiter: str
    columns: tuple[str, ...]
    sheet: str = ""

    @property
    def decimal_comma(self) -> bool:
        """Whether a comma may be a decimal mark: not where commas separate columns."""
        return self.delimiter != ","


def suffix_of(path: Path) -> str:
    """Returns the lower-case suffix without `.gz` by which a file is read.

    In `SCANPATHS/<image>/<person>` of FixaTons, a dot may be part of the name of the person.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = suffixes[-1] if suffixes else ""
    if suffix == ".gz":
        suffix = suffixes[-2] if len(suffixes) > 1 else ""
    suffix = ".jsonl" if suffix == ".ndjson" else suffix
    known = (*SUFFIXES, *TEXT_SUFFIXES, ".hdf5", ".h5")
    folders = path.absolute().parents
    is_name = suffix not in known and len(folders) > 1 and folders[1].name == "SCANPATHS"
    return "" if is_name else suffix


def open_file(path: Path) -> Opened:
    """Reads the start of a file; of an Excel file, of the first sheet that is not empty.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file cannot be read or has an encoding that is not supported.
    """
    return open_sheets(path)[0]


def open_sheets(path: Path) -> list[Opened]:
    """Reads the start of a file; of an Excel file, of each sheet that is not empty.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file cannot be read or has an encoding that is not supported.
    """
    if not path.is_file():
        raise FileNotFoundError(f"--table {path} is not a file")
    suffix = suffix_of(path)
    is_named_otherwise = suffix in TEXT_SUFFIXES and excel.is_workbook(path)
    if suffix not in _EXCEL_SUFFIXES and not is_named_otherwise:
        return [_open(path, suffix)]
    found = excel.sheets(path) or {"": ()}
    return [Opened(path, ".xlsx", "", "", "", row, sheet) for sheet, row in found.items()]


def _open(path: Path, suffix: str) -> Opened:
    match suffix:
        case ".parquet":
            return Opened(path, suffix, "", "", "", tuple(_parquet_schema(path).names))
        case ".jsonl":
            columns = tuple(_read_json_lines(path).column_names)
            return Opened(path, suffix, "utf-8-sig", "", "", columns)
        case _ if suffix in _ARROW_SUFFIXES:
            return Opened(path, suffix, "", "", "", tuple(_read_arrow(path).column_names))
        case ".json":
            head = _read_start(path).decode("utf-8-sig", errors="replace")
            return Opened(path, suffix, "utf-8-sig", head, "", _json_keys(path))
        case ".mat" | ".hdf5" | ".h5":
            return Opened(path, suffix, "", "", "", ())
        case _ if suffix not in TEXT_SUFFIXES:
            return Opened(path, suffix, "", "", "", ())
    start = _read_start(path)
    first = start[:1000].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").lower()
    for mark, what in _OTHER_FILES:
        if first.startswith(mark):
            raise ValueError(f"{path} is {what}")
    encoding = _find_encoding(start)
    text = start.decode(encoding, errors="replace")
    lines = split_lines(text)
    if len(start) >= _HEAD_BYTES and len(lines) > 1:
        lines = lines[:-1]  # The last line may be cut.
    first_line = next((number for number, line in enumerate(lines) if line.strip()), 0)
    hint = _HINT.fullmatch(lines[first_line]) if suffix != ".asc" else None
    if hint is not None:
        lines[first_line] = ""  # As an empty line, it is counted and has no names.
    headers = {delimiter: _read_header(lines, delimiter)[0] for delimiter in _DELIMITERS}
    delimiter = hint[1] if hint else max(_DELIMITERS, key=lambda one: len(headers[one]))
    columns = headers[delimiter]
    # The first line of a log, such as of an EyeLink, has no names of columns.
    is_table = suffix != ".asc" and len(columns) > 1
    is_utf_8 = encoding == "utf-8" and b"\xef\xbf\xbd" not in start
    if is_table and is_utf_8 and "\ufffd" in "".join(columns):
        raise ValueError(
            f"{path} is not a text in UTF-8 or UTF-16 (the line of names is "
            f"{', '.join(columns)!r}): save it as UTF-8"
        )
    return Opened(path, suffix, encoding, "\n".join(lines), delimiter, columns)


def read_table(
    opened: Opened,
    names: Collection[str] | None = None,
    *,
    num_skipped_lines: int = 0,
    columns: Sequence[str] | None = None,
    delimiter: str | None = None,
    numbers: Collection[str] = (),
    names_in: Collection[str] = (),
    may_nest: bool = False,
) -> pa.Table:
    """Reads a table with one line of names.

    A JSON list of objects is a table with one row for each object.

    Args:
        opened: the file.
        names: the columns to read; None: all.
        num_skipped_lines: number of lines before the line of names.
        columns: names of the columns of a file without a line of names; None: `opened.columns`.
        delimiter: of a text; None: `opened.delimiter`.
        numbers: columns of a text to read as numbers if all their cells are numbers, which takes
            less memory.
        names_in: columns of a text to read as codes of few names, likewise.
        may_nest: whether the named columns may hold lists and objects.

    Returns:
        The columns. All other columns of a text are texts; an empty cell is "".

    Raises:
        ValueError: the file is not such a table; the message has the file and the row.
    """
    match opened.suffix:
        case ".parquet":
            table = _read_parquet(opened.path)
        case ".jsonl":
            table = _read_json_lines(opened.path)
        case _ if opened.suffix in _ARROW_SUFFIXES:
            table = _read_arrow(opened.path)
        case ".json":
            table = _read_json_objects(opened)
        case ".xlsx":
            header, *rows = list(excel.sheet_rows(opened.path, opened.sheet)) or [()]
            table = _table_of_cells(tuple(map(str, header)), rows)
        case _:
            return _read_delimited(
                opened,
                names,
                num_skipped_lines=num_skipped_lines,
                columns=columns,
                delimiter=delimiter or opened.delimiter,
                numbers=numbers,
                names_in=names_in,
            )
    if names is not None:
        table = _select(table, names)
        if not may_nest:
            check_flat(opened.path, table, names)
    _check_unique(opened.path, table.column_names)
    return table


def keys_of_json(opened: Opened) -> set[str]:
    """Returns the keys of all objects at the start of a JSON file."""
    return set(re.findall(r'"([^"\\]*)"\s*:', opened.head))


def nested_keys(opened: Opened) -> list[str]:
    """Returns the keys of a JSON list of objects that hold a list or an object anywhere."""
    objects = json_objects(read_json(opened))
    found = (key for one in objects for key, v in one.items() if isinstance(v, list | dict))
    return list(dict.fromkeys(found))


def check_flat(path: Path, table: pa.Table, names: Collection[str]) -> None:
    """Checks that no column of a table holds lists or objects.

    Raises:
        ValueError: one of the named columns does.
    """
    for field in table.schema:
        if field.name in names and pa.types.is_nested(field.type):
            raise ValueError(
                f"{path} has lists or objects in column {field.name!r}, expected texts or numbers"
            )


def first_lines(opened: Opened) -> list[tuple[str, ...]]:
    """Returns the cells of the first lines of a text or sheet that are not empty, at most 5.

    A title may be above the line of names, so each line is split by what it has most of.

    Raises:
        ValueError: the file is not an Excel file.
    """
    if opened.suffix == ".xlsx":
        some = itertools.islice(excel.sheet_rows(opened.path, opened.sheet), _NUM_FIRST_LINES)
        return [tuple(map(str, row)) for row in some]
    lines = [line for line in split_lines(opened.head) if line.strip()][:_NUM_FIRST_LINES]
    split = [max((_split(line, one) for one in _DELIMITERS), key=len) for line in lines]
    return [tuple(cell.strip() for cell in cells) for cells in split]


def read_text(opened: Opened, *, is_log: bool = False) -> str:
    """Reads a whole text.

    Args:
        opened: the file.
        is_log: whether most lines say nothing about fixations. A letter of Latin-1, such as in the
            path of the recording, is then read as U+FFFD; see `check_letters`.

    Raises:
        ValueError: the file is not a text in its encoding.
    """
    content = _read_bytes(opened.path)
    try:
        return content.decode(opened.encoding or "utf-8-sig")
    except UnicodeError as error:
        is_latin = min(content.translate(None, _ASCII)) >= _FIRST_OF_LATIN
        if is_log and is_latin and opened.encoding.startswith("utf-8"):
            return content.decode(opened.encoding, errors="replace")
        raise ValueError(
            f"{opened.path} is not a text in UTF-8 or UTF-16 ({raw_files.one_line(error)}): "
            "save it as UTF-8"
        ) from error


def check_one_folder(
    opened: Sequence[Opened], folder_of: Callable[[Path], Path | None], what: str
) -> None:
    """Checks that files are in the folder of one set of files.

    Args:
        opened: the files.
        folder_of: absolute path of a file -> the folder of its set; None: of any set.
        what: the sets in words.

    Raises:
        ValueError: the files are in the folders of two sets.
    """
    known: dict[Path, Path] = {}
    for one in opened:
        if (folder := folder_of(one.path.absolute())) is not None:
            known.setdefault(folder, one.path)
    if len(known) > 1:
        raise ValueError(
            f"--table: {' and '.join(map(str, list(known.values())[:2]))} are of two {what}, "
            "expected one: build each as a data set of its own"
        )


def check_letters(opened: Opened, names: Names | None, what: str) -> None:
    """Refuses names of used rows with a letter that `read_text` could not read.

    Args:
        opened: the file.
        names: names of images or people; None: the file has none.
        what: the kind of the names, for the message.

    Raises:
        ValueError: a name has such a letter.
    """
    for name in only_used(names).names if names is not None else ():
        if "\ufffd" in name:
            raise ValueError(
                f"{opened.path}: the {what} {name!r} has a letter that is not UTF-8: save the file "
                "as UTF-8"
            )


def read_json(opened: Opened) -> Any:
    """Reads a JSON file.

    Raises:
        ValueError: the file is not JSON.
    """
    return parse_json(opened.path, _read_bytes(opened.path))


def read_json_lines(opened: Opened) -> list[Mapping[str, Any]]:
    """Reads a file of JSON lines, each an object, as it is: objects may have different keys.

    Raises:
        ValueError: a line is not a JSON object; the message has the file and the line.
    """
    found: list[Mapping[str, Any]] = []
    for number, line in enumerate(split_lines(read_text(opened)), start=1):
        if not line.strip():
            continue
        value = parse_json(f"{opened.path} line {number}", line)
        if not isinstance(value, dict):
            raise ValueError(f"{opened.path} line {number} is not a JSON object")
        found.append(value)
    return found


def parse_json(path: Path | str, content: str | bytes) -> Any:
    """Reads JSON whose objects have each key once.

    Args:
        path: the file, or the file and the line, for messages.
        content: the JSON.

    Raises:
        ValueError: the content is not JSON, or an object has a key twice.
    """
    num_objects = 0
    twice: list[tuple[int, str]] = []

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal num_objects
        num_objects += 1
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            key = next(key for key in keys if keys.count(key) > 1)
            values = [json.dumps(value) for one, value in pairs if one == key]
            shown = " and ".join(value[:_MAX_SHOWN_VALUE] for value in values[:2])
            twice.append((num_objects, f"has the key {key!r} twice, with {shown}"))
        return found

    try:
        found = json.loads(content, object_pairs_hook=read_object)
    except (ValueError, RecursionError) as error:
        raise _not_json(path, error) from error
    for number, what in twice[:1]:
        # Objects within others are counted too: only flat ones have a number that says where.
        is_flat = isinstance(found, list) and len(found) == num_objects
        where = f"{path} object {number}" if is_flat else f"{path}: an object"
        more = f" ({len(twice)} such objects)" if len(twice) > 1 else ""
        raise ValueError(f"{where} {what}, expected each key once{more}")
    return found


def _not_json(path: Path | str, error: Exception) -> ValueError:
    more = ""
    if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
        more = (
            "; give it the suffix .jsonl if each line is an object, and export lists as files of "
            "their own"
        )
    return ValueError(f"{path} is not JSON: {raw_files.one_line(error)}{more}")


def _read_bytes(path: Path) -> bytes:
    if path.suffix.lower() != ".gz":
        return path.read_bytes()
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is not a gzip file ({raw_files.one_line(error)}): fetch it again"
        ) from error


def _read_start(path: Path) -> bytes:
    if path.suffix.lower() == ".gz":
        return _read_bytes(path)[:_HEAD_BYTES]
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _find_encoding(start: bytes) -> str:
    for mark, encoding in _ENCODINGS_BY_MARK:
        if start.startswith(mark):
            return encoding
    # UTF-16 without a mark: every second byte of Latin letters and digits is 0.
    sample = start[:1000]
    if sample.count(0) > len(sample) / 4:
        return "utf-16-le" if sample[1::2].count(0) >= sample[::2].count(0) else "utf-16-be"
    return "utf-8"


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _read_delimited(
    opened: Opened,
    names: Collection[str] | None,
    *,
    num_skipped_lines: int,
    columns: Sequence[str] | None,
    delimiter: str,
    numbers: Collection[str],
    names_in: Collection[str],
) -> pa.Table:
    path = opened.path
    header = tuple(opened.columns if columns is None else columns)
    if num_skipped_lines and columns is None:
        line = split_lines(opened.head)[num_skipped_lines]
        header = tuple(name.strip() for name in _split(line, delimiter))
    _check_unique(path, header if names is None else [name for name in header if name in names])
    if not header:
        return pa.table({})
    # Without names of its own, the table starts below the line of names.
    num_lines = num_skipped_lines + (
        0 if columns is not None else _read_header(split_lines(opened.head), delimiter)[1]
    )
    is_plain = opened.encoding == "utf-8" and path.suffix.lower() != ".gz"
    content = b"" if is_plain else read_text(opened).encode()
    included = [name for name in header if names is None or name in names]
    for typed in (set(numbers) & set(included), set()):
        types = dict.fromkeys(header, pa.string())
        types |= dict.fromkeys(names_in, pa.dictionary(pa.int32(), pa.string()))
        types |= dict.fromkeys(typed, pa.float64())
        try:
            table = pyarrow.csv.read_csv(
                str(path) if is_plain else pa.BufferReader(content),
                read_options=pyarrow.csv.ReadOptions(
                    column_names=list(header), skip_rows=num_lines
                ),
                parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
                # An empty cell is a text, and no number.
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=types, include_columns=included, null_values=[]
                ),
            )
            # `nan` and `inf` are read again as the texts they are, for messages.
            if all(pc.all(pc.is_finite(table[name])).as_py() for name in typed):
                return table
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):
                return _as_table(included, [])
    # Slower: reads line breaks in quotes, and finds the row of an error.
    rows = list(_delimited_rows(opened, header, num_lines, delimiter))
    table = _as_table(header, rows)
    return table if names is None else _select(table, names)


def _as_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> pa.Table:
    cells = zip(*rows, strict=True) if rows else [()] * len(header)
    arrays = [pa.array(values, pa.string()) for values in cells]
    return pa.Table.from_arrays(arrays, names=list(header))


def _table_of_cells(header: Sequence[str], rows: Sequence[Sequence[excel.Cell]]) -> pa.Table:
    """Makes a table of the cells of a sheet.

    A column of numbers and empty cells has numbers. Other columns have texts, in which the point of
    a number is no mark between thousands.
    """
    arrays = []
    for cells in zip(*rows, strict=True) if rows else [()] * len(header):
        texts = [cell if isinstance(cell, str) else with_power(as_text(cell)) for cell in cells]
        array = pa.array(texts, pa.string())
        if not any(isinstance(cell, str) and cell for cell in cells) and any(texts):
            # Large numbers stay as they are.
            with contextlib.suppress(pa.ArrowException, OverflowError):
                array = pa.array([None if cell == "" else cell for cell in cells])
        arrays.append(array)
    return pa.Table.from_arrays(arrays, names=list(header))


def _select(table: pa.Table, names: Collection[str]) -> pa.Table:
    found = table.column_names
    return table.select([number for number, name in enumerate(found) if name in names])


def _read_header(lines: Sequence[str], delimiter: str) -> tuple[tuple[str, ...], int]:
    """Returns the names of the columns, and the number of lines up to and with them.

    A line break in a name in quotes becomes a blank.
    """
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return (), 1
    some = [f"{line}\n" for line in lines[first : first + _MAX_HEADER_LINES]]
    reader = csv.reader(some, delimiter=delimiter, strict=True)
    try:
        names = next(reader)
        num_lines = reader.line_num
    except csv.Error:  # A quote without its end is a character of a name.
        names, num_lines = _split(lines[first], delimiter), 1
    return tuple(raw_files.without_breaks(name).strip() for name in names), first + num_lines


def _delimited_rows(
    opened: Opened, header: Sequence[str], num_lines: int, delimiter: str
) -> Iterator[list[str]]:
    path = opened.path
    text = io.StringIO(read_text(opened), newline="")
    for _ in range(num_lines):
        text.readline()
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    number = 0
    try:
        for row in reader:
            if not row:
                continue
            number += 1
            if len(row) != len(header):
                raise ValueError(
                    f"{path} row {number} has {len(row)} values, expected {len(header)}: "
                    f"{', '.join(header)}"
                )
            yield row
    except csv.Error as error:
        raise ValueError(
            f"{path} row {number + 1} is not a row of a table: {raw_files.one_line(error)}"
        ) from error


def _parquet_schema(path: Path) -> pa.Schema:
    try:
        return pyarrow.parquet.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a Parquet table: {raw_files.one_line(error)}") from error


def _read_parquet(path: Path) -> pa.Table:
    try:
        return _with_texts(pyarrow.parquet.read_table(path))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a Parquet table: {raw_files.one_line(error)}") from error


def _read_arrow(path: Path) -> pa.Table:
    try:
        table = pyarrow.ipc.open_file(pa.BufferReader(_read_bytes(path))).read_all()
        table.validate(full=True)  # Damaged offsets would lead out of the memory.
        # Later functions have no rules for views of texts.
        fields = [
            field.with_type(pa.large_string()) if pa.types.is_string_view(field.type) else field
            for field in table.schema
        ]
        return _with_texts(table.cast(pa.schema(fields)))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not an Arrow file: {raw_files.one_line(error)}") from error


def _with_texts(table: pa.Table) -> pa.Table:
    """Writes bytes, durations, dates and times as texts.

    Raises:
        pa.ArrowInvalid: bytes are no text in UTF-8.
    """
    for number, field in enumerate(table.schema):
        column = table[number]
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            texts = column.cast(pa.string())
        elif pa.types.is_duration(field.type):
            numbers = column.cast(pa.int64()).cast(pa.string())
            texts = pc.binary_join_element_wise(numbers, field.type.unit, " ")
        elif pa.types.is_temporal(field.type):
            texts = _texts_of_times(column)
        else:
            continue
        table = table.set_column(number, field.name, texts)
    return table


def _texts_of_times(column: pa.ChunkedArray) -> pa.Array:
    """Writes dates and times in ISO 8601 with a blank: no decimals of a second, or 6, or 9."""
    values = pc.unique(column)
    try:
        texts = pa.array([None if one is None else str(one) for one in values.to_pylist()])
    except (ValueError, OverflowError):  # Python cannot hold nanoseconds, or years after 9999.
        texts = pc.replace_substring_regex(values.cast(pa.string()), r"\.0+$", "")
        texts = pc.replace_substring_regex(texts, r"(\.\d{6})000$", r"\1")
    return texts.cast(pa.string()).take(pc.index_in(column, value_set=values))


def json_objects(values: Any) -> Any:
    """Returns a JSON list; of an object around a list, as some servers write, its objects.

    Each object then has the values of the outer one, too, which are neither lists nor objects.

    Raises:
        ValueError: a key is beside the list and, with another value, in some of its objects.
    """
    if not isinstance(values, dict):
        return values
    lists = [key for key in ("data", "trials") if key in values]
    chosen = max(lists, key=lambda key: _are_objects(values[key]), default="")
    objects: Any = values.get(chosen)
    of_all = {key: one for key, one in values.items() if not isinstance(one, list | dict)}
    if not _are_objects(objects):
        return objects
    # Of pandas, "schema" has the types of the columns.
    if any(_has_objects(one) for key, one in values.items() if key not in (chosen, "schema")):
        return values  # Rows may be in the other list, too.
    for key, outer in of_all.items():
        own = [one[key] for one in objects if key in one]
        if len(own) < len(objects) and any(one != outer for one in own):
            raise ValueError(
                f"{key!r} is beside the list {chosen!r} and in {len(own)} of its {len(objects)} "
                "objects, expected in all or in none"
            )
    return [{**of_all, **one} for one in objects]


def _are_objects(values: Any) -> bool:
    """Whether it is a list of objects, at least one."""
    return isinstance(values, list) and bool(values) and all(isinstance(v, dict) for v in values)


def _has_objects(values: Any) -> bool:
    """Whether a list of objects is anywhere in a value of JSON."""
    if isinstance(values, dict):
        return any(map(_has_objects, values.values()))
    return isinstance(values, list) and any(isinstance(v, dict) or _has_objects(v) for v in values)


def _json_keys(path: Path) -> tuple[str, ...]:
    """Returns the keys of a list of objects whose values are neither lists nor objects.

    Raises:
        ValueError: the file is not JSON, or see `json_objects`.
    """
    try:
        values = json.loads(_read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise _not_json(path, error) from error
    try:
        objects = json_objects(values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects):
        return ()
    is_plain: dict[str, bool] = {}
    for one in objects:
        for key, value in one.items():
            is_plain[key] = is_plain.get(key, True) and not isinstance(value, list | dict)
    return tuple(key for key, plain in is_plain.items() if plain)


def _read_json_objects(opened: Opened) -> pa.Table:
    objects = json_objects(read_json(opened)) if opened.columns else []
    columns = {}
    for name in opened.columns:
        values = [one.get(name) for one in objects]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowException, OverflowError, UnicodeError):  # Values of several types.
            texts = [None if value is None else _text_of_json(value) for value in values]
            columns[name] = pa.array(texts, pa.string())
    return pa.table(columns)


def _text_of_json(value: Any) -> str:
    """Returns a value as a text; a number like the number of a column of numbers."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_number = is_number and math.isfinite(value)
    text = with_power(as_text(value)) if is_number else str(value)
    return text.encode(errors="replace").decode()


def _read_json_lines(path: Path) -> pa.Table:
    content = _read_bytes(path)
    if not content.strip():
        raise ValueError(f"{path} has no row, expected one for each fixation")
    # The library counts the rows of each block, and a message counts them all.
    blocks = pyarrow.json.ReadOptions(block_size=len(content)) if len(content) > 1 << 20 else None
    try:
        try:
            table = pyarrow.json.read_json(pa.BufferReader(content))
        except pa.ArrowInvalid:
            if blocks is None:
                raise
            table = pyarrow.json.read_json(pa.BufferReader(content), read_options=blocks)
        # The library takes texts such as 2026-01-05 for times: they are read again as they are.
        schema = pa.schema([(field.name, _with_texts_in(field.type)) for field in table.schema])
        if schema == table.schema:
            return table
        del table
        options = pyarrow.json.ParseOptions(explicit_schema=schema)
        return pyarrow.json.read_json(pa.BufferReader(content), parse_options=options)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{path} is not a table of JSON lines, one object a line: {_counted_from_1(error)}"
        ) from error


def _counted_from_1(error: Exception) -> str:
    """Returns an error of pyarrow, which counts rows from 0."""
    text = raw_files.one_line(error)
    return re.sub(r"\bin row (\d+)", lambda found: f"in row {int(found[1]) + 1}", text)


def _with_texts_in(type_: pa.DataType) -> pa.DataType:
    """Returns the type of a column of JSON with texts instead of times, also within lists."""
    if pa.types.is_temporal(type_):
        return pa.string()
    if pa.types.is_list(type_):
        return pa.list_(_with_texts_in(type_.value_type))
    if pa.types.is_struct(type_):
        return pa.struct([(field.name, _with_texts_in(field.type)) for field in type_])
    return type_


def _check_unique(path: Path, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{path} has two columns {name!r}, expected different names")


def split_lines(text: str) -> list[str]:
    """Returns the lines of a text; unlike `str.splitlines`, only at line breaks of files."""
    return re.split(r"\r\n|\n|\r", text)
