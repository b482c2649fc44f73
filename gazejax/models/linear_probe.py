"""Linear probe: a trait of users, predicted from their embeddings by ridge regression."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# Relative to the mean squared norm of the centered embeddings.
_RIDGE = 0.1


class Direction(NamedTuple):
    """A fitted linear probe: the direction of a trait in the space of embeddings.

    Attributes:
        center: mean embedding of the users of the fit.
        mean: mean trait of these users.
        weights: change of the trait per unit of each entry of an embedding.
        step: shift of an embedding along the weights by one standard deviation of these users.
    """

    center: Float[np.ndarray, " embedding"]
    mean: float
    weights: Float[np.ndarray, " embedding"]
    step: Float[np.ndarray, " embedding"]

    def predict(
        self, embeddings: Float[np.ndarray, "user embedding"]
    ) -> Float[np.ndarray, " user"]:
        """Predicted traits of users, in the unit of the trait."""
        return self.mean + (embeddings - self.center) @ self.weights


def fit_direction(
    embeddings: Float[np.ndarray, "user embedding"], trait: Float[np.ndarray, " user"]
) -> Direction:
    """Fits a linear probe: ridge regression of a trait on embeddings.

    The ridge is a tenth of the mean squared norm of the centered embeddings. The fit is therefore
    independent of the scale of the embeddings.

    Args:
        embeddings: embeddings of users with known traits.
        trait: trait of each of these users.
    """
    center = embeddings.mean(axis=0)
    centered = embeddings - center
    gram = centered @ centered.T
    # Dual form: users are fewer than entries of an embedding.
    ridge = _RIDGE * np.trace(gram) / len(trait) * np.eye(len(trait))
    weights = centered.T @ np.linalg.solve(gram + ridge, trait - trait.mean())
    norm = max(float(np.linalg.norm(weights)), 1e-12)
    step = weights / norm * (centered @ weights / norm).std()
    return Direction(center, float(trait.mean()), weights, step)
