"""The console in a browser, with 40 sources and 500 dead letters of 12 causes, and before the first event: nothing scrolls sideways,
axe-core finds nothing, no word of a table breaks in its middle, the keyboard is soon at the first letter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import redis

from relay.settings import Settings
from relay.web.assembly import create_app
from tests.crowd import Crowd
from tests.environ import WEAK
from tests.operating import Shop
from tests.web.browsing import PAGES, SHOTS, TOKEN, Site, serve, shoot, sign_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE: Final = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
#: Each width and each colours' contrasts; all four where pictures are kept.
LOOKS: Final = [(420, "light"), (1400, "dark"), *([(420, "dark"), (1400, "light")] if SHOTS else [])]
#: Cells of one word whose lines are more than its parts at blanks and hyphens allow.
BROKEN: Final = """() => [...document.querySelectorAll(".name")].filter((cell) => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  return !/[\\s.-]/.test(cell.textContent.trim()) && new Set([...range.getClientRects()].map((at) => at.top)).size > 1;
}).map((cell) => cell.textContent)"""

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture
def crowded(redis_client: redis.Redis, tmp_path: Path) -> Iterator[tuple[Site, dict[str, str]]]:
    """40 sources, 500 dead letters of 12 causes."""
    crowd = Crowd(redis_client, tmp_path, token=TOKEN)
    ids = crowd.fill()
    for site in serve(crowd):
        yield site, ids


def crowded_pages(ids: dict[str, str]) -> dict[str, str]:
    return {
        **PAGES,
        "source": "/sources/slack-onboarding-and-renewals",
        "cause": "/dead?cause=srcid",
        "letter": f"/dead/{ids['dead']}",
        "trace": f"/trace?id={ids['event']}",
        "event": f"/events/{ids['event']}",
        "error": "/dead/nobody",
    }


def looked_at(
    chromium: Browser,
    site: Site,
    pages: Mapping[str, str],
    looks: Sequence[tuple[int, str]],
    shots: str = "",
    heading: str = "Overview",
) -> None:
    for width, scheme in looks:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
            bypass_csp=True,
        )
        page = context.new_page()
        sign_in(page, site, heading)
        for name, path in pages.items():
            page.goto(f"{site.url}/console{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            assert page.evaluate(BROKEN) == [], (path, width)
            shoot(page, f"{shots}{name}-{width}-{scheme}")
            page.evaluate(AXE)
            assert page.evaluate("async () => (await axe.run()).violations.map(v => v.id)") == [], path
        context.close()


def test_no_page_scrolls_sideways_and_axe_finds_nothing(
    chromium: Browser, crowded: tuple[Site, dict[str, str]]
) -> None:
    site, ids = crowded
    looked_at(chromium, site, crowded_pages(ids), LOOKS)


def test_before_the_first_event_each_page_says_what_would_stand_there(
    chromium: Browser, redis_client: redis.Redis, tmp_path: Path
) -> None:
    pages = PAGES | {
        "source": "/sources/slack-emea",
        "nothing": "/events?text=nothing",
        "cause": "/dead?cause=zzz",
    }
    for site in serve(Crowd(redis_client, tmp_path, token=TOKEN)):
        looked_at(chromium, site, pages, LOOKS if SHOTS else LOOKS[:1], "empty-")


def test_the_pages_of_all_lanes_and_of_one(
    chromium: Browser, redis_client: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    shop = Shop(redis_client, tmp_path, token=TOKEN, lane="us")
    shop.arrive("refused", now_ms=shop.outbox.now_ms() - 40_000)
    shop.bury("the subject is too long", now_ms=shop.outbox.now_ms() - 30_000)
    shop.delivery.pause(by="cli:ann")
    settings = Settings.read(
        {
            **WEAK,
            "RELAY_REDIS_URL": redis_url,
            "RELAY_OPERATOR_TOKEN": TOKEN,
            "RELAY_CONFIG": str(tmp_path / "relay.yaml"),
        }
    )
    pages = {
        "lanes": "", "nowhere": "?id=nobody", "lane": "/lanes/us", "lane-dead": "/lanes/us/dead",
        "lane-events": "/lanes/us/events", "lane-error": "/lanes/us/dead/nobody", "lane-empty": "/lanes/emea",
    }  # fmt: skip
    for site in serve(shop, create_app(settings, dict(WEAK))):
        looked_at(chromium, site, pages, LOOKS, "lanes-", heading="Lanes")


def test_ten_tabs_lead_to_the_first_letter_and_forty_sources_are_folded(
    page: Page, crowded: tuple[Site, dict[str, str]]
) -> None:
    site, _ = crowded
    sign_in(page, site)
    page.goto(f"{site.url}/console/dead")
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.getAttribute('href') || ''"))
    assert any(path.startswith("/console/dead/dead_") for path in reached), reached
    page.goto(f"{site.url}/console/sources")
    assert page.get_by_role("row").count() == 1 + 12
    page.get_by_text("28 more").click()
    assert page.get_by_role("row").count() == 2 + 40
