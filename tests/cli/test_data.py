"""The commands `gazejax data ...` on files of gaze: what is said, refused, replaced and removed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gazejax.cli.main import main
from gazejax.data.reader import read_records

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


def test_a_folder_of_data_sets_that_is_none_is_named(folder, capsys):
    for name, reason in (("gaze.csv", "is a file"), ("no", "does not exist")):
        assert main(["data", "list", "--data-dir", str(folder / name)]) == 1
        assert f"--data-dir {folder / name} {reason}; allowed: " in capsys.readouterr().err
    assert main(["data", "list", "--data-dir", str(folder)]) == 0


def test_a_damaged_data_set_leaves_the_commands_of_data(folder, capsys):
    assert build(folder) == build(folder, name="whole") == 0
    where = ["--data-dir", str(folder / "data")]
    (folder / "data" / "mine" / "1.0.0" / "dataset_info.json").unlink()
    capsys.readouterr()
    assert main(["data", "list", *where]) == 0
    listed = capsys.readouterr().out
    assert "whole  1.0.0" in listed
    assert "damaged: mine: " in listed
    for command in (["verify", "mine"], ["verify", "none"], ["remove", "none", "--yes"]):
        assert main(["data", *command, *where]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert ("dataset_info.json is missing" in error) == (command[1] == "mine")
    assert main(["data", "remove", "mine", "--yes", *where]) == 0
    assert "removed mine 1.0.0, damaged, in " in capsys.readouterr().out
    assert main(["data", "verify", "whole", *where]) == 0


ASC = """** DATE: Fri Nov  1 2024
MSG 900 DISPLAY_COORDS 0 0 159 119
MSG 1000 TRIALID 1
MSG 1001 !V IMGLOAD CENTER a.png 80 60 80 60
MSG 1002 SYNCTIME
EFIX R 1100 1300 201 60.0 50.0 800
EFIX R 1400 1600 201 90.0 70.0 800
MSG 2000 TRIAL_RESULT 0
"""


def first_xy(folder, name="mine"):
    _, records = read_records(name, folder / "data")
    return records[0]["gaze"]["xy_px"].tolist()


def test_options_do_not_contradict_what_the_files_say(folder, capsys):
    (folder / "p1.asc").write_text(ASC)
    assert build(folder, table="p1.asc") == 0
    # The corner of the image is at (40, 30).
    assert first_xy(folder) == [[20, 20], [50, 40]]
    for options, message in (
        ("--screen 160x120 --fit native", "eyelink-asc gives places on the image itself"),
        ("--shown-at 40,30,80x60", "so --screen, --fit and --shown-at do not apply"),
    ):
        assert build(folder, *options.split(), table="p1.asc", name="other") == 1
        assert message in capsys.readouterr().err
    (folder / "p2.asc").write_text(ASC.replace("!V IMGLOAD CENTER a.png 80 60 80 60", "a.png"))
    image = ["--image-from", "a.png"]
    for options, message in (
        ("--screen 80x60 --fit native", "--screen 80x60 is given, and the files of eyelink-asc s"),
        ("--y up", "--y up is given, and the files of eyelink-asc say --y down: leave the option"),
        ("--units frac", "--units frac is given, and the files of eyelink-asc say --units px"),
    ):
        assert build(folder, *image, *options.split(), table="p2.asc", name="other") == 1
        assert message in capsys.readouterr().err
    assert build(folder, *image, "--fit", "native", table="p2.asc", name="other") == 0
    assert first_xy(folder, "other") == first_xy(folder)


def test_a_screen_of_many_digits_is_refused(folder, capsys):
    long = "1" + "0" * 400
    for options in (["--screen", f"{long}x1", "--fit", "stretch"], ["--shown-at", f"0,0,{long}x1"]):
        assert build(folder, *options) == 1
        assert f"error: {options[0]} is '" in capsys.readouterr().err


def test_files_of_one_name_are_not_one_person(folder, capsys):
    for user in ("ann", "bob"):
        (folder / user).mkdir()
        (folder / user / "run.asc").write_text(ASC)
    more = ["--table", str(folder / "bob")]
    assert build(folder, *more, table="ann") == 1
    assert "run.asc would be of one user 'run'" in capsys.readouterr().err
    assert build(folder, *more, "--user-from", "([^/]+)/[^/]+$", table="ann") == 0
    assert metadata(folder)["user_ids"] == ["ann", "bob"]


def test_folders_above_the_table_name_no_user(folder, capsys):
    (folder / "p1" / "t").mkdir(parents=True)
    (folder / "p1" / "t" / "ann.csv").write_text("image,user,x,y\na.png,ann,5,5\n")
    for table in ("p1/t", "p1/t/ann.csv"):
        assert build(folder, "--user-from", r"(p\d)", table=table) == 1
        assert r"--user-from '(p\\d)' does not fit user 'ann'" in capsys.readouterr().err
    assert build(folder, "--user-from", r"(p\d)", table="p1") == 0
    assert metadata(folder)["user_ids"] == ["p1"]


def test_recordings_of_one_person_are_apart(folder, capsys):
    rows = ("image,user,x,y", "a.png,p7_1,5,5", "a.png,p7_2,50,50", "a.png,p7_1,6,6")
    (folder / "gaze.csv").write_text("\n".join(rows))
    assert build(folder, "--user-from", r"(p\d+)_") == 0
    assert metadata(folder)["session_ids"] == [["p7_1", "p7_2"]]
    assert first_xy(folder) == [[5, 5], [6, 6], [50, 50]]
    (folder / "tables").mkdir()
    for name in ("one.csv", "two.csv"):
        (folder / "tables" / name).write_text("image,user,x,y\na.png,p7,5,5\n")
    assert build(folder, table="tables", name="other") == 1
    assert "two.csv row 1: user 'p7' looks at 'a.png' in" in capsys.readouterr().err
    assert build(folder, "--user-from", r"(?P<sesion>\d)(p)") == 1
    assert "or groups named user and session" in capsys.readouterr().err


def test_rows_of_a_viewing_that_are_apart_are_said(folder, capsys):
    (folder / "gaze.csv").write_text(
        "image,user,x,y\na.png,ann,5,5\nb.png,bob,4,4\nb.png,ann,6,6\na.png,ann,7,7\n"
    )
    assert build(folder) == 0
    assert "1 of 3 viewings have rows that are apart" in capsys.readouterr().err
    with (folder / "gaze.csv").open("a") as file:
        file.write("a.png,ann,79,-1\n")
    assert build(folder, name="other") == 0
    assert "20% of the fixations are outside their image" in capsys.readouterr().err
    (folder / "gaze.csv").write_text("image,user,x,y\na.png,ann,500,500\n")
    assert build(folder, name="nothing") == 1
    assert "no fixation is inside its image" in capsys.readouterr().err
    assert not (folder / "data" / "nothing").exists()


def test_built_already_means_the_same_pictures_and_the_same_warnings(folder, capsys):
    (folder / "gaze.csv").write_text("image,user,x,y\na.png,ann,0.4,0.5\na.png,bob,0.2,0.7\n")
    assert build(folder) == 0
    capsys.readouterr()
    assert build(folder) == 0
    assert "warning: x and y look like fractions" in capsys.readouterr().err
    assert build(folder, "--refuse-warnings") == 1
    assert "refused by --refuse-warnings: x and y look like" in capsys.readouterr().err
    Image.new("RGB", (80, 60)).save(folder / "a.png")
    assert build(folder) == 1
    assert "was built with another picture 'a.png' than" in capsys.readouterr().err


def test_only_data_sets_of_the_folder_are_removed(folder, capsys):
    assert build(folder) == 0
    where = ["--yes", "--data-dir", str(folder / "data")]
    home = folder / "data" / "mine" / "1.0.0"
    for name in ("../data/mine", str(home.parent), "mine/1.0.0", "yours"):
        assert main(["data", "remove", name, *where]) == 1
        assert "allowed: one of gazejax data list: mine" in capsys.readouterr().err
    (home / "notes.txt").write_text("mine")
    for command in (lambda: main(["data", "remove", "mine", *where]), lambda: build_anew(folder)):
        assert command() == 1
        assert "notes.txt is no file of the data set: move it" in capsys.readouterr().err
    (home / "notes.txt").unlink()
    shutil.copytree(home, home.parent / "0.9.0")
    assert main(["data", "remove", "mine", *where]) == 0
    assert not home.parent.exists()


def build_anew(folder):
    return build(folder, "--replace")


def test_a_data_set_that_cannot_be_replaced_stays(folder, monkeypatch):
    assert build(folder) == 0
    home, rename = folder / "data" / "mine" / "1.0.0", Path.rename

    def no_space(path, target):
        if "new" in path.parts and Path(target) == home:
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", no_space)
    assert build(folder, "--replace") == 1
    assert metadata(folder)["num_fixations"] == 3


def test_a_check_draws_over_its_own_picture_only(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    command = ["data", "check", "gaze.csv", "--images", "."]
    for _ in range(2):
        assert main([*command, "--picture", "check.png"]) == 0
    page = Path("gaze_check.html").read_text()
    assert "user ann: 1 fixation. 80 x 60 pixels." in page
    shutil.copy("a.png", "check.png")
    assert main([*command, "--picture", "check.png"]) == 1
    assert "--picture check.png would be written over the input" in capsys.readouterr().err
    Path("gaze_check.html").write_text("mine")
    assert main(command) == 1
    assert "--page gaze_check.html would be written over the input" in capsys.readouterr().err


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
        (["--shown-at", "-1,2"], "--shown-at is '-1,2', expected X,Y,WxH such as"),
        (["--user-from", "-(("], "--user-from '-((' is not a regular expression"),
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


def test_what_a_reader_doubts_is_a_warning(folder, capsys):
    """The message of the experiment is not known to be of the picture: neither read nor ignored."""
    trials = "".join(
        f"MSG\t{t} TRIALID {number}\nSTART\t{t + 1} \tLEFT\tEVENTS\n"
        f"MSG\t{t + 2} !V IMGLOAD FILL {name}\n"
        f"EFIX L   {t + 10}\t{t + 300}\t291\t  {x}.0\t  30.0\t   1070\n"
        f"MSG\t{t + 400} IMAGE_OFF\n"
        f"EFIX L   {t + 410}\t{t + 600}\t191\t  40.0\t  20.0\t   1070\n"
        f"END\t{t + 900} \tEVENTS\nMSG\t{t + 901} TRIAL_RESULT 0\n"
        for number, (t, name, x) in enumerate(((2000, "a.png", 30), (4000, "b.png", 50)))
    )
    (folder / "ann.asc").write_text(f"MSG\t1000 DISPLAY_COORDS 0 0 79 59\n{trials}")
    assert build(folder, "--refuse-warnings", table="ann.asc") == 1
    refused = (
        "refused by --refuse-warnings: 2 rows read all the same: after the message 'IMAGE_OFF'"
    )
    assert refused in capsys.readouterr().err
    assert build(folder, table="ann.asc") == 0
    assert "warning: 2 rows read all the same: after the message" in capsys.readouterr().err
