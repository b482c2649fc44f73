"""Where a coordinate of gaze lies on the image: units, origins, and images shown on a screen."""

import math
from typing import Literal, NamedTuple

import numpy as np

Fit = Literal["stretch", "centre", "native"]
Units = Literal["px", "frac", "deg"]


class Convention(NamedTuple):
    """How a table gives coordinates. x points to the right and y downwards.

    Attributes:
        units: `px`; `frac`, fractions of width and height, 0 at the left and top edge; `deg`,
            degrees of visual angle from the centre.
        origin_px: coordinate of the centre of the first pixel, units `px` only: 0.5 if the top left
            corner is (0, 0); 0 or 1 if pixels are counted from there.
        pixels_per_degree: units `deg` need it; otherwise it is kept in the metadata, if known.
        screen_px: width and height of the screen, if coordinates are on a screen rather than on the
            image.
        fit: how the image was shown on the screen; see `screen_to_image`.
    """

    units: Units
    origin_px: float
    pixels_per_degree: float | None
    screen_px: tuple[int, int] | None
    fit: Fit | None


# Pixels of the image, whose top left corner is (0, 0): as everything here is stored.
IMAGE_PX = Convention("px", 0.5, None, None, None)


def check(convention: Convention) -> None:
    """Refuses a convention that says too little or contradicts itself.

    Raises:
        ValueError: naming the option, its value and what is allowed.
    """
    units, pixels_per_degree = convention.units, convention.pixels_per_degree
    if units not in ("px", "frac", "deg"):
        raise ValueError(f"--units is {units!r}, expected px, frac or deg")
    if convention.origin_px not in (0, 0.5, 1):
        raise ValueError(f"--origin is {convention.origin_px}, expected 0, 0.5 or 1")
    if units != "px" and convention.origin_px != 0.5:
        raise ValueError(f"--origin {convention.origin_px} applies to --units px, not to {units}")
    if units == "deg" and pixels_per_degree is None:
        raise ValueError("--units deg needs --pixels-per-degree")
    if pixels_per_degree is not None and not 0 < pixels_per_degree < math.inf:
        raise ValueError(f"--pixels-per-degree is {pixels_per_degree}, expected a number above 0")
    if (convention.screen_px is None) != (convention.fit is None):
        raise ValueError("--screen and --fit go together: the screen, and how it showed the image")
    if convention.screen_px is not None and min(convention.screen_px) < 1:
        raise ValueError(f"--screen is {convention.screen_px}, expected at least 1 by 1 pixel")


def to_image_px(xy: np.ndarray, *, convention: Convention, width: int, height: int) -> np.ndarray:
    """Turns coordinates of a table into pixels of an image.

    Args:
        xy: [n, 2] x, y as the table gives them.
        convention: how that is.
        width: width of the image in pixels.
        height: height of the image in pixels.

    Returns:
        float64 [n, 2] x, y in pixels; the top left corner is (0, 0). A point beside the image gets
        coordinates outside of it.

    Source: ours.
    """
    frame = np.array(convention.screen_px or (width, height))
    match convention.units:
        case "px":
            xy_px = xy + (0.5 - convention.origin_px)
        case "frac":
            xy_px = xy * frame
        case "deg":
            xy_px = frame / 2 + xy * convention.pixels_per_degree
    if convention.screen_px is None or convention.fit is None:
        return xy_px
    return screen_to_image(
        xy_px, screen=convention.screen_px, fit=convention.fit, width=width, height=height
    )


def screen_to_image(
    xy_px: np.ndarray, *, screen: tuple[int, int], fit: Fit, width: int, height: int
) -> np.ndarray:
    """Turns pixels of the screen into pixels of an image that was shown on it.

    Args:
        xy_px: [n, 2] x, y on the screen, whose top left corner is (0, 0).
        screen: width and height of the screen in pixels.
        fit: `centre`: in the middle, as large as fits with the aspect kept; `stretch`: over the
            whole screen; `native`: in the middle, pixel by pixel.
        width: width of the image in pixels.
        height: height of the image in pixels.

    Raises:
        ValueError: for another fit.
    """
    frame, size = np.array(screen), np.array([width, height])
    match fit:
        case "stretch":
            return xy_px / (frame / size)
        case "centre":
            scale = (frame / size).min()
            return (xy_px - (frame - size * scale) / 2) / scale
        case "native":
            return xy_px - (frame - size) / 2
        case _:
            raise ValueError(f"--fit is {fit!r}, expected stretch, centre or native")
