"""Maps of a few users and images, to look at."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from gazejax.evaluation.prediction import protocol

# The images are in even steps, the users are the first ones.
_NUM_IMAGES, _NUM_USERS = 24, 15


def example_picker(
    group: str, of_folds: Sequence[protocol.PredictionRequest]
) -> Callable[[Mapping[str, Any], protocol.PredictionRequest], list[dict[str, Any]]]:
    """Chooses 24 images and 15 users, before anything is known of their maps.

    Test images in even steps, of those that the chosen users are asked for; the first users of each
    fold, of seen users those of any. A map is that of the last enrolment without the image.

    Args:
        group: seen or unseen.
        of_folds: the request of each fold.

    Returns:
        (batch of `protocol.predict_maps`, its request) -> the chosen maps in it: `user`, `image`,
        `recording` (None: all viewings of the user), `universal`, `own`, `mean`, `truth`.
    """
    num_users = -(-_NUM_USERS // (len(of_folds) if group == "unseen" else 1))
    is_asked = [asked.is_query[:, :num_users].any(axis=(0, 1)) for asked in of_folds]
    columns = np.flatnonzero(np.any(is_asked, axis=0))
    places = np.linspace(0, len(columns) - 1, min(_NUM_IMAGES, len(columns))).astype(int)
    images = of_folds[0].images[columns[places]]
    return functools.partial(_pick, images=images, num_users=num_users)


def _pick(
    batch: Mapping[str, Any],
    asked: protocol.PredictionRequest,
    *,
    images: Int[np.ndarray, " image"],
    num_users: int,
) -> list[dict[str, Any]]:
    is_query = asked.is_query[:, :num_users]
    last = len(is_query) - 1 - np.argmax(is_query[::-1], axis=0)
    universal, own, mean = (protocol.CONDITIONS.index(c) for c in ("universal", "own", "mean"))
    return [
        {
            "user": int(asked.users[user]),
            "recording": None
            if asked.recordings is None
            else int(asked.recordings[enrolment, user]),
            "image": int(asked.images[column]),
            "universal": batch["maps"][row, universal, user],
            "own": batch["maps"][row, own, user],
            "mean": batch["maps"][row, mean, user],
            "truth": batch["truth"][row, user],
        }
        for row, (enrolment, column) in enumerate(
            zip(batch["enrolment"].tolist(), batch["image"].tolist(), strict=True)
        )
        if asked.images[column] in images
        for user in np.flatnonzero(is_query[enrolment, :, column] & (last[:, column] == enrolment))
    ]
