"""Coordinates of gaze on an image: units, origins, and images shown on a screen."""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

Fit = Literal["stretch", "centre", "native"]
Units = Literal["px", "frac", "deg"]
YAxis = Literal["down", "up"]


class Convention(NamedTuple):
    """How gaze files give coordinates. x points to the right.

    None means that an option is not given; `complete` fills the options that are not given.

    Attributes:
        units: `px`: pixels; `frac`: fractions of width and height, 0 at the left and top edge;
            `deg`: degrees of visual angle from the centre.
        origin_px: coordinate of the centre of the first pixel; for units `px` only. 0.5 if the top
            left corner is (0, 0); 0 or 1 if the first pixel has the number 0 or 1.
        pixels_per_degree: pixels in a degree of visual angle, of the screen if the image is placed
            on one. Units `deg` need the value. With other units the value only goes to the
            metadata; None: not known.
        screen_px: width and height of the screen in pixels; None: coordinates are on the image, or
            `shown_at_px` says where the image was.
        fit: how the screen showed the image, see `screen_to_image`; None: without a screen.
        y_axis: `down`: y is 0 at the top edge; `up`: y is 0 at the bottom edge, and degrees are
            positive above the centre.
        shown_at_px: x, y, width and height of the image on the screen, in pixels of the screen.
    """

    units: Units | None = None
    origin_px: float | None = None
    pixels_per_degree: float | None = None
    screen_px: tuple[int, int] | None = None
    fit: Fit | None = None
    y_axis: YAxis | None = None
    shown_at_px: tuple[float, float, float, float] | None = None


# Pixels of the image, top left corner (0, 0): the convention of all prepared data sets.
IMAGE_PX = Convention("px", 0.5, None, None, None, "down", None)


def complete(
    given: Convention,
    *,
    units: Units = "px",
    y_axis: YAxis = "down",
    screen_px: tuple[int, int] | None = None,
    pixels_per_degree: float | None = None,
) -> Convention:
    """Fills the options that are not given with what the files say.

    Args:
        given: the options that are given.
        units: units of the files.
        y_axis: direction of y in the files.
        screen_px: size of the screen of the files; None: not known.
        pixels_per_degree: of the files; None: not known.
    """
    found = {
        "units": units,
        "origin_px": 0.5,
        "y_axis": y_axis,
        "screen_px": screen_px if is_placed(given) else None,
        "pixels_per_degree": pixels_per_degree,
    }
    return given._replace(
        **{name: value for name, value in found.items() if getattr(given, name) is None}  # type: ignore[arg-type]
    )


def fill(
    given: Convention,
    before: Convention,
    *,
    screen_px: tuple[int, int] | None,
    frame: Literal["image", "screen"] | None,
) -> Convention:
    """Fills what is not given with what was given for earlier files of the same form.

    What the new files say of themselves comes before what was given for the earlier files.

    Args:
        given: the options that are given for the new files.
        before: the options that were given for the earlier files.
        screen_px: size of the screen, if the new files say it.
        frame: what the places of the new files are relative to; None: the files do not say it.

    Raises:
        ValueError: the earlier place of the image is on a screen of another size.
    """
    screen_px = given.screen_px or screen_px
    if is_placed(given):
        before = before._replace(fit=None, shown_at_px=None)
    if frame == "image":
        before = before._replace(fit=None, shown_at_px=None, screen_px=None)
    if (given.units or before.units or "px") != "px" and given.origin_px is None:
        before = before._replace(origin_px=None)
    if (given.units or before.units) != "deg":
        before = before._replace(pixels_per_degree=None)  # For the metadata alone.
    if screen_px is not None:
        if before.shown_at_px is not None and before.screen_px not in (None, screen_px):
            raise ValueError(
                f"the screen is {size_in_words(screen_px)}, and was "
                f"{size_in_words(before.screen_px)} where --shown-at {before.shown_at_px} was "
                "given: give --shown-at for this screen"
            )
        before = before._replace(screen_px=None)
    return given._replace(
        **{name: getattr(before, name) for name, value in given._asdict().items() if value is None}
    )


def options_of(convention: Convention) -> str:
    """Returns the options that give a convention, as on the command line."""
    x, y, width, height = convention.shown_at_px or (0, 0, 0, 0)
    texts = {
        "--units": convention.units,
        "--origin": convention.origin_px,
        "--y": convention.y_axis,
        "--pixels-per-degree": convention.pixels_per_degree,
        "--screen": size_in_words(convention.screen_px) or None,
        "--fit": convention.fit,
        "--shown-at": f"{x:g},{y:g},{width:g}x{height:g}" if convention.shown_at_px else None,
    }
    return " ".join(f"{option} {text}" for option, text in texts.items() if text is not None)


def size_in_words(screen_px: tuple[int, int] | None) -> str:
    """Returns a size as on the command line, such as 1920x1080; "": not known."""
    return "x".join(map(str, screen_px or ()))


def from_metadata(stored: Mapping[str, Any]) -> Convention:
    """Returns a convention from the metadata of a data set, where tuples are lists."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
    return Convention(**values)


def is_placed(convention: Convention) -> bool:
    """Whether a convention says where the image was on the screen."""
    return convention.fit is not None or convention.shown_at_px is not None


def check(convention: Convention) -> None:
    """Checks that a complete convention is consistent.

    Raises:
        ValueError: the message has the option, the value and what is allowed.
    """
    units, pixels_per_degree = convention.units, convention.pixels_per_degree
    if units not in ("px", "frac", "deg"):
        raise ValueError(f"--units is {units!r}, expected px, frac or deg")
    if convention.origin_px not in (0, 0.5, 1):
        raise ValueError(f"--origin is {convention.origin_px}, expected 0, 0.5 or 1")
    if units != "px" and convention.origin_px != 0.5:
        raise ValueError(f"--origin {convention.origin_px} applies to --units px, not to {units}")
    if convention.y_axis not in ("down", "up"):
        raise ValueError(f"--y is {convention.y_axis!r}, expected down or up")
    if units == "deg" and pixels_per_degree is None:
        raise ValueError("--units deg needs --pixels-per-degree")
    if pixels_per_degree is not None and not 0 < pixels_per_degree < math.inf:
        raise ValueError(f"--pixels-per-degree is {pixels_per_degree}, expected a number above 0")
    if convention.screen_px is not None and min(convention.screen_px) < 1:
        raise ValueError(f"--screen is {convention.screen_px}, expected at least 1 by 1 pixel")
    if convention.shown_at_px is None:
        if (convention.screen_px is None) != (convention.fit is None):
            raise ValueError(
                "--screen and --fit go together: --screen is the size of the screen in pixels, "
                "--fit is how the screen showed the image"
            )
        return
    if convention.fit is not None:
        raise ValueError("--fit and --shown-at exclude each other: both say where the image was")
    shown = convention.shown_at_px
    if not all(map(math.isfinite, shown)) or min(shown[2:]) <= 0:
        raise ValueError(f"--shown-at is {shown}, expected a width and a height above 0")
    if convention.screen_px is None and (units != "px" or convention.y_axis == "up"):
        raise ValueError(
            f"--shown-at with --units {units} and --y {convention.y_axis} needs --screen, the size "
            "of the screen in pixels"
        )


def to_image_px(xy: np.ndarray, *, convention: Convention, width: int, height: int) -> np.ndarray:
    """Converts coordinates of a table to pixels of an image.

    Args:
        xy: [n, 2] x, y of the table, in the units of `convention`.
        convention: a convention that passes `check`.
        width: width of the image in pixels.
        height: height of the image in pixels.

    Returns:
        float64 [n, 2] x, y in pixels; the top left corner is (0, 0). A point outside the image has
        coordinates below 0 or above the size of the image.

    Source: ours.
    """
    frame = np.array(convention.screen_px or (width, height))
    match convention.units:
        case "px":
            xy_px = xy + (0.5 - (convention.origin_px or 0))
        case "frac":
            xy_px = xy * frame
        case "deg":
            xy_px = frame / 2 + xy * convention.pixels_per_degree
    if convention.y_axis == "up":
        # With degrees, the centre stays; with pixels and fractions, the edges change places.
        xy_px = np.column_stack([xy_px[:, 0], frame[1] - xy_px[:, 1]])
    if convention.shown_at_px is not None:
        left, top, shown_width, shown_height = convention.shown_at_px
        return (xy_px - (left, top)) * (width / shown_width, height / shown_height)
    if convention.screen_px is None or convention.fit is None:
        return xy_px
    return screen_to_image(
        xy_px, screen=convention.screen_px, fit=convention.fit, width=width, height=height
    )


def screen_to_image(
    xy_px: np.ndarray, *, screen: tuple[int, int], fit: Fit, width: int, height: int
) -> np.ndarray:
    """Converts pixels of a screen to pixels of an image on the screen.

    Args:
        xy_px: [n, 2] x, y in pixels of the screen; the top left corner is (0, 0).
        screen: width and height of the screen in pixels.
        fit: `centre`: the image is in the middle, as large as fits, with its aspect ratio;
            `stretch`: the image fills the screen; `native`: the image is in the middle, one pixel
            of the image on one pixel of the screen.
        width: width of the image in pixels.
        height: height of the image in pixels.

    Returns:
        float64 [n, 2] x, y in pixels of the image; the top left corner is (0, 0).

    Raises:
        ValueError: unknown fit.
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
