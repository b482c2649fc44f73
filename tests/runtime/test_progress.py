import numpy as np

from gazejax.plots.maps import plot_prediction
from gazejax.runtime import progress


def test_what_is_not_a_terminal_gets_the_start_and_the_end_of_quick_work(capsys):
    with progress.track("encoder", 10, start=2) as show:
        for done in (4, 5, 10):
            show(done, f"loss {done}")
    states = capsys.readouterr().err.strip().replace("\n", "\r").split("\r")
    assert len(states) == 2  # At most one state in ten seconds.
    assert "encoder" in states[0]
    assert " 2/10 " in states[0]
    assert " 10/10 " in states[1]
    assert "loss 10" in states[1]


def test_a_picture_shows_the_map_over_the_image():
    image = np.full((4, 6, 3), 100, np.uint8)
    saliency = np.zeros((4, 6))
    saliency[1, 2] = 0.5
    drawn = plot_prediction(image, saliency)
    assert drawn.shape == (4, 6, 3)
    brightness = drawn.sum(axis=2, dtype=int)
    assert np.unravel_index(brightness.argmax(), brightness.shape) == (1, 2)
