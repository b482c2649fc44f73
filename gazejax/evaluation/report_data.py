"""What a report shows beside the metrics: curves, places of users, their traits, some maps.

The arrays are in `evaluation_report.npz`, so that a report needs neither the data set nor the
networks. They hold fixations and pictures, which are personal data.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from gazejax.evaluation.folds import GROUPS, Fold
from gazejax.evaluation.traits import OF_PICTURES, measure, measure_places, minus_others
from gazejax.evaluation.verification import protocol
from gazejax.metrics.verification import RocCurve
from gazejax.types import Dataset

REPORT_DATA = "evaluation_report.npz"

_IMAGES_PER_POINT = 10
# Cells of a stored map, at most: 24 images and 15 users stay below 5 MB.
_MOST_CELLS = 48 * 36
_NUM_NEAREST = 3
_MAPS = ("universal", "own", "mean", "truth")


def describe_users(fold: Fold, dataset: Dataset) -> dict[str, np.ndarray]:
    """Places of the users of a fold in the space of embeddings, and their traits.

    Returns:
        `user_ids`; `is_seen` [user]; `sample` [sample, embedding], each a mean over equally many
        test images of a user, and `sample_user`; `nearest` [user, 3], the users at the smallest
        Euclidean distance of mean embeddings, -1: none; `trait_names`, `traits` [user, trait], of
        the test images.
    """
    groups = [fold.compared[group]["encoder"] for group in GROUPS]
    users = np.concatenate([group.users for group in groups])
    fewest = min(int(np.min(group.viewed.sum(axis=1))) for group in groups)
    size = max(1, min(_IMAGES_PER_POINT, fewest // 2))
    number = fewest // size
    samples = np.concatenate(
        [
            protocol.mean_of_disjoint_samples(
                group.representations,
                group.viewed,
                np.arange(group.viewed.shape[1]),
                size=size,
                number=number,
            )
            for group in groups
        ],
        axis=1,
    )
    return {
        "user_ids": np.array(dataset.user_ids, str),
        "is_seen": np.isin(np.arange(len(dataset.user_ids)), fold.splits.seen_users),
        "sample": samples.reshape(-1, samples.shape[-1]).astype(np.float32),
        "sample_user": np.tile(users, number),
        "nearest": _nearest(samples.mean(axis=0), users, len(dataset.user_ids)),
        **_traits(fold, dataset),
    }


def _nearest(
    means: Float[np.ndarray, "compared embedding"],
    users: Int[np.ndarray, " compared"],
    num_users: int,
) -> Int[np.ndarray, "user nearest"]:
    found = np.full((num_users, _NUM_NEAREST), -1)
    for place, user in enumerate(users):
        distance = np.linalg.norm(means - means[place], axis=1)
        distance[place] = np.inf
        order = np.argsort(distance, kind="stable")[: min(_NUM_NEAREST, len(users) - 1)]
        found[user, : len(order)] = users[order]
    return found


def _traits(fold: Fold, dataset: Dataset) -> dict[str, np.ndarray]:
    """Means over the test images of each user; those of pictures minus those of the others."""
    users, images = np.arange(len(dataset.user_ids)), fold.splits.test_images
    found = measure(dataset.gaze, users, images)
    places = np.nanmean(minus_others(measure_places(dataset, images), users), axis=1)
    found |= {name: of for name, of in zip(OF_PICTURES, places.T, strict=True) if of.any()}
    return {
        "trait_names": np.array([*found], str),
        "traits": np.stack([*found.values()], axis=-1).astype(np.float32),
    }


def pack_curves(curves: Mapping[str, Mapping[str, Mapping[str, RocCurve]]]) -> dict[str, Any]:
    """ROC curves under `roc/<table>/<group>/<label>`: float32 [2, threshold], FMR and FNMR.

    Thresholds between which no rate changes by 0.1 % are left out.
    """
    return {
        f"roc/{table}/{group}/{label}": _thinned(np.stack(curve))
        for table, of_groups in curves.items()
        for group, of_labels in of_groups.items()
        for label, curve in of_labels.items()
    }


def _thinned(curve: Float[np.ndarray, "2 threshold"]) -> Float[np.ndarray, "2 kept"]:
    steps = np.round(curve * np.array([[1e4], [1e3]])).astype(int)
    kept = np.r_[True, (np.diff(steps) != 0).any(axis=0)]
    kept[-1] = True
    return curve[:, kept].astype(np.float32)


def pack_examples(examples: Sequence[Mapping[str, Any]], dataset: Dataset) -> dict[str, Any]:
    """Maps of users and images, as the stage-2 protocol gives them, for a gallery.

    Returns:
        Empty without examples. `example_user`, `example_image` [example], index into
        `example_image_ids`; `example_maps` [example, map, height, width], uint8, the square root of
        each map as a share of its highest value: universal, own, mean, truth;
        `example_difference`, int8, density of own minus mean as a share of the 99.8 %
        quantile of its size; `example_cc` [example, 2], CC of own and mean with the truth;
        `example_xy_frac` and `example_num_fixations`; and `picture_<number>` of each image.
    """
    if not examples:
        return {}
    images = sorted({one["image"] for one in examples})
    maps = [[_density(one[name]) for name in _MAPS] for one in examples]
    differences = np.stack([of[1] - of[2] for of in maps])
    scale = float(np.quantile(np.abs(differences), 0.998)) or 1.0
    fixations = [fixations_of(dataset, one) for one in examples]
    return {
        "example_user": np.array([one["user"] for one in examples]),
        "example_image": np.array([images.index(one["image"]) for one in examples]),
        "example_image_ids": np.array([dataset.image_ids[image] for image in images], str),
        "example_maps": np.stack([[_as_bytes(one) for one in of] for of in maps]),
        "example_difference": np.round(np.clip(differences / scale, -1, 1) * 127).astype(np.int8),
        "example_cc": np.array([[_cc(of[1], of[3]), _cc(of[2], of[3])] for of in maps]),
        "example_xy_frac": np.concatenate(fixations).astype(np.float32),
        "example_num_fixations": np.array([len(one) for one in fixations]),
        **{
            f"picture_{number}": np.asarray(dataset.images["saliency"][image])
            for number, image in enumerate(images)
        },
    }


def fixations_of(dataset: Dataset, example: Mapping[str, Any]) -> Float[np.ndarray, "fixation 2"]:
    """Fixations of an example, as fractions of image width and height."""
    gaze, row = dataset.gaze, example["user"]
    if dataset.recordings is not None and example["recording"] is not None:
        gaze, row = dataset.recordings.gaze, example["recording"]
    start = gaze.viewing_offset[row, example["image"]]
    return np.asarray(gaze.xy_frac)[start : start + gaze.viewing_length[row, example["image"]]]


def _density(values: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "_height _width"]:
    """A map with a mean of 1, of at most `_MOST_CELLS`."""
    values = np.asarray(values, np.float64)
    factor = int(np.ceil(np.sqrt(values.size / _MOST_CELLS)))
    height, width = (side // factor * factor for side in values.shape)
    blocks = values[:height, :width].reshape(height // factor, factor, width // factor, factor)
    coarse = blocks.mean(axis=(1, 3))
    return coarse / (coarse.mean() or 1.0)


def _as_bytes(density: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    highest = density.max() or 1.0
    return np.round(np.sqrt(np.clip(density / highest, 0, 1)) * 255).astype(np.uint8)


def _cc(one: np.ndarray, other: np.ndarray) -> float:
    if not (one.std() and other.std()):
        return float("nan")
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
