"""Senders: they post signed events and try again until they see a 202."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import threading
import time
from collections.abc import Callable
from random import Random

from bench.chaos.said import Event, Said
from bench.chaos.tally import Tally

SECRET = "chaos"
#: A sender that is answered nothing waits so long, then tries again.
PATIENCE_S = 5.0


def post(port: int, body: bytes) -> int:
    """The status; 0 where there was no answer."""
    at = str(int(time.time()))
    digest = hmac.new(SECRET.encode(), b"v0:%b:%b" % (at.encode(), body), hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": f"v0={digest}",
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("POST", "/hooks/slack", body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


class Senders:
    """Three of them. `during()` is what is done to the relay at this moment, for the tally."""

    def __init__(
        self, seed: int, port: int, said: Said, tally: Tally, failed: list[str], during: Callable[[], str]
    ) -> None:
        self._port, self._said, self._tally, self._failed, self._during = port, said, tally, failed, during
        self.over = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_all, args=(Random(seed * 100 + n),), daemon=True)
            for n in range(3)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def take_over(self, event: Event, body: bytes) -> None:
        """Goes on with an event that was refused somebody else."""
        self._threads.append(threading.Thread(target=self.insist, args=(event, body), daemon=True))
        self._threads[-1].start()

    def stop(self) -> None:
        """No new events; those that were not accepted yet are."""
        self.over.set()
        for thread in self._threads:
            thread.join(60)
            if thread.is_alive():
                self._failed.append("a sender never saw a 202 although everything was mended")

    def _send_all(self, chance: Random) -> None:
        while not self.over.is_set():
            event, body = self._said.next(chance)
            if not self.insist(event, body):
                return
            if chance.random() < 0.1:
                self._tally.duplicates += 1
                post(self._port, body)
            time.sleep(chance.uniform(0, 0.02))

    def insist(self, event: Event, body: bytes) -> bool:
        """Posts until it is accepted; False for an answer that no genuine event may get."""
        while True:
            during, began = self._during(), time.monotonic()
            status = post(self._port, body)
            if status:
                self._tally.posted(during, status, time.monotonic() - began)
            if status in (200, 202):
                self._said.answered(event)
                return True
            if status and status not in (429, 503):
                self._failed.append(f"a genuine event was answered {status}")
                return False
            time.sleep(0.05)
