"""One thing that happened, in the same shape for every source.

What rules and templates see as `event` is `Event.view()`; its keys are the contract's. `payload` beside it is
the provider's own JSON (`Event.payload`), and is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from relay.nobody import is_nobody
from relay.thread_ids import ThreadIds
from relay.value import value_class

KINDS = frozenset(
    {
        "message.created",
        "message.updated",
        "message.deleted",
        "email.received",
        "ticket.created",
        "ticket.updated",
        "ticket.solved",
        "ticket.commented",
        "call.ended",
        "custom",
    }
)


@value_class(frozen=True, slots=True)
class Person:
    """Who wrote. All may be empty; `bot` is True for programs, our own or others'. A placeholder is no name."""

    id: str = ""
    name: str = ""
    email: str = ""
    bot: bool = False

    def __post_init__(self) -> None:
        if self.name and is_nobody(self.name):
            object.__setattr__(self, "name", "")


@dataclass(frozen=True, slots=True)
class Recipient:
    """`role` is `to`, `cc`, `bcc`, `participant`, or a word of the source's. A placeholder is no name."""

    name: str = ""
    email: str = ""
    role: str = "to"

    def __post_init__(self) -> None:
        if self.name and is_nobody(self.name):
            object.__setattr__(self, "name", "")


@value_class(frozen=True, slots=True)
class Channel:
    id: str = ""
    name: str = ""


@value_class(frozen=True, slots=True)
class Ticket:
    id: str = ""
    status: str = ""
    priority: str = ""
    assignee: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A name and where it is; the content is never stored. `size` in bytes, None where nobody said. `url` is one that a
    browser may open (rules make links of it): of any other kind of address nothing is kept."""

    name: str = ""
    type: str = ""
    size: int | None = None
    url: str = ""

    def __post_init__(self) -> None:
        if self.url and not self.url.lower().startswith(("https://", "http://")):
            object.__setattr__(self, "url", "")

    def view(self) -> dict[str, Any]:
        return {"name": self.name, "type": self.type, "size": self.size, "url": self.url}


#: Kinds that tell what somebody said or did: each of them has words, or says why not.
SPOKEN = frozenset(
    {
        *("message.created", "message.updated", "email.received", "ticket.created", "ticket.commented"),
        "call.ended",
    }
)


#: What a list shows of a sender or a subject; stored with each event.
LISTED_CHARS = 80


@value_class(frozen=True, slots=True)
class Event:
    """`id` is stable for the same delivery (see `event_id`).

    `time` is when it happened, ISO 8601 UTC with milliseconds ("2026-03-04T05:06:07.089Z"). `version` orders the
    events of one thread: an int, microseconds since 1970 where the source has nothing finer; a larger one is newer.
    `thread` is the base of the default externalId; `message_id` identifies one entry of an appended text, so an
    edit or a deletion carries the message_id of what it changes. `also_seen` holds further dedupe keys (as
    `event_id`s) under which the same thing may be delivered once more: Slack's `app_mention` beside `message`.
    `threading` is set where `thread` is but what this event says: what is known of those that it names decides.

    `label` is what to call the thread where no event of it has a subject ("Ticket 12"); it is never the subject.
    `unworded` is why there are no words, where the adapter knows ("look_up": the sender tells ids only). `remarks` are
    what an operator should know of it, counted by source ("privacy_unsaid"). `keeps_author`: later edits of this message
    will not say who wrote it (their sender's name is `AS_BEFORE`), so its author is remembered with it.
    """

    id: str
    source: str
    adapter: str
    kind: str
    time: str
    version: int
    thread: str
    subject: str = ""
    text: str = ""
    html: str = ""
    quoted: str = ""
    sender: Person = Person()
    recipients: tuple[Recipient, ...] = ()
    channel: Channel = Channel()
    ticket: Ticket = Ticket()
    message_id: str = ""
    url: str = ""
    attachments: tuple[Attachment, ...] = ()
    tags: tuple[str, ...] = ()
    delivery_id: str = ""
    also_seen: tuple[str, ...] = ()
    label: str = ""
    unworded: str = ""
    remarks: tuple[str, ...] = ()
    keeps_author: bool = False
    threading: ThreadIds | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def empty(self) -> str:
        """Why there is neither text nor attachment where there should be one: "" where nothing is missing."""
        if self.text or self.html or self.attachments:
            return ""
        return self.unworded or ("no_text" if self.kind in SPOKEN else "")

    @property
    def who(self) -> str:
        """Who wrote, in a word for a list: the address, else the name, else the id."""
        sender = self.sender
        return (sender.email or sender.name or sender.id)[:LISTED_CHARS]

    @property
    def about(self) -> str:
        """What it is about, in a line for a list: the subject, else how its text begins, else its label."""
        words = self.subject or self.text
        if not words:
            return self.label[:LISTED_CHARS]
        line = words[:LISTED_CHARS]
        if (
            len(words) > LISTED_CHARS
            and line.isprintable()
            and "  " not in line
            and " " not in (line[0], line[-1])
        ):
            # Nearly every text begins so, and there is nothing to join: a third of the time.
            return line
        return " ".join(words[: 2 * LISTED_CHARS].split())[:LISTED_CHARS]

    def view(self) -> dict[str, Any]:
        """Return the event as plain JSON values, exactly the contract's keys."""
        return {
            "id": self.id,
            "source": self.source,
            "adapter": self.adapter,
            "kind": self.kind,
            "time": self.time,
            "version": self.version,
            "thread": self.thread,
            "subject": self.subject,
            "text": self.text,
            "html": self.html,
            "quoted": self.quoted,
            "sender": {
                "id": self.sender.id,
                "name": self.sender.name,
                "email": self.sender.email,
                "bot": self.sender.bot,
            },
            "recipients": [{"name": r.name, "email": r.email, "role": r.role} for r in self.recipients],
            "channel": {"id": self.channel.id, "name": self.channel.name},
            "ticket": {
                "id": self.ticket.id,
                "status": self.ticket.status,
                "priority": self.ticket.priority,
                "assignee": self.ticket.assignee,
            },
            "message_id": self.message_id,
            "url": self.url,
            "attachments": [file.view() for file in self.attachments],
            "tags": list(self.tags),
            "label": self.label,
            "empty": self.empty,
        }


def event_id(source: str, delivery_key: str) -> str:
    """Return `evt_` + 24 hex digits: the same for the same source and delivery key, now and after any restart.

    `delivery_key` is what the sender repeats on a retry (Slack's `event_id`, a Message-ID), or a content hash
    where it repeats nothing.
    """
    digest = blake2b(f"{source}\x1f{delivery_key}".encode("utf-8", "surrogatepass"), digest_size=12)
    return "evt_" + digest.hexdigest()


def event_mark(event_id: str) -> str:
    """Give eight digits of it: enough to tell an event among those of one conversation."""
    return event_id[4:12]


def iso_time(epoch_s: float) -> str:
    """Return seconds since 1970 as "2026-03-04T05:06:07.089Z". Raises ValueError outside of years 1-9999."""
    try:
        moment = datetime.fromtimestamp(epoch_s, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError("not a time") from error
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
