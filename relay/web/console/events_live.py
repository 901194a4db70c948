"""The list of events as it changes: server-sent events, each the list anew. The page without JavaScript is the same list, once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from relay.errors import OutboxUnavailable, RelayError
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.render import HEADERS, environment
from relay.web.payloads import hide_payload, require_filters
from relay.web.refused import RequestRefused

#: Between two looks; what is dear to look at is looked at less often: a tenth of the time at most.
_EVERY_S: Final = 1.0
_SHARE: Final = 10
#: A proxy that hears nothing for so long may cut the connection; and whether its session still stands is looked at.
_SIGN_S: Final = 15.0
#: Then the browser asks anew.
_LASTS_S: Final = 600.0
#: Streams of one process. Whoever comes then has the page without them.
MOST_STREAMS: Final = 20

Look = Callable[[Mapping[str, str]], dict[str, Any]]


class LiveEvents:
    """`look` gives what the list shows for filters."""

    def __init__(self, frame: Frame, look: Look) -> None:
        self._frame = frame
        self._look = look
        self.streams = 0

    async def stream(self, request: Request) -> Response:
        asked = {name: value for name, value in request.query_params.items() if name != "after"}
        try:
            operator = await run_in_threadpool(self._frame.access.admit, request)
            require_filters(asked, sees_payloads=operator.sees_payloads)
            first = await run_in_threadpool(self._first, request, operator, asked)
        except RequestRefused as refused:
            return _refusal(refused.status, refused.message)
        except OutboxUnavailable as error:
            return _refusal(503, str(error))
        except RelayError as error:
            return _refusal(422, str(error))
        if self.streams >= MOST_STREAMS:
            return _refusal(503, "too many live pages at once; the page shows the list without this one")
        headers = {**HEADERS, "X-Accel-Buffering": "no"}
        body = self._tell(request, operator, asked, first)
        return StreamingResponse(body, headers=headers, media_type="text/event-stream")

    def _first(self, request: Request, operator: Operator, asked: Mapping[str, str]) -> str:
        """With a line in the audit, where it shows what people wrote."""
        shown = self._frame.audit.shown(request, operator, self._look(asked))
        return self._rows(shown, operator)

    def _again(self, operator: Operator, asked: Mapping[str, str]) -> str:
        shown = self._look(asked)
        return self._rows(shown if operator.sees_payloads else hide_payload(shown), operator)

    def _rows(self, shown: Mapping[str, Any], operator: Operator) -> str:
        around = self._frame.around(operator)
        return environment().get_template("events_rows.html").render({**around, **shown})

    def _stamp(self) -> Any:
        """Another one whenever an event came in or changed its state."""
        return self._frame.context.outbox.ledger()

    async def _tell(
        self, request: Request, operator: Operator, asked: Mapping[str, str], rows: str
    ) -> AsyncIterator[bytes]:
        stops = _Stop(request)
        began = signed = time.monotonic()
        stamp: Any = None
        self.streams += 1
        try:
            yield b"retry: 3000\n\n" + _event("list", rows)
            while not stops() and time.monotonic() - began < _LASTS_S:
                at = time.monotonic()
                try:
                    if at - signed >= _SIGN_S:
                        signed = at
                        await run_in_threadpool(self._frame.access.admit, request)
                        yield b": still here\n\n"
                    seen = await run_in_threadpool(self._stamp)
                    if seen != stamp:
                        stamp, told = seen, rows
                        rows = await run_in_threadpool(self._again, operator, asked)
                        if rows != told:
                            yield _event("list", rows)
                except RequestRefused:
                    yield _event("end", "You are signed out.")
                    return
                except OutboxUnavailable:
                    yield b": Redis is away\n\n"
                await asyncio.sleep(max(_EVERY_S, _SHARE * (time.monotonic() - at)))
        finally:
            self.streams -= 1


class _Stop:
    """Whether the server wants to end: then it lets no connection live on, and waits for what is under way."""

    def __init__(self, request: Request) -> None:
        self._cycle = request.scope.get("relay.request")
        self._lived_on = bool(getattr(self._cycle, "keep_alive", False))

    def __call__(self) -> bool:
        return self._lived_on and not getattr(self._cycle, "keep_alive", True)


def _event(name: str, data: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    return f"event: {name}\n{lines}\n".encode()


def _refusal(status: int, message: str) -> Response:
    return PlainTextResponse(message, status, headers=HEADERS)
