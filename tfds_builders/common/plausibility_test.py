"""Each fault of a table of gaze is named from the numbers alone, and gaze as it is, is not."""

import csv
import functools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfds_builders.common.plausibility import Gaze, facts, warnings
from tfds_builders.common.plausibility.agreement import check_agreement
from tfds_builders.common.plausibility.names import check_names

WIDTH, HEIGHT = 1920, 1080


def table(text: str, size: tuple[int, int] = (WIDTH, HEIGHT)) -> tuple[Gaze, list[str], list[str]]:
    """Reads lines of image,user,x,y,duration_ms[,t_ms]; no duration: "-"."""
    cells = [line.split(",") for line in text.split()]
    image_ids, image = np.unique([row[0] for row in cells], return_inverse=True)
    user_ids, user = np.unique([row[1] for row in cells], return_inverse=True)
    numbers = [[float(cell) for cell in row[2:] if cell != "-"] for row in cells]
    columns = np.array(numbers).T
    xy, size_px = columns[:2].T, np.tile(np.array(size, float), (len(cells), 1))
    has_duration = cells[0][4] != "-"
    gaze = Gaze(
        image.astype(np.int32),
        user.astype(np.int32),
        None,
        None,
        xy,
        xy / size_px,
        size_px,
        columns[2] if has_duration else None,
        columns[-1] if len(cells[0]) > 5 else None,
    )
    return gaze, user_ids.tolist(), image_ids.tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "a,P01,.44120,.45260,230 a,P01,.35230,.41890,345 a,P01,.20310,.64780,279",
            ["look like fractions, not pixels: 3 of 3 rows"],
            id="fractions",
        ),
        pytest.param(
            "a,P01,16.02,9.11,400 a,P01,20.31,12.40,244 a,P01,4.2,15.1,300",
            ["look like degrees, not pixels: 3 of 3 rows"],
            id="degrees from a corner",
        ),
        pytest.param(
            "a,P01,-3.2,1.4,400 a,P01,5.1,-.2,244 a,P01,12,3.3,300",
            ["--units deg and --pixels-per-degree"],
            id="degrees from the centre",
        ),
        pytest.param(
            "a,P01,851.3,479.2,.24110 a,P01,664.8,452.6,.33720 a,P01,371.4,699.5,.28640",
            ["look like seconds, not milliseconds: 3 of 3 rows, median 0.2864: give --durations s"],
            id="seconds",
        ),
        pytest.param(
            "a,P01,660,337,25,0 a,P01,660,337,25,8.333 a,P01,660,337,25,16.667 "
            "a,P01,981,694,25,41.667 a,P01,981,694,25,50 a,P01,981,694,25,58.333",
            ["samples, not fixations: 4 of 6 rows repeat the place and duration of the row before"],
            id="samples of a fixation",
        ),
        pytest.param(
            "a,P01,283.1,698.2,49 a,P01,301.5,701.4,66 a,P01,371.4,699.5,279 "
            "a,P01,548.9,561.3,33 a,P01,553.2,560.7,214",
            ["running estimates of a fixation, not fixations: in 3 of 4 pairs"],
            id="running estimates",
        ),
        pytest.param(
            "a,S1,491.2,398.6,733,371 a,S1,501.4,390.1,735,369 "
            "a,S1,213.5,369.8,69,1158 a,S1,234.6,387.2,69,1158",
            ["look like two eyes: 2 of 3 fixations start within"],
            id="two eyes with starts",
        ),
        pytest.param(
            "a,S1,491.2,398.6,733 a,S1,501.4,390.1,735 a,S1,213.5,369.8,69 a,S1,234.6,387.2,69",
            ["look like two eyes, one after the other: 2 of 3 pairs"],
            id="two eyes without starts",
        ),
        pytest.param(
            "s0,A,.310,.850,180 s0,A,.420,.830,220",
            ["with --y up if y is counted from the bottom"],
            id="fractions from the bottom",
        ),
        pytest.param(
            "a,p07_1,400,300,200 a,p07_2,410,310,210",
            ["sessions or recordings of one person: 'p07_1' and 'p07_2'"],
            id="sessions",
        ),
        pytest.param(
            "a,P01,-3270.0,-2110.5,34,4 a,P01,948.2,541.7,30,0 a,P01,929.4,530.6,246,34",
            ["1 of 3 rows have x or y at 3270", "hint: 2 fixations start within 40 ms of 0"],
            id="saturated and cut",
        ),
        pytest.param(
            "a,P01,300,1500,200 a,P01,400,1700,250 a,P01,500,900,230",
            ["x and y look exchanged: 2 rows are outside their picture, and 0 once"],
            id="exchanged",
        ),
        pytest.param(
            "a,P01,300,500,200 a,P01,300,500,200 a,P01,700,400,250 a,P01,700,400,250",
            ["are given twice: 2 of 4 rows repeat"],
            id="joined to itself",
        ),
    ],
)
def test_a_few_rows_with_a_fault_get_its_warning_and_no_other(
    text: str, expected: list[str]
) -> None:
    found = warnings(*table(text))
    assert len(found) == len(expected), found
    for line, words in zip(found, expected, strict=True):
        assert words in line
        assert "\n" not in line


@pytest.mark.parametrize(
    "text",
    [
        "a,P01,851.3,479.2,241",
        "a,P01,660,337,90 a,P01,981,694,158",
        "a,P01,960,540,120 a,P01,980,560,240 a,P01,990,545,310",  # All near, and growing.
        "a,P01,960,540,230 a,P01,300,560,231 a,P01,1500,245,229",  # One duration, far apart.
        "a,P01,900,500,200,0 a,P01,300,560,231,230 a,P01,1500,245,229,500",
        "a,P01,900,500,-,0 b,P01,300,560,-,0",
    ],
)
def test_few_plausible_rows_get_no_warning(text: str) -> None:
    assert warnings(*table(text)) == []


@pytest.mark.parametrize(
    ("user_ids", "words"),
    [
        (["s17_nr_1", "s17_nr_2"], "sessions"),
        (["p01a", "p01b", "p02a"], "sessions"),
        (["ann_1", "ann_2", "bob_1", "bob_2"], "sessions"),
        (["sub-01_ses-01", "sub-01_ses-02"], "sessions"),
        (["1_KH012", "2_KH012"], "sessions"),
        (["p07", "p07_2"], "sessions"),
        (["p07_20240101", "p07_20240105"], "sessions"),
        (["p07.edf", "p07_2.edf"], "sessions"),
        (["p01v1", "p01v2", "p02v1"], "sessions"),
        (["vp1_2024-01-02_10-30", "vp1_2024-01-03_11-00"], "sessions"),
        (["vp1_02.01.2024 10:30:12", "vp1_03.01.2024 11:00:55"], "sessions"),
        (["p01_runA", "p01_runB", "p02_runA"], "sessions"),
        (["p01_pre1", "p01_post1"], "sessions"),
        (["p01_free", "p01_search"], "sessions"),
        (["ann_encoding", "ann_recognition", "bob_encoding", "bob_recognition"], "sessions"),
        (["p01_faces", "p01_houses", "p02_houses", "p02_faces"], "sessions"),
        (["P01_A1", "P01_B1", "P02_A1", "P02_B1"], "sessions"),
        (["p01_copy", "p01"], "sessions"),
        (["ann - Copy (2)", "ann"], "sessions"),
        (["p07_L", "p07_R"], "eyes of one person"),
        (["Ann", "ann"], "nearly the same"),
        (["01", "1", "2"], "nearly the same"),
        (["José", "Jose\u0301"], "nearly the same"),
        (["p07", "p 07"], "nearly the same"),
        (["ann", "\u0430nn"], "nearly the same"),
        (["1e5", "100000"], "nearly the same"),
        (["1.2E+05", "120000"], "nearly the same"),
    ],
)
def test_names_of_one_person_are_named(user_ids: list[str], words: str) -> None:
    (line,) = check_names(user_ids)
    assert words in line
    assert repr(user_ids[0]) in line
    assert repr(user_ids[1]) in line


@pytest.mark.parametrize(
    "user_ids",
    [
        [str(number) for number in range(1, 31)],
        [f"observer_{number:03d}" for number in range(20)],
        ["user_1", "user_2", "user_3"],
        [f"{group}_{number}" for group in ("control", "patient") for number in range(1, 9)],
        [f"{lab}_{number:02d}" for lab in (1, 2) for number in range(1, 10)],
        ["P01", "P11", "P1001"],
        ["1_1", "11"],
        ["ann_1", "bob_1"],
        ["p1", "p12", "vp1", "vp11", "jb", "jbb"],
        [f"s{number:02d}.edf" for number in range(1, 25)],
        ["hp", "jcw", "jw", "kae", "krl", "po", "tmj", "tu", "ya", "zb"],
        ["s1v1", "s2v1", "s3v1"],
        ["p01_free", "p02_free", "p03_search", "p04_search"],
        ["p1_2024-01-02", "p2_2024-01-02"],
        ["fam01_mother", "fam01_child", "fam02_mother", "fam02_child"],
        ["p01_f", "p02_m", "p03_f"],
        ["young_old", "young_new"],
        ["P01_A1", "P02_B1", "P03_A1", "P04_A2"],
        ["5f3a1b", "5f3a1c", "61aa0e", "61aa0f", "61aa10"],
    ],
)
def test_names_of_different_people_get_no_warning(user_ids: list[str]) -> None:
    assert check_names(user_ids) == []


# Larger forms: 6 people look at 12 pictures, each of which has three places that all look at.
NUM_USERS, NUM_IMAGES = 6, 12


@functools.cache
def plausible() -> Gaze:
    generator = np.random.default_rng(3)
    image, user, xy, duration, start = [], [], [], [], []
    places = generator.uniform(0.15, 0.85, (NUM_IMAGES, 3, 2)) * (WIDTH, HEIGHT)
    for image_number in range(NUM_IMAGES):
        for user_number in range(NUM_USERS):
            num = int(generator.integers(7, 13))
            chosen = places[image_number, generator.integers(0, 3, num)]
            wide = generator.uniform(0.05, 0.95, (num, 2)) * (WIDTH, HEIGHT)
            is_wide = generator.random((num, 1)) < 0.4
            spread = generator.normal(0, 60, (num, 2))
            xy.append(np.where(is_wide, wide, np.clip(chosen + spread, 5, (WIDTH - 5, HEIGHT - 5))))
            durations = np.round(np.clip(generator.lognormal(5.4, 0.45, num), 60, 1500))
            duration.append(durations)
            gaps = durations + generator.integers(20, 60, num)
            start.append(180 + np.concatenate([[0], np.cumsum(gaps)[:-1]]))
            image += [image_number] * num
            user += [user_number] * num
    places_px = np.round(np.concatenate(xy), 1)
    size = np.tile([float(WIDTH), float(HEIGHT)], (len(image), 1))
    return Gaze(
        np.array(image, np.int32),
        np.array(user, np.int32),
        None,
        None,
        places_px,
        places_px / size,
        size,
        np.concatenate(duration),
        np.concatenate(start),
    )


def at(gaze: Gaze, xy: np.ndarray) -> Gaze:
    """Puts the rows at other places, taken for pixels."""
    return gaze._replace(xy=xy, xy_frac=xy / gaze.size_px)


def take(gaze: Gaze, rows: np.ndarray) -> Gaze:
    """Returns some rows."""
    return Gaze(*(None if part is None else part[rows] for part in gaze))  # type: ignore[arg-type]


def of_user(gaze: Gaze, changed: np.ndarray) -> np.ndarray:
    """Places, changed for the second person only."""
    return np.where((gaze.user == 1)[:, None], changed, gaze.xy)


def upside_down(gaze: Gaze) -> np.ndarray:
    """Places with y counted from the bottom."""
    return np.column_stack([gaze.xy[:, 0], gaze.size_px[:, 1] - gaze.xy[:, 1]])


def samples(gaze: Gaze, hz: float, noise_px: float) -> Gaze:
    """Samples of the fixations, with starts."""
    assert gaze.duration_ms is not None
    assert gaze.t_ms is not None
    numbers = np.maximum((gaze.duration_ms * hz / 1000).astype(int), 1)
    rows = np.repeat(np.arange(len(numbers)), numbers)
    position = np.arange(len(rows)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    noise = np.random.default_rng(0).normal(0, noise_px, (len(rows), 2))
    sampled = take(gaze, rows)
    assert sampled.t_ms is not None
    return at(sampled, sampled.xy + noise)._replace(t_ms=sampled.t_ms + 1000 / hz * position)


def running(gaze: Gaze) -> Gaze:
    """Three estimates of each fixation, the last of which is right."""
    parts = take(gaze, np.repeat(np.arange(len(gaze.xy)), 3))
    assert parts.duration_ms is not None
    shares = np.tile([0.2, 0.6, 1.0], len(gaze.xy))
    noise = np.random.default_rng(0).normal(0, 12, parts.xy.shape)
    return at(parts, parts.xy + noise)._replace(
        duration_ms=np.round(parts.duration_ms * shares), t_ms=None
    )


def two_eyes(gaze: Gaze, order: str) -> Gaze:
    """The other eye is 12 px to the right, some ms earlier or later."""
    assert gaze.duration_ms is not None
    assert gaze.t_ms is not None
    generator = np.random.default_rng(0)
    num = len(gaze.xy)
    other = at(gaze, gaze.xy + generator.normal((12, -8), 3, gaze.xy.shape))._replace(
        duration_ms=gaze.duration_ms + generator.integers(-4, 5, num),
        t_ms=gaze.t_ms + generator.integers(-4, 5, num),
    )
    both = Gaze(
        *(
            None if part is None or second is None else np.concatenate([part, second])
            for part, second in zip(gaze, other, strict=True)
        )  # type: ignore[arg-type]
    )
    eye, row = np.repeat([0, 1], num), np.tile(np.arange(num), 2)
    viewing = both.image * NUM_USERS + both.user
    rows = np.lexsort((eye, row)) if order == "alternating" else np.lexsort((row, eye, viewing))
    return take(both, rows)


def changed(**columns: Callable[[Gaze], np.ndarray | None]) -> Callable[[Gaze], Gaze]:
    """Returns a function that replaces columns."""

    def plant(gaze: Gaze) -> Gaze:
        return gaze._replace(**{name: make(gaze) for name, make in columns.items()})  # type: ignore[arg-type]

    return plant


def duration(gaze: Gaze) -> np.ndarray:
    """Durations, which are known here."""
    assert gaze.duration_ms is not None
    return gaze.duration_ms


def start(gaze: Gaze) -> np.ndarray:
    """Starts, which are known here."""
    assert gaze.t_ms is not None
    return gaze.t_ms


FAULTS: dict[str, tuple[Callable[[Gaze], Gaze], str]] = {
    "fractions": (lambda g: at(g, g.xy_frac), "look like fractions, not pixels"),
    "fractions of one": (lambda g: at(g, of_user(g, g.xy_frac)), "y of user 'u1' look like frac"),
    "degrees": (lambda g: at(g, g.xy / 60), "look like degrees, not pixels"),
    "signed degrees": (lambda g: at(g, g.xy / 60 - (16, 9)), "look like degrees, not pixels"),
    "per cent": (lambda g: at(g, 100 * g.xy_frac), "look like per cent, not pixels"),
    "centred": (lambda g: at(g, g.xy - g.size_px / 2), "counted from the centre"),
    "tiny": (lambda g: at(g, g.xy / 10 + 50), "gaze covers 0."),
    "seconds": (changed(duration_ms=lambda g: duration(g) / 1000), "look like seconds"),
    "microseconds": (changed(duration_ms=lambda g: duration(g) * 1e3), "look like microseconds"),
    "nanoseconds": (changed(duration_ms=lambda g: duration(g) * 1e6), "look like nanoseconds"),
    "seconds of one": (
        changed(duration_ms=lambda g: duration(g) / np.where(g.user == 1, 1000, 1)),
        "durations of user 'u1' look like seconds",
    ),
    "frames": (changed(duration_ms=lambda g: np.round(duration(g) * 0.06)), "too short"),
    "constant": (changed(duration_ms=lambda g: np.full(len(g.xy), 200.0)), "durations are 200 ms"),
    "end times": (
        changed(duration_ms=lambda g: start(g) + duration(g), t_ms=lambda _: None),
        "look like times of the start or end",
    ),
    "very short": (
        changed(duration_ms=lambda g: np.where(np.arange(len(g.xy)) % 10, duration(g), 4)),
        "are shorter than 20 ms",
    ),
    "samples": (lambda g: samples(g, 250, 2)._replace(duration_ms=None), "like samples of gaze"),
    "webcam": (lambda g: samples(g, 30, 40)._replace(duration_ms=None), "like samples of gaze"),
    "samples without starts": (
        lambda g: samples(g, 60, 5)._replace(duration_ms=None, t_ms=None),
        "look like samples of gaze",
    ),
    "Tobii": (lambda g: samples(g, 120, 0), "look like samples, not fixations"),
    "Gazepoint": (running, "look like running estimates"),
    "two eyes": (lambda g: two_eyes(g, "alternating"), "look like two eyes"),
    "two eyes without starts": (
        lambda g: two_eyes(g, "alternating")._replace(t_ms=None),
        "look like two eyes, one after the other",
    ),
    "two blocks": (
        lambda g: two_eyes(g, "blocks")._replace(t_ms=None),
        "look like two eyes of a viewing, one block after the other",
    ),
    "upside down": (lambda g: at(g, of_user(g, upside_down(g))), "user 'u1' looks upside down"),
    "mirrored": (
        lambda g: at(g, of_user(g, np.column_stack([WIDTH - g.xy[:, 0], g.xy[:, 1]]))),
        "user 'u1' looks mirrored from left to right",
    ),
    "exchanged": (lambda g: at(g, g.xy[:, ::-1].copy()), "look exchanged"),
    "joined": (lambda g: take(g, np.repeat(np.arange(len(g.xy)), 2)), "are given twice"),
    "appended": (
        lambda g: take(g, np.tile(np.arange(len(g.xy)), 2))._replace(t_ms=None),
        "rows are given again",
    ),
    "viewing again": (
        lambda g: take(g, np.append(np.arange(len(g.xy)), np.flatnonzero((g.image + g.user) == 0))),
        "rows are given again",
    ),
    "starts in seconds": (changed(t_ms=lambda g: start(g) / 1000), "give --times s"),
    "starts in us": (changed(t_ms=lambda g: start(g) * 1000), "give --times us"),
    "ends as starts": (changed(t_ms=lambda g: start(g) + duration(g)), "looks like the end"),
    "saturated": (
        lambda g: at(g, np.where(np.arange(len(g.xy))[:, None] % 90 == 0, -3270.0, g.xy)),
        "rows have x or y at 3270",
    ),
    "missing": (
        lambda g: at(g, np.where(np.arange(len(g.xy))[:, None] % 90 == 0, -1.0, g.xy)),
        "x or y at -1, which marks missing gaze",
    ),
    "clipped": (
        lambda g: at(g, np.clip(1.4 * g.xy - 0.2 * g.size_px, 0, g.size_px)),
        "clipped to the edge",
    ),
}
USER_IDS = [f"u{number}" for number in range(NUM_USERS)]
IMAGE_IDS = [f"{number}.png" for number in range(NUM_IMAGES)]


def test_plausible_gaze_gets_no_warning() -> None:
    gaze = plausible()
    assert warnings(gaze, USER_IDS, IMAGE_IDS) == []
    for rows in (gaze.user == 2, gaze.image < 3, np.arange(len(gaze.xy)) < 5):
        assert warnings(take(gaze, rows), USER_IDS, IMAGE_IDS) == []
    unknown = np.full_like(gaze.xy, np.nan)
    for fewer in (
        gaze._replace(t_ms=None),
        gaze._replace(duration_ms=None),
        gaze._replace(duration_ms=None, t_ms=None),
        gaze._replace(size_px=unknown, xy_frac=unknown),
    ):
        assert warnings(fewer, USER_IDS, IMAGE_IDS) == []
    fractions = gaze._replace(xy=gaze.xy_frac)
    assert warnings(fractions, USER_IDS, IMAGE_IDS, units="frac") == []


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_fault_of_a_whole_table_is_named(name: str) -> None:
    plant, words = FAULTS[name]
    found = warnings(plant(plausible()), USER_IDS, IMAGE_IDS)
    assert any(words in line for line in found), found
    assert len(found) == 1, found


@pytest.mark.parametrize("order", ["alternating", "blocks"])
@pytest.mark.parametrize(
    ("users", "who"), [([1], " of user 'u1'"), ([0, 2], " of users 'u0', 'u2'"), (range(6), "")]
)
def test_two_eyes_are_named_from_places_alone(order: str, users: Sequence[int], who: str) -> None:
    gaze = plausible()
    # The other eye lacks one row in ten.
    both = two_eyes(gaze, order)._replace(duration_ms=None, t_ms=None)
    is_second = np.zeros(len(both.xy), bool)
    is_second[~np.isin(both.xy, gaze.xy).all(1)] = True
    assert is_second.sum() == len(gaze.xy)
    lost = np.random.default_rng(0).random(len(is_second)) < 0.1
    kept = take(both, ~is_second | (np.isin(both.user, list(users)) & ~lost))
    (line,) = warnings(kept, USER_IDS, IMAGE_IDS)
    kind = "one after the other" if order == "alternating" else "of a viewing, one block after"
    assert line.startswith(f"rows{who} look like two eyes")
    assert kind in line


def test_gaze_that_comes_back_to_few_places_is_not_of_two_eyes() -> None:
    gaze = plausible()._replace(duration_ms=None, t_ms=None)
    generator = np.random.default_rng(0)
    # All look at the same four places of each picture, in any order: half of the rows have others
    # near them in the second half of their viewing.
    places = np.array([[0.38, 0.42], [0.62, 0.42], [0.5, 0.58], [0.5, 0.72]]) * (WIDTH, HEIGHT)
    chosen = places[generator.integers(0, 4, len(gaze.xy))]
    few = at(gaze, chosen + generator.normal(0, 20, gaze.xy.shape))
    assert not any("two eyes" in line for line in warnings(few, USER_IDS, IMAGE_IDS))


def test_one_of_twelve_people_upside_down_is_named_on_25_images() -> None:
    generator = np.random.default_rng(0)
    image, user, _ = (part.ravel() for part in np.mgrid[:25, :12, :8])
    # A third of gaze is around the centre, the rest around four places of the image.
    places = generator.uniform(0.12, 0.88, (25, 4, 2))
    xy_frac = places[image, generator.integers(0, 4, len(image))]
    xy_frac += generator.normal(0, 0.1, xy_frac.shape)
    is_central = generator.random((len(image), 1)) < 1 / 3
    xy_frac = np.where(is_central, generator.normal(0.5, 0.18, xy_frac.shape), xy_frac)
    size = np.tile([float(WIDTH), float(HEIGHT)], (len(image), 1))
    gaze = Gaze(
        image.astype(np.int32), user.astype(np.int32), None, None, xy_frac * size, xy_frac, size
    )
    user_ids = [f"u{number}" for number in range(12)]
    assert check_agreement(gaze, user_ids) == []
    num_found = 0
    for number, user_id in enumerate(user_ids):
        flipped = np.where((user == number)[:, None], upside_down(gaze), gaze.xy)
        found = check_agreement(at(gaze, flipped), user_ids)
        num_found += [f"user {user_id!r} looks upside down" in line for line in found] == [True]
    assert num_found >= 11


def faces(share_of_left: np.ndarray) -> Gaze:
    """Gaze of 6 people on the eyes of 12 faces, 8 fixations each; shares [6] of the left eye."""
    generator = np.random.default_rng(0)
    image, user, _ = (part.ravel() for part in np.mgrid[:NUM_IMAGES, :NUM_USERS, :8])
    is_left = generator.random(len(user)) < share_of_left[user]
    xy_frac = np.column_stack([np.where(is_left, 0.4, 0.6), np.full(len(user), 0.4)])
    xy_frac += generator.normal(0, 0.03, xy_frac.shape)
    size = np.tile([float(WIDTH), float(HEIGHT)], (len(user), 1))
    return Gaze(
        image.astype(np.int32), user.astype(np.int32), None, None, xy_frac * size, xy_frac, size
    )


def test_a_person_who_prefers_the_other_eye_is_not_mirrored() -> None:
    assert check_agreement(faces(np.array([0.2, 0.8, 0.2, 0.3, 0.2, 0.1])), USER_IDS) == []


def test_people_who_agree_by_chance_only_are_not_turned() -> None:
    gaze = plausible()
    for seed in range(20):
        chance = np.random.default_rng(seed).random(gaze.xy.shape) * gaze.size_px
        assert check_agreement(at(gaze, chance), USER_IDS) == []


# Another unit of some rows [n]: what is planted, and what is said with "of user" or "on image".
UNITS: dict[str, tuple[Callable[[Gaze, np.ndarray], Gaze], str]] = {
    "fractions": (
        lambda g, rows: at(g, np.where(rows[:, None], g.xy_frac, g.xy)),
        "x and y{} look like fractions, not pixels",
    ),
    "degrees": (
        lambda g, rows: at(g, np.where(rows[:, None], g.xy / 60 - (16, 9), g.xy)),
        "x and y{} look like degrees, not pixels",
    ),
    "seconds": (
        lambda g, rows: g._replace(duration_ms=np.where(rows, duration(g) / 1e3, duration(g))),
        "durations{} look like seconds",
    ),
    "microseconds": (
        lambda g, rows: g._replace(duration_ms=np.where(rows, duration(g) * 1e3, duration(g))),
        "durations{} look like microseconds",
    ),
    "nanoseconds": (
        lambda g, rows: g._replace(duration_ms=np.where(rows, duration(g) * 1e6, duration(g))),
        "durations{} look like nanoseconds",
    ),
    "starts in seconds": (
        lambda g, rows: g._replace(t_ms=np.where(rows, start(g) / 1e3, start(g))),
        "t_ms{} looks like seconds",
    ),
}


@pytest.mark.parametrize("name", list(UNITS))
def test_another_unit_of_eight_rows_of_one_person_is_named(name: str) -> None:
    plant, words = UNITS[name]
    gaze = plausible()
    image = np.flatnonzero(np.bincount(gaze.image[gaze.user == 1]) >= 9)[0]
    viewing = np.flatnonzero((gaze.user == 1) & (gaze.image == image))
    # 9 rows of a viewing have 8 steps from start to start.
    for num_rows, is_named in ((9, True), (7, False)):
        chosen = np.append(np.flatnonzero(gaze.user != 1), viewing[:num_rows])
        kept = take(gaze, np.sort(chosen))
        found = warnings(plant(kept, kept.user == 1), USER_IDS, IMAGE_IDS)
        assert any(words.format(" of user 'u1'") in line for line in found) == is_named, found


@pytest.mark.parametrize("name", list(UNITS))
def test_another_unit_of_some_images_is_named(name: str) -> None:
    plant, words = UNITS[name]
    gaze = plausible()
    for images, who in (([3], "image '3.png'"), ([0, 7], "images '0.png', '7.png'")):
        (line,) = warnings(plant(gaze, np.isin(gaze.image, images)), USER_IDS, IMAGE_IDS)
        assert words.format(f" on {who}") in line


def test_per_cent_and_hundredths_of_a_person_with_few_rows_are_named() -> None:
    gaze = take(plausible(), (plausible().user != 1) | (plausible().image < 4))
    of_one = gaze.user == 1
    assert 20 <= of_one.sum() < 60
    per_cent = at(gaze, np.where(of_one[:, None], 100 * gaze.xy_frac, gaze.xy))
    (line,) = warnings(per_cent, USER_IDS, IMAGE_IDS)
    assert line.startswith("x and y of user 'u1' look like per cent")
    frames = gaze._replace(duration_ms=np.where(of_one, duration(gaze) * 0.06, duration(gaze)))
    (line,) = warnings(frames, USER_IDS, IMAGE_IDS)
    assert line.startswith("durations of user 'u1' are too short")


def test_a_person_or_image_without_places_is_not_in_another_unit() -> None:
    gaze = plausible()
    for group in (gaze.user == 1, gaze.image == 3):
        for marker in (0.0, -1.0):
            found = warnings(
                at(gaze, np.where(group[:, None], marker, gaze.xy)), USER_IDS, IMAGE_IDS
            )
            assert found
            assert not any(", not pixels" in line for line in found), found


def test_gaze_in_degrees_near_the_centre_of_an_image_is_no_fraction() -> None:
    gaze = plausible()
    degrees = gaze.xy / 60 - (16, 9)
    near = np.where((gaze.image == 3)[:, None], degrees / 20, degrees)
    (line,) = warnings(at(gaze, near), USER_IDS, IMAGE_IDS)
    assert line.startswith("x and y look like degrees, not pixels")


def test_pixels_are_no_fractions_and_no_degrees() -> None:
    gaze = plausible()
    for units, words in (("frac", "pixels, not fractions"), ("deg", "pixels, not degrees")):
        (line, *_) = warnings(gaze, USER_IDS, IMAGE_IDS, units=units)  # type: ignore[arg-type]
        assert f"y look like {words}" in line
        right = gaze.xy_frac if units == "frac" else gaze.xy / 60 - (16, 9)
        for group, who in ((gaze.user == 1, "of user 'u1'"), (gaze.image == 3, "on image '3.png'")):
            mixed = gaze._replace(xy=np.where(group[:, None], gaze.xy, right))
            (line, *_) = warnings(mixed, USER_IDS, IMAGE_IDS, units=units)  # type: ignore[arg-type]
            assert f"y {who} look like {words}" in line


def test_the_gaze_of_one_person_under_two_names_is_named() -> None:
    gaze = plausible()
    rows = np.flatnonzero(gaze.user == 0)
    copy = take(gaze, rows)._replace(user=np.full(len(rows), NUM_USERS, np.int32))
    both = Gaze(
        *(
            None if part is None or second is None else np.concatenate([part, second])
            for part, second in zip(gaze, copy, strict=True)
        )  # type: ignore[arg-type]
    )
    (line,) = warnings(both, [*USER_IDS, "copy"], IMAGE_IDS)
    assert line.startswith("users 'u0', 'copy' have the same rows")


def test_tracks_of_a_mouse_are_samples() -> None:
    track = samples(plausible(), 60, 5)._replace(duration_ms=None, t_ms=None)
    assert warnings(track, USER_IDS, IMAGE_IDS, tracking="mouse") == []


def test_facts_of_three_fixations() -> None:
    gaze, _, _ = table("a,P01,10,10,200,100 a,P01,20,20,300,350 a,P01,1000,10,400,1100")
    found = dict(facts(gaze))
    assert found["median duration"] == "300 ms"
    # Two steps in 1.0 s.
    assert found["fixations a second"] == "2 (from t_ms)"
    # Cells are 96 x 54 pixels: two of 400.
    assert found["covered area"].startswith("0%")
    # Three fixations in .9 s.
    assert dict(facts(gaze._replace(t_ms=None)))["fixations a second"].startswith("3.33 (of")
    assert facts(gaze._replace(t_ms=None, duration_ms=None))[0][0] == "covered area"


def test_no_rows_and_rows_without_a_place() -> None:
    gaze, user_ids, image_ids = table("a,P01,10,10,200 a,P01,1020,20,300")
    assert warnings(take(gaze, np.zeros(0, np.int64)), user_ids, image_ids) == []
    assert facts(take(gaze, np.zeros(0, np.int64))) == []
    nowhere = at(gaze, np.full((2, 2), np.nan))
    assert warnings(nowhere, user_ids, image_ids) == []


RAW = os.environ.get("GAZEJAX_RAW_DATA")


@functools.cache
def real(name: str) -> tuple[Gaze, list[str], list[str]]:
    folder = Path(RAW or "") / "gaze_tables" / name
    with (folder / "fixations.csv").open(encoding="utf-8") as file:
        cells = list(csv.DictReader(file))
    image_ids, image = np.unique([row["image"] for row in cells], return_inverse=True)
    user_ids, user = np.unique([row["user"] for row in cells], return_inverse=True)
    columns = np.array([[float(row[key]) for key in ("x", "y", "duration_ms")] for row in cells])
    trial = np.array([int(row.get("trial", 0)) for row in cells])
    sizes = np.zeros((len(image_ids), 2))
    for number, image_id in enumerate(image_ids):
        with Image.open(folder / "images" / image_id) as picture:
            sizes[number] = picture.size
    gaze = Gaze(
        image.astype(np.int32),
        user.astype(np.int32),
        None,
        trial,
        columns[:, :2],
        columns[:, :2] / sizes[image],
        sizes[image],
        columns[:, 2],
    )
    return gaze, user_ids.tolist(), image_ids.tolist()


@pytest.mark.real
@pytest.mark.skipif(RAW is None, reason="GAZEJAX_RAW_DATA is not set")
@pytest.mark.parametrize("name", ["mit1003", "scene", "relational"])
def test_real_gaze_gets_no_warning_until_a_fault_is_planted(name: str) -> None:
    gaze, user_ids, image_ids = real(name)
    assert warnings(gaze, user_ids, image_ids) == []
    for user in range(3):
        assert warnings(take(gaze, gaze.user == user), user_ids, image_ids) == []
    assert warnings(take(gaze, gaze.image < 25), user_ids, image_ids) == []
    apart = take(gaze, gaze.user % 3 == gaze.image % 3)  # Three groups that share no image.
    assert warnings(apart, user_ids, image_ids) == []
    for fault, words in (
        (at(gaze, gaze.xy_frac), "fractions"),
        (at(gaze, np.where((gaze.image == 3)[:, None], gaze.xy_frac, gaze.xy)), "on image"),
        (gaze._replace(duration_ms=duration(gaze) / 1000), "seconds"),
        (at(gaze, of_user(gaze, upside_down(gaze))), "upside down"),
        (take(gaze, np.repeat(np.arange(len(gaze.xy)), 2)), "given twice"),
    ):
        (line,) = warnings(fault, user_ids, image_ids)
        assert words in line


def test_people_in_another_unit_are_named() -> None:
    gaze = plausible()
    assert gaze.duration_ms is not None
    for num in (1, NUM_USERS // 2, NUM_USERS - 1):
        is_in_s = gaze.user < num
        mixed = np.where(is_in_s, gaze.duration_ms / 1000, gaze.duration_ms)
        (line,) = warnings(gaze._replace(duration_ms=mixed), USER_IDS, IMAGE_IDS)
        assert line.startswith("durations of user")
        assert f" look like seconds, not milliseconds: {is_in_s.sum()} of" in line
        assert ("'u0'" in line, f"'{USER_IDS[-1]}'" in line) == (True, False)


def test_people_with_pictures_of_another_size_or_place_are_named() -> None:
    gaze = plausible()

    def moved(num: int, change: Callable[[np.ndarray], np.ndarray]) -> Gaze:
        is_moved = (gaze.user < num)[:, None]
        xy, xy_frac = (np.where(is_moved, change(part), part) for part in (gaze.xy, gaze.xy_frac))
        return gaze._replace(xy=xy, xy_frac=xy_frac)

    for num in (1, NUM_USERS // 2):
        (line,) = warnings(moved(num, lambda xy: 0.6 * xy), USER_IDS, IMAGE_IDS)
        assert line.startswith("gaze of user")
        assert "their screen or their pictures may have had another size" in line
        assert ("'u0'" in line, f"'{USER_IDS[-1]}'" in line) == (True, False)
    found = warnings(moved(1, lambda xy: 1.5 * xy), USER_IDS, IMAGE_IDS)
    assert re.match(r"\d\d% and more of the gaze of user 'u0' is outside of the pictures", found[0])
    found = warnings(moved(1, lambda xy: xy + 5000), USER_IDS, IMAGE_IDS)
    assert "all of the gaze of user 'u0' is outside of the pictures" in str(found)
    # Who looks at the middle only does not begin at the edges.
    middle = moved(1, lambda xy: 0.6 * xy + 0.2 * (xy / np.maximum(gaze.xy_frac, 1e-9)))
    assert not [line for line in warnings(middle, USER_IDS, IMAGE_IDS) if "another size" in line]


def test_options_of_tables_are_advised_only_where_they_can_be_given() -> None:
    gaze = plausible()
    assert gaze.duration_ms is not None
    assert gaze.t_ms is not None
    seconds = gaze._replace(duration_ms=gaze.duration_ms / 1000)
    early = gaze._replace(t_ms=gaze.t_ms - 400)
    zero = gaze._replace(xy=np.where(gaze.user[:, None] == 1, 0, gaze.xy))
    far = gaze._replace(xy=gaze.xy.copy(), xy_frac=gaze.xy_frac.copy())
    far.xy[:9, 0], far.xy_frac[:9, 0] = 5000, 5000 / WIDTH
    saturated = far._replace(xy=np.where(far.xy == 5000, 3270, far.xy))
    for faulty, option in (
        (seconds, "--durations s"),
        (early, "--where 't_ms >= 0'"),
        (zero, "--where 'x != 0'"),
        (far, "--where 'x != 5000'"),
        (saturated, "--where 'x < 3270'"),
    ):
        assert option in "\n".join(warnings(faulty, USER_IDS, IMAGE_IDS))
        found = warnings(faulty, USER_IDS, IMAGE_IDS, is_table=False)
        assert found
        assert "--" not in "\n".join(found)
