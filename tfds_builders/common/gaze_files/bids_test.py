"""Eye tracking in BIDS: fixations from physioevents, places from samples, pictures from events."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common import gaze_files
from tfds_builders.common.gaze_files import bids
from tfds_builders.common.gaze_files.containers import open_file
from tfds_builders.common.gaze_files.how import Detection, How
from tfds_builders.common.gaze_files.recognise import Options
from tfds_builders.common.gaze_files.rows import Names, Rows

RUN = "sub-07/ses-02/beh/sub-07_ses-02_task-view_run-03"
EVENTS = f"{RUN}_events.tsv"
NO_OPTIONS = How()

# 100 samples a second on the clock of the tracker, from 5000 ms: x is 100 in the first picture and
# 200 in the second; y is the number of the sample.
SAMPLES = [f"{5000 + 10 * n}\t{100 if n < 40 else 200}\t{n}\t1000" for n in range(100)]


def write(root: Path, name: str, content: Any) -> Path:
    """Writes a file of a data set; lines, or an object of JSON."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content) if isinstance(content, dict) else "\n".join(content) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def change(path: Path, **keys: Any) -> None:
    """Changes the keys of a sidecar; None: without the key."""
    found = json.loads(path.read_text()) | keys
    path.write_text(json.dumps({key: value for key, value in found.items() if value is not None}))


def write_eye(root: Path, label: str, eye: str, shift: int = 0) -> Path:
    """Writes the recording of one eye; x is shifted."""
    samples = []
    for line in SAMPLES:
        t, x, *rest = line.split("\t")
        samples.append("\t".join([t, str(int(x) + shift), *rest]))
    samples[12] = "5120\tn/a\tn/a\t0"
    write(root, f"{RUN}_recording-{label}_physio.tsv.gz", samples)
    write(root, f"{RUN}_recording-{label}_physio.json", {"RecordedEye": eye, "StartTime": 0})
    lines = [
        "4990\tn/a\tn/a\tn/a\t!MODE RECORD",
        "5100\t50\tfixation\t0\tn/a",  # Samples 10 to 14, without 12.
        "5150\t20\tsaccade\t0\tn/a",
        "5450\t100\tfixation\t0\tn/a",  # Samples 45 to 54.
        "5900\t50\tfixation\t0\tn/a",  # No picture.
    ]
    return write(root, f"{RUN}_recording-{label}_physioevents.tsv.gz", lines)


def write_set(root: Path) -> Path:
    """Writes a small data set with inherited sidecars; returns the physioevents of the left eye."""
    write(root, "dataset_description.json", {"Name": "invented"})
    units = {name: {"Units": "pixel"} for name in ("x_coordinate", "y_coordinate")}
    columns = ["timestamp", "x_coordinate", "y_coordinate", "pupil_size"]
    sidecar = {"Columns": columns, "timestamp": {"Units": "ms"}, "SamplingFrequency": 100, **units}
    # The nearer sidecar has the right unit.
    far = sidecar | {"timestamp": {"Units": "ns"}, "SampleCoordinateSystem": "gaze-on-screen"}
    write(root, "task-view_physio.json", far)
    write(root, "sub-07/sub-07_task-view_physio.json", {"timestamp": {"Units": "ms"}})
    write(root, "task-other_physio.json", {"Columns": ["cardiac"]})
    events = ["onset", "duration", "trial_type", "blink", "message"]
    write(root, "task-view_physioevents.json", {"Columns": events, "OnsetSource": "timestamp"})
    screen = {"ScreenResolution": [1919, 1079], "ScreenOrigin": ["top", "left"]}
    write(root, "task-view_events.json", {"StimulusPresentation": screen})
    shown = ["\ufeffonset\tduration\tstim_file\tkind", "0\t0.4\ta.jpg\tnew"]
    write(root, EVENTS, [*shown, "0.4\t0.1\tn/a\tgap", "0.4\t0.4\tb.png\tnew"])
    path = write_eye(root, "eye2", "left")
    write_eye(root, "eye1", "right", shift=7)
    return path


def read(root: Path, how: How = NO_OPTIONS) -> Rows:
    """Reads the first recording of the run, which stands for all."""
    return bids.read_bids(open_file(root / f"{RUN}_recording-eye1_physioevents.tsv.gz"), how)


def names(column: Names | None) -> list[str]:
    """Returns the name of each row; "" for none."""
    assert column is not None
    return [column.names[code] if code >= 0 else "" for code in column.codes]


def durations(found: Rows) -> list[float]:
    """Returns the durations in ms."""
    assert found.duration_ms is not None
    return found.duration_ms.values.tolist()


def test_a_fixation_is_the_average_of_its_samples(tmp_path: Path) -> None:
    write_set(tmp_path)
    found = read(tmp_path)
    assert found.place.tolist() == [2, 4, 5]
    # Of 10, 11, 13 and 14; of 45 to 54; of 90 to 94.
    np.testing.assert_allclose(found.y.values, [12, 49.5, 92])
    np.testing.assert_allclose(found.x.values, [100, 200, 200])
    assert durations(found) == [50, 100, 50]
    assert found.t_ms is not None
    assert found.t_ms.values.tolist() == [5100, 5450, 5900]
    assert names(found.image) == ["a.jpg", "b.png", ""]
    assert names(found.user) == ["07"] * 3
    assert names(found.session) == ["02"] * 3
    assert found.trial is not None
    assert found.trial.values.tolist() == [3_000_000] * 3
    assert (found.frame, found.y_axis, found.screen_px) == ("screen", "down", (1920, 1080))
    assert found.left_out == {"events that are no fixation": 2}
    np.testing.assert_allclose(read(tmp_path, How(eye="right")).x.values, [107, 207, 207])
    for kind in ("physio.tsv.gz", "physio.json", "physioevents.tsv.gz"):
        (tmp_path / f"{RUN}_recording-eye2_{kind}").unlink()
    with pytest.raises(ValueError, match="--eye is left, and the recording has the right eye only"):
        read(tmp_path, How(eye="left"))


def test_one_file_stands_for_a_run(tmp_path: Path) -> None:
    write_set(tmp_path)
    roles = {
        path.name.removeprefix("sub-07_ses-02_task-view_run-03_"): bids.recognise_bids(
            open_file(path)
        )
        for path in (tmp_path / RUN).parent.iterdir()
    }
    assert roles.pop("recording-eye1_physioevents.tsv.gz") == "fixations"
    assert set(roles.values()) == {"beside"}
    other = write(tmp_path, "sub-07/beh/sub-07_task-other_physio.tsv.gz", ["1", "2"])
    assert bids.recognise_bids(open_file(other)) == ""
    table = write(tmp_path, "events.tsv", ["onset\tduration", "1\t2"])
    assert bids.recognise_bids(open_file(table)) == ""


def write_events(root: Path, lines: list[str], label: str = "eye1") -> None:
    write(root, f"{RUN}_recording-{label}_physioevents.tsv.gz", lines)


def test_kinds_of_events_in_other_letters_and_languages(tmp_path: Path) -> None:
    write_set(tmp_path)
    for label in ("eye1", "eye2"):
        kinds = ("Fixation", "Sakkade", "BLINK", "Lidschlag")
        lines = [f"5{n}00\t50\t{kind}\t0\tn/a" for n, kind in enumerate(kinds, start=1)]
        write_events(tmp_path, lines, label)
    found = read(tmp_path)
    assert found.place.tolist() == [1]
    assert found.left_out == {
        "events that are no fixation": 1,
        "events of an unknown trial_type ('Lidschlag', 'Sakkade')": 2,
    }
    run = tmp_path / f"{RUN}_recording-eye1_physio.tsv.gz"
    for label in ("eye1", "eye2"):
        write_events(tmp_path, ["5100\t50\tFixierung\t0\tn/a", "5200\t5\tn/a\t0\t+"], label)
    assert bids.recognise_bids(open_file(run)) == "samples"
    with pytest.raises(
        ValueError,
        match=r"without fixations \(.*_recording-eye2_physioevents\.tsv\.gz has the trial_type "
        r"'Fixierung', expected 'fixation'\): --detect-fixations detects",
    ):
        bids.read_bids(open_file(run), How())
    # A message names a fixation, no event is one.
    for label in ("eye1", "eye2"):
        write_events(tmp_path, ["5100\t50\tFixierung\t0\tfixation cross"], label)
    _, [error] = gaze_files.read([tmp_path], Options(image_from="a.png"))
    assert "physioevents.tsv.gz has no row, expected one for each fixation (left out: " in error
    assert "1 events of an unknown trial_type ('Fixierung'))" in error


@pytest.mark.parametrize(
    ("source", "lines", "expected_ms"),
    [
        # Seconds beside milliseconds; the same as 50 and 100 ms would be below a sample.
        ("timestamp", ["5100\t0.05\tfixation", "5450\t0.1\tfixation"], [50, 100]),
        # Indices of rows from 0, and durations in seconds or rows.
        ("n/a", ["10\t0.05\tfixation", "45\t0.1\tfixation"], [50, 100]),
        ("n/a", ["10\t5\tfixation", "45\t10\tfixation"], [50, 100]),
    ],
)
def test_the_numbers_decide_the_unit_of_durations(
    source: str, lines: list[str], expected_ms: list[float], tmp_path: Path
) -> None:
    write_set(tmp_path)
    sidecar = {"Columns": ["onset", "duration", "trial_type"], "OnsetSource": source}
    write(tmp_path, "task-view_physioevents.json", sidecar)
    for label in ("eye1", "eye2"):
        write_events(tmp_path, lines, label)
    found = read(tmp_path)
    np.testing.assert_allclose(durations(found), expected_ms)
    np.testing.assert_allclose(found.y.values, [12, 49.5])
    assert names(found.image) == ["a.jpg", "b.png"]


def test_durations_of_no_certain_unit_are_refused(tmp_path: Path) -> None:
    # Samples each 10 ms; 20 s or 20 ms both fit before the end of a recording of 100 s.
    path = write_set(tmp_path)
    long = [f"{5000 + 10 * n}\t1\t2\t3" for n in range(10_000)]
    write(tmp_path, f"{RUN}_recording-eye2_physio.tsv.gz", long)
    write_events(tmp_path, ["6000\t20\tfixation\t0\tn/a", "40000\t20\tfixation\t0\tn/a"], "eye2")
    with pytest.raises(
        ValueError, match=f"{path.name}: durations .* median of 20 fit both seconds"
    ):
        read(tmp_path)
    write_events(tmp_path, ["6000\t2\tfixation\t0\tn/a", "6100\t2\tfixation\t0\tn/a"], "eye2")
    with pytest.raises(ValueError, match="median of 2 fit neither seconds"):
        read(tmp_path)


def test_events_may_have_the_clock_of_the_tracker(tmp_path: Path) -> None:
    write_set(tmp_path)
    shown = ["onset\tduration\tstim_file", "5.0\t0.4\ta.jpg", "5.4\t0.4\ta.jpg"]
    write(tmp_path, EVENTS, shown)
    found = read(tmp_path)
    assert names(found.image) == ["a.jpg", "a.jpg", ""]
    assert found.trial is not None
    # The same picture again in the run is another viewing.
    assert found.trial.values[:2].tolist() == [3_000_000, 3_000_001]
    assert "seconds of tracker" in found.taken
    write(tmp_path, EVENTS, ["onset\tduration\tstim_file", "900\t1\ta.jpg"])
    with pytest.raises(ValueError, match="no picture is shown between the first and the last samp"):
        read(tmp_path)


def test_without_names_of_files_there_is_no_image(tmp_path: Path) -> None:
    write_set(tmp_path)
    write(tmp_path, EVENTS, ["onset\tduration\tnum", "0\t0.4\t77"])
    found = read(tmp_path)
    assert found.image is None
    assert found.trial is not None
    assert found.trial.values.tolist() == [3, 3, 3]


def test_y_from_the_bottom_and_a_session_for_each_task(tmp_path: Path) -> None:
    write_set(tmp_path)
    screen = {"ScreenResolution": [1024, 768], "ScreenOrigin": ["bottom", "left"]}
    change(tmp_path / "task-view_events.json", StimulusPresentation=screen)
    write(tmp_path, f"{RUN.replace('-view', '-search')}_recording-eye1_physio.tsv.gz", ["1"])
    found = read(tmp_path)
    assert (found.y_axis, found.screen_px) == ("up", (1024, 768))
    assert names(found.session) == ["02 view"] * 3


@pytest.mark.parametrize(
    ("file", "keys", "message"),
    [
        ("task-view_physio.json", {"SampleCoordinateSystem": "eye-in-head"}, "expected gaze-on-sc"),
        ("task-view_physio.json", {"x_coordinate": {"Units": "deg"}}, "'deg', expected pixel"),
        ("task-view_physio.json", {"SamplingFrequency": 1000}, "do not fit SamplingFrequency 1000"),
        ("task-view_events.json", {"StimulusPresentation": None}, "ScreenOrigin .* is None, exp"),
        (
            "task-view_events.json",
            {"StimulusPresentation": {"ScreenOrigin": ["center", "center"]}},
            r"ScreenOrigin .* is \['center', 'center'\], expected \['top', 'left'\] or",
        ),
        ("task-view_physioevents.json", {"OnsetSource": None}, "OnsetSource is 'None', expected n"),
        ("task-view_physioevents.json", {"Columns": ["onset"]}, "expected onset, duration, trial_"),
        (f"{RUN}_recording-eye2_physio.json", {"RecordedEye": None}, "RecordedEye right, None, ex"),
    ],
)
def test_sidecars_that_do_not_decide_are_refused(
    file: str, keys: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write_set(tmp_path)
    change(tmp_path / file, **keys)
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["0\tn/a\ta.jpg"], "row 1: onset is 0 and duration is nan, expected how long the picture"),
        (["0\t0.4\ta.jpg", "0.2\t0.4\tb.jpg"], "row 2: a picture is shown before the one of row 1"),
        # Milliseconds, microseconds, and seconds beside milliseconds; the samples last 0.99 s.
        ([f"{onset}\t300\ta.jpg" for onset in (0, 300, 600)], "pictures last 300 s and .* 2 of 3"),
        (["0\t400\ta.jpg", "400\t600\tb.png"], "pictures last 500 s .* lasts 0.99 s, expected 'on"),
        (["0\t400000\ta.jpg", "400000\t590000\tb.png"], "pictures last 495000 s"),
        (["0\t990\ta.jpg"], "pictures last 990 s"),
        (["0\t0.4\ta.jpg", "400\t0.6\tb.png"], "follow each other within 400 s"),
        (["x\t0.4\ta.jpg"], "row 1: onset is 'x', expected a number or n/a"),
    ],
)
def test_pictures_that_cannot_be_right_are_refused(
    lines: list[str], message: str, tmp_path: Path
) -> None:
    write_set(tmp_path)
    write(tmp_path, EVENTS, ["onset\tduration\tstim_file", *lines])
    with pytest.raises(ValueError, match=message):
        read(tmp_path)


def test_a_tracker_may_run_for_few_of_the_pictures(tmp_path: Path) -> None:
    write_set(tmp_path)
    lines = [
        f"{onset}\t0.9\t{name}.jpg" for onset, name in ((0, "a"), (2, "b"), (4, "c"), (6, "d"))
    ]
    write(tmp_path, EVENTS, ["onset\tduration\tstim_file", *lines])
    found = read(tmp_path)
    assert names(found.image) == ["a.jpg", "a.jpg", ""]
    assert "some pictures outside the time of the samples" in found.taken


class Detected(NamedTuple):
    """The result of a detection, as `detection.detect_fixations` gives it."""

    group: np.ndarray
    xy_px: np.ndarray
    start_ms: np.ndarray
    duration_ms: np.ndarray
    first: np.ndarray


def test_samples_without_fixations_need_a_detection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path)
    for label in ("eye1", "eye2"):
        (tmp_path / f"{RUN}_recording-{label}_physioevents.tsv.gz").unlink()
    opened = open_file(tmp_path / f"{RUN}_recording-eye1_physio.tsv.gz")
    assert bids.recognise_bids(opened) == "samples"
    with pytest.raises(ValueError, match=r"holds samples without fixations .*--detect-fixations"):
        bids.read_bids(opened, How())
    groups = []

    def detect(t_ms: Any, xy_px: Any, group: Any, detection: Any) -> Detected:
        assert detection.dispersion_px == 50
        groups.extend(group.tolist())
        first = np.array([45])
        return Detected(group[first], xy_px[first], t_ms[first], np.array([30.0]), first)

    monkeypatch.setattr(bids.detection, "detect_fixations", detect)
    found = bids.read_bids(opened, How(detection=Detection(50, 60, 75)))
    # Two pictures of 40 samples, then none.
    assert groups == [0] * 40 + [1] * 40 + [2] * 20
    assert found.place.tolist() == [46]
    assert names(found.image) == ["b.png"]
    assert (found.x.values.tolist(), found.y.values.tolist()) == ([200], [45])


def test_conditions_choose_events_and_cues_are_not_the_image(tmp_path: Path) -> None:
    path = write_set(tmp_path)
    # An answer names the picture again, while it is shown; the scene of the last one is a cross.
    lines = ["onset\tduration\tstim_file\tkind", "0\t0.4\ta.jpg\tview", "0.2\t0.1\ta.jpg\tanswer"]
    write(tmp_path, EVENTS, [*lines, "0.4\t0.4\tb.png\tview"])
    with pytest.raises(
        ValueError, match=r"events\.tsv row 2: a picture is shown before the one of"
    ):
        read(tmp_path)
    found = read(tmp_path, How(where=("kind == view",)))
    assert names(found.image) == ["a.jpg", "b.png", ""]
    fixations, errors = gaze_files.read([path.parent], Options(where=("kind == view",)))
    assert fixations is not None, errors
    with pytest.raises(
        ValueError, match=r"events\.tsv has no column 'phase'; it has 'onset', 'dur"
    ):
        read(tmp_path, How(where=("phase == view",)))
    # A pause has a value of its own, which counts as no picture.
    lines = ["onset\tduration\tstim_file\tstim_id", "0\t0.4\ta.jpg\t1", "0.4\t0.1\tn/a\t0"]
    write(tmp_path, EVENTS, [*lines, "0.5\t0.5\tb.png\t2"])
    assert names(read(tmp_path).image) == ["a.jpg", "", "b.png"]


def test_the_column_of_the_image_is_named_where_it_is_not_known(tmp_path: Path) -> None:
    path = write_set(tmp_path)
    cues = [f"{n / 10:g}\t0.1\ts{n}\t{n % 2}.png" for n in range(8)]
    write(tmp_path, EVENTS, ["onset\tduration\tscene\tcue", *cues])
    found = read(tmp_path)
    assert found.image is None
    assert "one of 2 pictures in 'cue', beside 'scene', which is 's0', 's1' ..., so" in found.taken
    # Fixations begin .1, .45 and .9 s after the first sample.
    for template, expected in (
        ("{scene}.jpg", ["s1.jpg", "s4.jpg"]),
        ("{cue}", ["0.png", "1.png"]),
    ):
        named, errors = gaze_files.read([path.parent], Options(image_from=template))
        assert named is not None, errors
        assert named.image_ids == expected
    write(tmp_path, EVENTS, ["onset\tduration\tscene\tcue", "0\t0.9\ta.jpg\tleft.png"])
    named, errors = gaze_files.read([path.parent], Options(image_from="{scene}"))
    assert named is not None, errors
    assert named.image_ids == ["a.jpg"]


def test_runs_without_an_event_that_fits_are_left_out(tmp_path: Path) -> None:
    write_set(tmp_path)
    other = tmp_path / "other"
    path = write_set(other)
    for file in sorted(path.parent.iterdir()):  # The same person at rest, without events.
        file.rename(tmp_path / RUN.rpartition("/")[0] / file.name.replace("run-03", "run-04"))
    shutil.rmtree(other)
    events = (tmp_path / EVENTS).read_text()
    rest = tmp_path / EVENTS.replace("run-03", "run-04")
    rest.write_text(events.replace("new", "old"))
    whole, errors = gaze_files.read([tmp_path], Options())
    assert whole is not None, errors
    new, errors = gaze_files.read([tmp_path], Options(where=("kind == new",)))
    assert new is not None, errors
    assert 2 * len(new.xy) == len(whole.xy)
    assert not new.warnings
    options = Options(where=("kind == new",), image_from="{stim_file}")
    named, errors = gaze_files.read([tmp_path], options)
    assert named is not None, errors
    assert named.image_ids == new.image_ids
    rest.unlink()
    named, errors = gaze_files.read([tmp_path], Options(image_from="{stim_file}"))
    assert named is not None, errors
    assert any("has no events with pictures" in warning for warning in named.warnings)
    new, errors = gaze_files.read([tmp_path], Options())
    assert new is not None, errors
    assert 2 * len(new.xy) == len(whole.xy)
    assert any("does not say which image" in warning for warning in new.warnings), new.warnings


def test_detected_fixations_end_with_their_picture_where_blanks_are_between(tmp_path: Path) -> None:
    write_set(tmp_path)
    for label in ("eye1", "eye2"):
        (tmp_path / f"{RUN}_recording-{label}_physioevents.tsv.gz").unlink()
    # Blanks before, between and after the pictures, with gaze.
    write(tmp_path, EVENTS, ["onset\tduration\tstim_file", "0.1\t0.3\ta.jpg", "0.5\t0.3\tb.png"])
    opened = open_file(tmp_path / f"{RUN}_recording-eye1_physio.tsv.gz")
    found = bids.read_bids(opened, How(detection=Detection(35, 60, 75)))
    kept = [place for place, name in enumerate(names(found.image)) if name]
    assert [names(found.image)[place] for place in kept] == ["a.jpg", "b.png"]
    # Samples 10 to 39, without 12 of the left eye, and 50 to 79.
    assert found.x.values[kept].tolist() == [100, 200]
    np.testing.assert_allclose(found.y.values[kept], [(sum(range(10, 40)) - 12) / 29, 64.5])
    assert [durations(found)[place] for place in kept] == [290, 290]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("damaged")
    path = write_set(root)
    files = sorted(one for one in root.rglob("*") if one.is_file() and "eye1" not in one.name)
    damaged = data.draw(st.sampled_from(files))
    is_packed = damaged.suffix == ".gz"
    content = damaged.read_bytes()
    if is_packed and data.draw(st.booleans()):
        content = gzip.decompress(content)
    start = data.draw(st.integers(0, len(content)))
    end = start + data.draw(st.integers(0, 8))
    content = content[:start] + data.draw(st.binary(max_size=8)) + content[end:]
    is_unpacked = is_packed and damaged.read_bytes()[:2] != content[:2]
    damaged.write_bytes(gzip.compress(content) if is_unpacked else content)
    message = ""
    try:
        opened = open_file(path)
        bids.recognise_bids(opened)
        found = bids.read_bids(opened, How())
        assert np.isfinite(found.x.values).all()
    except ValueError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"StartTime": "-0.2"}, "StartTime is '-0.2', expected a number of seconds"),
        ({"StartTime": float("nan")}, "StartTime is nan, expected a number of seconds"),
        ({"SamplingFrequency": "100"}, "SamplingFrequency is '100', expected a number above 0"),
    ],
)
def test_numbers_of_a_sidecar_are_no_texts(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write_set(tmp_path)
    change(tmp_path / f"{RUN}_recording-eye2_physio.json", **changed)
    with pytest.raises(ValueError, match=f"eye2_physio.tsv.gz: {message}"):
        read(tmp_path)


def test_samples_without_their_columns_are_refused_by_name(tmp_path: Path) -> None:
    write_set(tmp_path)
    change(tmp_path / "task-view_physio.json", Columns=None)
    samples = tmp_path / f"{RUN}_recording-eye2_physio.tsv.gz"
    assert bids.recognise_bids(open_file(samples)) == "samples"
    with pytest.raises(ValueError, match=r"names the Columns x_coordinate and y_coordinate"):
        bids.read_bids(open_file(samples), NO_OPTIONS)
    # Without any sign of an eye tracker, they may be of the heart.
    for kind in ("physio.json", "physioevents.tsv.gz"):
        (tmp_path / f"{RUN}_recording-eye2_{kind}").unlink()
    assert bids.recognise_bids(open_file(samples)) == ""
    old = samples.rename(samples.with_name(samples.name.replace("physio", "eyetrack")))
    assert bids.recognise_bids(open_file(old)) == "samples"
    with pytest.raises(ValueError, match="has the suffix '_eyetrack' of drafts of BIDS, expected"):
        bids.read_bids(open_file(old), NO_OPTIONS)


def test_a_run_of_an_unknown_kind_is_not_left_out_beside_others(tmp_path: Path) -> None:
    write_set(tmp_path)
    other = RUN.replace("07", "08")
    for path in (tmp_path / RUN).parent.glob("*eye2*"):
        content = path.read_bytes()
        if "physioevents" in path.name:
            content = gzip.compress(gzip.decompress(content).replace(b"fixation", b"Fixatie"))
        copy = (tmp_path / other).parent / path.name.replace("sub-07", "sub-08")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
    with pytest.raises(ValueError, match=r"_physio\.tsv\.gz holds .*not given \(.*'Fixatie', exp"):
        gaze_files.read([tmp_path], Options())


def test_a_run_that_lacks_fixations_or_a_file_is_left_out_with_a_warning(tmp_path: Path) -> None:
    write_set(tmp_path)
    events = ["5100\t50\tfixation\t0\tn/a"]
    for kind, lines, cut, warning in (
        ("physio", [], None, "samples beside it"),
        ("physioevents", ["5100\t50\tsaccade\t0\tn/a"], None, "fixation in its physioevents"),
        ("physioevents", events, 20, "not a gzip file"),
        ("physio", SAMPLES, 40, "not a gzip file"),
    ):
        start = "sub-08/beh/sub-08_task-view_recording-eye1"
        for name, content in (("physio", SAMPLES), ("physioevents", events)):
            path = write(tmp_path, f"{start}_{name}.tsv.gz", lines if name == kind else content)
            if name == kind and cut is not None:
                path.write_bytes(path.read_bytes()[:cut])
            elif name == kind and not lines:
                path.unlink()
        found, errors = gaze_files.read([tmp_path], Options(image_from="a.jpg"))
        assert found is not None, errors
        assert found.user_ids == ["07"]
        assert "sub-08" in found.warnings[0]
        assert warning in found.warnings[0]
