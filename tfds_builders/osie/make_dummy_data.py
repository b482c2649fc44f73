"""Writes dummy_data, an invented release in the layout of OSIE: python make_dummy_data.py."""

from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

WIDTH_PX, HEIGHT_PX = 40, 30

# Image -> for each user: fix_x, fix_y (MATLAB, first pixel 1), fix_duration in ms.
Scanpaths = dict[str, list[tuple[list[float], list[float], list[float]]]]

SCANPATHS: Scanpaths = {
    "1001.jpg": [
        ([1.0, 20.5, 40.4], [1.0, 10.5, 30.4], [200, 250, 300]),
        ([11.5, 12.5], [21.5, 22.5], [150, 175]),
    ],
    # The second fixation of the first user is outside: x - 0.5 is 40, the width.
    "1002.jpg": [
        ([5.5, 40.5, 7.5], [6.5, 15.0, 8.5], [100, 110, 120]),
        ([30.0], [2.0], [400]),
    ],
    "1003.jpg": [
        ([3.0], [4.0], [500]),
        ([13.0, 14.0], [24.0, 25.0], [600, 700]),
    ],
}

# Image -> mouse samples: subj, coord (row before column, MATLAB, first pixel 1), order.
Tracks = dict[str, list[tuple[float, float, float, float]]]

TRACKS: Tracks = {
    # The numbers of the users have gaps. Users 5 and 2 are in two places of the file each: the
    # `order` of user 5 goes on, the `order` of user 2 starts again, which is a second trial.
    "1001.jpg": [
        (5, 1, 1, 1),
        (5, 10, 20, 2),
        (2, 15, 20, 1),
        (2, 16, 22, 2),
        (5, 30, 40, 3),
        (2, 7, 8, 1),
    ],
    # The first sample is outside: column 41 is x 40.5.
    "1002.jpg": [(9, 15, 41, 1), (9, 12, 13, 2)],
    # User 9 has two trials of one sample each.
    "1003.jpg": [(2, 4, 3, 1), (9, 24, 13, 1), (9, 25, 14, 1)],
}


def make_fixations(scanpaths: Scanpaths) -> np.ndarray:
    """Returns the cell array of OSIE for `scipy.io.savemat`: [images, 1] object of structs."""
    images = np.empty((len(scanpaths), 1), object)
    for i, (image_id, users) in enumerate(scanpaths.items()):
        subjects = np.empty((len(users), 1), object)
        for j, (fix_x, fix_y, fix_duration) in enumerate(users):
            subjects[j, 0] = {
                "fix_x": np.asarray(fix_x, np.float64)[None],
                "fix_y": np.asarray(fix_y, np.float64)[None],
                "fix_duration": np.asarray(fix_duration, np.float64)[None],
            }
        images[i, 0] = {"img": image_id, "subjects": subjects}
    return images


def write_release(raw_dir: Path, scanpaths: Scanpaths) -> None:
    """Writes small images and `fixations.mat` below `raw_dir`."""
    stimuli_dir, eye_dir = raw_dir / "data" / "stimuli", raw_dir / "data" / "eye"
    stimuli_dir.mkdir(parents=True, exist_ok=True)
    eye_dir.mkdir(parents=True, exist_ok=True)
    y_px, x_px = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    for i, image_id in enumerate(scanpaths):
        image = np.stack([6 * x_px, 8 * y_px, np.full_like(x_px, 80 * i)], axis=2)
        Image.fromarray(image.astype(np.uint8)).save(stimuli_dir / image_id)
    scipy.io.savemat(eye_dir / "fixations.mat", {"fixations": make_fixations(scanpaths)})


def make_track(rows: list[tuple[float, float, float, float]]) -> dict[str, np.ndarray]:
    """Returns the struct of OSIE with the mouse samples on one image."""
    columns = np.asarray(rows, np.float64)
    return {"subj": columns[:, [0]], "coord": columns[:, 1:3], "order": columns[:, [3]]}


def write_mouse(raw_dir: Path, tracks: Tracks) -> None:
    """Writes one mouse file for each image below `raw_dir`, in the layout of both mouse folders."""
    folder = raw_dir / "data" / "mouse_lab"
    folder.mkdir(parents=True, exist_ok=True)
    for image_id, rows in tracks.items():
        path = folder / f"{Path(image_id).stem}.mat"
        scipy.io.savemat(path, {"fixations": make_track(rows)})


if __name__ == "__main__":
    dummy_dir = Path(__file__).parent / "dummy_data"
    write_release(dummy_dir, SCANPATHS)
    write_mouse(dummy_dir, TRACKS)
