"""Checks of a config: its keys, its values, and values against each other."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gazejax.config.errors import ConfigError
from gazejax.config.rules import Rule
from gazejax.config.schema import rules_for
from gazejax.models.backbone import LEVEL_CHANNELS

# Keys of version 0.1.0 under which a config of that version is recognized.
_OLD_KEYS = frozenset(
    f"{section}.{key}"
    for section, keys in {
        "data": ("keep_one_in", "residency"),
        "split": ("train_overlap", "test_overlap"),
        "features": ("fine_tuning_rate",),
        "encoder": ("architecture", "inputs", "sampling", "embedding_size", "map_scale"),
        "saliency": ("architecture", "sampling", "target_scale", "conditioning", "memory"),
        "controls": ("permuted_users", "gaze"),
        "training": ("max_skipped_in_a_row",),
        "checkpoint": ("best_metric", "strict"),
        "eval": ("folds", "common_fixations", "num_derangements"),
    }.items()
    for key in keys
)


def validate(config: ConfigDict) -> None:
    """Checks all keys and values of a config, before anything compiles.

    Raises:
        ConfigError: if a value is missing, unknown or impossible; one line with the key, the value
            and what is allowed.
    """
    values = config.to_dict()
    _check_keys(values, rules_for(values), ())
    encoder, saliency, training = values["encoder"], values["saliency"], values["training"]
    split, checkpoint = values["split"], values["checkpoint"]

    _require("split.fold", split["fold"], "less than split.folds", split["fold"] < split["folds"])
    if split["test_rule"] == "osie_published":
        _check_published(values["data"]["name"], split)
    _check_encoder(encoder["model"])
    if saliency["model"]["architecture"] == "unet":
        _check_unet(saliency)
    _check_features(values)
    size, images_per_user = encoder["loss"]["pairs_per_mean"], encoder["batch"]["images_per_user"]
    _require(
        "encoder.loss.pairs_per_mean",
        size,
        f"a divisor of encoder.batch.images_per_user {images_per_user}, and at most half of it",
        images_per_user % size == 0 and images_per_user >= 2 * size,
    )
    fewest, most = saliency["batch"]["enrolment_images"]
    _require("saliency.batch.enrolment_images", (fewest, most), "(least, most)", fewest <= most)
    draws, saliency_draws = values["eval"]["num_draws"], values["eval"]["saliency_num_draws"]
    _require(
        "eval.saliency_num_draws",
        saliency_draws,
        f"at most eval.num_draws {draws}",
        saliency_draws <= draws,
    )
    for stage in ("encoder", "saliency", "universal"):
        steps, warmup = values[stage]["num_steps"], values[stage]["optimizer"]["warmup_steps"]
        _require(
            f"{stage}.optimizer.warmup_steps", warmup, f"at most num_steps {steps}", warmup <= steps
        )
        dispatch = training["steps_per_dispatch"]
        _require(
            f"{stage}.num_steps",
            steps,
            f"a multiple of training.steps_per_dispatch {dispatch}",
            steps % dispatch == 0,
        )
    for key, value, divisor_key, divisor in (
        (
            "training.log_every",
            training["log_every"],
            "training.steps_per_dispatch",
            training["steps_per_dispatch"],
        ),
        ("checkpoint.every", checkpoint["every"], "training.log_every", training["log_every"]),
    ):
        _require(key, value, f"a multiple of {divisor_key} {divisor}", value % divisor == 0)


def _check_published(name: str, split: Mapping[str, Any]) -> None:
    """Checks that nothing else says which users and images a published split has."""
    rule = "for split.test_rule 'osie_published'"
    _require("data.name", name, f"'osie/gaze', {rule}", name == "osie/gaze")
    fold, most = split["fold"], split["max_train_images"]
    is_validation = split["purpose"] == "validation"
    _require("split.fold", fold, f"0, {rule}, which says who is unseen", is_validation or fold == 0)
    for key, allowed in (
        ("cross_validate", False),
        ("train_image_overlap", None),
        ("test_image_overlap", None),
    ):
        _require(f"split.{key}", split[key], f"{allowed}, {rule}", split[key] == allowed)
    is_enough = most is None or most >= 10
    _require("split.max_train_images", most, f"10 or more, or None, {rule}", is_enough)


def _check_encoder(model: Mapping[str, Any]) -> None:
    if "filters" not in model:
        return
    filters, map_filters = model["filters"], model.get("map_filters", ())
    _require_groups("encoder.model", model, filters + map_filters)
    if model["architecture"] == "late_fusion" and model["pooling"] == "mean":
        _require(
            "encoder.model.map_filters",
            map_filters,
            f"as many as encoder.model.filters, {len(filters)}, since the last levels are joined",
            len(map_filters) == len(filters),
        )


def _require_groups(section: str, options: Mapping[str, Any], filters: tuple[int, ...]) -> None:
    groups = options["norm_groups"]
    fits = all(width % groups == 0 for width in filters)
    key = f"{section}.norm_groups"
    _require(key, groups, f"a divisor of each of the filters {filters}", fits)


def _check_unet(saliency: Mapping[str, Any]) -> None:
    model = saliency["model"]
    trunk, decoder = model["trunk_filters"], model["decoder_filters"]
    _require_groups("saliency.model", model, trunk + decoder)
    _require(
        "saliency.model.decoder_filters",
        decoder,
        f"at most as many levels as saliency.model.trunk_filters, {len(trunk)}",
        len(decoder) <= len(trunk),
    )
    levels = model["conditioned_levels"]
    _require(
        "saliency.model.conditioned_levels",
        levels,
        f"different levels of the decoder, from 0 to {len(decoder) - 1}",
        len(set(levels)) == len(levels) and max(levels) < len(decoder),
    )
    _require(
        "saliency.model.conditioned_levels",
        levels,
        f"({len(decoder) - 1},), the last level, for saliency.model.conditioning 'filters'",
        model["conditioning"] != "filters" or levels == (len(decoder) - 1,),
    )
    halvings = len(trunk) - len(decoder) + 1
    size = tuple(-(-side // 2**halvings) for side in saliency["image_size"])
    _require(
        "saliency.map_size",
        saliency["map_size"],
        f"{size}, since {len(decoder)} decoder levels end at 1/{2**halvings} of the image size",
        saliency["map_size"] == size,
    )


def _check_features(values: Mapping[str, Any]) -> None:
    """Checks that a backbone is set exactly if a network uses its features, and their grid."""
    options, encoder, saliency = values["features"], values["encoder"], values["saliency"]
    scale = encoder["model"].get("preference_scale", 0)
    architecture = saliency["model"]["architecture"]
    is_used = architecture == "readout"
    _require(
        "saliency.model.architecture",
        architecture,
        "'unet' where the embedding has no preference vector (encoder.model.preference_scale)",
        scale > 0 or not is_used,
    )
    _require(
        "features.backbone",
        options["backbone"],
        "a backbone, for saliency.model.architecture 'readout'"
        if is_used
        else "'none', as nothing uses it",
        is_used == (options["backbone"] != "none"),
    )
    _require(
        "encoder.model.preference_scale",
        scale,
        "0 unless saliency.model.architecture is 'readout'",
        is_used or scale == 0,
    )
    if not is_used:
        return
    strides, components = options["strides"], options["components"]
    _require(
        "features.components",
        components,
        f"one number for each of features.strides {strides}, at most its channels",
        len(components) == len(strides)
        and all(n <= LEVEL_CHANNELS[s] for n, s in zip(components, strides, strict=True)),
    )
    _require(
        "encoder.map_size",
        encoder["map_size"],
        f"saliency.map_size {saliency['map_size']}, the grid of the features",
        encoder["map_size"] == saliency["map_size"],
    )


def _check_keys(values: Mapping[str, Any], rules: Mapping[str, Any], path: tuple[str, ...]) -> None:
    here = ".".join(("config", *path))
    for name in values:
        key = ".".join((*path, name))
        if name in rules:
            continue
        if key in _OLD_KEYS:
            text = f"config.{key} is a key of gazejax 0.1.0; CHANGELOG.md has the keys of today"
        else:
            text = f"config.{key} is unknown; allowed in {here}: {', '.join(rules)}"
        raise ConfigError(key, values[name], ", ".join(rules), text)
    for name, rule in rules.items():
        key = ".".join((*path, name))
        if name not in values:
            text = f"config.{key} is missing; the config file must set it"
            raise ConfigError(key, None, "a value", text)
        value = values[name]
        if isinstance(rule, Rule):
            _require(key, value, rule.allowed, rule.test(value))
        elif isinstance(value, Mapping):
            _check_keys(value, rule, (*path, name))
        else:
            raise ConfigError(key, value, f"keys {', '.join(rule)}")


def _require(key: str, value: Any, allowed: str, is_allowed: bool) -> None:
    if not is_allowed:
        raise ConfigError(key, value, allowed)
