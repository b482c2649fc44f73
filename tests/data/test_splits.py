import numpy as np
import pytest

from gazejax.data.osie_published import TEST_IMAGES, VALIDATION_IMAGES
from gazejax.data.splits import OSIE_IMAGES_IN_PS, Splits, check, make_splits, share_images

USERS = [str(number) for number in range(1, 16)]
OSIE = [f"{number}.jpg" for number in range(1001, 1701)]
EVERYBODY = {"users": np.arange(15), "images": np.arange(700)}
EVERYTHING = np.ones((15, 700), bool)
HASH = {
    "purpose": "test",
    "test_rule": "hash",
    "hash_seed": 0,
    "hash_one_in": 5,
    "min_images": 0,
    "max_seen_users": None,
    "max_train_images": None,
}


def test_osie_split_is_the_published_one():
    splits = make_splits(USERS, OSIE, EVERYTHING, **{**HASH, "test_rule": "osie"}, folds=3, fold=1)
    assert len(OSIE_IMAGES_IN_PS) == 59
    assert (len(splits.train_images), len(splits.test_images)) == (560, 140)
    tested = {OSIE[index] for index in splits.test_images}
    assert {"1008.jpg", "1020.jpg", "1697.jpg"} <= tested
    assert "1001.jpg" not in tested
    assert [USERS[index] for index in splits.unseen_users] == ["2", "5", "8", "11", "14"]


@pytest.mark.parametrize("rule", ["osie", "hash"])
def test_validation_keeps_away_from_everything_that_the_figures_come_from(rule):
    options = {**HASH, "test_rule": rule, "folds": 3, "fold": 1}
    kept = make_splits(USERS, OSIE, EVERYTHING, **options)
    tried = make_splits(USERS, OSIE, EVERYTHING, **{**options, "purpose": "validation"})
    assert sorted([*tried.seen_users, *tried.unseen_users]) == kept.seen_users.tolist()
    assert sorted([*tried.train_images, *tried.test_images]) == kept.train_images.tolist()
    # Of users 1 3 4 6 7 9 10 12 13 15, every third from the second on.
    assert [USERS[index] for index in tried.unseen_users] == ["3", "7", "12"]
    assert 0.15 < len(tried.test_images) / len(kept.train_images) < 0.25


def test_every_user_is_unseen_in_exactly_one_fold():
    unseen = np.concatenate(
        [
            make_splits(USERS, OSIE, EVERYTHING, **HASH, folds=4, fold=fold).unseen_users
            for fold in range(4)
        ]
    )
    assert sorted(unseen) == list(range(15))


def test_hash_split_does_not_depend_on_the_other_images():
    whole = make_splits(USERS, OSIE, EVERYTHING, **HASH, folds=3, fold=0)
    half = make_splits(USERS, OSIE[::2], EVERYTHING[:, ::2], **HASH, folds=3, fold=0)
    tested = {OSIE[index] for index in whole.test_images}
    assert {OSIE[::2][index] for index in half.test_images} == tested & set(OSIE[::2])
    assert 0.15 < len(tested) / 700 < 0.25


def test_two_users_swapped_between_splits_are_noticed():
    good = make_splits(USERS, OSIE, EVERYTHING, **HASH, folds=3, fold=0)
    check(good, **EVERYBODY)
    leaked = good.seen_users.copy()
    leaked[0] = good.unseen_users[0]
    with pytest.raises(ValueError, match="the users of the split overlap"):
        check(good._replace(seen_users=leaked), **EVERYBODY)
    leaked = np.append(good.train_images, good.test_images[0])
    with pytest.raises(ValueError, match="the images of the split overlap"):
        check(good._replace(train_images=leaked), **EVERYBODY)


def test_an_empty_set_is_named():
    empty = np.array([], int)
    some = np.array([0])
    with pytest.raises(ValueError, match="unseen_users is empty with 1 users"):
        check(Splits(some, empty, some, some), users=some, images=some)


def test_too_few_test_images_of_every_user_are_named_with_the_rule():
    two = {**HASH, "hash_one_in": 1000, "min_images": 2}
    with pytest.raises(
        ValueError, match=r"no user saw 2 .* 0 are test .*hash_seed 0; allowed: another"
    ):
        make_splits(USERS, OSIE, EVERYTHING, **two, folds=3, fold=0)


@pytest.mark.parametrize(
    ("num_images", "copies", "message"),
    [
        (1, (), "no seed can split them: needed are a user's gaze on 4 images, no copies of one$"),
        (4, (OSIE[:4],), "no seed can split them: needed"),
        (3, (), "no user saw more than 3; allowed: gaze of a user on 4 images, fewer min_images$"),
    ],
)
def test_no_seed_is_offered_where_none_can_help(num_images, copies, message):
    with pytest.raises(ValueError, match=message):
        make_splits(
            USERS,
            OSIE[:num_images],
            EVERYTHING[:, :num_images],
            **{**HASH, "min_images": 2},
            folds=3,
            fold=0,
            copies=copies,
        )


def test_osie_rule_refuses_other_names():
    with pytest.raises(ValueError, match=r"image 'scene_1.png' has no number"):
        make_splits(
            USERS,
            ["scene_1.png"],
            EVERYTHING[:, :1],
            **{**HASH, "test_rule": "osie"},
            folds=3,
            fold=0,
        )


def test_users_who_saw_too_little_are_excluded_and_move_no_user_into_another_set():
    whole = make_splits(USERS, OSIE, EVERYTHING, **HASH, folds=3, fold=0)
    viewed = EVERYTHING.copy()
    viewed[4, whole.test_images[3:]] = False  # Three test images left.
    viewed[6, whole.train_images[2:]] = False  # Two training images left.
    for least, left_out in ((2, set()), (3, {6}), (4, {4, 6})):
        found = make_splits(USERS, OSIE, viewed, **{**HASH, "min_images": least}, folds=3, fold=0)
        assert {*range(15)} - {*found.seen_users, *found.unseen_users} == left_out
    assert found.unseen_users.tolist() == [0, 3, 8, 11, 14]  # Every third of those who stay.


def test_fewer_seen_users_are_some_of_more_and_unseen_users_stay_the_same():
    options = {**HASH, "folds": 3, "fold": 1}
    whole = make_splits(USERS, OSIE, EVERYTHING, **options)
    before = set(whole.seen_users)
    for number in (7, 3, 2):
        found = make_splits(USERS, OSIE, EVERYTHING, **{**options, "max_seen_users": number})
        assert len(found.seen_users) == number
        assert set(found.seen_users) < before
        assert found.unseen_users.tolist() == whole.unseen_users.tolist()
        before = set(found.seen_users)


def test_fewer_training_images_are_some_of_more_and_test_images_stay_the_same():
    options = {**HASH, "folds": 3, "fold": 1}
    whole = make_splits(USERS, OSIE, EVERYTHING, **options)
    before = set(whole.train_images)
    for number in (280, 50):
        found = make_splits(USERS, OSIE, EVERYTHING, **{**options, "max_train_images": number})
        assert len(found.train_images) == number
        assert set(found.train_images) < before
        assert found.test_images.tolist() == whole.test_images.tolist()
        before = set(found.train_images)


@pytest.mark.parametrize("overlap", [1.0, 0.5, 0.25, 0.0])
def test_users_share_as_many_images_as_asked_and_keep_equally_many(overlap):
    users, images = np.array([1, 4, 6]), np.arange(10, 50)  # 13 images each at most.
    viewed = EVERYTHING.copy()
    viewed[4, 20] = False
    kept = share_images(viewed, OSIE, users, images, overlap=overlap, hash_seed=0)
    num_common = round(13 * overlap)
    seen_by = kept[np.ix_(users, images)].sum(axis=0)
    assert (seen_by == 1).sum() in (3 * (13 - num_common), 3 * (13 - num_common) - 1)
    assert (seen_by >= 2).sum() == num_common
    assert kept[users[[0, 2]]][:, images].sum(axis=1).tolist() == [13, 13]
    assert not kept[4, 20]
    # No viewings of other users, and none of other images.
    kept[np.ix_(users, images)] = viewed[np.ix_(users, images)]
    np.testing.assert_array_equal(kept, viewed)


def test_more_users_than_images_cannot_each_have_their_own():
    with pytest.raises(ValueError, match="with 15 users and 14 images; allowed: None;"):
        share_images(EVERYTHING, OSIE, np.arange(15), np.arange(14), overlap=0.0, hash_seed=0)


@pytest.mark.parametrize("purpose", ["test", "validation"])
def test_copies_are_on_one_side_of_a_split_by_hash(purpose):
    options = {**HASH, "purpose": purpose, "folds": 3, "fold": 0}
    alone = make_splits(USERS, OSIE, EVERYTHING, **options)
    tested = [OSIE[index] for index in alone.test_images]
    trained = [OSIE[index] for index in alone.train_images]
    # Groups with members on both sides, whose first names are on either side.
    copies = [trained[1:9] + tested[2:4], [*tested[:2], *trained[-2:]], [tested[9], trained[40]]]
    split = make_splits(USERS, OSIE, EVERYTHING, **options, copies=copies)
    sides = {OSIE[index]: True for index in split.test_images}
    for group in copies:
        assert [sides.get(name, False) for name in group] == [min(group) in tested] * len(group)
    # No other image moves.
    moved = {*sides} ^ {*tested}
    assert moved
    assert moved < {name for group in copies for name in group}


def test_copies_change_no_published_split():
    options = {**HASH, "test_rule": "osie", "folds": 3, "fold": 1}
    published = make_splits(USERS, OSIE, EVERYTHING, **options)
    copies = [["1008.jpg", "1009.jpg"]]
    found = make_splits(USERS, OSIE, EVERYTHING, **options, copies=copies)
    assert found.test_images.tolist() == published.test_images.tolist()


PUBLISHED = {**HASH, "test_rule": "osie_published", "folds": 3, "fold": 0}


def numbers(indices):
    return {int(OSIE[index][:4]) for index in indices}


def test_the_published_validation_images_are_those_of_the_seeded_shuffle():
    others = [number for number in range(1001, 1701) if number not in TEST_IMAGES]
    np.random.RandomState(0).shuffle(others)
    assert set(others[560:]) == VALIDATION_IMAGES
    assert (len(TEST_IMAGES), len(VALIDATION_IMAGES)) == (70, 70)


def test_the_published_split_sets_users_and_images():
    split = make_splits(USERS, OSIE, EVERYTHING, **PUBLISHED)
    assert split.seen_users.tolist() == list(range(10))
    assert split.unseen_users.tolist() == [10, 11, 12, 13, 14]
    assert numbers(split.test_images) == TEST_IMAGES
    assert len(split.train_images) == 560
    assert not numbers(split.train_images) & (TEST_IMAGES | VALIDATION_IMAGES)
    # The one pair of copies of OSIE.
    assert {1279, 1374} <= numbers(split.train_images)
    found = make_splits(USERS, OSIE, EVERYTHING, **PUBLISHED, copies=[["1009.jpg", "1010.jpg"]])
    assert found.test_images.tolist() == split.test_images.tolist()


def test_published_validation_has_the_papers_images_and_none_of_the_reported_users():
    test = make_splits(USERS, OSIE, EVERYTHING, **PUBLISHED)
    tried = make_splits(USERS, OSIE, EVERYTHING, **{**PUBLISHED, "purpose": "validation"})
    assert tried.unseen_users.tolist() == [0, 3, 6, 9]
    assert tried.seen_users.tolist() == [1, 2, 4, 5, 7, 8]
    assert numbers(tried.test_images) == VALIDATION_IMAGES
    assert tried.train_images.tolist() == test.train_images.tolist()


def test_published_users_keep_their_places_if_one_is_excluded():
    viewed = EVERYTHING.copy()
    viewed[[3, 12], :] = False
    split = make_splits(USERS, OSIE, viewed, **{**PUBLISHED, "min_images": 2})
    assert split.seen_users.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert split.unseen_users.tolist() == [10, 11, 13, 14]


@pytest.mark.parametrize(
    ("users", "images", "message"),
    [
        ([*USERS, "16"], OSIE, "has 16 users, from '1' to '16'; allowed: the 15 of osie/gaze"),
        (USERS[::-1], OSIE, "has 15 users, from '15' to '1'"),
        (USERS, OSIE[:-1], "has 699 images, from '1001.jpg' to '1699.jpg'; allowed: the 700"),
        (USERS, ["a.jpg", *OSIE[1:]], "allowed: the 700 of osie/gaze, '1001.jpg' to '1700.jpg'"),
    ],
)
def test_the_published_split_is_refused_on_other_data(users, images, message):
    with pytest.raises(ValueError, match=message):
        make_splits(users, images, np.ones((len(users), len(images)), bool), **PUBLISHED)


@pytest.mark.parametrize("purpose", ["test", "validation"])
def test_fewer_training_images_bring_no_copy_of_a_test_image_back(purpose):
    options = {**HASH, "purpose": purpose, "folds": 3, "fold": 0}
    copies = [OSIE[start : start + 3] for start in range(0, 700, 3)]
    group = {name: number for number, members in enumerate(copies) for name in members}
    for most in (None, 300, 20):
        split = make_splits(
            USERS, OSIE, EVERYTHING, **{**options, "max_train_images": most}, copies=copies
        )
        trained, tested = (
            {group[OSIE[index]] for index in images}
            for images in (split.train_images, split.test_images)
        )
        assert not trained & tested
        assert most is None or len(split.train_images) == most


def test_users_without_a_common_image_have_no_copies_in_common_either():
    users, images = np.arange(3), np.arange(12)
    # Four different pictures: 0 to 2, 3 to 5, 6 to 8 and 9 to 11; one of them for each user.
    copies = [OSIE[start : start + 3] for start in range(0, 12, 3)]
    kept = share_images(EVERYTHING, OSIE, users, images, overlap=0.0, hash_seed=0, copies=copies)[
        :3, :12
    ]
    assert kept.sum(axis=1).tolist() == [1, 1, 1]
    assert kept.reshape(3, 4, 3).any(axis=2).sum(axis=0).max() == 1
    with pytest.raises(ValueError, match="with 5 users and 4 images"):
        share_images(
            EVERYTHING, OSIE, np.arange(5), images, overlap=0.0, hash_seed=0, copies=copies
        )
