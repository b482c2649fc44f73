"""Exported programs give the run's embeddings and maps, by the code of their own model card."""

import hashlib
import importlib.util
import json
import re
import shutil

import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import gazejax
from gazejax.cli.main import main
from gazejax.export.folder import write_programs
from gazejax.export.onnx_model import to_onnx
from gazejax.export.programs import Program, Value, make_programs
from gazejax.export.use import describe_use
from gazejax.workdir.exported import write_exported
from gazejax.workdir.trained import read_workdir

RANDOM = np.random.default_rng(0)
IMAGES = [RANDOM.integers(0, 256, (50, 70 + n, 3)).astype(np.uint8) for n in range(2)]
FIXATIONS = [np.array([[10.5, 40.0], [69.9, 0.0], [35.0, 25.0]]), np.array([[1.0, 2.0], [3, 4]])]
DURATIONS_MS = [np.array([200.0, 300, 150]), np.array([250.0, 100])]
SMALL = IMAGES[0][:6, :20]  # Smaller than the map.

has_onnx = importlib.util.find_spec("onnx") and importlib.util.find_spec("onnxruntime")
FORMATS = [
    "stablehlo",
    pytest.param("onnx", marks=pytest.mark.skipif(not has_onnx, reason="needs gazejax[onnx]")),
]


def run_card(folder, text=None):
    """What the code of a card defines."""
    text = (folder / "README.md").read_text() if text is None else text
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    names: dict = {}
    exec(code.replace('Path(".")', f"Path({str(folder)!r})"), names)
    return names


def check_same(names, run, *durations_ms):
    model = gazejax.load(run)
    expected = model.embed(IMAGES, FIXATIONS, durations_ms=[*durations_ms, None][0])
    found = names["embed"](IMAGES, FIXATIONS, *durations_ms)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    for image in (IMAGES[0], SMALL):
        saliency = names["predict"](image, found)
        np.testing.assert_allclose(saliency, model.predict(image, expected), rtol=0, atol=1e-5)
        assert saliency.sum() == pytest.approx(1, abs=1e-5)


def check_many(names, size):
    """Numbers of pictures, users, viewings and fixations are free."""
    pictures = RANDOM.integers(0, 256, (2, *size, 3)).astype(np.uint8)
    embeddings = np.stack([names["embed"](IMAGES[:n], FIXATIONS[:n], DURATIONS_MS) for n in (1, 2)])
    both = np.asarray(names["predict_maps"](pictures, embeddings))
    for image, user in ((0, 1), (1, 0)):
        one = names["predict_maps"](pictures[image : image + 1], embeddings[user : user + 1])
        np.testing.assert_allclose(both[image, user], np.asarray(one)[0, 0], rtol=0, atol=1e-6)


@pytest.fixture(scope="module", params=FORMATS)
def exported(request, tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "mine"
    assert main(["export", str(tiny_run), "--to", request.param, "--out", str(folder)]) == 0
    return folder, request.param


def test_the_code_of_the_card_gives_what_the_run_gives(exported, tiny_run):
    folder, _ = exported
    check_same(run_card(folder), tiny_run)


@pytest.mark.slow
@pytest.mark.parametrize("to", FORMATS)
def test_the_scanpath_encoder_and_frozen_features_too(to, tiny_scanpath_run, tmp_path):
    trained = read_workdir(tiny_scanpath_run)
    programs = make_programs(trained)
    card = describe_use(trained, programs, to)
    write_programs(trained, programs, tmp_path, to, card)
    names = run_card(tmp_path)
    check_same(names, tiny_scanpath_run, DURATIONS_MS)
    check_many(names, (72, 96))


def test_the_files_say_what_they_are(exported, tiny_run):
    folder, to = exported
    about = json.loads((folder / "programs.json").read_text())
    digest = gazejax.load(tiny_run).encoder_digest
    assert about["encoder_digest"] == digest
    assert set(about["programs"]) == {"embed", "predict"}
    assert {one.name for one in folder.iterdir()} == {
        *("README.md", "programs.json", f"embed.{to}", f"predict.{to}")
    }
    inputs = {one["name"]: one for one in about["programs"]["embed"]["inputs"]}
    assert inputs["xy_frac"]["shape"] == ["viewing", "fixation", 2]
    assert all(one["unit"] for one in inputs.values())
    for program in about["programs"].values():
        content = (folder / program["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == program["sha256"]
    if to == "onnx":
        import onnx

        model = onnx.load(folder / "embed.onnx")
        assert {one.key: one.value for one in model.metadata_props}["encoder_digest"] == digest
        assert [one.name for one in model.graph.input] == list(inputs)
        assert [one.doc_string for one in model.graph.input] == [
            one["unit"] for one in inputs.values()
        ]
    card = (folder / "README.md").read_text()
    assert "## Metrics" in card
    assert "gazejax.load(" not in card


@pytest.mark.parametrize("exported", ["stablehlo"], indirect=True)
def test_products_are_exact_on_every_platform(exported):
    folder, _ = exported
    for name in ("embed", "predict"):
        program = jax.export.deserialize(bytearray((folder / f"{name}.stablehlo").read_bytes()))
        lines = program.mlir_module().splitlines()
        products = [line for line in lines if re.search(r"stablehlo\.(convolution|dot)", line)]
        assert products
        assert all("HIGHEST" in line for line in products)


def test_a_damaged_or_foreign_file_is_refused(exported, tmp_path):
    folder, to = exported
    copy = shutil.copytree(folder, tmp_path / "copy")
    content = (copy / f"predict.{to}").read_bytes()
    (copy / f"predict.{to}").write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    with pytest.raises(ValueError, match=rf"predict\.{to} is damaged, or not the one of programs"):
        run_card(copy)
    with pytest.raises(ValueError, match="copy holds the programs embed and predict") as refusal:
        gazejax.load(copy)
    assert "\n" not in str(refusal.value)


@pytest.mark.slow
def test_an_exported_model_keeps_its_card(tiny_run, tmp_path, capsys):
    trained = read_workdir(tiny_run)
    card = "# mine\n\nAbout.\n\n## Use\n\nold\n\n## Metrics\n\n| a |\n"
    write_exported(trained, tmp_path / "model", card)
    command = ["export", str(tmp_path / "model"), "--to", "stablehlo", "--out"]
    assert main([*command, str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "README.md").read_text()
    assert text.startswith("# mine\n\nAbout.\n\n## Use\n\nThe files need jax")
    assert text.endswith("\n\n## Metrics\n\n| a |\n")
    assert "\nold\n" not in text
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert main([*command, str(tmp_path / "out")]) == 1
    assert "holds 'notes.txt'; allowed: a new folder" in capsys.readouterr().err
    (tmp_path / "model" / "README.md").write_text("# mine\n")
    assert main([*command, str(tmp_path / "new")]) == 1
    assert "README.md has no section 'Use'; allowed" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(not has_onnx, reason="needs gazejax[onnx]")
@pytest.mark.parametrize("call", [jnp.sort, jnp.sin])
def test_a_primitive_that_onnx_export_does_not_know_is_refused(call):
    value = Value("x", ("row",), "float32", "none")
    with pytest.raises(ValueError, match=r"'\w+' of JAX is not known; allowed: --to stablehlo"):
        to_onnx(Program("sorted", call, (value,), value), {})


def test_half_precision_is_refused_by_its_key(tiny_run, tmp_path, capsys):
    copy = shutil.copytree(tiny_run, tmp_path / "run")
    path = copy / "config.json"
    path.write_text(path.read_text().replace('"float32"', '"bfloat16"'))
    assert main(["export", str(copy), "--to", "stablehlo", "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "training.compute_dtype of" in error
    assert "is 'bfloat16'; allowed: 'float32'" in error


def test_without_the_extra_the_error_names_it(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    assert main(["export", str(tiny_run), "--to", "onnx", "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert 'pip install "gazejax[onnx]"' in error
