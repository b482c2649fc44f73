"""Variables of the trials: which of them may name the image, beside the one with names of files.

A file often has the picture of a cue or a mask beside the scene, which it may name in another form,
such as without a suffix.
"""

import re
from collections.abc import Collection, Mapping, Sequence

SAYS_PICTURE = re.compile(r"im(a)?ge?|pic|stim|scene|photo|file", re.IGNORECASE)

# How words begin or end that say a picture.
_PICTURE_WORD = re.compile(
    "(image|img|pic|photo|foto|bild|s[cz]ene|stim|background|item).*"
    "|.*(image|img|picture|photo|foto|bild|s[cz]ene|stim|stimulus)|im"
)
# Words that say a picture beside a cue alone: files and displays may be of anything else.
_PERHAPS_WORD = re.compile("filename|(search)?(array|display)s?")
# Words of what else may be said of a picture.
_OTHER_WORD = re.compile(
    "ms|s|sec|times?|stamp|.*(onset|offset|time(stamp)?|duration|order|rating|category)|dur|rt|latency|x|y|w|h|width|height|size"
    "|sequence|rep(etition)?|pos(ition)?|loc(ation)?|side|block|type|cond(ition)?|set"
    "|list|count|rate|hz|frames?|start|end|show|drawn|flip|contrast|colou?r|angle|orientation|ratio"
    "|level|valence|arousal|resp(onse)?|answer|key|correct|accuracy|score|conf|question|caption"
)
# Words of pictures that are shown beside or before the one that is looked at: alone, or in one word
# with what they are.
_BEFORE = "(pre|post|end|back|forward|fix|fixation|word|search|trial|start|picture|pic|image|img)*"
_AFTER = "(image|img|im|picture|pic|photo|bild|stim|stimulus|file|name|path|id)*"
_BESIDE_WORD = re.compile(
    f"{_BEFORE}(cue|mask|maske|prime|preview|foil|lure|cross)s?{_AFTER}|distract.*"
)
_TARGET_WORD = re.compile(f"{_BEFORE}(target|probe|sample|template|feedback)s?{_AFTER}")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NUMBER = re.compile(r"[\s,;:()\[\]]*([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[\s,;:()\[\]]*)+")

# The most pictures that a cue or a mask is one of: more are those of the experiment.
_MOST_BESIDE = 8


def may_be_image(
    variable: str,
    values: Collection[str],
    *,
    picture: str,
    num_values: int,
    num_pictures: int,
    num_trials: int,
) -> bool:
    """Whether a variable may be the image of each trial, beside another with names of pictures.

    By its name, or since its texts are many: beside one picture, about as many as the trials;
    beside few, more than twice as many. A condition or an answer has few texts, and a number may be
    a time or a count. Pictures that are as many are the images, but for those of cues by name.

    Args:
        variable: its name.
        values: its values.
        picture: name of the other variable.
        num_values: how many different ones a person has.
        num_pictures: how many different pictures the other variable names for a person.
        num_trials: number of the trials of a person.
    """
    says_picture = _says_picture(variable)
    is_beside = says_beside(picture)
    may_be_scene = says_picture or _says(variable, _PERHAPS_WORD)
    may_be_scene &= not _has_word(variable, _BESIDE_WORD) and num_values > 1
    if is_beside and may_be_scene and num_values >= num_pictures:
        return True
    if num_values <= num_pictures:
        return False
    is_text = not all(map(_NUMBER.fullmatch, values))
    if num_pictures == 1:
        are_many = is_text and 2 * num_values >= num_trials
        return are_many or SAYS_PICTURE.search(variable) is not None
    # Images are often shown twice, in trials that have numbers of their own.
    are_many = num_values > 2 * num_pictures
    if num_pictures <= _MOST_BESIDE:
        return says_picture or (is_text and are_many)
    return says_picture and (are_many or (is_text and num_values == 2 * num_pictures))


def find_other(of_trials: Mapping[str, Sequence[str]], picture: str) -> str:
    """Names a variable of one person that may be the image, in words; "": there is none.

    Args:
        of_trials: variable -> its value in each trial with a picture; "": none.
        picture: the one with names of pictures.
    """
    used = {name: [one for one in dict.fromkeys(of) if one] for name, of in of_trials.items()}
    counts = {"num_pictures": len(used[picture]), "num_trials": len(of_trials[picture])}
    for name, values in used.items():
        if name != picture and may_be_image(
            name, values, picture=picture, num_values=len(values), **counts
        ):
            return in_words(name, values)
    return ""


def says_beside(variable: str) -> bool:
    """Whether a variable is called like a picture beside or before the image, such as a cue."""
    return _has_word(variable, _BESIDE_WORD) or _has_word(variable, _TARGET_WORD)


def in_words(variable: str, values: Sequence[str]) -> str:
    """Names a variable with the first of its different values."""
    return f"{variable!r}, which is {values[0]!r}, {values[1]!r} ..."


def _says_picture(variable: str) -> bool:
    """Whether a variable is called like a picture, and like nothing else about it."""
    return _says(variable, _PICTURE_WORD)


def _says(variable: str, pattern: re.Pattern[str]) -> bool:
    return _has_word(variable, pattern) and not _has_word(variable, _OTHER_WORD)


def _has_word(variable: str, pattern: re.Pattern[str]) -> bool:
    return any(map(pattern.fullmatch, _words(variable)))


def _words(variable: str) -> list[str]:
    """Gives the words of a name, and all as one."""
    words = [word.lower() for word in _WORD.findall(variable)]
    return [*words, "".join(words)]
