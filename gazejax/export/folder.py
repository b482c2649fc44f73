"""Exports a run as a folder of plain files: parameters, config and model card."""

import json
from pathlib import Path

from gazejax.export.card import make_card
from gazejax.workdir.exported import ARRAYS_FILE, CARD_FILE, CONFIG_FILE, write_exported
from gazejax.workdir.trained import read_workdir

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
    others = {one.name for one in out.iterdir()} - _FILES if out.is_dir() else set()
    if others:
        raise ValueError(
            f"--out {out} holds {sorted(others)[0]!r}; allowed: a new folder, an empty one, or one "
            "of an exported model"
        )
    trained = read_workdir(workdir)
    evaluated = workdir
    if (workdir.parent / "config.json").is_file():  # A fold: all of them are evaluated together.
        evaluated = workdir.parent
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
    card = make_card(name, trained, json.loads(path.read_text()), elsewhere, about)
    write_exported(trained, out, card)
    adding = f"run gazejax evaluate {evaluated}, and export again"
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
