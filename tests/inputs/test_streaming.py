"""Images that are stored come with each step, and training is what it is where they lie there."""

import json

import jax
import numpy as np
import pytest

from gazejax.config.derived import STAGES
from gazejax.data import loading
from gazejax.data.loading import load_dataset, make_config_splits
from gazejax.inference.stage_inputs import both_stage_inputs
from gazejax.inputs import stage_arrays, streaming
from gazejax.inputs.streaming import make_batch, prefetch
from gazejax.runtime import preemption
from gazejax.training.run import make_stage, train_folds
from gazejax.types import LazyRows
from gazejax.workdir.parameters import load_params
from tests.tiny import tiny_config, tiny_scanpath_config, train_and_evaluate


def read_curve(workdir, stage):
    lines = (workdir / stage / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [[row[name] for name in ("step", "loss", "gradient_norm")] for row in rows]


def read_figures(workdir):
    evaluation = json.loads((workdir / "evaluation.json").read_text())
    del evaluation["compared"]
    return evaluation


def without_control(figures):
    """The figures of a run without the encoder of permuted gaze."""
    if not isinstance(figures, dict):
        return figures
    return {key: without_control(one) for key, one in figures.items() if "permuted" not in key}


def assert_figures_are_close(found, expected):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_figures_are_close(found[key], value)
    elif expected is None or isinstance(expected, str):
        assert found == expected
    else:
        # Two scores that change places, by rounding, move an interval by a step.
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=5e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_streamed_training_is_the_same_also_after_an_interruption(
    data_dir, tiny_run, tmp_path, monkeypatch
):
    config = tiny_config(data_dir)
    config.data.image_storage = "stream"
    config.controls.train_permuted_encoder = False
    for module in (stage_arrays, streaming):
        monkeypatch.setattr(module, "IMAGES_PER_CHUNK", 3)
    for stage in ("encoder", "saliency"):
        config.stage = stage
        monkeypatch.setattr(preemption, "stop_requested", lambda: True)
        with pytest.raises(preemption.InterruptedRunError, match=f"{stage} is saved at step 1 "):
            train_folds(config, tmp_path)
        monkeypatch.setattr(preemption, "stop_requested", lambda: False)
        train_folds(config, tmp_path)
    config.stage = "all"
    train_and_evaluate(config, tmp_path)
    for stage in STAGES[:3]:
        np.testing.assert_allclose(
            read_curve(tmp_path, stage), read_curve(tiny_run, stage), rtol=1e-4
        )
        found, expected = load_params(tmp_path, stage), load_params(tiny_run, stage)
        if stage != "encoder":
            # It changes no map, so that its gradient is rounding, of which Adam makes a whole step.
            del found["head"]["bias"], expected["head"]["bias"]
        jax.tree.map(
            lambda *both: np.testing.assert_allclose(*both, rtol=0, atol=1e-4), found, expected
        )
    assert_figures_are_close(read_figures(tmp_path), without_control(read_figures(tiny_run)))


def make_encoder_stage(config, dataset, devices):
    splits = make_config_splits(config, dataset)
    viewings = both_stage_inputs(config, dataset, splits)
    stage = make_stage("encoder", config, viewings, encoder_params=None, devices=devices)
    return stage, viewings["encoder"]


def test_a_batch_has_the_images_that_its_steps_draw_and_only_those(data_dir):
    config = tiny_config(data_dir)
    config.data.image_storage = "stream"
    config.encoder.batch.same_images = False
    devices = jax.local_devices()
    stage, inputs = make_encoder_stage(config, load_dataset(config), devices)
    arrays = inputs.arrays
    batch = make_batch(stage.stream, 6, num_steps=2, seed=config.seed, devices=devices)
    for step in (0, 1):
        key = steps_key(config.seed, 6 + step)
        sampled, images = stage.stream.sample(arrays.pool, key)
        found_of_steps = jax.tree.leaves(batch.sampled)
        for found, expected in zip(found_of_steps, jax.tree.leaves(sampled), strict=True):
            np.testing.assert_array_equal(found[3, step], expected)
        # 5 users x 4 images on 4 devices: the share of each is one user and a quarter.
        for device, share in enumerate(np.asarray(images).reshape(4, 5)):
            indices = batch.indices[device, step]
            assert set(indices.tolist()) == set(share.tolist())
            assert len(indices) == 8  # Padded to a power of two.
            np.testing.assert_array_equal(np.sort(indices), indices)
            np.testing.assert_array_equal(batch.images[device, step], arrays.images[indices])
            total = arrays.universal.total[indices]
            np.testing.assert_array_equal(batch.total[device, step], total)


def steps_key(seed, step):
    _, key = jax.random.split(jax.random.key(seed))
    return jax.random.fold_in(key, step)


def test_frozen_features_are_streamed_too(data_dir):
    config = tiny_scanpath_config(data_dir)
    preferences, images = [], []
    for storage in ("device", "stream"):
        config.data.image_storage = storage
        dataset = load_dataset(config)
        splits = make_config_splits(config, dataset)
        inputs = both_stage_inputs(config, dataset, splits)
        preferences.append(inputs["encoder"].arrays.preference)
        images.append(inputs["saliency"].arrays.images)
    np.testing.assert_allclose(preferences[1].vectors, preferences[0].vectors, atol=1e-5)
    np.testing.assert_array_equal(preferences[1].row, preferences[0].row)
    assert isinstance(images[1], LazyRows)
    np.testing.assert_allclose(images[1][[7, 3]], images[0][[7, 3]], rtol=1e-3)


@pytest.mark.parametrize(("gigabytes", "chosen"), [(1.0, "device"), (1e-3, "stream")])
def test_auto_chooses_by_size_and_says_so(gigabytes, chosen, data_dir, monkeypatch, capsys):
    config = tiny_config(data_dir)
    assert config.data.image_storage == "auto"
    monkeypatch.setattr(loading, "_device_memory", lambda: (gigabytes * 1e9, "a toy"))
    dataset = load_dataset(config)
    # 40 images: 30 x 40 with a map of floats, 7 bytes a pixel, and 32 x 48 with one of 8 x 12.
    printed = f"40 images take {40 * (7 * 1200 + 3 * 1536 + 4 * 96) / 1e9:.2f} GB"
    assert capsys.readouterr().err.startswith(f"config.data.image_storage 'auto': {printed}, and")
    assert isinstance(dataset.images["encoder"], LazyRows) == (chosen == "stream")


def test_stored_rows_are_indexed_like_an_array():
    array = np.arange(24).reshape(6, 4)
    stored = LazyRows(array.__getitem__, len(array))
    assert len(stored) == 6
    for index in (2, -1, slice(1, 5, 2), np.array([3, 0, 3]), np.array([[1, 2], [0, 5]])):
        np.testing.assert_array_equal(stored[index], array[index])
    with pytest.raises(IndexError):
        stored[6]


def test_a_thread_that_fails_says_why():
    def make(step):
        if step == 4:
            raise ValueError("record 4 does not read")
        return step

    batches = prefetch(make, range(2, 8, 2), num_threads=2, num_prefetched=4)
    assert next(batches) == 2
    with pytest.raises(ValueError, match="record 4 does not read"):
        next(batches)
