"""The `gazejax` command: prepare data, evaluate, embed a person, predict a map."""

import argparse
import csv
import functools
import io
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

from gazejax.api import check_fixations, load
from gazejax.data import prepared_folder
from gazejax.evaluation import evaluate, evaluate_elsewhere
from gazejax.loop import configure_host_devices
from gazejax.pictures import draw_prediction
from gazejax.workdir import load_config
from tfds_builders import coordinates, prepared, raw_check
from tfds_builders.build import Options, build

_ERRORS = (ValueError, TypeError, OSError, FloatingPointError)


def one_line_errors(function: Callable[..., int]) -> Callable[..., int]:
    """Turns the errors a user can mend into one line on stderr and exit status 1."""

    @functools.wraps(function)
    def wrapped(*arguments: Any) -> int:
        try:
            return function(*arguments)
        except _ERRORS as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted; the same command resumes", file=sys.stderr)
            return 130

    return wrapped


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Entry point of the `gazejax` command."""
    arguments = _parser().parse_args(argv)
    arguments.run(arguments)
    return 0


class TableGaze(NamedTuple):
    """One user's gaze on one image.

    Attributes:
        xy_px: fixations, x then y in pixels of the image.
        duration_ms: their durations; None if the table has no such column.
    """

    xy_px: Float[np.ndarray, "fixation 2"]
    duration_ms: Float[np.ndarray, " fixation"] | None


def read_gaze_table(path: Path, user: str) -> dict[str, TableGaze]:
    """Reads one user's fixations from a CSV table with columns `image, user, x, y`.

    Args:
        path: the table; one row a fixation, in viewing order. x and y in pixels of the image, whose
            top left corner is (0, 0). A column `duration_ms` is read as well, others are ignored.
        user: whose rows to read.

    Returns:
        The gaze on each image, in the order of the table.

    Raises:
        ValueError: naming the file and row, if it is no such table, a coordinate or duration is no
            finite number, or the user has no row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV table in UTF-8: {error}") from error
    missing = {"image", "user", "x", "y"} - set(reader.fieldnames or ())
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(sorted(missing))}; its first line must name "
            "the columns image, user, x, y"
        )
    columns = ["x", "y", *({"duration_ms"} & set(reader.fieldnames or ()))]
    fixations: dict[str, list[list[float]]] = {}
    users = sorted({row["user"] for row in rows if row["user"]})
    for number, row in enumerate(rows, start=1):
        if row["user"] != user:
            continue
        try:
            values = [float(row[column]) for column in columns]
        except (TypeError, ValueError):
            values = [math.nan]
        if not all(math.isfinite(value) for value in values) or not row["image"]:
            found = ", ".join(f"{column} is {row[column]!r}" for column in ["image", *columns])
            raise ValueError(
                f"{path} row {number}: {found}; allowed: a file name and finite numbers"
            )
        fixations.setdefault(row["image"], []).append(values)
    if not fixations:
        known = ", ".join(users[:10]) or "nobody"
        raise ValueError(f"{path} has no row of user {user!r}; it has rows of {known}")
    gaze = {}
    for image, rows_of_image in fixations.items():
        table = np.array(rows_of_image)
        gaze[image] = TableGaze(table[:, :2], table[:, 2] if len(columns) > 2 else None)
    return gaze


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gazejax", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    data = commands.add_parser("data", help="prepare data sets").add_subparsers(
        required=True, metavar="COMMAND"
    )
    building = data.add_parser("build", help="build a TFDS data set once, for all trainings")
    building.add_argument("name", metavar="NAME[/CONFIG]", help="such as osie/gaze, or gaze_table")
    building.add_argument("--raw", type=Path, metavar="DIR", help="folder of the release")
    building.add_argument("--table", type=Path, help="gaze_table: CSV, Parquet, JSON lines, JSON")
    building.add_argument("--name", dest="stored_name", help="gaze_table: what to call it")
    building.add_argument("--data-dir", type=Path, metavar="DIR", help="default: TFDS's own")
    _add_options(building)
    building.set_defaults(run=_build)

    checking = data.add_parser("check", help="look at a table or release before it is built")
    checking.add_argument("path", type=Path, metavar="PATH", help="a table, or folder of a release")
    checking.add_argument(
        "--of",
        metavar="NAME[/CONFIG]",
        help="which data set PATH is of; default: what it looks like",
    )
    checking.add_argument(
        "--min-images", type=int, default=10, help="name users with fewer; default: 10"
    )
    checking.add_argument(
        "--picture",
        type=Path,
        default=Path("gaze_check.png"),
        metavar="PNG",
        help="some scanpaths on their images; default: gaze_check.png",
    )
    checking.add_argument("--seed", type=int, default=0, help="of the scanpaths; default: 0")
    _add_options(checking)
    checking.set_defaults(run=_check)

    listing = data.add_parser("list", help="what is prepared")
    listing.add_argument("--data-dir", type=Path, metavar="DIR", help="default: TFDS's own")
    listing.set_defaults(run=_list)

    verifying = data.add_parser("verify", help="read every record of a prepared data set")
    verifying.add_argument("name", metavar="NAME[/CONFIG]")
    verifying.add_argument("--data-dir", type=Path, metavar="DIR", help="default: TFDS's own")
    verifying.set_defaults(run=_verify)

    evaluating = commands.add_parser("evaluate", help="print and store the figures of a training")
    evaluating.add_argument("workdir", type=Path)
    evaluating.add_argument(
        "--people-of",
        metavar="NAME/CONFIG",
        help="tell apart the people of another prepared data set instead",
    )
    evaluating.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="of that data set; default: TFDS's own"
    )
    evaluating.set_defaults(run=_evaluate)

    embedding = commands.add_parser("embed", help="embed a person from a table of fixations")
    embedding.add_argument("workdir", type=Path)
    embedding.add_argument(
        "--table", type=Path, required=True, help="CSV: image, user, x, y[, duration_ms]"
    )
    embedding.add_argument("--images", type=Path, required=True, metavar="DIR")
    embedding.add_argument("--user", required=True, help="name in the column user")
    embedding.add_argument("--out", type=Path, required=True, metavar="E.npz")
    embedding.set_defaults(run=_embed)

    predicting = commands.add_parser("predict", help="predict where a person looks in a picture")
    predicting.add_argument("workdir", type=Path)
    predicting.add_argument("--image", type=Path, required=True)
    predicting.add_argument("--embedding", type=Path, metavar="E.npz", help="default: nobody's")
    predicting.add_argument("--out", type=Path, required=True, metavar="MAP.png")
    predicting.set_defaults(run=_predict)
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    """What tells how to read gaze, before it is built or checked."""
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
        help="of px: the centre of the first pixel; default: 0.5",
    )
    parser.add_argument("--pixels-per-degree", type=float, help="of visual angle")
    parser.add_argument("--screen", metavar="WxH", help="if x and y are on a screen, its pixels")
    parser.add_argument(
        "--fit",
        choices=("stretch", "centre", "native"),
        help="how the screen showed the image: all over it; as large as fits; pixel by pixel",
    )
    parser.add_argument("--tracking", choices=("eye", "mouse"), help="gaze_table; default: eye")
    parser.add_argument("--ignore-columns", metavar="A,B", help="columns of the table to leave out")
    parser.add_argument(
        "--strict",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="individual_differences: whether to check its counts",
    )


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of `tfds_builders.build.Options` that both commands have."""
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
        "ignored_columns": tuple((arguments.ignore_columns or "").split(","))
        if arguments.ignore_columns
        else (),
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
        raw_check.draw(findings.gaze, arguments.picture)
        print(f"wrote {arguments.picture}: do the numbers lie where somebody would look?")
    if findings.errors:
        raise ValueError(f"{path} would not build: {len(findings.errors)} errors")


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


def _evaluate(arguments: argparse.Namespace) -> None:
    configure_host_devices(load_config(arguments.workdir))
    if arguments.people_of is not None:
        evaluate_elsewhere(arguments.workdir, arguments.people_of, arguments.data_dir)
    elif arguments.data_dir is not None:
        raise ValueError("--data-dir applies with --people-of only: the config says where the rest")
    else:
        evaluate(arguments.workdir)


def _embed(arguments: argparse.Namespace) -> None:
    gaze = read_gaze_table(arguments.table, arguments.user)
    images = [_read_image(arguments.images / name) for name in gaze]
    fixations, durations = [], []
    for (name, (xy_px, duration_ms)), image in zip(gaze.items(), images, strict=True):
        check_fixations(xy_px, image, f"{arguments.table}: gaze of {arguments.user} on {name}")
        fixations.append(xy_px)
        if duration_ms is not None:
            durations.append(duration_ms)
    model = load(arguments.workdir)
    if model.needs_durations and not durations:
        raise ValueError(
            f"{arguments.table} has no column duration_ms; the encoder of {arguments.workdir} was "
            "trained on the durations of fixations"
        )
    embedding = model.embed(images, fixations, durations_ms=durations or None)
    with arguments.out.open("wb") as file:
        np.savez(file, embedding=embedding, user=arguments.user, num_images=len(images))
    print(f"embedded {arguments.user} from {len(images)} images: {arguments.out}")


def _predict(arguments: argparse.Namespace) -> None:
    image = _read_image(arguments.image)
    embedding = None
    if arguments.embedding is not None:
        embedding = _read_embedding(arguments.embedding)
    saliency = load(arguments.workdir).predict(image, embedding)
    Image.fromarray(draw_prediction(image, saliency)).save(arguments.out)
    print(f"wrote {arguments.out}")


def _read_image(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"image {path} does not exist")
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"image {path} does not decode: {error}") from error


def _read_embedding(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"embedding {path} does not exist; make it with: gazejax embed")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return stored["embedding"]
    except Exception as error:
        raise ValueError(f"{path} is not an embedding written by gazejax embed") from error
