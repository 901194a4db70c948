"""The adapter of every sender that a table describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from relay.errors import PayloadInvalid
from relay.event import Attachment, Channel, Event, Person, Recipient, Ticket, event_id
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parked, Parsed, Reply, Sample, Skipped, content_key, iso_from_us
from relay.sources.described.shape import Format, Preset, Shape, Who, first_at, holds, text_at, value_at
from relay.sources.described.table import PRESETS
from relay.sources.foreign_json import parse_json
from relay.sources.proof.proven import ProvenAdapter
from relay.sources.read.attached import read_files
from relay.sources.read.either import looks_like_html, read_either
from relay.sources.read.lenient import parse_lenient
from relay.sources.read.markdown import read_markdown
from relay.sources.read.moment import moment_us
from relay.sources.read.privacy import UNSAID, audience, withheld
from relay.sources.read.unknown import SAID, is_worded, skip_unknown

MAX_DESCRIBED_ITEMS = 1000


class Described(ProvenAdapter):
    """Reads what the table of `options.adapter` says. A subclass has events that no table can say."""

    def __init__(self, options: SourceOptions) -> None:
        self.preset: Preset = PRESETS[options.adapter]
        super().__init__(options, self.preset.proof)
        self.answers = self.preset.answers

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        reply = super().handshake(inbound, now_s=now_s)
        if reply is None and self.preset.answers_get and inbound.method in ("GET", "HEAD"):
            return Reply(200)
        return reply

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        body = self.opened(inbound).body
        try:
            payload = parse_lenient(body) if self.preset.templated else parse_json(body)
        except PayloadInvalid as error:
            if self.preset.templated:
                return [Parked(error.message, content_key(inbound.body))]
            raise
        return self.read(payload, inbound, now_s)

    def read(self, payload: Any, inbound: Inbound, now_s: float) -> list[Parsed]:
        """Return the events of a payload, in its order."""
        items = value_at(payload, self.preset.items) if self.preset.items else payload
        if not isinstance(items, list):
            if not isinstance(items, dict):
                raise PayloadInvalid("wanted a JSON object" + (" or a list" if self.preset.items else ""))
            return [self._item(items, inbound, "", now_s)]
        if not self.preset.items or len(items) > MAX_DESCRIBED_ITEMS:
            raise PayloadInvalid("wanted a JSON object" if not self.preset.items else "too many events")
        found: list[Parsed] = []
        for n, item in enumerate(items):
            try:
                if not isinstance(item, dict):
                    raise PayloadInvalid("wanted an object", f"[{n}]")
                found.append(self._item(item, inbound, f"#{n}", now_s))
            except PayloadInvalid as error:
                # One bad event costs the others of its batch nothing.
                found.append(Parked(str(error), content_key(orjson.dumps(item))))
        return found or [Skipped("empty")]

    def _item(self, payload: dict[str, Any], inbound: Inbound, suffix: str, now_s: float) -> Parsed:
        word, shape = self._shape_of(payload)
        if shape is None:
            return self._none_of_ours(payload)
        first, _, rest = (shape.kinds.get(word) or shape.kinds["*"]).partition(" ")
        if first == "-":
            return Skipped(rest)
        if why := self._withheld(payload, shape, private=first == "private"):
            return Skipped(why)
        kind = rest or first
        if holds(payload, shape.removed):
            kind = "message.deleted"
        elif holds(payload, shape.edited):
            kind = "message.updated"
        elif holds(payload, shape.solved):
            kind = "ticket.solved"
        key = _key(payload, shape, word) or content_key(inbound.body) + suffix
        return self.event(payload, shape, kind=kind, key=key, now_s=now_s)

    def _none_of_ours(self, payload: dict[str, Any]) -> Skipped:
        """An event that is known and not wanted. Raises PayloadInvalid for what no event of this sender looks like."""
        if not payload:
            return Skipped("empty")
        if holds(payload, self.preset.noise):
            return Skipped("type")
        types = [shape.type for shape in self.preset.shapes]
        words = {places: [text_at(payload, place) for place in places] for places in types if places}
        named = {".".join(found) for found in words.values() if all(found)}
        if named and not any(word in shape.kinds for word in named for shape in self.preset.shapes):
            return Skipped("type")
        if all(types) and not named:
            raise PayloadInvalid("names no event", types[0][0].split()[0])
        return skip_unknown(payload)

    def _shape_of(self, payload: dict[str, Any]) -> tuple[str, Shape | None]:
        for shape in self.preset.shapes:
            word = ".".join(filter(None, (text_at(payload, places) for places in shape.type)))
            if (word in shape.kinds or "*" in shape.kinds) and (not shape.when or holds(payload, shape.when)):
                return word, shape
        return "", None

    def _withheld(self, payload: Mapping[str, Any], shape: Shape, *, private: bool) -> str:
        """Why this event is not relayed; "" where it is."""
        if holds(payload, shape.sender.bot) and "bots" not in self.options.keep:
            return "bot"
        said = "private" if private or holds(payload, shape.private) else audience(payload)
        why = withheld(said, self.options)
        # What happened to a ticket has no readers of its own.
        return "" if why == UNSAID and not shape.text else why

    def event(self, payload: dict[str, Any], shape: Shape, *, kind: str, key: str, now_s: float) -> Event:
        """Return the event that `shape` finds in the payload. `key` is what a retry of this delivery repeats. Raises PayloadInvalid
        where nothing says what it belongs to."""
        thread = text_at(payload, shape.thread)
        if not thread:
            first = shape.thread.partition("{")[2] or shape.thread
            raise PayloadInvalid("wanted an id", first.split()[0].rstrip("}"))
        moment = moment_us(first_at(payload, shape.time)) if shape.time else None
        version = int(now_s * 1_000_000) if moment is None else moment
        removed = kind == "message.deleted"
        text, html = ("", "") if removed else self.words(payload, shape)
        source = self.options.name
        return Event(
            id=event_id(source, key),
            source=source,
            adapter=self.options.adapter,
            kind=kind,
            time=iso_from_us(version),
            version=version,
            thread=thread,
            subject=text_at(payload, shape.subject),
            text=text,
            html=html,
            sender=person_at(payload, shape.sender),
            recipients=_customer(payload, shape.customer),
            channel=Channel(text_at(payload, shape.channel_id), text_at(payload, shape.channel_name)),
            ticket=Ticket(
                id=text_at(payload, shape.ticket_id),
                status=text_at(payload, shape.status),
                priority=text_at(payload, shape.priority),
                assignee=text_at(payload, shape.assignee),
            ),
            message_id=text_at(payload, shape.message) or (thread if removed else key),
            url=text_at(payload, shape.url),
            attachments=() if removed else files_at(payload, shape.files),
            tags=_tags(payload, shape.tags),
            delivery_id=key,
            label=text_at(payload, shape.label),
            unworded="" if removed else _unworded(payload, shape),
            payload=payload,
        )

    def words(self, payload: dict[str, Any], shape: Shape) -> tuple[str, str]:
        """Return text and HTML of what was written."""
        if isinstance(shape.text, tuple):
            lines = [(label, text_at(payload, places)) for label, places in shape.text]
            return written(
                "\n".join(answer_line(label, text) for label, text in lines if text),
                shape.format,
            )
        return written(text_at(payload, shape.text), shape.format)

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return the messages of the table's sample, a second apart."""
        begun_us = int(now_s) * 1_000_000 + serial
        return [
            Sample(
                orjson.dumps(filled(message, begun_us, begun_us + n * 1_000_000)),
                dict(self.preset.sample_headers),
            )
            for n, message in enumerate(self.preset.sample)
        ]


def person_at(payload: Any, who: Who) -> Person:
    """Return the person at these places; an address without "@" is none."""
    email = text_at(payload, who.email)
    return Person(
        id=text_at(payload, who.id),
        name=text_at(payload, who.name),
        email=email if "@" in email else "",
        bot=holds(payload, who.bot),
    )


def answer_line(asked: str, given: str) -> str:
    """Return a question and its answer as a line, "" without an answer."""
    if not asked or not given:
        return given
    return f"{asked} {given}" if asked.endswith(("?", ":", "!", ".")) else f"{asked}: {given}"


def written(text: str, form: Format) -> tuple[str, str]:
    """Return text and HTML of words; HTML is "" where they are plain."""
    if not text:
        return "", ""
    if form == "markdown":
        return read_markdown(text)
    return read_either(text) if form == "either" and looks_like_html(text) else (text, "")


def files_at(payload: Any, places: str) -> tuple[Attachment, ...]:
    """Return the files at these places, those of each after those of the one before."""
    return tuple(file for path in places.split() for file in read_files(value_at(payload, path)))


def filled(message: Any, thread_us: int, moment_us: int) -> Any:
    """Return a sample's message with its own ids and times. "{ms}" and "{number}" alone become numbers."""
    if isinstance(message, dict):
        return {key: filled(value, thread_us, moment_us) for key, value in message.items()}
    if isinstance(message, list):
        return [filled(value, thread_us, moment_us) for value in message]
    if message == "{ms}":
        return moment_us // 1000
    if message == "{number}":
        return thread_us
    if not isinstance(message, str) or "{" not in message:
        return message
    held = {
        "{thread}": f"T{thread_us:X}",
        "{message}": f"M{moment_us:X}",
        "{iso}": iso_from_us(moment_us),
        "{digits}": str(moment_us),
        "{number}": str(thread_us),
        "{s}": str(moment_us // 1_000_000),
    }
    for place, value in held.items():
        message = message.replace(place, value)
    return message


def _key(payload: Any, shape: Shape, word: str) -> str:
    """The values of `identity`, with the word before those that are no id of the delivery itself."""
    values = [text_at(payload, path) for path in shape.identity.split()]
    if not any(values):
        return ""
    return values[0] if len(values) == 1 else ":".join((*filter(None, (word,)), *values))


def _unworded(payload: Any, shape: Shape) -> str:
    """Why there are no words; "" where there need be none."""
    if shape.thin:
        return "look_up"
    return shape.overlooked if shape.overlooked and is_worded(payload, SAID) else ""


def _customer(payload: Any, who: Who) -> tuple[Recipient, ...]:
    """The customer, by whom the company is found where somebody else wrote."""
    person = person_at(payload, who)
    return (Recipient(person.name, person.email, "participant"),) if person.email else ()


def _tags(payload: Any, places: str) -> tuple[str, ...]:
    listed = first_at(payload, places)
    if not isinstance(listed, list):
        return ()
    named = (one if isinstance(one, str) else text_at(one, "name title label") for one in listed[:100])
    return tuple(name for name in named if name)
