"""A user embedding, and what must be known of it to use it: its encoder, images and sessions."""

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy
from jaxtyping import Float

from gazejax._array_checks import checked_count, checked_path, checked_sessions
from gazejax.runtime.files import write_bytes

SUFFIXES = (".npz", ".safetensors")


@dataclass(frozen=True, eq=False)
class Embedding(np.lib.mixins.NDArrayOperatorsMixin):
    """The embedding of a user, as `Model.embed` returns it.

    Where numbers are expected, an embedding is its vector: `np.asarray`, arithmetic, `shape`,
    `ndim`, `dtype`, `len` and indexing are those of the vector, and results are plain arrays. JAX
    takes `jnp.asarray(embedding)`.

    Attributes:
        vector: float32 [embedding], read-only.
        encoder_digest: SHA-256 of the encoder that made the embedding; see `Model`.
        num_images: number of images behind the embedding. Pictures of the same pixels count as one,
            also where the user looked at them several times.
        sessions: names of the recording sessions behind it; empty: not known.
        has_durations: whether the encoder was given the durations of the fixations.
        user: name of the user; empty: none.
    """

    vector: Float[np.ndarray, " embedding"]
    encoder_digest: str
    num_images: int
    sessions: Sequence[str] = ()
    has_durations: bool = False
    user: str = ""

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):
            vector = np.array(self.vector, np.float32)
        if vector.ndim != 1:
            raise ValueError(f"vector has shape {vector.shape}; allowed: (n,)")
        if not np.isfinite(vector).all():
            raise ValueError(
                "embedding holds a NaN, an infinite value or one beyond float32; allowed: finite "
                "numbers"
            )
        vector.flags.writeable = False
        object.__setattr__(self, "vector", vector)
        object.__setattr__(self, "sessions", checked_sessions(self.sessions))
        object.__setattr__(
            self, "num_images", checked_count(self.num_images, "num_images", least=0)
        )
        for name in ("encoder_digest", "user"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} is {getattr(self, name)!r}; allowed: a text")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the vector."""
        return self.vector.shape

    @property
    def ndim(self) -> int:
        """1."""
        return 1

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.vector.size

    @property
    def dtype(self) -> np.dtype:
        """float32."""
        return self.vector.dtype

    def __len__(self) -> int:
        return len(self.vector)

    def __getitem__(self, index: Any) -> Any:
        return self.vector[index]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.vector, dtype, copy=copy)

    def __reduce__(self) -> tuple[Any, ...]:
        return Embedding, tuple(getattr(self, field.name) for field in fields(self))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(one, Embedding) for one in options.get("out", ())):
            raise ValueError(
                "an embedding is read-only; allowed: np.array(embedding) as the output"
            )
        arrays = [one.vector if isinstance(one, Embedding) else one for one in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def save(self, path: str | Path) -> None:
        """Writes the embedding, whole or not at all.

        Args:
            path: a file that ends with `.npz` or `.safetensors`.

        Raises:
            ValueError: if the path ends otherwise.
            FileNotFoundError: if its folder does not exist.
            OSError: if the file cannot be written.
        """
        path = checked_path(path, "path")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"path is {path}; the folder {path.parent} does not exist")
        match path.suffix.lower():
            case ".npz":
                write_bytes(path, encode_embedding(self))
            case ".safetensors":
                metadata = {name: json.dumps(value) for name, value in _described(self).items()}
                write_bytes(path, safetensors.numpy.save({"embedding": self.vector}, metadata))
            case _:
                raise ValueError(
                    f"path is {path}; allowed: a file that ends with .npz or .safetensors"
                )

    @classmethod
    def load(cls, path: str | Path) -> "Embedding":
        """Reads what `save` or `gazejax embed` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the path is a folder, or the file is no embedding or does not name its
                encoder.
        """
        path = checked_path(path, "path")
        if path.is_dir():
            raise ValueError(
                f"embedding {path} is a folder; allowed: a file that gazejax embed wrote"
            )
        if not path.is_file():
            raise FileNotFoundError(f"embedding {path} does not exist; make it with: gazejax embed")
        return _from_entries(lambda: _read(path), str(path))


def decode_embedding(content: bytes, name: str) -> Embedding:
    """Reads the content of an `.npz` that `Embedding.save` wrote.

    Args:
        content: the bytes of the file.
        name: what the file is called in an error.

    Raises:
        ValueError: see `Embedding.load`.
    """
    return _from_entries(lambda: _decode_npz(content), name)


def encode_embedding(embedding: Embedding) -> bytes:
    """The bytes of the `.npz` that `Embedding.save` writes."""
    known = _described(embedding)
    arrays: dict[str, Any] = known | {"sessions": np.array(embedding.sessions, str)}
    content = io.BytesIO()
    np.savez(content, embedding=embedding.vector, **arrays)
    return content.getvalue()


def _described(embedding: Embedding) -> dict[str, Any]:
    """What a file holds beside the vector."""
    known = {
        "user": embedding.user,
        "num_images": embedding.num_images,
        "encoder_digest": embedding.encoder_digest,
        "sessions": embedding.sessions,
        "has_durations": embedding.has_durations,
    }
    return known | {"sha256": _digest(embedding.vector, known)}


def _from_entries(read: Callable[[], dict[str, Any]], name: str) -> Embedding:
    """The embedding of a file; its entries are read here, so that errors name the file."""
    try:
        found = read()
        vector = found["embedding"]
        if vector.ndim != 1 or vector.dtype.kind != "f":
            raise ValueError("no vector of numbers")
        num_images = int(found.get("num_images", 0))
        sessions = tuple(map(str, found.get("sessions", ())))
        # Files of older versions have no digest.
        is_whole = "sha256" not in found or str(found["sha256"]) == _digest(vector, found)
    except Exception as error:  # The readers of the two formats raise errors of many classes.
        raise ValueError(f"{name} is not an embedding written by gazejax embed") from error
    if not is_whole:
        raise ValueError(
            f"{name} is damaged or was changed: its SHA-256 is another one; allowed: the file "
            "as it was saved: copy it again, or make it anew with: gazejax embed"
        )
    if "encoder_digest" not in found:
        raise ValueError(
            f"{name} does not name its encoder: an older version of gazejax, or another "
            "program, wrote it; make it anew with: gazejax embed"
        )
    return Embedding(
        vector,
        str(found["encoder_digest"]),
        num_images,
        sessions,
        bool(found.get("has_durations", False)),
        str(found.get("user", "")),
    )


def _digest(vector: np.ndarray, known: Mapping[str, Any]) -> str:
    """SHA-256 of a vector and of what is known of it, as saved or as read."""
    described = [
        str(known["user"]),
        int(known["num_images"]),
        str(known["encoder_digest"]),
        [str(session) for session in known["sessions"]],
        bool(known["has_durations"]),
    ]
    content = json.dumps(described).encode() + np.ascontiguousarray(vector).tobytes()
    return hashlib.sha256(content).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    """The entries of a file, as they were saved."""
    if path.suffix.lower() == ".safetensors":
        with safetensors.safe_open(path, "numpy") as stored:
            metadata = stored.metadata() or {}
            entries = {name: json.loads(text) for name, text in metadata.items()}
            return entries | {"embedding": stored.get_tensor("embedding")}
    return _decode_npz(path.read_bytes())


def _decode_npz(content: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def is_embedding(path: Path) -> bool:
    """Whether `Embedding.save` wrote a file, of this version or an older one."""
    try:
        return {"embedding", "user", "num_images"} <= _read(path).keys()
    except Exception:  # The readers of the two formats raise errors of many classes.
        return False


def check_encoder(embedding: Any, encoder_digest: str, name: str) -> None:
    """Refuses an embedding of another encoder: its numbers would mean nothing here.

    A plain array does not name its encoder, and is accepted.

    Args:
        embedding: an `Embedding`, or an array.
        encoder_digest: digest of the encoder that is used.
        name: name of the embedding in an error, or its file.

    Raises:
        ValueError: if the digests differ.
    """
    if isinstance(embedding, Embedding) and embedding.encoder_digest != encoder_digest:
        raise ValueError(
            f"{name} is an embedding by the encoder {embedding.encoder_digest[:12]}; allowed: by "
            f"the encoder of this model, {encoder_digest[:12]}; make it anew with this model"
        )
