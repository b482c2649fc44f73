from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gazejax.models.map_encoder import POOLINGS, EarlyFusionEncoder, stack_inputs
from tests.models.test_late_fusion_encoder import BLOCK, embed, two_trunks


def test_inputs_are_stacked_in_the_order_asked_for():
    images = jnp.full((1, 2, 2, 3), 255, jnp.uint8)
    personal, universal = jnp.full((1, 2, 2), 5.0), jnp.full((1, 2, 2), 2.0)
    stacked = stack_inputs(
        images, personal, universal, ("residual", "image", "universal", "personal")
    )
    np.testing.assert_allclose(stacked[0, 0, 0], [3.0, 1.0, 1.0, 1.0, 2.0, 5.0])


@partial(nnx.jit, static_argnames="pooling")
def early(pooling):
    return EarlyFusionEncoder(
        inputs=("image", "personal"),
        filters=(4, 8),
        pooling=pooling,
        dtype=jnp.dtype("float32"),
        rngs=nnx.Rngs(0),
        **BLOCK,
    )


@pytest.mark.parametrize(
    ("make", "pooling"),
    [*((early, name) for name in POOLINGS), (two_trunks, "mean"), (two_trunks, "gaze")],
)
def test_encoder_embeds_each_pair_on_its_own(make, pooling):
    encoder = make(pooling)
    generator = np.random.default_rng(0)
    pairs = generator.standard_normal((3, 11, 16, 4), np.float32)
    residual = generator.standard_normal((3, 11, 16), np.float32)
    together = embed(encoder, pairs, residual)
    assert together.shape == (3, 5)
    for pair in range(3):
        alone = embed(encoder, pairs[pair : pair + 1], residual[pair : pair + 1])
        np.testing.assert_allclose(alone[0], together[pair], atol=1e-4)
