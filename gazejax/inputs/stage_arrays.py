"""The arrays that a stage reads, with universal maps and preference vectors."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float16, Int
from ml_collections import ConfigDict

from gazejax.config.derived import encoder_sees_pixels, map_size
from gazejax.data.splits import Splits
from gazejax.inputs.maps import (
    LeaveOneOutMaps,
    leave_one_out_maps,
    personal_maps,
    sum_maps,
    to_density,
)
from gazejax.models.scanpath_encoder import preference_vector
from gazejax.types import AnyArray, Dataset, Gaze, LazyRows, gaze_on, longest_viewing

# How many stored images an evaluation has on the devices at once.
IMAGES_PER_CHUNK = 64


class StageArrays(NamedTuple):
    """Images and gaze on the device, with the pool that training draws from.

    Attributes:
        pixels: all images of the data set at the stage's input size; or their frozen features, if
            that is what the stage's network sees. On a device None where they are stored, and so is
            the total of `group`, which is as large.
        gaze: all fixations.
        group: maps of the seen users at the stage's map size.
        users: data-set index of each pool user.
        images: data-set index of each pool image.
        viewed: which pool user saw which pool image.
        taste: of every viewing, for an encoder that is told; see `preference_vector`.
    """

    pixels: Any  # Shaped[AnyArray, "all_images height width channel"] | Stored | None
    gaze: Gaze
    group: LeaveOneOutMaps
    users: Int[AnyArray, " user"]
    images: Int[AnyArray, " image"]
    viewed: Bool[AnyArray, "user image"]
    taste: Float[AnyArray, "all_users all_images taste"] | None


def center_prior(viewings: StageArrays) -> Float[np.ndarray, "height width"]:
    """Mean of all training maps: where people look, whatever the image."""
    total = np.asarray(viewings.group.total)[np.asarray(viewings.images)].sum(axis=0)
    return total / total.sum()


def _as_replacement_maps(
    universal: Float[np.ndarray, "image height width"], size: tuple[int, int], num_users: int
) -> LeaveOneOutMaps:
    """Maps that are nobody's in particular: nobody is left out of them."""
    shape = (len(universal), *size)
    total = jax.image.resize(universal, shape, "linear", antialias=True)
    return jax.device_get(
        LeaveOneOutMaps(
            total=to_density(total),
            num_viewers=jnp.ones(len(universal), jnp.int32),
            is_member=jnp.zeros(num_users, bool),
        )
    )


def make_stage_arrays(
    name: str,
    config: ConfigDict,
    dataset: Dataset,
    splits: Splits,
    universal: Float[np.ndarray, "all_images map_height map_width"] | None = None,
) -> StageArrays:
    """Gathers what a stage reads, with the group maps of the seen users.

    Args:
        name: one of `INPUTS`.
        config: the validated config.
        dataset: the data set.
        splits: who and what is seen.
        universal: maps that stand in the place of the group's; see `replacement_universal_maps`.
    """
    max_fixations = longest_viewing(dataset.gaze)

    @jax.jit
    def group_of(gaze: Gaze, images: Array, members: Array) -> LeaveOneOutMaps:
        return sum_maps(
            gaze_on(gaze, images),
            members,
            sigma_frac=config.data.sigma_frac,
            map_size=map_size(config, name),
            max_fixations=max_fixations,
        )

    seen_lengths = np.asarray(dataset.gaze.viewing_length)[splits.seen_users]
    pixels: np.ndarray | LazyRows = dataset.images[name]
    images = np.arange(len(dataset.image_ids))
    parts = np.split(images, range(IMAGES_PER_CHUNK, len(images), IMAGES_PER_CHUNK))
    gaze = jax.device_put(dataset.gaze)
    groups = [
        jax.device_get(group_of(gaze, part, splits.seen_users))
        for part in (parts if isinstance(pixels, LazyRows) else [images])
    ]
    group = groups[0]._replace(
        total=np.concatenate([part.total for part in groups]),
        num_viewers=np.concatenate([part.num_viewers for part in groups]),
    )
    if universal is not None:
        group = _as_replacement_maps(universal, map_size(config, name), len(dataset.user_ids))
    taste = None
    if dataset.features is not None and name == "encoder":
        taste = _preference_vectors(config, dataset.features, dataset.gaze, group)
    elif dataset.features is not None:
        pixels = dataset.features
    if name == "encoder" and not encoder_sees_pixels(config):
        nothing = np.zeros((len(images), 1, 1, 0), np.uint8)
        is_stored = isinstance(pixels, LazyRows)
        pixels = LazyRows(nothing.__getitem__, len(images)) if is_stored else nothing
    return StageArrays(
        pixels=pixels,
        gaze=dataset.gaze,
        group=group,
        users=splits.seen_users,
        images=splits.train_images,
        viewed=seen_lengths[:, splits.train_images] > 0,
        taste=taste,
    )


def _preference_vectors(
    config: ConfigDict,
    image_features: Float16[np.ndarray, "image height width feature"] | LazyRows,
    gaze: Gaze,
    group: LeaveOneOutMaps,
) -> Float[np.ndarray, "user image taste"]:
    """The taste that every viewing shows: for each image one matrix product for all users."""
    users = jnp.arange(len(gaze.viewing_length))
    max_fixations = longest_viewing(gaze)

    @jax.jit
    def of_image(grid: Array, gaze: Gaze, group: LeaveOneOutMaps) -> Array:
        at = jnp.zeros_like(users)
        personal = personal_maps(
            gaze,
            users,
            at,
            sigma_frac=config.data.sigma_frac,
            map_size=map_size(config, "encoder"),
            max_fixations=max_fixations,
        )
        universal = leave_one_out_maps(group, gaze, users, at, personal)
        return preference_vector(grid[None], personal - universal)

    fixations = gaze._replace(xy_frac=jax.device_put(gaze.xy_frac))
    tastes = []
    for image in range(len(image_features)):
        near = np.array([image])
        of_it = group._replace(total=group.total[near], num_viewers=group.num_viewers[near])
        tastes.append(of_image(image_features[image], gaze_on(fixations, near), of_it))
    return np.stack(jax.device_get(tastes), axis=1)
