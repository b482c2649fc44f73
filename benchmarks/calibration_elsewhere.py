"""Do the probabilities of `compare` hold for people of another data set?

    python benchmarks/calibration_elsewhere.py MODEL FOLDER ...

FOLDER has `fixations.csv` (image, user, x, y, duration_ms; pixels of the image, its corner (0, 0))
and `images`. Each user enrols with n images and is compared by n others, all of images that every
user saw. Equal odds before: pairs of one user weigh as much together as pairs of two.
"""

import argparse
import collections
import csv
import warnings
from pathlib import Path

import numpy as np
from measuring import markdown
from PIL import Image

import gazejax
from gazejax.inference.same_person import reliability

SIZES = (10, 20)

Viewings = dict[tuple[str, str], np.ndarray]


def read(folder: Path) -> Viewings:
    """Fixations [n, 3] of x, y and duration, by image and user; those outside the image are not."""
    rows = collections.defaultdict(list)
    with (folder / "fixations.csv").open() as file:
        for row in csv.DictReader(file):
            rows[row["image"], row["user"]].append(
                [float(row[name]) for name in ("x", "y", "duration_ms")]
            )
    return {key: np.array(values) for key, values in rows.items()}


def within(picture: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The fixations inside the picture."""
    height, width = picture.shape[:2]
    x, y, duration = seen.T
    return seen[(x >= 0) & (x < width) & (y >= 0) & (y < height) & (duration > 0)]


def embed(
    model: gazejax.Model, viewings: Viewings, folder: Path, images: list[str], users: list[str]
) -> dict[str, gazejax.Embedding]:
    """Embeds all users by the same images."""
    given = {}
    pictures = {
        image: np.asarray(Image.open(folder / "images" / image).convert("RGB")) for image in images
    }
    for user in users:
        seen = {image: within(pictures[image], viewings[image, user]) for image in images}
        seen = {image: rows for image, rows in seen.items() if len(rows)}
        given[user] = (
            [pictures[image] for image in seen],
            [rows[:, :2] for rows in seen.values()],
            [rows[:, 2] for rows in seen.values()],
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of viewings longer than those of the training.
        return model.embed_many(given)


def measure(
    model: gazejax.Model, folder: Path, viewings: Viewings, size: int, draws: int
) -> list[str]:
    """A row of the table."""
    users = sorted({user for _, user in viewings})
    counts = collections.Counter(image for image, _ in viewings)
    images = sorted(image for image, count in counts.items() if count == len(users))
    predicted, is_same = [], []
    for draw in range(draws):
        drawn = list(np.random.default_rng(draw).permutation(images)[: 2 * size])
        sides = [
            embed(model, viewings, folder, some, users) for some in (drawn[:size], drawn[size:])
        ]
        for user in users:
            for other in users:
                predicted.append(model.compare(sides[0][user], sides[1][other]).probability)
                is_same.append(user == other)
    same = np.array(is_same)
    found = np.array(predicted)
    error = reliability(found, np.ones(len(same)), same).error
    shares = [found[~same] > 0.5, found[~same] > 0.95, found[same] < 0.5]
    return [
        folder.name,
        str(len(users)),
        str(size),
        f"{error:.2f}",
        *(f"{share.mean():.0%}" for share in shares),
    ]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    model = gazejax.load(options.model)
    header = ["data", "users", "n", "calibration error"]
    header += ["two people above .5", "two people above .95", "one person below .5"]
    rows = []
    for folder in options.folders:
        viewings = read(folder)
        rows += [measure(model, folder, viewings, size, options.draws) for size in SIZES]
    print(markdown(header, rows))


if __name__ == "__main__":
    main()
