"""What an embedding says of a person: traits by hand, and probes that are refused."""

import json
import shutil

import numpy as np
import pytest

import gazejax
from gazejax import Embedding

ROW = {
    "unit": "ms",
    "mean": 200.0,
    "standard_deviation": 20.0,
    "correlation": 0.8,
    "seen_correlation": 0.7,
    "num_users": 6,
    "num_unseen_users": 2,
    "num_images": 3.5,
    "intercept": 190.0,
    "weights": [10.0, 0.0, -5.0, 0.0, 0.0, 0.0],
}
VECTOR = np.array([3.0, 9.0, -2.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    return shutil.copytree(tiny_run, tmp_path_factory.mktemp("probed") / "run")


def test_a_trait_by_hand(run):
    spread = ROW | {"unit": "image widths", "correlation": None}
    (run / "probes.json").write_text(json.dumps({"duration_ms": ROW, "spread": spread}))
    model = gazejax.load(run)
    for embedding in (VECTOR, Embedding(VECTOR, model.encoder_digest, 1)):
        found = model.probe(embedding)
        assert list(found) == ["duration_ms", "spread"]
        one = found["duration_ms"]
        assert one == (230.0, "ms", 200.0, 20.0, 1.5, 0.8, 2, 3.5)
        assert found["spread"].correlation is None
    # Of an encoder that reads durations, an embedding without any says nothing of them.
    model._prober = model._prober._replace(reads_durations=True)
    assert list(model.probe(Embedding(VECTOR, model.encoder_digest, 1))) == ["spread"]
    known = Embedding(VECTOR, model.encoder_digest, 1, has_durations=True)
    assert list(model.probe(known)) == ["duration_ms", "spread"]


def test_the_probes_of_an_evaluation_are_read(tiny_run):
    found = gazejax.load(tiny_run).probe(VECTOR)
    assert found.keys() >= {"fixations", "center_share", "saccade_length", "spread"}
    assert found["duration_ms"].unit == "ms"
    assert 50 < found["duration_ms"].mean < 1000


def test_what_cannot_be_probed_is_refused(run):
    model = gazejax.load(run)
    with pytest.raises(ValueError, match=r"^embedding has shape \(3,\); allowed: \(6,\)$"):
        model.probe(VECTOR[:3])
    with pytest.raises(ValueError, match=r"^embedding is an embedding by the encoder 0123; "):
        model.probe(Embedding(VECTOR, "0123", 1))
    with pytest.raises(TypeError, match=r"^embedding has dtype object; allowed: float"):
        model.probe(None)
    for row, message in (
        ({"unit": "ms"}, "has no probes, 'weights'"),
        (ROW | {"standard_deviation": 0}, "has no probes, a value is not finite, or a standard"),
        (ROW | {"weights": [1.0]}, "has weights of another number than 6"),
        (ROW | {"more": 1}, "has no probes, "),
    ):
        (run / "probes.json").write_text(json.dumps({"spread": row}))
        with pytest.raises(ValueError, match=rf"probes\.json {message}") as refusal:
            gazejax.load(run)
        assert "\n" not in str(refusal.value)
    (run / "probes.json").unlink()
    message = "^the model has no probes: it was not evaluated, .* a run after gazejax evaluate$"
    with pytest.raises(ValueError, match=message):
        gazejax.load(run).probe(VECTOR)
