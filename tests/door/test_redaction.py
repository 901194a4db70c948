"""Redaction at the door: what the config names never reaches the rules or the store, and equal values stay equal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config import Redaction
from relay.door.redaction import build_redactor
from relay.errors import PayloadInvalid


def redact(body: Any, *rules: Redaction, key: bytes = b"k") -> Any:
    change = build_redactor(rules, key=key)
    assert change is not None
    return json.loads(change(json.dumps(body).encode()))


def test_without_rules_there_is_nothing_to_run() -> None:
    assert build_redactor(()) is None


def test_a_field_is_dropped_and_its_neighbours_stay() -> None:
    body = {"event": {"user": "U1", "text": "hi"}}
    assert redact(body, Redaction("drop", field="event.user")) == {"event": {"text": "hi"}}


def test_a_star_is_any_key_or_index() -> None:
    body = {"to": [{"email": "a"}, {"email": "b", "name": "n"}]}
    assert redact(body, Redaction("drop", field="to.*.email")) == {"to": [{}, {"name": "n"}]}


def test_equal_values_hash_alike_and_other_keys_hash_otherwise() -> None:
    rule = Redaction("hash", field="*")
    one = redact({"a": "ann", "b": "ann", "c": "bob", "d": {"x": 1}}, rule)
    assert one["a"] == one["b"] != one["c"]
    assert one["a"].startswith("redacted-") and one["d"].startswith("redacted-")
    assert redact({"a": "ann"}, rule, key=b"other")["a"] != one["a"]


def test_a_pattern_is_found_in_every_text_and_in_keys() -> None:
    rule = Redaction("hash", pattern=r"[\w.]+@[\w.]+")
    out = redact({"text": "ask ann@example.com", "by": {"ann@example.com": [1, None, "x"]}}, rule)
    assert "ann@example.com" not in json.dumps(out)
    assert next(iter(out["by"])) in out["text"]


def test_what_is_no_json_is_cleaned_as_text() -> None:
    change = build_redactor([Redaction("drop", pattern=r"\d{4}-\d{4}")])
    assert change and change(b"From=a&card=1234-5678\xff") == b"From=a&card=\xff"


def test_a_body_too_deep_to_walk_is_malformed_and_no_crash() -> None:
    change = build_redactor([Redaction("drop", pattern="x")])
    assert change
    with pytest.raises(PayloadInvalid):
        change(b"[" * 1000 + b'"x"' + b"]" * 1000)


@given(
    st.recursive(
        st.none() | st.integers(-5, 5) | st.text(max_size=5) | st.just("ann@example.com"),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    )
)
def test_no_shape_hides_a_pattern(body: Any) -> None:
    assert "ann@example.com" not in json.dumps(redact(body, Redaction("hash", pattern="ann@example[.]com")))
