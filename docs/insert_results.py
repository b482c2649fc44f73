"""Puts the headline of evaluations into a text: `make readme`.

    python docs/insert_results.py README.md osie=runs/osie/evaluation.md

replaces what is between the lines `<!-- results: osie -->` and `<!-- end of results -->`.
"""

import sys
from pathlib import Path

from gazejax.report import headline

END = "<!-- end of results -->"


def insert(text: str, name: str, results: str) -> str:
    """Replaces the results of one name in a text.

    Raises:
        ValueError: if the text has no place for them.
    """
    start = f"<!-- results: {name} -->"
    before, found, after = text.partition(start)
    _, ended, rest = after.partition(END)
    if not (found and ended):
        raise ValueError(f"the text has no line {start!r} with a line {END!r} after it")
    return f"{before}{start}\n\n{results}\n\n{END}{rest}"


def main(arguments: list[str]) -> None:
    """Inserts the headline of each NAME=EVALUATION into the file named first."""
    path = Path(arguments[0])
    text = path.read_text()
    for argument in arguments[1:]:
        name, _, evaluation = argument.partition("=")
        text = insert(text, name, headline(Path(evaluation).read_text()))
    path.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
