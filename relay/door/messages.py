"""What the web process and the process beside it say to each other over a socket: a JSON line's worth of facts, blobs of bytes
behind it, and files. Nothing that could be a program: what was read from outside never decides more here than it did there.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from relay.door.large import LargeBody
from relay.errors import (
    ContentTypeInvalid,
    NotAuthentic,
    OutboxUnavailable,
    PayloadInvalid,
    RelayError,
    VerificationUnavailable,
)
from relay.outbox.items import Entry
from relay.sources.base import Inbound, Reply
from relay.thread_ids import ThreadIds

_HEAD = struct.Struct("<I")
FILE_FROM_BYTES = 256 * 1024
_MAX_FILES = 32
#: Entries of a thousand events, each with a patch of a megabyte at the very most.
_MAX_BYTES = 1 << 30


@dataclass(slots=True)
class Message:
    """`facts` are JSON; a blob is named by its number."""

    facts: dict[str, Any]
    blobs: list[bytes] = field(default_factory=list)
    files: list[int] = field(default_factory=list)


class HungUp(Exception):
    """The process at the other end is gone."""


def send_message(line: socket.socket, message: Message) -> None:
    """Send a message with its blobs. Raises OSError. Large blobs travel as files in memory: nobody copies them on the way."""
    with ExitStack() as held:
        files, sizes, inline = list(message.files), [], []
        for blob in message.blobs:
            if len(blob) >= FILE_FROM_BYTES and len(files) < _MAX_FILES:
                body = held.enter_context(LargeBody())
                body.append(blob)
                files.append(body.fd)
                sizes.append(-1)
            else:
                inline.append(blob)
                sizes.append(len(blob))
        facts = orjson.dumps({**message.facts, "files": len(message.files), "sizes": sizes})
        head = _HEAD.pack(len(facts))
        if files:
            # The files travel with the first byte.
            socket.send_fds(line, [head], files)
        else:
            line.sendall(head)
        line.sendall(facts)
        for blob in inline:
            line.sendall(blob)


def receive(line: socket.socket) -> Message:
    """Return the next message; its files are the receiver's to close. Raises HungUp, TimeoutError."""
    head, files, _, _ = socket.recv_fds(line, _HEAD.size, _MAX_FILES)
    if not head:
        raise HungUp
    head += _exactly(line, _HEAD.size - len(head))
    facts = orjson.loads(_exactly(line, _HEAD.unpack(head)[0]))
    own = int(facts.pop("files"))
    large = iter(files[own:])
    blobs = []
    for size in facts.pop("sizes"):
        if size >= 0:
            blobs.append(_exactly(line, size))
            continue
        with LargeBody(next(large)) as body:
            blobs.append(body.read())
    return Message(facts, blobs, list(files[:own]))


def _exactly(line: socket.socket, size: int) -> bytes:
    if size > _MAX_BYTES:
        raise HungUp
    pieces = bytearray()
    while len(pieces) < size:
        piece = line.recv(min(size - len(pieces), 1 << 20))
        if not piece:
            raise HungUp
        pieces += piece
    return bytes(pieces)


# -- values --------------------------------------------------------------------------------------------------------


def inbound_facts(inbound: Inbound) -> dict[str, Any]:
    """Give everything but the body. Header values are Latin-1, which JSON takes as text."""
    return {
        "headers": dict(inbound.headers),
        "method": inbound.method,
        "target": inbound.path_query,
        "query": dict(inbound.query),
        "once": list(inbound.once),
    }


def inbound_of(facts: Mapping[str, Any], body: bytes) -> Inbound:
    return Inbound(
        body, facts["headers"], facts["method"], facts["target"], facts["query"], tuple(facts["once"])
    )


def entries_message(
    entries: Sequence[Entry], skipped: Sequence[str], kind: str, files: Sequence[int] = ()
) -> Message:
    message = Message({"is": kind, "skipped": list(skipped), "entries": []}, files=list(files))
    for entry in entries:
        message.facts["entries"].append(
            {
                "id": entry.event_id,
                "source": entry.source,
                "verdict": entry.verdict,
                "seen": list(entry.seen_keys),
                "kept": list(entry.kept_keys),
                "external_id": entry.external_id,
                "known_as": entry.known_as,
                "sealed": entry.sealed,
                "lane": entry.lane,
                "thread": entry.thread,
                "threading": asdict(entry.threading) if entry.threading else None,
                "blob": len(message.blobs),
            }
        )
        message.blobs += (entry.record, entry.patch, entry.dead)
    return message


def entries_of(message: Message) -> list[Entry]:
    found = []
    for facts in message.facts["entries"]:
        record, patch, dead = message.blobs[facts["blob"] : facts["blob"] + 3]
        found.append(
            Entry(
                event_id=facts["id"],
                source=facts["source"],
                verdict=facts["verdict"],
                seen_keys=tuple(facts["seen"]),
                record=record,
                external_id=facts["external_id"],
                patch=patch,
                dead=dead,
                known_as=facts["known_as"],
                kept_keys=tuple(facts["kept"]),
                sealed=facts["sealed"],
                lane=facts["lane"],
                thread=facts["thread"],
                threading=_threading_of(facts["threading"]),
            )
        )
    return found


def _threading_of(facts: Mapping[str, Any] | None) -> ThreadIds | None:
    if facts is None:
        return None
    return ThreadIds(tuple(facts["own"]), tuple(facts["named"]), facts["first"], facts["begins"])


def reply_message(reply: Reply) -> Message:
    facts = {
        "is": "reply",
        "status": reply.status,
        "content_type": reply.content_type,
        "headers": dict(reply.headers),
    }
    return Message(facts, [reply.body])


def reply_from(message: Message) -> Reply:
    facts = message.facts
    return Reply(facts["status"], message.blobs[0], facts["content_type"], facts["headers"])


#: Errors that are answers, by name, with what each is made of.
_ERRORS: dict[str, tuple[type[RelayError], tuple[str, ...]]] = {
    "NotAuthentic": (NotAuthentic, ("reason",)),
    "PayloadInvalid": (PayloadInvalid, ("message", "path")),
    "ContentTypeInvalid": (ContentTypeInvalid, ("text",)),
    "VerificationUnavailable": (VerificationUnavailable, ("text", "retry_after_s")),
    "OutboxUnavailable": (OutboxUnavailable, ("text", "retry_after_s")),
}


def error_message(error: Exception) -> Message | None:
    """Return the message that tells of an error; None for an error that is no answer."""
    name = type(error).__name__
    if name not in _ERRORS:
        return None
    values = [str(error) if one == "text" else getattr(error, one) for one in _ERRORS[name][1]]
    return Message({"is": "error", "name": name, "values": values})


def error_of(message: Message) -> RelayError:
    made_by, _ = _ERRORS[message.facts["name"]]
    return made_by(*message.facts["values"])
