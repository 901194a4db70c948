"""The console shows what Planhat keeps, or shows, otherwise than it is sent, and links to its records."""

from __future__ import annotations

import html
from pathlib import Path

import orjson
import pytest
import redis
from starlette.applications import Starlette

from relay.operations.differences import difference_told, list_differences, texts_compared
from relay.operations.stats import read_stats
from relay.outbox.audit import read_audit
from relay.web import api, console
from tests.operating import Caller, Shop

TOKEN, READER = "operators-only-" + "x" * 20, "readers-only-" + "y" * 24
HOSTILE = "<p>Ann's <b>secret</b></p><script>alert(1)</script>"


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    return Shop(redis_client, tmp_path, token=TOKEN, reader=READER)


def signed_in(shop: Shop, token: str = TOKEN) -> Caller:
    browser = Caller(Starlette(routes=list(console.routes(shop.context))), address="203.0.113.9")
    assert browser.post("/console/sign-in", data={"token": token, "name": "Ann"}).status_code == 303
    return browser


def found(shop: Shop, field: str, what: str, *, do: str = "", by: str = "readback", age_ms: int = 0) -> None:
    row = {
        "at_ms": shop.outbox.now_ms() - age_ms,
        "rule": "slack/thread",
        "type": "Slack thread",
        "field": field,
        "what": what,
        "do": do,
    }
    shop.outbox.redis.hset(shop.outbox.prefix + "warnings", f"{by}|slack/thread|{field}", orjson.dumps(row))


def kept(shop: Shop) -> None:
    found(shop, "description", "mangled: 1 of 2 words are lost")
    texts = {
        "at_ms": shop.outbox.now_ms(),
        "externalId": "slack-C1-1",
        "sent": HOSTILE,
        "stands": "Ann's",
    }
    sealed = shop.outbox.vault.seal(orjson.dumps(texts))
    shop.outbox.redis.hset(shop.outbox.prefix + "readback:texts", "slack/thread", sealed)


def test_both_texts_of_a_mangled_description_are_shown_as_text(shop: Shop) -> None:
    kept(shop)
    browser = signed_in(shop)
    listed = browser.get("/console/differences").text
    assert "1 of 2 words are lost" in listed
    assert "secret" not in listed
    assert 'href="/console/differences?rule=slack/thread"' in listed

    shown = browser.get("/console/differences?rule=slack/thread").text
    assert html.escape(HOSTILE) in shown.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")
    assert "<script>alert" not in shown
    assert "As it stands in Planhat" in shown


def test_who_looks_at_the_texts_stands_in_the_audit_and_readers_do_not_see_them(shop: Shop) -> None:
    kept(shop)
    signed_in(shop).get("/console/differences?rule=slack/thread")
    assert next(line.what for line in read_audit(shop.outbox)[0]) == "look"
    reader = signed_in(shop, READER)
    shown = reader.get("/console/differences?rule=slack/thread")
    assert shown.status_code == 200
    assert "secret" not in shown.text
    assert "hidden from readers" in shown.text
    assert "1 of 2 words are lost" in shown.text


def test_texts_that_are_gone_or_sealed_with_another_key_are_said_to_be(shop: Shop) -> None:
    browser = signed_in(shop)
    assert "No texts" in browser.get("/console/differences?rule=slack/thread").text
    shop.outbox.redis.hset(shop.outbox.prefix + "readback:texts", "slack/thread", b"enot-a-token")
    assert texts_compared(shop.outbox, "slack/thread") is None
    assert "No texts" in browser.get("/console/differences?rule=slack/thread").text


def test_custom_fields_that_rules_write_stand_beside_the_tenants_own(shop: Shop) -> None:
    browser = signed_in(shop)
    assert "has not been read lately" in browser.get("/console/differences").text
    told = {
        "not defined": {"Status": "text"},
        "is called &#39;channel&#39; in Planhat": {"channel": "text"},
        "is of type number in Planhat, and gets a text": {"Channel": "number"},
        '<span class="state good">text</span>': {"Channel": "text"},
    }
    for words, listed in told.items():
        row = {"at_ms": shop.outbox.now_ms(), "listed": listed}
        shop.outbox.redis.set(shop.outbox.prefix + "tenant:fields", orjson.dumps(row))
        shown = browser.get("/console/differences").text
        assert words in shown, listed
        assert ("What to do" in shown) and ("called exactly" in shown) is ("not defined" in words)


def test_what_nobody_finds_any_more_is_told_no_more(shop: Shop) -> None:
    found(shop, "subject", "dropped", age_ms=8 * 86_400_000)
    found(shop, "custom.Mood", "is not defined in Planhat", do="create it", by="fields")
    [row] = list_differences(shop.outbox)
    assert (row["field"], row["found_by"]) == ("custom.Mood", "fields")
    told = difference_told(row)
    assert told.startswith(
        "Rule slack/thread (Slack thread): custom.Mood is not defined in Planhat; create it"
    )
    assert told in read_stats(shop.outbox, shop.delivery)["warnings"]


# -- links to the record ---------------------------------------------------------------------------------------


def link_of(planhat_id: str) -> str:
    return (
        "https://ws.planhat.com/acme-inc/home/data-explorer/conversation?preview=Conversation." + planhat_id
    )


def test_trace_events_and_dead_letters_link_to_the_record(shop: Shop) -> None:
    event_id = shop.arrive("one")
    shop.deliver()
    shop.arrive("two", number=2, thread="1800000000.000100", ts="1800000000.000200")
    [dead_id] = shop.bury("no")
    headers = {"authorization": f"Bearer {TOKEN}"}
    client = Caller(
        Starlette(routes=list(api.api_routes(shop.context))), address="203.0.113.9", headers=headers
    )
    browser = signed_in(shop)

    told = client.get(f"/api/v1/trace/{event_id}").json()
    link = link_of(told["conversation"]["planhat_id"])
    assert told["conversation"]["planhat_link"] == link
    assert told["events"][0]["planhat_link"] == link
    assert client.get(f"/api/v1/events/{event_id}").json()["planhat_link"] == link
    assert client.get(f"/api/v1/dead/{dead_id}").json()["planhat_link"] == link
    for path in (f"/console/trace?id={event_id}", f"/console/dead/{dead_id}"):
        shown = browser.get(path).text
        assert f'href="{link}" target="_blank" rel="noopener noreferrer"' in shown, path


def test_without_a_tenants_name_or_a_record_there_is_no_link(shop: Shop) -> None:
    event_id = shop.arrive("one")
    told = (
        Caller(
            Starlette(routes=list(api.api_routes(shop.context))),
            address="203.0.113.9",
            headers={"authorization": f"Bearer {TOKEN}"},
        )
        .get(f"/api/v1/trace/{event_id}")
        .json()
    )
    assert told["conversation"]["planhat_link"] is None
    assert "Open in Planhat" not in signed_in(shop).get(f"/console/trace?id={event_id}").text
