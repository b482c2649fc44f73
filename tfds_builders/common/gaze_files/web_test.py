"""Trials of jsPsych with gaze of WebGazer."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfds_builders.common import gaze_files
from tfds_builders.common.gaze_files import Options, web
from tfds_builders.common.gaze_files.containers import Opened, open_file
from tfds_builders.common.gaze_files.how import Detection, How
from tfds_builders.common.gaze_files.rows import Names

HOW = How(detection=Detection(30, 100, 75))
SELECTOR = "#jspsych-image-keyboard-response-stimulus"


def gaze(*places: tuple[float, float], step: float = 40) -> list[dict[str, Any]]:
    """Samples, 5 at each place, every 40 ms."""
    return [
        {"x": x, "y": y, "t": step * (5 * number + sample)}
        for number, (x, y) in enumerate(places)
        for sample in range(5)
    ]


def trial(number: int, stimulus: Any, samples: Any, **more: Any) -> dict[str, Any]:
    place = {"x": 200, "y": 50, "width": 400, "height": 200, "top": 50, "left": 200}
    return {
        "trial_type": "image-keyboard-response",
        "trial_index": number,
        "stimulus": stimulus,
        "webgazer_data": samples,
        "webgazer_targets": {SELECTOR: place},
        **more,
    }


def trials(**more: Any) -> list[dict[str, Any]]:
    """A calibration, and two pictures with 2 and 1 fixations."""
    return [
        {"trial_type": "webgazer-calibrate", "trial_index": 0, **more},
        trial(1, "img/a%20b.jpg?v=2", gaze((300, 100), (500, 150)), **more),
        trial(2, "img/c.png", gaze((600, 250)), **more),
    ]


def write_json(path: Path, value: Any) -> Opened:
    path.write_text(json.dumps(value))
    return open_file(path)


def write_lines(path: Path, values: list[Any]) -> Opened:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return open_file(path)


def write_csv(path: Path, values: list[dict[str, Any]]) -> Opened:
    names = list(dict.fromkeys(name for one in values for name in one))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for one in values:
            cells = {
                name: json.dumps(value) if isinstance(value, list | dict) else value
                for name, value in one.items()
            }
            writer.writerow(cells)
    return open_file(path)


def names(column: Names | None) -> list[str]:
    assert column is not None
    return [column.names[code] for code in column.codes]


@pytest.mark.parametrize("form", ["json", "csv", "data", "jsonl"])
def test_trials_give_fixations_on_pictures(form: str, tmp_path: Path) -> None:
    values = trials(subject="7")
    if form == "csv":
        opened = write_csv(tmp_path / "a.csv", values)
    elif form == "jsonl":
        # Another trial has its place by another selector.
        values[2]["webgazer_targets"] = {"img": values[2]["webgazer_targets"][SELECTOR]}
        opened = write_lines(tmp_path / "a.jsonl", values)
    else:
        opened = write_json(tmp_path / "a.json", values if form == "json" else {"data": values})
    assert web.recognise_jspsych(opened) == "samples"
    found = web.read_jspsych(opened, HOW)
    assert names(found.image) == ["a b.jpg", "a b.jpg", "c.png"]
    assert names(found.user) == ["7"] * 3
    assert found.place.tolist() == [2, 2, 3]
    assert found.trial is not None
    assert found.trial.values.tolist() == [2, 2, 3]
    assert found.t_ms is not None
    assert found.duration_ms is not None
    assert found.t_ms.values.tolist() == [0, 200, 0]
    assert found.duration_ms.values.tolist() == [160] * 3
    assert (found.units, found.frame, found.y_axis) == ("px", "screen", "down")
    assert found.shown_px is not None
    xy = np.column_stack([found.x.values, found.y.values])
    fractions = (xy - found.shown_px[:, :2]) / found.shown_px[:, 2:]
    np.testing.assert_allclose(fractions, [[0.25, 0.25], [0.75, 0.5], [1.0, 1.0]])


def test_gaze_after_long_trials_is_recognised(tmp_path: Path) -> None:
    long = {"trial_type": "survey", "trial_index": 0, "response": {"text": "x" * 70_000}}
    opened = write_json(tmp_path / "a.json", [long, *trials()])
    assert '"webgazer_data"' not in opened.head
    assert web.recognise_jspsych(opened) == "samples"
    assert web.recognise_jspsych(write_json(tmp_path / "b.json", [long])) == ""
    scanpaths = [{"name": "a.png", "subject": 1, "X": [1], "Y": [1]}]
    assert web.recognise_jspsych(write_json(tmp_path / "c.json", scanpaths)) == ""


def test_samples_without_gaze_out_of_order_and_repeated(tmp_path: Path) -> None:
    samples = gaze((300, 100), (500, 150))
    samples[2] |= {"x": None}
    samples[0], samples[1] = samples[1], samples[0]
    samples.append(dict(samples[-1]))
    found = web.read_jspsych(write_json(tmp_path / "a.json", [trial(0, "a.png", samples)]), HOW)
    # Without the third sample, 80 ms are a gap; the other four are in two parts that are too short.
    assert found.place.tolist() == [1]
    assert found.x.values.tolist() == [500]
    assert found.left_out["a second sample at the same time"] == 1


@pytest.mark.parametrize(
    ("stimulus", "selector", "is_known"),
    [
        ("a.png", "#jspsych-image-keyboard-response-stimulus", True),
        ("a.png", "#my-picture", True),
        ("a.png", "#logo", False),
        ("a.png", "#profile", False),
        ("a.png", "#company-img", False),
        ("a.png", "#logo img", False),
        ("a.png", "img.logo", False),
        ("a.png", "#file-upload", False),
        ("a.png", "#stimulus-next-button", False),
        ("a.png", "#jspsych-image-button-response-btngroup img", False),
        ("a.png", "#mainImage2", True),
        ("a.png", "#display-div > img", True),
        ("a.png", "img", True),
        ("a.png", "#jspsych-image-slider-response-stimulus", False),
        ("a.png", "#jspsych-image-slider-response-stimulus img", True),
        ("a.png", "#jspsych-image-button-response-btngroup", False),
        ("<p>Look</p><img src='a.png'>", "#jspsych-html-keyboard-response-stimulus", False),
        ("<p>Look</p><img src='a.png'>", "#jspsych-html-keyboard-response-stimulus > img", True),
        ('<IMG id="p" class="x y" src="a.png">', "#p", True),
        ('<img id="p" class="x y" src=a.png>', ".y", True),
        ("<img id='p' src='a.png'>", "#q", False),
    ],
)
def test_only_the_place_of_the_picture_is_taken(
    stimulus: str, selector: str, is_known: bool, tmp_path: Path
) -> None:
    one = trial(0, stimulus, gaze((300, 100)))
    one["webgazer_targets"] = {selector: one["webgazer_targets"][SELECTOR]}
    found = web.read_jspsych(write_json(tmp_path / "a.json", [one]), HOW)
    assert names(found.image) == ["a.png"]
    assert (found.shown_px is not None) == is_known
    assert (
        f"place of the picture from 'webgazer_targets' ({selector!r})" in found.taken
    ) == is_known
    unfit = f"no place of the picture: 'webgazer_targets' has only {selector!r}"
    assert (unfit in found.taken) != is_known
    one["webgazer_targets"]["#other"] = {"x": 0, "y": 0, "width": 9, "height": 9}
    with_other = web.read_jspsych(write_json(tmp_path / "a.json", [one]), HOW)
    assert np.array_equal(with_other.shown_px, found.shown_px)  # type: ignore[arg-type]


def test_several_places_of_a_picture_are_refused(tmp_path: Path) -> None:
    one = trial(0, "a.png", gaze((300, 100)))
    targets = one["webgazer_targets"]
    targets["#picture"] = targets[SELECTOR]
    assert web.read_jspsych(write_json(tmp_path / "a.json", [one]), HOW).shown_px is not None
    targets["#picture"] = {"x": 0, "y": 0, "width": 9, "height": 9}
    with pytest.raises(ValueError, match=f"object 1: .* has '{SELECTOR}' and '#picture' at differ"):
        web.read_jspsych(write_json(tmp_path / "a.json", [one]), HOW)


def test_trials_without_a_picture_are_left_out(tmp_path: Path) -> None:
    values = [
        *trials(),
        trial(3, "<p>+</p>", gaze((1, 1))),
        trial(4, "<img src='a.png'><img src='b.png'>", gaze((1, 1))),
        trial(5, ["a.png"], gaze((1, 1))),
        trial(6, "data:image/png;base64,a.png", gaze((1, 1))),
        trial(7, "c.png", []),
        trial(8, "c.png", gaze((1, 1)), webgazer_targets={SELECTOR: dict.fromkeys("xy", 0)}),
    ]
    values[-1]["webgazer_targets"][SELECTOR] |= {"width": 16, "height": 0}
    found = web.read_jspsych(write_json(tmp_path / "p9.json", values), HOW)
    assert found.place.tolist() == [2, 2, 3]
    assert found.left_out["without a picture"] == 20
    assert found.left_out["the picture had no size when its place was noted"] == 5
    # The name of the file stands for the person.
    assert found.user is None


def test_without_names_of_pictures_the_image_is_not_known(tmp_path: Path) -> None:
    opened = write_json(tmp_path / "a.json", [trial(0, "face_01", gaze((1, 1)))])
    assert web.read_jspsych(opened, HOW).image is None


def test_conditions_choose_trials(tmp_path: Path) -> None:
    opened = write_json(tmp_path / "a.json", trials())
    found = web.read_jspsych(opened, HOW._replace(where=("trial_index == 2",)))
    assert found.place.tolist() == [3]


def test_a_file_that_conditions_empty_is_left_out_beside_others(tmp_path: Path) -> None:
    write_json(tmp_path / "ann.json", trials())
    write_json(tmp_path / "bob.json", trials()[:2])
    options = Options(where=("trial_index == 2",), how=HOW)
    found, _ = gaze_files.read([tmp_path], options)
    assert found is not None
    assert found.user_ids == ["ann"]
    note = f"{tmp_path / 'bob.json'} left out: no row is left (2 not trial_index == 2)"
    assert note in found.notes


def test_a_file_without_gaze_is_left_out_beside_others(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", trials(subject="p1"))
    # Of the users in a file, the second one has no sample.
    values = [trial(number, "b.png", [], subject=user) for number, user in ((1, "p2"), (2, "p3"))]
    write_json(tmp_path / "b.json", values)
    write_json(tmp_path / "c.json", [trial(1, "c.png", gaze((300, 100)), subject="p4"), values[1]])
    found, errors = gaze_files.read([tmp_path], Options(how=HOW))
    assert found is not None, errors
    assert found.user_ids == ["p1", "p4"]
    assert [warning.partition(" left out")[0] for warning in found.warnings] == [
        str(tmp_path / "b.json"),
        "users",
    ]
    assert "'p3' (without a fixation)" in found.warnings[1]


def test_the_person_is_from_columns_that_agree(tmp_path: Path) -> None:
    values = [*trials(run_id=1, PROLIFIC_PID="a", session=2), *trials(run_id=2, PROLIFIC_PID="b")]
    found = web.read_jspsych(write_json(tmp_path / "a.json", values), HOW)
    assert names(found.user) == ["1"] * 3 + ["2"] * 3
    assert found.session is not None
    assert found.session.codes.tolist() == [0] * 3 + [-1] * 3
    values = [*trials(run_id=1, subject="a"), *trials(run_id=2, subject="a")]
    with pytest.raises(ValueError, match="'run_id' and 'subject' may both name the person"):
        web.read_jspsych(write_json(tmp_path / "b.json", values), HOW)
    values = [*trials(subject="a"), *trials()]
    with pytest.raises(ValueError, match="object 5 has no 'subject', which other trials have"):
        web.read_jspsych(write_json(tmp_path / "c.json", values), HOW)
    values = [*trials(subject={"id": 1}), *trials(subject={"id": 2})]
    with pytest.raises(ValueError, match=r"object 1: 'subject' is {'id': 1}, expected a text or a"):
        web.read_jspsych(write_json(tmp_path / "d.json", values), HOW)


@pytest.mark.parametrize("column", ["observer", "person_id", "subject_number"])
def test_the_person_of_a_run_may_stand_in_a_trial_without_gaze(column: str, tmp_path: Path) -> None:
    values = [value for user in "AB" for value in trials(**{column: user})]
    for number in (1, 2, 4, 5):
        del values[number][column]
    values[0]["session"] = 2
    for write in (write_json, write_lines, write_csv):
        suffix = {write_json: "json", write_lines: "jsonl", write_csv: "csv"}[write]
        found = web.read_jspsych(write(tmp_path / f"a.{suffix}", values), HOW)
        assert names(found.user) == ["A"] * 3 + ["B"] * 3
        assert found.session is not None
        assert found.session.codes.tolist() == [0] * 3 + [-1] * 3
    found = web.read_jspsych(write_json(tmp_path / "b.json", {"data": trials(), column: "A"}), HOW)
    assert names(found.user) == ["A"] * 3


def test_a_file_of_one_person_may_be_in_any_order_and_have_sessions(tmp_path: Path) -> None:
    first, *others = trials()
    found = web.read_jspsych(write_json(tmp_path / "a.json", [first, *others[::-1]]), HOW)
    assert names(found.image) == ["c.png", "a b.jpg", "a b.jpg"]
    assert found.trial is not None
    assert found.trial.values.tolist() == [3, 2, 2]
    values = [*trials(session=1), *trials(session=2)]
    found = web.read_jspsych(write_json(tmp_path / "a.json", values), HOW)
    assert found.user is None
    assert names(found.session) == ["1"] * 3 + ["2"] * 3
    for ids in (("st", "st"), ("9f", "1a")):  # Ids say no order.
        both = [
            one
            for number, id_ in enumerate(ids, start=1)
            for one in trials(session_id=id_, session=number)
        ]
        found = web.read_jspsych(write_json(tmp_path / "s.json", both), HOW)
        expected = [f"{number} {id_}" for number, id_ in enumerate(ids, start=1)]
        assert names(found.session) == [expected[0]] * 3 + [expected[1]] * 3
    # A column that a part of a run lacks says nothing of the other part.
    parts = [one | {"session": 1} for one in trials()]
    parts[-1]["session_id"] = "i1"
    write_json(tmp_path / "s.json", [one | {"subject": "s"} for one in parts])
    read_, errors = gaze_files.read([tmp_path / "s.json"], Options(how=HOW))
    assert read_ is not None, errors
    assert read_.session_ids == [["1"]]
    for one in parts:
        del one["session"]
    write_json(tmp_path / "s.json", [one | {"subject": "s"} for one in parts])
    with pytest.raises(ValueError, match="session is not given, expected a name"):
        raise ValueError(gaze_files.read([tmp_path / "s.json"], Options(how=HOW))[1])
    # A session without gaze is named.
    values = [one | {"subject": "s"} for one in values]
    values = [one | ({"webgazer_data": []} if one["session"] == 2 else {}) for one in values]
    write_json(tmp_path / "a.json", values)
    read_, errors = gaze_files.read([tmp_path / "a.json"], Options(how=HOW))
    assert read_ is not None, errors
    assert [one for one in read_.warnings if "sessions left out" in one] == [
        "sessions left out, of which no row is left: '2' of 's' (without a fixation)"
    ]
    # One session of two people, and names of runs.
    for sessions in ((1, 1), ("k3jd", "x82s")):
        values = [one for session in sessions for one in trials(session=session)]
        with pytest.raises(ValueError, match="no column names the person, expected a column"):
            web.read_jspsych(write_json(tmp_path / "b.json", values), HOW)


def test_conditions_read_the_objects_of_servers(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"subject": "A", "data": trials()})
    for condition in ("trial_index != 2", "subject == A"):
        options = Options(where=(condition,), how=HOW)
        found, _ = gaze_files.read([tmp_path / "a.json"], options)
        assert found is not None
        assert found.user_ids == ["A"]
        number = int("trial" in condition)
        assert f"{number} rows left out: not {condition}" in found.notes


def test_trials_of_one_count_and_two_clocks_are_of_two_runs(tmp_path: Path) -> None:
    values = [
        trial(number, "a.png", gaze((300, 100)), time_elapsed=900 * number) for number in (1, 3)
    ]
    values.append(trial(5, "a.png", gaze((300, 100)), time_elapsed=2000))
    with pytest.raises(ValueError, match=r" 3: time_elapsed \(2000\) is less than .*_index 5, as"):
        web.read_jspsych(write_json(tmp_path / "a.json", values), HOW)
    values[2]["time_elapsed"] = 2700
    values.reverse()  # Trials may be sorted otherwise than in time.
    assert web.read_jspsych(write_json(tmp_path / "a.json", values), HOW).user is None


def test_runs_without_a_person_are_refused(tmp_path: Path) -> None:
    for write, file in ((write_json, "a.json"), (write_csv, "a.csv")):
        with pytest.raises(ValueError, match=r" 5: trial_index \(1\) begins anew, .* 'subject'"):
            web.read_jspsych(write(tmp_path / file, [*trials(), *trials()]), HOW)
    values = [*trials(subject="A"), *trials(subject="B")]
    values[3]["trial_index"] = 3
    values[4]["trial_index"] = 4
    values[5]["trial_index"] = 5
    for number in (1, 2, 4, 5):
        del values[number]["subject"]
    with pytest.raises(ValueError, match="'subject' is 'A' and 'B' in trials without gaze"):
        web.read_jspsych(write_json(tmp_path / "b.json", values), HOW)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"webgazer_data": "no"}, "object 2: webgazer_data is 'no', expected JSON"),
        ({"webgazer_data": {"x": 1}}, "object 2: webgazer_data is .* expected a list of samples"),
        ({"webgazer_data": [[0, 1, 2]]}, "sample 1 of webgazer_data is .* an object of x, y and t"),
        ({"webgazer_data": [{"x": "1", "y": 1, "t": 1}]}, "sample 1 .*: x is '1', expected a fin"),
        ({"webgazer_data": [{"x": 1, "y": 1, "t": None}]}, "sample 1 .*: t is None, expected a fi"),
        ({"webgazer_targets": {}}, "object 2: webgazer_targets has no place of the picture"),
        ({"webgazer_targets": [1]}, r"object 2: webgazer_targets is \[1\], expected an object"),
        ({"webgazer_targets": {SELECTOR: {"x": 1}}}, "webgazer_targets: y is None, expected a fin"),
    ],
)
def test_refuses(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    values = trials()
    values[1] |= change
    with pytest.raises(ValueError, match=message) as error:
        web.read_jspsych(write_json(tmp_path / "a.json", values), HOW)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("webgazer_data", '[{"x": 300, "y": 10', r"JSON, which may be cut \(.* column 20 \(char"),
        ("webgazer_data", '{"x": 300}', "a list of samples"),
        ("webgazer_data", "7", "a list of samples"),
        ("webgazer_targets", '{"img": {"x"', r"JSON, which may be cut \(.* column 13 \(char"),
        ("webgazer_targets", "[7]", "an object"),
    ],
)
def test_cells_of_a_table_that_are_cut_or_of_another_form(
    column: str, cell: str, message: str, tmp_path: Path
) -> None:
    values = trials()
    values[1] |= {column: cell}
    with pytest.raises(
        ValueError, match=rf"a\.csv row 2: {column} is .*, expected {message}"
    ) as error:
        web.read_jspsych(write_csv(tmp_path / "a.csv", values), HOW)
    assert "\n" not in str(error.value)


def test_json_of_several_values_says_which_suffix_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.json is not JSON: Extra data: .* suffix \.jsonl if"):
        write_lines(tmp_path / "a.json", trials())
    for values in (trials(), [trials(subject=1), trials(subject=2)]):
        with pytest.raises(ValueError, match=r"a\.txt is JSON: give it the suffix \.json"):
            write_lines(tmp_path / "a.txt", values)
    with pytest.raises(ValueError, match=r"a\.jsonl is not a table of JSON lines, one object a"):
        write_lines(tmp_path / "a.jsonl", [trials(subject=1), trials(subject=2)])
    # A sample of a line does not get the keys of the others.
    values = trials()
    del values[2]["webgazer_data"][0]["x"]
    with pytest.raises(ValueError, match=r"b\.jsonl row 3: sample 1 .* expected an object of x, y"):
        web.read_jspsych(write_lines(tmp_path / "b.jsonl", values), HOW)


def test_needs_a_detection_and_gaze(tmp_path: Path) -> None:
    opened = write_json(tmp_path / "a.json", trials())
    with pytest.raises(ValueError, match="samples of gaze, not fixations: --detect-fixations"):
        web.read_jspsych(opened, How())
    opened = write_json(tmp_path / "a.json", [trial(0, "a.png", [])])
    with pytest.raises(ValueError, match="has no trial with webgazer_data"):
        web.read_jspsych(opened, HOW)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    is_json=st.booleans(),
    start=st.integers(0, 2500),
    length=st.integers(0, 60),
    new=st.binary(max_size=8)
    | st.sampled_from([b"[]", b"{}", b"null", b'"', b"1e999", b'"\\ud800"']),
)
def test_damaged_files_end_in_rows_or_one_line(
    is_json: bool, start: int, length: int, new: bytes, tmp_path: Path
) -> None:
    path = tmp_path / ("a.json" if is_json else "a.csv")
    (write_json if is_json else write_csv)(path, trials(subject=1))
    content = path.read_bytes()
    path.write_bytes(content[:start] + new + content[start + length :])
    message = ""
    try:
        opened = open_file(path)
        if web.recognise_jspsych(opened):
            web.read_jspsych(opened, HOW)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message
