"""People and sessions that `--user-from` takes out of longer names or out of paths."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfds_builders.common.gaze_files import rows
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.fixations import natural_key
from tfds_builders.common.gaze_files.rows import Names, Rows


def name_user(
    found: Rows, one: Opened, pattern: str | None, tables: Sequence[Path]
) -> tuple[Rows, Names | None]:
    """Takes the person, and if given the session, out of a name or the path.

    Args:
        found: the rows of the file.
        one: the file.
        pattern: a regular expression, see `Options.user_from`; None: names are as they are.
        tables: the files and folders that are given; folders above them name no person.

    Returns:
        The rows, and the names that the persons are taken from; None: names are as they were.
    """
    if pattern is None:
        if found.user is None:
            return found._replace(user=rows.one_name(rows.stem(one.path), len(found.place))), None
        return found, None
    names = None if found.user is None else rows.only_used(found.user)
    is_in_path = names is None or len(names.names) < 2
    if names is None or (is_in_path and not any(re.search(pattern, n) for n in names.names)):
        # A folder may have a name of the same form as the file.
        below = path_below(one.path, tables)
        fitting = [text for text in (one.path.name, below) if re.search(pattern, text)]
        if fitting or names is None:
            names = rows.one_name(fitting[0] if fitting else below, len(found.place))
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
    if any(sessions):
        _check_sessions(found, one.path, pattern, rows.renamed(names, sessions))
        cells = {name: cell for name, cell in found.cells.items() if name != "session"}
        found = found._replace(session=rows.renamed(names, sessions), cells=cells)
    return found, names


def _check_sessions(found: Rows, path: Path, pattern: str, session: Names) -> None:
    """Checks that the sessions of a pattern do not join those of the file.

    Raises:
        ValueError: two sessions of a person in the file would be one.
    """
    if found.session is None or found.user is None:
        return
    given = rows.without_markers(found.session)
    new = np.column_stack([found.user.codes, session.codes])[given.codes >= 0]
    both = np.column_stack([new, given.codes[given.codes >= 0]])
    if len(np.unique(both, axis=0)) > len(np.unique(new, axis=0)):
        raise ValueError(
            f"{path}: the session of --user-from {pattern!r} joins sessions of the column "
            "'session': take the session out of the pattern, or leave the column out of the file"
        )


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
    parts: Sequence[tuple[Path, Rows]], origins: Sequence[Names | None], tables: Sequence[Path]
) -> list[tuple[Path, Rows]]:
    """Takes longer names for sessions, where one person has several of them and no session.

    Raises:
        ValueError: with the sessions of the files, one viewing is of two of the longer names.
    """
    of_user: dict[str, set[str]] = {}
    has_session = False
    for (_, part), origin in zip(parts, origins, strict=True):
        if origin is None or part.user is None:
            return list(parts)
        if part.session is not None:
            has_session |= bool((rows.without_markers(part.session).codes >= 0).any())
        for user, name in set(zip(part.user.codes.tolist(), origin.codes.tolist(), strict=True)):
            if user >= 0 and name >= 0:
                of_user.setdefault(part.user.names[user], set()).add(origin.names[name])
    if all(len(names) == 1 for names in of_user.values()):
        return list(parts)
    if has_session:
        _check_apart(parts, origins)
        return list(parts)
    folder = os.path.commonpath([path.absolute().parent for path, _ in parts])
    return [
        (path, part._replace(session=_below(folder, path, origin, tables)))
        for (path, part), origin in zip(parts, origins, strict=True)
    ]


def _below(folder: str, path: Path, origin: Names | None, tables: Sequence[Path]) -> Names | None:
    """Returns a path as it is below the folder of all files, so that no name says where that is."""
    if origin is None or origin.names != rows.one_name(path_below(path, tables), 1).names:
        return origin
    name = path.absolute().relative_to(folder).as_posix()
    return rows.one_name(name, len(origin.codes))


def _check_apart(parts: Sequence[tuple[Path, Rows]], origins: Sequence[Names | None]) -> None:
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
        order = np.lexsort((origin.codes, *keys))
        is_same = ~rows.run_starts(*(key[order] for key in keys))
        again = np.flatnonzero(is_same & rows.run_starts(origin.codes[order]))
        if not len(again):
            continue
        first, second = order[again[0] - 1 : again[0] + 1]
        names = (origin.names[origin.codes[row]] for row in (first, second))
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


def count_people(parts: Sequence[tuple[Path, Rows]], origins: Sequence[Names | None]) -> list[str]:
    """Says how many names `--user-from` took for how many people."""
    of_user: dict[str, set[str]] = {}
    for (_, part), origin in zip(parts, origins, strict=True):
        if origin is None or part.user is None:
            continue
        for user, name in set(zip(part.user.codes.tolist(), origin.codes.tolist(), strict=True)):
            of_user.setdefault(part.user.names[user], set()).add(origin.names[name])
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
