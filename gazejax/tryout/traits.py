"""What a person looks at more and less than others, in plain words and with an uncertainty.

A trait is said if the interval that holds it with a probability of 80 % does not contain the middle
of the population. If it does, and the trait can be predicted well (a correlation of at least 0.5
with people whom the model had not seen), the person is about as others. Else, and always with a
correlation below 0.3, the trait is not known.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy import special

LEAST_CORRELATION, GOOD_CORRELATION = 0.3, 0.5
_INTERVAL_SDS = float(special.ndtri(0.9))

# Of each trait: what it is about, and how those look who have more of it, and less.
_WORDS = {
    "center_share": (
        "Centre of pictures",
        "Your gaze stays nearer to the centre of pictures",
        "Your gaze goes farther from the centre of pictures",
    ),
    "spread": (
        "Area",
        "Your gaze spreads over a larger part of a picture",
        "Your gaze keeps to a smaller part of a picture",
    ),
    "saccade_length": (
        "Steps",
        "Your gaze moves in longer steps",
        "Your gaze moves in shorter steps",
    ),
    "fixated_contrast": (
        "Contrast",
        "You look more at places of strong contrast",
        "You look more at smooth, even places",
    ),
    "fixated_color": (
        "Colour",
        "You look more at colourful places",
        "You look more at places of little colour",
    ),
    "fixated_brightness": (
        "Brightness",
        "You look more at bright places",
        "You look more at dark places",
    ),
    "duration_ms": (
        "Rests",
        "Your gaze rests longer in one place",
        "Your gaze rests for a shorter time in one place",
    ),
}

Verdict = Literal["more", "less", "alike", "unknown"]


class Estimate(NamedTuple):
    """A trait of a person, as a share of the population that has less of it.

    Attributes:
        name: of the trait.
        title: what it is about.
        share: best estimate.
        low: low end of the interval.
        high: high end of the interval.
        correlation: of predicted and true traits of people whom the model had not seen.
        verdict: see the module.
        sentence: the same in plain words.
    """

    name: str
    title: str
    share: float
    low: float
    high: float
    correlation: float | None
    verdict: Verdict
    sentence: str


def estimate(
    name: str,
    value: float,
    residual: float,
    mean: float,
    standard_deviation: float,
    correlation: float | None,
) -> Estimate:
    """Places a trait in the population.

    Args:
        name: of the trait.
        value: predicted.
        residual: standard deviation of true traits around predicted ones.
        mean: of the trait over people.
        standard_deviation: likewise.
        correlation: see `Estimate`.

    Example:
        >>> found = estimate("spread", 1.0, 0.1, 0.0, 1.0, 0.9)
        >>> found.verdict, round(found.share, 3), found.sentence[-25:]
        ('more', 0.841, 'than 8 to 9 in 10 others.')
    """
    ends = value + _INTERVAL_SDS * residual * np.array([-1.0, 0.0, 1.0])
    low, share, high = special.ndtr((ends - mean) / standard_deviation).tolist()
    verdict = _verdict(low, high, correlation)
    title, more, less = _WORDS[name]
    if verdict == "more":
        sentence = f"{more} than {in_ten(low, high)} others."
    elif verdict == "less":
        sentence = f"{less} than {in_ten(1 - high, 1 - low)} others."
    elif verdict == "alike":
        sentence = "About as most others."
    else:
        sentence = "Not known."
    return Estimate(name, title, share, low, high, correlation, verdict, sentence)


def _verdict(low: float, high: float, correlation: float | None) -> Verdict:
    if correlation is None or correlation < LEAST_CORRELATION:
        return "unknown"
    if low > 0.5:
        return "more"
    if high < 0.5:
        return "less"
    return "alike" if correlation >= GOOD_CORRELATION else "unknown"


def in_ten(low: float, high: float) -> str:
    """A range of shares in words.

    Example:
        >>> in_ten(0.62, 0.88), in_ten(0.81, 0.84), in_ten(0.71, 0.99), in_ten(0.02, 0.15)
        ('6 to 9 in 10', 'about 8 in 10', 'at least 7 in 10', 'at most 2 in 10')
    """
    first, last = math.floor(10 * low), math.ceil(10 * high)
    if first == 0:
        return f"at most {last} in 10"
    if last == 10:
        return f"at least {first} in 10"
    if round(10 * low) == round(10 * high):
        return f"about {round(10 * low)} in 10"
    return f"{first} to {last} in 10"


def estimate_measured(
    traits: Mapping[str, Mapping[str, Any]], predicted: Mapping[str, float], num_images: int
) -> list[Estimate]:
    """Traits by what was measured on tracks that are read as those of the page.

    Args:
        traits: of `population.read_measured`.
        predicted: by the probes of the model.
        num_images: number of pictures behind the embedding.
    """
    found = []
    for name, row in traits.items():
        curve = row[nearest_below(row, num_images)]
        value = curve["intercept"] + curve["slope"] * predicted[name]
        whole = row["mean"], row["standard_deviation"]
        found.append(estimate(name, value, curve["residual"], *whole, curve["correlation"]))
    return found


def estimate_probed(probed: Mapping[str, Any]) -> list[Estimate]:
    """Traits by the probes of a model alone: `Model.probe`.

    The number of places of a picture is left out: the page sets it.
    """
    found = []
    for name in _WORDS:
        if name not in probed:
            continue
        one = probed[name]
        known = one.correlation or 0.0
        residual = one.standard_deviation * math.sqrt(max(0.0, 1 - known**2))
        whole = one.mean, one.standard_deviation
        found.append(estimate(name, one.value, residual, *whole, one.correlation))
    return found


def nearest_below(curves: Mapping[str, Any], num_images: int) -> str:
    """The largest number of pictures of a curve that is at most the one at hand, or the least."""
    known = sorted(int(key) for key in curves if key.isdigit())
    return str(max((one for one in known if one <= num_images), default=known[0]))
