"""train.py as a program: what it says, and that killing it loses nothing."""

import subprocess
import sys

import pytest
from conftest import ROOT, differing, read_config, tiny_config


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


def run(arguments):
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/tmp"}  # Without the flags of these tests.
    return subprocess.run(
        arguments, cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.encoder.loss.margin=-1", "config.encoder.loss.margin is -1.0; allowed: a numb"),
        ("--config.split.fold=9", "config.split.fold is 9; allowed: less than split.folds"),
        ("surplus", "unknown argument 'surplus'"),
    ],
)
def test_a_bad_argument_is_one_line(data_dir, tmp_path, override, message):
    done = run(command(data_dir, tmp_path / "run", override))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_kill_minus_nine_at_random_moments_loses_nothing():
    """The short form of the soak; see its docstring."""
    soak = [sys.executable, "tests/soak/kill_and_resume.py", "--kills=4", "--seed=1"]
    done = run(soak)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "4 kills, " in done.stdout.splitlines()[-1]
    assert done.stdout.splitlines()[-1].endswith("all equal to the undisturbed one")
