"""Prediction within a session and across sessions, on gaze made up for it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gazejax.data.splits import Splits
from gazejax.evaluation.folds import Fold, Run
from gazejax.evaluation.prediction import protocol, score_maps, sessions
from gazejax.evaluation.prediction.calibration import calibration_grid
from gazejax.evaluation.prediction.variants import prediction_variants
from gazejax.evaluation.verification.protocol import (
    UserRepresentations,
    enrolment_weights,
    sample_image_orders,
)
from gazejax.evaluation.verification.sessions import RecordingRepresentations, joined_recordings
from gazejax.inputs.maps import JoinedGaze, MapSpec, sum_maps
from gazejax.inputs.viewing_vectors import from_dense
from gazejax.types import Gaze, Recordings
from tests.tiny import read_config

# Users 3, 4 and 5. Images 2 and 3 were seen in both sessions of user 3.
VIEWED = np.array(
    [
        [1, 1, 1, 1, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 1, 1, 0, 0],
    ],
    bool,
)
USER = np.array([0, 0, 1, 2, 2])


def recorded(viewed=VIEWED, user=USER, representations=None):
    if representations is None:
        representations = np.zeros((*viewed.shape, 1))
    return RecordingRepresentations(
        users=np.unique(user) + 3,
        user=user,
        session=np.arange(len(user)) - np.searchsorted(user, user),  # Users follow each other.
        representations=from_dense(representations, viewed),
        viewed=viewed,
        similarity=lambda probe, gallery, size: probe @ gallery.T,
    )


def test_recordings_and_images_by_hand():
    orders = np.array([np.arange(8), np.arange(8)[::-1]] * 10)
    # As user 3, all of them.
    known = recorded(np.tile(VIEWED[:2], (3, 1)), np.repeat(np.arange(3), 2))
    within, across = (
        sessions.enrol(known, orders, size=2, largest=2, across=one, seed=0)
        for one in (False, True)
    )
    assert within.users.tolist() == across.users.tolist() == [0, 1, 2]
    assert set(map(tuple, within.target.tolist())) == {(0, 2, 4), (1, 3, 5)}
    np.testing.assert_array_equal(within.enrolled, within.target)
    np.testing.assert_array_equal(across.target, within.target)
    np.testing.assert_array_equal(across.enrolled + across.target, [[1, 5, 9]] * 20)
    for draw, target in enumerate(across.target[:, 0]):
        for one in (within, across):
            for is_enrolled, is_query in zip(
                one.is_enrolled[draw], one.is_query[draw], strict=True
            ):
                assert np.flatnonzero(is_enrolled).tolist() == [2, 3]
                assert np.flatnonzero(is_query).tolist() == ([4, 5, 6, 7] if target else [0, 1])


def test_the_sessions_of_a_draw_are_those_that_most_users_have():
    orders = np.array([np.arange(8), np.arange(8)[::-1]] * 10)
    for across in (False, True):
        found = sessions.enrol(recorded(), orders, size=1, largest=1, across=across, seed=0)
        # User 4 has one session.
        assert found.users.tolist() == [0, 2]
        assert set(map(tuple, found.target.tolist())) == {(0, 3), (1, 4)}
        of_target = found.target if not across else np.array([[1, 7]]) - found.target
        np.testing.assert_array_equal(found.enrolled, of_target)
        # No user enrols with an image that is predicted for any of them.
        is_enrolled, is_query = found.is_enrolled.any(axis=1), found.is_query.any(axis=1)
        assert not (is_enrolled & is_query).any()


def test_the_largest_enrolment_leaves_as_many_images_to_predict():
    # Within: 6 // 2 of users 3 and 4, 4 // 2 of user 5; across, user 5 has 3 images for 4 // 2.
    assert sessions.images_to_predict(recorded(), across=False) == 6
    assert sessions.images_to_predict(recorded(), across=True) == 4
    without = recorded(VIEWED * (np.arange(5) != 3)[:, None])
    assert sessions.images_to_predict(without, across=True) == 0
    with pytest.raises(ValueError, match=r"1 users have two recordings .* at least 2 users"):
        sessions.enrol(without, np.arange(8)[None], size=2, largest=2, across=True, seed=0)


def test_a_mean_embedding_is_of_most_seen_users():
    def cohort(number, session):
        one = recorded(np.ones((2 * number, 8), bool), np.repeat(np.arange(number), 2))
        return one._replace(session=one.session + session)

    orders = np.tile(np.arange(8), (2, 1))
    unseen = cohort(4, 0)
    few = cohort(5, 2)
    few = few._replace(session=np.where(few.user == 0, few.session - 2, few.session))
    for seen, size in ((cohort(5, 0), 4), (cohort(5, 2), 0), (few, 0)):
        for across in (False, True):
            found = sessions.usable_size(
                [(unseen, seen), (seen, seen)], orders, 4, across=across, seed=0
            )
            assert found == size


def test_users_who_cannot_enrol_with_the_most_images_are_left_out_at_every_size():
    viewed = np.ones((3, 8), bool)
    viewed[1, 5:] = False
    known, orders = recorded(viewed, np.arange(3)), np.arange(8)[None]
    found = sessions.enrol(known, orders, size=2, largest=3, across=False, seed=0)
    assert found.users.tolist() == [0, 2]
    assert (found.is_enrolled.sum(axis=-1) == 2).all()


def test_users_enrol_in_the_same_session_as_those_whose_embeddings_they_are_given():
    user = np.repeat(np.arange(4), 3)
    known = recorded(np.ones((12, 8), bool), user)
    orders = sample_image_orders(8, 9, 0)
    for across in (False, True):
        found = sessions.enrol(known, orders, size=2, largest=2, across=across, seed=0)
        for rows in (found.enrolled, found.target):
            of_draw = known.session[rows]
            assert (of_draw == of_draw[:, :1]).all()
            # Each session is first equally often.
            if not across:
                assert np.bincount(of_draw[:, 0]).tolist() == [3, 3, 3]


def test_no_enrolled_image_is_predicted_and_both_tables_predict_the_same_maps():
    generator = np.random.default_rng(2)
    user = np.repeat(np.arange(6), 3)
    for share in (0.3, 0.7, 1.0):
        known = recorded(generator.random((18, 40)) < share, user)
        orders = sample_image_orders(40, 8, 1)
        size = sessions.usable_size([(known, known)], orders, 40, across=True, seed=0)
        assert size >= 3
        within, across = (
            sessions.enrol(known, orders, size=size, largest=size, across=one, seed=0)
            for one in (False, True)
        )
        np.testing.assert_array_equal(within.is_query, across.is_query)
        assert (within.enrolled == within.target).all()
        assert (across.enrolled != across.target).all()
        for one in (within, across):
            assert not (one.is_enrolled.any(axis=1) & one.is_query.any(axis=1)).any()
            assert (one.is_enrolled <= known.viewed[one.enrolled]).all()
            assert (one.is_query <= known.viewed[one.target]).all()
            assert (one.is_enrolled.sum(axis=-1) == size).all()
            assert (one.is_query.sum(axis=-1) >= 1).all()
            assert (known.user[one.enrolled] == one.users).all()


def test_without_sessions_users_enrol_with_the_first_images_of_an_order():
    orders = sample_image_orders(30, 4, 0)
    for viewed in (np.ones((5, 30), bool), np.random.default_rng(3).random((5, 30)) < 0.7):
        known = joined_recordings(
            UserRepresentations(
                np.arange(5),
                from_dense(np.zeros((5, 30, 1)), viewed),
                viewed,
                lambda *_: np.zeros(1),
            )
        )
        found = sessions.enrol(known, orders, size=7, largest=7, across=False, seed=0)
        for order, is_enrolled, is_query in zip(
            orders, found.is_enrolled, found.is_query, strict=True
        ):
            # Where users saw different images, an image is for the enrolment of all, or of none.
            allowed = viewed if viewed.all() else viewed & ~is_query.any(axis=0)
            weight = enrolment_weights(allowed, order, start=0, size=7)
            np.testing.assert_array_equal(is_enrolled, weight > 0)
            assert not (is_query & (is_enrolled | ~viewed)).any()
            if viewed.all():
                assert (is_query | is_enrolled).all()


def test_a_swapped_embedding_is_never_of_the_image_that_is_predicted():
    """With an effect of the image alone, the own embedding is no better than another one."""
    generator = np.random.default_rng(0)
    differences = []
    for _ in range(20):
        viewed = np.stack([generator.permutation(20) < 8 for _ in range(6)])
        of_image = generator.normal(size=(20, 1))
        values = np.broadcast_to(of_image, (6, 20, 1)) + 0.1 * generator.normal(size=(6, 20, 1))
        known = recorded(viewed, np.arange(6), values)
        orders = sample_image_orders(20, 10, 0)
        size = sessions.usable_size([(known, known)], orders, 2, across=False, seed=0)
        found = sessions.enrol(known, orders, size=size, largest=size, across=False, seed=0)
        means = sessions.mean_of_enrolled(known.representations, found)[..., 0]
        for draw, own in enumerate(means):
            swapped = np.roll(own, 1)
            for user, is_query in zip(found.users, found.is_query[draw], strict=True):
                row = np.flatnonzero(found.users == user)[0]
                truth = values[user, is_query, 0]
                score = [-np.abs(one[row] - truth).mean() for one in (own, swapped)]
                differences.append(score[0] - score[1])
    assert abs(np.mean(differences)) < 0.05


NUM_USERS, NUM_IMAGES, WIDTH = 4, 6, 32


def own_minus_swapped(column, across):
    """NSS of an oracle that looks up the column of each recording: one fixation a viewing there.

    Also the universal maps, [row, user, height, width], and the requested pairs.
    """
    user = np.repeat(np.arange(NUM_USERS), 2)
    fixation = np.arange(NUM_USERS * NUM_IMAGES * 2).reshape(NUM_USERS, NUM_IMAGES, 2)
    x = np.broadcast_to(column.reshape(NUM_USERS, 1, 2), fixation.shape)
    joined = Gaze(
        xy_frac=np.stack([(x.ravel() + 0.5) / WIDTH, np.full(x.size, 0.25)], 1).astype(np.float32),
        duration_ms=np.zeros(x.size, np.float32),
        viewing_offset=fixation[..., 0],
        viewing_length=np.full((NUM_USERS, NUM_IMAGES), 2),
        aspect_ratio=np.full(NUM_IMAGES, WIDTH / 2, np.float32),
    )
    apart = joined._replace(
        viewing_offset=fixation.transpose(0, 2, 1).reshape(-1, NUM_IMAGES),
        viewing_length=np.ones((2 * NUM_USERS, NUM_IMAGES), int),
    )
    images, spec = np.arange(NUM_IMAGES), MapSpec((2, WIDTH), 0.01, 2)
    viewed = np.ones((2 * NUM_USERS, NUM_IMAGES), bool)
    embeddings = np.broadcast_to(column[:, None, None], (*viewed.shape, 1)).astype(np.float32)
    known = recorded(viewed, user, embeddings)._replace(users=np.arange(NUM_USERS))
    asked = sessions.make_request(
        known,
        known,
        sample_image_orders(NUM_IMAGES, 3, 0),
        [2],
        across=across,
        images=images,
        rows=np.arange(2 * NUM_USERS),
        likelihoods=np.zeros((*viewed.shape, 1)),
        grid=calibration_grid(spread_frac=[0.0], gain=[1.0], center_weight=[0.0]),
        num_swaps=3,
        seed=0,
    )

    def oracle(params, pixels, universal, embedding):
        is_there = jnp.round(embedding)[..., None] == jnp.arange(WIDTH)
        return jnp.broadcast_to(is_there, universal.shape).astype(jnp.float32) / 2

    prior = np.full((2, WIDTH), 1 / (2 * WIDTH), np.float32)
    universals = protocol.UniversalMaps(
        sum_maps(joined, jnp.arange(NUM_USERS), spec),
        prior,
        np.tile(prior, (NUM_IMAGES, 1, 1)),
        joined=JoinedGaze(joined, user),
    )
    gains, maps, rows = [], [], []
    for batch in protocol.predict_maps(
        oracle,
        {},
        np.zeros((NUM_IMAGES, 1, 1, 3)),
        apart,
        universals,
        asked,
        spec=spec,
        devices=jax.local_devices(),
        batch_size=64,
    ):
        scores = protocol.score_maps(
            batch,
            center_prior=prior,
            other_counts=score_maps.other_fixation_counts(joined, images, map_size=(2, WIDTH)),
        )[..., protocol.MAP_METRICS.index("nss")]
        gains.append(scores[:, 4] - scores[:, 6:].mean(axis=1))
        maps.append(batch["maps"][:, 0])
        rows.append(batch["mask"].any(axis=-1))
    return np.concatenate(gains), np.concatenate(maps), np.concatenate(rows)


def test_what_is_of_the_session_alone_helps_within_and_not_across():
    """Each recording looks at a column of its own; a map at another column misses, whichever."""
    column = 4 * np.arange(2 * NUM_USERS) + 2
    within, maps, is_asked = own_minus_swapped(column, across=False)
    # All 64 cells but two are empty: (1/2 - 1/64) / std, minus (0 - 1/64) / std.
    std = np.sqrt(2 / 64 * (1 / 2) ** 2 - (1 / 64) ** 2)
    np.testing.assert_allclose(within[is_asked], 0.5 / std, rtol=1e-4)
    across, _, same = own_minus_swapped(column, across=True)
    np.testing.assert_array_equal(same, is_asked)
    np.testing.assert_allclose(across[is_asked], 0, atol=1e-5)
    # The universal map of a user has nothing of either session of the user.
    for user in range(NUM_USERS):
        of_user = maps[:, user][is_asked[:, user]].sum(axis=1)
        assert of_user[:, column[2 * user : 2 * user + 2]].max() < 1e-4
        others = np.delete(column, [2 * user, 2 * user + 1])
        assert of_user[:, others].min() > 0.1


def test_what_is_of_the_person_helps_across_as_much():
    column = np.repeat(8 * np.arange(NUM_USERS) + 2, 2)
    within, _, is_asked = own_minus_swapped(column, across=False)
    across, _, _ = own_minus_swapped(column, across=True)
    assert within[is_asked].min() > 2
    np.testing.assert_array_equal(across, within)


@pytest.mark.parametrize(
    ("has_second", "names"),
    [
        ([1, 1, 0, 0], ["saliency", "saliency_across_sessions"]),
        ([1, 0, 0, 0], ["saliency"]),
    ],
)
def test_the_table_across_sessions_needs_two_users_with_two_sessions(
    has_second, names, tiny_dataset
):
    viewed = np.ones((8, 12), bool)
    viewed[1::2] = np.array(has_second, bool)[:, None]
    known = recorded(viewed, np.repeat(np.arange(4), 2))
    apart = Recordings(known.user, ("a", "b") * 4, tiny_dataset.gaze)
    config = read_config("synthetic_gaze")
    every = np.arange(12)
    splits = Splits(np.arange(4), np.arange(0), every, every)
    fold = Fold(None, config, splits, {}, None, None, {}, {"seen": {"encoder": known}}, None)
    found = prediction_variants(Run(None, config, tiny_dataset._replace(recordings=apart), [fold]))
    assert [variant.name for variant in found] == names
    assert [variant.sizes for variant in found] == [[6]] * len(names)


def test_sessions_that_too_few_users_share_are_not_joined(tiny_dataset):
    known = recorded(np.ones((30, 12), bool), np.repeat(np.arange(15), 2))
    group = np.repeat([0, 1, 2], [6, 5, 4])[known.user]  # None of them is half of the users.
    known = known._replace(session=known.session + 2 * group)
    apart = Recordings(known.user, ("a", "b") * 15, tiny_dataset.gaze)
    every = np.arange(12)
    splits = Splits(np.arange(15), np.arange(0), every, every)
    config = read_config("synthetic_gaze")
    fold = Fold(None, config, splits, {}, None, None, {}, {"seen": {"encoder": known}}, None)
    dataset = tiny_dataset._replace(recordings=apart)
    assert prediction_variants(Run(None, config, dataset, [fold])) == []
