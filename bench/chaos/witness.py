"""What the relay says, held against the truth at each step."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from bench.chaos.house import TOKEN, House
from bench.chaos.said import Said
from bench.chaos.senders import Senders, post
from bench.chaos.tally import SLACK_S, Tally
from relay.errors import OutboxUnavailable
from relay.event import event_id
from relay.outbox import keys
from relay.outbox.items import STATES
from relay.planhat.sandbox import Sandbox

#: Whatever is wrong: a probe, a person, a program are answered within this.
ANSWER_S: Final = 3.0
#: And what was done to Redis is said within this.
NOTICED_S: Final = 5.0
#: When all is well again the relay says so within this.
WELL_S: Final = 30.0
#: And a new event is delivered within this: right after an outage of Planhat delivery is slow on purpose, for a minute.
MOVES_S: Final = 75.0
_SAMPLED: Final = 60


class Witness:
    def __init__(
        self, house: House, sandbox: Sandbox, said: Said, tally: Tally, failed: list[str], chance: Random
    ) -> None:
        self.house, self.sandbox, self.said, self.tally, self.failed = house, sandbox, said, tally, failed
        self._chance = chance
        self.senders: Senders | None = None

    def hold(self, statement: str, true: bool, told: str) -> None:
        """One statement, and whether it was true."""
        with self.tally.lock:
            self.tally.statements[statement] += 1
            self.tally.untrue += not true
        if not true:
            self.failed.append(f"untrue: {statement}: {told}")

    # -- asking ----------------------------------------------------------------------------------------------

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any, float]:
        """(status or 0, the answer, seconds)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.house.port, timeout=10)
        began = time.monotonic()
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            sent = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, sent, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, None, time.monotonic() - began
        finally:
            connection.close()
        took_s = time.monotonic() - began
        return answer.status, json.loads(text) if text.startswith("{") else text, took_s

    def ready(self) -> bool | None:
        """What `/readyz` says; None: there is nobody to say it."""
        status, _, _ = self.ask("/readyz")
        return status == 200 if status else None

    def warnings(self) -> str:
        """What `GET /api/v1/stats` warns of; "" where it does not answer."""
        status, told, _ = self.ask("/api/v1/stats")
        return " ".join(told["warnings"]) if status == 200 else ""

    def doctor(self) -> dict[str, bool]:
        """Each check of `relay doctor` and whether it is well."""
        done = subprocess.run(
            [sys.executable, "-m", "relay.cli", "doctor", "--json"],
            env=self.house.environ(),
            cwd=self.house.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.hold("doctor answers in words", "Traceback" not in done.stderr, done.stderr[-300:])
        checks: dict[str, bool] = {}
        told = json.loads(done.stdout or '{"checks": []}')
        for check in told["checks"]:
            checks[check["check"]] = checks.get(check["check"], True) and check["ok"]
        self.hold("doctor's exit code", done.returncode == int(not all(checks.values())), str(checks))
        return checks

    # -- holding against the truth ---------------------------------------------------------------------------

    def await_said(self, what: str, holds: Callable[[], object], within_s: float = NOTICED_S) -> bool:
        """It is said within the time."""
        began = time.monotonic()
        # A busy machine, and the process that asks, take time of their own.
        while not holds():
            if time.monotonic() - began > within_s + 1:
                self.hold(
                    f"{what} is said", False, f"not within {within_s:.0f} s; it says {self.ask('/readyz')}"
                )
                return False
            time.sleep(0.05)
        self.tally.noticed[what].append(time.monotonic() - began)
        self.hold(f"{what} is said", True, "")
        return True

    def await_well(self, what: str) -> None:
        """Ready again, and an event is accepted."""
        began = time.monotonic()
        while self.ready() is not True:
            if time.monotonic() - began > WELL_S:
                self.hold(
                    "ready again", False, f"after {what}: not within {WELL_S:.0f} s: {self.ask('/readyz')}"
                )
                return
            time.sleep(0.05)
        self.tally.over[what].append(time.monotonic() - began)
        self.hold("ready again", True, "")

    def answers_in_time(self, during: str) -> None:
        for path in ("/readyz", "/metrics", "/api/v1/stats", "/console/"):
            status, _, took_s = self.ask(path)
            if status:
                self.hold(
                    "answered in time", took_s < ANSWER_S + 0.5, f"{path} took {took_s:.1f} s during {during}"
                )

    def ready_means_accepted(self, during: str) -> None:
        """What is ready takes an event; three times the other way is no accident."""
        told = ""
        for _ in range(3):
            before = self.ready()
            status = self._post()
            after = self.ready()
            if not (before and after and status == 503):
                break
            told = f"ready, and answered {status} during {during}"
            time.sleep(0.3)
        else:
            self.hold("ready", False, told)
            return
        self.hold("ready", True, "")

    def _post(self) -> int:
        event, body = self.said.next(self._chance)
        status = post(self.house.port, body)
        if status in (200, 202):
            self.said.answered(event)
        elif self.senders is not None:
            # It was begun, and its sender tries again like any other.
            self.senders.take_over(event, body)
        return status

    def ledger(self) -> None:
        """Balanced, and whatever was answered 202 is in it, or in the spool."""
        answered = self.said.count(sure=True)
        spooled = self.house.spooled()
        try:
            books = self.books()
        except OutboxUnavailable:
            return
        self.hold(
            "accepted",
            books["accepted"] + spooled >= answered,
            f"{answered} answered, {books['accepted']} in the books, {spooled} in the spool",
        )

    def books(self) -> Counter[str]:
        """All sources' together. Raises OutboxUnavailable."""
        books: Counter[str] = Counter()
        for source, counts in self.house.outbox().ledger().items():
            whole = sum(counts[state] for state in STATES)
            least = min(counts[state] for state in STATES)
            self.hold("balanced", counts["accepted"] == whole and least >= 0, f"{source}: {counts}")
            books.update(counts)
        return books

    def delivered(self) -> None:
        """What is said to be delivered stands in Planhat."""
        plain = self.said.plain()
        chosen = self._chance.sample(plain, min(_SAMPLED, len(plain)))
        try:
            states = self.house.outbox().events.get_many(
                [event_id("slack", event.event_id) for _, event in chosen]
            )
        except OutboxUnavailable:
            return
        for (thread, event), found in zip(chosen, states, strict=True):
            if found is None or found[0] != "delivered":
                continue
            record = self.sandbox.store.get(f"extid-{thread.external_id}") or {}
            text = str(record.get("description") or "")
            now = thread.messages()[event.ts]
            # Somebody may have edited or deleted it since.
            true = len(now) > 1 or str(event.text) in text
            self.hold("delivered", true, f"{event.event_id} of {thread.external_id} is not in {text[:200]!r}")

    def moves(self, what: str) -> None:
        """An event that comes now is delivered soon. Of a new conversation: another may wait for the next release, which has
        written something of it."""
        event, body = self.said.next(self._chance, fresh=True)
        began = time.monotonic()
        if self.senders is None or not self.senders.insist(event, body):
            return
        name, found = event_id("slack", event.event_id), None
        while time.monotonic() - began < MOVES_S:
            try:
                found = self.house.outbox().events.get(name)
            except OutboxUnavailable:
                found = None
            if found and found[0] != "pending":
                self.tally.over[f"delivered after {what}"].append(time.monotonic() - began)
                self.hold("goes on", True, "")
                return
            time.sleep(0.05)
        self.hold(
            "goes on",
            False,
            f"{event.event_id} of {event.ts} was not delivered within {MOVES_S:.0f} s after {what}: {found and found[0]}, "
            f"{self.house.spooled()} in the spool, {self.lane()}",
        )

    def lane(self) -> dict[str, Any]:
        """What stands there, for whoever has to find out why it does not move."""
        outbox = self.house.outbox()
        client, prefix = outbox.redis, outbox.prefix
        due: Any = client.zrange(prefix + keys.due("slack"), 0, 0, withscores=True)
        return {
            "now_ms": outbox.now_ms(),
            "due": due,
            "wake": client.get(prefix + keys.WAKE),
            "wake_ttl_ms": client.pttl(prefix + keys.WAKE),
            "generation": client.get(prefix + keys.GENERATION),
            "delivery": client.hgetall(prefix + keys.DELIVERY),
            "clock": client.get(prefix + keys.CLOCK),
            "bells": client.lrange("rq:queue:flush", 0, -1),
            "workers": client.smembers("rq:workers"),
            "calls": client.zcard(prefix + keys.CALLS),
            "pending": outbox.pending_items(),
            "held": client.hlen(prefix + keys.HELD),
            "due now": client.zcount(prefix + keys.due("slack"), "-inf", outbox.now_ms()),
            "last calls": [
                tuple(call.get(name) for name in ("at", "operation", "status", "items", "fault"))
                for call in list(self.sandbox.calls)[-15:]
            ],
            "log": (self.house.folder / "work.log").read_text(errors="replace")[-1_000:],
            "newer": outbox.newer_count(),
            "tune": client.hgetall(prefix + keys.TUNE),
            "faults": len(self.sandbox.faults.all),
            "claims": client.hgetall(prefix + keys.HELD),
        }

    def step(self, during: str) -> None:
        """All that holds at any moment."""
        self.ledger()
        self.delivered()
        self.ready_means_accepted(during)

    def slack(self) -> None:
        """Slack's 3 s, over all posts of the run but those that may have met a web side that was just starting."""
        times = [
            time_s
            for name, took in self.tally.took.items()
            for time_s in took
            if name not in ("breaks", "releases")
        ]
        if times:
            late = sum(time_s > SLACK_S for time_s in times)
            self.hold(
                "an answer within 3 s", late <= max(1, len(times) // 1000), f"{late} of {len(times)} later"
            )
