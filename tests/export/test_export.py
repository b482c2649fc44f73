"""An exported model is the run's model, in plain files; a damaged or foreign file is refused."""

import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

import gazejax
from gazejax.cli.main import main
from gazejax.report.card import make_card
from gazejax.workdir.trained import read_workdir

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 70, 3)).astype(np.uint8)
FIXATIONS = np.array([[10.5, 40.0], [69.9, 0.0], [35.0, 25.0]])


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "mine"
    about = folder.with_name("about.md")
    about.write_text("Trained on generated gaze.\n")
    options = ["--out", str(folder), "--about", str(about)]
    assert main(["export", str(tiny_run), *options]) == 0
    return folder


def test_maps_and_embeddings_are_those_of_the_run(exported, tiny_run):
    model, expected = gazejax.load(exported), gazejax.load(tiny_run)
    assert (model.digest, model.encoder_digest) == (expected.digest, expected.encoder_digest)
    embedding = model.embed([IMAGE], [FIXATIONS])
    np.testing.assert_array_equal(embedding, expected.embed([IMAGE], [FIXATIONS]))
    np.testing.assert_array_equal(
        model.predict(IMAGE, embedding), expected.predict(IMAGE, embedding)
    )
    np.testing.assert_array_equal(model.predict(IMAGE), expected.predict(IMAGE))
    assert model.probe(embedding) == expected.probe(embedding)


def test_the_files_say_what_they_are_and_of_no_user(exported):
    assert {one.name for one in exported.iterdir()} == {
        *("config.json", "model.safetensors", "README.md")
    }
    card = (exported / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: gazejax\n")
    assert "\n---\n\n# mine\n" in card
    assert "Trained on generated gaze." in card
    row, *_ = [line for line in card.splitlines() if line.startswith("| synthetic_gaze/tiny |")]
    assert row.startswith("| synthetic_gaze/tiny | 2 | not known | 1 | ")
    arrays = safetensors.numpy.load_file(exported / "model.safetensors")
    assert {name.split("/")[0] for name in arrays} == {
        *("encoder", "saliency", "universal", "center_prior", "probes")
    }
    assert not [name for name in arrays if "classifier" in name]
    assert json.loads((exported / "config.json").read_text())["config"]["data"]["data_dir"] is None


def test_the_card_of_stage_1_alone_promises_no_map(tiny_run):
    trained = read_workdir(tiny_run)
    evaluation = json.loads((tiny_run / "evaluation.json").read_text())
    both, alone = (
        make_card("mine", one, evaluation, {}, "")
        for one in (trained, trained._replace(saliency=None))
    )
    assert "model.predict(" in both
    assert "- saliency" in both
    assert "a network that predicts where this user\nlooks" in both
    assert "model.embed(" in alone
    assert "predict(" not in alone
    assert "- saliency" not in alone
    assert "No network that predicts where a user looks was" in alone


def test_a_second_export_replaces_the_first_and_nothing_else(exported, tiny_run, tmp_path, capsys):
    copy = shutil.copytree(exported, tmp_path / "copy")
    (copy / "model.safetensors").write_bytes(b"")
    assert main(["export", str(tiny_run), "--out", str(copy)]) == 0
    assert gazejax.load(copy).digest == gazejax.load(exported).digest
    (copy / "notes.txt").write_text("mine")
    assert main(["export", str(tiny_run), "--out", str(copy)]) == 1
    assert "holds 'notes.txt'; allowed: a new folder" in capsys.readouterr().err
    bare = shutil.copytree(tiny_run, tmp_path / "bare")
    (bare / "evaluation.json").unlink()
    assert main(["export", str(bare), "--out", str(tmp_path / "new")]) == 1
    assert "and the model card has the metrics; run: gazejax evaluate" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_what_is_exported_already_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "osie", "--out", str(tmp_path / "again")]) == 1
    assert (
        "shipped/osie is an exported model already: copy it; allowed: a workdir, or"
        in capsys.readouterr().err
    )


def test_what_an_export_lacks_is_said_in_a_line_each(tiny_run, tmp_path, capsys):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "calibration.json").write_text('{"within": {"1": {"slope": 2.0, "intercept": 3.0}}}')
    assert main(["export", str(run), "--out", str(tmp_path / "all")]) == 0
    assert capsys.readouterr().err == ""
    for name in ("calibration", "probes"):
        (run / f"{name}.json").unlink()
    assert main(["export", str(run), "--out", str(tmp_path / "little")]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line[:30] for line in lines] == [
        "warning: the model is not cali",
        "warning: the model has no prob",
    ]
    assert all(f"run gazejax evaluate {run}, and export again" in line for line in lines)
    with pytest.raises(ValueError, match=r"^the model has no probes: .* after gazejax evaluate$"):
        gazejax.load(tmp_path / "little").probe(np.zeros(6))


def _flip(content: bytes) -> bytes:
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("model.safetensors", _flip, "model.safetensors is damaged, or not the one of config.json"),
        ("model.safetensors", lambda _: b"", "is damaged, or not"),
        ("config.json", lambda _: b"{}", "config.json is not a file of an exported model; allowed"),
        ("config.json", lambda _: b"[1", "config.json is not a file of an exported model; allowed"),
        ("config.json", lambda text: text.replace(b'"format": 1', b'"format": 9'), "has format 9"),
        (
            "config.json",
            lambda text: text.replace(b'"sigma_frac": 0.03', b'"sigma_frac": 0.3'),
            "config.json is damaged or was changed: its SHA-256 is another one",
        ),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(exported, tmp_path, name, change, message):
    copy = shutil.copytree(exported, tmp_path / "copy")
    content = (copy / name).read_bytes()
    assert change(content) != content
    (copy / name).write_bytes(change(content))
    with pytest.raises(ValueError, match=message) as refusal:
        gazejax.load(copy)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_missing_is_named(exported, tmp_path):
    copy = shutil.copytree(exported, tmp_path / "copy")
    (copy / "model.safetensors").rename(tmp_path / "kept")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors does not exist; copy"):
        gazejax.load(copy)
    (tmp_path / "kept").rename(copy / "model.safetensors")
    (copy / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json does not exist; copy"):
        gazejax.load(copy)
