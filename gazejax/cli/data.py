"""The commands `gazejax data ...`: check raw data, build, list and verify data sets."""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from gazejax.data.reader import prepared_folder
from tfds_builders.common import coordinates, prepared, raw_check
from tfds_builders.common.build import Options, build


def add_parsers(data: Any) -> None:
    """Adds the commands.

    Args:
        data: what `argparse` gave for the commands below `gazejax data`.
    """
    building = data.add_parser("build", help="build a TFDS data set once, for all trainings")
    building.add_argument("name", metavar="NAME[/CONFIG]", help="such as osie/gaze, or gaze_table")
    building.add_argument("--raw", type=Path, metavar="DIR", help="folder of the release")
    building.add_argument("--table", type=Path, help="gaze_table: CSV, Parquet, JSON lines, JSON")
    building.add_argument("--name", dest="stored_name", help="gaze_table: name of the data set")
    building.add_argument("--data-dir", type=Path, metavar="DIR", help="default: TFDS's own")
    _add_options(building)
    building.set_defaults(run=_build)

    checking = data.add_parser("check", help="check a table or release before it is built")
    checking.add_argument("path", type=Path, metavar="PATH", help="a table, or folder of a release")
    checking.add_argument(
        "--of",
        metavar="NAME[/CONFIG]",
        help="the data set of PATH; default: found from its files",
    )
    checking.add_argument(
        "--min-images", type=int, default=10, help="report users with fewer images; default: 10"
    )
    checking.add_argument(
        "--picture",
        type=Path,
        default=Path("gaze_check.png"),
        metavar="PNG",
        help="picture of some scanpaths on their images; default: gaze_check.png",
    )
    checking.add_argument(
        "--seed", type=int, default=0, help="seed of the sampled scanpaths; default: 0"
    )
    _add_options(checking)
    checking.set_defaults(run=_check)

    listing = data.add_parser("list", help="list the prepared data sets")
    listing.add_argument("--data-dir", type=Path, metavar="DIR", help="default: TFDS's own")
    listing.set_defaults(run=_list)

    verifying = data.add_parser("verify", help="read every record of a prepared data set")
    verifying.add_argument("name", metavar="NAME[/CONFIG]")
    verifying.add_argument("--data-dir", type=Path, metavar="DIR", help="default: TFDS's own")
    verifying.set_defaults(run=_verify)


def _add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `build` and `check` that describe the gaze."""
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="folder of the images, where gaze has none"
    )
    parser.add_argument(
        "--units", choices=("px", "frac", "deg"), help="of a table's x and y; default: px"
    )
    parser.add_argument(
        "--origin",
        type=float,
        choices=(0.0, 0.5, 1.0),
        help="coordinate of the center of the first pixel, for px; default: 0.5",
    )
    parser.add_argument("--pixels-per-degree", type=float, help="pixels per degree of visual angle")
    parser.add_argument(
        "--screen", metavar="WxH", help="size of the screen in pixels, if x and y are on a screen"
    )
    parser.add_argument(
        "--fit",
        choices=("stretch", "centre", "native"),
        help="image on the screen: on the whole screen; as large as fits; pixel by pixel",
    )
    parser.add_argument("--tracking", choices=("eye", "mouse"), help="gaze_table; default: eye")
    add_ignore_columns(parser)
    parser.add_argument(
        "--strict",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="individual_differences: check its counts",
    )


def add_ignore_columns(parser: argparse.ArgumentParser) -> None:
    """Adds the option that all commands have that read a table."""
    parser.add_argument(
        "--ignore-columns",
        type=lambda text: tuple(filter(None, text.split(","))),
        default=(),
        metavar="A,B",
        help="columns of the table to leave out",
    )


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `tfds_builders.common.build.Options`, common to `build` and `check`."""
    given = [
        arguments.units,
        arguments.origin,
        arguments.pixels_per_degree,
        arguments.screen,
        arguments.fit,
    ]
    convention = None
    if any(value is not None for value in given):
        convention = coordinates.Convention(
            units=arguments.units or "px",
            origin_px=0.5 if arguments.origin is None else arguments.origin,
            pixels_per_degree=arguments.pixels_per_degree,
            screen_px=_read_screen(arguments.screen),
            fit=arguments.fit,
        )
        coordinates.check(convention)
    return {
        "images_dir": arguments.images,
        "convention": convention,
        "tracking": arguments.tracking,
        "ignored_columns": arguments.ignore_columns,
        "is_strict": arguments.strict,
    }


def _read_screen(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise ValueError(f"--screen is {text!r}, expected width and height such as 1920x1080")
    return int(match[1]), int(match[2])


def _build(arguments: argparse.Namespace) -> None:
    build(
        arguments.name,
        arguments.raw,
        arguments.data_dir,
        table=arguments.table,
        stored_name=arguments.stored_name,
        **_options(arguments),
    )


def _check(arguments: argparse.Namespace) -> None:
    path = arguments.path
    name = arguments.of or raw_check.find_kind(path)
    where = {"table": path} if name == "gaze_table" else {"raw_dir": path}
    findings = raw_check.check(
        name,
        Options(**where, **_options(arguments)),
        min_images=arguments.min_images,
        seed=arguments.seed,
    )
    for fact, value in findings.facts:
        print(f"{fact + ':':<24}{value}")
    for warning in findings.warnings:
        print(f"warning: {warning}")
    for error in findings.errors:
        print(f"error: {error}", file=sys.stderr)
    if findings.gaze:
        raw_check.plot_scanpaths(findings.gaze, arguments.picture)
        print(
            f"wrote {arguments.picture}: check that the numbered fixations lie on plausible places"
        )
    if findings.errors:
        raise ValueError(f"{path} cannot be built: {len(findings.errors)} errors")


def _list(arguments: argparse.Namespace) -> None:
    data_dir = arguments.data_dir or prepared.default_data_dir()
    found = prepared.find(data_dir)
    print(prepared.format_list(found) if found else f"nothing is prepared in {data_dir}")


def _verify(arguments: argparse.Namespace) -> None:
    folder = prepared_folder(arguments.name, arguments.data_dir)
    one = prepared.open_folder(arguments.name, folder)
    prepared.verify(one)
    print(
        f"{arguments.name}: {one.num_images} images and {one.metadata['num_fixations']} fixations "
        f"of {len(one.metadata['user_ids'])} users are what was built; digests of gaze "
        f"{one.metadata['digest']['gaze']}, images {one.metadata['digest']['images']}"
    )
