"""`GET /api/v1/events` and `relay events`: one list, its filters, its pages, and what bad input gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis
from jsonschema import Draft202012Validator

from relay.operations.search.build import Indexer
from relay.operations.search.list_events import terms_of
from relay.web.openapi import api_document
from tests.operating import NOON, Caller, Shop
from tests.web.test_api import TOKEN, client_of, error_of

READER = "readers-only-" + "y" * 20


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    made = Shop(redis_client, tmp_path, token=TOKEN, reader=READER)
    made.outbox.now_ms = lambda: NOON + 600_000  # type: ignore[method-assign]
    made.arrive("the invoice is wrong", number=1)
    made.deliver()
    made.arrive("an export fails", number=2, ts="1800000000.000200", now_ms=NOON + 60_000)
    return made


@pytest.fixture
def client(shop: Shop) -> Caller:
    return client_of(shop, headers={"authorization": f"Bearer {TOKEN}"})


def rows(client: Caller, query: str = "") -> list[dict[str, Any]]:
    response = client.get(f"/api/v1/events{query}")
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["events"]
    return found


@pytest.mark.parametrize("indexed", [False, True])
def test_newest_first_and_by_every_filter(shop: Shop, client: Caller, indexed: bool) -> None:
    if indexed:
        assert Indexer(shop.context, terms_of(shop.context)).run(30)
    assert [row["state"] for row in rows(client)] == ["pending", "delivered"]
    assert [row["state"] for row in rows(client, "?text=invoice+wrong")] == ["delivered"]
    assert [row["state"] for row in rows(client, "?state=pending&source=slack&kind=message.created")] == [
        "pending"
    ]
    assert rows(client, "?text=nothing+of+this") == []
    assert rows(client, "?from=somebody@else.example") == []


def test_pages_and_the_document_s_shape(client: Caller) -> None:
    first = client.get("/api/v1/events?limit=1").json()
    second = client.get(f"/api/v1/events?limit=1&after={first['next']}").json()
    assert [len(page["events"]) for page in (first, second)] == [1, 1]
    assert first["events"][0]["id"] != second["events"][0]["id"]
    document = api_document()
    schema = {"$ref": "#/components/schemas/EventList", "components": document["components"]}
    Draft202012Validator(schema).validate(first)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("?state=deliverd", "state"),
        ("?kind=mail", "kind"),
        ("?since=soon", "since"),
        ("?limit=0", "limit"),
        ("?after=zzz", "after"),
        ("?text=!!", "text"),
        ("?sender=anna", "sender"),
    ],
)
def test_bad_input_is_named(client: Caller, query: str, path: str) -> None:
    status, code, at = error_of(client.get(f"/api/v1/events{query}"))
    assert (status, at) == (422, path), code


def test_a_reader_sees_no_people(shop: Shop) -> None:
    reader = client_of(shop, headers={"authorization": f"Bearer {READER}"})
    found = rows(reader)
    assert [row["state"] for row in found] == ["pending", "delivered"]
    assert all(row["sender"] is None and row["subject"] is None for row in found)


def test_one_event_has_what_came_and_what_it_was_read_as(shop: Shop, client: Caller) -> None:
    event_id = rows(client)[0]["id"]
    one = client.get(f"/api/v1/events/{event_id}").json()
    assert one["payload"]["event"]["text"] == "an export fails"
    assert (one["payload_encoding"], one["method"], one["event_unreadable"]) == ("json", "POST", None)
    assert one["headers"]["content-type"] == "application/json"
    assert one["event"]["text"] == "an export fails"
    document = api_document()
    schema = {"$ref": "#/components/schemas/EventShown", "components": document["components"]}
    Draft202012Validator(schema).validate(one)
    reader = client_of(shop, headers={"authorization": f"Bearer {READER}"})
    hidden = reader.get(f"/api/v1/events/{event_id}").json()
    assert (hidden["state"], hidden["hidden"]) == ("pending", True)
    assert [hidden[name] for name in ("payload", "headers", "event")] == [None, None, None]
    Draft202012Validator(schema).validate(hidden)


def test_an_event_whose_request_is_gone_or_is_no_text_still_has_its_story(shop: Shop, client: Caller) -> None:
    from relay.operations.remap import Stored
    from relay.operations.search.one_event import _request

    event_id = rows(client)[0]["id"]
    stored = Stored(event_id, "pending", 0, {"headers": {}}, b"\xff\x00")
    assert (_request(stored)["payload"], _request(stored)["payload_encoding"]) == ("/wA=", "base64")
    assert _request(Stored(event_id, "pending", 0, {}, b"a=b"))["payload"] == "a=b"
    assert _request(Stored(event_id, "pending", 0, {}, None))["payload_encoding"] is None
    # The source has left the config: what came is shown, what it was read as is not.
    shop.house.config.sources.pop("slack")  # type: ignore[attr-defined]
    one = client.get(f"/api/v1/events/{event_id}").json()
    assert one["payload"]["event"]["text"] == "an export fails"
    assert (one["event"], one["event_unreadable"]) == (None, "the source 'slack' is no longer in the config")
