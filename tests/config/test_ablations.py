import importlib

import pytest
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from gazejax.config.ablations import apply_ablations, with_values
from gazejax.config.errors import ConfigError
from gazejax.config.validation import validate
from tests.tiny import ROOT, flatten, read_config

CONFIGS = sorted(
    path.stem
    for path in (ROOT / "configs").glob("*.py")
    if path.stem not in ("ablations", "base", "__init__")
)
# What stands before the names of ablations.
PREFIX = {"custom": "any+"}


@pytest.mark.parametrize("name", CONFIGS)
def test_each_ablation_changes_exactly_the_keys_it_names(name):
    ablations = importlib.import_module(f"gazejax.configs.{name}").ABLATIONS
    prefix = PREFIX.get(name, "")
    base = flatten(read_config(f"{name}:{prefix[:-1]}").to_dict())
    for ablation, changes in ablations.items():
        config = read_config(f"{name}:{prefix}{ablation}")
        validate(config)
        changed = flatten(config.to_dict())
        different = {
            key
            for key in base.keys() | changed.keys()
            if key not in base or key not in changed or base[key] != changed[key]
        }
        for key in different:
            assert any(f"{key}.".startswith(f"{named}.") for named in changes), (ablation, key)
        for named in changes:
            own = {key for key in different if f"{key}.".startswith(f"{named}.")}
            assert own, (ablation, named)


ABLATIONS = {
    "margin_2": {"encoder.loss.margin": 2},
    "no_loss": {"encoder.loss": {"margin": 0.0}},
    "late": {"encoder.model": {"architecture": "late_fusion", "map_filters": (8,)}},
    "misspelt": {"encoder.los.margin": 2.0},
    "unknown": {"encoder.model.map_filters": (8,)},  # Of another architecture.
}


def test_a_section_is_replaced_whole():
    model = {"architecture": "early_fusion", "pooling": "mean"}
    base = ConfigDict({"encoder": {"model": model, "loss": {"margin": 1.0}}})
    assert apply_ablations(base, ABLATIONS, "").to_dict() == base.to_dict()
    assert apply_ablations(base, ABLATIONS, "late+margin_2").to_dict() == {
        "encoder": {
            "model": {"architecture": "late_fusion", "map_filters": (8,)},
            "loss": {"margin": 2.0},
        }
    }
    assert base.encoder.model.pooling == "mean"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("wide", "'wide' is unknown; allowed, joined with [+]: margin_2, no_loss, late"),
        ("late+", "'' is unknown"),
        ("margin_2+no_loss", "'margin_2' and 'no_loss' conflict: both change encoder.loss.margin"),
        ("late+margin_2+late", "'late' and 'late' conflict: both change encoder.model"),
        ("misspelt", "'misspelt': the config has no key encoder.los.margin"),
        ("unknown", "'unknown': the config has no key encoder.model.map_filters"),
    ],
)
def test_ablations_that_cannot_be_are_refused_by_name_and_key(names, message):
    base = ConfigDict({"encoder": {"model": {"pooling": "mean"}, "loss": {"margin": 1.0}}})
    with pytest.raises(ValueError, match=message):
        apply_ablations(base, ABLATIONS, names)


def test_a_value_that_is_no_flag_is_refused_by_key():
    for key, value in (("encoder.model", {}), ("encoder.loss.margin", "wide"), ("a.b", 1)):
        with pytest.raises(ConfigError) as refusal:
            with_values(read_config("osie"), {key: value})
        assert refusal.value.key == key


def test_a_changed_config_still_takes_values_where_there_was_none():
    base = ConfigDict({"data": {"data_dir": placeholder(str)}, "seed": 0})
    changed = apply_ablations(base, {"one": {"seed": 1}}, "one")
    changed.data.data_dir = "here"
    with pytest.raises(TypeError):
        changed.data.data_dir = 1
    assert base.data.data_dir is None
