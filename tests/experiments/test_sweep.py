"""Sweep files, their runs, and that none runs twice: with a train.py that does nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from gazejax.cli import train
from gazejax.cli.main import main
from gazejax.config.identity import fingerprint
from gazejax.config.validation import validate
from gazejax.experiments import sweep_file
from gazejax.experiments.sweep import command, print_commands, run_sweep, shard_of
from gazejax.experiments.sweep_file import plan, read_sweep
from gazejax.runtime import preemption
from tests.tiny import ROOT

SWEEP = {
    "bases": ("configs/osie.py:validation",),
    "values": {"controls.train_permuted_encoder": False, "eval.num_images": (1, 10)},
    "ablations": ("euclidean", "memory_off+mse_only"),
    "grids": (
        {"ablations": ("", "l2_normalize"), "encoder.loss.margin": (0.2, 1.0)},
        {"encoder.num_steps": (1500, 150), "saliency.num_steps": (100,)},
    ),
    "seeds": (3, 0),
}
VARIANTS = [
    "base",
    "euclidean",
    "memory_off+mse_only",
    "margin=0.2",
    "l2_normalize,margin=0.2",
    "l2_normalize,margin=1.0",
    "encoder.num_steps=1500,saliency.num_steps=100",
    "encoder.num_steps=150,saliency.num_steps=100",
]


@pytest.fixture
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_every_variant_runs_with_every_seed_and_none_twice(here):
    runs = plan(SWEEP)
    # margin 1.0 is the base's.
    assert [run.name for run in runs] == [
        f"osie+validation/{variant}/seed_{seed}" for seed in (3, 0) for variant in VARIANTS
    ]
    assert command(runs[4], Path("runs/x"))[1:] == [
        *("-m", "gazejax", "train"),
        "--config=configs/osie.py:validation+l2_normalize",
        "--workdir=runs/x/osie+validation/l2_normalize,margin=0.2/seed_3",
        "--config.controls.train_permuted_encoder=False",
        "--config.eval.num_images=(1, 10)",
        "--config.encoder.loss.margin=0.2",
        "--config.seed=3",
    ]


def test_bases_and_sweeps_have_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_name, by_path = ("osie:validation",), (str(ROOT / "configs/osie.py") + ":validation",)
    runs = [plan(SWEEP | {"bases": bases})[4] for bases in (by_name, by_path)]
    assert runs[0].name == runs[1].name
    assert fingerprint(runs[0].config) == fingerprint(runs[1].config)
    assert command(runs[0], Path("x"))[4] == "--config=osie:validation+l2_normalize"
    assert read_sweep("encoders") == read_sweep(ROOT / "configs/sweeps/encoders.py")


def test_two_variants_of_one_name_are_refused(here):
    grid = {"data.name": ("mine 1", "mine-1"), "encoder.model.width": (8,)}
    with pytest.raises(ValueError, match=r"have the name osie.validation/name=mine-1,width=8"):
        plan(SWEEP | {"grids": (grid,)})


def test_the_commands_make_the_configs_of_the_plan(here, monkeypatch):
    configs = []
    monkeypatch.setattr(
        train, "train_and_evaluate", lambda config, *_, **__: configs.append(config)
    )
    runs = plan(SWEEP)[:8]
    for run in runs:
        assert main(command(run, Path("runs"))[3:]) == 0
    assert list(map(fingerprint, configs)) == [fingerprint(run.config) for run in runs]


@pytest.mark.parametrize("path", sorted((ROOT / "configs/sweeps").glob("*.py")), ids=str)
def test_every_sweep_file_has_possible_runs(here, path):
    for run in plan(read_sweep(path)):
        validate(run.config)


def test_runs_that_share_an_encoder_stay_in_one_shard(here):
    runs = plan(SWEEP)
    parts = [shard_of(runs, f"{part}/3") for part in (1, 2, 3)]
    assert sorted(run.name for part in parts for run in part) == sorted(run.name for run in runs)
    together = {"base", "memory_off+mse_only", "encoder.num_steps=1500,saliency.num_steps=100"}
    for part in parts:
        for seed in (0, 3):
            inside = together & {run.variant for run in part if run.seed == seed}
            assert inside in (set(), together)
        assert 4 <= len(part) <= 6
    for shard in ("0/3", "4/3", "3", "a/b"):
        with pytest.raises(ValueError, match=rf"shard is '{shard}'; allowed: i/n"):
            shard_of(runs, shard)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seeds": (0, 0)}, r"SWEEP\['seeds'\] is \(0, 0\); allowed: a tuple of one or more diff"),
        ({"bases": "configs/osie.py"}, r"SWEEP\['bases'\] is 'configs/osie.py'; allowed: a tuple"),
        (
            {"grids": ({"encoder.model.width": 64},)},
            r"SWEEP\['grids'\] is .* of tuples of values by dot",
        ),
        (
            {"repeats": 3},
            r"SWEEP\['repeats'\] is unknown; allowed: bases, values, ablations, grids",
        ),
        ({"bases": ("configs/missing.py",)}, r"config file configs/missing.py does not exist"),
        ({"ablations": ("wide",)}, r"ablation 'wide' is unknown"),
        ({"values": {"encoder.loss.margin": 1.0}}, r"margin=0.2: values and grid both set enc"),
        (
            {"values": {"encoder.loss.distance": "euclidean"}},
            r"euclidean: values and ablations both se",
        ),
        ({"grids": ({"seed": (1, 2)},)}, r"seed=1: seeds and values or ablations both set seed"),
        ({"values": {"encoder.margin": 1.0}}, r"base: the config has no value encoder.margin"),
        (
            {"values": {"encoder.model.width": 0.5}},
            r"base: config.encoder.model.width is 0.5; allowed: ",
        ),
        ({"values": {"encoder.loss": {}}}, r"encoder.loss is {}; allowed: a value that a flag"),
        ({"values": {"split.fold": 9}}, r"osie.validation/base: config.split.fold is 9; allowed"),
        ({"values": {"stage": "universal"}}, r"stage is 'universal'; allowed in a sweep: 'all'"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_in_one_line(here, tmp_path, changed, message):
    path = tmp_path / "sweep.py"
    path.write_text(f"SWEEP = {SWEEP | changed!r}")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        plan(read_sweep(path))


TRAIN = """
import json, pathlib, sys
run = pathlib.Path(next(one.split("=", 1)[1] for one in sys.argv if "--workdir" in one))
sweep = run.parents[2]
with (sweep / "calls").open("a") as calls:
    calls.write(f"{run.relative_to(sweep)}\\n")
if "width=2" in str(run) and not (sweep / "mended").exists():
    sys.exit("error: too wide")
if (sweep / "interrupt").exists():
    sys.exit(75)
for one in json.loads((sweep / "sweep.json").read_text()):
    if one["name"] == str(run.relative_to(sweep)):
        compared = {"config_sha256": one["config_sha256"]}
        (run / "evaluation.json").write_text(json.dumps({"compared": compared}))
"""
FAKE = ("train.py",)
SMALL = {
    "bases": ("base.py",),
    "values": {},
    "ablations": (),
    "grids": ({"encoder.model.width": (1, 2, 3)},),
    "seeds": (0, 1),
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder with a sweep of 6 runs, one of them the base, and a train.py that fails for two."""
    config = {
        "seed": 0,
        "stage": "all",
        "encoder": {"model": {"width": 1}},
        "controls": {"train_permuted_encoder": 0},
    }
    config["data"] = {"universal_map": "seen_users"}
    (tmp_path / "base.py").write_text(
        f"from ml_collections import ConfigDict\ndef get_config(): return ConfigDict({config!r})\n"
    )
    (tmp_path / "sweep.py").write_text(f"SWEEP = {SMALL!r}")
    (tmp_path / "train.py").write_text(TRAIN)
    monkeypatch.setattr(sweep_file, "validate", lambda config: None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def calls(folder):
    return (folder / "run/calls").read_text().splitlines()


def test_a_run_that_fails_is_reported_and_stops_no_other(small, capsys):
    message = r"2 of 6 runs failed: base/width=2/seed_0, base/width=2/seed_1; the same command"
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            run_sweep(Path("sweep.py"), Path("run"), "1/1", FAKE)
    printed = capsys.readouterr().err
    assert "failed: base/width=2/seed_0: exit status 1: error: too wide (see run/" in printed
    # Those that failed are tried again, the others are not.
    ended = [name for name in calls(small) if "width=2" in name]
    assert (len(ended), len(calls(small))) == (4, 6 + 2)
    (small / "run/mended").touch()
    run_sweep(Path("sweep.py"), Path("run"), "1/1", FAKE)
    assert len(calls(small)) == 6 + 2 + 2
    run_sweep(Path("sweep.py"), Path("run"), "1/1", FAKE)
    assert len(calls(small)) == 6 + 2 + 2
    # Another config in the same folder: all of them again, and train.py says whether it may be.
    (small / "sweep.py").write_text(f"SWEEP = {SMALL | {'values': {'stage': 'encoder'}}!r}")
    run_sweep(Path("sweep.py"), Path("run"), "1/1", FAKE)
    assert len(calls(small)) == 6 + 2 + 2 + 6


def test_a_shard_runs_its_part_alone(small):
    for shard, number in (("1/2", 3), ("2/2", 6)):
        (small / "run").mkdir(exist_ok=True)
        (small / "run/mended").touch()
        run_sweep(Path("sweep.py"), Path("run"), shard, FAKE)
        assert len(calls(small)) == number
    assert len(set(calls(small))) == 6


def test_an_interrupted_run_stops_the_sweep(small, monkeypatch):
    (small / "run").mkdir()
    (small / "run/interrupt").touch()
    with pytest.raises(preemption.InterruptedRunError, match="stopped in base/base/seed_0"):
        run_sweep(Path("sweep.py"), Path("run"), "1/1", FAKE)
    (small / "run/interrupt").unlink()
    # Asked to stop: the run is, once.
    (small / "train.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(preemption, "stop_requested", lambda: True)
    with pytest.raises(preemption.InterruptedRunError, match="stopped in base/base/seed_0"):
        run_sweep(Path("sweep.py"), Path("run"), "1/1", FAKE)


def test_a_run_that_another_process_is_at_is_waited_for(small, capsys):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, pathlib, time\n"
            "path = pathlib.Path('run/base/base/seed_0/.lock')\n"
            "path.parent.mkdir(parents=True)\n"
            "file = path.open('w')\n"
            "fcntl.flock(file, fcntl.LOCK_EX)\n"
            "file.write('process 7 on another host'); file.flush()\n"
            "print(flush=True)\n"
            "time.sleep(1.5)\n",
        ],
        stdout=subprocess.PIPE,
    )
    with holder:
        holder.stdout.readline()
        (small / "run/mended").touch()
        run_sweep(Path("sweep.py"), Path("run"), "1/1", FAKE)
        assert holder.wait() == 0
    assert "waiting: run/base/base/seed_0 is in use by process 7" in capsys.readouterr().err
    assert len(calls(small)) == 6


def test_the_dry_run_prints_a_line_for_a_shell_each(small, capsys):
    print_commands(Path("sweep.py"), Path("run"), "1/1", FAKE)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert all(" train.py --config=base.py --workdir=run/base/" in line for line in lines)
    (small / "run/base/base/seed_0").mkdir(parents=True)
    (small / "run/sweep.json").write_text("[]")
    subprocess.run(lines[0], shell=True, check=True)
    assert calls(small) == ["base/base/seed_0"]
