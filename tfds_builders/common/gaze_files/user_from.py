"""People and sessions that `--user-from` takes out of longer names or out of paths."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfds_builders.common.gaze_files import rows
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
    """

    names: Names
    session: Names | None
    has_session: bool
    instead: str


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
    # A name that is made of the path says less than the path.
    is_of_path = found.user is None or "person from the folder" in found.taken
    names = None if is_of_path or found.user is None else rows.only_used(found.user)
    is_in_path = names is None or len(names.names) < 2
    instead = ""
    if names is None or (is_in_path and not any(re.search(pattern, n) for n in names.names)):
        paths = _paths(one.path, tables)
        fitting = [text for text in (one.path.name, *paths) if re.search(pattern, text)]
        if fitting or names is None:
            instead = "" if names is None else "".join(names.names)
            names = rows.one_name(fitting[0] if fitting else paths[-1], len(found.place))
    users, sessions = [], []
    for name in names.names:
        match = re.search(pattern, name)
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
    if any(sessions):
        cells = {name: cell for name, cell in found.cells.items() if name != "session"}
        found = found._replace(session=rows.renamed(names, sessions), cells=cells)
    return found, origin


def _paths(path: Path, tables: Sequence[Path]) -> list[str]:
    """Returns the paths of a file that may name its person, the one to look at first first.

    Folders may have names of the same form: that of the only folder that is given comes last.
    """
    below = path_below(path, tables)
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
