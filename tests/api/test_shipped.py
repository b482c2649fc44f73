"""Shipped models load by their name, and hold nothing of a single user."""

import re

import numpy as np
import pytest
import safetensors.numpy

import gazejax
from gazejax.api import shipped_models
from gazejax.cli.main import main
from tests.tiny import ROOT

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
FIXATIONS = np.linspace((40.0, 30.0), (20.5, 10.0), 9)  # Nine in 2 s, as in the training.
MODELS = shipped_models()
MOST_BYTES = 5_000_000


def test_all_of_them_are_small(capsys):
    files = [one for folder in MODELS.values() for one in folder.iterdir()]
    assert sum(one.stat().st_size for one in files) <= MOST_BYTES
    assert main(["models"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == list(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_model_knows_no_user_of_its_training(name):
    arrays = safetensors.numpy.load_file(MODELS[name] / "model.safetensors")
    of_users = ("classifier", "memory", "recognizer")
    assert not [array for array in arrays if any(part in array for part in of_users)]
    config = gazejax.load(name).config
    assert config.saliency.model.memory.kind == "none"
    # Trained on data of the MIT licence alone.
    assert {one.split("/")[0] for one in config.data.name.split(",")} <= {"osie", "scene"}
    card = (MODELS[name] / "README.md").read_text()
    for heading in ("## Data and licence", "## What the model must not be used for", "## Metrics"):
        assert heading in card


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_model_embeds_and_predicts_with_and_without_durations(name):
    model = gazejax.load(name)
    known = {"durations_ms": [[220.0] * 9]} if model.reads_durations else {}
    embedding = model.embed([IMAGE], [FIXATIONS], **known)
    assert embedding.has_durations == model.reads_durations
    assert not model.needs_durations
    saliency = model.predict(IMAGE, embedding)
    assert saliency.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    if model.reads_durations:
        with pytest.warns(UserWarning, match="durations_ms is missing: the embedding is made with"):
            without = model.embed([IMAGE], [FIXATIONS])
        assert not without.has_durations
        assert np.abs(without - embedding).max() > 0


def test_a_folder_of_the_same_name_wins_and_is_named(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = next(iter(MODELS))
    (tmp_path / name).symlink_to(tiny_run)
    with pytest.warns(UserWarning, match=rf"^{tmp_path / name} is loaded, not the shipped model"):
        found = gazejax.load(name)
    assert found.digest == gazejax.load(tiny_run).digest


def test_what_is_no_model_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = next(iter(MODELS))
    (tmp_path / name).write_text("a file is no folder")
    assert gazejax.load(name).folder == MODELS[name]
    (tmp_path / "notes").write_text("")
    with pytest.raises(FileNotFoundError, match=r"notes is a file, and no shipped model has this"):
        gazejax.load("notes")
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(FileNotFoundError, match=r"is no model, .*rename the folder, or call from"):
        gazejax.load(name)
    (tmp_path / name / "programs.json").write_text("{}")
    with pytest.raises(ValueError, match=r"holds the programs embed and predict of an exported"):
        gazejax.load(name)


def test_an_unknown_name_lists_the_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"osiee does not exist.*shipped model: 'osie', 'osie_mouse'"
    ):
        gazejax.load("osiee")


@pytest.mark.slow
def test_the_guide_does_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "docs/guides/use-a-model.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    ten_lines = [line for line in blocks[1].splitlines() if line and not line.startswith("import")]
    assert len(ten_lines) <= 12
    names: dict = {}
    for block in blocks:
        exec(block, names)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("ann ")  # Who it is.
    assert [line.rsplit(" ", 1)[0] for line in printed[1:3]] == ["bob", "none of them"]
    assert printed[3] == "(2, 120, 160)"
    assert printed[-1].startswith("within ")
