"""Prepared data sets are found and listed, and changes are detected."""

import json
import re
import shutil
from collections.abc import Callable
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


def write(name: str, text: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(text)


def change(**changed: Any) -> Callable[[Path], Any]:
    """Changes entries of the metadata; `...` leaves an entry out."""

    def change_folder(folder: Path) -> None:
        path = folder / "metadata.json"
        metadata = json.loads(path.read_text()) | changed
        kept = {name: value for name, value in metadata.items() if value is not ...}
        path.write_text(json.dumps(kept))

    return change_folder


def lose(pattern: str) -> Callable[[Path], Any]:
    def lose_files(folder: Path) -> None:
        for path in folder.glob(pattern):
            path.unlink()

    return lose_files


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (write("dataset_info.json", "{}"), "dataset_info.json has no keys and values"),
        (lose("dataset_info.json"), "dataset_info.json is missing"),
        (write("features.json", '{"a":'), "features.json is no JSON text: "),
        (write("metadata.json", '{"a":'), "metadata.json is no JSON text: "),
        (lose("metadata.json"), "metadata.json is missing"),
        (change(user_ids=None), "metadata.json has 'user_ids' as no build writes it: None"),
        (change(session_ids=[["a"]]), "metadata.json has 'session_ids' as no build writes it"),
        (change(digest={}), "metadata.json has 'digest' as no build writes it: {}"),
        (change(num_fixations=...), "metadata.json has no 'num_fixations'"),
        (lose("*.array_record*"), "mine-train.array_record-00000-of-00001 is missing"),
        (lose("*.json"), "dataset_info.json is missing"),
    ],
)
def test_a_damaged_data_set_is_named_listed_replaced_and_removed(
    damage: Callable[[Path], Any], message: str, data_dir: Path, tmp_path: Path
) -> None:
    for name in ("mine", "whole"):
        shutil.copytree(data_dir / "mine", tmp_path / name)
    folder = tmp_path / "mine" / "1.0.0"
    damage(folder)
    damaged, whole = prepared.find(tmp_path)
    assert (whole.name, whole.num_images, whole.damage) == ("whole", 3, None)
    assert (damaged.name, damaged.version) == ("mine", "1.0.0")
    listed = prepared.format_list([damaged, whole]).splitlines()
    assert [line.split()[0] for line in listed] == ["name", "whole", "damaged:"]
    assert f"mine/1.0.0 is not a prepared data set ({message}" in listed[2]
    with pytest.raises(ValueError, match=re.escape(f"({message}")):
        prepared.verify(damaged)
    table: dict[str, Any] = {"table": DUMMY_DIR / "gaze.csv", "images_dir": DUMMY_DIR / "images"}
    with pytest.raises(ValueError, match=re.escape(f"({message}")) as refusal:
        build("gaze_table", data_dir=tmp_path, stored_name="mine", **table)
    assert "with gazejax data build --replace, or remove it: gazejax data remove mine" in str(
        refusal.value
    )
    kept = shutil.copytree(folder, tmp_path / "kept" / "1.0.0")
    build("gaze_table", data_dir=tmp_path, stored_name="mine", replace=True, **table)
    prepared.verify(prepared.open_folder("mine", folder))
    shutil.rmtree(folder)
    kept.rename(folder)
    prepared.remove(prepared.find_versions(tmp_path, "mine"))
    assert not folder.parent.exists()


def test_a_damaged_data_set_of_others_is_none_of_ours(tmp_path: Path) -> None:
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text('{"moduleName": "tensorflow_datasets.mnist"}')
    assert prepared.find(tmp_path) == prepared.find_versions(tmp_path, "mnist") == []
    (folder / "dataset_info.json").write_text("{}")
    (folder / "notes.txt").write_text("mine")
    assert prepared.find(tmp_path) == prepared.find_versions(tmp_path, "mnist") == []
    for name in ("dataset_info.json", "notes.txt"):
        (folder / name).unlink()
    (folder / "LICENSE").write_text("of a program")
    assert prepared.find(tmp_path) == prepared.find_versions(tmp_path, "mnist") == []


def test_records_that_the_metadata_do_not_fit_are_named(data_dir: Path, tmp_path: Path) -> None:
    copy = copy_of_mine(data_dir, tmp_path)
    change(user_ids=["ann"])(copy.folder)
    one = prepared.open_folder("mine", copy.folder)
    with pytest.raises(
        ValueError, match=r"was viewed by user 1, and its metadata\.json names 1 us"
    ):
        prepared.verify(one)


def test_a_missing_file_is_detected(data_dir: Path, tmp_path: Path) -> None:
    copy = copy_of_mine(data_dir, tmp_path)
    [records] = copy.folder.glob("*.array_record*")
    records.unlink()
    with pytest.raises(ValueError, match=r"mine.1\.0\.0"):
        prepared.verify(copy)
    (copy.folder / "dataset_info.json").write_text("{")
    with pytest.raises(ValueError, match="is not a prepared data set"):
        prepared.open_folder("mine", copy.folder)
