"""The arithmetic of the saliency metrics, without checks."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

KLD_EPSILON = 2.2204e-16

# Fixations that are counted in one pass over the map: more take long to compile.
_FIXATIONS_PER_PASS = 32

# With more fixations than this, the pixels are sorted: passes take longer, also to compile.
_MOST_COMPARED = 1024

RANK_METRICS = ("auc", "auc_judd", "sauc")

jit = functools.partial(jax.jit, inline=True)


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
    """The metrics of each map."""

    def score_one(arrays: dict[str, Any]) -> dict[str, Array]:
        saliency, target, fixations = (
            arrays.get(key) for key in ("saliency", "target", "fixations")
        )
        # What `_rounding` makes of maps that float32 does not hold, for a kind of metric.
        moments, target_moments = (
            arrays.get("saliency_moments", saliency),
            arrays.get("target_moments", target),
        )
        shares, target_shares = (
            arrays.get("saliency_shares", saliency),
            arrays.get("target_shares", target),
        )
        compute: dict[str, Any] = {
            "auc": lambda: auc(saliency, fixations),
            "auc_judd": lambda: auc_judd(saliency, fixations),
            "sauc": lambda: sauc(saliency, fixations, arrays["other_counts"]),
            "nss": lambda: nss(moments, fixations),
            "information_gain": lambda: information_gain(saliency, arrays["baseline"], fixations),
            "cc": lambda: cc(moments, target_moments),
            "sim": lambda: sim(shares, target_shares),
            "kld": lambda: kld(target_shares, shares),
        }
        return {name: compute[name]() for name in names}

    # A map that is one for all is not repeated.
    axes = {key: None if getattr(part, "ndim", 3) == 2 else 0 for key, part in arrays.items()}
    return jax.vmap(score_one, in_axes=(axes,))(arrays)


@jit
def auc(saliency: Float[Array, "height width"], fixations: Fixations) -> Float[Array, ""]:
    keys, thresholds = _keys(saliency), _thresholds(saliency, fixations)
    lost = _count_above(keys, None, thresholds, thresholds, strict=True)
    # As floats: the product of whole numbers would overflow.
    num_pairs = fixations.counts.sum().astype(lost.dtype) * float(saliency.size)
    return _if_fixated(1 - lost / num_pairs, fixations)


@jit
def sauc(
    saliency: Float[Array, "height width"],
    fixations: Fixations,
    other_counts: Float[Array, "height width"],
) -> Float[Array, ""]:
    keys, thresholds = _keys(saliency), _thresholds(saliency, fixations)
    lost = _count_above(keys, other_counts, thresholds, thresholds, strict=True)
    share_lost = lost / other_counts.sum() / fixations.counts.sum()
    return _if_fixated(1 - share_lost, fixations)


@jit
def auc_judd(saliency: Float[Array, "height width"], fixations: Fixations) -> Float[Array, ""]:
    keys, thresholds = _keys(saliency), _thresholds(saliency, fixations)
    values = _keys(_values(saliency, fixations))
    # Between two neighboring thresholds, the hits increase by the fixations at the lower threshold.
    # The area above the trapezoid is the share of these fixations times the mean false alarm rate
    # at the two thresholds.
    highest = jnp.iinfo(keys.dtype).max
    next_higher = jnp.where(fixations.counts, _next_higher(values, thresholds), highest)
    # Counts all pixels, then subtracts each fixated pixel once. Masking the map instead would take
    # twice as long.
    is_pixels_first = _is_pixels_first(fixations, saliency.shape).astype(saliency.dtype)
    lost = _count_above(keys, None, thresholds, next_higher, strict=False)
    lost -= _count_above(values, is_pixels_first, thresholds, next_higher, strict=False)
    num_never_fixated = float(saliency.size) - is_pixels_first.sum()
    share_lost = lost / num_never_fixated / fixations.counts.sum()
    return _if_fixated(1 - share_lost, fixations)


def unless_nan(
    value: Float[Array, ""], saliency: Float[Array | np.ndarray, "height width"]
) -> Float[Array, ""]:
    """A metric of ranks, which does not see a NaN, of a map that may hold one."""
    return jnp.where(jnp.isnan(saliency).any(), jnp.nan, value)


@jit
def nss(saliency: Float[Array, "height width"], fixations: Fixations) -> Float[Array, ""]:
    deviation = _deviation(saliency)
    return or_nan(mean_at(deviation, fixations) / _norm(deviation), saliency, fixations)


@jit
def information_gain(
    density: Float[Array, "height width"],
    baseline: Float[Array, "height width"],
    fixations: Fixations,
) -> Float[Array, ""]:
    at_fixations = [_values(density, fixations), _values(baseline, fixations)]
    # Fixations that do not count get the value 1: the logarithm and its gradient stay finite.
    gain, base = (jnp.log2(jnp.where(fixations.counts, value, 1.0)) for value in at_fixations)
    number = fixations.counts.sum()
    return or_nan((gain - base).sum() / number, density, fixations)


@jit
def cc(a: Float[Array, "height width"], b: Float[Array, "height width"]) -> Float[Array, ""]:
    a, b = _deviation(a), _deviation(b)
    return (a * b).mean() / (_norm(a) * _norm(b))


@jit
def sim(a: Float[Array, "height width"], b: Float[Array, "height width"]) -> Float[Array, ""]:
    is_negative = (a < 0) | (b < 0)
    a, b = _relative(a), _relative(b)
    # Equal to jnp.minimum, which XLA on CPU fuses with the sum to a much slower kernel.
    smaller = jnp.where((a < b) | jnp.isnan(a), a, b)
    # NaN as in `kld`. Selecting pixel by pixel takes no other pass over the maps.
    return jnp.where(is_negative, jnp.nan, smaller).mean()


@jit
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


@jax.custom_jvp
def _relative(saliency: Float[Array, "height width"]) -> Float[Array, "height width"]:
    """The map divided by its mean; a zero map becomes uniform, one of a mean beyond float32 NaN."""
    mean = _mean(saliency)
    is_zero = mean == 0
    # Selecting once for each map takes less time than once for each pixel.
    share = jnp.where(jnp.isinf(mean), jnp.nan, 1 / jnp.where(is_zero, 1.0, mean))
    return saliency * share + jnp.where(is_zero, 1.0, 0.0)


@_relative.defjvp
def _relative_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """The map is first divided by the power of two next to the mean.

    A power of two is exact, and no derivative is taken through it. The derivative, which holds the
    square of the mean, then stays inside float32 at any scale of the map.
    """

    def by_steps(saliency: Float[Array, "height width"]) -> Float[Array, "height width"]:
        mean = _mean(saliency)
        is_zero = mean == 0
        size = jnp.where(is_zero, 1.0, mean)
        scale = _power_of_two(size)
        share = jnp.where(jnp.isinf(mean), jnp.nan, 1 / (size * scale))
        return saliency * scale * share + jnp.where(is_zero, 1.0, 0.0)

    return jax.jvp(by_steps, primals, tangents)


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


def mean_at(saliency: Float[Array, "height width"], fixations: Fixations) -> Float[Array, ""]:
    values = jnp.where(fixations.counts, _values(saliency, fixations), 0.0)
    return values.sum() / fixations.counts.sum()


@jit
def counts(
    fixations: Fixations, saliency: Float[Array, "height width"]
) -> Float[Array, "height width"]:
    # In whole numbers, since float32 cannot count beyond 2 ** 24.
    none, counted = jnp.zeros(saliency.shape, jnp.int32), jnp.asarray(fixations.counts, jnp.int32)
    return none.at[fixations.row, fixations.column].add(counted).astype(saliency.dtype)


def _keys(saliency: Float[Array, "*pixel"]) -> Int[Array, "*pixel"]:
    """Whole numbers in the order of the values; equal values have equal ones, and so do both zeros.

    XLA on CPU compares floats below the least normal one as zero. Whole numbers of the same width
    also take it less time.
    """
    dtype = jnp.int64 if saliency.dtype.itemsize == 8 else jnp.int32
    bits = jax.lax.bitcast_convert_type(saliency, dtype)
    # A float is a sign and a size. With the sign, the bits are the lowest number plus the size.
    return jnp.where(bits < 0, jnp.iinfo(dtype).min - bits, bits)


def _thresholds(
    saliency: Float[Array, "height width"], fixations: Fixations
) -> Int[Array, " fixation"]:
    """The keys at fixations; above all keys for a fixation that does not count."""
    # Of few values: of all keys, XLA on CPU would first write an array.
    keys = _keys(_values(saliency, fixations))
    return jnp.where(fixations.counts, keys, jnp.iinfo(keys.dtype).max)


def _next_higher(
    values: Int[Array, " fixation"], thresholds: Int[Array, " fixation"]
) -> Int[Array, " fixation"]:
    """The lowest threshold above each value; the highest number above the highest."""
    highest = jnp.iinfo(thresholds.dtype).max
    if len(thresholds) > _MOST_COMPARED:
        ordered = jnp.append(jnp.sort(thresholds), highest)
        return ordered[jnp.searchsorted(ordered[:-1], values, side="right")]
    is_higher = thresholds > values[:, None]
    return jnp.where(is_higher, thresholds, highest).min(axis=1, initial=highest)


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
    keys: Int[Array, "*pixel"],
    weight: Float[Array, "*pixel"] | None,
    lower: Int[Array, " threshold"],
    upper: Int[Array, " threshold"],
    *,
    strict: bool,
) -> Float[Array, ""]:
    """Sums over thresholds: half of the pixels at or above `lower`, half of those above `upper`.

    Pixels count by weight. With `strict`, a pixel equal to `upper` is not above it.

    Comparing every pixel with every threshold at once would write an array of size pixels times
    thresholds. Instead, each pass goes over the pixels once, with counts that stay in registers.
    The counts have the width of the keys, so that XLA on CPU adds a comparison as it is.
    """
    dtype = jnp.float64 if keys.dtype.itemsize == 8 else jnp.float32
    # At or above a number is above the one before it: one comparison fewer to invert.
    lower = lower - 1
    upper = upper if strict else upper - 1
    if lower.shape[0] > _MOST_COMPARED:
        above_upper = _sum_above(keys, weight, upper, dtype)
        return (_sum_above(keys, weight, lower, dtype) + above_upper) / 2
    # The counts of a pass over more pixels than this do not fit in 32 bits.
    is_large = 2 * _FIXATIONS_PER_PASS * keys.size > jnp.iinfo(keys.dtype).max
    none = jnp.zeros((), keys.dtype)
    total = jnp.zeros((), dtype)
    for start in range(0, lower.shape[0], _FIXATIONS_PER_PASS):
        counts = [jnp.zeros(keys.shape, keys.dtype)] * 2
        for number in range(start, min(start + _FIXATIONS_PER_PASS, lower.shape[0])):
            for at, side in enumerate((lower, upper)):
                counts[at] += (keys > side[number]).astype(keys.dtype)
        if weight is None:
            # Of both in one reduction: XLA on CPU makes a slower loop of the sum of their sum.
            sums = sum(jax.lax.reduce(counts, [none, none], _added, (keys.ndim - 1,)))
            total += sums.astype(dtype if is_large else keys.dtype).sum().astype(dtype)
        else:
            # Without jnp.where, XLA on CPU writes each comparison to memory: ten times slower.
            weighted = sum(counts) * weight.astype(dtype)
            total += jnp.where(weight > 0, weighted, 0.0).sum()
    return total / 2


def _added(one: list[Array], other: list[Array]) -> list[Array]:
    return [one[0] + other[0], one[1] + other[1]]


def _sum_above(
    keys: Int[Array, "*pixel"],
    weight: Float[Array, "*pixel"] | None,
    thresholds: Int[Array, " threshold"],
    dtype: Any,
) -> Float[Array, ""]:
    """Sums over thresholds: the pixels, by weight, above it."""
    values = keys.ravel()
    if weight is None:
        ordered = jnp.sort(values)
        up_to = jnp.arange(len(values) + 1)
    else:
        order = jnp.argsort(values)
        ordered = values[order]
        up_to = jnp.concatenate([jnp.zeros(1, weight.dtype), jnp.cumsum(weight.ravel()[order])])
    above = up_to[-1] - up_to[jnp.searchsorted(ordered, thresholds, side="right")]
    return above.astype(dtype).sum()


def _if_fixated(value: Float[Array, ""], fixations: Fixations) -> Float[Array, ""]:
    return jnp.where(fixations.is_valid & fixations.counts.any(), value, jnp.nan)


def or_nan(
    value: Float[Array, ""], saliency: Float[Array, "height width"], fixations: Fixations
) -> Float[Array, ""]:
    # The mean is NaN if any value is. XLA's maximum on CPU ignores NaN.
    return _if_fixated(jnp.where(jnp.isnan(_mean(saliency)), jnp.nan, value), fixations)
