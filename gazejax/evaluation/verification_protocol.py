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

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from gazejax import bootstrap, controls, metrics, render, steps, verification
from gazejax.arrays import AnyArray, Gaze, viewing_scanpaths

VERIFICATION_FIGURES = ("roc_auc", "rank1", "eer", "fnmr_at_fmr_1", "fnmr_at_fmr_10", "map_at_r")
_FMRS = {"fnmr_at_fmr_1": 0.01, "fnmr_at_fmr_10": 0.1}
# Resampled curves are read at so many levels of the score at most; the figures themselves at all.
_MAX_LEVELS = 2000

CONDITIONS = (
    "universal",
    "center_prior",
    "predicted",
    "calibrated",
    "own",
    "mean",
    "swapped",
)
MAP_METRICS = ("cc", "sim", "kld", "nss", "auc", "sauc", "information_gain")


def usable_sizes(num_images: Sequence[int], available: int) -> list[int]:
    """Enrolment sizes that leave as many images to be compared with; larger ones shrink to that."""
    return sorted({min(size, available // 2) for size in num_images})


def draw_image_orders(num_images: int, num_draws: int, seed: int) -> Int[np.ndarray, "draw image"]:
    """Random orders of the test images, one for each draw, shared by all users and methods."""
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation(num_images) for _ in range(num_draws)])


def first_viewed(
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


def mean_features(
    features: Float[np.ndarray, "user image feature"], weights: Float[np.ndarray, "user image"]
) -> Float[np.ndarray, "user feature"]:
    """Averages the features of each user over images, by weights that sum to 1."""
    return np.einsum("ui,uif->uf", weights, features)


def cut_into_samples(
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
            mean_features(features, first_viewed(viewed, order, start=sample * size, size=size))
            for sample in range(number)
        ]
    )


class Compared(NamedTuple):
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


class Scores(NamedTuple):
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


def compare(
    compared: Compared,
    orders: Int[np.ndarray, "draw image"],
    *,
    size: int,
    samples_per_user: int,
    seed: int,
) -> Scores:
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
            owner = controls.permute_viewers(compared.viewed, generator)
            features = np.take_along_axis(features, owner[..., None], axis=0)
        return cut_into_samples(features, compared.viewed, order, size=size, number=number)

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
    return Scores(compared.users, np.stack(similarity), np.stack(precision), samples_per_user)


def verification_figures(folds: Sequence[Scores]) -> dict[str, float | None]:
    """The figures of stage 1: of all draws pooled, then the mean over folds.

    Returns:
        `VERIFICATION_FIGURES`; None for an FNMR at an FMR that too few impostor scores could show.
    """
    figures: dict[str, list[float]] = {name: [] for name in VERIFICATION_FIGURES}
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


def mean_curve(folds: Sequence[Scores]) -> verification.RocCurve:
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


def chance_figures(num_users: Sequence[int], *, samples_per_user: int) -> dict[str, float]:
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


def resampled_verification_figures(
    folds: Sequence[Scores],
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
    sums = {name: np.zeros(len(user_weight)) for name in VERIFICATION_FIGURES}
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

    Scores are counted at `_MAX_LEVELS` quantiles, so that a resample is a matrix product.
    """
    num_draws, num_users, _ = similarity.shape
    levels = np.unique(similarity)
    if len(levels) > _MAX_LEVELS:
        levels = np.unique(np.quantile(levels, np.linspace(0, 1, _MAX_LEVELS), method="lower"))
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


def derangements(num_users: int, number: int, seed: int) -> Int[np.ndarray, "derangement user"]:
    """Permutations that give nobody their own place, no two of them anybody the same.

    Shifts of a circle of users in random order, so that with enough of them everybody is swapped
    with everybody else once.

    Args:
        num_users: users in the circle.
        number: how many; there are at most `num_users` - 1.
        seed: of the order and the choice of the shifts.

    Raises:
        ValueError: with fewer than two users, who cannot be swapped.
    """
    if num_users < 2:
        raise ValueError(f"cannot swap the embeddings of {num_users} user; at least 2 are needed")
    generator = np.random.default_rng(seed)
    circle = generator.permutation(num_users)
    place = np.argsort(circle)
    shifts = 1 + generator.permutation(num_users - 1)[:number]
    return np.stack([circle[(place + shift) % num_users] for shift in shifts])


def conditions_of(
    embeddings: Float[np.ndarray, "user embedding"],
    mean_embedding: Float[np.ndarray, " embedding"],
    swaps: Int[np.ndarray, "derangement user"],
) -> Float[np.ndarray, "condition user embedding"]:
    """Embeddings to predict with: own, mean, then one row for each derangement."""
    mean = np.broadcast_to(mean_embedding, embeddings.shape)
    return np.stack([embeddings, mean, *(embeddings[swap] for swap in swaps)])


class Prediction(NamedTuple):
    """What stage 2 is asked to predict, in one fold, for one group of users.

    Attributes:
        users: data-set index of each user.
        images: data-set index of each test image.
        is_enrolled: with which images each user enrols, in each enrolment.
        is_query: which user is asked for which image, in each enrolment.
        embeddings: to predict with, in each condition: own, mean, then one for each derangement.
        calibration: setting of each user in each enrolment.
    """

    users: Int[np.ndarray, " user"]
    images: Int[np.ndarray, " image"]
    is_enrolled: Bool[np.ndarray, "enrolment user image"]
    is_query: Bool[np.ndarray, "enrolment user image"]
    embeddings: Float[np.ndarray, "enrolment condition user embedding"]
    calibration: controls.Calibration


def refuse_enrolled_queries(asked: Prediction) -> None:
    """Refuses to ask for an image that the user's embedding was made of.

    Raises:
        ValueError: naming how many there are.
    """
    both = asked.is_enrolled & asked.is_query
    if both.any():
        raise ValueError(
            f"is_query asks for {both.sum()} maps of images that the user enrolled with; "
            "allowed: none"
        )


def refuse_members(group: render.GroupMaps, users: Int[np.ndarray, " user"]) -> None:
    """Refuses universal maps that users who are to be unseen contributed to.

    Raises:
        ValueError: naming the first of them.
    """
    for user in users[np.asarray(group.is_member)[users]]:
        raise ValueError(f"user {user} is unseen, but contributes to the universal map")


class Universals(NamedTuple):
    """The universal maps that need no person.

    Attributes:
        group: maps of the seen users; a seen user is left out of their own.
        center_prior: mean of all training maps.
        predicted: from the image alone, for each test image.
        told: what the network is told, for each test image; None: the maps of the group.
    """

    group: render.GroupMaps
    center_prior: Float[AnyArray, "height width"]
    predicted: Float[AnyArray, "image height width"]
    told: Float[AnyArray, "image height width"] | None = None


def predict_maps(
    network: Callable[[Any, Array, Array, Array], Array],
    params: Any,
    pixels: Shaped[AnyArray, "all_images image_height image_width channel"],
    gaze: Gaze,
    universals: Universals,
    asked: Prediction,
    *,
    sigma_frac: float,
    max_fixations: int,
    devices: Sequence[jax.Device],
    batch_size: int,
) -> Iterator[dict[str, Any]]:
    """Predicts the maps of all users, enrolments and images that are asked for.

    Args:
        network: (params, images, universal, embedding) -> maps, as `SaliencyNetwork`.
        params: its parameters.
        pixels: all images of the data set as the network sees them.
        gaze: all fixations.
        universals: the universal maps, at the size everything is scored at.
        asked: what to predict.
        sigma_frac: of the true maps, as a fraction of the image width.
        max_fixations: length of the longest viewing.
        devices: the devices to use.
        batch_size: maps in a batch, about.

    Yields:
        For a batch of rows, a row an image with an enrolment: `enrolment` and `image` (index into
        `asked.images`) of each row, `maps` [row, condition, user, height, width], where the last
        condition is repeated for each derangement, `truth` [row, user, height, width], `xy_px`
        [row, user, fixation, 2] in cells of the map, and `mask` [row, user, fixation], False
        everywhere for a user who is not asked.
    """
    _, num_conditions, num_users, _ = asked.embeddings.shape
    height, width = universals.group.total.shape[1:]

    def predict_row(
        constants: Any, image: Array, column: Array, enrolment: Array, is_asked: Array
    ) -> dict[str, Array]:
        params, pixels, gaze, universals, users, embeddings, calibration = constants
        at = jnp.broadcast_to(image, (num_users,))
        truth = render.personal_maps(
            gaze,
            users,
            at,
            sigma_frac=sigma_frac,
            map_size=(height, width),
            max_fixations=max_fixations,
        )
        universal = render.universal_maps(universals.group, gaze, users, at, truth)
        told = universal
        if universals.told is not None:
            told = jnp.broadcast_to(universals.told[column], universal.shape)
        predicted = network(
            params,
            pixels[image][None],
            jnp.tile(told, (num_conditions, 1, 1))[None],
            embeddings[enrolment].reshape(1, num_conditions * num_users, -1),
        ).reshape(num_conditions, num_users, height, width)
        settings = jax.tree.map(lambda values: values[enrolment], calibration)
        calibrated = jax.vmap(
            lambda universal, setting: controls.calibrate(
                universal,
                universals.center_prior,
                setting,
                aspect_ratio=gaze.aspect_ratio[image],
            )
        )(universal, settings)
        fixed = [universals.center_prior, universals.predicted[column]]
        baselines = [
            universal,
            *(jnp.broadcast_to(map_, universal.shape) for map_ in fixed),
            calibrated,
        ]
        scanpaths = viewing_scanpaths(gaze, users, at, max_fixations=max_fixations)
        return {
            "maps": jnp.concatenate([jnp.stack(baselines), predicted]),
            "truth": truth,
            "xy_px": scanpaths.xy_frac * jnp.array([width, height]),
            "mask": scanpaths.mask & is_asked[:, None],
        }

    refuse_enrolled_queries(asked)
    enrolment, column = np.nonzero(asked.is_query.any(axis=1))
    batches = steps.map_rows(
        jax.vmap(predict_row, in_axes=(None, 0, 0, 0, 0)),
        (params, pixels, gaze, universals, asked.users, asked.embeddings, asked.calibration),
        (asked.images[column], column, enrolment, asked.is_query[enrolment, :, column]),
        devices=devices,
        batch_size=max(batch_size // (num_conditions * num_users), 1),
    )
    done = 0
    for batch in batches:
        rows = slice(done, done + len(batch["mask"]))
        yield {"enrolment": enrolment[rows], "image": column[rows], **batch}
        done = rows.stop


def score_maps(
    batch: Mapping[str, Any],
    *,
    center_prior: Float[np.ndarray, "height width"],
    other_counts: Float[np.ndarray, "image height width"],
) -> Float[np.ndarray, "row condition user metric"]:
    """Scores a batch of `predict_maps` by `MAP_METRICS`.

    Args:
        batch: what `predict_maps` yields.
        center_prior: baseline of the information gain.
        other_counts: for each test image, how many fixations on the other ones fall into each cell.

    Returns:
        The scores; NaN for a user who is not asked for an image.
    """
    maps, mask = np.asarray(batch["maps"]), np.asarray(batch["mask"])
    rows, users = np.nonzero(mask.any(axis=-1))
    num_conditions = maps.shape[1]

    def for_each_condition(values: np.ndarray) -> np.ndarray:
        return np.tile(values, (num_conditions, *[1] * (values.ndim - 1)))

    # Condition by condition, and in each the (row, user) pairs that are asked.
    saliency = maps[rows, :, users].swapaxes(0, 1).reshape(-1, *maps.shape[3:])
    points = {
        "xy_px": for_each_condition(np.asarray(batch["xy_px"])[rows, users]),
        "mask": for_each_condition(mask[rows, users]),
    }
    found = metrics.score(
        [name for name in MAP_METRICS if name != "information_gain"],
        saliency=saliency,
        target=for_each_condition(np.asarray(batch["truth"])[rows, users]),
        other_counts=for_each_condition(other_counts[batch["image"][rows]]),
        **points,
    )
    found |= metrics.score(
        ["information_gain"],
        saliency=positive_density(saliency),
        baseline=positive_density(center_prior),
        **points,
    )
    scores = np.full((*maps.shape[:3], len(MAP_METRICS)), np.nan)
    scores[rows, :, users] = np.stack(
        [found[name].reshape(num_conditions, -1).T for name in MAP_METRICS], axis=-1
    )
    return scores


def positive_density(
    maps: Float[np.ndarray, "*map height width"],
) -> Float[np.ndarray, "*map height width"]:
    """A density that is nowhere zero: 99 parts of the map and one part uniform (ours).

    An information gain is minus infinity where anybody looks at a zero; all maps get the same.
    """
    share = maps / maps.sum(axis=(-2, -1), keepdims=True)
    return 0.99 * share + 0.01 / np.prod(maps.shape[-2:])


def other_fixation_counts(
    gaze: Gaze,
    images: Int[np.ndarray, " image"],
    *,
    map_size: tuple[int, int],
) -> Float[np.ndarray, "image height width"]:
    """For each image, how many fixations of all users on the *other* ones fall into each cell."""
    height, width = map_size
    counts = np.zeros((len(images), height, width))
    for row, image in enumerate(images):
        for user in np.flatnonzero(np.asarray(gaze.viewing_length)[:, image]):
            start = gaze.viewing_offset[user, image]
            xy = np.asarray(gaze.xy_frac)[start : start + gaze.viewing_length[user, image]]
            # In float32 and rounded, as `predict_maps` has them.
            column, line = np.floor(xy * np.array([width, height], np.float32)).astype(int).T
            np.add.at(counts[row], (line, column), 1)
    return counts.sum(axis=0) - counts


class Predicted(NamedTuple):
    """Scores of stage 2 in one fold.

    Attributes:
        users: data-set index of each user.
        scores: mean over the draws of enrolment images; NaN where no draw asked for the image.
    """

    users: Int[np.ndarray, " user"]
    scores: Float[np.ndarray, "condition user image metric"]


def mean_over_draws(
    scores: Float[np.ndarray, "draw image condition user metric"],
) -> Float[np.ndarray, "condition user image metric"]:
    """Mean over the draws that asked for an image; NaN where none did."""
    has_score = ~np.isnan(scores)
    number = has_score.sum(axis=0)
    total = np.where(has_score, scores, 0.0).sum(axis=0)
    mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return mean.transpose(1, 2, 0, 3)


def user_scores(
    fold: Predicted, image_weight: Int[np.ndarray, "resample image"]
) -> Float[np.ndarray, "resample condition user metric"]:
    """Mean over images, in each resample of them; the derangements are averaged to `swapped`."""
    per_user = bootstrap.mean_over_images(fold.scores.transpose(0, 1, 3, 2), image_weight)
    first = len(CONDITIONS) - 1
    swapped = per_user[:, first:].mean(axis=1, keepdims=True)
    return np.concatenate([per_user[:, :first], swapped], axis=1)


def mean_over_users(
    folds: Sequence[Predicted],
    user_weight: Int[np.ndarray, "resample user"],
    image_weight: Int[np.ndarray, "resample image"],
) -> Float[np.ndarray, "resample condition metric"]:
    """Mean over images, then over the users of all folds, in each resample of both.

    NaN in a resample that drew no image anybody was asked for.
    """
    total = np.zeros((len(user_weight), len(CONDITIONS), len(MAP_METRICS)))
    number = np.zeros((len(user_weight), 1, 1))
    for fold in folds:
        per_user = user_scores(fold, image_weight)
        # A user none of whose images was drawn says nothing in that resample.
        is_known = ~np.isnan(per_user).any(axis=(1, 3))
        weight = (user_weight[:, fold.users] * is_known)[:, None, :, None]
        total += (np.where(weight > 0, per_user, 0.0) * weight).sum(axis=2)
        number += weight.sum(axis=2)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def swap_test(folds: Sequence[Predicted], *, num_permutations: int, seed: int) -> dict[str, float]:
    """p-value of own better than swapped, for each of `MAP_METRICS`; see the permutation test.

    Of one score of each user in each condition: the mean over images, then over the folds the user
    is in.
    """
    first = len(CONDITIONS) - 1
    own = CONDITIONS.index("own")
    num_swaps = min(fold.scores.shape[0] for fold in folds) - first
    of_user: dict[int, list[np.ndarray]] = {}
    for fold in folds:
        every_image = np.ones((1, fold.scores.shape[2]), int)
        scores = bootstrap.mean_over_images(fold.scores.transpose(0, 1, 3, 2), every_image)[0]
        for position, user in enumerate(fold.users.tolist()):
            of_user.setdefault(user, []).append(
                scores[[own, *range(first, first + num_swaps)], position]
            )
    scores = np.stack([np.mean(values, axis=0) for values in of_user.values()], axis=1)
    generator = np.random.default_rng(seed)
    return {
        name: bootstrap.permutation_test(
            sign * scores[0, :, column],
            sign * scores[1:, :, column],
            num_permutations=num_permutations,
            generator=generator,
        )
        for column, name in enumerate(MAP_METRICS)
        for sign in (-1 if name == "kld" else 1,)
    }
