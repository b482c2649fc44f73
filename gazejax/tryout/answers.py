"""From recorded places of a pointer to what the page says of a person; nothing here is kept."""

import csv
import io
import warnings
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy import special

from gazejax.api import Embedding, Model
from gazejax.tryout import traits
from gazejax.tryout.pictures import Picture
from gazejax.tryout.population import (
    Place,
    Population,
    ellipse_of,
    place_of,
    share_nearer,
)
from gazejax.tryout.requests import RefusedError, Viewing

# About 128 samples of a picture are in the crowd's data; in 5 s, one comes every 40 ms.
SAMPLE_MS = 40
# A pointer that stays within so many pixels was not moved.
_LEAST_MOVE_PX = 8.0
LEAST_PICTURES = 4
_LONGEST_MAP = 400
# Rests of a pointer, for a model of gaze.
_REST_RADIUS_PX = 30.0
_LEAST_REST = 2


class Tried(NamedTuple):
    """The model that a page is about.

    Attributes:
        model: embeds and predicts.
        name: as the page says it.
        tracking: what its training recorded, `mouse` or `eye`; None: not known.
        has_maps: whether it predicts maps of a person.
        can_compare: whether it is calibrated.
        population: the people of the training; None: not known.
        measured: see `population.read_measured`.
        pictures: of the page.
    """

    model: Model
    name: str
    tracking: str | None
    has_maps: bool
    can_compare: bool
    population: Population | None
    measured: dict[str, Any] | None
    pictures: Sequence[Picture]


def has_moved(xy_px: Float[np.ndarray, "place 2"]) -> bool:
    """Whether a pointer was moved while a picture was shown.

    Example:
        >>> has_moved(np.array([[0.0, 0.0], [3.0, 4.0]])), has_moved(np.array([[0.0, 0], [6, 8]]))
        (False, True)
    """
    return bool(np.linalg.norm(xy_px - xy_px[0], axis=1).max() >= _LEAST_MOVE_PX)


def rests_of(
    xy_px: Float[np.ndarray, "place 2"],
) -> tuple[Float[np.ndarray, "rest 2"], Float[np.ndarray, " rest"]]:
    """Where a pointer rests, and how long: for a model that was trained on fixations.

    A rest lasts until the pointer is more than 30 pixels from the mean of its places, and has two
    places at least. Without any, all places are taken.

    Returns:
        Mean place of each rest, and its duration in milliseconds.

    Example:
        >>> places = np.array([[0.0, 0.0], [2.0, 0.0], [90.0, 0.0], [90.0, 0.0], [90.0, 0.0]])
        >>> [found.tolist() for found in rests_of(places)]
        [[[1.0, 0.0], [90.0, 0.0]], [80.0, 120.0]]
    """
    groups: list[list[np.ndarray]] = [[xy_px[0]]]
    for place in xy_px[1:]:
        near = np.linalg.norm(place - np.mean(groups[-1], axis=0)) <= _REST_RADIUS_PX
        if near:
            groups[-1].append(place)
        else:
            groups.append([place])
    kept = [one for one in groups if len(one) >= _LEAST_REST] or groups
    means = np.array([np.mean(one, axis=0) for one in kept])
    return means, np.array([float(SAMPLE_MS * len(one)) for one in kept])


def embed(tried: Tried, viewings: Sequence[Viewing]) -> Embedding:
    """Embeds a person from viewings, of which all count."""
    images = [tried.pictures[one.picture].pixels for one in viewings]
    places: list[np.ndarray] = [one.xy_px for one in viewings]
    durations = None
    if tried.tracking != "mouse":
        rests = [rests_of(one) for one in places]
        places, durations = ([one[part] for one in rests] for part in (0, 1))
    with warnings.catch_warnings():
        # The page says once, for all, how its tracks differ from those of the training.
        warnings.simplefilter("ignore", UserWarning)
        return tried.model.embed(images, places, durations_ms=durations)


def describe_rounds(tried: Tried, rounds: Sequence[Sequence[Viewing]]) -> dict[str, Any]:
    """What the page says of one or two rounds.

    Raises:
        RefusedError: if too few pictures of a round count.
    """
    counted = [[one for one in viewings if has_moved(one.xy_px)] for viewings in rounds]
    for number, viewings in enumerate(counted):
        if len(viewings) < LEAST_PICTURES:
            raise RefusedError(
                f"In round {number + 1}, the pointer moved in {len(viewings)} of "
                f"{len(rounds[number])} pictures. At least {LEAST_PICTURES} are needed: please "
                "look at this round again.",
                422,
            )
    embeddings = [embed(tried, viewings) for viewings in counted]
    whole = embeddings[0]
    if len(counted) > 1:
        whole = _joined(embeddings)
    found = describe_embedding(tried, whole)
    places = [_describe_place(tried, one) for one in embeddings]
    comparison = compare(tried, *embeddings) if len(embeddings) == 2 else None
    uncounted = [
        [one.picture for one in viewings if not has_moved(one.xy_px)] for viewings in rounds
    ]
    return found | {"rounds": places, "comparison": comparison, "uncounted": uncounted}


def _joined(embeddings: Sequence[Embedding]) -> Embedding:
    """The embedding of all pictures of several embeddings."""
    numbers = np.array([one.num_images for one in embeddings])
    vector = np.average([one.vector for one in embeddings], axis=0, weights=numbers)
    first = embeddings[0]
    return Embedding(vector, first.encoder_digest, int(numbers.sum()), (), first.has_durations)


def describe_embedding(tried: Tried, embedding: Embedding) -> dict[str, Any]:
    """What the page says of an embedding: its place, and traits."""
    return {
        "embedding": embedding_json(embedding),
        "place": _describe_place(tried, embedding),
        "traits": [one._asdict() for one in estimate_traits(tried, embedding)],
        "rounds": [],
        "comparison": None,
        "uncounted": [],
    }


def embedding_json(embedding: Embedding) -> dict[str, Any]:
    """An embedding as the page keeps it."""
    return {
        "vector": [float(one) for one in embedding.vector],
        "num_images": embedding.num_images,
        "encoder_digest": embedding.encoder_digest,
        "has_durations": embedding.has_durations,
    }


def estimate_traits(tried: Tried, embedding: Embedding) -> list[traits.Estimate]:
    """Traits of a person; empty if the model has no probes."""
    try:
        probed = tried.model.probe(embedding)
    except ValueError:
        return []
    if tried.measured is not None:
        predicted = {name: one.value for name, one in probed.items()}
        number = embedding.num_images
        return traits.estimate_measured(tried.measured["traits"], predicted, number)
    return traits.estimate_probed(probed)


def _describe_place(tried: Tried, embedding: Embedding) -> dict[str, Any] | None:
    population = tried.population
    if population is None:
        return None
    place: Place = place_of(population, embedding.vector, embedding.num_images)
    low, middle, high = share_nearer(population, place)
    sentence = (
        f"As far as {embedding.num_images} pictures show, {traits.in_ten(low, high)} people are "
        "nearer to the middle of the plot than you are."
    )
    return {
        "at": place.mean.tolist(),
        "ellipse": ellipse_of(place),
        "nearer": [low, middle, high],
        "sentence": sentence,
    }


def compare(tried: Tried, one: Embedding, other: Embedding) -> dict[str, Any] | None:
    """How likely two rounds are of one person; None: the model is not calibrated."""
    if not tried.can_compare:
        return None
    found = tried.model.compare(one, other)
    probability, curve = found.probability, None
    if tried.measured is not None:
        curves = tried.measured["curves"]
        fewest = min(one.num_images, other.num_images)
        curve = curves[traits.nearest_below(curves, fewest)]
        log_odds = curve["slope"] * found.score + curve["intercept"]
        probability = float(special.expit(log_odds))
    percent = min(max(round(100 * probability), 1), 99)
    verdict = "the same person" if probability > 0.5 else "two people"
    sentence = (
        f"The model takes the two rounds for those of {verdict}: the probability of one person is "
        f"{percent} %, if one person and two were equally likely before."
    )
    return {
        "probability": probability,
        "sentence": sentence,
        "roc_auc": None if curve is None else curve["roc_auc"],
    }


def predict(
    tried: Tried, pixels: UInt8[np.ndarray, "_height _width 3"], embedding: Embedding
) -> dict[str, Any]:
    """The map of a person and the average one, as gray PNG in base64, and their difference.

    The average map is that of the mean embedding of people; where it is not known, the universal
    map. Both are divided by one number, so that they can be compared.

    Raises:
        RefusedError: if the model predicts no maps.
    """
    if not tried.has_maps:
        raise RefusedError("This model embeds people and predicts no maps.", 409)
    if tried.population is None:
        own = tried.model.predict(pixels, embedding)
        average = tried.model.predict(pixels, None)
    else:
        mean = tried.population.mean.astype(np.float32)
        own, average = next(tried.model.predict_many([pixels], [embedding, mean]))
    most = max(own.max(), average.max())
    return {
        "own": _as_png(own / most),
        "average": _as_png(average / most),
        "sentence": difference_in_words(own, average),
        "width": pixels.shape[1],
        "height": pixels.shape[0],
    }


def _as_png(values: Float[np.ndarray, "_height _width"]) -> str:
    # The root makes faint parts visible; the page does not compute with the values.
    gray = np.round(255 * np.sqrt(np.clip(values, 0, 1))).astype(np.uint8)
    image = Image.fromarray(gray)
    image.thumbnail((_LONGEST_MAP, _LONGEST_MAP), Image.Resampling.BOX)  # Maps are smooth.
    content = io.BytesIO()
    image.save(content, format="PNG", compress_level=1)
    return b64encode(content.getvalue()).decode()


def difference_in_words(
    own: Float[np.ndarray, "height width"], average: Float[np.ndarray, "height width"]
) -> str:
    """Where a map has more than another one, and where less: of nine equal parts of the picture.

    Example:
        >>> own, average = np.zeros((3, 3)), np.zeros((3, 3))
        >>> own[0, 0] = average[1, 1] = 1.0
        >>> difference_in_words(own, average)
        'More of your gaze is expected at the top left (+100 %), less in the middle (-100 %).'
    """
    rows, columns = (np.linspace(0, size, 4).astype(int)[:-1] for size in own.shape)
    change = np.add.reduceat(np.add.reduceat(own - average, rows, 0), columns, 1).ravel()
    most, least = int(change.argmax()), int(change.argmin())
    if max(change[most], -change[least]) < 0.005:
        return "In no part of the picture do the two maps differ by 1 %."
    return (
        f"More of your gaze is expected {_NINE[most]} ({100 * change[most]:+.0f} %), less "
        f"{_NINE[least]} ({100 * change[least]:+.0f} %)."
    )


_NINE = (
    "at the top left", "at the top", "at the top right",
    "on the left", "in the middle", "on the right",
    "at the bottom left", "at the bottom", "at the bottom right",
)  # fmt: skip


def gaze_table(tried: Tried, rounds: Sequence[Sequence[Viewing]]) -> str:
    """The recorded places as CSV, as the builder `gaze_table` reads it.

    Places are in pixels of the files of the pictures, times in milliseconds from their start.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "user", "session", "x", "y", "t_ms"])
    for number, viewings in enumerate(rounds):
        for one in viewings:
            picture = tried.pictures[one.picture]
            for row, (x, y) in enumerate(one.xy_px * picture.scale):
                place = f"{x:.2f}", f"{y:.2f}"
                writer.writerow([picture.file, "me", f"round{number + 1}", *place, row * SAMPLE_MS])
    return text.getvalue()
