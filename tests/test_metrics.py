import jax.numpy as jnp
import numpy as np
import pytest

from gazejax import metrics, verification

RAMP = jnp.array([[0.0, 1.0], [2.0, 3.0]])


def test_cc_by_hand():
    # Deviations of the ramp: -1.5 -0.5 0.5 1.5; of b: -0.5 0.5 -0.5 0.5. Products sum to
    # 0.75 - 0.25 - 0.25 + 0.75 = 1; sums of squares 5 and 1: 1 / sqrt(5).
    b = jnp.array([[0.0, 1.0], [0.0, 1.0]])
    assert metrics.cc(RAMP, b) == pytest.approx(1 / np.sqrt(5), rel=1e-6)
    assert metrics.cc(RAMP, -2 * RAMP + 7) == pytest.approx(-1.0, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_cc_and_nss_survive_scale_in_float32(scale):
    assert metrics.cc(RAMP * scale, RAMP) == pytest.approx(1.0, rel=1e-5)
    top = metrics.nss(saliency=RAMP * scale, xy_px=jnp.array([[1.5, 1.5]]))
    assert top == pytest.approx(1.5 / np.sqrt(1.25), rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_constant_maps_score_zero(value):
    constant = jnp.full((96, 128), value)
    other = jnp.arange(96 * 128, dtype=float).reshape(96, 128)
    assert metrics.cc(constant, other) == 0.0
    assert metrics.cc(other, constant) == 0.0
    assert metrics.nss(saliency=constant, xy_px=jnp.array([[3.0, 4.0]])) == 0.0


def test_kld_by_hand():
    # Q = (1/2, 1/2, 0, 0), P = (1/4, 1/4, 1/4, 1/4): 2 * 1/2 * log 2.
    target = jnp.array([[5.0, 5.0], [0.0, 0.0]])
    prediction = jnp.ones((2, 2))
    assert metrics.kld(target=target, prediction=prediction) == pytest.approx(np.log(2), rel=1e-6)
    # The other way round a quarter of the truth meets a prediction of zero twice:
    # 2 * 1/4 * log(1/2) + 2 * 1/4 * log(1/4 / 2.2204e-16).
    expected = 0.5 * np.log(0.5) + 0.5 * np.log(0.25 / 2.2204e-16)
    assert metrics.kld(target=prediction, prediction=target) == pytest.approx(expected, rel=1e-5)


def test_kld_takes_a_zero_map_as_uniform():
    assert metrics.kld(target=RAMP, prediction=jnp.zeros((2, 2))) == pytest.approx(
        float(metrics.kld(target=RAMP, prediction=jnp.ones((2, 2)))), rel=1e-6
    )


def test_nss_by_hand_reads_x_before_y():
    # Mean 1.5, std sqrt(1.25). (x, y) = (1.9, 0.2) is column 1, row 0: value 1, so -0.5 / std.
    # Read as (y, x) it would be row 1, column 0: value 2, +0.5 / std.
    nss = metrics.nss(saliency=RAMP, xy_px=jnp.array([[1.9, 0.2]]))
    assert nss == pytest.approx(-0.5 / np.sqrt(1.25), rel=1e-6)


def test_nss_mask_equals_dropping_the_fixation():
    points = jnp.array([[0.5, 0.5], [1.5, 1.5], [0.5, 1.5]])
    masked = metrics.nss(saliency=RAMP, xy_px=points, mask=jnp.array([True, False, True]))
    assert masked == pytest.approx(float(metrics.nss(saliency=RAMP, xy_px=points[::2])))
    none = metrics.nss(saliency=RAMP, xy_px=points, mask=jnp.zeros(3, bool))
    assert jnp.isnan(none)


def test_roc_auc_by_hand():
    # Pairs (genuine, impostor): 3>2, 3>1, 2=2 (half), 2>1: 3.5 of 4.
    assert verification.roc_auc(np.array([3.0, 2.0]), np.array([2.0, 1.0])) == 3.5 / 4
    assert verification.roc_auc(np.ones(3), np.ones(5)) == 0.5
    with pytest.raises(ValueError, match="impostor has 0 scores"):
        verification.roc_auc(np.ones(3), np.ones(0))


def test_rank1_by_hand_breaks_ties_against_us():
    # Probe 0 finds itself, probe 1 ties with user 0 (counts as a miss), probe 2 misses.
    scores = np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 0.0], [9.0, 1.0, 8.0]])
    assert verification.rank1(scores) == pytest.approx(1 / 3)
    assert verification.rank1(np.zeros((4, 4))) == 0.0
    with pytest.raises(ValueError, match="2 users or more"):
        verification.rank1(np.zeros((1, 1)))
