"""The console in a real browser: Debian's chromium under Playwright. Each page empty, busy and broken; the keyboard, the
dark, and hostile payloads that must not run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from relay.operations.sign_in import make_code
from tests.operating import Shop
from tests.web.browsing import PAGES, TOKEN, Site, serve, shoot, sign_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture
def site(redis_client: redis.Redis, tmp_path: Path) -> Iterator[Site]:
    yield from serve(Shop(redis_client, tmp_path, token=TOKEN))


def make_busy(shop: Shop) -> dict[str, str]:
    """A day's traffic by the real clock: delivered, waiting, dead of two causes, filtered, refused."""
    now = shop.outbox.now_ms()
    for minute in range(55, 0, -1):
        for n in range(1 + (minute * 7) % 5):
            shop.arrive(
                f"message {minute}",
                number=minute * 10 + n,
                ts=f"17{minute:02}000{n:03}.000100",
                now_ms=now - minute * 60_000,
            )
    shop.deliver(now - 30_000)
    for number in range(900, 912):
        shop.arrive(
            "a subject that Planhat refuses " + HOSTILE,
            number=number,
            ts=f"1700000{number}.000100",
            now_ms=now - 20_000,
        )
    dead_ids = shop.bury("the subject is too long", now_ms=now - 15_000)
    shop.arrive("no company here", source="second", number=950, ts="1700000950.000100", now_ms=now - 12_000)
    shop.bury("no company found", now_ms=now - 11_000, stage="resolve")
    event_id = shop.arrive("it waits", number=970, ts="1700000970.000100", now_ms=now - 4_000)
    shop.arrive(
        "a reply waits", number=971, ts="1700000971.000100", thread="1700000970.000100", now_ms=now - 2_000
    )
    shop.arrive("drop me", number=980, ts="1700000980.000100", now_ms=now - 1_000)
    prefix = shop.outbox.prefix
    shop.outbox.redis.hincrby(prefix + "ledger:slack", "rejected", 3)
    shop.outbox.redis.hincrby(prefix + "ledger:slack", "signature_failures", 3)
    for reason in ("signature", "signature", "stale"):
        shop.outbox.redis.lpush(
            prefix + "rejected",
            f'{{"source":"slack","reason":"{reason}","kind":"NotAuthentic","at_ms":{now - 5000}}}',
        )
    for n in range(40):
        sample = f'{{"at_ms":{now - (40 - n) * 60_000},"pending":{n % 9},"delivered":{n * 12},"oldest_s":{n % 7},"calls":{n % 30},"dead":{n // 3}}}'
        shop.outbox.redis.rpush(prefix + "samples", sample)
    for _ in range(17):
        shop.delivery.take_call(150)
    return {"dead": dead_ids[0], "event": event_id}


def test_every_page_when_there_is_nothing_yet(page: Page, site: Site) -> None:
    page.goto(site.url + "/console/dead")
    assert page.get_by_label("Operator token").is_visible()
    shoot(page, "sign-in")
    sign_in(page, site)
    for name, path in PAGES.items():
        page.goto(f"{site.url}/console{path}")
        assert page.locator("h1").count() == 1
        shoot(page, f"{name}-empty")
    page.goto(site.url + "/console")
    assert page.get_by_text("No event has come in yet").is_visible()


def test_every_page_when_much_goes_on(page: Page, site: Site) -> None:
    ids = make_busy(site.shop)
    sign_in(page, site)
    for name, path in PAGES.items():
        page.goto(f"{site.url}/console{path}")
        shoot(page, f"{name}-busy")
    page.goto(f"{site.url}/console/dead/{ids['dead']}")
    assert page.get_by_role("heading", name="Dead letter", exact=True).is_visible()
    shoot(page, "letter-busy")
    page.goto(f"{site.url}/console/trace?id={ids['event']}")
    assert page.get_by_text("queued").first.is_visible()
    shoot(page, "trace-found")
    assert page.title() != "owned"


def test_every_page_when_redis_is_away_or_planhat_is_blocked(page: Page, site: Site) -> None:
    site.shop.delivery.block(site.shop.outbox.now_ms() + 30_000, "401: the token was refused")
    sign_in(page, site)
    assert page.get_by_text("Delivery is blocked: 401").is_visible()
    shoot(page, "overview-blocked")
    site.shop.lose_redis()
    for name, path in PAGES.items():
        page.goto(f"{site.url}/console{path}{'?id=x' if name == 'trace' else ''}")
        if name != "rules":
            assert page.get_by_role("heading", name="Redis is away").is_visible()
        shoot(page, f"{name}-broken")


def test_a_letter_is_mended_by_hand_from_list_to_replay(page: Page, site: Site) -> None:
    make_busy(site.shop)
    sign_in(page, site)
    page.get_by_role("navigation").get_by_role("link", name="Dead letters").click()
    page.get_by_role("rowheader").get_by_role("link").last.click()
    page.get_by_label("Field").fill("subject")
    page.get_by_label("New value").fill("Short")
    page.get_by_role("button", name="Keep the edit").click()
    assert page.get_by_text("The edit is kept").is_visible()
    assert page.get_by_role("cell", name="console:Ann").is_visible()
    page.get_by_role("button", name="Replay this one").click()
    assert page.get_by_text("it waits for delivery again").is_visible()
    before = site.shop.outbox.dead.count()

    page.get_by_role("button", name="Replay the group the subject is too long").click()
    assert page.get_by_role("heading", name="Replay 11 dead letters?").is_visible()
    shoot(page, "replay-confirm")
    page.get_by_role("button", name="Replay them").click()
    page.get_by_role("status").get_by_text("done").wait_for()
    shoot(page, "operation-done")
    assert site.shop.outbox.dead.count() == before - 11


def test_the_overview_refreshes_itself_and_pauses(page: Page, site: Site) -> None:
    sign_in(page, site)
    assert page.get_by_text("No event has come in yet").is_visible()
    site.shop.arrive("hello", now_ms=site.shop.outbox.now_ms())
    page.get_by_role("rowheader", name="slack").wait_for(timeout=8000)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Pause delivery").click()
    page.get_by_role("button", name="Resume delivery").wait_for()
    assert site.shop.delivery.read().state == "paused"
    page.get_by_role("button", name="Resume delivery").click()
    page.get_by_role("button", name="Pause delivery").wait_for()
    assert site.shop.delivery.read().state == "open"


def test_the_playground_shows_the_conversation(page: Page, site: Site) -> None:
    sign_in(page, site)
    page.get_by_role("navigation").get_by_role("link", name="Rules").click()
    page.get_by_role("button", name="Use a sample").click()
    assert page.get_by_role("heading", name="What the relay would do").is_visible()
    assert page.get_by_role("heading", name="The company").is_visible()
    assert page.get_by_text("extid-acme").first.is_visible()
    shoot(page, "rules-explained")


def test_times_are_the_viewers_and_utc_on_hover(page: Page, site: Site) -> None:
    event_id = site.shop.arrive("hello")
    sign_in(page, site)
    page.goto(f"{site.url}/console/trace?id={event_id}")
    time_of = page.get_by_role("main").locator("time").first
    assert time_of.get_attribute("title") == "2027-01-15 08:00:00 UTC"
    assert time_of.inner_text() == "15/01/2027, 17:00:00"


def test_everything_can_be_read_and_done_without_javascript(chromium: Browser, site: Site) -> None:
    ids = make_busy(site.shop)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, site)
    assert page.locator("svg.plot rect").count() > 5
    page.goto(f"{site.url}/console/dead/{ids['dead']}")
    assert "UTC" in page.locator("time").first.inner_text()
    page.get_by_role("button", name="Replay this one").click()
    assert page.get_by_text("it waits for delivery again").is_visible()
    context.close()


def test_hostile_payloads_do_not_run(page: Page, site: Site) -> None:
    ids = make_busy(site.shop)
    sign_in(page, site)
    for path in (f"/dead/{ids['dead']}", "/dead", f"/trace?id={ids['event']}"):
        page.goto(f"{site.url}/console{path}")
        assert page.evaluate("document.title") != "owned"
        assert page.locator("main script, main img").count() == 0


def test_a_url_is_copied_and_the_menu_closes(chromium: Browser, site: Site) -> None:
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    sign_in(page, site)
    page.goto(f"{site.url}/console/sources/slack")
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"{site.url}/hooks/slack"
    page.get_by_text("More", exact=False).first.click()
    page.get_by_role("link", name="System").wait_for()
    page.keyboard.press("Escape")
    assert not page.get_by_role("link", name="System").is_visible()
    context.close()


#: Relative luminance contrast of each text with the nearest opaque ground. Source: WCAG 2.2, "contrast ratio".
CONTRAST = """() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const lum = ([r, g, b]) => { const f = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 };
    return .2126 * f(r) + .7152 * f(g) + .0722 * f(b) };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.getClientRects().length) continue;
    let ground = null;
    for (let up = e; up && !ground; up = up.parentElement) {
      const c = parse(getComputedStyle(up).backgroundColor); if (c.length < 4 || c[3] > .99) ground = c; }
    const a = lum(parse(getComputedStyle(e).color)), b = lum(ground || [255, 255, 255]);
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.push(e.tagName + ' ' + e.className + ' ' + ratio.toFixed(2) + ' ' + e.textContent.slice(0, 30));
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_labels_and_landmarks(chromium: Browser, site: Site, scheme: str) -> None:
    ids = make_busy(site.shop)
    context = chromium.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    sign_in(page, site)
    for path in [*PAGES.values(), f"/dead/{ids['dead']}"]:
        page.goto(f"{site.url}/console{path}")
        assert page.evaluate(CONTRAST) == [], path
        assert page.get_by_role("main").count() == 1
        assert page.get_by_role("navigation", name="Pages").count() == 1
        unnamed = page.evaluate(
            "() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
            ".filter(e => !e.labels.length).map(e => e.outerHTML)"
        )
        assert unnamed == []
    context.close()


def test_the_keyboard_reaches_everything(page: Page, site: Site) -> None:
    sign_in(page, site)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_a_sign_in_link_leads_straight_in(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/console/sign-in?code={make_code(site.shop.outbox, name='Ann')}")
    page.get_by_role("heading", name="Overview").wait_for()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Pause delivery").click()
    page.get_by_text("Delivery is paused").first.wait_for()
    assert site.shop.delivery.read().state == "paused"
