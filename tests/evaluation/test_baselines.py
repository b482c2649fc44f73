"""Controls and baselines against results by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gazejax.evaluation import baselines
from gazejax.inputs import perturbations
from gazejax.inputs.maps import MapSpec, sum_maps
from gazejax.types import Gaze

GENERATOR = np.random.default_rng(0)


def gaze_of(lengths, xy_frac=None):
    """Gaze of users x images with these numbers of fixations; durations are 100, 101, ... ms."""
    lengths = np.array(lengths, np.int32)
    ends = np.cumsum(lengths.ravel()).reshape(lengths.shape)
    number = int(lengths.sum())
    return Gaze(
        xy_frac=GENERATOR.random((number, 2)).astype(np.float32) if xy_frac is None else xy_frac,
        duration_ms=np.arange(number, dtype=np.float32) + 100,
        viewing_offset=(ends - lengths).astype(np.int32),
        viewing_length=lengths,
        aspect_ratio=np.full(lengths.shape[1], 4 / 3, np.float32),
    )


def test_zero_and_swapped_embeddings():
    # Users 0, 1 and 2 saw image 0, only user 1 saw image 1.
    viewed = np.array([[True, False], [True, True], [True, False]])
    embeddings = np.array([[[1.0], [0.0]], [[2.0], [4.0]], [[3.0], [0.0]]])
    own, zero, swapped = (
        perturbations.apply_embedding_control(kind, embeddings, viewed, seed=0)
        for kind in ("own", "zero", "swapped")
    )
    np.testing.assert_array_equal(own, embeddings)
    np.testing.assert_array_equal(zero, np.zeros((3, 2, 1)))
    # A derangement of the viewers; the embedding of a single viewer goes to no user.
    assert sorted(swapped[:, 0, 0]) == [1.0, 2.0, 3.0]
    assert (swapped[:, 0] != embeddings[:, 0]).all()
    np.testing.assert_array_equal(swapped[:, 1], np.zeros((3, 1)))


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


def test_fixation_statistics_by_hand():
    # Durations: user 0 has 100, 101 on image 0; user 1 102, 103, 104 on image 0 and 105 on image 1.
    gaze = gaze_of([[2, 0], [3, 1]])
    found = baselines.fixation_statistics(gaze, np.array([1, 0]), np.array([0, 1]))
    np.testing.assert_allclose(found, [[[3, 103], [1, 105]], [[2, 100.5], [0, 0]]])


UNIVERSAL = jnp.asarray(GENERATOR.random((9, 12)) ** 3, jnp.float32)
UNIVERSAL = UNIVERSAL / UNIVERSAL.sum()
PRIOR = jnp.asarray(np.exp(-((np.arange(12) - 5.5) ** 2) / 8)[None] * np.ones((9, 1)), jnp.float32)
PRIOR = PRIOR / PRIOR.sum()


def calibrated(spread_frac, gain, center_weight):
    setting = baselines.Calibration(*map(jnp.float32, (spread_frac, gain, center_weight)))
    return baselines.calibrate(UNIVERSAL, PRIOR, setting, aspect_ratio=jnp.float32(4 / 3))


def test_calibration_does_what_its_settings_say():
    same, wide, sharp, central = (
        calibrated(*setting)
        for setting in ((0.0, 1.0, 0.0), (0.1, 1.0, 0.0), (0.0, 2.0, 0.0), (0.0, 1.0, 1.0))
    )
    for map_ in (same, wide, sharp, central):
        assert float(map_.sum()) == pytest.approx(1.0, abs=1e-5)
    # Unchanged but for the floor at a hundredth of uniform.
    floored = (UNIVERSAL * 108 + 0.01) / 1.01 / 108
    np.testing.assert_allclose(same, floored, rtol=1e-4)
    assert wide.max() < same.max() < sharp.max()
    middle = slice(4, 8)
    assert central[:, middle].sum() > same[:, middle].sum() + 0.2


def test_calibration_finds_the_user_who_looks_at_the_center():
    """Three users on 20 images: one is the universal map, one central, one uniform."""
    number = 20
    column = [GENERATOR.random((number * 6, 1)) for _ in range(3)]
    column[1] = 0.5 + 0.05 * (column[1] - 0.5)
    xy_frac = np.concatenate(
        [np.concatenate([x, GENERATOR.random((number * 6, 1))], axis=1) for x in column]
    ).astype(np.float32)
    gaze = gaze_of(np.full((3, number), 6), xy_frac)
    spec = MapSpec((9, 12), 0.05, 6)
    universal_maps = jax.jit(lambda gaze: sum_maps(gaze, jnp.array([0, 2]), spec))(gaze)
    grid = baselines.calibration_grid(
        spread_frac=(0.0, 0.1), gain=(0.5, 1.0), center_weight=(-0.5, 0.0, 1.0)
    )
    found = baselines.calibration_likelihoods(
        universal_maps,
        gaze,
        np.asarray(PRIOR),
        grid,
        users=np.array([1, 2]),
        images=np.arange(number),
        spec=spec,
    )
    assert found.shape == (2, number, 12)
    central, anywhere = grid.center_weight[found.mean(axis=1).argmax(axis=-1)]
    assert central == 1.0
    assert anywhere <= 0.0
