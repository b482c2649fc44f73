"""Progress for people: a bar with the time left on a terminal, plain lines everywhere else."""

import sys
import time
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
    if sys.stderr.isatty():
        with tqdm(total=total, initial=start, desc=description, leave=True) as bar:

            def show_bar(done: int, text: str) -> None:
                bar.set_postfix_str(text, refresh=False)
                bar.update(done - bar.n)

            yield show_bar
        return

    started = last = time.monotonic()

    def show_line(done: int, text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _SECONDS_BETWEEN_LINES and done < total:
            return
        last = now
        rate = (done - start) / (now - started)
        eta = tqdm.format_interval((total - done) / rate) if rate > 0 else "?"
        print(
            f"{description}: {done}/{total}  {text}  ETA {eta}".replace("    ", "  "),
            file=sys.stderr,
            flush=True,
        )

    yield show_line
