"""From places of a pointer to what the page says: by numbers worked out by hand."""

import csv
import io
import json

import numpy as np
import pytest

from gazejax.inference.two_covariance import TwoCovariance
from gazejax.tryout import answers, pictures, requests, traits
from gazejax.tryout.population import (
    Place,
    measured_population,
    normal_population,
    place_of,
    radius_of,
    read_measured,
    share_nearer,
)
from gazejax.tryout.requests import RefusedError, Viewing


@pytest.fixture(scope="module")
def shown():
    return pictures.shipped_pictures()


def test_shipped_pictures_fill_all_parts_and_name_their_licences(shown):
    assert tuple(one.part for one in shown) == pictures.PARTS
    assert {one.licence for one in shown} == {"CC0 1.0", "public domain"}
    assert all(one.title and one.alt and one.author and one.source for one in shown)
    assert sum(len(one.encoded) for one in shown) < 3_000_000
    assert all(max(one.pixels.shape) <= 800 for one in shown)
    assert len({one.file for one in shown}) == len(shown)


def test_people_are_a_circle_and_few_pictures_draw_to_its_middle():
    one = np.eye(2)
    people = normal_population(TwoCovariance(np.ones(2), 4 * one, 0 * one, 32 * one))
    # Variance of a place from 8 pictures: 32 / 8 / 4 = 1, as that of people. Half is believed.
    place = place_of(people, np.array([5.0, 1.0]), 8)
    assert np.linalg.norm(place.mean) == pytest.approx(1.0)
    np.testing.assert_allclose(place.covariance, 0.5 * one, atol=1e-12)
    assert np.linalg.norm(place_of(people, np.array([5.0, 1.0]), 8000).mean) == pytest.approx(
        2.0, abs=0.01
    )


def test_shares_of_people_are_those_of_a_normal_distribution():
    people = normal_population(TwoCovariance(np.zeros(2), np.eye(2), np.eye(2), np.eye(2)))
    assert radius_of(people, 0.5) == pytest.approx(np.sqrt(2 * np.log(2)))
    known = Place(np.array([0.0, radius_of(people, 0.8)]), np.zeros((2, 2)))
    assert share_nearer(people, known) == pytest.approx((0.8, 0.8, 0.8), abs=0.01)
    vague = share_nearer(people, known._replace(covariance=0.3 * np.eye(2)))
    assert vague[0] < 0.6 < 0.8 < vague[2]


def test_what_was_measured_is_of_the_shipped_model_and_of_no_single_person():
    stored = json.loads((pictures._SHIPPED.parent / "osie_mouse.json").read_text())
    measured = read_measured(stored["encoder_digest"])
    assert measured == stored
    assert read_measured("another") is None
    people = measured_population(measured)
    assert radius_of(people, 0.5) < radius_of(people, 0.8) < radius_of(people, 0.95)
    numbers = sum(isinstance(one, float) for one in _leaves(stored))
    assert numbers < 129 * 5  # A mean, two directions and curves; 649 people would be 83,721.


def _leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for one in value for leaf in _leaves(one)]
    return [value]


@pytest.mark.parametrize(
    ("value", "residual", "correlation", "verdict", "sentence"),
    [
        (2.0, 0.1, 0.8, "more", "Your gaze moves in longer steps than at least 9 in 10 others."),
        (-1.0, 0.5, 0.4, "less", "Your gaze moves in shorter steps than at least 6 in 10 others."),
        (0.1, 0.5, 0.6, "alike", "About as most others."),
        (0.1, 0.5, 0.4, "unknown", "Not known."),
        (2.0, 0.1, 0.2, "unknown", "Not known."),
        (2.0, 0.1, None, "unknown", "Not known."),
    ],
)
def test_a_trait_is_told_only_where_it_can_be(value, residual, correlation, verdict, sentence):
    found = traits.estimate("saccade_length", value, residual, 0.0, 1.0, correlation)
    assert (found.verdict, found.sentence) == (verdict, sentence)


def test_fewer_pictures_take_the_curve_of_fewer():
    row = {
        "mean": 0.0,
        "standard_deviation": 1.0,
        "4": {"intercept": 0.0, "slope": 0.5, "residual": 0.5, "correlation": 0.6},
        "8": {"intercept": 0.0, "slope": 1.0, "residual": 0.5, "correlation": 0.6},
    }
    for number, share in ((2, 0.5), (7, 0.5), (8, 1.0), (16, 1.0)):
        [found] = traits.estimate_measured({"spread": row}, {"spread": 1.0}, number)
        assert found.share == pytest.approx({0.5: 0.691, 1.0: 0.841}[share], abs=1e-3)


def test_a_pointer_that_rests_becomes_fixations():
    places = np.array([[0.0, 0], [10, 0], [200, 0], [400, 0], [400, 10], [410, 0]])
    xy_px, duration_ms = answers.rests_of(places)
    np.testing.assert_allclose(xy_px, [[5, 0], [1210 / 3, 10 / 3]])
    assert duration_ms.tolist() == [80, 120]  # The place at 200 is passed, not looked at.
    xy_px, duration_ms = answers.rests_of(np.array([[0.0, 0], [100, 0]]))
    assert (len(xy_px), duration_ms.tolist()) == (2, [40, 40])


def test_exported_gaze_is_in_pixels_of_the_files(shown):
    tried = answers.Tried(None, "", None, True, True, None, None, [shown[0]._replace(scale=2.0)])
    table = answers.gaze_table(tried, [[Viewing(0, np.array([[1.0, 2.0], [3.5, 4.0]]))]])
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [(one["x"], one["y"], one["t_ms"]) for one in rows] == [
        ("2.00", "4.00", "0"),
        ("7.00", "8.00", "40"),
    ]
    assert {(one["image"], one["user"], one["session"]) for one in rows} == {
        ("astronaut.jpg", "me", "round1")
    }


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "The request needs one or two rounds."),
        ({"rounds": [[]] * 3}, "The request needs one or two rounds."),
        ({"rounds": [5]}, "Round 1 is no list of at most 20 viewings."),
        ({"rounds": [[5]]}, "A viewing of round 1 is no object."),
        ({"rounds": [[{"picture": 20}]]}, "The request needs the number of a picture, 0 to 19."),
        ({"rounds": [[{"picture": True}]]}, "The request needs the number of a picture, 0 to 19."),
        (
            {"rounds": [[{"picture": 0, "x": [], "y": [1]}]]},
            "Picture 0 of round 1 needs 1 to 5000 values of x.",
        ),
        (
            {"rounds": [[{"picture": 0, "x": [1], "y": [513]}]]},
            "Picture 0 of round 1 has y outside of 0 to 512.",
        ),
        (
            {"rounds": [[{"picture": 0, "x": [float("nan")], "y": [1]}]]},
            "Picture 0 of round 1 has x outside of 0 to 512.",
        ),
        (
            {"rounds": [[{"picture": 0, "x": [10**400], "y": [1]}]]},
            "Picture 0 of round 1 has x outside of 0 to 512.",
        ),
        (
            {"rounds": [[{"picture": 0, "x": ["1"], "y": [1]}]]},
            "Picture 0 of round 1 has x outside of 0 to 512.",
        ),
        (
            {"rounds": [[{"picture": 0, "x": [1, 2], "y": [1]}]]},
            "Picture 0 of round 1 has more x than y, or fewer.",
        ),
        (
            {"rounds": [[{"picture": 0, "x": [1], "y": [1]}] * 2]},
            "Round 1 has a picture twice.",
        ),
    ],
)
def test_wrong_rounds_are_refused_in_one_sentence(shown, body, sentence):
    with pytest.raises(RefusedError) as found:
        requests.read_rounds(body, shown)
    assert str(found.value) == sentence


def test_the_lower_right_corner_is_inside(shown):
    [[found]] = requests.read_rounds({"rounds": [[{"picture": 0, "x": [512], "y": [0]}]]}, shown)
    assert found.xy_px.tolist() == [[511.99, 0.0]]


def test_folders_and_their_pictures(tmp_path, shown):
    with pytest.raises(ValueError, match="is not a folder; allowed: a folder of pictures"):
        pictures.pictures_of_folder(tmp_path / "none")
    for number in range(19):
        (tmp_path / f"{number:02}.jpg").write_bytes(shown[number].encoded)
    with pytest.raises(ValueError, match="holds 19 pictures, JPEG or PNG; allowed: at least 20"):
        pictures.pictures_of_folder(tmp_path)
    (tmp_path / "wide.PNG").write_bytes(_png(1600, 400))
    found = pictures.pictures_of_folder(tmp_path)
    assert tuple(one.part for one in found) == pictures.PARTS
    assert len({one.file for one in found}) == 20
    [wide] = [one for one in found if one.file == "wide.PNG"]
    assert (wide.pixels.shape, wide.scale) == ((200, 800, 3), 2.0)
    assert pictures.media_type(wide.encoded) == "image/jpeg"


def _png(width, height):
    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", (width, height), (9, 99, 199)).save(content, format="PNG")
    return content.getvalue()
