"""What is sent: signed Slack messages of 1-2 KB, as requests, as the outbox's entries, and as many entries as one likes; and the
config that takes them, of one lane or of several."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from bench.load import post
from relay.door.house import Source, furnish
from relay.door.intake import Intake
from relay.outbox.items import Entry
from relay.outbox.outbox import Outbox
from relay.rules.file.load import load
from relay.sources.base import Inbound

SECRET = "bench-secret"
_CONFIG = """
planhat: {types: [Slack thread], calls_per_minute: CALLS}
LANESsources:
SOURCEScompanies:
  - table: {slack_channel: {C024BE91L: extid-acme}}
  - default: extid-acme
rules:
  - name: slack-thread
RULE_SOURCE    when: event.kind in ["message.created", "message.updated"] and not event.sender.bot
    conversation:
      type: Slack thread
      externalId: "slack-{{ event.thread }}"
      subject: "#{{ event.channel.name or event.channel.id }}: {{ event.text | truncate(80) }}"
      description: "{{ event.html or event.text }}"
      date: "{{ event.time }}"
      custom: {Channel: "{{ event.channel.id }}"}
    merge: {subject: first, date: first, description: append}
    company: {slack_channel: "{{ event.channel.id }}", email: "{{ event.sender.email }}"}
"""
WORDS = "the export of this morning fails again with a time-out on our side could you have a look please thank you"
#: How many events are written by one `record`: what 64 connections have waiting at a time.
GROUP = 64
#: Different texts among the entries that are made in bulk.
_VARIETY = 1_000


def write_config(
    folder: Path, *, calls_per_minute: int = 10_000, lanes: Sequence[str] = (), lanes_url: str = ""
) -> Path:
    """10,000 calls a minute: the pace is not what is measured. `lanes`: several, each with a source of its name, all of one Planhat's
    address, `lanes_url`."""
    file = folder / "relay.yaml"
    told = "".join(f"  {name}: {{url: '{lanes_url}', token: token-of-{name}}}\n" for name in lanes)
    sources = "".join(
        f"  {name or 'slack'}: {{adapter: slack, secrets: [{SECRET}], type: Slack thread{f', lane: {name}' if name else ''}}}\n"
        for name in lanes or ("",)
    )
    text = _CONFIG.replace("LANES", f"lanes:\n{told}" if lanes else "").replace("SOURCES", sources)
    text = text.replace("RULE_SOURCE", "" if lanes else "    source: slack\n")
    file.write_text(text.replace("CALLS", str(calls_per_minute)))
    return file


def text_of(number: int) -> str:
    """700-1,200 characters, each message its own: Redis's Lua hashes a few characters of a long string only, so that texts
    all alike make it look slower than it is for people's."""
    return " ".join(random.Random(number).choices(WORDS.split(), k=400))[: 700 + number % 500]


def slack_requests(
    count: int, *, start: int = 0, threads: int = 0, sources: Sequence[str] = ("slack",)
) -> list[bytes]:
    """Signed now: Slack's signature is good for 5 minutes. Of `threads` conversations (0: each its own). `sources` take turns."""
    now = int(time.time())
    requests = []
    for number in range(start, start + count):
        ts = f"{now}.{number % 1_000_000:06d}"
        event = {
            "type": "message",
            "channel": "C024BE91L",
            "user": f"U{number % 997:06d}",
            "ts": ts,
            "event_ts": ts,
            "channel_type": "channel",
            "team": "T024BE7LD",
            "text": text_of(number),
            "client_msg_id": f"{number:032x}",
            "blocks": [{"type": "rich_text", "block_id": f"b{number}", "elements": []}],
        }
        if threads:
            event["thread_ts"] = f"{now - 1000}.{number % threads:06d}"
        body = orjson.dumps(
            {
                "token": "x" * 24,
                "team_id": "T024BE7LD",
                "api_app_id": "A0",
                "event": event,
                "type": "event_callback",
                "event_id": f"Ev{now}{number}",
                "event_time": now,
                "authorizations": [{"team_id": "T024BE7LD", "user_id": "U0", "is_bot": True}],
            }
        )
        digest = hmac.new(SECRET.encode(), b"v0:%d:%b" % (now, body), hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Slackbot 1.0",
            "X-Slack-Request-Timestamp": str(now),
            "X-Slack-Signature": f"v0={digest}",
        }
        requests.append(post(f"/hooks/{sources[number % len(sources)]}", body, headers))
    return requests


def inbounds(requests: list[bytes]) -> list[Inbound]:
    """The requests as the web side hands them to the intake."""
    made = []
    for request in requests:
        head, _, body = request.partition(b"\r\n\r\n")
        pairs = (line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        made.append(Inbound(body, {key.lower(): value for key, value in pairs}, "POST", "/hooks/slack", {}))
    return made


def intake_of(config: Path, source: str = "slack") -> tuple[Intake, Source]:
    """The mapping side of the door, without the outbox behind it."""
    house = furnish(*load(str(config), {"RELAY_ALLOW_WEAK_SECRETS": "true"}))
    return Intake(house, records=None), house.sources[source]  # type: ignore[arg-type]


def entries(
    config: Path, events: int, *, conversations: int = 0, start: int = 0, source: str = "slack"
) -> list[Entry]:
    """What the door would write for so many messages of one source."""
    intake, of = intake_of(config, source)
    now_s = time.time()
    requests = slack_requests(events, threads=conversations if conversations < events else 0, start=start)
    return [intake.map(of, inbound, now_s=now_s)[0][0] for inbound in inbounds(requests)]


def many_entries(config: Path, *, series: int = 0) -> Iterator[Entry]:
    """Without end, each of a conversation of its own: mapped once, ids exchanged, since to map a million takes minutes. Another
    `series` gives other ones."""
    bases = entries(config, _VARIETY)
    for number in itertools.count():
        base = bases[number % _VARIETY]
        event_id = f"{base.event_id[:-12]}{series:02d}{number:010d}"
        external_id = f"{base.external_id}-{series}-{number}"
        patch = base.patch.replace(base.event_id.encode(), event_id.encode()).replace(
            base.external_id.encode(), external_id.encode()
        )
        yield replace(
            base, event_id=event_id, external_id=external_id, patch=patch, seen_keys=(event_id,), known_as=""
        )


def fill(outbox: Outbox, waiting: list[Entry], group: int = GROUP) -> None:
    for start in range(0, len(waiting), group):
        outbox.record(waiting[start : start + group])


def stored_bytes(waiting: list[Entry]) -> int:
    """What of these events is handed to Redis to keep: the archived request and the patch."""
    return sum(len(entry.record) + len(entry.patch) for entry in waiting)
