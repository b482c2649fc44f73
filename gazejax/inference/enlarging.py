"""Predicted maps at the size of a picture."""

import functools

import numpy as np
from jaxtyping import Float

from gazejax.data.reader import resize_map


def enlarge_maps(
    maps: Float[np.ndarray, "user map_height map_width"],
    size: tuple[int, int],
    out: Float[np.ndarray, "user height width"] | None = None,
) -> Float[np.ndarray, "user height width"]:
    """Resizes maps and makes each sum to 1.

    The logarithm of a map is interpolated by cubic splines. The result is smooth and above zero,
    where linear interpolation of a map shows the grid of the map. A picture with fewer rows or
    columns than the map is given the mean of what falls on each of its pixels.

    Args:
        maps: values of at least 0, some above.
        size: (height, width) of the results.
        out: float32, where to write them; None: a new array.

    Returns:
        float32, `out` if it is given.

    Source: Unser, "Splines: a perfect fit for signal and image processing", IEEE Signal Processing
    Magazine 1999; of the logarithm, ours.
    """
    enlarged = np.empty((len(maps), *size), np.float32) if out is None else out
    if size[0] < maps.shape[1] or size[1] < maps.shape[2]:
        for one, of_user in zip(enlarged, maps, strict=True):
            one[:] = resize_map(of_user, size)
        return enlarged
    rows, columns = (_interpolation(*pair) for pair in zip(maps.shape[1:], size, strict=True))
    # Relative to the largest value, so that float32 holds the exponentials of all.
    relative = maps / maps.max(axis=(1, 2), keepdims=True)
    logs = np.log(np.maximum(relative, np.finfo(np.float32).tiny)).astype(np.float32)
    ones = np.ones(size[1], np.float32)  # A product with ones is a third of the time of `sum`.
    for one, log in zip(enlarged, logs, strict=True):
        np.matmul(rows @ log, columns.T, out=one)
        np.exp(one, out=one)
        one *= 1 / (one @ ones).sum(dtype=np.float64)
    return enlarged


@functools.lru_cache(maxsize=64)
def _interpolation(length: int, new_length: int) -> Float[np.ndarray, "new_length length"]:
    """Weights of a signal in each entry of the enlarged one; the signal is mirrored at its ends.

    `scipy.ndimage.zoom` of an identity matrix is the same, and takes .1 s to import.
    """
    new_entries = (np.arange(new_length) + 0.5) * (length / new_length) - 0.5
    entries = np.arange(length, dtype=np.float64)
    weights = np.linalg.solve(_splines(entries, length).T, _splines(new_entries, length).T).T
    # Weights fall by a factor of 3.7 with each entry. Those that float32 has no normal number for
    # take ten times as long, and change nothing.
    return np.where(np.abs(weights) < 1e-30, 0.0, weights).astype(np.float32)


def _splines(position: Float[np.ndarray, " at"], length: int) -> Float[np.ndarray, "at length"]:
    """Cubic B-splines around the entries of a mirrored signal, at positions in entries."""
    center = np.arange(-2, length + 2)
    distance = np.abs(position[:, None] - center)
    spline = np.where(
        distance < 1, 4 - 6 * distance**2 + 3 * distance**3, np.maximum(2 - distance, 0) ** 3
    )
    entry = np.minimum(center % (2 * length), (-1 - center) % (2 * length))
    product: np.ndarray = spline / 6 @ np.eye(length)[entry]
    return product
