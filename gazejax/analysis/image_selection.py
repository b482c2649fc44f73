"""Which images to show a new person, so that few of them tell who it is.

Chosen by the gaze of the seen users alone, one image after the other; shown to be worth it on the
unseen ones, against images chosen at random.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from gazejax.config.derived import fold_configs
from gazejax.data.loading import load_dataset
from gazejax.evaluation import verification_protocol, verify_users
from gazejax.evaluation.folds import Fold, open_fold
from gazejax.evaluation.report import format_value, markdown_table
from gazejax.evaluation.verify_users import with_intervals
from gazejax.metrics import bootstrap, verification
from gazejax.runtime.files import source_commit, write_json, write_text
from gazejax.runtime.progress import track
from gazejax.types import Dataset
from gazejax.workdir.layout import load_config, load_projection

NAME = "enrolment_images"

# How often the test images are halved, one half to choose from and one to compare with; and how
# often probe images are drawn from the other half.
_NUM_HALVES, _NUM_PROBES = 20, 5

_WAYS = ("chosen", "random")

_METRICS = ("roc_auc", "rank1")


def choose_images(
    embeddings: Float[np.ndarray, "user image embedding"], *, budget: int
) -> Int[np.ndarray, " chosen"]:
    """Chooses images one by one, each the one by which the users are then told apart best.

    Told apart: by how much farther the mean embedding of the chosen images is from the others' mean
    over all other images than from the user's own; the ratio of the mean squared distances, so that
    images on which everybody is far from everybody, oneself included, gain nothing.

    Args:
        embeddings: of users who saw all of the images.
        budget: how many to choose; fewer than there are images.

    Returns:
        Positions of the images, the first chosen first.

    Raises:
        ValueError: if there are too few images, or fewer than two users.

    Source: ours.
    """
    num_users, num_images, _ = embeddings.shape
    if num_users < 2 or not 1 <= budget < num_images:
        raise ValueError(
            f"budget is {budget} with {num_images} images and {num_users} users; allowed: from 1 "
            f"to {num_images - 1}, with at least 2 users"
        )
    total = embeddings.sum(axis=1)
    chosen: list[int] = []
    enrolled = np.zeros_like(total)
    for number in range(1, budget + 1):
        left = [image for image in range(num_images) if image not in chosen]
        # [left, user, embedding]: with each of the images that are left.
        with_it = enrolled + embeddings[:, left].swapaxes(0, 1)
        rest = (total - with_it) / (num_images - number)
        between = _squared_distances(rest, with_it / number)
        own = np.trace(between, axis1=-2, axis2=-1)
        others = between.sum(axis=(-2, -1)) - own
        best = left[int(np.argmin(own / np.maximum(others, 1e-12)))]
        chosen.append(best)
        enrolled += embeddings[:, best]
    return np.array(chosen)


def _squared_distances(
    one: Float[np.ndarray, "*batch user embedding"],
    other: Float[np.ndarray, "*batch user embedding"],
) -> Float[np.ndarray, "*batch user user"]:
    return ((one[..., :, None, :] - other[..., None, :, :]) ** 2).sum(axis=-1)


def select_images(workdir: Path, budget: int) -> dict[str, Any]:
    """Chooses the enrolment images of a workdir, and compares them with random ones.

    The images are test images that everybody saw: on those of the training the encoder knows the
    seen users too well. For the comparison they are halved, many times: from one half images are
    chosen, by the seen users, or drawn; with them the unseen users enrol, and are compared by as
    many images drawn from the other half.

    Args:
        workdir: of a finished stage `encoder`, with one fold or several.
        budget: how many images to choose at most.

    Returns:
        What `enrolment_images.json` holds: of each fold the names of the images to show, the first
        chosen first; and at each number of images the figures of both ways, their difference, and
        how many random images are worth as much as the chosen ones (None: more than the budget).

    Raises:
        FileNotFoundError: if the folder is no workdir, or its data set is not prepared.
        ValueError: if the data set is not the one of the training, or the budget is above half of
            the images.
    """
    from gazejax import plots  # Here, since it takes a second.

    config = load_config(workdir)
    dataset = load_dataset(config, load_projection(workdir))
    folds = [
        open_fold(folder, one, dataset) for folder, one in fold_configs(config, workdir).items()
    ]
    candidates = [_images_of_all(fold) for fold in folds]
    most = min(len(images) for images in candidates) // 2
    if not 1 <= budget <= most:
        raise ValueError(
            f"budget is {budget}; allowed: from 1 to {most}, half of the test images that all saw, "
            "as the other half is to compare with"
        )
    sizes = [size for size in range(1, budget + 1) if size <= 10 or size % 5 == 0]
    names: dict[str, list[str]] = {}
    found: dict[tuple[str, int], list[verification_protocol.VerificationScores]] = {
        (way, size): [] for way in _WAYS for size in sizes
    }
    with track("choosing images", len(folds) * _NUM_HALVES) as show:
        for number, (fold, images) in enumerate(zip(folds, candidates, strict=True)):
            embeddings = [
                fold.compared[group]["encoder"].representations[:, images]
                for group in ("seen", "unseen")
            ]
            users = fold.compared["unseen"]["encoder"].users
            similarity: dict[tuple[str, int], list[np.ndarray]] = {key: [] for key in found}
            for half in range(_NUM_HALVES):
                generator = np.random.default_rng((config.eval.seed, half))
                for key, draws in _compare(embeddings[0], embeddings[1], sizes, generator).items():
                    similarity[key] += draws
                show(number * _NUM_HALVES + half + 1, "halves")
            for key, draws in similarity.items():
                # MAP@R is not asked for.
                nothing = np.zeros((1, len(users)))
                found[key].append(
                    verification_protocol.VerificationScores(users, np.stack(draws), nothing, 2)
                )
            order = images[choose_images(embeddings[0], budget=budget)]
            names[fold.workdir.relative_to(workdir).as_posix()] = [
                dataset.image_ids[image] for image in fold.splits.test_images[order]
            ]
    figures = _metrics(found, sizes, folds, dataset, config.eval)
    result = {
        "data": config.data.name,
        "images": names,
        "figures": figures,
        "num_users": sum(len(fold.compared["unseen"]["encoder"].users) for fold in folds),
        "num_images": [len(images) for images in candidates],
        "halves": _NUM_HALVES,
        "probes": _NUM_PROBES,
        "evaluation_seed": config.eval.seed,
        "commit": source_commit(),
    }
    write_json(workdir / f"{NAME}.json", result)
    text = format_selection(result)
    write_text(workdir / f"{NAME}.md", text)
    (workdir / "plots").mkdir(exist_ok=True)
    plots.plot_metrics_against_size(
        workdir / "plots" / f"{NAME}.png",
        table={"unseen": {way: figures[way] for way in _WAYS}},
        metric="roc_auc",
        chance=0.5,
    )
    print(text)
    return result


def _images_of_all(fold: Fold) -> Int[np.ndarray, " image"]:
    """Positions of the test images that every user of the fold saw."""
    viewed = [fold.compared[group]["encoder"].viewed for group in ("seen", "unseen")]
    return np.flatnonzero(np.concatenate(viewed).all(axis=0))


def _compare(
    seen: Float[np.ndarray, "seen image embedding"],
    unseen: Float[np.ndarray, "unseen image embedding"],
    sizes: Sequence[int],
    generator: np.random.Generator,
) -> dict[tuple[str, int], list[Float[np.ndarray, "unseen unseen"]]]:
    """Scores of the unseen users in one halving, for each way to choose and number of images."""
    order = generator.permutation(seen.shape[1])
    here, there = np.array_split(order, 2)
    chosen = here[choose_images(seen[:, here], budget=sizes[-1])]
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    for size in sizes:
        for _ in range(_NUM_PROBES):
            probe = unseen[:, generator.permutation(there)[:size]].mean(axis=1)
            drawn = generator.permutation(here)
            for way, enrolled in zip(_WAYS, (chosen, drawn), strict=True):
                enrolment = unseen[:, enrolled[:size]].mean(axis=1)
                score = verification.negative_distance(probe, enrolment)
                found.setdefault((way, size), []).append(score)
    return found


def _metrics(
    found: Mapping[tuple[str, int], Sequence[verification_protocol.VerificationScores]],
    sizes: Sequence[int],
    folds: Sequence[Fold],
    dataset: Dataset,
    options: ConfigDict,
) -> dict[str, Any]:
    """A row for each way and number of images, and for their difference."""
    user_weight = bootstrap.resample_users(
        [fold.compared["unseen"]["encoder"].users for fold in folds],
        num_users=len(dataset.user_ids),
        num_resamples=options.num_resamples,
        generator=np.random.default_rng(options.seed),
    )
    result: dict[str, Any] = {way: {} for way in (*_WAYS, "chosen_minus_random")}
    for size in sizes:
        resampled = {}
        for way in _WAYS:
            every = verification_protocol.resampled_verification_metrics(
                found[way, size],
                user_weight,
                size=size,
                num_images=len(folds[0].splits.test_images),
                seed=options.seed,
            )
            figures = verification_protocol.verification_metrics(found[way, size])
            resampled[way] = {name: every[name] for name in _METRICS}
            result[way][str(size)] = with_intervals(
                {name: figures[name] for name in _METRICS}, resampled[way]
            )
        result["chosen_minus_random"][str(size)] = verify_users.difference(
            *(result[way][str(size)] for way in _WAYS), *(resampled[way] for way in _WAYS)
        )
    random = [row["roc_auc"] for row in result["random"].values()]
    for row in result["chosen"].values():
        row["worth_random_images"] = _first_reaching(sizes, random, row["roc_auc"])
    return result


def _first_reaching(sizes: Sequence[int], values: Sequence[float], goal: float) -> float | None:
    """Where values first reach a goal, on straight lines between sizes; None if they do not."""
    for number, value in enumerate(values):
        if value >= goal:
            if number == 0:
                return float(sizes[0])
            start, before = sizes[number - 1], values[number - 1]
            return start + (sizes[number] - start) * (goal - before) / (value - before)
    return None


def format_selection(result: Mapping[str, Any]) -> str:
    """Writes what `image_selection.calibrate` found as Markdown."""
    figures, lines = result["figures"], []
    for size, chosen in figures["chosen"].items():
        random, difference = (figures[key][size] for key in ("random", "chosen_minus_random"))
        worth = chosen["worth_random_images"]
        lines.append(
            [
                size,
                format_value(chosen, "roc_auc"),
                format_value(random, "roc_auc"),
                format_value(difference, "roc_auc", signed=True),
                format_value(difference, "rank1", signed=True),
                "more than were tried" if worth is None else f"{worth:.1f}",
            ]
        )
    header = ["n", "ROC-AUC, chosen", "random", "difference", "of rank-1", "random images for that"]
    shown = "\n".join(
        f"- {'images to show' if fold == '.' else fold}: {', '.join(names)}"
        for fold, names in result["images"].items()
    )
    compared = (
        f"**Which images to show?** {result['num_users']} unseen people of `{result['data']}`, "
        "told apart by n images that are chosen by the seen users or drawn, and n others; "
        f"{result['halves']} halvings of {result['num_images'][0]} test images, {result['probes']} "
        f"probes each, commit {result['commit']}. Brackets: 95 % interval over users and images."
    )
    return "\n\n".join([compared, markdown_table(header, lines), "The best first:", shown]) + "\n"
