"""Eye tracking of Gorilla."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfds_builders.common import gaze_files
from tfds_builders.common.gaze_files import Options, gorilla
from tfds_builders.common.gaze_files.containers import Opened, open_file
from tfds_builders.common.gaze_files.how import Detection, How

HOW = How(detection=Detection(30, 100, 75))
HEADER = (
    "filename,participant_id,spreadsheet_row,time_elapsed,type,screen_index,x_pred,y_pred,"
    "x_pred_normalised,y_pred_normalised,face_conf,zone_name,zone_x,zone_y,zone_width,zone_height"
)


def zone(trial: int, screen: int, name: str, place: str) -> str:
    return f"c,77,{trial},0,zone,{screen},0,0,0,0,0,{name},{place}"


def sample(trial: int, screen: int, t: float, x: float, y: float) -> str:
    """A sample in a window of 1500 x 750; the area of the experiment is 1000 wide, at 250."""
    norm = f"{(x - 250) / 1000},{y / 750}"
    return f"c,77,{trial},{t},prediction,{screen},{x},{y},{norm},1,,0,0,0,0"


def screens(*zones: str, trial: int = 8, screen: int = 4) -> list[str]:
    """A screen with 6 samples at (400, 500), and a second one with 5 at (650, 200) from 300 ms."""
    return [
        f"c,77,{trial},0,new collection screen,{screen},0,0,0,0,0,,0,0,0,0",
        zone(trial, screen, "screen", "0,0,1500,750"),
        zone(trial, screen, "gorilla", "250,0,1000,750"),
        *(zone(trial, screen, f"Zone{number}", place) for number, place in enumerate(zones)),
        *(sample(trial, screen, 40 * number, 400, 500) for number in range(6)),
        *(sample(trial, screen, 300 + 40 * number, 650, 200) for number in range(5)),
        f"c,77,{trial},0,End of Collection Screen,{screen},0,0,0,0,0,,0,0,0,0",
    ]


def write(path: Path, lines: list[str], header: str = HEADER) -> Opened:
    path.write_text("\n".join([header, *lines]) + "\n")
    return open_file(path)


def test_a_file_of_other_units_is_named(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.csv" for name in "abc"]
    for path, zones in zip(paths, (["300,100,500,600"], [], ["300,100,500,600"]), strict=True):
        write(path, [line.replace("c,77,", f"c,{path.stem},") for line in screens(*zones)])
    differ = f"files differ in units: {paths[1]} has frac, and {paths[0]} has px"
    with pytest.raises(ValueError, match=re.escape(differ)):
        gaze_files.read([tmp_path], Options(how=HOW, image_from="a.png"))


def test_a_single_zone_is_the_place_of_the_picture(tmp_path: Path) -> None:
    opened = write(tmp_path / "a.csv", screens("300,100,500,600"))
    assert gorilla.recognise_gorilla(opened) == "samples"
    found = gorilla.read_gorilla(opened, HOW)
    assert (found.units, found.frame, found.y_axis) == ("px", "screen", "down")
    assert found.image is None
    assert found.user is not None
    assert found.user.names == ["77"]
    assert found.trial is not None
    assert found.trial.values.tolist() == [8, 8]
    assert found.duration_ms is not None
    assert found.t_ms is not None
    assert found.duration_ms.values.tolist() == [200, 160]
    assert found.t_ms.values.tolist() == [0, 300]
    assert found.shown_px is not None
    # From the left: (400 - 300) / 500, (650 - 300) / 500.
    # From the top: the top edge is at 700 from the bottom: (700 - 500) / 600, (700 - 200) / 600.
    xy = np.column_stack([found.x.values, found.y.values])
    fractions = (xy - found.shown_px[:, :2]) / found.shown_px[:, 2:]
    np.testing.assert_allclose(fractions, [[0.2, 1 / 3], [0.7, 5 / 6]])
    assert found.place.tolist() == [5, 11]  # The rows of the first samples.


def test_decimal_commas_beside_semicolons_are_decimals(tmp_path: Path) -> None:
    lines = [line.replace(",400,500,", ",400.25,500,") for line in screens("300,100,500,600")]
    german = [line.replace(",", ";").replace(".", ",") for line in (HEADER, *lines)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(german) + "\n")
    found = gorilla.read_gorilla(open_file(path), HOW)
    assert found.x.values.tolist() == [400.25, 650]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("prediction,4,400", "prediction,4,4OO", r"row 5: x_pred is '4OO', expected a number \(6"),
        (",80,pred", ",80 ms,pred", "row 7: time_elapsed is '80 ms', expected a number"),
        ("Zone0,300,", "Zone0,3OO,", "row 4: zone_x is '3OO', expected a number"),
    ],
)
def test_a_text_is_no_sample_without_gaze(old: str, new: str, message: str, tmp_path: Path) -> None:
    lines = screens("300,100,500,600")
    assert old in "".join(lines)
    opened = write(tmp_path / "a.csv", [line.replace(old, new) for line in lines])
    with pytest.raises(ValueError, match=message):
        gorilla.read_gorilla(opened, HOW)


def test_zones_of_rows_that_are_left_out_are_no_second_zones(tmp_path: Path) -> None:
    one = screens("300,100,500,600")
    opened = write(tmp_path / "g.csv", [*one, *(line.replace("c,77", "d,77") for line in one)])
    found = gorilla.read_gorilla(opened, HOW._replace(where=("filename == d",)))
    assert found.shown_px is not None
    # A condition on samples is none on zones.
    opened = write(tmp_path / "g.csv", one)
    found = gorilla.read_gorilla(opened, HOW._replace(where=("face_conf > 0.5",)))
    assert found.shown_px is not None


@pytest.mark.parametrize("zones", [(), ("300,100,100,100", "600,100,100,100")])
def test_without_a_single_zone_places_are_fractions_of_the_experiment(
    zones: tuple[str, ...], tmp_path: Path
) -> None:
    found = gorilla.read_gorilla(write(tmp_path / "a.csv", screens(*zones)), HOW)
    assert (found.units, found.frame, found.y_axis) == ("frac", "screen", "up")
    assert found.shown_px is None
    np.testing.assert_allclose(found.x.values, [0.15, 0.4])
    np.testing.assert_allclose(found.y.values, [2 / 3, 4 / 15])


def test_gaze_at_one_pixel_has_a_fraction_too(tmp_path: Path) -> None:
    lines = [sample(1, 2, 40 * number, 750, 375) for number in range(6)]
    found = gorilla.read_gorilla(write(tmp_path / "a.csv", lines), HOW)
    assert (found.x.values.tolist(), found.y.values.tolist()) == ([0.5], [0.5])


def test_conditions_apply_to_samples(tmp_path: Path) -> None:
    lines = screens("300,100,500,600")
    low = [line.replace(",1,,0,0,0,0", ",.2,,0,0,0,0") for line in lines[4:7]]
    opened = write(tmp_path / "a.csv", [*lines[:4], *low, *lines[7:]])
    found = gorilla.read_gorilla(opened, HOW._replace(where=("face_conf >= 0.5",)))
    assert found.duration_ms is not None
    assert found.duration_ms.values.tolist() == [160]  # Three samples, 80 ms, are too few.
    assert found.left_out["not face_conf >= 0.5"] == 3
    two = [*screens("300,100,500,600", screen=3), *lines]
    found = gorilla.read_gorilla(
        write(tmp_path / "b.csv", two), HOW._replace(where=("screen_index == 4",))
    )
    assert found.place.tolist() == [21, 27]


def changed(old: str, new: str, *zones: str) -> list[str]:
    text = "\n".join(screens(*zones))
    assert old in text
    return text.replace(old, new).split("\n")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [*screens("1,1,9,9"), *screens("1,1,9,9", screen=5)],
            r"row 21: row 8 of the spreadsheet has gaze on several screens.*screen_index == 5'",
        ),
        (
            [*screens("1,1,9,9"), *screens("1,1,9,9", trial=9), *screens("1,1,9,9")],
            "row 37: samples of screen 4 in row 8 of the spreadsheet are in two parts",
        ),
        (
            [*screens("1,1,9,9"), *screens(trial=9)],
            "row 20: the screen has 0 zones, other screens have one",
        ),
        (
            changed("500,600", "500,0", "300,100,500,600"),
            "row 5: the zone of the screen has .* 300, 100, 500, 0",
        ),
        (changed("8,80,", "8,20,"), "row 6: the time is 20 ms after 40"),
        (
            changed("40,prediction,4,400,500,0.15,", "40,prediction,4,400,500,0.25,"),
            "row 5: x_pred_normalised is 0.25, expected a linear function of x_pred",
        ),
    ],
)
def test_refuses(lines: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        gorilla.read_gorilla(write(tmp_path / "a.csv", lines), HOW)


def test_needs_a_detection(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="samples of gaze, not fixations: --detect-fixations"):
        gorilla.read_gorilla(write(tmp_path / "a.csv", screens()), How())


def test_calibration_is_beside(tmp_path: Path) -> None:
    header = f"{HEADER},point_x"
    lines = ["c,77,4,208.9,calibration,,0,0,0,0,1,,,,,,1215.3"]
    assert gorilla.recognise_gorilla(write(tmp_path / "a.csv", lines, header)) == "beside"
    lines.append(f"{sample(8, 4, 0, 1, 1)},")
    assert gorilla.recognise_gorilla(write(tmp_path / "a.csv", lines, header)) == "samples"
    assert gorilla.recognise_gorilla(write(tmp_path / "b.csv", [], "x,y,type")) == ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(start=st.integers(0, 1500), length=st.integers(0, 60), new=st.binary(max_size=8))
def test_damaged_files_end_in_rows_or_one_line(
    start: int, length: int, new: bytes, tmp_path: Path
) -> None:
    content = "\n".join([HEADER, *screens("300,100,500,600")]).encode()
    path = tmp_path / "a.csv"
    path.write_bytes(content[:start] + new + content[start + length :])
    message = ""
    try:
        opened = open_file(path)
        if gorilla.recognise_gorilla(opened):
            gorilla.read_gorilla(opened, HOW)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message
