import numpy as np
import pytest

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
    with pytest.raises(ValueError, match=r"no user saw 2 .* 0 are test images by .*hash_seed 0"):
        make_splits(USERS, OSIE, EVERYTHING, **two, folds=3, fold=0)


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


def test_fewer_seen_users_are_some_of_more_and_strangers_stay_the_same():
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
