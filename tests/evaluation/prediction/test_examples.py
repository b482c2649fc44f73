"""Maps to look at, by hand."""

import numpy as np

from gazejax.evaluation.prediction import protocol
from gazejax.evaluation.prediction.examples import example_picker


def request(is_query):
    is_query = np.array(is_query, bool)
    enrolments, users, images = is_query.shape
    return protocol.PredictionRequest(
        users=np.arange(users) + 10,
        images=np.arange(images) + 20,
        is_enrolled=np.zeros(is_query.shape, bool),
        is_query=is_query,
        embeddings=np.zeros((enrolments, 3, users, 1), np.float32),
        calibration=None,
    )


def batch(asked):
    """All rows that are asked for; a map holds the numbers of its enrolment, image and user."""
    enrolment, column = np.nonzero(asked.is_query.any(axis=1))
    users, conditions = len(asked.users), len(protocol.CONDITIONS)
    number = 100 * enrolment[:, None] + 10 * column[:, None] + np.arange(users)
    maps = np.broadcast_to(number[:, None, :, None, None], (len(column), conditions, users, 1, 1))
    return {"enrolment": enrolment, "image": column, "maps": maps, "truth": maps[:, 0]}


def test_a_map_is_that_of_the_last_enrolment_without_the_image():
    # Two enrolments, two users, three images.
    asked = request([[[1, 1, 0], [0, 1, 0]], [[0, 1, 0], [1, 0, 0]]])
    found = example_picker("unseen", [asked])(batch(asked), asked)
    assert {(one["user"], one["image"]): int(one["own"][0, 0]) for one in found} == {
        (10, 20): 0,
        (11, 20): 101,
        (10, 21): 110,
        (11, 21): 11,
    }


def test_images_are_in_even_steps_and_users_are_the_first_of_each_fold():
    asked = request(np.ones((1, 12, 47)))
    found = example_picker("unseen", [asked, asked])(batch(asked), asked)
    assert sorted({one["image"] for one in found}) == list(range(20, 67, 2))
    assert sorted({one["user"] for one in found}) == list(range(10, 18))
    of_seen = example_picker("seen", [asked, asked])(batch(asked), asked)
    assert len({one["user"] for one in of_seen}) == 12
