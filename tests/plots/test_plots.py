from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from gazejax import plots
from gazejax.metrics.verification import roc_curve
from gazejax.plots import embeddings, maps, verification


def row(value, interval):
    return {"roc_auc": value, "roc_auc_interval": interval}


def table():
    encoder = {"10": row(0.9, [0.8, 0.95]), "1": row(0.6, None), "50": row(None, None)}
    return {
        "seen": {"encoder": encoder, "residual_map": {"1": row(0.5, [0.4, 0.6])}},
        "unseen": {"encoder": {"1": row(None, None)}, "chance": {"1": {"roc_auc": 0.5}}},
    }


def map_row(**changes):
    universal = np.array([[1.0, 1.0, 2.0], [0.0, 0.0, 2.0]]) / 6
    own = np.array([[3.0, 1.0, 0.0], [0.0, 0.0, 2.0]]) / 6
    image = np.zeros((20, 30, 3), np.uint8)
    return maps.MapRow("ann", image, universal, own, own, np.array([[0.2, 0.4]]))._replace(
        **changes
    )


def bar(value, interval=None):
    return {"value": value, "interval": interval}


def draw_roc():
    genuine, impostor = np.array([0.1, 0.6, 0.7, 0.9]), np.array([0.0, 0.2, 0.3, 0.8])
    curve = roc_curve(genuine, impostor)
    return plots.draw_roc_curves(curves={"seen": {"encoder, n = 10": tuple(curve)}, "unseen": {}})


def draw_sizes():
    return plots.draw_metrics_against_size(table=table(), metric="roc_auc", chance=None)


def draw_reliability():
    row = {"slope": 1.0, "predicted": [0.1, None, 0.9], "observed": [0.2, None, 1.0]}
    return verification.draw_reliability(tables={"within": {"1": row, "10": row}, "across": {}})


def draw_scatter(num_users=5):
    generator = np.random.default_rng(0)
    return plots.draw_embedding_scatter(
        embeddings=generator.normal(size=(3 * num_users, 4)).astype(np.float32),
        users=np.repeat(np.arange(num_users), 3),
        names=[f"_user${number}$" for number in range(num_users)],
        is_seen=np.arange(num_users) < 3,
    )


def draw_bars():
    users = {"b": bar(-0.1, [-0.2, 0.1]), "a": bar(0.3, [0.1, 0.4]), "c": bar(None), "d": bar(0.2)}
    per_user = {"seen": users, "unseen": {"e": bar(None)}}
    return plots.draw_user_bars(per_user=per_user, unit="CC", title="own minus swapped")


def draw_maps():
    return plots.draw_map_grid(rows=[map_row(), map_row(xy_frac=np.zeros((0, 2)))])


def difference(variant, users, n, value, interval):
    return {
        "variant": variant,
        "users": users,
        "metric": "rank1",
        "n": n,
        "difference": value,
        "difference_interval": interval,
    }


def draw_comparison():
    rows = [
        difference("base", "seen", 1, None, None),
        difference("wide", "seen", 1, 0.25, [0.125, 0.5]),
        difference("wide", "seen", 10, 0.0, [-0.25, 0.25]),
        difference("deep", "seen", 1, -0.5, [-1.0, 0.0]),
        difference("deep", "seen", 10, None, None),
        difference("deep", "unseen", 10, 0.0, [0.0, 0.0]),
    ]
    return plots.draw_differences(rows=rows, title="_net_")


@pytest.mark.parametrize(
    "draw", [draw_roc, draw_sizes, draw_scatter, draw_bars, draw_maps, draw_comparison]
)
def test_writes_one_file_the_same_in_another_thread(tmp_path, draw):
    plots.save_png(draw(), tmp_path / "one.png")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: plots.save_png(draw(), tmp_path / "two.png")).result()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        picture.load()
        assert 1000 < picture.width <= 1800
        assert not picture.info.keys() & {"Software", "Creation Time"}


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "bars.png"
    path.write_text("before")

    def fail(self, temporary, **options):
        temporary.write_text("half a file")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        plots.save_png(draw_bars(), path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "before"


def test_values_stand_over_their_size_and_none_is_left_out():
    seen, unseen = draw_sizes().axes
    encoder, residual_map = seen.get_lines()
    np.testing.assert_array_equal(encoder.get_xdata(), [1, 10, 50])
    np.testing.assert_array_equal(encoder.get_ydata(), [0.6, 0.9, np.nan])
    np.testing.assert_array_equal(residual_map.get_ydata(), [0.5])
    assert [label.get_text() for label in seen.get_xticklabels()] == ["1", "10", "50"]
    # No value of unseen users is known: chance is left out too.
    assert [text.get_text() for text in unseen.texts] == ["not known"]
    assert not unseen.get_lines()


def test_labels_of_sizes_do_not_overlap():
    sizes = {size: {"roc_auc": 0.5, "roc_auc_interval": None} for size in ("10", "50", "87", "100")}
    table = {"seen": {"encoder": sizes}}
    (panel,) = plots.draw_metrics_against_size(table=table, metric="roc_auc").axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["10", "50", "100"]
    np.testing.assert_array_equal(panel.get_lines()[0].get_xdata(), [10, 50, 87, 100])


def test_differences_stand_in_the_line_of_their_variant():
    seen, unseen = draw_comparison().axes
    assert [label.get_text() for label in seen.get_yticklabels()] == ["wide", "deep"]
    # A mark above for n = 1, one below for n = 10, at equal distances.
    one, ten = seen.get_lines()[:2]
    np.testing.assert_array_equal(one.get_xdata(), [0.25, -0.5])
    np.testing.assert_allclose(one.get_ydata(), [-0.2, 0.8])
    np.testing.assert_array_equal(ten.get_xdata(), [0.0])
    np.testing.assert_allclose(ten.get_ydata(), [0.2])
    bars = [collection.get_segments() for collection in seen.collections]
    np.testing.assert_allclose(bars[0][0], [[0.125, -0.2], [0.5, -0.2]])
    np.testing.assert_allclose(bars[0][1], [[-1.0, 0.8], [0.0, 0.8]])
    assert seen.get_title() == "rank-1, seen users"
    assert [len(line.get_xdata()) for line in unseen.get_lines()[:2]] == [0, 1]
    with pytest.raises(ValueError, match="at least 1 difference to the base"):
        plots.draw_differences(rows=[difference("base", "seen", 1, None, None)], title="")


def test_chance_of_each_group():
    drawing = plots.draw_metrics_against_size(
        table=table(), metric="roc_auc", chance={"seen": 0.25}
    )
    assert drawing.axes[0].get_lines()[-1].get_ydata() == [0.25, 0.25]
    (legend,) = drawing.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["encoder", "residual map", "chance"]


def test_bars_are_sorted_and_pale_where_the_interval_does_not_exclude_zero():
    (panel,) = draw_bars().axes  # The group without a value has none.
    assert [label.get_text() for label in panel.get_xticklabels()] == ["a", "d", "b"]
    assert [patch.get_height() for patch in panel.patches] == [0.3, 0.2, -0.1]
    assert len({patch.get_facecolor() for patch in panel.patches}) == 3


def test_differences_of_maps_are_of_densities():
    scaled = map_row(own=map_row().own * 100)  # The scale of a map does not matter.
    drawing = plots.draw_map_grid(rows=[map_row(), scaled])
    expected = [[2, 0, -2], [0, 0, 0]]
    for panel in (drawing.axes[4], drawing.axes[9]):
        (difference,) = panel.get_images()
        np.testing.assert_allclose(difference.get_array(), expected, atol=1e-12)
        assert difference.norm.vmax == -difference.norm.vmin > 0


def test_names_are_written_only_where_they_fit():
    names = [text.get_text() for text in draw_scatter().axes[0].texts]
    assert names == [f"_user${number}$" for number in range(5)]
    assert not draw_scatter(num_users=40).axes[0].texts


@pytest.mark.parametrize(
    ("draw", "arguments", "message"),
    [
        (plots.draw_roc_curves, {"curves": {}}, "nothing to draw"),
        (
            plots.draw_metrics_against_size,
            {"table": table(), "metric": "roc"},
            r"'roc'; allowed: \['roc_auc'\]",
        ),
        (
            plots.draw_user_bars,
            {"per_user": {"seen": {"a": bar(None)}}, "unit": "CC", "title": ""},
            "nothing to draw",
        ),
        (plots.draw_map_grid, {"rows": []}, "at least 1 row"),
        (
            plots.draw_map_grid,
            {"rows": [map_row(truth=np.zeros((2, 3)))]},
            "truth of row 'ann' sums to 0",
        ),
    ],
)
def test_refuses_what_cannot_be_drawn(draw, arguments, message):
    with pytest.raises(ValueError, match=message):
        draw(**arguments)


def test_principal_components_by_hand():
    # Variance 8 along the diagonal (1, 1) and 2 across it, around (5, 7).
    diagonal, across = np.array([1, 1]) / np.sqrt(2), np.array([1, -1]) / np.sqrt(2)
    points = np.array([5, 7]) + np.stack([2 * diagonal, -2 * diagonal, across, -across])
    position, share = embeddings.principal_components(points)
    np.testing.assert_allclose(share, [0.8, 0.2])
    np.testing.assert_allclose(np.abs(position), [[2, 0], [2, 0], [0, 1], [0, 1]], atol=1e-12)
    assert position[0, 0] > 0  # Both weights are positive.


def test_principal_components_of_a_collapse():
    position, share = embeddings.principal_components(np.ones((3, 4)))
    assert not position.any()
    assert not share.any()
    for shape in ((1, 4), (4, 1)):
        with pytest.raises(ValueError, match="at least 2 by 2"):
            embeddings.principal_components(np.ones(shape))


def test_true_match_rate_by_hand():
    fmr, fnmr = np.array([0, 0, 0.5, 0.5, 1]), np.array([1, 0.75, 0.75, 0.25, 0])
    rate = verification.true_match_rate(fmr, fnmr, at=np.array([0.1, 0.5, 0.9, 1]))
    np.testing.assert_array_equal(rate, [np.nan, 0.75, 0.75, 1])


def test_labels_keep_clear_of_each_other_and_of_points():
    size, nowhere = np.array([[4.0, 2.0]]), np.zeros((0, 2))
    alone = embeddings.place_labels(np.zeros((1, 2)), size, avoid=nowhere, distance=2.0)
    np.testing.assert_allclose(alone, [[0, 3]], atol=1e-12)  # Above: 2 away, and half its height.
    beside = embeddings.place_labels(np.zeros((1, 2)), size, avoid=alone, distance=2.0)
    # Half of both widths, or heights; a point is covered by a marker of 1 by 1.
    assert (np.abs(beside - alone) >= [2.5, 1.5]).any()
    both = embeddings.place_labels(
        np.zeros((2, 2)), size.repeat(2, axis=0), avoid=nowhere, distance=2.0
    )
    apart = np.abs(both[0] - both[1])
    assert apart[0] >= 4 or apart[1] >= 2
