"""Every key of a config and its rule."""

from collections.abc import Mapping
from typing import Any

from gazejax.config.ablations import value_at
from gazejax.config.rules import (
    BOOLEAN,
    DATASETS,
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
from gazejax.models.saliency_unet import CONDITIONINGS
from gazejax.models.scanpath_encoder import FEATURES
from gazejax.models.user_memory import MEMORY_KINDS

_OPTIMIZER = {
    "learning_rate": number(0.0, open_below=True),
    "warmup_steps": integer(0),
    "weight_decay": number(0.0),
    "clip_norm": number(0.0, open_below=True),
}

_TRUNK = {
    "filters": integers(1),
    "kernel_size": integer(1),
    "stride": integer(1),
    "norm_groups": integer(1),
    "pooling": one_of(*POOLINGS),
    "embedding_size": integer(1),
}

# What `encoder.model` holds for each of its architectures.
ENCODER_ARCHITECTURES: dict[str, dict[str, Rule]] = {
    "early_fusion": {"inputs": some_of(CHANNELS), **_TRUNK},
    # A late-fusion encoder always sees the image too.
    "late_fusion": {
        "inputs": some_of(name for name in CHANNELS if name != "image"),
        "map_filters": integers(1),
        **_TRUNK,
    },
    "scanpath": {
        "inputs": some_of(FEATURES),
        "width": integer(1),
        "embedding_size": integer(1),
        "preference_scale": number(0.0),
    },
}

# Networks that read no pixels: they have no `image_size`.
WITHOUT_IMAGES = ("scanpath", "readout")

# What `saliency.model` holds for each of its architectures, and `features` for each backbone.
SALIENCY_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "unet": {
        "trunk_filters": integers(1),
        "decoder_filters": integers(1),
        "conditioning": one_of(*CONDITIONINGS),
        "conditioned_levels": integers(0),
        "norm_groups": integer(1),
    },
    "readout": {
        "width": integer(1),
        "memory": {
            "kind": one_of(*MEMORY_KINDS),
            "rejection_distance": number(0.0),
            "temperature": number(0.0, open_below=True),
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
        "name": DATASETS,
        "data_dir": Rule("a folder, or None", lambda value: value is None or TEXT.test(value)),
        "sigma_frac": number(0.0, 1.0, open_below=True),
        "first_trial_only": BOOLEAN,
        "drop_first_fixation": BOOLEAN,
        "subsample_every": integer(1),
        "universal_map": one_of("seen_users", "predicted", "center_prior"),
        "image_storage": one_of("auto", "device", "stream"),
        "stream": {"num_threads": integer(1), "num_prefetched": integer(1)},
    },
    "split": {
        "purpose": one_of("test", "validation"),
        "test_rule": one_of("osie", "osie_published", "hash"),
        "hash_seed": integer(0),
        "hash_one_in": integer(2),
        "folds": integer(2),
        "fold": integer(0),
        "cross_validate": BOOLEAN,
        "min_images": integer(0),
        "max_seen_users": or_none(integer(2)),
        "max_train_images": or_none(integer(2)),
        "train_image_overlap": or_none(number(0.0, 1.0)),
        "test_image_overlap": or_none(number(0.0, 1.0)),
    },
    "features": {"backbone": one_of(*BACKBONES)},
    "encoder": {
        "model": {"architecture": one_of(*ENCODER_ARCHITECTURES)},
        "batch": {
            "users_of": one_of("any", "one_dataset"),
            "num_users": integer(2),
            "images_per_user": integer(2),
            "same_images": BOOLEAN,
            "split_sessions": BOOLEAN,
            "virtual_users": {
                "number": integer(0),
                "mirror": BOOLEAN,
                "scale_spread": number(0.0),
                "duration_spread": number(0.0),
                "shift_frac": number(0.0),
            },
            "virtual_sessions": {
                "scale_spread": number(0.0),
                "duration_spread": number(0.0),
                "shift_frac": number(0.0),
                "without_durations": number(0.0, 1.0),
            },
        },
        "loss": {
            "margin": number(0.0),
            "distance": one_of("euclidean", "squared_euclidean"),
            "l2_normalize": BOOLEAN,
            "mining": one_of("random", "batch_all", "semi_hard", "batch_hard"),
            "pairs_per_mean": integer(1),
            "classification_weight": number(0.0),
            "prototype_weight": number(0.0),
        },
        "comparison": {
            "kind": one_of("two_covariance", "distance"),
            "session_share": number(0.0),
            "between_shrinkage": number(0.0, 1.0),
            "within_shrinkage": number(0.0, 1.0),
        },
        "num_steps": integer(0),  # 0: the initial parameters are kept
        "optimizer": _OPTIMIZER,
    },
    "saliency": {
        "model": {"architecture": one_of(*SALIENCY_ARCHITECTURES)},
        "map_size": integers(1, 2),
        "loss": {
            "mse_weight": number(0.0),
            "cross_entropy_weight": number(0.0),
            "correlation_weight": number(0.0),
        },
        "batch": {
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
        "train_permuted_encoder": BOOLEAN,
        "encoder_user_labels": one_of("true", "permuted"),
        "embeddings": one_of("own", "zero", "swapped"),
    },
    "training": {
        "compute_dtype": one_of("float32", "bfloat16"),
        "steps_per_dispatch": integer(1),
        "log_every": integer(1),
        "max_consecutive_nonfinite": integer(1),
    },
    "checkpoint": {
        "every": integer(1),
        "keep": integer(1),
        "accept_changes": BOOLEAN,
    },
    "eval": {
        "seed": integer(0),
        "batch_size": integer(1),
        "num_images": integers(1),
        "num_draws": integer(1),
        "samples_per_user": integer(2),
        "gaze": {
            "first_fixations": or_none(integer(1)),
            "first_ms": or_none(number(0.0, open_below=True)),
        },
        "truncated_fixations": integer(1),
        "saliency_num_images": integers(1),
        "saliency_num_draws": integer(1),
        "num_swaps": integer(3),
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
    rules["features"] = RULES["features"] | _of_choice(values, "features", "backbone", BACKBONES)
    for section, networks in (
        ("encoder", ENCODER_ARCHITECTURES),
        ("saliency", SALIENCY_ARCHITECTURES),
    ):
        model = _of_choice(values.get(section), "model", "architecture", networks)
        rules[section] = RULES[section] | {"model": RULES[section]["model"] | model}
        architecture = value_at(values, f"{section}.model.architecture")
        if architecture not in WITHOUT_IMAGES:
            rules[section] |= {"image_size": integers(8, 2)}
        elif section == "encoder":  # The saliency section always has a map size.
            rules[section] |= {"map_size": integers(8, 2)}
    return rules


def _of_choice(
    values: Any, section: str, key: str, choices: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The rules of the choice of a section; those of all choices if the choice is unknown."""
    choice = value_at(values, f"{section}.{key}")
    if isinstance(choice, str) and choice in choices:
        return dict(choices[choice])
    # The error must name the choice, and no other key.
    return {name: rule for all_of in choices.values() for name, rule in all_of.items()}
