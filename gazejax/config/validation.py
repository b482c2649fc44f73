"""Checks of a config: its keys, its values, and values against each other."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gazejax.config.rules import Rule
from gazejax.config.schema import rules_for
from gazejax.models.backbone import LEVEL_CHANNELS


def validate(config: ConfigDict) -> None:
    """Refuses a config with a missing, unknown or impossible value, before anything compiles.

    Raises:
        ValueError: one line with the key, the value and what is allowed.
    """
    values = config.to_dict()
    _validate_keys(values, rules_for(values), "config")
    encoder, saliency, training = values["encoder"], values["saliency"], values["training"]
    split, checkpoint = values["split"], values["checkpoint"]

    _require("split.fold", split["fold"], "less than split.folds", split["fold"] < split["folds"])
    if "filters" in encoder:
        filters, map_filters = encoder["filters"], encoder.get("map_filters", ())
        _require_groups("encoder", encoder, filters + map_filters)
        if encoder["architecture"] == "two_trunk":
            _require(
                "encoder.map_filters",
                map_filters,
                f"as many as encoder.filters, {len(filters)}, since the last levels are joined",
                len(map_filters) == len(filters),
            )
    if saliency["architecture"] == "unet":
        _validate_unet(saliency)
    _validate_features(values)
    sampling, size = encoder["sampling"], encoder["loss"]["pairs_per_embedding"]
    images_per_user = sampling["images_per_user"]
    _require(
        "encoder.loss.pairs_per_embedding",
        size,
        f"a divisor of encoder.sampling.images_per_user {images_per_user}, and at most half of it",
        images_per_user % size == 0 and images_per_user >= 2 * size,
    )
    fewest, most = saliency["sampling"]["enrolment_images"]
    _require("saliency.sampling.enrolment_images", (fewest, most), "(least, most)", fewest <= most)
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


def _require_groups(section: str, options: Mapping[str, Any], filters: tuple[int, ...]) -> None:
    groups = options["norm_groups"]
    fits = all(width % groups == 0 for width in filters)
    key = f"{section}.norm_groups"
    _require(key, groups, f"a divisor of each of the filters {filters}", fits)


def _validate_unet(saliency: Mapping[str, Any]) -> None:
    trunk, decoder = saliency["trunk_filters"], saliency["decoder_filters"]
    _require_groups("saliency", saliency, trunk + decoder)
    _require(
        "saliency.decoder_filters",
        decoder,
        f"at most as many levels as saliency.trunk_filters, {len(trunk)}",
        len(decoder) <= len(trunk),
    )
    levels = saliency["conditioned_levels"]
    _require(
        "saliency.conditioned_levels",
        levels,
        f"different levels of the decoder, from 0 to {len(decoder) - 1}",
        len(set(levels)) == len(levels) and max(levels) < len(decoder),
    )
    _require(
        "saliency.conditioned_levels",
        levels,
        f"({len(decoder) - 1},), the last level, for saliency.conditioning 'filters'",
        saliency["conditioning"] != "filters" or levels == (len(decoder) - 1,),
    )
    halvings = len(trunk) - len(decoder) + 1
    size = tuple(-(-side // 2**halvings) for side in saliency["image_size"])
    _require(
        "saliency.map_size",
        saliency["map_size"],
        f"{size}, since {len(decoder)} decoder levels end at 1/{2**halvings} of the image size",
        saliency["map_size"] == size,
    )


def _validate_features(values: Mapping[str, Any]) -> None:
    """Frozen features are there for those that use them, and all on one grid."""
    options, encoder, saliency = values["features"], values["encoder"], values["saliency"]
    has_taste = encoder.get("taste_scale", 0) > 0
    is_used = saliency["architecture"] == "taste"
    backbone = options["backbone"]
    _require(
        "saliency.architecture",
        saliency["architecture"],
        "'unet' where the embedding has no taste (encoder.taste_scale)",
        has_taste or not is_used,
    )
    _require(
        "features.backbone",
        backbone,
        "a backbone, for saliency.architecture 'taste'"
        if is_used
        else "'none', as nothing uses it",
        is_used == (backbone != "none"),
    )
    _require(
        "encoder.taste_scale",
        encoder.get("taste_scale", 0),
        "0 unless saliency.architecture is 'taste'",
        is_used or not has_taste,
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
        "encoder.image_size",
        encoder["image_size"],
        f"saliency.map_size {saliency['map_size']}, the grid of the features",
        encoder["image_size"] == saliency["map_size"],
    )


def _validate_keys(values: Mapping[str, Any], rules: Mapping[str, Any], path: str) -> None:
    for key in values:
        if key not in rules:
            raise ValueError(f"{path}.{key} is unknown; allowed in {path}: {', '.join(rules)}")
    for key, rule in rules.items():
        if key not in values:
            raise ValueError(f"{path}.{key} is missing; the config file must set it")
        value = values[key]
        if isinstance(rule, Rule):
            if not rule.test(value):
                raise ValueError(f"{path}.{key} is {value!r}; allowed: {rule.allowed}")
        elif isinstance(value, Mapping):
            _validate_keys(value, rule, f"{path}.{key}")
        else:
            raise ValueError(f"{path}.{key} is {value!r}; allowed: keys {', '.join(rule)}")


def _require(key: str, value: Any, allowed: str, is_allowed: bool) -> None:
    if not is_allowed:
        raise ValueError(f"config.{key} is {value!r}; allowed: {allowed}")
