"""Tables of few-shot identification, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from gazejax.evaluation.formats import format_value, markdown_table

_METRICS = {"rank1": "rank-1", "rank3": "rank-3", "mrr": "MRR"}


def format_few_shot(few_shot: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """One row for each method and metric, one column for each n.

    Args:
        few_shot: result of `people.identify_users`.
        titles: of the methods.
    """
    sizes = list(few_shot["one_viewing"]["encoder"])
    lines = [
        [title, _METRICS[metric], *(format_value(rows[size], metric) for size in sizes)]
        for title, rows, metrics in _rows(few_shot, titles)
        for metric in metrics
    ]
    lines += [
        ["chance", title, *[format_value(few_shot["chance"], metric)] * len(sizes)]
        for metric, title in _METRICS.items()
    ]
    return (
        f"**Few-shot identification.** {few_shot['num_users']} unseen users enrol with n training "
        f"images ({few_shot['num_draws']} draws). Probes are {few_shot['num_images']} test images: "
        "one viewing, or all viewings of a user averaged; or one viewing, by which user's "
        "predicted map gives its fixations the highest mean log density. Ties count as errors; the "
        "intervals resample few users:\n\n"
        + markdown_table(["probe: method", "metric", *(f"n = {size}" for size in sizes)], lines)
    )


def few_shot_users(few_shot: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Rank-1 of each user; arguments as of `format_few_shot`."""
    rows_of = _rows(few_shot, titles)
    names = next(iter(rows_of[0][1].values()))["users"]
    lines = [
        [title, size, *(format_value(row["users"][name], "rank1") for name in names)]
        for title, rows, _ in rows_of
        for size, row in rows.items()
    ]
    return markdown_table(["probe: method", "n", *(f"user {name}" for name in names)], lines)


def _rows(
    few_shot: Mapping[str, Any], titles: Mapping[str, str]
) -> list[tuple[str, Mapping[str, Any], Sequence[str]]]:
    """Title, rows by n and shown metrics of each kind of probe and method."""
    found: list[tuple[str, Mapping[str, Any], Sequence[str]]] = [
        (f"{probe}: {titles[method]}", rows, ["rank1"])
        for probe, key in (("one viewing", "one_viewing"), ("all viewings", "all_viewings"))
        for method, rows in few_shot[key].items()
    ]
    if "own_map" in few_shot:
        title = "one viewing: predicted map that fits best"
        found.append((title, few_shot["own_map"], list(_METRICS)))
    return found
