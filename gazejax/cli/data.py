"""The commands `gazejax data ...`: check raw data, build, list and verify data sets."""

import argparse
import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gazejax.cli.paths import as_path, check_output
from gazejax.data.reader import prepared_folder
from gazejax.report.gaze_check import Scanpath, is_gaze_check, make_gaze_check
from gazejax.runtime.files import write_bytes, write_text
from tfds_builders.common import coordinates, gaze_files, prepared, raw_check
from tfds_builders.common.build import Options, build
from tfds_builders.common.gaze_files import detection
from tfds_builders.gaze_table.gaze_table_dataset_builder import with_kind

_CHECK_PAGE = "gaze_check.html"


def add_parsers(data: Any) -> None:
    """Adds the commands.

    Args:
        data: what `argparse` gave for the commands below `gazejax data`.
    """
    building = data.add_parser("build", help="build a TFDS data set once, for all trainings")
    building.add_argument("name", metavar="NAME[/CONFIG]", help="such as osie/gaze, or gaze_table")
    building.add_argument("--raw", type=as_path, metavar="DIR", help="folder of the release")
    building.add_argument(
        "--table",
        type=as_path,
        action="append",
        default=[],
        metavar="FILE_OR_DIR",
        help="gaze_table: a file of gaze, or a folder of such files; may be given several times",
    )
    building.add_argument("--name", dest="stored_name", help="gaze_table: name of the data set")
    building.add_argument("--data-dir", type=as_path, metavar="DIR", help="default: TFDS's own")
    building.add_argument(
        "--replace", action="store_true", help="build anew what is built already under this name"
    )
    building.add_argument(
        "--refuse-warnings",
        action="store_true",
        help="gaze_table: build nothing where the gaze looks like another unit, like samples, ...",
    )
    _add_options(building)
    building.set_defaults(run=_build)

    checking = data.add_parser("check", help="check a table or release before it is built")
    checking.add_argument(
        "path", type=as_path, metavar="PATH", help="a table, or folder of a release"
    )
    checking.add_argument(
        "--of",
        metavar="NAME[/CONFIG]",
        help="the data set of PATH; default: found from its files",
    )
    checking.add_argument(
        "--min-images", type=int, default=10, help="report users with fewer images; default: 10"
    )
    checking.add_argument(
        "--page",
        type=as_path,
        default=Path(_CHECK_PAGE),
        metavar="HTML",
        help=f"what looks wrong, and scanpaths on their images; default: {_CHECK_PAGE}",
    )
    checking.add_argument(
        "--picture", type=as_path, metavar="PNG", help="the scanpaths as a picture as well"
    )
    checking.add_argument(
        "--seed", type=int, default=0, help="seed of the sampled scanpaths; default: 0"
    )
    _add_options(checking)
    checking.set_defaults(run=_check)

    listing = data.add_parser("list", help="list the prepared data sets")
    listing.add_argument("--data-dir", type=as_path, metavar="DIR", help="default: TFDS's own")
    listing.set_defaults(run=_list)

    removing = data.add_parser("remove", help="remove a prepared data set from the disk")
    removing.add_argument("name", metavar="NAME[/CONFIG]")
    removing.add_argument("--data-dir", type=as_path, metavar="DIR", help="default: TFDS's own")
    removing.add_argument("--yes", action="store_true", help="do not ask")
    removing.set_defaults(run=_remove)

    verifying = data.add_parser("verify", help="read every record of a prepared data set")
    verifying.add_argument("name", metavar="NAME[/CONFIG]")
    verifying.add_argument("--data-dir", type=as_path, metavar="DIR", help="default: TFDS's own")
    verifying.set_defaults(run=_verify)


def _add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `build` and `check` that describe the gaze."""
    parser.add_argument(
        "--images", type=as_path, metavar="DIR", help="folder of the images, where gaze has none"
    )
    add_exif(parser)
    add_coordinate_options(parser)
    parser.add_argument("--tracking", choices=("eye", "mouse"), help="gaze_table; default: eye")
    add_reading_options(parser)
    parser.add_argument(
        "--strict",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="individual_differences: check its counts",
    )


def add_exif(parser: argparse.ArgumentParser) -> None:
    """Adds the option of all commands that read pictures."""
    parser.add_argument(
        "--exif",
        choices=("refuse", "ignore", "turn"),
        default="refuse",
        help="a picture with an EXIF orientation: ignore the tag where gaze refers to the stored "
        "pixels, turn the picture where gaze refers to the turned one; default: refuse it",
    )


def add_coordinate_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that describe the coordinates of gaze."""
    parser.add_argument(
        "--units",
        choices=("px", "frac", "deg"),
        help="of x and y; default: as the format says, px for a table",
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
    parser.add_argument(
        "--shown-at",
        metavar="X,Y,WxH",
        help="place and size of all images on the screen, in pixels of the screen",
    )
    parser.add_argument(
        "--y", choices=("down", "up"), help="up: y is 0 at the bottom edge; default: down"
    )


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of all commands that read files of gaze."""
    parser.add_argument(
        "--format",
        default="auto",
        metavar="FORMAT",
        help="of the files of gaze: auto (found from each file), table, or one of "
        f"{', '.join(sorted(gaze_files.FORMATS))}",
    )
    parser.add_argument(
        "--columns",
        type=_read_columns,
        default=(),
        metavar="NAME=COLUMN,...",
        help="columns of a table by other names, such as image=picture,user=subject",
    )
    parser.add_argument(
        "--ignore-columns",
        type=lambda text: tuple(filter(None, text.split(","))),
        default=(),
        metavar="A,B",
        help="columns of a table to leave out",
    )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="leave out rows (of bids: of events) that do not fulfil it, such as 'forced_fix == 0'",
    )
    parser.add_argument(
        "--drop-missing",
        action="store_true",
        help="leave out rows without a place, duration, image or user; default: an error",
    )
    units = ("ms", "s", "us", "ns")
    parser.add_argument("--durations", choices=units, default="ms", help="unit in a table")
    parser.add_argument("--times", choices=units, default="ms", help="unit of t_ms in a table")
    parser.add_argument(
        "--user-from",
        metavar="REGEX",
        help="take the person (first group, or group user) and the session (group session) out of "
        "the person's name, or of the path where the file has none; a session alone, of the path",
    )
    parser.add_argument(
        "--image-from",
        metavar="TEMPLATE",
        help="name of the image from columns in braces, such as 'image_{trial}.png'; also {file}, "
        "{folder}, {stem} (the image in the file, without .png); {trial:03} makes 7 to 007",
    )
    parser.add_argument("--eye", choices=("left", "right"), help="of a file with both eyes")
    parser.add_argument(
        "--detect-fixations",
        metavar="DISPERSION,MIN_MS[,MAX_GAP_MS]",
        help="detect fixations in files of samples by their dispersion (I-DT), such as 1deg,100 or "
        "35px,80,75; degrees need --pixels-per-degree",
    )


def reading_options(arguments: argparse.Namespace) -> gaze_files.Options:
    """Returns the options of `add_reading_options`."""
    return gaze_files.Options(
        format=arguments.format,
        columns=arguments.columns,
        ignored_columns=arguments.ignore_columns,
        where=tuple(arguments.where),
        drop_missing=arguments.drop_missing,
        durations=arguments.durations,
        times=arguments.times,
        user_from=arguments.user_from,
        image_from=arguments.image_from,
        how=gaze_files.How(
            eye=arguments.eye,
            detection=None
            if arguments.detect_fixations is None
            else detection.parse(arguments.detect_fixations, arguments.pixels_per_degree),
        ),
    )


def _read_columns(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [part.partition("=") for part in filter(None, text.split(","))]
    for name, equals, column in pairs:
        if not equals or not name or not column:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not of the form NAME=COLUMN,..., such as image=picture,user=subject"
            )
    return tuple((name.strip(), column.strip()) for name, _, column in pairs)


def convention_options(arguments: argparse.Namespace) -> coordinates.Convention | None:
    """Returns what is given of the convention; None: nothing."""
    given = coordinates.Convention(
        units=arguments.units,
        origin_px=arguments.origin,
        pixels_per_degree=arguments.pixels_per_degree,
        screen_px=_read_screen(arguments.screen),
        fit=arguments.fit,
        y_axis=arguments.y,
        shown_at_px=_read_shown_at(arguments.shown_at),
    )
    return None if given == coordinates.Convention() else given


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `tfds_builders.common.build.Options`, common to `build` and `check`."""
    return {
        "images_dir": arguments.images,
        "convention": convention_options(arguments),
        "tracking": arguments.tracking,
        "reading": reading_options(arguments),
        "is_strict": arguments.strict,
        "exif": arguments.exif,
    }


def _read_shown_at(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    number = r"(-?\d{1,9}(?:\.\d+)?)"
    match = re.fullmatch(rf"{number},{number},{number}x{number}", text)
    if match is None:
        raise ValueError(f"--shown-at is {text!r}, expected X,Y,WxH such as 320,60,1280x960")
    x, y, width, height = map(float, match.groups())
    return x, y, width, height


def _read_screen(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text)
    if match is None:
        raise ValueError(f"--screen is {text!r}, expected width and height such as 1920x1080")
    return int(match[1]), int(match[2])


def _build(arguments: argparse.Namespace) -> None:
    build(
        arguments.name,
        arguments.raw,
        arguments.data_dir,
        table=tuple(arguments.table) or None,
        stored_name=arguments.stored_name,
        replace=arguments.replace,
        refuse_warnings=arguments.refuse_warnings,
        **_options(arguments),
    )


def _check(arguments: argparse.Namespace) -> None:
    checked = arguments.path
    name = arguments.of or raw_check.find_kind(checked)
    is_table = name == "gaze_table"
    places = [place for place in (checked, arguments.images) if place is not None]
    files = [one for place in places for one in (place, *place.rglob("*"))]
    for option, output, ending, is_own in (
        ("--page", arguments.page, ".html", is_gaze_check),
        ("--picture", arguments.picture, ".png", raw_check.is_plot),
    ):
        if output is not None:  # What an earlier check wrote may lie in a folder of images.
            check_output(option, output, () if is_own(output) else files, [ending], is_own)
    where = Options(table=checked) if is_table else Options(raw_dir=checked)
    findings = raw_check.check(
        name,
        where._replace(**_options(arguments)),
        min_images=arguments.min_images,
        seed=arguments.seed,
    )
    for fact, value in findings.facts:
        print(f"{fact + ':':<24}{value}")
    for warning in findings.warnings:
        print(with_kind(warning))
    for error in findings.errors:
        print(f"error: {error}", file=sys.stderr)
    gaze = [
        Scanpath(one.image_id, one.user_id, np.asarray(one.image), one.size_px, one.xy_px)
        for one in findings.gaze
    ]
    page = make_gaze_check(
        checked.absolute().name,
        facts=findings.facts,
        warnings=findings.warnings,
        errors=findings.errors,
        scanpaths=gaze,
    )
    write_text(arguments.page, page)
    print(f"wrote {arguments.page}: check that the numbered fixations lie on plausible places")
    if findings.gaze and arguments.picture is not None:
        content = io.BytesIO()
        raw_check.plot_scanpaths(findings.gaze, content)
        write_bytes(arguments.picture, content.getvalue())
    if findings.errors:
        raise ValueError(f"{checked} cannot be built: {len(findings.errors)} errors")


def _list(arguments: argparse.Namespace) -> None:
    data_dir = arguments.data_dir or prepared.default_data_dir()
    # TFDS's own is made by the first build.
    if not data_dir.is_dir() and (arguments.data_dir is not None or data_dir.exists()):
        reason = "is a file" if data_dir.exists() else "does not exist"
        raise FileNotFoundError(
            f"--data-dir {data_dir} {reason}; allowed: a folder of prepared data sets"
        )
    found = prepared.find(data_dir)
    print(prepared.format_list(found) if found else f"nothing is prepared in {data_dir}")


def _remove(arguments: argparse.Namespace) -> None:
    data_dir = arguments.data_dir or prepared.default_data_dir()
    versions = prepared.find_versions(data_dir, arguments.name)
    if not versions:
        names = ", ".join(one.name for one in prepared.find(data_dir)) or "none"
        raise FileNotFoundError(
            f"{data_dir} has no data set {arguments.name!r}; allowed: one of gazejax data list: "
            f"{names}"
        )
    what = "; ".join(
        f"{one.name} {one.version}, "
        f"{'damaged' if one.damage else f'{one.num_images} images'}, in {one.folder}"
        for one in versions
    )
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise ValueError(f"{what}: give --yes to remove it, since there is no terminal to ask")
        if input(f"remove {what}? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing was removed")
            return
    prepared.remove(versions)
    print(f"removed {what}")


def _verify(arguments: argparse.Namespace) -> None:
    data_dir = arguments.data_dir or prepared.default_data_dir()
    versions = prepared.find_versions(data_dir, arguments.name)
    # Of a name that is none, `prepared_folder` says what there is.
    folder = versions[-1].folder if versions else prepared_folder(arguments.name, data_dir)
    one = prepared.open_folder(arguments.name, folder)
    prepared.verify(one)
    print(
        f"{arguments.name}: {one.num_images} images and {one.metadata['num_fixations']} fixations "
        f"of {len(one.metadata['user_ids'])} users are what was built; digests of gaze "
        f"{one.metadata['digest']['gaze']}, images {one.metadata['digest']['images']}"
    )
