"""Maps of any real type, before a compiled metric computes on them in float32.

A map that float32 describes well enough is rounded, and nothing else. Another map is prepared on
the host in its own type, in a way that the metric does not see: ranks for a metric of ranks, the
deviation for a metric that scale and offset do not change, the density for a metric that scale does
not change. Traced maps pass through, or lose their offset.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Num

from gazejax.metrics import _host
from gazejax.metrics._checks import require
from gazejax.metrics._kernels import Fixations

# A range, and a maximum of a map without negative values, whose sums stay inside float32.
_LEAST, _MOST = 1e-30, 1e30

# Comparing a map with each of up to this many values takes less time than searching among them.
_COMPARED_VALUES = 48

# Up to this ratio of offset to range, the mean of a map in float32 is right to 1e-4 deviations.
_MOST_RANGES = 256

# Whole numbers up to this one are exact in float32.
_MOST_RANKS = 2**24


def float_type(*maps: np.ndarray) -> np.dtype:
    """The type of a metric: float32, or JAX's widest float if a map is not exact in float32."""
    is_narrow = all(np.can_cast(values.dtype, np.float32) for values in maps)
    return np.dtype(np.float32) if is_narrow else np.dtype(jnp.result_type(float))


def rounded(values: Any, length: int | None = None) -> Any:
    """Maps as compiled metrics take them; the last one is repeated up to `length` maps, if given.

    Maps that are of this type already are not repeated.
    """
    if not isinstance(values, np.ndarray):
        return values
    dtype = float_type(values)
    with np.errstate(over="ignore"):  # Such a map is prepared, or the metric does not read it.
        if length is None or length == len(values) or values.dtype == dtype:
            return values.astype(dtype, copy=False)
        # Rounded to where they are repeated: another copy takes as long as the rounding.
        found = np.empty((length, *values.shape[1:]), dtype)
        found[: len(values)] = values
    found[len(values) :] = found[len(values) - 1]
    return found


def for_ranks(values: Any, fixations: Fixations | None = None, base: Any = None) -> Any:
    """Maps in the order of these: no value becomes equal to another one.

    With fixations, the values at these stay different. Values of other pixels may become equal to
    them by rounding: see `_host.rank_corrections`.

    Compiled code takes numbers below the least normal one for zero: such values are given ranks.

    In all functions, `base` is what `rounded` gives, if it is known: the result if that will do.
    """
    if not isinstance(values, np.ndarray):
        return values
    base = rounded(values) if base is None else base
    is_exact = np.can_cast(values.dtype, base.dtype)
    if is_exact and (values.dtype.kind != "f" or not _may_tie_at_zero(base, fixations)):
        return base
    maps, floats = (side.reshape(-1, *values.shape[-2:]) for side in (values, base))
    if fixations is None:
        fixated = None
        is_plain = np.array(
            [
                _is_same(*one) and not _holds_below_normal(one[1])
                for one in zip(maps, floats, strict=True)
            ],
            bool,
        )
    else:
        # Of all maps at once: a call for each map takes longer than the work.
        fixated = np.sort(_at_fixations(maps, fixations))
        thresholds = rounded(fixated)
        is_equal, was_equal = (one[:, 1:] == one[:, :-1] for one in (thresholds, fixated))
        is_plain = ~np.any(is_equal & ~was_equal, axis=-1)
        for index in np.flatnonzero(np.any(_compares_as_zero(thresholds), axis=-1)).tolist():
            is_plain[index] &= not _holds_below_normal(floats[index])
        if not is_exact and not np.isfinite(base).all():
            # Infinity is the kernel's mark of a fixation that does not count.
            is_plain &= np.isfinite(floats).all(axis=(-2, -1))

    def ranks(one: np.ndarray, index: int) -> np.ndarray:
        compared = np.unique(one if fixated is None else fixated[index])
        require(
            len(compared) < _MOST_RANKS // 2,
            "saliency",
            f"has {len(compared)} different values of {one.dtype}",
            f"fewer than {_MOST_RANKS // 2} inside a transformation",
        )
        # At one of the values, or between two of them.
        if len(compared) > _COMPARED_VALUES:
            return np.searchsorted(compared, one, "left") + np.searchsorted(compared, one, "right")
        place = np.zeros(one.shape, np.int16)
        for value in compared:
            place += one > value
            place += one >= value
        return place

    return _replaced(values, base, is_plain, ranks)


def _may_tie_at_zero(values: Float[np.ndarray, "..."], fixations: Fixations | None) -> bool:
    """Whether a value at a fixation of any map compares as zero."""
    if fixations is None:
        return True
    maps = values.reshape(-1, *values.shape[-2:])
    return bool(_compares_as_zero(_at_fixations(maps, fixations)).any())


def _at_fixations(
    maps: Num[np.ndarray, "map height width"], fixations: Fixations
) -> Num[np.ndarray, "map fixation"]:
    row, column = np.atleast_2d(fixations.row), np.atleast_2d(fixations.column)
    return maps[np.arange(len(maps))[:, None], row, column]


def _compares_as_zero(values: Float[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    """Whether compiled code takes a value for zero, as XLA does below the least normal number."""
    return np.abs(values) < np.finfo(values.dtype).tiny


def _holds_below_normal(values: Float[np.ndarray, "height width"]) -> bool:
    """Whether a value is not zero and compares as zero."""
    # The minimum, which takes one pass, is enough for most maps.
    low, tiny = values.min(), np.finfo(values.dtype).tiny
    if low >= tiny:
        return False
    sizes = values if low >= 0 else np.abs(values)
    return bool(np.count_nonzero(sizes < tiny) > np.count_nonzero(values == 0))


def _is_same(
    values: Num[np.ndarray, "height width"], as_float: Float[np.ndarray, "height width"]
) -> bool:
    """Whether rounding changed no value."""
    # Not of whole numbers: NumPy compares int64 with floats in float64, which rounds both.
    return values.dtype.kind == "f" and np.array_equal(as_float, values)


def for_moments(values: Any, base: Any = None) -> Any:
    """Maps whose correlation and standard scores are those of these maps."""
    if not isinstance(values, np.ndarray):
        # Without its offset, beside which float32 would round the mean. No gradient depends on it.
        return values - jax.lax.stop_gradient(values.min())
    low, high = (side(axis=(-2, -1)) for side in (values.min, values.max))
    with np.errstate(over="ignore"):
        low_float, high_float = low.astype(np.float64), high.astype(np.float64)
        span = high_float - low_float
        size = np.maximum(abs(low_float), abs(high_float))
        is_moderate = (size <= _MOST_RANGES * span) & (span >= _LEAST) & (span <= _MOST)
    is_plain = np.where(low == high, size <= _MOST, is_moderate)
    return _replaced(values, base, is_plain, lambda one, _: _host.deviation(one))


def for_shares(values: Any, base: Any = None) -> Any:
    """Maps whose shares of their sums are those of these maps."""
    if not isinstance(values, np.ndarray):
        return values
    high = values.max(axis=(-2, -1)).astype(_host.wide_type(values))
    is_plain = (high == 0) | ((high >= _LEAST) & (high <= _MOST))
    return _replaced(values, base, is_plain, lambda one, _: _host.relative(one))


def for_logarithms(values: Any, name: str) -> Any:
    """Densities that float32 holds; others are refused, since their logarithms depend on scale."""
    if isinstance(values, np.ndarray):
        allowed = f"at least {_LEAST:g} inside a transformation"
        require(is_plain_density(values), name, f"holds {values.min():g}", allowed)
    return rounded(values)


def is_plain_density(values: Num[np.ndarray, "*map height width"]) -> bool:
    """Whether no value of a density, all positive, becomes zero or loses digits in float32."""
    return bool(values.min() >= _LEAST)


def prepared(
    names: Sequence[str],
    checked: dict[str, np.ndarray],
    fixations: Fixations | None,
    length: int | None = None,
) -> dict[str, Any]:
    """The arguments of the compiled metrics: rounded maps, and those that are prepared.

    Maps of which one for all is given are not repeated. Others may be, up to `length`.
    """
    arrays = {
        key: rounded(values, length if values.ndim == 3 else None)
        for key, values in checked.items()
    }
    kinds: list[tuple[str, Sequence[str], str, Callable[..., Any]]] = [
        ("saliency", ("auc", "auc_judd", "sauc"), "ranks", for_ranks),
        ("saliency", ("nss", "cc"), "moments", lambda maps, _, base: for_moments(maps, base)),
        ("target", ("cc",), "moments", lambda maps, _, base: for_moments(maps, base)),
        ("saliency", ("sim", "kld"), "shares", lambda maps, _, base: for_shares(maps, base)),
        ("target", ("sim", "kld"), "shares", lambda maps, _, base: for_shares(maps, base)),
    ]
    for key, metrics, kind, prepare in kinds:
        if key in checked and not set(metrics).isdisjoint(names):
            base = arrays[key][: len(checked[key])]
            found = prepare(checked[key], fixations, base)
            if found is not base:
                arrays[f"{key}_{kind}"] = found
    if "other_counts" in checked:
        base = arrays["other_counts"][: len(checked["other_counts"])]
        found = for_shares(checked["other_counts"], base)
        if found is not base:
            arrays["other_counts"] = found
    return arrays


def _replaced(
    values: Num[np.ndarray, "*map height width"],
    base: Any,
    is_plain: Any,
    prepare: Callable[[np.ndarray, int], np.ndarray],
) -> Any:
    """The rounded maps, with the prepared map in place of each that is not plain."""
    base = rounded(values) if base is None else base
    others = np.flatnonzero(~np.asarray(is_plain)).tolist()
    if not others:
        return base
    maps = values.reshape(-1, *values.shape[-2:])
    found = base.reshape(maps.shape).copy()
    for index in others:
        found[index] = prepare(maps[index], index)
    return found.reshape(values.shape)
