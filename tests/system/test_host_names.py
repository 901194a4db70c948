"""The addresses of a host's name: the system's, whichever client connects, and a certificate is still compared with the name."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import httpcore
import pytest
import redis.exceptions
from redis.asyncio.connection import SSLConnection as AsyncSslConnection
from redis.connection import SSLConnection

from relay.host_names import resolve_host, resolve_host_async
from relay.outbox.connection import connect, connect_async
from relay.outbox.in_time import in_time
from relay.planhat.transport import Deadline, DeadlineTransport

ADDRESSES = ["redis://h", "rediss://h", "redis+sentinel://h:1,i:2/relay", "redis+cluster://h:1,i:2"]


def test_the_addresses_are_the_systems_in_its_order() -> None:
    rows = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
    wanted = tuple(dict.fromkeys(str(row[4][0]) for row in rows))
    assert resolve_host("localhost", 5.0) == wanted
    assert asyncio.run(resolve_host_async("localhost", 5.0)) == wanted
    for address in ("127.0.0.1", "::1", "10.0.0.1"):
        assert resolve_host(address, 0.0) == (address,)


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a" * 64 + ".example", "a..example"])
def test_a_name_that_is_none_is_refused_as_the_system_refuses_it(name: str) -> None:
    with pytest.raises((OSError, UnicodeError)) as ours:
        resolve_host(name, 60.0)
    with pytest.raises((OSError, UnicodeError)) as theirs:
        socket.getaddrinfo(name, None)
    assert type(ours.value) is type(theirs.value)


def test_many_who_ask_for_one_name_are_all_told_and_who_leaves_takes_it_from_nobody() -> None:
    async def leave() -> None:
        task = asyncio.ensure_future(resolve_host_async("localhost", 5.0))
        await asyncio.sleep(0)
        task.cancel()

    with ThreadPoolExecutor(32) as threads:
        told = [threads.submit(resolve_host, "localhost", 5.0) for _ in range(500)]
        for _ in range(20):
            asyncio.run(leave())
        assert len({one.result() for one in told}) == 1


@pytest.mark.parametrize("url", ADDRESSES)
def test_every_connection_over_tcp_looks_names_up_in_time(url: str) -> None:
    for client in (connect(url), connect_async(url)):
        asked = [client, *getattr(getattr(client.connection_pool, "sentinel_manager", None), "sentinels", ())]
        for one in asked:
            kind = one.connection_pool.connection_class
            assert {"_Resolving", "_AsyncResolving"} & {base.__name__ for base in kind.__mro__}, kind.__mro__


def test_a_certificate_is_compared_with_the_name() -> None:
    blocking = in_time(SSLConnection)(host="localhost", port=1)
    with pytest.raises(redis.exceptions.ConnectionError):
        blocking.connect()
    assert blocking.host == "localhost"
    waiting = in_time(AsyncSslConnection)(host="localhost", port=1)
    assert waiting._connection_arguments()["server_hostname"] == "localhost"


def test_a_name_that_is_none_is_no_connection_to_planhat_either() -> None:
    with (
        DeadlineTransport(Deadline()) as transport,
        pytest.raises(httpcore.ConnectError),
    ):
        transport._pool.request("GET", "http://no-such-host.invalid/")
