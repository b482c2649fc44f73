"""Few-shot identification: from training images to test images, by methods and by maps."""

import json

import numpy as np
import pytest

from gazejax.evaluation.few_shot import people, protocol
from gazejax.evaluation.folds import open_run
from gazejax.evaluation.report import DETAILS, format_evaluation
from gazejax.evaluation.verification.protocol import at_any_size
from gazejax.inputs.viewing_vectors import from_dense, to_dense
from gazejax.metrics import verification


@pytest.fixture(scope="module")
def run(tiny_run):
    return open_run(tiny_run)


def test_unseen_users_are_found_by_every_method_and_size(run, tiny_run):
    found = people.identify_users(run)
    names = {run.dataset.user_ids[user] for user in run.folds[0].splits.unseen_users}
    assert found["num_images"] == len(run.folds[0].splits.test_images)
    rows = [
        row
        for key in ("one_viewing", "all_viewings")
        for method in people.METHODS
        for row in found[key][method].values()
    ]
    assert len(rows) == 2 * 3 * 3
    assert set(found["own_map"]) == {"1", "5", "10"}
    for row in [*rows, *found["own_map"].values()]:
        assert set(row["users"]) == names
        for metric in protocol.METRICS:
            assert row[metric] == pytest.approx(np.mean([u[metric] for u in row["users"].values()]))
            low, high = row[f"{metric}_interval"]
            assert low <= row[metric] <= high
    assert found["chance"] == {"rank1": 0.5, "rank3": 1.0, "mrr": 0.75}

    result = json.loads((tiny_run / "evaluation.json").read_text()) | {"few_shot": found}
    text = format_evaluation(result)
    short, _, details = text.partition(DETAILS)
    value = found["own_map"]["10"]["rank1"]
    assert "| one viewing: predicted map that fits best | rank-1 |" in short
    assert f"{value:.3f} [" in short
    assert "| chance | rank-3 | 1.000 | 1.000 | 1.000 |" in short
    for name in names:
        assert f"user {name}" in details


def test_embeddings_of_enrolment_are_of_training_images_alone(run, monkeypatch):
    """What a user looked at on test images changes no enrolment, and probes are test images."""
    fold = run.folds[0]
    compared, orders, sizes = people._represent(fold, run.dataset)
    num_train = len(fold.splits.train_images)
    assert sizes == [1, 5, 10]
    assert orders.shape == (10, num_train)
    known = compared["encoder"]
    enrolled = people._enrol(known, orders, 5)
    every = to_dense(known.representations)
    changed = every.copy()
    changed[:, num_train:] = 1e6
    changed = from_dense(changed, known.viewed)
    np.testing.assert_array_equal(
        people._enrol(known._replace(representations=changed), orders, 5), enrolled
    )
    of_first = every[0, orders[0, :5]]
    np.testing.assert_allclose(enrolled[0, 0], of_first.mean(axis=0), rtol=1e-5)
    # The test images are represented as in stage 1.
    np.testing.assert_allclose(
        every[:, num_train:],
        to_dense(fold.compared["unseen"]["encoder"].representations),
        atol=1e-5,
    )


def test_a_map_is_that_of_the_shifted_user(run):
    """Entry (u, s) reads the embedding of user u + s, and no other one."""
    fold = run.folds[0]
    first, second = fold.splits.unseen_users.tolist()
    third = int(fold.splits.seen_users[0])
    three = fold._replace(
        splits=fold.splits._replace(
            unseen_users=np.array([first, second, third]), test_images=fold.splits.test_images[:2]
        )
    )
    size = fold.compared["seen"]["encoder"].representations.vectors.shape[-1]
    enrolled = 30 * np.random.default_rng(0).normal(size=(3, size))
    changed = enrolled.copy()
    changed[2] *= -1
    of_all = np.stack([enrolled, changed, 0 * enrolled])  # Three enrolments, at once.
    before, after, equal = people._likelihoods(three, of_all)
    user, shift = np.indices((3, 3))
    is_changed = (user + shift) % 3 == 2
    assert np.all(before[:, is_changed] != after[:, is_changed])
    np.testing.assert_array_equal(before[:, ~is_changed], after[:, ~is_changed])
    # Equal embeddings make equal maps: the own one comes last.
    assert (protocol.map_ranks(equal[None]) == 3).all()


def test_equal_maps_are_ranked_last_and_missing_viewings_not_at_all(run):
    likelihood = np.array([[[[-1.0, -1.0, -2.0], [np.nan] * 3, [-3.0, -1.0, -2.0]]]])
    ranks = protocol.map_ranks(likelihood)
    np.testing.assert_array_equal(ranks, [[[2.0], [np.nan], [3.0]]])
    ones = np.ones((4, 3), int)
    row = protocol.summarize(ranks, ["a", "b", "c"], ones, np.ones((4, 1), int))
    # Of users a and c: ranks 2 and 3.
    assert (row["rank1"], row["rank3"]) == (0.0, 1.0)
    assert row["mrr"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert row["mrr_interval"] == pytest.approx([row["mrr"]] * 2)
    collapsed = np.zeros((1, 3, 1))
    by_distance = at_any_size(verification.negative_distance)
    viewed = np.ones((3, 2), bool)
    found = protocol.viewing_ranks(collapsed, np.zeros((3, 2, 1)), viewed, by_distance, 1)
    assert (found == 3).all()
