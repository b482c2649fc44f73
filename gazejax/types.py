"""The vocabulary of the project: axis names, coordinate conventions and the gaze of a data set.

Conventions, said once:

* Arrays over pixels are ``[height, width]`` (row first); point lists end in ``(x, y)``.
* ``xy_px`` is in pixels of the image, the top left corner of the image is ``(0, 0)``, so the centre
  of the first pixel is ``(0.5, 0.5)``. ``xy_frac`` is the same divided by ``(width, height)``.
* ``*_mask`` is True for real data. ``*_size`` is ``(height, width)``.
* A *viewing* is all that one user looked at in one image (all trials together). A *pair* is an
  image with the map of one viewing. The *universal* map of an image is the mean over users.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float16, Int, UInt8

# The same data are NumPy arrays on the host and JAX arrays on the device.
AnyArray = Array | np.ndarray


class LazyRows:
    """Rows too many for a device, read when they are asked for: indexed and sliced like an array.

    Args:
        read: indices -> rows; may be called from several threads at once.
        num_rows: how many there are.
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
    """All fixations of a data set, flat, with the place of each viewing in the flat arrays.

    A dense ``[user, image, fixation]`` array of many users would be nearly all padding.

    Attributes:
        xy_frac: position of each fixation, x then y, as a fraction of image width and height.
        duration_ms: duration of each fixation in milliseconds.
        viewing_offset: row of the first fixation of a viewing.
        viewing_length: number of fixations of a viewing; 0 where the user did not see the image.
        aspect_ratio: width of each image divided by its height, as it was shown.
    """

    xy_frac: Float[AnyArray, "fixation 2"]
    duration_ms: Float[AnyArray, " fixation"]
    viewing_offset: Int[AnyArray, "user image"]
    viewing_length: Int[AnyArray, "user image"]
    aspect_ratio: Float[AnyArray, " image"]


class Dataset(NamedTuple):
    """A prepared data set in memory.

    Attributes:
        name: name and configuration of the TFDS builder, such as ``osie/gaze``.
        user_ids: name of each user; arrays hold indices into it.
        image_ids: name of each image, sorted; arrays hold indices into it.
        images: one array, or `Stored` of such, for each asked input size, keyed by the name that
            asked for it.
        gaze: the fixations.
        has_durations: whether the durations of the fixations are known; if not, they are 0.
        features: frozen features of every image, likewise; None where the config asks for none.
        digest: of its records, `gaze` and `images`; None if an older builder prepared it.
        basis: what made them of the backbone's levels, a `feature_projection.FeatureProjection`.
    """

    name: str
    user_ids: tuple[str, ...]
    image_ids: tuple[str, ...]
    images: dict[str, UInt8[np.ndarray, "image height width 3"] | LazyRows]
    gaze: Gaze
    has_durations: bool
    features: Float16[np.ndarray, "image height width feature"] | LazyRows | None
    basis: Any
    digest: Any


class Scanpaths(NamedTuple):
    """Fixations of viewings in the order of looking, padded to a common length.

    Attributes:
        xy_frac: position of each fixation, x then y, as a fraction of image width and height.
        duration_ms: duration of each fixation in milliseconds.
        mask: False on padding, where the rest may hold anything.
    """

    xy_frac: Float[Array, "*batch fixation 2"]
    duration_ms: Float[Array, "*batch fixation"]
    mask: Bool[Array, "*batch fixation"]


def gaze_on(gaze: Gaze, images: Int[AnyArray, " image"]) -> Gaze:
    """The gaze on some images, whose indices are then 0, 1, ...; the fixations stay all of them."""
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
        max_fixations: length to pad to. At least the longest viewing, or its tail is cut.
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


def longest_viewing(gaze: Gaze) -> int:
    """Number of fixations of the longest viewing, the length that viewings are padded to."""
    return int(np.max(gaze.viewing_length))


Params = Any
