"""People and sessions that `--user-from` takes out of longer names or out of paths."""

import collections
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfds_builders.common.gaze_files import people, rows
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.fixations import natural_key
from tfds_builders.common.gaze_files.rows import Names, Rows


class Origin(NamedTuple):
    """What `--user-from` looks at.

    Attributes:
        names: the names that the persons are taken from, one for each row.
        session: the sessions of the file; None: the file has none.
        has_session: whether the pattern finds a session in any name.
        instead: the one person that the file names, which the pattern does not fit, so that the
            path is taken; "": the file names others, or none.
        path: of a file or folder that the name is of; "": the name is from within the file.
    """

    names: Names
    session: Names | None
    has_session: bool
    instead: str
    path: str = ""


def name_user(
    found: Rows, one: Opened, pattern: str | None, tables: Sequence[Path]
) -> tuple[Rows, Origin | None]:
    """Takes the person, and if given the session, out of a name or the path.

    Args:
        found: the rows of the file.
        one: the file.
        pattern: a regular expression, see `Options.user_from`; None: names are as they are.
        tables: the files and folders that are given; folders above them name no person.

    Returns:
        The rows, and what the names were before; None: names are as they were.
    """
    if pattern is None:
        if found.user is None:
            return found._replace(user=rows.one_name(rows.stem(one.path), len(found.place))), None
        return found, None
    expression = re.compile(rows.composed(pattern))
    names = None if found.user is None else rows.only_used(found.user)
    if not people.takes_user(expression):
        return _with_session_of_path(found, names, one, expression, tables)
    instead = ""
    folder = folder_of_person(one.path, found)
    is_in_path = names is None or len(names.names) < 2
    if folder is not None:
        texts = _texts_of_folder(folder, one.path, tables)
    elif names is None or (is_in_path and not any(map(expression.search, names.names))):
        texts = _texts_of_file(one.path, tables)
    else:
        texts = []
    fitting = [text for text in texts if expression.search(text)]
    if names is None or fitting:
        instead = "" if names is None or folder is not None else "".join(names.names)
        names = rows.one_name(fitting[0] if fitting else texts[-1], len(found.place))
    users, sessions = [], []
    for name in names.names:
        match = expression.search(name)
        if match is None:
            what = "the name of the file" if found.user is None else "user"
            raise ValueError(
                f"{one.path}: --user-from {pattern!r} does not fit {what} {name!r}, expected a "
                "pattern that fits the name of each person, or the path of the file below --table"
            )
        groups = match.groupdict()
        number = next((n for n in _numbered(match.re) if match[n] is not None), 0)
        user = groups["user"] if "user" in groups else (match[number] if number else None)
        if not user:
            raise ValueError(
                f"{one.path}: --user-from {pattern!r} finds no user in {name!r}, expected a name"
            )
        users.append(user)
        sessions.append(groups.get("session") or "")
    found = found._replace(user=rows.renamed(names, users))
    origin = Origin(names, found.session, any(sessions), instead)
    if folder is not None or is_of_file(found) or texts:
        origin = origin._replace(path=_paths(folder or one.path, tables)[0])
    if folder is not None:  # Its files are of one recording.
        origin = origin._replace(names=rows.one_name(origin.path, len(found.place)))
    if any(sessions):
        found = _replace_session(found, rows.renamed(names, sessions))
    return found, origin


def is_of_file(found: Rows) -> bool:
    """Whether the person of rows is called after their file."""
    return found.user is None or "person from the name of the file" in found.taken


def told_apart(origins: Sequence[Origin | None]) -> list[Origin | None]:
    """Calls files of one name in several folders after their paths."""
    number = collections.Counter(
        name for one in origins if one is not None and one.path for name in one.names.names
    )
    return [
        one._replace(names=rows.one_name(one.path, len(one.names.codes)))
        if one is not None and one.path and any(number[name] > 1 for name in one.names.names)
        else one
        for one in origins
    ]


def _with_session_of_path(
    found: Rows,
    names: Names | None,
    one: Opened,
    expression: re.Pattern[str],
    tables: Sequence[Path],
) -> tuple[Rows, Origin]:
    """Takes the session of all rows of a file out of its name or path; the people stay."""
    texts = _texts_of_file(one.path, tables)
    match = next(filter(None, map(expression.search, texts)), None)
    if match is None or not match["session"]:
        raise ValueError(
            f"{one.path}: --user-from {expression.pattern!r} finds no session in {texts[-1]!r}, "
            "expected a pattern that fits the path of each file below --table"
        )
    if names is None:
        names = rows.one_name(rows.stem(one.path), len(found.place))
    origin = Origin(names, found.session, has_session=True, instead="")
    session = rows.one_name(match["session"], len(found.place))
    return _replace_session(found._replace(user=names), session), origin


def _replace_session(found: Rows, session: Names) -> Rows:
    cells = {name: cell for name, cell in found.cells.items() if name != "session"}
    return found._replace(session=session, cells=cells)


def folder_of_person(path: Path, found: Rows) -> Path | None:
    """Returns the folder that a person is called after, such as that of a recording.

    Args:
        path: the file.
        found: its rows.

    Returns:
        The folder; None: the person is from elsewhere.
    """
    if "person from the folder" not in found.taken or not (found.user and found.user.names):
        return None
    ending = f"/{found.user.names[0]}"
    folders = path.absolute().parents
    return next((one for one in folders if rows.composed(one.as_posix()).endswith(ending)), None)


def _texts_of_file(path: Path, tables: Sequence[Path]) -> list[str]:
    """Returns what may name the person or session of a file, the text to look at first first."""
    return [rows.composed(path.name), *_paths(path, tables)]


def _texts_of_folder(folder: Path, path: Path, tables: Sequence[Path]) -> list[str]:
    """Returns what may name the person of a folder, the text to look at first first.

    A folder within that of a day has no name of its own, and files are called after images.
    """
    of_folder, of_file = _paths(folder, tables), _paths(path, tables)
    name = [] if re.fullmatch(r"\d{3}", folder.name) else [rows.composed(folder.name)]
    return [*name, *of_folder[:-1], *of_file[:-1], of_folder[-1], of_file[-1]]


def _paths(path: Path, tables: Sequence[Path]) -> list[str]:
    """Returns the paths of a file that may name its person, the one to look at first first.

    Folders may have names of the same form: that of the only folder that is given comes last.
    """
    below = rows.composed(path_below(path, tables))
    inside = below.partition("/")[2] if len(tables) == 1 else ""
    return [inside, below] if inside else [below]


def path_below(path: Path, tables: Sequence[Path]) -> str:
    """Returns the path of a file from the names of the files and folders that are given.

    Example:
        >>> path_below(Path("p1/t/ann/1.csv"), [Path("p1/t")])
        't/ann/1.csv'
    """
    folder = os.path.commonpath([os.path.abspath(table / os.pardir) for table in tables])
    return Path(os.path.relpath(os.path.abspath(path), folder)).as_posix()


def _numbered(pattern: re.Pattern[str]) -> list[int]:
    """Returns the numbers of the groups without a name."""
    return sorted(set(range(1, pattern.groups + 1)) - set(pattern.groupindex.values()))


def with_sessions(
    parts: Sequence[tuple[Path, Rows]],
    origins: Sequence[Origin | None],
    tables: Sequence[Path],
    *,
    is_plain: bool,
) -> list[tuple[Path, Rows]]:
    """Takes longer names for sessions, where one person has several of them and no session.

    Args:
        parts: the rows of each file.
        origins: see `name_user`, of each file.
        tables: the files and folders that are given.
        is_plain: whether the files are tables without a format of their own, whose column of the
            session may tell more than the longer names. In other formats, recordings of two names
            are two recordings, whatever they are called.

    Raises:
        ValueError: the pattern joins sessions of the files; or, with the sessions of the files, one
            viewing, or one session of other formats, is of two of the longer names.
    """
    _check_sessions(parts, origins)
    if is_plain:
        _check_paths(parts, origins)
    longer = longer_names(parts, origins)
    if any(one is None for one in origins) or len({user for user, _ in longer}) == len(longer):
        return list(parts)
    if any(_has_names(part.session) for _, part in parts):
        (_check_apart if is_plain else _check_recordings)(parts, origins)
        return list(parts)
    folder = os.path.commonpath([path.absolute().parent for path, _ in parts])
    return [
        (path, part._replace(session=_below(folder, path, origin, tables)))
        for (path, part), origin in zip(parts, origins, strict=True)
    ]


def _check_paths(parts: Sequence[tuple[Path, Rows]], origins: Sequence[Origin | None]) -> None:
    """Checks that people by the paths of tables are no others than those of their columns.

    A column may have one name for all people.

    Raises:
        ValueError: the pattern fits the columns of some files only, or joins people of two names.
    """
    known: dict[str, tuple[str, Path]] = {}
    of_column: dict[str, str] = {}
    by_column = None
    for (path, part), origin in zip(parts, origins, strict=True):
        if origin is None or part.user is None:
            continue
        if not origin.instead:
            by_column = path
            continue
        user = part.user.names[0]
        of_column.setdefault(origin.instead, user)
        other, other_path = known.setdefault(user, (origin.instead, path))
        if other != origin.instead:
            raise ValueError(
                f"{path}: --user-from finds {user!r} in the path and does not fit user "
                f"{origin.instead!r}, as in {other_path} of user {other!r}, expected a pattern "
                "that fits the name of each person"
            )
    if 1 < len(of_column) < len(known):
        user, (name, path) = next(
            (user, one) for user, one in known.items() if of_column[one[0]] != user
        )
        raise ValueError(
            f"{path}: --user-from finds {user!r} in the path and does not fit user {name!r}, who "
            f"would be {of_column[name]!r} too, expected a pattern that fits the name of each "
            "person"
        )
    if by_column is not None and known:
        user, (name, path) = next(iter(known.items()))
        raise ValueError(
            f"{path}: --user-from finds {user!r} in the path and does not fit user {name!r}, but "
            f"the users of {by_column}, expected a pattern that fits the name of each person"
        )


def _check_sessions(parts: Sequence[tuple[Path, Rows]], origins: Sequence[Origin | None]) -> None:
    """Checks that the sessions of the pattern do not join those of the files.

    A row without a session is of one more session.

    Raises:
        ValueError: two sessions of a person would be one.
    """
    if not any(origin is not None and _has_names(origin.session) for origin in origins):
        return
    known: dict[tuple[str, str], tuple[Path, str]] = {}
    for (path, part), origin in zip(parts, origins, strict=True):
        if origin is None or part.user is None:
            continue
        none = rows.no_names(len(part.place))
        given = none if origin.session is None else rows.without_markers(origin.session)
        new = none if part.session is None else part.session
        for user, session, own in rows.combinations(part.user, new, given):
            other_path, other = known.setdefault((user, session), (path, own))
            if other != own:
                both = " and ".join(f"{one!r}" if one else "none" for one in (other, own))
                beside = "" if other_path == path else f" (the first in {other_path})"
                raise ValueError(
                    f"{path}: the session {session!r} of --user-from joins sessions of the files "
                    f"of user {user!r}, {both}{beside}: take the session out of the pattern, or "
                    "the sessions out of the files"
                )


def _has_names(session: Names | None) -> bool:
    return session is not None and bool((rows.without_markers(session).codes >= 0).any())


def _pairs(user: Names, other: Names) -> set[tuple[str, str]]:
    """Returns each pair of names once; rows that lack a name apart."""
    return {(one, name) for one, name in rows.combinations(user, other) if one and name}


def _below(folder: str, path: Path, origin: Origin | None, tables: Sequence[Path]) -> Names | None:
    """Returns a path as it is below the folder of all files, so that no name says where that is."""
    if origin is None:
        return None
    if all(origin.names.names != rows.one_name(one, 1).names for one in _paths(path, tables)):
        return origin.names
    name = path.absolute().relative_to(folder).as_posix()
    return rows.one_name(name, len(origin.names.codes))


def _check_apart(parts: Sequence[tuple[Path, Rows]], origins: Sequence[Origin | None]) -> None:
    """Checks that `--user-from` gives no viewing the rows of two recordings.

    A viewing of two files is refused later, see `fixations.join`.
    """
    for (path, part), origin in zip(parts, origins, strict=True):
        assert part.user is not None
        assert part.image is not None
        assert origin is not None
        keys = [part.image.codes, part.user.codes]
        keys += [] if part.session is None else [part.session.codes]
        keys += [] if part.trial is None else [part.trial.values]
        order = np.lexsort((origin.names.codes, *keys))
        is_same = ~rows.run_starts(*(key[order] for key in keys))
        again = np.flatnonzero(is_same & rows.run_starts(origin.names.codes[order]))
        if not len(again):
            continue
        first, second = order[again[0] - 1 : again[0] + 1]
        names = (origin.names.names[origin.names.codes[row]] for row in (first, second))
        session = -1 if part.session is None else part.session.codes[second]
        of_session = ""
        if part.session is not None and session >= 0:
            of_session = f" in session {part.session.names[session]!r}"
        raise ValueError(
            f"{path} {rows.place_in_words(part, int(part.place[second]))}: --user-from takes "
            f"{' and '.join(map(repr, names))} for one user "
            f"{part.user.names[part.user.codes[second]]!r}{of_session}, who would look at "
            f"{part.image.names[part.image.codes[second]]!r} in both as in one viewing, expected "
            "recordings that are apart: a group session in --user-from, or no column session"
        )


def _check_recordings(parts: Sequence[tuple[Path, Rows]], origins: Sequence[Origin | None]) -> None:
    """Checks that `--user-from` gives no session of the files the rows of two longer names."""
    known: dict[tuple[str, str], str] = {}
    for (path, part), origin in zip(parts, origins, strict=True):
        assert part.user is not None
        assert origin is not None
        if origin.has_session:
            continue
        none = rows.no_names(len(part.place))
        session_of_row = none if part.session is None else part.session
        for user, session, name in rows.combinations(part.user, session_of_row, origin.names):
            other = known.setdefault((user, session), name)
            if other != name:
                of_session = f" in session {session!r}" if session else " without a session"
                raise ValueError(
                    f"{path}: --user-from takes {other!r} and {name!r} for one user {user!r}"
                    f"{of_session}, expected recordings that are apart: a group session in "
                    "--user-from"
                )


def longer_names(
    parts: Sequence[tuple[Path, Rows]], origins: Sequence[Origin | None]
) -> set[tuple[str, str]]:
    """Returns each person with each of the longer names that it is taken from."""
    found: set[tuple[str, str]] = set()
    for (_, part), origin in zip(parts, origins, strict=True):
        if origin is not None and part.user is not None:
            found |= _pairs(part.user, origin.names)
    return found


def count_people(longer: set[tuple[str, str]]) -> list[str]:
    """Says how many names `--user-from` took for how many people, see `longer_names`."""
    of_user: dict[str, set[str]] = {}
    for user, name in sorted(longer):
        of_user.setdefault(user, set()).add(name)
    if not of_user:
        return []
    num_names = len(set().union(*of_user.values()))
    people = "1 person" if len(of_user) == 1 else f"{len(of_user)} people"
    note = f"--user-from takes {num_names} names for {people}"
    user, names = max(of_user.items(), key=lambda one: len(one[1]))
    if len(names) > 1:
        shown = sorted(names, key=natural_key)
        more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
        note += f", such as {', '.join(map(repr, shown[:3]))}{more} for {user!r}"
    return [note]
