"""A request to `/hooks/{source}` as an `Inbound`: first its head, which may prove it a forgery by itself, then its body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from relay.door.house import Source
from relay.door.large import LargeBody
from relay.errors import (
    BodyTooLarge,
    BodyTooSlow,
    ContentTypeInvalid,
    PayloadInvalid,
    TooMuchAtOnce,
)
from relay.sources.base import Inbound
from relay.web.protocol import Incoming

_MAX_HEADERS = 100
_NO_QUERY: Mapping[str, str] = {}


class Gone(Exception):
    """The sender hung up before its body was whole: there is nobody to answer."""


def read_head(scope: Scope, source: Source, body: bytes = b"") -> Inbound:
    """Return the request, without its body or with one that is there already. Raises PayloadInvalid, BodyTooLarge, ContentTypeInvalid."""
    raw_headers = scope["headers"]
    if len(raw_headers) > _MAX_HEADERS:
        raise PayloadInvalid(f"more than {_MAX_HEADERS} headers")
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in raw_headers}
    if len(headers) < len(raw_headers):
        headers = _joined(raw_headers)
    limit = source.max_body_bytes
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared[:12]) > limit:
        raise BodyTooLarge(f"larger than {limit} bytes")
    encoding = headers.get("content-encoding")
    if encoding and encoding.strip().lower() not in ("", "identity"):
        # No known sender compresses; refusing is safer than inflating what nobody has verified.
        raise ContentTypeInvalid("compressed bodies are not accepted")
    method = scope["method"]
    if method == "POST":
        _require_content_type(headers, source)
    query_bytes: bytes = scope.get("query_string", b"")
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query = _NO_QUERY
    if query_bytes:
        path = f"{path}?{query_bytes.decode('latin-1')}"
        try:
            query = dict(parse_qsl(query_bytes.decode("latin-1"), keep_blank_values=True, max_num_fields=200))
        except ValueError as error:
            raise PayloadInvalid("more than 200 query parameters") from error
    return Inbound(body=body, headers=headers, method=method, path_query=path, query=query)


def announced(head: Inbound) -> int:
    """Return the body's length as the head tells it, 0 where it does not."""
    length = head.headers.get("content-length", "")
    return int(length[:12]) if length.isascii() and length.isdigit() else 0


async def read_inbound(
    request: Incoming | None, receive: Receive, limit: int, large_from: int, announced: int = 0
) -> bytes | LargeBody:
    """Return the body, of at most `limit` bytes; one of more than `large_from` as a `LargeBody`, which is to be closed. `request` is
    what our own protocol knows of it. Raises BodyTooLarge, BodyTooSlow, TooMuchAtOnce; Gone."""
    message = await _part(request, receive)
    first: bytes = message.get("body", b"")
    if not message.get("more_body") and len(first) <= min(limit, large_from):
        return first
    parts, size = [first], len(first)
    large: LargeBody | None = None
    try:
        while True:
            if size > limit:
                raise BodyTooLarge(f"larger than {limit} bytes")
            if large is None and max(size, announced) > large_from:
                large = LargeBody()
            if large is not None:
                for part in parts:
                    large.append(part)
                parts.clear()
            if not message.get("more_body"):
                break
            message = await _part(request, receive)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
    except BaseException:
        if large is not None:
            large.close()
        raise
    return b"".join(parts) if large is None else large


async def _part(request: Incoming | None, receive: Receive) -> Any:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    if request is not None and request.why:
        if request.why == "slow":
            raise BodyTooSlow("the body was not whole in time")
        raise TooMuchAtOnce("the bodies of all requests together are too large now")
    return message


def bounded_receive(scope: Scope, receive: Receive) -> Receive:
    """Bound `receive` for an application that knows nothing of bounds: raises HTTPException (408 or 503) where the body ends at
    one."""
    request: Incoming | None = scope.get("relay.request") if scope["type"] == "http" else None
    if request is None:
        return receive

    async def bounded() -> Message:
        message = await receive()
        if request.why and message["type"] == "http.request":
            later = {"retry-after": "5"} if request.why == "crowded" else None
            raise HTTPException(408 if request.why == "slow" else 503, headers=later)
        return message

    return bounded


def _joined(raw_headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers of which some repeat."""
    headers: dict[str, str] = {}
    for key, value in raw_headers:
        name, text = key.decode("latin-1"), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def _require_content_type(headers: Mapping[str, str], source: Source) -> None:
    wanted = source.adapter.content_types
    if not wanted:
        return
    written = headers.get("content-type", "")
    if written in wanted:
        return
    given = written.partition(";")[0].strip().lower()
    if given and given not in wanted and not (given.endswith("+json") and "application/json" in wanted):
        raise ContentTypeInvalid(f"wanted {' or '.join(sorted(wanted))}")
