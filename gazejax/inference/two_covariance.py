"""The two-covariance model of user embeddings: how likely two enrolments are of one person.

An embedding of one viewing is the sum of a mean, an offset of the user, an offset of the session
and one of the viewing, all of them normal. A user embedding is a mean over n viewings of one
session: around the user, its covariance is `session + viewing / n`. Distances ignore this: they
weigh what differs between sessions of one user as much as what differs between users.

Source: Brümmer and de Villiers, "The speaker partitioning problem", Odyssey 2010, section 2; also
known as PLDA. The covariance of viewings over n, and the shrinkage, are ours.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


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
    embeddings: Float[np.ndarray, "recording image embedding"],
    viewed: Bool[np.ndarray, "recording image"],
    user: Int[np.ndarray, " recording"],
    *,
    between_shrinkage: float,
    within_shrinkage: float,
) -> TwoCovariance:
    """Fits the model on recordings of users, by moments.

    Args:
        embeddings: of the viewings of each recording.
        viewed: which of them there are. Recordings of fewer than 2 viewings are left out.
        user: user of each recording.
        between_shrinkage: how far the covariance of users is moved to a multiple of the identity of
            the same trace: 0 not at all, 1 all the way. Few users say little of it.
        within_shrinkage: likewise of the other two.

    Raises:
        ValueError: if fewer than two users, or no user with two recordings, are left.
    """
    size = embeddings.shape[-1]
    viewing, session = np.zeros((size, size)), np.zeros((size, size))
    free_viewings, free_sessions, num_viewings, means = 0, 0, [], []
    for one in np.unique(user):
        of_user = []
        for row in np.flatnonzero((user == one) & (viewed.sum(axis=1) >= 2)):
            found = embeddings[row, viewed[row]].astype(np.float64)
            mean = found.mean(axis=0)
            viewing += (found - mean).T @ (found - mean)
            free_viewings += len(found) - 1
            num_viewings.append(len(found))
            of_user.append(mean)
        if of_user:
            deviation = np.stack(of_user) - np.mean(of_user, axis=0)
            session += deviation.T @ deviation
            free_sessions += len(of_user) - 1
            means.append(np.mean(of_user, axis=0))
    if len(means) < 2 or free_sessions == 0:
        raise ValueError(
            f"{len(means)} users with {free_sessions + len(means)} recordings of 2 viewings or "
            "more; allowed: at least 2 users, and one with 2 such recordings"
        )
    viewing /= free_viewings
    # Means of a session scatter by the viewings too.
    session = _without_negative(session / free_sessions - viewing / np.mean(num_viewings))
    return TwoCovariance(
        mean=np.mean(means, axis=0),
        between=_shrink(np.cov(np.stack(means), rowvar=False).reshape(size, size), between_shrinkage),
        session=_shrink(session, within_shrinkage),
        viewing=_shrink(viewing, within_shrinkage),
    )


def log_likelihood_ratios(
    model: TwoCovariance,
    probe: Float[np.ndarray, "probe embedding"],
    enrolled: Float[np.ndarray, "enrolled embedding"],
    *,
    num_images: int,
) -> Float[np.ndarray, "probe enrolled"]:
    """log p(both | one user) - log p(both | two users), in nats, less a constant.

    Args:
        model: the fitted model.
        probe: means over `num_images` viewings.
        enrolled: likewise.
        num_images: number of images of each mean.

    Example:
        >>> one = np.ones((1, 1))
        >>> model = TwoCovariance(np.zeros(1), 3 * one, 0 * one, 2 * one)
        >>> log_likelihood_ratios(model, 2 * one, np.array([[2.0], [-2.0]]), num_images=2).round(3)
        array([[ 0.429, -1.286]])
    """
    within = model.session + model.viewing / num_images
    # With s and d, sum and difference of both: one user says var(s) = 4 between + 2 within and
    # var(d) = 2 within, two users say 2 (between + within) of both.
    alone = np.linalg.pinv(2 * (model.between + within), hermitian=True)
    of_sum = alone - np.linalg.pinv(4 * model.between + 2 * within, hermitian=True)
    of_difference = alone - np.linalg.pinv(2 * within, hermitian=True)
    probe, enrolled = probe - model.mean, enrolled - model.mean
    same, cross = of_sum + of_difference, of_sum - of_difference

    def squares(rows: Float[np.ndarray, "row embedding"]) -> Float[np.ndarray, " row"]:
        return np.einsum("ri,ij,rj->r", rows, same, rows)

    return 0.5 * (squares(probe)[:, None] + squares(enrolled)) + probe @ cross @ enrolled.T


def _shrink(
    covariance: Float[np.ndarray, "entry entry"], share: float
) -> Float[np.ndarray, "entry entry"]:
    """Moves a covariance to the multiple of the identity with the same trace."""
    size = len(covariance)
    return (1 - share) * covariance + share * np.trace(covariance) / size * np.eye(size)


def _without_negative(
    covariance: Float[np.ndarray, "entry entry"],
) -> Float[np.ndarray, "entry entry"]:
    """Sets negative eigenvalues to 0, which a difference of two estimates may have."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.maximum(values, 0)) @ vectors.T
