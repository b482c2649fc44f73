"""Conversion of prepared data sets to stimuli and fixation trains of pysaliency, and back.

The coordinates of pysaliency are those of gazejax: pixels from the top left corner of the image.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from PIL import Image

from gazejax.data import reader

try:
    import pysaliency
except ImportError as error:
    raise ImportError(
        f"pysaliency does not import ({error}); install the extra: "
        "pip install 'gazejax[pysaliency]'"
    ) from error


def to_pysaliency(
    name: str, data_dir: str | Path | None, images_dir: Path
) -> tuple["pysaliency.FileStimuli", "pysaliency.FixationTrains"]:
    """Converts a prepared data set to pysaliency.

    Args:
        name: name and configuration, such as `osie/gaze`.
        data_dir: folder of prepared data sets; None is the default of TFDS.
        images_dir: folder to write the images to, under their names and as they were released;
            pysaliency reads the files on demand.

    Returns:
        The stimuli in the order of their names, with the attribute `image_id`. A fixation train for
        each trial, with the attributes `user_id` and `trial`, and `duration_ms` of each fixation.
        `subjects` are indices of users in the data set. Onsets are unknown: `t` is the index of a
        fixation, from 0.

    Raises:
        FileNotFoundError: if the data set is not prepared there.
    """
    metadata, records = reader.read_records(name, data_dir)
    user_ids = metadata["user_ids"]
    files = []
    trains: dict[str, list[Any]] = {key: [] for key in ("xs", "ys", "ts", "ns", "subjects")}
    trials, durations = [], []
    for number, record in enumerate(records):
        path = images_dir / record["image_id"].decode()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(record["image"])
        files.append(str(path))
        gaze = record["gaze"]
        viewing = np.stack([gaze["user"], gaze["trial"]], axis=1)
        starts = np.flatnonzero((np.diff(viewing, axis=0, prepend=-1) != 0).any(axis=1))
        for rows in np.split(np.arange(len(viewing)), starts[1:]) if len(viewing) else []:
            user, trial = viewing[rows[0]].tolist()
            trains["xs"].append(gaze["xy_px"][rows, 0])
            trains["ys"].append(gaze["xy_px"][rows, 1])
            trains["ts"].append(np.arange(len(rows)))
            trains["ns"].append(number)
            trains["subjects"].append(user)
            trials.append(trial)
            durations.append(gaze["duration_ms"][rows])
    fixations = pysaliency.FixationTrains.from_fixation_trains(
        **trains,
        scanpath_attributes={
            "user_id": [user_ids[user] for user in trains["subjects"]],
            "trial": trials,
        },
        scanpath_fixation_attributes={"duration_ms": durations},
    )
    image_ids = [record["image_id"].decode() for record in records]
    return pysaliency.FileStimuli(files, attributes={"image_id": image_ids}), fixations


def from_pysaliency(
    stimuli: "pysaliency.Stimuli", fixations: "pysaliency.FixationTrains", folder: Path
) -> Path:
    """Writes stimuli and fixation trains as a table and images for the builder `gaze_table`.

    Args:
        stimuli: the attribute `image_id` names the images. Without it, files keep their names, and
            other stimuli get numbered names.
        fixations: the attributes of `to_pysaliency` are kept, if present. Without `user_id`, the
            number in `subjects` is the name of a user. Without `trial`, trains of a user on an
            image are trials 0, 1, ...
        folder: folder to write `gaze.parquet` and `images` to.

    Returns:
        Path of the table: `gazejax data build gaze_table --table ... --images .../images`.

    Raises:
        ValueError: if two stimuli have one name.
    """
    names = _names(stimuli)
    for number, image_id in enumerate(names):
        path = folder / "images" / image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(stimuli, pysaliency.FileStimuli):
            path.write_bytes(Path(stimuli.filenames[number]).read_bytes())
        else:
            Image.fromarray(np.asarray(stimuli.stimuli[number])).save(path, format="PNG")
    of_train, of_fixation = fixations.scanpath_attributes, fixations.scanpath_fixation_attributes
    columns: dict[str, list[Any]] = {name: [] for name in ("image", "user", "x", "y", "trial")}
    if "duration_ms" in of_fixation:
        columns["duration_ms"] = []
    num_trains: dict[tuple[str, str], int] = {}
    for train in range(len(fixations.train_xs)):
        length = int(fixations.train_lengths[train])
        image_id = names[int(fixations.train_ns[train])]
        user = str(of_train.get("user_id", fixations.train_subjects)[train])
        trial = num_trains.get((image_id, user), 0)
        num_trains[image_id, user] = trial + 1
        columns["image"] += [image_id] * length
        columns["user"] += [user] * length
        columns["x"] += fixations.train_xs[train, :length].tolist()
        columns["y"] += fixations.train_ys[train, :length].tolist()
        columns["trial"] += [
            int(of_train["trial"][train]) if "trial" in of_train else trial
        ] * length
        if "duration_ms" in columns:
            columns["duration_ms"] += of_fixation["duration_ms"][train, :length].tolist()
    table = folder / "gaze.parquet"
    pyarrow.parquet.write_table(pa.table(columns), table)
    return table


def _names(stimuli: "pysaliency.Stimuli") -> list[str]:
    if "image_id" in stimuli.attributes:
        names = [str(name) for name in stimuli.attributes["image_id"]]
    elif isinstance(stimuli, pysaliency.FileStimuli):
        names = [Path(name).name for name in stimuli.filenames]
    else:
        names = [f"stimulus_{number:05d}.png" for number in range(len(stimuli))]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two stimuli are called {name!r}; allowed: different names")
    return names
