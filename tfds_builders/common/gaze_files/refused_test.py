"""Formats that are recognised and refused in one line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tfds_builders.common.gaze_files import refused
from tfds_builders.common.gaze_files.containers import open_file
from tfds_builders.common.gaze_files.how import How

FORMATS: dict[str, tuple[Callable, Callable]] = {
    "imotions": (refused.recognise_imotions, refused.read_imotions),
    "ogama": (refused.recognise_ogama, refused.read_ogama),
    "iohub": (refused.recognise_iohub, refused.read_iohub),
    "gazerecorder": (refused.recognise_gazerecorder, refused.read_gazerecorder),
    "pygaze": (refused.recognise_pygaze, refused.read_pygaze),
}

OGAMA = "SubjectName\tTrialID\tTrialSequence\tCountInTrial\tStartTime\tLength\tPosX\tPosY"
FILES: dict[tuple[str, str], str | bytes] = {
    ("imotions", "old.txt"): "StudyName\tName\tStimulusName\tEventSource\tGazeX\nS\tA\ta\tET\t1\n",
    ("imotions", "new.csv"): "#HEADER,,\n#METADATA,,\nFieldName,Unit\n#DATA,,\nRowNumber,x\n1,2\n",
    ("imotions", "danish.csv"): '"#HEADER";\n"#DATA";\nRowNumber;x\n1;0,5\n',
    ("ogama", "fix.txt"): f"# a\n# b\n# c\n# d\n# e\n# f\nID\t{OGAMA}\n1\tA\t1\t1\t1\t0\t9\t1\t1\n",
    ("ogama", "plain.txt"): f"{OGAMA}\nA\t1\t1\t1\t0\t9\t1\t1\n",
    ("iohub", "e.hdf5"): b"\x89HDF\r\n\x1a\n" + bytes(600) + b"data_collection",
    ("gazerecorder", "p.dat"): "ImageFile: a.jpg\n0.1 0.2 33 0 0 0 0 0 0 0 0 0 0 0 0\n",
    ("pygaze", "tobii.tsv"): "1\tstart\nTimeStamp\tEvent\tGazePointXLeft\tGazePointX\n1\t\t2\t3\n",
    (
        "pygaze",
        "og.tsv",
    ): "CNT\tTIME\tFPOGX\tFPOGY\tFPOGS\tFPOGD\tFPOGID\tFPOGV\n1\t0\t0\t0\t0\t0\t1\t1\n",
    ("pygaze", "log.txt"): "trialnr\ttrialtype\tendpos\tlatency\tcorrect\n1\ta\tleft\t300\t1\n",
    ("pygaze", "sesame.csv"): "count_trial,subject_nr,response\n0,1,space\n",
}
OTHERS: dict[str, str | bytes] = {
    "table.csv": "image,user,x,y\na.png,A,1,2\n",
    "sesame.csv": "image,user,x,y,count_trial,subject_nr\na.png,A,1,2,0,1\n",
    "gazepoint.csv": "MEDIA_ID,MEDIA_NAME,CNT,FPOGX,FPOGY,FPOGID,FPOGV\n0,a.jpg,1,0,0,1,1\n",
    "comment.csv": "# a comment\nimage,user,x,y\n",
    "other.dat": "0.1 0.2 33\n",
    "other.hdf5": b"\x89HDF\r\n\x1a\n" + bytes(600) + b"fixations",
    "empty.txt": "",
}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("name", "file"), FILES)
def test_is_recognised_by_one_and_refused_in_one_line(name: str, file: str, tmp_path: Path) -> None:
    opened = open_file(write(tmp_path / file, FILES[name, file]))
    taken = [one for one, (recognise, _) in FORMATS.items() if recognise(opened)]
    assert taken == [name]
    with pytest.raises(ValueError, match=r": export .*--columns$") as error:
        FORMATS[name][1](opened, How())
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(opened.path))


@pytest.mark.parametrize("file", OTHERS)
def test_other_files_are_not_taken(file: str, tmp_path: Path) -> None:
    opened = open_file(write(tmp_path / file, OTHERS[file]))
    assert [name for name, (recognise, _) in FORMATS.items() if recognise(opened)] == []


def test_a_log_of_behaviour_belongs_to_the_file_of_an_eyelink(tmp_path: Path) -> None:
    opened = open_file(write(tmp_path / "log.txt", FILES["pygaze", "log.txt"]))
    assert refused.recognise_pygaze(opened) == "samples"
    write(tmp_path / "p1.asc", "")
    assert refused.recognise_pygaze(opened) == "beside"
