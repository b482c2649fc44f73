"""OSIE (Xu, Jiang, Wang, Kankanhalli, Zhao, Journal of Vision 2014), from the authors' release."""

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from tfds_builders.common import gaze_schema, pictures, raw_files
from tfds_builders.common.gaze_dataset_builder import GazeDatasetBuilder

GazeByImageId = dict[str, gaze_schema.GazeTable]


@dataclasses.dataclass
class OsieConfig(tfds.core.BuilderConfig):
    """The expected content of the release.

    Attributes:
        tracking: what was tracked, `eye` or `mouse`.
        folder: folder of the tracks, below `data`.
        num_images: number of images.
        num_users: number of users; with `eye` each user looked at each image.
        num_rows: number of fixations or mouse samples, of all users on all images.
        sha256: `raw_files.digest_files` of `data/eye/fixations.mat`, or of the mouse files in the
            order of their numbers.
    """

    tracking: str = "eye"
    folder: str = "eye"
    num_images: int = 0
    num_users: int = 0
    num_rows: int = 0
    sha256: str = ""


class Builder(GazeDatasetBuilder):
    """Builder of OSIE; `--raw` is the folder that holds `data/stimuli` and `data/eye`."""

    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.0.0": "First version: gaze.",
        "1.1.0": "The mouse; metadata say what was tracked and whether durations are known.",
        "1.2.0": "Digests of images and gaze.",
    }
    LICENSE = "MIT"
    HOMEPAGE = "https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "give the unpacked OSIE release, the folder that holds data/stimuli/*.jpg and "
        "data/eye/fixations.mat (for the mouse: data/mouse_lab/*.mat or data/mouse_amt/*.mat)"
    )
    BUILDER_CONFIGS: ClassVar[list[OsieConfig]] = [
        OsieConfig(
            name="gaze",
            description="Eye tracking: 15 observers, 3 s of free viewing.",
            num_images=700,
            num_users=15,
            num_rows=98_321,
            sha256="2aab9133a407e4eff3f57ab5799872b162dbc77ca462c0391762eb5e67deadb9",
        ),
        OsieConfig(
            name="mouse_lab",
            description="MOUSE tracking, no gaze: 16 users in a laboratory, 10 to 16 an image.",
            tracking="mouse",
            folder="mouse_lab",
            num_images=700,
            num_users=16,
            num_rows=984_458,
            sha256="0cc88dc1651fb9e11d8d1e88078980711978f40e9f641597f6d50323802643b4",
        ),
        OsieConfig(
            name="mouse_amt",
            description="MOUSE tracking, no gaze: 835 crowd users, 88 to 122 an image.",
            tracking="mouse",
            folder="mouse_amt",
            num_images=700,
            num_users=835,
            num_rows=8_626_960,
            sha256="ff2a01074cfde3b1a70c1327fe720f1a5aa0c2003fcd785dbf416ce3ae70cf38",
        ),
    ]

    def read_release(self, raw_dir: Path) -> gaze_schema.Release:
        """Reads and checks the gaze or the mouse tracks of the release.

        Args:
            raw_dir: the folder that holds `data/stimuli` and `data/eye/fixations.mat`, or the
                folders of mouse tracks.

        Raises:
            FileNotFoundError: a folder or file is missing.
            ValueError: a file differs from the release.

        Source: README.md and `src/dataset/showEyeData.m` of the release; the shift of the origin is
        ours.
        """
        config = self.builder_config
        stimuli_dir, tracks_dir = raw_dir / "data" / "stimuli", raw_dir / "data" / config.folder
        if not stimuli_dir.is_dir():
            raise FileNotFoundError(
                f"{stimuli_dir} is missing: point --raw at the folder that holds data/stimuli"
            )
        if config.tracking == "eye":
            paths = [tracks_dir / "fixations.mat"]
            user_ids = [str(user + 1) for user in range(config.num_users)]
            gaze_by_image_id = read_fixations(
                paths[0], num_images=config.num_images, num_users=config.num_users
            )
        else:
            paths = list_tracks(tracks_dir, config)
            user_ids, gaze_by_image_id = read_mouse(paths, config)
        num_rows = sum(len(gaze.user) for gaze in gaze_by_image_id.values())
        raw_files.check_release(
            tracks_dir,
            paths,
            rows="fixations or samples",
            num_rows=num_rows,
            expected_num_rows=config.num_rows,
            expected_sha256=config.sha256,
        )
        return gaze_schema.Release(
            # Eye and mouse tracks both number users from 1, but their users differ.
            user_ids=user_ids,
            gaze_by_image_id=gaze_by_image_id,
            read_image=lambda image_id: pictures.read_released(stimuli_dir / image_id, stimuli_dir),
            to_image_px=gaze_schema.keep_px,
            tracking="eye" if config.tracking == "eye" else "mouse",
            has_durations=config.tracking == "eye",
            has_images=True,
            # The release does not state the viewing distance in a form that can be checked.
            pixels_per_degree=None,
            metadata={"source_sha256": config.sha256},
        )


def read_fixations(path: Path, *, num_images: int | None, num_users: int | None) -> GazeByImageId:
    """Reads `fixations.mat`.

    Args:
        path: the file.
        num_images: expected number of images; None: any.
        num_users: expected number of users of each image; None: the number of the first image. A
            user who did not see an image has no fixation on this image.

    Returns:
        Image id -> the fixations of all users in pixels of the image, top left corner (0, 0).

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file cannot be read or has another layout, a number of images or users
            differs, or a value is not finite.
    """
    gaze_by_image_id: GazeByImageId = {}
    images = raw_files.read_variable(path, "fixations")
    images = raw_files.read_cell(images, f"{path}: fixations", length=num_images)
    for image_number, image in enumerate(images, start=1):
        place = f"{path}: fixations{{{image_number}}}"
        image_id = raw_files.read_field(image, "img", place)
        # The name becomes a path below data/stimuli and must not lead out of this folder.
        if not isinstance(image_id, str) or not image_id or Path(image_id).name != image_id:
            raise ValueError(f"{place}.img is {image_id!r}, expected a file name")
        if image_id in gaze_by_image_id:
            raise ValueError(f"{place}.img is {image_id!r} again, expected different file names")
        users = raw_files.read_cell(
            raw_files.read_field(image, "subjects", place), f"{place}.subjects", length=num_users
        )
        num_users = len(users)
        scanpaths = []
        for user_number, user in enumerate(users, start=1):
            user_place = f"{place}.subjects{{{user_number}}}"
            scanpath = raw_files.read_columns(user, ("fix_x", "fix_y", "fix_duration"), user_place)
            for row in np.flatnonzero(scanpath[:, 2] < 0)[:1]:
                raise ValueError(
                    f"{user_place}: fixation {row + 1} has duration {scanpath[row, 2]}, "
                    "expected a duration that is not negative"
                )
            scanpaths.append(scanpath)
        rows = np.concatenate(scanpaths)
        gaze_by_image_id[image_id] = gaze_schema.GazeTable(
            user=np.repeat(np.arange(len(scanpaths)), [len(scanpath) for scanpath in scanpaths]),
            trial=np.zeros(len(rows), np.int32),
            xy_px=rows[:, :2] + raw_files.MATLAB_TO_CORNER_ORIGIN_PX,
            duration_ms=rows[:, 2],
        )
    return gaze_by_image_id


def list_tracks(folder: Path, config: OsieConfig) -> list[Path]:
    """Finds the mouse files, one for each image, in the order of their numbers.

    Raises:
        FileNotFoundError: the number of files differs from `config.num_images`.
    """
    paths = sorted(folder.glob("*.mat"))
    if len(paths) != config.num_images:
        raise FileNotFoundError(
            f"{folder} holds {len(paths)} files *.mat, expected {config.num_images}: "
            "unpack the whole release again"
        )
    return paths


def read_mouse(paths: list[Path], config: OsieConfig) -> tuple[list[str], GazeByImageId]:
    """Reads mouse tracks: one row for each sample; the times of samples are not known.

    Args:
        paths: one file for each image.
        config: the expected content of the release.

    Returns:
        The names of the users, numbers with gaps; and image id -> the samples of all users in
        pixels of the image, top left corner (0, 0). Where `order` starts again, the next trial
        starts. All durations are 0, since durations are not known.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file cannot be read or has another layout, the number of users differs, or a
            value is not finite.
    """
    tracks = {}
    for path in tqdm(paths, desc="reading tracks", unit="file", disable=None):
        rows = raw_files.read_columns(
            raw_files.read_variable(path, "fixations"), ("subj", "coord", "order"), f"{path}"
        )
        if rows.shape[1] != 4:
            raise ValueError(f"{path}: coord has {rows.shape[1] - 2} columns, expected 2")
        tracks[f"{path.stem}.jpg"] = rows[np.argsort(rows[:, 0], kind="stable")]
    subjects = np.unique(np.concatenate([np.unique(rows[:, 0]) for rows in tracks.values()]))
    if len(subjects) != config.num_users:
        raise ValueError(
            f"{paths[0].parent} has {len(subjects)} users, expected {config.num_users}: "
            "take the files of the release"
        )
    user_ids = [str(int(subject)) for subject in subjects]
    return user_ids, {image_id: _as_gaze(rows, subjects) for image_id, rows in tracks.items()}


def _as_gaze(rows: np.ndarray, subjects: np.ndarray) -> gaze_schema.GazeTable:
    """Converts rows of subject, row, column and order, sorted by subject, to a gaze table."""
    user, order = np.searchsorted(subjects, rows[:, 0]), rows[:, 3]
    is_first = np.diff(user, prepend=-1) != 0
    starts_again = ~is_first & (np.diff(order, prepend=0) <= 0)
    num_before = np.cumsum(starts_again)
    num_before_user = np.maximum.accumulate(np.where(is_first, num_before, 0))
    return gaze_schema.GazeTable(
        user=user.astype(np.int32),
        trial=(num_before - num_before_user).astype(np.int32),
        xy_px=(rows[:, [2, 1]] + raw_files.MATLAB_TO_CORNER_ORIGIN_PX).astype(np.float32),
        duration_ms=np.zeros(len(rows), np.float32),
    )
