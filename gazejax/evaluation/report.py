"""An evaluation as tables for people, in Markdown.

First what was compared and the headline of both stages, then everything. Brackets hold the 95 %
interval. The part before `DETAILS` is short enough for a README.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
_FIGURES = {
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


def format_elsewhere(result: Mapping[str, Any]) -> str:
    """Writes what `evaluation.evaluate_elsewhere` found as Markdown."""
    compared = result["compared"]
    first = next(iter(result["encoder"]["encoder"].values()))
    return "\n\n".join(
        [
            f"{first['num_users']} people of `{compared['data']}`, {first['num_images']} images; "
            f"encoder trained on `{compared['trained_on']}`, seed {compared['training_seed']}, "
            f"folds {compared['evaluated_folds']}, {compared['encoder_draws']} draws, commit "
            f"{compared['commit']}, {compared['date']}. Brackets: 95 % interval over users.",
            _figures_table(result["encoder"], compared),
            "Encoder minus control, paired:",
            _differences_table(result["encoder_differences"], _FIGURES),
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
        parts.append(_figures_table(methods, result["compared"]))
        parts.append("Encoder minus control, paired:")
        parts.append(_differences_table(result["encoder_differences"][group], _FIGURES))
    for group, sizes in result.get("saliency", {}).items():
        rows = next(iter(sizes.values()))
        parts.append(f"### Where will they look? {_users(group, rows)}")
        parts.append(_conditions_table(sizes))
        parts.append("Paired differences, and p-values of own better than swapped:")
        parts.append(_saliency_differences_table(result["saliency_differences"][group]))
    return "\n\n".join(parts) + "\n"


def format_enrolment(result: Mapping[str, Any]) -> str:
    """Writes what `enrolment.calibrate` found as Markdown."""
    figures, lines = result["figures"], []
    for size, chosen in figures["chosen"].items():
        random, difference = (figures[key][size] for key in ("random", "chosen_minus_random"))
        worth = chosen["worth_random_images"]
        lines.append(
            [
                size,
                _value(chosen, "roc_auc"),
                _value(random, "roc_auc"),
                _value(difference, "roc_auc", signed=True),
                _value(difference, "rank1", signed=True),
                "more than were tried" if worth is None else f"{worth:.1f}",
            ]
        )
    header = ["n", "ROC-AUC, chosen", "random", "difference", "of rank-1", "random images for that"]
    shown = "\n".join(
        f"- {'images to show' if fold == '.' else fold}: {', '.join(names)}"
        for fold, names in result["images"].items()
    )
    compared = (
        f"**Which images to show?** {result['num_users']} unseen people of `{result['data']}`, "
        "told apart by n images that are chosen by the seen users or drawn, and n others; "
        f"{result['halves']} halvings of {result['num_images'][0]} test images, {result['probes']} "
        f"probes each, commit {result['commit']}. Brackets: 95 % interval over users and images."
    )
    return "\n\n".join([compared, _table(header, lines), "The best first:", shown]) + "\n"


def format_knowledge(result: Mapping[str, Any]) -> str:
    """Writes what `knowledge.explain` found as Markdown."""
    lines = [
        [
            name,
            f"{row['correlation']:.2f}",
            f"{row['p_value']:.3g}",
            f"{row['seen_correlation']:.2f}",
        ]
        for name, row in result["traits"].items()
    ]
    header = ["trait", "correlation, unseen", "p", "left-out seen users"]
    compared = (
        f"**What does an embedding know?** Traits of {result['num_users']} unseen people of "
        f"`{result['data']}`, predicted by straight lines from embeddings of "
        f"{result['num_images']} images, fitted on the seen users; folds {result['folds']}, "
        f"training seed {result['training_seed']}, commit {result['commit']}. p: of as high a "
        "correlation, were the unseen people permuted."
    )
    return f"{compared}\n\n{_table(header, lines)}\n"


def format_comparison(
    rows: Sequence[Mapping[str, Any]], described: Mapping[str, Mapping[str, Any]]
) -> str:
    """Writes what `comparison.compare` found as Markdown.

    Args:
        rows: of all tables, a row for each variant and figure.
        described: what was compared in each table.
    """
    parts = []
    for name, compared in described.items():
        of_table = [row for row in rows if row["table"] == name]
        parts += [f"## {name}", _what_was_averaged(compared), _comparison_of_stage_1(of_table)]
        if any(row["figure"].startswith("cc") for row in of_table):
            parts.append(_comparison_of_stage_2(of_table))
        elif compared["has_stage_2"]:
            parts.append("Stage 2 is left out: not every run has it.")
        costs = {row["variant"]: row for row in of_table}
        lines = [
            [
                variant,
                f"{row['seeds']}",
                _duration(row["training_seconds"]),
                _duration(row["evaluation_seconds"]),
                f"{row['peak_memory_bytes'] / 1e9:.2f} GB",
                f"{row['operations_per_embedding'] / 1e6:.2f} million",
                f"{row['seconds_per_embedding'] * 1e6:.0f} µs",
            ]
            for variant, row in costs.items()
        ]
        header = ["variant", "runs", "training, mean", "evaluation, mean", "peak memory, highest"]
        header += ["operations per embedding", "time of it, one device"]
        parts.append("**What does it cost?** A run, on the host:\n\n" + _table(header, lines))
    return "\n\n".join(parts) + "\n"


def _what_was_averaged(compared: Mapping[str, Any]) -> str:
    seeds = compared["seeds"]
    if len(seeds) > 1:
        what = f"Means over training seeds {', '.join(map(str, seeds))}"
        over = "over users, images and seeds"
    else:
        what = f"Training seed {seeds[0]} alone"
        over = "over users and images alone: another seed may give another figure"
    validation = " (validation)" if compared["purpose"] == "validation" else ""
    return (
        f"{compared['data']}{validation}, folds: {compared['folds']}, {compared['test_images']} "
        f"test images; commit {', '.join(compared['commits'])}. {what}; in brackets 95 % intervals "
        f"{over}, {compared['resamples']} resamples. A difference to the base is paired: the same "
        "users, images and seeds."
    )


def _comparison_of_stage_1(rows: Sequence[Mapping[str, Any]]) -> str:
    sizes = sorted({row["n"] for row in rows if row["figure"] == "roc_auc"})
    lines = []
    for users in dict.fromkeys(row["users"] for row in rows):
        for figure in ("roc_auc", "rank1"):
            for name, cells in _variants_and_differences(
                [row for row in rows if (row["users"], row["figure"]) == (users, figure)], "n"
            ):
                values = [cells[size] for size in sizes]
                lines.append([f"{users}: {name}", _FIGURES[figure], *values])
    return "**Who is it?** Compared by n enrolment and n probe images:\n\n" + _table(
        ["users: variant", "figure", *(f"n = {size}" for size in sizes)], lines
    )


def _comparison_of_stage_2(rows: Sequence[Mapping[str, Any]]) -> str:
    titles = {
        f"{metric}_own{end}": f"{title}, own{minus}"
        for metric, title in (("cc", "CC"), ("information_gain", "IG, bits"))
        for end, minus in (("", ""), ("_minus_swapped", " - swapped"), ("_minus_mean", " - mean"))
    }
    rows = [row for row in rows if row["figure"] in titles]
    lines = []
    for users, size in dict.fromkeys((row["users"], row["n"]) for row in rows):
        for name, cells in _variants_and_differences(
            [row for row in rows if (row["users"], row["n"]) == (users, size)], "figure"
        ):
            lines.append([f"{users}, {size}: {name}", *(cells[figure] for figure in titles)])
    return "**Where will they look?**\n\n" + _table(
        ["users, enrolment images: variant", *titles.values()], lines
    )


def _variants_and_differences(
    rows: Sequence[Mapping[str, Any]], column: str
) -> Iterator[tuple[str, dict[Any, str]]]:
    """Of each variant its values, then their differences to the base, by what is in a column."""
    base = rows[0]["variant"]
    for variant in dict.fromkeys(row["variant"] for row in rows):
        own = {row[column]: row for row in rows if row["variant"] == variant}
        yield variant, {key: _value(row, "value") for key, row in own.items()}
        if variant != base:
            yield (
                f"{variant} - {base}",
                {key: _value(row, "difference", signed=True) for key, row in own.items()},
            )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


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
                values = [_value(rows[size], figure) if size in rows else "" for size in sizes]
                lines.append([f"{group}: {name}", _FIGURES[figure], *values])
    count = {group: rows["encoder"][sizes[0]]["num_users"] for group, rows in groups.items()}
    who = ", ".join(f"{number} {group}" for group, number in count.items())
    return f"**Who is it?** Users ({who}) compared by n enrolment and n probe images:\n\n" + _table(
        ["users: method", "figure", *(f"n = {size}" for size in sizes)], lines
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
                        _value(rows["own_minus_swapped"], metric, signed=True),
                        f"{p_values[metric]:.3f}",
                        _value(rows["own_minus_mean"], metric, signed=True),
                        _value(rows["own_minus_calibrated"], metric, signed=True),
                        _value(own, metric),
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
        "over the center prior):\n\n" + _table(header, lines)
    )


def _figures_table(methods: Mapping[str, Any], compared: Mapping[str, Any]) -> str:
    lines = [
        [_METHODS[method].format(**compared), size, *(_value(row, key) for key in _FIGURES)]
        for method in _METHODS
        for size, row in methods.get(method, {}).items()
    ]
    return _table(["method", "n", *_FIGURES.values()], lines)


def _differences_table(differences: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    lines = [
        [name.replace("_", " "), size, *(_value(row, key, signed=True) for key in figures)]
        for name, sizes in differences.items()
        for size, row in sizes.items()
    ]
    return _table(["difference", "n", *figures.values()], lines)


def _conditions_table(sizes: Mapping[str, Any]) -> str:
    lines = [
        [title, size, *(_value(rows[condition], key) for key in _METRICS)]
        for size, rows in sizes.items()
        for condition, title in _CONDITIONS.items()
        if condition in rows
    ]
    return _table(["map", "n", *_METRICS.values()], lines)


def _saliency_differences_table(sizes: Mapping[str, Any]) -> str:
    lines = []
    for size, rows in sizes.items():
        for name, row in rows.items():
            if name.endswith("_p_value"):
                values = [f"{row[key]:.3f}" for key in _METRICS]
            else:
                values = [_value(row, key, signed=True) for key in _METRICS]
            lines.append([name.replace("_", " "), size, *values])
    return _table(["difference", "n", *_METRICS.values()], lines)


def _users(group: str, rows: Mapping[str, Any]) -> str:
    row = next(iter(rows.values()))
    return f"{row['num_users']} {group} users, {row['num_images']} images, {row['num_draws']} draws"


def _value(row: Mapping[str, Any], key: str, *, signed: bool = False) -> str:
    """A figure with its interval; a dash where it is not known."""
    if row[key] is None:
        return "-"
    form = "+.3f" if signed else ".3f"
    # What rounds to zero has no sign.
    number, *interval = (
        f"{round(value, 3) + 0.0:{form}}" for value in (row[key], *row.get(f"{key}_interval", []))
    )
    return f"{number} [{', '.join(interval)}]" if interval else number


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
