"""Cuts one row out of the grid of maps that an evaluation draws, with its titles and scales.

python docs/images/cut_maps.py runs/demo/plots/maps.png 3 docs/images/maps.png
"""

import sys

import numpy as np
from PIL import Image

# Part of the width that the panels of the first column take for certain.
_FIRST_COLUMN = (0.08, 0.2)


def cut_row(grid: np.ndarray, number: int) -> np.ndarray:
    """Keeps the titles, one row of panels and the scales below the last row.

    Args:
        grid: [height, width, 3], white between the rows.
        number: of the row, the first is 1.
    """
    left, right = (round(part * grid.shape[1]) for part in _FIRST_COLUMN)
    is_drawn = np.pad((grid[:, left:right] < 250).any(axis=(1, 2)), 1).astype(int)
    starts, ends = np.flatnonzero(np.diff(is_drawn) == 1), np.flatnonzero(np.diff(is_drawn) == -1)
    # The titles come first; panels are the tall ones.
    is_panel = ends - starts > 60
    starts, ends = starts[is_panel], ends[is_panel]
    parts = [grid[: starts[0]], grid[starts[number - 1] : ends[number - 1]], grid[ends[-1] :]]
    return np.concatenate(parts)


if __name__ == "__main__":
    source, row, target = sys.argv[1:]
    picture = cut_row(np.asarray(Image.open(source).convert("RGB")), int(row))
    Image.fromarray(picture).save(target, optimize=True)
