"""Errors that the user can correct, and warnings, in one line each."""

import contextlib
import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax

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
        except (RuntimeError, AssertionError):
            reason = _why_jax_does_not_start()
            if reason is None:
                raise
            print(f"error: {reason}", file=sys.stderr)
            return 1

    return wrapped


@contextlib.contextmanager
def one_line_warnings() -> Iterator[None]:
    """Prints each UserWarning of gazejax as one line on stderr, `warning: MESSAGE`."""

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if category is UserWarning:
            print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)
        else:
            show_as_before(message, category, *place, **more)

    show_as_before = warnings.showwarning
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning, module=r"gazejax\.")
        warnings.showwarning = show
        yield


def _until_interrupted(function: Callable[..., int], *arguments: Any) -> int:
    try:
        return function(*arguments)
    except preemption.InterruptedRunError as interrupted:
        print(f"interrupted: {interrupted}; the same command resumes", file=sys.stderr)
        preemption.exit_now()


def _why_jax_does_not_start() -> str | None:
    """Why JAX has no devices, in one line; None: it has some, so another error is the cause."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # JAX asserts where a plug-in finds no device.
        text = " ".join(str(error).split())[:300] or "there is no such device"
        platforms = os.environ.get("JAX_PLATFORMS")
        return (
            f"JAX_PLATFORMS is {platforms!r}, and JAX does not start with it: {text}; allowed: "
            "unset, or what this machine has, such as cpu"
        )
    return None
