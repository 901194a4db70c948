"""Breaking it for real: `python -m bench.chaos --seed N --seconds S [--seeds K]`.

`relay serve`, `python -m workers`, an embedded Redis and a sandbox, each a real process or server; senders that post
signed Slack events (new ones, replies, edits, deletions, some twice) and try again until they see a 202. Meanwhile, at
random: kill -9 of web, supervisor and work-horse, SIGTERM of web and workers (rolling restart), kill -9 and restart of
Redis; and a sandbox that commits and hangs, drops, answers 429 and 5xx, and refuses items in every error style.

In the end every event that was accepted must be delivered, pending or dead (and, after the faults are mended, in
Planhat), nothing twice in effect, the ledger balanced, every conversation what its events say. The seed replays the
schedule of faults and events; the exact interleaving is the machine's.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import orjson
import redis

from relay.event import iso_time
from relay.outbox import keys
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.items import STATES
from relay.outbox.outbox import Outbox
from relay.planhat.sandbox import NO_QUOTAS, Fault, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running

ROOT = Path(__file__).resolve().parent.parent
SECRET = "chaos"
CONFIG = """
planhat:
  types: [Slack thread]
  calls_per_minute: 6000
  timeout: 2s
  lease: 4s
  batch: {max_items: 500}
  retry: {first: 200ms, cap: 1s, probe: 500ms, rate_limited: 500ms, max_refusals: 2}
sources:
  slack: {adapter: slack, secrets: [chaos], type: Slack thread}
companies:
  - default: extid-acme
"""
STYLES = ("string", "string_id", "external_id", "index", "nested", "bare")
_MESSAGE = re.compile(r"msg-\d+-\d+")


@dataclass
class Thread:
    """What was said in one thread, as the senders know it: by message, the newest text, or deleted."""

    channel: str
    root: str
    texts: dict[str, tuple[int, str]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def expected(self) -> list[str]:
        return [text for ts, (_, text) in sorted(self.texts.items()) if ts not in self.deleted]


@dataclass
class Tally:
    injected: Counter[str] = field(default_factory=Counter)
    events: int = 0
    duplicates: int = 0
    refused_answers: Counter[str] = field(default_factory=Counter)
    seeds: int = 0
    dead: int = 0
    lost: int = 0
    stale: int = 0
    twice: int = 0


class House:
    """The processes, which outlive a seed."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.folder = folder
        self.redis_server = EmbeddedServer(folder / "redis", appendfsync="always").start()
        (folder / "relay.yaml").write_text(CONFIG)
        self.sandbox: Sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
        self.web: subprocess.Popen[bytes] | None = None
        self.work: subprocess.Popen[bytes] | None = None

    def environ(self, sandbox_url: str) -> dict[str, str]:
        return {
            **os.environ,
            "RELAY_REDIS_URL": self.redis_server.url,
            "RELAY_PLANHAT_URL": sandbox_url,
            "RELAY_PLANHAT_TOKEN": "token",
            "RELAY_ALLOW_WEAK_SECRETS": "true",
            "RELAY_CONFIG": str(self.folder / "relay.yaml"),
            "RELAY_PORT": str(self.port),
            "RELAY_LOG_LEVEL": "error",
        }

    def start(self, what: str, sandbox_url: str) -> None:
        log = open(self.folder / f"{what}.log", "ab")  # noqa: SIM115
        command = [sys.executable, "-m", *(["relay.cli", "serve"] if what == "web" else ["workers"])]
        process = subprocess.Popen(command, env=self.environ(sandbox_url), cwd=ROOT, stderr=log, stdout=log)
        setattr(self, what, process)

    def children(self) -> list[int]:
        if not self.work:
            return []
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.work.pid)], check=False, capture_output=True, text=True
        )
        return [int(pid) for pid in listed.stdout.split()]

    def outbox(self) -> Outbox:
        return Outbox(redis.Redis.from_url(self.redis_server.url, socket_timeout=5))

    def stop(self) -> None:
        for process in (self.web, self.work):
            if process and process.poll() is None:
                process.terminate()
        for process in (self.web, self.work):
            if process:
                try:
                    process.wait(12)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.redis_server.stop()


class Run:
    """One seed."""

    def __init__(self, seed: int, seconds: float, house: House, url: str, tally: Tally) -> None:
        self.seed, self.seconds, self.house, self.url, self.tally = seed, seconds, house, url, tally
        self.chance = Random(seed)
        self.threads: list[Thread] = []
        self.lock = threading.Lock()
        self.number = 0
        self.accepted: set[str] = set()
        self.quiet = False
        self.failed: list[str] = []

    def run(self) -> list[str]:
        self._fresh()
        began = time.monotonic()
        senders = [
            threading.Thread(target=self._send_all, args=(Random(self.seed * 100 + n), began), daemon=True)
            for n in range(3)
        ]
        for sender in senders:
            sender.start()
        while time.monotonic() - began < self.seconds:
            time.sleep(self.chance.uniform(0.1, 0.8))
            self._break_something()
        self.quiet = True
        self.house.sandbox.faults.all.clear()
        self._mend()
        for sender in senders:
            sender.join(60)
            if sender.is_alive():
                self.failed.append("a sender never saw a 202 although everything was mended")
        self._drain()
        self._check()
        self.tally.seeds += 1
        self.tally.events += len(self.accepted)
        return self.failed

    # -- the senders -----------------------------------------------------------------------------------------

    def _send_all(self, chance: Random, began: float) -> None:
        while time.monotonic() - began < self.seconds:
            event_id, body = self._event(chance)
            while True:
                status = self._post(body)
                if status in (200, 202):
                    with self.lock:
                        self.accepted.add(event_id)
                    if chance.random() < 0.1:
                        self.tally.duplicates += 1
                        self._post(body)
                    break
                if status and status not in (429, 503):
                    self.failed.append(f"a genuine event was answered {status}")
                    return
                time.sleep(0.05)
            time.sleep(chance.uniform(0, 0.02))

    def _event(self, chance: Random) -> tuple[str, bytes]:
        with self.lock:
            self.number += 1
            number = self.number
            at_s = 1_772_600_000 + number
            ts = f"{at_s}.{number % 1_000_000:06d}"
            threads = self.threads
            roll = chance.random()
            if not threads or roll < 0.25:
                thread = Thread(f"C{self.seed % 1000}N{chance.randint(1, 5)}", ts)
                threads.append(thread)
            else:
                thread = chance.choice(threads)
            text = f"msg-{self.seed}-{number}"
            event: dict[str, Any] = {
                "type": "message",
                "channel": thread.channel,
                "channel_type": "channel",
                "event_ts": ts,
            }
            live = [old for old in thread.texts if old not in thread.deleted]
            if thread.texts and live and roll > 0.85:
                old = chance.choice(live)
                if roll > 0.93:
                    thread.deleted.add(old)
                    gone = {
                        "type": "message",
                        "user": "U1",
                        "text": thread.texts[old][1],
                        "ts": old,
                        "thread_ts": thread.root,
                    }
                    event |= {
                        "subtype": "message_deleted",
                        "deleted_ts": old,
                        "ts": ts,
                        "hidden": True,
                        "previous_message": gone,
                    }
                else:
                    thread.texts[old] = (number, text)
                    edited = {
                        "type": "message",
                        "user": "U1",
                        "text": text,
                        "ts": old,
                        "thread_ts": thread.root,
                        "edited": {"user": "U1", "ts": ts},
                    }
                    before = {
                        "type": "message",
                        "user": "U1",
                        "text": "before",
                        "ts": old,
                        "thread_ts": thread.root,
                    }
                    event |= {
                        "subtype": "message_changed",
                        "ts": ts,
                        "hidden": True,
                        "message": edited,
                        "previous_message": before,
                    }
            else:
                own = thread.root if not thread.texts else ts
                thread.texts[own] = (number, text)
                event |= {"user": "U1", "text": text, "ts": own}
                if own != thread.root:
                    event["thread_ts"] = thread.root
            event_id = f"Ev{self.seed}X{number}"
        body = {
            "token": "x",
            "team_id": "T1",
            "api_app_id": "A1",
            "type": "event_callback",
            "event_id": event_id,
            "event_time": at_s,
            "event": event,
        }
        return event_id, orjson.dumps(body)

    def _post(self, body: bytes) -> int:
        """The status; 0 where there was no answer."""
        at = str(int(time.time()))
        digest = hmac.new(SECRET.encode(), b"v0:%b:%b" % (at.encode(), body), hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": at,
            "X-Slack-Signature": f"v0={digest}",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.house.port, timeout=5)
        try:
            connection.request("POST", "/hooks/slack", body, headers)
            status = connection.getresponse().status
            self.tally.refused_answers[str(status)] += status not in (200, 202)
            return status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    # -- breaking --------------------------------------------------------------------------------------------

    def _break_something(self) -> None:
        house, chance = self.house, self.chance
        what = chance.choices(
            (
                "fault",
                "kill horse",
                "kill supervisor",
                "kill web",
                "stop workers",
                "stop web",
                "kill redis",
                "restart redis",
            ),
            (10, 3, 2, 2, 1, 1, 1, 1),
        )[0]
        self.tally.injected[what] += 1
        if what == "fault":
            self._fault()
        elif what == "kill horse":
            children = house.children()
            if children:
                _kill(chance.choice(children), signal.SIGKILL)
        elif what in ("kill supervisor", "stop workers") and house.work:
            house.work.send_signal(signal.SIGKILL if what.startswith("kill") else signal.SIGTERM)
            house.work.wait(12)
            house.start("work", self.url)
        elif what in ("kill web", "stop web") and house.web:
            house.web.send_signal(signal.SIGKILL if what.startswith("kill") else signal.SIGTERM)
            house.web.wait(12)
            house.start("web", self.url)
        elif what == "kill redis":
            house.redis_server.kill()
            time.sleep(chance.uniform(0, 1))
            house.redis_server.spawn()
        elif what == "restart redis":
            house.redis_server.stop()
            house.redis_server.start()

    def _fault(self) -> None:
        chance = self.chance
        fault: dict[str, Any] = chance.choice(
            (
                {"commit_then_hang": True, "hang_s": 3, "times": 1},
                {"commit_then_drop": True, "times": chance.randint(1, 3)},
                {"drop": True, "times": chance.randint(1, 3)},
                {"status": 503, "times": chance.randint(1, 4)},
                {"status": 500, "commit": True, "times": 2},
                {"status": 429, "retry_after": 1, "times": 1},
                {"status": 401, "times": 1},
                {"status": 200, "body": "garbled", "commit": True, "times": 1},
                {"status": 502, "body": "html", "times": 2},
                {"refuse": r"\d[0-4]$", "style": chance.choice(STYLES), "times": chance.randint(1, 4)},
                {"latency_ms": chance.randint(50, 800), "times": 5},
            )
        )
        self.tally.injected[
            f"fault: {' '.join(key for key in fault if key not in ('times', 'hang_s', 'body', 'style'))}"
        ] += 1
        self.house.sandbox.faults.all.append(Fault.read({"operation": "upsert", **fault}))

    # -- the end ---------------------------------------------------------------------------------------------

    def _fresh(self) -> None:
        house = self.house
        house.outbox().redis.flushall()
        house.sandbox.reset()
        self._mend()

    def _mend(self) -> None:
        for what in ("web", "work"):
            process = getattr(self.house, what)
            if process is None or process.poll() is not None:
                self.house.start(what, self.url)
        if not self.house.redis_server.alive():
            self.house.redis_server.spawn()

    def _books(self) -> Counter[str]:
        books: Counter[str] = Counter()
        for source, counts in self.house.outbox().ledger().items():
            if counts["accepted"] != sum(counts[state] for state in STATES):
                self.failed.append(f"the books of {source} do not balance: {counts}")
            books.update(counts)
        return books

    def _drain(self) -> None:
        outbox = self.house.outbox()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            dead = outbox.dead.ids(limit=1000)
            self.tally.dead += len(dead)
            for dead_id in dead:
                outbox.dead.redrive(dead_id)
            books = self._books()
            if not books["pending"] and not books["dead"] and books["accepted"] >= len(self.accepted):
                return
            time.sleep(0.1)
        self.failed.append(
            f"not settled within 60 s: {dict(self._books())}, {outbox.redis.hgetall(outbox.prefix + keys.DELIVERY)}"
        )

    def _check(self) -> None:
        books = self._books()
        if books["accepted"] != len(self.accepted):
            self.tally.lost += len(self.accepted) - books["accepted"]
            self.failed.append(
                f"{len(self.accepted)} were answered 202, {books['accepted']} are in the books"
            )
        store = self.house.sandbox.store
        stands: dict[str, list[dict[str, Any]]] = defaultdict(list)
        offset = 0
        while page := store.list_page({"limit": "2000", "offset": str(offset)}):
            offset += len(page)
            for record in page:
                stands[record.get("externalId", "")].append(store.get(record["_id"]) or {})
        for external_id, records in stands.items():
            if len(records) > 1:
                self.tally.twice += 1
                self.failed.append(f"{external_id} stands {len(records)} times in Planhat")
        for thread in self.threads:
            external_id = f"slack-{thread.channel}-{thread.root}"
            expected = thread.expected()
            found = stands.get(external_id)
            if not found:
                if expected:
                    self.tally.lost += 1
                    self.failed.append(f"{external_id} is not in Planhat")
                continue
            if not expected:
                if found[0].get("archived") is not True:
                    self.tally.stale += 1
                    self.failed.append(f"{external_id} should be archived")
            elif _MESSAGE.findall(found[0].get("description") or "") != expected:
                self.tally.stale += 1
                self.failed.append(
                    f"{external_id}: {_MESSAGE.findall(found[0].get('description') or '')}, not {expected}"
                )


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.chaos", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from --seed on")
    parser.add_argument("--seconds", type=float, default=10.0, help="of load and breaking for each seed")
    parser.add_argument("--port", type=int, default=21450)
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    chosen = parser.parse_args(arguments)
    began, tally = time.monotonic(), Tally()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    house = House(folder, chosen.port)
    bad: list[int] = []
    try:
        with running(house.sandbox) as url:
            for seed in range(chosen.seed, chosen.seed + chosen.seeds):
                failed = Run(seed, chosen.seconds, house, url, tally).run()
                for line in failed[:10]:
                    print(f"seed {seed}: {line[:400]}", file=sys.stderr)
                if failed:
                    bad.append(seed)
            house.stop()
    finally:
        house.stop()
        if not chosen.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(
        f"{tally.seeds} seeds, {tally.events} events accepted, {tally.duplicates} sent twice on purpose, {sum(number for what, number in tally.injected.items() if not what.startswith('fault:'))} injections:"
    )
    for what, number in sorted(tally.injected.items()):
        print(f"  {what}: {number}")
    print(
        f"answers to senders other than 202: {dict(+tally.refused_answers)}; dead letters mended: {tally.dead}; lost {tally.lost}, "
        f"stale {tally.stale}, twice in effect {tally.twice}; failed seeds: {bad or 'none'}; {time.monotonic() - began:.0f} s, {iso_time(time.time())}"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
