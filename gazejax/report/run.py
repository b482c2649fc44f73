"""The report of a run: who is it, where will they look, and what the metrics do not show."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gazejax.evaluation.report import DETAILS, format_evaluation, what_was_compared
from gazejax.evaluation.report_data import REPORT_DATA
from gazejax.evaluation.traits import format_traits
from gazejax.evaluation.verification.same_person import format_calibration
from gazejax.report import figures, training
from gazejax.report.card import MUST_NOT
from gazejax.report.findings import GENERATED, find
from gazejax.report.gallery import gallery, people
from gazejax.report.html import as_json, from_markdown, is_page, render
from gazejax.runtime.files import write_text
from gazejax.workdir.layout import load_config, read_arrays, read_object

REPORT = "report.html"
GENERATOR = "gazejax report"


def write_report(workdir: Path, out: Path | None = None) -> Path:
    """Writes the report of an evaluated run, one HTML file that needs no other one.

    The file holds names, fixations and pictures of the test users that it shows.

    Args:
        workdir: of the run.
        out: the file; None: `report.html` in the workdir.

    Returns:
        The file.

    Raises:
        FileNotFoundError: if the folder is no workdir, or the run was not evaluated by this
            version.
    """
    load_config(workdir)
    for name in ("evaluation.json", REPORT_DATA):
        if not (workdir / name).is_file():
            raise FileNotFoundError(
                f"{workdir / name} does not exist; allowed: a run after gazejax evaluate"
            )
    shown = read_arrays(workdir / REPORT_DATA)
    result = read_object(workdir / "evaluation.json")
    try:
        page = make_report(workdir, result, shown)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{workdir}: evaluation.json and {REPORT_DATA} are not of one evaluation of this "
            f"version ({type(error).__name__}: {error}); run: gazejax evaluate {workdir}"
        ) from error
    out = workdir / REPORT if out is None else out
    write_text(out, page)
    return out


def is_report(path: Path) -> bool:
    """Whether a file is a report."""
    return is_page(path, GENERATOR)


def make_report(workdir: Path, result: Mapping[str, Any], shown: Mapping[str, np.ndarray]) -> str:
    """Makes the page.

    Args:
        workdir: of the run.
        result: content of `evaluation.json`.
        shown: content of `evaluation_report.npz`.

    Returns:
        HTML.
    """
    pictures = gallery(shown)
    in_fold = " in the first fold" if len(result["compared"]["evaluated_folds"]) > 1 else ""
    everyone = people(shown, result) | {"in_fold": in_fold}
    before, _, details = format_evaluation(result).partition(DETAILS)
    return render(
        "run.html.jinja",
        generator=GENERATOR,
        title=workdir.absolute().name,
        compared=result["compared"],
        generated=result["compared"]["data"].startswith(GENERATED),
        in_fold=in_fold,
        findings=find(result),
        what=from_markdown(what_was_compared(result["compared"])),
        recognition=figures.recognition_figures(shown, result),
        differences=figures.difference_figure(result),
        scatter=figures.scatter_figure(shown),
        gallery=pictures,
        people=everyone,
        data=as_json({"gallery": pictures, "people": everyone}),
        training_figure=training.training_figure(workdir),
        costs=from_markdown(training.costs(workdir)),
        changes=from_markdown(training.config_changes(workdir)),
        made_with=training.made_with(workdir),
        must_not=from_markdown(MUST_NOT),
        calibration=from_markdown(format_calibration(result["same_person"])),
        traits=from_markdown(format_traits(result.get("traits", {}))),
        tables=from_markdown(before),
        details=from_markdown(details),
    )
