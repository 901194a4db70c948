"""`/hooks/{source}`: a provider's webhook. A raw ASGI endpoint: Request and Response objects cost a fifth of the door.

Answers are the contract's by default; each source's `Answers` translates the four outcomes into its sender's codes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.types import Receive, Scope, Send

from relay.door.house import Source
from relay.door.intake import Accepted, Intake
from relay.errors import (
    BodyTooLarge,
    ContentTypeInvalid,
    NotAuthentic,
    PayloadInvalid,
    RelayError,
    SourceError,
    TryLater,
    UnknownSource,
    WrongMethod,
)
from relay.sources.base import Inbound, Reply
from relay.telemetry import log_soon, logs_info
from relay.web.tally import Tally

#: A sender that trickles its body is cut off after this; every known one sends it at once.
BODY_TIMEOUT_S = 10.0
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024

_JSON = [(b"content-type", b"application/json")]
_IGNORED = b'{"status":"ignored"}'


class Hooks:
    """The ASGI endpoint. `intake` is shared with nothing else; `tally` counts."""

    def __init__(self, intake: Intake, tally: Tally, *, body_timeout_s: float = BODY_TIMEOUT_S) -> None:
        self.body_timeout_s = body_timeout_s
        self.intake = intake
        self.tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        name = scope["path"].removesuffix("/").rpartition("/")[2]
        source: Source | None = None
        reason = ""
        try:
            source = self.intake.source(name)
            inbound = await _read(scope, receive, source, self.body_timeout_s)
            outcome = await self.intake.receive(source, inbound)
            if isinstance(outcome, Reply):
                status, headers, body = outcome.status, _reply_headers(outcome), outcome.body
                self.tally.ignored(name)
                word = "handshake"
            else:
                status, headers, body = _accepted(source, outcome)
                word = outcome.status
                if outcome.skipped:
                    self.tally.skipped(name, outcome.skipped, ignored=not outcome.event_ids)
                if outcome.remarks:
                    self.tally.remarked(name, outcome.remarks)
        except RelayError as error:
            status, headers, body, reason = _refusal(source, error)
            word = "refused"
            if isinstance(error, (SourceError, TryLater)):
                self.tally.rejected(
                    name if source else "", error, reason=reason, scope=scope, kind=type(error).__name__
                )
        except _Gone:
            return
        except Exception:
            # A fault of our own: the sender tries again later. The server logs where it was, and hangs up.
            await _answer(
                scope, send, 500, [*_JSON, (b"connection", b"close")], _error("500", "internal error")
            )
            raise
        took_s = time.perf_counter() - began
        self.tally.request(name if source else "unknown", status, took_s)
        await _answer(scope, send, status, headers, body)
        if logs_info():
            facts = {
                "source": name if source else "unknown",
                "status": status,
                "outcome": word,
                "reason": reason or None,
                "took_ms": round(took_s * 1000, 2),
                "traceparent": _traceparent(scope),
            }
            log_soon("request.answered", facts)


async def _answer(
    scope: Scope, send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})


class _Gone(Exception):
    """The sender hung up before its body was whole: there is nobody to answer."""


def _traceparent(scope: Scope) -> str | None:
    for key, value in scope["headers"]:
        if key == b"traceparent":
            return str(value[:64].decode("latin-1"))
    return None


async def _read(scope: Scope, receive: Receive, source: Source, timeout_s: float) -> Inbound:
    raw_headers = scope["headers"]
    if len(raw_headers) > MAX_HEADERS:
        raise PayloadInvalid(f"more than {MAX_HEADERS} headers")
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in raw_headers}
    if len(headers) < len(raw_headers):
        headers = _joined(raw_headers)
    # Latin-1: a character is a byte.
    if sum(map(len, headers)) + sum(map(len, headers.values())) > MAX_HEADER_BYTES:
        raise PayloadInvalid(f"headers larger than {MAX_HEADER_BYTES} bytes")
    limit = source.max_body_bytes
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared[:12]) > limit:
        raise BodyTooLarge(f"larger than {limit} bytes")
    encoding = headers.get("content-encoding")
    if encoding and encoding.strip().lower() not in ("", "identity"):
        # No known sender compresses; refusing is safer than inflating what nobody has verified.
        raise ContentTypeInvalid("compressed bodies are not accepted")
    body = await _body(receive, limit, timeout_s)
    if scope["method"] == "POST":
        _require_content_type(headers, source)
    query_bytes: bytes = scope.get("query_string", b"")
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query: Mapping[str, str] = {}
    if query_bytes:
        path = f"{path}?{query_bytes.decode('latin-1')}"
        try:
            query = dict(parse_qsl(query_bytes.decode("latin-1"), keep_blank_values=True, max_num_fields=200))
        except ValueError as error:
            raise PayloadInvalid("more than 200 query parameters") from error
    return Inbound(body=body, headers=headers, method=scope["method"], path_query=path, query=query)


def _joined(raw_headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers of which some repeat."""
    headers: dict[str, str] = {}
    for key, value in raw_headers:
        name, text = key.decode("latin-1"), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


async def _body(receive: Receive, limit: int, timeout_s: float) -> bytes:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _Gone
    first: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(first) > limit:
            raise BodyTooLarge(f"larger than {limit} bytes")
        return first
    parts, size = [first], len(first)
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                if size > limit:
                    raise BodyTooLarge(f"larger than {limit} bytes")
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                if not message.get("more_body"):
                    break
    except TimeoutError as error:
        raise PayloadInvalid(f"the body was not whole after {timeout_s:.0f} s") from error
    if size > limit:
        raise BodyTooLarge(f"larger than {limit} bytes")
    return b"".join(parts)


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


def _reply_headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", reply.content_type.encode("latin-1"))]
    headers += [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in reply.headers.items()]
    return headers


def _accepted(source: Source, outcome: Accepted) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    answers = source.adapter.answers
    headers = (
        [(k.lower().encode(), v.encode()) for k, v in answers.headers.items()] if answers.headers else []
    )
    if answers.accepted_body is not None:
        return (
            answers.accepted,
            [(b"content-type", answers.accepted_type.encode()), *headers],
            answers.accepted_body,
        )
    if outcome.status == "ignored":
        return answers.accepted, [*_JSON, *headers], _IGNORED
    body = orjson.dumps({"status": outcome.status, "event_ids": outcome.event_ids})
    return answers.accepted, [*_JSON, *headers], body


def _refusal(source: Source | None, error: RelayError) -> tuple[int, list[tuple[bytes, bytes]], bytes, str]:
    answers = source.adapter.answers if source else None
    if isinstance(error, UnknownSource):
        return 404, _JSON, _error(error.code, "no such source"), "unknown source"
    if isinstance(error, NotAuthentic):
        status = answers.not_authentic if answers else 401
        headers = (
            [*_JSON, (b"www-authenticate", b"Basic")] if status == 401 and _wants_basic(source) else _JSON
        )
        # The answer does not say which check failed.
        return status, headers, _error(error.code, "the request could not be authenticated"), error.reason
    if isinstance(error, WrongMethod):
        return 405, [*_JSON, (b"allow", b"POST")], _error(error.code, str(error)), "method"
    if isinstance(error, BodyTooLarge):
        return 413, _JSON, _error(error.code, str(error)), "too large"
    if isinstance(error, ContentTypeInvalid):
        return 415, _JSON, _error(error.code, str(error)), "content type"
    if isinstance(error, PayloadInvalid):
        status = answers.malformed if answers else 400
        return status, _JSON, _error(error.code, error.message, error.path), f"malformed {error.path}".strip()
    if isinstance(error, TryLater):
        from relay.errors import OverRate

        wait = str(max(1, round(error.retry_after_s))).encode()
        if isinstance(error, OverRate):
            return 429, [*_JSON, (b"retry-after", wait)], _error("over_rate", str(error)), "over rate"
        status = answers.try_later if answers else 503
        return status, [*_JSON, (b"retry-after", wait)], _error("try_later", str(error)), str(error)
    return 400, _JSON, _error("refused", "refused"), type(error).__name__


def _wants_basic(source: Source | None) -> bool:
    return bool(source and source.config.options.basic_auth())


def _error(code: str, message: str, path: str = "") -> bytes:
    error: dict[str, Any] = {"code": code, "message": message, "path": path}
    return orjson.dumps({"error": error})
