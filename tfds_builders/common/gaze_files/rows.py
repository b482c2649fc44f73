"""Fixations of one file in one form: what every format gives, and how cells become values."""

import posixpath
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfds_builders.common.coordinates import Units, YAxis

# What exporters, data frames, databases and spreadsheets write where there is no value.
MISSING = frozenset(
    [
        "",
        ".",
        "-",
        "NA",
        "N/A",
        "n/a",
        "NaN",
        "nan",
        "NAN",
        "null",
        "NULL",
        "None",
        "UNDEFINED",
        "UNDEFINEDnull",
        "undefined",
        *("NaT", "<NA>", "<null>", "<NULL>", "(null)", "(NULL)", "\\N"),
        *("#N/A", "#VALUE!", "#REF!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"),
        *("#NV", "#WERT!", "#BEZUG!", "#ZAHL!", "#VALEUR!", "#NOM?", "#NOMBRE!", "#NUL!"),
    ]
)

PICTURE_SUFFIX = r"\.(?:png|jpe?g|bmp|gif|tiff?|webp)"
_PICTURE = re.compile(rf".*\w.*{PICTURE_SUFFIX}", re.IGNORECASE)

_NUMBER = r"^\s*[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf|Inf|INF|infinity)\s*$"
_DECIMAL_COMMA = r"^\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*$"
# Thousands that are parted by a mark; the other mark may be the decimal one.
_GROUPED = {
    ",": r"^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$",
    ".": r"^[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?$",
}
# What a template has in braces: a column, and to how many digits its number is filled with zeros.
_FIELD = re.compile(r"\{([^{}]+?)(?::0([1-9])d?)?\}")
_WITH_POWER = re.compile(r"[+-]?\d(?:[.,](\d+))?([eE])\+(\d{2,3})")
_MAX_FEW_DECIMALS = 2
FIRST_LONG = 1e15  # Spreadsheets hold 15 digits.
FIRST_INEXACT = 2.0**53  # As float64, this may also be 2**53 + 1.
_POWER = "e0"  # Of 512.125e0, where the point is no mark between thousands.
_NUM_FIRST = 1000
# Reasons for rows that are left out. A row of the other eye is no lack of gaze.
OTHER_EYE = "of the other eye"
NO_FIXATION = "without a fixation"
_MAX_KINDS = 6


class Names(NamedTuple):
    """A column of names.

    Attributes:
        codes: int32 [n], index into `names`; -1: no name.
        names: normalized names, see `normalize`, without doubles.
    """

    codes: np.ndarray
    names: list[str]


class Numbers(NamedTuple):
    """A column of numbers.

    Attributes:
        values: float64 [n]; NaN where there is no number.
        is_missing: bool [n], where the cell has a marker of a missing value.
        is_wrong: bool [n], where the cell has another text, or a mark between thousands.
    """

    values: np.ndarray
    is_missing: np.ndarray
    is_wrong: np.ndarray


class LeftOut(NamedTuple):
    """Rows that are left out, and whose they are.

    Attributes:
        place: int64 [n], row of the file, from 1.
        user: names of the people; None: the file does not say.
        session: names of the sessions; None: the file does not say.
        reason: why they are left out.
    """

    place: np.ndarray
    user: Names | None
    session: Names | None
    reason: str


class Rows(NamedTuple):
    """The fixations of one file, one row each, in the order of the file.

    Attributes:
        place: int64 [n], row of the file, from 1, for messages.
        image: names of the images; None: the file does not say.
        user: names of the people; None: the file does not say.
        x: of the fixations, in `units`.
        y: of the fixations, in `units`.
        duration_ms: durations in milliseconds; None: the file does not say.
        t_ms: starts in milliseconds; None: the file does not say.
        session: names of the sessions; None: the file does not say.
        trial: numbers of the viewings of an image by a person, in their order; None: one each.
        trial_count: numbers of the trials since the start of the recording; None: not in the file.
        shown_px: float64 [n, 4] x, y, width and height of the image on the screen, in pixels; then
            `frame` is "screen" and `units` are "px".
        units: units of x and y.
        frame: what x and y are relative to.
        y_axis: direction of y.
        screen_px: size of the screen, where the file says it.
        pixels_per_degree: where the format says it.
        is_samples: whether the rows are samples of gaze, not fixations.
        taken: what was read from which columns, for a message.
        left_out: reason -> number of rows that are left out.
        whose: rows that are left out, with their people.
        doubtful: reason -> number of rows that are read although something speaks against them.
        cells: columns of the file by their names here, for messages about wrong cells.
        place_text: place -> place in words, for messages; None: "row N".
        other_users: column -> names of people by a column that `user` is not from.
        image_paths: image -> its path on the computer of the experiment, where the file says it.
        variables: variable of the trials -> its values, where the file has no column of it.
        unknown_variables: variable of which the trials are not known -> why, in words.
    """

    place: np.ndarray
    image: Names | None
    user: Names | None
    x: Numbers
    y: Numbers
    duration_ms: Numbers | None = None
    t_ms: Numbers | None = None
    session: Names | None = None
    trial: Numbers | None = None
    trial_count: Numbers | None = None
    shown_px: np.ndarray | None = None
    units: Units = "px"
    frame: Literal["image", "screen"] = "image"
    y_axis: YAxis = "down"
    screen_px: tuple[int, int] | None = None
    pixels_per_degree: float | None = None
    is_samples: bool = False
    taken: str = ""
    left_out: Mapping[str, int] = MappingProxyType({})
    whose: tuple[LeftOut, ...] = ()
    doubtful: Mapping[str, int] = MappingProxyType({})
    cells: Mapping[str, pa.ChunkedArray] = MappingProxyType({})
    place_text: Callable[[int], str] | None = None
    other_users: Mapping[str, Names] = MappingProxyType({})
    image_paths: Mapping[str, str] = MappingProxyType({})
    variables: Mapping[str, Names] = MappingProxyType({})
    unknown_variables: Mapping[str, str] = MappingProxyType({})


class NoFixationError(ValueError):
    """A file has no fixation that can be used, and nothing says that it could be read wrongly.

    It has none, or lacks a column without which none can be used.
    """


def normalize(name: str) -> str:
    """Returns the name of a person, image or session as it is compared and stored.

    Unicode form NFC, no blanks at the ends, one blank for several.

    Example:
        >>> normalize(" Ann  B. ")
        'Ann B.'
    """
    return " ".join(composed(name).split())


def composed(text: str) -> str:
    """Returns a text in the Unicode form NFC: names of files may have accents apart (NFD)."""
    return unicodedata.normalize("NFC", text)


def with_power(number: str) -> str:
    """Writes a number with three decimals so that its point cannot part thousands.

    Example:
        >>> with_power("512.125"), with_power("512.5")
        ('512.125e0', '512.5')
    """
    return f"{number}{_POWER}" if re.match(_GROUPED["."], number) else number


def names_of(column: pa.ChunkedArray | Sequence[str], missing: Collection[str] = ("",)) -> Names:
    """Reads a column of names; a whole number has no decimal point.

    Args:
        column: of any type.
        missing: texts that are no names.
    """
    if not isinstance(column, pa.ChunkedArray | pa.Array):
        column = pa.array(column, pa.string())
    if isinstance(column, pa.Array):
        column = pa.chunked_array([column])
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    if not column.num_chunks:
        return Names(np.zeros(0, np.int32), [])
    encoded = column.unify_dictionaries()  # All chunks have one dictionary.
    values = encoded.chunk(encoded.num_chunks - 1).dictionary.to_pylist()
    names: dict[str, int] = {}
    code_of = np.full(len(values) + 1, -1, np.int32)
    for number, value in enumerate(values):
        name = normalize("" if value is None else as_text(value))
        if name not in missing:
            code_of[number] = names.setdefault(name, len(names))
    codes = [
        code_of[chunk.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)]
        for chunk in encoded.chunks
    ]
    return Names(np.concatenate(codes), list(names))


def only_used(names: Names) -> Names:
    """Leaves out the names that no row has."""
    used = np.unique(names.codes[names.codes >= 0])
    code_of = np.full(len(names.names) + 1, -1, np.int32)
    code_of[used] = np.arange(len(used))
    return Names(code_of[names.codes], [names.names[number] for number in used])


def without_markers(names: Names) -> Names:
    """Takes the texts that stand for no value, such as NA, for no names."""
    kept = [number for number, name in enumerate(names.names) if name not in MISSING]
    code_of = np.full(len(names.names) + 1, -1, np.int32)
    code_of[kept] = np.arange(len(kept))
    return Names(code_of[names.codes], [names.names[number] for number in kept])


def renamed(names: Names, texts: Sequence[str]) -> Names:
    """Gives each name another text; two names may get the same, and "" is none."""
    of_text = names_of(list(texts))
    return Names(np.append(of_text.codes, -1)[names.codes].astype(np.int32), of_text.names)


def no_names(length: int) -> Names:
    """Returns rows without a name."""
    return Names(np.full(length, -1, np.int32), [])


def texts_of(names: Names) -> list[str]:
    """Returns the name of each row, "" for none."""
    return [names.names[code] if code >= 0 else "" for code in names.codes]


def combinations(*names: Names) -> list[tuple[str, ...]]:
    """Returns each combination of names of a row once; "" for none."""
    key = np.zeros(len(names[0].codes), np.int64)
    for one in names:
        key = key * (len(one.names) + 1) + one.codes + 1
    _, first = np.unique(key, return_index=True)
    columns = [[["", *one.names][code + 1] for code in one.codes[first]] for one in names]
    return list(zip(*columns, strict=True))


def one_name(name: str, length: int) -> Names:
    """Returns the same name for all rows."""
    return Names(np.zeros(length, np.int32), [normalize(name)])


def numbers_of(
    column: pa.ChunkedArray,
    *,
    missing: Collection[str] = MISSING,
    decimal_comma: bool = False,
    scale: float = 1.0,
) -> Numbers:
    """Reads a column of numbers.

    Args:
        column: of any type.
        missing: texts that stand for no value.
        decimal_comma: whether a comma may stand for the decimal point. Then commas and points may
            also part thousands, see `separated_thousands`: such cells are wrong.
        scale: factor of the values.
    """
    column = _combined(column)
    length = len(column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_boolean(column.type) or pa.types.is_nested(column.type):
        return Numbers(np.full(length, np.nan), np.zeros(length, bool), np.ones(length, bool))
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _numbers_of_texts(column, missing, decimal_comma=decimal_comma, scale=scale)
    is_missing = column.is_null().to_numpy(zero_copy_only=False)
    try:
        column = column.cast(pa.float64(), safe=False)  # Large integers are rounded.
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return Numbers(np.full(length, np.nan), is_missing, ~is_missing)
    values = column.to_numpy(zero_copy_only=False).astype(np.float64)
    return Numbers(values * scale, is_missing | np.isnan(values), np.zeros(length, bool))


def separated_thousands(column: pa.Array) -> np.ndarray:
    """Finds numbers whose commas or points part thousands, such as 1,204 beside 500.

    A mark parts thousands if all cells with this mark have groups of three digits after it, and if
    another cell has a number that only fits then: at least 100 without a mark, two marks, or
    another mark. Numbers that all have a mark and three digits are decimals.

    Args:
        column: texts.

    Returns:
        bool [n], the cells with such a mark.
    """
    found = np.zeros(len(column), bool)
    given = [mark for mark in ",." if pc.any(pc.match_substring(column, mark)).as_py()]
    if not given:
        return found
    # A few cells show of most columns that their marks are decimal.
    for part in (column[:_NUM_FIRST], column):
        trimmed = pc.fill_null(pc.utf8_trim_whitespace(part), "")
        is_number = pc.match_substring_regex(trimmed, r"^[+-]?[\d.,]*\d[\d.,]*$")
        marked = {
            mark: pc.and_(is_number, pc.match_substring(trimmed, mark)).to_numpy(
                zero_copy_only=False
            )
            for mark in ",."
        }
        grouped = {
            mark: pc.match_substring_regex(trimmed, form).to_numpy(zero_copy_only=False)
            for mark, form in _GROUPED.items()
        }
        marks = [mark for mark in given if not (marked[mark] & ~grouped[mark]).any()]
        if not marks:
            return found
    has_hundreds = pc.any(pc.match_substring_regex(trimmed, r"^[+-]?[1-9]\d{2,}$")).as_py()
    has_two = pc.any(pc.and_(is_number, pc.match_substring_regex(trimmed, "[.,].*[.,]"))).as_py()
    for mark, other in ((",", "."), (".", ",")):
        if mark in marks and (has_hundreds or has_two or (marked[other] & ~marked[mark]).any()):
            found |= marked[mark]
    return found


def with_one_mark(
    columns: Mapping[str, pa.ChunkedArray],
) -> tuple[dict[str, pa.ChunkedArray], dict[str, np.ndarray]]:
    """Reads the marks of columns of numbers by each other: a table has one decimal mark.

    Beside a number such as 500,5, the comma of 512,125 stands before decimals, and the point of
    1.204 parts thousands, if each number with a point has groups of three digits after it.

    Args:
        columns: columns of numbers of one table, by name; texts may have such marks.

    Returns:
        The columns to read instead, by name, whose decimals are none but decimals; and name -> bool
        [n], the cells with marks between thousands, for the columns that have any.
    """
    texts = {
        name: pc.fill_null(pc.utf8_trim_whitespace(_combined(column)), "")
        for name, column in columns.items()
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    }
    doubtful = [name for name, text in texts.items() if separated_thousands(text).any()]
    given = [
        mark
        for mark in ",."
        if any(pc.any(pc.match_substring(text, mark)).as_py() for text in texts.values())
    ]
    if not doubtful and len(given) < 2:  # As in most tables.
        return {}, {}
    proven = [mark for mark in given if any(_has_decimals(one, mark) for one in texts.values())]
    found: dict[str, np.ndarray] = {}
    for mark, decimal in ((".", ","), (",", ".")):
        for name, text in texts.items() if decimal in proven else ():
            is_marked = pc.match_substring_regex(text, rf"^[+-]?\d*[{mark}]\d+$")
            is_group = pc.match_substring_regex(text, _GROUPED[mark])
            if pc.any(is_marked).as_py() and pc.all(pc.or_(is_group, pc.invert(is_marked))).as_py():
                found[name] = is_marked.to_numpy(zero_copy_only=False)
    if len(proven) != 1:
        return {}, found
    form = rf"^([+-]?[1-9]\d{{0,2}})[{proven[0]}](\d{{3}})$"
    instead = {
        name: pa.chunked_array([pc.replace_substring_regex(texts[name], form, rf"\1.\2{_POWER}")])
        for name in doubtful
    }
    return instead, found


def _has_decimals(column: pa.Array, mark: str) -> bool:
    """Whether a text is a number where a mark cannot part thousands, such as 512,5."""
    # A few cells show it of most columns.
    for part in (column[:_NUM_FIRST], column):
        is_marked = pc.match_substring_regex(part, rf"^[+-]?\d*[{mark}]\d+$")
        is_group = pc.match_substring_regex(part, _GROUPED[mark])
        if pc.any(pc.and_(is_marked, pc.invert(is_group))).as_py():
            return True
    return False


def is_grouped(cell: str) -> bool:
    """Whether a cell is a number that may have marks between thousands, such as 1,204."""
    return any(re.match(form, cell.strip()) for form in _GROUPED.values())


def _numbers_of_texts(
    column: pa.Array, missing: Collection[str], *, decimal_comma: bool, scale: float
) -> Numbers:
    is_thousands = np.zeros(len(column), bool)
    if decimal_comma:
        is_thousands = separated_thousands(column)
    try:
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        # A marker of missing values may be a number itself, such as -1.
        is_plain = not is_thousands.any() and np.isfinite(values).all()
        if is_plain and not any(re.match(_NUMBER, one) for one in missing):
            nothing = np.zeros(len(values), bool)
            return Numbers(values * scale if scale != 1 else values, nothing, nothing)
    except pa.ArrowInvalid:
        pass
    trimmed = pc.utf8_trim_whitespace(column)
    gaps = pc.is_in(trimmed, value_set=pa.array(sorted(missing), pa.string()))
    is_missing = pc.or_(gaps, column.is_null()).to_numpy(zero_copy_only=False).astype(bool)
    is_number = pc.match_substring_regex(trimmed, _NUMBER)
    if decimal_comma:
        with_comma = pc.match_substring_regex(trimmed, _DECIMAL_COMMA)
        trimmed = pc.if_else(with_comma, pc.replace_substring(trimmed, ",", "."), trimmed)
        is_number = pc.or_(is_number, with_comma)
    is_number = pc.fill_null(is_number, False)
    numbers = pc.if_else(is_number, trimmed, pa.scalar(None, pa.string())).cast(pa.float64())
    values = numbers.to_numpy(zero_copy_only=False).astype(np.float64) * scale
    is_wrong = ~is_number.to_numpy(zero_copy_only=False).astype(bool) & ~is_missing
    # A number in the text of a marker of missing values, such as -1, is missing.
    values[is_missing | is_thousands] = np.nan
    return Numbers(values, is_missing, is_wrong | (is_thousands & ~is_missing))


def exact(values: np.ndarray) -> Numbers:
    """Returns numbers of an array; NaN is missing."""
    values = np.asarray(values, np.float64)
    return Numbers(values, np.isnan(values), np.zeros(len(values), bool))


def take_names(names: Names | None, rows: np.ndarray) -> Names | None:
    """Returns the names of some rows."""
    return None if names is None else Names(names.codes[rows], names.names)


def _take_each(of_columns: Mapping[str, Names], rows: np.ndarray) -> dict[str, Names]:
    return {name: Names(names.codes[rows], names.names) for name, names in of_columns.items()}


def take_numbers(numbers: Numbers, rows: np.ndarray) -> Numbers:
    """Returns the numbers of some rows."""
    return Numbers(*(part[rows] for part in numbers))


def take(rows: Rows, kept: np.ndarray, reason: str = "") -> Rows:
    """Returns some rows.

    Args:
        rows: the rows.
        kept: bool [n], or indices of the rows.
        reason: why the others are left out; "": they are no fixations and are not counted.
    """
    kept = np.flatnonzero(kept) if kept.dtype == bool else kept
    num_left_out = len(rows.place) - len(kept)
    left_out, whose = rows.left_out, rows.whose
    if reason and num_left_out:
        left_out = {**left_out, reason: left_out.get(reason, 0) + num_left_out}
    if num_left_out:
        is_left_out = np.ones(len(rows.place), bool)
        is_left_out[kept] = False
        whose = (*whose, without_gaze(rows, np.flatnonzero(is_left_out), reason or NO_FIXATION))
    return rows._replace(
        place=rows.place[kept],
        image=take_names(rows.image, kept),
        user=take_names(rows.user, kept),
        session=take_names(rows.session, kept),
        x=take_numbers(rows.x, kept),
        y=take_numbers(rows.y, kept),
        duration_ms=None if rows.duration_ms is None else take_numbers(rows.duration_ms, kept),
        t_ms=None if rows.t_ms is None else take_numbers(rows.t_ms, kept),
        trial=None if rows.trial is None else take_numbers(rows.trial, kept),
        trial_count=None if rows.trial_count is None else take_numbers(rows.trial_count, kept),
        shown_px=None if rows.shown_px is None else rows.shown_px[kept],
        left_out=left_out,
        other_users=_take_each(rows.other_users, kept),
        variables=_take_each(rows.variables, kept),
        whose=whose,
    )


def without_gaze(rows: Rows, at: np.ndarray, reason: str) -> LeftOut:
    """Returns whose some rows are.

    Args:
        rows: the rows.
        at: int64 [k], indices of the rows that are left out.
        reason: why they are left out.
    """
    user, session = take_names(rows.user, at), take_names(rows.session, at)
    return LeftOut(rows.place[at], user, session, reason)


def run_starts(*keys: np.ndarray) -> np.ndarray:
    """Returns bool [n]: whether a row differs from the row before in any of the keys [n]."""
    starts = np.ones(len(keys[0]), bool)
    if len(starts):
        starts[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return starts


def last_of_runs(starts: np.ndarray) -> np.ndarray:
    """Returns bool [n]: whether a row is the last of its run, from `run_starts`."""
    return np.append(starts[1:], True) if len(starts) else starts


def place_in_words(found: Rows, place: int) -> str:
    """Returns a place of a file as messages name it."""
    return found.place_text(place) if found.place_text else f"row {place}"


def places(num_rows: int) -> np.ndarray:
    """Returns the places of all rows of a table."""
    return np.arange(1, num_rows + 1)


def numbers_at_end(names: Names, user: Names) -> np.ndarray:
    """Returns the number at the end of the name of each row, such as of "Trial: 12".

    Args:
        names: the names.
        user: the person of each row.

    Returns:
        float64 [n]; NaN for a name without a number. Where two names end alike, such as "B1_T1" and
        "B2_T1", those of each person are numbered in the order of their first rows.
    """
    matches = [re.search(r"(\d{1,9})$", name) for name in names.names]
    numbers = [float(match[1]) if match else np.nan for match in matches]
    if not any(map(np.isnan, numbers)) and len(set(numbers)) < len(numbers):
        return np.where(names.codes < 0, np.nan, in_order_of_rows(names, user) + 1)
    return np.array([*numbers, np.nan])[names.codes]


def in_order_of_rows(names: Names, *group: Names) -> np.ndarray:
    """Numbers the names of each group of rows in the order of their first rows.

    Returns:
        float64 [n].
    """
    key = names.codes.astype(np.int64)
    for one in group:
        key = key * (len(one.names) + 1) + one.codes
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    # The first rows are in one order for all groups.
    rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    return rank[number.reshape(-1)].astype(np.float64)


def end_in_other_numbers(names: Names) -> bool:
    """Whether names have different numbers at their ends, as trials that are counted."""
    matches = [re.search(r"(\d{1,9})$", name) for name in names.names]
    numbers = {int(match[1]) for match in matches if match}
    return len(numbers) == len(names.names)


def fields_of(template: str) -> list[str]:
    """Returns what a template such as `{folder}/{trial:03}.png` names in braces, each once.

    Raises:
        ValueError: a number is filled in another way.
    """
    fields = list(dict.fromkeys(found[1] for found in _FIELD.finditer(template)))
    for field in fields:
        if found := re.fullmatch(r"(.+):[<>=^]?\d+[dfn]?", field):
            raise ValueError(
                f"--image-from {template!r}: {{{field}}} is no column, expected such as "
                f"{{{found[1]}:03}} for a number of three digits"
            )
    return fields


def fill(template: str, of_field: Mapping[str, str]) -> str:
    """Replaces what a template names in braces; `{trial:03}` has at least three digits."""
    return _FIELD.sub(lambda found: of_field[found[1]].zfill(int(found[2] or 0)), template)


def stem(path: Path) -> str:
    """Returns the name of a file without its suffixes `.gz` and the one before."""
    name = path.name
    if name.lower().endswith(".gz"):
        name = name[:-3]
    return Path(name).stem


def without_picture_suffix(name: str) -> str:
    """Takes the suffix of a file of a picture off a name, if there is one."""
    return name.rpartition(".")[0] if is_picture(name) else name


def is_picture(name: str) -> bool:
    """Whether a name is the name of a file of a picture."""
    return _PICTURE.fullmatch(name) is not None


def plain_path(name: str) -> str:
    r"""Takes `.`, `..` after a folder, and doubled slashes out of a path of a picture.

    Backslashes between folders become slashes. An address, such as http://, stays as it is.

    Example:
        >>> plain_path("./set/../a.png"), plain_path("../a.png"), plain_path(r"set\a.png")
        ('a.png', '../a.png', 'set/a.png')
    """
    if "://" in name:
        return name
    path = name.replace("\\", "/")
    return posixpath.normpath(path) if "/" in path else name


def without_folders(found: Rows) -> Rows:
    """Takes the folders of the experiment's computer out of names of pictures.

    Pictures of one name in two folders keep their folders: conditions may leave one of them out.

    Args:
        found: rows, in whose names of pictures are slashes of any direction between folders, or
            what this function returned, of which rows were left out.
    """
    if found.image is None:
        return found
    names = only_used(found.image)
    parts = [
        [one for one in re.split(r"[/\\]", name.strip("\"'")) if one not in ("", ".", "..")]
        for name in (found.image_paths.get(name, name) for name in names.names)
    ]
    whole = ["/".join(one) for one in parts]
    folders: dict[str, set[str]] = {}
    for one, path in zip(parts, whole, strict=True):
        folders.setdefault("".join(one[-1:]), set()).add(path)
    texts = [
        path if len(folders["".join(one[-1:])]) > 1 else "".join(one[-1:])
        for one, path in zip(parts, whole, strict=True)
    ]
    image_paths = dict(zip(texts, whole, strict=True))
    return found._replace(image=renamed(names, texts), image_paths=image_paths)


def check_folders(path: Path, found: Rows) -> None:
    """Checks that no picture has its folder left in its name, see `without_folders`.

    Raises:
        ValueError: two folders have a picture of the same name.
    """
    of_name: dict[str, str] = {}
    for whole in found.image_paths.values():
        other = of_name.setdefault(whole.rpartition("/")[2], whole)
        if other != whole:
            raise ValueError(
                f"{path} has the images {other!r} and {whole!r}, expected a name of its own for "
                "each image: name them otherwise, or build a data set of each folder with --where"
            )


def _combined(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # No chunk at all.
            column = pa.array([], column.type)
    return column


def as_text(value: object) -> str:
    """Returns a value as the text of a name; a whole number has no decimal point.

    A number of 16 digits and more has a power, since the type may not hold the last ones.

    Example:
        >>> as_text(12.0), as_text(1234567890123456789.0)
        ('12', '1.2345678901234568e+18')
    """
    if isinstance(value, str) and with_power(value.removesuffix(_POWER)) == value:
        return value.removesuffix(_POWER)
    if isinstance(value, float):
        if not np.isfinite(value):
            return ""
        if abs(value) >= FIRST_LONG:
            return str(np.format_float_scientific(value, trim="-"))
        return str(int(value)) if value.is_integer() else str(value)
    return str(value)


def all_digits(name: str) -> str | None:
    """Returns a name in which a whole number with a power, such as 1e+05, has all its digits.

    Spreadsheets write `E`, and leave out digits that do not fit. Programs write `e`, and few digits
    if the others are 0.

    Returns:
        The name; None: digits are missing, as in 1.23457E+11.
    """
    match = _WITH_POWER.fullmatch(name)
    if match is None:
        return name
    number = Decimal(name.replace(",", "."))
    num_decimals = len(match[1] or "")
    is_whole = num_decimals >= int(match[3]) and abs(number) < FIRST_INEXACT
    if not is_whole and (match[2] == "E" or num_decimals > _MAX_FEW_DECIMALS):
        return None
    return str(int(number)) if number == int(number) else name


def check_kinds(
    path: Path,
    column: str,
    kinds: Names,
    expected: Sequence[str],
    others: Collection[str] = (),
) -> None:
    """Checks that a column of kinds of events has the kinds that are read.

    Args:
        path: the file.
        column: name of the column.
        kinds: its cells.
        expected: kinds that are read.
        others: further known kinds, in small letters.

    Raises:
        NoFixationError: no cell is one of them, and all are known.
        ValueError: no cell is one of them, and some are not known, such as in another language; the
            message names what the column has.
    """
    codes, counts = np.unique(kinds.codes, return_counts=True)
    found = [kinds.names[code] for code in codes[np.argsort(-counts, kind="stable")] if code >= 0]
    if not len(kinds.codes) or not set(found).isdisjoint(expected):
        return
    shown = ", ".join(map(repr, found[:_MAX_KINDS])) or "empty"
    more = f" and {len(found) - _MAX_KINDS} more" if len(found) > _MAX_KINDS else ""
    are_known = bool(found) and all(name.casefold() in others for name in found)
    raise (NoFixationError if are_known else ValueError)(
        f"{path} has no row of a fixation: {column!r} is {shown}{more}, expected "
        f"{' or '.join(map(repr, expected))} in some rows"
    )


def unknown_kinds(
    column: str,
    kinds: Names,
    expected: Collection[str],
    others: Collection[str],
    is_used: np.ndarray | None = None,
) -> dict[str, int]:
    """Counts rows of kinds of events that are neither read nor known, such as in another language.

    Args:
        column: name of the column.
        kinds: its cells.
        expected: kinds that are read.
        others: further known kinds, in small letters.
        is_used: bool [n], the rows to look at; None: all.

    Returns:
        The reason, for `Rows.left_out`, and the number of rows; {}: there is no such row.
    """
    unknown = [
        number
        for number, name in enumerate(kinds.names)
        if name not in (*expected, *MISSING) and name.casefold() not in others
    ]
    is_unknown = np.isin(kinds.codes, unknown)
    is_unknown &= True if is_used is None else is_used
    names = sorted({kinds.names[code] for code in kinds.codes[is_unknown]})
    if not names:
        return {}
    more = f" and {len(names) - _MAX_KINDS} more" if len(names) > _MAX_KINDS else ""
    shown = ", ".join(f"{name!r:.40}" for name in names[:_MAX_KINDS])
    return {f"of an unknown {column!r} ({shown}{more})": int(is_unknown.sum())}
