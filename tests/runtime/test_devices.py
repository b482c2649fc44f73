import jax
import numpy as np

from gazejax.runtime.devices import map_rows


def test_map_rows_does_not_depend_on_batches_or_devices():
    rows = np.arange(11.0, dtype=np.float32)
    for num_devices, batch_size in ((1, 4), (2, 4), (4, 100), (3, 1)):
        batches = map_rows(
            lambda constants, row: row * constants,
            np.float32(2.0),
            (rows,),
            devices=jax.local_devices()[:num_devices],
            batch_size=batch_size,
        )
        np.testing.assert_array_equal(np.concatenate(list(batches)), rows * 2)
