"""Files of SMI BeGaze: raw events, event statistics and samples."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common.gaze_files import smi
from tfds_builders.common.gaze_files.example_files import damaged, names, numbers, write
from tfds_builders.common.gaze_files.how import Detection, How

# Both eyes have the same fixations. Trial 2 has two images. The last fixation has no place.
EVENTS = """[BeGaze]
Version:\tBeGaze 3.5.90
Subject:\tP 3
Description:\tRun1

Table Header for Fixations:
Event Type,Trial,Number,Start,End,Duration,Location X,Location Y,Dispersion X,AOI hit,Image

Table Header for Blinks:
Event Type,Trial,Number,Start,End,Duration

UserEvent,1,1,167531284088,# Message: C:\\stimuli\\a.jpg
UserEvent,1,2,167531284099,# Message: UE-keypress K
Fixation L,1,1,167531377718,167531619504,241786,951.83,791.40,47,-,-
Fixation R,1,1,167531377718,167531619504,241786,951.84,791.40,47,-,-
Saccade L,1,2,167531619504,167531627759,8255,945.94,769.94,948.59
Blink L,1,1,167533563021,167533654782,91761
UserEvent,2,1,167600000000,# Message: b.jpg
UserEvent,2,1,167600000000,# Message: c.jpg
Fixation L,2,1,167600000000,167600100000,100000,1.00,2.00,47,-,-
UserEvent,3,1,167700000000,# Message: d.jpg
Fixation R,3,1,167700000000,167700100000,100000,5.00,6.00,47,-,-
Fixation R,3,2,167700200000,167700300000,100000,-,-,47,-,-
"""

STATISTICS = """Trial\tStimulus\tParticipant\tEye L/R\tCategory\tEvent Start Trial Time [ms]\t\
Event End Trial Time [ms]\tEvent Duration [ms]\tFixation Position X [px]\t\
Fixation Position Y [px]\tAOI Name
Trial001\ta.jpg\tP1\tLeft\tFixation\t10,5\t210,5\t200,0\t951,8\t791,4\tface
Trial001\ta.jpg\tP1\tLeft\tFixation\t10,5\t210,5\t200,0\t951,8\t791,4\teyes
Trial001\ta.jpg\tP1\tRight\tFixation\t10,5\t210,5\t200,0\t961,8\t791,4\tface
Trial001\ta.jpg\tP1\tLeft\tSaccade\t210,5\t250,5\t40,0\t-\t-\t-
Trial001\ta.jpg\tP1\tLeft\tFixation\t250,5\t300,5\t50,0\t-\t-\t-
Trial002\tb.jpg\tP1\tRight\tFixation\t3,0\t103,0\t100,0\t100\t50\t-
-\t-\t-\t-\tSeparator\t-\t-\t-\t-\t-\t-
"""


def samples_text(places: list[tuple[str, str]]) -> str:
    """Samples every 4 ms at (x, 40) of the left and the right eye, with a message before them."""
    text = "##  [iView]\n##\n" + "\t".join(
        [
            *("Time", "Type", "Trial", "L POR X [px]", "L POR Y [px]"),
            *("R POR X [px]", "R POR Y [px]", "Stimulus"),
        ]
    )
    text += "\n70590000000\tMSG\t1\t# Message: a.bmp\n"
    for row, (left, right) in enumerate(places):
        ys = ["0.00" if x == "0.00" else "40.00" for x in (left, right)]
        text += f"{70590000000 + 4000 * row}\tSMP\t1\t{left}\t{ys[0]}\t{right}\t{ys[1]}\ta.bmp\n"
    return text


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (STATISTICS.replace("\tFixation\t3", "\tFixatie\t3"), "'Category' ('Fixatie')"),
        (EVENTS.replace("Fixation R,3,1", "Fixation B,3,1"), "'Event Type' ('Fixation B')"),
    ],
)
def test_unknown_kinds_are_named_and_counted(text: str, kinds: str, tmp_path: Path) -> None:
    found = smi.read_smi(write(tmp_path / "x.txt", text), How())
    assert found.left_out[f"of an unknown {kinds}"] == 1


@pytest.mark.parametrize("decimals", ["", ".0", ".5"])
def test_fixations_before_the_picture_of_a_trial_are_left_out(
    decimals: str, tmp_path: Path
) -> None:
    # The first one ends before the message, the second one after it.
    text = EVENTS.replace("UserEvent,3,1,167700000000", f"UserEvent,3,1,167700200000{decimals}")
    text += "Fixation R,3,3,167700150000,167700250000,100000,7.00,6.00,47,-,-\n"
    found = smi.read_smi(write(tmp_path / "x.txt", text), How())
    assert numbers(found.x) == [951.83, 7.0]
    assert found.left_out["before the trial's picture (# Message)"] == 1
    wrong = text.replace(f"200000{decimals},", "x,", 1)
    with pytest.raises(ValueError, match=r"line 21: the time of the message 'd.jpg' is '1677\d*x'"):
        smi.read_smi(write(tmp_path / "x.txt", wrong), How())


def test_messages_with_pictures_may_be_at_the_end_of_trials(tmp_path: Path) -> None:
    text = EVENTS.replace("UserEvent,3,1,167700000000", "UserEvent,3,1,167700300000")
    text = text.replace("UserEvent,1,1,167531284088", "UserEvent,1,1,167531700000")
    found = smi.read_smi(write(tmp_path / "x.txt", text), How())
    assert numbers(found.x) == [951.83, 5]
    assert "user events at the end of the trials" in found.taken
    assert not any("before" in reason for reason in found.left_out)


def test_a_trial_alone_with_its_message_at_the_end_is_refused(tmp_path: Path) -> None:
    lines = [line for line in EVENTS.split("\n") if not re.match(r"\w+( [LR])?,[23],", line)]
    text = "\n".join(lines)
    assert numbers(smi.read_smi(write(tmp_path / "x.txt", text), How()).x) == [951.83]
    # One fixation ends before the message, and one is under way.
    text = text.replace("UserEvent,1,1,167531284088", "UserEvent,1,1,167531700000")
    text += "Fixation L,1,2,167531650000,167531750000,100000,7.00,6.00,47,-,-\n"
    with pytest.raises(ValueError, match="before the message of the picture, at 167531700000, so"):
        smi.read_smi(write(tmp_path / "x.txt", text), How())


@pytest.mark.parametrize(
    ("cut", "unit"), [("ms", "milliseconds"), ("s", "seconds"), ("ns", "nanoseconds")]
)
def test_messages_in_another_unit_than_fixations_are_refused(
    cut: str, unit: str, tmp_path: Path
) -> None:
    number = {"ms": r"\1", "s": r"\1.", "ns": r"\g<1>000"}[cut]
    last = {"ms": r"\d{3}", "s": r"\d{6}", "ns": ""}[cut]
    text = re.sub(rf"(?m)^(UserEvent,\d,\d,\d+){last},", number + ",", EVENTS)
    with pytest.raises(ValueError, match=f"the times of messages, such as .* look like {unit}, "):
        smi.read_smi(write(tmp_path / "x.txt", text), How())


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_events_are_microseconds_of_one_eye(tmp_path: Path, delimiter: str) -> None:
    opened = write(tmp_path / "x_Events.txt", EVENTS.replace(",", delimiter))
    assert smi.recognise_smi(opened) == "fixations"
    found = smi.read_smi(opened, How())
    assert found.place.tolist() == [14, 22]
    assert found.place_text is not None
    assert found.place_text(14) == "line 14"
    assert names(found.image) == ["a.jpg", "d.jpg"]
    assert names(found.user) == ["P 3", "P 3"]
    assert numbers(found.x) == [951.83, 5]
    assert numbers(found.y) == [791.4, 6]
    np.testing.assert_allclose(numbers(found.duration_ms), [241.786, 100])
    np.testing.assert_allclose(numbers(found.t_ms), [167531377.718, 167700000])
    assert numbers(found.trial) == [1, 3]
    assert found.frame == "screen"
    assert dict(found.left_out) == {
        "of the other eye": 1,
        "several images in the trial": 1,
        "without a place": 1,
    }
    assert numbers(smi.read_smi(opened, How(eye="right")).x) == [951.84, 5]


def test_events_without_a_subject_or_messages(tmp_path: Path) -> None:
    text = EVENTS.replace("Subject:\tP 3", "Stimulus:\tz.png").replace("# Message", "# Note")
    found = smi.read_smi(write(tmp_path / "p9 Events.txt", text), How())
    assert set(names(found.user)) == {"p9"}
    assert set(names(found.image)) == {"z.png"}
    video = text.replace("z.png", "z.avi")
    assert smi.read_smi(write(tmp_path / "p9 Events.txt", video), How()).image is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("241786,951.83", "241,951.83", "line 14: Duration is 241, expected End - Start, 241786"),
        ("951.83,791.40,47,-,-", "951.83,791.40", "line 14: 8 values, expected 11"),
        ("L,1,1,167531377718", "L,1,1,x", "line 14: Start is 'x', expected a number"),
        ("Location X", "X", "header of fixations has no column 'Location X'"),
    ],
)
def test_events_refuse(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in EVENTS
    with pytest.raises(ValueError, match=message):
        smi.read_smi(write(tmp_path / "e.txt", EVENTS.replace(old, new)), How())


def test_events_with_letters_of_latin_1(tmp_path: Path) -> None:
    expected = smi.read_smi(write(tmp_path / "e.txt", EVENTS), How())
    found = smi.read_smi(write(tmp_path / "e.txt", f"{EVENTS}\xe9", "latin-1"), How())
    assert names(found.user) == names(expected.user)
    for what, old in (("image", "a.jpg"), ("user", "P 3")):
        assert old in EVENTS
        text = EVENTS.replace(old, f"\xe9{old}")
        with pytest.raises(ValueError, match=rf"e.txt: the {what} '.{old}' .* not UTF-8"):
            smi.read_smi(write(tmp_path / "e.txt", text, "latin-1"), How())


def test_statistics_have_one_row_a_fixation(tmp_path: Path) -> None:
    opened = write(tmp_path / "Event Statistics - Single.txt", STATISTICS)
    assert smi.recognise_smi(opened) == "fixations"
    found = smi.read_smi(opened, How())
    assert found.place.tolist() == [1, 6]
    assert names(found.image) == ["a.jpg", "b.jpg"]
    assert names(found.user) == ["P1", "P1"]
    assert numbers(found.x) == [951.8, 100]
    assert numbers(found.y) == [791.4, 50]
    assert numbers(found.duration_ms) == [200, 100]
    assert numbers(found.t_ms) == [10.5, 3]
    assert numbers(found.trial) == [1, 2]
    assert dict(found.left_out) == {
        "of the other eye": 1,
        "a fixation again, on another area or of another eye": 1,
        "without a place": 1,
    }
    assert numbers(smi.read_smi(opened, How(eye="right")).x) == [961.8, 100]


@pytest.mark.parametrize("numbered", [True, False])
def test_without_starts_a_fixation_on_two_areas_is_read_once(
    numbered: bool, tmp_path: Path
) -> None:
    head = "Stimulus,Participant,Category,Event Duration [ms],Fixation Position X [px],"
    head += "Fixation Position Y [px],AOI Name" + (",Index" if numbered else "")
    # The second fixation is as long as the first one, and beside it.
    fixations = [("1.5,2", "sky", 1), ("1.5,2", "tree", 1), ("1.5,3", "sky", 2)]
    lines = [
        f"a.png,P1,Fixation,200,{place},{area}" + (f",{index}" if numbered else "")
        for place, area, index in fixations
    ]
    found = smi.read_smi(write(tmp_path / "s.csv", "\n".join([head, *lines]) + "\n"), How())
    assert found.t_ms is None
    assert found.place.tolist() == [1, 3]
    assert numbers(found.y) == [2, 3]
    if numbered:  # Sorted otherwise, the rows do not say the order.
        opened = write(tmp_path / "s.csv", "\n".join([head, *lines[::-1]]) + "\n")
        with pytest.raises(ValueError, match=r"s\.csv row 2: Index is 1 after 2, expected the"):
            smi.read_smi(opened, How())


def test_statistics_with_other_words_name_them(tmp_path: Path) -> None:
    opened = write(tmp_path / "s.txt", STATISTICS.replace("Fixation\t", "Blick\t"))
    with pytest.raises(
        ValueError, match=r"no row of a fixation: 'Category' is 'Blick'.*, expected"
    ):
        smi.read_smi(opened, How())


def test_statistics_of_glasses_with_points_and_commas(tmp_path: Path) -> None:
    text = STATISTICS.replace(",", ".").replace("\t", ",").replace("Fixation", "Visual Intake")
    found = smi.read_smi(write(tmp_path / "e.csv", text.replace("Event Duration [ms]", "d")), How())
    assert numbers(found.x) == [951.8, 100]
    assert numbers(found.duration_ms) == [200, 100]  # The end minus the start.
    with pytest.raises(ValueError, match=r"e\.csv has no column 'Participant'"):
        smi.read_smi(write(tmp_path / "e.csv", text.replace("Participant", "who")), How())


def test_samples_are_detected_only_if_asked(tmp_path: Path) -> None:
    # 25 samples at 100, 5 without gaze, 25 at 500; the right eye is 10 px beside.
    places = [("100.00", "110.00")] * 25 + [("0.00", "0.00")] * 5 + [("500.00", "510.00")] * 25
    opened = write(tmp_path / "Ppn7_Samples.txt", samples_text(places))
    assert smi.recognise_smi(opened) == "samples"
    with pytest.raises(ValueError, match=r"Samples\.txt holds samples .* --detect-fixations"):
        smi.read_smi(opened, How())
    how = How(detection=Detection(50.0, 60.0, 75.0))
    found = smi.read_smi(opened, how)
    assert found.place.tolist() == [5, 35]
    assert numbers(found.x) == [100, 500]
    assert names(found.image) == ["a.bmp", "a.bmp"]
    assert names(found.user) == ["Ppn7", "Ppn7"]
    np.testing.assert_allclose(numbers(found.t_ms), [70590000, 70590120])
    # 24 steps of 4 ms, from the first sample to the last.
    np.testing.assert_allclose(numbers(found.duration_ms), [96, 96])
    assert numbers(smi.read_smi(opened, how._replace(eye="right")).x) == [110, 510]
    only_right = samples_text([("0.00", right) for _, right in places])
    opened = write(tmp_path / "s.txt", only_right)
    assert numbers(smi.read_smi(opened, how).x) == [110, 510]
    with pytest.raises(ValueError, match=r"s\.txt: --eye is left, and the recording has the right"):
        smi.read_smi(opened, how._replace(eye="left"))
    # Of the second trial, the left eye alone has gaze.
    two = samples_text(places) + "".join(
        line.replace("\tSMP\t1\t", "\tSMP\t2\t").replace("70590", "70600") + "\n"
        for line in samples_text([(left, "0.00") for left, _ in places]).splitlines()
        if "\tSMP\t" in line
    )
    both = smi.read_smi(write(tmp_path / "s.txt", two), how._replace(eye="right"))
    assert numbers(both.x) == [110, 510, 100, 500]
    assert "50 rows of the left eye in trials with no other" in both.taken
    assert both.trial_count is not None
    assert numbers(both.trial_count) == [1, 1, 2, 2]
    again = samples_text(places).replace("70590004000", "70590000000")
    with pytest.raises(ValueError, match=r"line 6: the time is 70590000 ms after 70590000"):
        smi.read_smi(write(tmp_path / "s.txt", again), how)


def test_other_tables_are_not_of_begaze(tmp_path: Path) -> None:
    assert smi.recognise_smi(write(tmp_path / "t.csv", "image,user,x,y\na.png,P,1,2\n")) == ""
    without = STATISTICS.replace("Position", "Area")
    assert smi.recognise_smi(write(tmp_path / "t.txt", without)) == ""


@pytest.mark.parametrize("text", [EVENTS, STATISTICS, samples_text([("1.00", "0.00")] * 3)])
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_line(
    text: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = text.encode()
    path = tmp_path_factory.mktemp("damaged") / "f.txt"
    how = How(detection=Detection(50.0, 1.0, 75.0))
    message = ""
    try:
        opened = write(path, data.draw(damaged(content)))
        if smi.recognise_smi(opened):
            found = smi.read_smi(opened, how)
            assert len(found.x.values) == len(found.place)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message
