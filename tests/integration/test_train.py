"""train.py as a program: what it says, and that killing it loses nothing."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from gazejax.cli.main import main
from gazejax.data import reader
from gazejax.workdir import checkpoints
from tests.compiling import FOUR_DEVICES, KEPT, linked_copy, program_environment
from tests.tiny import ROOT, differing, read_config, tiny_config
from tfds_builders.common.build import build


def command(data_dir, workdir, *overrides):
    """train.py on the tiny data set, with every value of `tiny_config` as an override."""
    changed = differing(read_config("synthetic_gaze").to_dict(), tiny_config(data_dir).to_dict())
    return [
        sys.executable,
        "train.py",
        "--config=configs/synthetic_gaze.py",
        f"--workdir={workdir}",
        *(f"--config.{key}={value}" for key, value in changed.items()),
        *overrides,
    ]


def run(arguments, environment=None):
    environment = environment or program_environment(KEPT, FOUR_DEVICES)
    return subprocess.run(
        arguments, cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.encoder.loss.margin=-1", "config.encoder.loss.margin is -1.0; allowed: a numb"),
        (
            "--config.encoder.margin=1",
            "the config has no key encoder.margin; allowed: a key of confi",
        ),
        ("--config.seed=one", "flag --config.seed=one: "),
        ("--config=configs/osie.py:wide", "ablation 'wide' is unknown; allowed, joined with"),
        ("--config.split.fold=9", "config.split.fold is 9; allowed: less than split.folds"),
    ],
)
def test_a_bad_argument_is_one_line(data_dir, tmp_path, monkeypatch, capsys, override, message):
    monkeypatch.chdir(ROOT)
    assert main(["train", *command(data_dir, tmp_path / "run", override)[2:]]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {message}")
    assert printed.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_program_ends_with_status_1_and_one_line(data_dir, tmp_path):
    done = run(command(data_dir, tmp_path / "run", "surplus"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: unknown argument 'surplus'")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_table_of_the_user_trains_and_evaluates(data_dir, tmp_path):
    """As few people and images as the config promises: 5 and 25."""
    _, records = reader.read_records("synthetic_gaze/tiny", data_dir)
    (tmp_path / "images").mkdir()
    with (tmp_path / "gaze.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "user", "x", "y"])
        for record in records[:25]:
            name, gaze = record["image_id"].decode(), record["gaze"]
            (tmp_path / "images" / name).write_bytes(record["image"])
            rows = zip(gaze["user"], *gaze["xy_px"].T, strict=True)
            writer.writerows([name, *row] for row in rows if row[0] < 5)
    build(
        "gaze_table",
        data_dir=tmp_path,
        table=tmp_path / "gaze.csv",
        images_dir=tmp_path / "images",
        stored_name="mine",
    )
    workdir = tmp_path / "run"
    short = [f"--config.{stage}.num_steps=4" for stage in ("encoder", "saliency", "universal")]
    short += [
        f"--config.{stage}.optimizer.warmup_steps=2"
        for stage in ("encoder", "saliency", "universal")
    ]
    done = run(
        [
            sys.executable,
            "train.py",
            "--config=configs/custom.py:mine",
            f"--workdir={workdir}",
            f"--config.data.data_dir={tmp_path}",
            "--config.controls.train_permuted_encoder=False",
            *short,
        ]
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "mine, 4 test images, 95 % intervals:" in done.stdout
    assert (workdir / "evaluation.json").is_file()


@pytest.mark.slow
def test_kill_minus_nine_at_random_moments_loses_nothing(tmp_path):
    """The short form of the soak; see its docstring."""
    soak = [
        sys.executable,
        "tests/soak/kill_and_resume.py",
        "--kills=2",
        "--seed=1",
        "--longest=8",
        "--shortened=10",
        "--save-every=100",
    ]
    done = run(soak, program_environment(linked_copy(tmp_path / "compiled"), FOUR_DEVICES))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 kills, " in done.stdout.splitlines()[-1]
    assert done.stdout.splitlines()[-1].endswith("all equal to the undisturbed one")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MB, too small for all checkpoints of a tiny training."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_loses_nothing(data_dir, small_disk):
    workdir = small_disk / "run"
    arguments = command(data_dir, workdir, "--config.stage=encoder", "--config.checkpoint.keep=9")
    full = run([*arguments, "--config.checkpoint.every=2"])
    assert full.returncode == 1
    [line] = [line for line in full.stderr.splitlines() if line.startswith("error: ")]
    assert str(workdir) in line
    assert "No space left on device" in line
    step = checkpoints.latest_step(workdir / "encoder" / "checkpoints")
    assert step is not None
    assert step <= 12
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    done = run([*arguments, "--config.checkpoint.every=2"])
    assert done.returncode == 0, done.stderr
    assert f"encoder: resumed at step {step} of 12" in done.stderr


def test_a_workdir_that_cannot_be_written_is_one_line(data_dir):
    folder = Path("/sys/gazejax")  # Not even the superuser can write there.
    if not folder.parent.is_dir():
        pytest.skip("this system has no /sys")
    done = run(command(data_dir, folder))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert str(folder) in done.stderr
    assert done.stderr.count("\n") == 1
