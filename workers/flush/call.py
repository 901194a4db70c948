"""One call to Planhat: its body joined from rows, made in a thread of its own, and told to pace and metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Final

from relay.outbox.delivery import DeliveryState
from relay.outbox.shared_metrics import SharedMetrics
from relay.planhat.outcomes import Row
from relay.planhat.report import (
    Answer,
    Garbled,
    NotTheApi,
    Rejected,
    Report,
    Throttled,
    TooLarge,
    Unavailable,
)
from workers.flush.settle import CallFacts
from workers.pace.pace import Pace

#: What a proxy in front of Planhat answers where Planhat takes too long.
_GATEWAY_GAVE_UP: Final = frozenset({408, 502, 504, 524})

#: Does a little beside a call: seconds until there may be more to do, 0: at once; None: there is nothing left.
Meanwhile = Callable[[], float | None]
#: Makes `call()` and, until it has answered, `meanwhile()` again and again.
MakesCall = Callable[[Callable[[], Answer], Meanwhile], Answer]


class CallThread:
    """Makes a call in a thread of its own, and goes on with something else meanwhile."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "call")

    def __call__(self, call: Callable[[], Answer], meanwhile: Meanwhile) -> Answer:
        answer = self._thread.submit(call)
        while not answer.done():
            wait_s = meanwhile()
            if wait_s is None:
                break
            if wait_s:
                wait((answer,), wait_s)
        return answer.result()


class Caller:
    """Makes one job's calls. `upsert(body, timeout_s)` is the call itself; `meanwhile()` does a little of what can be
    done beside it. `facts` are the last call's."""

    def __init__(
        self,
        upsert: Callable[[bytes, float], Answer],
        beside: MakesCall,
        meanwhile: Meanwhile,
        *,
        pace: Pace,
        metrics: SharedMetrics,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.facts = CallFacts()
        self._upsert = upsert
        self._beside = beside
        self._meanwhile = meanwhile
        self._pace = pace
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._clock = clock
        #: Lets the rows of the call under way share its body. None: they do, or none is under way.
        self._share: Callable[[], None] | None = None

    def call(self, rows: Sequence[Row], state: DeliveryState, *, batch: str) -> Answer:
        """Return Planhat's answer to one bulk upsert of `rows`."""
        body = join_rows(rows)
        began = self._clock()
        self._share = partial(share_body, rows, body)
        answer = self._beside(partial(self._upsert, body, self._timeout_s), self._beside_it)
        self._share = None
        took_s = self._clock() - began
        status = answer_status(answer)
        self.facts = CallFacts(batch, status, round(took_s * 1000))
        labels = {"operation": "PUT conversations"}
        self._metrics.add("relay_planhat_requests_total", {**labels, "status": str(status or "none")})
        self._metrics.observe("relay_planhat_request_seconds", labels, took_s)
        self._tell_pace(answer, status, state, items=len(rows), took_s=took_s, size=len(body))
        return answer

    def _beside_it(self) -> float | None:
        if self._share:
            share, self._share = self._share, None
            share()
            return 0.0
        return self._meanwhile()

    def _tell_pace(
        self,
        answer: Answer,
        status: int | None,
        state: DeliveryState,
        *,
        items: int,
        took_s: float,
        size: int,
    ) -> None:
        if isinstance(answer, TooLarge):
            self._pace.too_large(size)
        elif isinstance(answer, Unavailable) and (status is None or status in _GATEWAY_GAVE_UP):
            self._pace.cut_off(state, items=items, took_s=took_s)
        if isinstance(answer, (Rejected, TooLarge)) or (
            isinstance(answer, Report) and not answer.wholly_forbidden
        ):
            self._pace.went_through(
                self._pace.state() if state.state != "open" else state,
                items=items,
                took_s=took_s,
                size=size,
                taken=isinstance(answer, Report),
            )


def join_rows(rows: Sequence[Row]) -> bytes:
    """Return the body of a call. Planhat waits for it: one pass, and no step of Python's for a row. Raises RuntimeError for a row
    that was released: what it held is gone."""
    pieces: list[bytes | memoryview] = [b","] * (2 * len(rows) + 1)
    pieces[0], pieces[-1] = b"[", b"]"
    bodies = [row.body for row in rows]
    if not all(bodies):
        raise RuntimeError("a row that was released cannot be sent again")
    pieces[1::2] = bodies
    return b"".join(pieces)


def share_body(rows: Sequence[Row], body: bytes) -> None:
    """Leave each row with its place in the body: what may be 4 MB need not be there twice. Only while the call is under
    way: afterwards some have been released."""
    view, at = memoryview(body), 1
    for row in rows:
        end = at + len(row.body)
        row.share(view[at:end])
        at = end + 1


def answer_status(answer: Answer) -> int | None:
    """Return the HTTP status behind an answer; None where none came."""
    match answer:
        case Throttled():
            return 429
        case TooLarge():
            return 413
        case (
            Report(status=status)
            | Rejected(status=status)
            | Unavailable(status=status)
            | Garbled(status=status)
            | NotTheApi(status=status)
        ):
            return status
    return 401 if type(answer).__name__ == "Unauthorized" else 403
