"""Gallery and probe within a session and across sessions, on gaze made up for it."""

import numpy as np
import pytest

from gazejax.evaluation.verification import protocol, sessions
from gazejax.evaluation.verification.sessions import RecordingRepresentations
from gazejax.inputs.viewing_vectors import from_dense, select_users, to_dense
from gazejax.metrics import verification


def of_all(values):
    """Vectors of all recordings and images; `viewed` says which of them count."""
    return from_dense(values, np.ones(values.shape[:2], bool))


def moved(compared, by):
    return compared._replace(representations=of_all(to_dense(compared.representations) + by))


def recordings_of(
    person, session, *, users=8, sessions=2, images=24, viewed=None, seed=0, **options
):
    """A vector of each user, one of each session, and noise of each viewing."""
    generator = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), sessions)
    vectors = person * generator.normal(size=(users, 1, 16))[user]
    vectors = vectors + session * generator.normal(size=(len(user), 1, 16))
    return RecordingRepresentations(
        users=np.arange(users) + 3,
        user=user,
        session=np.tile(np.arange(sessions), users),
        representations=of_all(vectors + generator.normal(size=(len(user), images, 16))),
        viewed=np.ones((len(user), images), bool) if viewed is None else viewed,
        similarity=protocol.at_any_size(verification.negative_distance),
        **options,
    )


def usable_size(compared, size=1000, *, across):
    orders = protocol.sample_image_orders(compared.viewed.shape[1], 30, 0)
    return sessions.usable_size([compared], orders, size, across=across, seed=0)


def metrics_of(compared, *, across, size=6):
    orders = protocol.sample_image_orders(compared.viewed.shape[1], 30, 0)
    groups = sessions.score_sessions(compared, orders, size=size, across=across, seed=0)
    return protocol.verification_metrics(groups), groups


def users_of(groups):
    return [one.users.tolist() for one in groups]


def test_what_is_of_the_session_alone_is_known_within_and_not_across():
    compared = recordings_of(person=0.0, session=2.0)
    within, across = (metrics_of(compared, across=one)[0] for one in (False, True))
    assert within["roc_auc"] > 0.99
    assert within["rank1"] == 1.0
    assert abs(across["roc_auc"] - 0.5) < 0.2
    assert across["rank1"] < 0.3


def test_what_is_of_the_person_is_known_across():
    compared = recordings_of(person=2.0, session=0.2)
    for across in (False, True):
        assert metrics_of(compared, across=across)[0]["roc_auc"] > 0.99
        permuted = metrics_of(compared._replace(permuted=True), across=across)[0]
        assert abs(permuted["roc_auc"] - 0.5) < 0.1


@pytest.mark.parametrize("across", [False, True])
def test_gallery_and_probe_share_no_image(across):
    """Each viewing is its image: only a shared image could make two samples alike."""
    images = 9
    viewed = np.random.default_rng(1).random((8, images)) < 0.8
    compared = recordings_of(1.0, 1.0, users=4, images=images, viewed=viewed)._replace(
        representations=of_all(np.broadcast_to(np.eye(images), (8, images, images))),
        similarity=lambda probe, gallery, *_: probe @ gallery.T,
    )
    size = usable_size(compared, across=across)
    assert size >= 2
    _, groups = metrics_of(compared, across=across, size=size)
    assert [one.similarity.sum() for one in groups] == [0]


def test_users_without_two_sessions_are_left_out_of_comparisons_across():
    compared = recordings_of(2.0, 0.2, users=4)
    viewed = compared.viewed.copy()
    viewed[3] = False  # The second session of the second user.
    compared = compared._replace(viewed=viewed)
    assert users_of(metrics_of(compared, across=False)[1]) == [[3, 4, 5, 6]]
    assert users_of(metrics_of(compared, across=True)[1]) == [[3, 5, 6]]
    assert usable_size(compared, across=True) == 12
    viewed[5] = viewed[7] = False
    compared = compared._replace(viewed=viewed)
    assert usable_size(compared, across=True) == 0
    with pytest.raises(
        ValueError, match=r"fewer than two users have two sessions .* 6 images .* at least 2"
    ):
        metrics_of(compared, across=True)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("share", [0.5, None])
def test_what_is_of_the_image_alone_is_not_known(across, share):
    """No matter who saw which image in which session: at random, or each in one session."""
    found = []
    for seed in range(4):
        generator = np.random.default_rng(seed)
        if share is None:
            viewed = np.zeros((16, 80), bool)
            viewed[0::2, :40], viewed[1::2, 40:] = True, True
        else:
            viewed = generator.random((16, 80)) < share
        compared = recordings_of(0.0, 0.0, images=80, viewed=viewed, seed=seed)
        of_image = 2 * generator.normal(size=(80, 16))
        compared = moved(compared, of_image)
        size = usable_size(compared, across=across)
        assert size >= 15 if share else size == (40 if across else 20)
        for n in (5, size):
            found.append(metrics_of(compared, across=across, size=n)[0]["roc_auc"])
    assert abs(np.mean(found) - 0.5) < 0.04


def with_effects_of_sessions(compared, seed):
    """What all users have in common in a session, as the practice of a second session."""
    number = compared.session.max() + 1
    of_session = 2 * np.random.default_rng(seed).normal(size=(number, 1, 16))[compared.session]
    return moved(compared, of_session)


def recordings_at(compared, is_there):
    kept = {name: getattr(compared, name)[is_there] for name in ("user", "session", "viewed")}
    of_kept = select_users(compared.representations, np.flatnonzero(is_there))
    return compared._replace(representations=of_kept, **kept)


@pytest.mark.parametrize("across", [False, True])
def test_what_all_users_have_in_common_in_a_session_is_not_known(across):
    found = []
    for seed in range(6):
        compared = with_effects_of_sessions(recordings_of(0.0, 0.0, seed=seed, sessions=3), seed)
        found.append(metrics_of(compared, across=across)[0]["roc_auc"])
    assert abs(np.mean(found) - 0.5) < 0.04


@pytest.mark.parametrize("across", [False, True])
def test_nor_is_it_where_users_have_different_numbers_of_sessions(across):
    found = []
    for seed in range(6):
        compared = recordings_of(0.0, 0.0, seed=seed, users=12, sessions=4)
        compared = with_effects_of_sessions(compared, seed)
        # User 0 has one session, users 1 to 4 have two, and so on.
        compared = recordings_at(compared, compared.session <= (compared.user + 3) // 4)
        metrics, groups = metrics_of(compared, across=across)
        assert [len(one.users) for one in groups] == [11 if across else 12]
        found.append(metrics["roc_auc"])
    assert abs(np.mean(found) - 0.5) < 0.04


@pytest.mark.parametrize("across", [False, True])
def test_users_who_have_other_sessions_are_compared_among_themselves(across):
    found = []
    for seed in range(6):
        compared = recordings_of(0.0, 0.0, seed=seed, users=12, sessions=3)
        compared = with_effects_of_sessions(compared, seed)
        # Each user has two of three sessions.
        compared = recordings_at(compared, compared.session != compared.user % 3)
        assert usable_size(compared, 6, across=across) == 6
        metrics, groups = metrics_of(compared, across=across)
        assert [len(one.users) for one in groups] == ([4, 4, 4] if across else [8, 4])
        found.append(metrics["roc_auc"])
    assert abs(np.mean(found) - 0.5) < 0.04


def test_one_short_session_does_not_limit_all_users():
    compared = recordings_of(2.0, 0.2, users=4)
    viewed = compared.viewed.copy()
    viewed[7, 2:] = False
    compared = compared._replace(viewed=viewed)
    assert usable_size(compared, across=True) == 12
    assert users_of(metrics_of(compared, across=True, size=12)[1]) == [[3, 4, 5]]


@pytest.mark.parametrize("across", [False, True])
def test_a_short_session_more_leaves_out_no_user_at_any_n(across):
    # A session of 8 images seldom has enough of both halves for n = 4 or n = 8.
    generator = np.random.default_rng(0)
    viewed = np.zeros((36, 100), bool)
    for row, is_seen in enumerate(viewed):
        is_seen[generator.permutation(100)[: 8 if row % 3 == 2 else 60]] = True
    compared = recordings_of(1.0, 0.0, users=12, sessions=3, images=100, viewed=viewed)
    orders = protocol.sample_image_orders(100, 30, 0)
    for size in (2, 4, 8, 10):
        [drawn] = sessions.draw_sessions(compared, orders, size=size, across=across, seed=0)
        assert len(drawn.users) == 12
        for rows, images in zip(drawn.gallery, drawn.of_galleries, strict=True):
            assert (viewed[rows] & images).sum(axis=1).min() >= size
        for rows, images in zip(drawn.probe, drawn.of_galleries, strict=True):
            assert (viewed[rows] & ~images).sum(axis=1).min() >= size
    assert usable_size(compared, 10, across=across) == 10
    assert 20 <= usable_size(compared, across=across) <= 30
