"""Formats a comparison as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gazejax.evaluation.formats import format_value, markdown_table
from gazejax.evaluation.report import STAGE_1_METRICS
from gazejax.evaluation.session_texts import ACROSS, SESSIONS, seen_in_all


def format_comparison(
    rows: Sequence[Mapping[str, Any]], described: Mapping[str, Mapping[str, Any]]
) -> str:
    """Formats the result of `comparison.compare` as Markdown.

    Args:
        rows: rows of all tables, one for each variant and metric.
        described: `comparison.describe` of each table.
    """
    parts = []
    for name, compared in described.items():
        of_table = [row for row in rows if row["table"] == name]
        parts += [
            f"## {name}",
            _what_was_averaged(compared),
            _comparison_of_stage_1(of_table, compared),
        ]
        if any(row["metric"].startswith("cc") for row in of_table):
            parts.append(_comparison_of_stage_2(of_table, compared))
        elif compared["has_stage_2"]:
            parts.append("Stage 2 is left out: not all runs have it.")
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
        header += ["operations per embedding", "time per embedding, one device"]
        parts.append("**Costs** of one run, on the host:\n\n" + markdown_table(header, lines))
    return "\n\n".join(parts) + "\n"


def _what_was_averaged(compared: Mapping[str, Any]) -> str:
    seeds = compared["seeds"]
    if len(seeds) > 1:
        what = f"Means over training seeds {', '.join(map(str, seeds))}"
        over = "over users, images and seeds"
    else:
        what = f"Training seed {seeds[0]} alone"
        over = "over users and images alone: the metrics of another seed may differ"
    validation = " (validation)" if compared["purpose"] == "validation" else ""
    others = ", ".join(compared["others"])
    not_compared = f" The other data sets of the runs ({others}) are not compared." * bool(others)
    return (
        f"{compared['data']}{validation}, folds: {compared['folds']}, {compared['test_images']} "
        f"test images; commit {', '.join(compared['commits'])}. {what}; in brackets 95 % intervals "
        f"{over}, {compared['resamples']} resamples. A difference to the base is paired: the same "
        f"users, images and seeds.{not_compared}"
    )


def _comparison_of_stage_1(rows: Sequence[Mapping[str, Any]], compared: Mapping[str, Any]) -> str:
    titles = {
        metric + end: STAGE_1_METRICS[metric] + title
        for end, title in (("", ""), (ACROSS, f", across {compared['sessions']}"))
        for metric in ("roc_auc", "rank1")
    }
    sizes = sorted({row["n"] for row in rows if row["metric"] in titles})
    lines = []
    for users in dict.fromkeys(row["users"] for row in rows):
        for metric, title in titles.items():
            for name, cells in _variants_and_differences(
                [row for row in rows if (row["users"], row["metric"]) == (users, metric)], "n"
            ):
                values = [cells.get(size, "") for size in sizes]
                lines.append([f"{users}: {name}", title, *values])
    sessions = SESSIONS[compared["sessions"]]
    if any(row["metric"].endswith(ACROSS) for row in rows):
        sessions += seen_in_all(compared["sessions"])
    return (
        f"**Verification.** Compared by n enrolment and n probe images. {sessions}\n\n"
        + markdown_table(["users: variant", "metric", *(f"n = {size}" for size in sizes)], lines)
    )


def _comparison_of_stage_2(rows: Sequence[Mapping[str, Any]], compared: Mapping[str, Any]) -> str:
    titles = {
        f"{metric}_own{end}": f"{title}, own{minus}"
        for metric, title in (("cc", "CC"), ("information_gain", "IG, bits"))
        for end, minus in (("", ""), ("_minus_swapped", " - swapped"), ("_minus_mean", " - mean"))
    }
    rows = [row for row in rows if row["metric"] in titles]
    lines = []
    for users, size in dict.fromkeys((row["users"], row["n"]) for row in rows):
        for name, cells in _variants_and_differences(
            [row for row in rows if (row["users"], row["n"]) == (users, size)], "metric"
        ):
            lines.append([f"{users}, {size}: {name}", *(cells[metric] for metric in titles)])
    is_within = compared["sessions"] in ("sessions", "repeats")
    within = f" Users enrol in the {compared['sessions']} that are predicted." * is_within
    return f"**Prediction.**{within}\n\n" + markdown_table(
        ["users, enrolment images: variant", *titles.values()], lines
    )


def _variants_and_differences(
    rows: Sequence[Mapping[str, Any]], column: str
) -> Iterator[tuple[str, dict[Any, str]]]:
    """The values of each variant, then their differences to the base, by the entry of a column."""
    base = rows[0]["variant"] if rows else None
    for variant in dict.fromkeys(row["variant"] for row in rows):
        own = {row[column]: row for row in rows if row["variant"] == variant}
        yield variant, {key: format_value(row, "value") for key, row in own.items()}
        if variant != base:
            yield (
                f"{variant} - {base}",
                {key: format_value(row, "difference", signed=True) for key, row in own.items()},
            )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
