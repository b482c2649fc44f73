"""The files of `gazejax embed`: an embedding, and which encoder made it."""

from pathlib import Path

import numpy as np

from gazejax.runtime.files import write_arrays


def write_embedding(
    path: Path, embedding: np.ndarray, *, user: str, num_images: int, encoder_digest: str
) -> None:
    """Writes an embedding, whole or not at all.

    Args:
        path: the `.npz`.
        embedding: float32 [embedding].
        user: name of the user.
        num_images: number of images behind it.
        encoder_digest: see `gazejax.Model`.
    """
    arrays = {"embedding": embedding, "user": user, "num_images": num_images}
    write_arrays(path, arrays | {"encoder_digest": encoder_digest})


def read_embedding(path: Path) -> tuple[np.ndarray, str]:
    """Reads what `write_embedding` wrote.

    Returns:
        The embedding, float32 [embedding], and the digest of its encoder.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no such embedding, or does not name its encoder, or is a folder.
    """
    if path.is_dir():
        raise ValueError(f"embedding {path} is a folder; allowed: a file that gazejax embed wrote")
    if not path.is_file():
        raise FileNotFoundError(f"embedding {path} does not exist; make it with: gazejax embed")
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = dict(stored)
            embedding = found["embedding"]
    except Exception as error:
        raise ValueError(f"{path} is not an embedding written by gazejax embed") from error
    if "encoder_digest" not in found:
        raise ValueError(
            f"{path} does not name its encoder: an older version of gazejax, or another program, "
            "wrote it; make it anew with: gazejax embed"
        )
    return embedding, str(found["encoder_digest"])


def is_embedding(path: Path) -> bool:
    """Whether `write_embedding` wrote a file, of this version or an older one."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {"embedding", "user", "num_images"} <= {*stored.files}
    except Exception:  # The readers of the two formats raise errors of many classes.
        return False


def check_encoder(path: Path, encoder_digest: str, workdir: Path, of_workdir: str) -> None:
    """Refuses an embedding of another encoder: its numbers would mean nothing.

    Args:
        path: the file of the embedding.
        encoder_digest: that of the file.
        workdir: the run that is to use it.
        of_workdir: digest of the run's encoder.

    Raises:
        ValueError: if the digests differ.
    """
    if encoder_digest != of_workdir:
        raise ValueError(
            f"{path} is an embedding by the encoder {encoder_digest[:12]}, and the one of "
            f"{workdir} is {of_workdir[:12]}; make it anew with: gazejax embed {workdir}"
        )
