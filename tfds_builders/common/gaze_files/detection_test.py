"""Detection of fixations in samples."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfds_builders.common.gaze_files.detection import (
    Detected,
    check_found,
    detect_fixations,
    parse,
)
from tfds_builders.common.gaze_files.how import Detection

DETECTION = Detection(dispersion_px=30, min_duration_ms=100, max_gap_ms=75)


def detect(
    t_ms: np.ndarray,
    xy_px: np.ndarray,
    group: np.ndarray | None = None,
    detection: Detection = DETECTION,
) -> Detected:
    group = np.zeros(len(t_ms), np.int64) if group is None else group
    return detect_fixations(t_ms, xy_px, group, detection)


def stay(*pieces: tuple[float, float, int]) -> np.ndarray:
    """Returns gaze that stays at places for numbers of samples."""
    return np.concatenate([np.tile([[x, y]], (count, 1)) for x, y, count in pieces]).astype(float)


def test_hand_worked_samples() -> None:
    # Every 20 ms. Three samples travel; then x is 100, 110, ..., and 6 samples are 100 ms.
    x = [0, 200, 400, 100, 110, 100, 110, 100, 110, 125, 135, 300, 500, 505, 510, 505, 500, 505]
    y = [0, 0, 0, 50, 50, 55, 50, 50, 50, 50, 50, 50, 90, 90, 90, 90, 90, 96]
    t_ms = 1000 + 20.0 * np.arange(len(x))
    found = detect(t_ms, np.column_stack([x, y]).astype(float))
    # Sample 9 (125, 50): 25 + 5 = 30 is in the limit; sample 10 (135, 50): 35 + 5 is not.
    assert found.first.tolist() == [3, 12]
    assert found.start_ms.tolist() == [1060, 1240]
    assert found.duration_ms.tolist() == [120, 100]
    # x: (3 x 100 + 3 x 110 + 125) / 7; y: 355 / 7. x: 3025 / 6; y: 546 / 6.
    np.testing.assert_allclose(found.xy_px, [[755 / 7, 355 / 7], [3025 / 6, 91]])


def test_dispersion_adds_width_and_height() -> None:
    t_ms = 25.0 * np.arange(5)
    xy_px = np.array([[0, 0], [20, 0], [0, 0], [0, 11], [0, 0]], float)
    assert len(detect(t_ms, xy_px).first) == 0  # 20 + 11
    xy_px[3, 1] = 10
    assert detect(t_ms, xy_px).duration_ms.tolist() == [100]


@pytest.mark.parametrize(
    ("blink_ms", "expected"),
    # Samples every 10 ms: a blink of 60 ms leaves 70 ms between samples with gaze.
    [(60, [(0, 190 + 60 + 10 + 190)]), (70, [(0, 190), (270, 190)])],
)
@pytest.mark.parametrize("has_rows", [True, False])
def test_a_long_blink_ends_a_fixation(
    blink_ms: int, expected: list[tuple[float, float]], has_rows: bool
) -> None:
    num_lost = blink_ms // 10
    xy_px = stay((5, 5, 20), (np.nan, np.nan, num_lost), (5, 5, 20))
    t_ms = 10.0 * np.arange(len(xy_px))
    kept = np.ones(len(t_ms), bool) if has_rows else np.isfinite(xy_px[:, 0])
    found = detect(t_ms[kept], xy_px[kept])
    assert list(zip(found.start_ms, found.duration_ms, strict=True)) == expected


def test_one_coordinate_without_gaze_is_no_gaze() -> None:
    xy_px = stay((5, 5, 12))
    xy_px[6] = (np.nan, 5)
    found = detect(10.0 * np.arange(12), xy_px)
    np.testing.assert_array_equal(found.xy_px, [[5, 5]])


def test_a_fixation_lies_in_one_group() -> None:
    xy_px, t_ms = stay((5, 5, 30)), 10.0 * np.arange(30)
    group = np.repeat([7, 3], [11, 19])
    found = detect(t_ms, xy_px, group)
    assert found.group.tolist() == [7, 3]
    assert found.first.tolist() == [0, 11]
    assert found.duration_ms.tolist() == [100, 180]
    # Each group has its own clock.
    found = detect(np.concatenate([t_ms[:11], t_ms[:19]]), xy_px, group)
    assert found.start_ms.tolist() == [0, 0]


@pytest.mark.parametrize("rate_hz", [50, 60, 250, 1000, 2000])
def test_sampling_rate_does_not_matter(rate_hz: int) -> None:
    """Fixations of 400, 250 and 600 ms are found to one sample, with noise, at all rates."""
    rng = np.random.default_rng(0)
    truth_ms, places = [400, 250, 600], [(100, 100), (400, 300), (200, 500)]
    pieces = [
        (x, y, round(ms * rate_hz / 1000)) for ms, (x, y) in zip(truth_ms, places, strict=True)
    ]
    xy_px = stay(*pieces)
    xy_px += rng.uniform(-5, 5, xy_px.shape)
    found = detect(np.arange(len(xy_px)) * 1000 / rate_hz, xy_px)
    np.testing.assert_allclose(found.duration_ms, truth_ms, atol=2000 / rate_hz)
    np.testing.assert_allclose(found.xy_px, places, atol=2.5)


def test_nothing_is_found_in_nothing() -> None:
    for num_rows in (0, 1, 20):
        xy_px = np.full((num_rows, 2), np.nan)
        found = detect(10.0 * np.arange(num_rows), xy_px)
        assert [len(part) for part in found] == [0] * 5
        assert found.xy_px.shape == (0, 2)
    # Gaze that never rests.
    assert len(detect(10.0 * np.arange(50), stay((0, 0, 50)) + 40 * np.arange(50)[:, None])[0]) == 0


def reference(t_ms: np.ndarray, xy_px: np.ndarray, detection: Detection) -> list[tuple[int, int]]:
    """The method, sample by sample."""
    found = []
    first = 0
    while first < len(t_ms):
        last = first
        while last < len(t_ms) and t_ms[last] - t_ms[first] < detection.min_duration_ms:
            last += 1
        if last == len(t_ms):
            break
        if np.ptp(xy_px[first : last + 1], axis=0).sum() > detection.dispersion_px:
            first += 1
            continue
        while (
            last + 1 < len(t_ms)
            and np.ptp(xy_px[first : last + 2], axis=0).sum() <= detection.dispersion_px
        ):
            last += 1
        found.append((first, last))
        first = last + 1
    return found


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 40), st.integers(-9, 9), st.integers(-9, 9)), max_size=300
    ),
    shift=st.tuples(st.integers(-5000, 5000), st.integers(-5000, 5000), st.integers(0, 10**9)),
)
def test_equals_the_method_sample_by_sample(
    steps: list[tuple[int, int, int]], shift: tuple[int, int, int]
) -> None:
    moves = np.cumsum(np.array(steps, float).reshape(-1, 3), axis=0)
    t_ms, xy_px = moves[:, 0], moves[:, 1:]
    found = detect(t_ms, xy_px)
    expected = reference(t_ms, xy_px, DETECTION)
    assert found.first.tolist() == [first for first, _ in expected]
    assert found.duration_ms.tolist() == [t_ms[last] - t_ms[first] for first, last in expected]
    for mean, (first, last) in zip(found.xy_px, expected, strict=True):
        np.testing.assert_allclose(mean, xy_px[first : last + 1].mean(axis=0), atol=1e-9)
    moved = detect(t_ms + shift[2], xy_px + shift[:2])
    assert moved.first.tolist() == found.first.tolist()
    np.testing.assert_allclose(moved.xy_px, found.xy_px + shift[:2], atol=1e-6)


def test_long_fixations_are_found_whole() -> None:
    xy_px = stay((5, 5, 10_000), (99, 5, 5_000))
    found = detect(1.0 * np.arange(len(xy_px)), xy_px)
    assert found.duration_ms.tolist() == [9_999, 4_999]


def test_a_million_samples_take_seconds() -> None:
    rng = np.random.default_rng(0)
    places = np.repeat(rng.uniform(0, 1000, (40_000, 2)), 25, axis=0)
    xy_px = places + rng.uniform(-4, 4, places.shape)
    start = time.perf_counter()
    found = detect(np.arange(len(xy_px)) * 1000 / 60, xy_px)
    seconds = time.perf_counter() - start
    assert len(found.first) == pytest.approx(40_000, rel=0.02)
    assert seconds < 20  # About 1 s; the rest is for a busy machine.


@pytest.mark.parametrize(
    ("t_ms", "group", "message"),
    [
        ([0, 10, 9], [0, 0, 0], "sample 3 is at 9.0 ms after 10.0 ms in the same viewing"),
        ([0, np.nan, 9], [0, 0, 0], "sample 2 is at nan ms after 0.0 ms"),
        ([np.inf, 0, 9], [0, 1, 1], "sample 1 is at inf ms, expected a finite time"),
        ([0, 10, 20], [0, 1, 0], "samples of one viewing are in two parts"),
        ([0, 100, 200], [0, 0, 0], "time between samples is 100 ms in the median, above .* 75 ms"),
    ],
)
def test_refuses_samples(t_ms: list[float], group: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detect(np.array(t_ms, float), stay((5, 5, 3)), np.array(group))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1deg,100", Detection(40, 100, 75)),
        ("35px,80,75", Detection(35, 80, 75)),
        (" 0.5deg, 60, 1e2 ", Detection(20, 60, 100)),
    ],
)
def test_parse(text: str, expected: Detection) -> None:
    assert parse(text, 40) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is '', expected DISPERSION,MIN_MS"),
        ("35,100", "is '35,100', expected DISPERSION,MIN_MS"),
        ("35px", "is '35px', expected DISPERSION,MIN_MS"),
        ("35px,100,75,1", "'35px,100,75,1', expected DISPERSION,MIN_MS"),
        ("35px,100,", "'35px,100,', expected DISPERSION,MIN_MS"),
        ("-1px,100", "'-1' is not a number above 0"),
        ("35px,0", "'0' is not a number above 0"),
        ("35px,nan", "'nan' is not a number above 0"),
        ("xpx,100", "'x' is not a number above 0"),
        ("1deg,100", "is in degrees and needs --pixels-per-degree"),
    ],
)
def test_parse_refuses(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        parse(text, None)
    assert "\n" not in str(error.value)


def test_of_no_fixation_the_longest_time_in_place_is_named() -> None:
    # Samples of 10 ms: 1, 3 and 2 of them stay within 5 px, and a gap parts the last ones.
    x = np.array([0, 100, 102, 104, 200, 202, 202, np.nan])
    t_ms = np.array([0, 10, 20, 30, 40, 50, 200, 210.0])
    xy_px, group = np.column_stack([x, np.zeros(8)]), np.zeros(8, np.int64)
    asked = Detection(5.0, 40.0, 75.0)
    found = detect_fixations(t_ms, xy_px, group, asked)
    with pytest.raises(ValueError, match="finds none in 7 samples with gaze: within 5 px") as e:
        check_found(Path("a.tsv"), found, t_ms, xy_px, group, asked)
    assert "stays for 20 ms at most, expected 40 ms or more" in str(e.value)
    with pytest.raises(ValueError, match="finds none in 0 samples with gaze"):
        check_found(Path("a.tsv"), found, t_ms, np.full_like(xy_px, np.nan), group, asked)
