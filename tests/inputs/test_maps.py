import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gazejax.inputs.maps import (
    JoinedGaze,
    MapSpec,
    density_map,
    leave_one_out_maps,
    personal_and_universal_maps,
    personal_maps,
    sum_maps,
    to_density,
    to_relative_density,
)
from gazejax.types import Gaze, viewing_scanpaths

SIZE = (12, 16)
OPTIONS = {"sigma_frac": 0.1, "map_size": SIZE}
SPEC = MapSpec(SIZE, 0.1, 2)


@pytest.fixture
def gaze() -> Gaze:
    """Three users, two images (4:3). User 2 did not see image 1."""
    xy = [[0.1, 0.2], [0.9, 0.8], [0.5, 0.5], [0.3, 0.3], [0.7, 0.1], [0.2, 0.9], [0.6, 0.6]]
    return Gaze(
        xy_frac=np.float32(xy),
        duration_ms=np.full(7, 200, np.float32),
        viewing_offset=np.int32([[0, 4], [2, 5], [3, 7]]),
        viewing_length=np.int32([[2, 1], [1, 2], [1, 0]]),
        aspect_ratio=np.float32([4 / 3, 4 / 3]),
    )


@jax.jit
def personal(gaze, user, image):
    return personal_maps(gaze, jnp.array(user), jnp.array(image), SPEC)


@jax.jit
def universal_of_others(gaze, members, user, image):
    """Maps of viewings, and of the others of a group of users."""
    group = sum_maps(gaze, members, SPEC)
    maps = personal_maps(gaze, user, image, SPEC)
    return maps, leave_one_out_maps(group, gaze, user, image, maps)


def test_a_fixation_peaks_in_its_own_cell_with_x_as_the_column():
    # x = 0.9 of 16 columns is column 14, y = 0.2 of 12 rows is row 2.
    one = density_map(jnp.array([[0.9, 0.2]]), jnp.array([True]), aspect_ratio=4 / 3, **OPTIONS)
    assert np.unravel_index(np.argmax(one), SIZE) == (2, 14)
    assert one.sum() == pytest.approx(1.0, abs=1e-6)


def test_a_map_is_a_round_gaussian_of_the_given_width():
    # Sigma 0.05 of the width is 4 of 80 columns, and 4 of 60 rows of a 4:3 image.
    fixation = jnp.array([[0.5, 0.5]])
    one = np.asarray(
        density_map(
            fixation, jnp.array([True]), aspect_ratio=4 / 3, sigma_frac=0.05, map_size=(60, 80)
        ),
        np.float64,
    )
    row, column = np.mgrid[:60, :80] + 0.5
    assert np.sqrt((one * (column - 40) ** 2).sum()) == pytest.approx(4.0, rel=1e-3)
    assert np.sqrt((one * (row - 30) ** 2).sum()) == pytest.approx(4.0, rel=1e-3)


@pytest.mark.parametrize("aspect_ratio", [0.002, 1.0, 500.0])
def test_a_fixation_on_a_narrow_picture_does_not_vanish(aspect_ratio):
    one = density_map(
        jnp.array([[0.5, 0.503]]), jnp.array([True]), aspect_ratio=aspect_ratio, **OPTIONS
    )
    assert one.sum() == pytest.approx(1.0, abs=1e-5)


def test_gathering_keeps_viewings_apart(gaze):
    xy_frac, _, mask = viewing_scanpaths(
        gaze, jnp.array([1, 2, 2]), jnp.array([1, 0, 1]), max_fixations=2
    )
    np.testing.assert_array_equal(mask, [[True, True], [True, False], [False, False]])
    np.testing.assert_allclose(xy_frac[0], [[0.2, 0.9], [0.6, 0.6]])
    np.testing.assert_allclose(xy_frac[1, 0], [0.3, 0.3])


def test_universal_map_is_the_mean_of_the_other_members(gaze):
    maps, universal = universal_of_others(
        gaze, np.array([0, 1]), np.array([0, 1, 2]), np.array([0, 0, 0])
    )
    # Member 0 is left out of their own, so is 1; user 2 is no member and sees the mean of both.
    np.testing.assert_allclose(universal[0], maps[1], atol=1e-6)
    np.testing.assert_allclose(universal[1], maps[0], atol=1e-6)
    np.testing.assert_allclose(universal[2], (maps[0] + maps[1]) / 2, atol=1e-6)


def test_universal_map_of_a_recording_leaves_all_sessions_of_its_user_out(gaze):
    group = jax.jit(lambda: sum_maps(gaze, jnp.array([0, 1]), SPEC))()
    # Recordings 0 and 1 are of user 0; its viewing of image 0 is in recording 0 alone.
    offset, length = (np.asarray(one) for one in (gaze.viewing_offset, gaze.viewing_length))
    apart = gaze._replace(
        viewing_offset=offset[[0, 0, 1]], viewing_length=length[[0, 0, 1]] * [[1], [0], [1]]
    )
    joined = JoinedGaze(gaze, np.array([0, 0, 1]))
    row, image = np.array([0, 1, 2]), np.array([0, 0, 0])
    own, others = jax.jit(
        lambda row, image: personal_and_universal_maps(apart, group, row, image, SPEC, joined)
    )(row, image)
    maps = np.asarray(personal(gaze, np.array([0, 1]), np.array([0, 0])))
    np.testing.assert_allclose(own, [maps[0], np.zeros_like(maps[0]), maps[1]], atol=1e-6)
    np.testing.assert_allclose(others, [maps[1], maps[1], maps[0]], atol=1e-6)


def test_universal_map_counts_only_who_saw_the_image(gaze):
    one = np.array([1])

    def universal(*members):
        return np.asarray(universal_of_others(gaze, np.array(members), one, one)[1])

    np.testing.assert_allclose(universal(0, 2)[0], personal(gaze, np.array([0]), one)[0], atol=1e-6)
    assert (universal(1, 2) == 0).all()
    assert (universal(2) == 0).all()


def test_scaled_maps_by_hand():
    one = jnp.array([[[1.0, 3.0], [0.0, 4.0]]])
    np.testing.assert_allclose(to_density(one), one / 8)
    np.testing.assert_allclose(to_relative_density(one), one / 2)
    assert (to_relative_density(jnp.zeros((1, 2, 2))) == 0).all()
