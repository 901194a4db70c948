"""The mail inside of an S/MIME signature that holds what it signs (`smime.p7m`): without it such a mail is a file and no words. And
the text inside of PGP's.

Nothing is verified here, as nothing is of a signature that stands beside a mail. Only the path to the content is read:
ContentInfo, SignedData, EncapsulatedContentInfo, an octet string in one or in pieces. Source: RFC 5652, sections 3 and 5;
RFC 8551, section 3.5.2; X.690, section 8; RFC 9580, section 7.
"""

from __future__ import annotations

_SEQUENCE, _SET, _INTEGER, _OID, _EXPLICIT = 0x30, 0x31, 0x02, 0x06, 0xA0
_OCTETS, _OCTETS_IN_PIECES = 0x04, 0x24
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_DATA = bytes.fromhex("2a864886f70d010701")
#: Bytes of a length; more is no mail.
_MAX_LENGTH_BYTES = 4

_PGP_BEGIN = "-----BEGIN PGP SIGNED MESSAGE-----\n"
_PGP_SIGNATURE, _PGP_END = "\n-----BEGIN PGP SIGNATURE-----\n", "\n-----END PGP SIGNATURE-----"
#: "Hash: SHA256" and the empty line.
_MAX_PGP_HEADER = 200


def signed_content(raw: bytes) -> bytes:
    """Return what a CMS signature holds and signs; b"" for what is no such signature, holds nothing, or is encrypted."""
    at = 0
    for tag, wanted in (
        *((_SEQUENCE, b""), (_OID, _SIGNED_DATA), (_EXPLICIT, b""), (_SEQUENCE, b"")),
        *((_INTEGER, b""), (_SET, b""), (_SEQUENCE, b""), (_OID, _DATA), (_EXPLICIT, b"")),
    ):
        found = _element(raw, at)
        if found is None or found[0] != tag:
            return b""
        _, start, end = found
        if tag in (_SEQUENCE, _EXPLICIT):
            at = start
            continue
        if end is None or (wanted and raw[start:end] != wanted):
            return b""
        at = end
    return _octets(raw, at)


def without_armour(text: str) -> str:
    """Return a text without the lines that PGP sets around and below what it signs; as it is where they are not whole."""
    begin = 0 if text.startswith(_PGP_BEGIN) else text.find("\n" + _PGP_BEGIN) + 1
    if not text.startswith(_PGP_BEGIN, begin):
        return text
    header = begin + len(_PGP_BEGIN) - 1
    start = text.find("\n\n", header, header + _MAX_PGP_HEADER)
    signature = text.find(_PGP_SIGNATURE, start) if start >= 0 else -1
    end = text.find(_PGP_END, signature + len(_PGP_SIGNATURE) - 1) if signature >= 0 else -1
    if end < 0:
        return text
    inner = text[start + 1 : signature].replace("\n- ", "\n")
    return text[:begin] + inner[1:] + text[end + len(_PGP_END) :]


def _octets(raw: bytes, at: int) -> bytes:
    """An octet string's bytes; of one that was cut short, what is there."""
    found = _element(raw, at)
    if found is None:
        return b""
    tag, start, end = found
    if tag == _OCTETS:
        return raw[start:end]
    if tag != _OCTETS_IN_PIECES:
        return b""
    pieces: list[bytes] = []
    at, stop = start, len(raw) if end is None else end
    while at < stop:
        piece = _element(raw, at)
        if piece is None or piece[0] != _OCTETS or piece[2] is None:
            break
        pieces.append(raw[piece[1] : piece[2]])
        at = piece[2]
    return b"".join(pieces)


def _element(raw: bytes, at: int) -> tuple[int, int, int | None] | None:
    """The tag at this place, where its content begins and ends; the end is None where no length is told."""
    if at + 2 > len(raw):
        return None
    tag, length = raw[at], raw[at + 1]
    at += 2
    if length == 0x80:
        return tag, at, None
    if length > 0x80:
        count = length & 0x7F
        if count > _MAX_LENGTH_BYTES:
            return None
        length = int.from_bytes(raw[at : at + count])
        at += count
    return tag, at, at + length
