"""What messages of an EyeLink log say of the trials: variables, and the image that is shown.

Data Viewer's messages are `!V IMGLOAD` and `!V TRIAL_VAR`. Experiments send others, such as
`IMAGE: forest.jpg`. A message may be sent in its trial, before the one that begins it or after the
one that ends it.
"""

import collections
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfds_builders.common.gaze_files import rows
from tfds_builders.common.gaze_files.image_variables import find_other, says_beside

_VARIABLE = re.compile(r"(?:!V\s+TRIAL_VAR|var)\s+(\S+)\s+(.*)")
# Messages of experiments: `IMAGE forest.jpg`, also with coordinates, and `IMAGE: old forest.jpg`.
_HAS_PICTURE = re.compile(rf"\w{rows.PICTURE_SUFFIX}\b", re.IGNORECASE)
_WORD_AND_PICTURE = re.compile(r"([A-Za-z_][\w-]*)\s+([^\s=]+|\"[^\"]+\"|'[^']+')")
_NAME_AND_VALUE = re.compile(r"([^:=]*[^:=\s])\s*[:=]\s*(\S.*)")
_COORDINATES = re.compile(r"([\s,;()]+-?[\d.]+)+[\s)]*$")

# A number of pixels.
NUMBER = re.compile(r"-?\d{1,6}(?:\.\d{1,9})?")

# What names images: Data Viewer's messages, and messages in a form that is not known.
PICTURES, UNCLEAR = "!V IMGLOAD", ""


# Of messages of one name, those of the lowest number count.
_RANKS = {"variable": 0, "message": 1, "text": 2}


class Said(NamedTuple):
    """An image, or the value of a variable, that a message names.

    Attributes:
        line: line of the message, from 1.
        source: `!V IMGLOAD`, or the name of a variable of the trial.
        name: path of the image, or the value.
        mode: CENTER, TOP_LEFT or FILL of `!V IMGLOAD`; else what the message is: a variable, one of
            the experiment with a picture or a text, or one with a picture in an unknown form.
        numbers: x and y, and width and height where given, in pixels of the screen.
    """

    line: int
    source: str
    name: str
    mode: str
    numbers: tuple[float, ...]


def read_message(path: Path, line: int, message: str) -> list[Said]:
    """Returns the image that a message names, or the value of its variable, if any."""
    if match := _VARIABLE.fullmatch(message):
        return [Said(line, match[1], match[2].strip().strip("\"'"), "variable", ())]
    if not message.startswith("!"):
        return read_own_message(line, message)
    kind, *words = message.removeprefix("!V").split() or [""]
    if kind != "IMGLOAD":
        return []
    mode, *words = words or [""]
    num_numbers = 0
    while num_numbers < min(4, len(words)) and NUMBER.fullmatch(words[-1 - num_numbers]):
        num_numbers += 1
    num_numbers = 0 if mode == "FILL" else num_numbers // 2 * 2
    name = " ".join(words[: len(words) - num_numbers])
    numbers = tuple(map(float, words[len(words) - num_numbers :]))
    if mode not in ("CENTER", "TOP_LEFT", "FILL") or not name or min(numbers[2:], default=1) <= 0:
        raise ValueError(
            f"{path} line {line}: {message[:80]!r}, expected IMGLOAD CENTER or TOP_LEFT with a "
            "path, x, y, width and height, or FILL with a path"
        )
    return [Said(line, PICTURES, name, mode, numbers)]


def read_own_message(line: int, message: str) -> list[Said]:
    """Returns what a message of the experiment says, such as `IMAGE: forest.jpg`, if anything."""
    has_picture = _HAS_PICTURE.search(message) is not None
    text = _COORDINATES.sub("", message) if has_picture else message
    word = _WORD_AND_PICTURE.fullmatch(text) if has_picture else None
    if match := word or _NAME_AND_VALUE.fullmatch(text):
        value = match[2].strip("\"'")
        # Numbers of trials and the like do not make it another message.
        name = re.sub(r"\b\d+\b", "#", match[1])
        if rows.is_picture(value) and len(_HAS_PICTURE.findall(text)) == 1:
            return [Said(line, name, value, "message", ())]
        if not has_picture and re.fullmatch(r"[A-Za-z_]\w*", name):
            return [Said(line, name, value, "text", ())]
    if has_picture:
        return [Said(line, UNCLEAR, message, "unclear", ())]
    return []


def without_others_of_one_name(said: Sequence[Sequence[Said]]) -> list[list[Said]]:
    """Leaves out messages that are called like a variable, and texts like one with a picture."""
    strongest: dict[str, int] = {}
    for one in chain.from_iterable(said):
        rank = _RANKS.get(one.mode, 0)
        strongest[one.source] = min(rank, strongest.get(one.source, rank))
    return [[one for one in of if _RANKS.get(one.mode, 0) == strongest[one.source]] for of in said]


def said_in_trials(
    inside: Sequence[Sequence[Said]], after: Sequence[Sequence[Said]]
) -> dict[str, list[list[Said]] | None]:
    """Finds what messages of each source say in each trial; None: of which trial is not known.

    A message before the one that begins a trial is often of this trial, not of the one before.

    Args:
        inside: what is said in each trial; the first one stands for the time before all trials.
        after: what is said after each of them, before the next one.
    """
    of_inside, of_after = ([_by_source(one) for one in said] for said in (inside, after))
    sources = dict.fromkeys(
        source for both in zip(of_inside, of_after, strict=True) for one in both for source in one
    )
    return {
        source: _of_trials(
            [one.get(source, []) for one in of_inside], [one.get(source, []) for one in of_after]
        )
        for source in sources
    }


def _by_source(said: Sequence[Said]) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = {}
    for one in said:
        found.setdefault(one.source, []).append(one)
    return found


def _of_trials(
    inside: Sequence[list[Said]], after: Sequence[list[Said]]
) -> list[list[Said]] | None:
    """Gives what is said between trials to the trial before or after; None: it may be either.

    Args:
        inside: what is said in each trial; the first one stands for the time before all trials.
        after: what is said after each of them, before the next one.
    """
    found = [*inside]
    last = len(found) - 1
    filled = [trial for trial, said in enumerate(after) if said]
    # What is said before all trials alone is of none of them.
    if not filled or all(inside[1:]) or (filled == [0] and last > 1):
        return found
    is_before, is_after = filled == [*range(last)], filled == [*range(1, last + 1)]
    is_inside = 2 * sum(map(bool, inside)) > last
    if not (is_before or is_after or is_inside):
        # Some trials lack it: it is before the first one, or after the last.
        is_clear = (filled[0] == 0) != (filled[-1] == last) and 2 * len(filled) > last
        if any(inside) or not is_clear:
            return None
        is_before, is_after = filled[0] == 0, filled[0] > 0
    if is_before and _is_default(after):
        return None
    if is_before or is_after:
        beside = after[:-1] if is_before else after[1:]
        return [[], *(own or other for own, other in zip(inside[1:], beside, strict=True))]
    for trial in reversed(filled):
        # Where a trial has its own, what follows may be anything.
        if trial > 0 and (trial == last or found[trial + 1]):
            found[trial] = found[trial] or after[trial]
    return found


def _is_default(after: Sequence[list[Said]]) -> bool:
    """Whether the first value may be a default of all trials, since others come again and again.

    Then the others may be of the trial before each, of which the last has none.
    """
    first, *others = [said[-1].name for said in after if said]
    return first not in others and 2 * len(set(others)) <= len(others)


def images_of_trials(
    inside: Sequence[Sequence[Said]],
    after: Sequence[Sequence[Said]],
    said: Mapping[str, list[list[Said]] | None],
) -> tuple[list[Said | None] | None, np.ndarray, str]:
    """Finds the image of each trial.

    `!V IMGLOAD` says more than variables of the trials, which say more than other messages.

    Args:
        inside: what is said in each trial; the first one stands for the time before all trials.
        after: what is said after each of them, before the next one.
        said: what messages of each source say in each trial.

    Returns:
        The image of each trial, or None where no message gives the images; bool [k], whether a
        trial has several; and where the images are from.
    """
    is_several = np.zeros(len(inside), bool)
    kinds: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for both in zip(inside, after, strict=True):
        named = {one.source: one for one in chain.from_iterable(both) if _is_image(one)}
        for source, one in named.items():
            kinds["load" if source == PICTURES else one.mode][source] += 1
    known: dict[str, dict[str, list[list[Said]]]] = {}
    doubts: list[str] = []
    for kind in ("load", "variable", "unclear", "message"):
        for source, number in kinds[kind].items():
            of_trials = said[source]
            is_clear = of_trials is not None and kind != "unclear"
            if not known and not is_clear:
                doubt = f"{source!r} names images between trials"
                if kind == "unclear":
                    doubt = "messages name images in another form than 'IMAGE: forest.jpg'"
                doubts.append(f"{doubt}, so that the image is not known")
                # In few trials, they may be of breaks, of instructions or of a list to be loaded.
                if 2 * number > len(inside) - 1:
                    return None, is_several, doubts[-1]
            pictures = [list(filter(_is_image, one)) for one in of_trials or ()]
            if is_clear and any(pictures):
                known.setdefault(kind, {})[source] = pictures
    if not known:
        return None, is_several, (*doubts, "no message names an image")[0]
    kind, images = next(iter(known.items()))
    names = {
        source: [{one.name for one in of} for of in pictures]
        for of_kind in known.values()
        for source, pictures in of_kind.items()
    }
    source = next(iter(images))
    others = [other for other in names if names[other] != names[source]]
    variables = " and ".join(map(repr, images))
    if not images.keys().isdisjoint(others):
        return None, is_several, f"{variables} name images, so that the image is not known"
    if kind == "message" and all(map(says_beside, images)):
        doubt = f"{variables} may be of a cue, so that the image is not known"
        return None, is_several, doubt
    if kind != "load" and (doubt := _doubt(said, source)):
        return None, is_several, doubt
    by = {"load": PICTURES, "variable": f"the variable {variables}"}.get(
        kind, f"the message {variables}"
    )
    # A picture may be named in two folders, such as in that of the script and that of the log.
    files = {
        name: [{re.split(r"[/\\]", one)[-1] for one in of} for of in names[name]]
        for name in (source, *others)
    }
    if others := [other for other in others if files[other] != files[source]]:
        by += f", not from {' and '.join(map(repr, others))}, which has other names"
    if kind == "message" and kinds["unclear"]:
        by += ", not from messages with pictures in another form than 'IMAGE: forest.jpg'"
    is_several = np.array([len({one[2:] for one in of}) > 1 for of in images[source]])
    return [(*of, None)[0] for of in images[source]], is_several, f"image from {by}"


def _is_image(said: Said) -> bool:
    return said.source == PICTURES or said.mode == "unclear" or rows.is_picture(said.name)


def _doubt(said: Mapping[str, list[list[Said]] | None], source: str) -> str:
    """Names a variable that may be the picture of each trial instead; "": there is none."""
    kinds = {
        name: next(chain.from_iterable(of)).mode
        for name, of in said.items()
        if of is not None and any(of)
    }
    # Beside a variable, messages say little. A message is looked at beside all.
    beside = ("variable", "message", "text") if kinds[source] == "message" else ("variable",)
    values = {
        name: values_of_trials(said[name] or ()) for name, kind in kinds.items() if kind in beside
    }
    at = [trial for trial, value in enumerate(values[source]) if value]
    of_trials = {
        name: ["" if of[trial] in rows.MISSING else of[trial] for trial in at]
        for name, of in values.items()
    }
    other = find_other(of_trials, source) if at else ""
    if not other:
        return ""
    pictures = set(of_trials[source])
    those = f"one of {len(pictures)} pictures"
    if len(pictures) == 1:
        those = f"{of_trials[source][0]!r} in all trials"
    return f"the variable {source!r} is {those}, beside {other}, so that the image is not known"


def values_of_trials(said: Sequence[Sequence[Said]]) -> list[str]:
    """The value of a variable in each trial, the last that is said; "": none."""
    return [one[-1].name if one else "" for one in said]
