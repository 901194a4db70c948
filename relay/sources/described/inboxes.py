"""Shared inboxes and help desks whose events name a message and a conversation apart."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from relay.sources.described.shape import Preset, Shape, Who
from relay.sources.proof.choose import ProofPreset

_HEX = {"hash": "sha256", "encoding": "hex"}

# ---- Plain -------------------------------------------------------------------------------------------------

_PLAIN_CUSTOMER = Who(
    id="payload.thread.customer.id",
    name="payload.thread.customer.fullName",
    email="payload.thread.customer.email.email",
)
_plain = partial(Shape, type=("type",), thread="payload.thread.id", identity="id", time="timestamp")
_PLAIN_CHANNELS = {
    "chat": "chat",
    "slack_message": "slackMessage",
    "discord_message": "discordMessage",
    "ms_teams_message": "msTeamsMessage",
}


def _plain_messages(event: str, name: str) -> tuple[Shape, ...]:
    """What a customer wrote in one channel, what was answered, and changes of either."""
    at = f"payload.{name}"
    message = partial(
        _plain,
        message=f"{at}.timelineEntryId {at}.id",
        subject="payload.thread.title",
        text=f"{at}.resolvedText {at}.textContent {at}.text",
        format="markdown",
        channel_id=f"{at}.slackChannelId {at}.discordChannelId",
        channel_name=f"{at}.slackChannelName",
        url=f"{at}.slackMessageLink",
        files=f"{at}.attachments",
        removed=f"{at}.deletedOnDiscordAt {at}.deletedOnMsTeamsAt payload.changeType=MESSAGE_DELETED",
    )
    by_customer = Who(id=f"{at}.createdBy.customerId", name=_PLAIN_CUSTOMER.name, email=_PLAIN_CUSTOMER.email)
    return (
        message(kinds={f"thread.{event}_received": "ticket.commented"}, sender=by_customer),
        message(
            kinds={f"thread.{event}_sent": "ticket.commented"},
            sender=Who(id=f"{at}.createdBy.userId {at}.createdBy.machineUserId"),
            customer=_PLAIN_CUSTOMER,
        ),
        message(
            when="payload.changeType=MESSAGE_EDITED|MESSAGE_DELETED payload.discordMessage",
            kinds={f"thread.{event}_updated": "message.updated"},
            sender=Who(id=f"{at}.createdBy.customerId {at}.createdBy.userId"),
            customer=_PLAIN_CUSTOMER,
        ),
    )


def _plain_sample(event: str, **message: Any) -> dict[str, Any]:
    customer = {"id": "c_1", "fullName": "Ana Example", "email": {"email": "ana@example.com"}}
    return {
        "id": "pEv_{message}",
        "type": event,
        "timestamp": "{iso}",
        "workspaceId": "w_1",
        "payload": {
            "eventType": event,
            "thread": {
                "id": "th_{thread}",
                "title": "Export fails",
                "status": "TODO",
                "priority": 2,
                "customer": customer,
                "assignee": None,
                "labels": [],
            },
            "chat": {"timelineEntryId": "t_{message}", "id": "chat_{message}", "attachments": [], **message},
        },
        "webhookMetadata": {
            "webhookTargetId": "whTarget_1",
            "webhookTargetVersion": "2026-04-21",
            "webhookDeliveryAttemptId": "whAttempt_{message}",
            "webhookDeliveryAttemptNumber": 1,
            "webhookDeliveryAttemptTimestamp": "{iso}",
        },
    }


#: Source: Plain, "Request signing", "Webhooks", and the JSON Schema of its package `@team-plain/webhooks`.
PLAIN = Preset(
    ProofPreset(
        signature={
            **_HEX,
            "header": "plain-request-signature",
            "timestamp_field": "webhookMetadata.webhookDeliveryAttemptTimestamp",
        },
        wants="secrets: [the workspace's HMAC secret]",
    ),
    noise="payload.changeType=REACTIONS_CHANGED",
    shapes=(
        _plain(
            kinds={"thread.email_received": "ticket.commented", "thread.email_sent": "ticket.commented"},
            message="payload.email.timelineEntryId payload.email.id",
            subject="payload.thread.title payload.email.subject",
            text="payload.email.markdownContent payload.email.textContent",
            format="markdown",
            sender=Who(
                id="payload.email.from.emailActor.customerId payload.email.from.emailActor.userId",
                name="payload.email.from.name",
                email="payload.email.from.email",
            ),
            customer=_PLAIN_CUSTOMER,
            files="payload.email.attachments",
        ),
        *(shape for event, name in _PLAIN_CHANNELS.items() for shape in _plain_messages(event, name)),
        _plain(
            kinds={"thread.note_created": "private ticket.commented"},
            message="payload.note.timelineEntryId payload.note.id",
            subject="payload.thread.title",
            text="payload.note.markdown payload.note.text",
            format="markdown",
            sender=Who(id="payload.note.createdBy.userId"),
            customer=_PLAIN_CUSTOMER,
        ),
        _plain(
            kinds={
                # The words that open a thread come as a message of their own.
                "thread.thread_created": "ticket.updated",
                "thread.thread_status_transitioned": "ticket.updated",
                "thread.thread_assignment_transitioned": "ticket.updated",
                "thread.thread_priority_changed": "ticket.updated",
                "thread.thread_labels_changed": "ticket.updated",
            },
            subject="payload.thread.title",
            customer=_PLAIN_CUSTOMER,
            ticket_id="payload.thread.ref payload.thread.id",
            status="payload.thread.status",
            solved="payload.thread.status=DONE",
            priority="payload.thread.priority",
            assignee="payload.thread.assignee.email payload.thread.assignee.fullName",
            tags="payload.thread.labels",
        ),
    ),
    sample=(
        _plain_sample(
            "thread.chat_received",
            text="The export fails since this morning.",
            createdBy={"actorType": "customer", "customerId": "c_1"},
        ),
        _plain_sample(
            "thread.chat_sent",
            text="It works again, thank you!",
            createdBy={"actorType": "user", "userId": "u_1"},
        ),
    ),
)

# ---- Kustomer ----------------------------------------------------------------------------------------------

_kustomer = partial(Shape, type=("name",), identity="id", time="createdAt")
_kustomer_message = partial(
    _kustomer,
    thread="data.relationships.conversation.data.id",
    message="data.id dataId",
    subject="data.attributes.subject data.attributes.meta.subject",
    text="data.attributes.body data.attributes.preview",
    channel_name="data.attributes.channel",
)
_KUSTOMER_MESSAGES = {
    "kustomer.message.create": "ticket.commented",
    "kustomer.message.update": "message.updated",
    "kustomer.message.delete": "message.deleted",
}
_KUSTOMER_FROM = Who(
    id="data.relationships.createdBy.data.id",
    name="data.attributes.meta.from.name",
    email="data.attributes.meta.from.email data.attributes.meta.from",
    bot="data.attributes.auto=true",
)


def _kustomer_sample(direction: str, text: str, sender: str, to: str) -> dict[str, Any]:
    return {
        "id": "ev-{message}",
        "name": "kustomer.message.create",
        "org": "org-1",
        "createdAt": "{iso}",
        "dataId": "{message}",
        "data": {
            "type": "message",
            "id": "{message}",
            "attributes": {
                "channel": "email",
                "direction": direction,
                "preview": text,
                "auto": False,
                "meta": {"from": sender, "to": [{"email": to}]},
                "createdAt": "{iso}",
            },
            "relationships": {
                "customer": {"data": {"type": "customer", "id": "cust-1"}},
                "conversation": {"data": {"type": "conversation", "id": "{thread}"}},
            },
        },
    }


#: Source: Kustomer, "Outbound webhooks", "Delivery and security", "Conversations and messages".
KUSTOMER = Preset(
    ProofPreset(
        signature={**_HEX, "header": "x-kustomer-webhook-signature"}, wants="secrets: [the webhook's token]"
    ),
    shapes=(
        _kustomer_message(
            when="data.attributes.direction=out",
            kinds=_KUSTOMER_MESSAGES,
            sender=_KUSTOMER_FROM,
            customer=Who(email="data.attributes.meta.to.0.email"),
        ),
        _kustomer_message(
            kinds=_KUSTOMER_MESSAGES,
            sender=replace(
                _KUSTOMER_FROM, id="data.relationships.customer.data.id data.relationships.createdBy.data.id"
            ),
        ),
        _kustomer_message(
            kinds={
                "kustomer.note.create": "private ticket.commented",
                "kustomer.note.update": "private message.updated",
            },
            sender=Who(id="data.relationships.createdBy.data.id"),
        ),
        _kustomer(
            kinds={
                # Its first message comes as an event of its own.
                "kustomer.conversation.create": "ticket.updated",
                "kustomer.conversation.update": "ticket.updated",
                "kustomer.conversation.delete": "message.deleted",
            },
            thread="data.id dataId",
            subject="data.attributes.name",
            ticket_id="data.id",
            status="data.attributes.status",
            solved="data.attributes.status=done",
            priority="data.attributes.priority",
            assignee="data.attributes.assignedUsers.0",
        ),
    ),
    sample=(
        _kustomer_sample("in", "The export fails since this morning.", "ana@example.com", "help@example.org"),
        _kustomer_sample("out", "It works again, thank you!", "help@example.org", "ana@example.com"),
    ),
)
