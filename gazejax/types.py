"""The vocabulary of the project: coordinate conventions, and the gaze of a data set.

Conventions:

* Arrays over pixels are ``[height, width]`` (row first); lists of points end in ``(x, y)``.
* ``xy_px`` is in pixels of the image. The top left corner of the image is ``(0, 0)``, so the center
  of the first pixel is ``(0.5, 0.5)``. ``xy_frac`` is ``xy_px`` divided by ``(width, height)``.
* ``*_mask`` is True for real data. ``*_size`` is ``(height, width)``.
* A *viewing* is all fixations of one user on one image (all trials together). A *recording* is one
  session of one user. Where sessions are kept apart, a viewing is of a recording. A *pair* is an
  image with one viewing, as a map or a scanpath. The *universal map* of an image is the mean map of
  the seen users. For a seen user, the universal map leaves this user out.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float16, Int, UInt8

# The same data are NumPy arrays on the host and JAX arrays on the device.
AnyArray = Array | np.ndarray


class LazyRows:
    """Rows that are read on demand, indexed and sliced like an array.

    Args:
        read: indices -> rows; several threads may call it at once.
        num_rows: number of rows.
    """

    def __init__(self, read: Callable[[np.ndarray], np.ndarray], num_rows: int):
        self._read, self._num_rows = read, num_rows

    def __len__(self) -> int:
        return self._num_rows

    def __getitem__(self, index: Any) -> np.ndarray:
        rows = np.arange(self._num_rows)[index]
        found = self._read(rows.reshape(-1))
        return found.reshape(*rows.shape, *found.shape[1:])


class Gaze(NamedTuple):
    """All fixations of a data set, flat, with the position of each viewing in the flat arrays.

    A dense ``[user, image, fixation]`` array of many users would consist mostly of padding.

    Attributes:
        xy_frac: position of each fixation, x then y, as a fraction of image width and height.
        duration_ms: duration of each fixation in milliseconds.
        viewing_offset: row of the first fixation of a viewing.
        viewing_length: number of fixations of a viewing; 0 where the user did not see the image.
        aspect_ratio: width of each image divided by its height, as the image was shown.
    """

    xy_frac: Float[AnyArray, "fixation 2"]
    duration_ms: Float[AnyArray, " fixation"]
    viewing_offset: Int[AnyArray, "user image"]
    viewing_length: Int[AnyArray, "user image"]
    aspect_ratio: Float[AnyArray, " image"]


class Recordings(NamedTuple):
    """The gaze of a data set with the sessions of each user apart.

    Attributes:
        user: index of the user of each recording; those of one user follow each other.
        session_ids: name of the session of each recording.
        gaze: the fixations, with recordings in place of users.
    """

    user: Int[np.ndarray, " recording"]
    session_ids: tuple[str, ...]
    gaze: Gaze


class Dataset(NamedTuple):
    """A prepared data set in memory.

    Attributes:
        name: name and configuration of the TFDS builder, such as ``osie/gaze``; of several joined
            data sets, their names separated by commas.
        user_ids: name of each user; arrays hold indices into it.
        image_ids: name of each image, sorted within a data set; arrays hold indices into it.
        images: images at each requested input size, as an array or `LazyRows`; the keys are those
            of the request.
        gaze: the fixations.
        has_durations: whether the durations of the fixations are known; if not, they are 0.
        features: frozen features of every image, as an array or `LazyRows`; None if the config
            requests none.
        projection: the `FeatureProjection` that made the features; None without features.
        digest: digests of the records, `gaze` and `images`; None if an older builder prepared them.
        gaze_source: what the prepared data set says of its gaze: `tracking`, and of a table also
            `format`, `convention` and `source`; see `tfds_builders.gaze_table`.
        copies: groups of names of images that are copies of each other; empty if an older builder
            prepared the data set.
        recordings: the gaze with the sessions of each user apart; None if sessions are not known.
        dataset_of_user: number of the data set of each user, in the order of `name`; None: the
            users are of one data set.
        dataset_of_image: number of the data set of each image among those that a run is trained on;
            None: the run has one.
    """

    name: str
    user_ids: tuple[str, ...]
    image_ids: tuple[str, ...]
    images: dict[str, UInt8[np.ndarray, "image height width 3"] | LazyRows]
    gaze: Gaze
    has_durations: bool
    features: Float16[np.ndarray, "image height width feature"] | LazyRows | None
    projection: Any
    digest: Any
    gaze_source: Mapping[str, Any] = MappingProxyType({})
    copies: tuple[tuple[str, ...], ...] = ()
    recordings: Recordings | None = None
    dataset_of_user: Int[np.ndarray, " user"] | None = None
    dataset_of_image: Int[np.ndarray, " image"] | None = None


class Scanpaths(NamedTuple):
    """Fixations of viewings in temporal order, padded to a common length.

    Attributes:
        xy_frac: position of each fixation, x then y, as a fraction of image width and height.
        duration_ms: duration of each fixation in milliseconds.
        mask: False on padding, where the other arrays may hold any value.
    """

    xy_frac: Float[Array, "*batch fixation 2"]
    duration_ms: Float[Array, "*batch fixation"]
    mask: Bool[Array, "*batch fixation"]


def recordings_of(
    users: Int[np.ndarray, " user"], user_of_recording: Int[AnyArray, " recording"]
) -> Int[np.ndarray, " kept"]:
    """Indices of the recordings of some users, in their order in the data set."""
    return np.flatnonzero(np.isin(np.asarray(user_of_recording), users))


def gaze_on(gaze: Gaze, images: Int[AnyArray, " image"]) -> Gaze:
    """Selects images, which get the indices 0, 1, ...; the flat arrays keep all fixations."""
    return gaze._replace(
        viewing_offset=gaze.viewing_offset[:, images],
        viewing_length=gaze.viewing_length[:, images],
        aspect_ratio=gaze.aspect_ratio[images],
    )


def viewing_scanpaths(
    gaze: Gaze, user: Int[Array, "*batch"], image: Int[Array, "*batch"], *, max_fixations: int
) -> Scanpaths:
    """Gathers the fixations of viewings.

    Args:
        gaze: the fixations of a data set.
        user: user index of each viewing.
        image: image index of each viewing.
        max_fixations: length to pad to; a longer viewing is truncated.
    """
    offset = jnp.asarray(gaze.viewing_offset)[user, image][..., None]
    length = jnp.asarray(gaze.viewing_length)[user, image][..., None]
    position = jnp.arange(max_fixations)
    row = jnp.clip(offset + position, 0, gaze.xy_frac.shape[0] - 1)
    return Scanpaths(
        xy_frac=jnp.asarray(gaze.xy_frac)[row],
        duration_ms=jnp.asarray(gaze.duration_ms)[row],
        mask=position < length,
    )


def rows_of(
    users: Int[np.ndarray, " user"], recordings: Recordings | None
) -> Int[np.ndarray, " row"]:
    """The recordings of some users; the users themselves where there are no recordings."""
    return users if recordings is None else recordings_of(users, recordings.user)


def longest_viewing(gaze: Gaze) -> int:
    """Number of fixations of the longest viewing, to which other viewings are padded."""
    return int(np.max(gaze.viewing_length))


# Parameters of a network: nested dictionaries of arrays.
Params = Any
