"""A file of no known format beside files of gaze has a warning if it resembles gaze."""

from pathlib import Path

import pytest

from tfds_builders.common import gaze_files
from tfds_builders.common.gaze_files import Options
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
        ("table", "b.csv", "stimulus,subject,FX,FY\n", "columns like those of gaze"),
        (
            "table",
            "b.txt",
            "Made in May\n\nstimulus\tsubject\tX\tY\n",
            "columns like those of gaze",
        ),
        ("fixatons", "SCANPATHS/a/p2", "500 400 .25\n", "without a line of names"),
        ("fixatons", "SCANPATHS/a/p2", "500,400,0,.25\n", "without a line of names"),
        ("eyelink-asc", "p2.asc", "EFIX\n", "named like one"),
        # Lists of people, of areas and of answers, logs, and a trial report hold no gaze.
        ("table", "people.csv", "user,age\np1,30\n", ""),
        ("table", "areas.csv", "image,x,y,width,height\na.jpg,1,2,3,4\n", ""),
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
    found, errors = gaze_files.read([tmp_path], Options(image_from="a.jpg"))
    assert found is not None, errors
    what = f"{tmp_path / other} left out: not a file of gaze in a known format"
    [line] = [line for line in (*found.notes, *found.warnings) if line.startswith(what)]
    assert (why in line, line in found.warnings) == (True, bool(why))
