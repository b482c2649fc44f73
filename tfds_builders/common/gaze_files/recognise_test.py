"""Each file is of one format at most, whatever the order of the formats."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tfds_builders.common import gaze_files
from tfds_builders.common.gaze_files import Detection, How, plain
from tfds_builders.common.gaze_files.containers import open_file
from tfds_builders.common.gaze_files.recognise import FORMATS, Options, plain_of

EVENT = "1000\tEye Tracker\tP1\tR1\ta.jpg\tFixation\t25\t1\t660\t337\n"
EXAMPLES = {
    "eyelink-report": (
        "report.xls",
        "RECORDING_SESSION_LABEL\tTRIAL_INDEX\tCURRENT_FIX_X\tCURRENT_FIX_Y\tpicture\n"
        "p1\t1\t9,2\t5,7\ta.jpg\n",
    ),
    "eyelink-samples": (
        "samples.txt",
        "RECORDING_SESSION_LABEL\tTRIAL_INDEX\tAVERAGE_GAZE_X\tAVERAGE_GAZE_Y\tTIMESTAMP\n"
        "p1\t1\t9.2\t5.7\t100.00\n",
    ),
    "eyelink-asc": (
        "p1.asc",
        "MSG\t1000 TRIALID 0\nEFIX L   2016\t2748\t733\t  491.2\t  398.6\t 10\n",
    ),
    "tobii": (
        "p1.tsv",
        "Recording timestamp [ms]\tSensor\tParticipant name\tRecording name\tPresented Media name\t"
        "Eye movement type\tGaze event duration [ms]\tEye movement type index\t"
        "Fixation point X [DACS px]\tFixation point Y [DACS px]\n" + EVENT,
    ),
    "gazepoint": (
        "p1_fixations.csv",
        "MEDIA_ID,MEDIA_NAME,CNT,TIME(2022/09/19 13:34:49.156),FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,"
        "FPOGV,USER\n0,a.jpg,14,0.2,0.4,0.4,0.0,0.2,1,1,\n",
    ),
    "pupil-cloud": (
        "fixations.csv",
        "section id,recording id,fixation id,start timestamp [ns],end timestamp [ns],duration [ms],"
        "fixation detected on surface,fixation x [normalized],fixation y [normalized]\n"
        "s1,r1,253,1754690200000000000,1754690200125000000,125,true,0.3,0.9\n",
    ),
    "pupil-core": (
        "fixations_on_surface_a.csv",
        "world_timestamp,world_index,fixation_id,start_timestamp,duration,dispersion,norm_pos_x,"
        "norm_pos_y,x_scaled,y_scaled,on_surf\n1.0,5,1,1.0,120.0,0.5,0.3,0.6,0.3,0.6,True\n",
    ),
    "smi": (
        "statistics.txt",
        "Trial\tStimulus\tParticipant\tCategory\tEvent Start Trial Time [ms]\t"
        "Event End Trial Time [ms]\tEvent Duration [ms]\tFixation Position X [px]\t"
        "Fixation Position Y [px]\tAOI Name\nTrial001\ta.jpg\tP1\tFixation\t0\t100\t100\t9\t9\t-\n",
    ),
    "daemons": (
        "daemons.csv",
        "Start,End,VP,trial,Img,nth,x,y,fixdur,blinkFix,forced_fix\n212,250,1,1,a.jpg,2,20,12,244,0,0\n",
    ),
    "massvis": ("fixationsByVis/a/enc/p1.csv", "1,10.0,20.0,200\n2,30.0,20.0,180\n"),
    "fixatons": ("SCANPATHS/a/p1", "10.0 20.0 0.0 0.2\n30.0 20.0 0.3 0.5\n"),
    "coco-json": (
        "scanpaths.json",
        json.dumps([{"name": "a.jpg", "subject": 1, "X": [1.0], "Y": [2.0], "T": [200]}]),
    ),
    "pymovements": (
        "events.csv",
        "name,onset,offset,subject_id,stimulus,location_x,location_y\n"
        "fixation_eyelink,0,200,p1,a.jpg,410.0,320.0\n",
    ),
    "gorilla": (
        "gorilla.csv",
        "participant,spreadsheet_row,time_elapsed,type,screen_index,x_pred,y_pred,"
        "x_pred_normalised,y_pred_normalised,face_conf,zone_name,zone_x,zone_y,zone_width,"
        "zone_height\n1,2,10.0,prediction,4,100,200,0.4,0.5,0.9,,,,,\n",
    ),
    "jspsych": (
        "jspsych.json",
        json.dumps(
            [
                {
                    "stimulus": "a.jpg",
                    "webgazer_data": [{"x": 1, "y": 2, "t": 0}],
                    "webgazer_targets": {},
                }
            ]
        ),
    ),
    "imotions": (
        "imotions.txt",
        "StudyName\tExportDate\tName\tAge\tGender\tStimuliBlock\tStimulusName\tEventSource\tTimestamp\t"
        "FixationSeq\tFixationX\tFixationY\ns\td\tn\t1\tm\tb\ta.jpg\tET\t1\t1\t3\t4\n",
    ),
    "table": ("gaze.csv", "image,user,x,y,duration_ms\na.jpg,p1,10,20,200\n"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_one_format_takes_each_file(name: str, tmp_path: Path) -> None:
    path, text = EXAMPLES[name]
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text)
    opened = open_file(tmp_path / path)
    takers = [other for other, format_ in FORMATS.items() if format_.recognise(opened)]
    if plain.recognise_plain(opened, plain_of(Options())):
        takers.append("table")
    assert takers == [name]


# Files of the examples, with all that a recording without a fixation has of them.
OF_NO_FIXATION = {
    "eyelink-report": lambda text: text.splitlines(keepends=True)[0],
    "eyelink-asc": lambda text: text.splitlines(keepends=True)[0],
    "tobii": lambda text: text.replace("Fixation\t25", "EyesNotFound\t25"),
    "gazepoint": lambda text: text.splitlines(keepends=True)[0],
    "pupil-core": lambda text: text.splitlines(keepends=True)[0],
    "smi": lambda text: text.replace("\tFixation\t", "\tSaccade\t"),
    "massvis": lambda text: text[:0],
    "fixatons": lambda text: text[:0],
    "coco-json": lambda text: text[:1] + text[-1:],
    "pymovements": lambda text: text.replace("fixation_eyelink", "saccade"),
}


@pytest.mark.parametrize("name", OF_NO_FIXATION)
def test_a_file_without_a_fixation_beside_others_is_left_out_with_a_warning(
    name: str, tmp_path: Path
) -> None:
    path, text = EXAMPLES[name]
    good, bare = (tmp_path / path.replace("a/", f"{day}/", 1) for day in ("1", "2"))
    if good == bare:
        good, bare = tmp_path / "1" / path, tmp_path / "2" / path
    for one, content in ((good, text), (bare, OF_NO_FIXATION[name](text))):
        one.parent.mkdir(parents=True)
        one.write_text(content)
    options = Options(image_from="a.png")
    found, errors = gaze_files.read([tmp_path], options)
    assert found is not None, errors
    [warning] = found.warnings
    assert warning.startswith(f"{bare} left out: has no ")
    if OF_NO_FIXATION[name](text):
        assert warning.replace(" left out: ", " ") in gaze_files.read([bare], options)[1]


OF_TABLES: list[dict[str, Any]] = [
    {"ignored_columns": ("a",)},
    {"durations": "s"},
    {"times": "us"},
]
EYE = {"how": How(eye="right")}
DETECT = {"how": How(detection=Detection(35.0, 80.0, 75.0))}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        *(
            (name, options, f"of tables of no format of their own (table), and would do nothing: "
             f"{{path}} is read as {name}")
            for name in ("eyelink-report", "coco-json", "pymovements", "tobii")
            for options in OF_TABLES
        ),
        ("tobii", {"format": "tobii", "columns": (("x", "a"),)}, "--columns is an option of"),
        ("table", EYE, "--eye is an option of the formats eyelink-report, eyelink-samples, "),
        ("tobii", EYE, "{path} is read as tobii"),
        ("table", DETECT, "--detect-fixations is an option of the formats eyelink-samples, smi, "),
        ("eyelink-report", DETECT, "{path} is read as eyelink-report"),
        ("smi", DETECT, "of files of samples, and would do nothing: {path} holds fixations"),
        # A format that is refused says so first.
        ("imotions", DETECT | {"durations": "s"}, "{path} is an export of iMotions"),
    ],
)  # fmt: skip
def test_an_option_that_would_do_nothing_is_refused(
    name: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / EXAMPLES[name][0]
    path.write_text(EXAMPLES[name][1])
    with pytest.raises(ValueError) as error:  # noqa: PT011
        gaze_files.read([path], Options(**options))
    assert message.format(path=path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("table", {"durations": "s"}),
        ("table", {"ignored_columns": ("duration_ms",)}),
        ("eyelink-report", EYE),
        ("eyelink-samples", DETECT | {"image_from": "a.jpg"}),
    ],
)
def test_an_option_of_the_format_is_taken(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / EXAMPLES[name][0]
    path.write_text(EXAMPLES[name][1])
    found, errors = gaze_files.read([path], Options(**options))
    if name == "eyelink-samples":  # One sample is no fixation.
        assert "--detect-fixations finds none in 1 samples with gaze" in errors[0]
    else:
        assert found is not None


def test_a_file_of_another_format_than_the_chosen_one_is_named(tmp_path: Path) -> None:
    for name in ("eyelink-report", "eyelink-samples"):
        (tmp_path / EXAMPLES[name][0]).write_text(EXAMPLES[name][1])
    found, _ = gaze_files.read([tmp_path], Options(format="eyelink-report"))
    assert found is not None
    note = "left out: a file of gaze of the format eyelink-samples, not eyelink-report"
    assert f"{tmp_path / 'samples.txt'} {note}" in found.notes


SAMPLES = (
    "Recording timestamp [ms]\tSensor\tParticipant name\tRecording name\tPresented Media name\t"
    "Gaze point X [DACS px]\tGaze point Y [DACS px]\n1000\tEye Tracker\t{}\t{}\ta.jpg\t660\t337\n"
)


@pytest.mark.parametrize(
    ("user", "recording", "is_given"),
    [("P1", "R1", True), ("P2", "R1", False), ("P1", "R2", False)],
)
def test_samples_are_left_out_only_where_the_fixations_of_their_recording_are_given(
    user: str, recording: str, is_given: bool, tmp_path: Path
) -> None:
    (tmp_path / "a.tsv").write_text(EXAMPLES["tobii"][1])
    (tmp_path / "b.tsv").write_text(SAMPLES.format(user, recording))
    if is_given:
        found, _ = gaze_files.read([tmp_path], Options())
        assert found is not None
        assert f"{tmp_path / 'b.tsv'} left out: samples of gaze, whose" in "\n".join(found.notes)
        return
    with pytest.raises(ValueError, match=f"of '{user} {recording}', whose fixations are not given"):
        gaze_files.read([tmp_path], Options())


# A fixation and samples without one, of a session that is added.
WITH_SESSIONS = {
    "tobii": (
        EXAMPLES["tobii"][1].replace("Recording name", "Session").replace("R1", "1"),
        SAMPLES.replace("Recording name", "Session").format("P1", "{}"),
    ),
    "gazepoint": (
        "MEDIA_NAME,TIME,FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV,subject,session\n"
        "a.png,0.3,0.5,0.5,0.1,0.2,1,1,P1,1\n",
        "MEDIA_NAME,TIME,FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV,subject,session\n"
        "a.png,0.2,0.5,0.5,0.1,0.1,1,1,P1,{0}\na.png,0.3,0.5,0.5,0.1,0.2,1,1,P1,{0}\n",
    ),
}


@pytest.mark.parametrize("name", WITH_SESSIONS)
def test_samples_of_another_session_are_refused(name: str, tmp_path: Path) -> None:
    fixations, samples = WITH_SESSIONS[name]
    (tmp_path / "a.csv").write_text(fixations)
    (tmp_path / "b.csv").write_text(samples.format("1"))
    found, _ = gaze_files.read([tmp_path], Options())
    assert found is not None
    assert found.session_ids == [["1"]]
    assert "b.csv left out: samples of gaze, whose fixations are given" in "\n".join(found.notes)
    (tmp_path / "b.csv").write_text(samples.format("2"))
    with pytest.raises(ValueError, match=r"b\.csv .* of 'P1 2', whose fixations are not given"):
        gaze_files.read([tmp_path], Options())


STATISTICS = (
    "Trial,Stimulus,Participant,Category,Event Start Trial Time [ms],Event Duration [ms],"
    "Fixation Position X [px],Fixation Position Y [px]\n"
    "Trial001,a.png,P01,Fixation,10,200,100,100\n"
)


@pytest.mark.parametrize(
    ("file", "recordings", "why"),
    [
        ("all.csv", ["P01.idf"], ""),
        ("P01_2 Events.csv", ["P01_2.idf"], ""),
        ("P01_1 Events.csv", ["P01_2.idf"], "is called like another recording"),
        ("all.csv", ["P01_1.idf", "P01_2.idf"], "name no recording, and samples name 2"),
    ],
)
def test_statistics_of_smi_name_no_recording_of_samples(
    file: str, recordings: list[str], why: str, tmp_path: Path
) -> None:
    (tmp_path / file).write_text(STATISTICS)
    for recording in recordings:
        (tmp_path / f"{recording}_samples.txt").write_text(
            f"## Converted from:\tC:\\{recording}\n## Subject:\tP01\n"
            "Time\tType\tTrial\tL POR X [px]\tL POR Y [px]\n1000\tSMP\t1\t100\t100\n"
        )
    if why:
        with pytest.raises(ValueError, match=f"whose fixations are not given .*{why}"):
            gaze_files.read([tmp_path], Options())
        return
    found, _ = gaze_files.read([tmp_path], Options())
    assert found is not None
    note = "samples of gaze of people whose fixations are given; these do not name their recordings"
    assert note in "\n".join(found.notes)


@pytest.mark.parametrize("name", ["coco-json", "table"])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            '[{"name": "b.jpg", "subject": 2, "X": [1.0',
            "left out, not a table or text: is not JSON",
        ),
        ("[]", "left out: has no row"),
        ("[1, 2]", "left out: has no row"),
    ],
)
def test_json_without_gaze_in_a_folder_is_named(
    name: str, text: str, why: str, tmp_path: Path
) -> None:
    path, content = EXAMPLES[name]
    (tmp_path / path).write_text(content)
    (tmp_path / "b.json").write_text(text)
    found, errors = gaze_files.read([tmp_path], Options())
    assert found is not None, errors
    assert found.format == name
    assert found.warnings[0].startswith(f"{tmp_path / 'b.json'} {why}")


def write_sheets(path: Path, **sheets: Sequence[tuple[object, ...]]) -> Path:
    """Writes an Excel file with the rows of each sheet."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_sheet_that_resembles_gaze_is_left_out_with_a_warning(tmp_path: Path) -> None:
    names, row = ("image", "user", "x", "y"), ("a.jpg", "p1", 10, 20)
    capitals = tuple(map(str.upper, names))
    others: dict[str, Any] = {
        "title": [("P 2",), names, row],
        "case": [capitals, row],
        "bare": [row, row],
    }
    other_things = [("user", "age"), ("p1", 20)]
    path = write_sheets(tmp_path / "a.xlsx", gaze=[names, row], people=other_things, **others)
    found, errors = gaze_files.read([path], Options())
    assert found is not None, errors
    assert [line.split(" left out")[0] for line in found.warnings] == [
        f"{path}: sheet '{name}'" for name in others
    ]
    assert f"{path}: sheet 'gaze' read, sheets left out: 'people'" in found.notes
    # A folder: the sheet with gaze is not the first one of its file.
    later = write_sheets(tmp_path / "b.xlsx", about=[("study",)], two=[("P 2",), names, row])
    found, errors = gaze_files.read([tmp_path], Options())
    assert found is not None, errors
    assert f"{later} left out: not a file of gaze in a known format, with" in str(found.warnings)


def test_a_lock_file_of_excel_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(EXAMPLES["table"][1])
    (tmp_path / "~$a.xlsx").write_bytes(b"\x05user")
    found, errors = gaze_files.read([tmp_path], Options())
    assert found is not None, errors
    assert found.warnings == []
    assert "~$" not in str(found.notes)


def test_a_folder_without_gaze_says_what_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "sub-01_task-a_events.tsv").write_text("onset\tduration\n0\t1\n")
    (tmp_path / "a.csv.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(
        ValueError, match=r"no gaze in a known format \(.*a\.csv\.gz .*events\.tsv is"
    ):
        gaze_files.read([tmp_path], Options())


def test_a_needed_column_is_not_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(EXAMPLES["table"][1])
    with pytest.raises(
        ValueError, match=r"--ignore-columns names 'x', which holds the x of .*a\.csv"
    ):
        gaze_files.read([tmp_path], Options(ignored_columns=("x",)))
