"""The scanner of forms against their parser: on every body they tell the same, in fixed memory."""

from __future__ import annotations

import tracemalloc
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import PayloadInvalid
from relay.sources.read import multipart
from relay.sources.read import percent as percent_values
from relay.sources.read.form_scan import MAX_FIELD_BYTES, form_fields
from relay.sources.read.multipart import Form, parse_form

FORM = "application/x-www-form-urlencoded"
NAMES = ("token", "timestamp", "signature")
TEXTS = st.text(max_size=12) | st.sampled_from(["é☃", "a+b %41", "--x", "\r\n--x\r\n", "=", "&", "\x00"])
FIELD_NAMES = st.sampled_from([*NAMES, *NAMES, "other", "tokens", "Token", "tok\x00en"])


def same(body: bytes, content_type: str) -> None:
    try:
        form: Form | None = parse_form(body, content_type)
    except PayloadInvalid:
        form = None
    try:
        found = form_fields(body, content_type, NAMES)
    except PayloadInvalid:
        assert form is None or any(len(form.raw(name)) > 1000 for name in NAMES)
        return
    assert form is not None
    assert found == {name: form.text(name) for name in NAMES if name in form}


def percent(text: str, every: bool) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode()) if every else quote_plus(text)


@given(pairs=st.lists(st.tuples(FIELD_NAMES, TEXTS, st.booleans()), max_size=6))
def test_an_urlencoded_form_tells_the_same(pairs: list[tuple[str, str, bool]]) -> None:
    same("&".join(f"{percent(n, e)}={percent(v, e)}" for n, v, e in pairs).encode(), FORM)


@given(junk=st.text(alphabet="token=&%+4 \x00é", max_size=40))
def test_whatever_an_urlencoded_form_holds(junk: str) -> None:
    same(junk.encode(), FORM)


PART_HEADS = st.sampled_from(
    [
        'Content-Disposition: form-data; name="{}"',
        "content-disposition:form-data;name={}",
        'Content-Disposition: form-data; name="{}"; filename="f.txt"\r\nContent-Type: text/plain',
        'Content-Type: text/plain; charset=iso-8859-1\r\nContent-Disposition: form-data; name="{}"',
        "Content-Disposition: form-data; name=\"{}\"; filename*=UTF-8''%41",
        "X: y",
    ]
)


@given(
    parts=st.lists(st.tuples(PART_HEADS, FIELD_NAMES, TEXTS), max_size=6),
    end=st.sampled_from(["--x--\r\n", "", "--x", "--x-"]),
    line=st.sampled_from(["\r\n", "\n"]),
)
def test_a_multipart_form_tells_the_same(parts: list[tuple[str, str, str]], end: str, line: str) -> None:
    body = "".join(
        f"--x{line}{head.format(name)}{line}{line}{value}{line}" for head, name, value in parts
    ).replace("\r\n", line)
    for content_type in ("multipart/form-data; boundary=x", 'multipart/form-data; boundary="x"', ""):
        same((body + end).encode(), content_type)


@given(junk=st.text(alphabet='-x\r\n;="aname: ', max_size=80))
def test_whatever_a_multipart_form_holds(junk: str) -> None:
    same(junk.encode(), "multipart/form-data; boundary=x")
    same(
        b"--x\r\nContent-Disposition: form-data; name=token\r\n\r\n" + junk.encode() + b"\r\n--x--",
        "multipart/form-data; boundary=x",
    )


def test_memory_is_fixed_and_the_time_of_many_boundaries_too() -> None:
    proof = urlencode({"timestamp": "1", "token": "t", "signature": "s"}).encode()
    part = b'--x\r\nContent-Disposition: form-data; name="body-plain"\r\n\r\n'
    bodies = [
        (b"body-plain=" + b"%41" * 2_000_000 + b"&" + proof, FORM),
        (b"&".join([b"a=b"] * 900) + b"&body=" + b"+" * 4_000_000 + b"&" + proof, FORM),
        (part + b"x" * 4_000_000 + b"\r\n--x--", "multipart/form-data; boundary=x"),
        (part + b"\r\n--xy" * 10_000 + b"y" * 4_000_000 + b"\r\n--x--", "multipart/form-data; boundary=x"),
        (part + b"--x" * 1_500_000 + b"\r\n--x--", "multipart/form-data; boundary=x"),
    ]
    for body, content_type in bodies:
        tracemalloc.start()
        try:
            form_fields(body, content_type, NAMES)
            assert tracemalloc.get_traced_memory()[1] < 300_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("unit", [b"\n--xy", b"\r\n--x\r\nA: b\r\n\r\n"])
def test_more_boundaries_than_anybody_sends_are_not_gone_through(unit: bytes) -> None:
    body = b"--x\r\n" + unit * (multipart.MAX_CANDIDATES + 10)
    for read in (parse_form, lambda body, kind: form_fields(body, kind, NAMES)):
        with pytest.raises(PayloadInvalid):
            read(body, "multipart/form-data; boundary=x")


def test_a_field_of_the_proof_is_bounded() -> None:
    with pytest.raises(PayloadInvalid):
        form_fields(b"token=" + b"x" * (MAX_FIELD_BYTES + 1), FORM, NAMES)


@given(raw=st.text(alphabet="%4a1+é&", min_size=0, max_size=300).map(str.encode), piece=st.integers(3, 40))
def test_values_decoded_piece_by_piece_are_the_same(raw: bytes, piece: int) -> None:
    before = percent_values.percent_decoded(raw)
    held, percent_values.PIECE_BYTES = percent_values.PIECE_BYTES, piece
    try:
        assert percent_values.percent_decoded(raw) == before
    finally:
        percent_values.PIECE_BYTES = held
