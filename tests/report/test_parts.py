"""What the pages are made of, by hand-worked values."""

import base64
import io
import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from gazejax.evaluation.report_data import pack_curves
from gazejax.metrics.verification import RocCurve
from gazejax.plots import svg
from gazejax.report import findings, gallery, html


def test_a_figure_has_parts_titles_and_the_colors_of_the_page():
    def draw():
        drawing = Figure()
        panel = drawing.subplots()
        for number in range(2):
            (line,) = panel.plot([0, 1], [number, 1])
            svg.name_part(line, "encoder, n = 10")
        return drawing

    titles = {"encoder-n-10": "a <b>"}
    text = svg.to_svg(draw(), name="one", alt='says "x"', titles=titles)
    assert text.count('<g class="encoder-n-10"><title>a &lt;b&gt;</title>') == 2
    assert 'role="img" aria-label="says &quot;x&quot;"' in text
    assert "currentColor" in text
    assert "#000000" not in text
    assert svg.to_svg(draw(), name="one", alt='says "x"', titles=titles) == text
    # In one page, no two figures share an id.
    other = svg.to_svg(draw(), name="two", alt="")
    ids = [{part.partition('"')[0] for part in one.split(' id="')[1:]} for one in (text, other)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_texts_end_neither_the_script_nor_the_page():
    name = "</script><b>"
    assert json.loads(html.as_json({"name": name})) == {"name": name}
    assert "<" not in html.as_json({"name": name})
    assert "<b>" not in html.from_markdown(f"a {name}\n\n| a |\n| --- |\n| {name} |")
    with pytest.raises(ValueError, match="Out of range float"):
        html.as_json({"a": float("nan")})


def test_addresses_hold_the_map_and_a_reduced_picture():
    values = np.array([[0, 128], [255, 7]], np.uint8)

    def decode(uri):
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))

    np.testing.assert_array_equal(decode(html.map_uri(values)), values)
    picture = np.full((30, 60, 3), 200, np.uint8)
    assert decode(html.picture_uri(picture, longest_px=20)).shape == (10, 20, 3)


def row(value, interval, **more):
    return {"roc_auc": value, "roc_auc_interval": interval, "num_users": 5, **more}


def test_what_the_intervals_leave_open_is_not_found():
    rank1 = {"rank1": 0.4, "rank1_interval": [0.2, 0.6]}
    methods = {
        "encoder": {"5": row(0.9, [0.8, 0.95], **rank1), "20": row(1.0, [1, 1], **rank1)},
        "chance": {"5": {"rank1": 0.2}},
    }
    across = {"encoder": {"5": row(0.6, [0.45, 0.7], **rank1)}}
    difference = {
        "encoder_minus_residual_map": {"5": row(0.2, [0.1, 0.3])},
        "encoder_minus_fixation_statistics": {"5": row(0.1, [-0.1, 0.3])},
    }
    maps = {
        "own_minus_swapped": {"information_gain": 0.1, "information_gain_interval": [0.05, 0.2]},
        "own_minus_mean": {"information_gain": 0.01, "information_gain_interval": [-0.1, 0.2]},
    }
    found = findings.find(
        {
            "encoder": {"unseen": methods},
            "encoder_differences": {"unseen": difference},
            "encoder_across_sessions": {"unseen": across},
            "encoder_across_sessions_differences": {"unseen": {}},
            "saliency": {},
            "saliency_differences": {"unseen": {"5": maps}},
            "compared": {"sessions": "sessions", "data": "synthetic_gaze/default"},
        }
    )
    # Across sessions first; n is the most up to 10.
    assert [label for label, *_ in found.figures] == [
        "ROC-AUC across sessions, n = 5",
        "Rank-1 across sessions, n = 5",
        "ROC-AUC within a session, n = 5",
        "Rank-1 within a session, n = 5",
        "IG, own minus another's within a session, n = 5",
        "IG, own minus mean within a session, n = 5",
    ]
    said, left_open = " ".join(found.found), " ".join(found.not_found + found.limits)
    assert "Unseen users are recognized better than by chance within a session: ROC-AUC" in said
    assert "residual map" in said
    assert "fixation statistics" in left_open
    assert "Unseen users are not shown to be recognized better than by chance across" in left_open
    assert "than the map with another user's embedding: +0.100" in said
    assert (
        "not shown to describe the fixations of unseen users better within a session" in left_open
    )
    assert "Who of 5 users is it?" in found.figures[3][2]
    assert "nothing here is of people" in left_open


def test_curves_lose_no_step():
    fmr, fnmr = np.repeat([0.0, 0.5, 1.0], 40), np.repeat([0.3, 0.1, 0.0], 40)
    curves = {"encoder": {"unseen": {"encoder, n = 5": RocCurve(fmr, fnmr)}}}
    packed = pack_curves(curves)["roc/encoder/unseen/encoder, n = 5"]
    np.testing.assert_allclose(packed, [[0, 0.5, 1, 1], [0.3, 0.1, 0, 0]], rtol=1e-6)


def test_the_gallery_has_each_map_once_and_says_what_is_not_known():
    maps = np.zeros((2, 4, 2, 3), np.uint8)
    maps[1, 3] = 9
    shown = {
        "example_user": np.array([3, 4]),
        "example_image": np.array([0, 0]),
        "example_image_ids": np.array(["a.png"]),
        "example_maps": maps,
        "example_difference": np.zeros((2, 2, 3), np.int8),
        "example_cc": np.array([[0.5, np.nan], [0.1, 0.2]]),
        "example_xy_frac": np.array([[0.25, 0.5], [0.5, 1.0], [0.0, 0.0]], np.float32),
        "example_num_fixations": np.array([1, 2]),
        "picture_0": np.zeros((4, 6, 3), np.uint8),
    }
    made = gallery.gallery(shown)
    assert made is not None
    assert len(made["uris"]) == 3  # Black, the one truth, no difference.
    assert made["examples"]["3"]["0"]["xy"] == [[0.25, 0.5]]
    assert made["examples"]["3"]["0"]["cc"] == [0.5, None]
    assert made["examples"]["4"]["0"]["maps"] == [0, 0, 0, 2, 1]
    assert made["images"][0]["size"] == [6, 4]
    assert gallery.gallery({}) is None
