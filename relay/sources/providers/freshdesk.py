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
from relay.sources.proof.rule import Rule, require_proof, token_of
from relay.sources.read.markup import clean_html, text_of_html
from relay.sources.read.templated import Fields, read_templated

#: `triggered_event` looks like JSON and is none: {status:{from:4,to:6}}
_TRIGGER = re.compile(r"(\w+)\s*:\s*(?:\{\s*from\s*:\s*([^,{}]*),\s*to\s*:\s*([^,{}]*)\}|([^,{}]*))")
_DONE = frozenset({"resolved", "closed", "4", "5"})
_COMMENT = (
    *("latestpubliccomment", "ticketlatestpubliccomment", "latestcomment", "ticketlatestcomment"),
    *("comment", "note", "notebody", "reply", "body", "message"),
)
_PRIVATE_COMMENT = ("latestprivatecomment", "ticketlatestprivatecomment")


class Freshdesk(BaseAdapter):
    name: ClassVar[str] = "freshdesk"
    content_types: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_proof(options, "a long random value that the URL carries as ?token=")
        self._rule = Rule(options)
        self._keep_private = "private" in options.keep

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)
        self._rule.check_token(token_of(head))

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        """Freshdesk signs nothing."""

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        try:
            return [self._event(inbound, read_templated(inbound), now_s)]
        except PayloadInvalid as error:
            # Freshdesk repeats it three times in an hour and then mails the administrator: keep it instead.
            return [Parked(str(error), content_key(inbound.body))]

    def _event(self, inbound: Inbound, payload: dict[str, Any], now_s: float) -> Parsed:
        wrapped = payload.get("freshdesk_webhook")
        fields = Fields(wrapped if isinstance(wrapped, dict) else payload)
        ticket_id = fields.text("ticketid", "id", "displayid", "ticketdisplayid")
        if not ticket_id:
            raise PayloadInvalid('the webhook\'s content names no ticket: add "ticket_id": "{{ticket.id}}"')
        triggers = _triggers(fields.text("triggeredevent", "event", "tickettriggeredevent"))
        if (
            triggers.get("note_type") == "private"
            or fields.flag("private", "isprivate") is True
            or fields.flag("public", "ispublic") is False
        ):
            if not self._keep_private:
                return Skipped("private")
            comment = fields.text(*_PRIVATE_COMMENT, *_COMMENT)
        else:
            comment = fields.text(*_COMMENT)
        status = fields.text("ticketstatus", "status")
        delivery = content_key(inbound.body)
        kind, raw = _what(triggers, status, fields, comment)
        message_id = f"{ticket_id}-description" if kind == "ticket.created" else delivery
        time_us = fields.moment_us(
            "timestamp", "time", "ticketupdatedat", "updatedat", "ticketcreatedat", "createdat"
        ) or int(now_s * 1_000_000)
        requester = Person(
            id=fields.text("requesterid", "ticketrequesterid", "contactid"),
            name=fields.text("requestername", "ticketrequestername", "contactname", "ticketfrom"),
            email=fields.text("requesteremail", "ticketrequesteremail", "ticketfromemail", "contactemail"),
        )
        agent = Person(
            name=fields.text("authorname", "commentauthor", "agentname", "ticketagentname"),
            email=fields.text("authoremail", "agentemail", "ticketagentemail"),
        )
        # Who commented is told only by a template that says so; a note is seldom the requester's.
        sender = agent if kind == "ticket.commented" else requester
        url = fields.text("ticketurl", "ticketportalurl", "url", "link")
        return Event(
            id=event_id(self.options.name, delivery),
            source=self.options.name,
            adapter=self.name,
            kind=kind,
            time=iso_from_us(time_us),
            version=time_us,
            thread=ticket_id,
            subject=fields.text("ticketsubject", "subject", "title"),
            text=text_of_html(raw),
            html=clean_html(raw),
            sender=sender,
            recipients=_recipients(fields, requester),
            ticket=Ticket(
                id=ticket_id,
                status=status,
                priority=fields.text("ticketpriority", "priority"),
                assignee=fields.text("ticketagentemail", "agentemail", "ticketagentname", "agentname"),
            ),
            message_id=message_id,
            url=url if url.startswith(("https://", "http://")) else "",
            tags=fields.words("tickettags", "tags"),
            delivery_id=delivery,
            payload=payload,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """A ticket and a public reply to it."""
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


def _what(triggers: dict[str, str], status: str, fields: Fields, comment: str) -> tuple[str, str]:
    """Kind, and the HTML that belongs to it."""
    description = fields.text("ticketdescription", "description", "ticketdescriptionhtml")
    if triggers.get("ticket_action") == "created" or (not triggers and description and not comment):
        return "ticket.created", description
    if "note_type" in triggers or "reply_sent" in triggers or "comment_added" in triggers:
        return "ticket.commented", comment
    if triggers.get("status", "") in _DONE or ("status" in triggers and status.lower() in _DONE):
        return "ticket.solved", ""
    if not triggers and comment:
        return "ticket.commented", comment
    return "ticket.updated", ""
