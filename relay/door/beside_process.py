"""`python -m relay.door.beside_process FD`: reads large bodies for a web process (see `beside.py`), one at a time. It ends when
the web process hangs up, and is ended by the system when a request takes more time or memory than it may."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from relay.door import messages
from relay.door.house import House, furnish
from relay.door.killswitch import KillSwitch
from relay.door.large import LargeBody, held_bytes
from relay.door.mapping import Mapper, clean, prove
from relay.door.messages import HungUp, Message
from relay.door.redaction import Redactor, build_redactor
from relay.errors import RelayError
from relay.memory import tune_malloc
from relay.outbox.vault import Vault
from relay.rules.file.load import load
from relay.sources.base import Reply

#: After such a body the process ends itself rather than keep what the C library does not give back.
TOO_FAT_BYTES = 64 * 1024 * 1024


class _Reader:
    """Today's config, ready, and what changes from moment to moment."""

    def __init__(self, path: str, environ: Mapping[str, str]) -> None:
        self._path, self._environ = path, environ
        self._house: House | None = None
        self._redact: Redactor | None = None
        self._killswitch = KillSwitch()
        self._veil_key = b""
        self._vault_keys = ""
        self._vault = Vault(lambda: self._vault_keys)

    def take(self, text: str) -> None:
        """The config as the web process has it."""
        config, book = load(self._path, self._environ, text=text)
        self._house = furnish(config, book)
        self._redact = build_redactor(config.redact, key=lambda: self._veil_key)

    def read(self, line: socket.socket, facts: dict[str, Any], body: LargeBody) -> None:
        """Says what became of the request: `error` or `reply`, or `authentic`, `clean`, `mapped`, one after the other."""
        assert self._house is not None
        self._veil_key = bytes.fromhex(facts["veil_key"])
        self._vault_keys = facts["vault_keys"]
        self._killswitch.update(facts["drops"])
        source, now_s = self._house.sources[facts["source"]], facts["now"]
        try:
            given, threads = messages.inbound_of(facts, body.read()), facts.get("threads")
            # What is mapped once more was proven and cleaned the first time.
            proven = given if threads is not None else prove(source, given, now_s=now_s)
            if isinstance(proven, Reply):
                messages.send_message(line, messages.reply_message(proven))
                return
            if threads is None:
                messages.send_message(line, Message({"is": "authentic"}))
            inbound = clean(source, proven, self._redact) if threads is None else given
            told = Message({"is": "clean", **messages.inbound_facts(inbound)})
            if inbound.body is proven.body or inbound.body == proven.body:
                messages.send_message(line, told)
            else:
                with LargeBody() as cleaned:
                    cleaned.append(inbound.body)
                    told.files = [cleaned.fd]
                    messages.send_message(line, told)
            del given, proven
            filters = self._killswitch if self._killswitch.armed else None
            mapper = Mapper(self._house, self._redact, filters)
            mapped = mapper.map(source, inbound, now_s=now_s, pack_body=False, threads=threads or {})
        except RelayError as error:
            answer = messages.error_message(error)
            if answer is None:
                raise
            messages.send_message(line, answer)
            return
        kept = mapped.kept
        del inbound
        first = {entry.lane: number for number, entry in reversed(list(enumerate(mapped.entries)))}
        sealed = [
            self._vault.seal_entry(entry, kept if first[entry.lane] == number else b"")
            for number, entry in enumerate(mapped.entries)
        ]
        messages.send_message(line, messages.entries_message(sealed, mapped.skipped, "mapped"))


def _serve(line: socket.socket) -> None:
    """Until the web process hangs up."""
    start = messages.receive(line).facts
    reader = _Reader(start["path"], start["environ"])
    lean = 0
    while True:
        message = messages.receive(line)
        if message.facts["is"] == "config":
            reader.take(message.facts["text"])
            lean = held_bytes(os.getpid())
            messages.send_message(line, Message({"is": "ready"}))
            continue
        # Whatever holds it, the system ends this process when its time is over.
        signal.setitimer(signal.ITIMER_REAL, message.facts["limit"] + 1)
        with LargeBody(message.files[0]) as body:
            try:
                reader.read(line, message.facts, body)
            except (OSError, HungUp):
                raise
            except MemoryError:
                # Whatever could still be said would need memory too.
                os._exit(1)
            except Exception:
                messages.send_message(
                    line, Message({"is": "failed", "trace": traceback.format_exc(limit=-6)})
                )
        signal.setitimer(signal.ITIMER_REAL, 0)
        # A ring of objects would keep the body's texts until the next one is there as well.
        gc.collect()
        if held_bytes(os.getpid()) > lean + TOO_FAT_BYTES:
            return


def main() -> None:
    # Ctrl-C at a terminal is for the web process, which hangs up when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("relay").setLevel(logging.ERROR)
    # Who answers goes before who reads.
    os.nice(5)
    # What a large body took is given back when it is done, and not kept in pieces that the next one does not fit into.
    tune_malloc(keep_bytes=4 * 1024 * 1024, block_bytes=256 * 1024)
    line = socket.socket(fileno=int(sys.argv[1]))
    try:
        _serve(line)
    except (HungUp, ConnectionError, BrokenPipeError):
        return


if __name__ == "__main__":
    main()
