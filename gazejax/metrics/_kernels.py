"""The arithmetic of the saliency metrics, without checks."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

KLD_EPSILON = 2.2204e-16

# Fixations that are counted in one pass over the map: the counts of two comparisons fit in 8 bits.
_FIXATIONS_PER_PASS = 32

# With more fixations than this, the pixels are sorted: passes take longer, also to compile.
_MOST_COMPARED = 1024

_MOST_INT32 = 2**31 - 1

# Sums of a map of any float32 times this stay inside float32.
_SMALL = 2.0**-40

# The variance is the mean square minus the squared mean where it is at least this share of the mean
# square, so that the difference loses no more than eight bits of float32.
_LEAST_VARIANCE_SHARE = 1 / 256

RANK_METRICS = ("auc", "auc_judd", "sauc")

_jit = functools.partial(jax.jit, inline=True)


class Fixations(NamedTuple):
    """Checked fixations: pixel indices, which ones count, and whether all of these are inside.

    Concrete fixations are NumPy's arrays.
    """

    row: Int[Array | np.ndarray, "*map fixation"]
    column: Int[Array | np.ndarray, "*map fixation"]
    counts: Bool[Array | np.ndarray, "*map fixation"]
    is_valid: Bool[Array | np.ndarray, "*map"]


@functools.partial(jax.jit, static_argnums=0)
def score(names: tuple[str, ...], arrays: dict[str, Any]) -> dict[str, Array]:
    """The metrics of each map; with a metric of ranks also its `ties`."""

    def score_one(arrays: dict[str, Any]) -> dict[str, Array]:
        saliency, target, fixations = (
            arrays.get(key) for key in ("saliency", "target", "fixations")
        )
        # What `_rounding` makes of maps that float32 does not hold, for a kind of metric.
        ranks = arrays.get("saliency_ranks", saliency)
        moments, target_moments = (
            arrays.get("saliency_moments", saliency),
            arrays.get("target_moments", target),
        )
        shares, target_shares = (
            arrays.get("saliency_shares", saliency),
            arrays.get("target_shares", target),
        )
        compute: dict[str, Any] = {
            "auc": lambda: auc(ranks, fixations),
            "auc_judd": lambda: auc_judd(ranks, fixations),
            "sauc": lambda: sauc(ranks, fixations, arrays["other_counts"]),
            "nss": lambda: nss(moments, fixations),
            "information_gain": lambda: information_gain(saliency, arrays["baseline"], fixations),
            "cc": lambda: cc(moments, target_moments),
            "sim": lambda: sim(shares, target_shares),
            "kld": lambda: kld(target_shares, shares),
        }
        found = {name: compute[name]() for name in names}
        for name in RANK_METRICS:
            if name in found:
                found[name], found["ties"] = found[name]
        return found

    return jax.vmap(score_one)(arrays)


@_jit
def auc(
    saliency: Float[Array, "height width"], fixations: Fixations
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """The metric, and the ties as `_others_that_tie` has them; so do the other metrics of ranks."""
    values = _values(saliency, fixations)
    thresholds = jnp.where(fixations.counts, values, jnp.inf)
    lost, ties = _count_above(saliency, None, thresholds, thresholds, strict=True)
    # As floats: the product of whole numbers would overflow.
    num_pairs = fixations.counts.sum().astype(saliency.dtype) * float(saliency.size)
    value = _or_nan(1 - lost / num_pairs, saliency * _SMALL, fixations)
    return value, _others_that_tie(ties, saliency, fixations)


@_jit
def sauc(
    saliency: Float[Array, "height width"],
    fixations: Fixations,
    other_counts: Float[Array, "height width"],
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    values = _values(saliency, fixations)
    thresholds = jnp.where(fixations.counts, values, jnp.inf)
    lost, ties = _count_above(saliency, other_counts, thresholds, thresholds, strict=True)
    share_lost = lost / other_counts.sum() / fixations.counts.sum()
    value = _or_nan(1 - share_lost, saliency * _SMALL, fixations)
    return value, _others_that_tie(ties, saliency, fixations)


@_jit
def auc_judd(
    saliency: Float[Array, "height width"], fixations: Fixations
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    values = _values(saliency, fixations)
    # Between two neighboring thresholds, the hits increase by the fixations at the lower threshold.
    # The area above the trapezoid is the share of these fixations times the mean false alarm rate
    # at the two thresholds.
    thresholds = jnp.where(fixations.counts, values, jnp.inf)
    next_higher = jnp.where(fixations.counts, _next_higher(values, thresholds), jnp.inf)
    # Counts all pixels, then subtracts each fixated pixel once. Masking the map instead would take
    # twice as long.
    is_pixels_first = _is_pixels_first(fixations, saliency.shape).astype(saliency.dtype)
    lost, ties = _count_above(saliency, None, thresholds, next_higher, strict=False)
    lost -= _count_above(values, is_pixels_first, thresholds, next_higher, strict=False)[0]
    num_never_fixated = float(saliency.size) - is_pixels_first.sum()
    share_lost = lost / num_never_fixated / fixations.counts.sum()
    value = _or_nan(1 - share_lost, saliency * _SMALL, fixations)
    return value, _others_that_tie(ties, saliency, fixations)


@_jit
def nss(saliency: Float[Array, "height width"], fixations: Fixations) -> Float[Array, ""]:
    deviation = _deviation(saliency)
    return _or_nan(_mean_at(deviation, fixations) / _norm(deviation), saliency, fixations)


@jax.custom_jvp
@_jit
def nss_by_moments(
    saliency: Float[Array, "height width"], fixations: Fixations
) -> Float[Array, ""]:
    """`nss` in two passes over most maps, from the means and mean squares of rows.

    The deviation of a map is written to memory only where the moments are not precise enough: the
    range is small beside the offset, or squares leave float32. Then the loop runs once. It is a
    loop because both branches of a condition are computed inside `vmap`.
    """
    row_mean, row_square = saliency.mean(axis=1), (saliency * saliency).mean(axis=1)
    mean, square = row_mean.mean(), row_square.mean()
    # Within rows and between rows: their errors are independent and cancel in the mean.
    variance = (row_square - row_mean * row_mean).mean() + jnp.square(row_mean - mean).mean()
    is_precise = (variance > square * _LEAST_VARIANCE_SHARE) & (square > 1e-30) & (square < 1e30)
    value = (_mean_at(saliency, fixations) - mean) / jnp.sqrt(variance)

    def by_deviation(state: tuple[Array, Array]) -> tuple[Array, Array]:
        # Depends on the state, or XLA computes it before the loop, whether or not that runs.
        values, _ = jax.lax.optimization_barrier((saliency, state))
        return nss(values, fixations), jnp.array(True)

    state = (_or_nan(value, saliency, fixations), is_precise | jnp.isnan(mean))
    return jax.lax.while_loop(lambda state: ~state[1], by_deviation, state)[0]


@nss_by_moments.defjvp
def _nss_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    saliency, fixations = primals
    return jax.jvp(lambda values: nss(values, fixations), (saliency,), (tangents[0],))


@_jit
def information_gain(
    density: Float[Array, "height width"],
    baseline: Float[Array, "height width"],
    fixations: Fixations,
) -> Float[Array, ""]:
    at_fixations = [_values(density, fixations), _values(baseline, fixations)]
    # Fixations that do not count get the value 1: the logarithm and its gradient stay finite.
    gain, base = (jnp.log2(jnp.where(fixations.counts, value, 1.0)) for value in at_fixations)
    number = fixations.counts.sum()
    return _or_nan((gain - base).sum() / number, density, fixations)


@_jit
def cc(a: Float[Array, "height width"], b: Float[Array, "height width"]) -> Float[Array, ""]:
    a, b = _deviation(a), _deviation(b)
    return (a * b).mean() / (_norm(a) * _norm(b))


@_jit
def sim(a: Float[Array, "height width"], b: Float[Array, "height width"]) -> Float[Array, ""]:
    is_negative = (a < 0) | (b < 0)
    a, b = _relative(a), _relative(b)
    # Equal to jnp.minimum, which XLA on CPU fuses with the sum to a much slower kernel.
    smaller = jnp.where((a < b) | jnp.isnan(a), a, b)
    # NaN as in `kld`. Selecting pixel by pixel takes no other pass over the maps.
    return jnp.where(is_negative, jnp.nan, smaller).mean()


@_jit
def kld(
    target: Float[Array, "height width"], prediction: Float[Array, "height width"]
) -> Float[Array, ""]:
    is_negative = (target < 0) | (prediction < 0)
    target, prediction = _relative(target), _relative(prediction)
    # Both maps have a mean of 1 instead of a sum of 1: epsilon is scaled by the number of pixels.
    ratio = target / (prediction + target.size * KLD_EPSILON)
    terms = target * jnp.log(KLD_EPSILON + ratio)
    # NaN as the logarithm gives it. Selecting avoids a slow kernel of XLA on CPU, see `sim`.
    return jnp.where(is_negative, jnp.nan, terms).mean()


def _deviation(saliency: Float[Array, "height width"]) -> Float[Array, "height width"]:
    """Deviation from the mean, divided by the range of the map.

    The division keeps squares within float32 at any scale of the map. The result is zero for a map
    whose range is zero: rounding would give a constant map of 0.1 a small deviation. The range
    cancels out of every result, so no gradient is taken through it.
    """
    span = jax.lax.stop_gradient(saliency.max() - saliency.min())
    return (saliency - _mean(saliency)) * jnp.where(span == 0, 0.0, 1 / span)


def _norm(deviation: Float[Array, "height width"]) -> Float[Array, ""]:
    """Standard deviation of a map of mean zero; 1 if it is zero everywhere."""
    variance = (deviation * deviation).mean()
    return jnp.sqrt(jnp.where(variance == 0, 1.0, variance))


def _relative(saliency: Float[Array, "height width"]) -> Float[Array, "height width"]:
    """The map divided by its mean; a zero map becomes uniform, one of a mean beyond float32 NaN.

    The map is first divided by the power of two next to the mean. A power of two is exact, and no
    gradient is taken through it. The gradient, which holds the square of the mean, then stays
    inside float32 at any scale of the map.
    """
    mean = _mean(saliency)
    is_zero = mean == 0
    size = jnp.where(is_zero, 1.0, mean)
    scale = _power_of_two(size)
    # Selecting once for each map takes less time than once for each pixel.
    share = jnp.where(jnp.isinf(mean), jnp.nan, 1 / (size * scale))
    return saliency * scale * share + jnp.where(is_zero, 1.0, 0.0)


def _power_of_two(size: Float[Array, ""]) -> Float[Array, ""]:
    """A power of two that makes the size about 1, without a gradient."""
    _, exponent = jnp.frexp(jax.lax.stop_gradient(size))
    # It, and what it gives, are neither infinite nor below the least normal number.
    most = int(jnp.finfo(size.dtype).maxexp) - 2
    return jnp.ldexp(jnp.ones_like(size), jnp.clip(-exponent, -most, most))


def _mean(saliency: Float[Array, "height width"]) -> Float[Array, ""]:
    """Mean of the means of rows, whose sums do not overflow float32 on a map of 1e30."""
    return saliency.mean(axis=1).mean()


def _values(
    saliency: Float[Array, "height width"], fixations: Fixations
) -> Float[Array, " fixation"]:
    return saliency[fixations.row, fixations.column]


def _mean_at(saliency: Float[Array, "height width"], fixations: Fixations) -> Float[Array, ""]:
    values = jnp.where(fixations.counts, _values(saliency, fixations), 0.0)
    return values.sum() / fixations.counts.sum()


@_jit
def counts(
    fixations: Fixations, saliency: Float[Array, "height width"]
) -> Float[Array, "height width"]:
    # In whole numbers, since float32 cannot count beyond 2 ** 24.
    none, counted = jnp.zeros(saliency.shape, jnp.int32), jnp.asarray(fixations.counts, jnp.int32)
    return none.at[fixations.row, fixations.column].add(counted).astype(saliency.dtype)


def _next_higher(
    values: Float[Array, " fixation"], thresholds: Float[Array, " fixation"]
) -> Float[Array, " fixation"]:
    """The lowest threshold above each value; infinity above the highest."""
    if len(thresholds) > _MOST_COMPARED:
        ordered = jnp.append(jnp.sort(thresholds), jnp.inf)
        return ordered[jnp.searchsorted(ordered[:-1], values, side="right")]
    is_higher = thresholds > values[:, None]
    return jnp.where(is_higher, thresholds, jnp.inf).min(axis=1, initial=jnp.inf)


def _is_pixels_first(fixations: Fixations, map_shape: tuple[int, ...]) -> Bool[Array, " fixation"]:
    """Whether a fixation counts and is the first fixation that counts in its pixel."""
    if len(fixations.row) > _MOST_COMPARED:
        number = jnp.arange(len(fixations.row))
        place = (fixations.row, fixations.column)
        first = (
            jnp.full(map_shape, len(number))
            .at[place]
            .min(jnp.where(fixations.counts, number, len(number)))
        )
        return jnp.asarray(fixations.counts) & (first[place] == number)
    is_same = (fixations.row[:, None] == fixations.row) & (
        fixations.column[:, None] == fixations.column
    )
    is_before = jnp.tri(len(fixations.row), k=-1, dtype=bool)
    return jnp.asarray(fixations.counts) & ~(is_same & is_before & fixations.counts).any(axis=1)


def _count_above(
    saliency: Float[Array, "*pixel"],
    weight: Float[Array, "*pixel"] | None,
    lower: Float[Array, " threshold"],
    upper: Float[Array, " threshold"],
    *,
    strict: bool,
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """Sums over thresholds: half of the pixels at or above `lower`, half of those above `upper`.

    Pixels count by weight. With `strict`, which needs `upper` to be `lower`, a pixel equal to
    `upper` is not above it. The second result is the number of pixels, without weights, that are
    equal to `lower`.

    Comparing every pixel with every threshold at once would write an array of size pixels times
    thresholds. Instead, each pass goes over the pixels once, with 8-bit counts that stay in
    registers. Both sums of a pass are taken in one loop: XLA on CPU would compare again for the
    second one.
    """
    ties = jnp.zeros((), jnp.int32)
    if lower.shape[0] > _MOST_COMPARED:
        above_upper = _sum_above(saliency, weight, upper, "right" if strict else "left")
        return (_sum_above(saliency, weight, lower, "left") + above_upper) / 2, ties
    # The counts of a pass over more pixels than this do not fit in 32 bits.
    is_large = 2 * _FIXATIONS_PER_PASS * saliency.size > _MOST_INT32
    dtype = jnp.int32 if weight is None and not is_large else saliency.dtype
    none = (jnp.zeros((), dtype), ties)
    total = jnp.zeros((), saliency.dtype)
    for start in range(0, lower.shape[0], _FIXATIONS_PER_PASS):
        above_lower = above_upper = equal = jnp.zeros(saliency.shape, jnp.int8)
        for number in range(start, min(start + _FIXATIONS_PER_PASS, lower.shape[0])):
            is_above = saliency > upper[number] if strict else saliency >= upper[number]
            above_lower += (saliency >= lower[number]).astype(jnp.int8)
            above_upper += is_above.astype(jnp.int8)
            if not strict:
                equal += (saliency == lower[number]).astype(jnp.int8)
        counts = above_lower + above_upper
        equal = above_lower - above_upper if strict else equal
        # Without jnp.where, XLA on CPU writes each comparison to memory: ten times slower.
        counted = counts if weight is None else jnp.where(weight > 0, counts * weight, 0.0)
        parts = (counted.astype(dtype), equal.astype(jnp.int32))
        counted, equal = jax.lax.reduce(parts, none, _added, (saliency.ndim - 1,))
        total += counted.sum().astype(saliency.dtype)
        ties += equal.sum(dtype=jnp.int32)
    return total / 2, ties


def _added(one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
    return one[0] + other[0], one[1] + other[1]


def _others_that_tie(
    ties: Int[Array, ""], saliency: Float[Array, "height width"], fixations: Fixations
) -> Int[Array, ""]:
    """Out of the ties of fixations with pixels, those with pixels that no fixation is in.

    The result is -1 if the ties were not counted.
    """
    values = _values(saliency, fixations)
    if len(values) > _MOST_COMPARED or len(values) * saliency.size > _MOST_INT32:
        return jnp.full((), -1, jnp.int32)
    is_first = _is_pixels_first(fixations, saliency.shape)
    is_tie = (values[:, None] == values) & is_first[:, None] & fixations.counts
    return ties - is_tie.sum(dtype=jnp.int32)


def _sum_above(
    saliency: Float[Array, "*pixel"],
    weight: Float[Array, "*pixel"] | None,
    thresholds: Float[Array, " threshold"],
    side: str,
) -> Float[Array, ""]:
    """Sums over thresholds: the pixels, by weight, at or above it (left), or above it (right)."""
    values = saliency.ravel()
    if weight is None:
        ordered = jnp.sort(values)
        up_to = jnp.arange(len(values) + 1)
    else:
        order = jnp.argsort(values)
        ordered = values[order]
        up_to = jnp.concatenate([jnp.zeros(1, weight.dtype), jnp.cumsum(weight.ravel()[order])])
    below = up_to[jnp.searchsorted(ordered, thresholds, side=side)]
    above = (up_to[-1] - below).astype(saliency.dtype)
    return jnp.where(thresholds < jnp.inf, above, 0.0).sum()


def _or_nan(
    value: Float[Array, ""], saliency: Float[Array, "height width"], fixations: Fixations
) -> Float[Array, ""]:
    # The mean is NaN if any value is. XLA's maximum on CPU ignores NaN.
    is_valid = fixations.is_valid & ~jnp.isnan(_mean(saliency))
    return jnp.where(is_valid & fixations.counts.any(), value, jnp.nan)
