"""Maps of any real type, before a compiled metric computes on them in float32.

A map that float32 describes well enough is rounded, and nothing else. Another map is prepared on
the host in its own type, in a way that the metric does not see: ranks for a metric of ranks, the
deviation for a metric that scale and offset do not change, the density for a metric that scale does
not change. Traced maps pass through.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Num

from gazejax.metrics import _host
from gazejax.metrics._checks import require
from gazejax.metrics._kernels import Fixations

# A range, and a maximum of a map without negative values, whose sums stay inside float32.
_LEAST, _MOST = 1e-30, 1e30

# Up to this ratio of offset to range, the mean of a map in float32 is right to 1e-4 deviations.
_MOST_RANGES = 256

# Whole numbers up to this one are exact in float32.
_MOST_RANKS = 2**24

_RANKS, _MOMENTS, _SHARES = ("auc", "auc_judd", "sauc"), ("nss", "cc"), ("sim", "kld")


def float_type(*maps: np.ndarray) -> np.dtype:
    """The type of a metric: float32, or JAX's widest float if a map is not exact in float32."""
    is_narrow = all(np.can_cast(values.dtype, np.float32) for values in maps)
    return np.dtype(np.float32) if is_narrow else np.dtype(jnp.result_type(float))


def rounded(values: Any) -> Any:
    if not isinstance(values, np.ndarray):
        return values
    with np.errstate(over="ignore"):  # Such a map is prepared, or the metric does not read it.
        return values.astype(float_type(values), copy=False)


def for_ranks(values: Any, fixations: Fixations | None = None) -> Any:
    """Maps in the order of these: no value becomes equal to that at a fixation, or to any."""
    if not isinstance(values, np.ndarray) or np.can_cast(values.dtype, float_type(values)):
        return rounded(values)
    maps = values.reshape(-1, *values.shape[-2:])

    def at_fixations(index: int) -> np.ndarray:
        if fixations is None:
            return np.unique(maps[index])
        row, column = np.atleast_2d(fixations.row), np.atleast_2d(fixations.column)
        return np.unique(maps[index][row[index], column[index]])

    def is_plain(one: np.ndarray, index: int) -> bool:
        as_float = rounded(one)
        # Of whole numbers, since NumPy compares int64 and float32 in float64, which rounds both.
        if one.dtype.kind in "iu":
            is_exact = max(abs(int(one.min())), abs(int(one.max()))) <= _MOST_RANKS
        else:
            is_exact = np.array_equal(as_float, one)
        if is_exact:
            return True
        fixated = at_fixations(index)
        # A tie after rounding must be a tie before it.
        ties = one[np.isin(as_float, rounded(fixated))]
        is_one_to_one = len(np.unique(rounded(fixated))) == len(fixated)
        return is_one_to_one and bool(np.isin(ties, fixated).all())

    def ranks(one: np.ndarray, index: int) -> np.ndarray:
        fixated = at_fixations(index)
        require(
            len(fixated) < _MOST_RANKS // 2,
            "saliency",
            f"has {len(fixated)} different values of {one.dtype}",
            f"fewer than {_MOST_RANKS // 2} inside a transformation",
        )
        # At one of the values, or between two of them.
        return np.searchsorted(fixated, one, "left") + np.searchsorted(fixated, one, "right")

    return _replaced(values, is_plain, ranks)


def for_moments(values: Any) -> Any:
    """Maps whose correlation and standard scores are those of these maps."""

    def is_plain(one: np.ndarray, _: int) -> bool:
        low, high = float(one.min()), float(one.max())
        span = high - low
        is_near = max(abs(low), abs(high)) <= _MOST_RANGES * span
        return bool(one.min() == one.max()) or (is_near and _LEAST <= span <= _MOST)

    return _replaced(values, is_plain, lambda one, _: _host.deviation(one))


def for_shares(values: Any) -> Any:
    """Maps whose shares of their sums are those of these maps."""

    def is_plain(one: np.ndarray, _: int) -> bool:
        return bool(one.max() == 0 or _LEAST <= one.max() <= _MOST)

    return _replaced(values, is_plain, lambda one, _: _host.relative(one))


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
    """The arguments of the compiled metrics: rounded maps, and those that are prepared."""
    kinds: list[tuple[tuple[str, ...], str, Callable[[Any], Any]]] = [
        (_RANKS, "ranks", lambda values: for_ranks(values, fixations)),
        (_MOMENTS, "moments", for_moments),
        (_SHARES, "shares", for_shares),
    ]
    arrays = {key: rounded(values) for key, values in checked.items()}
    for metrics, kind, prepare in kinds:
        keys = {"saliency": metrics, "target": [name for name in metrics if name != "nss"]}
        for key in ("saliency",) if kind == "ranks" else keys:
            if key in checked and not set(keys[key]).isdisjoint(names):
                found = prepare(checked[key])
                if not np.array_equal(found, arrays[key]):
                    arrays[f"{key}_{kind}"] = found
    if "other_counts" in checked:
        arrays["other_counts"] = for_shares(checked["other_counts"])
    return arrays


def _replaced(
    values: Any,
    is_plain: Callable[[np.ndarray, int], bool],
    prepare: Callable[[np.ndarray, int], np.ndarray],
) -> Any:
    """The rounded maps, with the prepared map in place of each that is not plain."""
    if not isinstance(values, np.ndarray):
        return values
    maps = values.reshape(-1, *values.shape[-2:])
    found = rounded(values)
    others = [index for index, one in enumerate(maps) if not is_plain(one, index)]
    if others:
        found = found.reshape(maps.shape).copy()
        for index in others:
            found[index] = prepare(maps[index], index)
    return found.reshape(values.shape)
