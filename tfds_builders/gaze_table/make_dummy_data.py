"""Writes `dummy_data`: a table of invented gaze of two users on three images."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

HEADER = ("image", "user", "x", "y", "duration_ms", "trial")
# Pixels of the images, top left corner (0, 0).
ROWS = (
    ("a.jpg", "ann", 0.5, 0.5, 200, 0),
    ("a.jpg", "ann", 20.0, 10.0, 250, 0),
    ("b c.png", "ann", 5.0, 6.0, 300, 0),
    ("a.jpg", "bob", 11.0, 21.0, 150, 0),
    ("a.jpg", "bob", 40.0, 21.0, 175, 0),  # Outside: the image is 40 wide.
    ("a.jpg", "bob", 12.0, 22.0, 125, 1),
    ("more/grey.png", "bob", 1.0, 2.0, 400, 0),
)


def write_table(path: Path, rows: tuple[tuple[object, ...], ...] = ROWS) -> None:
    """Writes the table as CSV."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])


def write_images(folder: Path) -> None:
    """Writes the three images: an RGB JPEG, an RGB PNG and a gray PNG."""
    (folder / "more").mkdir(parents=True, exist_ok=True)
    row, column = np.mgrid[:30, :40]
    color = np.stack([6 * column, 8 * row, 4 * (row + column) % 256], axis=-1).astype(np.uint8)
    Image.fromarray(color).save(folder / "a.jpg")
    Image.fromarray(color[:18, :32]).save(folder / "b c.png")
    Image.fromarray(color[:10, :12, 0]).save(folder / "more" / "grey.png")


if __name__ == "__main__":
    dummy_dir = Path(__file__).parent / "dummy_data"
    write_images(dummy_dir / "images")
    write_table(dummy_dir / "gaze.csv")
