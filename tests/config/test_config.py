import importlib

import pytest
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from gazejax.config.ablations import REMOVED, apply_ablations
from gazejax.config.identity import difference, fingerprint
from gazejax.config.validation import validate
from gazejax.evaluation import run
from tests.tiny import ROOT, read_config, tiny_config, tiny_scanpath_config, train_and_evaluate

CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
# What stands before the names of sets.
PREFIX = {"custom": "any+"}


@pytest.mark.parametrize("name", [*CONFIGS, "custom:any"])
def test_every_config_file_is_valid(name):
    validate(read_config(name))


@pytest.mark.parametrize("name", CONFIGS)
def test_each_override_set_changes_exactly_the_keys_it_names(name):
    sets = importlib.import_module(f"gazejax.configs.{name}").SETS
    prefix = PREFIX.get(name, "")
    base = _flat(read_config(f"{name}:{prefix[:-1]}").to_dict())
    for set_name, changes in sets.items():
        config = read_config(f"{name}:{prefix}{set_name}")
        validate(config)
        changed = _flat(config.to_dict())
        different = {
            key
            for key in base.keys() | changed.keys()
            if key not in base or key not in changed or base[key] != changed[key]
        }
        for key in different:
            assert any(f"{key}.".startswith(f"{named}.") for named in changes), (set_name, key)
        for named, value in changes.items():
            own = {key for key in different if f"{key}.".startswith(f"{named}.")}
            assert own, (set_name, named)
            assert value is not REMOVED or not own & changed.keys()


def test_override_sets_that_cannot_be_are_refused_by_name_and_key():
    base = ConfigDict(
        {"encoder": {"architecture": "early", "pooling": "mean", "loss": {"margin": 1.0}}}
    )
    sets = {
        "margin_2": {"encoder.loss.margin": 2},
        "no_loss": {"encoder.loss": {"margin": 0.0}},
        "late": {
            "encoder.architecture": "two_trunk",
            "encoder.map_filters": (8,),
            "encoder.pooling": REMOVED,
        },
        "misspelt": {"encoder.los.margin": 2.0},
        "unknown": {"encoder.map_filters": (8,)},  # Of another architecture.
        "gone": {"encoder.map_filters": REMOVED},
    }
    assert apply_ablations(base, sets, "").to_dict() == base.to_dict()
    assert apply_ablations(base, sets, "late+margin_2").to_dict() == {
        "encoder": {"architecture": "two_trunk", "map_filters": (8,), "loss": {"margin": 2.0}}
    }
    assert base.encoder.pooling == "mean"
    for names, message in (
        ("wide", "'wide' is unknown; allowed, joined with [+]: margin_2, no_loss, late"),
        ("late+", "'' is unknown"),
        ("margin_2+no_loss", "'margin_2' and 'no_loss' conflict: both change encoder.loss.margin"),
        ("late+margin_2+late", "'late' and 'late' conflict: both change encoder.architecture"),
        ("misspelt", "'misspelt': the config has no key encoder.los.margin"),
        ("unknown", "'unknown': the config has no key encoder.map_filters"),
        ("gone", "'gone': the config has no key encoder.map_filters"),
    ):
        with pytest.raises(ValueError, match=message):
            apply_ablations(base, sets, names)


def test_a_changed_config_still_takes_values_where_there_was_none():
    base = ConfigDict({"data": {"data_dir": placeholder(str)}, "seed": 0})
    changed = apply_ablations(base, {"one": {"seed": 1}}, "one")
    changed.data.data_dir = "here"
    with pytest.raises(TypeError):
        changed.data.data_dir = 1
    assert base.data.data_dir is None


def test_a_fingerprint_tells_configs_apart_but_not_where_the_data_lie():
    one, other = read_config("osie"), read_config("osie")
    other.data.data_dir = "/elsewhere"
    assert fingerprint(one) == fingerprint(other)
    other.seed = 1
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one, ["seed", "data"]) == fingerprint(other, ["seed", "data"])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seed", -1, r"config.seed is -1; allowed: an integer of at least 0"),
        ("encoder.loss.margin", float("nan"), r"config.encoder.loss.margin is nan; allowed: a num"),
        ("encoder.loss.mining", "hard", r"config.encoder.loss.mining is 'hard'; allowed: one of"),
        ("encoder.inputs", ("image", "gaze"), r"config.encoder.inputs is .*'residual'"),
        ("encoder.filters", (32, 0), r"config.encoder.filters is \(32, 0\); allowed: a tuple"),
        ("encoder.norm_groups", 5, r"config.encoder.norm_groups is 5; allowed: a divisor"),
        ("encoder.architecture", "late", r"config.encoder.architecture is 'late'; allowed: one of"),
        ("encoder.loss.pairs_per_embedding", 4, r"a divisor of encoder.sampling.images_per_user 6"),
        ("encoder.loss.pairs_per_embedding", 6, r"and at most half of it"),
        ("split.fold", 4, r"config.split.fold is 4; allowed: less than split.folds"),
        ("saliency.map_size", (10, 10), r"config.saliency.map_size .* allowed: \(30, 40\)"),
        ("training.log_every", 7, r"config.checkpoint.every is .* a multiple of training.log_ev"),
        ("encoder.optimizer.warmup_steps", 10**6, r"at most num_steps"),
        ("data.sigma_frac", 0.0, r"config.data.sigma_frac is 0.0; allowed: a number above 0"),
    ],
)
def test_an_impossible_value_is_refused_in_one_line(key, value, message):
    config = read_config("synthetic_gaze")
    config.update_from_flattened_dict({key: value})
    with pytest.raises(ValueError, match=message) as refusal:
        validate(config)
    assert "\n" not in str(refusal.value)


def test_levels_that_cannot_be_joined_are_refused():
    config = read_config("osie_maps:two_trunk")
    config.encoder.map_filters = (32, 64)
    with pytest.raises(ValueError, match=r"config.encoder.map_filters is \(32, 64\); .*filters, 4"):
        validate(config)


def test_unknown_and_missing_keys_are_refused():
    values = read_config("synthetic_gaze").to_dict()
    values["encoder"]["label_smoothing"] = 0.1
    with pytest.raises(ValueError, match=r"config.encoder.label_smoothing is unknown"):
        validate(ConfigDict(values))
    del values["encoder"]["label_smoothing"]
    values["encoder"]["width"] = 8  # Of another architecture.
    with pytest.raises(ValueError, match=r"config.encoder.width is unknown"):
        validate(ConfigDict(values))
    del values["encoder"]["width"], values["encoder"]["loss"]["margin"]
    with pytest.raises(ValueError, match=r"config.encoder.loss.margin is missing"):
        validate(ConfigDict(values))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("encoder.taste_scale", 0.0, r"saliency.architecture is 'taste'; allowed: 'unet' where"),
        ("encoder.image_size", (9, 12), r"encoder.image_size .* allowed: saliency.map_size"),
        ("features.components", (3,), r"one number for each of features.strides \(16, 32\)"),
        ("features.components", (3, 400), r"at most its channels"),
        ("features.strides", (16, 3), r"config.features.strides is \(16, 3\); allowed: a tuple"),
        ("features.backbone", "vgg", r"config.features.backbone is 'vgg'; allowed: one of 'none'"),
    ],
)
def test_features_that_do_not_fit_are_refused(data_dir, key, value, message):
    config = tiny_scanpath_config(data_dir)
    config.update_from_flattened_dict({key: value})
    with pytest.raises(ValueError, match=message):
        validate(config)


def test_difference_ignores_what_is_not_part_of_the_experiment():
    one, other = read_config("synthetic_gaze"), read_config("synthetic_gaze")
    other.eval.num_draws = 7
    other.data.data_dir = "/elsewhere"
    assert difference(one.to_dict(), other.to_dict()) is None
    other.encoder.loss.margin = 1.0
    assert difference(one.to_dict(), other.to_dict()) == (
        "config.encoder.loss.margin was 0.2 and is now 1.0"
    )


def values_read(config, action):
    """Names of the values that an action reads, other than by copying the config whole."""
    path_of, read, is_copying = {}, set(), False

    def register(node, path):
        path_of[id(node)] = path
        for key, value in node._fields.items():
            if isinstance(value, ConfigDict):
                register(value, [*path, key])

    get, copy = ConfigDict.__getitem__, ConfigDict.to_dict

    def spy(self, key):
        if id(self) in path_of and not is_copying:
            read.add(".".join([*path_of[id(self)], key]))
        return get(self, key)

    def copy_unseen(self, *arguments, **options):
        nonlocal is_copying
        outer, is_copying = is_copying, True
        copied = copy(self, *arguments, **options)
        is_copying = outer
        return copied

    register(config, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigDict, "__getitem__", spy)
        patch.setattr(ConfigDict, "to_dict", copy_unseen)
        action()
    return read


def test_the_spy_sees_what_is_read_and_nothing_else():
    config = read_config("synthetic_gaze")

    def action():
        validate(config)
        _ = config.encoder.loss.margin, config["seed"]

    assert values_read(config, action) == {"encoder", "encoder.loss", "encoder.loss.margin", "seed"}


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_config, tiny_scanpath_config])
def test_every_config_value_is_read(data_dir, tmp_path, monkeypatch, make):
    """From the first step to the last table: a value that nothing reads would be a lie."""
    config = make(data_dir)
    config.data.residency = "stream"
    for stage in ("encoder", "saliency", "universal"):
        config[stage].num_steps = 2
    monkeypatch.setattr(run, "load_config", lambda workdir: config)
    read = values_read(config, lambda: train_and_evaluate(config, tmp_path / "run"))
    assert set(_flat(config.to_dict())) - read == set()


def _flat(values: dict, prefix: str = "") -> dict:
    flat = {}
    for key, value in values.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat
