"""What networks are given of where others look, and what is left where users share few images."""

import json
import shutil
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gazejax.config.derived import INPUTS, stages_to_train
from gazejax.data.loading import apply_image_overlap, make_config_splits
from gazejax.evaluation.run import evaluate
from gazejax.inference.stage_inputs import both_stage_inputs, make_stage_inputs
from gazejax.inference.universal import make_universal_predictor
from gazejax.inputs.maps import MapSpec, sum_maps
from gazejax.inputs.pairs import gather_pairs
from gazejax.inputs.sampling import EncoderBatchSizes, indices_of_pairs, sample_encoder_batch
from gazejax.inputs.stage_arrays import _viewers, center_prior
from gazejax.training import run
from gazejax.training.run import train_folds
from gazejax.types import Gaze, Recordings
from gazejax.workdir.layout import latest_step
from gazejax.workdir.parameters import load_params, load_replacement_universal_maps
from tests.tiny import tiny_config, train_and_evaluate


def config_of(data_dir, **values):
    config = tiny_config(data_dir)
    config.controls.train_permuted_encoder = False
    for key, value in values.items():
        section, entry = key.split("__")
        config[section][entry] = value
    return config


def test_a_given_map_is_of_no_single_user(data_dir, tiny_dataset, tmp_path):
    config = config_of(data_dir, data__universal_map="center_prior")
    splits = make_config_splits(config, tiny_dataset)
    of_group = both_stage_inputs(config, tiny_dataset, splits)
    arrays = of_group["saliency"].arrays
    universal = load_replacement_universal_maps(tmp_path, config, arrays, jax.local_devices())
    prior = center_prior(arrays)
    np.testing.assert_array_equal(universal, np.broadcast_to(prior, universal.shape))
    for name in INPUTS:
        group = make_stage_inputs(name, config, tiny_dataset, splits, universal).arrays.universal
        np.testing.assert_allclose(group.total.sum(axis=(1, 2)), 1.0, rtol=1e-5)
        # A seen user is not taken out of a map that they are not in.
        assert not group.is_member.any()
        assert (group.num_viewers == 1).all()
        assert group.total.shape == of_group[name].arrays.universal.total.shape
    np.testing.assert_allclose(group.total, universal, rtol=1e-4, atol=1e-8)


def with_two_sessions(dataset):
    """Every user saw the even images in one session, and the odd ones in another."""
    length = np.repeat(np.asarray(dataset.gaze.viewing_length), 2, axis=0)
    length[0::2, 1::2] = length[1::2, 0::2] = 0
    offset = np.repeat(np.asarray(dataset.gaze.viewing_offset), 2, axis=0)
    gaze = dataset.gaze._replace(viewing_length=length, viewing_offset=offset)
    user = np.repeat(np.arange(len(dataset.user_ids)), 2)
    return dataset._replace(recordings=Recordings(user, ("a", "b") * len(dataset.user_ids), gaze))


def test_a_batch_of_recordings_has_their_viewings_and_the_universal_maps_of_the_others(
    data_dir, tiny_dataset
):
    config, dataset = config_of(data_dir), with_two_sessions(tiny_dataset)
    splits = make_config_splits(config, dataset)
    inputs = make_stage_inputs("encoder", config, dataset, splits, by_recording=True)
    arrays, (height, width) = inputs.arrays, inputs.spec.size
    sizes = EncoderBatchSizes(4, 0, images_per_user=4, pairs_per_set=2, same_images=True)
    # Gaze of an unseen user, under the name of a seen one, would train the encoder.
    of_users = dict(zip(splits.seen_users, arrays.pool.recordings.recording, strict=True))
    assert all({*(rows // 2)} == {user} for user, rows in of_users.items())

    @jax.jit
    def sample(key):
        sampled, image = sample_encoder_batch(arrays.pool, key, sizes=sizes)
        return indices_of_pairs(arrays.pool, sampled, sizes)[0], image

    row, image = map(np.asarray, sample(jax.random.key(0)))
    # Pairs of a set are of one session, and the sessions of a user alternate.
    sessions = (row % 2).reshape(4, 2, 2)
    assert (sessions[..., 0] == sessions[..., 1]).all()
    assert (sessions[:, 0] != sessions[:, 1]).all()
    np.testing.assert_array_equal(image % 2, row % 2)

    def gathered(of, row):
        return jax.jit(gather_pairs, static_argnames="spec")(of.arrays, row, image, spec=of.spec)

    pairs = gathered(inputs, row)
    assert pairs.personal.shape == (16, height, width)
    plain = make_stage_inputs("encoder", config, dataset, splits)
    joined = gathered(plain, row // 2)
    np.testing.assert_allclose(pairs.personal, joined.personal, atol=1e-6)
    np.testing.assert_allclose(pairs.universal, joined.universal, atol=1e-6)


def test_the_group_itself_needs_no_given_map(data_dir, tiny_dataset, tmp_path):
    config = config_of(data_dir)
    splits = make_config_splits(config, tiny_dataset)
    arrays = make_stage_inputs("saliency", config, tiny_dataset, splits).arrays
    assert load_replacement_universal_maps(tmp_path, config, arrays, jax.local_devices()) is None
    assert stages_to_train(config) == ["encoder", "saliency", "universal"]


def test_the_network_that_predicts_maps_comes_before_those_that_are_given_them(data_dir):
    config = config_of(data_dir, data__universal_map="predicted")
    assert stages_to_train(config) == ["universal", "encoder", "saliency"]
    config.stage = "encoder"
    assert stages_to_train(config) == ["universal", "encoder"]
    config.stage = "universal"
    assert stages_to_train(config) == ["universal"]


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_users_who_share_no_image_train_on_predicted_maps(data_dir, tmp_path, tiny_dataset):
    config = config_of(data_dir, data__universal_map="predicted", split__train_image_overlap=0.0)
    config.stage = "encoder"
    train_and_evaluate(config, tmp_path / "run")
    for stage in ("universal", "encoder"):
        assert latest_step(tmp_path / "run", stage) == config[stage].num_steps
    dataset = apply_image_overlap(config, tiny_dataset)
    splits = make_config_splits(config, dataset)
    viewings = both_stage_inputs(config, dataset, splits)
    seen_by = viewings["encoder"].arrays.pool.viewed.sum(axis=0)
    assert seen_by.max() == 1
    assert len(set(viewings["encoder"].arrays.pool.viewed.sum(axis=1).tolist())) == 1
    universal = load_replacement_universal_maps(
        tmp_path / "run", config, viewings["saliency"].arrays, jax.local_devices()
    )
    params = load_params(tmp_path / "run", "universal")
    prior = center_prior(viewings["saliency"].arrays)
    pixels = jnp.asarray(viewings["saliency"].arrays.images)[:2]
    expected = make_universal_predictor(config)(params, pixels, jnp.asarray(prior))
    np.testing.assert_allclose(universal[:2], expected, rtol=1e-4)


def test_sharing_is_asked_for_by_fold_and_changes_only_who_saw_what(data_dir, tiny_dataset):
    config = config_of(data_dir)
    assert apply_image_overlap(config, tiny_dataset) is tiny_dataset
    config.split.train_image_overlap = 1.0
    reduced = apply_image_overlap(config, tiny_dataset)
    splits = make_config_splits(config, tiny_dataset)
    lengths, before = (np.asarray(one.gaze.viewing_length) for one in (reduced, tiny_dataset))
    kept = lengths[np.ix_(splits.seen_users, splits.train_images)] > 0
    number = len(splits.train_images) // len(splits.seen_users)
    assert kept.sum(axis=1).tolist() == [number] * len(splits.seen_users)
    assert (kept == kept[0]).all()
    # Unseen users, and test images, keep what they had.
    np.testing.assert_array_equal(lengths[splits.unseen_users], before[splits.unseen_users])
    np.testing.assert_array_equal(lengths[:, splits.test_images], before[:, splits.test_images])
    assert set(np.unique(lengths[lengths != before])) == {0}
    config.split.test_image_overlap = 1.0  # Five test images.
    with pytest.raises(ValueError, match="with 8 users and 5 images; allowed: None;"):
        apply_image_overlap(config, tiny_dataset)


def test_unseen_users_share_test_images_with_the_seen_users_or_with_none(data_dir, tiny_dataset):
    config = config_of(data_dir, split__hash_one_in=2)
    for overlap, viewers in ((1.0, {0, 8}), (0.0, {0, 1})):
        config.split.test_image_overlap = overlap
        splits = make_config_splits(config, tiny_dataset)
        kept = np.asarray(apply_image_overlap(config, tiny_dataset).gaze.viewing_length) > 0
        assert set(kept[:, splits.test_images].sum(axis=0)) == viewers
        assert kept[:, splits.train_images].all()


@pytest.mark.parametrize(
    ("universal_map", "overlap", "printed"),
    [
        ("seen_users", None, ""),
        ("predicted", 0.0, ""),
        # 6 seen users, 5 of the 35 training images each; 5 test images, which all 8 saw.
        ("seen_users", 0.0, "no other seen user looked at the image of 30 of 70 viewings: with"),
    ],
)
def test_an_empty_map_of_others_is_reported(
    data_dir, tmp_path, monkeypatch, capfd, universal_map, overlap, printed
):
    config = config_of(
        data_dir, data__universal_map=universal_map, split__train_image_overlap=overlap
    )
    config.stage = "encoder"
    monkeypatch.setattr(run, "_train_fold", lambda *_: None)
    train_folds(config, tmp_path / "run")
    lines = [line for line in "".join(capfd.readouterr()).splitlines() if "no other" in line]
    assert len(lines) == bool(printed)
    assert all(line.startswith(printed) for line in lines)


@pytest.mark.usefixtures("without_plots")
def test_little_gaze_is_that_of_unseen_users(data_dir, tiny_run, tmp_path):
    """The seen users' figures stay; those of unseen users are of one fixation."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    described = json.loads((run / "config.json").read_text())
    described["config"]["eval"]["gaze"]["first_ms"] = 1.0
    (run / "config.json").write_text(json.dumps(described))
    before = json.loads((run / "evaluation.json").read_text())["encoder"]
    after = evaluate(run)["encoder"]
    assert after["seen"]["encoder"] == before["seen"]["encoder"]
    assert after["unseen"]["encoder"] != before["unseen"]["encoder"]


def test_the_target_is_the_group_whatever_map_the_others_are_given(data_dir, tmp_path, monkeypatch):
    config = config_of(data_dir, data__universal_map="center_prior")
    config.encoder.comparison.kind = "distance"  # Nothing is trained, so nothing is fitted.
    has_members = {}

    def note(name, _config, viewings, **_):
        has_members[name] = bool(viewings["saliency"].arrays.universal.is_member.any())
        return SimpleNamespace(stream=None)

    monkeypatch.setattr(run, "stages_to_train", lambda _: ["encoder", "universal"])
    monkeypatch.setattr(run, "make_stage", note)
    monkeypatch.setattr(run, "train", lambda *_, **__: None)
    train_folds(config, tmp_path / "run")
    assert has_members == {"encoder": False, "universal": True}


def test_maps_are_summed_over_the_viewers_of_each_image_alone():
    """Image 0 was seen by nobody, 1 by one user, 2 by three; user 1 is no member."""
    lengths = np.array([[0, 0, 1], [0, 1, 1], [0, 1, 1], [0, 0, 1]])
    members = np.array([0, 2, 3])
    viewers = _viewers(lengths, members, 4)
    np.testing.assert_array_equal(viewers, [[-1, -1, -1], [2, -1, -1], [0, 2, 3]])
    gaze = Gaze(
        xy_frac=np.random.default_rng(0).random((6, 2), np.float32),
        duration_ms=np.zeros(6, np.float32),
        viewing_offset=np.cumsum(lengths).reshape(4, 3) - lengths,
        viewing_length=lengths,
        aspect_ratio=np.ones(3, np.float32),
    )
    spec = MapSpec(size=(6, 8), sigma_frac=0.1, max_fixations=1)
    gaze = jax.tree.map(jnp.asarray, gaze)
    of_viewers = sum_maps(gaze, jnp.asarray(members), spec, jnp.asarray(viewers))
    every = sum_maps(gaze, jnp.asarray(members), spec)
    np.testing.assert_allclose(of_viewers.total, every.total, atol=1e-7)
    np.testing.assert_allclose(every.total.sum(axis=(1, 2)), [0, 1, 3], rtol=1e-5)
