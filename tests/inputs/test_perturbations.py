"""The edits of gaze and embeddings that controls make, by hand: what each keeps and takes away."""

import numpy as np

from gazejax.inputs import perturbations
from gazejax.inputs.viewing_vectors import from_dense, to_dense
from tests.made_gaze import gaze_of

GENERATOR = np.random.default_rng(0)


def test_zero_and_swapped_embeddings():
    # Users 0, 1 and 2 saw image 0, only user 1 saw image 1.
    viewed = np.array([[True, False], [True, True], [True, False]])
    embeddings = np.array([[[1.0], [0.0]], [[2.0], [4.0]], [[3.0], [0.0]]])
    own, zero, swapped = (
        to_dense(
            perturbations.apply_embedding_control(kind, from_dense(embeddings, viewed), seed=0)
        )
        for kind in ("own", "zero", "swapped")
    )
    np.testing.assert_array_equal(own, embeddings)
    np.testing.assert_array_equal(zero, np.zeros((3, 2, 1)))
    # A derangement of the viewers; the embedding of a single viewer goes to no user.
    assert sorted(swapped[:, 0, 0]) == [1.0, 2.0, 3.0]
    assert (swapped[:, 0] != embeddings[:, 0]).all()
    np.testing.assert_array_equal(swapped[:, 1], np.zeros((3, 1)))


def test_a_recording_is_never_given_the_embedding_of_its_own_user():
    # Users 0, 1 and 2 have two, one and three recordings; image 1 was seen by user 0 alone.
    owner = np.array([0, 0, 1, 2, 2, 2])
    viewed = np.stack([np.ones(6, bool), owner == 0], axis=1)
    known = from_dense(np.arange(12.0).reshape(6, 2, 1), viewed)
    for seed in range(5):
        swapped = to_dense(
            perturbations.apply_embedding_control("swapped", known, seed=seed, owner=owner)
        )
        given = swapped[:, 0, 0].astype(int) // 2  # Recording 3 has the embedding 6 of image 0.
        other = owner[given]
        assert (other != owner).all()
        # All recordings of a user are given those of one other user, one after the other.
        assert len({other[0], other[2], other[3]}) == 3
        assert len(set(given[owner == 0])) == (1 if other[0] == 1 else 2)
        np.testing.assert_array_equal(swapped[:, 1], np.zeros((6, 1)))


def test_permuted_labels_keep_the_viewings_of_each_image():
    lengths = GENERATOR.integers(0, 5, (6, 30))
    gaze = gaze_of(lengths)
    members = np.array([0, 2, 3, 5])
    permuted = perturbations.permute_user_labels(gaze, members, seed=1)
    viewings = [
        np.stack([np.asarray(one.viewing_offset), np.asarray(one.viewing_length)], axis=-1)
        for one in (gaze, permuted)
    ]
    np.testing.assert_array_equal(viewings[0][[1, 4]], viewings[1][[1, 4]])
    is_moved = (viewings[0] != viewings[1]).any(axis=-1)
    assert is_moved[members].mean() > 0.3
    # Each user has viewings of the same images as before.
    np.testing.assert_array_equal(viewings[0][..., 1] > 0, viewings[1][..., 1] > 0)
    for image in range(30):
        old, new = (sorted(map(tuple, one[members, image])) for one in viewings)
        assert old == new


def test_truncated_scanpaths_keep_the_first_fixations_of_long_viewings_only():
    gaze = gaze_of([[3, 5], [2, 7]])
    truncated = perturbations.truncate_scanpaths(gaze, 3)
    np.testing.assert_array_equal(truncated.viewing_length, [[3, 3], [0, 3]])
    np.testing.assert_array_equal(truncated.viewing_offset, gaze.viewing_offset)


def test_limited_gaze_is_the_beginning_of_some_users_viewings():
    # Durations: user 0 has 100 to 102 on image 0; user 1 has 103 on image 0 and 104 to 107 on 1.
    gaze = gaze_of([[3, 0], [1, 4]])
    both = np.array([0, 1])
    truncated = perturbations.limit_gaze(gaze, users=both, first_fixations=2, first_ms=None)
    np.testing.assert_array_equal(truncated.viewing_length, [[2, 0], [1, 2]])
    truncated = perturbations.limit_gaze(gaze, users=both, first_fixations=None, first_ms=150.0)
    np.testing.assert_array_equal(truncated.viewing_length, [[2, 0], [1, 2]])
    np.testing.assert_array_equal(truncated.duration_ms[[0, 1, 3, 4, 5]], [100, 50, 103, 104, 46])
    one = perturbations.limit_gaze(gaze, users=both[1:], first_fixations=1, first_ms=1.0)
    np.testing.assert_array_equal(one.viewing_length, [[3, 0], [1, 1]])
    np.testing.assert_array_equal(one.duration_ms[:5], [100, 101, 102, 1, 1])
    assert perturbations.limit_gaze(gaze, users=both, first_fixations=None, first_ms=None) is gaze
