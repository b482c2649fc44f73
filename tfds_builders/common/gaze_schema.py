"""The record of all builders: one record for each image, with the gaze of all users.

Coordinates are in pixels of the stored image, x before y. The top left corner of the image is
(0, 0) and the centre of the first pixel is (0.5, 0.5). A point is inside the image if
0 <= x < width and 0 <= y < height.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow_datasets as tfds
from PIL import Image
from tqdm import tqdm

from tfds_builders.common import digests, near_copies, pictures, raw_files


class GazeTable(NamedTuple):
    """The fixations on one image, one row each, sorted by user, then trial, then time.

    Attributes:
        user: int32 [n], index into `Release.user_ids`.
        trial: int32 [n], number of the viewing of this image by this user, from 0.
        xy_px: float32 [n, 2], x then y in pixels of the image.
        duration_ms: float32 [n], milliseconds.
        session: int32 [n], index into the sessions of the user in `Release.session_ids`; None: one
            session each, or not known.
    """

    user: np.ndarray
    trial: np.ndarray
    xy_px: np.ndarray
    duration_ms: np.ndarray
    session: np.ndarray | None = None


def keep_px(xy_px: np.ndarray, *, width: int, height: int) -> np.ndarray:  # noqa: ARG001
    """Returns coordinates [n, 2] that are in pixels of the image already."""
    return xy_px


class Release(NamedTuple):
    """Gaze and images of a release, checked but not joined.

    Attributes:
        user_ids: name of each user; `GazeTable.user` is an index into this list.
        gaze_by_image_id: the fixations on each image, with the coordinates of the release.
        read_image: image id -> encoded bytes, width and height in pixels.
        to_image_px: (xy_px, width, height) -> coordinates in pixels of the image.
        tracking: what was tracked.
        has_durations: whether `duration_ms` is known; if not, all durations are 0.
        has_images: whether the images are the images that users saw; if not, all images are a
            plain gray screen.
        pixels_per_degree: pixels of the images in a degree of visual angle; None: not known.
        metadata: further metadata, such as digests of the source files.
        session_ids: names of the sessions of each user; (): not known.
        decode_image: image id -> the decoded image, of mode L or RGB; None: by `read_image`. For
            checks, which need no encoded bytes.
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
    session_ids: Sequence[Sequence[str]] = ()
    decode_image: Callable[[str], Image.Image] | None = None


def make_features() -> tfds.features.FeaturesDict:
    """Returns the features of a record.

    Source: ours. The gaze table consists of plain tensors, since TFDS reads a `Sequence` of
    dictionaries as lists.
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
                    "session": tfds.features.Tensor(
                        shape=(None,),
                        dtype=np.int32,
                        doc="Index into metadata['session_ids'] of the user; 0 if not known.",
                    ),
                }
            ),
        }
    )


def drop_fixations_outside(gaze: GazeTable, *, width: int, height: int) -> tuple[GazeTable, int]:
    """Drops the fixations outside the image and changes no other fixation.

    Args:
        gaze: fixations on one image, in any order; coordinates in pixels of the image.
        width: width of the image in pixels.
        height: height of the image in pixels.

    Returns:
        The rows with 0 <= x < width and 0 <= y < height, in the same order, and the number of
        dropped rows.

    Source: ours. Clipping would put gaze on the border of the image, where no user looked.
    """
    # As float32, the stored type: 159.9999999 is inside a width of 160, but its float32 is 160.
    xy_px = np.asarray(gaze.xy_px, np.float32)
    # NaN counts as inside, so that `make_example` raises an error.
    outside_mask = np.any((xy_px < 0) | (xy_px >= np.asarray([width, height])), axis=1)
    kept = GazeTable(
        *(None if column is None else np.asarray(column)[~outside_mask] for column in gaze)  # type: ignore[arg-type]
    )
    return kept, int(np.sum(outside_mask))


NOTHING_INSIDE = (
    "no fixation is inside its image: gazejax data check says what the places look like, see "
    "--units, --origin, --y, --screen, --fit and --shown-at"
)


def join(release: Release) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Joins the gaze of a release with its images.

    Returns:
        The records, see `make_example`, and the metadata of a prepared data set: `user_ids`,
        `tracking`, `has_durations`, `has_images` and `pixels_per_degree` of the release;
        `num_fixations`: fixations in the records; `dropped_fixations`: fixations outside their
        image, in total and by image; `num_dropped_viewings`: viewings without a remaining fixation;
        `users_without_gaze`: names of users without a remaining fixation; `session_ids` of the
        release if it has sessions; `copies`: groups of image ids whose images are copies of each
        other, see `near_copies`, if the release has images; `digest`: see `digests`; and
        `Release.metadata`.

    Raises:
        FileNotFoundError, ValueError: see `Release.read_image` and `make_example`.
    """
    examples, signatures = [], []
    num_dropped_by_image_id, num_dropped_viewings = {}, 0
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
        if release.has_images:
            signatures.append(near_copies.signature_of(image_bytes))
    if not any(len(example["gaze"]["user"]) for example in examples):
        raise ValueError(NOTHING_INSIDE)
    image_ids = list(release.gaze_by_image_id)
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
        "digest": digests.of_records(examples, release.user_ids, release.session_ids),
        **({"copies": near_copies.group(image_ids, signatures)} if release.has_images else {}),
        **({"session_ids": [*map(list, release.session_ids)]} if release.session_ids else {}),
        **release.metadata,
    }


def decode_image(release: Release, image_id: str) -> Image.Image:
    """Returns an image of a release, decoded: of mode L or RGB.

    Raises:
        FileNotFoundError, ValueError: see `Release.read_image`.
    """
    if release.decode_image is not None:
        return release.decode_image(image_id)
    return Image.fromarray(pictures.decode(release.read_image(image_id)[0]))


def count_viewings(gaze: GazeTable) -> int:
    """Returns the number of pairs of a user and a trial, by which the rows are sorted."""
    differs = (np.diff(gaze.user) != 0) | (np.diff(gaze.trial) != 0)
    return int(np.count_nonzero(differs)) + (len(gaze.user) > 0)


def users_without_gaze(user_ids: Sequence[str], examples: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the names of the users without a fixation in any record."""
    found = {int(user) for example in examples for user in np.unique(example["gaze"]["user"])}
    return [name for user, name in enumerate(user_ids) if user not in found]


def make_example(
    image_bytes: bytes,
    image_id: str,
    user: npt.ArrayLike,
    trial: npt.ArrayLike,
    xy_px: npt.ArrayLike,
    duration_ms: npt.ArrayLike,
    session: npt.ArrayLike | None = None,
) -> dict[str, Any]:
    """Builds one record and checks its gaze table.

    Args:
        image_bytes: the encoded image, JPEG or PNG.
        image_id: unique name of the image.
        user: [n] integers, index of the user, ascending.
        trial: [n] integers, number of the viewing, ascending for each user.
        xy_px: [n, 2], x then y in pixels of the image; n may be 0.
        duration_ms: [n] milliseconds.
        session: [n] integers, index of the session of the user; None: 0.

    Returns:
        A record as `make_features` describes it.

    Raises:
        ValueError: shapes differ; an index, coordinate or duration is negative or not finite; or
            rows are not sorted by user and trial.

    Source: ours.
    """
    user, trial = np.asarray(user), np.asarray(trial)
    xy_px, duration_ms = np.asarray(xy_px, np.float32), np.asarray(duration_ms, np.float32)
    num_fixations = len(user)
    session = np.zeros(num_fixations, np.int32) if session is None else np.asarray(session)
    for name, column, shape in (
        ("user", user, (num_fixations,)),
        ("trial", trial, (num_fixations,)),
        ("xy_px", xy_px, (num_fixations, 2)),
        ("duration_ms", duration_ms, (num_fixations,)),
        ("session", session, (num_fixations,)),
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
    for name, column in (("user", user), ("trial", trial), ("session", session)):
        if num_fixations and not np.issubdtype(column.dtype, np.integer):
            raise ValueError(f"{image_id}: {name} has dtype {column.dtype}, expected integers")
    # Signed: the difference of unsigned integers is never negative.
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
            "session": session.astype(np.int32),
        },
    }
