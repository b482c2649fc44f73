"""Where a person stands among the people of the training, in two directions of the embedding.

Places are in units of the standard deviation of people: people have covariance 1 around 0. A place
is not known exactly: an embedding of few pictures varies. With the prior of the population, the
best estimate of a place is nearer to the middle than the embedding, the more so the fewer pictures.

For `osie_mouse`, the numbers were measured on the crowd of the training, read as the page reads its
own tracks (`benchmarks/try_population.py`). For other models they are those of the two-covariance
model of the run, whose quantiles are those of a normal distribution.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from gazejax.inference.two_covariance import TwoCovariance

CONTOURS = (0.5, 0.8, 0.95)
# A place is at both ends of this interval with equal probability.
INTERVAL = 0.8
_LEVELS = np.append(np.arange(0.05, 0.96, 0.05), [0.975, 0.99])
_NUM_SAMPLES = 4000


class Population(NamedTuple):
    """The distribution of people in two directions of the embedding.

    Attributes:
        mean: mean embedding of people.
        directions: place of an embedding = (embedding - mean) @ directions.
        session: covariance of the sessions of a person, of places.
        viewing: covariance of the embeddings of single pictures of a session, of places.
        levels: shares of people, ascending.
        radii: distance from the middle within which each of these shares of people is.
        share: of the variance of people that is in the two directions.
        loadings: correlation of each trait with the two directions; empty: not known.
        num_people: behind the numbers; None: those of the training.
    """

    mean: Float[np.ndarray, " embedding"]
    directions: Float[np.ndarray, "embedding 2"]
    session: Float[np.ndarray, "2 2"]
    viewing: Float[np.ndarray, "2 2"]
    levels: Float[np.ndarray, " level"]
    radii: Float[np.ndarray, " level"]
    share: float
    loadings: Mapping[str, tuple[float, float]]
    num_people: int | None


class Place(NamedTuple):
    """Where a person stands: a normal distribution.

    Attributes:
        mean: best estimate.
        covariance: of the estimate.
    """

    mean: Float[np.ndarray, "2"]
    covariance: Float[np.ndarray, "2 2"]


def read_measured(encoder_digest: str) -> dict[str, Any] | None:
    """What `benchmarks/try_population.py` measured with an encoder; None: nothing."""
    for path in sorted(Path(__file__).parent.glob("*.json")):
        found: dict[str, Any] = json.loads(path.read_text())
        if found["encoder_digest"] == encoder_digest:
            return found
    return None


def measured_population(measured: Mapping[str, Any]) -> Population:
    """The population of what `read_measured` found."""
    return Population(
        np.array(measured["mean"]),
        np.array(measured["directions"]),
        np.zeros((2, 2)),
        np.array(measured["noise"]),
        np.array(measured["levels"]),
        np.array(measured["radii"]),
        measured["share"],
        {name: (one, other) for name, (one, other) in measured["loadings"].items()},
        measured["num_people"],
    )


def normal_population(model: TwoCovariance) -> Population:
    """The population that a two-covariance model describes, in its two principal directions.

    Example:
        >>> one = np.eye(2)
        >>> found = normal_population(TwoCovariance(np.zeros(2), 4 * one, 0 * one, 8 * one))
        >>> found.viewing.round(6).tolist(), found.share
        ([[2.0, 0.0], [0.0, 2.0]], 1.0)
    """
    values, vectors = np.linalg.eigh(model.between)
    directions = vectors[:, :-3:-1] / np.sqrt(values[:-3:-1])
    radii = _radius_of_normal(_LEVELS)
    share = float(values[-2:].sum() / values.sum())
    session, viewing = (
        directions.T @ covariance @ directions for covariance in (model.session, model.viewing)
    )
    return Population(model.mean, directions, session, viewing, _LEVELS, radii, share, {}, None)


def _radius_of_normal(share: Any) -> Any:
    """Radius of the circle that holds a share of a normal distribution of two dimensions."""
    return np.sqrt(-2 * np.log1p(-np.asarray(share)))


def place_of(
    population: Population, vector: Float[np.ndarray, " embedding"], num_images: int
) -> Place:
    """Best estimate of the place of a person, and how far it is known.

    Args:
        population: of the model.
        vector: embedding of the person.
        num_images: number of pictures behind it.

    Example:
        >>> one = np.eye(2)
        >>> people = normal_population(TwoCovariance(np.zeros(2), one, 0 * one, 8 * one))
        >>> place = place_of(people, abs(people.directions).T @ np.array([2.0, 1.0]), 8)
        >>> sorted(abs(place.mean).tolist()), place.covariance.tolist()
        ([0.5, 1.0], [[0.5, 0.0], [0.0, 0.5]])
    """
    at = (vector.astype(np.float64) - population.mean) @ population.directions
    gain = np.linalg.inv(np.eye(2) + population.session + population.viewing / num_images)
    return Place(gain @ at, np.eye(2) - gain)


def radius_of(population: Population, share: float) -> float:
    """Distance from the middle within which a share of people is."""
    return float(np.interp(share, population.levels, population.radii))


def share_nearer(population: Population, place: Place) -> tuple[float, float, float]:
    """Share of people who are nearer to the middle: low end, median and high end.

    A place is between the ends with probability `INTERVAL`.
    """
    samples = (
        place.mean
        + _standard_samples() @ np.linalg.cholesky(place.covariance + 1e-12 * np.eye(2)).T
    )
    radius = np.linalg.norm(samples, axis=1)
    known = np.concatenate([[0.0], population.radii]), np.concatenate([[0.0], population.levels])
    low, middle, high = np.quantile(
        np.interp(radius, *known), [(1 - INTERVAL) / 2, 0.5, (1 + INTERVAL) / 2]
    )
    return float(low), float(middle), float(high)


@functools.cache
def _standard_samples() -> Float[np.ndarray, "sample 2"]:
    return np.random.default_rng(0).standard_normal((_NUM_SAMPLES, 2))


def ellipse_of(place: Place) -> dict[str, float]:
    """The ellipse that holds a place with probability `INTERVAL`.

    Returns:
        Half axes `long` and `short`, and `degrees` from the first direction to the long one.

    Example:
        >>> found = ellipse_of(Place(np.zeros(2), np.diag([1.0, 4.0])))
        >>> round(found["long"] / found["short"], 6), abs(round(found["degrees"], 6))
        (2.0, 90.0)
    """
    values, vectors = np.linalg.eigh(place.covariance)
    short, long = np.sqrt(values) * _radius_of_normal(INTERVAL)
    degrees = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    return {"long": float(long), "short": float(short), "degrees": float(degrees)}
