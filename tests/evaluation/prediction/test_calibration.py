"""The calibrated universal map, by hand and by users whose settings are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gazejax.evaluation.prediction.calibration import (
    Calibration,
    calibrate,
    calibration_grid,
    calibration_likelihoods,
)
from gazejax.inputs.maps import MapSpec, sum_maps
from tests.made_gaze import gaze_of

GENERATOR = np.random.default_rng(0)
UNIVERSAL = jnp.asarray(GENERATOR.random((9, 12)) ** 3, jnp.float32)
UNIVERSAL = UNIVERSAL / UNIVERSAL.sum()
PRIOR = jnp.asarray(np.exp(-((np.arange(12) - 5.5) ** 2) / 8)[None] * np.ones((9, 1)), jnp.float32)
PRIOR = PRIOR / PRIOR.sum()


def calibrated(spread_frac, gain, center_weight):
    setting = Calibration(*map(jnp.float32, (spread_frac, gain, center_weight)))
    return calibrate(UNIVERSAL, PRIOR, setting, aspect_ratio=jnp.float32(4 / 3))


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
    grid = calibration_grid(spread_frac=(0.0, 0.1), gain=(0.5, 1.0), center_weight=(-0.5, 0.0, 1.0))
    found = calibration_likelihoods(
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
