"""Traits of users, measured from their gaze, and linear probes that predict them from embeddings.

How long, how far and how central a user looks are measures of the gaze alone. What a user prefers
is measured from the pictures: how bright, how rich in contrast and how colorful the fixated places
are, minus those that the other users fixate in the same picture.

Probes are fitted on the seen users and the test images, which the encoder was not trained on. They
are tried on the unseen users, and on seen users that they were not fitted on, by embeddings of one
half of the test images of a user and traits of the other half.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage

from gazejax.evaluation.folds import GROUPS, Run
from gazejax.evaluation.formats import markdown_table
from gazejax.evaluation.verification.protocol import UserRepresentations
from gazejax.inputs.viewing_vectors import mean_over_images
from gazejax.models.linear_probe import fit_direction
from gazejax.types import Dataset, Gaze
from gazejax.workdir.probes import TraitProbe

# Largest distance of a fixation that counts as central, from the center, in image widths.
_CENTER_RADIUS_FRAC = 0.15

# Side of the square around a fixation that is looked at, in image widths.
_WINDOW_FRAC = 0.05

_OF_GAZE = {
    "fixations": "fixations per image",
    "center_share": "share of fixations",
    "saccade_length": "image widths",
    "spread": "image widths",
    "duration_ms": "ms",
}
OF_PICTURES = ("fixated_brightness", "fixated_contrast", "fixated_color")
_UNITS = _OF_GAZE | dict.fromkeys(OF_PICTURES, "share of the range, minus that of others")

# Parts of the seen users: a probe that is fitted without one of them is tried on it.
_NUM_PARTS = 20
# Fewer users have no correlation worth the name.
_LEAST_USERS = 3


class _Measured(NamedTuple):
    """Some users of a fold, measured on its test images.

    Attributes:
        embeddings: of all images of a user.
        traits: likewise.
        embeddings_of_half: of each half of the images of a user.
        traits_of_other: of the other half.
        num_images: mean number of images of a half.
    """

    embeddings: Float[np.ndarray, "user embedding"]
    traits: dict[str, Float[np.ndarray, " user"]]
    embeddings_of_half: Float[np.ndarray, "2 user embedding"]
    traits_of_other: dict[str, Float[np.ndarray, "2 user"]]
    num_images: float


def measure(
    gaze: Gaze, users: Int[np.ndarray, " user"], images: Int[np.ndarray, " image"]
) -> dict[str, Float[np.ndarray, " user"]]:
    """Measures of the gaze of users, each a mean over the images that a user saw.

    Args:
        gaze: the fixations.
        users: positions of the users to measure.
        images: positions of the images to measure them on.

    Returns:
        For each measure the values of the users. `fixations`: number of fixations per image.
        `center_share`: share of fixations within 0.15 image widths of the center. `saccade_length`:
        mean distance between consecutive fixations, in image widths. `spread`: standard deviation
        of the fixations around their mean position, in image widths. `duration_ms`: mean duration
        of a fixation; left out if the durations are unknown.
    """
    viewings = _measure_viewings(gaze, users, images)
    return {name: np.nanmean(values, axis=1) for name, values in viewings.items()}


def _measure_viewings(
    gaze: Gaze, users: Int[np.ndarray, " user"], images: Int[np.ndarray, " image"]
) -> dict[str, Float[np.ndarray, "user image"]]:
    """Measures of each viewing; NaN where a user did not see an image."""
    table = np.full((len(users), len(images), len(_OF_GAZE)), np.nan)
    xy_frac, duration_ms = np.asarray(gaze.xy_frac), np.asarray(gaze.duration_ms)
    for row, user in enumerate(users):
        for column, image in enumerate(images):
            start, number = gaze.viewing_offset[user, image], gaze.viewing_length[user, image]
            if number == 0:
                continue
            at = slice(start, start + number)
            # Image widths for x and y.
            xy = xy_frac[at] / np.array([1.0, gaze.aspect_ratio[image]])
            center = np.array([0.5, 0.5 / gaze.aspect_ratio[image]])
            distance = np.linalg.norm(xy - center, axis=1)
            steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
            table[row, column] = (
                number,
                (distance <= _CENTER_RADIUS_FRAC).mean(),
                steps.mean() if len(steps) else np.nan,
                np.sqrt(((xy - xy.mean(axis=0)) ** 2).sum(axis=1).mean()),
                duration_ms[at].mean(),
            )
    found = dict(zip(_OF_GAZE, np.moveaxis(table, -1, 0), strict=True))
    return {name: values for name, values in found.items() if np.nansum(np.abs(values))}


def describe_places(
    picture: UInt8[np.ndarray, "height width 3"],
) -> Float[np.ndarray, "height width 3"]:
    """Brightness, contrast and color around each pixel, each from 0 to 1.

    Returns:
        Over a square of 0.05 image widths: mean luma, standard deviation of the luma, mean
        difference of the largest and the smallest of red, green and blue.
    """
    rgb = picture / np.float32(255)
    luma = rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    size = max(3, round(_WINDOW_FRAC * picture.shape[1]))
    brightness, of_squares, color = (
        ndimage.uniform_filter(values, size, mode="nearest")
        for values in (luma, luma**2, rgb.max(axis=-1) - rgb.min(axis=-1))
    )
    contrast = np.sqrt(np.maximum(of_squares - brightness**2, 0.0))
    return np.stack([brightness, contrast, color], axis=-1)


def measure_places(
    dataset: Dataset, images: Int[np.ndarray, " image"]
) -> Float[np.ndarray, "user image 3"]:
    """The places that each user fixates in each image.

    Returns:
        Mean of `describe_places` over the fixations of each viewing; NaN where there are none.
    """
    gaze, xy_frac = dataset.gaze, np.asarray(dataset.gaze.xy_frac)
    table = np.full((len(gaze.viewing_length), len(images), len(OF_PICTURES)), np.nan)
    for column, image in enumerate(images):
        places = describe_places(np.asarray(dataset.images["saliency"][image]))
        size = np.array(places.shape[1::-1])
        for user in np.flatnonzero(np.asarray(gaze.viewing_length)[:, image]):
            start, number = gaze.viewing_offset[user, image], gaze.viewing_length[user, image]
            at = np.clip(xy_frac[start : start + number] * size, 0, size - 1).astype(int)
            table[user, column] = places[at[:, 1], at[:, 0]].mean(axis=0)
    return table


def minus_others(
    table: Float[np.ndarray, "user image measure"], others: Int[np.ndarray, " other"]
) -> Float[np.ndarray, "user image measure"]:
    """Subtracts from each viewing the mean of other users on the same image.

    Args:
        table: measures of viewings; NaN where there is none.
        others: positions of the users whose mean is subtracted. Of a user among them, the own
            viewing is left out.

    Returns:
        NaN where a user, or all others, did not see the image.
    """
    of_others = table[others]
    is_other = np.isin(np.arange(len(table)), others)[:, None, None] & ~np.isnan(table)
    number = (~np.isnan(of_others)).sum(axis=0) - is_other
    total = np.nansum(of_others, axis=0) - np.where(is_other, table, 0.0)
    return table - np.where(number > 0, total, np.nan) / np.maximum(number, 1)


def fit_probes(run: Run) -> list[dict[str, TraitProbe]]:
    """Fits probes of the traits of users from the embeddings of each fold.

    Args:
        run: of `as_loaded`.

    Returns:
        For each fold the probe of each trait. The correlation of unseen users is that of the users
        of all folds together, each minus the mean of the seen users of the fold, since folds have
        different encoders and seen users. Without: traits in which the seen users do not differ, or
        that are not known of all of them.
    """
    of_folds = list(_measure_folds(run))
    names = [
        name
        for name in of_folds[0]["seen"].traits
        if all(_is_usable(known, name) for known in of_folds)
    ]
    probes: list[dict[str, TraitProbe]] = [{} for _ in of_folds]
    num_images = float(np.mean([known["unseen"].num_images for known in of_folds]))
    for name in names:
        directions = [
            fit_direction(known["seen"].embeddings, known["seen"].traits[name])
            for known in of_folds
        ]
        predicted, true = [], []
        for known, direction in zip(of_folds, directions, strict=True):
            halves = known["unseen"].embeddings_of_half
            predicted.append([direction.predict(half) - direction.mean for half in halves])
            true.append(known["unseen"].traits_of_other[name] - direction.mean)
        together = np.concatenate(predicted, axis=1), np.concatenate(true, axis=1)
        of_unseen = _mean_correlation(*together)
        for found, known, direction in zip(probes, of_folds, directions, strict=True):
            seen = known["seen"]
            found[name] = TraitProbe(
                unit=_UNITS[name],
                mean=direction.mean,
                standard_deviation=float(seen.traits[name].std(ddof=1)),
                correlation=of_unseen,
                seen_correlation=_left_out_correlation(seen, name),
                num_users=len(seen.embeddings),
                num_unseen_users=together[0].shape[1],
                num_images=num_images,
                intercept=float(direction.mean - direction.center @ direction.weights),
                weights=direction.weights,
            )
    return probes


def _is_usable(known: Mapping[str, _Measured], name: str) -> bool:
    if not all(name in of_group.traits for of_group in known.values()):
        return False
    trait = known["seen"].traits[name]
    return len(trait) >= _LEAST_USERS and bool(np.isfinite(trait).all() and np.ptp(trait) > 0)


def _measure_folds(run: Run) -> Iterator[dict[str, _Measured]]:
    """Embeddings and traits of the seen and the unseen users of each fold."""
    every = np.arange(len(run.dataset.user_ids))
    tables: dict[bytes, tuple[dict[str, np.ndarray], np.ndarray]] = {}  # Folds share test images.
    for fold in run.folds:
        images = fold.splits.test_images
        if images.tobytes() not in tables:
            tables[images.tobytes()] = (
                _measure_viewings(run.dataset.gaze, every, images),
                measure_places(run.dataset, images),
            )
        of_gaze, places = tables[images.tobytes()]
        relative = np.moveaxis(minus_others(places, fold.splits.seen_users), -1, 0)
        traits = of_gaze | dict(zip(OF_PICTURES, relative, strict=True))
        yield {group: _measure_users(fold.compared[group]["encoder"], traits) for group in GROUPS}


def _measure_users(
    compared: UserRepresentations, traits: Mapping[str, Float[np.ndarray, "all_users image"]]
) -> _Measured:
    place = np.cumsum(compared.viewed, axis=1) % 2
    halves = [compared.viewed & (place == which) for which in (0, 1)]
    of_users = {name: values[compared.users] for name, values in traits.items()}
    return _Measured(
        embed_users(compared, compared.viewed),
        {name: _mean(values, compared.viewed) for name, values in of_users.items()},
        np.stack([embed_users(compared, half) for half in halves]),
        {
            name: np.stack([_mean(values, half) for half in halves[::-1]])
            for name, values in of_users.items()
        },
        float(compared.viewed.sum(axis=1).mean() / 2),
    )


def embed_users(
    compared: UserRepresentations, kept: Bool[np.ndarray, "user image"]
) -> Float[np.ndarray, "user embedding"]:
    """Embeddings of users over some images; NaN of a user without any."""
    number = kept.sum(axis=1, keepdims=True)
    means = mean_over_images(compared.representations, kept / np.maximum(number, 1))
    return np.where(number > 0, means, np.nan)


def _mean(
    values: Float[np.ndarray, "user image"], kept: Bool[np.ndarray, "user image"]
) -> Float[np.ndarray, " user"]:
    """Mean of each user over some images, as far as known; NaN of a user without any."""
    kept = kept & ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(kept, values, 0.0).sum(axis=1) / kept.sum(axis=1)


def _left_out_correlation(seen: _Measured, name: str) -> float | None:
    """Correlation of the traits of seen users with what probes fitted on others predict."""
    trait, number = seen.traits[name], len(seen.embeddings)
    predicted = np.full((2, number), np.nan)
    for part in range(min(_NUM_PARTS, number)):
        left_out = np.arange(number) % min(_NUM_PARTS, number) == part
        direction = fit_direction(seen.embeddings[~left_out], trait[~left_out])
        for half, embeddings in enumerate(seen.embeddings_of_half):
            predicted[half, left_out] = direction.predict(embeddings[left_out])
    return _mean_correlation(predicted, seen.traits_of_other[name])


def _mean_correlation(
    predicted: Float[np.ndarray, "2 user"], true: Float[np.ndarray, "2 user"]
) -> float | None:
    """Mean over the two halves; None with too few users."""
    known = np.isfinite(predicted + true).all(axis=0)
    if known.sum() < _LEAST_USERS:
        return None
    halves = zip(predicted[:, known], true[:, known], strict=True)
    return float(np.mean([correlation(one, other) for one, other in halves]))


def correlation(one: Float[np.ndarray, " user"], other: Float[np.ndarray, " user"]) -> float:
    """Pearson correlation; 0 if one of the two is constant."""
    one, other = one - one.mean(), other - other.mean()
    norm = np.sqrt((one**2).sum() * (other**2).sum())
    return float(np.clip((one * other).sum() / norm, -1.0, 1.0)) if norm > 0 else 0.0


def describe_probes(probes: Sequence[Mapping[str, TraitProbe]]) -> dict[str, dict[str, Any]]:
    """What the evaluation says of the probes of the folds of a run: means over the folds."""

    def mean(name: str, field: str) -> float | None:
        values = [getattr(of_fold[name], field) for of_fold in probes]
        return None if None in values else float(np.mean(values))

    fields = ("mean", "standard_deviation", "correlation", "seen_correlation", "num_images")
    return {
        name: {
            "unit": one.unit,
            **{field: mean(name, field) for field in fields},
            "num_users": one.num_users,
            "num_unseen_users": one.num_unseen_users,
        }
        for name, one in probes[0].items()
    }


def format_traits(traits: Mapping[str, Mapping[str, Any]]) -> str:
    """Formats the result of `describe_probes` as Markdown; empty without any trait."""
    if not traits:
        return ""

    def text(value: float | None, digits: str) -> str:
        return "-" if value is None else format(value, digits)

    rows = [
        [
            name,
            row["unit"],
            f"{round(row['mean'], 6) + 0.0:.3g}",  # The mean of differences is not exactly 0.
            f"{row['standard_deviation']:.2g}",
            text(row["correlation"], "+.2f"),
            text(row["seen_correlation"], "+.2f"),
        ]
        for name, row in traits.items()
    ]
    some = next(iter(traits.values()))
    described = (
        "### What does an embedding say of a person? Linear probes\n\nTraits of the seen users, "
        "and the correlation of predicted and true traits: of "
        f"{some['num_unseen_users']} unseen users, and of seen users by probes that were fitted on "
        f"others. Embeddings are of {some['num_images']:.0f} test images, and traits of others, "
        "not kept apart by session: what holds in another session is not measured."
    )
    header = ["trait", "unit", "mean", "standard deviation", "correlation, unseen", "left-out seen"]
    return f"\n{described}\n\n{markdown_table(header, rows)}\n"
