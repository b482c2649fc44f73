"""pysaliency's view of a data set, where pysaliency imports (the extra `pysaliency`)."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from gazejax.data import reader
from tfds_builders.common.build import build

pysaliency = pytest.importorskip("pysaliency", exc_type=ImportError)


@pytest.fixture(scope="module")
def opened(data_dir, tmp_path_factory):
    from gazejax.interop.pysaliency import to_pysaliency

    return to_pysaliency("synthetic_gaze/tiny", data_dir, tmp_path_factory.mktemp("images"))


def test_stimuli_and_trains_are_those_of_the_data_set(opened, data_dir):
    stimuli, fixations = opened
    metadata, records = reader.read_records("synthetic_gaze/tiny", data_dir)
    assert len(stimuli) == 40
    assert len(fixations.train_xs) == 40 * 8
    assert len(fixations.x) == metadata["num_fixations"]
    np.testing.assert_array_equal(stimuli.stimuli[3], reader.decode_image(records[3]["image"]))
    gaze = records[3]["gaze"]
    mine = (fixations.n == 3) & (fixations.subjects == 5)
    theirs = gaze["user"] == 5
    np.testing.assert_allclose(fixations.x[mine], gaze["xy_px"][theirs, 0])
    np.testing.assert_allclose(fixations.y[mine], gaze["xy_px"][theirs, 1])
    np.testing.assert_allclose(fixations.duration_ms[mine], gaze["duration_ms"][theirs])
    train = np.flatnonzero((fixations.train_ns == 3) & (fixations.train_subjects == 5))
    assert fixations.scanpath_attributes["user_id"][train] == ["observer_005"]


def test_there_and_back_is_the_same_data_set(opened, data_dir, tmp_path):
    from gazejax.interop.pysaliency import from_pysaliency

    table = from_pysaliency(*opened, tmp_path)
    folder = build(
        "gaze_table",
        data_dir=tmp_path,
        table=table,
        images_dir=tmp_path / "images",
        stored_name="back",
    )
    expected, _ = reader.read_records("synthetic_gaze/tiny", data_dir)
    assert tfds.builder_from_directory(folder).info.metadata["digest"] == expected["digest"]


def test_data_of_pysaliency_alone_can_be_built(tmp_path):
    from gazejax.interop.pysaliency import from_pysaliency

    stimuli = pysaliency.Stimuli([np.full((20, 30, 3), value, np.uint8) for value in (10, 20)])
    fixations = pysaliency.FixationTrains.from_fixation_trains(
        xs=[[1.5, 2], [3], [4]],
        ys=[[1, 2.5], [3], [4]],
        ts=[[0, 1], [0], [0]],
        ns=[1, 0, 1],
        subjects=[7, 7, 7],
    )
    table = from_pysaliency(stimuli, fixations, tmp_path)
    folder = build(
        "gaze_table",
        data_dir=tmp_path,
        table=table,
        images_dir=tmp_path / "images",
        stored_name="theirs",
    )
    builder = tfds.builder_from_directory(folder)
    assert builder.info.metadata["user_ids"] == ["7"]
    records = {record["image_id"]: record for record in builder.as_data_source(split="train")}
    gaze = records[b"stimulus_00001.png"]["gaze"]
    assert gaze["xy_px"].tolist() == [[1.5, 1], [2, 2.5], [4, 4]]
    assert gaze["trial"].tolist() == [0, 0, 1]
    assert records[b"stimulus_00001.png"]["image"][0, 0].tolist() == [20, 20, 20]
