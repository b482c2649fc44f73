"""Ways in which a figure could be false: planted here, and seen to be caught.

Effects of a session alone are planted in the tests of `evaluation/verification/test_sessions.py`
and `evaluation/prediction/test_sessions.py`, copies of images across data sets in
`test_several_datasets.py`.

A leak is one of: an unseen user or a test image that took part in training, of any stage or of the
universal maps; an embedding made from the image it is scored on, in evaluation or in training; a
universal map that holds the very gaze it is compared with.
"""

import functools
import json
import shutil
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gazejax.config.derived import STAGES
from gazejax.data import reader, splits
from gazejax.data.loading import load_dataset, make_config_splits
from gazejax.data.splits import OSIE_IMAGES_IN_PS, make_splits
from gazejax.evaluation import folds
from gazejax.evaluation.prediction import sessions
from gazejax.evaluation.run import evaluate
from gazejax.evaluation.verification import protocol
from gazejax.inference.networks import Network
from gazejax.inference.stage_inputs import both_stage_inputs, make_stage_inputs
from gazejax.inputs import sampling
from gazejax.inputs.maps import MapSpec, leave_one_out_maps, personal_maps, sum_maps
from gazejax.inputs.sampling import sample_saliency_batch
from gazejax.inputs.stage_arrays import center_prior
from gazejax.inputs.viewing_vectors import ViewingVectors, from_dense
from gazejax.metrics import verification
from gazejax.training import run as run_module
from gazejax.training import saliency_stage
from gazejax.training.run import make_stage
from gazejax.training.saliency_stage import _saliency_loss
from gazejax.types import longest_viewing
from tests.tiny import tiny_config, tiny_scanpath_config


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of the tiny run, to be tampered with."""
    return shutil.copytree(tiny_run, tmp_path / "run")


@pytest.fixture(scope="module")
def tiny(data_dir, tiny_dataset):
    config = tiny_config(data_dir)
    return config, make_config_splits(config, tiny_dataset)


def tamper(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


# Users and images: what the checkpoints say counts, for every stage, whatever else is changed.


def test_a_config_that_calls_trained_users_unseen_is_caught(run):
    tamper(run / "config.json", lambda content: content["config"]["split"].update(fold=2))
    message = r"'observer_002' is one of 2 of the unseen_users that stage encoder was trained with"
    with pytest.raises(ValueError, match=message):
        evaluate(run)


def test_a_config_that_calls_trained_images_test_images_is_caught(run):
    tamper(run / "config.json", lambda content: content["config"]["split"].update(hash_seed=5))
    with pytest.raises(ValueError, match=r"of the test_images that stage encoder was trained"):
        evaluate(run)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_of_another_fold_is_caught(stage, run, monkeypatch):
    """A stage brought from a run that trained with a user who is unseen here."""
    original = folds.check_no_leaks

    def with_other_stage(workdir, name, now, dataset):
        if name == stage:
            first, *seen = now.seen_users
            unseen, *others = now.unseen_users
            now = now._replace(
                seen_users=np.array([unseen, *seen]), unseen_users=np.array([first, *others])
            )
        original(workdir, name, now, dataset)

    monkeypatch.setattr(folds, "check_no_leaks", with_other_stage)
    with pytest.raises(ValueError, match=rf"unseen_users that stage {stage} was trained with"):
        evaluate(run)


def test_users_swapped_in_the_data_are_caught(tiny_run, tiny_dataset, monkeypatch):
    first, second, *others = tiny_dataset.user_ids
    swapped = tiny_dataset._replace(user_ids=(second, first, *others))
    monkeypatch.setattr(folds, "load_dataset", lambda *_: swapped)
    with pytest.raises(ValueError, match=r"unseen_users that stage encoder was trained with"):
        evaluate(tiny_run)


def test_overlapping_splits_are_caught():
    good = splits.Splits(*(np.array(part) for part in ([0, 1], [2, 3], [0, 2], [1, 3])))
    splits.check(good, users=np.arange(4), images=np.arange(4))
    for change in (
        {"seen_users": np.array([0, 1, 2])},
        {"train_images": np.array([0, 2, 3])},
        {"unseen_users": np.array([2])},
    ):
        with pytest.raises(ValueError, match="overlap or do not cover"):
            splits.check(good._replace(**change), users=np.arange(4), images=np.arange(4))


@pytest.mark.parametrize("fold", range(3))
def test_no_osie_image_of_ps_is_ever_trained_with(fold):
    """So that a model trained on OSIE can be tested on PS, and the other way round."""
    names = [f"{number}.jpg" for number in range(1001, 1701)]
    found = make_splits(
        [str(user) for user in range(15)],
        names,
        np.ones((15, 700), bool),
        purpose="test",
        test_rule="osie",
        hash_seed=0,
        hash_one_in=5,
        min_images=0,
        max_seen_users=None,
        max_train_images=None,
        folds=3,
        fold=fold,
    )
    assert (len(found.train_images), len(found.test_images)) == (560, 140)
    trained = {int(names[image][:4]) for image in found.train_images}
    assert not trained & OSIE_IMAGES_IN_PS
    assert not any(number % 8 == 0 for number in trained)
    np.testing.assert_array_equal(found.unseen_users, np.arange(fold, 15, 3))


# Universal maps.


def altered_gaze(gaze, users, images):
    """All gaze of some users on some images moved into the upper left corner."""
    xy_frac = np.array(gaze.xy_frac)
    for user in users:
        for image in images:
            start = gaze.viewing_offset[user, image]
            xy_frac[start : start + gaze.viewing_length[user, image]] = 0.01
    return gaze._replace(xy_frac=xy_frac)


def test_unseen_users_and_test_images_change_nothing_that_is_learnt_from(tiny, tiny_dataset):
    config, parts = tiny
    every_user, every_image = np.arange(8), np.arange(40)
    before = make_stage_inputs("saliency", config, tiny_dataset, parts).arrays

    def after(users, images):
        gaze = altered_gaze(tiny_dataset.gaze, users, images)
        changed = tiny_dataset._replace(gaze=gaze)
        return make_stage_inputs("saliency", config, changed, parts).arrays

    by_unseen = after(parts.unseen_users, every_image)
    np.testing.assert_array_equal(by_unseen.universal.total, before.universal.total)
    on_test = after(every_user, parts.test_images)
    np.testing.assert_array_equal(
        on_test.universal.total[parts.train_images],
        before.universal.total[parts.train_images],
    )
    np.testing.assert_array_equal(center_prior(on_test), center_prior(before))
    assert not np.array_equal(
        center_prior(after(parts.seen_users, parts.train_images)),
        center_prior(before),
    )


def test_the_predicted_universal_map_is_trained_on_training_images_alone(tiny, tiny_dataset):
    config, parts = tiny
    viewings = {"saliency": make_stage_inputs("saliency", config, tiny_dataset, parts)}
    stage = make_stage(
        "universal",
        config,
        viewings,
        encoder_params=None,
        devices=jax.local_devices()[:1],
    )
    _, targets, _ = stage.constants
    assert set(np.asarray(targets).tolist()) <= set(parts.train_images.tolist())


def test_the_comparison_of_a_control_is_fitted_on_permuted_labels(data_dir, tmp_path, monkeypatch):
    config, fitted = tiny_config(data_dir), {}
    config.encoder.comparison.kind = "two_covariance"

    def note(_, stage, inputs, **options):
        fitted[stage] = np.asarray(inputs.arrays.gaze.viewing_offset)

    monkeypatch.setattr(run_module, "stages_to_train", lambda _: ["encoder", "permuted_encoder"])
    unused = SimpleNamespace(stream=None, network=None)
    monkeypatch.setattr(run_module, "make_stage", lambda *_, **__: unused)
    monkeypatch.setattr(run_module, "load_params", lambda _, stage: stage)
    monkeypatch.setattr(run_module, "fit_comparison", note)
    for name in ("train", "write_comparison"):
        monkeypatch.setattr(run_module, name, lambda *_, **__: None)
    run_module.train_folds(config, tmp_path / "run")
    assert (fitted["encoder"] != fitted["permuted_encoder"]).any()
    config.controls.encoder_user_labels = "permuted"
    run_module.train_folds(config, tmp_path / "control")
    np.testing.assert_array_equal(fitted["encoder"], fitted["permuted_encoder"])


def test_a_universal_map_that_unseen_users_contributed_to_is_caught(run, tiny_dataset, monkeypatch):
    def with_all_users(config, dataset, parts):
        all_users = parts._replace(seen_users=np.arange(len(dataset.user_ids)))
        return both_stage_inputs(config, dataset, all_users)

    monkeypatch.setattr(folds, "both_stage_inputs", with_all_users)
    with pytest.raises(ValueError, match=r"user 1 is unseen, but contributes to the universal"):
        evaluate(run)


def test_a_universal_map_leaves_out_whom_it_is_compared_with(tiny, tiny_dataset):
    config, parts = tiny
    user = jnp.array(parts.seen_users[:1])
    image = jnp.array(parts.test_images[:1])
    longest = longest_viewing(tiny_dataset.gaze)
    spec = MapSpec(config.saliency.map_size, config.data.sigma_frac, longest)

    @jax.jit
    def universal_and_mean(gaze):
        group = sum_maps(gaze, jnp.asarray(parts.seen_users), spec)
        personal = personal_maps(gaze, user, image, spec)
        universal = leave_one_out_maps(group, gaze, user, image, personal)
        return universal, group.total[image]

    before = universal_and_mean(tiny_dataset.gaze)
    after = universal_and_mean(altered_gaze(tiny_dataset.gaze, [user[0]], [image[0]]))
    np.testing.assert_allclose(after[0], before[0], atol=1e-6)
    # The leak itself: the mean with the user in it changes a lot.
    assert np.abs(after[1] - before[1]).max() > 1e-2


# Enrolment and query.


@pytest.mark.usefixtures("without_plots")
def test_a_query_of_an_enrolled_image_is_caught(tiny_run, monkeypatch):
    original = sessions.PredictionRequest

    def leaking(**parts):
        is_query = parts["is_query"].copy()
        user, image = np.argwhere(parts["is_enrolled"][0])[0]
        is_query[0, user, image] = True
        return original(**parts | {"is_query": is_query})

    monkeypatch.setattr(sessions, "PredictionRequest", leaking)
    with pytest.raises(ValueError, match="is_query has 1 maps of images that the user enrolled"):
        evaluate(tiny_run)


def test_probes_that_share_an_enrolment_image_are_caught_by_the_permuted_control(monkeypatch):
    """With permuted labels, samples of one user have in common only an image in both."""
    generator = np.random.default_rng(0)
    compared = protocol.UserRepresentations(
        users=np.arange(6),
        representations=from_dense(generator.normal(size=(6, 40, 8)), np.ones((6, 40), bool)),
        viewed=np.ones((6, 40), bool),
        similarity=protocol.at_any_size(verification.negative_distance),
        permuted=True,
    )
    orders = protocol.sample_image_orders(40, 100, 0)

    def roc_auc():
        scores = protocol.score_draws(compared, orders, size=4, samples_per_user=2, seed=0)
        return protocol.verification_metrics([scores])["roc_auc"]

    assert roc_auc() == pytest.approx(0.5, abs=0.03)
    original = protocol.enrolment_weights

    def overlapping(viewed, order, *, start, size):
        return original(viewed, order, start=start - 1 if start else 0, size=size)

    monkeypatch.setattr(protocol, "enrolment_weights", overlapping)
    assert roc_auc() > 0.55


def leaked_weight(tiny, tiny_dataset):
    """Weight of the target image in the embeddings that a batch of stage 2 is trained with."""
    config, parts = tiny
    inputs = make_stage_inputs("saliency", config, tiny_dataset, parts)
    train_images = inputs.arrays.pool.images
    number = len(train_images)
    # An image's pixels say which it is, and a pair's embedding which image it was made of.
    pixels = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 2, 2, 3))
    row = np.broadcast_to(np.arange(number, dtype=np.int32), (6, number))
    embeddings = ViewingVectors(np.eye(number, dtype=np.float32), row)
    found = []

    def capture(images, universal, embedding):
        target = jnp.searchsorted(jnp.asarray(train_images), images[:, 0, 0, 0])
        found.append((embedding[jnp.arange(len(target)), :, target], embedding.sum(axis=-1)))
        return universal

    sizes = config.saliency.batch
    loss = _saliency_loss(
        Network(init=lambda key: {}, apply=lambda params: capture),
        inputs.spec,
        functools.partial(
            sample_saliency_batch,
            num_images=sizes.num_images,
            users_per_image=sizes.users_per_image,
        ),
        sizes.enrolment_images,
        {**config.saliency.loss},
        has_memory=False,
        num_devices=1,
    )
    arrays = jax.tree.map(jnp.asarray, inputs.arrays._replace(images=pixels))
    constants = (arrays, jnp.arange(number), embeddings)

    @jax.jit
    def weights(key):
        loss({}, constants, None, key, jnp.int32(0))
        return found.pop()

    leaked, total = zip(*(weights(jax.random.key(seed)) for seed in range(3)), strict=True)
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)
    return np.max(leaked)


def test_a_training_target_is_never_in_its_own_embedding(tiny, tiny_dataset, monkeypatch):
    assert leaked_weight(tiny, tiny_dataset) == 0.0
    original = sampling.sample_enrolment
    monkeypatch.setattr(
        saliency_stage,
        "sample_enrolment",
        lambda key, allowed, **sizes: original(key, jnp.ones_like(allowed), **sizes),
    )
    assert leaked_weight(tiny, tiny_dataset) > 0.0


def test_frozen_features_are_fitted_on_training_images_alone(data_dir, monkeypatch):
    config = tiny_scanpath_config(data_dir)
    whole = load_dataset(config)
    parts = make_config_splits(config, whole)
    load = reader.load

    def changed(images):
        def load_changed(*arguments, **options):
            dataset = load(*arguments, **options)
            pixels = dataset.images["saliency"].copy()
            pixels[images] = 255 - pixels[images]
            return dataset._replace(images={**dataset.images, "saliency": pixels})

        monkeypatch.setattr(reader, "load", load_changed)
        return load_dataset(config)

    of_test, of_training = changed(parts.test_images), changed(parts.train_images)
    np.testing.assert_array_equal(of_test.projection.projection[0], whole.projection.projection[0])
    assert (
        np.abs(of_training.projection.projection[0] - whole.projection.projection[0]).max() > 1e-3
    )
    # A run's own projection is used as it is.
    again = load_dataset(config, whole.projection)
    np.testing.assert_array_equal(again.projection.mean[0], whole.projection.mean[0])
