"""Few-shot identification of the unseen users of a run, by each method and by predicted maps."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gazejax import metrics
from gazejax.evaluation.few_shot import protocol
from gazejax.evaluation.folds import Fold, Run, represent_fold
from gazejax.evaluation.prediction.calibration import Calibration
from gazejax.evaluation.prediction.protocol import (
    CONDITIONS,
    PredictionRequest,
    positive_density,
)
from gazejax.evaluation.prediction.score_maps import predicted_batches
from gazejax.evaluation.verification.protocol import (
    UserRepresentations,
    enrolment_weights,
    sample_image_orders,
)
from gazejax.inputs.perturbations import apply_embedding_control
from gazejax.inputs.stage_arrays import center_prior
from gazejax.inputs.viewing_vectors import mean_over_images, to_dense
from gazejax.metrics import bootstrap
from gazejax.runtime.progress import track
from gazejax.types import Dataset

# As the papers enrol: numbers of training images, and draws of them.
SIZES = (1, 5, 10)
NUM_DRAWS = 10

METHODS = ("encoder", "residual_map", "fixation_statistics")


def identify_users(run: Run) -> dict[str, Any]:
    """Enrols the unseen users of the first fold with training images, and finds them again.

    Returns:
        What `evaluation.json` holds under `few_shot`: `one_viewing` and `all_viewings`, by method
        and number of enrolment images; `own_map` by that number, if there is a saliency network;
        `chance`; and what was compared.
    """
    fold, options, dataset = run.folds[0], run.config.eval, run.dataset
    users, num_images = fold.splits.unseen_users, len(fold.splits.test_images)
    names = [dataset.user_ids[user] for user in users]
    generator = np.random.default_rng(options.seed)
    user_weight, image_weight = (
        bootstrap.resample(number, number, num_resamples=options.num_resamples, generator=generator)
        for number in (len(users), num_images)
    )
    no_images = np.ones((options.num_resamples, 1), int)
    with track("evaluation, few-shot", 2) as show:
        compared, orders, sizes = _represent(fold, dataset)
        show(1, "embeddings")
        result: dict[str, Any] = {"one_viewing": {}, "all_viewings": {}}
        enrolled_with = {}
        for method in METHODS:
            known, num_train = compared[method], orders.shape[1]
            of_tests = known.representations.row[:, num_train:]
            probes = to_dense(known.representations._replace(row=of_tests))
            result["one_viewing"][method], result["all_viewings"][method] = {}, {}
            for size in sizes:
                enrolled = _enrol(known, orders, size)
                if method == "encoder":
                    enrolled_with[size] = _enrol(_as_stage_2_reads(known, fold), orders, size)
                for key, rank, weight in (
                    ("one_viewing", protocol.viewing_ranks, image_weight),
                    ("all_viewings", protocol.pooled_ranks, no_images),
                ):
                    ranks = rank(
                        enrolled,
                        probes,
                        known.viewed[:, num_train:],
                        known.similarity,
                        size,
                    )
                    row = protocol.summarize(ranks, names, user_weight, weight)
                    result[key][method][str(size)] = row
        if fold.saliency_is_trained():
            ranks = protocol.map_ranks(
                _likelihoods(fold, np.concatenate([*enrolled_with.values()]))
            )
            result["own_map"] = {
                str(size): protocol.summarize(of_size, names, user_weight, image_weight)
                for size, of_size in zip(sizes, np.split(ranks, len(sizes)), strict=True)
            }
        show(2, "maps")
    return result | {
        "chance": protocol.chance(len(users)),
        "num_users": len(users),
        "num_images": num_images,
        "num_draws": NUM_DRAWS,
    }


def _represent(
    fold: Fold, dataset: Dataset
) -> tuple[
    dict[str, UserRepresentations],
    Int[np.ndarray, "draw image"],
    list[int],
]:
    """What each method knows of the unseen users on the training images, then the test images.

    Returns:
        The representations; orders of the training images; the sizes that all users can enrol with.
    """
    splits, num_train = fold.splits, len(fold.splits.train_images)
    images = np.concatenate([splits.train_images, splits.test_images])
    on_all = represent_fold(
        fold.workdir,
        fold.config,
        dataset,
        splits._replace(test_images=images),
        {"unseen": splits.unseen_users},
    )
    compared = on_all.compared["unseen"]
    orders = sample_image_orders(num_train, NUM_DRAWS, fold.config.eval.seed)
    fewest = min(int(compared[one].viewed[:, :num_train].sum(axis=1).min()) for one in METHODS)
    return compared, orders, [size for size in SIZES if size <= fewest]


def _as_stage_2_reads(known: UserRepresentations, fold: Fold) -> UserRepresentations:
    """The embeddings under the control that the saliency network was trained with."""
    return known._replace(
        representations=apply_embedding_control(
            fold.config.controls.embeddings,
            known.representations,
            seed=fold.config.seed,
        )
    )


def _enrol(
    known: UserRepresentations,
    orders: Int[np.ndarray, "draw image"],
    size: int,
) -> Float[np.ndarray, "draw user entry"]:
    """Mean representations of the first training images that each user saw, in each order."""
    num_train = orders.shape[1]
    viewed, row = known.viewed[:, :num_train], known.representations.row[:, :num_train]
    training = known.representations._replace(row=row)
    return np.stack(
        [
            mean_over_images(training, enrolment_weights(viewed, order, start=0, size=size))
            for order in orders
        ]
    )


def _likelihoods(
    fold: Fold, enrolled: Float[np.ndarray, "enrolment user embedding"]
) -> Float[np.ndarray, "enrolment image user shift"]:
    """How well the maps of all enrolled users fit the fixations of each viewing of a test image.

    The mean log density, as an information gain: its baseline is the same for all maps. `shift` s
    is the map with the embedding of user + s.
    """
    users, images = fold.splits.unseen_users, fold.splits.test_images
    inputs = fold.inputs["saliency"]
    prior, num_users = center_prior(inputs.arrays), len(users)
    lengths = np.asarray(inputs.arrays.gaze.viewing_length)[np.ix_(users, images)]
    shifted = np.stack([np.roll(enrolled, -shift, axis=1) for shift in range(num_users)], axis=1)
    shape = (len(enrolled), num_users, len(images))
    unused = np.ones((len(enrolled), num_users), np.float32)
    request = PredictionRequest(
        users=users,
        images=images,
        is_enrolled=np.zeros(shape, bool),  # Users enrol with training images.
        is_query=np.broadcast_to(lengths > 0, shape),
        embeddings=shifted.astype(np.float32),
        calibration=Calibration(unused, unused, unused),
    )
    first = CONDITIONS.index("own")
    found = np.full((len(enrolled), len(images), num_users, num_users), np.nan)
    for batch in predicted_batches(fold, inputs, request, prior):
        mask = np.asarray(batch["mask"])
        row, user = np.nonzero(mask.any(axis=-1))
        for shift in range(num_users):
            scores = metrics.score(
                ["information_gain"],
                saliency=positive_density(np.asarray(batch["maps"])[row, first + shift, user]),
                baseline=positive_density(prior),
                xy_px=np.asarray(batch["xy_px"])[row, user],
                mask=mask[row, user],
                pad_fixations=False,
            )
            at = (batch["enrolment"][row], batch["image"][row], user, shift)
            found[at] = scores["information_gain"]
    return found
