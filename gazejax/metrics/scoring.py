"""Scores of many maps by the saliency metrics, in few compiled calls.

A map that float32 would not describe well enough, such as one of a small range beside a large
offset, is prepared on the host first.
"""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int, Shaped

from gazejax.metrics import _host, _kernels, _rounding
from gazejax.metrics._checks import (
    checked_fixations,
    checked_map,
    require,
    require_density,
    require_same_shape,
)
from gazejax.metrics.saliency import METRICS

_MAPS_PER_CALL = 512

# Fixations are padded to multiples of this, and to few lengths above four times it.
_FIXATIONS = 8

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
    pad_fixations: bool = True,
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
        pad_fixations: whether fixations that do not count are added up to one of few lengths, so
            that calls with other numbers of fixations are not compiled anew. The last bit of `nss`
            and `information_gain` may depend on it.

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
    checked: dict[str, np.ndarray] = {"saliency": maps}
    for key in ("target", "other_counts", "baseline"):
        values = given[key]
        if values is None:
            continue
        is_for_all = key != "target" and np.ndim(values) == 2
        array = checked_map(
            values, key, ndim=2 if is_for_all else 3, allow_negative=key == "target"
        )
        require_same_shape(
            maps[0] if is_for_all else maps,
            "saliency[0]" if is_for_all else "saliency",
            array,
            key,
        )
        if key == "baseline":
            require_density(array, key)
        if key == "target" and not {"sim", "kld"}.isdisjoint(names):
            require(bool((array >= 0).all()), key, "holds a negative value", "none below 0")
        checked[key] = array
    fixations = None if xy_px is None else checked_fixations(xy_px, mask, maps.shape)
    return _scores(tuple(names), checked, fixations, pad_fixations=pad_fixations)


def _scores(
    names: tuple[str, ...],
    checked: dict[str, np.ndarray],
    fixations: _kernels.Fixations | None,
    *,
    pad_fixations: bool,
) -> dict[str, Float[np.ndarray, " map"]]:
    """The scores of checked arguments: prepared for float32, padded, then by compiled calls."""
    maps = checked["saliency"]
    # The last call is padded to a power of two of maps, so that few shapes are compiled.
    rest = len(maps) % _MAPS_PER_CALL
    padded_rest = 1 << (rest - 1).bit_length() if rest else 0
    length = len(maps) - rest + padded_rest
    arrays: dict[str, Any] = {
        key: values if values.ndim == 3 else np.broadcast_to(values, maps.shape)
        for key, values in _rounding.prepared(names, checked, fixations, length).items()
    }
    if fixations is not None:
        arrays["fixations"] = _with_padded_fixations(fixations) if pad_fixations else fixations
    parts = []
    for start in range(0, length, _MAPS_PER_CALL):
        rows = slice(start, start + _MAPS_PER_CALL)
        part = jax.tree.map(operator.itemgetter(rows), arrays)
        padded = functools.partial(_padded, length=min(length - start, _MAPS_PER_CALL))
        parts.append(_kernels.score(names, jax.tree.map(padded, part)))
    parts = jax.device_get(parts)
    found = {name: np.concatenate([part[name] for part in parts])[: len(maps)] for name in parts[0]}
    if "ties" in found and fixations is not None:
        _correct_ranks(found, found.pop("ties"), checked, arrays, fixations)
    if "information_gain" in names and fixations is not None:
        baseline = np.broadcast_to(checked["baseline"], maps.shape)
        if not (_rounding.is_plain_density(maps) and _rounding.is_plain_density(baseline)):
            each = zip(maps, baseline, map(_kernels.Fixations, *fixations), strict=True)
            gains = [_host.information_gain(*one) for one in each]
            found["information_gain"] = np.array(gains, _rounding.float_type(maps, baseline))
    return found


def _correct_ranks(
    found: dict[str, np.ndarray],
    num_ties: Int[np.ndarray, " map"],
    checked: dict[str, np.ndarray],
    arrays: dict[str, Any],
    fixations: _kernels.Fixations,
) -> None:
    """Corrects, in place, the metrics of ranks of the maps that rounding gave other ties."""
    maps, rounded = checked["saliency"], arrays["saliency"]
    if np.can_cast(maps.dtype, rounded.dtype):
        return
    ranks = arrays.get("saliency_ranks", rounded)
    others = checked.get("other_counts")
    for index in np.flatnonzero(num_ties).tolist():
        if ranks is not rounded and not np.array_equal(ranks[index], rounded[index]):
            continue  # The ties are those of ranks, and so of the map.
        added = _host.rank_corrections(
            maps[index],
            rounded[index],
            _kernels.Fixations(*(part[index] for part in fixations)),
            int(num_ties[index]),
            None if others is None else np.broadcast_to(others, maps.shape)[index],
        )
        for name in found.keys() & added.keys():
            found[name][index] += added[name]


def _with_padded_fixations(fixations: _kernels.Fixations) -> _kernels.Fixations:
    """Adds fixations that do not count, so that few shapes are compiled."""
    number = fixations.row.shape[-1]
    step = _FIXATIONS
    while 4 * step < number:
        step *= 2
    added = -number % step
    row, column, counts = (
        np.pad(part, ((0, 0), (0, added))) for part in map(np.asarray, fixations[:3])
    )
    return _kernels.Fixations(row, column, counts, fixations.is_valid)


def _padded(
    rows: Shaped[np.ndarray, "row *axis"], length: int
) -> Shaped[np.ndarray, "padded_row *axis"]:
    """Repeats the last row up to the given number of rows."""
    return rows[np.minimum(np.arange(length), len(rows) - 1)] if length > len(rows) else rows
