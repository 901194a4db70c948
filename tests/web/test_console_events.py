"""The console's page of events: found, paged, live; one in full; sent again. And what a reader does not see there."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import redis
from starlette.applications import Starlette

from relay.web import console
from relay.web.console import events as events_page
from relay.web.console import events_live
from tests.operating import NOON, Caller, Shop
from tests.web.browsing import TOKEN, Site, serve, sign_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

READER = "readers-only-" + "y" * 24


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    made = Shop(redis_client, tmp_path, token=TOKEN, reader=READER)
    made.outbox.now_ms = lambda: NOON + 600_000  # type: ignore[method-assign]
    return made


def browser_of(shop: Shop, token: str = TOKEN) -> Caller:
    browser = Caller(Starlette(routes=list(console.routes(shop.context))), address="203.0.113.9")
    assert browser.post("/console/sign-in", data={"token": token, "name": "Ann"}).status_code == 303
    return browser


def csrf_of(text: str) -> str:
    return str(re.findall(r'name="csrf" value="([0-9a-f]+)"', text)[0])


def subjects(text: str) -> list[str]:
    return re.findall(r'<span class="clip">(\w[^<]*)</span></a>', html.unescape(text))


def fill(shop: Shop, number: int, word: str = "letter") -> list[str]:
    return [
        shop.arrive(f"{word} {n}", number=n, ts=f"1800000000.{n:06d}", now_ms=NOON + n * 1000, source="slack")
        for n in range(number)
    ]


# -- the list ------------------------------------------------------------------------------------------------------


def test_found_by_what_is_remembered_page_by_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_page, "EVENTS_A_PAGE", 3)
    fill(shop, 5)
    browser = browser_of(shop)
    first = browser.get("/console/events").text
    assert subjects(first) == ["letter 4", "letter 3", "letter 2"]
    assert "/console/events/live?" in first
    [older] = re.findall(r'<a href="(/console/events\?[^"]*after=[^"]*)">Older', first)
    second = browser.get(html.unescape(older)).text
    assert subjects(second) == ["letter 1", "letter 0"]
    # An older page stands still, and has no page after the last.
    assert "data-live" not in second
    assert ">Older<" not in second
    narrowed = browser.get("/console/events?text=letter+2&source=slack&kind=&state=pending").text
    assert subjects(narrowed) == ["letter 2"]
    assert 'data-live="/console/events/live?source=slack&amp;state=pending&amp;text=letter+2"' in narrowed
    assert "No event fits" in browser.get("/console/events?state=dead").text


def test_nonsense_is_named_and_what_was_typed_stays(shop: Shop) -> None:
    browser = browser_of(shop)
    for query, said in (("since=soonish", "since"), ("kind=mail", "kind"), ("after=zzz", "after")):
        refused = browser.get(f"/console/events?text=invoice&{query}")
        assert refused.status_code == 422
        assert f"{said}: " in html.unescape(refused.text)
        assert 'value="invoice"' in refused.text
    hostile = browser.get("/console/events?text=%3Cscript%3Ealert(1)%3C/script%3E&source=%22%3E%3Cb%3E")
    assert "<script>alert" not in hostile.text
    assert '"><b>' not in hostile.text


def test_a_reader_sees_no_people_and_cannot_ask_for_them(shop: Shop) -> None:
    [event_id] = fill(shop, 1, "secret")
    reader = browser_of(shop, READER)
    text = reader.get("/console/events").text
    assert event_id in text
    assert "secret" not in text
    assert "U061F7AUR" not in text
    for asked in ("text=secret", "from=U061F7AUR"):
        assert reader.get(f"/console/events?{asked}").status_code == 403
        assert reader.get(f"/console/events/live?{asked}").status_code == 403
    one = reader.get(f"/console/events/{event_id}").text
    assert "secret" not in one
    assert "Send again" not in one
    form = {"csrf": csrf_of(one)}
    assert reader.post(f"/console/events/{event_id}/resend", data=form).status_code == 403


# -- one -----------------------------------------------------------------------------------------------------------


def test_an_event_has_all_that_is_known_of_it(shop: Shop) -> None:
    event_id = shop.arrive("the invoice <b>is</b> wrong")
    shop.deliver()
    text = html.unescape(browser_of(shop).get(f"/console/events/{event_id}").text)
    for part in (
        '"user": "U061F7AUR"', "content-type: application/json", "slack-thread", "b1", "Open in Planhat",
        "extid-acme", "slack-C024BE91L-1800000000.000100", "/console/sources/slack", "{{ event.time }}",
    ):  # fmt: skip
        assert part in text, part
    assert "<b>is</b>" not in browser_of(shop).get(f"/console/events/{event_id}").text
    assert browser_of(shop).get("/console/events/evt_nobody").status_code == 404
    looks = browser_of(shop).get("/console/audit").text
    assert f"/events/{event_id}" in looks


def test_one_is_sent_again_and_where_nothing_differs_it_says_so(shop: Shop) -> None:
    event_id = shop.arrive("the invoice")
    shop.deliver()
    browser = browser_of(shop)
    path = f"/console/events/{event_id}"

    def resend() -> str:
        went = browser.post(f"{path}/resend", data={"csrf": csrf_of(browser.get(path).text)})
        assert went.status_code == 303
        return browser.get(went.headers["location"]).text

    assert "Nothing to send" in resend()
    shop.change_rules("{{ event.text | upper }}")
    assert "It waits for delivery again" in resend()
    assert shop.counts()["pending"] == 1
    assert shop.deliver() == 1
    assert "event resend" in browser.get("/console/audit").text
    dropped = shop.arrive("drop me", number=2, ts="1800000000.000200")
    shop.outbox.redis.setrange(f"{shop.outbox.prefix}event:{dropped}", 0, "d")
    refused = browser.post(
        f"/console/events/{dropped}/resend", data={"csrf": csrf_of(browser.get(path).text)}
    )
    assert refused.status_code == 422
    assert "would not send it" in refused.text


def test_a_dead_one_is_replayed_as_its_letter(shop: Shop) -> None:
    event_id = shop.arrive("the invoice")
    [dead_id] = shop.bury("Planhat refused it")
    browser = browser_of(shop)
    text = browser.get(f"/console/events/{event_id}").text
    assert f"/console/dead/{dead_id}" in text
    went = browser.post(f"/console/events/{event_id}/resend", data={"csrf": csrf_of(text)})
    assert "said=resent" in went.headers["location"]
    assert shop.counts() == {"accepted": 1, "pending": 1}


# -- live ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(events_live, "_EVERY_S", 0.02)
    yield from serve(shop)


def stream_of(client: httpx.Client, path: str) -> Iterator[tuple[str, str]]:
    """(event, data) as they come."""
    with client.stream("GET", path) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        name, data = "", list[str]()
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
            elif not line and name:
                yield name, "\n".join(data)
                name, data = "", []


def test_the_list_comes_again_whenever_it_changes(shop: Shop, site: Site) -> None:
    fill(shop, 1)
    with httpx.Client(base_url=site.url, timeout=10) as client:
        assert client.post("/console/sign-in", data={"token": TOKEN, "name": "Ann"}).status_code == 303
        heard = stream_of(client, "/console/events/live?source=slack")
        assert subjects(next(heard)[1]) == ["letter 0"]
        shop.arrive("another", number=7, ts="1800000000.000700", now_ms=NOON + 9000)
        assert subjects(next(heard)[1]) == ["another", "letter 0"]
        shop.deliver(NOON + 10_000)
        assert next(heard)[1].count(">delivered<") == 2
        assert client.get("/console/events/live?state=nonsense").status_code == 422


def test_whoever_signs_out_hears_no_more_and_there_are_only_so_many(
    shop: Shop, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_live, "_SIGN_S", 0.05)
    monkeypatch.setattr(events_live, "MOST_STREAMS", 1)
    fill(shop, 1)
    with httpx.Client(base_url=site.url, timeout=10) as client, httpx.Client(base_url=site.url) as other:
        for one in (client, other):
            assert one.post("/console/sign-in", data={"token": TOKEN, "name": "Ann"}).status_code == 303
        heard = stream_of(client, "/console/events/live")
        assert next(heard)[0] == "list"
        assert other.get("/console/events/live").status_code == 503
        page = client.get("/console/events")
        assert client.post("/console/sign-out", data={"csrf": csrf_of(page.text)}).status_code == 303
        assert next(heard) == ("end", "You are signed out.")
        assert list(heard) == []
        assert httpx.get(site.url + "/console/events/live").status_code == 401


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_in_a_browser_a_new_event_stands_on_top_and_keeps_still_for_who_is_in_the_list(
    shop: Shop, site: Site, page: Page
) -> None:
    fill(shop, 2)
    sign_in(page, site)
    page.get_by_role("link", name="Events", exact=True).click()
    page.get_by_text("live", exact=True).wait_for()
    shop.arrive("just now", number=7, ts="1800000000.000700", now_ms=NOON + 9000)
    page.get_by_role("link", name="just now").wait_for()
    first = page.locator("tbody tr").first
    assert "just now" in first.inner_text()
    # In the viewer's zone, also what has just come.
    assert "17:00" in first.inner_text()
    page.get_by_role("link", name="letter 0").focus()
    page.keyboard.press("Shift+Tab")
    shop.arrive("later", number=8, ts="1800000000.000800", now_ms=NOON + 10_000)
    page.wait_for_timeout(200)
    assert page.get_by_role("link", name="later").count() == 0
    page.get_by_role("heading", name="Events").click()
    page.get_by_role("link", name="later").wait_for()
    page.get_by_role("link", name="later").click()
    page.get_by_role("heading", name="The payload").wait_for()
