"""Saliency metrics on plain arrays: one scalar for one map.

Map metrics compare two maps (`cc`, `sim`, `kld`). Fixation metrics compare a map with points
(`auc`, `auc_judd`, `sauc`, `nss`, `information_gain`). Each function computes exactly the variant
that its docstring defines.

Arguments are the same in all functions. `saliency`, `density`, `baseline`, `target`, `prediction`,
`a` and `b` are maps, float [height, width]. `xy_px` is float [fixation, 2], x then y in pixels of
the map: a fixation is in the pixel floor(x), floor(y). `mask` is bool [fixation], True for the
fixations that count; without a mask, all fixations count. Fixations that do not count may hold any
value.

Called on concrete arrays, a metric checks its input and raises a ValueError that names the
argument. Inside a transformation (`jit`, `vmap`, `grad`) a metric is pure: a fixation outside of
the map, or a NaN, gives NaN. `score` checks and scores a batch of maps.
"""

import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float, Shaped

from gazejax.metrics import _kernels
from gazejax.metrics._checks import (
    checked_density,
    checked_fixations,
    checked_map,
    require,
    require_density,
    require_same_shape,
)
from gazejax.metrics._kernels import counts

_MAPS_PER_CALL = 512


def auc(
    *, saliency: npt.ArrayLike, xy_px: npt.ArrayLike, mask: npt.ArrayLike | None = None
) -> Float[Array, ""]:
    """Area under the ROC curve: fixated values against the values of all pixels.

    The metric is the probability that the value at a fixation exceeds the value of a random pixel;
    a tie counts one half. Positives are the values at the fixations, with duplicates. Negatives are
    the values of all pixels.

    Returns:
        Between 0 and 1, .5 for a constant map; NaN without fixations.

    Raises:
        ValueError: if the map holds a NaN or infinite value, or a fixation is outside of it.

    Source: the Mann-Whitney statistic.

    Example:
        >>> # Of the four pixels two are below the one looked at, and itself a tie.
        >>> float(auc(saliency=[[0.0, 1.0], [2.0, 3.0]], xy_px=[[0, 1]]))
        0.625
    """
    saliency = checked_map(saliency, "saliency")
    return _kernels.auc(saliency, checked_fixations(xy_px, mask, saliency))


def auc_judd(
    *, saliency: npt.ArrayLike, xy_px: npt.ArrayLike, mask: npt.ArrayLike | None = None
) -> Float[Array, ""]:
    """Area under the ROC curve with thresholds at fixated values only, after Judd.

    The curve connects (0, 0), one point for each distinct fixated value, and (1, 1). The hit rate
    at a value is the share of fixations at or above it, with duplicates. The false alarm rate is
    the share of the pixels never fixated at or above it. The chance level is not .5 but
    .5 + 1 / (2 (k + 1)) for k fixations, .75 for one, so that the metric is not comparable between
    users with different numbers of fixations.

    Returns:
        Between 0 and 1; NaN without fixations, or if every pixel is fixated.

    Raises:
        ValueError: if the map holds a NaN or infinite value, or a fixation is outside of it.

    Source: Judd et al. 2009, as the MIT saliency benchmark has it.

    Example:
        >>> # Through (0, 0), (1 / 3, 1) and (1, 1): of the three pixels not looked at one is above.
        >>> round(float(auc_judd(saliency=[[0.0, 1.0], [2.0, 3.0]], xy_px=[[0, 1]])), 3)
        0.833
    """
    saliency = checked_map(saliency, "saliency")
    return _kernels.auc_judd(saliency, checked_fixations(xy_px, mask, saliency))


def sauc(
    *,
    saliency: npt.ArrayLike,
    xy_px: npt.ArrayLike,
    other_xy_px: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    other_mask: npt.ArrayLike | None = None,
) -> Float[Array, ""]:
    """Shuffled AUC: fixated values against the values at fixations on other images.

    The metric is `auc` with the values at `other_xy_px` as negatives: fixations on other images, in
    pixels of this image. A map that shows only what all images share, such as the center bias, is
    at chance.

    Returns:
        Between 0 and 1; NaN without fixations of either kind.

    Raises:
        ValueError: if the map holds a NaN or infinite value, or a fixation is outside of it.

    Source: Zhang et al. 2008; all other fixations instead of a sample of them (ours).

    Example:
        >>> # Above one of the two other fixations, a tie with the other.
        >>> saliency = [[0.0, 1.0], [2.0, 3.0]]
        >>> float(sauc(saliency=saliency, xy_px=[[0, 1]], other_xy_px=[[0, 0], [0, 1]]))
        0.75
    """
    saliency = checked_map(saliency, "saliency")
    fixations = checked_fixations(xy_px, mask, saliency)
    others = checked_fixations(other_xy_px, other_mask, saliency, "other_xy_px", "other_mask")
    # Counted for each pixel, since there may be many more fixations than pixels.
    other_counts = jnp.where(others.is_valid, counts(others, saliency), jnp.nan)
    return _kernels.sauc(saliency, fixations, other_counts)


def nss(
    *, saliency: npt.ArrayLike, xy_px: npt.ArrayLike, mask: npt.ArrayLike | None = None
) -> Float[Array, ""]:
    """Normalized scanpath saliency: mean of (value - mean) / std over the fixations.

    Returns:
        The mean, in standard deviations of the map (ddof 0); 0 for a constant map; NaN without
        fixations.

    Raises:
        ValueError: if the map holds a NaN or infinite value, or a fixation is outside of it.

    Source: Peters et al. 2005.

    Example:
        >>> # Mean 1, standard deviation 1.
        >>> float(nss(saliency=[[0.0, 2.0]], xy_px=[[1.5, 0.5]]))
        1.0
    """
    saliency = checked_map(saliency, "saliency")
    return _kernels.nss(saliency, checked_fixations(xy_px, mask, saliency))


def information_gain(
    *,
    density: npt.ArrayLike,
    baseline: npt.ArrayLike,
    xy_px: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
) -> Float[Array, ""]:
    """Information gain of a density over a baseline density, in bits per fixation.

    The metric is the mean of log2(density / baseline) over the fixations.

    Returns:
        The mean in bits; NaN without fixations.

    Raises:
        ValueError: if a map is not positive everywhere or does not sum to 1 (within 1e-3), the
            shapes differ, or a fixation is outside.

    Source: Kuemmerer et al. 2015.

    Example:
        >>> density, uniform = [[0.5, 0.25, 0.125, 0.125]], [[0.25, 0.25, 0.25, 0.25]]
        >>> float(information_gain(density=density, baseline=uniform, xy_px=[[0, 0]]))
        1.0
    """
    density = checked_density(density, "density")
    baseline = checked_density(baseline, "baseline")
    require_same_shape(density, "density", baseline, "baseline")
    return _kernels.information_gain(density, baseline, checked_fixations(xy_px, mask, density))


def cc(a: npt.ArrayLike, b: npt.ArrayLike) -> Float[Array, ""]:
    """Pearson correlation of two maps; 0 if either is constant.

    The metric is symmetric, and does not depend on scale and offset of either map.

    Raises:
        ValueError: if a map holds a NaN or infinite value, or the shapes differ.

    Source: the usual definition.

    Example:
        >>> round(float(cc([[1.0, 2.0, 3.0]], [[2.0, 4.0, 6.0]])), 3)
        1.0
    """
    a, b = checked_map(a, "a"), checked_map(b, "b")
    require_same_shape(a, "a", b, "b")
    return _kernels.cc(a, b)


def sim(a: npt.ArrayLike, b: npt.ArrayLike) -> Float[Array, ""]:
    """Histogram intersection: sum of the minima of two maps, each divided by its sum first.

    Maps are not rescaled to minimum 0 and maximum 1. A zero map counts as uniform. The metric is
    symmetric.

    Raises:
        ValueError: if a map holds a NaN, infinite or negative value, or the shapes differ.

    Source: the MIT saliency benchmark, without its rescaling to minimum 0 and maximum 1.

    Example:
        >>> float(sim([[1.0, 3.0]], [[1.0, 1.0]]))
        0.75
    """
    a, b = (
        checked_map(a, "a", allow_negative=False),
        checked_map(b, "b", allow_negative=False),
    )
    require_same_shape(a, "a", b, "b")
    return _kernels.sim(a, b)


def kld(*, target: npt.ArrayLike, prediction: npt.ArrayLike) -> Float[Array, ""]:
    """Kullback-Leibler divergence of the target from the prediction, in nats.

    The metric is sum Q log(eps + Q / (P + eps)), with target Q and prediction P, each divided by
    its sum first, and eps = 2.2204e-16. A zero map counts as uniform.

    Raises:
        ValueError: if a map holds a NaN, infinite or negative value, or the shapes differ.

    Source: the definition of the MIT saliency benchmark.

    Example:
        >>> # .5 log(.5 / .25) + .5 log(.5 / .75)
        >>> round(float(kld(target=[[1.0, 1.0]], prediction=[[1.0, 3.0]])), 3)
        0.144
    """
    target = checked_map(target, "target", allow_negative=False)
    prediction = checked_map(prediction, "prediction", allow_negative=False)
    require_same_shape(target, "target", prediction, "prediction")
    return _kernels.kld(target, prediction)


def fixation_counts(
    xy_px: npt.ArrayLike, map_size: tuple[int, int], mask: npt.ArrayLike | None = None
) -> Float[Array, "height width"]:
    """Number of fixations in each pixel of a map of size (height, width).

    Raises:
        ValueError: if a fixation is outside.

    Example:
        >>> fixation_counts([[0.2, 0.9], [0.7, 0.1], [1.5, 0.0]], (1, 2)).tolist()
        [[2.0, 1.0]]
    """
    canvas = jnp.zeros(map_size)
    fixations = checked_fixations(xy_px, mask, canvas)
    return jnp.where(fixations.is_valid, counts(fixations, canvas), jnp.nan)


METRICS = ("auc", "auc_judd", "sauc", "nss", "information_gain", "cc", "sim", "kld")

_NEEDS = {
    "auc": ("xy_px",),
    "auc_judd": ("xy_px",),
    "sauc": ("xy_px", "other_counts"),
    "nss": ("xy_px",),
    "information_gain": ("xy_px", "baseline"),
    "cc": ("target",),
    "sim": ("target",),
    "kld": ("target",),
}


def score(
    names: Sequence[str],
    *,
    saliency: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    xy_px: npt.ArrayLike | None = None,
    mask: npt.ArrayLike | None = None,
    other_counts: npt.ArrayLike | None = None,
    baseline: npt.ArrayLike | None = None,
) -> dict[str, Float[np.ndarray, " map"]]:
    """Scores a batch of maps: checks all arguments, then computes by compiled calls.

    Args:
        names: names out of `METRICS`.
        saliency: the maps, float [map, height, width]; the density of `information_gain`, the
            prediction of `kld`.
        target: true maps, float [map, height, width]; for `cc`, `sim` and `kld`.
        xy_px: fixations, float [map, fixation, 2]; for the fixation metrics.
        mask: True for the fixations that count, bool [map, fixation].
        other_counts: for `sauc`: number of fixations on other images in each pixel, float [map,
            height, width], or [height, width] for all maps; see `fixation_counts`.
        baseline: for `information_gain`: densities, float [map, height, width], or [height, width]
            for all maps.

    Returns:
        For each name the metric of each map; NaN where a map has no fixation that counts.

    Raises:
        ValueError: if a metric is unknown, or an argument is missing or has a wrong value or shape;
            the message names the argument.

    Example:
        >>> maps, uniform = [[[0.0, 2.0]], [[1.0, 3.0]]], [[[1.0, 1.0]], [[1.0, 1.0]]]
        >>> found = score(["nss", "sim"], saliency=maps, target=uniform, xy_px=[[[1, 0]], [[0, 0]]])
        >>> {name: values.tolist() for name, values in found.items()}
        {'nss': [1.0, -1.0], 'sim': [0.5, 0.75]}
    """
    for name in names:
        if name not in METRICS:
            raise ValueError(f"names has {name!r}; allowed: {', '.join(METRICS)}")
    maps = checked_map(saliency, "saliency", ndim=3)
    given = {"xy_px": xy_px, "target": target, "other_counts": other_counts, "baseline": baseline}
    for name in names:
        for needed in _NEEDS[name]:
            if given[needed] is None:
                raise ValueError(f"{needed} is missing; {name} needs it")
    if not {"sim", "kld"}.isdisjoint(names):
        require(bool((maps >= 0).all()), "saliency", "holds a negative value", "none below 0")
    if "information_gain" in names:
        require_density(maps, "saliency")
    arrays: dict[str, Any] = {"saliency": maps}
    for key in ("target", "other_counts", "baseline"):
        values = given[key]
        if values is None:
            continue
        is_for_all = key != "target" and np.ndim(values) == 2
        checked = checked_map(
            values, key, ndim=2 if is_for_all else 3, allow_negative=key == "target"
        )
        require_same_shape(
            maps[0] if is_for_all else maps,
            "saliency[0]" if is_for_all else "saliency",
            checked,
            key,
        )
        if key == "baseline":
            require_density(checked, key)
        if key == "target" and not {"sim", "kld"}.isdisjoint(names):
            require(bool((checked >= 0).all()), key, "holds a negative value", "none below 0")
        arrays[key] = jnp.broadcast_to(checked, maps.shape)
    if xy_px is not None:
        arrays["fixations"] = checked_fixations(xy_px, mask, maps)
    parts = []
    for start in range(0, len(maps), _MAPS_PER_CALL):
        rows = slice(start, start + _MAPS_PER_CALL)
        part = jax.tree.map(operator.itemgetter(rows), arrays)
        parts.append(_kernels.score(tuple(names), jax.tree.map(_padded, part)))
    found = jax.device_get(parts)
    return {name: np.concatenate([part[name] for part in found])[: len(maps)] for name in names}


def _padded(rows: Shaped[Array, "row *axis"]) -> Shaped[Array, "padded_row *axis"]:
    """Repeats the last row up to a power of two of rows, so that few shapes are compiled."""
    length = 1 << (len(rows) - 1).bit_length()
    return rows[jnp.minimum(jnp.arange(length), len(rows) - 1)] if length > len(rows) else rows
