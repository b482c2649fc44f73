"""The arrays that a stage reads, with universal maps and preference vectors."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float16, Int, Shaped

from gazejax.inputs.maps import (
    JoinedGaze,
    LeaveOneOutMaps,
    MapSpec,
    personal_and_universal_maps,
    sum_maps,
    to_density,
)
from gazejax.inputs.sampling import RecordingPool, SamplingPool
from gazejax.inputs.viewing_vectors import ViewingVectors, number_viewings
from gazejax.models.scanpath_encoder import preference_vector
from gazejax.types import AnyArray, Dataset, Gaze, LazyRows, gaze_on, recordings_of

# How many images of lazy rows are on the devices at once, outside of training.
IMAGES_PER_CHUNK = 64

# How many universal maps are resized at once.
_MAPS_PER_RESIZE = 1000


class StageArrays(NamedTuple):
    """Images, gaze and universal maps, with the pool that batches are sampled from.

    Attributes:
        images: what the network sees of all images of the data set: pixels at the stage's input
            size, or frozen features. None for an encoder that sees no image, and on a device where
            the images are lazy rows: they come with each step then.
        gaze: all fixations; the viewings are of users, or of recordings.
        universal: sums of the seen users' maps, at the stage's map size. Its total is None on a
            device where the images are lazy rows.
        pool: the seen users and the training images.
        preference: preference vector of every viewing, for an encoder that appends one; see
            `preference_vector`.
        joined: of viewings of recordings; None: the viewings are of users.
        dataset_of_image: number of the data set of each image among those that the run is trained
            on; None: the run has one.
    """

    images: Any  # Shaped[AnyArray, "all_images height width channel"] | LazyRows | None
    gaze: Gaze
    universal: LeaveOneOutMaps
    pool: SamplingPool
    preference: ViewingVectors | None
    joined: JoinedGaze | None = None
    dataset_of_image: Int[AnyArray, " all_images"] | None = None


class StageInputs(NamedTuple):
    """What a stage reads.

    Attributes:
        arrays: the arrays.
        spec: how its fixations become maps.
    """

    arrays: StageArrays
    spec: MapSpec


def center_prior(arrays: StageArrays) -> Float[np.ndarray, "height width"]:
    """Mean of all training maps: where users look, whatever the image.

    Of several data sets, the mean of their center priors, whatever their sizes.
    """
    if arrays.dataset_of_image is not None:
        return center_priors(arrays)[0].mean(axis=0)
    total = np.asarray(arrays.universal.total)[np.asarray(arrays.pool.images)].sum(axis=0)
    return total / total.sum()


def center_priors(
    arrays: StageArrays,
) -> tuple[Float[np.ndarray, "dataset height width"], Int[np.ndarray, " all_images"]]:
    """The center prior of each data set, and which of them is that of each image."""
    if arrays.dataset_of_image is None:
        num_images = np.shape(arrays.gaze.viewing_length)[1]
        return center_prior(arrays)[None], np.zeros(num_images, int)
    numbers, of_image = np.unique(np.asarray(arrays.dataset_of_image), return_inverse=True)
    images = np.asarray(arrays.pool.images)
    total = np.asarray(arrays.universal.total)
    sums = [
        total[images[of_image[images] == position]].sum(axis=0) for position in range(len(numbers))
    ]
    return np.stack([one / one.sum() for one in sums]), of_image


def pool_rows(arrays: StageArrays) -> Int[np.ndarray, " row"]:
    """The rows of the gaze that are of users of the pool: users, or their recordings."""
    users = np.asarray(arrays.pool.users)
    return users if arrays.joined is None else recordings_of(users, arrays.joined.user)


def make_stage_arrays(
    dataset: Dataset,
    images: Shaped[np.ndarray, "all_images height width channel"] | LazyRows | None,
    spec: MapSpec,
    *,
    users: Int[np.ndarray, " user"],
    train_images: Int[np.ndarray, " image"],
    replacement: Float[np.ndarray, "all_images map_height map_width"] | None,
    has_preference: bool,
    by_recording: bool = False,
) -> StageArrays:
    """Gathers what a stage reads, with the summed maps of the seen users.

    Args:
        dataset: the data set.
        images: what the stage's network sees.
        spec: how fixations become maps.
        users: data-set indices of the seen users.
        train_images: data-set indices of the training images.
        replacement: universal maps in place of the leave-one-out maps; None: none.
        has_preference: whether the encoder appends preference vectors.
        by_recording: whether the viewings are of the recordings of the data set.
    """
    gaze, joined = dataset.gaze, None
    if by_recording and dataset.recordings is not None:
        gaze, joined = dataset.recordings.gaze, JoinedGaze(gaze, dataset.recordings.user)
    if replacement is None:
        universal = _sum_maps(dataset, images, spec, users)
    else:
        universal = _as_sums(replacement, spec.size, len(dataset.user_ids))
    preference = None
    if has_preference and dataset.features is not None:
        preference = _preference_vectors(dataset.features, gaze, universal, spec, joined)
    seen_lengths = np.asarray(dataset.gaze.viewing_length)[users]
    return StageArrays(
        images=images,
        gaze=gaze,
        universal=universal,
        pool=SamplingPool(
            users,
            train_images,
            seen_lengths[:, train_images] > 0,
            None if joined is None else _recording_pool(gaze, joined, users, train_images),
            None if dataset.dataset_of_user is None else dataset.dataset_of_user[users],
        ),
        preference=preference,
        joined=joined,
        dataset_of_image=dataset.dataset_of_image,
    )


def _recording_pool(
    gaze: Gaze,
    joined: JoinedGaze,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
) -> RecordingPool:
    """The recordings of the seen users, with as many columns as the user with the most has."""
    of_users = [np.flatnonzero(np.asarray(joined.user) == user) for user in users]
    recording = np.full((len(users), max(map(len, of_users))), -1)
    for row, found in zip(recording, of_users, strict=True):
        row[: len(found)] = found
    viewed = np.asarray(gaze.viewing_length)[:, images] > 0
    return RecordingPool(recording, viewed[recording] & (recording >= 0)[..., None])


def _sum_maps(
    dataset: Dataset, images: Any, spec: MapSpec, users: Int[np.ndarray, " user"]
) -> LeaveOneOutMaps:
    """Sums the maps of the seen users, in chunks of images where images are lazy rows.

    Images with about as many viewers are summed together: most users may have seen few images.
    """
    lengths, gaze = np.asarray(dataset.gaze.viewing_length), jax.device_put(dataset.gaze)
    number = np.count_nonzero(lengths[users], axis=0)
    most = int(number.max())
    # A power of 4: few programs to compile.
    places = np.minimum(4 ** np.ceil(np.log2(np.maximum(number, 1)) / 2), max(most, 1)).astype(int)
    total = np.zeros((len(number), *spec.size), np.float32)
    per_chunk = IMAGES_PER_CHUNK if isinstance(images, LazyRows) else len(number)
    for count in np.unique(places).tolist():
        of_count = np.flatnonzero(places == count)
        for chunk in np.split(of_count, range(per_chunk, len(of_count), per_chunk)):
            viewers = _viewers(lengths[:, chunk], users, count)
            found = _sum_maps_on(spec, gaze, chunk, users, viewers)
            total[chunk] = jax.device_get(found.total)
    is_member = np.isin(np.arange(len(lengths)), users)
    return LeaveOneOutMaps(total, number.astype(np.int32), is_member)


def _viewers(
    lengths: Int[np.ndarray, "user image"], users: Int[np.ndarray, " member"], count: int
) -> Int[np.ndarray, "image viewer"]:
    """The users who saw each image, in their order, and -1 where they are fewer than `count`."""
    has_seen = lengths[users] > 0
    order = np.argsort(~has_seen, axis=0, kind="stable")[:count]
    return np.where(np.take_along_axis(has_seen, order, axis=0), users[order], -1).T


@functools.partial(jax.jit, static_argnums=0)
def _sum_maps_on(
    spec: MapSpec, gaze: Gaze, images: Array, members: Array, viewers: Array
) -> LeaveOneOutMaps:
    return sum_maps(gaze_on(gaze, images), members, spec, viewers)


def _as_sums(
    maps: Float[np.ndarray, "image height width"], size: tuple[int, int], num_users: int
) -> LeaveOneOutMaps:
    """Universal maps that no user contributed to, in the form of sums without members."""
    total = np.empty((len(maps), *size), np.float32)
    # Some images at a time: resized maps of all would be several copies of the result.
    for first in range(0, len(maps), _MAPS_PER_RESIZE):
        some = maps[first : first + _MAPS_PER_RESIZE]
        resized = jax.image.resize(some, (len(some), *size), "linear", antialias=True)
        total[first : first + len(some)] = to_density(resized)
    return LeaveOneOutMaps(total, np.ones(len(maps), np.int32), np.zeros(num_users, bool))


def _preference_vectors(
    image_features: Float16[np.ndarray, "image height width feature"] | LazyRows,
    gaze: Gaze,
    universal: LeaveOneOutMaps,
    spec: MapSpec,
    joined: JoinedGaze | None,
) -> ViewingVectors:
    """The preference vector of every viewing: a matrix product for each image."""
    gaze = gaze._replace(xy_frac=jax.device_put(gaze.xy_frac))
    if joined is not None:
        on_device = joined.gaze._replace(xy_frac=jax.device_put(joined.gaze.xy_frac))
        joined = joined._replace(gaze=on_device)
    lengths, found = np.asarray(gaze.viewing_length), []
    for image in range(len(image_features)):
        only = np.array([image])
        of_it = universal._replace(
            total=universal.total[only], num_viewers=universal.num_viewers[only]
        )
        of_users = None if joined is None else joined._replace(gaze=gaze_on(joined.gaze, only))
        features = image_features[image]
        rows = _padded(np.flatnonzero(lengths[:, image]), len(lengths))
        found.append(_preferences_on(spec, features, gaze_on(gaze, only), of_it, of_users, rows))
    place = number_viewings(lengths > 0)
    vectors = np.empty((np.count_nonzero(lengths), np.shape(found[-1])[-1]), np.float32)
    for places, of_viewers in zip(place.T, jax.device_get(found), strict=True):
        viewers = places[places >= 0]
        vectors[viewers] = of_viewers[: len(viewers)]
    return ViewingVectors(vectors, place)


def _padded(rows: Int[np.ndarray, " row"], most: int) -> Int[np.ndarray, " padded"]:
    """Repeats row 0 up to the half, the quarter, ... of `most`: programs for a few shapes."""
    size = most
    while size > 1 and len(rows) <= size // 2:
        size //= 2
    return np.pad(rows, (0, size - len(rows)))


@functools.partial(jax.jit, static_argnums=0)
def _preferences_on(
    spec: MapSpec,
    features: Array,
    gaze: Gaze,
    universal: LeaveOneOutMaps,
    joined: JoinedGaze | None,
    users: Array,
) -> Array:
    """The preference vectors of some users on one image, which is all that is given."""
    at = jnp.zeros_like(users)
    personal, others = personal_and_universal_maps(gaze, universal, users, at, spec, joined)
    return preference_vector(features[None], personal - others)
