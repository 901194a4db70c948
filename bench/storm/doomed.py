"""Clients of Redis whose process dies, or whose Redis gives no answer, at their nth command."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import redis

from relay.outbox.pipe import Asked, Pipe


class Crash(BaseException):
    """kill -9: nothing above may catch it."""


class Doomed(redis.Redis):
    """At the `fuse`th command its process dies; where `hangs` is set, that and the next of so many get no answer instead.
    `after`: Redis has run it."""

    fuse = 0
    after = False
    hangs = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return self.doing(lambda: super(Doomed, self).execute_command(*args, **options))  # type: ignore[no-untyped-call]

    def doing(self, act: Callable[[], Any]) -> Any:
        if self.fuse and threading.current_thread() is threading.main_thread():
            self.fuse -= 1
            if not self.fuse:
                if self.after:
                    act()
                if not self.hangs:
                    raise Crash
                self.hangs -= 1
                self.fuse = min(1, self.hangs)
                raise redis.TimeoutError("no answer in time")
        return act()


class DoomedPipe(Pipe):
    """The same for what is sent without waiting, kept back, and read later."""

    client: Doomed

    def send(self, name: str, args: Sequence[Any], *, corked: bool = False) -> Asked:
        sent: list[Asked] = []
        try:
            self.client.doing(lambda: sent.append(super(DoomedPipe, self).send(name, args, corked=corked)))
        except redis.TimeoutError as error:
            asked = sent[0] if sent else Asked(self, name, args)
            self._break(error)
            asked.told(error)
            return asked
        return sent[0]

    def read_up_to(self, asked: Asked) -> None:
        try:
            self.client.doing(lambda: super(DoomedPipe, self).read_up_to(asked))
        except redis.TimeoutError as error:
            self._break(error)
