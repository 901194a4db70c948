"""What a client is to a cluster: RQ's beside a lane's, and the nodes behind it. Elsewhere all of it is the one server."""

from __future__ import annotations

import redis

from relay.outbox.cluster import SlotPool
from relay.outbox.keys import RQ_TAG
from relay.outbox.slot_master import Node


def rq_client(client: redis.Redis) -> redis.Redis:
    """Return the client for RQ's keys beside a lane's `client`: the same one, but in a cluster, where they lie in a slot of their own."""
    pool = client.connection_pool
    return pool.sibling(RQ_TAG) if isinstance(pool, SlotPool) and pool.slot.tag != RQ_TAG else client


def lane_client(client: redis.Redis, lane: str) -> redis.Redis:
    """Return the client for the keys of another lane beside `client`: the same one, but in a cluster, where each lies in a slot of its own."""
    pool = client.connection_pool
    return pool.sibling(lane) if isinstance(pool, SlotPool) and pool.slot.tag != lane else client


def own_tag(client: redis.Redis, lane: str) -> str:
    """Return the hash tag of what `client` may write: its slot's in a cluster, else any, so that of `lane`."""
    pool = client.connection_pool
    return pool.slot.tag if isinstance(pool, SlotPool) else lane


def knows_cluster(client: redis.Redis) -> bool:
    """Tell whether `client` finds the nodes of a cluster by itself."""
    return isinstance(client.connection_pool, SlotPool)


def followers(client: redis.Redis) -> list[tuple[str, redis.Redis]]:
    """Return (host:port, a client of it) for each replica of `client`'s slot in a cluster, by what was told last; none elsewhere."""
    pool = client.connection_pool
    if not isinstance(pool, SlotPool):
        return []
    return [(shown_node(node), pool.plain(node)) for node in pool.slot.replicas]


def master_of(client: redis.Redis) -> str:
    """host:port of the node that `client` last connected to in a cluster; "" elsewhere."""
    pool = client.connection_pool
    return shown_node(pool.slot.master) if isinstance(pool, SlotPool) and pool.slot.master else ""


def servers_of(client: redis.Redis) -> list[tuple[str, redis.Redis]]:
    """Return (host:port, a client of it) for every server that keeps something of the lane or of RQ; ("", `client`) alone outside of a
    cluster."""
    found: list[tuple[str, redis.Redis]] = []
    for one in dict.fromkeys((client, rq_client(client))):
        found += [(master_of(one), one), *followers(one)]
    return found


def shown_node(node: Node) -> str:
    """host:port."""
    return f"[{node[0]}]:{node[1]}" if ":" in node[0] else f"{node[0]}:{node[1]}"
