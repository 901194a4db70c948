"""A relay of real processes on a cluster, senders that post to it until they see a 202, and what became of each event.

Each sender has conversations of its own, in which messages are written and now and then edited; what stands in the sandbox at the
end says what was lost, is stale, or stands twice.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from bench.redis_cluster import until
from bench.servers import Process, free_port
from relay.lane_name import MAIN
from relay.outbox.cluster_nodes import lane_client
from relay.outbox.connection import connect
from relay.outbox.items import balanced
from relay.outbox.outbox import Outbox
from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running

_SECRET: Final = "cluster-bench"
_CONFIG: Final = """
planhat: {types: [Slack thread], calls_per_minute: 6000, batch: {linger: 100ms}}
companies: [{default: extid-acme}]
"""
_SOURCE: Final = "{adapter: slack, secrets: [cluster-bench], type: Slack thread"
_MESSAGE: Final = re.compile(r"msg-(\d+-\d+)v(\d+)")
_CONVERSATIONS: Final = 10


class Relay:
    """`relay serve`, the workers and a sandbox over `redis_url`. `config`: further lines of the file. `lanes`: several tenants, each with
    a source and a sandbox of its own."""

    def __init__(self, folder: Path, redis_url: str, *, config: str = "", lanes: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.redis_url, self.port = folder, redis_url, free_port()
        self._config, self._named = config, bool(lanes)
        self.sandboxes: dict[str, Sandbox] = {
            lane: create_sandbox(
                types=["Slack thread"], quotas=NO_QUOTAS, token=_token(lane) if lanes else None
            )
            for lane in lanes or (MAIN,)
        }
        self.processes: list[Process] = []
        self.environ: dict[str, str] = {}
        self._stack = ExitStack()

    def begin(self) -> None:
        """Start the sandboxes, and write the config that names them."""
        urls = {name: self._stack.enter_context(running(one)) for name, one in self.sandboxes.items()}
        text = _CONFIG + self._config
        if self._named:
            text += "lanes:\n" + "".join(
                f"  {lane}: {{url: '{url}', token: {_token(lane)}}}\n" for lane, url in urls.items()
            )
        sources = (
            f"{self.source_of(lane)}: {_SOURCE}{f', lane: {lane}' if self._named else ''}}}" for lane in urls
        )
        text += "sources:\n" + "".join(f"  {source}\n" for source in sources)
        (self.folder / "relay.yaml").write_text(text)
        self.environ = self.environ_of(next(iter(urls.values())))

    def source_of(self, lane: str) -> str:
        """The source whose events go there."""
        return f"slack-{lane}" if self._named else "slack"

    def __enter__(self) -> Self:
        self.begin()
        for name, module in (("web", ["relay.cli", "serve"]), ("work", ["workers"])):
            command = [sys.executable, "-m", *module]
            self.processes.append(
                self._stack.enter_context(Process(command, self.folder / f"{name}.log", self.environ))
            )
        until(lambda: self.readyz()[0] == 200, 30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def environ_of(self, planhat_url: str) -> dict[str, str]:
        """What its processes are told."""
        return {
            "RELAY_CONFIG": str(self.folder / "relay.yaml"),
            "RELAY_REDIS_URL": self.redis_url,
            "RELAY_PLANHAT_URL": planhat_url,
            "RELAY_PLANHAT_TOKEN": "sandbox",
            "RELAY_ALLOW_WEAK_SECRETS": "true",
            "RELAY_PORT": str(self.port),
            "RELAY_LOG_LEVEL": "warning",
        }

    def place(self) -> int:
        """The port that a sender posts to now."""
        return self.port

    def readyz(self) -> tuple[int, dict[str, Any]]:
        """Its status and its JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status, orjson.loads(answer.read())
        finally:
            connection.close()

    def outboxes(self) -> list[Outbox]:
        """Of its lanes."""
        home = connect(self.redis_url)
        return [Outbox(lane_client(home, lane), lane=lane) for lane in self.sandboxes]

    def await_settled(self, seconds: float = 60) -> float:
        """Until nothing waits; how long that took."""
        outboxes = self.outboxes()
        return until(lambda: not any(outbox.pending_items() for outbox in outboxes), seconds)

    def stands(self) -> dict[str, dict[str, list[str]]]:
        """lane -> externalId -> the descriptions of the conversations that have it in its Planhat."""
        return {lane: _stands(sandbox) for lane, sandbox in self.sandboxes.items()}

    def books(self) -> tuple[int, bool]:
        """(accepted events, whether the books balance)."""
        rows = [row for outbox in self.outboxes() for row in outbox.ledger().values()]
        return sum(row["accepted"] for row in rows), all(map(balanced, rows))


def _token(lane: str) -> str:
    return f"token-of-{lane}"


def _stands(sandbox: Sandbox) -> dict[str, list[str]]:
    store, found, offset = sandbox.store, defaultdict[str, list[str]](list), 0
    while page := store.list_page({"limit": "2000", "offset": str(offset)}):
        offset += len(page)
        for row in page:
            record = store.get(row["_id"]) or {}
            found[str(record.get("externalId"))].append(str(record.get("description") or ""))
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """`at`: when it came; `status` 0: no answer."""

    at: float
    took: float
    status: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Events by what became of them, and what the senders heard. `away_s`: for how long no 202 came while others did."""

    acknowledged: int
    lost: int
    stale: int
    double: int
    refused: int
    away_s: float
    slowest_s: float
    balanced: bool


@dataclass
class _Sender:
    """One thread's. `texts`: conversation -> message -> the newest version that was acknowledged."""

    number: int
    lane: str
    texts: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    answers: list[Answer] = field(default_factory=list)
    acknowledged: int = 0


class Load:
    """`senders` threads, each as fast as `pause_s` lets it."""

    def __init__(self, relay: Relay, *, senders: int = 4, pause_s: float = 0.01) -> None:
        self._relay, self._pause_s = relay, pause_s
        self._stop = threading.Event()
        #: Set apart from those of an earlier load on the same relay.
        first = int(time.time() * 1000) % 10_000_000 * 10
        lanes = list(relay.sandboxes)
        self._senders = [_Sender(first + n, lanes[n % len(lanes)]) for n in range(senders)]
        self._threads = [
            threading.Thread(target=self._run, args=(sender,), daemon=True) for sender in self._senders
        ]

    def start(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """No new events; each that was begun is sent until it has its 202."""
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "a sender never saw a 202"

    @property
    def acknowledged(self) -> int:
        return sum(sender.acknowledged for sender in self._senders)

    def run_for(self, seconds: float) -> None:
        """Until so many seconds have gone by with answers of 202 at their end."""
        time.sleep(seconds)
        began = self.acknowledged
        until(lambda: self.acknowledged > began + 20, 60)

    def outcome(self) -> Outcome:
        """To be asked once the relay has settled."""
        found: Counter[str] = Counter()
        stands = self._relay.stands()
        for sender in self._senders:
            for thread, wanted in sender.texts.items():
                name = f"{self._relay.source_of(sender.lane)}-{thread}"
                found.update(_compared(stands[sender.lane].get(name, []), wanted))
                # What stands in another tenant's Planhat is nobody's there.
                found["double"] += sum(
                    name in others for lane, others in stands.items() if lane != sender.lane
                )
        answers = sorted(
            (answer for sender in self._senders for answer in sender.answers), key=lambda a: a.at
        )
        return Outcome(
            acknowledged=self.acknowledged,
            lost=found["lost"],
            stale=found["stale"],
            double=found["double"],
            refused=sum(answer.status not in (200, 202) for answer in answers),
            away_s=round(_away_s(answers), 2),
            slowest_s=round(max(answer.took for answer in answers), 2),
            balanced=self._relay.books()[1],
        )

    # -- one sender ------------------------------------------------------------------------------------------

    def _run(self, sender: _Sender) -> None:
        number = 0
        newest: tuple[str, str, str] = ("", "", "")
        while not self._stop.is_set():
            number += 1
            thread = f"C{sender.number}-1772600000.{number % _CONVERSATIONS:06d}"
            if number % 5 == 0:
                thread, message, ts = newest
                version = 2
            else:
                message, ts, version = f"{sender.number}-{number}", f"{1_772_600_001 + number}.000000", 1
                newest = (thread, message, ts)
            body = _body(thread, ts, f"msg-{message}v{version}", number, edit=version > 1)
            while self._post(sender, body) not in (200, 202):
                time.sleep(0.1)
            sender.texts[thread][message] = version
            sender.acknowledged += 1
            time.sleep(self._pause_s)

    def _post(self, sender: _Sender, body: bytes) -> int:
        at = str(int(time.time()))
        digest = hmac.new(_SECRET.encode(), b"v0:%b:%b" % (at.encode(), body), hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": at,
            "X-Slack-Signature": f"v0={digest}",
        }
        began, status = time.monotonic(), 0
        connection = http.client.HTTPConnection("127.0.0.1", self._relay.place(), timeout=20)
        try:
            connection.request("POST", f"/hooks/{self._relay.source_of(sender.lane)}", body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            status = 0
        finally:
            connection.close()
        now = time.monotonic()
        sender.answers.append(Answer(now, now - began, status))
        return status


def _body(thread: str, ts: str, text: str, number: int, *, edit: bool) -> bytes:
    channel, _, root = thread.partition("-")
    said: dict[str, Any] = {"type": "message", "user": "U1", "text": text, "ts": ts, "thread_ts": root}
    at_s = 1_772_600_001 + number
    event: dict[str, Any] = {"channel": channel, "channel_type": "channel", "event_ts": f"{at_s}.500000"}
    if edit:
        before = {**said, "text": "before"}
        said["edited"] = {"user": "U1", "ts": f"{at_s}.500000"}
        event |= {"type": "message", "subtype": "message_changed", "ts": f"{at_s}.500000", "hidden": True}
        event |= {"message": said, "previous_message": before}
    else:
        event |= said
    return orjson.dumps(
        {
            "token": "x",
            "team_id": "T1",
            "api_app_id": "A1",
            "type": "event_callback",
            "event_id": f"Ev{channel}X{number}",
            "event_time": at_s,
            "event": event,
        }
    )


def _compared(stands: list[str], wanted: dict[str, int]) -> Counter[str]:
    """What of one conversation's messages is not as it should be. `stands`: its descriptions in Planhat."""
    found: Counter[str] = Counter(double=max(0, len(stands) - 1))
    versions: dict[str, list[int]] = defaultdict(list)
    for message, version in _MESSAGE.findall(stands[0] if stands else ""):
        versions[message].append(int(version))
    for message, version in wanted.items():
        have = versions[message]
        found["lost"] += not have
        found["double"] += max(0, len(have) - 1)
        found["stale"] += bool(have) and max(have) < version
    return found


def _away_s(answers: list[Answer]) -> float:
    """Seconds between a 202 and the next one, where something else was answered between them."""
    away = last = 0.0
    refused = False
    for answer in answers:
        if answer.status not in (200, 202):
            refused = True
            continue
        if refused and last:
            away += answer.at - last
        last, refused = answer.at, False
    return away
