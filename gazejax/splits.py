"""Who and what is seen. Nothing else in the project decides it.

Users are *seen* (they train both stages) or *unseen* (first met at evaluation); images are *train*
or *test*. The four sets are disjoint by construction and checked once more by `check`.
"""

import hashlib
from collections.abc import Sequence
from pathlib import PurePath
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

# OSIE images that are also in the PS data set, so that a model trained on one can be tested on the
# other: they are always test images. Found by file name and confirmed by their gaze.
# fmt: off
OSIE_IMAGES_IN_PS = frozenset({
    1020, 1021, 1028, 1035, 1036, 1044, 1051, 1065, 1093, 1117, 1118, 1127, 1131, 1153, 1161, 1167,
    1169, 1174, 1188, 1198, 1212, 1251, 1271, 1277, 1287, 1300, 1309, 1312, 1315, 1319, 1323, 1325,
    1344, 1356, 1372, 1382, 1392, 1395, 1415, 1420, 1452, 1458, 1487, 1489, 1491, 1493, 1501, 1504,
    1511, 1528, 1534, 1571, 1574, 1575, 1621, 1624, 1637, 1669, 1697,
})
# fmt: on


class Splits(NamedTuple):
    """Indices into a data set's users and images, ascending."""

    seen_users: Int[np.ndarray, " seen"]
    unseen_users: Int[np.ndarray, " unseen"]
    train_images: Int[np.ndarray, " train"]
    test_images: Int[np.ndarray, " test"]


def make_splits(
    user_ids: Sequence[str],
    image_ids: Sequence[str],
    *,
    test_rule: Literal["osie", "hash"],
    hash_seed: int,
    hash_one_in: int,
    folds: int,
    fold: int,
) -> Splits:
    """Splits users by fold and images by rule.

    Args:
        user_ids: the users, in the release's order.
        image_ids: the images.
        test_rule: `osie`: an image is a test image if its number is divisible by 8 or if PS has it
            too. `hash`: one in `hash_one_in`, by a seeded hash of the image's name.
        hash_seed: seed of the hash (rule `hash` only).
        hash_one_in: inverse share of test images (rule `hash` only).
        folds: number of folds of users.
        fold: fold that is held out: users fold, fold + folds, fold + 2 folds, ...

    Raises:
        ValueError: if an OSIE name is no number, or if one of the four sets is empty.
    """
    user = np.arange(len(user_ids))
    is_unseen = user % folds == fold
    if test_rule == "osie":
        is_test = np.array([_is_osie_test_image(name) for name in image_ids])
    else:
        is_test = np.array([_hash(name, hash_seed) % hash_one_in == 0 for name in image_ids])
    image = np.arange(len(image_ids))
    splits = Splits(user[~is_unseen], user[is_unseen], image[~is_test], image[is_test])
    check(splits, num_users=len(user), num_images=len(image))
    return splits


def check(splits: Splits, *, num_users: int, num_images: int) -> None:
    """Refuses splits that overlap, leave somebody out or are empty.

    Raises:
        ValueError: naming the set.
    """
    for name, members in splits._asdict().items():
        if len(members) == 0:
            raise ValueError(
                f"{name} is empty with {num_users} users and {num_images} images; "
                "allowed: at least one each of seen and unseen users, train and test images"
            )
    for kind, one, other, number in (
        ("users", splits.seen_users, splits.unseen_users, num_users),
        ("images", splits.train_images, splits.test_images, num_images),
    ):
        if sorted([*one, *other]) != list(range(number)):
            raise ValueError(f"the {kind} of the split overlap or do not cover all {number}")


def _is_osie_test_image(image_id: str) -> bool:
    stem = PurePath(image_id).stem
    if not stem.isdecimal():
        raise ValueError(f"split.test_rule is 'osie', but image {image_id!r} has no number as name")
    return int(stem) % 8 == 0 or int(stem) in OSIE_IMAGES_IN_PS


def _hash(text: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{text}".encode()).digest()[:8], "big")
