"""Vectors by viewing: one way to and from arrays over users and images, and zeros of none."""

import jax
import numpy as np
import pytest

from gazejax.inputs import viewing_vectors

VIEWED = np.array([[True, False, True], [False, False, False], [False, True, True]])
DENSE = np.where(VIEWED[..., None], np.arange(1.0, 19.0).reshape(3, 3, 2), 0.0)
KNOWN = viewing_vectors.from_dense(DENSE, VIEWED)


def test_only_viewings_take_memory():
    assert KNOWN.vectors.shape == (4, 2)
    np.testing.assert_array_equal(viewing_vectors.to_dense(KNOWN), DENSE)
    chosen = viewing_vectors.select_users(KNOWN, np.array([2, 0]))
    np.testing.assert_array_equal(viewing_vectors.to_dense(chosen), DENSE[[2, 0]])
    joined = viewing_vectors.join_users(chosen, KNOWN)
    np.testing.assert_array_equal(
        viewing_vectors.to_dense(joined), np.concatenate([DENSE[[2, 0]], DENSE])
    )


def test_a_viewing_that_does_not_exist_has_no_vector():
    users, images = np.array([0, 2]), np.array([2, 1])
    found = viewing_vectors.gather(KNOWN, users, images)
    np.testing.assert_array_equal(found, DENSE[users, images])
    with pytest.raises(ValueError, match="1 of 2 viewings do not exist; allowed: images that"):
        viewing_vectors.gather(KNOWN, users, np.array([1, 2]))
    users, images = np.indices((3, 3))
    every = jax.jit(viewing_vectors.look_up)(KNOWN, users, images)
    np.testing.assert_array_equal(every, DENSE)


def test_means_are_over_viewings_alone():
    weights = np.array([[0.25, 0.0, 0.75], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = viewing_vectors.mean_over_images(KNOWN, weights)
    np.testing.assert_allclose(found, np.einsum("ui,uif->uf", weights, DENSE))
