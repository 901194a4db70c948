"""A mail that came inside of its S/MIME signature is the mail that was signed."""

from __future__ import annotations

from base64 import encodebytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sources.mail.mime import read_mime
from relay.sources.mail.reply import reply_of
from relay.sources.mail.signed import signed_content, without_armour

SIGNED, ENVELOPED, DATA = (bytes.fromhex(f"06092a864886f70d0107{kind}") for kind in ("02", "03", "01"))
INNER = (
    b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    b"Gr\xc3\xbc\xc3\x9fe\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Gr\xc3\xbc\xc3\x9fe</p>\r\n--x--\r\n"
)


def element(tag: int, content: bytes, *, told: bool = True) -> bytes:
    if not told:
        return bytes([tag, 0x80]) + content + b"\0\0"
    size = len(content)
    count = (size.bit_length() + 7) // 8
    return (
        bytes([tag])
        + (bytes([size]) if size < 128 else bytes([0x80 | count]) + size.to_bytes(count))
        + content
    )


def signature(inner: bytes, *, told: bool = True, piece: int = 0, kind: bytes = SIGNED) -> bytes:
    """A signature as OpenSSL makes it (`told`), or as it and Outlook do while they still read; by nobody, over nothing."""
    octets = element(4, inner)
    if piece:
        pieces = b"".join(element(4, inner[at : at + piece]) for at in range(0, len(inner), piece))
        octets = element(0x24, pieces, told=told)
    content = element(0x30, DATA + element(0xA0, octets, told=told), told=told)
    data = element(2, b"\1") + element(0x31, element(0x30, b"\6\1\1")) + content + element(0x31, b"")
    return element(0x30, kind + element(0xA0, element(0x30, data, told=told), told=told), told=told)


def mail(
    content: bytes, kind: str = "application/pkcs7-mime; smime-type=signed-data", name: str = ""
) -> bytes:
    named = f"; name={name}" if name else ""
    head = f"From: a@b.example\r\nSubject: Export\r\nContent-Type: {kind}{named}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + encodebytes(content)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("piece", [0, 7, 100])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("application/pkcs7-mime; smime-type=signed-data", "smime.p7m"),
        ("application/x-pkcs7-mime", ""),
        ("application/octet-stream", "smime.p7m"),
    ],
)
def test_a_mail_inside_of_its_signature_is_read(told: bool, piece: int, kind: str, name: str) -> None:
    found = read_mime(mail(signature(INNER, told=told, piece=piece), kind, name))
    assert (found.text, found.html, found.attachments) == ("Grüße", "<p>Grüße</p>", ())
    assert found.headers.get("subject") == "Export"
    twice = mail(signature(INNER)).partition(b"Subject: Export\r\n")[2]
    assert read_mime(mail(signature(twice, told=told, piece=piece))).text == "Grüße"


@pytest.mark.parametrize(
    "content",
    [
        signature(INNER, kind=ENVELOPED),
        signature(b""),
        b"",
        b"\x30\x80",
        b"\x30\x85\1\1\1\1\1",
        element(0x30, SIGNED + element(0xA0, b"")),
    ],
)
def test_what_is_encrypted_or_signs_nothing_is_a_file(content: bytes) -> None:
    found = read_mime(mail(content, name="smime.p7m"))
    assert (found.text, [file.name for file in found.attachments]) == ("", ["smime.p7m"])


@given(st.binary(max_size=60), st.integers(0, 400), st.booleans())
def test_a_broken_signature_breaks_nothing(noise: bytes, at: int, told: bool) -> None:
    whole = signature(INNER, told=told, piece=50)
    for raw in (noise, whole[:at], whole[:at] + noise + whole[at:], signature(noise, told=told, piece=3)):
        assert len(signed_content(raw)) <= len(raw)
        read_mime(mail(raw))
    assert INNER.startswith(signed_content(whole[:at]))


LINES = st.lists(
    st.sampled_from(["a", "", "- b", "-- ", "Hash: c", "-----BEGIN x-----"]) | st.text("a \n-", max_size=8)
)


@given(LINES, st.sampled_from(["", "Hello\n\n"]), st.sampled_from(["", "\n\nThe list's footer"]))
def test_of_a_text_that_pgp_signed_the_words_stay(lines: list[str], above: str, below: str) -> None:
    text = "\n".join(lines)
    dashed = "\n".join(f"- {line}" if line.startswith("-") else line for line in text.split("\n"))
    armoured = (
        f"{above}-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{dashed}\n-----BEGIN PGP SIGNATURE-----\n\n"
        f"iQEzBAEBCAAdFiEE\n=abcd\n-----END PGP SIGNATURE-----{below}"
    )
    assert without_armour(armoured) == f"{above}{text}{below}"
    assert without_armour(armoured[: armoured.find("-----END")]) == armoured[: armoured.find("-----END")]
    assert without_armour(text) == text


def test_a_signed_answer_leaves_its_quotation_and_no_armour() -> None:
    quoted = "On Mon, 2 Mar 2026 at 10:00, Bob <bob@example.com> wrote:\n> -----BEGIN PGP SIGNED MESSAGE-----\n> Hash: SHA512\n>\n> 40"
    text = (
        f"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n{quoted}\r\n\r\n25.\r\n\r\n- -- \r\nNora\r\n"
        "-----BEGIN PGP SIGNATURE-----\r\n\r\niQEz\r\n-----END PGP SIGNATURE-----\r\n"
    )
    assert reply_of(text).text == "25.\n\n--\nNora"
