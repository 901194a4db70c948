"""The scanner against the parser: on every valid body they tell the same, and what costs the parser its memory costs the
scanner nothing."""

from __future__ import annotations

import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.errors import PayloadInvalid
from relay.sources.foreign_json import parse_json
from relay.sources.read import json_scan, pick

NAMES = ("token", "a", "é", '"', "\\", "", "value")
KEYS = st.sampled_from(NAMES) | st.text(max_size=4)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(['"', "\\", '\\"', "{", "}", "[", "]", ",", ":", '{"token":"x"}', "é☃😀", "\n"])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)
STEPS = st.sampled_from([*NAMES[:3], "0", "1", "07", "x"])


def written(value: Any, data: st.DataObject) -> bytes:
    """The value as some sender might write it: blanks anywhere, letters escaped, names twice."""

    def blank() -> str:
        return str(data.draw(st.sampled_from(["", "", " ", "\n\t", "\r\n "])))

    def text(letters: str) -> str:
        way = data.draw(st.integers(0, 2))
        if way == 0:
            return orjson.dumps(letters).decode()
        units = letters.encode("utf-16-be")
        escaped = "".join(f"\\u{units[n]:02x}{units[n + 1]:02X}" for n in range(0, len(units), 2))
        return f'"{escaped}"' if way == 1 else orjson.dumps(letters).decode().replace("/", "\\/")

    def write(one: Any) -> str:
        if isinstance(one, str):
            return text(one)
        if isinstance(one, list):
            return "[" + blank() + f"{blank()},{blank()}".join(write(item) for item in one) + blank() + "]"
        if isinstance(one, dict):
            pairs = list(one.items())
            twice: bool = data.draw(st.booleans())
            if pairs and twice:
                pairs.insert(0, (pairs[-1][0], data.draw(LEAVES)))
            inner = f"{blank()},{blank()}".join(
                f"{text(name)}{blank()}:{blank()}{write(item)}" for name, item in pairs
            )
            return "{" + blank() + inner + blank() + "}"
        return orjson.dumps(one).decode()

    return (blank() + write(value) + blank()).encode()


def small(value: Any) -> Any:
    return None if isinstance(value, (dict, list)) else value


@given(value=VALUES, path=st.lists(STEPS, min_size=1, max_size=3), data=st.data())
def test_what_is_found_is_what_the_parser_finds(value: Any, path: list[str], data: st.DataObject) -> None:
    body = written(value, data)
    parsed = parse_json(body)
    assert json_scan.scan_path(body, ".".join(path)) == small(pick.follow(parsed, ".".join(path)))
    if isinstance(parsed, dict):
        spans = json_scan.members(body, NAMES)
        assert spans.keys() == parsed.keys() & set(NAMES)
        for name, span in spans.items():
            assert parse_json(body[slice(*span)]) == parsed[name]
            assert json_scan.small_value(body, span) == small(parsed[name])
            assert json_scan.large_text(body, span) == (
                parsed[name] if isinstance(parsed[name], str) else None
            )
            if isinstance(parsed[name], list):
                found = [parse_json(body[slice(*one)]) for one in json_scan.items(body, span)]
                assert found == parsed[name]
    else:
        with pytest.raises(PayloadInvalid):
            json_scan.members(body, NAMES)


@given(value=st.dictionaries(KEYS, VALUES, min_size=1, max_size=4), data=st.data())
def test_a_body_that_is_cut_off_tells_nothing(value: Any, data: st.DataObject) -> None:
    body = orjson.dumps(value)
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(PayloadInvalid):
        json_scan.members(body[:cut], NAMES)


@given(junk=st.binary(max_size=60) | st.text(alphabet='{}[]",:\\tokena1 ', max_size=60).map(str.encode))
@example(junk=b'{"token":"x"}{')
@example(junk=b'{"token":"x",}')
@example(junk=b'{"token" "x"}')
@example(junk=b'{"token":}')
@example(junk=b'{,"token":1}')
def test_whatever_comes_is_refused_or_read_and_never_raises_anything_else(junk: bytes) -> None:
    try:
        found = json_scan.members(junk, NAMES)
    except PayloadInvalid:
        return
    for span in found.values():
        try:
            json_scan.small_value(junk, span)
        except PayloadInvalid:
            continue


DENSE = {
    "objects": b'{"a":[' + b"{}," * 700_000 + b'1],"token":"here"}',
    "escapes": b'{"a":"' + b"\\n" * 1_000_000 + b'","token":"here"}',
    "deep": b'{"a":[' + (b"[" * 60 + b"]" * 60 + b",") * 15_000 + b'1],"token":"here"}',
    "strings": b'{"a":[' + b'"",' * 700_000 + b'1],"token":"here"}',
    "a long one": b'{"a":"' + b"x" * 2_000_000 + b'","token":"here"}',
}


@pytest.mark.parametrize("kind", DENSE)
def test_memory_is_fixed(kind: str) -> None:
    tracemalloc.start()
    try:
        assert json_scan.scan_path(DENSE[kind], "token") == "here"
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()


def test_more_members_than_anybody_sends_are_not_gone_through() -> None:
    body = b"{" + b",".join(b'"k%d":1' % n for n in range(json_scan.MAX_MEMBERS + 1)) + b"}"
    with pytest.raises(PayloadInvalid):
        json_scan.members(body, ("token",))
