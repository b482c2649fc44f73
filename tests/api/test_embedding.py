"""An embedding behaves as its vector, names its encoder, and is a file and back."""

import copy
import json
import pickle

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import gazejax
from gazejax import Embedding
from gazejax.api.embedding import _read

VECTOR = np.array([0.5, -1.0, 2.0], np.float32)
EMBEDDING = Embedding(VECTOR, "abc", 7, ("monday", "friday"), has_durations=True, user="Ann")


def test_behaves_as_its_vector():
    assert isinstance(np.asarray(EMBEDDING), np.ndarray)
    np.testing.assert_array_equal(EMBEDDING, VECTOR)
    assert (EMBEDDING.shape, EMBEDDING.ndim, EMBEDDING.size, len(EMBEDDING)) == ((3,), 1, 3, 3)
    assert EMBEDDING.dtype == np.float32
    assert EMBEDDING[1] == -1
    np.testing.assert_array_equal(EMBEDDING[1:], VECTOR[1:])
    assert list(EMBEDDING) == VECTOR.tolist()
    np.testing.assert_array_equal(EMBEDDING - EMBEDDING / 2, VECTOR / 2)
    assert type(1 + EMBEDDING) is np.ndarray
    assert np.linalg.norm(EMBEDDING) == np.linalg.norm(VECTOR)
    assert np.mean(EMBEDDING) == 0.5
    np.testing.assert_array_equal(np.stack([EMBEDDING, VECTOR]), [VECTOR, VECTOR])
    assert np.asarray(EMBEDDING, np.float64).dtype == np.float64
    np.testing.assert_array_equal(jnp.asarray(EMBEDDING), VECTOR)


def test_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(EMBEDDING.vector)[0] = 1
    with pytest.raises(ValueError, match="an embedding is read-only"):
        np.add(EMBEDDING, 1, out=EMBEDDING)
    with pytest.raises(ValueError, match="read-only"):
        pickle.loads(pickle.dumps(EMBEDDING)).vector[0] = 1
    mutable = VECTOR.copy()
    embedding = Embedding(mutable, "abc", 1)
    mutable[0] = 9
    assert embedding[0] == 0.5


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_file_holds_all_of_it(tmp_path, suffix):
    path = tmp_path / f"ann{suffix}"
    EMBEDDING.save(path)
    for found in (Embedding.load(path), pickle.loads(pickle.dumps(EMBEDDING))):
        np.testing.assert_array_equal(found.vector, VECTOR)
        assert (found.encoder_digest, found.num_images, found.user) == ("abc", 7, "Ann")
        assert found.sessions == ("monday", "friday")
        assert found.has_durations is True
    assert copy.copy(EMBEDDING).sessions == EMBEDDING.sessions
    with pytest.raises(FileNotFoundError, match=r"^path is .*; the folder .*/no does not exist$"):
        EMBEDDING.save(tmp_path / "no" / path.name)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_foreign_or_damaged_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"ann{suffix}"
    EMBEDDING.save(path)
    content = path.read_bytes()
    for spoilt in (b"", content[: len(content) // 2], b"x" * 40):
        path.write_bytes(spoilt)
        with pytest.raises(ValueError, match=r"^\S* is not an embedding written by gazejax embed$"):
            Embedding.load(path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Embedding.load(tmp_path / f"bob{suffix}")
    with pytest.raises(ValueError, match=r"allowed: a file that ends with .npz or .safetensors"):
        EMBEDDING.save(tmp_path / "ann.npy")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_changed_number_is_noticed_and_a_file_without_digest_read(tmp_path, suffix):
    path = tmp_path / f"ann{suffix}"
    changed = VECTOR + np.float32([0, 0, 1e-6])
    for vector, num_images, has_digest in (
        (VECTOR, 7, True),
        (changed, 7, True),
        (VECTOR, 8, True),
        (changed, 8, False),
    ):
        EMBEDDING.save(path)
        entries = _read(path) | {"embedding": vector, "num_images": num_images}
        if not has_digest:
            del entries["sha256"]
        entries = {name: np.asarray(value) for name, value in entries.items()}
        if suffix == ".npz":
            np.savez(path, **entries)
        else:
            arrays = {"embedding": entries.pop("embedding")}
            metadata = {name: json.dumps(value.tolist()) for name, value in entries.items()}
            safetensors.numpy.save_file(arrays, path, metadata)
        if has_digest and (vector is changed or num_images == 8):
            with pytest.raises(ValueError, match=r"^\S* is damaged or was changed: its SHA-256 is"):
                Embedding.load(path)
        else:
            assert Embedding.load(path).num_images == num_images


def test_a_flipped_bit_of_a_file_is_noticed(tmp_path):
    path = tmp_path / "ann.safetensors"
    EMBEDDING.save(path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^\S* is damaged or was changed"):
        Embedding.load(path)


@pytest.mark.parametrize("path", [None, 3, ""])
def test_a_path_is_one(path):
    for call in (EMBEDDING.save, Embedding.load):
        with pytest.raises(TypeError, match=r"^path is .*; allowed: the path of a file$"):
            call(path)


@pytest.mark.parametrize("name", ["encoder_digest", "user"])
def test_names_are_texts(name):
    with pytest.raises(TypeError, match=rf"^{name} is 3; allowed: a text$"):
        Embedding(**{"vector": VECTOR, "encoder_digest": "abc", "num_images": 1, name: 3})


@pytest.mark.parametrize(
    ("vector", "message"),
    [(np.zeros((2, 2)), r"shape \(2, 2\)"), ([np.nan], "a NaN"), ([1e300], "beyond float32")],
)
def test_a_vector_that_is_none_is_refused(vector, message):
    with pytest.raises(ValueError, match=message):
        Embedding(vector, "abc", 1)


@pytest.mark.parametrize("num_images", ["3", 2.5, -1, np.nan])
def test_a_number_of_images_is_whole(num_images):
    with pytest.raises(
        (TypeError, ValueError), match=r"^num_images is .*; allowed: a whole number of at least"
    ):
        Embedding(VECTOR, "abc", num_images)


@pytest.mark.parametrize("sessions", ["monday", [1], [""], 3])
def test_sessions_are_names(sessions):
    with pytest.raises(TypeError, match=r"^sessions is .*; allowed: a list of names"):
        Embedding(VECTOR, "abc", 1, sessions)


def test_another_encoder_is_refused_and_an_array_accepted(tiny_run):
    model = gazejax.load(tiny_run)
    image = np.zeros((20, 30, 3), np.uint8)
    embedding = model.embed([image], [[[3.5, 4.5]]], sessions=["monday"])
    assert embedding.encoder_digest == model.encoder_digest
    assert embedding.sessions == ("monday",)
    assert not embedding.has_durations
    expected = model.predict(image, embedding)
    np.testing.assert_array_equal(model.predict(image, np.asarray(embedding)), expected)
    other = Embedding(embedding, "0123", 1)
    for call in (
        lambda: model.predict(image, other),
        lambda: model.predict_many([image], [other]),
    ):
        with pytest.raises(ValueError, match=r"^embedding is an embedding by the encoder 0123; "):
            call()
