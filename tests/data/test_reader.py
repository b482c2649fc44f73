import functools
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from gazejax.data import reader
from tfds_builders.synthetic_gaze import generative_model


def table(user, trial, xy_px):
    number = len(user)
    return {
        "user": np.array(user, np.int32),
        "trial": np.array(trial, np.int32),
        "xy_px": np.array(xy_px, np.float32).reshape(number, 2),
        "duration_ms": np.arange(number, dtype=np.float32) + 100,
    }


def flatten(*tables, sizes=((50, 100), (20, 40)), num_users=3, **options):
    ids = [f"{number}.png" for number in range(len(tables))]
    options = {
        "first_trial_only": False,
        "drop_first_fixation": False,
        "subsample_every": 1,
    } | options
    return reader._flatten_gaze(
        tables, image_ids=ids, sizes=sizes[: len(tables)], num_users=num_users, **options
    )


def load_tiny(data_dir, image_sizes):
    return reader.load(
        "synthetic_gaze/tiny",
        data_dir,
        image_sizes,
        is_resident=True,
        first_trial_only=False,
        drop_first_fixation=False,
        subsample_every=1,
    )


def test_viewings_are_found_where_offset_and_length_say():
    # Image 0 is 100 wide and 50 high; user 1 did not see it. User 0's trials come out of order.
    gaze = flatten(
        table([2, 0, 0, 0], [0, 1, 0, 0], [[90, 5], [30, 40], [10, 20], [11, 21]]),
        table([1], [0], [[39, 19]]),
    )
    np.testing.assert_array_equal(gaze.viewing_length, [[3, 0], [0, 1], [1, 0]])
    first = slice(gaze.viewing_offset[0, 0], gaze.viewing_offset[0, 0] + 3)
    # x / 100 and y / 50: read as (y, x) the first would be (.2, .2).
    np.testing.assert_allclose(gaze.xy_frac[first], [[0.1, 0.4], [0.11, 0.42], [0.3, 0.8]])
    np.testing.assert_array_equal(gaze.duration_ms[first], [102, 103, 101])
    np.testing.assert_allclose(gaze.xy_frac[gaze.viewing_offset[1, 1]], [39 / 40, 19 / 20])
    np.testing.assert_allclose(gaze.aspect_ratio, [2.0, 2.0])


def test_recordings_keep_the_sessions_of_a_user_apart():
    # User 0 saw the image in both sessions; user 1 has one session, user 2 none with gaze.
    of_image = table([0, 1, 0, 0], [0, 0, 1, 1], [[1, 1], [2, 2], [3, 3], [4, 4]])
    of_image["session"] = np.array([0, 0, 1, 1], np.int32)
    flatten_one = functools.partial(
        reader._flatten_gaze,
        image_ids=["0.png"],
        sizes=[(50, 100)],
        first_trial_only=True,
        drop_first_fixation=False,
        subsample_every=1,
    )
    found = reader._recordings([of_image], [["a", "b"], ["c"], ["d"]], flatten_one)
    assert (found.user.tolist(), found.session_ids) == ([0, 0, 1, 2], ("a", "b", "c", "d"))
    # The first trial of each session, not of each user.
    assert found.gaze.viewing_length[:, 0].tolist() == [1, 2, 1, 0]
    start = found.gaze.viewing_offset[1, 0]
    np.testing.assert_allclose(found.gaze.xy_frac[start : start + 2, 0], [0.03, 0.04])
    assert reader._recordings([of_image], (), flatten_one) is None


@pytest.mark.parametrize(
    ("user", "xy_px", "message"),
    [
        ([0, 3], [[1, 1], [2, 2]], r"image '0.png' row 1: user 3 .* 0 <= user < 3"),
        ([0, 1], [[100, 1], [2, 2]], r"row 0: user 0 at \[100.0, 1.0\]; .* 0 <= x < 100"),
        ([0, 1], [[1, 1], [2, np.nan]], r"row 1: user 1 at \[2.0, nan\]"),
    ],
)
def test_a_bad_row_is_named(user, xy_px, message):
    with pytest.raises(ValueError, match=message):
        flatten(table(user, [0] * len(user), xy_px))


def test_a_data_set_without_gaze_is_refused():
    with pytest.raises(ValueError, match="1 images and 0 fixations"):
        flatten(table([], [], np.zeros((0, 2))))


def test_loads_pixels_and_gaze_of_the_same_scene(data_dir):
    dataset = load_tiny(data_dir, {"whole": (120, 160), "half": (60, 80)})
    assert len(dataset.user_ids) == 8
    assert list(dataset.image_ids) == sorted(dataset.image_ids)
    number = generative_model.parse_image_id(dataset.image_ids[7])
    picture = generative_model.render_scene(generative_model.sample_scene(1, number))
    np.testing.assert_array_equal(dataset.images["whole"][7], picture)
    half = np.asarray(Image.fromarray(picture).resize((80, 60), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(dataset.images["half"][7], half)
    assert dataset.gaze.viewing_length.sum() == len(dataset.gaze.xy_frac)


def test_a_name_without_its_configuration_is_helped(data_dir):
    with pytest.raises(FileNotFoundError, match=r"must be one of 'synthetic_gaze/tiny'"):
        reader.prepared_folder("synthetic_gaze", data_dir)


def test_what_an_interrupted_build_left_is_not_opened(data_dir, tmp_path):
    leftover = tmp_path / "osie" / "gaze" / "incomplete.A1B2_1.0.0"
    leftover.mkdir(parents=True)
    (leftover / "dataset_info.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="is not prepared"):
        reader.prepared_folder("osie/gaze", tmp_path)


def test_the_first_fixation_of_every_trial_can_be_dropped():
    # User 0 looked twice; user 2's only fixation is a first one.
    first = table([0, 0, 0, 0, 2], [0, 0, 1, 1, 0], [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5]])
    gaze = flatten(first, drop_first_fixation=True)
    np.testing.assert_array_equal(gaze.viewing_length[:, 0], [2, 0, 0])
    np.testing.assert_allclose(gaze.xy_frac * [100, 50], [[2, 2], [4, 4]])
    np.testing.assert_array_equal(gaze.duration_ms, [101, 103])


def test_rows_can_be_thinned_from_the_start_of_every_trial():
    rows = [[number, 0] for number in range(8)]
    gaze = flatten(
        table([0, 0, 0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 1, 0, 0, 0], rows), subsample_every=2
    )
    # User 0: rows 0 and 2 of the first trial, 3 of the second; 5 and 7 are first ones too.
    np.testing.assert_allclose(gaze.xy_frac[:, 0] * 100, [0, 2, 3, 5, 7])
    np.testing.assert_array_equal(gaze.viewing_length[:, 0], [3, 1, 1])
    both = flatten(table([0] * 5, [0] * 5, rows[:5]), subsample_every=2, drop_first_fixation=True)
    np.testing.assert_allclose(both.xy_frac[:, 0] * 100, [1, 3])


def test_a_data_set_of_an_older_builder_is_refused(data_dir, tmp_path):
    old = tmp_path / "synthetic_gaze" / "tiny" / "1.0.0"
    shutil.copytree(reader.prepared_folder("synthetic_gaze/tiny", data_dir), old)
    metadata = json.loads((old / "metadata.json").read_text())
    del metadata["has_durations"]
    (old / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(
        ValueError, match=r"1\.0\.0 was prepared by an older builder; run again: gaz"
    ):
        load_tiny(tmp_path, {})


def test_only_the_first_trial_of_each_user_can_be_kept():
    # User 2 has no trial 0: a first trial may be lost and a later one kept.
    rows = table([0, 0, 0, 2, 2], [1, 0, 0, 1, 2], [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5]])
    gaze = flatten(rows, first_trial_only=True)
    np.testing.assert_array_equal(gaze.viewing_length[:, 0], [2, 0, 1])
    np.testing.assert_allclose(gaze.xy_frac[:, 0] * 100, [2, 3, 4])


def test_a_record_that_does_not_read_is_named(data_dir, tmp_path):
    """One byte in the middle of every file, so that it hits a record wherever it lies."""
    folder = tmp_path / "synthetic_gaze" / "tiny"
    shutil.copytree(reader.prepared_folder("synthetic_gaze/tiny", data_dir), folder / "1.2.0")
    for path in folder.glob("*/*.array_record*"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0x10
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"array_record-\d+-of-\d+: record \d+ does not read: "):
        load_tiny(tmp_path, {})


def test_an_image_that_does_not_decode_is_named(data_dir):
    source = reader.open_source("synthetic_gaze/tiny", data_dir)
    record = dict(reader.read_record(source, 3))
    record["image"] = record["image"][:100]
    with pytest.raises(ValueError, match=rf"image '{record['image_id'].decode()}' does not decode"):
        reader._decode(source, record, [(4, 5)])
