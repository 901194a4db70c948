"""Clients of Redis from its address (see `redis_url.py`): how long each waits, and how often it tries again.

A call that got no answer in time is never repeated by itself, but for the workers: it may have been done, and who waits
for it has waited long enough. A connection that was cut (Redis restarted) is tried once more at once: each script may
be said twice, what is counted beside the books may count twice then. redis-py's own default, four tries with seconds
between, is nobody's here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import hiredis
import redis
import redis.asyncio
from redis.backoff import ConstantBackoff, ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError
from redis.retry import Retry

from relay.errors import SettingsInvalid
from relay.lane_name import MAIN
from relay.outbox.cluster import SlotPool, slot_client, slot_client_async
from relay.outbox.in_time import in_time
from relay.outbox.redis_url import RedisUrl, parse_redis_url
from relay.outbox.slot_master import SlotMaster
from relay.outbox.tls import check_files

#: What a person, a probe and a sender wait for Redis at most.
IMPATIENT_S: Final = 2.0
#: A worker outlives a Redis that is away for so long (90 tries, a second apart).
_PATIENT_TRIES: Final = 90
#: To connect, for clients that wait longer for an answer. With it a worker that was told to stop while it connects ends within its bound.
_CONNECT_S: Final = 2.0
#: What a process that ends waits for each thing that it still tells Redis.
PARTING_S: Final = 0.8
#: A peer that is gone without a word is found after a minute, not after the system's two hours.
_KEEPALIVE: Final = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}
_Client = TypeVar("_Client")
_BOOLEANS: Final = frozenset({"ssl_check_hostname"})
_NUMBERS: Final = frozenset({"protocol", "ssl_min_version"})


class _Patience(Retry):
    """Tries again for about 90 s, time-outs too, until `over()`."""

    def __init__(self, over: Callable[[], bool]) -> None:
        super().__init__(ExponentialBackoff(cap=1.0, base=0.05), _PATIENT_TRIES)
        self._over = over

    def __deepcopy__(self, memo: object) -> _Patience:
        # Each connection has a copy; what `over` asks is one for the process.
        return _Patience(self._over)

    def call_with_retry(
        self,
        do: Callable[[], Any],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> Any:
        failed: list[Exception] = []

        def again(error: Exception) -> bool:
            if is_retryable is not None and not is_retryable(error):
                return False
            if self._over():
                # As before another try: the connection is not used again.
                fail(error, 1) if with_failure_count else fail(error)
                return False
            failed.append(error)
            return True

        def once_more() -> Any:
            if failed and self._over():
                # While it waited for its next try.
                raise failed[-1]
            return do()

        return super().call_with_retry(once_more, fail, again, with_failure_count)


def connect(
    url: str,
    *,
    timeout_s: float = IMPATIENT_S,
    patient: bool = False,
    over: Callable[[], bool] = lambda: False,
    lane: str = MAIN,
) -> redis.Redis:
    """Return a client that answers bytes. `patient`: retries for about 90 s, time-outs too, for workers, which must outlive a
    Redis that blinks; once `over()`, nothing is tried again. `lane`: whose keys it is for, which in a cluster is where it connects to; RQ's: `rq_client` of `cluster_nodes`. Raises SettingsInvalid."""
    return _connect(_sound(url), timeout_s, _Patience(over) if patient else _once_more(), lane)


def _once_more() -> Retry:
    return Retry(ConstantBackoff(0.02), 1, supported_errors=(ConnectionError,))


def _sound(url: str) -> RedisUrl:
    """Its address, whose files are there. Raises SettingsInvalid."""
    address = parse_redis_url(url)
    if address.tls:
        check_files(dict(address.options))
    return address


def in_cluster(url: str) -> bool:
    """Tell whether this address is a cluster's. Raises SettingsInvalid."""
    return parse_redis_url(url).cluster


def _connect(address: RedisUrl, timeout_s: float, retry: Retry, tag: str) -> redis.Redis:
    options = _options(address, timeout_s) | {"retry": retry}
    if address.cluster:
        slot = _slot_master(address, timeout_s, tag, Retry(NoBackoff(), 0))
        return slot_client(
            SlotPool(
                slot,
                lambda other: _connect(address, timeout_s, retry, other),
                lambda node: _in_time(redis.Redis(host=node[0], port=node[1], ssl=address.tls, **options)),
                tls=address.tls,
                **options,
            )
        )
    if address.sentinel:
        from redis.sentinel import Sentinel

        once = {"retry": Retry(NoBackoff(), 0)}
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            list(address.hosts), sentinel_kwargs=_sentinel_options(address, timeout_s) | once
        )
        for one in sentinel.sentinels:
            _in_time(one)
        client: redis.Redis = sentinel.master_for(address.service, **options)  # type: ignore[no-untyped-call]
        return _in_time(client)
    if address.scheme == "unix":
        return redis.Redis(unix_socket_path=address.path, **options)
    host, port = address.hosts[0]
    return _in_time(redis.Redis(host=host, port=port, ssl=address.tls, **options))


def _in_time(client: _Client) -> _Client:
    """The same client, of either kind, whose connections bound the look-up of a host's name as they bound the rest."""
    pool: Any = client.connection_pool  # type: ignore[attr-defined]
    pool.connection_class = in_time(pool.connection_class)
    return client


def connect_async(
    url: str,
    *,
    timeout_s: float = IMPATIENT_S,
    connected: Callable[[], None] = lambda: None,
    lane: str = MAIN,
) -> redis.asyncio.Redis:
    """Return the same for the web side's event loop. `connected` is told of each new connection: whoever is at its other end may
    be another server than before."""
    address = _sound(url)
    client = _connect_async(address, timeout_s, lane)
    pool = client.connection_pool
    # redis-py packs in C for its blocking client only; a group of 64 events has 600 arguments.
    pool.connection_class = type(
        "QuickPacking",
        (_QuickPacking, pool.connection_class),
        {"__module__": __name__, "connected": staticmethod(connected)},
    )
    return client


_LARGE_ARG_BYTES = 64 * 1024


class _QuickPacking:
    """Packs a group's arguments in a seventh of the time, and tells of each new connection."""

    connected: Callable[[], None]

    def pack_command(self, *args: Any) -> list[bytes]:
        for arg in args:
            if arg.__class__ is bytes and len(arg) > _LARGE_ARG_BYTES:
                return _packed_in_pieces(args)
        # "CLIENT SETINFO" and such go out as two words.
        return [hiredis.pack_command((*args[0].split(), *args[1:]))]

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        await super().on_connect_check_health(check_health)  # type: ignore[misc]
        self.connected()


def _packed_in_pieces(args: Sequence[Any]) -> list[bytes]:
    """With large arguments as pieces of their own: hiredis puts all into one, at 5 ms a megabyte, in which nothing else happens."""
    pieces: list[bytes] = []
    small = bytearray(b"*%d\r\n" % len(args))
    for arg in args:
        value = arg if isinstance(arg, bytes) else str(arg).encode()
        small += b"$%d\r\n" % len(value)
        if len(value) > _LARGE_ARG_BYTES:
            pieces += (bytes(small), value)
            small.clear()
        else:
            small += value
        small += b"\r\n"
    return [*pieces, bytes(small)]


def _connect_async(address: RedisUrl, timeout_s: float, tag: str) -> redis.asyncio.Redis:
    from redis.asyncio.retry import Retry as AsyncRetry

    retry = AsyncRetry(ConstantBackoff(0.02), 1, supported_errors=(ConnectionError,))
    options = _options(address, timeout_s) | {"retry": retry}
    if address.cluster:
        slot = _slot_master(address, timeout_s, tag, AsyncRetry(NoBackoff(), 0))
        return slot_client_async(slot, tls=address.tls, **options)
    if address.sentinel:
        from redis.asyncio.sentinel import Sentinel

        once = {"retry": AsyncRetry(NoBackoff(), 0)}
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            list(address.hosts), sentinel_kwargs=_sentinel_options(address, timeout_s) | once
        )
        for one in sentinel.sentinels:
            _in_time(one)
        client: redis.asyncio.Redis = sentinel.master_for(address.service, **options)
        return _in_time(client)
    if address.scheme == "unix":
        return redis.asyncio.Redis(unix_socket_path=address.path, **options)
    host, port = address.hosts[0]
    return _in_time(redis.asyncio.Redis(host=host, port=port, ssl=address.tls, **options))


def _options(address: RedisUrl, timeout_s: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "db": address.db,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": min(timeout_s, _CONNECT_S),
        # redis-py's own health check is a PING, which a server with a full disk refuses: reads would fail as well. What
        # died unseen is found by TCP instead.
        "health_check_interval": 0,
        "socket_keepalive": True,
        "socket_keepalive_options": _KEEPALIVE,
    }
    if address.sentinel:
        options["ssl"] = address.tls
    if address.username:
        options["username"] = address.username
    if address.password:
        options["password"] = address.password
    for name, text in address.options:
        if not name.startswith("sentinel_"):
            options[name] = _value(name, text)
    return options


def _slot_master(address: RedisUrl, timeout_s: float, tag: str, retry: Any) -> SlotMaster:
    options = _options(address, timeout_s) | {"retry": retry}
    return SlotMaster(address.hosts, tag, options, tls=address.tls, timeout_s=timeout_s)


def _sentinel_options(address: RedisUrl, timeout_s: float) -> dict[str, Any]:
    # One that hangs must leave time for the next, and for the call itself.
    one_s = min(1.0, timeout_s / (len(address.hosts) + 1))
    # redis-py's own time to connect is longer than a whole call may take.
    options: dict[str, Any] = {"socket_timeout": one_s, "socket_connect_timeout": one_s}
    for name, text in address.options:
        if name.startswith("sentinel_"):
            options[name.removeprefix("sentinel_")] = text
    if address.tls:
        options["ssl"] = True
    return options


def _value(name: str, text: str) -> Any:
    if name in _BOOLEANS:
        if text.lower() not in ("true", "false", "yes", "no", "1", "0"):
            raise SettingsInvalid(f"RELAY_REDIS_URL: {name} should be true or false")
        return text.lower() in ("true", "yes", "1")
    if name in _NUMBERS:
        if not text.isdigit():
            raise SettingsInvalid(f"RELAY_REDIS_URL: {name} should be a number")
        return int(text)
    return text
