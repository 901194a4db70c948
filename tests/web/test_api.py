"""`/api/v1` as other programs use it: the contract's shapes, who may ask, and what bad input gets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from relay.outbox.sessions import Sessions
from relay.web import api
from relay.web.access import Access, access_of
from relay.web.answers import refusal
from relay.web.api import Api
from relay.web.openapi import api_document
from relay.web.refused import RequestRefused
from tests.operating import BROKEN_SUBJECT, Caller, Shop, slack_message

TOKEN = "operators-only-" + "x" * 20


def app_of(shop: Shop) -> Starlette:
    """The API's routes, with what the whole web side answers where no route fits."""

    def nowhere(request: Request, error: Exception) -> Response:
        return refusal(getattr(error, "status_code", 500), "no_route", "no such page or method")

    return Starlette(
        routes=list(api.api_routes(shop.context)), exception_handlers={404: nowhere, 405: nowhere}
    )


def client_of(shop: Shop, *, address: str = "203.0.113.9", headers: dict[str, str] | None = None) -> Caller:
    return Caller(app_of(shop), address=address, headers=headers)


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    return Shop(redis_client, tmp_path, token=TOKEN)


@pytest.fixture
def client(shop: Shop) -> Caller:
    return client_of(shop, headers={"authorization": f"Bearer {TOKEN}", "x-operator": "ann"})


def error_of(response: Any) -> tuple[int, str, str]:
    error = response.json()["error"]
    assert set(error) == {"code", "message", "path"}
    assert error["message"]
    return response.status_code, error["code"], error["path"]


# -- who may ask ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": TOKEN},
        {"authorization": "Basic " + TOKEN},
        {"authorization": "Bearer "},
        {"cookie": "relay_session=s2." + "a" * 32},
        {"cookie": "relay_session=local." + "a" * 32},
        {"cookie": "relay_session=....."},
    ],
)
def test_without_the_token_nothing_is_told(shop: Shop, headers: dict[str, str]) -> None:
    client = client_of(shop)
    for path in ("stats", "dead", "trace/x", "openapi.json"):
        response = client.get(f"/api/v1/{path}", headers=headers)
        assert error_of(response)[:2] == (401, "not_signed_in")
        assert response.headers["www-authenticate"].startswith("Bearer")
    assert client.post("/api/v1/pause", json={}, headers=headers).status_code == 401
    assert shop.delivery.read().state == "open"


def knock(access: Access, address: str | None, token: str, **headers: str) -> int:
    """The status of one request from an address; None: the connection has no other end any more."""
    named = {"authorization": f"Bearer {token}", **headers}
    scope = {
        "type": "http", "method": "GET", "path": "/", "query_string": b"", "client": (address, 1) if address else None,
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }  # fmt: skip
    try:
        access.admit(Request(scope))
    except RequestRefused as refused:
        return refused.status
    return 200


def test_guessing_is_slowed_down_and_never_locks_the_right_token_out(shop: Shop) -> None:
    now = [1000.0]
    access = Access(Sessions(shop.outbox), operator=lambda: TOKEN, clock=lambda: now[0])
    assert [knock(access, "198.51.100.1", "guess") for _ in range(31)] == [401] * 30 + [429]
    # Behind a proxy that names nobody, everybody comes from here.
    assert knock(access, "198.51.100.1", TOKEN) == 200
    assert knock(access, "198.51.100.1", "guess") == 429
    assert knock(access, "198.51.100.2", "guess") == 401
    now[0] += 61
    assert knock(access, "198.51.100.1", "guess") == 401


def test_a_weak_token_which_only_development_allows_is_worth_guessing(shop: Shop) -> None:
    access = Access(Sessions(shop.outbox), operator=lambda: "op", clock=lambda: 1000.0)
    assert [knock(access, "198.51.100.1", "guess") for _ in range(30)] == [401] * 30
    assert knock(access, "198.51.100.1", "op") == 429


def test_who_has_a_whole_ipv6_network_guesses_as_one(shop: Shop) -> None:
    access = Access(Sessions(shop.outbox), operator=lambda: TOKEN, clock=lambda: 1000.0)
    answers = [knock(access, f"2001:db8:1:2::{number:x}", "guess") for number in range(40)]
    assert answers == [401] * 30 + [429] * 10
    assert knock(access, "2001:db8:1:3::1", "guess") == 401
    mapped = [knock(access, f"::ffff:192.0.2.{number}", "guess") for number in range(40)]
    assert mapped == [401] * 40


@pytest.mark.parametrize("token", [TOKEN, "wrong"])
def test_who_cannot_be_seen_is_refused_with_whatever_token(shop: Shop, token: str) -> None:
    access = Access(Sessions(shop.outbox), operator=lambda: TOKEN)
    assert knock(access, None, token) == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:80@evil", 400),
        ("evil/localhost", 400),
        ("localhost:80:80", 400),
        ("local host", 400),
        ("[::1]:8080", 200),
        ("relay.example.com", 200),
        ("relay.example.com:8081", 200),
    ],
)
def test_a_host_header_is_a_host(shop: Shop, host: str, status: int) -> None:
    access = Access(Sessions(shop.outbox), operator=lambda: TOKEN)
    assert knock(access, "127.0.0.1", TOKEN, host=host) == status


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"via": "1.1 proxy"},
        {"x-forwarded-proto": "https"},
        {"cf-connecting-ip": "203.0.113.9"},
        {"true-client-ip": "203.0.113.9"},
        {"x-forwarded-for": "203.0.113.9"},
    ],
)
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "203.0.113.9", "testclient"])
def test_from_wherever_one_comes_a_token_is_wanted(shop: Shop, address: str, headers: dict[str, str]) -> None:
    client = client_of(shop, address=address, headers={"host": "localhost", **headers})
    assert error_of(client.get("/api/v1/stats"))[:2] == (401, "not_signed_in")
    assert client.get("/api/v1/stats", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_site_cannot_change_anything(shop: Shop, headers: dict[str, str]) -> None:
    client = client_of(
        shop, address="127.0.0.1", headers={"host": "localhost", "authorization": f"Bearer {TOKEN}"}
    )
    response = client.post("/api/v1/pause", content=b"{}", headers=headers)
    assert error_of(response)[:2] == (403, "cross_site")
    assert shop.delivery.read().state == "open"


def test_answers_are_never_cached_nor_rendered(client: Caller) -> None:
    headers = client.get("/api/v1/stats").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


# -- readers and the audit -----------------------------------------------------------------------------------------

READER = "readers-only-" + "y" * 24


@pytest.mark.parametrize("sees", [False, True])
def test_a_reader_looks_and_changes_nothing(redis_client: redis.Redis, tmp_path: Path, sees: bool) -> None:
    shop = Shop(redis_client, tmp_path, token=TOKEN, reader=READER, readers_see_payloads=sees)
    event_id = shop.arrive("what ann wrote")
    shop.deliver()
    shop.arrive("what ann wrote", number=2, ts="1800000007.000100")
    [dead_id] = shop.bury("no")
    client = client_of(shop, headers={"authorization": f"Bearer {READER}"})
    for path in (f"dead/{dead_id}", f"trace/{event_id}"):
        told = client.get(f"/api/v1/{path}")
        assert told.status_code == 200
        assert ("what ann wrote" in told.text) is sees, path
        assert ("hidden" in told.text) is not sees
    assert client.get("/api/v1/dead").json()["items"][0]["cause"] == "no"
    acts = Api(shop.context, access_of(shop.context))
    api.made(acts)
    changing = [route for route, act in acts.acts.items() if act not in ("", "own")]
    assert len(changing) >= 6
    for route in changing:
        verb, _, path = route.partition(" ")
        answer = client.request(
            verb, f"/api/v1{path.replace('{id}', dead_id)}", json={"all": True, "dry_run": True}
        )
        assert error_of(answer)[:2] == (403, "readers_only_look"), route
    assert shop.delivery.read().state == "open"
    payload = slack_message("hello", ts="1800000000.000100").decode()
    assert client.post("/api/v1/explain", json={"source": "slack", "payload": payload}).status_code == 200


def test_every_route_that_is_no_get_has_its_word_for_the_audit(shop: Shop) -> None:
    acts = Api(shop.context, access_of(shop.context))
    api.made(acts)
    silent = [
        route for route, act in acts.acts.items() if not route.startswith("GET ") and act in ("", "own")
    ]
    # It explains what it was given.
    assert silent == ["POST /explain"]


def test_the_audit_tells_who_did_what_and_who_looked(shop: Shop, client: Caller) -> None:
    shop.arrive("hello")
    [dead_id] = shop.bury("no")
    client.post("/api/v1/pause", json={"source": "slack"})
    client.post("/api/v1/resume", json={})
    client.get(f"/api/v1/dead/{dead_id}")
    client.get("/api/v1/stats")
    client.request("PATCH", f"/api/v1/dead/{dead_id}", json={"fields": {"subject": "private"}})
    client.post("/api/v1/dead/discard", json={"all": True, "dry_run": True})
    client.post("/api/v1/dead/discard", json={"ids": ["dead_nobody"]})
    client.post("/api/v1/replay", json={"since": "1h", "dry_run": False})

    told = client.get("/api/v1/audit").json()["lines"]

    assert {(line["who"], line["address"]) for line in told} == {("api:ann", "203.0.113.9")}
    assert [(line["what"], line["of"]) for line in reversed(told)] == [
        ("pause", {"source": "slack"}),
        ("resume", {}),
        ("look", {"page": f"/dead/{dead_id}"}),
        ("dead edit", {"id": dead_id, "fields": ["subject"]}),
        ("look", {"page": f"/dead/{dead_id}"}),
        ("dead discard", {"ids": ["dead_nobody"], "refused": "NotFound"}),
        ("replay", {"since": "1h"}),
    ]
    assert "private" not in str(told)
    page = client.get("/api/v1/audit?limit=2").json()
    rest = client.get(f"/api/v1/audit?limit=500&after={page['next']}").json()
    assert [*page["lines"], *rest["lines"]] == told
    assert client.get("/api/v1/audit?since=2099-01-01T00:00:00Z").json()["lines"] == []
    assert error_of(client.get("/api/v1/audit?after=x"))[0] == 422


# -- shapes --------------------------------------------------------------------------------------------------------


def test_stats_events_and_trace(shop: Shop, client: Caller) -> None:
    event_id = shop.arrive("hello")
    shop.deliver()

    stats = client.get("/api/v1/stats").json()
    assert stats["sources"]["slack"]["delivered"] == 1
    assert stats["balanced"] is True
    assert {"state", "until", "calls_last_minute"} <= set(stats["delivery"])
    event = client.get(f"/api/v1/events/{event_id}").json()
    assert {
        "id",
        "source",
        "state",
        "externalId",
        "rule",
        "received_at",
        "settled_at",
        "planhat_id",
        "history",
    } <= set(event)
    assert all({"at", "what"} <= set(step) for step in event["history"])
    trace = client.get(f"/api/v1/trace/{event['externalId']}").json()
    [told] = trace["events"]
    assert told == {name: event[name] for name in told}
    assert trace["conversation"]["externalId"] == event["externalId"]
    assert client.get("/api/v1/sources").json()["sources"][1]["name"] == "slack"


def test_dead_letters_from_list_to_replay(shop: Shop, client: Caller) -> None:
    shop.arrive("hello")
    [dead_id] = shop.bury("subject is too long")

    listed = client.get("/api/v1/dead").json()
    assert set(listed) >= {"groups", "items", "next"}
    assert {"cause", "count", "sources", "first_seen", "last_seen", "sample"} <= set(listed["groups"][0])
    assert {"id", "source", "externalId", "cause", "stage", "at"} <= set(listed["items"][0])
    one = client.get(f"/api/v1/dead/{dead_id}").json()
    assert {"reason", "answer", "attempts", "event", "document", "raw"} <= set(one)
    assert set(one["attempts"][0]) == {"at", "status", "error"}

    edited = client.request("PATCH", f"/api/v1/dead/{dead_id}", json={"fields": {"subject": "short"}}).json()
    assert edited["edits"][0]["by"] == "api:ann"
    dry = client.post("/api/v1/dead/replay", json={"cause": "subject is too long", "dry_run": True}).json()
    assert (dry["count"], dry["dry_run"]) == (1, True)
    assert shop.counts() == {"accepted": 1, "dead": 1}
    done = client.post("/api/v1/dead/replay", json={"ids": [dead_id]}).json()
    assert (done["count"], done["replayed"], done["state"]) == (1, 1, "done")
    assert shop.counts() == {"accepted": 1, "pending": 1}
    assert client.get(f"/api/v1/operations/{done['operation']}").json()["state"] == "done"
    assert error_of(client.get(f"/api/v1/dead/{dead_id}"))[:2] == (404, "not_found")


def test_discarding_and_paging(shop: Shop, client: Caller) -> None:
    for number in range(3):
        shop.arrive(str(number), number=number, ts=f"180000000{number}.000100")
    shop.bury("no")

    first = client.get("/api/v1/dead", params={"limit": 2}).json()
    second = client.get("/api/v1/dead", params={"limit": 2, "after": first["next"]}).json()
    assert [len(first["items"]), len(second["items"]), second["next"]] == [2, 1, None]
    done = client.post("/api/v1/dead/discard", json={"all": True, "reason": "tests"}).json()
    assert (done["count"], done["discarded"]) == (3, 3)
    assert shop.counts() == {"accepted": 3, "discarded": 3}


def test_replay_of_stored_events(shop: Shop, client: Caller) -> None:
    shop.arrive("hello", now_ms=shop.outbox.now_ms() - 5000)
    shop.deliver(shop.outbox.now_ms())
    shop.change_rules("new: {{ event.text }}")

    dry = client.post("/api/v1/replay", json={"since": "1h", "dry_run": True}).json()
    assert (dry["count"], dry["changed"], dry["dry_run"], len(dry["sample"])) == (1, 1, True, 1)
    none = client.post("/api/v1/replay", json={"since": "1h", "dry_run": True, "limit": 0}).json()
    assert (none["changed"], none["sample"]) == (1, [])
    done = client.post("/api/v1/replay", json={"since": "1h", "until": "now", "source": "slack"}).json()
    assert (done["count"], done["changed"], done["state"]) == (1, 1, "done")
    assert shop.counts() == {"accepted": 1, "pending": 1}


def test_pause_and_resume(shop: Shop, client: Caller) -> None:
    assert client.post("/api/v1/pause", json={}).json()["state"] == "paused"
    assert client.get("/api/v1/stats").json()["delivery"]["state"] == "paused"
    assert client.post("/api/v1/resume", content=b"").json()["state"] == "open"
    assert client.post("/api/v1/pause", json={"source": "slack"}).json()["paused_sources"] == ["slack"]
    assert shop.delivery.paused_sources() == {"slack"}
    client.post("/api/v1/resume", json={"source": "slack"})
    assert not shop.delivery.paused_sources()
    assert error_of(client.post("/api/v1/pause", json={"source": "nobody"}))[:2] == (404, "not_found")


def test_drops_are_begun_listed_and_ended(shop: Shop, client: Caller) -> None:
    asked = {"source": "slack", "where": "event.sender.bot", "for": "30m"}
    begun = client.post("/api/v1/drops", json=asked).json()
    assert (begun["source"], begun["where"], begun["by"], begun["count"]) == (
        "slack",
        "event.sender.bot",
        "api:ann",
        0,
    )
    assert client.get("/api/v1/drops").json()["drops"] == [begun]
    for wrong, path in (({"source": "slcak"}, "source"), ({"where": "event.sendr"}, "where"), ({}, "source")):
        assert error_of(client.post("/api/v1/drops", json=wrong))[0] == 422
        assert client.post("/api/v1/drops", json=wrong).json()["error"]["path"] == path
    ended = client.request("DELETE", "/api/v1/drops", json={"id": begun["id"]})
    assert (ended.status_code, ended.json()["count"]) == (200, 0)
    assert client.get("/api/v1/drops").json()["drops"] == []
    assert error_of(client.request("DELETE", "/api/v1/drops", json={"id": begun["id"]}))[0] == 404
    # Many clients send no body with it.
    again = client.post("/api/v1/drops", json=asked).json()
    assert client.request("DELETE", f"/api/v1/drops?id={again['id']}").json()["id"] == again["id"]
    assert error_of(client.request("DELETE", "/api/v1/drops"))[0] == 422
    assert error_of(client.request("DELETE", "/api/v1/drops?idd=x"))[0] == 422


def test_what_no_company_was_found_for_is_listed(shop: Shop, client: Caller) -> None:
    shop.arrive("hello")
    shop.bury("no company found", stage="resolve", asked_for=[("email", "anna@customer.example")])
    told = client.get("/api/v1/companies/missing").json()
    assert [(row["key"], row["asked_for"], row["count"]) for row in told["missing"]] == [
        ("email", "anna@customer.example", 1)
    ]
    assert "customer.example" in told["yaml"]
    assert error_of(client.get("/api/v1/companies/missing?sorce=x"))[0] == 422


def test_a_letter_whose_request_could_not_be_read_is_mended_whole(shop: Shop, client: Caller) -> None:
    shop.arrive("hello")
    [dead_id] = shop.bury("no")
    mended = slack_message("mended", ts="1800000000.000100").decode()
    edited = client.request("PATCH", f"/api/v1/dead/{dead_id}", json={"raw": mended})
    assert edited.status_code == 200, edited.text
    assert edited.json()["event"]["text"] == "mended"


def test_explain_sends_nothing(shop: Shop, client: Caller) -> None:
    payload = slack_message("hello", ts="1800000000.000100").decode()

    told = client.post("/api/v1/explain", json={"source": "slack", "payload": payload}).json()

    assert "slack-C024BE91L-1800000000.000100" in str(told["events"][0])
    assert shop.outbox.ledger() == {}
    wrong = client.post("/api/v1/explain", json={"source": "slack", "payload": {"no": "slack"}})
    assert error_of(wrong) == (422, "invalid", "payload")
    assert error_of(client.post("/api/v1/explain", json={"source": "x", "payload": {}}))[0] == 404


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "status", "where"),
    [
        ("dead/replay", b"", 400, ""),
        ("dead/replay", b"{", 400, ""),
        ("dead/replay", b"\xff", 400, ""),
        ("dead/replay", b"[]", 422, ""),
        ("dead/replay", b"[" * 100_000, 400, ""),
        ("dead/replay", b"{}", 422, ""),
        ("dead/replay", b'{"cuase": "x", "all": true}', 422, "cuase"),
        ("dead/replay", b'{"ids": "x"}', 422, "ids"),
        ("dead/replay", b'{"all": true, "dry_run": "no"}', 422, "dry_run"),
        ("dead/replay", b'{"ids": ["dead_nobody"]}', 404, ""),
        ("dead/discard", b'{"since": "soon"}', 422, "since"),
        ("dead/discard", b'{"ids": ["dead_nobody"]}', 404, ""),
        ("replay", b'{"ids": ["evt_nobody"]}', 404, ""),
        ("replay", b'{"since": "1h", "until": "2h"}', 422, "until"),
        ("replay", b'{"cause": "x"}', 422, "cause"),
        ("replay", b'{"since": "1h", "limit": -1}', 422, "limit"),
        ("replay", b'{"since": "1h", "limit": true}', 422, "limit"),
        ("dead/replay", b'{"all": true, "dry_run": true, "limit": 10001}', 422, "limit"),
        ("replay", b'{"ids": ["evt_x"], "source": null}', 422, "source"),
        ("pause", b'{"source": 7}', 422, "source"),
        ("pause", b'{"source": null}', 422, "source"),
        ("pause", b'{"source": ""}', 422, "source"),
        ("dead/discard", b'{"cause": null, "all": true}', 422, "cause"),
        ("explain", b'{"payload": {}}', 422, "source"),
        ("explain", b'{"source": "slack"}', 422, "payload"),
        ("explain", b'{"source": "slack", "payload": {}, "headers": [1]}', 422, "headers"),
        ("operations/op_nobody/cancel", b"{}", 404, ""),
    ],
)
def test_bad_input_names_its_place(client: Caller, path: str, body: bytes, status: int, where: str) -> None:
    response = client.post(f"/api/v1/{path}", content=body)
    assert error_of(response)[0] == status
    assert error_of(response)[2] == where


def test_a_body_without_end_is_refused(client: Caller) -> None:
    assert error_of(client.post("/api/v1/explain", content=b"x" * 3_000_000))[0] == 413


@pytest.mark.parametrize(
    "body", [{}, {"payload": []}, {"fields": {"": 1}}, {"fields": {"nope": 1}}, {"subject": "x"}]
)
def test_an_edit_that_says_nothing_is_refused(shop: Shop, client: Caller, body: dict[str, Any]) -> None:
    shop.arrive("hello")
    [dead_id] = shop.bury("no")
    assert error_of(client.request("PATCH", f"/api/v1/dead/{dead_id}", json=body))[0] == 422
    assert (
        error_of(client.request("PATCH", "/api/v1/dead/dead_nobody", json={"company": "extid-acme"}))[0]
        == 404
    )


def test_unknown_ids_and_wrong_queries(client: Caller) -> None:
    for path in (
        "events/evt_nobody",
        "trace/nobody",
        "trace/a%2Fb%00c",
        "dead/dead_nobody",
        "operations/op_nobody",
    ):
        assert error_of(client.get(f"/api/v1/{path}"))[:2] == (404, "not_found")
    for query in ("limit=0", "limit=x", "limit=9999", "since=soon", "after=x"):
        assert error_of(client.get(f"/api/v1/dead?{query}"))[0] == 422
    assert client.request("DELETE", "/api/v1/stats").status_code == 405
    # Without `lanes:` there is one, and it has its name.
    assert client.get("/api/v1/dead?lane=main").json() == client.get("/api/v1/dead").json()
    assert error_of(client.get("/api/v1/stats?lane=other"))[:2] == (404, "not_found")


def test_without_redis_the_answer_is_503_and_says_so(shop: Shop, client: Caller) -> None:
    shop.lose_redis()
    response = client.get("/api/v1/stats")
    assert error_of(response)[:2] == (503, "unavailable")
    assert response.headers["retry-after"]


def test_a_rule_that_fails_is_told_in_the_replay(redis_client: redis.Redis, tmp_path: Path) -> None:
    shop = Shop(redis_client, tmp_path, subject=BROKEN_SUBJECT, token=TOKEN)
    shop.arrive("hello")
    client = client_of(shop, headers={"authorization": f"Bearer {TOKEN}"})
    (letter,) = client.get("/api/v1/dead").json()["items"]
    # The subject fails, and what makes it one conversation does not.
    assert (letter["stage"], letter["externalId"]) == ("map", "slack-C024BE91L-1800000000.000100")
    done = client.post("/api/v1/dead/replay", json={"all": True}).json()
    assert (done["replayed"], done["failed"]) == (0, 1)
    assert "slack-thread" in done["failures"][0]["cause"]


def test_the_document_names_every_route(shop: Shop) -> None:
    routes = {
        (route.path.removeprefix("/api/v1").replace(":path", ""), method.lower())
        for route in api.api_routes(shop.context)
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {(path, method) for path, methods in api_document()["paths"].items() for method in methods}
    assert described == routes


def test_a_body_may_have_what_the_document_says_it_may(shop: Shop) -> None:
    acts = Api(shop.context, access_of(shop.context))
    api.made(acts)
    document = api_document()
    for route, keys in acts.keys.items():
        verb, _, path = route.partition(" ")
        operation = document["paths"][path.replace(":path", "")][verb.lower()]
        body = (
            operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        )
        named = document["components"]["schemas"].get(body.get("$ref", "").rpartition("/")[2], {})
        # A cause is read there only to be refused with a sentence.
        refused = {"cause"} if path == "/replay" else set()
        assert keys - refused == set(named.get("properties", {})), route


def _sound_as_sent(operation: Any, url: str) -> bool:
    """Tell whether the query of a URL holds nothing but texts of parameters that may be any text."""
    texts = {
        parameter.name
        for parameter in operation.query
        if set(parameter.definition.get("schema", {})) <= {"type", "maxLength", "description"}
        and parameter.definition["schema"].get("type") == "string"
    }
    sent = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    return all(name in texts and len(value) < 100 for name, value in sent)


# -- schemathesis ----------------------------------------------------------------------------------------------------


@pytest.mark.simulated
@pytest.mark.filterwarnings("ignore")
def test_generated_requests_find_no_hole(redis_client: redis.Redis, tmp_path: Path) -> None:
    """Schemathesis over the OpenAPI document, against the real application with events and dead letters in it."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        negative_data_rejection,
        response_schema_conformance,
        status_code_conformance,
    )

    shop = Shop(redis_client, tmp_path, token=TOKEN)
    for number in range(3):
        shop.arrive(str(number), number=number, ts=f"180000000{number}.000100")
    shop.bury("no")
    schema = schemathesis.openapi.from_dict(api_document())
    schema.app = app_of(shop)
    called: dict[str, int] = {}
    deadline = time.monotonic() + 50

    def probe(operation: Any, mode: GenerationMode) -> None:
        checks = [
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ]
        if mode is GenerationMode.NEGATIVE:
            checks.append(negative_data_rejection)

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=20,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Any) -> None:
            # A slow machine asks less of each operation, and none is left out.
            if time.monotonic() < deadline or operation.label not in called:
                response = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
                called[operation.label] = called.get(operation.label, 0) + 1
                sound = operation.method.upper() == "GET" and _sound_as_sent(operation, response.request.url)
                # What was made wrong may be gone by the time that it is sent: the token is ours, and a key of no value is no key.
                left_out = [negative_data_rejection] if sound else []
                case.validate_response(response, checks=checks, excluded_checks=left_out)

        ask()

    found: list[Any] = list(schema.get_all_operations())
    operations = [one.ok() for one in found]
    for operation in operations:
        probe(operation, GenerationMode.POSITIVE)
        if operation.body or operation.path_parameters or operation.query:
            probe(operation, GenerationMode.NEGATIVE)
    assert len(called) == len(operations), called
    print("schemathesis:", sum(called.values()), "requests over", len(called), "operations, no finding")
