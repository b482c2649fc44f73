"""OSIE (Xu, Jiang, Wang, Kankanhalli, Zhao, Journal of Vision 2014), from the authors' release."""

import dataclasses
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.io
import tensorflow_datasets as tfds
from PIL import Image
from tqdm import tqdm

from tfds_builders import gaze_schema

# MATLAB counts pixels from 1: its (1, 1) is the centre of the first pixel, here (0.5, 0.5).
MATLAB_TO_CORNER_ORIGIN_PX = -0.5


@dataclasses.dataclass
class OsieConfig(tfds.core.BuilderConfig):
    """What the release must hold.

    Attributes:
        num_images: images in `data/eye/fixations.mat`.
        num_users: users who looked at every image.
        num_fixations: fixations of all users on all images, before any is dropped.
        fixations_sha256: digest of `data/eye/fixations.mat` as released.
    """

    num_images: int = 0
    num_users: int = 0
    num_fixations: int = 0
    fixations_sha256: str = ""


class Builder(tfds.core.GeneratorBasedBuilder):
    """Builder of OSIE; `--raw` is the folder that holds data/stimuli and data/eye."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version: gaze."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "give the unpacked OSIE release, the folder that holds data/stimuli/*.jpg and "
        "data/eye/fixations.mat"
    )
    BUILDER_CONFIGS: ClassVar[list[OsieConfig]] = [
        OsieConfig(
            name="gaze",
            description="Eye tracking: 15 observers, 3 s of free viewing.",
            num_images=700,
            num_users=15,
            num_fixations=98_321,
            fixations_sha256="2aab9133a407e4eff3f57ab5799872b162dbc77ca462c0391762eb5e67deadb9",
        )
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=gaze_schema.make_features(),
            homepage="https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels",
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        config = self.builder_config
        examples, num_dropped_by_image_id = read_release(Path(dl_manager.manual_dir), config)
        self.info.metadata.update(
            user_ids=[str(user + 1) for user in range(config.num_users)],
            # The release does not state the viewing distance in a form we could check.
            pixels_per_degree=None,
            dropped_fixations={
                "total": sum(num_dropped_by_image_id.values()),
                "by_image_id": num_dropped_by_image_id,
            },
            fixations_sha256=config.fixations_sha256,
        )
        return {"train": self._generate_examples(examples)}

    def _generate_examples(
        self, examples: list[dict[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for example in tqdm(examples, desc="writing images", unit="image", disable=None):
            yield example["image_id"], example


def read_release(raw_dir: Path, config: OsieConfig) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Reads and checks the whole release, so that nothing is written from a bad one.

    Args:
        raw_dir: the folder that holds `data/stimuli` and `data/eye/fixations.mat`.
        config: what the release must hold.

    Returns:
        The records in the order of the release, and the number of dropped fixations of each image
        that lost any.

    Raises:
        FileNotFoundError: a folder or file that is not there.
        ValueError: a file that is not what the release holds.

    Source: the release's README.md and `src/dataset/showEyeData.m`; the shift of the origin is
    ours.
    """
    fixations_path = raw_dir / "data" / "eye" / "fixations.mat"
    stimuli_dir = raw_dir / "data" / "stimuli"
    if not stimuli_dir.is_dir():
        raise FileNotFoundError(
            f"{stimuli_dir} is missing: point --raw at the folder that holds data/stimuli"
        )
    gaze_by_image_id = read_fixations(fixations_path, config)

    examples = []
    num_dropped_by_image_id = {}
    for image_id, gaze in tqdm(
        gaze_by_image_id.items(), desc="checking images", unit="image", disable=None
    ):
        image_bytes, width, height = read_image(stimuli_dir / image_id)
        gaze, num_dropped = gaze_schema.drop_fixations_outside(gaze, width=width, height=height)
        if num_dropped:
            num_dropped_by_image_id[image_id] = num_dropped
        examples.append(gaze_schema.make_example(image_bytes, image_id, *gaze))
    return examples, num_dropped_by_image_id


def read_image(path: Path) -> tuple[bytes, int, int]:
    """Reads an encoded image and proves that it decodes.

    Returns:
        The bytes of the file, the width and the height in pixels.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a whole RGB image.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: unpack the whole release again")
    image_bytes = path.read_bytes()
    try:
        with Image.open(io.BytesIO(image_bytes)) as image:
            image.load()
            mode, (width, height) = image.mode, image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} does not decode ({_one_line(error)}): unpack the release again"
        ) from error
    if mode != "RGB":
        raise ValueError(f"{path} is a {mode} image, expected RGB: unpack the release again")
    return image_bytes, width, height


def read_fixations(path: Path, config: OsieConfig) -> dict[str, gaze_schema.GazeTable]:
    """Reads `fixations.mat` and checks it against the configuration.

    Returns:
        Image id -> the fixations of all users, in viewing order, with our origin of coordinates.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unreadable, another layout, rows that are not finite, other counts or digest.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: point --raw at the folder that holds data/eye/fixations.mat"
        )
    try:
        images = scipy.io.loadmat(path, simplify_cells=True)["fixations"]
    except Exception as error:  # scipy raises a dozen unrelated types on a broken file.
        raise ValueError(
            f"{path} cannot be read as a MATLAB file with the variable 'fixations' "
            f"({_one_line(error)}): take the file of the release"
        ) from error

    gaze_by_image_id: dict[str, gaze_schema.GazeTable] = {}
    images = _cell(images, f"{path}: fixations", length=config.num_images)
    for image_number, image in enumerate(images, start=1):
        place = f"{path}: fixations{{{image_number}}}"
        image_id = _field(image, "img", place)
        # The name becomes a path below data/stimuli, so it must not lead elsewhere.
        if not isinstance(image_id, str) or not image_id or Path(image_id).name != image_id:
            raise ValueError(f"{place}.img is {image_id!r}, expected a file name")
        if image_id in gaze_by_image_id:
            raise ValueError(f"{place}.img is {image_id!r} again, expected different file names")
        users = _cell(
            _field(image, "subjects", place), f"{place}.subjects", length=config.num_users
        )
        gaze_by_image_id[image_id] = _join_users(
            [_scanpath(user, f"{place}.subjects{{{i}}}") for i, user in enumerate(users, start=1)]
        )

    num_fixations = sum(len(gaze.user) for gaze in gaze_by_image_id.values())
    if num_fixations != config.num_fixations:
        raise ValueError(
            f"{path} holds {num_fixations} fixations, expected {config.num_fixations}: "
            "take the file of the release"
        )
    # Last, since every check before it says more about what is wrong.
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 != config.fixations_sha256:
        raise ValueError(
            f"{path} has SHA-256 {sha256}, expected {config.fixations_sha256}: "
            "take the file of the release"
        )
    return gaze_by_image_id


def _scanpath(user: Any, place: str) -> np.ndarray:
    """Returns one user's fixations on one image, float64 [n, 3]: x, y (MATLAB), duration in ms."""
    columns = {}
    for name in ("fix_x", "fix_y", "fix_duration"):
        # A scanpath of a single fixation arrives as a scalar.
        column = np.atleast_1d(_field(user, name, place))
        if column.ndim != 1 or not np.issubdtype(column.dtype, np.number):
            raise ValueError(
                f"{place}.{name} has shape {column.shape} and type {column.dtype}, "
                "expected a row of numbers"
            )
        columns[name] = column.astype(np.float64)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{place} has columns of lengths {lengths}, expected equal lengths")
    rows = np.stack(list(columns.values()), axis=1)
    for row, values in enumerate(rows, start=1):
        if not np.all(np.isfinite(values)) or values[2] < 0:
            raise ValueError(
                f"{place}: fixation {row} is x {values[0]}, y {values[1]}, duration {values[2]}, "
                "expected finite numbers and no negative duration"
            )
    return rows


def _join_users(scanpaths: list[np.ndarray]) -> gaze_schema.GazeTable:
    """Puts the users' fixations below one another and moves the origin to the image's corner."""
    rows = np.concatenate(scanpaths)
    return gaze_schema.GazeTable(
        user=np.repeat(np.arange(len(scanpaths)), [len(scanpath) for scanpath in scanpaths]),
        trial=np.zeros(len(rows), np.int32),
        xy_px=rows[:, :2] + MATLAB_TO_CORNER_ORIGIN_PX,
        duration_ms=rows[:, 2],
    )


def _field(struct: Any, name: str, place: str) -> Any:
    if not isinstance(struct, dict) or name not in struct:
        found = sorted(struct) if isinstance(struct, dict) else type(struct).__name__
        raise ValueError(f"{place} has no field {name!r}, found {found}: take the file as released")
    return struct[name]


def _cell(cell: Any, place: str, *, length: int) -> Any:
    if not isinstance(cell, (list, np.ndarray)) or len(cell) != length:
        found = f"{len(cell)} elements" if isinstance(cell, (list, np.ndarray)) else "no cell array"
        raise ValueError(f"{place} has {found}, expected {length}: take the file as released")
    return cell


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
