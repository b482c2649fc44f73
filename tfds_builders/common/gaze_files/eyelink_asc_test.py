"""Recordings of EyeLink as .asc text."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common.gaze_files import eyelink_asc
from tfds_builders.common.gaze_files.containers import Opened, open_file
from tfds_builders.common.gaze_files.example_files import damaged, names, numbers
from tfds_builders.common.gaze_files.how import How
from tfds_builders.common.gaze_files.read import read as read_files
from tfds_builders.common.gaze_files.recognise import Options
from tfds_builders.common.gaze_files.rows import Rows

# Line 4 is before all trials. Trial 0 has both eyes, trial 1 the right one only. The image of trial
# 1 is named after its recording.
BOTH = """** CONVERTED FROM p07.edf using edfapi 3.1
MSG\t1000 DISPLAY_COORDS 0 0 1023 767
START\t1100 \tLEFT\tSAMPLES\tEVENTS
EFIX L   1110\t1200\t91\t  500.0\t  300.0\t   1070
END\t1300 \tSAMPLES\tEVENTS\tRES\t  35.19\t  35.15
MSG\t2000 TRIALID 0
MSG\t2001 !V IMGLOAD CENTER ..\\images\\a b.jpg 512 384 800 600
START\t2010 \tLEFT\tRIGHT\tSAMPLES\tEVENTS
EVENTS\tGAZE\tLEFT\tRIGHT\tRATE\t1000.00\tTRACKING\tCR\tFILTER\t2
2016\t  491.2\t  398.6\t 1070.0\t  501.4\t  390.1\t 1050.0\t.....
EFIX L   2016\t2090\t75\t  500.0\t  380.0\t   1070
MSG\t2100 -11 SYNCTIME
EFIX L   2095\t2743\t649\t  491.2\t  398.6\t   1070
EFIX R   2090\t2743\t654\t  501.4\t  390.1\t   1050
EBLINK L 2750\t2800\t51
ESACC L  2744\t2801\t58\t  491.2\t  398.6\t  209.0\t  372.9\t   8.13\t    354
EFIX L   2802\t2900\t99\t   .\t   .\t      0
END\t3000 \tSAMPLES\tEVENTS\tRES\t  35.19\t  35.15
MSG\t3001 !V TRIAL_VAR picture other.png
MSG\t3002 TRIAL_RESULT 0
MSG\t4000 TRIALID 1
START\t4010 \tRIGHT\tSAMPLES\tEVENTS
EFIX R   4020\t4119\t100\t  112.0\t   84.0\t   1050
END\t4200 \tSAMPLES\tEVENTS\tRES\t  35.19\t  35.15
MSG\t4201 !V IMGLOAD TOP_LEFT images/c.jpg 100 50 400 300
MSG\t4202 TRIAL_RESULT 0
"""


def read(path: Path, text: str, how: How | None = None) -> Rows:
    opened = write(path, text.encode())
    assert eyelink_asc.recognise_eyelink_asc(opened) == "fixations"
    return eyelink_asc.read_eyelink_asc(opened, how or How())


def write(path: Path, content: bytes) -> Opened:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return open_file(path)


@pytest.mark.parametrize("name", ["p07.asc", "p07.asc.gz"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_recording_of_both_eyes(tmp_path: Path, name: str, line_break: str) -> None:
    found = read(tmp_path / name, BOTH.replace("\n", line_break))
    assert found.place.tolist() == [13, 23]
    assert found.place_text is not None
    assert found.place_text(13) == "line 13"
    assert names(found.image) == ["a b.jpg", "c.jpg"]
    assert names(found.user) == ["p07", "p07"]
    assert found.session is None
    assert numbers(found.x) == [491.2, 112]
    assert numbers(found.y) == [398.6, 84]
    assert numbers(found.duration_ms) == [649, 100]
    # SYNCTIME was shown 11 ms after its message; trial 1 has none.
    assert numbers(found.t_ms) == [2095 - 2111, 4020 - 4000]
    assert numbers(found.trial) == [0, 1]
    assert found.shown_px is not None
    # The centre 512, 384 minus half of 800 x 600.
    assert found.shown_px.tolist() == [[112, 84, 800, 600], [100, 50, 400, 300]]
    assert (found.frame, found.units, found.screen_px) == ("screen", "px", (1024, 768))
    assert dict(found.left_out) == {
        "of the other eye": 1,
        "outside any trial": 1,
        "before the trial's display (SYNCTIME)": 1,
        "without a place": 1,
    }
    right = read(tmp_path / name, BOTH, How(eye="right"))
    assert numbers(right.x) == [501.4, 112]
    assert dict(right.left_out) == {"of the other eye": 3, "outside any trial": 1}
    left = read(tmp_path / name, BOTH, How(eye="left"))
    assert "1 rows of the right eye in trials with no other" in left.taken
    only_left = "".join(line for line in BOTH.splitlines(True) if not line.startswith("EFIX R"))
    with pytest.raises(ValueError, match="--eye is right, and the recording has the left eye only"):
        read(tmp_path / name, only_left, How(eye="right"))


def trials(*parts: str, before: str = "") -> str:
    """Trials with one fixation each; a part of a trial is what its messages say."""
    text = f"MSG\t1 DISPLAY_COORDS 0 0 1919 1079\n{before}"
    for number, part in enumerate(parts):
        time = 1000 * (number + 1)
        text += f"MSG\t{time} TRIALID {number + 5}\nSTART\t{time} \tLEFT\tEVENTS\n"
        text += f"EFIX L   {time + 10}\t{time + 109}\t100\t  960.0\t  540.0\t   1070\n"
        text += f"END\t{time + 500} \tEVENTS\n{part}"
        if "TRIAL_RESULT" not in part:
            text += f"MSG\t{time + 600} TRIAL_RESULT 0\n"
    return text


COORDINATES = "DISPLAY_COORDS 0 0 1919 1079"


def load(what: str) -> str:
    return f"MSG\t9 !V IMGLOAD {what}\n"


def test_a_letter_of_latin_1_is_read_over_where_it_names_no_image(tmp_path: Path) -> None:
    expected = read(tmp_path / "p07.asc", BOTH)
    text = BOTH.replace("p07.edf", "B\xfcro\\p07.edf").replace("\\images", "\\Bilder f\xfcr")
    found = eyelink_asc.read_eyelink_asc(write(tmp_path / "p07.asc", text.encode("latin-1")), How())
    assert names(found.image) == names(expected.image)
    assert numbers(found.x) == numbers(expected.x)
    text = BOTH.replace("a b.jpg", "gr\xfcn.jpg")
    with pytest.raises(ValueError, match=r"p07.asc: the image 'gr.n.jpg' has a letter that is not"):
        eyelink_asc.read_eyelink_asc(write(tmp_path / "p07.asc", text.encode("latin-1")), How())
    with pytest.raises(ValueError, match="is not a text in UTF-8"):
        eyelink_asc.read_eyelink_asc(write(tmp_path / "p.asc", BOTH.encode() + b"\x81"), How())


def test_an_image_over_the_whole_screen(tmp_path: Path) -> None:
    found = read(tmp_path / "p.asc", trials(load("FILL 1.png"), load("FILL 2 2.png")))
    assert names(found.image) == ["1.png", "2 2.png"]
    assert found.shown_px is not None
    assert found.shown_px.tolist() == [[0, 0, 1920, 1080]] * 2
    # A screen that begins elsewhere: places and rectangles count from its corner.
    text = trials(load("TOP_LEFT 1.png 100 60 8 4")).replace("0 0 1919 1079", "100 50 1123 817")
    found = read(tmp_path / "p.asc", text)
    assert (numbers(found.x), numbers(found.y)) == ([860], [490])
    assert found.shown_px is not None
    assert found.shown_px.tolist() == [[0, 10, 8, 4]]
    assert found.screen_px == (1024, 768)


def test_an_image_without_a_size_has_no_rectangle(tmp_path: Path) -> None:
    text = trials(load("CENTER a 7.png 960 540"), load("CENTER  b.png"))
    found = read(tmp_path / "p.asc", text)
    assert names(found.image) == ["a 7.png", "b.png"]
    assert found.shown_px is None


def test_an_image_in_its_own_size_at_a_corner(tmp_path: Path) -> None:
    text = trials(load("TOP_LEFT a.png 100 50"), load("TOP_LEFT b.png 960 0"), "")
    found = read(tmp_path / "p.asc", text)
    # The fixations are at 960, 540 of the screen; the last one has no image.
    np.testing.assert_array_equal(numbers(found.x), [860, 0, np.nan])
    np.testing.assert_array_equal(numbers(found.y), [490, 540, np.nan])
    assert names(found.image) == ["a.png", "b.png", ""]
    assert (found.frame, found.units, found.screen_px) == ("image", "px", None)
    assert found.shown_px is None
    assert "less the corner of the image" in found.taken
    moved = trials(load("TOP_LEFT a.png 100 50")).replace("0 0 1919 1079", "10 20 1929 1099")
    found = read(tmp_path / "p.asc", moved)
    assert (numbers(found.x), numbers(found.y)) == ([860], [490])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            "CENTER a.png 700 400",
            "",
            "line 6: 'a.png' is around 700, 400, not 960, 540, the middle",
        ),
        ("CENTER a.png 960 540", "CENTER b.png 960 542", "line 12: 'b.png' is around 960, 542"),
        ("TOP_LEFT a.png 9 9", "CENTER b.png 960 540", "line 12: 'b.png' has no left upper corner"),
    ],
)
def test_a_place_without_a_size_is_refused_if_the_size_says_the_place(
    first: str, second: str, message: str, tmp_path: Path
) -> None:
    text = trials(load(first), load(second) if second else "")
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "p.asc", text)
    with pytest.raises(ValueError, match=r"'a\.png' is around|'b\.png' (is around|has no left)"):
        read(tmp_path / "p.asc", text.replace("DISPLAY_COORDS", "SCREEN"))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # Two images in a trial, and one image at two places: left out. One image twice is one.
        (load("FILL a.png"), load("FILL b.png") + load("FILL c.png"), ["a.png"]),
        (load("FILL a.png"), load("CENTER b.png 1 1 2 2") + load("FILL b.png"), ["a.png"]),
        (load("FILL a.png"), load("FILL b.png") * 2, ["a.png", "b.png"]),
        # A trial without an image has none of its neighbours.
        (load("FILL a.png"), "", ["a.png", ""]),
    ],
)
def test_one_image_of_a_trial(tmp_path: Path, first: str, second: str, expected: list[str]) -> None:
    found = read(tmp_path / "p.asc", trials(first, second))
    assert names(found.image) == expected
    several = 2 - len(expected)
    assert sum(found.left_out.values()) == several


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        # The fixations are from 1000 to 1099, 1100 to 1199, ..., 1300 to 1399.
        ("1150 DISPLAY OFF", [1000, 1100]),
        ("1100 DISPLAY OFF", [1000]),
        ("1150 !V CLEAR 128 128 128", [1000, 1100]),
        # Before the picture, and where the picture comes back.
        ("990 !V CLEAR 1 1 1|995 !V IMGLOAD FILL a.png", [1000, 1100, 1200, 1300]),
        ("1050 !V CLEAR 1 1 1|1250 !V IMGLOAD FILL a.png", [1000, 1200, 1300]),
        ("1050 DISPLAY OFF|1250 !V IMGLOAD FILL a.png", [1000]),
        ("1050 !V CLEAR 1 1 1|1150 DISPLAY OFF|1250 !V IMGLOAD FILL a.png", [1000]),
        ("990 DISPLAY ON|1050 DISPLAY OFF|1250 DISPLAY ON", [1000, 1200, 1300]),
        # 60 ms before its message; and a message between trials.
        ("990 SYNCTIME|1150 60 DISPLAY OFF|1395 SYNCTIME", [1000, 1300]),
        ("1400 TRIAL_RESULT 0|1400 DISPLAY OFF|1400 TRIALID 2", [1000, 1100, 1200, 1300]),
    ],
)
def test_fixations_after_the_display_are_left_out(
    messages: str, expected: list[int], tmp_path: Path
) -> None:
    before = [(900, "TRIALID 1"), (980, "!V IMGLOAD FILL a.png")]
    if "CLEAR 1 1 1|995" in messages:
        before.pop()
    lines = [(time, f"MSG\t{time} {text}") for time, text in [(899, COORDINATES), *before]]
    for message in messages.split("|"):
        lines.append((int(message.split()[0]), f"MSG\t{message}"))
    lines += [
        (start + 99, f"EFIX L   {start}\t{start + 99}\t100\t  96.0\t  54.0\t   1070")
        for start in (1000, 1100, 1200, 1300)
    ]
    lines.sort(key=lambda line: line[0])
    found = read(tmp_path / "p.asc", "\n".join(line for _, line in lines) + "\n")
    onset = 990 if "SYNC" in messages or "DISPLAY ON" in messages else 900
    assert [t + onset for t in numbers(found.t_ms)] == expected
    assert sum(found.left_out.values()) == 4 - len(expected)


@pytest.mark.parametrize(
    ("name", "values", "is_known"),
    [("picture", "ab", False), ("picture", "aa", True), ("answer", "12", True)],
)
def test_one_picture_beside_names_that_vary_is_not_the_image(
    name: str, values: str, is_known: bool, tmp_path: Path
) -> None:
    var = "MSG\t9 !V TRIAL_VAR {} {}\n"
    parts = (var.format("mask", "m.png") + var.format(name, value) for value in values)
    found = read(tmp_path / "p.asc", trials(*parts))
    assert (found.image is not None) == is_known
    doubt = "the variable 'mask' is 'm.png' in all trials, beside 'picture', which is 'a', 'b'"
    assert (doubt in found.taken) == (not is_known)
    # A variable is not beside itself, whatever its name.
    found = read(
        tmp_path / "p.asc", trials(*(var.format("target_image", f"{n}.png") for n in "ab"))
    )
    assert names(found.image) == ["a.png", "b.png"]


def test_variables_name_the_image_and_choose_trials(tmp_path: Path) -> None:
    var = "MSG\t9 !V TRIAL_VAR {} {}\n"
    parts = [
        var.format("scene", f"s{n}")
        + var.format("cue", f"{n % 2}.png")
        + var.format("block", n // 2)
        for n in range(5)
    ]
    path = tmp_path / "p.asc"
    found = read(path, trials(*parts))
    assert found.image is None
    assert "'cue' is one of 2 pictures, beside 'scene', which is 's0', 's1' ..., so" in found.taken
    named, errors = read_files([path], Options(image_from="{scene}.jpg"))
    assert named is not None, errors
    assert named.image_ids == [f"s{n}.jpg" for n in range(5)]
    named, errors = read_files([path], Options(image_from="{cue}", where=("block > 1",)))
    assert named is not None, errors
    assert named.image_ids == ["0.png"]
    assert any("not block > 1" in note for note in named.notes), named.notes
    with pytest.raises(ValueError, match=r"p\.asc line 4: scene is 's0', expected numbers"):
        read_files([path], Options(image_from="{cue}", where=("scene > 1",)))
    # A variable that is called as the number of the trial; others with no value in some trials.
    parts = [
        var.format("trial", 9 - n) + var.format("image", f"{n}.png") + var.format("rt", rt)
        for n, rt in enumerate((".", "312.5", "None", "1e-05"))
    ]
    assert names(read(path, trials(*parts)).image) == ["0.png", "1.png", "2.png", "3.png"]
    named, errors = read_files([path], Options(image_from="{trial}.png"))
    assert named is not None, errors
    assert named.image_ids == ["6.png", "7.png", "8.png", "9.png"]
    read(path, trials(var.format("file", 1)))
    with pytest.raises(ValueError, match=r"\{file\} is a variable of .* and the name of the file"):
        read_files([path], Options(image_from="{file}.png"))
    read(path, trials(*parts))
    with pytest.raises(ValueError, match=r"p\.asc has no variable 'phase' of its trials; it has"):
        read_files([path], Options(image_from="{cue}", where=("phase == 1",)))
    with pytest.raises(
        ValueError, match="no column 'img', expected one of 'trial', 'image', 'rt',"
    ):
        read_files([path], Options(image_from="{img}"))


def test_a_trial_without_the_message_of_its_end_takes_no_image_from_others(tmp_path: Path) -> None:
    var, end = "MSG\t9 !V TRIAL_VAR image {}.png\n", "MSG\t8 TRIAL_RESULT 0\n"
    text = trials(*(end + var.format(n) for n in range(3)))
    lacking = text.replace(end + var.format(1), var.format(1))
    for one in (text, lacking):
        assert names(read(tmp_path / "p.asc", one).image) == ["0.png", "1.png", "2.png"]
    # Values before all trials are no trial's, where trials have their own before they end.
    parts = [var.format(n) + end for n in range(3)]
    for last in (parts[2], end):
        text = trials(*parts[:2], last, before=var.format("default"))
        found = read(tmp_path / "p.asc", text)
        assert names(found.image) == ["0.png", "1.png", "2.png" if last == parts[2] else ""]
    # Before each trial, and once more for a trial that did not come: it may be of either.
    text = trials(*(end + var.format(n + 1) for n in range(3)), before=var.format(0))
    assert read(tmp_path / "p.asc", text).image is None
    # Before each trial, and again before it ends.
    twice = trials(
        *(var.format(n) + end + var.format(n + 1) for n in range(2)), before=var.format(0)
    )
    assert names(read(tmp_path / "p.asc", twice).image) == ["0.png", "1.png"]
    # Before each trial, of which one lacks the message of its end.
    parts = [end + var.format(1), var.format(2), end]
    text = trials(*parts, before=var.format(0)).replace("END", "MSG")
    text = text.replace("MSG\t2600 TRIAL_RESULT 0\n", "")
    assert names(read(tmp_path / "p.asc", text).image) == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize("end", ["MSG\t9 TRIAL_RESULT 0\n", ""])
@pytest.mark.parametrize("what", ["!V TRIAL_VAR picture {}.png", "!V IMGLOAD FILL {}.png"])
def test_what_is_sent_before_a_trial_is_of_it(what: str, end: str, tmp_path: Path) -> None:
    text = f"MSG\t1 {COORDINATES}\n"
    for trial in range(3):
        message = f"MSG\t{{}} {what.format(trial)}\nMSG\t{{}} !V TRIAL_VAR scene s{trial}\n"
        start = 1000 * (trial + 1)
        text += message.format(start, start) + f"MSG\t{start + 1} TRIALID {trial}\n"
        text += f"START\t{start + 2} \tLEFT\tEVENTS\n"
        text += f"EFIX L   {start + 10}\t{start + 109}\t100\t  {trial + 1}.0\t  2.0\t   1070\n"
        text += f"END\t{start + 200} \tEVENTS\n{end}"
    path = tmp_path / "p.asc"
    found = read(path, text)
    assert names(found.image) == ["0.png", "1.png", "2.png"]
    named, errors = read_files([path], Options(image_from="{scene}.png"))
    assert named is not None, errors
    assert named.image_ids == ["s0.png", "s1.png", "s2.png"]
    chosen, errors = read_files([path], Options(image_from="a.png", where=("scene == s2",)))
    assert chosen is not None, errors
    assert chosen.xy[:, 0].tolist() == [3 / 1920 if "FILL" in what else 3]
    # A trial in the middle lacks the variable; or the first one, so that it may be of either side.
    read(path, text.replace("MSG\t2000 !V TRIAL_VAR scene s1\n", ""))
    named, errors = read_files([path], Options(image_from="{scene}.png"))
    assert named is not None, errors
    assert named.image_ids == ["s0.png", "s2.png"]
    read(path, text.replace("MSG\t1000 !V TRIAL_VAR scene s0\n", ""))
    for options in (
        Options(image_from="{scene}.png"),
        Options(image_from="a.png", where=("scene == s1",)),
    ):
        with pytest.raises(ValueError, match=r"'scene' is sent between .* expected it after th"):
            read_files([path], options)


def test_a_value_in_a_trial_counts_more_than_the_default_before_it(tmp_path: Path) -> None:
    var, end = "MSG\t9 !V TRIAL_VAR answer {}\n", "MSG\t8 TRIAL_RESULT 0\n"
    none = var.format("none")
    path = tmp_path / "p.asc"
    read(path, trials(var.format("y") + end + none, end + none, var.format("y") + end, before=none))
    for answer, expected in (("y", [1, 3]), ("none", [2])):
        options = Options(image_from="{trial}.png", where=(f"answer == {answer}",))
        found, errors = read_files([path], options)
        assert found is not None, errors
        assert found.image_ids == [f"{n + 4}.png" for n in expected]


def test_a_recording_that_begins_before_its_trial(tmp_path: Path) -> None:
    """Without a message at the end of trials, a fixation between says nothing."""
    text = ""
    for trial, start in enumerate((1000, 2000, 3000)):
        text += f"MSG\t{start} !V TRIAL_VAR image {trial}.png\nSTART\t{start} \tLEFT\tEVENTS\n"
        text += f"EFIX L   {start + 10}\t{start + 59}\t50\t  9.0\t  9.0\t   1070\n"
        text += f"MSG\t{start + 100} TRIALID {trial}\n"
        text += f"EFIX L   {start + 110}\t{start + 209}\t100\t  9.0\t  9.0\t   1070\n"
        text += f"END\t{start + 500} \tEVENTS\n"
    at_once = re.sub("(START|END).*\n", "", text)
    for one in (text, at_once):
        found = read(tmp_path / "p.asc", one)
        names_of_trials = dict(zip(numbers(found.trial), names(found.image), strict=True))
        assert names_of_trials == {0: "0.png", 1: "1.png", 2: "2.png"}


def test_a_default_before_all_trials_is_not_the_value_of_the_first(tmp_path: Path) -> None:
    var, end = "MSG\t9 !V TRIAL_VAR answer {}\n", "MSG\t8 TRIAL_RESULT 0\n"
    parts = [end + var.format(answer) for answer in "yynyn"]
    read(tmp_path / "p.asc", trials(*parts, end, before=var.format("none")))
    with pytest.raises(ValueError, match="'answer' is sent between trials"):
        read_files([tmp_path / "p.asc"], Options(image_from="a.png", where=("answer == y",)))


def test_messages_of_the_experiment_with_pictures(tmp_path: Path) -> None:
    path = tmp_path / "p.asc"
    for one, source in (
        ("IMAGE: {}.png", "IMAGE"),
        ("STIM old/{}.png 640 512", "STIM"),
        ("shown image={}.png", "shown image"),
        ('Image 3: "{}.png"', "Image #"),
    ):
        text = trials(*(f"MSG\t9 {one.format(n)}\n" for n in range(3)))
        found = read(path, text)
        assert [name[-5:] for name in names(found.image)] == ["0.png", "1.png", "2.png"]
        assert f"image from the message {source!r}" in found.taken
    for separator in (" ", ": ", "="):
        text = trials("", "").replace("TRIALID 5", f"TRIALID{separator}5 a.png")
        found = read(path, text.replace("TRIALID 6", f"TRIALID{separator}6 b.png"))
        assert names(found.image) == ["a.png", "b.png"]
        assert numbers(found.trial) == [5, 6]

    def taken(*messages: str, before: str = "") -> str:
        parts = ["".join(f"MSG\t9 {one.format(n)}\n" for one in messages) for n in range(3)]
        return read(path, trials(*parts, before=before)).taken

    # As the names of all pictures that are loaded before the trials, and in an unknown form.
    loads = "".join(f"MSG\t9 LOADS {n}.png\n" for n in range(3))
    assert "no message names an image" in taken(before=loads)
    forms = ("IMAGE old {}.png", "now shows {}.png again", "l: a/{0}.png r: b/{0}.png")
    for one in forms:
        assert "messages name images in another form than 'IMAGE: f" in taken("PIC: a.png", one)
    assert "not from messages with pictures in another form" in taken(
        "IMAGE: {}.png", before="MSG\t9 old a.png b\n"
    )
    assert "'PRIME' may be of a cue" in taken("PRIME: {}.png")
    assert "'PRIME' and 'IMAGE' name images" in taken("PRIME: a{}.png", "IMAGE: {}.png")
    assert "'CUE' is 'c.png' in all trials, beside 'SCENE', which" in taken(
        "CUE c.png", "PIC c.png", "SCENE: s{}"
    )
    # What is sent for Data Viewer says more.
    load, variable = "!V IMGLOAD FILL {}.png", "!V TRIAL_VAR image {}.png"
    between = "MSG\t9 BREAK pause.png\nMSG\t9 !V TRIAL_VAR instruction i.png\n"
    for one, source in ((load, "!V IMGLOAD"), (variable, "the variable 'image'")):
        said = taken(one, "FEEDBACK smile.png", before=between)
        assert f"image from {source}, not from 'FEEDBACK', which has other names" in said
    assert "image from !V IMGLOAD, not from 'image', which" in taken(load.format("a"), variable)
    assert "image from !V IMGLOAD, person" in taken("!V IMGLOAD FILL ../im/{}.png", variable)


def test_texts_of_the_experiment_are_variables(tmp_path: Path) -> None:
    path = tmp_path / "p.asc"
    image, own = "MSG\t9 !V TRIAL_VAR image {}.png\n", "MSG\t9 load: set {}\n"
    # What is called like a variable is another thing, and a text like a picture, too.
    beside = "MSG\t9 image: on\nMSG\t9 image: cross.png\nMSG\t9 IMG: loads\nMSG\t9 IMG: {}.png\n"
    parts = [own.format(n) + beside.format(n) + image.format(n) for n in range(3)]
    found = read(path, trials(*parts))
    assert names(found.image) == ["0.png", "1.png", "2.png"]
    assert found.taken.startswith("image from the variable 'image', person")
    chosen, errors = read_files([path], Options(where=("load == 'set 2'",)))
    assert chosen is not None, errors
    assert chosen.image_ids == ["2.png"]
    read(path, trials(*(beside.format(n).replace("image", "x") for n in range(3))))
    with pytest.raises(ValueError, match="'x' and 'IMG' name images"):
        read_files([path], Options())


def test_a_trial_that_is_begun_twice(tmp_path: Path) -> None:
    again = "MSG\t2000 TRIALID {}\nSTART\t2000"
    text = trials("", "").replace("START\t2000", again.format(6))
    assert numbers(read(tmp_path / "p.asc", text).trial) == [5, 6]
    text = trials("", "").replace("START\t2000", again.format(7))
    assert numbers(read(tmp_path / "p.asc", text).trial) == [5, 7]
    # Without a number, it may be another trial.
    text = re.sub(r"TRIALID \d", "TRIALID x", text)
    assert numbers(read(tmp_path / "p.asc", text).trial) == [1, 3]


def test_fixations_before_the_picture_of_a_trial_are_left_out(tmp_path: Path) -> None:
    text = f"MSG\t899 {COORDINATES}\nMSG\t900 TRIALID 1\nSTART\t910 \tLEFT\tEVENTS\n"
    text += "".join(
        f"EFIX L   {start}\t{start + 99}\t100\t  96.0\t  54.0\t   1070\n"
        for start in (1000, 1100, 1200)
    )
    load_at = "MSG\t{} !V IMGLOAD FILL a.png\n"
    reason = "before the trial's picture (!V IMGLOAD)"
    for time_ms, starts in ((990, [100, 200, 300]), (1150, [-50, 50]), (1300, [100, 200, 300])):
        found = read(tmp_path / "p.asc", text + load_at.format(time_ms))
        # A fixation that is under way when the picture comes begins before time 0. After all
        # fixations, the message only names the picture.
        assert numbers(found.t_ms) == starts
        assert dict(found.left_out) == ({reason: 1} if len(starts) == 2 else {})
    # SYNCTIME says more than the message with the name.
    found = read(tmp_path / "p.asc", text + "MSG\t990 SYNCTIME\n" + load_at.format(1150))
    assert numbers(found.t_ms) == [10, 110, 210]


def test_images_between_trials_belong_to_one_side_or_to_none(tmp_path: Path) -> None:
    end = "MSG\t9 TRIAL_RESULT 0\n"
    a, b, c = (load(f"FILL {name}.png") for name in "abc")
    after = read(tmp_path / "p.asc", trials(end + a, end + b))
    assert names(after.image) == ["a.png", "b.png"]
    before = read(tmp_path / "p.asc", trials(end + b, end, before=a))
    assert names(before.image) == ["a.png", "b.png"]
    for text in (trials(end + a, end), trials(end + b, end + c, before=a)):
        found = read(tmp_path / "p.asc", text)
        assert found.image is None
        assert "images between trials" in found.taken
    # An image before all trials is not the one of the first trial, whose image is in a variable.
    var = "MSG\t9 !V TRIAL_VAR im {}.png\n"
    found = read(tmp_path / "p.asc", trials(var.format("x"), var.format("y"), before=a))
    assert names(found.image) == ["x.png", "y.png"]


# The trial begins after the recording; variables follow, most of them no names of pictures.
OPENSESAME = """MSG\t900 var eye_used right
MSG\t906 GAZE_COORDS 0.00 0.00 1024.00 768.00
START\t1000 \tRIGHT\tSAMPLES\tEVENTS
EFIX R   1010\t1100\t91\t  200.0\t  300.0\t   1070
MSG\t1110 start_trial 0
MSG\t1110 phase baseline
EFIX R   1105\t1205\t101\t  220.0\t  320.0\t   1070
MSG\t1300 var title My study
MSG\t1301 var image forest.jpg
MSG\t1302 var response NA
END\t1400 \tSAMPLES\tEVENTS\tRES\t  36.93\t  37.03
MSG\t1401 stop_trial
"""


def test_variables_of_opensesame(tmp_path: Path) -> None:
    found = read(tmp_path / "s1.asc", OPENSESAME)
    assert found.place.tolist() == [7]
    assert names(found.image) == ["forest.jpg"]
    assert found.screen_px == (1024, 768)
    assert found.shown_px is None
    assert numbers(found.t_ms) == [-5]
    assert dict(found.left_out) == {"outside any trial": 1}
    two = OPENSESAME.replace("MSG\t1302 var response NA", "MSG\t1302 var mask m.png")
    found = read(tmp_path / "s1.asc", two)
    assert found.image is None
    assert "'image' and 'mask' name images" in found.taken


def test_recordings_are_trials_where_no_message_says_so(tmp_path: Path) -> None:
    text = trials(load("FILL a.png"), load("FILL b.png")).replace("TRIALID", "my_trial")
    found = read(tmp_path / "p.asc", text)
    assert numbers(found.trial) == [1, 2]
    # The image is sent after the end of each recording.
    assert names(found.image) == ["a.png", "b.png"]


def test_numbers_of_trials(tmp_path: Path) -> None:
    a, b = load("FILL a.png"), load("FILL b.png")
    assert numbers(read(tmp_path / "p.asc", trials(a, b)).trial) == [5, 6]
    # A falling number is none of the order; a number twice is none of one trial.
    for other in ("4", "5", "x"):
        text = trials(a, b).replace("TRIALID 6", f"TRIALID {other}")
        assert numbers(read(tmp_path / "p.asc", text).trial) == [1, 2]
    # Without images a template may need the number.
    assert numbers(read(tmp_path / "p.asc", trials("", "").replace("D 6", "D 4")).trial) == [5, 4]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "\t75\t  500.0\t  380.0\t   1070",
            "\t75\t  500.0\t  38",
            "line 11 is .* expected EFIX, L",
        ),
        ("2743\t649", "2743\t64", "line 13: the duration is 64 from 2095 to 2743"),
        (
            "EFIX L   2802\t2900\t99",
            "EFIX L   2700\t2798\t99",
            "line 17: .* begins before .* 13 ends",
        ),
        ("EVENTS\tGAZE", "EVENTS\tHREF", "line 9: .* expected EVENTS GAZE"),
        ("CENTER ", "", "line 7: .* expected IMGLOAD CENTER or TOP_LEFT"),
        ("CENTER", "MIDDLE", "line 7: .* expected IMGLOAD CENTER or TOP_LEFT"),
        ("800 600", "0 600", "line 7: .* expected IMGLOAD CENTER or TOP_LEFT"),
        (" 400 300", "", "line 25: 'images/c.jpg' has no width and height"),
        ("0 0 1023 767", "0 767 1023 0", "line 2: DISPLAY_COORDS is '0 767 1023 0', expected left"),
        (
            "MSG\t2000 T",
            "MSG\t1999 GAZE_COORDS 0.00 0.00 1280.00 1024.00\nMSG\t2000 T",
            "line 6: GAZE_COORDS gives a screen of 1280 x 1024, expected 1024 x 768",
        ),
        ("EFIX", "SFIX", "has no fixation"),
    ],
)
def test_asc_refuses(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in BOTH
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "p07.asc", BOTH.replace(old, new))


def test_a_filled_screen_of_unknown_size_is_refused(tmp_path: Path) -> None:
    text = trials(load("FILL a.png")).replace("DISPLAY_COORDS", "SCREEN")
    with pytest.raises(ValueError, match=r"'a\.png' fills a screen of unknown size"):
        read(tmp_path / "p.asc", text)


def test_the_last_pixel_and_the_size_are_the_same_screen(tmp_path: Path) -> None:
    line = "MSG\t5 GAZE_COORDS 0.00 0.00 1920.00 1080.00\n"
    assert read(tmp_path / "p.asc", trials("", before=line)).screen_px == (1920, 1080)


@pytest.mark.parametrize("text", [BOTH, OPENSESAME, trials(load("FILL a.png"))])
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_line(
    text: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = text.encode()
    path = tmp_path_factory.mktemp("damaged") / "p.asc"
    message = ""
    try:
        opened = write(path, data.draw(damaged(content)))
        if eyelink_asc.recognise_eyelink_asc(opened):
            found = eyelink_asc.read_eyelink_asc(opened, How())
            assert len(found.x.values) == len(found.place)
            assert np.isfinite(found.x.values).all()
    except ValueError as error:
        message = str(error)
    assert "\n" not in message


def test_a_truncated_file_has_no_other_places(tmp_path: Path) -> None:
    whole = read(tmp_path / "p.asc", BOTH)
    right = read(tmp_path / "p.asc", BOTH, How(eye="right"))
    assert whole.shown_px is not None
    # The fixation before SYNCTIME is read where the file ends before this message.
    places = {*numbers(whole.x), *numbers(right.x), 500.0}
    num_read = 0
    for end in range(len(BOTH)):
        opened = write(tmp_path / "p.asc", BOTH[:end].encode())
        try:
            found = eyelink_asc.read_eyelink_asc(opened, How())
        except ValueError:
            continue
        num_read += 1
        assert set(numbers(found.x)) <= places
        if found.shown_px is not None:
            rectangles = {tuple(one) for one in [*whole.shown_px.tolist(), (0, 0, 1, 1)]}
            assert {tuple(one) for one in found.shown_px.tolist()} <= rectangles
    assert num_read > 100


def test_fixations_beyond_messages_of_the_experiment_are_counted(tmp_path: Path) -> None:
    text = "".join(
        f"MSG\t{t} TRIALID {number}\nSTART\t{t + 1} \tLEFT\tEVENTS\n"
        f"MSG\t{t + 2} !V IMGLOAD CENTER {number}.png 400 300 800 600\n"
        f"EFIX L   {t + 10}\t{t + 90}\t81\t  400.0\t  300.0\t   1070\n"
        f"MSG\t{t + 95} STIM_ON\n"
        f"EFIX L   {t + 100}\t{t + 300}\t201\t  100.0\t  110.0\t   1070\n"
        f"MSG\t{t + 400} IMAGE_OFF\n"
        f"EFIX L   {t + 410}\t{t + 600}\t191\t  700.0\t  500.0\t   1070\n"
        f"EFIX L   {t + 610}\t{t + 800}\t191\t  700.0\t  510.0\t   1070\n"
        f"END\t{t + 900} \tEVENTS\nMSG\t{t + 901} TRIAL_RESULT 0\n"
        for number, t in ((1, 2000), (2, 4000))
    )
    quiet = text.replace("STIM_ON", "cue").replace("IMAGE_OFF", "probe")
    (tmp_path / "0.asc").write_text(quiet)  # The messages of each file count.
    (tmp_path / "1.asc").write_text(text)
    fixations, _ = read_files([tmp_path / "0.asc", tmp_path / "1.asc"], Options())
    assert fixations is not None
    assert [warning.split(", which")[0] for warning in fixations.warnings] == [
        "2 rows read all the same: before the message 'STIM_ON'",
        "4 rows read all the same: after the message 'IMAGE_OFF'",
    ]
    changes = ("SHOW_IMAGE", "clear display"), ("picture presented", "BILD_AUS")
    for on, off in (*changes, ("IMAGE_ON 1.png", "IMAGE_OFF: 1.png")):
        found = read(tmp_path / "b.asc", text.replace("STIM_ON", on).replace("IMAGE_OFF", off))
        assert list(found.doubtful.values()) == [2, 4]
    known = text.replace("STIM_ON", "SYNCTIME").replace("IMAGE_OFF", "DISPLAY OFF")
    found = read(tmp_path / "b.asc", known)
    assert numbers(found.x) == [100.0, 100.0]
    assert not found.doubtful
    # Two displays in a trial: the cross, and the picture.
    both = known.replace("!V IMGLOAD", "SYNCTIME\nMSG\t9 !V IMGLOAD")
    [(reason, count)] = read(tmp_path / "b.asc", both).doubtful.items()
    assert reason.startswith("before the last SYNCTIME or DISPLAY ON of the trial (if an earlier")
    assert count == 2
