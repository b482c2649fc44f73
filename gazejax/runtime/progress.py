"""Progress: a bar with the remaining time on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def track(description: str, total: int, *, start: int = 0) -> Iterator[Callable[[int, str], None]]:
    """Shows the progress of a task on stderr.

    Args:
        description: name of the task.
        total: number of units of work.
        start: number of units that are already done.

    Yields:
        A function to call with the number of units done and a short text.
    """
    interval = 0.1 if sys.stderr.isatty() else _SECONDS_BETWEEN_LINES
    with tqdm(total=total, initial=start, desc=description, mininterval=interval) as bar:

        def show(done: int, text: str) -> None:
            bar.set_postfix_str(text, refresh=False)
            bar.update(done - bar.n)

        yield show
