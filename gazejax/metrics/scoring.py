"""Scores of many maps by the saliency metrics, in few compiled calls.

A map that float32 would not describe well enough, such as one of a small range beside a large
offset, is prepared on the host first.
"""

import contextlib
import functools
import operator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Shaped

from gazejax.metrics import _host, _kernels, _rounding
from gazejax.metrics._checks import (
    checked_fixations,
    checked_map,
    require,
    require_density,
    require_same_shape,
)
from gazejax.metrics.saliency import METRICS

# Copies of this many pixels stay in the cache.
_MAPS_PER_CALL, _PIXELS_PER_CALL = 512, 2**21

# Fixations are padded to multiples of this, and to few lengths above four times it.
_FIXATIONS = 4

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
    """The scores of checked arguments."""
    maps = checked["saliency"]
    dtype = _rounding.float_type(maps)
    groups = [names]
    if not _rounding.holds(dtype, maps):
        # Metrics of ranks compare the values as they are, the others compute in float32.
        is_of_ranks = [name in _kernels.RANK_METRICS for name in names]
        groups = [
            tuple(name for name, ranks in zip(names, is_of_ranks, strict=True) if ranks == chosen)
            for chosen in (True, False)
        ]
    found: dict[str, np.ndarray] = {}
    for group in filter(None, groups):
        keys = {"saliency"}.union(*(_NEEDS[name] for name in group)) & checked.keys()
        arrays = _rounding.prepared(group, {key: checked[key] for key in keys}, fixations)
        if fixations is not None:
            arrays["fixations"] = _with_padded_fixations(fixations) if pad_fixations else fixations
        found |= _compiled(group, arrays)
    if "information_gain" in names and fixations is not None:
        baseline = np.broadcast_to(checked["baseline"], maps.shape)
        if not (_rounding.is_plain_density(maps) and _rounding.is_plain_density(baseline)):
            each = zip(maps, baseline, map(_kernels.Fixations, *fixations), strict=True)
            gains = [_host.information_gain(*one) for one in each]
            found["information_gain"] = np.array(gains, _rounding.float_type(maps, baseline))
    return {name: found[name].astype(dtype, copy=False) for name in names}


def _compiled(names: tuple[str, ...], arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    """The metrics of prepared arguments, by calls with few maps each."""
    maps = arrays["saliency"]
    # Few shapes are compiled: calls of one power of two of maps, the last one of a smaller power.
    most = max(1, _PIXELS_PER_CALL // maps[0].size)
    most = min(_MAPS_PER_CALL, 1 << (most.bit_length() - 1))
    for_all = {key: values for key, values in arrays.items() if getattr(values, "ndim", 3) == 2}
    own = {key: values for key, values in arrays.items() if key not in for_all}
    most = min(most, 1 << (len(maps) - 1).bit_length())
    spaces = {
        key: _rounding.aligned((most, *values.shape[1:]), values.dtype)
        for key, values in own.items()
        if isinstance(values, np.ndarray)
    }
    parts = []
    # The types are those of the arguments, also if they have 64 bits.
    with jax.enable_x64(True) if maps.dtype == np.float64 else contextlib.nullcontext():
        for start in range(0, len(maps), most):
            part = jax.tree.map(operator.itemgetter(slice(start, start + most)), own)
            length = 1 << (len(part["saliency"]) - 1).bit_length()
            part |= {key: _placed(part[key], space[:length]) for key, space in spaces.items()}
            part["fixations"] = jax.tree.map(
                functools.partial(_padded, length=length), part.get("fixations")
            )
            # The result is awaited: the next maps are copied to the same place.
            parts.append(jax.device_get(_kernels.score(names, for_all | part)))
    return {name: np.concatenate([part[name] for part in parts])[: len(maps)] for name in names}


def _placed(
    rows: Shaped[np.ndarray, "row *axis"], space: Shaped[np.ndarray, "padded_row *axis"]
) -> Shaped[np.ndarray, "padded_row *axis"]:
    """Rows, in the given space if they are not aligned, or fewer: the last one fills it up."""
    is_in_place = rows.ctypes.data % _rounding.ALIGNMENT == 0 and rows.flags.c_contiguous
    if is_in_place and len(rows) == len(space):
        return rows
    space[: len(rows)] = rows
    space[len(rows) :] = rows[-1]
    return space


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
