"""Reads embeddings for the command line."""

from pathlib import Path

import numpy as np


def read_embedding(path: Path) -> np.ndarray:
    """Reads the embedding that `gazejax embed` wrote: float32 [embedding].

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no such embedding.
    """
    if not path.is_file():
        raise FileNotFoundError(f"embedding {path} does not exist; make it with: gazejax embed")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return stored["embedding"]
    except Exception as error:
        raise ValueError(f"{path} is not an embedding written by gazejax embed") from error
