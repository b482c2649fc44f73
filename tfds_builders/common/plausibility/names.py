"""Whether names of people look like sessions of one person, or like one name in two forms."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

# One person has few recordings; a study has many people in a group. `control_1` to `control_15`
# are people, `p07_1` and `p07_2` are not.
_MAX_SESSIONS = 9
_SESSION_WORD = (
    r"sessions?|sess|ses|s|recordings?|record|rec|runs?|r|nr|no|blocks?|blk|b|days?|d|visits?|v|"
    r"parts?|pt|trials?|t|tests?|time|week|w|wave|take|phase|edf|list"
)
_EYE_WORD = r"l|r|left|right|le|re|lefteye|righteye"
_DATE = r"(?:19|20)\d\d[-_.]?\d\d[-_.]?\d\d|\d\d[-_.]\d\d[-_.](?:19|20)\d\d"
_TIME = r"[\sT_\-.]*\d\d[-_.:h]?\d\d(?:[-_.:]?\d\d)?"
# What experimenters ask a person to do, one after the other.
_TASK_WORD = (
    r"free(?:view(?:ing)?)?|view(?:ing)?|search|memory|memori[sz]e|encoding|recognition|retrieval|"
    r"enc|rec|learn(?:ing)?|study|rating|task|practice|main|calibration|validation|saliency"
)
_COPY_WORD = (
    r"copy|copie|kopie|backup|bak|old|new|orig(?:inal)?|final|fixed|corrected|repaired|edited|"
    r"again|redo|repeat"
)
_SUFFIX = re.compile(r"\.(csv|tsv|txt|edf|asc|mat|xlsx?|json)$", re.IGNORECASE)
# person, separator, optional word, number (a number of a session, a date or a time).
_TRAILING = re.compile(
    rf"^(?P<person>.*?[^\W_])(?P<sep>[\s_.\-()#/]+)(?:(?P<word>{_SESSION_WORD})[\s_.\-]*)?"
    rf"(?P<number>\d{{1,2}}|(?:{_DATE})(?:{_TIME})?|\d{{6}}|\d{{14}})\)?$",
    re.IGNORECASE,
)
_WORD_WITHOUT_BREAK = re.compile(
    r"^(?P<person>.*?[^\W_])[\s_.\-]*(?P<word>session|sess|ses|recording|rec|run|visit|day|block)"
    r"[\s_.\-]*(?P<number>\d{1,2})$",
    re.IGNORECASE,
)
_WORD_AND_LETTER = re.compile(
    r"^(?P<person>.*?[^\W_])[\s_.\-]+(?P<word>session|sess|ses|recording|rec|run|visit|day|block|"
    r"part|list|test)[\s_.\-]*(?P<number>[a-h])$",
    re.IGNORECASE,
)
_TRAILING_PART = re.compile(
    r"^(?P<person>.*?\d)(?P<word>[stv])(?P<number>\d)$|"
    r"^(?P<person2>.*?\d)[\s_.\-]*(?P<number2>(?:pre|post|am|pm|test|retest|baseline|followup|"
    r"morning|evening|first|second|1st|2nd|3rd|[4-9]th|i{1,3}|iv|vi{0,3})[\s_.\-]*\d{0,2})$",
    re.IGNORECASE,
)
_TRAILING_TASK = re.compile(
    rf"^(?P<person>.*?[^\W_])[\s_.\-]+(?P<number>(?:task-?)?(?:{_TASK_WORD})[\s_.\-]*\d{{0,2}})$",
    re.IGNORECASE,
)
_TRAILING_COPY = re.compile(
    rf"^(?P<person>.*?[^\W_])[\s_.\-(]+(?P<number>(?:{_COPY_WORD})[\s_.\-(]*\d{{0,2}})\)?$",
    re.IGNORECASE,
)
# A person with a number, and a part of the study in a word, or in a letter and a number, which
# others have too.
_TRAILING_WORD = re.compile(
    r"^(?P<person>.*\d)[\s_.\-]+(?P<number>[a-z]{2,}|[a-h]\d{1,2})$", re.IGNORECASE
)
_TRAILING_LETTER = re.compile(r"^(?P<person>.*\d)[\s_.\-]*(?P<number>[a-h])$", re.IGNORECASE)
_TRAILING_EYE = re.compile(
    rf"^(?P<person>.*?[^\W_])[\s_.\-]+(?P<number>{_EYE_WORD})$|"
    r"^(?P<person2>.*\d)(?P<number2>[LR])$",
    re.IGNORECASE,
)
_POWER_OF_TEN = re.compile(r"^\d+(?:\.\d+)?e\+?\d{1,2}$")
_HEXADECIMAL = re.compile(r"[\da-f]{6,}", re.IGNORECASE)
_LEADING = re.compile(
    rf"^(?:(?P<word>{_SESSION_WORD})[\s_.\-]*)?(?P<number>\d{{1,2}})[\s_.\-]+"
    r"(?P<person>[^\W\d_].*)$",
    re.IGNORECASE,
)
# What stands for many people, not for one.
_GROUP = re.compile(
    r"^(sites?|labs?|groups?|grp|g|cohorts?|batch|exp|experiment|study|class|room|cond|condition|"
    r"teams?|school|fam|family|couple|household|pairs?|dyads?|male|female|control|patient|young|old|adult|child|expert|"
    r"novice|country|city|set)[\s_.\-]*\d{0,2}$",
    re.IGNORECASE,
)
_GENERIC = re.compile(
    r"^(sub|subj|subject|participants?|part|pp?|vp|users?|observers?|obs|person|people|s|id|name|"
    r"kh|u|o|r|m|f|n)$",
    re.IGNORECASE,
)


def check_names(user_ids: Sequence[str]) -> list[str]:
    """Returns warnings about names of people.

    Source: ours; the forms of names are those of exporters, such as the recording of EyeLink.
    """
    user_ids = list(map(str, user_ids))
    return [*_check_twins(user_ids), *_check_sessions(user_ids)]


# Cyrillic and Greek letters that look like Latin ones, small or capital; no two of one alphabet are
# alike.
_LOOK_ALIKES = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458"
    "\u0455"
    "\u03b1\u03b2\u03b5\u03b6\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7",
    "abekmhopctyxijsabezhikmnoptyx",
)


def check_names_of_sessions(
    user_ids: Sequence[str], session_ids: Sequence[Sequence[str]]
) -> list[str]:
    """Returns warnings about names of sessions of one person that are one name in several forms.

    Args:
        user_ids: names of the people.
        session_ids: names of the sessions of each person; empty: no sessions.
    """
    users = {
        user: twins
        for user, names in zip(user_ids, session_ids, strict=False)
        if (twins := _twins(list(map(str, names))))
    }
    if not users:
        return []
    shown = "; ".join(f"{_shown(twins)} of user {user!r}" for user, twins in [*users.items()][:3])
    more = f"; and {len(users) - 3} more users" if len(users) > 3 else ""
    return [
        "names of sessions of one user are nearly the same, as if one session had several: "
        f"{shown}{more} differ only in case, blanks, punctuation, accents, letters that look "
        "alike, leading zeros or the form of a number; write one name for one session"
    ]


def _folded(name: str) -> str:
    """Returns what is left of a name without case, blanks, accents, leading zeros."""
    text = unicodedata.normalize("NFKD", name).casefold()
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = text.translate(_LOOK_ALIKES)
    text = _SUFFIX.sub("", text.strip())
    text = re.sub(r"^(\d+)\.0+$", r"\1", text)
    # A spreadsheet writes 100000 as 1E+05.
    text = _POWER_OF_TEN.sub(lambda found: f"{Decimal(found[0]):f}", text)
    # Between two numbers a sign is needed: 1_1 is not 11.
    text = re.sub(r"(?<=\d)[\W_]+(?=\d)", "\0", text)
    text = re.sub(r"[^\w\0]|_", "", text)
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def _twins(names: Sequence[str]) -> list[list[str]]:
    """Groups names that are one name in several forms."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[_folded(name) or name].append(name)
    return [alike for alike in groups.values() if len(alike) > 1]


def _check_twins(user_ids: Sequence[str]) -> list[str]:
    twins = _twins(user_ids)
    if not twins:
        return []
    return [
        "names of users are nearly the same, as if one person had several: "
        f"{_shown(twins)} differ only in case, blanks, punctuation, accents, letters that look "
        "alike, leading zeros or the form of a number; write one name for one person, or "
        "--user-from"
    ]


def _shown(groups: Sequence[Sequence[str]]) -> str:
    texts = []
    for names in groups[:3]:
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        texts.append(
            " and ".join(map(repr, names[:2]))
            if len(names) == 2
            else (", ".join(map(repr, names[:4])) + more)
        )
    more = f"; and {len(groups) - 3} more groups" if len(groups) > 3 else ""
    return "; ".join(texts) + more


def _check_sessions(user_ids: Sequence[str]) -> list[str]:
    for patterns, what in (
        ((_TRAILING_EYE,), "eyes"),
        ((_TRAILING, _WORD_WITHOUT_BREAK, _WORD_AND_LETTER, _TRAILING_PART), "sessions"),
        ((_TRAILING_LETTER,), "sessions"),
        ((_TRAILING_TASK,), "sessions"),
        ((_TRAILING_COPY,), "copies"),
        ((_TRAILING_WORD,), "words"),
        ((_LEADING,), "sessions"),
    ):
        if patterns == (_TRAILING_LETTER,) and _are_hexadecimal(user_ids):
            continue
        groups = _grouped(user_ids, patterns, what)
        if not groups:
            continue
        num_names = sum(map(len, groups))
        if what == "eyes":
            return [
                f"users look like eyes of one person: {_shown(groups)} ({num_names} names, "
                f"{len(groups)} people) differ only in left and right; keep one eye (--eye or "
                "--where), and give one name for one person with --user-from"
            ]
        return [
            f"users look like sessions or recordings of one person: {_shown(groups)} ({num_names} "
            f"names, {len(groups)} people) differ only in a number or a part of the study; if so, "
            "give the person and the session apart, with --user-from or in a column 'session'"
        ]
    return []


def _are_hexadecimal(user_ids: Sequence[str]) -> bool:
    """Whether names are numbers of base 16, whose last letter is a digit and no session."""
    return (
        all(map(_HEXADECIMAL.fullmatch, user_ids))
        and len(set(map(len, user_ids))) == 1
        and any(name[-1].isdigit() for name in user_ids)
    )


def _grouped(
    user_ids: Sequence[str], patterns: Sequence[re.Pattern[str]], what: str
) -> list[list[str]]:
    """Groups names that differ by a number only; none if the groups look like groups of people."""
    found: dict[str, list[str]] = defaultdict(list)
    numbers: dict[str, set[str]] = defaultdict(set)
    worded: set[str] = set()
    for name in user_ids:
        match = next((m for p in patterns if (m := p.match(_SUFFIX.sub("", name)))), None)
        if match is None:
            continue
        parts = {key.rstrip("2"): value for key, value in match.groupdict().items() if value}
        person = parts["person"].casefold()
        found[person].append(name)
        numbers[person].add(parts["number"].casefold())
        if len(parts.get("word", "")) > 1:
            worded.add(person)
    for name in user_ids:  # The first recording may have no number.
        text = _SUFFIX.sub("", name)
        if text.casefold() in found and not any(p.match(text) for p in patterns):
            found[text.casefold()].append(name)
            numbers[text.casefold()].add("")
            if what == "copies":
                worded.add(text.casefold())
    several = {
        person: names
        for person, names in found.items()
        if len(numbers[person]) > 1 and len(names) <= _MAX_SESSIONS
    }
    if what == "eyes":
        return [names for names in several.values() if len(names) == 2]
    if what == "words":  # Of one person only, two words may be two people.
        shared = [numbers[person] - {""} for person in several]
        several = {
            person: names
            for person, names in several.items()
            if sum(len(numbers[person] & other) > 1 for other in shared) > 1
        }
    largest = max(map(len, several.values()), default=0)
    kept = [
        names
        for person, names in several.items()
        if not _GROUP.match(person)
        and (
            re.search(r"\d", person)
            or person in worded
            # A name without a number: people, if there are at least as many as numbers of each.
            or (not _GENERIC.match(person) and len(several) >= max(2, largest))
        )
    ]
    # Fewer persons than numbers of each: rather groups of people, such as 1_01 to 1_09, 2_01 ...
    is_plain = all(re.fullmatch(r"\d+[\s_.\-]+\d+", names[0]) for names in kept)
    if is_plain and largest > max(len(kept), 3):
        return []
    return kept
