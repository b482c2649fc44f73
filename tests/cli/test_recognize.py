"""The commands on several people: maps of each, pairs of them, and who of a gallery it is."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from gazejax import Embedding
from gazejax.api import load
from gazejax.cli.main import main

CURVES = {"within": {"1": {"slope": 2.0, "intercept": 3.0}}}


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    run = shutil.copytree(tiny_run, tmp_path_factory.mktemp("calibrated") / "run")
    (run / "calibration.json").write_text(json.dumps(CURVES))
    return run


@pytest.fixture(scope="module")
def people(run, tmp_path_factory):
    """Embeddings of three users at 0, 1 and 3, and a picture."""
    folder = tmp_path_factory.mktemp("people")
    Image.fromarray(np.full((30, 40, 3), 90, np.uint8)).save(folder / "a.png")
    digest = load(run).encoder_digest
    for name, value in (("ann", 0.0), ("bob", 1.0), ("eve", 3.0)):
        Embedding([value] + [0.0] * 5, digest, 4, user=name).save(folder / f"{name}.npz")
    return folder


def printed(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_two_people_are_compared(run, people, capsys):
    pair = [str(people / "ann.npz"), str(people / "bob.npz")]
    assert main(["compare-people", str(run), *pair]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].endswith("bob.npz: one person with probability 0.7311")  # Log odds 3 - 2 * 1.
    assert out[1] == "from 4 and 4 images; calibrated on embeddings of one session"
    assert main(["compare-people", str(run), *pair, "--json"]) == 0
    [found] = printed(capsys)
    assert found["log_odds"] == pytest.approx(1)
    assert (found["num_images"], found["holds_for"]) == ([4, 4], "within")


def test_what_the_calibration_does_not_know_is_said(run, tmp_path, capsys):
    model = load(run)
    mon, tue = (
        Embedding([value] + [0.0] * 5, model.encoder_digest, 4, (day,))
        for value, day in ((0.0, "mon"), (99.0, "tue"))
    )
    for call in (lambda: model.compare(mon, tue), lambda: model.identify(mon, {"ann": tue})):
        with pytest.warns(UserWarning, match=r"different sessions.* within a session only") as one:
            call()
        assert [warning.filename for warning in one] == [__file__]
    model.compare(mon, mon)  # No warning.
    pair = [str(tmp_path / "mon.npz"), str(tmp_path / "tue.npz")]
    for embedding, path in zip((mon, tue), pair, strict=True):
        embedding.save(path)
    assert main(["compare-people", str(run), *pair]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].endswith("one person with probability <= 0.0001")
    assert err.startswith("warning: the two embeddings are of different sessions, 'mon' and 'tue';")
    assert len(err.splitlines()) == 1
    assert main(["identify", str(run), "--probe", pair[0], "--gallery", pair[1]]) == 0
    out, err = capsys.readouterr()
    assert [line.split("  ")[0] for line in out.splitlines()[:2]] == ["<= 0.0001", ">= 0.9999"]
    assert err.startswith("warning: probe and gallery[")


def test_a_person_is_found_in_a_gallery_or_is_none_of_it(run, people, tmp_path, capsys):
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    for name in ("bob", "eve"):
        shutil.copy(people / f"{name}.npz", gallery)
    (gallery / "notes.txt").write_text("no embedding")
    probe = ["identify", str(run), "--probe", str(people / "ann.npz"), "--gallery", str(gallery)]
    assert main(probe) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[-1].rpartition("/")[2] for line in out[:3]] == [
        *("bob.npz", "eve.npz", "gallery")
    ]
    assert main([*probe, "--json", "-k", "1"]) == 0
    best, none = printed(capsys)
    assert best["user"].endswith("bob.npz")
    assert none["user"] is None
    content = (gallery / "bob.npz").read_bytes()
    (gallery / "bob.npz").write_bytes(content[:99])
    assert main(probe) == 1  # Whom the file is of would be none of the gallery.
    assert "bob.npz is not an embedding written by gazejax embed" in capsys.readouterr().err
    (gallery / "bob.npz").unlink()
    (gallery / "eve.npz").unlink()
    assert main(probe) == 1
    assert "gallery holds no embedding; allowed: at least one" in capsys.readouterr().err


def test_maps_of_several_people_are_files_of_a_folder(run, people, tmp_path, capsys):
    command = ["predict", str(run), "--image", str(people / "a.png"), "--out", str(tmp_path / "m")]
    both = [f"--embedding={people / name}.npz" for name in ("ann", "eve")]
    assert main([*command, *both, "--json"]) == 0
    assert [row["path"] for row in printed(capsys)] == [
        str(tmp_path / "m" / name) for name in ("ann.npy", "eve.npy")
    ]
    assert main([*command[:-1], str(tmp_path / "eve.npy"), both[1]]) == 0
    alone = np.load(tmp_path / "eve.npy")
    np.testing.assert_allclose(np.load(tmp_path / "m" / "eve.npy"), alone, rtol=1e-4)
    capsys.readouterr()
    for changed, message in (
        ([*both, both[0]], "two embeddings would be written to"),
        ([*both, "--overlay", str(tmp_path / "o.png")], "--overlay is of one map; allowed: one"),
        ([*both, "--out", str(people / "a.png")], "a.png is a file; allowed with several embedd"),
    ):
        assert main([*command, *changed]) == 1
        assert message in capsys.readouterr().err


def test_an_embedding_of_another_encoder_names_its_file(run, people, tmp_path, capsys):
    Embedding(np.zeros(6), "0123", 4).save(tmp_path / "other.npz")
    other, ann = str(tmp_path / "other.npz"), str(people / "ann.npz")
    for command in (
        ["compare-people", str(run), ann, other],
        ["identify", str(run), "--probe", ann, "--gallery", other],
    ):
        assert main(command) == 1
        assert "other.npz is an embedding by the encoder 0123; allowed" in capsys.readouterr().err
