import jax
import jax.numpy as jnp
import jax.test_util
import jaxtyping
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gazejax import metrics
from gazejax.metrics import verification
from gazejax.metrics.saliency import METRICS

RAMP = np.array([[0.0, 1.0], [2.0, 3.0]], np.float32)
FIXATION_METRICS = {
    "auc": metrics.auc,
    "auc_judd": metrics.auc_judd,
    "nss": metrics.nss,
    "sauc": lambda **common: metrics.sauc(**common, other_xy_px=CORNERS),
}
MAP_METRICS = {
    "cc": metrics.cc,
    "sim": metrics.sim,
    "kld": lambda a, b: metrics.kld(target=a, prediction=b),
}
CORNERS = np.array([[0.0, 0.0], [1.0, 1.0]])
NONE = np.zeros((0, 2))


def at(*pixels: tuple[int, int]) -> np.ndarray:
    """Fixations in the middle of pixels (row, column)."""
    return np.array([(column + 0.5, row + 0.5) for row, column in pixels])


# ---------------------------------------------------------------- worked by hand


def test_auc_by_hand():
    # 3 beats 0, 1, 2 and ties with itself: 3.5 of 4. 1 beats 0, ties with itself: 1.5 of 4.
    assert metrics.auc(saliency=RAMP, xy_px=at((1, 1))) == 3.5 / 4
    assert metrics.auc(saliency=RAMP, xy_px=at((1, 1), (0, 1))) == 5 / 8
    # Fixated twice, 3 counts twice: (3.5 + 3.5 + 1.5) / 12.
    assert metrics.auc(saliency=RAMP, xy_px=at((1, 1), (1, 1), (0, 1))) == pytest.approx(8.5 / 12)
    # Two pixels of 5 tie: 5 beats two and ties with two.
    ties = np.array([[5.0, 5.0], [0.0, 1.0]])
    assert metrics.auc(saliency=ties, xy_px=at((0, 0))) == 3 / 4


def test_auc_judd_by_hand():
    # Never fixated: 0, 1, 2. At threshold 3 all hits, no false alarm: 1.
    assert metrics.auc_judd(saliency=RAMP, xy_px=at((1, 1))) == pytest.approx(1)
    # One fixation on 1: (0, 0), (2/3, 1), (1, 1): 1/2 * 2/3 + 1/3. (`auc` has 1.5 / 4.)
    assert metrics.auc_judd(saliency=RAMP, xy_px=at((0, 1))) == pytest.approx(2 / 3)
    # Twice on 2, once on 0; never: 1, 3. At 2: hits 2/3, alarms 1/2; at 0: 1 and 1.
    # 1/2 * 1/2 * 2/3 + 1/2 * (2/3 + 1) / 2 = 1/6 + 5/12.
    points = at((1, 0), (0, 0), (1, 0))
    assert metrics.auc_judd(saliency=RAMP, xy_px=points) == pytest.approx(7 / 12)


def test_sauc_by_hand():
    # Positive 2; negatives 0, 2 (half) and, masked out, 3: 1.5 of 2.
    others = at((0, 0), (1, 0), (1, 1))
    value = metrics.sauc(
        saliency=RAMP, xy_px=at((1, 0)), other_xy_px=others, other_mask=[True, True, False]
    )
    assert value == 3 / 4
    # With 3 it is 1.5 of 3.
    assert metrics.sauc(saliency=RAMP, xy_px=at((1, 0)), other_xy_px=others) == 1 / 2


def test_nss_by_hand_reads_x_before_y():
    # Mean 1.5, std sqrt(1.25). (x, y) = (1.9, 0.2) is column 1, row 0: value 1, so -0.5 / std.
    # Read as (y, x) it would be row 1, column 0: value 2, +0.5 / std.
    nss = metrics.nss(saliency=RAMP, xy_px=[[1.9, 0.2]])
    assert nss == pytest.approx(-0.5 / np.sqrt(1.25), rel=1e-6)


def test_information_gain_by_hand():
    # 1/2 against 1/4 is 1 bit, 1/8 against 1/4 is -1 bit, 1/2 again: (1 - 1 + 1) / 3.
    density = np.array([[0.5, 0.25], [0.125, 0.125]])
    points = at((0, 0), (1, 1), (0, 0))
    gain = metrics.information_gain(density=density, baseline=np.full((2, 2), 0.25), xy_px=points)
    assert gain == pytest.approx(1 / 3)


def test_cc_by_hand():
    # Deviations of the ramp: -1.5 -0.5 0.5 1.5; of b: -0.5 0.5 -0.5 0.5. Products sum to
    # 0.75 - 0.25 - 0.25 + 0.75 = 1; sums of squares 5 and 1: 1 / sqrt(5).
    b = np.array([[0.0, 1.0], [0.0, 1.0]])
    assert metrics.cc(RAMP, b) == pytest.approx(1 / np.sqrt(5), rel=1e-6)
    assert metrics.cc(RAMP, -2 * RAMP + 7) == pytest.approx(-1.0, rel=1e-6)


def test_sim_by_hand():
    # (0, 1, 2, 3) / 6 and (1, 1, 2, 0) / 4: minima 0, 1/6, 1/3, 0. Stretched to minimum 0 and
    # maximum 1 first, b would be (1, 1, 2, 0) / 4 all the same, but a + 1 would not be a.
    b = np.array([[1.0, 1.0], [2.0, 0.0]])
    assert metrics.sim(RAMP, b) == pytest.approx(1 / 2)
    # (1, 2, 3, 4) / 10: minima 0.1, 0.2, 0.3, 0.
    assert metrics.sim(RAMP + 1, b) == pytest.approx(0.6)


def test_kld_by_hand():
    # Q = (1/2, 1/2, 0, 0), P = (1/4, 1/4, 1/4, 1/4): 2 * 1/2 * log 2.
    target = np.array([[5.0, 5.0], [0.0, 0.0]])
    prediction = np.ones((2, 2))
    assert metrics.kld(target=target, prediction=prediction) == pytest.approx(np.log(2), rel=1e-6)
    # The other way round a quarter of the truth meets a prediction of zero twice:
    # 2 * 1/4 * log(1/2) + 2 * 1/4 * log(1/4 / 2.2204e-16).
    expected = 0.5 * np.log(0.5) + 0.5 * np.log(0.25 / 2.2204e-16)
    assert metrics.kld(target=prediction, prediction=target) == pytest.approx(expected, rel=1e-6)


def test_fixation_counts_by_hand():
    points = [[1.9, 0.2], [1.1, 0.7], [0.0, 1.0], [9.0, 9.0]]
    counts = metrics.fixation_counts(points, (2, 2), [True, True, True, False])
    np.testing.assert_array_equal(counts, [[0, 2], [1, 0]])


@pytest.mark.parametrize("size", [(2.0, 3.0), (2,), (2, 3, 4), (0, 3), 5, None, "23"])
def test_a_size_that_is_none_is_refused(size, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # As outside of tests.
    with pytest.raises(ValueError, match=r"^map_size is .*; allowed: \(height, width\), whole num"):
        metrics.fixation_counts([[0, 0]], size)


# One with a mean of zero, one with a mean below zero, one where the other map is zero.
@pytest.mark.parametrize("negative", [[[1.0, -1.0]], [[1.0, -3.0]], [[-1.0, 2.0]]])
def test_a_traced_map_with_a_negative_value_gives_nan(negative):
    other = [[0.0, 1.0]]
    for one, two in ((negative, other), (other, negative)):
        assert np.isnan(jax.jit(metrics.sim)(np.array(one), np.array(two)))
        kld = jax.jit(lambda target, other: metrics.kld(target=target, prediction=other))
        assert np.isnan(kld(np.array(one), np.array(two)))
    assert not np.isnan(jax.jit(metrics.sim)(np.array(other), np.array(other)))


# ---------------------------------------------------------------- against plain NumPy


def reference_auc(positives, negatives):
    wins = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    return wins.mean()


def reference_auc_judd(saliency, rows, columns):
    positives = saliency[rows, columns]
    is_fixated = np.zeros(saliency.shape, bool)
    is_fixated[rows, columns] = True
    thresholds = np.unique(positives)[::-1]
    hits = [0, *((positives >= threshold).mean() for threshold in thresholds), 1]
    alarms = [0, *((saliency[~is_fixated] >= threshold).mean() for threshold in thresholds), 1]
    return np.trapezoid(hits, alarms)


@pytest.mark.parametrize("number", [1, 33, 70])
def test_aucs_equal_the_definition_beyond_one_pass_of_counting(number):
    generator = np.random.default_rng(number)
    # Few levels, so many ties.
    saliency = generator.integers(0, 9, (3, 12, 16)).astype(np.float32)
    columns, rows = generator.integers(0, 16, (3, number)), generator.integers(0, 12, (3, number))
    mask = generator.random((3, number)) < 0.7
    mask[:, 0] = True
    # In the last map everything is above all fixations: no count can become larger.
    saliency[2, 3, 5] = -1
    columns[2], rows[2], mask[2] = 5, 3, True
    others = generator.poisson(0.5, (3, 12, 16))
    scores = metrics.score(
        ["auc", "auc_judd", "sauc"],
        saliency=saliency,
        xy_px=np.stack([columns, rows], axis=-1),
        mask=mask,
        other_counts=others,
    )
    for index, one in enumerate(saliency):
        row, column = rows[index, mask[index]], columns[index, mask[index]]
        negatives = np.repeat(one.ravel(), others[index].ravel())
        expected = {
            "auc": reference_auc(one[row, column], one.ravel()),
            "auc_judd": reference_auc_judd(one, row, column),
            "sauc": reference_auc(one[row, column], negatives),
        }
        for name, value in expected.items():
            assert scores[name][index] == pytest.approx(value, abs=1e-6), name


def test_chance_levels():
    # Random maps, random fixations: .5 for `auc`, .5 + 1 / (2 (k + 1)) for `auc_judd`.
    generator = np.random.default_rng(0)
    saliency = generator.random((4000, 12, 16), np.float32)
    for number in (1, 3):
        points = generator.random((4000, number, 2)) * [16, 12]
        scores = metrics.score(["auc", "auc_judd"], saliency=saliency, xy_px=points)
        assert scores["auc"].mean() == pytest.approx(0.5, abs=0.015)
        expected = 0.5 + 1 / (2 * (number + 1))
        assert scores["auc_judd"].mean() == pytest.approx(expected, abs=0.01)


# ---------------------------------------------------------------- properties

HEIGHT, WIDTH, NUMBER = 4, 5, 4
# Small whole numbers: ties are frequent, and scaling by powers of two is exact.
MAPS = arrays(np.float32, (HEIGHT, WIDTH), elements=st.integers(0, 12))
FIXATIONS = st.lists(
    st.tuples(
        st.floats(0, WIDTH, exclude_max=True, width=32),
        st.floats(0, HEIGHT, exclude_max=True, width=32),
    ),
    min_size=NUMBER,
    max_size=NUMBER,
).map(np.array)
MASKS = arrays(bool, NUMBER)
# The same examples in every run.
few = settings(max_examples=30, deadline=None, derandomize=True, database=None)


@jax.jit
def fixation_scores(saliency, xy_px, mask=None):
    """AUC, sAUC against fixations in two corners, NSS, AUC-Judd."""
    common = {"saliency": saliency, "xy_px": xy_px, "mask": mask}
    names = ("auc", "sauc", "nss", "auc_judd")
    return jnp.stack([FIXATION_METRICS[name](**common) for name in names])


@few
@given(MAPS, FIXATIONS)
def test_aucs_are_unchanged_by_monotone_maps(saliency, xy_px):
    aucs = jnp.array([0, 1, 3])
    before = fixation_scores(saliency, xy_px)[aucs]
    for monotone in (saliency**3 - 500, np.exp(saliency)):
        np.testing.assert_array_equal(fixation_scores(monotone, xy_px)[aucs], before)


@few
@given(MAPS, MAPS, FIXATIONS, st.sampled_from([1e-30, 0.25, 3.0, 1e30]))
def test_nss_and_cc_are_unchanged_by_scale_and_offset(a, b, xy_px, scale):
    elsewhere = (a + np.float32(2)) * np.float32(scale)
    nss, cc = metrics.nss(saliency=a, xy_px=xy_px), metrics.cc(a, b)
    assert metrics.nss(saliency=elsewhere, xy_px=xy_px) == pytest.approx(float(nss), abs=1e-5)
    assert metrics.cc(elsewhere, b) == pytest.approx(float(cc), abs=1e-5)
    assert metrics.cc(-elsewhere, b) == pytest.approx(-float(cc), abs=1e-5)


@few
@given(MAPS, MAPS)
def test_map_metrics_are_symmetric_and_bounded(a, b):
    assert metrics.cc(a, b) == pytest.approx(float(metrics.cc(b, a)), abs=1e-6)
    assert metrics.sim(a, b) == pytest.approx(float(metrics.sim(b, a)), abs=1e-6)
    assert abs(metrics.cc(a, b)) <= 1 + 1e-6
    assert -1e-6 <= metrics.sim(a, b) <= 1 + 1e-6
    assert metrics.kld(target=a, prediction=b) >= -1e-6
    assert metrics.sim(a, a) == pytest.approx(1, abs=1e-6)
    assert metrics.kld(target=a, prediction=a) == pytest.approx(0, abs=1e-6)
    # Against the definition, in float64.
    p, q = (m / m.sum() if m.any() else np.full(m.shape, 1 / m.size) for m in (a.astype(float), b))
    epsilon = 2.2204e-16
    kld = (q * np.log(epsilon + q / (p + epsilon))).sum()
    assert metrics.kld(target=b, prediction=a) == pytest.approx(kld, abs=1e-5)
    assert metrics.sim(a, b) == pytest.approx(np.minimum(p, q).sum(), abs=1e-6)


@few
@given(MAPS, FIXATIONS, MASKS)
def test_mask_equals_dropping_the_fixations(saliency, xy_px, mask):
    assume(mask.any())
    anything = np.where(mask[:, None], xy_px, np.array([np.nan, 1e9]))
    np.testing.assert_allclose(
        fixation_scores(saliency, anything, mask), fixation_scores(saliency, xy_px[mask]), atol=1e-6
    )
    others = metrics.sauc(saliency=saliency, xy_px=CORNERS, other_xy_px=anything, other_mask=mask)
    assert others == metrics.sauc(saliency=saliency, xy_px=CORNERS, other_xy_px=xy_px[mask])


@few
@given(MAPS, FIXATIONS)
def test_duplicates_count_twice(saliency, xy_px):
    # All twice changes nothing; one twice moves the mean (of all but AUC-Judd) towards its own.
    everything = fixation_scores(saliency, xy_px)
    twice = fixation_scores(saliency, np.repeat(xy_px, 2, axis=0))
    np.testing.assert_allclose(twice, everything, atol=1e-6)
    one_twice = fixation_scores(saliency, np.concatenate([xy_px, xy_px[:1]]))
    expected = (NUMBER * everything + fixation_scores(saliency, xy_px[:1])) / (NUMBER + 1)
    np.testing.assert_allclose(one_twice[:3], expected[:3], atol=1e-5)


@few
@given(
    st.lists(MAPS, min_size=2, max_size=2).map(np.stack),
    st.lists(MAPS, min_size=2, max_size=2).map(np.stack),
    st.lists(FIXATIONS, min_size=2, max_size=2).map(np.stack),
    st.lists(MASKS, min_size=2, max_size=2).map(np.stack),
    FIXATIONS,
)
def test_score_equals_the_single_functions(maps, target, xy_px, mask, others):
    scores = metrics.score(
        [name for name in METRICS if name != "information_gain"],
        saliency=maps,
        target=target,
        xy_px=xy_px,
        mask=mask,
        # How many fixations each pixel has is all that counts of them.
        other_counts=metrics.fixation_counts(others, (HEIGHT, WIDTH)),
    )
    density = (maps + 1) / (maps + 1).sum(axis=(1, 2), keepdims=True)
    baseline = np.full((HEIGHT, WIDTH), 1 / (HEIGHT * WIDTH))
    scores |= metrics.score(
        ["information_gain"], saliency=density, baseline=baseline, xy_px=xy_px, mask=mask
    )
    for index in range(2):
        one = {"xy_px": xy_px[index], "mask": mask[index]}
        expected = {
            "auc": metrics.auc(saliency=maps[index], **one),
            "auc_judd": metrics.auc_judd(saliency=maps[index], **one),
            "sauc": metrics.sauc(saliency=maps[index], other_xy_px=others, **one),
            "nss": metrics.nss(saliency=maps[index], **one),
            "information_gain": metrics.information_gain(
                density=density[index], baseline=baseline, **one
            ),
            "cc": metrics.cc(maps[index], target[index]),
            "sim": metrics.sim(maps[index], target[index]),
            "kld": metrics.kld(target=target[index], prediction=maps[index]),
        }
        for name in METRICS:
            # A divergence of 26 is right to 4e-6 in float32.
            np.testing.assert_allclose(
                scores[name][index], expected[name], rtol=1e-6, atol=2e-6, err_msg=name
            )


# ---------------------------------------------------------------- degenerate maps and fixations


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0, 1e-30, 1e30])
def test_constant_maps(value):
    constant = np.full((96, 128), value, np.float32)
    ramp = np.arange(96 * 128, dtype=np.float32).reshape(96, 128)
    points = at((4, 3), (95, 127))
    np.testing.assert_allclose(fixation_scores(constant, points), [0.5, 0.5, 0, 0.5], atol=1e-6)
    assert metrics.nss(saliency=constant, xy_px=points) == 0.0
    assert metrics.cc(constant, ramp) == metrics.cc(ramp, constant) == 0.0
    assert metrics.cc(constant, constant) == 0.0
    # To the metrics of densities it is the uniform one.
    for metric in (metrics.sim, MAP_METRICS["kld"]):
        uniform = np.ones_like(ramp)
        assert metric(constant, ramp) == pytest.approx(float(metric(uniform, ramp)), rel=1e-5)
        assert metric(ramp, constant) == pytest.approx(float(metric(ramp, uniform)), rel=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_delta_map_at_any_scale(scale):
    delta = np.zeros((96, 128), np.float32)
    delta[50, 70] = scale
    size = delta.size
    # Beats all pixels but itself, a tie; mean 1/n and std sqrt(n - 1) / n.
    hit = fixation_scores(delta, at((50, 70)))
    np.testing.assert_allclose(hit, [1 - 0.5 / size, 1, np.sqrt(size - 1), 1], rtol=1e-5)
    # Ties with all but the delta, which wins: (n - 1) / 2 of n. Its threshold, 0, lets everything
    # pass: the diagonal.
    miss = fixation_scores(delta, at((0, 1)))
    expected = [(1 - 1 / size) / 2, 0.5, -1 / np.sqrt(size - 1), 0.5]
    np.testing.assert_allclose(miss, expected, rtol=1e-5)
    uniform = np.full_like(delta, scale)
    assert metrics.cc(delta, delta) == pytest.approx(1, rel=1e-5)
    assert metrics.sim(delta, uniform) == pytest.approx(1 / size, rel=1e-5)
    kld = metrics.kld(target=delta, prediction=uniform)
    assert kld == pytest.approx(np.log(size), rel=1e-5)


def test_every_pixel_fixated_and_no_fixation():
    everywhere = at((0, 0), (0, 1), (1, 0), (1, 1))
    assert metrics.auc(saliency=RAMP, xy_px=everywhere) == 0.5
    assert metrics.nss(saliency=RAMP, xy_px=everywhere) == pytest.approx(0, abs=1e-6)
    assert jnp.isnan(metrics.auc_judd(saliency=RAMP, xy_px=everywhere))
    flat = np.full((2, 2), 0.25)
    for none in ({"xy_px": NONE}, {"xy_px": everywhere, "mask": np.zeros(4, bool)}):
        assert jnp.isnan(fixation_scores(RAMP, **none)).all()
        assert jnp.isnan(metrics.auc(saliency=RAMP, **none))
        assert jnp.isnan(metrics.information_gain(density=flat, baseline=flat, **none))
    assert jnp.isnan(metrics.sauc(saliency=RAMP, xy_px=everywhere, other_xy_px=NONE))


# ---------------------------------------------------------------- what is refused, and purity

NAN = np.where(RAMP == 2, np.nan, RAMP)
INFINITE = np.where(RAMP == 2, np.inf, RAMP)
FLAT = np.full((2, 2), 0.25)
OUTSIDE = [[-0.1, 0], [0, -0.1], [2, 0], [0, 2], [np.nan, 0]]


@pytest.mark.parametrize("name", FIXATION_METRICS)
def test_fixation_metrics_name_what_they_refuse(name):
    metric = FIXATION_METRICS[name]
    for saliency in (NAN, INFINITE, RAMP[0], np.zeros((0, 2)), RAMP * 1j):
        with pytest.raises(ValueError, match=r"^saliency .*; allowed: "):
            metric(saliency=saliency, xy_px=CORNERS)
    for point in OUTSIDE:
        with pytest.raises(ValueError, match=r"^xy_px\[1\] is .*0 <= x < 2 and 0 <= y < 2"):
            metric(saliency=RAMP, xy_px=[[0, 0], point])
    for xy_px in (np.zeros(2), np.zeros((3, 3)), np.zeros((1, 3, 2))):
        with pytest.raises(ValueError, match=r"^xy_px has shape"):
            metric(saliency=RAMP, xy_px=xy_px)
    with pytest.raises(ValueError, match=r"^mask has shape \(3,\)"):
        metric(saliency=RAMP, xy_px=CORNERS, mask=np.ones(3, bool))


@pytest.mark.parametrize("name", MAP_METRICS)
def test_map_metrics_name_what_they_refuse(name):
    metric = MAP_METRICS[name]
    one, other = {"kld": ("target", "prediction")}.get(name, ("a", "b"))
    refused = [NAN, INFINITE, RAMP[0]] + ([] if name == "cc" else [-RAMP])
    for wrong in refused:
        with pytest.raises(ValueError, match=rf"^{one} .*; allowed: "):
            metric(wrong, RAMP)
        with pytest.raises(ValueError, match=rf"^{other} .*; allowed: "):
            metric(RAMP, wrong)
    with pytest.raises(ValueError, match=rf"^{other} has shape \(2, 1\); .* {one}, \(2, 2\)"):
        metric(RAMP, RAMP[:, :1])


def test_sauc_and_information_gain_name_what_they_refuse():
    with pytest.raises(ValueError, match=r"^other_xy_px\[0\] is \(x, y\) = \(2, 0\)"):
        metrics.sauc(saliency=RAMP, xy_px=CORNERS, other_xy_px=[[2, 0]])
    with pytest.raises(ValueError, match=r"^other_mask has shape"):
        metrics.sauc(saliency=RAMP, xy_px=CORNERS, other_xy_px=CORNERS, other_mask=[True])
    for wrong in (RAMP / 6, FLAT * 2, NAN, FLAT - 0.5):
        with pytest.raises(ValueError, match=r"^density "):
            metrics.information_gain(density=wrong, baseline=FLAT, xy_px=CORNERS)
        with pytest.raises(ValueError, match=r"^baseline "):
            metrics.information_gain(density=FLAT, baseline=wrong, xy_px=CORNERS)
    with pytest.raises(ValueError, match=r"^baseline has shape \(2, 1\)"):
        metrics.information_gain(density=FLAT, baseline=np.full((2, 1), 0.5), xy_px=CORNERS)
    with pytest.raises(ValueError, match=r"^xy_px\[0\] is"):
        metrics.information_gain(density=FLAT, baseline=FLAT, xy_px=OUTSIDE[:1])


@pytest.mark.parametrize(
    ("names", "change", "message"),
    [
        (["roc"], {}, "names has 'roc'; allowed: auc, "),
        (["auc"], {"saliency": RAMP}, r"saliency has shape \(2, 2\); .*\[map, "),
        (["auc"], {"saliency": NAN[None]}, "saliency holds a NaN"),
        (["auc"], {"xy_px": None}, "xy_px is missing; auc needs it"),
        (["auc"], {"xy_px": np.zeros((2, 1, 2))}, "xy_px has shape .* with 1 maps"),
        (["auc"], {"xy_px": [[[0, 0], [5, 1]]]}, r"xy_px\[0, 1\] is \(x, y\) = \(5, 1\)"),
        (["auc"], {"mask": [True, True]}, "mask has shape"),
        (["cc"], {"target": None}, "target is missing; cc needs it"),
        (["cc"], {"target": INFINITE[None]}, "target holds a NaN or infinite"),
        (["cc"], {"target": RAMP[None, :1]}, "target has shape"),
        (["cc", "sim"], {"target": -RAMP[None]}, "target holds a negative value"),
        (["kld"], {"saliency": -RAMP[None]}, "saliency holds a negative value"),
        (["sauc"], {"other_counts": None}, "other_counts is missing; sauc needs it"),
        (["sauc"], {"other_counts": -RAMP}, "other_counts holds a negative value"),
        (["information_gain"], {}, r"saliency holds 0; .* positive"),
        (["information_gain"], {"saliency": FLAT[None], "baseline": RAMP}, "baseline holds 0"),
        (["information_gain"], {"saliency": FLAT[None], "baseline": None}, "baseline is missing"),
    ],
)
def test_score_names_what_it_refuses(names, change, message):
    arguments = {
        "saliency": RAMP[None],
        "target": RAMP[None],
        "xy_px": CORNERS[None],
        "other_counts": RAMP,
        "baseline": FLAT,
    }
    with pytest.raises(ValueError, match=f"^{message}"):
        metrics.score(names, **(arguments | change))


def test_a_mask_holds_truth_values_and_a_list_may_hold_no_fixation():
    for wrong in ([np.nan, 1], [0.5, 1], [2, 0]):
        with pytest.raises(ValueError, match=r"^mask holds other values; allowed: True or False"):
            metrics.auc(saliency=RAMP, xy_px=CORNERS[:2], mask=wrong)
    assert np.isnan(metrics.auc(saliency=RAMP, xy_px=[]))
    assert np.isnan(metrics.score(["nss"], saliency=[RAMP], xy_px=[[]])["nss"]).all()
    assert not metrics.fixation_counts([], (2, 2)).any()


@pytest.mark.parametrize("name", FIXATION_METRICS)
def test_inside_jit_only_the_mask_may_be_traced(name):
    metric = getattr(metrics, name)
    points = np.array([[0, 0], [1, 1], [5, 5]])
    arguments = {"saliency": RAMP, "xy_px": points}
    if name == "sauc":
        arguments["other_xy_px"] = CORNERS
    found = jax.jit(lambda mask: metric(**arguments, mask=mask))
    expected = metric(**arguments, mask=[False, True, False])
    np.testing.assert_allclose(found(np.array([False, True, False])), expected)
    assert np.isnan(found(np.array([False, True, True])))  # The last one is outside.


def test_fixation_just_inside_is_not_rounded_outside():
    # float32 has no number between 127.99999 and 128.
    saliency = np.zeros((4, 128), np.float32)
    saliency[3, 127] = 1
    assert metrics.auc(saliency=saliency, xy_px=[[127.9999999, 3.9999999]]) > 0.99


@pytest.mark.parametrize("name", [*FIXATION_METRICS, "information_gain"])
def test_inside_jit_a_fixation_outside_or_a_nan_gives_nan(name):
    generator = np.random.default_rng(0)
    # A NaN can get lost in XLA's maximum, on large maps only.
    saliency = generator.random((4, 96, 128)).astype(np.float32)
    saliency /= saliency.sum(axis=(1, 2), keepdims=True)
    points = np.tile(at((2, 3), (95, 127)), (4, 1, 1))
    points[1, 1] = (128, 0)
    saliency[2, 5, 7] = np.nan
    points[3, 1] = (-1e-3, 0)

    def metric(saliency, xy_px, mask):
        if name == "information_gain":
            baseline = jnp.full(saliency.shape, 1 / saliency.size)
            return metrics.information_gain(
                density=saliency, baseline=baseline, xy_px=xy_px, mask=mask
            )
        return FIXATION_METRICS[name](saliency=saliency, xy_px=xy_px, mask=mask)

    batched = jax.jit(jax.vmap(metric))
    found = batched(saliency, points, np.ones((4, 2), bool))
    assert found[0] == pytest.approx(float(metric(saliency[0], points[0], np.ones(2, bool))))
    assert jnp.isnan(found[1:]).all()
    # What does not count does no harm.
    found = batched(saliency, points, np.array([[True, False]] * 4))
    np.testing.assert_array_equal(jnp.isnan(found), [False, False, True, False])


def test_inside_jit_a_nan_among_the_other_fixations_gives_nan():
    def metric(other_xy_px):
        return metrics.sauc(saliency=RAMP, xy_px=CORNERS, other_xy_px=other_xy_px)

    assert jnp.isnan(jax.jit(metric)(np.array([[0.0, 0.0], [2.0, 0.0]])))
    assert jax.jit(metric)(CORNERS) == metric(CORNERS) == 0.5


@pytest.mark.parametrize("name", MAP_METRICS)
def test_inside_jit_a_nan_in_either_map_gives_nan(name):
    metric = jax.jit(jax.vmap(MAP_METRICS[name]))
    maps = np.random.default_rng(0).random((2, 96, 128)).astype(np.float32)
    with_nan = maps.copy()
    with_nan[1, 95, 127] = np.nan
    for found in (metric(maps, with_nan), metric(with_nan, maps)):
        np.testing.assert_array_equal(jnp.isnan(found), [False, True])


SMOOTH = {
    "nss": lambda a, b: metrics.nss(saliency=a, xy_px=CORNERS),
    **MAP_METRICS,
    "information_gain": lambda a, b: metrics.information_gain(
        density=a / a.sum(), baseline=b / b.sum(), xy_px=CORNERS
    ),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_are_finite_also_where_maps_are_degenerate(name):
    gradients = jax.jit(jax.grad(SMOOTH[name], argnums=(0, 1)))
    maps = [RAMP + 1, np.full((2, 2), np.float32(0.1)), np.ones((2, 2), np.float32)]
    if name != "information_gain":
        maps += [np.zeros((2, 2), np.float32), RAMP, (RAMP == 2).astype(np.float32)]
    for a in maps:
        for b in maps:
            for gradient in gradients(a, b):
                assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_and_values_in_float64(name):
    a, b = np.random.default_rng(0).random((2, 2, 2)) + 0.5
    in_float32 = SMOOTH[name](a, b)
    assert in_float32.dtype == jnp.float32
    with jax.enable_x64(True):
        in_float64 = SMOOTH[name](a, b)
        assert in_float64.dtype == jnp.float64
        assert in_float64 == pytest.approx(float(in_float32), abs=1e-6)
        jax.test_util.check_grads(SMOOTH[name], (a, b), order=1, atol=1e-6, rtol=1e-6, eps=1e-5)


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_at_any_scale(name):
    metric = SMOOTH[name]
    if name == "information_gain":  # Inside a transformation the sums are not checked.

        def metric(a, b):
            return metrics.information_gain(density=a, baseline=b, xy_px=CORNERS)

    a, b = np.random.default_rng(0).random((2, 3, 4)) + 0.5
    with jax.enable_x64(True):
        step = 1e-6 * np.eye(a.size).reshape(-1, 3, 4)
        along = jax.jit(jax.vmap(metric))
        of_a = along(a + step, b + 0 * step) - along(a - step, b + 0 * step)
        of_b = along(a + 0 * step, b + step) - along(a + 0 * step, b - step)
        expected = np.reshape([of_a, of_b], (2, 3, 4)) / 2e-6
    gradients = jax.jit(jax.grad(metric, argnums=(0, 1)))
    # Powers of two near 1e-30, 1e-20, 1e20 and 1e30: scaled by them, float32 loses no digit.
    for exponent in (-100, -66, 0, 66, 100):
        scale = 2.0**exponent
        found = gradients(*(np.float32(side * scale) for side in (a, b)))
        found = np.asarray(found, np.float64) * scale
        if name == "nss":
            assert not found[1].any()
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["sim", "kld"])
def test_a_mean_beyond_float32_is_nan_and_not_a_wrong_number(name):
    large, small = np.full((2, 2), np.float32(3e38)), RAMP + 1
    assert jnp.isnan(jax.jit(MAP_METRICS[name])(large, small))
    assert jnp.isnan(jax.jit(MAP_METRICS[name])(small, large))
    # Outside of a transformation it is the uniform map.
    expected = MAP_METRICS[name](np.ones((2, 2)), small)
    assert MAP_METRICS[name](large, small) == pytest.approx(float(expected), rel=1e-6)


def test_float64_reaches_the_precision_of_float64():
    generator = np.random.default_rng(0)
    a, b = generator.random((2, 12, 16))
    rows, columns = generator.integers(0, 12, 9), generator.integers(0, 16, 9)
    points = np.stack([columns, rows], axis=-1)
    with jax.enable_x64(True):
        auc, _, nss, judd = fixation_scores(a, points)
        cc = metrics.cc(a, b)
        sim = metrics.sim(a, b)
    positives = a[rows, columns]
    assert auc == pytest.approx(reference_auc(positives, a.ravel()), rel=1e-13)
    assert judd == pytest.approx(reference_auc_judd(a, rows, columns), rel=1e-13)
    assert nss == pytest.approx(((positives - a.mean()) / a.std()).mean(), rel=1e-12)
    assert cc == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], rel=1e-12)
    assert sim == pytest.approx(np.minimum(a / a.sum(), b / b.sum()).sum(), rel=1e-13)


# ---------------------------------------------------------------- verification


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
