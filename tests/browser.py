"""Pages in Debian's Chromium: opened, checked for errors, requests and faults of accessibility."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
# Without the switches of the background, a browser asks for addresses elsewhere.
LAUNCH: dict[str, Any] = {
    "executable_path": CHROMIUM,
    "args": [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ],
}


def skip_without_chromium() -> None:
    """Skips a test, or a module while it is imported, by name."""
    if not CHROMIUM.is_file():
        pytest.skip(f"no Chromium at {CHROMIUM}", allow_module_level=True)


@contextlib.contextmanager
def stopped_time(page: Any) -> Iterator[None]:
    """Time passes by `page.clock.run_for(milliseconds)` alone, however busy the machine is.

    Before the page is opened, its clock must be installed.
    """
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    yield
    page.clock.resume()


@contextlib.contextmanager
def open_page(address: str, width: int) -> Iterator[Any]:
    """Opens a page; at its end, no error and no request elsewhere may have happened."""
    skip_without_chromium()
    from playwright.sync_api import sync_playwright

    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**LAUNCH)
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else 0)
        origin = "/".join(address.split("/")[:3])
        page.on(
            "request",
            lambda one: (
                0 if one.url.startswith((origin, "data:", "blob:")) else problems.append(one.url)
            ),
        )
        page.goto(address)
        yield page
        browser.close()
    assert problems == []


def check_page(page: Any) -> None:
    """Checks that axe-core finds no serious fault, and that nothing is wider than the window."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"]) for one in serious] == []
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
