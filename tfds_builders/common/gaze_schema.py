"""The one record schema that all builders share: one record an image, with everybody's gaze on it.

Coordinates are in pixels of the stored image, x before y. The top left corner of the image is
(0, 0), so the centre of its first pixel is (0.5, 0.5) and a point is inside if 0 <= x < width and
0 <= y < height.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow_datasets as tfds
from tqdm import tqdm

from tfds_builders.common import digests, raw_files


class GazeTable(NamedTuple):
    """The fixations on one image: a row a fixation, by user, then trial, then viewing order.

    Attributes:
        user: int32 [n], index into the builder's `user_ids`.
        trial: int32 [n], which viewing of this image by this user, from 0.
        xy_px: float32 [n, 2], x then y in pixels of the image.
        duration_ms: float32 [n], milliseconds.
    """

    user: np.ndarray
    trial: np.ndarray
    xy_px: np.ndarray
    duration_ms: np.ndarray


def keep_px(xy_px: np.ndarray, *, width: int, height: int) -> np.ndarray:  # noqa: ARG001
    """Returns coordinates that are in pixels of the image already."""
    return xy_px


class Release(NamedTuple):
    """Gaze and images that were read and checked, but not joined.

    Attributes:
        user_ids: name of each user; `GazeTable.user` counts in this order.
        gaze_by_image_id: the fixations on each image, in the unit of the release.
        read_image: image id -> encoded bytes, width and height in pixels.
        to_image_px: (xy_px, width, height) -> coordinates in pixels of the image.
        tracking: what was tracked.
        has_durations: whether `duration_ms` is known; if not, it is 0 throughout.
        has_images: whether the images are what was shown; if not, they are a plain grey screen.
        pixels_per_degree: of visual angle, in pixels of the images; None: not known.
        metadata: what else to keep beside the records, such as digests of the sources.
    """

    user_ids: list[str]
    gaze_by_image_id: Mapping[str, GazeTable]
    read_image: Callable[[str], tuple[bytes, int, int]]
    to_image_px: Callable[..., np.ndarray]
    tracking: Literal["eye", "mouse", "generated"]
    has_durations: bool
    has_images: bool
    pixels_per_degree: float | None
    metadata: dict[str, Any]


def make_features() -> tfds.features.FeaturesDict:
    """Returns the features of a record.

    Source: ours. The gaze table is made of plain tensors because a `Sequence` of dictionaries is
    read back as lists.
    """
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(
                shape=(None, None, 3), doc="Encoded bytes, as released (JPEG or PNG), RGB."
            ),
            "image_sha256": tfds.features.Text(
                doc="SHA-256 of these bytes: a JPEG with a flipped byte decodes all the same."
            ),
            "image_id": tfds.features.Text(doc="Unique name of the image."),
            "gaze": tfds.features.FeaturesDict(
                {
                    "user": tfds.features.Tensor(
                        shape=(None,), dtype=np.int32, doc="Index into metadata['user_ids']."
                    ),
                    "trial": tfds.features.Tensor(
                        shape=(None,), dtype=np.int32, doc="Viewing of this image by this user."
                    ),
                    "xy_px": tfds.features.Tensor(
                        shape=(None, 2), dtype=np.float32, doc="x, y; top left corner is (0, 0)."
                    ),
                    "duration_ms": tfds.features.Tensor(
                        shape=(None,), dtype=np.float32, doc="Duration in milliseconds."
                    ),
                }
            ),
        }
    )


def drop_fixations_outside(gaze: GazeTable, *, width: int, height: int) -> tuple[GazeTable, int]:
    """Drops the fixations outside the image; never moves one.

    Args:
        gaze: fixations on one image; any order of rows.
        width: width of the image in pixels.
        height: height of the image in pixels.

    Returns:
        The rows with 0 <= x < width and 0 <= y < height, in the same order, and how many were
        dropped.

    Source: ours. A clipped fixation would put gaze on a border nobody looked at.
    """
    # Tested as float32, as stored: 159.9999999 is inside a width of 160, but its float32 is not.
    xy_px = np.asarray(gaze.xy_px, np.float32)
    # NaN is not outside: it stays, for `make_example` to refuse.
    outside_mask = np.any((xy_px < 0) | (xy_px >= np.asarray([width, height])), axis=1)
    kept = GazeTable(*(np.asarray(column)[~outside_mask] for column in gaze))
    return kept, int(np.sum(outside_mask))


def join(release: Release) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Joins the gaze of a release with its images.

    Returns:
        The records, see `make_example`; and the metadata that every prepared data set has:
        `user_ids`, `tracking`, `has_durations`, `has_images` and `pixels_per_degree` of the
        release, `num_fixations` of the records, `dropped_fixations` (those outside their image, in
        total and of each image that lost any), `num_dropped_viewings` (those with no fixation
        left), `users_without_gaze` (names of those with no fixation left anywhere), `digest` (see
        `digests`), and the release's own.

    Raises:
        FileNotFoundError, ValueError: what `read_image` and `make_example` raise.
    """
    examples, num_dropped_by_image_id, num_dropped_viewings = [], {}, 0
    for image_id, gaze in tqdm(
        release.gaze_by_image_id.items(), desc="joining images", unit="image", disable=None
    ):
        image_bytes, width, height = release.read_image(image_id)
        xy_px = release.to_image_px(gaze.xy_px, width=width, height=height)
        num_viewings = count_viewings(gaze)
        gaze, num_dropped = drop_fixations_outside(
            gaze._replace(xy_px=xy_px), width=width, height=height
        )
        if num_dropped:
            num_dropped_by_image_id[image_id] = num_dropped
            num_dropped_viewings += num_viewings - count_viewings(gaze)
        examples.append(make_example(image_bytes, image_id, *gaze))
    return examples, {
        "user_ids": release.user_ids,
        "tracking": release.tracking,
        "has_durations": release.has_durations,
        "has_images": release.has_images,
        "pixels_per_degree": release.pixels_per_degree,
        "num_fixations": sum(len(example["gaze"]["user"]) for example in examples),
        "dropped_fixations": {
            "total": sum(num_dropped_by_image_id.values()),
            "by_image_id": num_dropped_by_image_id,
        },
        "num_dropped_viewings": num_dropped_viewings,
        "users_without_gaze": users_without_gaze(release.user_ids, examples),
        "digest": digests.of_records(examples, release.user_ids),
        **release.metadata,
    }


def count_viewings(gaze: GazeTable) -> int:
    """How many pairs of a user and a trial there are."""
    return len(np.unique(np.stack([gaze.user, gaze.trial]), axis=1).T)


def users_without_gaze(user_ids: Sequence[str], examples: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the users who have no fixation in any record."""
    found = {int(user) for example in examples for user in np.unique(example["gaze"]["user"])}
    return [name for user, name in enumerate(user_ids) if user not in found]


def make_example(
    image_bytes: bytes,
    image_id: str,
    user: npt.ArrayLike,
    trial: npt.ArrayLike,
    xy_px: npt.ArrayLike,
    duration_ms: npt.ArrayLike,
) -> dict[str, Any]:
    """Builds one record and refuses a gaze table that breaks the schema.

    Args:
        image_bytes: the encoded image, JPEG or PNG.
        image_id: unique name of the image.
        user: [n] integers, index of the user, ascending.
        trial: [n] integers, ascending within a user.
        xy_px: [n, 2], x then y in pixels of the image; n may be 0.
        duration_ms: [n] milliseconds.

    Returns:
        A record as `make_features` describes it.

    Raises:
        ValueError: shapes that disagree, a negative index, rows out of order, a coordinate that
            is negative or not finite, a duration that is negative or not finite.

    Source: ours.
    """
    user, trial = np.asarray(user), np.asarray(trial)
    xy_px, duration_ms = np.asarray(xy_px, np.float32), np.asarray(duration_ms, np.float32)
    num_fixations = len(user)
    for name, column, shape in (
        ("user", user, (num_fixations,)),
        ("trial", trial, (num_fixations,)),
        ("xy_px", xy_px, (num_fixations, 2)),
        ("duration_ms", duration_ms, (num_fixations,)),
    ):
        if column.shape != shape:
            raise ValueError(f"{image_id}: {name} has shape {column.shape}, expected {shape}")
        invalid_rows = np.argwhere(~(np.isfinite(column) & (column >= 0)))
        if len(invalid_rows):
            row = int(invalid_rows[0][0])
            raise ValueError(
                f"{image_id}: {name} of fixation {row} is {column[row]}, "
                "expected finite and not negative"
            )
    for name, column in (("user", user), ("trial", trial)):
        if num_fixations and not np.issubdtype(column.dtype, np.integer):
            raise ValueError(f"{image_id}: {name} has dtype {column.dtype}, expected integers")
    # Signed, since a step down of unsigned integers is a large step up.
    user, trial = user.astype(np.int32), trial.astype(np.int32)
    user_steps, trial_steps = np.diff(user), np.diff(trial)
    unordered_rows = np.flatnonzero((user_steps < 0) | ((user_steps == 0) & (trial_steps < 0)))
    if len(unordered_rows):
        row = int(unordered_rows[0]) + 1
        raise ValueError(
            f"{image_id}: fixation {row} (user {user[row]}, trial {trial[row]}) is out of order, "
            "expected rows by user, then trial, ascending"
        )
    return {
        "image": image_bytes,
        "image_sha256": raw_files.sha256(image_bytes),
        "image_id": image_id,
        "gaze": {
            "user": user,
            "trial": trial,
            "xy_px": xy_px,
            "duration_ms": duration_ms,
        },
    }
