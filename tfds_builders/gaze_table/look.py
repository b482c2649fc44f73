"""What files of gaze look like on their images: facts and warnings for `data check` and `build`."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from tfds_builders.common import coordinates, plausibility
from tfds_builders.common.gaze_files import Fixations


def look(
    fixations: Fixations,
    sizes: Mapping[str, tuple[int, int]],
    convention: coordinates.Convention,
    tracking: Literal["eye", "mouse"],
) -> tuple[list[tuple[str, str]], list[str]]:
    """Looks at all fixations on their images.

    Args:
        fixations: the fixations, in the order of the files.
        sizes: width and height in pixels of the images that are known.
        convention: the complete convention of the fixations.
        tracking: what was tracked.

    Returns:
        Facts, pairs of a name and a value; and warnings, see `plausibility.warnings`.
    """
    # A view of one number takes no memory.
    size_px = xy_frac = np.broadcast_to(np.nan, fixations.xy.shape)
    if sizes:
        of_images = [sizes.get(name, (np.nan, np.nan)) for name in fixations.image_ids]
        size_px = np.array(of_images, np.float64)[fixations.image]
        xy_frac = np.full_like(fixations.xy, np.nan)
    for width, height in set(sizes.values()):
        rows = (size_px == (width, height)).all(axis=1)
        xy_px = coordinates.to_image_px(
            fixations.xy[rows], convention=convention, width=width, height=height
        )
        xy_frac[rows] = xy_px / (width, height)
    gaze = plausibility.Gaze(
        fixations.image,
        fixations.user,
        fixations.session if fixations.session_ids else None,
        fixations.trial,
        fixations.xy,
        xy_frac,
        size_px,
        fixations.duration_ms,
        fixations.t_ms,
    )
    units = convention.units or "px"
    return plausibility.facts(gaze), plausibility.warnings(
        gaze, fixations.user_ids, fixations.image_ids, units=units, tracking=tracking
    )
