"""A config's data set: reads it, adds image features, applies the overlap of images."""

import math
import os

import jax
import numpy as np
from ml_collections import ConfigDict

from gazejax.config.derived import (
    INPUTS,
    dataset_names,
    duration_use,
    embedding_layout,
    has_preference_vector,
    input_sizes,
    map_size,
)
from gazejax.data import features, pretrained, reader
from gazejax.data.joining import find_copies, join_datasets, numbers_of, split_joined
from gazejax.data.splits import Splits, make_splits, share_images
from gazejax.models import feature_projection
from gazejax.models.scanpath_encoder import TIMED_FEATURES
from gazejax.runtime import distributed
from gazejax.types import Dataset, LazyRows

# Of a device's memory, for images; the rest is for the gaze and for what a step computes.
_SHARE_FOR_IMAGES = 0.4


def load_dataset(
    config: ConfigDict, projection: feature_projection.FeatureProjection | None = None
) -> Dataset:
    """Reads the config's data set, with frozen features if it asks for some.

    Args:
        config: a validated config.
        projection: see `add_features`.

    Raises:
        FileNotFoundError: if the data set is not prepared, or the backbone's weights are missing.
        ValueError: if a record does not read, or the encoder is to read durations that are not
            known.
    """
    return add_features(config, read_dataset(config), projection)


def read_dataset(config: ConfigDict) -> Dataset:
    """Reads the config's data set at the input sizes of the networks; raises as `load_dataset`.

    Several data sets are joined.
    """
    names = dataset_names(config.data.name)
    sizes = input_sizes(config)
    # Of images as networks see them, and of universal maps.
    bytes_per_image = sum(4 * math.prod(map_size(config, name)) for name in INPUTS)
    bytes_per_image += sum(3 * math.prod(size) for size in sizes.values())
    if has_preference_vector(config):
        bytes_per_image -= 3 * math.prod(sizes["saliency"])
        num_features = embedding_layout(config).preference
        bytes_per_image += 2 * math.prod(config.saliency.map_size) * num_features
    is_resident = _is_resident(
        config.data.image_storage,
        sum(reader.num_images(name, config.data.data_dir) for name in names),
        bytes_per_image,
    )
    datasets = [
        reader.load(
            name,
            config.data.data_dir,
            sizes,
            is_resident=is_resident,
            first_trial_only=config.data.first_trial_only,
            drop_first_fixation=config.data.drop_first_fixation,
            subsample_every=config.data.subsample_every,
        )
        for name in names
    ]
    durations = duration_use(
        config.encoder.model.inputs,
        without_durations=config.encoder.batch.virtual_sessions.without_durations,
    )
    without = [one.name for one in datasets if not one.has_durations]
    if without and durations.is_needed:
        timed = sorted(TIMED_FEATURES & set(config.encoder.model.inputs))
        named = f"the config custom:{without[0]} without +durations, " if len(names) == 1 else ""
        raise ValueError(
            f"config.encoder.model.inputs has {timed[0]!r}, but the durations of "
            f"{without[0]!r} are unknown; allowed: {named}the inputs without 'duration' and "
            "'order', or encoder.batch.virtual_sessions.without_durations above 0"
        )
    if len(datasets) == 1:
        return datasets[0]
    if 0 < len(without) < len(names) and not durations.is_read:
        distributed.log(
            f"the durations of {', '.join(without)} are unknown: the run reads no durations"
        )
    return join_datasets(datasets, find_copies(dict.fromkeys(names, config.data.data_dir)))


def apply_image_overlap(config: ConfigDict, dataset: Dataset) -> Dataset:
    """A data set reduced to the viewings that a config leaves where users share only some images.

    Training images are divided among the seen users, test images among all users: the images that
    unseen users share with seen users decide which universal maps there are. Of several data sets,
    the images of each are divided among its users.

    Args:
        config: of one fold: it depends on who is seen.
        dataset: with all of its gaze.
    """
    splits, options = make_config_splits(config, dataset), config.split
    all_users = np.concatenate([splits.seen_users, splits.unseen_users])
    viewed = all_viewed = np.asarray(dataset.gaze.viewing_length) > 0
    of_user, of_image = numbers_of(dataset)
    for users, images, overlap in (
        (splits.seen_users, splits.train_images, options.train_image_overlap),
        (all_users, splits.test_images, options.test_image_overlap),
    ):
        for number in range(of_user.max() + 1):
            viewed = share_images(
                viewed,
                dataset.image_ids,
                users[of_user[users] == number],
                images[of_image[images] == number],
                overlap=overlap,
                hash_seed=options.hash_seed,
                copies=dataset.copies,
            )
    if viewed is all_viewed:
        return dataset
    length = np.where(viewed, dataset.gaze.viewing_length, 0)
    recordings = dataset.recordings
    if recordings is not None:
        of_recordings = np.where(viewed[recordings.user], recordings.gaze.viewing_length, 0)
        recordings = recordings._replace(
            gaze=recordings.gaze._replace(viewing_length=of_recordings)
        )
    return dataset._replace(
        gaze=dataset.gaze._replace(viewing_length=length), recordings=recordings
    )


def add_features(
    config: ConfigDict, dataset: Dataset, projection: feature_projection.FeatureProjection | None
) -> Dataset:
    """Computes the frozen features of all images, if the config asks for some.

    Args:
        config: a validated config.
        dataset: from `read_dataset`.
        projection: that of a run; None: one is fitted on the training images.

    Raises:
        FileNotFoundError: if the backbone's weights are missing.
    """
    if not has_preference_vector(config):
        return dataset
    params = pretrained.load_parameters()["backbone"]
    levels = features.cached_levels(
        params,
        dataset.images["saliency"],
        config.features.strides,
        weights=pretrained.MADE_FROM,
    )
    if projection is None:
        training = make_config_splits(config, dataset).train_images
        projection = features.fit_projection(
            [level[training] for level in levels], config.features.components
        )
    grid = features.project(projection, levels, config.saliency.map_size)
    if isinstance(dataset.images["saliency"], LazyRows):
        return dataset._replace(
            features=LazyRows(grid.__getitem__, len(grid)), projection=projection
        )
    return dataset._replace(features=grid, projection=projection)


def _is_resident(storage: str, num_images: int, bytes_per_image: int) -> bool:
    """Whether all images lie on the devices; says so if `auto` was to choose."""
    if storage != "auto":
        return storage == "device"
    needed = num_images * bytes_per_image
    available, whose = _device_memory()
    is_resident = needed <= _SHARE_FOR_IMAGES * available
    distributed.log(
        f"config.data.image_storage 'auto': {num_images} images take {needed / 1e9:.2f} GB, and "
        f"{_SHARE_FOR_IMAGES * available / 1e9:.1f} GB of {whose} are for them: "
        f"{'device' if is_resident else 'stream'}"
    )
    return is_resident


def _device_memory() -> tuple[float, str]:
    """Bytes that a device may fill, and whose memory that is."""
    devices = jax.local_devices()
    limit = (devices[0].memory_stats() or {}).get("bytes_limit")
    if limit is not None:
        return float(limit), "each device"
    # The devices of a CPU share its memory, and each holds a copy.
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total / len(devices), f"the memory of each of {len(devices)} devices of the CPU"


def make_config_splits(config: ConfigDict, dataset: Dataset) -> Splits:
    """The splits that a config makes of its data set."""
    viewed = np.asarray(dataset.gaze.viewing_length) > 0
    # Of what the splits leave, users may share a part only: see `apply_image_overlap`.
    later = ("cross_validate", "train_image_overlap", "test_image_overlap")
    options = {key: config.split[key] for key in config.split if key not in later}
    if dataset.dataset_of_user is not None:
        return split_joined(dataset, **options)
    return make_splits(
        dataset.user_ids, dataset.image_ids, viewed, copies=dataset.copies, **options
    )
