"""A person of whom no row is left is named, also in a file with rows of others."""

from pathlib import Path

import pytest

from tfds_builders.common import gaze_files
from tfds_builders.common.gaze_files import Options

TABLE = "image,user,x,y,duration_ms\na.png,p1,10,20,200\n"
REPORT = """\
RECORDING_SESSION_LABEL\tTRIAL_INDEX\tCURRENT_FIX_X\tCURRENT_FIX_Y\tCURRENT_FIX_DURATION\tpicture
p1\t1\t10\t20\t200\ta.png
p2\t1\t.\t.\t200\ta.png
p3\t1\t3270\t20\t200\ta.png
"""
EVENTS = """\
name,onset,offset,location_x,location_y,image,user
fixation,100,300,200,500,a.png,p1
fixation,100,300,,,a.png,p2
saccade,100,300,,,a.png,p3
"""
SCANPATHS = """\
[{"name": "a.png", "subject": "p1", "X": [1], "Y": [1]},
 {"name": "a.png", "subject": "p2", "X": [], "Y": []}]
"""
LOST = "users left out, of whom no row is left: "


@pytest.mark.parametrize(
    ("file", "text", "options", "expected"),
    [
        ("t.csv", TABLE + "a.png,p2,,,200\n", {}, "'p2' (without a place or a duration)"),
        ("t.csv", TABLE + "a.png,p2,,,200\na.png,p2,1,2,3\n", {}, ""),
        # Conditions are asked for.
        ("t.csv", TABLE + "a.png,p2,,,200\n", {"where": ("user != p2",)}, ""),
        ("t.csv", TABLE + "a.png,p2,,,200\n", {"where": ("user != p3",)}, "'p2' (without a place"),
        ("t.csv", TABLE + "a.png,p2_b,,,200\n", {"user_from": r"(p\d)"}, "'p2' (without a place"),
        (
            "r.xls",
            REPORT,
            {},
            "'p2' (without a place), 'p3' (saturated far off the screen (3270))",
        ),
        ("e.csv", EVENTS, {}, "'p2' (without a location), 'p3' (without a fixation)"),
        ("s.json", SCANPATHS, {}, "'p2' (without a fixation)"),
    ],
)
def test_a_person_without_gaze_in_a_file_of_several(
    file: str, text: str, options: dict[str, object], expected: str, tmp_path: Path
) -> None:
    (tmp_path / file).write_text(text)
    found, errors = gaze_files.read(
        [tmp_path / file],
        Options(drop_missing=True, **options),  # type: ignore[arg-type]
    )
    assert found is not None, errors
    assert found.user_ids == ["p1"] or not expected
    assert [one.startswith(LOST + expected) for one in found.warnings] == [True] * bool(expected)


def test_a_session_without_gaze_is_named(tmp_path: Path) -> None:
    text = "image,user,session,x,y\na.png,p1,one,1,2\na.png,p1,two,,\n"
    (tmp_path / "t.csv").write_text(text)
    found, _ = gaze_files.read([tmp_path / "t.csv"], Options(drop_missing=True))
    assert found is not None
    [warning] = found.warnings
    assert warning.endswith(
        "of which no row is left: 'two' of 'p1' (without a place or a duration)"
    )


def test_a_longer_name_without_gaze_is_a_session(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE + "a.png,p1_b,,,200\n")
    options = Options(drop_missing=True, user_from=r"(p\d)")
    found, _ = gaze_files.read([tmp_path / "t.csv"], options)
    assert found is not None
    [warning] = found.warnings
    assert "no row is left: 'p1_b' of 'p1' (without a place or a duration)" in warning


def test_a_file_that_lacks_gaze_where_a_condition_fits(tmp_path: Path) -> None:
    (tmp_path / "p1.csv").write_text(TABLE)
    rows = "a.png,p3,1,2,10\na.png,p3,1,2,20\na.png,p3,,,200\n"
    (tmp_path / "p3.csv").write_text(TABLE.splitlines()[0] + "\n" + rows)
    found, _ = gaze_files.read([tmp_path], Options(where=("duration_ms > 100",)))
    assert found is not None
    assert found.warnings == [f"{LOST}'p3' (without a place)"]
    assert "2 rows left out: not duration_ms > 100" in found.notes
    # The one warning of a file without gaze names the file.
    (tmp_path / "p3.csv").write_text(TABLE.replace("p1,10,20", "p3,,"))
    found, _ = gaze_files.read([tmp_path], Options())
    assert found is not None
    [warning] = found.warnings
    assert warning.startswith(f"{tmp_path / 'p3.csv'} left out: has no row")
