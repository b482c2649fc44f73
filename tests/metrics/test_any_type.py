"""Metrics of any real type, size, offset and number of fixations, against plain float64."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gazejax import metrics
from gazejax.metrics import bootstrap, verification

GENERATOR = np.random.default_rng(0)
A, B = GENERATOR.random((2, 12, 16))
POINTS = GENERATOR.random((9, 2)) * [16, 12]
COLUMNS, ROWS = POINTS.astype(int).T
TYPES = ["bool", "uint8", "int8", "uint16", "int32", "uint64", "int64", "float16", ">f4", "float64"]
few = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def reference(a, b, columns, rows):
    """AUC, NSS, CC, SIM and KLD in float64."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    values = a[rows, columns]
    wins = (values[:, None] > a.ravel()) + 0.5 * (values[:, None] == a.ravel())
    p, q = a / a.sum(), b / b.sum()
    return [
        wins.mean(),
        ((values - a.mean()) / a.std()).mean(),
        np.corrcoef(a.ravel(), b.ravel())[0, 1],
        np.minimum(p, q).sum(),
        (q * np.log(2.2204e-16 + q / (p + 2.2204e-16))).sum(),
    ]


def singly(a, b, points):
    return [
        float(metrics.auc(saliency=a, xy_px=points)),
        float(metrics.nss(saliency=a, xy_px=points)),
        float(metrics.cc(a, b)),
        float(metrics.sim(a, b)),
        float(metrics.kld(target=b, prediction=a)),
    ]


def in_a_batch(a, b, points):
    names = ["auc", "nss", "cc", "sim", "kld"]
    found = metrics.score(names, saliency=a[None], target=b[None], xy_px=points[None])
    return [float(found[name][0]) for name in names]


@pytest.mark.parametrize("computed", [singly, in_a_batch])
@pytest.mark.parametrize("dtype", TYPES)
def test_any_real_type(dtype, computed):
    scale = 1 if dtype in ("float16", ">f4", "float64") else 100
    a, b = (
        (side > 0.5) if dtype == "bool" else (side * scale + 1).astype(dtype) for side in (A, B)
    )
    if dtype == "bool":  # The divergence from a map with zeros is large: not what is compared.
        a, b = b | a, b & a
    expected = reference(a, b, COLUMNS, ROWS)
    np.testing.assert_allclose(computed(a, b, POINTS), expected, rtol=2e-5, atol=2e-6)


@few
@given(
    st.sampled_from([1e-290, 1e-30, 1.0, 1e30, 1e290]), st.sampled_from([0.0, -7.0, 1e6, 1e9]),
    st.sampled_from([singly, in_a_batch]),
)  # fmt: skip
def test_scale_and_offset_do_not_matter(scale, offset, computed):
    expected = reference(A, B, COLUMNS, ROWS)
    moved = (A + offset) * scale
    known = 3 if offset else 5  # SIM and KLD depend on the offset.
    found = (
        computed(abs(moved), B, POINTS) if offset >= 0 else computed(moved + 7 * scale, B, POINTS)
    )
    np.testing.assert_allclose(found[:known], expected[:known], rtol=1e-4, atol=1e-5)


def test_whole_numbers_of_64_bits_are_exact():
    large = (A * 1e10).astype(np.int64)
    assert metrics.cc(large, B) == pytest.approx(np.corrcoef(large.ravel(), B.ravel())[0, 1])
    # 2 ** 62 + (0, 1, 2, 3): float64 would make all of them equal. 3 of 4 below, one tie.
    ramp = 2**62 + np.arange(4).reshape(2, 2)
    assert metrics.auc(saliency=ramp, xy_px=[[1, 1]]) == 3.5 / 4
    assert metrics.score(["auc"], saliency=ramp[None], xy_px=[[[1, 1]]])["auc"][0] == 3.5 / 4
    assert metrics.cc(ramp, ramp - 2**62) == pytest.approx(1)
    # Of float64, one step of which float32 does not see.
    near = 1 + np.arange(4).reshape(2, 2) * 1e-12
    assert metrics.score(["auc"], saliency=near[None], xy_px=[[[1, 1]]])["auc"][0] == 3.5 / 4


def exact_ranks(saliency, columns, rows, other_counts):
    """AUC, AUC-Judd and shuffled AUC as fractions of whole numbers."""
    values, pixels = saliency[rows, columns], saliency.ravel()
    halves = 2 * (values[:, None] > pixels) + (values[:, None] == pixels)
    weighted = halves * other_counts.ravel()
    is_fixated = np.zeros(saliency.shape, bool)
    is_fixated[rows, columns] = True
    others = saliency[~is_fixated]
    area, point = Fraction(0), (Fraction(0), Fraction(0))
    for threshold in [*np.unique(values)[::-1], None]:
        sides = (others, values) if threshold is not None else ()
        shares = [Fraction(int((side >= threshold).sum()), len(side)) for side in sides] or [1, 1]
        area += (shares[0] - point[0]) * (shares[1] + point[1]) / 2
        point = tuple(shares)
    return [
        Fraction(int(halves.sum()), 2 * halves.size),
        area,
        Fraction(int(weighted.sum()), int(2 * len(values) * other_counts.sum())),
    ]


@pytest.mark.parametrize("number", [1, 9, 40, 1500])
@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_ties_that_rounding_invents_are_corrected(dtype, number):
    # Ten levels that float32 holds, and on each values just below and above, which it does not.
    generator = np.random.default_rng(number)
    level, aside = generator.integers(0, 10, (3, 24, 18)), generator.integers(-1, 2, (3, 24, 18))
    maps = level * 2**30 + aside if dtype == "int64" else level / 8 + aside * 1e-10
    maps[1], aside[1] = level[1], 0  # A map with true ties only.
    # Fixated are the levels themselves, some of them twice.
    places = [generator.choice(np.argwhere(one == 0), number) for one in aside]
    rows, columns = np.moveaxis(np.array(places), -1, 0)
    mask = generator.random((3, number)) < 0.8
    mask[:, 0] = True
    others = generator.poisson(0.5, (24, 18))
    names = ["auc", "auc_judd", "sauc"]
    common = {"xy_px": np.stack([columns, rows], axis=-1), "mask": mask, "other_counts": others}
    found = metrics.score(names, saliency=maps, **common)
    expected = [
        exact_ranks(one, column[counts], row[counts], others)
        for one, column, row, counts in zip(maps, columns, rows, mask, strict=True)
    ]
    together = np.stack([found[name] for name in names], axis=-1)
    np.testing.assert_allclose(together, np.array(expected, float), atol=2e-7)
    for name in names:  # Alone and together.
        alone = metrics.score([name], saliency=maps, **common)[name]
        np.testing.assert_array_equal(alone, found[name])
    rounded = metrics.score(names, saliency=maps.astype(np.float32), **common)
    for name in names:
        is_same = np.abs(rounded[name] - found[name]) < 1e-6
        np.testing.assert_array_equal(is_same, [False, True, False])


@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_devices_without_64_bits_find_the_same_ranks(dtype, monkeypatch):
    # 3, 3 + 1e-9 and 3 + 2e-9, or such whole numbers: one value in float32.
    maps = (np.arange(12).reshape(1, 3, 4) % 3 + 3e9).astype(dtype)
    maps = maps / 1e9 if dtype == "float64" else maps
    points = [[[1.0, 0.0], [2.0, 1.0]]]  # Pixels 1 and 6, of the middle and the lowest value.
    common = {"saliency": maps, "xy_px": points, "other_counts": np.ones((3, 4))}
    names = ["auc", "auc_judd", "sauc"]
    expected = metrics.score(names, **common)
    # Four pixels of each value: at 1, 4 below and 4 ties; at 0, 4 ties.
    assert expected["auc"][0] == pytest.approx((6 + 2) / 24)
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    for name, values in metrics.score(names, **common).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-6)


@pytest.mark.parametrize("number", [1, 3, 515])
def test_each_of_many_maps_has_its_own_score(number):
    # Repeated maps fill the last call, after calls with 512.
    order = np.arange(number)[:, None, None]
    maps = order + np.array([[0.1, 0.2], [1.1, 1.1 + 1e-12]])
    maps[0] *= 1e60  # One that float32 does not hold, and whose ranks are taken.
    corner = np.tile([[1.0, 1]], (number, 1, 1))
    common = {"other_counts": np.eye(2), "target": maps[::-1].copy()}
    found = metrics.score(["auc", "sauc", "nss", "cc"], saliency=maps, xy_px=corner, **common)
    # Three below and itself; of the two that count, one below and itself.
    np.testing.assert_allclose(found["auc"], np.full(number, 3.5 / 4))
    np.testing.assert_allclose(found["sauc"], np.full(number, 1.5 / 2))
    for index in {0, number // 2, number - 1}:
        nss = metrics.nss(saliency=maps[index], xy_px=corner[index])
        assert found["nss"][index] == pytest.approx(float(nss), rel=1e-4)
        assert found["cc"][index] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_below_the_least_normal_number_tie_only_if_they_are_equal(dtype):
    # Compiled code takes 1e-40 and 3e-40 for zero.
    dark = np.array([[0, 1e-40, 3e-40, 1.0]], dtype)
    points = np.array([[[1.0, 0], [0, 0]], [[3, 0], [3, 0]]])
    others = np.ones((1, 4))
    names = ["auc", "auc_judd", "sauc"]
    # At 1e-40 and at 0, one and no pixel are below; in the other map all but the brightest are.
    found = metrics.score(names, saliency=[dark, dark], xy_px=points, other_counts=others)
    np.testing.assert_allclose(found["auc"], [0.25, 0.875])
    np.testing.assert_allclose(found["sauc"], [0.25, 0.875])
    # The curve (0, 0), (1, .5), (1, 1) of two brighter pixels; and (0, 1), (1, 1).
    np.testing.assert_allclose(found["auc_judd"], [0.25, 1.0])
    for name in names[:2]:
        traced = jax.jit(lambda xy, name=name: getattr(metrics, name)(saliency=dark, xy_px=xy))
        np.testing.assert_allclose(traced(points[0]), found[name][0])


@pytest.mark.parametrize("size", [1e39, 2e38, 1e200])
def test_scores_of_values_that_leave_float32(size):
    # Twelve pixels; the first one is equal to the eleven others, below them, or above them.
    constant = np.full((3, 4), size)
    above, below = constant.copy(), -constant
    above[0, 0], below[0, 0] = 1, size
    names = ["auc", "auc_judd", "sauc", "nss", "cc"]
    points = np.array([[1.0, 1.0]])
    found = metrics.score(
        names,
        saliency=[constant, above, below],
        target=[above, above, above],
        xy_px=np.stack([points] * 3),
        other_counts=np.ones((3, 4)),
    )
    # Wins and half of the ties: 6, 1 + 5.5 and 5.5 of 12.
    np.testing.assert_allclose(found["auc"], [6 / 12, 6.5 / 12, 5.5 / 12], rtol=1e-6)
    np.testing.assert_allclose(found["sauc"], found["auc"])
    # Of 11 pixels never fixated 11, 10 and 11 are at or above: (1 - share) + share / 2.
    np.testing.assert_allclose(found["auc_judd"], [1 / 2, 6 / 11, 1 / 2], rtol=1e-6)
    # One pixel of 12 differs: mean 1 / 12, deviation sqrt(11) / 12.
    np.testing.assert_allclose(found["nss"], [0, 11**-0.5, -(11**-0.5)], rtol=1e-6)
    np.testing.assert_allclose(found["cc"], [0, 1, -1], rtol=1e-6)
    for index, one in enumerate((constant, above, below)):
        traced = jax.jit(
            lambda xy, a, one=one: (
                metrics.auc(saliency=one, xy_px=xy),
                metrics.auc_judd(saliency=one, xy_px=xy),
                metrics.sauc(saliency=one, xy_px=xy, other_xy_px=[[x, 1] for x in range(4)]),
                metrics.nss(saliency=one, xy_px=xy),
                metrics.cc(one, a),
            )
        )(points, above / size)
        for name, value in zip(names, traced, strict=True):
            expected = 0.5 if name == "sauc" else found[name][index]
            np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_more_pairs_than_32_bits_count():
    # 179 fixations times 12 million pixels. A ramp: the value of pixel i beats i pixels of all.
    height, width, number = 3000, 4000, 179
    ramp = np.arange(height * width, dtype=np.int32).reshape(height, width)
    points = GENERATOR.integers(0, [width, height], (number, 2))
    beaten = (ramp[points[:, 1], points[:, 0]] + 0.5).mean() / ramp.size
    assert metrics.auc(saliency=ramp, xy_px=points) == pytest.approx(beaten, rel=1e-6)
    small, few_points = ramp[:, :1] % 251, points % [1, height]

    def traced(xy_px):  # 3000 pixels, more fixations than are compared one by one.
        one = {"saliency": small.astype(np.float32), "xy_px": xy_px}
        return jnp.stack([metrics.auc(**one), metrics.auc_judd(**one)])

    many = np.tile(few_points, (7, 1))
    np.testing.assert_allclose(jax.jit(traced)(many), traced(many), rtol=1e-5)
    kernel = jax.jit(lambda saliency: metrics.auc(saliency=saliency, xy_px=points))
    assert kernel(ramp.astype(np.float32)) == pytest.approx(beaten, rel=1e-5)


@pytest.mark.parametrize("corner", [None, 0.0, 1e3])
@pytest.mark.parametrize("offset", [0.0, 3.0, 1e4])
def test_traced_nss_and_cc_equal_the_definition(offset, corner):
    saliency = (A + offset).astype(np.float32)
    if corner is not None:
        saliency[0, 0] = corner  # By its first pixel, a map loses its offset.
    expected = reference(saliency, B, COLUMNS, ROWS)
    nss = jax.jit(jax.vmap(lambda one: metrics.nss(saliency=one, xy_px=POINTS)))(saliency[None])
    cc = jax.jit(jax.vmap(metrics.cc))(saliency[None], B[None])
    assert nss[0] == pytest.approx(expected[1], abs=1e-5 + 2e-6 * offset)
    assert cc[0] == pytest.approx(np.corrcoef(saliency.ravel(), B.ravel())[0, 1], abs=1e-5)


def test_traced_maps_beside_a_large_offset():
    far = (A + 1e6).astype(np.float32)  # Multiples of 1 / 16: still 17 different values.
    for metric in (
        lambda one: metrics.cc(one, A),
        lambda one: metrics.nss(saliency=one, xy_px=POINTS),
    ):
        assert jax.jit(metric)(far) == pytest.approx(float(metric(far)), rel=1e-5)
        slope = jax.jit(jax.grad(metric))(far)
        np.testing.assert_allclose(slope.sum(), 0, atol=1e-4)  # An offset changes nothing.


def test_no_compilation_for_another_number_of_fixations():
    compiled = []

    def listener(event, *_, **__):
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listener)

    def scores(number):
        points = GENERATOR.random((number, 2)) * [16, 12]
        singly(A, B, points)
        metrics.auc_judd(saliency=A, xy_px=points)
        metrics.sauc(saliency=A, xy_px=points, other_xy_px=points)
        metrics.score(["auc", "nss"], saliency=A[None], xy_px=points[None])

    try:
        jax.jit(lambda x: x + number_of_the_test)(1.0)
        assert compiled, "the listener hears nothing"
        for number in (4, 8, 12, 16):  # The lengths to which fewer fixations are padded.
            scores(number)
        compiled.clear()
        for number in range(1, 17):
            scores(number)
        assert not compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)


number_of_the_test = 5.0


def test_padding_of_a_batch_changes_nothing():
    common = {"saliency": A[None].astype(np.float32), "xy_px": POINTS[None]}
    padded = metrics.score(["auc", "auc_judd", "nss"], **common)
    as_given = metrics.score(["auc", "auc_judd", "nss"], **common, pad_fixations=False)
    for name, values in as_given.items():
        np.testing.assert_allclose(padded[name], values, rtol=1e-6)


# ---------------------------------------------------------------- verification and bootstrap


@pytest.mark.parametrize("dtype", [float, np.float16, np.float32, np.int64, bool, object])
def test_verification_takes_lists_and_any_real_type(dtype):
    genuine, impostor = [1, 1, 0], [0, 1, 0]
    if dtype is not object:
        genuine, impostor = np.array(genuine, dtype), np.array(impostor, dtype)
    # Of 9 pairs 4 are in order, 4 are ties: 2 * 1 + 1 * 2.
    assert verification.roc_auc(genuine, impostor) == pytest.approx((4 + 3 / 2 + 1) / 9, abs=0.06)
    assert verification.roc_auc([0.9], [0.1]) == 1.0
    assert verification.eer([0.9], [0.1]) == 0.0
    assert verification.rank1([[2, 1], [1, 2]]) == 1.0
    assert verification.map_at_r([[0, 3, 1], [3, 0, 4], [1, 4, 0]], [7, 7, 8]) == 0.5


def test_whole_scores_tie_only_if_they_are_equal():
    for base in (2**24, 2**53, 2**62):
        assert verification.roc_auc([base + 1], [base]) == 1.0
        assert verification.roc_auc([base + 1], np.array([base + 1], np.uint64)) == 0.5
        assert verification.roc_auc([base + 1], np.array([base], np.uint64)) == 1.0
        assert verification.own_rank([[base + 1, base], [base, base + 1]]).tolist() == [1, 1]


def test_whole_numbers_in_lists_are_not_rounded():
    # float64, NumPy's type of a list with numbers on both sides of 2 ** 63, holds none of these.
    large = 2**63
    assert verification.roc_auc([large + 1, 1], [large]) == 0.5
    assert verification.roc_auc([large, 1], [large + 1, 2]) == 0.25
    assert verification.own_rank([[large + 1, large], [1, 2]]).tolist() == [1, 1]
    row = np.array([large + 1], np.uint64)
    assert verification.roc_auc([row, np.array([1])], [large]) == 0.5
    # Fixated is the largest of four values: three below, one tie.
    for saliency in ([[large + 1, 1], [large, 0]], [[2**54 + 1, 2**54], [True, 0]]):
        assert metrics.auc(saliency=saliency, xy_px=[[0, 0]]) == 3.5 / 4
        found = metrics.score(["auc"], saliency=[saliency], xy_px=[[[0, 0]]])
        assert found["auc"] == [3.5 / 4]
    scores = [[0, 2, 1], [2, 0, 1], [1, 1, 0]]
    users = [large, 1, large - 1]  # Three users, of whom float64 makes two.
    with pytest.raises(ValueError, match=r"^users has 3 users with at most 1 samples; allowed"):
        verification.average_precision_at_r(scores, users)
    found = verification.average_precision_at_r(scores, [large - 1, large - 1, large])
    np.testing.assert_array_equal(found, [1, 1, np.nan])
    # What one type does not hold is refused; what float64 holds is not.
    for other in (0.5, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match=f"^genuine holds 9223372036854775809 beside {other};"):
            verification.roc_auc([[large + 1], [other]], [1.0])
        assert verification.roc_auc([large, 7 if other != other else other], [-9]) == 1
    with pytest.raises(ValueError, match=r"^genuine is object; allowed: real numbers"):
        verification.roc_auc([2**64, 1], [1.0])


@pytest.mark.filterwarnings("error")
def test_lists_of_small_types_give_no_warning_of_numpy():
    xy_px = [[[3.0, 4.0], [9.0, 2.0]]]
    for dtype in (np.float16, np.float32, np.uint8):
        maps = [(100 * A).astype(dtype)]
        found = metrics.score(["auc"], saliency=maps, xy_px=xy_px)["auc"]
        expected = metrics.score(["auc"], saliency=np.array(maps), xy_px=xy_px)["auc"]
        np.testing.assert_array_equal(found, expected)


def test_counts_are_those_of_64_bits():
    # float32 stays at 2 ** 24 when 1 is added, int8 would wrap.
    counts = np.array([2**24, 1, 1, 1], np.float32)
    curve = verification.curve_of_counts(counts[::-1], counts[::-1])
    assert curve.fmr[-2] == pytest.approx((2**24 + 2) / (2**24 + 3), rel=1e-12)
    means = bootstrap.mean_over_images([1.0, 2.0, 3.0], np.full((1, 3), 100, np.int8))
    assert means.tolist() == [2.0]
    with pytest.raises(ValueError, match=r"^genuine has weights that sum to 0; allowed"):
        verification.curve_of_counts([0, 0], [1, 1])


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1.0, 1e30, 1e200])
def test_similarities_at_any_scale(scale):
    one, other = np.array([[3.0, 4.0]]) * scale, np.array([[4.0, 3.0], [3.0, 0.0]]) * scale
    np.testing.assert_allclose(verification.cosine(one, other), [[0.96, 0.6]])
    np.testing.assert_allclose(verification.correlation(one, other), [[-1, -1]])
    expected = [[-np.sqrt(2) * scale, -4 * scale]]
    np.testing.assert_allclose(verification.negative_distance(one, other), expected)
    assert bootstrap.permutation_test(
        np.full(2, scale), [[0.0, 0.0]], num_permutations=1, generator=GENERATOR
    ) == 0.25  # fmt: skip


def test_correlation_beside_an_offset_and_what_is_refused():
    maps = np.array([[1.0, 2.0, 4.0]], np.float32)
    assert verification.negative_distance(maps, maps + 1)[0, 0] == pytest.approx(-np.sqrt(3))
    # Of the deviations (-4, -1, 5) / 3 with themselves: 1, in spite of the offset.
    assert verification.correlation(maps + 2**20, maps)[0, 0] == pytest.approx(1, abs=1e-6)
    for wrong in ([[np.nan, 1]], [[np.inf, 1]], [1.0], [["a"]], [[1, 2], [3]]):
        with pytest.raises(ValueError, match=r"^probe .*; allowed: "):
            verification.cosine(wrong, [[1.0, 2.0]])
        with pytest.raises(ValueError, match=r"^saliency .*; allowed: "):
            metrics.nss(saliency=wrong, xy_px=[[0, 0]])
    with pytest.raises(ValueError, match=r"^genuine .*; allowed: "):
        verification.roc_auc(["a"], [1.0])


def test_similarities_of_whole_numbers_of_64_bits():
    # Two rows of other offsets, and a map of another type: all rise alike.
    rising = np.array([[1, 2, 4]])
    far = np.concatenate([rising, rising + 10**18, rising - 2**62])
    for other in (rising, rising.astype(np.uint64) + np.uint64(2**63), rising + 0.0):
        np.testing.assert_allclose(verification.correlation(far, other), [[1], [1], [1]])
    most = np.array([[2**64 - 1]], np.uint64)
    for one, other, distance in [
        ([[2**62 + 1]], np.array([[2**62]], np.uint64), 1),
        ([[2**62 + 1], [0]], [[2**62]], [1, 2**62]),
        (np.array([[-(2**63)], [2**63 - 1]]), most, [2**64 + 2**63 - 1, 2**63]),
        (np.array([[-128, 127]], np.int8), np.array([[127, 0]], np.uint8), np.hypot(255, 127)),
    ]:
        found = verification.negative_distance(one, other)
        np.testing.assert_array_equal(found[:, 0], -np.array(distance, float))


def test_masked_elements_and_times_are_refused():
    masked = np.ma.masked_array(A, A > 0.7)
    for wrong in (masked, list(masked), A.astype("m8[s]"), A.astype("M8[s]")):
        for metric in (metrics.cc, metrics.sim):
            with pytest.raises(
                ValueError, match=r"^b (has masked elements|is .*64\[s\]); allowed: "
            ):
                metric(A, wrong)
        with pytest.raises(ValueError, match=r"^genuine .*; allowed: "):
            verification.roc_auc(wrong, [1.0])
        with pytest.raises(ValueError, match=r"^saliency .*; allowed: "):
            metrics.score(["nss"], saliency=[wrong], xy_px=POINTS[None])
    with pytest.raises(ValueError, match=r"^xy_px has masked elements; allowed: "):
        metrics.nss(saliency=A, xy_px=np.ma.masked_array(POINTS, POINTS > 9))
    with pytest.raises(ValueError, match=r"^mask has masked elements; allowed: "):
        metrics.nss(saliency=A, xy_px=POINTS, mask=np.ma.masked_array([True] * 9, [1] + [0] * 8))
    assert metrics.cc(A, np.ma.masked_array(A, False)) == pytest.approx(1)  # Nothing is masked.
