"""Files of published image sets: DAEMONS, MASSVIS, FixaTons and Scene."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common import coordinates, gaze_files
from tfds_builders.common.coordinates import Convention
from tfds_builders.common.gaze_files import published
from tfds_builders.common.gaze_files.containers import Opened, open_file
from tfds_builders.common.gaze_files.example_files import damaged
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.rows import Names, Rows

# The first fixation of a viewing follows no saccade; a marker holds the gaze at first.
DAEMONS = """Start,End,VP,trial,Img,nth,x,y,fixdur,blinkFix,forced_fix
NA,NA,7,1,a.jpg,1,16.02,9.11,400,0,1
212,250,7,1,a.jpg,2,20.5,12,244,0,0
500,530,7,1,a.jpg,3,NA,NA,180,1,0
NA,NA,7,2,b.jpg,1,0,0,200,0,0
"""


def write(path: Path, content: bytes | str) -> Opened:
    """Writes a file, with its folders, and opens it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_file(path)


def names(column: Names | None) -> list[str]:
    """Returns the name of each row."""
    assert column is not None
    return [column.names[code] for code in column.codes]


def test_daemons_gives_fractions_from_the_bottom_without_forced_fixations(tmp_path: Path) -> None:
    opened = write(tmp_path / "SAC.csv", DAEMONS)
    assert published.recognise_daemons(opened) == "fixations"
    found = published.read_daemons(opened, How())
    assert found.place.tolist() == [2, 4]
    assert (names(found.image), names(found.user)) == (["a.jpg", "b.jpg"], ["7", "7"])
    assert found.duration_ms is not None
    assert found.duration_ms.values.tolist() == [244, 200]
    assert found.trial is not None
    assert found.trial.values.tolist() == [1, 2]
    assert dict(found.left_out) == {
        "a marker held the gaze (forced_fix is 1)": 1,
        "without a place (NA)": 1,
    }
    # 20.5 degrees x 60 px = 1230 px from the left; 1080 - 12 x 60 = 360 px from the top.
    convention = coordinates.complete(Convention(), units=found.units, y_axis=found.y_axis)
    xy = np.column_stack([found.x.values, found.y.values])
    found_px = coordinates.to_image_px(xy, convention=convention, width=1920, height=1080)
    np.testing.assert_allclose(found_px, [[1230, 360], [0, 1080]], atol=1e-9)
    german = write(tmp_path / "de.csv", DAEMONS.replace(",", ";").replace("20.5", "20,5"))
    np.testing.assert_array_equal(published.read_daemons(german, How()).x.values, found.x.values)


def test_daemons_without_a_place_is_left_out_beside_others(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", DAEMONS)
    names, forced, _, lost, _ = DAEMONS.splitlines()
    write(tmp_path / "b.csv", "\n".join([names, forced, lost]).replace(",7,", ",8,"))
    found, errors = gaze_files.read([tmp_path], gaze_files.Options())
    assert found is not None, errors
    assert found.user_ids == ["7"]
    [warning] = found.warnings
    assert warning.startswith(f"{tmp_path / 'b.csv'} left out: has no row")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0,0\n500", "0,2\n500", "row 2: forced_fix is '2', expected 0 or 1"),
        ("0,0\n500", "0,NA\n500", "row 2: forced_fix is 'NA', expected 0 or 1"),
        ("a.jpg,3", "a.jpg,2", "row 3: nth is 2 after 2, expected the rows of a viewing"),
    ],
)
def test_daemons_refuses(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in DAEMONS
    with pytest.raises(ValueError, match=message):
        published.read_daemons(write(tmp_path / "SAC.csv", DAEMONS.replace(old, new)), How())


def test_daemons_refuses_a_missing_person(tmp_path: Path) -> None:
    write(tmp_path / "SAC.csv", DAEMONS.replace("NA,NA,7,2", "NA,NA,NA,2"))
    _, errors = gaze_files.read([tmp_path / "SAC.csv"], gaze_files.Options())
    [error] = errors
    assert error.startswith(f"{tmp_path / 'SAC.csv'} row 4: user is 'NA', expected a name, and")


def test_massvis_takes_picture_session_and_person_from_the_path(tmp_path: Path) -> None:
    opened = write(tmp_path / "fixationsByVis/wsj1/rec/ab.csv", "1,10.5,20,150\n2,30,40,250\n")
    assert published.recognise_massvis(opened) == "fixations"
    found = published.read_massvis(opened, How())
    assert names(found.image) == ["wsj1"] * 2
    assert names(found.session) == ["rec"] * 2
    assert names(found.user) == ["ab"] * 2
    assert found.x.values.tolist() == [10.5, 30]
    assert found.y.values.tolist() == [20, 40]
    assert found.duration_ms is not None
    assert found.duration_ms.values.tolist() == [150, 250]
    with_header = write(tmp_path / "a/enc/ab.csv", "n,x,y,d\n1,10.5,20,150\n")
    elsewhere = write(tmp_path / "a/other/ab.csv", "1,10.5,20,150\n")
    assert published.recognise_massvis(with_header) == ""
    assert published.recognise_massvis(elsewhere) == ""
    assert published.recognise_massvis(write(tmp_path / "a/enc/cd.csv", "")) == "beside"
    swapped = write(tmp_path / "a/enc/ef.csv", "2,10.5,20,150\n1,30,40,250\n")
    with pytest.raises(ValueError, match=r"ef\.csv row 2: number is 1 after 2"):
        published.read_massvis(swapped, How())


def test_fixatons_finds_the_suffix_of_the_picture(tmp_path: Path) -> None:
    folder = tmp_path / "MIT1003"
    opened = write(folder / "SCANPATHS/i1/CNG", "10.5  20 0.25 0.5\n\n30\t40 0.6 0.85\n")
    assert published.recognise_fixatons(opened) == "fixations"
    assert names(published.read_fixatons(opened, How()).image) == ["i1"] * 2
    for name in ("i1.jpeg", "i10.jpeg"):
        write(folder / "STIMULI" / name, b"")
    found = published.read_fixatons(opened, How())
    assert names(found.image) == ["i1.jpeg"] * 2
    assert names(found.user) == ["CNG"] * 2
    assert found.x.values.tolist() == [10.5, 30]
    assert found.duration_ms is not None
    assert found.t_ms is not None
    np.testing.assert_allclose(found.duration_ms.values, [250, 250])
    np.testing.assert_allclose(found.t_ms.values, [250, 600])
    write(folder / "STIMULI/i1.png", b"")
    with pytest.raises(ValueError, match=r"'i1\.jpeg' and 'i1\.png' in .* could be the picture"):
        published.read_fixatons(opened, How())


def test_a_person_of_fixatons_may_have_a_dot(tmp_path: Path) -> None:
    for number, name in enumerate(("CNG", "j.smith", "j.doe"), start=1):
        write(tmp_path / f"SCANPATHS/i1/{name}", f"{number} 2 0.1 0.3\n")
    write(tmp_path / "STIMULI/i1.jpeg", b"")
    found, errors = gaze_files.read([tmp_path], gaze_files.Options())
    assert errors == []
    assert found is not None
    assert found.user_ids == ["CNG", "j.doe", "j.smith"]
    assert found.xy[np.argsort(found.user), 0].tolist() == [1, 3, 2]
    picture = f"{tmp_path / 'STIMULI/i1.jpeg'} is a picture and holds no gaze"
    assert f"{picture}: pictures are read from --images" in found.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3 4\n1 2 3\n", "row 2 has 3 values, expected 4: x, y, t_start, t_end"),
        ("1 2 3 4\n1 2 x 4\n", "row 2: t_start is 'x', expected a number"),
        ("1 2 3 4\n1 2 5 4\n", "row 2: t_end is 4, expected at least t_start, 5"),
    ],
)
def test_fixatons_refuses(text: str, message: str, tmp_path: Path) -> None:
    opened = write(tmp_path / "SCANPATHS/i1/CNG", text)
    with pytest.raises(ValueError, match=message):
        published.read_fixatons(opened, How())


def write_scene(path: Path, viewings: Mapping[tuple[int, int], object]) -> Opened:
    """Writes cells of Scene; all others are empty."""
    cells = np.empty((500, 12), object)
    cells.fill(np.zeros((0, 0)))
    for place, values in viewings.items():
        cells[place] = np.asarray(values)
    scipy.io.savemat(path, {"fixations": cells})
    return open_file(path)


def test_scene_has_y_before_x_and_seconds(tmp_path: Path) -> None:
    # scipy returns one row, as the one of cell 500, 12, without its first axis.
    viewings = {
        (0, 1): [[118.5, 49.75, 0.334, 0.134], [119, 32, 0.5, 0.25]],
        (499, 11): [[1, 2, 0.5, 0.125]],
    }
    opened = write_scene(tmp_path / "fixations.mat", viewings)
    assert published.recognise_scene(opened) == "fixations"
    found = published.read_scene(opened, How())
    assert names(found.image) == ["001.jpg", "001.jpg", "500.jpg"]
    assert names(found.user) == ["2", "2", "12"]
    assert found.x.values.tolist() == [49.75, 32, 2]
    assert found.y.values.tolist() == [118.5, 119, 1]
    assert found.duration_ms is not None
    assert found.t_ms is not None
    np.testing.assert_allclose(found.duration_ms.values, [134, 250, 125])
    np.testing.assert_allclose(found.t_ms.values, [334, 500, 500])
    assert found.place_text is not None
    assert [found.place_text(place) for place in (2, 3)] == [
        "cell 1, 2, row 2",
        "cell 500, 12, row 1",
    ]
    bad = write_scene(tmp_path / "fixations.mat", {(2, 3): [[1, 2, 3]]})
    with pytest.raises(ValueError, match=r"fixations\.mat cell 3, 4 has shape \(3,\)"):
        published.read_scene(bad, How())
    # A file of another set with the same name and variable.
    scipy.io.savemat(tmp_path / "fixations.mat", {"fixations": np.zeros((700, 1), object)})
    assert published.recognise_scene(open_file(tmp_path / "fixations.mat")) == ""


@pytest.mark.parametrize("part", [0, 0.01, 0.5, 0.999])
def test_a_truncated_file_of_scene_is_refused(part: float, tmp_path: Path) -> None:
    path = tmp_path / "fixations.mat"
    write_scene(path, {(0, 1): [[118.5, 49.75, 0.334, 0.134]]})
    content = path.read_bytes()
    opened = write(path, content[: int(part * len(content))])
    published.recognise_scene(opened)
    with pytest.raises(ValueError, match=r"fixations\.mat cannot be read as a MATLAB file"):
        published.read_scene(opened, How())


EXAMPLES: list[tuple[str, bytes, Callable[[Opened], Role], Callable[[Opened, How], Rows]]] = [
    ("SAC.csv", DAEMONS.encode(), published.recognise_daemons, published.read_daemons),
    (
        "a/enc/ab.csv",
        b"1,10.5,20,150\n2,30,40,250\n",
        published.recognise_massvis,
        published.read_massvis,
    ),
    (
        "SCANPATHS/i1/CNG",
        b"10.5  20 0.25 0.5\n30\t40 0.6 0.85\n",
        published.recognise_fixatons,
        published.read_fixatons,
    ),
]


@pytest.mark.parametrize(("name", "content", "recognise", "read"), EXAMPLES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_line(
    name: str,
    content: bytes,
    recognise: Callable[[Opened], Role],
    read: Callable[[Opened, How], Rows],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    message = ""
    try:
        opened = write(folder / name, data.draw(damaged(content)))
        if recognise(opened):
            found = read(opened, How())
            assert len(found.x.values) == len(found.place)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message
