"""Reads fixations from one or several files: recognises the format, checks, sorts and groups."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from tfds_builders.common.gaze_files import (
    containers,
    excel,
    left_out,
    people,
    plain,
    rows,
    user_from,
)
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.fixations import Fixations, join
from tfds_builders.common.gaze_files.recognise import (
    FORMATS,
    NUM_NAMED,
    PLAIN,
    Options,
    check_taken,
    note_unread,
    one_for_each_reason,
    plain_of,
    recognise,
)
from tfds_builders.common.gaze_files.rows import Names, Numbers, Rows

# Here a person has a file for each image, of the same name in several folders.
_IMAGE_IN_PATH = ("fixatons", "massvis")
# Here the image is in one column of a known name, or nowhere; in other formats, variables of any
# name may hold it.
_IMAGE_IN_COLUMN = ("gazepoint", "pymovements", "bids")
# Here images have the folders of the computer of the experiment.
_IMAGE_WITH_FOLDERS = ("eyelink-report", "eyelink-samples", "eyelink-asc", "smi", "jspsych")
_LARGEST = float(np.finfo(np.float32).max)  # Records hold no larger number.
# Reasons for rows that are left out: not on the surface, not of a condition.
_NOT = ("not ", "beside the image")
# Reasons that rows have no gaze, and those of rows that are no fixations of their own.
_NO_GAZE = re.compile(
    r"without a (place|location|fixation|sample of gaze)\b|^saturated|that are no fixation$"
    r"|^before the last of their fixation$|^a marker held the gaze"
)
# Formats whose JSON has lists and objects.
_OF_NESTED_JSON = ("coco-json", "jspsych")
# Their conditions are on variables of the trials, or on the file of events, which they read.
_OWN_CONDITIONS = ("eyelink-asc", "bids")


def read(paths: Sequence[Path], options: Options) -> tuple[Fixations | None, list[str]]:
    """Reads and checks files of gaze.

    Args:
        paths: files, or folders of files.
        options: how to read the files.

    Returns:
        The fixations, or None if there are errors; and the errors, one line for each broken rule,
        with the first row that breaks the rule and the number of such rows.

    Raises:
        FileNotFoundError: a file is missing, or a folder has no file of gaze.
        ValueError: no file has gaze of a known format, an option would do nothing, or a file cannot
            be read at all.
    """
    check_options(options)
    name, opened, notes, warnings = recognise(paths, options)
    check_taken(name, opened, options)
    parts, errors, origins, empty = [], [], [], []
    lost: dict[tuple[str, str, str], str] = {}
    for one in opened:
        try:
            part, found, origin = _read_file(name, one, options, paths)
        except rows.NoFixationError as error:
            part, found, origin = _no_rows(), [str(error)], None
        has_rows = name not in _OWN_CONDITIONS
        of_file = left_out.people_of(
            part, one, options.where, options.user_from, paths, has_rows=has_rows
        )
        if one.path not in paths and _is_nowhere(part):
            left = left_out.people_left([part])
            of_file |= dict.fromkeys([(*person, "") for person in left], "without a place")
            part = _no_rows({**part.left_out, "without a place": len(part.place)})
            found = [_no_row(part, one.path)]
        if not len(part.place):
            empty.append((one.path, part, found))
        if len(part.place) or not _lacks_gaze(part):  # Else, the warning names the file.
            lost = {**of_file, **lost}
        # A file that is named is not left out, unless conditions do it or its gaze is elsewhere.
        is_left_out = _may_be_empty(part) and not (_lacks_gaze(part) and one.path in paths)
        errors += found if len(part.place) or not is_left_out else []
        parts.append((one.path, part))
        origins.append(origin)
    if len(empty) == len(parts):
        all_errors = [(path, error) for path, _, found in empty for error in found]
        errors = one_for_each_reason(
            [(path, error.removeprefix(str(path))) for path, error in all_errors]
        )
    for condition in () if name in _OWN_CONDITIONS else options.where:
        num_left_out = sum(part.left_out.get(f"not {condition}", 0) for _, part in parts)
        if not num_left_out or not all(len(part.place) for _, part in parts):
            notes += [note] if (note := plain.check_text(opened, condition)) else []
    if errors:
        return None, errors
    if name in FORMATS and (check := FORMATS[name].check) is not None:
        check(opened)
    notes += _note_empty([(path, part) for path, part, _ in empty if not _lacks_gaze(part)])
    without = [(path, error) for path, part, (error, *_) in empty if _lacks_gaze(part)]
    origins = [origin for origin, (_, part) in zip(origins, parts, strict=True) if len(part.place)]
    parts = [(path, part) for path, part in parts if len(part.place)]
    # A table names the person in each row.
    if name not in (*_IMAGE_IN_PATH, PLAIN) and options.user_from is None:
        _check_names_of_files(parts)
    pa.default_memory_pool().release_unused()  # The tables of the files are not needed any more.
    notes += _note_hidden_rows(opened)
    notes += note_unread(paths)
    origins = user_from.told_apart(origins)
    longer = user_from.longer_names(parts, origins)
    notes += user_from.count_people(longer)
    by_condition = {
        reason: sum(part.left_out.get(reason, 0) for _, part, _ in empty)
        for reason in (f"not {condition}" for condition in options.where)
    }
    with_sessions = user_from.with_sessions(parts, origins, paths, is_plain=name == PLAIN)
    lost_people = left_out.warn(lost, left_out.people_left(part for _, part in parts), longer)
    warnings = [*_warn_without(without), *lost_people, *warnings]
    joined, errors = join(name, with_sessions, notes, by_condition)
    if joined is not None:
        joined = joined._replace(warnings=[*warnings, *joined.warnings])
    return joined, errors


def _may_be_empty(part: Rows) -> bool:
    """Whether a file without a row left may be left out beside others.

    So may, with a note, a file of gaze off the image, and one that conditions empty; with a
    warning, a file without a fixation or without a place of any. Of other reasons, such as kinds of
    events that are not known, the file may be read wrongly.
    """
    if _lacks_gaze(part):
        return True
    counts = part.left_out.items()
    num_not = sum(count for reason, count in counts if reason.startswith(_NOT))
    is_unknown = any(" unknown " in f" {reason}" for reason, _ in counts)
    return not is_unknown and 2 * num_not > sum(count for _, count in counts)


def _lacks_gaze(part: Rows) -> bool:
    """Whether a file without a row left had none with gaze; conditions may leave out others."""
    counts = {reason: count for reason, count in part.left_out.items() if count}
    num_not = sum(count for reason, count in counts.items() if reason.startswith(_NOT))
    are_empty = all(one.startswith(_NOT) or _NO_GAZE.search(one) for one in counts)
    return are_empty and 2 * num_not <= sum(counts.values())


def _is_nowhere(part: Rows) -> bool:
    """Whether no row of a file has a place."""
    return len(part.place) > 0 and bool((part.x.is_missing | part.y.is_missing).all())


def _no_rows(left_out: Mapping[str, int] = MappingProxyType({})) -> Rows:
    none = rows.exact(np.zeros(0))
    return Rows(np.zeros(0, np.int64), None, None, none, none, left_out=left_out)


def _warn_without(empty: Sequence[tuple[Path, str]]) -> list[str]:
    """Names the files without a fixation, with their errors."""
    return one_for_each_reason(
        [(path, f" left out: {error.removeprefix(f'{path} ')}") for path, error in empty],
        NUM_NAMED,
    )


def _note_empty(empty: Sequence[tuple[Path, Rows]]) -> list[str]:
    """Says which files have no row left, and why."""
    if not empty:
        return []
    total: dict[str, int] = {}
    for _, part in empty:
        for reason, count in part.left_out.items():
            total[reason] = total.get(reason, 0) + count
    reasons = "; ".join(f"{count} {reason}" for reason, count in total.items() if count)
    more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
    return [f"{empty[0][0]}{more} left out: no row is left ({reasons})"]


def _note_hidden_rows(opened: Sequence[Opened]) -> list[str]:
    """Says how many rows that Excel does not show are read."""
    of_sheets = [one for one in opened if one.suffix == ".xlsx"]
    number = {one.path: excel.num_hidden_rows(one.path, one.sheet) for one in of_sheets}
    hidden = [path for path, count in number.items() if count]
    if not hidden:
        return []
    more = f" and {len(hidden) - 1} more" if len(hidden) > 1 else ""
    total = sum(number.values())
    return [f"{hidden[0]}{more}: {total} hidden rows of the sheet read like the others"]


def _check_names_of_files(parts: Sequence[tuple[Path, Rows]]) -> None:
    """Checks that files, or folders, of one name in several folders do not give one person."""
    known: dict[str, Path] = {}
    folders: dict[str, Path] = {}
    for path, part in parts:
        if (own := user_from.folder_of_person(path, part)) and part.user:
            user = part.user.names[0]
            if folders.setdefault(user, own) != own:
                raise ValueError(
                    f"{folders[user]} and {own} would be of one user {user!r}, expected names "
                    "that differ: --user-from takes the user out of the path, such as "
                    f"'([^/]+)/{user}' for the folder above"
                )
        name = rows.normalize(rows.stem(path))
        # A session that a column says is of whom the name of the file says.
        is_of_file = user_from.is_of_file(part)
        if part.session is None and part.user and part.user.names[:1] == [name]:
            is_of_file = True
        if is_of_file and part.user and part.user.names and part.user.names[0] in name:
            other = known.setdefault(part.user.names[0].casefold(), path)
            if other is not path and len(part.user.names) == 1:
                raise ValueError(
                    f"{other} and {path} would be of one user {part.user.names[0]!r}, expected "
                    "names that differ: --user-from takes the user out of the path, such as "
                    "'([^/]+)/[^/]+$' for the folder, or '(?P<session>[^/]+)/(?P<user>[^/]+)[.]' "
                    "where the folder is the session"
                )


def check_options(options: Options) -> None:
    """Checks what can be checked before a file is read.

    Raises:
        ValueError: an option has a value that is not allowed.
    """
    for condition in options.where:
        plain.split_condition(condition)
    if options.format not in ("auto", PLAIN, *FORMATS):
        raise ValueError(
            f"--format is {options.format!r}, expected auto, {PLAIN}, {', '.join(sorted(FORMATS))}"
        )
    allowed = (*plain.REQUIRED, *plain.OPTIONAL)
    for name, _ in options.columns:
        if name not in allowed:
            raise ValueError(f"--columns names {name!r}, expected one of {', '.join(allowed)}")
    names = [name for name, _ in options.columns]
    for name, column in options.columns:
        if names.count(name) > 1:
            raise ValueError(f"--columns names {name!r} twice, expected one column for it")
        other = next(one for one, source in options.columns if source == column)
        if other != name:
            raise ValueError(
                f"--columns takes {other!r} and {name!r} from the column {column!r}, expected a "
                "column of its own for each"
            )
    if options.user_from is not None:
        try:
            pattern = re.compile(options.user_from)
        except re.error as error:
            raise ValueError(
                f"--user-from {options.user_from!r} is not a regular expression: {error}"
            ) from error
        named = pattern.groupindex.keys()
        has_group = people.takes_user(pattern) or "session" in named
        if not has_group or not named <= {"user", "session"}:
            raise ValueError(
                f"--user-from is {options.user_from!r}, expected a group such as '(p\\d+)_', or "
                "groups named user and session"
            )


def _read_file(
    name: str, one: Opened, options: Options, tables: Sequence[Path]
) -> tuple[Rows, list[str], user_from.Origin | None]:
    """Reads one file and applies the options that are the same for all formats.

    Returns:
        The rows, the errors, and what `--user-from` took the persons from.
    """
    if one.suffix == ".json" and name not in _OF_NESTED_JSON:
        for key in containers.nested_keys(one):
            if key in options.ignored_columns:
                continue
            raise ValueError(
                f"{one.path} has lists or objects under {key!r}, expected objects of texts and "
                "numbers"
            )
    if name == PLAIN:
        found = plain.read_plain(one, plain_of(options), options.where)
    elif name in _OWN_CONDITIONS:
        found = FORMATS[name].read(one, options.how._replace(where=options.where))
    else:
        # Without a condition, one value stands for all rows: their number is not known yet.
        fits = plain.rows_where_all(one, options.where, 1)
        if fits.size and not fits.any():
            # Some formats refuse a file of which they find no row.
            conditions = " and ".join(options.where)
            found = _no_rows({f"not {conditions}": fits.size})
            return found, [_no_row(found, one.path)], None
        found = FORMATS[name].read(one, options.how._replace(where=options.where))
        found = _with_session(found, one, name, fits)
    num_not = {}
    for condition in () if name in _OWN_CONDITIONS else options.where:
        fits = plain.rows_where(one, condition)
        reason = f"not {condition}"
        num_not[reason] = int((~fits).sum())
        found = rows.take(found, fits[found.place - 1], reason)
        found = found._replace(left_out={reason: 0, **found.left_out})
    if found.image is not None:
        found = found._replace(image=rows.without_markers(found.image))
    if name in _IMAGE_WITH_FOLDERS:
        found = rows.without_folders(found)
        rows.check_folders(one.path, found)
    if not len(found.place) and _lacks_gaze(found):
        return found, [_no_row(found, one.path)], None  # No row says what the image is.
    if found.image is None and options.image_from is None:
        raise (rows.NoFixationError if name in _IMAGE_IN_COLUMN else ValueError)(
            f"{one.path} does not say which image each fixation is on ({found.taken}): give "
            "--image-from, a template such as 'image_{trial}.png', with its columns or variables"
        )
    if name in _OWN_CONDITIONS and not len(found.place):
        return found, [_no_row(found, one.path)], None
    if name == "bids" and options.image_from is not None and found.image is None:
        fields = set(rows.fields_of(options.image_from)) - {"file", "folder"}
        if fields and not found.variables:
            raise rows.NoFixationError(
                f"{one.path} has no events with pictures, expected them for --image-from "
                f"{options.image_from!r}"
            )
    found = _name_image(found, one, options.image_from)
    if name in _IMAGE_WITH_FOLDERS and options.image_from is not None:
        found = rows.without_folders(found._replace(image_paths={}))
        rows.check_folders(one.path, found)
    if found.image is not None:
        texts = [rows.plain_path(text) for text in found.image.names]
        found = found._replace(image=rows.renamed(found.image, texts))
    if options.drop_missing:
        is_missing = found.x.is_missing | found.y.is_missing
        if found.duration_ms is not None:
            is_missing = is_missing | found.duration_ms.is_missing
        found = rows.take(found, ~is_missing, "without a place or a duration")
        for name in ("image", "user"):
            names = getattr(found, name)
            if names is not None:
                has_name = rows.without_markers(names).codes >= 0
                found = rows.take(found, has_name, f"without a name of the {name}")
    if name != PLAIN and found.image is not None:
        with_place, found = found, rows.take(found, found.image.codes >= 0, "without an image")
        if len(with_place.place) and not len(found.place) and options.image_from is None:
            return found, [f"{_no_row(found, one.path)}: --image-from names the image"], None
    if not len(found.place):
        return found, [_no_row(found, one.path)], None
    # Some formats leave these rows out themselves, before they are counted.
    counts = {reason: found.left_out.get(reason, 0) or num for reason, num in num_not.items()}
    found = found._replace(left_out={**found.left_out, **counts})
    found, errors = _with_all_digits(found, one.path)
    found, origin = user_from.name_user(found, one, options.user_from, tables)
    if origin is not None:
        found, more = _with_all_digits(found, one.path)
        errors = errors or more
    errors += _errors(found, one.path, options.image_from)
    return found._replace(cells={}), errors, origin


def _with_session(found: Rows, one: Opened, format_: str, fits: np.ndarray) -> Rows:
    """Takes a column `session` of a tracker's file, which people add, where it says no session.

    Args:
        found: the rows that are read.
        one: the file.
        format_: the name of its format.
        fits: bool [rows of the file] or [1], those that fulfil the conditions.

    Raises:
        ValueError: a user of the file has several sessions, whose rows the format does not keep
            apart.
    """
    columns = people.columns_of_session(one)
    has_own = found.session is not None and bool((found.session.codes >= 0).any())
    if has_own or not columns or format_ in _OF_NESTED_JSON or not len(found.place):
        return found
    known: dict[str, tuple[str, Names]] = {}
    for name, cells in zip(columns, containers.read_table(one, columns), strict=True):
        names = rows.names_of(cells, rows.MISSING)
        codes = np.unique(names.codes[np.broadcast_to(fits, names.codes.shape)])
        known |= {names.names[code]: (name, names) for code in codes if code >= 0}
    if not known:
        return found
    column, names = next(iter(known.values()))
    session = rows.take_names(names, found.place - 1)
    assert session is not None
    used = Names(np.where(fits, names.codes, -1), names.names)
    read = _sessions_of(used, found.place, found.user)
    # The format may take a row of another session for a repeated one, or one of the other eye.
    left = (_sessions_of(used, one.place, one.user) for one in found.whose)
    in_file = read.union(*left)
    of_read = [pair for pair in in_file if pair[0] in dict(read)]
    is_one_each = len(dict(of_read)) == len(of_read)
    if read and (not is_one_each or not {*known} <= {pair[1] for pair in in_file}):
        shown = " and ".join(map(repr, list(known)[:2]))
        raise ValueError(
            f"{one.path}: the column {column!r} has {shown} in rows that the format {format_} does "
            "not keep apart from others, expected one session of each user in a file, in all of "
            f'the user\'s rows, or --where "{column} == {next(iter(known))}" for one of them'
        )
    # Sessions of which no row is left are named later.
    whose = tuple(
        one._replace(session=rows.take_names(names, one.place - 1)) for one in found.whose
    )
    taken = f"{found.taken}, session from {column!r}"
    return found._replace(session=session, whose=whose, taken=taken)


def _sessions_of(names: Names, place: np.ndarray, user: Names | None) -> set[tuple[str, str]]:
    """Returns the people of some rows, "" for none, with their sessions.

    Args:
        names: the session of each row of the file.
        place: int64 [n], the rows, from 1.
        user: their people.
    """
    user = rows.no_names(len(place)) if user is None else user
    sessions = Names(names.codes[place - 1], names.names)
    pairs = rows.combinations(user, sessions)
    return {(one, session) for one, session in pairs if session}


def _no_row(found: Rows, path: Path) -> str:
    left_out = "; ".join(f"{count} {reason}" for reason, count in found.left_out.items() if count)
    error = f"{path} has no row, expected one for each fixation"
    return error + (f" (left out: {left_out})" if left_out else "")


def _with_all_digits(found: Rows, path: Path) -> tuple[Rows, list[str]]:
    """Writes names such as 1e+05 in digits, and finds those without their last digits.

    People, trials or images with such a name may become one.
    """
    named = {name: getattr(found, name) for name in ("user", "session", "image")}
    named = {name: names for name, names in named.items() if names is not None}
    errors = [error for name in named for error in _without_digits(found, path, name, named[name])]
    if "trial" in found.cells:
        cells = rows.names_of(found.cells["trial"])
        cells = Names(cells.codes[found.place - 1], cells.names)
        errors += _without_digits(found, path, "trial", cells)
    in_digits = {
        name: rows.renamed(names, [rows.all_digits(text) or text for text in names.names])
        for name, names in named.items()
    }
    return found._replace(**in_digits), errors  # type: ignore[arg-type]


def _without_digits(found: Rows, path: Path, name: str, names: Names) -> list[str]:
    """Finds the first row whose name is a number without its last digits."""
    lacking = [number for number, text in enumerate(names.names) if rows.all_digits(text) is None]
    return [
        f"{path} {rows.place_in_words(found, int(found.place[row]))}: {name} is "
        f"{names.names[names.codes[row]]!r}, a number without its last digits, expected all of its "
        "digits: export it as a text"
        for row in np.flatnonzero(np.isin(names.codes, lacking))[:1]
    ]


def _name_image(found: Rows, one: Opened, template: str | None) -> Rows:
    """Fills a template with the columns of a file, and says so."""
    if template is None:
        return found
    instead = "" if found.image is None else " instead"
    by_template = f"the image named by --image-from {template!r}{instead}"
    cells = {name: cell for name, cell in found.cells.items() if name != "image"}
    taken = "; ".join(filter(None, (found.taken, by_template)))
    found = found._replace(taken=taken, cells=cells)
    fields = rows.fields_of(template)
    texts: dict[str, list[str]] = {}
    for field in fields:
        if field in ("file", "folder") and field in (*one.columns, *found.variables):
            what = "column" if field in one.columns else "variable"
            raise ValueError(
                f"--image-from {template!r}: {{{field}}} is a {what} of {one.path} and the name of "
                f"the {field}, expected one of them: name the {what} otherwise"
            )
        if field in ("file", "folder"):
            value = rows.stem(one.path) if field == "file" else one.path.parent.name
            texts[field] = [value] * len(found.place)
        elif field in one.columns:
            column = containers.read_table(one, {field})[field]
            texts[field] = _texts_of(found, one, field, column)
        elif field in found.unknown_variables:
            why = found.unknown_variables[field]
            raise ValueError(f"--image-from {template!r}: {one.path}: {why}")
        elif field in found.variables:
            texts[field] = _without_zero_decimals(rows.texts_of(found.variables[field]))
        elif field == "trial" and "trial" in found.cells:
            texts[field] = _texts_of(found, one, field, found.cells["trial"])
        elif field == "trial" and found.trial is not None:
            texts[field] = [rows.as_text(value) for value in found.trial.values.tolist()]
        elif field in ("image", "stem") and found.image is not None:
            names = found.image.names
            if field == "stem":
                names = [rows.without_picture_suffix(name) for name in names]
            texts[field] = rows.texts_of(found.image._replace(names=names))
        else:
            columns = one.columns if found.place_text is None else ()  # A log has no columns.
            known = (*columns, *found.variables, "file", "folder")
            raise ValueError(
                f"--image-from {template!r}: {one.path} has no column {field!r}, expected one of "
                f"{', '.join(map(repr, known))}"
            )
    if not fields:
        return found._replace(image=rows.one_name(template, len(found.place)))
    named = []
    for values in zip(*texts.values(), strict=True):
        of_field = dict(zip(texts, values, strict=True))
        named.append(rows.fill(template, of_field) if all(values) else "")
    if "" in named:  # A message about the name shows the cell that it lacks.
        row = named.index("")
        lacking = next(field for field, values in texts.items() if not values[row])
        if lacking in one.columns:
            cells["image"] = containers.read_table(one, {lacking})[lacking]
            found = found._replace(cells=cells)
    return found._replace(image=rows.names_of(named))


def _texts_of(found: Rows, one: Opened, field: str, column: pa.ChunkedArray) -> list[str]:
    """Returns the texts of a column of the file in the rows that are read.

    Raises:
        ValueError: a text is a number without its last digits.
    """
    names = rows.names_of(column, rows.MISSING)
    names = Names(names.codes[found.place - 1], names.names)
    for error in _without_digits(found, one.path, field, names):
        raise ValueError(error)
    return _without_zero_decimals(rows.texts_of(names))


def _without_zero_decimals(texts: list[str]) -> list[str]:
    """Writes 1.0 as 1 in a column of such texts: so data frames write whole numbers with gaps."""
    are_whole = all(re.fullmatch(r"-?\d+[.,]0", text) for text in set(texts) - {""})
    return [text[:-2] for text in texts] if are_whole else texts


def _errors(found: Rows, path: Path, template: str | None) -> list[str]:
    """Checks every value; one line for each broken rule.

    Args:
        found: the rows.
        path: the file, for messages.
        template: names the images; None: the file does.
    """
    errors: list[str] = []

    def add_error(broken: np.ndarray, name: str, rule: str) -> None:
        broken_rows = np.flatnonzero(broken)
        if not len(broken_rows):
            return
        place = int(found.place[broken_rows[0]])
        more = f" ({len(broken_rows)} such rows)" if len(broken_rows) > 1 else ""
        where = rows.place_in_words(found, place)
        given = getattr(found, name)
        if isinstance(given, Names) and given.codes[broken_rows[0]] >= 0:
            value = repr(given.names[given.codes[broken_rows[0]]])
        elif name in found.cells:
            cell = found.cells[name][place - 1].as_py()
            value = f"{cell:g}" if isinstance(cell, float | Decimal) else repr(cell)
            value = "not given" if cell is None else value
        else:
            is_number = isinstance(given, Numbers) and not given.is_wrong[broken_rows[0]]
            value = repr(float(given.values[broken_rows[0]])) if is_number else "not given"
        if rule.startswith("a name") and value[1:-1] in rows.MISSING - {""}:
            rule += (
                f", and {value} stands for no value: name the {name} otherwise, or leave such rows "
                "out (--drop-missing, --where)"
            )
        errors.append(f"{path} {where}: {name} is {value}, expected {rule}{more}")

    for name in ("image", "user"):
        names = getattr(found, name)
        rule = "a name"
        if name == "image" and template is not None:
            rule = f"a name by --image-from {template!r}"
        add_error(rows.without_markers(names).codes < 0, name, rule)
    for name in ("x", "y", *plain.OPTIONAL):
        numbers = getattr(found, name)
        if not isinstance(numbers, Numbers):
            continue
        values, is_missing, is_wrong = numbers
        is_infinite = ~is_wrong & ~is_missing & ~np.isfinite(values)
        is_gap = is_missing & _is_blank(found, name)
        is_grouped = _is_grouped(found, name)
        add_error(is_grouped, name, "a number without marks between thousands")
        add_error((is_wrong & ~is_grouped) | is_gap, name, "a number")
        add_error(is_infinite | (is_missing & ~is_gap), name, "a finite number")
        is_large = np.isfinite(values) & (np.abs(values) > _LARGEST)
        add_error(is_large, name, f"a number of at most {_LARGEST:.3g}")
    if found.duration_ms is not None:
        add_error(found.duration_ms.values < 0, "duration_ms", "no negative number")
    if found.trial is not None:
        trial = found.trial.values
        add_error(np.isfinite(trial) & (trial != np.round(trial)), "trial", "an integer")
        add_error(
            np.isfinite(trial) & (np.abs(trial) >= rows.FIRST_INEXACT),
            "trial",
            "an integer below 2**53, since larger ones are rounded: number the trials anew",
        )
    return errors


def _is_grouped(found: Rows, name: str) -> np.ndarray:
    """Whether a wrong number has marks between thousands; bool [n]."""
    is_grouped = np.zeros(len(found.place), bool)
    if name in found.cells:
        for row in np.flatnonzero(getattr(found, name).is_wrong):
            cell = found.cells[name][int(found.place[row]) - 1].as_py()
            is_grouped[row] = rows.is_grouped(str(cell))
    return is_grouped


def _is_blank(found: Rows, name: str) -> np.ndarray:
    """Whether a missing value is no text of a number, such as `nan`; bool [n]."""
    numbers = getattr(found, name)
    is_blank = np.zeros(len(found.place), bool)
    for row in np.flatnonzero(numbers.is_missing):
        value = found.cells[name][int(found.place[row]) - 1].as_py() if name in found.cells else ""
        is_blank[row] = not (isinstance(value, float) or str(value).strip().lower() == "nan")
    return is_blank
