"""Which maps stage 2 scores: those of images that have a universal map."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from gazejax.evaluation.prediction.calibration import Calibration
from gazejax.evaluation.prediction.protocol import PredictionRequest
from gazejax.inputs.maps import LeaveOneOutMaps
from gazejax.types import Gaze


class KnownMaps(NamedTuple):
    """What is left of a request.

    Attributes:
        request: without the maps that have no universal map.
        num_unknown: how many maps, of a user and an image, were left out.
    """

    request: PredictionRequest
    num_unknown: int


def check_no_members(universal_maps: LeaveOneOutMaps, users: Int[np.ndarray, " user"]) -> None:
    """Checks that no unseen user contributes to the universal maps.

    Raises:
        ValueError: with the first unseen user who does.
    """
    for user in users[np.asarray(universal_maps.is_member)[users]]:
        raise ValueError(f"user {user} is unseen, but contributes to the universal map")


def has_universal_map(
    universal: LeaveOneOutMaps,
    gaze: Gaze,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
) -> Bool[np.ndarray, "user image"]:
    """Whether a member other than the user saw the image; if not, the universal map is empty.

    Args:
        universal: sums of the members' maps.
        gaze: the fixations that they were summed from.
        users: data-set index of each user.
        images: data-set index of each image.
    """
    viewed = np.asarray(gaze.viewing_length)[np.ix_(users, images)] > 0
    is_own = np.asarray(universal.is_member)[users][:, None] & viewed
    return np.asarray(universal.num_viewers)[images] - is_own > 0


def with_known_maps(
    asked: PredictionRequest, is_known: Bool[np.ndarray, "user image"], num_sizes: int
) -> KnownMaps:
    """Leaves out the maps that have no universal map, and the users who are left with no map.

    Without a universal map, neither the map itself nor what was learned from it can be scored.

    Args:
        asked: the request; its enrolments are those of the first size, then of the next.
        is_known: whether each user of the request has a universal map of each image.
        num_sizes: number of sizes. A user without a map at one of them is left out at all.
    """
    is_query = asked.is_query & is_known
    num_unknown = int((asked.is_query & ~is_known).any(axis=0).sum())
    of_sizes = is_query.reshape(num_sizes, -1, *is_query.shape[1:])
    kept = np.flatnonzero(of_sizes.any(axis=(1, 3)).all(axis=0))
    recordings = asked.recordings
    request = asked._replace(
        users=asked.users[kept],
        is_enrolled=asked.is_enrolled[:, kept],
        is_query=is_query[:, kept],
        embeddings=asked.embeddings[:, :, kept],
        calibration=Calibration(*(values[:, kept] for values in asked.calibration)),
        recordings=None if recordings is None else recordings[:, kept],
    )
    return KnownMaps(request, num_unknown)


def are_enough(group: str, asked: Sequence[KnownMaps]) -> bool:
    """Whether two users of a group have a map to score in all requests; says what is left out.

    Args:
        group: seen or unseen.
        asked: of all folds and tables.
    """
    number = sum(one.num_unknown for one in asked)
    if number:
        print(
            f"evaluation, stage 2, {group} users: maps not scored: {number}; no other seen user "
            "saw their image, which therefore has no universal map",
            file=sys.stderr,
        )
    fewest = min(len(one.request.users) for one in asked)
    if fewest < 2:
        print(
            f"evaluation, stage 2, left out for {group} users: a universal map was there for maps "
            f"of {fewest} of them; at least 2 are needed",
            file=sys.stderr,
        )
    return fewest >= 2
