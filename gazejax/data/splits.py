"""Splits of users and images. All other modules read the split from here.

Users are *seen* (both stages train on them) or *unseen* (only evaluation uses them). Images are
*train* or *test* images. The four sets are disjoint by construction; `check` verifies this.

Purpose `validation` is for the selection of configs. It excludes the unseen users and the test
images of purpose `test`, and splits the remaining users and images by the same rules.
"""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import PurePath
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from gazejax.data import osie_published
from gazejax.types import Dataset

# OSIE images that are also in the PS data set. They are always test images, so that a model trained
# on one data set can be tested on the other. Found by file name and confirmed by their gaze.
# fmt: off
OSIE_IMAGES_IN_PS = frozenset({
    1020, 1021, 1028, 1035, 1036, 1044, 1051, 1065, 1093, 1117, 1118, 1127, 1131, 1153, 1161, 1167,
    1169, 1174, 1188, 1198, 1212, 1251, 1271, 1277, 1287, 1300, 1309, 1312, 1315, 1319, 1323, 1325,
    1344, 1356, 1372, 1382, 1392, 1395, 1415, 1420, 1452, 1458, 1487, 1489, 1491, 1493, 1501, 1504,
    1511, 1528, 1534, 1571, 1574, 1575, 1621, 1624, 1637, 1669, 1697,
})


class Splits(NamedTuple):
    """Indices into a data set's users and images, ascending.

    With purpose `validation`, the unseen users and the test images of purpose `test` are in none of
    the four sets. Users excluded by `min_images` or `max_seen_users` are in no set.
    """

    seen_users: Int[np.ndarray, " seen"]
    unseen_users: Int[np.ndarray, " unseen"]
    train_images: Int[np.ndarray, " train"]
    test_images: Int[np.ndarray, " test"]


def make_splits(
    user_ids: Sequence[str],
    image_ids: Sequence[str],
    viewed: Bool[np.ndarray, "user image"],
    *,
    min_images: int,
    max_seen_users: int | None,
    max_train_images: int | None,
    purpose: Literal["test", "validation"],
    test_rule: Literal["osie", "osie_published", "hash"],
    hash_seed: int,
    hash_one_in: int,
    folds: int,
    fold: int,
    copies: Sequence[Sequence[str]] = (),
    hashed: Sequence[str] | None = None,
    is_test: Bool[np.ndarray, " image"] | None = None,
) -> Splits:
    """Splits users by fold and images by rule.

    Args:
        user_ids: names of the users, in the order of the release.
        image_ids: names of the images.
        viewed: which user saw which image.
        min_images: users who saw fewer training images, or fewer test images, are excluded.
        max_seen_users: largest number of seen users, None for all. A seeded hash of the user's name
            selects them, independent of the data set; a smaller number selects a subset.
        max_train_images: largest number of training images, None for all; selected likewise.
        purpose: `test`: the split of the reported metrics. `validation`: fold `fold` of the seen
            users of `test` is unseen, and one in `hash_one_in` of its training images is a test
            image, whatever `test_rule` is.
        test_rule: `osie`: an image is a test image if its number is divisible by 8 or if PS also
            has it. `hash`: one in `hash_one_in` images, by a seeded hash of the image's name.
            `osie_published`: the users and images of `osie_published`, see `_published_splits`.
        hash_seed: seed of the hashes (of images: only for rule `hash` and purpose `validation`).
        hash_one_in: inverse share of test images (only for rule `hash` and purpose `validation`).
        folds: number of folds of users.
        fold: the held-out fold: users fold, fold + folds, fold + 2 folds, ... of those who are not
            excluded.
        copies: groups of names of images that are copies of each other. A hash of images takes the
            first name of a group for all of its images, so that all are on one side. The rules
            `osie` and `osie_published` are published and do not change.
        hashed: the name that a hash of images takes for each image; None: by `copies`.
        is_test: which images are test images; None: by `test_rule`.

    Raises:
        ValueError: if the name of an OSIE image is no number, if no user saw enough images, if the
            data is not what a published rule is of, or if one of the four sets is empty.
    """
    limited = functools.partial(
        _limited,
        user_ids=user_ids,
        image_ids=image_ids,
        max_seen_users=max_seen_users,
        max_train_images=max_train_images,
        hash_seed=hash_seed,
    )
    if test_rule == "osie_published":
        published = _published_splits(
            user_ids,
            image_ids,
            viewed,
            min_images=min_images,
            purpose=purpose,
            folds=folds,
            fold=fold,
        )
        return limited(published)
    images = np.arange(len(image_ids))
    if hashed is None:
        hashed = _hashed_names(image_ids, copies)
    if is_test is None:
        is_test = is_test_image(
            image_ids, hashed, test_rule=test_rule, hash_seed=hash_seed, hash_one_in=hash_one_in
        )
    num_images = np.minimum(viewed[:, is_test].sum(axis=1), viewed[:, ~is_test].sum(axis=1))
    users = np.flatnonzero(num_images >= min_images)
    if len(users) == 0:
        rule = f"{test_rule!r} with hash_seed {hash_seed}" if test_rule == "hash" else "'osie'"
        raise ValueError(
            f"no user saw {min_images} training images and {min_images} test images, which "
            f"split.min_images asks for; of {len(is_test)} images, {is_test.sum()} are test images "
            f"by split.test_rule {rule}; {_what_would_help(viewed, hashed, min_images, test_rule)}"
        )
    is_unseen = np.arange(len(users)) % folds == fold
    if purpose == "validation":
        users, images = users[~is_unseen], images[~is_test]
        is_unseen = np.arange(len(users)) % folds == fold
        # The seed differs from that of the test images, with which no image would be selected.
        names = [hashed[image] for image in images]
        is_test = np.array([_hash(name, hash_seed + 1) % hash_one_in == 0 for name in names])
    return limited(
        Splits(users[~is_unseen], users[is_unseen], images[~is_test], images[is_test])
    )


def _what_would_help(
    viewed: Bool[np.ndarray, "user image"], hashed: Sequence[str], min_images: int, test_rule: str
) -> str:
    """Says what is needed where no user saw enough training and test images.

    Images that are hashed by one name are on one side, whatever the seed is.
    """
    is_hashed = test_rule == "hash"
    names = np.unique(hashed, return_inverse=True)[1] if is_hashed else np.arange(len(hashed))
    num_apart = max((len(np.unique(names[seen])) for seen in viewed), default=0)
    most = int(viewed.sum(axis=1).max(initial=0))
    if num_apart < 2:
        return (
            f"no seed can split them: needed are a user's gaze on {2 * min_images} images, no "
            "copies of one"
        )
    if most < 2 * min_images:
        return (
            f"no seed can help, since no user saw more than {most}; allowed: gaze of a user on "
            f"{2 * min_images} images, fewer min_images"
        )
    seed = "another hash_seed, " if is_hashed else ""
    return f"allowed: {seed}more images, fewer min_images"


def _published_splits(
    user_ids: Sequence[str],
    image_ids: Sequence[str],
    viewed: Bool[np.ndarray, "user image"],
    *,
    min_images: int,
    purpose: Literal["test", "validation"],
    folds: int,
    fold: int,
) -> Splits:
    """The split of the few-shot scanpath papers; see `osie_published`.

    With purpose `test`, users 0 to 9 are seen and 10 to 14 unseen; `fold` is not used. The 70
    validation images are in no set. With purpose `validation`, the test images are the 70
    validation images, and users fold, fold + folds, ... of 0 to 9 are unseen; the papers hold out
    no users for validation. The 560 training images are the same for both purposes.

    Raises:
        ValueError: if the users or images are not those of OSIE.
    """
    numbers = osie_published.image_numbers(user_ids, image_ids)
    is_test, is_validation = (
        np.isin(numbers, list(chosen))
        for chosen in (osie_published.TEST_IMAGES, osie_published.VALIDATION_IMAGES)
    )
    train = np.flatnonzero(~is_test & ~is_validation)
    users, first_unseen = np.arange(len(user_ids)), osie_published.NUM_SEEN_USERS
    if purpose == "validation":
        users, test = users[:first_unseen], np.flatnonzero(is_validation)
        is_unseen = users % folds == fold
    else:
        test, is_unseen = np.flatnonzero(is_test), users >= first_unseen
    num_images = np.minimum(viewed[:, test].sum(axis=1), viewed[:, train].sum(axis=1))
    has_enough = num_images[users] >= min_images
    return Splits(users[~is_unseen & has_enough], users[is_unseen & has_enough], train, test)


def _limited(
    splits: Splits,
    *,
    user_ids: Sequence[str],
    image_ids: Sequence[str],
    max_seen_users: int | None,
    max_train_images: int | None,
    hash_seed: int,
) -> Splits:
    """Selects the first seen users and training images by hash, and checks the sets.

    Copies need no rule of their own: all training images are on one side already.
    """
    seen = _first_by_hash(splits.seen_users, user_ids, max_seen_users, hash_seed)
    # The seed differs from those of the test images, with which hashes would not be uniform.
    train = _first_by_hash(splits.train_images, image_ids, max_train_images, hash_seed + 2)
    splits = splits._replace(seen_users=seen, train_images=train)
    check(
        splits,
        users=np.union1d(seen, splits.unseen_users),
        images=np.union1d(train, splits.test_images),
    )
    return splits


def is_test_image(
    image_ids: Sequence[str],
    hashed: Sequence[str],
    *,
    test_rule: str,
    hash_seed: int,
    hash_one_in: int,
) -> Bool[np.ndarray, " image"]:
    """Which images are test images by a rule; see `make_splits`."""
    if test_rule == "osie":
        return np.array([_is_osie_test_image(name) for name in image_ids])
    return np.array([_hash(name, hash_seed) % hash_one_in == 0 for name in hashed])


def share_images(
    viewed: Bool[np.ndarray, "all_users all_images"],
    image_ids: Sequence[str],
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
    *,
    overlap: float | None,
    hash_seed: int,
    copies: Sequence[Sequence[str]] = (),
) -> Bool[np.ndarray, "all_users all_images"]:
    """Selects viewings so that users have only a given share of their images in common.

    Each user keeps as many images as all users could have without an image in common. The number of
    viewings therefore does not depend on the overlap. A seeded hash of their names assigns the
    images to users.

    Args:
        viewed: which user saw which image.
        image_ids: names of all images.
        users: users whose viewings are selected; other users keep all viewings.
        images: images to select from; viewings of other images stay.
        overlap: share of a user's images that all users have in common; no other user has the rest.
            None: all users keep all viewings.
        hash_seed: seed of the hash.
        copies: groups of names of images that are copies of each other. Of a group, only the first
            image is shared out, since users with two copies would have seen one picture.

    Raises:
        ValueError: if there are fewer images than users.

    Source: ours.
    """
    if overlap is None:
        return viewed
    hashed = _hashed_names(image_ids, copies)
    by_name: dict[str, int] = {}
    for image in images:
        by_name.setdefault(hashed[image], image)
    different = list(by_name.values())
    number = len(different) // len(users)
    if number == 0:
        raise ValueError(
            f"overlap is {overlap} with {len(users)} users and {len(different)} images; "
            "allowed: None; a number with at most as many users as images"
        )
    order = sorted(different, key=lambda image: _hash(image_ids[image], hash_seed + 3))
    num_common = round(overlap * number)
    common, rest = order[:num_common], order[num_common:]
    kept = viewed.copy()
    kept[np.ix_(users, images)] = False
    for position, user in enumerate(users):
        own = rest[position * (number - num_common) :][: number - num_common]
        kept[user, [*common, *own]] = viewed[user, [*common, *own]]
    return kept


def _first_by_hash(
    members: Int[np.ndarray, " member"], names: Sequence[str], most: int | None, seed: int
) -> Int[np.ndarray, " kept"]:
    by_hash = sorted(members, key=lambda member: _hash(names[member], seed))
    return np.array(sorted(by_hash[:most]), int)


def check(
    splits: Splits, *, users: Int[np.ndarray, " user"], images: Int[np.ndarray, " image"]
) -> None:
    """Checks that the sets are not empty, are disjoint and cover the given users and images.

    Raises:
        ValueError: with the name of the set.
    """
    for name, members in splits._asdict().items():
        if len(members) == 0:
            raise ValueError(
                f"{name} is empty with {len(users)} users and {len(images)} images; "
                "allowed: at least one seen user, unseen user, train image and test image each"
            )
    for kind, one, other, every in (
        ("users", splits.seen_users, splits.unseen_users, users),
        ("images", splits.train_images, splits.test_images, images),
    ):
        if sorted([*one, *other]) != every.tolist():
            raise ValueError(f"the {kind} of the split overlap or do not cover all {len(every)}")


def _hashed_names(image_ids: Sequence[str], copies: Sequence[Sequence[str]]) -> list[str]:
    """The name that stands for each image in hashes: of a group of copies, the first in order."""
    first = {name: min(members) for members in copies for name in members}
    return [first.get(name, name) for name in image_ids]


def _is_osie_test_image(image_id: str) -> bool:
    stem = PurePath(image_id).stem
    if not stem.isdecimal():
        raise ValueError(f"split.test_rule is 'osie', but image {image_id!r} has no number as name")
    return int(stem) % 8 == 0 or int(stem) in OSIE_IMAGES_IN_PS


def _hash(text: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{text}".encode()).digest()[:8], "big")


def named_splits(splits: Splits, dataset: Dataset) -> dict[str, list[str]]:
    """The splits by names of users and images, which stay valid if indices change."""
    return {
        name: [
            (dataset.user_ids if name.endswith("users") else dataset.image_ids)[index]
            for index in members
        ]
        for name, members in splits._asdict().items()
    }


def users_left_out(splits: Splits, dataset: Dataset) -> list[str]:
    """Names of the users who are neither seen nor unseen: the rules of the split exclude them."""
    members = {*splits.seen_users.tolist(), *splits.unseen_users.tolist()}
    return [name for user, name in enumerate(dataset.user_ids) if user not in members]
