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
argument. Maps are of any real type, or lists. The host computes: ranks in the type of the map, sums
in float64. Nothing is compiled, whatever the number of fixations and pixels.

Inside a transformation (`jit`, `vmap`, `grad`) a metric is pure: a fixation outside of the map, or
a NaN, gives NaN, and so does a negative value in a map of `sim` or `kld`. Arithmetic is that of
float32, or of float64 with `jax_enable_x64`. JAX itself converts a traced int64 or float64 map to
32 bits without `jax_enable_x64`. A traced map whose sums leave this arithmetic, such as one of
1e37, gives NaN where the metric needs them. A gradient below the least normal number is zero.
`scoring.score` checks and scores a batch of maps.
"""

import operator
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float

from gazejax.metrics import _host, _kernels, _moments, _rounding
from gazejax.metrics._checks import (
    checked_density,
    checked_fixations,
    checked_map,
    is_on_host,
    require,
    require_same_shape,
)

METRICS = ("auc", "auc_judd", "sauc", "nss", "information_gain", "cc", "sim", "kld")


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
    values = checked_map(saliency, "saliency")
    fixations = checked_fixations(xy_px, mask, values.shape)
    if is_on_host(values, fixations):
        return _scalar(_host.auc(values, fixations), values)
    values = _rounding.for_ranks(values)
    return _kernels.unless_nan(_kernels.auc(values, fixations), values)


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
    values = checked_map(saliency, "saliency")
    fixations = checked_fixations(xy_px, mask, values.shape)
    if is_on_host(values, fixations):
        return _scalar(_host.auc_judd(values, fixations), values)
    values = _rounding.for_ranks(values)
    return _kernels.unless_nan(_kernels.auc_judd(values, fixations), values)


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
    values = checked_map(saliency, "saliency")
    fixations = checked_fixations(xy_px, mask, values.shape)
    others = checked_fixations(other_xy_px, other_mask, values.shape, "other_xy_px", "other_mask")
    if is_on_host(values, fixations, others):
        return _scalar(_host.sauc(values, fixations, others), values)
    values = _rounding.for_ranks(values)
    # Counted for each pixel, since there may be many more fixations than pixels.
    counted = _kernels.counts(others, values)
    counted = jnp.where(others.is_valid, counted, jnp.nan)
    return _kernels.unless_nan(_kernels.sauc(values, fixations, counted), values)


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
    values = checked_map(saliency, "saliency")
    fixations = checked_fixations(xy_px, mask, values.shape)
    if is_on_host(values, fixations):
        return _scalar(_host.nss(values, fixations), values)
    return _moments.nss(_rounding.for_moments(values), fixations)


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
    above, below = checked_density(density, "density"), checked_density(baseline, "baseline")
    require_same_shape(above, "density", below, "baseline")
    fixations = checked_fixations(xy_px, mask, above.shape)
    if is_on_host(above, below, fixations):
        return _scalar(_host.information_gain(above, below, fixations), above, below)
    above = _rounding.for_logarithms(above, "density")
    below = _rounding.for_logarithms(below, "baseline")
    return _kernels.information_gain(above, below, fixations)


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
    one, other = checked_map(a, "a"), checked_map(b, "b")
    require_same_shape(one, "a", other, "b")
    if is_on_host(one, other):
        return _scalar(_host.cc(one, other), one, other)
    return _moments.cc(_rounding.for_moments(one), _rounding.for_moments(other))


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
    one, other = (
        checked_map(a, "a", allow_negative=False),
        checked_map(b, "b", allow_negative=False),
    )
    require_same_shape(one, "a", other, "b")
    if is_on_host(one, other):
        return _scalar(_host.sim(one, other), one, other)
    return _kernels.sim(_rounding.for_shares(one), _rounding.for_shares(other))


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
    true = checked_map(target, "target", allow_negative=False)
    predicted = checked_map(prediction, "prediction", allow_negative=False)
    require_same_shape(true, "target", predicted, "prediction")
    if is_on_host(true, predicted):
        return _scalar(_host.kld(true, predicted), true, predicted)
    return _kernels.kld(_rounding.for_shares(true), _rounding.for_shares(predicted))


def fixation_counts(
    xy_px: npt.ArrayLike, map_size: Sequence[int], mask: npt.ArrayLike | None = None
) -> Float[Array, "height width"]:
    """Number of fixations in each pixel of a map of size (height, width).

    Raises:
        ValueError: if the size is none, or a fixation is outside.

    Example:
        >>> fixation_counts([[0.2, 0.9], [0.7, 0.1], [1.5, 0.0]], (1, 2)).tolist()
        [[2.0, 1.0]]
    """
    try:
        height, width = map(operator.index, map_size)
    except (TypeError, ValueError):  # Not two, or not whole numbers.
        height = width = 0
    found, allowed = f"is {map_size!r}", "(height, width), whole numbers above 0"
    require(height > 0 and width > 0, "map_size", found, allowed)
    fixations = checked_fixations(xy_px, mask, (height, width))
    if is_on_host(fixations):
        number = _host.counts((height, width), fixations)
        return jnp.asarray(number.astype(jnp.result_type(float)))
    found = _kernels.counts(fixations, jnp.zeros((height, width)))
    return jnp.where(fixations.is_valid, found, jnp.nan)


def _scalar(value: float, *maps: np.ndarray) -> Float[Array, ""]:
    return jnp.asarray(np.asarray(value, _rounding.float_type(*maps)))
