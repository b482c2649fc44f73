import numpy as np

from gazejax.plots.maps import draw_prediction
from gazejax.runtime import progress


def test_plain_lines_when_not_on_a_terminal(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 20.0, 21.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.track("encoder", 10) as show:
        for done in (1, 4, 5, 10):
            show(done, "loss 1")
    lines = capsys.readouterr().err.splitlines()
    # At most one line in ten seconds, and one at the end. 4 of 10 in 20 s: 30 s to go.
    assert lines == ["encoder: 4/10  loss 1  ETA 00:30", "encoder: 10/10  loss 1  ETA 00:00"]


def test_a_picture_shows_the_map_beside_the_overlay():
    image = np.full((4, 6, 3), 100, np.uint8)
    saliency = np.zeros((4, 6))
    saliency[1, 2] = 0.5
    drawn = draw_prediction(image, saliency)
    assert drawn.shape == (4, 12, 3)
    bare = drawn[:, 6:].sum(axis=2, dtype=int)
    assert np.unravel_index(bare.argmax(), bare.shape) == (1, 2)
