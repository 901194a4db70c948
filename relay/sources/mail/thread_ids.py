"""What a mail is known by, and which mails it names: the keys under which the map of threads is asked.

A mail names those before it in `In-Reply-To` and `References` (RFC 5322, section 3.6.4), Exchange its conversation in
`Thread-Index`, a help desk its ticket in the subject. The same id is written in many ways on its journey, so ids are
brought into one form before they are compared: without brackets and blanks, encoded words read, the domain in lower case,
Amazon's without the region that they passed through. What is no id (`<>`, `reply`, somebody's address) names nothing.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import blake2b

from relay.sources.mail.headers import MAX_VALUE_CHARS, MailHeaders, decoded
from relay.thread_ids import ThreadIds

#: A thread of more mails is known by its first and its last ones.
MAX_FIRST, MAX_LAST = 8, 56
_IN_BRACKETS = re.compile(r"<([^<>]{1,998})>")
_BLANKS = re.compile(r"\s+")
#: `Message-ID`s that somebody on the way has replaced by his own.
_OWN = (
    "x-microsoft-original-message-id",
    "x-google-original-message-id",
    "x-original-message-id",
    "x-mailgun-original-message-id",
)
#: What Amazon SES makes of a Message-ID; its API tells it without the host, which names a region.
_OF_SES = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-\d{6}")
#: Exchange's conversation: a version, a time and a GUID; five bytes more for each answer. Source: [MS-OXOMSG], 2.2.1.3.
_CONVERSATION_BYTES, _ANSWER_BYTES = 22, 5


@dataclass(frozen=True, slots=True)
class IdsByName:
    """`ids` are the mails that this one names, the nearest first; `first` how the mail that began all is written there."""

    ids: tuple[str, ...]
    first: str = ""


def message_ids(value: str) -> list[str]:
    """Return the ids of a `References`, `In-Reply-To` or `Message-ID` field, in their order, with angle brackets."""
    if not value:
        return []
    value = decoded(value[:MAX_VALUE_CHARS])
    found = [_BLANKS.sub("", inner) for inner in _IN_BRACKETS.findall(value)]
    if not found and "<" not in value:
        words = value.replace(",", " ").replace(">", " ").split()[:200]
        # A sentence ("Nora's mail of Monday") has no id but one with an @.
        found = [word for word in words if "@" in word or len(words) == 1 or _OF_SES.fullmatch(word)]
    return [f"<{one}>" for one in found if is_id(one)]


def is_id(inner: str) -> bool:
    """Tell whether what stands between the brackets can tell one mail from all others."""
    left, at, right = inner.rpartition("@")
    if at:
        return bool(left.strip("\"'") and right)
    # Some programs leave the host out; a word ("reply", "none") is no id.
    return len(inner) >= 8 and any(char.isdigit() for char in inner) and not inner.isspace()


def normal(message_id: str) -> str:
    """Return one spelling for all of an id's."""
    inner = message_id.strip("<> \t").strip()
    left, at, right = inner.rpartition("@")
    if not at:
        return f"{inner}@amazonses.com" if _OF_SES.fullmatch(inner) else inner
    domain = right.lower().rstrip(".")
    if domain.endswith(".amazonses.com") and _OF_SES.fullmatch(left):
        domain = "amazonses.com"
    return f"{left}@{domain}"


def own_ids(headers: MailHeaders, given: str) -> list[str]:
    """Return the mail's own ids, the one that names it first; [] where it has none. `given` is the provider's reading of it."""
    found = message_ids(given) or message_ids(headers.raw("message-id"))
    for name in _OWN:
        if name in headers:
            found += message_ids(headers.raw(name))
    return list(dict.fromkeys(found))


def named_ids(headers: MailHeaders, people: Collection[str]) -> IdsByName:
    """Return the mails that this one says it answers. `people` are the addresses of those who take part, in lower case: old
    programs write one in the place of an id."""
    answered = _without(message_ids(" ".join(headers.all("in-reply-to"))), people)
    before = _without(message_ids(" ".join(headers.all("references"))), people)
    first = before[0] if before else answered[0] if answered else ""
    if len(before) > MAX_FIRST + MAX_LAST:
        before = before[:MAX_FIRST] + before[-MAX_LAST:]
    return IdsByName(tuple(dict.fromkeys((*answered[:MAX_FIRST], *reversed(before)))), first)


def thread_ids(
    source: str, own: Iterable[str], named: IdsByName, headers: MailHeaders, *, ticket: str = ""
) -> ThreadIds:
    """Return the keys of the map for one mail. `own` names it; `ticket` is the number in its subject, which says more than any
    header: who configured it wants it so."""
    conversation, answers = conversation_of(headers.raw("thread-index"))
    mine = _keys(source, "m", map(normal, own))
    before = [key for key in _keys(source, "m", map(normal, named.ids)) if key not in mine]
    tickets = _keys(source, "t", [ticket] if ticket else [])
    conversations = _keys(source, "c", [conversation] if conversation else [])
    return ThreadIds(
        own=tuple(mine),
        named=(*tickets, *before, *conversations),
        first=_keys(source, "m", [normal(named.first)])[0] if named.first else mine[0],
        begins=not (tickets or before or answers),
    )


def keys_of_mails(source: str, message_ids: Iterable[str]) -> list[str]:
    """Return the keys of mails that are known by their ids alone."""
    return _keys(source, "m", map(normal, message_ids))


def conversation_of(thread_index: str) -> tuple[str, bool]:
    """Give Exchange's conversation in a `Thread-Index`, "" where it holds none, and whether the mail answers one."""
    try:
        raw = b64decode("".join(thread_index.split())[:2000], validate=True)
    except (binascii.Error, ValueError):
        return "", False
    more = len(raw) - _CONVERSATION_BYTES
    if more < 0 or more % _ANSWER_BYTES or raw[0] != 1:
        return "", False
    return raw[:_CONVERSATION_BYTES].hex(), more > 0


def _without(ids: list[str], people: Collection[str]) -> list[str]:
    return [one for one in ids if one[1:-1].lower() not in people]


def _keys(source: str, kind: str, values: Iterable[str]) -> list[str]:
    """16 letters for each: two ids out of a billion have the same with a chance of 1 in 10^11."""
    begins = blake2b(f"{source}\x1f{kind}\x1f".encode("utf-8", "surrogatepass"), digest_size=12)
    found: dict[str, None] = {}
    for value in values:
        digest = begins.copy()
        digest.update(value.encode("utf-8", "surrogatepass"))
        found[urlsafe_b64encode(digest.digest()).decode()] = None
    return list(found)
