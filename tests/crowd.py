"""A relay in which much is going on, for eyes and browsers: 40 sources, 500 dead letters of 12 causes, an hour of traffic, a held
source and an active drop. Events come in through the real intake and are settled as the workers do it.

    python -m tests.crowd serve [PORT]     a console over such a relay, on a server of its own; prints a sign-in link
    python -m tests.crowd empty [PORT]     the same before the first event
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import orjson
import redis
import uvicorn
from starlette.applications import Starlette

from relay.door.house import House, furnish
from relay.door.intake import Intake
from relay.operations.sign_in import make_code
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.items import Entry
from relay.outbox.processes import give_sign
from relay.rules.file.load import load
from relay.sources.base import Inbound
from relay.web import console
from tests.environ import WEAK
from tests.operating import Nowhere, Shop

TOKEN: Final = "operators-only-" + "x" * 20
_ADAPTERS: Final = ("slack", "zendesk", "postmark", "jira", "aircall")
_NAMES: Final = ("emea", "us-east", "apac", "support", "sales", "onboarding-and-renewals", "partners", "beta")
#: Some are short, some are what Planhat really says, one cannot be broken into words.
CAUSES: Final = (
    ("deliver", "400: the companyId extid-globex is not known to this tenant", 214),
    ("resolve", "no company found for anna.very-long-name+renewals@subsidiary.customer.example", 96),
    ("deliver", "400: subject: the value is longer than 255 characters", 61),
    ("map", "rule 'acme-thread', subject (line 41): payload.event has no 'title'", 40),
    ("deliver", "409: another conversation of this type has the sourceId srcid-" + "0f3a9c" * 18, 28),
    ("deliver", "400: custom.Priority is none of Low, Normal, High, Urgent", 19),
    ("resolve", "no company found for the channel C0ZZZ1234", 14),
    ("deliver", "413: the document is larger than Planhat takes", 10),
    ("deliver", "400: endusers[3].email is no address", 8),
    ("deliver", "400: date lies in the future", 5),
    ("map", "the payload holds neither a text nor an attachment", 3),
    ("deliver", "given up after 3 d", 2),
)  # fmt: skip

#: What letters without a company asked for.
_ASKED: Final = (
    ("email", "anna.very-long-name+renewals@subsidiary.customer.example"),
    ("slack_channel", "C0ZZZ1234"),
)


def crowded_config() -> str:
    """40 sources of five kinds; the first rule is the user's, the others are the adapters' own."""
    lines = [
        "planhat: {types: [Slack thread, Support email, Help-desk ticket, Call log], tenant: acme-inc}",
        "sources:",
    ]
    for adapter in _ADAPTERS:
        proof = 'basic_auth: ["user:word"]' if adapter == "postmark" else 'secrets: ["not-a-real-secret"]'
        lines += [
            f"  {adapter}-{name}: {{adapter: {adapter}, {proof}, type: Support email}}" for name in _NAMES
        ]
    return "\n".join(lines) + _RULES


_RULES: Final = """
companies:
  - table: {slack_channel: {C024BE91L: extid-acme}}
  - planhat: enduser_email
  - default: extid-unsorted
rules:
  - name: acme-thread
    source: [slack-emea, slack-us-east]
    when: event.kind in ["message.created", "message.updated"] and not event.sender.bot
    conversation:
      type: Slack thread
      externalId: "{{ event.source }}-{{ event.thread }}"
      subject: "#{{ event.channel.name or event.channel.id }}: {{ event.text | truncate(80) }}"
      description: "{{ event.html or event.text }}"
      date: "{{ event.time }}"
      custom: {Channel: "{{ event.channel.id }}"}
    merge: {subject: first, date: first, description: append, endusers: union}
    company: {slack_channel: "{{ event.channel.id }}", email: "{{ event.sender.email }}"}
"""


class Crowd(Shop):
    """`Shop` with that config; `fill` makes the state."""

    def __init__(self, client: redis.Redis, folder: Path, *, token: str = TOKEN, **more: str | bool) -> None:
        super().__init__(client, folder, token=token, **more)  # type: ignore[arg-type]
        self.house = crowded_house(folder)

    def samples(self, of: Iterable[tuple[str, int]], now_ms: int) -> str:
        """A sample of each (source, serial) through the intake's mapping, recorded together; the last one's event id."""
        intake = Intake(house=self.house, records=Nowhere())
        entries: list[Entry] = []
        for name, serial in of:
            source = self.house.sources[name]
            made = source.adapter.sample(serial=serial, now_s=now_ms / 1000)
            inbound = Inbound(body=made.body, headers=dict(made.headers), path_query=f"/hooks/{name}")
            entries += intake.map(source, inbound, now_s=now_ms / 1000, verify_us=420)[0]
        self.outbox.record(entries, now_ms=now_ms)
        return entries[-1].event_id

    def fill(self) -> dict[str, str]:
        """The state; `{"dead", "event"}`: one id of each to look at."""
        now_ms = self.outbox.now_ms()
        names = list(self.house.sources)
        event = dead = ""
        for minute in range(59, 1, -1):
            many = 2 + (minute * 7) % 11
            of = [(names[(minute * n + n) % 17], minute * 100 + n) for n in range(many)]
            event = self.samples(of, now_ms - minute * 60_000)
        self.deliver(now_ms - 90_000)
        for at, (stage, cause, number) in enumerate(CAUSES):
            of = [(names[(at * 3 + n % 4) % 40], 1_000_000 + at * 1_000 + n) for n in range(number)]
            for part in range(min(8, number)):
                self.samples(of[part::8], now_ms - 80_000 - (part * 7 + at * 5) % 55 * 60_000)
            asked_for = _ASKED if stage == "resolve" else ()
            [dead, *_] = self.bury(cause, now_ms=now_ms - 70_000 + at, stage=stage, asked_for=asked_for)
        self.samples([(names[n], 2_000_000 + n) for n in range(9)], now_ms - 40_000)
        self._beside(now_ms, names)
        return {"dead": dead, "event": event}

    def _beside(self, now_ms: int, names: list[str]) -> None:
        """What is not an event: samples of the plots, refusals, a held source, a drop, two releases running."""
        prefix, client = self.outbox.prefix, self.outbox.redis
        self.delivery.pause(names[9])
        self.outbox.add_drop(
            {"id": "drop-1", "source": names[3], "where": "event.sender.bot", "until_ms": now_ms + 3_600_000}
        )
        settled, rows = 1_000, []
        for n in range(360):
            settled += (n * 13) % 7
            sample = {"at_ms": now_ms - (360 - n) * 10_000, "pending": (n // 6) % 14, "delivered": settled, "oldest_s": n % 40,
                      "calls": (n // 4) % 60, "dead": n}  # fmt: skip
            # Nobody looked for a while.
            if not 120 < n < 160:
                rows.append(orjson.dumps(sample))
        client.rpush(prefix + "samples", *rows)
        client.hincrby(prefix + f"ledger:{names[1]}", "rejected", 1_234)
        client.hincrby(prefix + f"ledger:{names[1]}", "signature_failures", 1_200)
        for n in range(40):
            row = {"source": names[1], "reason": ("signature", "stale")[n % 2], "kind": "NotAuthentic", "bytes": 900,
                   "at_ms": now_ms - n * 1_000, "from": "203.0.113.0/24"}  # fmt: skip
            client.lpush(prefix + "rejected", orjson.dumps(row))
        for _ in range(17):
            self.delivery.take_call(150)
        for number, role in enumerate(("web", "flush", "dead-letter", "supervisor")):
            who = f"host-1:{100 + number}:{role}"
            give_sign(self.outbox, who, role, due_s=3_600, started_ms=now_ms - 7_200_000)  # type: ignore[arg-type]


def crowded_house(folder: Path) -> House:
    file = folder / "crowd.yaml"
    file.write_text(crowded_config(), encoding="utf-8")
    return furnish(*load(str(file), WEAK))


def main(what: str = "serve", port: str = "8099") -> None:
    folder = tempfile.mkdtemp(prefix="crowd-")
    server = EmbeddedServer(folder, appendfsync="everysec").start()
    try:
        shop = Crowd(redis.Redis.from_url(server.url), Path(folder))
        ids = shop.fill() if what == "serve" else {}
        link = f"http://127.0.0.1:{port}/console/sign-in?code={make_code(shop.outbox, name='Ann')}"
        print(orjson.dumps({"link": link, "token": TOKEN, **ids}).decode(), flush=True)
        app = Starlette(routes=list(console.routes(shop.context)))
        uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", lifespan="off")
    finally:
        server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
