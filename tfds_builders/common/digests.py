"""Digests of what a prepared data set holds: the same on every machine, however it was written.

The files of two builds differ byte for byte, since the writer orders some of its entries at random,
and so do PNG files of different compressors. Equal here are the names, numbers and pixels.
"""

import functools
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

_PNG_SIGNATURE = b"\x89PNG"


def of_records(records: Iterable[Mapping[str, Any]], user_ids: Sequence[str]) -> dict[str, str]:
    """Returns `gaze`, the SHA-256 of everybody's gaze, and `images`, that of all images.

    Neither depends on the order of the records or of the users.

    Args:
        records: of `gaze_schema.make_example`, or as read back with encoded images.
        user_ids: name of each user.

    Source: ours. Of the lines "name digest", by name.
    """
    gaze, images = {}, {}
    for record in records:
        image_id = record["image_id"]
        image_id = image_id.decode() if isinstance(image_id, bytes) else image_id
        gaze[image_id] = of_gaze(record["gaze"], user_ids)
        images[image_id] = of_image(record["image"])
    return {"gaze": _of_lines(gaze), "images": _of_lines(images)}


def of_gaze(gaze: Mapping[str, np.ndarray], user_ids: Sequence[str]) -> str:
    """SHA-256 of the gaze on one image, user by user in the order of their names."""
    total = hashlib.sha256()
    user = np.asarray(gaze["user"])
    for number in sorted(np.unique(user), key=lambda number: user_ids[number]):
        rows = user == number
        total.update(f"{user_ids[number]}\n{rows.sum()}\n".encode())
        for name, dtype in (("trial", "<i4"), ("xy_px", "<f4"), ("duration_ms", "<f4")):
            # Adding 0 turns -0.0 into 0.0, which is equal to it.
            total.update((np.asarray(gaze[name])[rows] + 0).astype(dtype).tobytes())
    return total.hexdigest()


@functools.lru_cache(maxsize=1)  # A grey screen stands for every image of gaze without any.
def of_image(encoded: bytes) -> str:
    """SHA-256 of a JPEG file; of a PNG, which loses nothing, of its size and pixels."""
    if not encoded.startswith(_PNG_SIGNATURE):
        return hashlib.sha256(encoded).hexdigest()
    with Image.open(io.BytesIO(encoded)) as image:
        pixels = image.convert("RGB")
    return hashlib.sha256(f"{pixels.size}\n".encode() + pixels.tobytes()).hexdigest()


def _of_lines(digest_by_name: Mapping[str, str]) -> str:
    lines = [f"{name} {digest}\n" for name, digest in sorted(digest_by_name.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
