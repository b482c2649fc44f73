"""Selects images to show to new users, so that few images suffice to verify a user.

The images are selected one by one from the gaze of the seen users. The selection is compared with
random images on the unseen users. On the data sets that were tried, selected images saved nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gazejax.evaluation.folds import Fold, Run, open_run, resample_users_of
from gazejax.evaluation.formats import format_value, markdown_table
from gazejax.evaluation.verification import protocol
from gazejax.evaluation.verification.verify_users import difference, with_intervals
from gazejax.inputs.viewing_vectors import gather
from gazejax.metrics import verification
from gazejax.runtime.files import source_commit, write_result
from gazejax.runtime.progress import track

NAME = "selected_images"

# The test images are split at random into two halves this often: enrolment images are selected from
# one half, and probe images are sampled from the other half, this often per split.
_NUM_SPLITS, _NUM_PROBES = 20, 5

_SELECTIONS = ("selected", "random")

_METRICS = ("roc_auc", "rank1")


def choose_images(
    embeddings: Float[np.ndarray, "user image embedding"], *, budget: int
) -> Int[np.ndarray, " selected"]:
    """Selects images greedily: each added image separates the users best.

    The criterion is a ratio of mean squared distances. The mean embedding of the selected images is
    compared with the mean embedding of the remaining images: of the same user (numerator) and of
    the other users (denominator). The ratio does not favor images on which all distances are large.

    Args:
        embeddings: embeddings of users who saw all images.
        budget: number of images to select, less than the number of images.

    Returns:
        Positions of the images in the order of selection.

    Raises:
        ValueError: if the budget is not in this range, or there are fewer than two users.

    Source: ours.
    """
    num_users, num_images, _ = embeddings.shape
    if num_users < 2 or not 1 <= budget < num_images:
        raise ValueError(
            f"budget is {budget} with {num_images} images and {num_users} users; allowed: from 1 "
            f"to {num_images - 1}, with at least 2 users"
        )
    total = embeddings.sum(axis=1)
    selected: list[int] = []
    selected_sum = np.zeros_like(total)
    for number in range(1, budget + 1):
        candidates = [image for image in range(num_images) if image not in selected]
        # [candidate, user, embedding]: the selected images and one candidate.
        enrolment_sum = selected_sum + embeddings[:, candidates].swapaxes(0, 1)
        remaining_mean = (total - enrolment_sum) / (num_images - number)
        distances = _squared_distances(remaining_mean, enrolment_sum / number)
        own = np.trace(distances, axis1=-2, axis2=-1)
        others = distances.sum(axis=(-2, -1)) - own
        best = candidates[int(np.argmin(own / np.maximum(others, 1e-12)))]
        selected.append(best)
        selected_sum += embeddings[:, best]
    return np.array(selected)


def _squared_distances(
    one: Float[np.ndarray, "*batch user embedding"],
    other: Float[np.ndarray, "*batch user embedding"],
) -> Float[np.ndarray, "*batch user user"]:
    return ((one[..., :, None, :] - other[..., None, :, :]) ** 2).sum(axis=-1)


def select_images(workdir: Path, budget: int) -> dict[str, Any]:
    """Selects enrolment images for new users, and compares them with random images.

    Candidates are the test images that all users saw. Training images are no candidates: the
    encoder fits the seen users on them. For the comparison, the candidates are split at random into
    two halves, many times. Enrolment images are selected from one half by the seen users, or
    sampled from this half. Unseen users enrol with these images, and are verified with as many
    probe images, sampled from the other half.

    Writes `selected_images.json`, `selected_images.md` and `plots/selected_images.png`.

    Args:
        workdir: a workdir with a finished stage `encoder`, with one fold or several.
        budget: largest number of images to select.

    Returns:
        The content of `selected_images.json`. `images` has for each fold the names of the images to
        show, in the order of selection. `metrics` has for each number of images the metrics of
        selected and random images, their difference, and `worth_random_images`: the number of
        random images with the same ROC-AUC. None means more than the budget.

    Raises:
        FileNotFoundError: if the folder is no workdir, or the data set is not prepared.
        ValueError: if the data set differs from the data set of the training, or the budget is more
            than half of the candidates.
    """
    from gazejax import plots  # Imported here: matplotlib takes a second.

    run = open_run(workdir)
    config, dataset, folds = run.config, run.dataset, run.folds
    candidates = [_images_of_all(fold) for fold in folds]
    most = min(len(images) for images in candidates) // 2
    if not 1 <= budget <= most:
        raise ValueError(
            f"budget is {budget}; allowed: from 1 to {most}, half of the test images that all "
            "users saw (the other half gives the probe images)"
        )
    sizes = [size for size in range(1, budget + 1) if size <= 10 or size % 5 == 0]
    names: dict[str, list[str]] = {}
    scores: dict[tuple[str, int], list[protocol.VerificationScores]] = {
        (selection, size): [] for selection in _SELECTIONS for size in sizes
    }
    with track("selecting images", len(folds) * _NUM_SPLITS) as show:
        for number, (fold, images) in enumerate(zip(folds, candidates, strict=True)):
            seen, unseen = (
                _embeddings_on(fold.compared[group]["encoder"], images)
                for group in ("seen", "unseen")
            )
            users = fold.compared["unseen"]["encoder"].users
            similarity: dict[tuple[str, int], list[np.ndarray]] = {key: [] for key in scores}
            for split in range(_NUM_SPLITS):
                generator = np.random.default_rng((config.eval.seed, split))
                for key, draws in _score_split(seen, unseen, sizes, generator).items():
                    similarity[key] += draws
                show(number * _NUM_SPLITS + split + 1, "splits")
            for key, draws in similarity.items():
                no_precision = np.zeros((1, len(users)))  # MAP@R is not reported.
                scores[key].append(
                    protocol.VerificationScores(users, np.stack(draws), no_precision, 2)
                )
            order = images[choose_images(seen, budget=budget)]
            names[fold.workdir.relative_to(workdir).as_posix()] = [
                dataset.image_ids[image] for image in fold.splits.test_images[order]
            ]
    metrics = _metrics(scores, sizes, run)
    result = {
        "data": dataset.name,
        "images": names,
        "metrics": metrics,
        "num_users": sum(len(fold.compared["unseen"]["encoder"].users) for fold in folds),
        "num_images": [len(images) for images in candidates],
        "splits": _NUM_SPLITS,
        "probes": _NUM_PROBES,
        "evaluation_seed": config.eval.seed,
        "commit": source_commit(),
    }
    (workdir / "plots").mkdir(exist_ok=True)
    drawing = plots.draw_metrics_against_size(
        table={"unseen": {selection: metrics[selection] for selection in _SELECTIONS}},
        metric="roc_auc",
        chance=0.5,
    )
    plots.save_png(drawing, workdir / "plots" / f"{NAME}.png")
    write_result(workdir, NAME, result, format_selection(result))
    return result


def _images_of_all(fold: Fold) -> Int[np.ndarray, " image"]:
    """Positions of the test images that all users of the fold saw."""
    viewed = [fold.compared[group]["encoder"].viewed for group in ("seen", "unseen")]
    return np.flatnonzero(np.concatenate(viewed).all(axis=0))


def _embeddings_on(
    compared: protocol.UserRepresentations, images: Int[np.ndarray, " image"]
) -> Float[np.ndarray, "user image embedding"]:
    """Embeddings of users on images that all of them saw."""
    users = np.arange(len(compared.users))
    return gather(compared.representations, users[:, None], images)


def _score_split(
    seen: Float[np.ndarray, "seen image embedding"],
    unseen: Float[np.ndarray, "unseen image embedding"],
    sizes: Sequence[int],
    generator: np.random.Generator,
) -> dict[tuple[str, int], list[Float[np.ndarray, "unseen unseen"]]]:
    """Similarity of unseen users in one split, by selection and number of images."""
    order = generator.permutation(seen.shape[1])
    enrolment_half, probe_half = np.array_split(order, 2)
    selected = enrolment_half[choose_images(seen[:, enrolment_half], budget=sizes[-1])]
    scores: dict[tuple[str, int], list[np.ndarray]] = {}
    for size in sizes:
        for _ in range(_NUM_PROBES):
            probe = unseen[:, generator.permutation(probe_half)[:size]].mean(axis=1)
            sampled = generator.permutation(enrolment_half)
            for selection, images in zip(_SELECTIONS, (selected, sampled), strict=True):
                enrolment = unseen[:, images[:size]].mean(axis=1)
                score = verification.negative_distance(probe, enrolment)
                scores.setdefault((selection, size), []).append(score)
    return scores


def _metrics(
    scores: Mapping[tuple[str, int], Sequence[protocol.VerificationScores]],
    sizes: Sequence[int],
    run: Run,
) -> dict[str, Any]:
    """Metrics of each selection and number of images, and their differences."""
    folds, options = run.folds, run.config.eval
    scored = scores[_SELECTIONS[0], sizes[0]]
    user_weight = resample_users_of([one.users.tolist() for one in scored], run)
    result: dict[str, Any] = {
        selection: {} for selection in (*_SELECTIONS, "selected_minus_random")
    }
    for size in sizes:
        resampled = {}
        for selection in _SELECTIONS:
            every = protocol.resampled_verification_metrics(
                scores[selection, size],
                user_weight,
                size=size,
                num_images=len(folds[0].splits.test_images),
                seed=options.seed,
            )
            metrics = protocol.verification_metrics(scores[selection, size])
            resampled[selection] = {name: every[name] for name in _METRICS}
            result[selection][str(size)] = with_intervals(
                {name: metrics[name] for name in _METRICS}, resampled[selection]
            )
        result["selected_minus_random"][str(size)] = difference(
            *(result[selection][str(size)] for selection in _SELECTIONS),
            *(resampled[selection] for selection in _SELECTIONS),
        )
    random = [row["roc_auc"] for row in result["random"].values()]
    for row in result["selected"].values():
        row["worth_random_images"] = _first_reaching(sizes, random, row["roc_auc"])
    return result


def _first_reaching(sizes: Sequence[int], values: Sequence[float], goal: float) -> float | None:
    """Size at which values first reach a goal, interpolated linearly; None if they do not."""
    for number, value in enumerate(values):
        if value >= goal:
            if number == 0:
                return float(sizes[0])
            start, before = sizes[number - 1], values[number - 1]
            return start + (sizes[number] - start) * (goal - before) / (value - before)
    return None


def format_selection(result: Mapping[str, Any]) -> str:
    """Formats the result of `select_images` as Markdown."""
    metrics, lines = result["metrics"], []
    for size, selected in metrics["selected"].items():
        random, difference = (metrics[key][size] for key in ("random", "selected_minus_random"))
        worth = selected["worth_random_images"]
        lines.append(
            [
                size,
                format_value(selected, "roc_auc"),
                format_value(random, "roc_auc"),
                format_value(difference, "roc_auc", signed=True),
                format_value(difference, "rank1", signed=True),
                "more than the budget" if worth is None else f"{worth:.1f}",
            ]
        )
    header = [
        *("n", "ROC-AUC, selected images", "ROC-AUC, random images", "difference, ROC-AUC"),
        *("difference, rank-1", "random images with equal ROC-AUC"),
    ]
    shown = "\n".join(
        f"- {'images to show' if fold == '.' else fold}: {', '.join(names)}"
        for fold, names in result["images"].items()
    )
    compared = (
        f"**Which images to show?** {result['num_users']} unseen users of `{result['data']}` are "
        "verified. They enrol with n images that are selected by the seen users, or with n random "
        f"images; n other images are probes. {result['splits']} random splits of "
        f"{result['num_images'][0]} test images, {result['probes']} samples of probe images each, "
        f"commit {result['commit']}. Brackets: 95 % intervals over users and images."
    )
    table = markdown_table(header, lines)
    return "\n\n".join([compared, table, "In the order of selection:", shown]) + "\n"
