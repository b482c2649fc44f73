"""Signals: a training saves first, everything else ends, and a second one ends anything."""

import json
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from gazejax.data.loading import make_config_splits
from gazejax.inference.stage_inputs import both_stage_inputs
from gazejax.runtime import preemption
from gazejax.runtime.errors import one_line_errors
from gazejax.training import loop
from gazejax.training.log import MetricsLog
from gazejax.training.run import make_stage, train_folds
from gazejax.workdir import checkpoints
from gazejax.workdir.lock import lock
from gazejax.workdir.parameters import copy_encoders, load_params
from tests.compiling import FOUR_DEVICES, linked_copy, program_environment
from tests.integration.test_train import command
from tests.tiny import ROOT, tiny_config

OPTIONS = loop.TrainingOptions(
    seed=0,
    steps_per_dispatch=1,
    log_every=1,
    max_consecutive_nonfinite=10,
    checkpoint_every=4,
    checkpoints_kept=2,
    stream={},
)

BLOCKED = """
import ctypes, sys, time
from gazejax.runtime import preemption
from gazejax.runtime.errors import one_line_errors

@one_line_errors
def main():
    with preemption.defer_signals():
        print("ready", flush=True)
        # As XLA's compiler does: no byte of Python runs until it returns.
        ctypes.CDLL(None).usleep(ctypes.c_uint(int(sys.argv[1])))
        for _ in range(100):
            time.sleep(0.01)
    if preemption.stop_requested():
        raise preemption.InterruptedRunError("all is saved")
    return 0

sys.exit(main())
"""

ENDING = """
import sys, time
from gazejax.runtime.errors import one_line_errors

@one_line_errors
def main():
    try:
        print("ready", flush=True)
        time.sleep(30)
    finally:
        print("ending", flush=True)
        time.sleep(float(sys.argv[1]))

sys.exit(main())
"""


def start(code, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_lets_it_finish_and_two_end_it_at_once(number):
    with start(BLOCKED, "30000000") as hurried:
        hurried.send_signal(number)
        time.sleep(0.2)
        hurried.send_signal(number)
        began = time.monotonic()
        assert hurried.wait(timeout=10) == 75
        assert time.monotonic() - began < 5
    with start(BLOCKED, "300000") as patient:
        patient.send_signal(number)
        _, printed = patient.communicate(timeout=20)
    assert patient.returncode == 75
    assert printed.splitlines() == [
        f"{number.name}: saving after this step; a second signal ends at once",
        "interrupted: all is saved; the same command resumes",
    ]


@pytest.mark.parametrize(("seconds", "is_hurried"), [("0.5", False), ("30", True)])
def test_where_nothing_is_to_be_saved_one_signal_ends_it(seconds, is_hurried):
    with start(ENDING, seconds) as ending:
        ending.send_signal(signal.SIGTERM)
        assert ending.stdout.readline() == "ending\n"
        if is_hurried:
            ending.send_signal(signal.SIGTERM)
        _, printed = ending.communicate(timeout=10)
    assert ending.returncode == 75
    # A hurried end may come before the line is written, or in the middle of it.
    one_line = "interrupted: SIGTERM received; the same command resumes\n"
    assert one_line.startswith(printed) if is_hurried else printed == one_line


def test_without_a_signal_the_handlers_are_as_before():
    before = signal.getsignal(signal.SIGTERM)
    assert one_line_errors(lambda: 0)() == 0
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("name", ["encoder", pytest.param("saliency", marks=pytest.mark.slow)])
def test_an_interrupted_training_writes_the_same_curve(
    name, tiny_run, data_dir, tmp_path, monkeypatch
):
    """At step 5, in the middle of a window of the curve, and far from a checkpoint's turn."""
    curve = MetricsLog.add
    asked = []

    def add(self, metrics):
        if self.stage.name == name and self.step == 3:
            asked.append(True)
        return curve(self, metrics)

    monkeypatch.setattr(MetricsLog, "add", add)
    monkeypatch.setattr(preemption, "stop_requested", lambda: bool(asked))
    config, workdir = tiny_config(data_dir), tmp_path / "run"
    config.stage = name
    if name == "saliency":
        copy_encoders(tiny_run, workdir, ["encoder"])
    with pytest.raises(preemption.InterruptedRunError, match=f"{name} is saved at step 5 of 12"):
        train_folds(config, workdir)
    monkeypatch.undo()
    assert checkpoints.latest_step(workdir / name / "checkpoints") == 5

    train_folds(config, workdir)
    jax.tree.map(
        np.testing.assert_array_equal, load_params(workdir, name), load_params(tiny_run, name)
    )
    lines = [
        [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
        for folder in (workdir, tiny_run)
    ]
    for line in lines[0] + lines[1]:
        del line["examples_per_second"]
    assert lines[0] == lines[1]


@pytest.mark.slow
def test_any_number_of_devices_trains_alike_and_resumes_what_others_saved(
    data_dir, tiny_dataset, tmp_path, monkeypatch
):
    config = tiny_config(data_dir)
    config.encoder.num_steps, config.training.log_every = 20, 1
    splits = make_config_splits(config, tiny_dataset)
    viewings = both_stage_inputs(config, tiny_dataset, splits)

    def train(workdir, num_devices, *, start=0, end=20):
        devices = jax.local_devices()[:num_devices]
        stage = make_stage("encoder", config, viewings, encoder_params=None, devices=devices)
        asked = iter([False] * (end - start - 1) + [end < 20] * 2)
        monkeypatch.setattr(preemption, "stop_requested", lambda: next(asked))
        try:
            loop.train(stage, OPTIONS, workdir, metadata={}, devices=devices)
        except preemption.InterruptedRunError:
            assert end < 20
        return [
            json.loads(line)["loss"]
            for line in (workdir / "encoder/metrics.jsonl").read_text().splitlines()
        ]

    losses = [train(tmp_path / f"{number}", number) for number in (1, 2, 4)]
    # Every number hands over to every other.
    ends = [3, 6, 9, 12, 15, 18, 20]
    for start, end, number in zip([0, *ends], ends, [1, 2, 4, 1, 4, 2, 1], strict=False):
        found = train(tmp_path / "handed over", number, start=start, end=end)
        assert len(found) == end
    for other in (losses[1], losses[2], found):
        # Sums over devices round in another order.
        np.testing.assert_allclose(other, losses[0], rtol=1e-5)


def test_a_workdir_has_one_run_at_a_time_and_a_stale_lock_is_none(tmp_path):
    (tmp_path / ".lock").write_text("process 1 on another host, which has ended\n")
    with (
        lock(tmp_path),
        pytest.raises(BlockingIOError, match=r"is in use by process \d+ on .*: wait for it"),
        lock(tmp_path),
    ):
        pass
    with lock(tmp_path):
        pass


@pytest.mark.slow
def test_signals_and_a_second_run_in_the_real_program(data_dir, tmp_path):
    longer = ["--config.encoder.num_steps=20000", "--config.checkpoint.every=10000"]
    arguments = command(data_dir, tmp_path / "run", *longer)
    environment = program_environment(linked_copy(tmp_path / "compiled"), FOUR_DEVICES)
    options = {"cwd": ROOT, "stderr": subprocess.PIPE, "text": True, "env": environment}

    # In the middle of compiling: nothing is there to save, and two signals end it.
    with subprocess.Popen(arguments, **options) as process:
        while not (tmp_path / "run" / "config.json").exists():
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 75

    with subprocess.Popen(arguments, **options) as process:
        curve = tmp_path / "run" / "encoder" / "metrics.jsonl"
        while not curve.exists() or len(curve.read_text().splitlines()) < 20:
            assert process.poll() is None
            time.sleep(0.05)
        second = subprocess.run(arguments, check=False, **options)
        assert second.returncode == 1
        assert f"run is in use by process {process.pid} on " in second.stderr
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=60)
        assert process.returncode == 75
        assert "interrupted: encoder is saved at step" in printed
    step = checkpoints.latest_step(tmp_path / "run" / "encoder" / "checkpoints")
    assert 40 <= step < 10000
