"""A training from its first step to its files: exact resume, and what a workdir must refuse."""

import json

import jax
import numpy as np
import optax
import pytest

from gazejax.api import load
from gazejax.config.ablations import with_values
from gazejax.data import loading
from gazejax.data.loading import make_config_splits
from gazejax.evaluation.run import evaluate
from gazejax.inference.networks import encoder_network
from gazejax.inference.stage_inputs import make_stage_inputs
from gazejax.training import run
from gazejax.training.log import MetricsLog, _lines_until
from gazejax.training.loop import train
from gazejax.training.run import make_stage, train_folds
from gazejax.training.step import init_state
from gazejax.workdir import checkpoints
from gazejax.workdir.guards import check_same_experiment
from gazejax.workdir.layout import read_resources
from gazejax.workdir.parameters import copy_encoders, load_params
from tests.tiny import tiny_config, train_and_evaluate


class KilledError(Exception):
    """Stands for the end of the process."""


def final_params(workdir, name):
    return jax.device_get(load_params(workdir, name))


@pytest.mark.parametrize("name", ["encoder", "saliency"])
def test_a_killed_training_resumes_bitwise(name, tiny_run, data_dir, tmp_path, monkeypatch):
    config, workdir = tiny_config(data_dir), tmp_path / "run"
    config.stage = name
    if name == "saliency":
        copy_encoders(tiny_run, workdir, ["encoder"])
    original = MetricsLog.add

    def killed_at_step_7(curve, metrics):
        if curve.stage.name == name and curve.step == 6:
            raise KilledError
        return original(curve, metrics)

    monkeypatch.setattr(MetricsLog, "add", killed_at_step_7)
    with pytest.raises(KilledError):
        train_folds(config, workdir)
    monkeypatch.undo()
    assert checkpoints.latest_step(workdir / name / "checkpoints") == 4
    # The last line before the kill is of a step after the checkpoint: it must not come twice.
    curve = workdir / name / "metrics.jsonl"
    assert [json.loads(line)["step"] for line in curve.read_text().splitlines()] == [2, 4, 6]

    train_folds(config, workdir)
    for expected, found in zip(
        jax.tree.leaves(final_params(tiny_run, name)),
        jax.tree.leaves(final_params(workdir, name)),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)
    assert losses(workdir / name) == losses(tiny_run / name)


def losses(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def test_training_lowers_both_losses(tiny_run):
    curves = {
        name: [
            json.loads(line)
            for line in (tiny_run / name / "metrics.jsonl").read_text().splitlines()
        ]
        for name in ("encoder", "saliency")
    }
    for curve in curves.values():
        assert [line["step"] for line in curve] == [2, 4, 6, 8, 10, 12]
    assert curves["encoder"][-1]["loss"] < curves["encoder"][0]["loss"]
    # The network starts at the universal map; on the same maps it must have become better.
    assert curves["saliency"][-1]["loss"] < curves["saliency"][-1]["universal_loss"]


def test_the_loss_has_the_weights_of_its_terms(tiny_run):
    weights = tiny_config("").saliency.loss
    assert weights.to_dict() == {
        "mse_weight": 1.0,
        "cross_entropy_weight": 0.0,
        "correlation_weight": 0.0,
    }
    for line in (tiny_run / "saliency" / "metrics.jsonl").read_text().splitlines():
        values = json.loads(line)
        assert values["loss"] == pytest.approx(values["mse"], rel=1e-6)
        assert abs(values["cross_entropy"] - values["mse"]) > 0.1


def test_finished_training_is_not_repeated(tiny_run, data_dir):
    before = losses(tiny_run / "encoder"), (tiny_run / "config.json").read_text()
    train_folds(tiny_config(data_dir), tiny_run)
    assert (losses(tiny_run / "encoder"), (tiny_run / "config.json").read_text()) == before


def test_another_experiment_in_the_workdir_is_refused(tiny_run, data_dir):
    config = tiny_config(data_dir)
    config.encoder.loss.margin = 9.0
    with pytest.raises(ValueError, match=r"holds another experiment: config.encoder.loss.margin"):
        train_and_evaluate(config, tiny_run)


def test_an_encoder_serves_every_stage_two_but_no_other_stage_one(
    tiny_run, tiny_dataset, data_dir, tmp_path
):
    copy_encoders(tiny_run, tmp_path, ["encoder"])
    copy_encoders(tiny_run, tmp_path, ["encoder"])
    assert {path.name for path in tmp_path.iterdir()} == {"encoder", "resources.json"}
    assert read_resources(tmp_path) == {"encoder": read_resources(tiny_run)["encoder"]}
    expected, found = final_params(tiny_run, "encoder"), final_params(tmp_path, "encoder")
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    config = tiny_config(data_dir)
    splits = make_config_splits(config, tiny_dataset)
    config.saliency.loss.cross_entropy_weight = 1.0
    config.universal.num_steps = 6
    config.controls.embeddings = "swapped"
    check_same_experiment(tmp_path, config, splits, tiny_dataset)
    with pytest.raises(ValueError, match=r"holds another experiment: config.controls.embeddings"):
        check_same_experiment(tiny_run, config, splits, tiny_dataset)
    for key, value in (
        ("encoder.loss.margin", 9.0),
        ("seed", 1),
        ("controls.encoder_user_labels", "permuted"),
    ):
        with pytest.raises(ValueError, match=rf"holds another experiment: config.{key} was"):
            check_same_experiment(tmp_path, with_values(config, {key: value}), splits, tiny_dataset)


def test_other_data_under_the_same_name_are_refused(tiny_run, tiny_dataset, data_dir):
    config = tiny_config(data_dir)
    splits = make_config_splits(config, tiny_dataset)
    check_same_experiment(tiny_run, config, splits, tiny_dataset)
    other = tiny_dataset._replace(digest={**tiny_dataset.digest, "gaze": "0"})
    with pytest.raises(ValueError, match=r"the digest of synthetic_gaze/tiny was .* and is now"):
        check_same_experiment(tiny_run, config, splits, other)


def test_changes_are_accepted_where_the_config_says_so_but_never_of_the_splits(
    tiny_run, tiny_dataset, data_dir, capsys
):
    config = tiny_config(data_dir)
    config.encoder.loss.update(margin=9.0, mining="random")
    config.checkpoint.accept_changes = True
    other = tiny_dataset._replace(digest={**tiny_dataset.digest, "gaze": "0"})
    splits = make_config_splits(config, tiny_dataset)
    check_same_experiment(tiny_run, config, splits, other)
    printed = capsys.readouterr().err
    assert (
        "accept_changes: config.encoder.loss.margin was 0.2 and is now 9.0, "
        "config.encoder.loss.mining was 'batch_all' and is now 'random'\n" in printed
    )
    assert "accept_changes: the digest of synthetic_gaze/tiny was" in printed
    config.split.fold = 0
    splits = make_config_splits(config, tiny_dataset)
    with pytest.raises(ValueError, match="seen_users of the encoder's training differ"):
        check_same_experiment(tiny_run, config, splits, tiny_dataset)


def test_stage_two_alone_needs_a_trained_encoder(data_dir, tmp_path):
    config = tiny_config(data_dir)
    config.stage = "saliency"
    with pytest.raises(
        FileNotFoundError, match=r"no checkpoint in .*; stage saliency needs a trained"
    ):
        train_and_evaluate(config, tmp_path / "run")


def test_stage_two_refuses_an_unfinished_encoder(data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "latest_step", lambda workdir, stage: 4)
    monkeypatch.setattr(run, "check_same_experiment", lambda *arguments: None)
    config = tiny_config(data_dir)
    config.stage = "saliency"
    with pytest.raises(ValueError, match=r"is at step 4 of 12; stage saliency needs it finished"):
        train_and_evaluate(config, tmp_path / "run")


def incomplete(dataset, missing):
    """The data set as if some users had not seen some images: pairs of (user, image)."""
    length = dataset.gaze.viewing_length.copy()
    for user, image in missing:
        length[user, image] = 0
    return dataset._replace(gaze=dataset.gaze._replace(viewing_length=length))


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_users_who_saw_different_images_train_and_evaluate(
    data_dir, tiny_dataset, tmp_path, monkeypatch
):
    config = tiny_config(data_dir)
    for stage in ("encoder", "saliency", "universal"):
        config[stage].num_steps = 2
    splits = make_config_splits(config, tiny_dataset)
    gaps = [(user, image) for user in range(8) for image in range(user, 40, 8)]
    # Two images without a viewing: no target of stage 2, and no harm.
    unviewed = [(user, image) for user in range(8) for image in splits.train_images[:2]]
    dataset = incomplete(tiny_dataset, gaps + unviewed)
    for module in (run, loading):
        monkeypatch.setattr(module, "read_dataset", lambda *_: dataset)
    train_and_evaluate(config, tmp_path / "run")
    result = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert np.isfinite(jax.tree.leaves(result["saliency"])).all()


def test_a_user_with_no_test_image_is_named_before_training(
    data_dir, tiny_dataset, tmp_path, monkeypatch, capsys
):
    config = tiny_config(data_dir)
    config.split.min_images = 0
    splits = make_config_splits(config, tiny_dataset)
    dataset = incomplete(tiny_dataset, [(3, image) for image in splits.test_images])
    for module in (run, loading):
        monkeypatch.setattr(module, "read_dataset", lambda *_: dataset)
    with pytest.raises(ValueError, match=r"user 'observer_003' saw 0 of the .* test images"):
        train_and_evaluate(config, tmp_path / "run")
    # Left out instead, and said so.
    config.split.min_images = 1
    config.update(stage="encoder")
    config.encoder.num_steps = 2
    train_folds(config, tmp_path / "run")
    assert "1 of 8 users take no part, by config.split (purpose 'test'" in capsys.readouterr().err
    stored = json.loads((tmp_path / "run" / "splits.json").read_text())
    assert stored["users_left_out"] == ["observer_003"]
    assert "observer_003" not in stored["seen_users"] + stored["unseen_users"]


@pytest.mark.slow
def test_folds_hold_out_everybody_once_and_resume(data_dir, tiny_dataset, tmp_path, monkeypatch):
    config = tiny_config(data_dir)
    for stage in ("encoder", "saliency", "universal"):
        config[stage].num_steps = 2
    config.split.update(folds=2, cross_validate=True)
    config.controls.train_permuted_encoder = False
    original, trained = train, []

    def killed_in_fold_1(stage, options, workdir, **others):
        if stage.name == "universal":  # Nothing here asks for its maps.
            return
        trained.append((workdir.name, stage.name))
        if trained[-1] == ("fold_1", "saliency") and trained.count(trained[-1]) == 1:
            raise KilledError
        original(stage, options, workdir, **others)

    monkeypatch.setattr(run, "train", killed_in_fold_1)
    with pytest.raises(KilledError):
        train_and_evaluate(config, tmp_path / "run")
    train_and_evaluate(config, tmp_path / "run")
    monkeypatch.undo()
    result = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert result["compared"]["evaluated_folds"] == [0, 1]
    assert result["encoder"]["unseen"]["encoder"]["1"]["num_users"] == 8
    assert set(result["saliency_users"]["unseen"]["2"]) == set(tiny_dataset.user_ids)
    held_out = [
        json.loads((tmp_path / "run" / f"fold_{fold}" / "splits.json").read_text())["unseen_users"]
        for fold in range(2)
    ]
    assert sorted(user for users in held_out for user in users) == list(tiny_dataset.user_ids)
    # Neither another number of folds nor one of them alone fits into the same folder.
    for key, value, was in (("folds", 4, 2), ("cross_validate", False, True)):
        config.split.update({"folds": 2, "cross_validate": True, key: value})
        with pytest.raises(ValueError, match=f"config.split.{key} was {was} and is now {value}"):
            train_folds(config, tmp_path / "run")


def test_a_curve_cut_in_the_middle_of_a_line_is_continued(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2, "loss": 1.0}\n{"step": 4, "loss": 0.5}\n{"step": 6, "lo')
    assert _lines_until(path, 4) == path.read_text().splitlines()[:2]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("encoder.batch.num_users", 7, "needs 7 seen users; the data has 6"),
        # Tiny: 35 training images, all of them seen by everybody.
        (
            "encoder.batch.images_per_user",
            36,
            "needs 36 training images of every seen user; .* 35",
        ),
        ("saliency.batch.users_per_image", 7, "needs 7 seen users; the data has 6"),
        ("saliency.batch.num_images", 36, "needs 36 training images seen by 3 users; .* 35"),
        ("saliency.batch.enrolment_images", (2, 35), "needs 36 training images .*; .* 35"),
        ("universal.num_images", 40, "needs 40 viewed training images; the data has 35"),
    ],
)
def test_data_that_cannot_fill_a_batch_are_refused_before_anything_compiles(
    key, value, message, data_dir, tmp_path, monkeypatch
):
    config = tiny_config(data_dir)
    config.encoder.loss.pairs_per_mean = 1
    config.update_from_flattened_dict({key: value})
    for function in ("add_features", "both_stage_inputs", "make_stage"):
        monkeypatch.setattr(run, function, None)
    with pytest.raises(ValueError, match=f"config.{key} {message}"):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()


def test_an_encoder_can_be_one_that_learnt_nothing(data_dir, tmp_path):
    config = tiny_config(data_dir)
    config.update(stage="encoder")
    config.encoder.num_steps = config.encoder.optimizer.warmup_steps = 0
    for _ in range(2):  # The second time there is nothing left to do.
        train_folds(config, tmp_path / "run")
    assert [
        one.step for one in checkpoints.list_checkpoints(tmp_path / "run/encoder/checkpoints")
    ] == [0]
    init = encoder_network(config, num_users=6).init
    start = init_state(init, optax.identity(), config.seed).params
    jax.tree.map(
        np.testing.assert_array_equal, final_params(tmp_path / "run", "encoder"), dict(start)
    )


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_a_saliency_network_trained_on_zero_embeddings_ignores_them(data_dir, tmp_path):
    config = tiny_config(data_dir)
    config.controls.embeddings = "zero"
    config.encoder.num_steps = config.saliency.num_steps = 2
    for config.stage in ("encoder", "saliency"):
        train_folds(config, tmp_path / "run")
    result = evaluate(tmp_path / "run")
    for group in ("seen", "unseen"):
        rows = result["saliency"][group]["2"]
        assert rows["own"] == rows["swapped"] == rows["mean"]
        assert rows["own"]["cc"] != rows["universal"]["cc"]
    with pytest.raises(ValueError, match=r"is a control, not to be used: .* given 'zero'"):
        load(tmp_path / "run")


def test_an_encoder_can_learn_from_permuted_gaze(data_dir, tiny_dataset):
    """The same batches of the same images, of other people."""
    config = tiny_config(data_dir)
    splits = make_config_splits(config, tiny_dataset)
    viewings = {"encoder": make_stage_inputs("encoder", config, tiny_dataset, splits)}
    made = {}
    for name, labels in (
        ("encoder", "true"),
        ("encoder", "permuted"),
        ("permuted_encoder", "true"),
    ):
        config.controls.encoder_user_labels = labels
        stage = make_stage(name, config, viewings, encoder_params=None, devices=jax.devices()[:1])
        made[name, labels] = np.asarray(stage.constants.gaze.viewing_offset)
    permuted = made["permuted_encoder", "true"]
    np.testing.assert_array_equal(made["encoder", "permuted"], permuted)
    assert (made["encoder", "true"] != permuted).any()


def test_a_data_set_that_is_not_prepared_names_the_command(data_dir, tmp_path):
    config = tiny_config(data_dir)
    config.data.data_dir = str(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"run: gazejax data build synthetic_gaze/tiny"):
        train_and_evaluate(config, tmp_path / "run")
