"""Exports of Gazepoint Analysis: fixations and all gaze."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common.gaze_files import gazepoint, read
from tfds_builders.common.gaze_files.example_files import damaged, names, numbers, write
from tfds_builders.common.gaze_files.how import How
from tfds_builders.common.gaze_files.recognise import Options

HEADER = (
    "MEDIA_ID,MEDIA_NAME,CNT,TIME(2022/09/19 13:34:49.156),FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV,"
    "USER"
)
ONE_ROW = HEADER + "\n0,a.jpg,14,0.24110,0.44120,0.45260,0.00000,0.24110,2,1,\n"
FIXATIONS = ONE_ROW + "0,a.jpg,31,0.52000,-0.10000,1.20000,0.30000,0.22000,3,1,\n"


def gaze(*samples: tuple[str, float, float, float, float, int, int]) -> str:
    """All gaze: medium, time, x, start, duration, number of the fixation, validity."""
    lines = [HEADER]
    for row, (medium, time, x, start, duration, number, valid) in enumerate(samples):
        lines.append(
            f"{medium[0]},{medium},{row},{time},{x},0.5,{start},{duration},{number},{valid},"
        )
    return "\n".join(lines) + "\n"


# Fixation 2 has a running estimate, which a sample without a fixation interrupts. Fixation 4 begins
# on the first medium. The time begins anew with the third medium, where fixation 4 starts at 0.1
# as one before it. The first medium comes again, two times, the second time from the start.
ALL_GAZE = gaze(
    ("0.png", 0.00, 0.90, 0.0, 0.00, 1, 0),
    ("0.png", 0.05, 0.10, 0.0, 0.05, 2, 1),
    ("0.png", 0.06, 0.11, 0.0, 0.05, 2, 0),
    ("0.png", 0.10, 0.12, 0.0, 0.10, 2, 1),
    ("0.png", 0.20, 0.40, 0.1, 0.10, 4, 1),
    ("1.png", 0.30, 0.45, 0.1, 0.20, 4, 1),
    ("1.png", 0.35, 0.46, 0.1, 0.25, 4, 1),
    ("2.png", 0.20, 0.60, 0.1, 0.10, 4, 1),
    ("2.png", 0.30, 0.65, 0.1, 0.20, 4, 1),
    ("0.png", 0.50, 0.70, 0.4, 0.10, 5, 1),
    ("0.png", 0.10, 0.80, 0.0, 0.10, 5, 1),
)


@pytest.mark.parametrize(
    ("file", "user"),
    [
        ("User 1_fixations.csv", "User 1"),
        ("3_KH012_fixations.csv", "3_KH012"),
        ("0004-user-fix.csv", "0004"),
        ("0004-user.csv", "0004"),
        ("ann_all_gaze.csv", "ann"),
        ("ann.csv", "ann"),
    ],
)
def test_seconds_and_fractions_of_the_screen(file: str, user: str, tmp_path: Path) -> None:
    opened = write(tmp_path / file, FIXATIONS)
    assert gazepoint.recognise_gazepoint(opened) == "fixations"
    found = gazepoint.read_gazepoint(opened, How())
    assert names(found.user) == [user, user]
    assert names(found.image) == ["a.jpg", "a.jpg"]
    assert numbers(found.x) == [0.4412, -0.1]
    assert numbers(found.y) == [0.4526, 1.2]
    np.testing.assert_allclose(numbers(found.duration_ms), [241.1, 220])
    np.testing.assert_allclose(numbers(found.t_ms), [0, 300])
    assert (found.units, found.frame, found.y_axis) == ("frac", "screen", "down")
    assert dict(found.left_out) == {}


def test_the_last_row_of_a_fixation_is_the_fixation(tmp_path: Path) -> None:
    opened = write(tmp_path / "p_all_gaze.csv", ALL_GAZE)
    found = gazepoint.read_gazepoint(opened, How())
    assert found.place.tolist() == [4, 5, 9, 10, 11]
    assert names(found.image) == ["0.png", "0.png", "2.png", "0.png", "0.png"]
    assert numbers(found.x) == [0.12, 0.4, 0.65, 0.7, 0.8]
    np.testing.assert_allclose(numbers(found.duration_ms), [100, 100, 200, 100, 100])
    assert numbers(found.trial) == [1, 1, 3, 4, 5]
    assert dict(found.left_out) == {
        "without a fixation (FPOGV 0)": 2,
        "of a fixation that began on the image before": 2,
        "before the last of their fixation": 2,
    }


def test_showings_of_one_medium_whose_clock_begins_anew_are_refused(tmp_path: Path) -> None:
    samples = [("a.png", 0.17, 0.1, 0.02, 0.15, 1, 1), ("a.png", 0.43, 0.5, 0.03, 0.4, 2, 1)]
    with pytest.raises(ValueError, match=r"row 2: the fixation begins at 0\.03 s, before the half"):
        gazepoint.read_gazepoint(write(tmp_path / "p.csv", gaze(*samples)), How())
    # Rounded times of one after the other may meet.
    samples[1] = ("a.png", 0.43, 0.5, 0.16, 0.27, 2, 1)
    found = gazepoint.read_gazepoint(write(tmp_path / "p.csv", gaze(*samples)), How())
    assert numbers(found.t_ms) == [20, 160]


def test_all_gaze_beside_its_fixations_is_not_read_twice(tmp_path: Path) -> None:
    write(tmp_path / "p_fixations.csv", FIXATIONS)
    for file in ("p_all_gaze.csv", "renamed.csv"):
        opened = write(tmp_path / file, ALL_GAZE)
        assert gazepoint.recognise_gazepoint(opened) == "samples"
    with pytest.raises(
        ValueError, match=r"renamed\.csv holds .* of 'renamed', whose fixations are"
    ):
        read([tmp_path], Options())
    (tmp_path / "renamed.csv").unlink()
    write(tmp_path / "q_all_gaze.csv", ALL_GAZE)  # Has no fixations of its own.
    found, errors = read([tmp_path], Options())
    assert errors == []
    assert found is not None
    assert found.user_ids == ["p", "q"]
    assert np.bincount(found.user).tolist() == [2, 5]
    [note] = [note for note in found.notes if "left out: samples of gaze" in note]
    assert "p_all_gaze.csv left out" in note
    assert found.format == "gazepoint"


def test_decimal_commas_and_places_without_gaze(tmp_path: Path) -> None:
    text = FIXATIONS.replace(",", ";").replace(".", ",").replace("a,jpg", "a.jpg")
    text += "0;a.jpg;40;0,9;0,00000;0,00000;0,8;0,1;7;1;\n"
    found = gazepoint.read_gazepoint(write(tmp_path / "p_fixations.csv", text), How())
    assert numbers(found.x) == [0.4412, -0.1]
    assert dict(found.left_out) == {"at 0, 0: without a place": 1}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",2,1,", ",2,7,", "row 1: FPOGV is '?7.*, expected 0 or 1"),
        (",2,1,", ",two,1,", "row 1: FPOGID is 'two', expected a number"),
        ("FPOGS", "START", "has no column 'FPOGS', expected FPOGX, FPOGY"),
        ("TIME(", "WHEN(", "has no column 'TIME'"),
    ],
)
def test_damaged_cells_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in FIXATIONS
    with pytest.raises(ValueError, match=message):
        gazepoint.read_gazepoint(write(tmp_path / "p.csv", FIXATIONS.replace(old, new)), How())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.24110,2", "x,2", "row 1: duration_ms is 'x', expected a number"),
        ("0.44120", "", "row 1: x is '', expected a number"),
        ("0.00000,0.24110", ",0.24110", "row 1: t_ms is '', expected a number"),
    ],
)
def test_cells_that_are_no_numbers_are_named(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in FIXATIONS
    write(tmp_path / "p_fixations.csv", FIXATIONS.replace(old, new))
    _, [error] = read([tmp_path / "p_fixations.csv"], Options())
    assert message in error


def test_other_files_are_not_of_gazepoint(tmp_path: Path) -> None:
    without_media = "CNT\tTIME\tTIME_TICK\tFPOGX\tFPOGY\tFPOGS\tFPOGD\tFPOGID\tFPOGV\n"
    for text in (without_media, "image,user,x,y\na.png,P,1,2\n", ""):
        assert gazepoint.recognise_gazepoint(write(tmp_path / "t.csv", text)) == ""


@pytest.mark.parametrize("text", [FIXATIONS, ALL_GAZE])
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_line(
    text: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = text.encode()
    path = tmp_path_factory.mktemp("damaged") / "f.csv"
    message = ""
    try:
        opened = write(path, data.draw(damaged(content)))
        if gazepoint.recognise_gazepoint(opened):
            found = gazepoint.read_gazepoint(opened, How())
            assert len(found.x.values) == len(found.place)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message
