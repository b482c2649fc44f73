"""Configs of tests: those in `configs/`, and tiny ones that train in seconds."""

import json
import shutil
from pathlib import Path

from ml_collections import ConfigDict

from gazejax.config.files import read_config
from gazejax.experiments.run import train_and_evaluate
from gazejax.models.scanpath_encoder import FEATURES

__all__ = [
    "ROOT",
    "differing",
    "flatten",
    "read_config",
    "tiny_config",
    "tiny_scanpath_config",
    "train_and_evaluate",
    "without_stage_2",
]

ROOT = Path(__file__).parent.parent


def differing(base: dict, other: dict, prefix: str = "") -> dict:
    """Values of another nested dictionary that differ, by their keys joined with dots."""
    found = {}
    for key, value in other.items():
        if isinstance(value, dict):
            found |= differing(base[key], value, f"{prefix}{key}.")
        elif base[key] != value:
            found[prefix + key] = value
    return found


def tiny_config(data_dir: Path) -> ConfigDict:
    """The demo's config on a data set of 8 users and 40 images, small enough for seconds."""
    config = read_config("synthetic_gaze")
    config.data.name = "synthetic_gaze/tiny"
    config.data.data_dir = str(data_dir)
    config.encoder.model.update(filters=(8, 8), embedding_size=6)
    config.encoder.update(image_size=(30, 40), num_steps=12)
    config.encoder.batch.update(num_users=4, images_per_user=4)
    config.encoder.batch.virtual_users.number = 1
    config.encoder.loss.pairs_per_mean = 2
    config.saliency.model.update(
        trunk_filters=(8, 8, 8), decoder_filters=(8, 8), conditioned_levels=(0, 1)
    )
    config.saliency.update(image_size=(32, 48), map_size=(8, 12), num_steps=12)
    config.saliency.batch.update(num_images=4, users_per_image=3, enrolment_images=(2, 4))
    config.universal.update(num_images=4, num_steps=12)
    for stage in ("encoder", "saliency", "universal"):
        config[stage].optimizer.warmup_steps = 2
    config.training.log_every = 2
    config.checkpoint.every = 4
    config.eval.update(num_draws=5, num_images=(1, 5), saliency_num_images=(2, 50), batch_size=32)
    return config


def tiny_scanpath_config(data_dir: Path) -> ConfigDict:
    """The same with the scanpath encoder, and the readout on frozen features."""
    config = tiny_config(data_dir)
    with config.unlocked():
        del config.encoder["image_size"], config.saliency["image_size"]
        config.encoder.map_size = (8, 12)
    config.encoder.comparison.kind = "two_covariance"
    config.encoder.model = ConfigDict(
        {
            "architecture": "scanpath",
            "inputs": tuple(FEATURES),
            "width": 8,
            "embedding_size": 6,
            "preference_scale": 0.5,
        }
    )
    memory = {"kind": "film", "rejection_distance": 0.4, "temperature": 0.1, "width": 4}
    memory["weight_decay"] = 0.3
    config.saliency.model = ConfigDict({"architecture": "readout", "width": 4, "memory": memory})
    config.saliency.loss.cross_entropy_weight = 0.5
    config.features = ConfigDict(
        {
            "backbone": "efficientnet_lite0",
            "image_size": (72, 96),
            "strides": (16, 32),
            "components": (3, 2),
        }
    )
    return config


def flatten(values: dict, prefix: str = "") -> dict:
    """Values of nested dictionaries by their keys joined with dots."""
    flat = {}
    for key, value in values.items():
        flat |= (
            flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


def without_stage_2(run: Path, to: Path) -> Path:
    """Copies a run as if its config had asked for the encoder alone."""
    shutil.copytree(run, to)
    for stage in ("saliency", "universal"):
        shutil.rmtree(to / stage)
    resources = json.loads((to / "resources.json").read_text())
    (to / "resources.json").write_text(json.dumps({"encoder": resources["encoder"]}))
    stored = json.loads((to / "config.json").read_text())
    stored["config"]["stage"] = "encoder"
    (to / "config.json").write_text(json.dumps(stored))
    return to
