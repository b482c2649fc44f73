"""Images are found by name in their folder only, and decode completely."""

from pathlib import Path

import pytest
from PIL import Image

from tfds_builders.common import raw_files


def find_images(names: list[str], folder: Path, file_names: list[str]) -> dict[str, str]:
    """Creates empty files and returns the file that is found for each name."""
    for file_name in file_names:
        (folder / file_name).touch()
    found = raw_files.find_images(names, folder)
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
        # A file is the image of one name only.
        (["a b.jpg", "A-b.jpg"], ["a b.jpg"], FileNotFoundError, "lacks 1 of 2 images: 'A-b.jpg'"),
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


def test_an_image_is_found_in_a_subfolder(tmp_path: Path) -> None:
    (tmp_path / "Bowl").mkdir()
    (tmp_path / "Bowl" / "1.JPG").touch()
    assert raw_files.find_images(["bowl/1.jpg"], tmp_path) == {
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
        raw_files.read_image(tmp_path / "images" / "a.png", tmp_path / "images")
    for path in (tmp_path / "images" / "c.png", tmp_path / "elsewhere" / "b.png"):
        assert raw_files.read_image(path, path.parent)[1:] == (4, 3)


def test_another_format_of_image_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png", format="BMP")
    with pytest.raises(ValueError, match=r"a\.png is a BMP file, expected JPEG or PNG"):
        raw_files.read_image(tmp_path / "a.png", tmp_path)
