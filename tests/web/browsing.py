"""A real browser for the console's pages: Debian's chromium under Playwright. RELAY_SCREENSHOTS names a folder to keep pictures in."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.applications import Starlette

from relay.web import api, console
from tests.operating import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("RELAY_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
TOKEN = "operators-only-" + "x" * 20
PAGES = {
    "overview": "", "events": "/events", "dead": "/dead", "trace": "/trace", "sources": "/sources", "source": "/sources/slack", "rules": "/rules",
    "differences": "/differences", "audit": "/audit", "companies": "/companies", "drops": "/drops", "system": "/system",
}  # fmt: skip
SHOTS = os.environ.get("RELAY_SCREENSHOTS", "")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI"):
            pytest.fail(f"CI must have a browser at {CHROMIUM}")
        pytest.skip(
            f"NO BROWSER TESTS: {CHROMIUM} is not there; install chromium, or name one in RELAY_CHROMIUM"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Site:
    def __init__(self, shop: Shop, url: str) -> None:
        self.shop, self.url = shop, url


def serve(shop: Shop, app: Starlette | None = None) -> Iterator[Site]:
    """`app`: the application to look at; left out: console and API of the shop's one lane."""
    app = app or Starlette(routes=[*console.routes(shop.context), *api.api_routes(shop.context)])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Site(shop, f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(
        viewport={"width": 1280, "height": 900}, timezone_id="Asia/Tokyo", locale="en-GB"
    )
    context.set_default_timeout(10_000)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    # A CSP violation, a script error, a missing file: none of them may go unseen. Refusals are expected to be logged.
    assert not [text for text in problems if "status of 4" not in text and "status of 503" not in text], (
        problems
    )


def sign_in(page: Page, site: Site, heading: str = "Overview") -> None:
    page.goto(site.url + "/console")
    page.get_by_label("Operator token").fill(TOKEN)
    page.get_by_label("Your name (optional)").fill("Ann")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name=heading).wait_for()


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)
