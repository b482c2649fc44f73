"""Progress for people: a bar with the time left on a terminal, plain lines everywhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def track(description: str, total: int, *, start: int = 0) -> Iterator[Callable[[int, str], None]]:
    """Shows how far a piece of work is.

    Args:
        description: what is being done.
        total: number of units of work.
        start: units that were already done before.

    Yields:
        A function to call with the number of units done so far and a short text.
    """
    interval = 0.1 if sys.stderr.isatty() else _SECONDS_BETWEEN_LINES
    with tqdm(total=total, initial=start, desc=description, mininterval=interval) as bar:

        def show(done: int, text: str) -> None:
            bar.set_postfix_str(text, refresh=False)
            bar.update(done - bar.n)

        yield show
