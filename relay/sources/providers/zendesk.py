"""Zendesk webhooks in both modes: event subscriptions (fixed JSON), and triggers or automations (a template
that an administrator wrote).

Source: Zendesk, "Verifying webhook requests", "Webhook event types", "Ticket events", "Messaging ticket events".
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Attachment, Event, Person, Ticket, event_id
from relay.source_options import SourceOptions
from relay.sources.base import BaseAdapter, Inbound, Parked, Parsed, Sample, Skipped, hmac_bytes, iso_from_us
from relay.sources.foreign_json import Walk
from relay.sources.proof.credentials import login_headers, matches_base64
from relay.sources.proof.freshness import require_moment, window_s
from relay.sources.proof.rule import ProofRule, delivery_of, require_proof
from relay.sources.providers.zendesk_trigger import trigger_event
from relay.sources.read.attached import pictures_in, read_files
from relay.sources.read.markup import clean_html, html_of_text, text_of_html
from relay.sources.read.moment import moment_us
from relay.sources.read.privacy import UNSAID, Audience, audience, withheld
from relay.sources.read.templated import read_templated

_SIGNATURE = "x-zendesk-webhook-signature"
_SIGNED_AT = "x-zendesk-webhook-signature-timestamp"
#: Zendesk documents no window. It repeats a delivery within minutes, and does not say whether it signs anew.
_WINDOW_S = 3600.0

_PREFIX = "zen:event-type:"
_GONE = {
    "ticket.soft_deleted": "DELETED",
    "ticket.permanently_deleted": "DELETED",
    "ticket.marked_as_spam": "SPAM",
}


#: A comment's files come in events of their own.
_FILE_CHANGES = frozenset({"attachment_linked_to_comment", "attachment_redacted_from_comment"})
_RATINGS = ("satisfaction_score", "satisfaction_rating", "csat")
_PROGRAMS = frozenset({"system", "bot", "trigger"})
_BY_REQUESTER = frozenset({"created", "description_changed", "csat_received"})


class Zendesk(BaseAdapter):
    name: ClassVar[str] = "zendesk"
    #: A trigger sends whatever its author chose.
    content_types: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_proof(options, "the webhook's signing secret")
        self._rule = ProofRule(options)
        self.proof_window_s = window_s(options, _WINDOW_S)
        self._keep_bots = "bots" in options.keep

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        if self._rule.check_head(head, head.headers.get(_SIGNATURE, "")):
            sent_at = head.headers.get(_SIGNED_AT, "")
            if not sent_at:
                raise NotAuthentic("missing")
            require_moment(moment_us(sent_at), self.options, now_s=now_s, default_s=_WINDOW_S)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        """Verify with the secret, which looks like base64 but is the key verbatim."""
        if not self._rule.secret:
            return
        headers = inbound.headers
        signed = headers[_SIGNED_AT].encode("utf-8", "surrogatepass") + inbound.body
        if not matches_base64(headers[_SIGNATURE], self.options.secrets(), signed):
            raise NotAuthentic("signature")

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        return self._rule.once(inbound.headers.get(_SIGNED_AT, ""), inbound.body)

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        if not inbound.body.strip():
            return [Skipped("empty")]
        try:
            payload = read_templated(inbound)
            if _is_event(payload):
                return [self._event(Walk(payload))]
            delivery = self._delivery_key(inbound)
            return [trigger_event(payload, inbound, self.options, delivery=delivery, now_s=now_s)]
        except PayloadInvalid as error:
            # Zendesk does not repeat what was answered with a 400.
            return [Parked(str(error), self._delivery_key(inbound))]

    def _delivery_key(self, inbound: Inbound) -> str:
        return delivery_of(inbound, "x-zendesk-webhook-invocation-id")

    def _event(self, body: Walk) -> Parsed:
        what = body.text("type").removeprefix(_PREFIX)
        family, _, change = what.partition(".")
        if family not in ("ticket", "messaging_ticket"):
            return Skipped("type")
        delivery = body.text("id")
        detail, change_of = body["detail"], body.maybe("event")
        ticket_id = detail.maybe_ident("id") or body.maybe_text("subject").removeprefix("zen:ticket:")
        if not ticket_id:
            raise PayloadInvalid("wanted an id", "detail.id")
        time_us = moment_us(body.text("time"))
        if time_us is None:
            raise PayloadInvalid("wanted an RFC 3339 time", "time")
        comment = change_of.maybe("comment") if family == "ticket" else change_of.maybe("message")
        actor = change_of.maybe("actor")
        author = comment.maybe("author") if comment.value.get("author") else actor
        kind, text, message_id = self._what(what, change, detail, change_of, comment, ticket_id, delivery)
        sender = _person(author) if author.value else _actor(detail, change)
        is_file = change in _FILE_CHANGES
        said_of = _audience(detail, comment, sender, family, is_file=is_file)
        has_readers = kind != "message.deleted" and (comment.value or kind == "ticket.created" or is_file)
        # An agent's file may be a private note's, whose comment is not told here.
        if has_readers and (why := withheld(said_of, self.options, strict_by_default=is_file)):
            return Skipped(why)
        if sender.bot and kind == "message.created" and not self._keep_bots:
            return Skipped("bot")
        status = _GONE.get(what) or detail.maybe_text("status")
        if change == "status_changed":
            status = change_of.maybe_text("current") or status
        html = comment.maybe_text("html_body")
        source = self.options.name
        return Event(
            id=event_id(source, delivery),
            source=source,
            adapter=self.name,
            kind=kind,
            time=iso_from_us(time_us),
            # Several changes of one update share its time; their sequence tells which is last.
            version=time_us + _position(change_of),
            thread=ticket_id,
            subject=detail.maybe_text("subject"),
            text=text,
            html=clean_html(html) if html else html_of_text(text),
            sender=sender,
            ticket=Ticket(
                id=ticket_id,
                status=status,
                priority=detail.maybe_text("priority"),
                assignee=detail.maybe_ident("assignee_id"),
            ),
            message_id=message_id,
            attachments=_files(change_of, comment, html if not text else ""),
            tags=tuple(detail.texts("tags")),
            delivery_id=delivery,
            remarks=(UNSAID,) if is_file and not said_of else (),
            # `messaging_ticket.message_added` may tell the ticket's id alone.
            unworded="" if comment.value else "look_up" if family == "messaging_ticket" else "",
            payload=body.value,
        )

    def _what(
        self,
        what: str,
        change: str,
        detail: Walk,
        change_of: Walk,
        comment: Walk,
        ticket_id: str,
        delivery: str,
    ) -> tuple[str, str, str]:
        """Kind, text and message id."""
        comment_id = comment.maybe_ident("id") or delivery
        body = comment.maybe_text("body") or text_of_html(comment.maybe_text("html_body"))
        if what == "messaging_ticket.message_added":
            return "message.created", body, comment_id
        if change == "created":
            return (
                "ticket.created",
                detail.maybe_text("description"),
                f"{ticket_id}-description",
            )
        if change == "description_changed":
            # Emptied, too: what is taken out never comes back, and a description may.
            return "message.updated", change_of.maybe_text("current"), f"{ticket_id}-description"
        if change == "comment_added":
            return "ticket.commented", body, comment_id
        if change == "csat_received" and (rating := _rating(change_of)):
            return "ticket.commented", rating, f"rating-{ticket_id}"
        if change in _FILE_CHANGES:
            kind = "ticket.commented" if change.endswith("linked_to_comment") else "message.deleted"
            return kind, "", f"file-{_file_of(change_of, comment).maybe_ident('id') or delivery}"
        if change in ("comment_made_private", "comment_redacted") and comment.value:
            text = body if change == "comment_redacted" else ""
            return ("message.updated" if text else "message.deleted"), text, comment_id
        if change == "status_changed" and change_of.maybe_text("current").lower() == "solved":
            return "ticket.solved", "", delivery
        return "ticket.updated", "", delivery

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a ticket and a comment on it."""
        detail = {
            "id": str(40_000 + serial),
            "actor_id": "360001",
            "requester_id": "360001",
            "assignee_id": "360002",
            "subject": "The export stops at 500 rows",
            "description": "Since this morning the export ends after 500 rows.",
            "status": "OPEN",
            "priority": "HIGH",
            "tags": ["export"],
            "is_public": True,
        }
        comment = {
            "id": str(90_000_000 + serial),
            "body": "We found it: a fix is on its way.",
            "is_public": True,
            "author": {"id": "360002", "is_staff": True, "name": "Sam Support"},
        }
        return [
            _sample_event("ticket.created", detail, {}, serial, now_s),
            _sample_event("ticket.comment_added", detail, {"comment": comment}, serial, now_s + 60),
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        headers = dict(sample.headers)
        secret = next((secret for secret in self.options.secrets() if secret), "")
        if secret:
            sent_at = iso_from_us(int(now_s * 1_000_000))
            digest = hmac_bytes(secret, sent_at.encode() + sample.body)
            headers["x-zendesk-webhook-signature-timestamp"] = sent_at
            headers["x-zendesk-webhook-signature"] = b64encode(digest).decode()
        return Sample(sample.body, {**headers, **login_headers(self.options)}, sample.method)


def _is_event(payload: dict[str, Any]) -> bool:
    what = payload.get("type")
    if isinstance(what, str) and what.startswith("zen:"):
        return True
    # An event without a type is still no template: nobody names both of these.
    return isinstance(payload.get("detail"), dict) and isinstance(payload.get("event"), dict)


def _person(author: Walk) -> Person:
    author_id = author.maybe_ident("id")
    # Zendesk's own programs are "zd:answerBot" and the like, of type "system"; a rule of the account's is a "trigger".
    bot = author.maybe_text("type").lower() in _PROGRAMS or author_id.startswith("zd:")
    return Person(
        id=author_id,
        name=author.maybe_text("name"),
        email=author.maybe_text("email"),
        bot=bot,
    )


def _actor(detail: Walk, change: str) -> Person:
    """`detail` names people by id only. What the ticket was opened with stays the requester's, whoever changed it."""
    actor_id, requester_id = detail.maybe_ident("actor_id"), detail.maybe_ident("requester_id")
    return Person(id=(requester_id or actor_id) if change in _BY_REQUESTER else actor_id)


def _audience(detail: Walk, comment: Walk, sender: Person, family: str, *, is_file: bool) -> Audience:
    """Who may read the comment; messages of a messaging ticket are the customer's talk: there are no private ones."""
    told = audience(comment.value) if comment.value else audience(detail.value)
    if is_file:
        # The ticket's own flag says nothing of one comment; what the requester sent is no note.
        told = audience(comment.value)
        by_requester = bool(sender.id) and sender.id == detail.maybe_ident("requester_id")
        return told or ("public" if by_requester else "")
    return told if family == "ticket" else told or "public"


def _file_of(change_of: Walk, comment: Walk) -> Walk:
    """The file that an event of its own tells of, beside the comment or in it."""
    return comment.maybe("attachment") if comment.value.get("attachment") else change_of.maybe("attachment")


def _files(change_of: Walk, comment: Walk, html: str) -> tuple[Attachment, ...]:
    """The comment's files, else the pictures of its HTML (`html`, where it has no words)."""
    listed = read_files(comment.value.get("attachments"))
    return listed or read_files(_file_of(change_of, comment).value) or pictures_in(html)


def _rating(change_of: Walk) -> str:
    """The customer's answer to the satisfaction survey: rating, reason and remark, a line each."""
    for name in _RATINGS:
        given = change_of.maybe(name)
        if score := given.maybe_ident("score") or given.maybe_ident("rating"):
            reason = given.maybe_text("reason") or given.maybe("reason").maybe_text("value")
            remark = given.maybe_text("comment") or given.maybe("comment").maybe_text("body")
            lines = (f"Rating: {score.capitalize()}", f"Reason: {reason}" if reason else "", remark)
            return "\n".join(line for line in lines if line)
    return ""


def _position(change_of: Walk) -> int:
    position = change_of.maybe("meta").maybe("sequence").maybe_number("position") or 0
    return int(min(max(position, 0), 999))


def _sample_event(
    what: str, detail: dict[str, Any], event: dict[str, Any], serial: int, now_s: float
) -> Sample:
    moment = iso_from_us(int(now_s * 1_000_000))
    body = {
        "account_id": 21_000_001,
        "id": f"sample-{what}-{serial}",
        "type": _PREFIX + what,
        "time": moment,
        "subject": f"zen:ticket:{detail['id']}",
        "zendesk_event_version": "2022-11-06",
        "detail": {**detail, "updated_at": moment},
        "event": event,
    }
    return Sample(orjson.dumps(body), {"content-type": "application/json"})
