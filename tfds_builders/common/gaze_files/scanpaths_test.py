"""JSON of scanpaths and events of pymovements."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common.gaze_files import plain, scanpaths
from tfds_builders.common.gaze_files.containers import Opened, open_file, read_table
from tfds_builders.common.gaze_files.example_files import damaged
from tfds_builders.common.gaze_files.how import How
from tfds_builders.common.gaze_files.read import read
from tfds_builders.common.gaze_files.recognise import Options
from tfds_builders.common.gaze_files.rows import Names


def write_json(path: Path, content: Any) -> Opened:
    """Writes a JSON file and opens it."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return open_file(path)


def names(column: Names | None) -> list[str]:
    """Returns the name of each row."""
    assert column is not None
    return [column.names[code] for code in column.codes]


def scanpath(name: str, subject: Any, x: list[Any], **more: Any) -> dict[str, Any]:
    """Returns an object of one scanpath, with y = x + 1 and durations of 100 ms."""
    return {
        "name": name,
        "subject": subject,
        "X": x,
        "Y": [value + 1 for value in x],
        "T": [100] * len(x),
        "length": len(x),
        "bbox": [1, 2, 3, 4],
        **more,
    }


def test_scanpaths_become_rows_with_trials(tmp_path: Path) -> None:
    opened = write_json(
        tmp_path / "fixations.json",
        [
            scanpath("a.jpg", 2, [10, 20.5]),
            scanpath("b.jpg", "2", [30]),
            scanpath("a.jpg", 2.0, [40]),
        ],
    )
    assert scanpaths.recognise_coco_json(opened) == "fixations"
    # Lists are no columns of the table of objects.
    assert opened.columns == ("name", "subject", "length")
    found = scanpaths.read_coco_json(opened, How())
    assert found.place.tolist() == [1, 1, 2, 3]
    assert names(found.image) == ["a.jpg", "a.jpg", "b.jpg", "a.jpg"]
    assert names(found.user) == ["2"] * 4
    assert found.trial is not None
    assert found.trial.values.tolist() == [0, 0, 0, 1]
    assert found.x.values.tolist() == [10, 20.5, 30, 40]
    assert found.y.values.tolist() == [11, 21.5, 31, 41]
    assert found.duration_ms is not None
    assert found.duration_ms.values.tolist() == [100] * 4


def test_viewings_without_a_fixation_are_counted(tmp_path: Path) -> None:
    content = [scanpath("a.jpg", user, x) for user, x in ((1, []), (2, [10]), (3, []))]
    opened = write_json(tmp_path / "f.json", content)
    found = scanpaths.read_coco_json(opened, How())
    assert names(found.user) == ["2"]
    assert found.left_out == {"a viewing without a fixation": 2}
    found = scanpaths.read_coco_json(opened, How(where=("subject != 1",)))
    assert found.left_out == {"a viewing without a fixation": 1}


def test_viewings_of_names_that_are_written_otherwise_are_apart(tmp_path: Path) -> None:
    others = [("a.jpg", "ann"), ("./a.jpg", "ann "), ("a.jpg", "ann")]
    content = [scanpath(name, user, [float(x)]) for x, (name, user) in enumerate(others)]
    write_json(tmp_path / "a.json", content)
    found, errors = read([tmp_path / "a.json"], Options())
    assert found is not None, errors
    assert (found.image_ids, found.user_ids) == (["a.jpg"], ["ann"])
    assert len(set(found.trial.tolist())) == 3
    write_json(tmp_path / "a.json", [*content, scanpath("a.jpg", "ann", [1.0])])
    with pytest.raises(ValueError, match=r"object 4: subject 'ann' has the same scanpath on"):
        read([tmp_path / "a.json"], Options())


def test_two_tasks_of_a_person_on_a_picture_need_a_choice(tmp_path: Path) -> None:
    objects = [
        scanpath("a.jpg", 1, [10, 20], task="car"),
        scanpath("a.jpg", 1, [30], task="cup"),
        scanpath("a.jpg", 2, [40], task="cup"),
    ]
    opened = write_json(tmp_path / "t.json", objects)
    message = r"object 2: subject 1 looked at 'a\.jpg' under the tasks 'car' and 'cup'.*task == car"
    with pytest.raises(ValueError, match=message):
        scanpaths.read_coco_json(opened, How())
    found = scanpaths.read_coco_json(opened, How(where=("task == cup",)))
    # The conditions hold for places, as with the rows of a table.
    fits = plain.rows_where(opened, "task == cup")[found.place - 1]
    assert found.x.values[fits].tolist() == [30, 40]
    assert found.trial is not None
    assert found.trial.values[fits].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", r"t\.json is not JSON of scanpaths, expected a list of objects"),
        ("[1]", r"t\.json object 1 is int, expected an object"),
        ([{"name": "a", "subject": 1, "X": [1]}], "object 1 has no 'Y', expected name, subject"),
        ([{"name": "a", "subject": 1, "X": 1, "Y": [1]}], "object 1: X is int, expected a list"),
        ([scanpath("a", 1, [1]) | {"T": [1, 2]}], "object 1 has lengths .*'T': 2"),
        ([scanpath("a", 1, [1]) | {"length": [1]}], "object 1 has lengths .*'length': "),
        ([scanpath("a", None, [1])], "object 1: subject is None, expected a name"),
        ([scanpath("a", float("nan"), [1])], "object 1: subject is nan, expected a name"),
        ([scanpath("a", "NA", [1])], "object 1: subject is 'NA', expected a name"),
        ([scanpath(" ", 1, [1])], "object 1: name is ' ', expected a name"),
        (
            [scanpath("a", 1, [1]), scanpath("a", 2, [1, 2]) | {"Y": [1, float("nan")]}],
            "object 2, fixation 2: y is nan, expected a finite number",
        ),
        (
            [scanpath("a", 1, [1]) | {"X": [True]}],
            "object 1, fixation 1: x is True, expected a num",
        ),
        ([scanpath("a", 1, [1]) | {"X": ["l"]}], "object 1, fixation 1: x is 'l', expected a num"),
        (
            [scanpath("a", 1, [1]), scanpath("a", "1", [1])],
            "object 2: subject '1' has the same scanpath on 'a' again",
        ),
    ],
)
def test_other_json_is_refused(content: Any, message: str, tmp_path: Path) -> None:
    opened = write_json(tmp_path / "t.json", content)
    assert scanpaths.recognise_coco_json(opened) == "fixations"
    with pytest.raises(ValueError, match=message):
        scanpaths.read_coco_json(opened, How())


def test_json_of_other_things_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"t\.json is not JSON: Expecting property name"):
        write_json(tmp_path / "t.json", "{")
    others = [{"stimulus": "a.jpg", "subject": 1, "webgazer_data": []}], {"RecordedEye": "left"}
    for content in others:
        opened = write_json(tmp_path / "t.json", content)
        assert scanpaths.recognise_coco_json(opened) == ""
    # A list of flat objects is a table.
    opened = write_json(tmp_path / "t.json", [{"a": 1, "b": "x"}, {"a": "two", "c": None}])
    assert opened.columns == ("a", "b", "c")
    assert read_table(opened, {"a"})["a"].to_pylist() == ["1", "two"]


# Two pictures; the saccade has no location.
EVENTS: dict[str, list[Any]] = {
    "subject": ["s1"] * 4,
    "trial": [1, 1, 1, 2],
    "image": ["a.jpg"] * 3 + ["b.jpg"],
    "name": ["fixation", "saccade", "fixation", "fixation"],
    "eye": ["left"] * 4,
    "onset": [0, 200, 230, 10],
    "offset": [200, 230, 400, 310],
    "duration": [200, 30, 170, 300],
    "location": [[640.5, 512.0], None, [100.0, -3.0], None],
}


def test_a_key_that_an_object_has_twice_is_refused(tmp_path: Path) -> None:
    first = json.dumps(scanpath("a.jpg", 1, [1.0]))
    path = tmp_path / "a.json"
    path.write_text(f'[{first}, {first[:-1]}, "subject": 2}}]')
    message = r"a.json object 2 has the key 'subject' twice, with 1 and 2, expected each key once$"
    with pytest.raises(ValueError, match=message):
        scanpaths.read_coco_json(open_file(path), How())


def write_events(path: Path, events: dict[str, list[Any]]) -> Opened:
    """Writes events as pymovements does: a list is two columns in CSV, as `unnest` makes them."""
    table = pa.table(events)
    match path.suffix:
        case ".parquet":
            pyarrow.parquet.write_table(table, path)
        case ".csv":
            pairs = [pair or (None, None) for pair in events["location"]]
            rest = {name: column for name, column in events.items() if name != "location"}
            x, y = zip(*pairs, strict=True)
            pyarrow.csv.write_csv(pa.table({**rest, "location_x": x, "location_y": y}), path)
        case _:
            # Polars writes views of texts.
            fields = [
                field.with_type(pa.string_view()) if field.type == pa.string() else field
                for field in table.schema
            ]
            with pa.ipc.new_file(path, pa.schema(fields)) as file:
                file.write_table(table.cast(pa.schema(fields)))
    return open_file(path)


@pytest.mark.parametrize("name", ["e.feather", "e.ipc", "e.parquet", "e.csv"])
@pytest.mark.parametrize("event", ["fixation", "fixation_eyelink", "fixation.ivt"])
def test_events_of_pymovements(name: str, event: str, tmp_path: Path) -> None:
    columns = [event if one == "fixation" else one for one in EVENTS["name"]]
    opened = write_events(tmp_path / name, EVENTS | {"name": columns})
    assert scanpaths.recognise_pymovements(opened) == "fixations"
    found = scanpaths.read_pymovements(opened, How())
    assert found.place.tolist() == [1, 3]
    assert names(found.image) == ["a.jpg", "a.jpg"]
    assert names(found.user) == ["s1", "s1"]
    assert found.trial is not None
    assert found.trial.values.tolist() == [1, 1]
    assert (found.x.values.tolist(), found.y.values.tolist()) == ([640.5, 100], [512, -3])
    assert found.duration_ms is not None
    assert found.t_ms is not None
    assert found.duration_ms.values.tolist() == [200, 170]
    assert found.t_ms.values.tolist() == [0, 230]
    assert found.frame == "screen"
    assert found.left_out == {"events that are no fixation": 1, "without a location": 1}


def test_decimal_commas_beside_semicolons_are_decimals(tmp_path: Path) -> None:
    opened = write_events(tmp_path / "e.csv", EVENTS)
    text = opened.path.read_text().replace(",", ";").replace("640.5", "640,5")
    opened.path.write_text(text)
    found = scanpaths.read_pymovements(open_file(opened.path), How())
    assert found.x.values.tolist() == [640.5, 100]


def test_one_eye_of_two(tmp_path: Path) -> None:
    both = {name: column * 2 for name, column in EVENTS.items()} | {
        "eye": ["left"] * 4 + ["right"] * 4,
        # Of both eyes: x and y of the left, then of the right one.
        "location": [one and [*one, one[0] + 7, one[1] + 7] for one in EVENTS["location"]] * 2,
    }
    opened = write_events(tmp_path / "e.feather", both)
    left = scanpaths.read_pymovements(opened, How())
    right = scanpaths.read_pymovements(opened, How(eye="right"))
    assert left.place.tolist() == [1, 3]
    assert left.x.values.tolist() == [640.5, 100]
    assert left.left_out["of the other eye"] == 3
    assert right.place.tolist() == [5, 7]
    assert right.x.values.tolist() == [647.5, 107]
    single = write_events(tmp_path / "s.feather", EVENTS)
    with pytest.raises(
        ValueError, match=r"--eye is right, and the recording of user 's1' has the left"
    ):
        scanpaths.read_pymovements(single, How(eye="right"))
    without = {name: column for name, column in EVENTS.items() if name != "eye"}
    unnamed = write_events(tmp_path / "u.feather", without)
    found = scanpaths.read_pymovements(unnamed, How(eye="right"))
    assert "the eye of 3 rows not known (--eye right)" in found.taken


@pytest.mark.parametrize(("left", "right"), [("left", "right"), ("L", "r"), ("Left", "RIGHT")])
@pytest.mark.parametrize("is_list", [True, False])
def test_each_viewing_has_its_eye_and_the_place_of_its_eye(
    left: str, right: str, is_list: bool, tmp_path: Path
) -> None:
    # s1 was recorded with the left eye, s2 with the right one, s3 with both.
    eyes = [left, right, left, right]
    places = [[100.0 + n, 300.0, 500.0 + n, 300.0] for n in range(4)]
    columns = zip(*places, strict=True)
    names_of_columns = ("location_xl", "location_yl", "location_xr", "location_yr")
    of_axes = {name: list(one) for name, one in zip(names_of_columns, columns, strict=True)}
    events = {
        "subject": ["s1", "s2", "s3", "s3"],
        "name": ["fixation"] * 4,
        "eye": eyes,
        "onset": [0] * 4,
        "offset": [200] * 4,
    }
    table = pa.table(events | ({"location": places} if is_list else of_axes))
    pyarrow.parquet.write_table(table, tmp_path / "e.parquet")
    opened = open_file(tmp_path / "e.parquet")
    found = scanpaths.read_pymovements(opened, How())
    assert names(found.user) == ["s1", "s2", "s3"]
    assert found.x.values.tolist() == [100, 501, 102]
    with pytest.raises(ValueError, match=r"--eye is left, and the recording of user 's2' has the"):
        scanpaths.read_pymovements(opened, How(eye="left"))
    where = How(eye="right", where=("subject == s3",))
    found = plain.take_where(opened, scanpaths.read_pymovements(opened, where), where.where)
    assert found.x.values.tolist() == [503]
    # Without a column of the eye, --eye says the place.
    pyarrow.parquet.write_table(table.drop_columns(["eye"]).slice(0, 3), tmp_path / "u.parquet")
    opened = open_file(tmp_path / "u.parquet")
    for how, x in ((How(), [100, 101, 102]), (How(eye="right"), [500, 501, 502])):
        found = scanpaths.read_pymovements(opened, how)
        assert (found.x.values.tolist(), "not known" in found.taken) == (x, False)


def test_two_detections_need_a_choice(tmp_path: Path) -> None:
    both = {name: column * 2 for name, column in EVENTS.items()}
    both["name"] = [f"{name}.{method}" for method in ("ivt", "idt") for name in EVENTS["name"]]
    opened = write_events(tmp_path / "e.feather", both)
    with pytest.raises(ValueError, match=r"several detections \(fixation\.ivt, fixation\.idt\)"):
        scanpaths.read_pymovements(opened, How())
    condition = "name == fixation.idt"
    found = scanpaths.read_pymovements(opened, How(where=(condition,)))
    fits = plain.rows_where(opened, condition)[found.place - 1]
    assert found.place[fits].tolist() == [5, 7]
    # Two detections under one name overlap in time.
    both["name"] = EVENTS["name"] * 2
    opened = write_events(tmp_path / "e.feather", both)
    with pytest.raises(ValueError, match=r"row 5: a fixation begins at 0, before the one of row 1"):
        scanpaths.read_pymovements(opened, How())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"location": [[1.0, 2.0], None, [-3.0, 9.5], None]}, "at most 9.5, expected pixels"),
        ({"location": [[500.0], None, [3.0], None]}, r"location has \[1\] numbers, expected x and"),
        ({"location": ["a"] * 4}, "location is of the type string, expected lists of x and y"),
        ({"offset": [200, 230, None, 310]}, "row 3: onset is 230, offset is None, expected number"),
        ({"stimulus": ["a"] * 4}, "columns 'image' and 'stimulus', which could both name"),
        ({"eye": ["right", "left", "both", "both"]}, "row 3: eye is 'both' beside rows of"),
    ],
)
def test_other_events_are_refused(
    change: dict[str, list[Any]], message: str, tmp_path: Path
) -> None:
    opened = write_events(tmp_path / "e.parquet", EVENTS | change)
    with pytest.raises(ValueError, match=message):
        scanpaths.read_pymovements(opened, How())


def test_pixels_from_the_centre_are_refused(tmp_path: Path) -> None:
    events = {name: column * 4 for name, column in EVENTS.items()}
    events["trial"] = [number for number in range(8) for _ in range(2)]
    events["location"] = [[-500.0, 2.0], None, [300.0, 9.5], None] * 4
    opened = write_events(tmp_path / "e.parquet", events)
    with pytest.raises(ValueError, match="50% of the locations are below 0, expected pixels from"):
        scanpaths.read_pymovements(opened, How())


def test_events_without_locations_are_refused_by_the_call_that_computes_them(
    tmp_path: Path,
) -> None:
    events = {name: column for name, column in EVENTS.items() if name != "location"}
    opened = write_events(tmp_path / "e.feather", events)
    assert scanpaths.recognise_pymovements(opened) == "fixations"
    with pytest.raises(ValueError, match=r"compute_event_properties\(\('location', \{'position_"):
        scanpaths.read_pymovements(opened, How())


@pytest.mark.parametrize("name", ["e.feather", "e.parquet", "e.csv", "t.json"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_line(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / name
    recognise: Callable[..., Any] = scanpaths.recognise_pymovements
    read: Callable[..., Any] = scanpaths.read_pymovements
    if name == "t.json":
        write_json(path, [scanpath("a.jpg", 2, [10, 20.5]), scanpath("b.jpg", "2", [30])])
        recognise, read = scanpaths.recognise_coco_json, scanpaths.read_coco_json
    else:
        write_events(path, EVENTS)
    content = path.read_bytes()
    path.write_bytes(data.draw(damaged(content)))
    message = ""
    try:
        opened = open_file(path)
        if recognise(opened):
            found = read(opened, How())
            assert len(found.x.values) == len(found.place)
            assert np.isfinite(found.x.values).all()
    except ValueError as error:
        message = str(error)
    assert "\n" not in message


def test_the_lines_of_the_guide_write_events_of_pymovements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pymovements = pytest.importorskip("pymovements")
    import polars

    frame = {
        "name": ["fixation_eyelink", "saccade_eyelink", "fixation_eyelink"],
        "onset": [0, 200, 250],
        "offset": [200, 250, 480],
        "stimulus": ["a.png"] * 3,
        "subject_id": ["ann"] * 3,
        "location": [[410.0, 620.0], [1.0, 2.0], [930.0, 325.0]],
    }
    readme = Path(__file__).parents[2] / "gaze_table" / "README.md"
    [code] = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(code, {"events": pymovements.Events(polars.DataFrame(frame))})
    opened = open_file(tmp_path / "events.feather")
    assert scanpaths.recognise_pymovements(opened) == "fixations"
    found = scanpaths.read_pymovements(opened, How())
    assert found.x.values.tolist() == [410, 930]
    assert found.duration_ms is not None
    assert found.duration_ms.values.tolist() == [200, 230]
