"""redis-py's connections, whose time to connect holds for the host's name too: redis-py bounds only what comes after it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from redis.asyncio.connection import Connection as AsyncConnection
from redis.connection import Connection

from relay.host_names import resolve_host, resolve_host_async


@cache
def in_time(kind: type) -> type:
    """Return a class of connections like `kind`, redis-py's own or one derived from it, whose `socket_connect_timeout` bounds the look-up of the
    host's name. One that has no host (a unix socket) stays as it is."""
    if issubclass(kind, Connection):
        return _made(kind, Connection, _Resolving)
    if issubclass(kind, AsyncConnection):
        return _made(kind, AsyncConnection, _AsyncResolving, _TlsByName)
    return kind


def _made(kind: type, plain: type, last: type, *first: type) -> type:
    # redis-py's plain one cannot stand before what derives from it.
    between = () if kind is plain else (kind,)
    return type(kind.__name__, (*first, *between, last), {"__module__": kind.__module__})


class _Resolving(Connection):
    """Comes last before redis-py's own way to connect: what lies above (TLS) knows the host by its name."""

    def _connect(self) -> Any:
        name, failed = self.host, OSError("the name has no address")
        try:
            for address in resolve_host(name, self.socket_connect_timeout):
                self.host = address
                try:
                    return super()._connect()  # type: ignore[no-untyped-call]
                except OSError as error:
                    failed = error
        finally:
            self.host = name
        raise failed


class _AsyncResolving(AsyncConnection):
    _address = ""

    async def _connect(self) -> None:
        failed = OSError("the name has no address")
        for address in await resolve_host_async(self.host, self.socket_connect_timeout):
            self._address = address
            try:
                await super()._connect()  # type: ignore[no-untyped-call]
            except OSError as error:
                failed = error
            else:
                return
        raise failed

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "host": self._address}


class _TlsByName:
    """A certificate is compared with the name, not with the address that was found for it."""

    host: str

    def _connection_arguments(self) -> Mapping[str, Any]:
        arguments: Mapping[str, Any] = super()._connection_arguments()  # type: ignore[misc]
        return {**arguments, "server_hostname": self.host} if "ssl" in arguments else arguments
