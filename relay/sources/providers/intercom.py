"""Intercom: conversations and tickets, in the shapes of API 1.x and 2.x.

Source: Intercom, "Setting up webhooks", "Webhook topics", "Webhook notification object".
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic
from relay.event import Event, Ticket, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    BaseAdapter,
    Inbound,
    Parsed,
    Reply,
    Sample,
    Skipped,
    content_key,
    hmac_bytes,
    iso_from_us,
)
from relay.sources.foreign_json import Walk, json_object
from relay.sources.proof.credentials import login_headers, matches_hex, require_secret
from relay.sources.proof.rule import ProofRule
from relay.sources.read.attached import pictures_in, read_files
from relay.sources.read.either import read_either
from relay.sources.read.intercom_item import (
    assignee_of,
    intercom_sender,
    intercom_status,
    owner_of,
    participants_of,
    subject_of,
    url_of,
)
from relay.sources.read.moment import moment_us
from relay.sources.read.privacy import is_private

#: Parts that nobody wrote, whatever their body says.
_MACHINE_PARTS = frozenset({"channel_and_reply_time_expectation"})
#: Something was said, wherever it stands.
_SPOKEN_TOPICS = ("user.created", "user.replied", "admin.replied", "admin.single.created", "lead.created")


class Intercom(BaseAdapter):
    name: ClassVar[str] = "intercom"

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the app's client secret")
        self._rule = ProofRule(options)
        self._keep_private = "private" in options.keep
        self._keep_bots = "bots" in options.keep

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        given = head.headers.get("x-hub-signature", "")
        if self._rule.check_head(head, given) and not given.startswith("sha1="):
            raise NotAuthentic("signature")

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if not self._rule.secret:
            return
        given = inbound.headers["x-hub-signature"]
        if not matches_hex(given[5:], self.options.secrets(), inbound.body, "sha1"):
            raise NotAuthentic("signature")

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        return self._rule.once(inbound.body)

    def timeless(self, inbound: Inbound) -> bool:
        return self._rule.secret

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        """Answer Intercom, which first asks with HEAD whether the address is there, then sends the topic `ping`."""
        if inbound.method in ("HEAD", "GET"):
            return Reply(200)
        if b'"ping"' in inbound.body and json_object(inbound.body).get("topic") == "ping":
            return Reply(200, b'{"status":"ok"}', "application/json")
        return None

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        payload = json_object(inbound.body)
        body = Walk(payload)
        topic = body.text("topic")
        if topic == "ping":
            return [Skipped("handshake")]
        family = topic.partition(".")[0]
        if family not in ("conversation", "conversation_part", "ticket"):
            return [Skipped("type")]
        item = body["data"]["item"]
        notice = _Notice(
            body=body,
            item=item,
            topic=topic,
            delivery=body.maybe_text("id") or content_key(inbound.body),
            time_us=moment_us(body.value.get("created_at")) or int(now_s * 1_000_000),
        )
        if family == "ticket":
            return self._ticket(notice)
        return self._conversation(notice)

    def _conversation(self, notice: _Notice) -> list[Parsed]:
        item, topic = notice.item, notice.topic
        if topic == "conversation.deleted":
            thread = item.maybe_ident("conversation_id") or item.ident("id")
            # The whole conversation: no message of it is named.
            return [self._event(notice, thread, item, "message.deleted", Walk({}), message_id=thread)]
        thread = item.ident("id")
        if topic.startswith("conversation.rating"):
            return [self._rating(notice, thread, item)]
        parts = item.maybe("conversation_parts").items("conversation_parts")
        found: list[Parsed] = []
        if topic.endswith(".created"):
            # A part that is already there does not stand for the opening.
            first = _first_message(item)
            rest = [part for part in parts if part.maybe_ident("id") != first.maybe_ident("id")]
            parts = (
                [first, *rest]
                if first.maybe_text("body") or first.items("attachments") or not parts
                else parts
            )
        for part in parts:
            found.append(self._part(notice, thread, item, part, n=len(found)))
        if not found:
            kind = "ticket.solved" if topic.endswith(".closed") else "ticket.updated"
            found.append(self._event(notice, thread, item, kind, Walk({})))
        return found

    def _rating(self, notice: _Notice, thread: str, item: Walk) -> Event:
        """What the customer thought of it: the rating, and their remark."""
        rating = item.maybe("conversation_rating")
        stars, remark = rating.maybe_ident("rating"), rating.maybe_text("remark")
        body = f"Rating: {stars} of 5" if stars else ""
        by = rating.maybe("contact").value or rating.maybe("customer").value or owner_of(item).value
        said = {
            "body": "\n".join(line for line in (body, remark) if line),
            "id": f"rating-{thread}",
            "author": by,
            "created_at": rating.value.get("created_at"),
        }
        return self._event(notice, thread, item, "ticket.commented", Walk(said))

    def _part(self, notice: _Notice, thread: str, item: Walk, part: Walk, *, n: int) -> Parsed:
        topic, what = notice.topic, part.maybe_text("part_type")
        private = what.startswith("note") or topic.endswith((".noted", ".note.created"))
        if (private or is_private(part.value)) and not self._keep_private:
            return Skipped("private")
        if what in _MACHINE_PARTS and not self._keep_bots:
            return Skipped("bot")
        said = bool(part.maybe_text("body").strip())
        if topic.endswith(".redacted") or part.value.get("redacted") is True:
            kind = "message.updated"
        elif said or part.items("attachments"):
            kind = "ticket.commented" if topic.startswith("ticket.") else "message.created"
        else:
            kind = "ticket.solved" if what == "close" or topic.endswith(".closed") else "ticket.updated"
        event = self._event(notice, thread, item, kind, part, n=n)
        if event.sender.bot and kind == "message.created" and not self._keep_bots:
            return Skipped("bot")
        return event

    def _ticket(self, notice: _Notice) -> list[Parsed]:
        outer = notice.item
        item = outer.maybe("ticket") if outer.value.get("ticket") else outer
        # Tickets and conversations are numbered apart.
        thread = f"ticket-{item.ident('id')}"
        topic = notice.topic
        if topic == "ticket.created":
            description = item.maybe("ticket_attributes").maybe_text("_default_description_")
            opening = {"body": description, "id": f"{thread}-description", "author": owner_of(item).value}
            return [self._event(notice, thread, item, "ticket.created", Walk(opening))]
        parts = item.maybe("ticket_parts").items("ticket_parts")
        if outer.value.get("ticket_part"):
            parts = [outer.maybe("ticket_part")]
        elif parts and not topic.endswith((".replied", ".note.created")):
            parts = []
        if parts:
            # The list may hold the ticket's whole history; the newest part is what this is about.
            newest = max(parts, key=lambda part: moment_us(part.value.get("created_at")) or 0)
            return [self._part(notice, thread, item, newest, n=0)]
        if topic == "ticket.note.created" and not self._keep_private:
            return [Skipped("private")]
        done = topic == "ticket.closed" or intercom_status(item).lower() in ("resolved", "closed")
        return [self._event(notice, thread, item, "ticket.solved" if done else "ticket.updated", Walk({}))]

    def _event(
        self,
        notice: _Notice,
        thread: str,
        item: Walk,
        kind: str,
        part: Walk,
        *,
        message_id: str = "",
        n: int = 0,
    ) -> Event:
        part_id = part.maybe_ident("id")
        time_us = notice.time_us
        if kind in ("message.created", "ticket.commented"):
            time_us = moment_us(part.value.get("created_at")) or time_us
        raw = part.maybe_text("body")
        # Bodies are HTML, and from API 2.15 on may be plain text.
        text, html = read_either(raw)
        source, delivery = self.options.name, notice.delivery
        key = delivery if n == 0 else f"{delivery}:{part_id or n}"
        seen = f"part:{thread}:{part_id}:{kind}:{time_us}"
        spoken = bool(part_id and raw and kind == "message.created")
        return Event(
            id=event_id(source, key),
            source=source,
            adapter=self.name,
            kind=kind,
            time=iso_from_us(time_us),
            # Intercom counts whole seconds; its part numbers only grow.
            version=time_us + _tie(part_id),
            thread=thread,
            subject=subject_of(item),
            text=text,
            html=html,
            sender=intercom_sender(part, item),
            recipients=participants_of(item),
            ticket=Ticket(
                id=item.maybe_ident("id") or thread,
                status=intercom_status(item),
                priority=item.maybe_text("priority"),
                assignee=assignee_of(item),
            ),
            message_id=message_id or part_id or delivery,
            url=url_of(item, notice.body),
            attachments=read_files(part.value.get("attachments")) + pictures_in(raw),
            tags=tuple(name for tag in item.maybe("tags").items("tags") if (name := tag.maybe_text("name"))),
            delivery_id=delivery,
            # A reply that assigns, too, is announced under two topics.
            also_seen=(event_id(source, seen),) if spoken else (),
            unworded="no_text" if notice.topic.endswith(_SPOKEN_TOPICS) else "",
            payload=notice.body.value,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a conversation that a customer begins, and the answer to it."""
        begun_s = int(now_s)
        item: dict[str, Any] = {
            "type": "conversation",
            "id": str(215_000_000_000 + serial),
            "created_at": begun_s,
            "updated_at": begun_s,
            "state": "open",
            "title": "",
            "source": {
                "type": "conversation",
                "id": str(338_000_000 + serial),
                "subject": "",
                "body": "<p>How do I invite a colleague?</p>",
                "author": {
                    "type": "user",
                    "id": "65f0a1",
                    "name": "Kim Example",
                    "email": "kim@customer.example.com",
                },
                "attachments": [],
            },
            "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "65f0a1"}]},
            "conversation_parts": {"type": "conversation_part.list", "conversation_parts": []},
            "tags": {"type": "tag.list", "tags": []},
        }
        part = {
            "type": "conversation_part",
            "id": str(3_735_000_000 + serial),
            "part_type": "comment",
            "body": "<p>Under Settings, <b>People</b>.</p>",
            "created_at": begun_s + 60,
            "updated_at": begun_s + 60,
            "author": {"type": "admin", "id": "7001", "name": "Sam Support", "email": "sam@example.com"},
            "attachments": [],
        }
        reply = {
            **item,
            "updated_at": begun_s + 60,
            "conversation_parts": {"type": "conversation_part.list", "conversation_parts": [part]},
        }
        return [
            _sample_notice("conversation.user.created", item, serial, begun_s),
            _sample_notice("conversation.admin.replied", reply, serial, begun_s + 60),
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        digest = hmac_bytes(secret, sample.body, "sha1").hex()
        headers = {**sample.headers, "x-hub-signature": f"sha1={digest}", **login_headers(self.options)}
        return Sample(sample.body, headers, sample.method)


class _Notice:
    """One notification: its envelope, what it is about, its id and time (microseconds)."""

    __slots__ = ("body", "delivery", "item", "time_us", "topic")

    def __init__(self, *, body: Walk, item: Walk, topic: str, delivery: str, time_us: int) -> None:
        self.body = body
        self.item = item
        self.topic = topic
        self.delivery = delivery
        self.time_us = time_us


def _first_message(item: Walk) -> Walk:
    """The opening message stands apart from the parts: `source` in 2.x, `conversation_message` in 1.x."""
    first = item.maybe("source") if item.value.get("source") else item.maybe("conversation_message")
    return Walk({"created_at": item.value.get("created_at"), **first.value}, first.path)


def _tie(part_id: str) -> int:
    return int(part_id[-6:]) if part_id.isascii() and part_id.isdigit() else 0


def _sample_notice(topic: str, item: dict[str, Any], serial: int, created_s: int) -> Sample:
    body = {
        "type": "notification_event",
        "app_id": "sampleapp",
        "id": f"notif_sample-{topic}-{serial}",
        "topic": topic,
        "created_at": created_s,
        "first_sent_at": created_s,
        "delivery_attempts": 1,
        "data": {"type": "notification_event_data", "item": item},
    }
    return Sample(orjson.dumps(body), {"content-type": "application/json"})
