"""Every key of a config and its rule."""

from collections.abc import Mapping
from typing import Any

from gazejax.config.rules import (
    BOOLEAN,
    TEXT,
    Rule,
    integer,
    integers,
    number,
    numbers,
    one_of,
    or_none,
    some_of,
)
from gazejax.models.backbone import LEVEL_CHANNELS
from gazejax.models.map_encoder import CHANNELS, POOLINGS
from gazejax.models.saliency_unet import CONDITIONINGS as UNET_CONDITIONINGS
from gazejax.models.scanpath_encoder import FEATURES

_OPTIMIZER = {
    "learning_rate": number(0.0, open_below=True),
    "warmup_steps": integer(0),
    "weight_decay": number(0.0),
    "clip_norm": number(0.0, open_below=True),
}

# An encoder with a trunk for the maps always sees the image too.
_TWO_TRUNKS = {
    "inputs": some_of(name for name in CHANNELS if name != "image"),
    "filters": integers(1),
    "map_filters": integers(1),
    "kernel_size": integer(1),
    "stride": integer(1),
    "norm_groups": integer(1),
}

# What `encoder` holds beside the rest, for each of its architectures.
ARCHITECTURES: dict[str, dict[str, Rule]] = {
    "early": {
        "inputs": some_of(CHANNELS),
        "filters": integers(1),
        "kernel_size": integer(1),
        "stride": integer(1),
        "norm_groups": integer(1),
        "pooling": one_of(*POOLINGS),
    },
    "two_trunk": _TWO_TRUNKS,
    "gaze_pooled": _TWO_TRUNKS,
    "scanpath": {
        "inputs": some_of(FEATURES),
        "width": integer(1),
        "taste_scale": number(0.0),
    },
}

# The same of `saliency`, and what `features` holds with a backbone.
SALIENCY_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "unet": {
        "image_size": integers(8, 2),
        "trunk_filters": integers(1),
        "decoder_filters": integers(1),
        "conditioning": one_of(*UNET_CONDITIONINGS),
        "conditioned_levels": integers(0),
        "norm_groups": integer(1),
    },
    "taste": {
        "width": integer(1),
        "conditioning": one_of("taste", "filters", "film"),
        "memory": {
            "radius": number(0.0),
            "softness": number(0.0, open_below=True),
            "width": integer(1),
            "weight_decay": number(0.0),
        },
    },
}

BACKBONES: dict[str, dict[str, Rule]] = {
    "none": {},
    "efficientnet_lite0": {
        "image_size": integers(8, 2),
        "strides": some_of(LEVEL_CHANNELS),
        "components": integers(1),
    },
}

RULES: dict[str, Any] = {
    "seed": integer(0),
    "stage": one_of("encoder", "saliency", "universal", "permuted_encoder", "all"),
    "data": {
        "name": TEXT,
        "data_dir": Rule("a folder, or None", lambda value: value is None or TEXT.test(value)),
        "sigma_frac": number(0.0, 1.0, open_below=True),
        "first_trial_only": BOOLEAN,
        "drop_first_fixation": BOOLEAN,
        "keep_one_in": integer(1),
        "universal_map": one_of("group", "predicted", "center_prior"),
        "residency": one_of("auto", "device", "stream"),
        "stream": {"num_threads": integer(1), "num_prefetched": integer(1)},
    },
    "split": {
        "purpose": one_of("test", "validation"),
        "test_rule": one_of("osie", "hash"),
        "hash_seed": integer(0),
        "hash_one_in": integer(2),
        "folds": integer(2),
        "fold": integer(0),
        "min_images": integer(0),
        "max_seen_users": or_none(integer(2)),
        "max_train_images": or_none(integer(2)),
        "train_overlap": or_none(number(0.0, 1.0)),
        "test_overlap": or_none(number(0.0, 1.0)),
    },
    "features": {"backbone": one_of(*BACKBONES)},
    "encoder": {
        "architecture": one_of(*ARCHITECTURES),
        "image_size": integers(8, 2),
        "embedding_size": integer(1),
        "sampling": {
            "num_users": integer(2),
            "images_per_user": integer(2),
            "share_images": BOOLEAN,
            "virtual_users": {
                "number": integer(0),
                "mirror": BOOLEAN,
                "scale_spread": number(0.0),
                "duration_spread": number(0.0),
                "shift_frac": number(0.0),
            },
        },
        "loss": {
            "margin": number(0.0),
            "distance": one_of("euclidean", "squared_euclidean"),
            "unit_length": BOOLEAN,
            "mining": one_of("random", "batch_all", "semi_hard", "batch_hard"),
            "pairs_per_embedding": integer(1),
            "classification_weight": number(0.0),
            "prototype_weight": number(0.0),
        },
        "num_steps": integer(0),  # 0: it stays as it was initialised
        "optimizer": _OPTIMIZER,
    },
    "saliency": {
        "architecture": one_of(*SALIENCY_ARCHITECTURES),
        "map_size": integers(1, 2),
        "loss": {
            "mse_weight": number(0.0),
            "kld_weight": number(0.0),
            "cc_weight": number(0.0),
        },
        "sampling": {
            "num_images": integer(1),
            "users_per_image": integer(1),
            "enrolment_images": integers(1, 2),
        },
        "num_steps": integer(1),
        "optimizer": _OPTIMIZER,
    },
    "universal": {
        "num_images": integer(1),
        "num_steps": integer(1),
        "optimizer": _OPTIMIZER,
    },
    "controls": {
        "permuted_users": BOOLEAN,
        "gaze": one_of("own", "permuted"),
        "embeddings": one_of("own", "none", "swapped"),
    },
    "training": {
        "compute_dtype": one_of("float32", "bfloat16"),
        "steps_per_dispatch": integer(1),
        "log_every": integer(1),
        "max_skipped_in_a_row": integer(1),
    },
    "checkpoint": {
        "every": integer(1),
        "keep": integer(1),
        "accept_changes": BOOLEAN,
    },
    "eval": {
        "folds": integer(1),
        "seed": integer(0),
        "batch_size": integer(1),
        "num_images": integers(1),
        "num_draws": integer(1),
        "samples_per_user": integer(2),
        "gaze": {
            "first_fixations": or_none(integer(1)),
            "first_ms": or_none(number(0.0, open_below=True)),
        },
        "common_fixations": integer(1),
        "saliency_num_images": integers(1),
        "saliency_num_draws": integer(1),
        "num_derangements": integer(3),
        "num_resamples": integer(1000),
        "calibration": {
            "spread_frac": numbers(0.0),
            "gain": numbers(0.0),
            "center_weight": numbers(-1.0),
        },
    },
}


def rules_for(values: Mapping[str, Any]) -> dict[str, Any]:
    """`RULES` with those of the chosen architectures and backbone."""
    rules = dict(RULES)
    for section, key, choices in (
        ("features", "backbone", BACKBONES),
        ("encoder", "architecture", ARCHITECTURES),
        ("saliency", "architecture", SALIENCY_ARCHITECTURES),
    ):
        options = values.get(section)
        match options.get(key) if isinstance(options, Mapping) else None:
            case str(choice) if choice in choices:
                own = choices[choice]
            case _:  # To be refused for its choice and not for any other key.
                own = {name: rule for all_of in choices.values() for name, rule in all_of.items()}
        rules[section] = RULES[section] | own
    return rules
