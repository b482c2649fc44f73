"""Maps at the size of a picture."""

import numpy as np
import pytest
import scipy.ndimage

from gazejax.inference import enlarging


def test_the_logarithm_is_interpolated_by_cubic_splines():
    maps = np.random.default_rng(0).dirichlet(np.ones(24), 2).reshape(2, 4, 6).astype(np.float32)
    found = enlarging.enlarge_maps(maps, (9, 7))
    for one, saliency in zip(found, maps, strict=True):
        zoom = (9 / 4, 7 / 6)
        logs = scipy.ndimage.zoom(np.log(saliency), zoom, order=3, mode="reflect", grid_mode=True)
        expected = np.exp(logs) / np.exp(logs).sum()
        np.testing.assert_allclose(one, expected, rtol=1e-4)
        assert one.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)


def test_no_weight_is_too_small_for_a_fast_product():
    weights = np.abs(enlarging._interpolation(96, 800))
    assert weights[weights > 0].min() >= np.finfo(np.float32).tiny
    np.testing.assert_allclose(enlarging._interpolation(96, 800).sum(axis=1), 1, atol=1e-5)
