"""What the page sends, checked: an error is a sentence for the page, without a path."""

import binascii
import io
import json
import re
import zipfile
from base64 import b64decode
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from gazejax.api.embedding import Embedding, check_encoder, decode_embedding
from gazejax.tryout.pictures import LEAST_SIDE, LONGEST_SIDE, Picture
from tfds_builders.common import pictures

MOST_BYTES = 10_000_000
MOST_PIXELS = 40_000_000
_MOST_ROUNDS = 2
_MOST_PLACES = 5000


class RefusedError(ValueError):
    """What the page shows in place of an answer.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


class Viewing(NamedTuple):
    """A picture that a person looked at.

    Attributes:
        picture: its number.
        xy_px: places of the pointer, in pixels of the shown picture, at equal times.
    """

    picture: int
    xy_px: Float[np.ndarray, "place 2"]


def read_json(body: bytes) -> dict[str, Any]:
    """The object of a request.

    Raises:
        RefusedError: if it is none.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError("The request is no JSON.") from None
    if not isinstance(found, dict):
        raise RefusedError("The request is no JSON object.")
    return found


def read_rounds(body: dict[str, Any], shown: Sequence[Picture]) -> list[list[Viewing]]:
    """The rounds of a request: of each, the viewings of different pictures.

    Raises:
        RefusedError: if there is none, or one is of another form; the sentence says which.
    """
    rounds = body.get("rounds")
    if not isinstance(rounds, list) or not 1 <= len(rounds) <= _MOST_ROUNDS:
        raise RefusedError("The request needs one or two rounds.")
    return [_read_round(one, number + 1, shown) for number, one in enumerate(rounds)]


def _read_round(given: Any, number: int, shown: Sequence[Picture]) -> list[Viewing]:
    if not isinstance(given, list) or len(given) > len(shown):
        raise RefusedError(f"Round {number} is no list of at most {len(shown)} viewings.")
    viewings = [_read_viewing(one, number, shown) for one in given]
    if len({one.picture for one in viewings}) < len(viewings):
        raise RefusedError(f"Round {number} has a picture twice.")
    return viewings


def _read_viewing(given: Any, number: int, shown: Sequence[Picture]) -> Viewing:
    if not isinstance(given, dict):
        raise RefusedError(f"A viewing of round {number} is no object.")
    picture = picture_number(given, shown)
    height, width = shown[picture].pixels.shape[:2]
    axes: list[list[float]] = []
    for name, most in (("x", width), ("y", height)):
        values = given.get(name)
        if not isinstance(values, list) or not 1 <= len(values) <= _MOST_PLACES:
            raise RefusedError(
                f"Picture {picture} of round {number} needs 1 to {_MOST_PLACES} values of {name}."
            )
        if not all(_is_number(one) and 0 <= one <= most for one in values):
            raise RefusedError(
                f"Picture {picture} of round {number} has {name} outside of 0 to {most}."
            )
        axes.append(values)
    if len(axes[0]) != len(axes[1]):
        raise RefusedError(f"Picture {picture} of round {number} has more x than y, or fewer.")
    # The right and the lower edge belong to no pixel.
    inside = np.minimum(np.array(axes, np.float64).T, (width - 0.01, height - 0.01))
    return Viewing(picture, inside)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -1e300 < value < 1e300  # Not so for NaN.


def picture_number(body: dict[str, Any], shown: Sequence[Picture]) -> int:
    """The number of a picture in a request.

    Raises:
        RefusedError: if there is no such picture.
    """
    number = body.get("picture")
    if type(number) is not int or not 0 <= number < len(shown):
        raise RefusedError(f"The request needs the number of a picture, 0 to {len(shown) - 1}.")
    return number


def read_embedding(body: dict[str, Any], size: int, encoder_digest: str) -> Embedding:
    """The embedding of a request, of the encoder of the model.

    Args:
        body: of the request.
        size: number of entries of an embedding of the model.
        encoder_digest: of the model.

    Raises:
        RefusedError: if there is none, or it is of another form or encoder.
    """
    given = body.get("embedding")
    vector = given.get("vector") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(vector, list) or len(vector) != size:
        raise RefusedError(f"The request needs an embedding of {size} numbers.")
    number = given.get("num_images")
    # Of float32, the largest is some 3e38: its square is beyond what is computed with.
    if not all(_is_number(one) and abs(one) < 1e6 for one in vector):
        raise RefusedError("The embedding has a value that is no number, or beyond a million.")
    if type(number) is not int or not 1 <= number <= 10**6:
        raise RefusedError("The embedding needs the number of its pictures, at least 1.")
    if given.get("encoder_digest") != encoder_digest:
        raise RefusedError("The embedding is of another model: this one cannot read it.", 422)
    has_durations = given.get("has_durations") is True
    return Embedding(np.array(vector), encoder_digest, number, (), has_durations)


def read_embedding_file(content: bytes, size: int, encoder_digest: str) -> Embedding:
    """The embedding of an uploaded `.npz`.

    Raises:
        RefusedError: if it is none, or of another encoder.
    """
    name = "The file"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(one.file_size for one in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError):
        raise RefusedError(f"{name} is no embedding: an .npz of gazejax is needed.", 422) from None
    if unpacked > MOST_BYTES:
        raise RefusedError(f"{name} is larger than {MOST_BYTES // 10**6} MB unpacked.", 413)
    try:
        embedding = decode_embedding(content, name)
        check_encoder(embedding, encoder_digest, name)
    except (ValueError, TypeError) as error:
        raise RefusedError(_sentence(error), 422) from None
    names = ("num_images", "encoder_digest", "has_durations")
    given = {"vector": embedding.vector.tolist()} | {n: getattr(embedding, n) for n in names}
    return read_embedding({"embedding": given}, size, encoder_digest)


def read_upload(body: dict[str, Any]) -> UInt8[np.ndarray, "_height _width 3"]:
    """The pixels of an uploaded picture, reduced as those of the page.

    Raises:
        RefusedError: if it is too large, or no picture that is read.
    """
    given = body.get("upload")
    if not isinstance(given, str):
        raise RefusedError("The request needs a picture.")
    try:
        content = b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError("The picture is not sent in base64.") from None
    if len(content) > MOST_BYTES:
        raise RefusedError(f"The picture is larger than {MOST_BYTES // 10**6} MB.", 413)
    try:
        image = pictures.read_content(content, "The picture", most_pixels=MOST_PIXELS, exif="turn")
    except ValueError as error:
        raise RefusedError(_sentence(error), 422) from None
    if min(image.size) < LEAST_SIDE:
        raise RefusedError(f"The picture has fewer than {LEAST_SIDE} pixels on a side.", 422)
    return np.asarray(pictures.reduce(image, LONGEST_SIDE))


def _sentence(error: Exception) -> str:
    """What is wrong, without the advice for files of a data set."""
    text = re.sub(r"(: |, )(reduce it|fetch or unpack|make it anew).*", "", str(error))
    return " ".join(text.split()).rstrip(".") + "."
