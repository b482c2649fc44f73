"""Compares embeddings of which the probabilities can be worked out by hand."""

import json
import shutil

import numpy as np
import pytest

import gazejax
from gazejax import Embedding
from gazejax.api.recognition import identify_embedding
from gazejax.inference.same_person import read_curves

CURVES = {
    "within": {"1": {"slope": 2.0, "intercept": 3.0}, "100": {"slope": 2.0, "intercept": 5.0}},
    "across": {"1": {"slope": 1.0, "intercept": 0.0}},
}


@pytest.fixture(scope="module")
def model(tiny_run, tmp_path_factory):
    """Embeddings are compared by their distance: log odds within are 3 + 2 log10(n) / 2 - 2 d."""
    run = shutil.copytree(tiny_run, tmp_path_factory.mktemp("calibrated") / "run")
    (run / "calibration.json").write_text(json.dumps(CURVES))
    return gazejax.load(run)


def embedding(model, value, *, num_images=1, sessions=("monday",), digest=None):
    vector = np.zeros(model.embedding_size)
    vector[0] = value
    return Embedding(vector, digest or model.encoder_digest, num_images, sessions)


def log_odds(probability):
    return np.log(probability / (1 - probability))


def test_a_pair_by_hand(model):
    found = model.compare(embedding(model, 1.0), embedding(model, 2.5))
    assert found.distance == -found.score == 1.5
    assert log_odds(found.probability) == pytest.approx(3 - 2 * 1.5)
    assert (found.num_images, found.holds_for) == ((1, 1), "within")
    # The harmonic mean of 10 and 10 lies half way between 1 and 100.
    ten = embedding(model, 1.0, num_images=10)
    assert log_odds(model.compare(ten, ten).probability) == pytest.approx(4)
    friday = embedding(model, 2.5, sessions=("friday",))
    for one in (friday, embedding(model, 2.5, sessions=())):
        found = model.compare(embedding(model, 1.0), one)
        assert found.holds_for == "across"
        assert log_odds(found.probability) == pytest.approx(-1.5)


def test_users_of_a_gallery_and_none_of_them(model):
    probe = embedding(model, 0.0)
    gallery = {"far": embedding(model, 3.0), "near": embedding(model, 1.0)}
    found = model.identify(probe, gallery)
    odds = {"near": np.exp(3 - 2), "far": np.exp(3 - 6)}
    total = sum(odds.values()) / 2 + 1  # Each half as probable before as no user of the gallery.
    assert [match.user for match in found.matches] == ["near", "far"]
    for match in found.matches:
        assert match.probability == pytest.approx(odds[match.user] / 2 / total)
    assert found.none_probability == pytest.approx(1 / total)
    assert len(model.identify(probe, gallery, k=1).matches) == 1
    closed = model.identify(probe, gallery, in_gallery=1)
    assert closed.none_probability == 0
    assert closed.matches[0].probability == pytest.approx(odds["near"] / sum(odds.values()))
    assert model.identify(probe, gallery, in_gallery=0).none_probability == 1
    far = model.identify(probe, {"far": embedding(model, 1e6)})
    # No pair is more certain than ten thousand to one.
    assert far.matches[0].probability == pytest.approx(1 / 10_001)
    # Two users beyond that limit are ranked, and do not share the probability.
    sure = {"bob": embedding(model, -200.0), "ann": embedding(model, -210.0)}
    curves = {"within": {"1": {"slope": 2.0, "intercept": 900.0}}}  # Log odds 900 and 880.
    found = identify_embedding(
        model._comparer._replace(calibration=read_curves(curves)),
        *(embedding(model, -210.0), sure, 2),
        in_gallery=0.5,
    )
    assert [match.user for match in found.matches] == ["ann", "bob"]
    ann, bob = (match.probability for match in found.matches)
    assert ann == pytest.approx(10_000 / 10_001)
    assert bob == pytest.approx(1 / 10_001)  # All that is left: of none is e^-880 as probable.
    assert ann + bob + found.none_probability == pytest.approx(1)
    assert [match.comparison.log_odds for match in found.matches] == [np.log(1e4)] * 2
    with pytest.raises(ValueError, match=r"^b has shape \(3,\); allowed: \(6,\)"):
        model.compare(probe, Embedding(np.zeros(3), model.encoder_digest, 1))


def test_what_cannot_be_compared_is_refused(model, tiny_run, tmp_path):
    one = embedding(model, 0.0)
    with pytest.raises(TypeError, match=r"^b is of type ndarray; allowed: Embedding"):
        model.compare(one, one.vector)
    with pytest.raises(ValueError, match=r"^b is an embedding by the encoder 0123"):
        model.compare(one, embedding(model, 0.0, digest="0123"))
    with pytest.raises(ValueError, match=r"^a is of 0 images; allowed: at least 1"):
        model.compare(embedding(model, 0.0, num_images=0), one)
    with pytest.raises(ValueError, match=r"^gallery has 0 users; allowed: at least one"):
        model.identify(one, {})
    with pytest.raises(ValueError, match=r"^gallery\['ann'\] is an embedding by the encoder 0123"):
        model.identify(one, {"ann": embedding(model, 0.0, digest="0123")})
    with pytest.raises(ValueError, match=r"^k is 0; allowed: a whole number of at least 1"):
        model.identify(one, {"ann": one}, k=0)
    for name, value in (("k", 2.5), ("k", True), ("k", None), ("in_gallery", "half")):
        with pytest.raises(TypeError, match=rf"^{name} is {value!r}; allowed: a (whole )?number"):
            model.identify(one, {"ann": one}, **{name: value})
    with pytest.raises(ValueError, match=r"^in_gallery is nan; allowed: from 0 to 1$"):
        model.identify(one, {"ann": one}, in_gallery=np.nan)
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "calibration.json").unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"^the model is not calibrated: "):
        gazejax.load(run).compare(one, one)
    for text, message in (
        ('{"within": {"1": {"slope": 2}}}', "'intercept'"),
        ('{"within": {"1": {"slope": -2, "intercept": 0}}}', "no row, or a value that is negative"),
        ('{"other": {"1": {"slope": 2, "intercept": 0}}}', "tables other"),
    ):
        (run / "calibration.json").write_text(text)
        with pytest.raises(ValueError, match=rf"calibration.json has no curves, {message}"):
            gazejax.load(run)
