"""The client of one slot: which node it goes to, what it says where there is none, and replicas that are to have each write."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import RedisError

from bench.redis_cluster import ClusterServers, slot_of, until
from relay.errors import OutboxUnavailable
from relay.outbox.books import reading_moment
from relay.outbox.cluster_nodes import followers, lane_client, master_of, rq_client
from relay.outbox.connection import connect, connect_async
from relay.outbox.durability import examine_durability, try_write
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.glance import Glance, glance_at
from relay.outbox.keys import set_rq_prefix
from relay.outbox.lane import ring_lanes
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.outbox.reasons import unavailable_reason
from relay.outbox.recorder import Recorder
from relay.outbox.replicas import no_spare, too_few
from relay.web.watch import RedisWatch
from tests.acl import documented_rights
from tests.outbox.test_outbox import entry
from tests.outbox.test_pipe import begin, filled, names
from tests.outbox.test_sentinel import free_ports

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServers]:
    """Two masters; the second, which has `{main}` and `{rq}` at first, has a replica."""
    folder = tmp_path_factory.mktemp("cluster")
    with ClusterServers(folder, masters=2, replicas=1, starts=(0, slot_of("rq"))) as made:
        yield made


def reason(url: str) -> str:
    with pytest.raises((RedisError, OSError)) as caught:
        connect(url).time()
    return unavailable_reason(caught.value)


def test_each_client_goes_to_the_master_of_its_slot_and_follows_it(cluster: ClusterServers) -> None:
    client = connect(cluster.url)
    rq, other = rq_client(client), connect(cluster.url, lane="a")
    assert rq_client(client) is rq and rq_client(rq) is rq
    rq.set("{rq}:n", 1)
    other.set("relay:{a}:n", 1)
    outbox = Outbox(client, piped=True)
    generation = filled(outbox, 3)
    assert names(begin(outbox, generation, limit=1)()) == ["slack-0"]
    assert not examine_durability(client).cluster
    assert [name for name, _ in followers(client)] == [
        f"127.0.0.1:{node.port}" for node in cluster.replicas_of(cluster.master_of("main"))
    ]

    cluster.await_replicas("main")
    to = cluster.fail_over("main")
    # By the pipe: it gives up a connection that leads elsewhere, and the next claim goes straight.
    assert names(begin(outbox, generation, limit=1)()) == ["slack-1"]
    assert names(begin(outbox, generation, limit=1)()) == ["slack-2"]
    assert outbox.lane.pipe is not None and outbox.lane.pipe._connection.port == to.port
    assert master_of(client) == f"127.0.0.1:{to.port}"

    to = cluster.other_master("main")
    cluster.move_slot("main", to)
    assert Outbox(client).pending_items() == 3 and master_of(client) == f"127.0.0.1:{to.port}"
    assert asyncio.run(_time(cluster.url)) == to.port
    client.flushall()


async def _time(url: str) -> int:
    """The port of the server that an asynchronous client asks."""
    client = connect_async(url)
    try:
        found = await client.info("server")
        return int(found["tcp_port"])
    finally:
        await client.aclose()


def test_many_lanes_are_asked_with_one_question_to_each_node(cluster: ClusterServers) -> None:
    """And one whose slot has gone elsewhere says so, is looked for again, and holds no other."""
    home, servers = connect(cluster.url), LaneServers()
    # The first master has few slots.
    first = [name for number in range(2000) if slot_of(name := f"l{number}") < slot_of("rq")][:5]
    lanes = [Outbox(lane_client(home, name), lane=name) for name in ("main", "l0", "l1", *first)]
    for outbox in lanes:
        outbox.record([entry(1)])
        outbox.lane.release(1)
    assert ring_lanes(servers, lanes) == [2] * len(lanes)
    assert ring_lanes(servers, lanes) == [0] * len(lanes), "each is rung for"
    assert [one.accepted for one in glance_at(servers, lanes) if isinstance(one, Glance)] == [1] * len(lanes)
    assert len({master_of(outbox.redis) for outbox in lanes}) == 2 == len(servers._nodes)

    cluster.await_replicas("main")
    cluster.fail_over("main")
    found = glance_at(servers, lanes)
    moved = [outbox for outbox, one in zip(lanes, found, strict=True) if isinstance(one, OutboxUnavailable)]
    assert lanes[0] in moved and 0 < len(moved) < len(lanes), found
    assert all(isinstance(one, Glance) for one in glance_at(servers, lanes))
    for outbox in lanes:
        outbox.redis.flushall()
    # As the other tests want it: what they hang must not be who is asked first.
    cluster.await_replicas("main")
    cluster.fail_over("main")


def test_a_seed_that_hangs_costs_a_moment_once(cluster: ClusterServers) -> None:
    """Of a process, whichever slots it asks for; and the first write that wants a replica goes through in time."""
    hung = cluster.other_master("main")
    seeds = sorted(
        (f"127.0.0.1:{node.port}" for node in cluster.nodes), key=lambda one: str(hung.port) not in one
    )
    url = f"redis+cluster://{','.join(seeds)}"
    outbox = Outbox(connect(cluster.url))

    async def first_write() -> None:
        recorder = Recorder(
            client := connect_async(url), outbox, rang=lambda _: None, wait_aof=False, replicas=lambda: 1
        )
        try:
            await recorder.record([(entry(1), 0.0)])
        finally:
            await recorder.close()
            await client.aclose()

    cluster.await_replicas("main")
    cluster.hang(hung)
    try:
        began = time.monotonic()
        asyncio.run(first_write())
        assert time.monotonic() - began < 1
        began = time.monotonic()
        for number in range(12):
            # Each has connections and a slot of its own.
            connect(url, lane=f"lane{number}").connection_pool.slot.find()  # type: ignore[attr-defined]
        assert time.monotonic() - began < 1.2, "each waits for the seed that hangs"
    finally:
        cluster.wake(hung)
    outbox.redis.flushall()


def test_a_hung_node_costs_what_is_read_of_its_own_lanes(cluster: ClusterServers) -> None:
    home, servers = connect(cluster.url), LaneServers()
    lanes = [Outbox(lane_client(home, name), lane=name) for name in ("main", "l0", "l1", "a", "b", "c")]
    for _ in range(2):
        assert not any(
            isinstance(one, Exception) for one in servers.read(lanes, lambda n: reading_moment(lanes[n]))
        )
    of_main = [cluster.master_of(outbox.lane_name) is cluster.master_of("main") for outbox in lanes]
    assert 0 < sum(of_main) < len(lanes)
    cluster.hang(node := cluster.master_of("main"))
    try:
        began = time.monotonic()
        found = servers.read(lanes, lambda n: reading_moment(lanes[n]), limit_s=0.5)
        assert time.monotonic() - began < 1.5
    finally:
        cluster.wake(node)
    assert [isinstance(one, OutboxUnavailable) for one in found] == of_main, found
    assert "no answer in time" in str(found[0])
    until(
        lambda: (
            not any(
                isinstance(one, Exception) for one in servers.read(lanes, lambda n: reading_moment(lanes[n]))
            )
        ),
        20,
    )


def test_a_moving_slot_runs_no_script(cluster: ClusterServers) -> None:
    """Its keys lie on two nodes then: who followed it would begin a second set of books."""
    outbox = Outbox(connect(cluster.url))
    source, to, slot = cluster.master_of("main"), cluster.other_master("main"), slot_of("main")
    outbox.record([entry(1)])
    to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.name)
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.name)
    try:
        with pytest.raises(OutboxUnavailable, match="the key's slot is moving"):
            outbox.record([entry(2)])
        assert to.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 0
    finally:
        for node in (source, to):
            node.ask("CLUSTER", "SETSLOT", slot, "STABLE")
    outbox.record([entry(2)])
    assert outbox.ledger()["slack"]["accepted"] == 2
    outbox.redis.flushall()


def test_what_is_wrong_with_a_cluster_is_said(cluster: ClusterServers) -> None:
    seeds = cluster.url.removeprefix("redis+cluster://")
    with socket.create_server(("127.0.0.1", 0)) as hung:
        place = f"127.0.0.1:{hung.getsockname()[1]}"
        began = time.monotonic()
        # It accepts connections and says nothing: the others are asked.
        connect(f"redis+cluster://{place},{seeds}").time()
        assert time.monotonic() - began < 1.5
        began = time.monotonic()
        assert reason(f"redis+cluster://{place}") == "no answer in time"
        assert time.monotonic() - began < 2.5
    assert reason("redis+cluster://127.0.0.1:1") == "no node of the cluster answers"
    assert "password" in reason(f"redis+cluster://nobody:wrong@{seeds}")

    master, slot = cluster.master_of("main"), slot_of("main")
    client = connect(cluster.url)
    client.set("relay:{main}:n", 1)
    for node in cluster.nodes:
        node.ask("CLUSTER", "DELSLOTS", slot)
    try:
        # What a connection that is there hears, and what a new one does.
        with pytest.raises(redis.ConnectionError):
            client.get("relay:{main}:n")
        assert reason(cluster.url) == "no node of the cluster holds the slot"
    finally:
        master.ask("CLUSTER", "ADDSLOTS", slot)


def test_a_plain_server_is_no_cluster(tmp_path: Path) -> None:
    [port] = free_ports(1)
    server = EmbeddedServer(tmp_path / "r", extra=(f"port {port}",)).start()
    try:
        assert "write redis://" in reason(f"redis+cluster://127.0.0.1:{port}")
    finally:
        server.stop()


def test_rq_s_keys_lie_together_in_a_cluster_and_stay_where_they_are_elsewhere() -> None:
    def prefix(base: str, *, clustered: bool, given: str = "") -> str:
        environ = {"RQ_KEY_PREFIX": given} if given else {}
        set_rq_prefix(base, environ, clustered=clustered)
        return environ.get("RQ_KEY_PREFIX", "")

    assert (prefix("relay", clustered=False), prefix("b", clustered=False)) == ("", "b:rq")
    assert (prefix("relay", clustered=True), prefix("b", clustered=True)) == ("{rq}", "b:{rq}")
    assert prefix("b", clustered=True, given="x:{rq}") == "x:{rq}"
    with pytest.raises(Exception, match=r"RQ_KEY_PREFIX should hold \{rq\}"):
        prefix("relay", clustered=True, given="rq")


def test_the_user_of_the_documentation_has_the_rights_that_are_needed(cluster: ClusterServers) -> None:
    rights = documented_rights(clustered=True)
    for node in cluster.nodes:
        node.ask("ACL", "SETUSER", "relay", "reset", "on", ">word", *rights.split())
    url = cluster.url.replace("://", "://relay:word@")
    outbox = Outbox(connect(url), piped=True)
    found = examine_durability(outbox.redis)
    assert not found.problems and found.fsync == "always"
    cluster.await_replicas("main")
    assert not try_write(outbox.redis, found, prefix=outbox.prefix, replicas=1)
    assert names(begin(outbox, filled(outbox, 1))()) == ["slack-0"]
    rq = rq_client(outbox.redis)
    # A machine that was busy for a moment is a cluster that was down for one.
    until(lambda: bool(rq.lpush("{rq}:queue:flush", "job")), 30)
    assert rq.blmove("{rq}:queue:flush", "{rq}:queue:intermediate", 1) == b"job"
    with rq.pubsub() as listening:  # type: ignore[no-untyped-call]
        listening.subscribe("{rq}:pubsub:worker")
    connect(cluster.url).flushall()


def test_a_write_counts_once_enough_replicas_have_it(cluster: ClusterServers) -> None:
    wanted = [1]

    async def record(number: int) -> None:
        client = connect_async(cluster.url)
        recorder = Recorder(
            client, outbox, rang=lambda generation: None, wait_aof=False, replicas=lambda: wanted[0]
        )
        try:
            await recorder.record([(entry(number), 0.0)])
        finally:
            await recorder.close()
            await client.aclose()

    outbox = Outbox(connect(cluster.url))
    watch = RedisWatch(outbox, require_durable=True, replicas=lambda: wanted[0])
    cluster.await_replicas("main")
    [replica] = cluster.replicas_of(cluster.master_of("main"))
    assert watch.look().away == ""
    asyncio.run(record(1))
    cluster.hang(replica)
    try:
        with pytest.raises(OutboxUnavailable, match=r"1 of its replicas have the write \(0 have\)") as caught:
            asyncio.run(record(2))
        assert caught.value.perhaps_done
        assert "1 of its replicas" in watch.look().away
        wanted[0] = 2
        assert "2 replicas are to have each write (redis.replicas), and 1 follows" in watch.look().away
        wanted[0] = 0
        asyncio.run(record(3))
    finally:
        cluster.wake(replica)
    assert (too_few(1, 1), no_spare(2, 1), no_spare(0, 0)) == ("", "", "")
    assert "give each master 2 replicas" in no_spare(1, 1)
