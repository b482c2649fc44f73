"""What an evaluation found and what it did not, in sentences."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gazejax.evaluation.formats import format_value
from gazejax.evaluation.report import METHODS, STAGE_1_METRICS
from gazejax.evaluation.session_texts import ACROSS, SESSIONS, not_shown

# The number of images that the first lines are about, or the nearest one below it.
_SIZE = 10

# Of metrics on a console, which has ten lines in all.
_MOST_LINES = 5

# Data sets without people.
GENERATED = "synthetic_gaze/"

_MAPS = {
    "swapped": "with another user's embedding",
    "mean": "with the mean embedding",
    "calibrated": "of all seen users, calibrated to the user",
    "universal": "of all seen users (the universal map)",
}


class Findings(NamedTuple):
    """What is said first.

    Attributes:
        figures: label, value with its interval, and what it means, of the main metrics.
        found: sentences on what the intervals show.
        not_found: sentences on what they do not show.
        limits: sentences on what no interval of the run can show.
    """

    figures: list[tuple[str, str, str]]
    found: list[str]
    not_found: list[str]
    limits: list[str]


def find(result: Mapping[str, Any]) -> Findings:
    """Says what the result of an evaluation shows, across sessions first.

    Args:
        result: content of `evaluation.json`.
    """
    findings = Findings([], [], [], [])
    compared = result["compared"]
    kind = compared.get("sessions")
    of_encoder = {
        table: {group: methods["encoder"] for group, methods in result[table].items()}
        for table in ("encoder", "encoder" + ACROSS)
        if table in result
    }
    for table in reversed(of_encoder):
        _of_stage_1(findings, result, table, _where(table, kind))
    for table in ("saliency" + ACROSS, "saliency"):
        if table in result:
            _of_stage_2(findings, result, table, _where(table, kind))
    findings.limits.append(SESSIONS[kind] + not_shown(of_encoder, compared))
    if compared["data"].startswith(GENERATED):
        findings.limits.append("Gaze and pictures are generated: nothing here is of people.")
    findings.limits.append(
        "All values are means over users. They decide nothing about a single person."
    )
    return findings


def summarize(result: Mapping[str, Any]) -> str:
    """The main metrics in a few lines, for a console.

    Args:
        result: content of `evaluation.json`.
    """
    compared, findings = result["compared"], find(result)
    width = max(len(label) for label, *_ in findings.figures)
    lines = [f"{label:<{width}}  {value}" for label, value, _ in findings.figures[:_MOST_LINES]]
    if number := len(findings.not_found):
        lines.append(f"{number} comparison{'s' if number > 1 else ''} not shown: see the report")
    head = f"{compared['data']}, {compared['test_images']} test images, 95 % intervals:"
    return "\n".join([head, *lines, *findings.limits[:1]])


def _headline_size(sizes: Mapping[str, Any]) -> str:
    """The number of images, as text, that the first lines are about."""
    numbers = sorted(map(int, sizes))
    return str(max((n for n in numbers if n <= _SIZE), default=numbers[0]))


def _where(table: str, kind: str | None) -> str:
    if table.endswith(ACROSS):
        return f" across {kind}"
    return f" within a {kind.removesuffix('s')}" if kind in ("sessions", "repeats") else ""


def _of_stage_1(findings: Findings, result: Mapping[str, Any], table: str, where: str) -> None:
    group = "unseen" if "unseen" in result[table] else "seen"
    rows = result[table][group]["encoder"]
    size = _headline_size(rows)
    row = rows[size]
    value = format_value(row, "roc_auc")
    users = f"{row['num_users']} {group} users"
    findings.figures.append(
        (
            f"ROC-AUC{where}, n = {size}",
            value,
            f"Are two sets of {size} images of one person? {users}; 0.5 is chance.",
        )
    )
    rank1 = f"Who of {_gallery(result, table, group, size)} is it? {users}."
    findings.figures.append((f"Rank-1{where}, n = {size}", format_value(row, "rank1"), rank1))
    said = f"recognized better than by chance{where}: ROC-AUC {value}, n = {size}, {users}."
    if row.get("roc_auc_interval", [0])[0] > 0.5:
        findings.found.append(f"{group.capitalize()} users are {said}")
    else:
        findings.not_found.append(f"{group.capitalize()} users are not shown to be {said}")
    better: list[str] = []
    others: list[str] = []
    for name, sizes in result[f"{table}_differences"][group].items():
        if size not in sizes or sizes[size].get("roc_auc") is None:
            continue
        method = METHODS[name.removeprefix("encoder_minus_")].format(**result["compared"])
        is_better = sizes[size].get("roc_auc_interval", [0])[0] > 0
        value = format_value(sizes[size], "roc_auc", signed=True)
        (better if is_better else others).append(f"{method} ({value})")
    if better:
        findings.found.append(
            f"The encoder has a higher {STAGE_1_METRICS['roc_auc']}{where} than these controls, at "
            f"n = {size}: {'; '.join(better)}."
        )
    if others:
        findings.not_found.append(
            f"The encoder is not shown to be better{where} at n = {size} than: {'; '.join(others)}."
        )


def _gallery(result: Mapping[str, Any], table: str, group: str, size: str) -> str:
    chance = result[table][group].get("chance", {}).get(size, {}).get("rank1")
    return f"{1 / chance:.0f} users" if chance else "the users"


def _of_stage_2(findings: Findings, result: Mapping[str, Any], table: str, where: str) -> None:
    of_groups = result[f"{table}_differences"]
    group = "unseen" if "unseen" in of_groups else "seen"
    size = _headline_size(of_groups[group])
    differences = of_groups[group][size]
    for other, map_ in _MAPS.items():
        row = differences.get(f"own_minus_{other}")
        if row is None or row["information_gain"] is None:
            continue
        value = format_value(row, "information_gain", signed=True)
        said = (
            f"the fixations of {group} users better{where} than the map {map_}: {value} bits per "
            f"fixation, {size} enrolment images."
        )
        if row.get("information_gain_interval", [0])[0] > 0:
            findings.found.append(f"The map with the own embedding describes {said}")
        else:
            findings.not_found.append(
                f"The map with the own embedding is not shown to describe {said}"
            )
        if other in ("swapped", "mean"):
            name = "another's" if other == "swapped" else "mean"
            words = "another user's embedding" if other == "swapped" else "the mean embedding"
            findings.figures.append(
                (
                    f"IG, own minus {name}{where}, n = {size}",
                    value,
                    f"Bits per fixation that the own embedding adds to {words}, {group} users.",
                )
            )
