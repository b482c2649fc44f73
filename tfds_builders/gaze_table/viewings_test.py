"""Viewings that are several: repeated pictures and trials that count fixations."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfds_builders.common.gaze_files import Fixations, Options, read, viewing_numbers
from tfds_builders.gaze_table import viewings as checks
from tfds_builders.gaze_table.viewings import check_viewings

# (start, duration) of the fixations of a viewing on its own clock, and of a second one.
FIRST = ((10, 200), (250, 220), (500, 190), (730, 260))
SECOND = ((25, 230), (290, 200), (520, 240), (800, 180))
APART = "rows that are apart, with other images between them"
ANEW = "times (t_ms) that begin anew"


def warnings_of(tmp_path: Path, header: str, rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Returns the warnings about a table of user P."""
    table = tmp_path / "t.csv"
    lines = [f"P,{number},5," + ",".join(map(str, row)) for number, row in enumerate(rows)]
    table.write_text("\n".join([f"user,x,y,{header}", *lines]) + "\n")
    fixations, errors = read([table], Options())
    assert fixations is not None, errors
    return check_viewings(fixations)


def viewings(*of_images: tuple[str, tuple[tuple[int, int], ...], int]) -> list[tuple[Any, ...]]:
    """Returns image, start and duration; each viewing with a shift of its clock."""
    return [(name, start + shift, ms) for name, gaze, shift in of_images for start, ms in gaze]


@pytest.mark.parametrize("extra", [(), (1,)], ids=["no trial", "one trial"])
def test_a_picture_that_comes_back_is_named_on_each_clock(
    extra: tuple[int, ...], tmp_path: Path
) -> None:
    own = viewings(("a", FIRST, 0), ("b", FIRST, 7), ("a", SECOND, 0))
    one = viewings(("a", FIRST, 1000), ("b", FIRST, 5000), ("a", SECOND, 90_000))
    header = "image,t_ms,duration_ms" + ",trial" * len(extra)
    for rows, what in ((own, ANEW), (one, APART)):
        [warning] = warnings_of(tmp_path, header, [row + extra for row in rows])
        assert warning.startswith(f"1 of 2 viewings have {what}, such as user 'P' on 'a'")
        assert "a column trial or session tells them apart" in warning
        without = [(image, start, *extra) for image, start, _ in rows]
        [other] = warnings_of(tmp_path, header.replace(",duration_ms", ""), without)
        assert other == warning
        # The order of a table that is sorted by image, or not sorted, is not the order of time.
        by_image = sorted(rows, key=lambda row: str(row[0]))
        [other] = warnings_of(tmp_path, header, [row + extra for row in by_image])
        assert other == warning


def test_trials_that_begin_again_in_each_block_are_no_return(tmp_path: Path) -> None:
    # Three trials in each of two blocks, as recorded, and sorted by the trial.
    blocks = [(name, FIRST, 0) for name in "abc"], [(name, SECOND, 0) for name in "def"]
    shown = viewings(*blocks[0], *blocks[1])
    recorded = [(*row, "abcdef".index(str(row[0])) % 3) for row in shown]
    for rows in (recorded, sorted(recorded, key=lambda row: row[-1])):
        assert warnings_of(tmp_path, "image,t_ms,duration_ms,trial", rows) == []
        without = [(image, trial) for image, *_, trial in rows]
        assert warnings_of(tmp_path, "image,trial", without) == []
    # The second block has the images of the first one.
    again = [
        ({"d": "a", "e": "b", "f": "c"}.get(str(row[0]), row[0]), *row[1:]) for row in recorded
    ]
    [warning] = warnings_of(tmp_path, "image,t_ms,duration_ms,trial", again)
    assert warning.startswith(f"3 of 3 viewings have {ANEW}")
    # In another order, one of them has the number of the first block.
    other = [(*row[:-1], (int(row[-1]) + (row[0] != "d") * 7)) for row in recorded]
    again = [({"d": "a", "e": "b", "f": "c"}.get(str(row[0]), row[0]), row[-1]) for row in other]
    [warning] = warnings_of(tmp_path, "image,trial", again)
    assert APART in warning
    # Two viewings of each image, sorted by the number of the fixation.
    twice = [(image, trial) for trial, image in enumerate("abcabc")]
    assert warnings_of(tmp_path, "image,trial", twice * 4) == []


def test_a_trial_that_is_the_number_of_the_image_tells_nothing_apart(tmp_path: Path) -> None:
    rows = viewings(("a", FIRST, 0), ("b", FIRST, 7), ("a", SECOND, 0))
    numbered = [(*row, {"a": 1, "b": 2}[str(row[0])]) for row in rows]
    [warning] = warnings_of(tmp_path, "image,t_ms,duration_ms,trial", numbered)
    assert ANEW in warning
    [warning] = warnings_of(tmp_path, "image,trial", [(row[0], row[3]) for row in numbered])
    assert APART in warning
    numbered_anew = [(*row, 1 + number // 4) for number, row in enumerate(rows)]
    assert warnings_of(tmp_path, "image,t_ms,duration_ms,trial", numbered_anew) == []


@pytest.mark.parametrize("clock", [0, 1100], ids=["of each viewing", "of the recording"])
def test_any_order_of_rows_of_one_viewing_each_is_no_repeat(clock: int, tmp_path: Path) -> None:
    rows = viewings(*((name, FIRST, 13 * i + clock * i) for i, name in enumerate("abcdef")))
    mixed = [rows[number] for number in np.random.default_rng(0).permutation(len(rows))]
    for order in (rows, mixed, sorted(rows, key=lambda row: row[1]), rows[12:] + rows[:12]):
        assert warnings_of(tmp_path, "image,t_ms,duration_ms", order) == []
        assert warnings_of(tmp_path, "image,t_ms", [row[:2] for row in order]) == []


@pytest.mark.parametrize("name", ["trial", "session"])
def test_a_trial_that_counts_fixations_is_named(name: str, tmp_path: Path) -> None:
    rows = [(image, number) for image in "ab" for number in range(4)]
    [warning] = warnings_of(tmp_path, f"image,{name}", rows)
    assert warning.startswith("8 of 8 viewings have one fixation, while a user has 4 fixations")
    assert f"the {name} seems to count fixations or rows" in warning
    # Two fixations a viewing; then one viewing with one fixation each.
    assert warnings_of(tmp_path, f"image,{name}", [(i, k // 2) for i, k in rows]) == []
    assert warnings_of(tmp_path, f"image,{name}", [("a", 1), ("b", 2), ("c", 3)]) == []


@pytest.mark.real
@pytest.mark.skipif("GAZEJAX_RAW_DATA" not in os.environ, reason="GAZEJAX_RAW_DATA is not set")
@pytest.mark.parametrize("name", ["mit1003", "scene", "relational"])
def test_real_gaze_in_any_order_is_no_repeat_until_one_is_planted(name: str) -> None:
    path = Path(os.environ["GAZEJAX_RAW_DATA"]) / "gaze_tables" / name / "fixations.csv"
    found, errors = read([path], Options())
    assert found is not None, errors
    assert found.duration_ms is not None
    assert check_viewings(found) == []
    rng = np.random.default_rng(0)
    viewing = viewing_numbers(found)
    order = np.lexsort((np.arange(len(viewing)), viewing, found.user))
    starts = np.flatnonzero(np.diff(viewing[order], prepend=-1))
    lasted = np.cumsum(found.duration_ms[order] + 40) - found.duration_ms[order]
    sizes = np.diff(np.append(starts, len(order)))
    of_recording, of_viewing = np.zeros(len(order)), np.zeros(len(order))
    of_recording[order] = lasted
    of_viewing[order] = lasted - np.repeat(lasted[starts] - rng.uniform(0, 200, len(starts)), sizes)
    mixed = rng.permutation(len(order))
    for t_ms in (of_recording, of_viewing):
        timed = found._replace(t_ms=t_ms)
        for rows in (np.arange(len(order)), order, mixed):
            assert check_viewings(_taken(timed, rows)) == []
            assert check_viewings(_taken(timed, rows)._replace(duration_ms=None)) == []
    # Two images of a user, taken for one, without a trial.
    first, second = np.unique(found.image[found.user == 0])[:2]
    image = np.where((found.user == 0) & (found.image == second), first, found.image)
    planted = found._replace(image=image, trial=np.zeros_like(found.trial), t_ms=of_viewing)
    assert "times (t_ms) that begin anew" in check_viewings(_taken(planted, mixed))[0]


def _taken(fixations: Fixations, rows: np.ndarray) -> Fixations:
    duration_ms, t_ms = fixations.duration_ms, fixations.t_ms
    return fixations._replace(
        image=fixations.image[rows],
        user=fixations.user[rows],
        session=fixations.session[rows],
        trial=fixations.trial[rows],
        xy=fixations.xy[rows],
        duration_ms=None if duration_ms is None else duration_ms[rows],
        t_ms=None if t_ms is None else t_ms[rows],
    )


def test_a_session_of_each_image_is_rather_a_trial(tmp_path: Path) -> None:
    images = viewings(*((name, FIRST, 0) for name in "abcde"))
    header = "image,t_ms,duration_ms,session"
    numbered = [(*row, "abcde".index(str(row[0]))) for row in images]
    [warning] = warnings_of(tmp_path, header, numbered)
    assert "the sessions of user 'P' have one image each (5 sessions of this user)" in warning
    # One more image in a session, or fewer sessions, and they are sessions.
    again = viewings(("f", FIRST, 900))
    assert warnings_of(tmp_path, header, [*numbered, *((*row, 4) for row in again)]) == []
    assert warnings_of(tmp_path, header, numbered[: 4 * len(FIRST)]) == []


def test_near_twins_of_sessions_are_named_within_a_person(tmp_path: Path) -> None:
    rows = [(image, name) for name in ("A", "a", "07", "7") for image in "aa"]
    [warning] = warnings_of(tmp_path, "image,session", rows)
    assert "'07' and '7'; 'A' and 'a' of user 'P' differ only in case" in warning
    assert warnings_of(tmp_path, "image,session", [(image, "A") for image, _ in rows]) == []


def test_numbers_of_values_are_those_of_sorting_them() -> None:
    for high in (3, 40, 10**12):  # Close to each other, and far apart.
        values = np.random.default_rng(0).integers(-high, high, 50)
        expected = np.unique(values, return_inverse=True)[1]
        np.testing.assert_array_equal(checks._number(values), expected)
