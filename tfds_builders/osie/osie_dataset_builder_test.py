"""OSIE, gaze and mouse tracks: records, metadata, and errors."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import tensorflow_datasets as tfds
from PIL import Image

from tfds_builders.common.build import build, prepare
from tfds_builders.osie import make_dummy_data, osie_dataset_builder

DUMMY_DIR = Path(__file__).parent / "dummy_data"


def make_config(raw_dir: Path, **counts: Any) -> osie_dataset_builder.OsieConfig:
    """Returns a configuration that fits the gaze of the dummy release, apart from `counts`."""
    fixations_path = raw_dir / "data" / "eye" / "fixations.mat"
    sha256 = hashlib.sha256(fixations_path.read_bytes()).hexdigest()
    expected: dict[str, Any] = {"num_images": 3, "num_users": 2, "num_rows": 12, "sha256": sha256}
    return osie_dataset_builder.OsieConfig(name="dummy", **(expected | counts))


def make_mouse_config(raw_dir: Path, **counts: Any) -> osie_dataset_builder.OsieConfig:
    """Returns a configuration that fits the mouse of the dummy release, apart from `counts`."""
    paths = sorted((raw_dir / "data" / "mouse_lab").glob("*.mat"))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    expected: dict[str, Any] = {
        "tracking": "mouse",
        "folder": "mouse_lab",
        "num_images": 3,
        "num_users": 3,
        "num_rows": 11,
        "sha256": hashlib.sha256("\n".join(digests).encode()).hexdigest(),
    }
    return osie_dataset_builder.OsieConfig(name="dummy_mouse", **(expected | counts))


def prepare_release(
    raw_dir: Path, data_dir: Path, config: osie_dataset_builder.OsieConfig | None = None
) -> tfds.core.DatasetBuilder:
    """Builds a release and opens the data set without code of this project."""
    config = config or make_config(raw_dir)
    builder = osie_dataset_builder.Builder(data_dir=data_dir, config=config)
    return tfds.builder_from_directory(prepare(builder, raw_dir))


def read_records(prepared: tfds.core.DatasetBuilder) -> dict[str, dict[str, Any]]:
    """Returns image id -> decoded record."""
    records = prepared.as_data_source(split="train")
    return {record["image_id"].decode(): record for record in records}


@pytest.fixture
def release_dir(tmp_path: Path) -> Path:
    """Copies the dummy release, to be changed by a test."""
    return Path(shutil.copytree(DUMMY_DIR, tmp_path / "release"))


def test_every_row_of_the_dummy_release_is_in_its_record(tmp_path: Path) -> None:
    prepared = prepare_release(DUMMY_DIR, tmp_path)
    records = read_records(prepared)
    assert sorted(records) == ["1001.jpg", "1002.jpg", "1003.jpg"]

    # x before y, each 0.5 less than in make_dummy_data.SCANPATHS: the centre of the first pixel is
    # (1, 1) in the release and (0.5, 0.5) here.
    first = records["1001.jpg"]["gaze"]
    np.testing.assert_array_equal(first["user"], [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(first["trial"], [0, 0, 0, 0, 0])
    np.testing.assert_allclose(
        first["xy_px"],
        [[0.5, 0.5], [20.0, 10.0], [39.9, 29.9], [11.0, 21.0], [12.0, 22.0]],
        rtol=1e-6,
    )
    np.testing.assert_array_equal(first["duration_ms"], [200, 250, 300, 150, 175])

    # x 40.5 of the release is 40 here, outside a width of 40.
    second = records["1002.jpg"]["gaze"]
    np.testing.assert_array_equal(second["user"], [0, 0, 1])
    np.testing.assert_array_equal(second["xy_px"], [[5, 6], [7, 8], [29.5, 1.5]])
    np.testing.assert_array_equal(second["duration_ms"], [100, 120, 400])

    third = records["1003.jpg"]["gaze"]
    np.testing.assert_array_equal(third["user"], [0, 1, 1])
    np.testing.assert_array_equal(third["xy_px"], [[2.5, 3.5], [12.5, 23.5], [13.5, 24.5]])

    assert {name: column.dtype for name, column in third.items()} == {
        "user": np.int32,
        "trial": np.int32,
        "xy_px": np.float32,
        "duration_ms": np.float32,
        "session": np.int32,
    }
    assert third["trial"].shape == (3,)


def test_metadata_have_users_and_dropped_fixations(tmp_path: Path) -> None:
    metadata = dict(prepare_release(DUMMY_DIR, tmp_path).info.metadata)
    assert metadata == {
        "user_ids": ["1", "2"],
        "tracking": "eye",
        "has_durations": True,
        "has_images": True,
        "pixels_per_degree": None,
        "num_fixations": 11,
        "dropped_fixations": {"total": 1, "by_image_id": {"1002.jpg": 1}},
        "num_dropped_viewings": 0,
        "users_without_gaze": [],
        "copies": [],
        "digest": metadata["digest"],  # Of the records; see digests_test.
        "source_sha256": make_config(DUMMY_DIR).sha256,
    }


def test_every_sample_of_the_dummy_mouse_tracks_is_in_its_record(tmp_path: Path) -> None:
    prepared = prepare_release(DUMMY_DIR, tmp_path, make_mouse_config(DUMMY_DIR))
    metadata = dict(prepared.info.metadata)
    assert metadata == {
        "user_ids": ["2", "5", "9"],
        "tracking": "mouse",
        "has_durations": False,
        "has_images": True,
        "pixels_per_degree": None,
        "num_fixations": 10,
        "dropped_fixations": {"total": 1, "by_image_id": {"1002.jpg": 1}},
        "num_dropped_viewings": 0,
        "users_without_gaze": [],
        "copies": [],
        "digest": metadata["digest"],  # Of the records; see digests_test.
        "source_sha256": make_mouse_config(DUMMY_DIR).sha256,
    }
    records = read_records(prepared)
    assert sorted(records) == ["1001.jpg", "1002.jpg", "1003.jpg"]

    # The file has users 5, 2, 5 and 2. The order of user 2 starts again, which is a second viewing;
    # the order of user 5 goes on. Each coordinate is 0.5 less than in make_dummy_data.TRACKS, where
    # the row is before the column.
    first = records["1001.jpg"]["gaze"]
    np.testing.assert_array_equal(first["user"], [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(first["trial"], [0, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(
        first["xy_px"],
        [[19.5, 14.5], [21.5, 15.5], [7.5, 6.5], [0.5, 0.5], [19.5, 9.5], [39.5, 29.5]],
    )
    np.testing.assert_array_equal(first["duration_ms"], np.zeros(6))

    # Column 41 of the release is x 40.5 here, outside a width of 40.
    second = records["1002.jpg"]["gaze"]
    np.testing.assert_array_equal(second["user"], [2])
    np.testing.assert_array_equal(second["xy_px"], [[12.5, 11.5]])

    # User 9 has two viewings of one sample each: the order stays 1.
    third = records["1003.jpg"]["gaze"]
    np.testing.assert_array_equal(third["user"], [0, 2, 2])
    np.testing.assert_array_equal(third["trial"], [0, 0, 1])
    np.testing.assert_array_equal(third["xy_px"], [[2.5, 3.5], [12.5, 23.5], [13.5, 24.5]])


def test_images_are_the_released_bytes(tmp_path: Path) -> None:
    prepared = prepare_release(DUMMY_DIR, tmp_path)
    decoded = read_records(prepared)
    assert decoded["1001.jpg"]["image"].shape == (30, 40, 3)
    undecoded = prepared.as_data_source(
        split="train", decoders={"image": tfds.decode.SkipDecoding()}
    )
    for record in undecoded:
        path = DUMMY_DIR / "data" / "stimuli" / record["image_id"].decode()
        assert record["image"] == path.read_bytes()
        assert record["gaze"]["xy_px"].shape[1] == 2


def test_the_prepared_data_set_has_the_documentation_of_the_folder(tmp_path: Path) -> None:
    info = prepare_release(DUMMY_DIR, tmp_path).info
    assert "10.1167/14.1.28" in info.citation
    assert "gaze of 15 observers" in info.description
    assert "content.data-type.image" in osie_dataset_builder.Builder.get_metadata().tags


def test_an_image_with_all_fixations_outside_is_kept_without_gaze(tmp_path: Path) -> None:
    raw_dir = tmp_path / "release"
    # The second user did not see the first image.
    make_dummy_data.write_release(
        raw_dir,
        {
            "1.jpg": [([99.0], [99.0], [100]), ([], [], [])],
            "2.jpg": [([2.0], [2.0], [100]), ([3.0], [3.0], [100])],
        },
    )
    config = make_config(raw_dir, num_images=2, num_rows=3)
    prepared = prepare_release(raw_dir, tmp_path, config)
    gaze = read_records(prepared)["1.jpg"]["gaze"]
    assert gaze["xy_px"].shape == (0, 2)
    assert gaze["user"].shape == gaze["trial"].shape == gaze["duration_ms"].shape == (0,)
    assert prepared.info.metadata["dropped_fixations"] == {"total": 1, "by_image_id": {"1.jpg": 1}}


def assert_refused(
    raw_dir: Path,
    error_type: type[Exception],
    message: str,
    config: osie_dataset_builder.OsieConfig | None = None,
) -> None:
    """Asserts that the build raises an error of one line and leaves no record."""
    data_dir = raw_dir.parent / "prepared"
    with pytest.raises(error_type, match=message) as error:
        prepare_release(raw_dir, data_dir, config or make_config(raw_dir))
    assert "\n" not in str(error.value)
    assert not list(data_dir.rglob("*.array_record*"))
    assert not list(data_dir.rglob("dataset_info.json"))


def test_missing_files_are_named(release_dir: Path) -> None:
    config = make_config(release_dir)
    missing_id = release_dir / "data" / "stimuli" / "1002.jpg"
    missing_id.unlink()
    assert_refused(release_dir, FileNotFoundError, "1002.jpg is missing", config)
    (release_dir / "data" / "eye" / "fixations.mat").unlink()
    assert_refused(release_dir, FileNotFoundError, "fixations.mat is missing", config)
    shutil.rmtree(release_dir / "data" / "stimuli")
    assert_refused(release_dir, FileNotFoundError, "data/stimuli is missing", config)


def test_a_folder_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="osie/gaze needs --raw: give the unpacked OSIE release"):
        build("osie", None, tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder with files"):
        build("osie", tmp_path / "nowhere", tmp_path)
    with pytest.raises(FileNotFoundError, match="is not a folder with files"):
        build("osie", tmp_path, tmp_path)
    assert not (tmp_path / "osie").exists()


@pytest.mark.parametrize("image_bytes", [b"", b"not an image"])
def test_an_image_that_does_not_decode_is_named(release_dir: Path, image_bytes: bytes) -> None:
    (release_dir / "data" / "stimuli" / "1002.jpg").write_bytes(image_bytes)
    assert_refused(release_dir, ValueError, "1002.jpg does not decode")


def test_a_truncated_image_is_named(release_dir: Path) -> None:
    path = release_dir / "data" / "stimuli" / "1002.jpg"
    path.write_bytes(path.read_bytes()[:-100])
    assert_refused(release_dir, ValueError, "1002.jpg does not decode")


def test_a_gray_image_is_named(release_dir: Path) -> None:
    Image.new("L", (40, 30)).save(release_dir / "data" / "stimuli" / "1002.jpg")
    assert_refused(release_dir, ValueError, "1002.jpg is a L image, expected RGB")


def test_an_image_of_another_size_is_accepted(release_dir: Path) -> None:
    # With a width of 41, all fixations are inside.
    Image.new("RGB", (41, 30)).save(release_dir / "data" / "stimuli" / "1002.jpg")
    prepared = prepare_release(release_dir, release_dir.parent)
    assert prepared.info.metadata["dropped_fixations"] == {"total": 0, "by_image_id": {}}


@pytest.mark.parametrize("file_bytes", [b"", b"not a MATLAB file" * 20, None])
def test_a_file_that_is_not_matlab_is_named(release_dir: Path, file_bytes: bytes | None) -> None:
    path = release_dir / "data" / "eye" / "fixations.mat"
    path.write_bytes(path.read_bytes()[:1000] if file_bytes is None else file_bytes)
    assert_refused(release_dir, ValueError, "fixations.mat cannot be read as a MATLAB file")


def test_a_file_without_the_variable_is_named(release_dir: Path) -> None:
    scipy.io.savemat(release_dir / "data" / "eye" / "fixations.mat", {"other": 1})
    assert_refused(release_dir, ValueError, "with the variable 'fixations'")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"num_images": 4}, "fixations has 3 elements, expected 4"),
        ({"num_users": 3}, r"fixations\{1\}.subjects has 2 elements, expected 3"),
        ({"num_rows": 13}, "data/eye holds 12 fixations or samples, expected 13"),
        ({"sha256": "0" * 64}, "data/eye has SHA-256 [0-9a-f]{64}, expected 0000"),
    ],
)
def test_other_counts_are_refused(release_dir: Path, counts: dict[str, Any], message: str) -> None:
    assert_refused(release_dir, ValueError, message, make_config(release_dir, **counts))


def spoil_field(images: np.ndarray, name: str) -> None:
    """Removes a field of the second user on the first image."""
    del images[0, 0]["subjects"][1, 0][name]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda images: images[0, 0].pop("img"), r"fixations\{1\} has no field 'img'"),
        (lambda images: images[0, 0].pop("subjects"), r"fixations\{1\} has no field 'subjects'"),
        (lambda images: spoil_field(images, "fix_x"), r"subjects\{2\} has no field 'fix_x'"),
        (lambda images: spoil_field(images, "fix_y"), r"subjects\{2\} has no field 'fix_y'"),
        (
            lambda images: spoil_field(images, "fix_duration"),
            r"subjects\{2\} has no field 'fix_duration'",
        ),
        (
            lambda images: images[0, 0]["subjects"][1, 0].update(fix_y=np.ones((1, 5))),
            r"fixations\{1\}.subjects\{2\} has columns of lengths {'fix_x': 2, 'fix_y': 5",
        ),
        (
            lambda images: images[0, 0]["subjects"][1, 0].update(fix_x=np.asarray([[1, np.nan]])),
            r"subjects\{2\}: row 2 of fix_x, fix_y, fix_duration is \[nan, 22.5, 175.0\], expected",
        ),
        (
            lambda images: images[0, 0]["subjects"][1, 0].update(
                fix_duration=np.asarray([[1, -5]])
            ),
            r"fixations\{1\}.subjects\{2\}: fixation 2 .* duration -5.0, expected",
        ),
        (
            lambda images: images[0, 0]["subjects"][1, 0].update(fix_x="text"),
            r"subjects\{2\}.fix_x has .* expected rows of numbers",
        ),
        (
            lambda images: images[0, 0].update(img="../1001.jpg"),
            r"fixations\{1\}.img is '../1001.jpg', expected a file name",
        ),
        (
            lambda images: images[1, 0].update(img="1001.jpg"),
            r"fixations\{2\}.img is '1001.jpg' again",
        ),
        (
            lambda images: images.__setitem__((2, 0), 7.0),
            r"fixations\{3\} has no field 'img', found float",
        ),
        (
            lambda images: images[2, 0].update(subjects=7.0),
            r"fixations\{3\}.subjects is not a cell array, expected 2 elements",
        ),
    ],
)
def test_another_layout_is_refused(release_dir: Path, spoil: Any, message: str) -> None:
    images = make_dummy_data.make_fixations(make_dummy_data.SCANPATHS)
    spoil(images)
    path = release_dir / "data" / "eye" / "fixations.mat"
    scipy.io.savemat(path, {"fixations": images})
    assert_refused(release_dir, ValueError, message)


@pytest.mark.parametrize(
    ("counts", "error_type", "message"),
    [
        ({"num_users": 4}, ValueError, "mouse_lab has 3 users, expected 4"),
        ({"num_images": 4}, FileNotFoundError, r"mouse_lab holds 3 files \*.mat, expected 4"),
        ({"num_rows": 12}, ValueError, "mouse_lab holds 11 fixations or samples, expected 12"),
        ({"sha256": "0" * 64}, ValueError, "mouse_lab has SHA-256 [0-9a-f]{64}, expected 0000"),
        ({"folder": "mouse_amt"}, FileNotFoundError, "mouse_amt holds 0 files"),
    ],
)
def test_other_counts_of_the_mouse_are_refused(
    release_dir: Path, counts: dict[str, Any], error_type: type[Exception], message: str
) -> None:
    assert_refused(release_dir, error_type, message, make_mouse_config(release_dir, **counts))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"subj": None}, "1002.mat has no field 'subj', found .'coord', 'order'"),
        ({"coord": None}, "1002.mat has no field 'coord'"),
        ({"order": None}, "1002.mat has no field 'order'"),
        ({"order": [[1], [2], [3]]}, "1002.mat has columns of lengths .*'order': 3}, expected"),
        ({"coord": [[15, 41, 1], [12, 13, 1]]}, "1002.mat: coord has 3 columns, expected 2"),
        ({"coord": [[15, 41], [12, np.nan]]}, r"1002.mat: row 2 of .* is \[9.0, 12.0, nan, 2.0\]"),
    ],
)
def test_another_layout_of_the_mouse_is_refused(
    release_dir: Path, changed: dict[str, Any], message: str
) -> None:
    struct = make_dummy_data.make_track(make_dummy_data.TRACKS["1002.jpg"]) | changed
    struct = {name: column for name, column in struct.items() if column is not None}
    path = release_dir / "data" / "mouse_lab" / "1002.mat"
    scipy.io.savemat(path, {"fixations": struct})
    assert_refused(release_dir, ValueError, message, make_mouse_config(release_dir))


def test_a_track_without_its_image_is_refused(release_dir: Path) -> None:
    folder = release_dir / "data" / "mouse_lab"
    (folder / "1003.mat").rename(folder / "1004.mat")
    config = make_mouse_config(release_dir)
    assert_refused(release_dir, FileNotFoundError, "1004.jpg is missing", config)


def test_the_release_is_fixed() -> None:
    assert [
        (config.name, config.tracking, config.num_images, config.num_users, config.num_rows)
        for config in osie_dataset_builder.Builder.BUILDER_CONFIGS
    ] == [
        ("gaze", "eye", 700, 15, 98_321),
        ("mouse_lab", "mouse", 700, 16, 984_458),
        ("mouse_amt", "mouse", 700, 835, 8_626_960),
    ]


def assert_digests_are_in_the_readme(prepared: tfds.core.DatasetBuilder) -> None:
    """Asserts that the README has the digests of the data set."""
    readme = (Path(osie_dataset_builder.__file__).parent / "README.md").read_text()
    for digest in prepared.info.metadata["digest"].values():
        assert digest in readme


@pytest.mark.real
@pytest.mark.skipif("GAZEJAX_RAW_DATA" not in os.environ, reason="GAZEJAX_RAW_DATA is not set")
def test_real_osie_is_complete(tmp_path: Path) -> None:
    prepared = tfds.builder_from_directory(
        build("osie/gaze", Path(os.environ["GAZEJAX_RAW_DATA"]) / "osie", tmp_path)
    )
    records = read_records(prepared)
    assert sorted(records) == [f"{number}.jpg" for number in range(1001, 1701)]
    assert_digests_are_in_the_readme(prepared)
    assert prepared.info.metadata["user_ids"] == [str(user) for user in range(1, 16)]
    assert prepared.info.metadata["dropped_fixations"] == {"total": 0, "by_image_id": {}}

    gaze = [record["gaze"] for record in records.values()]
    # Each user looked at each image: 700 x 15 viewings.
    assert all(np.array_equal(np.unique(table["user"]), np.arange(15)) for table in gaze)
    assert all(not np.any(table["trial"]) for table in gaze)
    assert {record["image"].shape for record in records.values()} == {(600, 800, 3)}
    xy_px = np.concatenate([table["xy_px"] for table in gaze])
    assert xy_px.shape == (98_321, 2)
    assert len(np.concatenate([table["duration_ms"] for table in gaze])) == 98_321
    # 1.2 to 799.2 in the release, minus 0.5.
    np.testing.assert_allclose([xy_px[:, 0].min(), xy_px[:, 0].max()], [0.7, 798.7], rtol=1e-6)
    np.testing.assert_allclose([xy_px[:, 1].min(), xy_px[:, 1].max()], [0.7, 598.7], rtol=1e-6)
    # The first fixations of the first user on the first image, 395.5 and 390.6 in the release.
    np.testing.assert_allclose(records["1001.jpg"]["gaze"]["xy_px"][:2, 0], [395, 390.1], rtol=1e-6)


@pytest.mark.real
@pytest.mark.skipif("GAZEJAX_RAW_DATA" not in os.environ, reason="GAZEJAX_RAW_DATA is not set")
@pytest.mark.parametrize(
    ("name", "num_samples", "users_an_image", "images_a_user", "num_viewings"),
    [
        # Fewest and most users of an image; fewest, median and most images of a user; first and
        # second viewings.
        ("mouse_lab", 984_458, (10, 16), (342, 656.5, 700), [9_726]),
        ("mouse_amt", 8_626_960, (88, 122), (1, 40, 673), [69_323, 126]),
    ],
)
def test_real_mouse_tracks_are_complete(
    tmp_path: Path,
    name: str,
    num_samples: int,
    users_an_image: tuple[int, int],
    images_a_user: tuple[int, float, int],
    num_viewings: list[int],
) -> None:
    prepared = tfds.builder_from_directory(
        build(f"osie/{name}", Path(os.environ["GAZEJAX_RAW_DATA"]) / "osie", tmp_path)
    )
    assert_digests_are_in_the_readme(prepared)
    metadata = prepared.info.metadata
    assert (metadata["tracking"], metadata["has_durations"]) == ("mouse", False)
    assert metadata["dropped_fixations"] == {"total": 0, "by_image_id": {}}
    records = prepared.as_data_source(split="train", decoders={"image": tfds.decode.SkipDecoding()})
    image_ids, num_rows, viewings = [], 0, []
    lowest_px, highest_px = np.full(2, np.inf), np.zeros(2)
    for record in records:
        image_ids.append(record["image_id"].decode())
        gaze = record["gaze"]
        num_rows += len(gaze["user"])
        viewings.append(np.unique(np.stack([gaze["user"], gaze["trial"]], axis=1), axis=0))
        lowest_px = np.minimum(lowest_px, gaze["xy_px"].min(axis=0))
        highest_px = np.maximum(highest_px, gaze["xy_px"].max(axis=0))
        assert not np.any(gaze["duration_ms"])
    assert sorted(image_ids) == [f"{number}.jpg" for number in range(1001, 1701)]
    assert num_rows == num_samples
    num_users = [len(np.unique(rows[:, 0])) for rows in viewings]
    assert (min(num_users), max(num_users)) == users_an_image
    all_viewings = np.concatenate(viewings)
    num_images = np.bincount(all_viewings[all_viewings[:, 1] == 0, 0])
    assert len(num_images) == len(metadata["user_ids"])
    assert (np.min(num_images), np.median(num_images), np.max(num_images)) == images_a_user
    assert np.bincount(all_viewings[:, 1]).tolist() == num_viewings
    # Columns up to 800 and rows up to 600, minus 0.5; exchanged, a row would be above 600.
    assert np.all(lowest_px == 0.5)
    assert np.all((highest_px > [700, 500]) & (highest_px < [800, 600]))
