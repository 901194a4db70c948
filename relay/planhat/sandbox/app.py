"""The sandbox over HTTP: Planhat's routes at the root, the sandbox's own below `/_sandbox`, a page at `/`.

Planhat's routes are served as plain ASGI, outside of Starlette: what a fault wants to do to a connection needs the
connection, and a bulk upsert has no time to lose. Everything else is Starlette's.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from relay.planhat.sandbox.api import Api
from relay.planhat.sandbox.bulk import Refuse
from relay.planhat.sandbox.faults import Fault, Faults
from relay.planhat.sandbox.hosts import LOOPBACK_ONLY, Hosts, refuse_host
from relay.planhat.sandbox.quota import Meter
from relay.planhat.sandbox.routes import Call, call_of
from relay.planhat.sandbox.store import Store
from relay.planhat.sandbox.wire import (
    Answered,
    Raw,
    Silent,
    drop,
    hang,
    header,
    parse,
    query_of,
    read_body,
    send_answer,
)

CALLS_KEPT: Final = 10_000
_OWN: Final = ("/_sandbox", "/static")


class Sandbox:
    """An ASGI application. `store`, `faults`, `meter` and `calls` are there for tests that run it in their process."""

    def __init__(
        self,
        store: Store,
        pages: Callable[[Sandbox], Starlette],
        *,
        meter: Meter,
        faults: Iterable[Fault] = (),
        token: str | None = None,
        hosts: Hosts = LOOPBACK_ONLY,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self._api = Api(store)
        self._hosts = hosts
        self.meter = meter
        self.faults = Faults()
        self.faults.all.extend(faults)
        self.calls: deque[dict[str, Any]] = deque(maxlen=CALLS_KEPT)
        self.call_count = 0
        self._token = token
        self._now_s = now_s
        self._pages = pages(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._hosts.allow(header(scope, b"host")):
            await refuse_host(send)
            return
        if scope["type"] != "http" or scope["path"] == "/" or scope["path"].startswith(_OWN):
            await self._pages(scope, receive, send)
            return
        await self._serve(scope, receive, send)

    def reset(self) -> None:
        """Make everything new: no conversations, no faults, no calls, the seeds of the start."""
        self.store.reset()
        self.faults.all.clear()
        self.calls.clear()
        self.call_count = 0
        self.meter.reset()

    # ---- one call of Planhat's API

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began_s = time.perf_counter()
        call = call_of(scope)
        entry: dict[str, Any] = {
            "at": self._now_s(),
            "operation": call.operation,
            "method": scope["method"],
            "path": scope["path"],
            "items": 0,
            "bytes": 0,
            "status": None,
        }
        self.calls.append(entry)
        self.call_count += 1
        within = self.meter.enter()
        try:
            status, payload, headers = await self._answer(scope, receive, send, call, within, entry)
        except Answered as early:
            status, payload, headers = early.status, early.payload, dict(early.headers)
        except Silent as silent:
            entry["status"] = silent.word
            return
        finally:
            self.meter.leave()
            entry["ms"] = round((time.perf_counter() - began_s) * 1000, 3)
        entry["status"] = status
        await send_answer(send, status, payload, {**self.meter.headers(), **headers})

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, call: Call, within: bool, entry: dict[str, Any]
    ) -> tuple[int, Any, dict[str, str]]:
        body = await read_body(receive)
        entry["bytes"] = len(body)
        self._authorise(header(scope, b"authorization"))
        if not within:
            raise Answered(429, "Too many requests")
        faults = self.faults.meeting(call.operation)
        for fault in faults:
            self._limit(fault, len(body))
        content: Any = None
        malformed: Answered | None = None
        if scope["method"] in ("POST", "PUT", "PATCH"):
            try:
                content = parse(scope, body)
            except Answered as early:
                malformed = early
        entry["items"] = len(content) if isinstance(content, list) else int(content is not None)
        await _wait(faults, entry["items"])
        for fault in faults:
            if fault.drop:
                await drop(receive, send, "dropped")
            if fault.status is not None and not fault.commit:
                raise Answered(fault.status, _canned(fault), _retry_after(fault))
        if malformed is not None:
            raise malformed
        status, payload = self._api.perform(call, content, query_of(scope), _refuser(faults))
        for fault in faults:
            if fault.commit_then_drop:
                await drop(receive, send, "committed, dropped")
            if fault.commit_then_hang:
                await hang(receive, fault.hang_s)
                await drop(receive, send, "committed, hung")
            if fault.status is not None:
                body_wanted = payload if fault.body in (None, "envelope") else _canned(fault)
                raise Answered(fault.status, body_wanted, _retry_after(fault))
            if fault.answer_status is not None and status != 200:
                status = fault.answer_status
        return status, payload, {}

    def _authorise(self, header: str) -> None:
        """Bearer, or Basic with the token as user. Without a token of its own the sandbox takes any."""
        scheme, _, credentials = header.partition(" ")
        token = ""
        if scheme.lower() == "bearer":
            token = credentials.strip()
        elif scheme.lower() == "basic":
            try:
                token = base64.b64decode(credentials, validate=True).decode().removesuffix(":")
            except ValueError:
                token = ""
        if not token or (self._token is not None and token != self._token):
            raise Answered(401, "Unauthorized")

    def _limit(self, fault: Fault, size: int) -> None:
        if fault.body_limit_bytes is not None and size > fault.body_limit_bytes:
            raise Answered(413, "Payload Too Large")
        if fault.throttle_over is not None and self.meter.in_this_minute > fault.throttle_over:
            raise Answered(429, "Too many requests", _retry_after(fault))


async def _wait(faults: list[Fault], items: int) -> None:
    latency_ms = sum(
        fault.latency_ms
        + fault.latency_per_item_ms * items
        + fault.latency_per_item_squared_us * items**2 / 1000
        for fault in faults
    )
    if latency_ms > 0:
        await asyncio.sleep(latency_ms / 1000)


def _refuser(faults: list[Fault]) -> Refuse | None:
    refusing = [fault for fault in faults if fault.pattern is not None]
    if not refusing:
        return None

    def refuse(item: Mapping[str, Any]) -> tuple[str, str, str | None] | None:
        external = str(item.get("externalId", ""))
        for fault in refusing:
            if fault.pattern is not None and fault.pattern.search(external):
                return fault.message, fault.style, fault.list
        return None

    return refuse


def _retry_after(fault: Fault) -> dict[str, str]:
    return {} if fault.retry_after is None else {"Retry-After": fault.retry_after}


def _canned(fault: Fault) -> Any:
    match fault.body:
        case "empty":
            return None
        case "html":
            return Raw(b"<!doctype html><html><body><h1>Something went wrong</h1></body></html>", "text/html")
        case "garbled":
            return Raw(b'{"created": 1, "upd', "application/json")
        case "json":
            return {"error": {"code": fault.status, "message": fault.message}}
        case "envelope":
            lists: dict[str, list[str]] = {"createdErrors": [], "updatedErrors": [], "permissionErrors": []}
            lists[fault.list or "createdErrors"] = [fault.message]
            return {"created": 0, "updated": 0, "nonupdates": 0, **lists}
        case _:
            return fault.message
