"""Coordinates of gaze on an image, by units, origin and screen."""

from typing import Any

import numpy as np
import pytest

from tfds_builders.common import coordinates
from tfds_builders.common.coordinates import Convention


@pytest.mark.parametrize(
    ("size_px", "screen_px", "image_px"),
    [
        # The size of OSIE: scaled by 1.8 to 1440 of 1920 columns, from column 240.
        ((800, 600), [[240, 0], [241.8, 1.8], [960, 540], [1680, 1080]], "corners"),
        ((1920, 1080), [[0, 0], [1, 1], [960, 540], [1920, 1080]], "corners"),
        # Twice the screen: scaled by 1/2.
        ((3840, 2160), [[0, 0], [0.5, 0.5], [960, 540], [1920, 1080]], "corners"),
        # Scaled by 4.8 to 480 of 1080 rows.
        ((400, 100), [[0, 300], [4.8, 304.8], [960, 540], [1920, 780]], "corners"),
        # Scaled by 1.8 to 540 of 1920 columns.
        ((300, 600), [[690, 0], [691.8, 1.8], [960, 540], [1230, 1080]], "corners"),
        # Outside the image, whose x is 0 to 800.
        ((800, 600), [[0, 0], [1920, 1080]], [[-240 / 1.8, 0], [800 + 240 / 1.8, 600]]),
    ],
)
def test_a_point_of_the_screen_is_found_on_the_image(
    size_px: tuple[int, int], screen_px: list[list[float]], image_px: Any
) -> None:
    width, height = size_px
    if image_px == "corners":
        image_px = [[0, 0], [1, 1], [width / 2, height / 2], [width, height]]
    found = coordinates.screen_to_image(
        np.asarray(screen_px), screen=(1920, 1080), fit="centre", width=width, height=height
    )
    np.testing.assert_allclose(found, image_px, atol=1e-9)


@pytest.mark.parametrize(
    ("convention", "xy", "expected"),
    [
        # An image of 40 x 20. All conventions give (0.5, 0.5) for the centre of the first pixel.
        (Convention("px", 0.5, None, None, None), [0.5, 0.5], [0.5, 0.5]),
        (Convention("px", 0, None, None, None), [0, 0], [0.5, 0.5]),
        (Convention("px", 1, None, None, None), [1, 1], [0.5, 0.5]),
        (Convention("frac", 0.5, None, None, None), [0.25, 0.5], [10, 10]),
        (Convention("deg", 0.5, 5, None, None), [-1, 2], [15, 20]),
        # On a screen of 160 x 100: scaled by 4, with 10 rows above.
        (Convention("px", 0.5, None, (160, 100), "centre"), [80, 50], [20, 10]),
        (Convention("px", 0.5, None, (160, 100), "centre"), [0, 10], [0, 0]),
        (Convention("px", 1, None, (160, 100), "centre"), [4.5, 14.5], [1, 1]),
        (Convention("px", 0.5, None, (160, 100), "stretch"), [4, 5], [1, 1]),
        (Convention("px", 0.5, None, (160, 100), "native"), [60, 40], [0, 0]),
        (Convention("frac", 0.5, None, (160, 100), "centre"), [0.5, 0.1], [20, 0]),
        (Convention("deg", 0.5, 10, (160, 100), "native"), [1, -1], [30, 0]),
        # y from the bottom: of the image, of the screen, and above the centre.
        (Convention("px", y_axis="up"), [10, 19.5], [10, 0.5]),
        (Convention("px", 1, y_axis="up"), [1, 1], [0.5, 19.5]),
        (Convention("frac", y_axis="up"), [0.25, 0.85], [10, 3]),
        (Convention("deg", pixels_per_degree=5, y_axis="up"), [-1, 2], [15, 0]),
        (Convention("px", None, None, (160, 100), "centre", "up"), [80, 50], [20, 10]),
        (Convention("px", None, None, (160, 100), "stretch", "up"), [4, 95], [1, 1]),
        # The image covers 80 x 40 pixels of the screen, twice its size.
        (Convention("px", shown_at_px=(20, 10, 80, 40)), [20, 10], [0, 0]),
        (Convention("px", shown_at_px=(20, 10, 80, 40)), [60, 40], [20, 15]),
        (
            Convention("frac", None, None, (160, 100), None, None, (20, 10, 80, 40)),
            [0.25, 0.3],
            [10, 10],
        ),
        (
            Convention("px", None, None, (160, 100), None, "up", (20, 10, 80, 40)),
            [60, 60],
            [20, 15],
        ),
    ],
)
def test_conventions_give_values_computed_by_hand(
    convention: Convention, xy: list[float], expected: list[float]
) -> None:
    convention = coordinates.complete(convention)
    coordinates.check(convention)
    found = coordinates.to_image_px(
        np.array([xy], float), convention=convention, width=40, height=20
    )
    np.testing.assert_allclose(found, [expected], atol=1e-9)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"units": "mm"}, "--units is 'mm', expected px, frac or deg"),
        ({"origin_px": 2}, "--origin is 2, expected 0, 0.5 or 1"),
        ({"units": "frac", "origin_px": 1}, "--origin 1 applies to --units px, not to frac"),
        ({"units": "deg"}, "--units deg needs --pixels-per-degree"),
        ({"pixels_per_degree": 0}, "--pixels-per-degree is 0, expected a number above 0"),
        ({"pixels_per_degree": float("nan")}, "--pixels-per-degree is nan"),
        ({"screen_px": (10, 10)}, "--screen and --fit go together"),
        ({"fit": "centre"}, "--screen and --fit go together"),
        ({"y_axis": "left"}, "--y is 'left', expected down or up"),
        (
            {"shown_at_px": (0, 0, 9, 9), "screen_px": (9, 9), "fit": "stretch"},
            "exclude each other",
        ),
        ({"shown_at_px": (0, 0, 0, 9)}, "expected a width and a height above 0"),
        ({"shown_at_px": (0, 0, 9, 9), "units": "frac"}, "needs --screen"),
        ({"shown_at_px": (0, 0, 9, 9), "y_axis": "up"}, "needs --screen"),
        ({"screen_px": (0, 10), "fit": "centre"}, r"--screen is \(0, 10\), expected at least"),
    ],
)
def test_an_invalid_convention_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        coordinates.check(coordinates.IMAGE_PX._replace(**changed))


SCREEN = Convention(screen_px=(320, 240), fit="native")
PLACED = Convention(screen_px=(320, 240), shown_at_px=(10, 20, 160, 120))


@pytest.mark.parametrize(
    ("given", "before", "said", "expected"),
    [
        # One option does not forget the others.
        (
            Convention(pixels_per_degree=30),
            SCREEN,
            {},
            SCREEN._replace(pixels_per_degree=30),
        ),
        (Convention(origin_px=0), Convention(y_axis="up"), {}, Convention("px", 0, y_axis="up")),
        # The new files know their screen.
        (Convention(), SCREEN, {"screen_px": (640, 480)}, Convention(fit="native")),
        # The new files have places on the image.
        (Convention(), SCREEN._replace(y_axis="up"), {"frame": "image"}, Convention(y_axis="up")),
        # Another place of the image, and another unit.
        (
            Convention(fit="stretch"),
            PLACED,
            {},
            Convention(screen_px=(320, 240), fit="stretch"),
        ),
        (Convention(units="frac"), Convention(origin_px=1), {}, Convention(units="frac")),
    ],
)
def test_what_was_given_before_fills_what_is_not_given_and_not_said(
    given: Convention, before: Convention, said: dict[str, Any], expected: Convention
) -> None:
    found = coordinates.fill(given, before, **{"screen_px": None, "frame": None, **said})
    assert found._replace(units=found.units or "px") == expected._replace(
        units=expected.units or "px"
    )


def test_a_place_on_a_screen_of_another_size_is_not_filled() -> None:
    with pytest.raises(ValueError, match=r"the screen is 640x480, and was 320x240 where --shown-"):
        coordinates.fill(Convention(), PLACED, screen_px=(640, 480), frame="screen")


def test_options_are_as_on_the_command_line() -> None:
    found = coordinates.options_of(PLACED._replace(units="px", origin_px=0.5))
    assert found == "--units px --origin 0.5 --screen 320x240 --shown-at 10,20,160x120"


def test_what_the_files_say_fills_what_is_not_given() -> None:
    found = coordinates.complete(
        Convention(fit="centre"), units="frac", y_axis="up", screen_px=(160, 100)
    )
    assert found == Convention("frac", 0.5, None, (160, 100), "centre", "up")
    given = Convention("px", 1, 20.0, (80, 50), "native", "down")
    assert coordinates.complete(given, units="frac", y_axis="up", screen_px=(160, 100)) == given
    # The screen alone does not say where the image is.
    assert coordinates.complete(Convention(), screen_px=(160, 100)).screen_px is None
