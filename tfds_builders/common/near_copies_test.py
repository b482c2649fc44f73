"""Copies are found through compression, size and brightness; other pictures are not copies."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

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


def test_a_stored_jpeg_has_the_signature_of_its_pixels() -> None:
    picture = make_picture(3, 1600, 1200)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=95)
    fast = near_copies.signature_of(buffer.getvalue()).astype(int)
    assert np.abs(fast - near_copies.signature(picture)).max() <= 3
