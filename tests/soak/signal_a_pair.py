"""Signals one of two processes that train together, again and again, at any step and while saving.

    python tests/soak/signal_a_pair.py --times 40

Every ten steps are saved, so that many signals come while both exchange what a save needs. Both
must end with status 75, saved at one step, and resume. How often that was comes last.
"""

import argparse
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from gazejax.runtime.preemption import EXIT_STATUS  # noqa: E402
from tests.runtime.test_distributed import curve, training  # noqa: E402
from tfds_builders.common.build import build  # noqa: E402

LENGTH = ["--config.stage=universal", "--config.universal.num_steps=600"]
LENGTH += ["--config.checkpoint.every=10", "--config.training.log_every=10"]
# Ten steps each.
LAST_LINE, LINES_AT_ONCE = 60, 12


def main() -> None:
    """Stops at the first signal after which a process stands still, or ends in another way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, required=True)
    parser.add_argument("--longest", type=float, default=120.0, help="seconds to wait for anything")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    folder = Path(tempfile.mkdtemp(prefix="soak_"))
    build("synthetic_gaze/tiny", data_dir=folder / "data")
    workdir = folder / "run"
    for number in range(1, arguments.times + 1):
        num_lines = len(curve(workdir, "universal"))
        if num_lines > LAST_LINE - 2 * LINES_AT_ONCE:
            shutil.rmtree(workdir)
            num_lines = 0
        pair = training(folder / "data", workdir, *LENGTH, compiled=folder / "compiled")
        wanted = num_lines + moments.randint(1, LINES_AT_ONCE)
        deadline = time.monotonic() + arguments.longest
        while len(curve(workdir, "universal")) < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, 0.06))  # A step takes about 10 ms, a save 100.
        pair.processes[moments.randrange(2)].send_signal(signal.SIGTERM)
        statuses, printed = pair.ends(arguments.longest)
        saved = [re.search(r"is saved at step (\d+)", err) for _, err in printed]
        if statuses != [EXIT_STATUS] * 2 or None in saved or len({one[1] for one in saved}) > 1:
            sys.exit(f"statuses {statuses} after {number} signals: {printed}")
        print(f"signal {number}: both saved at step {saved[0][1]}", flush=True)
    print(f"{arguments.times} signals, both processes saved at one step after each")


if __name__ == "__main__":
    main()
