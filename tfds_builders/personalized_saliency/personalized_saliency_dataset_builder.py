"""PS (Xu, Li, Wu, Yu, Gao, IJCAI 2017), from the authors' release."""

import dataclasses
import functools
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from tfds_builders.common import coordinates, gaze_schema, pictures, raw_files
from tfds_builders.common.gaze_dataset_builder import GazeDatasetBuilder

SCREEN_PX = (1920, 1080)
# PS has 59 images of OSIE under the names of OSIE, and no other name has this form.
OSIE_NAME = re.compile(r"\d{4}\.jpg")

GazeByImageId = dict[str, gaze_schema.GazeTable]


@dataclasses.dataclass
class PersonalizedSaliencyConfig(tfds.core.BuilderConfig):
    """The part of the release to build, and the expected content of the release.

    Attributes:
        images: `all`: all images; `osie`: the images that are also in OSIE; `none`: no images, gaze
            in pixels of the screen.
        num_images: number of images in the release.
        num_users: number of users; each user looked at each image.
        num_fixations: number of fixations in the release.
        sha256: `raw_files.digest_files` of the files of the users, in the order of their numbers.
    """

    images: str = "all"
    num_images: int = 1606
    num_users: int = 30
    num_fixations: int = 1_899_807
    sha256: str = "f8b9a451165b48ae24ca97a8b1a67eaeb337249ea69666f64791ce71874b6b3d"


class Builder(GazeDatasetBuilder):
    """Builder of PS; `--raw` is the folder that holds `Data/fixData`."""

    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.0.0": "First version.",
        "1.1.0": "Digests of images and gaze.",
        "1.2.0": "Repeats of the images as sessions.",
    }
    LICENSE = "none stated: measure with it, redistribute nothing"
    HOMEPAGE = "https://github.com/xuyanyu-shh/Personalized-Saliency"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "give the unpacked PS release, the folder that holds Data/fixData/ImfixData_Sub_1.mat"
    )
    BUILDER_CONFIGS: ClassVar[list[PersonalizedSaliencyConfig]] = [
        PersonalizedSaliencyConfig(
            name="gaze", description="All 1606 images, with pixels (--images)."
        ),
        PersonalizedSaliencyConfig(
            name="osie_overlap",
            description="The 59 images that are also OSIE images; --images is OSIE's data/stimuli.",
            images="osie",
        ),
        PersonalizedSaliencyConfig(
            name="fixations_only",
            description="All fixations without any image, in pixels of the screen.",
            images="none",
        ),
    ]

    def __init__(
        self, *, images_dir: Path | None = None, exif: pictures.Exif = "refuse", **kwargs: Any
    ):
        """Takes folder and EXIF option of the images, and the arguments of all builders of TFDS."""
        self.images_dir, self.exif = images_dir, exif
        super().__init__(**kwargs)

    def check_options(self) -> None:
        """Checks that a folder of images is given if and only if the configuration needs images.

        Raises:
            ValueError: the folder is missing or does not apply.
        """
        config = self.builder_config
        name = f"{self.name}/{config.name}"
        if config.images == "none":
            if self.images_dir is not None:
                raise ValueError(
                    f"--images {self.images_dir} does not apply to {name}: leave it out"
                )
        elif self.images_dir is None:
            raise ValueError(f"{name} needs --images: {config.description}")

    def read_release(self, raw_dir: Path) -> gaze_schema.Release:
        """Reads and checks the release, and finds its images.

        Without a folder of images, all images are a plain gray screen, and gaze is in pixels of the
        screen.

        Args:
            raw_dir: the folder that holds `Data/fixData`.

        Raises:
            FileNotFoundError: a file or an image is missing.
            ValueError: a file differs from the release, or two files could be one image.
        """
        config, images_dir = self.builder_config, self.images_dir
        gaze_by_image_id = read_fixations(raw_dir, config)
        repeats = np.zeros(config.num_users, np.int64)
        for gaze in gaze_by_image_id.values():
            np.maximum.at(repeats, gaze.user, gaze.trial + 1)
        if images_dir is None:
            gray = np.full((SCREEN_PX[1], SCREEN_PX[0], 3), 128, np.uint8)
            screen = pictures.encode_png(gray), *SCREEN_PX
            read_image, to_image_px = (lambda _: screen), gaze_schema.keep_px
        else:
            paths = pictures.find_images(list(gaze_by_image_id), images_dir)
            read_image = lambda image_id: pictures.read_released(  # noqa: E731
                paths[image_id], images_dir, self.exif
            )
            to_image_px = functools.partial(
                coordinates.screen_to_image, screen=SCREEN_PX, fit="centre"
            )
        return gaze_schema.Release(
            user_ids=[str(user + 1) for user in range(config.num_users)],
            gaze_by_image_id=gaze_by_image_id,
            read_image=read_image,
            to_image_px=to_image_px,
            tracking="eye",
            has_durations=True,
            has_images=images_dir is not None,
            # The release does not state the viewing distance.
            pixels_per_degree=None,
            # That a repeat of all images is a session, the release does not say.
            metadata={"source_sha256": config.sha256, "sessions_are": "repeats"},
            session_ids=[[str(number + 1) for number in range(count)] for count in repeats],
        )


def read_fixations(raw_dir: Path, config: PersonalizedSaliencyConfig) -> GazeByImageId:
    """Reads and checks the fixations of all users on the images of a configuration.

    Args:
        raw_dir: the folder that holds `Data/fixData`.
        config: the images to read, and the expected content of the release.

    Returns:
        Image name -> fixations in pixels of the screen, top left corner (0, 0).

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file differs from the release.

    Source: the names of the fields. `fix_X` is the row: maps of gaze on the images of OSIE agree
    with the maps of OSIE only in this order. A test checks this.
    """
    folder = raw_dir / "Data" / "fixData"
    paths = [folder / f"ImfixData_Sub_{user + 1}.mat" for user in range(config.num_users)]
    image_ids: list[str] = []
    viewings: dict[str, list[np.ndarray]] = {}
    num_fixations = 0
    for user, path in enumerate(tqdm(paths, desc="reading users", unit="user", disable=None)):
        place = f"{path}: ImfixDataALL"
        images = raw_files.read_cell(
            raw_files.read_variable(path, "ImfixDataALL"), place, length=config.num_images
        )
        names = [
            raw_files.read_field(image, "im_name", f"{place}{{{number}}}")
            for number, image in enumerate(images, start=1)
        ]
        for number, name in enumerate(names, start=1):
            if not isinstance(name, str) or not name:
                raise ValueError(f"{place}{{{number}}}.im_name is {name!r}, expected a file name")
        image_ids = image_ids or names
        if names != image_ids or len(set(names)) < len(names):
            raise ValueError(
                f"{place} does not have the images of {paths[0].name}, each once: "
                "take the files of the release"
            )
        for number, (image_id, image) in enumerate(zip(names, images, strict=True), start=1):
            rows = raw_files.read_columns(
                image,
                ("testID", "fix_Y", "fix_X", "duration"),
                f"{place}{{{number}}}",
            )
            num_fixations += len(rows)
            viewings.setdefault(image_id, []).append(np.insert(rows, 0, user, axis=1))
    raw_files.check_release(
        folder,
        paths,
        rows="fixations",
        num_rows=num_fixations,
        expected_num_rows=config.num_fixations,
        expected_sha256=config.sha256,
    )
    return {
        image_id: _join_users(viewings[image_id])
        for image_id in image_ids
        if config.images != "osie" or OSIE_NAME.fullmatch(image_id)
    }


def _join_users(viewings: list[np.ndarray]) -> gaze_schema.GazeTable:
    """Converts rows of user, testID, column, row and seconds to a gaze table."""
    rows = np.concatenate(viewings)
    return gaze_schema.GazeTable(
        user=rows[:, 0].astype(np.int32),
        trial=rows[:, 1].astype(np.int32) - 1,
        xy_px=rows[:, 2:4] + raw_files.MATLAB_TO_CORNER_ORIGIN_PX,
        duration_ms=rows[:, 4] * 1000,
        session=rows[:, 1].astype(np.int32) - 1,
    )
