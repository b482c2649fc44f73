import json

import numpy as np
import pytest

from gazejax.config.errors import ConfigError
from gazejax.config.identity import fingerprint
from gazejax.inference.two_covariance import TwoCovariance
from gazejax.workdir.layout import (
    COMPARISON_FILE,
    load_center_prior,
    load_comparison,
    load_config,
    load_gaze_source,
    load_projection,
    write_comparison,
    write_config,
)
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


@pytest.mark.parametrize(
    ("text", "found"),
    [("{", "is no JSON text"), ("[]", "holds a list, not"), ("{}", "has no entry 'config'")],
)
def test_a_damaged_json_file_is_named(tmp_path, text, found):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=f"^{tmp_path}/config.json {found}.*; allowed: "):
        load_config(tmp_path)
    (tmp_path / "data.json").write_text(text)
    found = found.replace("'config'", "'name'")
    with pytest.raises(ValueError, match=f"^{tmp_path}/data.json {found}.*; allowed: "):
        load_gaze_source(tmp_path)


def test_how_the_gaze_was_read_is_known_or_refused(tmp_path, data_dir):
    path, config = tmp_path / "data.json", tiny_config(data_dir)
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} the workdir of a training"):
        load_gaze_source(tmp_path)
    write_config(tmp_path, config)
    with pytest.raises(FileNotFoundError, match=f"^{path} does not exist, .* copy the workdir who"):
        load_gaze_source(tmp_path)
    whole = {"name": "mine", "digest": None, "has_durations": True}
    path.write_text(json.dumps(whole))
    assert load_gaze_source(tmp_path) == whole
    for changed, found in (
        ({"format": "table"}, "has no entry 'convention'"),
        ({"convention": None}, "has an entry 'convention' that is not keys"),
        ({"source": []}, "has an entry 'source' that is not keys"),
    ):
        path.write_text(json.dumps(whole | changed))
        with pytest.raises(ValueError, match=f"^{path} {found}.*; allowed: "):
            load_gaze_source(tmp_path)


def test_damaged_arrays_are_named(tmp_path):
    sizes = {"encoder": (30, 40), "saliency": (8, 12)}
    prior = {name: np.ones(size) for name, size in sizes.items()}
    path = tmp_path / "center_prior.npz"
    np.savez(path, **prior)
    assert load_center_prior(tmp_path, sizes)["encoder"].shape == (30, 40)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[300] ^= 1  # Inside the numbers of the first array, which stay finite.
    for damaged in (b"", b"xx", whole[: len(whole) // 2], bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"^{path} is no whole .npz file, .*; allowed: "):
            load_center_prior(tmp_path, sizes)
    for changed in ({"encoder": np.ones((3, 40))}, {"saliency": np.full((8, 12), np.nan)}):
        np.savez(path, **(prior | changed))
        with pytest.raises(ValueError, match=f"^{path} has '{next(iter(changed))}' .*; allowed: "):
            load_center_prior(tmp_path, sizes)
    np.savez(path, saliency=prior["saliency"])
    with pytest.raises(ValueError, match=f"^{path} has 'encoder' of shape None"):
        load_center_prior(tmp_path, sizes)


def test_a_projection_of_features_is_whole_or_named(tmp_path):
    path = tmp_path / "features.npz"
    assert load_projection(tmp_path) is None
    with pytest.raises(FileNotFoundError, match=f"^{path} does not exist; copy the workdir whole"):
        load_projection(tmp_path, is_needed=True)
    np.savez(path, mean_0=np.ones(3), projection_0=np.ones((3, 2)))
    assert load_projection(tmp_path).projection[0].shape == (3, 2)
    np.savez(path, mean_0=np.ones(3), projection_1=np.ones((3, 2)))
    with pytest.raises(ValueError, match=f"^{path} has the arrays .*; allowed: "):
        load_projection(tmp_path)


def test_a_relative_data_dir_is_stored_as_an_absolute_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = tiny_config("some/data")
    write_config(tmp_path / "run", config)
    stored = load_config(tmp_path / "run")
    assert stored.data.data_dir == str(tmp_path / "some" / "data")
    assert fingerprint(stored) == fingerprint(config)
    assert config.data.data_dir == "some/data"


def test_a_comparison_is_read_as_it_was_written(tmp_path):
    (tmp_path / "encoder").mkdir()
    with pytest.raises(FileNotFoundError, match=r"encoder/comparison\.npz does not exist; copy"):
        load_comparison(tmp_path, "encoder")
    arrays = np.random.default_rng(0).normal(size=(4, 3, 3))
    model = TwoCovariance(arrays[0, 0], *arrays[1:])
    write_comparison(tmp_path, "encoder", model)
    for found, one in zip(load_comparison(tmp_path, "encoder"), model, strict=True):
        np.testing.assert_array_equal(found, one)
    np.savez(tmp_path / "encoder" / COMPARISON_FILE, mean=model.mean)
    with pytest.raises(ValueError, match=r"comparison\.npz has the arrays \['mean'\]; allowed"):
        load_comparison(tmp_path, "encoder")
