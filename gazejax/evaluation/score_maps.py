"""Stage 2 on folds: predicted maps and their scores, with intervals."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from gazejax.evaluation import baselines, prediction_protocol, verification_protocol
from gazejax.evaluation.folds import Fold, Run, fewest_images, resample_users_of
from gazejax.evaluation.verify_users import with_intervals
from gazejax.inference.networks import saliency_network
from gazejax.inference.universal import predict_universal_maps
from gazejax.inputs.perturbations import apply_embedding_control
from gazejax.inputs.stage_arrays import center_prior
from gazejax.inputs.streaming import iterate_chunks
from gazejax.metrics import bootstrap
from gazejax.runtime.progress import track
from gazejax.types import Dataset
from gazejax.workdir.layout import latest_step
from gazejax.workdir.parameters import load_params

# For the plots alone.
_NUM_EXAMPLES = 6

# Paired differences of stage 2 that are reported.
_DIFFERENCES = (
    ("own", "swapped"),
    ("own", "mean"),
    ("own", "calibrated"),
    ("own", "universal"),
)


def score_predictions(
    group: str, run: Run
) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Stage 2 for the seen or the unseen users.

    Returns:
        Tables of metrics, paired differences and single users; some maps of the first fold to look
        at; resampled metrics of each condition.
    """
    folds, options, dataset = run.folds, run.config.eval, run.dataset
    num_images = len(folds[0].splits.test_images)
    sizes = verification_protocol.usable_sizes(
        options.saliency_num_images, fewest_images(folds, "encoder")
    )
    user_weight = resample_users_of(group, run)
    generator = np.random.default_rng(options.seed)
    image_weight = bootstrap.resample(
        num_images, num_images, num_resamples=options.num_resamples, generator=generator
    )
    scored, examples = zip(*(_score_fold(group, fold, sizes) for fold in folds), strict=True)
    all_users = np.ones((1, len(dataset.user_ids)), int)
    every_image = np.ones((1, num_images), int)
    tables: dict[str, dict[str, Any]] = {
        "saliency": {},
        "saliency_differences": {},
        "saliency_users": {},
    }
    resamples: dict[str, dict[str, Any]] = {}
    for size in sizes:
        of_size = [scores[size] for scores in scored]
        metrics = prediction_protocol.mean_over_users(of_size, all_users, every_image)[0]
        resampled = prediction_protocol.mean_over_users(of_size, user_weight, image_weight)
        resamples[str(size)] = {
            condition: _by_metric(resampled[:, row].T)
            for row, condition in enumerate(prediction_protocol.CONDITIONS)
            if condition != "predicted" or all(map(_has_universal, folds))
        }
        tables["saliency"][str(size)] = {
            condition: {
                **with_intervals(_by_metric(metrics[row]), resamples[str(size)][condition]),
                "num_users": len(np.unique(np.concatenate([one.users for one in of_size]))),
                "num_images": num_images,
                "num_draws": options.saliency_num_draws,
            }
            for row, condition in enumerate(prediction_protocol.CONDITIONS)
            if condition in resamples[str(size)]
        }
        differences = {}
        for one, other in _DIFFERENCES:
            row, column = (prediction_protocol.CONDITIONS.index(name) for name in (one, other))
            differences[f"{one}_minus_{other}"] = with_intervals(
                _by_metric(metrics[row] - metrics[column]),
                _by_metric((resampled[:, row] - resampled[:, column]).T),
            )
        tables["saliency_differences"][str(size)] = differences | {
            "own_minus_swapped_p_value": prediction_protocol.swap_test(
                of_size, num_permutations=options.num_resamples, seed=options.seed
            )
        }
        tables["saliency_users"][str(size)] = _single_users(of_size, image_weight, dataset)
    return tables, examples[0], resamples


def _by_metric(values: Float[np.ndarray, "metric *resample"]) -> dict[str, Any]:
    """Values under the names of the metrics; single ones as plain numbers."""
    plain = values.tolist() if values.ndim == 1 else values
    return dict(zip(prediction_protocol.MAP_METRICS, plain, strict=True))


def _score_fold(
    group: str, fold: Fold, sizes: Sequence[int]
) -> tuple[dict[int, prediction_protocol.PredictionScores], list[dict[str, Any]]]:
    """Enrols every user with n test images, predicts the user's other ones and scores the maps.

    Returns:
        The scores of each n, and the maps of a few users and images at the last n.
    """
    config, options = fold.config, fold.config.eval
    images, inputs = fold.splits.test_images, fold.inputs["saliency"]
    arrays, prior = inputs.arrays, center_prior(inputs.arrays)
    known, seen = (
        compared._replace(
            representations=apply_embedding_control(
                config.controls.embeddings,
                compared.representations,
                compared.viewed,
                seed=config.seed,
            )
        )
        for compared in (fold.compared[name]["encoder"] for name in (group, "seen"))
    )
    orders = verification_protocol.sample_image_orders(len(images), options.num_draws, options.seed)
    enrolments = [(size, order) for size in sizes for order in orders[: options.saliency_num_draws]]
    swaps = prediction_protocol.derangements(len(known.users), options.num_swaps, options.seed)
    grid = baselines.calibration_grid(**options.calibration)
    likelihoods = baselines.calibration_likelihoods(
        arrays.universal,
        arrays.gaze,
        prior,
        grid,
        users=known.users,
        images=images,
        spec=inputs.spec,
    )
    is_enrolled, embeddings, settings = [], [], []
    for size, order in enrolments:
        weight = verification_protocol.enrolment_weights(known.viewed, order, start=0, size=size)
        seen_weight = verification_protocol.enrolment_weights(
            seen.viewed, order, start=0, size=size
        )
        is_enrolled.append(weight > 0)
        embeddings.append(
            prediction_protocol.conditions_of(
                verification_protocol.mean_representations(known.representations, weight),
                verification_protocol.mean_representations(seen.representations, seen_weight).mean(
                    axis=0
                ),
                swaps,
            )
        )
        settings.append(
            verification_protocol.mean_representations(likelihoods, weight).argmax(axis=-1)
        )
    asked = prediction_protocol.PredictionRequest(
        users=known.users,
        images=images,
        is_enrolled=np.stack(is_enrolled),
        is_query=known.viewed & ~np.stack(is_enrolled),
        embeddings=np.stack(embeddings),
        calibration=baselines.Calibration(*(values[np.stack(settings)] for values in grid)),
    )
    counts = prediction_protocol.other_fixation_counts(arrays.gaze, images, map_size=prior.shape)
    scores = np.full(
        (
            len(enrolments),
            len(images),
            len(prediction_protocol.CONDITIONS) - 1 + len(swaps),
            len(known.users),
            len(prediction_protocol.MAP_METRICS),
        ),
        np.nan,
    )
    examples: list[dict[str, Any]] = []
    description = f"evaluation, stage 2, {group} users, fold {config.split.fold}"
    with track(description, int(asked.is_query.any(axis=1).sum())) as show:
        done = 0
        for batch in _predicted_batches(fold, asked, prior):
            scores[batch["enrolment"], batch["image"]] = prediction_protocol.score_maps(
                batch, center_prior=prior, other_counts=counts
            )
            examples += _examples(batch, asked)
            done += len(batch["image"])
            show(done, "images")
    predicted = {
        size: prediction_protocol.PredictionScores(
            known.users,
            prediction_protocol.mean_over_draws(
                scores[[of_size == size for of_size, _ in enrolments]]
            ),
        )
        for size in sizes
    }
    return predicted, examples


def _predicted_batches(
    fold: Fold,
    asked: prediction_protocol.PredictionRequest,
    prior: Float[np.ndarray, "height width"],
) -> Iterator[dict[str, Any]]:
    """What `prediction_protocol.predict_maps` yields, for all images that are asked for."""
    network = saliency_network(fold.config, num_users=len(fold.splits.seen_users))
    arrays = fold.inputs["saliency"].arrays
    params = load_params(fold.workdir, "saliency")
    if _has_universal(fold):
        predicted = predict_universal_maps(
            fold.config,
            load_params(fold.workdir, "universal"),
            arrays,
            asked.images,
            jax.local_devices(),
        )
    else:  # Something must stand in its place; `score_predictions` leaves it out.
        predicted = np.broadcast_to(prior, (len(asked.images), *prior.shape))
    replacement = None if fold.replacement is None else fold.replacement[asked.images]

    def predict(params: Any, *inputs: jax.Array) -> jax.Array:
        return network.apply(params)(*inputs)

    for chunk, part, rows in iterate_chunks(arrays, asked.images):
        of_part = asked._replace(
            images=rows,
            is_enrolled=asked.is_enrolled[:, :, part],
            is_query=asked.is_query[:, :, part],
        )
        for batch in prediction_protocol.predict_maps(
            predict,
            params,
            chunk.images,
            chunk.gaze,
            prediction_protocol.UniversalMaps(
                chunk.universal,
                prior,
                predicted[part],
                None if replacement is None else replacement[part],
            ),
            of_part,
            devices=jax.local_devices(),
            batch_size=fold.config.eval.batch_size,
            spec=fold.inputs["saliency"].spec,
        ):
            yield batch | {"image": part.start + batch["image"]}


def _examples(
    batch: Mapping[str, Any], asked: prediction_protocol.PredictionRequest
) -> list[dict[str, Any]]:
    """Of the last enrolment, maps of a few images in even steps, each of another user."""
    last = len(asked.is_query) - 1
    columns = np.flatnonzero(asked.is_query[last].any(axis=0))
    chosen = columns[np.linspace(0, len(columns) - 1, _NUM_EXAMPLES).astype(int)].tolist()
    found = []
    for row in np.flatnonzero(batch["enrolment"] == last):
        column = int(batch["image"][row])
        if column not in chosen:
            continue
        askable = np.flatnonzero(asked.is_query[last, :, column])
        user = askable[chosen.index(column) % len(askable)]
        own, universal = (
            prediction_protocol.CONDITIONS.index(name) for name in ("own", "universal")
        )
        found.append(
            {
                "user": int(asked.users[user]),
                "image": int(asked.images[column]),
                "universal": batch["maps"][row, universal, user],
                "own": batch["maps"][row, own, user],
                "truth": batch["truth"][row, user],
            }
        )
    return found


def _has_universal(fold: Fold) -> bool:
    return latest_step(fold.workdir, "universal") is not None


def _single_users(
    folds: Sequence[prediction_protocol.PredictionScores],
    image_weight: Int[np.ndarray, "resample image"],
    dataset: Dataset,
) -> dict[str, Any]:
    """Own minus swapped of each user; the intervals are over images alone."""
    own, swapped = (prediction_protocol.CONDITIONS.index(name) for name in ("own", "swapped"))

    def gains(weight: np.ndarray) -> dict[int, np.ndarray]:
        found: dict[int, list[np.ndarray]] = {}
        for fold in folds:
            scores = prediction_protocol.user_scores(fold, weight)
            for position, user in enumerate(fold.users.tolist()):
                gain = scores[:, own, position] - scores[:, swapped, position]
                found.setdefault(user, []).append(gain)
        return {user: np.mean(values, axis=0) for user, values in found.items()}

    metrics = gains(np.ones((1, image_weight.shape[1]), int))
    resampled = gains(image_weight)
    return {
        dataset.user_ids[user]: with_intervals(
            _by_metric(metrics[user][0]), _by_metric(resampled[user].T)
        )
        for user in sorted(metrics)
    }
