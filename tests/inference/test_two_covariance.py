"""The two-covariance model: by hand, on samples of the model itself, and on a real encoder."""

import numpy as np
import pytest

from gazejax.inference.two_covariance import (
    TwoCovariance,
    fit_two_covariance,
    log_likelihood_ratios,
)

NO_SHRINKAGE = {"session_share": 0.1, "between_shrinkage": 0.0, "within_shrinkage": 0.0}


def fit(embeddings, user, session, *, dataset=None, **options):
    """Of one data set by default."""
    dataset = np.zeros(user.max() + 1, int) if dataset is None else dataset
    return fit_two_covariance(embeddings, user, session, dataset=dataset, **NO_SHRINKAGE | options)


def normal_log_density(values, covariance):
    _, log_determinant = np.linalg.slogdet(2 * np.pi * covariance)
    return -0.5 * (log_determinant + values @ np.linalg.solve(covariance, values))


def test_scores_are_ratios_of_normal_densities_less_a_constant():
    generator = np.random.default_rng(0)
    between, session, viewing = (
        root @ root.T for root in generator.normal(size=(3, 4, 4)) * [[[2.0]], [[1.0]], [[3.0]]]
    )
    mean = generator.normal(size=4)
    model = TwoCovariance(mean, between, session, viewing)
    probe, enrolled = mean + generator.normal(size=(3, 4)), mean + generator.normal(size=(2, 4))
    found = log_likelihood_ratios(model)(probe, enrolled, 5, 2)
    alone = [between + session + viewing / number for number in (5, 2)]
    together = np.block([[alone[0], between], [between, alone[1]]])
    expected = [
        [
            normal_log_density(np.concatenate([one, other]) - np.tile(mean, 2), together)
            - normal_log_density(one - mean, alone[0])
            - normal_log_density(other - mean, alone[1])
            for other in enrolled
        ]
        for one in probe
    ]
    constant = expected[0][0] - found[0][0]
    np.testing.assert_allclose(found + constant, expected, rtol=1e-6)


def sample_viewings(num_users, num_sessions, num_viewings, generator):
    """Embeddings of three entries: one of the user, one of the session, one of the viewing."""
    shape = (num_users, num_sessions, num_viewings)
    entries = [generator.normal(size=(*shape[: axis + 1], *[1] * (2 - axis))) for axis in range(3)]
    spreads = (2.0, 1.0, 3.0)
    embeddings = np.stack(
        [
            np.broadcast_to(spread * one, shape)
            for spread, one in zip(spreads, entries, strict=True)
        ],
        axis=-1,
    )
    session = np.arange(num_users * num_sessions).reshape(num_users, num_sessions, 1)
    user = session // num_sessions
    return (
        embeddings.reshape(-1, 3),
        np.broadcast_to(user, shape).ravel(),
        np.broadcast_to(session, shape).ravel(),
    )


def test_covariances_of_a_sample_of_the_model_are_found():
    generator = np.random.default_rng(0)
    model = fit(*sample_viewings(400, 3, 5, generator))
    # The session's part of the third entry is 0 on average, as are its 9 / 5 of noise taken off.
    expected = np.diag([4.0, 0, 0]), np.diag([0, 1.0, 0]), np.diag([0, 0, 9.0])
    # Means of three sessions of five viewings scatter by 1/3 and 9/15 around the user.
    np.testing.assert_allclose(model.between, np.diag([4.0, 1 / 3, 0.6]), atol=0.5)
    np.testing.assert_allclose(model.session, expected[1], atol=0.15)
    np.testing.assert_allclose(model.viewing, expected[2], atol=0.3)


def test_users_with_unequal_numbers_of_sessions_and_viewings_have_the_covariance_of_all():
    generator = np.random.default_rng(5)
    few, many = sample_viewings(400, 2, 2, generator), sample_viewings(400, 6, 20, generator)
    embeddings, user, session = (np.concatenate(one) for one in zip(few, many, strict=True))
    embeddings[:, 2] += embeddings[:, 1]
    is_many = np.arange(len(user)) >= len(few[1])
    model = fit(embeddings, user + 400 * is_many, session + 800 * is_many)
    np.testing.assert_allclose(model.session, [[0, 0, 0], [0, 1, 1], [0, 1, 1]], atol=0.15)


def test_what_is_of_the_session_counts_less_than_with_distances():
    generator = np.random.default_rng(1)
    embeddings, user, session = sample_viewings(40, 2, 20, generator)
    embeddings *= [1.0, 4.0, 1.0]  # Sessions differ more than users.
    trained = user < 20
    model = fit(embeddings[trained], user[trained], session[trained])
    means = embeddings[~trained].reshape(20, 2, 20, 3).mean(axis=2)
    score = log_likelihood_ratios(model)(means[:, 0], means[:, 1], 20, 20)
    distance = -np.linalg.norm(means[:, None, 0] - means[None, :, 1], axis=-1)
    rank1 = [(one.argmax(axis=1) == np.arange(20)).mean() for one in (score, distance)]
    assert rank1[0] > rank1[1] + 0.15


def test_shrinkage_keeps_the_diagonal_and_sessions_may_be_single():
    embeddings, user, session = sample_viewings(5, 1, 6, np.random.default_rng(2))
    viewings = (
        embeddings @ np.array([[1.0, 0.5, 0.2], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]]),
        user,
        session,
    )
    plain = fit(*viewings)
    model = fit(*viewings, between_shrinkage=1.0, within_shrinkage=0.5)
    np.testing.assert_allclose(model.session, 0.1 * model.viewing)
    np.testing.assert_allclose(model.between, np.diag(np.diag(plain.between)))
    off_diagonal = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(model.viewing[off_diagonal], 0.5 * plain.viewing[off_diagonal])
    np.testing.assert_allclose(np.diag(model.viewing), np.diag(plain.viewing))


def test_a_collapsed_encoder_scores_all_alike():
    user, session = np.repeat([0, 1, 2], 4), np.repeat(np.arange(6), 2)
    model = fit(np.ones((12, 3)), user, session)
    scores = log_likelihood_ratios(model)(np.ones((3, 3)), np.ones((3, 3)), 2, 2)
    np.testing.assert_array_equal(scores, np.zeros((3, 3)))


def test_what_differs_between_data_sets_is_no_difference_of_users():
    embeddings, user, session = sample_viewings(40, 2, 5, np.random.default_rng(3))
    dataset = np.arange(40) % 2
    moved = embeddings + np.where(dataset[user, None] == 0, 0.0, [50.0, -20.0, 10.0])
    one, other = (fit(values, user, session, dataset=dataset) for values in (embeddings, moved))
    for name in ("between", "session", "viewing"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-9)
    # By hand: means of users of 0 and 2, and of 10 and 14, around their data set: (2 + 8) / 2.
    values = np.repeat([[0.0], [2.0], [10.0], [14.0]], 2, axis=0)
    index = np.repeat(np.arange(4), 2)
    assert fit(values, index, index, dataset=np.array([7, 7, 9, 9])).between == 5.0


def test_too_few_viewings_are_refused():
    with pytest.raises(ValueError, match=r"1 users of a data set have a session of 2 training"):
        fit(np.ones((3, 2)), np.array([0, 0, 1]), np.array([0, 0, 1]))
    with pytest.raises(ValueError, match=r"1 users of a data set have a session of 2 training"):
        fit(np.ones((4, 2)), *[np.array([0, 0, 1, 1])] * 2, dataset=np.array([0, 1]))
