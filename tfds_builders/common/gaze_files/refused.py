"""Files of gaze that are recognised and not read: what to export instead.

Each of these formats leaves open where or on what the gaze is. A table with one row a fixation, and
--columns, says both.
"""

from collections.abc import Callable
from typing import NoReturn

from tfds_builders.common.gaze_files import containers
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role

_NUM_HEAD_LINES = 60
_OGAMA_COLUMNS = frozenset(("SubjectName", "TrialID", "TrialSequence", "CountInTrial"))
_IMOTIONS_COLUMNS = frozenset(("StudyName", "StimulusName", "EventSource"))
_IOHUB_GROUP = b"data_collection"
_HDF5_MARK = b"\x89HDF\r\n\x1a\n"
_PYGAZE_TOBII = "TimeStamp\tEvent\tGazePointXLeft"
_PYGAZE_LOG = frozenset(("trialnr", "trialtype", "endpos"))
_OPENGAZE_COLUMNS = frozenset(("FPOGX", "FPOGY", "FPOGID", "FPOGV"))


def _refuser(what: str, instead: str) -> Callable[[Opened, How], NoReturn]:
    """Returns a reader that raises a ValueError.

    Args:
        what: what the file is, and why it is not read.
        instead: what to export instead.
    """

    def refuse(opened: Opened, how: How) -> NoReturn:
        del how
        raise ValueError(
            f"{opened.path} is {what}: export {instead}; any table with one row a fixation is read "
            "with --columns"
        )

    return refuse


def recognise_imotions(opened: Opened) -> Role:
    """Recognises the older table and exports of version 8 and later."""
    if set(opened.columns) >= _IMOTIONS_COLUMNS:
        return "samples"
    marks = {line.strip('"\t,; ') for line in _head_lines(opened)}
    has_marks = "#HEADER" in marks and bool({"#METADATA", "#DATA"} & marks)
    return "samples" if has_marks else ""


read_imotions = _refuser(
    "an export of iMotions, where one row is an event of any sensor and the place of the "
    "picture on the screen is missing",
    "the fixations of each person (one row a fixation, with stimulus, x, y and duration)",
)


def recognise_ogama(opened: Opened) -> Role:
    """Recognises tables of fixations and saccades, with or without their first lines."""
    for line in _head_lines(opened):
        if not line.strip() or line.startswith("#"):
            continue
        return "fixations" if set(line.split("\t")) >= _OGAMA_COLUMNS else ""
    return ""


read_ogama = _refuser(
    "an export of OGAMA, whose file does not say how the picture was placed on the slide",
    "the fixations with 'Trial Name', without the lines that start with #, and give --columns "
    "'image=Trial Name,user=SubjectName,x=PosX,y=PosY,duration_ms=Length,t_ms=StartTime'",
)


def recognise_iohub(opened: Opened) -> Role:
    """Recognises HDF5 of PsychoPy's ioHub by the group of its events."""
    if opened.suffix not in (".hdf5", ".h5"):
        return ""
    with opened.path.open("rb") as file:
        start = file.read(1 << 16)
    return "samples" if start.startswith(_HDF5_MARK) and _IOHUB_GROUP in start else ""


read_iohub = _refuser(
    "HDF5 of PsychoPy (ioHub), where only messages of the experiment say which picture was "
    "shown, and x and y may be in any unit from the centre of the screen",
    "the FixationEndEvents with their picture, or use the tracker's own file (.asc, .tsv)",
)


def recognise_gazerecorder(opened: Opened) -> Role:
    """Recognises ScreenRecorderPath.dat by its lines `ImageFile:`."""
    is_path = any(line.lstrip().startswith("ImageFile:") for line in _head_lines(opened))
    return "samples" if opened.suffix == ".dat" and is_path else ""


read_gazerecorder = _refuser(
    "a recording of GazeRecorder, whose numbers are not documented",
    "its samples with time, x and y, and detect the fixations in them",
)


def recognise_pygaze(opened: Opened) -> Role:
    """Recognises logs of PyGaze, OpenSesame and opengaze by their columns.

    A log of behaviour beside the file of an EyeLink belongs to it.
    """
    columns = set(opened.columns)
    lines = _head_lines(opened)
    if any(line.startswith(_PYGAZE_TOBII) for line in lines):
        return "samples"
    if columns >= _OPENGAZE_COLUMNS and not any(name.startswith("MEDIA") for name in columns):
        return "samples"
    has_counts = any(name.startswith("count_") for name in columns)
    is_log = columns >= _PYGAZE_LOG or ("subject_nr" in columns and has_counts)
    if not is_log or {"image", "user", "x", "y"} <= columns:
        return ""
    return "beside" if any(opened.path.parent.glob("*.asc")) else "samples"


read_pygaze = _refuser(
    "a log of PyGaze, OpenSesame or opengaze, which has answers or samples and no pictures of "
    "fixations",
    "the tracker's own file (.asc of an EyeLink, the export of Tobii or Gazepoint)",
)


def _head_lines(opened: Opened) -> list[str]:
    return containers.split_lines(opened.head)[:_NUM_HEAD_LINES]
