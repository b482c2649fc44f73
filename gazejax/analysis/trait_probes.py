"""Linear probes: which traits of a user can be predicted from the user's embedding.

A linear probe predicts a trait from embeddings by ridge regression on the seen users. The
predictions for the unseen users are correlated with their true traits. Traits are measures of gaze
and, if the data set has them, the parameters that generated its users. A plot shows the predicted
maps of one image while an embedding moves in the direction of a trait.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gazejax.data import reader
from gazejax.evaluation.folds import GROUPS, Fold, open_run
from gazejax.evaluation.formats import markdown_table
from gazejax.evaluation.traits import correlation, embed_users, measure
from gazejax.inference.networks import saliency_network
from gazejax.inputs.maps import to_density
from gazejax.inputs.streaming import iterate_chunks
from gazejax.inputs.viewing_vectors import to_dense
from gazejax.models.linear_probe import Direction, fit_direction
from gazejax.runtime.files import source_commit, write_result
from gazejax.types import Dataset
from gazejax.workdir.parameters import load_params

NAME = "trait_probes"

# Shifts of an embedding in the direction of a trait, in standard deviations of the seen users.
_STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)

_NUM_PERMUTATIONS = 10_000


def probe(workdir: Path) -> dict[str, Any]:
    """Fits linear probes from the embeddings of a workdir to traits of its users.

    The embedding and the measures of a user are means over all test images that the user saw. In
    each fold, the probes are fitted on the seen users and predict the unseen users. Predictions of
    all folds are correlated with the true traits together. Seen users are predicted too, each by a
    probe that is fitted on the other seen users.

    Writes `trait_probes.json`, `trait_probes.md` and `plots/traits.png`, and for a workdir with a
    finished stage `saliency` `plots/directions.png`, by the first fold.

    Args:
        workdir: a workdir with a finished stage `encoder`, with one fold or several.

    Returns:
        The content of `trait_probes.json`: for each trait `correlation` and `p_value` of unseen
        users, `seen_correlation`, and the `predicted` and `true` traits of the unseen users, both
        minus the mean of the seen users of the fold.

    Raises:
        FileNotFoundError: if the folder is no workdir, or the data set is not prepared.
        ValueError: if the data set differs from the data set of the training.
    """
    from gazejax import plots  # Imported here: matplotlib takes a second.

    run = open_run(workdir)
    config, dataset, folds = run.config, run.dataset, run.folds
    generating = _generating_traits(dataset.name, config.data.data_dir)
    true_of: dict[str, list[np.ndarray]] = {}
    predicted_of: dict[str, list[np.ndarray]] = {}
    seen_correlations: dict[str, list[float]] = {}
    directions: dict[str, Direction] = {}  # Of the first fold.
    for fold in folds:
        embeddings, traits = {}, {}
        for group in GROUPS:
            compared = fold.compared[group]["encoder"]
            embeddings[group] = embed_users(compared, compared.viewed)
            traits[group] = measure(dataset.gaze, compared.users, fold.splits.test_images)
            traits[group] |= {name: values[compared.users] for name, values in generating.items()}
        for name, trait in traits["seen"].items():
            direction = fit_direction(embeddings["seen"], trait)
            directions.setdefault(name, direction)
            # Folds have different encoders and seen users: each is centered on its own mean.
            predicted = direction.predict(embeddings["unseen"]) - direction.mean
            predicted_of.setdefault(name, []).append(predicted)
            true_of.setdefault(name, []).append(traits["unseen"][name] - direction.mean)
            left_out = [
                fit_direction(
                    np.delete(embeddings["seen"], user, axis=0), np.delete(trait, user)
                ).predict(embeddings["seen"][user][None])[0]
                for user in range(len(trait))
            ]
            seen_correlations.setdefault(name, []).append(correlation(np.array(left_out), trait))
    generator = np.random.default_rng(config.eval.seed)
    result = {
        "data": dataset.name,
        "traits": {
            name: {
                "correlation": correlation(
                    np.concatenate(predicted_of[name]), np.concatenate(true)
                ),
                "p_value": _p_value(predicted_of[name], true, generator),
                "seen_correlation": float(np.mean(seen_correlations[name])),
                "predicted": np.concatenate(predicted_of[name]).tolist(),
                "true": np.concatenate(true).tolist(),
            }
            for name, true in true_of.items()
        },
        "num_users": sum(len(fold.splits.unseen_users) for fold in folds),
        "num_images": len(folds[0].splits.test_images),
        "folds": [fold.config.split.fold for fold in folds],
        "training_seed": config.seed,
        "commit": source_commit(),
    }
    (workdir / "plots").mkdir(exist_ok=True)
    plots.save_png(plots.draw_traits(traits=result["traits"]), workdir / "plots" / "traits.png")
    if folds[0].saliency_is_trained():
        drawing = plots.draw_directions(**_maps_along(folds[0], dataset, directions), steps=_STEPS)
        plots.save_png(drawing, workdir / "plots" / "directions.png")
    write_result(workdir, NAME, result, format_probes(result))
    return result


def _generating_traits(
    dataset_name: str, data_dir: str | Path | None
) -> dict[str, Float[np.ndarray, " user"]]:
    """Parameters that generated the users of a synthetic data set; empty for other data sets."""
    metadata = reader.open_source(dataset_name, data_dir).metadata
    traits = {}
    for name, values in metadata.get("traits", {}).items():
        array = np.array(values, float)
        if array.ndim == 1:
            traits[f"generated with {name}"] = array
            continue
        for entry, column in zip(metadata["class_names"], array.T, strict=True):
            traits[f"generated with {name}, {entry}"] = column
    return traits


def _p_value(
    predicted: Sequence[Float[np.ndarray, " user"]],
    true: Sequence[Float[np.ndarray, " user"]],
    generator: np.random.Generator,
) -> float:
    """One-sided p-value of a correlation, by permutation of the users within each fold."""
    all_true = np.concatenate(true)
    observed = correlation(np.concatenate(predicted), all_true)
    num_reached = sum(
        correlation(np.concatenate([generator.permutation(one) for one in predicted]), all_true)
        >= observed - 1e-12
        for _ in range(_NUM_PERMUTATIONS)
    )
    return (num_reached + 1) / (_NUM_PERMUTATIONS + 1)


def _maps_along(
    fold: Fold, dataset: Dataset, directions: Mapping[str, Direction]
) -> dict[str, Any]:
    """A test image, and its predicted maps for embeddings shifted in the direction of each trait.

    Returns:
        `image`, and `maps` of each trait: float [step, height, width].
    """
    arrays = fold.inputs["saliency"].arrays
    network = saliency_network(fold.config, num_users=len(fold.splits.seen_users))
    params = load_params(fold.workdir, "saliency")
    # The image on which the embeddings of the seen users vary most.
    images = fold.splits.test_images
    embeddings = to_dense(fold.compared["seen"]["encoder"].representations)
    image = images[int(embeddings.var(axis=0).sum(axis=-1).argmax())]
    chunk, _, row = next(iterate_chunks(arrays, np.array([image])))
    universal = to_density(jnp.asarray(chunk.universal.total)[row])
    if fold.replacement is not None:
        universal = jnp.asarray(fold.replacement[image])[None]

    @jax.jit
    def predict(params: Any, pixels: Array, universal: Array, embeddings: Array) -> Array:
        repeated = jnp.broadcast_to(universal, (1, len(embeddings), *universal.shape[1:]))
        return network.apply(params)(pixels, repeated, embeddings[None])[0]

    maps = {}
    for name, direction in directions.items():
        moved = (direction.center + np.outer(_STEPS, direction.step)).astype(np.float32)
        maps[name] = np.asarray(predict(params, jnp.asarray(chunk.images)[row], universal, moved))
    return {"image": dataset.images["saliency"][image], "maps": maps}


def format_probes(result: Mapping[str, Any]) -> str:
    """Formats the result of `probe` as Markdown."""
    lines = [
        [
            name,
            f"{row['correlation']:.2f}",
            f"{row['p_value']:.3g}",
            f"{row['seen_correlation']:.2f}",
        ]
        for name, row in result["traits"].items()
    ]
    header = ["trait", "correlation, unseen users", "p", "correlation, left-out seen users"]
    described = (
        "**Which traits can be predicted from an embedding?** Linear probes, fitted on the seen "
        f"users, predict the traits of {result['num_users']} unseen users of `{result['data']}` "
        f"from embeddings of {result['num_images']} images. Folds {result['folds']}, training seed "
        f"{result['training_seed']}, commit {result['commit']}. p: probability of a correlation "
        "this high if the unseen users are permuted."
    )
    return f"{described}\n\n{markdown_table(header, lines)}\n"
