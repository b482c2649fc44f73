"""What users looked at, as programs give it: checked, filtered as in the training, and as pairs."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Int

from gazejax import _array_checks
from gazejax._array_checks import (
    Viewings,
    checked_gaze,
    checked_image,
    checked_list,
    checked_map,
    checked_users,
)
from gazejax.data.looks import warn_of_units
from gazejax.data.reader import kept_fixations, resize_map
from gazejax.inference.images import ReadImage, image_digest
from gazejax.inference.serving import Pair


class PersonalGaze(NamedTuple):
    """The gaze of one user on one image, for `Model.embed_people`.

    Attributes:
        xy_px: [fixation, 2], see `Model.embed`; trials one after the other.
        trial: [fixation], integers, number of the viewing.
        duration_ms: [fixation], milliseconds; None: not known.
    """

    xy_px: npt.ArrayLike
    trial: npt.ArrayLike
    duration_ms: npt.ArrayLike | None


class GazeRules(NamedTuple):
    """What the training read of gaze; the filters are those of `config.data`.

    Attributes:
        reads_durations: whether the encoder reads durations; if not, they are not even checked.
        needs_durations: whether it can do without them nowhere.
        first_trial_only: see `reader.kept_fixations`, as the other two.
        drop_first_fixation: likewise.
        subsample_every: likewise.
    """

    reads_durations: bool
    needs_durations: bool
    first_trial_only: bool
    drop_first_fixation: bool
    subsample_every: int


def checked_viewings(
    rules: GazeRules, images: Any, fixations: Any, durations_ms: Any, *, user: str = ""
) -> Viewings:
    """Checks the arguments of `Model.embed`, and keeps what the filters of the training leave.

    Args:
        rules: of the run.
        images: see `Model.embed`, as the other two.
        fixations: likewise.
        durations_ms: likewise.
        user: name of the user in an error; empty: none.

    Raises:
        TypeError, ValueError: see `Model.embed`.
    """
    known = durations_ms if rules.reads_durations else None
    viewings = _array_checks.checked_viewings(
        images, fixations, known, user=user, needs_durations=rules.needs_durations
    )
    if rules.reads_durations and known is None:
        warnings.warn(
            "durations_ms is missing: the embedding is made without the durations of fixations, "
            "and knows less of the user",
            UserWarning,
            stacklevel=3,
        )
    warn_of_units(
        viewings.xy_frac,
        [image.shape for image in viewings.images],
        viewings.duration_ms,
        has_durations=known is not None,
    )
    kept = [_kept(rules, np.zeros(len(xy_frac), np.int64)) for xy_frac in viewings.xy_frac]
    for number, rows in enumerate(kept):
        if not len(rows):
            raise ValueError(
                f"{viewings.name_of(number)} has {len(viewings.xy_frac[number])} fixations, of "
                "which the filters of the training leave none (config.data); allowed: leave this "
                "image out"
            )
    return viewings._replace(
        xy_frac=[xy_frac[rows] for xy_frac, rows in zip(viewings.xy_frac, kept, strict=True)],
        duration_ms=[times[rows] for times, rows in zip(viewings.duration_ms, kept, strict=True)],
    )


def make_pair(viewings: Viewings, number: int, image: ReadImage) -> Pair:
    """The pair of an image of `viewings`, by its number, and the gaze of the user on it."""
    gaze = viewings.xy_frac[number], viewings.duration_ms[number]
    return Pair(viewings.user, viewings.name_of(number), image, *gaze)


def with_universal(
    images: Sequence[ReadImage], universal: Any, size: tuple[int, int]
) -> list[ReadImage]:
    """Replaces the predicted universal maps of images; see `Model.embed`.

    Args:
        images: what networks read of each.
        universal: the map of each image.
        size: (height, width) of the maps of the encoder.

    Raises:
        TypeError, ValueError: see `Model.embed`.
    """
    given = checked_list(universal, "universal")
    if len(given) != len(images):
        raise ValueError(
            f"universal has {len(given)} entries; allowed: one for each of the {len(images)} images"
        )
    maps = [checked_map(one, f"universal[{number}]") for number, one in enumerate(given)]
    return [
        image._replace(encoder_universal=resize_map(one, size))
        for image, one in zip(images, maps, strict=True)
    ]


class Tally:
    """What was embedded of each user, counted as pairs come.

    Attributes:
        has_durations: whether the durations of all pairs of a user are known.
        images: digests of the images that a user saw.
    """

    def __init__(self) -> None:
        self.has_durations: dict[str, bool] = {}
        self.images: dict[str, set[bytes]] = {}
        self._sums: dict[str, np.ndarray] = {}

    def count(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """Yields the pairs as they are."""
        for pair in pairs:
            known = bool(pair.duration_ms.any())
            self.has_durations[pair.user] = known and self.has_durations.get(pair.user, True)
            self.images.setdefault(pair.user, set()).add(pair.image.digest)
            sums = self._sums.setdefault(pair.user, np.zeros(3))
            sums += 1, len(pair.xy_frac), pair.duration_ms.sum() / 1000
            yield pair

    def measure(self) -> dict[str, dict[str, float]]:
        """Number of viewings of each user, and the mean fixations and seconds of one."""
        found = {}
        for user, (viewings, fixations, seconds) in self._sums.items():
            found[user] = {"viewings": viewings, "fixations": fixations / viewings}
            if self.has_durations[user]:
                found[user]["seconds"] = seconds / viewings
        return found


def make_pairs_by_image(
    users: Sequence[Viewings], read: Callable[[np.ndarray], ReadImage]
) -> Iterator[Pair]:
    """The pairs of many users, image by image: what is read of one need not be kept for long.

    Args:
        users: what each looked at. Images are the same where their pixels are.
        read: an image -> what networks read of it.
    """
    digests: dict[int, bytes] = {}  # Of arrays, which users may share.
    by_image: dict[bytes, list[tuple[Viewings, int]]] = {}
    for viewings in users:
        for number, image in enumerate(viewings.images):
            if id(image) not in digests:
                digests[id(image)] = image_digest(image)
            by_image.setdefault(digests[id(image)], []).append((viewings, number))
    for shared in by_image.values():
        viewings, number = shared[0]
        seen = read(viewings.images[number])
        for viewings, number in shared:
            yield make_pair(viewings, number, seen)


def make_pairs_of_image(
    rules: GazeRules,
    read: Callable[[np.ndarray], ReadImage],
    number: int,
    image: Any,
    gaze_by_user: Any,
) -> Iterator[Pair]:
    """The pairs of one image of a stream; see `Model.embed_people`.

    Args:
        rules: of the run.
        read: an image -> what networks read of it.
        number: of the image, for errors.
        image: uint8 [height, width, 3].
        gaze_by_user: `PersonalGaze` of each user.

    Raises:
        TypeError, ValueError: see `Model.embed_people`.
    """
    image = checked_image(image, f"images[{number}]")
    seen = read(image)
    users = checked_users(gaze_by_user, f"gaze on image {number}", "PersonalGaze")
    for user, gaze in users.items():
        name = f"gaze of {user!r} on image {number}"
        if not rules.reads_durations and isinstance(gaze, PersonalGaze):
            gaze = gaze._replace(duration_ms=None)
        xy_frac, trial, duration_ms = checked_gaze(
            gaze, image, name, needs_durations=rules.needs_durations
        )
        kept = _kept(rules, trial)
        if len(kept):
            yield Pair(user, name, seen, xy_frac[kept], duration_ms[kept])


def _kept(rules: GazeRules, trial: Int[np.ndarray, " fixation"]) -> Int[np.ndarray, " kept"]:
    """Fixations on an image that the filters of the training leave, by their indices."""
    return kept_fixations(
        np.zeros(len(trial), np.int64),
        trial,
        first_trial_only=rules.first_trial_only,
        drop_first_fixation=rules.drop_first_fixation,
        subsample_every=rules.subsample_every,
    )
