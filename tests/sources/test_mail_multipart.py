"""Forms from raw bytes: any size of field, any charset, any line end, any bytes."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.errors import PayloadInvalid
from relay.sources.read.multipart import MAX_PARTS, Form, encode_multipart, parse_form, parse_parameters

TYPE = "multipart/form-data; boundary=xYz"


def form(body: bytes) -> Form:
    return parse_form(body, TYPE)


def part(name: str, content: bytes, more: str = "") -> bytes:
    head = f'--xYz\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def test_a_field_larger_than_a_mebibyte_is_read_whole() -> None:
    mail = b"line of a mail\r\n" * 200_000
    assert form(part("email", mail) + b"--xYz--\r\n").raw("email") == mail


def test_each_field_is_read_in_its_own_charset() -> None:
    found = form(
        part("text", b"pidi\xa2") + part("subject", b"Pl\xe4tze") + part("html", "ß".encode()) + b"--xYz--"
    )
    charsets = Form(found.parts, {"text": "cp850", "subject": "iso-8859-1"})
    assert [charsets.text(name) for name in ("text", "subject", "html", "absent")] == [
        "pidió",
        "Plätze",
        "ß",
        "",
    ]


def test_bare_line_feeds_are_tolerated() -> None:
    body = b'--xYz\nContent-Disposition: form-data; name="a"\n\none\ntwo\n--xYz\nContent-Disposition: form-data; name=b\n\n3\n--xYz--\n'
    assert form(body).fields() == {"a": "one\ntwo", "b": "3"}


def test_content_keeps_its_own_line_ends_and_what_looks_like_a_boundary() -> None:
    content = b"\r\n--xYzz\r\n --xYz\r\nend--xYz\r\n"
    assert form(part("a", content) + b"--xYz--\r\n").raw("a") == content


def test_a_file_is_no_field() -> None:
    found = form(
        part("attachment1", b"\xff\x00", '; filename="a.bin"\r\nContent-Type: application/x') + b"--xYz--"
    )
    assert found.fields() == {}
    (file,) = found.files()
    assert (file.filename, file.content_type, file.content) == ("a.bin", "application/x", b"\xff\x00")


@pytest.mark.parametrize(
    ("given_as", "wanted"),
    [
        ('filename="a b.txt"', "a b.txt"),
        ("filename=a.txt", "a.txt"),
        ('filename="\\\\share\\mail\\f.msg"', "\\\\share\\mail\\f.msg"),
        ('filename="a\\"b.txt"', 'a"b.txt'),
        ('filename="a%22b.txt"', 'a"b.txt'),
        ("filename*=UTF-8''%C3%A4.txt", "ä.txt"),
        ('filename="ä.txt"', "ä.txt"),
        ('filename=""', ""),
    ],
)
def test_file_names_are_read_as_senders_write_them(given_as: str, wanted: str) -> None:
    _, found = parse_parameters(f'form-data; name="x"; {given_as}')
    assert found.get("filename*", found.get("filename")) == wanted
    assert found["name"] == "x"


def test_an_urlencoded_form_is_read() -> None:
    found = parse_form(b"a=1+2&b=%C3%A4&c=&a=again&d", "application/x-www-form-urlencoded; charset=utf-8")
    assert found.fields() == {"a": "1 2", "b": "ä", "c": "", "d": ""}


def test_a_form_of_ours_reads_back() -> None:
    fields = [("a", "1"), ("b", "zwölf\r\nlines")]
    assert (
        list(parse_form(encode_multipart(fields, "q"), "multipart/form-data; boundary=q").fields().items())
        == fields
    )


def test_a_saved_form_without_its_content_type_says_its_boundary_itself() -> None:
    assert parse_form(part("a", b"1") + b"--xYz--", "").fields() == {"a": "1"}


def test_a_body_that_is_cut_off_keeps_what_came() -> None:
    assert form(part("a", b"one") + part("b", b"tw")[:-2]).fields() == {"a": "one", "b": "tw"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", TYPE),
        (b"no boundary here", TYPE),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=" + "y" * 300),
        (b"{}", "application/json"),
        (b"x", ""),
        (part("a", b"x") * (MAX_PARTS + 1), TYPE),
        (b"a&" * (MAX_PARTS + 1), "application/x-www-form-urlencoded"),
        (b"--xYz\r\n" + b"x" * 100_000, TYPE),
    ],
    ids=repr,
)
def test_what_is_no_form_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(PayloadInvalid):
        parse_form(body, kind)


@pytest.mark.parametrize(
    "body",
    [
        b"--xYz" * 1_000_000,
        b"--xYzz\r\n" * 600_000,
        b"\r\n" * 2_500_000,
        (b'--xYz\r\nContent-Disposition: form-data; name="' + b'\\"' * 7000 + b"\r\n\r\n1\r\n") * 300,
        (b"--xYz\r\nContent-Disposition: form-data" + b";a=b" * 4000 + b"\r\n\r\n1\r\n") * 300,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_hostile_form_takes_no_time(body: bytes) -> None:
    began = time.process_time()
    with suppress(PayloadInvalid):
        form(body)
    assert time.process_time() - began < 3


PIECES = st.sampled_from(
    [
        b"--xYz",
        b"\r\n",
        b"\n",
        b"--",
        b"Content-Disposition: form-data",
        b'; name="a"',
        b"; filename=",
        b'"',
        b";",
        b"=",
        b"*",
    ]
)


@settings(max_examples=300)
@given(st.lists(PIECES | st.binary(max_size=6), max_size=30))
def test_any_bytes_are_a_form_or_refused(pieces: list[bytes]) -> None:
    for kind in (TYPE, "application/x-www-form-urlencoded", ""):
        try:
            found = parse_form(b"".join(pieces), kind)
        except PayloadInvalid:
            continue
        str(found.fields()).encode()
        assert all(file.filename is not None for file in found.files())


@given(st.text(max_size=80))
def test_any_header_value_has_parameters(value: str) -> None:
    first, found = parse_parameters(value)
    (first + str(found)).encode()
