"""Checks of maps and fixations given to the saliency metrics."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float

from gazejax.metrics._kernels import Fixations

_SUM_TOLERANCE = 1e-3


def _is_concrete(*values: Any) -> bool:
    return not any(isinstance(value, jax.core.Tracer) for value in values)


def checked_map(
    values: npt.ArrayLike, name: str, *, ndim: int = 2, allow_negative: bool = True
) -> Float[Array, "..."]:
    """Converts a map to an array of at least float32; checks its values if it is concrete."""
    array = jnp.asarray(values)
    array = array.astype(jnp.promote_types(array.dtype, jnp.float32))
    axes = "[map, height, width]" if ndim == 3 else "[height, width]"
    require(
        array.ndim == ndim and array.size > 0,
        name,
        f"has shape {array.shape}",
        f"{axes}, not empty",
    )
    require(
        bool(jnp.issubdtype(array.dtype, jnp.floating)), name, f"is {array.dtype}", "real numbers"
    )
    if _is_concrete(array):
        host = np.asarray(array)
        require(
            bool(np.isfinite(host).all()),
            name,
            f"holds a NaN or infinite value (as {host.dtype})",
            "finite numbers",
        )
        if not allow_negative:
            require(bool((host >= 0).all()), name, "holds a negative value", "none below 0")
    return array


def checked_density(values: npt.ArrayLike, name: str) -> Float[Array, "height width"]:
    density = checked_map(values, name)
    if _is_concrete(density):
        require_density(density, name)
    return density


def require_density(density: Float[Array, "*map height width"], name: str) -> None:
    host = np.asarray(density)
    require(bool((host > 0).all()), name, f"holds {host.min():g}", "positive numbers everywhere")
    sums = host.sum(axis=(-2, -1), dtype=np.float64)
    worst = np.ravel(sums)[np.argmax(np.abs(np.ravel(sums) - 1))]
    is_close = bool(abs(worst - 1) <= _SUM_TOLERANCE)
    require(is_close, name, f"sums to {worst:g}", "a density that sums to 1")


def checked_fixations(
    xy_px: npt.ArrayLike,
    mask: npt.ArrayLike | None,
    saliency: Float[Array, "*map height width"],
    xy_name: str = "xy_px",
    mask_name: str = "mask",
) -> Fixations:
    """Converts fixations on a map, or on each map of a batch, to pixel indices."""
    height, width = saliency.shape[-2:]
    batch = saliency.shape[:-2]
    axes = "[map, fixation, 2]" if batch else "[fixation, 2]"
    # On the host in full precision: 127.99999999 is inside, but float32 rounds it to 128.
    module: Any = np if _is_concrete(xy_px) else jnp
    points = module.asarray(xy_px)
    require(
        points.ndim == len(batch) + 2 and points.shape[-1] == 2 and points.shape[:-2] == batch,
        xy_name,
        f"has shape {points.shape}",
        f"{axes}" + (f" with {batch[0]} maps" if batch else ""),
    )
    counts = jnp.ones(points.shape[:-1], bool) if mask is None else jnp.asarray(mask).astype(bool)
    require(
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
    return Fixations(row, column, counts, (is_inside | ~counts).all(axis=-1))


def require_same_shape(one: Array, one_name: str, other: Array, other_name: str) -> None:
    require(
        one.shape == other.shape,
        other_name,
        f"has shape {other.shape}",
        f"that of {one_name}, {one.shape}",
    )


def require(is_allowed: bool, name: str, found: str, allowed: str) -> None:
    if not is_allowed:
        raise ValueError(f"{name} {found}; allowed: {allowed}")
