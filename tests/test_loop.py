"""A training from its first step to its files: exact resume, and what a workdir must refuse."""

import json

import jax
import numpy as np
import pytest
from conftest import tiny_config

from gazejax import checkpoints, loop


class KilledError(Exception):
    """Stands for the end of the process."""


def final_params(workdir, config, name):
    return jax.device_get(loop.load_params(workdir, name, config, loop.num_seen_users(workdir)))


@pytest.mark.parametrize("name", ["encoder", "saliency"])
def test_a_killed_training_resumes_bitwise(name, tiny_run, data_dir, tmp_path, monkeypatch):
    config = tiny_config(data_dir)
    workdir = tmp_path / "run"
    original = loop._Curve.add

    def killed_at_step_7(curve, metrics):
        if curve.stage.name == name and curve.step == 6:
            raise KilledError
        return original(curve, metrics)

    monkeypatch.setattr(loop._Curve, "add", killed_at_step_7)
    with pytest.raises(KilledError):
        loop.train_and_evaluate(config, workdir)
    monkeypatch.undo()
    assert checkpoints.latest_step(workdir / name / "checkpoints") == 4
    # The last line before the kill is of a step after the checkpoint: it must not come twice.
    curve = workdir / name / "metrics.jsonl"
    assert [json.loads(line)["step"] for line in curve.read_text().splitlines()] == [2, 4, 6]

    loop.train_and_evaluate(config, workdir)
    for expected, found in zip(
        jax.tree.leaves(final_params(tiny_run, config, name)),
        jax.tree.leaves(final_params(workdir, config, name)),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)
    assert losses(workdir / name) == losses(tiny_run / name)


def losses(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def test_training_lowers_both_losses(tiny_run):
    for name in ("encoder", "saliency"):
        curve = losses(tiny_run / name)
        assert [step for step, _ in curve] == [2, 4, 6, 8, 10, 12]
        assert curve[-1][1] < curve[0][1]


def test_finished_training_is_not_repeated(tiny_run, data_dir):
    before = losses(tiny_run / "encoder"), (tiny_run / "config.json").read_text()
    loop.train_and_evaluate(tiny_config(data_dir), tiny_run)
    assert (losses(tiny_run / "encoder"), (tiny_run / "config.json").read_text()) == before


def test_another_experiment_in_the_workdir_is_refused(tiny_run, data_dir):
    config = tiny_config(data_dir)
    config.encoder.loss.margin = 9.0
    with pytest.raises(ValueError, match=r"holds another experiment: config.encoder.loss.margin"):
        loop.train_and_evaluate(config, tiny_run)


def test_evaluation_has_the_published_shape(tiny_run):
    result = json.loads((tiny_run / "evaluation.json").read_text())
    compared = result["compared"]
    assert compared["seen_users"] + compared["unseen_users"] == 8
    assert compared["train_images"] + compared["test_images"] == 40
    for users in ("seen", "unseen"):
        for method in ("encoder", "residual_map"):
            for row in result["encoder"][users][method].values():
                assert row.keys() == {"roc_auc", "rank1"}
                assert all(0 <= value <= 1 for value in row.values())
        for conditions in result["saliency"][users].values():
            assert conditions.keys() == {"universal", "own", "mean", "swapped"}
            for row in conditions.values():
                assert row.keys() == {"cc", "kld", "nss"}
                assert all(np.isfinite(value) for value in row.values())
    # 50 images were asked for; half of the test images is what there is.
    assert set(result["saliency"]["seen"]) == {"2", str(compared["test_images"] // 2)}
    assert "| unseen, own |" in (tiny_run / "evaluation.md").read_text()


def test_evaluation_refuses_a_data_set_with_other_users(tiny_run, tiny_dataset):
    renamed = tiny_dataset._replace(user_ids=("stranger", *tiny_dataset.user_ids[1:]))
    with pytest.raises(ValueError, match=r"unseen_users of the training differ"):
        loop.evaluate(tiny_run, dataset=renamed)


def test_figures_do_not_depend_on_the_evaluation_batch(tiny_run, tiny_dataset, monkeypatch):
    config = loop.load_config(tiny_run)
    config.eval.batch_size = 7
    expected = json.loads((tiny_run / "evaluation.json").read_text())
    monkeypatch.setattr(loop, "load_config", lambda workdir: config)
    found = loop.evaluate(tiny_run, dataset=tiny_dataset)
    for users in ("seen", "unseen"):
        for stage in ("encoder", "saliency"):
            for one, other in zip(
                jax.tree.leaves(expected[stage][users]),
                jax.tree.leaves(found[stage][users]),
                strict=True,
            ):
                assert one == pytest.approx(other, abs=1e-4)


def test_stage_two_alone_needs_a_trained_encoder(data_dir, tmp_path):
    config = tiny_config(data_dir)
    config.stage = "saliency"
    with pytest.raises(FileNotFoundError, match=r"no checkpoint in .*encoder/checkpoints; train"):
        loop.train_and_evaluate(config, tmp_path / "run")


def test_data_that_cannot_fill_a_batch_is_refused(data_dir, tmp_path):
    config = tiny_config(data_dir)
    config.encoder.sampling.num_users = 7
    message = r"config.encoder.sampling.num_users needs 7 seen users; the data has 6"
    with pytest.raises(ValueError, match=message):
        loop.train_and_evaluate(config, tmp_path / "run")


def test_a_data_set_that_is_not_prepared_names_the_command(data_dir, tmp_path):
    config = tiny_config(data_dir)
    config.data.data_dir = str(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"run: gazejax data build synthetic_gaze/tiny"):
        loop.train_and_evaluate(config, tmp_path / "run")
