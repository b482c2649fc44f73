"""Variables of the trials: which of them may name the image, beside the one with names of files.

A file often has the picture of a cue or a mask beside the scene, which it may name in another form,
such as without a suffix.
"""

import re
from collections.abc import Collection

SAYS_PICTURE = re.compile(r"im(a)?ge?|pic|stim|scene|photo|file", re.IGNORECASE)
_IS_PICTURE = re.compile(
    r"(trial[ _]?)?(image|img|pic|picture|photo|scene|stim|stimulus)"
    r"[ _]?(id|no|nr|num|number|name|file|filename)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[+-]?\d*[.,:]?\d+([.,:]\d+)*")


def may_be_image(
    variable: str,
    values: Collection[str],
    *,
    num_values: int,
    num_pictures: int,
    num_trials: int,
) -> bool:
    """Whether a variable may be the image of each trial, beside another with names of pictures.

    By its name, or since its texts are many: beside one picture, about as many as the trials;
    beside others, more than twice as many. A condition or an answer has few texts, and a number may
    be a time or a count. Pictures that are as many are the images.

    Args:
        variable: its name.
        values: its values.
        num_values: how many different ones a person has.
        num_pictures: how many different pictures the other variable names for a person.
        num_trials: number of the trials of a person.
    """
    if num_values <= num_pictures:
        return False
    is_text = not all(map(_NUMBER.fullmatch, values))
    if num_pictures == 1:
        are_many = is_text and 2 * num_values >= num_trials
        return are_many or SAYS_PICTURE.search(variable) is not None
    # Images are often shown twice, in trials that have names of their own.
    are_many = is_text and num_values > 2 * num_pictures
    return are_many or _IS_PICTURE.fullmatch(variable) is not None
