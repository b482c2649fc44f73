"""Checks of the arguments of `api`, and what checks of arrays share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float


def check_fixations(xy_px: Any, image: np.ndarray, name: str) -> Float[np.ndarray, "fixation 2"]:
    """Checks fixations on an image and returns them as fractions of image width and height.

    Args:
        xy_px: [fixation, 2], x then y in pixels of the image.
        image: the image, [height, width, 3].
        name: name of the fixations in an error.

    Raises:
        TypeError: if the fixations are not numbers.
        ValueError: if there is no fixation, or one is NaN, infinite or outside of the image.
    """
    xy_px = checked_numbers(xy_px, name)
    if xy_px.ndim != 2 or xy_px.shape[1] != 2 or len(xy_px) == 0:
        raise ValueError(f"{name} has shape {xy_px.shape}; allowed: (n, 2) with n of at least 1")
    height, width = image.shape[:2]
    outside = ((xy_px < 0) | (xy_px >= [width, height])).any(axis=1)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        x, y = xy_px[row].tolist()
        raise ValueError(
            f"{name}[{row}] is (x, y) = ({x:g}, {y:g}); allowed: inside the image, "
            f"0 <= x < {width} and 0 <= y < {height}"
        )
    return xy_px / [width, height]


def checked_list(values: Any, name: str) -> list[Any]:
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str):
        raise TypeError(f"{name} is of type {type(values).__name__}; allowed: a list of arrays")
    return list(values)


def checked_durations(
    durations_ms: Any, fixations: Sequence[np.ndarray], *, is_needed: bool
) -> list[Float[np.ndarray, " fixation"]]:
    """Durations of the fixations of each image; zeros if the encoder needs none."""
    if not is_needed:
        return [np.zeros(len(xy_frac)) for xy_frac in fixations]
    if durations_ms is None:
        raise ValueError(
            "durations_ms is missing; this encoder was trained on the durations of fixations"
        )
    durations = checked_list(durations_ms, "durations_ms")
    if len(durations) != len(fixations):
        raise ValueError(
            f"durations_ms has {len(durations)} entries; allowed: one for each of the "
            f"{len(fixations)} images"
        )
    checked = []
    for number, (duration_ms, xy_frac) in enumerate(zip(durations, fixations, strict=True)):
        name = f"durations_ms[{number}]"
        values = checked_numbers(duration_ms, name)
        if values.shape != (len(xy_frac),):
            raise ValueError(
                f"{name} has shape {values.shape}; allowed: one for each of the "
                f"{len(xy_frac)} fixations"
            )
        if (values <= 0).any():
            raise ValueError(f"{name} holds {values.min():g}; allowed: above 0")
        checked.append(values)
    return checked


def checked_image(image: Any, name: str) -> np.ndarray:
    image = _as_array(image, name)
    if image.dtype != np.uint8:
        raise TypeError(f"{name} has dtype {image.dtype}; allowed: uint8")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"{name} has shape {image.shape}; allowed: (height, width, 3)")
    return image


def checked_map(saliency: Any, name: str) -> Float[np.ndarray, "height width"]:
    saliency = checked_numbers(saliency, name)
    if saliency.ndim != 2 or saliency.size == 0:
        raise ValueError(f"{name} has shape {saliency.shape}; allowed: (height, width)")
    if saliency.min() < 0 or saliency.max() <= 0:
        raise ValueError(
            f"{name} has values from {saliency.min():g} to {saliency.max():g}; "
            "allowed: none below 0, some above"
        )
    return saliency


def checked_embedding(embedding: Any, size: int) -> Float[np.ndarray, " embedding"]:
    embedding = checked_numbers(embedding, "embedding")
    if embedding.shape != (size,):
        raise ValueError(f"embedding has shape {embedding.shape}; allowed: ({size},)")
    return embedding.astype(np.float32)


def is_masked(values: Any) -> bool:
    """Whether NumPy would drop a mask: of a masked array, or of one in a list of rows."""
    if isinstance(values, list | tuple):
        return any(map(is_masked, values))
    return isinstance(values, np.ma.MaskedArray) and bool(np.ma.is_masked(values))


def _as_array(values: Any, name: str) -> np.ndarray:
    if is_masked(values):
        raise ValueError(f"{name} has masked elements; allowed: an array without any")
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} has rows of different lengths; allowed: an array") from None


def checked_numbers(values: Any, name: str) -> Float[np.ndarray, "..."]:
    values = _as_array(values, name)
    # By the kind too: to NumPy a time span is a subtype of the whole numbers.
    is_number = any(np.issubdtype(values.dtype, kind) for kind in (np.floating, np.integer))
    if not is_number or values.dtype.kind == "m":
        raise TypeError(f"{name} has dtype {values.dtype}; allowed: float or integer")
    values = values.astype(np.float64)
    if not (np.abs(values) <= np.finfo(np.float32).max).all():
        raise ValueError(
            f"{name} holds a NaN, an infinite value or one beyond float32; allowed: finite numbers"
        )
    return values
