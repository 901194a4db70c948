"""Microsoft Graph's chatMessage: what Teams' messages are in notifications with resource data, in the API's answers, and in
what a Power Automate flow sends on.

Source: Microsoft Graph, "chatMessage resource type", "chatMessageAttachment", "itemBody"; Adaptive Cards, "Input.ChoiceSet",
"Input.Toggle"; Microsoft Teams SDK, "CodeBlock".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from relay.event import Attachment, Channel, Person
from relay.sources.foreign_json import Walk
from relay.sources.read.attached import pictures_in
from relay.sources.read.markup import html_of_text
from relay.sources.read.moment import moment_us
from relay.sources.read.teams_markup import teams_html, teams_text

MAX_FILES = 50
_CARD_PARTS = (
    *(
        "body",
        "items",
        "columns",
        "rows",
        "cells",
        "facts",
        "actions",
        "sections",
        "pages",
        "card",
        "choices",
    ),
    "fields",
)
_CARD_WORDS = (
    *(
        "activityTitle",
        "activitySubtitle",
        "activityText",
        "name",
        "label",
        "title",
        "text",
        "value",
        "summary",
    ),
    *("subtitle", "altText"),
)
MAX_CARD_WORDS = 200
_FILES = frozenset({"reference", "file"})
#: Their `value` is what a program gets, and not what a reader sees.
_PICKED = ("Input.ChoiceSet", "Input.Toggle")


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """`kind` is the event's; "" for what nobody said: members who come and go, calls that begin."""

    kind: str
    message_id: str
    thread: str
    version: int | None
    subject: str
    text: str
    html: str
    sender: Person
    channel: Channel
    attachments: tuple[Attachment, ...]
    url: str
    etag: str


def read_chat_message(message: Walk) -> ChatMessage:
    """Return a chatMessage, whatever of it is there."""
    body, own_id = message.maybe("body"), message.maybe_ident("id")
    content = body.maybe_text("content")
    form = message.maybe_text("messageType") or "message"
    deleted = message.maybe_text("deletedDateTime")
    edited = message.maybe_text("lastEditedDateTime")
    kind = "message.deleted" if deleted else "message.updated" if edited else "message.created"
    channel = message.maybe("channelIdentity").maybe_ident("channelId")
    is_html = body.maybe_text("contentType").lower() != "text"
    html = (teams_html(content) if is_html else html_of_text(content)) if content and not deleted else ""
    text = teams_text(content) if is_html else content.strip()
    files = () if deleted else _files(message) or (() if text else pictures_in(content))
    told = (
        []
        if deleted
        else [line for one in message.items("attachments")[:MAX_FILES] for line in words_beside(one)]
    )
    return ChatMessage(
        kind=kind if form == "message" else "",
        message_id=own_id,
        thread=message.maybe_ident("chatId") or message.maybe_ident("replyToId") or own_id,
        version=moment_us(deleted or edited or message.maybe_text("createdDateTime")),
        subject=message.maybe_text("subject"),
        text="" if deleted else "\n".join(line for line in (text, *told) if line),
        html=html + "".join(f"<p>{html_of_text(line)}</p>" for line in told),
        sender=_sender(message.maybe("from")),
        channel=Channel(id=channel or message.maybe_ident("chatId")),
        attachments=files,
        url=message.maybe_text("webUrl"),
        etag=message.maybe_ident("etag"),
    )


def _sender(author: Walk) -> Person:
    user, program = author.maybe("user"), author.maybe("application")
    who = user if user.value else program
    return Person(
        id=who.maybe_ident("id"),
        name=who.maybe_text("displayName"),
        bot=bool(program.value) and not user.value,
    )


def _files(message: Walk) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(
            name=file.maybe_text("name") or "file",
            type=file.maybe_text("name").rpartition(".")[2]
            if file.maybe_text("contentType") == "reference"
            else "",
            url=file.maybe_text("contentUrl"),
        )
        for file in message.items("attachments")[:MAX_FILES]
        if file.maybe_text("contentType") in _FILES
        or (file.maybe_text("name") and file.maybe_text("contentUrl"))
    )


def words_beside(attachment: Walk) -> list[str]:
    """Return the words of what is no file: a forwarded message, a card. An answer's quotation stands in the thread already."""
    form = attachment.maybe_text("contentType")
    if form == "forwardedMessageReference":
        held = _content(attachment)
        sender = held.maybe("originalMessageSender").maybe("user").maybe_text("displayName")
        said = teams_text(held.maybe_text("originalMessageContent"))
        return [f"Forwarded from {sender}: {said}" if sender else f"Forwarded: {said}"] if said else []
    if form.endswith("messaging-announcementBanner"):
        banner = _content(attachment)
        return [line for key in ("title", "subTitle") if (line := banner.maybe_text(key).strip())]
    if "card" in form:
        return _card_words(_content(attachment).value)
    return []


def _content(attachment: Walk) -> Walk:
    """An attachment's content is JSON in a text; in what a bot gets, an object."""
    if isinstance(attachment.value.get("content"), dict):
        return attachment.maybe("content")
    try:
        held = orjson.loads(attachment.maybe_text("content"))
    except orjson.JSONDecodeError:
        return Walk({})
    return Walk(held if isinstance(held, dict) else {})


def _run(run: Any) -> str:
    """A piece of a rich text: a text, or an object with one."""
    text = run.get("text") if isinstance(run, dict) else run
    return text if isinstance(text, str) else ""


def _card_words(card: Any) -> list[str]:
    """The texts of an adaptive or connector card, from above; takes linear time."""
    found: list[str] = []
    level = [card]
    for _ in range(16):
        below: list[Any] = []
        for part in level:
            if isinstance(part, list):
                below += part
            elif isinstance(part, dict):
                found += _words_of_part(part)
                below += [_shown(key, part[key]) for key in _CARD_PARTS if key in part]
        if not below or len(found) > MAX_CARD_WORDS:
            break
        level = below
    return found[:MAX_CARD_WORDS]


def _words_of_part(part: dict[str, Any]) -> Iterator[str]:
    """What one element of a card says itself."""
    for key in _CARD_WORDS:
        text = part.get(key)
        if isinstance(text, str) and text.strip() and not (key == "value" and part.get("type") in _PICKED):
            yield teams_text(text)
    if isinstance(runs := part.get("inlines"), list):
        yield teams_text("".join(_run(run) for run in runs))
    # Code is no markup: what stands in angle brackets is part of it.
    if isinstance(code := part.get("codeSnippet"), str) and code.strip():
        yield code.strip("\n")


def _shown(key: str, held: Any) -> Any:
    """What is within a part of a card; of choices their titles: the values are a program's."""
    if key != "choices" or not isinstance(held, list):
        return held
    return [{"title": one.get("title")} for one in held if isinstance(one, dict)]
