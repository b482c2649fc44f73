"""Synthetic data: records, metadata, and gaze that follows its density."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tfds_builders.common.build import build
from tfds_builders.synthetic_gaze import generative_model, synthetic_gaze_dataset_builder

# SHA-256 of the decoded records of `tiny`, equal for all machines and versions of Python and NumPy.
TINY_SHA256 = "da134485d0dfe035b0d83befe99313b438cba9de653a4679878be4b0a137c647"


@pytest.fixture(scope="module")
def tiny_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds `tiny` once and returns its folder."""
    return build("synthetic_gaze/tiny", data_dir=tmp_path_factory.mktemp("prepared"))


def read_records(prepared_dir: Path) -> list[dict[str, Any]]:
    """Returns the decoded records, sorted by image id."""
    records = tfds.builder_from_directory(prepared_dir).as_data_source(split="train")
    return sorted(records, key=lambda record: record["image_id"])


def digest_records(prepared_dir: Path) -> str:
    """Returns the SHA-256 of all decoded values."""
    digest = hashlib.sha256()
    for record in read_records(prepared_dir):
        digest.update(record["image_id"])
        digest.update(record["image"].tobytes())
        for name in ("user", "trial", "xy_px", "duration_ms"):
            digest.update(record["gaze"][name].tobytes())
    return digest.hexdigest()


def test_tiny_has_all_users_on_every_scene(tiny_dir: Path) -> None:
    records = read_records(tiny_dir)
    assert [record["image_id"].decode() for record in records] == [
        f"scene_{index:05d}.png" for index in range(40)
    ]
    for record in records:
        gaze = record["gaze"]
        assert record["image"].shape == (120, 160, 3)
        np.testing.assert_array_equal(np.unique(gaze["user"]), np.arange(8))
        assert np.all(np.diff(gaze["user"]) >= 0)
        assert not np.any(gaze["trial"])
        assert np.all((gaze["xy_px"] >= 0) & (gaze["xy_px"] < (160, 120)))
        assert np.all(gaze["duration_ms"] > 0)
    # Log-normal around 250 ms.
    durations_ms = np.concatenate([record["gaze"]["duration_ms"] for record in records])
    assert np.median(durations_ms) == pytest.approx(250, rel=0.05)


def test_metadata_have_the_traits(tiny_dir: Path) -> None:
    metadata = tfds.builder_from_directory(tiny_dir).info.metadata
    common = {
        "user_ids": [f"observer_{user:03d}" for user in range(8)],
        "tracking": "generated",
        "has_durations": True,
        "has_images": True,
        "pixels_per_degree": None,
        "dropped_fixations": {"total": 0, "by_image_id": {}},
    }
    assert {name: metadata[name] for name in common} == common
    assert metadata["class_names"] == ["disc", "square", "triangle", "star", "ring", "cross"]
    assert np.shape(metadata["traits"]["class_log_salience"]) == (8, 6)
    observers = generative_model.sample_observers(metadata["seed"], 8)
    for user, observer in enumerate(observers):
        for name, values in metadata["traits"].items():
            np.testing.assert_array_equal(values[user], getattr(observer, name))


def test_the_image_id_reproduces_a_record(tiny_dir: Path) -> None:
    seed = tfds.builder_from_directory(tiny_dir).info.metadata["seed"]
    record = read_records(tiny_dir)[17]
    index = generative_model.parse_image_id(record["image_id"].decode())
    assert index == 17
    scene = generative_model.sample_scene(seed, index)
    np.testing.assert_array_equal(record["image"], generative_model.render_scene(scene))
    gaze = synthetic_gaze_dataset_builder.sample_gaze_table(
        scene, generative_model.sample_observers(seed, 8)
    )
    np.testing.assert_array_equal(record["gaze"]["xy_px"], gaze.xy_px)


@pytest.mark.parametrize("image_id", ["17", "scene_17.png", "scene_00017.jpg", "scene_-0017.png"])
def test_an_invalid_image_id_is_refused(image_id: str) -> None:
    with pytest.raises(ValueError, match=f"image_id is '{image_id}', expected the form"):
        generative_model.parse_image_id(image_id)


def test_the_content_is_the_same_in_every_build(tiny_dir: Path, tmp_path: Path) -> None:
    assert digest_records(tiny_dir) == TINY_SHA256
    assert digest_records(build("synthetic_gaze/tiny", data_dir=tmp_path)) == TINY_SHA256


def test_the_first_observers_do_not_depend_on_their_number() -> None:
    few, many = generative_model.sample_observers(0, 2), generative_model.sample_observers(0, 5)
    for few_observer, many_observer in zip(few, many, strict=False):
        np.testing.assert_array_equal(
            few_observer.class_log_salience, many_observer.class_log_salience
        )
    assert np.any(few[0].class_log_salience != few[1].class_log_salience)


def test_configs_share_nothing() -> None:
    default, tiny, sessions = synthetic_gaze_dataset_builder.Builder.BUILDER_CONFIGS
    assert (default.name, default.num_users, default.num_images) == ("default", 64, 500)
    assert (tiny.name, tiny.num_users, tiny.num_images) == ("tiny", 8, 40)
    assert len({default.seed, tiny.seed, sessions.seed}) == 3


def test_scenes_have_five_to_nine_objects_without_overlap() -> None:
    scenes = [generative_model.sample_scene(0, index) for index in range(500)]
    assert {len(scene.class_index) for scene in scenes} == {5, 6, 7, 8, 9}
    assert {int(c) for scene in scenes for c in scene.class_index} == set(range(6))
    overlapping_scenes = []
    for scene in scenes:
        radius_px = scene.radius_px[:, None]
        assert np.all(scene.center_px >= radius_px)
        assert np.all(scene.center_px <= np.asarray([160, 120]) - radius_px)
        distance_px = np.linalg.norm(scene.center_px[:, None] - scene.center_px[None], axis=2)
        gap_px = distance_px - radius_px - radius_px.T
        if np.any(gap_px[~np.eye(len(gap_px), dtype=bool)] < 0):
            overlapping_scenes.append(scene.image_index)
    assert len(overlapping_scenes) <= 5


def make_two_object_scene() -> generative_model.Scene:
    """Returns a disc on the left and a ring on the right, at equal distance from the centre."""
    return generative_model.Scene(
        seed=0,
        image_index=0,
        class_index=np.asarray([0, 4]),
        center_px=np.asarray([[40.0, 30.0], [120.0, 90.0]]),
        radius_px=np.asarray([10.0, 10.0]),
        conspicuity=np.zeros(2),
    )


def make_observer(**changed: Any) -> generative_model.Observer:
    """Returns an observer without preferences, apart from `changed`."""
    neutral: dict[str, Any] = {
        "class_log_salience": np.zeros(6),
        "center_bias": 0.0,
        "spread": 0.3,
        "mean_fixations": 10.0,
    }
    return generative_model.Observer(**(neutral | changed))


def test_a_log_salience_of_log_3_gets_three_quarters_of_the_gaze() -> None:
    # exp(log 3) / (exp(log 3) + exp(0)) = 3/4 on the disc, in the left half. The spread is 3 px and
    # the border between the halves is 40 px away.
    observer = make_observer(class_log_salience=np.log([3, 1, 1, 1, 1, 1]))
    density = generative_model.gaze_density(make_two_object_scene(), observer, 120, 160)
    assert density.shape == (120, 160)
    assert density.sum() == pytest.approx(1)
    assert density[:, :80].sum() == pytest.approx(0.75, abs=1e-6)
    # y 30 and x 40 are borders of cells: the four cells around have the maximum.
    assert set(zip(*np.nonzero(np.isclose(density, density.max())), strict=True)) == {
        (29, 39),
        (29, 40),
        (30, 39),
        (30, 40),
    }


def test_center_bias_and_conspicuity_move_the_density_as_the_formula_says() -> None:
    scene = make_two_object_scene()
    # Half the diagonal is 100 px. The disc at the centre has distance 0. The ring at (120, 90) is
    # 50 px away: distance 0.5. Center bias 2 subtracts 2 x 0.25 = 0.5 from the ring, and its
    # conspicuity adds 0.5. The Gaussian at the centre has weight 0.2, and each object has half of
    # the rest.
    scene = scene._replace(
        center_px=np.asarray([[80.0, 60.0], [120.0, 90.0]]), conspicuity=np.asarray([0.0, 0.5])
    )
    weights, means_px, sds_px = generative_model.gaze_mixture(scene, make_observer(center_bias=2.0))
    np.testing.assert_allclose(weights, [0.2, 0.4, 0.4])
    np.testing.assert_allclose(means_px, [[80, 60], [80, 60], [120, 90]])
    # A quarter of the width and height; 0.3 x radius 10.
    np.testing.assert_allclose(sds_px, [[40, 30], [3, 3], [3, 3]])


def test_gaze_follows_its_density() -> None:
    scene = generative_model.sample_scene(0, 3)
    observer = generative_model.sample_observers(0, 1)[0]._replace(center_bias=2.0)
    generator = generative_model.make_generator(0, generative_model.GAZE_STREAM, 3, 0)
    xy_px, duration_ms = generative_model.sample_gaze(generator, scene, observer, 200_000)
    assert len(xy_px) == len(duration_ms) == 200_000
    counts, _, _ = np.histogram2d(
        xy_px[:, 1], xy_px[:, 0], bins=(12, 16), range=((0, 120), (0, 160))
    )
    density = generative_model.gaze_density(scene, observer, 12, 16)
    # Chi-square over 192 cells: 191 expected, standard deviation about 20.
    expected = 200_000 * density
    assert np.sum((counts - expected) ** 2 / expected) < 191 + 4 * 20
    # A coarse grid is the sum of a fine grid.
    fine = generative_model.gaze_density(scene, observer, 120, 160)
    np.testing.assert_allclose(fine.reshape(12, 10, 16, 10).sum(axis=(1, 3)), density, atol=1e-12)


def test_a_preference_for_a_class_increases_gaze_on_the_class() -> None:
    shares = []
    for log_salience in (0.0, 2.0):
        observer = make_observer(class_log_salience=np.eye(6)[3] * log_salience)
        near_star = []
        for index in range(40):
            scene = generative_model.sample_scene(0, index)
            generator = generative_model.make_generator(0, generative_model.GAZE_STREAM, index, 0)
            xy_px, _ = generative_model.sample_gaze(generator, scene, observer)
            distance_px = np.linalg.norm(xy_px[:, None] - scene.center_px[None], axis=2)
            near_star.extend(scene.class_index[distance_px.argmin(axis=1)] == 3)
        shares.append(np.mean(near_star))
    # Without a preference about 1/6; with e^2 = 7.4 times the weight over 1/2.
    assert 0.1 < shares[0] < 0.25
    assert shares[1] > 0.5


def test_the_number_of_fixations_is_a_trait_of_the_observer() -> None:
    scene = make_two_object_scene()
    observer = make_observer(mean_fixations=8.0)
    numbers = [
        len(generative_model.sample_gaze(np.random.default_rng(i), scene, observer)[0])
        for i in range(1000)
    ]
    assert min(numbers) >= 1
    # Poisson: the mean of 1000 has a standard error of sqrt(8 / 1000) = 0.09.
    assert np.mean(numbers) == pytest.approx(8, abs=0.36)


def test_classes_identify_observers_and_positions_do_not() -> None:
    num_users, num_images = 24, 20
    observers = generative_model.sample_observers(0, num_users)
    class_counts = np.zeros((2, num_users, 6))
    position_sums = np.zeros((2, num_users, 2))
    for index in range(num_images):
        scene = generative_model.sample_scene(0, index)
        gaze = synthetic_gaze_dataset_builder.sample_gaze_table(scene, observers)
        distance_px = np.linalg.norm(gaze.xy_px[:, None] - scene.center_px[None], axis=2)
        nearest_class = scene.class_index[distance_px.argmin(axis=1)]
        np.add.at(class_counts[index % 2], (gaze.user, nearest_class), 1)
        np.add.at(position_sums[index % 2], gaze.user, gaze.xy_px)
    num_fixations = class_counts.sum(axis=2, keepdims=True)
    # Ten even and ten odd scenes.
    assert verification_roc_auc(class_counts / num_fixations) > 0.95
    assert verification_roc_auc(position_sums / num_fixations) < 0.75


def verification_roc_auc(features: np.ndarray) -> float:
    """Returns how often an observer is nearer to itself than to another; features [2, u, d]."""
    features = features - features.mean(axis=1, keepdims=True)
    distance = np.linalg.norm(features[0][:, None] - features[1][None], axis=2)
    is_same_mask = np.eye(len(distance), dtype=bool)
    return float(np.mean(distance[is_same_mask][:, None] < distance[~is_same_mask][None]))


def test_a_session_shifts_scales_and_slows_the_gaze_of_an_observer() -> None:
    session = generative_model.Session(
        shift_frac=np.array([0.1, 0.0]),
        drift_frac=np.array([0.0, 0.2]),
        gain=2.0,
        tempo=1.5,
        added_fixations=0.0,
    )
    xy_px = np.array([[80, 60], [90, 50]], np.float32)
    # The image is 160 x 120: a shift of 16, and at its end a drift of half of 24.
    moved_px, duration_ms = generative_model.record_in_session(
        session, xy_px, np.array([100, 200], np.float32), progress=1.0
    )
    np.testing.assert_allclose(moved_px, [[96, 72], [116, 52]], atol=1e-4)
    np.testing.assert_allclose(duration_ms, [150, 300])


def test_sessions_differ_around_their_observer() -> None:
    sessions = [generative_model.sample_sessions(0, user, 3) for user in range(200)]
    shift = np.array([[one.shift_frac for one in of_user] for of_user in sessions])
    within = shift.std(axis=1, ddof=1)
    np.testing.assert_allclose(np.sqrt((within**2).mean(axis=0)), [0.009, 0.011], rtol=0.1)
    np.testing.assert_allclose(shift[:, 0].std(axis=0), [0.018, 0.025], rtol=0.15)
    first = [one.tempo for one in generative_model.sample_sessions(0, 5, 1)]
    assert first == [sessions[5][0].tempo]


def test_gaze_of_a_scene_is_of_the_session_it_falls_into() -> None:
    observers = generative_model.sample_observers(0, 3)
    sessions = [generative_model.sample_sessions(0, user, 2) for user in range(3)]
    scene = generative_model.sample_scene(0, 7)
    sample_gaze_table = synthetic_gaze_dataset_builder.sample_gaze_table
    apart = sample_gaze_table(scene, observers, sessions, 0.7)
    plain = sample_gaze_table(scene, observers)
    assert plain.session is None
    assert apart.session is not None
    assert set(apart.session.tolist()) == {1}
    assert (apart.user == 0).sum() > 0
    assert not np.array_equal(apart.xy_px[:3], plain.xy_px[:3])
