"""Which words of a payload a person wrote, and whether they stand in the conversation that comes of it.

What is measured: every string of the payload that somebody wrote is looked for in the final conversation (the fold of
all events of the request, by the adapter's default rules). Words are compared, not marks: `*now*`, `<b>now</b>` and
"now" are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from relay.errors import PayloadInvalid
from relay.event import Event
from relay.patch import Document
from relay.rules.file.load import load
from relay.rules.language.filters import plain
from relay.rules.rule import Mapped, RuleBook
from relay.sources.base import Adapter, Inbound, Parked, Parsed, Reply, Skipped

NOW_S = 1_790_000_000.25

#: Under these names even a single word is somebody's ("Thanks"); elsewhere it takes two.
SAID = frozenset(
    {
        *("text", "body", "subject", "title", "content", "message", "comment", "description", "caption"),
        *("summary", "note", "plain", "html", "filename", "transcription", "remark", "reason"),
        *("answer", "brief", "bodytext", "bodyhtml", "htmlbody", "textbody", "shortdescription", "workNotes"),
    }
)
_WORDS = re.compile(r"[^\W_]+")
_NOT_WRITTEN = re.compile(
    r"(?:https?|mailto|urn|arn|cid|tel):\S*|[\w.+-]+@[\w.-]+|<[^<>\s]+@[^<>\s]+>|\S*[/=]\S*"
    r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} \w{3} \d{4} [\d:]+ [+-]\d{4}"
    r"|\d{4}-\d\d-\d\d[T ][\d:.]+(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?|[\d\W_]+"
)
#: Marks that are not words: addresses (of Slack's and Markdown's links the label is what is read), wiki markup.
_NOTATION = re.compile(
    r"<?(?:https?://|mailto:)[^\s<>|\"')\]]+\|?|\{(?:code|noformat|quote|color|panel)[^{}]*\}|(?m:^h[1-6]\.)"
    r"|<at[^<>]*>[^<>]*</at>|<span[^<>]*mention[^<>]*>[^<>]*</span>"
)
#: Who a person is stands elsewhere in the conversation, or nowhere: it is no word of theirs.
_NAME = re.compile(
    r"(?:display|real|full|first|last|user|nick|given|family|sur)?_?names?(?:\[\])?$", re.IGNORECASE
)
_SPACES = re.compile(r"\s")


def book_of(adapter: str, **options: Any) -> RuleBook:
    return _book(adapter, tuple(sorted(options.items())))


@cache
def _book(adapter: str, options: tuple[tuple[str, Any], ...]) -> RuleBook:
    more = "".join(f", {key}: {orjson.dumps(value).decode()}" for key, value in options)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "relay.yaml"
        file.write_text(
            f"planhat: {{types: [T]}}\nsources: {{my-{adapter}: {{adapter: {adapter}, unauthenticated: true, "
            f"public_url: 'https://hooks.example.com', type: T{more}}}}}\ncompanies: [default: extid-a]\n",
            encoding="utf-8",
        )
        return load(str(file), {})[1]


def outcome(adapter: Adapter, request: Inbound) -> Reply | list[Parsed]:
    """As the door asks: the handshake first, then what the body holds."""
    reply = adapter.handshake(request, now_s=NOW_S)
    return adapter.parse(request, now_s=NOW_S) if reply is None else reply


def conversations(events: list[Event], book: RuleBook) -> list[dict[str, Any]]:
    """What Planhat would have of these events, one conversation an externalId."""
    documents: dict[str, Document] = {}
    for event in events:
        verdict = book.map(event)
        if isinstance(verdict, Mapped):
            patch = verdict.patch
            documents.setdefault(patch.external_id, Document(patch.external_id)).absorb(patch)
    return [document.render() for document in documents.values()]


def words(text: str) -> str:
    """The words of a text or of HTML, in their order, in small letters."""
    return " ".join(_WORDS.findall(plain(_NOTATION.sub(" ", text)).lower()))


def stands_in(text: str, there: str) -> bool:
    """Whether the words of `text` are among those told; what looks like a tag may be one, or be meant."""
    return words(text) in there or " ".join(_WORDS.findall(_NOTATION.sub(" ", text).lower())) in there


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string of a payload with its path; places in lists as `[]`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, f"{path}[]")
    elif isinstance(value, str):
        yield path, value


def is_written(path: str, text: str) -> bool:
    """Whether a person wrote this, as far as it can be told."""
    if not text.strip() or _NOT_WRITTEN.fullmatch(text.strip()):
        return False
    if text.lstrip()[:1] in "{[" and text.rstrip()[-1:] in "}]":
        return False
    if _NAME.search(path.rpartition(".")[2]) and not path.lower().endswith("filename"):
        return False
    key = path.removesuffix("[]").rpartition(".")[2].lower().replace("_", "").replace("-", "")
    found = [word for word in _WORDS.findall(plain(text)) if not word.isdigit()]
    if key in SAID:
        return bool(found)
    return len(found) > 1 and bool(_SPACES.search(text.strip()))


def missing(payload: Any, told: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Path and text of what was written and stands in none of the conversations."""
    there = words("\n".join(text for conversation in told for _, text in strings(conversation)))
    seen: set[tuple[str, str]] = set()
    for path, text in strings(payload):
        if (path, text) in seen or not is_written(path, text):
            continue
        seen.add((path, text))
        if not stands_in(text, there):
            yield path, text


def why_skipped(found: Reply | list[Parsed]) -> str:
    """ "" where the request gave an event; else why it did not."""
    if isinstance(found, Reply):
        return "handshake"
    if any(isinstance(one, Event) for one in found):
        return ""
    reasons = [
        one.reason if isinstance(one, Skipped) else "parked" for one in found if not isinstance(one, Event)
    ]
    return ", ".join(dict.fromkeys(reasons)) or "nothing"


def payload_of(body: bytes, found: list[Parsed]) -> Any:
    """The body as JSON; else what the adapter made of it (forms, mails, XML)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return [dict(one.payload) for one in found if isinstance(one, Event)]


__all__ = [
    "Parked",
    "PayloadInvalid",
    "book_of",
    "conversations",
    "missing",
    "outcome",
    "payload_of",
    "why_skipped",
    "words",
]
