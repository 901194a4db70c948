"""Mails that come in through the real intake and a real Redis, one step at a time: what two processes do at once is told by
the order of the steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import redis

from relay.door.house import House, furnish
from relay.door.intake import Intake
from relay.door.placing import asking_again
from relay.operations.context import WebContext
from relay.operations.rethread import rethread_events
from relay.outbox.delivery import Delivery
from relay.outbox.items import Done, Entry, Recorded
from relay.outbox.outbox import Outbox
from relay.patch import Document, Patch, fold
from relay.rules.file.load import load
from relay.settings import Settings
from relay.sources.base import Inbound
from tests.environ import WEAK
from tests.operating import NOON, Nowhere

RULES = """\
planhat: {{types: [Support email]}}
sources:
  mail: {{adapter: postmark, basic_auth: ["user:word"], type: Support email{options}}}
companies: [{{default: extid-acme}}]
"""
FROM = {"Email": "nora@acme.example", "Name": "Nora Lind"}


def mail_house(folder: Path, options: str = "") -> House:
    file = folder / "mail.yaml"
    file.write_text(RULES.format(options=options), encoding="utf-8")
    return furnish(*load(str(file), WEAK))


def postmark_mail(text: str, headers: Mapping[str, str], *, subject: str = "Export fails") -> bytes:
    return orjson.dumps(
        {
            "FromFull": FROM,
            "From": FROM["Email"],
            "To": "help@vendor.example",
            "ToFull": [{"Email": "help@vendor.example", "Name": ""}],
            "OriginalRecipient": "help@vendor.example",
            "Subject": subject,
            "MessageID": text,
            "Date": "Tue, 3 Mar 2026 09:15:00 +0100",
            "TextBody": text,
            "Headers": [{"Name": name, "Value": value} for name, value in headers.items()],
            "Attachments": [],
        }
    )


class MailDesk:
    """One installation: `outbox` is its store, `context` what operations need."""

    def __init__(self, client: redis.Redis, house: House, *, base: str = "relay") -> None:
        self.house = house
        self.outbox = Outbox(client, base=base)
        self.intake = Intake(house=house, records=Nowhere())
        self.context = WebContext(
            outbox=self.outbox,
            delivery=Delivery(client, base=base),
            settings=Settings(),
            current=lambda: self.house,
        )
        self.now_ms = NOON

    def steps(
        self, text: str, headers: Mapping[str, str], *, subject: str = "Export fails"
    ) -> Iterator[None]:
        """A mail comes in; between two steps anything may happen. The event is written when no step is left."""
        source = self.house.sources["mail"]
        inbound = Inbound(body=postmark_mail(text, headers, subject=subject), headers={})
        entries, _ = self.intake.map(source, inbound, now_s=self.now_ms / 1000)
        yield
        asked = asking_again(entries)
        names = self.outbox.threads.find(list(asked.values()))
        threads = {event_id: name for event_id, name in zip(asked, names, strict=True) if name}
        while True:
            entries, _ = self.intake.map(source, inbound, now_s=self.now_ms / 1000, threads=threads)
            yield
            recorded = self.record(entries)
            threads = {one.event_id: one.thread for one in recorded if one.thread}
            if not threads:
                return
            yield

    def record(self, entries: Sequence[Entry]) -> list[Recorded]:
        _, recorded = self.outbox.record(entries, now_ms=self.now_ms)
        return recorded

    def arrive(self, text: str, headers: Mapping[str, str], *, subject: str = "Export fails") -> None:
        for _ in self.steps(text, headers, subject=subject):
            pass

    def settle_threads(self) -> None:
        """What the workers do about threads that turned out to be parts of others."""
        while rethread_events(self.context, now_ms=self.now_ms):
            pass

    def deliver(self) -> None:
        """What is due goes out, as the workers do it."""
        self.now_ms += 1000
        self.outbox.redis.delete(self.outbox.prefix + "wake")
        generation = self.outbox.lane.ring(now_ms=self.now_ms)
        if not generation:
            return
        settled = []
        for item in self.outbox.lane.claim(generation, now_ms=self.now_ms).items:
            document = Document.decode(item.document) if item.document else Document(item.external_id)
            fold(document, (Patch.decode(pending.patch) for pending in item.pending))
            events = [(pending.event_id, "delivered") for pending in item.pending if pending.counted]
            settled.append(Done(item, document.encode(), events))  # type: ignore[arg-type]
        assert not self.outbox.lane.settle(settled, now_ms=self.now_ms).lost
        self.outbox.redis.delete(self.outbox.prefix + "wake")

    def conversations(self) -> dict[str, list[str]]:
        """externalId -> the texts that stand in it, for conversations in which something stands."""
        self.deliver()
        found: dict[str, list[str]] = {}
        prefix = f"{self.outbox.prefix}document:"
        for key in self.outbox.redis.scan_iter(prefix + "*", count=1000):
            external_id = key.decode()[len(prefix) :]
            stored = self.outbox.document(external_id)
            assert stored
            document = Document.decode(stored)
            fields = document.render()
            if document.nothing_left():
                assert fields["archived"] is True
            else:
                found[external_id] = _texts(fields)
        return found

    def books(self) -> dict[str, int]:
        return self.outbox.ledger()["mail"]


def _texts(fields: dict[str, Any]) -> list[str]:
    """The words of a description that are mails' texts: `m-...`."""
    words = str(fields.get("description", "")).replace("<", " ").replace(">", " ").split()
    return sorted(word for word in words if word.startswith("m-"))
