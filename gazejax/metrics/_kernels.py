"""The arithmetic of the saliency metrics, without checks."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

_KLD_EPSILON = 2.2204e-16

# Fixations that are counted in one pass over the map: the counts of two comparisons fit in 8 bits.
_FIXATIONS_PER_PASS = 32

_jit = functools.partial(jax.jit, inline=True)


class Fixations(NamedTuple):
    """Checked fixations: pixel indices, which ones count, and whether all of these are inside."""

    row: Int[Array, "*map fixation"]
    column: Int[Array, "*map fixation"]
    counts: Bool[Array, "*map fixation"]
    is_valid: Bool[Array, "*map"]


@functools.partial(jax.jit, static_argnums=0)
def score(names: tuple[str, ...], arrays: dict[str, Any]) -> dict[str, Array]:
    def score_one(arrays: dict[str, Any]) -> dict[str, Array]:
        saliency, target, fixations = (
            arrays.get(key) for key in ("saliency", "target", "fixations")
        )
        compute: dict[str, Any] = {
            "auc": lambda: auc(saliency, fixations),
            "auc_judd": lambda: auc_judd(saliency, fixations),
            "sauc": lambda: sauc(saliency, fixations, arrays["other_counts"]),
            "nss": lambda: nss(saliency, fixations),
            "information_gain": lambda: information_gain(saliency, arrays["baseline"], fixations),
            "cc": lambda: cc(saliency, target),
            "sim": lambda: sim(saliency, target),
            "kld": lambda: kld(target, saliency),
        }
        return {name: compute[name]() for name in names}

    return jax.vmap(score_one)(arrays)


@_jit
def auc(saliency: Float[Array, "height width"], fixations: Fixations) -> Float[Array, ""]:
    values = _values(saliency, fixations)
    thresholds = jnp.where(fixations.counts, values, jnp.inf)
    lost = _count_above(saliency, None, thresholds, thresholds, strict=True)
    return _or_nan(1 - lost / (fixations.counts.sum() * saliency.size), saliency, fixations)


@_jit
def sauc(
    saliency: Float[Array, "height width"],
    fixations: Fixations,
    other_counts: Float[Array, "height width"],
) -> Float[Array, ""]:
    values = _values(saliency, fixations)
    thresholds = jnp.where(fixations.counts, values, jnp.inf)
    lost = _count_above(saliency, other_counts, thresholds, thresholds, strict=True)
    share_lost = lost / other_counts.sum() / fixations.counts.sum()
    return _or_nan(1 - share_lost, saliency, fixations)


@_jit
def auc_judd(saliency: Float[Array, "height width"], fixations: Fixations) -> Float[Array, ""]:
    values = _values(saliency, fixations)
    # Between two neighboring thresholds, the hits increase by the fixations at the lower threshold.
    # The area above the trapezoid is the share of these fixations times the mean false alarm rate
    # at the two thresholds.
    thresholds = jnp.where(fixations.counts, values, jnp.inf)
    is_higher = thresholds > values[:, None]
    next_higher = jnp.where(is_higher, thresholds, jnp.inf).min(axis=1, initial=jnp.inf)
    next_higher = jnp.where(fixations.counts, next_higher, jnp.inf)
    # Counts all pixels, then subtracts each fixated pixel once. Masking the map instead would take
    # twice as long.
    is_pixels_first = _is_pixels_first(fixations).astype(saliency.dtype)
    lost = _count_above(saliency, None, thresholds, next_higher, strict=False)
    lost -= _count_above(values, is_pixels_first, thresholds, next_higher, strict=False)
    num_never_fixated = saliency.size - is_pixels_first.sum()
    share_lost = lost / num_never_fixated / fixations.counts.sum()
    return _or_nan(1 - share_lost, saliency, fixations)


@_jit
def nss(saliency: Float[Array, "height width"], fixations: Fixations) -> Float[Array, ""]:
    deviation = _deviation(saliency)
    return _or_nan(_mean_at(deviation, fixations) / _norm(deviation), saliency, fixations)


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
    a, b = _relative(a), _relative(b)
    # Equal to jnp.minimum, which XLA on CPU fuses with the sum to a much slower kernel.
    smaller = jnp.where((a < b) | jnp.isnan(a), a, b)
    return smaller.mean()


@_jit
def kld(
    target: Float[Array, "height width"], prediction: Float[Array, "height width"]
) -> Float[Array, ""]:
    target, prediction = _relative(target), _relative(prediction)
    # Both maps have a mean of 1 instead of a sum of 1: epsilon is scaled by the number of pixels.
    ratio = target / (prediction + target.size * _KLD_EPSILON)
    terms = target * jnp.log(_KLD_EPSILON + ratio)
    # NaN as the logarithm gives it. Selecting avoids a slow kernel of XLA on CPU, see `sim`.
    return jnp.where(target < 0, jnp.nan, terms).mean()


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
    """The map divided by its mean; a zero map becomes uniform."""
    mean = _mean(saliency)
    is_zero = mean == 0
    # Selecting once for each map takes less time than once for each pixel.
    return saliency * (1 / jnp.where(is_zero, 1.0, mean)) + jnp.where(is_zero, 1.0, 0.0)


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


def counts(
    fixations: Fixations, saliency: Float[Array, "height width"]
) -> Float[Array, "height width"]:
    counted = fixations.counts.astype(saliency.dtype)
    return jnp.zeros_like(saliency).at[fixations.row, fixations.column].add(counted)


def _is_pixels_first(fixations: Fixations) -> Bool[Array, " fixation"]:
    """Whether a fixation counts and is the first fixation that counts in its pixel."""
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

    Pixels count by weight. With `strict`, a pixel equal to `upper` is not above it.

    Comparing every pixel with every threshold at once would write an array of size pixels times
    thresholds. Instead, each pass goes over the pixels once, with 8-bit counts that stay in
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
            # Without jnp.where, XLA on CPU writes each comparison to memory: ten times slower.
            total += jnp.where(weight > 0, counts * weight, 0.0).sum()
    return total / 2


def _or_nan(
    value: Float[Array, ""], saliency: Float[Array, "height width"], fixations: Fixations
) -> Float[Array, ""]:
    # The mean is NaN if any value is. XLA's maximum on CPU ignores NaN.
    is_valid = fixations.is_valid & ~jnp.isnan(_mean(saliency))
    return jnp.where(is_valid & fixations.counts.any(), value, jnp.nan)
