"""What the console's pages say: counts a minute, problems and their order, a source with its URL and sample, rules that are tried and
not saved, causes that are marked."""

from __future__ import annotations

import asyncio
import html
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from relay.settings import Settings
from relay.units import duration_words, took_words
from relay.web import console
from relay.web.assembly import create_app
from relay.web.console.charts import chart, spark
from relay.web.console.minutes import MINUTE_MS, counted_by_minute, highest_by_minute
from relay.web.console.problems import problems_shown
from relay.web.console.words import count_words, plural, size_words
from tests.environ import WEAK
from tests.operating import CONFIG, SECRET, SUBJECT, Caller, Shop

TOKEN = "operators-only-" + "x" * 20
READER = "readers-only-" + "y" * 24
NOW = 1_800_000_000_000 - 1_800_000_000_000 % MINUTE_MS + 30_000


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    return Shop(redis_client, tmp_path, token=TOKEN, reader=READER)


def browser_of(shop: Shop, token: str = TOKEN) -> Caller:
    browser = Caller(Starlette(routes=list(console.routes(shop.context))), address="203.0.113.9")
    assert browser.post("/console/sign-in", data={"token": token, "name": "Ann"}).status_code == 303
    return browser


def csrf_of(text: str) -> str:
    return str(re.findall(r'name="csrf" value="([0-9a-f]+)"', text)[0])


# -- numbers -------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 50), min_size=40, max_size=400))
def test_what_is_counted_in_minutes_is_what_was_counted(steps: list[int]) -> None:
    total, samples = 0, []
    for n, step in enumerate(steps):
        total += step
        samples.append({"at_ms": NOW - (len(steps) - 1 - n) * 10_000, "delivered": total})
    minutes = counted_by_minute(samples, "delivered", now_ms=NOW, minutes=3)
    first_ms = NOW // MINUTE_MS * MINUTE_MS - 2 * MINUTE_MS
    assert sum(value or 0 for value in minutes) == sum(
        step for step, sample in zip(steps, samples, strict=True) if sample["at_ms"] > first_ms
    )


def test_a_minute_in_which_nobody_looked_is_not_zero() -> None:
    samples = [
        {"at_ms": NOW - minute * MINUTE_MS, "delivered": 100 - minute, "pending": minute}
        for minute in (6, 5, 1, 0)
    ]
    assert highest_by_minute(samples, "pending", now_ms=NOW, minutes=7) == [6, 5, None, None, None, 1, 0]
    known = counted_by_minute(samples, "delivered", now_ms=NOW, minutes=7)
    assert known[2:5] == [None, None, None]
    assert known[-1] == 1
    drawn = chart([1.0, None, 3.0], "events", end_ms=NOW)
    assert 'class="unknown"' in drawn
    assert "style" not in drawn
    assert "not known" in drawn


@given(st.lists(st.none() | st.floats(0, 1e9), max_size=70), st.sampled_from(["bars", "line"]))
def test_a_chart_never_leaves_its_frame(values: list[float | None], kind: str) -> None:
    drawn = chart(values, "<events>", end_ms=NOW, kind=kind) + spark(values, "<events>")
    assert "<events>" not in drawn
    for height in re.findall(r' (?:y|height)="([-0-9.]+)"', drawn):
        assert 0 <= float(height) <= 48


def test_numbers_have_their_units() -> None:
    assert [count_words(n) for n in (0, 7, 12345, 0.5, 1_234_567)] == ["0", "7", "12,345", "0.5", "1.23 M"]
    assert [size_words(n) for n in (0, 999, 4_000_000, "1500")] == ["0 B", "999 B", "4 MB", "1.5 kB"]
    assert [took_words(n) for n in (0.42, 93, 1500, 30_000)] == ["0.42 ms", "93 ms", "1.5 s", "30 s"]
    assert [duration_words(n) for n in (0, 1.5, 90, 600, 9000, 300_000)] == [
        "0 s", "1.5 s", "90 s", "10 min", "2.5 h", "3.5 d",
    ]  # fmt: skip
    assert (plural(1, "dead letter"), plural(1000, "dead letter")) == ("1 dead letter", "1,000 dead letters")


# -- the overview --------------------------------------------------------------------------------------------------


def test_the_worst_stands_first_and_what_is_muted_is_no_news() -> None:
    def group(cause: str, count: int, muted: bool = False) -> dict[str, Any]:
        return {"id": f"c-{cause}", "cause": cause, "count": count, "muted": muted}

    stats = {
        "warnings": ["Delivery is paused. Nothing is lost.", "Held sources: a.", "Delivery is blocked: 401."],
        "problems": [{"kind": "held", "source": "a", "sentence": "Held sources: a."}],
        "delivery": {"paused_sources": ["a/b"]},
    }
    groups = [group("w", 9, muted=True), *(group(name, 5) for name in "xyzuv")]
    found = problems_shown(stats, groups, [{"source": "", "where": "", "until_ms": NOW}])
    assert [problem.level for problem in found] == ["bad"] * 4 + ["warn"] * 4
    assert found[0].text == "Delivery is blocked: 401."
    assert found[1].path == "/dead?cause=c-x"
    texts = " ".join(problem.text for problem in found)
    assert "10 dead letters of 2 more causes" in texts
    assert "9 dead letters" not in texts
    assert "Held sources" not in texts
    assert "/sources/a%2Fb" in [problem.path for problem in found]


def test_the_front_door_leads_to_the_console(shop: Shop) -> None:
    app = Starlette(routes=list(console.routes(shop.context)))
    went = Caller(app, address="203.0.113.9").get("/")
    assert (went.status_code, went.headers["location"]) == (303, "/console")


def test_the_navigation_links_pages_that_are_there(shop: Shop) -> None:
    routes = console.routes(shop.context)
    there = {route.path for route in routes}
    browser = browser_of(shop)
    text = browser.get("/console").text
    links = set(re.findall(r'<li><a href="(/console[^"]*)"', text))
    assert {"/console", "/console/system", "/console/audit"} <= links
    assert links - {"/console/sources/slack", "/console/sources/second"} <= there
    for link in links:
        assert browser.get(link).status_code == 200


# -- a source ------------------------------------------------------------------------------------------------------


def test_a_source_has_its_webhook_url_and_its_rules_their_hits(shop: Shop) -> None:
    now_ms = shop.outbox.now_ms()
    for number in range(3):
        shop.arrive("hello", number=number, ts=f"180000000{number}.000100", now_ms=now_ms)
    shop.arrive("drop me", number=9, ts="1800000009.000100", now_ms=now_ms)
    text = browser_of(shop).get("/console/sources/slack").text
    assert 'value="http://relay.example.com/hooks/slack"' in text
    assert "Hits among the last 4 events" in text
    assert re.search(r'data-label="Hits" class="n">3<', text)
    reader = browser_of(shop, READER).get("/console/sources/slack").text
    assert "Send a sample" not in reader
    assert "/console/pause" not in reader
    assert browser_of(shop).get("/console/sources/nobody").status_code == 404


def test_a_sample_goes_through_the_real_door_after_it_was_shown(redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "relay.yaml"
    file.write_text(CONFIG.format(secret=SECRET, subject=SUBJECT), encoding="utf-8")
    settings = Settings.read(
        {**WEAK, "RELAY_REDIS_URL": redis_url, "RELAY_OPERATOR_TOKEN": TOKEN, "RELAY_CONFIG": str(file)}
    )
    app = create_app(settings, dict(WEAK))
    side = app.state.side

    async def through() -> None:
        transport = httpx.ASGITransport(app=app, client=("203.0.113.9", 40000))
        async with (
            side.lifespan(app),
            httpx.AsyncClient(
                transport=transport, base_url="http://relay.example.com", follow_redirects=True
            ) as client,
        ):
            home = await client.post("/console/sign-in", data={"token": TOKEN, "name": "Ann"})
            form = {"csrf": csrf_of(home.text)}
            shown = await client.post("/console/sources/second/sample", data=form)
            assert "extid-acme" in shown.text
            assert "Send it" in shown.text
            assert side.outbox.ledger() == {}
            sent = await client.post("/console/sources/second/sample", data={**form, "sure": "yes"})
            assert "The relay answered 202" in sent.text
            [event_id] = set(re.findall(r"evt_\w+", sent.text))
            assert side.outbox.ledger()["second"]["accepted"] == 1
            assert event_id in (await client.get(f"/console/trace?id={event_id}")).text
            assert (await client.post("/console/sources/nobody/sample", data=form)).status_code == 404
            assert "send sample" in (await client.get("/console/audit")).text

    asyncio.run(through())


# -- rules ---------------------------------------------------------------------------------------------------------

TRIED = """\
rules:
  - name: mine
    conversation: {type: Slack thread, externalId: "x-{{ event.thread }}", subject: "${RELAY_PLANHAT_TOKEN}"}
    companyId: extid-mine
"""


def try_rules(browser: Caller, csrf: str, rules: str, payload: str) -> tuple[int, str]:
    form = {"csrf": csrf, "source": "slack", "rules": rules, "payload": payload}
    answer = browser.post("/console/rules", data=form)
    return answer.status_code, html.unescape(answer.text)


def test_rules_are_tried_and_nothing_is_saved(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_PLANHAT_TOKEN", "the-token-itself")
    browser = browser_of(shop)
    file = shop.folder / "relay.yaml"
    before = file.read_text(encoding="utf-8")
    page = browser.get("/console/rules").text
    csrf = csrf_of(page)
    assert "name: slack-thread" in page
    sample = browser.post("/console/rules", data={"csrf": csrf, "source": "slack", "sample": "yes"}).text
    payload = html.unescape(re.findall(r'<textarea id="payload"[^>]*>\n?(.*?)</textarea>', sample, re.S)[0])

    status, told = try_rules(browser, csrf, TRIED, payload)
    assert status == 200
    assert "with the rules above" in told
    assert "extid-mine" in told
    # A variable of the process is not read for whoever tries rules.
    assert "the-token-itself" not in told

    for wrong, said in (
        ("rules: [{name: x, nonsense: 1}]", "'nonsense' is no key here"),
        ("planhat: {types: [x]}\nrules: []", "nothing else"),
        ("- not\n: yaml", "not YAML"),
        ("just words", "wanted `rules:`"),
        (TRIED.replace("{{ event.thread }}", "{{ event.thread"), "rules:3"),
    ):
        status, told = try_rules(browser, csrf, wrong, payload)
        assert (status, said in told) == (422, True), (wrong, told[-900:])
    assert file.read_text(encoding="utf-8") == before
    assert shop.outbox.ledger() == {}
    assert [rule.name for rule in shop.house.book.rules_for("slack")] == ["slack-thread"]


def test_explain_tells_the_company_and_where_the_conversation_stands(shop: Shop) -> None:
    shop.arrive("hello")
    shop.deliver()
    browser = browser_of(shop)
    payload = (
        '{"type": "event_callback", "team_id": "T1", "event_id": "Ev2", "event_time": 1800000000, "event": {"type": "message", '
        '"channel": "C024BE91L", "user": "U1", "text": "again", "ts": "1800000001.000100", "event_ts": "1800000001.000100", '
        '"thread_ts": "1800000000.000100", "channel_type": "channel"}}'
    )
    csrf = csrf_of(browser.get("/console").text)
    _, told = try_rules(browser, csrf, "", payload)
    assert "table slack_channel, asked for" in told
    assert "extid-acme" in told
    assert "there already" in told
    assert "https://ws.planhat.com/acme-inc/" in told


# -- causes --------------------------------------------------------------------------------------------------------


def test_a_cause_is_muted_assigned_and_noted(shop: Shop) -> None:
    shop.arrive("one")
    shop.bury("the subject is too long")
    browser = browser_of(shop)
    assert "1 dead letter: the subject is too long" in browser.get("/console").text
    listed = browser.get("/console/dead?cause=subject").text
    [path] = re.findall(r'action="(/console/dead/causes/[^"]+)"', listed)
    form = {"csrf": csrf_of(listed), "muted": "yes", "assigned": "Bea", "note": "asked the vendor"}
    went = browser.post(path, data=form)
    assert went.status_code == 303
    marked = browser.get(went.headers["location"]).text
    for word in ("muted", "Bea", "asked the vendor", "console:Ann", "What is said of this cause is kept"):
        assert word in marked
    assert "1 dead letter: the subject" not in browser.get("/console").text
    browser.post(path, data={"csrf": form["csrf"]})
    assert "asked the vendor" not in browser.get("/console/dead").text
    nearest = browser.get("/console/dead?cause=the+subjekt+is+long").text
    assert "The nearest" in nearest
    assert "the subject is too long" in nearest


# -- drops and companies -------------------------------------------------------------------------------------------


def test_a_drop_is_begun_checked_and_ended(shop: Shop) -> None:
    browser = browser_of(shop)
    form = {
        "csrf": csrf_of(browser.get("/console/drops").text),
        "source": "slack",
        "where": "event.sender.bot",
    }
    wrong = browser.post("/console/drops", data={**form, "where": "event.sendr.bot"})
    assert (wrong.status_code, "sendr" in wrong.text) == (422, True)
    assert browser.post("/console/drops", data={**form, "for": "2h"}).status_code == 303
    assert "A drop is on: events of slack where event.sender.bot" in browser.get("/console").text
    listed = browser.get("/console/drops").text
    assert "console:Ann" in listed
    [path] = re.findall(r'action="(/console/drops/[^"]+/end)"', listed)
    assert "/end" not in browser_of(shop, READER).get("/console/drops").text
    assert browser.post(path, data=form).status_code == 303
    assert "Nothing is being dropped" in browser.get("/console/drops").text
    assert shop.outbox.drops() == []


def test_missing_companies_are_shown_but_not_to_readers(shop: Shop) -> None:
    shop.arrive("hello")
    [dead_id] = shop.bury("no company found", stage="resolve", asked_for=[("email", "anna@customer.example")])
    text = html.unescape(browser_of(shop).get("/console/companies").text)
    assert "anna@customer.example" in text
    assert "customer.example:" in text
    assert dead_id in text
    hidden = browser_of(shop, READER).get("/console/companies")
    assert (hidden.status_code, "customer.example" in hidden.text) == (200, False)
