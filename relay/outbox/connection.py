"""Redis from a URL: `redis://`, `rediss://`, `unix://`, and `redis+sentinel://[user:password@]h1:p1,h2:p2/service[/db]`."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import hiredis
import redis
import redis.asyncio
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from relay.errors import SettingsInvalid

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")


def _options(*, timeout_s: float, patient: bool) -> dict[str, Any]:
    retries = 90 if patient else 1
    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": min(timeout_s, 5.0),
        "retry": Retry(ExponentialBackoff(cap=1.0, base=0.05), retries),
        "health_check_interval": 30,
    }


def connect(url: str, *, timeout_s: float = 5.0, patient: bool = False) -> redis.Redis:
    """A client that answers bytes. `patient`: retries for about 90 s, for workers, which must outlive a Redis that
    blinks; without it one quick retry, so that a person or a sender is told soon."""
    options = _options(timeout_s=timeout_s, patient=patient)
    scheme = _scheme(url)
    if scheme.endswith("+sentinel"):
        hosts, service, extra = _sentinel(url)
        from redis.sentinel import Sentinel

        sentinel = Sentinel(hosts, sentinel_kwargs={"socket_timeout": 1.0, **extra.pop("sentinel", {})})  # type: ignore[no-untyped-call]
        client: redis.Redis = sentinel.master_for(service, **options, **extra)  # type: ignore[no-untyped-call]
        return client
    try:
        return redis.Redis.from_url(url, **options)
    except ValueError as error:
        raise SettingsInvalid(f"RELAY_REDIS_URL: {error}") from error


def connect_async(url: str, *, timeout_s: float = 5.0) -> redis.asyncio.Redis:
    """The same for the web side's event loop."""
    client = _connect_async(url, timeout_s=timeout_s)
    pool = client.connection_pool
    # redis-py packs in C for its blocking client only; a group of 64 events has 600 arguments.
    pool.connection_class = type(
        "QuickPacking", (_QuickPacking, pool.connection_class), {"__module__": __name__}
    )
    return client


class _QuickPacking:
    """Packs a group's arguments in a seventh of the time."""

    def pack_command(self, *args: Any) -> list[bytes]:
        # "CLIENT SETINFO" and such go out as two words.
        return [hiredis.pack_command((*args[0].split(), *args[1:]))]


def _connect_async(url: str, *, timeout_s: float) -> redis.asyncio.Redis:
    from redis.asyncio.retry import Retry as AsyncRetry

    options = _options(timeout_s=timeout_s, patient=False)
    options["retry"] = AsyncRetry(ExponentialBackoff(cap=0.2, base=0.02), 1)
    scheme = _scheme(url)
    if scheme.endswith("+sentinel"):
        hosts, service, extra = _sentinel(url)
        from redis.asyncio.sentinel import Sentinel

        sentinel = Sentinel(hosts, sentinel_kwargs={"socket_timeout": 1.0, **extra.pop("sentinel", {})})  # type: ignore[no-untyped-call]
        client: redis.asyncio.Redis = sentinel.master_for(service, **options, **extra)
        return client
    return redis.asyncio.Redis.from_url(url, **options)


def _scheme(url: str) -> str:
    scheme = url.partition("://")[0]
    if scheme not in _SCHEMES:
        raise SettingsInvalid(
            f"RELAY_REDIS_URL should begin with one of {', '.join(s + '://' for s in _SCHEMES)}"
        )
    return scheme


def _sentinel(url: str) -> tuple[list[tuple[str, int]], str, dict[str, Any]]:
    parts = urlsplit(url)
    login, _, places = parts.netloc.rpartition("@")
    path = [piece for piece in parts.path.split("/") if piece]
    if not places or not path:
        raise SettingsInvalid("RELAY_REDIS_URL: wanted redis+sentinel://host:26379,host2:26379/service/0")
    hosts = []
    for place in places.split(","):
        host, _, port = place.rpartition(":") if ":" in place else (place, "", "26379")
        hosts.append((host, int(port)))
    extra: dict[str, Any] = {"db": int(path[1]) if len(path) > 1 else 0}
    if login:
        user, _, password = login.partition(":")
        extra["password"] = unquote(password)
        if user:
            extra["username"] = unquote(user)
    query = dict(parse_qsl(parts.query))
    sentinel = {}
    if query.get("sentinel_password"):
        sentinel["password"] = query["sentinel_password"]
    if parts.scheme.startswith("rediss"):
        extra["ssl"] = True
        sentinel["ssl"] = True  # type: ignore[assignment]
    if sentinel:
        extra["sentinel"] = sentinel
    return hosts, path[0], extra
