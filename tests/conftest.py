"""Real servers for the tests: a Redis-compatible one that the suite starts itself, emptied before each test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from relay.outbox.embedded import EmbeddedServer
from relay.outbox.outbox import Outbox

os.environ.setdefault("RELAY_LOG_LEVEL", "warning")
os.environ.setdefault("RELAY_ALLOW_WEAK_SECRETS", "true")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks `redis` whatever asks for the shared server, so that nobody has to remember to."""
    for item in items:
        if "redis_server_url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.redis)


#: The user of Redis that docs/operating.md asks for; `{prefix}` is RELAY_KEY_PREFIX.
ACL = (
    "~{prefix}:* ~rq:* &rq:* -@all +@read +@write +@connection +@transaction +@pubsub +@scripting -@dangerous "
    "+info +time +ping +config|get"
)
#: RELAY_TEST_ACL=1: whatever uses the shared server does so as a user with just that.
LIMITED = os.environ.get("RELAY_TEST_ACL") == "1"
#: What tests do to a server and the relay never does; these go by the all-powerful user.
_OURS = frozenset(
    {"FLUSHALL", "FLUSHDB", "CONFIG SET", "KEYS", "RESTORE", "DEBUG", "REPLICAOF", "ACL", "SCRIPT FLUSH"}
)


class Limited(redis.Redis):
    """A client of the limited user; `admin` does what only tests do."""

    admin: redis.Redis

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if str(args[0]).upper() in _OURS:
            return self.admin.execute_command(*args, **options)  # type: ignore[no-untyped-call]
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]


def _server(binary: str = "") -> Iterator[str]:
    # Not pytest's tmp_path: a unix socket's path may hold 100 characters only.
    folder = tempfile.mkdtemp(prefix="relay-test-")
    users = (f"user plain on >word {ACL.format(prefix='relay')}",) if LIMITED else ()
    server = EmbeddedServer(folder, binary=binary, appendfsync="always", extra=users).start()
    try:
        yield f"unix://plain:word@{server.socket}" if LIMITED else server.url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    yield from _server()


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """A server with nothing in it. Shared by the tests of a session: use it for one thing at a time."""
    with _admin(redis_server_url) as client:
        client.flushall()
    return redis_server_url


def _admin(url: str) -> redis.Redis:
    return redis.Redis.from_url(url.replace("plain:word@", ""))


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    yield from emptied(redis_url)


def emptied(url: str) -> Iterator[redis.Redis]:
    """A client of a server of `_server`, with nothing in it."""
    with _admin(url) as admin:
        admin.flushall()
        if not LIMITED:
            yield admin
            return
        with Limited.from_url(url) as limited:
            limited.admin = admin
            yield limited


@pytest.fixture
def outbox(redis_client: redis.Redis) -> Outbox:
    return Outbox(redis_client)


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A folder with a short path, for what holds unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="rt-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
