"""The servers that the relay promises to work with, and what is different about them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from relay.outbox.embedded import EmbeddedServer, find_server
from tests.acl import documented_rights

#: What the documentation asks of a user of Redis that is not all-powerful, without `CONFIG GET`.
_ACL = documented_rights().replace(" +config|get", "")


@dataclass(frozen=True)
class Kind:
    """`waitaof`: whether it can be asked to confirm an fsync."""

    name: str
    binary: str
    waitaof: bool


VALKEY = Kind("valkey-9", find_server(), waitaof=True)
REDIS_7_0 = Kind("redis-7.0", shutil.which("redis-server") or "", waitaof=False)
#: For `pytest.mark.parametrize`: both, the second only where it is installed.
BOTH = [
    pytest.param(VALKEY, id=VALKEY.name),
    pytest.param(
        REDIS_7_0,
        id=REDIS_7_0.name,
        marks=pytest.mark.skipif(not REDIS_7_0.binary, reason="redis-server is not installed"),
    ),
]


@contextmanager
def running(
    kind: Kind = VALKEY, *, fsync: str = "always", extra: tuple[str, ...] = ()
) -> Iterator[EmbeddedServer]:
    """A server of this kind, with a user `plain` (password `word`) who may ask CONFIG GET and one `mute` who may not."""
    folder = tempfile.mkdtemp(prefix="rs-")
    users = (f"user plain on >word {_ACL} +config|get", f"user mute on >word {_ACL}")
    server = EmbeddedServer(folder, binary=kind.binary, appendfsync=fsync, extra=(*users, *extra)).start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def as_user(server: EmbeddedServer, name: str, password: str = "word") -> str:
    """The server's address for one of its users."""
    return f"unix://{name}:{password}@{server.socket}"


def admin(server: EmbeddedServer) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(server.socket))


def place() -> Path:
    """A folder with a short name, for what holds unix sockets."""
    return Path(tempfile.mkdtemp(prefix="rs-"))
