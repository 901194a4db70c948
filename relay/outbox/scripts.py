"""The Lua scripts by name, run by SHA, loaded again where Redis has forgotten them (restart, failover, SCRIPT FLUSH)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

import redis
from redis.exceptions import NoScriptError, RedisError

from relay.errors import OutboxUnavailable


@cache
def script_text(name: str) -> tuple[str, str]:
    """(SHA1, text) of `name`.lua."""
    text = files("relay.outbox").joinpath(f"{name}.lua").read_text(encoding="utf-8")
    return sha1(text.encode(), usedforsecurity=False).hexdigest(), text


@contextmanager
def reaching_redis() -> Iterator[None]:
    """Turns every Redis failure into OutboxUnavailable. Its message names the kind of failure, never a command's
    arguments: those are payloads."""
    try:
        yield
    except RedisError as error:
        raise OutboxUnavailable(f"Redis: {unavailable_reason(error)}") from error
    except (OSError, TimeoutError) as error:
        raise OutboxUnavailable(f"Redis: {type(error).__name__}") from error


def unavailable_reason(error: BaseException) -> str:
    """`full`, `read-only`, `loading`, ... or the exception's name."""
    text = str(error)
    for mark, reason in (
        ("OOM", "full"),
        ("READONLY", "read-only"),
        ("LOADING", "loading"),
        ("MISCONF", "cannot persist"),
        ("MASTERDOWN", "failing over"),
        ("NOREPLICAS", "too few replicas"),
        ("NOAUTH", "password missing"),
        ("WRONGPASS", "wrong password"),
    ):
        if mark in text:
            return reason
    return type(error).__name__


def run(client: redis.Redis, name: str, prefix: str, args: Sequence[Any]) -> Any:
    """One script, all of it or nothing. Raises OutboxUnavailable."""
    sha, text = script_text(name)
    with reaching_redis():
        try:
            return client.execute_command("EVALSHA", sha, 1, prefix, *args)  # type: ignore[no-untyped-call]
        except NoScriptError:
            return client.execute_command("EVAL", text, 1, prefix, *args)  # type: ignore[no-untyped-call]


Clock = Callable[[], int]
