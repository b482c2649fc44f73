"""Two processes with two CPU devices each train as one with four, stop together and go on."""

import json
import re
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from gazejax.config.derived import batch_divisor
from gazejax.runtime import distributed
from gazejax.training.devices import devices_that_share
from gazejax.training.run import train_folds
from gazejax.workdir.layout import latest_step
from gazejax.workdir.parameters import load_params
from tests.compiling import KEPT, linked_copy, program_environment
from tests.integration.test_train import command
from tests.tiny import ROOT, tiny_config

MEETING = """
import sys
from pathlib import Path
import jax, numpy as np, optax
from gazejax.runtime import distributed
from gazejax.runtime.devices import map_rows, my_share, own_devices, replicated
from gazejax.runtime.errors import one_line_errors
from gazejax.training import step as steps
from gazejax.workdir.lock import lock

@one_line_errors
def main():
    folder = Path(sys.argv[1])
    distributed.initialize(sys.argv[2])
    me = jax.process_index()
    assert (distributed.is_distributed(), distributed.is_main_process()) == (True, me == 0)
    devices = jax.devices()
    assert len(devices) == 4 and len(own_devices(devices)) == 2

    # The mean of 0 to 7 is 3.5, so from w = 0 a step of length 1 goes to 2 * 3.5.
    def loss(params, rows, batch, key, device):
        return ((my_share(rows, device, 4) - params["w"]) ** 2).mean(), {"device": device}

    optimizer = optax.sgd(1.0)
    state = steps.init_state(lambda key: {"w": jax.numpy.float32(0)}, optimizer, 0)
    state = jax.device_put(distributed.broadcast_from_main(state), replicated(devices))
    step = steps.make_train_step(loss, optimizer, devices=devices, steps_per_dispatch=1)
    rows = jax.device_put(np.arange(8.0, dtype=np.float32), replicated(devices))
    state, metrics = step(state, rows, None)
    assert float(state.params["w"]) == 7.0 and float(metrics["device"][0]) == 1.5

    doubled = map_rows(
        lambda two, row: two * row, 2.0, (np.arange(5.0) + me,), devices=devices, batch_size=4
    )
    assert np.concatenate(list(doubled)).tolist() == [2 * (row + me) for row in range(5)]

    distributed.warm_up_collectives()
    stops = []
    for number in range(3):
        state, metrics = step(state, rows, None, me == 1 and number == 1)
        stops.append(bool(metrics["stop_requested"]))
    assert stops == [False, True, False]
    assert distributed.any_process(me == 1) and not distributed.any_process(False)
    assert distributed.broadcast_from_main({"own": np.float32(me + 3)})["own"] == 3
    shared = distributed.to_global(state.params)["w"]
    assert len(shared.sharding.device_set) == 4 and not shared.is_fully_addressable
    distributed.check_same("what is equal", 2**32 - 1)
    for workdir in (folder / "shared", folder / f"own_{me}"):
        try:
            with lock(workdir):
                print(f"locked {workdir}")
        except ValueError as error:
            print(error)
    with distributed.run_together():
        pass
    assert not distributed.is_connected()
    return 0

sys.exit(main())
"""


class Pair:
    """Two processes of one run.

    Args:
        arguments: of both; `--distributed`, the last, is added to them.
        flag: what stands before its value.
        compiled: where they keep what they compile; of their own if they may be killed.
    """

    def __init__(self, arguments, flag="--distributed=", compiled=KEPT):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        environment = program_environment(compiled, "--xla_force_host_platform_device_count=2")
        environment["JAX_COORDINATOR_BIND_ADDRESS"] = address
        self.processes = [
            subprocess.Popen(
                [*arguments, f"{flag}{address},2,{number}"],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(2)
        ]

    def ends(self, seconds=300):
        """Statuses, and what each process said on stdout and stderr; killed if it takes longer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and None in [one.poll() for one in self.processes]:
            time.sleep(0.05)
        for process in self.processes:
            process.kill()  # Does nothing to one that has ended.
        printed = [process.communicate() for process in self.processes]
        return [process.returncode for process in self.processes], printed

    def wait_until(self, is_true):
        while not is_true():
            assert [process.poll() for process in self.processes] == [None, None]
            time.sleep(0.05)


def curve(workdir, stage):
    path = workdir / stage / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for line in lines:
        del line["examples_per_second"]
    return lines


def test_processes_step_and_agree_together(tmp_path):
    statuses, printed = Pair([sys.executable, "-c", MEETING, str(tmp_path)], flag="").ends(120)
    assert statuses == [0, 0], printed
    for number, (out, _) in enumerate(printed):
        assert f"locked {tmp_path}/shared" in out
        assert f"locked {tmp_path}/own" not in out
        path = rf"{tmp_path}/own_{number}/\.lock, so not all see one folder: checksum"
        assert re.search(rf"the processes differ in {path}: \[\d+, 0\]; allowed: one value", out)
    assert re.fullmatch(r"process \d+ on .*\n", (tmp_path / "shared/.lock").read_text())
    assert not (tmp_path / "own_1").exists()
    assert "2 processes with 4 devices" in printed[0][1]
    assert "2 processes with 4 devices" not in printed[1][1]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"JAX_COORDINATOR_ADDRESS": "10.0.0.1:1234"}, True),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}, False),  # A batch script, not started by srun.
        ({"SLURM_STEP_NODELIST": "a[1-2]", "SLURM_NTASKS": "4"}, True),
        ({"SLURM_STEP_NODELIST": "a1", "SLURM_NTASKS": "1"}, False),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, False),
        ({"TPU_WORKER_HOSTNAMES": "t0,t1,t2,t3"}, True),
    ],
)
def test_the_environment_says_whether_there_are_others(environment, expected):
    assert distributed._has_other_processes(environment) is expected


@pytest.mark.parametrize("asked", ["on", "10.0.0.1,2,0", "10.0.0.1:1234,2", "10.0.0.1:1234,2,-1"])
def test_another_way_to_find_them_is_refused(asked):
    with pytest.raises(ValueError, match=r"--distributed is .*; allowed: auto, off, or ADDRESS:PO"):
        distributed.initialize(asked)


def test_processes_that_cannot_share_a_batch_are_refused(data_dir):
    config = tiny_config(data_dir)  # Batches of 20 pairs, 4 and 4 images.
    assert devices_that_share(batch_divisor(config), 8, num_processes=2) == 2
    with pytest.raises(ValueError, match=r"3 processes cannot share .*; allowed: a divisor of 4"):
        devices_that_share(batch_divisor(config), 8, num_processes=3)


LENGTH = {"universal.num_steps": 60, "checkpoint.every": 6, "training.log_every": 2}


def training(data_dir, workdir, *overrides, compiled=KEPT):
    """A pair, each process of which streams what its devices need."""
    changed = LENGTH | {"data.image_storage": "stream", "controls.train_permuted_encoder": False}
    flags = [f"--config.{key}={value}" for key, value in changed.items()]
    return Pair(command(data_dir, workdir, *flags, *overrides), compiled=compiled)


@pytest.fixture(scope="module")
def undisturbed(data_dir, tmp_path_factory):
    """Workdir of a pair that trained to its end, and what each process said."""
    workdir = tmp_path_factory.mktemp("pair") / "run"
    statuses, printed = training(data_dir, workdir).ends()
    assert statuses == [0, 0], printed
    return workdir, printed


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_pair_trains_as_one_process_does(undisturbed, tiny_run, data_dir, tmp_path):
    workdir, printed = undisturbed
    # In the one process, all images lie on the devices.
    config = tiny_config(data_dir)
    config.stage = "universal"
    for key, value in LENGTH.items():
        config.update_from_flattened_dict({key: value})
    train_folds(config, tmp_path)
    for stage, alone in (("encoder", tiny_run), ("saliency", tiny_run), ("universal", tmp_path)):
        found, expected = load_params(workdir, stage), load_params(alone, stage)
        if stage != "encoder":
            # Added to all cells of a map before it is normalised, it changes nothing: its gradient
            # is rounding, which Adam makes a whole step of.
            del found["head"]["bias"], expected["head"]["bias"]
        jax.tree.map(
            lambda *both: np.testing.assert_allclose(*both, rtol=0, atol=1e-4), found, expected
        )
        lines, expected_lines = curve(workdir, stage), curve(alone, stage)
        assert [line["step"] for line in lines] == [line["step"] for line in expected_lines]
        losses = [[line["loss"] for line in of] for of in (lines, expected_lines)]
        np.testing.assert_allclose(*losses, rtol=1e-5)
    # The first evaluates and speaks for both.
    assert (workdir / "evaluation.json").is_file()
    assert "report: " in printed[0][0]
    assert re.search(r"encoder: .*\b12/12 ", printed[0][1])
    assert "encoder" not in printed[1][1]


@pytest.mark.slow
@pytest.mark.timeout(1200)  # Four times two distributed.
def test_a_stop_of_one_process_stops_both_and_the_pair_resumes(undisturbed, data_dir, tmp_path):
    workdir, compiled = tmp_path / "run", linked_copy(tmp_path / "compiled")
    one_stage = "--config.stage=universal"

    def start():
        """Starts the pair and lets it come four lines further."""
        num_lines = len(curve(workdir, "universal"))
        pair = training(data_dir, workdir, one_stage, compiled=compiled)
        pair.wait_until(lambda: len(curve(workdir, "universal")) >= num_lines + 4)
        return pair

    pair = start()
    pair.processes[1].send_signal(signal.SIGTERM)
    statuses, printed = pair.ends()
    assert statuses == [75, 75], printed
    saved = [re.search(r"interrupted: universal is saved at step (\d+)", err) for _, err in printed]
    assert saved[0][1] == saved[1][1]
    assert latest_step(workdir, "universal") == int(saved[0][1])

    for lost in (1, 0):
        pair = start()
        pair.processes[lost].kill()
        began = time.monotonic()
        statuses, printed = pair.ends()
        assert time.monotonic() - began < 60
        assert statuses[lost] == -signal.SIGKILL
        assert statuses[1 - lost] not in (0, 75)
        # Ours or JAX's, whichever notices first.
        assert re.search(r"another process ended|another task died", printed[1 - lost][1])

    statuses, printed = training(data_dir, workdir, one_stage).ends()
    assert statuses == [0, 0], printed
    assert "universal: resumed at step" in printed[0][1]
    whole = undisturbed[0]
    jax.tree.map(
        np.testing.assert_array_equal,
        load_params(workdir, "universal"),
        load_params(whole, "universal"),
    )
    assert curve(workdir, "universal") == curve(whole, "universal")
