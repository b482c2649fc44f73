"""Tables of gaze: values, formats, and errors with file and row."""

import csv
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tfds_builders.common.build import build
from tfds_builders.common.coordinates import IMAGE_PX, Convention
from tfds_builders.common.gaze_files import Options
from tfds_builders.common.prepared import open_folder, verify
from tfds_builders.gaze_table import make_dummy_data
from tfds_builders.osie import osie_dataset_builder
from tfds_builders.personalized_saliency import personalized_saliency_dataset_builder

DUMMY_DIR = Path(__file__).parent / "dummy_data"


def build_table(table: Path, data_dir: Path, **options: Any) -> tfds.core.DatasetBuilder:
    """Builds a table and opens the data set by name, without code of this project."""
    options = {"images_dir": DUMMY_DIR / "images", "stored_name": "mine", **options}
    build("gaze_table", data_dir=data_dir, table=table, **options)
    return tfds.builder(options["stored_name"], data_dir=data_dir)


def read_records(prepared: tfds.core.DatasetBuilder) -> dict[str, dict[str, Any]]:
    """Returns image id -> decoded record."""
    records = prepared.as_data_source(split="train")
    return {record["image_id"].decode(): record for record in records}


def test_every_row_of_the_dummy_table_is_in_its_record(tmp_path: Path) -> None:
    prepared = build_table(DUMMY_DIR / "gaze.csv", tmp_path)
    assert prepared.info.full_name == "mine/1.0.0"
    metadata = prepared.info.metadata
    assert metadata["user_ids"] == ["ann", "bob"]
    assert metadata["tracking"] == "eye"
    assert metadata["has_durations"] is True
    assert metadata["num_fixations"] == 6
    assert metadata["dropped_fixations"] == {"total": 1, "by_image_id": {"a.jpg": 1}}
    records = read_records(prepared)
    assert {name: record["image"].shape for name, record in records.items()} == {
        "a.jpg": (30, 40, 3),
        "b c.png": (18, 32, 3),
        "more/grey.png": (10, 12, 3),
    }
    first = records["a.jpg"]["gaze"]
    assert first["user"].tolist() == [0, 0, 1, 1]
    assert first["trial"].tolist() == [0, 0, 0, 1]
    assert first["xy_px"].tolist() == [[0.5, 0.5], [20, 10], [11, 21], [12, 22]]
    assert first["duration_ms"].tolist() == [200, 250, 150, 125]
    assert records["more/grey.png"]["gaze"]["user"].tolist() == [1]
    # A gray image has its values in three channels. The bytes of an RGB file do not change.
    with Image.open(DUMMY_DIR / "images" / "more" / "grey.png") as gray:
        np.testing.assert_array_equal(records["more/grey.png"]["image"][..., 2], np.asarray(gray))
    source = prepared.as_data_source(split="train", decoders={"image": tfds.decode.SkipDecoding()})
    stored = {record["image_id"]: record["image"] for record in source}
    assert stored[b"a.jpg"] == (DUMMY_DIR / "images" / "a.jpg").read_bytes()


def test_a_warning_of_a_file_is_refused_and_is_stored_without_the_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "a.csv").write_text("image,user,x,y\na.jpg,u,1,2\n")
    (tmp_path / "g" / "b.csv").write_text("image,user,x,y\n")
    what = "b.csv left out: has no row, expected one for each fixation"
    with pytest.raises(ValueError, match=f"refused by --refuse-warnings: .*/{what}"):
        build_table(tmp_path / "g", tmp_path, refuse_warnings=True)
    prepared = build_table(tmp_path / "g", tmp_path)
    assert f"warning: {tmp_path / 'g'}/{what}" in capfd.readouterr().err
    assert prepared.info.metadata["warnings"] == [what]


def test_viewings_outside_are_dropped_and_users_without_gaze_are_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = "a.jpg,u,1,2\na.jpg,away,-1,2\nb c.png,away,99,2\nb c.png,u,99,2\nb c.png,v,3,2\n"
    prepared = build_table(write_csv(tmp_path, "image,user,x,y\n" + rows), tmp_path)
    assert prepared.info.metadata["num_dropped_viewings"] == 3
    assert prepared.info.metadata["users_without_gaze"] == ["away"]
    # A user without gaze stays in the list.
    assert prepared.info.metadata["user_ids"] == ["away", "u", "v"]
    [warning] = [one for one in prepared.info.metadata["warnings"] if "without any" in one]
    assert warning == "users without any fixation inside an image: 'away'"
    printed = capfd.readouterr().err
    assert f"warning: {warning}" in printed
    assert "3 fixations outside their image dropped, 3 viewings left without fixations" in printed


def scanpaths_of(rows: Any) -> list[dict[str, Any]]:
    """Returns the same gaze as JSON of scanpaths."""
    scanpaths: dict[Any, dict[str, Any]] = {}
    for image, user, x, y, duration_ms, trial in rows:
        empty: dict[str, Any] = {"X": [], "Y": [], "T": []}
        one = scanpaths.setdefault((image, user, trial), {"name": image, "subject": user} | empty)
        for key, value in (("X", x), ("Y", y), ("T", duration_ms)):
            one[key].append(value)
    return [one | {"length": len(one["X"]), "split": "valid"} for one in scanpaths.values()]


def write_as(suffix: str, path: Path) -> Path:
    """Writes the dummy table in the format of a suffix."""
    table = path / f"gaze{suffix}"
    rows = [dict(zip(make_dummy_data.HEADER, row, strict=True)) for row in make_dummy_data.ROWS]
    match suffix:
        case ".parquet":
            pyarrow.parquet.write_table(pa.Table.from_pylist(rows), table)
        case ".jsonl":
            table.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case ".json":
            table.write_text(json.dumps(scanpaths_of(make_dummy_data.ROWS)))
        case _:
            make_dummy_data.write_table(table)
    return table


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".json"])
def test_every_format_gives_the_same_digest(suffix: str, tmp_path: Path) -> None:
    expected = build_table(DUMMY_DIR / "gaze.csv", tmp_path).info.metadata
    found = build_table(write_as(suffix, tmp_path), tmp_path, stored_name="again").info.metadata
    assert found["digest"] == expected["digest"]
    assert found["user_ids"] == expected["user_ids"]


def write_csv(folder: Path, text: str) -> Path:
    """Writes a table with a given text."""
    table = folder / "t.csv"
    table.write_text(text)
    return table


def test_numeric_names_are_sorted_as_numbers(tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    columns = {"image": ["a.jpg"] * 3, "user": [10, 9, 10], "x": [1, 2, 3], "y": [1.5, 2, 3]}
    pyarrow.parquet.write_table(pa.table(columns), table)
    prepared = build_table(table, tmp_path)
    assert prepared.info.metadata["user_ids"] == ["9", "10"]
    gaze = read_records(prepared)["a.jpg"]["gaze"]
    assert gaze["user"].tolist() == [0, 1, 1]
    assert gaze["xy_px"].tolist() == [[2, 2], [1, 1.5], [3, 3]]
    assert prepared.info.metadata["has_durations"] is False
    assert gaze["duration_ms"].tolist() == [0, 0, 0]


def test_rows_are_sorted_by_time(tmp_path: Path) -> None:
    rows = "".join(
        f"a.jpg,{user},{x},1,{trial},{t_ms}\n"
        for user, x, trial, t_ms in [
            ("b", 1, 7, 30), ("a", 2, 1, 5), ("b", 3, 7, 20), ("b", 4, 3, 90), ("a", 5, 1, 0)
        ]
    )  # fmt: skip
    table = write_csv(tmp_path, "image,user,x,y,trial,t_ms\n" + rows)
    gaze = read_records(build_table(table, tmp_path))["a.jpg"]["gaze"]
    assert gaze["xy_px"][:, 0].tolist() == [5, 2, 4, 3, 1]
    # Trials are numbered from 0 without gaps.
    assert gaze["trial"].tolist() == [0, 0, 0, 1, 1]


def test_without_time_rows_keep_the_order_of_the_file(tmp_path: Path) -> None:
    table = write_csv(tmp_path, "image,user,x,y\n" + "".join(f"a.jpg,u,{x},1\n" for x in (9, 2, 5)))
    gaze = read_records(build_table(table, tmp_path))["a.jpg"]["gaze"]
    assert gaze["xy_px"][:, 0].tolist() == [9, 2, 5]


def test_other_columns_are_refused_unless_ignored(tmp_path: Path) -> None:
    table = write_csv(tmp_path, "image,user,x,y,pupil,duration\na.jpg,u,1,2,3,4\n")
    with pytest.raises(ValueError, match=r"t\.csv has an unknown column 'pupil', expected image,"):
        build_table(table, tmp_path)
    build_table(table, tmp_path, reading=Options(ignored_columns=("pupil", "duration")))


def test_a_convention_moves_gaze_and_is_stored(tmp_path: Path) -> None:
    table = write_csv(tmp_path, "image,user,x,y\na.jpg,u,1,1\na.jpg,u,40,30\n")
    prepared = build_table(table, tmp_path, convention=IMAGE_PX._replace(origin_px=1))
    assert read_records(prepared)["a.jpg"]["gaze"]["xy_px"].tolist() == [[0.5, 0.5], [39.5, 29.5]]
    assert prepared.info.metadata["source"]["origin_px"] == 1


def test_paths_start_from_the_raw_folder(tmp_path: Path) -> None:
    shutil.copytree(DUMMY_DIR, tmp_path / "raw")
    build(
        "gaze_table",
        tmp_path / "raw",
        tmp_path,
        Path("images"),
        table=Path("gaze.csv"),
        stored_name="mine",
    )
    assert (tmp_path / "mine" / "1.0.0" / "dataset_info.json").is_file()


def test_another_table_under_the_same_name_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build_table(DUMMY_DIR / "gaze.csv", tmp_path)
    capfd.readouterr()
    build_table(DUMMY_DIR / "gaze.csv", tmp_path)
    assert "is already built" in capfd.readouterr().err
    with pytest.raises(ValueError, match=r"mine.1\.0\.0 was built from .* take another --name"):
        build_table(DUMMY_DIR / "gaze.csv", tmp_path, tracking="mouse")
    for where in ("x < 100", "x >= 0"):
        with pytest.raises(ValueError, match=r"mine.1\.0\.0 was built from .* take another --name"):
            build_table(DUMMY_DIR / "gaze.csv", tmp_path, reading=Options(where=(where,)))


@pytest.mark.parametrize("name", ["", "Mine", "a/b", "../a", "1st", "osie", "gaze_table"])
def test_an_invalid_or_taken_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"--name is '{name}', expected lower-case"):
        build_table(DUMMY_DIR / "gaze.csv", tmp_path, stored_name=name)


GOOD = "image,user,x,y,duration_ms,t_ms\na.jpg,u,1,2,100,0\na.jpg,u,3,4,100,150\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv has no column 'image', expected the columns image, user, x, y; it has none"),
        ("image,user,x,y\n", "t.csv has no row"),
        ("image,user,x\na.jpg,u,1\n", "t.csv has no column 'y'"),
        ("image,user,x,y,x\na.jpg,u,1,2,3\n", "t.csv has two columns 'x'"),
        (GOOD.replace("a.jpg,u,3,4", "a.jpg,u,3"), "t.csv row 2 has 5 values, expected 6"),
        (GOOD.replace(",3,", ",three,"), "t.csv row 2: x is 'three', expected a number"),
        (GOOD.replace(",3,", ",,"), "t.csv row 2: x is '', expected a number"),
        (GOOD.replace(",2,", ",nan,"), "t.csv row 1: y is 'nan', expected a finite number"),
        (GOOD.replace(",2,", ",-inf,"), "t.csv row 1: y is '-inf', expected a finite number"),
        (GOOD.replace("4,100", "4,-1"), "t.csv row 2: duration_ms is -1, expected no negative"),
        (GOOD.replace("4,100", "4,"), "t.csv row 2: duration_ms is '', expected a number"),
        (GOOD.replace("100", "1e39"), r"t.csv row 1: duration_ms is 1e\+39, .* at most 3.4e\+38"),
        (GOOD.replace("150", "0"), "t.csv row 2: user 'u' has t_ms 0 on 'a.jpg' again"),
        (GOOD.replace("a.jpg,u,3", ",u,3"), "t.csv row 2: image is '', expected a name"),
        (GOOD.replace("a.jpg,u,3", "a.jpg,,3"), "t.csv row 2: user is '', expected a name"),
        ("image,user,x,y,trial\na.jpg,u,1,2,1.5\n", "row 1: trial is '1.5', expected an integer"),
        (GOOD.replace("\na.jpg", "\nz.jpg"), "images lacks 1 of 1 images: 'z.jpg'"),
        (GOOD.replace(",1,", ",a,").replace(",3,", ",b,"), r"x is 'a', .* \(2 such rows\)$"),
        (
            GOOD.replace(",1,", ",a,").replace(",2,", ",inf,"),
            "x is 'a', expected a number; 1 more errors: gazejax data check lists them",
        ),
    ],
)
def test_a_bad_table_is_refused_by_file_and_row(text: str, message: str, tmp_path: Path) -> None:
    table = write_csv(tmp_path, text)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        build_table(table, tmp_path / "data")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "data").rglob("*.json"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"image,user,x,y\na.jpg,\xff,1,2\n", r"t\.csv is not a text in UTF-8 or UTF-16"),
        ("t.parquet", b"PAR1", r"t\.parquet is not a Parquet table"),
        ("t.jsonl", b'{"image": "a.jpg"', r"t\.jsonl is not a table of JSON lines"),
        ("t.jsonl", b"", r"t\.jsonl has no row"),
        ("t.json", b"{", r"t\.json is not JSON"),
        ("t.json", b"{}", r"t\.json is not JSON of scanpaths, expected a list"),
        ("t.json", b"[]", r"t\.json has no row"),
        ("t.json", b"[1]", r"t\.json object 1 is int, expected an object"),
        ("t.json", b'[{"name": "a.jpg", "subject": 1, "X": [1]}]', r"object 1 has no 'Y'"),
        (
            "t.json",
            b'[{"name": "a.jpg", "subject": 1, "X": [1], "Y": [1, 2]}]',
            r"object 1 has lengths \{'X': 1, 'Y': 2\}",
        ),
        (
            "t.json",
            b'[{"name": "a.jpg", "subject": 1, "X": [1], "Y": [2], "length": 2}]',
            r"object 1 has lengths .*'length': 2",
        ),
        (
            "t.json",
            b'[{"name": "a.jpg", "subject": 1, "X": [1, NaN], "Y": [1, 2]}]',
            r"t\.json object 1, fixation 2: x is nan, expected a finite number",
        ),
        (
            "t.json",
            b'[{"name": "a.jpg", "subject": 1, "X": [1], "Y": [2]},'
            b' {"name": "a.jpg", "subject": "1", "X": [1], "Y": [2]}]',
            r"object 2: subject '1' has the same scanpath on 'a.jpg' again",
        ),
        ("t.doc", b"", r"t\.doc is not a file of gaze in a known format, expected a table"),
    ],
)
def test_another_file_is_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        build_table(tmp_path / name, tmp_path / "data")
    assert "\n" not in str(error.value)


def cut(path: Path) -> None:
    """Truncates a file to half of its bytes."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def turn(path: Path) -> None:
    """Writes an image with an EXIF tag that rotates it."""
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (40, 30)).save(path, exif=exif)


def link_out(path: Path) -> None:
    """Moves a file out of its folder and replaces it by a link."""
    shutil.move(path, path.parents[1] / "moved.jpg")
    path.symlink_to(path.parents[1] / "moved.jpg")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut, r"a\.jpg does not decode"),
        (lambda path: path.write_bytes(b"GIF"), r"a\.jpg does not decode"),
        (lambda path: path.unlink(), r"lacks 1 of 3 images: 'a\.jpg'"),
        (turn, r"a\.jpg: its EXIF orientation is 6, expected 1"),
        (
            lambda path: Image.new("RGBA", (9, 9)).save(path, format="PNG"),
            r"is transparent in places",
        ),
        (link_out, r"a\.jpg leads out of .*images to .*moved\.jpg"),
    ],
)
def test_a_bad_image_is_refused(spoil: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    images_dir = Path(shutil.copytree(DUMMY_DIR / "images", tmp_path / "images"))
    spoil(images_dir / "a.jpg")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        build_table(DUMMY_DIR / "gaze.csv", tmp_path / "data", images_dir=images_dir)
    assert not list((tmp_path / "data").rglob("*.json"))


@pytest.mark.parametrize(
    ("exif", "shape", "xy_px"), [("ignore", (30, 40, 3), [35, 10]), ("turn", (40, 30, 3), [10, 35])]
)
def test_a_picture_with_an_orientation_is_stored_upright(
    exif: Any, shape: tuple[int, int, int], xy_px: list[float], tmp_path: Path
) -> None:
    images_dir = tmp_path / "images"
    images_dir.mkdir()
    turn(images_dir / "a.jpg")
    table = write_csv(tmp_path, "image,user,x,y\na.jpg,u,35,10\na.jpg,u,10,35\n")
    prepared = build_table(table, tmp_path, images_dir=images_dir, exif=exif)
    record = read_records(prepared)["a.jpg"]
    assert record["image"].shape == shape
    assert record["gaze"]["xy_px"].tolist() == [xy_px]
    verify(open_folder("mine", tmp_path / "mine" / "1.0.0"))
    # The same pixels without a tag have the same digest.
    with Image.open(images_dir / "a.jpg") as image:
        image.save(images_dir / "a.jpg", quality=75)
    if exif == "ignore":
        again = build_table(table, tmp_path, images_dir=images_dir, stored_name="again")
        assert again.info.metadata["digest"] == prepared.info.metadata["digest"]
    with pytest.raises(ValueError, match=f"exif is not given, was {exif}"):
        build_table(table, tmp_path, images_dir=images_dir)


def test_copies_are_in_the_metadata(tmp_path: Path) -> None:
    images_dir = Path(shutil.copytree(DUMMY_DIR / "images", tmp_path / "images"))
    with Image.open(images_dir / "a.jpg") as image:
        image.resize((80, 60)).save(images_dir / "b c.png")
    prepared = build_table(DUMMY_DIR / "gaze.csv", tmp_path, images_dir=images_dir)
    assert prepared.info.metadata["copies"] == [["a.jpg", "b c.png"]]


def test_a_path_out_of_the_folder_is_no_image(tmp_path: Path) -> None:
    shutil.copytree(DUMMY_DIR / "images", tmp_path / "images")
    shutil.copy(DUMMY_DIR / "images" / "a.jpg", tmp_path)
    table = write_csv(tmp_path, "image,user,x,y\n../a.jpg,u,1,2\n")
    with pytest.raises(FileNotFoundError, match=r"lacks 1 of 1 images: '\.\./a\.jpg'"):
        build_table(table, tmp_path / "data", images_dir=tmp_path / "images")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": Path("none.csv")}, r"--table none\.csv is not a file"),
        ({"images_dir": Path("none")}, r"--images none is not a folder"),
    ],
)
def test_missing_files_are_named(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    every: dict[str, Any] = {"table": DUMMY_DIR / "gaze.csv", "data_dir": tmp_path / "data"}
    with pytest.raises(FileNotFoundError, match=message):
        build_table(**(every | options))
    assert not list((tmp_path / "data").rglob("*.json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": None}, "gaze_table needs --table: a table and a folder of images"),
        ({"images_dir": None}, "gaze_table needs --images: a table and a folder of images"),
        ({"stored_name": None}, "gaze_table needs --name"),
        ({"is_strict": False}, "--no-strict does not apply to gaze_table: leave it out"),
        ({"convention": IMAGE_PX._replace(units="deg")}, "--units deg needs --pixels-per-degree"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    every: dict[str, Any] = {
        "table": DUMMY_DIR / "gaze.csv",
        "images_dir": DUMMY_DIR,
        "stored_name": "mine",
    }
    with pytest.raises(ValueError, match=message):
        build("gaze_table", data_dir=tmp_path, **(every | options))
    for name in ("osie", "synthetic_gaze"):
        with pytest.raises(ValueError, match=f"--table a.csv does not apply to {name}: leave it"):
            build(name, data_dir=tmp_path, table=Path("a.csv"))


def test_the_dummy_table_equals_the_output_of_its_script(tmp_path: Path) -> None:
    make_dummy_data.write_table(tmp_path / "gaze.csv")
    assert (tmp_path / "gaze.csv").read_bytes() == (DUMMY_DIR / "gaze.csv").read_bytes()


needs_real_gaze = pytest.mark.skipif(
    "GAZEJAX_RAW_DATA" not in os.environ, reason="GAZEJAX_RAW_DATA is not set"
)
Rows = list[tuple[Any, ...]]


def write_releases(rows: Rows, folder: Path, header: tuple[str, ...]) -> list[Path]:
    """Writes rows of a release in two formats."""
    with (folder / "gaze.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    pyarrow.parquet.write_table(pa.table(columns), folder / "gaze.parquet")
    return [folder / "gaze.csv", folder / "gaze.parquet"]


def rows_of(gaze_by_image_id: Any, user_ids: list[str]) -> Rows:
    """Returns the gaze of a release as rows of a table."""
    return [
        (image_id, user_ids[user], x, y, duration_ms, trial)
        for image_id, gaze in gaze_by_image_id.items()
        for user, trial, (x, y), duration_ms in zip(
            gaze.user, gaze.trial.tolist(), gaze.xy_px.tolist(), gaze.duration_ms.tolist(),
            strict=True,
        )
    ]  # fmt: skip


def documented_digests(data_set: str, config: str) -> dict[str, str]:
    """Returns the digests in the data set's README, which its own test compares with its build."""
    readme = (Path(__file__).parent.parent / data_set / "README.md").read_text()
    found = re.search(rf"^\| `{config}` \| (\w{{64}}) \| (\w{{64}}) \|$", readme, re.MULTILINE)
    assert found
    return {"gaze": found[1], "images": found[2]}


@pytest.mark.real
@needs_real_gaze
def test_real_osie_as_a_table_has_the_same_digest(tmp_path: Path) -> None:
    raw_dir = Path(os.environ["GAZEJAX_RAW_DATA"]) / "osie"
    gaze = osie_dataset_builder.read_fixations(
        raw_dir / "data" / "eye" / "fixations.mat", num_images=700, num_users=15
    )
    user_ids = [str(user) for user in range(1, 16)]
    rows = rows_of(gaze, user_ids)
    table, _ = write_releases(rows, tmp_path, make_dummy_data.HEADER)
    # Parquet: of PS, below.
    scanpaths = tmp_path / "gaze.json"
    scanpaths.write_text(json.dumps(scanpaths_of(rows)))
    images_dir = raw_dir / "data" / "stimuli"
    for number, one in enumerate((table, scanpaths)):
        metadata = build_table(
            one, tmp_path, images_dir=images_dir, stored_name=f"mine_{number}"
        ).info.metadata
        assert metadata["digest"] == documented_digests("osie", "gaze")
        assert metadata["user_ids"] == user_ids
        assert metadata["num_fixations"] == 98_321


@pytest.mark.real
@needs_real_gaze
def test_real_ps_on_the_screen_as_a_table_has_the_same_digest(tmp_path: Path) -> None:
    raw_dir = Path(os.environ["GAZEJAX_RAW_DATA"])
    images_dir = raw_dir / "osie" / "data" / "stimuli"
    config = personalized_saliency_dataset_builder.Builder.builder_configs["osie_overlap"]
    gaze = personalized_saliency_dataset_builder.read_fixations(
        raw_dir / "personalized_saliency", config
    )
    direct = tfds.builder_from_directory(
        build(
            "personalized_saliency/osie_overlap",
            raw_dir / "personalized_saliency",
            tmp_path,
            images_dir,
        )
    ).info.metadata
    convention = Convention("px", 0.5, None, (1920, 1080), "centre")
    # A repeat is a session, named from 1 on.
    rows = [(*row, row[-1] + 1) for row in rows_of(gaze, direct["user_ids"])]
    for table in write_releases(rows, tmp_path, (*make_dummy_data.HEADER, "session")):
        metadata = build_table(
            table,
            tmp_path,
            images_dir=images_dir,
            stored_name=f"from_{table.suffix[1:]}",
            convention=convention,
        ).info.metadata
        assert metadata["digest"] == direct["digest"]
        assert metadata["dropped_fixations"]["total"] == 108


@pytest.mark.parametrize(
    ("shown", "expected"), [((0, 0, 80, 60), 20.0), ((0, 0, 80, 40), None), ((0, 0, 40, 30), 40.0)]
)
def test_pixels_per_degree_are_stored_of_the_picture(
    shown: tuple[float, float, float, float], expected: float | None, tmp_path: Path
) -> None:
    table = write_csv(tmp_path, "image,user,x,y\na.jpg,p,1,2\n")
    convention = Convention(shown_at_px=shown, pixels_per_degree=40.0)
    prepared = build_table(table, tmp_path, convention=convention)
    assert prepared.info.metadata["pixels_per_degree"] == expected


def test_pixels_per_degree_that_the_format_says(tmp_path: Path) -> None:
    table = write_csv(tmp_path, "VP,trial,Img,x,y,fixdur,forced_fix\n1,1,a.jpg,16,9,200,0\n")
    with pytest.raises(ValueError, match=r"-degree 10\.0 is given, and the files of daemons say"):
        build_table(table, tmp_path, convention=Convention(pixels_per_degree=10.0))
    prepared = build_table(table, tmp_path)  # Pictures of 40 x 30, not of 1920 x 1080.
    assert prepared.info.metadata["pixels_per_degree"] is None


def test_folders_that_do_nothing_or_cannot_be_made_are_refused(tmp_path: Path) -> None:
    table = write_csv(tmp_path, "image,user,x,y\na.jpg,p,1,2\n")
    with pytest.raises(ValueError, match=r"--raw /r would do nothing"):
        build_table(table, tmp_path, raw_dir=Path("/r"))
    with pytest.raises(
        ValueError, match=r"--data-dir: the folder .*t\.csv/mine cannot be made \(Not"
    ):
        build_table(table, table)
