"""Freshdesk automations ("Trigger webhook"), in simple mode and with a template of the administrator's.

Freshdesk signs nothing, repeats no id and tells no time: a login or a secret in the URL proves the sender, the
body's hash is the delivery, and the order is that of arrival unless the template names a time.
Source: Freshdesk, "Using webhooks in automation rules".
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import orjson

from relay.errors import PayloadInvalid
from relay.event import Event, Person, Recipient, Ticket, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    BaseAdapter,
    Inbound,
    Parked,
    Parsed,
    Sample,
    Skipped,
    content_key,
    iso_from_us,
)
from relay.sources.proof.credentials import login_headers
from relay.sources.proof.rule import ProofRule, require_proof, token_of
from relay.sources.read.either import read_either
from relay.sources.read.privacy import UNSAID, Audience, audience, withheld
from relay.sources.read.templated import Comment, Fields, read_templated

#: `triggered_event` looks like JSON and is none: {status:{from:4,to:6}}
_TRIGGER = re.compile(r"(\w+)\s*:\s*(?:\{\s*from\s*:\s*([^,{}]*),\s*to\s*:\s*([^,{}]*)\}|([^,{}]*))")
_DONE = frozenset({"resolved", "closed", "4", "5"})


class Freshdesk(BaseAdapter):
    name: ClassVar[str] = "freshdesk"
    content_types: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_proof(options, "a long random value that the URL carries as ?token=")
        self._rule = ProofRule(options)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)
        self._rule.check_token(token_of(head))

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        """Verify nothing: Freshdesk signs nothing."""

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        try:
            return [self._event(inbound, read_templated(inbound), now_s)]
        except PayloadInvalid as error:
            # Freshdesk repeats it three times in an hour and then mails the administrator: keep it instead.
            return [Parked(str(error), content_key(inbound.body))]

    def _event(self, inbound: Inbound, payload: dict[str, Any], now_s: float) -> Parsed:
        fields = Fields(payload)
        ticket_id = fields.text("ticketid", "id", "displayid", "ticketdisplayid")
        if not ticket_id:
            raise PayloadInvalid('the webhook\'s content names no ticket: add "ticket_id": "{{ticket.id}}"')
        triggers = _triggers(fields.text("triggeredevent", "event", "tickettriggeredevent"))
        told, comment = _heard(fields, triggers, payload)
        status = fields.text("status", "ticketstatus")
        delivery = content_key(inbound.body)
        kind, said = _what(triggers, status, fields, comment)
        unsaid = said is comment and bool(said) and not told
        if told == "private" or unsaid:
            why = withheld(told, self.options, strict_by_default=comment.any_latest)
            if why:
                return Skipped(why)
        time_us = fields.moment_us(
            "timestamp", "time", "updatedat", "ticketupdatedat", "createdat", "ticketcreatedat"
        ) or int(now_s * 1_000_000)
        requester = Person(
            id=fields.text("requesterid", "contactid"),
            name=fields.text("requestername", "contactname", "ticketfrom"),
            email=fields.text("requesteremail", "ticketfromemail", "contactemail"),
        )
        rating = _rating(fields) if kind != "ticket.created" else ""
        if rating:
            kind, said = "ticket.commented", Comment(*read_either(rating))
        url = fields.text("ticketurl", "ticketportalurl", "url", "link")
        spoken = kind in ("ticket.created", "ticket.commented")
        return Event(
            id=event_id(self.options.name, delivery),
            source=self.options.name,
            adapter=self.name,
            kind=kind,
            time=iso_from_us(time_us),
            version=time_us,
            thread=ticket_id,
            subject=fields.text("ticketsubject", "subject", "title"),
            text=said.text,
            html=said.html,
            sender=requester if kind == "ticket.created" or rating else _author(fields),
            recipients=_recipients(fields, requester),
            ticket=Ticket(
                id=ticket_id,
                status=status,
                priority=fields.text("priority", "ticketpriority"),
                assignee=fields.text("agentemail", "ticketagentemail", "agentname", "ticketagentname"),
            ),
            message_id=f"{ticket_id}-description" if kind == "ticket.created" else delivery,
            url=url if url.startswith(("https://", "http://")) else "",
            attachments=fields.files() if spoken else (),
            tags=fields.words("tickettags", "tags"),
            delivery_id=delivery,
            # Simple mode tells that a note was written, and not what it says.
            unworded="trigger" if spoken else "",
            remarks=(UNSAID,) if unsaid else (),
            payload=payload,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a ticket and a public reply to it."""
        ticket = {
            "ticket_id": str(7000 + serial),
            "ticket_url": f"https://acme.freshdesk.example/helpdesk/tickets/{7000 + serial}",
            "ticket_type": "Question",
            "ticket_subject": "Invoice for March",
            "ticket_description": "<div>Could you send the invoice for <b>March</b> again?</div>",
            "ticket_status": "Open",
            "ticket_priority": "Medium",
            "requester_name": "Kim Example",
            "requester_email": "kim@customer.example.com",
        }
        reply = {
            **ticket,
            "triggered_event": "{note_type:public}",
            "ticket_latest_public_comment": "It is on its way.",
        }
        created = {**ticket, "triggered_event": "{ticket_action:created}"}
        headers = {"content-type": "application/json"}
        return [Sample(orjson.dumps({"freshdesk_webhook": body}), headers) for body in (created, reply)]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        headers = {**sample.headers, **login_headers(self.options)}
        secret = next((secret for secret in self.options.secrets() if secret), "")
        if secret:
            headers["x-webhook-token"] = secret
        return Sample(sample.body, headers, sample.method)


def _recipients(fields: Fields, requester: Person) -> tuple[Recipient, ...]:
    found = [
        Recipient(email=email, role="cc")
        for email in fields.words("ticketccemails", "ccemails", "cc")
        if "@" in email
    ]
    if requester.name or requester.email:
        found.insert(0, Recipient(name=requester.name, email=requester.email, role="participant"))
    return tuple(found)


def _triggers(text: str) -> dict[str, str]:
    """What happened: {"status": "6"}, {"note_type": "private"}, {"ticket_action": "created"}."""
    return {
        found[1]: (found[3] if found[3] is not None else found[4] or "").strip()
        for found in _TRIGGER.finditer(text[:1000])
    }


def _heard(fields: Fields, triggers: dict[str, str], payload: dict[str, Any]) -> tuple[Audience, Comment]:
    """Who may read what was written last, and what that is."""
    comment, hidden = fields.comment(), fields.comment(private=True)
    told = audience(payload)
    note = triggers.get("note_type", "").lower()
    # The latest comment of all and the latest private one are the same: it is private.
    repeats = bool(hidden) and bool(comment) and hidden.text == comment.text and not comment.named_public
    if note == "private" or told == "private" or repeats:
        return "private", hidden or comment
    if note == "public" or comment.named_public or "reply_sent" in triggers:
        return "public", comment
    return told, comment


def _author(fields: Fields) -> Person:
    """Who commented, where the template says so. The ticket's agent and its requester are no authors."""
    return Person(
        id=fields.text("authorid", "commentauthorid"),
        name=fields.text("authorname", "author", "commentauthor", "commentauthorname", "performername"),
        email=fields.text("authoremail", "commentauthoremail", "performeremail"),
    )


def _rating(fields: Fields) -> str:
    """A customer's answer to the survey, as a line: rating and remark."""
    rating = fields.text("surveyrating", "satisfactionrating", "csatrating", "feedbackrating")
    remark = fields.text(
        "surveyfeedback", "surveyremark", "satisfactionfeedback", "feedback", "surveycomment"
    )
    if not rating and not remark:
        return ""
    return ": ".join(part for part in (f"Rating {rating}".strip() if rating else "Rating", remark) if part)


def _what(triggers: dict[str, str], status: str, fields: Fields, comment: Comment) -> tuple[str, Comment]:
    """Kind, and what was written."""
    description = fields.description()
    if triggers.get("ticket_action") == "created" or (not triggers and description and not comment):
        return "ticket.created", description
    if "note_type" in triggers or "reply_sent" in triggers or "comment_added" in triggers:
        return "ticket.commented", comment
    if triggers.get("status", "") in _DONE or ("status" in triggers and status.lower() in _DONE):
        return "ticket.solved", Comment()
    if not triggers and comment:
        return "ticket.commented", comment
    return "ticket.updated", Comment()
