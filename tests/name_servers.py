"""A name server that says of every name that it is this machine, until it takes questions and answers none; for the processes that are
started behind it."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

#: One of this machine's own addresses that nobody else listens on.
_PLACE: Final = "127.0.53.53"
#: As a cluster's pods have it: each name is tried with all of these behind it, ten seconds each where nobody answers.
_SETTINGS: Final = f"nameserver {_PLACE}\nsearch a.example b.example c.example\noptions ndots:5\n"
_IPV4: Final = b"\x00\x01\x00\x01"
_HEAD_BYTES: Final = 12


class NameServer:
    """`before` is what to put before a command so that it asks this server; nothing else changes for it. `mute`: questions are swallowed."""

    def __init__(self, asked: socket.socket, settings: Path) -> None:
        self._asked = asked
        self._over = threading.Event()
        self.mute = False
        self.swallowed = 0
        mount = f'mount --bind "{settings}" /etc/resolv.conf && exec "$@"'
        self.before = ("unshare", "--mount", "sh", "-c", mount, "sh")

    def serve(self) -> None:
        self._asked.settimeout(0.2)
        while not self._over.is_set():
            try:
                question, place = self._asked.recvfrom(4096)
            except TimeoutError:
                continue
            if self.mute:
                self.swallowed += 1
            else:
                self._asked.sendto(_answer(question), place)

    def stop(self) -> None:
        self._over.set()


def _answer(question: bytes) -> bytes:
    """127.0.0.1 for who asks for an IPv4 address; of another kind there is none. Source: RFC 1035, 4.1."""
    end = question.index(b"\0", _HEAD_BYTES) + 5
    found = question[end - 4 : end] == _IPV4
    head = question[:2] + b"\x81\x80\x00\x01" + bytes([0, int(found)]) + bytes(4)
    row = b"\xc0\x0c" + _IPV4 + bytes(4) + b"\x00\x04" + socket.inet_aton("127.0.0.1")
    return head + question[_HEAD_BYTES:end] + (row if found else b"")


@contextmanager
def name_server(folder: Path) -> Iterator[NameServer]:
    """Skips the test where a process cannot be given a name server of its own."""
    settings = folder / "resolv.conf"
    settings.write_text(_SETTINGS)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.bind((_PLACE, 53))
        except OSError:
            pytest.skip("port 53 cannot be taken here")
        server = NameServer(asked, settings)
        try:
            tried = subprocess.run([*server.before, "true"], capture_output=True, check=False, timeout=20)
        except FileNotFoundError:
            tried = None
        if tried is None or tried.returncode:
            pytest.skip("a process cannot be given a name server of its own here")
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            thread.join()
