"""Which node of a cluster is the master of one slot: asked of whoever answers, anew for each connection. A process remembers who
did, whichever slot it asked for, and who did not: a node that hangs is asked after the others, and shortly."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
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

from relay.outbox.in_time import in_time
from relay.outbox.reasons import Away, SlowToTell, unavailable_reason
from relay.outbox.tls import tls_reason

Node = tuple[str, int]

#: What one node is waited for when it is asked who the master is, and all of them together, as shares of a call's time.
_ONE_SHARE: Final = 0.25
_ALL_SHARE: Final = 0.75
_ONE_MOST_S: Final = 1.0
#: What one is waited for at first: who answers at all nearly always does so sooner, and one that hangs costs no more.
_QUICK_S: Final = 0.2
#: Who did not answer is asked after the others for so long.
_PASSED_OVER_S: Final = 60.0
#: So many nodes are remembered, beside those of the address.
_MOST_NODES: Final = 30
_QUESTION: Final = ("CLUSTER", "SLOTS")
_NO_CLUSTER: Final = "not in cluster mode; write redis:// for a plain server"
NO_MASTER: Final = "no node of the cluster holds the slot"
_SILENT: Final = "no node of the cluster answers"


class KnownNodes:
    """What a process knows of one cluster's nodes, by whichever slot it asked for: who answers, and who did not. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answered: tuple[Node, ...] = ()
        self._silent: dict[Node, float] = {}
        #: The last answer to CLUSTER SLOTS, and whose it was.
        self.told: tuple[Node, Any] | None = None

    def answered(self, node: Node, rows: Any) -> None:
        """Note an answer."""
        self.told = (node, rows)
        self._silent.pop(node, None)
        self._answered = (node, *(one for one in self._answered if one != node))[:_MOST_NODES]

    def failed(self, node: Node) -> None:
        """Note that a node did not answer."""
        self._silent[node] = self._clock() + _PASSED_OVER_S

    def ordered(self, nodes: Iterable[Node]) -> list[Node]:
        """Return these as they are to be asked, those that did not answer lately at the end."""
        now, silent = self._clock(), self._silent
        return sorted(nodes, key=lambda node: silent.get(node, 0.0) > now)

    def first(self, seeds: Sequence[Node]) -> list[Node]:
        """Return whom to ask at first where nothing is known of a slot: who answered last, and the seeds."""
        return list(dict.fromkeys((*self._answered, *seeds)))


@cache
def known_nodes(seeds: tuple[Node, ...]) -> KnownNodes:
    """Return what this process knows of the cluster with these seeds."""
    return KnownNodes()


class SlotMaster:
    """Which node is the master of the slot of `{tag}`, asked anew for each connection. `options`: of a connection to any node;
    `timeout_s`: what a call may take. One for a pool; safe for threads, which at worst ask once more."""

    def __init__(
        self, seeds: Sequence[Node], tag: str, options: Mapping[str, Any], *, tls: bool, timeout_s: float
    ) -> None:
        self.tag = tag
        self.slot = key_slot(f"{{{tag}}}".encode())
        self._seeds = tuple(seeds)
        self.known = known_nodes(self._seeds)
        #: Empty: nothing is known of this slot yet.
        self._nodes: list[Node] = []
        #: By the last answer.
        self.master: Node | None = None
        self.replicas: tuple[Node, ...] = ()
        self._tls = tls
        self.one_s = min(_ONE_MOST_S, timeout_s * _ONE_SHARE)
        self._all_s = timeout_s * _ALL_SHARE
        self._options = dict(options)

    def find(self) -> Node:
        """Return the master's place. Raises Away where no node tells, SlowToTell where the time was spent before one did."""
        asking = _Asking(self)
        for node, one_s in asking:
            kind = in_time(SSLConnection if self._tls else Connection)
            connection: Any = kind(**self._reach(node, one_s))
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
        for node, one_s in asking:
            kind = in_time(AsyncSslConnection if self._tls else AsyncConnection)
            connection: Any = kind(**self._reach(node, one_s))
            try:
                await connection.connect()
                await connection.send_command(*_QUESTION, check_health=False)
                return asking.told(node, await connection.read_response())
            except (RedisError, OSError) as error:
                asking.failed(node, error)
            finally:
                await connection.disconnect(nowait=True)
        raise asking.why()

    def take(self) -> Node | None:
        """Return the master by what was told last for whichever slot, without asking. None: it does not say."""
        if self.known.told is not None:
            self.read(*self.known.told)
        return self.master

    def _reach(self, node: Node, one_s: float) -> dict[str, Any]:
        return {
            **self._options,
            "host": node[0],
            "port": node[1],
            "socket_timeout": one_s,
            "socket_connect_timeout": one_s,
        }

    def nodes(self) -> list[Node]:
        """Return the nodes in the order in which they are to be asked."""
        return self.known.ordered(self._nodes or self.known.first(self._seeds))

    def learn(self, first: Sequence[Node], last: Sequence[Node]) -> None:
        """`first` are asked first the next time, then the seeds, `last` at the end."""
        known = dict.fromkeys((*first[:_MOST_NODES], *self._seeds))
        self._nodes = [node for node in known if node not in last] + list(last)

    def read(self, asked: Node, rows: Any) -> tuple[Node | None, list[Node]]:
        """Take the master and its replicas out of CLUSTER SLOTS's answer, where it names one; (the master, the nodes beside it)."""
        master: Node | None = None
        replicas: list[Node] = []
        others: list[Node] = []
        for first, last, *places in rows:
            nodes = [node for node in (_node(place, asked) for place in places) if node]
            if nodes and int(first) <= self.slot <= int(last):
                master, *replicas = nodes
                nodes = replicas
            others += nodes
        if master is not None:
            self.master, self.replicas = master, tuple(replicas)
        return master, others

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
        self._slow: dict[Node, None] = {}
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[tuple[Node, float]]:
        """Each with what it is waited for: shortly at first, then longer."""
        one_s = self._slot.one_s
        for node in self._slot.nodes():
            yield from self._in_time(node, min(_QUICK_S, one_s))
        for node in list(self._slow):
            yield from self._in_time(node, one_s)

    def _in_time(self, node: Node, one_s: float) -> Iterator[tuple[Node, float]]:
        if not self._failed or time.monotonic() < self._until:
            yield node, one_s

    def told(self, asked: Node, rows: Any) -> Node:
        """The master, by CLUSTER SLOTS's answer. Raises Away where the slot has none."""
        master, others = self._slot.read(asked, rows)
        if master is None:
            raise Away(NO_MASTER)
        self._slot.known.answered(asked, rows)
        # The master itself is asked last: when it hangs or is cut off, the others know better than it does. Who was asked now
        # goes behind those who were not.
        behind = list(dict.fromkeys((*((asked,) if asked != master else ()), *self._failed)))
        self._slot.learn(
            [node for node in others if node != master and node not in behind],
            [*(node for node in behind if node != master), master],
        )
        return master

    def failed(self, node: Node, error: Exception) -> None:
        if node not in self._failed:
            self._failed.append(node)
        if not isinstance(error, ResponseError | Away):
            self._slot.known.failed(node)
        if isinstance(error, TimeoutError | builtins.TimeoutError):
            self._slow[node] = None
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
