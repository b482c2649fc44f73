"""PS (Xu, Li, Wu, Yu, Gao, IJCAI 2017), from the authors' release."""

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from tfds_builders import gaze_schema, raw_files

SCREEN_WIDTH_PX, SCREEN_HEIGHT_PX = 1920, 1080
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
        sha256: digest of the users' files in the order of their numbers (`raw_files.digest`).
    """

    images: str = "all"
    num_images: int = 1606
    num_users: int = 30
    num_fixations: int = 1_899_807
    sha256: str = "f8b9a451165b48ae24ca97a8b1a67eaeb337249ea69666f64791ce71874b6b3d"


class Builder(tfds.core.GeneratorBasedBuilder):
    """Builder of PS; `--raw` is the folder that holds Data/fixData."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
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

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=gaze_schema.make_features(),
            homepage="https://github.com/xuyanyu-shh/Personalized-Saliency",
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        config = self.builder_config
        name = f"{self.name}/{config.name}"
        if config.images == "none":
            if self.images_dir is not None:
                raise ValueError(
                    f"--images {self.images_dir} does not apply to {name}: leave it out"
                )
        elif self.images_dir is None:
            raise ValueError(f"{name} needs --images: {config.description}")
        gaze_by_image_id = read_release(Path(dl_manager.manual_dir), config)
        examples, num_dropped_by_image_id = on_images(gaze_by_image_id, self.images_dir)
        self.info.metadata.update(
            gaze_schema.make_metadata(
                user_ids=[str(user + 1) for user in range(config.num_users)],
                tracking="eye",
                has_durations=True,
                has_images=config.images != "none",
                # The release does not state the viewing distance.
                pixels_per_degree=None,
                num_dropped_by_image_id=num_dropped_by_image_id,
            ),
            source_sha256=config.sha256,
        )
        return {"train": self._generate_examples(examples)}

    def _generate_examples(
        self, examples: list[dict[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for example in tqdm(examples, desc="writing images", unit="image", disable=None):
            yield example["image_id"], example


def read_release(raw_dir: Path, config: PersonalizedSaliencyConfig) -> GazeByImageId:
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
        images = raw_files.cell(
            raw_files.read_variable(path, "ImfixDataALL"), place, length=config.num_images
        )
        names = [
            raw_files.field(image, "im_name", f"{place}{{{number}}}")
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
            rows = raw_files.columns(
                image,
                ("testID", "fix_Y", "fix_X", "duration"),
                f"{place}{{{number}}}",
            )
            num_fixations += len(rows)
            viewings.setdefault(image_id, []).append(np.insert(rows, 0, user, axis=1))
    raw_files.refuse_other_release(
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


def screen_to_image(xy_px: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """Turns pixels of the screen into pixels of an image that was shown on it.

    The image was fitted to the screen with its aspect kept, and centred. A point beside it gets
    coordinates outside the image.

    Args:
        xy_px: [n, 2] x, y on the screen, whose top left corner is (0, 0).
        width: width of the image in pixels.
        height: height of the image in pixels.
    """
    screen = np.array([SCREEN_WIDTH_PX, SCREEN_HEIGHT_PX])
    size = np.array([width, height])
    scale = (screen / size).min()
    return (xy_px - (screen - size * scale) / 2) / scale


def on_images(
    gaze_by_image_id: GazeByImageId, images_dir: Path | None
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Joins the gaze with the images.

    Args:
        gaze_by_image_id: fixations in pixels of the screen.
        images_dir: folder of the images; None puts all gaze on an image of the plain grey screen,
            whose pixels are those of the screen.

    Returns:
        The records, and the number of dropped fixations of each image that lost any: those beside
        the image on the screen.

    Raises:
        FileNotFoundError: an image that is not there.
        ValueError: an image that does not decode, or names that cannot be told apart.
    """
    if images_dir is None:
        screen = np.full((SCREEN_HEIGHT_PX, SCREEN_WIDTH_PX, 3), 128, np.uint8)
        grey = raw_files.encode_png(screen), SCREEN_WIDTH_PX, SCREEN_HEIGHT_PX
        return gaze_schema.make_examples(gaze_by_image_id, lambda _: grey)
    paths = find_images(list(gaze_by_image_id), images_dir)
    return gaze_schema.make_examples(
        gaze_by_image_id, lambda image_id: raw_files.read_image(paths[image_id]), screen_to_image
    )


def find_images(names: Sequence[str], folder: Path) -> dict[str, Path]:
    """Finds the file of each image: by its exact name, else by its normalised one.

    Raises:
        FileNotFoundError: naming the images without a file.
        ValueError: if two names of the release, or two files, have one normalised name.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"--images {folder} is not a folder")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    exact = {path.name: path for path in files}
    asked = [name for name in names if name not in exact]
    alike: dict[str, list[str]] = {}
    for path in files:
        alike.setdefault(normalise_name(path.name), []).append(path.name)
    found = {name: exact[name] for name in names if name in exact}
    wanted: dict[str, str] = {}
    for name in asked:
        key = normalise_name(name)
        if key in wanted:
            raise ValueError(f"{wanted[key]!r} and {name!r} are one name once normalised: {key!r}")
        wanted[key] = name
        candidates = [other for other in alike.get(key, []) if exact[other] not in found.values()]
        if len(candidates) > 1:
            raise ValueError(
                f"{folder}: {' and '.join(map(repr, candidates))} both could be {name!r}; "
                "rename the right one to that"
            )
        if candidates:
            found[name] = exact[candidates[0]]
    missing = [name for name in names if name not in found]
    if missing:
        shown = ", ".join(map(repr, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise FileNotFoundError(
            f"--images {folder} lacks {len(missing)} of {len(names)} images: {shown}"
        )
    return found


@functools.cache
def normalise_name(name: str) -> str:
    """Lower case, with every run of other characters than letters and digits as one underscore.

    Archives and file systems change spaces, brackets, `#`, double dots and upper case. All names
    of the release stay different.
    """
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", name).casefold())
