"""Reads pictures: which files are right, what their pixels are, and where they lie.

A picture is stored as an RGB image in JPEG or PNG, 8 bits a channel, without a tag that turns it.
Bytes of a file that is such an image stay as they are; BMP and gray become PNG. Color profiles are
not applied.
"""

import difflib
import functools
import io
import re
import unicodedata
import warnings
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageChops

# What to do with a picture that EXIF says to turn.
Exif = Literal["refuse", "ignore", "turn"]

# A camera file of several pictures, MPO, is a JPEG file: all readers of JPEG read its first.
_FORMATS = ("JPEG", "MPO", "PNG", "BMP")
_PNG_END = b"IEND\xaeB`\x82"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # By the kind of color in the header.
_MOST_UNPACKED_BYTES = 2**20  # At once, to bound the memory.
_ORIENTATION = 274
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {5, 6, 7, 8}
_EXIF_ADVICE = (
    "--exif ignore keeps the stored pixels (gaze refers to them; the tag of some published sets is "
    "wrong), --exif turn turns the picture (gaze refers to the turned picture)"
)
# Missing pictures for which the nearest file is sought: a search reads all names.
_MOST_SOUGHT = 10


class Picture(NamedTuple):
    """A picture as it is stored.

    Attributes:
        encoded: an RGB image in JPEG or PNG.
        width: in pixels.
        height: in pixels.
    """

    encoded: bytes
    width: int
    height: int


def read(path: Path, folder: Path | None = None, exif: Exif = "refuse") -> Picture:
    """Reads a picture for storage.

    Args:
        path: the file.
        folder: the folder that holds the file after all links are resolved; None: any.
        exif: what to do where EXIF says to turn the picture, by an orientation of 2 to 8. `refuse`:
            an error. `ignore`: the stored pixels are the picture, and the tag is removed. `turn`:
            the picture is turned and becomes PNG.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is outside of the folder, is not one complete image in JPEG, PNG or
            BMP, has 16 bits a channel, is CMYK, is transparent, or has an orientation that is
            refused.
    """
    opened = _open_file(path, folder, exif)
    encoded = opened.content if opened.is_storable else _encode(opened.image)
    return Picture(encoded, *opened.image.size)


def read_released(path: Path, folder: Path, exif: Exif = "refuse") -> Picture:
    """Reads a picture of a release, which is in RGB; see `read`.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: see `read`; or the picture is not RGB.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: unpack the whole release again")
    opened = _open_file(path, folder, exif)
    if opened.mode != "RGB":
        raise ValueError(f"{path} is a {opened.mode} image, expected RGB: unpack the release again")
    encoded = opened.content if opened.is_storable else _encode(opened.image)
    return Picture(encoded, *opened.image.size)


def read_pixels(path: Path, folder: Path | None = None, exif: Exif = "refuse") -> np.ndarray:
    """Reads the pixels of a picture: uint8 [height, width, 3].

    Args:
        path: see `read`.
        folder: see `read`.
        exif: see `read`.

    Raises:
        FileNotFoundError, ValueError: see `read`.
    """
    return np.asarray(_open_file(path, folder, exif).image.convert("RGB"))


def read_image(path: Path, folder: Path | None = None, exif: Exif = "refuse") -> Image.Image:
    """Reads and checks a picture as `read` does, but decoded: an image of mode L or RGB.

    Raises:
        FileNotFoundError, ValueError: see `read`.
    """
    return _open_file(path, folder, exif).image


def read_content(
    content: bytes, name: str, *, most_pixels: int, exif: Exif = "refuse"
) -> Image.Image:
    """Reads and checks a picture as `read_image` does, of bytes that are in no file.

    Args:
        content: of a file.
        name: what the picture is called in an error.
        most_pixels: a picture of more pixels is refused before it is decoded.
        exif: see `read`.

    Raises:
        ValueError: see `read`; or the picture has too many pixels.
    """
    path = Path(name)
    with _errors_in_one_line(path, content), Image.open(io.BytesIO(content)) as image:
        width, height = image.size
    if width * height > most_pixels:
        raise ValueError(
            f"{name} has {width} x {height} pixels, expected at most {most_pixels}: reduce it"
        )
    return _open(content, path, exif).image


def read_size(path: Path, exif: Exif = "refuse") -> tuple[int, int]:
    """Reads width and height of a picture in pixels from the start of its file.

    Args:
        path: the file.
        exif: see `read`; the size of a picture that is refused is that of its stored pixels.

    Raises:
        ValueError: the file is no image.
    """
    with _errors_in_one_line(path), Image.open(path) as image:
        width, height = image.size
        if exif == "turn" and _orientation(image) in _SIDEWAYS:
            return height, width
        return width, height


def decode(encoded: bytes) -> np.ndarray:
    """Decodes a stored picture: uint8 [height, width, 3].

    Raises:
        OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError: see Pillow.
    """
    with _no_warnings(), Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB"))


def reduce(image: Image.Image, longest: int) -> Image.Image:
    """Reduces an image of mode L or RGB to RGB with at most `longest` pixels a side."""
    scale = min(1.0, longest / max(image.size))
    width, height = (max(1, round(scale * side)) for side in image.size)
    # Reduced before it becomes RGB: a large gray image is never held with three channels.
    return image.resize((width, height), Image.Resampling.BOX, reducing_gap=2).convert("RGB")


def encode_png(image: np.ndarray) -> bytes:
    """Returns the PNG file of a uint8 [h, w, 3] image.

    The bytes depend on the version of the compressor. The pixels do not.
    """
    return _encode(Image.fromarray(image))


class _Opened(NamedTuple):
    """A file that was read.

    Attributes:
        content: bytes to store, if `is_storable`.
        image: the decoded picture, of mode L or RGB, turned if asked.
        mode: mode of the image in the file.
        is_storable: whether `content` is an RGB image with the pixels of `image`.
    """

    content: bytes
    image: Image.Image
    mode: str
    is_storable: bool


def _open_file(path: Path, folder: Path | None, exif: Exif) -> _Opened:
    if path.is_dir():
        raise ValueError(f"{path} is a folder, expected a picture")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if folder is not None and not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{path} leads out of {folder} to {path.resolve()}: copy the file there")
    return _open(path.read_bytes(), path, exif)


def _open(content: bytes, path: Path, exif: Exif) -> _Opened:
    """Opens and checks the content of a file, whose path is for messages alone."""
    with _errors_in_one_line(path, content):
        image = Image.open(io.BytesIO(content))
    problem = _problem(image, content)
    if problem is not None:
        raise ValueError(f"{path} {problem}")
    if image.format == "PNG" and image.mode == "L" and "transparency" in image.info:
        # Pillow stretches gray of 2 and 4 bits to 0 to 255, but not the gray that is transparent.
        image.info["transparency"] *= 255 // (2 ** content[24] - 1)
    with _errors_in_one_line(path):
        image.load()
        if image.format == "PNG":
            # Pillow reads pixels without their checksums, and accepts a file without its end.
            with Image.open(io.BytesIO(content)) as again:
                again.verify()
            if _PNG_END not in content:
                raise ValueError("its end is missing")
            if _has_too_few_rows(content):
                raise ValueError("it has fewer pixels than its start says")
        if image.mode == "P":
            # Pillow takes black for a color that is not there.
            num_colors = len(image.getpalette() or ()) // 3
            most = int(np.flatnonzero(image.histogram()).max())
            if most >= num_colors:
                raise ValueError(f"it has color {most} in a palette of {num_colors} colors")
        orientation = _orientation(image)
    plain = _without_alpha(image)
    if plain is None:
        raise ValueError(
            f"{path} is transparent in places, and what was shown there is not known: save it on "
            "its background, without an alpha channel"
        )
    is_storable = image.format != "BMP" and image.mode == "RGB" and plain is image
    if orientation != 1 and exif == "refuse":
        raise ValueError(
            f"{path}: its EXIF orientation is {orientation}, expected 1: {_EXIF_ADVICE}"
        )
    if orientation != 1 and exif == "ignore":
        content, is_storable = _without_tag(content, plain) if is_storable else (content, False)
    if orientation != 1 and exif == "turn":
        plain, is_storable = plain.transpose(_TURNS[orientation]), False
    return _Opened(content, plain, image.mode, is_storable)


def _has_too_few_rows(content: bytes) -> bool:
    """Whether the pixels of a PNG without interlacing end before its last row."""
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    bits, kind, is_interlaced = content[24], content[25], content[28]
    if is_interlaced:
        return False
    bytes_of_row = 1 + (width * bits * _PNG_CHANNELS[kind] + 7) // 8
    unpacked, position, length = zlib.decompressobj(), 8, 0
    while position < len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        if content[position + 4 : position + 8] == b"IDAT":
            packed = content[position + 8 : position + 8 + size]
            while packed and length < bytes_of_row * height:
                length += len(unpacked.decompress(packed, _MOST_UNPACKED_BYTES))
                packed = unpacked.unconsumed_tail
        position += size + 12
    return length < bytes_of_row * height


def _problem(image: Image.Image, content: bytes) -> str | None:
    """Says what is wrong with an image whose start was read; None: nothing."""
    if image.format not in _FORMATS:
        return f"is a {image.format} file, expected JPEG, PNG or BMP: convert it"
    if image.format == "PNG":
        num_pictures = getattr(image, "n_frames", 1)
        if num_pictures > 1:
            return f"is an animation of {num_pictures} pictures, expected one: save it as one"
        bits = content[24]  # In the header. Pillow reduces RGB of 16 bits to 8 bits.
        if bits == 16:
            return "has 16 bits a channel, expected 8: save it with 8 bits, as it was shown"
    if image.mode == "CMYK":
        return "is a CMYK image, expected RGB or gray: convert it to RGB, as it was shown"
    if image.mode not in ("1", "L", "P", "LA", "RGB", "RGBA"):
        return f"is a {image.mode} image, expected RGB or gray: convert it"
    return None


def _without_alpha(image: Image.Image) -> Image.Image | None:
    """Returns the image in mode L or RGB, or None if a pixel is transparent."""
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        whole = image if image.mode == "LA" else image.convert("RGBA")
        if whole.getchannel("A").getextrema() != (255, 255):
            return None
        # Not `convert`, which would keep the note that a color is transparent.
        channels = whole.split()[:-1]
        return channels[0] if len(channels) == 1 else Image.merge("RGB", channels)
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _orientation(image: Image.Image) -> int:
    """Returns the orientation by EXIF or XMP, 1 if there is none, as in damaged EXIF data."""
    value = image.getexif().get(_ORIENTATION, 1)
    # Some programs write it as a byte or a text, and other readers turn the picture all the same.
    if isinstance(value, str):
        value = value.strip(" \0").encode("latin-1", errors="replace")
    if isinstance(value, bytes):
        value = int(value) if value.isdigit() else int.from_bytes(value, "little")
    return int(value) if value in _TURNS else 1


def _without_tag(content: bytes, image: Image.Image) -> tuple[bytes, bool]:
    """Removes EXIF and XMP from a JPEG file; False if the file must be encoded anew.

    Some readers turn a picture by its tag. The coded pixels do not change.
    """
    if not content.startswith(b"\xff\xd8"):
        return content, False
    kept, position = [content[:2]], 2
    while content[position : position + 1] == b"\xff":
        marker = position + 1
        while content[marker : marker + 1] == b"\xff":  # Any number of these may fill up.
            marker += 1
        kind = content[marker : marker + 1]
        if kind == b"\xda":  # The pixels follow it.
            break
        end = marker + 1 + int.from_bytes(content[marker + 1 : marker + 3], "big")
        if kind != b"\xe1":
            kept.append(content[position:end])
        position = end
    stripped = b"".join([*kept, content[position:]])
    with _no_warnings(), Image.open(io.BytesIO(stripped)) as again:
        is_same = ImageChops.difference(again.convert("RGB"), image).getbbox() is None
        return stripped, is_same and _orientation(again) == 1


def _encode(image: Image.Image) -> bytes:
    buffer: IO[bytes] = io.BytesIO()
    pixels = image.convert("RGB")
    pixels.info = {}  # Notes of the source, such as a resolution, are not written.
    pixels.save(buffer, format="PNG")
    buffer.seek(0)
    return buffer.read()


@contextmanager
def _no_warnings() -> Iterator[None]:
    # Pillow warns of damaged EXIF data and of pictures of more than 89 million pixels.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _what_it_holds(path: Path, content: bytes | None) -> str:
    """Says what a file holds that is no picture, where its start shows it."""
    if content is None:
        with path.open("rb") as file:
            start = file.read(200)
    else:
        start = content[:200]
    if not start:
        return "it is empty"
    try:
        text = " ".join(start.decode(errors="ignore" if len(start) == 200 else "strict").split())
    except UnicodeDecodeError:
        text = "\0"
    return f"it holds the text {text[:40]!r}" if text.isprintable() else "it is no picture"


@contextmanager
def _errors_in_one_line(path: Path, content: bytes | None = None) -> Iterator[None]:
    try:
        with _no_warnings():
            yield
    except Image.UnidentifiedImageError as error:
        raise ValueError(
            f"{path} does not decode ({_what_it_holds(path, content)}), expected JPEG, PNG or BMP: "
            "fetch or unpack it again"
        ) from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise ValueError(
            f"{path} has too many pixels, expected at most {most}: reduce it, and the coordinates "
            "of its gaze by the same factor"
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} does not decode ({message}): fetch or unpack it again") from error


def find_images(names: Sequence[str], folder: Path, advice: str = "") -> dict[str, Path]:
    """Finds the file of each image below a folder.

    A file with the exact name is taken first, else the file with the same normalized name.

    Args:
        names: paths relative to the folder, with `/`.
        folder: folder of the images.
        advice: what else may be done about a missing image, for the message.

    Returns:
        Name -> file.

    Raises:
        FileNotFoundError: the folder or the file of an image is missing; with the nearest names.
        ValueError: two names or two files have the same normalized name.
    """
    found, errors = match_images(names, folder)
    for error in errors:
        raise ValueError(error)
    missing = [name for name in names if name not in found]
    if missing:
        nearest = nearest_files(missing, folder, found.values())
        shown = ", ".join(
            repr(name) + (f" (nearest: {nearest[name]!r})" if name in nearest else "")
            for name in missing[:_MOST_SOUGHT]
        ) + (", ..." if len(missing) > _MOST_SOUGHT else "")
        raise FileNotFoundError(
            f"--images {folder} lacks {len(missing)} of {len(names)} images: {shown}"
            + (f"; {advice}" if advice else "")
        )
    return found


def match_images(names: Sequence[str], folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Finds the files that exist, see `find_images`, and returns errors instead of raising them.

    Returns:
        Name -> file, without the missing files; and the messages of the errors about equal names.

    Raises:
        FileNotFoundError: the folder is missing.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"--images {folder} is not a folder")
    files = _list_files(folder)
    alike: dict[str, list[str]] = {}
    for file_name in files:
        alike.setdefault(normalize_name(file_name), []).append(file_name)
    found = {name: files[name] for name in names if name in files}
    wanted: dict[str, str] = {}
    errors = []
    for name in names:
        if name in found:
            continue
        key = normalize_name(name)
        if key in wanted:
            errors.append(f"{wanted[key]!r} and {name!r} have the same normalized name: {key!r}")
            continue
        wanted[key] = name
        taken = {path: other for other, path in found.items() if normalize_name(other) == key}
        candidates = [other for other in alike.get(key, []) if files[other] not in taken]
        if len(candidates) > 1:
            errors.append(
                f"{folder}: {' and '.join(map(repr, candidates))} both could be {name!r}; "
                "give the right file this name"
            )
        elif candidates:
            found[name] = files[candidates[0]]
        elif taken:
            other = next(iter(taken.values()))
            errors.append(
                f"{folder} has one file for {other!r} and {name!r}, which have the same normalized "
                f"name {key!r}; write one of the two in all rows, or add the other file"
            )
    return found, errors


def renamed(found: Mapping[str, Path], folder: Path) -> list[str]:
    """Says which images are read from a file of another name; [] if there is none.

    Args:
        found: name -> file.
        folder: folder of the images.
    """
    others = [
        f"{name!r} from {path.relative_to(folder).as_posix()!r}"
        for name, path in found.items()
        if folder / name != path
    ]
    if not others:
        return []
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return [f"images that are read from files of names alike: {others[0]}{more}"]


def nearest_files(
    missing: Sequence[str], folder: Path, taken: Collection[Path] = ()
) -> dict[str, str]:
    """Finds the files with the nearest names, for messages.

    Args:
        missing: names of images that have no file; only the first ten are sought.
        folder: folder of the images.
        taken: files of other images.

    Returns:
        Name -> path relative to the folder, where there is a name alike.
    """
    is_taken = set(taken)
    files = {name for name, path in _list_files(folder).items() if path not in is_taken}
    by_key: dict[str, list[str]] = {}
    for name in sorted(files):
        by_key.setdefault(normalize_name(PurePosixPath(name).name), []).append(name)
    nearest = {}
    for name in missing[:_MOST_SOUGHT]:
        # A file of this name in another folder is nearer than any name alike.
        key = normalize_name(PurePosixPath(name).name)
        alike = difflib.get_close_matches(key, by_key, n=1)
        if key in by_key or alike:
            nearest[name] = by_key[key if key in by_key else alike[0]][0]
    return nearest


def _list_files(folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@functools.cache
def normalize_name(name: str) -> str:
    """Returns the name in lower case, with one underscore for blanks and punctuation in a row.

    Archives and file systems change spaces, brackets, `#`, double dots and upper case. Letters,
    their marks, digits and symbols stay: `+10` is not `-10`.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    kept = (one if unicodedata.category(one)[0] in "LMNS" else "_" for one in folded)
    return re.sub("_+", "_", "".join(kept))
