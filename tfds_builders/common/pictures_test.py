"""A picture is read right or refused, and is found by its name in its folder only."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tfds_builders.common import pictures


def find_images(names: list[str], folder: Path, file_names: list[str]) -> dict[str, str]:
    """Creates empty files and returns the file that is found for each name."""
    for file_name in file_names:
        (folder / file_name).touch()
    found = pictures.find_images(names, folder)
    return {name: path.name for name, path in found.items()}


@pytest.mark.parametrize(
    ("names", "file_names", "found"),
    [
        # The exact name is taken first.
        (["a b.jpg"], ["A_b.jpg", "a b.jpg", "a__b.JPG"], ["a b.jpg"]),
        (["2016 (1).JPG"], ["2016_1_.jpg"], ["2016_1_.jpg"]),
        (["a..b #0002.jpg"], ["a_b_0002.jpg", "a_b_0003.jpg"], ["a_b_0002.jpg"]),
        # A file with the exact name of one image is not taken for another image.
        (["A-b.jpg", "a b.jpg"], ["a b.jpg", "a_b.jpg"], ["a_b.jpg", "a b.jpg"]),
    ],
)
def test_an_image_is_found_by_its_exact_or_normalized_name(
    tmp_path: Path, names: list[str], file_names: list[str], found: list[str]
) -> None:
    assert find_images(names, tmp_path, file_names) == dict(zip(names, found, strict=True))


@pytest.mark.parametrize(
    ("names", "file_names", "error_type", "message"),
    [
        (
            ["a b.jpg"],
            ["a_b.jpg", "A-b.jpg"],
            ValueError,
            "'A-b.jpg' and 'a_b.jpg' both could be 'a b.jpg'; give the right file this name",
        ),
        (["a b.jpg", "A-b.jpg"], ["a_b.jpg"], ValueError, "'a b.jpg' and 'A-b.jpg' have the same"),
        # Signs, vowel signs and symbols are part of a name.
        (["c-10.png"], ["c+10.png"], FileNotFoundError, "lacks 1 of 1 images: 'c-10.png'"),
        (["\u0915\u093f.png"], ["\u0915\u0947.png"], FileNotFoundError, "lacks 1 of 1 images"),
        (["x\u00b2.png"], ["x2.png"], FileNotFoundError, "lacks 1 of 1 images"),
        # A file is the image of one name only.
        (["a b.jpg", "A-b.jpg"], ["a b.jpg"], ValueError, "one file for 'a b.jpg' and 'A-b.jpg'"),
        (
            [f"{number}.jpg" for number in range(20)],
            ["3.jpg"],
            FileNotFoundError,
            r"lacks 19 of 20 images: '0.jpg', '1.jpg', '2.jpg', '4.jpg'.* '10.jpg', \.\.\.$",
        ),
    ],
)
def test_missing_or_ambiguous_images_are_refused(
    tmp_path: Path,
    names: list[str],
    file_names: list[str],
    error_type: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error_type, match=message) as error:
        find_images(names, tmp_path, file_names)
    assert "\n" not in str(error.value)


def test_a_file_of_another_name_is_said(tmp_path: Path) -> None:
    for name in ("a.png", "b_1.png"):
        (tmp_path / name).touch()
    found = pictures.find_images(["a.png", "B 1.png"], tmp_path)
    assert pictures.renamed(found, tmp_path) == [
        "images that are read from files of names alike: 'B 1.png' from 'b_1.png'"
    ]
    assert pictures.renamed({"a.png": found["a.png"]}, tmp_path) == []


def test_an_image_is_found_in_a_subfolder(tmp_path: Path) -> None:
    (tmp_path / "Bowl").mkdir()
    (tmp_path / "Bowl" / "1.JPG").touch()
    assert pictures.find_images(["bowl/1.jpg"], tmp_path) == {
        "bowl/1.jpg": tmp_path / "Bowl" / "1.JPG"
    }


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 3)).save(tmp_path / "secret.png")
    Image.new("RGB", (4, 3)).save(tmp_path / "images" / "b.png")
    (tmp_path / "images" / "a.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "images" / "c.png").symlink_to(tmp_path / "images" / "b.png")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "images")
    with pytest.raises(ValueError, match=r"a\.png leads out of .*images to .*secret\.png"):
        pictures.read(tmp_path / "images" / "a.png", tmp_path / "images")
    for path in (tmp_path / "images" / "c.png", tmp_path / "elsewhere" / "b.png"):
        assert pictures.read(path, path.parent)[1:] == (4, 3)


@pytest.mark.parametrize(
    ("name", "file_name"),
    [
        ("scene_0.png", "scene_O.png"),
        ("scene_0.png", "scene_0.jpg"),
        # In another folder, or with a folder that the files do not have.
        ("scene_0.png", "more/scene_0.png"),
        ("/home/ann/scene_0.png", "SCENE_0.png"),
    ],
)
def test_the_nearest_name_of_a_missing_image_is_offered(
    tmp_path: Path, name: str, file_name: str
) -> None:
    for other in ("other.png", "1.png", file_name):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).touch()
    with pytest.raises(FileNotFoundError) as error:
        pictures.find_images(["1.png", name], tmp_path)
    assert str(error.value).endswith(f"lacks 1 of 2 images: {name!r} (nearest: {file_name!r})")


# 4 x 3 pixels, all different, with an even value in blue.
PIXELS = np.arange(0, 4 * 3 * 3, dtype=np.uint8).reshape(3, 4, 3) * 6
RGB = Image.fromarray(PIXELS)
GRAY = Image.fromarray(PIXELS[..., 0])


def write(path: Path, image: Image.Image, file_format: str = "PNG", **options: Any) -> Path:
    """Writes an image file whose name may not fit its format."""
    image.save(path, format=file_format, **options)
    return path


def orientation(value: int) -> Image.Exif:
    """Returns EXIF data with an orientation."""
    exif = Image.Exif()
    exif[274] = value
    return exif


def decode_by_tfds(encoded: bytes) -> np.ndarray:
    """Decodes a stored picture as TFDS does."""
    return tfds.features.Image(shape=(None, None, 3)).decode_example_np(encoded)


def assert_reads_as(path: Path, expected: np.ndarray, **options: Any) -> pictures.Picture:
    """Checks that all readers see the expected pixels, upright."""
    picture = pictures.read(path, **options)
    pixels = pictures.read_pixels(path, **options)
    for found in (pixels, pictures.decode(picture.encoded), decode_by_tfds(picture.encoded)):
        np.testing.assert_array_equal(found, expected)
    assert picture[1:] == expected.shape[1::-1]
    assert pictures.read_image(path, **options).size == picture[1:]
    assert pictures.read_size(path, options.get("exif", "refuse")) == picture[1:]
    with Image.open(io.BytesIO(picture.encoded)) as stored:
        assert stored.mode == "RGB"
        assert stored.getexif().get(274, 1) in (0, 1, 9)  # 0 and 9 mean nothing.
    return picture


def gray_png(
    bits: int, pixels: bytes, color_type: int = 0, width: int = 2, palette: bytes = b""
) -> bytes:
    """Returns a PNG file of one row that Pillow cannot write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, 1, bits, color_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"PLTE", palette) if palette else b"")
        + chunk(b"IDAT", zlib.compress(b"\0" + pixels))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_bytes_of_an_rgb_image_are_stored_as_they_are(tmp_path: Path, file_format: str) -> None:
    # Orientations 0 and 9 do not exist; 1 is upright.
    for value in (0, 1, 9):
        path = write(tmp_path / "a.jpg", RGB, file_format, exif=orientation(value))
        with Image.open(path) as image:
            expected = np.asarray(image)
        for exif in ("refuse", "ignore", "turn"):
            assert assert_reads_as(path, expected, exif=exif).encoded == path.read_bytes()


def test_the_first_picture_of_a_camera_file_of_two_is_read(tmp_path: Path) -> None:
    flipped = RGB.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    first = write(tmp_path / "one.jpg", RGB, "JPEG")
    path = write(tmp_path / "two.jpg", RGB, "MPO", save_all=True, append_images=[flipped])
    with Image.open(path) as both, Image.open(first) as one:
        assert (both.format, both.n_frames) == ("MPO", 2)  # type: ignore[attr-defined]
        expected = np.asarray(one)
    assert assert_reads_as(path, expected).encoded == path.read_bytes()
    tag = {"save_all": True, "append_images": [flipped], "exif": orientation(3)}
    turned = write(tmp_path / "turned.jpg", RGB, "MPO", **tag)
    assert_reads_as(turned, expected, exif="ignore")
    assert_reads_as(turned, expected[::-1, ::-1], exif="turn")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (GRAY, np.repeat(PIXELS[..., :1], 3, axis=2)),
        (GRAY.convert("LA"), np.repeat(PIXELS[..., :1], 3, axis=2)),
        (RGB.convert("RGBA"), PIXELS),
        (RGB.quantize(), PIXELS),
        (Image.fromarray(PIXELS[..., 0] > 30), np.repeat(PIXELS[..., :1] > 30, 3, axis=2) * 255),
    ],
    ids=["L", "LA", "RGBA", "P", "1"],
)
def test_other_modes_that_are_exact_in_rgb_are_encoded_anew(
    tmp_path: Path, image: Image.Image, expected: np.ndarray
) -> None:
    path = write(tmp_path / "a.png", image, icc_profile=b"not applied")
    picture = assert_reads_as(path, expected)
    assert picture.encoded.startswith(b"\x89PNG")
    assert b"iCCP" not in picture.encoded


def test_gray_of_two_bits_has_its_whole_range(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(gray_png(2, b"\x1b", width=4))  # 0, 1, 2, 3
    expected = np.repeat(np.array([[[0], [85], [170], [255]]]), 3, axis=2)
    assert_reads_as(tmp_path / "a.png", expected)


def test_a_transparent_color_that_no_pixel_has_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", RGB, transparency=(1, 1, 1))
    assert b"tRNS" not in assert_reads_as(path, PIXELS).encoded
    write(path, RGB, transparency=RGB.getpixel((1, 1)))
    with pytest.raises(ValueError, match=r"a\.png is transparent in places"):
        pictures.read(path)


def half(image: Image.Image) -> Image.Image:
    """Makes one pixel half transparent."""
    image = image.convert(f"{image.mode}A")
    image.putpixel((0, 0), (*image.getpixel((0, 0))[:-1], 128))  # type: ignore[index]
    return image


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: write(path, half(RGB)), "is transparent in places, and what was shown there"),
        (lambda path: write(path, half(GRAY)), "is transparent in places"),
        (lambda path: write(path, RGB.quantize(), transparency=0), "is transparent in places"),
        (lambda path: write(path, RGB.convert("CMYK"), "JPEG"), "is a CMYK image, expected RGB or"),
        (lambda path: write(path, GRAY.convert("I;16")), "has 16 bits a channel, expected 8: save"),
        (
            # Pillow gives it as an image of 8 bits.
            lambda path: path.write_bytes(gray_png(16, bytes(12), color_type=2)),
            "has 16 bits a channel",
        ),
        (lambda path: write(path, GRAY.convert("F"), "TIFF"), "is a TIFF file, expected JPEG"),
        (
            lambda path: write(path, RGB, "GIF", save_all=True, append_images=[GRAY]),
            "is a GIF file, expected JPEG, PNG or BMP: convert it",
        ),
        (
            lambda path: write(path, RGB, save_all=True, append_images=[GRAY.convert("RGB")]),
            "is an animation of 2 pictures, expected one",
        ),
        (lambda path: path.write_bytes(b""), "does not decode"),
        (lambda path: path.write_bytes(b"no picture"), "does not decode"),
    ],
)
def test_a_picture_that_is_not_known_exactly_is_refused_in_one_line(
    tmp_path: Path, make: Callable[[Path], Any], message: str
) -> None:
    path = tmp_path / "a.png"
    make(path)
    for read in (pictures.read, pictures.read_pixels, pictures.read_image):
        with pytest.raises(ValueError, match=rf"a\.png {message}") as error:
            read(path)
        assert "\n" not in str(error.value)


def test_bmp_is_stored_as_png_with_the_same_pixels(tmp_path: Path) -> None:
    for image in (RGB, GRAY, RGB.quantize(), GRAY.convert("1")):
        picture = pictures.read(write(tmp_path / "a.bmp", image, "BMP"))
        assert picture.encoded.startswith(b"\x89PNG")
        np.testing.assert_array_equal(
            decode_by_tfds(picture.encoded), np.asarray(image.convert("RGB"))
        )


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP"])
def test_a_truncated_picture_is_refused_wherever_it_is_cut(
    tmp_path: Path, file_format: str
) -> None:
    path = write(tmp_path / "a.jpg", RGB, file_format)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="does not decode"):
            pictures.read(path)


def test_too_many_pixels_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.png", RGB)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
    assert pictures.read(path)[1:] == (4, 3)  # Pillow's warning, from 7 to 14 pixels, is no error.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(
        ValueError, match=r"a\.png has too many pixels, expected at most 10: reduce"
    ):
        pictures.read(path)


# Where the stored pixels go when a viewer turns them, by the table of the EXIF standard.
TURNED = {
    2: PIXELS[:, ::-1],
    3: PIXELS[::-1, ::-1],
    4: PIXELS[::-1],
    5: PIXELS.transpose(1, 0, 2),
    6: PIXELS[::-1].transpose(1, 0, 2),
    7: PIXELS[::-1, ::-1].transpose(1, 0, 2),
    8: PIXELS[:, ::-1].transpose(1, 0, 2),
}


@pytest.mark.parametrize("value", sorted(TURNED))
def test_an_orientation_is_refused_ignored_or_turned(tmp_path: Path, value: int) -> None:
    for image, mode in ((RGB, slice(None)), (GRAY, slice(1))):
        path = write(tmp_path / "a.png", image, exif=orientation(value))
        with pytest.raises(ValueError, match=r"--exif ignore keeps .*, --exif turn turns") as error:
            pictures.read(path)
        assert f"a.png: its EXIF orientation is {value}, expected 1" in str(error.value)
        # A gray image has its values in three channels.
        whole = np.zeros((3, 4, 3), np.uint8) + PIXELS[..., mode]
        assert_reads_as(path, whole, exif="ignore")
        turned = np.zeros((*TURNED[value].shape[:2], 3), np.uint8) + TURNED[value][..., mode]
        assert_reads_as(path, turned, exif="turn")


@pytest.mark.parametrize("kind", [b"\1\0", b"\2\0"])  # A byte, and a text.
def test_an_orientation_of_another_type_is_read(tmp_path: Path, kind: bytes) -> None:
    path = write(tmp_path / "a.jpg", RGB, "JPEG", exif=orientation(6))
    content = path.read_bytes()
    # The tag 274, a number of 16 bits, once, and 6: with the lowest byte last, as Pillow writes.
    entry = b"\x01\x12\0\3\0\0\0\1\0\6\0\0"
    assert content.count(entry) == 1
    for value in (b"\6\0\0\0", b"6\0\0\0")[: kind[0]]:
        changed = b"\x01\x12" + kind[::-1] + b"\0\0\0" + bytes([kind[0]]) + value
        path.write_bytes(content.replace(entry, changed))
        with pytest.raises(ValueError, match="EXIF orientation is 6, expected 1"):
            pictures.read(path)
        assert pictures.read_size(path, "turn") == (3, 4)


def test_a_color_outside_of_the_palette_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for bits, pixels in ((8, b"\1\2"), (2, b"\x60")):  # The colors 1 and 2.
        for palette in (b"\0\0\0ABCDEF", b"\0\0\0ABC"):
            path.write_bytes(gray_png(bits, pixels, color_type=3, palette=palette))
            if len(palette) == 9:
                assert pictures.read_pixels(path).tobytes() == b"ABCDEF"
        with pytest.raises(ValueError, match=r"\(it has color 2 in a palette of 2 colors\)"):
            pictures.read(path)


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ValueError, match=r"a\.png is a folder, expected a picture"):
        pictures.read(tmp_path / "a.png")


def test_an_ignored_tag_of_a_jpeg_is_removed_and_its_coded_pixels_stay(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.jpg", RGB, "JPEG")
    with Image.open(plain) as image:
        expected = np.asarray(image)
    for options in (
        {"exif": orientation(6)},
        {"xmp": b'<x tiff:Orientation="6"/>'},
        {"exif": orientation(6), "progressive": True},
    ):
        path = write(tmp_path / "a.jpg", RGB, "JPEG", **options)
        picture = assert_reads_as(path, expected, exif="ignore")
        assert picture.encoded.startswith(b"\xff\xd8")
        if "progressive" not in options:
            assert picture.encoded == plain.read_bytes()
        assert_reads_as(path, expected[::-1].transpose(1, 0, 2), exif="turn")


@pytest.mark.parametrize("place", [2, 20, 20 + 36])
def test_fill_bytes_before_a_marker_of_a_jpeg_are_no_marker(tmp_path: Path, place: int) -> None:
    path = write(tmp_path / "a.jpg", RGB, "JPEG", exif=orientation(6))
    content = path.read_bytes()
    # JFIF has bytes 2 to 19, and EXIF with one tag has 36 bytes after it.
    assert content[2:4] == b"\xff\xe0"
    assert content[20:22] == b"\xff\xe1"
    assert content[56:58] == b"\xff\xdb"
    with Image.open(path) as image:
        expected = np.asarray(image)
    path.write_bytes(content[:place] + b"\xff\xff" + content[place:])
    assert assert_reads_as(path, expected, exif="ignore").encoded.startswith(b"\xff\xd8")


def test_a_release_is_rgb(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", GRAY)
    with pytest.raises(ValueError, match=r"a\.png is a L image, expected RGB: unpack the release"):
        pictures.read_released(path, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"b\.png is missing: unpack the whole release"):
        pictures.read_released(tmp_path / "b.png", tmp_path)


def test_a_reduced_picture_keeps_its_shape() -> None:
    steps = np.repeat(np.arange(0, 200, 25, dtype=np.uint8), 128)[None].repeat(512, axis=0)
    for image in (Image.fromarray(steps), Image.fromarray(steps).convert("RGB")):
        small = pictures.reduce(image, 8)
        assert (small.mode, small.size) == ("RGB", (8, 4))
        np.testing.assert_array_equal(np.asarray(small)[0, :, 0], np.arange(0, 200, 25))
    assert pictures.reduce(RGB, 100).size == RGB.size


def png_of_gray(
    levels: list[list[int]], bits: int, transparent: int | None, num_rows: int
) -> bytes:
    """Writes gray of few bits, of which the header says `num_rows` rows."""
    rows = b""
    for row in levels:
        packed = int("".join(f"{level:0{bits}b}" for level in row), 2)
        rows += b"\0" + packed.to_bytes(len(row) * bits // 8, "big")
    header = struct.pack(">IIBBBBB", len(levels[0]), num_rows, bits, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    if transparent is not None:
        chunks.insert(1, (b"tRNS", struct.pack(">H", transparent)))
    parts = (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(("bits", "levels"), [(2, [[0, 1, 2, 2]]), (4, [[0, 5, 9, 9]])])
def test_a_transparent_gray_of_few_bits_is_seen(
    bits: int, levels: list[list[int]], tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    for transparent in (levels[0][1], levels[0][2]):
        path.write_bytes(png_of_gray(levels, bits, transparent, 1))
        with pytest.raises(ValueError, match=r"a\.png is transparent in places"):
            pictures.read(path)
    path.write_bytes(png_of_gray(levels, bits, 3, 1))
    scale = 255 // (2**bits - 1)
    assert pictures.read_pixels(path)[0, :, 0].tolist() == [scale * one for one in levels[0]]


def test_a_png_of_fewer_rows_than_it_says_is_refused(tmp_path: Path) -> None:
    levels = [[0, 5, 9, 9]] * 4
    path = tmp_path / "a.png"
    path.write_bytes(png_of_gray(levels, 4, None, 4))
    assert pictures.read(path)[1:] == (4, 4)
    path.write_bytes(png_of_gray(levels[:2], 4, None, 4))
    with pytest.raises(ValueError, match=r"a\.png does not decode \("):
        pictures.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a\.png does not decode \(it is empty\), expected JPEG, PNG or BMP"),
        (
            b"<html>\n<b>404</b>",
            r"a\.png does not decode \(it holds the text '<html> <b>404</b>'\)",
        ),
        (
            b"\x00\xff\xfe",
            r"a\.png does not decode \(it is no picture\), expected JPEG, PNG or BMP: fetch",
        ),
    ],
)
def test_what_is_no_picture_says_what_it_holds(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(content)
    for read in (pictures.read, pictures.read_size):
        with pytest.raises(ValueError, match=message):
            read(tmp_path / "a.png")
