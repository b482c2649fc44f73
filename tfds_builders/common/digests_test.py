"""Digests change with the content of a record only."""

import hashlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfds_builders.common import digests, gaze_schema

PIXELS = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(4, 5, 3)
USER_IDS = ["ann", "bob"]


def encode(pixels: np.ndarray, **options: Any) -> bytes:
    """Returns an image file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **({"format": "PNG"} | options))
    return buffer.getvalue()


def make_records(image: bytes = encode(PIXELS)) -> list[dict[str, Any]]:
    """Two records of two users."""
    xy_px = [[0.0, 1.0], [2.0, 3.0], [4.0, 0.5]]
    return [
        gaze_schema.make_example(image, name, [0, 1, 1], [0, 0, 1], xy_px, [100, 200, 300])
        for name in ("a.png", "b.png")
    ]


def test_the_order_of_records_and_users_does_not_matter() -> None:
    expected = digests.of_records(make_records(), USER_IDS)
    assert digests.of_records(make_records()[::-1], USER_IDS) == expected
    exchanged = make_records()
    for record in exchanged:
        order = [1, 2, 0]
        gaze = {name: column[order] for name, column in record["gaze"].items()}
        record["gaze"] = gaze | {"user": 1 - gaze["user"]}
    assert digests.of_records(exchanged, USER_IDS[::-1]) == expected


def test_a_digest_depends_on_pixels_of_png_and_bytes_of_jpeg() -> None:
    one, other = encode(PIXELS), encode(PIXELS, compress_level=0)
    assert one != other
    assert digests.of_image(one) == digests.of_image(other)
    assert digests.of_image(encode(PIXELS + np.uint8(1))) != digests.of_image(one)
    # The same values in another shape.
    assert digests.of_image(encode(PIXELS.reshape(5, 4, 3))) != digests.of_image(one)
    jpeg = encode(PIXELS, format="JPEG")
    assert digests.of_image(jpeg) != digests.of_image(jpeg + b"\0")


def change_column(name: str, row: int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        record["gaze"][name] = record["gaze"][name].copy()
        record["gaze"][name][row] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        change_column("user", 1, 0),
        change_column("trial", 2, 0),
        change_column("xy_px", 0, [0.0, 1.0000001]),
        change_column("duration_ms", 2, 301),
        lambda record: record.update(image_id="c.png"),
    ],
)
def test_the_digest_depends_on_every_value_of_the_gaze(
    change: Callable[[dict[str, Any]], None],
) -> None:
    records = make_records()
    before = digests.of_records(records, USER_IDS)
    change(records[1])
    assert digests.of_records(records, USER_IDS)["gaze"] != before["gaze"]


def test_the_digest_depends_on_the_names_of_users() -> None:
    before = digests.of_records(make_records(), USER_IDS)
    assert digests.of_records(make_records(), ["ann", "rob"])["gaze"] != before["gaze"]


def test_the_digest_equals_a_second_implementation() -> None:
    """The format in the docstrings must not change."""

    def as_floats(*values: float) -> bytes:
        return np.array(values, "<f4").tobytes()

    gaze = make_records()[0]["gaze"]
    ann = b"ann\n1\n" + np.zeros(1, "<i4").tobytes() + as_floats(0, 1, 100)
    bob = b"bob\n2\n" + np.array([0, 1], "<i4").tobytes() + as_floats(2, 3, 4, 0.5, 200, 300)
    assert digests.of_gaze(gaze, USER_IDS) == hashlib.sha256(ann + bob).hexdigest()
