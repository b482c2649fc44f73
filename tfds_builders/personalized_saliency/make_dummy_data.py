"""Writes dummy_data, an invented release in the layout of PS: python make_dummy_data.py."""

from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

# For each user: image -> rows of testID, fix_X (row of the screen), fix_Y (column of the screen),
# both MATLAB (first pixel 1), and duration in s.
Users = list[dict[str, list[tuple[int, float, float, float]]]]

# Width and height. The screen has 1920 x 1080 pixels. The first image is scaled by 36 and has
# columns 241 to 1680. The second is scaled by 60 and fills the screen. The third is scaled by 48
# and has rows 301 to 780. Only the third has a name of OSIE: the name of the second only ends so.
SIZES_PX = {"2016 (1).JPG": (40, 30), "a..b #0002.jpg": (32, 18), "1020.jpg": (40, 10)}

USERS: Users = [
    {
        # The second viewing starts and ends one pixel outside the image. There is no third viewing.
        "2016 (1).JPG": [
            (1, 1, 241, 0.25),
            (1, 541, 961, 0.125),
            (1, 1080, 1680, 0.5),
            (2, 541, 240, 0.1),
            (2, 19, 259, 0.2),
            (2, 541, 1681, 0.1),
            (4, 37, 277, 0.75),
        ],
        "a..b #0002.jpg": [(1, 1, 1, 0.1), (1, 1080, 1920, 0.2)],
        # The second fixation is above the image, and the last fixation is below the image.
        "1020.jpg": [
            (1, 301, 1, 0.1),
            (1, 300, 49, 0.2),
            (1, 780, 1920, 0.3),
            (1, 781, 49, 0.4),
        ],
    },
    {
        # One row.
        "2016 (1).JPG": [(1, 181, 601, 0.3)],
        "a..b #0002.jpg": [(1, 61, 121, 0.4), (2, 121, 61, 0.5)],
        "1020.jpg": [(3, 541, 961, 0.6)],
    },
]


def make_user(scanpaths: dict[str, list[tuple[int, float, float, float]]]) -> np.ndarray:
    """Returns the cell array of PS for `scipy.io.savemat`: [1, images] object of structs."""
    images = np.empty((1, len(scanpaths)), object)
    for i, (name, rows) in enumerate(scanpaths.items()):
        columns = np.asarray(rows, np.float64).reshape(-1, 4)
        images[0, i] = {
            "im_name": name,
            "testID": columns[:, [0]],
            "fix_X": columns[:, [1]],
            "fix_Y": columns[:, [2]],
            "duration": columns[:, [3]],
        }
    return images


def write_release(raw_dir: Path, users: Users) -> None:
    """Writes one file for each user below `raw_dir`."""
    folder = raw_dir / "Data" / "fixData"
    folder.mkdir(parents=True, exist_ok=True)
    for user, scanpaths in enumerate(users, start=1):
        path = folder / f"ImfixData_Sub_{user}.mat"
        scipy.io.savemat(path, {"ImfixDataALL": make_user(scanpaths)})


def write_images(images_dir: Path, sizes_px: dict[str, tuple[int, int]]) -> None:
    """Writes small images; the release has no images."""
    images_dir.mkdir(parents=True, exist_ok=True)
    for i, (name, (width, height)) in enumerate(sizes_px.items()):
        y_px, x_px = np.mgrid[:height, :width]
        image = np.stack([6 * x_px, 8 * y_px, np.full_like(x_px, 80 * i)], axis=2)
        Image.fromarray(image.astype(np.uint8)).save(images_dir / name)


if __name__ == "__main__":
    dummy_dir = Path(__file__).parent / "dummy_data"
    write_release(dummy_dir, USERS)
    write_images(dummy_dir / "images", SIZES_PX)
