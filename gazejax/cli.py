"""The `gazejax` command: prepare data, evaluate, embed a person, predict a map."""

import argparse
import csv
import functools
import io
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

from gazejax.api import check_fixations, load
from gazejax.evaluation import evaluate, evaluate_elsewhere
from gazejax.loop import configure_host_devices
from gazejax.pictures import draw_prediction
from gazejax.workdir import load_config
from tfds_builders.build import build

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
    building.add_argument("name", metavar="NAME[/CONFIG]", help="such as osie/gaze")
    building.add_argument("--raw", type=Path, metavar="DIR", help="folder of the release")
    building.add_argument(
        "--images", type=Path, metavar="DIR", help="folder of the images, if the release has none"
    )
    building.add_argument("--data-dir", type=Path, metavar="DIR", help="default: TFDS's own")
    building.set_defaults(run=_build)

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


def _build(arguments: argparse.Namespace) -> None:
    build(arguments.name, arguments.raw, arguments.data_dir, arguments.images)


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
