"""Exports of Pupil Labs: enrichments and surfaces."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common.gaze_files import pupil, read
from tfds_builders.common.gaze_files.containers import Opened, open_file
from tfds_builders.common.gaze_files.example_files import damaged, names, numbers
from tfds_builders.common.gaze_files.how import How
from tfds_builders.common.gaze_files.recognise import Options

IDS = "section id,recording id,fixation id,start timestamp [ns],end timestamp [ns],duration [ms]"
TWO_ROWS = (
    f"{IDS},fixation detected on surface,fixation x [normalized],fixation y [normalized]\n"
    "s1,r1,253,1754690200000000000,1754690200125000000,125,true,0.351140,0.913820\n"
    "s1,r1,263,1754690203000000000,1754690203080000000,80,false,0.281950,1.587420\n"
)
# Recording r1 has two sections, which overlap, the later one first; r2 is of the same person.
MARKERS = (
    TWO_ROWS
    + "s3,r1,270,1754690209000000000,1754690209100900000,100,TRUE,0.5,0.6\n"
    + "s1,r1,270,1754690209000000000,1754690209100900000,100,true,0.5,0.6\n"
    + "s2,r2,3,1754690100000000001,1754690100050000001,50,true,0.7,0.8\n"
    + "s2,r2,4,1754690101000000001,1754690101050000001,50,,,\n"
)
SECTIONS = """\
section id,recording id,recording name,wearer id,wearer name,section start time [ns]
s1,r1,2026-01-02_10:00:00,w1,Ann,1754690200000000000
s3,r1,2026-01-02_10:00:00,w1,Ann,1754690208000000000
s2,r2,2026-01-01_10:00:00,w1,Ann,1754690100000000000
"""
REFERENCE = (
    f"{IDS},fixation detected in reference image,fixation x [px],fixation y [px]\n"
    "s1,r1,1,1754690200000000000,1754690200125000000,125,true,640.5,480\n"
)
RAW = f"{IDS},fixation x [px],fixation y [px],azimuth [deg],elevation [deg]\n"
RAW += "s1,r1,1,1754690200000000000,1754690200125000000,125,800,600,1.5,2.5\n"
GAZE = "section id,recording id,timestamp [ns],gaze detected on surface,fixation id\n"
AREAS = "aoi id,aoi name,section id,recording id,fixation id,fixation duration [ms]\n"

SURFACE = """\
world_timestamp,world_index,fixation_id,start_timestamp,duration,dispersion,norm_pos_x,norm_pos_y,\
x_scaled,y_scaled,on_surf
70.1,5,8,70.05,180.5,1.1,0.310,0.850,1,1,True
70.2,6,8,70.05,180.5,1.1,0.330,0.860,1,1,True
70.3,7,8,70.05,180.5,1.1,0.300,0.990,1,1,True
70.4,8,9,70.35,220.0,1.1,0.420,0.830,1,1,True
70.5,9,9,70.35,220.0,1.1,0.440,0.850,1,1,True
70.6,10,9,70.35,220.0,1.1,0.900,1.700,1,1,False
70.7,11,10,70.65,90.0,1.1,1.900,1.700,1,1,False
"""
CORE_SCENE = "id,start_timestamp,duration,start_frame_index,end_frame_index,norm_pos_x,norm_pos_y\n"


def write(path: Path, content: str | bytes) -> Opened:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_file(path)


def write_enrichment(folder: Path, fixations: str, sections: str = SECTIONS) -> Opened:
    write(folder / "sections.csv", sections)
    return write(folder / "fixations.csv", fixations)


def test_a_recording_is_a_session_of_the_wearer(tmp_path: Path) -> None:
    opened = write_enrichment(tmp_path / "painting", MARKERS)
    assert pupil.recognise_pupil_cloud(opened) == "fixations"
    found = pupil.read_pupil_cloud(opened, How())
    assert found.place.tolist() == [1, 3, 5]
    assert names(found.image) == ["painting"] * 3
    assert names(found.user) == ["Ann"] * 3
    assert names(found.session) == ["2026-01-02_10:00:00"] * 2 + ["2026-01-01_10:00:00"]
    assert numbers(found.trial) == [2, 3, 1]  # In the order of their first fixations.
    assert numbers(found.x) == [0.35114, 0.5, 0.7]
    assert numbers(found.y) == [0.91382, 0.6, 0.8]
    assert numbers(found.duration_ms) == [125, 100, 50]
    np.testing.assert_allclose(np.diff(numbers(found.t_ms)), [9000, -109000], atol=1e-3)
    assert (found.units, found.frame, found.y_axis) == ("frac", "image", "down")
    assert dict(found.left_out) == {
        "not on the image": 2,
        "a fixation again, in another section": 1,
    }


def test_recordings_of_one_name_are_sessions_by_their_ids(tmp_path: Path) -> None:
    same = SECTIONS.replace("2026-01-01", "2026-01-02")
    found = pupil.read_pupil_cloud(write_enrichment(tmp_path / "e", MARKERS, same), How())
    assert names(found.session) == ["r1", "r1", "r2"]


def test_a_recording_without_a_fixation_is_named(tmp_path: Path) -> None:
    sections = SECTIONS + "s4,r3,2026-01-03_10:00:00,w3,Bo,1\ns5,r4,2026-01-04_10:00:00,w1,Ann,1\n"
    write_enrichment(tmp_path / "e", MARKERS, sections)
    found, errors = read([tmp_path / "e"], Options())
    assert found is not None, errors
    assert found.warnings == [
        "users left out, of whom no row is left: 'Bo' (without a fixation)",
        "sessions left out, of which no row is left: '2026-01-04_10:00:00' of 'Ann' (without a "
        "fixation)",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("w1", "w2", "the wearer 'Ann' has the wearer id 'w2', and 'w1' in .*one/sections.csv"),
        ("Ann", "Bo", "the wearer id 'w1' has the wearer 'Bo', and 'Ann' in"),
        ("r1", "r9", "'Ann 2026-01-02_10:00:00' has the recording id 'r9', and 'r1' in"),
        (
            "2026-01-02",
            "x",
            "the recording id 'r1' has the recording 'Ann x_10:00:00', and 'Ann 20",
        ),
        # Another recording of the name.
        ("s1,r1", "s7,r7,2026-01-02_10:00:00,w3,Bo,1\ns1,r1", "has recordings without names of"),
    ],
)
def test_names_mean_the_same_in_several_exports(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    write_enrichment(tmp_path / "one", MARKERS)
    write_enrichment(tmp_path / "two", MARKERS)
    found, errors = read([tmp_path], Options())
    assert found is not None, errors
    assert found.user_ids == ["Ann"]
    changed = [MARKERS.replace(old, new) if old == "r1" else MARKERS, SECTIONS.replace(old, new)]
    write_enrichment(tmp_path / "two", *changed)
    with pytest.raises(ValueError, match=message):
        read([tmp_path], Options())


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (None, r"fixations\.csv names no person and lacks sections\.csv beside it"),
        (SECTIONS.replace("r2", "r9"), r"row 5: recording id is 'r2', which sections\.csv"),
        (SECTIONS.replace("w1,Ann", "w1,"), r"sections\.csv row 1: wearer name is empty"),
        (SECTIONS.replace("r2,2026-01-01_10:00:00,w1", "r2,x,w2"), "'Ann' has a second wearer id"),
        (SECTIONS.replace("w1,Ann", "w2,Bo", 1), "row 2: recording id 'r1' has the wearer 'Ann'"),
        (SECTIONS.replace("r2,2026-01-01_10:00:00,w1,Ann", "r2,x,w1,Bo"), "'w1' has the names 'An"),
        (SECTIONS.replace("wearer name", "who"), "has no column 'wearer name'"),
    ],
)
def test_people_that_are_not_known_are_refused(
    sections: str | None, message: str, tmp_path: Path
) -> None:
    opened = write(tmp_path / "fixations.csv", MARKERS)
    if sections is not None:
        write(tmp_path / "sections.csv", sections)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        pupil.read_pupil_cloud(opened, How())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",125,", ",0.125,", r"row 1: duration \[ms\] is 0.125, expected 125"),
        ("125,true", "125,yes", "row 1: fixation detected on surface is 'yes', expected true"),
        ("1754690200000000000", "1.75469E+18", r"row 1: start timestamp .* whole nanoseconds"),
        ("1754690200000000000", "9754690200000000000", "row 1: start timestamp"),
        ("fixation x [normalized]", "x", r"has no column 'fixation x \[normalized\]'"),
    ],
)
def test_damaged_enrichments_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in MARKERS
    with pytest.raises(ValueError, match=message):
        pupil.read_pupil_cloud(write_enrichment(tmp_path, MARKERS.replace(old, new)), How())


def test_pixels_of_the_reference_image(tmp_path: Path) -> None:
    opened = write_enrichment(tmp_path / "wall", REFERENCE)
    assert names(pupil.read_pupil_cloud(opened, How()).image) == ["wall"]
    (tmp_path / "wall" / "reference_image.jpeg").write_bytes(b"")
    found = pupil.read_pupil_cloud(opened, How())
    assert names(found.image) == ["wall/reference_image.jpeg"]
    assert (found.units, found.frame) == ("px", "image")
    assert (numbers(found.x), numbers(found.y)) == ([640.5], [480])


@pytest.mark.parametrize(("status", "count"), [("True", 1), ("False", 0), ("Not mapped", 0)])
def test_the_status_of_the_manual_mapper(status: str, count: int, tmp_path: Path) -> None:
    text = REFERENCE.replace("fixation detected in reference image", "fixation status")
    opened = write_enrichment(tmp_path / "wall", text.replace("125,true", f"125,{status}"))
    assert len(pupil.read_pupil_cloud(opened, How()).place) == count


@pytest.mark.parametrize(
    ("path", "user"),
    [
        ("ann/exports/2026-01-31_10-00-00/fixations_on_surface_a.png.csv", "ann"),
        ("bo/fixations_on_surface_a.png.csv", "bo"),
    ],
)
def test_neon_player_has_no_ids(path: str, user: str, tmp_path: Path) -> None:
    text = "\n".join(line.split(",", 2)[2] for line in TWO_ROWS.splitlines()) + "\n"
    found = pupil.read_pupil_cloud(write(tmp_path / path, text), How())
    assert names(found.image) == ["a.png"]
    assert names(found.user) == [user]
    assert found.session is None
    assert numbers(found.x) == [0.35114]


def test_the_scene_camera_is_refused_but_left_out_beside_an_image(tmp_path: Path) -> None:
    write_enrichment(tmp_path / "painting", MARKERS)
    write(tmp_path / "raw" / "fixations.csv", RAW)
    write(tmp_path / "painting" / "gaze.csv", GAZE)
    write(tmp_path / "painting" / "aoi_fixations.csv", AREAS)
    found, errors = read([tmp_path], Options())
    assert errors == []
    assert found is not None
    assert found.format == "pupil-cloud"
    assert len(found.xy) == 3
    assert any("left out: in the picture of a scene camera" in note for note in found.notes)
    [note] = [note for note in found.notes if "that holds no gaze of its own" in note]
    assert note.startswith(f"{tmp_path / 'painting' / 'aoi_fixations.csv'} and 2 more left out: ")
    with pytest.raises(ValueError, match="in the picture of the scene camera, which is no image"):
        read([tmp_path / "raw"], Options())
    core = write(tmp_path / "fixations.csv", CORE_SCENE)
    assert pupil.recognise_pupil_core(core) == "scene"
    with pytest.raises(ValueError, match=r"the surface tracker \(fixations_on_surface_NAME"):
        pupil.read_pupil_core(core, How())


@pytest.mark.parametrize(
    ("path", "user"),
    [
        ("ann/exports/000/surfaces", "ann"),
        ("2026_01_31/001/exports/000/surfaces", "2026_01_31/001"),
        ("bo", "bo"),
    ],
)
def test_a_fixation_on_a_surface_is_the_median_of_its_frames(
    path: str, user: str, tmp_path: Path
) -> None:
    opened = write(tmp_path / path / "fixations_on_surface_s0.png.csv", SURFACE)
    assert pupil.recognise_pupil_core(opened) == "fixations"
    found = pupil.read_pupil_core(opened, How())
    assert found.place.tolist() == [1, 4]
    assert names(found.image) == ["s0.png"] * 2
    assert names(found.user) == [user] * 2
    # The median of .31, .33, .30 and of .85, .86, .99; then of two each.
    np.testing.assert_allclose(numbers(found.x), [0.31, 0.43])
    np.testing.assert_allclose(numbers(found.y), [0.86, 0.84])
    assert numbers(found.duration_ms) == [180.5, 220]
    np.testing.assert_allclose(numbers(found.t_ms), [70050, 70350])
    assert (found.units, found.frame, found.y_axis) == ("frac", "image", "up")
    assert dict(found.left_out) == {
        "not on the surface": 2,
        "a fixation again, in a further frame": 3,
    }


def test_recordings_of_one_name_in_two_folders_are_not_one_person(tmp_path: Path) -> None:
    for person, image in (("ann", "a.jpg"), ("bo", "c.jpg")):
        folder = tmp_path / person / "2026_01_01" / "000" / "exports" / "000" / "surfaces"
        folder.mkdir(parents=True)
        write(folder / f"fixations_on_surface_{image}.csv", SURFACE)
    with pytest.raises(ValueError, match="would be of one user '2026_01_01/000', expected names"):
        read([tmp_path], Options())
    for pattern in ("([^/]+)/2026_01_01/000", "^([^/]+)/"):
        found, errors = read([tmp_path], Options(user_from=pattern))
        assert found is not None, errors
        assert found.user_ids == ["ann", "bo"]


def test_recordings_that_were_joined_are_parted_by_a_condition(tmp_path: Path) -> None:
    head, *lines = SURFACE.splitlines()
    again = [line.replace(",70.", ",90.") for line in lines]
    both = [f"{head},session", *(f"{one},1" for one in lines), *(f"{one},2" for one in again)]
    path = tmp_path / "fixations_on_surface_s0.png.csv"
    write(path, "\n".join(both) + "\n")
    found, errors = read([path], Options(where=("session == 2",)))
    assert found is not None, errors
    assert found.session_ids == [["2"]]
    assert found.t_ms is not None
    np.testing.assert_allclose(found.t_ms, [90050, 90350])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.330", "x", "row 2: norm_pos_x is 'x', expected a number"),
        ("70.2,6,8,70.05", "70.2,6,8,70.06", "row 2: start_timestamp is 70.06, expected 70.05"),
        ("1,1,True\n70.2", "1,1,1\n70.2", "row 1: on_surf is '1', expected true, false"),
        ("70.1,5,8", "70.1,5,", "row 1: fixation_id is empty"),
    ],
)
def test_damaged_surfaces_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in SURFACE
    with pytest.raises(ValueError, match=message):
        pupil.read_pupil_core(write(tmp_path / "s.csv", SURFACE.replace(old, new)), How())


def test_a_surface_without_its_name_has_no_image(tmp_path: Path) -> None:
    assert pupil.read_pupil_core(write(tmp_path / "s.csv", SURFACE), How()).image is None


def test_a_file_off_the_surface_is_left_out_beside_others(tmp_path: Path) -> None:
    header = "id,start_timestamp,duration,norm_pos_x,norm_pos_y,on_srf\n"
    for user, is_on in (("ann", "True"), ("bob", "False")):
        text = f"{header}8,70.05,180.5,.3,.8,{is_on}\n"
        write(tmp_path / user / "fixations_on_surface_a.csv", text)
    found, _ = read([tmp_path], Options())
    assert found is not None
    assert found.user_ids == ["ann"]
    path = tmp_path / "bob" / "fixations_on_surface_a.csv"
    assert f"{path} left out: no row is left (1 not on the surface)" in found.notes
    _, errors = read([path], Options())
    assert errors[0].endswith("expected one for each fixation (left out: 1 not on the surface)")


def test_old_exports_have_other_names_and_a_row_for_each_fixation(tmp_path: Path) -> None:
    header = "id\tstart_timestamp\tduration\tstart_frame\tend_frame\tnorm_pos_x\tnorm_pos_y\t"
    text = f"{header}x_scaled\ty_scaled\ton_srf\n8\t70.05\t180.5\t5\t7\t.3\t.8\t1\t1\tTrue\n"
    text += "9\t70.35\t220\t8\t9\t.9\t1.7\t1\t1\tFalse\n"
    path = tmp_path / "ann" / "fixations_on_surface_a.csv"
    found = pupil.read_pupil_core(write(path, text), How())
    assert (numbers(found.x), numbers(found.y)) == ([0.3], [0.8])
    assert (numbers(found.duration_ms), dict(found.left_out)) == (
        [180.5],
        {"not on the surface": 1},
    )
    assert "with 'on_srf' True" in found.taken
    for folder, role in ((tmp_path / "ann", "beside"), (tmp_path / "bob", "samples")):
        header = "world_timestamp\tgaze_timestamp\tx_norm\ty_norm\ton_srf\n"
        gaze = write(folder / "gaze_positions_on_surface_a.csv", header)
        assert pupil.recognise_pupil_core(gaze) == role
    for old, new, message in (
        ("\tFalse", "\t0", "row 2: on_srf is '0', expected true, false"),
        ("\n9\t", "\n\t", "row 2: id is empty, expected a number"),
        # The oldest ones have seconds.
        ("180.5", "0.1805", r"nothing says whether the durations are milli.* \(median 0\.1805"),
    ):
        with pytest.raises(ValueError, match=message):
            pupil.read_pupil_core(write(path, text.replace(old, new)), How())


def test_durations_in_seconds_are_found_by_the_frames(tmp_path: Path) -> None:
    # Neon Player 4: the same header without the dispersion, and seconds.
    in_ms = SURFACE.replace("dispersion,", "").replace(",1.1,", ",")
    in_s = in_ms.replace(",180.5,", ",0.1805,").replace(",220.0,", ",0.22,")
    # The frames on the surface span 200 and 100 ms.
    for text, unit in ((SURFACE, "ms"), (in_ms, "ms"), (in_s, "s")):
        found = pupil.read_pupil_core(write(tmp_path / "s.csv", text), How())
        np.testing.assert_allclose(numbers(found.duration_ms), [180.5, 220])
        assert f"duration from 'duration' ({unit})" in found.taken
    # One frame of each fixation: nothing says that .1805 are seconds.
    lines = in_s.splitlines(keepends=True)
    one_frame = write(tmp_path / "s.csv", "".join([lines[0], lines[1], lines[4]]))
    with pytest.raises(ValueError, match=r"s\.csv: nothing says whether the durations are milli"):
        pupil.read_pupil_core(one_frame, How())
    # Durations of 30 beside frames over 200 ms are of neither unit.
    neither = in_ms.replace(",180.5,", ",30,").replace(",220.0,", ",30,")
    with pytest.raises(ValueError, match=r"median 30, the frames of a fixation span 150 ms"):
        pupil.read_pupil_core(write(tmp_path / "s.csv", neither), How())


@pytest.mark.parametrize("text", [MARKERS, REFERENCE, SECTIONS, RAW, GAZE, AREAS, SURFACE])
def test_a_file_is_of_one_format(text: str, tmp_path: Path) -> None:
    opened = write(tmp_path / "f.csv", text)
    roles = [pupil.recognise_pupil_cloud(opened), pupil.recognise_pupil_core(opened)]
    assert sum(map(bool, roles)) == 1
    other = write(tmp_path / "t.csv", "fixation id,duration [ms],x\n")
    assert pupil.recognise_pupil_cloud(other) == pupil.recognise_pupil_core(other) == ""


@pytest.mark.parametrize(
    ("fixations", "sections", "is_of_sections"),
    [(MARKERS, SECTIONS, False), (MARKERS, SECTIONS, True), (SURFACE, SECTIONS, False)],
)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_line(
    fixations: str,
    sections: str,
    is_of_sections: bool,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    content = (sections if is_of_sections else fixations).encode()
    changed = data.draw(damaged(content))
    folder = tmp_path_factory.mktemp("damaged")
    message = ""
    try:
        (folder / "sections.csv").write_bytes(changed if is_of_sections else sections.encode())
        opened = write(folder / "fixations.csv", fixations if is_of_sections else changed)
        if pupil.recognise_pupil_cloud(opened):
            found = pupil.read_pupil_cloud(opened, How())
            assert len(found.x.values) == len(found.place)
        if pupil.recognise_pupil_core(opened):
            found = pupil.read_pupil_core(opened, How())
            assert len(found.x.values) == len(found.place)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message


def test_a_frame_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    header, first, *others = SURFACE.splitlines(keepends=True)
    path = tmp_path / "fixations_on_surface_a.csv"
    once = pupil.read_pupil_core(write(path, SURFACE), How())
    twice = pupil.read_pupil_core(write(path, "".join([header, first * 4, *others])), How())
    assert (numbers(twice.x), numbers(twice.y)) == (numbers(once.x), numbers(once.y))
    assert twice.left_out["a frame again, in an equal row"] == 3
