"""Kills a training again and again at random moments, and compares it with one that was not killed.

    python tests/soak/kill_and_resume.py --kills 50

kill -9 leaves no time for anything: not in a step, nor in a save, nor between two stages. Every
killed training is started again by the same command, until it ends; its parameters must be
bit-equal, and its curves equal. The count of kills and trainings comes last.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from gazejax.config.derived import STAGES  # noqa: E402
from gazejax.workdir.layout import checkpoint_folder  # noqa: E402
from gazejax.workdir.parameters import load_params  # noqa: E402
from tests.tiny import differing, read_config, tiny_config  # noqa: E402
from tfds_builders.common.build import build  # noqa: E402

LENGTH = {"encoder.num_steps": 1500, "saliency.num_steps": 400, "universal.num_steps": 200}
OTHERS = {"training.log_every": 5, "controls.train_permuted_encoder": False}


def command(data_dir: Path, workdir: Path, arguments: argparse.Namespace) -> list[str]:
    """train.py on the tiny data set."""
    lengths = LENGTH | {"checkpoint.every": arguments.save_every}
    base = read_config("synthetic_gaze")
    changed = differing(base.to_dict(), tiny_config(data_dir).to_dict()) | OTHERS
    changed |= {key: number // arguments.shortened for key, number in lengths.items()}
    flags = [f"--config.{key}={value}" for key, value in changed.items()]
    config = "--config=configs/synthetic_gaze.py"
    return [sys.executable, "train.py", config, f"--workdir={workdir}", *flags]


def compare(expected: Path, found: Path) -> None:
    """Refuses another parameter or another curve."""
    for stage in STAGES:
        if not checkpoint_folder(expected, stage).exists():
            continue
        jax.tree.map(
            np.testing.assert_array_equal, load_params(found, stage), load_params(expected, stage)
        )
        curves = [
            [json.loads(line) for line in (run / stage / "metrics.jsonl").read_text().splitlines()]
            for run in (expected, found)
        ]
        for line in curves[0] + curves[1]:
            del line["examples_per_second"]
        assert curves[0] == curves[1], f"{found}: another curve of {stage}"


def main() -> None:
    """Runs until as many kills have been survived as were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--longest", type=float, default=25.0, help="seconds until a kill, at most")
    parser.add_argument("--shortened", type=int, default=1, help="divides all numbers of steps")
    parser.add_argument("--save-every", type=int, default=50, help="steps, before the division")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    folder = Path(tempfile.mkdtemp(prefix="soak_"))
    build("synthetic_gaze/tiny", data_dir=folder / "data")
    undisturbed = folder / "undisturbed"
    training = command(folder / "data", undisturbed, arguments)
    subprocess.run(training, cwd=ROOT, check=True, capture_output=True)
    num_kills, num_trainings = 0, 0
    while num_kills < arguments.kills:
        workdir = folder / f"killed_{num_trainings}"
        while True:
            process = subprocess.Popen(
                command(folder / "data", workdir, arguments),
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            if num_kills < arguments.kills:
                deadline = time.monotonic() + moments.uniform(0.0, arguments.longest)
                while process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.01)
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)
            _, printed = process.communicate()
            if process.returncode == 0:
                break
            if process.returncode != -signal.SIGKILL:
                sys.exit(f"status {process.returncode} after {num_kills} kills: {printed[-2000:]}")
            num_kills += 1
            resumed = [
                line for line in printed.splitlines() if "resumed at" in line or "passed" in line
            ]
            print(f"kill {num_kills}: {'; '.join(resumed)}", flush=True)
        compare(undisturbed, workdir)
        num_trainings += 1
    print(f"{num_kills} kills, {num_trainings} trainings, all equal to the undisturbed one")


if __name__ == "__main__":
    main()
