"""Help Scout: what happened stands in a header, the conversation in the body, its threads perhaps.

Source: Help Scout, "Webhooks", "Mailbox API 2.0: conversation".
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Attachment, Event, Person, Recipient, Ticket, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    BaseAdapter,
    Inbound,
    Parked,
    Parsed,
    Reply,
    Sample,
    Skipped,
    content_key,
    hmac_bytes,
    iso_from_us,
)
from relay.sources.foreign_json import Walk, json_object
from relay.sources.proof.credentials import login_headers, matches_base64, require_secret
from relay.sources.proof.rule import ProofRule
from relay.sources.read.attached import pictures_in, read_files
from relay.sources.read.either import read_either
from relay.sources.read.markup import html_of_text, text_of_html
from relay.sources.read.moment import moment_us
from relay.sources.read.privacy import is_private

#: The event, and of which type the thread is that it is about.
_THREAD_TYPES = {
    "convo.created": ("customer", "message", "phone", "chat", "beaconchat"),
    "convo.customer.reply.created": ("customer", "chat", "beaconchat"),
    "convo.agent.reply.created": ("message", "reply"),
    "convo.note.created": ("note",),
}


#: `{"id": 12345678}`, or the address of one.
_TINY_BYTES = 200
_CONVERSATION = re.compile(r"/conversations/(\d{1,20})(?!\d)")


class HelpScout(BaseAdapter):
    name: ClassVar[str] = "helpscout"
    # The defaults serve: any 4xx or 5xx is repeated. Ten events given up on deactivate the webhook, and a 410 does
    # so at once.

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the webhook's secret key")
        self._rule = ProofRule(options)
        self._keep_private = "private" in options.keep
        self._keep_drafts = "drafts" in options.keep

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_head(head, head.headers.get("x-helpscout-signature", ""))

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if not self._rule.secret:
            return
        given = inbound.headers["x-helpscout-signature"]
        if not matches_base64(given, self.options.secrets(), inbound.body, "sha1"):
            raise NotAuthentic("signature")

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        """Return what counts once. Events that hold nothing but an id have the same bytes, whatever happened: they say no more than "look again", and
        each kind counts once."""
        return () if len(inbound.body) <= _TINY_BYTES else self._rule.once(inbound.body)

    def timeless(self, inbound: Inbound) -> bool:
        return self._rule.secret

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        if inbound.headers.get("x-helpscout-event") == "helpscout.test":
            return Reply(200)
        return None

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        what = inbound.headers.get("x-helpscout-event", "")
        if what == "helpscout.test":
            return [Skipped("handshake")]
        if what and not what.startswith(("convo.", "satisfaction.")):
            return [Skipped("type")]
        try:
            if not what:
                raise PayloadInvalid("the header X-HelpScout-Event is missing")
            item = Walk(json_object(inbound.body))
            if what.startswith("satisfaction."):
                return [self._rating(inbound, what, item, now_s)]
            return [self._event(inbound, what, item, now_s)]
        except PayloadInvalid as error:
            return [Parked(str(error), content_key(what, inbound.body))]

    def _rating(self, inbound: Inbound, what: str, item: Walk, now_s: float) -> Parsed:
        """A customer's answer to "how did we do": great, okay or not good, and what they wrote."""
        thread_id = item.maybe_ident("conversationId") or item.ident("ticketId")
        rating, remark = item.maybe_text("rating"), item.maybe_text("comments")
        customer = item.maybe("customer")
        emails = [entry.maybe_text("value") for entry in customer.items("emails")]
        time_us = moment_us(item.value.get("modifiedAt")) or moment_us(item.value.get("createdAt"))
        time_us = time_us or int(now_s * 1_000_000)
        text = "\n".join(line for line in (f"Rating: {rating}" if rating else "", remark) if line)
        delivery = content_key(what, inbound.body)
        return Event(
            id=event_id(self.options.name, delivery),
            source=self.options.name,
            adapter=self.name,
            kind="ticket.commented",
            time=iso_from_us(time_us),
            version=time_us,
            thread=thread_id,
            text=text,
            html=html_of_text(text),
            sender=Person(
                id=customer.maybe_ident("id"),
                name=_full_name(customer)
                or f"{customer.maybe_text('firstName')} {customer.maybe_text('lastName')}".strip(),
                email=customer.maybe_text("email") or next(iter(emails), ""),
            ),
            ticket=Ticket(id=thread_id),
            message_id=f"rating-{item.maybe_ident('id') or thread_id}",
            delivery_id=delivery,
            payload=item.value,
        )

    def _event(self, inbound: Inbound, what: str, item: Walk, now_s: float) -> Parsed:
        thread_id = item.maybe_ident("id") or _id_in_uri(item) or item.ident("id")
        if what == "convo.note.created" and not self._keep_private:
            return Skipped("private")
        part = _newest_part(item, what)
        if is_private(part.value) and not self._keep_private:
            return Skipped("private")
        if (part.maybe_text("state") or item.maybe_text("state")) == "draft" and not self._keep_drafts:
            return Skipped("draft")
        # Tiny events of different kinds have the same bytes, so the kind belongs to the key.
        delivery = content_key(what, inbound.body)
        status = item.maybe_text("status")
        kind = _what(what, status, item.maybe_text("state"))
        message_id = part.maybe_ident("id") or delivery
        if kind == "message.deleted":
            message_id = thread_id  # the whole conversation
        spoken = kind in ("ticket.created", "ticket.commented")
        raw = part.maybe_text("body") if spoken else ""
        text, html = read_either(raw)
        preview = item.maybe_text("preview") if spoken and not raw else ""
        time_us = _moment(item, part if spoken else Walk({}), what) or int(now_s * 1_000_000)
        assignee = item.maybe("assignee")
        source = self.options.name
        return Event(
            id=event_id(source, delivery),
            source=source,
            adapter=self.name,
            kind=kind,
            time=iso_from_us(time_us),
            version=time_us,
            thread=thread_id,
            subject=item.maybe_text("subject"),
            text=text or preview,
            html=html or html_of_text(preview),
            sender=_sender(item, part, what),
            recipients=_recipients(item),
            ticket=Ticket(
                id=item.maybe_ident("number") or thread_id,
                status=status,
                assignee=assignee.maybe_text("email") or _full_name(assignee),
            ),
            message_id=message_id,
            url=f"https://secure.helpscout.net/conversation/{thread_id}" if thread_id.isdigit() else "",
            attachments=_files(part, raw) if spoken else (),
            tags=tuple(name for tag in item.items("tags") if (name := tag.maybe_text("tag"))),
            delivery_id=delivery,
            # The conversation's threads may be missing from its webhook.
            unworded="" if part.value else "look_up" if spoken else "",
            payload=item.value,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a conversation and the customer's next message."""
        person = {"type": "customer", "first": "Kim", "last": "Example", "email": "kim@customer.example.com"}
        item = {
            "id": 900_000 + serial,
            "number": 1000 + serial,
            "threads": 1,
            "type": "email",
            "status": "active",
            "state": "published",
            "subject": "Two seats more",
            "preview": "We need two seats more.",
            "mailboxId": 85,
            "createdBy": {"id": 12, **person},
            "createdAt": iso_from_us(int(now_s) * 1_000_000),
            "tags": [],
            "cc": [],
            "bcc": [],
        }
        found = []
        for n, (what, body) in enumerate(
            [
                ("convo.created", "We need two seats more."),
                ("convo.customer.reply.created", "<p>Make it <b>three</b>, please.</p>"),
            ]
        ):
            part = {
                "id": 5_000_000 + serial * 10 + n,
                "type": "customer",
                "status": "active",
                "state": "published",
                "body": body,
                "createdBy": {"id": 12, **person},
                "createdAt": iso_from_us((int(now_s) + n * 60) * 1_000_000),
                "_embedded": {"attachments": []},
            }
            message: dict[str, Any] = {**item, "threads": n + 1, "_embedded": {"threads": [part]}}
            headers = {"content-type": "application/json", "x-helpscout-event": what}
            found.append(Sample(orjson.dumps(message), headers))
        return found

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        digest = b64encode(hmac_bytes(secret, sample.body, "sha1")).decode()
        headers = {**sample.headers, "x-helpscout-signature": digest, **login_headers(self.options)}
        return Sample(sample.body, headers, sample.method)


def _id_in_uri(item: Walk) -> str:
    """A webhook in notification mode brings no conversation, but where it is."""
    for name in ("uri", "resourceUri", "resource_uri", "url", "href"):
        found = _CONVERSATION.search(item.maybe_text(name))
        if found:
            return found[1]
    found = _CONVERSATION.search(item.maybe("_links").maybe("self").maybe_text("href"))
    return found[1] if found else ""


def _what(what: str, status: str, state: str) -> str:
    """The kind. The header that names the event is not signed: that a conversation was deleted counts only where the body
    says so."""
    if what == "convo.created":
        return "ticket.created"
    if what.endswith((".reply.created", ".note.created")):
        return "ticket.commented"
    if state == "deleted":
        return "message.deleted"
    if what == "convo.status" and status == "closed":
        return "ticket.solved"
    return "ticket.updated"


def _newest_part(item: Walk, what: str) -> Walk:
    """The thread (Help Scout's word for one message) that the event is about; `threads` itself is a count."""
    wanted = _THREAD_TYPES.get(what)
    if wanted is None:
        return Walk({})
    parts = [
        part
        for part in item.maybe("_embedded").items("threads")
        if not part.maybe_text("type") or part.maybe_text("type") in wanted
    ]
    if not parts:
        return Walk({})
    # Lists come newest first; a created conversation is about its oldest message.
    if what == "convo.created":
        return min(reversed(parts), key=_created_us)
    return max(parts, key=_created_us)


def _created_us(part: Walk) -> int:
    return moment_us(part.value.get("createdAt")) or 0


def _moment(item: Walk, part: Walk, what: str) -> int | None:
    names = ("createdAt",) if what == "convo.created" else ("updatedAt", "userUpdatedAt", "closedAt")
    found = moment_us(part.value.get("createdAt"))
    if found is not None:
        return found
    known = [moment for name in names if (moment := moment_us(item.value.get(name))) is not None]
    return max(known, default=None)


def _full_name(person: Walk) -> str:
    return f"{person.maybe_text('first')} {person.maybe_text('last')}".strip()


def _sender(item: Walk, part: Walk, what: str) -> Person:
    by = part.maybe("createdBy")
    if what == "convo.created" and item.maybe("createdBy").value:
        by = item.maybe("createdBy")
    if not by.value:
        by = part.maybe("customer")
    name = _full_name(by)
    if not name and by.maybe_text("email") == part.maybe("createdBy").maybe_text("email"):
        name = _full_name(part.maybe("createdBy"))
    return Person(id=by.maybe_ident("id"), name=name, email=by.maybe_text("email"))


def _files(part: Walk, html: str) -> tuple[Attachment, ...]:
    files = part.maybe("_embedded").items("attachments")
    found = read_files(
        [{**file.value, "url": file.maybe("_links").maybe("web").maybe_text("href")} for file in files]
    )
    return found or (() if text_of_html(html) else pictures_in(html))


def _recipients(item: Walk) -> tuple[Recipient, ...]:
    customer = item.maybe("primaryCustomer")
    found = [Recipient(email=email, role=role) for role in ("cc", "bcc") for email in item.texts(role)]
    if customer.maybe_text("email"):
        found.insert(
            0, Recipient(name=_full_name(customer), email=customer.maybe_text("email"), role="participant")
        )
    return tuple(found)
