"""The arrays that a stage reads, with universal maps and preference vectors."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float16, Int, Shaped

from gazejax.inputs.maps import (
    LeaveOneOutMaps,
    MapSpec,
    personal_and_universal_maps,
    sum_maps,
    to_density,
)
from gazejax.inputs.sampling import SamplingPool
from gazejax.models.scanpath_encoder import preference_vector
from gazejax.types import AnyArray, Dataset, Gaze, LazyRows, gaze_on

# How many images of lazy rows are on the devices at once, outside of training.
IMAGES_PER_CHUNK = 64


class StageArrays(NamedTuple):
    """Images, gaze and universal maps, with the pool that batches are sampled from.

    Attributes:
        images: what the network sees of all images of the data set: pixels at the stage's input
            size, or frozen features. None for an encoder that sees no image, and on a device where
            the images are lazy rows: they come with each step then.
        gaze: all fixations.
        universal: sums of the seen users' maps, at the stage's map size. Its total is None on a
            device where the images are lazy rows.
        pool: the seen users and the training images.
        preference: preference vector of every viewing, for an encoder that appends one; see
            `preference_vector`.
    """

    images: Any  # Shaped[AnyArray, "all_images height width channel"] | LazyRows | None
    gaze: Gaze
    universal: LeaveOneOutMaps
    pool: SamplingPool
    preference: Float[AnyArray, "all_users all_images preference"] | None


class StageInputs(NamedTuple):
    """What a stage reads.

    Attributes:
        arrays: the arrays.
        spec: how its fixations become maps.
    """

    arrays: StageArrays
    spec: MapSpec


def center_prior(arrays: StageArrays) -> Float[np.ndarray, "height width"]:
    """Mean of all training maps: where users look, whatever the image."""
    total = np.asarray(arrays.universal.total)[np.asarray(arrays.pool.images)].sum(axis=0)
    return total / total.sum()


def make_stage_arrays(
    dataset: Dataset,
    images: Shaped[np.ndarray, "all_images height width channel"] | LazyRows | None,
    spec: MapSpec,
    *,
    users: Int[np.ndarray, " user"],
    train_images: Int[np.ndarray, " image"],
    replacement: Float[np.ndarray, "all_images map_height map_width"] | None,
    has_preference: bool,
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
    """
    if replacement is None:
        universal = _sum_maps(dataset, images, spec, users)
    else:
        universal = _as_sums(replacement, spec.size, len(dataset.user_ids))
    preference = None
    if has_preference and dataset.features is not None:
        preference = _preference_vectors(dataset.features, dataset.gaze, universal, spec)
    seen_lengths = np.asarray(dataset.gaze.viewing_length)[users]
    return StageArrays(
        images=images,
        gaze=dataset.gaze,
        universal=universal,
        pool=SamplingPool(users, train_images, seen_lengths[:, train_images] > 0),
        preference=preference,
    )


def _sum_maps(
    dataset: Dataset, images: Any, spec: MapSpec, users: Int[np.ndarray, " user"]
) -> LeaveOneOutMaps:
    """Sums the maps of the seen users, in chunks of images where images are lazy rows."""

    @jax.jit
    def of_images(gaze: Gaze, images: Array, members: Array) -> LeaveOneOutMaps:
        return sum_maps(gaze_on(gaze, images), members, spec)

    every = np.arange(len(dataset.image_ids))
    chunks = np.split(every, range(IMAGES_PER_CHUNK, len(every), IMAGES_PER_CHUNK))
    gaze = jax.device_put(dataset.gaze)
    sums = [
        jax.device_get(of_images(gaze, chunk, users))
        for chunk in (chunks if isinstance(images, LazyRows) else [every])
    ]
    return sums[0]._replace(
        total=np.concatenate([chunk.total for chunk in sums]),
        num_viewers=np.concatenate([chunk.num_viewers for chunk in sums]),
    )


def _as_sums(
    maps: Float[np.ndarray, "image height width"], size: tuple[int, int], num_users: int
) -> LeaveOneOutMaps:
    """Universal maps that no user contributed to, in the form of sums without members."""
    total = jax.image.resize(maps, (len(maps), *size), "linear", antialias=True)
    return jax.device_get(
        LeaveOneOutMaps(
            total=to_density(total),
            num_viewers=jnp.ones(len(maps), jnp.int32),
            is_member=jnp.zeros(num_users, bool),
        )
    )


def _preference_vectors(
    image_features: Float16[np.ndarray, "image height width feature"] | LazyRows,
    gaze: Gaze,
    universal: LeaveOneOutMaps,
    spec: MapSpec,
) -> Float[np.ndarray, "user image preference"]:
    """The preference vector of every viewing: for each image one matrix product for all users."""
    users = jnp.arange(len(gaze.viewing_length))

    @jax.jit
    def of_image(features: Array, gaze: Gaze, universal: LeaveOneOutMaps) -> Array:
        at = jnp.zeros_like(users)
        personal, others = personal_and_universal_maps(gaze, universal, users, at, spec)
        return preference_vector(features[None], personal - others)

    gaze = gaze._replace(xy_frac=jax.device_put(gaze.xy_frac))
    found = []
    for image in range(len(image_features)):
        only = np.array([image])
        of_it = universal._replace(
            total=universal.total[only], num_viewers=universal.num_viewers[only]
        )
        found.append(of_image(image_features[image], gaze_on(gaze, only), of_it))
    return np.stack(jax.device_get(found), axis=1)
