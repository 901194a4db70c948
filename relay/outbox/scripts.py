"""The Lua scripts by name, run by SHA, loaded again where Redis has forgotten them (restart, failover, SCRIPT FLUSH)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

import redis
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError

from relay.errors import OutboxUnavailable
from relay.outbox.reasons import perhaps_done, unavailable_reason

_INCLUDE = re.compile(r"(?m)^-- include (\w+)$")


@cache
def script_text(name: str) -> tuple[str, str]:
    """Return (SHA1, text) of `name`.lua, with what it includes: a line `-- include other` stands for `other`.lua."""
    folder = files("relay.outbox")
    text = folder.joinpath(f"{name}.lua").read_text(encoding="utf-8")
    text = _INCLUDE.sub(lambda found: folder.joinpath(f"{found[1]}.lua").read_text(encoding="utf-8"), text)
    return sha1(text.encode(), usedforsecurity=False).hexdigest(), text


@contextmanager
def reaching_redis() -> Iterator[None]:
    """Turns every Redis failure into OutboxUnavailable. Its message names the kind of failure, never a command's
    arguments: those are payloads."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise OutboxUnavailable(
            f"Redis: {unavailable_reason(error)}", perhaps_done=perhaps_done(error)
        ) from error


@contextmanager
def unless_full() -> Iterator[None]:
    """Do as `reaching_redis` does, for what can be done without: while Redis's memory is full it is left undone."""
    try:
        with reaching_redis():
            yield
    except OutboxUnavailable as error:
        if not isinstance(error.__cause__, OutOfMemoryError):
            raise


def run_script(client: redis.Redis, name: str, prefix: str, args: Sequence[Any]) -> Any:
    """Run one script, all of it or nothing. Raises OutboxUnavailable."""
    sha, text = script_text(name)
    with reaching_redis():
        try:
            return client.execute_command("EVALSHA", sha, 1, prefix, *args)  # type: ignore[no-untyped-call]
        except NoScriptError:
            return client.execute_command("EVAL", text, 1, prefix, *args)  # type: ignore[no-untyped-call]


def run_script_many(client: redis.Redis, name: str, prefix: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
    """Run one script for each of `calls`, sent together; each is all of it or nothing. It must be idempotent: where the answers
    got lost on the way, all are sent again. Raises OutboxUnavailable."""
    for last in (False, False, True):
        try:
            return _run_many(client, name, prefix, calls)
        except OutboxUnavailable as error:
            if last or not error.perhaps_done:
                raise
            time.sleep(0.2)
    return []


def _run_many(client: redis.Redis, name: str, prefix: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
    sha, text = script_text(name)
    with reaching_redis():
        pipe = client.pipeline(transaction=False)
        pipe.script_load(text)
        for args in calls:
            pipe.execute_command("EVALSHA", sha, 1, prefix, *args)  # type: ignore[no-untyped-call]
        return list(pipe.execute()[1:])


def run_commands(client: redis.Redis, prefix: str, *commands: Sequence[Any]) -> list[Any]:
    """Make small writes beside the events, all in one step, also while memory is full: (command, key behind the prefix,
    argument...) each; their answers. Raises OutboxUnavailable."""
    args: list[Any] = []
    for command, key, *arguments in commands:
        args += (command, key, len(arguments), *arguments)
    answers: list[Any] = run_script(client, "commands", prefix, args)
    return answers
