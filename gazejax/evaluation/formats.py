"""Values, numbers of users and tables of a report, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def format_value(row: Mapping[str, Any], key: str, *, signed: bool = False) -> str:
    """Formats a metric with its interval; a dash if the metric is None."""
    if row[key] is None:
        return "-"
    form = "+.3f" if signed else ".3f"
    # A value that rounds to zero has no sign.
    number, *interval = (
        f"{round(value, 3) + 0.0:{form}}" for value in (row[key], *row.get(f"{key}_interval", []))
    )
    return f"{number} [{', '.join(interval)}]" if interval else number


def format_value_of_users(row: Mapping[str, Any], key: str, most: int | None) -> str:
    """The same, and of how many users if that is not the most."""
    number = row.get("num_users")  # The chance level has none.
    is_of_all = number is None or number == most
    return format_value(row, key) + ("" if is_of_all else f" ({number} users)")


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Formats a table in Markdown."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def format_count(numbers: Iterable[int]) -> str:
    """Formats how many there are: a number, or the least and the most.

    Example:
        >>> format_count([12, 9, 12]), format_count([5, 5])
        ('9 to 12', '5')
    """
    found = sorted(set(numbers))
    return f"{found[0]} to {found[-1]}" if len(found) > 1 else str(found[0])
