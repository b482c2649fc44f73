"""Files of one person: sessions are kept apart, and two recordings are not joined."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from tfds_builders.common import gaze_files
from tfds_builders.common.gaze_files import Detection, Fixations, How, Options, bids
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.rows import in_order_of_rows, names_of

PUPIL = (
    "world_timestamp,world_index,fixation_id,start_timestamp,duration,norm_pos_x,norm_pos_y,on_surf"
)
GAZEPOINT = "MEDIA_NAME,TIME,FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV"


def eyelink(images: str, folder: str = "", x: int = 100, user: str = "P01") -> str:
    """A report of trials counted from 1, of pictures with names of one letter."""
    lines = ["RECORDING_SESSION_LABEL,TRIAL_INDEX,image,CURRENT_FIX_DURATION,CURRENT_FIX_X,"
             "CURRENT_FIX_Y,CURRENT_FIX_START"]  # fmt: skip
    for trial, image in enumerate(images, 1):
        lines += [f"{user},{trial},{folder}{image}.png,200,{x + k},{x},{300 * k}" for k in (0, 1)]
    return "\n".join(lines)


def gazepoint(images: str, begin: float = 0.0) -> str:
    """An export of one person, whose times are since the start of the recording."""
    lines = [GAZEPOINT]
    for number, image in enumerate(images):
        start = begin + number
        lines.append(f"{image}.png,{start + 0.4},0.5,0.5,{start + 0.1},0.2,{number + 1},1")
    return "\n".join(lines)


def tobii(images: str) -> str:
    """An export of one recording, whose name and person are called alike in every project."""
    media = "Presented Media"
    place = "".join(f"{media} position {axis} [DACS px]\t" for axis in "XY")
    lines = [
        f"Recording timestamp [ms]\tParticipant name\tRecording name\t{media} name\t{media} width "
        f"[px]\t{media} height [px]\t{place}Eye movement type\tGaze event duration [ms]\tEye "
        "movement type index\tFixation point X [DACS px]\tFixation point Y [DACS px]"
    ]
    for number, image in enumerate(images):
        cells = [1000 * number, "P01", "Recording1", f"{image}.png", 800, 600, 0, 0]
        lines.append("\t".join(map(str, [*cells, "Fixation", 200, number + 1, 100, 100])))
    return "\n".join(lines)


def jspsych(images: str) -> str:
    """A run of trials counted from 1."""
    box = {"x": 0, "y": 0, "width": 800, "height": 600}
    return json.dumps(
        [
            {
                "trial_type": "image-keyboard-response",
                "trial_index": trial,
                "stimulus": f"{image}.png",
                "subject": "P01",
                "webgazer_data": [{"x": 100, "y": 100, "t": 40 * k} for k in range(9)],
                "webgazer_targets": {"#jspsych-image-keyboard-response-stimulus": box},
            }
            for trial, image in enumerate(images, 1)
        ]
    )


def read(folder: Path, files: dict[str, str], **options: Any) -> Fixations:
    """Writes files, and reads them without errors."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found, errors = gaze_files.read([folder], Options(**options))
    if found is None:
        raise ValueError(errors[0])
    return found


DETECT = {"how": How(detection=Detection(30, 100, 75))}


@pytest.mark.parametrize(
    ("make", "ending", "options"),
    [(eyelink, "csv", {}), (tobii, "tsv", {}), (jspsych, "json", DETECT)],
)
def test_two_recordings_of_one_name_are_not_joined(
    make: Any, ending: str, options: dict[str, Any], tmp_path: Path
) -> None:
    """No picture has the same trial in both, so that no viewing is in both files."""
    files = {f"day{day}/a.{ending}": make(images) for day, images in ((1, "abc"), (2, "bca"))}
    with pytest.raises(ValueError, match=r"'P01' looks at .* as in two recordings, expected"):
        read(tmp_path, files, **options)
    found = read(tmp_path, files, **options, user_from="day(?P<session>.)/")
    assert (found.user_ids, found.session_ids) == (["P01"], [["1", "2"]])


def test_trials_are_in_the_order_of_the_rows_of_each_person() -> None:
    """The first person lacks T2, which the second one has before T3."""
    trials, users = names_of(["T1", "T3", "T1", "T2", "T3"]), names_of(["a", "a", "b", "b", "b"])
    number = in_order_of_rows(trials, users)
    assert number[:2].argsort().tolist() == [0, 1]
    assert number[2:].argsort().tolist() == [0, 1, 2]


def test_a_recording_may_go_on_in_a_second_file(tmp_path: Path) -> None:
    lines = eyelink("abcd").splitlines()
    parts = {"1.csv": lines[:5], "2.csv": [lines[0], *lines[5:]]}
    files = {name: "\n".join(one) for name, one in parts.items()}
    assert read(tmp_path / "e", files).session_ids == []
    lines = [line for line in gazepoint("abcd").replace(GAZEPOINT, "").splitlines() if line]
    header = f"user,{GAZEPOINT}"
    files = {
        f"{number}.csv": "\n".join([header, *(f"P01,{line}" for line in lines[2 * number :][:2])])
        for number in (0, 1)
    }
    assert read(tmp_path / "g", files).user_ids == ["P01"]


def test_a_trial_of_smi_has_one_picture(tmp_path: Path) -> None:
    header = "Trial\tStimulus\tParticipant\tCategory\tEvent Start Trial Time [ms]\tEvent Duration "
    rows = [
        f"Trial00{trial}\t{image}.png\tP01\tFixation\t0\t200\t9\t9"
        for images in ("ab", "ba")
        for trial, image in enumerate(images, 1)
    ]
    text = "\n".join([f"{header}[ms]\tFixation Position X [px]\tFixation Position Y [px]", *rows])
    with pytest.raises(ValueError, match=r"row 3: user 'P01' looks at 'b\.png' in trial 1, and at"):
        read(tmp_path, {"a.txt": text})


def test_files_of_one_name_in_folders_of_sessions(tmp_path: Path) -> None:
    files = {f"day{day}/P0{user}.csv": gazepoint("ab") for day in (1, 2) for user in (1, 2)}
    with pytest.raises(ValueError, match="would be of one user 'P01', expected names"):
        read(tmp_path, files)
    found = read(tmp_path, files, user_from=r"(P\d+)")
    assert found.user_ids == ["P01", "P02"]
    assert found.session_ids == [[f"day{day}/P0{user}.csv" for day in (1, 2)] for user in (1, 2)]


def test_names_of_files_with_accents_apart(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "José")
    files = {f"day{day}/{apart}_fixations.csv": gazepoint("a") for day in (1, 2)}
    with pytest.raises(ValueError, match="would be of one user 'José', expected names"):
        read(tmp_path, files)
    files = {f"{apart}/day{day}.csv": gazepoint("a") for day in (1, 2)}
    found = read(tmp_path / "b", files, user_from="(José)/")
    assert (found.user_ids, found.session_ids) == (["José"], [["day1.csv", "day2.csv"]])


@pytest.mark.parametrize("pattern", ["^([a-z]+)_", r"([a-z]+)_\d", "(?P<user>[a-z]+)_"])
def test_the_surfaces_of_a_recording_are_of_one_session(pattern: str, tmp_path: Path) -> None:
    files = {
        f"{recording}/exports/000/surfaces/fixations_on_surface_{surface}.csv": (
            f"{PUPIL}\n10,1,1,{number},200,.5,.5,True\n"
        )
        for number, (recording, surface) in enumerate(
            (one, two) for one in ("ann_1", "ann_2", "bo_1") for two in ("left", "right")
        )
    }
    found = read(tmp_path, files, user_from=pattern)
    assert found.user_ids == ["ann", "bo"]
    assert found.session_ids == [["ann_1", "ann_2"], ["bo_1"]]
    assert found.warnings == []


def test_pictures_of_one_name_in_two_folders(tmp_path: Path) -> None:
    both = eyelink("ab", "setA\\") + "\n" + eyelink("ab", "setB\\", user="P02").partition("\n")[2]
    with pytest.raises(ValueError, match=r"the images 'setA/a\.png' and 'setB/a\.png', expected"):
        read(tmp_path / "one", {"a.csv": both})
    found = read(tmp_path / "one", {"a.csv": both}, where=("RECORDING_SESSION_LABEL == P02",))
    assert (found.image_ids, found.warnings) == (["a.png", "b.png"], [])
    files = {f"{one}.csv": eyelink("ab", f"set{one}\\", user=one) for one in "AB"}
    (warning,) = read(tmp_path / "two", files).warnings
    assert "folders of two names: 'a.png' and 1 more (in 'setA' in" in warning
    # Two computers, on which the folder of the pictures is called alike.
    files = {f"{one}.csv": eyelink("ab", f"{one}:\\exp{one}\\set\\", user=one) for one in "CD"}
    assert read(tmp_path / "three", files).warnings == []


def test_sets_of_pictures_are_data_sets_of_their_own(tmp_path: Path) -> None:
    files = {f"{one}/SCANPATHS/1/s1": "10 20 0 0.2\n" for one in ("SIENA", "TORONTO")}
    with pytest.raises(ValueError, match="are of two sets, expected one"):
        read(tmp_path, files)


def test_a_recording_that_goes_on_is_in_order_of_time(tmp_path: Path) -> None:
    """The second file has the first image again, and the end of the last fixation of the first."""
    first, second = gazepoint("abc").splitlines(), gazepoint("dca", begin=5).splitlines()
    cut = first[-1].replace("c.png", "d.png").replace(",0.2,", ",0.3,")
    files = {"2.csv": [first[0], *first[1:]], "1.csv": [second[0], cut, *second[1:]]}
    texts = {
        name: "\n".join([f"user,{header}", *(f"P01,{line}" for line in lines)])
        for name, (header, *lines) in files.items()
    }
    found = read(tmp_path, texts)
    assert [note for note in found.notes if "began" in note] == [
        "1 rows left out: of a fixation that began in another file"
    ]
    assert len(found.image) == 6
    of_c = found.image == found.image_ids.index("c.png")
    assert found.t_ms is not None
    assert found.t_ms[of_c][found.trial[of_c].argsort()].tolist() == [2100, 6100]


def test_blocks_of_a_session_that_is_given_may_count_anew(tmp_path: Path) -> None:
    files = {f"P01_s1_b{block}.csv": eyelink(images, user=f"P01s1b{block}")
             for block, images in ((1, "abc"), (2, "def"))}  # fmt: skip
    pattern = r"(?P<user>P\d+)(?P<session>s\d)"
    assert read(tmp_path / "a", files, user_from=pattern).session_ids == [["s1"]]
    files["P01_s1_b2.csv"] = eyelink("dae", user="P01s1b2")
    with pytest.raises(ValueError, match=r"looks at 'a\.png' in trial 2, and in .* in an order"):
        read(tmp_path / "b", files, user_from=pattern)


def test_trials_that_go_on_are_of_one_recording(tmp_path: Path) -> None:
    later = jspsych("def").replace('"trial_index": ', '"trial_index": 1')
    files = {"1.json": jspsych("abc"), "2.json": later}
    assert read(tmp_path, files, **DETECT).session_ids == []


def test_statistics_of_smi_without_trials_are_no_recordings(tmp_path: Path) -> None:
    header = "Stimulus\tParticipant\tCategory\tEvent Start Trial Time [ms]\tEvent Duration [ms]"
    rows = [f"{image}.png\tP01\tFixation\t0\t200\t9\t9" for image in "abc"]
    text = "\n".join([f"{header}\tFixation Position X [px]\tFixation Position Y [px]", *rows])
    assert read(tmp_path, {"a.txt": text}).image_ids == ["a.png", "b.png", "c.png"]


def test_a_trial_of_an_eyelink_report_has_one_picture(tmp_path: Path) -> None:
    both = eyelink("abc") + "\n" + eyelink("bca").partition("\n")[2]
    with pytest.raises(ValueError, match=r"row 7: user 'P01' looks at 'b\.png' in trial 1, and at"):
        read(tmp_path, {"a.csv": both})


def test_sessions_in_folders_have_a_note_of_their_order(tmp_path: Path) -> None:
    files = {f"{session}/P01.csv": eyelink("abc") for session in ("pre", "post")}
    found = read(tmp_path, files, user_from="(?P<session>[^/]+)/[^/]+$")
    assert found.session_ids == [["post", "pre"]]
    assert any("in the order of their names, such as 'post', 'pre'" in note for note in found.notes)


def test_subjects_of_two_bids_data_sets_are_others(tmp_path: Path) -> None:
    paths = [tmp_path / study / "sub-01/beh/events.tsv" for study in ("a", "b")]
    with pytest.raises(ValueError, match="are of two data sets, expected one"):
        bids.check_one_set([Opened(path, ".tsv", "", "", "", ()) for path in paths])


def test_a_fixation_belongs_to_the_medium_on_which_it_began(tmp_path: Path) -> None:
    """Its last rows are on the next medium, also where conditions leave the first one out."""
    header, *lines = tobii("xab").splitlines()
    cross, *others = lines
    late = cross.replace("x.png", "a.png").replace("0\tP01", "100\tP01", 1)
    text = {"a.tsv": "\n".join([header, cross, late, *others])}
    found = read(tmp_path, text, where=("Presented Media name != x.png",))
    assert found.image_ids == ["a.png", "b.png"]
    assert len(found.image) == 2
    assert any(
        "1 rows left out: of a fixation that began on a medium" in note for note in found.notes
    )


def test_fixations_of_another_recording_have_the_same_numbers(tmp_path: Path) -> None:
    """Without a name of the recording, a condition chooses the rows of one."""
    header, *first = tobii("xy").replace("Recording name", "session").splitlines()
    second = [line.replace("Recording1", "2") for line in tobii("ab").splitlines()[1:]]
    lines = [header, *(line.replace("Recording1", "1") for line in first), *second]
    found = read(tmp_path, {"a.tsv": "\n".join(lines)}, where=("session == 2",))
    assert (found.image_ids, found.session_ids) == (["a.png", "b.png"], [["2"]])
