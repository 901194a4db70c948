"""HTTP/1.1 under bounds: uvicorn's protocol by itself keeps a head without an end, waits for ever for what does not come,
and queues whatever is sent ahead.

A bound is kept here, before the application hears of a request, or while it reads. The application finds the request's
state as `scope["relay.request"]` (an `Incoming`): whether its body is whole already, and why no more of it will come. Then
the application answers in the sender's words; where it does not, this does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from relay.bounds import SMALL_BODY_BYTES

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from relay.bounds import Bounds
    from relay.web.traffic import BodyRoom, Traffic

_NEVER = float("inf")
#: Of more headers, nothing is kept. Each costs several times its bytes.
MAX_HEADERS = 128
#: Requests sent ahead of the answer to the one before; nobody who means well sends more.
MAX_AHEAD = 32
#: After an answer that came before the body's end, so much of the body is read and thrown away, for so long: a sender
#: that is cut off while it writes never reads the answer.
DRAIN_BYTES = 64 * 1024 * 1024
DRAIN_S = 5.0
#: The application has so long to answer a sender whose time is up; then this does.
_ANSWER_S = 2.0
#: A sender that does not read its answer.
STUCK_S = 30.0
#: Chunks of a body: after the first ones, so many bytes each on average, and so much beside them for each byte of theirs.
FEW_CHUNKS = 4096
LEAST_CHUNK_BYTES = 16
MOST_BESIDE = 16

#: Where the connection stands, seen from what comes in.
Phase = Literal["idle", "head", "body", "answering", "draining", "lingering", "closing"]
#: Why no more of a body will come: the sender is too slow, or all bodies together are too large.
Why = Literal["", "slow", "crowded"]


class Incoming(Protocol):
    """A request as the application sees it here. `more_body`: its body is not whole yet."""

    more_body: bool
    why: Why
    waiting_for_100_continue: bool


#: What comes in such a phase is the head's from its beginning.
_COUNTED = frozenset({"idle", "head"})
_BODY = frozenset({"body", "draining"})
_REFUSALS: dict[int, tuple[str, str]] = {
    400: ("400 Bad Request", "this is no HTTP request"),
    408: ("408 Request Timeout", "the request was not whole in time"),
    431: ("431 Request Header Fields Too Large", "the request's head is too large"),
    503: ("503 Service Unavailable", "too much at once"),
}


class _HeadTooLarge(Exception):
    pass


class _TooManyAhead(Exception):
    """Stops the parser; the requests before are still answered."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `deadline`: when it is to be looked at next, on the loop's clock."""

    traffic: ClassVar[Traffic]
    room: ClassVar[BodyRoom]
    bounds: ClassVar[Bounds]

    phase: Phase = "idle"
    deadline: float = _NEVER
    waits_since: float = 0.0
    #: Whether a head began in what is parsed now, and how much of it is known to have come before.
    _head_began = False
    _head_bytes = 0
    _phase_before: Phase = "idle"
    #: Of the body that is under way: whether it was looked at yet, what a Content-Length still announces (-1: it comes in
    #: chunks), what has come, in how many pieces, and what came beside it.
    _body_known = False
    _body_left = 0
    _body_bytes = 0
    _pieces = 0
    _beside_bytes = 0
    _body_ends = 0.0
    _drained = 0
    #: Nothing that comes now is parsed any more.
    _deaf = False

    @property
    def waits(self) -> bool:
        return self.phase in {"idle", "head"} and (self.cycle is None or self.cycle.response_complete)

    @property
    def unread(self) -> bool:
        """Whether the other side may still be sending what we do not want."""
        return self._deaf or self.phase == "body"

    # -- a connection -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait(self.bounds.head_s)
        if not self.traffic.enter(self):
            self._refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        self.traffic.leave(self)
        self.deadline = _NEVER
        while self.pipeline:
            cycle, _ = self.pipeline.pop()
            self._give_back(cycle)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._throw_away(len(data))
            return
        while data and not self._deaf:
            room = self._room()
            if len(data) > room:
                piece, data = data[:room], data[room:]
            else:
                piece, data = data, b""
            self._feed(piece)

    def _room(self) -> int:
        """How much may be parsed before a bound must be looked at again."""
        if self.phase == "head":
            return max(1, self.bounds.head_bytes - self._head_bytes)
        if self._body_left > 0:
            return self._body_left
        return self.bounds.head_bytes

    def _feed(self, piece: bytes) -> None:
        before = self._phase_before = self.phase
        self._head_began = False
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # We switch to nothing, and what follows cannot be told from the other protocol's bytes.
            self._end_after_answers()
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _TooManyAhead):
                self._end_after_answers()
            else:
                self._refuse(431 if isinstance(error.__context__, _HeadTooLarge) else 400)
        else:
            phase = self.phase
            if phase == "answering":
                if not self.cycle.why:  # type: ignore[attr-defined]
                    self.deadline = _NEVER
            elif phase == "head":
                self._amid_head(len(piece), before)
            elif phase in _BODY:
                self._amid_body(len(piece))

    def _amid_head(self, size: int, before: Phase) -> None:
        if not self._head_began:
            self._head_bytes += size
        else:
            if before == "idle":
                self._head_bytes = size
            if self.cycle is not None:
                # The first head's time runs from the connection's beginning.
                self._wait(self.bounds.head_s)
        if self._head_bytes >= self.bounds.head_bytes or len(self.headers) > MAX_HEADERS:
            self._refuse(431)

    def _amid_body(self, size: int) -> None:
        body_before = self._body_bytes
        if not self._body_known:
            self._body_known = True
            announced = _announced(self.scope["headers"])
            self._body_left = announced - self._body_bytes if announced >= 0 else -1
            self._beside_bytes = 0
            if not self.cycle.keep_alive:
                self.cycle.transport = _Polite(self)  # type: ignore[assignment]
            self._expect_body()
        elif self._body_left < 0:
            self._beside_bytes += size
        # Sizes, extensions and trailers of chunks are bounded by what they carry; so are chunks of nearly nothing.
        if self._body_left < 0:
            tiny = self._pieces > FEW_CHUNKS and self._body_bytes < self._pieces * LEAST_CHUNK_BYTES
            beside = self._beside_bytes - self._body_bytes
            if tiny or beside > self.bounds.head_bytes + MOST_BESIDE * body_before:
                self._refuse(400)

    def _expect_body(self) -> None:
        if self.pipeline:
            # Its turn comes later, and nothing is read until then.
            self.deadline = _NEVER
            return
        now = self.loop.time()
        self._body_ends = now + self.bounds.body_s
        self.deadline = self._body_ends if self._body_bytes else now + self.bounds.first_byte_s

    # -- a request --------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.phase = "head"
        self._head_began = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        headers = self.headers
        if len(headers) > MAX_HEADERS:
            raise _HeadTooLarge
        if self._phase_before not in _COUNTED:
            # It began amid what was parsed at once, so nobody counted.
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in headers)
            if size > self.bounds.head_bytes:
                raise _HeadTooLarge
        if len(self.pipeline) >= MAX_AHEAD:
            raise _TooManyAhead
        super().on_headers_complete()
        cycle: Any = self.cycle
        cycle.why = ""
        cycle.held_bytes = 0
        cycle.on_response = partial(self._answered, cycle)
        self.scope["relay.request"] = cycle  # type: ignore[typeddict-unknown-key]
        # What a trailer says was in no head that anybody looked at.
        self.headers = []
        self.phase = "body"
        self._body_known = False
        self._body_left = self._body_bytes = self._pieces = 0

    def on_body(self, body: bytes) -> None:
        size = len(body)
        self._pieces += 1
        self._body_bytes += size
        if self._body_known:
            if self._body_left > 0:
                self._body_left -= size
            if self.phase == "body" and not self.pipeline:
                self.deadline = self._body_ends
        cycle: Any = self.cycle
        if cycle.response_complete or cycle.why:
            self._throw_away(size)
        elif self.room.take(cycle, self, size, cycle.held_bytes):
            cycle.held_bytes += size
            super().on_body(body)
        else:
            self.give_way()

    def _throw_away(self, size: int) -> None:
        self._drained += size
        if self._drained > DRAIN_BYTES:
            self.abort()

    def on_message_complete(self) -> None:
        cycle: Any = self.cycle
        self._body_left = 0
        if cycle.response_complete:
            self.phase = "idle"
            self._wait(self.bounds.idle_s)
            return
        self.phase = "answering"
        if not cycle.why:
            if cycle.held_bytes > SMALL_BODY_BYTES:
                self.room.whole(cycle)
            super().on_message_complete()

    # -- an answer --------------------------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(partial(self._ended, cycle))
        self.tasks.add(task)

    def _ended(self, cycle: RequestResponseCycle, task: asyncio.Task[None]) -> None:
        """The application holds the request's body no longer."""
        self.tasks.discard(task)
        # A ring of the two would wait for the collector.
        del cycle.scope["relay.request"]  # type: ignore[typeddict-item]
        self._give_back(cycle)

    def _give_back(self, cycle: Any) -> None:
        if cycle.held_bytes:
            self.room.give_back(cycle, cycle.held_bytes)
            cycle.held_bytes = 0

    def _answered(self, cycle: RequestResponseCycle) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._close_within(STUCK_S)
        elif self.phase != "lingering":
            self.flow.resume_reading()
            if self.pipeline:
                following, app = self.pipeline.pop()
                self._start_asgi_task(following, app)
                if self.phase == "body":
                    self._expect_body()
            elif self.phase == "body":
                self.phase = "draining"
                self._drained = 0
                self.deadline = self.loop.time() + DRAIN_S
            elif self.phase == "answering":
                self.phase = "idle"
                self._wait(self.bounds.idle_s)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.deadline == _NEVER:
            self.deadline = self.loop.time() + STUCK_S

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.phase == "answering":
            self.deadline = _NEVER

    # -- where a bound is met -----------------------------------------------------------------------------------

    def give_way(self) -> None:
        """Give back what the body under way holds: there is no room for more of it."""
        self._give_back(self.cycle)
        self._tell("crowded")

    def expire(self, now: float) -> None:
        """Act on the deadline that has come."""
        cycle: Any = self.cycle
        if self.phase in {"idle", "draining"}:
            self.drop()
        elif self.phase == "head":
            self._refuse(408)
        elif self.phase == "body" and not cycle.why:
            self._tell("slow")
        elif self.phase in {"body", "answering"} and cycle.why and not cycle.response_started:
            self._refuse(408 if cycle.why == "slow" else 503)
        else:
            self.abort()

    def abort(self) -> None:
        self._deaf = True
        self._close_within(STUCK_S)
        self.transport.abort()

    def drop(self) -> None:
        """Hangs up without a word; what was written already still has a moment to go out."""
        self._deaf = True
        self._close_within(DRAIN_S)
        self.transport.close()

    def linger(self) -> None:
        """Hangs up in one direction: the other side sees the answer and its end, and what it still sends is thrown away for
        a moment. Closing with unread bytes would take the answer away from it."""
        self._deaf = True
        self._drained = 0
        self.phase = "lingering"
        self.deadline = self.loop.time() + DRAIN_S
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.drop()

    def _close_within(self, seconds: float) -> None:
        self.phase = "closing"
        self.deadline = self.loop.time() + seconds

    def _wait(self, seconds: float) -> None:
        self.waits_since = self.loop.time()
        self.deadline = self.waits_since + seconds

    def _tell(self, why: Why) -> None:
        """Tells the application that no more of the body will come."""
        cycle: Any = self.cycle
        cycle.why = why
        cycle.message_event.set()
        self._drained = 0
        self.deadline = self.loop.time() + _ANSWER_S

    def _end_after_answers(self) -> None:
        """Reads no more; closes once what was asked is answered."""
        self._deaf = True
        last = self.pipeline[0][0] if self.pipeline else self.cycle
        if last is None or last.response_complete:
            self.drop()
            return
        last.keep_alive = False
        last.transport = _Polite(self)  # type: ignore[assignment]
        self.phase = "answering"
        self.deadline = _NEVER

    def _refuse(self, status: int) -> None:
        """Answers in the application's place and hangs up. An earlier request that is not answered yet has its own answer
        coming: nothing may come before it."""
        current: Any = self.cycle
        pending = current is not None and not current.response_complete
        own = pending and self.phase in {"body", "answering"} and not self.pipeline
        self.traffic.refused(status, self.scope if own else None)
        if pending and not own:
            self._end_after_answers()
            return
        if own:
            if current.response_started:
                self.abort()
                return
            current.disconnected = True
            current.message_event.set()
        self.transport.write(_refusal(status))
        self.linger()


class _Polite:
    """The transport as a request sees it after which the connection is to be closed: where more may still be coming, it is
    closed in one direction only."""

    def __init__(self, connection: BoundedProtocol) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection.transport, name)

    def close(self) -> None:
        if self._connection.unread:
            self._connection.linger()
        else:
            self._connection.transport.close()


def _announced(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """The body's length; -1 for one in chunks."""
    length = 0
    for name, value in headers:
        if name == b"transfer-encoding":
            return -1
        if name == b"content-length" and value.isdigit():
            length = int(value[:18])
    return length


def _refusal(status: int) -> bytes:
    line, message = _REFUSALS[status]
    code = "try_later" if status == 503 else line.partition(" ")[0]
    body = orjson.dumps({"error": {"code": code, "message": message, "path": ""}})
    retry = "retry-after: 5\r\n" if status == 503 else ""
    head = f"HTTP/1.1 {line}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{retry}"
    return head.encode() + b"connection: close\r\n\r\n" + body


def bounded(traffic: Traffic) -> type[BoundedProtocol]:
    """Return the protocol class for one listener: uvicorn makes one of it a connection."""
    return type(
        "Bounded", (BoundedProtocol,), {"traffic": traffic, "room": traffic.room, "bounds": traffic.bounds}
    )
