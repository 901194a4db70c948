"""A desk over a real server, and a day's traffic made by hand: events come in through the real intake, are delivered or
buried as the workers would, with the clock held by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import orjson
import redis
from starlette.types import ASGIApp

from relay.config import Config
from relay.door.house import House, Source, furnish
from relay.door.intake import Intake, RecordsEvents
from relay.lane_name import MAIN
from relay.operations.context import WebContext
from relay.operations.lane_facts import AskedLane, OfNoLaneReader, read_facts
from relay.operations.problems import StandingProblem, problems_of_all, problems_of_lane, worst_first
from relay.outbox.delivery import Delivery
from relay.outbox.items import Bury, Done, Entry, Item
from relay.outbox.outbox import Outbox
from relay.patch import Document, Patch, fold
from relay.rules.file.load import load
from relay.settings import Settings
from relay.sources.base import Inbound
from tests.environ import WEAK

NOON = 1_800_000_000_000
SECRET = "not-a-real-secret"

CONFIG = """\
planhat:
  types: [Slack thread]
  tenant: acme-inc
sources:
  slack:
    adapter: slack
    secrets: ["{secret}"]
  second:
    adapter: slack
    secrets: ["{secret}"]
companies:
  - table: {{slack_channel: {{C024BE91L: extid-acme}}}}
rules:
  - name: slack-thread
    source: slack
    when: event.text != "drop me"
    conversation:
      type: Slack thread
      externalId: "slack-{{{{ event.thread }}}}"
      subject: "{subject}"
      description: "{{{{ event.text }}}}"
      date: "{{{{ event.time }}}}"
      custom: {{Channel: "{{{{ event.channel.id }}}}"}}
    merge: {{subject: first, date: first, description: append}}
    company: {{slack_channel: "{{{{ event.channel.id }}}}"}}
  - name: second
    source: second
    conversation:
      type: Slack thread
      externalId: "second-{{{{ event.thread }}}}"
      subject: "{subject}"
    companyId: extid-acme
"""
#: Two tenants; what comes in goes to the second.
LANES = """\
lanes:
  emea: {url: "https://api.planhat.com", token: token-of-emea}
  us: {url: "https://api-us4.planhat.com", token: token-of-us}
"""
SUBJECT = "{{ event.text | truncate(80) }}"
#: Fails for every event whose payload has no such field.
BROKEN_SUBJECT = "{{ payload.event.title.upper() }}"


def house_of(folder: Path, *, subject: str = SUBJECT, lane: str = MAIN) -> House:
    file = folder / "relay.yaml"
    text = CONFIG.format(secret=SECRET, subject=subject)
    if lane != MAIN:
        text = text.replace("    adapter: slack\n", f"    adapter: slack\n    lane: {lane}\n") + LANES
    file.write_text(text, encoding="utf-8")
    return furnish(*load(str(file), WEAK))


def shop_with_mail(folder: Path) -> House:
    file = folder / "mail.yaml"
    file.write_text(
        "planhat: {types: [Support email]}\n"
        "sources: {mail: {adapter: postmark, basic_auth: ['user:word'], type: Support email}}\n"
        "companies: [{default: extid-acme}]\n",
        encoding="utf-8",
    )
    return furnish(*load(str(file), WEAK))


class Shop:
    """A desk whose rules can be exchanged, and what comes to it."""

    def __init__(
        self,
        client: redis.Redis,
        folder: Path,
        *,
        subject: str = SUBJECT,
        token: str = "",
        reader: str = "",
        readers_see_payloads: bool = False,
        lane: str = MAIN,
    ) -> None:
        """`lane`: the one whose desk this is; another than `main` is one of `LANES`."""
        self.folder = folder
        self.house = house_of(folder, subject=subject, lane=lane)
        self.outbox = Outbox(client, lane=lane)
        self.delivery = Delivery(client, lane=lane)
        self.context = WebContext(
            outbox=self.outbox,
            delivery=self.delivery,
            settings=Settings(
                operator_token=lambda: token,
                reader_token=lambda: reader,
                reader_sees_payloads=readers_see_payloads,
            ),
            current=lambda: self.house,
        )

    def change_rules(self, subject: str) -> None:
        self.house = house_of(self.folder, subject=subject)

    def arrive(
        self, text: str, *, source: str = "slack", ts: str = "1800000000.000100", thread: str = "", number: int = 1,
        channel: str = "C024BE91L", now_ms: int = NOON,
    ) -> str:  # fmt: skip
        """A Slack message through the intake's mapping into the outbox; its event id."""
        body = slack_message(text, ts=ts, thread=thread, number=number, channel=channel)
        inbound = Inbound(
            body=body,
            headers={
                "content-type": "application/json",
                "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
            },
            path_query=f"/hooks/{source}",
        )
        intake = Intake(house=self.house, records=Nowhere())
        entries, _ = intake.map(self.source(source), inbound, now_s=now_ms / 1000, verify_us=420)
        self.outbox.record(entries, now_ms=now_ms)
        return entries[0].event_id

    def source(self, name: str) -> Source:
        return self.house.sources[name]

    def claim(self, now_ms: int) -> list[Item]:
        # What came in has rung for a worker already; this one takes the lane over.
        self._let_go()
        generation = self.outbox.lane.ring(now_ms=now_ms)
        return (
            list(self.outbox.lane.claim(generation, lease_ms=20_000, now_ms=now_ms).items)
            if generation
            else []
        )

    def deliver(self, now_ms: int = NOON + 1500) -> int:
        """What is due goes to Planhat at once, as the workers do it; how many conversations."""
        items = self.claim(now_ms)
        settled = []
        for item in items:
            document = Document.decode(item.document) if item.document else Document(item.external_id)
            fold(document, (Patch.decode(pending.patch) for pending in item.pending))
            document.planhat_id = document.planhat_id or f"{len(item.external_id):024x}"
            document.company_id = "extid-acme"
            document.history.append(
                {"at_ms": now_ms, "what": "delivered", "status": 200, "batch": "b1", "took_ms": 40}
            )
            settled.append(
                Done(
                    item,
                    document.encode(),
                    [(p.event_id, "delivered") for p in item.pending if p.counted],
                    planhat_id=document.planhat_id,
                )
            )
        assert not self.outbox.lane.settle(settled, now_ms=now_ms).lost
        self._let_go()
        return len(items)

    def bury(
        self,
        cause: str,
        *,
        now_ms: int = NOON + 1500,
        stage: str = "deliver",
        asked_for: Iterable[tuple[str, str]] = (),
    ) -> list[str]:
        """What is due is refused by Planhat, or `asked_for` its company in vain; the dead letters' ids."""
        settled = []
        for item in self.claim(now_ms):
            document = fold(Document(item.external_id), (Patch.decode(p.patch) for p in item.pending))
            record = {
                "v": 1,
                "cause": cause,
                "reason": cause + " (in full)",
                "stage": stage,
                "rule": document.rule,
                "answer": '{"error":"no"}',
                "attempts": [{"at": "2027-01-15T08:00:01.000Z", "status": 400, "error": cause}],
                "document": document.render(),
                "source": item.lane_source,
                "externalId": item.external_id,
                "asked_for": [{"key": key, "value": value} for key, value in asked_for],
            }
            dead_id = "dead_" + item.pending[0].event_id[4:]
            settled.append(Bury(item, dead_id, orjson.dumps(record)))
        self.outbox.lane.settle(settled, now_ms=now_ms)
        self._let_go()
        return [what.dead_id for what in settled]

    def _let_go(self) -> None:
        self.outbox.redis.delete(self.outbox.prefix + "wake")

    def lose_redis(self) -> None:
        """From now on nobody answers where Redis was."""
        pool = self.outbox.redis.connection_pool
        pool.connection_kwargs["path"] = "/nonexistent/redis.sock"
        pool.disconnect()
        pool.reset()

    def counts(self, source: str = "slack") -> dict[str, int]:
        counts = self.outbox.ledger()[source]
        states = ("pending", "delivered", "unchanged", "superseded", "filtered", "dead", "discarded")
        assert counts["accepted"] == sum(counts[state] for state in states), counts
        return {state: counts[state] for state in ("accepted", *states) if counts[state]}


class Caller:
    """HTTP to an application in this process, from whatever address; cookies are kept as a browser keeps them."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        address: str,
        headers: dict[str, str] | None = None,
        base: str = "http://relay.example.com",
    ) -> None:
        self.app, self.address, self.headers, self.base = app, address, headers or {}, base
        self.cookies = httpx.Cookies()

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, client=(self.address, 40000))
            headers = {
                k.encode() if isinstance(k, str) else k: v
                for k, v in {**self.headers, **more.pop("headers", {})}.items()
            }
            headers = {k: v.encode() if isinstance(v, str) else v for k, v in headers.items()}
            async with httpx.AsyncClient(
                transport=transport, base_url=self.base, headers=headers, cookies=self.cookies
            ) as client:
                response = await client.request(method, path, **more)
                self.cookies = client.cookies
                return response

        return asyncio.run(call())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)


class Nowhere(RecordsEvents):
    async def record(self, entries: Iterable[tuple[Entry, float]]) -> list[Any]:
        raise AssertionError("the shop records by itself")


def slack_message(
    text: str, *, ts: str, thread: str = "", number: int = 1, channel: str = "C024BE91L"
) -> bytes:
    event: dict[str, Any] = {
        "type": "message",
        "channel": channel,
        "user": "U061F7AUR",
        "text": text,
        "ts": ts,
        "event_ts": ts,
        "channel_type": "channel",
    }
    if thread:
        event["thread_ts"] = thread
    return orjson.dumps(
        {
            "type": "event_callback",
            "team_id": "T061EG9R6",
            "event_id": f"Ev{number:010d}",
            "event_time": int(ts.partition(".")[0]),
            "event": event,
        }
    )


def standing_problems(
    outbox: Outbox, delivery: Delivery, *, config: Config | None = None
) -> list[StandingProblem]:
    """All of them, as the stats put them together."""
    lane = AskedLane(outbox, delivery, config)
    installation, facts = OfNoLaneReader().read(outbox, config), read_facts(lane)
    shared = problems_of_all(installation, config, facts.books.stored)
    return worst_first([*problems_of_lane(lane, facts, installation), *shared])
