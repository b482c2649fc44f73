"""Rules of single values of a config: the allowed values, as a text and as a test."""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Rule(NamedTuple):
    """Allowed values of a key.

    Attributes:
        allowed: the allowed values as a text, for errors.
        test: value -> whether the value is allowed.
    """

    allowed: str
    test: Callable[[Any], bool]


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def integer(least: int) -> Rule:
    """An integer with a lower bound."""
    return Rule(
        f"an integer of at least {least}", lambda value: _is_integer(value) and value >= least
    )


def number(least: float, most: float = math.inf, *, open_below: bool = False) -> Rule:
    """A finite number between two bounds, without `least` if `open_below`."""

    def test(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (
            math.isfinite(value)
            and (value > least if open_below else value >= least)
            and (value <= most)
        )

    bound = f"above {least}" if open_below else f"of at least {least}"
    return Rule(f"a number {bound}" + (f", at most {most}" if most < math.inf else ""), test)


def one_of(*choices: str) -> Rule:
    """One of the given texts."""
    return Rule(
        "one of " + ", ".join(repr(choice) for choice in choices),
        lambda value: isinstance(value, str) and value in choices,
    )


def some_of(choices: Iterable[Any]) -> Rule:
    """A tuple of one or more different choices."""
    names = tuple(choices)
    return Rule(
        "a tuple of different entries of " + ", ".join(repr(name) for name in names),
        lambda value: (
            isinstance(value, tuple)
            and len(value) == len(set(value)) > 0
            and set(value) <= set(names)
        ),
    )


def integers(least: int, length: int | None = None) -> Rule:
    """A tuple of integers with a lower bound, of any length or of a given length."""

    def test(value: Any) -> bool:
        if not isinstance(value, tuple) or not value or (length and len(value) != length):
            return False
        return all(_is_integer(entry) and entry >= least for entry in value)

    number = length or "one or more"
    return Rule(f"a tuple of {number} integers of at least {least}", test)


def numbers(least: float) -> Rule:
    """A tuple of numbers with a lower bound."""
    one = number(least)

    def test(value: Any) -> bool:
        return isinstance(value, tuple) and len(value) > 0 and all(map(one.test, value))

    return Rule(f"a tuple of one or more numbers of at least {least}", test)


def or_none(rule: Rule) -> Rule:
    """The allowed values of another rule, or None."""
    return Rule(f"{rule.allowed}, or None", lambda value: value is None or rule.test(value))


def _names_datasets(value: Any) -> bool:
    if not TEXT.test(value):
        return False
    names = value.split(",")
    # Users and images of one of several data sets are named NAME:ID.
    are_clear = all(name and name == name.strip() and ":" not in name for name in names)
    return len(names) == 1 or (are_clear and len(names) == len(set(names)))


BOOLEAN = Rule("True or False", lambda value: isinstance(value, bool))

TEXT = Rule("a text that is not empty", lambda value: isinstance(value, str) and value != "")

DATASETS = Rule(
    "the name of a data set, or different names separated by commas, without blanks and colons",
    _names_datasets,
)
