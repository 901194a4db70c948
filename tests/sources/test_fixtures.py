"""Payloads that senders document or that others recorded: each becomes sound events, is skipped, or is parked.

They are others' work and not part of this repository: where they are not beside it, these tests are skipped.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl

import pytest

from relay.errors import PayloadInvalid
from relay.event import Event
from relay.sources.base import Adapter, Inbound, Parked, Parsed, Reply, Skipped
from relay.sources.registry import ADAPTERS
from tests.places import FIXTURES
from tests.sources.test_every_source import NOW_S, build, check_parsed

FOLDER = FIXTURES
INDEX: list[dict[str, Any]] = (
    json.loads((FOLDER / "INDEX.json").read_text()) if (FOLDER / "INDEX.json").exists() else []
)

#: Folders whose adapter has another name; what is missing here and in the registry goes through `generic`.
ADAPTER_OF = {"msgraph": "graph", "ses_sns": "ses", "email_mime": "sendgrid"}
BOUNDARY = "relay-fixture-boundary"


def adapter_name(item: dict[str, Any]) -> str:
    name = ADAPTER_OF.get(item["source"], item["source"])
    return name if name in ADAPTERS else "generic"


def adapter_of(item: dict[str, Any]) -> Adapter:
    name = adapter_name(item)
    more: dict[str, Any] = {}
    if name == "front":
        more["scheme"] = "rule" if "/rule_" in item["file"] else "application"
    return build(name, **more)


def inbound_of(item: dict[str, Any]) -> Inbound:
    path = FOLDER / item["file"]
    meta = meta_of(item)
    request = meta["request"]
    body = path.read_bytes()
    headers = {
        key.lower(): value
        for key, value in request.get("headers", {}).items()
        if isinstance(value, str) and not ("<" in value and ">" in value)
    }
    if request.get("content_type"):
        headers["content-type"] = request["content_type"]
    if item["source"] == "email_mime":
        # A bare message, as SendGrid's raw mode would post it.
        body = b'--%b\r\nContent-Disposition: form-data; name="email"\r\n\r\n%b\r\n--%b--\r\n' % (
            BOUNDARY.encode(),
            body,
            BOUNDARY.encode(),
        )
        headers["content-type"] = f"multipart/form-data; boundary={BOUNDARY}"
    query = request.get("query", "")
    return Inbound(
        body,
        headers,
        request.get("method", "POST"),
        "/hooks/it" + (f"?{query}" if query else ""),
        dict(parse_qsl(query)),
    )


def meta_of(item: dict[str, Any]) -> dict[str, Any]:
    path = FOLDER / item["file"]
    meta: dict[str, Any] = json.loads(path.with_name(path.stem + ".meta.json").read_text())
    return meta


def outcome(adapter: Adapter, request: Inbound) -> Reply | list[Parsed]:
    """As the door asks: the handshake first, then what the body holds."""
    reply = adapter.handshake(request, now_s=NOW_S)
    return adapter.parse(request, now_s=NOW_S) if reply is None else reply


every_payload = pytest.mark.parametrize("item", [pytest.param(item, id=item["file"]) for item in INDEX])


@pytest.mark.skipif(not INDEX, reason="the payloads are not beside this repository")
@every_payload
def test_a_documented_payload_is_understood(item: dict[str, Any]) -> None:
    adapter, request = adapter_of(item), inbound_of(item)
    expect = meta_of(item).get("expect", {})
    try:
        found = outcome(adapter, request)
    except PayloadInvalid:
        assert expect.get("action") == "reject_or_park"
        return
    if isinstance(found, list):
        assert found or request.body.strip() == b"[]"
        check_parsed(adapter_name(item), found)
        for event in found:
            if isinstance(event, Event):
                assert says_something(event), event
    check_action(expect.get("action", ""), found)
    check_details(expect, found, adapter)


def says_something(event: Event) -> bool:
    return bool(
        event.text or event.html or event.subject or event.attachments or event.ticket.id or event.message_id
    )


def check_action(action: str, found: Reply | list[Parsed]) -> None:
    kept = [one for one in found if isinstance(one, Event)] if isinstance(found, list) else []
    only_skipped = isinstance(found, list) and all(isinstance(one, Skipped) for one in found)
    if action in (
        "upsert",
        "append",
        "fetch_then_upsert",
        "fetch_then_append",
        "update_status",
        "update_assignee",
    ):
        assert kept, found
    elif action == "update":
        assert [event.kind for event in kept] == ["message.updated"]
    elif action == "delete":
        assert [event.kind for event in kept] == ["message.deleted"]
    elif action in ("ignore", "ignore_auto", "ignore_or_alert", "lifecycle", "skip_private"):
        assert only_skipped, found
    elif action == "handshake":
        assert isinstance(found, Reply) or only_skipped, found
    elif action == "ignore_or_mark_bot":
        assert only_skipped or all(event.sender.bot for event in kept), found
    elif action == "reject_or_park":
        assert isinstance(found, list)
        assert all(isinstance(one, Parked) for one in found), found
    else:
        assert action in ("", "map_by_config", "test_message", "ignore_or_generic", "ignore_or_other_mapping")


def plain(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9@._=+-]+", "-", key).strip("-")


def check_details(expect: dict[str, Any], found: Reply | list[Parsed], adapter: Adapter) -> None:
    if "respond" in expect:
        if isinstance(found, Reply):
            assert expect["respond"] in found.body.decode()
        else:
            assert b"<Ack>true</Ack>" in (adapter.answers.accepted_body or b"")
    kept = [one for one in found if isinstance(one, Event)] if isinstance(found, list) else []
    if not kept:
        return
    event = kept[0]
    for key, given in (
        ("external_id", event.thread),
        ("thread_key", event.thread),
        ("message_key", event.message_id),
        ("dedupe", event.delivery_id),
        ("event_id", event.delivery_id),
    ):
        if key in expect:
            # Slack's keys begin with the team there; here the channel is the stable part.
            assert plain(expect[key]).removeprefix("T111-") == plain(given), key
    for key, given in (
        ("author", event.sender.id),
        ("sender", event.sender.email),
        ("text", event.text),
        ("subject", event.subject),
    ):
        if key in expect:
            assert given == expect[key], key
    if "status" in expect:
        assert event.ticket.status.casefold() == expect["status"].casefold()
    if "occurred_at" in expect:
        assert event.time[:-1] == expect["occurred_at"][: len(event.time) - 1]
    if isinstance(expect.get("attachments"), int):
        assert len(event.attachments) == expect["attachments"]
    if "mailbox_hash" in expect:
        assert expect["mailbox_hash"] in json.dumps(dict(event.payload))
