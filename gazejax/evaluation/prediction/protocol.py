"""The protocol of stage 2 (prediction of personal maps), on plain arrays.

The protocol enrols every user with n images and predicts the maps of the other images. Four
conditions read no embedding: the universal map (leave-one-out for a seen user), the center prior,
the map that stage `universal` predicts, and the universal map calibrated to the user. In `own`,
`mean` and `swapped`, the same network gets the user's own embedding, the mean embedding of the seen
users, or the embedding of another user. Only own above mean and own above swapped show that the
network uses what is particular to a user, because the network also corrects the universal map.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from gazejax import metrics
from gazejax.evaluation.prediction.calibration import Calibration, calibrate
from gazejax.inputs.maps import JoinedGaze, LeaveOneOutMaps, MapSpec, personal_and_universal_maps
from gazejax.metrics import bootstrap
from gazejax.runtime.devices import map_rows
from gazejax.types import AnyArray, Gaze, viewing_scanpaths

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


def derangements(num_users: int, number: int, seed: int) -> Int[np.ndarray, "derangement user"]:
    """Permutations without a fixed point; no two of them map a user to the same user.

    The permutations are cyclic shifts of the users in random order. `num_users` - 1 of them swap
    each user with each other user once.

    Args:
        num_users: number of users.
        number: number of permutations; at most `num_users` - 1 are returned.
        seed: seed of the order and of the choice of shifts.

    Raises:
        ValueError: if there are fewer than two users.
    """
    if num_users < 2:
        raise ValueError(f"cannot swap the embeddings of {num_users} user; at least 2 are needed")
    generator = np.random.default_rng(seed)
    order = generator.permutation(num_users)
    position = np.argsort(order)
    shifts = 1 + generator.permutation(num_users - 1)[:number]
    return np.stack([order[(position + shift) % num_users] for shift in shifts])


def conditions_of(
    embeddings: Float[np.ndarray, "user embedding"],
    mean_embedding: Float[np.ndarray, " embedding"],
    swaps: Int[np.ndarray, "derangement user"],
) -> Float[np.ndarray, "condition user embedding"]:
    """Embeddings of the conditions: own, mean, then swapped by each derangement."""
    mean = np.broadcast_to(mean_embedding, embeddings.shape)
    return np.stack([embeddings, mean, *(embeddings[swap] for swap in swaps)])


class PredictionRequest(NamedTuple):
    """The maps that stage 2 predicts, in one fold, for one group of users.

    Attributes:
        users: data-set index of each user.
        images: data-set index of each test image.
        is_enrolled: with which images each user enrols, in each enrolment.
        is_query: for which images the map of each user is predicted, in each enrolment.
        embeddings: embeddings in each condition: own, mean, then swapped by each derangement.
        calibration: setting of each user in each enrolment.
        recordings: recording of each user whose maps are predicted, in each enrolment; None: those
            of all viewings of the user.
    """

    users: Int[np.ndarray, " user"]
    images: Int[np.ndarray, " image"]
    is_enrolled: Bool[np.ndarray, "enrolment user image"]
    is_query: Bool[np.ndarray, "enrolment user image"]
    embeddings: Float[np.ndarray, "enrolment condition user embedding"]
    calibration: Calibration
    recordings: Int[np.ndarray, "enrolment user"] | None = None


def check_no_enrolled_queries(request: PredictionRequest) -> None:
    """Checks that no map is predicted for an image that the user enrolled with.

    Raises:
        ValueError: with the number of such maps.
    """
    both = request.is_enrolled & request.is_query
    if both.any():
        raise ValueError(
            f"is_query has {both.sum()} maps of images that the user enrolled with; allowed: none"
        )


class UniversalMaps(NamedTuple):
    """The maps of the conditions that use no embedding.

    Attributes:
        leave_one_out: universal maps of the seen users; leave-one-out for a seen user.
        center_prior: mean of all training maps.
        predicted: universal map that is predicted from each test image.
        replacement: map for each test image that the network gets instead of the universal map;
            None if the network gets the universal map.
        joined: of viewings of recordings; see `maps.universal_maps`.
    """

    leave_one_out: LeaveOneOutMaps
    center_prior: Float[AnyArray, "height width"]
    predicted: Float[AnyArray, "image height width"]
    replacement: Float[AnyArray, "image height width"] | None = None
    joined: JoinedGaze | None = None


def predict_maps(
    network: Callable[[Any, Array, Array, Array], Array],
    params: Any,
    pixels: Shaped[AnyArray, "all_images image_height image_width channel"],
    gaze: Gaze,
    universals: UniversalMaps,
    request: PredictionRequest,
    *,
    spec: MapSpec,
    devices: Sequence[jax.Device],
    batch_size: int,
) -> Iterator[dict[str, Any]]:
    """Predicts the maps of a request: of users, enrolments and images.

    Args:
        network: (params, images, universal, embedding) -> maps, such as `SaliencyUNet`.
        params: parameters of the network.
        pixels: inputs of the network for all images of the data set.
        gaze: all fixations.
        universals: the maps without an embedding, at the size of the scored maps.
        request: the maps to predict.
        spec: how fixations become maps; its size is that of the universal maps.
        devices: the devices to use.
        batch_size: approximate number of maps in a batch.

    Yields:
        A batch of rows; a row is an image with an enrolment: `enrolment` and `image` (index into
        `request.images`) of each row; `maps` [row, condition, user, height, width], where the last
        condition is repeated for each derangement; `truth` [row, user, height, width]; `xy_px`
        [row, user, fixation, 2] in cells of the map; and `mask` [row, user, fixation], False for
        all fixations of a user who is not requested.
    """
    check_no_enrolled_queries(request)
    given, of_map = _network_inputs(universals, request)
    asked = request.users, request.recordings, given, of_map, request.calibration
    enrolment, column = np.nonzero(request.is_query.any(axis=1))
    batches = map_rows(
        _predict_rows,
        (params, pixels, gaze, universals, *asked),
        (request.images[column], column, enrolment, request.is_query[enrolment, :, column]),
        static=(network, spec),
        devices=devices,
        batch_size=max(batch_size // given.shape[1], 1),
    )
    done = 0
    for batch in batches:
        rows = slice(done, done + len(batch["mask"]))
        yield {"enrolment": enrolment[rows], "image": column[rows], **batch}
        done = rows.stop


def _network_inputs(
    universals: UniversalMaps, request: PredictionRequest
) -> tuple[Float[np.ndarray, "enrolment given embedding"], Int[np.ndarray, "enrolment map"] | None]:
    """The embeddings that the network is given, and which one makes each map; None: each its own.

    The maps are those of all users in one condition, then in the next. Where users share the
    universal map, the map of an embedding is the same for all of them: that of the mean embedding,
    and that of a user whose embedding is swapped in.
    """
    num_enrolments, _, _, size = request.embeddings.shape
    embeddings = request.embeddings.reshape(num_enrolments, -1, size)
    is_own = universals.replacement is None
    if is_own and np.asarray(universals.leave_one_out.is_member)[request.users].any():
        return embeddings, None
    found = [np.unique(rows, axis=0, return_inverse=True) for rows in embeddings]
    most = max(len(rows) for rows, _ in found)
    given = [np.pad(rows, ((0, most - len(rows)), (0, 0)), "edge") for rows, _ in found]
    return np.stack(given), np.stack([index.ravel() for _, index in found])


def _predict_rows(network: Any, spec: MapSpec, constants: Any, *rows: Array) -> dict[str, Array]:
    predict_row = functools.partial(_predict_row, network, spec)
    return jax.vmap(predict_row, in_axes=(None, 0, 0, 0, 0))(constants, *rows)


def _predict_row(
    network: Callable[[Any, Array, Array, Array], Array],
    spec: MapSpec,
    constants: Any,
    image: Array,
    column: Array,
    enrolment: Array,
    is_requested: Array,
) -> dict[str, Array]:
    params, pixels, gaze, universals, users, recordings, given, of_map, calibration = constants
    if recordings is not None:
        users = recordings[enrolment]
    height, width = spec.size
    at = jnp.broadcast_to(image, users.shape)
    truth, universal = personal_and_universal_maps(
        gaze, universals.leave_one_out, users, at, spec, universals.joined
    )
    network_universal = universal if of_map is None else universal[:1]
    if universals.replacement is not None:
        network_universal = universals.replacement[column][None]
    # One universal map for all embeddings, or that of each user in one condition after the other.
    repeated = network_universal[jnp.arange(given.shape[1]) % len(network_universal)]
    predicted = network(params, pixels[image][None], repeated[None], given[enrolment][None])[0]
    if of_map is not None:
        predicted = predicted[of_map[enrolment]]
    predicted = predicted.reshape(-1, *universal.shape)
    settings = jax.tree.map(lambda values: values[enrolment], calibration)
    calibrated = jax.vmap(
        lambda universal, setting: calibrate(
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
    scanpaths = viewing_scanpaths(gaze, users, at, max_fixations=spec.max_fixations)
    return {
        "maps": jnp.concatenate([jnp.stack(baselines), predicted]),
        "truth": truth,
        "xy_px": scanpaths.xy_frac * jnp.array([width, height]),
        "mask": scanpaths.mask & is_requested[:, None],
    }


def score_maps(
    batch: Mapping[str, Any],
    *,
    center_prior: Float[np.ndarray, "height width"],
    other_counts: Float[np.ndarray, "image height width"],
) -> Float[np.ndarray, "row condition user metric"]:
    """Scores a batch of `predict_maps` by `MAP_METRICS`.

    Args:
        batch: a batch of `predict_maps`.
        center_prior: baseline of the information gain.
        other_counts: output of `score_maps.other_fixation_counts`.

    Returns:
        The scores; NaN for a user who is not requested for an image.
    """
    maps, mask = np.asarray(batch["maps"]), np.asarray(batch["mask"])
    rows, users = np.nonzero(mask.any(axis=-1))
    num_conditions = maps.shape[1]

    def for_each_condition(values: np.ndarray) -> np.ndarray:
        return np.tile(values, (num_conditions, *[1] * (values.ndim - 1)))

    # The (row, user) pairs that are requested, for one condition after the other.
    saliency = maps[rows, :, users].swapaxes(0, 1).reshape(-1, *maps.shape[3:])
    points: dict[str, Any] = {
        "xy_px": for_each_condition(np.asarray(batch["xy_px"])[rows, users]),
        "mask": for_each_condition(mask[rows, users]),
        "pad_fixations": False,  # All batches of a data set have one number of fixations.
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
    """A density without zeros: 99 % of the map and 1 % of the uniform density (ours).

    The information gain is minus infinity if a fixation is at a zero. All maps are mixed alike.
    """
    share = maps / maps.sum(axis=(-2, -1), keepdims=True)
    return 0.99 * share + 0.01 / np.prod(maps.shape[-2:])


class PredictionScores(NamedTuple):
    """Scores of stage 2 in one fold.

    Attributes:
        users: data-set index of each user.
        scores: mean over the draws of enrolment images; NaN if no draw requested the image.
    """

    users: Int[np.ndarray, " user"]
    scores: Float[np.ndarray, "condition user image metric"]


def mean_over_draws(
    scores: Float[np.ndarray, "draw image condition user metric"],
) -> Float[np.ndarray, "condition user image metric"]:
    """Mean over the draws that requested an image; NaN where none did."""
    has_score = ~np.isnan(scores)
    number = has_score.sum(axis=0)
    total = np.where(has_score, scores, 0.0).sum(axis=0)
    mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return mean.transpose(1, 2, 0, 3)


def user_scores(
    fold: PredictionScores, image_weight: Int[np.ndarray, "resample image"]
) -> Float[np.ndarray, "resample condition user metric"]:
    """Mean over images in each resample of images; `swapped` is the mean over derangements."""
    per_user = bootstrap.mean_over_images(fold.scores.transpose(0, 1, 3, 2), image_weight)
    first = len(CONDITIONS) - 1
    swapped = per_user[:, first:].mean(axis=1, keepdims=True)
    return np.concatenate([per_user[:, :first], swapped], axis=1)


def mean_over_users(
    folds: Sequence[PredictionScores],
    user_weight: Int[np.ndarray, "resample user"],
    image_weight: Int[np.ndarray, "resample image"],
) -> Float[np.ndarray, "resample condition metric"]:
    """Mean over images, then over the users of all folds, in each resample of both.

    The mean is NaN in a resample without any requested image.
    """
    total = np.zeros((len(user_weight), len(CONDITIONS), len(MAP_METRICS)))
    number = np.zeros((len(user_weight), 1, 1))
    for fold in folds:
        per_user = user_scores(fold, image_weight)
        # A user without any image in a resample does not count in this resample.
        is_known = ~np.isnan(per_user).any(axis=(1, 3))
        weight = (user_weight[:, fold.users] * is_known)[:, None, :, None]
        total += (np.where(weight > 0, per_user, 0.0) * weight).sum(axis=2)
        number += weight.sum(axis=2)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def swap_test(
    folds: Sequence[PredictionScores], *, num_permutations: int, seed: int
) -> dict[str, float]:
    """p-value of own better than swapped, for each of `MAP_METRICS`.

    `bootstrap.permutation_test` gets one score of each user in each condition: the mean over
    images, then over the folds of the user.
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
