"""An evaluation as tables for people, in Markdown.

First what was compared and the headline of both stages, then everything. Brackets hold the 95 %
interval. The part before `DETAILS` is short enough for a README.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

DETAILS = "## Details"

_METHODS = {
    "encoder": "**encoder**",
    "encoder_cut": "encoder, scanpaths cut to {common_fixations} fixations",
    "residual_map": "residual map, no learning",
    "two_scalars": "number and mean duration of fixations",
    "permuted_users": "encoder, users permuted in training and here",
    "permuted_training": "encoder, users permuted in training (floor)",
    "chance": "chance",
}

STAGE_1_METRICS = {
    "roc_auc": "ROC-AUC",
    "rank1": "rank-1",
    "eer": "EER",
    "fnmr_at_fmr_1": "FNMR at FMR 1 %",
    "fnmr_at_fmr_10": "FNMR at FMR 10 %",
    "map_at_r": "MAP@R",
}

_CONDITIONS = {
    "universal": "universal map of the others",
    "center_prior": "center prior",
    "predicted": "predicted universal map",
    "calibrated": "universal map, calibrated to the person",
    "own": "**network, own embedding**",
    "mean": "network, mean embedding",
    "swapped": "network, another's embedding",
}

_METRICS = {
    "cc": "CC",
    "sim": "SIM",
    "kld": "KLD, nats",
    "nss": "NSS",
    "auc": "AUC",
    "sauc": "sAUC",
    "information_gain": "IG over the center prior, bits",
}


def format_evaluation_on(result: Mapping[str, Any]) -> str:
    """Writes what `run.evaluate_on` found as Markdown."""
    compared = result["compared"]
    first = next(iter(result["encoder"]["encoder"].values()))
    return "\n\n".join(
        [
            f"{first['num_users']} people of `{compared['data']}`, {first['num_images']} images; "
            f"encoder trained on `{compared['trained_on']}`, seed {compared['training_seed']}, "
            f"folds {compared['evaluated_folds']}, {compared['encoder_draws']} draws, commit "
            f"{compared['commit']}, {compared['date']}. Brackets: 95 % interval over users.",
            _metrics_table(result["encoder"], compared),
            "Encoder minus control, paired:",
            _differences_table(result["encoder_differences"], STAGE_1_METRICS),
        ]
    )


def format_evaluation(result: Mapping[str, Any]) -> str:
    """Writes an evaluation as Markdown: headline, `DETAILS`, every table."""
    parts = [_what_was_compared(result["compared"]), _headline_of_stage_1(result)]
    if "saliency" in result:
        parts.append(_headline_of_stage_2(result))
    parts.append(DETAILS)
    for group, methods in result["encoder"].items():
        parts.append(f"### Who is it? {_users(group, methods['encoder'])}")
        parts.append(_metrics_table(methods, result["compared"]))
        parts.append("Encoder minus control, paired:")
        parts.append(_differences_table(result["encoder_differences"][group], STAGE_1_METRICS))
    for group, sizes in result.get("saliency", {}).items():
        rows = next(iter(sizes.values()))
        parts.append(f"### Where will they look? {_users(group, rows)}")
        parts.append(_conditions_table(sizes))
        parts.append("Paired differences, and p-values of own better than swapped:")
        parts.append(_saliency_differences_table(result["saliency_differences"][group]))
    return "\n\n".join(parts) + "\n"


def headline(evaluation: str) -> str:
    """The part of `format_evaluation`'s text before the details."""
    return evaluation.split(DETAILS)[0].strip()


def _what_was_compared(compared: Mapping[str, Any]) -> str:
    folds = compared["evaluated_folds"]
    if len(folds) > 1:
        who = f"{len(folds)} folds of users, each held out once"
    else:
        who = f"fold {folds[0]} of {compared['folds']}"
    if compared["purpose"] == "validation":
        who = f"validation, not the users and images of the figures; {who}"
        who += f", {compared['seen_users']} seen and {compared['unseen_users']} unseen users"
    return (
        f"{compared['data']}: {who}; {compared['test_images']} test images; "
        f"{compared['encoder_draws']} draws of images for stage 1, {compared['saliency_draws']} "
        f"for stage 2; training seed {compared['training_seed']}, commit "
        f"{compared['commit'] or 'unknown'}, {compared['date']}. In brackets: 95 % bootstrap "
        f"intervals over users and images, {compared['resamples']} resamples."
    )


def _headline_of_stage_1(result: Mapping[str, Any]) -> str:
    groups = result["encoder"]
    sizes = list(next(iter(groups.values()))["encoder"])
    lines = []
    for group, methods in groups.items():
        for method, title in _METHODS.items():
            if method not in methods:
                continue
            rows = methods[method]
            name = title.format(**result["compared"])
            # The rank only where it says more than the area: chance depends on the users.
            is_main = method in ("encoder", "residual_map", "chance")
            for figure in ("roc_auc", "rank1") if is_main else ("roc_auc",):
                values = [
                    format_value(rows[size], figure) if size in rows else "" for size in sizes
                ]
                lines.append([f"{group}: {name}", STAGE_1_METRICS[figure], *values])
    count = {group: rows["encoder"][sizes[0]]["num_users"] for group, rows in groups.items()}
    who = ", ".join(f"{number} {group}" for group, number in count.items())
    return (
        f"**Who is it?** Users ({who}) compared by n enrolment and n probe images:\n\n"
        + markdown_table(["users: method", "figure", *(f"n = {size}" for size in sizes)], lines)
    )


def _headline_of_stage_2(result: Mapping[str, Any]) -> str:
    lines = []
    for group, sizes in result["saliency_differences"].items():
        for size, rows in sizes.items():
            p_values = rows["own_minus_swapped_p_value"]
            for metric, title in (("information_gain", "IG, bits per fixation"), ("cc", "CC")):
                own = result["saliency"][group][size]["own"]
                lines.append(
                    [
                        f"{group}, {size}",
                        title,
                        format_value(rows["own_minus_swapped"], metric, signed=True),
                        f"{p_values[metric]:.3f}",
                        format_value(rows["own_minus_mean"], metric, signed=True),
                        format_value(rows["own_minus_calibrated"], metric, signed=True),
                        format_value(own, metric),
                    ]
                )
    header = [
        "users, enrolment images",
        "metric",
        "own - swapped",
        "p",
        "own - mean",
        "own - calibrated",
        "own",
    ]
    return (
        "**Where will they look?** What a person's own embedding is worth, against another "
        "person's, against the mean one and against a calibration without learning (IG of `own` "
        "over the center prior):\n\n" + markdown_table(header, lines)
    )


def _metrics_table(methods: Mapping[str, Any], compared: Mapping[str, Any]) -> str:
    lines = [
        [
            _METHODS[method].format(**compared),
            size,
            *(format_value(row, key) for key in STAGE_1_METRICS),
        ]
        for method in _METHODS
        for size, row in methods.get(method, {}).items()
    ]
    return markdown_table(["method", "n", *STAGE_1_METRICS.values()], lines)


def _differences_table(differences: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    lines = [
        [name.replace("_", " "), size, *(format_value(row, key, signed=True) for key in figures)]
        for name, sizes in differences.items()
        for size, row in sizes.items()
    ]
    return markdown_table(["difference", "n", *figures.values()], lines)


def _conditions_table(sizes: Mapping[str, Any]) -> str:
    lines = [
        [title, size, *(format_value(rows[condition], key) for key in _METRICS)]
        for size, rows in sizes.items()
        for condition, title in _CONDITIONS.items()
        if condition in rows
    ]
    return markdown_table(["map", "n", *_METRICS.values()], lines)


def _saliency_differences_table(sizes: Mapping[str, Any]) -> str:
    lines = []
    for size, rows in sizes.items():
        for name, row in rows.items():
            if name.endswith("_p_value"):
                values = [f"{row[key]:.3f}" for key in _METRICS]
            else:
                values = [format_value(row, key, signed=True) for key in _METRICS]
            lines.append([name.replace("_", " "), size, *values])
    return markdown_table(["difference", "n", *_METRICS.values()], lines)


def _users(group: str, rows: Mapping[str, Any]) -> str:
    row = next(iter(rows.values()))
    return f"{row['num_users']} {group} users, {row['num_images']} images, {row['num_draws']} draws"


def format_value(row: Mapping[str, Any], key: str, *, signed: bool = False) -> str:
    """A figure with its interval; a dash where it is not known."""
    if row[key] is None:
        return "-"
    form = "+.3f" if signed else ".3f"
    # What rounds to zero has no sign.
    number, *interval = (
        f"{round(value, 3) + 0.0:{form}}" for value in (row[key], *row.get(f"{key}_interval", []))
    )
    return f"{number} [{', '.join(interval)}]" if interval else number


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
