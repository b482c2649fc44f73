"""The order of fixations in files without times."""

from pathlib import Path

import numpy as np

from tfds_builders.common.gaze_files import rows
from tfds_builders.common.gaze_files.rows import Rows


def check_order(
    path: Path,
    found: Rows,
    index: np.ndarray,
    is_used: np.ndarray,
    *,
    index_name: str,
    time_name: str,
) -> None:
    """Without times, only the rows say the order: the index goes up in each viewing.

    Args:
        path: the file, for messages.
        found: n fixations of one eye, with people.
        index: float64 [n], number of the fixation in its trial.
        is_used: bool [n], whether a fixation fulfils the conditions.
        index_name: column of the index, for messages.
        time_name: column of the times that the file lacks, likewise.

    Raises:
        ValueError: an index does not go up; with its row.
    """
    used = np.flatnonzero(is_used)
    viewing = found.image.codes if found.image is not None else np.zeros(len(found.place))
    if found.trial is not None:
        viewing = found.trial.values
    assert found.user is not None
    keys = (viewing, found.user.codes)
    order = used[np.lexsort((used, *(key[used] for key in keys)))]
    is_first = rows.run_starts(*(key[order] for key in keys))
    values = index[order]
    before = np.append(np.nan, values[:-1])
    wrong = np.flatnonzero(~np.where(is_first, np.isfinite(values), values > before))
    if len(wrong):
        first = wrong[np.argmin(order[wrong])]
        more = f" ({len(wrong)} such rows)" if len(wrong) > 1 else ""
        after = "" if is_first[first] else f" after {before[first]:g}"
        raise ValueError(
            f"{path} row {found.place[order[first]]}: {index_name} is {values[first]:g}{after}, "
            "expected the fixations of one eye in each trial in their order, or a column "
            f"{time_name}{more}"
        )
