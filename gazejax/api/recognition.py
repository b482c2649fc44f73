"""Who is it? Calibrated comparison of embeddings, of one encoder."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from gazejax.api.embedding import Embedding, check_encoder
from gazejax.inference.same_person import log_odds
from gazejax.inference.two_covariance import log_likelihood_ratios
from gazejax.workdir.trained import Trained


class Comparison(NamedTuple):
    """How alike two embeddings are.

    Attributes:
        probability: that they are of one person, if one person and two were equally likely before.
        log_odds: logarithm of the odds of that probability.
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
            all users of the gallery add to 1.
    """

    matches: tuple[Match, ...]
    none_probability: float


def compare_embeddings(
    trained: Trained, encoder_digest: str, pair: tuple[Any, Any], names: tuple[str, str]
) -> Comparison:
    """Compares two embeddings; see `Model.compare`.

    Args:
        trained: the model.
        encoder_digest: of its encoder.
        pair: the embeddings.
        names: of the two in an error.

    Raises:
        TypeError: if one is no `Embedding`.
        ValueError: if one is of another encoder, or the model is not calibrated.
    """
    if not trained.calibration:
        raise ValueError(
            "the model is not calibrated: too few unseen users were compared, or it was not "
            "evaluated; allowed: a run after gazejax evaluate, with four unseen users"
        )
    for name, embedding in zip(names, pair, strict=True):
        if not isinstance(embedding, Embedding):
            raise TypeError(f"{name} is of type {type(embedding).__name__}; allowed: Embedding")
        check_encoder(embedding, encoder_digest, name)
        if embedding.num_images < 1:
            raise ValueError(f"{name} is of {embedding.num_images} images; allowed: at least 1")
    a, b = pair
    one, other = (embedding.vector.astype(np.float64) for embedding in (a, b))
    distance = float(np.linalg.norm(one - other))
    score = -distance
    if trained.config.encoder.comparison.kind == "two_covariance":
        if trained.comparison is None:
            raise ValueError(
                "the model does not say how its embeddings are compared; allowed: a run with the "
                "file encoder/comparison.npz, copied whole"
            )
        ratios = log_likelihood_ratios(trained.comparison)
        score = float(ratios(one[None], other[None], a.num_images, b.num_images)[0, 0])
    table = _table(trained, a, b)
    # The embedding of n images varies as 1 / n.
    number = 2 / (1 / a.num_images + 1 / b.num_images)
    found = log_odds(trained.calibration[table], score, number)
    return Comparison(
        float(special.expit(found)), found, score, distance, (a.num_images, b.num_images), table
    )


def _table(trained: Trained, a: Embedding, b: Embedding) -> Literal["within", "across"]:
    is_shared = bool(set(a.sessions) & set(b.sessions))
    return "across" if "across" in trained.calibration and not is_shared else "within"


def identify_embedding(
    comparisons: Mapping[str, Comparison], k: int, *, in_gallery: float
) -> Identification:
    """Finds the most probable users of a gallery; see `Model.identify`.

    Args:
        comparisons: of the probe with each user of the gallery.
        k: number of users to return.
        in_gallery: probability, before, that the probe is of a user of the gallery.
    """
    weights = _weights(np.array([one.log_odds for one in comparisons.values()]), in_gallery)
    matches = [
        Match(user, float(weight), comparison)
        for (user, comparison), weight in zip(comparisons.items(), weights, strict=False)
    ]
    matches.sort(key=lambda match: (-match.probability, -match.comparison.score))
    return Identification(tuple(matches[:k]), float(weights[-1]))


def _weights(
    odds: Float[np.ndarray, " user"], in_gallery: float
) -> Float[np.ndarray, " user_and_none"]:
    """Probability of each user, then of none, from log odds and what was probable before.

    Example:
        >>> _weights(np.log(np.array([3.0, 1.0])), 0.5).round(3).tolist()
        [0.5, 0.167, 0.333]
    """
    priors = np.append(np.full(len(odds), in_gallery / len(odds)), 1 - in_gallery)
    with np.errstate(divide="ignore"):
        logs = np.append(odds, 0.0) + np.log(priors)
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()
