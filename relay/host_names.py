"""The addresses behind a host's name, within a time.

The system's own question (getaddrinfo) takes as long as the system's settings say when no name server answers: ten seconds for each name that
is tried, often forty, which no time-out of a socket cuts and no signal interrupts. So it is asked in a thread that nobody waits for
longer than they have. Of one name one thread asks at a time, however many want to know.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

_LOCK: Final = threading.Lock()
#: name -> what will be known of it. Only while it is asked for: the system itself decides what it remembers.
_ASKED: Final[dict[str, Future[tuple[str, ...]]]] = {}


def resolve_host(host: str, timeout_s: float | None) -> tuple[str, ...]:
    """Return the addresses of a host, in the system's order; of an address itself. Raises TimeoutError where no name server answers within
    `timeout_s` (None: as long as the system takes), else what getaddrinfo raises."""
    if _is_address(host):
        return (host,)
    try:
        return _asked(host).result(timeout_s)
    except TimeoutError as error:
        raise _too_late() from error


async def resolve_host_async(host: str, timeout_s: float | None) -> tuple[str, ...]:
    """Do as `resolve_host` does, in an event loop."""
    if _is_address(host):
        return (host,)
    try:
        async with asyncio.timeout(timeout_s):
            return await asyncio.wrap_future(_asked(host))
    except TimeoutError as error:
        raise _too_late() from error


def _too_late() -> TimeoutError:
    return TimeoutError("no name server answered in time")


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False


def _asked(host: str) -> Future[tuple[str, ...]]:
    with _LOCK:
        future = _ASKED.get(host)
        if future is None:
            future = _ASKED[host] = Future()
            # As running it cannot be cancelled: one who no longer waits must not take the answer from the others.
            future.set_running_or_notify_cancel()
            # A daemon, so that a process can end while it waits.
            threading.Thread(target=_ask, args=(host, future), name="host-names", daemon=True).start()
        return future


def _ask(host: str, future: Future[tuple[str, ...]]) -> None:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        answer = tuple(dict.fromkeys(_written(row[4]) for row in rows))
    except Exception as error:
        _forget(host)
        future.set_exception(error)
    else:
        _forget(host)
        future.set_result(answer)


def _forget(host: str) -> None:
    """Before the answer is told: who asks after it asks anew."""
    with _LOCK:
        del _ASKED[host]


def _written(place: tuple[object, ...]) -> str:
    """An address as it is connected to, with its zone where it has one."""
    zone = place[3] if len(place) > 3 else 0
    return f"{place[0]}%{zone}" if zone else str(place[0])
