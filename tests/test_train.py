"""train.py as a program: what it says, and that killing it loses nothing."""

import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from conftest import ROOT, read_config, tiny_config

from gazejax.workdir import load_params


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


def differing(base, other, prefix=""):
    found = {}
    for key, value in other.items():
        if isinstance(value, dict):
            found |= differing(base[key], value, f"{prefix}{key}.")
        elif base[key] != value:
            found[prefix + key] = value
    return found


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
def test_kill_minus_nine_loses_nothing(data_dir, tmp_path):
    """Killed in the middle of stage 1, started again: the same as a run nobody disturbed."""
    longer = ["--config.encoder.num_steps=400", "--config.checkpoint.every=20"]
    undisturbed = run(command(data_dir, tmp_path / "undisturbed", *longer))
    assert undisturbed.returncode == 0, undisturbed.stderr[-2000:]

    workdir = tmp_path / "killed"
    process = subprocess.Popen(
        command(data_dir, workdir, *longer), cwd=ROOT, env={"PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    )
    curve = workdir / "encoder" / "metrics.jsonl"
    while not curve.exists() or len(curve.read_text().splitlines()) < 45:  # Step 90 of 400.
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()

    resumed = run(command(data_dir, workdir, *longer))
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert "encoder: resumed at step" in resumed.stderr
    for name in ("encoder", "saliency"):
        expected, found = (
            load_params(folder, name) for folder in (tmp_path / "undisturbed", workdir)
        )
        jax.tree.map(np.testing.assert_array_equal, found, expected)
