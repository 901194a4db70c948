"""Real servers for the tests: a Redis-compatible one that the suite starts itself, emptied before each test."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

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


#: What began a process in the running test that has no mark for it.
_begun: list[str] = []
_watched = [False]


def _watch_processes(event: str, args: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen" and _watched[0]:
        _begun.append(str(args[1])[:200])


sys.addaudithook(_watch_processes)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks `redis` whatever asks for the shared server, `simulated` what makes up its inputs or measures growth: nobody has to
    remember to."""
    for item in items:
        if "redis_server_url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.redis)
        made_up = getattr(getattr(item, "function", None), "is_hypothesis_test", False)
        if made_up or "linear_time" in item.name or "twice_the_t" in item.name:
            item.add_marker(pytest.mark.simulated)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fails a test that starts a process and is not marked so: the quick tier leaves those out."""
    _begun.clear()
    _watched[0] = not any(item.get_closest_marker(name) for name in ("process", "browser", "simulated"))
    try:
        yield
    finally:
        _watched[0] = False
    assert not _begun, f"mark this test `process`: it starts {_begun[0]}"


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
