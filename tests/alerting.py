"""What alerts are sent to, as real servers: a mail server and a receiver of posts."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass
class Posts:
    """A receiver of posts. `status` is what it answers; while `holding` is not set it does not answer at all."""

    url: str = ""
    status: int = 200
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)
    go_on: threading.Event = field(default_factory=threading.Event)

    def wait(self, number: int, timeout_s: float = 20.0) -> bool:
        """Whether so many have come within the time."""
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.bodies) >= number, timeout_s)

    @property
    def json(self) -> list[Any]:
        return [orjson.loads(body) for body in self.bodies]


@contextmanager
def receiving_posts() -> Iterator[Posts]:
    posts = Posts()
    posts.go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            with posts.arrived:
                posts.bodies.append(body)
                posts.headers.append({name.lower(): value for name, value in self.headers.items()})
                posts.arrived.notify_all()
            posts.go_on.wait(30)
            try:
                self.send_response(posts.status)
                self.send_header("Location", f"{posts.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                return

        def log_message(self, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        posts.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield posts
        finally:
            posts.go_on.set()
            server.shutdown()


@dataclass
class Mails:
    """A mail server: `mails` as (sender, recipients, the mail). `refuses`: an address that it takes no mail for; `silent`: it says a byte now and then."""

    port: int = 0
    refuses: str = ""
    silent: bool = False
    logins: list[str] = field(default_factory=list)
    mails: list[tuple[str, list[str], Message]] = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)


@contextmanager
def receiving_mails() -> Iterator[Mails]:
    mails = Mails()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                self._talk()
            except OSError:
                return

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def _talk(self) -> None:
            while mails.silent and not mails.end.wait(0.1):
                self.wfile.write(b"2")
            self._say("220 test ESMTP")
            sender, recipients = "", list[str]()
            for raw in self.rfile:
                line = raw.decode().strip()
                verb = line[:4].upper()
                if verb == "EHLO":
                    self.wfile.write(b"250-test\r\n250 AUTH PLAIN\r\n")
                elif verb == "AUTH":
                    mails.logins.append(line)
                    self._say("235 yes")
                elif verb == "MAIL":
                    sender = line.partition("<")[2].partition(">")[0]
                    self._say("250 ok")
                elif verb == "RCPT":
                    to = line.partition("<")[2].partition(">")[0]
                    if to == mails.refuses:
                        self._say("550 nobody here")
                    else:
                        recipients.append(to)
                        self._say("250 ok")
                elif verb == "DATA":
                    self._say("354 go on")
                    lines: list[bytes] = []
                    while (text := self.rfile.readline()) not in (b".\r\n", b""):
                        lines.append(text)
                    mails.mails.append(
                        (sender, recipients, message_from_bytes(b"".join(lines), policy=default))
                    )
                    self._say("250 taken")
                elif verb == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        mails.port = int(server.server_address[1])
        try:
            yield mails
        finally:
            mails.end.set()
            server.shutdown()
