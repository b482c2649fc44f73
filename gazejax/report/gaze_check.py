"""The page of a check of gaze: what is wrong first, then scanpaths on their pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from gazejax.report.html import is_page, picture_uri, render

GENERATOR = "gazejax data check"
_LONGEST_PX = 640
# The library that draws, and a reader, see nothing of gaze that is farther off.
_FARTHEST = 9


class Scanpath(NamedTuple):
    """The gaze of one user on one image.

    Attributes:
        image_id: name of the image.
        user_id: name of the user.
        image: the image, may be reduced.
        size_px: width and height of the whole image.
        xy_px: fixations in pixels of the whole image, in their order.
    """

    image_id: str
    user_id: str
    image: UInt8[np.ndarray, "height width 3"]
    size_px: tuple[int, int]
    xy_px: Float[np.ndarray, "fixation 2"]


def make_gaze_check(
    name: str,
    *,
    facts: Sequence[tuple[str, str]],
    warnings: Sequence[str],
    errors: Sequence[str],
    scanpaths: Sequence[Scanpath],
) -> str:
    """Makes the page.

    Args:
        name: of what was checked.
        facts: pairs of a name and a value.
        warnings: what looks wrong.
        errors: what cannot be built.
        scanpaths: some gaze to look at.

    Returns:
        HTML.
    """
    return render(
        "gaze_check.html.jinja",
        title=name,
        generator=GENERATOR,
        facts=facts,
        warnings=warnings,
        errors=errors,
        scanpaths=[_drawn(one) for one in scanpaths],
    )


def is_gaze_check(path: Path) -> bool:
    """Whether a file is such a page."""
    return is_page(path, GENERATOR)


def _drawn(one: Scanpath) -> dict[str, object]:
    size = np.array(one.size_px, float)
    xy = np.clip(one.xy_px, -_FARTHEST * size, (_FARTHEST + 1) * size)
    width, height = one.size_px
    is_outside = ((xy < 0) | (xy > size)).any(axis=1)
    return {
        "image_id": one.image_id,
        "user_id": one.user_id,
        "uri": picture_uri(one.image, longest_px=_LONGEST_PX),
        "width": width,
        "height": height,
        "radius": max(size) / 40,
        "places": [(round(x, 1), round(y, 1)) for x, y in xy.tolist()],
        "num_outside": int(is_outside.sum()),
    }
