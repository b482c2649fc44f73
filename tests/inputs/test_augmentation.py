import jax
import jax.numpy as jnp
import numpy as np

from gazejax.inputs import augmentation
from gazejax.types import Scanpaths

SCANPATHS = Scanpaths(
    xy_frac=jnp.array([[[0.75, 0.25]], [[0.75, 0.25]]]),
    duration_ms=jnp.array([[200.0], [200.0]]),
    mask=jnp.ones((2, 1), bool),
)


def test_a_warp_by_hand():
    warp = augmentation.GazeTransform(
        is_mirrored=jnp.array([False, True]),
        scale=jnp.array([2.0, 1.0]),
        duration_factor=jnp.array([1.5, 0.5]),
        shift_frac=jnp.array([[0.0, 0.1], [0.05, 0.0]]),
    )
    found = augmentation.transform_scanpaths(warp, SCANPATHS)
    # Twice as far from (.5, .5) and .1 down; x mirrored to .25 and then .05 to the right.
    np.testing.assert_allclose(found.xy_frac[:, 0], [[1.0, 0.1], [0.3, 0.25]], atol=1e-6)
    np.testing.assert_allclose(found.duration_ms[:, 0], [300, 100])
    # Columns are exchanged for the mirrored one only.
    maps = jnp.arange(6.0).reshape(1, 2, 3).repeat(2, axis=0)
    mirrored = augmentation.mirror_columns(warp, maps)
    np.testing.assert_array_equal(mirrored[0], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(mirrored[1], [[2, 1, 0], [5, 4, 3]])
    pixels = maps[..., None].astype(jnp.uint8)
    assert augmentation.mirror_columns(warp, pixels).dtype == jnp.uint8


def test_real_users_stay_as_they_are():
    found = augmentation.transform_scanpaths(augmentation.identity_transforms(2), SCANPATHS)
    jax.tree.map(np.testing.assert_array_equal, found, SCANPATHS)


def test_warps_have_the_spread_asked_for():
    options = {"scale_spread": 0.2, "duration_spread": 0.1, "shift_frac": 0.05}
    warp = augmentation.sample_transforms(jax.random.key(0), number=4000, mirror=True, **options)
    assert 0.45 < warp.is_mirrored.mean() < 0.55
    for values, spread in (
        (jnp.log(warp.scale), 0.2),
        (jnp.log(warp.duration_factor), 0.1),
        (warp.shift_frac, 0.05),
    ):
        np.testing.assert_allclose(values.mean(), 0.0, atol=0.1 * spread)
        np.testing.assert_allclose(values.std(), spread, rtol=0.1)
    assert not augmentation.sample_transforms(
        jax.random.key(0), number=100, mirror=False, **options
    ).is_mirrored.any()


def test_a_virtual_session_follows_the_virtual_user():
    user = augmentation.GazeTransform(
        is_mirrored=jnp.array([False, True]),
        scale=jnp.array([2.0, 0.5]),
        duration_factor=jnp.array([1.5, 0.5]),
        shift_frac=jnp.array([[0.0, 0.1], [0.05, 0.0]]),
    )
    session = user._replace(is_mirrored=jnp.zeros(2, bool), scale=jnp.array([1.1, 0.9]))
    in_turn = augmentation.transform_scanpaths(
        session, augmentation.transform_scanpaths(user, SCANPATHS)
    )
    at_once = augmentation.transform_scanpaths(augmentation.then(user, session), SCANPATHS)
    np.testing.assert_allclose(at_once.xy_frac, in_turn.xy_frac, atol=1e-6)
    np.testing.assert_allclose(at_once.duration_ms, in_turn.duration_ms, rtol=1e-6)
