"""Means over seeds and differences to a base by hand; a sweep from its first run to its plot."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gazejax.cli.main import main
from gazejax.evaluation.folds import GROUPS
from gazejax.experiments import read_runs
from gazejax.experiments.comparison import compare, mean_interval, table_of
from gazejax.experiments.read_runs import EvaluatedRun, check_comparable, read_tables
from gazejax.experiments.report import format_comparison
from gazejax.experiments.sweep_file import plan, read_sweep
from gazejax.workdir.layout import read_resources
from gazejax.workdir.parameters import load_params
from tests.compiling import FOUR_DEVICES, linked_copy, program_environment
from tests.tiny import ROOT, tiny_config

# Of 1000 resamples, half have the users that metrics are .1 higher for, and half the others.
SHIFT = np.where(np.arange(1000) % 2, 0.1, -0.1)
SPLITS = {
    "seen_users": ["a", "b"],
    "unseen_users": ["c", "d"],
    "train_images": ["1", "2"],
    "test_images": ["3", "4"],
}


def evaluated(seed, value, *, splits=(SPLITS,), digest="0", sizes=("1",), **settings):
    """A run whose ROC-AUC and rank-1 are a value, shifted by `SHIFT` in the resamples."""
    metrics = dict.fromkeys(("roc_auc", "rank1"), value)
    return EvaluatedRun(
        folder=Path(f"run_{value}_{seed}"),
        seed=seed,
        variant="",
        settings={"split.cross_validate": False, "eval.seed": 0}
        | {f"eval.{key}": setting for key, setting in settings.items()},
        splits=list(splits),
        evaluation={
            "compared": {"data_digest": digest},
            "encoder": {users: {"encoder": dict.fromkeys(sizes, metrics)} for users in GROUPS},
        },
        resamples={
            f"encoder/{users}/encoder/{size}/{name}": np.float32(value + SHIFT)
            for users in GROUPS
            for size in sizes
            for name in metrics
        },
        costs={
            "training_seconds": 10.0 * (1 + seed),
            "evaluation_seconds": 1.0,
            "peak_memory_bytes": 1e9 * (1 + seed),
            "operations_per_embedding": 1e6,
            "seconds_per_embedding": 1e-3,
        },
    )


def test_a_difference_is_paired_over_users_and_seeds():
    variants = {
        "base": {0: evaluated(0, 0.5), 1: evaluated(1, 0.6)},
        "better": {0: evaluated(0, 0.7), 1: evaluated(1, 0.9)},
    }
    base, better = (
        row for row in table_of(variants) if (row["users"], row["metric"]) == ("unseen", "roc_auc")
    )
    assert base["value"] == pytest.approx(0.55)
    assert (base["difference"], base["difference_interval"]) == (None, None)
    # A standard error of .05, and Student's t with one degree of freedom: beyond 0 and 1.
    assert base["value_interval"] == [0.0, 1.0]
    # By seed .2 and .3: a mean of .25, a standard deviation of .0707, a standard error of .05. The
    # users' shift is in both and cancels, so that the interval is .05 times 12.706 to either side.
    assert better["difference"] == pytest.approx(0.25)
    np.testing.assert_allclose(
        better["difference_interval"], [0.25 - 0.6353, 0.25 + 0.6353], atol=0.02
    )
    assert better["seeds"] == 2
    assert better["training_seconds"] == 15.0
    assert better["peak_memory_bytes"] == 2e9


def test_one_seed_has_an_interval_over_users_alone():
    variants = {"base": {0: evaluated(0, 0.5)}, "better": {0: evaluated(0, 0.7)}}
    rows = table_of(variants)
    np.testing.assert_allclose(rows[0]["value_interval"], [0.4, 0.6], atol=1e-6)
    np.testing.assert_allclose(rows[-1]["difference_interval"], [0.2, 0.2], atol=1e-6)


def test_an_interval_over_seeds_that_agree_is_that_over_users():
    resampled = np.tile(0.5 + SHIFT, (3, 1))
    np.testing.assert_allclose(mean_interval(np.full(3, 0.5), resampled, seed=0), [0.4, 0.6])
    # Values 1, 2 and 3: standard error 1 / sqrt(3), t with two degrees of freedom 4.303.
    found = mean_interval(np.array([1.0, 2.0, 3.0]), np.full((3, 1000), 2.0), seed=0)
    np.testing.assert_allclose(found, [2 - 2.484, 2 + 2.484], atol=0.03)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({0: evaluated(0, 0.7)}, "other has no run of seed 1, which base has"),
        (
            {seed: evaluated(seed, 0.7) for seed in (0, 1, 2)},
            "base has no run of seed 2, which other has",
        ),
        (
            {0: evaluated(0, 0.7), 1: evaluated(1, 0.7, digest="1")},
            "run_0.5_0 and run_0.7_1 are not comparable: their digest of the data differ",
        ),
        (
            {0: evaluated(0, 0.7), 1: evaluated(1, 0.7, num_draws=1)},
            "their config.eval.num_draws differ",
        ),
        (
            {
                seed: evaluated(seed, 0.7, splits=[SPLITS | {"test_images": ["3"]}])
                for seed in (0, 1)
            },
            "run_0.5_0 and run_0.7_0 are not comparable: their test_images differ",
        ),
        (
            {0: evaluated(0, 0.7), 1: evaluated(1, 0.7, splits=[SPLITS | {"seen_users": ["a"]}])},
            "run_0.7_0 and run_0.7_1 are not comparable: their seen_users differ",
        ),
    ],
)
def test_runs_that_are_not_alike_are_refused_by_name(other, message):
    base = {0: evaluated(0, 0.5, num_draws=5), 1: evaluated(1, 0.5, num_draws=5)}
    other = {
        seed: run._replace(settings={"eval.num_draws": 5} | run.settings)
        for seed, run in other.items()
    }
    with pytest.raises(ValueError, match=message):
        check_comparable({"base": base, "other": other})
    check_comparable({"base": base})


def test_variants_with_other_seen_users_are_compared_on_unseen_users():
    fewer = [SPLITS | {"seen_users": ["a"], "train_images": ["1"]}]
    variants = {
        "base": {0: evaluated(0, 0.5, sizes=("1", "5"))},
        "fewer": {0: evaluated(0, 0.4, splits=fewer)},
    }
    check_comparable(variants)
    rows = table_of(variants)
    # Only the metrics that all runs have.
    assert {row["n"] for row in rows} == {1}
    differences = {
        row["users"]: row["difference"]
        for row in rows[len(rows) // 2 :]
        if row["metric"] == "rank1"
    }
    assert differences == {"seen": None, "unseen": pytest.approx(-0.1)}


def across_sessions(run, value):
    """The run, with another value across sessions, of the unseen users alone."""
    path = "encoder_across_sessions/unseen/encoder/1"
    metrics = dict.fromkeys(("roc_auc", "rank1"), value)
    evaluation = {"encoder_across_sessions": {"unseen": {"encoder": {"1": metrics}}}}
    resamples = {f"{path}/{name}": np.float32(value + SHIFT) for name in metrics}
    return run._replace(evaluation=run.evaluation | evaluation, resamples=run.resamples | resamples)


def test_runs_are_compared_across_sessions_where_all_know_them():
    base, other = (
        {0: across_sessions(evaluated(0, value), value - 0.3)} for value in (0.75, 0.875)
    )
    rows = table_of({"base": base, "other": other})
    found = [row for row in rows if row["metric"].endswith("_across_sessions")]
    assert [row["users"] for row in found] == ["unseen"] * 4
    assert [row["value"] for row in found] == pytest.approx([0.45, 0.45, 0.575, 0.575])
    assert found[-1]["difference"] == pytest.approx(0.125)
    described = {"test": dict.fromkeys(("folds", "test_images", "data", "purpose", "resamples"), 1)}
    described["test"] |= {"sessions": "repeats", "commits": ["c"], "seeds": [0], "has_stage_2": 0}
    described["test"]["others"] = ["mine"]
    text = format_comparison([{"table": "test", **row} for row in rows], described)
    assert "| unseen: other - base | rank-1, across repeats | +0.125 [+0.125, +0.125] |" in text
    assert "The other data sets of the runs (mine) are not compared." in text
    assert "probe images. Gallery and probe come from one repeat of the images, or, where" in text
    rows = table_of({"base": base, "other": {0: evaluated(0, 0.875)}})
    assert {row["metric"] for row in rows} == {"roc_auc", "rank1"}


def test_a_single_run_is_compared_with_nothing_and_what_is_stale_is_refused(tiny_run, tmp_path):
    (row, *_) = compare([tiny_run], tmp_path)
    assert row["variant"] == tiny_run.name
    assert (
        row["value"]
        == json.loads((tiny_run / "evaluation.json").read_text())["encoder"]["seen"]["encoder"][
            "1"
        ]["roc_auc"]
    )
    text = (tmp_path / "comparison.md").read_text()
    assert "Training seed 0 alone; in brackets 95 % intervals over users and images alone" in text
    with pytest.raises(ValueError, match=r"have the same variant and seed 0"):
        compare([tiny_run, tiny_run], tmp_path)
    with pytest.raises(FileNotFoundError, match=r"config.json does not exist"):
        compare([tmp_path / "missing"], tmp_path)


def test_single_runs_are_named_by_what_differs_in_their_paths(tmp_path, monkeypatch):
    """Two seeds of one variant are one; the same name is not given to another one."""
    own = {"a/base/seed_0": (0, "x"), "a/base/seed_1": (1, "x"), "a/base/seed_2": (2, "y")}
    runs = {
        name: evaluated(seed, 0.5)._replace(variant=variant)
        for name, (seed, variant) in {**own, "b/other": (0, "z")}.items()
    }
    monkeypatch.setattr(
        read_runs, "read_run", lambda folder: runs[folder.relative_to(tmp_path).as_posix()]
    )
    (table,) = read_tables([tmp_path / name for name in runs]).values()
    assert {name: sorted(seeds) for name, seeds in table.items()} == {
        "a/base": [0, 1],
        (tmp_path / "a/base/seed_2").as_posix(): [2],
        "b/other": [0],
    }


@pytest.fixture
def sweep(data_dir, tmp_path):
    """A base with one more ablation, and a sweep of it and of a value that no encoder reads."""
    config = tiny_config(data_dir)
    config.update(stage="encoder")
    config.controls.train_permuted_encoder = False
    (tmp_path / "tiny.py").write_text(
        "from ml_collections import ConfigDict\n"
        "from gazejax.config.ablations import apply_ablations\n"
        'ABLATIONS = {"euclidean": {"encoder.loss.distance": "euclidean"}}\n'
        'def get_config(ablations=""):\n'
        f"    return apply_ablations(ConfigDict({config.to_dict()!r}), ABLATIONS, ablations)\n"
    )
    path = tmp_path / "sweep.py"
    content = {
        "bases": (str(tmp_path / "tiny.py"),),
        "values": {},
        "ablations": ("euclidean",),
        "grids": ({"saliency.loss.cross_entropy_weight": (1.0,)},),
    }
    path.write_text(f"SWEEP = {content | {'seeds': (0, 1)}!r}")
    return path


@pytest.mark.slow
def test_a_sweep_is_killed_resumed_and_compared(sweep, tmp_path, monkeypatch, capsys):
    workdir = tmp_path / "runs"
    monkeypatch.chdir(ROOT)
    runs = plan(read_sweep(sweep))
    variants = ["base", "euclidean", "cross_entropy_weight=1.0"]
    assert [run.variant for run in runs] == 2 * variants
    command = [sys.executable, "-m", "gazejax", "sweep", str(sweep), "--workdir", str(workdir)]
    environment = program_environment(linked_copy(tmp_path / "compiled"), FOUR_DEVICES)

    def start():
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )

    def wait_for_training(run, process):
        while not (workdir / run.name / "encoder/metrics.jsonl").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)

    # kill -9 in the first run, of the sweep alone: its run goes on, and is waited for.
    with start() as process:
        wait_for_training(runs[0], process)
        process.kill()
    # SIGTERM in the second: it saves or ends, and so does the sweep.
    with start() as process:
        wait_for_training(runs[1], process)
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=120)
        assert process.returncode == 75
        assert f"interrupted: the sweep stopped in {runs[1].name}; the same command" in printed
    assert main(["compare", str(workdir)]) == 1
    assert f"5 of 6 runs are missing: {runs[1].name}, {runs[2].name}" in capsys.readouterr().err
    with start() as process:
        _, printed = process.communicate(timeout=500)
        assert process.returncode == 0, printed

    # None was evaluated twice, and the same encoder comes from the first that has it, cost and all.
    for run in runs:
        log = (workdir / run.name / "train.log").read_text()
        assert log.count("report: ") == 1
    for seed in (0, 1):
        folders = [workdir / "tiny" / variant / f"seed_{seed}" for variant in variants]
        base, _, weighted = folders
        assert read_resources(base)["encoder"] == read_resources(weighted)["encoder"]
        assert "encoder: resumed at step 12 of 12" in (weighted / "train.log").read_text()
        assert "encoder: resumed" not in (base / "train.log").read_text()
        biases = [load_params(folder, "encoder")["classifier"]["bias"] for folder in folders]
        np.testing.assert_array_equal(biases[0], biases[2])
        assert (np.asarray(biases[0]) != np.asarray(biases[1])).any()

    assert main(["compare", str(workdir)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith((workdir / "comparison.md").read_text())
    page = (workdir / "comparison.html").read_text()
    assert "Comparison of runs" in page
    assert "euclidean: " in page
    assert "training seeds 0, 1; in brackets 95 % intervals over users, images and seeds" in printed
    assert "| unseen: euclidean - base | ROC-AUC |" in printed
    with (workdir / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(variants) * 2 * 2 * 2  # Users, metrics and sizes.
    for row in rows:
        if row["variant"] == "cross_entropy_weight=1.0":  # The very same encoders.
            assert float(row["difference"]) == float(row["difference_high"]) == 0
    with Image.open(workdir / "comparison_tiny.png") as picture:
        assert min(picture.size) > 300
    # Without one of the runs nothing is averaged.
    (workdir / runs[-1].name / "evaluation.json").unlink()
    assert main(["compare", str(workdir)]) == 1
    assert f"1 of 6 runs are missing: {runs[-1].name}" in capsys.readouterr().err
