"""A vector of each viewing, such as its embedding; memory grows with the number of viewings.

Users may have seen few of the images. An array over users x images would be mostly empty then.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gazejax.types import AnyArray


class ViewingVectors(NamedTuple):
    """A vector of each viewing of some users, or recordings, on some images.

    Attributes:
        vectors: one of each viewing; those of other users may be among them.
        row: the place in `vectors` of each user's viewing of each image; -1: there is none.
    """

    vectors: Float[AnyArray, "viewing entry"]
    row: Int[AnyArray, "user image"]


def number_viewings(viewed: Bool[np.ndarray, "user image"]) -> Int[np.ndarray, "user image"]:
    """Numbers the viewings, those of one user after the other; -1 where there is none.

    Example:
        >>> number_viewings(np.array([[True, False], [True, True]])).tolist()
        [[0, -1], [1, 2]]
    """
    row = np.full(viewed.shape, -1, np.int32)
    row[viewed] = np.arange(np.count_nonzero(viewed))
    return row


def from_dense(
    values: Float[np.ndarray, "user image entry"], viewed: Bool[np.ndarray, "user image"]
) -> ViewingVectors:
    """Keeps the vectors of the viewings that there are."""
    return ViewingVectors(values[viewed], number_viewings(viewed))


def to_dense(known: ViewingVectors) -> Float[np.ndarray, "user image entry"]:
    """The vectors of all users and images; zeros where there is no viewing."""
    vectors, row = (np.asarray(values) for values in known)
    return np.where((row >= 0)[..., None], vectors[row], np.zeros((), vectors.dtype))


def select_users(known: ViewingVectors, users: Int[np.ndarray, " kept"]) -> ViewingVectors:
    """The viewings of some users, given by their positions; no vector is copied."""
    return known._replace(row=known.row[users])


def join_users(one: ViewingVectors, other: ViewingVectors) -> ViewingVectors:
    """The viewings of users, then those of others, on the same images."""
    moved = np.where(other.row < 0, -1, other.row + len(one.vectors))
    return ViewingVectors(
        np.concatenate([one.vectors, other.vectors]), np.concatenate([one.row, moved])
    )


def gather(
    known: ViewingVectors, user: Int[np.ndarray, "..."], image: Int[np.ndarray, "..."]
) -> Float[np.ndarray, "*batch entry"]:
    """The vectors of viewings, given by the positions of their users and images.

    Raises:
        ValueError: if one of these viewings does not exist.
    """
    row = known.row[user, image]
    if row.size and row.min() < 0:
        raise ValueError(
            f"{np.count_nonzero(row < 0)} of {row.size} viewings do not exist; allowed: images "
            "that the user saw"
        )
    return np.asarray(known.vectors)[row]


def look_up(
    known: ViewingVectors, user: Int[Array, "*batch"], image: Int[Array, "*batch"]
) -> Float[Array, "*batch entry"]:
    """As `gather`, in a compiled program; zeros where there is no viewing."""
    row = jnp.asarray(known.row)[user, image]
    return jnp.where((row >= 0)[..., None], jnp.asarray(known.vectors)[row], 0)


def mean_over_images(
    known: ViewingVectors, weights: Float[np.ndarray, "user image"]
) -> Float[np.ndarray, "user entry"]:
    """Averages the vectors of each user, by weights that sum to 1; zeros without any weight.

    Raises:
        ValueError: if a viewing with a weight does not exist.

    Example:
        >>> known = ViewingVectors(np.array([[2.0], [4.0], [5.0]]), np.array([[0, 1], [-1, 2]]))
        >>> mean_over_images(known, np.array([[0.5, 0.5], [0.0, 1.0]])).tolist()
        [[3.0], [5.0]]
    """
    means = np.zeros((len(weights), known.vectors.shape[1]))
    for user, (mean, weight) in enumerate(zip(means, weights, strict=True)):
        images = np.flatnonzero(weight)
        mean[:] = np.einsum("i,if->f", weight[images], gather(known, np.array(user), images))
    return means
