"""Sweeps: many trainings from one file, one after the other; a finished run is not repeated.

A sweep file is a Python file with one dictionary, `SWEEP`. The file is executed.

bases      names or files of configs, with or without ablations: ("osie:validation",)
values     values of all runs, by dotted key: {"stage": "encoder"}
ablations  variants of each base: names of ablations, joined with + to combine them
grids      more variants: each grid is a dictionary with the values of each dotted key, or of
           `ablations`; a grid gives all combinations
seeds      seeds of the training: one run for each base, variant and seed

The variant `base` is the base itself; the other variants are compared with it. Variants with equal
values are one variant. Each run is a process and has the folder `base/variant/seed_0`.
"""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gazejax.config.derived import ENCODER_STAGES
from gazejax.config.identity import fingerprint, not_part_of
from gazejax.experiments.sweep_file import Run, plan, read_sweep
from gazejax.runtime import preemption
from gazejax.runtime.files import write_json
from gazejax.runtime.progress import track
from gazejax.workdir.lock import lock
from gazejax.workdir.parameters import copy_encoders

PLAN = "sweep.json"

# What Python runs for each run of a sweep.
PROGRAM = ("-m", "gazejax", "train")


def shard_of(runs: Sequence[Run], shard: str) -> list[Run]:
    """Part i of n of the runs; runs with the same encoder are in the same part.

    Args:
        runs: all runs of a sweep.
        shard: the part, as `i/n` with i from 1 to n.

    Raises:
        ValueError: if `shard` is no such text.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise ValueError(f"shard is {shard!r}; allowed: i/n with i from 1 to n, such as 1/4")
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_encoder_of(run), []).append(run)
    load = [0] * count
    mine: set[str] = set()
    # Large groups first, each to the part with the fewest runs.
    for group in sorted(groups.values(), key=len, reverse=True):
        part = load.index(min(load))
        load[part] += len(group)
        if part == number - 1:
            mine |= {run.name for run in group}
    return [run for run in runs if run.name in mine]


def command(run: Run, workdir: Path, program: Sequence[str] = PROGRAM) -> list[str]:
    """The command that trains and evaluates a run."""
    return [
        sys.executable,
        *program,
        f"--config={run.file}",
        f"--workdir={workdir / run.name}",
        *(f"--config.{key}={value}" for key, value in run.values.items()),
    ]


def environment(workdir: Path) -> dict[str, str]:
    """Environment of the runs of a sweep: the folder of the compilation cache that they share."""
    # Code compiled on one machine may not run on another.
    folder = workdir.absolute() / ".shared" / "compiled" / platform.node()
    shared = {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }
    return {key: os.environ.get(key, value) for key, value in shared.items()}


def print_commands(
    sweep: Path | str, workdir: Path, shard: str, program: Sequence[str] = PROGRAM
) -> None:
    """Prints the command of each run of a part of a sweep, one shell line per run."""
    settings = [f"{key}={shlex.quote(value)}" for key, value in environment(workdir).items()]
    for run in shard_of(plan(read_sweep(sweep)), shard):
        print(*settings, shlex.join(command(run, workdir, program)))


def run_sweep(
    sweep: Path | str, workdir: Path, shard: str, program: Sequence[str] = PROGRAM
) -> None:
    """Runs what is left of a part of a sweep, and writes the plan of the whole sweep.

    Args:
        sweep: the sweep file, or its name in `gazejax.configs.sweeps`.
        workdir: folder of the sweep.
        shard: which part to run, as `i/n`.
        program: what Python runs for each run.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no sweep; or in the end, if runs failed, naming them.
        InterruptedRunError: after a signal, once the current run has saved.
    """
    runs = plan(read_sweep(sweep))
    mine = shard_of(runs, shard)
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(
        workdir / PLAN,
        [
            {key: getattr(run, key) for key in ("name", "base", "variant", "seed")}
            | {"config_sha256": fingerprint(run.config)}
            for run in runs
        ],
    )
    unfinished = [
        run for run in mine if not is_finished(workdir / run.name, fingerprint(run.config))
    ]
    done, failed = len(mine) - len(unfinished), []
    with track("sweep", len(mine), start=done) as show:
        for run in unfinished:
            show(done, run.name)
            _share_encoder(run, runs, workdir)
            if not is_finished(workdir / run.name, fingerprint(run.config)):
                reason = _train(run, workdir, program)
                if reason is not None:
                    print(f"failed: {run.name}: {reason}", file=sys.stderr)
                    failed.append(run.name)
                    continue
            done += 1
            show(done, f"{run.name} is finished")
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(mine)} runs failed: {', '.join(failed)}; the same command "
            "runs them again"
        )


def is_finished(folder: Path, config_sha256: str) -> bool:
    """Whether a folder has an evaluation with the config of this fingerprint."""
    path = folder / "evaluation.json"
    if not path.is_file():
        return False
    compared = json.loads(path.read_text())["compared"]
    return compared.get("config_sha256") == config_sha256


def _share_encoder(run: Run, runs: Sequence[Run], workdir: Path) -> None:
    """Copies the encoder of a run with the same encoder; waits while the folder is in use."""
    others = [one for one in runs if one.name != run.name and _encoder_of(one) == _encoder_of(run)]
    stages = ENCODER_STAGES if run.config.controls.train_permuted_encoder else ENCODER_STAGES[:1]
    is_reported = False
    while True:
        try:
            with lock(workdir / run.name):
                for other in others:
                    if (workdir / other.name / "config.json").is_file():
                        copy_encoders(workdir / other.name, workdir / run.name, stages)
                return
        except BlockingIOError as error:  # A run of a killed sweep is not finished.
            if not is_reported:
                print(f"waiting: {error}", file=sys.stderr)
            is_reported = True
            time.sleep(1.0)


def _train(run: Run, workdir: Path, program: Sequence[str]) -> str | None:
    """Trains and evaluates one run; returns the reason of a failure, else None."""
    log = workdir / run.name / "train.log"
    with preemption.defer_signals(), log.open("ab") as file:
        process = subprocess.Popen(
            command(run, workdir, program),
            env=os.environ | environment(workdir),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # The sweep forwards Control-C once. A second signal would end the run without saving.
            start_new_session=True,
        )
        is_terminated = False
        while process.poll() is None:
            if preemption.stop_requested() and not is_terminated:
                process.terminate()
                is_terminated = True
            time.sleep(0.1)
    if preemption.stop_requested() or process.returncode == preemption.EXIT_STATUS:
        raise preemption.InterruptedRunError(f"the sweep stopped in {run.name}")
    if process.returncode == 0:
        return None
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
    return f"exit status {process.returncode}: {last[0]} (see {log})"


def _encoder_of(run: Run) -> str:
    """Fingerprint of the encoder; equal for runs that train the same encoder."""
    return fingerprint(run.config, not_part_of("encoder", run.config.data.universal_map))
