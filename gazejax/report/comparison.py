"""The page of a comparison of runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from gazejax.evaluation.session_texts import SESSIONS
from gazejax.report.html import from_markdown, render


def make_comparison(
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    described: Mapping[str, Mapping[str, Any]],
    text: str,
) -> str:
    """Makes the page.

    Args:
        tables: rows of each table: `variant`, `users`, `metric`, `n`, `difference` to the variant
            of the first row and `difference_interval` (None: not known), and the costs.
        described: what was compared in each table.
        text: all tables, Markdown.

    Returns:
        HTML.
    """
    return render(
        "comparison.html.jinja",
        generator="gazejax compare",
        tables=[_table(name, rows, described[name]) for name, rows in tables.items()],
        details=from_markdown(text),
    )


def _table(
    name: str, rows: Sequence[Mapping[str, Any]], compared: Mapping[str, Any]
) -> dict[str, Any]:
    from gazejax import plots  # Imported here: matplotlib takes a second.

    known = [row for row in rows if row["difference"] is not None]
    differences = costs = None
    slug = plots.slug(name)
    if known:
        alt = f"Differences to {rows[0]['variant']} with intervals; the tables have the values."
        drawing = plots.draw_differences(rows=rows, title=name)
        differences = Markup(plots.to_svg(drawing, name=f"differences-{slug}", alt=alt))
    if len({row["operations_per_embedding"] for row in rows}) > 1:
        drawing = plots.draw_costs(rows=rows, title=name)
        costs = Markup(plots.to_svg(drawing, name=f"costs-{slug}", alt="ROC-AUC over the cost."))
    seeds = compared["seeds"]
    what = (
        f"{compared['data']}, {compared['test_images']} test images, training seed"
        f"{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}."
    )
    not_shown = [f"Nothing of the other differences: {_few(_open_variants(known))}."]
    if len(seeds) == 1:
        not_shown.append("What another training seed gives: there is one.")
    return {
        "name": name,
        "what": what,
        "base": rows[0]["variant"],
        "shown": _in_words(known),
        "not_shown": [*not_shown, SESSIONS[compared.get("sessions")]],
        "differences": differences,
        "costs": costs,
    }


def _is_clear(row: Mapping[str, Any]) -> bool:
    low, high = row["difference_interval"] or (0, 0)
    return bool(low > 0 or high < 0)


def _in_words(known: Sequence[Mapping[str, Any]]) -> list[str]:
    """The differences whose interval leaves out zero, those of several n in one sentence."""
    from gazejax.plots.differences import COMPARED_METRICS

    groups: dict[tuple[str, str, str, bool], list[Mapping[str, Any]]] = {}
    for row in filter(_is_clear, known):
        key = row["variant"], row["users"], row["metric"], row["difference"] > 0
        groups.setdefault(key, []).append(row)
    found = []
    for (variant, users, metric, is_higher), rows in groups.items():
        name = COMPARED_METRICS.get(metric, metric.replace("_", " "))
        values = ", ".join(f"{row['difference']:+.3f} (n = {row['n']})" for row in rows)
        found.append(
            f"{variant}: {'higher' if is_higher else 'lower'} {name}, {users} users: {values}."
        )
    return found


def _open_variants(known: Sequence[Mapping[str, Any]]) -> list[str]:
    """Variants none of whose differences leaves out zero."""
    clear = {row["variant"] for row in known if _is_clear(row)}
    return [name for name in dict.fromkeys(row["variant"] for row in known) if name not in clear]


def _few(names: Sequence[str]) -> str:
    if not names:
        return "each variant has one that is shown"
    return f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} none that is shown"
