"""SIGTERM and SIGINT: a training saves first, everything else stops at once.

A second signal ends the process at once, even while XLA compiles: Python runs no handler then, so a
thread listens for it.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

EXIT_STATUS = 75  # EX_TEMPFAIL: a scheduler must not take an interrupted run for a finished one.

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class InterruptedRunError(BaseException):
    """Somebody asked the process to end; the same command resumes.

    Not an `Exception`: nothing may take it for an error of its own.
    """


class _State:
    """Signals belong to the process, and so does what came of them."""

    is_deferring = False
    stop_requested = False


@contextlib.contextmanager
def handle_signals() -> Iterator[None]:
    """Handles both signals inside; main thread only."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    _State.is_deferring = _State.stop_requested = False
    old_descriptor = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_end_at_second, args=(receiver,), daemon=True).start()
    for number in _SIGNALS:
        signal.signal(number, _handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(old_descriptor)
        sender.close()  # The thread reads the end and ends.


@contextlib.contextmanager
def defer_signals() -> Iterator[None]:
    """Inside, the first signal is remembered only: see `stop_requested`."""
    was_deferring, _State.is_deferring = _State.is_deferring, True
    try:
        yield
    finally:
        _State.is_deferring = was_deferring


def stop_requested() -> bool:
    """Whether a signal came while it was deferred."""
    return _State.stop_requested


def exit_now(status: int = EXIT_STATUS) -> NoReturn:
    """Ends the process at once.

    Nothing is torn down: the interpreter would put the system's handlers back, by which a second
    signal gives another status, and under threads that still compile it may crash.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _handle(number: int, _frame: Any) -> None:
    name = signal.Signals(number).name
    if not _State.is_deferring:
        raise InterruptedRunError(f"{name} came")
    _State.stop_requested = True
    # Not by `print`, which refuses where the signal came in the middle of another.
    os.write(2, f"{name}: saving after this step; once more ends at once\n".encode())


def _end_at_second(receiver: socket.socket) -> None:
    num_signals = 0
    with receiver:
        while numbers := receiver.recv(16):
            num_signals += sum(number in _SIGNALS for number in numbers)
            if num_signals >= 2:
                os._exit(EXIT_STATUS)
