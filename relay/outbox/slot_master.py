"""Which node of a cluster is the master of one slot: asked of whoever answers, anew for each connection."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from redis.asyncio.connection import Connection as AsyncConnection
from redis.asyncio.connection import SSLConnection as AsyncSslConnection
from redis.connection import Connection, SSLConnection
from redis.crc import key_slot
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from relay.outbox.reasons import Away, SlowToTell, unavailable_reason
from relay.outbox.tls import tls_reason

Node = tuple[str, int]

#: What one node is waited for when it is asked who the master is, and all of them together, as shares of a call's time.
_ONE_SHARE: Final = 0.25
_ALL_SHARE: Final = 0.75
_ONE_MOST_S: Final = 1.0
#: So many nodes are remembered, beside those of the address.
_MOST_NODES: Final = 30
_QUESTION: Final = ("CLUSTER", "SLOTS")
_NO_CLUSTER: Final = "not in cluster mode; write redis:// for a plain server"
_NO_MASTER: Final = "no node of the cluster holds the slot"
_SILENT: Final = "no node of the cluster answers"


class SlotMaster:
    """Which node is the master of the slot of `{tag}`, asked anew for each connection. `options`: of a connection to any node;
    `timeout_s`: what a call may take. One for a pool; safe for threads, which at worst ask once more."""

    def __init__(
        self, seeds: Sequence[Node], tag: str, options: Mapping[str, Any], *, tls: bool, timeout_s: float
    ) -> None:
        self.tag = tag
        self.slot = key_slot(f"{{{tag}}}".encode())
        self._seeds = tuple(seeds)
        self._nodes: list[Node] = list(seeds)
        #: By the last answer.
        self.master: Node | None = None
        self.replicas: tuple[Node, ...] = ()
        self._tls = tls
        one_s = min(_ONE_MOST_S, timeout_s * _ONE_SHARE)
        self._all_s = timeout_s * _ALL_SHARE
        self._options = {**options, "socket_timeout": one_s, "socket_connect_timeout": one_s}

    def find(self) -> Node:
        """Return the master's place. Raises Away where no node tells, SlowToTell where the time was spent before one did."""
        asking = _Asking(self)
        for node in asking:
            connection: Any = (SSLConnection if self._tls else Connection)(
                host=node[0], port=node[1], **self._options
            )
            try:
                connection.connect()
                connection.send_command(*_QUESTION, check_health=False)
                return asking.told(node, connection.read_response())
            except (RedisError, OSError) as error:
                asking.failed(node, error)
            finally:
                connection.disconnect()
        raise asking.why()

    async def find_async(self) -> Node:
        """Do as `find` does, in an event loop."""
        asking = _Asking(self)
        for node in asking:
            connection: Any = (AsyncSslConnection if self._tls else AsyncConnection)(
                host=node[0], port=node[1], **self._options
            )
            try:
                await connection.connect()
                await connection.send_command(*_QUESTION, check_health=False)
                return asking.told(node, await connection.read_response())
            except (RedisError, OSError) as error:
                asking.failed(node, error)
            finally:
                await connection.disconnect(nowait=True)
        raise asking.why()

    def nodes(self) -> list[Node]:
        """Return the nodes in the order in which they are to be asked."""
        return list(self._nodes)

    def learn(self, first: Sequence[Node], last: Sequence[Node]) -> None:
        """`first` are asked first the next time, then the seeds, `last` at the end."""
        known = dict.fromkeys((*first[:_MOST_NODES], *self._seeds))
        self._nodes = [node for node in known if node not in last] + list(last)

    @property
    def seconds(self) -> float:
        """What asking may take in all."""
        return self._all_s


class _Asking:
    """One round: the nodes in turn, until one tells."""

    def __init__(self, slot: SlotMaster) -> None:
        self._slot = slot
        self._until = time.monotonic() + slot.seconds
        self._failed: list[Node] = []
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[Node]:
        for node in self._slot.nodes():
            if self._failed and time.monotonic() >= self._until:
                return
            yield node

    def told(self, asked: Node, rows: Any) -> Node:
        """The master, by CLUSTER SLOTS's answer. Raises Away where the slot has none."""
        master: Node | None = None
        replicas: list[Node] = []
        others: list[Node] = []
        for first, last, *places in rows:
            nodes = [node for node in (_node(place, asked) for place in places) if node]
            if nodes and int(first) <= self._slot.slot <= int(last):
                master, *replicas = nodes
                nodes = replicas
            others += nodes
        if master is None:
            raise Away(_NO_MASTER)
        self._slot.master, self._slot.replicas = master, tuple(replicas)
        # The master itself is asked last: when it hangs or is cut off, the others know better than it does. Who was asked now
        # goes behind those who were not.
        behind = list(dict.fromkeys((*((asked,) if asked != master else ()), *self._failed)))
        self._slot.learn(
            [node for node in others if node != master and node not in behind],
            [*(node for node in behind if node != master), master],
        )
        return master

    def failed(self, node: Node, error: Exception) -> None:
        self._failed.append(node)
        # What one of them says is worth more than that another did not answer.
        telling = isinstance(error, ResponseError | AuthenticationError | Away) or tls_reason(error)
        if self._error is None or telling:
            self._error = error

    def why(self) -> Exception:
        """What to raise where none told."""
        error = self._error or ConnectionError()
        if isinstance(error, ResponseError) and "cluster support disabled" in str(error):
            return Away(_NO_CLUSTER)
        reason = unavailable_reason(error)
        if isinstance(error, TimeoutError):
            return SlowToTell(tls_reason(error) or reason)
        return Away(_SILENT if reason == "no connection" else reason)


def _node(place: Sequence[Any], asked: Node) -> Node | None:
    """One place of CLUSTER SLOTS: (host, port, ...). No host: that of who was asked; "?": it does not know."""
    host, port = place[0], int(place[1])
    text = host.decode() if isinstance(host, bytes) else str(host or "")
    if text == "?" or not port:
        return None
    return (text or asked[0], port)
