"""Finds pictures that are copies of each other, but for compression, size and slight brightness.

A picture is reduced to 64 x 64 means of color, its cells. Two pictures are copies if

- the deviations of their cells from the mean cell correlate, and
- no cell differs by more than compression and scaling explain, after the brightness of one picture
  is matched to the other. Brightness is matched by one shift or one factor for all cells. It is the
  median of all cells, so that it is that of the background where the background is common.

The second rule keeps pictures apart that share a background and a layout, such as pages of text or
visual search arrays. What one cell may differ by depends on the pixels of a cell: scaling moves an
edge by about a pixel. A difference is therefore not seen if it is smaller than a few pixels across,
or fainter than about 10 gray levels. Pictures without visible cells are copies only if all pixels
are equal: plain pictures, and textures finer than a cell. A mirrored, cropped or recolored picture
is no copy.

Source: ours. On four published sets of 2,233 photographs, no two different ones are grouped. For a
sixth of them, copies of quality 50 and copies of half the size were all found, and of copies that
were 10 % brighter or darker at least 95 %.
"""

import functools
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageStat

from tfds_builders.common import pictures

_SIZE = 64
# Correlation of the cells of copies, and of their projections, which are compared first. A distance
# of two projections to 512 numbers is right to 6 % (one standard deviation).
_LEAST_CORRELATION, _LEAST_PROJECTED = 0.97, 0.94
_NUM_PROJECTED = 512
# What a cell may differ by, in levels, and for a cell that is one pixel wide: in gray; per level of
# difference to the gray of its neighbors, between pictures of one size and of two sizes; and in
# color without gray, which JPEG keeps worse.
_ALWAYS, _EDGE, _SCALED_EDGE = 4.0, 0.5, 2.5
_GRAY_OF_PIXEL, _SCALED_GRAY_OF_PIXEL, _COLOR_OF_PIXEL = 16.0, 40.0, 200.0
# Levels of color without gray that most cells may differ by.
_MOST_TINT = 12.0
# What counts as slight brightness: levels, and a factor. Smaller shifts are no change.
_MOST_SHIFT, _MOST_GAIN, _NO_SHIFT = 40.0, 4 / 3, 1.0
# Variance of the cells, of that of the pixels and in squared levels, below which nothing is seen.
_LEAST_SEEN, _LEAST_VARIANCE = 0.01, 0.01
_GRAY = np.array([0.299, 0.587, 0.114], np.float32)
# Rows and pairs that are compared at once, to bound memory to some 100 MB.
_ROWS, _PAIRS = 1024, 128


class Signature(NamedTuple):
    """What a picture is compared by.

    Attributes:
        color: uint8 [64, 64, 3], means of color.
        shorter_px: width or height of the picture in pixels, whichever is smaller.
        longer_px: the other one.
        digest: of all pixels, if the means do not show what is in the picture; else empty.
    """

    color: np.ndarray
    shorter_px: int
    longer_px: int
    digest: bytes


def signature(image: Image.Image) -> Signature:
    """Reduces a picture to what `group` compares.

    Args:
        image: of mode L or RGB, of any size and shape.
    """
    small = image.resize((_SIZE, _SIZE), Image.Resampling.BOX).convert("RGB")
    color = np.asarray(small)
    # By histograms, which hold no copy of the pixels. Gray counts three times, as it is in RGB.
    pixel_variance = sum(ImageStat.Stat(image).var) * (3 if image.mode == "L" else 1)
    variance = color.var(axis=(0, 1)).sum()
    if variance > _LEAST_VARIANCE and variance > _LEAST_SEEN * pixel_variance:
        digest = b""
    elif pixel_variance == 0:
        digest = color[0, 0].tobytes()  # A plain picture has no size.
    else:
        digest = hashlib.sha256(repr(image.size).encode() + image.convert("RGB").tobytes()).digest()
    return Signature(color, min(image.size), max(image.size), digest)


def signature_of(encoded: bytes) -> Signature:
    """Returns the `signature` of a stored picture.

    Raises:
        OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError: see Pillow.
    """
    return signature(Image.fromarray(pictures.decode(encoded)))


def group(names: Sequence[str], signatures: Sequence[Signature]) -> list[list[str]]:
    """Groups pictures that are copies of each other, directly or by copies between them.

    Args:
        names: names of the pictures.
        signatures: the `signature` of each.

    Returns:
        The groups of two or more names; names and groups are sorted.
    """
    # Equal signatures are joined first: they would make as many pairs as their number squared.
    equal: dict[tuple[bytes, bytes], list[str]] = {}
    different = []
    for name, one in zip(names, signatures, strict=True):
        key = (one.digest, b"" if one.digest else one.color.tobytes())
        if key not in equal:
            equal[key] = []
            different.append(one)
        equal[key].append(name)
    parent = list(range(len(different)))

    def root(member: int) -> int:
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    seen = [number for number, one in enumerate(different) if not one.digest]
    for first, second in _find_copies([different[number] for number in seen]):
        parent[root(seen[first])] = root(seen[second])
    groups: dict[int, list[str]] = {}
    for member, members in enumerate(equal.values()):
        groups.setdefault(root(member), []).extend(members)
    return sorted(sorted(members) for members in groups.values() if len(members) > 1)


def _find_copies(signatures: Sequence[Signature]) -> list[tuple[int, int]]:
    """Pairs of indices of copies, the smaller first, among pictures with visible cells."""
    if len(signatures) < 2:
        return []
    projection = _projection()
    parts = [
        _deviations(signatures[start : start + _ROWS]).reshape(-1, len(projection)) @ projection
        for start in range(0, len(signatures), _ROWS)
    ]
    projected = np.concatenate(parts)
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    found: list[tuple[int, int]] = []
    for start in range(0, len(projected), _ROWS):
        correlation = projected[start : start + _ROWS] @ projected[start:].T
        one, other = np.argwhere(np.triu(correlation >= _LEAST_PROJECTED, 1)).T + start
        for first in range(0, len(one), _PAIRS):
            pairs = slice(first, first + _PAIRS)
            is_copy = _are_copies(
                [signatures[index] for index in one[pairs].tolist()],
                [signatures[index] for index in other[pairs].tolist()],
            )
            found += zip(one[pairs][is_copy].tolist(), other[pairs][is_copy].tolist(), strict=True)
    return found


@functools.cache
def _projection() -> np.ndarray:
    """Random signs, the same in every run: float32 [12288, 512]."""
    signs = np.random.default_rng(0).integers(0, 2, (3 * _SIZE**2, _NUM_PROJECTED), np.int8)
    return 2 * signs.astype(np.float32) - 1


def _deviations(signatures: Sequence[Signature]) -> np.ndarray:
    """Deviations from the mean cell, with length 1: float32 [n, 64, 64, 3]."""
    color = np.stack([one.color for one in signatures]).astype(np.float32)
    color -= color.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt(np.einsum("pijk,pijk->p", color, color))
    return color / length[:, None, None, None]


def _are_copies(first: Sequence[Signature], second: Sequence[Signature]) -> np.ndarray:
    """Compares pairs of pictures with visible cells: bool [pair]."""
    deviations, others = _deviations(first), _deviations(second)
    correlation, mirrored = (
        np.einsum("pijk,pijk->p", deviations, side) for side in (others, others[:, :, ::-1])
    )
    # A symmetric picture correlates with its mirror image as with itself, but for rounding.
    is_copy = (correlation >= _LEAST_CORRELATION) & (correlation >= mirrored - 1e-5)
    chosen: list[int] = np.flatnonzero(is_copy).tolist()
    if not chosen:
        return is_copy
    one, other = (
        np.stack([side[pair].color for pair in chosen]).astype(np.float32)
        for side in (first, second)
    )
    shorter = [min(side[pair].shorter_px for side in (first, second)) for pair in chosen]
    is_scaled = [first[pair][1:3] != second[pair][1:3] for pair in chosen]
    is_copy[chosen] = _differ_by_brightness(
        one, other, np.maximum(np.array(shorter) / _SIZE, 1), np.array(is_scaled)
    )
    return is_copy


def _differ_by_brightness(
    one: np.ndarray, other: np.ndarray, pixels_of_cell: np.ndarray, is_scaled: np.ndarray
) -> np.ndarray:
    """Whether cells differ by brightness, compression and scaling only: bool [pair].

    Args:
        one: float32 [pair, 64, 64, 3].
        other: likewise.
        pixels_of_cell: [pair], pixels across a cell of the smaller picture.
        is_scaled: bool [pair], whether the pictures have two sizes.
    """
    gray, other_gray = one @ _GRAY, other @ _GRAY
    shift = np.median(gray - other_gray, axis=(1, 2))
    # The darker picture is made brighter: what became white has lost its value.
    swap = shift < 0
    dark = np.where(swap[:, None, None, None], one, other)
    bright = np.where(swap[:, None, None, None], other, one)
    shift = np.abs(shift)
    # A background that stays has no change of brightness, also if it is black.
    ratio = np.maximum(bright @ _GRAY, 1) / np.maximum(dark @ _GRAY, 1)
    gain = np.where(shift < _NO_SHIFT, 1, np.median(ratio, axis=(1, 2)))
    edge = np.where(is_scaled, _SCALED_EDGE, _EDGE)[:, None, None]
    of_pixel = np.where(is_scaled, _SCALED_GRAY_OF_PIXEL, _GRAY_OF_PIXEL)[:, None, None]
    contrast = np.minimum(_contrast(gray), _contrast(other_gray))
    pixels = pixels_of_cell[:, None, None]
    allowed = _ALWAYS + (of_pixel + edge * contrast) / pixels
    allowed_color = _ALWAYS + _COLOR_OF_PIXEL / pixels

    def is_explained(change: np.ndarray) -> np.ndarray:
        residual = bright - dark - change
        # White pixels did not become brighter, so that their cell did less.
        residual = np.where(residual < 0, np.minimum(residual + change, 0), residual)
        gray_residual = residual @ _GRAY
        is_like = (np.abs(gray_residual) <= allowed).all(axis=(1, 2))
        color_residual = residual - gray_residual[..., None]
        is_tinted = np.abs(np.median(color_residual, axis=(1, 2))).max(axis=1) > _MOST_TINT
        is_like &= (np.abs(color_residual) <= allowed_color[..., None]).all(axis=(1, 2, 3))
        return is_like & ~is_tinted

    shifted = np.broadcast_to(shift[:, None, None, None], dark.shape)
    scaled = dark * (gain - 1)[:, None, None, None]
    return (shift <= _MOST_SHIFT) & (
        is_explained(shifted) | (is_explained(scaled) & (gain <= _MOST_GAIN))
    )


def _contrast(gray: np.ndarray) -> np.ndarray:
    """Largest difference of each cell to its eight neighbors: float32 [pair, 64, 64]."""
    padded = np.pad(gray, ((0, 0), (1, 1), (1, 1)), "edge")
    largest = np.zeros_like(gray)
    for row in range(3):
        for column in range(3):
            moved = padded[:, row : row + _SIZE, column : column + _SIZE]
            np.maximum(largest, np.abs(gray - moved), out=largest)
    return largest
