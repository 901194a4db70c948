"""An httpx transport whose calls end at a deadline, whatever the far side does.

httpx's time-outs are per step: a server that sends a byte a minute never runs into one. Here every wait for the
network is cut to what is left of the whole call.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from relay.host_names import resolve_host

_PIECE_BYTES: Final = 256 * 1024


class DeadlinePassed(Exception):
    """The whole call has taken its time. Not httpcore's own, so that it passes through both libraries untouched."""


class Deadline:
    """When this thread's call must be over, in seconds of a monotonic clock; None outside of a call."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._local = threading.local()

    def start(self, timeout_s: float) -> None:
        self._local.at = self._clock() + timeout_s

    def stop(self) -> None:
        self._local.at = None

    def cut(self, timeout_s: float | None) -> float | None:
        """Return `timeout_s`, or what is left if that is less. Raises DeadlinePassed when nothing is."""
        at = getattr(self._local, "at", None)
        if at is None:
            return timeout_s
        left_s: float = at - self._clock()
        if left_s <= 0:
            raise DeadlinePassed
        return left_s if timeout_s is None else min(timeout_s, left_s)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.cut(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In pieces, since the stream below applies its time-out to each send, and a large buffer takes many.
        for start in range(0, len(buffer), _PIECE_BYTES):
            self._stream.write(buffer[start : start + _PIECE_BYTES], self._deadline.cut(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._stream.start_tls(ssl_context, server_hostname, self._deadline.cut(timeout))
        return _DeadlineStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _DeadlineBackend(httpcore.NetworkBackend):
    def __init__(self, deadline: Deadline) -> None:
        self._inner = httpcore.SyncBackend()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception = httpcore.ConnectError("the name has no address")
        for address in self._addresses(host, timeout):
            try:
                stream = self._inner.connect_tcp(
                    address, port, self._deadline.cut(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                return _DeadlineStream(stream, self._deadline)
        raise failed

    def _addresses(self, host: str, timeout: float | None) -> tuple[str, ...]:
        try:
            return resolve_host(host, self._deadline.cut(timeout))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_unix_socket(path, self._deadline.cut(timeout), socket_options)
        return _DeadlineStream(stream, self._deadline)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's own transport over a connection pool that keeps the deadline. Connections are kept alive; an idle one
    is dropped after `keepalive_s`, before most servers and balancers drop it."""

    def __init__(
        self,
        deadline: Deadline,
        *,
        proxy: str | None = None,
        connections: int = 4,
        keepalive_s: float = 30.0,
    ) -> None:
        super().__init__(verify=tls_context())
        self._pool.close()
        # httpx offers no way to pass a network backend; httpcore, which it stands on, does.
        kind: Any = httpcore.ConnectionPool
        further: dict[str, Any] = {}
        if proxy:
            parsed = httpx.Proxy(proxy)
            kind = httpcore.HTTPProxy
            further = {
                "proxy_url": httpcore.URL(str(parsed.url)),
                "proxy_auth": parsed.raw_auth,
                "proxy_ssl_context": parsed.ssl_context,
            }
        self._pool = kind(
            ssl_context=tls_context(),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=keepalive_s,
            network_backend=_DeadlineBackend(deadline),
            **further,
        )


@cache
def tls_context() -> ssl.SSLContext:
    """Return what every connection of this process checks certificates with. To read the authorities takes 20 ms and 0.4 MB, which
    a client of each of hundreds of tenants would take again."""
    return httpx.create_ssl_context()


def proxy_for(url: str) -> str | None:
    """Return the HTTP proxy that the environment names for this URL (`HTTPS_PROXY`, `NO_PROXY`), or None.

    httpx looks for it itself only as long as it chooses the transport.
    """
    parts = urlsplit(url)
    found = getproxies()
    proxy = found.get(parts.scheme) or found.get("all")
    if not proxy or not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
