"""What a config may hold. Every key must be there, no other key may be, every value is checked.

A config file is a Python file with `get_config()`; code supplies no default for any value. What one
value means is said where it stands, in `configs/`. Beside it stand the file's override sets,
`SETS`: changes to try, whose names follow the file's: `configs/osie.py:margin_0.2+film_off`.
"""

import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gazejax.models.backbone import LEVEL_CHANNELS
from gazejax.models.encoder import CHANNELS, POOLINGS
from gazejax.models.saliency import CONDITIONINGS as UNET_CONDITIONINGS
from gazejax.models.scanpath import FEATURES
from gazejax.models.taste import CONDITIONINGS


class Rule(NamedTuple):
    """Which values are allowed, in words and as a test."""

    allowed: str
    test: Callable[[Any], bool]


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _integer(least: int) -> Rule:
    return Rule(
        f"an integer of at least {least}", lambda value: _is_integer(value) and value >= least
    )


def _number(least: float, most: float = math.inf, *, open_below: bool = False) -> Rule:
    def test(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (
            math.isfinite(value)
            and (value > least if open_below else value >= least)
            and (value <= most)
        )

    bound = f"above {least}" if open_below else f"of at least {least}"
    return Rule(f"a number {bound}" + (f", at most {most}" if most < math.inf else ""), test)


def _choice(*choices: str) -> Rule:
    return Rule(
        "one of " + ", ".join(repr(choice) for choice in choices),
        lambda value: isinstance(value, str) and value in choices,
    )


def _some_of(choices: Iterable[Any]) -> Rule:
    names = tuple(choices)
    return Rule(
        "a tuple of different entries of " + ", ".join(repr(name) for name in names),
        lambda value: (
            isinstance(value, tuple)
            and len(value) == len(set(value)) > 0
            and set(value) <= set(names)
        ),
    )


def _integers(least: int, length: int | None = None) -> Rule:
    def test(value: Any) -> bool:
        if not isinstance(value, tuple) or not value or (length and len(value) != length):
            return False
        return all(_is_integer(entry) and entry >= least for entry in value)

    number = length or "one or more"
    return Rule(f"a tuple of {number} integers of at least {least}", test)


def _numbers(least: float) -> Rule:
    one = _number(least)

    def test(value: Any) -> bool:
        return isinstance(value, tuple) and len(value) > 0 and all(map(one.test, value))

    return Rule(f"a tuple of one or more numbers of at least {least}", test)


def _or_none(rule: Rule) -> Rule:
    return Rule(f"{rule.allowed}, or None", lambda value: value is None or rule.test(value))


_BOOLEAN = Rule("True or False", lambda value: isinstance(value, bool))
_TEXT = Rule("a text that is not empty", lambda value: isinstance(value, str) and value != "")
_MAP_SCALE = _choice("sum", "mean", "max")
_OPTIMIZER = {
    "learning_rate": _number(0.0, open_below=True),
    "schedule": _choice("constant", "one_cycle"),
    "warmup_steps": _integer(0),
    "weight_decay": _number(0.0),
    "clip_norm": _number(0.0, open_below=True),
}

# An encoder with a trunk for the maps always sees the image too.
_TWO_TRUNKS = {
    "inputs": _some_of(name for name in CHANNELS if name != "image"),
    "map_scale": _MAP_SCALE,
    "filters": _integers(1),
    "map_filters": _integers(1),
    "kernel_size": _integer(1),
    "stride": _integer(1),
    "norm_groups": _integer(1),
}
# What `encoder` holds beside the rest, for each of its architectures.
ARCHITECTURES: dict[str, dict[str, Rule]] = {
    "early": {
        "inputs": _some_of(CHANNELS),
        "map_scale": _MAP_SCALE,
        "filters": _integers(1),
        "kernel_size": _integer(1),
        "stride": _integer(1),
        "norm_groups": _integer(1),
        "pooling": _choice(*POOLINGS),
    },
    "two_trunk": _TWO_TRUNKS,
    "gaze_pooled": _TWO_TRUNKS,
    "scanpath": {
        "inputs": _some_of(FEATURES),
        "width": _integer(1),
        "taste_scale": _number(0.0),
    },
}
# The same of `saliency`, and what `features` holds with a backbone.
SALIENCY_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "unet": {
        "image_size": _integers(8, 2),
        "trunk_filters": _integers(1),
        "decoder_filters": _integers(1),
        "conditioning": _choice(*UNET_CONDITIONINGS),
        "conditioned_levels": _integers(0),
        "norm_groups": _integer(1),
    },
    "taste": {
        "width": _integer(1),
        "conditioning": _choice(*CONDITIONINGS),
        "memory": {
            "radius": _number(0.0),
            "softness": _number(0.0, open_below=True),
            "width": _integer(1),
            "weight_decay": _number(0.0),
        },
    },
}
BACKBONES: dict[str, dict[str, Rule]] = {
    "none": {},
    "efficientnet_lite0": {
        "image_size": _integers(8, 2),
        "strides": _some_of(LEVEL_CHANNELS),
        "components": _integers(1),
        "fine_tuning_rate": _number(0.0),
    },
}

RULES: dict[str, Any] = {
    "seed": _integer(0),
    "stage": _choice("encoder", "saliency", "universal", "permuted_encoder", "all"),
    "data": {
        "name": _TEXT,
        "data_dir": Rule("a folder, or None", lambda value: value is None or _TEXT.test(value)),
        "sigma_frac": _number(0.0, 1.0, open_below=True),
        "first_trial_only": _BOOLEAN,
        "drop_first_fixation": _BOOLEAN,
        "keep_one_in": _integer(1),
        "universal_map": _choice("group", "predicted", "center_prior"),
        "residency": _choice("auto", "device", "stream"),
        "stream": {"num_threads": _integer(1), "num_prefetched": _integer(1)},
    },
    "split": {
        "purpose": _choice("test", "validation"),
        "test_rule": _choice("osie", "hash"),
        "hash_seed": _integer(0),
        "hash_one_in": _integer(2),
        "folds": _integer(2),
        "fold": _integer(0),
        "min_images": _integer(0),
        "max_seen_users": _or_none(_integer(2)),
        "max_train_images": _or_none(_integer(2)),
        "train_overlap": _or_none(_number(0.0, 1.0)),
        "test_overlap": _or_none(_number(0.0, 1.0)),
    },
    "features": {"backbone": _choice(*BACKBONES)},
    "encoder": {
        "architecture": _choice(*ARCHITECTURES),
        "image_size": _integers(8, 2),
        "embedding_size": _integer(1),
        "sampling": {
            "num_users": _integer(2),
            "images_per_user": _integer(2),
            "share_images": _BOOLEAN,
            "virtual_users": {
                "number": _integer(0),
                "mirror": _BOOLEAN,
                "scale_spread": _number(0.0),
                "duration_spread": _number(0.0),
                "shift_frac": _number(0.0),
            },
        },
        "loss": {
            "margin": _number(0.0),
            "distance": _choice("euclidean", "squared_euclidean"),
            "unit_length": _BOOLEAN,
            "mining": _choice("random", "batch_all", "semi_hard", "batch_hard"),
            "pairs_per_embedding": _integer(1),
            "classification_weight": _number(0.0),
            "prototype_weight": _number(0.0),
        },
        "num_steps": _integer(0),  # 0: it stays as it was initialised
        "optimizer": _OPTIMIZER,
    },
    "saliency": {
        "architecture": _choice(*SALIENCY_ARCHITECTURES),
        "map_size": _integers(1, 2),
        "target_scale": _MAP_SCALE,
        "loss": {
            "mse_weight": _number(0.0),
            "kld_weight": _number(0.0),
            "cc_weight": _number(0.0),
        },
        "sampling": {
            "num_images": _integer(1),
            "users_per_image": _integer(1),
            "enrolment_images": _integers(1, 2),
        },
        "num_steps": _integer(1),
        "optimizer": _OPTIMIZER,
    },
    "universal": {
        "num_images": _integer(1),
        "num_steps": _integer(1),
        "optimizer": _OPTIMIZER,
    },
    "controls": {
        "permuted_users": _BOOLEAN,
        "gaze": _choice("own", "permuted"),
        "embeddings": _choice("own", "none", "swapped"),
    },
    "training": {
        "compute_dtype": _choice("float32", "bfloat16"),
        "steps_per_dispatch": _integer(1),
        "log_every": _integer(1),
        "max_skipped_in_a_row": _integer(1),
    },
    "checkpoint": {
        "every": _integer(1),
        "keep": _integer(1),
        "best_metric": _choice("none", "loss"),
        "strict": _BOOLEAN,
        "accept_changes": _BOOLEAN,
    },
    "eval": {
        "folds": _integer(1),
        "seed": _integer(0),
        "batch_size": _integer(1),
        "num_images": _integers(1),
        "num_draws": _integer(1),
        "samples_per_user": _integer(2),
        "gaze": {
            "first_fixations": _or_none(_integer(1)),
            "first_ms": _or_none(_number(0.0, open_below=True)),
        },
        "common_fixations": _integer(1),
        "saliency_num_images": _integers(1),
        "saliency_num_draws": _integer(1),
        "num_derangements": _integer(3),
        "num_resamples": _integer(1000),
        "calibration": {
            "spread_frac": _numbers(0.0),
            "gain": _numbers(0.0),
            "center_weight": _numbers(-1.0),
        },
    },
}

_MOST_TOLD = 5

# What may change between two runs in one workdir without making it another experiment; of `eval`
# all but the number of folds.
NOT_PART_OF_THE_EXPERIMENT = (
    "stage",
    "split.test_overlap",
    "data.data_dir",
    "data.residency",
    "data.stream",
    "checkpoint",
    "controls.permuted_users",
    "eval",
)

# On what stages `encoder` and `permuted_encoder` do not depend, unless they are told predictions.
_NOT_PART_OF_THE_ENCODER = (
    *NOT_PART_OF_THE_EXPERIMENT,
    "saliency",
    "universal",
    "features.fine_tuning_rate",
    "controls.embeddings",
)


def not_part_of(stage: str, config: ConfigDict) -> tuple[str, ...]:
    """Keys and sections of a config on which a stage does not depend."""
    if stage.endswith("encoder") and config.data.universal_map != "predicted":
        return _NOT_PART_OF_THE_ENCODER
    return NOT_PART_OF_THE_EXPERIMENT


REMOVED = object()  # As a value in an override set: the config is to be without this key.


def with_overrides(
    config: ConfigDict, sets: Mapping[str, Mapping[str, Any]], names: str
) -> ConfigDict:
    """Changes a config by override sets, each of which changes exactly the keys it names.

    Args:
        config: the base.
        sets: the known sets by name: new values by their dotted keys. A dictionary replaces a whole
            section, and `REMOVED` takes a key away; a key may be new if an architecture that the
            sets choose has it.
        names: the names of sets, joined with `+`; an empty text is none.

    Returns:
        The changed config, which may still be impossible: see `validate`.

    Raises:
        ValueError: if a name is unknown, two sets change one key, or a set names a key that is not
            there.

    Example:
        >>> sets = {"wide": {"encoder.width": 256}, "short": {"encoder.num_steps": 100}}
        >>> base = ConfigDict({"encoder": {"width": 128, "num_steps": 1500}})
        >>> with_overrides(base, sets, "wide+short").encoder.to_dict()
        {'num_steps': 100, 'width': 256}
    """
    chosen = names.split("+") if names else []
    owner: dict[str, str] = {}
    for name in chosen:
        if name not in sets:
            known = ", ".join(sets) or "none"
            raise ValueError(f"override set {name!r} is unknown; allowed, joined with +: {known}")
        for key in sets[name]:
            for taken, other in owner.items():
                if f"{key}.".startswith(f"{taken}.") or f"{taken}.".startswith(f"{key}."):
                    raise ValueError(
                        f"override sets {other!r} and {name!r} conflict: both change "
                        f"{max(key, taken, key=len)}"
                    )
        owner |= dict.fromkeys(sets[name], name)
    changed = copy.deepcopy(config)  # Its placeholders still know their type.
    new = []
    with changed.unlocked():
        for key, name in owner.items():
            section, _, entry = key.rpartition(".")
            parent = _entry(changed, section) if section else changed
            value = sets[name][key]
            is_there = isinstance(parent, ConfigDict) and entry in parent
            if not isinstance(parent, ConfigDict) or (value is REMOVED and not is_there):
                raise ValueError(f"override set {name!r}: the config has no key {key}")
            if is_there and (value is REMOVED or isinstance(value, Mapping)):
                del parent[entry]
            if value is not REMOVED:
                parent[entry] = ConfigDict(value) if isinstance(value, Mapping) else value
            if not is_there:
                new.append(key)
    rules = _rules_for(changed.to_dict())
    for key in new:
        if _entry(rules, key) is None:
            raise ValueError(f"override set {owner[key]!r}: the config has no key {key}")
    return changed


def with_values(config: ConfigDict, values: Mapping[str, Any]) -> ConfigDict:
    """A config with single values changed, as flags of `train.py` do: by their dotted keys.

    Raises:
        ValueError: if the config has no such value, or it is of another type.
    """
    changed = copy.deepcopy(config)
    for key, value in values.items():
        section, _, entry = key.rpartition(".")
        parent = _entry(changed, section) if section else changed
        if not isinstance(parent, ConfigDict) or entry not in parent:
            raise ValueError(f"the config has no value {key}")
        is_value = isinstance(value, bool | int | float | str | tuple)
        if isinstance(parent[entry], ConfigDict) or not is_value:
            raise ValueError(f"config.{key} is {value!r}; allowed: a value that a flag can set")
        try:
            parent[entry] = value
        except TypeError as error:
            raise ValueError(f"config.{key} is {value!r}; allowed: {error}") from error
    return changed


def _entry(values: Any, key: str) -> Any:
    """What a dotted key leads to; None if nowhere."""
    for part in key.split("."):
        if not isinstance(values, Mapping | ConfigDict) or part not in values:
            return None
        values = values[part]
    return values


def fingerprint(config: ConfigDict, ignored: Iterable[str] = ("data.data_dir",)) -> str:
    """SHA-256 of every value of a config but those of the ignored keys and sections.

    The number of folds is never ignored, as in `difference`.
    """
    values = _flatten(config.to_dict())
    kept = {key: value for key, value in values.items() if not _is_ignored(key, ignored)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _is_ignored(key: str, ignored: Iterable[str]) -> bool:
    return key != "eval.folds" and any(f"{key}.".startswith(f"{section}.") for section in ignored)


def validate(config: ConfigDict) -> None:
    """Refuses a config with a missing, unknown or impossible value, before anything compiles.

    Raises:
        ValueError: one line with the key, the value and what is allowed.
    """
    values = config.to_dict()
    _validate_keys(values, _rules_for(values), "config")
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


def difference(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    ignored: Iterable[str] = NOT_PART_OF_THE_EXPERIMENT,
) -> str | None:
    """The values by which two configs are different experiments, in words; None if they are not.

    Both as nested dictionaries, as `ConfigDict.to_dict` and JSON give them.
    """
    flat_one, flat_other = _flatten(one), _flatten(other)
    told = [
        f"config.{key} was {flat_one.get(key)!r} and is now {flat_other.get(key)!r}"
        for key in changed_keys(one, other)
        if not _is_ignored(key, ignored)
    ]
    more = [f"and {len(told) - _MOST_TOLD} more"] if len(told) > _MOST_TOLD else []
    return ", ".join(told[:_MOST_TOLD] + more) or None


def changed_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Dotted keys, in order, whose values differ between two configs, or that only one has."""
    flat_one, flat_other = _flatten(one), _flatten(other)
    return sorted(
        key
        for key in flat_one.keys() | flat_other.keys()
        if key not in flat_one or key not in flat_other or flat_one[key] != flat_other[key]
    )


def _rules_for(values: Mapping[str, Any]) -> dict[str, Any]:
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


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat


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
