"""Missive, Groove, Linear: messages and comments beside the ticket that they are about."""

from __future__ import annotations

from functools import partial
from typing import Any

from relay.sources.described.shape import Preset, Shape, Who
from relay.sources.proof.choose import ProofPreset

_HEX = {"hash": "sha256", "encoding": "hex"}

# ---- Missive -----------------------------------------------------------------------------------------------

_missive = partial(
    Shape,
    thread="conversation.id",
    subject="conversation.subject conversation.latest_message_subject",
    assignee="conversation.assignee_emails conversation.assignee_names",
    url="conversation.web_url",
    tags="conversation.shared_labels",
)


def _missive_message(name: str) -> Shape:
    return _missive(
        when=f"{name}.id {name}.body {name}.preview",
        kinds={"*": "ticket.commented"},
        message=f"{name}.id",
        time=f"{name}.delivered_at {name}.updated_at {name}.created_at",
        text=f"{name}.body {name}.preview",
        sender=Who(
            id=f"{name}.from_field.id",
            name=f"{name}.from_field.name {name}.from_field.username",
            email=f"{name}.from_field.address",
        ),
        customer=Who(email="conversation.authors.0.address", name="conversation.authors.0.name"),
        files=f"{name}.attachments",
    )


def _missive_sample(text: str, name: str, address: str) -> dict[str, Any]:
    return {
        "rule": {"id": "rule-1", "description": "To Planhat", "type": "incoming_email"},
        "conversation": {
            "id": "{thread}",
            "subject": "Export fails",
            "web_url": "https://mail.missiveapp.com/#inbox/conversations/{thread}",
            "assignee_names": "",
            "assignee_emails": "",
            "shared_labels": [{"id": "l-1", "name": "Support"}],
            "authors": [{"name": "Ana Example", "address": "ana@example.com"}],
        },
        "message": {
            "id": "{message}",
            "subject": "Export fails",
            "preview": text,
            "body": f"<p>{text}</p>",
            "delivered_at": "{iso}",
            "from_field": {"name": name, "address": address},
            "attachments": [],
        },
    }


#: Source: Missive, "Webhooks". A comment is what the team says among itself.
MISSIVE = Preset(
    ProofPreset(
        signature={**_HEX, "header": "x-hook-signature", "prefix": "sha256="},
        wants="secrets: [the rule's signature secret]",
    ),
    shapes=(
        _missive(
            when="comment",
            kinds={"*": "private ticket.commented"},
            message="comment.id",
            time="comment.created_at",
            text="comment.body",
            sender=Who(id="comment.author.id", name="comment.author.name", email="comment.author.email"),
            files="comment.attachment comment.attachments",
        ),
        _missive_message("message"),
        _missive_message("latest_message"),
        _missive(when="conversation.id", kinds={"*": "ticket.updated"}, overlooked="no_text"),
    ),
    sample=(
        _missive_sample("The export fails since this morning.", "Ana Example", "ana@example.com"),
        _missive_sample("It works again, thank you!", "Sam Support", "sam@example.org"),
    ),
)

# ---- Groove ------------------------------------------------------------------------------------------------

_groove_ticket = partial(
    Shape,
    when="number",
    thread="number",
    identity="number updated_at state",
    time="updated_at created_at",
    subject="title",
    ticket_id="number",
    status="state",
    solved="state=closed",
    priority="priority",
    assignee="assignee assigned_group",
    url="app_url",
    tags="tags",
    removed="deleted_at",
)
_GROOVE_CUSTOMER = Who(id="links.customer.id", name="customer_name", email="links.customer.href~tail")


def _groove_sample(text: str, author: str, *, answer: bool) -> dict[str, Any]:
    return {
        "id": "{digits}",
        "note": False,
        "body": f"<p>{text}</p>",
        "plain_text_body": text,
        "agent_response": answer,
        "created_at": "{iso}",
        "updated_at": "{iso}",
        "attachments": [],
        "links": {
            "author": {"href": f"https://api.groovehq.com/v1/{'agents' if answer else 'customers'}/{author}"},
            "ticket": {"href": "https://api.groovehq.com/v1/tickets/{thread}"},
        },
    }


#: Source: Groove, "Webhooks" (payloads). Nothing signs them: the URL carries a secret, or a login.
GROOVE = Preset(
    ProofPreset(token_headers=(), wants="secrets: [a long random value that the URL carries as ?token=]"),
    shapes=(
        Shape(
            when="links.ticket",
            kinds={"*": "ticket.commented"},
            thread="links.ticket.href~tail",
            message="id",
            identity="id updated_at",
            time="created_at",
            text="body plain_text_body",
            sender=Who(email="links.author.href~tail"),
            customer=Who(email="links.recipient.href~tail"),
            url="app_ticket_url",
            files="attachments",
            private="note=true",
        ),
        # A ticket of one message is a new one: its opening, told again, stays one entry.
        _groove_ticket(
            when="message_count=1",
            kinds={"*": "ticket.created"},
            message="opening-{number}",
            text="last_message last_message_plain_text summary",
            sender=_GROOVE_CUSTOMER,
        ),
        _groove_ticket(kinds={"*": "ticket.updated"}, customer=_GROOVE_CUSTOMER),
    ),
    sample=(
        _groove_sample("The export fails since this morning.", "ana@example.com", answer=False),
        _groove_sample("It works again, thank you!", "sam@example.org", answer=True),
    ),
)

# ---- Linear ------------------------------------------------------------------------------------------------

_linear = partial(
    Shape, type=("type", "action"), identity="data.id data.updatedAt", time="data.updatedAt createdAt"
)
_LINEAR_AUTHOR = Who(
    id="data.user.id actor.id data.userId",
    name="data.user.name data.externalUser.name actor.name",
    email="data.user.email data.externalUser.email actor.email",
    bot="data.botActor.id",
)
_linear_issue = partial(
    _linear,
    thread="data.id",
    subject="data.title",
    ticket_id="data.identifier data.id",
    status="data.state.name",
    solved="data.state.type=completed|canceled",
    priority="data.priorityLabel data.priority",
    assignee="data.assignee.email data.assignee.name",
    url="url data.url",
    tags="data.labels",
)


def _linear_sample(text: str, name: str, email: str) -> dict[str, Any]:
    return {
        "action": "create",
        "type": "Comment",
        "createdAt": "{iso}",
        "webhookTimestamp": "{ms}",
        "webhookId": "hook-1",
        "organizationId": "org-1",
        "url": "https://linear.app/example/issue/EX-7#comment-{message}",
        "actor": {"id": "user-1", "type": "user", "name": name, "email": email},
        "data": {
            "id": "{message}",
            "createdAt": "{iso}",
            "updatedAt": "{iso}",
            "body": text,
            "issueId": "{thread}",
            "issue": {"id": "{thread}", "identifier": "EX-7", "title": "Export fails"},
            "user": {"id": "user-1", "name": name, "email": email},
        },
    }


#: Source: Linear, "Webhooks", and its package `@linear/sdk`.
LINEAR = Preset(
    ProofPreset(
        signature={**_HEX, "header": "linear-signature", "timestamp_field": "webhookTimestamp"},
        wants="secrets: [the webhook's signing secret]",
    ),
    shapes=(
        _linear(
            kinds={
                "Comment.create": "ticket.commented",
                "Comment.update": "message.updated",
                "Comment.remove": "message.deleted",
                "CustomerNeed.create": "ticket.commented",
                "CustomerNeed.update": "message.updated",
                "CustomerNeed.remove": "message.deleted",
            },
            thread="data.issueId data.issue.id data.projectId data.projectUpdateId data.initiativeUpdateId",
            message="data.id",
            subject="data.issue.title data.project.name",
            text="data.body",
            format="markdown",
            sender=_LINEAR_AUTHOR,
            url="url data.url",
        ),
        _linear_issue(
            kinds={"Issue.create": "ticket.created"},
            message="data.id",
            text="data.description",
            format="markdown",
            sender=Who(
                id="data.creator.id actor.id",
                name="data.creator.name actor.name",
                email="data.creator.email actor.email",
            ),
        ),
        # An edited description takes the opening's place; other changes leave it alone.
        _linear_issue(
            when="updatedFrom.description? updatedFrom.descriptionData?",
            kinds={"Issue.update": "message.updated"},
            message="data.id",
            text="data.description",
            format="markdown",
            sender=_LINEAR_AUTHOR,
        ),
        _linear_issue(kinds={"Issue.update": "ticket.updated", "Issue.remove": "message.deleted"}),
    ),
    sample=(
        _linear_sample("The export **fails** since this morning.", "Ana Example", "ana@example.com"),
        _linear_sample("It works again, thank you!", "Sam Support", "sam@example.org"),
    ),
)
