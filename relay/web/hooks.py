"""`/hooks/{source}`: a provider's webhook. A raw ASGI endpoint: Request and Response objects cost a fifth of the door.

Answers are the contract's by default; each source's `Answers` translates the four outcomes into its sender's codes.
"""

from __future__ import annotations

import time
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from relay.bounds import SMALL_BODY_BYTES
from relay.door.house import Source
from relay.door.intake import Accepted, Intake
from relay.errors import (
    BodyTooLarge,
    BodyTooSlow,
    ContentTypeInvalid,
    NotAuthentic,
    OverRate,
    PayloadInvalid,
    RelayError,
    SourceError,
    TryLater,
    UnknownSource,
    WrongMethod,
)
from relay.sources.base import Reply
from relay.telemetry import log_soon, logs_info
from relay.tracing import Tracing
from relay.web.inbound import Gone, announced, read_head, read_inbound
from relay.web.one_write import answer_at_once
from relay.web.protocol import Incoming
from relay.web.tally import Tally

_JSON = [(b"content-type", b"application/json")]
#: A secret that somebody has to mend first.
_COME_AGAIN_S = b"60"
_IGNORED = b'{"status":"ignored"}'


class Hooks:
    """The ASGI endpoint. `intake` is shared with nothing else; `tally` counts."""

    def __init__(
        self,
        intake: Intake,
        tally: Tally,
        *,
        large_from: int = SMALL_BODY_BYTES,
        tracing: Tracing | None = None,
    ) -> None:
        self.tracing = tracing
        self.intake = intake
        self.large_from = large_from
        self.tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.tracing is None:
            await self._serve(scope, receive, send)
            return
        name = scope["path"].rpartition("/")[2]
        span = self.tracing.door(scope, name if name in self.intake.house.sources else "unknown")
        status, word, event_ids = 500, "failed", tuple[str, ...]()
        try:
            status, word, event_ids = await self._serve(scope, receive, send)
        finally:
            span.end(status, word, event_ids)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> tuple[int, str, tuple[str, ...]]:
        """Answers; what it answered: the status, the outcome in a word, and the events' ids."""
        began = time.perf_counter()
        event_ids: tuple[str, ...] = ()
        name = scope["path"].rpartition("/")[2]
        source: Source | None = None
        reason = ""
        try:
            source = self.intake.source(name)
            outcome = await self._outcome(scope, receive, source)
            if isinstance(outcome, Reply):
                status, headers, body = outcome.status, _reply_headers(outcome), outcome.body
                self.tally.ignored(name)
                word = "handshake"
            else:
                status, headers, body = _accepted(source, outcome)
                word, event_ids = outcome.status, tuple(outcome.event_ids)
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
        except Gone:
            return 499, "gone", event_ids
        except Exception:
            # A fault of our own: the sender tries again later. The server logs where it was, and hangs up.
            await _answer(
                scope, send, 500, [*_JSON, (b"connection", b"close")], _error("internal", "internal error")
            )
            raise
        took_s = time.perf_counter() - began
        self.tally.request(name if source else "unknown", status, took_s)
        await _answer(scope, send, status, headers, body, own=word != "handshake")
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
        return status, word, event_ids

    async def _outcome(self, scope: Scope, receive: Receive, source: Source) -> Accepted | Reply:
        request: Incoming | None = scope.get("relay.request")
        limit = source.max_body_bytes
        large_from = min(self.large_from, source.adapter.inline_bytes)
        if request is not None and not request.more_body:
            body = await read_inbound(request, receive, limit, large_from)
            if isinstance(body, bytes):
                return await self.intake.receive(source, read_head(scope, source, body))
            head = read_head(scope, source)
        else:
            head = read_head(scope, source)
            # What the head alone proves false is not worth a body's memory.
            self.intake.look_at_head(source, head)
            body = await read_inbound(request, receive, limit, large_from, announced(head))
            if isinstance(body, bytes):
                return await self.intake.receive(source, head.with_body(body))
        with body:
            return await self.intake.receive_large(source, head, body)


async def _answer(
    scope: Scope,
    send: Send,
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    *,
    own: bool = False,
) -> None:
    """`own`: no header says what a sender said, so that the server need not look at them, nor anything of the connection."""
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    cycle = scope.get("relay.request")
    if scope["method"] == "HEAD":
        body = b""
    elif own and body and cycle is not None and answer_at_once(cycle, status, headers, body):
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _traceparent(scope: Scope) -> str | None:
    for key, value in scope["headers"]:
        if key == b"traceparent":
            return str(value[:64].decode("latin-1"))
    return None


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
            [*_JSON, (b"www-authenticate", b"Basic")]
            if status == 401 and _wants_basic(source)
            else _come_again(status)
        )
        # The answer does not say which check failed.
        return status, headers, _error(error.code, "the request could not be authenticated"), error.reason
    if isinstance(error, WrongMethod):
        return 405, [*_JSON, (b"allow", b"POST")], _error(error.code, str(error)), "method"
    if isinstance(error, BodyTooLarge):
        return 413, _JSON, _error(error.code, str(error)), "too large"
    if isinstance(error, BodyTooSlow):
        # A sender that loses what it gets a 4xx for is told to come again, as it is for a malformed body.
        later = answers is not None and answers.malformed >= 500
        status = answers.try_later if answers and later else 408
        return status, _come_again(status), _error(error.code, str(error)), "too slow"
    if isinstance(error, ContentTypeInvalid):
        return 415, _JSON, _error(error.code, str(error)), "content type"
    if isinstance(error, PayloadInvalid):
        status = answers.malformed if answers else 400
        headers = _come_again(status)
        return (
            status,
            headers,
            _error(error.code, error.message, error.path),
            f"malformed {error.path}".strip(),
        )
    if isinstance(error, TryLater):
        wait = str(max(1, round(error.retry_after_s))).encode()
        if isinstance(error, OverRate):
            return 429, [*_JSON, (b"retry-after", wait)], _error("over_rate", str(error)), "over rate"
        status = answers.try_later if answers else 503
        return status, [*_JSON, (b"retry-after", wait)], _error("try_later", str(error)), str(error)
    return 400, _JSON, _error("refused", "refused"), type(error).__name__


def _come_again(status: int) -> list[tuple[bytes, bytes]]:
    """Return the headers of a refusal. A sender that loses what it gets a 4xx for is told to come again, and when."""
    return [*_JSON, (b"retry-after", _COME_AGAIN_S)] if status in (429, 503) else _JSON


def _wants_basic(source: Source | None) -> bool:
    return bool(source and source.config.options.basic_auth())


def _error(code: str, message: str, path: str = "") -> bytes:
    error: dict[str, Any] = {"code": code, "message": message, "path": path}
    return orjson.dumps({"error": error})
