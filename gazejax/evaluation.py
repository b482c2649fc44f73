"""Evaluates a workdir: runs the protocols on what it holds and writes the figures."""

import datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int
from ml_collections import ConfigDict

from gazejax import protocols, stages
from gazejax.arrays import Dataset
from gazejax.progress import track
from gazejax.splits import Splits
from gazejax.stages import INPUTS, STAGES, Viewings
from gazejax.workdir import (
    load_config,
    load_params,
    refuse_other_splits,
    source_commit,
    trained_steps,
    write_json,
    write_text,
)


def evaluate(workdir: Path) -> dict[str, Any]:
    """Evaluates the stages that a workdir holds, prints the tables and writes them there.

    Returns:
        What `evaluation.json` holds.

    Raises:
        FileNotFoundError: if the folder is no workdir, or its data set is not prepared.
        ValueError: if the data set is not the one of the training.
    """
    config = load_config(workdir)
    dataset = stages.load_dataset(config)
    splits = stages.make_config_splits(config, dataset)
    viewings = {name: stages.make_viewings(name, config, dataset, splits) for name in INPUTS}
    return _evaluate(workdir, config, dataset, splits, viewings)


def _evaluate(
    workdir: Path,
    config: ConfigDict,
    dataset: Dataset,
    splits: Splits,
    viewings: dict[str, Viewings],
) -> dict[str, Any]:
    options = config.eval
    groups = {"seen": splits.seen_users, "unseen": splits.unseen_users}
    viewed = {
        name: np.asarray(dataset.gaze.viewing_length)[np.ix_(users, splits.test_images)] > 0
        for name, users in groups.items()
    }
    # So that every user can enrol with n images and be compared on n others.
    available = min(int(np.min(of_group.sum(axis=1))) for of_group in viewed.values())
    refuse_other_splits(workdir, "encoder", splits, dataset)
    encoder_params = load_params(workdir, "encoder")
    embeddings = {
        name: stages.embed_pairs(
            config,
            encoder_params,
            viewings["encoder"],
            users=users,
            images=splits.test_images,
            devices=jax.local_devices(),
        )
        for name, users in groups.items()
    }
    orders = protocols.draw_image_orders(len(splits.test_images), options.num_draws, options.seed)
    result: dict[str, Any] = {"encoder": {}}
    for name, users in groups.items():
        residual = protocols.residual_maps(
            viewings["saliency"].group,
            dataset.gaze,
            users=users,
            images=splits.test_images,
            sigma_frac=config.data.sigma_frac,
            max_fixations=stages.longest_viewing(dataset.gaze),
        )
        result["encoder"][name] = {
            method: {
                str(size): protocols.verify(
                    features, viewed[name], orders, size=size, similarity=similarity
                )
                for size in protocols.usable_sizes(options.num_images, available)
            }
            for method, features, similarity in (
                ("encoder", embeddings[name], protocols.negative_distance),
                ("residual_map", residual, protocols.correlation),
            )
        }
    if trained_steps(workdir, "saliency") is not None:
        refuse_other_splits(workdir, "saliency", splits, dataset)
        result["saliency"] = _evaluate_saliency(
            config,
            load_params(workdir, "saliency"),
            viewings["saliency"],
            groups=groups,
            images=splits.test_images,
            embeddings=embeddings,
            viewed=viewed,
            orders=orders[: options.saliency_num_draws],
            sizes=protocols.usable_sizes(options.saliency_num_images, available),
        )
    result["compared"] = {
        "data": config.data.name,
        **{name: len(members) for name, members in splits._asdict().items()},
        **{f"{name}_steps": trained_steps(workdir, name) for name in STAGES},
        "encoder_draws": options.num_draws,
        "saliency_draws": options.saliency_num_draws,
        "derangements": options.num_derangements,
        "training_seed": config.seed,
        "evaluation_seed": options.seed,
        "fold": config.split.fold,
        "folds": config.split.folds,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": source_commit(),
    }
    write_json(workdir / "evaluation.json", result)
    tables = protocols.format_tables(result)
    write_text(workdir / "evaluation.md", tables + "\n")
    print(tables)
    return result


def _evaluate_saliency(
    config: ConfigDict,
    params: Any,
    viewings: Viewings,
    *,
    groups: dict[str, Int[np.ndarray, " user"]],
    images: Int[np.ndarray, " image"],
    embeddings: dict[str, Float[np.ndarray, "user image embedding"]],
    viewed: dict[str, Bool[np.ndarray, "user image"]],
    orders: Int[np.ndarray, "draw image"],
    sizes: list[int],
) -> dict[str, Any]:
    """Stage 2: enrols every user with n test images, and predicts the user's other ones."""
    options = config.eval
    network = stages.saliency_network(config)
    enrolments = [(size, order) for size in sizes for order in orders]
    weights = {
        name: [
            protocols.first_viewed(viewed[name], order, start=0, size=size)
            for size, order in enrolments
        ]
        for name in groups
    }
    enrolled = {
        name: [protocols.mean_features(embeddings[name], weight) for weight in weights[name]]
        for name in groups
    }
    result: dict[str, Any] = {}
    for name, users in groups.items():
        is_query = np.stack([viewed[name] & (weight == 0) for weight in weights[name]])
        enrolment, column = np.nonzero(is_query.any(axis=1))
        swaps = protocols.derangements(len(users), options.num_derangements, options.seed)
        conditions = [
            protocols.conditions_of(own, seen.mean(axis=0), swaps)
            for own, seen in zip(enrolled[name], enrolled["seen"], strict=True)
        ]
        batches = protocols.score_maps(
            lambda params, *inputs: network.apply(params)(*inputs),
            params,
            viewings.pixels,
            viewings.gaze,
            viewings.group,
            users=users,
            images=images[column],
            enrolments=enrolment,
            embeddings=np.stack(conditions),
            sigma_frac=config.data.sigma_frac,
            max_fixations=stages.longest_viewing(viewings.gaze),
            devices=jax.local_devices(),
            batch_size=options.batch_size,
        )
        scored: list[np.ndarray] = []
        with track(f"evaluation, {name} users", len(column)) as show:
            for batch in batches:
                scored.extend(batch)
                show(len(scored), "images")
        # No score where a user was enrolled with the image, or did not see it.
        queried = is_query[enrolment, :, column][:, None, :, None]
        scores = np.where(queried, np.stack(scored), np.nan)
        result[name] = {
            str(size): protocols.summarise_conditions(
                [
                    scores[enrolment == number]
                    for number, (of_size, _) in enumerate(enrolments)
                    if of_size == size
                ]
            )
            for size in sizes
        }
    return result
