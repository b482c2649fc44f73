"""Whether gaze that a program gives looks like other units than the ones it is read in."""

import re
import warnings
from collections.abc import Sequence

import numpy as np

from tfds_builders.common import plausibility

# The advice after it names options of the command line.
_OTHER_UNIT = re.compile(r"^(x and y|durations) look like [\w ]+, not (pixels|milliseconds)")
_LEVEL_OF_CALLER = 3


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
