"""The console in a browser with 40 sources and 500 dead letters of 12 causes: nothing scrolls sideways, axe-core finds nothing, the
keyboard is soon at the first letter."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from tests.crowd import Crowd
from tests.web.browsing import PAGES, SHOTS, TOKEN, Site, serve, shoot, sign_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: A copy of axe-core, where there is one: its rules are looked at, too.
AXE = os.environ.get("RELAY_AXE", "")
#: Colours change no width: all four are looked at where contrasts are, or pictures are kept.
LOOKS = [(420, "light"), (1400, "dark"), *([(420, "dark"), (1400, "light")] if AXE or SHOTS else [])]

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


def test_no_page_scrolls_sideways_and_axe_finds_nothing(
    chromium: Browser, crowded: tuple[Site, dict[str, str]]
) -> None:
    site, ids = crowded
    axe = Path(AXE).read_text(encoding="utf-8") if AXE else ""
    for width, scheme in LOOKS:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
            bypass_csp=bool(axe),
        )
        page = context.new_page()
        sign_in(page, site)
        for name, path in crowded_pages(ids).items():
            page.goto(f"{site.url}/console{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            shoot(page, f"{name}-{width}-{scheme}")
            if axe:
                page.evaluate(axe)
                assert page.evaluate("async () => (await axe.run()).violations.map(v => v.id)") == [], path
        context.close()


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
