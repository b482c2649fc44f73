"""The two-covariance model of user embeddings: how likely two enrolments are of one person.

An embedding of one viewing is the sum of the mean of the data set, an offset of the user, one of
the session and one of the viewing, all of them normal. A user embedding is a mean over n viewings
of one session: around the user, its covariance is `session + viewing / n`. Distances ignore this:
they weigh what differs between sessions of one user as much as what differs between users.

Source: Brümmer and de Villiers, "The speaker partitioning problem", Odyssey 2010, section 2; also
known as PLDA. The covariance of viewings over n, the shrinkage and the means of data sets are ours.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

# Of the mean variance, for a direction in which the viewings of a user do not differ.
_LEAST_SHARE = 1e-9


class TwoCovariance(NamedTuple):
    """A fitted model.

    Attributes:
        mean: mean embedding of the users.
        between: covariance of users.
        session: covariance of the sessions of a user.
        viewing: covariance of the viewings of a session.
    """

    mean: Float[np.ndarray, " embedding"]
    between: Float[np.ndarray, "embedding embedding"]
    session: Float[np.ndarray, "embedding embedding"]
    viewing: Float[np.ndarray, "embedding embedding"]


def fit_two_covariance(
    embeddings: Float[np.ndarray, "viewing embedding"],
    user: Int[np.ndarray, " viewing"],
    session: Int[np.ndarray, " viewing"],
    *,
    dataset: Int[np.ndarray, " user"],
    session_share: float,
    between_shrinkage: float,
    within_shrinkage: float,
) -> TwoCovariance:
    """Fits the model by moments.

    Args:
        embeddings: of viewings.
        user: user of each viewing.
        session: session of each viewing; no two users share one. Sessions of one viewing are left
            out.
        dataset: data set of each user. What differs between data sets is no difference of users.
        session_share: covariance of sessions, as a share of that of viewings, where no user has two
            sessions.
        between_shrinkage: how far the covariance of users is moved to its diagonal: 0 not at all, 1
            all the way. Few users say little of the rest.
        within_shrinkage: likewise of the other two.

    Raises:
        ValueError: if no data set has two users with a session of two viewings.
    """
    _, row, number = np.unique(session, return_inverse=True, return_counts=True)
    kept = number[row] >= 2
    embeddings, user = embeddings[kept].astype(np.float64), user[kept]
    _, first, row, number = np.unique(
        session[kept], return_index=True, return_inverse=True, return_counts=True
    )
    means = _group_means(embeddings, row, len(number))
    users, of_user = np.unique(user[first], return_inverse=True)
    user_means = _group_means(means, of_user, len(users))
    _, of_dataset, num_users = np.unique(dataset[users], return_inverse=True, return_counts=True)
    if (most := max(num_users, default=0)) < 2:
        raise ValueError(
            f"{most} users of a data set have a session of 2 training viewings; allowed: at least 2"
        )
    viewing = _covariance(embeddings - means[row], free=len(embeddings) - len(means))
    free = len(means) - len(user_means)
    if free == 0:
        between_sessions = session_share * viewing
    else:
        of_means = _covariance(means - user_means[of_user], free=free)
        # The means of sessions scatter by their viewings too, around the mean of their user.
        share_left = 1 - 1 / np.bincount(of_user)[of_user]
        of_viewings = (share_left / number).sum() / free
        between_sessions = _without_negative(of_means - viewing * of_viewings)
    apart = user_means - _group_means(user_means, of_dataset, len(num_users))[of_dataset]
    return TwoCovariance(
        mean=user_means.mean(axis=0),
        between=_shrink(
            _covariance(apart, free=len(user_means) - len(num_users)), between_shrinkage
        ),
        session=_shrink(between_sessions, within_shrinkage),
        viewing=_shrink(viewing, within_shrinkage),
    )


def log_likelihood_ratios(
    model: TwoCovariance,
) -> Callable[[np.ndarray, np.ndarray, int, int], Float[np.ndarray, "probe enrolled"]]:
    """Scores pairs by log p(both | one user) - log p(both | two users), in nats, less a constant.

    Returns:
        (probe [probe, embedding], enrolled [enrolled, embedding], images of a probe, images of an
        enrolment) -> score of each probe with each enrolled, both means over so many viewings. What
        depends on the numbers of images alone is computed once.

    Example:
        >>> one = np.ones((1, 1))
        >>> score = log_likelihood_ratios(TwoCovariance(np.zeros(1), 3 * one, 0 * one, 2 * one))
        >>> score(2 * one, np.array([[2.0], [-2.0]]), 2, 2).round(3).tolist()
        [[0.429, -3.0]]
    """
    weights_of = functools.cache(functools.partial(_pair_weights, model))

    def score(
        probe: np.ndarray, enrolled: np.ndarray, num_probe: int, num_enrolled: int
    ) -> Float[np.ndarray, "probe enrolled"]:
        of_probe, of_enrolled, cross = weights_of(num_probe, num_enrolled)
        probe, enrolled = probe - model.mean, enrolled - model.mean
        gains = _squares(probe, of_probe)[:, None] + _squares(enrolled, of_enrolled)
        return 0.5 * gains - probe @ cross @ enrolled.T

    return score


def _pair_weights(
    model: TwoCovariance, num_probe: int, num_enrolled: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of two users less those of one user: of probes, of enrolments, and across them."""
    size = len(model.mean)
    total = np.trace(model.between + model.session + model.viewing) / size
    # A direction without any variance within users would decide alone.
    floor = (_LEAST_SHARE * total + np.finfo(float).tiny ** 0.5) * np.eye(size)
    of_probe, of_enrolled = (
        model.between + model.session + model.viewing / number + floor
        for number in (num_probe, num_enrolled)
    )
    one_user = np.linalg.inv(np.block([[of_probe, model.between], [model.between, of_enrolled]]))
    return (
        np.linalg.inv(of_probe) - one_user[:size, :size],
        np.linalg.inv(of_enrolled) - one_user[size:, size:],
        one_user[:size, size:],
    )


def _squares(
    rows: Float[np.ndarray, "row entry"], weights: Float[np.ndarray, "entry entry"]
) -> Float[np.ndarray, " row"]:
    return np.einsum("ri,ij,rj->r", rows, weights, rows)


def _group_means(
    rows: Float[np.ndarray, "row entry"], group: Int[np.ndarray, " row"], number: int
) -> Float[np.ndarray, "group entry"]:
    total = np.zeros((number, rows.shape[1]))
    np.add.at(total, group, rows)
    return total / np.bincount(group, minlength=number)[:, None]


def _covariance(
    deviations: Float[np.ndarray, "row entry"], *, free: int
) -> Float[np.ndarray, "entry entry"]:
    return deviations.T @ deviations / free


def _shrink(
    covariance: Float[np.ndarray, "entry entry"], share: float
) -> Float[np.ndarray, "entry entry"]:
    """Shrinks what is not on the diagonal."""
    return (1 - share) * covariance + share * np.diag(np.diag(covariance))


def _without_negative(
    covariance: Float[np.ndarray, "entry entry"],
) -> Float[np.ndarray, "entry entry"]:
    """Sets negative eigenvalues to 0, which a difference of two estimates may have."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.maximum(values, 0)) @ vectors.T
