"""Handshakes of `generic`: what is given back, to whom, and that none of them lets anything in."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.errors import NotAuthentic
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound
from relay.sources.proof.handshake import MAX_ASKING_BYTES, MAX_ECHO_CHARS, read_handshake
from relay.sources.registry import build_adapter
from tests.growth import assert_in_step

NOW_S = 1_790_000_000.0


def adapter(echo: str, as_: str = "text", **more: Any) -> Adapter:
    proof = more or {"bearer": lambda: ["a-token"]}
    return build_adapter(SourceOptions("it", "generic", handshake={"echo": echo, "as": as_}, **proof))


def asked(
    source: Adapter, method: str = "POST", body: bytes = b"", **places: Any
) -> tuple[int, bytes, dict[str, str]] | None:
    reply = source.handshake(
        Inbound(body, places.get("headers", {}), method, "/hooks/it", places.get("query", {})), now_s=NOW_S
    )
    return (
        None
        if reply is None
        else (reply.status, reply.body, {**reply.headers, "content-type": reply.content_type})
    )


def test_each_place_is_echoed_in_each_way() -> None:
    plain = asked(adapter("query hub.challenge"), "GET", query={"hub.challenge": "12 ä"})
    assert plain is not None
    assert plain[:2] == (200, "12 ä".encode())
    assert plain[2]["content-type"].startswith("text/plain")
    assert plain[2]["x-content-type-options"] == "nosniff"
    header = asked(
        adapter("header Validation-Token", "header Validation-Token"), headers={"validation-token": "v-1"}
    )
    assert header is not None
    assert header[:2] == (200, b"")
    assert header[2]["validation-token"] == "v-1"
    as_json = asked(adapter("field data.challenge", "json"), body=b'{"data": {"challenge": "c-1"}}')
    assert as_json is not None
    assert orjson.loads(as_json[1]) == {"challenge": "c-1"}
    assert as_json[2]["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_what_is_no_handshake_is_not_answered(method: str) -> None:
    for echo in ("query a", "header A", "field a"):
        source = adapter(echo)
        assert asked(source, method) is None
        assert asked(source, method, b'{"b": "x"}', headers={"b": "x"}, query={"b": "x"}) is None
    assert asked(adapter("field a"), method, b'{"a": 7}') is None
    assert asked(adapter("field a"), method, b'{"a": ["x"]}') is None
    assert asked(adapter("field a"), method, b"not JSON") is None


def test_a_field_is_asked_for_in_a_post_alone() -> None:
    assert asked(adapter("field a"), "GET", b'{"a": "x"}') is None


def test_nothing_goes_back_that_could_break_an_answer() -> None:
    split = "x\r\nset-cookie: a=b"
    assert asked(adapter("query a", "header X-A"), "GET", query={"a": split}) is None
    assert asked(adapter("query a"), "GET", query={"a": "x" * (MAX_ECHO_CHARS + 1)}) is None
    assert asked(adapter("query a", "header X-A"), "GET", query={"a": "ä"}) is None
    large = orjson.dumps({"a": "x", "b": "y" * MAX_ASKING_BYTES})
    assert asked(adapter("field a"), body=large) is None


def test_a_handshake_lets_nothing_in() -> None:
    """A head that may be a handshake is let through to its body; the request is not proven by it."""
    for echo, places in (
        ("header Ask", {"headers": {"ask": "x"}}),
        ("query ask", {"query": {"ask": "x"}}),
        ("field ask", {}),
    ):
        source = adapter(echo)
        request = Inbound(
            b'{"text": "hello"}', places.get("headers", {}), "POST", "/", places.get("query", {})
        )
        source.verify_head(request, now_s=NOW_S)
        with pytest.raises(NotAuthentic):
            source.verify(request, now_s=NOW_S)


def test_a_head_that_cannot_be_a_handshake_is_looked_at() -> None:
    for echo in ("header Ask", "query ask"):
        with pytest.raises(NotAuthentic):
            adapter(echo).verify_head(Inbound(b"", {}), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter("field ask").verify_head(Inbound(b"", {"content-length": "1000000"}), now_s=NOW_S)


@pytest.mark.parametrize(
    ("described", "wanted"),
    [
        ({"echo": "cookie a"}, "header NAME"),
        ({"echo": "header"}, "header NAME"),
        ({"echo": "header a b"}, "header NAME"),
        ({}, "header NAME"),
        ({"echo": "query a", "as": "html"}, "text, json or"),
        ({"echo": "query a", "as": "header a b"}, "text, json or"),
        ({"echo": "query a", "to": "x"}, "unknown key 'to'"),
    ],
)
def test_a_description_that_does_not_hold_is_refused(described: dict[str, str], wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        read_handshake(described)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(0, 9), max_size=4),
    st.text(max_size=30),
)
def test_what_goes_back_is_what_was_asked_with(payload: dict[str, Any], value: str) -> None:
    source = adapter("field ask")
    reply = asked(source, body=orjson.dumps({**payload, "ask": value}))
    assert reply is None or reply[1] == value.encode()
    assert reply is not None or not value or not value.isprintable()


def test_looking_for_a_field_takes_time_in_step_with_the_body() -> None:
    handshake = read_handshake({"echo": "field ask"})

    def took_s(size: int) -> float:
        body = b'{"x": "' + b"\\" * 2 * (size // 2) + b'", "y": ' + b"[" * 40 + b"]" * 40 + b"}"
        began = time.process_time()
        for _ in range(200):
            handshake.reply(Inbound(body, {}))
        return time.process_time() - began

    assert_in_step(took_s, 7_000, slack_s=0.02)
