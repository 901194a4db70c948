"""JSON of many megabytes: long texts stay where they stand, all else is what the parser says, and what would take too much is known
before it is parsed."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import PayloadInvalid
from relay.sources import large_json
from relay.sources.foreign_json import loads
from relay.sources.large_json import (
    LongText,
    TooDense,
    base64_size,
    dump_large,
    load_large,
    room_for,
    utf8_of,
    utf8_size,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.just("\\u00e9\\n" * 9)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is long and large is some bytes."""
    monkeypatch.setattr(large_json, "LONG_BYTES", 12)
    monkeypatch.setattr(large_json, "_PIECE_BYTES", 13)
    monkeypatch.setattr(large_json, "LARGE_BYTES", 0)


def written(value: Any, escaped: bool) -> bytes:
    """As one sender or another writes JSON."""
    import json

    return json.dumps(value).encode() if escaped else orjson.dumps(value)


def texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in texts_in(one)]


@pytest.mark.usefixtures("small")
def test_what_is_read_is_what_the_parser_reads() -> None:
    @given(VALUES, st.booleans())
    def same(value: Any, escaped: bool) -> None:
        body = written(value, escaped)
        read = load_large(body)
        assert read == orjson.loads(body) == value
        assert orjson.loads(dump_large(read)) == value
        assert [utf8_of(one) for one in texts_in(read)] == [one.encode() for one in texts_in(value)]
        assert [utf8_size(one) for one in texts_in(read)] == [len(one.encode()) for one in texts_in(value)]

    same()


@pytest.mark.usefixtures("small")
def test_what_the_parser_refuses_is_refused() -> None:
    @given(st.lists(st.sampled_from([*'"\\u{}[],:1aé\n😀', "\\ud83d", "\\u", '"ab"']), max_size=40))
    def refused(pieces: list[str]) -> None:
        body = ('["' + "".join(pieces)).encode()
        try:
            expected = orjson.loads(body)
        except orjson.JSONDecodeError:
            with pytest.raises(PayloadInvalid):
                loads(body)
        else:
            assert loads(body) == expected

    refused()


def test_a_long_text_is_cut_for_those_who_read_it_and_whole_for_those_who_keep_it() -> None:
    text = "a line \N{GRINNING FACE}\n" * 200_000
    body = orjson.dumps({"text": text, "more": [1]})
    read = load_large(body)
    assert isinstance(read["text"], LongText) and len(read["text"]) == large_json.HEAD_CHARS
    assert text.startswith(read["text"]) and read["text"].whole() == text.encode()
    assert dump_large(read) == body
    read["text"] = LongText.of(b"x" * 2_000_000)
    assert orjson.loads(dump_large(read)) == {"text": "x" * 2_000_000, "more": [1]}


def test_the_size_of_what_is_attached_is_that_of_all_of_it() -> None:
    import base64

    for size in (10, 1_500_000, 1_500_001, 1_500_002):
        content = base64.b64encode(random.Random(size).randbytes(size)).decode()
        (read,) = load_large(orjson.dumps([content]))
        assert base64_size(read) == size


@pytest.mark.parametrize("unit", [b"{},", b"[],", b"1,", b'"ab",', b'{"a":"b"},', '"\U0001f600",'.encode()])
def test_what_would_take_more_than_its_room_is_told_before_it_is_parsed(unit: bytes) -> None:
    body = b"[" + unit * (1_000_000 // len(unit)) + b"1]"
    with room_for(2 * len(body)), pytest.raises(TooDense):
        load_large(body)
    with room_for(100 * len(body)):
        assert len(load_large(body)) > 1000


def test_a_text_full_of_commas_and_brackets_is_one_value() -> None:
    body = orjson.dumps({"css": "p { margin: 0, 1, 2 } [x] " * 30_000, "html": '"quoted", ' * 30_000})
    with room_for(2 * len(body) + 4096):
        assert len(load_large(body)) == 2
