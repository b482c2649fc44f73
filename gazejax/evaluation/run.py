"""Evaluates a workdir: runs the protocols on every fold it holds and writes the figures."""

import datetime
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from gazejax import bootstrap, controls, protocols, stages, verification
from gazejax.arrays import AnyArray, Dataset, Gaze
from gazejax.config import fingerprint
from gazejax.progress import track
from gazejax.report import format_elsewhere, format_evaluation
from gazejax.splits import Splits
from gazejax.stages import INPUTS, STAGES, Viewings
from gazejax.workdir import (
    fold_configs,
    load_basis,
    load_config,
    load_params,
    load_told_universals,
    naming,
    refuse_another_encoder,
    refuse_leaks,
    refuse_trained_images,
    source_commit,
    trained_steps,
    write_arrays,
    write_json,
    write_resources,
    write_text,
)

GROUPS = ("seen", "unseen")
# The values behind the intervals of a workdir's figures.
RESAMPLES = "evaluation_resamples.npz"
# For the plots alone.
_NUM_EXAMPLES = 6
_IMAGES_PER_POINT = 10
# Paired differences of stage 2 that are reported.
_DIFFERENCES = (
    ("own", "swapped"),
    ("own", "mean"),
    ("own", "calibrated"),
    ("own", "universal"),
)


class Fold(NamedTuple):
    """One trained fold, ready to be evaluated.

    Attributes:
        workdir: its folder.
        config: its config.
        splits: who and what is seen.
        viewings: what the networks read, but for all the gaze there is, and the group's maps.
        universal: of all images, what the networks are told in place of those; None: nothing.
        compared: for the seen and the unseen users, what each method of stage 1 knows of them.
    """

    workdir: Path
    config: ConfigDict
    splits: Splits
    viewings: dict[str, Viewings]
    universal: Float[np.ndarray, "all_images height width"] | None
    compared: dict[str, dict[str, protocols.Compared]]


def evaluate(workdir: Path) -> dict[str, Any]:
    """Evaluates the stages that a workdir holds, prints the tables and writes everything there.

    Returns:
        What `evaluation.json` holds.

    Raises:
        FileNotFoundError: if the folder is no workdir, or its data set is not prepared.
        ValueError: if the data set is not the one of the training, or a user or image that is to
            be unseen took part in it.
    """
    started = time.monotonic()
    config = load_config(workdir)
    dataset = stages.load_dataset(config, load_basis(workdir))
    configs = fold_configs(config, workdir)
    folds = []
    with track("evaluation, embeddings", len(configs)) as show:
        for folder, fold_config in configs.items():
            folds.append(open_fold(folder, fold_config, dataset))
            show(len(folds), "folds")
    result: dict[str, Any] = {"encoder": {}, "encoder_differences": {}}
    curves: dict[str, Any] = {}
    resamples: dict[str, np.ndarray] = {}
    with track("evaluation, stage 1", len(GROUPS)) as show:
        for number, group in enumerate(GROUPS, start=1):
            table, differences, curves[group], resampled = _verify(group, folds, config, dataset)
            resamples |= _named(f"encoder/{group}/encoder", resampled)
            result["encoder"][group] = table
            result["encoder_differences"][group] = differences
            show(number, f"{group} users")
    examples: list[dict[str, Any]] = []
    if all(trained_steps(fold.workdir, "saliency") is not None for fold in folds):
        result |= {"saliency": {}, "saliency_differences": {}, "saliency_users": {}}
        for group in GROUPS:
            tables, examples, resampled = _predict(group, folds, config, dataset)
            resamples |= _named(f"saliency/{group}", resampled)
            for key, table in tables.items():
                result[key][group] = table
    first = folds[0]
    cost = stages.measure_embedding(
        first.config, load_params(first.workdir, "encoder"), first.viewings["encoder"]
    )
    result["compared"] = _describe(config, folds) | {
        "operations_per_embedding": cost.num_operations,
        "data_digest": dataset.digest,
        "config_sha256": fingerprint(config),
    }
    # The resamples first: where `evaluation.json` is, all is.
    write_arrays(workdir / RESAMPLES, resamples)
    write_json(workdir / "evaluation.json", result)
    text = format_evaluation(result)
    write_text(workdir / "evaluation.md", text)
    with naming(workdir / "plots"):
        _draw(workdir / "plots", result, curves, examples, folds[0], dataset)
    write_resources(workdir, "embedding", seconds=cost.seconds)
    write_resources(workdir, "evaluation", seconds=time.monotonic() - started)
    print(text)
    return result


def evaluate_elsewhere(workdir: Path, name: str, data_dir: Path | None) -> dict[str, Any]:
    """Evaluates the encoder of a workdir on the people of another data set, whom it never met.

    Each viewing is somebody's first look at an image, as in most training data; the universal map
    of an image is that of the others there. Prints the table and writes it to the workdir.

    Args:
        workdir: of a finished stage `encoder`, with one fold or several; figures are the mean over
            the encoders of the folds.
        name: name and configuration of a prepared data set.
        data_dir: folder of prepared data sets; None is TFDS's own default.

    Returns:
        What `evaluation_<name>.json` holds.

    Raises:
        FileNotFoundError: if the folder is no workdir, or the data set is not prepared.
        ValueError: if the encoder was trained with an image of that data set, or needs durations
            that nobody knows.
    """
    config = load_config(workdir)
    trained_on = config.data.name
    config.data.update(name=name, first_trial_only=True)
    config.split.update(train_overlap=None, test_overlap=None)  # They saw what they saw.
    config.data.data_dir = None if data_dir is None else str(data_dir)
    dataset = stages.load_dataset(config, load_basis(workdir))
    users, images = np.arange(len(dataset.user_ids)), np.arange(len(dataset.image_ids))
    nobody = np.array([], int)
    folds = []
    for folder, fold_config in fold_configs(config, workdir).items():
        refuse_trained_images(folder, "encoder", dataset)
        # All may be part of the universal map, from which everybody's own is left out.
        splits = Splits(users, nobody, images, images)
        viewings, universal, methods = _methods(folder, fold_config, dataset, splits)
        compared = {"unseen": _compared(methods, users, images)}
        folds.append(Fold(folder, fold_config, splits, viewings, universal, compared))
    table, differences, *_ = _verify("unseen", folds, config, dataset)
    result = {
        "encoder": table,
        "encoder_differences": differences,
        "compared": _describe(config, folds) | {"trained_on": trained_on},
    }
    text = format_elsewhere(result)
    stem = f"evaluation_{name.replace('/', '_')}"
    write_json(workdir / f"{stem}.json", result)
    write_text(workdir / f"{stem}.md", text)
    print(text)
    return result


def _named(prefix: str, values: Mapping[str, Any]) -> dict[str, Float[np.ndarray, " resample"]]:
    """Nested resampled values under flat names: those that lead to the figure in the result."""
    named: dict[str, np.ndarray] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            named |= _named(f"{prefix}/{name}", value)
        else:
            named[f"{prefix}/{name}"] = value.astype(np.float32)
    return named


def open_fold(workdir: Path, config: ConfigDict, dataset: Dataset) -> Fold:
    """Reads a trained fold, and embeds all users on its test images.

    Raises:
        FileNotFoundError: if there is no trained encoder.
        ValueError: if the data set is not the one of the training, or a user or image that is to
            be unseen took part in it.
    """
    dataset = stages.of_fold(config, dataset)
    splits = stages.make_config_splits(config, dataset)
    trained = [stage for stage in STAGES if trained_steps(workdir, stage) is not None]
    for stage in trained:
        refuse_leaks(workdir, stage, splits, dataset)
    if "saliency" in trained:
        refuse_another_encoder(workdir, load_params(workdir, "encoder"))
    viewings, universal, methods = _methods(workdir, config, dataset, splits)
    compared = {
        group: _compared(methods, users, splits.test_images)
        for group, users in _groups(splits).items()
    }
    return Fold(workdir, config, splits, viewings, universal, compared)


def _groups(splits: Splits) -> dict[str, Int[np.ndarray, " user"]]:
    return {"seen": splits.seen_users, "unseen": splits.unseen_users}


class _Known(NamedTuple):
    """What a method knows of all users; see `protocols.Compared`."""

    features: Float[np.ndarray, "user image feature"]
    length: Int[AnyArray, "user all_images"]
    similarity: Callable[[np.ndarray, np.ndarray], np.ndarray]
    permuted: bool = False


def _methods(
    workdir: Path,
    config: ConfigDict,
    dataset: Dataset,
    splits: Splits,
) -> tuple[dict[str, Viewings], np.ndarray | None, dict[str, _Known]]:
    """Viewings and told maps of a fold, as in `Fold`, and the encoder and the controls of stage 1.

    Raises:
        ValueError: if an unseen user contributes to a universal map.
    """
    images, users = splits.test_images, np.arange(len(dataset.user_ids))
    viewings = {name: stages.make_viewings(name, config, dataset, splits) for name in INPUTS}
    for arrays in viewings.values():
        protocols.refuse_members(arrays.group, splits.unseen_users)
    universal = load_told_universals(workdir, config, viewings, jax.local_devices())
    # Little gaze is an unseen user's: of the seen ones, who make the universal maps, all is known.
    gaze = controls.first_gaze(dataset.gaze, users=splits.unseen_users, **config.eval.gaze)

    def told_of(gaze: Gaze) -> Viewings:
        if universal is None and gaze is dataset.gaze:
            return viewings["encoder"]
        changed = dataset._replace(gaze=gaze)
        return stages.make_viewings("encoder", config, changed, splits, universal)

    told = told_of(gaze)

    def embed(stage: str, viewings: Viewings) -> Float[np.ndarray, "user image embedding"]:
        return stages.embed_pairs(
            config,
            load_params(workdir, stage),
            viewings,
            users=users,
            images=images,
            devices=jax.local_devices(),
        )

    distance = verification.negative_distance
    scalars = controls.two_scalars(gaze, users, images)
    training = controls.two_scalars(gaze, splits.seen_users, splits.train_images)
    residual = controls.residual_maps(
        viewings["saliency"].group,
        gaze,
        users=users,
        images=images,
        sigma_frac=config.data.sigma_frac,
        max_fixations=stages.longest_viewing(gaze),
    )
    spread = training[training[..., 0] > 0].std(axis=0)
    methods = {
        "encoder": _Known(embed("encoder", told), gaze.viewing_length, distance),
        "residual_map": _Known(residual, gaze.viewing_length, verification.correlation),
        "two_scalars": _Known(
            scalars / np.where(spread > 0, spread, 1.0), gaze.viewing_length, distance
        ),
    }
    cut = controls.cut_scanpaths(gaze, config.eval.common_fixations)
    if np.min((np.asarray(cut.viewing_length)[:, images] > 0).sum(axis=1)) < 2:
        print(
            f"control encoder_cut left out: a user has fewer than 2 test images with "
            f"config.eval.common_fixations = {config.eval.common_fixations} fixations",
            file=sys.stderr,
        )
    else:
        methods["encoder_cut"] = _Known(
            embed("encoder", told_of(cut)), cut.viewing_length, distance
        )
    if trained_steps(workdir, "permuted_encoder") is not None:
        permuted = embed("permuted_encoder", told)
        methods["permuted_users"] = _Known(permuted, gaze.viewing_length, distance, permuted=True)
        methods["permuted_training"] = _Known(permuted, gaze.viewing_length, distance)
    return viewings, universal, methods


def _compared(
    methods: Mapping[str, _Known],
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
) -> dict[str, protocols.Compared]:
    return {
        method: protocols.Compared(
            users=users,
            features=known.features[users],
            viewed=np.asarray(known.length)[np.ix_(users, images)] > 0,
            similarity=known.similarity,
            permuted=known.permuted,
        )
        for method, known in methods.items()
    }


def _verify(
    group: str, folds: Sequence[Fold], config: ConfigDict, dataset: Dataset
) -> tuple[
    dict[str, Any], dict[str, Any], dict[str, verification.RocCurve], dict[str, dict[str, Any]]
]:
    """Stage 1 for the seen or the unseen users.

    Returns:
        Table, encoder minus each control, ROC curves, resampled figures of the encoder.
    """
    options = config.eval
    num_images = len(folds[0].splits.test_images)
    orders = protocols.draw_image_orders(num_images, options.num_draws, options.seed)
    user_weight = _resample_users(group, folds, config, dataset)
    table: dict[str, Any] = {}
    resampled: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    curves: dict[str, verification.RocCurve] = {}
    # A method that one fold lacks says nothing about all of them.
    for method in folds[0].compared[group]:
        compared = [
            fold.compared[group][method] for fold in folds if method in fold.compared[group]
        ]
        if len(compared) < len(folds):
            continue
        table[method], resampled[method] = {}, {}
        fewest = _fewest_images(folds, method)
        sizes = protocols.usable_sizes(options.num_images, fewest)
        for size in sizes:
            samples_per_user = min(fewest // size, options.samples_per_user)
            scores = [
                protocols.compare(
                    one,
                    orders,
                    size=size,
                    samples_per_user=samples_per_user,
                    seed=options.seed,
                )
                for one in compared
            ]
            if method == "encoder" or (method == "residual_map" and size == sizes[-1]):
                curves[f"{method.replace('_', ' ')}, n = {size}"] = protocols.mean_curve(scores)
            values = protocols.resampled_verification_figures(
                scores, user_weight, size=size, num_images=num_images, seed=options.seed
            )
            resampled[method][str(size)] = values
            table[method][str(size)] = {
                **with_intervals(protocols.verification_figures(scores), values),
                "num_users": len(np.unique(np.concatenate([one.users for one in scores]))),
                "num_images": num_images,
                "num_draws": options.num_draws,
            }
    differences = {
        f"encoder_minus_{method}": {
            size: difference(
                table["encoder"][size],
                row,
                resampled["encoder"][size],
                resampled[method][size],
            )
            for size, row in rows.items()
            if size in table["encoder"]
        }
        for method, rows in table.items()
        if method != "encoder"
    }
    table["chance"] = {
        size: protocols.chance_figures(
            [len(fold.compared[group]["encoder"].users) for fold in folds],
            samples_per_user=min(
                _fewest_images(folds, "encoder") // int(size), options.samples_per_user
            ),
        )
        for size in table["encoder"]
    }
    return table, differences, curves, resampled["encoder"]


def _fewest_images(folds: Sequence[Fold], method: str) -> int:
    """Test images that every user of every fold and group saw at least, as the method counts.

    The same for seen and unseen users: all can enrol with n images and be compared on n others.
    """
    return min(
        int(np.min(methods[method].viewed.sum(axis=1)))
        for fold in folds
        for methods in fold.compared.values()
    )


def _resample_users(
    group: str, folds: Sequence[Fold], config: ConfigDict, dataset: Dataset
) -> Int[np.ndarray, "resample user"]:
    return bootstrap.resample_users(
        [fold.compared[group]["encoder"].users for fold in folds],
        num_users=len(dataset.user_ids),
        num_resamples=config.eval.num_resamples,
        generator=np.random.default_rng(config.eval.seed),
    )


def with_intervals(
    figures: Mapping[str, float | None], resampled: Mapping[str, Float[np.ndarray, " resample"]]
) -> dict[str, Any]:
    """Each figure, a plain number, and beside it its interval; None for both if not known."""
    row: dict[str, Any] = {}
    for name, value in figures.items():
        row[name] = value
        row[f"{name}_interval"] = None if value is None else bootstrap.interval(resampled[name])
    return row


def difference(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    resampled_one: Mapping[str, Float[np.ndarray, " resample"]],
    resampled_other: Mapping[str, Float[np.ndarray, " resample"]],
) -> dict[str, Any]:
    """The paired difference of two rows of figures, with intervals."""
    figures = {
        name: None if None in (one[name], other[name]) else one[name] - other[name]
        for name in resampled_one
    }
    resampled = {name: values - resampled_other[name] for name, values in resampled_one.items()}
    return with_intervals(figures, resampled)


def _predict(
    group: str, folds: Sequence[Fold], config: ConfigDict, dataset: Dataset
) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Stage 2 for the seen or the unseen users.

    Returns:
        Tables of figures, paired differences and single users; some maps of the first fold to look
        at; resampled figures of each condition.
    """
    options = config.eval
    num_images = len(folds[0].splits.test_images)
    sizes = protocols.usable_sizes(options.saliency_num_images, _fewest_images(folds, "encoder"))
    user_weight = _resample_users(group, folds, config, dataset)
    generator = np.random.default_rng(options.seed)
    image_weight = bootstrap.resample(
        num_images, num_images, num_resamples=options.num_resamples, generator=generator
    )
    scored, examples = zip(*(_score_fold(group, fold, sizes) for fold in folds), strict=True)
    everybody = np.ones((1, len(dataset.user_ids)), int)
    every_image = np.ones((1, num_images), int)
    tables: dict[str, dict[str, Any]] = {
        "saliency": {},
        "saliency_differences": {},
        "saliency_users": {},
    }
    resamples: dict[str, dict[str, Any]] = {}
    for size in sizes:
        of_size = [scores[size] for scores in scored]
        figures = protocols.mean_over_users(of_size, everybody, every_image)[0]
        resampled = protocols.mean_over_users(of_size, user_weight, image_weight)
        resamples[str(size)] = {
            condition: _by_metric(resampled[:, row].T)
            for row, condition in enumerate(protocols.CONDITIONS)
            if condition != "predicted" or all(map(_has_universal, folds))
        }
        tables["saliency"][str(size)] = {
            condition: {
                **with_intervals(_by_metric(figures[row]), resamples[str(size)][condition]),
                "num_users": len(np.unique(np.concatenate([one.users for one in of_size]))),
                "num_images": num_images,
                "num_draws": options.saliency_num_draws,
            }
            for row, condition in enumerate(protocols.CONDITIONS)
            if condition in resamples[str(size)]
        }
        differences = {}
        for one, other in _DIFFERENCES:
            row, column = (protocols.CONDITIONS.index(name) for name in (one, other))
            differences[f"{one}_minus_{other}"] = with_intervals(
                _by_metric(figures[row] - figures[column]),
                _by_metric((resampled[:, row] - resampled[:, column]).T),
            )
        tables["saliency_differences"][str(size)] = differences | {
            "own_minus_swapped_p_value": protocols.swap_test(
                of_size, num_permutations=options.num_resamples, seed=options.seed
            )
        }
        tables["saliency_users"][str(size)] = _single_users(of_size, image_weight, dataset)
    return tables, examples[0], resamples


def _by_metric(values: Float[np.ndarray, "metric *resample"]) -> dict[str, Any]:
    """Values under the names of the metrics; single ones as plain numbers."""
    plain = values.tolist() if values.ndim == 1 else values
    return dict(zip(protocols.MAP_METRICS, plain, strict=True))


def _score_fold(
    group: str, fold: Fold, sizes: Sequence[int]
) -> tuple[dict[int, protocols.Predicted], list[dict[str, Any]]]:
    """Enrols every user with n test images, predicts the user's other ones and scores the maps.

    Returns:
        The scores of each n, and the maps of a few users and images at the last n.
    """
    config, options = fold.config, fold.config.eval
    images, viewings = fold.splits.test_images, fold.viewings["saliency"]
    prior = stages.center_prior(viewings)
    known, seen = (
        compared._replace(
            features=stages.told_embeddings(config, compared.features, compared.viewed)
        )
        for compared in (fold.compared[name]["encoder"] for name in (group, "seen"))
    )
    orders = protocols.draw_image_orders(len(images), options.num_draws, options.seed)
    enrolments = [(size, order) for size in sizes for order in orders[: options.saliency_num_draws]]
    swaps = protocols.derangements(len(known.users), options.num_derangements, options.seed)
    grid = controls.calibration_grid(**options.calibration)
    common: dict[str, Any] = {
        "sigma_frac": config.data.sigma_frac,
        "max_fixations": stages.longest_viewing(viewings.gaze),
    }
    likelihoods = controls.calibration_likelihoods(
        viewings.group, viewings.gaze, prior, grid, users=known.users, images=images, **common
    )
    is_enrolled, embeddings, settings = [], [], []
    for size, order in enrolments:
        weight = protocols.first_viewed(known.viewed, order, start=0, size=size)
        seen_weight = protocols.first_viewed(seen.viewed, order, start=0, size=size)
        is_enrolled.append(weight > 0)
        embeddings.append(
            protocols.conditions_of(
                protocols.mean_features(known.features, weight),
                protocols.mean_features(seen.features, seen_weight).mean(axis=0),
                swaps,
            )
        )
        settings.append(protocols.mean_features(likelihoods, weight).argmax(axis=-1))
    asked = protocols.Prediction(
        users=known.users,
        images=images,
        is_enrolled=np.stack(is_enrolled),
        is_query=known.viewed & ~np.stack(is_enrolled),
        embeddings=np.stack(embeddings),
        calibration=controls.Calibration(*(values[np.stack(settings)] for values in grid)),
    )
    counts = protocols.other_fixation_counts(viewings.gaze, images, map_size=prior.shape)
    scores = np.full(
        (
            len(enrolments),
            len(images),
            len(protocols.CONDITIONS) - 1 + len(swaps),
            len(known.users),
            len(protocols.MAP_METRICS),
        ),
        np.nan,
    )
    examples: list[dict[str, Any]] = []
    description = f"evaluation, stage 2, {group} users, fold {config.split.fold}"
    with track(description, int(asked.is_query.any(axis=1).sum())) as show:
        done = 0
        for batch in _predicted_batches(fold, asked, prior, common):
            scores[batch["enrolment"], batch["image"]] = protocols.score_maps(
                batch, center_prior=prior, other_counts=counts
            )
            examples += _examples(batch, asked)
            done += len(batch["image"])
            show(done, "images")
    predicted = {
        size: protocols.Predicted(
            known.users,
            protocols.mean_over_draws(scores[[of_size == size for of_size, _ in enrolments]]),
        )
        for size in sizes
    }
    return predicted, examples


def _predicted_batches(
    fold: Fold,
    asked: protocols.Prediction,
    prior: Float[np.ndarray, "height width"],
    common: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """What `protocols.predict_maps` yields, for all images that are asked for."""
    network = stages.saliency_network(fold.config, num_users=len(fold.splits.seen_users))
    params = load_params(fold.workdir, "saliency")
    if _has_universal(fold):
        predicted = stages.predict_universals(
            fold.config,
            load_params(fold.workdir, "universal"),
            fold.viewings["saliency"],
            asked.images,
            jax.local_devices(),
        )
    else:  # Something must stand in its place; `_predict` leaves it out.
        predicted = np.broadcast_to(prior, (len(asked.images), *prior.shape))
    told = None if fold.universal is None else fold.universal[asked.images]

    def predict(params: Any, *inputs: jax.Array) -> jax.Array:
        return network.apply(params)(*inputs)

    for near, part, rows in stages.in_parts(fold.viewings["saliency"], asked.images):
        of_part = asked._replace(
            images=rows,
            is_enrolled=asked.is_enrolled[:, :, part],
            is_query=asked.is_query[:, :, part],
        )
        for batch in protocols.predict_maps(
            predict,
            params,
            near.pixels,
            near.gaze,
            protocols.Universals(
                near.group, prior, predicted[part], None if told is None else told[part]
            ),
            of_part,
            devices=jax.local_devices(),
            batch_size=fold.config.eval.batch_size,
            **common,
        ):
            yield batch | {"image": part.start + batch["image"]}


def _examples(batch: Mapping[str, Any], asked: protocols.Prediction) -> list[dict[str, Any]]:
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
        own, universal = (protocols.CONDITIONS.index(name) for name in ("own", "universal"))
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
    return trained_steps(fold.workdir, "universal") is not None


def _single_users(
    folds: Sequence[protocols.Predicted],
    image_weight: Int[np.ndarray, "resample image"],
    dataset: Dataset,
) -> dict[str, Any]:
    """Own minus swapped of each user; the intervals are over images alone."""
    own, swapped = (protocols.CONDITIONS.index(name) for name in ("own", "swapped"))

    def gains(weight: np.ndarray) -> dict[int, np.ndarray]:
        found: dict[int, list[np.ndarray]] = {}
        for fold in folds:
            scores = protocols.user_scores(fold, weight)
            for position, user in enumerate(fold.users.tolist()):
                gain = scores[:, own, position] - scores[:, swapped, position]
                found.setdefault(user, []).append(gain)
        return {user: np.mean(values, axis=0) for user, values in found.items()}

    figures = gains(np.ones((1, image_weight.shape[1]), int))
    resampled = gains(image_weight)
    return {
        dataset.user_ids[user]: with_intervals(
            _by_metric(figures[user][0]), _by_metric(resampled[user].T)
        )
        for user in sorted(figures)
    }


def _draw(
    folder: Path,
    result: dict[str, Any],
    curves: Mapping[str, Mapping[str, verification.RocCurve]],
    examples: Sequence[Mapping[str, Any]],
    fold: Fold,
    dataset: Dataset,
) -> None:
    """Draws what one would rather look at than read."""
    from gazejax import plots  # Here, since it takes a second and embedding a person needs none.

    folder.mkdir(exist_ok=True)
    plots.draw_roc_curves(folder / "roc_curves.png", curves=curves)
    for figure in ("roc_auc", "rank1"):
        plots.draw_figures_against_size(
            folder / f"{figure}_against_images.png", table=result["encoder"], figure=figure
        )
    _draw_embeddings(folder / "embeddings.png", fold, dataset)
    if not examples:
        return
    largest = list(result["saliency_users"]["seen"])[-1]
    plots.draw_user_bars(
        folder / "own_minus_swapped.png",
        per_user={
            group: {
                user: {
                    "value": row["information_gain"],
                    "interval": row["information_gain_interval"],
                }
                for user, row in sizes[largest].items()
            }
            for group, sizes in result["saliency_users"].items()
        },
        unit="bits per fixation",
        title=f"Information gain of own over swapped, {largest} enrolment images",
    )
    gaze = dataset.gaze
    rows = []
    for example in examples:
        user, image = example["user"], example["image"]
        start = gaze.viewing_offset[user, image]
        rows.append(
            plots.MapRow(
                label=f"{dataset.user_ids[user]}, {dataset.image_ids[image]}",
                image=dataset.images["saliency"][image],
                xy_frac=np.asarray(gaze.xy_frac)[start : start + gaze.viewing_length[user, image]],
                **{key: example[key] for key in ("universal", "own", "truth")},
            )
        )
    plots.draw_map_grid(folder / "maps.png", rows=rows)


def _draw_embeddings(path: Path, fold: Fold, dataset: Dataset) -> None:
    """Draws samples of all users of a fold, each the mean embedding of as many test images."""
    from gazejax import plots

    groups = [fold.compared[group]["encoder"] for group in GROUPS]
    users = np.concatenate([group.users for group in groups])
    fewest = min(int(np.min(group.viewed.sum(axis=1))) for group in groups)
    size = min(_IMAGES_PER_POINT, fewest // 2)
    number = fewest // size
    samples = [
        protocols.cut_into_samples(
            group.features,
            group.viewed,
            np.arange(group.viewed.shape[1]),
            size=size,
            number=number,
        )
        for group in groups
    ]
    embeddings = np.concatenate(samples, axis=1)
    plots.draw_embedding_scatter(
        path,
        embeddings=embeddings.reshape(-1, embeddings.shape[-1]),
        users=np.tile(users, number),
        names=list(dataset.user_ids),
        is_seen=np.isin(np.arange(len(dataset.user_ids)), fold.splits.seen_users),
    )


def _describe(config: ConfigDict, folds: Sequence[Fold]) -> dict[str, Any]:
    """What exactly was compared."""
    first, options = folds[0], config.eval
    return {
        "data": config.data.name,
        "purpose": config.split.purpose,
        **{name: len(members) for name, members in first.splits._asdict().items()},
        **{f"{name}_steps": trained_steps(first.workdir, name) for name in STAGES},
        "encoder_draws": options.num_draws,
        "saliency_draws": options.saliency_num_draws,
        "derangements": options.num_derangements,
        "resamples": options.num_resamples,
        "common_fixations": options.common_fixations,
        "first_trial_only": config.data.first_trial_only,
        "drop_first_fixation": config.data.drop_first_fixation,
        "training_seed": config.seed,
        "evaluation_seed": options.seed,
        "evaluated_folds": [fold.config.split.fold for fold in folds],
        "fold": first.config.split.fold if len(folds) == 1 else None,
        "folds": first.config.split.folds,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": source_commit(),
    }
