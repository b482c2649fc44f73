"""Several data sets as one: places of viewings, splits, and which users and images are sampled."""

import jax
import numpy as np
import pytest

from gazejax.config import ConfigError, validate
from gazejax.data.joining import (
    _join_rows,
    join_datasets,
    rule_of,
    select_dataset,
    select_splits,
    split_joined,
)
from gazejax.data.splits import make_splits
from gazejax.inputs import sampling
from gazejax.types import Dataset, LazyRows, Recordings
from tests.made_gaze import gaze_of
from tests.tiny import read_config

SPLIT = {
    "hash_seed": 0,
    "hash_one_in": 5,
    "folds": 3,
    "fold": 1,
    "min_images": 2,
    "max_seen_users": None,
    "max_train_images": None,
}


def dataset_of(name, image_ids, lengths, recordings=None):
    users = tuple(f"u{number}" for number in range(len(lengths)))
    images = {"encoder": np.arange(len(image_ids), dtype=np.uint8)[:, None, None, None]}
    gaze = gaze_of(lengths)
    source = {"tracking": "eye", "has_sessions": recordings is not None}
    return Dataset(
        name,
        users,
        tuple(image_ids),
        images,
        gaze,
        name != "b",
        None,
        None,
        name,
        source,
        (),
        recordings,
    )


def test_users_and_images_stand_side_by_side():
    sessions = Recordings(np.array([0, 0]), ("am", "pm"), gaze_of([[1], [3]]))
    first = dataset_of("a", ["0.png", "1.png"], [[1, 2], [0, 3]])
    second = dataset_of("b", ["0.png"], [[4]], sessions)
    joined = join_datasets([first, second], [["a:1.png", "b:0.png"]])
    assert (joined.name, joined.has_durations, joined.digest) == (
        "a,b",
        False,
        {"a": "a", "b": "b"},
    )
    assert joined.user_ids == ("a:u0", "a:u1", "b:u0")
    assert joined.image_ids == ("a:0.png", "a:1.png", "b:0.png")
    assert joined.gaze.viewing_length.tolist() == [[1, 2, 0], [0, 3, 0], [0, 0, 4]]
    # The six fixations of the first data set come before those of the second.
    assert joined.gaze.viewing_offset[2, 2] == 6
    np.testing.assert_array_equal(joined.gaze.xy_frac[6:], second.gaze.xy_frac)
    # A user without known sessions has one recording.
    assert joined.recordings.user.tolist() == [0, 1, 2, 2]
    assert joined.recordings.session_ids == ("all", "all", "am", "pm")
    assert joined.recordings.gaze.viewing_length[:, 2].tolist() == [0, 0, 1, 3]
    assert joined.dataset_of_user.tolist() == joined.dataset_of_image.tolist() == [0, 0, 1]

    parts = [select_dataset(joined, number) for number in (0, 1)]
    for part, whole in zip(parts, (first, second), strict=True):
        assert (part.name, part.digest) == (whole.name, whole.digest)
        assert part.has_durations == whole.has_durations
        assert part.gaze_source == whole.gaze_source
        np.testing.assert_array_equal(part.gaze.viewing_length, whole.gaze.viewing_length)
        np.testing.assert_array_equal(part.images["encoder"], whole.images["encoder"])
    assert parts[0].recordings is None
    assert parts[1].recordings.user.tolist() == [0, 0]
    assert parts[1].image_ids == ("b:0.png",)
    assert parts[1].dataset_of_image.tolist() == [1]
    # Copies within a data set stay known, also where another one has one too.
    copied = joined._replace(copies=(("a:0.png", "a:1.png", "b:0.png"),))
    assert select_dataset(copied, 0).copies == (("a:0.png", "a:1.png"),)
    assert select_dataset(copied, 1).copies == ()


def test_lazy_rows_are_joined_without_being_read():
    rows = np.arange(14).reshape(7, 2)
    joined = _join_rows([LazyRows(rows[:3].__getitem__, 3), LazyRows(rows[3:].__getitem__, 4)])
    assert len(joined) == 7
    for index in (5, slice(1, 6, 2), np.array([6, 0, 4, 2, 0]), np.array([[1, 5], [3, 3]])):
        np.testing.assert_array_equal(joined[index], rows[index])


OSIE = [f"{number}.jpg" for number in range(1001, 1101)]
MINE = [f"{number}.png" for number in range(60)]
OTHER = [f"photo {number}.png" for number in range(60)]
IMAGES = {"osie/gaze": OSIE, "mine": MINE, "other": OTHER}
USERS = {"osie/gaze": 9, "mine": 7, "other": 6}


def split_by_name(names, copies=(), purpose="test"):
    """Names of users and images of a split of several data sets, or of one."""
    datasets = [
        dataset_of(name, IMAGES[name], np.ones((USERS[name], len(IMAGES[name])))) for name in names
    ]
    options = SPLIT | {"test_rule": "osie", "purpose": purpose}
    if len(names) == 1:
        [one] = datasets
        rule = {"test_rule": "osie" if names[0] == "osie/gaze" else "hash"}
        viewed = one.gaze.viewing_length > 0
        splits = make_splits(one.user_ids, one.image_ids, viewed, **options | rule)
        ids = [[f"{names[0]}:{name}" for name in part] for part in (one.user_ids, one.image_ids)]
    else:
        joined = join_datasets(datasets, copies)
        splits = split_joined(joined, **options)
        ids = [joined.user_ids, joined.image_ids]
    return {
        name: {ids[not name.endswith("users")][index] for index in members}
        for name, members in splits._asdict().items()
    }


@pytest.mark.parametrize("purpose", ["test", "validation"])
def test_each_data_set_is_split_as_it_is_alone(purpose):
    names = ("mine", "osie/gaze", "other")
    found = split_by_name(names, purpose=purpose)
    alone = [split_by_name([name], purpose=purpose) for name in names]
    for part, members in found.items():
        assert members == set.union(*(one[part] for one in alone))


@pytest.mark.parametrize("names", [("osie/gaze", "mine", "other"), ("other", "mine", "osie/gaze")])
def test_copies_of_osie_images_follow_them_and_others_are_on_one_side(names):
    alone = {name: split_by_name([name]) for name in names}
    train, test = (
        {name: sorted(alone[name][f"{side}_images"]) for name in names}
        for side in ("train", "test")
    )
    copies = [
        ["osie/gaze:1008.jpg", train["mine"][0], train["other"][0]],  # 1008 is divisible by 8.
        ["osie/gaze:1001.jpg", test["mine"][0]],
        ["osie/gaze:1016.jpg", "osie/gaze:1002.jpg", train["mine"][1], test["other"][0]],
        [train["mine"][2], test["other"][1]],
        [test["mine"][1], train["other"][1]],
    ]
    found = split_by_name(names, copies)
    for part in found:  # The rule of OSIE is published: nothing of it moves.
        of_osie = {name for name in found[part] if name.startswith("osie/gaze:")}
        assert of_osie == alone["osie/gaze"][part]
    assert {*copies[0]} <= found["test_images"]
    assert {*copies[1]} <= found["train_images"]
    # Copies of OSIE images of both sides can be on neither.
    assert not {*copies[2][2:]} & (found["train_images"] | found["test_images"])
    for group in copies[3:]:
        sides = [side for side in ("train_images", "test_images") if {*group} & found[side]]
        assert len(sides) == 1
        # That of the data set that is named first.
        first = min(group, key=lambda name: names.index(name.partition(":")[0]))
        assert first in alone[first.partition(":")[0]][sides[0]]
    # Among training images, a split for validation keeps them on one side too.
    tried = split_by_name(names, copies, purpose="validation")
    for group in copies:
        for side, other in (("train_images", "test_images"), ("test_images", "train_images")):
            if group != copies[2]:
                assert not ({*group} & tried[side] and {*group} & tried[other])


def test_only_data_sets_of_osie_are_split_by_its_rule():
    rules = [rule_of(name, rule) for rule in ("osie", "hash") for name in ("osie/gaze", "osie_2")]
    assert rules == ["osie", "hash", "hash", "hash"]


def test_a_data_set_that_cannot_be_split_is_named():
    one = dataset_of("a", MINE, np.ones((6, 60)))
    joined = join_datasets([one, dataset_of("b", MINE[:3], np.ones((6, 3)))], [])
    with pytest.raises(ValueError, match=r"^b: no user saw 2 training images"):
        split_joined(joined, **SPLIT, test_rule="hash", purpose="test")
    with pytest.raises(ValueError, match=r"split.test_rule is 'mine'; allowed for several"):
        split_joined(joined, **SPLIT, test_rule="mine", purpose="test")


def test_splits_of_one_data_set_have_its_indices():
    joined = join_datasets([dataset_of(name, MINE, np.ones((6, 60))) for name in "ac"], [])
    splits = split_joined(joined, **SPLIT, test_rule="hash", purpose="test")
    first, second = (select_splits(joined, splits, number) for number in (0, 1))
    for one, other, both in zip(first, second, splits, strict=True):
        # Both have the same names, and are split alike.
        assert one.tolist() == other.tolist() == both[: len(one)].tolist()


def test_users_of_a_batch_are_of_one_data_set_in_proportion_to_its_users():
    viewed = np.zeros((9, 10), bool)
    viewed[:6, :6] = viewed[6:, 6:] = True
    of_user = np.repeat([0, 1], [6, 3])

    def sample(key, dataset):
        return sampling.sample_users_then_images(
            key, viewed, num_users=3, images_per_user=4, same_images=True, dataset=dataset
        )

    keys = jax.random.split(jax.random.key(0), 400)
    users, images = jax.jit(jax.vmap(lambda key: sample(key, of_user)))(keys)
    assert viewed[np.asarray(users)[..., None], np.asarray(images)].all()
    of_batch = of_user[np.asarray(users)]
    assert (of_batch == of_batch[:, :1]).all()
    # Two thirds of the users are of the first: 400 draws are right to 0.024, one deviation.
    assert abs((of_batch[:, 0] == 0).mean() - 2 / 3) < 0.1
    assert all(len(set(row)) == 3 for row in users.tolist())
    assert {user for row in users.tolist() for user in row} == set(range(9))
    mixed, images = jax.jit(jax.vmap(lambda key: sample(key, None)))(keys)
    assert viewed[np.asarray(mixed)[..., None], np.asarray(images)].all()
    assert (np.ptp(of_user[np.asarray(mixed)], axis=1) == 1).any()


@pytest.mark.parametrize("name", ["", "a,,b", "a, b", "a,b,a", "a,b:c", ","])
def test_names_that_are_not_clear_are_refused(name):
    config = read_config("synthetic_gaze")
    config.data.name = name
    with pytest.raises(ConfigError, match=r"^config.data.name is .*; allowed: the name of a data"):
        validate(config)
