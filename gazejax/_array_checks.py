"""Checks of the arguments of `api`, and what checks of arrays share."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, ValuesView
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8


class Viewings(NamedTuple):
    """Checked arguments of `Model.embed`: what a user looked at, an entry for each image.

    Attributes:
        user: name of the user in an error; empty: none.
        images: uint8 [height, width, 3].
        xy_frac: positions, as fractions of the image.
        duration_ms: durations; zeros where they are not known or not read.
    """

    user: str
    images: list[UInt8[np.ndarray, "_height _width 3"]]
    xy_frac: list[Float[np.ndarray, "_fixation 2"]]
    duration_ms: list[Float[np.ndarray, " _fixation"]]

    def name_of(self, number: int) -> str:
        """Name of the fixations on an image in an error."""
        return f"{_of(self.user)}fixations[{number}]"


def _of(user: str) -> str:
    return f"users[{user!r}]: " if user else ""


def checked_viewings(
    images: Any, fixations: Any, durations_ms: Any, *, user: str, needs_durations: bool
) -> Viewings:
    """Checks what a user looked at; see `Model.embed`. Durations may be None if none are needed."""
    images = checked_list(images, f"{_of(user)}images")
    fixations = checked_list(fixations, f"{_of(user)}fixations")
    if len(images) == 0 or len(images) != len(fixations):
        raise ValueError(
            f"{_of(user)}images has {len(images)} entries and fixations {len(fixations)}; "
            "allowed: equally many, at least one"
        )
    found = Viewings(user, [], [], [])
    for number, (image, xy_px) in enumerate(zip(images, fixations, strict=True)):
        image = checked_image(image, f"{_of(user)}images[{number}]")
        found.images.append(image)
        found.xy_frac.append(check_fixations(xy_px, image, found.name_of(number)))
    if durations_ms is None and not needs_durations:
        found.duration_ms.extend(np.zeros(len(xy_frac)) for xy_frac in found.xy_frac)
    else:
        found.duration_ms.extend(_checked_durations(durations_ms, found.xy_frac, user))
    return found


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


def checked_list(values: Any, name: str, what: str = "a list of arrays") -> list[Any]:
    is_list = isinstance(values, Sequence | ValuesView | np.ndarray)
    if not is_list or isinstance(values, str):
        raise TypeError(f"{name} is of type {type(values).__name__}; allowed: {what}")
    return list(values)


def _checked_durations(
    durations_ms: Any, fixations: Sequence[np.ndarray], user: str
) -> list[Float[np.ndarray, " fixation"]]:
    """Durations of the fixations of each image."""
    if durations_ms is None:
        raise ValueError(
            f"{_of(user)}durations_ms is missing; this encoder was trained on the durations of "
            "fixations"
        )
    durations = checked_list(durations_ms, f"{_of(user)}durations_ms")
    if len(durations) != len(fixations):
        raise ValueError(
            f"{_of(user)}durations_ms has {len(durations)} entries; allowed: one for each of the "
            f"{len(fixations)} images"
        )
    return [
        _checked_duration(duration_ms, len(xy_frac), f"{_of(user)}durations_ms[{number}]")
        for number, (duration_ms, xy_frac) in enumerate(zip(durations, fixations, strict=True))
    ]


def _checked_duration(
    duration_ms: Any, num_fixations: int, name: str
) -> Float[np.ndarray, " fixation"]:
    values = checked_numbers(duration_ms, name)
    if values.shape != (num_fixations,):
        raise ValueError(
            f"{name} has shape {values.shape}; allowed: one for each of the "
            f"{num_fixations} fixations"
        )
    if (values <= 0).any():
        raise ValueError(f"{name} holds {values.min():g}; allowed: above 0")
    return values


def checked_gaze(
    gaze: Any, image: np.ndarray, name: str, *, needs_durations: bool
) -> tuple[
    Float[np.ndarray, "fixation 2"], Int[np.ndarray, " fixation"], Float[np.ndarray, " fixation"]
]:
    """Checks an `api.PersonalGaze` on an image.

    Returns:
        Positions as fractions of the image; the order of the trials by their number, from 0;
        durations, zeros where they are None and none are needed.
    """
    if not all(hasattr(gaze, field) for field in ("xy_px", "trial", "duration_ms")):
        raise TypeError(f"{name} is of type {type(gaze).__name__}; allowed: PersonalGaze")
    xy_frac = check_fixations(gaze.xy_px, image, name)
    trial = _as_array(gaze.trial, f"trial of {name}")
    if trial.dtype.kind not in "iu":
        raise TypeError(f"trial of {name} has dtype {trial.dtype}; allowed: integers")
    if trial.shape != (len(xy_frac),):
        raise ValueError(
            f"trial of {name} has shape {trial.shape}; allowed: one for each of the "
            f"{len(xy_frac)} fixations"
        )
    # Ranks, which the filters hold however large the numbers of the trials are.
    trial = np.unique(trial, return_inverse=True)[1]
    if gaze.duration_ms is None:
        if not needs_durations:
            return xy_frac, trial, np.zeros(len(xy_frac))
        raise ValueError(
            f"duration_ms of {name} is missing; this encoder was trained on the durations of "
            "fixations"
        )
    times = _checked_duration(gaze.duration_ms, len(xy_frac), f"duration_ms of {name}")
    return xy_frac, trial, times


def checked_count(value: Any, name: str, *, least: int) -> int:
    allowed = f"allowed: a whole number of at least {least}"
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; {allowed}")
    if value < least:
        raise ValueError(f"{name} is {value}; {allowed}")
    return int(value)


def checked_share(value: Any, name: str) -> float:
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if not is_number or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; allowed: a number from 0 to 1")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; allowed: from 0 to 1")
    return float(value)


def checked_path(value: Any, name: str) -> Path:
    if not isinstance(value, str | Path) or str(value) == "":
        raise TypeError(f"{name} is {value!r}; allowed: the path of a file")
    return Path(value)


def checked_stream(values: Any, name: str, what: str) -> Iterable[Any]:
    if not isinstance(values, Iterable) or isinstance(values, str | bytes):
        found = type(values).__name__
        raise TypeError(f"{name} is of type {found}; allowed: {what}, one after the other")
    return values


def checked_viewing_stream(viewings: Any) -> Iterator[tuple[Any, Any]]:
    stream = checked_stream(viewings, "viewings", "an image and the gaze of each user on it")
    for number, viewing in enumerate(stream):
        if not isinstance(viewing, tuple | list) or len(viewing) != 2:
            raise TypeError(
                f"viewings[{number}] is of type {type(viewing).__name__}; allowed: a tuple of an "
                "image and the gaze of each user on it"
            )
        yield viewing[0], viewing[1]


def checked_users(of_users: Any, name: str, what: str) -> Mapping[str, Any]:
    if not isinstance(of_users, Mapping):
        found = type(of_users).__name__
        raise TypeError(f"{name} is of type {found}; allowed: a mapping, user to {what}")
    return of_users


def checked_sessions(sessions: Any, name: str = "sessions") -> tuple[str, ...]:
    names: list[Any] = list(sessions) if isinstance(sessions, Iterable) else [None]
    if isinstance(sessions, str) or not all(isinstance(one, str) and one for one in names):
        raise TypeError(f"{name} is {sessions!r}; allowed: a list of names, none of them empty")
    return tuple(dict.fromkeys(names))


def checked_sessions_of_users(
    sessions: Any, users: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    of_users = checked_users({} if sessions is None else sessions, "sessions", "names of sessions")
    unknown = next((user for user in of_users if user not in users), None)
    if unknown is not None:
        raise ValueError(f"sessions has the user {unknown!r}; allowed: users of `users`")
    return {
        user: checked_sessions(names, f"sessions[{user!r}]") for user, names in of_users.items()
    }


def finite_embeddings(
    found: Float[np.ndarray, "pair embedding"], names: Sequence[str]
) -> Float[np.ndarray, "pair embedding"]:
    """Refuses embeddings that are not finite, each by the name of its gaze."""
    for name, embedding in zip(names, found, strict=True):
        if not np.isfinite(embedding).all():
            raise ValueError(
                f"{name} has an embedding that is not finite; allowed: durations in milliseconds, "
                "and a universal map, that float32 can sum"
            )
    return found


def finite_maps(
    found: Float[np.ndarray, "user height width"],
    embeddings: Float[np.ndarray, "user embedding"] | None,
) -> Float[np.ndarray, "user height width"]:
    """Refuses maps that are not finite; embeddings are None for a universal map."""
    if not np.isfinite(found).all():
        name, values = (
            ("universal", "values")
            if embeddings is None
            else ("embedding", f"values up to {np.abs(embeddings).max():g}")
        )
        raise ValueError(
            f"{name} holds {values} that give no finite map; allowed: the result of `embed`, and a "
            "universal map that float32 can sum"
        )
    return found


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


def checked_embedding(embedding: Any, size: int, name: str) -> Float[np.ndarray, " embedding"]:
    embedding = checked_numbers(embedding, name)
    if embedding.shape != (size,):
        raise ValueError(f"{name} has shape {embedding.shape}; allowed: ({size},)")
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
