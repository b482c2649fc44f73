import argparse
import contextlib
import functools
import json
import pwd
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gazejax.api import load
from gazejax.cli import embed, predict
from gazejax.cli.main import main, make_parser
from gazejax.cli.train import with_flags
from gazejax.config.ablations import value_at
from gazejax.config.files import read_config
from gazejax.config.rules import Rule
from gazejax.config.schema import rules_for
from gazejax.runtime import cache


@pytest.fixture(scope="module", autouse=True)
def models_are_loaded_once():
    """As a program would: a model compiles its functions anew each time that it is loaded."""
    load_once = functools.cache(load)
    with pytest.MonkeyPatch.context() as patch:
        for module in (embed, predict):
            patch.setattr(module, "load", load_once)
        yield


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


def test_embed_then_predict(tiny_run, pictures, capsys):
    embedding, out = pictures / "ann.npz", pictures / "map.png"
    table = ["--table", str(pictures / "gaze.csv"), "--images", str(pictures)]
    assert main(["embed", str(tiny_run), *table, "--user", "ann", "--out", str(embedding)]) == 0
    assert "embedded ann from 2 images" in capsys.readouterr().out
    image = ["--image", str(pictures / "a.png"), "--out", str(out)]
    overlay = pictures / "overlay.png"
    given = ["--embedding", str(embedding), "--overlay", str(overlay)]
    assert main(["predict", str(tiny_run), *image, *given]) == 0
    with Image.open(out) as picture, Image.open(overlay) as drawn:
        assert (picture.size, picture.mode) == ((40, 30), "L")
        assert (drawn.size, drawn.mode) == ((40, 30), "RGB")
        grey = np.asarray(picture)
    for name in ("map.npy", "map.npz"):
        command = [*image[:3], str(pictures / name), "--embedding", str(embedding)]
        assert main(["predict", str(tiny_run), *command]) == 0
    numbers = np.load(pictures / "map.npy")
    assert (numbers.shape, numbers.dtype) == ((30, 40), np.float32)
    assert numbers.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(np.load(pictures / "map.npz")["saliency"], numbers)
    np.testing.assert_allclose(grey / 255, numbers / numbers.max(), atol=0.51 / 255)


def test_an_embedding_of_another_encoder_is_refused(tiny_run, pictures, capsys):
    path = pictures / "e.npz"
    predict = ["predict", str(tiny_run), "--image", str(pictures / "a.png")]
    predict += ["--embedding", str(path), "--out", str(pictures / "map.npy")]
    digest = load(tiny_run).encoder_digest
    embedding = np.zeros(6, np.float32)
    for other, message in (
        ({"encoder_digest": "0123456789abcdef"}, "e.npz is an embedding by the encoder 0123456789"),
        (
            {"encoder_digest": "0123456789abcdef"},
            f"by the encoder of this model, {digest[:12]}; make",
        ),
        ({}, "e.npz does not name its encoder"),
    ):
        np.savez(path, embedding=embedding, **other)
        assert main(predict) == 1
        printed = capsys.readouterr().err
        assert message in printed
        assert printed.count("\n") == 1
    np.savez(path, embedding=embedding, encoder_digest=digest)
    assert main(predict) == 0


def test_an_embedding_that_is_a_folder_or_absurd_is_refused(tiny_run, pictures, capsys):
    predict = ["predict", str(tiny_run), "--image", str(pictures / "a.png")]
    predict += ["--out", str(pictures / "map.npy"), "--embedding"]
    assert main([*predict, str(pictures)]) == 1
    message = f"error: embedding {pictures} is a folder; allowed: a file that gazejax embed wrote\n"
    assert capsys.readouterr().err == message
    path, digest = pictures / "e.npz", load(tiny_run).encoder_digest
    for value in (1e30, -1e30, 1e300):
        np.savez(path, embedding=np.full(6, value), encoder_digest=digest)
        assert main([*predict, str(path)]) == 1
        printed = capsys.readouterr().err
        assert printed.startswith("error: embedding holds ")
        assert printed.count("\n") == 1
    assert not (pictures / "map.npy").exists()


def test_embed_reads_coordinates_as_the_training_did(tiny_run, pictures, monkeypatch, capsys):
    """Options that the training was given hold, but for those that are given or that differ."""

    def embedding(*options):
        table = ["--table", str(pictures / "gaze.csv"), "--images", str(pictures)]
        out = ["--user", "ann", "--out", str(pictures / "ann.npz")]
        assert main(["embed", str(tiny_run), *table, *out, *options]) == 0
        return np.load(pictures / "ann.npz")["embedding"]

    expected = embedding()
    rows = "image,user,x,y,duration_ms\na.png,ann,30,35,200\nb.png,ann,59.5,15.5,180\n"
    (pictures / "gaze.csv").write_text(rows + "a.png,ann,31,36,300\n")  # 20 and 15 px more.
    source = {"tracking": "eye", "screen_px": [80, 60], "fit": "native", "durations": "s"}
    stored = {"format": "table", "convention": {}, "source": source}
    monkeypatch.setattr(embed, "load_gaze_source", lambda _: stored)
    for options in ((), ("--pixels-per-degree", "30")):
        capsys.readouterr()
        np.testing.assert_array_equal(embedding(*options), expected)
        said = capsys.readouterr().err
        assert "read as in the training:" in said
        assert "--screen 80x60 --fit native" in said
        assert "warning: --durations is not given, and was s for the training's data" in said
    stored["format"] = "tobii"  # Options of other files say nothing of these.
    with pytest.raises(AssertionError):
        embedding()
    assert "3 fixations outside their image dropped" in capsys.readouterr().err


def test_embed_warns_of_the_viewings_of_all_users_in_one_plain_line(tiny_run, pictures, capsys):
    rows = [f"{image},{user},{9 + number % 20},12,900\n" for user in ("ann", "bob", "cid")
            for image in ("a.png", "b.png") for number in range(90)]  # fmt: skip
    (pictures / "gaze.csv").write_text("image,user,x,y,duration_ms\n" + "".join(rows))
    table = ["--table", str(pictures / "gaze.csv"), "--images", str(pictures)]
    assert main(["embed", str(tiny_run), *table, "--all", "--out", str(pictures / "all")]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "of the training" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: viewings of 3 of 3 users have other fixations ('ann' 90.0")


def test_embed_says_who_may_be_the_same_person(tiny_run, pictures, capsys):
    with (pictures / "gaze.csv").open("a") as file:
        file.write("a.png,Ann,12,13,250\n")
    table = ["--table", str(pictures / "gaze.csv"), "--images", str(pictures)]
    for user, is_said in (("ann", True), ("bob", False)):
        out = ["--user", user, "--out", str(pictures / f"{user}.npz")]
        assert main(["embed", str(tiny_run), *table, *out]) == 0
        assert ("'Ann'" in capsys.readouterr().err) == is_said
    (pictures / "gaze.csv").write_text(f"image,user,x,y\na.png,{'x' * 300},12,13\n")
    assert main(["embed", str(tiny_run), *table, "--all", "--out", str(pictures / "all")]) == 1
    assert "has a name too long for a file, allowed: 255 bytes" in capsys.readouterr().err
    assert not (pictures / "all").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("predict RUN --image a.png --out RUN/center_prior.npz", "over the input"),
        (
            "embed RUN --table gaze.csv --images . --user ann --out RUN/center_prior.npz",
            "over the input",
        ),
        ("embed RUN --table gaze.csv --images . --user bob --out b.png", "that ends with .npz"),
        ("embed RUN --table gaze.csv --images . --user bob --out e.npz", "no earlier call of this"),
        ("embed RUN --table gaze.csv --images . --user bob --out b", "--out b is a folder; allow"),
        ("embed RUN --table gaze.csv --images . --all --out e.npz", "e.npz is a file; allowed wi"),
        ("embed RUN --table no.csv --images . --all --out e.npz/x", "e.npz is a file; allowed wi"),
        ("embed RUN --table gaze.csv --images . --all --out all", "--out all/ann.npz exists, and"),
        ("predict RUN --image a.png --out a.png", "--out a.png would be written over the input"),
        ("predict RUN --image a.png --out link.png", "over the input a.png"),
        ("predict RUN --image a.png --overlay ./b/../hard.png", "over the input a.png"),
        ("predict RUN --image a.png --embedding e.npz --out e.npz", "over the input e.npz"),
        ("predict RUN --image a.png --out b.png", "no earlier call of this command wrote it"),
        ("predict RUN --image a.png --overlay b.png", "--overlay b.png exists, and no earlier"),
        ("predict RUN --image a.png --out e.npz", "no earlier call of this command wrote it"),
        ("predict RUN --image a.png --out v.npy", "no earlier call of this command wrote it"),
        ("predict RUN --image a.png --out dir.png", "--out dir.png is a folder; allowed: a file"),
        ("predict RUN --image a.png --out map.jpg", "allowed: a file that ends with .npy, .npz, "),
        ("predict RUN --image a.png --overlay map.npy", "allowed: a file that ends with .png"),
        ("predict RUN --image a.png --out m.png --overlay b/../m.png", "allowed: two files"),
        ("predict RUN --image a.png", "--out and --overlay are missing"),
        ("predict RUN --image a.png --out c/m.npy", "the folder c does not exist"),
        ("embed RUN --table gaze.csv --images . --user ann --out gaze.csv", "that ends with .npz"),
        ("embed RUN --table tables --images . --user ann --out t.npz", "tables/gaze.csv"),
        ("embed RUN --table gaze.csv --images . --user ann --out hard.npz", "over the input a.png"),
        ("data check gaze.csv --images . --picture gaze.csv", "--picture gaze.csv would be"),
        ("data check gaze.csv --images . --picture a.png", "--picture a.png would be w"),
        ("data check tables --images . --picture gaze.csv", "over the input tables/gaze.csv"),
        ("data check gaze.csv --images b --picture g2.csv", "a file that ends with .png"),
        ("data check gaze.csv --images b --picture new.jpg", "a file that ends with .png"),
        ("data check gaze.csv --images b --picture text.png", "text.png exists, and no e"),
        ("data check gaze.csv --images b --picture dir.png", "dir.png is a folder"),
    ],
)
def test_no_command_writes_over_its_input_or_another_kind_of_file(
    tiny_run, pictures, monkeypatch, capsys, command, message
):
    monkeypatch.chdir(pictures)
    (pictures / "b").mkdir()
    (pictures / "tables").mkdir()
    (pictures / "link.png").symlink_to("a.png")
    for name in ("hard.png", "hard.npz"):
        (pictures / name).hardlink_to("a.png")
    (pictures / "t.npz").hardlink_to("gaze.csv")
    (pictures / "dir.png").mkdir()
    (pictures / "all").mkdir()
    (pictures / "all" / "ann.npz").write_text("not an embedding")
    np.save(pictures / "v.npy", np.ones((2, 2), np.float32))
    (pictures / "tables" / "gaze.csv").hardlink_to("gaze.csv")
    for name in ("e.npz", "text.png", "g2.csv"):
        (pictures / name).write_bytes(b"kept")
    before = {path: path.read_bytes() for path in pictures.rglob("*") if path.is_file()}
    assert main([word.replace("RUN", str(tiny_run)) for word in command.split()]) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert before == {path: path.read_bytes() for path in pictures.rglob("*") if path.is_file()}


def test_an_output_is_replaced_whole_or_stays(tiny_run, pictures, monkeypatch, capsys):
    monkeypatch.chdir(pictures)
    embed_ann = "embed RUN --table gaze.csv --images . --user ann --out link.npz"
    commands = (
        [embed_ann]
        + [
            f"predict RUN --image a.png --embedding ann.npz {output}"
            for output in ("--out m.npy", "--out m.npz", "--out m.png", "--overlay o.png")
        ]
        + ["data check gaze.csv --images . --page c.html"]
    )
    (pictures / "link.npz").symlink_to("ann.npz")
    commands = [[word.replace("RUN", str(tiny_run)) for word in one.split()] for one in commands]
    for command in commands:
        for _ in range(2):  # An earlier output may be replaced.
            assert main(command) == 0, capsys.readouterr().err
    assert (pictures / "link.npz").is_symlink()
    before = {path: path.read_bytes() for path in pictures.iterdir()}
    capsys.readouterr()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As a disk that is full after 100 bytes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        codes = [main(command) for command in commands]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert codes == [1] * len(commands)
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    for command, error in zip(commands, errors, strict=True):
        assert "File too large" in error
        assert repr(command[-1]) in error
    assert before == {path: path.read_bytes() for path in pictures.iterdir()}


def test_embed_and_predict_read_pictures_as_build_does(tiny_run, pictures, capsys):
    image = pictures / "a.png"
    exif = Image.Exif()
    exif[274] = 6
    with Image.open(image) as upright:
        upright.transpose(Image.Transpose.ROTATE_90).save(image, exif=exif)
    table = ["--table", str(pictures / "gaze.csv"), "--images", str(pictures), "--user", "ann"]
    out = ["--out", str(pictures / "ann.npz")]
    predict = ["predict", "--image", str(image), "--out", str(pictures / "map.png")]
    for command in (predict, ["embed", *table, *out]):
        arguments = [command[0], str(tiny_run), *command[1:]]
        assert main(arguments) == 1
        assert "a.png: its EXIF orientation is 6, expected 1: --exif" in capsys.readouterr().err
        assert main([*arguments, "--exif", "turn"]) == 0
    (pictures / "b.png").rename(pictures / "c.png")
    assert main(["embed", str(tiny_run), *table, *out, "--exif", "turn"]) == 1
    assert "lacks 1 of 2 images: 'b.png' (nearest: 'c.png')" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--user", "eve"], "no row of user 'eve'; it has rows of ann, bob"),
        (["--user", "ann", "--images", "nowhere"], "--images nowhere is not a folder"),
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
def test_a_malformed_table_names_file_and_line(tiny_run, tmp_path, capsys, table, message):
    path = tmp_path / "bad.csv"
    path.write_text(table)
    options = ["--table", str(path), "--images", str(tmp_path), "--user", "ann"]
    assert main(["embed", str(tiny_run), *options, "--out", str(tmp_path / "e.npz")]) == 1
    error = capsys.readouterr().err
    assert f"error: {path}" in error
    assert message in error


def test_fixations_outside_their_picture_are_dropped_and_counted(tiny_run, pictures, capsys):
    options = ["--table", str(pictures / "gaze.csv"), "--images", str(pictures), "--user", "ann"]
    inside, other = pictures / "inside.npz", pictures / "other.npz"
    (pictures / "gaze.csv").write_text("image,user,x,y\na.png,ann,10,20\n")
    assert main(["embed", str(tiny_run), *options, "--out", str(inside)]) == 0
    (pictures / "gaze.csv").write_text(
        "image,user,x,y\na.png,ann,-1,20\na.png,ann,10,20\nb.png,ann,40,3\n"
    )
    assert main(["embed", str(tiny_run), *options, "--out", str(other)]) == 0
    assert "2 fixations outside their image dropped" in capsys.readouterr().err
    np.testing.assert_array_equal(np.load(other)["embedding"], np.load(inside)["embedding"])
    (pictures / "gaze.csv").write_text("image,user,x,y\nb.png,ann,40,3\n")
    assert main(["embed", str(tiny_run), *options, "--out", str(other)]) == 1
    assert "user 'ann' has no fixation inside an image" in capsys.readouterr().err


def test_embed_says_what_is_left_out_of_plain_tables(tiny_run, pictures, tmp_path, capsys):
    table = tmp_path / "t"
    table.mkdir()
    rows = "image,user,x,y\na.png,ann,10,20\na.png,bob,,\na.png,cy,-1,20\n"
    (table / "p1.csv").write_text(rows)
    (table / "p2.csv").write_text("")
    options = ["--images", str(pictures), "--table", str(table), "--drop-missing", "--json"]
    command = ["embed", str(tiny_run), *options, "--out"]
    assert main([*command, str(tmp_path / "out"), "--all"]) == 0
    printed, said = capsys.readouterr()
    assert [json.loads(line)["user"] for line in printed.splitlines()] == ["ann"]
    assert "1 rows left out: without a place" in said
    assert f"warning: {table / 'p2.csv'} left out" in said
    assert "warning: users left out, of whom no row is left: 'bob'" in said
    assert "warning: users without any fixation inside an image: 'cy'" in said
    assert main([*command, str(tmp_path / "bob.npz"), "--user", "bob"]) == 1
    assert "no row is left: 'bob'" in capsys.readouterr().err


def test_every_convention_of_a_table_gives_one_embedding(tiny_run, pictures, capsys):
    """The pictures are 40 x 30; one is looked at twice."""
    options = ["--images", str(pictures), "--user", "ann", "--table"]
    rows = [("a.png", 10, 20), ("a.png", 4, 6), ("B.PNG", 30, 3)]
    tables = {
        "px": ("", lambda x, y: (x, y)),
        "up": ("--units frac --y up", lambda x, y: (x / 40, 1 - y / 30)),
        "screen": ("--screen 160x90 --fit centre", lambda x, y: (3 * x + 20, 3 * y)),
        "shown": ("--shown-at 5,7,80x60", lambda x, y: (2 * x + 5, 2 * y + 7)),
        "cut": ("--shown-at -5,-7,80x60", lambda x, y: (2 * x - 5, 2 * y - 7)),
    }
    found = {}
    for name, (flags, of) in tables.items():
        table, out = pictures / f"{name}.csv", pictures / f"{name}.npz"
        lines = [f"{image},ann,{of(x, y)[0]!r},{of(x, y)[1]!r}" for image, x, y in rows]
        table.write_text("\n".join(["image,user,x,y", *lines]))
        command = ["embed", str(tiny_run), *options, str(table), *flags.split(), "--out", str(out)]
        assert main(command) == 0, capsys.readouterr().err
        found[name] = np.load(out)["embedding"]
    for embedding in found.values():
        np.testing.assert_allclose(embedding, found["px"], atol=1e-4)


def test_all_users_of_a_table_are_embedded_as_one_by_one(tiny_run, pictures, capsys):
    options = ["--table", str(pictures / "gaze.csv"), "--images", str(pictures)]
    assert main(["embed", str(tiny_run), *options, "--all", "--out", str(pictures / "all")]) == 0
    assert "embedded 2 users" in capsys.readouterr().out
    for user in ("ann", "bob"):
        one = pictures / f"{user}.npz"
        assert main(["embed", str(tiny_run), *options, "--user", user, "--out", str(one)]) == 0
        of_all = np.load(pictures / "all" / f"{user}.npz")
        np.testing.assert_allclose(of_all["embedding"], np.load(one)["embedding"], atol=1e-5)
        assert of_all["num_images"] == np.load(one)["num_images"]


@pytest.mark.slow
def test_an_encoder_of_durations_asks_the_table_for_them(tiny_scanpath_run, pictures, capsys):
    table = ["--table", str(pictures / "gaze.csv"), "--images", str(pictures), "--user", "ann"]
    out = pictures / "e.npz"
    assert main(["embed", str(tiny_scanpath_run), *table, "--out", str(out)]) == 0
    (pictures / "gaze.csv").write_text("image,user,x,y\na.png,ann,10,20\n")
    capsys.readouterr()
    assert main(["embed", str(tiny_scanpath_run), *table, "--out", str(out)]) == 1
    assert "gaze.csv has no column duration_ms; the encoder" in capsys.readouterr().err


@pytest.mark.usefixtures("without_plots")
def test_evaluate_prints_a_few_lines_and_writes_the_tables(tiny_run, capsys):
    assert main(["evaluate", str(tiny_run)]) == 0
    out = capsys.readouterr().out
    assert "\nROC-AUC, n = " in out
    assert "\nIG, own minus another's, n = " in out
    assert f"report: {tiny_run / 'report.html'}" in out
    assert len(out.splitlines()) <= 10
    text = (tiny_run / "evaluation.md").read_text()
    assert "| unseen: **encoder** |" in text
    assert "| network, another user's embedding |" in text


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


@pytest.mark.parametrize("switch", [["--refuse-warnings", "-5"], ["--refuse-warnings=-5"]])
def test_a_value_after_a_switch_is_named(capsys, switch):
    with pytest.raises(SystemExit):
        main(["data", "build", "gaze_table", *switch])
    expected = "error: argument --refuse-warnings: takes no value, given '-5'\n"
    assert capsys.readouterr().err == expected


def test_unknown_data_set_and_workdir_are_one_line(tmp_path, capsys):
    assert main(["data", "build", "unknown", "--data-dir", str(tmp_path)]) == 1
    assert "unknown data set 'unknown'" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path)]) == 1
    assert "config.json does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "of"),
    [
        ("evaluate ~/x --data-dir ~/x", ("workdir", "data_dir")),
        ("checkpoints ~/x", ("workdir",)),
        ("train --config ~/x:short --workdir ~/x", ("config", "workdir")),
        ("sweep ~/x --workdir ~/x", ("sweep", "workdir")),
        ("compare ~/x --out ~/x", ("folders", "out")),
        ("embed ~/x --table ~/x --images ~/x --user a --out ~/x", ("table", "images", "out")),
        ("predict ~/x --image ~/x --embedding ~/x --out ~/x", ("image", "embedding", "out")),
        ("data build osie --raw ~/x --table ~/x --data-dir ~/x", ("raw", "table", "data_dir")),
        ("data check ~/x --images ~/x --picture ~/x", ("path", "images", "picture")),
    ],
)
def test_a_tilde_is_the_home_folder_in_every_path(monkeypatch, command, of):
    monkeypatch.setenv("HOME", "/home/ann")
    given = vars(make_parser().parse_args(command.split()))
    for name in of:
        [path] = given[name] if isinstance(given[name], list) else [given[name]]
        assert str(path).removesuffix(":short") == "/home/ann/x"


def test_every_path_goes_through_one_function():
    parsers, types = [make_parser()], []
    while parsers:
        for action in parsers.pop()._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
            else:
                types.append(action.type)
    assert Path not in types


def test_a_tilde_of_a_config_flag_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    config = with_flags(read_config("synthetic_gaze"), ["--config.data.data_dir=~/x"])
    assert config.data.data_dir == "/home/ann/x"


KEYS_THAT_MAY_BE_NONE = [
    "data.data_dir",
    "eval.gaze.first_fixations",
    "eval.gaze.first_ms",
    "split.max_seen_users",
    "split.max_train_images",
    "split.test_image_overlap",
    "split.train_image_overlap",
]


def keys_of(rules, prefix=""):
    for name, rule in rules.items():
        if isinstance(rule, Rule):
            yield prefix + name, rule
        else:
            yield from keys_of(rule, f"{prefix}{name}.")


def test_none_is_none_in_every_key_that_may_be_none():
    given = {"data.data_dir": "x", "eval.gaze.first_ms": 1.5, "split.train_image_overlap": 0.5}
    config = read_config("synthetic_gaze")
    rules = dict(keys_of(rules_for(config.to_dict())))
    assert sorted(key for key, rule in rules.items() if rule.test(None)) == KEYS_THAT_MAY_BE_NONE
    for key in KEYS_THAT_MAY_BE_NONE:
        config = read_config("synthetic_gaze")
        config.update_from_flattened_dict({key: given.get(key, 5)})
        for flags in ([f"--config.{key}=None"], [f"-config.{key}", "None"]):
            assert value_at(with_flags(config.copy_and_resolve_references(), flags), key) is None


def test_the_last_flag_counts_with_none_too():
    none, folder = "--config.data.data_dir=None", "--config.data.data_dir=/x"
    assert with_flags(read_config("synthetic_gaze"), [none, folder]).data.data_dir == "/x"
    assert with_flags(read_config("synthetic_gaze"), [folder, none]).data.data_dir is None
    two = [none, *folder.split("=")]
    assert with_flags(read_config("synthetic_gaze"), two).data.data_dir == "/x"
    name = ["--config.data.name=a=None"]
    assert with_flags(read_config("synthetic_gaze"), name).data.name == "a=None"


def test_none_is_refused_where_a_key_may_not_be_none(tmp_path, capsys):
    train = ["train", "--config", "synthetic_gaze", "--workdir", str(tmp_path / "run")]
    assert main([*train, "--config.data.name=None"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: config.data.name is None; allowed: the name of a data set, or")
    assert error.count("\n") == 1


@pytest.fixture
def without_home(monkeypatch):
    def unknown(user):
        raise KeyError(user)

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", "~/tensorflow_datasets")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("evaluate ~/x", "'~/x' is in a home folder, and none is known; allowed: the path from /"),
        ("evaluate ~none/x", "'~none/x' is in a home folder, and none is known"),
        ("data list", "give --data-dir, or set TFDS_DATA_DIR or HOME"),
        ("data build synthetic_gaze/tiny", "give --data-dir, or set TFDS_DATA_DIR or HOME"),
        ("data verify osie", "give --data-dir, or set TFDS_DATA_DIR or HOME"),
    ],
)
def test_without_a_home_folder_one_line_says_what_to_set(
    without_home, tmp_path, monkeypatch, capsys, command, message
):
    monkeypatch.chdir(tmp_path)
    with contextlib.suppress(SystemExit):  # Of argparse.
        assert main(command.split()) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_a_home_folder_the_cache_says_what_to_set(without_home):
    with pytest.raises(ValueError, match="set XDG_CACHE_HOME or HOME"):
        cache.default_folder()
