"""Exports a trained model as a folder of plain files, with a model card.

safetensors         parameters and config, which `gazejax.load` reads
stablehlo, onnx     the programs `embed` and `predict`, which need no gazejax, and `programs.json`
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import jax.export

from gazejax.export.onnx_model import import_onnx, to_onnx
from gazejax.export.programs import Program, make_programs, symbolic_inputs
from gazejax.export.use import describe_use
from gazejax.report.card import make_card, replace_use
from gazejax.runtime.devices import in_32_bits
from gazejax.runtime.files import write_bytes, write_json, write_text
from gazejax.runtime.version import package_version
from gazejax.workdir.exported import (
    ARRAYS_FILE,
    CARD_FILE,
    CONFIG_FILE,
    PROGRAMS_FILE,
    is_exported,
    read_exported,
    write_exported,
)
from gazejax.workdir.trained import Trained, read_workdir

FORMATS = ("safetensors", "stablehlo", "onnx")
_PLATFORMS = ("cpu", "cuda", "tpu")
_FILES = {ARRAYS_FILE, CARD_FILE, CONFIG_FILE}


def export_folder(workdir: Path, out: Path, *, name: str, about: str) -> list[str]:
    """Writes the model of a run into a folder that `gazejax.load` reads.

    Args:
        workdir: an evaluated run, without folds or one of them.
        out: the folder; made if it does not exist. An exported model in it is replaced.
        name: of the model, in its card.
        about: of the data and their licence, Markdown, in its card.

    Returns:
        What the model cannot do, a line each, for want of what an evaluation of the run adds.

    Raises:
        FileNotFoundError: if the folder is no workdir, a stage is missing, or the run has not been
            evaluated: the model card has the metrics.
        ValueError: as `trained.read_workdir`, or if `out` holds other files.
    """
    _check_out(out, _FILES)
    trained, card = _read_evaluated(workdir, name, about)
    write_exported(trained, out, card)
    return _unknown(trained, _evaluated(workdir))


@in_32_bits
def export_programs(folder: Path, out: Path, *, to: str, name: str, about: str) -> None:
    """Writes the programs of a trained model, which need no gazejax, into a folder.

    Args:
        folder: an evaluated run, without folds or one of them, or an exported model.
        out: the folder; made if it does not exist. Exported programs in it are replaced.
        to: `stablehlo` or `onnx`.
        name: of the model of a run, in its card; an exported model has its card already.
        about: likewise; see `export_folder`.

    Raises:
        FileNotFoundError: see `export_folder`, or if the weights of the backbone or, for ONNX, the
            package `onnx` are not installed.
        ValueError: see `export_folder`, or if the model computes in half precision.
    """
    _check_out(out, {PROGRAMS_FILE, CARD_FILE, f"embed.{to}", f"predict.{to}"})
    if to == "onnx":
        import_onnx()
    if is_exported(folder):
        trained, card = read_exported(folder), (folder / CARD_FILE).read_text()
    else:
        trained, card = _read_evaluated(folder, name, about)
    dtype = trained.config.training.compute_dtype
    if dtype != "float32":
        raise ValueError(
            f"--to {to}: training.compute_dtype of {folder} is {dtype!r}; allowed: 'float32'"
        )
    programs = make_programs(trained)
    card = replace_use(card, describe_use(trained, programs, to), folder / CARD_FILE)
    write_programs(trained, programs, out, to, card)


def write_programs(
    trained: Trained, programs: tuple[Program, ...], out: Path, to: str, card: str
) -> None:
    """Writes the files of `export_programs`.

    Args:
        trained: the model.
        programs: of the model.
        out: the folder; made if it does not exist.
        to: `stablehlo` or `onnx`.
        card: text of the model card, Markdown.
    """
    about = {"gazejax": package_version(), "encoder_digest": trained.encoder_digest}
    described: dict[str, Any] = {"format": to, **about, "programs": {}}
    contents = {}
    for program in programs:
        content = to_stablehlo(program) if to == "stablehlo" else to_onnx(program, about)
        contents[f"{program.name}.{to}"] = content
        described["programs"][program.name] = {
            "file": f"{program.name}.{to}",
            "sha256": hashlib.sha256(content).hexdigest(),
            "inputs": [value._asdict() for value in program.inputs],
            "output": program.output._asdict(),
        }
    out.mkdir(parents=True, exist_ok=True)
    for stale in (f"embed.{to}", f"predict.{to}"):
        (out / stale).unlink(missing_ok=True)
    for file, content in contents.items():
        write_bytes(out / file, content)
    write_text(out / CARD_FILE, card)
    write_json(out / PROGRAMS_FILE, described)


def to_stablehlo(program: Program) -> bytes:
    """Serializes a program for CPU, CUDA and TPU, as `jax.export.deserialize` reads it."""
    exported = jax.export.export(jax.jit(program.call), platforms=_PLATFORMS)
    return bytes(exported(*symbolic_inputs(program)).serialize())


def _check_out(out: Path, allowed: set[str]) -> None:
    others = {one.name for one in out.iterdir()} - allowed if out.is_dir() else set()
    if others:
        raise ValueError(
            f"--out {out} holds {sorted(others)[0]!r}; allowed: a new folder, an empty one, or one "
            "of an exported model of this format"
        )


def _evaluated(workdir: Path) -> Path:
    """The run that a workdir is a fold of, since all folds are evaluated together; else itself."""
    return workdir.parent if (workdir.parent / "config.json").is_file() else workdir


def _read_evaluated(workdir: Path, name: str, about: str) -> tuple[Trained, str]:
    """The model of an evaluated run, and its model card."""
    trained, evaluated = read_workdir(workdir), _evaluated(workdir)
    path = evaluated / "evaluation.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist, and the model card has the metrics; run: gazejax evaluate "
            f"{evaluated}"
        )
    elsewhere = {}
    for one in sorted(evaluated.glob("evaluation_*.json")):
        result = json.loads(one.read_text())
        elsewhere[result["compared"]["data"]] = result
    return trained, make_card(name, trained, json.loads(path.read_text()), elsewhere, about)


def _unknown(trained: Trained, workdir: Path) -> list[str]:
    """What a model lacks of what an evaluation adds."""
    adding = f"run gazejax evaluate {workdir}, and export again"
    unknown = []
    if not trained.calibration:
        unknown.append(
            "the model is not calibrated, and neither compares nor identifies people: fewer than "
            f"four unseen users, or no calibration.json; {adding}"
        )
    if not trained.probes:
        unknown.append(
            "the model has no probes, and does not say what an embedding knows of a person: fewer "
            f"than three users of the training, or no probes.json; {adding}"
        )
    return unknown
