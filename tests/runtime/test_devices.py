import jax
import jax.numpy as jnp
import numpy as np

from gazejax.runtime.devices import in_32_bits, map_rows, without_x64
from gazejax.types import LazyRows


def test_map_rows_does_not_depend_on_batches_or_devices():
    rows = np.arange(11.0, dtype=np.float32)
    read = LazyRows(rows.__getitem__, len(rows))
    for num_devices, batch_size, given in (
        (1, 4, rows),
        (2, 4, read),
        (4, 100, rows),
        (3, 1, read),
    ):
        batches = map_rows(
            lambda constants, row: row * constants,
            np.float32(2.0),
            (given,),
            devices=jax.local_devices()[:num_devices],
            batch_size=batch_size,
        )
        np.testing.assert_array_equal(np.concatenate(list(batches)), rows * 2)


def test_products_have_32_bits_unless_the_user_chose_a_precision():
    def product():
        return jax.jit(jnp.matmul).lower(jnp.ones((2, 2)), jnp.ones((2, 2))).as_text()

    assert "HIGHEST" in in_32_bits(product)()
    assert "HIGHEST" not in without_x64(product)()  # Training: as JAX does by default.
    with jax.default_matmul_precision("default"):
        assert "HIGHEST" not in in_32_bits(product)()
    assert jax.config.values["jax_default_matmul_precision"] is None
