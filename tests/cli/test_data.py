"""The commands `gazejax data ...` on files of gaze: what is said, refused, replaced and removed."""

import json

import numpy as np
import pytest
from PIL import Image

from gazejax.cli.main import main

GOOD = "image,user,x,y,duration_ms\na.png,ann,11,21,180\na.png,bob,60,20,240\nb.png,ann,9,33,310\n"


@pytest.fixture
def folder(tmp_path):
    """Two pictures of 80 x 60 and a table."""
    generator = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        pixels = generator.integers(0, 256, (60, 80, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "gaze.csv").write_text(GOOD)
    return tmp_path


def build(folder, *options, table="gaze.csv", name="mine"):
    where = ["--images", str(folder), "--data-dir", str(folder / "data")]
    files = ["--table", str(folder / table), "--name", name]
    return main(["data", "build", "gaze_table", *files, *where, *options])


def metadata(folder, name="mine"):
    [path] = (folder / "data" / name).glob("*/metadata.json")
    return json.loads(path.read_text())


def test_a_format_is_recognised_and_said(folder, capsys):
    (folder / "fix.xls").write_text(
        "RECORDING_SESSION_LABEL\tTRIAL_INDEX\tCURRENT_FIX_X\tCURRENT_FIX_Y\tCURRENT_FIX_DURATION\t"
        "picture\np1\t1\t948,5\t541,7\t32\tUNDEFINEDnull\np1\t2\t30,5\t20\t254\ta.png\n"
    )
    assert build(folder, "--shown-at", "10,10,160x120", table="fix.xls") == 0
    said = capsys.readouterr().err
    assert "fix.xls read as eyelink-report: image from 'picture'" in said
    assert "1 rows left out: without an image" in said
    assert metadata(folder)["format"] == "eyelink-report"
    # Without the place, the picture would fill the screen, which nothing contradicts here.
    assert build(folder, table="fix.xls", name="full") == 0
    assert "warning: the place of the images on the screen is not known" in capsys.readouterr().err
    Image.new("RGB", (20, 20)).save(folder / "a.png")
    assert build(folder, table="fix.xls", name="small") == 1
    assert "x and y are on the screen: give --screen WxH with --fit" in capsys.readouterr().err


def test_warnings_are_said_and_refused(folder, capsys):
    (folder / "gaze.csv").write_text("image,user,x,y\na.png,ann,0.4,0.5\na.png,bob,0.2,0.7\n")
    assert build(folder, "--refuse-warnings") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: refused by --refuse-warnings: x and y look like fractions")
    assert not (folder / "data").exists()
    assert build(folder) == 0
    assert "warning: x and y look like fractions, not pixels" in capsys.readouterr().err
    assert build(folder, "--units", "frac", "--refuse-warnings", name="right") == 0


def test_another_source_is_refused_until_it_replaces(folder, capsys):
    assert build(folder) == 0
    assert build(folder) == 0
    assert "already built" in capsys.readouterr().err
    assert build(folder, "--ignore-columns", "duration_ms") == 1
    error = capsys.readouterr().err
    assert "ignored_columns is ['duration_ms'], was not given" in error
    assert metadata(folder)["has_durations"] is True
    assert build(folder, "--ignore-columns", "duration_ms", "--replace") == 0
    assert metadata(folder)["has_durations"] is False
    # A table with an error replaces nothing.
    (folder / "gaze.csv").write_text("image,user,x,y\na.png,ann,one,2\n")
    assert build(folder, "--replace") == 1
    assert metadata(folder)["num_fixations"] == 3
    assert sorted(path.name for path in (folder / "data" / "mine").iterdir()) == ["1.0.0"]


def test_a_data_set_is_removed_when_asked_for(folder, capsys):
    assert build(folder) == 0
    where = ["--data-dir", str(folder / "data")]
    assert main(["data", "remove", "mine", *where]) == 1
    assert "give --yes to remove it" in capsys.readouterr().err
    assert main(["data", "remove", "mine", "--yes", *where]) == 0
    assert "removed mine 1.0.0, 2 images" in capsys.readouterr().out
    assert not (folder / "data" / "mine").exists()
    assert main(["data", "remove", "mine", "--yes", *where]) == 1


def test_sessions_are_in_the_record_and_its_digest(folder, capsys):
    rows = "".join(f"a.png,ann,{x},20,{session}\n" for x, session in ((5, "day1"), (9, "day2")))
    (folder / "gaze.csv").write_text("image,user,x,y,session\n" + rows)
    assert build(folder) == 0
    assert metadata(folder)["session_ids"] == [["day1", "day2"]]
    assert main(["data", "verify", "mine", "--data-dir", str(folder / "data")]) == 0
    (folder / "gaze.csv").write_text("image,user,x,y,session\n" + rows.replace("day2", "day3"))
    assert build(folder, name="other") == 0
    assert metadata(folder, "other")["digest"] != metadata(folder)["digest"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "excel"], "--format is 'excel', expected auto, table, "),
        (["--shown-at", "1,2"], "--shown-at is '1,2', expected X,Y,WxH such as 320,60,1280x960"),
        (["--where", "x ~ 3"], "--where is 'x ~ 3', expected COLUMN"),
        (["--detect-fixations", "1"], "--detect-fixations is '1', expected"),
        (["--user-from", "p"], "--user-from is 'p', expected a group"),
    ],
)
def test_an_option_that_cannot_be_is_one_line(folder, capsys, options, message):
    assert build(folder, *options) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
    assert not (folder / "data").exists()
