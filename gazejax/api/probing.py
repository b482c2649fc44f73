"""What is this person like? Traits that linear probes read from an embedding, in plain units."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gazejax._array_checks import checked_embedding
from gazejax.api.embedding import check_encoder
from gazejax.workdir.probes import TraitProbe


class Trait(NamedTuple):
    """A trait of a person, predicted from an embedding, beside the users of the training.

    Traits are means over images. `duration_ms`: how long a fixation is. `saccade_length`, `spread`:
    how far consecutive fixations are apart, and fixations from their mean position. `center_share`:
    how many fixations are central, within 0.15 image widths. `fixations`: how many there are.
    `fixated_brightness`, `fixated_contrast`, `fixated_color`: of the places that the person looks
    at, minus those that others look at in the same image; 0 to 1 is the whole range.

    Attributes:
        value: predicted, in the unit.
        unit: of the trait.
        mean: of the trait over the users of the training.
        standard_deviation: likewise.
        z: standard deviations that the value is above the mean.
        correlation: how far the value can be trusted: the correlation of predicted and true traits
            of people who were not in the training; None: fewer than three. Embeddings of fewer than
            `num_images` images know less than it says.
        num_users: number of people behind `correlation`.
        num_images: mean number of images behind their embeddings.
    """

    value: float
    unit: str
    mean: float
    standard_deviation: float
    z: float
    correlation: float | None
    num_users: int
    num_images: float


class Prober(NamedTuple):
    """What traits are predicted with.

    Attributes:
        probes: by the names of traits; empty: not known.
        encoder_digest: of the encoder of the model.
        reads_durations: whether that encoder reads durations.
    """

    probes: Mapping[str, TraitProbe]
    encoder_digest: str
    reads_durations: bool


def probe_embedding(prober: Prober, embedding: Any) -> dict[str, Trait]:
    """Predicts the traits of a user; see `Model.probe`.

    Args:
        prober: of the model.
        embedding: of the user.

    Raises:
        TypeError, ValueError: see `Model.probe`.
    """
    probes = prober.probes
    if not probes:
        raise ValueError(
            "the model has no probes: it was not evaluated, or with fewer than three users of the "
            "training; allowed: a run after gazejax evaluate"
        )
    check_encoder(embedding, prober.encoder_digest, "embedding")
    size = len(next(iter(probes.values())).weights)
    vector = checked_embedding(embedding, size, "embedding")
    without = prober.reads_durations and not getattr(embedding, "has_durations", True)
    found = {}
    for name, one in probes.items():
        if name == "duration_ms" and without:
            continue
        value = one.predict(vector)
        found[name] = Trait(
            value,
            one.unit,
            one.mean,
            one.standard_deviation,
            (value - one.mean) / one.standard_deviation,
            one.correlation,
            one.num_unseen_users,
            one.num_images,
        )
    return found
