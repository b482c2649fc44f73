"""Maps of any real type, before a compiled metric computes on them in float32.

A map that float32 describes well enough is rounded, and nothing else. Another map is prepared on
the host in its own type, in a way that the metric does not see: ranks for a metric of ranks, the
deviation for a metric that scale and offset do not change, the density for a metric that scale does
not change. Traced maps pass through.

Scores of pairs are of any real type, too, and tie only if they are equal.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num

from gazejax.metrics import _host
from gazejax.metrics._checks import require
from gazejax.metrics._kernels import RANK_METRICS, Fixations

# Bytes: JAX on CPU copies an array that starts elsewhere.
ALIGNMENT = 64

# A range, and a maximum of a map without negative values, whose sums stay inside float32.
_LEAST, _MOST = 1e-30, 1e30

# Comparing a map with each of up to this many values takes less time than searching among them.
_COMPARED_VALUES = 48

# Up to this ratio of offset to range, the mean of a map in float32 is right to 1e-4 deviations.
_MOST_RANGES = 256


def float_type(*maps: np.ndarray) -> np.dtype:
    """The type of a metric: float32, or JAX's widest float if a map is not exact in float32."""
    is_narrow = all(np.can_cast(values.dtype, np.float32) for values in maps)
    return np.dtype(np.float32) if is_narrow else np.dtype(jnp.result_type(float))


def rounded(values: Any, dtype: np.dtype | None = None) -> Any:
    """Maps as compiled metrics take them, or of a given type."""
    if not isinstance(values, np.ndarray):
        return values
    dtype = float_type(values) if dtype is None else dtype
    if values.dtype == dtype:
        return values
    found = aligned(values.shape, dtype)
    with np.errstate(over="ignore"):  # Such a map is prepared, or the metric does not read it.
        found[...] = values
    return found


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An empty array that JAX on CPU reads in place. Most arrays of NumPy it would copy."""
    size = math.prod(shape) * dtype.itemsize
    space = np.empty(size + ALIGNMENT, np.uint8)
    first = -space.ctypes.data % ALIGNMENT
    return space[first : first + size].view(dtype).reshape(shape)


def rank_type(maps: np.ndarray) -> np.dtype:
    """The type in which `scoring.score` compares the values of maps."""
    # Other devices have no numbers of 64 bits, or imitate them with fewer digits.
    has_64_bits = jax.default_backend() in ("cpu", "gpu")
    if np.can_cast(maps.dtype, np.float32) or not has_64_bits:
        return float_type(maps)
    return np.dtype(np.float64)


def holds(dtype: np.dtype, values: np.ndarray) -> bool:
    """Whether a type of floats holds all values of the type of an array."""
    if values.dtype.kind == "f":
        return np.can_cast(values.dtype, dtype)
    return bool(np.iinfo(values.dtype).max <= _most_whole(dtype))


def for_ranks(values: Any, fixations: Fixations | None = None) -> Any:
    """Maps in the order of these: no value becomes equal to another one.

    With fixations on a batch, the type is `rank_type`. Values that it does not hold are given
    ranks, in which only the values at fixations stay different from all others.
    """
    if not isinstance(values, np.ndarray):
        return values
    base = rounded(values, None if fixations is None else rank_type(values))
    if holds(base.dtype, values):
        return base
    maps, floats = (side.reshape(-1, *values.shape[-2:]) for side in (values, base))
    is_plain = [_is_same(*one) for one in zip(maps, floats, strict=True)]

    def ranks(one: np.ndarray, index: int) -> np.ndarray:
        places = () if fixations is None else (fixations.row[index], fixations.column[index])
        compared = np.unique(one[places])
        most = _most_whole(base.dtype) // 2
        require(
            len(compared) < most,
            "saliency",
            f"has {len(compared)} different values of {one.dtype}",
            f"fewer than {most} inside a transformation",
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


def _is_same(
    values: Num[np.ndarray, "height width"], as_float: Float[np.ndarray, "height width"]
) -> bool:
    """Whether rounding changed no value."""
    if values.dtype.kind == "f":
        return np.array_equal(as_float, values)
    # Not by comparing: NumPy compares int64 with floats in float64, which rounds both.
    most = _most_whole(as_float.dtype)
    return -most <= int(values.min()) and int(values.max()) <= most


def _most_whole(dtype: np.dtype) -> int:
    """Whole numbers up to this one are exact."""
    return 2 ** (np.finfo(dtype).nmant + 1)


def for_moments(values: Any, base: Any = None) -> Any:
    """Maps whose correlation and standard scores are those of these maps."""
    if not isinstance(values, np.ndarray):
        return values
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
    names: Sequence[str], checked: dict[str, np.ndarray], fixations: Fixations | None
) -> dict[str, Any]:
    """The arguments of the compiled metrics: rounded maps, and those that are prepared.

    Metrics of ranks are prepared with others only if `rank_type` is that of the others.
    """
    is_of_ranks = set(names) <= set(RANK_METRICS)
    arrays = {
        key: for_ranks(values, fixations) if is_of_ranks and key == "saliency" else rounded(values)
        for key, values in checked.items()
    }
    kinds: list[tuple[str, Sequence[str], str, Callable[..., Any]]] = [
        ("saliency", ("nss", "cc"), "moments", for_moments),
        ("target", ("cc",), "moments", for_moments),
        ("saliency", ("sim", "kld"), "shares", for_shares),
        ("target", ("sim", "kld"), "shares", for_shares),
    ]
    for key, metrics, kind, prepare in kinds:
        if key in checked and not set(metrics).isdisjoint(names):
            found = prepare(checked[key], arrays[key])
            if found is not arrays[key]:
                arrays[f"{key}_{kind}"] = found
    if "other_counts" in checked:
        arrays["other_counts"] = for_shares(checked["other_counts"], arrays["other_counts"])
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


def joined(one: np.ndarray, other: np.ndarray) -> Any:
    """Both arrays in one, of a type that no score of them is rounded to."""
    wide = np.promote_types(one.dtype, other.dtype)
    for scores in (one, other):
        is_whole = scores.dtype.kind in "iu" and wide.kind == "f"
        if is_whole and not _is_within(scores, _most_whole(wide)):
            # Python compares whole numbers of any size with floats exactly.
            return np.concatenate([one.astype(object), other.astype(object)])
    return np.concatenate([one, other])


def comparable(scores: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
    """Scores of the same order and ties as these, which float64 holds if they are whole numbers."""
    if scores.dtype.kind not in "iu" or _is_within(scores, _most_whole(np.dtype(np.float64))):
        return scores
    return np.unique(scores, return_inverse=True)[1].reshape(scores.shape)


def _is_within(scores: np.ndarray, most: int) -> bool:
    return scores.size == 0 or max(abs(int(scores.min())), abs(int(scores.max()))) <= most
