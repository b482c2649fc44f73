"""Who is it? Calibrated comparison of embeddings, of one encoder."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy
from jaxtyping import Float

from gazejax._array_checks import (
    checked_count,
    checked_embedding,
    checked_share,
    checked_users,
)
from gazejax.api.embedding import Embedding, check_encoder
from gazejax.inference.same_person import ScoreCalibration, log_odds
from gazejax.inference.two_covariance import log_likelihood_ratios
from gazejax.workdir.trained import Trained

# Ten thousand to one: pairs of a few users cannot show that a pair is more certain than that.
_MOST_LOG_ODDS = float(np.log(1e4))
MOST_PROBABILITY = float(scipy.special.expit(_MOST_LOG_ODDS))


class Comparison(NamedTuple):
    """How alike two embeddings are.

    Attributes:
        probability: that they are of one person, if one person and two were equally likely before.
        log_odds: logarithm of the odds of that probability, at most of ten thousand to one.
        score: log likelihood ratio or minus the distance, as the run compares embeddings; more is
            more alike.
        distance: Euclidean distance of the vectors.
        num_images: number of images behind each of the two.
        holds_for: whether the probability was calibrated on pairs `within` a session or `across`
            sessions. Across, where the sessions of the two are known to differ. Where they are not
            known, across if the model is calibrated for it.
    """

    probability: float
    log_odds: float
    score: float
    distance: float
    num_images: tuple[int, int]
    holds_for: Literal["within", "across"]


class Match(NamedTuple):
    """A user of a gallery, and the probability that the probe is of this user."""

    user: str
    probability: float
    comparison: Comparison


class Identification(NamedTuple):
    """Whose embedding a probe is.

    Attributes:
        matches: the most probable users of the gallery first.
        none_probability: that the probe is of no user of the gallery. It and the probabilities of
            all users of the gallery add to 1. The gaze makes none of them larger than odds of ten
            thousand to one; users are ranked by the odds before this limit.
    """

    matches: tuple[Match, ...]
    none_probability: float


class Comparer(NamedTuple):
    """What embeddings are compared with.

    Attributes:
        encoder_digest: of the encoder of the model.
        embedding_size: number of entries of an embedding.
        calibration: see `Trained`.
        score: (a, b [1, embedding], images of a, images of b) -> score [1, 1]; None: not known.
    """

    encoder_digest: str
    embedding_size: int
    calibration: Mapping[str, ScoreCalibration]
    score: Callable[[np.ndarray, np.ndarray, int, int], np.ndarray] | None


def make_comparer(trained: Trained, encoder_digest: str, embedding_size: int) -> Comparer:
    """What the embeddings of a model are compared with."""
    score: Callable[..., np.ndarray] | None = _minus_distance
    if trained.config.encoder.comparison.kind == "two_covariance":
        score = None
        if trained.comparison is not None:
            score = log_likelihood_ratios(trained.comparison)
    return Comparer(encoder_digest, embedding_size, trained.calibration, score)


def _minus_distance(a: np.ndarray, b: np.ndarray, *_: int) -> np.ndarray:
    return np.array([[-np.linalg.norm(a - b)]])


def compare_embeddings(
    comparer: Comparer, pair: tuple[Any, Any], names: tuple[str, str]
) -> Comparison:
    """Compares two embeddings; see `Model.compare`.

    Args:
        comparer: of the model.
        pair: the embeddings.
        names: of the two in an error.

    Raises:
        TypeError, ValueError: see `Model.compare`.
    """
    comparison, _ = _compare(comparer, pair, names)
    if _is_not_calibrated_for(comparer, *pair):
        a, b = (", ".join(map(repr, one.sessions)) for one in pair)
        _warn_of_sessions(f"the two embeddings are of different sessions, {a} and {b}")
    return comparison


def _compare(
    comparer: Comparer, pair: tuple[Any, Any], names: tuple[str, str]
) -> tuple[Comparison, float]:
    """Compares two embeddings; also returns the log odds without their limit.

    Raises:
        TypeError: if one is no `Embedding`.
        ValueError: if one is of another encoder, or the model is not calibrated.
    """
    if not comparer.calibration:
        raise ValueError(
            "the model is not calibrated: too few unseen users were compared, or it was not "
            "evaluated; allowed: a run after gazejax evaluate, with four unseen users"
        )
    for name, embedding in zip(names, pair, strict=True):
        if not isinstance(embedding, Embedding):
            raise TypeError(f"{name} is of type {type(embedding).__name__}; allowed: Embedding")
        check_encoder(embedding, comparer.encoder_digest, name)
        checked_embedding(embedding, comparer.embedding_size, name)
        if embedding.num_images < 1:
            raise ValueError(f"{name} is of {embedding.num_images} images; allowed: at least 1")
    a, b = pair
    one, other = (embedding.vector.astype(np.float64) for embedding in (a, b))
    distance = float(np.linalg.norm(one - other))
    if comparer.score is None:
        raise ValueError(
            "the model does not say how its embeddings are compared; allowed: a run with the file "
            "encoder/comparison.npz, copied whole"
        )
    score = float(comparer.score(one[None], other[None], a.num_images, b.num_images)[0, 0])
    table = _table(comparer, a, b)
    # The embedding of n images varies as 1 / n.
    number = 2 / (1 / a.num_images + 1 / b.num_images)
    unlimited = log_odds(comparer.calibration[table], score, number)
    found = min(max(unlimited, -_MOST_LOG_ODDS), _MOST_LOG_ODDS)
    num_images = a.num_images, b.num_images
    comparison = Comparison(
        float(scipy.special.expit(found)), found, score, distance, num_images, table
    )
    return comparison, unlimited


def _table(comparer: Comparer, a: Embedding, b: Embedding) -> Literal["within", "across"]:
    is_shared = bool(set(a.sessions) & set(b.sessions))
    return "across" if "across" in comparer.calibration and not is_shared else "within"


def _is_not_calibrated_for(comparer: Comparer, a: Embedding, b: Embedding) -> bool:
    """Whether two embeddings are known to be of different sessions, of which no pair is known."""
    is_apart = bool(a.sessions and b.sessions) and not set(a.sessions) & set(b.sessions)
    return is_apart and _table(comparer, a, b) == "within"


def _warn_of_sessions(which: str) -> None:
    """Warns the caller of `Model.compare` or `Model.identify`."""
    warnings.warn(
        f"{which}; the probability is calibrated on pairs within a session only, and need not hold "
        "across sessions",
        UserWarning,
        stacklevel=4,
    )


def identify_embedding(
    comparer: Comparer, probe: Any, gallery: Any, k: Any, *, in_gallery: Any
) -> Identification:
    """Finds the most probable users of a gallery; see `Model.identify`.

    Args:
        comparer: of the model.
        probe: see `Model.identify`, as the others.
        gallery: likewise.
        k: likewise.
        in_gallery: likewise.

    Raises:
        TypeError, ValueError: see `Model.identify`.
    """
    users = checked_users(gallery, "gallery", "Embedding")
    if not users:
        raise ValueError("gallery has 0 users; allowed: at least one")
    k = checked_count(k, "k", least=1)
    in_gallery = checked_share(in_gallery, "in_gallery")
    compared = [
        _compare(comparer, (probe, one), ("probe", f"gallery[{user!r}]"))
        for user, one in users.items()
    ]
    apart = [user for user, one in users.items() if _is_not_calibrated_for(comparer, probe, one)]
    if apart:
        more = f" and {len(apart) - 1} more" if len(apart) > 1 else ""
        _warn_of_sessions(f"probe and gallery[{apart[0]!r}]{more} are of different sessions")
    # With their limit, the odds of several users would be equal.
    odds = np.array([unlimited for _, unlimited in compared])
    weights = _weights(odds, in_gallery)
    matches = [
        Match(user, float(weight), comparison)
        for user, weight, (comparison, _) in zip(users, weights, compared, strict=False)
    ]
    best = np.argsort(-odds, kind="stable")[:k]
    return Identification(tuple(matches[number] for number in best), float(weights[-1]))


def _weights(
    odds: Float[np.ndarray, " user"], in_gallery: float
) -> Float[np.ndarray, " user_and_none"]:
    """Probability of each user, then of none, from log odds and what was probable before.

    Example:
        >>> _weights(np.log(np.array([3.0, 1.0])), 0.5).round(3).tolist()
        [0.5, 0.167, 0.333]

    The largest has a limit, unless it was more probable before; the others share the rest in
    proportion.
    """
    priors = np.append(np.full(len(odds), in_gallery / len(odds)), 1 - in_gallery)
    with np.errstate(divide="ignore"):
        logs = np.append(odds, 0.0) + np.log(priors)
    logs -= scipy.special.logsumexp(logs)
    largest = int(np.argmax(logs))
    most = max(MOST_PROBABILITY, priors[largest])
    if np.exp(logs[largest]) > most:
        others = np.arange(len(logs)) != largest
        logs[others] -= scipy.special.logsumexp(logs[others])  # First: both may be large.
        logs[others] += np.log(1 - most)
        logs[largest] = np.log(most)
    return np.exp(logs)
