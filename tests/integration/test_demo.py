"""The demo's training, in a quarter of its steps, and whether it learnt users that it never saw."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import tensorflow_datasets as tfds

from gazejax.config.derived import embedding_layout
from gazejax.data import reader
from gazejax.data.loading import load_dataset, make_config_splits
from gazejax.inference.embed import embed_viewings
from gazejax.inference.networks import encoder_network
from gazejax.inference.stage_inputs import make_stage_inputs
from gazejax.inputs.viewing_vectors import to_dense
from gazejax.workdir.layout import load_config
from gazejax.workdir.parameters import load_params
from tests.compiling import program_environment
from tests.tiny import ROOT
from tfds_builders.common.build import build
from tfds_builders.synthetic_gaze import generative_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    """Workdir of the demo, trained by train.py as a user would.

    The network that predicts universal maps, the calibrated maps and narrow intervals are not asked
    for here: one image in 16 is a test image, not one in five, and 300 are training images.
    """
    folder = tmp_path_factory.mktemp("demo")
    build("synthetic_gaze/default", None, folder / "data")
    command = [
        sys.executable,
        "train.py",
        "--config=configs/synthetic_gaze.py",
        *("--config.encoder.num_steps=150", "--config.saliency.num_steps=50"),
        "--config.saliency.optimizer.warmup_steps=30",
        f"--workdir={folder / 'run'}",
        f"--config.data.data_dir={folder / 'data'}",
        "--config.controls.train_permuted_encoder=False",  # As `make demo`.
        *("--config.eval.num_images=(10,)", "--config.eval.saliency_num_images=(10,)"),
        *("--config.eval.num_draws=30", "--config.split.hash_one_in=16"),
        "--config.split.max_train_images=300",
        *("--config.universal.num_steps=2", "--config.universal.optimizer.warmup_steps=1"),
        *("--config.eval.num_swaps=3", "--config.eval.calibration.spread_frac=(0.02,)"),
        *(
            "--config.eval.calibration.gain=(1.0,)",
            "--config.eval.calibration.center_weight=(0.0,)",
        ),
    ]
    environment = program_environment(is_long=True)
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "IG, own minus another's, n = 10" in done.stdout
    return folder / "run"


def test_unseen_users_are_verified(demo):
    result = json.loads((demo / "evaluation.json").read_text())["encoder"]["unseen"]
    assert result["encoder"]["10"]["roc_auc"] >= 0.90
    assert result["encoder"]["10"]["roc_auc"] > result["residual_map"]["10"]["roc_auc"]
    assert result["encoder"]["10"]["rank1"] > 2 / 16


def test_maps_of_unseen_users_are_their_own(demo):
    unseen = json.loads((demo / "evaluation.json").read_text())["saliency"]["unseen"]["10"]
    cc = {condition: row["cc"] for condition, row in unseen.items()}
    assert cc["own"] > cc["mean"] > cc["swapped"]
    assert cc["own"] > cc["universal"]


@pytest.fixture(scope="module")
def test_embeddings(demo):
    """Mean embedding of every user over the test images, the data set and its splits."""
    config = load_config(demo)
    dataset = load_dataset(config)
    splits = make_config_splits(config, dataset)
    pairs = embed_viewings(
        encoder_network(config, num_users=len(splits.seen_users)),
        load_params(demo, "encoder"),
        make_stage_inputs("encoder", config, dataset, splits),
        users=np.arange(len(dataset.user_ids)),
        images=splits.test_images,
        embedding_size=sum(embedding_layout(config)),
        devices=jax.local_devices()[:1],
        batch_size=config.eval.batch_size,
    )
    return config, splits, to_dense(pairs).mean(axis=1)


def test_a_linear_probe_finds_the_traits_of_unseen_users(test_embeddings):
    """What each class of object is worth to a person: fitted on seen users, asked of unseen."""
    config, splits, embeddings = test_embeddings
    folder = reader.prepared_folder(config.data.name, config.data.data_dir)
    traits = tfds.builder_from_directory(folder).info.metadata["traits"]
    wanted = np.array(traits["class_log_salience"])
    known, asked = splits.seen_users, splits.unseen_users
    center, spread = embeddings[known].mean(axis=0), embeddings[known].std()
    x = (embeddings - center) / spread
    ridge = x[known].T @ x[known] + 0.1 * np.eye(x.shape[1])
    weights = np.linalg.solve(ridge, x[known].T @ (wanted[known] - wanted[known].mean(axis=0)))
    found = x[asked] @ weights
    correlation = np.corrcoef(found.ravel(), wanted[asked].ravel())[0, 1]
    assert correlation > 0.6


def test_own_map_comes_closer_to_the_best_possible_one(demo, test_embeddings):
    """The density that gaze was drawn from is known: the own map must approach it most."""
    import gazejax

    config, splits, embeddings = test_embeddings
    model = gazejax.load(demo)
    observers = generative_model.sample_observers(0, len(embeddings))
    swapped = np.roll(splits.unseen_users, 1)
    closeness = {"own": [], "swapped": [], "mean": []}
    height, width = config.saliency.map_size
    for image in splits.test_images[:20]:
        scene = generative_model.sample_scene(0, int(image))
        picture = generative_model.render_scene(scene)
        group = np.mean(
            [
                generative_model.gaze_density(scene, observers[user], height, width)
                for user in splits.seen_users
            ],
            axis=0,
        )
        for user, other in zip(splits.unseen_users, swapped, strict=True):
            best = generative_model.gaze_density(scene, observers[user], *picture.shape[:2])
            for condition, embedding in (
                ("own", embeddings[user]),
                ("swapped", embeddings[other]),
                ("mean", None),
            ):
                found = model.predict(picture, embedding, universal=group)
                closeness[condition].append(np.corrcoef(found.ravel(), best.ravel())[0, 1])
    means = {condition: np.mean(values) for condition, values in closeness.items()}
    assert means["own"] > means["mean"] + 0.02
    assert means["own"] > means["swapped"] + 0.05
