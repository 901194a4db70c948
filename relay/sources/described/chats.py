"""Chats and communities."""

from __future__ import annotations

from functools import partial
from typing import Any

from relay.sources.base import Answers
from relay.sources.described.shape import Preset, Shape, Who
from relay.sources.proof.choose import ProofPreset

_HEX = {"hash": "sha256", "encoding": "hex"}

# ---- Google Chat -------------------------------------------------------------------------------------------

_DIRECT = "space.singleUserBotDm=true space.type=DM space.spaceType=DIRECT_MESSAGE"


def _google(at: str, user: str, **more: Any) -> Shape:
    """A message where `at` leads to what holds it; in a conversation of two, the space is the thread."""
    message = f"{at}message"
    return Shape(
        message=f"{message}.name",
        identity=f"{message}.name",
        time=f"{message}.createTime eventTime chat.eventTime",
        text=f"{message}.argumentText {message}.formattedText {message}.text",
        format="text",
        sender=Who(
            id=f"{user}.name {message}.sender.name",
            name=f"{user}.displayName {message}.sender.displayName",
            email=f"{user}.email {message}.sender.email",
            bot=f"{user}.type=BOT {message}.sender.type=BOT",
        ),
        channel_id=f"{at}space.name {message}.space.name",
        channel_name=f"{at}space.displayName {message}.space.displayName",
        # Of a quotation the files are told where it was passed on from another place.
        files=f"{message}.attachment {message}.attachedGifs "
        f"{message}.quotedMessageMetadata.quotedMessageSnapshot.attachments",
        **more,
    )


_PAYLOAD = "chat.messagePayload."


def _google_sample(text: str, name: str, email: str) -> dict[str, Any]:
    user = {"name": "users/1", "displayName": name, "email": email, "type": "HUMAN"}
    return {
        "type": "MESSAGE",
        "eventTime": "{iso}",
        "space": {"name": "spaces/AAAA", "displayName": "Example and us", "spaceType": "SPACE"},
        "user": user,
        "message": {
            "name": "spaces/AAAA/messages/{message}",
            "sender": user,
            "createTime": "{iso}",
            "text": f"@Relay {text}",
            "argumentText": f" {text}",
            "thread": {"name": "spaces/AAAA/threads/{thread}"},
        },
    }


#: Source: Google, "Receive and respond to interaction events", "Verify requests from Google Chat". An app that answers
#: nothing is shown as one that does not respond.
GOOGLE_CHAT = Preset(
    ProofPreset(
        jwt={
            "header": "authorization",
            "algorithms": ("RS256",),
            "issuer": ("chat@system.gserviceaccount.com",),
        },
        token_headers=(),
        wants="jwt: {jwks_file, audience}, or secrets: [a long random value that the URL carries as ?token=]",
    ),
    answers=Answers(accepted=200, accepted_body=b"{}"),
    noise="chat.addedToSpacePayload chat.removedFromSpacePayload chat.buttonClickedPayload chat.widgetUpdatedPayload",
    shapes=(
        _google(
            "",
            "user",
            type=("type",),
            kinds={"MESSAGE": "message.created"},
            when=_DIRECT,
            thread="space.name",
        ),
        _google(
            "",
            "user",
            type=("type",),
            kinds={"MESSAGE": "message.created"},
            thread="message.thread.name space.name message.space.name",
        ),
        _google(
            _PAYLOAD,
            "chat.user",
            kinds={"*": "message.created"},
            when=" ".join(f"{_PAYLOAD}{condition}" for condition in _DIRECT.split()),
            thread=f"{_PAYLOAD}space.name",
        ),
        _google(
            _PAYLOAD,
            "chat.user",
            kinds={"*": "message.created"},
            when=f"{_PAYLOAD}message.name",
            thread=f"{_PAYLOAD}message.thread.name {_PAYLOAD}space.name",
        ),
    ),
    sample=(
        _google_sample("can you look at the renewal?", "Ana Example", "ana@example.com"),
        _google_sample("done, thank you!", "Sam Support", "sam@example.org"),
    ),
)

# ---- Discourse ---------------------------------------------------------------------------------------------


def _discourse_sample(number: int, text: str, username: str) -> dict[str, Any]:
    return {
        "post": {
            "id": "{digits}",
            "post_number": number,
            "post_type": 1,
            "topic_id": "{number}",
            "topic_title": "Export fails",
            "topic_slug": "export-fails",
            "topic_archetype": "regular",
            "username": username,
            "name": username.title(),
            "user_id": 7,
            "version": 1,
            "raw": text,
            "cooked": f"<p>{text}</p>",
            "created_at": "{iso}",
            "updated_at": "{iso}",
            "user_deleted": False,
        }
    }


_CHAT_USER = "chat_message.message.user"
_discourse_chat = partial(
    Shape,
    # A channel with threads tells the one that a message is in.
    thread="chat-{chat_message.channel.id}-{chat_message.message.thread_id} | "
    "chat-{chat_message.channel.id chat_message.message.chat_channel_id}",
    message="chat-{chat_message.message.id}",
    text="chat_message.message.cooked chat_message.message.message",
    sender=Who(
        id=f"{_CHAT_USER}.id",
        name=f"{_CHAT_USER}.name {_CHAT_USER}.username",
        bot=f"{_CHAT_USER}.id=-1|-2 {_CHAT_USER}.username=system|discobot chat_message.message.chat_webhook_event",
    ),
    channel_id="chat_message.channel.id chat_message.message.chat_channel_id",
    channel_name="chat_message.channel.title",
    files="chat_message.message.uploads",
    private="chat_message.channel.chatable_type=DirectMessage",
    removed="chat_message.message.deleted_at",
)

#: Source: Discourse, "Configure webhooks that trigger on Discourse events to integrate with external services"; its
#: chat's own source (`MessageSerializer`, `ChannelSerializer`). What a request is about stands in headers that nothing signs:
#: the body itself tells it.
DISCOURSE = Preset(
    ProofPreset(
        signature={**_HEX, "header": "x-discourse-event-signature", "prefix": "sha256="},
        wants="secrets: [the webhook's secret]",
    ),
    noise="user category tag group reviewable notification solved like user_badge user_promoted category_experts",
    shapes=(
        # Small actions ("closed the topic") hold no words of anybody.
        Shape(when="post.post_type=3", kinds={"*": "- type"}, thread="post.topic_id"),
        Shape(when="ping", kinds={"*": "- handshake"}, thread="ping"),
        Shape(
            when="post.id",
            kinds={"*": "message.created"},
            thread="post.topic_id",
            message="post.id",
            identity="post.id post.version post.updated_at post.deleted_at",
            time="post.updated_at post.created_at",
            subject="post.topic_title",
            text="post.cooked post.raw",
            sender=Who(
                id="post.user_id",
                name="post.name post.display_username post.username",
                bot="post.user_id=-1|-2 post.username=system|discobot",
            ),
            channel_id="post.category_id",
            channel_name="post.category_slug",
            private="post.topic_archetype=private_message post.post_type=4",
            removed="post.deleted_at post.user_deleted=true",
        ),
        # An edited message does not tell when it was edited.
        _discourse_chat(
            when="chat_message.message.edited=true",
            kinds={"*": "message.updated"},
            time="chat_message.message.deleted_at",
        ),
        _discourse_chat(
            when="chat_message.message.id",
            kinds={"*": "message.created"},
            time="chat_message.message.deleted_at chat_message.message.created_at",
        ),
        Shape(
            when="topic.id",
            kinds={"*": "ticket.updated"},
            thread="topic.id",
            identity="topic.id topic.last_posted_at topic.posts_count topic.closed topic.title topic.deleted_at",
            time="topic.last_posted_at topic.created_at",
            subject="topic.title",
            sender=Who(name="topic.created_by.name topic.created_by.username"),
            tags="topic.tags",
            private="topic.archetype=private_message",
            removed="topic.deleted_at",
        ),
    ),
    sample=(
        _discourse_sample(1, "The export fails since this morning.", "ana"),
        _discourse_sample(2, "It works again, thank you!", "sam"),
    ),
)

# ---- WhatsApp ----------------------------------------------------------------------------------------------


def _whatsapp_sample(text: str) -> dict[str, Any]:
    return {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": "WABA-1",
                "changes": [
                    {
                        "field": "messages",
                        "value": {
                            "messaging_product": "whatsapp",
                            "metadata": {"display_phone_number": "15550100", "phone_number_id": "PN-1"},
                            "contacts": [{"profile": {"name": "Ana Example"}, "wa_id": "15550{number}"}],
                            "messages": [
                                {
                                    "from": "15550{number}",
                                    "id": "wamid.{message}",
                                    "timestamp": "{s}",
                                    "type": "text",
                                    "text": {"body": text},
                                }
                            ],
                        },
                    }
                ],
            }
        ],
    }


#: Source: Meta, "Webhooks: getting started", "WhatsApp Cloud API: webhooks". Read by `providers/whatsapp.py`.
WHATSAPP = Preset(
    ProofPreset(
        signature={**_HEX, "header": "x-hub-signature-256", "prefix": "sha256="},
        handshake={"echo": "query hub.challenge"},
        wants="secrets: [the app secret]",
    ),
    shapes=(),
    sample=(
        _whatsapp_sample("Hi, the export fails since this morning."),
        _whatsapp_sample("It works again, thank you!"),
    ),
)

# ---- LiveChat ----------------------------------------------------------------------------------------------


def _livechat_sample(text: str, author: str) -> dict[str, Any]:
    return {
        "webhook_id": "wh-1",
        "action": "incoming_event",
        "organization_id": "org-1",
        "payload": {
            "chat_id": "{thread}",
            "thread_id": "K{thread}",
            "event": {
                "id": "K{thread}_{message}",
                "created_at": "{iso}",
                "type": "message",
                "text": text,
                "author_id": author,
                "visibility": "all",
            },
        },
        "additional_data": {
            "chat_presence_user_ids": ["b7eff798", "sam@example.org"],
            "chat_properties": {},
        },
    }


#: Source: Text, "Webhooks" (Agent Chat API, data structures). Read by `providers/livechat.py`.
LIVECHAT = Preset(
    ProofPreset(body_token="secret_key", wants="secrets: [the webhook's secret_key]"),  # noqa: S106 - where it stands
    shapes=(),
    sample=(
        _livechat_sample("Hi, the export fails since this morning.", "b7eff798"),
        _livechat_sample("It works again!", "sam@example.org"),
    ),
)

# ---- RingCentral -------------------------------------------------------------------------------------------


def _ringcentral_sample(text: str, direction: str, sender: str, to: str) -> dict[str, Any]:
    return {
        "uuid": "{message}",
        "event": "/restapi/v1.0/account/1/extension/2/message-store/instant?type=SMS",
        "timestamp": "{iso}",
        "subscriptionId": "sub-1",
        "ownerId": "2",
        "body": {
            "id": "{digits}",
            "type": "SMS",
            "direction": direction,
            "subject": text,
            "creationTime": "{iso}",
            "lastModifiedTime": "{iso}",
            "from": {"phoneNumber": sender, "name": "Ana Example" if direction == "Inbound" else "Support"},
            "to": [{"phoneNumber": to}],
            "conversation": {"id": "{thread}"},
            "attachments": [],
        },
    }


#: Source: RingCentral, "Creating Webhooks", "Receiving Webhooks", "Team Messaging events". Read by
#: `providers/ringcentral.py`.
RINGCENTRAL = Preset(
    ProofPreset(
        token_headers=("verification-token",),
        handshake={"echo": "header Validation-Token", "as": "header Validation-Token"},
        wants="secrets: [the subscription's verificationToken]",
    ),
    shapes=(),
    sample=(
        _ringcentral_sample("Hi, the export fails since this morning.", "Inbound", "+15550101", "+15550100"),
        _ringcentral_sample("It works again!", "Outbound", "+15550100", "+15550101"),
    ),
)
