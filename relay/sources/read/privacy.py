"""Whether a message is for the customer's eyes: one reading of every spelling of "not public".

Senders, and those who write their templates, say it as `is_public: false`, `"public": "no"`, `isPrivate: 1`,
`internal: true`, `visibility: "internal"`, `IsPublished`, `jsdPublic`, `channel: "internal-note"`, at the message or
somewhere around it. Whatever says "private" wins; what says nothing is neither.

Objects that are not the message (its author, files, the repository or channel it stands in) speak of themselves, so
they are not asked: a private repository holds public issues. Lists are not walked either: each of their messages is
read for itself by who takes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from relay.source_options import SourceOptions
from relay.sources.read.by_keys import ByKeys

Audience = Literal["public", "private", ""]

#: Skipped, or remarked of an event, where nothing says who may read it.
UNSAID = "privacy_unsaid"
#: Levels of objects that are walked; no sender's message lies deeper.
_MAX_LEVELS = 12
_MAX_KEY_CHARS = 60

_OF = r"(?:tickets?|case|issue|conversation|latest|last|current|comments?|note|message|reply|post|article|entry|jsd)*"
_THING = r"(?:note|comment|message|reply|post|article)?"
_SEEN = r"(?:customer|customers|enduser|endusers|client|requester|public|portal|selfservice)"
_PUBLIC = re.compile(
    rf"{_OF}(?:is)?(?:public|published)|(?:is)?(?:public|published){_THING}|ispubliccomment"
    rf"|{_OF}(?:is)?(?:visible|shared)(?:to|in|for|with){_SEEN}|{_OF}(?:is)?{_SEEN}visible|isvisibleto{_SEEN}"
)
_PRIVATE = re.compile(
    rf"{_OF}(?:is)?(?:private|internal|confidential)"
    rf"|(?:is)?(?:private|internal|confidential){_THING}|(?:is)?(?:agents?|staff|team|internal)only"
)
#: Flags that only tell where they are set: what is shown, or is no note, need not be public.
_HIDDEN = re.compile(rf"{_OF}(?:is)?(?:hidden|whisper)|{_OF}isnote|note")
_SHOWN = re.compile(rf"{_OF}(?:is)?(?:publicly)?visible")
_VISIBILITY = re.compile(
    rf"(?:sys)?{_OF}(?:visibility|privacy|audience|confidentiality|accesslevel|notetype|commenttype|replytype)"
)
#: A key whose value may be one of the words below that nobody uses for anything else.
_TYPE = re.compile(
    r"[a-z]*(?:type|subtype|kind|channel|source|action|event|element|mode|category|field(?:name)?)"
)
#: Intercom's parts: a note is the team's.
_PART = re.compile(r"(?:conversation|ticket)?parttype")
_PRIVATE_TYPES = frozenset(
    {
        *("internalnote", "privatenote", "internalcomment", "privatecomment", "internalmessage"),
        *("privatemessage", "notetypeprivate", "worknote", "worknotes", "internalreply", "staffnote"),
        *(
            "privatereply",
            "agentnote",
            "teamnote",
            "whisper",
            "noteinternal",
            "noteprivate",
            "commentinternal",
        ),
    }
)
_YES = frozenset({"true", "yes", "1", "y", "on", "t"})
_NO = frozenset({"false", "no", "0", "n", "off", "f"})
_PRIVATE_WORDS = frozenset(
    {
        *("private", "internal", "hidden", "restricted", "agent", "agents", "agentonly", "agentsonly"),
        *("staff", "staffonly", "team", "teamonly", "personal", "confidential", "notpublic", "nonpublic"),
        *("unpublished", "role", "group", "internalonly", "internalusers", "onlyagents", "admin", "admins"),
        *_PRIVATE_TYPES,
    }
)
_PUBLIC_WORDS = frozenset(
    {
        *("public", "external", "customer", "customers", "everyone", "everybody", "all", "published"),
        *("allusers", "visible", "publicreply", "publiccomment", "publicnote", "enduser", "endusers"),
    }
)
#: Their privacy is not the message's.
_OTHERS = frozenset(
    {
        *("repository", "repo", "project", "team", "organization", "organisation", "workspace", "account"),
        *("user", "users", "author", "sender", "from", "actor", "requester", "assignee", "reporter", "agent"),
        *("customer", "contact", "contacts", "owner", "submitter", "creator", "createdby", "updatedby"),
        *("group", "brand", "company", "person", "people", "member", "profile", "avatar", "app", "bot"),
        *("attachment", "attachments", "file", "files", "image", "images", "media", "thumbnail"),
        *("board", "space", "calendar", "installation", "license", "permissions", "settings", "headers"),
        *("satisfactionrating", "via", "previousmessage", "channel", "mailbox", "inbox", "recipient"),
    }
)


@dataclass(frozen=True, slots=True)
class _Keys:
    """What an object's keys are: those that may tell who reads it, with their bare names, and those that speak of others."""

    telling: Sequence[tuple[Any, str]]
    others: frozenset[Any]

    @classmethod
    def of(cls, keys: Iterable[Any]) -> _Keys:
        names = {key: _bare(key[:_MAX_KEY_CHARS]) if isinstance(key, str) else "" for key in keys}
        return cls(
            [(key, name) for key, name in names.items() if _means(name)],
            frozenset(key for key, name in names.items() if name in _OTHERS),
        )


_KEYS: Final = ByKeys(_Keys.of)


def audience(value: Any) -> Audience:
    """Return who may read the message that `value` (an object of a sender's JSON) holds. Takes linear time."""
    found: Audience = ""
    level = [value] if isinstance(value, Mapping) else []
    for _ in range(_MAX_LEVELS):
        below: list[Mapping[Any, Any]] = []
        for place in level:
            keys = _KEYS.of(place)
            for key, name in keys.telling:
                told = _told(name, place[key])
                if told == "private":
                    return "private"
                found = found or told
            below += [
                inner for key, inner in place.items() if isinstance(inner, dict) and key not in keys.others
            ]
        if not below:
            break
        level = below
    return found


def audience_of(*places: Any) -> Audience:
    """Return who may read a message that is told of in several objects: "private" where one says so, else what the first says that
    says anything."""
    told = [audience(place) for place in places]
    return "private" if "private" in told else next(filter(None, told), "")


def is_private(*places: Any) -> bool:
    """Tell whether one of these says that the message is not public."""
    return audience_of(*places) == "private"


def is_strict(options: SourceOptions, *, by_default: bool = False) -> bool:
    """Tell whether a message that says nothing of its audience is skipped (`privacy: strict`)."""
    return options.privacy == "strict" or (by_default and options.privacy != "as_told")


def withheld(told: Audience, options: SourceOptions, *, strict_by_default: bool = False) -> str:
    """Return why a message for this audience is not relayed ("private", "privacy_unsaid"), or ""."""
    if "private" in options.keep:
        return ""
    if told == "private":
        return "private"
    return UNSAID if not told and is_strict(options, by_default=strict_by_default) else ""


@lru_cache(maxsize=4096)
def _bare(key: str) -> str:
    return "".join(c for c in key.lower() if c.isalnum())


@lru_cache(maxsize=4096)
def _means(name: str) -> str:
    """Which of the ways of saying it the key is, "" for any other."""
    for word, pattern in (
        ("public", _PUBLIC),
        ("private", _PRIVATE),
        ("hidden", _HIDDEN),
        ("shown", _SHOWN),
        ("visibility", _VISIBILITY),
        ("part", _PART),
        ("type", _TYPE),
    ):
        if pattern.fullmatch(name):
            return word
    return ""


def _told(name: str, value: Any) -> Audience:
    meaning = _means(name)
    if not meaning:
        return ""
    if meaning == "visibility" and isinstance(value, Mapping):
        # Jira: {"type": "role", "value": "Administrators"}
        return "private" if _word(value.get("type")) in ("role", "group") else ""
    word = _word(value)
    if meaning == "hidden":
        # Under "note" a text may stand: "yes" is one.
        return "private" if value is True or (word in _YES and name != "note") else ""
    if meaning == "shown":
        return "private" if word in _NO else ""
    if meaning in ("type", "part"):
        return "private" if word in _PRIVATE_TYPES or (meaning == "part" and word == "note") else ""
    if word in _PRIVATE_WORDS:
        return "private"
    if word in _PUBLIC_WORDS:
        return "public"
    if word in _YES or word in _NO:
        yes = word in _YES
        return "private" if yes == (meaning == "private") else "public"
    return ""


def _word(value: Any) -> str:
    """A flag or a word, bare; "" for what is neither (a text that is longer is a text)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return "1" if value == 1 else "0" if value == 0 else ""
    return _bare(value) if isinstance(value, str) and len(value) <= 40 else ""
