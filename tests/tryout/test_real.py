"""People of OSIE's laboratory, whose tracks are those of the page: does the page match them?"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from gazejax.data.reader import open_source, read_record
from gazejax.tryout import answers, pictures, server
from gazejax.tryout.requests import Viewing, read_rounds
from tests.browser import LAUNCH, skip_without_chromium, stopped_time
from tests.tiny import ROOT
from tfds_builders.common.build import build

pytestmark = [pytest.mark.real, pytest.mark.slow]
NUM_PLACES = 125


@pytest.fixture(scope="module")
def data_dir(made_once):
    raw = os.environ.get("GAZEJAX_RAW_DATA")
    if raw is None:
        pytest.skip("GAZEJAX_RAW_DATA is not set")
    return made_once("mouse_lab", lambda to: build("osie/mouse_lab", Path(raw) / "osie", to))


def tracks_of(record):
    """The first track of each user on a picture, at as many places as the page takes."""
    gaze = record["gaze"]
    first = gaze["trial"] == 0
    found = {}
    for user in np.unique(gaze["user"][first]):
        xy = gaze["xy_px"][first & (gaze["user"] == user)]
        found[int(user)] = xy[np.round(np.linspace(0, len(xy) - 1, NUM_PLACES)).astype(int)]
    return found


def test_two_rounds_of_a_person_are_more_alike_than_those_of_two(data_dir):
    shown = pictures.pictures_of_dataset("osie/mouse_lab", data_dir)
    source = open_source("osie/mouse_lab", data_dir)
    records = [read_record(source, number) for number in range(len(source.records))]
    by_name = {record["image_id"].decode(): record for record in records}
    tracks = [tracks_of(by_name[picture.file]) for picture in shown]
    tried = server.load_tried("osie_mouse", shown)
    people = [user for user in range(16) if sum(user in one for one in tracks[:16]) >= 14]
    rounds = {}
    for user in people:
        seen = [number for number in range(16) if user in tracks[number]]
        body = {
            "rounds": [
                [
                    {
                        "picture": number,
                        "x": tracks[number][user][:, 0].tolist(),
                        "y": tracks[number][user][:, 1].tolist(),
                    }
                    for number in seen
                    if shown[number].part == part
                ]
                for part in ("first", "second")
            ]
        }
        rounds[user] = read_rounds(body, shown)
    embeddings = {
        user: [answers.embed(tried, _moved(viewings)) for viewings in both]
        for user, both in rounds.items()
    }
    probability = np.array(
        [
            [
                answers.compare(tried, one[0], other[1])["probability"]
                for other in embeddings.values()
            ]
            for one in embeddings.values()
        ]
    )
    same = np.diag(probability)
    different = probability[~np.eye(len(probability), dtype=bool)]
    higher = (same[:, None] > different[None]).mean()
    first = (probability.argmax(axis=1) == np.arange(len(same))).mean()
    print(
        f"{len(people)} people: {higher:.3f} of all pairs of a person above pairs of two; the own "
        f"second round first of {len(people)} for {first:.3f}; above .5: {(same > 0.5).mean():.3f} "
        f"of one person, {(different > 0.5).mean():.3f} of two"
    )
    # The axes of the plot say what the traits say.
    described = [answers.describe_rounds(tried, both) for both in rounds.values()]
    across = [one["place"]["at"][0] for one in described]
    steps = [
        next(trait["share"] for trait in one["traits"] if trait["name"] == "saccade_length")
        for one in described
    ]
    print("correlation of the first direction and of steps:", np.corrcoef(across, steps)[0, 1])
    assert higher > 0.75
    assert np.corrcoef(across, steps)[0, 1] < -0.5
    # Two people alone, as on the page.
    assert probability[0, 0] > probability[0, 1]
    assert probability[1, 1] > probability[1, 0]


def _moved(viewings: list[Viewing]) -> list[Viewing]:
    return [one for one in viewings if answers.has_moved(one.xy_px)]


def test_a_pointer_that_follows_the_tracks_of_two_people_is_recognised(data_dir):
    """Sixteen pictures of 5 s each, of two people at once, each in a window of its own."""
    skip_without_chromium()
    shown = pictures.pictures_of_dataset("osie/mouse_lab", data_dir)
    source = open_source("osie/mouse_lab", data_dir)
    records = [read_record(source, number) for number in range(len(source.records))]
    by_name = {record["image_id"].decode(): record for record in records}
    tracks = [tracks_of(by_name[picture.file]) for picture in shown]
    people = [4, 12]  # Two who look differently; the test above says it of all pairs.
    options = ["--dataset", "osie/mouse_lab", "--data-dir", str(data_dir), "--no-browser"]
    command = [sys.executable, "-m", "gazejax", "try", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as program:
        address = program.stdout.readline().strip()
        with ThreadPoolExecutor(2) as pool:
            kept = list(pool.map(lambda user: _follow(address, tracks, user), people))
        program.terminate()
        assert program.wait(60) == 0
    tried = server.load_tried("osie_mouse", shown)
    rounds = [read_rounds(one, shown) for one in kept]
    # The page recorded what the pointer did: places are near those of the track.
    for user, both in zip(people, rounds, strict=True):
        for one in both[0] + both[1]:
            track = tracks[one.picture][user]
            assert len(one.xy_px) > 100
            far = np.linalg.norm(one.xy_px[:, None] - track[None], axis=-1).min(axis=1)
            assert np.median(far) < 10
    embeddings = [[answers.embed(tried, _moved(one)) for one in both] for both in rounds]
    probability = np.array(
        [
            [answers.compare(tried, one[0], b[1])["probability"] for b in embeddings]
            for one in embeddings
        ]
    )
    print("first round of a person, second round of each:", probability.round(2).tolist())
    assert probability[0, 0] > probability[0, 1]
    assert probability[1, 1] > probability[1, 0]


def _follow(address, tracks, user):
    """Leads a pointer along the tracks of a user; the rounds that the page then keeps."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**LAUNCH)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        page.clock.install(time=0)
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        for button, first in (("#begin", 0), ("#again", 8)):
            page.click(button)
            with stopped_time(page):
                for number in range(8):
                    page.locator("#number").filter(has_text=str(number + 1)).wait_for()
                    page.click("#start")
                    box = page.locator("#stage").bounding_box()
                    for place in tracks[first + number][user]:
                        x, y = place / (800, 600) * (box["width"], box["height"])
                        page.mouse.move(box["x"] + x, box["y"] + y)
                        page.clock.run_for(40)
            page.locator("#result:not([hidden])").wait_for()
            page.locator("#map-text").filter(has_text=".").wait_for()
        kept = page.evaluate("() => JSON.parse(sessionStorage.getItem('gazejax'))")
        browser.close()
    return kept
