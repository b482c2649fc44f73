"""The person in exports of several people that were joined."""

from pathlib import Path

import pytest

from tfds_builders.common.gaze_files import people, read
from tfds_builders.common.gaze_files.example_files import write
from tfds_builders.common.gaze_files.how import Detection, How
from tfds_builders.common.gaze_files.recognise import Options

# Files of two people, with the same numbers of fixations and the same times, on a.png. The rows of
# the people alternate in the first file. The last column is the one that was added.
JOINED = {
    "gazepoint.csv": """\
MEDIA_NAME,TIME,FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV,USER,{person}
a.png,0.1,0.10,0.5,0.0,0.1,1,1,,p1
a.png,0.1,0.60,0.5,0.0,0.1,1,1,,p2
a.png,0.2,0.20,0.5,0.0,0.2,1,1,,p1
a.png,0.2,0.70,0.5,0.0,0.2,1,1,,p2
""",
    "fixations_on_surface_a.png.csv": """\
world_timestamp,fixation_id,start_timestamp,duration,dispersion,norm_pos_x,norm_pos_y,on_surf,\
{person}
70.10,1,70.0,200,1,0.2,0.5,True,p1
70.15,1,70.0,200,1,0.2,0.5,True,p1
90.10,1,90.0,200,1,0.7,0.5,True,p2
90.15,1,90.0,200,1,0.7,0.5,True,p2
""",
    "player.csv": """\
fixation id,start timestamp [ns],end timestamp [ns],duration [ms],fixation detected on surface,\
fixation x [normalized],fixation y [normalized],{person}
1,1754690200000000000,1754690200200000000,200,true,0.2,0.5,p1
1,1754690200000000000,1754690200200000000,200,true,0.7,0.5,p2
""",
    "tobii.tsv": """\
Recording timestamp [ms],Presented Media name,Eye movement type,Eye movement type index,\
Gaze event duration [ms],Fixation point X [MCS norm],Fixation point Y [MCS norm],{person}
100,a.png,Fixation,1,200,0.2,0.5,p1
100,a.png,Fixation,1,200,0.7,0.5,p2
""".replace(",", "\t"),
    "studio.tsv": """\
MediaName,MediaWidth,MediaHeight,RecordingTimestamp,FixationIndex,GazeEventType,GazeEventDuration,\
FixationPointX (MCSpx),FixationPointY (MCSpx),{person}
a.png,100,100,100,1,Fixation,200,20,50,p1
a.png,100,100,100,1,Fixation,200,70,50,p2
""".replace(",", "\t"),
    "report.csv": """\
TRIAL_INDEX,CURRENT_FIX_X,CURRENT_FIX_Y,CURRENT_FIX_START,CURRENT_FIX_END,CURRENT_FIX_DURATION,\
picture,{person}
1,0.2,0.5,100,299,200,a.png,p1
1,0.7,0.5,100,299,200,a.png,p2
""",
    "events.csv": """\
name,onset,offset,location_x,location_y,image,{person}
fixation,100,300,200,500,a.png,p1
fixation,100,300,700,500,a.png,p2
""",
}


@pytest.mark.parametrize(
    "column", ["participant", "Subject_ID", "USER ID", "Versuchsperson", "ppt"]
)
@pytest.mark.parametrize("file", JOINED)
def test_an_added_column_is_the_person(file: str, column: str, tmp_path: Path) -> None:
    write(tmp_path / file, JOINED[file].replace("{person}", column))
    found, errors = read([tmp_path / file], Options())
    assert errors == []
    assert found is not None
    assert found.user_ids == ["p1", "p2"]
    assert found.duration_ms is not None
    # One fixation of each person, 200 ms at 0.2 and at 0.7, in units of 1 or of 1000.
    assert found.user.tolist() == [0, 1]
    assert [x / 1000 if x > 1 else x for x in found.xy[:, 0]] == pytest.approx([0.2, 0.7])
    assert found.duration_ms.tolist() == pytest.approx([200, 200])
    assert f"person from {column!r}" in found.notes[0]


def test_samples_of_two_people(tmp_path: Path) -> None:
    lines = ["TRIAL_INDEX,TIMESTAMP,LEFT_GAZE_X,LEFT_GAZE_Y,picture,person"]
    lines += [f"1,{4 * t},{x},50,a.png,{who}" for who, x in (("b", 9), ("a", 7)) for t in range(60)]
    write(tmp_path / "s.csv", "\n".join(lines) + "\n")
    options = Options(how=How(detection=Detection(35, 80, 75)))
    found, _ = read([tmp_path / "s.csv"], options)
    assert found is not None
    assert found.user_ids == ["a", "b"]
    assert (found.user.tolist(), found.xy[:, 0].tolist()) == ([1, 0], [9, 7])
    assert "person from 'person'" in found.notes[0]


@pytest.mark.parametrize("file", JOINED)
def test_two_columns_that_differ_are_refused(file: str, tmp_path: Path) -> None:
    delimiter = "\t" if file.endswith(".tsv") else ","
    lines = JOINED[file].replace("{person}", "person").splitlines()
    for name, second, is_right in (("participant", "p1", False), ("User_Id", "", True)):
        joined = [
            f"{lines[0]}{delimiter}{name}",
            *(f"{one}{delimiter}{second}" for one in lines[1:]),
        ]
        write(tmp_path / file, "\n".join(joined) + "\n")
        if is_right:  # An empty column is none.
            assert read([tmp_path / file], Options())[1] == []
            continue
        with pytest.raises(ValueError, match="'person' is 'p2' and 'participant' is 'p1', both"):
            read([tmp_path / file], Options())


def test_a_row_without_a_person_is_refused(tmp_path: Path) -> None:
    text = JOINED["events.csv"].replace("{person}", "user").replace("a.png,p2", "a.png,NA")
    write(tmp_path / "e.csv", text)
    _, [error] = read([tmp_path / "e.csv"], Options())
    assert "row 2: user is not given, expected a name" in error


def test_no_column_of_another_name_is_the_person(tmp_path: Path) -> None:
    text = JOINED["events.csv"].replace("{person}", "condition")
    assert people.column_of_person(write(tmp_path / "e.csv", text)) is None
    text = "participant,Person\np,p\nq,q\n"
    assert people.column_of_person(write(tmp_path / "e.csv", text)) == "participant"


@pytest.mark.parametrize("column", ["USER", "ID", "Name"])
def test_columns_beside_gazepoint_that_look_like_people_are_refused(
    column: str, tmp_path: Path
) -> None:
    text = f"""\
CNT,MEDIA_NAME,TIME,FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV,CS,SACCADE_MAG,{column}
1,a.png,0.2,0.20,0.5,0.0,0.2,1,1,0,9,1
2,a.png,{{time}},0.70,0.5,0.5,0.2,2,1,1,8,2
"""
    write(tmp_path / "g.csv", text.replace("{time}", "0.1"))
    with pytest.raises(
        ValueError, match=f"row 2: {column} has a value in each row, and the time begins"
    ):
        read([tmp_path / "g.csv"], Options())
    # Columns of the tracker, one person of the column, and a value while the time goes on are none.
    own = text.replace(f",{column}", "").replace(",9,1", ",9").replace(",8,2", ",8")
    for name, content, where in (
        ("g.csv", own.replace("{time}", "0.1"), ()),
        ("g.csv", text.replace("{time}", "0.1"), (f"{column} == 2",)),
        ("g.csv", text.replace("{time}", "0.7"), ()),
    ):
        write(tmp_path / name, content)
        found, _ = read([tmp_path / name], Options(where=where))
        assert found is not None
        assert found.user_ids == ["g"]


def test_what_belongs_to_the_media_is_no_person_where_times_begin_with_each(tmp_path: Path) -> None:
    text = """\
MEDIA_NAME,TIME,FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV,kind
a.png,0.3,0.20,0.5,0.0,0.2,1,1,face
b.png,0.2,0.70,0.5,0.5,0.2,2,1,scene
c.png,0.1,0.70,0.5,0.5,0.2,3,1,face
"""
    assert read([write(tmp_path / "g.csv", text).path], Options())[1] == []
    again = text.replace("c.png", "b.png")
    with pytest.raises(ValueError, match="row 2: kind has a value in each row"):
        read([write(tmp_path / "g.csv", again).path], Options())
