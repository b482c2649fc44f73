from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gazejax import losses

KEY = jax.random.key(0)
# Two users with two pairs each, on a line: user 0 at 0 and 3, user 1 at 4 and 10.
LINE = jnp.array([[[0.0], [3.0]], [[4.0], [10.0]]])
# Distances between pairs: own 0-3: 3, 4-10: 6; between users 0-4: 4, 0-10: 10, 3-4: 1, 3-10: 7.


@partial(jax.jit, static_argnames=("mining", "margin", "distance"))
def mined(mining: str, *, margin: float, distance: str = "euclidean", embeddings=LINE):
    return losses.mined_triplet_loss(
        embeddings, KEY, margin=margin, distance=distance, mining=mining
    )


def test_triplet_margin_loss_by_hand():
    # d(a, p) = 3, d(a, n) = 4: 3 - 4 + 2 = 1; positive and negative swapped it would be 3.
    # Without the margin it would be 0 (the loss does not pay for what is right already).
    positive, negative = jnp.array([3.0, 3.0]), jnp.array([4.0, 10.0])
    loss = losses.triplet_margin_loss(positive, negative, margin=2.0)
    np.testing.assert_allclose(loss, [1.0, 0.0])


def test_batch_hard_by_hand():
    # Anchor 0: positive 3, nearest negative 4: 3 - 4 + 2 = 1. Anchor 3: 3 - 1 + 2 = 4.
    # Anchor 4: 6 - 1 + 2 = 7. Anchor 10: 6 - 7 + 2 = 1. Mean (1 + 4 + 7 + 1) / 4 = 3.25.
    loss, active = mined("batch_hard", margin=2.0)
    assert loss == pytest.approx(3.25)
    assert active == 1.0


def test_batch_all_by_hand():
    # Each anchor has one positive and two negatives; losses with margin 2:
    # 0: 3 - 4 + 2 = 1, 3 - 10 + 2 < 0 | 3: 3 - 1 + 2 = 4, 3 - 7 + 2 < 0
    # 4: 6 - 4 + 2 = 4, 6 - 1 + 2 = 7  | 10: 6 - 10 + 2 < 0, 6 - 7 + 2 = 1
    # Five active of eight: (1 + 4 + 4 + 7 + 1) / 5 = 3.4.
    loss, active = mined("batch_all", margin=2.0)
    assert loss == pytest.approx(3.4)
    assert active == pytest.approx(5 / 8)


def test_semi_hard_by_hand():
    # Nearest negative beyond the positive, else the farthest negative:
    # 0: beyond 3 comes 4: 3 - 4 + 2 = 1   | 3: beyond 3 comes 7: 3 - 7 + 2 < 0
    # 4: none beyond 6, farthest 4: 6 - 4 + 2 = 4 | 10: beyond 6 comes 7: 6 - 7 + 2 = 1
    loss, active = mined("semi_hard", margin=2.0)
    assert loss == pytest.approx((1 + 0 + 4 + 1) / 4)
    assert active == pytest.approx(3 / 4)


def test_random_mining_takes_a_triplet_of_each_anchor():
    # Every anchor has one positive; its two negatives give the two possible losses from above.
    possible = {(a + b + c + d) / 4 for a in (1, 0) for b in (4, 0) for c in (4, 7) for d in (0, 1)}
    drawn = {
        float(
            losses.mined_triplet_loss(
                LINE, jax.random.key(seed), margin=2.0, distance="euclidean", mining="random"
            )[0]
        )
        for seed in range(40)
    }
    assert drawn <= possible
    assert len(drawn) > 4


def test_squared_distance_by_hand():
    # Anchors 0, 3, 4, 10: positives 9, 9, 36, 36; nearest negatives 16, 1, 1, 49; margin 2.
    loss, _ = mined("batch_hard", margin=2.0, distance="squared_euclidean")
    assert loss == pytest.approx((0 + 10 + 37 + 0) / 4)


@pytest.mark.parametrize("mining", ["random", "batch_all", "semi_hard", "batch_hard"])
def test_separated_users_cost_nothing_and_the_margin_counts(mining):
    far = jnp.array([[[0.0], [1.0]], [[100.0], [101.0]]])
    assert mined(mining, margin=5.0, embeddings=far)[0] == 0.0
    assert mined(mining, margin=200.0, embeddings=far)[0] > 90.0
    mixed = jnp.array([[[0.0], [100.0]], [[1.0], [101.0]]])
    assert mined(mining, margin=5.0, embeddings=mixed)[0] > 4.0


@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean"])
@pytest.mark.parametrize("mining", ["random", "batch_all", "semi_hard", "batch_hard"])
def test_gradient_is_finite_where_embeddings_are_equal_or_zero(mining, distance):
    def loss(embeddings):
        unit = losses.l2_normalize(embeddings)
        return losses.mined_triplet_loss(unit, KEY, margin=0.2, distance=distance, mining=mining)[0]

    for embeddings in (np.zeros((2, 2, 3), np.float32), np.ones((2, 2, 3), np.float32)):
        assert np.isfinite(jax.jit(jax.grad(loss))(embeddings)).all()


def test_means_over_sets_by_hand():
    embeddings = jnp.arange(8.0).reshape(1, 4, 2)
    # Pairs (0, 1), (2, 3), (4, 5), (6, 7): means of the first two and of the last two.
    np.testing.assert_array_equal(losses.mean_over_sets(embeddings, size=2), [[[1, 2], [5, 6]]])
    np.testing.assert_array_equal(losses.mean_over_sets(embeddings, size=1), embeddings)


def test_unknown_choices_are_named():
    with pytest.raises(ValueError, match=r"mining is 'hardest'; allowed: 'random'"):
        mined("hardest", margin=1.0)
    with pytest.raises(ValueError, match=r"distance is 'cosine'; allowed: 'euclidean'"):
        mined("batch_all", margin=1.0, distance="cosine")


def test_prototype_loss_by_hand():
    # Prototypes 1 and 5, queries 2 and 3: squared distances (1, 9) and (4, 4).
    embeddings = jnp.array([[0.0, 2, 2, 2], [5, 5, 3, 3]])[..., None]
    found = losses.prototype_loss(embeddings, distance="squared_euclidean")
    np.testing.assert_allclose(found, (np.log1p(np.exp(-8.0)) + np.log(2)) / 2, rtol=1e-6)


def test_one_minus_correlation_is_that_of_numpy_and_finite_for_a_flat_map():
    maps = jax.random.uniform(jax.random.key(0), (2, 3, 4, 5))
    found = losses.one_minus_correlation(prediction=maps[0], target=maps[1])
    expected = [1 - np.corrcoef(*pair)[0, 1] for pair in maps.reshape(2, 3, 20).swapaxes(0, 1)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    flat = jnp.ones((4, 5))
    gradient = jax.grad(
        lambda one: losses.one_minus_correlation(prediction=one, target=maps[0, 0])
    )(flat)
    assert np.isfinite(gradient).all()


def test_mean_squared_error_by_hand():
    prediction = jnp.array([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    target = jnp.array([[[1.0, 0.0], [0.0, 4.0]], [[2.0, 0.0], [0.0, 0.0]]])
    # First map: (0 + 4 + 9 + 0) / 4; second: 4 / 4.
    error = losses.mean_squared_error(prediction=prediction, target=target)
    np.testing.assert_allclose(error, [3.25, 1.0])
