"""Several prepared data sets as one: their users and images side by side, with prefixed names.

No user of a data set looked at an image of another one. Every data set is split as it is alone, but
for images that other data sets have too; see `split_joined`.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int, Shaped

from gazejax.config.derived import dataset_names
from gazejax.data.reader import Source, open_source, read_record
from gazejax.data.splits import Splits, is_test_image, make_splits
from gazejax.types import Dataset, Gaze, LazyRows, Recordings, gaze_on, recordings_of
from tfds_builders.common import near_copies

Rows = Shaped[np.ndarray, "..."] | LazyRows

# The name of the only recording of a user whose sessions are not known.
_ONE_SESSION = "all"


def join_datasets(datasets: Sequence[Dataset], copies: Sequence[Sequence[str]]) -> Dataset:
    """Joins data sets; users and images follow each other in the order of the data sets.

    Where one of them has sessions, a user of a data set without has one recording. Durations are
    known if those of all data sets are.

    Args:
        datasets: two or more, of different names, without features.
        copies: groups of images that are copies of each other, by prefixed names; see
            `find_copies`.

    Example:
        >>> gaze = Gaze(
        ...     xy_frac=np.zeros((3, 2), np.float32),
        ...     duration_ms=np.zeros(3, np.float32),
        ...     viewing_offset=np.array([[0]], np.int32),
        ...     viewing_length=np.array([[3]], np.int32),
        ...     aspect_ratio=np.ones(1, np.float32),
        ... )
        >>> one = Dataset("a", ("u",), ("1.png",), {}, gaze, False, None, None, "digest")
        >>> joined = join_datasets([one, one._replace(name="b")], [])
        >>> joined.image_ids, joined.gaze.viewing_offset.tolist()
        (('a:1.png', 'b:1.png'), [[0, 0], [0, 3]])
        >>> joined.gaze.viewing_length.tolist()
        [[3, 0], [0, 3]]
    """
    num_users = [len(one.user_ids) for one in datasets]
    number = np.arange(len(datasets))
    return Dataset(
        name=",".join(one.name for one in datasets),
        user_ids=tuple(with_prefix(one.name, name) for one in datasets for name in one.user_ids),
        image_ids=tuple(with_prefix(one.name, name) for one in datasets for name in one.image_ids),
        images={
            key: _join_rows([one.images[key] for one in datasets]) for key in datasets[0].images
        },
        gaze=_join_gaze([one.gaze for one in datasets]),
        has_durations=all(one.has_durations for one in datasets),
        features=None,
        projection=None,
        digest={one.name: one.digest for one in datasets},
        gaze_source={"datasets": {one.name: _describe(one) for one in datasets}},
        copies=tuple(map(tuple, copies)),
        recordings=_join_recordings(datasets, np.cumsum(num_users) - num_users),
        dataset_of_user=np.repeat(number, num_users),
        dataset_of_image=np.repeat(number, [len(one.image_ids) for one in datasets]),
    )


def with_prefix(dataset: str, name: str) -> str:
    """The name of a user or an image among joined data sets."""
    return f"{dataset}:{name}"


def without_prefix(name: str, names: Sequence[str]) -> str:
    """The name of a user or an image in its own data set, one of some joined data sets."""
    if len(names) == 1:
        return name
    return next(name.removeprefix(f"{one}:") for one in names if name.startswith(f"{one}:"))


def _describe(dataset: Dataset) -> dict[str, Any]:
    return {
        "has_durations": dataset.has_durations,
        **dataset.gaze_source,
        "has_sessions": dataset.recordings is not None,
    }


def _join_rows(parts: Sequence[Rows]) -> Rows:
    """Arrays as one array, and lazy rows as lazy rows."""
    lazy = [part for part in parts if isinstance(part, LazyRows)]
    if not lazy:
        return np.concatenate([np.asarray(part) for part in parts])
    ends = np.cumsum([len(part) for part in parts])

    def read(index: Int[np.ndarray, " row"]) -> Shaped[np.ndarray, "..."]:
        of_row = np.searchsorted(ends, index, side="right")
        order = np.argsort(of_row, kind="stable")
        found = [
            parts[number][index[of_row == number] - (ends[number] - len(parts[number]))]
            for number in np.unique(of_row)
        ]
        return np.concatenate(found)[np.argsort(order)]

    return LazyRows(read, int(ends[-1]))


def _join_gaze(parts: Sequence[Gaze]) -> Gaze:
    """Fixations one after the other; the length of a viewing across data sets is 0."""
    shapes = np.array([np.shape(part.viewing_length) for part in parts])
    length = np.zeros(shapes.sum(axis=0), np.int32)
    offset = np.zeros_like(length)
    user, image, start = 0, 0, 0
    for part, (num_users, num_images) in zip(parts, shapes.tolist(), strict=True):
        at = np.s_[user : user + num_users, image : image + num_images]
        length[at], offset[at] = part.viewing_length, np.asarray(part.viewing_offset) + start
        user, image, start = user + num_users, image + num_images, start + len(part.xy_frac)
    return Gaze(
        xy_frac=np.concatenate([np.asarray(part.xy_frac) for part in parts]),
        duration_ms=np.concatenate([np.asarray(part.duration_ms) for part in parts]),
        viewing_offset=offset,
        viewing_length=length,
        aspect_ratio=np.concatenate([np.asarray(part.aspect_ratio) for part in parts]),
    )


def _join_recordings(
    datasets: Sequence[Dataset], first_user: Int[np.ndarray, " dataset"]
) -> Recordings | None:
    if all(one.recordings is None for one in datasets):
        return None
    parts = [
        one.recordings
        or Recordings(
            user=np.arange(len(one.user_ids)),
            session_ids=(_ONE_SESSION,) * len(one.user_ids),
            gaze=one.gaze,
        )
        for one in datasets
    ]
    return Recordings(
        user=np.concatenate([part.user + at for part, at in zip(parts, first_user, strict=True)]),
        session_ids=tuple(name for part in parts for name in part.session_ids),
        gaze=_join_gaze([part.gaze for part in parts]),
    )


def find_copies(data_dirs: Mapping[str, str | Path | None]) -> list[list[str]]:
    """Finds images that are copies of each other, within prepared data sets and across them.

    The comparison is that of the builders, see `tfds_builders.common.near_copies`. Every image is
    decoded once, on all cores: some 10 ms each.

    Args:
        data_dirs: of each data set, by its name and configuration, the folder of prepared data
            sets; None is the default of TFDS.

    Returns:
        Groups of prefixed names of images; none of a data set without pictures, `has_pictures`.

    Raises:
        FileNotFoundError: if a data set is not prepared there.
        ValueError: if a record or its image cannot be read.
    """

    def read(one: tuple[str, Source, int]) -> tuple[str, near_copies.Signature]:
        name, source, position = one
        record = read_record(source, position)
        image_id = record["image_id"].decode()
        try:
            signature = near_copies.signature_of(record["image"])
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(
                f"{source.folder}: image {image_id!r} does not decode: {error}; "
                "build the data set again"
            ) from error
        return with_prefix(name, image_id), signature

    sources = [(name, open_source(name, folder)) for name, folder in data_dirs.items()]
    every = [
        (name, one, at)
        for name, one in sources
        for at in range(len(one.records) if has_pictures(one) else 0)
    ]
    if not every:
        return []
    with ThreadPoolExecutor() as pool:
        image_ids, signatures = zip(*pool.map(read, every), strict=True)
    return near_copies.group(image_ids, signatures)


def has_pictures(source: Source) -> bool:
    """Whether a data set has pictures; if not, its images are plain and tell nothing of copies."""
    return bool(source.metadata.get("has_images", True))


def split_joined(
    dataset: Dataset,
    *,
    test_rule: str,
    hash_seed: int,
    hash_one_in: int,
    **options: Any,
) -> Splits:
    """Splits each data set as it is split alone, and keeps copies of an image on one side.

    Names are hashed without their prefix, and all options hold for each data set: `folds`,
    `min_images`, `max_seen_users` and so on. Rule `osie` is that of data sets named `osie/...`; the
    others are split by hash instead.

    Of images that are copies of each other, all take the hash of the first name of the first data
    set that has them. Rule `osie` is published and does not change: copies of an OSIE image in the
    other data sets are on its side, and become test images if it is one. Where copies of one image
    are OSIE images of both sides, those outside the first-named data set of OSIE are on no side.

    Args:
        dataset: joined of several.
        test_rule: see above and `make_splits`.
        hash_seed: seed of the hashes.
        hash_one_in: inverse share of test images by hash.
        options: the other options of `make_splits`.

    Raises:
        ValueError: if `test_rule` is another rule, which is of one data set; or see `make_splits`,
            with the name of the data set.
    """
    if test_rule not in ("osie", "hash"):
        raise ValueError(
            f"split.test_rule is {test_rule!r}; allowed for several data sets: 'osie', 'hash'"
        )
    names = dataset_names(dataset.name)
    of_user, of_image = numbers_of(dataset)
    user_ids, image_ids = (
        [without_prefix(name, names) for name in ids]
        for ids in (dataset.user_ids, dataset.image_ids)
    )
    rules = [rule_of(name, test_rule) for name in names]
    is_osie = np.array([rule == "osie" for rule in rules])
    groups = _groups_of_indices(dataset)
    hashed = list(image_ids)
    for group in groups:
        first = min(image_ids[image] for image in group if of_image[image] == of_image[group[0]])
        for image in group:
            hashed[image] = first
    parts = [np.flatnonzero(of_image == number) for number in range(len(names))]
    is_test = np.concatenate(
        [
            is_test_image(
                [image_ids[image] for image in images],
                [hashed[image] for image in images],
                test_rule=rule,
                hash_seed=hash_seed,
                hash_one_in=hash_one_in,
            )
            for images, rule in zip(parts, rules, strict=True)
        ]
    )
    is_on_a_side = _follow_osie(groups, is_osie[of_image], of_image, is_test)
    viewed = np.asarray(dataset.gaze.viewing_length) > 0
    found = []
    for number, (name, rule) in enumerate(zip(names, rules, strict=True)):
        users = np.flatnonzero(of_user == number)
        images = np.flatnonzero((of_image == number) & is_on_a_side)
        try:
            splits = make_splits(
                [user_ids[user] for user in users],
                [image_ids[image] for image in images],
                viewed[np.ix_(users, images)],
                test_rule=rule,
                hash_seed=hash_seed,
                hash_one_in=hash_one_in,
                hashed=[hashed[image] for image in images],
                is_test=is_test[images],
                **options,
            )
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        of_kind = {"users": users, "images": images}
        found.append([of_kind[part.split("_")[1]][rows] for part, rows in splits._asdict().items()])
    return Splits(*(np.concatenate(rows) for rows in zip(*found, strict=True)))


def rule_of(name: str, test_rule: str) -> Literal["osie", "hash"]:
    """The rule by which one of several data sets is split."""
    return "osie" if test_rule == "osie" and name.startswith("osie/") else "hash"


def _groups_of_indices(dataset: Dataset) -> list[list[int]]:
    """Ascending indices of each group of copies."""
    index = {name: number for number, name in enumerate(dataset.image_ids)}
    return [sorted(index[name] for name in members) for members in dataset.copies]


def _follow_osie(
    groups: Sequence[Sequence[int]],
    is_osie: Bool[np.ndarray, " image"],
    of_image: Int[np.ndarray, " image"],
    is_test: Bool[np.ndarray, " image"],
) -> Bool[np.ndarray, " image"]:
    """Puts copies of OSIE images on their side, in `is_test`; returns which images have a side."""
    has_side = np.ones(len(is_test), bool)
    for group in map(np.array, groups):
        osie = group[is_osie[group]]
        if not len(osie):
            continue
        if is_test[osie].all() or not is_test[osie].any():
            is_test[group] = is_test[osie[0]]
        else:
            has_side[group[of_image[group] != of_image[osie[0]]]] = False
    return has_side


def numbers_of(dataset: Dataset) -> tuple[Int[np.ndarray, " user"], Int[np.ndarray, " image"]]:
    """Number of the data set of each user and each image; 0 where there is one."""
    if dataset.dataset_of_user is None or dataset.dataset_of_image is None:
        return np.zeros(len(dataset.user_ids), int), np.zeros(len(dataset.image_ids), int)
    return dataset.dataset_of_user, dataset.dataset_of_image


def select_splits(dataset: Dataset, splits: Splits, number: int) -> Splits:
    """The part of the splits that one of the joined data sets has; see `select_dataset`."""
    members = {}
    of_user, of_image = numbers_of(dataset)
    for name, rows in splits._asdict().items():
        of_row = of_user if name.endswith("users") else of_image
        members[name] = rows[of_row[rows] == number] - np.argmax(of_row == number)
    return Splits(**members)


def select_dataset(dataset: Dataset, number: int) -> Dataset:
    """One of the joined data sets, with prefixed names; what is not joined is given back as it is.

    Args:
        dataset: one data set, or several that are joined.
        number: of the data set, in the order of `dataset.name`.
    """
    if dataset.dataset_of_user is None:
        return dataset
    name = dataset_names(dataset.name)[number]
    users, images = (np.flatnonzero(of_row == number) for of_row in numbers_of(dataset))
    source: Mapping[str, Any] = dataset.gaze_source["datasets"][name]
    image_ids = tuple(dataset.image_ids[image] for image in images)
    own = {*image_ids}
    of_dataset = (tuple(one for one in members if one in own) for members in dataset.copies)
    recordings = dataset.recordings
    if recordings is not None:
        kept = recordings_of(users, recordings.user)
        recordings = Recordings(
            user=recordings.user[kept] - users[0],
            session_ids=tuple(recordings.session_ids[row] for row in kept),
            gaze=_gaze_of(recordings.gaze, kept, images),
        )
    return dataset._replace(
        name=name,
        user_ids=tuple(dataset.user_ids[user] for user in users),
        image_ids=image_ids,
        images={key: _rows(rows, images) for key, rows in dataset.images.items()},
        gaze=_gaze_of(dataset.gaze, users, images),
        has_durations=source["has_durations"],
        features=None if dataset.features is None else _rows(dataset.features, images),
        digest=dataset.digest[name],
        gaze_source={key: value for key, value in source.items() if key != "has_durations"},
        copies=tuple(members for members in of_dataset if len(members) > 1),
        recordings=recordings if source["has_sessions"] else None,
        dataset_of_user=None,
        dataset_of_image=numbers_of(dataset)[1][images],
    )


def _gaze_of(
    gaze: Gaze, users: Int[np.ndarray, " user"], images: Int[np.ndarray, " image"]
) -> Gaze:
    of_images = gaze_on(gaze, images)
    return of_images._replace(
        viewing_offset=of_images.viewing_offset[users],
        viewing_length=of_images.viewing_length[users],
    )


def _rows(rows: Rows, index: Int[np.ndarray, " row"]) -> Rows:
    if isinstance(rows, LazyRows):
        return LazyRows(lambda chosen: rows[index[chosen]], len(index))
    return rows[index[0] : index[-1] + 1]
