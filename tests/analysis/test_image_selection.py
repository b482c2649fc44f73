"""Image selection: with embeddings made by hand, and on a tiny run."""

import json

import numpy as np
import pytest

from gazejax.analysis.image_selection import _first_reaching, choose_images
from gazejax.cli.main import main
from gazejax.workdir.layout import load_config


def make_embeddings(generator, num_users, num_images, *, informative, noise):
    """Embeddings of users, with noise on all images but the informative ones."""
    users = generator.normal(size=(num_users, 1, 8))
    scale = np.full((1, num_images, 1), noise)
    scale[:, informative] = 0.05
    return users + scale * generator.normal(size=(num_users, num_images, 8))


def test_informative_images_are_selected_first():
    embeddings = make_embeddings(np.random.default_rng(0), 6, 30, informative=[4, 9, 21], noise=4.0)
    chosen = choose_images(embeddings, budget=12)
    assert set(chosen[:3]) == {4, 9, 21}
    assert len(set(chosen.tolist())) == 12
    # A shift that all users share does not change the selection.
    everywhere = embeddings + np.random.default_rng(1).normal(size=(1, 30, 8)) * 0.01
    assert set(choose_images(everywhere, budget=3)) == {4, 9, 21}


@pytest.mark.parametrize(("users", "budget"), [(1, 2), (3, 0), (3, 5)])
def test_an_impossible_budget_is_refused(users, budget):
    embeddings = np.zeros((users, 5, 2))
    with pytest.raises(ValueError, match=rf"budget is {budget} with 5 images and {users} users"):
        choose_images(embeddings, budget=budget)


def test_a_goal_is_reached_between_two_numbers_of_images():
    values = [0.5, 0.6, 0.8]
    assert _first_reaching([1, 2, 4], values, 0.7) == pytest.approx(3.0)
    assert _first_reaching([1, 2, 4], values, 0.4) == 1.0
    assert _first_reaching([1, 2, 4], values, 0.9) is None


@pytest.mark.slow
def test_selected_images_are_compared_with_random_images(tiny_run, capsys):
    assert main(["select-images", str(tiny_run), "--budget", "2"]) == 0
    result = json.loads((tiny_run / "selected_images.json").read_text())
    splits = json.loads((tiny_run / "splits.json").read_text())
    images = result["images"]["."]
    assert len(set(images)) == 2
    assert set(images) <= set(splits["test_images"])
    assert result["num_users"] == len(splits["unseen_users"])
    metrics = result["metrics"]
    assert list(metrics["selected"]) == list(metrics["random"]) == ["1", "2"]
    for size, row in metrics["selected_minus_random"].items():
        expected = metrics["selected"][size]["roc_auc"] - metrics["random"][size]["roc_auc"]
        assert row["roc_auc"] == expected
    table = (tiny_run / "selected_images.md").read_text()
    assert table in capsys.readouterr().out
    assert ", ".join(images) in table
    assert (tiny_run / "plots" / "selected_images.png").stat().st_size > 1000
    # The same command gives the same result.
    assert main(["select-images", str(tiny_run), "--budget", "2"]) == 0
    assert json.loads((tiny_run / "selected_images.json").read_text()) == result


def test_a_budget_above_half_of_the_images_is_refused_in_one_line(tiny_run, capsys):
    most = len(json.loads((tiny_run / "splits.json").read_text())["test_images"]) // 2
    assert load_config(tiny_run).data.name == "synthetic_gaze/tiny"
    assert main(["select-images", str(tiny_run), "--budget", str(most + 1)]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"error: budget is {most + 1}; allowed: from 1 to {most}, half of the")
