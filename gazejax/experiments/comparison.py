"""Compares evaluated runs: every variant's figures over seeds and users, beside those of a base.

All runs of a table resample the same users and images, so that a difference to the base is paired:
of the same seed, in the same resample. What is not alike is refused, not averaged over.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from gazejax.evaluation.folds import GROUPS
from gazejax.experiments.read_runs import (
    EvaluatedRun,
    Variants,
    check_comparable,
    read_tables,
    splits_of_folds,
)
from gazejax.experiments.report import format_comparison
from gazejax.metrics import bootstrap
from gazejax.runtime.files import write_text


class ReportedMetric(NamedTuple):
    """A headline figure, or the difference of two.

    Attributes:
        users: `seen` or `unseen`.
        name: what it is called.
        size: number of enrolment images.
        path: where it stands in an evaluation.
        minus: where what is subtracted stands; None: nothing is.
    """

    users: str
    name: str
    size: int
    path: str
    minus: str | None = None


def compare(folders: Sequence[Path], out: Path) -> list[dict[str, Any]]:
    """Compares runs, prints the tables and writes them: Markdown, CSV and a plot of each.

    Args:
        folders: each the workdir of one run, or the folder of a sweep. Every base of a sweep is a
            table of its own; the single runs are one, whose base is the first of them. They are
            called by their folders.
        out: folder to write `comparison.md`, `comparison.csv` and `comparison_<table>.png` to.

    Returns:
        The rows of `table_of`, each with the name of its table.

    Raises:
        FileNotFoundError: if a folder is neither, or a run was not evaluated.
        ValueError: naming the runs, if one is missing, or they are not to be compared.
    """
    from gazejax import plots  # Here, since it takes a second.

    tables = read_tables(folders)
    for variants in tables.values():
        check_comparable(variants)
    rows = [
        {"table": name, **row} for name, variants in tables.items() for row in table_of(variants)
    ]
    text = format_comparison(rows, {name: describe(runs) for name, runs in tables.items()})
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "comparison.md", text)
    write_text(out / "comparison.csv", _as_csv(rows))
    for name in tables:
        of_table = [row for row in rows if row["table"] == name]
        if all(row["difference"] is None for row in of_table):
            continue  # One variant alone.
        plots.plot_differences(out / f"comparison_{name}.png", rows=of_table, title=name)
        if len({row["operations_per_embedding"] for row in of_table}) > 1:
            plots.plot_costs(out / f"costs_{name}.png", rows=of_table, title=name)
    print(text)
    return rows


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows, with two columns for each interval."""
    flat = []
    for row in rows:
        cells: dict[str, Any] = {}
        for key, value in row.items():
            if key.endswith("_interval"):
                stem = key.removesuffix("interval")
                cells[f"{stem}low"], cells[f"{stem}high"] = value or (None, None)
            else:
                cells[key] = value
        flat.append(cells)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return stream.getvalue()


def headline_metrics(variants: Variants) -> list[ReportedMetric]:
    """The headline figures that all runs have: at each number of images, of seen and unseen."""
    runs = [run for seeds in variants.values() for run in seeds.values()]
    found = []
    for users in GROUPS:
        for size in _common(run.evaluation["encoder"][users]["encoder"] for run in runs):
            path = f"encoder/{users}/encoder/{size}"
            for name in ("roc_auc", "rank1"):
                found.append(ReportedMetric(users, name, size, f"{path}/{name}"))
    if not all("saliency" in run.evaluation for run in runs):
        return found
    for users in GROUPS:
        for size in _common(run.evaluation["saliency"][users] for run in runs):
            path = f"saliency/{users}/{size}"
            for name in ("cc", "information_gain"):
                own = f"{path}/own/{name}"
                found.append(ReportedMetric(users, f"{name}_own", size, own))
                for other in ("swapped", "mean"):
                    found.append(
                        ReportedMetric(
                            users, f"{name}_own_minus_{other}", size, own, f"{path}/{other}/{name}"
                        )
                    )
    return found


def _common(sizes_of_runs: Iterable[Mapping[str, Any]]) -> list[int]:
    every = [set(sizes) for sizes in sizes_of_runs]
    return sorted(int(size) for size in set.intersection(*every))


def table_of(variants: Variants) -> list[dict[str, Any]]:
    """A row for each variant and headline figure.

    Each row has `value`, the mean over seeds, and `difference`, the mean of those to the base with
    the same seed; and beside each its `_interval`, of `mean_interval`. The difference is None for
    the base, and for seen users who are others than the base's. The costs are those of one run:
    means over seeds, and the highest peak.
    """
    base = next(iter(variants.values()))
    generator_seed = next(iter(base.values())).settings["seed"]
    rows = []
    for name, runs in variants.items():
        costs = [run.costs for run in runs.values()]
        told = {
            "variant": name,
            "seeds": len(runs),
            **{
                key: float(np.mean([cost[key] for cost in costs]))
                for key in (
                    "training_seconds",
                    "evaluation_seconds",
                    "operations_per_embedding",
                    "seconds_per_embedding",
                )
            },
            "peak_memory_bytes": max(cost["peak_memory_bytes"] for cost in costs),
        }
        has_same_users = all(
            splits_of_folds(run)["seen_users"] == splits_of_folds(base[seed])["seen_users"]
            for seed, run in runs.items()
        )
        for figure in headline_metrics(variants):
            values, resampled = _read(figure, [runs[seed] for seed in base])
            row: dict[str, Any] = {"users": figure.users, "figure": figure.name, "n": figure.size}
            low, high = mean_interval(values, resampled, seed=generator_seed)
            if figure.path.startswith("encoder/"):  # Shares, which nothing takes out of 0 to 1.
                low, high = max(low, 0.0), min(high, 1.0)
            row |= {"value": float(values.mean()), "value_interval": [low, high]}
            row |= {"difference": None, "difference_interval": None}
            if runs is not base and (has_same_users or figure.users == "unseen"):
                base_values, base_resampled = _read(figure, list(base.values()))
                differences, resampled = values - base_values, resampled - base_resampled
                row["difference"] = float(differences.mean())
                row["difference_interval"] = mean_interval(
                    differences, resampled, seed=generator_seed
                )
            rows.append(told | row)
    return rows


def mean_interval(
    values: Float[np.ndarray, " run"],
    resampled: Float[np.ndarray, "run resample"],
    *,
    seed: int,
) -> list[float]:
    """95 % interval of a mean over training seeds, for other users, images and seeds.

    A resample holds the same users and images in every run, so that its values are averaged over
    runs. Another few seeds would have had another mean: how far it may be from that of all seeds,
    in units of the standard error of these, is distributed as Student's t with one degree of
    freedom less than there are seeds, if the seeds' values are normal. A draw of it, independent of
    the users and images, is added to each resample. With two seeds its quantile is 12.7, with three
    4.3, with five 2.8: few seeds say little of how much they differ, and the interval says so. With
    one seed nothing is added, and the interval is for other users and images alone.

    Args:
        values: the figure of each run, of one variant with another seed each.
        resampled: its resamples.
        seed: of the order in which draws and resamples meet.

    Source: ours; the t distribution of a mean is Student's (1908).
    """
    number, num_resamples = resampled.shape
    means = resampled.mean(axis=0)
    if number > 1:
        # Evenly spread over the distribution in place of drawn at random.
        draws = special.stdtrit(number - 1, (np.arange(num_resamples) + 0.5) / num_resamples)
        error = values.std(ddof=1) / np.sqrt(number)
        means = means + error * np.random.default_rng(seed).permutation(draws)
    return bootstrap.interval(means)


def _read(figure: ReportedMetric, runs: Sequence[EvaluatedRun]) -> tuple[np.ndarray, np.ndarray]:
    """A figure of each run, and its resamples."""

    def point(run: EvaluatedRun, path: str) -> float:
        value: Any = run.evaluation
        for key in path.split("/"):
            value = value[key]
        return value

    values = np.array([point(run, figure.path) for run in runs], float)
    resampled = np.stack([run.resamples[figure.path] for run in runs]).astype(float)
    if figure.minus is not None:
        values -= [point(run, figure.minus) for run in runs]
        resampled -= np.stack([run.resamples[figure.minus] for run in runs])
    return values, resampled


def describe(variants: Variants) -> dict[str, Any]:
    """What exactly was compared, for the text above a table."""
    runs = [run for seeds in variants.values() for run in seeds.values()]
    compared = runs[0].evaluation["compared"]
    return {
        "data": compared["data"],
        "purpose": compared["purpose"],
        "folds": len(runs[0].splits),
        "test_images": len(runs[0].splits[0]["test_images"]),
        "seeds": sorted(next(iter(variants.values()))),
        "commits": sorted({run.evaluation["compared"]["commit"] or "unknown" for run in runs}),
        "resamples": compared["resamples"],
        "has_stage_2": any("saliency" in run.evaluation for run in runs),
    }
