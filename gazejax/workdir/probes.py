"""Linear probes of a run: what an embedding says of a person, as plain data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from gazejax.runtime.files import write_json
from gazejax.workdir.layout import damaged, read_object

PROBES_FILE = "probes.json"


class TraitProbe(NamedTuple):
    """A linear probe of one trait, and the training population that it was fitted on.

    Attributes:
        unit: of the trait.
        mean: of the trait over the users of the training.
        standard_deviation: likewise; above 0.
        correlation: of predicted and true traits of users who were not in the training, whose
            embeddings are of other images than the traits; None: fewer than three users.
        seen_correlation: likewise of users of the training, by probes that were fitted on others.
        num_users: number of users of the training.
        num_unseen_users: number of users behind `correlation`.
        num_images: mean number of images behind an embedding of `correlation`.
        intercept: predicted trait of an embedding of zeros.
        weights: change of the predicted trait per unit of each entry of an embedding.
    """

    unit: str
    mean: float
    standard_deviation: float
    correlation: float | None
    seen_correlation: float | None
    num_users: int
    num_unseen_users: int
    num_images: float
    intercept: float
    weights: Float[np.ndarray, " embedding"]

    def predict(self, embedding: Float[np.ndarray, " embedding"]) -> float:
        """The trait of a user, in its unit."""
        return float(self.intercept + embedding.astype(np.float64) @ self.weights)


def as_rows(probes: Mapping[str, TraitProbe]) -> dict[str, dict[str, Any]]:
    """Probes as what JSON holds, by the names of their traits."""
    return {name: one._asdict() | {"weights": one.weights.tolist()} for name, one in probes.items()}


def read_rows(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, TraitProbe]:
    """The probes of rows that `as_rows` made.

    Raises:
        KeyError, TypeError, ValueError: if a row is of another form.
    """
    return {name: _read_row(row) for name, row in rows.items()}


def _read_row(row: Mapping[str, Any]) -> TraitProbe:
    weights = np.array(row["weights"], np.float64)
    numbers = [float(row[name]) for name in ("mean", "standard_deviation", "intercept")]
    correlations = [row[name] for name in ("correlation", "seen_correlation")]
    known = [float(one) for one in correlations if one is not None]
    if weights.ndim != 1 or not np.isfinite([*weights, *numbers, *known]).all() or numbers[1] <= 0:
        raise ValueError("a value is not finite, or a standard deviation not above 0")
    return TraitProbe(**{**row, "weights": weights})


def write_probes(workdir: Path, probes: Mapping[str, TraitProbe]) -> None:
    """Writes the probes of a run."""
    write_json(workdir / PROBES_FILE, as_rows(probes))


def load_probes(workdir: Path, embedding_size: int) -> dict[str, TraitProbe]:
    """Reads the probes of a run; empty before a run is evaluated.

    Args:
        workdir: the run's folder.
        embedding_size: number of entries of an embedding.

    Raises:
        ValueError: if the file is damaged.
    """
    path = workdir / PROBES_FILE
    if not path.is_file():
        return {}
    try:
        probes = read_rows(read_object(path))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"has no probes, {error}") from None
    if any(len(one.weights) != embedding_size for one in probes.values()):
        raise damaged(path, f"has weights of another number than {embedding_size}")
    return probes
