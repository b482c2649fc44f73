"""Prepared data sets are found and listed, and changes are detected."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow_datasets as tfds

from tfds_builders.common import prepared
from tfds_builders.common.build import build
from tfds_builders.gaze_table import make_dummy_data

DUMMY_DIR = Path(make_dummy_data.__file__).parent / "dummy_data"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two data sets."""
    folder = tmp_path_factory.mktemp("data")
    build("synthetic_gaze/tiny", data_dir=folder)
    build(
        "gaze_table",
        data_dir=folder,
        table=DUMMY_DIR / "gaze.csv",
        images_dir=DUMMY_DIR / "images",
        stored_name="mine",
    )
    return folder


def copy_of_mine(data_dir: Path, folder: Path) -> prepared.Prepared:
    """Copies a data set, to be changed by a test."""
    shutil.copytree(data_dir / "mine", folder / "mine")
    return prepared.open_folder("mine", folder / "mine" / "1.0.0")


def test_every_data_set_is_listed_with_its_counts(data_dir: Path) -> None:
    (data_dir / "synthetic_gaze" / "tiny" / "incomplete.AB_1.2.0").mkdir(exist_ok=True)
    lines = prepared.format_list(prepared.find(data_dir)).splitlines()
    assert [line.split()[:6] for line in lines] == [
        ["name", "version", "images", "users", "fixations", "tracking"],
        ["mine", "1.0.0", "3", "2", "6", "eye"],
        ["synthetic_gaze/tiny", "1.2.0", "40", "8", "3159", "generated"],
    ]
    assert lines[1].endswith("that of the table and the images")
    assert prepared.find(data_dir / "nothing") == []


def test_the_newest_version_is_found_and_an_older_builder_is_reported(
    data_dir: Path, tmp_path: Path
) -> None:
    for version in ("0.9.0", "0.10.0"):
        shutil.copytree(data_dir / "mine" / "1.0.0", tmp_path / "mine" / version)
    path = tmp_path / "mine" / "0.10.0" / "metadata.json"
    metadata = json.loads(path.read_text())
    del metadata["digest"], metadata["num_fixations"]
    path.write_text(json.dumps(metadata))
    [found] = prepared.find(tmp_path)
    assert found.version == "0.10.0"
    assert "build again" in prepared.format_list([found])
    with pytest.raises(ValueError, match="has no digest, so a change cannot be detected"):
        prepared.verify(found)


def test_a_built_data_set_verifies(data_dir: Path) -> None:
    for one in prepared.find(data_dir):
        prepared.verify(one)


def read_everything(folder: Path) -> list[Any]:
    """Returns all values of all records."""
    builder = tfds.builder_from_directory(folder)
    source = builder.as_data_source(split="train", decoders={"image": tfds.decode.SkipDecoding()})
    return [
        {**record, "gaze": {name: column.tolist() for name, column in record["gaze"].items()}}
        for record in source
    ]


def test_a_flipped_byte_that_changes_a_record_is_detected(data_dir: Path, tmp_path: Path) -> None:
    [records] = (data_dir / "mine" / "1.0.0").glob("*.array_record*")
    content, expected = records.read_bytes(), read_everything(data_dir / "mine" / "1.0.0")
    copy = copy_of_mine(data_dir, tmp_path)
    # A file of records is mostly padding with zeros.
    positions = [position for position, byte in enumerate(content) if byte][::23]
    num_caught = 0
    for position in positions:
        flipped = bytearray(content)
        flipped[position] ^= 1
        (copy.folder / records.name).write_bytes(flipped)
        try:
            prepared.verify(copy)
        except ValueError:
            num_caught += 1
        else:  # Some bytes are not part of a record.
            assert read_everything(copy.folder) == expected
    print(num_caught, len(positions))
    assert num_caught >= len(positions) / 2 >= 8


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"digest": {"gaze": "0" * 64, "images": "0" * 64}},
            "the digest of gaze is .*, expected 0",
        ),
        ({"num_fixations": 7}, "has 6 fixations, expected 7"),
        ({"user_ids": ["ann", "rob"]}, "the digest of gaze is"),
    ],
)
def test_other_metadata_are_detected(
    changed: dict[str, Any], message: str, data_dir: Path, tmp_path: Path
) -> None:
    copy = copy_of_mine(data_dir, tmp_path)
    path = copy.folder / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(ValueError, match=message):
        prepared.verify(prepared.open_folder("mine", copy.folder))


def test_a_missing_file_is_detected(data_dir: Path, tmp_path: Path) -> None:
    copy = copy_of_mine(data_dir, tmp_path)
    [records] = copy.folder.glob("*.array_record*")
    records.unlink()
    with pytest.raises(ValueError, match=r"mine.1\.0\.0"):
        prepared.verify(copy)
    (copy.folder / "dataset_info.json").write_text("{")
    with pytest.raises(ValueError, match="is not a prepared data set"):
        prepared.open_folder("mine", copy.folder)
