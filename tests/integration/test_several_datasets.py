"""One run on two data sets: training, evaluation of each, and what is refused."""

import functools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gazejax.config.ablations import with_values
from gazejax.data.checks import check_batches_fit
from gazejax.data.joining import select_dataset, select_splits
from gazejax.data.loading import apply_image_overlap, make_config_splits, read_dataset
from gazejax.evaluation.run import RESAMPLES, evaluate, evaluate_on
from gazejax.inference import universal
from gazejax.inference.stage_inputs import both_stage_inputs
from gazejax.inputs.sampling import EncoderBatchSizes, sample_encoder_batch, sample_images
from gazejax.inputs.stage_arrays import center_prior, center_priors
from gazejax.runtime import preemption
from gazejax.training.run import make_stage, train_folds
from gazejax.workdir import parameters
from gazejax.workdir.parameters import load_params, load_replacement_universal_maps
from tests.joined_data import NAMES, build_both, joined_config
from tests.tiny import tiny_scanpath_config

STAGES = ("encoder", "saliency", "universal")


@pytest.fixture(scope="module")
def data_dir(made_once):
    return made_once("joined_data", build_both)


@pytest.fixture(scope="module")
def dataset(data_dir):
    return read_dataset(joined_config(data_dir))


@pytest.fixture(scope="module")
def inputs(data_dir, dataset):
    config = joined_config(data_dir)
    return both_stage_inputs(config, dataset, make_config_splits(config, dataset))


@pytest.fixture(scope="module")
def run(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "joined"
    train_folds(joined_config(data_dir), folder)
    return folder


def test_exact_and_near_copies_across_data_sets_are_on_one_side(data_dir, dataset):
    found = [group for group in dataset.copies if any(name.startswith("mine") for name in group)]
    names = [f"{'exact' if number < 6 else 'near'}_{number:02}" for number in range(12)]
    assert [sorted(group) for group in found] == [
        [f"mine:{name}.png", f"synthetic_gaze/tiny:scene_{number:05}.png"]
        for number, name in enumerate(names)
    ]
    config = joined_config(data_dir)
    for config.split.purpose in ("test", "validation"):
        splits = make_config_splits(config, dataset)
        side = dict.fromkeys(splits.train_images.tolist(), "train")
        side |= dict.fromkeys(splits.test_images.tolist(), "test")
        index = {name: number for number, name in enumerate(dataset.image_ids)}
        for group in found:
            assert len({side[index[name]] for name in group if index[name] in side}) <= 1
    assert "test" in {side.get(index[name]) for group in found for name in group}


def test_durations_that_one_data_set_has_not_are_refused_with_its_name(data_dir, dataset, capsys):
    assert not dataset.has_durations
    read_dataset(joined_config(data_dir))
    assert "the durations of mine are unknown" in capsys.readouterr().err
    config = with_values(tiny_scanpath_config(data_dir), {"data.name": NAMES})
    with pytest.raises(ValueError, match="'duration', but the durations of 'mine' are unknown"):
        read_dataset(config)
    own = with_values(config, {"data.name": "mine"})
    with pytest.raises(
        ValueError, match=r"allowed: the config custom:mine without \+durations, the"
    ):
        read_dataset(own)


def test_batches_that_a_data_set_cannot_fill_are_refused(data_dir, dataset):
    config = joined_config(data_dir)
    splits = make_config_splits(config, dataset)
    check_batches_fit(config, dataset, splits)
    config.encoder.batch.num_users = 5  # 5 and 4 users are seen.
    with pytest.raises(ValueError, match="5 seen users of every data set; the data has 4"):
        check_batches_fit(config, dataset, splits)
    config.encoder.batch.users_of = "any"
    config.saliency.batch.users_per_image = 4
    check_batches_fit(config, dataset, splits)
    config.saliency.batch.users_per_image = 5
    with pytest.raises(ValueError, match="5 seen users of one training image in every data set"):
        check_batches_fit(config, dataset, splits)


def test_users_are_never_paired_with_images_of_another_data_set(inputs):
    pool = inputs["encoder"].arrays.pool
    of_image = np.asarray(inputs["encoder"].arrays.dataset_of_image)[pool.images]
    for one_dataset in (True, False):
        sizes = EncoderBatchSizes(4, 1, 4, 2, same_images=True, one_dataset=one_dataset)
        keys = jax.random.split(jax.random.key(0), 50)
        sample = functools.partial(sample_encoder_batch, pool, sizes=sizes)
        sampled, _ = jax.jit(jax.vmap(sample))(keys)
        of_user = np.asarray(pool.dataset)[sampled.users]
        np.testing.assert_array_equal(
            of_image[sampled.images], np.broadcast_to(of_user[..., None], sampled.images.shape)
        )
        assert {len(set(row)) for row in of_user.tolist()} == ({1} if one_dataset else {1, 2})


def test_images_of_each_data_set_start_from_its_own_center_prior(data_dir, dataset, inputs):
    config = joined_config(data_dir)
    splits = make_config_splits(config, dataset)
    arrays = inputs["saliency"].arrays
    priors, of_image = center_priors(arrays)
    assert of_image.tolist() == [0] * 40 + [1] * 24
    np.testing.assert_allclose(center_prior(arrays), priors.mean(axis=0))
    for number, prior in enumerate(priors):
        one = select_dataset(dataset, number)
        alone = both_stage_inputs(config, one, select_splits(dataset, splits, number))["saliency"]
        np.testing.assert_allclose(center_prior(alone.arrays), prior, atol=1e-7)
        # The universal maps of its images are those of its users.
        np.testing.assert_allclose(
            alone.arrays.universal.total,
            np.asarray(arrays.universal.total)[of_image == number],
            atol=1e-6,
        )


def test_stage_universal_learns_each_map_from_the_prior_of_its_data_set(data_dir, inputs):
    devices = jax.devices()[:1]
    config = joined_config(data_dir)
    stage = make_stage("universal", config, inputs, encoder_params=None, devices=devices)
    arrays, targets, priors = stage.constants
    params, key = jax.jit(stage.network.init)(jax.random.key(0)), jax.random.key(2)
    loss, metrics = jax.jit(stage.loss)(params, stage.constants, None, key, jnp.int32(0))
    images = sample_images(targets, key, num_images=config.universal.num_images)[0]
    of_image = np.asarray(arrays.dataset_of_image)[images]
    assert {*of_image} == {0, 1}
    start, total = (
        maps / maps.mean(axis=(1, 2), keepdims=True)
        for maps in (np.asarray(priors)[of_image], np.asarray(arrays.universal.total)[images])
    )
    expected = ((start - total) ** 2).mean()
    np.testing.assert_allclose(metrics["center_prior_loss"], expected, rtol=1e-4)
    # An untrained network returns the prior, but for the floor of its logarithm.
    np.testing.assert_allclose(loss, expected, rtol=1e-2)


@pytest.mark.slow
def test_predicted_maps_of_a_data_set_do_not_depend_on_the_others(
    run, data_dir, dataset, inputs, monkeypatch
):
    config = with_values(joined_config(data_dir), {"data.universal_map": "predicted"})
    splits, devices = make_config_splits(config, dataset), jax.devices()[:1]
    params = load_params(run, "universal")
    params["of_dataset"] = {
        "log_gain": jnp.array([0.5, -0.5]),
        "center_weight": jnp.array([0.3, -0.3]),
    }
    monkeypatch.setattr(parameters, "load_params", lambda *_: params)
    priors, _ = center_priors(inputs["saliency"].arrays)
    pixels = dataset.images["saliency"]
    of_image = jax.jit(universal.make_universal_predictor(config))

    def predict(arrays):
        return load_replacement_universal_maps(run, config, arrays, devices)

    maps = predict(inputs["saliency"].arrays)
    for number in (0, 1):
        one = select_dataset(dataset, number)
        alone = both_stage_inputs(config, one, select_splits(dataset, splits, number))["saliency"]
        of_dataset = maps[dataset.dataset_of_image == number]
        first = np.flatnonzero(dataset.dataset_of_image == number)[:1]
        expected = of_image(params, jnp.array(pixels[first]), priors[[number]], jnp.array([number]))
        np.testing.assert_allclose(of_dataset[:1], expected, atol=1e-6)
        np.testing.assert_allclose(predict(alone.arrays), of_dataset, atol=1e-6)
        # Of no data set, they are others.
        new = predict(alone.arrays._replace(dataset_of_image=None))
        assert np.abs(new - of_dataset).max() > 1e-5


def test_parameters_of_a_data_set_sharpen_its_maps_and_weigh_its_center_prior():
    maps, prior = jnp.array([[[0.2, 0.8]]]), jnp.array([[[0.8, 0.2]]])
    zero, two = jnp.zeros(1), jnp.log(jnp.array([2.0]))
    as_it_is = universal._adapt(maps, prior, log_gain=zero, center_weight=zero)
    np.testing.assert_allclose(as_it_is, maps, atol=1e-5)
    # 0.2^2 : 0.8^2 = 1 : 16.
    sharper = universal._adapt(maps, prior, log_gain=two, center_weight=zero)
    np.testing.assert_allclose(sharper, [[[1 / 17, 16 / 17]]], atol=1e-4)
    # 0.2 * (2 * 0.8 + 0.01) : 0.8 * (2 * 0.2 + 0.01) = 0.322 : 0.328.
    weighed = universal._adapt(maps, prior, log_gain=zero, center_weight=jnp.ones(1))
    np.testing.assert_allclose(weighed[0, 0, 0], 0.322 / (0.322 + 0.328), atol=1e-3)


def test_the_images_of_each_data_set_are_divided_among_its_users(data_dir, dataset):
    config = with_values(joined_config(data_dir), {"split.train_image_overlap": 0.0})
    splits = make_config_splits(config, dataset)
    viewed = np.asarray(apply_image_overlap(config, dataset).gaze.viewing_length) > 0
    viewed = viewed[np.ix_(splits.seen_users, splits.train_images)]
    assert viewed.sum(axis=0).max() == 1
    # 35 images for 5 users, and 18 images for 4.
    assert viewed.sum(axis=1).tolist() == [7] * 5 + [4] * 4


@pytest.mark.slow
def test_streamed_and_interrupted_training_is_the_same(run, data_dir, tmp_path, monkeypatch):
    config = joined_config(data_dir)
    config.data.image_storage = "stream"
    monkeypatch.setattr(preemption, "stop_requested", lambda: True)
    with pytest.raises(preemption.InterruptedRunError, match="encoder is saved at step 1 of 4"):
        train_folds(config, tmp_path)
    monkeypatch.setattr(preemption, "stop_requested", lambda: False)
    train_folds(config, tmp_path)
    for stage in STAGES:
        curves = [(one / stage / "metrics.jsonl").read_text() for one in (run, tmp_path)]
        one, other = ([json.loads(line)["loss"] for line in curve.splitlines()] for curve in curves)
        assert one == other
        assert len(one) == 2
    own = load_params(run, "universal")["of_dataset"]
    assert {name: values.shape for name, values in own.items()} == {
        "log_gain": (2,),
        "center_weight": (2,),
    }
    assert all(values.all() for values in own.values())  # They have learnt.
    # A new image has the mean of both.
    predict = jax.jit(universal.make_universal_predictor(config))
    image, prior = jnp.zeros((1, 32, 48, 3), jnp.uint8), jnp.full((8, 12), 1 / 96)
    params = load_params(run, "universal")
    mean = jax.tree.map(lambda values: jnp.full(2, values.mean()), own)
    of_first = predict(params | {"of_dataset": mean}, image, prior[None], jnp.array([0]))
    np.testing.assert_allclose(predict(params, image, prior), of_first, rtol=1e-6)


@pytest.mark.slow
def test_each_data_set_is_evaluated_by_itself(run, dataset, tmp_path):
    workdir = shutil.copytree(run, tmp_path / "run")
    result = evaluate(workdir)
    other = result["datasets"]["mine"]
    # The second one alone names sessions.
    across = {key for key in other if "across_sessions" in key}
    assert result.keys() - {"datasets", "traits"} == other.keys() - across
    assert len(across) == 5
    for one, name, numbers in ((result, "synthetic_gaze/tiny", (5, 3)), (other, "mine", (4, 2))):
        compared = one["compared"]
        assert (compared["data"], compared["trained_on"]) == (name, NAMES)
        assert (compared["seen_users"], compared["unseen_users"]) == numbers
        assert compared["data_digest"] == dataset.digest[name]
        assert compared["test_rule"] == "hash"
        for group, number in zip(("seen", "unseen"), numbers, strict=True):
            assert one["encoder"][group]["encoder"]["1"]["num_users"] == number
            for users in one["saliency_users"][group].values():
                assert len(users) == number
                assert all(user.startswith(f"{name}:") for user in users)
    stored = json.loads((workdir / "evaluation.json").read_text())
    assert stored["datasets"]["mine"].keys() == other.keys()
    text = (workdir / "evaluation.md").read_text()
    assert text.count("### Verification: ") == 4
    assert text.index("synthetic_gaze/tiny: fold") < text.index("## Data set mine\n\nmine: fold")
    with np.load(workdir / RESAMPLES) as arrays:
        found = {name.split("/")[0] for name in arrays}
    assert found == {"encoder", "datasets", "saliency"}
    assert (workdir / "plots" / "mine" / "roc_curves.png").is_file()


@pytest.mark.slow
def test_no_data_set_of_the_run_is_one_of_unseen_images(run, data_dir):
    for name in ("mine", "synthetic_gaze/tiny"):
        with pytest.raises(ValueError, match=rf"trained with \d+ images of {name}, such as"):
            evaluate_on(run, name, data_dir)
    with pytest.raises(ValueError, match=r"--dataset is .*; allowed: one prepared data set"):
        evaluate_on(run, NAMES, data_dir)
