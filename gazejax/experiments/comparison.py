"""Compares evaluated runs: the metrics of variants over seeds and users, and those of a base.

All runs of a table resample the same users and images. A difference to the base is therefore
paired: both runs have the same seed and the same resample. Other runs are refused.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy
from jaxtyping import Float

from gazejax.evaluation.folds import GROUPS
from gazejax.evaluation.session_texts import ACROSS
from gazejax.experiments.read_runs import (
    EvaluatedRun,
    Variants,
    check_comparable,
    read_tables,
    splits_of_folds,
)
from gazejax.experiments.report import format_comparison
from gazejax.metrics import bootstrap
from gazejax.report.comparison import make_comparison
from gazejax.runtime.files import write_text


class ReportedMetric(NamedTuple):
    """A headline metric, or the difference of two metrics.

    Attributes:
        users: `seen` or `unseen`.
        name: name of the metric.
        size: number of enrolment images.
        path: path of the metric in `evaluation.json`, with slashes.
        minus: path of the metric to subtract; None: no difference.
    """

    users: str
    name: str
    size: int
    path: str
    minus: str | None = None


def compare(folders: Sequence[Path], out: Path) -> list[dict[str, Any]]:
    """Compares runs, prints the tables, and writes a page, Markdown, CSV and plots.

    Args:
        folders: workdirs of single runs, and folders of sweeps. Each base of a sweep gives one
            table. All single runs give one table, with the first run as its base; they are named
            by their folders.
        out: folder to write `comparison.html`, `.md` and `.csv`, `comparison_<table>.png` and
            `costs_<table>.png` to.

    Returns:
        The rows of `table_of`, each with the name of its `table`.

    Raises:
        FileNotFoundError: if a folder is no workdir and no sweep, or a run was not evaluated.
        ValueError: naming the runs, if a run is missing or the runs are not comparable.
    """
    from gazejax import plots  # Imported here: matplotlib takes a second.

    tables = read_tables(folders)
    for variants in tables.values():
        check_comparable(variants)
    rows = [
        {"table": name, **row} for name, variants in tables.items() for row in table_of(variants)
    ]
    described = {name: describe(runs) for name, runs in tables.items()}
    text = format_comparison(rows, described)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "comparison.md", text)
    write_text(out / "comparison.csv", _as_csv(rows))
    of_tables = {name: [row for row in rows if row["table"] == name] for name in tables}
    write_text(out / "comparison.html", make_comparison(of_tables, described, text))
    for name, of_table in of_tables.items():
        if all(row["difference"] is None for row in of_table):
            continue  # The table has one variant.
        drawing = plots.draw_differences(rows=of_table, title=name)
        plots.save_png(drawing, out / f"comparison_{name}.png")
        if len({row["operations_per_embedding"] for row in of_table}) > 1:
            drawing = plots.draw_costs(rows=of_table, title=name)
            plots.save_png(drawing, out / f"costs_{name}.png")
    print(f"{text}\npage: {out / 'comparison.html'}")
    return rows


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV; an interval gives two columns."""
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
    """The headline metrics that all runs have, for seen and unseen users and numbers of images."""
    runs = [run for seeds in variants.values() for run in seeds.values()]
    found = []
    for users in GROUPS:
        for end in ("", ACROSS):
            tables = [run.evaluation.get(f"encoder{end}", {}).get(users) for run in runs]
            for size in _common(table["encoder"] if table else {} for table in tables):
                path = f"encoder{end}/{users}/encoder/{size}"
                for name in ("roc_auc", "rank1"):
                    found.append(ReportedMetric(users, name + end, size, f"{path}/{name}"))
    if not all("saliency" in run.evaluation for run in runs):
        return found
    for users in GROUPS:
        for size in _common(run.evaluation["saliency"].get(users, {}) for run in runs):
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
    """A row for each variant and headline metric.

    `value` is the mean over seeds. `difference` is the mean difference to the base run with the
    same seed. `value_interval` and `difference_interval` are those of `mean_interval`. The
    difference is None for the base, and for seen users that differ from the seen users of the base.
    Costs are those of one run: means over seeds, and the highest peak of memory.
    """
    base = next(iter(variants.values()))
    generator_seed = next(iter(base.values())).settings["eval.seed"]
    metrics = headline_metrics(variants)
    rows = []
    for name, runs in variants.items():
        costs = [run.costs for run in runs.values()]
        common = {
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
        for metric in metrics:
            values, resampled = _read(metric, [runs[seed] for seed in base])
            row: dict[str, Any] = {"users": metric.users, "metric": metric.name, "n": metric.size}
            low, high = mean_interval(values, resampled, seed=generator_seed)
            if metric.path.startswith("encoder"):  # Shares lie between 0 and 1.
                low, high = max(low, 0.0), min(high, 1.0)
            row |= {"value": float(values.mean()), "value_interval": [low, high]}
            row |= {"difference": None, "difference_interval": None}
            if runs is not base and (has_same_users or metric.users == "unseen"):
                base_values, base_resampled = _read(metric, list(base.values()))
                differences, resampled = values - base_values, resampled - base_resampled
                row["difference"] = float(differences.mean())
                row["difference_interval"] = mean_interval(
                    differences, resampled, seed=generator_seed
                )
            rows.append(common | row)
    return rows


def mean_interval(
    values: Float[np.ndarray, " run"],
    resampled: Float[np.ndarray, "run resample"],
    *,
    seed: int,
) -> list[float]:
    """95 % interval of a mean over training seeds, over users, images and seeds.

    A resample has the same users and images in all runs, and its values are averaged over runs.
    The mean over few seeds deviates from the mean over all seeds. If the values of the seeds are
    normal, this deviation in units of the standard error has Student's t distribution, with one
    degree of freedom less than the number of seeds. A quantile of this distribution, independent of
    users and images, is added to each resample. The 97.5 % quantile is 12.7 with two seeds, 4.3
    with three and 2.8 with five: with few seeds, the interval is wide. With one seed nothing is
    added, and the interval is over users and images alone.

    Args:
        values: the metric of each run; the runs are of one variant and differ in their seeds.
        resampled: resamples of the metric of each run.
        seed: seed of the permutation that pairs quantiles with resamples.

    Returns:
        Lower and upper end.

    Source: ours; the t distribution of a mean is Student's (1908).
    """
    number, num_resamples = resampled.shape
    means = resampled.mean(axis=0)
    if number > 1:
        # Evenly spaced quantiles, not random samples.
        evenly = (np.arange(num_resamples) + 0.5) / num_resamples
        quantiles = scipy.special.stdtrit(number - 1, evenly)
        error = values.std(ddof=1) / np.sqrt(number)
        means = means + error * np.random.default_rng(seed).permutation(quantiles)
    return bootstrap.interval(means)


def _read(metric: ReportedMetric, runs: Sequence[EvaluatedRun]) -> tuple[np.ndarray, np.ndarray]:
    """A metric of each run, and its resamples."""

    def point(run: EvaluatedRun, path: str) -> float:
        value: Any = run.evaluation
        for key in path.split("/"):
            value = value[key]
        return value

    values = np.array([point(run, metric.path) for run in runs], float)
    resampled = np.stack([run.resamples[metric.path] for run in runs]).astype(float)
    if metric.minus is not None:
        values -= [point(run, metric.minus) for run in runs]
        resampled -= np.stack([run.resamples[metric.minus] for run in runs])
    return values, resampled


def describe(variants: Variants) -> dict[str, Any]:
    """Data, splits, seeds and commits of a comparison, for the text above a table."""
    runs = [run for seeds in variants.values() for run in seeds.values()]
    compared = runs[0].evaluation["compared"]
    return {
        "data": compared["data"],
        "purpose": compared["purpose"],
        "sessions": compared.get("sessions"),
        "folds": len(runs[0].splits),
        "others": [*runs[0].evaluation.get("datasets", {})],
        "test_images": compared["test_images"],
        "seeds": sorted(next(iter(variants.values()))),
        "commits": sorted({run.evaluation["compared"]["commit"] or "unknown" for run in runs}),
        "resamples": compared["resamples"],
        "has_stage_2": any("saliency" in run.evaluation for run in runs),
    }
