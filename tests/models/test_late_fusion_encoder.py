from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gazejax.models.late_fusion_encoder import LateFusionEncoder

BLOCK = {"kernel_size": 3, "stride": 2, "norm_groups": 2, "embedding_size": 5}


@nnx.jit
def embed(encoder, pairs, residual):
    return encoder(pairs, residual)


@partial(nnx.jit, static_argnames="pooling")
def two_trunks(pooling):
    return LateFusionEncoder(
        inputs=("personal",),
        filters=(4, 8),
        map_filters=(2, 6),
        pooling=pooling,
        dtype=jnp.dtype("float32"),
        rngs=nnx.Rngs(0),
        **BLOCK,
    )


@pytest.mark.parametrize("pooling", ["mean", "gaze"])
def test_two_trunks_see_image_and_map_and_gaze_pooling_the_residual(pooling):
    encoder = two_trunks(pooling)
    generator = np.random.default_rng(0)
    pairs = generator.standard_normal((2, 12, 16, 4), np.float32)
    residual = generator.standard_normal((2, 12, 16), np.float32)
    before = embed(encoder, pairs, residual)
    for channel in range(4):
        added = np.eye(4, dtype=np.float32)[channel]
        assert np.abs(embed(encoder, pairs + added, residual) - before).max() > 1e-4
    changes = np.abs(embed(encoder, pairs, 2 * residual) - before).max() > 1e-4
    assert changes == (pooling == "gaze")
