"""The page in a browser: a scripted pointer goes through it, at two widths, light and dark.

`GAZEJAX_TRY_SHOTS=DIR` saves what it looks like.
"""

import io
import math
import os
import subprocess
import sys

import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from gazejax import Embedding
from tests.browser import LAUNCH, check_page, skip_without_chromium, stopped_time
from tests.tiny import ROOT

skip_without_chromium()
pytestmark = pytest.mark.slow
SECONDS = 0.6
WAITING_MS = 60_000


@pytest.fixture(scope="module")
def address():
    command = [sys.executable, "-m", "gazejax", "try", "--no-browser", "--seconds", str(SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as program:
        yield program.stdout.readline().strip()
        program.terminate()
        assert program.wait(60) == 0


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**LAUNCH)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, address):
    """Opens the page; whatever its scripts complain about is an error of the test."""
    contexts, complaints = [], []

    def opened(width=1280, height=800, scheme="light", **options):
        size = {"width": width, "height": height}
        context = browser.new_context(viewport=size, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAITING_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda one: complaints.extend(_elsewhere(one.url, address)))
        page.clock.install(time=0)
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _elsewhere(url, address):
    own = address.split("/?")[0]
    return [] if url.startswith((own, "blob:" + own, "data:")) else [url]


def wait_for_picture(page, number):
    expect(page.locator("#number")).to_have_text(str(number), timeout=WAITING_MS)
    page.locator("#start").wait_for()


def wave(page, phase=0.0):
    box = page.locator("#stage").bounding_box()
    for step in range(int(SECONDS * 1000 / 45)):
        angle = step / 3 + phase
        page.mouse.move(
            box["x"] + box["width"] * (0.5 + 0.3 * math.cos(angle)),
            box["y"] + box["height"] * (0.5 + 0.3 * math.sin(angle)),
        )
        page.clock.run_for(45)


def look_at_round(page, look=wave, press=lambda page: page.click("#start")):
    with stopped_time(page):
        for number in range(1, 9):
            wait_for_picture(page, number)
            press(page)
            look(page, number)
            page.clock.run_for(int(SECONDS * 1000))


def wait_for_result(page):
    page.locator("#result:not([hidden])").wait_for()
    page.locator("#map-text").filter(has_text=".").wait_for()


def shoot(page, name):
    folder = os.environ.get("GAZEJAX_TRY_SHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.mark.parametrize(("width", "height", "scheme"), [(1280, 800, "light"), (390, 844, "dark")])
def test_two_rounds_from_the_first_text_to_delete_all(open_page, tmp_path, width, height, scheme):
    page = open_page(width, height, scheme, bypass_csp=True)
    assert "Nothing leaves this computer" in page.inner_text("#privacy")
    check_page(page)
    page.click("#begin")
    wait_for_picture(page, 1)
    check_page(page)
    look_at_round(page)
    wait_for_result(page)
    assert page.inner_text("#basis") == "From 8 pictures of one round."
    assert page.locator("#plot circle.people").count() == 3
    assert page.locator(".trait").count() >= 1
    check_page(page)
    shoot(page, f"{width}_{scheme}_first")
    page.click("#again")
    look_at_round(page)
    wait_for_result(page)
    assert page.inner_text("#basis") == "From 16 pictures of two rounds."
    assert "the probability of one person is" in page.inner_text("#again-text")
    check_page(page)
    shoot(page, f"{width}_{scheme}_second")

    picture = "() => document.getElementById('map').toDataURL()"
    before = page.evaluate(picture)
    page.locator("#wipe").fill("90")
    moved = page.evaluate(picture)
    page.check("#difference")
    assert len({before, moved, page.evaluate(picture)}) == 3
    page.uncheck("#difference")
    words = page.inner_text("#map-text")
    page.locator("#choices button").nth(2).click()
    expect(page.locator("#choices button").nth(2)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#map-text")).not_to_have_text(words, timeout=WAITING_MS)

    content = io.BytesIO()
    Image.effect_noise((500, 250), 90).convert("RGB").save(content, format="PNG")
    own = {"name": "own.png", "mimeType": "image/png", "buffer": content.getvalue()}
    page.set_input_files("#upload", own)
    page.wait_for_function("() => document.getElementById('map').width === 500")
    wrong = {"name": "own.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.set_input_files("#upload", wrong)
    page.locator("#status.error").filter(has_text="does not decode").wait_for()

    with page.expect_download() as download:
        page.click("#save-embedding")
    download.value.save_as(tmp_path / "me.npz")
    assert Embedding.load(tmp_path / "me.npz").num_images == 16
    with page.expect_download() as download:
        page.click("#save-gaze")
    download.value.save_as(tmp_path / "me.csv")
    rows = (tmp_path / "me.csv").read_text().splitlines()
    assert rows[0] == "image,user,session,x,y,t_ms"
    assert len(rows) > 16 * SECONDS * 1000 / 40 * 0.5

    page.click("#delete")
    page.locator("#status").filter(has_text="All is deleted").wait_for()
    assert page.evaluate("() => sessionStorage.length") == 0
    assert page.locator("#traits *").count() == 0
    page.set_input_files("#load", tmp_path / "me.npz")
    page.locator("#basis").filter(has_text="From the file that you opened, of 16").wait_for()
    page.set_input_files("#load", tmp_path / "me.csv")
    page.locator("#status.error").filter(has_text="is no embedding").wait_for()


def test_all_is_done_with_the_keyboard(open_page):
    page = open_page()
    page.focus("#begin")
    page.keyboard.press("Enter")

    def press_enter(page):
        expect(page.locator("#start")).to_be_focused()
        page.keyboard.press("Enter")

    def press_arrows(page, number):
        for arrow in ("ArrowLeft", "ArrowUp", "ArrowUp", "ArrowRight", "ArrowDown"):
            page.keyboard.press(arrow)
            page.clock.run_for(40)

    look_at_round(page, press_arrows, press_enter)
    wait_for_result(page)
    page.focus("#wipe")
    before = page.input_value("#wipe")
    page.keyboard.press("ArrowRight")
    assert page.input_value("#wipe") != before


def test_a_pointer_that_rests_a_resize_and_a_reload(open_page):
    page = open_page()
    page.click("#begin")
    wait_for_picture(page, 1)
    with stopped_time(page):
        page.click("#start")
        page.set_viewport_size({"width": 700, "height": 800})
        page.locator("#status").filter(has_text="changed its size").wait_for()
    wait_for_picture(page, 1)  # The picture is shown again.
    page.click("#start")
    page.locator("#status").filter(has_text="did not move").wait_for()
    wait_for_picture(page, 2)
    page.reload()
    page.locator("#status").filter(has_text="that round starts anew").wait_for()
    assert page.locator("#resume").is_hidden()
    page.click("#begin")
    look_at_round(page, look=lambda page, number: None)
    page.locator("#status").filter(has_text="moved in 0 of 8 pictures. At least 4").wait_for()
    page.click("#begin")
    wait_for_picture(page, 1)
    page.click("#stop")
    page.locator("#status").filter(has_text="The round was deleted").wait_for()
    assert page.locator("#resume").is_hidden()


def test_a_result_is_there_after_a_reload_and_after_a_round_that_was_stopped(open_page):
    page = open_page()
    page.click("#begin")
    look_at_round(page)
    wait_for_result(page)
    page.reload()
    page.click("#resume")
    wait_for_result(page)
    assert page.inner_text("#basis") == "From 8 pictures of one round."
    page.click("#again")
    look_at_round(page)
    wait_for_result(page)
    page.click("#again")  # Anew: the two rounds are replaced when the new one is complete.
    wait_for_picture(page, 1)
    page.click("#stop")
    page.locator("#status").filter(has_text="The round was deleted").wait_for()
    assert page.inner_text("#basis") == "From 16 pictures of two rounds."


def test_a_finger_moves_the_sharp_window(open_page):
    page = open_page(390, 844, has_touch=True, is_mobile=True)
    session = page.context.new_cdp_session(page)
    page.tap("#begin")

    def draw(page, number):
        box = page.locator("#stage").bounding_box()
        for step in range(9):
            point = {
                "x": box["x"] + box["width"] * (0.2 + 0.06 * step),
                "y": box["y"] + box["height"] * (0.3 + 0.04 * step),
            }
            kind = "touchMove" if step else "touchStart"
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
            page.clock.run_for(40)
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    # Not tapped: so soon after the picture before, a browser takes a second tap for a double one.
    look_at_round(page, draw)
    wait_for_result(page)
    assert page.inner_text("#basis") == "From 8 pictures of one round."


def test_a_model_of_gaze_without_maps_says_so(open_page, address):
    page = open_page()

    def changed(route):
        about = route.fetch().json()
        lacks = {"tracking": "eye", "has_maps": False, "can_compare": False}
        route.fulfill(json=about | lacks | {"population": None, "is_measured": False})

    page.route("**/api/about", changed)
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    notes = page.inner_text("#notes")
    assert "trained on gaze, not on the mouse" in notes
    assert "predicts no maps" in notes
    page.click("#begin")
    look_at_round(page)
    page.locator("#place-text").filter(has_text="is not known of this model").wait_for()
    assert page.locator("#maps-section").is_hidden()
    assert "not calibrated" in page.inner_text("#again-text")


def test_an_address_without_the_token_shows_a_sentence(browser, address):
    page = browser.new_context().new_page()
    response = page.goto(address.split("?")[0])
    assert response.status == 403
    assert "it has a token" in page.inner_text("body")
