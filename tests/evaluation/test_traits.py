"""Traits of users: preferences by hand, and planted traits that probes of a run find."""

from pathlib import Path

import numpy as np
import pytest

from gazejax.data.splits import Splits
from gazejax.evaluation import traits
from gazejax.evaluation.folds import Fold, Run
from gazejax.evaluation.verification.protocol import UserRepresentations
from gazejax.inputs.viewing_vectors import from_dense
from gazejax.types import Dataset
from tests.made_gaze import gaze_of

GENERATOR = np.random.default_rng(0)


def test_places_by_hand():
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, 20:] = 255  # White beside black.
    picture[:, :5] = (255, 0, 0)
    brightness, contrast, color = np.moveaxis(traits.describe_places(picture), -1, 0)
    np.testing.assert_allclose(brightness[10, [0, 10, 30]], [0.2126, 0, 1], atol=1e-6)
    np.testing.assert_allclose(color[10, [0, 10, 30]], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(contrast[10, [10, 30]], 0, atol=1e-3)
    # One column of three is white: the standard deviation of (0, 0, 1).
    np.testing.assert_allclose(contrast[10, 19], np.sqrt(2) / 3, atol=1e-6)


def test_the_others_leave_out_the_own_viewing():
    nan = np.nan
    table = np.array([[1.0, 5.0, nan], [2.0, nan, 3.0], [6.0, nan, nan], [9.0, 1.0, nan]])
    found = traits.minus_others(table[..., None], np.array([0, 1, 2]))[..., 0]
    expected = [[1 - 4, nan, nan], [2 - 3.5, nan, nan], [6 - 1.5, nan, nan], [9 - 3, 1 - 5, nan]]
    np.testing.assert_allclose(found, expected)


def test_the_places_of_a_viewing_are_those_of_its_fixations():
    picture = np.zeros((1, 20, 40, 3), np.uint8)
    picture[:, :, 20:] = 255
    xy_frac = np.array([[0.9, 0.5], [0.1, 0.5], [0.999, 0.999]], np.float32)
    dataset = dataset_of(gaze_of([[2], [0], [1]], xy_frac), picture)
    found = traits.measure_places(dataset, np.array([0]))[:, 0, 0]
    np.testing.assert_allclose(found, [0.5, np.nan, 1.0], atol=1e-6)


def dataset_of(gaze, pictures):
    user_ids, image_ids = (tuple(map(str, range(one))) for one in gaze.viewing_length.shape)
    return Dataset("made", user_ids, image_ids, {"saliency": pictures}, gaze, True, *[None] * 3)


def planted_run(num_folds=2, num_users=24, num_images=12, size=4):
    """Folds whose embeddings hold the number of fixations, of the seen and the unseen users."""
    number = GENERATOR.integers(2, 12, num_users)
    lengths = np.repeat(number[:, None], num_images, axis=1)
    lengths[0, :3] = 0  # Not all images are seen by all.
    gaze = gaze_of(lengths)
    unseen = [np.arange(one, num_users, 4) for one in range(num_folds)]
    pictures = GENERATOR.integers(0, 256, (num_images, 15, 20, 3)).astype(np.uint8)
    folds = []
    for of_fold in unseen:
        groups = {"seen": np.setdiff1d(np.arange(num_users), of_fold), "unseen": of_fold}
        direction = GENERATOR.normal(size=size)  # Of each encoder another one.
        compared = {}
        for group, users in groups.items():
            embeddings = number[users][:, None, None] * direction + GENERATOR.normal(
                scale=0.3, size=(len(users), num_images, size)
            )
            viewed = lengths[users] > 0
            compared[group] = {
                "encoder": UserRepresentations(
                    users, from_dense(embeddings, viewed), viewed, lambda *_: None
                )
            }
        splits = Splits(*groups.values(), np.array([], int), np.arange(num_images))
        folds.append(Fold(Path(), None, splits, {}, None, None, compared, {}, None))
    return Run(Path(), None, dataset_of(gaze, pictures), folds), number


def test_a_planted_trait_is_found_in_every_fold_and_another_is_not():
    run, number = planted_run()
    found = traits.fit_probes(run)
    assert len(found) == 2
    for fold, probes in zip(run.folds, found, strict=True):
        seen = fold.compared["seen"]["encoder"]
        one = probes["fixations"]
        assert one.mean == pytest.approx(number[seen.users].mean())
        assert one.standard_deviation == pytest.approx(number[seen.users].std(ddof=1))
        assert (one.num_users, one.num_unseen_users) == (18, 12)
        assert one.num_images == 5.875  # Halves of 12 images; one of the 12 users saw 9.
        assert one.correlation > 0.95
        assert one.seen_correlation > 0.95
        unseen = fold.compared["unseen"]["encoder"]
        predicted = [one.predict(of) for of in traits.embed_users(unseen, unseen.viewed)]
        assert np.corrcoef(predicted, number[unseen.users])[0, 1] > 0.95
        assert abs(probes["center_share"].correlation) < 0.8
    text = traits.format_traits(traits.describe_probes(found))
    assert "| fixations | fixations per image | " in text
    assert "of 12 unseen users" in text


def test_traits_that_say_nothing_are_left_out():
    run, _ = planted_run(num_folds=1)
    gaze = run.dataset.gaze
    alike = gaze._replace(duration_ms=np.full_like(gaze.duration_ms, 200.0))
    (probes,) = traits.fit_probes(run._replace(dataset=run.dataset._replace(gaze=alike)))
    assert "duration_ms" not in probes  # All users are alike.
    run, _ = planted_run(num_folds=1, num_users=2)
    assert traits.fit_probes(run) == [{}]
    assert traits.format_traits(traits.describe_probes([{}])) == ""
