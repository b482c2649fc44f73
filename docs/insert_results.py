"""Puts the results of evaluations into documents: `make results`.

    python docs/insert_results.py docs/results/osie.md osie=runs/osie/evaluation.md
    python docs/insert_results.py README.md \
        osie=runs/osie/evaluation.json,runs/ps/evaluation.json,runs/ps_overlap/evaluation.json

The first command puts the headline of an evaluation between the lines `<!-- results: osie -->` and
`<!-- end of results -->`, the second one a table of at most ten rows after the line
`<!-- short results: osie -->`: of a data set without sessions, with a row across sessions of each
stage, of other data sets.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gazejax.evaluation.formats import format_value, markdown_table
from gazejax.evaluation.report import headline

END = "<!-- end of results -->"
_CONTROLS = {
    "residual_map": "residual map, no training",
    "fixation_statistics": "fixation statistics",
    "permuted_labels": "permuted labels",
    "permuted_training": "permuted labels in training",
}


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


def short_table(
    evaluation: Mapping[str, Any], verified: Mapping[str, Any], predicted: Mapping[str, Any]
) -> str:
    """The few rows of an evaluation that stand in the README, as Markdown.

    The best control is the one with the highest ROC-AUC at the smallest n of the table. Truncated
    scanpaths, which the same encoder embeds, are not among them.

    Args:
        evaluation: what `evaluation.json` holds, with both stages.
        verified: likewise, of a data set with sessions, for the row of stage 1 across sessions.
        predicted: likewise, for the row of stage 2. A dash stands for what was not measured.
    """
    differences = evaluation["saliency_differences"]
    sizes = list(differences["seen"])
    rows = []
    for users, methods in evaluation["encoder"].items():
        controls = [method for method in _CONTROLS if method in methods]
        best = max(controls, key=lambda method: methods[method][sizes[0]]["roc_auc"])
        for name, method in (
            ("**encoder**", "encoder"),
            (f"best control but truncated scanpaths: {_CONTROLS[best]}", best),
        ):
            of_method = [methods[method].get(size, {"roc_auc": None}) for size in sizes]
            values = [format_value(row, "roc_auc") for row in of_method]
            rows.append([f"ROC-AUC, {name}", users, *values])
    for users, of_size in differences.items():
        for other in ("swapped", "mean"):
            of_other = [of_size[size][f"own_minus_{other}"] for size in sizes]
            values = [format_value(row, "information_gain", signed=True) for row in of_other]
            rows.append([f"IG, own - {other}", users, *values])
    unknown = {"roc_auc": None, "information_gain": None}
    of_encoder = verified["encoder_across_sessions"]["unseen"]["encoder"]
    values = [format_value(of_encoder.get(size, unknown), "roc_auc") for size in sizes]
    rows.append([f"ROC-AUC, **encoder**, {_across(verified)}", "unseen", *values])
    of_maps = predicted["saliency_across_sessions_differences"]["unseen"]
    found = [of_maps[size]["own_minus_swapped"] if size in of_maps else unknown for size in sizes]
    values = [format_value(row, "information_gain", signed=True) for row in found]
    rows.append([f"IG, own - swapped, {_across(predicted)}", "unseen", *values])
    return markdown_table(["metric", "users", *(f"n = {size}" for size in sizes)], rows)


def _across(evaluation: Mapping[str, Any]) -> str:
    compared = evaluation["compared"]
    return f"{compared['data']}, across {compared['sessions']}"


def main(arguments: list[str]) -> None:
    """Inserts the results of each NAME=EVALUATION into the file named first."""
    path = Path(arguments[0])
    text = path.read_text()
    for argument in arguments[1:]:
        name, _, files = argument.partition("=")
        paths = [Path(file) for file in files.split(",")]
        headlines = [headline(path.with_suffix(".md").read_text()) for path in paths]
        whole = headlines[0]
        if paths[0].suffix == ".json":
            compared = [text.partition("\n\n")[0] for text in headlines]
            table = short_table(*(json.loads(path.read_text()) for path in paths))
            results = "\n\n".join([table, *compared])
            text = insert(text, f"<!-- short results: {name} -->", results)
        else:
            text = insert(text, f"<!-- results: {name} -->", whole)
    path.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
