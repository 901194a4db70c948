"""Large bodies beside the event loop: verified, cleaned, parsed and mapped by a process of their own, each within a time and a
memory that are its limit.

A process and not a thread: one call into C (a JSON parser, a hash, a regular expression) holds the interpreter for as long as
it takes, and a thread that takes too long cannot be ended. The process is started when the first large body comes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from relay.door import messages
from relay.door.large import MEMORY_FACTOR, LargeBody, held_bytes
from relay.door.mapping import KeptBody, parked_entry
from relay.door.messages import HungUp, Message
from relay.errors import PayloadInvalid, TooMuchAtOnce
from relay.lane_name import MAIN
from relay.outbox.archive import kept_headers
from relay.outbox.items import Entry
from relay.outbox.vault import Vault
from relay.sources.base import Inbound, Parked, Reply, content_key
from relay.sources.large_json import TooDense
from relay.telemetry import log

#: So many wait for a process at most; whoever comes then is to come again later.
MAX_WAITING = 8
#: Starting a process and giving it the config is no request's time.
START_S = 20.0
#: A process without work for so long is ended: it holds as much memory as the web process itself.
IDLE_S = 300.0
#: What nobody can work out beforehand is looked at so often, with so much to spare: a limit of the system's would count what a
#: parser reserves and never touches.
MEMORY_REST_BYTES = 16 * 1024 * 1024
LOOK_S = 0.01
#: What a dead letter of a mail says that could not be read within its limits.
BEYOND_LIMITS = "reading it took more time or memory than one request may take"
#: The same where it was known before.
TOO_DENSE = "it holds more values than can be read in four times its source's max_body_bytes: give the source a larger one"


@dataclass(frozen=True, slots=True)
class MappedBeside:
    """What became of a large request. `inbound` is what was proven, clean and without its body, which `body` holds."""

    inbound: Inbound
    entries: list[Entry]
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Today:
    """What a process is told anew when it changes: the config's text, by number."""

    number: int
    text: str


@dataclass(slots=True)
class Heard:
    """How far a request has come: `clean` is what may be kept of it, without its body."""

    authentic: bool = False
    clean: Inbound | None = None


class Beside:
    """`path` and `environ` are what the config is read with, `facts()` gives what changes from moment to moment: the keys
    that seal, the key of redacted values, the kill switch's rows."""

    def __init__(
        self,
        path: str,
        environ: Mapping[str, str],
        text: str,
        *,
        facts: Callable[[], dict[str, Any]],
        vault: Vault,
        processes: int = 1,
        limit_s: float = 10.0,
    ) -> None:
        self._path, self._environ = path, dict(environ)
        self._today = Today(0, text)
        self._facts = facts
        self._vault = vault
        self._limit_s = limit_s
        self._idle = [_Process() for _ in range(processes)]
        self._all = tuple(self._idle)
        self._free = asyncio.Semaphore(processes)
        self._waiting = 0
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="beside")

    def tell(self, text: str) -> None:
        """Take over a changed config."""
        self._today = Today(self._today.number + 1, text)

    async def read(
        self, source: str, head: Inbound, body: LargeBody, *, now_s: float, lane: str, most_bytes: int
    ) -> MappedBeside | Reply:
        """Return the request proven, cleaned and mapped; `body` then holds the clean one. `lane`: the source's; `most_bytes`: what it
        takes at most. Raises SourceError, TryLater."""
        what = {"source": source, "now": now_s, "lane": lane, "most_bytes": most_bytes}
        return await self._read(what, head, body)

    async def read_again(
        self,
        source: str,
        proven: Inbound,
        body: LargeBody,
        *,
        now_s: float,
        most_bytes: int,
        threads: Mapping[str, str],
    ) -> Sequence[Entry]:
        """Return a request that was proven and cleaned before, mapped for other threads: event id -> thread. Raises TryLater."""
        what = {"source": source, "now": now_s, "most_bytes": most_bytes, "threads": dict(threads)}
        outcome = await self._read(what, proven, body)
        assert isinstance(outcome, MappedBeside)
        return outcome.entries

    async def _read(self, what: dict[str, Any], head: Inbound, body: LargeBody) -> MappedBeside | Reply:
        if self._waiting >= MAX_WAITING:
            raise TooMuchAtOnce("too many large bodies wait to be read")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limit_s):
                await self._free.acquire()
        except TimeoutError as error:
            raise TooMuchAtOnce("too many large bodies wait to be read") from error
        finally:
            self._waiting -= 1
        process = self._idle.pop()
        loop = asyncio.get_running_loop()
        try:
            facts = {"is": "job", **what, **messages.inbound_facts(head), **self._facts()}
            asked = self._threads.submit(self._ask, process, facts, body, what)
        except BaseException:
            self._give_back(process)
            raise
        # Whoever waits may be gone by then; the process is free only when its thread is done.
        asked.add_done_callback(lambda _: _soon(loop, self._give_back, process))
        return await asyncio.wrap_future(asked)

    def _give_back(self, process: _Process) -> None:
        self._idle.append(process)
        self._free.release()

    def processes(self) -> list[subprocess.Popen[bytes] | None]:
        """Return those that run now."""
        return [process.process for process in self._all]

    def rest(self) -> None:
        """Ends processes that had nothing to do for long. To be called now and then."""
        for process in tuple(self._idle):
            if process.alive and time.monotonic() - process.used_at > IDLE_S:
                process.end()

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        for process in self._all:
            process.end()

    # -- in a thread ----------------------------------------------------------------------------------------------

    def _ask(
        self, process: _Process, facts: dict[str, Any], body: LargeBody, what: Mapping[str, Any]
    ) -> MappedBeside | Reply:
        for again in (True, False):
            heard = Heard()
            try:
                return self._asked(process, facts, body, heard)
            except (HungUp, TimeoutError, MemoryError, OSError) as error:
                if not isinstance(error, TooDense):
                    process.kill()
                why = TOO_DENSE if isinstance(error, TooDense) else BEYOND_LIMITS
                kind = type(error).__name__
                log(
                    "body.beyond_limits",
                    level=logging.ERROR,
                    source=what["source"],
                    bytes=body.size,
                    why=kind,
                )
                if heard.clean is not None:
                    return MappedBeside(heard.clean, [self._parked(heard.clean, body, what, why)], ())
                if heard.authentic:
                    # Nothing may be kept of what could not be redacted.
                    raise PayloadInvalid(why) from error
                if isinstance(error, (TimeoutError, MemoryError)) or not again:
                    raise TooMuchAtOnce("the proof could not be checked within its limits") from error
                # It may have died of something else, before it had even read this.
        raise AssertionError("two tries end above")

    def _asked(
        self, process: _Process, facts: dict[str, Any], body: LargeBody, heard: Heard
    ) -> MappedBeside | Reply:
        """What the process says; `heard` is filled on the way. Raises HungUp, TimeoutError, MemoryError, OSError."""
        process.be_ready(self._path, self._environ, self._today)
        ends = time.monotonic() + self._limit_s
        # The file itself is counted with nobody.
        most_bytes = MEMORY_FACTOR * max(body.size, facts["most_bytes"]) - body.size + MEMORY_REST_BYTES
        most_bytes += process.held_bytes()
        process.send(Message({**facts, "limit": self._limit_s}, files=[body.fd]))
        while True:
            answer = process.receive(ends, most_bytes)
            what = answer.facts["is"]
            if what == "authentic":
                heard.authentic = True
            elif what == "clean":
                heard.clean = messages.inbound_of(answer.facts, b"")
                if answer.files:
                    body.become(answer.files[0])
            elif what == "beyond":
                raise TooDense
            elif what == "reply":
                return messages.reply_from(answer)
            elif what == "error":
                raise messages.error_of(answer)
            elif what == "failed":
                raise RuntimeError(f"a large body could not be read: {answer.facts['trace']}")
            else:
                assert heard.clean is not None
                return MappedBeside(heard.clean, messages.entries_of(answer), tuple(answer.facts["skipped"]))

    def _parked(self, proven: Inbound, body: LargeBody, what: Mapping[str, Any], why: str) -> Entry:
        """A dead letter with the whole request: it is genuine, and a person may look."""
        key, source = content_key(body.read()), what["source"]
        base = {
            "source": source,
            "received_ms": int(what["now"] * 1000),
            "method": proven.method,
            "target": proven.path_query,
            "headers": kept_headers(proven.headers),
        }
        parked = Parked(why, key)
        entry = parked_entry(base, source, parked, -1, KeptBody(b""), what.get("lane") or MAIN)
        return self._vault.seal_entry(entry, body.pieces())


class _Process:
    """One process beside this one, or none yet. For one thread at a time."""

    def __init__(self) -> None:
        self._line: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self._told = -1
        self.used_at = 0.0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def be_ready(self, path: str, environ: Mapping[str, str], today: Today) -> None:
        """Raises OSError, HungUp."""
        self.used_at = time.monotonic()
        if not self.alive:
            self.end()
            self._start()
            self.send(Message({"is": "start", "path": path, "environ": dict(environ)}))
        if self._told != today.number:
            self.send(Message({"is": "config", "text": today.text}))
            answer = self.receive(time.monotonic() + START_S)
            if answer.facts["is"] != "ready":
                raise HungUp
            self._told = today.number

    def send(self, message: Message) -> None:
        assert self._line is not None
        self._line.settimeout(START_S)
        messages.send_message(self._line, message)

    def held_bytes(self) -> int:
        return held_bytes(self.process.pid) if self.process is not None else 0

    def receive(self, ends: float, most_bytes: int = 0) -> Message:
        """Raises HungUp, TimeoutError, and MemoryError where the process holds more than `most_bytes` meanwhile."""
        assert self._line is not None
        poll = select.poll()
        poll.register(self._line, select.POLLIN)
        while not poll.poll(LOOK_S * 1000):
            if time.monotonic() >= ends:
                raise TimeoutError
            if most_bytes and self.held_bytes() > most_bytes:
                raise MemoryError
        self._line.settimeout(max(0.001, ends - time.monotonic()))
        self.used_at = time.monotonic()
        return messages.receive(self._line)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "relay.door.beside_process", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._line = ours
        self._told = -1

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        self.end()

    def end(self) -> None:
        """Hangs up: a process whose other end is gone ends."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self.process is not None:
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[_Process], None], process: _Process) -> None:
    with suppress(RuntimeError):  # the loop has been closed
        loop.call_soon_threadsafe(call, process)
