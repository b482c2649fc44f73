"""Trait probes: measures by hand, a planted trait, and a tiny run."""

import json

import numpy as np
import pytest

from gazejax.analysis.trait_probes import _NUM_PERMUTATIONS, _p_value, fit_direction, measure
from gazejax.cli.main import main
from tests.made_gaze import gaze_of


def test_measures_by_hand():
    # In image widths, of images 4 : 3: (.5, .375) is the center.
    xy_frac = np.array([[0.5, 0.5], [0.5, 0.9], [0.1, 0.5], [0.9, 0.5]], np.float32)
    gaze = gaze_of([[3, 0, 1]], xy_frac)
    found = measure(gaze, np.array([0]), np.arange(3))
    np.testing.assert_allclose(found["fixations"], [2.0])
    np.testing.assert_allclose(found["center_share"], [(1 / 3 + 0) / 2])
    steps = [0.4 * 0.75, np.hypot(0.4, 0.4 * 0.75)]
    np.testing.assert_allclose(found["saccade_length"], [np.mean(steps)], rtol=1e-6)
    xy = np.array([[0.5, 0.375], [0.5, 0.675], [0.1, 0.375]])
    spread = np.sqrt(((xy - xy.mean(axis=0)) ** 2).sum(axis=1).mean())
    np.testing.assert_allclose(found["spread"], [spread / 2], rtol=1e-6)
    np.testing.assert_allclose(found["duration_ms"], [(101 + 103) / 2])


def test_unknown_durations_are_no_trait():
    gaze = gaze_of([[2], [3]])
    gaze = gaze._replace(duration_ms=np.zeros_like(gaze.duration_ms))
    assert "duration_ms" not in measure(gaze, np.arange(2), np.arange(1))


@pytest.mark.parametrize("scale", [1e-2, 1e3])
def test_a_planted_trait_of_unseen_users_is_predicted_at_any_scale(scale):
    generator = np.random.default_rng(0)
    embeddings = generator.normal(size=(60, 5))
    trait = 3.0 + embeddings @ np.array([2.0, 0, -1, 0, 0])
    direction = fit_direction(scale * embeddings[:40], trait[:40])
    predicted = direction.predict(scale * embeddings[40:])
    assert np.corrcoef(predicted, trait[40:])[0, 1] > 0.99
    # A step in the direction is one standard deviation of the predicted trait.
    moved = direction.predict((direction.center + direction.step)[None])[0] - direction.mean
    seen = direction.predict(scale * embeddings[:40])
    np.testing.assert_allclose(moved, seen.std(), rtol=1e-6)
    # The users of a fold are permuted among themselves.
    chance = _p_value([predicted], [trait[40:]], generator)
    assert chance <= 2 / _NUM_PERMUTATIONS
    shuffled = generator.permutation(trait[40:])
    assert _p_value([predicted], [shuffled], generator) > 0.02


@pytest.mark.slow
def test_traits_of_a_run_are_reported_and_drawn(tiny_run, capsys):
    assert main(["probe", str(tiny_run)]) == 0
    result = json.loads((tiny_run / "trait_probes.json").read_text())
    splits = json.loads((tiny_run / "splits.json").read_text())
    names = {"fixations", "center_share", "saccade_length", "spread", "duration_ms"}
    assert names <= result["traits"].keys()
    generated = {name for name in result["traits"] if name.startswith("generated with ")}
    assert {
        "generated with spread",
        "generated with center_bias",
        "generated with mean_fixations",
    } <= generated
    assert len(generated) == 3 + 6
    for row in result["traits"].values():
        assert -1 <= row["correlation"] <= 1
        assert 0 < row["p_value"] <= 1
        assert len(row["true"]) == len(splits["unseen_users"])
    assert (tiny_run / "trait_probes.md").read_text() in capsys.readouterr().out
    for name in ("traits", "directions"):
        assert (tiny_run / "plots" / f"{name}.png").stat().st_size > 1000
