"""The command `gazejax try`: a local page for people without an eye tracker."""

import argparse
import importlib.util
import signal
from typing import Any

from gazejax.cli.paths import as_path, as_path_or_name
from gazejax.runtime.preemption import exit_now

_NEEDED = ("starlette", "uvicorn")


def add_parser(commands: Any) -> None:
    """Adds the command.

    Args:
        commands: what `argparse` gave for the commands of `gazejax`.
    """
    trying = commands.add_parser(
        "try",
        help="try a model in the browser, with the mouse in place of an eye tracker",
        description="Opens a page on this computer (127.0.0.1). You look at sixteen pictures that "
        "are sharp around the pointer alone, and see your embedding among those of other people, "
        "and where you would look in new pictures. Nothing leaves the computer, and nothing is "
        "written.",
    )
    trying.add_argument(
        "model",
        nargs="?",
        default="osie_mouse",
        type=as_path_or_name,
        metavar="MODEL",
        help="a workdir, the folder of an exported model, or the name of a shipped one; default: "
        "osie_mouse",
    )
    shown = trying.add_mutually_exclusive_group()
    shown.add_argument(
        "--images", type=as_path, metavar="DIR", help="pictures to show; default: those shipped"
    )
    shown.add_argument("--dataset", metavar="NAME", help="pictures of a prepared data set to show")
    trying.add_argument("--data-dir", type=as_path, metavar="DIR", help="folder of that data set")
    trying.add_argument("--port", type=int, default=0, help="default: a free one")
    trying.add_argument(
        "--seconds", type=float, default=5.0, help="that a picture is shown; default: 5"
    )
    trying.add_argument(
        "--no-browser", action="store_true", help="print the address and open no browser"
    )
    trying.set_defaults(run=_try)


def _try(arguments: argparse.Namespace) -> None:
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise ValueError("gazejax try needs starlette and uvicorn: pip install gazejax[try]")
    if not 0.2 <= arguments.seconds <= 60:
        raise ValueError(f"--seconds is {arguments.seconds}; allowed: 0.2 to 60")
    if not 0 <= arguments.port <= 65535:
        raise ValueError(f"--port is {arguments.port}; allowed: 0 to 65535")
    if arguments.data_dir is not None and arguments.dataset is None:
        raise ValueError("--data-dir is not allowed without --dataset")
    # Nothing is lost by an end at once, and there is nothing to resume.
    signal.signal(signal.SIGINT, lambda *_: exit_now(0))
    # Imported here: of the commands, this one alone needs them.
    from gazejax.tryout import pictures
    from gazejax.tryout.serving import serve

    if arguments.images is not None:
        shown = pictures.pictures_of_folder(arguments.images)
    elif arguments.dataset is not None:
        shown = pictures.pictures_of_dataset(arguments.dataset, arguments.data_dir)
    else:
        shown = pictures.shipped_pictures()
    serve(
        arguments.model,
        shown,
        port=arguments.port,
        seconds=arguments.seconds,
        opens_browser=not arguments.no_browser,
    )
