"""How gaze files are read: the options that formats look at."""

from typing import Literal, NamedTuple

# "scene": fixations in the picture of a scene camera, which a format refuses to read. "beside": a
# file of an export without gaze of its own.
Role = Literal["", "fixations", "samples", "scene", "beside"]


class Detection(NamedTuple):
    """How fixations are detected in samples, see `detection.detect_fixations`.

    Attributes:
        dispersion_px: largest extent of a fixation, width plus height, in pixels of the screen.
        min_duration_ms: shortest fixation.
        max_gap_ms: longest time between two samples of a fixation.
    """

    dispersion_px: float
    min_duration_ms: float
    max_gap_ms: float


class How(NamedTuple):
    """Options of a format.

    Attributes:
        eye: the eye to read where a file has both; None: the left, or the only one.
        detection: how fixations are detected in files of samples; None: such files are refused.
        where: conditions of --where, see `plain.rows_where`. A format that refuses rows which
            contradict each other looks only at rows that fulfil the conditions.
    """

    eye: Literal["left", "right"] | None = None
    detection: Detection | None = None
    where: tuple[str, ...] = ()
