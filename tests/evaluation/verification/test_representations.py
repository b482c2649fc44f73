"""Which controls are of the users that are compared."""

import numpy as np
import pytest

from gazejax.evaluation.verification.protocol import at_any_size
from gazejax.evaluation.verification.representations import Representation, represent_users
from gazejax.metrics import verification


@pytest.mark.parametrize(("shared", "is_left_out"), [(1, True), (2, False)])
def test_labels_that_no_permutation_changes_are_no_control(capsys, shared, is_left_out):
    # Two users, each with images of their own, and `shared` images that both saw.
    length = np.array([[3, 3, 0, 0, 3, 3], [0, 0, 3, 3, 3, 3]])[:, : 4 + shared]
    known = Representation(
        np.zeros((2, 4 + shared, 1)), length, at_any_size(verification.negative_distance)
    )
    methods = {"encoder": known, "permuted_labels": known._replace(permuted=True)}
    found = represent_users(methods, np.arange(2), np.arange(4 + shared))
    assert ("permuted_labels" not in found) == is_left_out
    assert "encoder" in found
    message = "permuted_labels left out: 2 of 6 viewings are of test images with two viewers"
    assert (message in capsys.readouterr().err) == is_left_out
