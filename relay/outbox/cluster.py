"""Connections to one slot of a cluster: each new one goes to the node that is the slot's master at that moment, as a
Sentinel's go to the primary. Whoever uses them has a plain client: scripts, MULTI, WAIT and RQ work as they are.

redis-py's own `RedisCluster` is nobody's here: it follows a slot that is moving (ASK) and so runs a script on a node that has half of the
lane's keys, and asks another node to confirm a write than the one that has it
(findings/redis-py-cluster-pipeline-asks-the-wrong-node.sh). Here a moving slot is a server that is away for a moment: `KEYS[1]`
of every script is a name that never exists, so that the node which gives the slot away runs none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.connection import Connection as AsyncConnection
from redis.asyncio.connection import SSLConnection as AsyncSslConnection
from redis.connection import Connection, SSLConnection
from redis.exceptions import ResponseError

from relay.outbox.in_time import in_time
from relay.outbox.reasons import NOT_THE_MASTER, Away, unavailable_reason
from relay.outbox.slot_master import Node, SlotMaster


class _OfSlot:
    """What makes a connection one to a slot's master. Comes before redis-py's own class."""

    host: str
    port: int

    def __init__(self, *, slot: SlotMaster, **options: Any) -> None:
        self._slot = slot
        super().__init__(**options)


class _BlockingOfSlot(_OfSlot):
    _sock: Any

    def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        if self._sock:
            return
        self.host, self.port = self._slot.find()
        super().connect_check_health(check_health, retry_socket_connect)  # type: ignore[misc]

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except ResponseError as error:
            if not elsewhere(error):
                raise
            self.disconnect()  # type: ignore[attr-defined]
            raise Away(unavailable_reason(error)) from error


class _AsyncOfSlot(_OfSlot):
    is_connected: bool

    async def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        if self.is_connected:
            return
        self.host, self.port = await self._slot.find_async()
        await super().connect_check_health(check_health, retry_socket_connect)  # type: ignore[misc]

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)  # type: ignore[misc]
        except ResponseError as error:
            if not elsewhere(error):
                raise
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise Away(unavailable_reason(error)) from error


class _SlotConnection(_BlockingOfSlot, Connection):
    pass


class _SlotSslConnection(_BlockingOfSlot, SSLConnection):
    pass


class _AsyncSlotConnection(_AsyncOfSlot, AsyncConnection):
    pass


class _AsyncSlotSslConnection(_AsyncOfSlot, AsyncSslConnection):
    pass


def elsewhere(error: Exception) -> bool:
    """Tell whether the server at hand is not the one to ask any more."""
    return isinstance(error, NOT_THE_MASTER) or str(error).startswith("UNBLOCKED")


class SlotPool(redis.ConnectionPool):
    """A pool of connections to one slot's master. `make(tag)`: such a client for another slot of the same cluster; `plain(node)`:
    a client of one node, whatever it is."""

    def __init__(
        self,
        slot: SlotMaster,
        make: Callable[[str], redis.Redis],
        plain: Callable[[Node], redis.Redis],
        *,
        tls: bool,
        **options: Any,
    ) -> None:
        self.slot = slot
        self.plain = plain
        self._make = make
        self._siblings: dict[str, redis.Redis] = {}
        super().__init__(in_time(_SlotSslConnection if tls else _SlotConnection), slot=slot, **options)

    def sibling(self, tag: str) -> redis.Redis:
        """Return the client for `{tag}`, made once."""
        if tag not in self._siblings:
            self._siblings[tag] = self._make(tag)
        return self._siblings[tag]


def slot_client(pool: SlotPool) -> redis.Redis:
    """Return a blocking client of the pool's slot."""
    return redis.Redis.from_pool(pool)


def slot_client_async(slot: SlotMaster, *, tls: bool, **options: Any) -> redis.asyncio.Redis:
    """Return a client of the slot for an event loop."""
    connection = in_time(_AsyncSlotSslConnection if tls else _AsyncSlotConnection)
    return redis.asyncio.Redis.from_pool(
        redis.asyncio.ConnectionPool(connection_class=connection, slot=slot, **options)
    )
