"""What an embedding knows of a person, read from it by straight lines.

A trait is predicted from embeddings by ridge regression on the seen users, and compared with what
it is for the unseen ones. Traits are plain measures of gaze, and those that made the people, where
the data set knows them. The direction of a trait in the space of embeddings is then drawn: the maps
of one image as an embedding moves along it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from gazejax.config.derived import fold_configs
from gazejax.data import reader
from gazejax.data.loading import load_dataset
from gazejax.evaluation import verification_protocol
from gazejax.evaluation.folds import GROUPS, Fold, open_fold
from gazejax.evaluation.report import markdown_table
from gazejax.inference.networks import saliency_network
from gazejax.inputs.maps import to_density
from gazejax.inputs.streaming import iterate_chunks
from gazejax.runtime.files import source_commit, write_json, write_text
from gazejax.runtime.progress import track
from gazejax.types import Dataset, Gaze
from gazejax.workdir.layout import latest_step, load_config, load_projection
from gazejax.workdir.parameters import load_params

NAME = "knowledge"

# A fixation is near the centre if it is no farther from it than so much of the image's width.
_NEAR_CENTRE_FRAC = 0.15

# How far embeddings are moved, in standard deviations of the users of the training.
_STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)

_RIDGE = 0.1

_NUM_PERMUTATIONS = 10_000


def measure(
    gaze: Gaze, users: Int[np.ndarray, " user"], images: Int[np.ndarray, " image"]
) -> dict[str, Float[np.ndarray, " user"]]:
    """Plain measures of how people look, each a mean over the images they saw.

    Args:
        gaze: the fixations.
        users: whom to measure.
        images: on which images.

    Returns:
        `fixations`: number. `centre_share`: share of fixations within 0.15 image widths of the
        centre. `saccade_length`: mean distance of a fixation to the one before, in image widths.
        `spread`: standard deviation of fixations around their mean place, in image widths.
        `duration_ms`: mean duration, if durations are known.
    """
    names = ("fixations", "centre_share", "saccade_length", "spread", "duration_ms")
    table = np.full((len(users), len(images), len(names)), np.nan)
    xy_frac, duration_ms = np.asarray(gaze.xy_frac), np.asarray(gaze.duration_ms)
    for row, user in enumerate(users):
        for column, image in enumerate(images):
            start, number = gaze.viewing_offset[user, image], gaze.viewing_length[user, image]
            if number == 0:
                continue
            at = slice(start, start + number)
            # In image widths: heights are divided by the width too.
            xy = xy_frac[at] / np.array([1.0, gaze.aspect_ratio[image]])
            centre = np.array([0.5, 0.5 / gaze.aspect_ratio[image]])
            distance = np.linalg.norm(xy - centre, axis=1)
            steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
            table[row, column] = (
                number,
                (distance <= _NEAR_CENTRE_FRAC).mean(),
                steps.mean() if len(steps) else np.nan,
                np.sqrt(((xy - xy.mean(axis=0)) ** 2).sum(axis=1).mean()),
                duration_ms[at].mean(),
            )
    means = np.nanmean(table, axis=1).T
    return {name: mean for name, mean in zip(names, means, strict=True) if mean.any()}


class Direction(NamedTuple):
    """Where a trait points to in the space of embeddings.

    Attributes:
        center: mean embedding of the users it was fitted on.
        mean: their mean trait.
        weights: change of the trait with each entry of an embedding.
        step: change of an embedding along the weights by one standard deviation of those users.
    """

    center: Float[np.ndarray, " embedding"]
    mean: float
    weights: Float[np.ndarray, " embedding"]
    step: Float[np.ndarray, " embedding"]

    def predict(
        self, embeddings: Float[np.ndarray, "user embedding"]
    ) -> Float[np.ndarray, " user"]:
        """The trait of other users."""
        return self.mean + (embeddings - self.center) @ self.weights


def fit_direction(
    embeddings: Float[np.ndarray, "user embedding"], trait: Float[np.ndarray, " user"]
) -> Direction:
    """Ridge regression of a trait on embeddings.

    The ridge is a tenth of the mean squared length of the centred embeddings, so that it means the
    same for every encoder.

    Args:
        embeddings: of users whose trait is known.
        trait: of each.
    """
    center = embeddings.mean(axis=0)
    centered = embeddings - center
    gram = centered @ centered.T
    # The dual form: there are fewer users than entries.
    ridge = _RIDGE * np.trace(gram) / len(trait) * np.eye(len(trait))
    weights = centered.T @ np.linalg.solve(gram + ridge, trait - trait.mean())
    length = max(float(np.linalg.norm(weights)), 1e-12)
    step = weights / length * (centered @ weights / length).std()
    return Direction(center, float(trait.mean()), weights, step)


def probe(workdir: Path) -> dict[str, Any]:
    """Says what the embeddings of a workdir know of people, and draws it.

    Users are embedded by all test images they saw, and measured on them. A trait of the unseen
    users is predicted in each fold by its own encoder and seen users; the predictions of all folds
    are correlated with the truth together. The seen users are predicted too, each from the others.

    Args:
        workdir: of a finished stage `encoder`, with one fold or several. With stage `saliency` the
            maps of an image are drawn along the direction of each trait, by the first fold.

    Returns:
        What `knowledge.json` holds.

    Raises:
        FileNotFoundError: if the folder is no workdir, or its data set is not prepared.
        ValueError: if the data set is not the one of the training.
    """
    from gazejax import plots  # Here, since it takes a second.

    config = load_config(workdir)
    dataset = load_dataset(config, load_projection(workdir))
    known = _known_traits(config)
    folds = []
    with track("embeddings", len(fold_configs(config, workdir))) as show:
        for folder, one in fold_configs(config, workdir).items():
            folds.append(open_fold(folder, one, dataset))
            show(len(folds), "folds")
    truth: dict[str, list[np.ndarray]] = {}
    found: dict[str, list[np.ndarray]] = {}
    of_seen: dict[str, list[float]] = {}
    first: dict[str, Direction] = {}
    for fold in folds:
        embeddings, traits = {}, {}
        for group in GROUPS:
            compared = fold.compared[group]["encoder"]
            weight = compared.viewed / compared.viewed.sum(axis=1, keepdims=True)
            embeddings[group] = verification_protocol.mean_representations(
                compared.representations, weight
            )
            traits[group] = measure(dataset.gaze, compared.users, fold.splits.test_images)
            traits[group] |= {name: values[compared.users] for name, values in known.items()}
        for name, trait in traits["seen"].items():
            direction = fit_direction(embeddings["seen"], trait)
            first.setdefault(name, direction)
            # Each fold is in its own units: another encoder, and other seen users.
            expected = direction.predict(embeddings["unseen"]) - direction.mean
            found.setdefault(name, []).append(expected)
            truth.setdefault(name, []).append(traits["unseen"][name] - direction.mean)
            left_out = [
                fit_direction(
                    np.delete(embeddings["seen"], user, axis=0), np.delete(trait, user)
                ).predict(embeddings["seen"][user][None])[0]
                for user in range(len(trait))
            ]
            of_seen.setdefault(name, []).append(_correlation(np.array(left_out), trait))
    generator = np.random.default_rng(config.eval.seed)
    result = {
        "data": config.data.name,
        "traits": {
            name: {
                "correlation": _correlation(np.concatenate(found[name]), np.concatenate(true)),
                "p_value": _p_value(found[name], true, generator),
                "seen_correlation": float(np.mean(of_seen[name])),
                "predicted": np.concatenate(found[name]).tolist(),
                "true": np.concatenate(true).tolist(),
            }
            for name, true in truth.items()
        },
        "num_users": sum(len(fold.splits.unseen_users) for fold in folds),
        "num_images": len(folds[0].splits.test_images),
        "folds": [fold.config.split.fold for fold in folds],
        "training_seed": config.seed,
        "commit": source_commit(),
    }
    write_json(workdir / f"{NAME}.json", result)
    text = format_probes(result)
    write_text(workdir / f"{NAME}.md", text)
    (workdir / "plots").mkdir(exist_ok=True)
    plots.plot_traits(workdir / "plots" / "traits.png", traits=result["traits"])
    if latest_step(folds[0].workdir, "saliency") is not None:
        plots.plot_directions(
            workdir / "plots" / "directions.png",
            **_maps_along(folds[0], dataset, first),
            steps=_STEPS,
        )
    print(text)
    return result


def _known_traits(config: ConfigDict) -> dict[str, Float[np.ndarray, " user"]]:
    """Those that made the people of a data set; empty where nobody knows them."""
    metadata = reader.open_source(config.data.name, config.data.data_dir).metadata
    found = {}
    for name, values in metadata.get("traits", {}).items():
        array = np.array(values, float)
        if array.ndim == 1:
            found[f"made with {name}"] = array
            continue
        for entry, of_entry in zip(metadata["class_names"], array.T, strict=True):
            found[f"made with {name}, {entry}"] = of_entry
    return found


def _correlation(one: Float[np.ndarray, " user"], other: Float[np.ndarray, " user"]) -> float:
    """Pearson's; 0 where one does not vary."""
    one, other = one - one.mean(), other - other.mean()
    norm = np.sqrt((one**2).sum() * (other**2).sum())
    return float(np.clip((one * other).sum() / norm, -1.0, 1.0)) if norm > 0 else 0.0


def _p_value(
    predicted: Sequence[Float[np.ndarray, " user"]],
    true: Sequence[Float[np.ndarray, " user"]],
    generator: np.random.Generator,
) -> float:
    """Share of permutations of the users of each fold with a correlation as high, the own added."""
    every = np.concatenate(true)
    own = _correlation(np.concatenate(predicted), every)
    reached = sum(
        _correlation(np.concatenate([generator.permutation(one) for one in predicted]), every)
        >= own - 1e-12
        for _ in range(_NUM_PERMUTATIONS)
    )
    return (reached + 1) / (_NUM_PERMUTATIONS + 1)


def _maps_along(
    fold: Fold, dataset: Dataset, directions: Mapping[str, Direction]
) -> dict[str, Any]:
    """A test image, and its maps as the mean embedding moves along the direction of each trait."""
    config, viewings = fold.config, fold.viewings["saliency"]
    network = saliency_network(config, num_users=len(fold.splits.seen_users))
    params = load_params(fold.workdir, "saliency")
    # The image on which the seen users differ most shows most.
    images = fold.splits.test_images
    embeddings = fold.compared["seen"]["encoder"].representations
    image = images[int(embeddings.var(axis=0).sum(axis=-1).argmax())]
    near, _, row = next(iterate_chunks(viewings, np.array([image])))
    universal = to_density(jnp.asarray(near.group.total)[row])
    if fold.universal is not None:
        universal = jnp.asarray(fold.universal[image])[None]

    @jax.jit
    def predict(params: Any, pixels: Array, universal: Array, embeddings: Array) -> Array:
        told = jnp.broadcast_to(universal, (1, len(embeddings), *universal.shape[1:]))
        return network.apply(params)(pixels, told, embeddings[None])[0]

    maps = {}
    for name, direction in directions.items():
        moved = (direction.center + np.outer(_STEPS, direction.step)).astype(np.float32)
        maps[name] = np.asarray(predict(params, jnp.asarray(near.pixels)[row], universal, moved))
    return {"image": dataset.images["saliency"][image], "maps": maps}


def format_probes(result: Mapping[str, Any]) -> str:
    """Writes what `trait_probes.explain` found as Markdown."""
    lines = [
        [
            name,
            f"{row['correlation']:.2f}",
            f"{row['p_value']:.3g}",
            f"{row['seen_correlation']:.2f}",
        ]
        for name, row in result["traits"].items()
    ]
    header = ["trait", "correlation, unseen", "p", "left-out seen users"]
    compared = (
        f"**What does an embedding know?** Traits of {result['num_users']} unseen people of "
        f"`{result['data']}`, predicted by straight lines from embeddings of "
        f"{result['num_images']} images, fitted on the seen users; folds {result['folds']}, "
        f"training seed {result['training_seed']}, commit {result['commit']}. p: of as high a "
        "correlation, were the unseen people permuted."
    )
    return f"{compared}\n\n{markdown_table(header, lines)}\n"
