"""A second tiny data set, for runs on two: half of its pictures are copies of the first's."""

import csv
import io
from pathlib import Path

from ml_collections import ConfigDict
from PIL import Image

from gazejax.data import reader
from tests.tiny import tiny_config
from tfds_builders.common.build import build

NAMES = "synthetic_gaze/tiny,mine"
NUM_USERS, NUM_IMAGES = 6, 24


def build_both(folder: Path) -> None:
    """Builds both data sets; `mine` has 6 users with two sessions, 24 images and no durations.

    Of its pictures 6 are those of the other data set under other names, and 6 are a little brighter
    than others. The rest are mirrored, so that they are no copies.
    """
    build("synthetic_gaze/tiny", None, folder)
    _, records = reader.read_records("synthetic_gaze/tiny", folder)
    images = folder / "pictures"
    images.mkdir()
    with (folder / "gaze.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "user", "session", "x", "y"])
        for number, record in enumerate(records[:NUM_IMAGES]):
            picture = Image.open(io.BytesIO(record["image"]))
            if number < NUM_IMAGES // 4:
                name = f"exact_{number:02}.png"
                picture.save(images / name)
            elif number < NUM_IMAGES // 2:
                name = f"near_{number:02}.png"
                picture.point(lambda level: min(level + 12, 255)).save(images / name)
            else:
                name = f"mirrored_{number:02}.png"
                picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(images / name)
            gaze = record["gaze"]
            for user, (x, y) in zip(gaze["user"], gaze["xy_px"], strict=True):
                if user < NUM_USERS:
                    writer.writerow([name, f"p{user}", number % 2 + 1, x, y])
    build(
        "gaze_table",
        data_dir=folder,
        table=folder / "gaze.csv",
        images_dir=images,
        stored_name="mine",
    )


def joined_config(data_dir: Path) -> ConfigDict:
    """The tiny config on both data sets: 5 and 4 seen users, 3 and 2 unseen ones."""
    config = tiny_config(data_dir)
    config.data.name = NAMES
    config.split.update(folds=3, fold=1)
    config.encoder.batch.users_of = "one_dataset"
    config.controls.train_permuted_encoder = False
    for stage in ("encoder", "saliency", "universal"):
        config[stage].update(num_steps=4)
    config.eval.update(num_draws=2, num_images=(1,), saliency_num_images=(2,), num_swaps=3)
    return config
