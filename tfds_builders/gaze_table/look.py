"""What files of gaze look like on their images: facts and warnings for `data check` and `build`."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from tfds_builders.common import coordinates, plausibility
from tfds_builders.common.gaze_files import PLAIN, Fixations
from tfds_builders.gaze_table.viewings import check_viewings

# Trackers lose the place of a few fixations.
MAX_OUTSIDE = 0.05
_NUM_NAMED = 10


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
    warnings = plausibility.warnings(
        gaze,
        fixations.user_ids,
        fixations.image_ids,
        units=units,
        tracking=tracking,
        is_table=fixations.format == PLAIN,
    )
    return plausibility.facts(gaze), [
        *warnings,
        *_check_inside(xy_frac),
        *_check_people(xy_frac, size_px, fixations),
        *check_viewings(fixations),
    ]


def _check_inside(xy_frac: np.ndarray) -> list[str]:
    is_known = np.isfinite(xy_frac).all(axis=1)
    is_outside = ((xy_frac < 0) | (xy_frac >= 1)).any(axis=1) & is_known
    return warn_outside(int(is_outside.sum()), int(is_known.sum()))


def _check_people(xy_frac: np.ndarray, size_px: np.ndarray, fixations: Fixations) -> list[str]:
    """Names the users whose fixations are all outside of their images."""
    xy_px = np.asarray(xy_frac * size_px, np.float32)  # As records hold it.
    is_outside = ((xy_px < 0) | (xy_px >= size_px)).any(axis=1)  # NaN, not known, is not.
    is_left = np.zeros(len(fixations.user_ids), bool)
    is_left[fixations.user[~is_outside]] = True
    lost = [fixations.user_ids[user] for user in np.flatnonzero(~is_left)]
    if not lost:
        return []
    more = f" and {len(lost) - _NUM_NAMED} more" if len(lost) > _NUM_NAMED else ""
    names = ", ".join(map(repr, lost[:_NUM_NAMED]))
    return [f"users without any fixation inside an image: {names}{more}"]


def warn_outside(num_outside: int, num_fixations: int) -> list[str]:
    """Warns if many fixations are outside their image; [] if not."""
    share = num_outside / max(num_fixations, 1)
    if share <= MAX_OUTSIDE:
        return []
    return [
        f"{share:.0%} of the fixations are outside their image and would be dropped: check the "
        "picture and --origin, --units, --screen and --fit"
    ]
