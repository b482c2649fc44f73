"""Stage 2 on folds: predicted maps and their scores, with intervals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from gazejax.evaluation.folds import Fold, Run, resample_users_of
from gazejax.evaluation.prediction import calibration, protocol, queries, sessions
from gazejax.evaluation.prediction.examples import example_picker
from gazejax.evaluation.prediction.variants import PredictionVariant
from gazejax.evaluation.verification.protocol import sample_image_orders
from gazejax.evaluation.verification.sessions import RecordingRepresentations, joined_recordings
from gazejax.evaluation.verification.verify_users import with_intervals
from gazejax.inference.networks import saliency_network
from gazejax.inference.universal import predict_universal_maps
from gazejax.inputs.maps import JoinedGaze
from gazejax.inputs.perturbations import apply_embedding_control
from gazejax.inputs.stage_arrays import StageInputs, center_prior
from gazejax.inputs.streaming import iterate_chunks
from gazejax.metrics import bootstrap
from gazejax.runtime.progress import track
from gazejax.types import Dataset, Gaze, Recordings, longest_viewing, rows_of
from gazejax.workdir.layout import latest_step
from gazejax.workdir.parameters import load_params

# Paired differences of stage 2 that are reported.
_DIFFERENCES = (
    ("own", "swapped"),
    ("own", "mean"),
    ("own", "calibrated"),
    ("own", "universal"),
)


def score_predictions(
    group: str, run: Run, variants: Sequence[PredictionVariant]
) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Stage 2 for the seen or the unseen users.

    Where sessions are known, `saliency` enrols users in the predicted session, and
    `saliency_across_sessions` in another one. Maps without a universal map are not scored.

    Returns:
        Tables of metrics, paired differences and single users; some maps to look at, of seen users
        those of the first fold; for each table of metrics, the resampled metrics of each condition.
        All empty where fewer than two users of a fold are left with a map to score.
    """
    folds, options = run.folds, run.config.eval
    asked = [_ask(group, fold, variants) for fold in folds]
    if not queries.are_enough(group, [one for of_fold in asked for one in of_fold.values()]):
        return {}, [], {}
    num_images = len(folds[0].splits.test_images)
    generator = np.random.default_rng(options.seed)
    image_weight = bootstrap.resample(
        num_images, num_images, num_resamples=options.num_resamples, generator=generator
    )
    pick = example_picker(group, [of_fold[variants[0].name].request for of_fold in asked])
    scored, examples = zip(
        *(
            _score_fold(group, fold, variants, of_fold, pick)
            for fold, of_fold in zip(folds, asked, strict=True)
        ),
        strict=True,
    )
    tables: dict[str, dict[str, Any]] = {}
    resamples: dict[str, dict[str, Any]] = {}
    for variant in variants:
        of_variant = {
            size: [scores[variant.name][size] for scores in scored] for size in variant.sizes
        }
        users = [one.users.tolist() for one in of_variant[variant.sizes[0]]]
        user_weight = resample_users_of(users, run)
        found, resamples[variant.name] = _tables(of_variant, run, user_weight, image_weight)
        tables |= {variant.name + ending: table for ending, table in found.items()}
    shown = examples if group == "unseen" else examples[:1]
    return tables, [example for of_fold in shown for example in of_fold], resamples


def _tables(
    scored: Mapping[int, Sequence[protocol.PredictionScores]],
    run: Run,
    user_weight: Int[np.ndarray, "resample user"],
    image_weight: Int[np.ndarray, "resample image"],
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Tables by the ending of their key, and the resampled metrics of each n and condition."""
    options, dataset = run.config.eval, run.dataset
    num_images = image_weight.shape[1]
    all_users = np.ones((1, len(dataset.user_ids)), int)
    every_image = np.ones((1, num_images), int)
    tables: dict[str, dict[str, Any]] = {"": {}, "_differences": {}, "_users": {}}
    resamples: dict[str, dict[str, Any]] = {}
    for size, of_size in scored.items():
        metrics = protocol.mean_over_users(of_size, all_users, every_image)[0]
        resampled = protocol.mean_over_users(of_size, user_weight, image_weight)
        resamples[str(size)] = {
            condition: _by_metric(resampled[:, row].T)
            for row, condition in enumerate(protocol.CONDITIONS)
            if condition != "predicted" or all(map(_has_universal, run.folds))
        }
        tables[""][str(size)] = {
            condition: {
                **with_intervals(_by_metric(metrics[row]), resamples[str(size)][condition]),
                "num_users": len(np.unique(np.concatenate([one.users for one in of_size]))),
                "num_images": num_images,
                "num_draws": options.saliency_num_draws,
            }
            for row, condition in enumerate(protocol.CONDITIONS)
            if condition in resamples[str(size)]
        }
        differences = {}
        for one, other in _DIFFERENCES:
            row, column = (protocol.CONDITIONS.index(name) for name in (one, other))
            differences[f"{one}_minus_{other}"] = with_intervals(
                _by_metric(metrics[row] - metrics[column]),
                _by_metric((resampled[:, row] - resampled[:, column]).T),
            )
        tables["_differences"][str(size)] = differences | {
            "own_minus_swapped_p_value": protocol.swap_test(
                of_size, num_permutations=options.num_resamples, seed=options.seed
            )
        }
        tables["_users"][str(size)] = _single_users(of_size, image_weight, dataset)
    return tables, resamples


def _by_metric(values: Float[np.ndarray, "metric *resample"]) -> dict[str, Any]:
    """Values under the names of the metrics; single ones as plain numbers."""
    plain = values.tolist() if values.ndim == 1 else values
    return dict(zip(protocol.MAP_METRICS, plain, strict=True))


def _ask(
    group: str, fold: Fold, variants: Sequence[PredictionVariant]
) -> dict[str, queries.KnownMaps]:
    """What each table asks for: every user enrols with n test images, the other ones are predicted.

    Maps without a universal map are left out.
    """
    options, images = fold.config.eval, fold.splits.test_images
    orders = sample_image_orders(len(images), options.num_draws, options.seed)
    recordings = _recordings(fold, variants)
    inputs = _of_recordings(fold.inputs["saliency"], recordings)
    known = _represented(fold, group, recordings)
    seen = known if group == "seen" else _represented(fold, "seen", recordings)
    rows = rows_of(known.users, recordings)
    grid = calibration.calibration_grid(**options.calibration)
    likelihoods = calibration.calibration_likelihoods(
        inputs.arrays.universal,
        inputs.arrays.gaze,
        center_prior(inputs.arrays),
        grid,
        users=rows,
        images=images,
        spec=inputs.spec,
        joined=inputs.arrays.joined,
    )
    asked = {}
    for variant in variants:
        request = sessions.make_request(
            known,
            seen,
            orders[: options.saliency_num_draws],
            variant.sizes,
            across=bool(variant.across),
            images=images,
            rows=None if recordings is None else rows,
            likelihoods=likelihoods,
            grid=grid,
            num_swaps=options.num_swaps,
            seed=options.seed,
        )
        arrays = fold.inputs["saliency"].arrays
        asked[variant.name] = queries.with_known_maps(
            request,
            queries.has_universal_map(arrays.universal, arrays.gaze, request.users, images),
            len(variant.sizes),
        )
    return asked


def _recordings(fold: Fold, variants: Sequence[PredictionVariant]) -> Recordings | None:
    """The recordings of a fold; None where sessions are joined."""
    return None if variants[0].across is None else fold.recordings


def _score_fold(
    group: str,
    fold: Fold,
    variants: Sequence[PredictionVariant],
    requests: Mapping[str, queries.KnownMaps],
    pick: Callable[[Mapping[str, Any], protocol.PredictionRequest], list[dict[str, Any]]],
) -> tuple[dict[str, dict[int, protocol.PredictionScores]], list[dict[str, Any]]]:
    """Predicts the maps that each table asks for, and scores them.

    Returns:
        The scores of each table and n, and the maps that `pick` takes from the first table.
    """
    inputs = _of_recordings(fold.inputs["saliency"], _recordings(fold, variants))
    prior = center_prior(inputs.arrays)
    num_images = len(fold.splits.test_images)
    counts = other_fixation_counts(
        fold.inputs["saliency"].arrays.gaze, fold.splits.test_images, map_size=prior.shape
    )
    scored: dict[str, dict[int, protocol.PredictionScores]] = {}
    examples: list[dict[str, Any]] = []
    for variant in variants:
        asked = requests[variant.name].request
        scores = np.full(
            (
                len(asked.is_query),
                num_images,
                # The conditions without an embedding, then those with one.
                len(protocol.CONDITIONS) - 3 + asked.embeddings.shape[1],
                len(asked.users),
                len(protocol.MAP_METRICS),
            ),
            np.nan,
        )
        description = f"evaluation, stage 2, {group} users, fold {fold.config.split.fold}"
        if variant.across:
            description += ", across sessions"
        with track(description, int(asked.is_query.any(axis=1).sum())) as show:
            done = 0
            for batch in predicted_batches(fold, inputs, asked, prior):
                scores[batch["enrolment"], batch["image"]] = protocol.score_maps(
                    batch, center_prior=prior, other_counts=counts
                )
                if variant is variants[0]:
                    examples += pick(batch, asked)
                done += len(batch["image"])
                show(done, "images")
        of_sizes = np.split(scores, len(variant.sizes))
        scored[variant.name] = {
            size: protocol.PredictionScores(asked.users, protocol.mean_over_draws(of_size))
            for size, of_size in zip(variant.sizes, of_sizes, strict=True)
        }
    return scored, examples


def _represented(fold: Fold, group: str, recordings: Recordings | None) -> RecordingRepresentations:
    """The embeddings that stage 2 is given of a group of users; None: sessions are joined."""
    if recordings is None:
        known = joined_recordings(fold.compared[group]["encoder"])
    else:
        known = fold.recorded[group]["encoder"]
    given = apply_embedding_control(
        fold.config.controls.embeddings,
        known.representations,
        seed=fold.config.seed,
        owner=known.user,
    )
    return known._replace(representations=given)


def _of_recordings(inputs: StageInputs, recordings: Recordings | None) -> StageInputs:
    """What stage 2 reads, with viewings of recordings where there are some."""
    if recordings is None:
        return inputs
    arrays, spec = inputs.arrays, inputs.spec
    longest = max(spec.max_fixations, longest_viewing(recordings.gaze))
    joined = JoinedGaze(arrays.gaze, recordings.user)
    return StageInputs(
        arrays._replace(gaze=recordings.gaze, joined=joined),
        spec._replace(max_fixations=longest),
    )


def predicted_batches(
    fold: Fold,
    inputs: StageInputs,
    asked: protocol.PredictionRequest,
    prior: Float[np.ndarray, "height width"],
) -> Iterator[dict[str, Any]]:
    """What `protocol.predict_maps` yields, for all images that are asked for."""
    network = saliency_network(fold.config, num_users=len(fold.splits.seen_users))
    arrays = inputs.arrays
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

    for chunk, part, rows in iterate_chunks(arrays, asked.images):
        of_part = asked._replace(
            images=rows,
            is_enrolled=asked.is_enrolled[:, :, part],
            is_query=asked.is_query[:, :, part],
        )
        for batch in protocol.predict_maps(
            network.predict,
            params,
            chunk.images,
            chunk.gaze,
            protocol.UniversalMaps(
                chunk.universal,
                prior,
                predicted[part],
                None if replacement is None else replacement[part],
                chunk.joined,
            ),
            of_part,
            devices=jax.local_devices(),
            batch_size=fold.config.eval.batch_size,
            spec=inputs.spec,
        ):
            yield batch | {"image": part.start + batch["image"]}


def _has_universal(fold: Fold) -> bool:
    return latest_step(fold.workdir, "universal") is not None


def _single_users(
    folds: Sequence[protocol.PredictionScores],
    image_weight: Int[np.ndarray, "resample image"],
    dataset: Dataset,
) -> dict[str, Any]:
    """Own minus swapped of each user; the intervals are over images alone."""
    own, swapped = (protocol.CONDITIONS.index(name) for name in ("own", "swapped"))

    def gains(weight: np.ndarray) -> dict[int, np.ndarray]:
        found: dict[int, list[np.ndarray]] = {}
        for fold in folds:
            scores = protocol.user_scores(fold, weight)
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


def other_fixation_counts(
    gaze: Gaze,
    images: Int[np.ndarray, " image"],
    *,
    map_size: tuple[int, int],
) -> Float[np.ndarray, "image height width"]:
    """For each image, the number of fixations of all users on the *other* images in each cell."""
    height, width = map_size
    counts = np.zeros((len(images), height, width))
    for row, image in enumerate(images):
        for user in np.flatnonzero(np.asarray(gaze.viewing_length)[:, image]):
            start = gaze.viewing_offset[user, image]
            xy = np.asarray(gaze.xy_frac)[start : start + gaze.viewing_length[user, image]]
            # Computed in float32, as in `predict_maps`.
            column, line = np.floor(xy * np.array([width, height], np.float32)).astype(int).T
            np.add.at(counts[row], (line, column), 1)
    return counts.sum(axis=0) - counts
