"""The protocol of stage 1 (verification and identification of users), on plain arrays.

The protocol samples n enrolment and n probe images, the same for all users. It averages the
representations of each user over each set of images, scores all pairs of users, and pools the
scores of all draws. All methods and controls use the same draws.

A metric is the mean over folds of users; users of different folds are never compared. Resampled
users and images (`metrics.bootstrap`) give every metric a value in every resample, paired over
methods.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gazejax.evaluation.verification.curves import pooled_curve, resampled_curves
from gazejax.inputs import perturbations
from gazejax.inputs.viewing_vectors import ViewingVectors, gather
from gazejax.metrics import bootstrap, verification

VERIFICATION_METRICS = ("roc_auc", "rank1", "eer", "fnmr_at_fmr_1", "fnmr_at_fmr_10", "map_at_r")

_FMRS = {"fnmr_at_fmr_1": 0.01, "fnmr_at_fmr_10": 0.1}


def usable_sizes(num_images: Sequence[int], available: int) -> list[int]:
    """Enrolment sizes, limited to half of the available images, which leaves as many for probes."""
    return sorted({min(size, available // 2) for size in num_images})


def sample_image_orders(
    num_images: int, num_draws: int, seed: int
) -> Int[np.ndarray, "draw image"]:
    """Samples an order of the test images for each draw, the same for all users and methods."""
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation(num_images) for _ in range(num_draws)])


def enrolment_weights(
    viewed: Bool[np.ndarray, "user image"],
    order: Int[np.ndarray, " image"],
    *,
    start: int,
    size: int,
) -> Float[np.ndarray, "user image"]:
    """Weights of the images from `start` to `start + size` of an order, for each user.

    Images that a user did not see are skipped, so that all users are compared by equally many
    images. Users who saw all images are compared by the same ones.

    Returns:
        1 / size at the images of each user and 0 elsewhere.

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


def mean_of_disjoint_samples(
    representations: ViewingVectors,
    viewed: Bool[np.ndarray, "user image"],
    order: Int[np.ndarray, " image"],
    *,
    size: int,
    number: int,
) -> Float[np.ndarray, "sample user entry"]:
    """Mean representations of `number` samples of each user, each of `size` other images."""
    rows = np.arange(len(viewed))
    starts = range(0, number * size, size)
    return np.stack(
        [
            mean_of_sample(representations, rows, viewed, order, start=start, size=size)
            for start in starts
        ]
    )


def mean_of_sample(
    representations: ViewingVectors,
    rows: Int[np.ndarray, " user"],
    viewed: Bool[np.ndarray, "user image"],
    order: Int[np.ndarray, " image"],
    *,
    start: int,
    size: int,
) -> Float[np.ndarray, "user entry"]:
    """Mean representation of each user over some of the images that the user saw.

    Args:
        representations: of users, or of recordings.
        rows: the row of each user.
        viewed: which images count for each user.
        order: see `enrolment_weights`, as the next two.
        start: likewise.
        size: likewise.

    Raises:
        ValueError: see `enrolment_weights`.
    """
    weights = enrolment_weights(viewed, order, start=start, size=size)
    # A sum over all images would take most of the time of an evaluation.
    images = np.nonzero(weights)[1].reshape(len(rows), size)
    return gather(representations, rows[:, None], images).mean(axis=1, dtype=np.float64)


# (probe, enrolled, images of a probe, images of an enrolment) -> score of each probe with each
# enrolled, both means over so many images.
Similarity = Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]


def at_any_size(similarity: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Similarity:
    """A similarity that does not depend on the number of images."""
    return lambda probe, enrolled, *_: similarity(probe, enrolled)


class UserRepresentations(NamedTuple):
    """Representations by one method of the users of one fold, who are compared with each other.

    Attributes:
        users: data-set index of each user.
        representations: vector of each viewing, such as its embedding.
        viewed: which user saw which test image.
        similarity: of means of representations.
        permuted: whether each draw permutes the labels of users within each image.
    """

    users: Int[np.ndarray, " user"]
    representations: ViewingVectors
    viewed: Bool[np.ndarray, "user image"]
    similarity: Similarity
    permuted: bool = False


class VerificationScores(NamedTuple):
    """Scores of all draws of one fold.

    Attributes:
        users: data-set index of each user.
        similarity: score of each probe user with each enrolled user, in each draw.
        precision: mean average precision at R of each user's samples, in each partition of the
            images into samples.
        samples_per_user: number of samples of each user in a partition.
    """

    users: Int[np.ndarray, " user"]
    similarity: Float[np.ndarray, "draw user user"]
    precision: Float[np.ndarray, "partition user"]
    samples_per_user: int


def score_draws(
    compared: UserRepresentations,
    orders: Int[np.ndarray, "draw image"],
    *,
    size: int,
    samples_per_user: int,
    seed: int,
) -> VerificationScores:
    """Scores users by the mean representations of `size` images.

    Args:
        compared: the users and their representations.
        orders: orders of the test images. Of the images that a user saw, the first `size` are the
            enrolment and the next `size` the probe. For MAP@R, the images are partitioned into
            samples of `size`.
        size: number of images of a sample.
        samples_per_user: number of samples of a user for MAP@R.
        seed: seed of the permutations, for a method that permutes.

    Raises:
        ValueError: if a user saw fewer than `size` times `samples_per_user` images, or fewer than
            two times `size`.
    """
    generator = np.random.default_rng(seed)

    def samples(order: Int[np.ndarray, " image"], number: int) -> np.ndarray:
        representations = compared.representations
        if compared.permuted:
            owner = perturbations.permute_viewers(compared.viewed, generator)
            row = np.take_along_axis(representations.row, owner, axis=0)
            representations = representations._replace(row=row)
        return mean_of_disjoint_samples(
            representations, compared.viewed, order, size=size, number=number
        )

    similarity = []
    for order in orders:
        enrolled, probe = samples(order, 2)
        similarity.append(compared.similarity(probe, enrolled, size, size))
    num_users = len(compared.users)
    owner = np.tile(np.arange(num_users), samples_per_user)
    # Samples of two users on the same images are similar because of the images. Samples of one user
    # never share images, so impostor samples must not share images either.
    shares_images = np.kron(np.eye(samples_per_user), np.ones((num_users, num_users))) > 0
    precision = []
    # A partition has `samples_per_user` samples of a user, so fewer partitions than draws suffice.
    for order in orders[: -(-len(orders) // samples_per_user)]:
        all_samples = np.concatenate(samples(order, samples_per_user))
        similarities = np.where(
            shares_images, -np.inf, compared.similarity(all_samples, all_samples, size, size)
        )
        found = verification.average_precision_at_r(similarities, owner)
        precision.append(found.reshape(samples_per_user, num_users).mean(axis=0))
    return VerificationScores(
        compared.users, np.stack(similarity), np.stack(precision), samples_per_user
    )


def verification_metrics(folds: Sequence[VerificationScores]) -> dict[str, float | None]:
    """The metrics of stage 1: of the pooled scores of all draws, then the mean over folds.

    Returns:
        `VERIFICATION_METRICS`; None for an FNMR at an FMR that needs more impostor scores.
    """
    values_of: dict[str, list[float]] = {name: [] for name in VERIFICATION_METRICS}
    for fold in folds:
        num_draws, num_users, _ = fold.similarity.shape
        num_impostor = num_draws * num_users * (num_users - 1)
        for name, value in _read_curve(pooled_curve(fold.similarity)).items():
            is_known = name not in _FMRS or verification.allows_fmr(num_impostor, _FMRS[name])
            values_of[name].append(float(value) if is_known else np.nan)
        values_of["rank1"].append(verification.rank1(fold.similarity))
        values_of["map_at_r"].append(float(fold.precision.mean()))
    means = {name: float(np.mean(values)) for name, values in values_of.items()}
    return {name: None if np.isnan(mean) else mean for name, mean in means.items()}


def mean_curve(folds: Sequence[VerificationScores]) -> verification.RocCurve:
    """The ROC curve of all draws for a plot: the mean FNMR over folds at fixed FMRs."""
    curves = [pooled_curve(fold.similarity) for fold in folds]
    fmr = np.append(0.0, np.geomspace(1e-3, 1.0, 200))
    # At the last threshold of an FMR, since an FNMR falls: curves may have millions of thresholds.
    fnmr = [one.fnmr[np.searchsorted(one.fmr, fmr, side="right") - 1] for one in curves]
    return verification.RocCurve(fmr, np.mean(fnmr, axis=0))


def chance_metrics(num_users: Sequence[int], *, samples_per_user: int) -> dict[str, float]:
    """The metrics of random scores, as the mean over folds with these numbers of users."""
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
    """The metrics of stage 1 in every resample of users and images.

    Resampling of users: the scores of all draws are pooled. Each pair of users counts as often as
    both users were sampled. Two copies of one user are no impostor pair. For identification, each
    user stays enrolled once, and only the probes are resampled, because fewer enrolled users would
    be an easier task.

    Resampling of images: the deviation of the mean metric of some draws from that of all draws is
    added. The number of these draws is the number of disjoint draws that the test images allow,
    which is the number of independent draws. (Resampling single images would put copies of one
    image into a sample, which then has fewer different images.)

    Args:
        folds: scores of each fold, from equally many draws and partitions.
        user_weight: how often each user of the data set was sampled.
        size: number of images of a sample.
        num_images: number of test images.
        seed: seed of the sampled draws, which are the same for every fold and method.

    Source: ours.
    """
    generator = np.random.default_rng(seed)
    first = folds[0]
    draw_weight, partition_weight = (
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
        by_users, by_draw = resampled_curves(fold.similarity, weight)
        draw_metrics = _read_curve(by_draw)
        for name, values in _read_curve(by_users).items():
            sums[name] += values + _shift(draw_metrics[name], draw_weight)
        is_first = (verification.own_rank(fold.similarity) == 1).astype(float)
        for name, per_draw, sampled in (
            ("rank1", is_first, draw_weight),
            ("map_at_r", fold.precision, partition_weight),
        ):
            of_users = (weight * per_draw.mean(axis=0)).sum(axis=1) / weight.sum(axis=1)
            sums[name] += of_users + _shift(per_draw.mean(axis=1), sampled)
    return {name: np.clip(total / len(folds), 0.0, 1.0) for name, total in sums.items()}


def _shift(
    per_draw: Float[np.ndarray, " draw"], sampled: Int[np.ndarray, "resample draw"]
) -> Float[np.ndarray, " resample"]:
    """Deviation of the mean over sampled draws from the mean over all draws."""
    return sampled @ per_draw / sampled.sum(axis=1) - per_draw.mean()


def _read_curve(curve: verification.RocCurve) -> dict[str, Float[np.ndarray, "*curve"]]:
    return {
        "roc_auc": verification.area_under(curve),
        "eer": verification.equal_error_rate(curve),
        **{name: verification.false_non_match_rate(curve, fmr) for name, fmr in _FMRS.items()},
    }
