"""Faults on request: each does to the connection, the status or the items what it says, for as often as it says."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from relay.planhat.sandbox import Fault
from relay.planhat.sandbox.errors import STYLES
from relay.planhat.sandbox.faults import FaultInvalid


def item(external_id: str, **more: Any) -> dict[str, Any]:
    return {"companyId": "extid-acme", "externalId": external_id, **more}


def put(http: httpx.Client, *items: object) -> httpx.Response:
    return http.put("/conversations", json=items)


def stored(http: httpx.Client) -> int:
    count: int = http.get("/_sandbox/stats").json()["conversations"]
    return count


def set_fault(http: httpx.Client, **fault: Any) -> None:
    answer = http.post("/_sandbox/faults", json=fault)
    assert answer.status_code == 200, answer.text


def test_a_status_is_answered_so_often_and_nothing_is_done(http: httpx.Client) -> None:
    set_fault(http, status=503, retry_after=7, times=2)
    for _ in range(2):
        answer = put(http, item("a"))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
        assert stored(http) == 0
    assert put(http, item("a")).status_code == 200
    assert http.get("/_sandbox/faults").json()["faults"][0]["met"] == 2
    assert http.delete("/_sandbox/faults").json() == {"faults": []}


def test_a_fault_may_begin_later_and_meet_one_operation_only(http: httpx.Client) -> None:
    set_fault(http, operation="companies", status=403)
    set_fault(http, operation="upsert", status=500, after=1, times=1)
    assert [put(http, item("a")).status_code for _ in range(3)] == [200, 500, 200]
    assert http.get("/companies").status_code == 403
    assert http.get("/endusers").status_code == 200


def test_conversations_means_all_six(http: httpx.Client) -> None:
    set_fault(http, operation="conversations", status=403)
    assert put(http).status_code == http.get("/conversations").status_code == 403
    assert http.delete("/conversations/x").status_code == http.post("/conversations").status_code == 403
    assert http.get("/users").status_code == 200


def test_work_can_be_done_under_a_status_that_denies_it(http: httpx.Client) -> None:
    set_fault(http, status=500, commit=True, body="html", times=1)
    answer = put(http, item("a"))
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "text/html"
    assert stored(http) == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [("empty", b""), ("string", b'"refused'), ("html", b"<!doctype"), ("json", b'{"error"'), ("garbled", b'{"created": 1, "upd')],
)  # fmt: skip
def test_bodies_come_in_every_style(http: httpx.Client, body: str, expected: bytes) -> None:
    set_fault(http, status=400, body=body)
    assert put(http, item("a")).content.startswith(expected)


def test_a_permission_envelope_can_be_asked_for(http: httpx.Client) -> None:
    set_fault(http, status=403, body="envelope", list="permissionErrors", message="no conversation write")
    assert put(http, item("a")).json()["permissionErrors"] == ["no conversation write"]


@pytest.mark.parametrize(("fault", "count"), [("drop", 0), ("commit_then_drop", 1)])
def test_a_connection_is_closed_without_a_byte(http: httpx.Client, fault: str, count: int) -> None:
    set_fault(http, **{fault: True}, times=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        put(http, item("a"))
    assert stored(http) == count


def test_after_committing_it_can_hang_until_the_client_gives_up(http: httpx.Client) -> None:
    set_fault(http, commit_then_hang=True, times=1)
    with pytest.raises(httpx.ReadTimeout):
        http.put("/conversations", json=[item("a")], timeout=0.2)
    assert stored(http) == 1
    assert put(http, item("a")).json()["nonupdates"] == 1


def test_latency_is_added_to_the_call_and_to_each_item(http: httpx.Client) -> None:
    set_fault(http, latency_ms=30, latency_per_item_ms=10)
    began_s = time.perf_counter()
    put(http, *(item(f"x-{n}") for n in range(5)))
    assert time.perf_counter() - began_s >= 0.08


def test_latency_can_grow_faster_than_the_number_of_items(http: httpx.Client) -> None:
    set_fault(http, latency_per_item_squared_us=2_000)
    took_s = []
    for count in (1, 8):
        began_s = time.perf_counter()
        put(http, *(item(f"x-{n}") for n in range(count)))
        took_s.append(time.perf_counter() - began_s)

    assert took_s[1] >= 0.128
    assert took_s[0] < 0.1


@pytest.mark.parametrize("style", sorted(STYLES))
def test_items_are_refused_by_their_external_id_in_every_style(http: httpx.Client, style: str) -> None:
    known = put(http, item("bad-2")).json()["insertsKeys"][0]["_id"]
    set_fault(http, refuse="^bad-", style=style, message="no good")
    answer = put(http, item("good"), item("bad-2", subject="x"))
    assert answer.status_code == 206
    (element,) = answer.json()["updatedErrors"]
    expected: dict[str, object] = {
        "string": "no good",
        "string_id": "no good (bad-2)",
        "external_id": {"externalId": "bad-2", "error": "no good"},
        "planhat_id": {"_id": known, "message": "no good"},
        "index": {"index": 1, "message": "no good"},
        "nested": {"item": {"externalId": "bad-2"}, "errors": [{"message": "no good"}]},
        "bare": {},
    }
    assert element == expected[style]
    assert stored(http) == 2


@pytest.mark.parametrize(
    ("error_list", "answer_status", "status"),
    [
        ("createdErrors", None, 206),
        ("validationErrors", None, 206),
        ("permissionErrors", None, 403),
        ("createdErrors", 200, 200),
        ("createdErrors", 400, 400),
    ],
)
def test_refusals_go_into_the_list_and_under_the_status_that_were_asked_for(
    http: httpx.Client, error_list: str, answer_status: int | None, status: int
) -> None:
    set_fault(http, refuse="bad", list=error_list, answer_status=answer_status)
    answer = put(http, item("good"), item("bad"))
    assert answer.status_code == status
    assert answer.json()[error_list] == ["refused by the sandbox"]
    assert answer.json()["created"] == 1


def test_hidden_limits_of_size_and_frequency(http: httpx.Client) -> None:
    set_fault(http, body_limit_bytes=200)
    assert put(http, item("a")).status_code == 200
    assert put(http, item("a", description="x" * 200)).status_code == 413
    http.delete("/_sandbox/faults")
    set_fault(http, throttle_over=3, retry_after="5")
    answers = [http.get("/users") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert answers[1].headers["retry-after"] == "5"


def test_a_reset_forgets_conversations_faults_and_calls(http: httpx.Client) -> None:
    put(http, item("a"))
    set_fault(http, status=500)
    assert http.post("/_sandbox/reset").status_code == 200
    assert http.get("/_sandbox/conversations").json() == []
    assert http.get("/_sandbox/faults").json() == {"faults": []}
    assert http.get("/_sandbox/calls").json() == []


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"statsu": 500}, "statsu"),
        ({"status": 99}, "status"),
        ({"status": True}, "status"),
        ({"times": -1}, "times"),
        ({"operation": "explode"}, "operation"),
        ({"operation": None}, "operation"),
        ({"style": "loud"}, "style"),
        ({"refuse": "("}, "refuse"),
        ({"refuse": 7}, "refuse"),
        ({"drop": 1}, "drop"),
        ({"retry_after": []}, "retry_after"),
        (7, "object"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_by_its_key(http: httpx.Client, fault: object, named: str) -> None:
    answer = http.post("/_sandbox/faults", json=fault)
    assert answer.status_code == 400
    assert named in answer.json()["error"]
    with pytest.raises(FaultInvalid, match=named):
        Fault.read(fault)


def test_a_fault_of_the_command_line_reads_as_it_is_written() -> None:
    fault = Fault.parse("operation=upsert,status=503,times=2,retry_after=5,commit,latency_ms=1.5,refuse=^7$")
    assert (fault.operation, fault.status, fault.times, fault.retry_after) == ("upsert", 503, 2, "5")
    assert (fault.commit, fault.latency_ms, fault.refuse) == (True, 1.5, "^7$")
    with pytest.raises(FaultInvalid):
        Fault.parse("status=many")
