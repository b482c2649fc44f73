"""The pictures of the page: those of the package, of a folder, or of a prepared data set.

Twenty pictures are shown: eight in each of two rounds, and four new ones, for which maps are
predicted. A picture is at most 800 pixels long, as those that the crowd of OSIE saw.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gazejax.data.reader import open_source, read_record
from tfds_builders.common import pictures

PARTS = ("first",) * 8 + ("second",) * 8 + ("new",) * 4
LEAST_SIDE = 16
LONGEST_SIDE = 800
_SHIPPED = Path(__file__).parent / "pictures"
_ENDINGS = (".jpg", ".jpeg", ".png")
_JPEG_QUALITY = 90


class Picture(NamedTuple):
    """A picture of the page.

    Attributes:
        part: the part that shows it: `first` or `second` round, or `new`.
        file: name of its file, as in exported gaze.
        title: short, for people.
        alt: what it shows, for people who do not see it.
        author: empty: not known.
        licence: likewise.
        source: likewise.
        encoded: JPEG or PNG, as it is shown.
        pixels: the same, decoded.
        scale: width of the picture in its file, divided by that of `pixels`.
    """

    part: str
    file: str
    title: str
    alt: str
    author: str
    licence: str
    source: str
    encoded: bytes
    pixels: UInt8[np.ndarray, "_height _width 3"]
    scale: float


def shipped_pictures() -> list[Picture]:
    """The pictures of the package; the licence of each is in `pictures/pictures.json`."""
    rows = json.loads((_SHIPPED / "pictures.json").read_text())
    return [_make(row, (_SHIPPED / row["file"]).read_bytes()) for row in rows]


def pictures_of_folder(folder: Path) -> list[Picture]:
    """Twenty pictures of a folder, evenly over its sorted names.

    Raises:
        ValueError: if it is no folder, holds too few pictures, or one cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"--images {folder} is not a folder; allowed: a folder of pictures")
    files = sorted(one for one in folder.rglob("*") if one.suffix.lower() in _ENDINGS)
    if len(files) < len(PARTS):
        raise ValueError(
            f"--images {folder} holds {len(files)} pictures, JPEG or PNG; allowed: at least "
            f"{len(PARTS)}"
        )
    chosen = [files[number] for number in _evenly(len(files))]
    named = zip(PARTS, chosen, strict=True)
    return [
        _make(_row(part, path.relative_to(folder).as_posix()), _read(path)) for part, path in named
    ]


def _read(path: Path) -> bytes:
    """A picture as people see it, also where a camera was turned."""
    return pictures.read(path, exif="turn").encoded


def pictures_of_dataset(name: str, data_dir: Path | None) -> list[Picture]:
    """Twenty pictures of a prepared data set, evenly over its sorted names.

    Raises:
        FileNotFoundError: if the data set is not prepared there.
        ValueError: if it holds too few pictures.
    """
    source = open_source(name, data_dir)
    if len(source.records) < len(PARTS):
        raise ValueError(
            f"--dataset {name} holds {len(source.records)} pictures; allowed: at least {len(PARTS)}"
        )
    records = [read_record(source, number) for number in range(len(source.records))]
    records.sort(key=lambda record: record["image_id"])
    chosen = [records[number] for number in _evenly(len(records))]
    named = zip(PARTS, chosen, strict=True)
    return [_make(_row(part, one["image_id"].decode()), one["image"]) for part, one in named]


def _evenly(number: int) -> Sequence[int]:
    """Positions of the pictures to show, in the order of showing: parts do not follow names."""
    positions = np.linspace(0, number - 1, len(PARTS)).astype(int)
    order: list[int] = np.random.default_rng(0).permutation(positions).tolist()
    return order


def _row(part: str, file: str) -> dict[str, str]:
    title = Path(file).stem
    unknown = dict.fromkeys(("author", "licence", "source"), "")
    return {"part": part, "file": file, "title": title, "alt": f"The picture {title}"} | unknown


def _make(row: dict[str, str], encoded: bytes) -> Picture:
    image = pictures.read_content(encoded, row["file"], most_pixels=10**9)
    width = image.width
    if max(image.size) > LONGEST_SIDE:
        image = pictures.reduce(image, LONGEST_SIDE)
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=_JPEG_QUALITY)
        encoded = buffer.getvalue()
    shown = Image.open(io.BytesIO(encoded)).convert("RGB")
    if min(shown.size) < LEAST_SIDE:
        raise ValueError(
            f"{row['file']} has {shown.width} x {shown.height} pixels; allowed: at least "
            f"{LEAST_SIDE} on a side"
        )
    return Picture(**row, encoded=encoded, pixels=np.asarray(shown), scale=width / image.width)


def media_type(encoded: bytes) -> str:
    """Media type of a JPEG or PNG."""
    return "image/png" if encoded.startswith(b"\x89PNG") else "image/jpeg"
