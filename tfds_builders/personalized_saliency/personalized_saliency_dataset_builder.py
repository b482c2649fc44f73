"""PS (Xu, Li, Wu, Yu, Gao, IJCAI 2017), from the authors' release."""

import dataclasses
import functools
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from tfds_builders.common import coordinates, gaze_schema, raw_files
from tfds_builders.common.gaze_dataset_builder import GazeDatasetBuilder

SCREEN_PX = (1920, 1080)
# PS has 59 of OSIE's images under OSIE's names, and no other name of this kind.
OSIE_NAME = re.compile(r"\d{4}\.jpg")

GazeByImageId = dict[str, gaze_schema.GazeTable]


@dataclasses.dataclass
class PersonalizedSaliencyConfig(tfds.core.BuilderConfig):
    """Which part of the release, and what the release must hold.

    Attributes:
        images: `all`; `osie`: those that are also OSIE images; `none`: no image is needed, gaze is
            in pixels of the screen.
        num_images: images with gaze in the release.
        num_users: users, each of whom looked at every image.
        num_fixations: fixations in the release, before any is dropped.
        sha256: digest of the users' files in the order of their numbers (`raw_files.digest_files`).
    """

    images: str = "all"
    num_images: int = 1606
    num_users: int = 30
    num_fixations: int = 1_899_807
    sha256: str = "f8b9a451165b48ae24ca97a8b1a67eaeb337249ea69666f64791ce71874b6b3d"


class Builder(GazeDatasetBuilder):
    """Builder of PS; `--raw` is the folder that holds Data/fixData."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.0.0": "First version.",
        "1.1.0": "Digests of images and gaze.",
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

    def __init__(self, *, images_dir: Path | None = None, **kwargs: Any):
        """Takes the folder of the images beside what every builder of TFDS takes."""
        self.images_dir = images_dir
        super().__init__(**kwargs)

    def check_options(self) -> None:
        """Checks that images are given where the configuration needs them, and only there."""
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

        Without a folder of images, all gaze lies on images of a plain gray screen, in pixels of
        the screen.

        Args:
            raw_dir: the folder that holds `Data/fixData`.

        Raises:
            FileNotFoundError: a file or an image is missing.
            ValueError: a file differs from the release, or two files could be one image.
        """
        config, images_dir = self.builder_config, self.images_dir
        gaze_by_image_id = read_fixations(raw_dir, config)
        if images_dir is None:
            grey = np.full((SCREEN_PX[1], SCREEN_PX[0], 3), 128, np.uint8)
            screen = raw_files.encode_png(grey), *SCREEN_PX
            read_image, to_image_px = (lambda _: screen), gaze_schema.keep_px
        else:
            paths = raw_files.find_images(list(gaze_by_image_id), images_dir)
            read_image = lambda image_id: raw_files.read_image(paths[image_id], images_dir)  # noqa: E731
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
            metadata={"source_sha256": config.sha256},
        )


def read_fixations(raw_dir: Path, config: PersonalizedSaliencyConfig) -> GazeByImageId:
    """Reads and checks the fixations of all users on the images of a configuration.

    Args:
        raw_dir: the folder that holds `Data/fixData`.
        config: which images, and what the release must hold.

    Returns:
        Image name -> fixations in pixels of the screen, whose top left corner is (0, 0).

    Raises:
        FileNotFoundError: a file that is not there.
        ValueError: a file that is not what the release holds.

    Source: the names of the release's fields; that `fix_X` is the row was found by comparing the
    maps of the images that are also in OSIE, and a test holds it.
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
                f"{place} names other images than {paths[0].name}, or one twice: "
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
    """Joins rows of user, testID, column, row and seconds."""
    rows = np.concatenate(viewings)
    return gaze_schema.GazeTable(
        user=rows[:, 0].astype(np.int32),
        trial=rows[:, 1].astype(np.int32) - 1,
        xy_px=rows[:, 2:4] + raw_files.MATLAB_TO_CORNER_ORIGIN_PX,
        duration_ms=rows[:, 4] * 1000,
    )
