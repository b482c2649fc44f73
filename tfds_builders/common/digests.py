"""Digests of the content of a prepared data set, equal on all machines.

A digest depends on names, numbers and pixels. A digest does not depend on the bytes of the files:
the writer puts some entries in random order, and PNG files depend on the compressor.
"""

import functools
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

_PNG_SIGNATURE = b"\x89PNG"


def of_records(
    records: Iterable[Mapping[str, Any]],
    user_ids: Sequence[str],
    session_ids: Sequence[Sequence[str]] = (),
) -> dict[str, str]:
    """Returns the SHA-256 of all gaze, `gaze`, and the SHA-256 of all images, `images`.

    Both are independent of the order of records and users. A digest is the SHA-256 of the lines
    "image_id digest", sorted by image id, with `of_gaze` or `of_image` of each image.

    Args:
        records: records of `gaze_schema.make_example`, or records that were read with encoded
            images.
        user_ids: name of each user.
        session_ids: names of the sessions of each user; (): not known.

    Source: ours.
    """
    gaze, images = {}, {}
    for record in records:
        image_id = record["image_id"]
        image_id = image_id.decode() if isinstance(image_id, bytes) else image_id
        gaze[image_id] = of_gaze(record["gaze"], user_ids, session_ids)
        images[image_id] = of_image(record["image"])
    return {"gaze": _of_lines(gaze), "images": _of_lines(images)}


def of_gaze(
    gaze: Mapping[str, np.ndarray],
    user_ids: Sequence[str],
    session_ids: Sequence[Sequence[str]] = (),
) -> str:
    """Returns the SHA-256 of the gaze on one image, users sorted by name.

    Args:
        gaze: columns of `gaze_schema.GazeTable`: `user` [n], `trial` [n], `xy_px` [n, 2],
            `duration_ms` [n], and `session` [n] if `session_ids` are given.
        user_ids: name of each user.
        session_ids: names of the sessions of each user; (): not known, and the digest is that of
            data without sessions.
    """
    total = hashlib.sha256()
    user = np.asarray(gaze["user"])
    order = np.argsort(user, kind="stable")
    found = np.unique(user[order], return_index=True, return_counts=True)
    rows_of = {
        number: order[start : start + length]
        for number, start, length in zip(*(one.tolist() for one in found), strict=True)
    }
    for number in sorted(rows_of, key=lambda number: user_ids[number]):
        rows = rows_of[number]
        total.update(f"{user_ids[number]}\n{len(rows)}\n".encode())
        for name, dtype in (("trial", "<i4"), ("xy_px", "<f4"), ("duration_ms", "<f4")):
            # -0.0 + 0 is 0.0: equal numbers have equal bytes.
            total.update((np.asarray(gaze[name])[rows] + 0).astype(dtype).tobytes())
        if session_ids:
            names = session_ids[number]
            total.update("".join(f"{names[one]}\n" for one in gaze["session"][rows]).encode())
    return total.hexdigest()


@functools.lru_cache(maxsize=1)  # All images of gaze without images are one gray screen.
def of_image(encoded: bytes) -> str:
    """Returns the SHA-256 of an encoded image.

    For a JPEG file: of the bytes. For a PNG file: of size and pixels, since PNG is lossless.
    """
    if not encoded.startswith(_PNG_SIGNATURE):
        return hashlib.sha256(encoded).hexdigest()
    with Image.open(io.BytesIO(encoded)) as image:
        pixels = image if image.mode == "RGB" else image.convert("RGB")
        total = hashlib.sha256(f"{pixels.size}\n".encode())
        total.update(pixels.tobytes())
    return total.hexdigest()


def _of_lines(digest_by_name: Mapping[str, str]) -> str:
    lines = [f"{name} {digest}\n" for name, digest in sorted(digest_by_name.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
