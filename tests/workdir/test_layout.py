import json

import pytest

from gazejax.config.errors import ConfigError
from gazejax.config.identity import fingerprint
from gazejax.workdir.layout import load_config, write_config
from tests.tiny import tiny_config


def test_a_workdir_of_the_version_before_is_refused_in_one_line(tmp_path, data_dir):
    """Version 0.1.0 had `encoder.sampling` where `encoder.batch` is now."""
    config = tiny_config(data_dir).to_dict()
    config["encoder"]["sampling"] = config["encoder"].pop("batch")
    (tmp_path / "config.json").write_text(json.dumps({"config": config}))
    with pytest.raises(ConfigError) as refusal:
        load_config(tmp_path)
    assert refusal.value.key == "encoder.sampling"
    assert str(tmp_path) in str(refusal.value)
    assert "gazejax 0.1.0" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_folder_that_is_no_workdir_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} the workdir of a training"):
        load_config(tmp_path)


def test_a_relative_data_dir_is_stored_as_an_absolute_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = tiny_config("some/data")
    write_config(tmp_path / "run", config)
    stored = load_config(tmp_path / "run")
    assert stored.data.data_dir == str(tmp_path / "some" / "data")
    assert fingerprint(stored) == fingerprint(config)
    assert config.data.data_dir == "some/data"
