"""Fixation and sample reports of EyeLink Data Viewer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common.gaze_files import eyelink
from tfds_builders.common.gaze_files.containers import open_file
from tfds_builders.common.gaze_files.example_files import damaged, names, numbers, write
from tfds_builders.common.gaze_files.how import Detection, How
from tfds_builders.common.gaze_files.read import read as read_files
from tfds_builders.common.gaze_files.recognise import Options

# Trial 1 has no picture; row 4 is stored as 3270, far off the screen; row 5 has no place.
REPORT = """RECORDING_SESSION_LABEL\tTRIAL_INDEX\tCURRENT_FIX_X\tCURRENT_FIX_Y\t\
CURRENT_FIX_START\tCURRENT_FIX_END\tCURRENT_FIX_DURATION\tpicture\tCURRENT_FIX_MSG_TEXT
p01a\t1\t948,20\t541,70\t0\t30\t32\tUNDEFINEDnull\tx.png
p01a\t2\t929,40\t530,60\t4\t256\t254\tpics\\a.jpg\tx.png
p01a\t2\t900,00\t-12,50\t300\t398\t100\tpics\\a.jpg\tx.png
p01a\t2\t-3270,00\t-2110,50\t400\t430\t32\tpics\\a.jpg\tx.png
p02\t2\t.\t.\t4\t30\t28\tpics/b.jpg\tx.png
p02\t3\t100\t200,5\t4\t30\t28\tpics/a.jpg\tx.png
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_report_with_decimal_commas(tmp_path: Path, encoding: str) -> None:
    opened = write(tmp_path / "fix.xls", REPORT, encoding)
    assert eyelink.recognise_eyelink_report(opened) == "fixations"
    found = eyelink.read_eyelink_report(opened, How())
    assert found.place.tolist() == [1, 2, 3, 6]
    assert names(found.image) == ["", "a.jpg", "a.jpg", "a.jpg"]
    assert names(found.user) == ["p01a", "p01a", "p01a", "p02"]
    assert found.session is None
    assert numbers(found.x) == [948.2, 929.4, 900, 100]
    assert numbers(found.y) == [541.7, 530.6, -12.5, 200.5]
    assert numbers(found.duration_ms) == [32, 254, 100, 28]
    assert numbers(found.t_ms) == [0, 4, 300, 4]
    assert numbers(found.trial) == [1, 2, 2, 3]
    assert (found.units, found.frame, found.shown_px) == ("px", "screen", None)
    assert dict(found.left_out) == {
        "without a place": 1,
        "saturated far off the screen (3270)": 1,
    }
    assert "image from 'picture'" in found.taken


def test_report_as_csv_and_xlsx(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    table = [line.replace(",", ".").split("\t") for line in REPORT.splitlines()]
    opened = write(tmp_path / "fix.csv", "\n".join(map(",".join, table)))
    book = openpyxl.Workbook()
    for row in table:
        numeric = [float(c) if c.lstrip("-").replace(".", "", 1).isdigit() else c for c in row]
        book.active.append(numeric)
    book.save(tmp_path / "fix.xlsx")
    for one in (opened, open_file(tmp_path / "fix.xlsx")):
        found = eyelink.read_eyelink_report(one, How())
        assert numbers(found.x) == [948.2, 929.4, 900, 100]
        assert names(found.image) == ["", "a.jpg", "a.jpg", "a.jpg"]


def test_image_only_from_the_one_variable_with_names_of_pictures(tmp_path: Path) -> None:
    header, *lines = REPORT.splitlines()

    def read(cells: list[str]) -> tuple[list[str] | None, str]:
        text = "\n".join(
            [f"{header}\tmask", *(f"{one}\t{cell}" for one, cell in zip(lines, cells, strict=True))]
        )
        found = eyelink.read_eyelink_report(write(tmp_path / "fix.xls", text), How())
        return found.image and names(found.image), found.taken

    same = [line.split("\t")[7] for line in lines]
    assert read(same)[0] == ["", "a.jpg", "a.jpg", "a.jpg"]
    assert read(["word.x"] * 6)[0] == ["", "a.jpg", "a.jpg", "a.jpg"]
    image, taken = read(["m.png"] * 6)
    assert image is None
    assert "'picture' and 'mask' hold names of pictures" in taken
    none = REPORT.replace(".jpg", "")
    found = eyelink.read_eyelink_report(write(tmp_path / "fix.xls", none), How())
    assert found.image is None


def test_what_differs_between_files_is_said_of_each(tmp_path: Path) -> None:
    """The image is in another column of the third file; two files have the same columns."""
    header, rows = REPORT.partition("\n")[::2]
    paths = [tmp_path / name for name in ("a.xls", "b.xls", "c.xls")]
    columns = [header, header, header.replace("picture", "stimulus_file")]
    for number, path in enumerate(paths):
        write(path, f"{columns[number]}\n{rows.replace('p0', f'p{number}')}")
    found, errors = read_files(paths, Options())
    assert errors == []
    assert found is not None
    taken = [note for note in found.notes if " read as eyelink-report: " in note]
    assert [note.partition(" read")[0] for note in taken] == [
        f"{paths[0]} and 1 more",
        str(paths[2]),
    ]
    assert "image from 'picture'" in taken[0]
    assert "image from 'stimulus_file'" in taken[1]
    for number in range(8):  # A file each would fill the screen.
        other = header.replace("picture", f"stimulus_file{number}")
        paths.append(tmp_path / f"d{number}.xls")
        write(paths[-1], f"{other}\n{rows.replace('p0', f'q{number}')}")
    found, _ = read_files(paths, Options())
    assert found is not None
    assert sum(" read as " in note for note in found.notes) == 5
    assert "5 more files read in other ways; `data check` of one file says how" in found.notes


def test_a_fall_of_the_time_begins_a_trial_where_none_is_given(tmp_path: Path) -> None:
    text = """RECORDING_SESSION_LABEL,CURRENT_FIX_X,CURRENT_FIX_Y,CURRENT_FIX_START,\
CURRENT_FIX_END,im
p1,1,2,4,100,a.png
p1,1,2,120,300,a.png
p1,1,2,8,90,a.png
p2,1,2,96,200,a.png
"""
    found = eyelink.read_eyelink_report(write(tmp_path / "f.csv", text), How())
    assert numbers(found.trial) == [1, 1, 2, 3]
    # Without a duration: the end minus the start.
    assert numbers(found.duration_ms) == [96, 180, 82, 104]


EYES = """RECORDING_SESSION_LABEL,TRIAL_LABEL,EYE_USED,CURRENT_FIX_X,CURRENT_FIX_Y,\
CURRENT_FIX_START,CURRENT_FIX_END
p1,Trial: 1,LEFT,10,2,4,100
p1,Trial: 1,RIGHT,20,2,2,100
p1,Trial: 2,RIGHT,30,2,2,100
"""


def test_labels_that_end_alike_are_of_two_trials(tmp_path: Path) -> None:
    text = EYES.replace("Trial: 1,RIGHT", "B1_T2,LEFT").replace("Trial: 2", "B2_T2")
    found = eyelink.read_eyelink_report(write(tmp_path / "f.csv", text), How(eye="left"))
    assert numbers(found.trial) == [1, 2, 3]


def test_one_eye_of_two(tmp_path: Path) -> None:
    opened = write(tmp_path / "f.csv", EYES)
    found = eyelink.read_eyelink_report(opened, How())
    assert numbers(found.x) == [10, 30]
    assert numbers(found.trial) == [1, 2]
    assert dict(found.left_out) == {"of the other eye": 1}
    assert numbers(eyelink.read_eyelink_report(opened, How(eye="right")).x) == [20, 30]
    found = eyelink.read_eyelink_report(opened, How(eye="left"))
    assert numbers(found.x) == [10, 30]
    assert "1 rows of the right eye in trials with no other" in found.taken
    # The second person has the right eye only, and is named unless --where leaves the person out.
    two = write(tmp_path / "h.csv", EYES.replace("p1,Trial: 2", "p2,Trial: 2"))
    message = r"h\.csv: --eye is left, and the recording of user 'p2' has the right eye only"
    with pytest.raises(ValueError, match=message):
        eyelink.read_eyelink_report(two, How(eye="left"))
    first = How(eye="left", where=("RECORDING_SESSION_LABEL == p1",))
    assert numbers(eyelink.read_eyelink_report(two, first).x)[0] == 10
    assert numbers(eyelink.read_eyelink_report(two, How(eye="right")).x) == [20, 30]
    one = write(tmp_path / "i.csv", EYES.replace("LEFT,10,2,4,100", "x,10,2,100,120"))
    assert "the eye of 1 rows not known" in eyelink.read_eyelink_report(one, How("right")).taken
    hidden = write(tmp_path / "g.csv", EYES.replace("EYE_USED", "side"))
    with pytest.raises(ValueError, match=r"g\.csv row 1: the fixation begins before .* row 2 ends"):
        eyelink.read_eyelink_report(hidden, How())
    found = eyelink.read_eyelink_report(hidden, How(where=("side == RIGHT",)))
    which = eyelink.read_eyelink_report(hidden, How(eye="left", where=("side == RIGHT",)))
    assert "the eye not known without a column EYE_REPORTED (--eye left)" in which.taken
    assert numbers(found.x) == [10, 20, 30]  # The reader of all formats takes the rows.


MASKED = "RECORDING_SESSION_LABEL,TRIAL_INDEX,CURRENT_FIX_X,CURRENT_FIX_Y,TRIAL_LABEL,mask,{name}\n"


@pytest.mark.parametrize(
    ("name", "values", "is_refused"),
    [
        ("picture", "ab", True),
        ("item", "ab", True),
        ("img", ["12", "13"], True),
        ("rt", ["312.5", "280"], False),
        # Then the picture is the only one, not one of several.
        ("picture", "aa", False),
    ],
)
def test_one_picture_beside_names_that_vary_is_not_the_image(
    name: str, values: Sequence[str], is_refused: bool, tmp_path: Path
) -> None:
    text = MASKED.format(name=name)
    for trial, value in enumerate(values, start=1):
        text += f"p1,{trial},10,2,Trial: {trial},mask.png,{value}\n" * 2
    found = eyelink.read_eyelink_report(write(tmp_path / "f.csv", text), How())
    if is_refused:
        assert found.image is None
        assert f"'mask' is 'mask.png' in all trials, beside {name!r}, which is" in found.taken
    else:
        assert found.image is not None
        assert found.image.names == ["mask.png"]


CUED = "RECORDING_SESSION_LABEL,TRIAL_INDEX,CURRENT_FIX_X,CURRENT_FIX_Y,cue,{name}\n"


@pytest.mark.parametrize(
    ("name", "values", "where", "is_refused"),
    [
        # As many as the trials, without the suffix of a file.
        ("item", ["s1", "s2", "s3", "s4", "s5", "s6"], (), True),
        # A number of a picture, or a picture of which one trial has none.
        ("scene", ["1", "2", "3", "1", "2", "3"], (), True),
        ("scene", ["a.png", "b.png", "c.png", "a.png", "b.png", "blank"], (), True),
        (
            "scene",
            ["a.png", "b.png", "c.png", "a.png", "b.png", "blank"],
            ("scene != blank",),
            True,
        ),
        ("scene", ["s1", "s2", "s3", "s1", "s2", "s3"], ("scene != s3",), True),
        ("scene", ["s1", "s2", "s3", "s1", "s2", "s3"], ("scene == s3",), False),
        # Conditions, answers, times and names of trials of pictures that are shown again.
        ("condition", ["near", "far", "none", "near", "far", "none"], (), False),
        ("stim_order", ["1", "2", "3", "4", "5", "6"], (), False),
        ("picture_ms", ["312.5", "280", "297", "301", "344", "288"], (), False),
        ("code", ["b1_1", "b1_2", "b2_1", "b2_2", "b1_1", "b1_1"], (), False),
    ],
)
def test_few_pictures_beside_more_names_are_not_the_image(
    name: str, values: Sequence[str], where: tuple[str, ...], is_refused: bool, tmp_path: Path
) -> None:
    text = CUED.format(name=name)
    for person in ("p1", "p2"):
        for trial, value in enumerate(values, start=1):
            cue = ("left.png", "right.png")[trial % 2]
            text += f"{person},{trial},10,2,{cue},{value}\n" * 2
    opened = write(tmp_path / "f.csv", text)
    found = eyelink.read_eyelink_report(opened, How(where=where))
    if is_refused:
        assert found.image is None
        assert "so that the image is not known" in found.taken
    else:
        assert found.image is not None
        assert sorted(found.image.names) == ["left.png", "right.png"]
    if name == "scene" and len(where) == 0 and is_refused:  # Data Viewer has names with TRIAL, too.
        for old, new in (("scene", "TRIAL_SCENE"), ("TRIAL_INDEX", "block")):
            changed = write(tmp_path / "g.csv", text.replace(old, new, 1))
            assert eyelink.read_eyelink_report(changed, How()).image is None
    # What is of the person is not of the trials, however many people there are.
    lines = [f"p{n},{trial},9,9,{trial}.png,s{n}" for n in range(9) for trial in (1, 2)]
    text = CUED.format(name="scene_of_person") + "\n".join(lines) + "\n"
    found = eyelink.read_eyelink_report(write(tmp_path / "f.csv", text), How())
    assert found.taken.startswith("image from 'cue'")


INDEXED = """\
RECORDING_SESSION_LABEL,TRIAL_INDEX,CURRENT_FIX_X,CURRENT_FIX_Y,CURRENT_FIX_INDEX,picture
p,1,700,500,1,a.png
q,1,710,510,1,a.png
p,1,900,540,3,a.png
p,2,300,200,1,a.png
"""


def test_without_times_the_index_says_the_order(tmp_path: Path) -> None:
    # Trials of two people alternate; a number may be lacking.
    found = eyelink.read_eyelink_report(write(tmp_path / "r.csv", INDEXED), How())
    assert numbers(found.x) == [700, 710, 900, 300]
    swapped = INDEXED.replace("500,1,a", "500,5,a")
    timed = swapped.replace("picture", "CURRENT_FIX_START,picture")
    timed = timed.replace("5,a", "5,200,a").replace("3,a", "3,100,a").replace("1,a", "1,0,a")
    assert numbers(eyelink.read_eyelink_report(write(tmp_path / "r.csv", timed), How()).t_ms) == [
        *(200, 0, 100, 0)
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("500,1,a", "500,5,a", "row 3: CURRENT_FIX_INDEX is 3 after 5, expected the fixations of"),
        ("540,3,a", "540,1,a", "row 3: CURRENT_FIX_INDEX is 1 after 1"),  # The other eye.
        ("510,1,a", "510,.,a", "row 2: CURRENT_FIX_INDEX is nan, expected"),
        # Without trials, the second showing of a picture cannot be known.
        ("TRIAL_INDEX", "OTHER", "row 4: CURRENT_FIX_INDEX is 1 after 3"),
    ],
)
def test_an_index_out_of_order_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in INDEXED
    with pytest.raises(ValueError, match=message):
        eyelink.read_eyelink_report(write(tmp_path / "r.csv", INDEXED.replace(old, new)), How())


def test_other_reports_of_the_export(tmp_path: Path) -> None:
    messages = write(tmp_path / "m.txt", "RECORDING_SESSION_LABEL\tCURRENT_MSG_TEXT\np\tx\n")
    assert eyelink.recognise_eyelink_report(messages) == "beside"
    table = write(tmp_path / "t.csv", "image,user,x,y\na.png,P,1,2\n")
    assert eyelink.recognise_eyelink_report(table) == ""
    assert eyelink.recognise_eyelink_samples(table) == ""
    assert eyelink.recognise_eyelink_samples(write(tmp_path / "f.xls", REPORT)) == ""


def samples_text(places: list[tuple[str, str]]) -> str:
    """Rows of the left and right x every 4 ms; a second trial from row 51."""
    header = (
        "RECORDING_SESSION_LABEL\tTRIAL_INDEX\tLEFT_GAZE_X\tLEFT_GAZE_Y\tRIGHT_GAZE_X\t"
        "RIGHT_GAZE_Y\tTIMESTAMP\timage\n"
    )
    lines = []
    for row, (left, right) in enumerate(places):
        trial = 1 + (row >= 50)
        gaze = f"{left}\t40\t{right}\t60"
        lines.append(f"p1\t{trial}\t{gaze}\t{5529512 + 4 * row}.00\t{trial}.png\n")
    return header + "".join(lines)


def test_samples_are_detected_only_if_asked(tmp_path: Path) -> None:
    # Trial 1: 25 samples at 100, 25 at 500; trial 2: only the right eye, 30 samples at 700.
    places = [("100", "110")] * 25 + [("500", "510")] * 25 + [(".", "700")] * 30
    opened = write(tmp_path / "samples.xls", samples_text(places))
    assert eyelink.recognise_eyelink_samples(opened) == "samples"
    with pytest.raises(ValueError, match=r"samples\.xls holds samples .* --detect-fixations"):
        eyelink.read_eyelink_samples(opened, How())
    how = How(detection=Detection(50.0, 60.0, 75.0))
    found = eyelink.read_eyelink_samples(opened, how)
    assert found.place.tolist() == [1, 26, 51]
    assert numbers(found.x) == [100, 500, 700]
    assert numbers(found.y) == [40, 40, 60]
    assert names(found.image) == ["1.png", "1.png", "2.png"]
    assert numbers(found.trial) == [1, 1, 2]
    # 24 and 29 steps of 4 ms, from the first sample to the last.
    np.testing.assert_allclose(numbers(found.duration_ms), [96, 96, 116])
    right = eyelink.read_eyelink_samples(opened, how._replace(eye="right"))
    assert numbers(right.x) == [110, 510, 700]
    single = write(tmp_path / "single.xls", samples_text([(".", right) for _, right in places]))
    with pytest.raises(
        ValueError, match=r"--eye is left, and the recording of user 'p1' has the r"
    ):
        eyelink.read_eyelink_samples(single, how._replace(eye="left"))
    text = samples_text(places).replace("5529516.00", "5529512.00")
    with pytest.raises(ValueError, match=r"row 2: the time is 5529512 ms after 5529512"):
        eyelink.read_eyelink_samples(write(tmp_path / "s.xls", text), how)
    text = samples_text(places).replace("TIMESTAMP", "time")
    with pytest.raises(ValueError, match=r"s\.xls has no column 'TIMESTAMP'"):
        eyelink.read_eyelink_samples(write(tmp_path / "s.xls", text), how)


@pytest.mark.parametrize("text", [REPORT, EYES, samples_text([("1", "2"), (".", "3")])])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_line(
    text: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "f.xls"
    how = How(detection=Detection(50.0, 1.0, 75.0))
    message = ""
    try:
        opened = write(path, data.draw(damaged(text.encode())))
        for recognise, read in (
            (eyelink.recognise_eyelink_report, eyelink.read_eyelink_report),
            (eyelink.recognise_eyelink_samples, eyelink.read_eyelink_samples),
        ):
            if recognise(opened) in ("fixations", "samples"):
                found = read(opened, how)
                assert len(found.x.values) == len(found.place)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("people", "user_from", "expected"),
    [
        (("A", "A"), None, "'p1a' and 'p1b' are one person 'A' there"),
        (("A", "A"), r"(p\d)", ""),
        (("A", "B"), None, ""),
        (("A", "B"), r"(p\d)", "'p1' is 'A' and 'B' there"),
        (("A", ""), None, ""),
    ],
)
def test_a_column_of_other_people_has_a_warning(
    people: tuple[str, str], user_from: str | None, expected: str, tmp_path: Path
) -> None:
    """Each recording has a file."""
    columns = "RECORDING_SESSION_LABEL,TRIAL_INDEX,CURRENT_FIX_X,CURRENT_FIX_Y,picture,participant"
    for name, person in zip(("p1a", "p1b"), people, strict=True):
        row = f"{name},1,10,20,{name}.jpg,{person}"
        write(tmp_path / f"{name}.csv", f"{columns}\n{row}\n")
    found, errors = read_files([tmp_path], Options(user_from=user_from))
    assert found is not None, errors
    [warning] = found.warnings or [""]
    assert (expected in warning) if expected else not warning
