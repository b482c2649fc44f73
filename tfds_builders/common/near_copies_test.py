"""Copies are found through compression, size and brightness; other pictures are not copies."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from tfds_builders.common import near_copies


def make_picture(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """A picture of soft colored patches."""
    patches = np.random.default_rng(seed).integers(30, 226, (6, 8, 3), np.uint8)
    return Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)


def compress(image: Image.Image, quality: int) -> Image.Image:
    """Writes and reads a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return Image.open(buffer)


def group(**images: Image.Image) -> list[list[str]]:
    """Groups pictures by their names."""
    return near_copies.group(list(images), [near_copies.signature(one) for one in images.values()])


@pytest.mark.parametrize("seed", range(3))
def test_copies_are_found(seed: int) -> None:
    picture, others = make_picture(seed), {f"z{n}": make_picture(n + 9) for n in range(20)}
    for copy in (
        picture.copy(),
        compress(picture, 50),
        picture.resize((160, 120)),
        compress(picture.resize((160, 120)), 50),
        ImageEnhance.Brightness(picture).enhance(1.1),
        ImageEnhance.Brightness(picture).enhance(0.9),
    ):
        assert group(b=picture, a=copy, **others) == [["a", "b"]]


def make_page(seed: int) -> Image.Image:
    """A page of text: lines of random letters."""
    generator, font = np.random.default_rng(seed), ImageFont.load_default(22)
    page = Image.new("RGB", (1280, 1024), "white")
    for y in range(100, 920, 44):
        line = "".join(generator.choice(list("etaoinshrdlu  "), 80))
        ImageDraw.Draw(page).text((100, y), line, fill="black", font=font)
    return page


def make_search_array(target: int) -> Image.Image:
    """An array of 48 equal items, but for the second stroke of one item."""
    array = Image.new("RGB", (1024, 768), "gray")
    for place in range(48):
        x, y = place % 8 * 128 + 64, place // 8 * 128 + 64
        shift = (-20, 0, 20)[target if place == 19 else 0]
        ImageDraw.Draw(array).line((x - 20, y, x + 20, y), fill="black", width=4)
        ImageDraw.Draw(array).line((x + shift, y, x + shift, y + 20), fill="black", width=4)
    return array


def make_word(word: str) -> Image.Image:
    """A single word in the middle of a screen."""
    screen = Image.new("RGB", (1024, 768), "white")
    ImageDraw.Draw(screen).text((420, 360), word, fill="black", font=ImageFont.load_default(48))
    return screen


def make_disc(color: tuple[int, int, int]) -> Image.Image:
    """A disc of 40 pixels in the middle of a screen."""
    screen = Image.new("RGB", (1024, 768), "gray")
    ImageDraw.Draw(screen).ellipse((492, 364, 532, 404), fill=color)
    return screen


def make_grating(angle: float, period: float) -> Image.Image:
    """A grating of a period in pixels."""
    y, x = np.mgrid[:512, :512]
    phase = 2 * np.pi / period * (x * np.cos(angle) + y * np.sin(angle))
    return Image.fromarray((127 + 100 * np.sin(phase)).astype(np.uint8))


@pytest.mark.parametrize("seed", range(3))
def test_other_pictures_are_no_copies(seed: int) -> None:
    picture = make_picture(seed)
    red, green, blue = picture.split()
    changed = picture.copy()
    changed.paste((255, 255, 0), (100, 100, 140, 130))  # A sixty-fourth of the picture.
    for other in (
        ImageOps.mirror(picture),
        ImageOps.flip(picture),
        picture.crop((30, 20, 320, 240)),
        Image.merge("RGB", (blue, green, red)),
        ImageOps.invert(picture),
        changed,
    ):
        assert group(a=picture, b=other) == []


def test_a_nearly_symmetric_picture_and_its_mirror_image_are_no_copies() -> None:
    pixels = np.asarray(make_picture(0)).astype(int)
    half = (pixels + pixels[:, ::-1]) // 2
    near = half + np.linspace(-6, 6, 320).round().astype(int)[None, :, None]
    picture = Image.fromarray(np.clip(near, 0, 255).astype(np.uint8))
    assert group(a=picture, b=ImageOps.mirror(picture)) == []
    assert group(a=picture, b=compress(picture, 50)) == [["a", "b"]]


def test_plain_screens_are_copies_if_their_colors_are_alike() -> None:
    red, green, gray = (
        Image.new("RGB", (9, 5), color) for color in ((200, 0, 0), (0, 102, 0), (60, 60, 60))
    )
    assert group(a=red, b=green, c=gray, d=red) == [["a", "d"]]
    assert near_copies.group([], []) == []


def test_copies_of_copies_are_one_group() -> None:
    """Steps of brightness: each is a copy of the next, the first and the last are not."""
    picture = Image.fromarray(np.asarray(make_picture(1)) // 3)
    steps = {
        f"s{number}": Image.fromarray(np.asarray(picture) + np.uint8(30 * number))
        for number in range(4)
    }
    assert group(s0=steps["s0"], s3=steps["s3"]) == []
    assert group(z=make_picture(2), **steps) == [["s0", "s1", "s2", "s3"]]


def test_a_stored_picture_has_the_signature_of_its_pixels() -> None:
    picture = make_picture(3, 1600, 1200)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    stored, read = near_copies.signature_of(buffer.getvalue()), near_copies.signature(picture)
    np.testing.assert_array_equal(stored.color, read.color)
    assert stored[1:] == read[1:] == (1200, 1600, b"")


SPARSE = {
    "pages": [make_page(seed) for seed in range(4)],
    "search arrays": [make_search_array(target) for target in range(3)],
    "words": [make_word(word) for word in ("house", "mouse", "table", "apple")],
    "discs": [make_disc(color) for color in ((255, 0, 0), (0, 128, 0), (0, 0, 255))],
}


@pytest.mark.parametrize("kind", SPARSE)
def test_pictures_with_a_common_background_are_copies_of_themselves_only(kind: str) -> None:
    images = {str(number): image for number, image in enumerate(SPARSE[kind])}
    assert group(**images) == []
    for change in (
        lambda image: compress(image, 50),
        lambda image: compress(image.resize((image.width // 2, image.height // 2)), 75),
    ):
        copies = {f"{name} copy": change(image) for name, image in images.items()}
        assert group(**images, **copies) == [[name, f"{name} copy"] for name in images]


def test_pictures_whose_content_is_finer_than_a_cell_are_copies_if_all_pixels_are_equal() -> None:
    # Cells are 8 pixels wide, so that all cells have the mean of the grating.
    fine = [make_grating(angle, 4) for angle in (0, np.pi / 2)]
    assert group(a=fine[0], b=fine[1], c=fine[0].copy(), d=fine[0].convert("RGB")) == [
        ["a", "c", "d"]
    ]
    plain = {f"g{level}": Image.new("L", (90, 60), level) for level in (100, 101, 112)}
    assert group(**plain, other_size=Image.new("L", (30, 40), 101)) == [["g101", "other_size"]]


def test_discs_of_other_gray_are_no_copies_at_one_size() -> None:
    """Between two sizes, the edge of a small disc may differ by more than its gray."""
    discs = {f"d{level}": make_disc((level, level, level)) for level in (180, 200, 220)}
    copies = {f"{name}_copy": compress(disc, 50) for name, disc in discs.items()}
    assert group(**discs, **copies) == [[name, f"{name}_copy"] for name in discs]


def test_equal_pictures_are_found_in_a_set_of_arrays_of_which_each_pair_is_compared() -> None:
    arrays = [make_search_array(number % 3) for number in range(6)]
    names = [str(number) for number in range(6)]
    signatures = [
        near_copies.signature(compress(array, 60 + 5 * number))
        for number, array in enumerate(arrays)
    ]
    assert near_copies.group(names, signatures) == [["0", "3"], ["1", "4"], ["2", "5"]]
