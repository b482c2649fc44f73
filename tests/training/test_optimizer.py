import jax
import jax.numpy as jnp
import numpy as np

from gazejax.training.optimizer import make_optimizer


def test_parts_have_a_weight_decay_of_their_own():
    params = {"layer": {"kernel": jnp.ones(2)}, "kept": jnp.ones(2), "memory": jnp.ones(2)}
    optimizer = make_optimizer(
        num_steps=10,
        learning_rate=0.1,
        warmup_steps=0,
        weight_decay=0.5,
        clip_norm=1.0,
        decay_of_part={"kept": 0.0, "memory": 2.0},
    )
    nothing = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimizer.update(nothing, optimizer.init(params), params)
    np.testing.assert_allclose(updates["layer"]["kernel"], -0.1 * 0.5, rtol=1e-6)
    np.testing.assert_allclose(updates["kept"], 0.0)
    np.testing.assert_allclose(updates["memory"], -0.1 * 2.0, rtol=1e-6)
