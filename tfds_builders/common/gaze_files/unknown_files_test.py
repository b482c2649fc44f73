"""A file of no known format beside files of gaze has a warning if it resembles gaze."""

from pathlib import Path

import pytest

from tfds_builders.common import gaze_files
from tfds_builders.common.gaze_files import Options, unknown_files
from tfds_builders.common.gaze_files.example_files import write
from tfds_builders.common.gaze_files.recognise_test import EXAMPLES


@pytest.mark.parametrize(
    ("name", "other", "text", "why"),
    [
        ("table", "b.csv", "", "empty"),
        ("table", "b.csv", "a.jpg,p2,1,2,3\n", "without a line of names"),
        (
            "table",
            "b.tsv",
            "Image\tUser\tx\tDuration (ms)\ty\n",
            "columns like those of gaze.csv, and 'Image' instead of 'image'",
        ),
        (
            "table",
            "b.csv",
            "Made in May\nimage,user,x,y,duration_ms\n",
            "in a line below the first",
        ),
        ("table", "b.csv", "picture,user,x,y,duration_ms\n", "and without 'image'"),
        ("table", "b.json", '{"image": {"0": 1}, "user": {}, "x": {}, "y": {}}', "of gaze.csv"),
        ("table", "b.json", '{"columns": ["image", "user", "x", "y"], "data": []}', "of gaze.csv"),
        ("table", "b.csv", "stimulus,subject,FX,FY\n", "columns like those of gaze"),
        (
            "table",
            "b.txt",
            "Made in May\n\nstimulus\tsubject\tX\tY\n",
            "columns like those of gaze",
        ),
        ("fixatons", "SCANPATHS/a/p2", "500 400 .25\n", "without a line of names"),
        ("fixatons", "SCANPATHS/a/p2", "500,400,0,.25\n", "without a line of names"),
        ("fixatons", "SCANPATHS/a/p2.csv", "500,400,0,.25\n", "in the place of one"),
        ("table", "b.txt", "image user x y duration_ms\n", "columns like those of gaze.csv"),
        ("table", "b.csv", '"image" "user" "x" "y"\n', "columns like those of gaze.csv"),
        ("table", "b.jsonl", '{"user": "p2", "fix": [{"x": 1, "y": 2}]}\n', ""),
        ("eyelink-asc", "p2.asc", "EFIX\n", "named like one"),
        ("fixatons", "SCANPATHS/a/p2", "hello\n", "in the place of one"),
        ("massvis", "a/enc/p2.csv", "hello\n", "in the place of one"),
        *(
            ("table", "b.csv", f"{columns}\n", "columns like those of ")
            for columns in (
                "image,user,posx,posy",
                "image,user,FixationX,FixationY",
                "image,user,x [px],y [px]",
                "image,who,X (px),Y (px)",
                "image,user,avg_x,avg_y",
                "image,user,fixation_x_px,fixation_y_px",
                "image,user,FPOGX,FPOGY",
                "image,user,x1,y1",
                "picture,vp,x,y",
                "image,user,duration_ms",
            )
        ),
        (
            "gazepoint",
            "p2_fixations.csv",
            EXAMPLES["gazepoint"][1].replace("FPOGX", "foo"),
            "'FPOGX'",
        ),
        ("table", "b.tsv", "", "empty"),
        ("table", "b.mat", "broken", "damaged"),
        # Lists of people, of areas and of answers, logs, and a trial report hold no gaze.
        ("table", "people.csv", "user,age\np1,30\n", ""),
        ("table", "areas.csv", "image,x,y,width,height\na.jpg,1,2,3,4\n", ""),
        ("table", "corners.csv", "image,x1,y1,x2,y2,label\na.jpg,1,2,3,4,a\n", ""),
        ("table", "images.csv", "image,width,height\na.jpg,3,4\n", ""),
        ("table", "answers.csv", "user,image,answer\np1,a.jpg,3\n", ""),
        ("table", "log.csv", "2020,1 start\n", ""),
        ("table", "notes.txt", "1 2 3\n", ""),
        ("table", "README.csv", "", ""),
        ("eyelink-report", "t.xls", "RECORDING_SESSION_LABEL\tTRIAL_INDEX\tpicture\n", ""),
    ],
)
def test_files_that_resemble_gaze_have_a_warning(
    name: str, other: str, text: str, why: str, tmp_path: Path
) -> None:
    for path, content in (EXAMPLES[name], (other, text)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    # A template stands for the column of the image, which lacks in some of these files.
    image_from = None if name == "table" else "a.jpg"
    found, errors = gaze_files.read([tmp_path], Options(image_from=image_from))
    assert found is not None, errors
    what = f"{tmp_path / other} left out: not a file of gaze in a known format"
    [line] = [line for line in (*found.notes, *found.warnings) if line.startswith(what)]
    assert (why in line, line in found.warnings) == (True, bool(why))


@pytest.mark.parametrize(
    ("name", "other", "text"),
    [
        ("table", "electrodes.tsv", "name\tx\ty\tz\n"),
        ("table", "participants.tsv", "participant_id\tage\n"),
        ("pupil-cloud", "gaze.csv", "recording id,gaze x [px],gaze y [px]\n"),
        ("pupil-cloud", "blinks.csv", "recording id,start timestamp [ns],duration [ms]\n"),
        ("pupil-core", "gaze_positions.csv", "gaze_timestamp,norm_pos_x,norm_pos_y\n"),
    ],
)
def test_companions_of_an_export_hold_no_gaze(
    name: str, other: str, text: str, tmp_path: Path
) -> None:
    opened = [write(tmp_path / path, content) for path, content in (EXAMPLES[name], (other, text))]
    assert unknown_files.resembles_gaze(opened[1], opened[:1], name) == ""


def test_a_report_without_places_resembles_the_others(tmp_path: Path) -> None:
    names = "RECORDING_SESSION_LABEL,picture,{}CURRENT_FIX_DURATION,CURRENT_FIX_START\n"
    first = write(tmp_path / "a.csv", names.replace("{}", "CURRENT_FIX_X,CURRENT_FIX_Y,"))
    other = write(tmp_path / "b.csv", names.replace("{}", ""))
    why = unknown_files.resembles_gaze(other, [first], "eyelink-report")
    assert why == ", with columns like those of a.csv, and without 'CURRENT_FIX_X'"
