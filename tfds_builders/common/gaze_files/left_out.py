"""People and sessions of whom no row is left: rows of several people may be in one file."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfds_builders.common.gaze_files import plain, rows, user_from
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.fixations import natural_key
from tfds_builders.common.gaze_files.rows import LeftOut, Names, Rows

# A person and a session, "" for none.
Person = tuple[str, str]
# Then the longer name that `--user-from` takes the person from, "" for none.
_Named = tuple[str, str, str]

_NUM_NAMED = 10


def people_of(
    part: Rows,
    one: Opened,
    where: Sequence[str],
    pattern: str | None,
    tables: Sequence[Path],
    *,
    has_rows: bool,
) -> dict[_Named, str]:
    """Finds the people and sessions of rows that are left out for lack of gaze or of an image.

    Args:
        part: what is left of the file.
        one: the file.
        where: conditions; a row that does not fulfil them is not looked at.
        pattern: takes people out of names, see `user_from.name_user`.
        tables: likewise.
        has_rows: whether the conditions are on the rows of the file.

    Returns:
        Person, session and longer name -> why the first of their rows is left out.
    """
    found: dict[_Named, str] = {}
    conditions = where if part.whose and has_rows else ()
    of_rows = [plain.rows_where(one, condition) for condition in conditions]
    chosen = {rows.OTHER_EYE, *(f"not {one}" for one in (*where, " and ".join(where)))}
    fits = np.all(of_rows, axis=0) if of_rows else None
    for left_out in part.whose:
        if left_out.reason in chosen:
            continue
        if fits is not None:
            left_out = _take(left_out, fits[left_out.place - 1])
        for person in _named(left_out, part.taken, one, pattern, tables):
            found.setdefault(person, left_out.reason)
    return found


def people_left(parts: Iterable[Rows]) -> set[Person]:
    """Returns the people and sessions of rows that are read; each person also without a session."""
    found: set[Person] = set()
    for part in parts:
        if part.user is not None:
            found |= set(_pairs(part.user, part.session))
    return found | {(user, "") for user, _ in found}


def warn(named: Mapping[_Named, str], left: set[Person], longer: set[Person]) -> list[str]:
    """Names the people, and sessions of other people, of whom no row is left.

    Args:
        named: see `people_of`.
        left: people and sessions of the rows that are left.
        longer: their people and longer names, which are sessions where there are no others.
    """
    has_sessions = any(session for _, session in left)
    lost = {
        (user, session if has_sessions else longer_name): reason
        for (user, session, longer_name), reason in named.items()
    }
    left = left if has_sessions else left | longer
    people: dict[str, str] = {}
    for (user, _), reason in lost.items():
        if (user, "") not in left:
            people.setdefault(user, reason)
    sessions = {
        (user, session): reason
        for (user, session), reason in lost.items()
        if user not in people and (user, session) not in left
    }
    found = []
    if people:
        shown = [f"{user!r} ({people[user]})" for user in sorted(people, key=natural_key)]
        found.append(f"users left out, of whom no row is left: {_few(shown)}")
    if sessions:
        shown = [
            f"{session!r} of {user!r} ({sessions[user, session]})"
            for user, session in sorted(sessions, key=lambda one: list(map(natural_key, one)))
        ]
        found.append(f"sessions left out, of which no row is left: {_few(shown)}")
    return found


def _few(shown: Sequence[str]) -> str:
    more = f" and {len(shown) - _NUM_NAMED} more" if len(shown) > _NUM_NAMED else ""
    return ", ".join(shown[:_NUM_NAMED]) + more


def _take(left_out: LeftOut, kept: np.ndarray) -> LeftOut:
    user, session = (rows.take_names(one, kept) for one in (left_out.user, left_out.session))
    return left_out._replace(place=left_out.place[kept], user=user, session=session)


def _named(
    left_out: LeftOut, taken: str, one: Opened, pattern: str | None, tables: Sequence[Path]
) -> list[_Named]:
    """Returns the people with the names that their rows would have."""
    if not len(left_out.place):
        return []
    pairs = [("", "")]
    if left_out.user is not None:
        pairs = _pairs(left_out.user, left_out.session)
    no_place = rows.exact(np.zeros(len(pairs)))
    user = None if left_out.user is None else rows.names_of([user for user, _ in pairs])
    named = Rows(
        rows.places(len(pairs)),
        None,
        user,
        no_place,
        no_place,
        session=rows.names_of([session for _, session in pairs]),
        taken=taken,
    )
    longer = [""] * len(pairs)
    with contextlib.suppress(ValueError):  # The names of rows that are read have the errors.
        named, origin = user_from.name_user(named, one, pattern, tables)
        names = [user for user, _ in pairs]
        # Of a person by the path, the file is named.
        is_of_file = user_from.is_of_file(named)
        if origin is not None and not is_of_file and origin.names.names[0] in names:
            longer = names
    none = [""] * len(pairs)
    users, sessions = (
        none if names is None else rows.texts_of(names) for names in (named.user, named.session)
    )
    found = zip(users, sessions, longer, strict=True)
    return [(rows.all_digits(user) or user, session, name) for user, session, name in found if user]


def _pairs(user: Names, session: Names | None) -> list[Person]:
    """Returns each person and session once, in their order; rows without a person apart."""
    user = rows.without_markers(user)
    if session is None:
        session = rows.no_names(len(user.codes))
    session = rows.without_markers(session)
    has_name = user.codes >= 0
    num_sessions = len(session.names) + 1  # The first one is none.
    key = user.codes[has_name].astype(np.int64) * num_sessions + session.codes[has_name] + 1
    unique, first = np.unique(key, return_index=True)
    people, sessions = (
        [rows.all_digits(text) or text for text in names] for names in (user.names, session.names)
    )
    return [
        (people[number], ["", *sessions][of_session])
        for number, of_session in (divmod(one, num_sessions) for one in unique[np.argsort(first)])
    ]
