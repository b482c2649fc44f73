"""Errors that the user can correct, in one line."""

import functools
import sys
from collections.abc import Callable
from typing import Any

from gazejax.runtime import distributed, preemption

_ERRORS = (ValueError, TypeError, OSError, FloatingPointError)


def one_line_errors(function: Callable[..., int]) -> Callable[..., int]:
    """Decorates a program: errors that the user can correct become one line and exit status 1.

    SIGTERM and SIGINT end the process with one line and `preemption.EXIT_STATUS`.

    Args:
        function: the program; returns its exit status.

    Returns:
        The program that prints `error: MESSAGE` on stderr in place of a traceback.
    """

    @functools.wraps(function)
    def wrapped(*arguments: Any) -> int:
        try:
            with preemption.handle_signals(), distributed.report_lost_process():
                return _until_interrupted(function, *arguments)
        except _ERRORS as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            if distributed.is_connected():  # A regular exit would wait for the others.
                preemption.exit_now(1)
            return 1

    return wrapped


def _until_interrupted(function: Callable[..., int], *arguments: Any) -> int:
    try:
        return function(*arguments)
    except preemption.InterruptedRunError as interrupted:
        print(f"interrupted: {interrupted}; the same command resumes", file=sys.stderr)
        preemption.exit_now()
