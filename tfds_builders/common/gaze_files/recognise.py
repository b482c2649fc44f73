"""Recognises the format of files of gaze by their headers."""

import collections
import contextlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tfds_builders.common import raw_files
from tfds_builders.common.gaze_files import (
    bids,
    bids_samples,
    containers,
    eyelink,
    eyelink_asc,
    gazepoint,
    gorilla,
    people,
    plain,
    published,
    pupil,
    refused,
    rows,
    scanpaths,
    smi,
    tobii,
    unknown_files,
    web,
)
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.plain import Plain
from tfds_builders.common.gaze_files.rows import Rows

PLAIN = "table"
_EYE, _DETECT = "--eye", "--detect-fixations"
_OF_TABLES = ("--columns", "--ignore-columns", "--durations", "--times")
_TAKES_EYE = frozenset((_EYE,))
_TAKES_DETECT = frozenset((_DETECT,))
_TAKES_BOTH = _TAKES_EYE | _TAKES_DETECT
# Its refusal says more than one of an option.
_TAKES_ALL = frozenset((_EYE, _DETECT, *_OF_TABLES))
_WITH_GAZE: frozenset[Role] = frozenset(("fixations", "samples", "scene"))


# Files that one message names.
NUM_NAMED = 4


class Format(NamedTuple):
    """How one format is recognised and read.

    Attributes:
        recognise: returns what a file is in this format.
        read: reads a file.
        takes: the options that only some formats look at; those of `PLAIN` are its own.
        recordings: returns the person and the recording or session of the rows of a file, "": not
            known; None: of a format without files of samples beside those of fixations.
        check: refuses files that contradict each other; None: no file says anything of others.
    """

    recognise: Callable[[Opened], Role]
    read: Callable[[Opened, How], Rows]
    takes: frozenset[str] = frozenset()
    recordings: Callable[[Opened], set[tuple[str, str]]] | None = None
    check: Callable[[Sequence[Opened]], None] | None = None


# In the order in which a file is tried; each file is of one format at most.
FORMATS: dict[str, Format] = {
    "eyelink-report": Format(
        eyelink.recognise_eyelink_report, eyelink.read_eyelink_report, _TAKES_EYE
    ),
    "eyelink-samples": Format(
        eyelink.recognise_eyelink_samples, eyelink.read_eyelink_samples, _TAKES_BOTH
    ),
    "eyelink-asc": Format(
        eyelink_asc.recognise_eyelink_asc, eyelink_asc.read_eyelink_asc, _TAKES_EYE
    ),
    "smi": Format(smi.recognise_smi, smi.read_smi, _TAKES_BOTH, smi.recordings_of_smi),
    "jspsych": Format(web.recognise_jspsych, web.read_jspsych, _TAKES_DETECT),
    "gorilla": Format(gorilla.recognise_gorilla, gorilla.read_gorilla, _TAKES_DETECT),
    "gazepoint": Format(
        gazepoint.recognise_gazepoint,
        gazepoint.read_gazepoint,
        recordings=gazepoint.recordings_of_gazepoint,
    ),
    "pupil-cloud": Format(
        pupil.recognise_pupil_cloud, pupil.read_pupil_cloud, check=pupil.check_same_wearers
    ),
    "pupil-core": Format(
        pupil.recognise_pupil_core, pupil.read_pupil_core, recordings=pupil.recordings_of_core
    ),
    "tobii": Format(
        tobii.recognise_tobii, tobii.read_tobii, _TAKES_DETECT, tobii.recordings_of_tobii
    ),
    "daemons": Format(published.recognise_daemons, published.read_daemons),
    "massvis": Format(
        published.recognise_massvis, published.read_massvis, check=published.check_one_set
    ),
    "fixatons": Format(
        published.recognise_fixatons, published.read_fixatons, check=published.check_one_set
    ),
    "scene": Format(published.recognise_scene, published.read_scene),
    "bids": Format(
        bids.recognise_bids,
        bids.read_bids,
        _TAKES_BOTH,
        bids.recordings_of_bids,
        bids.check_one_set,
    ),
    "coco-json": Format(scanpaths.recognise_coco_json, scanpaths.read_coco_json),
    "pymovements": Format(scanpaths.recognise_pymovements, scanpaths.read_pymovements, _TAKES_EYE),
    # Recognised to be refused, with what to export instead.
    "imotions": Format(refused.recognise_imotions, refused.read_imotions, _TAKES_ALL),
    "ogama": Format(refused.recognise_ogama, refused.read_ogama, _TAKES_ALL),
    "iohub": Format(refused.recognise_iohub, refused.read_iohub, _TAKES_ALL),
    "gazerecorder": Format(refused.recognise_gazerecorder, refused.read_gazerecorder, _TAKES_ALL),
    "pygaze": Format(refused.recognise_pygaze, refused.read_pygaze, _TAKES_ALL),
}


class Options(NamedTuple):
    """How files of gaze are read.

    Attributes:
        format: a key of `FORMATS`, "table", or "auto": found from each file.
        columns: for "table", name here -> name in the file.
        ignored_columns: for "table", columns to leave out.
        where: conditions that a row of a table must fulfil, see `plain.rows_where`; of an
            eyelink-asc its trial, and of bids the row of events.
        drop_missing: whether rows without a place or duration are left out instead of refused.
        durations: for "table", unit of the durations: "ms", "s", "us" or "ns".
        times: for "table", unit of the starts, alike.
        user_from: a regular expression with one group, or groups named `user` and `session`:
            searched in the name of the person, or in the name and then the path of the file below
            the folder that is given where the file has no other name of the person; with
            `session` alone, in the path; None: the name as it is.
        image_from: a template such as "dzw-{TRIAL_INDEX}.png": columns of the file, or variables of
            its trials, in braces, also {file}, {folder}, and {image} and {stem} of the image that
            the file names, with and without its suffix; None: the image is in the file.
        how: options of the formats.
    """

    format: str = "auto"
    columns: tuple[tuple[str, str], ...] = ()
    ignored_columns: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    drop_missing: bool = False
    durations: str = "ms"
    times: str = "ms"
    user_from: str | None = None
    image_from: str | None = None
    how: How = How()


def format_of(path: Path) -> str:
    """Returns the format that takes a file for its own; "": none, or a table of any source."""
    try:
        opened = containers.open_file(path)
    except ValueError:
        return ""
    return _recognise_any(opened)[0]


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Finds the files of gaze: each path, and all files below a path that is a folder.

    Raises:
        FileNotFoundError: a path does not exist, or a folder has no file that may hold gaze.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        below = [
            one for one in sorted(path.rglob("*")) if one.is_file() and _may_hold_gaze(one, path)
        ]
        if not below:
            raise FileNotFoundError(
                f"--table {path} has no file that may hold gaze, expected "
                f"{', '.join(containers.SUFFIXES)}"
            )
        found += below
    return list(dict.fromkeys(found))


def _may_hold_gaze(path: Path, folder: Path) -> bool:
    if _is_hidden(path, folder) or [one.lower() for one in path.suffixes] == [".gz"]:
        return False
    return containers.suffix_of(path) in (*containers.SUFFIXES, *containers.TEXT_SUFFIXES)


def _is_hidden(path: Path, folder: Path) -> bool:
    # The folder itself may be hidden, or be `../gaze`.
    # Excel locks a file that is open by one beside it.
    return any(part.startswith((".", "~$")) for part in path.relative_to(folder).parts)


def note_unread(paths: Sequence[Path]) -> list[str]:
    """Names files in folders that `find_files` leaves out; hidden files apart.

    Pictures have a note of their own, since the gaze may be on them.
    """
    unread = [
        (one.suffix.lower(), one)
        for path in paths
        if path.is_dir()
        for one in sorted(path.rglob("*"))
        if one.is_file() and not _is_hidden(one, path) and not _may_hold_gaze(one, path)
    ]
    pictures = [one for _, one in unread if rows.is_picture(one.name)]
    notes = []
    if pictures:
        more = f" and {len(pictures) - 1} more" if len(pictures) > 1 else ""
        verb = "are pictures and hold" if more else "is a picture and holds"
        notes.append(f"{pictures[0]}{more} {verb} no gaze: pictures are read from --images")
    unread = [(suffix, one) for suffix, one in unread if not rows.is_picture(one.name)]
    if not unread:
        return notes
    number = collections.Counter(suffix for suffix, _ in unread)
    # Files of a rare suffix first.
    suffixes = sorted(number, key=lambda suffix: (number[suffix], suffix))
    first = sorted(unread, key=lambda one: suffixes.index(one[0]))[:NUM_NAMED]
    shown = ", ".join(str(one) for _, one in first)
    more = f" and {len(unread) - len(first)} more" if len(unread) > len(first) else ""
    return [
        *notes,
        f"{len(unread)} files left out by their suffixes "
        f"({', '.join(f'{suffix!r}' for suffix in suffixes[:NUM_NAMED])}): {shown}{more}",
    ]


def recognise(
    paths: Sequence[Path], options: Options
) -> tuple[str, list[Opened], list[str], list[str]]:
    """Finds the one format of the files, and the files that hold gaze in this format.

    Args:
        paths: files, or folders of files. Only a folder may hold other files too.
        options: how to read the files.

    Returns:
        The name of the format, the files, notes on files that are left out, and warnings of those
        that may hold gaze.
    """
    is_folder = any(map(Path.is_dir, paths))
    notes: list[tuple[Path, str]] = []
    warnings: list[tuple[Path, str]] = []
    unknown: list[Opened] = []
    other_files: list[Sequence[Opened]] = []
    roles: dict[str, dict[Role, list[Opened]]] = {}
    all_opened = []
    for path in find_files(paths):
        try:
            sheets = [_by_content(one, options) for one in containers.open_sheets(path)]
        except ValueError as error:
            if path in paths:
                raise
            reason = str(error).removeprefix(f"{path} ")
            of_file = notes if unknown_files.is_document(path) else warnings
            of_file.append((path, f" left out, not a table or text: {reason}"))
            continue
        one, note, doubtful = _choose_sheet(sheets, options, is_folder=path not in paths)
        notes += [(path, note)] if note else []
        warnings += [(path, words) for words in doubtful]
        all_opened.append(one)
        name, role = _recognise_file(one, options)
        if name == "coco-json" and path not in paths and not containers.keys_of_json(one):
            of_file = notes if unknown_files.is_document(path) else warnings
            of_file.append((path, " left out: has no row, expected one for each fixation"))
        elif role:
            roles.setdefault(name, {}).setdefault(role, []).append(one)
        elif path in paths:
            unknown.append(one)
        else:
            other = _recognise_any(one)[0] if options.format in FORMATS else ""
            if other:
                what = f"of the format {other}, not {options.format}"
                notes.append((path, f" left out: a file of gaze {what}"))
            else:
                other_files.append(sheets)
    with_gaze = [name for name, found in roles.items() if _WITH_GAZE & found.keys()]
    # A folder may hold tables of other things beside the files of the tracker.
    if len(with_gaze) > 1:
        shown = "; ".join(
            f"{name}: {next(iter(_gaze_files(roles[name]))).path}" for name in sorted(with_gaze)
        )
        raise ValueError(f"--table has files of several formats ({shown}): choose one by --format")
    if not with_gaze:
        if not all_opened:
            raise ValueError(f"--table: {one_for_each_reason([*warnings, *notes])[0]}")
        beside = [one.path for found in roles.values() for one in found.get("beside", [])]
        unread = one_for_each_reason(warnings)[:1]
        unread += [f"{path} is part of an export, and no gaze of its own" for path in beside[:1]]
        name = _without_format(all_opened, options, unread, is_folder=is_folder)
        return name, all_opened, one_for_each_reason(notes), one_for_each_reason(warnings)
    [name] = with_gaze
    found = roles[name]
    chosen = _gaze_files(found)
    if unknown:
        _check_first_line(unknown[0], options)
    if unknown and name == PLAIN and unknown[0].suffix in containers.TABLE_SUFFIXES:
        plain.read_plain(unknown[0], plain_of(options))  # Raises: it says which column is missing.
    if unknown:
        raise ValueError(
            f"--table {unknown[0].path} is not a file of gaze of the format {name}, as "
            f"{chosen[0].path} is: leave it out"
        )
    for of_one in other_files:
        reasons = (unknown_files.resembles_gaze(one, chosen, name) for one in of_one)
        why = next(filter(None, reasons), "")
        of_file = warnings if why else notes
        of_file.append((of_one[0].path, f" left out: not a file of gaze in a known format{why}"))
    for one in found.get("beside", []):
        if one.encoding and not one.head.strip():
            warnings.append((one.path, " left out: has no row, expected one for each fixation"))
        else:
            notes.append((one.path, " left out: part of the export that holds no gaze of its own"))
    if "fixations" in found:
        without, unnamed = _check_given(name, found)
        for one in without:
            warnings.append((one.path, " left out: has no fixation in its physioevents"))
            found["samples"].remove(one)
        for one in found.get("samples", []):
            of = ", whose fixations are given"
            if one in unnamed:
                of = " of people whose fixations are given; these do not name their recordings"
            notes.append((one.path, f" left out: samples of gaze{of}"))
    if chosen is not found.get("scene"):
        for one in found.get("scene", []):
            notes.append((one.path, " left out: in the picture of a scene camera"))
    return name, chosen, one_for_each_reason(notes), one_for_each_reason(warnings, NUM_NAMED)


def _check_given(
    name: str, found: Mapping[Role, list[Opened]]
) -> tuple[list[Opened], list[Opened]]:
    """Checks that fixations are given of each recording of which samples are given.

    Fixations that name no recording are of one recording of their person, or of as many as the
    sessions they name. Of more samples, some have no fixations.

    Returns:
        Files of samples of recordings whose events are known and none of them is a fixation; and
        those of a named recording, of whose person fixations are given that name no recording.

    Raises:
        ValueError: a file of samples has a person or a recording without fixations.
    """
    recordings_of = FORMATS[name].recordings if name in FORMATS else None
    samples = found.get("samples", [])
    if recordings_of is None or not samples:
        return [], []
    fixations = [(one.path, recordings_of(one)) for one in found["fixations"]]
    given = _of_people(of_file for _, of_file in fixations)
    all_samples = [(one, recordings_of(one)) for one in samples]
    of_samples = _of_people(of_file for _, of_file in all_samples)
    without, unnamed = [], []
    for one, of_file in all_samples:
        for user, recording in sorted(of_file):
            known = given.get(user, set())
            if known and (not recording or recording in known):
                continue
            others = of_samples[user] - known - {""}
            why = ""
            if "" in known and len(others) > max(1, len(known - {""})):
                why = f"fixations of {user!r} name no recording, and samples name {len(others)}"
            elif "" in known and name == "smi":
                paths = [path for path, pairs in fixations if user in {who for who, _ in pairs}]
                are_others = [smi.names_another_recording(path, recording) for path in paths]
                why = f"{paths[0]} is called like another recording" if all(are_others) else ""
            if "" in known and not why:
                unnamed.append(one)
                continue
            if name == "bids" and bids_samples.has_events_of_other_kinds(one.path):
                without.append(one)
                continue
            what = " ".join(filter(None, (user, recording)))
            why = bids_samples.in_place_of_fixations(one.path) if name == "bids" else why
            raise ValueError(
                f"{one.path} holds samples of gaze of {what!r}, whose fixations are not given"
                f"{f' ({why})' if why else ''}, expected the fixations of each recording: give "
                "them too, or leave the file out of the folder"
            )
    return without, unnamed


def _of_people(recordings: Iterable[set[tuple[str, str]]]) -> dict[str, set[str]]:
    """Returns each person's recordings in any of the files."""
    found: dict[str, set[str]] = {}
    for user, recording in set[tuple[str, str]]().union(*recordings):
        found.setdefault(user, set()).add(recording)
    return found


def one_for_each_reason(notes: Sequence[tuple[Path, str]], num_named: int = 1) -> list[str]:
    """Returns one note for all files with the same words: the first ones, and how many more."""
    paths: dict[str, list[Path]] = {}
    for path, words in notes:
        paths.setdefault(words, []).append(path)
    return [
        ", ".join(map(str, found[:num_named]))
        + (f" and {len(found) - num_named} more" if len(found) > num_named else "")
        + words
        for words, found in paths.items()
    ]


def check_taken(name: str, opened: Sequence[Opened], options: Options) -> None:
    """Checks that the format of the files looks at each option that is given.

    Raises:
        ValueError: an option would do nothing.
    """
    usual = Options()
    given = {
        "--columns": options.columns != usual.columns,
        "--ignore-columns": options.ignored_columns != usual.ignored_columns,
        "--durations": options.durations != usual.durations,
        "--times": options.times != usual.times,
        _EYE: options.how.eye is not None,
        _DETECT: options.how.detection is not None,
    }
    takes = frozenset(_OF_TABLES) if name == PLAIN else FORMATS[name].takes
    path = opened[0].path
    for option in (option for option, is_given in given.items() if is_given):
        if option not in takes:
            what = "tables of no format of their own (table)"
            if option not in _OF_TABLES:
                what = "the formats " + ", ".join(
                    one
                    for one, format_ in FORMATS.items()
                    if option in format_.takes and format_.takes != _TAKES_ALL
                )
            raise ValueError(
                f"{option} is an option of {what}, and would do nothing: {path} is read as {name}"
            )
    if name == PLAIN:
        _check_columns(opened, options, given)
    if given[_DETECT] and takes != _TAKES_ALL:
        for one in opened:
            if FORMATS[name].recognise(one) != "samples":
                raise ValueError(
                    f"{_DETECT} is an option of files of samples, and would do nothing: {one.path} "
                    "holds fixations"
                )


def _check_columns(opened: Sequence[Opened], options: Options, given: Mapping[str, bool]) -> None:
    """Checks that some table has each column that an option is about."""
    known = dict.fromkeys(column for one in opened for column in one.columns)
    if options.ignored_columns:
        with_keys = [one for one in opened if one.suffix == ".json"]
        known |= dict.fromkeys(key for one in with_keys for key in containers.nested_keys(one))
    of = plain_of(options).columns
    units = (("--durations", "duration_ms"), ("--times", "t_ms"))
    needed = [(option, of.get(name, name)) for option, name in units if given[option]]
    needed += [("--ignore-columns", column) for column in options.ignored_columns]
    for option, column in needed:
        if column not in known:
            raise ValueError(
                f"{option} would do nothing: {opened[0].path} has no column {column!r}; it has "
                f"{', '.join(map(repr, known)) or 'none'}"
            )


def _by_content(one: Opened, options: Options) -> Opened:
    """Gives the text of an EyeLink the suffix by which it is read, whatever its name is."""
    renamed = one._replace(suffix=".asc")
    may_be = options.format in ("auto", "eyelink-asc") and one.suffix in (
        ".txt",
        ".csv",
        ".tsv",
        "",
    )
    if not may_be or options.columns or not eyelink_asc.recognise_eyelink_asc(renamed):
        return one
    return one if _recognise_file(one, options)[1] else renamed


def _choose_sheet(
    sheets: Sequence[Opened], options: Options, *, is_folder: bool
) -> tuple[Opened, str, list[str]]:
    """Returns the one sheet of an Excel file that holds gaze, a note, and warnings of others.

    The note is "" where there is none.
    """
    if len(sheets) == 1:
        return sheets[0], "", []
    path = sheets[0].path
    found = {one.sheet: _recognise_file(one, options) for one in sheets}
    tables = [one for one in sheets if found[one.sheet][1] in _WITH_GAZE]
    names = ", ".join(repr(one.sheet) for one in tables or sheets)
    if len(tables) > 1:
        raise ValueError(
            f"{path} has gaze in {len(tables)} sheets ({names}), expected one: save each of them, "
            "or the one to read, as a file of its own"
        )
    if tables:
        others = [one for one in sheets if one is not tables[0]]
        name, _ = found[tables[0].sheet]
        why = {one.sheet: unknown_files.resembles_gaze(one, tables, name) for one in others}
        left_out = ", ".join(repr(sheet) for sheet, reason in why.items() if not reason)
        note = f": sheet {names} read" + (f", sheets left out: {left_out}" if left_out else "")
        doubtful = [
            f": sheet {sheet!r} left out: not gaze in a known format{reason}"
            for sheet, reason in why.items()
            if reason
        ]
        return tables[0], note, doubtful
    if is_folder:
        return sheets[0], "", []
    raise ValueError(
        f"{path} has {len(sheets)} sheets ({names}), and the first row of none of them has the "
        "columns of a known format: save the one with the gaze as a file of its own, or give "
        "--columns"
    )


def _gaze_files(found: Mapping[Role, list[Opened]]) -> list[Opened]:
    return found.get("fixations") or found.get("samples") or found["scene"]


def _recognise_file(one: Opened, options: Options) -> tuple[str, Role]:
    if options.format in FORMATS:
        return options.format, FORMATS[options.format].recognise(one)
    # Who names the columns has a table of their own.
    if options.format == "auto" and not options.columns:
        name, role = _recognise_any(one)
        if role:
            return name, role
    return PLAIN, plain.recognise_plain(one, plain_of(options))


def _recognise_any(one: Opened) -> tuple[str, Role]:
    for name, format_ in FORMATS.items():
        role = format_.recognise(one)
        if role:
            return name, role
    return "", ""


def _without_format(
    opened: Sequence[Opened], options: Options, unread: Sequence[str], *, is_folder: bool
) -> str:
    """Returns the plain format where its errors say what is missing, or raises.

    Args:
        opened: the files.
        options: how to read the files.
        unread: what is known of some of the files, for the message.
        is_folder: whether a folder is given.
    """
    for one in opened:
        _check_first_line(one, options)
    if options.format in ("auto", PLAIN) and not is_folder:
        one = opened[0]
        if one.suffix in containers.TABLE_SUFFIXES:
            return PLAIN
        raise ValueError(
            f"--table {one.path} is not a file of gaze in a known format, expected a table "
            f"({', '.join(containers.TABLE_SUFFIXES)}) or one of: {', '.join(sorted(FORMATS))}"
        )
    for one in opened if options.format in ("auto", PLAIN) else ():
        if plain.resembles_gaze(one.columns):
            plain.read_plain(one, plain_of(options))  # Raises: it says which column is missing.
    first, *others = opened
    more = f" and {len(others)} more files have" if others else " has"
    what = "in a known format" if options.format == "auto" else f"of the format {options.format}"
    why = f" ({'; '.join(unread)})" if unread else ""
    raise ValueError(
        f"--table: {first.path}{more} no gaze {what}{why}, expected one of: {PLAIN}, "
        f"{', '.join(sorted(FORMATS))}"
    )


def _check_first_line(one: Opened, options: Options) -> None:
    """Checks that no line below the first has the names of the columns of a file of gaze.

    Raises:
        ValueError: a line has them.
    """
    lines = containers.first_lines(one)
    if lines and len(lines[0]) == 1 and one.suffix in containers.TEXT_SUFFIXES:
        names = unknown_files.without_blanks(lines[0])
        if len(names) > 1 and plain.recognise_plain(one._replace(columns=names), plain_of(options)):
            raise ValueError(
                f"{one.path} parts its cells by blanks, expected one of , ; tab |: save it as .csv"
            )
    for columns in lines[1:]:
        role: Role = ""
        with contextlib.suppress(ValueError):  # Some formats look at the rows, too.
            _, role = _recognise_file(one._replace(columns=columns), options)
        if role in _WITH_GAZE:
            more = ", ..." if len(columns) > NUM_NAMED else ""
            shown = ", ".join(map(repr, columns[:NUM_NAMED])) + more
            raise ValueError(
                f"{one.path} has the names of its columns ({shown}) below its first line, expected "
                "in the first line: remove the lines above"
            )


def plain_of(options: Options) -> Plain:
    """Returns how a table without a format of its own is read."""
    # Names of columns have no line breaks, see `containers.open_file`.
    columns = {name: raw_files.without_breaks(column) for name, column in options.columns}
    template = options.image_from
    image_from = None if template is None else rows.fields_of(template)
    pattern = options.user_from if options.format == PLAIN else None  # Else, it may be no gaze.
    needs_user = pattern is None or not people.takes_user(re.compile(rows.composed(pattern)))
    of_cells = (options.ignored_columns, options.durations, options.times)
    return Plain(columns, *of_cells, image_from, needs_user)
