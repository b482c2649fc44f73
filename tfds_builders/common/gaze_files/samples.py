"""Fixations of files that hold samples of gaze."""

from pathlib import Path

import numpy as np

from tfds_builders.common.gaze_files import detection, rows
from tfds_builders.common.gaze_files.how import How
from tfds_builders.common.gaze_files.rows import Rows


def check_detection(path: Path, how: How, *, advice: str) -> None:
    """Checks that a detection is asked for, before a file of samples is read.

    Raises:
        ValueError: no detection is asked for; the message ends with the advice.
    """
    if how.detection is None:
        raise ValueError(
            f"{path} holds samples of gaze, not fixations: --detect-fixations detects fixations; "
            f"{advice}"
        )


def fixations_of_samples(
    path: Path, found: Rows, group: np.ndarray, how: How, *, advice: str
) -> Rows:
    """Detects fixations in samples.

    Args:
        path: the file, for messages.
        found: one row a sample, with `t_ms`; x and y are NaN where there is no gaze.
        group: int64 [n], number of the viewing of each sample; the samples of a viewing are
            neighbours.
        how: has the options of the detection.
        advice: how to get the fixations without detection, for a message.

    Returns:
        One row a fixation. The place is the one of its first sample.

    Raises:
        ValueError: no detection is asked for, or the times of a viewing do not rise.
    """
    check_detection(path, how, advice=advice)
    assert found.t_ms is not None
    assert how.detection is not None
    t_ms = found.t_ms.values
    is_same = np.append(False, group[1:] == group[:-1])
    before = np.append(np.nan, t_ms[:-1])
    wrong = np.flatnonzero(~np.isfinite(t_ms) | (is_same & ~(t_ms > before)))
    if len(wrong):
        row = wrong[0]
        where = rows.place_in_words(found, int(found.place[row]))
        after = f" after {before[row]:.10g}" if is_same[row] else ""
        raise ValueError(
            f"{path} {where}: the time is {t_ms[row]:.10g} ms{after}, expected times that rise"
        )
    xy_px = np.column_stack([found.x.values, found.y.values])
    detected = detection.detect_fixations(t_ms, xy_px, group, how.detection)
    detection.check_found(path, detected, t_ms, xy_px, group, how.detection)
    return rows.take(found, np.asarray(detected.first))._replace(
        x=rows.exact(detected.xy_px[:, 0]),
        y=rows.exact(detected.xy_px[:, 1]),
        duration_ms=rows.exact(detected.duration_ms),
        t_ms=rows.exact(detected.start_ms),
        cells={},
    )
