"""From a prepared TFDS data set to arrays."""
