"""Similarity scores of vectors: of embeddings, directions and maps, of any real type."""

import numpy as np
import numpy.typing as npt
import scipy
from jaxtyping import Float, Integer, Num

from gazejax.metrics._checks import host_numbers, require

# Up to this ratio of offset to range, float32 keeps the deviation of a vector from its mean.
_MOST_RANGES = 256

# Whole numbers up to this one are exact in float64.
_MOST_EXACT = 2**53


def negative_distance(
    probe: npt.ArrayLike, enrolled: npt.ArrayLike
) -> Float[np.ndarray, "sample other"]:
    """Similarity of embeddings: minus the Euclidean distance.

    Args:
        probe: vectors, [sample, feature].
        enrolled: vectors, [other, feature].

    Raises:
        ValueError: if a vector holds a NaN or infinite value, or the shapes do not fit.

    Example:
        >>> negative_distance(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[-5.0, -0.0]]
    """
    one, other = _vectors(probe, enrolled)
    if one.size and other.size and one.dtype.kind in "iu" and other.dtype.kind in "iu":
        low = min(int(one.min()), int(other.min()))
        high = max(int(one.max()), int(other.max()))
        if high - low > _MOST_EXACT:
            return -_distance_of_whole(one, other)
        # The difference modulo 2 ** 64 is the true one, where float64 would round the numbers.
        one, other = (side.astype(np.uint64) - np.uint64(low % 2**64) for side in (one, other))
    probe, enrolled = _in_float(one), _in_float(other)
    largest = float(max(np.abs(probe).max(initial=0), np.abs(enrolled).max(initial=0)))
    if largest == 0 or 1e-100 < largest < 1e100:
        return -scipy.spatial.distance.cdist(probe, enrolled)
    # By a power of two, so that squares stay inside float64.
    exponent = int(np.frexp(largest)[1])
    probe, enrolled = (np.ldexp(side.astype(np.float64), -exponent) for side in (probe, enrolled))
    return -np.ldexp(scipy.spatial.distance.cdist(probe, enrolled), exponent)


def cosine(probe: npt.ArrayLike, enrolled: npt.ArrayLike) -> Float[np.ndarray, "sample other"]:
    """Similarity of directions: the cosine; a zero vector scores 0 with every vector.

    Args:
        probe: vectors, [sample, feature].
        enrolled: vectors, [other, feature].

    Raises:
        ValueError: if a vector holds a NaN or infinite value, or the shapes do not fit.

    Example:
        >>> cosine(np.array([[0.0, 2.0]]), np.array([[0.0, 5.0], [1.0, 0.0], [0.0, 0.0]])).tolist()
        [[1.0, 0.0, 0.0]]
    """
    one, other = map(_in_float, _vectors(probe, enrolled))
    return _unit(one) @ _unit(other).T


def correlation(probe: npt.ArrayLike, enrolled: npt.ArrayLike) -> Float[np.ndarray, "sample other"]:
    """Similarity of maps: Pearson correlation; a constant map scores 0 with every map.

    Args:
        probe: flat maps, [sample, feature].
        enrolled: flat maps, [other, feature].

    Raises:
        ValueError: if a map holds a NaN or infinite value, or the shapes do not fit.

    Example:
        >>> maps = np.array([[6.0, 4.0, 2.0], [1.0, 1.0, 1.0]])
        >>> correlation(np.array([[1.0, 2.0, 3.0]]), maps).round(3).tolist()
        [[-1.0, 0.0]]
    """
    one, other = (_in_float(_without_offset(side)) for side in _vectors(probe, enrolled))
    return _unit(_centered(one)) @ _unit(_centered(other)).T


def _vectors(
    probe: npt.ArrayLike, enrolled: npt.ArrayLike
) -> tuple[Num[np.ndarray, "sample feature"], Num[np.ndarray, "other feature"]]:
    """Both arrays in their own types, checked."""
    arrays = {"probe": host_numbers(probe, "probe")}
    arrays["enrolled"] = host_numbers(enrolled, "enrolled")
    for name, array in arrays.items():
        require(array.ndim == 2, name, f"has shape {array.shape}", "[sample, feature]")
        is_finite = bool(np.isfinite(array).all())
        require(is_finite, name, "holds a NaN or infinite value", "finite numbers")
    one, other = arrays.values()
    require(
        one.shape[1] == other.shape[1],
        "enrolled",
        f"has shape {other.shape}",
        f"{one.shape[1]} features, as probe has",
    )
    return one, other


def _in_float(vectors: Num[np.ndarray, "sample feature"]) -> Float[np.ndarray, "sample feature"]:
    """Vectors in float32 or float64."""
    is_float = vectors.dtype in (np.float32, np.float64)
    return vectors if is_float else vectors.astype(np.float64)


def _distance_of_whole(
    one: Integer[np.ndarray, "sample feature"], other: Integer[np.ndarray, "other feature"]
) -> Float[np.ndarray, "sample other"]:
    """Distances of vectors of whole numbers, whose differences no type of 64 bits holds."""
    numbers = other.astype(object)
    differences = ((numbers - row).astype(np.float64) for row in one.astype(object))
    return np.stack([np.linalg.norm(rows, axis=-1) for rows in differences])


def _without_offset(maps: Num[np.ndarray, "sample feature"]) -> Num[np.ndarray, "sample feature"]:
    """Maps minus their minima, of types whose numbers float64 would round."""
    if maps.dtype.itemsize < 8 or maps.dtype == np.float64 or maps.size == 0:
        return maps
    low = maps.min(axis=-1, keepdims=True)
    if maps.dtype.kind == "f":
        return maps - low
    # Modulo 2 ** 64, which the true difference is below.
    return maps.astype(np.uint64) - low.astype(np.uint64)


def _centered(
    maps: Float[np.ndarray, "sample feature"],
) -> Float[np.ndarray, "sample feature"]:
    low, high = (side(axis=-1, keepdims=True) for side in (maps.min, maps.max))
    # The mean would be rounded more coarsely than the deviations. Such a minimum is subtracted
    # without an error, since the other numbers are less than twice as large.
    is_far = np.maximum(np.abs(low), np.abs(high)) / _MOST_RANGES > high / 2 - low / 2
    maps = np.where(is_far, maps - np.where(is_far, low, 0), maps)
    return maps - maps.mean(axis=-1, keepdims=True)


def _unit(
    vectors: Float[np.ndarray, "sample feature"],
) -> Float[np.ndarray, "sample feature"]:
    """Vectors of length 1; a zero vector stays zero."""
    size = np.abs(vectors).max(axis=-1, keepdims=True, initial=0)
    # By a power of two, which changes no digit: squares stay inside the type.
    scaled = np.ldexp(vectors, -np.frexp(size)[1])
    length = np.linalg.norm(scaled, axis=-1, keepdims=True)
    return scaled / np.where(length > 0, length, 1.0)
