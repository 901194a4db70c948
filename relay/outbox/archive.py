"""The archived raw event: what trace, replay and backtest read. One JSON line of facts, then the raw body as it came.

Facts (schema 1): `id`, `source`, `received_ms`, `verify_us`, `method`, `target` (path and query), `headers` (lower-case,
without credentials: `relay/sources/proof/cut.py`, and without what nobody reads again), `index` (which event of the request this is; -1: the request as a whole was parked), `raw_of` (id of
the event that holds the body, where one request held several), `kind`, `delivery_id`, `thread`, `message_id`,
`external_id`, `rule`, `verdict`, `reason`, `from` and `subject` (who wrote and about what, in a word each for lists), `config` (version of the rules), `traceparent`, `withheld` (why
the body was not kept: redaction found something in its encoded parts).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from relay.errors import NewerRecord

ARCHIVE_SCHEMA = 1
#: Headers that are credentials or nobody's business after the door.
DROPPED_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-forwarded-for", "forwarded", "x-real-ip"}
)
#: Headers of the transport, of proxies, and the body's proof: nothing reads them again. A signature is half of what a head takes.
_UNREAD_HEADERS = frozenset(
    {"content-length", "connection", "accept", "accept-encoding", "host", "transfer-encoding", "via"}
)
_UNREAD_BEGIN, _UNREAD_END = "x-forwarded-", ("-signature", "-request-timestamp")


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return those that a later reading of the request may need."""
    return {
        name: value
        for name, value in headers.items()
        if name not in _UNREAD_HEADERS
        and not name.endswith(_UNREAD_END)
        and not name.startswith(_UNREAD_BEGIN)
    }


@dataclass(frozen=True, slots=True)
class Archived:
    facts: Mapping[str, Any]
    body: bytes


def pack(facts: Mapping[str, Any], body: bytes) -> bytes:
    return b"%b\n%b" % (orjson.dumps({"v": ARCHIVE_SCHEMA, **facts}), body)


def unpack(record: bytes) -> Archived:
    """Read a record. Raises NewerRecord for what a newer release wrote, ValueError for what this one cannot read."""
    head, _, body = record.partition(b"\n")
    facts = orjson.loads(head)
    if isinstance(facts.get("v"), int) and facts["v"] > ARCHIVE_SCHEMA:
        raise NewerRecord(f"an archived event of schema {facts['v']}; this release reads {ARCHIVE_SCHEMA}")
    if facts.get("v") not in (ARCHIVE_SCHEMA, ARCHIVE_SCHEMA - 1):
        raise ValueError(
            f"an archived event of schema {facts.get('v')!r}; this release reads {ARCHIVE_SCHEMA}"
        )
    return Archived(facts=facts, body=body)


def unpack_newer(record: bytes) -> Archived:
    """Return what a newer release wrote, as far as it can be read: for who looks through everything, as who erases must."""
    head, _, body = record.partition(b"\n")
    try:
        facts = orjson.loads(head)
    except ValueError:
        facts = None
    return Archived(facts=facts if isinstance(facts, dict) else {}, body=body)
