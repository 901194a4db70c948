"""Zendesk triggers and automations: JSON or a form that an administrator wrote, with Zendesk's placeholders.

`ticket.latest_comment` may be a note that only agents see, so a template with it has to say whether the comment is
public ("is_public": "{{ticket.latest_comment.is_public}}"), or use `ticket.latest_public_comment`.
Source: Zendesk, "Placeholders reference", "Creating webhooks to interact with third-party systems".
"""

from __future__ import annotations

from typing import Any

from relay.errors import PayloadInvalid
from relay.event import Event, Person, Recipient, Ticket, event_id
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parsed, Skipped, content_key, iso_from_us
from relay.sources.read.moment import moment_us
from relay.sources.read.privacy import UNSAID, audience, withheld
from relay.sources.read.templated import Comment, Fields

_SOLVED = frozenset({"solved", "closed"})
_TIMES = (
    *(
        "timestamp",
        "time",
        "updatedat",
        "updatedatwithtimestamp",
        "createdat",
        "createdatwithtimestamp",
        "date",
    ),
    *("commentcreatedat", "latestcommentcreatedat"),
)


def trigger_event(
    payload: dict[str, Any], inbound: Inbound, options: SourceOptions, *, delivery: str, now_s: float
) -> Parsed:
    """Return the event of a trigger's body. Raises PayloadInvalid, with a sentence for the administrator, where it names no
    ticket."""
    fields = Fields(payload)
    ticket_id = fields.text("ticketid", "id", "ticket", "ticketnumber")
    if not ticket_id:
        raise PayloadInvalid('the trigger\'s body names no ticket: add "ticket_id": "{{ticket.id}}"')
    told = audience(payload)
    comment, description = fields.comment(), fields.description()
    if not comment and told == "private":
        comment = fields.comment(private=True)
    files = fields.files()
    kind, said, message_id = _what(fields, comment, description, ticket_id, delivery, inbound, bool(files))
    unsaid = said is comment and bool(said or files) and not told and not said.named_public
    if told == "private" or unsaid:
        why = withheld(told, options, strict_by_default=said.any_latest or not said)
        if why:
            return Skipped(why)
    time_us = (
        fields.moment_us(*_TIMES)
        or moment_us(inbound.headers.get("x-zendesk-webhook-signature-timestamp", ""))
        or int(now_s * 1_000_000)
    )
    requester = Person(
        id=fields.text("requesterid"),
        name=fields.text("requestername"),
        email=fields.text("requesteremail", "email"),
    )
    return Event(
        id=event_id(options.name, delivery),
        source=options.name,
        adapter=options.adapter,
        kind=kind,
        time=iso_from_us(time_us),
        version=time_us,
        thread=ticket_id,
        subject=fields.text("subject", "title", "ticketsubject", "tickettitle"),
        text=said.text,
        html=said.html,
        sender=requester if kind == "ticket.created" else _author(fields, requester),
        recipients=_people(requester),
        ticket=Ticket(
            id=ticket_id,
            status=fields.text("status"),
            priority=fields.text("priority"),
            assignee=fields.text("assigneeemail", "assignee", "assigneename", "assigneeid"),
        ),
        message_id=message_id,
        url=fields.text("ticketurl", "url", "link", "ticketlink"),
        attachments=files,
        tags=fields.words("tags", "tickettags"),
        delivery_id=delivery,
        unworded="trigger",
        remarks=(UNSAID,) if unsaid else (),
        payload=payload,
    )


def _what(
    fields: Fields,
    comment: Comment,
    description: Comment,
    ticket_id: str,
    delivery: str,
    inbound: Inbound,
    has_files: bool,
) -> tuple[str, Comment, str]:
    """Kind, what was written, and the message's id."""
    what = fields.text("type", "event", "eventtype", "action").lower()
    if "creat" in what or what.startswith("new") or (description and not comment):
        return "ticket.created", description or comment, f"{ticket_id}-description"
    # A picture alone is a comment without words.
    if comment or has_files or "comment" in what:
        message_id = fields.text("commentid", "latestcommentid", "latestpubliccommentid")
        return "ticket.commented", comment, message_id or content_key(inbound.body)
    kind = "ticket.solved" if fields.text("status").lower() in _SOLVED else "ticket.updated"
    return kind, comment, delivery


def _author(fields: Fields, requester: Person) -> Person:
    """Who wrote a comment, as far as the template names them: an agent's words are not the requester's."""
    named = Person(
        id=fields.text("authorid", "commentauthorid", "latestcommentauthorid", "currentuserid"),
        name=fields.text(
            *("authorname", "author", "commentauthorname", "commentauthor", "latestcommentauthorname"),
            *("latestpubliccommentauthorname", "currentusername", "currentuser", "agentname"),
        ),
        email=fields.text(
            *(
                "authoremail",
                "commentauthoremail",
                "latestcommentauthoremail",
                "latestpubliccommentauthoremail",
            ),
            "currentuseremail",
        ),
    )
    what = fields.text("type", "event", "eventtype", "action").lower()
    by_customer = any(word in what for word in ("end user", "enduser", "end-user", "customer", "requester"))
    return requester if named == Person() and by_customer else named


def _people(requester: Person) -> tuple[Recipient, ...]:
    if not (requester.name or requester.email):
        return ()
    return (Recipient(name=requester.name, email=requester.email, role="participant"),)
