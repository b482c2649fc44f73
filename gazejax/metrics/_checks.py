"""Checks of maps and fixations given to the saliency metrics."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Num, Shaped

from gazejax._array_checks import is_masked
from gazejax.metrics._kernels import Fixations

_SUM_TOLERANCE = 1e-3

# A float64 that is a rounded whole number is at least this one.
_LEAST_ROUNDED = 2**53


def is_on_host(*arrays: Any) -> bool:
    """Whether all of the checked maps and fixations are concrete; others are traced."""
    return all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(arrays))


def checked_numbers(values: npt.ArrayLike, name: str) -> Any:
    """Real numbers as a NumPy array whose type loses none of them; a traced array stays traced."""
    require(not is_masked(values), name, "has masked elements", "an array without any")
    if isinstance(values, jax.core.Tracer):
        array: Any = values
    else:
        try:
            array = np.asarray(values)
        except jax.errors.TracerArrayConversionError:
            array = jnp.asarray(values)  # A list that holds a traced number.
        except (ValueError, TypeError):
            raise ValueError(
                f"{name} is no array; allowed: real numbers, rows of one length"
            ) from None
    kinds = (np.bool_, jnp.integer, jnp.floating)
    is_real = any(jnp.issubdtype(array.dtype, kind) for kind in kinds)
    is_real = is_real and array.dtype.kind != "m"  # To NumPy a time span is a whole number.
    require(is_real, name, f"is {array.dtype}", "real numbers")
    if not isinstance(array, np.ndarray):
        return array
    if isinstance(values, list | tuple) and array.dtype.kind == "f":
        array = _without_rounding(array, values, name)
    if array.dtype == bool or array.dtype.kind == "V":  # The second kind is that of bfloat16.
        narrow = jnp.floating if jnp.issubdtype(array.dtype, jnp.floating) else jnp.integer
        return array.astype(np.float32 if narrow is jnp.floating else np.int8)
    if array.dtype == np.float16:  # Sums and sorts of it are slow, or overflow.
        return array.astype(np.float32)
    # By the size of the type: NumPy has two types of 64 bits, and gives a list the other one.
    native = np.dtype(array.dtype.newbyteorder("=").str)
    return array.astype(native, copy=False).view(native)


def _without_rounding(
    array: np.ndarray, values: list[Any] | tuple[Any, ...], name: str
) -> Num[np.ndarray, "..."]:
    """The array of a list, of whole numbers where NumPy's float would round one of these.

    NumPy has no whole type for a list with numbers below 0 or of int64, and others above int64.
    """
    # The limit is beyond float16, whose numbers are all below it.
    if array.dtype == np.float16 or not (np.abs(array) >= _LEAST_ROUNDED).any():
        return array
    numbers = np.array(values, object).ravel().tolist()
    numbers = [number.item() if hasattr(number, "item") else number for number in numbers]
    is_whole = [isinstance(number, int) for number in numbers]
    pairs = zip(numbers, array.ravel().tolist(), is_whole, strict=True)
    rounded = [number for number, as_float, whole in pairs if whole and int(as_float) != number]
    if not rounded:
        return array
    for dtype in (np.int64, np.uint64) if all(is_whole) else ():
        if np.iinfo(dtype).min <= min(numbers) and max(numbers) <= np.iinfo(dtype).max:
            return np.array(numbers, dtype).reshape(array.shape)
    beside = min(numbers) if all(is_whole) else numbers[is_whole.index(False)]
    raise ValueError(
        f"{name} holds {rounded[0]} beside {beside}; allowed: numbers that one of int64, uint64 "
        f"and {array.dtype} holds without rounding"
    )


def host_numbers(values: npt.ArrayLike, name: str) -> Num[np.ndarray, "..."]:
    """Real numbers as a NumPy array whose type loses none of them."""
    return np.asarray(checked_numbers(values, name))


def checked_users(users: npt.ArrayLike) -> Shaped[np.ndarray, "..."]:
    """Users as an array of texts, or of numbers without a NaN."""
    require(not is_masked(users), "users", "has masked elements", "an array without any")
    values = users if isinstance(users, list | tuple) else np.asarray(users)
    if isinstance(values, np.ndarray) and values.dtype.kind in "OSTU":
        values = values.tolist()
    if isinstance(values, list | tuple) and any(isinstance(user, str) for user in values):
        # NumPy would make the text '1' of the number 1, and so one user of two.
        other = [user for user in values if not isinstance(user, str)]
        require(not other, "users", f"has texts and {other[:1]}", "all texts, or all numbers")
        return np.asarray(values)
    names = host_numbers(values, "users")
    require(not np.isnan(names).any(), "users", "holds a NaN", "numbers or texts")
    return names


def checked_map(
    values: npt.ArrayLike, name: str, *, ndim: int = 2, allow_negative: bool = True
) -> Any:
    """Checks a map: NumPy's array of its own type, or a traced array of at least float32."""
    array = checked_numbers(values, name)
    axes = "[map, height, width]" if ndim == 3 else "[height, width]"
    require(
        array.ndim == ndim and array.size > 0,
        name,
        f"has shape {array.shape}",
        f"{axes}, not empty",
    )
    if not isinstance(array, np.ndarray):
        return array.astype(jnp.promote_types(array.dtype, jnp.float32))
    if array.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            # The sum takes half the time; it may be infinite though no value is.
            is_finite = bool(np.isfinite(array.sum()) or np.isfinite(array).all())
        require(is_finite, name, "holds a NaN or infinite value", "finite numbers")
    if not allow_negative and array.dtype.kind != "u":
        require(bool((array >= 0).all()), name, "holds a negative value", "none below 0")
    return array


def checked_density(values: npt.ArrayLike, name: str) -> Any:
    """Checks a density: NumPy's array of its own type, or a traced array of at least float32."""
    density = checked_map(values, name)
    if is_on_host(density):
        require_density(density, name)
    return density


def require_density(density: Num[np.ndarray, "*map height width"], name: str) -> None:
    require(
        bool((density > 0).all()), name, f"holds {density.min():g}", "positive numbers everywhere"
    )
    sums = density.sum(axis=(-2, -1), dtype=np.float64)
    worst = np.ravel(sums)[np.argmax(np.abs(np.ravel(sums) - 1))]
    is_close = bool(abs(worst - 1) <= _SUM_TOLERANCE)
    require(is_close, name, f"sums to {worst:g}", "a density that sums to 1")


def checked_fixations(
    xy_px: npt.ArrayLike,
    mask: npt.ArrayLike | None,
    map_shape: tuple[int, ...],
    xy_name: str = "xy_px",
    mask_name: str = "mask",
) -> Fixations:
    """Converts fixations on a map, or on each map of a batch, to pixel indices.

    They are NumPy's arrays if both arguments are concrete.
    """
    height, width = map_shape[-2:]
    batch = map_shape[:-2]
    axes = "[map, fixation, 2]" if batch else "[fixation, 2]"
    # On the host in full precision: 127.99999999 is inside, but float32 rounds it to 128.
    points = checked_numbers(xy_px, xy_name)
    if points.shape == (*batch, 0):  # As a list without fixations is read.
        points = points.reshape(*batch, 0, 2)
    require(
        points.ndim == len(batch) + 2 and points.shape[-1] == 2 and points.shape[:-2] == batch,
        xy_name,
        f"has shape {points.shape}",
        f"{axes}" + (f" with {batch[0]} maps" if batch else ""),
    )
    counts = np.ones(points.shape[:-1], bool)
    if mask is not None:
        counts = checked_numbers(mask, mask_name)
        if is_on_host(counts):
            is_truth = bool(((counts == 0) | (counts == 1)).all())
            require(is_truth, mask_name, "holds other values", "True or False, or 1 or 0")
        counts = counts.astype(bool)
    require(
        counts.shape == points.shape[:-1],
        mask_name,
        f"has shape {counts.shape}",
        f"the {points.shape[:-1]} of {xy_name}",
    )
    x, y = points[..., 0], points[..., 1]
    is_inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if is_on_host(points, counts):
        outside = np.argwhere(counts & ~is_inside)
        if len(outside):
            place = tuple(outside[0].tolist())
            raise ValueError(
                f"{xy_name}[{', '.join(map(str, place))}] is (x, y) = ({x[place]:g}, {y[place]:g});"
                f" allowed: inside the map, 0 <= x < {width} and 0 <= y < {height}"
            )
    module: Any = np if isinstance(points, np.ndarray) else jnp
    column, row = (
        module.floor(module.where(is_inside, side, 0)).astype(np.int32) for side in (x, y)
    )
    is_valid = (is_inside | ~counts).all(axis=-1)
    if is_on_host(points, counts):
        is_valid = np.asarray(is_valid)
    return Fixations(row, column, counts, is_valid)


def require_same_shape(one: Any, one_name: str, other: Any, other_name: str) -> None:
    require(
        one.shape == other.shape,
        other_name,
        f"has shape {other.shape}",
        f"that of {one_name}, {one.shape}",
    )


def require(is_allowed: bool, name: str, found: str, allowed: str) -> None:
    if not is_allowed:
        raise ValueError(f"{name} {found}; allowed: {allowed}")
