"""Help desks and shared inboxes."""

from __future__ import annotations

from functools import partial

from relay.sources.described.shape import Preset, Shape, Who
from relay.sources.proof.choose import ProofPreset

_HEX = {"hash": "sha256", "encoding": "hex"}

_PYLON_WORDS = "message.body_html message_html message body_html data.body_html data.message"
_PYLON_FILES = "attachment_urls issue.attachment_urls data.attachment_urls"
_pylon = partial(
    Shape,
    thread="issue_id issue.id data.issue_id data.id",
    time="message.created_at updated_at issue.updated_at data.updated_at",
    subject="title issue.title data.title",
    customer=Who(
        name="requester_name requester.name issue.requester.name",
        email="requester_email requester.email issue.requester.email",
    ),
    ticket_id="number issue.number data.number",
    status="state issue.state data.state",
    solved="state=closed issue.state=closed data.state=closed",
    assignee="assignee issue.assignee.email data.assignee.email",
    url="link issue.link data.link",
    tags="tags issue.tags data.tags",
)

#: Source: Pylon, "Webhooks" (verifying webhooks; payload). The body is the template of a trigger: these are the names that
#: the page in docs/sources asks for, and those of the API's own objects.
PYLON = Preset(
    ProofPreset(
        signature={
            **_HEX,
            "header": "pylon-webhook-signature",
            "prefix": "hs256=",
            "timestamp_header": "pylon-webhook-timestamp",
        },
        wants="secrets: [the webhook's secret]",
    ),
    templated=True,
    shapes=(
        _pylon(
            when=" ".join((_PYLON_WORDS, _PYLON_FILES)),
            kinds={"*": "ticket.commented"},
            message="message_id message.id data.message_id",
            text=_PYLON_WORDS,
            sender=Who(
                name="author author.name message.author.name",
                email="author_email author.email message.author.email",
            ),
            files=_PYLON_FILES,
        ),
        _pylon(kinds={"*": "ticket.updated"}, overlooked="trigger"),
    ),
    sample=(
        {
            "issue_id": "{thread}",
            "title": "Export fails",
            "state": "on_you",
            "link": "https://app.usepylon.com/issues?issueNumber=7",
            "message_id": "{message}",
            "message": "The export fails since this morning.",
            "updated_at": "{iso}",
            "author": "Ana Example",
            "author_email": "ana@example.com",
        },
        {
            "issue_id": "{thread}",
            "title": "Export fails",
            "state": "waiting_on_customer",
            "message_id": "{message}",
            "message": "It works again, thank you!",
            "updated_at": "{iso}",
            "author": "Sam Support",
            "author_email": "sam@example.org",
            "requester_email": "ana@example.com",
        },
    ),
)

_UNTHREAD_FILES = "data.files data.attachments"

#: Source: public receivers of Unthread's webhooks; Unthread's own page was not at hand.
UNTHREAD = Preset(
    ProofPreset(
        signature={**_HEX, "header": "x-unthread-signature"}, wants="secrets: [the webhook's signing secret]"
    ),
    shapes=(
        Shape(
            type=("event",),
            kinds={"message_created": "ticket.commented", "url_verification": "- handshake"},
            thread="data.conversationId",
            message="data.id data.ts",
            identity="eventId",
            time="eventTimestamp data.createdAt",
            text="data.content data.text data.markdown",
            format="markdown",
            sender=Who(
                id="data.userId data.sentByUserId data.botId",
                name="data.userName data.botName",
                email="data.userEmail",
                bot="data.isAutoresponse=true",
            ),
            channel_id="data.channelId",
            files=_UNTHREAD_FILES,
            private="data.triageThreadId data.isPrivateNote=true",
            removed="data.deletedAt",
        ),
        Shape(
            type=("event",),
            kinds={
                # Its first message comes as an event of its own.
                "conversation_created": "ticket.updated",
                "conversation_updated": "ticket.updated",
                "conversation_deleted": "message.deleted",
            },
            thread="data.id",
            identity="eventId",
            time="eventTimestamp data.updatedAt data.createdAt",
            subject="data.title",
            text="data.summary",
            sender=Who(id="data.submitterUserId data.userId"),
            ticket_id="data.friendlyId data.id",
            status="data.status",
            solved="data.status=closed",
            priority="data.priority",
            assignee="data.assignedToUserId",
            files=_UNTHREAD_FILES,
        ),
    ),
    sample=(
        {
            "event": "message_created",
            "eventId": "evt-{message}",
            "eventTimestamp": "{ms}",
            "webhookTimestamp": "{ms}",
            "data": {
                "id": "{message}",
                "conversationId": "{thread}",
                "content": "The export *fails* since this morning.",
                "userId": "U1",
                "isExternal": True,
            },
        },
        {
            "event": "message_created",
            "eventId": "evt-{message}",
            "eventTimestamp": "{ms}",
            "webhookTimestamp": "{ms}",
            "data": {
                "id": "{message}",
                "conversationId": "{thread}",
                "content": "It works again, thank you!",
                "userId": "U2",
                "isExternal": False,
            },
        },
    ),
)

_zoho = partial(Shape, type=("eventType",), identity="payload.id eventTime")
_zoho_ticket = partial(
    _zoho,
    thread="payload.id",
    subject="payload.subject",
    ticket_id="payload.ticketNumber payload.id",
    status="payload.status",
    solved="payload.statusType=Closed",
    priority="payload.priority",
    assignee="payload.assignee.email payload.assigneeId",
    url="payload.webUrl",
    tags="payload.tags",
)
_ZOHO_AUTHOR = Who(
    id="payload.author.id payload.commenter.id payload.commenterId",
    name="payload.author.name payload.commenter.name payload.author.firstName+payload.author.lastName",
    email="payload.author.email payload.commenter.email",
)

#: Source: Zoho Desk, "Webhook Documentation": 200 within 5 s, 410 removes the subscription.
ZOHO_DESK = Preset(
    ProofPreset(
        jwt={"header": "x-zdesk-jwt", "algorithms": ("RS256",)},
        token_headers=(),
        wants="jwt: {jwks_file, issuer, audience}, or secrets: [a long random value that the URL carries as ?token=]",
    ),
    items=".",
    answers_get=True,
    shapes=(
        _zoho(
            kinds={"Ticket_Thread_Add": "ticket.commented"},
            thread="payload.ticketId",
            message="payload.id",
            time="payload.createdTime eventTime",
            subject="payload.subject",
            text="payload.content payload.plainText payload.summary",
            sender=_ZOHO_AUTHOR,
            files="payload.attachments",
        ),
        _zoho(
            kinds={"Ticket_Comment_Add": "ticket.commented", "Ticket_Comment_Update": "message.updated"},
            thread="payload.ticketId",
            message="payload.id",
            time="payload.modifiedTime payload.commentedTime eventTime",
            text="payload.content",
            sender=_ZOHO_AUTHOR,
            files="payload.attachments",
        ),
        _zoho_ticket(
            kinds={"Ticket_Add": "ticket.created"},
            message="payload.firstThread.id payload.id",
            time="payload.createdTime eventTime",
            text="payload.description payload.firstThread.content payload.firstThread.summary",
            sender=Who(
                id="payload.contactId payload.contact.id",
                name="payload.contact.firstName+payload.contact.lastName",
                email="payload.contact.email payload.email",
            ),
            files="payload.firstThread.attachments",
        ),
        _zoho_ticket(
            kinds={"Ticket_Update": "ticket.updated", "Ticket_Delete": "message.deleted"},
            time="eventTime payload.modifiedTime",
            customer=Who(email="payload.contact.email payload.email"),
        ),
    ),
    sample=tuple(
        [
            {
                "eventType": "Ticket_Thread_Add",
                "eventTime": "{ms}",
                "orgId": "700000001",
                "payload": {
                    "id": "{message}",
                    "ticketId": "{thread}",
                    "direction": direction,
                    "channel": "EMAIL",
                    "visibility": "public",
                    "createdTime": "{iso}",
                    "contentType": "text/html",
                    "content": f"<div>{said}</div>",
                    "author": {"name": name, "email": email, "type": kind},
                    "attachments": [],
                },
            }
        ]
        for direction, said, name, email, kind in (
            ("in", "The export fails since this morning.", "Ana Example", "ana@example.com", "END_USER"),
            ("out", "It works again, thank you!", "Sam Support", "sam@example.org", "AGENT"),
        )
    ),
)
