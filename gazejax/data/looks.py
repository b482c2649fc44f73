"""Whether gaze that a program gives looks like other units than the ones it is read in."""

import re
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from gazejax.types import Gaze
from tfds_builders.common import plausibility

# The advice after them names options of the command line.
_OTHER_UNIT = re.compile(r"^(x and y|durations) look like [\w ]+, not (pixels|milliseconds)")
# Of one user, a band along a single edge may be empty.
_OTHER_SIZE = re.compile(r"^no gaze is in the [^()]*% and the [^()]*%[^()]* of the pictures")
_LEVEL_OF_CALLER = 3
# Viewings that are longer by a quarter than those of any user of the training, or shorter.
_SPREADS, _TOLERANCE = 4.0, 1.25
_MOST_NAMED = 3


def warn_of_units(
    points: Sequence[np.ndarray],
    shapes: Sequence[Sequence[int]],
    durations: Sequence[np.ndarray],
    *,
    has_durations: bool,
) -> None:
    """Warns (UserWarning) if one user's gaze looks like fractions, degrees, seconds and the like.

    Args:
        points: of each image, positions [fixation, 2] as fractions of the image.
        shapes: of each image, height and width in pixels, then anything.
        durations: of each image, milliseconds [fixation].
        has_durations: whether the durations are known.
    """
    image = np.repeat(np.arange(len(points)), [len(one) for one in points]).astype(np.int32)
    xy_frac = np.concatenate(points).astype(np.float64)
    size_px = np.array([shape[1::-1] for shape in shapes], np.float64)[image]
    gaze = plausibility.Gaze(
        image,
        np.zeros_like(image),
        None,
        None,
        xy_frac * size_px,
        xy_frac,
        size_px,
        np.concatenate(durations).astype(np.float64) if has_durations else None,
    )
    names = [str(number) for number in range(len(points))]
    for line in plausibility.warnings(gaze, ["user"], names, is_table=False):
        if found := _OTHER_UNIT.match(line):
            warnings.warn(
                f"{found[0]}; expected fixations in pixels of the image and durations_ms in "
                "milliseconds",
                stacklevel=_LEVEL_OF_CALLER,
            )
        elif found := _OTHER_SIZE.match(line):
            warnings.warn(
                f"{found[0]}; expected fixations in pixels of the images that are given, which may "
                "be larger than those that were shown",
                stacklevel=_LEVEL_OF_CALLER,
            )


def describe_viewings(
    gaze: Gaze,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
    *,
    has_durations: bool,
) -> dict[str, dict[str, float]]:
    """How long the viewings of a training are: an embedding depends on it.

    Args:
        gaze: of the data set.
        users: the seen users.
        images: the training images.
        has_durations: whether the durations are known.

    Returns:
        `fixations` and, if known, `seconds` of a viewing: the `least` and the `most` mean of a
        user, and the `spread`, the standard deviation of the viewings of a user.
    """
    length = np.asarray(gaze.viewing_length)[np.ix_(users, images)]
    start = np.asarray(gaze.viewing_offset)[np.ix_(users, images)].astype(np.int64)
    total_ms = np.append(0, np.cumsum(np.asarray(gaze.duration_ms, np.float64)))
    quantities = {"fixations": length.astype(np.float64)}
    if has_durations:
        quantities["seconds"] = (total_ms[start + length] - total_ms[start]) / 1000
    viewed = length > 0
    found = {}
    for name, values in quantities.items():
        of_users = [row[seen] for row, seen in zip(values, viewed, strict=True) if seen.any()]
        means = [float(row.mean()) for row in of_users]
        spread = float(np.sqrt(np.mean([row.var() for row in of_users])))
        found[name] = {"least": min(means), "most": max(means), "spread": spread}
    return found


def warn_of_length(
    described: Mapping[str, Mapping[str, float]], measured: Mapping[str, Mapping[str, float]]
) -> None:
    """Warns (UserWarning) if the viewings of users are longer or shorter than in the training.

    Args:
        described: from `describe_viewings`; empty: not known.
        measured: of each user `viewings`, their number, and the mean `fixations` and, if known,
            `seconds` of a viewing.
    """
    named: set[str] = set()
    for name, known in described.items():
        others = {}
        for user, means in measured.items():
            # The mean of a few viewings scatters.
            margin = _SPREADS * known["spread"] / means["viewings"] ** 0.5
            least, most = known["least"] / _TOLERANCE, known["most"] * _TOLERANCE
            is_known = name in means and user not in named
            if is_known and not least - margin <= means[name] <= most + margin:
                others[user] = means[name]
        named |= others.keys()
        if others:
            warnings.warn(
                f"viewings{_of_users(others, len(measured), name)} on average, and those of the "
                f"training {known['least']:.1f} to {known['most']:.1f}: an embedding of other "
                "viewings differs for that alone; give the first part of longer ones",
                UserWarning,
                stacklevel=_LEVEL_OF_CALLER + 1,
            )


def _of_users(others: Mapping[str, float], num_users: int, name: str) -> str:
    """Says how many users have other means, and those of the first of them."""
    if len(others) == 1:
        [(user, mean)] = others.items()
        return f"{f' of {user!r}' if user else ''} have {mean:.1f} {name}"
    shown = ", ".join(f"{user!r} {mean:.1f}" for user, mean in list(others.items())[:_MOST_NAMED])
    more = f" and {len(others) - _MOST_NAMED} more users" if len(others) > _MOST_NAMED else ""
    return f" of {len(others)} of {num_users} users have other {name} ({shown}{more})"
