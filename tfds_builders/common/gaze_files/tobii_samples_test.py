"""Fixations that are detected in exports of Tobii Pro Lab without eye movements."""

from pathlib import Path

import numpy as np
import pytest

from tfds_builders.common.gaze_files import read as read_files
from tfds_builders.common.gaze_files import tobii
from tfds_builders.common.gaze_files.example_files import names, numbers, write
from tfds_builders.common.gaze_files.how import Detection, How
from tfds_builders.common.gaze_files.recognise import Options
from tfds_builders.common.gaze_files.rows import Rows

HOW = How(detection=Detection(dispersion_px=35, min_duration_ms=80, max_gap_ms=75))

SIZE = ("Presented Media width [px]", "Presented Media height [px]")
CORNER = ("Presented Media position X [DACS px]", "Presented Media position Y [DACS px]")
PX = ("Gaze point X [DACS px]", "Gaze point Y [DACS px]")
NORM = ("Gaze point X [MCS norm]", "Gaze point Y [MCS norm]")
VALIDITY = ("Validity left", "Validity right")


def lines() -> list[dict[str, str]]:
    """Samples every 10 ms: 20 and 20 on a.jpg, which 4 without gaze part, and 20 on b.jpg.

    Each image covers 1000 x 500 px of the screen from (100, 50). Before each sample is a row of the
    mouse, without an image. Samples between the images are on none.
    """
    parts = [("a.jpg", 300, 150)] * 20 + [("a.jpg", 0, 0)] * 4 + [("a.jpg", 600, 300)] * 20
    parts += [("", 700, 300)] * 10 + [("b.jpg", 1100, 550)] * 20
    found = []
    for number, (media, x, y) in enumerate(parts):
        time = {"Recording timestamp [ms]": str(1000 + 10 * number), "Participant name": "P1"}
        found.append({**time, "Sensor": "Mouse"})
        shown = dict(zip((*SIZE, *CORNER), ("1000", "500", "100", "50"), strict=True))
        valid = ("Invalid", "Valid") if x else ("Invalid", "Invalid")
        place = (str(x), str(y), f"{(x - 100) / 1000:.4f}", f"{(y - 50) / 500:.4f}")
        found.append(
            {
                **time,
                **(shown if media else {}),
                **dict(zip((*PX, *NORM)[: 4 if media else 2], place, strict=False)),
                **dict(zip(VALIDITY, valid, strict=True)),
                "Sensor": "Eye Tracker",
                "Presented Media name": media,
            }
        )
    return found


def table(*without: str, samples: list[dict[str, str]] | None = None) -> str:
    samples = samples or lines()
    named = dict.fromkeys(key for one in samples for key in one)
    columns = [name for name in named if name not in without]
    parts = [columns, *([one.get(name, "") for name in columns] for one in samples)]
    return "\n".join(map("\t".join, parts)) + "\n"


def read(path: Path, text: str, how: How = HOW) -> Rows:
    opened = write(path / "s.tsv", text)
    assert tobii.recognise_tobii(opened) == "samples"
    return tobii.read_tobii(opened, how)


@pytest.mark.parametrize("without", [(), NORM, PX, CORNER, ("Sensor",), ("Sensor", *NORM)])
def test_fixations_on_images(without: tuple[str, ...], tmp_path: Path) -> None:
    found = read(tmp_path, table(*without))
    # Rows of the file have a row of the mouse before each sample: samples 1, 25 and 55.
    assert found.place.tolist() == [2, 50, 110]
    assert names(found.image) == ["a.jpg", "a.jpg", "b.jpg"]
    assert names(found.user) == ["P1"] * 3
    assert numbers(found.trial) == [0, 0, 2]
    assert (found.frame, found.units, found.shown_px) == ("image", "frac", None)
    # (300 - 100) / 1000, (600 - 100) / 1000, and the corner of b.jpg.
    np.testing.assert_allclose(numbers(found.x), [0.2, 0.5, 1], atol=1e-12)
    np.testing.assert_allclose(numbers(found.y), [0.2, 0.5, 1], atol=1e-12)
    # 19 steps of 10 ms, from the first sample to the last.
    assert numbers(found.duration_ms) == [190, 190, 190]
    assert numbers(found.t_ms) == [1000, 1240, 1540]
    has_gaze_beside = not {*PX, *CORNER} & {*without}
    assert dict(found.left_out) == ({"without an image": 1} if has_gaze_beside else {})


def test_places_on_the_screen_and_images_of_a_template(tmp_path: Path) -> None:
    without = (*NORM, *SIZE, *CORNER, "Presented Media name")
    found = read(tmp_path, table(*without))
    assert (found.frame, found.units, found.image) == ("screen", "px", None)
    assert numbers(found.x) == [300, 600, 700, 1100]
    samples = [{**one, "Recording resolution width": "1920"} for one in lines()]
    samples = [{**one, "Recording resolution height": "1080"} for one in samples]
    found = read(tmp_path, table(*without, samples=samples))
    assert found.screen_px == (1920, 1080)


def test_the_unit_of_times_is_in_the_header_or_in_their_steps(tmp_path: Path) -> None:
    text = table().replace("Recording timestamp [ms]", "Recording timestamp")
    assert numbers(read(tmp_path, text).t_ms) == [1000, 1240, 1540]
    key = "Recording timestamp [ms]"
    for name in ("Recording timestamp", "Eyetracker timestamp [\u03bcs]"):
        us = [{**one, key: one[key] + "000"} for one in lines()]
        found = read(tmp_path, table(samples=us).replace(key, name))
        assert numbers(found.t_ms) == [1000, 1240, 1540]
        assert numbers(found.duration_ms) == [190, 190, 190]
    slow = [{**one, key: str(20 * int(one[key]))} for one in lines()]
    with pytest.raises(ValueError, match="steps of 'Recording timestamp' are 200 in the median"):
        read(tmp_path, table(samples=slow).replace(key, "Recording timestamp"))


def test_showings_stay_apart_where_what_is_between_is_left_out(tmp_path: Path) -> None:
    again = [
        {**one, "Recording timestamp [ms]": str(int(one["Recording timestamp [ms]"]) + 2000)}
        for one in lines()
    ]
    samples = [*lines(), *again]
    for one in samples:
        one["Presented Media name"] = one.get("Presented Media name") or "cross.jpg"
    where = ("Presented Media name == a.jpg",)
    found = read(
        tmp_path, table("Sensor", *NORM, *SIZE, *CORNER, samples=samples), HOW._replace(where=where)
    )
    assert names(found.image) == ["a.jpg"] * 4
    assert len(set(numbers(found.trial))) == 2


def test_people_and_showings_are_apart(tmp_path: Path) -> None:
    first = lines()[:40]  # 20 samples on a.jpg.
    nowhere = [{**one, "Presented Media name": ""} for one in lines()[88:90]]
    again = [*first, *nowhere, *first]
    for number, one in enumerate(again):
        one = again[number] = dict(one)
        one["Recording timestamp [ms]"] = str(5 * number)
    samples = [*again, *({**one, "Participant name": "P2"} for one in again)]
    found = read(tmp_path, table(samples=samples))
    assert names(found.user) == ["P1", "P1", "P2", "P2"]
    assert numbers(found.trial) == [0, 2, 3, 5]
    by_image = [
        {**one, "Recording name": "R1"}
        for one in sorted(samples, key=lambda one: one.get("Presented Media name", ""))
    ]
    found = read(tmp_path, table(samples=by_image))
    assert names(found.user) == ["P1", "P1", "P2", "P2"]
    assert len(set(numbers(found.trial))) == 4
    joined = table(samples=samples).replace("Participant name", "observer")
    assert names(read(tmp_path, joined).user) == ["P1", "P1", "P2", "P2"]


def test_conditions_choose_samples_before_the_detection(tmp_path: Path) -> None:
    write(tmp_path / "s.tsv", table())
    options = Options(how=HOW, where=("Recording timestamp [ms] >= 1100",))
    found, _ = read_files([tmp_path / "s.tsv"], options)
    assert found is not None
    assert found.t_ms is not None
    # The first fixation has 10 samples left.
    assert found.t_ms.tolist() == [1100, 1240, 1540]
    assert found.duration_ms is not None
    assert found.duration_ms.tolist() == [90, 190, 190]


@pytest.mark.parametrize(
    ("old", "new", "without", "message"),
    [
        ("\tValid\t", "\t4\t", (), "row 2: 'Validity right' is '4', expected Valid or Invalid"),
        ("\t300\t", "\tx\t", (), r"row 2: 'Gaze point X \[DACS px\]' is 'x', expected a number"),
        ("1010\t", "1000\t", (), "row 4: the time is 1000 ms after 1000, expected times that rise"),
        ("", "", (*PX, *SIZE), "no place of gaze in pixels: export it again with 'Gaze point X'"),
        (
            "1000\t500\t100\t50\t",
            "\t\t\t\t",
            PX,
            "row 2 has gaze on an image without 'Presented Media",
        ),
        ("Presented Media name", "Recording media name", (), "on the video of glasses"),
    ],
)
def test_refuses(
    old: str, new: str, without: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    text = table(*without)
    assert old in text
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text.replace(old, new) if old else text)


def test_needs_a_detection(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"s\.tsv holds samples of gaze.* --detect-fixations"):
        read(tmp_path, table(), How())
