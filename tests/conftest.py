"""Real servers for the tests: a Redis-compatible one that the suite starts itself, emptied before each test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from relay.outbox.embedded import EmbeddedServer
from relay.outbox.outbox import Outbox
from tests.limited import LIMITED, limit

os.environ.setdefault("RELAY_LOG_LEVEL", "warning")
os.environ.setdefault("RELAY_ALLOW_WEAK_SECRETS", "true")
# How long one example takes says how busy the machine is; growth is measured in tests of its own.
settings.register_profile(
    "relay", settings.get_profile("ci" if os.environ.get("CI") else "default"), deadline=None
)
settings.load_profile("relay")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks `redis` whatever asks for the shared server, so that nobody has to remember to."""
    for item in items:
        if "redis_server_url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.redis)


if LIMITED:
    limit()


def _server(binary: str = "") -> Iterator[str]:
    # Not pytest's tmp_path: a unix socket's path may hold 100 characters only.
    folder = tempfile.mkdtemp(prefix="relay-test-")
    server = EmbeddedServer(folder, binary=binary, appendfsync="always").start()
    try:
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    yield from _server()


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """A server with nothing in it. Shared by the tests of a session: use it for one thing at a time."""
    with redis.Redis.from_url(redis_server_url) as client:
        client.flushall()
    return redis_server_url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def outbox(redis_client: redis.Redis) -> Outbox:
    return Outbox(redis_client)


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A folder with a short path, for what holds unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="rt-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
