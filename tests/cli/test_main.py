import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gazejax.cli.main import main
from gazejax.cli.tables import read_gaze_table


@pytest.fixture
def pictures(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(generator.integers(0, 256, (30, 40, 3)).astype(np.uint8)).save(
            tmp_path / name
        )
    (tmp_path / "gaze.csv").write_text(
        "image,user,x,y,duration_ms\na.png,ann,10,20,200\nb.png,ann,39.5,0.5,180\n"
        "a.png,bob,5,5,100\na.png,ann,11,21,300\n"
    )
    return tmp_path


def test_gaze_table_is_read_by_image_in_order(pictures):
    gaze = read_gaze_table(pictures / "gaze.csv", "ann")
    assert list(gaze) == ["a.png", "b.png"]
    np.testing.assert_array_equal(gaze["a.png"].xy_px, [[10, 20], [11, 21]])
    np.testing.assert_array_equal(gaze["a.png"].duration_ms, [200, 300])
    np.testing.assert_array_equal(gaze["b.png"].xy_px, [[39.5, 0.5]])
    (pictures / "short.csv").write_text("image,user,x,y\na.png,ann,10,20\n")
    assert read_gaze_table(pictures / "short.csv", "ann")["a.png"].duration_ms is None


def test_embed_then_predict(tiny_run, pictures, capsys):
    embedding, out = pictures / "ann.npz", pictures / "map.png"
    table = ["--table", str(pictures / "gaze.csv"), "--images", str(pictures)]
    assert main(["embed", str(tiny_run), *table, "--user", "ann", "--out", str(embedding)]) == 0
    assert "embedded ann from 2 images" in capsys.readouterr().out
    image = ["--image", str(pictures / "a.png"), "--out", str(out)]
    assert main(["predict", str(tiny_run), *image, "--embedding", str(embedding)]) == 0
    with Image.open(out) as picture:
        assert picture.size == (80, 30)
    assert main(["predict", str(tiny_run), *image]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--user", "eve"], "no row of user 'eve'; it has rows of ann, bob"),
        (["--user", "ann", "--images", "nowhere"], "image nowhere/a.png does not exist"),
        (["--user", "ann", "--table", "none.csv"], "none.csv"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tiny_run, pictures, capsys, arguments, message):
    out = pictures / "e.npz"
    table = ["--table", str(pictures / "gaze.csv"), "--images", str(pictures)]
    assert main(["embed", str(tiny_run), *table, "--out", str(out), *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image,user,x\na.png,ann,1\n", "has no column 'y'"),
        ("image,user,x,y\na.png,ann,one,2\n", "row 1: x is 'one', expected a number"),
        ("image,user,x,y,duration_ms\na.png,ann,1,2,\n", "row 1: duration_ms is '', expected"),
        ("image,user,x,y\na.png,bob,1,1\na.png,ann,nan,2\n", "row 2: x is 'nan'"),
        ("image,user,x,y\na.png,bob,1,1\n", "no row of user 'ann'; it has rows of bob"),
        ("image,user,x,y,z\na.png,ann,1,1,1\n", "unknown column 'z'"),
        ("", "has no column 'image'"),
    ],
)
def test_a_malformed_table_names_file_and_line(tmp_path, table, message):
    path = tmp_path / "bad.csv"
    path.write_text(table)
    with pytest.raises(ValueError, match=message) as refusal:
        read_gaze_table(path, "ann")
    assert str(path) in str(refusal.value)


def test_a_fixation_outside_its_picture_names_table_and_picture(tiny_run, pictures, capsys):
    (pictures / "gaze.csv").write_text("image,user,x,y\na.png,ann,10,20\nb.png,ann,40,3\n")
    table = ["--table", str(pictures / "gaze.csv"), "--images", str(pictures)]
    out = pictures / "e.npz"
    assert main(["embed", str(tiny_run), *table, "--user", "ann", "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert "gaze.csv: gaze of ann on b.png[0] is (x, y) = (40, 3); allowed: inside" in error


@pytest.mark.slow
def test_an_encoder_of_durations_asks_the_table_for_them(tiny_scanpath_run, pictures, capsys):
    table = ["--table", str(pictures / "gaze.csv"), "--images", str(pictures), "--user", "ann"]
    out = pictures / "e.npz"
    assert main(["embed", str(tiny_scanpath_run), *table, "--out", str(out)]) == 0
    (pictures / "gaze.csv").write_text("image,user,x,y\na.png,ann,10,20\n")
    capsys.readouterr()
    assert main(["embed", str(tiny_scanpath_run), *table, "--out", str(out)]) == 1
    assert "gaze.csv has no column duration_ms; the encoder" in capsys.readouterr().err


def test_evaluate_prints_the_tables(tiny_run, capsys):
    assert main(["evaluate", str(tiny_run)]) == 0
    out = capsys.readouterr().out
    assert "| unseen: **encoder** |" in out
    assert "| network, another user's embedding |" in out


def test_checkpoints_are_listed_and_a_damaged_one_fails(tiny_run, tmp_path, capsys):
    assert main(["checkpoints", str(tiny_run)]) == 0
    listed = capsys.readouterr().out
    lines = [line.split() for line in listed.splitlines()]
    assert [(line[0], line[1], line[4]) for line in lines[:2]] == [
        ("encoder", "12", "verified"),
        ("encoder", "8", "verified"),
    ]
    assert {line[0] for line in lines} == {"encoder", "saliency", "universal", "permuted_encoder"}
    assert main(["checkpoints", str(tiny_run)]) == 0
    assert capsys.readouterr().out == listed

    copy = Path(shutil.copytree(tiny_run, tmp_path / "copy"))
    (copy / "saliency" / "checkpoints" / "12" / "commit_success.txt").write_text("")
    assert main(["checkpoints", str(copy)]) == 1
    printed = capsys.readouterr()
    assert "UNVERIFIED its file commit_success.txt is empty" in printed.out
    assert "the newest checkpoint of a stage does not verify" in printed.err


def test_a_stage_of_another_encoder_is_refused(tiny_run, tmp_path, capsys, pictures):
    copy = Path(shutil.copytree(tiny_run, tmp_path / "copy"))
    shutil.rmtree(copy / "encoder")
    shutil.copytree(copy / "permuted_encoder", copy / "encoder")
    image = ["--image", str(pictures / "a.png"), "--out", str(pictures / "map.png")]
    for command in (["predict", str(copy), *image], ["evaluate", str(copy)]):
        assert main(command) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert "stage saliency was trained with the encoder" in error


def test_a_table_is_checked_built_listed_and_verified(pictures, capsys):
    table, images = str(pictures / "gaze.csv"), ["--images", str(pictures)]
    data_dir = ["--data-dir", str(pictures / "data")]
    picture = pictures / "look.png"
    check = ["data", "check", table, *images, "--picture", str(picture), "--origin", "0"]
    assert main(check) == 0
    printed = capsys.readouterr().out
    assert "images:                 2" in printed
    assert "2 users have gaze on fewer than 10 images: 'ann' (2), 'bob' (1)" in printed
    with Image.open(picture) as drawn:
        assert min(drawn.size) > 300

    build = ["data", "build", "gaze_table", "--table", table, "--name", "mine"]
    assert main([*build, *images, *data_dir, "--origin", "0"]) == 0
    assert "built mine: 2 images, 2 users, 3 fixations, eye tracking" in capsys.readouterr().err
    assert main(["data", "list", *data_dir]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:5] == ["mine", "1.0.0", "2", "2", "3"]
    assert main(["data", "verify", "mine", *data_dir]) == 0
    assert "mine: 2 images and 3 fixations of 2 users are what was built" in capsys.readouterr().out
    assert main(["data", "verify", "other", *data_dir]) == 1
    assert "data set 'other' is not prepared" in capsys.readouterr().err


def test_a_check_fails_with_all_errors_and_the_row_of_each(pictures, capsys):
    (pictures / "gaze.csv").write_text("image,user,x,y\na.png,ann,one,nan\n")
    assert main(["data", "check", str(pictures / "gaze.csv"), "--images", str(pictures)]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [error.split(": ", 2)[2] for error in errors[:2]] == [
        "x is 'one', expected a number",
        "y is 'nan', expected a finite number",
    ]
    assert errors[-1].endswith("gaze.csv cannot be built: 2 errors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--screen", "1920"], "--screen is '1920', expected width and height such as 1920x1080"),
        (["--screen", "1920x1080"], "--screen and --fit go together"),
        (["--units", "deg"], "--units deg needs --pixels-per-degree"),
    ],
)
def test_a_convention_that_cannot_be_is_one_line(pictures, capsys, options, message):
    build = ["data", "build", "gaze_table", "--table", str(pictures / "gaze.csv"), "--name", "m"]
    data_dir = pictures / "data"
    arguments = [*build, "--images", str(pictures), "--data-dir", str(data_dir), *options]
    assert main(arguments) == 1
    assert message in capsys.readouterr().err
    assert not data_dir.exists()


def test_unknown_data_set_and_workdir_are_one_line(tmp_path, capsys):
    assert main(["data", "build", "unknown", "--data-dir", str(tmp_path)]) == 1
    assert "unknown data set 'unknown'" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path)]) == 1
    assert "config.json does not exist" in capsys.readouterr().err
