import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gazejax.models.late_fusion_encoder import LateFusionEncoder

BLOCK = {"kernel_size": 3, "stride": 2, "norm_groups": 2, "embedding_size": 5}


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
    pairs = jax.random.normal(jax.random.key(0), (2, 12, 16, 4))
    residual = jax.random.normal(jax.random.key(1), (2, 12, 16))
    before = encoder(pairs, residual)
    for channel in range(4):
        assert np.abs(encoder(pairs.at[..., channel].add(1.0), residual) - before).max() > 1e-4
    changes = np.abs(encoder(pairs, 2 * residual) - before).max() > 1e-4
    assert changes == (pooling == "gaze")
