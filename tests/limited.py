"""RELAY_TEST_ACL=1: the whole suite as a user of Redis who may do what docs/deploying.md asks for, and nothing else.

Every server that a test starts has that user, and whoever goes by its address is that user: the tests and the processes
that they start. What tests do to a server and the relay never does goes by the all-powerful one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import redis

from relay.outbox.embedded import EmbeddedServer
from tests.acl import documented_rights

LIMITED: Final = os.environ.get("RELAY_TEST_ACL") == "1"
_NAME: Final = "limited"
_OURS: Final = frozenset(
    {
        "ACL",
        "BGREWRITEAOF",
        "CLIENT KILL",
        "CLIENT LIST",
        "CLIENT PAUSE",
        "CLIENT UNPAUSE",
        "CONFIG RESETSTAT",
        "CONFIG SET",
        "DEBUG",
        "FLUSHALL",
        "FLUSHDB",
        "KEYS",
        "REPLICAOF",
        "RESTORE",
        "SCRIPT FLUSH",
    }
)


def limit() -> None:
    """To be called once, before the first server is made."""
    make, ask = EmbeddedServer.__init__, redis.Redis.execute_command

    def made(self: EmbeddedServer, folder: str | Path, **options: Any) -> None:
        user = f"user {_NAME} on >word {documented_rights()}"
        make(self, folder, **options | {"extra": (*options.get("extra", ()), user)})

    def asked(self: redis.Redis, *args: Any, **options: Any) -> Any:
        if str(args[0]).upper() in _OURS and self.get_connection_kwargs().get("username") == _NAME:
            with _all_powerful(self) as client:
                return ask(client, *args, **options)  # type: ignore[no-untyped-call]
        return ask(self, *args, **options)  # type: ignore[no-untyped-call]

    EmbeddedServer.__init__ = made  # type: ignore[method-assign]
    EmbeddedServer.url = property(lambda self: f"unix://{_NAME}:word@{self.socket}")  # type: ignore[assignment, method-assign]
    redis.Redis.execute_command = asked  # type: ignore[method-assign]


def _all_powerful(client: redis.Redis) -> redis.Redis:
    pool = client.connection_pool
    kwargs = {k: v for k, v in pool.connection_kwargs.items() if k not in ("username", "password")}
    return redis.Redis(connection_pool=redis.ConnectionPool(connection_class=pool.connection_class, **kwargs))
