import pytest
from ml_collections import ConfigDict

from gazejax.config.errors import ConfigError
from gazejax.config.validation import validate
from gazejax.evaluation import folds
from gazejax.training.run import train_folds
from tests.tiny import (
    ROOT,
    flatten,
    read_config,
    tiny_config,
    tiny_scanpath_config,
    train_and_evaluate,
)

CONFIGS = sorted(
    path.stem
    for path in (ROOT / "configs").glob("*.py")
    if path.stem not in ("ablations", "base", "__init__")
)


@pytest.mark.parametrize("name", [*CONFIGS, "custom:any"])
def test_every_config_file_is_valid(name):
    validate(read_config(name))


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("seed", -1, "an integer of at least 0"),
        ("encoder.loss.margin", float("nan"), "a number of at least 0.0"),
        ("encoder.loss.mining", "hard", "one of 'random'"),
        ("encoder.model.inputs", ("image", "gaze"), "'residual'"),
        ("encoder.model.filters", (32, 0), "a tuple of one or more integers"),
        ("encoder.model.norm_groups", 5, "a divisor of each of the filters"),
        ("encoder.model.architecture", "late", "one of 'early_fusion', 'late_fusion', 'scanpath'"),
        ("encoder.loss.pairs_per_mean", 4, "a divisor of encoder.batch.images_per_user 6"),
        ("encoder.loss.pairs_per_mean", 6, "and at most half of it"),
        ("split.fold", 4, "less than split.folds"),
        ("saliency.map_size", (10, 10), "(30, 40)"),
        ("encoder.optimizer.warmup_steps", 10**6, "at most num_steps"),
        ("data.sigma_frac", 0.0, "a number above 0"),
    ],
)
def test_an_impossible_value_is_refused_in_one_line(key, value, allowed):
    config = read_config("synthetic_gaze")
    config.update_from_flattened_dict({key: value})
    with pytest.raises(ConfigError) as refusal:
        validate(config)
    assert refusal.value.key == key
    assert refusal.value.value is value
    assert allowed in refusal.value.allowed
    assert str(refusal.value) == f"config.{key} is {value!r}; allowed: {refusal.value.allowed}"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("data.name", "osie/mouse_lab", "'osie/gaze'"),
        ("split.fold", 1, "0"),
        ("split.cross_validate", True, "False"),
        ("split.train_image_overlap", 0.0, "None"),
        ("split.test_image_overlap", 1.0, "None"),
        ("split.max_train_images", 9, "10 or more, or None"),
    ],
)
def test_a_published_split_is_all_that_says_who_is_seen(key, value, allowed):
    config = read_config("osie_published")
    config.update_from_flattened_dict({key: value})
    with pytest.raises(ConfigError) as refusal:
        validate(config)
    assert refusal.value.key == key
    assert refusal.value.allowed.startswith(f"{allowed}, for split.test_rule 'osie_published'")


def test_folds_of_the_published_seen_users_are_for_validation():
    config = read_config("osie_published:validation")
    config.split.fold = 2
    validate(config)


def test_a_value_is_checked_against_others():
    config = read_config("synthetic_gaze")
    config.training.log_every = 7
    with pytest.raises(ConfigError, match=r"a multiple of training\.log_every 7") as refusal:
        validate(config)
    assert refusal.value.key == "checkpoint.every"


def test_levels_that_cannot_be_joined_are_refused():
    config = read_config("osie_maps:late_fusion")
    config.encoder.model.map_filters = (32, 64)
    with pytest.raises(ConfigError) as refusal:
        validate(config)
    assert refusal.value.key == "encoder.model.map_filters"
    config.encoder.model.pooling = "gaze"
    validate(config)


def refused(values):
    with pytest.raises(ConfigError) as refusal:
        validate(ConfigDict(values))
    return refusal.value.key, str(refusal.value)


def test_unknown_and_missing_keys_are_refused():
    values = read_config("synthetic_gaze").to_dict()
    values["encoder"]["label_smoothing"] = 0.1
    key, text = refused(values)
    assert key == "encoder.label_smoothing"
    assert text.startswith("config.encoder.label_smoothing is unknown; allowed in config.encoder: ")
    del values["encoder"]["label_smoothing"]
    values["encoder"]["model"]["width"] = 8  # Of another architecture.
    assert refused(values)[0] == "encoder.model.width"
    del values["encoder"]["model"]["width"], values["encoder"]["loss"]["margin"]
    key, text = refused(values)
    assert key == "encoder.loss.margin"
    assert text == "config.encoder.loss.margin is missing; the config file must set it"
    values["encoder"]["loss"] = 1.0
    assert refused(values)[0] == "encoder.loss"


def test_a_config_of_the_version_before_is_recognized():
    values = read_config("synthetic_gaze").to_dict()
    values["encoder"]["sampling"] = values["encoder"].pop("batch")
    key, text = refused(values)
    assert key == "encoder.sampling"
    assert text.startswith("config.encoder.sampling is a key of gazejax 0.1.0; CHANGELOG.md")


@pytest.mark.parametrize(
    ("key", "value", "refused_key", "allowed"),
    [
        ("encoder.model.preference_scale", 0.0, "saliency.model.architecture", "'unet' where"),
        ("encoder.map_size", (9, 12), "encoder.map_size", "saliency.map_size (8, 12), the grid"),
        ("features.components", (3,), "features.components", "features.strides (16, 32)"),
        ("features.components", (3, 400), "features.components", "at most its channels"),
        ("features.strides", (16, 3), "features.strides", "a tuple of different entries"),
        ("features.backbone", "vgg", "features.backbone", "one of 'none'"),
    ],
)
def test_features_that_do_not_fit_are_refused(data_dir, key, value, refused_key, allowed):
    config = tiny_scanpath_config(data_dir)
    config.update_from_flattened_dict({key: value})
    with pytest.raises(ConfigError) as refusal:
        validate(config)
    assert refusal.value.key == refused_key
    assert allowed in refusal.value.allowed


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
@pytest.mark.usefixtures("without_plots")
def test_every_config_value_is_read(data_dir, tmp_path, monkeypatch):
    """From the first step to the last table: a value that nothing reads would be a lie."""
    config = shortened(tiny_scanpath_config(data_dir))
    monkeypatch.setattr(folds, "load_config", lambda workdir: config)
    read = values_read(config, lambda: train_and_evaluate(config, tmp_path / "run"))
    assert set(flatten(config.to_dict())) - read == set()


@pytest.mark.slow
def test_every_config_value_of_networks_on_images_is_read(data_dir, tmp_path):
    """Those that a config of scanpath encoders has not; training reads them all."""
    config = shortened(tiny_config(data_dir))
    config.controls.train_permuted_encoder = False
    only_here = flatten(config.to_dict()).keys() - flatten(tiny_scanpath_config(data_dir).to_dict())
    assert "encoder.model.filters" in only_here
    read = values_read(config, lambda: train_folds(config, tmp_path / "run"))
    assert only_here - read == set()


def shortened(config):
    config.data.image_storage = "stream"
    for stage in ("encoder", "saliency", "universal"):
        config[stage].num_steps = 2
    return config
