"""How well a map fits gaze: one scalar for one map, usable alone, on plain arrays.

Map metrics compare two maps (`cc`, `sim`, `kld`), fixation metrics a map with points (`auc`,
`auc_judd`, `sauc`, `nss`, `information_gain`). Every name means exactly the variant that its
docstring defines; nothing is wrapped, clipped or averaged away.

Arguments are the same everywhere. `saliency`, `density`, `baseline`, `target`, `prediction`, `a`
and `b` are maps, float [height, width]. `xy_px` is float [fixation, 2], x then y in pixels of the
map: a fixation is in the pixel floor(x), floor(y). `mask` is bool [fixation], True for the
fixations that count; without it all do. Fixations that do not count may hold anything.

Called on concrete arrays, a metric checks its input and raises a ValueError that names the
argument. Inside a transformation (`jit`, `vmap`, `grad`) it is pure: there a fixation outside of
the map, or a NaN, gives NaN. `score` is the checked entry for batches.
"""

import functools
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Bool, Float, Int, Shaped

_KLD_EPSILON = 2.2204e-16
# Fixations that are counted in one pass over the map: their two comparisons fit into 8 bits.
_FIXATIONS_PER_PASS = 32
_SUM_TOLERANCE = 1e-3
_MAPS_PER_CALL = 512

_jit = functools.partial(jax.jit, inline=True)


def auc(
    *, saliency: npt.ArrayLike, xy_px: npt.ArrayLike, mask: npt.ArrayLike | None = None
) -> Float[Array, ""]:
    """Area under the ROC curve: fixated values against the values of all pixels.

    The probability that the value at a fixation exceeds the value of a random pixel; a tie counts
    one half. Positives are the values at the fixations, duplicates kept; negatives all pixels.

    Returns:
        Between 0 and 1, .5 for a constant map; NaN without fixations.

    Raises:
        ValueError: if the map holds a NaN or infinite value, or a fixation is outside of it.

    Source: the Mann-Whitney statistic.
    """
    saliency = _checked_map(saliency, "saliency")
    return _auc(saliency, _checked_fixations(xy_px, mask, saliency))


def auc_judd(
    *, saliency: npt.ArrayLike, xy_px: npt.ArrayLike, mask: npt.ArrayLike | None = None
) -> Float[Array, ""]:
    """Area under the ROC curve with thresholds at fixated values only, after Judd.

    The trapezoid through (0, 0), the point of each distinct fixated value and (1, 1), where the
    hits are the share of fixations at or above the value, duplicates kept, and the false alarms the
    share of the pixels never fixated. Its chance level is not .5 but .5 + 1 / (2 (k + 1)) for k
    fixations, .75 for one: no figure to compare single people by.

    Returns:
        Between 0 and 1; NaN without fixations, or if every pixel is fixated.

    Raises:
        ValueError: if the map holds a NaN or infinite value, or a fixation is outside of it.

    Source: Judd et al. 2009, as the MIT saliency benchmark has it.
    """
    saliency = _checked_map(saliency, "saliency")
    return _auc_judd(saliency, _checked_fixations(xy_px, mask, saliency))


def sauc(
    *,
    saliency: npt.ArrayLike,
    xy_px: npt.ArrayLike,
    other_xy_px: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    other_mask: npt.ArrayLike | None = None,
) -> Float[Array, ""]:
    """Shuffled AUC: fixated values against the values where people look in other images.

    As `auc`, but the negatives are the values at `other_xy_px`: fixations on other images, already
    in pixels of this one. What all images share, such as the centre bias, earns nothing.

    Returns:
        Between 0 and 1; NaN without fixations of either kind.

    Raises:
        ValueError: if the map holds a NaN or infinite value, or a fixation is outside of it.

    Source: Zhang et al. 2008; all other fixations instead of a sample of them (ours).
    """
    saliency = _checked_map(saliency, "saliency")
    fixations = _checked_fixations(xy_px, mask, saliency)
    others = _checked_fixations(other_xy_px, other_mask, saliency, "other_xy_px", "other_mask")
    # Counted by pixel: there may be many more of them than pixels.
    other_counts = jnp.where(others.is_valid, _counts(others, saliency), jnp.nan)
    return _sauc(saliency, fixations, other_counts)


def nss(
    *, saliency: npt.ArrayLike, xy_px: npt.ArrayLike, mask: npt.ArrayLike | None = None
) -> Float[Array, ""]:
    """Normalised scanpath saliency: mean of (value - mean) / std over the fixations.

    Returns:
        The mean, in standard deviations of the map (ddof 0); 0 for a constant map; NaN without
        fixations.

    Raises:
        ValueError: if the map holds a NaN or infinite value, or a fixation is outside of it.

    Source: Peters et al. 2005.
    """
    saliency = _checked_map(saliency, "saliency")
    return _nss(saliency, _checked_fixations(xy_px, mask, saliency))


def information_gain(
    *,
    density: npt.ArrayLike,
    baseline: npt.ArrayLike,
    xy_px: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
) -> Float[Array, ""]:
    """Information gain of a density over a baseline density, in bits per fixation.

    The mean of log2(density / baseline) over the fixations.

    Returns:
        The mean in bits; NaN without fixations.

    Raises:
        ValueError: if a map is not positive everywhere, does not sum to 1 (within 1e-3) or has
            another shape than the other, or a fixation is outside.

    Source: Kuemmerer et al. 2015.
    """
    density = _checked_density(density, "density")
    baseline = _checked_density(baseline, "baseline")
    _require_same_shape(density, "density", baseline, "baseline")
    return _information_gain(density, baseline, _checked_fixations(xy_px, mask, density))


def cc(a: npt.ArrayLike, b: npt.ArrayLike) -> Float[Array, ""]:
    """Pearson correlation of two maps; 0 if either is constant.

    Symmetric, unchanged by scale and offset of either map.

    Raises:
        ValueError: if a map holds a NaN or infinite value, or the shapes differ.

    Source: the usual definition.
    """
    a, b = _checked_map(a, "a"), _checked_map(b, "b")
    _require_same_shape(a, "a", b, "b")
    return _cc(a, b)


def sim(a: npt.ArrayLike, b: npt.ArrayLike) -> Float[Array, ""]:
    """Histogram intersection: sum of the minima of two maps, each divided by its sum first.

    No rescaling by minimum and maximum. A zero map counts as uniform. Symmetric.

    Raises:
        ValueError: if a map holds a NaN, infinite or negative value, or the shapes differ.

    Source: the MIT saliency benchmark, without its rescaling to minimum 0 and maximum 1.
    """
    a, b = (
        _checked_map(a, "a", allow_negative=False),
        _checked_map(b, "b", allow_negative=False),
    )
    _require_same_shape(a, "a", b, "b")
    return _sim(a, b)


def kld(*, target: npt.ArrayLike, prediction: npt.ArrayLike) -> Float[Array, ""]:
    """Kullback-Leibler divergence of the target from the prediction, in nats.

    sum Q log(eps + Q / (P + eps)), with Q the target and P the prediction, each divided by its sum
    first, eps 2.2204e-16. A zero map counts as uniform.

    Raises:
        ValueError: if a map holds a NaN, infinite or negative value, or the shapes differ.

    Source: the definition of the MIT saliency benchmark.
    """
    target = _checked_map(target, "target", allow_negative=False)
    prediction = _checked_map(prediction, "prediction", allow_negative=False)
    _require_same_shape(target, "target", prediction, "prediction")
    return _kld(target, prediction)


def fixation_counts(
    xy_px: npt.ArrayLike, map_size: tuple[int, int], mask: npt.ArrayLike | None = None
) -> Float[Array, "height width"]:
    """Number of fixations in each pixel of a map of (height, width).

    Raises:
        ValueError: if a fixation is outside.
    """
    canvas = jnp.zeros(map_size)
    fixations = _checked_fixations(xy_px, mask, canvas)
    return jnp.where(fixations.is_valid, _counts(fixations, canvas), jnp.nan)


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
    """Scores a batch of maps: everything is checked first, then computed by compiled calls.

    Args:
        names: which of `METRICS` to compute.
        saliency: the maps, float [map, height, width]; the density of `information_gain`, the
            prediction of `kld`.
        target: true maps, as `saliency`; for `cc`, `sim` and `kld`.
        xy_px: fixations, float [map, fixation, 2]; for the fixation metrics.
        mask: which of them count, bool [map, fixation].
        other_counts: for `sauc`: how many fixations on other images fall into each pixel, [map,
            height, width] or, the same for all maps, [height, width]; see `fixation_counts`.
        baseline: for `information_gain`: densities, as `saliency` or one [height, width] for all.

    Returns:
        For each name its value for each map; NaN where a map has no fixation that counts.

    Raises:
        ValueError: naming the argument: an unknown metric, an argument that a metric needs, a value
            or shape that the metric refuses.
    """
    for name in names:
        if name not in METRICS:
            raise ValueError(f"names has {name!r}; allowed: {', '.join(METRICS)}")
    maps = _checked_map(saliency, "saliency", ndim=3)
    given = {"xy_px": xy_px, "target": target, "other_counts": other_counts, "baseline": baseline}
    for name in names:
        for needed in _NEEDS[name]:
            if given[needed] is None:
                raise ValueError(f"{needed} is missing; {name} needs it")
    if not {"sim", "kld"}.isdisjoint(names):
        _require(bool((maps >= 0).all()), "saliency", "holds a negative value", "none below 0")
    if "information_gain" in names:
        _require_density(maps, "saliency")
    arrays: dict[str, Any] = {"saliency": maps}
    for key in ("target", "other_counts", "baseline"):
        values = given[key]
        if values is None:
            continue
        is_for_all = key != "target" and np.ndim(values) == 2
        checked = _checked_map(
            values, key, ndim=2 if is_for_all else 3, allow_negative=key == "target"
        )
        _require_same_shape(
            maps[0] if is_for_all else maps,
            "saliency[0]" if is_for_all else "saliency",
            checked,
            key,
        )
        if key == "baseline":
            _require_density(checked, key)
        if key == "target" and not {"sim", "kld"}.isdisjoint(names):
            _require(bool((checked >= 0).all()), key, "holds a negative value", "none below 0")
        arrays[key] = jnp.broadcast_to(checked, maps.shape)
    if xy_px is not None:
        arrays["fixations"] = _checked_fixations(xy_px, mask, maps)
    parts = []
    for start in range(0, len(maps), _MAPS_PER_CALL):
        rows = slice(start, start + _MAPS_PER_CALL)
        part = jax.tree.map(operator.itemgetter(rows), arrays)
        parts.append(_score(tuple(names), jax.tree.map(_padded, part)))
    found = jax.device_get(parts)
    return {name: np.concatenate([part[name] for part in found])[: len(maps)] for name in names}


def _padded(rows: Shaped[Array, "row *axis"]) -> Shaped[Array, "padded_row *axis"]:
    """Repeats the last row up to a power of two of rows, so that few shapes are ever compiled."""
    length = 1 << (len(rows) - 1).bit_length()
    return rows[jnp.minimum(jnp.arange(length), len(rows) - 1)] if length > len(rows) else rows


class _Fixations(NamedTuple):
    """Checked fixations: their pixels, which of them count, and whether all of those are inside."""

    row: Int[Array, "*map fixation"]
    column: Int[Array, "*map fixation"]
    counts: Bool[Array, "*map fixation"]
    is_valid: Bool[Array, "*map"]


@functools.partial(jax.jit, static_argnums=0)
def _score(names: tuple[str, ...], arrays: dict[str, Any]) -> dict[str, Array]:
    def score_one(arrays: dict[str, Any]) -> dict[str, Array]:
        saliency, target, fixations = (
            arrays.get(key) for key in ("saliency", "target", "fixations")
        )
        compute: dict[str, Any] = {
            "auc": lambda: _auc(saliency, fixations),
            "auc_judd": lambda: _auc_judd(saliency, fixations),
            "sauc": lambda: _sauc(saliency, fixations, arrays["other_counts"]),
            "nss": lambda: _nss(saliency, fixations),
            "information_gain": lambda: _information_gain(saliency, arrays["baseline"], fixations),
            "cc": lambda: _cc(saliency, target),
            "sim": lambda: _sim(saliency, target),
            "kld": lambda: _kld(target, saliency),
        }
        return {name: compute[name]() for name in names}

    return jax.vmap(score_one)(arrays)


@_jit
def _auc(saliency: Float[Array, "height width"], fixations: _Fixations) -> Float[Array, ""]:
    values = _values(saliency, fixations)
    thresholds = jnp.where(fixations.counts, values, jnp.inf)
    lost = _count_above(saliency, None, thresholds, thresholds, strict=True)
    return _or_nan(1 - lost / (fixations.counts.sum() * saliency.size), saliency, fixations)


@_jit
def _sauc(
    saliency: Float[Array, "height width"],
    fixations: _Fixations,
    other_counts: Float[Array, "height width"],
) -> Float[Array, ""]:
    values = _values(saliency, fixations)
    thresholds = jnp.where(fixations.counts, values, jnp.inf)
    lost = _count_above(saliency, other_counts, thresholds, thresholds, strict=True)
    share_lost = lost / other_counts.sum() / fixations.counts.sum()
    return _or_nan(1 - share_lost, saliency, fixations)


@_jit
def _auc_judd(saliency: Float[Array, "height width"], fixations: _Fixations) -> Float[Array, ""]:
    values = _values(saliency, fixations)
    # Between two neighbouring thresholds the hits rise by the fixations of the lower one, and the
    # area above the trapezoid is their share times the mean false alarms at the two.
    thresholds = jnp.where(fixations.counts, values, jnp.inf)
    is_higher = thresholds > values[:, None]
    next_higher = jnp.where(is_higher, thresholds, jnp.inf).min(axis=1, initial=jnp.inf)
    next_higher = jnp.where(fixations.counts, next_higher, jnp.inf)
    # All pixels, less those fixated, each once: a map of the pixels that count takes twice as long.
    is_pixels_first = _is_pixels_first(fixations).astype(saliency.dtype)
    lost = _count_above(saliency, None, thresholds, next_higher, strict=False)
    lost -= _count_above(values, is_pixels_first, thresholds, next_higher, strict=False)
    num_never_fixated = saliency.size - is_pixels_first.sum()
    share_lost = lost / num_never_fixated / fixations.counts.sum()
    return _or_nan(1 - share_lost, saliency, fixations)


@_jit
def _nss(saliency: Float[Array, "height width"], fixations: _Fixations) -> Float[Array, ""]:
    deviation = _deviation(saliency)
    return _or_nan(_mean_at(deviation, fixations) / _norm(deviation), saliency, fixations)


@_jit
def _information_gain(
    density: Float[Array, "height width"],
    baseline: Float[Array, "height width"],
    fixations: _Fixations,
) -> Float[Array, ""]:
    at_fixations = [_values(density, fixations), _values(baseline, fixations)]
    # One where it does not count, so that neither the logarithm nor its gradient is infinite there.
    gain, base = (jnp.log2(jnp.where(fixations.counts, value, 1.0)) for value in at_fixations)
    number = fixations.counts.sum()
    return _or_nan((gain - base).sum() / number, density, fixations)


@_jit
def _cc(a: Float[Array, "height width"], b: Float[Array, "height width"]) -> Float[Array, ""]:
    a, b = _deviation(a), _deviation(b)
    return (a * b).mean() / (_norm(a) * _norm(b))


@_jit
def _sim(a: Float[Array, "height width"], b: Float[Array, "height width"]) -> Float[Array, ""]:
    a, b = _relative(a), _relative(b)
    # As jnp.minimum, but XLA's kernels on CPU are much slower where they fuse it with the sum.
    smaller = jnp.where((a < b) | jnp.isnan(a), a, b)
    return smaller.mean()


@_jit
def _kld(
    target: Float[Array, "height width"], prediction: Float[Array, "height width"]
) -> Float[Array, ""]:
    target, prediction = _relative(target), _relative(prediction)
    # Both are as many times larger as the map has pixels, and so is what is added to one.
    ratio = target / (prediction + target.size * _KLD_EPSILON)
    terms = target * jnp.log(_KLD_EPSILON + ratio)
    # NaN as the logarithm has it; the choice keeps XLA on CPU from a slow kernel, see `_sim`.
    return jnp.where(target < 0, jnp.nan, terms).mean()


def _deviation(saliency: Float[Array, "height width"]) -> Float[Array, "height width"]:
    """Deviation from the mean, in units of the map's range: float32 can square that at any scale.

    Zero for a constant map, which is one without a range: rounding gives a map of all 0.1 a small
    deviation. The unit cancels out of every result, and so takes no part in gradients.
    """
    span = jax.lax.stop_gradient(saliency.max() - saliency.min())
    return (saliency - _mean(saliency)) * jnp.where(span == 0, 0.0, 1 / span)


def _norm(deviation: Float[Array, "height width"]) -> Float[Array, ""]:
    """Standard deviation of a map of mean zero; 1 if it is zero everywhere."""
    variance = (deviation * deviation).mean()
    return jnp.sqrt(jnp.where(variance == 0, 1.0, variance))


def _relative(saliency: Float[Array, "height width"]) -> Float[Array, "height width"]:
    """Divided by its mean; a zero map becomes uniform."""
    mean = _mean(saliency)
    is_zero = mean == 0
    # Chosen per map: choosing per pixel takes longer.
    return saliency * (1 / jnp.where(is_zero, 1.0, mean)) + jnp.where(is_zero, 1.0, 0.0)


def _mean(saliency: Float[Array, "height width"]) -> Float[Array, ""]:
    """Mean of the rows' means: no sum grows so large that float32 overflows on a map of 1e30."""
    return saliency.mean(axis=1).mean()


def _values(
    saliency: Float[Array, "height width"], fixations: _Fixations
) -> Float[Array, " fixation"]:
    return saliency[fixations.row, fixations.column]


def _mean_at(saliency: Float[Array, "height width"], fixations: _Fixations) -> Float[Array, ""]:
    values = jnp.where(fixations.counts, _values(saliency, fixations), 0.0)
    return values.sum() / fixations.counts.sum()


def _counts(
    fixations: _Fixations, saliency: Float[Array, "height width"]
) -> Float[Array, "height width"]:
    counted = fixations.counts.astype(saliency.dtype)
    return jnp.zeros_like(saliency).at[fixations.row, fixations.column].add(counted)


def _is_pixels_first(fixations: _Fixations) -> Bool[Array, " fixation"]:
    """Whether a fixation counts and no fixation before it that counts is in the same pixel."""
    is_same = (fixations.row[:, None] == fixations.row) & (
        fixations.column[:, None] == fixations.column
    )
    is_before = jnp.tri(len(fixations.row), k=-1, dtype=bool)
    return fixations.counts & ~(is_same & is_before & fixations.counts).any(axis=1)


def _count_above(
    saliency: Float[Array, "*pixel"],
    weight: Float[Array, "*pixel"] | None,
    lower: Float[Array, " threshold"],
    upper: Float[Array, " threshold"],
    *,
    strict: bool,
) -> Float[Array, ""]:
    """Sums over thresholds: half of the pixels at or above `lower`, half of those above `upper`.

    Pixels count by weight. `strict` says whether a pixel equal to `upper` is above it.

    Comparing every pixel with every threshold at once would write an array of pixels times
    thresholds. Instead each pass goes over the pixels once, with 8-bit counts that stay in
    registers.
    """
    total = jnp.zeros((), saliency.dtype)
    for start in range(0, lower.shape[0], _FIXATIONS_PER_PASS):
        counts = jnp.zeros(saliency.shape, jnp.int8)
        for number in range(start, min(start + _FIXATIONS_PER_PASS, lower.shape[0])):
            is_above = saliency > upper[number] if strict else saliency >= upper[number]
            counts += (saliency >= lower[number]).astype(jnp.int8) + is_above.astype(jnp.int8)
        if weight is None:
            total += counts.sum(dtype=jnp.int32).astype(saliency.dtype)
        else:
            # Without the choice, XLA on CPU writes each comparison to memory: ten times slower.
            total += jnp.where(weight > 0, counts * weight, 0.0).sum()
    return total / 2


def _or_nan(
    value: Float[Array, ""], saliency: Float[Array, "height width"], fixations: _Fixations
) -> Float[Array, ""]:
    # By the mean: XLA's maximum on CPU passes over NaN.
    is_valid = fixations.is_valid & ~jnp.isnan(_mean(saliency))
    return jnp.where(is_valid & fixations.counts.any(), value, jnp.nan)


def _is_concrete(*values: Any) -> bool:
    return not any(isinstance(value, jax.core.Tracer) for value in values)


def _checked_map(
    values: npt.ArrayLike, name: str, *, ndim: int = 2, allow_negative: bool = True
) -> Float[Array, "..."]:
    """A map as an array of at least float32; its values are checked where there are any."""
    array = jnp.asarray(values)
    array = array.astype(jnp.promote_types(array.dtype, jnp.float32))
    axes = "[map, height, width]" if ndim == 3 else "[height, width]"
    _require(
        array.ndim == ndim and array.size > 0,
        name,
        f"has shape {array.shape}",
        f"{axes}, not empty",
    )
    _require(
        bool(jnp.issubdtype(array.dtype, jnp.floating)), name, f"is {array.dtype}", "real numbers"
    )
    if _is_concrete(array):
        host = np.asarray(array)
        _require(
            bool(np.isfinite(host).all()),
            name,
            f"holds a NaN or infinite value (as {host.dtype})",
            "finite numbers",
        )
        if not allow_negative:
            _require(bool((host >= 0).all()), name, "holds a negative value", "none below 0")
    return array


def _checked_density(values: npt.ArrayLike, name: str) -> Float[Array, "height width"]:
    density = _checked_map(values, name)
    if _is_concrete(density):
        _require_density(density, name)
    return density


def _require_density(density: Float[Array, "*map height width"], name: str) -> None:
    host = np.asarray(density)
    _require(bool((host > 0).all()), name, f"holds {host.min():g}", "positive numbers everywhere")
    sums = host.sum(axis=(-2, -1), dtype=np.float64)
    worst = np.ravel(sums)[np.argmax(np.abs(np.ravel(sums) - 1))]
    is_close = bool(abs(worst - 1) <= _SUM_TOLERANCE)
    _require(is_close, name, f"sums to {worst:g}", "a density that sums to 1")


def _checked_fixations(
    xy_px: npt.ArrayLike,
    mask: npt.ArrayLike | None,
    saliency: Float[Array, "*map height width"],
    xy_name: str = "xy_px",
    mask_name: str = "mask",
) -> _Fixations:
    """The pixels of fixations on a map, or of each map of a batch."""
    height, width = saliency.shape[-2:]
    batch = saliency.shape[:-2]
    axes = "[map, fixation, 2]" if batch else "[fixation, 2]"
    # On the host in full precision: 127.99999999 is inside, though float32 rounds it to 128.
    module: Any = np if _is_concrete(xy_px) else jnp
    points = module.asarray(xy_px)
    _require(
        points.ndim == len(batch) + 2 and points.shape[-1] == 2 and points.shape[:-2] == batch,
        xy_name,
        f"has shape {points.shape}",
        f"{axes}" + (f" with {batch[0]} maps" if batch else ""),
    )
    counts = jnp.ones(points.shape[:-1], bool) if mask is None else jnp.asarray(mask).astype(bool)
    _require(
        counts.shape == points.shape[:-1],
        mask_name,
        f"has shape {counts.shape}",
        f"the {points.shape[:-1]} of {xy_name}",
    )
    x, y = points[..., 0], points[..., 1]
    is_inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if _is_concrete(points, counts):
        outside = np.argwhere(np.asarray(counts) & ~is_inside)
        if len(outside):
            place = tuple(outside[0].tolist())
            raise ValueError(
                f"{xy_name}[{', '.join(map(str, place))}] is (x, y) = ({x[place]:g}, {y[place]:g});"
                f" allowed: inside the map, 0 <= x < {width} and 0 <= y < {height}"
            )
    column, row = (
        jnp.asarray(module.floor(module.where(is_inside, side, 0)).astype(np.int32))
        for side in (x, y)
    )
    is_inside = jnp.asarray(is_inside)
    return _Fixations(row, column, counts, (is_inside | ~counts).all(axis=-1))


def _require_same_shape(one: Array, one_name: str, other: Array, other_name: str) -> None:
    _require(
        one.shape == other.shape,
        other_name,
        f"has shape {other.shape}",
        f"that of {one_name}, {one.shape}",
    )


def _require(is_allowed: bool, name: str, found: str, allowed: str) -> None:
    if not is_allowed:
        raise ValueError(f"{name} {found}; allowed: {allowed}")
