import jax
import jax.numpy as jnp
import numpy as np

from gazejax.inputs import sampling

KEYS = jax.random.split(jax.random.key(0), 20)
# User 3 saw only the last four of ten images.
VIEWED = np.ones((5, 10), bool)
VIEWED[3, :6] = False


def test_pairs_are_drawn_without_replacement_from_what_each_user_saw():
    for key in KEYS:
        users, images = sampling.sample_users_then_images(
            key, VIEWED, num_users=4, images_per_user=3, same_images=False
        )
        assert len(set(users.tolist())) == 4
        for user, drawn in zip(users.tolist(), images.tolist(), strict=True):
            assert len(set(drawn)) == 3
            assert VIEWED[user, drawn].all()


def test_shared_images_are_the_same_for_all_who_saw_them():
    everything = np.ones((5, 10), bool)
    draws = set()
    for key in KEYS:
        _, images = sampling.sample_users_then_images(
            key, everything, num_users=5, images_per_user=3, same_images=True
        )
        assert (images == images[0]).all()
        draws.add(tuple(sorted(images[0].tolist())))
    assert len(draws) > 15


def test_viewings_are_drawn_from_the_users_who_saw_the_image():
    for key in KEYS:
        images, users = sampling.sample_images_then_users(
            key, VIEWED, num_images=10, users_per_image=4
        )
        assert len(set(images.tolist())) == 10
        for image, drawn in zip(images.tolist(), users.tolist(), strict=True):
            assert len(set(drawn)) == 4
            assert VIEWED[drawn, image].all()


def test_enrolment_never_holds_the_target_and_weighs_each_image_alike():
    target = jnp.arange(5)
    allowed = jnp.ones((5, 10), bool) & (jnp.arange(10) != target[:, None])
    sizes = set()
    for key in KEYS:
        images, weight = sampling.sample_enrolment(key, allowed, min_images=2, max_images=4)
        for row in range(5):
            drawn = images[row][weight[row] > 0].tolist()
            assert int(target[row]) not in drawn
            assert len(set(drawn)) == len(drawn)
            np.testing.assert_allclose(weight[row][weight[row] > 0], 1 / len(drawn), rtol=1e-6)
            sizes.add(len(drawn))
    assert sizes == {2, 3, 4}


def test_enrolment_takes_all_of_a_user_with_little_gaze():
    allowed = jnp.array([[True, False, True, False, False]])
    images, weight = sampling.sample_enrolment(KEYS[0], allowed, min_images=3, max_images=4)
    assert set(images[0][weight[0] > 0].tolist()) == {0, 2}


def test_sets_of_pairs_are_of_one_session_each_and_of_different_ones():
    # User 0 has three sessions, of 4, 4 and 1 images; user 1 has one.
    viewed = np.zeros((2, 3, 10), bool)
    viewed[0, 0, :4] = viewed[0, 1, 4:8] = viewed[0, 2, 9] = viewed[1, 0] = True
    pool = sampling.RecordingPool(np.array([[5, 6, 7], [8, -1, -1]]), viewed)
    users = jnp.array([1, 0])
    for key in KEYS:
        recordings, images = sampling.sample_sessions_then_images(
            key, pool, users, num_sets=4, images_per_set=2, same_images=False
        )
        assert recordings[0].tolist() == [8, 8, 8, 8]
        # The session of one image has too few; the other two take turns.
        assert set(recordings[1, :2].tolist()) == {5, 6}
        assert recordings[1, 2:].tolist() == recordings[1, :2].tolist()
        for row, of_sets in zip(recordings.tolist(), images.reshape(2, 4, 2).tolist(), strict=True):
            for recording, of_set in zip(row, of_sets, strict=True):
                user, session = np.argwhere(pool.recording == recording)[0]
                assert len(set(of_set)) == 2
                assert viewed[user, session, of_set].all()
            for recording in set(row):  # Each has enough images for its sets.
                own = [one for one, where in zip(of_sets, row, strict=True) if where == recording]
                assert len({image for one in own for image in one}) == 2 * len(own)
