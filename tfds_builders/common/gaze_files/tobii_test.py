"""Exports of Tobii Pro Lab and Studio."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common.gaze_files import recognise, tobii
from tfds_builders.common.gaze_files.containers import open_file
from tfds_builders.common.gaze_files.example_files import names, numbers, write
from tfds_builders.common.gaze_files.how import How
from tfds_builders.common.gaze_files.read import read as read_files
from tfds_builders.common.gaze_files.recognise import Options
from tfds_builders.common.gaze_files.rows import Rows

OLD = {
    **{"time": "Recording timestamp", "sensor": "Sensor", "user": "Participant name"},
    **{"media": "Presented Media name"},
    **{"w": "Presented Media width", "h": "Presented Media height"},
    **{"left": "Presented Media position X (DACSpx)", "top": "Presented Media position Y (DACSpx)"},
    **{"kind": "Eye movement type", "ms": "Gaze event duration"},
    **{"number": "Eye movement type index", "x": "Fixation point X", "y": "Fixation point Y"},
    **{"u": "Fixation point X (MCSnorm)", "v": "Fixation point Y (MCSnorm)"},
}
NEW = {
    **OLD,
    **{"time": "Recording timestamp [ms]", "session": "Recording name"},
    **{"w": "Presented Media width [px]", "h": "Presented Media height [px]"},
    **{
        "left": "Presented Media position X [DACS px]",
        "top": "Presented Media position Y [DACS px]",
    },
    **{"ms": "Gaze event duration [ms]"},
    **{"x": "Fixation point X [DACS px]", "y": "Fixation point Y [DACS px]"},
    **{"u": "Fixation point X [MCS norm]", "v": "Fixation point Y [MCS norm]"},
}
# The image covers 1280 x 960 px of the screen, from (320, 60).
SHOWN = {
    "sensor": "Eye Tracker",
    "user": "P1",
    "session": "R1",
    "kind": "Fixation",
    "media": "a.jpg",
}
SHOWN |= {"w": "1280", "h": "960", "left": "320", "top": "60"}

# Two fixations of 25 and 30 ms; the first has a row of the mouse before its first sample.
FIXATION = {
    **SHOWN,
    "ms": "25",
    "number": "1",
    "x": "660",
    "y": "337",
    "u": "0,2656",
    "v": "0,2885",
}
OTHER = {**SHOWN, "ms": "30", "number": "2", "x": "960", "y": "540", "u": "0,5000", "v": "0,5000"}
LINES = [
    {**SHOWN, "time": "990000", "kind": "EyesNotFound", "number": "1"},
    {**FIXATION, "time": "999000", "sensor": "Mouse"},
    {**FIXATION, "time": "1000000"},
    {**FIXATION, "time": "1004000", "sensor": "Gyroscope"},
    {**FIXATION, "time": "1008333"},
    {**OTHER, "time": "1041666"},
    {**OTHER, "time": "1050000"},
]
LINES_MS = [{**line, "time": line["time"][:-3]} for line in LINES]

SNAPSHOTS = (
    "Recording timestamp\tSensor\tParticipant name\tRecording name\tEye movement type\t"
    "Gaze event duration\tEye movement type index\tMapped eye movement type [a.jpg]\t"
    "Mapped fixation X [a.jpg]\tMapped fixation Y [a.jpg]\tMapped eye movement type [b.jpg]\t"
    "Mapped fixation X [b.jpg]\tMapped fixation Y [b.jpg]\n"
    "0\tEye Tracker\tP1\tR1\tFixation\t100\t1\t\t\t\tFixation\t70\t80\n"
    "80000\tGyroscope\tP1\tR1\tFixation\t100\t1\t\t\t\tFixation\t70\t80\n"
    "200000\tEye Tracker\tP1\tR1\tFixation\t120\t2\tFixation\t10\t20\t\t\t\n"
    "220000\tEye Tracker\tP1\tR1\tFixation\t120\t2\tFixation\t10\t20\tFixation\t75\t85\n"
    "400000\tEye Tracker\tP1\tR1\tFixation\t60\t3\t\t\t\tSaccade\t5\t5\n"
)

STUDIO_3 = (
    "\ufeffParticipantName\tRecordingName\tMediaName\tMediaWidth\tMediaHeight\tRecordingTimestamp\t"
    "FixationIndex\tSaccadeIndex\tGazeEventType\tGazeEventDuration\tFixationPointX (MCSpx)\t"
    "FixationPointY (MCSpx)\r\n"
    "P1\tR1\ta.jpg\t1000\t500\t40\t1\t\tFixation\t117\t250\t125,5\r\n"
    "P1\tR1\ta.jpg\t1000\t500\t48\t1\t\tFixation\t117\t250\t125,5\r\n"
    "P1\tR1\ta.jpg\t1000\t500\t200\t\t1\tSaccade\t17\t\t\r\n"
    "P1\tR1\ta.jpg\t1000\t500\t220\t2\t\tFixation\t80\t\t\r\n"
    "P1\tR1\t\t\t\t400\t3\t\tFixation\t90\t\t\r\n"
    "P1\tR1\ta.jpg\t1000\t500\t600\t4\t\tFixation\t70\t1000\t-5\r\n"
)

STUDIO_2 = (
    "Data properties:\n\nRecording date: 01/02/2011\nSubject: P7\nRecording: Rec 9\n"
    "Coordinate unit: Pixels\n\nFilter settings:\n\nFixation radius: 35\n\n"
    "FixationIndex\tTimestamp\tFixationDuration\tMappedFixationPointX\tMappedFixationPointY\t\n"
    "1\t26\t633\t513\t518\t\n"
    "2\t700\t100\t-1\t300\t\n"
    "3\t900\t100\t400\t-1\t\n"
    "4\t1100\t50\t0\t5\t\n"
)


def table(names: dict[str, str], lines: list[dict[str, str]], *without: str) -> str:
    keys = [key for key in names if key not in without]
    parts = [[names[key] for key in keys]]
    parts += [[line.get(key, "") for key in keys] for line in lines]
    return "\n".join(map("\t".join, parts)) + "\n"


def read(path: Path, content: str, how: How | None = None) -> Rows:
    opened = write(path / "p.tsv", content)
    taken = [name for name, one in recognise.FORMATS.items() if one.recognise(opened)]
    assert taken == ["tobii"]
    assert tobii.recognise_tobii(opened) == "fixations"
    return tobii.read_tobii(opened, how or How())


def test_old_header_has_microseconds_beside_milliseconds(tmp_path: Path) -> None:
    found = read(tmp_path, table(OLD, LINES))
    assert found.place.tolist() == [3, 6]
    assert names(found.image) == ["a.jpg", "a.jpg"]
    assert names(found.user) == ["P1", "P1"]
    assert (found.units, found.frame, found.y_axis) == ("frac", "image", "down")
    assert numbers(found.x) == [0.2656, 0.5]
    assert numbers(found.y) == [0.2885, 0.5]
    assert numbers(found.duration_ms) == [25, 30]
    np.testing.assert_allclose(numbers(found.t_ms), [1000, 1041.666])
    assert not found.left_out
    assert "(microseconds)" in found.taken
    assert "(fractions of the image)" in found.taken


def test_one_coordinate_on_the_image_is_enough_for_the_other_from_the_screen(
    tmp_path: Path,
) -> None:
    found = read(tmp_path, table(OLD, [LINES[2], LINES[3], LINES[4]], "v"))
    assert found.place.tolist() == [1]
    assert numbers(found.x) == [0.2656]
    assert numbers(found.y) == [(337 - 60) / 960]
    np.testing.assert_allclose(numbers(found.t_ms), [1000])


def test_new_header_says_the_unit(tmp_path: Path) -> None:
    # A fixation of the other recording has the same number.
    lines = [*LINES_MS, {**OTHER, "session": "R2", "time": "5"}]
    found = read(tmp_path, table(NEW, lines))
    assert found.place.tolist() == [3, 6, 8]
    assert numbers(found.t_ms) == [1000, 1041, 5]
    assert names(found.session) == ["R1", "R1", "R2"]
    assert numbers(found.x) == [0.2656, 0.5, 0.5]


def test_times_without_a_unit_are_read_only_if_the_durations_prove_it(tmp_path: Path) -> None:
    assert numbers(read(tmp_path, table(OLD, LINES_MS)).t_ms) == [1000, 1041]
    found = read(tmp_path, table(OLD, LINES_MS[:5]))
    assert found.t_ms is None
    assert "nothing says the unit of 'Recording timestamp'" in found.taken
    far = [*LINES_MS, {**OTHER, "time": "900000"}]
    with pytest.raises(ValueError, match="fit neither milliseconds nor microseconds"):
        read(tmp_path, table(OLD, far))


def test_exports_of_excel_and_by_the_name_of_the_file(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for line in table(NEW, LINES_MS, "user").splitlines():
        book.active.append(line.split("\t"))
    book.save(tmp_path / "P9.xlsx")
    opened = open_file(tmp_path / "P9.xlsx")
    assert tobii.recognise_tobii(opened) == "fixations"
    found = tobii.read_tobii(opened, How())
    assert names(found.user) == ["P9", "P9"]
    assert numbers(found.x) == [0.2656, 0.5]


def test_places_on_the_screen(tmp_path: Path) -> None:
    # Off the screen, and beside the image; fractions are not given there.
    off = {**OTHER, "number": "3", "time": "2000", "y": "1322", "u": "", "v": ""}
    found = read(tmp_path, table(NEW, [*LINES_MS, off]))
    np.testing.assert_allclose(numbers(found.y), [0.2885, 0.5, (1322 - 60) / 960])
    found = read(tmp_path, table(NEW, [*LINES_MS, off], "w"))
    assert numbers(found.x) == [0.2656, 0.5]
    assert dict(found.left_out) == {"beside the image, without a place on it": 1}
    found = read(tmp_path, table(NEW, [*LINES_MS, off], "u", "v"))
    np.testing.assert_allclose(numbers(found.x), [340 / 1280, 0.5, 0.5])
    screen = {
        **NEW,
        "sw": "Recording resolution width [px]",
        "sh": "Recording resolution height [px]",
    }
    lines = [{**line, "sw": "1920", "sh": "1080"} for line in [*LINES_MS, off]]
    found = read(tmp_path, table(screen, lines, "u", "v", "left"))
    assert (found.units, found.frame, found.screen_px) == ("px", "screen", (1920, 1080))
    assert numbers(found.y) == [337, 540, 1322]


def test_places_on_the_image_and_on_the_screen_must_agree(tmp_path: Path) -> None:
    lines = [{**line, "left": "323"} for line in LINES_MS]
    message = r"row 3: the fixation is 340.0 px from the left of the image .* 337.0 px by"
    with pytest.raises(ValueError, match=message):
        read(tmp_path, table(NEW, lines))
    lines = [{**line, "left": "321"} for line in LINES_MS]
    assert numbers(read(tmp_path, table(NEW, lines)).x) == [0.2656, 0.5]


def test_fixations_without_an_image_and_on_videos_are_left_out(tmp_path: Path) -> None:
    blank = dict.fromkeys(["media", "w", "h", "left", "top", "u", "v"], "")
    lines = [
        *LINES_MS,
        {**OTHER, **blank, "number": "3", "time": "2000"},
        {**OTHER, "number": "4", "media": "Web Page Recording1.mp4", "time": "3000"},
        # The number goes on when the next image is shown.
        {**OTHER, "number": "4", "media": "b.jpg", "time": "3008"},
        {**OTHER, "number": "5", "media": "b.jpg", "time": "4000"},
        {**OTHER, "number": "6", "time": "5000"},
        {**OTHER, **blank, "number": "6", "sensor": "Mouse", "time": "5005"},
        {**OTHER, **blank, "kind": "", "sensor": "", "time": "5010"},
        {**OTHER, "number": "7", "time": "5100"},
    ]
    found = read(tmp_path, table(NEW, lines))
    assert found.place.tolist() == [3, 6, 11, 12, 15]
    assert names(found.image) == ["a.jpg", "a.jpg", "b.jpg", "a.jpg", "a.jpg"]
    assert dict(found.left_out) == {"without an image": 1, "on a video": 1}
    # The image is shown twice; rows of the mouse and of events do not part a showing.
    first, again, other, second, last = numbers(found.trial)
    assert first == again != second == last
    assert other not in (first, second)
    # A recording that is sorted by image has the same showings.
    given = [line for line in lines if line["sensor"] == "Eye Tracker"]
    by_image = sorted(given, key=lambda line: (line["media"], float(line["time"])))
    found = read(tmp_path, table(NEW, by_image))
    on_a, on_b = (
        [t for t, n in zip(numbers(found.trial), names(found.image), strict=True) if n == name]
        for name in ("a.jpg", "b.jpg")
    )
    assert on_a[0] == on_a[1] < on_b[0] < on_a[2] == on_a[3]


def test_fixations_that_have_a_place_but_no_image_may_get_one(tmp_path: Path) -> None:
    lines = [{**line, "media": ""} for line in LINES_MS]
    path = tmp_path / "p.tsv"
    write(path, table(NEW, lines, "w", "h", "u", "v"))
    fixations, errors = read_files([path], Options())
    assert fixations is None
    assert "(left out: 2 without an image): --image-from names the image" in errors[0]
    fixations, errors = read_files([path], Options(image_from="a.jpg"))
    assert not errors
    assert fixations is not None
    assert (fixations.units, fixations.frame) == ("px", "screen")
    assert fixations.xy.tolist() == [[660, 337], [960, 540]]
    assert fixations.notes[0].endswith("; the image named by --image-from 'a.jpg' instead")


def test_two_columns_of_durations_agree_or_are_refused(tmp_path: Path) -> None:
    both = {**NEW, "ms2": "Eye movement event duration [ms]"}
    lines = [
        {**line, "ms": "", "ms2": line["ms"]} if line.get("number") == "2" else line
        for line in LINES_MS
    ]
    assert numbers(read(tmp_path, table(both, lines)).duration_ms) == [25, 30]
    assert numbers(read(tmp_path, table(both, lines, "ms")).duration_ms)[1] == 30
    lines = [{**line, "ms2": "99"} for line in LINES_MS]
    message = r"row 2: 'Eye movement event duration \[ms\]' is 99 ms, and 'Gaze event .*' is 25 ms"
    with pytest.raises(ValueError, match=message):
        read(tmp_path, table(both, lines))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": ""}, r"row 8: 'Eye movement type index' is '', expected the number"),
        ({"number": "1.5"}, r"row 8: 'Eye movement type index' is '1.5', expected the number"),
        ({"ms": "60"}, r"row 8: .* is 60, and 30 in row 6 of the same fixation"),
        (
            {"number": "3", "x": "left"},
            r"row 8: 'Fixation point X .*' is 'left', expected a number",
        ),
        ({"number": "3", "u": "inf"}, r"row 8: 'Fixation point X .*' is 'inf', expected a number"),
    ],
)
def test_rows_that_cannot_be_fixations_are_refused(
    change: dict[str, str], message: str, tmp_path: Path
) -> None:
    lines = [*LINES_MS, {**OTHER, "time": "1059", **change}]
    with pytest.raises(ValueError, match=message):
        read(tmp_path, table(NEW, lines))
    how = How(where=("'Recording timestamp [ms]' < 1055",))
    assert read(tmp_path, table(NEW, lines), how).place.tolist() == [3, 6]


def test_unknown_eye_movements_are_named_and_counted(tmp_path: Path) -> None:
    lines = [*LINES_MS, {**OTHER, "time": "1200", "number": "3", "kind": "Fijación"}]
    lines.append({**OTHER, "time": "1300", "number": "4", "kind": "fixation"})
    found = read(tmp_path, table(NEW, lines))
    assert found.left_out == {"of an unknown 'Eye movement type' ('Fijación', 'fixation')": 2}


@pytest.mark.parametrize("image", ["", "z.png"])
def test_a_second_place_of_a_fixation_is_counted(image: str, tmp_path: Path) -> None:
    norm = dict.fromkeys("uv", "")
    lines = [{**line, **norm} for line in LINES_MS]
    lines.append({**OTHER, **norm, "time": "1060", "x": "400"})
    lines[-1]["media"] = image or lines[-1]["media"]
    found = read(tmp_path, table(NEW, lines))
    assert len(found.place) == 2
    [(reason, count)] = found.left_out.items()
    assert (count, reason[-17:]) == (1, " at another place")


def test_recordings_need_names(tmp_path: Path) -> None:
    again = [*LINES_MS, {**FIXATION, "session": "R2", "time": "5"}]
    with pytest.raises(ValueError, match="row 8: 'Eye movement type index' goes back to 1, and"):
        read(tmp_path, table(NEW, again, "session"))
    with pytest.raises(ValueError, match="has 2 recordings and no column of the participant"):
        read(tmp_path, table(NEW, again, "user"))
    with pytest.raises(ValueError, match="has no column 'Eye movement type index'"):
        read(tmp_path, table(NEW, again, "number"))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("Eyetracker timestamp [ms]", LINES_MS),
        ("Eyetracker timestamp [\u03bcs]", LINES),
        ("Eyetracker timestamp", LINES),
    ],
)
def test_the_clock_of_the_tracker_is_read_where_no_other_is(
    name: str, lines: list[dict[str, str]], tmp_path: Path
) -> None:
    # Only samples of the eye tracker have its time.
    lines = [line if line["sensor"] == "Eye Tracker" else {**line, "time": ""} for line in lines]
    found = read(tmp_path, table({**NEW, "time": name}, lines))
    np.testing.assert_allclose(numbers(found.t_ms), [1000, 1041.666], atol=1)
    assert f"start from {name!r}" in found.taken
    both = table({"other": name, **NEW}, [{**line, "other": "7"} for line in LINES_MS])
    assert "start from 'Recording timestamp [ms]'" in read(tmp_path, both).taken


def test_gaze_without_fixations_is_refused(tmp_path: Path) -> None:
    opened = write(tmp_path / "s.tsv", "Recording timestamp\tGaze point X\tGaze point Y\n0\t1\t2\n")
    assert tobii.recognise_tobii(opened) == "samples"
    with pytest.raises(ValueError, match=r"s\.tsv holds samples of gaze, not fixations"):
        tobii.read_tobii(opened, How())
    glasses = {**NEW, "media": "Recording media name"}
    with pytest.raises(ValueError, match="on the video of glasses"):
        read(tmp_path, table(glasses, LINES_MS))


def test_glasses_have_fixations_on_each_snapshot(tmp_path: Path) -> None:
    found = read(tmp_path, SNAPSHOTS)
    assert found.place.tolist() == [1, 3, 4]
    assert names(found.image) == ["b.jpg", "a.jpg", "b.jpg"]
    assert numbers(found.x) == [70, 10, 75]
    assert numbers(found.y) == [80, 20, 85]
    assert numbers(found.duration_ms) == [100, 120, 120]
    assert numbers(found.t_ms) == [0, 200, 220]
    assert (found.units, found.frame) == ("px", "image")
    assert dict(found.left_out) == {"not on a snapshot": 1}
    with pytest.raises(ValueError, match=r"row 2: 'Mapped fixation X \[b.jpg\]' is 90, and 70 in"):
        read(tmp_path, SNAPSHOTS.replace("70\t80\n200000", "90\t80\n200000"))


def test_snapshots_with_fixations_of_their_own(tmp_path: Path) -> None:
    text = (
        "Recording timestamp [ms]\tParticipant name\tRecording name\tMapped eye movement type [a]\t"
        "Mapped eye movement type index [a]\tMapped fixation X [a]\tMapped fixation Y [a]\n"
        "0\tP1\tR1\tFixation\t4\t10\t20\n8\tP1\tR1\tFixation\t4\t10\t20\n9\tP1\tR1\tFixation\t5\t1\t2\n"
    )
    found = read(tmp_path, text)
    assert found.place.tolist() == [1, 3]
    assert numbers(found.x) == [10, 1]
    assert found.duration_ms is None
    with pytest.raises(ValueError, match=r"has no column 'Mapped eye movement type index \[a\]'"):
        read(tmp_path, text.replace("type index [a]", "index [a]"))


def test_studio_3_has_pixels_of_the_image_as_it_was_shown(tmp_path: Path) -> None:
    found = read(tmp_path, STUDIO_3)
    assert found.place.tolist() == [1, 6]
    assert numbers(found.x) == [0.25, 1]
    assert numbers(found.y) == [0.251, -0.01]
    assert numbers(found.t_ms) == [40, 600]
    assert numbers(found.duration_ms) == [117, 70]
    assert names(found.session) == ["R1", "R1"]
    assert dict(found.left_out) == {
        "without an image": 1,
        "beside the image, without a place on it": 1,
    }
    assert found.units == "frac"
    with pytest.raises(ValueError, match="no column 'MediaWidth', the size of the image as it was"):
        read(tmp_path, STUDIO_3.replace("MediaWidth", "Width"))
    with pytest.raises(ValueError, match=r"row 6: 'MediaWidth' is '0', expected a number above 0"):
        read(tmp_path, STUDIO_3.replace("1000\t500\t600", "0\t500\t600"))
    with pytest.raises(ValueError, match=r"has no column 'FixationPointY \(MCSpx\)'"):
        read(tmp_path, STUDIO_3.replace("FixationPointY", "PointY"))


def test_the_place_of_a_fixation_is_on_any_of_its_rows_on_the_image(tmp_path: Path) -> None:
    text = STUDIO_3.replace("40\t1\t\tFixation\t117\t250\t125,5", "40\t1\t\tFixation\t117\t\t")
    # Fixation 2 goes on where another image is shown, and its place there is none on the first.
    text = text.replace(
        "P1\tR1\t\t", "P1\tR1\tb.jpg\t1000\t500\t228\t2\t\tFixation\t80\t7\t7\r\nP1\tR1\t\t"
    )
    found = read(tmp_path, text)
    assert numbers(found.x) == [0.25, 1]
    assert numbers(found.t_ms) == [40, 600]
    assert numbers(found.duration_ms) == [117, 70]
    assert names(found.image) == ["a.jpg", "a.jpg"]
    assert found.left_out["beside the image, without a place on it"] == 1
    beside = {"u": "", "v": "", "left": "", "top": ""}
    lines = [line | (beside if line["time"] == "1000" else {}) for line in LINES_MS]
    found = read(tmp_path, table(NEW, lines))
    assert numbers(found.x) == [0.2656, 0.5]
    assert numbers(found.t_ms) == [1000, 1041]
    # The image is placed by later rows, where no first row has a place.
    found = read(tmp_path, table(NEW, [line for line in lines if line["number"] == "1"]))
    assert (found.frame, numbers(found.x)) == ("image", [0.2656])


# Without the mixed rows, all cells are numbers, and -1 is still no place.
@pytest.mark.parametrize("marker", ["-1", "-1,0", ""])
def test_studio_2_marks_each_coordinate(marker: str, tmp_path: Path) -> None:
    found = read(tmp_path, STUDIO_2.replace("-1", marker))
    assert found.place.tolist() == [1, 4]
    assert names(found.user) == ["P7", "P7"]
    assert names(found.session) == ["Rec 9", "Rec 9"]
    assert found.image is None
    assert numbers(found.x) == [513, 0]
    assert numbers(found.duration_ms) == [633, 50]
    assert numbers(found.t_ms) == [26, 1100]
    assert dict(found.left_out) == {"beside the image, without a place on it": 2}
    with pytest.raises(ValueError, match="Coordinate unit is 'Millimeters', expected Pixels"):
        read(tmp_path, STUDIO_2.replace("Pixels", "Millimeters"))


def test_all_data_of_studio_2_are_samples(tmp_path: Path) -> None:
    # Every sample of a fixation has its place and duration.
    sample = "a.jpg\t800\t600\t601\t402\t233\t\n"
    text = (
        "System Properties:\n\nData properties:\nParticipant:\t P9\n\n"
        "Timestamp\tNumber\tGazePointXLeft\tValidityLeft\tFixationIndex\tStimuliName\t"
        "MediaWidth\tMediaHeight\tMappedFixationPointX\tMappedFixationPointY\t"
        "FixationDuration\t\n"
        f"100\t1\t600\t0\t1\t{sample}117\t2\t602\t0\t1\t{sample}"
    )
    opened = write(tmp_path / "P9-All-Data.tsv", text)
    assert tobii.recognise_tobii(opened) == "samples"
    with pytest.raises(ValueError, match=r"samples of gaze.* or from Studio 2 as fixation data"):
        tobii.read_tobii(opened, How())


def test_other_tables_are_not_of_tobii(tmp_path: Path) -> None:
    lines = STUDIO_2[STUDIO_2.index("FixationIndex") :]
    assert tobii.recognise_tobii(write(tmp_path / "t.tsv", lines)) == ""
    assert tobii.recognise_tobii(write(tmp_path / "t.csv", "image,user,x,y\na.png,P,1,2\n")) == ""


EXAMPLES = [table(OLD, LINES), table(NEW, LINES_MS), SNAPSHOTS, STUDIO_3, STUDIO_2]


@pytest.mark.parametrize("text", EXAMPLES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_line(
    text: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = text.encode()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.sampled_from([start + 1, start + 8, len(content)]))
    path = tmp_path_factory.mktemp("damaged") / "f.tsv"
    message = ""
    try:
        opened = write(path, content[:start] + data.draw(st.binary(max_size=8)) + content[end:])
        if tobii.recognise_tobii(opened):
            found = tobii.read_tobii(opened, How())
            assert len(found.x.values) == len(found.y.values) == len(found.place)
            assert not np.isnan(found.x.values[~found.x.is_missing]).any()
    except ValueError as error:
        message = str(error)
    assert "\n" not in message
