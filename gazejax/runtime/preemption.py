"""SIGTERM and SIGINT: a training saves and stops; other programs stop at once.

A second signal ends the process at once, also while XLA compiles. Python does not run handlers
during a compilation, so a thread receives the signals.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

EXIT_STATUS = 75  # EX_TEMPFAIL: for a scheduler, the run is not finished.

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class InterruptedRunError(BaseException):
    """A signal interrupted the run; the same command resumes.

    Not an `Exception`, so that no `except Exception` catches it.
    """


class _State:
    """State of the process: signals are sent to a process."""

    is_deferring = False
    stop_requested = False


@contextlib.contextmanager
def handle_signals() -> Iterator[None]:
    """Handles both signals in its body; for the main thread only."""
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
        sender.close()  # The thread reads the end of the stream and returns.


@contextlib.contextmanager
def defer_signals() -> Iterator[None]:
    """Defers the first signal in its body: the signal sets `stop_requested`."""
    was_deferring, _State.is_deferring = _State.is_deferring, True
    try:
        yield
    finally:
        _State.is_deferring = was_deferring


def stop_requested() -> bool:
    """Whether a deferred signal was received."""
    return _State.stop_requested


def exit_now(status: int = EXIT_STATUS) -> NoReturn:
    """Ends the process at once, without the shutdown of the interpreter.

    The shutdown would restore the default handlers: a second signal would give another exit status.
    The shutdown may also crash while threads compile.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _handle(number: int, _frame: Any) -> None:
    name = signal.Signals(number).name
    if not _State.is_deferring:
        raise InterruptedRunError(f"{name} received")
    _State.stop_requested = True
    # `print` fails if the signal arrived during another `print`.
    os.write(2, f"{name}: saving after this step; a second signal ends at once\n".encode())


def _end_at_second(receiver: socket.socket) -> None:
    num_signals = 0
    with receiver:
        while numbers := receiver.recv(16):
            num_signals += sum(number in _SIGNALS for number in numbers)
            if num_signals >= 2:
                os._exit(EXIT_STATUS)
