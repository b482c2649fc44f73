"""Which controls are of the users that are compared."""

import functools

import numpy as np
import pytest

from gazejax.evaluation.verification.protocol import at_any_size
from gazejax.evaluation.verification.representations import (
    Representation,
    represent_recordings,
    represent_users,
)
from gazejax.inputs.viewing_vectors import from_dense, select_users
from gazejax.metrics import verification
from gazejax.types import Recordings
from tests import made_gaze


def zeros_of(length):
    viewed = length > 0
    return functools.partial(select_users, from_dense(np.zeros((*viewed.shape, 1)), viewed))


@pytest.mark.parametrize(("shared", "is_left_out"), [(1, True), (2, False)])
def test_labels_that_no_permutation_changes_are_no_control(capsys, shared, is_left_out):
    # Two users, each with images of their own, and `shared` images that both saw.
    length = np.array([[3, 3, 0, 0, 3, 3], [0, 0, 3, 3, 3, 3]])[:, : 4 + shared]
    known = Representation(
        zeros_of(length),
        length,
        at_any_size(verification.negative_distance),
    )
    methods = {"encoder": known, "permuted_labels": known._replace(permuted=True)}
    found = represent_users(methods, np.arange(2), np.arange(4 + shared))
    assert ("permuted_labels" not in found) == is_left_out
    assert "encoder" in found
    message = "permuted_labels left out: 2 of 6 viewings are of test images with two viewers"
    assert (message in capsys.readouterr().err) == is_left_out


@pytest.mark.parametrize(("half", "is_left_out"), [((0, 0, 1, 1), True), ((0, 1, 0, 1), False)])
def test_two_recordings_of_one_user_are_one_viewer(tiny_dataset, half, is_left_out):
    length = np.repeat(5 * np.eye(2, dtype=int)[list(half)], 3, axis=1)
    known = Representation(
        zeros_of(length),
        length,
        at_any_size(verification.negative_distance),
        permuted=True,
    )
    user = np.array([0, 0, 1, 1])
    recordings = Recordings(user, ("a", "b", "a", "b"), tiny_dataset.gaze)
    found = represent_recordings({"permuted_labels": known}, recordings, np.arange(2), np.arange(6))
    assert (not found) == is_left_out


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (("b", "a", "b", "a", "c"), [1, 0, 1, 0, 2]),
        # Two of three names, as three others have.
        (("a", "b", "b", "c") * 4, [0, 1, 1, 2] * 4),
        # As one other has: too few to compare.
        (("a", "b", "b", "c") * 3, [0, 1] * 6),
        # Names of their own, and dates: by the place among the sessions of the user.
        (("ann_1", "ann_2", "bob_1", "bob_2", "eve_1", "eve_2"), [0, 1, 0, 1, 0, 1]),
        (("05-01", "05-02", "05-02", "05-03", "05-03", "05-04"), [0, 1, 0, 1, 0, 1]),
    ],
)
def test_sessions_of_users_correspond_by_name_or_by_place(names, numbers):
    length = np.ones((len(names), 4), int)
    scores = at_any_size(verification.negative_distance)
    known = Representation(zeros_of(length), length, scores)
    user = np.repeat(np.arange(8), 2)[: len(names)]
    recordings = Recordings(user, names, made_gaze.gaze_of(length))
    users = np.unique(user)
    found = represent_recordings({"encoder": known}, recordings, users, np.arange(4))
    assert found["encoder"].session.tolist() == numbers
