"""The commands `gazejax cache list` and `gazejax cache clear`."""

import argparse
from typing import Any

from gazejax.runtime import cache


def add_parser(commands: Any) -> None:
    """Adds the commands.

    Args:
        commands: what `argparse` gave for the commands of `gazejax`.
    """
    caching = commands.add_parser(
        "cache",
        help="show or empty the cache of compiled programs, weights and features",
        description="What is in the cache is made again where it is missing: clearing costs time, "
        "and nothing else.",
    ).add_subparsers(required=True, metavar="COMMAND")
    listing = caching.add_parser("list", help="say how large each part is")
    listing.set_defaults(run=_list)
    clearing = caching.add_parser("clear", help="remove all files of it")
    clearing.set_defaults(run=_clear)


def _list(_: argparse.Namespace) -> None:
    parts = cache.list_parts()
    print(f"{cache.default_folder()}: {sum(part.num_bytes for part in parts) / 1e6:.1f} MB")
    for part in parts:
        print(f"{part.num_bytes / 1e6:9.1f} MB  {len(part.files):6} files  {part.name}")


def _clear(_: argparse.Namespace) -> None:
    removed = cache.clear()
    print(f"removed {removed / 1e6:.1f} MB from {cache.default_folder()}")
