"""The console of several lanes: whoever looks at one lane's pages stays there, whatever is clicked or sent."""

from __future__ import annotations

import html
import re
from pathlib import Path

import httpx
import pytest
import redis

from relay.outbox.audit import read_audit
from relay.settings import Settings
from relay.web import console
from relay.web.assembly import create_app
from tests.environ import WEAK
from tests.operating import LANES, Caller, Shop

TOKEN = "operators-only-" + "x" * 20
US = "/console/lanes/us"
#: What a page asks for or leads to.
_LINK = re.compile(r'(?:href|action|src|hx-get|hx-post|data-live|formaction)="([^"]*)"')
_LEADS = re.compile(r'<a [^>]*href="([^"]*)"')
_FORM = re.compile(r'<form[^>]*method="post"[^>]*action="([^"]*)"')
#: The other lanes are named in one place alone.
_SWITCH = re.compile(r'<nav aria-label="Lanes">.*?</nav>', re.S)
#: The same whichever lane is looked at.
_SHARED = ("/console/static/", "/console/sign-out")


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    """Lane `us` with something of everything; `emea` with nothing."""
    shop = Shop(redis_client, tmp_path, token=TOKEN, lane="us")
    now = shop.outbox.now_ms()
    shop.arrive("it is delivered", now_ms=now - 60_000)
    shop.deliver(now - 50_000)
    for number in range(2, 14):
        shop.arrive("refused", number=number, ts=f"18000000{number:02}.000100", now_ms=now - 40_000)
    shop.bury("the subject is too long", now_ms=now - 30_000)
    shop.arrive("no company", number=20, ts="1800000020.000100", channel="C0NEW", now_ms=now - 20_000)
    shop.bury("no company found", stage="resolve", asked_for=[("slack_channel", "C0NEW")], now_ms=now - 9_000)
    shop.arrive("it waits", number=30, ts="1800000030.000100", now_ms=now)
    return shop


@pytest.fixture
def browser(shop: Shop, redis_url: str) -> Caller:
    return browser_of(shop, redis_url)


def browser_of(shop: Shop, redis_url: str) -> Caller:
    """A browser that is signed in to the real web side."""
    environ = {
        **WEAK,
        "RELAY_REDIS_URL": redis_url,
        "RELAY_OPERATOR_TOKEN": TOKEN,
        "RELAY_CONFIG": str(shop.folder / "relay.yaml"),
    }
    browser = Caller(create_app(Settings.read(environ), dict(WEAK)), address="203.0.113.9")
    assert browser.post("/console/sign-in", data={"token": TOKEN, "name": "Ann"}).status_code == 303
    return browser


def links_of(page: httpx.Response) -> set[str]:
    """Without those of other lanes in the switch, which it has."""
    text, switches = _SWITCH.subn("", page.text)
    assert switches == 1, page.url
    return {html.unescape(link) for link in _LINK.findall(text)}


def stays(link: str) -> bool:
    return link == US or link.startswith((f"{US}/", f"{US}?", *_SHARED, "#", "https://ws.planhat.com/"))


def walk(browser: Caller) -> dict[str, httpx.Response]:
    """Every page of the lane that links lead to, by its address."""
    found: dict[str, httpx.Response] = {}
    ahead = [US]
    while ahead:
        path = ahead.pop()
        if path in found or "/live" in path:
            continue
        page = found[path] = browser.get(path)
        assert page.status_code == 200, path
        assert [link for link in links_of(page) if not stays(link)] == [], path
        leads = {html.unescape(link).partition("#")[0] for link in _LEADS.findall(page.text)}
        ahead += sorted(link for link in leads if link == US or link.startswith((f"{US}/", f"{US}?")))
    return found


def test_every_link_of_every_page_of_a_lane_stays_in_it(browser: Caller, shop: Shop) -> None:
    form = {"csrf": csrf_of(browser.get(US).text)}
    for path, more in (
        ("/pause", {"source": "slack"}),
        ("/drops", {"source": "slack", "where": "event.sender.bot", "for": "1h"}),
    ):
        went = browser.post(US + path, data={**form, **more})
        assert went.status_code == 303 and stays(went.headers["location"]), path
    found = walk(browser)
    texts = "".join(page.text for page in found.values())
    assert "the subject is too long" in texts and "it is delivered" in texts and "C0NEW" in texts
    # Each page there is was met, but an operation's: nothing here takes long enough to be one.
    met = [re.sub(r"\?.*", "", path).removeprefix(US) for path in found]
    for route in console.routes(shop.context, base=US):
        path = route.path.removeprefix(US)
        if "GET" in (route.methods or ()) and route.path.startswith(US) and "/live" not in path:
            pattern = re.sub(r"\{\w+\}", "[^/]+", path.rstrip("/"))
            assert "/operations" in path or any(re.fullmatch(pattern, one) for one in met), path


def test_each_form_of_a_lane_leads_back_to_it(browser: Caller, shop: Shop) -> None:
    found = walk(browser)
    forms = {
        (path, html.unescape(action)) for path, page in found.items() for action in _FORM.findall(page.text)
    }
    assert {action for _, action in forms if not stays(action)} == set()
    csrf = csrf_of(found[US].text)
    letters = shop.outbox.dead.ids()
    event_id = re.findall(r"evt_\w+", found[f"{US}/events"].text)[0]
    for path, more in (
        (f"/dead/{letters[0]}/edit", {"path": "subject", "value": "shorter"}),
        (f"/dead/{letters[0]}/replay", {}),
        (f"/dead/{letters[1]}/discard", {"reason": "old"}),
        ("/dead/causes/c-0000", {"muted": "yes"}),
        ("/dead/discard", {"source": "slack", "sure": "yes"}),
        ("/pause", {}),
        ("/resume", {}),
        (f"/events/{event_id}/resend", {}),
    ):
        went = browser.post(US + path, data={"csrf": csrf, **more})
        if went.status_code == 303:
            assert stays(went.headers["location"]), (path, went.headers["location"])
            assert all(map(stays, links_of(browser.get(went.headers["location"])))), path
        else:
            assert went.status_code in (404, 422) and all(map(stays, links_of(went))), (
                path,
                went.status_code,
            )
    # What was done is done in this lane, and the audit names it.
    assert shop.delivery.read().state == "open"
    lines, _ = read_audit(shop.outbox, until_ms=shop.outbox.now_ms() + 1000, limit=100)
    assert {line.of.get("lane") for line in lines if line.what in ("pause", "dead edit", "look")} == {"us"}
    assert {line.of["page"] for line in lines if line.what == "look"} >= {"/events", f"/dead/{letters[0]}"}


def test_errors_and_the_way_in_keep_the_lane(browser: Caller, shop: Shop) -> None:
    for path in ("/dead/dead_nobody", "/sources/nobody", "/dead?after=%00", "/events?since=never"):
        page = browser.get(US + path)
        assert page.status_code in (404, 422) and all(map(stays, links_of(page))), path
    assert browser.get("/console/lanes/nobody").status_code == 404
    assert browser.get("/console/lanes/nobody/dead").status_code == 404
    stranger = Caller(browser.app, address="203.0.113.10")
    away = stranger.get(f"{US}/dead?source=slack")
    assert away.headers["location"] == "/console/sign-in?next=%2Fconsole%2Flanes%2Fus%2Fdead%3Fsource%3Dslack"
    form = {"token": TOKEN, "next": f"{US}/dead?source=slack"}
    assert stranger.post("/console/sign-in", data=form).headers["location"] == form["next"]


def test_all_lanes_are_the_front_page_and_each_other_page_has_a_switch(browser: Caller) -> None:
    assert browser.get("/").headers["location"] == "/console"
    for path in ("/console", "/console/", "/console/lanes", "/console/lanes/"):
        page = browser.get(path)
        assert page.status_code == 200
        assert {"/console/lanes/emea", US, f"{US}/dead"} <= set(_LINK.findall(page.text))
    found = browser.get("/console?id=slack-C024BE91L-1800000000.000100")
    assert found.headers["location"] == f"{US}/trace?id=slack-C024BE91L-1800000000.000100"
    assert "it is delivered" in browser.get(found.headers["location"]).text
    nowhere = browser.get("/console/lanes?id=nobody")
    assert nowhere.status_code == 404 and "No lane knows nobody" in nowhere.text
    [switch] = _SWITCH.findall(browser.get(f"{US}/dead").text)
    assert set(_LINK.findall(switch)) == {"/console/lanes", "/console/lanes/emea/dead", f"{US}/dead"}
    # Who names no lane is shown the first one's page, under its own address.
    assert browser.get("/console/dead?source=a").headers["location"] == "/console/lanes/emea/dead?source=a"


def test_the_pages_move_below_their_lane_when_the_file_gets_lanes(
    redis_client: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    shop = Shop(redis_client, tmp_path, token=TOKEN)
    browser = browser_of(shop, redis_url)
    assert 'href="/console/dead"' in browser.get("/console").text
    file = shop.folder / "relay.yaml"
    file.write_text(file.read_text() + LANES.replace("emea:", "apac:").replace("us:", "main:"))
    assert browser.app.state.side.reload_if_changed()  # type: ignore[attr-defined]
    links = links_of(browser.get("/console/lanes/main"))
    assert "/console/lanes/main/dead" in links and "/console/dead" not in links
    assert browser.get("/console/dead").headers["location"] == "/console/lanes/main/dead"


def csrf_of(text: str) -> str:
    return str(re.findall(r'name="csrf" value="([0-9a-f]+)"', text)[0])
