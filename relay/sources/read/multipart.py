"""multipart/form-data and urlencoded forms from raw bytes: fields stay bytes until their charset is known.

Web frameworks decode fields as one charset and refuse those over 1 MiB; a raw mail is one field, of up to 30 MB.
Everything here takes linear time; bodies with bare LF line ends (SendGrid's own test tools) are read as well.
Source: RFC 7578, RFC 2046 section 5.1.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import quote_plus, unquote, unquote_to_bytes

from relay.errors import PayloadInvalid
from relay.sources.foreign_json import parse_json
from relay.sources.large_json import HEAD_CHARS
from relay.sources.read.charset import decode_bytes, printable
from relay.sources.read.percent import PIECE_BYTES, percent_decoded

MAX_PARTS = 1000
_TEXTS = ("text/", "message/", "application/json")
MAX_PART_HEADER_BYTES = 16 * 1024
MAX_PART_HEADERS = 100
MAX_PARAMETERS_CHARS = 4096
MAX_NAME_BYTES = 4096
#: Lines that begin like a boundary and are none; a boundary of one letter may be found anywhere.
MAX_CANDIDATES = 20 * MAX_PARTS
#: RFC 2046 allows 70 characters; some libraries make longer ones.
MAX_BOUNDARY_CHARS = 200


@dataclass(frozen=True, slots=True)
class Part:
    """One field. `filename` is None for a plain field, "" for a file without a name."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str = ""
    charset: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """The parts in their order. `charsets` names the charset of single fields (SendGrid's `charsets`)."""

    parts: tuple[Part, ...]
    charsets: Mapping[str, str] = field(default_factory=dict)

    def part(self, name: str) -> Part | None:
        """Return the first plain field of this name, else the first file of it."""
        found = None
        for part in self.parts:
            if part.name == name:
                if part.filename is None:
                    return part
                found = found or part
        return found

    def raw(self, name: str) -> bytes:
        found = self.part(name)
        return found.content if found else b""

    def text(self, name: str) -> str:
        """Return the field as text, cut where nobody reads on; "" where there is none. Charset: as `charsets` says, else as the part
        says, else UTF-8."""
        found = self.part(name)
        return printable(self._decoded(found))[:HEAD_CHARS] if found else ""

    def fields(self) -> dict[str, str]:
        """Return the plain fields as text, the first of each name: for templates."""
        found: dict[str, str] = {}
        for part in self.parts:
            if part.filename is None:
                found.setdefault(part.name, "")
        return {name: self.text(name) for name in found}

    def files(self) -> list[Part]:
        return [part for part in self.parts if part.filename is not None]

    def __contains__(self, name: str) -> bool:
        return any(part.name == name for part in self.parts)

    def _decoded(self, part: Part) -> str:
        most = 4 * HEAD_CHARS
        charset = self.charsets.get(part.name, "") or part.charset
        return decode_bytes(part.content[:most], charset, cut=len(part.content) > most)


def parse_form(body: bytes, content_type: str) -> Form:
    """Return the form of a request. Raises PayloadInvalid for another content type, or where no form can be read."""
    boundary = boundary_of(body, content_type)
    return Form(tuple(_urlencoded(body) if boundary is None else _multipart(body, boundary)))


def boundary_of(body: bytes, content_type: str) -> bytes | None:
    """Return a multipart form's boundary, None for an urlencoded one. Raises PayloadInvalid for what is no form."""
    kind, parameters = parse_parameters(content_type)
    if kind == "application/x-www-form-urlencoded":
        return None
    if not kind and body.startswith(b"--"):
        # A saved body without its headers (`relay explain`): its first line is the boundary.
        return body[2 : MAX_BOUNDARY_CHARS + 2].partition(b"\n")[0].rstrip()
    if not kind.startswith("multipart/"):
        raise PayloadInvalid("wanted a form")
    boundary = parameters.get("boundary", "")
    if not boundary or len(boundary) > MAX_BOUNDARY_CHARS:
        raise PayloadInvalid("multipart without a boundary")
    return boundary.encode("latin-1", "replace")


def clean_parts(body: bytes, boundary: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """Return the body with `change(name, content)` in the place of each text's content (None: nothing); files that are no text stay as
    they are, and so does what is no part."""
    cleaned, done = BytesIO(), 0
    view = memoryview(body)
    for start, end in _between(body, b"--" + boundary):
        head = part_head(body, start, end)
        if head is None or (head.filename is not None and not head.content_type.startswith(_TEXTS)):
            continue
        content = body[head.content_at : end]
        changed = change(head.name, content)
        is_same = changed == content
        del content
        if not is_same:
            cleaned.write(view[done : head.content_at])
            cleaned.write(changed or b"")
            done = end
        del changed
    if not done:
        return body
    cleaned.write(view[done:])
    return cleaned.getvalue()


def encode_multipart(fields: Iterable[tuple[str, str]], boundary: str) -> bytes:
    """Return a form of plain fields, as providers send it: for samples."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields
    ]
    return ("".join(parts) + f"--{boundary}--\r\n").encode()


def as_object(raw: bytes) -> dict[str, Any]:
    """Return a field that holds a JSON object; {} for anything else."""
    value = _as_json(raw)
    return value if isinstance(value, dict) else {}


def as_list(raw: bytes) -> list[Any]:
    """Return a field that holds a JSON list; [] for anything else."""
    value = _as_json(raw)
    return value if isinstance(value, list) else []


def _as_json(raw: bytes) -> Any:
    if raw.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        return parse_json(raw)
    except PayloadInvalid:
        return None


def _urlencoded(body: bytes) -> Iterator[Part]:
    for start, end in pairs_between(body):
        equals = body.find(b"=", start, end)
        name_end = equals if equals >= 0 else end
        value = percent_decoded(body[equals + 1 : end]) if equals >= 0 else b""
        yield Part(field_name(body, start, name_end), value)


def form_pairs(body: bytes, most: int) -> list[tuple[str, str]]:
    """Return the fields of an urlencoded form as text, in their order, those without a value too. Raises PayloadInvalid for more than
    `most`."""
    if body.count(b"&") >= most:
        raise PayloadInvalid(f"more than {most} fields")
    found = []
    for start, end in pairs_between(body):
        equals = body.find(b"=", start, end)
        name = body[start : equals if equals >= 0 else end]
        value = body[equals + 1 : end] if equals >= 0 else b""
        found.append((_text(percent_decoded(name)), _text(percent_decoded(value))))
    return found


def clean_pairs(body: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """Return an urlencoded form with `change(name, content)` in the place of each content (None: nothing); what is not changed stays as it
    is written. Raises PayloadInvalid for more fields than anybody sends."""
    cleaned, done = BytesIO(), 0
    view = memoryview(body)
    for start, end in pairs_between(body):
        equals = body.find(b"=", start, end)
        content = percent_decoded(body[equals + 1 : end]) if equals >= 0 else b""
        changed = change(field_name(body, start, equals if equals >= 0 else end), content)
        is_same = changed == content
        del content
        if not is_same:
            cleaned.write(view[done : start if changed is None else equals + 1])
            for at in range(0, len(changed or b""), PIECE_BYTES):
                cleaned.write(quote_plus((changed or b"")[at : at + PIECE_BYTES]).encode())
            # Where it goes, its "&" goes as well.
            done = min(end + 1, len(body)) if changed is None else end
        del changed
    if not done:
        return body
    cleaned.write(view[done:])
    return cleaned.getvalue()


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def pairs_between(body: bytes) -> Iterator[tuple[int, int]]:
    """Return where each pair of an urlencoded form begins and ends. Raises PayloadInvalid for more than anybody sends."""
    if body.count(b"&") >= MAX_PARTS:
        raise PayloadInvalid(f"more than {MAX_PARTS} fields")
    start = 0
    while start < len(body):
        end = body.find(b"&", start)
        end = len(body) if end < 0 else end
        if end > start:
            yield start, end
        start = end + 1


def field_name(body: bytes, start: int, end: int) -> str:
    """Return the name of a form's field that stands there, as text of at most 256 characters."""
    plain = unquote_to_bytes(body[start : min(end, start + MAX_NAME_BYTES)].replace(b"+", b" "))
    return printable(plain.decode("utf-8", "replace"))[:256]


def _multipart(body: bytes, boundary: bytes) -> Iterator[Part]:
    for start, end in parts_between(body, boundary):
        head = part_head(body, start, end)
        if head is not None:
            yield Part(head.name, body[head.content_at : end], head.filename, head.content_type, head.charset)


def parts_between(body: bytes, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Return where each part's bytes begin and end. Raises PayloadInvalid for none, and for more than anybody sends."""
    count = 0
    for place in _between(body, b"--" + boundary):
        count += 1
        if count > MAX_PARTS:
            raise PayloadInvalid(f"more than {MAX_PARTS} parts")
        yield place
    if not count:
        raise PayloadInvalid("no part of a multipart body found")


def _between(body: bytes, delimiter: bytes) -> Iterator[tuple[int, int]]:
    """A body that is cut off ends its last part."""
    began, candidates = -1, 0
    at = 0 if body.startswith(delimiter) else _next_line(body, delimiter, 0)
    while at >= 0:
        candidates += 1
        if candidates > MAX_CANDIDATES:
            raise PayloadInvalid("too many lines that begin like the boundary")
        after = at + len(delimiter)
        tail = body[after : after + 80].lstrip(b" \t")
        closing = body[after : after + 2] == b"--"
        if not closing and tail[:1] not in (b"\r", b"\n", b""):
            # The boundary is only the beginning of another line.
            at = _next_line(body, delimiter, after)
            continue
        if began >= 0:
            end = at - 1
            yield began, end - 1 if end > began and body[end - 1 : end] == b"\r" else max(began, end)
            began = -1
        if closing:
            return
        line_end = body.find(b"\n", after)
        if line_end < 0:
            return
        began = line_end + 1
        at = _next_line(body, delimiter, line_end)
    if began >= 0:
        yield began, len(body)


def _next_line(body: bytes, delimiter: bytes, at: int) -> int:
    """Where the next line that opens with the delimiter begins; -1: nowhere."""
    found = body.find(b"\n" + delimiter, at)
    return found + 1 if found >= 0 else -1


@dataclass(frozen=True, slots=True)
class PartHead:
    """What a part says of itself, and where its content begins."""

    name: str
    filename: str | None
    content_type: str
    charset: str
    content_at: int


def part_head(body: bytes, start: int, end: int) -> PartHead | None:
    """Return the head of the part that stands there, None for one without a name (its proof of being a field)."""
    limit = min(end, start + MAX_PART_HEADER_BYTES)
    if body[start : start + 1] == b"\n" or body[start : start + 2] == b"\r\n":
        return None  # no header at all
    crlf, lf = body.find(b"\r\n\r\n", start, limit), body.find(b"\n\n", start, limit)
    if crlf >= 0 and (lf < 0 or crlf < lf):
        head, content_at = body[start:crlf], crlf + 4
    elif lf >= 0:
        head, content_at = body[start:lf], lf + 2
    else:
        if limit < end:
            raise PayloadInvalid("a part's header is too long")
        return None
    disposition = kind = ""
    for line in head.replace(b"\r\n", b"\n").split(b"\n", MAX_PART_HEADERS)[:MAX_PART_HEADERS]:
        key, _, value = line.partition(b":")
        lowered = key.strip().lower()
        if lowered == b"content-disposition":
            disposition = decode_bytes(value, "utf-8")
        elif lowered == b"content-type":
            kind = decode_bytes(value, "utf-8")
    _, wanted = parse_parameters(disposition)
    name = wanted.get("name", "")
    if not name:
        return None
    filename = wanted.get("filename*") or wanted.get("filename")
    content_type, parameters = parse_parameters(kind)
    return PartHead(name[:256], filename, content_type, parameters.get("charset", ""), content_at)


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """Return `form-data; name="a"; filename*=UTF-8''b` as its first word (lower case) and its parameters, each once.

    A backslash stays one (file names of Windows) unless it stands before a quote mark.
    """
    value = printable(value[:MAX_PARAMETERS_CHARS])
    first, _, rest = value.partition(";")
    found: dict[str, str] = {}
    at = 0
    while at < len(rest) and len(found) < 32:
        equals = rest.find("=", at)
        if equals < 0:
            break
        key = rest[at:equals].rpartition(";")[2].strip().lower()
        at = equals + 1
        while rest[at : at + 1] in (" ", "\t"):
            at += 1
        if rest[at : at + 1] == '"':
            text, at = _quoted(rest, at + 1)
        else:
            end = rest.find(";", at)
            end = len(rest) if end < 0 else end
            text, at = rest[at:end].strip(), end
        if key.endswith("*"):
            charset, _, encoded = text.partition("'")
            text = decode_bytes(unquote_to_bytes(encoded.partition("'")[2]), charset)
        elif key in {"name", "filename"}:
            text = unquote(text) if "%22" in text else text
        found.setdefault(key, printable(text))
    return first.strip().lower(), found


def _quoted(text: str, at: int) -> tuple[str, int]:
    """What stands up to the closing quote mark, and the place after it."""
    pieces: list[str] = []
    while True:
        end = text.find('"', at)
        if end < 0:
            pieces.append(text[at:])
            return "".join(pieces), len(text)
        if end > at and text[end - 1] == "\\" and _quote_follows(text, end + 1):
            pieces.append(text[at : end - 1] + '"')
            at = end + 1
            continue
        pieces.append(text[at:end])
        return "".join(pieces), end + 1


def _quote_follows(text: str, at: int) -> bool:
    """Whether another quote mark comes before this parameter's end."""
    quote = text.find('"', at)
    return quote >= 0 and text.find(";", at, quote) < 0
