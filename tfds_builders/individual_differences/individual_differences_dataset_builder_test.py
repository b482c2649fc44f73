"""ID in both layouts, on generated releases, since the real release is not available."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import tensorflow_datasets as tfds
from PIL import Image

from tfds_builders.common.build import build
from tfds_builders.common.coordinates import IMAGE_PX
from tfds_builders.individual_differences import individual_differences_dataset_builder

NAME = "individual_differences"
NUM_IMAGES, NUM_USERS = 700, 101


@pytest.fixture(scope="module")
def images_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes small images under the names of OSIE."""
    folder = tmp_path_factory.mktemp("stimuli")
    Image.new("RGB", (80, 60)).save(folder / "1001.jpg")
    for number in range(1002, 1001 + NUM_IMAGES):
        (folder / f"{number}.jpg").write_bytes((folder / "1001.jpg").read_bytes())
    return folder


def scanpath_of(image: int, user: int) -> np.ndarray:
    """Returns rows of x, y and duration that identify image and user; top left corner (0, 0)."""
    return np.array([[0.5 + user % 79, 0.5 + image % 59, 100 + user], [9.5, 8.5, 200 + image]])


def write_struct(
    folder: Path, num_images: int = NUM_IMAGES, num_users: int = NUM_USERS, *, not_seen: Any = ()
) -> Path:
    """Writes fixations.mat in the layout of OSIE; the centre of the first pixel is (1, 1)."""
    folder.mkdir(exist_ok=True)
    cells = np.empty(num_images, object)
    for image in range(num_images):
        subjects = np.empty(num_users, object)
        for user in range(num_users):
            rows = scanpath_of(image, user)[: 0 if (image, user) in not_seen else None]
            subjects[user] = {
                "fix_x": rows[:, 0] + 0.5,
                "fix_y": rows[:, 1] + 0.5,
                "fix_duration": rows[:, 2],
            }
        cells[image] = {"img": f"{1001 + image}.jpg", "subjects": subjects}
    scipy.io.savemat(folder / "fixations.mat", {"fixations": cells})
    return folder


def write_table(folder: Path, num_images: int = NUM_IMAGES, num_users: int = NUM_USERS) -> Path:
    """Writes the same gaze as a table with the columns of gaze_table."""
    folder.mkdir(exist_ok=True)
    with (folder / "fixations.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "user", "x", "y", "duration_ms"])
        for image in range(num_images):
            for user in range(num_users):
                for row in scanpath_of(image, user).tolist():
                    writer.writerow([f"{1001 + image}.jpg", user + 1, *row])
    return folder


def build_release(raw_dir: Path, data_dir: Path, images_dir: Path, **options: Any) -> Any:
    """Builds a release and opens the data set."""
    return tfds.builder_from_directory(build(NAME, raw_dir, data_dir, images_dir, **options))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Has the builder expect 70 images and at least 11 users, which are written much faster."""
    monkeypatch.setattr(individual_differences_dataset_builder, "NUM_IMAGES", 70)
    monkeypatch.setattr(individual_differences_dataset_builder, "MIN_USERS", 11)
    return 70, 12


def test_both_layouts_give_the_same_digest_and_all_users(
    tmp_path: Path, images_dir: Path, few: tuple[int, int]
) -> None:
    num_images, num_users = few
    of_struct = build_release(write_struct(tmp_path / "s", *few), tmp_path / "1", images_dir)
    of_table = build_release(write_table(tmp_path / "t", *few), tmp_path / "2", images_dir)
    metadata = of_struct.info.metadata
    assert metadata["digest"] == of_table.info.metadata["digest"]
    assert metadata["user_ids"] == of_table.info.metadata["user_ids"]
    assert metadata["user_ids"] == [str(user + 1) for user in range(num_users)]
    assert metadata["num_fixations"] == 2 * num_images * num_users
    source = of_struct.as_data_source(split="train")
    assert len(source) == num_images
    record = next(record for record in source if record["image_id"] == b"1064.jpg")
    rows = record["gaze"]["user"] == 8
    np.testing.assert_array_equal(record["gaze"]["xy_px"][rows], [[8.5, 4.5], [9.5, 8.5]])
    np.testing.assert_array_equal(record["gaze"]["duration_ms"][rows], [108, 263])


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"num_images": 3}, r"has 3 images, expected 700; --no-strict builds it all the same"),
        ({"num_users": 2}, r"has 2 users, expected at least 100; --no-strict"),
    ],
)
def test_other_counts_are_refused_unless_relaxed(
    counts: dict[str, Any], message: str, tmp_path: Path, images_dir: Path
) -> None:
    raw_dir = write_struct(tmp_path / "raw", **counts)
    with pytest.raises(ValueError, match=message):
        build_release(raw_dir, tmp_path, images_dir)
    assert not list(tmp_path.rglob("*.json"))
    small = {"num_images": 9, "num_users": 9} | counts
    raw_dir = write_struct(tmp_path / "small", **small)
    prepared = build_release(raw_dir, tmp_path, images_dir, is_strict=False)
    num_images, num_users = small["num_images"], small["num_users"]
    assert prepared.info.splits["train"].num_examples == num_images
    assert prepared.info.metadata["num_fixations"] == 2 * num_images * num_users


def test_a_user_who_has_not_seen_an_image_is_refused_unless_relaxed(
    tmp_path: Path, images_dir: Path, few: tuple[int, int]
) -> None:
    raw_dir = write_struct(tmp_path / "raw", *few, not_seen={(5, 7)})
    with pytest.raises(ValueError, match=r"user '8' has no fixation on '1006.jpg', expected gaze"):
        build_release(raw_dir, tmp_path, images_dir)
    assert not list(tmp_path.rglob("*.json"))
    prepared = build_release(raw_dir, tmp_path, images_dir, is_strict=False)
    assert prepared.info.metadata["num_fixations"] == 2 * (70 * 12 - 1)


def test_other_folders_are_refused(tmp_path: Path, images_dir: Path) -> None:
    raw_dir = tmp_path / "raw"
    with pytest.raises(ValueError, match=f"{NAME} needs --images: OSIE's data/stimuli"):
        build(NAME, raw_dir, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"raw is not a folder with files: give the folder"):
        build_release(raw_dir, tmp_path, images_dir)
    raw_dir.mkdir()
    (raw_dir / "readme.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"raw holds neither, expected one of fixations\."):
        build_release(raw_dir, tmp_path, images_dir)
    write_struct(raw_dir, 2, 2)
    with pytest.raises(ValueError, match=r"whose coordinates are known: leave out --origin"):
        build_release(raw_dir, tmp_path, images_dir, convention=IMAGE_PX, is_strict=False)
    write_table(raw_dir, 2, 2)
    with pytest.raises(FileNotFoundError, match=r"holds fixations.csv and fixations.mat, expected"):
        build_release(raw_dir, tmp_path, images_dir)
    (raw_dir / "fixations.csv").unlink()
    scipy.io.savemat(raw_dir / "fixations.mat", {"other": 1})
    with pytest.raises(ValueError, match=r"cannot be read as a MATLAB file with the variable"):
        build_release(raw_dir, tmp_path, images_dir)
