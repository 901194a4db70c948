"""Single fields out of a form without reading the others: for proofs that lie in what nobody has proven yet.

Memory is fixed whatever the body: other fields' contents are stepped over. For every body the result is that of
`parse_form(...).text(name)`, as long as the field is no longer than a proof may be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from relay.errors import PayloadInvalid
from relay.sources.read.charset import decode_bytes, printable
from relay.sources.read.multipart import (
    boundary_of,
    field_name,
    pairs_between,
    part_head,
    parts_between,
)
from relay.sources.read.percent import percent_decoded

#: No proof is longer.
MAX_FIELD_BYTES = 16 * 1024


def form_fields(body: bytes, content_type: str, names: Collection[str]) -> dict[str, str]:
    """Return these fields as text; what is not there is left out. Raises PayloadInvalid where no form can be read, and for a field that is
    too long to be a proof."""
    boundary = boundary_of(body, content_type)
    found = _urlencoded(body, names) if boundary is None else _multipart(body, boundary, names)
    return {name: printable(text) for name, text in found.items()}


def _urlencoded(body: bytes, names: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start, end in pairs_between(body):
        equals = body.find(b"=", start, end)
        name = field_name(body, start, equals if equals >= 0 else end)
        if name in names and name not in found:
            value = body[equals + 1 : _checked(equals + 1, end)] if equals >= 0 else b""
            found[name] = decode_bytes(percent_decoded(value), "")
    return found


def _multipart(body: bytes, boundary: bytes, names: Collection[str]) -> dict[str, str]:
    """A plain field counts before a file of the same name."""
    found: dict[str, str] = {}
    files: dict[str, str] = {}
    for start, end in parts_between(body, boundary):
        head = part_head(body, start, end)
        if head is None or head.name not in names:
            continue
        into = found if head.filename is None else files
        if head.name not in into:
            content = body[head.content_at : _checked(head.content_at, end)]
            into[head.name] = decode_bytes(content, head.charset)
    return {**files, **found}


def _checked(start: int, end: int) -> int:
    if end - start > MAX_FIELD_BYTES:
        raise PayloadInvalid("a field of the proof is too long")
    return end


def only_field(body: bytes, content_type: str) -> str | None:
    """Return the text of the form's plain field, where it has one name only; else None. Raises PayloadInvalid where no form can be
    read."""
    boundary = boundary_of(body, content_type)
    name: str | None = None
    content, charset = b"", ""
    for own, value, own_charset in _plain(body, boundary):
        if name is None:
            name, charset = own, own_charset
            content = percent_decoded(body[slice(*value)]) if boundary is None else body[slice(*value)]
        elif own != name:
            return None
    return None if name is None else printable(decode_bytes(content, charset))


def _plain(body: bytes, boundary: bytes | None) -> Iterator[tuple[str, tuple[int, int], str]]:
    """Name, place and charset of each plain field."""
    if boundary is None:
        for start, end in pairs_between(body):
            equals = body.find(b"=", start, end)
            place = (equals + 1, end) if equals >= 0 else (end, end)
            yield field_name(body, start, equals if equals >= 0 else end), place, ""
        return
    for start, end in parts_between(body, boundary):
        head = part_head(body, start, end)
        if head is not None and head.filename is None:
            yield head.name, (head.content_at, end), head.charset
