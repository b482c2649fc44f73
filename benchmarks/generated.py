"""Generated data sets in memory, of any number of users and images and any image size.

Images are uniform noise and fixations have uniform positions. The speed of a computation does not
depend on either.
"""

import numpy as np
from ml_collections import ConfigDict

from gazejax.config.derived import input_sizes
from gazejax.types import Dataset, Gaze

FIXATIONS_PER_VIEWING = 10  # A typical number; about that of OSIE.


def make_dataset(config: ConfigDict, *, num_users: int, num_images: int, seed: int) -> Dataset:
    """Generates a data set at the input sizes of a config; every user saw every image."""
    generator = np.random.default_rng(seed)
    viewings = num_users * num_images
    fixations = viewings * FIXATIONS_PER_VIEWING
    offset = np.arange(viewings, dtype=np.int32) * FIXATIONS_PER_VIEWING
    return Dataset(
        name="generated",
        user_ids=tuple(f"user_{user}" for user in range(num_users)),
        image_ids=tuple(f"image_{image}" for image in range(num_images)),
        images={
            name: generator.integers(0, 256, (num_images, *size, 3), np.uint8)
            for name, size in input_sizes(config).items()
        },
        gaze=Gaze(
            xy_frac=generator.random((fixations, 2), np.float32),
            duration_ms=generator.uniform(80, 600, fixations).astype(np.float32),
            viewing_offset=offset.reshape(num_users, num_images),
            viewing_length=np.full((num_users, num_images), FIXATIONS_PER_VIEWING, np.int32),
            aspect_ratio=np.full(num_images, 4 / 3, np.float32),
        ),
        has_durations=True,
        features=None,
        projection=None,
        digest=None,
    )
