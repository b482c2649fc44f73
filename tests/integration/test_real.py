"""On the real OSIE release, which is read from the folder GAZEJAX_RAW_DATA."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gazejax import metrics
from gazejax.data import reader
from gazejax.data.splits import make_splits
from gazejax.evaluation.few_shot import protocol
from gazejax.evaluation.verification.baselines import fixation_statistics
from gazejax.evaluation.verification.protocol import at_any_size, sample_image_orders
from gazejax.inputs.maps import MapSpec, leave_one_out_maps, personal_maps, sum_maps
from gazejax.inputs.viewing_vectors import to_dense
from gazejax.metrics.verification import negative_distance
from gazejax.types import longest_viewing
from tests import compiling
from tests.tiny import ROOT
from tfds_builders.common.build import build

RAW = os.environ.get("GAZEJAX_RAW_DATA")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(RAW is None, reason="GAZEJAX_RAW_DATA is not set"),
]


@pytest.fixture(scope="module")
def osie_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("osie")
    build("osie/gaze", Path(RAW) / "osie", folder)
    return folder


@pytest.fixture(scope="module")
def osie(osie_dir):
    return reader.load(
        "osie/gaze",
        osie_dir,
        {"small": (9, 12)},
        is_resident=True,
        first_trial_only=False,
        drop_first_fixation=False,
        subsample_every=1,
    )


def test_arrays_hold_the_whole_release(osie):
    gaze = osie.gaze
    assert gaze.viewing_length.shape == (15, 700)
    assert gaze.viewing_length.sum() == 98_321
    assert (gaze.viewing_length.min(), gaze.viewing_length.max()) == (1, 22)
    # 1.2 to 799.2 in the release, whose first pixel is 1; read as (y, x) it would not fit.
    np.testing.assert_allclose(gaze.xy_frac[:, 0].min() * 800, 0.7, atol=1e-3)
    np.testing.assert_allclose(gaze.xy_frac[:, 0].max() * 800, 798.7, atol=1e-3)
    assert osie.image_ids[0] == "1001.jpg"


@pytest.mark.parametrize("purpose", ["test", "validation"])
@pytest.mark.parametrize("rule", ["osie", "osie_published", "hash"])
def test_the_one_pair_of_copies_is_on_one_side_of_every_split(osie, purpose, rule):
    assert osie.copies == (("1279.jpg", "1374.jpg"),)
    pair = {osie.image_ids.index(name) for name in osie.copies[0]}
    num_together = 0
    for hash_seed in range(20):
        split = make_splits(
            osie.user_ids,
            osie.image_ids,
            np.asarray(osie.gaze.viewing_length) > 0,
            copies=osie.copies,
            purpose=purpose,
            test_rule=rule,
            hash_seed=hash_seed,
            hash_one_in=5,
            min_images=2,
            max_seen_users=None,
            max_train_images=None,
            folds=3,
            fold=0,
        )
        sides = [len(pair & {*images}) for images in (split.train_images, split.test_images)]
        assert sorted(sides) in ([0, 2], [0, 0])  # Neither: test images, for purpose validation.
        num_together += sides[0] == 2
    assert num_together >= 10


def split_of(osie, *, test_rule, min_images):
    """The reported split of fold 0."""
    return make_splits(
        osie.user_ids,
        osie.image_ids,
        np.asarray(osie.gaze.viewing_length) > 0,
        purpose="test",
        test_rule=test_rule,
        hash_seed=0,
        hash_one_in=5,
        min_images=min_images,
        max_seen_users=None,
        max_train_images=None,
        folds=3,
        fold=0,
    )


def test_counting_fixations_finds_the_published_unseen_users(osie):
    """26.9, 32.2 and 34.0 % at n = 1, 5 and 10 were measured independently, with other draws."""
    split = split_of(osie, test_rule="osie_published", min_images=2)
    training = fixation_statistics(osie.gaze, split.seen_users, split.train_images)
    spread = training.vectors.std(axis=0)
    enrolled, probes = (
        to_dense(fixation_statistics(osie.gaze, split.unseen_users, images)) / spread
        for images in (split.train_images, split.test_images)
    )
    orders = sample_image_orders(560, 100, seed=0)
    viewed = np.ones((5, 70), bool)
    for size, expected in ((1, 0.269), (5, 0.322), (10, 0.340)):
        means = np.stack([enrolled[:, order[:size]].mean(axis=1) for order in orders])
        ranks = protocol.viewing_ranks(means, probes, viewed, at_any_size(negative_distance), size)
        assert (ranks == 1).mean() == pytest.approx(expected, abs=0.025)


def test_group_map_reaches_the_reference_figures(osie):
    """CC .667 and KLD 1.039 of the map of the other 14 users were measured independently."""
    splits = split_of(osie, test_rule="osie", min_images=0)
    gaze = jax.tree.map(jnp.asarray, osie.gaze)
    users = jnp.arange(15)
    spec = MapSpec((36, 48), 0.03, longest_viewing(osie.gaze))
    group = sum_maps(gaze, users, spec)

    # As users compile: where only the user left out has looked, the subtraction leaves rounding,
    # and the divergence reads its logarithm. Compiled quickly it is .013 lower.
    @functools.partial(jax.jit, compiler_options=compiling.WELL)
    def score(image):
        at = jnp.broadcast_to(image, (15,))
        truth = personal_maps(gaze, users, at, spec)
        universal = leave_one_out_maps(group, gaze, users, at, truth)
        kld = jax.vmap(lambda truth, map_: metrics.kld(target=truth, prediction=map_))
        return jax.vmap(metrics.cc)(universal, truth), kld(truth, universal)

    scores = [score(image) for image in splits.test_images]
    assert len(scores) == 140
    assert np.mean([cc for cc, _ in scores]) == pytest.approx(0.667, abs=0.003)
    assert np.mean([kld for _, kld in scores]) == pytest.approx(1.039, abs=0.01)


def test_train_py_runs_from_release_to_table(osie_dir, tmp_path):
    """A few steps only: that every part fits the real data, not that anything is learnt."""
    overrides = {
        "data.data_dir": osie_dir,
        "features.image_size": "(144, 192)",
        "encoder.num_steps": 4,
        "encoder.optimizer.warmup_steps": 1,
        "saliency.num_steps": 4,
        "saliency.optimizer.warmup_steps": 1,
        "universal.num_steps": 4,
        "universal.optimizer.warmup_steps": 1,
        "training.log_every": 2,
        "checkpoint.every": 4,
        "controls.train_permuted_encoder": False,
        "eval.num_images": "(50,)",
        "eval.num_draws": 10,
        "eval.calibration.spread_frac": "(0.0, 0.02)",
        "eval.calibration.gain": "(0.8, 1.0)",
        "eval.calibration.center_weight": "(0.0,)",
        "eval.saliency_num_draws": 1,
        "eval.saliency_num_images": "(50,)",
    }
    command = [
        sys.executable,
        "train.py",
        "--config=configs/osie.py",
        f"--workdir={tmp_path / 'run'}",
        *(f"--config.{key}={value}" for key, value in overrides.items()),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=compiling.program_environment(is_long=True),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert result["compared"]["test_images"] == 140
    assert (result["compared"]["seen_users"], result["compared"]["unseen_users"]) == (10, 5)
    # The control needs no training, so its figures are those of the full run.
    assert result["encoder"]["unseen"]["residual_map"]["50"]["roc_auc"] > 0.85
    assert 0.6 < result["saliency"]["seen"]["50"]["universal"]["cc"] < 0.7
