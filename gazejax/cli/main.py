"""The `gazejax` command: prepare data, train, evaluate, embed a user, predict a map."""

import argparse
import gc
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from gazejax.analysis.image_selection import select_images
from gazejax.analysis.trait_probes import probe
from gazejax.cli import cache as cache_commands
from gazejax.cli import embed, export, predict, recognize, train, try_page
from gazejax.cli.data import add_parsers
from gazejax.cli.paths import as_path, as_path_or_name, check_output
from gazejax.config.derived import batch_divisor
from gazejax.evaluation.run import evaluate_on
from gazejax.experiments.comparison import compare
from gazejax.experiments.run import evaluate_and_report
from gazejax.experiments.sweep import print_commands, run_sweep
from gazejax.report.run import is_report, write_report
from gazejax.runtime import cache
from gazejax.runtime.errors import one_line_errors, one_line_warnings
from gazejax.runtime.version import package_version
from gazejax.training.devices import configure_host_devices
from gazejax.workdir.layout import describe_checkpoints, load_config
from gazejax.workdir.lock import lock


@one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the `gazejax` command.

    Args:
        argv: the arguments after the name of the program. None: those of this process.

    Returns:
        The exit status: 0, or 1 after an error that the user can correct.
    """
    # Tracing makes many small objects that live: looking for garbage every 700 of them, as Python
    # does, takes an eighth of a short training.
    gc.set_threshold(50_000)
    parser = make_parser()
    arguments, others = parser.parse_known_args(
        _with_values(sys.argv[1:] if argv is None else argv)
    )
    if "config_values" in arguments:
        arguments.config_values = others
    elif others:
        parser.error(f"unknown argument {others[0]!r}; see gazejax {arguments.command} --help")
    if arguments.command != "cache":
        cache.keep_compiled()
    with one_line_warnings():
        arguments.run(arguments)
    return 0


def _with_values(argv: Sequence[str]) -> list[str]:
    """Joins options with values such as -100,-50,20x30, which argparse takes for other options."""
    joined: list[str] = []
    for one in argv:
        before = joined[-1] if joined else ""
        is_option = re.fullmatch(r"--[a-z][\w.-]*", before) is not None
        if is_option and re.match(r"-[^A-Za-z-]", one) and "--" not in joined:
            joined[-1] = f"{before}={one}"
        else:
            joined.append(one)
    return joined


class _Parser(argparse.ArgumentParser):
    """A parser that reports a wrong option in one line."""

    def error(self, message: str) -> NoReturn:
        # The words of argparse for a value after an option that takes none.
        message = re.sub(r"ignored explicit argument (.*)", r"takes no value, given \1", message)
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(prog="gazejax", description=__doc__)
    parser.add_argument("--version", action="version", version=f"gazejax {package_version()}")
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")

    add_parsers(
        commands.add_parser("data", help="prepare data sets").add_subparsers(
            required=True, metavar="COMMAND"
        )
    )

    train.add_parser(commands)

    evaluating = commands.add_parser(
        "evaluate", help="evaluate a training: print and store its metrics"
    )
    evaluating.add_argument("workdir", type=as_path)
    evaluating.add_argument(
        "--dataset",
        metavar="NAME/CONFIG",
        help="verify the users of another prepared data set instead; all of them are unseen",
    )
    evaluating.add_argument(
        "--data-dir",
        type=as_path,
        metavar="DIR",
        help="folder of that data set; default: that of the training",
    )
    evaluating.set_defaults(run=_evaluate)

    reporting = commands.add_parser(
        "report",
        help="write the report of an evaluated run, one HTML file",
        description="Writes the report of an evaluated run: one HTML file that needs no other one. "
        "The file holds names, fixations and pictures of test users.",
    )
    reporting.add_argument("workdir", type=as_path, metavar="RUN")
    reporting.add_argument(
        "--out", type=as_path, metavar="FILE", help="default: report.html in the run"
    )
    reporting.set_defaults(run=_report)

    listing = commands.add_parser("checkpoints", help="list and verify the checkpoints")
    listing.add_argument("workdir", type=as_path)
    listing.set_defaults(run=_list_checkpoints)

    sweeping = commands.add_parser("sweep", help="run all variants and seeds of a sweep file")
    sweeping.add_argument(
        "sweep", type=as_path_or_name, metavar="NAME_OR_FILE", help="such as encoders, or a path"
    )
    sweeping.add_argument("--workdir", type=as_path, required=True, metavar="DIR")
    sweeping.add_argument("--shard", default="1/1", metavar="i/n", help="run part i of n parts")
    sweeping.add_argument("--dry-run", action="store_true", help="print the commands and run none")
    sweeping.set_defaults(run=_sweep)

    comparing = commands.add_parser("compare", help="compare the runs of sweeps, or single runs")
    comparing.add_argument("folders", type=as_path, nargs="+", metavar="DIR")
    comparing.add_argument(
        "--out", type=as_path, metavar="DIR", help="folder to write to; default: the only DIR given"
    )
    comparing.set_defaults(run=_compare)

    selecting = commands.add_parser(
        "select-images",
        help="select images to show new users, and compare them with random images",
        description="Selects images to show new users, and compares them with random images. On "
        "the data sets that were tried, the selection saved no images.",
    )
    selecting.add_argument("workdir", type=as_path)
    selecting.add_argument(
        "--budget", type=int, required=True, metavar="n", help="largest number of images"
    )
    selecting.set_defaults(run=_select_images)

    probing = commands.add_parser("probe", help="fit linear probes from embeddings to traits")
    probing.add_argument("workdir", type=as_path)
    probing.set_defaults(run=_probe)

    embed.add_parser(commands)

    predict.add_parser(commands)

    recognize.add_parsers(commands)

    export.add_parsers(commands)

    try_page.add_parser(commands)

    cache_commands.add_parser(commands)
    return parser


def _use_devices_of(workdir: Path) -> None:
    """Splits a CPU into the devices that share the batches of the workdir's training."""
    configure_host_devices(batch_divisor(load_config(workdir)))


def _evaluate(arguments: argparse.Namespace) -> None:
    _use_devices_of(arguments.workdir)
    if arguments.dataset is not None:
        evaluate_on(arguments.workdir, arguments.dataset, arguments.data_dir)
    elif arguments.data_dir is not None:
        raise ValueError(
            "--data-dir is not allowed without --dataset: the config has that of the training"
        )
    else:
        with lock(arguments.workdir):
            evaluate_and_report(arguments.workdir)


def _report(arguments: argparse.Namespace) -> None:
    if arguments.out is not None:
        check_output("--out", arguments.out, [arguments.workdir], [".html"], is_report)
    print(write_report(arguments.workdir, arguments.out))


def _sweep(arguments: argparse.Namespace) -> None:
    run = print_commands if arguments.dry_run else run_sweep
    run(arguments.sweep, arguments.workdir, arguments.shard)


def _select_images(arguments: argparse.Namespace) -> None:
    _use_devices_of(arguments.workdir)
    with lock(arguments.workdir):
        select_images(arguments.workdir, arguments.budget)


def _probe(arguments: argparse.Namespace) -> None:
    _use_devices_of(arguments.workdir)
    with lock(arguments.workdir):
        probe(arguments.workdir)


def _compare(arguments: argparse.Namespace) -> None:
    if arguments.out is None and len(arguments.folders) > 1:
        raise ValueError(
            "--out is missing; allowed: a folder to write to, required with several folders"
        )
    compare(arguments.folders, arguments.out or arguments.folders[0])


def _list_checkpoints(arguments: argparse.Namespace) -> None:
    lines, is_sound = describe_checkpoints(arguments.workdir)
    print("\n".join(lines) or f"no stage of {arguments.workdir} has a checkpoint")
    if not is_sound:
        raise ValueError(f"{arguments.workdir}: the newest checkpoint of a stage does not verify")
