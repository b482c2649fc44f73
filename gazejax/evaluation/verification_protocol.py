"""What counts as having learnt a person: the protocols, from embeddings and maps to figures.

Stage 1, *verification*: draw n enrolment and n probe images, the same for all users; average the
embeddings; compare all users; pool the scores of all draws. Every method, and every control, goes
through the same draws.

Stage 2, *prediction*: enrol every user with n images and predict the others. `universal` is the map
of the other users; `own`, `mean` and `swapped` are the same network given the user's own embedding,
the mean embedding of the seen users, or another user's. Only own above mean and own above swapped
show that a person was learnt: the network repairs the universal map as well.

Several folds of users make one figure; nobody is ever compared across folds. Resampled users and
images (`bootstrap`) give every figure a value in every resample, paired over methods.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gazejax.inputs import perturbations
from gazejax.metrics import bootstrap, verification

VERIFICATION_METRICS = ("roc_auc", "rank1", "eer", "fnmr_at_fmr_1", "fnmr_at_fmr_10", "map_at_r")

_FMRS = {"fnmr_at_fmr_1": 0.01, "fnmr_at_fmr_10": 0.1}

# Resampled curves are read at so many levels of the score at most; the figures themselves at all.
_MAX_THRESHOLDS = 2000


def usable_sizes(num_images: Sequence[int], available: int) -> list[int]:
    """Enrolment sizes that leave as many images to be compared with; larger ones shrink to that."""
    return sorted({min(size, available // 2) for size in num_images})


def sample_image_orders(
    num_images: int, num_draws: int, seed: int
) -> Int[np.ndarray, "draw image"]:
    """Random orders of the test images, one for each draw, shared by all users and methods."""
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation(num_images) for _ in range(num_draws)])


def enrolment_weights(
    viewed: Bool[np.ndarray, "user image"],
    order: Int[np.ndarray, " image"],
    *,
    start: int,
    size: int,
) -> Float[np.ndarray, "user image"]:
    """Weights of the images from `start` to `start + size` of an order, by who saw them.

    Images that a user did not see are passed over, so that users who saw different images are
    compared by equally many; users who saw all share the same ones.

    Returns:
        1 / size at each user's images and 0 elsewhere.

    Raises:
        ValueError: if a user saw fewer than `start + size` images.
    """
    if viewed.sum(axis=1).min() < start + size:
        raise ValueError(
            f"a user saw {viewed.sum(axis=1).min()} images; allowed: at least {start + size}"
        )
    rank = np.cumsum(viewed[:, order], axis=1) - 1
    weights = np.zeros(viewed.shape)
    weights[:, order] = viewed[:, order] & (rank >= start) & (rank < start + size)
    return weights / size


def mean_representations(
    features: Float[np.ndarray, "user image feature"], weights: Float[np.ndarray, "user image"]
) -> Float[np.ndarray, "user feature"]:
    """Averages the features of each user over images, by weights that sum to 1."""
    return np.einsum("ui,uif->uf", weights, features)


def mean_of_disjoint_samples(
    features: Float[np.ndarray, "user image feature"],
    viewed: Bool[np.ndarray, "user image"],
    order: Int[np.ndarray, " image"],
    *,
    size: int,
    number: int,
) -> Float[np.ndarray, "sample user feature"]:
    """Mean features of `number` samples of each user, each of `size` other images."""
    return np.stack(
        [
            mean_representations(
                features, enrolment_weights(viewed, order, start=sample * size, size=size)
            )
            for sample in range(number)
        ]
    )


class UserRepresentations(NamedTuple):
    """What one method knows of the users of one fold, who are compared with each other.

    Attributes:
        users: data-set index of each user.
        features: what is known of each viewing.
        viewed: which user saw which test image.
        similarity: (probe, enrolled) features -> score of each probe with each enrolled.
        permuted: whether each draw permutes whose viewing is whose, within each image.
    """

    users: Int[np.ndarray, " user"]
    features: Float[np.ndarray, "user image feature"]
    viewed: Bool[np.ndarray, "user image"]
    similarity: Callable[[np.ndarray, np.ndarray], np.ndarray]
    permuted: bool = False


class VerificationScores(NamedTuple):
    """What the draws of one fold gave.

    Attributes:
        users: data-set index of each user.
        similarity: of each probe user with each enrolled user, in each draw.
        precision: mean average precision at R of each user's samples, in each cut of the images.
        samples_per_user: how many samples each user has in a cut.
    """

    users: Int[np.ndarray, " user"]
    similarity: Float[np.ndarray, "draw user user"]
    precision: Float[np.ndarray, "cut user"]
    samples_per_user: int


def score_draws(
    compared: UserRepresentations,
    orders: Int[np.ndarray, "draw image"],
    *,
    size: int,
    samples_per_user: int,
    seed: int,
) -> VerificationScores:
    """Compares users by the mean features of `size` images.

    Args:
        compared: the users, and what is known of them.
        orders: orders of the test images. Of those a user saw, the first `size` enrol and the next
            are the probe; for MAP@R, the images are cut into samples of `size` all the way.
        size: number of images of a sample.
        samples_per_user: into how many samples the images of a user are cut for MAP@R.
        seed: of the permutations, for a method that permutes.

    Raises:
        ValueError: if a user saw fewer images than that takes, or than two times `size`.
    """
    generator = np.random.default_rng(seed)

    def samples(order: Int[np.ndarray, " image"], number: int) -> np.ndarray:
        features = compared.features
        if compared.permuted:
            owner = perturbations.permute_viewers(compared.viewed, generator)
            features = np.take_along_axis(features, owner[..., None], axis=0)
        return mean_of_disjoint_samples(features, compared.viewed, order, size=size, number=number)

    similarity = []
    for order in orders:
        enrolled, probe = samples(order, 2)
        similarity.append(compared.similarity(probe, enrolled))
    num_users = len(compared.users)
    owner = np.tile(np.arange(num_users), samples_per_user)
    # Two people's samples of the same images are alike for the images' sake. Samples of one person
    # never share images, so neither may the others they are held against.
    shares_images = np.kron(np.eye(samples_per_user), np.ones((num_users, num_users))) > 0
    precision = []
    # A cut has as many samples of a user as so many draws.
    for order in orders[: -(-len(orders) // samples_per_user)]:
        every = np.concatenate(samples(order, samples_per_user))
        similarities = np.where(shares_images, -np.inf, compared.similarity(every, every))
        found = verification.average_precision_at_r(similarities, owner)
        precision.append(found.reshape(samples_per_user, num_users).mean(axis=0))
    return VerificationScores(
        compared.users, np.stack(similarity), np.stack(precision), samples_per_user
    )


def verification_metrics(folds: Sequence[VerificationScores]) -> dict[str, float | None]:
    """The figures of stage 1: of all draws pooled, then the mean over folds.

    Returns:
        `VERIFICATION_METRICS`; None for an FNMR at an FMR that too few impostor scores could show.
    """
    figures: dict[str, list[float]] = {name: [] for name in VERIFICATION_METRICS}
    for fold in folds:
        is_own = np.eye(len(fold.users), dtype=bool)
        genuine, impostor = fold.similarity[:, is_own], fold.similarity[:, ~is_own]
        curve = verification.roc_curve(genuine, impostor)
        for name, value in _read_curve(curve).items():
            is_known = name not in _FMRS or verification.allows_fmr(impostor.size, _FMRS[name])
            figures[name].append(float(value) if is_known else np.nan)
        figures["rank1"].append(verification.rank1(fold.similarity))
        figures["map_at_r"].append(float(fold.precision.mean()))
    means = {name: float(np.mean(values)) for name, values in figures.items()}
    return {name: None if np.isnan(mean) else mean for name, mean in means.items()}


def mean_curve(folds: Sequence[VerificationScores]) -> verification.RocCurve:
    """The ROC curve of all draws, as the mean over folds of the FNMR at some FMRs, for a plot."""
    curves = []
    for fold in folds:
        is_own = np.eye(len(fold.users), dtype=bool)
        curves.append(
            verification.roc_curve(fold.similarity[:, is_own], fold.similarity[:, ~is_own])
        )
    fmr = np.append(0.0, np.geomspace(1e-3, 1.0, 200))
    fnmr = [
        np.mean([verification.false_non_match_rate(curve, rate) for curve in curves])
        for rate in fmr
    ]
    return verification.RocCurve(fmr, np.array(fnmr))


def chance_metrics(num_users: Sequence[int], *, samples_per_user: int) -> dict[str, float]:
    """The figures of scores that say nothing, as the mean over folds of so many users."""
    relevant = samples_per_user - 1
    map_at_r = [
        verification.chance_map_at_r(num_relevant=relevant, num_others=number * relevant)
        for number in num_users
    ]
    return {
        "roc_auc": 0.5,
        "rank1": float(np.mean([1 / number for number in num_users])),
        "eer": 0.5,
        **{name: 1 - fmr for name, fmr in _FMRS.items()},
        "map_at_r": float(np.mean(map_at_r)),
    }


def resampled_verification_metrics(
    folds: Sequence[VerificationScores],
    user_weight: Int[np.ndarray, "resample user"],
    *,
    size: int,
    num_images: int,
    seed: int,
) -> dict[str, Float[np.ndarray, " resample"]]:
    """The figures of stage 1 in every resample of users and images.

    Users: all draws pooled, each pair of users counted as often as both were drawn. Two copies of
    one user are no impostor pair. For identification the enrolled users stay all, once each, and
    the probes are resampled: fewer users to choose from would be an easier task.

    Images: to that comes by how much the mean figure of some draws differs from that of all. A
    resample takes as many draws as the test images fill without using one twice: so many
    independent ones there are. (Resampling single images would put copies of one image into a
    sample, which then is worth fewer images.)

    Args:
        folds: scores of each fold, from equally many draws and cuts.
        user_weight: how often each user of the data set was drawn.
        size: number of images of a sample.
        num_images: number of test images.
        seed: of the draws, which are the same for every fold and method.

    Source: ours.
    """
    generator = np.random.default_rng(seed)
    first = folds[0]
    draw_weight, cut_weight = (
        bootstrap.resample(
            number,
            max(num_images // (samples * size), 1),
            num_resamples=len(user_weight),
            generator=generator,
        )
        for number, samples in (
            (len(first.similarity), 2),
            (len(first.precision), first.samples_per_user),
        )
    )
    sums = {name: np.zeros(len(user_weight)) for name in VERIFICATION_METRICS}
    for fold in folds:
        weight = user_weight[:, fold.users]
        by_users, by_draw = _resampled_curves(fold.similarity, weight)
        draw_figures = _read_curve(by_draw)
        for name, values in _read_curve(by_users).items():
            sums[name] += values + _shift(draw_figures[name], draw_weight)
        is_first = (verification.own_rank(fold.similarity) == 1).astype(float)
        for name, per_draw, drawn in (
            ("rank1", is_first, draw_weight),
            ("map_at_r", fold.precision, cut_weight),
        ):
            of_users = (weight * per_draw.mean(axis=0)).sum(axis=1) / weight.sum(axis=1)
            sums[name] += of_users + _shift(per_draw.mean(axis=1), drawn)
    return {name: np.clip(total / len(folds), 0.0, 1.0) for name, total in sums.items()}


def _shift(
    per_draw: Float[np.ndarray, " draw"], drawn: Int[np.ndarray, "resample draw"]
) -> Float[np.ndarray, " resample"]:
    return drawn @ per_draw / drawn.sum(axis=1) - per_draw.mean()


def _read_curve(curve: verification.RocCurve) -> dict[str, Float[np.ndarray, "*curve"]]:
    return {
        "roc_auc": verification.area_under(curve),
        "eer": verification.equal_error_rate(curve),
        **{name: verification.false_non_match_rate(curve, fmr) for name, fmr in _FMRS.items()},
    }


def _resampled_curves(
    similarity: Float[np.ndarray, "draw user user"], user_weight: Int[np.ndarray, "resample user"]
) -> tuple[verification.RocCurve, verification.RocCurve]:
    """ROC curves of each resample of users with all draws, and of each draw with all users.

    Scores are counted at `_MAX_THRESHOLDS` quantiles, so that a resample is a matrix product.
    """
    num_draws, num_users, _ = similarity.shape
    levels = np.unique(similarity)
    if len(levels) > _MAX_THRESHOLDS:
        levels = np.unique(np.quantile(levels, np.linspace(0, 1, _MAX_THRESHOLDS), method="lower"))
    level = np.searchsorted(levels, similarity).reshape(num_draws, -1)

    def count(group: Int[np.ndarray, "draw pair"], number: int) -> Float[np.ndarray, "group level"]:
        cell = (group * len(levels) + level).ravel()
        counts = np.bincount(cell, minlength=number * len(levels))
        return counts.reshape(number, -1).astype(np.float32)

    pair = np.broadcast_to(np.arange(num_users**2), level.shape)
    of_pair = count(pair, num_users**2)
    is_own = np.eye(num_users, dtype=bool).ravel()
    pair_weight = user_weight[:, :, None] * user_weight[:, None, :]
    by_users = verification.curve_of_counts(
        user_weight.astype(np.float32) @ of_pair[is_own],
        pair_weight.reshape(len(user_weight), -1)[:, ~is_own].astype(np.float32) @ of_pair[~is_own],
    )
    draw = np.arange(num_draws)[:, None]
    own, every = np.broadcast_to(draw, level.shape), 2 * num_draws
    of_draw = count(np.where(is_own, own, num_draws + own), every)
    by_draw = verification.curve_of_counts(of_draw[:num_draws], of_draw[num_draws:])
    return by_users, by_draw
