"""Front, both its webhooks: those of an application (signed with the time, enveloped) and those of a rule.

Source: Front, "Application webhooks", "Rule webhooks", "Validate data integrity", "Events".
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event, Person, Recipient, Ticket, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    Answers,
    BaseAdapter,
    Inbound,
    Parsed,
    Reply,
    Sample,
    Skipped,
    content_key,
    hmac_bytes,
    iso_from_us,
    require_recent,
)
from relay.sources.foreign_json import Walk, json_object
from relay.sources.proof.credentials import login_headers, matches_base64, require_secret
from relay.sources.proof.rule import ProofRule
from relay.sources.read.attached import pictures_in, read_files
from relay.sources.read.either import read_either
from relay.sources.read.markup import html_of_text
from relay.sources.read.moment import moment_us
from relay.sources.read.privacy import is_private

_SPOKEN = frozenset({"inbound", "outbound", "out_reply", "forward"})
_PRIVATE = frozenset({"comment", "mention"})
_AUTOMATIC = frozenset({"autoreply", "auto_reply", "out_autoreply", "outbound_autoreply"})
_STATES = frozenset(
    {
        *("assign", "unassign", "archive", "reopen", "restore", "trash", "tag", "untag", "move"),
        *("reminder", "snooze", "unsnooze", "sending_error", "message_bounce_error", "status_changed"),
        *("link_added", "link_removed", "conversation_custom_fields_updated"),
    }
)


class Front(BaseAdapter):
    name: ClassVar[str] = "front"
    #: Front repeats on 408, 429 and 500 only.
    answers = Answers(try_later=429)

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the application's signing key, or the API secret for rules")
        self._rule = ProofRule(options)
        if options.scheme not in ("", "application", "rule"):
            raise ValueError(f"source {options.name!r}: scheme must be application or rule")
        self._keep = options.keep

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        given = head.headers.get("x-front-signature", "")
        if self._rule.check_head(head, given) and not self._signed_by_rule(head):
            sent_at = head.headers.get("x-front-request-timestamp", "")
            if not sent_at:
                raise NotAuthentic("missing")
            # Milliseconds; seconds are read as well.
            require_recent(sent_at[:-3] if len(sent_at) > 11 else sent_at, now_s=now_s)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if not self._rule.secret:
            return
        given, secrets = inbound.headers["x-front-signature"], self.options.secrets()
        if self._signed_by_rule(inbound):
            found = matches_base64(given, secrets, inbound.body, "sha1")
        else:
            sent_at = inbound.headers["x-front-request-timestamp"]
            signed = b"%b:%b" % (sent_at.encode("utf-8", "surrogatepass"), inbound.body)
            found = matches_base64(given, secrets, signed)
        if not found:
            raise NotAuthentic("signature")

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        return self._rule.once(inbound.body) if self.timeless(inbound) else ()

    def timeless(self, inbound: Inbound) -> bool:
        return self._rule.secret and self._signed_by_rule(inbound)

    def _signed_by_rule(self, head: Inbound) -> bool:
        """Whether a rule's webhook sent this, and not an application's."""
        scheme, sent_at = self.options.scheme, head.headers.get("x-front-request-timestamp", "")
        return scheme == "rule" or (not sent_at and scheme != "application")

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        challenge = inbound.headers.get("x-front-challenge", "")
        if not challenge or inbound.method != "POST":
            return None
        return Reply(200, challenge.encode("utf-8", "replace"))

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        payload = json_object(inbound.body)
        body = Walk(payload)
        if body.maybe_text("type") == "sync":
            return [Skipped("handshake")]
        # An application's event stands in an envelope, whose own type is another word for the same.
        event = body["payload"] if isinstance(payload.get("payload"), dict) else body
        what = event.text("type")
        if what in _AUTOMATIC and "auto_replies" not in self._keep:
            return [Skipped("auto_reply")]
        if what in _PRIVATE and "private" not in self._keep:
            return [Skipped("private")]
        if what not in _SPOKEN and what not in _PRIVATE and what not in _AUTOMATIC and what not in _STATES:
            if event is body and "authorization" in payload:
                raise PayloadInvalid("wanted an object", "payload")
            return [Skipped("type")]
        conversation = event["conversation"]
        message = event.maybe("target").maybe("data") if what not in _STATES else Walk({})
        if is_private(message.value) and "private" not in self._keep:
            return [Skipped("private")]
        draft = message.value.get("is_draft") is True or conversation.value.get("status") == "invisible"
        if draft and "drafts" not in self._keep:
            return [Skipped("draft")]
        return [self._event(body, event, conversation, message, what, inbound, now_s)]

    def _event(
        self,
        body: Walk,
        event: Walk,
        conversation: Walk,
        message: Walk,
        what: str,
        inbound: Inbound,
        now_s: float,
    ) -> Event:
        thread = conversation.text("id")
        delivery = event.maybe_text("id") or content_key(inbound.body)
        time_us = moment_us(event.value.get("emitted_at")) or int(now_s * 1_000_000)
        if what in _STATES:
            kind = "ticket.solved" if what == "archive" else "ticket.updated"
        else:
            kind = "message.created"
        raw = message.maybe_text("body")
        if what in _PRIVATE:  # a comment's body is plain text
            text, html = raw.strip(), html_of_text(raw.strip())
        else:
            plain, html = read_either(raw)
            text = message.maybe_text("text").strip() or plain
            html = html or html_of_text(text)
        assignee = conversation.maybe("assignee")
        return Event(
            id=event_id(self.options.name, delivery),
            source=self.options.name,
            adapter=self.name,
            kind=kind,
            time=iso_from_us(time_us),
            version=time_us,
            thread=thread,
            subject=conversation.maybe_text("subject") or message.maybe_text("subject"),
            text=text,
            html=html,
            sender=_sender(event, message),
            recipients=_recipients(message, conversation),
            ticket=Ticket(
                id=thread,
                status=conversation.maybe_text("status"),
                assignee=assignee.maybe_text("email") or assignee.maybe_text("username"),
            ),
            message_id=message.maybe_ident("id") or delivery,
            url=f"https://app.frontapp.com/open/{thread}" if thread.replace("_", "").isalnum() else "",
            attachments=read_files(message.value.get("attachments")) or (() if text else pictures_in(raw)),
            tags=tuple(name for tag in conversation.items("tags") if (name := tag.maybe_text("name"))),
            delivery_id=delivery,
            payload=body.value,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a customer's mail and the answer to it."""
        customer = {"name": "Kim Example", "handle": "kim@customer.example.com"}
        shop = {"name": None, "handle": "help@shop.example.com"}
        agent = {"id": "tea_s1", "email": "sam@shop.example.com", "first_name": "Sam", "last_name": "Support"}
        asked = {
            "id": f"msg_a{serial}",
            "type": "email",
            "is_inbound": True,
            "created_at": now_s,
            "subject": "Where is my parcel?",
            "body": "<p>Where is my parcel?</p>",
            "text": "Where is my parcel?",
            "author": None,
            "recipients": [{**customer, "role": "from"}, {**shop, "role": "to"}],
            "attachments": [],
            "is_draft": False,
        }
        answered = {
            **asked,
            "id": f"msg_b{serial}",
            "is_inbound": False,
            "created_at": now_s + 60,
            "body": "<p>It arrives <b>tomorrow</b>.</p>",
            "text": "It arrives tomorrow.",
            "author": agent,
            "recipients": [{**shop, "role": "from"}, {**customer, "role": "to"}],
        }
        return [
            self._sample_event(f"evt_a{serial}", "inbound", "inbound_received", serial, now_s, asked),
            self._sample_event(f"evt_b{serial}", "out_reply", "outbound_sent", serial, now_s + 60, answered),
        ]

    def _sample_event(
        self, sample_id: str, what: str, outer: str, serial: int, now_s: float, message: dict[str, Any]
    ) -> Sample:
        event = {
            "id": sample_id,
            "type": what,
            "emitted_at": round(now_s, 3),
            "conversation": {
                "id": f"cnv_s{serial}",
                "subject": "Where is my parcel?",
                "status": "unassigned",
                "assignee": None,
                "recipient": {"name": "Kim Example", "handle": "kim@customer.example.com", "role": "from"},
                "tags": [],
                "last_message": message,
            },
            "target": {"_meta": {"type": "message"}, "data": message},
        }
        if self.options.scheme != "rule":
            event = {"type": outer, "authorization": {"id": "cmp_sample"}, "payload": event}
        return Sample(orjson.dumps(event), {"content-type": "application/json"})

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        if self.options.scheme == "rule":
            digest = hmac_bytes(secret, sample.body, "sha1")
            proof = {}
        else:
            sent_at_ms = str(int(now_s * 1000))
            digest = hmac_bytes(secret, b"%b:%b" % (sent_at_ms.encode(), sample.body))
            proof = {"x-front-request-timestamp": sent_at_ms}
        proof["x-front-signature"] = b64encode(digest).decode()
        return Sample(sample.body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)


def _teammate(author: Walk) -> Person:
    name = f"{author.maybe_text('first_name')} {author.maybe_text('last_name')}".strip()
    return Person(
        id=author.maybe_ident("id"),
        name=name or author.maybe_text("username"),
        email=author.maybe_text("email"),
    )


def _sender(event: Walk, message: Walk) -> Person:
    author = message.maybe("author")
    if author.value:
        return _teammate(author)
    for recipient in message.items("recipients"):
        if recipient.maybe_text("role") == "from":
            handle = recipient.maybe_text("handle")
            return Person(id=handle, name=recipient.maybe_text("name"), email=handle if "@" in handle else "")
    source = event.maybe("source")
    kind, data = source.maybe("_meta").maybe_text("type"), source.maybe("data")
    if kind == "teammate":
        return _teammate(data)
    return Person(id=data.maybe_ident("id"), name=data.maybe_text("name"), bot=kind in ("rule", "api"))


def _recipients(message: Walk, conversation: Walk) -> tuple[Recipient, ...]:
    """Those of the message; and the conversation's own recipient, who is the customer, as participant wherever the
    customer did not write."""
    found = []
    sender = ""
    for recipient in message.items("recipients"):
        handle, role = recipient.maybe_text("handle"), recipient.maybe_text("role")
        if role == "from":
            sender = handle
        elif handle:
            email = handle if "@" in handle else ""
            found.append(Recipient(name=recipient.maybe_text("name"), email=email, role=role or "to"))
    customer = conversation.maybe("recipient")
    handle = customer.maybe_text("handle")
    if "@" in handle and handle != sender:
        found.append(Recipient(name=customer.maybe_text("name"), email=handle, role="participant"))
    return tuple(found)
