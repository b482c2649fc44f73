"""Puts the results of evaluations into documents: `make results`.

    python docs/insert_results.py docs/results/osie.md osie=runs/osie/evaluation.md
    python docs/insert_results.py README.md osie=runs/osie/evaluation.json

The first command puts the headline of an evaluation between the lines `<!-- results: osie -->` and
`<!-- end of results -->`, the second one a table of at most ten rows after the line
`<!-- short results: osie -->`.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gazejax.evaluation.report import format_value, headline, markdown_table

END = "<!-- end of results -->"
# Rows of stage 1 that are no control: the model itself, and the model with less gaze.
_NO_CONTROLS = ("encoder", "encoder_truncated", "chance")
_CONTROLS = {
    "residual_map": "residual map, no training",
    "fixation_statistics": "fixation statistics",
    "permuted_labels": "permuted labels",
    "permuted_training": "permuted labels in training",
}
# Kept for what holds across sessions.
_ACROSS_SESSIONS = ("not measured yet", "OSIE's release names no sessions")


def insert(text: str, start: str, results: str) -> str:
    """Replaces what stands between a mark and the next `END`.

    Args:
        text: the document.
        start: the mark, a whole line.
        results: what is to stand there.

    Raises:
        ValueError: if the text has no place for the results.
    """
    before, found, after = text.partition(start)
    _, ended, rest = after.partition(END)
    if not (found and ended):
        raise ValueError(f"the text has no line {start!r} with a line {END!r} after it")
    return f"{before}{start}\n\n{results}\n\n{END}{rest}"


def short_table(evaluation: Mapping[str, Any]) -> str:
    """The few rows of an evaluation that stand in the README, as Markdown.

    The best control is the one with the highest ROC-AUC at the smallest n of the table.

    Args:
        evaluation: what `evaluation.json` holds, with both stages.
    """
    differences = evaluation["saliency_differences"]
    sizes = list(differences["seen"])
    rows = []
    for users, methods in evaluation["encoder"].items():
        controls = [method for method in methods if method not in _NO_CONTROLS]
        best = max(controls, key=lambda method: methods[method][sizes[0]]["roc_auc"])
        for name, method in (
            ("**encoder**", "encoder"),
            (f"best control: {_CONTROLS[best]}", best),
        ):
            of_method = [methods[method].get(size, {"roc_auc": None}) for size in sizes]
            values = [format_value(row, "roc_auc") for row in of_method]
            rows.append([f"ROC-AUC, {name}", users, *values])
    for users, of_size in differences.items():
        for other in ("swapped", "mean"):
            of_other = [of_size[size][f"own_minus_{other}"] for size in sizes]
            values = [format_value(row, "information_gain", signed=True) for row in of_other]
            rows.append([f"IG, own - {other}", users, *values])
    for name in ("ROC-AUC, **encoder**", "IG, own - swapped"):
        rows.append([f"{name}, across sessions", "unseen", *_ACROSS_SESSIONS[: len(sizes)]])
    return markdown_table(["metric", "users", *(f"n = {size}" for size in sizes)], rows)


def main(arguments: list[str]) -> None:
    """Inserts the results of each NAME=EVALUATION into the file named first."""
    path = Path(arguments[0])
    text = path.read_text()
    for argument in arguments[1:]:
        name, _, file = argument.partition("=")
        whole = headline(Path(file).with_suffix(".md").read_text())
        if file.endswith(".json"):
            compared = whole.partition("\n\n")[0]
            results = f"{short_table(json.loads(Path(file).read_text()))}\n\n{compared}"
            text = insert(text, f"<!-- short results: {name} -->", results)
        else:
            text = insert(text, f"<!-- results: {name} -->", whole)
    path.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
